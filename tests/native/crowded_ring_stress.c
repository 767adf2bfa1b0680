/* Description: more ops that wait than the ring has room for: the rest waits in the queue, and
 * everything completes as soon as it can.
 *
 * Usage: crowded_ring_stress SECONDS. Skips where there is no io_uring, unless
 * ASYNCURING_REQUIRE_URING=1.
 */
#include "drivers.h"
#include "watchdog.h"
#include <poll.h>

#define DEPTH 256
#define PORTS 20 /* 5120 reads; a ring has 4096 entries for what completes */
#define SKIPPED 77

struct loop {
    asyncuring_port *port;
    char bytes[DEPTH];
    bool is_done[DEPTH];
    unsigned done;
};

static void stage_reads(struct loop *self, int fd)
{
    for (unsigned i = 0; i < DEPTH; i++) {
        asyncuring_port_staging(self->port)[i] = (asyncuring_op){
            .opcode = ASYNCURING_OP_READ,
            .token = (uint64_t)asyncuring_port_index(self->port) << ASYNCURING_PORT_SHIFT | (i + 1),
            .length = 1,
            .fd = fd};
        asyncuring_port_addresses(self->port)[i] = &self->bytes[i];
    }
}

static void reap(struct loop *self, unsigned staged, int rung)
{
    asyncuring_completion out[DEPTH];
    unsigned count;
    do {
        count = exchange(self->port, staged, out, DEPTH, rung);
        staged = 0;
        rung = 0;
        for (unsigned i = 0; i < count; i++) {
            unsigned number = (unsigned)(out[i].token & UINT32_MAX) - 1;
            CHECK(out[i].result == 1, "a read answered %ld", (long)out[i].result);
            CHECK(!self->is_done[number], "read %u completed twice", number);
            self->is_done[number] = true;
        }
        self->done += count;
    } while (count == DEPTH);
}

/* All wait for one pipe, which gets a byte for each of them, one after the other. */
static void crowd(asyncuring_driver *driver)
{
    static struct loop loops[PORTS];
    struct pollfd fds[PORTS];
    int ends[2], error;
    CHECK(pipe(ends) == 0, "%s", strerror(errno));
    for (unsigned i = 0; i < PORTS; i++) {
        loops[i] = (struct loop){.port = asyncuring_port_attach(driver, DEPTH, &error)};
        CHECK(loops[i].port, "%s", strerror(error));
        fds[i] = (struct pollfd){.fd = asyncuring_port_fd(loops[i].port), .events = POLLIN};
        stage_reads(&loops[i], ends[0]);
        reap(&loops[i], DEPTH, 0);
    }
    for (unsigned fed = 1; fed <= PORTS * DEPTH; fed++) {
        CHECK(write(ends[1], "x", 1) == 1, "%s", strerror(errno));
        unsigned done = 0;
        while (done < fed) {
            CHECK(poll(fds, PORTS, -1) > 0, "%s", strerror(errno));
            done = 0;
            for (unsigned i = 0; i < PORTS; i++) {
                if (fds[i].revents)
                    reap(&loops[i], 0, 1);
                done += loops[i].done;
            }
        }
    }
    for (unsigned i = 0; i < PORTS; i++)
        asyncuring_port_detach(loops[i].port);
    close(ends[0]);
    close(ends[1]);
}

int main(int arguments_count, char **arguments)
{
    double until = seconds_now() + (arguments_count > 1 ? atof(arguments[1]) : 1);
    unsigned long crowds = 0;
    do {
        watchdog_feed();
        asyncuring_driver *driver = start_with_ring("crowded_ring_stress:", asyncuring_uring_start);
        if (!driver)
            return SKIPPED;
        crowd(driver);
        asyncuring_driver_stop(driver);
        crowds++;
    } while (seconds_now() < until);
    printf("crowded_ring_stress: %lu times %d reads, each completed once\n", crowds, PORTS * DEPTH);
    return 0;
}
