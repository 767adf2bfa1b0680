/* A bounded, lock-free queue of fixed-size items: many producers, one consumer at a time.
 *
 * After Dmitry Vyukov's bounded queue (https://www.1024cores.net/home/lock-free-algorithms/queues/
 * bounded-mpmc-queue), with one simplification: it can never be full. Each producer may have only
 * so many items outstanding, and whoever creates the queue makes it as large as the sum of these
 * shares (driver.c reserves them, port.c keeps within them). So a push needs neither a retry nor a
 * compare-and-swap: one fetch_add claims the cells, and the producer that claimed cell p owns it.
 *
 * Each cell has a turn number that says whose it is in which round (round r holds the positions
 * from r * capacity on): 2r, the producer's of that round; 2r + 1, the consumer's. So zeroed memory
 * is an empty queue, and pages that were never used are never touched.
 *
 * A producer preempted between its claim and its publication holds up the items behind it, not the
 * other producers. Items of one producer come out in the order in which it pushed them.
 */
#pragma once
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_CACHE_LINE 64

struct queue {
    alignas(QUEUE_CACHE_LINE) _Atomic uint64_t tail; /* next position to claim; all producers */
    alignas(QUEUE_CACHE_LINE) uint64_t head;         /* next position to pop; the consumer alone */
    uint64_t mask;
    unsigned round_shift;
    size_t item_size;
    size_t cell_size;
    unsigned char *cells;
};

/* Zeroed memory for what has a queue in it, to be given to free(); NULL if there is not so much. */
static inline void *queue_owner_memory(size_t size)
{
    void *memory = NULL;
    return posix_memalign(&memory, QUEUE_CACHE_LINE, size) == 0 ? memset(memory, 0, size) : NULL;
}

struct queue_cell {
    _Atomic uint64_t turn;
    unsigned char item[];
};

static inline struct queue_cell *queue_cell(const struct queue *queue, uint64_t position)
{
    return (struct queue_cell *)(queue->cells + (position & queue->mask) * queue->cell_size);
}

static inline uint64_t queue_producer_turn(const struct queue *queue, uint64_t position)
{
    return (position >> queue->round_shift) * 2;
}

/* False when out of memory. */
static inline bool queue_create(struct queue *queue, unsigned capacity_log2, size_t item_size)
{
    memset(queue, 0, sizeof *queue);
    queue->mask = (UINT64_C(1) << capacity_log2) - 1;
    queue->round_shift = capacity_log2;
    queue->item_size = item_size;
    queue->cell_size = sizeof(struct queue_cell) + (item_size + 7) / 8 * 8;
    queue->cells = calloc(queue->mask + 1, queue->cell_size);
    return queue->cells != NULL;
}

static inline void queue_destroy(struct queue *queue)
{
    free(queue->cells);
    queue->cells = NULL;
}

/* Any thread that keeps within its share of the capacity. */
static inline void queue_push(struct queue *queue, const void *items, unsigned count)
{
    /* acq_rel: every earlier claim, and so what its owner had seen popped, happens before ours. */
    uint64_t position = atomic_fetch_add_explicit(&queue->tail, count, memory_order_acq_rel);
    const unsigned char *item = items;
    for (unsigned i = 0; i < count; i++, position++, item += queue->item_size) {
        struct queue_cell *cell = queue_cell(queue, position);
        uint64_t turn = queue_producer_turn(queue, position);
        /* acquire: partner of queue_pop's release; the consumer has left this cell. */
        if (atomic_load_explicit(&cell->turn, memory_order_acquire) != turn) {
            fputs("asyncuring: a queue that cannot be full is full: a producer exceeded its "
                  "share\n",
                  stderr);
            abort();
        }
        memcpy(cell->item, item, queue->item_size);
        /* release: partner of queue_front's acquire; publishes the item. */
        atomic_store_explicit(&cell->turn, turn + 1, memory_order_release);
    }
}

/* The consumer: the oldest item, in place, or NULL. It stays valid until queue_pop. */
static inline void *queue_front(const struct queue *queue)
{
    struct queue_cell *cell = queue_cell(queue, queue->head);
    /* acquire: partner of queue_push's release. */
    uint64_t turn = atomic_load_explicit(&cell->turn, memory_order_acquire);
    return turn == queue_producer_turn(queue, queue->head) + 1 ? cell->item : NULL;
}

/* The consumer: done with the item that queue_front returned. */
static inline void queue_pop(struct queue *queue)
{
    uint64_t next_turn = queue_producer_turn(queue, queue->head) + 2;
    /* release: partner of queue_push's acquire; the cell is free for the next round. */
    atomic_store_explicit(&queue_cell(queue, queue->head)->turn, next_turn, memory_order_release);
    queue->head++;
}
