"""Pure rules of the service: no Django, no database, no clock.

cluster_modes   who leads a partition, and which modes can live together
shards          which slice of its group a timer is in, and which node prefers a slice
"""
