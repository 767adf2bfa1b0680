/* The `uring` driver: one thread owns an io_uring and serves every port.
 *
 * The thread takes a SMALL batch of ops from the queue, turns them into SQEs, enters the kernel
 * once, delivers the completions that are there and rings each port's doorbell once. The batch is
 * small on purpose: reads that the page cache can serve are copied during io_uring_enter, so a
 * batch of everything that is queued would make this thread and Python take turns instead of
 * working at the same time (measured: half the throughput).
 *
 * A token serves as user_data as it is: it names the port in its upper bits, so the thread keeps no
 * table of ops in flight, only their number, which never exceeds the completion queue.
 */
#define _GNU_SOURCE /* liburing.h, sched_getaffinity */
#include "uring.h"
#include "uring_chain.h"
#include "uring_regions.h"
#include <sched.h>
#include <stdio.h>
#include <time.h>

/* user_data of the read that waits for our own doorbell. Not a token: those count from 1. */
#define DOORBELL_USER_DATA 0
/* After an error that may pass (EAGAIN, ENOMEM) with nothing to reap: try again after this. */
#define RETRY_NANOSECONDS 1000000

struct ring_thread {
    asyncuring_driver *driver;
    pthread_t thread;
    struct io_uring ring;
    struct ring_regions regions;
    unsigned in_kernel; /* SQEs prepared and not yet completed, the doorbell's read excepted */
    struct ring_chains chains;
    unsigned in_kernel_max;
    bool doorbell_reading; /* a read of our doorbell is in the kernel */
    uint64_t doorbell_value;
    struct spin spin;
    bool may_spin;
    uint64_t now_ns;                            /* of what is being delivered */
    int broken;                                 /* an errno, once io_uring_enter failed for good */
    asyncuring_port *touched[DRIVER_PORTS_MAX]; /* ports to ring after this batch */
    unsigned touched_count;

    /* How the thread's start went; the starting thread waits for it. */
    pthread_mutex_t starting;
    pthread_cond_t started;
    bool reported;
    asyncuring_start_error start;
};

/* ---- delivery ---- */

static void deliver(struct ring_thread *self, uint64_t token, int64_t result)
{
    asyncuring_port *port = driver_port_of(self->driver, token);
    port_deliver(port, token, result, self->now_ns);
    for (unsigned i = 0; i < self->touched_count; i++)
        if (self->touched[i] == port)
            return;
    self->touched[self->touched_count++] = port;
}

static void ring_touched_ports(struct ring_thread *self)
{
    for (unsigned i = 0; i < self->touched_count; i++)
        port_ring(self->touched[i]);
    self->touched_count = 0;
}

static unsigned reap(struct ring_thread *self)
{
    struct io_uring_cqe *cqe;
    unsigned head, count = 0;
    io_uring_for_each_cqe(&self->ring, head, cqe)
    {
        if (count++ == 0)
            self->now_ns = clock_ns();
        if (cqe->user_data == DOORBELL_USER_DATA) {
            self->doorbell_reading = false;
            continue;
        }
        self->in_kernel--;
        if (chain_names_step(cqe->user_data)) {
            asyncuring_chain *over = ring_chain_step_done(&self->chains, cqe);
            if (over)
                deliver(self, over->token, chain_result(over));
            continue;
        }
        deliver(self, cqe->user_data, cqe->res);
    }
    io_uring_cq_advance(&self->ring, count);
    ring_touched_ports(self);
    return count;
}

/* ---- the loop ---- */

static void take(struct ring_thread *self, const asyncuring_op *op)
{
    asyncuring_chain *over;
    self->in_kernel += ring_chains_take(&self->chains, &self->ring, *op, &over);
    if (over) {
        self->now_ns = clock_ns();
        deliver(self, over->token, chain_result(over));
    }
}

static bool ring_has_room(const struct ring_thread *self)
{
    return self->in_kernel < self->in_kernel_max;
}

static unsigned take_batch(struct ring_thread *self)
{
    struct queue *ops = &self->driver->ops;
    unsigned count = 0;
    const asyncuring_op *op;
    /* The kernel may take less than a whole batch; then the rest is still in the way. */
    unsigned room = io_uring_sq_space_left(&self->ring);
    if (room > BATCH_OPS)
        room = BATCH_OPS;
    else if (room > 0)
        room--; /* for the doorbell's read, unless that is there already */
    uint64_t bytes = 0;
    while (count < room && bytes < BATCH_BYTES && ring_has_room(self) && (op = queue_front(ops))) {
        bytes += ring_transfer_length(op);
        take(self, op);
        queue_pop(ops);
        count++;
    }
    return count;
}

static void fail(struct ring_thread *self, uint64_t token, int fd_to_close)
{
    deliver(self, token, ring_result_without(self->broken, fd_to_close));
}

/* io_uring_enter failed for good (a seccomp filter installed later, say): what the kernel has not
 * taken fails with that error, now and from now on. Of what it has taken nothing more is heard
 * (with DEFER_TASKRUN completions come by entering alone), so those buffers stay pinned for ever.
 */
