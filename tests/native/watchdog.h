/* What the stress programs share: a watchdog, a clock and a source of randomness. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Far more than a round takes, also under a sanitizer on a busy machine. */
#ifndef WATCHDOG_LOOKS_MAX
#define WATCHDOG_LOOKS_MAX 60
#endif

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: " #condition " does not hold: ", __FILE__, __LINE__);          \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static _Atomic unsigned watchdog_looks; /* since it was fed */
/* Says what things are in when they hang; may read what is not its own. NULL: nothing to say. */
static void (*_Atomic watchdog_describe)(void);

/* It looks once a second, and counts its looks, not the time: a machine that stood still meanwhile,
 * or had no processor for us, costs one look. */
static inline void *watchdog_run(void *argument)
{
    (void)argument;
    while (atomic_fetch_add(&watchdog_looks, 1) < WATCHDOG_LOOKS_MAX)
        sleep(1);
    fprintf(stderr, "hang: nothing happened in %d looks, one a second; a wake-up was lost\n",
            WATCHDOG_LOOKS_MAX);
    void (*describe)(void) = atomic_load(&watchdog_describe);
    if (describe)
        describe();
    _exit(1);
}

/* It must be called again before there were WATCHDOG_LOOKS_MAX looks. */
static inline void watchdog_feed(void)
{
    static bool runs;
    pthread_t thread;
    atomic_store(&watchdog_looks, 0);
    if (!runs)
        CHECK(pthread_create(&thread, NULL, watchdog_run, NULL) == 0, "no thread");
    if (!runs)
        pthread_detach(thread);
    runs = true;
}

/* The counter of an eventfd, without taking it; -1: it has none. */
static inline long eventfd_count(int fd)
{
    char path[64], line[128];
    long count = -1;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "eventfd-count:", 14) == 0)
            count = strtol(line + 14, NULL, 16);
    if (file)
        fclose(file);
    return count;
}

static inline double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* 1 to `most`; xorshift64. The state must not be 0. */
static inline unsigned random_to(uint64_t *state, unsigned most)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (unsigned)(*state >> 16) % most + 1;
}
