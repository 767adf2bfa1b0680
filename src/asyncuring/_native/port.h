/* What a port is made of, for port.c and for drivers whose ports have more than a queue. */
#pragma once
#include "driver.h"
#include "tally.h"

/* An item of a port's queue. */
struct port_completion {
    asyncuring_completion completion;
    uint64_t done_ns;
};

struct asyncuring_port {
    struct queue completions; /* producers: the driver's threads; consumer: the loop */
    struct doorbell doorbell;
    asyncuring_driver *driver;
    asyncuring_op *staging;
    char **addresses;
    asyncuring_port *next_idle;
    unsigned index;
    unsigned depth;
    struct spin spin;
    struct tally tally;
    void *own;      /* of the driver's kind, if its ports have more than this */
    int returned;   /* by the last exchange */
    bool armed;     /* the loop's own memory of having armed the doorbell */
    bool inherited; /* by a forked child: it is the parent's */
};

/* Reap up to `limit` completions from the port's queue, at *now_ns; 0: not known yet. */
unsigned port_take(asyncuring_port *port, asyncuring_completion *out, unsigned limit,
                   uint64_t *now_ns);
/* What an exchange returns that has reaped `count` of them. */
static inline int port_reaped(const asyncuring_port *port, unsigned count)
{
    return (int)count | (port->tally.slow_count > 0 ? ASYNCURING_SLOW : 0);
}
