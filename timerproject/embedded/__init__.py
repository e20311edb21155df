"""A PostgreSQL server under `var/`, used when DATABASE_URL is not set.

`folder` defines the paths, `binaries` finds the programs, `run_as` handles PostgreSQL's refusal to run as root,
`server` starts and stops the server, `process` tells whether it is alive, `watch` restarts it under a running
`make up`. Importing these modules starts nothing: settings.py only computes the address.

The server is detached on purpose: it outlives a killed `make up` and is reused by the next one. If the server itself is
killed, the cost is a recovery of some seconds; fsync is on.
"""
