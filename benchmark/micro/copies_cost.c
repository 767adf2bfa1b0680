/* What copies of 1 MiB out of the page cache reach, by how many buffers take turns, without Python.
 *
 * Two threads, as many as this machine has processors, read blocks at random into the buffers of
 * 64 clients. How often a client has its turn before the next one has, and how many share the turn,
 * decides whether its buffer is in the processor's cache. Printed: GB per second, and per second of
 * CPU time of both threads together, which other programs disturb less; medians of slices in turns.
 *
 * cc -O2 -pthread -o copies_cost copies_cost.c && ./copies_cost FILE
 */
#include "measuring.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define BLOCK (1u << 20)
#define CLIENTS 64u
#define THREADS 2u
#define ROUNDS 9
#define SLICE_NS 200000000

/* `sharing` clients read one block each in turns, `turns` times; then the next so many. */
static const struct order {
    unsigned sharing, turns;
} orders[] = {{2, 1u << 30}, {64, 1}, {4, 2}, {8, 2}, {16, 2}, {4, 4},
              {8, 4},        {16, 4}, {4, 8}, {8, 8}, {16, 8}, {8, 16}};
enum { ORDERS = sizeof orders / sizeof *orders };

static int file;
static unsigned long blocks;
static char *memory;
static struct order order;
static _Atomic bool stopping;
static _Atomic unsigned long done;

/* Each thread has half of the clients. */
static void *copy(void *number)
{
    unsigned long thread = (unsigned long)number, noise = 88172645463325252ul + thread * 7919;
    unsigned long sharing = order.sharing / THREADS, count = 0;
    for (; !atomic_load(&stopping); count++) {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        unsigned long group = count / (sharing * order.turns);
        unsigned long client = (group * sharing + count % sharing) % (CLIENTS / THREADS);
        char *buffer = memory + (client * THREADS + thread) * BLOCK;
        if (pread(file, buffer, BLOCK, (off_t)(noise % blocks * BLOCK)) != BLOCK)
            fail("a read");
    }
    atomic_fetch_add(&done, count);
    return NULL;
}

static void slice(double *wall, double *cpu)
{
    pthread_t threads[THREADS];
    atomic_store(&stopping, false);
    atomic_store(&done, 0);
    double started = seconds(CLOCK_MONOTONIC), started_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (unsigned long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, copy, (void *)i) != 0)
            fail("a thread");
    nanosleep(&(struct timespec){.tv_nsec = SLICE_NS}, NULL);
    atomic_store(&stopping, true);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    double gigabytes = (double)atomic_load(&done) * BLOCK / 1e9;
    *wall = gigabytes / (seconds(CLOCK_MONOTONIC) - started);
    *cpu = gigabytes / (seconds(CLOCK_PROCESS_CPUTIME_ID) - started_cpu);
}

static int compare(const void *left, const void *right)
{
    double one = *(const double *)left, other = *(const double *)right;
    return (one > other) - (one < other);
}

int main(int arguments_count, char **arguments)
{
    static double walls[ORDERS][ROUNDS], cpus[ORDERS][ROUNDS];
    if (arguments_count < 2)
        return 2;
    file = open(arguments[1], O_RDONLY);
    if (file < 0)
        fail(arguments[1]);
    blocks = (unsigned long)lseek(file, 0, SEEK_END) / BLOCK;
    memory = mmap(NULL, (size_t)CLIENTS * BLOCK, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, (size_t)CLIENTS * BLOCK);
    for (unsigned round = 0; round < ROUNDS; round++)
        for (unsigned i = 0; i < ORDERS; i++) {
            order = orders[i];
            slice(&walls[i][round], &cpus[i][round]);
        }
    for (unsigned i = 0; i < ORDERS; i++) {
        qsort(walls[i], ROUNDS, sizeof(double), compare);
        qsort(cpus[i], ROUNDS, sizeof(double), compare);
        printf("%2u clients at once, %10u turns: %5.1f GB/s (%.1f to %.1f), %4.1f GB per CPU s\n",
               orders[i].sharing, orders[i].turns, walls[i][ROUNDS / 2], walls[i][ROUNDS / 4],
               walls[i][3 * ROUNDS / 4], cpus[i][ROUNDS / 2]);
    }
    return 0;
}
