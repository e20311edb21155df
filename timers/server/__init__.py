"""What every new connection to the database goes through, whoever opens it.

prepare        called for each new connection: sets, checks and watches it in one round trip
settings       the session settings that the code relies on, and the guards of a thread's sessions
identity       which PostgreSQL server answered, and whether it is the one that the service worked on before
memory         the servers that this process and this machine remember
bounded        a second connection, whose statements are answered in time or fail
commits        a commit whose outcome is unknown raises, instead of counting as done
commit_waits   commits that wait for a synchronous standby
"""
