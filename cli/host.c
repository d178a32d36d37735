/* The operating system as the commands need it (POSIX; host_win32.c is its twin).
 *
 * Ctrl-C: the handler only sets a flag and writes a byte to a pipe; a watcher thread reads it and
 * calls the target, so that cancelling may take locks. The handler is installed without SA_RESTART:
 * a read at the chat prompt returns. */
#ifndef _WIN32
#define _XOPEN_SOURCE 700
#define _DARWIN_C_SOURCE
#include "cli.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool cli_is_terminal(int fd) {
    return isatty(fd) == 1;
}

bool cli_colour(int fd) {
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return cli_is_terminal(fd) && !(no && no[0]) && !(term && strcmp(term, "dumb") == 0);
}

void cli_binary_io(void) {} /* every stream is */

/* ---- Files ---- */

static ingle_status fail_file(ingle_error *err, ingle_status code, const char *path,
                              const char *why) {
    return ig_fail(err, code,
                   code == INGLE_NOT_FOUND ? "check the name"
                                           : "check the file and its permissions",
                   "%s: %s", path, why);
}

static ingle_status read_all(struct ig_mem *mem, int fd, const char *path, char **text, size_t *n,
                             ingle_error *err) {
    struct ig_buf b = {.mem = mem};
    for (;;) {
        if (!ig_buf_reserve(&b, 65536)) {
            ig_buf_free(&b);
            return ig_fail_memory(err, b.n + 65536);
        }
        ssize_t got = read(fd, b.p + b.n, 65536);
        if (got < 0 && errno == EINTR && !cli_interrupt_pending()) continue;
        if (got < 0) {
            ig_buf_free(&b);
            return fail_file(err, INGLE_IO, path, strerror(errno));
        }
        if (!got) break;
        b.n += (size_t)got;
    }
    b.p[b.n] = 0;
    *text = b.p;
    *n = b.n;
    return INGLE_OK;
}

ingle_status cli_read_file(struct ig_mem *mem, const char *path, char **text, size_t *n,
                           ingle_error *err) {
    if (strcmp(path, "-") == 0) return read_all(mem, 0, "standard input", text, n, err);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail_file(err, errno == ENOENT ? INGLE_NOT_FOUND : INGLE_IO, path, strerror(errno));
    ingle_status st = read_all(mem, fd, path, text, n, err);
    close(fd);
    return st;
}

/* Through a part file, so that the name never holds half a file. */
ingle_status cli_write_file(const char *path, const char *text, size_t n, ingle_error *err) {
    char part[4096];
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part)
        return fail_file(err, INGLE_IO, path, "the name is too long");
    FILE *f = fopen(part, "wb");
    if (!f) return fail_file(err, INGLE_IO, path, strerror(errno));
    bool ok = fwrite(text, 1, n, f) == n;
    ok = fclose(f) == 0 && ok;
    if (ok && rename(part, path) == 0) return INGLE_OK;
    int why = errno;
    remove(part);
    return fail_file(err, INGLE_IO, path, strerror(why));
}

bool cli_is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && !S_ISDIR(st.st_mode);
}

bool cli_is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int64_t cli_file_size(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

void cli_each_name(const char *folder, void (*fn)(void *ud, const char *name), void *ud) {
    DIR *d = opendir(folder);
    const struct dirent *e;
    while (d && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) fn(ud, e->d_name);
    if (d) closedir(d);
}

void cli_make_folders(const char *path) {
    char copy[4096];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) return;
    for (char *at = copy + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        mkdir(copy, 0700);
        *at = '/';
    }
    mkdir(copy, 0700);
}

bool cli_home(struct ig_buf *b) {
    const char *own = getenv("INGLE_HOME"), *home = getenv("HOME");
    if (own && own[0]) {
        ig_buf_z(b, own);
        return !b->failed;
    }
    if (!home || !home[0]) return false;
    ig_buf_z(b, home);
    ig_buf_z(b, "/.local/share/ingle");
    return !b->failed;
}

