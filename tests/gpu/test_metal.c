/* The Metal driver over a stand-in for its system (fake_objc.cpp): lists, copies, kernels with real results, faults at every
 * call, nothing left behind, and no message that Metal would punish. x86-64 only, like the stand-in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/host_types.h"
#include "gpu/args.h"
#include "gpu/device.h"
#include "os/os.h"

#define FAKE TESTS_DIR "/libfake_objc.so"
enum { N = 1000, ROWS = 3 };

static const struct ig_backend *metal = &ig_backend_metal;
static struct ig_device_list list;
static struct ig_mem mem;
static ingle_error err;
static unsigned (*fake_live)(void);
static const char *(*fake_complaint)(void);
static void (*fake_fail)(const char *what, unsigned n, bool forever);

static int begin(void **state) {
    (void)state;
    setenv("INGLE_METAL", FAKE, 1);
    void *lib = ig_os_dl_open(FAKE);
    if (!lib) return 1;
    void *p[3] = {ig_os_dl_symbol(lib, "fake_objc_live"), ig_os_dl_symbol(lib, "fake_objc_complaint"),
                  ig_os_dl_symbol(lib, "fake_objc_fail")};
    if (!p[0] || !p[1] || !p[2]) return 1;
    memcpy(&fake_live, &p[0], sizeof p[0]);
    memcpy(&fake_complaint, &p[1], sizeof p[1]);
    memcpy(&fake_fail, &p[2], sizeof p[2]);
    char why[256];
    metal->list(&list, why);
    return list.n != 2;
}

static void all_is_well(void) {
    assert_string_equal(fake_complaint(), "");
    assert_int_equal(fake_live(), 0);
    assert_int_equal(ig_mem_used(&mem), 0);
}

static struct ig_device *open_device(uint32_t i) {
    struct ig_device *d = NULL;
    struct ig_device_config config = {.mem = &mem};
    assert_int_equal(metal->open(&d, &list.device[i], &config, &err), INGLE_OK);
    return d;
}

/* b = a * 3 on the device; and copies of it */
static ingle_status work(struct ig_device *d, const float *in, float *out) {
    struct ig_dev_mem *a, *b, *c;
    struct ig_dev_kernel *k;
    size_t bytes = sizeof(float) * N * ROWS;
    IG_TRY(metal->alloc(d, &a, bytes, NULL, &err));
    IG_TRY(metal->alloc(d, &b, bytes, NULL, &err));
    IG_TRY(metal->alloc(d, &c, bytes, NULL, &err));
    IG_TRY(metal->upload(d, a, 0, in, bytes, &err));
    IG_TRY(metal->kernel(d, &k, "rows", "element", &err));
    struct ig_element_args args = {
        .n = N, .what = IG_EL_SCALE, .a_stride = N, .b_stride = N, .dst_stride = N, .f0 = 3};
    struct ig_launch l = {.kernel = k,
                          .groups = {(N + 255) / 256, ROWS, 1},
                          .buffer = {a, a, b},
                          .n_buffers = 3,
                          .args = &args,
                          .args_bytes = sizeof args};
    for (int i = 0; i < 100; i++) IG_TRY(metal->launch(d, &l, &err)); /* more than one command buffer */
    IG_TRY(metal->copy(d, b, 0, c, 0, bytes, &err));
    IG_TRY(metal->flush(d, &err));
    IG_TRY(metal->download(d, c, sizeof(float) * N, out, sizeof(float) * N, &err));
    metal->free(d, b);
    return metal->sync(d, &err);
}

static void fill(float *in) {
    for (int i = 0; i < N * ROWS; i++) in[i] = (float)i - 17;
}

static void devices_are_described(void **state) {
    (void)state;
    assert_string_equal(list.device[0].name, "Fake M1");
    assert_true(list.device[0].usable && list.device[0].unified && list.device[0].subgroup == 32);
    assert_true(list.device[1].usable && !list.device[1].unified);
    assert_int_equal(list.device[1].memory, 1 << 30);
    assert_int_equal(list.device[1].memory_free, (1 << 30) - (1 << 20));
    all_is_well();
}

