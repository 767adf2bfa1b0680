/* What every driver is made of: one queue of ops, one doorbell, its ports and its counters.
 *
 * A driver's kind (uring.c, threads.c) adds the threads that take ops from the queue, carry them
 * out and deliver their completions to the ports that the tokens name.
 */
#pragma once
#include "boundary.h"
#include "doorbell.h"
#include "queue.h"
#include "regions.h"
#include "spin.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* 64 Ki ops and cancels may be outstanding in one driver (3 MiB, touched as used). With the 512 of
 * a port of depth 256 that serves 128 event loops. */
#define DRIVER_QUEUE_LOG2 16
#define DRIVER_PORTS_MAX 1024
/* Below the bit of this number an errno, above it an id. */
#define DRIVER_REPORT_SHIFT 12

struct driver_kind {
    void (*stop)(asyncuring_driver *driver);    /* join the threads, free what the kind owns */
    void (*abandon)(asyncuring_driver *driver); /* forked child: close the kind's fds */
    /* NULL: ops of all ports go into the driver's queue. */
    const struct port_kind *ports;
};

/* Ports that carry out their ops themselves. */
struct port_kind {
    int (*open)(asyncuring_port *port);     /* 0 or an errno */
    void (*close)(asyncuring_port *port);   /* also after `open` has failed */
    void (*detach)(asyncuring_port *port);  /* nobody's for a while */
    void (*abandon)(asyncuring_port *port); /* forked child: close the fds */
    /* asyncuring_port_exchange, when the addresses are in place; and what comes after its
     * ASYNCURING_SOON, without the GIL. */
    int (*exchange)(asyncuring_port *port, unsigned staged, asyncuring_completion *out,
                    unsigned limit, int rung);
    void (*go_on)(asyncuring_port *port);
};

struct side; /* side.h */
struct pool; /* pool.h */

struct asyncuring_driver {
    struct queue ops; /* producers: the ports; consumer: the kind's thread(s), one at a time */
    struct doorbell doorbell;
    _Atomic bool stopping;
    const struct driver_kind *kind;
    void *kind_state;
    uint32_t carries; /* bit n: opcode n; the others are the pool's. Set before any port is */
    _Atomic uint64_t enters, wakeups, rings, beside;
    struct spinning spinning;
    /* By place: the id of a region, and the errno of its registration with a ring, or 0. */
    _Atomic uint64_t regions[REGIONS_MAX];

    pthread_mutex_t attaching; /* guards what follows: attaching, detaching, starting sides */
    struct side *sides[ASYNCURING_SIDE_THREADS_MAX]; /* read by loops that have seen them start */
    _Atomic(asyncuring_port *) ports[DRIVER_PORTS_MAX];
    unsigned ports_count;
    unsigned reserved; /* cells of `ops` promised to ports */
    struct pool *pool; /* beside the rings; likewise */
    asyncuring_port *idle_ports;
};

#define CARRIES_ALL UINT32_MAX

static inline uint32_t opcode_of(const asyncuring_op *op)
{
    return op->opcode & ASYNCURING_OPCODE_MASK;
}

static inline uint32_t side_of(const asyncuring_op *op)
{
    return (op->opcode & ASYNCURING_SIDE_MASK) >> ASYNCURING_SIDE_SHIFT;
}

static inline const asyncuring_call *call_of(const asyncuring_op *op)
{
    return (const asyncuring_call *)(uintptr_t)op->address;
}

/* driver.c */
asyncuring_driver *driver_create(const struct driver_kind *kind, void *kind_state, int *error);
void driver_destroy(asyncuring_driver *driver);
/* Start a thread with every signal blocked: signals belong to the program. 0 or an errno. */
int driver_thread_start(pthread_t *thread, void *(*run)(void *), void *argument);
static inline void driver_count(_Atomic uint64_t *counter)
{
    /* relaxed: a statistic, read by nobody who concludes anything from its order. */
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* port.c */
asyncuring_port *driver_port_of(asyncuring_driver *driver, uint64_t token);
/* done_ns: when it was done, by clock_ns. */
void port_deliver(asyncuring_port *port, uint64_t token, int64_t result, uint64_t done_ns);
void port_ring(asyncuring_port *port);
void port_destroy(asyncuring_port *port);
void port_abandon(asyncuring_port *port);
