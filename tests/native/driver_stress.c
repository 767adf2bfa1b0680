/* Description: every driver between 1 to 16 event loops that come and go.
 *
 * Each loop is a thread that attaches a port, and then, tick after tick, stages ops on its own
 * blocks of one file, exchanges, checks what came back, and sleeps on the port's fd. Reads must
 * find what was last written, be it by a side thread. Reads of empty pipes stay in flight until
 * they are fed or cancelled. Calls, such as OPEN, go through the ring, or through the pool beside
 * it as if the ring lacked some of them. At times a loop drains its port, hands it back and
 * attaches another one. In the end all loops have left and the driver is stopped. Checked: each op
 * completes once, with the right result and the right data; nobody sleeps through a completion (the
 * watchdog ends a hang); nobody is left armed twice.
 *
 * Usage: driver_stress SECONDS. Skips the drivers with a ring where they cannot run, unless
 * ASYNCURING_REQUIRE_URING=1.
 */
#include "drivers.h"
#include "stress_calls.h"
#include "watchdog.h"
#include <poll.h>
#include <sys/types.h>

#define LOOPS_MAX 16
#define THREADS 3 /* fewer than the pipe reads of one loop: they may not keep others waiting */
#define DEPTH_MAX 64
#define PIPES_MAX 12
#define SIDES 2
#define BLOCKS DEPTH_MAX /* so that there is always a free one */
#define BLOCK_WORDS 128
#define BLOCK_SIZE (BLOCK_WORDS * sizeof(uint64_t))
#define TICKS_PER_VISIT 200
#define LIFE_SECONDS 0.4

#define PIPE_READ 255 /* a kind of our own */

struct slot {
    uint64_t token; /* 0: free */
    int kind;       /* an opcode, or PIPE_READ */
    unsigned block;
    int pipe_ends[2];
    bool fed, cancelled;
    uint32_t side;         /* what its opcode says of a side thread */
    uint64_t cancel_token; /* 0: no cancel under way */
    int opened_fd;         /* to be closed next; -1: none */
    uint64_t words[BLOCK_WORDS];
    asyncuring_call call; /* or, of a READV or WRITEV: */
    asyncuring_vector halves[2];
};

struct loop {
    asyncuring_driver *driver;
    asyncuring_port *port;
    pthread_t thread;
    unsigned number, sides, depth, staged, in_flight, idle_pipe_reads, cancels;
    uint64_t random, sequence, ops;
    int file;
    double until;
    struct slot slots[DEPTH_MAX];
    uint64_t versions[BLOCKS];
    bool busy[BLOCKS];
};

/* ---- staging ---- */

static uint64_t word_of(const struct loop *self, unsigned block)
{
    return (uint64_t)self->number << 56 | (uint64_t)block << 40 | self->versions[block];
}

static asyncuring_op *stage(struct loop *self, struct slot *slot, uint32_t opcode)
{
    asyncuring_op *op = &asyncuring_port_staging(self->port)[self->staged];
    memset(op, 0, sizeof *op);
    op->opcode = opcode;
    op->fd = self->file;
    op->token = (uint64_t)asyncuring_port_index(self->port) << ASYNCURING_PORT_SHIFT |
                ++self->sequence * DEPTH_MAX | (uint64_t)(slot - self->slots);
    asyncuring_port_addresses(self->port)[self->staged++] = (char *)slot->words;
    return op;
}

static void stage_call(struct loop *self, struct slot *slot, asyncuring_op *op)
{
    describe(op, &slot->call, slot->words, self->number, random_to(&self->random, 2) == 1);
    int64_t opcode = asyncuring_driver_call_opcode(self->driver, op->opcode, &slot->call);
    CHECK(opcode >= 0, "no pool: %s", strerror((int)-opcode));
    op->opcode = (uint32_t)opcode;
    slot->side = op->opcode & ASYNCURING_SIDE_MASK;
    asyncuring_port_addresses(self->port)[self->staged - 1] = (char *)&slot->call;
}

