/* The boundary: all that Python may call or read, and nothing else.
 *
 * Read by cffi (build.py drops the lines that begin with '#') and included by every C file here.
 * Opaque types, one op, one completion, one set of counters, a dozen functions. Nothing in it
 * names liburing, a file system or Python, and nothing in it calls back.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct asyncuring_driver asyncuring_driver; /* threads that carry ops out */
typedef struct asyncuring_port asyncuring_port;     /* one event loop's end of a driver */

enum asyncuring_opcode {
    ASYNCURING_OP_NOP = 0,
    ASYNCURING_OP_READ = 1,
    ASYNCURING_OP_WRITE = 2,
    ASYNCURING_OP_FSYNC = 3,
    ASYNCURING_OP_FDATASYNC = 4,
    ASYNCURING_OP_OPEN = 5,
    ASYNCURING_OP_CLOSE = 6,
    ASYNCURING_OP_CANCEL = 7,
    ASYNCURING_OP_READV = 8,
    ASYNCURING_OP_WRITEV = 9,
    ASYNCURING_OP_STATX = 10,
    ASYNCURING_OP_FALLOCATE = 11,
    ASYNCURING_OP_FTRUNCATE = 12,
    ASYNCURING_OP_SYNC_RANGE = 13,
    ASYNCURING_OP_FADVISE = 14,
    ASYNCURING_OP_COPY_RANGE = 15,
    ASYNCURING_OP_LOCK = 16,
    ASYNCURING_OP_UNLINK = 17,
    ASYNCURING_OP_RENAME = 18,
    ASYNCURING_OP_MKDIR = 19,
    ASYNCURING_OP_LINK = 20,
    ASYNCURING_OP_SYMLINK = 21,
    ASYNCURING_OP_CHAIN = 22
};

/* One requested operation, as a loop stages it. Which fields count depends on the opcode:
 *   READ, WRITE      fd, address and length of the buffer, argument = offset in the file
 *   READV, WRITEV    fd, address of asyncuring_vectors, length = how many, argument = offset
 *   FSYNC, FDATASYNC fd
 *   CLOSE            fd
 *   CANCEL           argument = the token of the op to cancel
 *   CHAIN            address of an asyncuring_chain
 *   from STATX on, and OPEN: fd, address of an asyncuring_call
 */
typedef struct asyncuring_op {
    uint64_t token; /* names the op; the bits from ASYNCURING_PORT_SHIFT up name its port */
    union {
        uint64_t address;
        /* As staged, for the exchange puts the address in place: since when it has waited, in
         * nanoseconds of CLOCK_MONOTONIC (0: not at all), and from the bit ASYNCURING_CLASS_SHIFT
         * up the number of its class. */
        uint64_t origin;
    };
    uint64_t argument;
    uint64_t length;
    int32_t fd;
    uint32_t opcode; /* and who is to carry it out, and how: ASYNCURING_SIDE_SHIFT, …FLAGS_SHIFT */
} asyncuring_op;

/* One of the buffers of a READV or WRITEV: struct iovec. */
typedef struct asyncuring_vector {
    char *address;
    size_t length;
} asyncuring_vector;

/* What an op asks for that is rarely done, and so may take some more room. Where a descriptor
 * names the directory that a path starts from, -1 is the current one. What is not named is 0.
 *   OPEN       fd of the directory, path, flags = O_*, mode = permissions, resolve = RESOLVE_*;
 *              gives the new fd: openat2(2)
 *   STATX      fd of the directory, path, flags = AT_*, mode = STATX_*, result = address of the
 *              256 bytes of struct statx. An empty path with AT_EMPTY_PATH: the fd's own file
 *   FALLOCATE  fd, flags = FALLOC_FL_*, offset, length
 *   FTRUNCATE  fd, length
 *   SYNC_RANGE fd, flags = SYNC_FILE_RANGE_*, offset, length
 *   FADVISE    fd, flags = POSIX_FADV_*, offset, length
 *   COPY_RANGE fd and offset of the source, second_fd and second_offset of the target, length;
 *              gives the count: copy_file_range(2)
 *   LOCK       fd, flags = enum asyncuring_lock, offset, length (0: to the end, wherever that is);
 *              without waiting, for the open file description: fcntl(2), F_OFD_SETLK
 *   UNLINK     fd of the directory, path, flags = AT_REMOVEDIR or 0
 *   MKDIR      fd of the directory, path, mode
 *   RENAME     fd and path, second_fd and second_path of the new name, flags = RENAME_*
 *   LINK       fd and path, second_fd and second_path of the new name, flags = AT_*
 *   SYMLINK    path = what it says, second_fd and second_path of the new name
 */
