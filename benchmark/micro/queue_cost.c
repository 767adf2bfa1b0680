/* Push and pop of the core's queue by one thread, as bench_queue.py calls it: what the instructions
 * cost, without the cache misses of two threads that share it. */
#define _POSIX_C_SOURCE 200112L
#include "boundary.h"
#include "queue.h"
#include <time.h>

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* Seconds that the push and the pop of one op take, in batches; negative when out of memory. */
double queue_cost(unsigned batch, unsigned rounds)
{
    asyncuring_op *ops = calloc(batch, sizeof *ops), popped;
    struct queue queue;
    uint64_t check = 0;
    if (!ops || !queue_create(&queue, 12, sizeof *ops))
        return -1;
    double started = seconds_now();
    for (unsigned round = 0; round < rounds; round++) {
        queue_push(&queue, ops, batch);
        const asyncuring_op *op;
        while ((op = queue_front(&queue))) {
            popped = *op;
            check += popped.token;
            queue_pop(&queue);
        }
    }
    double spent = seconds_now() - started;
    queue_destroy(&queue);
    free(ops);
    return check == 0 ? spent / rounds / batch : -1;
}
