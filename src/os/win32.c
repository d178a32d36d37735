/* The operating system as ingle sees it, for Windows 7 and later. Same promises as posix.c.
 *
 * Paths are UTF-8 and become UTF-16 here. So far compiled with mingw-w64 only, not yet run.
 *
 * Subtle: Windows refuses to replace a file that is mapped. Files are opened with every share mode, so that others may
 * still rename or delete them, but a commit over a mapped name fails with "another program has it open". */
#ifdef _WIN32
#ifndef _WIN32_WINNT
#define _WIN32_WINNT 0x0601
#endif
#define WIN32_LEAN_AND_MEAN
#include "os/os.h"

#include <windows.h>
#include <process.h>
#include <stdlib.h>
#include <time.h>
#include "os/win32.h"

static const char *const HINT_DISK = "check that the disk has room and the folder may be written";
static const char *const HINT_WHOLE = "the download is incomplete: get the file again";

enum { MAX_PATH_UNITS = 2048 };

static const char *reason(DWORD e) {
    switch (e) {
    case ERROR_FILE_NOT_FOUND:
    case ERROR_PATH_NOT_FOUND:
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME: return "no such file or folder";
    case ERROR_ACCESS_DENIED: return "permission denied";
    case ERROR_SHARING_VIOLATION:
    case ERROR_LOCK_VIOLATION: return "another program has it open";
    case ERROR_DISK_FULL:
    case ERROR_HANDLE_DISK_FULL: return "no space left on the disk";
    case ERROR_WRITE_PROTECT: return "the disk is write-protected";
    case ERROR_NOT_ENOUGH_MEMORY:
    case ERROR_OUTOFMEMORY: return "not enough memory";
    case ERROR_FILENAME_EXCED_RANGE: return "the name is too long";
    default: return "the system refused";
    }
}

static ingle_status fail_system(ingle_error *err, DWORD e, const char *path, const char *verb) {
    if (e == ERROR_FILE_NOT_FOUND || e == ERROR_PATH_NOT_FOUND || e == ERROR_INVALID_NAME ||
        e == ERROR_BAD_PATHNAME)
        return ig_fail(err, INGLE_NOT_FOUND, "check the path", "%s: %s", path, reason(e));
    if (e == ERROR_DISK_FULL || e == ERROR_HANDLE_DISK_FULL || e == ERROR_WRITE_PROTECT)
        return ig_fail(err, INGLE_IO, HINT_DISK, "%s: could not %s: %s", path, verb, reason(e));
    return ig_fail(err, INGLE_IO, "check the permissions and the disk",
                   "%s: could not %s: %s (error %lu)", path, verb, reason(e), (unsigned long)e);
}

/* UTF-16 of a UTF-8 path; false with the thread's last error set. */
static bool widen(const char *path, wchar_t *out, int cap) {
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, out, cap) > 0) return true;
    if (GetLastError() == ERROR_INSUFFICIENT_BUFFER)
        SetLastError(ERROR_FILENAME_EXCED_RANGE);
    else
        SetLastError(ERROR_INVALID_NAME);
    return false;
}

/* ---- files
 * -------------------------------------------------------------------------------------------------------
 */

static ingle_status map_handle(struct ig_map *out, HANDLE file, const char *path,
                               ingle_error *err) {
    BY_HANDLE_FILE_INFORMATION info;
    if (GetFileType(file) != FILE_TYPE_DISK)
        return ig_fail(err, INGLE_BAD_FILE, "name a regular file",
                       "%s: is a pipe or device, not a regular file", path);
    if (!GetFileInformationByHandle(file, &info))
        return fail_system(err, GetLastError(), path, "read");
    if (info.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY)
        return ig_fail(err, INGLE_BAD_FILE, "name a file in it", "%s: is a folder, not a file",
                       path);
    uint64_t size = (uint64_t)info.nFileSizeHigh << 32 | info.nFileSizeLow;
    if (!size) return ig_fail(err, INGLE_BAD_FILE, HINT_WHOLE, "%s: the file is empty", path);
    if (size > SIZE_MAX)
        return ig_fail(err, INGLE_UNSUPPORTED, "use a 64-bit build",
                       "%s: too large for the address space", path);
    HANDLE section = CreateFileMappingW(file, NULL, PAGE_READONLY, 0, 0, NULL);
    void *p = section ? MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0) : NULL;
    DWORD e = GetLastError();
    if (section) CloseHandle(section);
    if (!p) return fail_system(err, e, path, "map");
    *out = (struct ig_map){p, size, NULL};
    return INGLE_OK;
}

