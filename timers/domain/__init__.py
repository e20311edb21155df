"""Pure rules of the service: no Django, no database, no clock.

cluster_modes   which node leads a partition, and which modes can share one
shards          which slice of its group a timer is in, and which node prefers a slice
"""