typedef struct asyncuring_call {
    uint64_t path; /* addresses of NUL-terminated paths */
    uint64_t second_path;
    uint64_t flags, mode, resolve; /* in this order: struct open_how */
    uint64_t offset, second_offset, length;
    uint64_t result;
    int32_t second_fd, unused;
} asyncuring_call;

/* One op of a chain: what ports take, but for OPEN, CLOSE, CANCEL and CHAIN, and for no side
 * thread.
 */
typedef struct asyncuring_step {
    asyncuring_op op; /* its token is the driver's to set */
    /* The chain goes on if the result is at least this: the length of a transfer that has to be
     * complete, else 0. */
    int64_t wanted;
    int64_t result; /* ASYNCURING_NOT_RUN before, and after if the chain stopped earlier */
    uint32_t index;
    /* Whether the kernel may go on with the next step by itself: it does if a transfer's result is
     * all there is. So not where less will do; nor behind a sync, for behind one that fails it goes
     * on all the same (6.18, io_fsync() marks no failure); nor behind a write that a limit on the
     * file's size might cut off, for that the kernel takes for all there is (6.18, io_write() goes
     * on with what generic_write_checks() has left); nor on a stream, for who is to cancel a chain
     * cannot reach a step that waits for its turn. */
    uint32_t linked;
} asyncuring_step;

/* Steps that run one after the other, up to the first that does not come out as it should. The op's
 * own result is that step's negative errno; or, if there is none or it transferred too little, the
 * number of bytes that all of them have transferred. */
typedef struct asyncuring_chain {
    /* The driver's; 0 when the op is staged. */
    uint64_t token;
    struct asyncuring_chain *next, *previous;
    uint32_t place, under_way, cancelled;
    uint32_t count; /* of the steps; 1 at least */
    asyncuring_step steps[];
} asyncuring_chain;

enum { ASYNCURING_CHAIN_SIZE = 40, ASYNCURING_STEP_SIZE = 64 };
enum { ASYNCURING_NOT_RUN = -65536 }; /* no errno */

enum asyncuring_lock {
    ASYNCURING_LOCK_NONE = 0,
    ASYNCURING_LOCK_SHARED = 1,
    ASYNCURING_LOCK_EXCLUSIVE = 2
};

/* result: a count (or an fd, for OPEN), or a negative errno. */
typedef struct asyncuring_completion {
    uint64_t token;
    int64_t result;
} asyncuring_completion;

typedef struct asyncuring_counters {
    uint64_t enters;  /* io_uring_enter calls */
    uint64_t wakeups; /* times a thread of the driver slept and was woken */
    uint64_t rings;   /* times a loop's doorbell was rung */
    uint64_t spins;   /* times a thread of the driver, or a loop, spun before it slept: spin.h */
    uint64_t spin_ns; /* time spent so */
    uint64_t beside;  /* ops that side threads and the pool beside the rings carried out */
} asyncuring_counters;

/* Durations are counted in buckets: one for each 2^(ASYNCURING_LINEAR_LOG2 - ASYNCURING_PARTS_LOG2)
 * ns below 2^ASYNCURING_LINEAR_LOG2 ns, 2^ASYNCURING_PARTS_LOG2 for each power of two above, up to
 * 2^ASYNCURING_DURATION_LOG2 ns (18 minutes), and one for all that take longer. */
enum {
    ASYNCURING_LINEAR_LOG2 = 10,
    ASYNCURING_PARTS_LOG2 = 4,
    ASYNCURING_DURATION_LOG2 = 40,
    ASYNCURING_BUCKETS = 497
};
/* Linux has numbers up to 133 (EHWPOISON). */
enum { ASYNCURING_ERRNOS = 134 };

/* What was counted of the ops of one opcode in one class. All members are uint64_t. */
typedef struct asyncuring_tally {
    uint64_t begun; /* submitted to the driver */
    uint64_t done;  /* reaped; those that failed included */
    uint64_t bytes; /* transferred */
    /* Sums over what is done: from an op's origin to its submission, from there to its completion,
     * from there until the loop reaped it. */
    uint64_t backlog_ns, kernel_ns, loop_ns;
    uint64_t errors[ASYNCURING_ERRNOS]; /* failed, by errno; 0: any other */
    /* Histograms. */
    uint64_t backlog[ASYNCURING_BUCKETS], kernel[ASYNCURING_BUCKETS], loop[ASYNCURING_BUCKETS];
} asyncuring_tally;

