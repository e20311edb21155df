"""The state machine, and the only writer of state.

    TIMER      active <-> paused ; active -> finished (no further fire) ; active|paused -> cancelled
    EXECUTION
      due timer ---------fire----------> claimed --ok / commit-----------> succeeded   final row, claim shrinks or goes
      due timer --misfire, overlap, calendar-----------------------------> skipped     final row (reason, missed_count)
      due timer --for a subscription that others serve-----------------> ready
      due timer --overlap policy queue, replace; fire_all--------------> queued ; queued --the one before ended--> ready
      run now, backfill, replay -------> ready
      ready -----------claim----------> claimed | queued   (queued: another execution of its timer is open)
      claimed --error, discard, timeout, tries left--> ready   (available_at by policy; a row for the try)
      claimed --no tries left, permanent error-------> failed  (parked with payload; on_failed = drop: final at once)
      claimed --node or worker dead: rescue----------> ready | failed   (the try is counted and recorded as lost)
      claimed --drain, not started-------------------> ready   (the try is given back)
      failed  --a person: retry----------------------> ready ;  --dismiss--> failed (final)
      ready|queued|failed --cancel-------------------> cancelled (final)
      claimed --revoked, and not succeeded-----------> cancelled (final)
    ORDER (the execution of a chain; a branch is one of its own)
      claimed --a step ended, the order goes on------> ready at the next step, resting, or ended (final)
      ready -----------claim, no place at a limit----> blocked ; blocked --a place is given back--> ready
      resting (stopped, suspended, joining, awaiting) --what it waits for, or a person--> ready

An execution's state is the place it is in: a due timer, a claim, waiting, or the ledger; an order that rests is in its
row alone. Each function here is one transaction (or joins the caller's) that moves executions from one place to the
next. Locks are taken in the order group, timer, root of an order's tree, claim, waiting, so no two of them can wait for
each other in a ring; a claim of a group with limits takes the limit lock (limit_lock.py) before all of these, and waits
for no group while it has it.

    fire     due timer  -> claimed or skipped          release  claimed -> ready, the try given back
    claim    ready      -> claimed                     rescue   claimed by the dead -> ready or failed
    finish   claimed    -> succeeded, ready, failed    control  what people and programs ask for
    prune    old history dropped                       nodes    registration, heartbeat, lease, death
    leadership                 who leads a partition: only the leader fires what only one node may
    operations                 retry and dismiss by filter, carried out in the background
    orders                     executions that walk through the steps of chains
    recompute, zone_rules      next instants computed anew when what they follow from has changed
"""
