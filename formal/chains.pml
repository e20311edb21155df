/* Fork and join of an order: its branches end, and it goes on behind the join once. docs/model.md maps each step.
 *
 * The branches of one fork are run by workers of two nodes. A step is one statement, or what a process does between two of
 * them. What a transaction writes is seen by others from its commit on. A node can crash at every point: its transaction
 * is rolled back, and its branches are given to others; the same can happen to a node that is only slow and goes on.
 */
#ifndef BRANCHES
#define BRANCHES 3                /* 1 to 3 */
#endif
#ifndef NEEDED
#define NEEDED BRANCHES           /* how many must succeed: all, or a number; 1 is any */
#endif
#ifndef FAULTS
#define FAULTS 2                  /* crashes of a node, or claims that are taken over from one that is slow */
#endif
#define NODES 2
#define NOBODY NODES
#define DEAD (NODES + 1)          /* a node that has crashed */
#define EVERY (BRANCHES - 1)

mtype = { none, ready, claimed, succeeded, failed, cancelled };  /* a branch; none: there is no row */
mtype = { forking, joining, behind, parked };                    /* the order */
mtype = { wait, won, lost };                                     /* what the tallies say */

/* The database, as it is committed; and the locks of rows. */
mtype order = forking;
mtype branch[BRANCHES] = none;
byte owner[BRANCHES] = NOBODY;    /* the node whose claim has the branch */
byte order_locked = NOBODY;
byte locked[BRANCHES] = NOBODY;

/* The nodes. */
bool alive[NODES] = true;
byte faults = FAULTS;

/* The properties. */
bool joins_once = true, join_has_what_it_needs = true, a_branch_ends_once = true, no_branch_is_left_behind = true;
bool order_is_never_stuck = true;
byte joins, ends[BRANCHES];

hidden byte i, good, bad;         /* used within one step */

#ifdef ON_BRANCH_FAILURE_WAIT
#define IS_LOST (good + bad == BRANCHES && good < NEEDED)
#else
#define IS_LOST (bad)
#endif
#define IS_LIVE(b) (branch[b] == ready || branch[b] == claimed)

inline must(property, condition) { property = ((condition) -> true : false); assert(property) }

inline lock_order(n) { order_locked == NOBODY -> order_locked = n }
inline lock_branch(n, b) { locked[b] == NOBODY || locked[b] == n -> locked[b] = n }

inline unlock(n) {                /* COMMIT or ROLLBACK */
    if :: order_locked == n -> order_locked = NOBODY :: else fi;
    for (i : 0 .. EVERY) { if :: locked[i] == n -> locked[i] = NOBODY :: else fi }
}

inline count(b, outcome) {        /* the tallies: the rows, with what this transaction wrote itself */
    good = 0; bad = 0;
    for (i : 0 .. EVERY) {
        if
        :: i == b -> if :: outcome == succeeded -> good++ :: else -> bad++ fi
        :: i != b && branch[i] == succeeded -> good++
        :: i != b && (branch[i] == failed || branch[i] == cancelled) -> bad++
        :: else
        fi }
}

inline decide(verdict) {
    if
    :: IS_LOST -> verdict = lost
    :: !IS_LOST && good >= NEEDED -> verdict = won
    :: else -> verdict = wait
    fi;
}

inline go_on(verdict) {           /* the moves of the join: the order goes on, branches that live are cancelled */
    if
    :: verdict == wait
    :: verdict == won -> order = behind; joins++; must(joins_once, joins == 1)
    :: verdict == lost -> order = parked
    fi;
    if
    :: verdict == wait
    :: else ->
        good = 0;
        for (i : 0 .. EVERY) {
            if :: branch[i] == succeeded -> good++ :: else fi;
#ifndef CANCEL_LATER
            if :: IS_LIVE(i) -> branch[i] = cancelled; owner[i] = NOBODY; ends[i]++ :: else fi
#endif
            };
        must(join_has_what_it_needs, verdict == lost || good >= NEEDED)
    fi
}

inline check_end() {              /* at each commit */
    for (i : 0 .. EVERY) {
        must(a_branch_ends_once, ends[i] <= 1);
        must(no_branch_is_left_behind, order == joining || order == forking || !IS_LIVE(i)) }
}

