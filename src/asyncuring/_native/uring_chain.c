/* Chains on a ring; see uring_chain.h. */
#define _GNU_SOURCE /* liburing.h */
#include "uring_chain.h"

/* The next SQE is `op`, on registered memory if its buffer is there. */
static struct io_uring_sqe *prepare(struct ring_chains *chains, struct io_uring *ring,
                                    const asyncuring_op *op)
{
    struct io_uring_sqe *sqe = ring_prepare(ring, op);
    ring_use_region(chains->regions, ring, chains->reports);
    return sqe;
}

static asyncuring_chain *stop_cancelled(struct ring_chains *chains, asyncuring_op *cancel)
{
    asyncuring_chain *chain = chain_find(&chains->waiting, cancel->argument);
    if (chain) {
        chain_remove(&chains->waiting, chain);
        return chain;
    }
    chain = chain_find(&chains->running, cancel->argument);
    if (!chain)
        return NULL;
    chain->cancelled = true;
    const asyncuring_step *step = &chain->steps[chain->place];
    while (step->result != ASYNCURING_NOT_RUN)
        step++;
    cancel->argument = step->op.token;
    return NULL;
}

unsigned ring_chains_take(struct ring_chains *chains, struct io_uring *ring, asyncuring_op op,
                          asyncuring_chain **over)
{
    bool started;
    *over = NULL;
    if (opcode_of(&op) == ASYNCURING_OP_CHAIN) {
        chain_append(&chains->waiting, chain_start(&op, &started));
        return 0;
    }
    if (opcode_of(&op) == ASYNCURING_OP_CANCEL)
        *over = stop_cancelled(chains, &op);
    prepare(chains, ring, &op);
    return 1;
}

static unsigned prepare_run(struct ring_chains *chains, asyncuring_chain *chain,
                            struct io_uring *ring, unsigned room, uint64_t *bytes)
{
    asyncuring_step *step = &chain->steps[chain->place];
    const asyncuring_step *end = &chain->steps[chain->count];
    for (;;) {
        struct io_uring_sqe *sqe = prepare(chains, ring, &step->op);
        chain->under_way++;
        *bytes += ring_transfer_length(&step->op);
        bool linked =
            step->linked && ++step < end && chain->under_way < room && *bytes < BATCH_BYTES;
        if (!linked)
            return chain->under_way;
        sqe->flags |= IOSQE_IO_LINK;
    }
}

unsigned ring_chains_prepare(struct ring_chains *chains, struct io_uring *ring, unsigned room)
{
    unsigned count = 0;
    uint64_t bytes = 0;
    asyncuring_chain *chain;
    while (count < room && bytes < BATCH_BYTES && (chain = chains->waiting.first)) {
        chain_remove(&chains->waiting, chain);
        chain_append(&chains->running, chain);
        count += prepare_run(chains, chain, ring, room - count, &bytes);
    }
    return count;
}

/* A link of which the kernel refuses one SQE at once (for want of memory, say) is refused as a
 * whole: the first is answered with ECANCELED though nobody cancelled it. Then, one by one. */
static bool was_refused(asyncuring_chain *chain)
{
    const asyncuring_step *first = &chain->steps[chain->place];
    if (chain->cancelled || first->result != -ECANCELED || !first->linked)
        return false;
    for (uint32_t i = chain->place; i < chain->count; i++) {
        chain->steps[i].result = ASYNCURING_NOT_RUN;
        chain->steps[i].linked = false;
    }
    return true;
}

/* A step of a chain that runs is no more under way. True if the chain is over. */
static bool step_ended(struct ring_chains *chains, asyncuring_chain *chain)
{
    if (--chain->under_way > 0)
        return false;
    chain_remove(&chains->running, chain);
    if (chain_walk(chain) && (chain->place == chain->count || !was_refused(chain)))
        return true;
    chain_append(&chains->waiting, chain);
    return false;
}

unsigned ring_chains_take_back(struct ring_chains *chains, struct io_uring *ring)
{
    struct io_uring_sq *sq = &ring->sq;
    unsigned left = io_uring_sq_ready(ring);
    unsigned taken = sq->sqe_tail - left;
    for (unsigned i = taken; i != sq->sqe_tail; i++)
        /* Not over: this step has not run, and nobody can have cancelled the chain meanwhile. */
        step_ended(chains, chain_of(chain_step(sq->sqes[i & *sq->kring_mask].user_data)));
    /* The kernel looks at it in io_uring_enter alone. */
    sq->sqe_head = sq->sqe_tail = taken;
    *sq->ktail = taken;
    return left;
}

asyncuring_chain *ring_chain_step_done(struct ring_chains *chains, const struct io_uring_cqe *cqe)
{
    asyncuring_step *step = chain_step(cqe->user_data);
    asyncuring_chain *chain = chain_of(step);
    step->result = cqe->res;
    return step_ended(chains, chain) ? chain : NULL;
}

asyncuring_chain *ring_chain_give_up(struct ring_chains *chains)
{
    asyncuring_chain *chain = chains->waiting.first;
    if (chain)
        chain_remove(&chains->waiting, chain);
    return chain;
}
