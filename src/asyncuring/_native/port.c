/* Ports: where ops of one event loop go in and their completions come out.
 *
 * A port is never freed before its driver: the thread that pushed the last completion may still be
 * about to ring the doorbell when the loop has already seen that completion and detached. Detached
 * ports are kept for the next loop instead; a late ring is then a spurious wake-up, no more.
 */
#define _GNU_SOURCE /* preadv2 */
#include "port.h"
#include "side.h"
#include <sys/syscall.h>
#include <sys/uio.h>

static asyncuring_port *port_create(asyncuring_driver *driver, unsigned depth, int *error)
{
    unsigned outstanding = 2 * depth, log2 = 0; /* every op, and a cancel for each */
    while ((1u << log2) < outstanding)
        log2++;
    if (driver->ports_count == DRIVER_PORTS_MAX ||
        driver->reserved + outstanding > (1u << DRIVER_QUEUE_LOG2)) {
        *error = EUSERS;
        return NULL;
    }
    asyncuring_port *port = queue_owner_memory(sizeof *port);
    if (!port) {
        *error = ENOMEM;
        return NULL;
    }
    port->driver = driver;
    port->depth = depth;
    *error = doorbell_create(&port->doorbell, false);
    if (*error == 0) {
        port->staging = calloc(outstanding, sizeof *port->staging);
        bool created = queue_create(&port->completions, log2, sizeof(struct port_completion)) &&
                       tally_create(&port->tally, outstanding);
        port->addresses = calloc(outstanding + 1, sizeof *port->addresses);
        *error = created && port->staging && port->addresses ? 0 : ENOMEM;
    }
    if (*error == 0 && driver->kind->ports)
        *error = driver->kind->ports->open(port);
    if (*error != 0) {
        port_destroy(port);
        return NULL;
    }
    port->index = driver->ports_count++;
    driver->reserved += outstanding;
    /* release: partner of driver_port_of. */
    atomic_store_explicit(&driver->ports[port->index], port, memory_order_release);
    return port;
}

asyncuring_port *asyncuring_port_attach(asyncuring_driver *driver, unsigned depth, int *error)
{
    pthread_mutex_lock(&driver->attaching);
    asyncuring_port **link = &driver->idle_ports;
    while (*link && (*link)->depth != depth)
        link = &(*link)->next_idle;
    asyncuring_port *port = *link;
    if (port) {
        *link = port->next_idle;
        *error = 0;
    } else {
        port = port_create(driver, depth, error);
    }
    pthread_mutex_unlock(&driver->attaching);
    return port;
}

void asyncuring_port_detach(asyncuring_port *port)
{
    asyncuring_driver *driver = port->driver;
    if (driver->kind->ports && !port->inherited)
        driver->kind->ports->detach(port);
    pthread_mutex_lock(&driver->attaching);
    port->next_idle = driver->idle_ports;
    driver->idle_ports = port;
    pthread_mutex_unlock(&driver->attaching);
}

void port_destroy(asyncuring_port *port)
{
    if (port->driver->kind->ports)
        port->driver->kind->ports->close(port);
    queue_destroy(&port->completions);
    doorbell_destroy(&port->doorbell);
    tally_destroy(&port->tally);
    free(port->staging);
    free(port->addresses);
    free(port);
}

void port_abandon(asyncuring_port *port)
{
    if (port->driver->kind->ports)
        port->driver->kind->ports->abandon(port);
    doorbell_destroy(&port->doorbell);
    /* The child may go on with the loop that it was forked in. The queues of a ring are memory that
     * it shares with the parent, and a descriptor's number may soon be another one's. */
    port->inherited = true;
}

asyncuring_port *driver_port_of(asyncuring_driver *driver, uint64_t token)
{
    unsigned index = token >> ASYNCURING_PORT_SHIFT;
    /* acquire: partner of port_create's release. */
    return atomic_load_explicit(&driver->ports[index], memory_order_acquire);
}

unsigned asyncuring_port_index(const asyncuring_port *port)
{
    return port->index;
}

int asyncuring_port_fd(const asyncuring_port *port)
{
    return port->doorbell.fd;
}

asyncuring_op *asyncuring_port_staging(asyncuring_port *port)
{
    return port->staging;
}

char **asyncuring_port_addresses(asyncuring_port *port)
{
    return port->addresses;
}

void port_deliver(asyncuring_port *port, uint64_t token, int64_t result, uint64_t done_ns)
{
    const struct port_completion item = {.completion = {.token = token, .result = result},
                                         .done_ns = done_ns};
    queue_push(&port->completions, &item, 1);
}

