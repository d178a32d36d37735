/* The OpenCL driver alone, with kernels of its own, on whatever OpenCL device is there (PoCL in
 * CI): memory, kernels, the cache of compiled programs, and faults at every call. No device: all is
 * skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "gpu/device.h"
#include "os/os.h"

#define FAULT_CL TESTS_DIR "/libfault_cl.so" /* fault_cl.c */

/* These take the place of src/gpu/gpu_source.c. */
static uint64_t source_hash = 7;
static const char *const scale_text =
    "struct args { uint n; float f; };\n"
    "__kernel __attribute__((reqd_work_group_size(64, 1, 1))) void scale(__global const float *a,\n"
    "    __global float *b, const struct args p) {\n"
    "    __local float part[64];\n"
    "    uint i = get_group_id(0) * 64 + get_local_id(0);\n"
    "    part[get_local_id(0)] = i < p.n ? a[i] : 0.0f;\n"
    "    barrier(CLK_LOCAL_MEM_FENCE);\n"
    "    if (i < p.n) b[i] = part[get_local_id(0)] * p.f / 3.0f;\n"
    "}\n";

char *ig_gpu_source(struct ig_mem *mem, const char *module, size_t *n) {
    const char *text = strcmp(module, "bad") ? scale_text : "__kernel void scale(strange *a) {}\n";
    char *p = ig_alloc(mem, strlen(text) + 1);
    if (!p) return NULL;
    *n = strlen(text);
    return strcpy(p, text);
}

uint32_t ig_gpu_group_items(const char *kernel) {
    return !strcmp(kernel, "scale") || !strcmp(kernel, "absent") ? 64
           : !strcmp(kernel, "huge")                             ? 1 << 30
                                                                 : 0;
}

uint64_t ig_gpu_source_hash(void) {
    return source_hash;
}

static const struct ig_backend *cl = &ig_backend_opencl;
static struct ig_device_list list;
static struct ig_mem mem;
static char cache[256];
static ingle_error err;
static void (*fault_set)(const char *name, unsigned at, int forever);
static unsigned (*fault_calls)(void);
static int (*fault_live)(void);
static void (*fault_hide)(int hide);

static void *symbol(void *lib, const char *name) {
    void *p = ig_os_dl_symbol(lib, name);
    if (!p) fprintf(stderr, "no %s in %s\n", name, FAULT_CL);
    return p;
}

static int begin(void **state) {
    (void)state;
    setenv("INGLE_OPENCL", FAULT_CL, 1);
    void *lib = ig_os_dl_open(FAULT_CL);
    if (!lib) return 1;
    void *p[4] = {symbol(lib, "fault_cl_set"), symbol(lib, "fault_cl_calls"),
                  symbol(lib, "fault_cl_live"), symbol(lib, "fault_cl_hide")};
    if (!p[0] || !p[1] || !p[2] || !p[3]) return 1;
    memcpy(&fault_set, &p[0], sizeof p[0]);
    memcpy(&fault_calls, &p[1], sizeof p[1]);
    memcpy(&fault_live, &p[2], sizeof p[2]);
    memcpy(&fault_hide, &p[3], sizeof p[3]);
    char why[256];
    cl->list(&list, why);
    snprintf(cache, sizeof cache, "/tmp/ingle-test-opencl-%ld", (long)getpid());
    return 0;
}

static void clear_cache(void) {
    char *names = NULL, path[600];
    if (ig_os_kind(cache) != IG_OS_FOLDER || ig_os_list(&mem, cache, &names, NULL) != INGLE_OK)
        return;
    for (const char *n = names; *n; n += strlen(n) + 1) {
        snprintf(path, sizeof path, "%s/%s", cache, n);
        ig_os_remove(path, NULL);
    }
    ig_free(&mem, names);
}

static int end(void **state) {
    (void)state;
    clear_cache();
    rmdir(cache);
    return 0;
}

static struct ig_device *open_first(bool cached) {
    struct ig_device *d = NULL;
    struct ig_device_config config = {.mem = &mem, .cache = cached ? cache : NULL};
    if (!list.n) skip();
    assert_int_equal(cl->open(&d, &list.device[0], &config, &err), INGLE_OK);
    return d;
}

static void nothing_is_left(void) {
    assert_int_equal(ig_mem_used(&mem), 0);
    assert_int_equal(fault_live(), 0);
}

