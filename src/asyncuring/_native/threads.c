/* The `threads` driver: native threads that carry ops out with blocking system calls.
 *
 * It serves where io_uring is forbidden or missing. The threads take turns at being the queue's
 * one consumer: a mutex makes "pop an op and note who runs it" one step, so that a cancel, which
 * comes through the same queue behind the op it names, finds that op running or done. Producers
 * never see the mutex.
 *
 * An op on a file that can be positioned runs to its end once it has begun, as it does on most
 * kernels' io_uring. An op on a stream (pipe, FIFO, eventfd) may wait for ever, so its thread
 * waits in poll(2), where a cancel can reach it.
 */
#include "driver.h"
#include <poll.h>
#include <sys/types.h>

struct worker {
    pthread_t thread;
    asyncuring_driver *driver;
    uint64_t token;            /* of the op this thread runs; guarded by pool->taking */
    _Atomic bool cancelled;    /* somebody asked for that */
    struct doorbell interrupt; /* wakes it in poll(2) */
};

struct pool {
    pthread_mutex_t taking; /* held by whoever is the queue's consumer just now */
    unsigned count;
    struct worker workers[];
};

/* Not a token: tokens count from 1. */
#define NO_TOKEN 0

static int64_t stream_wait_and_transfer(struct worker *worker, const asyncuring_op *op)
{
    bool reading = op->opcode == ASYNCURING_OP_READ;
    for (;;) {
        /* seq_cst: partner of the store in pool_cancel, which rings after it: we were armed before
         * this look, so either we see the flag here or that ring wakes us. */
        if (atomic_load_explicit(&worker->cancelled, memory_order_seq_cst))
            return -ECANCELED;
        struct pollfd fds[] = {{.fd = op->fd, .events = reading ? POLLIN : POLLOUT},
                               {.fd = worker->interrupt.fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return -errno;
        if (fds[0].revents == 0)
            continue;
        void *memory = (void *)(uintptr_t)op->address;
        ssize_t count =
            reading ? read(op->fd, memory, op->length) : write(op->fd, memory, op->length);
        if (count >= 0)
            return count;
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
}

static int64_t stream_transfer(struct worker *worker, const asyncuring_op *op)
{
    doorbell_arm(&worker->interrupt);
    int64_t result = stream_wait_and_transfer(worker, op);
    doorbell_leave(&worker->interrupt);
    return result;
}

static int64_t transfer(struct worker *worker, const asyncuring_op *op)
{
    for (;;) {
        void *memory = (void *)(uintptr_t)op->address;
        ssize_t count = op->opcode == ASYNCURING_OP_READ
                            ? pread(op->fd, memory, op->length, (off_t)op->argument)
                            : pwrite(op->fd, memory, op->length, (off_t)op->argument);
        if (count >= 0)
            return count;
        if (errno == ESPIPE)
            return stream_transfer(worker, op);
        if (errno != EINTR)
            return -errno;
    }
}

static int sync_data(int fd)
{
#ifdef __APPLE__
    return fcntl(fd, F_FULLFSYNC); /* there is no fdatasync, and fsync stops at the drive's cache */
#else
    return fdatasync(fd);
#endif
}

static int64_t carry_out(struct worker *worker, const asyncuring_op *op)
{
    int result;
    switch (op->opcode) {
    case ASYNCURING_OP_NOP:
        return 0;
    case ASYNCURING_OP_READ:
    case ASYNCURING_OP_WRITE:
        return transfer(worker, op);
    case ASYNCURING_OP_FSYNC:
        result = fsync(op->fd);
        break;
    case ASYNCURING_OP_FDATASYNC:
        result = sync_data(op->fd);
        break;
    case ASYNCURING_OP_OPEN:
        result = open((const char *)(uintptr_t)op->address, (int)op->argument, (mode_t)op->length);
        break;
    case ASYNCURING_OP_CLOSE:
        result = close(op->fd);
        break;
    default:
        return -EINVAL;
    }
    return result < 0 ? -errno : result;
}

/* With pool->taking held. */
static int64_t pool_cancel(struct pool *pool, uint64_t token)
{
    for (unsigned i = 0; i < pool->count; i++) {
        struct worker *worker = &pool->workers[i];
        if (worker->token != token)
            continue;
        atomic_store_explicit(&worker->cancelled, true, memory_order_seq_cst);
        return doorbell_ring(&worker->interrupt) ? 0 : -EALREADY;
    }
    return -ENOENT;
}

/* The next op for `worker`, if there is one; its token is noted in the same step. */
static bool pool_take_now(struct pool *pool, struct worker *worker, asyncuring_op *taken)
{
    struct queue *ops = &worker->driver->ops;
    bool more = false;
    pthread_mutex_lock(&pool->taking);
    const asyncuring_op *op = queue_front(ops);
    if (op) {
        *taken = *op;
        queue_pop(ops);
        more = queue_front(ops) != NULL;
    }
    worker->token = op && taken->opcode != ASYNCURING_OP_CANCEL ? taken->token : NO_TOKEN;
    atomic_store_explicit(&worker->cancelled, false, memory_order_seq_cst);
    pthread_mutex_unlock(&pool->taking);
    /* One ring wakes one thread; a thread that finds more behind its own op wakes one more. So
     * short ops stay with few threads, and slow ones soon have all of them. */
    if (more)
        doorbell_ring(&worker->driver->doorbell);
    return op != NULL;
}

/* The next op for `worker`, asleep until there is one. False when it is time to stop. */
static bool pool_take(struct pool *pool, struct worker *worker, asyncuring_op *taken)
{
    asyncuring_driver *driver = worker->driver;
    for (;;) {
        if (pool_take_now(pool, worker, taken))
            return true;
        doorbell_arm(&driver->doorbell); /* and look once more: see doorbell.h */
        bool took = pool_take_now(pool, worker, taken);
        if (took || atomic_load_explicit(&driver->stopping, memory_order_seq_cst)) {
            doorbell_leave(&driver->doorbell);
            return took;
        }
        doorbell_wait(&driver->doorbell);
        driver_count(&driver->wakeups);
    }
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    asyncuring_driver *driver = worker->driver;
    struct pool *pool = driver->kind_state;
    asyncuring_op op;
    while (pool_take(pool, worker, &op)) {
        int64_t result;
        if (op.opcode == ASYNCURING_OP_CANCEL) {
            pthread_mutex_lock(&pool->taking);
            result = pool_cancel(pool, op.argument);
            pthread_mutex_unlock(&pool->taking);
        } else {
            result = carry_out(worker, &op);
        }
        asyncuring_port *port = driver_port_of(driver, op.token);
        port_deliver(port, op.token, result);
        port_ring(port);
    }
    return NULL;
}

static void pool_join(asyncuring_driver *driver, unsigned started)
{
    struct pool *pool = driver->kind_state;
    atomic_store_explicit(&driver->stopping, true, memory_order_seq_cst);
    for (unsigned i = 0; i < started; i++)
        doorbell_ring(&driver->doorbell);
    for (unsigned i = 0; i < started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    for (unsigned i = 0; i < pool->count; i++)
        doorbell_destroy(&pool->workers[i].interrupt);
    pthread_mutex_destroy(&pool->taking);
    free(pool);
}

static void pool_stop(asyncuring_driver *driver)
{
    pool_join(driver, ((struct pool *)driver->kind_state)->count);
}

static void pool_abandon(asyncuring_driver *driver)
{
    struct pool *pool = driver->kind_state;
    for (unsigned i = 0; i < pool->count; i++)
        doorbell_destroy(&pool->workers[i].interrupt);
}

static const struct driver_kind threads_kind = {.stop = pool_stop, .abandon = pool_abandon};

asyncuring_driver *asyncuring_threads_start(unsigned threads, asyncuring_start_error *error)
{
    error->stage = ASYNCURING_STAGE_RESOURCES;
    struct pool *pool = calloc(1, sizeof *pool + threads * sizeof *pool->workers);
    if (!pool) {
        error->error = ENOMEM;
        return NULL;
    }
    pthread_mutex_init(&pool->taking, NULL);
    asyncuring_driver *driver = driver_create(&threads_kind, pool, &error->error);
    if (!driver) {
        free(pool);
        return NULL;
    }
    for (unsigned i = 0; i < threads && error->error == 0; i++) {
        pool->workers[i].driver = driver;
        error->error = doorbell_create(&pool->workers[i].interrupt, true);
        pool->count += error->error == 0;
    }
    /* Every worker is described before the first runs: a cancel looks at all of them. */
    unsigned started = 0;
    while (error->error == 0 && started < threads) {
        struct worker *worker = &pool->workers[started];
        error->error = driver_thread_start(&worker->thread, worker_run, worker);
        started += error->error == 0;
    }
    if (error->error == 0)
        return driver;
    pool_join(driver, started);
    driver_destroy(driver);
    return NULL;
}
