/* Files written at positions, locks and disk space for Linux and macOS (part.h says what each call
 * promises).
 *
 * Subtle: a lock file is removed while it is held, so whoever gets the lock looks whether the name
 * still means the file it locked, and begins again if not. */
#ifndef _WIN32
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#define _FILE_OFFSET_BITS 64
#include "os/part.h"
#include "os/posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct ig_part {
    struct ig_mem *mem;
    int fd;
    char path[];
};

enum { AT_ONCE = 1 << 30 };

static ingle_status open_at(struct ig_part **out, struct ig_mem *mem, const char *path, int flags,
                            ingle_error *err) {
    size_t n = strlen(path);
    struct stat st;
    *out = NULL;
    struct ig_part *p = ig_alloc(mem, sizeof *p + n + 1);
    if (!p) return ig_fail_memory(err, sizeof *p + n + 1);
    p->mem = mem;
    memcpy(p->path, path, n + 1);
    do p->fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
    while (p->fd < 0 && errno == EINTR);
    ingle_status s = INGLE_OK;
    if (p->fd < 0 || fstat(p->fd, &st))
        s = ig_os_fail_errno(err, errno, path, "open");
    else if (!S_ISREG(st.st_mode))
        s = ig_fail(err, INGLE_IO, "remove what is there", "%s: is not a regular file", path);
    if (s)
        ig_os_part_close(p);
    else
        *out = p;
    return s;
}

ingle_status ig_os_part_open(struct ig_part **out, struct ig_mem *mem, const char *path,
                             ingle_error *err) {
    return open_at(out, mem, path, O_RDWR | O_CREAT | O_NOFOLLOW, err);
}

ingle_status ig_os_part_open_read(struct ig_part **out, struct ig_mem *mem, const char *path,
                                  ingle_error *err) {
    return open_at(out, mem, path, O_RDONLY, err);
}

ingle_status ig_os_part_write(struct ig_part *p, uint64_t at, const void *bytes, size_t n,
                              ingle_error *err) {
    const char *from = bytes;
    while (n) {
        ssize_t wrote = pwrite(p->fd, from, n < AT_ONCE ? n : AT_ONCE, (off_t)at);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return ig_os_fail_errno(err, wrote < 0 ? errno : ENOSPC, p->path, "write");
        from += wrote;
        at += (uint64_t)wrote;
        n -= (size_t)wrote;
    }
    return INGLE_OK;
}

ingle_status ig_os_part_read(struct ig_part *p, uint64_t at, void *bytes, size_t n, size_t *got,
                             ingle_error *err) {
    char *to = bytes;
    *got = 0;
    while (*got < n) {
        size_t want = n - *got;
        ssize_t r = pread(p->fd, to + *got, want < AT_ONCE ? want : AT_ONCE, (off_t)(at + *got));
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return ig_os_fail_errno(err, errno, p->path, "read");
        if (!r) break;
        *got += (size_t)r;
    }
    return INGLE_OK;
}

ingle_status ig_os_part_resize(struct ig_part *p, uint64_t size, ingle_error *err) {
    int r;
    do r = ftruncate(p->fd, (off_t)size);
    while (r && errno == EINTR);
    return r ? ig_os_fail_errno(err, errno, p->path, "resize") : INGLE_OK;
}

void ig_os_part_start_flush(struct ig_part *p, uint64_t at, uint64_t n) {
#ifdef __linux__
    sync_file_range(p->fd, (off_t)at, (off_t)n, SYNC_FILE_RANGE_WRITE);
#else
    (void)p;
    (void)at;
    (void)n;
#endif
}

void ig_os_part_flush_range(struct ig_part *p, uint64_t at, uint64_t n) {
#ifdef __linux__
    sync_file_range(p->fd, (off_t)at, (off_t)n,
                    SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
                        SYNC_FILE_RANGE_WAIT_AFTER);
#else
    (void)p;
    (void)at;
    (void)n;
#endif
}

ingle_status ig_os_part_flush(struct ig_part *p, ingle_error *err) {
    return ig_os_flush_fd(p->fd) ? ig_os_fail_errno(err, errno, p->path, "write") : INGLE_OK;
}

void ig_os_part_close(struct ig_part *p) {
    if (!p) return;
    if (p->fd >= 0) close(p->fd);
    ig_free(p->mem, p);
}

/* ---- locks ---- */

struct ig_lock {
    struct ig_mem *mem;
    int fd;
    char path[];
};

/* The descriptor of the locked file, or -1 and errno (EWOULDBLOCK: taken). */
static int open_locked(const char *path) {
    for (int tries = 0; tries < 100; tries++) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0 && errno == EINTR) continue;
        if (fd < 0) return -1;
        struct stat mine, there;
        /* a file system without locks (some network drives): better unlocked than not at all */
        if (flock(fd, LOCK_EX | LOCK_NB) && (errno == EWOULDBLOCK || errno == EINTR)) {
            close(fd);
            errno = EWOULDBLOCK;
            return -1;
        }
        if (!fstat(fd, &mine) && !lstat(path, &there) && mine.st_ino == there.st_ino &&
            mine.st_dev == there.st_dev)
            return fd;
        close(fd);
    }
    errno = EWOULDBLOCK;
    return -1;
}

ingle_status ig_os_lock_file(struct ig_lock **out, struct ig_mem *mem, const char *path,
                             ingle_error *err) {
    size_t n = strlen(path);
    *out = NULL;
    struct ig_lock *l = ig_alloc(mem, sizeof *l + n + 1);
    if (!l) return ig_fail_memory(err, sizeof *l + n + 1);
    l->mem = mem;
    memcpy(l->path, path, n + 1);
    l->fd = open_locked(path);
    if (l->fd >= 0) {
        *out = l;
        return INGLE_OK;
    }
    int e = errno;
    ig_free(mem, l);
    if (e == EWOULDBLOCK)
        return ig_fail(err, INGLE_BUSY, "wait until it is done and try again",
                       "%s: another program holds this lock", path);
    return ig_os_fail_errno(err, e, path, "lock");
}

void ig_os_unlock_file(struct ig_lock *l) {
    if (!l) return;
    unlink(l->path);
    close(l->fd);
    ig_free(l->mem, l);
}

/* ---- names and space ---- */

ingle_status ig_os_rename(const char *from, const char *to, ingle_error *err) {
    char copy[4096];
    if (rename(from, to)) return ig_os_fail_errno(err, errno, to, "replace");
    if (snprintf(copy, sizeof copy, "%s", to) < (int)sizeof copy) ig_os_flush_folder_of(copy);
    return INGLE_OK;
}

ingle_status ig_os_remove_folder(const char *path, ingle_error *err) {
    return rmdir(path) ? ig_os_fail_errno(err, errno, path, "remove the folder") : INGLE_OK;
}

int64_t ig_os_file_size(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : -1;
}

uint64_t ig_os_free_space(const char *folder) {
    struct statvfs v;
    if (statvfs(folder, &v) || !v.f_frsize || !v.f_blocks) return UINT64_MAX;
    return (uint64_t)v.f_bavail * v.f_frsize;
}
#endif
