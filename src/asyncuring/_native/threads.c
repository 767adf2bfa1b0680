/* The `threads` driver: nothing but native threads. It serves where io_uring is forbidden or
 * missing. */
#include "pool.h"

static void threads_stop(asyncuring_driver *driver)
{
    pool_stop(driver->kind_state);
}

static void threads_abandon(asyncuring_driver *driver)
{
    pool_abandon(driver->kind_state);
}

static const struct driver_kind threads_kind = {.stop = threads_stop, .abandon = threads_abandon};

asyncuring_driver *asyncuring_threads_start(unsigned threads, asyncuring_start_error *error)
{
    error->stage = ASYNCURING_STAGE_RESOURCES;
    asyncuring_driver *driver = driver_create(&threads_kind, NULL, &error->error);
    if (!driver)
        return NULL;
    driver->carries = CARRIES_ALL;
    driver->kind_state = pool_start(driver, threads, &error->error);
    if (driver->kind_state)
        return driver;
    driver_destroy(driver);
    return NULL;
}
