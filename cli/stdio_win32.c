/* stdio_os.h on Windows. Compiled with mingw-w64, not yet run. A parent that wants its children to
 * end with it puts them in a job object with JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE, as the Rust worker
 * does; the end of standard input says the same to everyone else. */
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include "stdio_os.h"

#include <windows.h>
#include <fcntl.h>
#include <io.h>
#include <stdlib.h>

struct stdio_lock {
    SRWLOCK lock;
    CONDITION_VARIABLE changed;
};

struct stdio_lock *stdio_lock_open(void) {
    struct stdio_lock *l = calloc(1, sizeof *l);
    if (!l) return NULL;
    InitializeSRWLock(&l->lock);
    InitializeConditionVariable(&l->changed);
    return l;
}

void stdio_lock_close(struct stdio_lock *l) {
    free(l);
}
void stdio_take(struct stdio_lock *l) {
    AcquireSRWLockExclusive(&l->lock);
}
void stdio_give(struct stdio_lock *l) {
    ReleaseSRWLockExclusive(&l->lock);
}
void stdio_wake(struct stdio_lock *l) {
    WakeAllConditionVariable(&l->changed);
}
void stdio_wait(struct stdio_lock *l, double seconds) {
    DWORD ms = seconds < 0 ? INFINITE : (DWORD)(seconds * 1000) + 1;
    SleepConditionVariableSRW(&l->changed, &l->lock, ms, 0);
}

struct start {
    void (*fn)(void *ud);
    void *ud;
};

static DWORD WINAPI begin(void *ud) {
    struct start s = *(struct start *)ud;
    free(ud);
    s.fn(s.ud);
    return 0;
}

bool stdio_start_thread(void (*fn)(void *ud), void *ud) {
    struct start *s = malloc(sizeof *s);
    if (!s) return false;
    *s = (struct start){fn, ud};
    HANDLE thread = CreateThread(NULL, 0, begin, s, 0, NULL);
    if (!thread) {
        free(s);
        return false;
    }
    CloseHandle(thread);
    return true;
}

void stdio_exit(int code) {
    TerminateProcess(GetCurrentProcess(), (UINT)code);
}

static HANDLE in_handle, out_handle;

static HANDLE own_copy(DWORD which) {
    HANDLE copy = INVALID_HANDLE_VALUE, self = GetCurrentProcess();
    if (!DuplicateHandle(self, GetStdHandle(which), self, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return INVALID_HANDLE_VALUE;
    return copy;
}

bool stdio_claim_streams(void) {
    in_handle = own_copy(STD_INPUT_HANDLE);
    out_handle = own_copy(STD_OUTPUT_HANDLE);
    if (in_handle == INVALID_HANDLE_VALUE || out_handle == INVALID_HANDLE_VALUE) return false;
    int none = _open("NUL", _O_RDONLY | _O_NOINHERIT);
    if (none >= 0) {
        _dup2(none, 0);
        _close(none);
    }
    _dup2(2, 1);
    return true;
}

long stdio_read(char *p, size_t n) {
    DWORD got = 0;
    if (ReadFile(in_handle, p, n < 65536 ? (DWORD)n : 65536, &got, NULL)) return (long)got;
    return GetLastError() == ERROR_BROKEN_PIPE ? 0 : -1;
}

bool stdio_write(const char *p, size_t n) {
    while (n) {
        DWORD done = 0;
        if (!WriteFile(out_handle, p, n < 65536 ? (DWORD)n : 65536, &done, NULL)) return false;
        p += done;
        n -= done;
    }
    return true;
}

void stdio_end_with_parent(void) {}
#endif