static void devices_tell_what_they_are(void **state) {
    (void)state;
    if (!list.n) skip();
    for (uint32_t i = 0; i < list.n; i++) {
        const struct ig_device_info *d = &list.device[i];
        assert_string_equal(d->backend, "opencl");
        assert_int_equal(d->index, i);
        assert_true(d->name[0] && d->driver[0]);
        assert_true(d->usable == !d->why[0]);
        assert_true(!d->usable || (d->memory && d->most_alloc && d->units && d->most_group >= 64));
        assert_true(d->subgroup == 0 || d->subgroup == 32);
        if (strstr(d->name, "pthread")) assert_true(d->software && d->unified && d->usable);
    }
}

static void what_is_missing_is_said(void **state) {
    static struct ig_device_list none;
    char why[256];
    (void)state;
    setenv("INGLE_OPENCL", "/nowhere/libOpenCL.so", 1);
    cl->list(&none, why);
    assert_int_equal(none.n, 0);
    assert_non_null(strstr(why, "no OpenCL library is installed"));
    setenv("INGLE_OPENCL", FAULT_CL, 1);
    fault_hide(1);
    cl->list(&none, why);
    fault_hide(0);
    assert_int_equal(none.n, 0);
    assert_non_null(strstr(why, "no driver is registered"));
    if (!list.n) skip();
    fault_set("clGetDeviceIDs", 1, 1);
    cl->list(&none, why);
    fault_set(NULL, 0, 0);
    assert_int_equal(none.n, 0);
    assert_non_null(strstr(why, "shows no device"));
}

static void memory_keeps_bytes(void **state) {
    (void)state;
    struct ig_device *d = open_first(false);
    size_t n = 1 << 20;
    uint8_t *in = ig_alloc(&mem, n), *out = ig_alloc(&mem, n);
    struct ig_dev_mem *a, *b;
    for (size_t i = 0; i < n; i++) in[i] = (uint8_t)(i * 31 + i / 251);
    assert_int_equal(cl->alloc(d, &a, n, NULL, &err), INGLE_OK);
    assert_int_equal(cl->alloc(d, &b, n, NULL, &err), INGLE_OK);
    for (size_t at = 0;
         at < n;) { /* small and large pieces, more than the block of small ones holds */
        size_t piece = at < n / 2 ? 50000 : 200000;
        if (piece > n - at) piece = n - at;
        memcpy(out, in + at, piece);
        assert_int_equal(cl->upload(d, a, at, out, piece, &err), INGLE_OK);
        memset(out, 0, piece); /* may be reused at once */
        at += piece;
    }
    assert_int_equal(cl->copy(d, a, 0, b, 16, n - 16, &err), INGLE_OK);
    assert_int_equal(cl->copy(d, a, n - 16, b, 0, 16, &err), INGLE_OK);
    assert_int_equal(cl->download(d, b, 0, out, n, &err), INGLE_OK);
    assert_memory_equal(out + 16, in, n - 16);
    assert_memory_equal(out, in + n - 16, 16);
    assert_int_equal(cl->upload(d, a, n - 1, in, 2, &err), INGLE_INTERNAL);
    assert_int_equal(cl->download(d, a, n, out, 1, &err), INGLE_INTERNAL);
    assert_int_equal(cl->upload(d, a, n, in, 0, &err), INGLE_OK);
    assert_int_equal(cl->sync(d, &err), INGLE_OK);
    cl->free(d, a);
    cl->free(d, NULL);
    cl->close(d); /* b too */
    ig_free(&mem, in);
    ig_free(&mem, out);
    nothing_is_left();
}

static void too_large_is_refused(void **state) {
    (void)state;
    struct ig_device *d = open_first(false);
    struct ig_dev_mem *m;
    assert_int_equal(cl->alloc(d, &m, (size_t)list.device[0].most_alloc + 1, NULL, &err),
                     INGLE_LIMIT);
    assert_null(m);
    assert_non_null(strstr(err.message, "its driver allows"));
    assert_int_equal(cl->alloc(d, &m, 0, NULL, &err), INGLE_LIMIT);
    cl->close(d);
    cl->close(NULL);
    nothing_is_left();
}

