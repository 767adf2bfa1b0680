/* Description: chains on every driver, between several event loops and plain reads.
 *
 * Each loop stages chains of up to some dozens of steps: writes of a block of its own and reads
 * that must find what the step before wrote, syncs, reads that come short and either stop their
 * chain or do not, a step that fails, reads of an empty pipe, which stay under way until they are
 * fed or cancelled. Chains are cancelled at any time. Each lies in memory of exactly its size,
 * which is freed when it is done. Checked: what should run has run, in order, and nothing behind
 * the step that stopped the chain; each chain completes once; no loop sleeps through a completion.
 *
 * Usage: chain_stress SECONDS. Skips the drivers with a ring where they cannot run, unless
 * ASYNCURING_REQUIRE_URING=1.
 */
#include "drivers.h"
#include "watchdog.h"
#include <poll.h>
#include <sys/types.h>

#define LOOPS 4
#define THREADS 3
#define SLOTS 32
#define STEPS_MAX 70 /* more than one run on a ring */
#define WORDS 16
#define BLOCK_SIZE (WORDS * sizeof(uint64_t))
#define TAIL (BLOCK_SIZE / 2) /* so much can be read at the file's end */
#define FILE_SIZE (LOOPS * SLOTS * BLOCK_SIZE + TAIL)
#define TICKS_PER_VISIT 150
#define UNKNOWN 31 /* no opcode */
#define LIFE_SECONDS 1.0

enum kind { WRITE, READ_BACK, SYNC, SHORT_READ, STOP_SHORT, STOP_FAILED, PIPE_READ };

struct slot {
    uint64_t token, cancel_token; /* 0: none under way */
    asyncuring_chain *chain;      /* NULL: the op is a plain read */
    uint64_t (*words)[WORDS];     /* one block for each step */
    enum kind kinds[STEPS_MAX];
    uint64_t versions[STEPS_MAX]; /* what a write writes, a read expects */
    uint64_t version;             /* what the block holds */
    int pipe_ends[2];
    bool waits, fed, cancelled; /* waits: for its pipe */
};

struct loop {
    asyncuring_driver *driver;
    asyncuring_port *port;
    pthread_t thread;
    unsigned number, staged, out, waiting;
    uint64_t random, sequence, steps;
    int file;
    double until;
    struct slot slots[SLOTS];
};

/* ---- staging ---- */

static uint64_t word_of(uint64_t version, unsigned i)
{
    return version << 8 | i;
}

static uint64_t offset_of(const struct loop *self, const struct slot *slot)
{
    return (self->number * SLOTS + (uint64_t)(slot - self->slots)) * BLOCK_SIZE;
}

static asyncuring_op *stage(struct loop *self, uint32_t opcode, const struct slot *slot,
                            char *memory)
{
    asyncuring_op *op = &asyncuring_port_staging(self->port)[self->staged];
    *op = (asyncuring_op){.opcode = opcode, .fd = self->file};
    op->token = (uint64_t)asyncuring_port_index(self->port) << ASYNCURING_PORT_SHIFT |
                ++self->sequence * SLOTS | (uint64_t)(slot - self->slots);
    asyncuring_port_addresses(self->port)[self->staged++] = memory;
    self->out++;
    return op;
}

static enum kind random_kind(struct loop *self, const struct slot *slot)
{
    unsigned number = random_to(&self->random, 120);
    if (number == 1)
        return SYNC;
    if (number == 2)
        return STOP_SHORT;
    if (number == 3)
        return STOP_FAILED;
    if (number <= 6 && !slot->waits)
        return PIPE_READ;
    if (number <= 12)
        return SHORT_READ;
    return number <= 66 ? WRITE : READ_BACK;
}

