/* What one ring has registered with the kernel of the memory in regions.h, so that ops on it need
 * no look-up of its pages: READ_FIXED and WRITE_FIXED (io_uring_enter(2)). It belongs to the thread
 * that enters the ring.
 *
 * The kernel has a table of buffers with a slot for each place in regions.h, empty at first (Linux
 * 5.19). What was removed there leaves its slot here at the ring's next op; until then the kernel
 * keeps the pages, but no op can name them.
 */
#pragma once
#include "regions.h"
#include "uring.h"

struct ring_regions {
    uint64_t version; /* of the copy; 0: nothing was ever entered */
    unsigned count;
    struct region known[REGIONS_MAX]; /* the copy, by address */
    bool tried[REGIONS_MAX];          /* of the same index: the kernel was asked to register it */
    uint64_t slots[REGIONS_MAX];      /* in the kernel: the id of the region there, or 0 */
    bool has_table;
};

void ring_regions_renew(struct ring_regions *self, struct io_uring *ring);
void ring_regions_prefer(struct ring_regions *self, struct io_uring *ring,
                         _Atomic uint64_t *reports);
/* Take everything out of the kernel's table. */
void ring_regions_clear(struct ring_regions *self, struct io_uring *ring);

/* Let the op that was prepared last use the table, if its buffer is in it. `reports` are the
 * driver's. */
static inline void ring_use_region(struct ring_regions *self, struct io_uring *ring,
                                   _Atomic uint64_t *reports)
{
    /* acquire: partner of `changed` in regions.c. */
    if (atomic_load_explicit(&regions_version, memory_order_acquire) != self->version)
        ring_regions_renew(self, ring);
    if (self->count > 0)
        ring_regions_prefer(self, ring, reports);
}