proctype Worker(byte n) {
    byte b;                       /* the branch in hand */
    mtype outcome, verdict = wait;
again:
    {
    do
    :: atomic { order == forking && order_locked == NOBODY -> order_locked = n };  /* the step before the fork ends */
#ifdef SPAWN_LATER
        atomic { order = joining; order_locked = NOBODY };
#endif
        atomic {                  /* the order waits, all rows of branches are there, COMMIT */
            order = joining;
            for (i : 0 .. EVERY) { branch[i] = ready };
            order_locked = NOBODY }
    :: atomic {                   /* claim: FOR UPDATE SKIP LOCKED, COMMIT */
            if
            :: branch[0] == ready && locked[0] == NOBODY -> b = 0
#if BRANCHES > 1
            :: branch[1] == ready && locked[1] == NOBODY -> b = 1
#endif
#if BRANCHES > 2
            :: branch[2] == ready && locked[2] == NOBODY -> b = 2
#endif
            fi;
            branch[b] = claimed; owner[b] = n };
        if :: outcome = succeeded :: outcome = failed fi;  /* the last step of the branch runs */
#ifdef COUNT_WITHOUT_LOCK
        lock_branch(n, b);
#elif defined(BRANCH_LOCKED_FIRST)
        atomic { lock_branch(n, b) };
        atomic { lock_order(n) };
#else
        atomic { lock_order(n) };
        atomic { lock_branch(n, b) };
#endif
#ifndef NO_CLAIM_CHECK
        atomic {                  /* whether its claim still has the branch */
            if
            :: branch[b] == claimed && owner[b] == n
            :: else -> unlock(n); goto done
            fi };
#endif
#ifdef END_COMMITTED_FIRST
        atomic { branch[b] = outcome; owner[b] = NOBODY; ends[b]++; check_end(); unlock(n) };
        atomic { lock_order(n) };
#endif
        atomic { count(b, outcome); decide(verdict) };  /* BranchEnded with the tallies */
        if
        :: verdict != wait ->     /* the rows of branches that are to be cancelled */
            atomic { lock_branch(n, 0) };
#if BRANCHES > 1
            atomic { lock_branch(n, 1) };
#endif
#if BRANCHES > 2
            atomic { lock_branch(n, 2) }
#endif
        :: else
        fi;
        atomic {                  /* COMMIT */
#ifndef END_COMMITTED_FIRST
            branch[b] = outcome; owner[b] = NOBODY; ends[b]++;
#endif
            go_on(verdict); check_end(); unlock(n) };
done:   atomic { b = 0; outcome = none; verdict = wait }
    od
    } unless { atomic { !alive[n] -> b = 0; outcome = none; verdict = wait; alive[n] = true } };
    goto again
}

inline crash(n) {                 /* the server ends its transaction; its claims are those of a dead node */
    alive[n] = false; unlock(n);
    for (i : 0 .. EVERY) { if :: owner[i] == n -> owner[i] = DEAD :: else fi }
}

active proctype Fault() {
    do
    :: atomic { faults && alive[0] -> faults--; crash(0) }
    :: atomic { faults && alive[1] -> faults--; crash(1) }
    :: atomic {                   /* a slow node, which goes on: one branch stands for all */
        faults && owner[0] < NODES && locked[0] == NOBODY -> faults--; branch[0] = ready; owner[0] = NOBODY }
    od
}

active proctype Rescue() {        /* FOR UPDATE SKIP LOCKED, COMMIT */
    do
    :: atomic { owner[0] == DEAD && locked[0] == NOBODY -> branch[0] = ready; owner[0] = NOBODY }
#if BRANCHES > 1
    :: atomic { owner[1] == DEAD && locked[1] == NOBODY -> branch[1] = ready; owner[1] = NOBODY }
#endif
#if BRANCHES > 2
    :: atomic { owner[2] == DEAD && locked[2] == NOBODY -> branch[2] = ready; owner[2] = NOBODY }
#endif
    od
}

active proctype Watch() {         /* nobody can take a step any more */
    timeout -> must(order_is_never_stuck, order == behind || order == parked)
}

init { atomic { for (i : 0 .. NODES - 1) { run Worker(i) } } }