static void describe_step(struct loop *self, struct slot *slot, unsigned i)
{
    asyncuring_step *step = &slot->chain->steps[i];
    enum kind kind = slot->kinds[i] = random_kind(self, slot);
    *step = (asyncuring_step){.wanted = BLOCK_SIZE, .result = ASYNCURING_NOT_RUN, .index = i};
    step->op = (asyncuring_op){.opcode = ASYNCURING_OP_READ,
                               .address = (uintptr_t)slot->words[i],
                               .length = BLOCK_SIZE,
                               .argument = offset_of(self, slot),
                               .fd = self->file};
    switch (kind) {
    case WRITE:
        step->op.opcode = ASYNCURING_OP_WRITE;
        slot->version++;
        for (unsigned word = 0; word < WORDS; word++)
            slot->words[i][word] = word_of(slot->version, word);
        break;
    case SYNC:
        step->op.opcode = ASYNCURING_OP_FDATASYNC;
        step->wanted = 0;
        break;
    case SHORT_READ:
    case STOP_SHORT:
        step->op.argument = FILE_SIZE - TAIL;
        step->wanted = kind == STOP_SHORT ? BLOCK_SIZE : 0;
        break;
    case STOP_FAILED: /* when it is carried out, or at once: then io_uring takes no more SQEs */
        if (random_to(&self->random, 2) == 1)
            step->op.fd = -1;
        else
            step->op.opcode = UNKNOWN;
        break;
    case PIPE_READ:
        step->op.fd = slot->pipe_ends[0];
        step->op.length = 1;
        step->wanted = 1;
        slot->waits = true;
        self->waiting++;
        break;
    case READ_BACK:
        break;
    }
    slot->versions[i] = slot->version;
}

static void stage_chain(struct loop *self, struct slot *slot)
{
    unsigned count = random_to(&self->random, random_to(&self->random, 4) == 1 ? STEPS_MAX : 6);
    slot->chain = calloc(1, sizeof *slot->chain + count * sizeof *slot->chain->steps);
    slot->words = calloc(count, sizeof *slot->words);
    slot->chain->count = count;
    slot->waits = slot->fed = slot->cancelled = false;
    uint64_t version = slot->version;
    for (unsigned i = 0; i < count; i++)
        describe_step(self, slot, i);
    bool links = random_to(&self->random, 4) > 1;
    for (unsigned i = 0; i + 1 < count; i++)
        slot->chain->steps[i].linked = links && slot->kinds[i] != SHORT_READ &&
                                       slot->kinds[i] != PIPE_READ &&
                                       slot->kinds[i + 1] != PIPE_READ;
    slot->version = version; /* that is what it holds so far */
    slot->token = stage(self, ASYNCURING_OP_CHAIN, slot, (char *)slot->chain)->token;
    self->steps += count;
}

static void stage_read(struct loop *self, struct slot *slot)
{
    slot->chain = NULL;
    slot->words = calloc(1, sizeof *slot->words);
    slot->waits = slot->cancelled = false;
    asyncuring_op *op = stage(self, ASYNCURING_OP_READ, slot, (char *)slot->words);
    op->length = BLOCK_SIZE;
    op->argument = offset_of(self, slot);
    slot->token = op->token;
}

static void cancel(struct loop *self, struct slot *slot)
{
    asyncuring_op *op = stage(self, ASYNCURING_OP_CANCEL, slot, NULL);
    op->argument = slot->token;
    slot->cancelled = true;
    slot->cancel_token = op->token;
}

/* Its pipe is not what it waits for any more. */
static void end_wait(struct loop *self, struct slot *slot)
{
    unsigned how = random_to(&self->random, 5);
    if (how >= 3 && !slot->cancelled)
        cancel(self, slot);
    if (how <= 3 || slot->fed) { /* 3: both, in a race */
        CHECK(write(slot->pipe_ends[1], "x", 1) == 1, "%s", strerror(errno));
        slot->fed = true;
    }
    if (slot->fed || slot->cancelled) {
        slot->waits = false;
        self->waiting--;
    }
}

