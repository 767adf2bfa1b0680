/* Description: the queue and the doorbell between 1 to 16 producers and one or more sleeping
 * consumers.
 *
 * A producer stands for an event loop: it pushes batches within its share of the queue, rings the
 * consumers, reaps what they send back through a queue of its own, and sleeps on its own doorbell.
 * Consumers stand for a driver's threads: alone, like the ring thread, or several taking turns
 * under a mutex, like the native threads. In some rounds the doorbells' system calls come late, and
 * in some of these no producer goes on before all have everything back, so that one item that is
 * kept from somebody keeps all of them waiting. Checked: each producer's items are popped in the
 * order in which they were pushed, come back once each with their contents, nobody sleeps through a
 * ring (the watchdog ends a hang), and nothing is left behind, not even a ring.
 *
 * Usage: queue_stress SECONDS
 */
#include "late.h" /* first */

#include "doorbell.h"
#include "queue.h"
#include "watchdog.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#define PRODUCERS_MAX 16
#define CONSUMERS_MAX 4
#define ITEMS_PER_ROUND 20000
#define ITEMS_PER_LATE_ROUND 2000
#define LATE_ROUNDS 6 /* to each of the others */

struct item {
    uint32_t producer;
    uint32_t sequence;
    uint64_t check;
};

struct producer {
    struct round *round;
    pthread_t thread;
    unsigned number;
    struct queue echoes;
    struct doorbell doorbell;
    uint64_t popped;  /* items of ours that consumers have popped; guarded by taking the queue */
    uint8_t *is_back; /* by sequence */
};

struct round {
    struct queue queue;
    struct doorbell doorbell;
    _Atomic bool stopping;
    pthread_mutex_t taking;
    bool in_step;
    pthread_barrier_t step;
    unsigned producers_count, consumers_count, share, items;
    struct producer producers[PRODUCERS_MAX];
};

static uint64_t check_of(unsigned producer, unsigned sequence)
{
    return ((uint64_t)producer << 32 | sequence) * UINT64_C(0x9e3779b97f4a7c15);
}

/* ---- consumers ---- */

static bool take_now(struct round *round, struct item *taken)
{
    /* One consumer alone needs no mutex, and then must not have the order that one gives. */
    bool several = round->consumers_count > 1, more = false;
    if (several)
        pthread_mutex_lock(&round->taking);
    const struct item *item = queue_front(&round->queue);
    bool took = item != NULL;
    if (took) {
        *taken = *item;
        queue_pop(&round->queue);
        CHECK(taken->producer < round->producers_count, "producer %u", taken->producer);
        uint64_t expected = round->producers[taken->producer].popped++;
        CHECK(taken->sequence == expected, "item %u of producer %u came at place %lu",
              taken->sequence, taken->producer, (unsigned long)expected);
        more = several && queue_front(&round->queue) != NULL;
    }
    if (several)
        pthread_mutex_unlock(&round->taking);
    if (more)
        doorbell_ring(&round->doorbell);
    return took;
}

static bool has_more(struct round *round)
{
    bool several = round->consumers_count > 1;
    if (several)
        pthread_mutex_lock(&round->taking);
    bool more = queue_front(&round->queue) != NULL;
    if (several)
        pthread_mutex_unlock(&round->taking);
    return more;
}

static bool take(struct round *round, struct item *taken)
{
    while (!take_now(round, taken)) {
        if (atomic_load(&round->stopping))
            return false;
        be_late(); /* the moment for a ring that finds nobody */
        doorbell_arm(&round->doorbell);
        if (has_more(round) || atomic_load(&round->stopping))
            doorbell_leave(&round->doorbell);
        else
            doorbell_wait(&round->doorbell);
    }
    return true;
}

static void *consume(void *argument)
{
    struct round *round = argument;
    struct item item;
    while (take(round, &item)) {
        struct producer *producer = &round->producers[item.producer];
        queue_push(&producer->echoes, &item, 1);
        doorbell_ring(&producer->doorbell);
    }
    return NULL;
}

/* ---- producers ---- */

