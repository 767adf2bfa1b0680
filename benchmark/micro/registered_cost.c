/* What one ring gains from registered buffers and from registered files, without Python.
 *
 * One thread keeps 64 random reads of 8 KiB in flight, up to 32 of them submitted at once, in
 * slices of each kind in turns. Printed: the medians of the ratios to the plain slice of the same
 * round.
 *
 * cc -O2 -o registered_cost registered_cost.c -luring && ./registered_cost FILE [direct]
 */
#define _GNU_SOURCE /* O_DIRECT */
#include "measuring.h"
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DEPTH 64
#define BATCH 32
#define BLOCK 8192
#define ROUNDS 41
#define SLICE_SECONDS 0.2
#define SINGLE_ISSUER (1u << 12) /* IORING_SETUP_*, as uring.c has it */
#define DEFER_TASKRUN (1u << 13)

enum kind { PLAIN, BUFFERS, FILES, BOTH, KINDS };

static struct io_uring ring;
static char *memory;
static int file;
static unsigned long blocks, noise = 88172645463325252ul;

static void prepare(enum kind kind, unsigned buffer)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    memset(sqe, 0, sizeof *sqe);
    noise ^= noise << 13;
    noise ^= noise >> 7;
    noise ^= noise << 17;
    sqe->opcode = kind == BUFFERS || kind == BOTH ? IORING_OP_READ_FIXED : IORING_OP_READ;
    if (kind == FILES || kind == BOTH)
        sqe->flags = IOSQE_FIXED_FILE; /* the one with the index 0 */
    else
        sqe->fd = file;
    sqe->addr = (unsigned long)(memory + buffer * BLOCK);
    sqe->len = BLOCK;
    sqe->off = noise % blocks * BLOCK;
    sqe->user_data = buffer;
}

/* Seconds, and seconds of CPU, per read. */
static void slice(enum kind kind, double *wall, double *cpu)
{
    unsigned idle[DEPTH], idle_count = DEPTH, head;
    unsigned long done = 0;
    for (unsigned i = 0; i < DEPTH; i++)
        idle[i] = i;
    double started = seconds(CLOCK_MONOTONIC), started_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (bool ending = false; !ending || idle_count < DEPTH;) {
        for (unsigned i = 0; i < BATCH && idle_count > 0 && !ending; i++)
            prepare(kind, idle[--idle_count]);
        io_uring_submit_and_wait(&ring, ending || idle_count == 0);
        struct io_uring_cqe *cqe;
        unsigned reaped = 0;
        io_uring_for_each_cqe(&ring, head, cqe)
        {
            if (cqe->res != BLOCK)
                fail("a read");
            idle[idle_count++] = (unsigned)cqe->user_data;
            reaped++;
        }
        io_uring_cq_advance(&ring, reaped);
        done += reaped;
        ending = seconds(CLOCK_MONOTONIC) - started > SLICE_SECONDS;
    }
    *wall = (seconds(CLOCK_MONOTONIC) - started) / (double)done;
    *cpu = (seconds(CLOCK_PROCESS_CPUTIME_ID) - started_cpu) / (double)done;
}

static int compare(const void *left, const void *right)
{
    double one = *(const double *)left, other = *(const double *)right;
    return (one > other) - (one < other);
}

int main(int arguments_count, char **arguments)
{
    static const char *names[KINDS] = {"plain", "registered buffers", "registered file", "both"};
    static double rates[KINDS][ROUNDS], cpus[KINDS][ROUNDS];
    struct io_uring_params params = {.flags = SINGLE_ISSUER | DEFER_TASKRUN};
    if (arguments_count < 2)
        return 2;
    file = open(arguments[1], O_RDONLY | (arguments_count > 2 ? O_DIRECT : 0));
    if (file < 0)
        fail(arguments[1]);
    blocks = (unsigned long)lseek(file, 0, SEEK_END) / BLOCK;
    memory = mmap(NULL, DEPTH * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec whole = {.iov_base = memory, .iov_len = DEPTH * BLOCK};
    if (io_uring_queue_init_params(256, &ring, &params) < 0 ||
        io_uring_register_buffers(&ring, &whole, 1) < 0 ||
        io_uring_register_files(&ring, &file, 1) < 0)
        fail("io_uring");
    for (unsigned round = 0; round < ROUNDS; round++) {
        double wall[KINDS], cpu[KINDS];
        for (enum kind kind = PLAIN; kind < KINDS; kind++) {
            slice(kind, &wall[kind], &cpu[kind]);
            rates[kind][round] = wall[PLAIN] / wall[kind];
            cpus[kind][round] = cpu[kind] / cpu[PLAIN];
        }
    }
    for (enum kind kind = BUFFERS; kind < KINDS; kind++) {
        qsort(rates[kind], ROUNDS, sizeof(double), compare);
        qsort(cpus[kind], ROUNDS, sizeof(double), compare);
        printf("%s / plain: reads/s %.3f (%.3f to %.3f), CPU per read %.3f (%.3f to %.3f)\n",
               names[kind], rates[kind][ROUNDS / 2], rates[kind][ROUNDS / 4],
               rates[kind][3 * ROUNDS / 4], cpus[kind][ROUNDS / 2], cpus[kind][ROUNDS / 4],
               cpus[kind][3 * ROUNDS / 4]);
    }
    return 0;
}
