/* The calls that stress programs make, each with a result that is known. */
#pragma once
#include "boundary.h"
#include <fcntl.h>

/* In struct statx as uint64_t. */
#define STATX_SIZE_WORD 5

/* What `op` asks for, of `op->fd`; `loop` has a byte of the file to lock. `large`: more than an SQE
 * can say. `words`: at least 32. */
static inline void describe(asyncuring_op *op, asyncuring_call *call, uint64_t *words,
                            unsigned loop, int large)
{
    *call = (asyncuring_call){0};
    switch (op->opcode) {
    case ASYNCURING_OP_OPEN:
        op->fd = -1;
        call->path = (uintptr_t)"/dev/null";
        call->flags = O_RDONLY | O_CLOEXEC;
        break;
    case ASYNCURING_OP_STATX:
        call->path = (uintptr_t)"";
        call->flags = 0x1000; /* AT_EMPTY_PATH */
        call->mode = 0x200;   /* STATX_SIZE */
        call->result = (uintptr_t)words;
        break;
    case ASYNCURING_OP_LOCK: /* of an open file description that all loops share */
        call->flags = ASYNCURING_LOCK_EXCLUSIVE;
        call->offset = loop;
        call->length = 1;
        break;
    case ASYNCURING_OP_FADVISE:
    case ASYNCURING_OP_SYNC_RANGE:
        call->length = large ? UINT64_C(1) << 32 : 4096;
        break;
    }
}
