/* What waiting in an event loop costs few O_DIRECT reads, without Python.
 *
 * A few random reads of 8 KiB are kept in flight, in slices of each way in turns:
 *   enter    as fio does: one thread submits and waits in io_uring_enter
 *   loop     the same ring, but the thread waits in epoll_wait for the ring's eventfd, as an event
 *            loop has to: what a ring of the loop's own (uring-local) can reach
 *   kernel   likewise, with a thread of the kernel's that takes what is submitted (SQPOLL)
 *   thread   ops go to a thread that owns the ring, completions come back, with an eventfd each
 *            way: what a shared ring can reach
 * Printed: the medians of the ratios to the first of the same round.
 *
 * cc -O2 -pthread -o wakeups_cost wakeups_cost.c -luring && ./wakeups_cost FILE DEPTH
 */
#define _GNU_SOURCE /* O_DIRECT */
#include "measuring.h"
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define DEPTH_MAX 256
#define BLOCK 8192
#define ROUNDS 15
#define SLICE_SECONDS 0.15
#define SINGLE_ISSUER (1u << 12) /* IORING_SETUP_*, as uring.c has it */
#define DEFER_TASKRUN (1u << 13)
#define COOP_TASKRUN (1u << 8)
#define BELL UINT64_MAX

enum way { ENTER, LOOP, KERNEL, THREAD, WAYS };

static const unsigned ring_flags[WAYS] = {SINGLE_ISSUER | DEFER_TASKRUN, COOP_TASKRUN,
                                          IORING_SETUP_SQPOLL, SINGLE_ISSUER | DEFER_TASKRUN};

static struct io_uring ring;
static char *memory;
static int file, to_ring, to_loop, epoll;
static unsigned depth;
static unsigned long blocks, noise = 88172645463325252ul;
static _Atomic unsigned asked, answered; /* ops that the loop has asked for; that are done */

static void prepare(unsigned buffer)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    noise ^= noise << 13;
    noise ^= noise >> 7;
    noise ^= noise << 17;
    io_uring_prep_read(sqe, file, memory + buffer * BLOCK, BLOCK, noise % blocks * BLOCK);
    sqe->user_data = buffer;
}

static unsigned reap(unsigned *done, bool *rung)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0, count = 0;
    io_uring_for_each_cqe(&ring, head, cqe)
    {
        seen++;
        if (cqe->user_data == BELL) {
            *rung = true;
            continue;
        }
        if (cqe->res != BLOCK)
            fail("a read");
        done[count++] = (unsigned)cqe->user_data;
    }
    io_uring_cq_advance(&ring, seen);
    return count;
}

static void ring_bell(int fd)
{
    const uint64_t one = 1;
    if (write(fd, &one, sizeof one) < 0)
        fail("an eventfd");
}

static void wait_for_bell(void)
{
    struct epoll_event event;
    uint64_t value;
    while (epoll_wait(epoll, &event, 1, -1) < 1)
        if (errno != EINTR)
            fail("epoll_wait");
    if (read(to_loop, &value, sizeof value) < 0 && errno != EAGAIN)
        fail("an eventfd");
}

static unsigned long run_alone(enum way way)
{
    unsigned idle[DEPTH_MAX], count = depth;
    unsigned long done = 0;
    bool rung;
    for (unsigned i = 0; i < depth; i++)
        idle[i] = i;
    double end = seconds(CLOCK_MONOTONIC) + SLICE_SECONDS;
    for (unsigned in_flight = 0;;) {
        bool ending = seconds(CLOCK_MONOTONIC) > end;
        for (; count > 0 && !ending; in_flight++)
            prepare(idle[--count]);
        if (ending && in_flight == 0)
            return done;
        if (way == ENTER)
            io_uring_submit_and_wait(&ring, 1);
        else
            io_uring_submit(&ring);
        while ((count = reap(idle, &rung)) == 0)
            if (way == ENTER)
                io_uring_submit_and_wait(&ring, 1);
            else
                wait_for_bell();
        done += count;
        in_flight -= count;
    }
}

