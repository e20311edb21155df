"""Control: what people and programs ask for. Every face writes through these functions and no other way.

    spec           a request for a timer, checked whole before anything is written
    create         create, replace or keep timers, one or ten thousand
    request        from the keywords of the Python API to such a request
    find_timer     a timer by its name, to read it or under its lock
    change         edit, pause, resume, cancel a timer; run it now
    backfill       run the occurrences of a past stretch of time
    pausing        pauses that end by themselves
    groups         create, edit, pause, resume a group
    delete         delete a group with its timers
    reconcile      make timers what is declared in code or in a file (declaration, plan, difference, reconciled)
    executions     retry, dismiss, cancel or replay single executions
    operations     retry or dismiss all failed executions that meet a filter
    subscriptions  several receivers of a group's timers
    secrets        create, replace, delete what timers prove themselves with
    nodes          drain, activate, stop a node; pause and resume the whole cluster
    audit          the entry that each of these leaves (asking: who asks)

Each joins the caller's transaction: rolled back, it never was.
"""