static void kernels_give_results(void **state) {
    static float in[N * ROWS], out[N];
    (void)state;
    fill(in);
    for (uint32_t i = 0; i < 2; i++) {
        struct ig_device *d = open_device(i);
        memset(out, 0, sizeof out);
        assert_int_equal(work(d, in, out), INGLE_OK);
        for (int k = 0; k < N; k++) assert_true(out[k] == in[N + k] * 3);
        metal->close(d);
        all_is_well();
    }
}

static void memory_of_the_host_is_wrapped(void **state) {
    static _Alignas(16384) float in[8192];
    float out[16];
    struct ig_dev_mem *m;
    (void)state;
    struct ig_device *d = open_device(0);
    assert_int_equal(metal->alloc(d, &m, 64, in + 100, &err), INGLE_OK);
    for (int i = 0; i < 16; i++) in[100 + i] = (float)i;
    assert_int_equal(metal->download(d, m, 0, out, sizeof out, &err), INGLE_OK);
    assert_memory_equal(out, in + 100, sizeof out);
    metal->close(d);
    all_is_well();
}

static void ranges_are_checked(void **state) {
    struct ig_dev_mem *m;
    char bytes[16] = {0};
    (void)state;
    struct ig_device *d = open_device(1);
    assert_int_equal(metal->alloc(d, &m, 16, NULL, &err), INGLE_OK);
    assert_int_equal(metal->upload(d, m, 8, bytes, 9, &err), INGLE_BAD_ARGUMENT);
    assert_int_equal(metal->download(d, m, 17, bytes, 0, &err), INGLE_BAD_ARGUMENT);
    assert_int_equal(metal->copy(d, m, 0, m, 1, 16, &err), INGLE_BAD_ARGUMENT);
    metal->close(d);
    all_is_well();
}

/* Each call fails once, at every place where it is made: an error that names the call, and nothing left. */
static void every_call_may_fail(void **state) {
    static const char *const calls[] = {"queue",   "buffer",   "library",  "function",
                                        "pipeline", "commands", "encoder", "run"};
    static float in[N * ROWS], out[N];
    struct ig_device_config config = {.mem = &mem};
    (void)state;
    fill(in);
    for (size_t c = 0; c < sizeof calls / sizeof *calls; c++) {
        unsigned n = 1;
        for (;; n++) {
            struct ig_device *d = NULL;
            fake_fail(calls[c], n, false);
            ingle_status s = metal->open(&d, &list.device[1], &config, &err);
            if (s == INGLE_OK) s = work(d, in, out);
            if (s == INGLE_OK) {
                metal->close(d);
                break;
            }
            assert_true(s == INGLE_DEVICE || s == INGLE_NO_MEMORY);
            assert_non_null(strstr(err.message, "Metal"));
            if (d) metal->close(d);
            all_is_well();
        }
        assert_true(n > 1); /* the call was made at all */
        fake_fail("", 0, false);
        all_is_well();
    }
}

static void no_metal_is_said(void **state) {
    static struct ig_device_list none;
    char why[256];
    (void)state;
    setenv("INGLE_METAL", "/nowhere/Metal", 1);
    metal->list(&none, why);
    setenv("INGLE_METAL", FAKE, 1);
    assert_int_equal(none.n, 0);
    assert_non_null(strstr(why, "part of macOS"));
}

int main(void) {
#if !defined(__x86_64__)
    printf("[  PASSED  ] the stand-in needs x86-64\n");
    return 0;
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(devices_are_described), cmocka_unit_test(kernels_give_results),
        cmocka_unit_test(memory_of_the_host_is_wrapped), cmocka_unit_test(ranges_are_checked),
        cmocka_unit_test(every_call_may_fail), cmocka_unit_test(no_metal_is_said),
    };
    return cmocka_run_group_tests(tests, begin, NULL);
}
