/* Drivers, as far as they are all alike. */
#define _GNU_SOURCE /* pthread_setname_np */
#include "port.h"
#include "side.h"
#include <signal.h>

asyncuring_driver *driver_create(const struct driver_kind *kind, void *kind_state, int *error)
{
    asyncuring_driver *driver = queue_owner_memory(sizeof *driver);
    if (!driver) {
        *error = ENOMEM;
        return NULL;
    }
    driver->kind = kind;
    driver->kind_state = kind_state;
    pthread_mutex_init(&driver->attaching, NULL);
    *error = doorbell_create(&driver->doorbell, true);
    if (*error == 0 && !queue_create(&driver->ops, DRIVER_QUEUE_LOG2, sizeof(asyncuring_op)))
        *error = ENOMEM;
    if (*error == 0)
        return driver;
    driver_destroy(driver);
    return NULL;
}

void driver_destroy(asyncuring_driver *driver)
{
    for (unsigned i = 0; i < driver->ports_count; i++)
        port_destroy(driver->ports[i]);
    queue_destroy(&driver->ops);
    doorbell_destroy(&driver->doorbell);
    pthread_mutex_destroy(&driver->attaching);
    free(driver);
}

int driver_thread_start(pthread_t *thread, void *(*run)(void *), void *argument)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
#ifdef __linux__
    if (error == 0)
        pthread_setname_np(*thread, "asyncuring"); /* for top -H and debuggers */
#endif
    return error;
}

void asyncuring_driver_stop(asyncuring_driver *driver)
{
    sides_stop(driver); /* first: they hand ops over to the driver's own threads */
    driver->kind->stop(driver);
    driver_destroy(driver);
}

void asyncuring_driver_abandon(asyncuring_driver *driver)
{
    /* The threads did not survive the fork, and locks and queues may have been caught half-way:
     * the memory stays as it is. The fds are shared with the parent; closing our copies is safe. */
    driver->kind->abandon(driver);
    sides_abandon(driver);
    doorbell_destroy(&driver->doorbell);
    for (unsigned i = 0; i < driver->ports_count; i++)
        port_abandon(driver->ports[i]);
}

void asyncuring_driver_counters(asyncuring_driver *driver, asyncuring_counters *counters)
{
    counters->enters = atomic_load_explicit(&driver->enters, memory_order_relaxed);
    counters->wakeups = atomic_load_explicit(&driver->wakeups, memory_order_relaxed);
    counters->rings = atomic_load_explicit(&driver->rings, memory_order_relaxed);
    counters->spins = atomic_load_explicit(&driver->spinning.spins, memory_order_relaxed);
    counters->spin_ns = atomic_load_explicit(&driver->spinning.time_ns, memory_order_relaxed);
    counters->beside = atomic_load_explicit(&driver->beside, memory_order_relaxed);
}

bool asyncuring_driver_tally(asyncuring_driver *driver, unsigned io_class, unsigned opcode,
                             asyncuring_tally *sum)
{
    bool any = false;
    for (unsigned i = 0; i < DRIVER_PORTS_MAX; i++) {
        /* acquire: partner of port_create's release. */
        asyncuring_port *port = atomic_load_explicit(&driver->ports[i], memory_order_acquire);
        if (!port)
            break;
        any |= tally_add_to(&port->tally, io_class, opcode, sum);
    }
    return any;
}