ingle_status ig_os_map(struct ig_map *out, const char *path, ingle_error *err) {
    *out = (struct ig_map){0};
    wchar_t wide[MAX_PATH_UNITS];
    if (!widen(path, wide, MAX_PATH_UNITS)) return fail_system(err, GetLastError(), path, "open");
    /* BACKUP_SEMANTICS lets a folder be opened, so that it is named as one instead of "permission
     * denied" */
    HANDLE file =
        CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE,
                    NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
    if (file == INVALID_HANDLE_VALUE) return fail_system(err, GetLastError(), path, "open");
    ingle_status s = map_handle(out, file, path, err);
    CloseHandle(file);
    return s;
}

void ig_os_unmap(struct ig_map *m) {
    if (m->data) UnmapViewOfFile(m->data);
    *m = (struct ig_map){0};
}

struct memory_range { /* WIN32_MEMORY_RANGE_ENTRY, which needs Windows 8 headers */
    void *address;
    SIZE_T bytes;
};
typedef BOOL(WINAPI *prefetch_fn)(HANDLE, ULONG_PTR, struct memory_range *, ULONG);

void ig_os_huge_pages(void *p, size_t n) {
    (void)p, (void)n; /* needs a privilege that desktop programs do not have */
}

void ig_os_read_ahead(const void *p, size_t n) {
    if (!n) return;
    HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
    FARPROC found = kernel ? GetProcAddress(kernel, "PrefetchVirtualMemory") : NULL;
    if (!found) return;
    prefetch_fn prefetch;
    memcpy(&prefetch, &found, sizeof prefetch);
    struct memory_range range = {(void *)(uintptr_t)p, (SIZE_T)n};
    prefetch(GetCurrentProcess(), 1, &range, 0);
}

