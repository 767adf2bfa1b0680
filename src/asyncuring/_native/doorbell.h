/* A doorbell wakes a sleeping consumer, at most once per sleep.
 *
 * A consumer that found its queue empty arms the doorbell, looks at the queue ONCE MORE, and only
 * then sleeps on the fd. A producer publishes its item and then rings. Both sides use a
 * read-modify-write of `sleepers`, and read-modify-writes of one variable are totally ordered:
 *   - the ring comes after the arming: it finds the sleeper and writes to the fd; or
 *   - the ring comes first: the arming reads from it and so happens after it, and the second look
 *     finds the item.
 * Either way nothing is lost. (Fences would do as well, but ThreadSanitizer does not model them.)
 *
 * Several consumers may sleep on one doorbell (the native threads): then `sleepers` counts them
 * and each wake-up takes one away.
 */
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

struct doorbell {
    _Atomic unsigned sleepers; /* armed and not yet rung for */
    int fd;                    /* readable after a ring */
    int ring_fd;               /* written by a ring; the same eventfd on Linux */
};

/* blocking: sleep in doorbell_wait; otherwise the fd goes into an event loop. 0 or an errno. */
static inline int doorbell_create(struct doorbell *doorbell, bool blocking)
{
    atomic_init(&doorbell->sleepers, 0);
    doorbell->fd = doorbell->ring_fd = -1;
#ifdef __linux__
    /* Several sleepers: one ring wakes one of them. */
    doorbell->fd = eventfd(0, EFD_CLOEXEC | (blocking ? EFD_SEMAPHORE : EFD_NONBLOCK));
    doorbell->ring_fd = doorbell->fd;
    return doorbell->fd < 0 ? errno : 0;
#else
    int ends[2];
    if (pipe(ends) < 0)
        return errno;
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
        if (i == 1 || !blocking)
            fcntl(ends[i], F_SETFL, O_NONBLOCK);
    }
    doorbell->fd = ends[0];
    doorbell->ring_fd = ends[1];
    return 0;
#endif
}

static inline void doorbell_destroy(struct doorbell *doorbell)
{
    if (doorbell->ring_fd != doorbell->fd && doorbell->ring_fd >= 0)
        close(doorbell->ring_fd);
    if (doorbell->fd >= 0)
        close(doorbell->fd);
    doorbell->fd = doorbell->ring_fd = -1;
}

/* Consumer: announce the intention to sleep. Look at the queue once more before sleeping. */
static inline void doorbell_arm(struct doorbell *doorbell)
{
    /* seq_cst RMW: partner of the ones in doorbell_ring. */
    atomic_fetch_add_explicit(&doorbell->sleepers, 1, memory_order_seq_cst);
}

/* Consumer: take the arming back. False if a producer rang (or is just ringing) for it. */
static inline bool doorbell_disarm(struct doorbell *doorbell)
{
    unsigned sleepers = atomic_load_explicit(&doorbell->sleepers, memory_order_relaxed);
    while (sleepers > 0)
        if (atomic_compare_exchange_weak_explicit(&doorbell->sleepers, &sleepers, sleepers - 1,
                                                  memory_order_seq_cst, memory_order_relaxed))
            return true;
    return false;
}

/* Producer, after publishing: wake one sleeper, if there is one. True if there was. */
static inline bool doorbell_ring(struct doorbell *doorbell)
{
    /* seq_cst RMW even when nobody sleeps: a plain load could be taken before the publication. */
    unsigned sleepers = atomic_fetch_add_explicit(&doorbell->sleepers, 0, memory_order_seq_cst);
    do {
        if (sleepers == 0)
            return false;
    } while (!atomic_compare_exchange_weak_explicit(&doorbell->sleepers, &sleepers, sleepers - 1,
                                                    memory_order_seq_cst, memory_order_relaxed));
    const uint64_t one = 1;
    /* Cannot be refused: the counter is at most the number of sleepers. A signal may interrupt. */
    while (write(doorbell->ring_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    return true;
}

/* Consumer: take one ring off the fd; sleeps until there is one, if the doorbell is blocking. */
static inline void doorbell_wait(struct doorbell *doorbell)
{
    uint64_t one;
    while (read(doorbell->fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* Consumer: no longer going to sleep, after arming. Leaves no ring of ours behind; if a producer
 * has taken our arming but not yet written, that takes the moment until it has. (Blocking only.)
 *
 * One of several consumers sleeps here like in doorbell_wait, for another one may take the ring
 * that was for us; that one is awake instead, and looks at the queue. So hold nothing that others
 * wait for: look at the queue between arming and leaving, and take from it only afterwards. */
static inline void doorbell_leave(struct doorbell *doorbell)
{
    if (!doorbell_disarm(doorbell))
        doorbell_wait(doorbell);
}