/* An op that was reaped and had taken long. */
typedef struct asyncuring_slow_op {
    uint64_t token;
    uint64_t backlog_ns, kernel_ns, loop_ns;
} asyncuring_slow_op;

/* Where a driver's start failed. */
enum asyncuring_stage {
    ASYNCURING_STAGE_RESOURCES = 0,  /* memory, eventfd or thread */
    ASYNCURING_STAGE_SETUP = 1,      /* io_uring_setup(2) */
    ASYNCURING_STAGE_FEATURES = 2,   /* the kernel's io_uring lacks a feature we rely on */
    ASYNCURING_STAGE_FIRST_READ = 3, /* the ring exists, but a real read through it failed */
    ASYNCURING_STAGE_REGISTER = 4    /* it reads, but the doorbell of a port cannot be registered */
};

typedef struct asyncuring_start_error {
    int32_t stage;
    int32_t error; /* an errno */
} asyncuring_start_error;

enum { ASYNCURING_PORT_SHIFT = 48 };
enum { ASYNCURING_CLASS_SHIFT = 59 }; /* below, nanoseconds find room for 18 years */
/* What an op's opcode says besides. The bits 0 to 7 are the opcode; 8 to 15 the side thread that
 * carries it out, or the pool, or 0 for the driver; 16 to 31 the RWF_* flags (preadv2(2)) of a
 * READ, WRITE, READV or WRITEV, which then goes to no side thread. */
enum {
    ASYNCURING_OPCODE_MASK = 0xff,
    ASYNCURING_SIDE_SHIFT = 8,
    ASYNCURING_SIDE_MASK = 0xff00,
    ASYNCURING_SIDE_THREADS_MAX = 16,
    ASYNCURING_SIDE_POOL = 255,
    ASYNCURING_FLAGS_SHIFT = 16
};

/* 1 if this build contains the uring driver. */
int asyncuring_has_uring(void);
/* "2.3", or "unknown"; NULL without liburing. */
const char *asyncuring_liburing_version(void);
/* Which kernel opcodes (IORING_OP_*) work: one byte each; the count filled, or a negative errno. */
int asyncuring_uring_probe(uint8_t *supported, unsigned count);

/* Start a driver and its threads; NULL and *error on failure. */
asyncuring_driver *asyncuring_uring_start(asyncuring_start_error *error);
asyncuring_driver *asyncuring_uring_local_start(asyncuring_start_error *error);
asyncuring_driver *asyncuring_threads_start(unsigned threads, asyncuring_start_error *error);
/* Stop the threads and free everything. Every port must be detached. */
void asyncuring_driver_stop(asyncuring_driver *driver);
/* In a forked child: close the inherited fds and touch nothing else of the parent's. */
void asyncuring_driver_abandon(asyncuring_driver *driver);
/* Start side thread `number` (1 to ASYNCURING_SIDE_THREADS_MAX), unless it runs; 0 or a negative
 * errno. From then on the calling thread may name it in the opcode of a WRITE, of a READ that is
 * to be copied from the page cache (what is not there goes on to the driver), and of their CANCEL.
 * They stop with the driver. -EOPNOTSUPP where ports have rings of their own. */
int asyncuring_driver_side_start(asyncuring_driver *driver, unsigned number);
/* The opcode for an op that `call` describes: its own, or, if the kernel's ring does not have it,
 * with the side bits of a pool of threads, which is started at the first use. Or a negative errno.
 */
int64_t asyncuring_driver_call_opcode(asyncuring_driver *driver, unsigned opcode,
                                      const asyncuring_call *call);
void asyncuring_driver_counters(asyncuring_driver *driver, asyncuring_counters *counters);
/* Add to `sum` what all ports, detached ones included, have counted of one opcode in one class.
 * False if none has had such an op: then there is nothing to add. */
bool asyncuring_driver_tally(asyncuring_driver *driver, unsigned io_class, unsigned opcode,
                             asyncuring_tally *sum);
/* From now on each port notes ops that have taken `limit_ns` or longer; 0: none. Of the process. */
void asyncuring_note_slow_ops(uint64_t limit_ns);

