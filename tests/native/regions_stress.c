/* Description: memory that comes and goes while rings register it.
 *
 * Each loop is a thread that maps some memory, enters it (mostly) in the table of what rings may
 * register, reads blocks of one file into it, some beyond its end into memory that is not entered,
 * writes some back, checks what came, takes it out of the table and unmaps it. The next mapping of
 * any loop comes to lie at the same addresses: a ring that went on with registered pages of the one
 * before would read into pages that nobody sees, and write what was there. At times a loop hands
 * its port back and attaches another one; memory that stays outlives drivers.
 *
 * Usage: regions_stress SECONDS. Skips where there is no io_uring, unless
 * ASYNCURING_REQUIRE_URING=1.
 */
#define _GNU_SOURCE /* mmap's flags, memfd_create */
#include "drivers.h"
#include "watchdog.h"
#include <poll.h>
#include <sys/mman.h>

#define LOOPS 3
#define DEPTH 16
#define BLOCK_SIZE 4096u
#define BLOCKS 64u
#define ROUNDS_PER_VISIT 20
#define LIFE_SECONDS 0.5
#define SKIPPED 77

struct loop {
    asyncuring_driver *driver;
    asyncuring_port *port;
    pthread_t thread;
    uint64_t random, sequence, reads, registered;
    int file;
    double until;
};

static uint64_t word_of(unsigned block)
{
    return (uint64_t)(block + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static void fill(uint64_t *words, uint64_t word)
{
    for (unsigned i = 0; i < BLOCK_SIZE / sizeof word; i++)
        words[i] = word;
}

/* Transfer `count` blocks between the memory and the file, all at once. */
static void transfer(struct loop *self, uint32_t opcode, char *memory, const unsigned *blocks,
                     unsigned count)
{
    asyncuring_completion out[DEPTH];
    struct pollfd fd = {.fd = asyncuring_port_fd(self->port), .events = POLLIN};
    for (unsigned i = 0; i < count; i++) {
        asyncuring_port_staging(self->port)[i] = (asyncuring_op){
            .token = (uint64_t)asyncuring_port_index(self->port) << ASYNCURING_PORT_SHIFT |
                     ++self->sequence,
            .argument = (uint64_t)blocks[i] * BLOCK_SIZE,
            .length = BLOCK_SIZE,
            .fd = self->file,
            .opcode = opcode};
        asyncuring_port_addresses(self->port)[i] = memory + i * BLOCK_SIZE;
    }
    unsigned staged = count;
    for (int rung = 0; count > 0; staged = 0, rung = 1) {
        unsigned done = exchange(self->port, staged, out, DEPTH, rung);
        for (unsigned i = 0; i < done; i++)
            CHECK(out[i].result == BLOCK_SIZE, "%ld", (long)out[i].result);
        count -= done;
        if (count > 0 && done < DEPTH)
            CHECK(poll(&fd, 1, -1) == 1 || errno == EINTR, "%s", strerror(errno));
    }
}

static void round_trip(struct loop *self)
{
    unsigned count = random_to(&self->random, DEPTH), blocks[DEPTH];
    unsigned entered = random_to(&self->random, count + 1) - 1; /* the others are plain */
    char *memory =
        mmap(NULL, count * BLOCK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED, "%s", strerror(errno));
    uint64_t region = 0;
    if (entered > 0)
        region = asyncuring_region_add((uintptr_t)memory, entered * BLOCK_SIZE);
    for (unsigned i = 0; i < count; i++)
        blocks[i] = random_to(&self->random, BLOCKS) - 1;
    transfer(self, ASYNCURING_OP_READ, memory, blocks, count);
    for (unsigned i = 0; i < count; i++)
        for (unsigned word = 0; word < BLOCK_SIZE / sizeof(uint64_t); word++)
            CHECK(((uint64_t *)(memory + i * BLOCK_SIZE))[word] == word_of(blocks[i]),
                  "block %u was not read to where it should be", blocks[i]);
    self->reads += count;
    /* Back to where it was: a write from other pages would be seen by the reads. */
    transfer(self, ASYNCURING_OP_WRITE, memory, blocks, count);
    self->registered += region != 0 && asyncuring_driver_region(self->driver, region) == 1;
    asyncuring_region_remove(region);
    fill((uint64_t *)memory, 0);
    CHECK(munmap(memory, count * BLOCK_SIZE) == 0, "%s", strerror(errno));
}

static void *loop_run(void *argument)
{
    struct loop *self = argument;
    do {
        int error;
        self->port = asyncuring_port_attach(self->driver, DEPTH, &error);
        CHECK(self->port, "%s", strerror(error));
        for (unsigned i = 0; i < ROUNDS_PER_VISIT; i++)
            round_trip(self);
        asyncuring_port_detach(self->port);
    } while (seconds_now() < self->until);
    return NULL;
}

static void live(const char *name, asyncuring_driver *driver, int file)
{
    static unsigned lives;
    struct loop loops[LOOPS];
    uint64_t reads = 0, registered = 0;
    lives++;
    for (unsigned i = 0; i < LOOPS; i++) {
        loops[i] = (struct loop){.driver = driver,
                                 .file = file,
                                 .random = (lives * LOOPS + i + 1) * UINT64_C(0x9e3779b97f4a7c15),
                                 .until = seconds_now() + LIFE_SECONDS};
        CHECK(pthread_create(&loops[i].thread, NULL, loop_run, &loops[i]) == 0, "no thread");
    }
    for (unsigned i = 0; i < LOOPS; i++) {
        pthread_join(loops[i].thread, NULL);
        reads += loops[i].reads;
        registered += loops[i].registered;
    }
    asyncuring_driver_stop(driver);
    printf("regions_stress: %s: %lu reads, %lu times registered\n", name, (unsigned long)reads,
           (unsigned long)registered);
}

int main(int arguments_count, char **arguments)
{
    double until = seconds_now() + (arguments_count > 1 ? atof(arguments[1]) : 1);
    static uint64_t block[BLOCK_SIZE / sizeof(uint64_t)];
    int file = memfd_create("regions_stress", MFD_CLOEXEC);
    CHECK(file >= 0, "%s", strerror(errno));
    for (unsigned number = 0; number < BLOCKS; number++) {
        fill(block, word_of(number));
        CHECK(write(file, block, BLOCK_SIZE) == BLOCK_SIZE, "%s", strerror(errno));
    }
    uint64_t stays = asyncuring_region_add((uintptr_t)block, sizeof block);
    do {
        watchdog_feed();
        asyncuring_driver *driver =
            start_with_ring("regions_stress: uring", asyncuring_uring_start);
        if (!driver)
            return SKIPPED;
        live("uring", driver, file);
        watchdog_feed();
        driver = start_with_ring("regions_stress: uring-local", asyncuring_uring_local_start);
        if (driver)
            live("uring-local", driver, file);
    } while (seconds_now() < until);
    asyncuring_region_remove(stays);
    close(file);
    return 0;
}
