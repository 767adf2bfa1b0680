/* The threads of a pool, and what they do; see pool.h for whose they are. */
#include "pool.h"
#include "calls.h"
#include "chain.h"
#include "streams.h"
#include "transfer.h"

/* Beside a ring: what comes there is rare, and a few slow calls should not keep others waiting. */
#define THREADS_BESIDE 4

struct worker {
    pthread_t thread;
    struct pool *pool;
    /* Guarded by pool->taking. */
    uint64_t token; /* of the op this thread runs */
    bool cancelled; /* somebody asked for that */
};

struct pool {
    struct queue own_ops; /* of one that stands beside */
    struct doorbell own_doorbell;
    bool beside;
    struct queue *ops; /* where it takes from */
    struct doorbell *doorbell;
    asyncuring_driver *driver;
    _Atomic bool stopping;
    pthread_mutex_t taking;    /* held by whoever is the queue's consumer just now */
    struct chain_list gone_on; /* chains of which a step is a stream's; guarded by `taking` */
    struct streams *streams;   /* NULL beside */
    unsigned count;
    struct worker workers[];
};

/* Not a token: tokens count from 1. */
#define NO_TOKEN 0
/* Not a result: the op has gone on, and somebody else completes it. */
#define GONE_ON INT64_MIN

/* ---- one op ---- */

/* The op turned out to be one on a stream. */
static int64_t go_on(struct worker *worker, const asyncuring_op *op)
{
    struct pool *pool = worker->pool;
    pthread_mutex_lock(&pool->taking);
    bool cancelled = worker->cancelled;
    worker->token = NO_TOKEN;
    if (!cancelled && chain_names_step(op->token))
        chain_append(&pool->gone_on, chain_of(chain_step(op->token)));
    if (!cancelled)
        streams_push(pool->streams, op);
    pthread_mutex_unlock(&pool->taking);
    return cancelled ? -ECANCELED : GONE_ON;
}

/* A cancel came behind the op that it names, which is therefore running, a stream's, or done. */
static int64_t pool_cancel(struct worker *worker, const asyncuring_op *cancel)
{
    struct pool *pool = worker->pool;
    int64_t result = pool->streams ? GONE_ON : -ENOENT;
    pthread_mutex_lock(&pool->taking);
    for (unsigned i = 0; i < pool->count; i++)
        if (pool->workers[i].token == cancel->argument) {
            pool->workers[i].cancelled = true;
            result = -EALREADY;
        }
    /* It may be between streams and workers just now, where nobody else would find it. */
    asyncuring_chain *chain = chain_find(&pool->gone_on, cancel->argument);
    if (chain)
        chain->cancelled = true;
    if (result == GONE_ON)
        streams_push(pool->streams, cancel);
    pthread_mutex_unlock(&pool->taking);
    return result;
}

static int64_t read_or_write(struct worker *worker, const asyncuring_op *op)
{
    for (;;) {
        int64_t result = transfer_at(op, (int64_t)op->argument, 0);
        if (result == -ESPIPE)
            return transfer_may_wait(op) ? go_on(worker, op) : transfer_at(op, TRANSFER_NEXT, 0);
        if (result != -EINTR)
            return result;
    }
}

static int64_t carry_out_steps(struct worker *worker, const asyncuring_op *op);

static int64_t carry_out(struct worker *worker, const asyncuring_op *op)
{
    switch (opcode_of(op)) {
    case ASYNCURING_OP_CHAIN:
        return carry_out_steps(worker, op);
    case ASYNCURING_OP_READ:
    case ASYNCURING_OP_WRITE:
    case ASYNCURING_OP_READV:
    case ASYNCURING_OP_WRITEV:
        return read_or_write(worker, op);
    case ASYNCURING_OP_CANCEL:
        return pool_cancel(worker, op);
    default:
        return call_carry_out(op);
    }
}

static bool is_cancelled(struct worker *worker)
{
    pthread_mutex_lock(&worker->pool->taking);
    bool cancelled = worker->cancelled;
    pthread_mutex_unlock(&worker->pool->taking);
    return cancelled;
}

/* One after the other, up to one that is a stream's: behind that the chain comes here again. */
static int64_t carry_out_steps(struct worker *worker, const asyncuring_op *op)
{
    bool started;
    asyncuring_chain *chain = chain_start(op, &started);
    while (!chain_walk(chain)) {
        asyncuring_step *step = &chain->steps[chain->place];
        int64_t result = carry_out(worker, &step->op);
        if (result == GONE_ON)
            return GONE_ON; /* hands off: perhaps another worker has the chain by now */
        step->result = result;
        chain->cancelled |= is_cancelled(worker);
    }
    return chain_result(chain);
}

/* ---- all that come ---- */

/* The chain comes back: with `taking` held. */
static void note_return(struct pool *pool, const asyncuring_op *op)
{
    bool started;
    asyncuring_chain *chain = chain_start(op, &started);
    if (started)
        chain_remove(&pool->gone_on, chain);
}