static unsigned reap(struct producer *self, unsigned returned)
{
    unsigned count = 0;
    const struct item *item;
    while ((item = queue_front(&self->echoes))) {
        CHECK(item->producer == self->number, "an item of producer %u came to %u", item->producer,
              self->number);
        CHECK(item->check == check_of(item->producer, item->sequence), "item %u is torn",
              item->sequence);
        CHECK(!self->is_back[item->sequence], "item %u came back twice", item->sequence);
        CHECK(self->round->consumers_count > 1 || item->sequence == returned + count,
              "item %u came back at place %u", item->sequence, returned + count);
        self->is_back[item->sequence] = 1;
        queue_pop(&self->echoes);
        count++;
    }
    return count;
}

static unsigned reap_or_sleep(struct producer *self, unsigned returned)
{
    unsigned count = reap(self, returned);
    while (count == 0) {
        be_late();
        doorbell_arm(&self->doorbell);
        count = reap(self, returned);
        if (count > 0)
            doorbell_leave(&self->doorbell);
        else
            doorbell_wait(&self->doorbell);
    }
    return count;
}

static void *produce(void *argument)
{
    struct producer *self = argument;
    struct round *round = self->round;
    uint64_t random = check_of(self->number + 1, round->items);
    struct item *batch = calloc(round->share, sizeof *batch);
    unsigned pushed = 0, returned = 0;
    while (returned < round->items) {
        unsigned room = round->share - (pushed - returned);
        unsigned left = round->items - pushed;
        unsigned count = round->in_step ? round->share : random_to(&random, round->share);
        count = count < room ? count : room;
        count = count < left ? count : left;
        for (unsigned i = 0; i < count; i++, pushed++)
            batch[i] = (struct item){self->number, pushed, check_of(self->number, pushed)};
        if (count > 0) {
            queue_push(&round->queue, batch, count);
            doorbell_ring(&round->doorbell);
        }
        if (random_to(&random, 8) == 1)
            sched_yield();
        while (round->in_step && pushed > returned)
            returned += reap_or_sleep(self, returned);
        if (round->in_step) {
            pthread_barrier_wait(&round->step);
            continue;
        }
        /* Now and then go on with the share half used, mostly sleep until something is back. */
        if (pushed - returned == round->share || pushed == round->items ||
            random_to(&random, 4) > 1)
            returned += reap_or_sleep(self, returned);
    }
    free(batch);
    return NULL;
}

/* ---- rounds ---- */

static void check_nothing_rings(struct doorbell *doorbell)
{
    struct pollfd fd = {.fd = doorbell->fd, .events = POLLIN};
    CHECK(poll(&fd, 1, 0) == 0, "a ring was left behind");
    CHECK(atomic_load(&doorbell->sleepers) == 0, "an arming was left behind");
}

static struct round round;

static void describe_end(const char *name, unsigned number, const struct queue *queue,
                         struct doorbell *doorbell)
{
    fprintf(stderr, "%s %u: %lu claimed, %lu popped, the next %s; %u sleepers, %ld rings\n", name,
            number, (unsigned long)atomic_load(&queue->tail), (unsigned long)queue->head,
            queue_front(queue) ? "is there" : "is not", atomic_load(&doorbell->sleepers),
            eventfd_count(doorbell->fd));
}

__attribute__((no_sanitize("thread"))) static void describe_round(void)
{
    fprintf(stderr, "%u producers, %u consumers, shares of %u%s%s\n", round.producers_count,
            round.consumers_count, round.share, round.in_step ? ", in step" : "",
            atomic_load(&round.stopping) ? ", stopping" : "");
    describe_end("queue", 0, &round.queue, &round.doorbell);
    for (unsigned i = 0; i < round.producers_count; i++)
        describe_end("producer", i, &round.producers[i].echoes, &round.producers[i].doorbell);
}

static void run_producers_and_consumers(void)
{
    pthread_t threads[CONSUMERS_MAX];
    for (unsigned i = 0; i < round.consumers_count; i++)
        CHECK(pthread_create(&threads[i], NULL, consume, &round) == 0, "no thread");
    for (unsigned i = 0; i < round.producers_count; i++)
        CHECK(pthread_create(&round.producers[i].thread, NULL, produce, &round.producers[i]) == 0,
              "no thread");
    for (unsigned i = 0; i < round.producers_count; i++)
        pthread_join(round.producers[i].thread, NULL);
    atomic_store(&round.stopping, true);
    for (unsigned i = 0; i < round.consumers_count; i++)
        doorbell_ring(&round.doorbell);
    for (unsigned i = 0; i < round.consumers_count; i++)
        pthread_join(threads[i], NULL);
}

