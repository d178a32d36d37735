/* The operating system as ingle sees it, for Linux and macOS.
 *
 * Promises: only regular files are mapped (a FIFO never blocks the caller), a final file name never
 * holds half a file, our threads have the stack they were given and take no signals of the host,
 * and the CPU and memory figures are those this process may really use (affinity, cgroup v1 and
 * v2). Does not know: what the bytes mean.
 *
 * Subtle: a mapped file that is truncated by somebody else raises SIGBUS in whoever touches the
 * lost pages. Readers check every range against the size at map time; catching SIGBUS would mean
 * owning a process-wide handler, which a library must not do. Files of the model store are only
 * ever replaced by rename, which leaves the old bytes mapped. */
#ifndef _WIN32
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#define _FILE_OFFSET_BITS 64
#include "os/os.h"
#include "os/posix.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach/mach.h>
#include <sys/sysctl.h>
#endif
#ifdef __linux__
#include <sys/resource.h>
#endif

static const char *const HINT_DISK = "check that the disk has room and the folder may be written";
static const char *const HINT_WHOLE = "the download is incomplete: get the file again";

/* errno as a short English text, without strerror (not thread safe) and strerror_r (two meanings).
 */
static const char *reason(int e) {
    switch (e) {
    case ENOENT: return "no such file or folder";
    case ENOTDIR: return "a part of the path is not a folder";
    case EACCES:
    case EPERM: return "permission denied";
    case EROFS: return "the file system is read-only";
    case ENOSPC:
    case EDQUOT: return "no space left on the disk";
    case EMFILE:
    case ENFILE: return "too many open files";
    case ENAMETOOLONG: return "the name is too long";
    case ELOOP: return "too many symbolic links";
    case EISDIR: return "it is a folder";
    case EEXIST: return "it exists already";
    case ENOMEM: return "not enough address space";
    case EFBIG: return "the file is too large for the file system";
    case EIO: return "the device reported an error";
    default: return "the system refused";
    }
}

static ingle_status fail_errno(ingle_error *err, int e, const char *path, const char *verb) {
    if (e == ENOENT || e == ENOTDIR)
        return ig_fail(err, INGLE_NOT_FOUND, "check the path", "%s: %s", path, reason(e));
    if (e == ENOSPC || e == EDQUOT || e == EROFS || e == EFBIG)
        return ig_fail(err, INGLE_IO, HINT_DISK, "%s: could not %s: %s", path, verb, reason(e));
    return ig_fail(err, INGLE_IO, "check the permissions and the disk",
                   "%s: could not %s: %s (errno %d)", path, verb, reason(e), e);
}

/* ---- files
 * -------------------------------------------------------------------------------------------------------
 */

static ingle_status check_mappable(const struct stat *st, const char *path, ingle_error *err) {
    if (S_ISDIR(st->st_mode))
        return ig_fail(err, INGLE_BAD_FILE, "name a file in it", "%s: is a folder, not a file",
                       path);
    if (!S_ISREG(st->st_mode))
        return ig_fail(err, INGLE_BAD_FILE, "name a regular file",
                       "%s: is a pipe, socket or device, not a regular file", path);
    if (st->st_size <= 0)
        return ig_fail(err, INGLE_BAD_FILE, HINT_WHOLE, "%s: the file is empty", path);
    if ((uint64_t)st->st_size > SIZE_MAX)
        return ig_fail(err, INGLE_UNSUPPORTED, "use a 64-bit build",
                       "%s: too large for the address space", path);
    return INGLE_OK;
}

static ingle_status map_fd(struct ig_map *out, int fd, const char *path, ingle_error *err) {
    struct stat st;
    if (fstat(fd, &st)) return fail_errno(err, errno, path, "read");
    IG_TRY(check_mappable(&st, path, err));
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED) return fail_errno(err, errno, path, "map");
    *out = (struct ig_map){p, (uint64_t)st.st_size, NULL};
    return INGLE_OK;
}

ingle_status ig_os_map(struct ig_map *out, const char *path, ingle_error *err) {
    *out = (struct ig_map){0};
    int fd;
    do fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    while (fd < 0 && errno == EINTR);
    if (fd < 0 && (errno == ENXIO || errno == EOPNOTSUPP))
        return ig_fail(err, INGLE_BAD_FILE, "name a regular file",
                       "%s: is a socket or device, not a regular file", path);
    if (fd < 0) return fail_errno(err, errno, path, "open");
    ingle_status s = map_fd(out, fd, path, err);
    close(fd);
    return s;
}

