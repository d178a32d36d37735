/* The host device runs kernels as the dialect says, and notices kernels that do not keep to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/device.h"
#include "gpu/host_device.h"

static struct ig_mem mem;
static struct ig_device *device;
static const struct ig_backend *host = &ig_backend_host;
static ingle_error err;

static void open_first(void) {
    static struct ig_device_list list;
    char why[256];
    list.n = 0;
    host->list(&list, why);
    assert_int_equal(list.n, 3);
    struct ig_device_config config = {.mem = &mem};
    assert_int_equal(host->open(&device, &list.device[0], &config, &err), INGLE_OK);
}

static struct ig_dev_mem *put(const void *p, size_t n) {
    struct ig_dev_mem *m;
    assert_int_equal(host->alloc(device, &m, n, NULL, &err), INGLE_OK);
    if (p) assert_int_equal(host->upload(device, m, 0, p, n, &err), INGLE_OK);
    return m;
}

static ingle_status run(const char *name, struct ig_dev_mem *a, struct ig_dev_mem *b, uint32_t n,
                        uint32_t groups) {
    struct ig_dev_kernel *k;
    assert_int_equal(host->kernel(device, &k, "check", name, &err), INGLE_OK);
    struct ig_launch l = {.kernel = k,
                          .groups = {groups, 1, 1},
                          .buffer = {a, b},
                          .n_buffers = b ? 2 : 1,
                          .args = &n,
                          .args_bytes = sizeof n};
    return host->launch(device, &l, &err);
}

static void barriers_keep_order(void **state) {
    uint32_t in[150], out[192];
    (void)state;
    open_first();
    for (uint32_t i = 0; i < 150; i++) in[i] = i;
    struct ig_dev_mem *a = put(in, sizeof in), *b = put(NULL, sizeof out);
    assert_int_equal(run("check_reverse", a, b, 150, 3), INGLE_OK);
    assert_int_equal(host->download(device, b, 0, out, sizeof out, &err), INGLE_OK);
    for (uint32_t i = 0; i < 128; i++) assert_int_equal(out[i], i / 64 * 64 + 63 - i % 64);
    host->close(device);
    assert_int_equal(ig_host_allocated(NULL), 0);
}

static void neighbours_exchange(void **state) {
    uint32_t in[64], out[64];
    (void)state;
    open_first();
    for (uint32_t i = 0; i < 64; i++) in[i] = i;
    struct ig_dev_mem *a = put(in, sizeof in), *b = put(NULL, sizeof out);
    assert_int_equal(run("check_sums", a, b, 5, 1), INGLE_OK);
    assert_int_equal(host->download(device, b, 0, out, sizeof out, &err), INGLE_OK);
    for (uint32_t i = 0; i < 64; i++) /* 0 + .. + 31; 32 times 32 + .. + 63 */
        assert_int_equal(out[i], 5 + (i < 32 ? 496 : 1520 * 32));
    host->close(device);
}

static void parting_is_noticed(void **state) {
    (void)state;
    open_first();
    struct ig_dev_mem *a = put(NULL, 32);
    assert_int_equal(run("check_parted", a, NULL, 8, 1), INGLE_OK);
    assert_int_equal(run("check_parted", a, NULL, 3, 1), INGLE_DEVICE);
    assert_non_null(strstr(err.message, "parted at a barrier"));
    host->close(device);
}

static void faults_come_when_told(void **state) {
    (void)state;
    open_first();
    struct ig_dev_mem *a = put(NULL, 64), *b = NULL;
    ig_host_fail("alloc", 2, false);
    assert_int_equal(host->alloc(device, &b, 4, NULL, &err), INGLE_OK);
    assert_int_equal(host->alloc(device, &b, 4, NULL, &err), INGLE_DEVICE);
    assert_int_equal(host->alloc(device, &b, 4, NULL, &err), INGLE_OK);
    ig_host_fail("launch", 1, true);
    assert_int_equal(run("check_parted", a, NULL, 8, 1), INGLE_DEVICE);
    assert_int_equal(run("check_parted", a, NULL, 8, 1), INGLE_DEVICE);
    ig_host_fail(NULL, 0, false);
    assert_int_equal(run("check_parted", a, NULL, 8, 1), INGLE_OK);
    host->close(device);
}

static void recordings_replay(void **state) {
    uint32_t in[64] = {7}, out[64];
    void *graph;
    (void)state;
    open_first();
    struct ig_dev_mem *a = put(in, sizeof in), *b = put(in, sizeof in);
    assert_int_equal(host->record_begin(device, &err), INGLE_OK);
    assert_int_equal(run("check_reverse", a, b, 64, 1), INGLE_OK);
    assert_int_equal(host->record_end(device, &graph, &err), INGLE_OK);
    in[0] = 9;
    host->upload(device, a, 0, in, sizeof in, &err);
    assert_int_equal(host->replay(device, graph, &err), INGLE_OK);
    host->download(device, b, 0, out, sizeof out, &err);
    assert_int_equal(out[63], 9);
    host->graph_free(device, graph);
    host->close(device);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barriers_keep_order),   cmocka_unit_test(neighbours_exchange),
        cmocka_unit_test(parting_is_noticed),    cmocka_unit_test(faults_come_when_told),
        cmocka_unit_test(recordings_replay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
