/* Claims: fire, claim, start, finish, heartbeat, verdict and rescue. docs/model.md maps each step to the code.
 *
 * A step is one statement or one transaction of the code, or what a process does between two of them. Every process
 * takes its steps as late as it likes while the clock goes on: a frozen node is one that takes none. Sets of occurrences
 * are masks of bits. Time is counted down: a lease is the number of ticks that are left of it.
 */
#ifndef OCCURRENCES
#define OCCURRENCES 1             /* 1 or 2 */
#endif
#ifndef FAULTS
#define FAULTS 1                  /* crashes and slow nodes */
#endif
#ifndef LOST_ANSWERS
#define LOST_ANSWERS 1            /* commits whose answer does not arrive */
#endif
#ifndef TRIES
#define TRIES 2                   /* of an execution, then it has failed */
#endif
#define ALL ((1 << OCCURRENCES) - 1)
#define CLAIMS (OCCURRENCES * (TRIES + LOST_ANSWERS))
#define LEASE 3                   /* ticks */
#define SURE 2                    /* ticks from a heartbeat on in which its node begins executions: LEASE - margin */

#ifdef CRASH_LOCK                 /* and two beats: then a node whose session has ended may be declared dead */
#define HAS_CRASHED(m) (!crash_lock[m] && lease[m] <= LEASE - 2)
#define MUST_BE_SILENT(n) false   /* a handler that runs may be overtaken while its node is cut off */
#else
#define HAS_CRASHED(m) false
#define MUST_BE_SILENT(n) (sure[n] <= 1)
#endif
#ifdef LEASE_BY_NODE_CLOCK
#define IS_OVER(m) (lease[m] <= 2)  /* the clock of the node that judges is two ticks ahead */
#else
#define IS_OVER(m) (lease[m] == 0)
#endif
#ifdef RESCUE_IGNORES_LEASE
#define MAY_RESCUE(m) true
#elif defined(RESCUE_ONCE)
#define MAY_RESCUE(m) (!live[m] && judged)  /* without dead_with_claims */
#else
#define MAY_RESCUE(m) (!live[m])
#endif

/* The database. */
byte due = ALL, waiting, final;   /* due timers, rows of waiting, final rows of the ledger */
byte tries[OCCURRENCES];
byte held[CLAIMS + 1];            /* claim.executions, by claim.id, which is the fence; 0: there is no such row */
byte owner[CLAIMS + 1];           /* claim.node_id: 1 + node */
byte locked_by[CLAIMS + 1];       /* the session that has the claim's row FOR UPDATE; 0: none */
byte last_fence;                  /* the sequence of claim.id */
bool live[2];                     /* node.state is neither dead nor stopped */
byte lease[2];                    /* node.lease_expires_at, by the database clock */
bool crash_lock[2];               /* the session of its heartbeat holds the advisory lock */

/* The nodes. */
bool alive[2] = true;             /* its processes run */
bool slow[2];                     /* frozen, cut off or starved: its beats need not come in time */
byte sure[2];                     /* ticks of its boot clock for which nobody else can have taken over */
byte sent[2];                     /* the same, once the beat that is under way is answered */
byte running[2];                  /* executions whose handler runs */
bool looked_at[2];                /* its verdict on the other has a heartbeat_at that has not changed since */
byte lost_answers = LOST_ANSWERS;

/* The properties. */
bool each_occurrence_is_in_one_place = true, at_most_one_final_outcome = true, stale_finish_has_no_effect = true;
bool fences_rise = true, what_begins_is_still_held = true, node_is_silent_before_rescue = true;

hidden byte i, j, sum, all;       /* used within one step */

#define BIT(o) (1 << (o))
#define OTHER (1 - n)
#define WORKER(n) (1 + n)         /* sessions */
#define RESCUER(n) (3 + n)
#define IS_BEATING(n) (alive[n] && live[n] && !slow[n])

inline must(property, condition) { property = ((condition) -> true : false); assert(property) }

inline check_places() {           /* at each commit */
    sum = due + waiting + final; all = due | waiting | final;
    for (i : 1 .. CLAIMS) { sum = sum + held[i]; all = all | held[i] }
    must(each_occurrence_is_in_one_place, sum == ALL && all == ALL)
}

