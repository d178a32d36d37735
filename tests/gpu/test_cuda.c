/* The CUDA driver alone, on the stand-in for NVIDIA's library (fake_cuda.cpp), with the kernels of host_check.cpp: what it
 * lists and why not, memory, kernels, graphs, and faults at every call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/cuda_api.h"
#include "gpu/device.h"
#include "gpu/fake_cuda.h"
#include "os/os.h"

#define FAKE TESTS_DIR "/libfake_cuda.so"
#define FAKE_OLD TESTS_DIR "/libfake_cuda_old.so"

/* These take the place of src/gpu/gpu_source.c and gpu_ptx.c. */
char *ig_gpu_source(struct ig_mem *mem, const char *module, size_t *n) {
    (void)mem, (void)module, (void)n;
    return NULL;
}
uint64_t ig_gpu_source_hash(void) {
    return 0;
}
uint32_t ig_gpu_group_items(const char *kernel) {
    return !strcmp(kernel, "check_reverse") ? 64 : !strcmp(kernel, "absent") ? 32 : 0;
}
static uint32_t asked_sm;
char *ig_gpu_ptx(struct ig_mem *mem, const char *module, uint32_t sm, size_t *n) {
    asked_sm = sm;
    if (!strcmp(module, "nothing")) return NULL;
    char *p = ig_alloc(mem, 8);
    if (!p) return NULL;
    *n = strlen(module) < 8 ? strlen(module) : 7;
    memcpy(p, module, *n);
    p[*n] = 0;
    return p;
}

static const struct ig_backend *cuda = &ig_backend_cuda;
static struct fake_cuda *world;
static void (*world_start)(void);
static cu_result (*current)(cu_context *c);
static struct ig_mem mem;
static ingle_error err;

static void use(const char *path) {
    setenv("INGLE_CUDA", path, 1);
    void *lib = ig_os_dl_open(path), *p[3];
    assert_non_null(lib);
    struct fake_cuda *(*get)(void);
    p[0] = ig_os_dl_symbol(lib, "fake_cuda_world");
    p[1] = ig_os_dl_symbol(lib, "fake_cuda_start");
    p[2] = ig_os_dl_symbol(lib, "cuCtxGetCurrent");
    assert_true(p[0] && p[1] && p[2]);
    memcpy(&get, &p[0], sizeof get);
    memcpy(&world_start, &p[1], sizeof world_start);
    memcpy(&current, &p[2], sizeof current);
    world = get();
    world_start();
}

static int begin(void **state) {
    (void)state;
    use(FAKE);
    memset(&mem, 0, sizeof mem);
    return 0;
}

/* Nothing is left, nothing was done that the real driver would punish. */
static int end(void **state) {
    (void)state;
    cu_context c;
    assert_string_equal(world->complaint, "");
    assert_int_equal(world->live, 0);
    assert_int_equal(ig_mem_used(&mem), 0);
    assert_int_equal(current(&c), CU_OK);
    assert_null(c);
    return 0;
}

/* ---- The list ---- */

static struct ig_device_list list;
static char why[256];

static void look(void) {
    memset(&list, 0, sizeof list);
    strcpy(why, "not touched");
    cuda->list(&list, why);
}
static void expect_why(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("\"%s\" says nothing of \"%s\"", text, part);
}

static void list_of_one(void **state) {
    (void)state;
    look();
    assert_string_equal(why, "");
    assert_int_equal(list.n, 1);
    const struct ig_device_info *d = &list.device[0];
    assert_string_equal(d->backend, "cuda");
    assert_string_equal(d->name, "Fake GPU");
    assert_string_equal(d->driver, "535.104.05 (CUDA 12.2)");
    assert_string_equal(d->why, "");
    assert_true(d->usable && !d->software && !d->unified);
    assert_int_equal(d->memory, 256 << 20);
    assert_int_equal(d->memory_free, 200 << 20);
    assert_int_equal(d->most_alloc, 256 << 20);
    assert_int_equal(d->version, 86);
    assert_int_equal(d->units, 28);
    assert_int_equal(d->subgroup, 32);
    assert_int_equal(d->local_bytes, 49152);
    assert_int_equal(d->most_group, 1024);
    assert_int_equal(d->uuid[15], 16);
}

static void list_without_nvml(void **state) {
    (void)state;
    world->nvml = false;
    look();
    assert_string_equal(list.device[0].driver, "CUDA 12.2");
    assert_int_equal(list.device[0].memory_free, 256 << 20);
}