static void *own_ring(void *unused)
{
    struct io_uring_params params = {.flags = ring_flags[THREAD]};
    if (io_uring_queue_init_params(DEPTH_MAX, &ring, &params) < 0)
        fail("io_uring");
    unsigned done[DEPTH_MAX], taken = 0;
    uint64_t value;
    for (bool rung = true;;) {
        if (rung) {
            struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
            io_uring_prep_read(sqe, to_ring, &value, sizeof value, 0);
            sqe->user_data = BELL;
            rung = false;
        }
        for (; taken != atomic_load(&asked); taken++)
            if (atomic_load(&asked) - taken > DEPTH_MAX)
                break; /* told to end */
            else
                prepare(taken % depth);
        if (atomic_load(&asked) - taken > DEPTH_MAX)
            break;
        io_uring_submit_and_wait(&ring, 1);
        unsigned count = reap(done, &rung);
        if (count > 0) {
            atomic_fetch_add(&answered, count);
            ring_bell(to_loop);
        }
    }
    io_uring_queue_exit(&ring);
    return unused;
}

static unsigned long run_with_thread(void)
{
    pthread_t thread;
    unsigned seen = 0;
    atomic_store(&asked, 0);
    atomic_store(&answered, 0);
    if (pthread_create(&thread, NULL, own_ring, NULL) != 0)
        fail("a thread");
    double end = seconds(CLOCK_MONOTONIC) + SLICE_SECONDS;
    for (bool ending = false; !ending || seen != atomic_load(&asked);) {
        ending = seconds(CLOCK_MONOTONIC) > end;
        unsigned room = depth - (atomic_load(&asked) - seen);
        if (room > 0 && !ending) {
            atomic_fetch_add(&asked, room);
            ring_bell(to_ring);
        }
        if (seen != atomic_load(&asked))
            wait_for_bell();
        seen = atomic_load(&answered);
    }
    atomic_fetch_add(&asked, 2 * DEPTH_MAX);
    ring_bell(to_ring);
    pthread_join(thread, NULL);
    return seen;
}

/* Reads per second, and seconds of CPU per read. */
static void slice(enum way way, double *rate, double *cpu)
{
    struct io_uring_params params = {.flags = ring_flags[way], .sq_thread_idle = 1};
    if (way != THREAD && io_uring_queue_init_params(DEPTH_MAX, &ring, &params) < 0)
        fail("io_uring");
    if ((way == LOOP || way == KERNEL) && io_uring_register_eventfd(&ring, to_loop) < 0)
        fail("a registered eventfd");
    double started = seconds(CLOCK_MONOTONIC), started_cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    unsigned long done = way == THREAD ? run_with_thread() : run_alone(way);
    *rate = (double)done / (seconds(CLOCK_MONOTONIC) - started);
    *cpu = (seconds(CLOCK_PROCESS_CPUTIME_ID) - started_cpu) / (double)done;
    if (way != THREAD)
        io_uring_queue_exit(&ring);
}

static int compare(const void *left, const void *right)
{
    double one = *(const double *)left, other = *(const double *)right;
    return (one > other) - (one < other);
}

int main(int arguments_count, char **arguments)
{
    static const char *names[WAYS] = {"enter", "loop", "kernel", "thread"};
    static double ratios[WAYS][ROUNDS], rates[WAYS][ROUNDS], cpus[WAYS][ROUNDS];
    if (arguments_count < 3)
        return 2;
    depth = (unsigned)atoi(arguments[2]);
    if (depth < 1 || depth > DEPTH_MAX / 2)
        return 2;
    file = open(arguments[1], O_RDONLY | O_DIRECT);
    if (file < 0)
        fail(arguments[1]);
    blocks = (unsigned long)lseek(file, 0, SEEK_END) / BLOCK;
    memory =
        mmap(NULL, DEPTH_MAX * BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    to_ring = eventfd(0, 0);
    to_loop = eventfd(0, EFD_NONBLOCK);
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, to_loop, &event) < 0)
        fail("epoll_ctl");
    for (unsigned round = 0; round < ROUNDS; round++)
        for (enum way way = ENTER; way < WAYS; way++) {
            slice(way, &rates[way][round], &cpus[way][round]);
            ratios[way][round] = rates[way][round] / rates[ENTER][round];
        }
    for (enum way way = ENTER; way < WAYS; way++) {
        qsort(ratios[way], ROUNDS, sizeof(double), compare);
        qsort(rates[way], ROUNDS, sizeof(double), compare);
        qsort(cpus[way], ROUNDS, sizeof(double), compare);
        printf("%-8s %6.1f thousand reads/s, %.2f of `enter` (%.2f to %.2f), CPU %.1f us\n",
               names[way], rates[way][ROUNDS / 2] / 1e3, ratios[way][ROUNDS / 2],
               ratios[way][ROUNDS / 4], ratios[way][3 * ROUNDS / 4], cpus[way][ROUNDS / 2] * 1e6);
    }
    return 0;
}
