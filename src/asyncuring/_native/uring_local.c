/* The `uring-local` driver: each port has an io_uring of its own, and there is no thread.
 *
 * The loop's thread enters its ring itself, once per exchange, with all that was staged. Reads that
 * the page cache serves are copied meanwhile and reaped in the same exchange. Of the others the
 * kernel tells through the port's doorbell, whose eventfd is registered with the ring: it is told
 * not to while the loop is awake, and arming is to withdraw that (as in doorbell.h, and like there
 * the loop looks once more).
 *
 * A submission queue with room for all that a port may have outstanding makes every batch fit, also
 * when the kernel has refused the one before. Not only the loop's thread enters: a detached port
 * goes to another loop, and what is left of a closed one is drained by whichever thread sweeps; one
 * at a time.
 */
#define _GNU_SOURCE /* liburing.h */
#include "port.h"
#include "side.h"
#include "uring_chain.h"
#include "uring_regions.h"
#include <stdio.h>
#include <time.h>

/* After an error that may pass (EAGAIN, ENOMEM) with nothing to reap: try again after this. */
#define RETRY_NANOSECONDS 1000000
/* What is copied with the GIL: some 20 us' worth, less than a tick of the loop takes. */
#define SHORT_BYTES (64 * 1024)

#ifndef IORING_SQ_TASKRUN
#define IORING_SQ_TASKRUN (1U << 2)
#endif

/* Steps of chains that may be in the kernel: with all else that may be, they fit in the completion
 * queue. */
#define STEPS_MAX (RING_PORT_CQ_ENTRIES - RING_PORT_SQ_ENTRIES)

struct local_ring {
    struct io_uring ring;
    struct ring_regions regions;
    struct ring_chains chains;
    unsigned steps_in_kernel;
    bool created;
    int broken; /* an errno, once io_uring_enter failed for good */
};

/* ---- entering ---- */

/* What the kernel has not taken fails, now and from now on; what it has taken it completes, for
 * such a ring's completions need no entering. */
static void break_down(asyncuring_port *port, int error)
{
    struct local_ring *self = port->own;
    fprintf(stderr, "asyncuring: io_uring_enter: %s; every further operation fails\n",
            strerror(error));
    self->broken = error;
    struct io_uring_sq *sq = &self->ring.sq;
    for (unsigned i = io_uring_sq_ready(&self->ring); i > 0; i--) {
        struct io_uring_sqe *sqe = &sq->sqes[(sq->sqe_tail - i) & *sq->kring_mask];
        int fd_to_close = sqe->opcode == IORING_OP_CLOSE ? sqe->fd : -1;
        if (chain_names_step(sqe->user_data))
            continue; /* it is taken back */
        port_deliver(port, sqe->user_data, ring_result_without(error, fd_to_close), clock_ns());
    }
}

/* True if it may take more at once. */
static bool enter_once(asyncuring_port *port)
{
    struct local_ring *self = port->own;
    driver_count(&port->driver->enters);
    int result = io_uring_submit(&self->ring);
    if (result > 0 || result == -EINTR)
        return true;
    if (result < 0 && !ring_error_passes(result))
        break_down(port, -result);
    return false;
}

static void enter(asyncuring_port *port)
{
    struct local_ring *self = port->own;
    while (enter_once(port) && io_uring_sq_ready(&self->ring) > 0)
        ;
}

static bool has_unsubmitted(asyncuring_port *port)
{
    struct local_ring *self = port->own;
    return !self->broken && io_uring_sq_ready(&self->ring) > 0;
}

static bool chains_may_run(asyncuring_port *port)
{
    struct local_ring *self = port->own;
    return self->chains.waiting.first && (self->broken || self->steps_in_kernel < STEPS_MAX);
}

static bool has_more_to_submit(asyncuring_port *port)
{
    return has_unsubmitted(port) || chains_may_run(port);
}

