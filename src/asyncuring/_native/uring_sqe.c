/* One op as one SQE, for every driver that has a ring. */
#define _GNU_SOURCE /* liburing.h */
#include "uring.h"
#include <stdbool.h>
#include <unistd.h>

/* What read(2) and write(2) transfer at most in one call (man 2 read, NOTES). */
#define TRANSFER_MAX 0x7ffff000u

void ring_prepare(struct io_uring *ring, const asyncuring_op *op)
{
    struct io_uring_sqe *sqe = ring_sqe(ring);
    sqe->user_data = op->token;
    sqe->fd = op->fd;
    switch (op->opcode) {
    case ASYNCURING_OP_READ:
    case ASYNCURING_OP_WRITE:
        sqe->opcode = op->opcode == ASYNCURING_OP_READ ? IORING_OP_READ : IORING_OP_WRITE;
        sqe->addr = op->address;
        sqe->len = op->length < TRANSFER_MAX ? (uint32_t)op->length : TRANSFER_MAX;
        sqe->off = op->argument;
        break;
    case ASYNCURING_OP_FSYNC:
        sqe->opcode = IORING_OP_FSYNC;
        break;
    case ASYNCURING_OP_FDATASYNC:
        sqe->opcode = IORING_OP_FSYNC;
        sqe->fsync_flags = IORING_FSYNC_DATASYNC;
        break;
    case ASYNCURING_OP_OPEN:
        sqe->opcode = IORING_OP_OPENAT;
        sqe->fd = AT_FDCWD;
        sqe->addr = op->address;
        sqe->open_flags = (uint32_t)op->argument;
        sqe->len = (uint32_t)op->length;
        break;
    case ASYNCURING_OP_CLOSE:
        sqe->opcode = IORING_OP_CLOSE;
        break;
    case ASYNCURING_OP_CANCEL:
        sqe->opcode = IORING_OP_ASYNC_CANCEL;
        sqe->fd = -1;
        sqe->addr = op->argument;
        break;
    default:
        sqe->opcode = IORING_OP_NOP;
        break;
    }
}

int64_t ring_result_without(int error, int fd_to_close)
{
    bool closed = fd_to_close >= 0 && close(fd_to_close) == 0;
    return closed ? 0 : -error;
}
