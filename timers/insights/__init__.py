"""Read-only questions, asked by every face: pages, admin, API and terminal see the same answers.

    cluster     the sentence, the concerns and the nodes
    timers      what fires next
    executions  the latest of the ledger, what is held, what waits
    rates       fires a minute, lateness and success, from the minute statistics
    audit       who asked for what
    counts      how many there are, estimated or capped, never by reading a big table

Answers are frozen dataclasses. `now` is given, and is the database's. Every query is bounded and served by an index:
none of them reads a big table whole, however long the history.
"""
