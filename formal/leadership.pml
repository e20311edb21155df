/* Leadership of a partition: appoint, leave, and the fire that checks its epoch. docs/model.md maps each step to the code.
 *
 * A step is one statement, or what a process does between two of them. Every process takes its steps as late as it likes:
 * a frozen node is one that takes none, and others may declare it dead (claims.pml says when). Sets of occurrences and of
 * nodes are masks of bits.
 */
#define NODES 3
#define OCCURRENCES 2
#define EPOCHS 3                  /* changes of the leader that are looked at */
#define NOBODY NODES
#define ALL ((1 << OCCURRENCES) - 1)
#define BIT(o) (1 << (o))

/* The database. */
bool live[NODES] = true;          /* node.state is neither dead nor stopped */
byte leader = NOBODY, epoch;      /* leadership.node_id and epoch of the partition */
byte updating = NOBODY;           /* the node that has this row FOR UPDATE */
byte sharing;                     /* the nodes that have it FOR KEY SHARE */
byte due = ALL, claimed;          /* timers that are due, and that have been fired */
byte locks[NODES];                /* due timers that a node's fire transaction has locked */

/* The properties. */
bool epochs_rise = true, one_leader_fires_in_an_epoch = true, old_epoch_fires_nothing = true;
bool each_occurrence_is_fired_once = true;
byte fired_by[EPOCHS + 1] = NOBODY;

hidden byte i, locked;            /* used within one step */

#define NEEDS_LEADER (leader == NOBODY || !live[leader])

inline must(property, condition) { property = ((condition) -> true : false); assert(property) }
inline end_fire(n) { locks[n] = 0; sharing = sharing & ~BIT(n) }

proctype Housekeeping(byte n) {
    byte last;
    do
    :: atomic { NEEDS_LEADER && live[n] && epoch < EPOCHS -> last = epoch };  /* settle reads */
#ifdef APPOINT_WITHOUT_LOCK
        atomic { !sharing -> leader = n; epoch = last + 1; last = 0 }
#else
        atomic { !sharing && updating == NOBODY -> updating = n };  /* lock */
        atomic {                  /* read again, appoint, COMMIT */
            if
            :: updating == n && NEEDS_LEADER && epoch < EPOCHS -> must(epochs_rise, epoch + 1 > last);
                leader = n; epoch++
            :: else               /* another was faster, or the server has ended the transaction */
            fi;
            if :: updating == n -> updating = NOBODY :: else fi;
            last = 0 }
#endif
    :: atomic { leader == n && epoch < EPOCHS && !sharing && updating == NOBODY ->  /* leave, with the stop of the node */
            leader = NOBODY; epoch++ }
    od
}

proctype Claimer(byte n) {        /* a worker */
    byte under;                   /* the epoch that it fires under */
    do
    :: atomic { leader == n && due -> under = epoch };  /* with_due_work */
        atomic {                  /* lock_due: the epoch's row and the timers, both SKIP LOCKED */
#ifndef NO_EPOCH_CHECK
            if :: leader == n && epoch == under && updating == NOBODY :: else -> goto none fi;
#ifndef CHECK_WITHOUT_LOCK
            sharing = sharing | BIT(n);
#endif
#endif
            locked = locks[0] | locks[1] | locks[2];
            locks[n] = due & ~locked;
            if :: locks[n] == ALL -> locks[n] = 1 :: locks[n] == ALL -> locks[n] = 2 :: true fi };
        atomic {                  /* timers moved on, the claim inserted, COMMIT */
            if
            :: locks[n] ->
                must(old_epoch_fires_nothing, under == epoch);
                must(one_leader_fires_in_an_epoch, fired_by[under] == NOBODY || fired_by[under] == n);
                must(each_occurrence_is_fired_once, !(claimed & locks[n]));
                fired_by[under] = n; due = due & ~locks[n]; claimed = claimed | locks[n]
            :: else               /* nothing was due, or the server has ended the transaction */
            fi;
            end_fire(n) };
none:   under = 0
    od
}

active proctype Others() {        /* nodes are declared dead, all but one; sessions end, and with them transactions */
    byte n;
    do
    :: atomic { live[0] + live[1] + live[2] > 1 -> select (n : 0 .. NODES - 1); live[n] = false; n = 0 }
    :: atomic { sharing || locks[0] || locks[1] || locks[2] -> select (n : 0 .. NODES - 1); end_fire(n); n = 0 }
    :: atomic { updating != NOBODY -> updating = NOBODY }
    od
}

init { atomic { for (i : 0 .. NODES - 1) { run Housekeeping(i); run Claimer(i) } } }
