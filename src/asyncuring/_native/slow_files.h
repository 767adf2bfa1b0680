/* Files that keep whoever reads or writes them waiting, though a ring asks them not to wait.
 *
 * One table for the process, by descriptor, like the kernel's own. Whoever opens a file enters what
 * it is, before an op names it; so what was noted of an older file with that number is gone by
 * then.
 */
#pragma once
#include <stdbool.h>

bool is_slow_file(int fd);
/* Whether there was any such file since the process began: then there is a file system of them. */
bool has_slow_files(void);