void ig_os_unmap(struct ig_map *m) {
    if (m->data) munmap((void *)(uintptr_t)m->data, (size_t)m->size);
    *m = (struct ig_map){0};
}

void ig_os_read_ahead(const void *p, size_t n) {
    size_t skew = (uintptr_t)p % ig_os_page_size();
    void *from = (void *)((uintptr_t)p - skew);
    if (!n) return;
#ifdef __linux__
    /* Linux 5.14; older headers lack it, older kernels refuse it. WILLNEED in its place maps nothing
     * and made warm starts slower. */
    enum { POPULATE_READ = 22 };
    madvise(from, n + skew, POPULATE_READ);
#else
    posix_madvise(from, n + skew, POSIX_MADV_WILLNEED);
#endif
}

void ig_os_huge_pages(void *p, size_t n) {
#ifdef MADV_HUGEPAGE
    /* Whole pages, the neighbours' ends included: else what lies between them splits the range. */
    uintptr_t page = ig_os_page_size(), from = (uintptr_t)p / page * page;
    madvise((void *)from, (uintptr_t)p + n - from, MADV_HUGEPAGE);
#else
    (void)p, (void)n;
#endif
}

enum ig_os_kind ig_os_kind(const char *path) {
    struct stat st;
    if (stat(path, &st)) return IG_OS_ABSENT;
    return S_ISREG(st.st_mode) ? IG_OS_FILE : S_ISDIR(st.st_mode) ? IG_OS_FOLDER : IG_OS_OTHER;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* names: NUL-terminated strings in a row; writes them sorted, plus the empty one at the end. */
static char *sort_names(struct ig_mem *mem, char *names, size_t bytes, size_t count) {
    char **order = ig_calloc(mem, count + 1, sizeof *order);
    char *out = order ? ig_alloc(mem, bytes + 1) : NULL;
    if (out) {
        char *p = names;
        for (size_t i = 0; i < count; i++, p += strlen(p) + 1) order[i] = p;
        if (count) qsort(order, count, sizeof *order, by_name);
        p = out;
        for (size_t i = 0; i < count; i++) {
            size_t n = strlen(order[i]) + 1;
            memcpy(p, order[i], n);
            p += n;
        }
        *p = 0;
    }
    ig_free(mem, order);
    return out;
}

ingle_status ig_os_list(struct ig_mem *mem, const char *folder, char **names, ingle_error *err) {
    *names = NULL;
    DIR *d = opendir(folder);
    if (!d) return fail_errno(err, errno, folder, "list");
    struct ig_buf b = {.mem = mem};
    size_t count = 0;
    for (struct dirent *e; errno = 0, (e = readdir(d));) {
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..")) continue;
        ig_buf_add(&b, e->d_name, strlen(e->d_name) + 1);
        count++;
    }
    int failed = errno;
    closedir(d);
    if (!failed && !b.failed) *names = sort_names(mem, b.p, b.n, count);
    size_t bytes = b.n;
    ig_buf_free(&b);
    if (failed) return fail_errno(err, failed, folder, "list");
    return *names ? INGLE_OK : ig_fail_memory(err, bytes);
}

ingle_status ig_os_make_folders(const char *path, ingle_error *err) {
    char part[PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part) return fail_errno(err, ENAMETOOLONG, path, "make the folder");
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i]) continue;
        char kept = part[i];
        part[i] = 0;
        int e = mkdir(part, 0777) ? errno : 0;
        if (e && ig_os_kind(part) != IG_OS_FOLDER)
            return fail_errno(err, e, part, "make the folder");
        part[i] = kept;
    }
    return INGLE_OK;
}

ingle_status ig_os_remove(const char *path, ingle_error *err) {
    if (!unlink(path)) return INGLE_OK;
    return fail_errno(err, errno, path, "remove the file");
}

struct ig_file {
    struct ig_mem *mem;
    int fd;
    char *path; /* final name; the one with ".part" follows its NUL */
    char *part;
};

/* Opens and locks the part. Two writers of one name (also of two processes) never mix their bytes:
 * the second is told that the first is busy. The loop is for the moment between open and lock in
 * which the first renames it away. */
