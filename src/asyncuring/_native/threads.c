/* The `threads` driver: native threads that carry ops out with blocking system calls.
 *
 * It serves where io_uring is forbidden or missing. The threads take turns at being the queue's
 * one consumer: a mutex makes "pop an op and note who runs it" one step, so that a cancel, which
 * comes through the same queue behind the op it names, finds that op running or done. Producers
 * never see the mutex.
 *
 * An op on a file that can be positioned runs to its end once it has begun, as it does on most
 * kernels' io_uring. An op on a stream (pipe, FIFO, eventfd) may wait for ever, so it goes on to
 * the one thread of streams.c, and a cancel that finds it nowhere here follows it there.
 */
#include "streams.h"
#include <sys/types.h>

struct worker {
    pthread_t thread;
    asyncuring_driver *driver;
    /* Guarded by pool->taking. */
    uint64_t token; /* of the op this thread runs */
    bool cancelled; /* somebody asked for that */
};

struct pool {
    pthread_mutex_t taking; /* held by whoever is the queue's consumer just now */
    struct streams *streams;
    unsigned count;
    struct worker workers[];
};

/* Not a token: tokens count from 1. */
#define NO_TOKEN 0
/* Not a result: the op has gone on, and somebody else completes it. */
#define GONE_ON INT64_MIN

/* The op turned out to be one on a stream. */
static int64_t go_on(struct worker *worker, const asyncuring_op *op)
{
    struct pool *pool = worker->driver->kind_state;
    pthread_mutex_lock(&pool->taking);
    bool cancelled = worker->cancelled;
    worker->token = NO_TOKEN;
    if (!cancelled)
        streams_push(pool->streams, op);
    pthread_mutex_unlock(&pool->taking);
    return cancelled ? -ECANCELED : GONE_ON;
}

/* A cancel came behind the op that it names, which is therefore running, a stream's, or done. */
static int64_t pool_cancel(struct worker *worker, const asyncuring_op *cancel)
{
    struct pool *pool = worker->driver->kind_state;
    int64_t result = GONE_ON;
    pthread_mutex_lock(&pool->taking);
    for (unsigned i = 0; i < pool->count; i++)
        if (pool->workers[i].token == cancel->argument) {
            pool->workers[i].cancelled = true;
            result = -EALREADY;
        }
    if (result == GONE_ON)
        streams_push(pool->streams, cancel);
    pthread_mutex_unlock(&pool->taking);
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
            return go_on(worker, op);
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

/* As io_uring does: without waiting first, so that a FIFO without a writer keeps no thread. */
static int open_without_waiting(const char *path, int flags, mode_t permissions)
{
    int fd = open(path, flags | O_NONBLOCK, permissions);
    if (fd < 0 && errno == EWOULDBLOCK) /* a lease (fcntl(2)) is being broken: that takes a while */
        return open(path, flags, permissions);
    if (fd >= 0)
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    return fd;
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
    case ASYNCURING_OP_CANCEL:
        return pool_cancel(worker, op);
    case ASYNCURING_OP_FSYNC:
        result = fsync(op->fd);
        break;
    case ASYNCURING_OP_FDATASYNC:
        result = sync_data(op->fd);
        break;
    case ASYNCURING_OP_OPEN:
        result = open_without_waiting((const char *)(uintptr_t)op->address, (int)op->argument,
                                      (mode_t)op->length);
        break;
    case ASYNCURING_OP_CLOSE:
        result = close(op->fd);
        break;
    default:
        return -EINVAL;
    }
    return result < 0 ? -errno : result;
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
    worker->cancelled = false;
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
        int64_t result = carry_out(worker, &op);
        if (result == GONE_ON)
            continue;
        asyncuring_port *port = driver_port_of(driver, op.token);
        port_deliver(port, op.token, result, clock_ns());
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
    if (pool->streams)
        streams_stop(pool->streams);
    pthread_mutex_destroy(&pool->taking);
    free(pool);
}

static void pool_stop(asyncuring_driver *driver)
{
    pool_join(driver, ((struct pool *)driver->kind_state)->count);
}

static void pool_abandon(asyncuring_driver *driver)
{
    streams_abandon(((struct pool *)driver->kind_state)->streams);
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
    pool->count = threads;
    for (unsigned i = 0; i < threads; i++)
        pool->workers[i].driver = driver;
    pool->streams = streams_start(driver, &error->error);
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