void port_ring(asyncuring_port *port)
{
    /* A port with a ring of its own counts what it hears, be it from the kernel. */
    if (doorbell_ring(&port->doorbell) && !port->driver->kind->ports)
        driver_count(&port->driver->rings);
}

static bool has_completion(const void *port)
{
    return queue_front(&((const asyncuring_port *)port)->completions) != NULL;
}

/* Ops were submitted. Before the loop goes to sleep: perhaps they are done in a moment. */
static bool spin_may_pay(asyncuring_port *port)
{
    struct spinning *spinning = &port->driver->spinning;
    return !has_completion(port) && spin_is_due(&port->spin, spinning) &&
           !atomic_load_explicit(&spinning->loop, memory_order_relaxed);
}

void asyncuring_port_spin(asyncuring_port *port)
{
    struct spinning *spinning = &port->driver->spinning;
    if (port->driver->kind->ports) {
        port->driver->kind->ports->go_on(port);
        return;
    }
    if (atomic_exchange_explicit(&spinning->loop, true, memory_order_relaxed))
        return;
    spin_until(&port->spin, spinning, has_completion, port);
    atomic_store_explicit(&spinning->loop, false, memory_order_relaxed);
}

unsigned asyncuring_port_slow_ops(const asyncuring_port *port, const asyncuring_slow_op **slow_ops)
{
    *slow_ops = port->tally.slow;
    return port->tally.slow_count;
}

unsigned port_take(asyncuring_port *port, asyncuring_completion *out, unsigned limit,
                   uint64_t *now_ns)
{
    const struct port_completion *item;
    unsigned count = 0;
    while (count < limit && (item = queue_front(&port->completions))) {
        if (*now_ns == 0)
            *now_ns = clock_ns();
        out[count] = item->completion;
        tally_end(&port->tally, &out[count], item->done_ns, *now_ns);
        queue_pop(&port->completions);
        count++;
    }
    return count;
}

static void push(asyncuring_port *port, unsigned staged)
{
    uint32_t opcodes = 0;
    for (unsigned i = 0; i < staged; i++)
        opcodes |= port->staging[i].opcode;
    if (opcodes & ASYNCURING_SIDE_MASK) {
        sides_push(port->driver, port->staging, staged);
    } else {
        queue_push(&port->driver->ops, port->staging, staged);
        doorbell_ring(&port->driver->doorbell);
    }
}

static int port_exchange(asyncuring_port *port, unsigned staged, asyncuring_completion *out,
                         unsigned limit, int rung)
{
    if (port->inherited)
        return 0;
    uint64_t now_ns = staged > 0 ? clock_ns() : 0;
    port->tally.slow_count = 0;
    for (unsigned i = 0; i < staged; i++) {
        tally_begin(&port->tally, &port->staging[i], now_ns);
        port->staging[i].address = (uintptr_t)port->addresses[i];
    }
    if (port->driver->kind->ports)
        return port->driver->kind->ports->exchange(port, staged, out, limit, rung);
    if (staged > 0)
        push(port, staged);
    /* We are awake: nobody need ring. If somebody did already, his ring is on the fd, or will be
     * in a moment; then the loop is woken once for nothing. */
    if (port->armed && !doorbell_disarm(&port->doorbell))
        rung = 1;
    port->armed = false;
    if (rung)
        doorbell_wait(&port->doorbell);
    if (staged > 0 && spin_may_pay(port))
        return ASYNCURING_SOON;

    unsigned count = 0;
    for (;;) {
        count += port_take(port, out + count, limit - count, &now_ns);
        if (count == limit || port->armed)
            return port_reaped(port, count);
        doorbell_arm(&port->doorbell);
        port->armed = true; /* and look once more: see doorbell.h */
    }
}

int asyncuring_port_exchange(asyncuring_port *port, unsigned staged, asyncuring_completion *out,
                             unsigned limit, int rung)
{
    port->returned = port_exchange(port, staged, out, limit, rung);
    return port->returned;
}

int asyncuring_port_returned(const asyncuring_port *port)
{
    return port->returned;
}

int64_t asyncuring_port_read_cached(asyncuring_port *port, int fd, uint64_t length, uint64_t offset)
{
#ifdef RWF_NOWAIT
    struct iovec whole = {.iov_base = port->addresses[2 * port->depth], .iov_len = length};
    ssize_t count = preadv2(fd, &whole, 1, (off_t)offset, RWF_NOWAIT);
    return count < 0 ? -errno : count;
#else
    (void)port, (void)fd, (void)length, (void)offset;
    return -EOPNOTSUPP;
#endif
}