static int open_part(const char *part) {
    for (int tries = 0; tries < 100; tries++) {
        int fd = open(part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (fd < 0 && errno == EINTR) continue;
        if (fd < 0) return -1;
        struct stat mine, there;
        if (flock(fd, LOCK_EX | LOCK_NB) && (errno == EWOULDBLOCK || errno == EINTR)) {
            close(fd);
            errno = EWOULDBLOCK;
            return -1;
        }
        if (!fstat(fd, &mine) && !lstat(part, &there) && mine.st_ino == there.st_ino &&
            mine.st_dev == there.st_dev && S_ISREG(mine.st_mode) && !ftruncate(fd, 0))
            return fd;
        close(fd);
    }
    errno = EIO;
    return -1;
}

ingle_status ig_os_create(struct ig_file **out, struct ig_mem *mem, const char *path,
                          ingle_error *err) {
    *out = NULL;
    size_t n = strlen(path);
    struct ig_file *f = ig_alloc(mem, sizeof *f + 2 * n + 8);
    if (!f) return ig_fail_memory(err, sizeof *f + 2 * n + 8);
    *f = (struct ig_file){mem, -1, (char *)(f + 1), (char *)(f + 1) + n + 1};
    memcpy(f->path, path, n + 1);
    memcpy(f->part, path, n);
    memcpy(f->part + n, ".part", 6);
    f->fd = open_part(f->part);
    if (f->fd >= 0) {
        *out = f;
        return INGLE_OK;
    }
    int e = errno;
    ingle_status s = e == EWOULDBLOCK
                         ? ig_fail(err, INGLE_BUSY, "wait until it is done and try again",
                                   "%s: another program is writing this file", f->part)
                         : fail_errno(err, e, f->part, "create");
    ig_free(mem, f);
    return s;
}

ingle_status ig_os_write(struct ig_file *f, const void *p, size_t n, ingle_error *err) {
    const char *at = p;
    while (n) {
        ssize_t wrote = write(f->fd, at, n < (1u << 30) ? n : (1u << 30));
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return fail_errno(err, errno, f->part, "write");
        if (wrote == 0) return fail_errno(err, ENOSPC, f->part, "write");
        at += wrote;
        n -= (size_t)wrote;
    }
    return INGLE_OK;
}

static int flush_to_disk(int fd) {
#ifdef __APPLE__
    if (fcntl(fd, F_FULLFSYNC) == 0) return 0; /* fsync leaves the drive's cache alone there */
#endif
    int r;
    do r = fsync(fd);
    while (r && errno == EINTR);
    return r;
}

/* Makes the rename itself durable. File systems that cannot sync a folder say so; that is no
 * failure of ours. */
static void flush_folder_of(char *path) {
    char *slash = strrchr(path, '/');
    if (slash && slash != path) *slash = 0;
    int fd = open(!slash ? "." : slash == path ? "/" : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (slash && slash != path) *slash = '/';
    if (fd < 0) return;
    flush_to_disk(fd);
    close(fd);
}

int ig_os_flush_fd(int fd) {
    return flush_to_disk(fd);
}
void ig_os_flush_folder_of(char *path) {
    flush_folder_of(path);
}
ingle_status ig_os_fail_errno(ingle_error *err, int e, const char *path, const char *verb) {
    return fail_errno(err, e, path, verb);
}

ingle_status ig_os_commit(struct ig_file *f, ingle_error *err) {
    ingle_status s = INGLE_OK;
    if (flush_to_disk(f->fd))
        s = fail_errno(err, errno, f->part, "write");
    else if (rename(f->part, f->path))
        s = fail_errno(err, errno, f->path, "replace");
    if (s) {
        ig_os_discard(f);
        return s;
    }
    flush_folder_of(f->path);
    close(f->fd);
    ig_free(f->mem, f);
    return INGLE_OK;
}

void ig_os_discard(struct ig_file *f) {
    if (!f) return;
    unlink(f->part);
    close(f->fd);
    ig_free(f->mem, f);
}

/* ---- time
 * --------------------------------------------------------------------------------------------------------
 */

double ig_os_seconds(void) {
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int64_t ig_os_unix_time(void) {
    return (int64_t)time(NULL);
}

void ig_os_local_time(int64_t unix_time, int *year, int *month, int *day, int *hour, int *minute,
                      int *second, int *weekday, int *yearday) {
    time_t t = (time_t)unix_time;
    struct tm tm;
    if (!localtime_r(&t, &tm)) tm = (struct tm){.tm_year = 70, .tm_mday = 1, .tm_wday = 4};
    *year = tm.tm_year + 1900;
    *month = tm.tm_mon + 1;
    *day = tm.tm_mday;
    *hour = tm.tm_hour;
    *minute = tm.tm_min;
    *second = tm.tm_sec;
    *weekday = tm.tm_wday;
    *yearday = tm.tm_yday + 1;
}

/* Negative, huge and NaN become something the calls below accept. */
static struct timespec timespec_of(double seconds) {
    if (!(seconds > 0)) seconds = 0;
    if (seconds > 1e8) seconds = 1e8;
    struct timespec t = {.tv_sec = (time_t)seconds};
    t.tv_nsec = (long)((seconds - (double)t.tv_sec) * 1e9);
    if (t.tv_nsec > 999999999) t.tv_nsec = 999999999;
    return t;
}

void ig_os_sleep(double seconds) {
    struct timespec t = timespec_of(seconds);
    while (nanosleep(&t, &t) && errno == EINTR) {
    }
}

/* ---- threads
 * -----------------------------------------------------------------------------------------------------
 */

_Static_assert(sizeof(pthread_t) <= sizeof(uint64_t), "words[0] of ig_thread holds a pthread_t");
_Static_assert(sizeof(void (*)(void *)) <= sizeof(uint64_t), "words[1] holds the function");
_Static_assert(sizeof(pthread_mutex_t) <= sizeof(struct ig_mutex), "ig_mutex is too small");
_Static_assert(sizeof(pthread_cond_t) <= sizeof(struct ig_cond), "ig_cond is too small");

static pthread_mutex_t *mutex_of(struct ig_mutex *m) {
    return (pthread_mutex_t *)(void *)m->words;
}
static pthread_cond_t *cond_of(struct ig_cond *c) {
    return (pthread_cond_t *)(void *)c->words;
}

static void *thread_main(void *p) {
    struct ig_thread *t = p;
    void (*fn)(void *);
    memcpy(&fn, &t->words[1], sizeof fn);
    fn((void *)(uintptr_t)t->words[2]);
    return NULL;
}

static int create_thread(struct ig_thread *t, size_t stack) {
    pthread_attr_t attr;
    int e = pthread_attr_init(&attr);
    if (e) return e;
    size_t page = ig_os_page_size(), least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    if (!stack) stack = 512u << 10;
    if (least < (1u << 20) && stack < least) stack = least;
    stack = (stack + page - 1) / page * page;
    pthread_t id;
    e = pthread_attr_setstacksize(&attr, stack);
    if (!e) e = pthread_create(&id, &attr, thread_main, t);
    if (!e) memcpy(&t->words[0], &id, sizeof id);
    pthread_attr_destroy(&attr);
    return e;
}

ingle_status ig_os_thread_start(struct ig_thread *t, void (*fn)(void *), void *ud, size_t stack,
                                ingle_error *err) {
    *t = (struct ig_thread){0};
    memcpy(&t->words[1], &fn, sizeof fn);
    t->words[2] = (uint64_t)(uintptr_t)ud;
    sigset_t all, before;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV); /* faults belong to the thread that makes them: the host's crash
                                 reporter sees them */
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int e = create_thread(t, stack);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!e) return INGLE_OK;
    return ig_fail(err, INGLE_LIMIT,
                   "use fewer threads (-t) or raise the process limit (ulimit -u)",
                   "could not start a thread (errno %d)", e);
}

void ig_os_thread_join(struct ig_thread *t) {
    pthread_t id;
    memcpy(&id, &t->words[0], sizeof id);
    pthread_join(id, NULL);
}

void ig_os_mutex_init(struct ig_mutex *m) {
    pthread_mutex_init(mutex_of(m), NULL);
}
void ig_os_mutex_free(struct ig_mutex *m) {
    pthread_mutex_destroy(mutex_of(m));
}
void ig_os_lock(struct ig_mutex *m) {
    pthread_mutex_lock(mutex_of(m));
}
void ig_os_unlock(struct ig_mutex *m) {
    pthread_mutex_unlock(mutex_of(m));
}

void ig_os_cond_init(struct ig_cond *c) {
#ifdef __APPLE__
    pthread_cond_init(cond_of(c), NULL);
#else
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr,
                              CLOCK_MONOTONIC); /* time-outs survive a change of the wall clock */
    pthread_cond_init(cond_of(c), &attr);
    pthread_condattr_destroy(&attr);
#endif
}
void ig_os_cond_free(struct ig_cond *c) {
    pthread_cond_destroy(cond_of(c));
}
void ig_os_wait(struct ig_cond *c, struct ig_mutex *m) {
    pthread_cond_wait(cond_of(c), mutex_of(m));
}

