/* Walking along chains; see chain.h for what they are. */
#include "chain.h"

_Static_assert(sizeof(asyncuring_chain) == ASYNCURING_CHAIN_SIZE, "as Python lays it out");
_Static_assert(sizeof(asyncuring_step) == ASYNCURING_STEP_SIZE, "as Python lays it out");
_Static_assert(DRIVER_PORTS_MAX <= UINT64_C(1) << (63 - ASYNCURING_PORT_SHIFT), "a bit is left");

asyncuring_chain *chain_of(asyncuring_step *step)
{
    return (asyncuring_chain *)((char *)(step - step->index) - sizeof(asyncuring_chain));
}

asyncuring_chain *chain_start(const asyncuring_op *op, bool *started)
{
    asyncuring_chain *chain = (asyncuring_chain *)(uintptr_t)op->address;
    *started = chain->token != 0;
    if (*started)
        return chain;
    chain->token = op->token;
    for (uint32_t i = 0; i < chain->count; i++)
        chain->steps[i].op.token = (uintptr_t)&chain->steps[i] | CHAIN_STEP_BIT;
    return chain;
}

bool chain_walk(asyncuring_chain *chain)
{
    while (chain->place < chain->count) {
        const asyncuring_step *step = &chain->steps[chain->place];
        if (step->result == ASYNCURING_NOT_RUN)
            return chain->cancelled;
        if (step->result < step->wanted)
            return true;
        chain->place++;
    }
    return true;
}

int64_t chain_result(asyncuring_chain *chain)
{
    int64_t bytes = 0;
    for (uint32_t i = 0; i < chain->place; i++)
        bytes += chain->steps[i].result;
    if (chain->place == chain->count)
        return bytes;
    /* The kernel answers, with ECANCELED mostly, for those that were linked behind it. */
    for (uint32_t i = chain->place + 1; i < chain->count; i++)
        if (chain->steps[i].result < 0)
            chain->steps[i].result = ASYNCURING_NOT_RUN;
    int64_t result = chain->steps[chain->place].result;
    if (result == ASYNCURING_NOT_RUN)
        return -ECANCELED;
    return result < 0 ? result : bytes + result;
}

void chain_append(struct chain_list *list, asyncuring_chain *chain)
{
    chain->previous = list->last;
    chain->next = NULL;
    if (list->last)
        list->last->next = chain;
    else
        list->first = chain;
    list->last = chain;
}

void chain_remove(struct chain_list *list, asyncuring_chain *chain)
{
    if (chain->previous)
        chain->previous->next = chain->next;
    else
        list->first = chain->next;
    if (chain->next)
        chain->next->previous = chain->previous;
    else
        list->last = chain->previous;
}

asyncuring_chain *chain_find(const struct chain_list *list, uint64_t token)
{
    asyncuring_chain *chain = list->first;
    while (chain && chain->token != token)
        chain = chain->next;
    return chain;
}
