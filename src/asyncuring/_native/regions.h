/* Memory that rings may register with the kernel: buffers of pools.
 *
 * One table for the process. Whoever has such memory enters it here, and takes it out before it is
 * unmapped; rings register it by themselves, in their own threads, when an op first names a part of
 * it (uring_regions.h). So nobody need know which rings there are, and memory and rings may end in
 * any order.
 *
 * A ring relies on a copy of the table, and before each op looks whether it is the newest one. That
 * suffices: memory that an op names stays where it is until the op is done, so no region can be
 * removed that such an op lies in. If other memory was at the op's address before, the removal of
 * that happened before the op was submitted, and so before the ring looks.
 */
#pragma once
#include <stdatomic.h>
#include <stdint.h>

#define REGIONS_MAX 4096

struct region {
    uint64_t id; /* its place, modulo REGIONS_MAX; 0: none. None comes twice */
    uint64_t start, end;
};

/* How often the table was changed. */
extern _Atomic uint64_t regions_version;

/* Copy the table, in the order of the addresses; returns the version of what was copied. */
uint64_t regions_copy(struct region regions[REGIONS_MAX], unsigned *count);