/* The next op for `worker`, if there is one; its token is noted in the same step. */
static bool take_now(struct worker *worker, asyncuring_op *taken)
{
    struct pool *pool = worker->pool;
    bool more = false;
    pthread_mutex_lock(&pool->taking);
    const asyncuring_op *op = queue_front(pool->ops);
    if (op) {
        *taken = *op;
        queue_pop(pool->ops);
        more = queue_front(pool->ops) != NULL;
        if (opcode_of(taken) == ASYNCURING_OP_CHAIN)
            note_return(pool, taken);
    }
    worker->token = op && opcode_of(taken) != ASYNCURING_OP_CANCEL ? taken->token : NO_TOKEN;
    worker->cancelled = false;
    pthread_mutex_unlock(&pool->taking);
    /* One ring wakes one thread; a thread that finds more behind its own op wakes one more. So
     * short ops stay with few threads, and slow ones soon have all of them. */
    if (more)
        doorbell_ring(pool->doorbell);
    return op != NULL;
}

static bool has_more(struct pool *pool)
{
    pthread_mutex_lock(&pool->taking);
    bool more = queue_front(pool->ops) != NULL;
    pthread_mutex_unlock(&pool->taking);
    return more;
}

static bool is_stopping(struct pool *pool)
{
    return atomic_load_explicit(&pool->stopping, memory_order_seq_cst);
}

/* The next op for `worker`, asleep until there is one. False when it is time to stop. */
static bool take(struct worker *worker, asyncuring_op *taken)
{
    struct pool *pool = worker->pool;
    while (!take_now(worker, taken)) {
        if (is_stopping(pool))
            return false;
        doorbell_arm(pool->doorbell); /* and look once more, taking nothing: see doorbell.h */
        if (has_more(pool) || is_stopping(pool)) {
            doorbell_leave(pool->doorbell);
        } else {
            doorbell_wait(pool->doorbell);
            driver_count(&pool->driver->wakeups);
        }
    }
    return true;
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    struct pool *pool = worker->pool;
    asyncuring_op op;
    while (take(worker, &op)) {
        int64_t result = carry_out(worker, &op);
        if (result == GONE_ON)
            continue;
        if (pool->beside)
            driver_count(&pool->driver->beside); /* before the task can look */
        asyncuring_port *port = driver_port_of(pool->driver, op.token);
        port_deliver(port, op.token, result, clock_ns());
        port_ring(port);
    }
    return NULL;
}

void pool_push(struct pool *pool, const asyncuring_op *op)
{
    queue_push(&pool->own_ops, op, 1);
    doorbell_ring(&pool->own_doorbell);
}

/* ---- its life ---- */

static struct pool *pool_create(asyncuring_driver *driver, unsigned threads)
{
    struct pool *pool = queue_owner_memory(sizeof *pool + threads * sizeof(struct worker));
    if (!pool)
        return NULL;
    pool->driver = driver;
    pthread_mutex_init(&pool->taking, NULL);
    pool->own_doorbell.fd = pool->own_doorbell.ring_fd = -1;
    /* Every worker is described before the first runs: a cancel looks at all of them. */
    pool->count = threads;
    for (unsigned i = 0; i < threads; i++)
        pool->workers[i].pool = pool;
    return pool;
}

static void pool_join(struct pool *pool, unsigned started)
{
    atomic_store_explicit(&pool->stopping, true, memory_order_seq_cst);
    for (unsigned i = 0; i < started; i++)
        doorbell_ring(pool->doorbell);
    for (unsigned i = 0; i < started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    if (pool->streams)
        streams_stop(pool->streams);
    pthread_mutex_destroy(&pool->taking);
    doorbell_destroy(&pool->own_doorbell);
    queue_destroy(&pool->own_ops);
    free(pool);
}

/* The threads, after all that they use. */
static struct pool *pool_run(struct pool *pool, int *error)
{
    unsigned started = 0;
    while (*error == 0 && started < pool->count) {
        struct worker *worker = &pool->workers[started];
        *error = driver_thread_start(&worker->thread, worker_run, worker);
        started += *error == 0;
    }
    if (*error == 0)
        return pool;
    pool_join(pool, started);
    return NULL;
}

struct pool *pool_start(asyncuring_driver *driver, unsigned threads, int *error)
{
    struct pool *pool = pool_create(driver, threads);
    *error = ENOMEM;
    if (!pool)
        return NULL;
    pool->ops = &driver->ops;
    pool->doorbell = &driver->doorbell;
    pool->streams = streams_start(driver, error);
    return pool_run(pool, error);
}

struct pool *pool_start_beside(asyncuring_driver *driver, int *error)
{
    struct pool *pool = pool_create(driver, THREADS_BESIDE);
    *error = ENOMEM;
    if (!pool)
        return NULL;
    pool->beside = true;
    pool->ops = &pool->own_ops;
    pool->doorbell = &pool->own_doorbell;
    *error = doorbell_create(&pool->own_doorbell, true);
    if (*error == 0 && !queue_create(&pool->own_ops, DRIVER_QUEUE_LOG2, sizeof(asyncuring_op)))
        *error = ENOMEM;
    return pool_run(pool, error);
}

void pool_stop(struct pool *pool)
{
    pool_join(pool, pool->count);
}

void pool_abandon(struct pool *pool)
{
    if (pool->streams)
        streams_abandon(pool->streams);
    doorbell_destroy(&pool->own_doorbell);
}