static void run_round(unsigned producers, unsigned consumers, unsigned share_log2, unsigned items)
{
    unsigned capacity_log2 = share_log2;
    while ((1u << capacity_log2) < producers << share_log2)
        capacity_log2++;
    round.producers_count = producers;
    round.consumers_count = consumers;
    round.share = (1u << capacity_log2) / producers; /* the queue's capacity, to the last cell */
    round.items = items / producers;
    pthread_mutex_init(&round.taking, NULL);
    pthread_barrier_init(&round.step, NULL, producers);
    CHECK(queue_create(&round.queue, capacity_log2, sizeof(struct item)), "out of memory");
    CHECK(doorbell_create(&round.doorbell, true) == 0, "no eventfd");

    unsigned echoes_log2 = 0;
    while ((1u << echoes_log2) < round.share)
        echoes_log2++;
    for (unsigned i = 0; i < producers; i++) {
        struct producer *producer = &round.producers[i];
        producer->round = &round;
        producer->number = i;
        producer->is_back = calloc(round.items, 1);
        CHECK(queue_create(&producer->echoes, echoes_log2, sizeof(struct item)), "out of memory");
        CHECK(doorbell_create(&producer->doorbell, true) == 0, "no eventfd");
    }
    run_producers_and_consumers();

    CHECK(queue_front(&round.queue) == NULL, "an item was left behind");
    check_nothing_rings(&round.doorbell);
    for (unsigned i = 0; i < producers; i++) {
        struct producer *producer = &round.producers[i];
        CHECK(producer->popped == round.items, "items of producer %u were lost", i);
        CHECK(memchr(producer->is_back, 0, round.items) == NULL, "an item never came back");
        check_nothing_rings(&producer->doorbell);
        queue_destroy(&producer->echoes);
        doorbell_destroy(&producer->doorbell);
        free(producer->is_back);
    }
    queue_destroy(&round.queue);
    doorbell_destroy(&round.doorbell);
    pthread_mutex_destroy(&round.taking);
    pthread_barrier_destroy(&round.step);
}

/* Every number of producers, with one consumer and with several, from lone items to large shares.
 */
static void run_any(unsigned number)
{
    unsigned producers = number % PRODUCERS_MAX + 1;
    unsigned consumers =
        (number + number / PRODUCERS_MAX) % 2 == 0 ? 1 : 2 + number / 2 % (CONSUMERS_MAX - 1);
    memset(&round, 0, sizeof round);
    run_round(producers, consumers, number * 5 % 8, ITEMS_PER_ROUND);
}

/* Few producers with small shares, so that everybody sleeps again and again. */
static void run_late(unsigned number)
{
    memset(&round, 0, sizeof round);
    round.in_step = number % 4 > 0;
    atomic_store(&calls_come_late, true);
    run_round(round.in_step ? 2 : 3, 1 + (number % 4 != 1) + number / 4 % 2, number / 8 % 2,
              ITEMS_PER_LATE_ROUND);
    atomic_store(&calls_come_late, false);
}

int main(int arguments_count, char **arguments)
{
    double until = seconds_now() + (arguments_count > 1 ? atof(arguments[1]) : 1);
    unsigned rounds = 0;
    atomic_store(&watchdog_describe, describe_round);
    do {
        watchdog_feed();
        run_any(rounds);
        for (unsigned i = 0; i < LATE_ROUNDS; i++) {
            watchdog_feed();
            run_late(LATE_ROUNDS * rounds + i);
        }
        rounds++;
    } while (seconds_now() < until);
    printf("queue_stress: %u rounds of %u items, %u of %u whose calls come late; nothing lost\n",
           rounds, ITEMS_PER_ROUND, LATE_ROUNDS * rounds, ITEMS_PER_LATE_ROUND);
    return 0;
}
