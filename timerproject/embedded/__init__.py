"""A real PostgreSQL under `var/`, for everyone who gave no DATABASE_URL.

`folder` says where things lie, `binaries` finds the programs, `run_as` answers PostgreSQL's refusal to run as root,
`server` starts and stops, `process` tells whether it lives, `watch` brings it back under a running `make up`. Importing
any of it starts nothing: settings.py only computes the address.

The server is detached on purpose: it outlives a killed `make up` and is used again by the next one. What it costs to be
killed itself is a recovery of some seconds; fsync is on.
"""