bool ig_os_wait_for(struct ig_cond *c, struct ig_mutex *m, double seconds) {
    struct timespec t = timespec_of(seconds);
#ifdef __APPLE__
    return pthread_cond_timedwait_relative_np(cond_of(c), mutex_of(m), &t) != ETIMEDOUT;
#else
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    t.tv_sec += now.tv_sec;
    t.tv_nsec += now.tv_nsec;
    if (t.tv_nsec > 999999999) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return pthread_cond_timedwait(cond_of(c), mutex_of(m), &t) != ETIMEDOUT;
#endif
}

void ig_os_wake_all(struct ig_cond *c) {
    pthread_cond_broadcast(cond_of(c));
}
void ig_os_yield(void) {
    sched_yield();
}

/* ---- what this process may use
 * ----------------------------------------------------------------------------------- */

#ifdef __linux__
static bool read_small(const char *path, char *buf, size_t cap) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t n = 0;
    for (ssize_t got; n + 1 < cap && (got = read(fd, buf + n, cap - 1 - n)) > 0;) n += (size_t)got;
    close(fd);
    buf[n] = 0;
    return n > 0;
}

/* Whether the comma-separated list that ends at ':' names the controller. */
static bool lists_controller(const char *list, const char *controller) {
    size_t n = strlen(controller);
    for (const char *p = list; *p && *p != ':';) {
        if (!strncmp(p, controller, n) && (p[n] == ',' || p[n] == ':')) return true;
        p += strcspn(p, ",:");
        if (*p == ',') p++;
    }
    return false;
}