static void stage_tick(struct loop *self, bool draining)
{
    unsigned wanted = draining ? 0 : random_to(&self->random, SLOTS / 2);
    for (unsigned i = 0; i < SLOTS; i++) {
        struct slot *slot = &self->slots[i];
        if (slot->token == 0 && slot->cancel_token == 0 && wanted > 0) {
            wanted--;
            if (random_to(&self->random, 4) == 1)
                stage_read(self, slot);
            else
                stage_chain(self, slot);
        } else if (slot->token && slot->waits && (draining || random_to(&self->random, 4) == 1)) {
            end_wait(self, slot);
        } else if (slot->token && slot->chain && !slot->cancelled &&
                   random_to(&self->random, 20) == 1) {
            cancel(self, slot);
        }
    }
}

/* ---- what comes back ---- */

static int64_t check_step(struct slot *slot, unsigned i)
{
    int64_t result = slot->chain->steps[i].result;
    switch (slot->kinds[i]) {
    case WRITE:
        slot->version = slot->versions[i];
        break;
    case READ_BACK:
        for (unsigned word = 0; word < WORDS; word++)
            CHECK(slot->words[i][word] == word_of(slot->versions[i], word),
                  "step %u read %lx in word %u, not version %lu", i,
                  (unsigned long)slot->words[i][word], word, (unsigned long)slot->versions[i]);
        break;
    case SHORT_READ:
        CHECK(result == TAIL, "a read at the end answered %ld", (long)result);
        break;
    case PIPE_READ:
        CHECK(slot->fed, "a byte came out of an empty pipe");
        break;
    default:
        break;
    }
    return result;
}

/* The steps behind the one that stopped it, and that one. */
static void check_stop(struct slot *slot, unsigned place, int64_t bytes, int64_t result)
{
    int64_t stopped = slot->chain->steps[place].result;
    for (unsigned i = place + 1; i < slot->chain->count; i++)
        CHECK(slot->chain->steps[i].result == ASYNCURING_NOT_RUN, "step %u has run behind step %u",
              i, place);
    if (stopped == ASYNCURING_NOT_RUN || stopped == -ECANCELED || stopped == -EINTR) {
        CHECK(slot->cancelled, "step %u answered %ld", place, (long)stopped);
        CHECK(result == (stopped == ASYNCURING_NOT_RUN ? -ECANCELED : stopped), "%ld",
              (long)result);
    } else if (slot->kinds[place] == STOP_SHORT) {
        CHECK(stopped == TAIL && result == bytes + stopped, "step %u: %ld, %ld", place,
              (long)stopped, (long)result);
    } else {
        bool known = slot->chain->steps[place].op.opcode != UNKNOWN;
        CHECK(slot->kinds[place] == STOP_FAILED && stopped == (known ? -EBADF : -EINVAL) &&
                  result == stopped,
              "step %u: %ld, %ld", place, (long)stopped, (long)result);
    }
}

static void check_chain(struct loop *self, struct slot *slot, int64_t result)
{
    unsigned place = 0;
    int64_t bytes = 0;
    while (place < slot->chain->count &&
           slot->chain->steps[place].result >= slot->chain->steps[place].wanted)
        bytes += check_step(slot, place++);
    if (place < slot->chain->count)
        check_stop(slot, place, bytes, result);
    else
        CHECK(result == bytes, "%ld bytes, not %ld", (long)result, (long)bytes);
    if (slot->waits) /* it did not get that far */
        self->waiting--;
    slot->waits = false;
    struct pollfd fd = {.fd = slot->pipe_ends[0], .events = POLLIN};
    if (poll(&fd, 1, 0) == 1) /* the byte is left */
        CHECK(read(fd.fd, slot->words, 1) == 1, "%s", strerror(errno));
}

static void complete(struct loop *self, const asyncuring_completion *completion)
{
    struct slot *slot = &self->slots[completion->token % SLOTS];
    self->out--;
    if (completion->token == slot->cancel_token) {
        slot->cancel_token = 0;
        return;
    }
    CHECK(completion->token == slot->token, "token %lx came back, not or no more in flight",
          (unsigned long)completion->token);
    if (slot->chain)
        check_chain(self, slot, completion->result);
    else
        for (unsigned word = 0; word < WORDS; word++)
            CHECK(completion->result == BLOCK_SIZE &&
                      slot->words[0][word] == word_of(slot->version, word),
                  "a read answered %ld, %lx in word %u, not version %lu", (long)completion->result,
                  (unsigned long)slot->words[0][word], word, (unsigned long)slot->version);
    free(slot->chain);
    free(slot->words);
    slot->token = 0;
}