static void no_library(void **state) {
    (void)state;
    setenv("INGLE_CUDA", "/no/such/library.so", 1);
    look();
    assert_int_equal(list.n, 0);
    expect_why(why, "INGLE_CUDA");
    setenv("INGLE_CUDA", "", 1);
    double before = ig_os_seconds();
    look();
    assert_true(ig_os_seconds() - before < 0.05);
    if (!list.n) assert_true(strlen(why) > 20); /* most machines of tests have no NVIDIA GPU */
    setenv("INGLE_CUDA", TESTS_DIR "/libfault_cl.so", 1);
    look();
    assert_int_equal(list.n, 0);
    expect_why(why, "has no cuInit");
}

static void no_devices(void **state) {
    (void)state;
    static const struct {
        int result;
        const char *part;
    } rows[] = {{CU_NO_DEVICE, "CUDA_VISIBLE_DEVICES"},
                {CU_DRIVER_MISMATCH, "restart"},
                {CU_UNKNOWN, "nvidia-smi"},
                {CU_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world->init = rows[i].result;
        look();
        assert_int_equal(list.n, 0);
        expect_why(why, rows[i].part);
    }
    world->init = CU_OK;
    world->count = 0;
    look();
    assert_int_equal(list.n, 0);
    expect_why(why, "CUDA_ERROR_NO_DEVICE");
    world->fail_at = 1, world->fail_code = CU_UNKNOWN, world->only = "cuDeviceGetCount";
    look();
    expect_why(why, "cuDeviceGetCount: CUDA_ERROR_UNKNOWN");
}

static void reasons(void **state) {
    (void)state;
    world->count = 3;
    world->device[0].major = 6, world->device[0].minor = 1;
    world->device[1].mode = CU_COMPUTE_PROHIBITED;
    world->device[2].major = 7, world->device[2].minor = 0;
    look();
    assert_int_equal(list.n, 3);
    expect_why(list.device[0].why, "6.1 is below 7.0");
    expect_why(list.device[1].why, "prohibited");
    assert_false(list.device[0].usable || list.device[1].usable);
    assert_true(list.device[2].usable);
    assert_int_equal(list.device[2].index, 2);
    world->version = 10020;
    look();
    expect_why(list.device[1].why, "450 or newer");
    assert_true(list.device[2].usable);
    world->version = 8000;
    look();
    expect_why(list.device[2].why, "384 or newer");
    expect_why(list.device[2].why, "CUDA 8.0");
    struct ig_device *d;
    struct ig_device_config config = {.mem = &mem};
    assert_int_equal(cuda->open(&d, &list.device[2], &config, &err), INGLE_UNSUPPORTED);
    expect_why(err.message, "384 or newer");
    assert_null(d);
}

static void not_described(void **state) {
    (void)state;
    static const char *const calls[] = {"cuDeviceGet", "cuDeviceGetName", "cuDeviceTotalMem_v2"};
    world->count = 2;
    for (int i = 0; i < 3; i++) {
        world->fail_at = 1, world->fail_code = CU_UNKNOWN, world->only = calls[i];
        look();
        assert_int_equal(list.n, 2);
        assert_false(list.device[0].usable);
        expect_why(list.device[0].why, "CUDA_ERROR_UNKNOWN");
        assert_true(list.device[1].usable);
    }
}

static void list_is_full(void **state) {
    (void)state;
    world->count = 4;
    memset(&list, 0, sizeof list);
    list.n = IG_DEVICE_MOST - 2;
    cuda->list(&list, why);
    assert_int_equal(list.n, IG_DEVICE_MOST);
}

/* ---- Work ---- */

static struct ig_device *open_first(void) {
    struct ig_device *d;
    look();
    assert_int_equal(list.n, 1);
    struct ig_device_config config = {.mem = &mem};
    assert_int_equal(cuda->open(&d, &list.device[0], &config, &err), INGLE_OK);
    return d;
}

static struct ig_dev_mem *new_mem(struct ig_device *d, size_t n) {
    struct ig_dev_mem *m;
    assert_int_equal(cuda->alloc(d, &m, n, NULL, &err), INGLE_OK);
    return m;
}

static void fill(uint8_t *p, size_t n, uint32_t seed) {
    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)((i * 2654435761u + seed) >> 13);
}

