/* Loops push ops; the ring thread puts them into the kernel and sleeps for completions and for its
 * doorbell, which the ring itself reads (uring.c; side threads and streams hand over likewise).
 *
 * Checked: each op goes into the kernel once, in its producer's order, and comes back; the thread
 * sleeps neither on an op that it could take nor for ever (an invalid end state); it stays awake
 * only for what it then takes; it is never armed twice; when it has ended, no read of the doorbell
 * is in the kernel, and no arming is left. Rings may be left, on an fd that is closed next: of a
 * producer that came late, when the thread had been woken by something else. Each wakes it once for
 * nothing.
 *
 * Mutations, each of which must fail:
 *   NO_SECOND_LOOK  nobody looks at the queue between arming and sleeping
 *   FORGET_DISARM   who was woken by a completion stays armed
 *   NO_LATE_RINGS   who waited for a ring takes for granted that it was of this sleep
 *   BUSY_WHEN_FULL  what the ring has no room for is a reason to stay awake
 *   NO_END          the read of the doorbell is left in the kernel
 */
#ifndef PRODUCERS
#define PRODUCERS 2
#endif
#ifndef SHARE
#define SHARE 1
#endif
#ifndef OPS
#define OPS 2
#endif
#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef IN_KERNEL_MAX
#define IN_KERNEL_MAX 1 /* less than may be outstanding */
#endif

#include "queue.pml"
#include "doorbell.pml"

#define OP(producer, sequence) ((producer) * OPS + (sequence))

bit stopping;                 /* driver.stopping */
byte expected[PRODUCERS];     /* the sequence that comes next out of the queue */
byte outstanding[PRODUCERS];  /* pushed and not yet delivered */
byte finished;                /* producers that have all their ops back */
bit ended;

byte in_kernel;               /* ring_thread.in_kernel */
bit doorbell_reading;         /* ring_thread.doorbell_reading */
byte prepared[PRODUCERS];     /* SQEs that the kernel has not seen */
bit read_prepared;
byte entered[PRODUCERS];      /* ops that the kernel carries out */
bit reading;                  /* it waits for the doorbell, too */
byte completed[PRODUCERS];    /* CQEs: here once the thread enters (DEFER_TASKRUN) */
bit read_completed;
byte posted[PRODUCERS];       /* CQEs that the thread can see */
bit read_posted;

proctype producer(byte number)
{
    byte sequence, position, seen;
    bool goto_again;
    do
    :: sequence == OPS -> break
    :: else ->
        outstanding[number] < SHARE;
        outstanding[number]++;
        queue_claim(position, 1);
        queue_publish(position, OP(number, sequence));
        doorbell_ring(seen);
        atomic { sequence++; position = 0 }
    od;
    outstanding[number] == 0;
    finished++
}

/* ---- the kernel ---- */

#define COMPLETE(number) entered[number] > 0 -> entered[number]--; completed[number]++

proctype kernel()
{
end:
    do
    :: atomic { COMPLETE(0) }
#if PRODUCERS > 1
    :: atomic { COMPLETE(1) }
#endif
#if PRODUCERS > 2
    :: atomic { COMPLETE(2) }
#endif
    :: atomic { reading && rings > 0 -> rings--; reading = 0; read_completed = 1 }
    od
}

#if PRODUCERS == 1
#define ANY(count) (count[0] > 0)
#elif PRODUCERS == 2
#define ANY(count) (count[0] > 0 || count[1] > 0)
#else
#define ANY(count) (count[0] > 0 || count[1] > 0 || count[2] > 0)
#endif

/* io_uring_enter: what is prepared goes in, what is completed becomes visible. */
inline submit()
{
    atomic {
        for (i : 0 .. PRODUCERS - 1) {
            entered[i] = entered[i] + prepared[i];
            prepared[i] = 0
        }
        i = 0;
        reading = reading || read_prepared;
        read_prepared = 0
    }
}

inline post()
{
    for (i : 0 .. PRODUCERS - 1) {
        posted[i] = posted[i] + completed[i];
        completed[i] = 0
    }
    i = 0;
    read_posted = read_posted || read_completed;
    read_completed = 0
}

inline enter()                                                /* enter(self, 0); */
{
    submit();
    atomic { post() }
}

inline enter_and_wait()                                       /* enter(self, 1); */
{
    submit();
    atomic {
        ANY(completed) || read_completed || ANY(posted) || read_posted;
        post()
    }
}

