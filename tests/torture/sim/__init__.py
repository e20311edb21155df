"""The simulator: seeded interleaving of the engine's own functions over the real SQL.

Nodes, a client and a consumer run in threads of their own, each with its own database session, and exactly one thread
runs at a time: before each statement, each COMMIT and each simulated side effect it hands control back, and one seeded
random number generator says who goes on. Time is virtual for every session and moved by the scheduler alone. Faults
strike at planned points. So a seed repeats exactly, and a failing one is made smaller by leaving faults out.

faults      which fault strikes which actor at which of its points (seeded, pure)
scheduler   actors, virtual time, who runs next
threads     threads that are kept from seed to seed, with their connections
session     an actor's database session: where it yields, and how faults reach it
memory      what a simulated worker has in its memory
node        a simulated node: heartbeat, claims, effects, results, judgement of others
client      a client that creates, changes and cancels timers
consumer    a program that pulls
workload    the groups and timers of a seed
records     what happened outside the database, and what must hold for it (pure)
snapshot    what the tables hold, and what must hold for it
judgement   what must hold at the end of a seed
world       one seed, from the empty tables to the verdict
minimise    a smaller plan of faults that still fails
database    a throw-away database with the service's tables
mutants     planted bugs, which the invariants must find
command     the commands `sim` and `mutants`

Invariants, by the names that violations carry:

two places     an execution is in one place at a time: a claim, waiting, or its one final row
two ids        a scheduled occurrence has one id, computed from its timer and instant
fired again    the instants that a timer has fired lie below the one that is next
overlap        of a timer whose policy is not `allow`, one execution is claimed at a time
off schedule   a timer's next instant is one of its schedule, by a reference of its own
stale          a final row is written under the latest fence of its execution
fence order    the fences under which effects of an execution begin rise; none follows under an older one
early          no effect begins before its instant
attempts       each start of an execution has an attempt number of its own, none beyond the retries
after the end  no effect begins once the final row is written
after cancel   no effect begins that an acknowledged cancel did not name as in flight
over limit     a claim takes no more timers than its limit
lost           at the end everything that was acknowledged has its outcome
left over      at the end no claim, no waiting execution and no due timer is left
crash          an actor met an error that is no fault of the database
"""