/* This process's group in the hierarchy of `controller` ("" = version 2), e.g. "/user.slice". */
static bool group_path(const char *controller, char *out, size_t cap) {
    char text[4096];
    if (!read_small("/proc/self/cgroup", text, sizeof text)) return false;
    for (char *line = text; line && *line;) {
        char *end = strchr(line, '\n'), *list = strchr(line, ':');
        if (end) *end++ = 0;
        char *path = list ? strchr(list + 1, ':') : NULL;
        bool mine = path && (*controller ? lists_controller(list + 1, controller)
                                         : !strncmp(line, "0::", 3));
        if (mine && strlen(path + 1) < cap) {
            memcpy(out, path + 1, strlen(path + 1) + 1);
            return true;
        }
        line = end;
    }
    return false;
}

/* Calls `read_limit` for the group and each one above it and returns the least limit. A container
 * often sees its own group as the root, so a path that is not there is no reason to stop. */
static double least_limit(const char *root, const char *controller,
                          double (*read_limit)(const char *folder)) {
    char group[1024], folder[1280];
    double least = 0;
    if (!group_path(controller, group, sizeof group)) return 0;
    for (;;) {
        snprintf(folder, sizeof folder, "%s%s", root, strcmp(group, "/") ? group : "");
        double v = read_limit(folder);
        if (v > 0 && (least <= 0 || v < least)) least = v;
        char *slash = strrchr(group, '/');
        if (!slash || !group[0]) return least;
        *slash = 0;
    }
}

static double number_in(const char *folder, const char *name, double *second) {
    char path[1408], text[128], *end;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!read_small(path, text, sizeof text)) return 0;
    double v = (double)strtoll(text, &end, 10); /* "max" gives 0, "-1" is no limit either */
    if (second) *second = (double)strtoll(end, NULL, 10);
    return v > 0 ? v : 0;
}

static double cpus_v2(const char *folder) {
    double period = 0, quota = number_in(folder, "cpu.max", &period);
    return quota > 0 && period > 0 ? quota / period : 0;
}
static double cpus_v1(const char *folder) {
    double quota = number_in(folder, "cpu.cfs_quota_us", NULL);
    double period = number_in(folder, "cpu.cfs_period_us", NULL);
    return quota > 0 && period > 0 ? quota / period : 0;
}
static double memory_v2(const char *folder) {
    return number_in(folder, "memory.max", NULL);
}
static double memory_v1(const char *folder) {
    return number_in(folder, "memory.limit_in_bytes", NULL);
}

static unsigned platform_cpus(void) {
    cpu_set_t sets[8]; /* 8192 CPUs */
    int n = 0;
    if (!sched_getaffinity(0, sizeof sets, sets)) n = CPU_COUNT_S(sizeof sets, sets);
    if (n < 1) n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    if (n < 1) n = 1;
    double quota = least_limit("/sys/fs/cgroup", "", cpus_v2);
    if (quota <= 0) quota = least_limit("/sys/fs/cgroup/cpu", "cpu", cpus_v1);
    if (quota > 0 && quota < n) {
        int whole = (int)quota;
        n = quota > whole ? whole + 1 : whole;
    }
    return (unsigned)n;
}

