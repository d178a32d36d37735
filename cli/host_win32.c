/* host.c for Windows. Compiled with mingw-w64, not yet run. Paths are taken as the C library has
 * them; Ctrl-C arrives on a thread of its own, so no watcher is needed. */
#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include "cli.h"

#include <windows.h>
#include <direct.h>
#include <errno.h>
#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cli_is_terminal(int fd) {
    return _isatty(fd) != 0;
}
bool cli_colour(int fd) {
    (void)fd;
    return false; /* old consoles do not know the escapes */
}

void cli_binary_io(void) {
    _setmode(0, _O_BINARY);
    _setmode(1, _O_BINARY);
}

static ingle_status fail_file(ingle_error *err, ingle_status code, const char *path,
                              const char *why) {
    return ig_fail(err, code,
                   code == INGLE_NOT_FOUND ? "check the name"
                                           : "check the file and its permissions",
                   "%s: %s", path, why);
}

ingle_status cli_read_file(struct ig_mem *mem, const char *path, char **text, size_t *n,
                           ingle_error *err) {
    bool from_stdin = strcmp(path, "-") == 0;
    struct ig_buf b = {.mem = mem};
    FILE *f = from_stdin ? stdin : fopen(path, "rb");
    if (!f)
        return fail_file(err, errno == ENOENT ? INGLE_NOT_FOUND : INGLE_IO, path, strerror(errno));
    size_t got;
    do {
        got = ig_buf_reserve(&b, 65536) ? fread(b.p + b.n, 1, 65536, f) : 0;
        b.n += got;
    } while (got);
    bool bad = ferror(f) != 0;
    if (!from_stdin) fclose(f);
    if (bad || b.failed) {
        bool memory = b.failed;
        ig_buf_free(&b);
        return memory ? ig_fail_memory(err, 65536)
                      : fail_file(err, INGLE_IO, path, "cannot be read");
    }
    b.p[b.n] = 0;
    *text = b.p;
    *n = b.n;
    return INGLE_OK;
}

ingle_status cli_write_file(const char *path, const char *text, size_t n, ingle_error *err) {
    char part[2048];
    if (snprintf(part, sizeof part, "%s.part", path) >= (int)sizeof part)
        return fail_file(err, INGLE_IO, path, "the name is too long");
    FILE *f = fopen(part, "wb");
    if (!f) return fail_file(err, INGLE_IO, path, strerror(errno));
    bool ok = fwrite(text, 1, n, f) == n;
    ok = fclose(f) == 0 && ok;
    if (ok && MoveFileExA(part, path, MOVEFILE_REPLACE_EXISTING)) return INGLE_OK;
    remove(part);
    return fail_file(err, INGLE_IO, path, "cannot be written");
}

bool cli_is_file(const char *path) {
    DWORD a = GetFileAttributesA(path);
    return a != INVALID_FILE_ATTRIBUTES && !(a & FILE_ATTRIBUTE_DIRECTORY);
}

bool cli_is_folder(const char *path) {
    DWORD a = GetFileAttributesA(path);
    return a != INVALID_FILE_ATTRIBUTES && (a & FILE_ATTRIBUTE_DIRECTORY);
}

int64_t cli_file_size(const char *path) {
    WIN32_FILE_ATTRIBUTE_DATA a;
    if (!GetFileAttributesExA(path, GetFileExInfoStandard, &a)) return -1;
    return (int64_t)((uint64_t)a.nFileSizeHigh << 32 | a.nFileSizeLow);
}

void cli_each_name(const char *folder, void (*fn)(void *ud, const char *name), void *ud) {
    char pattern[2048];
    WIN32_FIND_DATAA entry;
    snprintf(pattern, sizeof pattern, "%s\\*", folder);
    HANDLE h = FindFirstFileA(pattern, &entry);
    if (h == INVALID_HANDLE_VALUE) return;
    do {
        if (strcmp(entry.cFileName, ".") != 0 && strcmp(entry.cFileName, "..") != 0)
            fn(ud, entry.cFileName);
    } while (FindNextFileA(h, &entry));
    FindClose(h);
}

void cli_make_folders(const char *path) {
    char copy[2048];
    if (snprintf(copy, sizeof copy, "%s", path) >= (int)sizeof copy) return;
    for (char *at = copy + 1; *at; at++) {
        if (*at != '/' && *at != '\\') continue;
        char was = *at;
        *at = 0;
        _mkdir(copy);
        *at = was;
    }
    _mkdir(copy);
}

bool cli_home(struct ig_buf *b) {
    const char *own = getenv("INGLE_HOME"), *home = getenv("LOCALAPPDATA");
    if (own && own[0]) {
        ig_buf_z(b, own);
        return !b->failed;
    }
    if (!home || !home[0]) return false;
    ig_buf_z(b, home);
    ig_buf_z(b, "/ingle");
    return !b->failed;
}

void *cli_library_open(const char *name) {
    return (void *)LoadLibraryA(name);
}

void *cli_library_symbol(void *library, const char *name) {
    FARPROC found = GetProcAddress((HMODULE)library, name);
    void *p;
    memcpy(&p, &found, sizeof p);
    return p;
}

double cli_seconds(void) {
    LARGE_INTEGER now, frequency;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&frequency);
    return (double)now.QuadPart / (double)frequency.QuadPart;
}

static volatile LONG pending, armed, held;
static SRWLOCK lock = SRWLOCK_INIT;
static void (*target)(void *ud);
static void *target_ud;

static BOOL WINAPI on_event(DWORD event) {
    if (event != CTRL_C_EVENT) return FALSE;
    if (!held && (!armed || pending)) ExitProcess(130);
    pending = 1;
    AcquireSRWLockExclusive(&lock);
    if (target) target(target_ud);
    ReleaseSRWLockExclusive(&lock);
    return TRUE;
}

void cli_signals_open(void) {
    SetConsoleCtrlHandler(on_event, TRUE);
}

void cli_on_interrupt(void (*fn)(void *ud), void *ud) {
    AcquireSRWLockExclusive(&lock);
    target = fn;
    target_ud = ud;
    armed = fn != NULL;
    ReleaseSRWLockExclusive(&lock);
}

bool cli_interrupt_pending(void) {
    return pending != 0;
}
bool cli_interrupted(void) {
    return InterlockedExchange(&pending, 0) != 0;
}
void cli_hold_interrupts(bool hold) {
    held = hold;
}
long cli_read_input(char *p, size_t n) {
    return pending ? -1 : (long)_read(0, p, (unsigned)n);
}
#endif
