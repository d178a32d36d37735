/* stdio_os.h on POSIX.
 *
 * The parent's death is awaited on a pidfd (Linux) or a kqueue (macOS, BSD), not by
 * PR_SET_PDEATHSIG: that signal comes when the *thread* that started us ends, and hosts start
 * programs from pool threads that end long before they do. Where neither is to be had, the parent's
 * id is looked at twice a second. */
#ifndef _WIN32
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE
#include "stdio_os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__NetBSD__)
#include <sys/event.h>
#include <sys/time.h>
#define HAVE_KQUEUE
#endif

/* ---- Threads ---- */

struct stdio_lock {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

struct stdio_lock *stdio_lock_open(void) {
    struct stdio_lock *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    pthread_mutex_init(&l->mutex, NULL);
    pthread_cond_init(&l->changed, NULL);
    return l;
}

void stdio_lock_close(struct stdio_lock *l) {
    if (!l) return;
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->mutex);
    free(l);
}

void stdio_take(struct stdio_lock *l) {
    pthread_mutex_lock(&l->mutex);
}
void stdio_give(struct stdio_lock *l) {
    pthread_mutex_unlock(&l->mutex);
}
void stdio_wake(struct stdio_lock *l) {
    pthread_cond_broadcast(&l->changed);
}

void stdio_wait(struct stdio_lock *l, double seconds) {
    struct timespec until;
    if (seconds < 0) {
        pthread_cond_wait(&l->changed, &l->mutex);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    long nanos = until.tv_nsec + (long)(1e9 * (seconds - (double)(long)seconds));
    until.tv_sec += (time_t)seconds + nanos / 1000000000;
    until.tv_nsec = nanos % 1000000000;
    pthread_cond_timedwait(&l->changed, &l->mutex, &until);
}

struct start {
    void (*fn)(void *ud);
    void *ud;
};

static void *begin(void *ud) {
    struct start s = *(struct start *)ud;
    free(ud);
    s.fn(s.ud);
    return NULL;
}

bool stdio_start_thread(void (*fn)(void *ud), void *ud) {
    pthread_t thread;
    struct start *s = malloc(sizeof *s);
    if (!s) return false;
    *s = (struct start){fn, ud};
    if (pthread_create(&thread, NULL, begin, s) != 0) {
        free(s);
        return false;
    }
    pthread_detach(thread);
    return true;
}

void stdio_exit(int code) {
    _exit(code);
}

/* ---- The two streams ---- */

static int in_fd = 0, out_fd = 1;

bool stdio_claim_streams(void) {
    int in = fcntl(0, F_DUPFD_CLOEXEC, 3), out = fcntl(1, F_DUPFD_CLOEXEC, 3);
    int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (in < 0 || out < 0 || none < 0) return false; /* the process ends: nothing to give back */
    dup2(none, 0);
    close(none);
    dup2(2, 1);
    in_fd = in;
    out_fd = out;
    return true;
}

/* A parent may have made the pipe non-blocking for itself, and so for us. */
static bool wait_for(int fd, short what) {
    struct pollfd p = {.fd = fd, .events = what};
    return poll(&p, 1, -1) >= 0 || errno == EINTR;
}

long stdio_read(char *p, size_t n) {
    for (;;) {
        ssize_t got = read(in_fd, p, n);
        if (got >= 0) return (long)got;
        if (errno == EINTR) continue;
        if ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait_for(in_fd, POLLIN)) return -1;
    }
}

bool stdio_write(const char *p, size_t n) {
    while (n) {
        ssize_t done = write(out_fd, p, n);
        if (done >= 0) {
            p += done;
            n -= (size_t)done;
        } else if (errno != EINTR) {
            if ((errno != EAGAIN && errno != EWOULDBLOCK) || !wait_for(out_fd, POLLOUT))
                return false;
        }
    }
    return true;
}

/* ---- The parent ---- */

static pid_t parent;

/* False if this system cannot do it. */
static bool await_parent(void) {
#if defined(__linux__) && defined(SYS_pidfd_open)
    int fd = (int)syscall(SYS_pidfd_open, parent, 0u);
    if (fd < 0) return errno == ESRCH;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    /* It may have gone, and its number been given to another, before the descriptor was there. */
    while (getppid() == parent && poll(&p, 1, -1) < 0 && errno == EINTR) {
    }
    close(fd);
    return true;
#elif defined(HAVE_KQUEUE)
    struct kevent ev;
    int kq = kqueue();
    if (kq < 0) return false;
    EV_SET(&ev, (uintptr_t)parent, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, NULL);
    int got;
    do {
        got = getppid() == parent ? kevent(kq, &ev, 1, &ev, 1, NULL) : 1;
    } while (got < 0 && errno == EINTR);
    close(kq);
    return got > 0 && (!(ev.flags & EV_ERROR) || ev.data == ESRCH);
#else
    return false;
#endif
}

static void watch_parent(void *ud) {
    (void)ud;
    if (!await_parent())
        while (getppid() == parent) nanosleep(&(struct timespec){.tv_nsec = 500000000}, NULL);
    _exit(0);
}

void stdio_end_with_parent(void) {
    parent = getppid();
    /* 1 is init: either it is the true parent (a container) or ours is gone and the input at its
     * end. */
    if (parent > 1) stdio_start_thread(watch_parent, NULL);
}
#endif
