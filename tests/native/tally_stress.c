/* Description: a port's tally between the loop that counts and those that read.
 *
 * One thread begins and ends ops in random order, with tokens that follow each other or all collide
 * in the table, up to as many as may be out, of changing classes and opcodes, while another reads.
 * Each op has durations of its own, so an entry that is lost or mistaken for another shows in the
 * sums. Checked: all sums and histograms against plain bookkeeping; the bounds of the buckets; what
 * is read meanwhile never goes back.
 *
 * Usage: tally_stress SECONDS
 */
#include "tally.h"
#include "watchdog.h"
#include <pthread.h>

#define OUT_MAX 512
#define OPS_PER_ROUND 20000
#define CLASSES 3
#define OPCODES 8
#define START_NS UINT64_C(5000000000)

struct out {
    uint64_t token, backlog_ns, kernel_ns, loop_ns;
    unsigned io_class, opcode;
};

struct round {
    struct tally tally;
    asyncuring_tally expected[CLASSES][OPCODES];
    struct out out[OUT_MAX];
    unsigned out_count, out_max;
    uint64_t random, token, token_step, now_ns, ops;
    _Atomic bool stopping;
};

/* ---- buckets ---- */

static uint64_t lowest_of(unsigned bucket)
{
    uint64_t parts = 1 << ASYNCURING_PARTS_LOG2;
    uint64_t units = bucket < parts ? bucket : (parts + bucket % parts) << (bucket / parts - 1);
    return units << (ASYNCURING_LINEAR_LOG2 - ASYNCURING_PARTS_LOG2);
}

static void check_buckets(void)
{
    for (unsigned bucket = 0; bucket < ASYNCURING_BUCKETS; bucket++) {
        uint64_t lowest = lowest_of(bucket), next = lowest_of(bucket + 1);
        CHECK(tally_bucket(lowest) == bucket, "%u", bucket);
        CHECK(bucket == 0 || tally_bucket(lowest - 1) == bucket - 1, "%u", bucket);
        CHECK(next - lowest <= 64 || (next - lowest) * 16 <= lowest, "%u", bucket);
    }
    CHECK(lowest_of(ASYNCURING_BUCKETS - 1) == UINT64_C(1) << ASYNCURING_DURATION_LOG2, "last");
    CHECK(tally_bucket(UINT64_MAX) == ASYNCURING_BUCKETS - 1, "endless");
}

/* ---- the loop ---- */

static uint64_t some_duration(struct round *round)
{
    return random_to(&round->random, 1 << 20) >> random_to(&round->random, 20);
}

static void begin(struct round *round)
{
    struct out *out = &round->out[round->out_count++];
    round->token += round->token_step;
    *out = (struct out){.token = round->token,
                        .backlog_ns = some_duration(round),
                        .io_class = random_to(&round->random, CLASSES) - 1,
                        .opcode = random_to(&round->random, OPCODES) - 1};
    const asyncuring_op op = {.token = out->token,
                              .origin = (uint64_t)out->io_class << ASYNCURING_CLASS_SHIFT |
                                        (round->now_ns - out->backlog_ns),
                              /* What stands above the opcode is none of its business. */
                              .opcode = out->opcode | 3u << ASYNCURING_SIDE_SHIFT};
    tally_begin(&round->tally, &op, round->now_ns);
    out->kernel_ns = round->now_ns; /* until it is done */
    round->expected[out->io_class][out->opcode].begun++;
}

static void end(struct round *round)
{
    unsigned which = random_to(&round->random, round->out_count) - 1;
    struct out out = round->out[which];
    round->out[which] = round->out[--round->out_count];
    out.loop_ns = some_duration(round);
    if (out.loop_ns > round->now_ns - out.kernel_ns)
        out.loop_ns = 0;
    out.kernel_ns = round->now_ns - out.loop_ns - out.kernel_ns;

    asyncuring_completion completion = {.token = out.token};
    completion.result = (int64_t)random_to(&round->random, 300) - 150;
    tally_end(&round->tally, &completion, round->now_ns - out.loop_ns, round->now_ns);

    asyncuring_tally *expected = &round->expected[out.io_class][out.opcode];
    bool transfers = out.opcode == ASYNCURING_OP_READ || out.opcode == ASYNCURING_OP_WRITE;
    expected->done++;
    if (completion.result < 0)
        expected->errors[completion.result > -134 ? -completion.result : 0]++;
    else
        expected->bytes += transfers ? (uint64_t)completion.result : 0;
    expected->backlog_ns += out.backlog_ns;
    expected->kernel_ns += out.kernel_ns;
    expected->loop_ns += out.loop_ns;
    expected->backlog[tally_bucket(out.backlog_ns)]++;
    expected->kernel[tally_bucket(out.kernel_ns)]++;
    expected->loop[tally_bucket(out.loop_ns)]++;
}

static void check_sums(const struct round *round)
{
    for (unsigned io_class = 0; io_class < CLASSES; io_class++)
        for (unsigned opcode = 0; opcode < OPCODES; opcode++) {
            asyncuring_tally sum = {0};
            tally_add_to(&round->tally, io_class, opcode, &sum);
            CHECK(memcmp(&sum, &round->expected[io_class][opcode], sizeof sum) == 0,
                  "class %u, opcode %u", io_class, opcode);
        }
}

/* ---- who reads ---- */

static void *read_meanwhile(void *argument)
{
    struct round *round = argument;
    uint64_t before = 0;
    while (!atomic_load_explicit(&round->stopping, memory_order_relaxed)) {
        asyncuring_tally sum = {0};
        for (unsigned opcode = 0; opcode < OPCODES; opcode++)
            tally_add_to(&round->tally, 0, opcode, &sum);
        CHECK(sum.done >= before, "%lu after %lu", (long)sum.done, (long)before);
        before = sum.done;
    }
    return NULL;
}

static uint64_t run_round(struct round *round, uint64_t number)
{
    memset(round, 0, sizeof *round);
    round->random = 88172645463325252u + number;
    round->out_max = random_to(&round->random, OUT_MAX);
    round->now_ns = START_NS;
    CHECK(tally_create(&round->tally, round->out_max), "memory");
    /* Multiples of a power of two have all the same lower bits: the other kind of hash would put
     * them into one place. */
    round->token_step = UINT64_C(1) << (random_to(&round->random, 24) - 1);
    pthread_t reader;
    CHECK(pthread_create(&reader, NULL, read_meanwhile, round) == 0, "thread");
    for (unsigned op = 0; op < OPS_PER_ROUND; op++) {
        unsigned wanted = random_to(&round->random, round->out_max + 1) - 1;
        while (round->out_count < wanted)
            begin(round);
        round->now_ns += some_duration(round);
        while (round->out_count > wanted)
            end(round);
        round->ops++;
    }
    while (round->out_count > 0)
        end(round);
    atomic_store_explicit(&round->stopping, true, memory_order_relaxed);
    pthread_join(reader, NULL);
    check_sums(round);
    tally_destroy(&round->tally);
    return round->ops;
}

int main(int count, char **arguments)
{
    static struct round round;
    double until = seconds_now() + (count > 1 ? atof(arguments[1]) : 1);
    uint64_t rounds = 0, ticks = 0;
    check_buckets();
    do {
        watchdog_feed();
        ticks += run_round(&round, rounds++);
    } while (seconds_now() < until);
    printf("%lu rounds, %lu ticks\n", (long)rounds, (long)ticks);
    return 0;
}
