/* Description: a ring that comes late, when the ring thread has long been awake again, wakes it
 * once for nothing and leaves no second arming behind, whatever comes after.
 *
 * Usage: late_ring_stress SECONDS. Skips where there is no io_uring, unless
 * ASYNCURING_REQUIRE_URING=1.
 */
#include "drivers.h"
#include "watchdog.h"
#include <poll.h>

#define OPS 200
#define SKIPPED 77

static void ring_for_nobody(asyncuring_driver *driver)
{
    const uint64_t one = 1;
    int error;
    asyncuring_port *port = asyncuring_port_attach(driver, 1, &error);
    CHECK(port, "%s", strerror(error));
    struct pollfd fd = {.fd = asyncuring_port_fd(port), .events = POLLIN};
    CHECK(write(driver->doorbell.ring_fd, &one, sizeof one) == sizeof one, "%s", strerror(errno));
    for (unsigned i = 0; i < OPS; i++) {
        asyncuring_completion out[2];
        *asyncuring_port_staging(port) = (asyncuring_op){
            .opcode = ASYNCURING_OP_NOP,
            .token = (uint64_t)asyncuring_port_index(port) << ASYNCURING_PORT_SHIFT | (i + 1)};
        unsigned count = exchange(port, 1, out, 2, 0);
        while (count == 0) {
            CHECK(poll(&fd, 1, -1) == 1, "%s", strerror(errno));
            count = exchange(port, 0, out, 2, 1);
        }
        CHECK(atomic_load(&driver->doorbell.sleepers) <= 1, "one thread is armed twice");
    }
    asyncuring_port_detach(port);
}

int main(int arguments_count, char **arguments)
{
    double until = seconds_now() + (arguments_count > 1 ? atof(arguments[1]) : 1);
    unsigned long rings = 0;
    do {
        watchdog_feed();
        asyncuring_driver *driver = start_with_ring("late_ring_stress:", asyncuring_uring_start);
        if (!driver)
            return SKIPPED;
        ring_for_nobody(driver);
        asyncuring_driver_stop(driver);
        rings++;
    } while (seconds_now() < until);
    printf("late_ring_stress: %lu late rings, each for nothing\n", rings);
    return 0;
}