/* ---- a loop ---- */

static void visit(struct loop *self)
{
    asyncuring_completion out[SLOTS];
    int error, rung = 0;
    self->port = asyncuring_port_attach(self->driver, SLOTS, &error);
    CHECK(self->port, "%s", strerror(error));
    struct pollfd fd = {.fd = asyncuring_port_fd(self->port), .events = POLLIN};
    for (unsigned tick = 0;; tick++) {
        bool draining = tick >= TICKS_PER_VISIT;
        stage_tick(self, draining);
        unsigned limit = random_to(&self->random, SLOTS);
        unsigned count = exchange(self->port, self->staged, out, limit, rung);
        self->staged = 0;
        for (unsigned i = 0; i < count; i++)
            complete(self, &out[i]);
        if (draining && self->out == 0)
            break;
        rung = 0;
        if (count < limit && self->out > self->waiting) {
            while (poll(&fd, 1, -1) < 0)
                CHECK(errno == EINTR, "%s", strerror(errno));
            rung = 1;
        }
    }
    asyncuring_port_detach(self->port);
}

static void *loop_run(void *argument)
{
    struct loop *self = argument;
    for (unsigned i = 0; i < SLOTS; i++)
        CHECK(pipe(self->slots[i].pipe_ends) == 0, "%s", strerror(errno));
    do
        visit(self);
    while (seconds_now() < self->until);
    for (unsigned i = 0; i < SLOTS; i++) {
        close(self->slots[i].pipe_ends[0]);
        close(self->slots[i].pipe_ends[1]);
    }
    return NULL;
}

static int create_file(void)
{
    int file = nameless_file();
    for (uint64_t place = 0; place < FILE_SIZE; place += sizeof place) {
        uint64_t word = word_of(0, place / sizeof place % WORDS);
        CHECK(write(file, &word, sizeof word) == sizeof word, "%s", strerror(errno));
    }
    return file;
}

static void live(const char *name, asyncuring_driver *driver)
{
    static uint64_t lives;
    struct loop *loops = calloc(LOOPS, sizeof *loops);
    int file = create_file();
    uint64_t steps = 0;
    for (unsigned i = 0; i < LOOPS; i++) {
        loops[i].driver = driver;
        loops[i].number = i;
        loops[i].file = file;
        loops[i].until = seconds_now() + LIFE_SECONDS;
        loops[i].random = ++lives * UINT64_C(0x9e3779b97f4a7c15);
        CHECK(pthread_create(&loops[i].thread, NULL, loop_run, &loops[i]) == 0, "no thread");
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        pthread_join(loops[i].thread, NULL);
        steps += loops[i].steps;
    }
    asyncuring_driver_stop(driver);
    close(file);
    free(loops);
    printf("chain_stress: %s, %d loops: %lu steps, in order\n", name, LOOPS, (unsigned long)steps);
}

int main(int arguments_count, char **arguments)
{
    double until = seconds_now() + (arguments_count > 1 ? atof(arguments[1]) : 1);
    asyncuring_start_error error = {0};
    do {
        watchdog_feed(); /* ROUND_SECONDS_MAX are enough for all three */
        asyncuring_driver *driver = asyncuring_threads_start(THREADS, &error);
        CHECK(driver, "%s", strerror(error.error));
        live("threads", driver);
        driver = start_with_ring("chain_stress: uring", asyncuring_uring_start);
        if (driver)
            live("uring", driver);
        driver = start_with_ring("chain_stress: uring-local", asyncuring_uring_local_start);
        if (driver)
            live("uring-local", driver);
    } while (seconds_now() < until);
    return 0;
}
