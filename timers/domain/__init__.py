"""Rules without Django, tables or clocks: the same answer for the same arguments.

shards   which slice of its group a timer is in, and which node prefers a slice
"""