/* ---- the ring thread ---- */

inline take_batch()
{
    taken = false;
    do
    :: in_kernel < IN_KERNEL_MAX && QUEUE_HAS_FRONT ->        /* ring_has_room… (op = queue_front(ops)) */
        atomic {
            i = QUEUE_FRONT;
            assert(i % OPS == expected[i / OPS]);
            expected[i / OPS]++;
            prepared[i / OPS]++;                              /* take(self, op); */
            in_kernel++;
            taken = true;
            i = 0
        }
        queue_pop()                                           /* queue_pop(ops); */
    :: else -> break
    od
}

inline reap()
{
    atomic {
        reaped = false;
        for (i : 0 .. PRODUCERS - 1) {
            in_kernel = in_kernel - posted[i];
            outstanding[i] = outstanding[i] - posted[i];      /* deliver(…), ring_touched_ports(… */
            reaped = reaped || posted[i] > 0;
            posted[i] = 0
        }
        i = 0;
        if
        :: read_posted -> doorbell_reading = false; read_posted = 0; reaped = true
        :: else
        fi
    }
}

#ifdef BUSY_WHEN_FULL
#define HAS_REASON_TO_STAY_AWAKE (QUEUE_HAS_FRONT || stopping)
#else
#define HAS_REASON_TO_STAY_AWAKE ((in_kernel < IN_KERNEL_MAX && QUEUE_HAS_FRONT) || stopping)
#endif

inline sleep_until_work()
{
    doorbell_arm(seen);                                           /* doorbell_arm(doorbell); */
#ifdef NO_SECOND_LOOK
    awake = stopping;
#else
    awake = HAS_REASON_TO_STAY_AWAKE;                         /* bool awake = has_reason… */
#endif
    if
    :: !awake && in_kernel == 0 && !doorbell_reading ->
        doorbell_wait();                                      /* doorbell_wait(doorbell); */
#ifndef NO_LATE_RINGS
        doorbell_disarm(seen, disarmed)                       /* doorbell_disarm(doorbell); return; */
#endif
    :: else ->
        if
        :: !awake ->
            if
            :: !doorbell_reading -> atomic { read_prepared = 1; doorbell_reading = true }
            :: else
            fi;
            enter_and_wait()
        :: else
        fi;
#ifndef FORGET_DISARM
        doorbell_disarm(seen, disarmed);                      /* if (!doorbell_disarm(doorbell) && */
        if
        :: !disarmed && !doorbell_reading -> doorbell_wait()  /* !self->doorbell_reading) doorbell_wait */
        :: else
        fi
#endif
    fi
}

proctype ring_thread()
{
    byte i, seen;
    bool taken, reaped, awake, disarmed, goto_again;
    do
    ::  take_batch();
        assert(taken || !awake || stopping);
        awake = false;
        if
        :: ANY(prepared) || read_prepared -> enter()          /* if (… io_uring_sq_ready… > 0) enter */
        :: else
        fi;
        reap();
        if
        :: taken || reaped                                    /* continue; */
        :: else ->
            if
            :: stopping && in_kernel == 0 && !QUEUE_HAS_FRONT -> break
            :: else
            fi;
            sleep_until_work();
            assert(sleepers <= 1)                             /* late_ring_stress.c */
        fi
    od;
#ifndef NO_END
    if
    :: doorbell_reading ->                                    /* end_doorbell_read(self); */
        doorbell_arm(seen);
        doorbell_ring(seen);
        do
        :: doorbell_reading -> enter_and_wait(); reap()
        :: else -> break
        od
    :: else
    fi;
#endif
    assert(!reading && !read_prepared);                       /* io_uring_queue_exit(&self->ring); */
    ended = 1
}

init {
    byte i, seen;
    bool goto_again;
    atomic {
        run ring_thread();
        run kernel();
        for (i : 0 .. PRODUCERS - 1) { run producer(i) }
    }
    finished == PRODUCERS;
    stopping = 1;                                             /* atomic_store_explicit(&driver->stopping */
    doorbell_ring(seen);                                      /* doorbell_ring(&driver->doorbell); */
    ended == 1;                                               /* pthread_join(… */
    assert(!QUEUE_HAS_FRONT && head == tail && in_kernel == 0);
    assert(sleepers == 0)
}
