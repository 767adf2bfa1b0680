/* Chains: ops that run one after the other and stop at the first failure or short transfer.
 *
 * A chain is one op. The memory that it names holds its steps (asyncuring_chain in boundary.h), so
 * its drivers keep no table of them, and what became of each is there when the one completion
 * comes. This file is what all drivers do alike: to walk along the steps.
 */
#pragma once
#include "driver.h"

/* A step under way is named by its address and this bit. No token has it: see DRIVER_PORTS_MAX. */
#define CHAIN_STEP_BIT (UINT64_C(1) << 63)

static inline bool chain_names_step(uint64_t token)
{
    return token & CHAIN_STEP_BIT;
}

static inline asyncuring_step *chain_step(uint64_t token)
{
    return (asyncuring_step *)(uintptr_t)(token & ~CHAIN_STEP_BIT);
}

asyncuring_chain *chain_of(asyncuring_step *step);
/* The chain that `op` stands for, when it comes to its driver. `started`: not for the first time.
 */
asyncuring_chain *chain_start(const asyncuring_op *op, bool *started);
/* Walk on over the steps that came out as they should. True if it is over: all of them have, one
 * has not, or somebody asked for its end. Not while a step is under way. */
bool chain_walk(asyncuring_chain *chain);
/* What completes the op of a chain that is over: the bytes that all its steps transferred, or the
 * negative errno of the step that stopped it. */
int64_t chain_result(asyncuring_chain *chain);

/* ---- chains, in order ---- */

struct chain_list {
    asyncuring_chain *first, *last;
};

void chain_append(struct chain_list *list, asyncuring_chain *chain);
void chain_remove(struct chain_list *list, asyncuring_chain *chain);
/* NULL if it is not there. */
asyncuring_chain *chain_find(const struct chain_list *list, uint64_t token);