/* Larger than both halves of the staging memory, and odd. */
static void large_copies(void **state) {
    (void)state;
    size_t n = (11 << 20) + 13;
    uint8_t *a = malloc(n), *b = malloc(n);
    assert_true(a && b);
    fill(a, n, 1);
    memset(b, 0, n);
    struct ig_device *d = open_first();
    struct ig_dev_mem *m = new_mem(d, n), *other = new_mem(d, n);
    assert_int_equal(cuda->upload(d, m, 0, a, n, &err), INGLE_OK);
    assert_int_equal(cuda->upload(d, m, 7, a + 7, n - 7, &err), INGLE_OK);
    assert_int_equal(cuda->copy(d, m, 0, other, 0, n, &err), INGLE_OK);
    assert_int_equal(cuda->copy(d, m, 5, other, 9, 0, &err), INGLE_OK);
    assert_int_equal(cuda->flush(d, &err), INGLE_OK);
    assert_int_equal(cuda->download(d, other, 0, b, n, &err), INGLE_OK);
    assert_memory_equal(a, b, n);
    assert_int_equal(cuda->download(d, other, n - 3, b, 3, &err), INGLE_OK);
    assert_memory_equal(a + n - 3, b, 3);
    cuda->close(d);
    free(a);
    free(b);
}

/* More than fits into the staging memory, in pieces whose source changes at once. */
static void many_small_uploads(void **state) {
    (void)state;
    enum { PIECE = 1000, N = 20000 };
    struct ig_device *d = open_first();
    struct ig_dev_mem *m = new_mem(d, PIECE * N);
    uint8_t piece[PIECE], *back = malloc(PIECE * N);
    assert_non_null(back);
    for (uint32_t i = 0; i < N; i++) {
        fill(piece, PIECE, i);
        assert_int_equal(cuda->upload(d, m, i * PIECE, piece, PIECE, &err), INGLE_OK);
    }
    assert_int_equal(cuda->download(d, m, 0, back, PIECE * N, &err), INGLE_OK);
    for (uint32_t i = 0; i < N; i++) {
        fill(piece, PIECE, i);
        assert_memory_equal(back + i * PIECE, piece, PIECE);
    }
    free(back);
    cuda->close(d);
}

static void memory_has_bounds(void **state) {
    (void)state;
    char text[16] = "fifteen letters";
    struct ig_device *d = open_first();
    struct ig_dev_mem *a = new_mem(d, 10), *b = new_mem(d, 10), *none = new_mem(d, 0), *big;
    assert_int_equal(cuda->upload(d, a, 1, text, 10, &err), INGLE_INTERNAL);
    assert_int_equal(cuda->upload(d, a, SIZE_MAX, text, 2, &err), INGLE_INTERNAL);
    assert_int_equal(cuda->download(d, a, 11, text, 0, &err), INGLE_INTERNAL);
    assert_int_equal(cuda->copy(d, a, 0, b, 1, 10, &err), INGLE_INTERNAL);
    assert_int_equal(cuda->copy(d, a, 1, b, 0, 10, &err), INGLE_INTERNAL);
    assert_int_equal(cuda->upload(d, none, 0, text, 0, &err), INGLE_OK);
    uint64_t left = cuda->memory_free(d);
    assert_int_equal(left, (256 << 20) - 21);
    assert_int_equal(cuda->alloc(d, &big, (size_t)300 << 20, NULL, &err), INGLE_NO_MEMORY);
    assert_null(big);
    expect_why(err.message, "cuMemAlloc_v2 of 300 MB: CUDA_ERROR_OUT_OF_MEMORY");
    expect_why(err.message, "cuda0 (Fake GPU)");
    expect_why(err.hint, "--gpu-layers");
    cuda->free(d, b);
    cuda->free(d, NULL);
    cuda->free(d, a);
    assert_int_equal(cuda->memory_free(d), (256 << 20) - 1);
    /* Host memory to be wrapped is copied. */
    assert_int_equal(cuda->alloc(d, &a, sizeof text, text, &err), INGLE_OK);
    memset(text, 0, sizeof text);
    assert_int_equal(cuda->download(d, a, 0, text, sizeof text, &err), INGLE_OK);
    assert_string_equal(text, "fifteen letters");
    cuda->close(d);
    cuda->close(NULL);
}

static ingle_status run(struct ig_device *d, struct ig_dev_mem *a, struct ig_dev_mem *b, uint32_t n) {
    struct ig_dev_kernel *k;
    IG_TRY(cuda->kernel(d, &k, "check", "check_reverse", &err));
    struct ig_launch l = {.kernel = k,
                          .groups = {(n + 63) / 64, 1, 1},
                          .buffer = {a, b},
                          .n_buffers = 2,
                          .args = &n,
                          .args_bytes = sizeof n};
    return cuda->launch(d, &l, &err);
}

