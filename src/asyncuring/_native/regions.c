/* The table of regions.h. */
#include "regions.h"
#include "driver.h"
#include <stdlib.h>

static pthread_mutex_t changing = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by `changing`. */
static struct region places[REGIONS_MAX];
static uint64_t entered;

_Atomic uint64_t regions_version;

static void changed(void)
{
    /* release: partner of the acquire in uring_regions.h. */
    atomic_fetch_add_explicit(&regions_version, 1, memory_order_release);
}

uint64_t asyncuring_region_add(uint64_t address, uint64_t length)
{
    uint64_t id = 0;
    pthread_mutex_lock(&changing);
    unsigned place = 0;
    while (place < REGIONS_MAX && places[place].id != 0)
        place++;
    if (place < REGIONS_MAX) {
        places[place].start = address;
        places[place].end = address + length;
        /* Last: a process that is forked just now has it whole, or not at all. */
        id = places[place].id = ++entered * REGIONS_MAX + place;
        changed();
    }
    pthread_mutex_unlock(&changing);
    return id;
}

void asyncuring_region_remove(uint64_t id)
{
    pthread_mutex_lock(&changing);
    struct region *region = &places[id % REGIONS_MAX];
    if (id != 0 && region->id == id) {
        region->id = 0;
        changed();
    }
    pthread_mutex_unlock(&changing);
}

static int by_address(const void *left, const void *right)
{
    uint64_t one = ((const struct region *)left)->start;
    uint64_t other = ((const struct region *)right)->start;
    return (one > other) - (one < other);
}

uint64_t regions_copy(struct region regions[REGIONS_MAX], unsigned *count)
{
    *count = 0;
    pthread_mutex_lock(&changing);
    for (unsigned place = 0; place < REGIONS_MAX; place++)
        if (places[place].id != 0)
            regions[(*count)++] = places[place];
    uint64_t version = atomic_load_explicit(&regions_version, memory_order_relaxed);
    pthread_mutex_unlock(&changing);
    qsort(regions, *count, sizeof *regions, by_address);
    return version;
}

int asyncuring_driver_region(asyncuring_driver *driver, uint64_t id)
{
    uint64_t report =
        atomic_load_explicit(&driver->regions[id % REGIONS_MAX], memory_order_relaxed);
    if (report >> DRIVER_REPORT_SHIFT != id)
        return 0;
    int error = (int)(report & ((1u << DRIVER_REPORT_SHIFT) - 1));
    return error == 0 ? 1 : -error;
}

void asyncuring_regions_after_fork(void)
{
    pthread_mutex_init(&changing, NULL);
}
