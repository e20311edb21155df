"""One node: a supervisor that runs no user code, and worker processes that do.

    supervisor   the Node: children, their limits, signals; heartbeat and housekeeping in threads of their own
    worker       one child process: claimer -> agenda -> executor -> recorder, and a listener that wakes the claimer
    in_flight    executions that have begun and are not recorded yet, in memory shared with the supervisor
    pulse        how threads are monitored; components (a worker's) and own_threads (the supervisor's) use it
    handler_state    what a handler leaves behind: on its connections (connection_state) or in its process
                     (process_state: state_kinds, settings_state)
    descendants  programs started by handlers end with their worker; guardian ends them when the node is killed

Only this package starts threads and processes. Each worker claims for itself; no work is passed between processes.
"""