static void stage_block(struct loop *self, struct slot *slot, asyncuring_op *op)
{
    slot->block = random_to(&self->random, BLOCKS) - 1;
    while (self->busy[slot->block])
        slot->block = (slot->block + 1) % BLOCKS;
    self->busy[slot->block] = true;
    if (op->opcode == ASYNCURING_OP_WRITE) {
        self->versions[slot->block]++;
        for (unsigned i = 0; i < BLOCK_WORDS; i++)
            slot->words[i] = word_of(self, slot->block);
    } else {
        memset(slot->words, 0xff, sizeof slot->words);
    }
    op->length = BLOCK_SIZE;
    if (random_to(&self->random, 4) == 1) {
        slot->halves[0] = (asyncuring_vector){(char *)slot->words, BLOCK_SIZE / 2};
        slot->halves[1] = (asyncuring_vector){(char *)slot->words + BLOCK_SIZE / 2, BLOCK_SIZE / 2};
        asyncuring_port_addresses(self->port)[self->staged - 1] = (char *)slot->halves;
        op->length = 2;
        op->opcode += ASYNCURING_OP_READV - ASYNCURING_OP_READ;
        if (random_to(&self->random, 64) == 1)
            op->opcode |= 2u << ASYNCURING_FLAGS_SHIFT; /* RWF_DSYNC */
    } else {
        unsigned side = random_to(&self->random, 2 * SIDES);
        slot->side = (side <= self->sides ? side : 0) << ASYNCURING_SIDE_SHIFT;
        op->opcode |= slot->side;
    }
    op->argument = ((uint64_t)self->number * BLOCKS + slot->block) * BLOCK_SIZE;
}

static void stage_pipe_read(struct loop *self, struct slot *slot)
{
    asyncuring_op *op = stage(self, slot, ASYNCURING_OP_READ);
    op->fd = slot->pipe_ends[0];
    op->length = 1;
    slot->token = op->token;
    slot->kind = PIPE_READ;
    slot->fed = false;
    self->idle_pipe_reads++;
}

static void stage_something(struct loop *self, struct slot *slot)
{
    static const uint32_t opcodes[] = {
        ASYNCURING_OP_READ,    ASYNCURING_OP_READ,      ASYNCURING_OP_READ,  ASYNCURING_OP_WRITE,
        ASYNCURING_OP_NOP,     ASYNCURING_OP_OPEN,      ASYNCURING_OP_STATX, ASYNCURING_OP_LOCK,
        ASYNCURING_OP_FADVISE, ASYNCURING_OP_SYNC_RANGE};
    self->in_flight++;
    slot->side = 0;
    slot->cancelled = false;
    if (slot->pipe_ends[0] >= 0 && random_to(&self->random, 4) > 1) {
        stage_pipe_read(self, slot);
        return;
    }
    bool sync = random_to(&self->random, 400) == 1;
    uint32_t opcode = sync
                          ? ASYNCURING_OP_FDATASYNC
                          : opcodes[random_to(&self->random, sizeof opcodes / sizeof *opcodes) - 1];
    if (slot->opened_fd >= 0)
        opcode = ASYNCURING_OP_CLOSE;
    asyncuring_op *op = stage(self, slot, opcode);
    slot->token = op->token;
    slot->kind = (int)opcode;
    if (opcode == ASYNCURING_OP_READ || opcode == ASYNCURING_OP_WRITE)
        stage_block(self, slot, op);
    if (opcode == ASYNCURING_OP_CLOSE)
        op->fd = slot->opened_fd;
    if (opcode == ASYNCURING_OP_OPEN || opcode >= ASYNCURING_OP_STATX)
        stage_call(self, slot, op);
}

static void cancel(struct loop *self, struct slot *slot)
{
    asyncuring_op *op = stage(self, slot, ASYNCURING_OP_CANCEL | slot->side);
    op->fd = -1;
    op->argument = slot->token;
    slot->cancelled = true;
    slot->cancel_token = op->token;
    self->cancels++;
}

/* An idle pipe read becomes one that is going to end. */
static void end_pipe_read(struct loop *self, struct slot *slot)
{
    unsigned how = random_to(&self->random, 5);
    if (how >= 3)
        cancel(self, slot);
    if (how <= 3) { /* 3: both, in a race */
        CHECK(write(slot->pipe_ends[1], "x", 1) == 1, "%s", strerror(errno));
        slot->fed = true;
    }
    self->idle_pipe_reads--;
}

