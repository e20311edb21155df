"""Read-only queries shared by all interfaces: console, admin, API and terminal show the same results.

    cluster     health in one sentence, concerns and nodes
    timers      next fires
    executions  latest ledger rows, claims, waiting executions
    rates       fires per minute, lateness and success, from the minute statistics
    audit       who changed what
    counts      numbers of rows, estimated or capped, never by reading a big table

Results are frozen dataclasses. `now` is an argument, taken from the database clock. Every query is bounded and served
by an index: none reads a whole big table, however long the history.
"""
