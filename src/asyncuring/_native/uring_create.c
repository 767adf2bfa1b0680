/* An io_uring that works: its creation, its first read, and what the kernel supports. */
#define _GNU_SOURCE /* memfd_create, liburing.h */
#include "clock.h"
#include "uring.h"
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* Only io-wq's workers for streams are unlimited by default; these block in pipes and the like. */
#define STREAM_WORKERS_MAX 64

#define FIRST_READ_TRIES 1000 /* a second */

/* The kernel gives the locked memory of a ring back some time after it was closed (6.18: tens of
 * milliseconds). Where the limit admits few rings, the next one has to wait for that. */
#define GIVEN_BACK_NS 200000000
#define GIVEN_BACK_LOOK_NS 1000000

#ifndef IORING_SETUP_COOP_TASKRUN
#define IORING_SETUP_COOP_TASKRUN (1U << 8)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

#ifndef IORING_SETUP_TASKRUN_FLAG
#define IORING_SETUP_TASKRUN_FLAG (1U << 9)
#endif

/* Newest first; a kernel that does not know a flag answers EINVAL. DEFER_TASKRUN (6.1) runs
 * completions when the thread enters that the ring belongs to, and not by interrupting it;
 * COOP_TASKRUN (5.19) nearly so, with any system call of the thread that submitted. */
static const unsigned flags_of_one_thread[] = {
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN, 0};
/* A port is handed from loop to loop, and what is left of a loop that is gone is drained by another
 * thread. Neither is possible with SINGLE_ISSUER, nor the latter with DEFER_TASKRUN. */
static const unsigned flags_of_a_port[] = {IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
                                           0};

static int create_with(struct io_uring *ring, enum ring_kind kind, unsigned cq_entries)
{
    const unsigned *flags = kind == RING_OF_A_PORT ? flags_of_a_port : flags_of_one_thread;
    unsigned sq_entries = kind == RING_OF_A_PORT ? RING_PORT_SQ_ENTRIES : RING_SQ_ENTRIES;
    for (;; flags++) {
        struct io_uring_params params = {.flags = *flags | IORING_SETUP_CQSIZE,
                                         .cq_entries = cq_entries};
        int result = io_uring_queue_init_params(sq_entries, ring, &params);
        if (result != -EINVAL || *flags == 0)
            return result;
    }
}

static int create_with_room(struct io_uring *ring, enum ring_kind kind)
{
    bool of_a_port = kind == RING_OF_A_PORT;
    int result = create_with(ring, kind, of_a_port ? RING_PORT_CQ_ENTRIES : RING_CQ_ENTRIES);
    if (result == -ENOMEM && !of_a_port)
        result = create_with(ring, kind, RING_CQ_ENTRIES_FEW);
    return result;
}

static _Atomic uint64_t closed_ns; /* when the last ring of the process was closed; 0: never */

static bool may_be_given_back(void)
{
    uint64_t closed = atomic_load_explicit(&closed_ns, memory_order_relaxed);
    return closed != 0 && clock_ns() - closed < GIVEN_BACK_NS;
}

void ring_close(struct io_uring *ring)
{
    io_uring_queue_exit(ring);
    atomic_store_explicit(&closed_ns, clock_ns(), memory_order_relaxed);
}

int ring_create(struct io_uring *ring, enum ring_kind kind, asyncuring_start_error *error)
{
    bool of_a_port = kind == RING_OF_A_PORT;
    int result = create_with_room(ring, kind);
    while (result == -ENOMEM && may_be_given_back()) {
        nanosleep(&(struct timespec){.tv_nsec = GIVEN_BACK_LOOK_NS}, NULL);
        result = create_with_room(ring, kind);
    }
    if (result < 0) {
        *error = (asyncuring_start_error){ASYNCURING_STAGE_SETUP, -result};
        return -1;
    }
    /* NODROP (5.5): a completion is never dropped. The flags of the completion queue (5.8): so that
     * a port can say whether it sleeps. */
    if (!(ring->features & IORING_FEAT_NODROP) || (of_a_port && !ring->cq.kflags)) {
        ring_close(ring);
        *error = (asyncuring_start_error){ASYNCURING_STAGE_FEATURES, ENOSYS};
        return -1;
    }
    unsigned workers[2] = {0, STREAM_WORKERS_MAX};
    /* 5.15; an older kernel keeps its own limits. */
    (void)io_uring_register_iowq_max_workers(ring, workers);
    return 0;
}

/* Read something real: a sandbox may allow io_uring_setup and forbid the rest. */
static int first_read(struct io_uring *ring)
{
    static const char written[8] = "asyncur";
    char read_back[8] = {0};
    int fd = memfd_create("asyncuring-probe", MFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int result = -EIO;
    if (write(fd, written, sizeof written) == sizeof written) {
        struct io_uring_sqe *sqe = ring_sqe(ring);
        io_uring_prep_read(sqe, fd, read_back, sizeof read_back, 0);
        struct io_uring_cqe *cqe;
        /* A kernel that goes on being short of something has answered. */
        for (unsigned tries = 0; tries < FIRST_READ_TRIES; tries++) {
            result = io_uring_submit_and_wait(ring, 1);
            if (result != -EINTR && !ring_error_passes(result))
                break;
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
        if (result >= 0)
            result = io_uring_peek_cqe(ring, &cqe);
        if (result == 0) {
            result = cqe->res;
            io_uring_cqe_seen(ring, cqe);
        }
        if (result >= 0)
            result = memcmp(written, read_back, sizeof written) == 0 ? 0 : -EIO;
    }
    close(fd);
    return result;
}

int ring_create_tried(struct io_uring *ring, enum ring_kind kind, asyncuring_start_error *error)
{
    if (ring_create(ring, kind, error) < 0)
        return -1;
    int result = first_read(ring);
    if (result == 0)
        return 0;
    ring_close(ring);
    *error = (asyncuring_start_error){ASYNCURING_STAGE_FIRST_READ, -result};
    return -1;
}

int asyncuring_has_uring(void)
{
    return 1;
}

const char *asyncuring_liburing_version(void)
{
    return ASYNCURING_LIBURING_VERSION; /* build.py: its header does not say before 2.4 */
}

int asyncuring_uring_probe(uint8_t *supported, unsigned count)
{
    struct io_uring_probe *probe = io_uring_get_probe();
    if (!probe)
        return -ENOSYS;
    for (unsigned i = 0; i < count; i++)
        supported[i] = i <= probe->last_op && io_uring_opcode_supported(probe, (int)i);
    int known = probe->last_op + 1;
    io_uring_free_probe(probe);
    return known;
}