static void stage_tick(struct loop *self, bool draining)
{
    unsigned wanted = draining ? 0 : random_to(&self->random, self->depth);
    for (unsigned i = 0; i < self->depth; i++) {
        struct slot *slot = &self->slots[i];
        bool is_free = slot->token == 0 && slot->cancel_token == 0;
        if (is_free && (slot->opened_fd >= 0 || wanted > 0)) {
            wanted -= wanted > 0;
            stage_something(self, slot);
        } else if (slot->kind == PIPE_READ && slot->token && !slot->fed && !slot->cancelled &&
                   (draining || random_to(&self->random, 4) == 1)) {
            end_pipe_read(self, slot);
        } else if (slot->kind != ASYNCURING_OP_READ && slot->token && slot->side &&
                   !slot->cancelled && random_to(&self->random, 4) == 1) {
            cancel(self, slot); /* it comes behind the op, which is done all the same */
        }
    }
    self->ops += self->staged;
}

/* ---- what comes back ---- */

static void check_pipe_read(struct slot *slot, int64_t result)
{
    char left;
    if (result == 1) {
        CHECK(slot->fed, "a byte came out of an empty pipe");
        CHECK(*(char *)slot->words == 'x', "another byte came out");
        return;
    }
    CHECK(slot->cancelled && (result == -ECANCELED || result == -EINTR), "a pipe read answered %ld",
          (long)result);
    CHECK(!slot->fed || read(slot->pipe_ends[0], &left, 1) == 1, "the byte is gone");
}

static void check_result(struct loop *self, struct slot *slot, int64_t result)
{
    switch (slot->kind) {
    case PIPE_READ:
        check_pipe_read(slot, result);
        break;
    case ASYNCURING_OP_READ:
    case ASYNCURING_OP_WRITE:
        CHECK(result == BLOCK_SIZE, "opcode %d answered %ld", slot->kind, (long)result);
        for (unsigned i = 0; i < BLOCK_WORDS; i++)
            CHECK(slot->words[i] == word_of(self, slot->block), "block %u of loop %u, word %u: %lx",
                  slot->block, self->number, i, (unsigned long)slot->words[i]);
        self->busy[slot->block] = false;
        break;
    case ASYNCURING_OP_OPEN:
        CHECK(result >= 0, "open answered %ld", (long)result);
        slot->opened_fd = (int)result;
        break;
    case ASYNCURING_OP_STATX:
        CHECK(result == 0 && slot->words[STATX_SIZE_WORD] == LOOPS_MAX * BLOCKS * BLOCK_SIZE,
              "%ld, size %lu", (long)result, (unsigned long)slot->words[STATX_SIZE_WORD]);
        break;
    default:
        CHECK(result == 0, "opcode %d answered %ld", slot->kind, (long)result);
        if (slot->kind == ASYNCURING_OP_CLOSE)
            slot->opened_fd = -1;
    }
}

static void complete(struct loop *self, const asyncuring_completion *completion)
{
    struct slot *slot = &self->slots[completion->token % DEPTH_MAX];
    if (completion->token == slot->cancel_token) {
        slot->cancel_token = 0;
        self->cancels--;
        CHECK(completion->result == 0 || completion->result == -EALREADY ||
                  completion->result == -ENOENT,
              "a cancel answered %ld", (long)completion->result);
        return;
    }
    CHECK(completion->token == slot->token, "token %lx came back, not or no more in flight",
          (unsigned long)completion->token);
    check_result(self, slot, completion->result);
    slot->token = 0;
    self->in_flight--;
}

/* ---- a loop ---- */

static void visit(struct loop *self)
{
    asyncuring_completion out[DEPTH_MAX];
    int error, rung = 0;
    self->depth = random_to(&self->random, 2) == 1 ? 7 : DEPTH_MAX;
    self->port = asyncuring_port_attach(self->driver, self->depth, &error);
    CHECK(self->port, "%s", strerror(error));
    struct pollfd fd = {.fd = asyncuring_port_fd(self->port), .events = POLLIN};
    for (unsigned tick = 0;; tick++) {
        bool draining = tick >= TICKS_PER_VISIT;
        stage_tick(self, draining);
        unsigned limit = random_to(&self->random, DEPTH_MAX);
        unsigned count = exchange(self->port, self->staged, out, limit, rung);
        self->staged = 0;
        for (unsigned i = 0; i < count; i++)
            complete(self, &out[i]);
        if (draining && self->in_flight == 0 && self->cancels == 0)
            break;
        /* Sleep where something is going to come, and mostly also where there is room for more. */
        rung = 0;
        bool coming = self->in_flight + self->cancels > self->idle_pipe_reads;
        if (count < limit && coming && (draining || random_to(&self->random, 8) > 1)) {
            while (poll(&fd, 1, -1) < 0)
                CHECK(errno == EINTR, "%s", strerror(errno));
            rung = 1;
        }
    }
    for (unsigned i = 0; i < self->depth; i++)
        if (self->slots[i].opened_fd >= 0) {
            close(self->slots[i].opened_fd);
            self->slots[i].opened_fd = -1;
        }
    asyncuring_port_detach(self->port);
}

