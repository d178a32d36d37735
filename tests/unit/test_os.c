/* The os room: maps, folders, whole-file writes, clocks, threads, what the process may use. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "os/os.h"
#include "os/posix.h"

static char folder[64];
static ingle_error err;
static struct ig_mem mem;

static int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/ingle-os-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) || ig_mem_used(&mem);
}

static const char *at(const char *name) {
    static char paths[4][4200];
    static int turn;
    char *p = paths[turn++ & 3];
    snprintf(p, sizeof paths[0], "%s/%s", folder, name);
    return p;
}

static void save(const char *path, const char *text) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static bool holds(const char *path, const char *text) {
    struct ig_map m;
    if (ig_os_map(&m, path, NULL)) return false;
    bool same = m.size == strlen(text) && !memcmp(m.data, text, m.size);
    ig_os_unmap(&m);
    return same;
}

static void refuse_map(const char *path, ingle_status code, const char *text) {
    struct ig_map m;
    assert_int_equal(ig_os_map(&m, path, &err), code);
    assert_null(m.data);
    if (!strstr(err.message, path) || !strstr(err.message, text) || !err.hint[0]) fail_msg("%s", err.message);
    ig_os_unmap(&m); /* harmless after a failure */
}

static void test_map(void **state) {
    (void)state;
    struct ig_map m;
    save(at("a"), "hello");
    assert_int_equal(ig_os_map(&m, at("a"), &err), INGLE_OK);
    assert_int_equal(m.size, 5);
    ig_os_read_ahead(m.data + 3, 1);
    ig_os_read_ahead(m.data, 0);
    unlink(at("a")); /* the bytes stay */
    assert_memory_equal(m.data, "hello", 5);
    ig_os_unmap(&m);
    assert_null(m.data);
    refuse_map(at("a"), INGLE_NOT_FOUND, "no such file");
    refuse_map(at("a/b"), INGLE_NOT_FOUND, "");
    refuse_map(folder, INGLE_BAD_FILE, "is a folder");
    refuse_map("/dev/null", INGLE_BAD_FILE, "not a regular file");
    save(at("empty"), "");
    refuse_map(at("empty"), INGLE_BAD_FILE, "empty");
    alarm(5);
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    refuse_map(at("fifo"), INGLE_BAD_FILE, "not a regular file");
    alarm(0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof name.sun_path, "%s/socket", folder);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(s, (struct sockaddr *)&name, sizeof name), 0);
    refuse_map(at("socket"), INGLE_BAD_FILE, "not a regular file");
    close(s);
}

static void test_kinds_and_list(void **state) {
    (void)state;
    char *names;
    assert_int_equal(ig_os_list(&mem, folder, &names, &err), INGLE_OK);
    assert_string_equal(names, "");
    ig_free(&mem, names);
    save(at("b"), "1");
    save(at("a"), "1");
    save(at("\xc3\xa9"), "1");
    save(at("B"), "1");
    assert_int_equal(ig_os_make_folders(at("x/y/z"), &err), INGLE_OK);
    assert_int_equal(ig_os_make_folders(at("x/y/z/"), &err), INGLE_OK);
    assert_int_equal(ig_os_kind(at("x/y/z")), IG_OS_FOLDER);
    assert_int_equal(ig_os_kind(at("a")), IG_OS_FILE);
    assert_int_equal(ig_os_kind("/dev/null"), IG_OS_OTHER);
    assert_int_equal(ig_os_kind(at("q")), IG_OS_ABSENT);
    assert_int_equal(ig_os_list(&mem, folder, &names, &err), INGLE_OK);
    assert_memory_equal(names, "B\0a\0b\0x\0\xc3\xa9\0", 12);
    ig_free(&mem, names);
    assert_int_equal(ig_os_list(&mem, at("q"), &names, &err), INGLE_NOT_FOUND);
    assert_int_equal(ig_os_make_folders(at("a/b"), &err), INGLE_IO);
    assert_non_null(strstr(err.message, "exists already"));
    assert_int_equal(ig_os_remove(at("a"), &err), INGLE_OK);
    assert_int_equal(ig_os_remove(at("a"), &err), INGLE_NOT_FOUND);
    char long_name[6000];
    memset(long_name, 'n', sizeof long_name);
    long_name[5999] = 0;
    assert_int_equal(ig_os_make_folders(long_name, &err), INGLE_IO);
}

