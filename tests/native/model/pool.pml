/* Loops push ops; the threads of a pool take turns at the queue and sleep on one doorbell (pool.c).
 * With WORKERS 1 this is a side thread (side.c), too, which has the queue for itself.
 *
 * Checked: each op is carried out once, those of one producer are taken in order; nobody sleeps
 * while an op waits to be carried out, be it in the queue or in somebody's hand (an invalid end
 * state); stopping ends everybody and leaves no ring and no arming.
 *
 * Mutations, each of which must fail:
 *   NO_SECOND_LOOK    nobody looks at the queue between arming and sleeping
 *   LOOK_BEFORE_ARMING the second look is taken before the arming
 *   EARLY_LOOK        the ring is no read-modify-write: its look at the sleepers comes before the
 *                     publication
 *   RING_FIRST        the ring as a whole comes before the publication
 *   ARM_IN_TWO_STEPS  the arming is no read-modify-write: one of two that arm at once gets lost
 *   TAKE_WHILE_ARMED  a worker takes between arming and leaving
 *   FORGET_DISARM     who finds something at the second look stays armed
 *   ONE_RING_AT_STOP  stopping rings for one worker alone
 *   NO_RING_FOR_MORE  who finds more behind its op wakes nobody (with FIRST_WAITS: the first op of
 *                     all takes until the second is done, so that needs a worker of its own)
 */
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef SHARE
#define SHARE 1    /* how many ops of one producer may be outstanding */
#endif
#ifndef OPS
#define OPS 2      /* of each producer */
#endif
#ifndef CAPACITY
#define CAPACITY 2 /* a power of two, at least PRODUCERS * SHARE */
#endif

#include "queue.pml"
#include "doorbell.pml"

#define OP(producer, sequence) ((producer) * OPS + (sequence))

bit taking;                   /* pool.taking, a mutex */
bit stopping;                 /* pool.stopping */
byte expected[PRODUCERS];     /* the sequence that comes next out of the queue */
bit done[PRODUCERS * OPS];    /* carried out and delivered */
byte outstanding[PRODUCERS];  /* pushed and not yet delivered; port.c keeps it within the share */
byte finished;                /* producers that have all their ops back */
byte ended;                   /* workers */

/* ---- the loops ---- */

proctype producer(byte number)
{
    byte sequence, position, count, seen, i;
    bool goto_again;
    do
    :: sequence == OPS -> break
    :: else ->
        outstanding[number] < SHARE; /* the loop sleeps on its own doorbell until then: port.pml */
        if                           /* a batch of any size that the share allows */
        :: count = 1
        :: SHARE - outstanding[number] > 1 && OPS - sequence > 1 -> count = 2
        fi;
        outstanding[number] = outstanding[number] + count;
        queue_claim(position, count);                         /* queue_push(… */
#ifdef RING_FIRST
        doorbell_ring(seen);
#endif
        i = 0;
        do
        :: i == count -> break
        :: else ->
#ifdef EARLY_LOOK
            if :: i == count - 1 -> doorbell_ring_look(seen) :: else fi;
#endif
            queue_publish(position + i, OP(number, sequence + i));
            i++
        od;
#ifdef EARLY_LOOK
        doorbell_ring_after_look(seen);
#else
#ifndef RING_FIRST
        doorbell_ring(seen);                                  /* doorbell_ring(&driver->doorbell); */
#endif
#endif
        atomic { sequence = sequence + count; position = 0; count = 0; i = 0 }
    od;
    outstanding[number] == 0; /* all its awaits have returned */
    finished++
}

/* ---- the threads ---- */

inline lock() { atomic { taking == 0 -> taking = 1 } }        /* pthread_mutex_lock(&pool->taking); */
inline unlock() { taking = 0 }

inline take_now()
{
    lock();
    more = false;
    took = QUEUE_HAS_FRONT;                                   /* op = queue_front(pool->ops); */
    if
    :: took ->
        taken = QUEUE_FRONT;                                  /* *taken = *op; */
        queue_pop();                                          /* queue_pop(pool->ops); */
        atomic {
            assert(taken % OPS == expected[taken / OPS]);
            expected[taken / OPS]++
        }
        more = QUEUE_HAS_FRONT                                /* more = queue_front(… */
    :: else
    fi;
    unlock();
#ifndef NO_RING_FOR_MORE
    if
    :: more -> doorbell_ring(seen)                            /* if (more) doorbell_ring(… */
    :: else
    fi
#endif
}

inline carry_out()
{
#ifdef FIRST_WAITS
    if
    :: taken == 0 -> done[1]
    :: else
    fi;
#endif
    atomic {                                                  /* port_deliver, port_ring */
        assert(!done[taken]);
        done[taken] = 1;
        outstanding[taken / OPS] = outstanding[taken / OPS] - 1;
        taken = 0
    }
}

inline has_more()
{
    lock();
    more = QUEUE_HAS_FRONT;
    unlock()
}

proctype worker()
{
    byte taken, seen;
    bool took, more, disarmed, goto_again;
    do
    ::  take_now();                                           /* while (!take_now(worker, taken)) { */
        if
        :: took -> carry_out()
        :: else ->
            if
            :: stopping -> break                              /* if (is_stopping(pool)) return false; */
            :: else
            fi;
#ifdef LOOK_BEFORE_ARMING
            has_more();
            doorbell_arm(seen);
#else
            doorbell_arm(seen);                                   /* doorbell_arm(pool->doorbell); */
#ifdef TAKE_WHILE_ARMED
            take_now();
            more = took;
#else
            has_more();                                       /* if (has_more(pool) || … */
#endif
#endif
#ifdef NO_SECOND_LOOK
            more = false;
#endif
            if
            :: more || stopping ->                            /* … is_stopping(pool)) */
#ifndef FORGET_DISARM
                doorbell_leave(seen, disarmed)                /* doorbell_leave(pool->doorbell); */
#endif
            :: else -> doorbell_wait()                        /* doorbell_wait(pool->doorbell); */
            fi;
#ifdef TAKE_WHILE_ARMED
            if
            :: took -> carry_out()
            :: else
            fi
#endif
        fi
    od;
    ended++
}

/* ---- its life ---- */

init {
    byte i, seen;
    bool goto_again;
    atomic {
        for (i : 0 .. WORKERS - 1) { run worker() }
        for (i : 0 .. PRODUCERS - 1) { run producer(i) }
    }
    finished == PRODUCERS; /* a driver is stopped when no port is attached any more */
    stopping = 1;                                             /* atomic_store_explicit(&pool->stopping */
    i = 0;
    do
#ifdef ONE_RING_AT_STOP
    :: i == 1 -> break
#else
    :: i == WORKERS -> break
#endif
    :: else -> doorbell_ring(seen); i++                       /* doorbell_ring(pool->doorbell); */
    od;
    ended == WORKERS;                                         /* pthread_join(… */
    assert(!QUEUE_HAS_FRONT && head == tail);
    assert(sleepers == 0 && rings == 0);
    for (i : 0 .. PRODUCERS * OPS - 1) { assert(done[i]) }
}