static void submit_chains(asyncuring_port *port)
{
    struct local_ring *self = port->own;
    unsigned left = io_uring_sq_ready(&self->ring);
    while (left == 0 && !self->broken && chains_may_run(port)) {
        unsigned room = STEPS_MAX - self->steps_in_kernel;
        self->steps_in_kernel += ring_chains_prepare(&self->chains, &self->ring, room);
        enter_once(port);
        left = ring_chains_take_back(&self->chains, &self->ring);
        self->steps_in_kernel -= left;
    }
    asyncuring_chain *over;
    while (self->broken && (over = ring_chain_give_up(&self->chains)))
        port_deliver(port, over->token, -self->broken, clock_ns());
}

/* Without the GIL: many or large copies, chains, or a kernel that is short of something. */
static void local_go_on(asyncuring_port *port)
{
    struct local_ring *self = port->own;
    if (has_unsubmitted(port))
        enter(port);
    submit_chains(port);
    if (has_more_to_submit(port) && io_uring_cq_ready(&self->ring) == 0)
        nanosleep(&(struct timespec){.tv_nsec = RETRY_NANOSECONDS}, NULL);
}

static void prepare_one(asyncuring_port *port, const asyncuring_op *op)
{
    struct local_ring *self = port->own;
    asyncuring_chain *over;
    ring_chains_take(&self->chains, &self->ring, *op, &over);
    if (over)
        port_deliver(port, over->token, chain_result(over), clock_ns());
}

/* Returns how many bytes are to be transferred. */
static uint64_t prepare(asyncuring_port *port, unsigned staged)
{
    struct local_ring *self = port->own;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < staged; i++) {
        const asyncuring_op *op = &port->staging[i];
        bytes += ring_transfer_length(op);
        if (side_of(op)) {
            sides_push(port->driver, op, 1);
        } else if (!self->broken) {
            prepare_one(port, op);
        } else {
            int fd_to_close = opcode_of(op) == ASYNCURING_OP_CLOSE ? op->fd : -1;
            port_deliver(port, op->token, ring_result_without(self->broken, fd_to_close),
                         clock_ns());
        }
    }
    return bytes;
}

/* ---- completions ---- */

/* A step is done. True if its chain is, too: *completion is the chain's. */
static bool end_step(struct local_ring *self, const struct io_uring_cqe *cqe,
                     asyncuring_completion *completion)
{
    self->steps_in_kernel--;
    asyncuring_chain *over = ring_chain_step_done(&self->chains, cqe);
    if (over)
        *completion = (asyncuring_completion){.token = over->token, .result = chain_result(over)};
    return over != NULL;
}