static void host_memory_is_wrapped(void **state) {
    (void)state;
    struct ig_device *d = open_first(false);
    size_t page = ig_os_page_size(), n = 3 * page - 7;
    uint8_t *block = ig_alloc(&mem, 4 * page), *out = ig_alloc(&mem, n);
    uint8_t *aligned = block + (page - (uintptr_t)block % page) % page;
    for (int odd = 0; odd < 2; odd++) { /* aligned: in place; odd: copied */
        struct ig_dev_mem *m;
        for (size_t i = 0; i < n; i++) aligned[i + (size_t)odd] = (uint8_t)(i * 7 + i / 256);
        assert_int_equal(cl->alloc(d, &m, n, aligned + odd, &err), INGLE_OK);
        assert_int_equal(cl->download(d, m, 0, out, n, &err), INGLE_OK);
        assert_memory_equal(out, aligned + odd, n);
        cl->free(d, m);
    }
    cl->close(d);
    ig_free(&mem, block);
    ig_free(&mem, out);
    nothing_is_left();
}

struct scale_args {
    uint32_t n;
    float f;
};

/* All that a pass does; INGLE_OK only with the right numbers. */
static ingle_status scenario(struct ig_device *d) {
    enum { N = 300 };
    float in[N], out[N];
    struct ig_dev_mem *a, *b;
    struct ig_dev_kernel *k;
    for (uint32_t i = 0; i < N; i++) in[i] = (float)i - 150.5f;
    IG_TRY(cl->alloc(d, &a, sizeof in, NULL, &err));
    IG_TRY(cl->alloc(d, &b, sizeof in, NULL, &err));
    IG_TRY(cl->upload(d, a, 0, in, sizeof in, &err));
    IG_TRY(cl->kernel(d, &k, "scales", "scale", &err));
    struct scale_args args = {N, 1.7f};
    struct ig_launch l = {.kernel = k,
                          .groups = {(N + 63) / 64, 1, 1},
                          .buffer = {a, b},
                          .n_buffers = 2,
                          .args = &args,
                          .args_bytes = sizeof args};
    for (int i = 0; i < 2; i++) {
        IG_TRY(cl->launch(d, &l, &err));
        IG_TRY(cl->flush(d, &err));
        IG_TRY(cl->sync(d, &err));
        IG_TRY(cl->copy(d, b, 0, a, 0, sizeof in, &err));
        IG_TRY(cl->upload(d, a, 0, in, sizeof in, &err));
        IG_TRY(cl->download(d, b, 0, out, sizeof out, &err));
        for (uint32_t j = 0; j < N; j++)
            if (out[j] != in[j] * 1.7f / 3.0f) return INGLE_NUMERIC;
    }
    return INGLE_OK;
}

static void kernels_run(void **state) {
    (void)state;
    struct ig_device *d = open_first(false);
    assert_int_equal(scenario(d), INGLE_OK);
    assert_int_equal(scenario(d), INGLE_OK);
    cl->close(d);
    nothing_is_left();
}

static void bad_programs_are_explained(void **state) {
    struct ig_dev_kernel *k;
    (void)state;
    struct ig_device *d = open_first(true);
    assert_int_equal(cl->kernel(d, &k, "bad", "scale", &err), INGLE_DEVICE);
    assert_non_null(strstr(err.message, "clBuildProgram of bad"));
    assert_non_null(strstr(err.message, "strange")); /* what the compiler says */
    assert_int_equal(cl->kernel(d, &k, "scales", "absent", &err), INGLE_DEVICE);
    assert_non_null(strstr(err.message, "absent"));
    assert_int_equal(cl->kernel(d, &k, "scales", "unknown", &err), INGLE_INTERNAL);
    assert_int_equal(cl->kernel(d, &k, "scales", "huge", &err), INGLE_DEVICE);
    cl->close(d);
    nothing_is_left();
}

/* Calls of `name` while a fresh device runs the scenario. */
static unsigned calls_of(const char *name) {
    fault_set(name, 0, 0);
    struct ig_device *d = open_first(true);
    assert_int_equal(scenario(d), INGLE_OK);
    cl->close(d);
    unsigned n = fault_calls();
    fault_set(NULL, 0, 0);
    nothing_is_left();
    return n;
}

static void the_only_file(char path[600]) {
    char *names = NULL;
    assert_int_equal(ig_os_list(&mem, cache, &names, &err), INGLE_OK);
    snprintf(path, 600, "%s/%s", cache, names);
    assert_int_equal(names[strlen(names) + 1], 0);
    ig_free(&mem, names);
}

/* Replaces a byte, or cuts the file to n bytes. */
static void damage(const char *path, long at, long n) {
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    if (n >= 0) {
        assert_int_equal(ftruncate(fileno(f), n), 0);
    } else {
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        int c = fgetc(f);
        assert_int_equal(fseek(f, at, SEEK_SET), 0);
        fputc(c ^ 1, f);
    }
    fclose(f);
}

