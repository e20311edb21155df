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
place to the next.

Order of locks, which these functions and those of timers/control obey, so that no deadlock occurs:

1. one row that a request names: an Idempotency-Key, an exclusion calendar, a pause of the cluster, the last clock step,
   a leadership
2. groups: with the strongest lock that the transaction needs, because a stronger one later may wait in a ring. What
   locks several at once uses control/hold_groups.py or group_lock.py.
3. timers: advance.lock_timers
4. the root of an order's tree, which is the lock of the whole tree: orders/rows.py
5. claims: fence.lock_claims
6. waiting executions, and the columns of orders
7. the places of a limited step or lock (advisory): orders/holds.py
8. nodes, secrets (by name), and rows that no other lock is taken after. A chain with its steps is one of these: whoever
   changes it continues after the commit (control/chains/steps.py), so orders may share its lock at any time.

Several rows of one table are locked by rising id, in one statement with ORDER BY, or with SKIP LOCKED. A transaction
that changes several orders takes all timers first, then all roots (orders/cancelling.py: lock_before_end). What must
lock out of this order waits for no lock (SKIP LOCKED). A claim of a group with limits takes the limit lock
(limit_lock.py) before all of these, and does not wait for a group while holding it.

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
