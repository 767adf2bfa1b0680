/* The system calls behind the ops that are no reads and writes; see boundary.h for what they take.
 */
#define _GNU_SOURCE /* fallocate, sync_file_range, F_OFD_SETLK */
#include "calls.h"
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>

/* C libraries have got these later than the kernel; the numbers are the same everywhere. */
#if defined(__linux__) && !defined(SYS_openat2)
#define SYS_openat2 437
#endif

static const char *path_at(uint64_t address)
{
    return (const char *)(uintptr_t)address;
}

static int directory(int fd)
{
    return fd < 0 ? AT_FDCWD : fd;
}

static int sync_data(int fd)
{
#ifdef __APPLE__
    return fcntl(fd, F_FULLFSYNC); /* there is no fdatasync, and fsync stops at the drive's cache */
#else
    return fdatasync(fd);
#endif
}

static int open_now(int fd, const asyncuring_call *call, int more_flags)
{
    int flags = (int)call->flags | more_flags;
    if (call->resolve == 0)
        return openat(directory(fd), path_at(call->path), flags, (mode_t)call->mode);
#ifdef __linux__
    const uint64_t how[] = {(uint64_t)flags, call->mode, call->resolve}; /* struct open_how */
    return (int)syscall(SYS_openat2, directory(fd), path_at(call->path), how, sizeof how);
#else
    errno = EOPNOTSUPP;
    return -1;
#endif
}

/* As io_uring does: without waiting first, so that a FIFO without a writer keeps no thread. */
static int open_without_waiting(int directory_fd, const asyncuring_call *call)
{
    int fd = open_now(directory_fd, call, O_NONBLOCK);
    if (fd < 0 && errno == EWOULDBLOCK) /* a lease (fcntl(2)) is being broken: that takes a while */
        return open_now(directory_fd, call, 0);
    if (fd >= 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
}

static int lock(int fd, const asyncuring_call *call)
{
#ifdef F_OFD_SETLK
    static const short types[] = {F_UNLCK, F_RDLCK, F_WRLCK}; /* by enum asyncuring_lock */
    struct flock lock = {.l_type = types[call->flags],
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)call->offset,
                         .l_len = (off_t)call->length};
    return fcntl(fd, F_OFD_SETLK, &lock);
#else
    (void)fd, (void)call;
    errno = EOPNOTSUPP;
    return -1;
#endif
}

#ifdef __linux__
static int64_t copy_range(int fd, const asyncuring_call *call)
{
    int64_t from = (int64_t)call->offset, to = (int64_t)call->second_offset;
    return syscall(SYS_copy_file_range, fd, &from, call->second_fd, &to, (size_t)call->length, 0);
}

static int64_t carry_out_of_linux(const asyncuring_op *op)
{
    const asyncuring_call *call = call_of(op);
    unsigned flags = (unsigned)call->flags;
    switch (opcode_of(op)) {
    case ASYNCURING_OP_STATX:
        return syscall(SYS_statx, directory(op->fd), path_at(call->path), flags,
                       (unsigned)call->mode, (void *)(uintptr_t)call->result);
    case ASYNCURING_OP_FALLOCATE:
        return fallocate(op->fd, (int)flags, (off_t)call->offset, (off_t)call->length);
    case ASYNCURING_OP_SYNC_RANGE:
        return sync_file_range(op->fd, (off_t)call->offset, (off_t)call->length, flags);
    case ASYNCURING_OP_FADVISE:
        errno = posix_fadvise(op->fd, (off_t)call->offset, (off_t)call->length, (int)flags);
        return errno ? -1 : 0;
    case ASYNCURING_OP_COPY_RANGE:
        return copy_range(op->fd, call);
    case ASYNCURING_OP_RENAME:
        return syscall(SYS_renameat2, directory(op->fd), path_at(call->path),
                       directory(call->second_fd), path_at(call->second_path), flags);
    default:
        errno = EINVAL;
        return -1;
    }
}
#else
static int64_t carry_out_of_linux(const asyncuring_op *op)
{
    const asyncuring_call *call = call_of(op);
    if (opcode_of(op) == ASYNCURING_OP_RENAME && call->flags == 0)
        return renameat(directory(op->fd), path_at(call->path), directory(call->second_fd),
                        path_at(call->second_path));
    errno = EOPNOTSUPP;
    return -1;
}
#endif

static int64_t carry_out(const asyncuring_op *op)
{
    const asyncuring_call *call = call_of(op);
    switch (opcode_of(op)) {
    case ASYNCURING_OP_NOP:
        return 0;
    case ASYNCURING_OP_FSYNC:
        return fsync(op->fd);
    case ASYNCURING_OP_FDATASYNC:
        return sync_data(op->fd);
    case ASYNCURING_OP_OPEN:
        return open_without_waiting(op->fd, call);
    case ASYNCURING_OP_CLOSE:
        return close(op->fd);
    case ASYNCURING_OP_FTRUNCATE:
        return ftruncate(op->fd, (off_t)call->length);
    case ASYNCURING_OP_LOCK:
        return lock(op->fd, call);
    case ASYNCURING_OP_UNLINK:
        return unlinkat(directory(op->fd), path_at(call->path), (int)call->flags);
    case ASYNCURING_OP_MKDIR:
        return mkdirat(directory(op->fd), path_at(call->path), (mode_t)call->mode);
    case ASYNCURING_OP_LINK:
        return linkat(directory(op->fd), path_at(call->path), directory(call->second_fd),
                      path_at(call->second_path), (int)call->flags);
    case ASYNCURING_OP_SYMLINK:
        return symlinkat(path_at(call->path), directory(call->second_fd),
                         path_at(call->second_path));
    default:
        return carry_out_of_linux(op);
    }
}

int64_t call_carry_out(const asyncuring_op *op)
{
    int64_t result = carry_out(op);
    return result < 0 ? -errno : result;
}