inline end(o) {                   /* a final row; the model does not rely on the primary key */
    must(at_most_one_final_outcome, !(final & BIT(o)));
    final = final | BIT(o)
}

inline try_again_or_end(o) {
    if :: tries[o] < TRIES -> waiting = waiting | BIT(o) :: else -> end(o) fi
}

inline let_go(f, gone) {
    held[f] = held[f] & ~(gone);
    if :: !held[f] -> owner[f] = 0 :: else fi
}

inline find_claim_of(m) {         /* f: one of the node's claims, or 0 */
    f = 0;
    for (i : 1 .. CLAIMS) { if :: owner[i] == 1 + m -> f = i :: else fi }
}

inline roll_back(n) {             /* the server ends the node's sessions */
    for (i : 1 .. CLAIMS) { if :: locked_by[i] == WORKER(n) || locked_by[i] == RESCUER(n) -> locked_by[i] = 0 :: else fi }
}

inline end_node(n) {
    crash_lock[n] = false; running[n] = 0; sure[n] = 0; sent[n] = 0; looked_at[n] = false; slow[n] = false;
    roll_back(n);
    alive[n] = false
}

proctype Worker(byte n) {
    byte fence, mine, o, f;       /* the claim, what is left of it, the execution in hand, the claim that is locked */
    {
    live[n];                      /* the supervisor starts it after the registration */
claim:
    sure[n] && (due | waiting);
    atomic {                      /* fire_due, claim_ready: what is locked or finds no room is left to others */
        if
        :: mine = due | waiting
        :: (due | waiting) == 3 -> mine = 1
        :: (due | waiting) == 3 -> mine = 2
        fi;
        if
        :: mine -> due = due & ~mine; waiting = waiting & ~mine;
            last_fence++; fence = last_fence;
            for (j : 0 .. OCCURRENCES - 1) { if :: mine & BIT(j) -> tries[j]++ :: else fi };
            must(fences_rise, !held[fence]);
            held[fence] = mine; owner[fence] = 1 + n; check_places()
        :: else -> goto claim
        fi;
        if :: lost_answers -> lost_answers--; fence = 0; mine = 0; goto orphans :: true fi
    }
begin:
    atomic { sure[n];             /* lease_is_sure */
        if :: mine & BIT(0) -> o = 0 :: mine & BIT(1) -> o = 1 fi;
        must(what_begins_is_still_held, held[fence] & BIT(o));
        running[n] = BIT(o) }
    running[n] = 0;               /* the handler returned, or was killed */
finish:
    atomic {                      /* lock_claims */
        f = fence;
#ifdef NO_FENCE
        for (i : 1 .. CLAIMS) { if :: held[i] & BIT(o) -> f = i :: else fi }
#endif
        !locked_by[f];
        if
        :: held[f] & BIT(o) ->
#ifndef FINISH_WITHOUT_LOCK
            locked_by[f] = WORKER(n)
#endif
        :: else -> goto done      /* refused */
        fi }
    atomic {                      /* settle, let_go, COMMIT */
#ifndef FINISH_WITHOUT_LOCK
        if :: locked_by[f] != WORKER(n) -> goto finish :: else -> locked_by[f] = 0 fi;
#endif
        j = held[fence] & BIT(o);
        if :: true -> end(o) :: true -> try_again_or_end(o) fi;
        let_go(f, BIT(o));
        check_places();
        must(stale_finish_has_no_effect, j);
        if :: lost_answers -> lost_answers--; goto finish :: true fi }
done:
    atomic { mine = mine & ~BIT(o); o = 0; f = 0;
        if :: mine -> goto begin :: else -> fence = 0; goto claim fi }
orphans:
    atomic {                      /* rescue_orphans: what it holds and does not know of, given back with its try */
        find_claim_of(n);
        !locked_by[f];
        if
        :: f && held[f] -> for (j : 0 .. OCCURRENCES - 1) { if :: held[f] & BIT(j) -> tries[j]-- :: else fi };
            waiting = waiting | held[f]; let_go(f, held[f]); check_places()
        :: else
        fi;
        f = 0; goto claim }
    } unless { atomic { !alive[n] -> fence = 0; mine = 0; o = 0; f = 0 } }
}

