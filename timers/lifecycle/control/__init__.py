"""Control: what people and programs ask for. Every face writes through these functions and no other way.

    spec        a request for a timer, checked whole before anything is written
    request     from the keywords of the Python API to such a request
    create      create, replace or keep timers, one or ten thousand
    change      edit, pause, resume, cancel a timer; run it now
    groups      create, edit, pause, resume a group
    delete      delete a group with its timers
    executions  retry, dismiss or cancel what waits

Each joins the caller's transaction: rolled back, it never was.
"""