static void expect_reversed(const uint32_t *out, uint32_t first) {
    for (uint32_t i = 0; i < 128; i++) assert_int_equal(out[i], first + i / 64 * 64 + 63 - i % 64);
}

static void kernels_run(void **state) {
    (void)state;
    uint32_t in[150], out[150];
    struct ig_dev_kernel *k, *again;
    struct ig_device *d = open_first();
    struct ig_dev_mem *a = new_mem(d, sizeof in), *b = new_mem(d, sizeof out);
    for (uint32_t i = 0; i < 150; i++) in[i] = i;
    assert_int_equal(cuda->upload(d, a, 0, in, sizeof in, &err), INGLE_OK);
    assert_int_equal(run(d, a, b, 150), INGLE_OK);
    assert_int_equal(world->launches, 0); /* nobody has waited */
    assert_int_equal(cuda->sync(d, &err), INGLE_OK);
    assert_int_equal(world->launches, 1);
    assert_int_equal(cuda->download(d, b, 0, out, sizeof out, &err), INGLE_OK);
    expect_reversed(out, 0);
    assert_int_equal(asked_sm, 86);
    assert_int_equal(cuda->kernel(d, &k, "check", "check_reverse", &err), INGLE_OK);
    assert_int_equal(cuda->kernel(d, &again, "check", "check_reverse", &err), INGLE_OK);
    assert_ptr_equal(k, again);
    struct ig_launch l = {.kernel = k, .groups = {1, 1, 1}, .buffer = {a}, .n_buffers = 2, .args = in, .args_bytes = 4};
    assert_int_equal(cuda->launch(d, &l, &err), INGLE_INTERNAL);
    expect_why(err.message, "check_reverse lacks buffer 1");
    l.n_buffers = IG_DEVICE_BUFFERS + 1;
    for (int i = 0; i < IG_DEVICE_BUFFERS; i++) l.buffer[i] = a;
    assert_int_equal(cuda->launch(d, &l, &err), INGLE_INTERNAL);
    cuda->close(d);
}

static void kernels_that_are_not_there(void **state) {
    (void)state;
    struct ig_dev_kernel *k;
    struct ig_device *d = open_first();
    assert_int_equal(cuda->kernel(d, &k, "nothing", "check_reverse", &err), INGLE_UNSUPPORTED);
    expect_why(err.message, "no PTX of module nothing");
    assert_int_equal(cuda->kernel(d, &k, "bad", "check_reverse", &err), INGLE_DEVICE);
    expect_why(err.message, "bad: line 1; fatal: bad: CUDA_ERROR_INVALID_PTX");
    assert_null(strstr(err.message, "more"));
    expect_why(err.hint, "update the NVIDIA driver");
    assert_int_equal(cuda->kernel(d, &k, "check", "absent", &err), INGLE_DEVICE);
    expect_why(err.message, "cuModuleGetFunction of absent: CUDA_ERROR_NOT_FOUND");
    assert_int_equal(cuda->kernel(d, &k, "check", "unknown", &err), INGLE_INTERNAL);
    assert_null(k);
    cuda->close(d);
}

/* Codes that come from the driver have a mend of their own. */
static void mends(void **state) {
    (void)state;
    static const struct {
        int code;
        const char *part;
    } rows[] = {{CU_JIT_NOT_FOUND, "whole NVIDIA driver"},   {CU_LAUNCH_TIMEOUT, "display"},
                {CU_PTX_VERSION, "update the NVIDIA driver"}, {CU_MISALIGNED, "please report"},
                {CU_UNKNOWN, "--device none"}};
    struct ig_device *d = open_first();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world->fail_at = 1, world->fail_code = rows[i].code;
        assert_int_equal(cuda->sync(d, &err), INGLE_DEVICE);
        expect_why(err.hint, rows[i].part);
    }
    cuda->close(d);
}

/* A driver of before CUDA 11 gets the code of compute capability 7.0. */
static void old_driver_old_code(void **state) {
    (void)state;
    struct ig_dev_kernel *k;
    world->version = 10020;
    world->device[0].major = 7, world->device[0].minor = 5;
    struct ig_device *d = open_first();
    assert_int_equal(cuda->kernel(d, &k, "check", "check_reverse", &err), INGLE_OK);
    assert_int_equal(asked_sm, 70);
    cuda->close(d);
}