static void test_list_without_memory(void **state) {
    (void)state;
    char *names;
    save(at("a"), "1");
    struct ig_mem small = {.limit = 1};
    assert_int_equal(ig_os_list(&small, folder, &names, &err), INGLE_NO_MEMORY);
    assert_null(names);
    struct ig_file *f;
    assert_int_equal(ig_os_create(&f, &small, at("f"), &err), INGLE_NO_MEMORY);
    assert_null(f);
}

static void test_write(void **state) {
    (void)state;
    struct ig_file *f, *g;
    save(at("f"), "old");
    assert_int_equal(ig_os_create(&f, &mem, at("f"), &err), INGLE_OK);
    assert_int_equal(ig_os_write(f, "new ", 4, &err), INGLE_OK);
    assert_int_equal(ig_os_write(f, "text", 4, &err), INGLE_OK);
    assert_true(holds(at("f"), "old"));
    assert_int_equal(ig_os_create(&g, &mem, at("f"), &err), INGLE_BUSY); /* a second writer */
    assert_int_equal(ig_os_commit(f, &err), INGLE_OK);
    assert_true(holds(at("f"), "new text"));
    assert_int_equal(ig_os_kind(at("f.part")), IG_OS_ABSENT);

    save(at("f.part"), "left over by a crash, longer than what follows");
    assert_int_equal(ig_os_create(&f, &mem, at("f"), &err), INGLE_OK);
    assert_int_equal(ig_os_write(f, "x", 1, &err), INGLE_OK);
    ig_os_discard(f);
    ig_os_discard(NULL);
    assert_true(holds(at("f"), "new text"));
    assert_int_equal(ig_os_kind(at("f.part")), IG_OS_ABSENT);

    save(at("f.part"), "left over");
    assert_int_equal(ig_os_create(&f, &mem, at("f"), &err), INGLE_OK);
    assert_int_equal(ig_os_write(f, "y", 1, &err), INGLE_OK);
    assert_int_equal(ig_os_commit(f, &err), INGLE_OK);
    assert_true(holds(at("f"), "y"));

    assert_int_equal(symlink("/tmp/ingle-must-not-appear", at("g.part")), 0);
    assert_int_equal(ig_os_create(&f, &mem, at("g"), &err), INGLE_IO); /* links are not followed */
    assert_int_equal(ig_os_kind("/tmp/ingle-must-not-appear"), IG_OS_ABSENT);
    assert_int_equal(ig_os_create(&f, &mem, at("no/f"), &err), INGLE_NOT_FOUND);
    assert_int_equal(ig_os_make_folders(at("busy/x"), &err), INGLE_OK);
    assert_int_equal(ig_os_create(&f, &mem, at("busy"), &err), INGLE_OK);
    assert_int_equal(ig_os_commit(f, &err), INGLE_IO); /* a folder is in the way */
    assert_int_equal(ig_os_kind(at("busy.part")), IG_OS_ABSENT);
}

