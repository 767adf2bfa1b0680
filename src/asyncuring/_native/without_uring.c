/* Stands in for uring.c in a build without liburing: there is no uring driver, and it says so. */
#ifndef ASYNCURING_HAVE_LIBURING
#include "boundary.h"
#include <errno.h>
#include <stddef.h>

int asyncuring_has_uring(void)
{
    return 0;
}

const char *asyncuring_liburing_version(void)
{
    return NULL;
}

int asyncuring_uring_probe(uint8_t *supported, unsigned count)
{
    (void)supported, (void)count;
    return -ENOSYS;
}

asyncuring_driver *asyncuring_uring_start(asyncuring_start_error *error)
{
    *error = (asyncuring_start_error){ASYNCURING_STAGE_SETUP, ENOSYS};
    return NULL;
}

asyncuring_driver *asyncuring_uring_local_start(asyncuring_start_error *error)
{
    return asyncuring_uring_start(error);
}
#endif
