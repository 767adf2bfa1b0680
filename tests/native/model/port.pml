/* An event loop sends ops through its port and sleeps on the port's fd; threads carry them out and
 * deliver their completions (port.c). Here the threads are the producers, the loop is the consumer:
 * it looks at the queue at each exchange, and is armed when it leaves one. The eventfd is not
 * blocking, and one reading takes all rings.
 *
 * Checked: each completion is taken once, in its thread's order; the loop never sleeps while one
 * waits (an invalid end state); the loop is armed at most once, and says so when it detaches.
 *
 * Mutations, each of which must fail:
 *   NO_SECOND_LOOK  the queue is not looked at any more, once armed
 *   EARLY_LOOK      the ring is no read-modify-write: its look at the sleepers comes before the
 *                   publication
 *   FORGET_DISARM   the next exchange arms without having taken the first arming back
 *   SLEEP_WHEN_FULL the loop sleeps though the exchange took as many as it may
 */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef OPS
#define OPS 3      /* of each thread */
#endif
#ifndef DEPTH
#define DEPTH 2    /* ops that may be outstanding */
#endif
#ifndef LIMIT
#define LIMIT 1    /* completions per exchange */
#endif
#ifndef CAPACITY
#define CAPACITY 2 /* a power of two, at least DEPTH */
#endif

#include "queue.pml"
#include "doorbell.pml"

#define OP(thread, sequence) ((thread) * OPS + (sequence))

byte asked[THREADS];      /* ops that a thread is to carry out: their queue is that of pool.pml */
byte expected[THREADS];
byte ended;

proctype carrying(byte number)
{
    byte sequence, position, seen;
    bool goto_again;
    do
    :: sequence == OPS -> break
    :: else ->
        asked[number] > 0;
        asked[number]--;
        queue_claim(position, 1);
#ifdef EARLY_LOOK
        doorbell_ring_look(seen);
#endif
        queue_publish(position, OP(number, sequence));        /* port_deliver(… */
#ifdef EARLY_LOOK
        doorbell_ring_after_look(seen);
#else
        doorbell_ring(seen);                                  /* port_ring(port); */
#endif
        atomic { sequence++; position = 0 }
    od;
    ended++
}

inline stage()                                                /* push(port, staged); */
{
    do
    :: out < DEPTH && left[0] > 0 -> atomic { asked[0]++; left[0]--; out++ }
#if THREADS > 1
    :: out < DEPTH && left[1] > 0 -> atomic { asked[1]++; left[1]--; out++ }
#endif
    :: break
    od
}

inline take()                                                 /* port_take(port, … */
{
    do
    :: count < LIMIT && QUEUE_HAS_FRONT ->
        atomic {
            assert(QUEUE_FRONT % OPS == expected[QUEUE_FRONT / OPS]);
            expected[QUEUE_FRONT / OPS]++;
            out--;
            taken++;
            count++
        }
        queue_pop()
    :: else -> break
    od
}

inline exchange()                                             /* asyncuring_port_exchange */
{
    stage();
#ifdef FORGET_DISARM
    armed = false;
#else
    if                                                        /* if (port->armed && !doorbell_disarm… */
    :: armed ->
        doorbell_disarm(seen, disarmed);
        atomic { rung = rung || !disarmed; disarmed = false } /*     rung = 1; */
    :: else
    fi;
    armed = false;                                            /* port->armed = false; */
#endif
    if
    :: rung -> doorbell_take_rings()                          /* if (rung) doorbell_wait(… */
    :: else
    fi;
    count = 0;
    do                                                        /* for (;;) { */
    ::
#ifdef NO_SECOND_LOOK
        if :: !armed -> take() :: else fi;
#else
        take();                                               /*     count += port_take(… */
#endif
        if
        :: count == LIMIT || armed -> break                   /*     return port_reaped(port, count); */
        :: else
        fi;
        doorbell_arm(seen);                                       /*     doorbell_arm(&port->doorbell); */
        armed = true                                          /*     port->armed = true; */
    od
}

proctype loop()
{
    byte out, taken, count, seen;
    byte left[THREADS] = OPS;
    bool armed, rung, disarmed, goto_again;
    do
    :: taken == THREADS * OPS -> break                        /* asyncuring_port_detach(port); */
    :: else ->
        exchange();
        assert(sleepers <= 1);
#ifdef SLEEP_WHEN_FULL
        rung = true;
        if
        :: rings > 0 || taken == THREADS * OPS
        fi
#else
        if
        :: count == LIMIT -> rung = false                     /* there may be more: once again soon */
        :: taken == THREADS * OPS -> skip
        :: count < LIMIT && out > 0 -> rings > 0; rung = true /* the selector: the fd is readable */
        :: count < LIMIT && out < DEPTH && taken + out < THREADS * OPS -> rung = false /* a task has more */
        fi
#endif
    od;
    assert(armed || sleepers == 0);
    ended++
}

init {
    byte i;
    atomic {
        run loop();
        for (i : 0 .. THREADS - 1) { run carrying(i) }
    }
    ended == THREADS + 1;
    assert(!QUEUE_HAS_FRONT && head == tail);
    assert(sleepers <= 1)
}
