/* What one port counts of its ops, by class and opcode: asyncuring_tally in boundary.h.
 *
 * The loop's thread alone writes, with plain additions; any thread reads, and sees numbers that may
 * be a moment old. A port that is handed on keeps what it has counted.
 *
 * When an op is submitted, its token and the time go into a table; when it is reaped, what passed
 * in between goes into the histograms. One reading of the clock serves all ops of an exchange, and
 * one those of a batch that a driver's thread delivers.
 */
#pragma once
#include "boundary.h"
#include <stdatomic.h>
#include <stdbool.h>

#define TALLY_CLASSES_MAX (1 << (64 - ASYNCURING_CLASS_SHIFT))
#define TALLY_OPCODES_MAX 64

struct tally_cell;
typedef _Atomic(struct tally_cell *) tally_row[TALLY_OPCODES_MAX];

/* An op between its submission and its completion. */
struct tally_entry {
    uint64_t token; /* 0: free */
    uint64_t begun_ns;
    uint64_t backlog_ns;
    struct tally_cell *cell;
};

/* Zeroed memory is one that tally_create can fill and tally_destroy empty. */
struct tally {
    /* Open addressing, at most half full; the loop's own. */
    struct tally_entry *entries;
    unsigned mask;
    unsigned shift; /* of the hash of a pair of tokens */
    /* Made when the first op comes of a class, and of an opcode in it. */
    _Atomic(tally_row *) rows[TALLY_CLASSES_MAX];
    asyncuring_slow_op slow[ASYNCURING_SLOW_MAX]; /* of the last exchange */
    unsigned slow_count;
};

/* Room for `outstanding` ops; false when out of memory. */
bool tally_create(struct tally *tally, unsigned outstanding);
void tally_destroy(struct tally *tally);
/* `op` is submitted at `now_ns`; its address is still its origin. */
void tally_begin(struct tally *tally, const asyncuring_op *op, uint64_t now_ns);
/* It was done at `done_ns`, and is reaped at `now_ns`. */
void tally_end(struct tally *tally, const asyncuring_completion *completion, uint64_t done_ns,
               uint64_t now_ns);
/* Add to `sum` what was counted of one opcode in one class; false if nothing was. Any thread. */
bool tally_add_to(const struct tally *tally, unsigned io_class, unsigned opcode,
                  asyncuring_tally *sum);
/* Which bucket of a histogram counts a duration. */
unsigned tally_bucket(uint64_t duration_ns);