enum ig_os_kind ig_os_kind(const char *path) {
    wchar_t wide[MAX_PATH_UNITS];
    if (!widen(path, wide, MAX_PATH_UNITS)) return IG_OS_ABSENT;
    DWORD a = GetFileAttributesW(wide);
    if (a == INVALID_FILE_ATTRIBUTES) return IG_OS_ABSENT;
    if (a & FILE_ATTRIBUTE_DIRECTORY) return IG_OS_FOLDER;
    return a & FILE_ATTRIBUTE_DEVICE ? IG_OS_OTHER : IG_OS_FILE;
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

static size_t add_name(struct ig_buf *b, const wchar_t *wide) {
    char name[MAX_PATH * 4];
    if (!wcscmp(wide, L".") || !wcscmp(wide, L"..")) return 0;
    int n = WideCharToMultiByte(CP_UTF8, 0, wide, -1, name, (int)sizeof name, NULL, NULL);
    if (n <= 1) return 0;
    ig_buf_add(b, name, (size_t)n);
    return 1;
}

ingle_status ig_os_list(struct ig_mem *mem, const char *folder, char **names, ingle_error *err) {
    *names = NULL;
    wchar_t wide[MAX_PATH_UNITS + 2];
    if (!widen(folder, wide, MAX_PATH_UNITS))
        return fail_system(err, GetLastError(), folder, "list");
    wcscat(wide, L"\\*");
    WIN32_FIND_DATAW entry;
    HANDLE h = FindFirstFileW(wide, &entry);
    if (h == INVALID_HANDLE_VALUE) return fail_system(err, GetLastError(), folder, "list");
    struct ig_buf b = {.mem = mem};
    size_t count = 0;
    do count += add_name(&b, entry.cFileName);
    while (FindNextFileW(h, &entry));
    DWORD e = GetLastError();
    FindClose(h);
    if (e == ERROR_NO_MORE_FILES && !b.failed) *names = sort_names(mem, b.p, b.n, count);
    size_t bytes = b.n;
    ig_buf_free(&b);
    if (e != ERROR_NO_MORE_FILES) return fail_system(err, e, folder, "list");
    return *names ? INGLE_OK : ig_fail_memory(err, bytes);
}

ingle_status ig_os_make_folders(const char *path, ingle_error *err) {
    wchar_t wide[MAX_PATH_UNITS];
    if (!widen(path, wide, MAX_PATH_UNITS))
        return fail_system(err, GetLastError(), path, "make the folder");
    size_t i = 0;
    if (wide[0] && wide[1] == L':') i = 2; /* "C:" is no folder to be made */
    for (i += wide[i] != 0;; i++) {
        wchar_t kept = wide[i];
        if (kept && kept != L'/' && kept != L'\\') continue;
        wide[i] = 0;
        DWORD e = CreateDirectoryW(wide, NULL) ? 0 : GetLastError();
        DWORD a = e ? GetFileAttributesW(wide) : FILE_ATTRIBUTE_DIRECTORY;
        if (a == INVALID_FILE_ATTRIBUTES || !(a & FILE_ATTRIBUTE_DIRECTORY))
            return fail_system(err, e, path, "make the folder");
        wide[i] = kept;
        if (!kept) return INGLE_OK;
    }
}

ingle_status ig_os_remove(const char *path, ingle_error *err) {
    wchar_t wide[MAX_PATH_UNITS];
    if (widen(path, wide, MAX_PATH_UNITS) && DeleteFileW(wide)) return INGLE_OK;
    return fail_system(err, GetLastError(), path, "remove the file");
}

struct ig_file {
    struct ig_mem *mem;
    HANDLE handle;
    char *path, *part;
};

ingle_status ig_os_create(struct ig_file **out, struct ig_mem *mem, const char *path,
                          ingle_error *err) {
    *out = NULL;
    size_t n = strlen(path);
    struct ig_file *f = ig_alloc(mem, sizeof *f + 2 * n + 8);
    if (!f) return ig_fail_memory(err, sizeof *f + 2 * n + 8);
    *f = (struct ig_file){mem, INVALID_HANDLE_VALUE, (char *)(f + 1), (char *)(f + 1) + n + 1};
    memcpy(f->path, path, n + 1);
    memcpy(f->part, path, n);
    memcpy(f->part + n, ".part", 6);
    wchar_t wide[MAX_PATH_UNITS];
    if (widen(f->part, wide,
              MAX_PATH_UNITS)) /* no sharing: a second writer is refused by the system */
        f->handle =
            CreateFileW(wide, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (f->handle != INVALID_HANDLE_VALUE) {
        *out = f;
        return INGLE_OK;
    }
    DWORD e = GetLastError();
    ingle_status s = e == ERROR_SHARING_VIOLATION
                         ? ig_fail(err, INGLE_BUSY, "wait until it is done and try again",
                                   "%s: another program is writing this file", f->part)
                         : fail_system(err, e, f->part, "create");
    ig_free(mem, f);
    return s;
}

ingle_status ig_os_write(struct ig_file *f, const void *p, size_t n, ingle_error *err) {
    const char *at = p;
    while (n) {
        DWORD wrote = 0;
        if (!WriteFile(f->handle, at, (DWORD)(n < (1u << 30) ? n : (1u << 30)), &wrote, NULL))
            return fail_system(err, GetLastError(), f->part, "write");
        if (!wrote) return fail_system(err, ERROR_DISK_FULL, f->part, "write");
        at += wrote;
        n -= wrote;
    }
    return INGLE_OK;
}

static DWORD rename_part(const char *part, const char *path) {
    wchar_t from[MAX_PATH_UNITS], to[MAX_PATH_UNITS / 2];
    if (!widen(part, from, MAX_PATH_UNITS) || !widen(path, to, MAX_PATH_UNITS / 2))
        return GetLastError();
    return MoveFileExW(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)
               ? 0
               : GetLastError();
}

ingle_status ig_os_commit(struct ig_file *f, ingle_error *err) {
    ingle_status s = INGLE_OK;
    DWORD e = FlushFileBuffers(f->handle) ? 0 : GetLastError();
    if (e) s = fail_system(err, e, f->part, "write");
    CloseHandle(f->handle);
    f->handle = INVALID_HANDLE_VALUE;
    if (!s && (e = rename_part(f->part, f->path)) != 0) s = fail_system(err, e, f->path, "replace");
    if (s)
        ig_os_discard(f);
    else
        ig_free(f->mem, f);
    return s;
}

void ig_os_discard(struct ig_file *f) {
    if (!f) return;
    if (f->handle != INVALID_HANDLE_VALUE) CloseHandle(f->handle);
    wchar_t wide[MAX_PATH_UNITS];
    if (widen(f->part, wide, MAX_PATH_UNITS)) DeleteFileW(wide);
    ig_free(f->mem, f);
}

ingle_status ig_os_fail_system(ingle_error *err, unsigned long e, const char *path, const char *verb) {
    return fail_system(err, e, path, verb);
}
bool ig_os_widen(const char *path, wchar_t *out, int cap) {
    return widen(path, out, cap);
}

/* ---- time
 * --------------------------------------------------------------------------------------------------------
 */

double ig_os_seconds(void) {
    LARGE_INTEGER now, rate;
    if (!QueryPerformanceFrequency(&rate) || !QueryPerformanceCounter(&now)) return 0;
    return (double)now.QuadPart / (double)rate.QuadPart;
}

int64_t ig_os_unix_time(void) {
    return (int64_t)time(NULL);
}

void ig_os_local_time(int64_t unix_time, int *year, int *month, int *day, int *hour, int *minute,
                      int *second, int *weekday, int *yearday) {
    __time64_t t = unix_time;
    struct tm tm;
    if (_localtime64_s(&tm, &t)) tm = (struct tm){.tm_year = 70, .tm_mday = 1, .tm_wday = 4};
    *year = tm.tm_year + 1900;
    *month = tm.tm_mon + 1;
    *day = tm.tm_mday;
    *hour = tm.tm_hour;
    *minute = tm.tm_min;
    *second = tm.tm_sec;
    *weekday = tm.tm_wday;
    *yearday = tm.tm_yday + 1;
}

static DWORD milliseconds(double seconds) {
    if (!(seconds > 0)) return 0;
    if (seconds > 1e6) seconds = 1e6;
    return (DWORD)(seconds * 1000 + 0.999);
}

void ig_os_sleep(double seconds) {
    Sleep(milliseconds(seconds));
}

/* ---- threads
 * -----------------------------------------------------------------------------------------------------
 */

_Static_assert(sizeof(HANDLE) <= sizeof(uint64_t), "words[0] of ig_thread holds a HANDLE");
_Static_assert(sizeof(void (*)(void *)) <= sizeof(uint64_t), "words[1] holds the function");
_Static_assert(sizeof(SRWLOCK) <= sizeof(struct ig_mutex), "ig_mutex is too small");
_Static_assert(sizeof(CONDITION_VARIABLE) <= sizeof(struct ig_cond), "ig_cond is too small");

static SRWLOCK *lock_of(struct ig_mutex *m) {
    return (SRWLOCK *)(void *)m->words;
}
static CONDITION_VARIABLE *cond_of(struct ig_cond *c) {
    return (CONDITION_VARIABLE *)(void *)c->words;
}

static unsigned __stdcall thread_main(void *p) {
    struct ig_thread *t = p;
    void (*fn)(void *);
    memcpy(&fn, &t->words[1], sizeof fn);
    fn((void *)(uintptr_t)t->words[2]);
    return 0;
}

ingle_status ig_os_thread_start(struct ig_thread *t, void (*fn)(void *), void *ud, size_t stack,
                                ingle_error *err) {
    *t = (struct ig_thread){0};
    memcpy(&t->words[1], &fn, sizeof fn);
    t->words[2] = (uint64_t)(uintptr_t)ud;
    if (!stack) stack = 512u << 10;
    if (stack > (1u << 30)) stack = 1u << 30;
    uintptr_t h = _beginthreadex(NULL, (unsigned)stack, thread_main, t,
                                 STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (!h)
        return ig_fail(err, INGLE_LIMIT, "use fewer threads (-t)",
                       "could not start a thread (error %lu)", (unsigned long)GetLastError());
    t->words[0] = (uint64_t)h;
    return INGLE_OK;
}

void ig_os_thread_join(struct ig_thread *t) {
    HANDLE h = (HANDLE)(uintptr_t)t->words[0];
    WaitForSingleObject(h, INFINITE);
    CloseHandle(h);
}

void ig_os_mutex_init(struct ig_mutex *m) {
    InitializeSRWLock(lock_of(m));
}
void ig_os_mutex_free(struct ig_mutex *m) {
    (void)m;
}
void ig_os_lock(struct ig_mutex *m) {
    AcquireSRWLockExclusive(lock_of(m));
}
void ig_os_unlock(struct ig_mutex *m) {
    ReleaseSRWLockExclusive(lock_of(m));
}
void ig_os_cond_init(struct ig_cond *c) {
    InitializeConditionVariable(cond_of(c));
}
void ig_os_cond_free(struct ig_cond *c) {
    (void)c;
}
void ig_os_wait(struct ig_cond *c, struct ig_mutex *m) {
    SleepConditionVariableSRW(cond_of(c), lock_of(m), INFINITE, 0);
}
bool ig_os_wait_for(struct ig_cond *c, struct ig_mutex *m, double seconds) {
    return SleepConditionVariableSRW(cond_of(c), lock_of(m), milliseconds(seconds), 0) ||
           GetLastError() != ERROR_TIMEOUT;
}
void ig_os_wake_all(struct ig_cond *c) {
    WakeAllConditionVariable(cond_of(c));
}
void ig_os_yield(void) {
    SwitchToThread();
}

/* ---- what this process may use
 * ----------------------------------------------------------------------------------- */

unsigned ig_os_cpu_count(void) {
    DWORD_PTR mine = 0, all = 0;
    unsigned n = 0;
    /* The mask covers one processor group (64 CPUs), and so do the threads of a process before
     * Windows 11. */
    if (GetProcessAffinityMask(GetCurrentProcess(), &mine, &all))
        for (; mine; mine &= mine - 1) n++;
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    if (!n) n = info.dwNumberOfProcessors;
    return n ? n : 1;
}

typedef BOOL(WINAPI *cores_fn)(LOGICAL_PROCESSOR_RELATIONSHIP,
                               PSYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX, PDWORD);

/* Cores of the highest efficiency class, which is the fastest; one entry each, of varying size.
 * EfficiencyClass is the byte behind Flags, which older headers count as reserved. */
static unsigned fastest_cores(const uint8_t *info, DWORD bytes, DWORD_PTR mine) {
    unsigned n = 0, best = 0;
    for (DWORD at = 0; at < bytes;) {
        const SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX *e = (const void *)(info + at);
        unsigned efficiency = ((const uint8_t *)&e->Processor)[1];
        at += e->Size;
        if (!(e->Processor.GroupMask[0].Mask & mine)) continue;
        if (efficiency > best) n = 0, best = efficiency;
        n += efficiency == best;
    }
    return n;
}

unsigned ig_os_core_count(void) {
    unsigned cpus = ig_os_cpu_count(), cores = 0;
    HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
    FARPROC found = kernel ? GetProcAddress(kernel, "GetLogicalProcessorInformationEx") : NULL;
    DWORD_PTR mine = 0, all = 0;
    DWORD bytes = 0;
    cores_fn get;
    if (!found || !GetProcessAffinityMask(GetCurrentProcess(), &mine, &all)) return cpus;
    memcpy(&get, &found, sizeof get);
    get(RelationProcessorCore, NULL, &bytes);
    uint8_t *info = bytes ? HeapAlloc(GetProcessHeap(), 0, bytes) : NULL;
    if (info && get(RelationProcessorCore, (void *)info, &bytes))
        cores = fastest_cores(info, bytes, mine);
    if (info) HeapFree(GetProcessHeap(), 0, info);
    return cores && cores < cpus ? cores : cpus;
}

void ig_os_cpu_name(char *out, size_t cap) {
    DWORD n = GetEnvironmentVariableA("PROCESSOR_IDENTIFIER", out, (DWORD)cap);
    if (!n || n >= cap) *out = 0;
}

const char *ig_os_name(void) {
    return "windows";
}

bool ig_os_has_gpu(unsigned vendor) {
    (void)vendor;
    return false;
}

void ig_os_thread_background(void) {
    SetThreadPriority(GetCurrentThread(), THREAD_PRIORITY_BELOW_NORMAL);
}

uint64_t ig_os_memory_available(void) {
    MEMORYSTATUSEX s = {.dwLength = sizeof s};
    return GlobalMemoryStatusEx(&s) ? s.ullAvailPhys : 0;
}

uint64_t ig_os_memory_total(void) {
    MEMORYSTATUSEX s = {.dwLength = sizeof s};
    uint64_t total = GlobalMemoryStatusEx(&s) ? s.ullTotalPhys : 0;
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION job; /* containers limit through a job object */
    if (!QueryInformationJobObject(NULL, JobObjectExtendedLimitInformation, &job, sizeof job, NULL))
        return total;
    if ((job.BasicLimitInformation.LimitFlags & JOB_OBJECT_LIMIT_JOB_MEMORY) &&
        job.JobMemoryLimit < total)
        total = job.JobMemoryLimit;
    return total;
}

size_t ig_os_page_size(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

const char *ig_os_env(const char *name) {
    return getenv(name);
}

void *ig_os_dl_open(const char *name) {
    wchar_t wide[MAX_PATH_UNITS];
    return widen(name, wide, MAX_PATH_UNITS) ? (void *)LoadLibraryW(wide) : NULL;
}
void *ig_os_dl_symbol(void *lib, const char *name) {
    FARPROC f = GetProcAddress((HMODULE)lib, name);
    void *p;
    memcpy(&p, &f, sizeof p);
    return p;
}
void ig_os_dl_close(void *lib) {
    if (lib) FreeLibrary((HMODULE)lib);
}

#else
typedef int ig_win32_not_here; /* ISO C wants a declaration in every file */
#endif
