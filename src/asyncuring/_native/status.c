/* What statx(2) tells of an open file, for those who want a word of it and no op; see boundary.h.
 */
#define _GNU_SOURCE /* syscall */
#include "boundary.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As fstat(2), which asks whoever has the file system. */
static int identity_by_fstat(int fd, uint64_t identity[3])
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    identity[0] = status.st_mode & S_IFMT;
    identity[1] = (uint64_t)status.st_dev;
    identity[2] = (uint64_t)status.st_ino;
    return 0;
}

#if defined(__linux__) && defined(SYS_statx)
#include <sys/sysmacros.h>

/* Not every C library has struct statx, and headers before 6.1 lack some of it. These are places in
 * it, in 32-bit words; it is 256 bytes long in every version. */
enum { WORDS = 64, MASK = 0, MODE = 7, INODE = 8, DEVICE = 34, MEMORY = 38, OFFSET = 39 };
enum { WANT_TYPE = 0x1, WANT_INO = 0x100, WANT_DIOALIGN = 0x2000 };
enum { EMPTY_PATH = 0x1000, DONT_SYNC = 0x4000 };

int asyncuring_direct_alignment(int fd, uint32_t *memory, uint32_t *offset)
{
    uint32_t words[WORDS] = {0};
    if (syscall(SYS_statx, fd, "", EMPTY_PATH, WANT_DIOALIGN, words) < 0)
        return -errno;
    if (!(words[MASK] & WANT_DIOALIGN) || words[OFFSET] == 0)
        return -EOPNOTSUPP;
    *memory = words[MEMORY];
    *offset = words[OFFSET];
    return 0;
}

int asyncuring_identity(int fd, uint64_t identity[3])
{
    uint32_t words[WORDS] = {0};
    if (syscall(SYS_statx, fd, "", EMPTY_PATH | DONT_SYNC, WANT_TYPE | WANT_INO, words) < 0)
        /* Linux before 4.11 does not have it, and filters that do not know it refuse it. */
        return errno == ENOSYS || errno == EPERM ? identity_by_fstat(fd, identity) : -errno;
    uint16_t mode;
    memcpy(&mode, &words[MODE], sizeof mode);
    identity[0] = mode & S_IFMT;
    identity[1] = makedev(words[DEVICE], words[DEVICE + 1]);
    memcpy(&identity[2], &words[INODE], sizeof identity[2]);
    return 0;
}
#else
int asyncuring_direct_alignment(int fd, uint32_t *memory, uint32_t *offset)
{
    (void)fd, (void)memory, (void)offset;
    return -EOPNOTSUPP;
}

int asyncuring_identity(int fd, uint64_t identity[3])
{
    return identity_by_fstat(fd, identity);
}
#endif
