/* Everything that an op can ask for besides reading and writing, as one system call each.
 *
 * For native threads: those of the `threads` driver, and those beside a ring that lacks the opcode.
 */
#pragma once
#include "driver.h"

/* The result of a system call as that of an op. Each may take as long as the disk does. */
int64_t call_carry_out(const asyncuring_op *op);
