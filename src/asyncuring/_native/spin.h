/* Looking for work a moment longer before going to sleep, where that pays.
 *
 * To be put to sleep and woken costs some 40 us on each side of a driver, ten times what a read
 * takes that the page cache serves. So the ring thread looks for the next op for a moment, and a
 * loop for its completion. While both do, a lone client's read never waits for a scheduler.
 *
 * It is bounded three times. One attempt ends after SPIN_LIMIT_NS. It has paid only if what it
 * waited for came within SPIN_PAYS_NS: the time between covers what a sleeping partner needs to
 * get into step. After an attempt that did not pay the thread sleeps at once the next time, after
 * another one twice, and so on up to SPIN_PAUSE_MAX times: work that comes seldom, long copies, and
 * processors that are busy with something else soon make it as good as none.
 */
#pragma once
#include "clock.h"
#include <stdatomic.h>
#include <stdbool.h>

#define SPIN_LIMIT_NS 100000
#define SPIN_PAYS_NS 60000
#define SPIN_PAUSE_MAX 256
#define SPIN_LOOKS 16 /* per reading of the clock */
#define SPIN_OPS_MAX 16

/* Of one driver: whether its threads may spin, and what they have spent on it. */
struct spinning {
    /* The last ops were few, SPIN_OPS_MAX at most, and done by the time that they were submitted.
     * Where they take a device's time instead, a wake-up more matters little, and the device's
     * interrupts want the processor. Many share the price of a wake-up among them, and a processor
     * that spins beside Python takes more from it than that (measured with 400 clients). */
    _Atomic bool prompt;
    _Atomic bool loop; /* a loop spins: one at a time, for they all wait for the same thread */
    _Atomic uint64_t spins, time_ns;
};

/* Of one thread. Zeroed, it is ready for its first attempt. */
struct spin {
    unsigned skip;  /* sleeps before the next attempt */
    unsigned pause; /* what `skip` becomes if that is in vain; 0 counts as 1 */
};

/* Tell the processor that this is a spin: it saves power and leaves a sibling its share. */
static inline void spin_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* `yield` does nothing on most of them */
#endif
}

/* Whether an attempt may pay now. relaxed, as for all of `spinning`: hints and statistics. */
static inline bool spin_is_due(struct spin *spin, const struct spinning *spinning)
{
    if (!atomic_load_explicit(&spinning->prompt, memory_order_relaxed))
        return false;
    if (spin->skip == 0)
        return true;
    spin->skip--;
    return false;
}

/* One attempt: look until `found(argument)`. Whoever calls looks for himself afterwards. */
static inline void spin_until(struct spin *spin, struct spinning *spinning,
                              bool (*found)(const void *), const void *argument)
{
    uint64_t start = clock_ns(), spent;
    bool is_found = false;
    do {
        for (unsigned looks = 0; looks < SPIN_LOOKS && !is_found; looks++) {
            spin_relax();
            is_found = found(argument);
        }
        spent = clock_ns() - start;
    } while (!is_found && spent < SPIN_LIMIT_NS);
    atomic_fetch_add_explicit(&spinning->spins, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&spinning->time_ns, spent, memory_order_relaxed);
    if (is_found && spent < SPIN_PAYS_NS) {
        spin->pause = 0;
        return;
    }
    spin->skip = spin->pause > 0 ? spin->pause : 1;
    spin->pause = 2 * spin->skip < SPIN_PAUSE_MAX ? 2 * spin->skip : SPIN_PAUSE_MAX;
}