proctype Heart(byte n) {
    {
    atomic { live[n] = true; lease[n] = LEASE };  /* register */
#ifdef SURE_FROM_REGISTRATION
    sure[n] = SURE;
#endif
    do
    :: atomic { !IS_BEATING(n) || sure[n] < SURE -> sent[n] = SURE;
#ifdef CRASH_LOCK
            crash_lock[n] = true  /* take_crash_lock */
#endif
            };
        atomic {                  /* beat */
            if
            :: live[n] -> lease[n] = LEASE;
#ifndef VERDICT_IGNORES_BEATS
                looked_at[OTHER] = false  /* heartbeat_at has changed */
#endif
            :: else -> end_node(n)  /* declared dead: the supervisor starts over, as another row */
            fi };
        atomic { if :: sent[n] > sure[n] -> sure[n] = sent[n] :: else fi; sent[n] = 0 }
    od
    } unless { !alive[n] }
}

proctype Housekeeping(byte n) {
    byte f;
    bool judged;
    {
    live[n];
watch:
    if
    :: atomic { live[OTHER] && (IS_OVER(OTHER) || HAS_CRASHED(OTHER)) -> looked_at[n] = true };  /* watch_others */
        atomic {                  /* declare_dead: not when a beat has come since */
            if :: looked_at[n] -> looked_at[n] = false; live[OTHER] = false; judged = true :: else fi;
            goto watch }
    :: atomic { MAY_RESCUE(OTHER) -> find_claim_of(OTHER);  /* rescue_node, dead_with_claims */
            if :: f :: else -> judged = false; goto watch fi }
    fi;
    atomic { !locked_by[f]; if :: held[f] -> locked_by[f] = RESCUER(n) :: else fi };  /* lock_claims */
    atomic {                      /* settle, let_go, COMMIT */
        if
        :: locked_by[f] == RESCUER(n) -> locked_by[f] = 0;
#if !defined(CRASH_LOCK) || defined(SILENT_WITH_CRASH_LOCK)
            must(node_is_silent_before_rescue, !(running[OTHER] & held[f]));
#endif
            for (j : 0 .. OCCURRENCES - 1) { if :: held[f] & BIT(j) -> try_again_or_end(j) :: else fi };
            let_go(f, held[f]); check_places()
        :: else                   /* nothing is left of it, or the server has ended the transaction */
        fi;
        f = 0; goto watch }
    } unless { atomic { !alive[n] -> f = 0; judged = false } }
}

/* A node that is not slow beats in time: its lease is always full and is not counted down. No handler runs on when its
   node must be silent: it returns, or the supervisor kills it. */
#define MAY_TICK(n) ((!IS_BEATING(n) || sure[n] == SURE) && !(running[n] && MUST_BE_SILENT(n)))
inline count_down(n) {
    if
    :: IS_BEATING(n)
    :: else ->
        if :: lease[n] -> lease[n]-- :: else fi;
        if :: sure[n] -> sure[n]-- :: else fi;
        if :: sent[n] -> sent[n]-- :: else fi
    fi
}

active proctype Clock() {
    do
    :: atomic { final != ALL && MAY_TICK(0) && MAY_TICK(1) -> count_down(0); count_down(1) }
    od
}

#define MAY_FAIL(n) (alive[n] && final != ALL && IS_BEATING(1 - n) && sure[1 - n] == SURE)
active [FAULTS] proctype Fault() {  /* one fault at most, while the other node has none */
    if
    :: atomic { MAY_FAIL(0) -> end_node(0) }
    :: atomic { MAY_FAIL(1) -> end_node(1) }
    :: atomic { MAY_FAIL(0) -> slow[0] = true }; slow[0] = false
    :: atomic { MAY_FAIL(1) -> slow[1] = true }; slow[1] = false
    :: true
    fi
}

active proctype Server() {        /* sessions of slow nodes end, and their transactions */
    do
    :: atomic { slow[0] && crash_lock[0] -> crash_lock[0] = false }
    :: atomic { slow[1] && crash_lock[1] -> crash_lock[1] = false }
    :: atomic { slow[0] -> roll_back(0) }
    :: atomic { slow[1] -> roll_back(1) }
    od
}

init { atomic { for (i : 0 .. 1) { run Heart(i); run Worker(i); run Housekeeping(i) } } }

#ifdef LIVENESS
ltl every_occurrence_ends { <> (final == ALL) }
#endif