void *cli_library_open(const char *name) {
    return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

void *cli_library_symbol(void *library, const char *name) {
    return dlsym(library, name);
}

double cli_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- Ctrl-C ---- */

static volatile sig_atomic_t pending, armed, held;
static int wake[2] = {-1, -1};  /* for the watcher */
static int typed[2] = {-1, -1}; /* for a read of standard input */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*target)(void *ud);
static void *target_ud;

static void on_sigint(int sig) {
    (void)sig;
    int saved = errno;
    if (!held && (!armed || pending)) _exit(130);
    pending = 1;
    if (armed && write(wake[1], "", 1) < 0) _exit(130);
    if (held && write(typed[1], "", 1) < 0) {
    } /* full: the reader wakes anyhow */
    errno = saved;
}

static void *watch(void *ud) {
    char byte;
    (void)ud;
    for (;;) {
        ssize_t got = read(wake[0], &byte, 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return NULL;
        pthread_mutex_lock(&lock);
        if (target) target(target_ud);
        pthread_mutex_unlock(&lock);
    }
}

/* The watcher must not be the thread that the signal interrupts: it blocks SIGINT for itself. */
static void start_watcher(void) {
    pthread_t thread;
    sigset_t one, old;
    if (pipe(wake) != 0) return;
    fcntl(wake[0], F_SETFD, FD_CLOEXEC);
    fcntl(wake[1], F_SETFD, FD_CLOEXEC);
    fcntl(wake[1], F_SETFL, O_NONBLOCK);
    sigemptyset(&one);
    sigaddset(&one, SIGINT);
    pthread_sigmask(SIG_BLOCK, &one, &old);
    if (pthread_create(&thread, NULL, watch, NULL) == 0) pthread_detach(thread);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void cli_signals_open(void) {
    struct sigaction sa;
    memset(&sa, 0, sizeof sa);
    sa.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &sa, NULL);
    sigaction(SIGINT, NULL, &sa);
    if (sa.sa_handler == SIG_IGN) return; /* a background job: leave it */
    sa.sa_handler = on_sigint;
    sa.sa_flags = 0;
    sigaction(SIGINT, &sa, NULL);
}

void cli_on_interrupt(void (*fn)(void *ud), void *ud) {
    if (fn && wake[0] < 0) start_watcher();
    pthread_mutex_lock(&lock);
    target = fn;
    target_ud = ud;
    armed = fn != NULL;
    pthread_mutex_unlock(&lock);
}

bool cli_interrupt_pending(void) {
    return pending != 0;
}

bool cli_interrupted(void) {
    bool was = pending != 0;
    pending = 0;
    return was;
}

void cli_hold_interrupts(bool hold) {
    if (hold && typed[0] < 0 && pipe(typed) == 0) {
        for (int i = 0; i < 2; i++) {
            fcntl(typed[i], F_SETFD, FD_CLOEXEC);
            fcntl(typed[i], F_SETFL, O_NONBLOCK);
        }
    }
    held = hold && typed[0] >= 0;
}

/* The pipe closes the gap between looking at the flag and blocking in read. */
long cli_read_input(char *p, size_t n) {
    for (;;) {
        struct pollfd fds[2] = {{.fd = 0, .events = POLLIN}, {.fd = typed[0], .events = POLLIN}};
        char bytes[64];
        int got = poll(fds, typed[0] >= 0 ? 2 : 1, -1);
        if (typed[0] >= 0)
            while (read(typed[0], bytes, sizeof bytes) > 0) {
            }
        if (pending) return -1;
        if (got < 0 && errno != EINTR) return -1;
        if (got <= 0 || !fds[0].revents) continue;
        ssize_t r = read(0, p, n);
        if (r >= 0) return (long)r;
        if (errno != EINTR && errno != EAGAIN) return -1;
    }
}
#endif
