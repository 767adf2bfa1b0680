/* The threads beside the ring; see side.h for what they are for. */
#include "side.h"
#include "pool.h"
#include "transfer.h"

/* A port's doorbell is rung after so many ops or bytes, or when nothing more is queued: as in
 * uring.c, Python resumes the tasks of one batch while the next is carried out. */
#define BATCH_OPS 16
#define BATCH_BYTES (256u * 1024)

struct side {
    asyncuring_driver *driver;
    pthread_t thread;
    struct queue ops;
    struct doorbell doorbell;
    asyncuring_port *touched; /* to be rung after this batch */
};

static void ring_touched(struct side *self)
{
    if (self->touched)
        port_ring(self->touched);
    self->touched = NULL;
}

static void deliver(struct side *self, uint64_t token, int64_t result)
{
    asyncuring_port *port = driver_port_of(self->driver, token);
    if (port != self->touched)
        ring_touched(self);
    self->touched = port;
    driver_count(&self->driver->beside); /* before the task can look */
    port_deliver(port, token, result, clock_ns());
}

/* ---- one op ---- */

/* The driver's own way. There is room for it: whoever submitted it has a share in both queues. */
static void hand_over(struct side *self, asyncuring_op op)
{
    op.opcode &= ~(uint32_t)ASYNCURING_SIDE_MASK;
    queue_push(&self->driver->ops, &op, 1);
    doorbell_ring(&self->driver->doorbell);
}

static void write_out(struct side *self, const asyncuring_op *op)
{
    int64_t result;
    do
        result = transfer_at(op, (int64_t)op->argument, 0);
    while (result == -EINTR);
    deliver(self, op->token, result);
}

/* Copy what the page cache has. What it lacks, if only a part, would keep this thread waiting. */
static void read_cached(struct side *self, const asyncuring_op *op)
{
    int64_t result = transfer_at(op, (int64_t)op->argument, TRANSFER_NOWAIT);
    if (result >= 0 && (uint64_t)result == op->length)
        deliver(self, op->token, result);
    else
        hand_over(self, *op);
}

static void carry_out(struct side *self, const asyncuring_op *op)
{
    switch (opcode_of(op)) {
    case ASYNCURING_OP_WRITE:
        write_out(self, op);
        break;
    case ASYNCURING_OP_READ:
        read_cached(self, op);
        break;
    default:
        /* A cancel comes behind the op that it names, which is therefore done or handed over. */
        hand_over(self, *op);
        break;
    }
}

/* ---- all that come ---- */

/* False if there was nothing to do. */
static bool carry_out_batch(struct side *self)
{
    const asyncuring_op *front;
    unsigned count = 0;
    uint64_t bytes = 0;
    while (count < BATCH_OPS && bytes < BATCH_BYTES && (front = queue_front(&self->ops))) {
        asyncuring_op op = *front;
        queue_pop(&self->ops);
        carry_out(self, &op);
        bytes += op.length;
        count++;
    }
    ring_touched(self);
    return count > 0;
}

static void *side_run(void *argument)
{
    struct side *self = argument;
    for (;;) {
        if (carry_out_batch(self))
            continue;
        doorbell_arm(&self->doorbell); /* and look once more: see doorbell.h */
        bool stopping = atomic_load_explicit(&self->driver->stopping, memory_order_seq_cst);
        if (queue_front(&self->ops) || stopping) {
            doorbell_leave(&self->doorbell);
            if (stopping)
                return NULL;
            continue;
        }
        doorbell_wait(&self->doorbell);
        driver_count(&self->driver->wakeups);
    }
}

void sides_push(asyncuring_driver *driver, const asyncuring_op *ops, unsigned count)
{
    uint32_t rung = 0; /* bit n: something was given to side thread n */
    bool own = false;
    for (unsigned i = 0; i < count; i++) {
        uint32_t number = side_of(&ops[i]);
        if (number == 0) {
            queue_push(&driver->ops, &ops[i], 1);
            own = true;
        } else if (number == ASYNCURING_SIDE_POOL) {
            pool_push(driver->pool, &ops[i]);
        } else {
            queue_push(&driver->sides[number - 1]->ops, &ops[i], 1);
            rung |= 1u << (number - 1);
        }
    }
    if (own)
        doorbell_ring(&driver->doorbell);
    for (unsigned i = 0; rung >> i; i++)
        if (rung >> i & 1)
            doorbell_ring(&driver->sides[i]->doorbell);
}

/* ---- their life ---- */

static void side_free(struct side *side)
{
    doorbell_destroy(&side->doorbell);
    queue_destroy(&side->ops);
    free(side);
}

static int side_start(asyncuring_driver *driver, struct side **started)
{
    struct side *side = queue_owner_memory(sizeof *side);
    if (!side)
        return ENOMEM;
    side->driver = driver;
    int error = doorbell_create(&side->doorbell, true);
    if (error == 0 && !queue_create(&side->ops, DRIVER_QUEUE_LOG2, sizeof(asyncuring_op)))
        error = ENOMEM;
    if (error == 0)
        error = driver_thread_start(&side->thread, side_run, side);
    if (error == 0)
        *started = side;
    else
        side_free(side);
    return error;
}

int asyncuring_driver_side_start(asyncuring_driver *driver, unsigned number)
{
    if (driver->kind->ports)
        return -EOPNOTSUPP; /* ports with a ring of their own do not know of them */
    pthread_mutex_lock(&driver->attaching);
    struct side **side = &driver->sides[number - 1];
    int error = *side ? 0 : side_start(driver, side);
    pthread_mutex_unlock(&driver->attaching);
    return -error;
}

/* Whether the driver's own threads, or a port's ring, can carry it out. */
static bool carries(const asyncuring_driver *driver, unsigned opcode, const asyncuring_call *call)
{
    if (driver->carries == CARRIES_ALL)
        return true;
    /* Of these an SQE has 32 bits for the length. */
    bool is_short = (opcode != ASYNCURING_OP_SYNC_RANGE && opcode != ASYNCURING_OP_FADVISE) ||
                    call->length <= UINT32_MAX;
    return is_short && driver->carries >> opcode & 1;
}

int64_t asyncuring_driver_call_opcode(asyncuring_driver *driver, unsigned opcode,
                                      const asyncuring_call *call)
{
    if (carries(driver, opcode, call))
        return opcode;
    int error = 0;
    pthread_mutex_lock(&driver->attaching);
    if (!driver->pool)
        driver->pool = pool_start_beside(driver, &error);
    pthread_mutex_unlock(&driver->attaching);
    return error ? -error : (int64_t)(opcode | ASYNCURING_SIDE_POOL << ASYNCURING_SIDE_SHIFT);
}

void sides_stop(asyncuring_driver *driver)
{
    atomic_store_explicit(&driver->stopping, true, memory_order_seq_cst);
    for (unsigned i = 0; i < ASYNCURING_SIDE_THREADS_MAX; i++) {
        struct side *side = driver->sides[i];
        if (!side)
            continue;
        doorbell_ring(&side->doorbell);
        pthread_join(side->thread, NULL);
        side_free(side);
    }
    if (driver->pool)
        pool_stop(driver->pool);
}

void sides_abandon(asyncuring_driver *driver)
{
    if (driver->pool)
        pool_abandon(driver->pool);
    for (unsigned i = 0; i < ASYNCURING_SIDE_THREADS_MAX; i++)
        if (driver->sides[i])
            doorbell_destroy(&driver->sides[i]->doorbell);
}
