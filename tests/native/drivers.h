/* What the stress programs that use drivers share. */
#pragma once
#include "driver.h"
#include "watchdog.h"

/* An exchange as a loop makes it: if completions may come in a moment, look for them. */
static inline unsigned exchange(asyncuring_port *port, unsigned staged, asyncuring_completion *out,
                                unsigned limit, int rung)
{
    int count = asyncuring_port_exchange(port, staged, out, limit, rung);
    if (count == ASYNCURING_SOON) {
        asyncuring_port_spin(port);
        count = asyncuring_port_exchange(port, 0, out, limit, 0);
    }
    CHECK(count >= 0, "%d completions", count);
    return (unsigned)count;
}

/* NULL where there is no io_uring: `what` is skipped then, unless ASYNCURING_REQUIRE_URING=1. */
static inline asyncuring_driver *
start_with_ring(const char *what, asyncuring_driver *(*start)(asyncuring_start_error *))
{
    const char *require = getenv("ASYNCURING_REQUIRE_URING");
    asyncuring_start_error error = {0};
    asyncuring_driver *driver = start(&error);
    if (!driver && require && strcmp(require, "1") == 0)
        CHECK(driver, "io_uring is required: %s", strerror(error.error));
    if (!driver)
        printf("%s skipped: %s\n", what, strerror(error.error));
    return driver;
}

/* An empty file that is gone when it is closed. */
static inline int nameless_file(void)
{
    const char *folder = getenv("TMPDIR");
    char path[4096];
    snprintf(path, sizeof path, "%s/asyncuring-stress-XXXXXX", folder ? folder : "/tmp");
    int file = mkstemp(path);
    CHECK(file >= 0, "%s: %s", path, strerror(errno));
    unlink(path);
    return file;
}
