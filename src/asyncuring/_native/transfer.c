/* The system calls that read and write. */
#define _GNU_SOURCE /* preadv2 */
#include "transfer.h"
#include <sys/types.h>
#include <sys/uio.h>

_Static_assert(sizeof(asyncuring_vector) == sizeof(struct iovec) &&
                   offsetof(asyncuring_vector, length) == offsetof(struct iovec, iov_len),
               "a vector is an iovec");
#ifdef RWF_NOWAIT
_Static_assert(TRANSFER_NOWAIT == RWF_NOWAIT, "one flag, two names");
#endif

static ssize_t flagged(const asyncuring_op *op, const struct iovec *pieces, int count,
                       int64_t offset, int flags)
{
#ifdef RWF_NOWAIT
    return transfer_reads(op) ? preadv2(op->fd, pieces, count, (off_t)offset, flags)
                              : pwritev2(op->fd, pieces, count, (off_t)offset, flags);
#else
    (void)op, (void)pieces, (void)count, (void)offset, (void)flags;
    errno = EOPNOTSUPP;
    return -1;
#endif
}

static ssize_t plain(const asyncuring_op *op, const struct iovec *pieces, int count, int64_t offset)
{
    bool reads = transfer_reads(op);
    if (offset == TRANSFER_NEXT)
        return reads ? readv(op->fd, pieces, count) : writev(op->fd, pieces, count);
    return reads ? preadv(op->fd, pieces, count, (off_t)offset)
                 : pwritev(op->fd, pieces, count, (off_t)offset);
}

int64_t transfer_at(const asyncuring_op *op, int64_t offset, int more_flags)
{
    int flags = (int)(op->opcode >> ASYNCURING_FLAGS_SHIFT) | more_flags;
    bool vectored = opcode_of(op) >= ASYNCURING_OP_READV;
    void *memory = (void *)(uintptr_t)op->address;
    const struct iovec whole = {.iov_base = memory, .iov_len = op->length};
    const struct iovec *pieces = vectored ? memory : &whole;
    /* More than any count that the kernel takes is more than it takes. */
    int count = !vectored ? 1 : op->length < INT32_MAX ? (int)op->length : INT32_MAX;
    ssize_t done =
        flags ? flagged(op, pieces, count, offset, flags) : plain(op, pieces, count, offset);
    return done < 0 ? -errno : done;
}
