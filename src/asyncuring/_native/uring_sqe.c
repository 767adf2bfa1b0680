/* One op as one SQE, for every driver that has a ring. */
#define _GNU_SOURCE /* liburing.h */
#include "slow_files.h"
#include "uring.h"
#include <stdbool.h>
#include <unistd.h>

/* What read(2) and write(2) transfer at most in one call (man 2 read, NOTES). */
#define TRANSFER_MAX 0x7ffff000u

/* Linux 6.9; an enumerator of its header, so that nothing says whether it is there. */
#define RING_OP_FTRUNCATE 55

/* The SQE's opcode for each op that a ring may have, besides what it has had from the beginning.
 * What is missing here no kernel's ring has. */
static const uint8_t of_calls[] = {
    [ASYNCURING_OP_OPEN] = IORING_OP_OPENAT2,
    [ASYNCURING_OP_STATX] = IORING_OP_STATX,
    [ASYNCURING_OP_FALLOCATE] = IORING_OP_FALLOCATE,
    [ASYNCURING_OP_FTRUNCATE] = RING_OP_FTRUNCATE,
    [ASYNCURING_OP_SYNC_RANGE] = IORING_OP_SYNC_FILE_RANGE,
    [ASYNCURING_OP_FADVISE] = IORING_OP_FADVISE,
    [ASYNCURING_OP_UNLINK] = IORING_OP_UNLINKAT,
    [ASYNCURING_OP_RENAME] = IORING_OP_RENAMEAT,
    [ASYNCURING_OP_MKDIR] = IORING_OP_MKDIRAT,
    [ASYNCURING_OP_LINK] = IORING_OP_LINKAT,
    [ASYNCURING_OP_SYMLINK] = IORING_OP_SYMLINKAT,
};

uint32_t ring_carries(struct io_uring *ring)
{
    uint32_t carries = 1u << ASYNCURING_OP_NOP | 1u << ASYNCURING_OP_READ |
                       1u << ASYNCURING_OP_WRITE | 1u << ASYNCURING_OP_FSYNC |
                       1u << ASYNCURING_OP_FDATASYNC | 1u << ASYNCURING_OP_CLOSE |
                       1u << ASYNCURING_OP_CANCEL | 1u << ASYNCURING_OP_READV |
                       1u << ASYNCURING_OP_WRITEV | 1u << ASYNCURING_OP_CHAIN;
    struct io_uring_probe *probe = io_uring_get_probe_ring(ring); /* 5.6 */
    if (!probe)
        return carries;
    for (unsigned i = 0; i < sizeof of_calls; i++)
        if (of_calls[i] && io_uring_opcode_supported(probe, of_calls[i]))
            carries |= 1u << i;
    io_uring_free_probe(probe);
    return carries;
}

uint64_t ring_transfer_length(const asyncuring_op *op)
{
    const asyncuring_vector *vectors = (const void *)(uintptr_t)op->address;
    uint64_t length = 0;
    switch (opcode_of(op)) {
    case ASYNCURING_OP_READ:
    case ASYNCURING_OP_WRITE:
        return op->length;
    case ASYNCURING_OP_READV:
    case ASYNCURING_OP_WRITEV:
        for (uint64_t i = 0; i < op->length; i++)
            length += vectors[i].length;
        return length;
    default:
        return 0;
    }
}

static int directory(int fd)
{
    return fd < 0 ? AT_FDCWD : fd;
}

/* Descriptors, paths and flags of those that have to do with names. */
static void prepare_of_names(struct io_uring_sqe *sqe, const asyncuring_op *op)
{
    const asyncuring_call *call = call_of(op);
    sqe->fd = directory(op->fd);
    sqe->addr = call->path;
    sqe->rw_flags = (int)call->flags; /* one union of all opcodes' flags */
    switch (opcode_of(op)) {
    case ASYNCURING_OP_OPEN:
        /* A name that the kernel knows it opens at once, and waits for FUSE's program then. Whose
         * file that will be nobody can tell. */
        if (has_slow_files())
            sqe->flags = IOSQE_ASYNC;
        sqe->rw_flags = 0;
        sqe->addr2 = (uintptr_t)&call->flags; /* struct open_how */
        sqe->len = 3 * sizeof(uint64_t);
        break;
    case ASYNCURING_OP_STATX:
        sqe->addr2 = call->result;
        sqe->len = (uint32_t)call->mode;
        break;
    case ASYNCURING_OP_RENAME:
    case ASYNCURING_OP_LINK:
        sqe->len = (uint32_t)directory(call->second_fd);
        sqe->addr2 = call->second_path;
        break;
    case ASYNCURING_OP_MKDIR:
        sqe->len = (uint32_t)call->mode;
        break;
    case ASYNCURING_OP_SYMLINK:
        sqe->fd = directory(call->second_fd);
        sqe->addr2 = call->second_path;
        break;
    }
}

