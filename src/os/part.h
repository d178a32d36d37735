/* What the model store needs of an operating system beyond os.h: files that are written at
 * positions and read back, locks between processes, free disk space. posix_part.c and win32_part.c
 * implement it. */
#ifndef IG_PART_H
#define IG_PART_H

#include "os/os.h"

/* A file open for reading and writing at any position, from several threads at once. Other programs
 * may open it too. */
struct ig_part;
/* Creates it if it is not there; keeps what it holds. Refuses what is not a regular file, and a
 * symbolic link. */
ingle_status ig_os_part_open(struct ig_part **out, struct ig_mem *mem, const char *path,
                             ingle_error *err);
/* A file that is only read; a symbolic link is followed. */
ingle_status ig_os_part_open_read(struct ig_part **out, struct ig_mem *mem, const char *path,
                                  ingle_error *err);
ingle_status ig_os_part_write(struct ig_part *p, uint64_t at, const void *bytes, size_t n,
                              ingle_error *err);
/* *got < n only at the end of the file. */
ingle_status ig_os_part_read(struct ig_part *p, uint64_t at, void *bytes, size_t n, size_t *got,
                             ingle_error *err);
ingle_status ig_os_part_resize(struct ig_part *p, uint64_t size, ingle_error *err);
/* Asks the system to begin writing this range to the disk; returns soon. */
void ig_os_part_start_flush(struct ig_part *p, uint64_t at, uint64_t n);
/* Waits until this range has been written, where the system can tell; else returns at once. */
void ig_os_part_flush_range(struct ig_part *p, uint64_t at, uint64_t n);
ingle_status ig_os_part_flush(struct ig_part *p,
                              ingle_error *err); /* returns when it is on the disk */
void ig_os_part_close(struct ig_part *p);        /* NULL is fine */

/* An exclusive lock that other processes and other calls in this one respect; it ends with the
 * process. INGLE_BUSY if it is taken. The file is created, and removed by the unlock. */
struct ig_lock;
ingle_status ig_os_lock_file(struct ig_lock **out, struct ig_mem *mem, const char *path,
                             ingle_error *err);
void ig_os_unlock_file(struct ig_lock *l); /* NULL is fine */

/* Replaces `to`; durable when it returns. Both on one file system. */
ingle_status ig_os_rename(const char *from, const char *to, ingle_error *err);
ingle_status ig_os_remove_folder(const char *path, ingle_error *err); /* an empty one */
int64_t ig_os_file_size(const char *path); /* -1 if there is no such file */
uint64_t ig_os_free_space(
    const char *folder); /* bytes this user may write there; UINT64_MAX if unknown */

#endif
