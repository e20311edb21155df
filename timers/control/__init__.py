"""Control: the operations that people and programs request. Every face writes through these functions only.

    spec           a request for a timer, validated as a whole before anything is written
    create         create, replace or keep timers: one or ten thousand
    request        build such a request from the keywords of the Python API
    find_timer     find a timer by its name, to read it or to lock it
    change         edit, pause, resume or cancel a timer; run it now
    backfill       run the occurrences of a past time range
    pausing        pauses that end automatically
    groups         create, edit, pause or resume a group
    delete         delete a group with its timers
    sync           bring timers in line with what code or a file declares (declaration, sync_plan, difference,
                   sync_report)
    executions     retry, dismiss, cancel or replay single executions
    operations     retry or dismiss all failed executions that match a filter
    subscriptions  several receivers of a group's timers
    secrets        create, replace or delete the credentials that timers use
    nodes          drain, activate or stop a node
    cluster_pause  pause and resume the whole cluster, or one of its partitions
    audit          the audit entry that each of these operations writes (security/current_actor: who requests it)

Each function joins the caller's transaction: a rollback undoes it completely.
"""