static void prepare_of_a_file(struct io_uring_sqe *sqe, const asyncuring_op *op)
{
    const asyncuring_call *call = call_of(op);
    sqe->off = call->offset;
    switch (opcode_of(op)) {
    case ASYNCURING_OP_FALLOCATE:
        sqe->addr = call->length;
        sqe->len = (uint32_t)call->flags;
        break;
    case ASYNCURING_OP_FTRUNCATE:
        sqe->off = call->length;
        break;
    case ASYNCURING_OP_SYNC_RANGE:
    case ASYNCURING_OP_FADVISE:
        sqe->len = (uint32_t)call->length;
        sqe->rw_flags = (int)call->flags;
        break;
    }
}

struct io_uring_sqe *ring_prepare(struct io_uring *ring, const asyncuring_op *op)
{
    static const uint8_t of_transfers[] = {[ASYNCURING_OP_READ] = IORING_OP_READ,
                                           [ASYNCURING_OP_WRITE] = IORING_OP_WRITE,
                                           [ASYNCURING_OP_READV] = IORING_OP_READV,
                                           [ASYNCURING_OP_WRITEV] = IORING_OP_WRITEV};
    struct io_uring_sqe *sqe = ring_sqe(ring);
    sqe->user_data = op->token;
    sqe->fd = op->fd;
    uint32_t opcode = opcode_of(op);
    switch (opcode) {
    case ASYNCURING_OP_READ:
    case ASYNCURING_OP_WRITE:
    case ASYNCURING_OP_READV:
    case ASYNCURING_OP_WRITEV:
        sqe->opcode = of_transfers[opcode];
        sqe->addr = op->address;
        sqe->len = op->length < TRANSFER_MAX ? (uint32_t)op->length : TRANSFER_MAX;
        sqe->off = op->argument;
        sqe->rw_flags = (int)(op->opcode >> ASYNCURING_FLAGS_SHIFT);
        if (is_slow_file(op->fd))
            sqe->flags = IOSQE_ASYNC;
        break;
    case ASYNCURING_OP_FSYNC:
        sqe->opcode = IORING_OP_FSYNC;
        break;
    case ASYNCURING_OP_FDATASYNC:
        sqe->opcode = IORING_OP_FSYNC;
        sqe->fsync_flags = IORING_FSYNC_DATASYNC;
        break;
    case ASYNCURING_OP_CLOSE:
        sqe->opcode = IORING_OP_CLOSE;
        break;
    case ASYNCURING_OP_CANCEL:
        sqe->opcode = IORING_OP_ASYNC_CANCEL;
        sqe->fd = -1;
        sqe->addr = op->argument;
        break;
    case ASYNCURING_OP_FALLOCATE:
    case ASYNCURING_OP_FTRUNCATE:
    case ASYNCURING_OP_SYNC_RANGE:
    case ASYNCURING_OP_FADVISE:
        sqe->opcode = of_calls[opcode];
        prepare_of_a_file(sqe, op);
        break;
    case ASYNCURING_OP_NOP:
        sqe->opcode = IORING_OP_NOP;
        break;
    default:
        /* What came here by mistake is answered with EINVAL. */
        sqe->opcode = opcode < sizeof of_calls && of_calls[opcode] ? of_calls[opcode] : UINT8_MAX;
        prepare_of_names(sqe, op);
        break;
    }
    return sqe;
}

int64_t ring_result_without(int error, int fd_to_close)
{
    bool closed = fd_to_close >= 0 && close(fd_to_close) == 0;
    return closed ? 0 : -error;
}
