/* System calls that come late at times: included before doorbell.h, whose calls they then are.
 *
 * What goes wrong around a doorbell goes wrong in the moment between a decision, such as to sleep
 * or to ring, and the call that carries it out. That moment is short; here it is not.
 */
#pragma once
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* On average one call of so many. */
#define LATE_ONE_OF 4

static _Atomic bool calls_come_late;

static inline void be_late(void)
{
    static _Atomic uint32_t seed = 1;
    static _Thread_local uint32_t state;
    if (!atomic_load_explicit(&calls_come_late, memory_order_relaxed))
        return;
    /* relaxed: threads are to differ, and to order nothing among them. */
    if (state == 0)
        state = atomic_fetch_add_explicit(&seed, 2, memory_order_relaxed) * 2654435761u;
    state = state * 1664525u + 1013904223u;
    if ((state >> 16) % LATE_ONE_OF == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL); /* some 60 us, in fact */
}

static inline ssize_t late_read(int fd, void *buffer, size_t size)
{
    be_late();
    return read(fd, buffer, size);
}

static inline ssize_t late_write(int fd, const void *buffer, size_t size)
{
    be_late();
    return write(fd, buffer, size);
}

#define read late_read
#define write late_write
