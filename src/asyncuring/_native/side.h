/* Side threads: native threads beside a driver's own way, for ops that are faster without it.
 *
 * The kernel's io_uring passes a buffered write that may block to a worker of its own, and takes
 * one at a time for each inode: on some file systems every overwrite. A plain pwrite(2) costs a
 * fraction of that. And one ring thread copies large cached blocks on one core only: side threads
 * copy them on all. Which ops come here is said in their opcode (ASYNCURING_SIDE_SHIFT in
 * boundary.h).
 *
 * Each side thread has a queue of its own and carries out what comes, one op after the other. Ops
 * that would only wait for each other in the kernel, the writes of one inode, are given to the same
 * thread, which serves them without anybody's waiting.
 *
 * What the kernel's ring does not have at all goes to a pool of threads (pool.h), beside as well.
 */
#pragma once
#include "driver.h"

struct side;

/* Wait for them to end, and free them. Nothing is in flight. */
void sides_stop(asyncuring_driver *driver);
/* In a forked child: close the inherited fds. */
void sides_abandon(asyncuring_driver *driver);
/* Give each op to the side thread, or the pool, that its opcode names, or else to the driver. Any
 * loop's thread, for what it has seen started. */
void sides_push(asyncuring_driver *driver, const asyncuring_op *ops, unsigned count);