static uint64_t platform_memory(void) {
    long pages = sysconf(_SC_PHYS_PAGES);
    double total = pages > 0 ? (double)pages * (double)ig_os_page_size() : 0;
    double limit = least_limit("/sys/fs/cgroup", "", memory_v2);
    if (limit <= 0) limit = least_limit("/sys/fs/cgroup/memory", "memory", memory_v1);
    return (uint64_t)(limit > 0 && (total <= 0 || limit < total) ? limit : total);
}
#else
static unsigned platform_cpus(void) {
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (unsigned)n : 1;
}

static uint64_t platform_memory(void) {
#ifdef __APPLE__
    uint64_t bytes = 0;
    size_t n = sizeof bytes;
    return sysctlbyname("hw.memsize", &bytes, &n, NULL, 0) ? 0 : bytes;
#else
    long pages = sysconf(_SC_PHYS_PAGES);
    return pages > 0 ? (uint64_t)pages * ig_os_page_size() : 0;
#endif
}
#endif

unsigned ig_os_cpu_count(void) {
    unsigned n = platform_cpus();
    return n ? n : 1;
}
uint64_t ig_os_memory_total(void) {
    return platform_memory();
}

#ifdef __linux__
/* The value behind "name   :" on a line of a /proc file, up to the line's end. */
static bool proc_value(const char *path, const char *name, char *out, size_t cap) {
    FILE *f = fopen(path, "re");
    char line[512];
    bool found = false;
    while (f && !found && fgets(line, sizeof line, f)) {
        size_t n = strlen(name);
        char *colon = strchr(line, ':');
        if (strncmp(line, name, n) != 0 || !colon || !strchr("\t :", line[n])) continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, cap, "%s", colon);
        found = true;
    }
    if (f) fclose(f);
    return found;
}

void ig_os_cpu_name(char *out, size_t cap) {
    if (!proc_value("/proc/cpuinfo", "model name", out, cap) &&
        !proc_value("/proc/cpuinfo", "Model", out, cap))
        *out = 0;
}

uint64_t ig_os_memory_available(void) {
    char text[64];
    if (!proc_value("/proc/meminfo", "MemAvailable", text, sizeof text)) return 0;
    uint64_t bytes = (uint64_t)strtoull(text, NULL, 10) * 1024, total = platform_memory();
    return bytes < total ? bytes : total;
}

void ig_os_thread_background(void) {
    setpriority(PRIO_PROCESS, 0, 10); /* on Linux: of the calling thread alone */
}

const char *ig_os_name(void) {
    return "linux";
}
#elif defined(__APPLE__)
void ig_os_cpu_name(char *out, size_t cap) {
    size_t n = cap;
    if (sysctlbyname("machdep.cpu.brand_string", out, &n, NULL, 0)) *out = 0;
}

uint64_t ig_os_memory_available(void) {
    vm_statistics64_data_t s;
    mach_msg_type_number_t n = HOST_VM_INFO64_COUNT;
    if (host_statistics64(mach_host_self(), HOST_VM_INFO64, (host_info64_t)&s, &n) != KERN_SUCCESS)
        return 0;
    return ((uint64_t)s.free_count + s.inactive_count + s.purgeable_count) * ig_os_page_size();
}

void ig_os_thread_background(void) {
    pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0);
}

const char *ig_os_name(void) {
    return "macos";
}
#else
void ig_os_cpu_name(char *out, size_t cap) {
    if (cap) *out = 0;
}
uint64_t ig_os_memory_available(void) {
    return 0;
}
void ig_os_thread_background(void) {}
const char *ig_os_name(void) {
    return "unix";
}
#endif

size_t ig_os_page_size(void) {
    long n = sysconf(_SC_PAGESIZE);
    return n > 0 ? (size_t)n : 4096;
}

const char *ig_os_env(const char *name) {
    return getenv(name);
}

void *ig_os_dl_open(const char *name) {
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}
void *ig_os_dl_symbol(void *lib, const char *name) {
    return dlsym(lib, name);
}
void ig_os_dl_close(void *lib) {
    if (lib) dlclose(lib);
}

#else
typedef int ig_posix_not_here; /* ISO C wants a declaration in every file */
#endif