static void test_full_disk(void **state) {
    (void)state;
    /* the limit on file sizes stands for a full disk */
    struct ig_file *f;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 5000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(ig_os_create(&f, &mem, at("f"), &err), INGLE_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    char data[4096] = {0};
    ingle_status s = INGLE_OK;
    for (int i = 0; i < 3 && !s; i++) s = ig_os_write(f, data, sizeof data, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(s, INGLE_IO);
    assert_non_null(strstr(err.hint, "disk"));
    ig_os_discard(f);
    assert_int_equal(ig_os_kind(at("f")), IG_OS_ABSENT);
    assert_int_equal(ig_os_kind(at("f.part")), IG_OS_ABSENT);
}

static void test_clock(void **state) {
    (void)state;
    double a = ig_os_seconds();
    ig_os_sleep(0.02);
    double b = ig_os_seconds();
    assert_true(b - a >= 0.019 && b - a < 5);
    ig_os_sleep(0);
    ig_os_sleep(-1);
    ig_os_sleep(NAN);
    assert_true(ig_os_seconds() - b < 1);
    assert_true(ig_os_unix_time() > 1600000000);
    int y, mo, d, h, mi, s, wd, yd;
    setenv("TZ", "UTC", 1);
    ig_os_local_time(951782399, &y, &mo, &d, &h, &mi, &s, &wd, &yd); /* 2000-02-28 23:59:59, a Monday */
    assert_true(y == 2000 && mo == 2 && d == 28 && h == 23 && mi == 59 && s == 59 && wd == 1 && yd == 59);
    ig_os_local_time(INT64_MAX, &y, &mo, &d, &h, &mi, &s, &wd, &yd);
    assert_true(y == 1970 && mo == 1 && d == 1);
}

struct shared {
    struct ig_mutex lock;
    struct ig_cond changed;
    int count, target;
    bool masked;
};

static void add_up(void *ud) {
    struct shared *s = ud;
    for (int i = 0; i < 1000; i++) {
        ig_os_lock(&s->lock);
        s->count++;
        ig_os_unlock(&s->lock);
    }
    sigset_t set;
    pthread_sigmask(SIG_SETMASK, NULL, &set);
    ig_os_lock(&s->lock);
    s->masked = sigismember(&set, SIGINT) && sigismember(&set, SIGTERM) && !sigismember(&set, SIGSEGV);
    s->target++;
    ig_os_wake_all(&s->changed);
    ig_os_unlock(&s->lock);
    ig_os_yield();
}

static void test_threads(void **state) {
    (void)state;
    struct shared s = {.masked = false};
    struct ig_thread t[4];
    ig_os_mutex_init(&s.lock);
    ig_os_cond_init(&s.changed);
    ig_os_lock(&s.lock);
    double start = ig_os_seconds();
    assert_false(ig_os_wait_for(&s.changed, &s.lock, 0.05));
    assert_true(ig_os_seconds() - start >= 0.045);
    assert_false(ig_os_wait_for(&s.changed, &s.lock, -1));
    ig_os_unlock(&s.lock);
    for (int i = 0; i < 4; i++)
        assert_int_equal(ig_os_thread_start(&t[i], add_up, &s, i ? (size_t)i << 16 : 0, &err), INGLE_OK);
    ig_os_lock(&s.lock);
    while (s.target < 3) ig_os_wait(&s.changed, &s.lock);
    while (s.target < 4) assert_true(ig_os_wait_for(&s.changed, &s.lock, 10));
    ig_os_unlock(&s.lock);
    for (int i = 0; i < 4; i++) ig_os_thread_join(&t[i]);
    assert_int_equal(s.count, 4000);
    assert_true(s.masked);
    sigset_t mine;
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_false(sigismember(&mine, SIGINT)); /* ours is as it was */
    ig_os_cond_free(&s.changed);
    ig_os_mutex_free(&s.lock);
    ingle_status status = ig_os_thread_start(&t[0], add_up, &s, SIZE_MAX / 4, &err);
    assert_int_equal(status, INGLE_LIMIT);
    assert_non_null(strstr(err.message, "thread"));
}

static void test_machine(void **state) {
    (void)state;
    unsigned n = ig_os_cpu_count();
    assert_true(n >= 1 && (long)n <= sysconf(_SC_NPROCESSORS_CONF));
    uint64_t total = ig_os_memory_total();
    assert_true(total > (16u << 20));
    assert_true(total <= (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
    assert_int_equal(ig_os_page_size(), sysconf(_SC_PAGESIZE));
    setenv("INGLE_TEST_X", "y", 1);
    assert_string_equal(ig_os_env("INGLE_TEST_X"), "y");
    assert_null(ig_os_env("INGLE_TEST_NOT_SET"));
}

#ifdef __linux__
static void test_affinity(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "taskset -p -c 0 %d >/dev/null 2>&1", (int)getpid());
    if (system(command)) skip();
    assert_int_equal(ig_os_cpu_count(), 1);
    snprintf(command, sizeof command, "taskset -p -c 0-4095 %d >/dev/null 2>&1", (int)getpid());
    assert_int_equal(system(command), 0);
}
#endif

/* A made-up /sys, one file; folders as needed. */
static void sys_file(const char *name, const char *text) {
    char path[400];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    *strrchr(path, '/') = 0;
    assert_int_equal(ig_os_make_folders(path, &err), INGLE_OK);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    save(path, text);
}

static void sys_cpu(unsigned cpu, const char *name, const char *text) {
    char path[200];
    snprintf(path, sizeof path, "devices/system/cpu/cpu%u/%s", cpu, name);
    sys_file(path, text);
}

/* Cores among `n` CPUs, all of them allowed but those in `not_mine`. */
static unsigned cores_of(unsigned n, const char *not_mine) {
    uint8_t mine[64] = {0};
    for (unsigned i = 0; i < n; i++) mine[i] = !strchr(not_mine, (int)('a' + i));
    return ig_os_count_cores(folder, mine, 64);
}

static void test_cores(void **state) {
    (void)state;
    assert_int_equal(cores_of(6, ""), 6); /* nothing told */
    assert_int_equal(cores_of(0, ""), 1);
    for (unsigned i = 0; i < 8; i++) { /* four cores of two threads: 0 and 4, 1 and 5, ... */
        char list[16];
        snprintf(list, sizeof list, "%u,%u\n", i % 4, i % 4 + 4);
        sys_cpu(i, "topology/core_cpus_list", list);
    }
    assert_int_equal(cores_of(8, ""), 4);
    assert_int_equal(cores_of(8, "a"), 4);  /* the other thread of core 0 is left */
    assert_int_equal(cores_of(8, "ae"), 3); /* none is */
    /* Intel hybrid: CPUs 0-3 are two fast cores, 4-7 slow ones */
    const char *pairs[] = {"0-1", "0-1", "2-3", "2-3", "4", "5", "6", "7"};
    for (unsigned i = 0; i < 8; i++) sys_cpu(i, "topology/core_cpus_list", pairs[i]);
    sys_file("devices/cpu_core/cpus", "0-3\n");
    assert_int_equal(cores_of(8, ""), 2);
    assert_int_equal(cores_of(8, "abcd"), 4); /* only slow ones allowed: then those */
}

static void test_cores_of_arm(void **state) {
    (void)state;
    const char *capacity[] = {"300", "300", "300", "300", "870", "870", "870", "1024"};
    for (unsigned i = 0; i < 8; i++) {
        char self[8];
        snprintf(self, sizeof self, "%u\n", i);
        sys_cpu(i, "cpu_capacity", capacity[i]);
        sys_cpu(i, "topology/thread_siblings_list", self); /* as older kernels name it */
    }
    assert_int_equal(cores_of(8, ""), 4);
    assert_int_equal(cores_of(8, "efgh"), 4);
    assert_int_equal(cores_of(8, "abcdefg"), 1);
    assert_in_range(ig_os_core_count(), 1, ig_os_cpu_count());
}

static void test_gpus(void **state) {
    (void)state;
    assert_false(ig_os_find_gpu(folder, 0x10de)); /* no such folder */
    sys_file("bus/pci/devices/0000:00:1f.0/class", "0x060100\n");
    sys_file("bus/pci/devices/0000:00:1f.0/vendor", "0x8086\n"); /* a bridge */
    sys_file("bus/pci/devices/0000:01:00.0/class", "0x030000\n");
    sys_file("bus/pci/devices/0000:01:00.0/vendor", "0x10de\n");
    sys_file("bus/pci/devices/0000:02:00.0/class", "0x120000\n");
    sys_file("bus/pci/devices/0000:02:00.0/vendor", "0x1002\n");
    assert_true(ig_os_find_gpu(folder, 0x10de));
    assert_true(ig_os_find_gpu(folder, 0x1002));
    assert_false(ig_os_find_gpu(folder, 0x8086));
    (void)ig_os_has_gpu(0x10de);
}

static void test_dl(void **state) {
    (void)state;
    assert_null(ig_os_dl_open("libingle-no-such-library.so.9"));
#ifdef __linux__
    void *lib = ig_os_dl_open("libm.so.6");
    if (!lib) skip(); /* not glibc */
    double (*cosine)(double);
    void *p = ig_os_dl_symbol(lib, "cos");
    assert_non_null(p);
    memcpy(&cosine, &p, sizeof cosine);
    assert_true(cosine(0.0) == 1.0);
    assert_null(ig_os_dl_symbol(lib, "no_such_function"));
    ig_os_dl_close(lib);
#endif
    ig_os_dl_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_map, setup, teardown),
        cmocka_unit_test_setup_teardown(test_kinds_and_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_without_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_disk, setup, teardown),
        cmocka_unit_test(test_clock),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_machine),
#ifdef __linux__
        cmocka_unit_test(test_affinity),
#endif
        cmocka_unit_test_setup_teardown(test_cores, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cores_of_arm, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gpus, setup, teardown),
        cmocka_unit_test(test_dl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