static void late_faults(void **state) {
    (void)state;
    uint32_t out[64];
    struct ig_device *d = open_first();
    struct ig_dev_mem *a = new_mem(d, 256), *b = new_mem(d, 256);
    world->late = CU_ILLEGAL_ADDRESS;
    assert_int_equal(run(d, a, b, 64), INGLE_OK);
    assert_int_equal(cuda->sync(d, &err), INGLE_DEVICE);
    expect_why(err.message, "cuStreamSynchronize: CUDA_ERROR_ILLEGAL_ADDRESS");
    expect_why(err.hint, "please report");
    assert_int_equal(run(d, a, b, 64), INGLE_DEVICE); /* it stays so */
    assert_int_equal(cuda->download(d, b, 0, out, sizeof out, &err), INGLE_DEVICE);
    assert_int_equal(cuda->flush(d, &err), INGLE_DEVICE);
    assert_int_equal(cuda->memory_free(d), 0);
    cuda->close(d);
}

/* ---- Graphs ---- */

static void graphs_replay(void **state) {
    (void)state;
    uint32_t in[128], out[128];
    void *graph, *second;
    struct ig_device *d = open_first();
    struct ig_dev_mem *a = new_mem(d, sizeof in), *b = new_mem(d, sizeof in), *c = new_mem(d, sizeof in);
    assert_int_equal(cuda->record_begin(d, &err), INGLE_OK);
    assert_int_equal(run(d, a, b, 128), INGLE_OK);
    assert_int_equal(cuda->copy(d, b, 0, c, 0, sizeof in, &err), INGLE_OK);
    assert_int_equal(cuda->upload(d, a, 0, in, 4, &err), INGLE_INTERNAL);
    assert_int_equal(cuda->download(d, a, 0, in, 4, &err), INGLE_INTERNAL);
    assert_int_equal(cuda->sync(d, &err), INGLE_INTERNAL);
    assert_int_equal(cuda->flush(d, &err), INGLE_OK);
    assert_int_equal(cuda->record_end(d, &graph, &err), INGLE_OK);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 128; i++) in[i] = i + round;
        assert_int_equal(cuda->upload(d, a, 0, in, sizeof in, &err), INGLE_OK);
        assert_int_equal(cuda->replay(d, graph, &err), INGLE_OK);
        assert_int_equal(cuda->download(d, c, 0, out, sizeof out, &err), INGLE_OK);
        expect_reversed(out, round);
    }
    assert_int_equal(world->launches, 3);
    assert_int_equal(cuda->record_end(d, &second, &err), INGLE_INTERNAL);
    assert_int_equal(cuda->record_begin(d, &err), INGLE_OK);
    assert_int_equal(cuda->record_begin(d, &err), INGLE_OK); /* the one before is given up */
    assert_int_equal(cuda->record_end(d, &second, &err), INGLE_OK);
    cuda->graph_free(d, graph);
    cuda->graph_free(d, NULL);
    assert_int_equal(cuda->record_begin(d, &err), INGLE_OK);
    cuda->close(d); /* with a graph, and in a recording */
}

static void drivers_without_graphs(void **state) {
    (void)state;
    use(FAKE_OLD);
    struct ig_device *d = open_first();
    struct ig_dev_mem *a = new_mem(d, 256), *b = new_mem(d, 256);
    assert_int_equal(cuda->record_begin(d, &err), INGLE_UNSUPPORTED);
    assert_int_equal(run(d, a, b, 64), INGLE_OK);
    assert_int_equal(cuda->sync(d, &err), INGLE_OK);
    cuda->close(d);
}

/* ---- The program around us, and faults ---- */

/* The program's own current context is current again after every function. */
static void host_context_stays(void **state) {
    (void)state;
    struct ig_cuda cu;
    cu_context theirs = NULL, now;
    uint32_t x[64] = {0};
    assert_true(ig_cuda_start(&cu, why));
    world->count = 2;
    assert_int_equal(cu.cuDevicePrimaryCtxRetain(&theirs, 1), CU_OK);
    assert_int_equal(cu.cuCtxPushCurrent_v2(theirs), CU_OK);
    world->count = 1;
    struct ig_device *d = open_first();
#define SAME() (assert_int_equal(current(&now), CU_OK), assert_ptr_equal(now, theirs))
    SAME();
    struct ig_dev_mem *a = new_mem(d, 256), *b = new_mem(d, 256);
    SAME();
    assert_int_equal(cuda->upload(d, a, 0, x, sizeof x, &err), INGLE_OK);
    assert_int_equal(run(d, a, b, 64), INGLE_OK);
    SAME();
    world->fail_at = 1, world->fail_code = CU_UNKNOWN, world->only = "cuCtxPushCurrent_v2";
    cuda->free(d, b); /* close will */
    SAME();
    assert_int_equal(cuda->download(d, a, 0, x, sizeof x, &err), INGLE_OK);
    SAME();
    cuda->close(d);
    SAME();
    assert_int_equal(cu.cuCtxPopCurrent_v2(&now), CU_OK);
    assert_int_equal(cu.cuDevicePrimaryCtxRelease(1), CU_OK);
}

