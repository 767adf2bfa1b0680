/* A pool of native threads that carry ops out with blocking system calls.
 *
 * It is the `threads` driver (threads.c), and it stands beside the rings, for what they do not
 * have. The threads take turns at being the one consumer of a queue: a mutex makes "pop an op and
 * note who runs it" one step, so that a cancel, which comes through the same queue behind the op it
 * names, finds that op running or done. Producers never see the mutex.
 *
 * An op on a file that can be positioned runs to its end once it has begun, as it does on most
 * kernels' io_uring. An op on a stream (pipe, FIFO, eventfd) may wait for ever, so it goes on to
 * the one thread of streams.c, and a cancel that finds it nowhere here follows it there.
 */
#pragma once
#include "driver.h"

struct pool;

/* The driver's own: takes ops from the driver's queue, streams included. NULL and *error. */
struct pool *pool_start(asyncuring_driver *driver, unsigned threads, int *error);
/* Beside a ring, with a queue of its own, and never given a read or a write. NULL and *error. */
struct pool *pool_start_beside(asyncuring_driver *driver, int *error);
/* Only to one that stands beside. */
void pool_push(struct pool *pool, const asyncuring_op *op);
/* Stop the threads and free it; nothing is in flight. */
void pool_stop(struct pool *pool);
/* In a forked child: close the inherited fds. */
void pool_abandon(struct pool *pool);
