"""The state machine, and the only writer of state.

    TIMER      active <-> paused ; active -> finished (no further fire) ; active|paused -> cancelled
    EXECUTION
      due timer ---------fire----------> claimed --ok / commit-----------> succeeded   final row, claim shrinks or goes
      due timer --misfire, overlap, calendar-----------------------------> skipped     final row (reason, missed_count)
      due timer --for a subscription served by others--------------------> ready
      due timer --overlap policy queue, replace; fire_all----------------> queued ; queued --previous one ended--> ready
      run now, backfill, replay -------> ready
      ready -----------claim----------> claimed | queued   (queued: another execution of its timer is open)
      claimed --error, discard, timeout, attempts left--> ready   (available_at by policy; a row for the attempt)
      claimed --no attempts left, permanent error-------> failed  (parked with payload; on_failed = drop: final at once)
      claimed --node or worker dead: rescue----------> ready | failed   (the attempt is counted and recorded as lost)
      claimed --drain, not started-------------------> ready   (the attempt is not counted)
      failed  --a person: retry----------------------> ready ;  --dismiss--> failed (final)
      ready|queued|failed --cancel-------------------> cancelled (final)
      claimed --revoked, and not succeeded-----------> cancelled (final)
    ORDER (the execution of a chain; a branch is a separate order)
      claimed --a step ended, the order continues----> ready at the next step, resting, or ended (final)
      ready -----------claim, no place at a limit----> blocked ; blocked --a place is released--> ready
      resting (stopped, suspended, joining, awaiting) --what it waits for, or a person--> ready

The state of an execution is the place that stores it: a due timer, a claim, waiting, or the ledger; a resting order is
stored only in its own row. Each function here is one transaction (or joins the caller's) that moves executions from one
place to the next. So that no deadlock occurs, all transactions take their locks in one order, and rows of one table by
rising id (groups by name):

    1. group                      its row
    2. timer                      advance.lock_timers
    3. root of an order's tree    orders/rows.py: lock_roots, lock_trees_of; the lock of the whole tree, branches too
    4. claim                      fence.lock_claims
    5. waiting                    the places of executions and orders, and then the columns of orders themselves
    6. place of a limited step or lock (advisory), orders/holds.py; waiting rows behind it are taken with SKIP LOCKED
    7. chain, with its steps      whoever changes it takes none of 1 to 6 afterwards, but continues after the commit
                                  (control/chains/steps.py); so orders may share its lock at any time

A transaction that changes several orders takes all timers first, then all roots (cancelling.lock_before_end). What
comes out of order is taken with SKIP LOCKED and left to the other transaction: it never waits. A claim of a group with
limits takes the limit lock (limit_lock.py) before all of these, and does not wait for a group while holding it. The row
of an Idempotency-Key comes before all of them.

    fire     due timer  -> claimed or skipped          release  claimed -> ready, the attempt not counted
    claim    ready      -> claimed                     rescue   claimed by the dead -> ready or failed
    finish   claimed    -> succeeded, ready, failed    nodes    registration, heartbeat, lease, death
    prune    drop old history
    acknowledge                commit, discard and extend of consumers
    leadership                 who leads a partition: only the leader fires what only one node may fire
    operations                 retry and dismiss by filter, run in the background
    orders                     executions that walk through the steps of chains
    recompute, zone_rules      recompute next instants after a change of what they depend on

Requests of people and programs are in timers/control, which calls this package.
"""