/* All that a device does, until something fails. */
static ingle_status work(struct ig_device **d) {
    static uint8_t big[5 << 20];
    uint32_t out[128];
    struct ig_dev_mem *a, *b, *c;
    void *graph;
    struct ig_device_config config = {.mem = &mem};
    IG_TRY(cuda->open(d, &list.device[0], &config, &err));
    IG_TRY(cuda->alloc(*d, &a, sizeof big, big, &err));
    IG_TRY(cuda->alloc(*d, &b, 512, NULL, &err));
    IG_TRY(cuda->alloc(*d, &c, 512, NULL, &err));
    IG_TRY(cuda->upload(*d, a, 0, big, sizeof big, &err));
    IG_TRY(run(*d, a, b, 128));
    IG_TRY(cuda->flush(*d, &err));
    IG_TRY(cuda->copy(*d, b, 0, c, 0, 512, &err));
    IG_TRY(cuda->sync(*d, &err));
    IG_TRY(cuda->record_begin(*d, &err));
    IG_TRY(run(*d, a, c, 128));
    IG_TRY(cuda->record_end(*d, &graph, &err));
    IG_TRY(cuda->replay(*d, graph, &err));
    cuda->free(*d, b);
    (void)cuda->memory_free(*d);
    cuda->graph_free(*d, graph);
    return cuda->download(*d, c, 0, out, sizeof out, &err);
}

static void faults_at_every_call(void **state) {
    (void)state;
    look();
    for (int forever = 0; forever < 2; forever++)
        for (unsigned n = 1, failed = 1; failed; n++) {
            struct ig_device *d = NULL;
            world->failed = 0;
            world->fail_at = n, world->fail_code = CU_UNKNOWN, world->fail_forever = forever;
            memset(&err, 0, sizeof err);
            ingle_status s = work(&d);
            assert_true(s == INGLE_OK || s == INGLE_DEVICE || s == INGLE_UNSUPPORTED);
            if (s != INGLE_OK) {
                assert_true(strlen(err.message) > 10);
                assert_true(world->failed > 0);
            }
            cuda->close(d);
            failed = world->failed;
            world->fail_at = 0;
            if (world->live || world->complaint[0] || ig_mem_used(&mem))
                fail_msg("call %u (%s)%s: %u live, %zu bytes, %s", n, world->last_failed, forever ? " and on" : "",
                         world->live, ig_mem_used(&mem), world->complaint);
            if (!failed) assert_true(n > 40);
        }
}

static size_t allocations;
static void *failing_hook(void *ud, void *p, size_t old, size_t n) {
    (void)ud, (void)old;
    if (n && !--allocations) return NULL;
    if (n) return realloc(p, n);
    free(p);
    return NULL;
}

static void no_host_memory(void **state) {
    (void)state;
    look();
    mem.hook = failing_hook;
    for (size_t n = 1;; n++) {
        struct ig_device *d = NULL;
        allocations = n;
        ingle_status s = work(&d);
        cuda->close(d);
        assert_int_equal(world->live, 0);
        assert_int_equal(ig_mem_used(&mem), 0);
        if (s == INGLE_OK) break;
        assert_true(s == INGLE_NO_MEMORY || s == INGLE_UNSUPPORTED);
        assert_true(n < 50);
    }
    mem.hook = NULL;
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(list_of_one),        TEST(list_without_nvml),
        TEST(no_library),         TEST(no_devices),
        TEST(reasons),            TEST(not_described),
        TEST(list_is_full),       TEST(large_copies),
        TEST(many_small_uploads), TEST(memory_has_bounds),
        TEST(kernels_run),        TEST(kernels_that_are_not_there),
        TEST(mends),              TEST(old_driver_old_code),
        TEST(late_faults),
        TEST(graphs_replay),      TEST(drivers_without_graphs),
        TEST(host_context_stays), TEST(faults_at_every_call),
        TEST(no_host_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