static void break_down(struct ring_thread *self, int error)
{
    fprintf(stderr, "asyncuring: io_uring_enter: %s; every further operation fails\n",
            strerror(error));
    self->broken = error;
    self->now_ns = clock_ns();
    struct io_uring_sq *sq = &self->ring.sq;
    unsigned mask = *sq->kring_mask;
    for (unsigned i = io_uring_sq_ready(&self->ring); i > 0; i--) {
        struct io_uring_sqe *sqe = &sq->sqes[(sq->sqe_tail - i) & mask];
        if (sqe->user_data == DOORBELL_USER_DATA)
            self->doorbell_reading = false;
        else if (!chain_names_step(sqe->user_data)) { /* these are taken back */
            self->in_kernel--;
            fail(self, sqe->user_data, sqe->opcode == IORING_OP_CLOSE ? sqe->fd : -1);
        }
    }
    ring_touched_ports(self);
}

static void fail_queued(struct ring_thread *self)
{
    struct queue *ops = &self->driver->ops;
    const asyncuring_op *op;
    while ((op = queue_front(ops))) {
        asyncuring_op failing = *op;
        self->now_ns = clock_ns();
        queue_pop(ops);
        fail(self, failing.token, opcode_of(&failing) == ASYNCURING_OP_CLOSE ? failing.fd : -1);
        ring_touched_ports(self);
    }
}

/* Submit what is prepared; run what the kernel has deferred; wait for `wait` completions. */
static void enter(struct ring_thread *self, unsigned wait)
{
    driver_count(&self->driver->enters);
    int result = wait ? io_uring_submit_and_wait(&self->ring, wait)
                      : io_uring_submit_and_get_events(&self->ring);
    if (result >= 0 || result == -EINTR)
        return;
    if (ring_error_passes(result)) {
        /* Our own completions may free what it is short of. */
        if (io_uring_cq_ready(&self->ring) == 0)
            nanosleep(&(struct timespec){.tv_nsec = RETRY_NANOSECONDS}, NULL);
        return;
    }
    break_down(self, -result);
}

static bool chains_may_run(const struct ring_thread *self)
{
    return self->chains.waiting.first && self->in_kernel < self->in_kernel_max + BATCH_OPS;
}

/* Begin runs of chains, as soon as nothing else is on its way into the kernel. */
static void submit_chains(struct ring_thread *self)
{
    if (chains_may_run(self) && !self->broken && io_uring_sq_ready(&self->ring) == 0) {
        unsigned room = self->in_kernel_max + BATCH_OPS - self->in_kernel;
        room = room < BATCH_OPS ? room : BATCH_OPS;
        self->in_kernel += ring_chains_prepare(&self->chains, &self->ring, room);
        enter(self, 0);
        self->in_kernel -= ring_chains_take_back(&self->chains, &self->ring);
    }
    asyncuring_chain *over;
    while (self->broken && (over = ring_chain_give_up(&self->chains))) {
        self->now_ns = clock_ns();
        deliver(self, over->token, -self->broken);
    }
}

static bool has_reason_to_stay_awake(const void *ring_thread)
{
    const struct ring_thread *self = ring_thread;
    /* What the ring has no room for waits for a completion, which comes by entering the ring. */
    bool takes = ring_has_room(self) || self->broken;
    return (takes && queue_front(&self->driver->ops) != NULL) ||
           atomic_load_explicit(&self->driver->stopping, memory_order_seq_cst);
}

/* Put a read of the doorbell into the ring, so that one wait serves completions and rings. */
static void doorbell_read(struct ring_thread *self)
{
    struct io_uring_sqe *sqe = ring_sqe(&self->ring);
    io_uring_prep_read(sqe, self->driver->doorbell.fd, &self->doorbell_value,
                       sizeof self->doorbell_value, 0);
    sqe->user_data = DOORBELL_USER_DATA;
    self->doorbell_reading = true;
}

/* Nothing to do: sleep until an op is queued or a completion arrives. */
static void sleep_until_work(struct ring_thread *self)
{
    struct doorbell *doorbell = &self->driver->doorbell;
    struct spinning *spinning = &self->driver->spinning;
    if (self->in_kernel == 0 && spin_is_due(&self->spin, spinning)) {
        spin_until(&self->spin, spinning, has_reason_to_stay_awake, self);
        if (has_reason_to_stay_awake(self))
            return;
    }
    doorbell_arm(doorbell);
    bool awake = has_reason_to_stay_awake(self); /* armed, and looked once more: doorbell.h */
    if (!awake) {
        driver_count(&self->driver->wakeups);
        if (self->broken && self->in_kernel > 0) {
            nanosleep(&(struct timespec){.tv_nsec = RETRY_NANOSECONDS}, NULL);
        } else if (self->broken || (self->in_kernel == 0 && !self->doorbell_reading)) {
            doorbell_wait(doorbell);   /* the short way: no completion can arrive */
            doorbell_disarm(doorbell); /* in case that was a ring of an earlier sleep */
            return;
        } else {
            if (!self->doorbell_reading)
                doorbell_read(self);
            enter(self, 1);
        }
    }
    /* Awake, and not (only) by the doorbell: nobody need ring any more. A ring that is on its way
     * is taken off the fd by the ring's own read, or else by us. */
    if (!doorbell_disarm(doorbell) && !self->doorbell_reading)
        doorbell_wait(doorbell);
}

