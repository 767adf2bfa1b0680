/* Registered memory of one ring; see uring_regions.h. */
#define _GNU_SOURCE /* liburing.h, syscall */
#include "uring_regions.h"
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* io_uring_register(2). Enumerators of its header, if that is new enough, so that nothing says
 * whether they are there. */
#define REGISTER_BUFFERS2 15 /* 5.13 */
#define REGISTER_BUFFERS_UPDATE 16
#define REGISTER_SPARSE 1u /* 5.19 */

struct rsrc_register {
    uint32_t count, flags;
    uint64_t unused, data, tags;
};

struct rsrc_update {
    uint32_t offset, unused;
    uint64_t data, tags;
    uint32_t count, unused_as_well;
};

static int ring_register(struct io_uring *ring, unsigned opcode, const void *argument,
                         unsigned size)
{
    return syscall(SYS_io_uring_register, ring->ring_fd, opcode, argument, size) < 0 ? errno : 0;
}

static int fill_slot(struct io_uring *ring, unsigned slot, uint64_t start, uint64_t length)
{
    struct iovec memory = {.iov_base = (void *)(uintptr_t)start, .iov_len = length};
    struct rsrc_update update = {.offset = slot, .data = (uintptr_t)&memory, .count = 1};
    return ring_register(ring, REGISTER_BUFFERS_UPDATE, &update, sizeof update);
}

void ring_regions_renew(struct ring_regions *self, struct io_uring *ring)
{
    uint64_t ids[REGIONS_MAX] = {0};
    self->version = regions_copy(self->known, &self->count);
    for (unsigned i = 0; i < self->count; i++) {
        unsigned slot = self->known[i].id % REGIONS_MAX;
        ids[slot] = self->known[i].id;
        /* What was refused may be admitted now that others are gone. */
        self->tried[i] = self->slots[slot] == self->known[i].id;
    }
    for (unsigned slot = 0; slot < REGIONS_MAX; slot++)
        if (self->slots[slot] != ids[slot] && self->slots[slot] != 0) {
            (void)fill_slot(ring, slot, 0, 0);
            self->slots[slot] = 0;
        }
}

void ring_regions_clear(struct ring_regions *self, struct io_uring *ring)
{
    for (unsigned slot = 0; slot < REGIONS_MAX; slot++)
        if (self->slots[slot] != 0)
            (void)fill_slot(ring, slot, 0, 0);
    memset(self->slots, 0, sizeof self->slots);
    self->version = 0;
    self->count = 0;
}

static int try_to_register(struct ring_regions *self, struct io_uring *ring,
                           const struct region *region)
{
    unsigned slot = region->id % REGIONS_MAX;
    int error = 0;
    if (!self->has_table) {
        struct rsrc_register table = {.count = REGIONS_MAX, .flags = REGISTER_SPARSE};
        error = ring_register(ring, REGISTER_BUFFERS2, &table, sizeof table);
        self->has_table = error == 0;
    }
    if (error == 0)
        error = fill_slot(ring, slot, region->start, region->end - region->start);
    if (error == 0)
        self->slots[slot] = region->id;
    return error;
}

/* The last region that starts at or before `address`, or -1. */
static int find(const struct ring_regions *self, uint64_t address)
{
    int low = -1, high = (int)self->count;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (self->known[middle].start <= address)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void ring_regions_prefer(struct ring_regions *self, struct io_uring *ring,
                         _Atomic uint64_t *reports)
{
    struct io_uring_sq *sq = &ring->sq;
    struct io_uring_sqe *sqe = &sq->sqes[(sq->sqe_tail - 1) & *sq->kring_mask];
    if (sqe->opcode != IORING_OP_READ && sqe->opcode != IORING_OP_WRITE)
        return;
    int index = find(self, sqe->addr);
    if (index < 0 || sqe->addr + sqe->len > self->known[index].end)
        return;
    const struct region *region = &self->known[index];
    unsigned slot = region->id % REGIONS_MAX;
    if (!self->tried[index]) {
        self->tried[index] = true;
        int error = try_to_register(self, ring, region);
        /* relaxed: for the statistics. */
        atomic_store_explicit(&reports[slot], region->id << DRIVER_REPORT_SHIFT | (unsigned)error,
                              memory_order_relaxed);
    }
    if (self->slots[slot] != region->id)
        return;
    sqe->opcode = sqe->opcode == IORING_OP_READ ? IORING_OP_READ_FIXED : IORING_OP_WRITE_FIXED;
    sqe->buf_index = (uint16_t)slot;
}
