/* The thread that waits for streams; see streams.h for what they are. */
#include "streams.h"
#include "chain.h"
#include "transfer.h"
#include <poll.h>

#define WAITING_MAX (1u << DRIVER_QUEUE_LOG2) /* what may be outstanding in one driver */

struct streams {
    asyncuring_driver *driver;
    pthread_t thread;
    struct queue ops;
    struct doorbell doorbell;
    _Atomic bool stopping;

    /* The thread's own, in order of arrival. Pages that were never used are never touched. */
    asyncuring_op *waiting;
    struct pollfd *fds; /* each fd once: poll(2) takes no more of them than there may be files */
    unsigned waiting_count, fds_count;
};

/* A step is done, and its chain goes back to the pool. There is room for it: whoever submitted it
 * has a share in that queue. */
static void complete_step(struct streams *self, asyncuring_step *step, int64_t result)
{
    asyncuring_chain *chain = chain_of(step);
    step->result = result;
    const asyncuring_op op = {
        .token = chain->token, .address = (uintptr_t)chain, .opcode = ASYNCURING_OP_CHAIN};
    queue_push(&self->driver->ops, &op, 1);
    doorbell_ring(&self->driver->doorbell);
}

static void complete(struct streams *self, uint64_t token, int64_t result)
{
    if (chain_names_step(token)) {
        complete_step(self, chain_step(token), result);
        return;
    }
    asyncuring_port *port = driver_port_of(self->driver, token);
    port_deliver(port, token, result, clock_ns());
    port_ring(port);
}

/* ---- one op ---- */

static short events_of(const asyncuring_op *op)
{
    return transfer_reads(op) ? POLLIN : POLLOUT;
}

static int64_t transfer_ready(const asyncuring_op *op)
{
    /* Pipes know it since Linux 6.5; then a large write stops where it would have to wait. */
    int64_t count = transfer_at(op, TRANSFER_NEXT, TRANSFER_NOWAIT);
    if (count != -EOPNOTSUPP)
        return count;
    /* Another op on the same fd may have taken what poll(2) had seen. */
    struct pollfd fd = {.fd = op->fd, .events = events_of(op)};
    return poll(&fd, 1, 0) == 0 ? -EAGAIN : transfer_at(op, TRANSFER_NEXT, 0);
}

/* False if it goes on waiting. */
static bool try_to_complete(struct streams *self, const asyncuring_op *op)
{
    int64_t result = transfer_ready(op);
    if (result == -EAGAIN || result == -EINTR)
        return false;
    complete(self, op->token, result);
    return true;
}

/* ---- all that wait ---- */

/* A step is cancelled by the name of its chain. */
static bool is_named(const asyncuring_op *op, uint64_t token)
{
    if (chain_names_step(op->token))
        return chain_of(chain_step(op->token))->token == token;
    return op->token == token;
}

static int64_t cancel(struct streams *self, uint64_t token)
{
    for (unsigned i = 0; i < self->waiting_count; i++) {
        if (!is_named(&self->waiting[i], token))
            continue;
        complete(self, self->waiting[i].token, -ECANCELED);
        self->waiting_count--;
        memmove(&self->waiting[i], &self->waiting[i + 1],
                (self->waiting_count - i) * sizeof *self->waiting);
        return 0;
    }
    return -ENOENT;
}

static void take_all(struct streams *self)
{
    const asyncuring_op *op;
    while ((op = queue_front(&self->ops))) {
        asyncuring_op taken = *op;
        queue_pop(&self->ops);
        if (opcode_of(&taken) == ASYNCURING_OP_CANCEL)
            complete(self, taken.token, cancel(self, taken.argument));
        else
            self->waiting[self->waiting_count++] = taken;
    }
}

static struct pollfd *find_fd(struct streams *self, int fd)
{
    for (unsigned i = 1; i < self->fds_count; i++)
        if (self->fds[i].fd == fd)
            return &self->fds[i];
    return NULL;
}

static void list_fds(struct streams *self)
{
    self->fds[0] = (struct pollfd){.fd = self->doorbell.fd, .events = POLLIN};
    self->fds_count = 1;
    for (unsigned i = 0; i < self->waiting_count; i++) {
        const asyncuring_op *op = &self->waiting[i];
        struct pollfd *fd = find_fd(self, op->fd);
        if (!fd) {
            fd = &self->fds[self->fds_count++];
            *fd = (struct pollfd){.fd = op->fd};
        }
        fd->events |= events_of(op);
    }
}

static void serve_ready(struct streams *self)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < self->waiting_count; i++) {
        const asyncuring_op op = self->waiting[i];
        short happened =
            find_fd(self, op.fd)->revents & (events_of(&op) | POLLERR | POLLHUP | POLLNVAL);
        if (!happened || !try_to_complete(self, &op))
            self->waiting[kept++] = op;
    }
    self->waiting_count = kept;
}

static void *streams_run(void *argument)
{
    struct streams *self = argument;
    for (;;) {
        take_all(self);
        doorbell_arm(&self->doorbell); /* and look once more: see doorbell.h */
        bool stopping = atomic_load_explicit(&self->stopping, memory_order_seq_cst);
        if (queue_front(&self->ops) || stopping) {
            doorbell_leave(&self->doorbell);
            if (stopping)
                return NULL;
            continue;
        }
        list_fds(self);
        int ready = poll(self->fds, self->fds_count, -1);
        driver_count(&self->driver->wakeups);
        doorbell_leave(&self->doorbell);
        if (ready > 0)
            serve_ready(self);
    }
}

/* ---- its life ---- */

static void streams_free(struct streams *streams)
{
    doorbell_destroy(&streams->doorbell);
    queue_destroy(&streams->ops);
    free(streams->waiting);
    free(streams->fds);
    free(streams);
}

struct streams *streams_start(asyncuring_driver *driver, int *error)
{
    struct streams *streams = queue_owner_memory(sizeof *streams);
    *error = ENOMEM;
    if (!streams)
        return NULL;
    streams->driver = driver;
    streams->waiting = calloc(WAITING_MAX, sizeof *streams->waiting);
    streams->fds = calloc(WAITING_MAX + 1, sizeof *streams->fds);
    *error = doorbell_create(&streams->doorbell, true);
    if (*error == 0 && !(queue_create(&streams->ops, DRIVER_QUEUE_LOG2, sizeof(asyncuring_op)) &&
                         streams->waiting && streams->fds))
        *error = ENOMEM;
    if (*error == 0)
        *error = driver_thread_start(&streams->thread, streams_run, streams);
    if (*error == 0)
        return streams;
    streams_free(streams);
    return NULL;
}

void streams_stop(struct streams *streams)
{
    atomic_store_explicit(&streams->stopping, true, memory_order_seq_cst);
    doorbell_ring(&streams->doorbell);
    pthread_join(streams->thread, NULL);
    streams_free(streams);
}

void streams_abandon(struct streams *streams)
{
    doorbell_destroy(&streams->doorbell);
}

void streams_push(struct streams *streams, const asyncuring_op *op)
{
    queue_push(&streams->ops, op, 1);
    doorbell_ring(&streams->doorbell);
}
