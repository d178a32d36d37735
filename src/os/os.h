/* What the rest needs of an operating system: mapped files, whole-file writes, clock, threads, CPU facts, dlopen.
 * posix.c and win32.c implement it; no other file tests the platform. Thread objects are embedded by the caller. */
#ifndef IG_OS_H
#define IG_OS_H

#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"

struct ig_map {
    const uint8_t *data;
    uint64_t size;
    void *handle; /* private to os */
};
/* Maps a regular file read-only. Refuses FIFOs, devices and empty files, naming `path`. The file may be closed or renamed afterwards. */
ingle_status ig_os_map(struct ig_map *out, const char *path, ingle_error *err);
void ig_os_unmap(struct ig_map *m);
/* Memory [p, p + n) is large and read often: larger pages, where the system has them to give. */
void ig_os_huge_pages(void *p, size_t n);
/* Reads a part of a map from the disk and into the page tables, where the system can do that, so that
 * whoever uses it later need not wait. May take as long as the disk takes. */
void ig_os_read_ahead(const void *p, size_t n);

enum ig_os_kind { IG_OS_ABSENT, IG_OS_FILE, IG_OS_FOLDER, IG_OS_OTHER };
enum ig_os_kind ig_os_kind(const char *path);
/* Names in a folder, sorted bytewise, without "." and "..", as one block of NUL-terminated strings ended by an empty one. */
ingle_status ig_os_list(struct ig_mem *mem, const char *folder, char **names, ingle_error *err);
ingle_status ig_os_make_folders(const char *path, ingle_error *err); /* like mkdir -p */
ingle_status ig_os_remove(const char *path, ingle_error *err);

/* Writes to `path`.part and renames on commit, so that the final name always holds a whole file. */
struct ig_file;
ingle_status ig_os_create(struct ig_file **out, struct ig_mem *mem, const char *path, ingle_error *err);
ingle_status ig_os_write(struct ig_file *f, const void *p, size_t n, ingle_error *err);
ingle_status ig_os_commit(struct ig_file *f, ingle_error *err); /* flush, fsync, rename; frees f */
void ig_os_discard(struct ig_file *f);                          /* removes the part; frees f; NULL is fine */

double ig_os_seconds(void);  /* monotonic */
int64_t ig_os_unix_time(void);
void ig_os_local_time(int64_t unix_time, int *year, int *month, int *day, int *hour, int *minute, int *second,
                      int *weekday, int *yearday); /* month 1..12, weekday 0 = Sunday, yearday 1..366 */
void ig_os_sleep(double seconds);

struct ig_thread { uint64_t words[4]; };
struct ig_mutex { uint64_t words[12]; };
struct ig_cond { uint64_t words[12]; };
/* `stack` bytes, 0 = 512 KiB. */
ingle_status ig_os_thread_start(struct ig_thread *t, void (*fn)(void *), void *ud, size_t stack, ingle_error *err);
void ig_os_thread_join(struct ig_thread *t);
void ig_os_mutex_init(struct ig_mutex *m);
void ig_os_mutex_free(struct ig_mutex *m);
void ig_os_lock(struct ig_mutex *m);
void ig_os_unlock(struct ig_mutex *m);
void ig_os_cond_init(struct ig_cond *c);
void ig_os_cond_free(struct ig_cond *c);
void ig_os_wait(struct ig_cond *c, struct ig_mutex *m);
bool ig_os_wait_for(struct ig_cond *c, struct ig_mutex *m, double seconds); /* false on time-out */
void ig_os_wake_all(struct ig_cond *c);
void ig_os_yield(void);
/* The calling thread gives way to others from now on; only for threads that are ours. */
void ig_os_thread_background(void);

/* CPUs this process may use: affinity mask and cgroup quota counted, at least 1. */
unsigned ig_os_cpu_count(void);
/* Of these the physical performance cores: hyper-threads and efficiency cores left out, where the system tells. */
unsigned ig_os_core_count(void);
/* Name of the processor as the system tells it, "" if it does not. */
void ig_os_cpu_name(char *out, size_t cap);
/* Is there a graphics processor of this PCI vendor? False where the system does not tell. */
bool ig_os_has_gpu(unsigned vendor);
/* "linux", "macos", "windows", ...; static. */
const char *ig_os_name(void);
uint64_t ig_os_memory_available(void); /* bytes that could be used without swapping, 0 if unknown */
uint64_t ig_os_memory_total(void); /* bytes, 0 if unknown; the cgroup limit if lower */
size_t ig_os_page_size(void);
const char *ig_os_env(const char *name);

void *ig_os_dl_open(const char *name);
void *ig_os_dl_symbol(void *lib, const char *name);
void ig_os_dl_close(void *lib);

#endif
