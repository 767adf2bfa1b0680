/* What the ring's creation (uring_create.c) and its thread (uring.c) share. */
#pragma once
#include "boundary.h"
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

/* Ops per io_uring_enter; see uring.c for why so few. */
#define BATCH_OPS 32
#define RING_SQ_ENTRIES (2 * BATCH_OPS)
/* Room for all that may be in the kernel; what exceeds it waits in the driver's queue. */
#define RING_CQ_ENTRIES 4096
/* The same where a user may lock 64 KiB of memory: once the default, in containers often still. */
#define RING_CQ_ENTRIES_FEW 1024

/* A zeroed SQE: liburing 2.3 hands out the stale one of the last round. */
static inline struct io_uring_sqe *ring_sqe(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (!sqe)
        abort(); /* take_batch leaves room, also for the doorbell's read */
    memset(sqe, 0, sizeof *sqe);
    return sqe;
}

/* 0, or -1 and *error. The calling thread is the only one that may submit to the ring. */
int ring_create(struct io_uring *ring, asyncuring_start_error *error);