static void programs_are_kept(void **state) {
    char path[600];
    (void)state;
    if (!list.n) skip();
    clear_cache();
    assert_int_equal(calls_of("clCreateProgramWithSource"), 1);
    the_only_file(path);
    assert_int_equal(calls_of("clCreateProgramWithSource"), 0);
    assert_int_equal(calls_of("clCreateProgramWithBinary"), 1);
    const long at[] = {0, 9, 40, 200};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        damage(path, at[i], -1);
        assert_int_equal(calls_of("clCreateProgramWithSource"), 1);
        assert_int_equal(calls_of("clCreateProgramWithSource"), 0);
    }
    const long cut[] = {1, 15, 16, 17, 300};
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        damage(path, 0, cut[i]);
        assert_int_equal(calls_of("clCreateProgramWithSource"), 1);
        assert_int_equal(calls_of("clCreateProgramWithSource"), 0);
    }
    fault_set("clCreateProgramWithBinary", 1, 0); /* a driver that does not like it */
    struct ig_device *d = open_first(true);
    assert_int_equal(scenario(d), INGLE_OK);
    cl->close(d);
    fault_set(NULL, 0, 0);
    source_hash = 8;
    assert_int_equal(calls_of("clCreateProgramWithSource"), 1);
    source_hash = 7;
    nothing_is_left();
}

static void a_cache_that_cannot_be_written(void **state) {
    (void)state;
    if (!list.n) skip();
    struct ig_device *d;
    struct ig_device_config config = {.mem = &mem, .cache = "/dev/null/nowhere"};
    assert_int_equal(cl->open(&d, &list.device[0], &config, &err), INGLE_OK);
    assert_int_equal(scenario(d), INGLE_OK);
    cl->close(d);
    nothing_is_left();
}

/* The whole life of a device with one fault in it. */
static ingle_status life(bool cached) {
    struct ig_device *d;
    struct ig_device_config config = {.mem = &mem, .cache = cached ? cache : NULL};
    ingle_status st = cl->open(&d, &list.device[0], &config, &err);
    if (st == INGLE_OK) st = scenario(d);
    cl->close(d);
    return st;
}

static void faults_at_every_call(void **state) {
    static const char *const names[] = {"clGetPlatformIDs",
                                        "clGetDeviceIDs",
                                        "clGetPlatformInfo",
                                        "clGetDeviceInfo",
                                        "clCreateContext",
                                        "clCreateCommandQueue",
                                        "clCreateBuffer",
                                        "clCreateProgramWithSource",
                                        "clCreateProgramWithBinary",
                                        "clBuildProgram",
                                        "clCreateKernel",
                                        "clGetProgramInfo",
                                        "clSetKernelArg",
                                        "clEnqueueNDRangeKernel",
                                        "clEnqueueReadBuffer",
                                        "clEnqueueWriteBuffer",
                                        "clEnqueueCopyBuffer",
                                        "clFlush",
                                        "clFinish",
                                        "clGetProgramBuildInfo"};
    (void)state;
    if (!list.n) skip();
    assert_int_equal(life(true), INGLE_OK); /* fills the cache */
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int forever = 0; forever < 2; forever++)
            for (unsigned n = 1;; n++) {
                bool source = !strcmp(names[i], "clCreateProgramWithSource") ||
                              !strcmp(names[i], "clGetProgramInfo");
                bool stride = !strcmp(names[i], "clGetDeviceInfo"); /* many, and none is fatal */
                fault_set(names[i], n, forever);
                ingle_status st = life(!source);
                unsigned calls = fault_calls();
                fault_set(NULL, 0, 0);
                nothing_is_left();
                if (calls < n) {
                    assert_int_equal(st, INGLE_OK);
                    break;
                }
                if (st != INGLE_OK && st != INGLE_DEVICE && st != INGLE_NO_MEMORY)
                    fail_msg("%s, call %u: %s", names[i], n, ig_status_text(st));
                if (st != INGLE_OK) assert_non_null(strstr(err.message, "OpenCL"));
                if (stride) n += 4;
            }
    assert_int_equal(life(true), INGLE_OK);
}

/* Every allocation of the host fails once. */
static size_t alloc_at, alloc_seen;
static void *failing(void *ud, void *p, size_t old, size_t n) {
    (void)ud;
    (void)old;
    if (!n) {
        free(p);
        return NULL;
    }
    return ++alloc_seen == alloc_at ? NULL : realloc(p, n);
}