static void ring_loop(struct ring_thread *self)
{
    for (;;) {
        unsigned taken = 0;
        if (self->broken)
            fail_queued(self);
        else
            taken = take_batch(self);
        if (!self->broken && io_uring_sq_ready(&self->ring) > 0)
            enter(self, 0);
        submit_chains(self);
        unsigned reaped = reap(self);
        if (taken > 0)
            atomic_store_explicit(&self->driver->spinning.prompt,
                                  self->may_spin && self->in_kernel == 0 && taken <= SPIN_OPS_MAX,
                                  memory_order_relaxed);
        if (taken > 0 || reaped > 0 || chains_may_run(self))
            continue;
        if (atomic_load_explicit(&self->driver->stopping, memory_order_seq_cst) &&
            self->in_kernel == 0 && queue_front(&self->driver->ops) == NULL)
            return;
        sleep_until_work(self);
    }
}

/* The kernel may not write into our doorbell_value after we have freed it. */
static void end_doorbell_read(struct ring_thread *self)
{
    if (self->broken || !self->doorbell_reading)
        return;
    doorbell_arm(&self->driver->doorbell);
    doorbell_ring(&self->driver->doorbell);
    while (self->doorbell_reading && !self->broken) {
        enter(self, 1);
        reap(self);
    }
}

static void report_start(struct ring_thread *self)
{
    pthread_mutex_lock(&self->starting);
    self->reported = true;
    pthread_cond_signal(&self->started);
    pthread_mutex_unlock(&self->starting);
}

/* On a single one a spin keeps from running whom it waits for. */
static bool has_two_processors(void)
{
    cpu_set_t processors;
    return sched_getaffinity(0, sizeof processors, &processors) == 0 && CPU_COUNT(&processors) > 1;
}

static void *ring_run(void *argument)
{
    struct ring_thread *self = argument;
    /* Created here: with SINGLE_ISSUER the creating thread is the only one that may submit. */
    int created = ring_create_tried(&self->ring, RING_OF_ONE_THREAD, &self->start);
    if (created == 0)
        self->driver->carries = ring_carries(&self->ring);
    report_start(self);
    if (created < 0)
        return NULL;
    self->may_spin = has_two_processors();
    self->chains.regions = &self->regions;
    self->chains.reports = self->driver->regions;
    /* So much room is left for chains. */
    self->in_kernel_max = *self->ring.cq.kring_entries - RING_SQ_ENTRIES - BATCH_OPS;
    ring_loop(self);
    end_doorbell_read(self);
    ring_close(&self->ring);
    return NULL;
}

/* ---- the driver ---- */

static void ring_free(struct ring_thread *self)
{
    pthread_join(self->thread, NULL);
    pthread_mutex_destroy(&self->starting);
    pthread_cond_destroy(&self->started);
    free(self);
}

static void uring_stop(asyncuring_driver *driver)
{
    atomic_store_explicit(&driver->stopping, true, memory_order_seq_cst);
    doorbell_ring(&driver->doorbell);
    ring_free(driver->kind_state);
}

static void uring_abandon(asyncuring_driver *driver)
{
    struct ring_thread *self = driver->kind_state;
    close(self->ring.ring_fd);
}

static const struct driver_kind uring_kind = {.stop = uring_stop, .abandon = uring_abandon};

asyncuring_driver *asyncuring_uring_start(asyncuring_start_error *error)
{
    *error = (asyncuring_start_error){ASYNCURING_STAGE_RESOURCES, ENOMEM};
    struct ring_thread *self = calloc(1, sizeof *self);
    if (!self)
        return NULL;
    self->driver = driver_create(&uring_kind, self, &error->error);
    if (!self->driver) {
        free(self);
        return NULL;
    }
    pthread_mutex_init(&self->starting, NULL);
    pthread_cond_init(&self->started, NULL);
    asyncuring_driver *driver = self->driver;
    error->error = driver_thread_start(&self->thread, ring_run, self);
    if (error->error != 0) {
        pthread_mutex_destroy(&self->starting);
        pthread_cond_destroy(&self->started);
        free(self);
        driver_destroy(driver);
        return NULL;
    }
    pthread_mutex_lock(&self->starting);
    while (!self->reported)
        pthread_cond_wait(&self->started, &self->starting);
    pthread_mutex_unlock(&self->starting);
    *error = self->start;
    if (error->error == 0)
        return driver;
    ring_free(self);
    driver_destroy(driver);
    return NULL;
}
