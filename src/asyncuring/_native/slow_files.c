/* The table of slow_files.h. */
#include "slow_files.h"
#include "boundary.h"
#include <stdatomic.h>

/* The most descriptors that a process may have, unless the sysctl fs.nr_open was raised. Of what is
 * beyond, nobody knows. One bit each, and pages that were never used are never touched. */
#define FILES_MAX (1 << 20)
#define WORD_BITS 64

static _Atomic uint64_t slow_files[FILES_MAX / WORD_BITS];
static _Atomic bool any;

static uint64_t bit_of(int fd)
{
    return (uint64_t)1 << (fd % WORD_BITS);
}

/* relaxed, here and below: the queue that an op takes to the ring orders it behind the note. */
void asyncuring_note_file(int fd, bool is_slow)
{
    if (fd < 0 || fd >= FILES_MAX)
        return;
    _Atomic uint64_t *word = &slow_files[fd / WORD_BITS];
    if (is_slow) {
        atomic_store_explicit(&any, true, memory_order_relaxed);
        atomic_fetch_or_explicit(word, bit_of(fd), memory_order_relaxed);
    } else if (is_slow_file(fd)) { /* mostly not: then nothing is written */
        atomic_fetch_and_explicit(word, ~bit_of(fd), memory_order_relaxed);
    }
}

bool is_slow_file(int fd)
{
    if (fd < 0 || fd >= FILES_MAX)
        return false;
    uint64_t word = atomic_load_explicit(&slow_files[fd / WORD_BITS], memory_order_relaxed);
    return (word & bit_of(fd)) != 0;
}

bool has_slow_files(void)
{
    return atomic_load_explicit(&any, memory_order_relaxed);
}