static void host_memory_ends(void **state) {
    (void)state;
    if (!list.n) skip();
    mem.hook = failing;
    for (alloc_at = 1;; alloc_at++) {
        alloc_seen = 0;
        ingle_status st = life(true);
        assert_int_equal(ig_mem_used(&mem), 0);
        assert_int_equal(fault_live(), 0);
        if (alloc_seen < alloc_at) {
            assert_int_equal(st, INGLE_OK);
            break;
        }
        assert_true(st == INGLE_NO_MEMORY || st == INGLE_OK);
    }
    mem.hook = NULL;
}

static void a_device_that_left(void **state) {
    (void)state;
    if (!list.n) skip();
    struct ig_device *d;
    struct ig_device_info info = list.device[0];
    struct ig_device_config config = {.mem = &mem};
    info.index = 15;
    assert_int_equal(cl->open(&d, &info, &config, &err), INGLE_DEVICE);
    assert_non_null(strstr(err.message, "not there any more"));
    nothing_is_left();
}

/* A backend of the test's making, to see how devices.c orders and joins. */
static void list_four(struct ig_device_list *out, char why[256]) {
    static const struct ig_device_info four[] = {
        {.backend = "test",
         .index = 0,
         .name = "soft",
         .usable = true,
         .software = true,
         .memory = 90},
        {.backend = "test",
         .index = 1,
         .name = "unified",
         .usable = true,
         .unified = true,
         .memory = 80,
         .uuid = {1}},
        {.backend = "test", .index = 2, .name = "small", .usable = true, .memory = 5, .uuid = {2}},
        {.backend = "test",
         .index = 3,
         .name = "same as small",
         .usable = true,
         .memory = 6,
         .uuid = {2}},
        {.backend = "test",
         .index = 4,
         .name = "broken",
         .why = "broken",
         .memory = 99,
         .uuid = {3}},
        {.backend = "test", .index = 5, .name = "large", .usable = true, .memory = 50},
    };
    for (size_t i = 0; i < sizeof four / sizeof *four; i++) out->device[out->n++] = four[i];
    why[0] = 0;
}

static void devices_are_ordered(void **state) {
    static const struct ig_backend four = {.name = "test", .list = list_four};
    static const char *const order[] = {"large", "small", "unified", "soft", "broken"};
    static struct ig_device_list l;
    size_t seen = 0;
    (void)state;
    ig_backend_test(&four);
    assert_ptr_equal(ig_backend_at(0), &four);
    ig_devices_list(&l);
    ig_backend_test(NULL);
    assert_ptr_not_equal(ig_backend_at(0), &four);
    for (uint32_t i = 0; i < l.n; i++)
        if (!strcmp(l.device[i].backend, "test"))
            assert_string_equal(l.device[i].name, order[seen++]);
    assert_int_equal(seen, 5);
    uint32_t n = 0;
    while (ig_backend_at(n)) n++;
    assert_string_equal(ig_backend_at(n - 1)->name, "opencl");
}

/* Names that the loader has to search for, as on a machine without any driver. */
static void no_driver_costs_little(void **state) {
    static struct ig_device_list l;
    double best = 1;
    (void)state;
    setenv("INGLE_OPENCL", "libingle-no-opencl.so.1", 1);
    setenv("INGLE_CUDA", "libingle-no-cuda.so.1", 1);
    for (int i = 0; i < 20; i++) {
        double start = ig_os_seconds();
        ig_devices_list(&l);
        double took = ig_os_seconds() - start;
        if (took < best) best = took;
        assert_int_equal(l.n, 0);
        assert_true(l.why[0][0] && l.why[1][0] && l.why[2][0]);
    }
    setenv("INGLE_OPENCL", FAULT_CL, 1);
    unsetenv("INGLE_CUDA");
    printf("listing without a driver: %.0f us\n", best * 1e6);
    assert_true(best < 1e-3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_tell_what_they_are),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(memory_keeps_bytes),
        cmocka_unit_test(too_large_is_refused),
        cmocka_unit_test(host_memory_is_wrapped),
        cmocka_unit_test(kernels_run),
        cmocka_unit_test(bad_programs_are_explained),
        cmocka_unit_test(programs_are_kept),
        cmocka_unit_test(a_cache_that_cannot_be_written),
        cmocka_unit_test(faults_at_every_call),
        cmocka_unit_test(host_memory_ends),
        cmocka_unit_test(a_device_that_left),
        cmocka_unit_test(devices_are_ordered),
        cmocka_unit_test(no_driver_costs_little),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
