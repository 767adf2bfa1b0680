/* Counting ops; see tally.h for how. */
#include "tally.h"
#include <stddef.h>
#include <stdlib.h>

#define PAIR_LOG2 1

/* asyncuring_tally as the array of counters that it is, each with one writer. */
#define COUNTERS (sizeof(asyncuring_tally) / sizeof(uint64_t))
#define COUNTER(field) (offsetof(asyncuring_tally, field) / sizeof(uint64_t))

struct tally_cell {
    uint32_t opcode;
    _Atomic uint64_t counters[COUNTERS];
};

/* Ops at least this slow are noted one by one; 0: none is. Of the whole process. */
static _Atomic uint64_t slow_ns;

/* ---- counting ---- */

static void add(struct tally_cell *cell, size_t counter, uint64_t amount)
{
    /* relaxed, and no read-modify-write: this thread alone writes, and nobody concludes anything
     * from the order. */
    _Atomic uint64_t *place = &cell->counters[counter];
    uint64_t before = atomic_load_explicit(place, memory_order_relaxed);
    atomic_store_explicit(place, before + amount, memory_order_relaxed);
}

/* Linear up to 2^ASYNCURING_LINEAR_LOG2 ns; above, each power of two has 2^ASYNCURING_PARTS_LOG2
 * buckets, which are therefore at most that part of their value wide. The last has no end. */
unsigned tally_bucket(uint64_t duration_ns)
{
    enum { PARTS = 1 << ASYNCURING_PARTS_LOG2 };
    uint64_t units = duration_ns >> (ASYNCURING_LINEAR_LOG2 - ASYNCURING_PARTS_LOG2);
    if (units < PARTS)
        return (unsigned)units;
    unsigned octave = 63 - (unsigned)__builtin_clzll(units) - ASYNCURING_PARTS_LOG2;
    unsigned bucket = (octave + 1) * PARTS + (unsigned)(units >> octave & (PARTS - 1));
    return bucket < ASYNCURING_BUCKETS - 1 ? bucket : ASYNCURING_BUCKETS - 1;
}

static bool transfers(uint32_t opcode)
{
    return opcode == ASYNCURING_OP_READ || opcode == ASYNCURING_OP_WRITE ||
           opcode == ASYNCURING_OP_READV || opcode == ASYNCURING_OP_WRITEV ||
           opcode == ASYNCURING_OP_COPY_RANGE || opcode == ASYNCURING_OP_CHAIN;
}

static void count_result(struct tally_cell *cell, int64_t result)
{
    add(cell, COUNTER(done), 1);
    if (result < 0)
        add(cell, COUNTER(errors) + (-result < ASYNCURING_ERRNOS ? (size_t)-result : 0), 1);
    else if (transfers(cell->opcode))
        add(cell, COUNTER(bytes), (uint64_t)result);
}

static struct tally_cell *cell_of(struct tally *tally, unsigned io_class, unsigned opcode)
{
    tally_row *row = atomic_load_explicit(&tally->rows[io_class], memory_order_relaxed);
    if (!row) {
        row = calloc(1, sizeof *row);
        if (!row)
            return NULL;
        /* release: partner of tally_add_to's acquire. */
        atomic_store_explicit(&tally->rows[io_class], row, memory_order_release);
    }
    if (opcode >= TALLY_OPCODES_MAX)
        return NULL;
    struct tally_cell *cell = atomic_load_explicit(&(*row)[opcode], memory_order_relaxed);
    if (!cell) {
        cell = calloc(1, sizeof *cell);
        if (!cell)
            return NULL;
        cell->opcode = opcode;
        atomic_store_explicit(&(*row)[opcode], cell, memory_order_release); /* as above */
    }
    return cell;
}

bool tally_add_to(const struct tally *tally, unsigned io_class, unsigned opcode,
                  asyncuring_tally *sum)
{
    tally_row *row = atomic_load_explicit(&tally->rows[io_class], memory_order_acquire);
    struct tally_cell *cell =
        row ? atomic_load_explicit(&(*row)[opcode], memory_order_acquire) : NULL;
    if (!cell)
        return false;
    uint64_t *sums = (uint64_t *)sum;
    for (size_t i = 0; i < COUNTERS; i++)
        sums[i] += atomic_load_explicit(&cell->counters[i], memory_order_relaxed);
    return true;
}

/* ---- the ops that are out ---- */

static unsigned home_of(const struct tally *tally, uint64_t token)
{
    /* The tokens of a port follow each other. Two stand together, for they fill a cache line; such
     * pairs are spread evenly (Fibonacci hashing), lest ops that stay long be in the way. */
    uint64_t pair = (token >> PAIR_LOG2) * UINT64_C(0x9e3779b97f4a7c15) >> tally->shift;
    return (unsigned)(pair << PAIR_LOG2 | (token & ((1 << PAIR_LOG2) - 1)));
}

