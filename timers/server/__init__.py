"""Preparation and checks of every new database connection.

prepare        called for each new connection: set, check and watch it in one round trip
settings       the session settings that the code relies on, and the guards of a thread's sessions
identity       which PostgreSQL server responded, and whether it is the one that the service worked on before
memory         the servers that this process and this machine remember
bounded        a second connection, whose statements complete in time or fail
commits        a commit whose outcome is unknown raises, instead of counting as done
commit_waits   commits that wait for a synchronous standby
"""
