/* Shared by the POSIX files of this room. */
#ifndef IG_POSIX_H
#define IG_POSIX_H

#include "os/os.h"

/* errno `e` as an error: "path: could not VERB: why". */
ingle_status ig_os_fail_errno(ingle_error *err, int e, const char *path, const char *verb);
int ig_os_flush_fd(int fd); /* 0, or -1 and errno */
void ig_os_flush_folder_of(
    char *path); /* makes a rename in its folder durable, where the file system can */

/* Physical performance cores among the CPUs of `mine` (`cap` flags, at most IG_OS_MOST_CPUS; used
 * up), told by the files under `root` as Linux has them under /sys. At least 1. */
enum { IG_OS_MOST_CPUS = 8192 };
unsigned ig_os_count_cores(const char *root, uint8_t *mine, unsigned cap);
/* ig_os_has_gpu with another folder in the place of /sys. */
bool ig_os_find_gpu(const char *root, unsigned vendor);

#endif