/* Attach one event loop. Up to `depth` ops and as many cancels may be in flight. NULL and errno in
 * *error if there is no room. All other port functions belong to the attaching loop's thread. */
asyncuring_port *asyncuring_port_attach(asyncuring_driver *driver, unsigned depth, int *error);
/* Hand the port back, to be used by another loop. Nothing may be in flight. */
void asyncuring_port_detach(asyncuring_port *port);
unsigned asyncuring_port_index(const asyncuring_port *port);
int asyncuring_port_fd(const asyncuring_port *port);
/* Room for 2 * depth ops, to be filled before an exchange, and for their addresses and one more,
 * which the exchange puts in place: cffi stores a pointer in a third of the time that it takes to
 * make it an integer. */
asyncuring_op *asyncuring_port_staging(asyncuring_port *port);
char **asyncuring_port_addresses(asyncuring_port *port);
/* Submit the first `staged` ops of the staging area and reap up to `limit` completions into `out`;
 * returns how many. Fewer than `limit` means that none is left and the doorbell is armed: the
 * port's fd becomes readable with the next completion. `rung`: called because it was readable.
 * ASYNCURING_SOON instead of a count: none is there, but may be in a moment; the doorbell is not
 * armed. Call asyncuring_port_spin, then this again with nothing staged.
 * ASYNCURING_SLOW added to a count: asyncuring_port_slow_ops has something to tell.
 * Short and without waiting, so that the GIL can be kept. */
enum { ASYNCURING_SOON = 1 << 30, ASYNCURING_SLOW = 1 << 29 };
int asyncuring_port_exchange(asyncuring_port *port, unsigned staged, asyncuring_completion *out,
                             unsigned limit, int rung);
/* What the last exchange returned: for a caller who was interrupted before he could keep it. */
int asyncuring_port_returned(const asyncuring_port *port);
/* The slow ones among the ops that the last exchange reaped (asyncuring_note_slow_ops); returns how
 * many: ASYNCURING_SLOW_MAX at most, of more the rest is left out. */
enum { ASYNCURING_SLOW_MAX = 32 };
unsigned asyncuring_port_slow_ops(const asyncuring_port *port, const asyncuring_slow_op **slow_ops);
/* Look for completions for a moment (spin.h), or do what takes longer. Not with the GIL. */
void asyncuring_port_spin(asyncuring_port *port);
/* Read what the page cache has into the buffer whose address stands behind those of the ops:
 * preadv2(2), RWF_NOWAIT (Linux 4.14). The count, or a negative errno; -EAGAIN if it would have to
 * wait, -EOPNOTSUPP if file, kernel or C library do not have it. With the GIL: it is a short copy.
 */
int64_t asyncuring_port_read_cached(asyncuring_port *port, int fd, uint64_t length,
                                    uint64_t offset);

/* Note of a file that was just opened, before an op names it, whether its reads and writes wait
 * even if they are asked not to: rings pass them to the kernel's workers at once; and after the
 * first such file every OPEN, too. */
void asyncuring_note_file(int fd, bool is_slow);

/* Memory that may be registered with rings, so that ops on it cost the kernel less: at most 1 GiB
 * (io_uring_register(2)). Returns its id; 0 if there is no room for it. */
uint64_t asyncuring_region_add(uint64_t address, uint64_t length);
/* Before it is unmapped. No op names it. */
void asyncuring_region_remove(uint64_t id);
/* What became of it with a driver: 1 if it is registered, 0 if no op has named it yet, or a
 * negative errno. Of drivers with several rings, with the one that tried last. */
int asyncuring_driver_region(asyncuring_driver *driver, uint64_t id);
/* In a forked child. */
void asyncuring_regions_after_fork(void);

/* statx(2) STATX_DIOALIGN (Linux 6.1): the alignment O_DIRECT wants of memory and of offsets and
 * lengths, in bytes. 0, or a negative errno; -EOPNOTSUPP if the file does not report one. */
int asyncuring_direct_alignment(int fd, uint32_t *memory, uint32_t *offset);

/* What does not change of an open file: st_mode's type, st_dev, st_ino. From what the kernel knows
 * by then: a server, or FUSE's program, is not asked (statx(2), AT_STATX_DONT_SYNC; Linux 4.11),
 * for it may take as long as it likes. 0, or a negative errno. */
int asyncuring_identity(int fd, uint64_t identity[3]);