static void *loop_run(void *argument)
{
    struct loop *self = argument;
    for (unsigned i = 0; i < DEPTH_MAX; i++) {
        struct slot *slot = &self->slots[i];
        slot->opened_fd = slot->pipe_ends[0] = slot->pipe_ends[1] = -1;
        if (i % (DEPTH_MAX / PIPES_MAX) == 0)
            CHECK(pipe(slot->pipe_ends) == 0, "%s", strerror(errno));
    }
    do
        visit(self);
    while (seconds_now() < self->until);
    for (unsigned i = 0; i < DEPTH_MAX; i++) {
        close(self->slots[i].pipe_ends[0]);
        close(self->slots[i].pipe_ends[1]);
    }
    return NULL;
}

/* ---- a driver's life ---- */

static int create_file(void)
{
    int file = nameless_file();
    for (unsigned number = 0; number < LOOPS_MAX; number++) {
        struct loop empty = {.number = number};
        for (unsigned block = 0; block < BLOCKS; block++)
            for (unsigned i = 0; i < BLOCK_WORDS; i++) {
                uint64_t word = word_of(&empty, block);
                CHECK(write(file, &word, sizeof word) == sizeof word, "%s", strerror(errno));
            }
    }
    return file;
}

static void live(const char *name, asyncuring_driver *driver, unsigned threads, unsigned count)
{
    static unsigned lives;
    struct loop *loops = calloc(count, sizeof *loops);
    int file = create_file();
    unsigned sides = 0;
    while (sides < SIDES && asyncuring_driver_side_start(driver, sides + 1) == 0)
        sides++;
    CHECK(sides == (threads > 0 ? SIDES : 0), "%u side threads", sides);
    double until = seconds_now() + LIFE_SECONDS;
    lives++;
    if (threads != THREADS && lives % 2)
        driver->carries &= ~(1u << ASYNCURING_OP_OPEN | 1u << ASYNCURING_OP_STATX);
    for (unsigned i = 0; i < count; i++) {
        loops[i].driver = driver;
        loops[i].number = i;
        loops[i].sides = sides;
        loops[i].file = file;
        loops[i].until = until;
        loops[i].random = (lives * LOOPS_MAX + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        CHECK(pthread_create(&loops[i].thread, NULL, loop_run, &loops[i]) == 0, "no thread");
    }
    uint64_t ops = 0;
    for (unsigned i = 0; i < count; i++) {
        pthread_join(loops[i].thread, NULL);
        ops += loops[i].ops;
    }
    unsigned sleepers = atomic_load(&driver->doorbell.sleepers);
    CHECK(sleepers <= threads, "%u armings by %u threads", sleepers, threads);
    asyncuring_driver_stop(driver);
    close(file);
    free(loops);
    printf("driver_stress: %s, %u loops: %lu ops, each completed once\n", name, count,
           (unsigned long)ops);
}

int main(int arguments_count, char **arguments)
{
    double until = seconds_now() + (arguments_count > 1 ? atof(arguments[1]) : 1);
    asyncuring_start_error error = {0};
    unsigned loops = LOOPS_MAX;
    do {
        watchdog_feed();
        asyncuring_driver *driver = asyncuring_threads_start(THREADS, &error);
        CHECK(driver, "%s", strerror(error.error));
        live("threads", driver, THREADS, loops);

        watchdog_feed();
        driver = start_with_ring("driver_stress: uring", asyncuring_uring_start);
        if (driver)
            live("uring", driver, 1, loops);

        watchdog_feed();
        driver = start_with_ring("driver_stress: uring-local", asyncuring_uring_local_start);
        if (driver)
            live("uring-local", driver, 0, loops);
        loops = (loops + 10) % LOOPS_MAX + 1; /* 11, 6, 1, 12, …: every number in 16 turns */
    } while (seconds_now() < until);
    return 0;
}
