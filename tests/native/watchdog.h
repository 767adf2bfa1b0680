/* What the stress programs share: a watchdog, a clock and a source of randomness. */
#pragma once
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Far more than a round takes, also under a sanitizer on a busy machine. */
#define ROUND_SECONDS_MAX 60

#define CHECK(condition, ...)                                                                      \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: " #condition " does not hold: ", __FILE__, __LINE__);          \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void watchdog_bark(int signal)
{
    static const char text[] = "hang: nothing happened for a minute; a wake-up was lost\n";
    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(1);
}

/* Within ROUND_SECONDS_MAX it must be called again. */
static inline void watchdog_feed(void)
{
    signal(SIGALRM, watchdog_bark);
    alarm(ROUND_SECONDS_MAX);
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
