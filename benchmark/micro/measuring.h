/* What the programs that measure the kernel by itself share. */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}
