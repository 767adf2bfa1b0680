/* Chains on a ring, for the drivers that have one.
 *
 * As many steps as there is room for are linked (IOSQE_IO_LINK): the kernel begins each when the
 * one before has succeeded, and in full, so a write that comes short keeps the sync behind it from
 * running (a hard link would not). A step that is not to be linked ends a run, and so does the end
 * of the room; the next run is begun when the steps of this one are done. A cancel reaches the step
 * under way alone: those that are linked behind it may run to the end of their run.
 *
 * Measured against runs of one step (ext4, O_DIRECT and tmpfs, 1 and 16 chains at once, medians of
 * pairs): on a port's own ring eight writes went 1.1 to 3.3 times as fast, a write and a sync 0.8
 * to 1.4 times. On the ring of one thread there was nothing in it, 0.8 to 1.1: with DEFER_TASKRUN
 * the kernel's workers hand each step back to that thread, whether it is linked or not.
 *
 * A link must be taken by one io_uring_enter: the kernel ends it where it stops taking SQEs, and
 * what it took later would run whatever came of the steps before. So runs go into a submission
 * queue that is empty, and what the kernel has not taken is taken back at once.
 */
#pragma once
#include "chain.h"
#include "uring_regions.h"

struct ring_chains {
    struct ring_regions *regions; /* of their ring, and what it reports of them */
    _Atomic uint64_t *reports;
    struct chain_list waiting; /* for their next run */
    struct chain_list running;
};

/* An op came: it is the next SQE, or it is a chain and waits. Returns how many SQEs that made. A
 * cancel that means a chain is made one of the step under way, and the chain stops behind it; if
 * none is, the chain is *over, and the caller's to complete. NULL else. */
unsigned ring_chains_take(struct ring_chains *chains, struct io_uring *ring, asyncuring_op op,
                          asyncuring_chain **over);
/* The next SQEs, at most `room` and 1 at least, are runs of those that wait; returns how many. The
 * submission queue is empty. */
unsigned ring_chains_prepare(struct ring_chains *chains, struct io_uring *ring, unsigned room);
/* After io_uring_enter: have those SQEs back that the kernel has not taken; returns how many. */
unsigned ring_chains_take_back(struct ring_chains *chains, struct io_uring *ring);
/* A step is done. Returns its chain if that is over; it is the caller's to complete. */
asyncuring_chain *ring_chain_step_done(struct ring_chains *chains, const struct io_uring_cqe *cqe);
/* The next that waits, if any: it is over, for no ring will run it any more. */
asyncuring_chain *ring_chain_give_up(struct ring_chains *chains);
