/* Reads and writes as system calls, for native threads. */
#pragma once
#include "driver.h"

/* For `offset`: what comes next, of a stream. */
#define TRANSFER_NEXT (-1)
/* For `more_flags`: only what can be done without waiting, else -EAGAIN; -EOPNOTSUPP where the file
 * or the system does not have this. */
#define TRANSFER_NOWAIT 8 /* RWF_NOWAIT */

/* A READ, WRITE, READV or WRITEV, at `offset`, with its own flags (RWF_*) and more. The count, or a
 * negative errno; -ESPIPE if the file is a stream and `offset` does not say so. */
int64_t transfer_at(const asyncuring_op *op, int64_t offset, int more_flags);

static inline bool transfer_reads(const asyncuring_op *op)
{
    return opcode_of(op) == ASYNCURING_OP_READ || opcode_of(op) == ASYNCURING_OP_READV;
}

static inline bool transfer_may_wait(const asyncuring_op *op)
{
    return !(op->opcode >> ASYNCURING_FLAGS_SHIFT & TRANSFER_NOWAIT);
}
