/* Reads and writes of streams (pipes, FIFOs, eventfds, terminals), which may wait for ever.
 *
 * For the `threads` driver. One thread waits for all of them, so that however many wait, the
 * driver's other threads stay free, and a cancel always finds somebody to carry it out.
 */
#pragma once
#include "driver.h"

struct streams;

/* NULL and *error. Its thread delivers the completions of what it is given. */
struct streams *streams_start(asyncuring_driver *driver, int *error);
/* Nothing waits any more. */
void streams_stop(struct streams *streams);
/* In a forked child: close the inherited fds. */
void streams_abandon(struct streams *streams);
/* Give it a read or write of a stream, or a cancel that may name one given before. Any thread. */
void streams_push(struct streams *streams, const asyncuring_op *op);
