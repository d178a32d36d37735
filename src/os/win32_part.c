/* Files written at positions, locks and disk space for Windows (part.h says what each call
 * promises). So far compiled with mingw-w64 only, not yet run. */
#ifdef _WIN32
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0601
#endif
#define WIN32_LEAN_AND_MEAN
#include "os/part.h"

#include <windows.h>
#include <wchar.h>
#include "os/win32.h"

struct ig_part {
    struct ig_mem *mem;
    HANDLE handle;
    char path[];
};

enum { AT_ONCE = 1 << 30, SHARE_ALL = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE };

static ingle_status open_at(struct ig_part **out, struct ig_mem *mem, const char *path,
                            DWORD access, DWORD how, ingle_error *err) {
    size_t n = strlen(path);
    wchar_t wide[IG_OS_PATH_UNITS];
    *out = NULL;
    struct ig_part *p = ig_alloc(mem, sizeof *p + n + 1);
    if (!p) return ig_fail_memory(err, sizeof *p + n + 1);
    p->mem = mem;
    p->handle = INVALID_HANDLE_VALUE;
    memcpy(p->path, path, n + 1);
    if (ig_os_widen(path, wide, IG_OS_PATH_UNITS))
        p->handle = CreateFileW(wide, access, SHARE_ALL, NULL, how, FILE_ATTRIBUTE_NORMAL, NULL);
    ingle_status s = INGLE_OK;
    if (p->handle == INVALID_HANDLE_VALUE)
        s = ig_os_fail_system(err, GetLastError(), path, "open");
    else if (GetFileType(p->handle) != FILE_TYPE_DISK)
        s = ig_fail(err, INGLE_IO, "remove what is there", "%s: is not a regular file", path);
    if (s)
        ig_os_part_close(p);
    else
        *out = p;
    return s;
}

ingle_status ig_os_part_open(struct ig_part **out, struct ig_mem *mem, const char *path,
                             ingle_error *err) {
    return open_at(out, mem, path, GENERIC_READ | GENERIC_WRITE, OPEN_ALWAYS, err);
}

ingle_status ig_os_part_open_read(struct ig_part **out, struct ig_mem *mem, const char *path,
                                  ingle_error *err) {
    return open_at(out, mem, path, GENERIC_READ, OPEN_EXISTING, err);
}

static OVERLAPPED position(uint64_t at) {
    OVERLAPPED o = {0};
    o.Offset = (DWORD)at;
    o.OffsetHigh = (DWORD)(at >> 32);
    return o;
}

ingle_status ig_os_part_write(struct ig_part *p, uint64_t at, const void *bytes, size_t n,
                              ingle_error *err) {
    const char *from = bytes;
    while (n) {
        OVERLAPPED o = position(at);
        DWORD wrote = 0;
        if (!WriteFile(p->handle, from, (DWORD)(n < AT_ONCE ? n : AT_ONCE), &wrote, &o))
            return ig_os_fail_system(err, GetLastError(), p->path, "write");
        if (!wrote) return ig_os_fail_system(err, ERROR_DISK_FULL, p->path, "write");
        from += wrote;
        at += wrote;
        n -= wrote;
    }
    return INGLE_OK;
}

ingle_status ig_os_part_read(struct ig_part *p, uint64_t at, void *bytes, size_t n, size_t *got,
                             ingle_error *err) {
    char *to = bytes;
    *got = 0;
    while (*got < n) {
        OVERLAPPED o = position(at + *got);
        size_t want = n - *got;
        DWORD r = 0;
        if (!ReadFile(p->handle, to + *got, (DWORD)(want < AT_ONCE ? want : AT_ONCE), &r, &o)) {
            if (GetLastError() == ERROR_HANDLE_EOF) break;
            return ig_os_fail_system(err, GetLastError(), p->path, "read");
        }
        if (!r) break;
        *got += r;
    }
    return INGLE_OK;
}

ingle_status ig_os_part_resize(struct ig_part *p, uint64_t size, ingle_error *err) {
    LARGE_INTEGER to;
    to.QuadPart = (LONGLONG)size;
    if (SetFilePointerEx(p->handle, to, NULL, FILE_BEGIN) && SetEndOfFile(p->handle))
        return INGLE_OK;
    return ig_os_fail_system(err, GetLastError(), p->path, "resize");
}

