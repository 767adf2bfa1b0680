/* What a ring's creation (uring_create.c), its SQEs (uring_sqe.c) and those who own one (uring.c,
 * uring_local.c) share. */
#pragma once
#include "driver.h"
#include <liburing.h>
#include <stdlib.h>
#include <string.h>

/* Ops per io_uring_enter; see uring.c for why so few. */
#define BATCH_OPS 32
/* And bytes, after which no more ops are added: of large blocks a whole batch would be a copy of
 * milliseconds, during which no completion is delivered. 32 blocks of 8 KiB fit exactly. */
#define BATCH_BYTES (256 * 1024)
#define RING_SQ_ENTRIES (2 * BATCH_OPS)
/* Room for all that may be in the kernel; what exceeds it waits in the driver's queue. */
#define RING_CQ_ENTRIES 4096
/* The same where a user may lock 64 KiB of memory: once the default, in containers often still. */
#define RING_CQ_ENTRIES_FEW 1024
/* All that a port may have outstanding: its ops and cancels fit in at once. */
#define RING_PORT_SQ_ENTRIES 512
#define RING_PORT_CQ_ENTRIES 1024

/* A zeroed SQE: liburing 2.3 hands out the stale one of the last round. */
static inline struct io_uring_sqe *ring_sqe(struct io_uring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (!sqe)
        abort(); /* its owner leaves room, also for his own purposes */
    memset(sqe, 0, sizeof *sqe);
    return sqe;
}

/* The kernel is short of something when it is entered, and may have it the next time. */
static inline bool ring_error_passes(int result)
{
    return result == -EAGAIN || result == -EBUSY || result == -ENOMEM;
}

/* The next SQE is `op`. */
struct io_uring_sqe *ring_prepare(struct io_uring *ring, const asyncuring_op *op);
/* How many bytes it reads or writes at most. */
uint64_t ring_transfer_length(const asyncuring_op *op);
/* Which opcodes ring_prepare has an SQE for that this kernel takes: bit n for opcode n. */
uint32_t ring_carries(struct io_uring *ring);
/* The result of an op that no ring carries out, for that is broken: `error`. But closing is what
 * nobody can do without, and it needs no ring; fd_to_close: -1 for every other op. */
int64_t ring_result_without(int error, int fd_to_close);

/* Who may enter, and how large it is. */
enum ring_kind {
    RING_OF_ONE_THREAD, /* the creating thread alone, which hears of completions by entering */
    RING_OF_A_PORT      /* any thread, one at a time; completions come without entering */
};
/* 0, or -1 and *error. */
int ring_create(struct io_uring *ring, enum ring_kind kind, asyncuring_start_error *error);
/* The same, and the ring has done a real read. */
int ring_create_tried(struct io_uring *ring, enum ring_kind kind, asyncuring_start_error *error);
/* Instead of io_uring_queue_exit: whoever creates the next one knows that memory comes back. */
void ring_close(struct io_uring *ring);
