"""Measure this installation through its public API and real nodes (manage.py timerbench; docs/measuring.md).

ground         groups in a separate partition, deleted at the end
node_process   a real `runtimerworker`, started, watched and stopped
figures        figures of a run, read from the ledger
raw_limit      the engine's statements without the engine: the maximum that the database allows
drain, create, lateness, backlog, recurring, idle, schedules, catchup   one measurement each
installation   versions and settings that the figures belong to
"""