void ig_os_part_start_flush(struct ig_part *p, uint64_t at, uint64_t n) {
    (void)p;
    (void)at;
    (void)n;
}

void ig_os_part_flush_range(struct ig_part *p, uint64_t at, uint64_t n) {
    (void)p;
    (void)at;
    (void)n;
}

ingle_status ig_os_part_flush(struct ig_part *p, ingle_error *err) {
    return FlushFileBuffers(p->handle) ? INGLE_OK
                                       : ig_os_fail_system(err, GetLastError(), p->path, "write");
}

void ig_os_part_close(struct ig_part *p) {
    if (!p) return;
    if (p->handle != INVALID_HANDLE_VALUE) CloseHandle(p->handle);
    ig_free(p->mem, p);
}

/* ---- locks: a file that nobody else may open, and that goes with its handle ---- */

struct ig_lock {
    struct ig_mem *mem;
    HANDLE handle;
};

ingle_status ig_os_lock_file(struct ig_lock **out, struct ig_mem *mem, const char *path,
                             ingle_error *err) {
    wchar_t wide[IG_OS_PATH_UNITS];
    *out = NULL;
    struct ig_lock *l = ig_alloc(mem, sizeof *l);
    if (!l) return ig_fail_memory(err, sizeof *l);
    *l = (struct ig_lock){mem, INVALID_HANDLE_VALUE};
    if (ig_os_widen(path, wide, IG_OS_PATH_UNITS))
        l->handle = CreateFileW(wide, GENERIC_READ | GENERIC_WRITE | DELETE, 0, NULL, OPEN_ALWAYS,
                                FILE_ATTRIBUTE_NORMAL | FILE_FLAG_DELETE_ON_CLOSE, NULL);
    if (l->handle != INVALID_HANDLE_VALUE) {
        *out = l;
        return INGLE_OK;
    }
    DWORD e = GetLastError();
    ig_free(mem, l);
    if (e == ERROR_SHARING_VIOLATION || e == ERROR_LOCK_VIOLATION || e == ERROR_DELETE_PENDING)
        return ig_fail(err, INGLE_BUSY, "wait until it is done and try again",
                       "%s: another program holds this lock", path);
    return ig_os_fail_system(err, e, path, "lock");
}

void ig_os_unlock_file(struct ig_lock *l) {
    if (!l) return;
    CloseHandle(l->handle);
    ig_free(l->mem, l);
}

/* ---- names and space ---- */

ingle_status ig_os_rename(const char *from, const char *to, ingle_error *err) {
    wchar_t a[IG_OS_PATH_UNITS], b[IG_OS_PATH_UNITS];
    if (ig_os_widen(from, a, IG_OS_PATH_UNITS) && ig_os_widen(to, b, IG_OS_PATH_UNITS) &&
        MoveFileExW(a, b, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH))
        return INGLE_OK;
    return ig_os_fail_system(err, GetLastError(), to, "replace");
}

ingle_status ig_os_remove_folder(const char *path, ingle_error *err) {
    wchar_t wide[IG_OS_PATH_UNITS];
    if (ig_os_widen(path, wide, IG_OS_PATH_UNITS) && RemoveDirectoryW(wide)) return INGLE_OK;
    return ig_os_fail_system(err, GetLastError(), path, "remove the folder");
}

int64_t ig_os_file_size(const char *path) {
    wchar_t wide[IG_OS_PATH_UNITS];
    WIN32_FILE_ATTRIBUTE_DATA a;
    if (!ig_os_widen(path, wide, IG_OS_PATH_UNITS) ||
        !GetFileAttributesExW(wide, GetFileExInfoStandard, &a) ||
        (a.dwFileAttributes & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE)))
        return -1;
    return (int64_t)((uint64_t)a.nFileSizeHigh << 32 | a.nFileSizeLow);
}

uint64_t ig_os_free_space(const char *folder) {
    wchar_t wide[IG_OS_PATH_UNITS];
    ULARGE_INTEGER mine;
    if (!ig_os_widen(folder, wide, IG_OS_PATH_UNITS) ||
        !GetDiskFreeSpaceExW(wide, &mine, NULL, NULL))
        return UINT64_MAX;
    return mine.QuadPart;
}
#endif
