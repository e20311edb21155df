"""Measure this installation through its own public API and real nodes (manage.py timerbench; docs/measuring.md).

ground         groups in a partition of their own, cleared away at the end
node_process   a real `runtimerworker`, started, watched and ended
figures        what the ledger says of a run
raw_limit      the engine's statements without the engine: what the database allows at most
drain, create, lateness, backlog, recurring, idle, schedules, catchup   one measurement each
installation   versions and settings that the figures belong to
"""
