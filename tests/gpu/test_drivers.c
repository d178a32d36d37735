/* Whole models over the drivers of CUDA and Metal, on the stand-ins for the systems' libraries: the processor's bits, on
 * one device and on two, with steps that are recorded and replayed, and through calls of the driver that fail. */
#define _POSIX_C_SOURCE 200809L
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

enum { N = 40, MOST_VOCAB = 512 };

/* In the place of ptx.c: the stand-in knows kernels by their names, so committed PTX that is behind does not matter. */
char *ig_gpu_ptx(struct ig_mem *mem, const char *module, uint32_t sm, size_t *n) {
    (void)sm;
    *n = strlen(module);
    char *p = ig_alloc(mem, *n + 1);
    return p ? strcpy(p, module) : NULL;
}

static ingle_error err;
static struct fake_cuda *world;
static void (*world_start)(void);
static float want[N][MOST_VOCAB], got[N][MOST_VOCAB];
static int32_t ids[N];

static const char *golden(const char *name) {
    static char path[512];
    const char *top = getenv("INGLE_GOLDEN");
    snprintf(path, sizeof path, "%s/models/%s", top ? top : "tests/golden", name);
    return path;
}

static ingle_model *open_model(const char *name) {
    ingle_model *m;
    if (ingle_model_open(&m, golden(name), NULL, &err)) fail_msg("%s", err.message);
    for (int i = 0; i < N; i++) ids[i] = (i * i * 7 + i * 13 + 5) % ingle_model_vocab_size(m);
    return m;
}

static ingle_session *session(const ingle_model *m, const char *device) {
    ingle_session *s;
    ingle_options *o;
    const char *set[] = {"device", device, "gpu-layers", "all", "context", "64", "batch", "16"};
    assert_int_equal(ingle_options_new(&o, &err), INGLE_OK);
    for (size_t i = 0; i < sizeof set / sizeof *set; i += 2)
        if (ingle_options_set(o, set[i], set[i + 1], &err)) fail_msg("%s", err.message);
    if (ingle_session_open(&s, m, o, &err)) fail_msg("%s %s", err.message, err.hint);
    ingle_options_free(o);
    return s;
}

static int take_row(void *ud, size_t position, const float *logits) {
    memcpy(got[position], logits, (size_t)ingle_model_vocab_size(ud) * sizeof *logits);
    return 0;
}

/* A prompt, then token by token. */
static void compute(const ingle_model *m, const char *device) {
    ingle_session *s = session(m, device);
    memset(got, 0xff, sizeof got);
    for (size_t n = N / 2; n <= N; n++)
        if (ingle_session_sync_each(s, ids, n, take_row, (void *)(uintptr_t)m, &err)) fail_msg("%s", err.message);
    ingle_session_close(s);
}

static void compute_want(const ingle_model *m) {
    compute(m, "none");
    memcpy(want, got, sizeof want);
}

static void expect_same(const ingle_model *m, const char *what) {
    for (int i = 0; i < N; i++)
        if (memcmp(got[i], want[i], (size_t)ingle_model_vocab_size(m) * 4)) fail_msg("%s: other bits at position %d", what, i);
}

static void use_cuda(void) {
    void *lib = ig_os_dl_open(TESTS_DIR "/libfake_cuda.so"), *p[2];
    assert_non_null(lib);
    p[0] = ig_os_dl_symbol(lib, "fake_cuda_world"), p[1] = ig_os_dl_symbol(lib, "fake_cuda_start");
    struct fake_cuda *(*get)(void);
    memcpy(&get, &p[0], sizeof get);
    memcpy(&world_start, &p[1], sizeof world_start);
    world = get();
    world_start();
    setenv("INGLE_CUDA", TESTS_DIR "/libfake_cuda.so", 1);
}

static const char *const names[] = {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    "gpt-oss", "gemma3", "mistral-swa",
#endif
    "llama", "qwen3-moe"};

static void cuda_gives_the_same_bits(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        use_cuda();
        world->count = 2;
        ingle_model *m = open_model(names[i]);
        compute_want(m);
        assert_int_equal(world->launches, 0);
        compute(m, "cuda0");
        expect_same(m, names[i]);
        assert_true(world->launches > 100 && world->replays > 5);
        compute(m, "cuda0,cuda1");
        expect_same(m, names[i]);
        ingle_model_close(m);
        assert_string_equal(world->complaint, "");
        assert_int_equal(world->live, 0);
    }
}

/* The device is dropped and the processor goes on with the same bits, or the session says why it does not open. */
static void cuda_calls_fail(void **state) {
    (void)state;
    use_cuda();
    ingle_model *m = open_model("llama");
    compute_want(m);
    unsigned dropped = 0;
    for (unsigned n = 30, failed = 1; failed; n += 1 + n / 12) {
        for (int forever = 0; forever < 2; forever++) {
            ingle_session *s = session(m, "cuda0");
            world->failed = 0;
            world->fail_at = n, world->fail_code = CU_LAUNCH_FAILED, world->fail_forever = forever;
            for (size_t k = N / 2; k <= N; k++)
                if (ingle_session_sync_each(s, ids, k, take_row, m, &err)) fail_msg("call %u: %s", n, err.message);
            failed = world->failed;
            dropped += failed != 0;
            ingle_session_close(s);
            world->fail_at = 0;
            expect_same(m, world->last_failed);
            if (world->complaint[0]) fail_msg("call %u (%s): %s", n, world->last_failed, world->complaint);
        }
    }
    ingle_model_close(m);
    assert_true(dropped > 20);
    assert_int_equal(world->live, 0);
}

#if defined(__x86_64__) /* fake_objc.cpp stands for the prototypes of this processor only */
static void metal_gives_the_same_bits(void **state) {
    (void)state;
    void *lib = ig_os_dl_open(TESTS_DIR "/libfake_objc.so");
    assert_non_null(lib);
    setenv("INGLE_METAL", TESTS_DIR "/libfake_objc.so", 1);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ingle_model *m = open_model(names[i]);
        compute_want(m);
        compute(m, "metal0");
        expect_same(m, names[i]);
        ingle_model_close(m);
    }
    void *p = ig_os_dl_symbol(lib, "fake_objc_complaint");
    const char *(*complaint)(void);
    memcpy(&complaint, &p, sizeof complaint);
    assert_string_equal(complaint(), "");
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuda_gives_the_same_bits),
        cmocka_unit_test(cuda_calls_fail),
#if defined(__x86_64__)
        cmocka_unit_test(metal_gives_the_same_bits),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
