"""The live torture run: real nodes, an independent client, seeded faults, and a checker over what was recorded.

plan       profiles, and which fault strikes when (seeded, pure)
records    the files of a run: what clients asked for, what happened, what the ledger says
proxy      the connection between one node and the database, which can be cut, slowed, or lose a reply
system     database, web server, nodes, webhook target
load       the client: creates, cancels, pulls
nemeses    the faults
checker    judges the records (pure)
report     prints the verdict
run        the phases, in order
"""