static unsigned reap(asyncuring_port *port, asyncuring_completion *out, unsigned limit)
{
    struct local_ring *self = port->own;
    unsigned reaped = 0, head;
    uint64_t now_ns = 0;
    /* What failed, and what the pool has done. */
    unsigned count = port_take(port, out, limit, &now_ns);
    /* relaxed: a hint; what we miss here, any system call of this thread runs. */
    if (!self->broken &&
        __atomic_load_n(self->ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN) {
        driver_count(&port->driver->enters);
        io_uring_get_events(&self->ring);
    }
    struct io_uring_cqe *cqe;
    io_uring_for_each_cqe(&self->ring, head, cqe)
    {
        if (count == limit)
            break;
        if (now_ns == 0)
            now_ns = clock_ns();
        reaped++;
        out[count] = (asyncuring_completion){.token = cqe->user_data, .result = cqe->res};
        if (chain_names_step(cqe->user_data) && !end_step(self, cqe, &out[count]))
            continue;
        tally_end(&port->tally, &out[count++], now_ns, now_ns);
    }
    io_uring_cq_advance(&self->ring, reaped);
    return count;
}

static void arm(asyncuring_port *port)
{
    struct local_ring *self = port->own;
    /* seq_cst RMW: the second look, which follows, may not be taken before. */
    __atomic_fetch_and(self->ring.cq.kflags, ~IORING_CQ_EVENTFD_DISABLED, __ATOMIC_SEQ_CST);
    doorbell_arm(&port->doorbell); /* for the pool */
    port->armed = true;
}

/* True if the kernel or the pool has rung, or is just ringing. */
static bool disarm(asyncuring_port *port)
{
    struct local_ring *self = port->own;
    __atomic_fetch_or(self->ring.cq.kflags, IORING_CQ_EVENTFD_DISABLED, __ATOMIC_SEQ_CST);
    if (!port->armed)
        return false;
    port->armed = false;
    return !doorbell_disarm(&port->doorbell) || io_uring_cq_ready(&self->ring) > 0;
}

static int local_exchange(asyncuring_port *port, unsigned staged, asyncuring_completion *out,
                          unsigned limit, int rung)
{
    if (disarm(port) || rung) {
        eventfd_t rings;
        if (eventfd_read(port->doorbell.fd, &rings) == 0)
            driver_count(&port->driver->rings);
    }
    uint64_t bytes = prepare(port, staged);
    if (has_unsubmitted(port) && bytes <= SHORT_BYTES)
        enter(port);
    if (has_more_to_submit(port) && (staged > 0 || rung))
        return ASYNCURING_SOON;
    unsigned count = 0;
    for (;;) {
        count += reap(port, out + count, limit - count);
        if (count == limit || port->armed)
            break;
        arm(port); /* and look once more */
    }
    if (has_more_to_submit(port))
        eventfd_write(port->doorbell.ring_fd, 1); /* the loop does not sleep before another try */
    return port_reaped(port, count);
}

/* ---- a port's life, and the driver's ---- */

static int local_open(asyncuring_port *port)
{
    struct local_ring *self = port->own = calloc(1, sizeof *self);
    if (!self)
        return ENOMEM;
    if (2 * port->depth > RING_PORT_SQ_ENTRIES)
        return EINVAL;
    asyncuring_start_error error = {0};
    if (ring_create(&self->ring, RING_OF_A_PORT, &error) < 0)
        return error.error;
    self->created = true;
    self->chains.regions = &self->regions;
    self->chains.reports = port->driver->regions;
    return -io_uring_register_eventfd(&self->ring, port->doorbell.ring_fd);
}

/* A ring that nobody uses learns nothing of memory that goes: so it lets go of all at once. */
static void local_detach(asyncuring_port *port)
{
    struct local_ring *self = port->own;
    ring_regions_clear(&self->regions, &self->ring);
}

static void local_close(asyncuring_port *port)
{
    struct local_ring *self = port->own;
    if (self && self->created)
        ring_close(&self->ring);
    free(self);
}

static void local_abandon(asyncuring_port *port)
{
    close(((struct local_ring *)port->own)->ring.ring_fd);
}

static void local_nothing(asyncuring_driver *driver)
{
    (void)driver;
}

static const struct port_kind local_ports = {.open = local_open,
                                             .close = local_close,
                                             .detach = local_detach,
                                             .abandon = local_abandon,
                                             .exchange = local_exchange,
                                             .go_on = local_go_on};
static const struct driver_kind local_kind = {
    .stop = local_nothing, .abandon = local_nothing, .ports = &local_ports};

/* Ports need io_uring_register(2), which a sandbox may forbid. 0 or an errno. */
static int try_to_register(struct io_uring *ring)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    if (fd < 0)
        return errno;
    int result = io_uring_register_eventfd(ring, fd);
    close(fd);
    return -result;
}

asyncuring_driver *asyncuring_uring_local_start(asyncuring_start_error *error)
{
    /* A ring that works here will do so for the loops, too. */
    struct io_uring ring;
    *error = (asyncuring_start_error){ASYNCURING_STAGE_RESOURCES, 0};
    if (ring_create_tried(&ring, RING_OF_A_PORT, error) < 0)
        return NULL;
    uint32_t carries = ring_carries(&ring);
    *error = (asyncuring_start_error){ASYNCURING_STAGE_REGISTER, try_to_register(&ring)};
    ring_close(&ring);
    if (error->error != 0)
        return NULL;
    asyncuring_driver *driver = driver_create(&local_kind, NULL, &error->error);
    if (driver)
        driver->carries = carries;
    return driver;
}