static void insert(struct tally *tally, struct tally_entry entry)
{
    unsigned place = home_of(tally, entry.token);
    while (tally->entries[place].token != 0)
        place = (place + 1) & tally->mask;
    tally->entries[place] = entry;
}

/* Close the gap at `place`: what stands behind it, and would not be found across a gap, moves up.
 * So there are no tombstones, and a search never gets longer with time. */
static void close_gap(struct tally *tally, unsigned place)
{
    struct tally_entry *entries = tally->entries;
    unsigned next = place;
    for (;;) {
        next = (next + 1) & tally->mask;
        if (entries[next].token == 0)
            break;
        unsigned home = home_of(tally, entries[next].token);
        /* It may stand at `place` if its home is no nearer to it than that is. */
        if (((next - home) & tally->mask) >= ((next - place) & tally->mask)) {
            entries[place] = entries[next];
            place = next;
        }
    }
    entries[place].token = 0;
}

/* False if it was never begun: then there was no memory for its cell. */
static bool take_out(struct tally *tally, uint64_t token, struct tally_entry *entry)
{
    unsigned place = home_of(tally, token);
    while (tally->entries[place].token != token) {
        if (tally->entries[place].token == 0)
            return false;
        place = (place + 1) & tally->mask;
    }
    *entry = tally->entries[place];
    close_gap(tally, place);
    return true;
}

/* Clocks of several processors, or a completion that came since the clock was read. */
static uint64_t between(uint64_t earlier, uint64_t later)
{
    return later > earlier ? later - earlier : 0;
}

/* Origin 0 is for those that do not tell. */
static uint64_t in_backlog(uint64_t origin, uint64_t now_ns)
{
    origin &= (UINT64_C(1) << ASYNCURING_CLASS_SHIFT) - 1;
    return origin == 0 ? 0 : between(origin, now_ns);
}

void tally_begin(struct tally *tally, const asyncuring_op *op, uint64_t now_ns)
{
    unsigned opcode = op->opcode & ASYNCURING_OPCODE_MASK;
    struct tally_cell *cell =
        cell_of(tally, (unsigned)(op->origin >> ASYNCURING_CLASS_SHIFT), opcode);
    if (!cell)
        return;
    add(cell, COUNTER(begun), 1);
    insert(tally, (struct tally_entry){.token = op->token,
                                       .begun_ns = now_ns,
                                       .backlog_ns = in_backlog(op->origin, now_ns),
                                       .cell = cell});
}

void tally_end(struct tally *tally, const asyncuring_completion *completion, uint64_t done_ns,
               uint64_t now_ns)
{
    struct tally_entry entry;
    if (!take_out(tally, completion->token, &entry))
        return;
    uint64_t kernel_ns = between(entry.begun_ns, done_ns), loop_ns = between(done_ns, now_ns);
    struct tally_cell *cell = entry.cell;
    count_result(cell, completion->result);
    add(cell, COUNTER(backlog_ns), entry.backlog_ns);
    add(cell, COUNTER(kernel_ns), kernel_ns);
    add(cell, COUNTER(loop_ns), loop_ns);
    add(cell, COUNTER(backlog) + tally_bucket(entry.backlog_ns), 1);
    add(cell, COUNTER(kernel) + tally_bucket(kernel_ns), 1);
    add(cell, COUNTER(loop) + tally_bucket(loop_ns), 1);
    uint64_t limit = atomic_load_explicit(&slow_ns, memory_order_relaxed);
    if (limit == 0 || entry.backlog_ns + kernel_ns + loop_ns < limit ||
        tally->slow_count == ASYNCURING_SLOW_MAX)
        return;
    tally->slow[tally->slow_count++] = (asyncuring_slow_op){.token = entry.token,
                                                            .backlog_ns = entry.backlog_ns,
                                                            .kernel_ns = kernel_ns,
                                                            .loop_ns = loop_ns};
}

void asyncuring_note_slow_ops(uint64_t limit_ns)
{
    atomic_store_explicit(&slow_ns, limit_ns, memory_order_relaxed);
}

/* ---- its life ---- */

bool tally_create(struct tally *tally, unsigned outstanding)
{
    unsigned log2 = PAIR_LOG2 + 1;
    while ((1u << log2) < 2 * outstanding)
        log2++;
    tally->mask = (1u << log2) - 1;
    tally->shift = 64 - (log2 - PAIR_LOG2);
    tally->entries = calloc(tally->mask + 1, sizeof *tally->entries);
    return tally->entries != NULL;
}

void tally_destroy(struct tally *tally)
{
    for (unsigned i = 0; i < TALLY_CLASSES_MAX; i++) {
        tally_row *row = atomic_load_explicit(&tally->rows[i], memory_order_relaxed);
        for (unsigned j = 0; row && j < TALLY_OPCODES_MAX; j++)
            free(atomic_load_explicit(&(*row)[j], memory_order_relaxed));
        free(row);
    }
    free(tally->entries);
}
