/* Every kernel of every module is accepted by the OpenCL compiler that is there, for both layouts
 * of weights. What the kernels compute is tested elsewhere; here their text is. No device: skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/device.h"
#include "gpu/gen.h"
#include "gpu/thin.h"
#include "os/os.h"

static const struct {
    const char *module, *name; /* no module: for each block type */
} rows[] = {
#define KERNEL_ROW(module, name, items) {#module, #name},
#define TYPED_ROW(name, items)          {NULL, #name},
#include "gpu/kernels.def"
#undef KERNEL_ROW
#undef TYPED_ROW
};

static const struct ig_backend *cl = &ig_backend_opencl;
static struct ig_mem mem;
static ingle_error err;

static void take(struct ig_device *d, const char *module, const char *name) {
    struct ig_dev_kernel *k;
    if (cl->kernel(d, &k, module, name, &err) != INGLE_OK) fail_msg("%s", err.message);
}

static void take_module(struct ig_device *d, const char *module) {
    char name[64];
    const char *type = strncmp(module, "linear_", 7) ? NULL : module + 7;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!type && rows[i].module && !strcmp(rows[i].module, module))
            take(d, module, rows[i].name);
        if (!type || rows[i].module) continue;
        snprintf(name, sizeof name, "%s_%s", rows[i].name, type);
        take(d, module, name);
    }
}

static void all_are_accepted(bool unified) {
    static struct ig_device_list list;
    char why[256];
    struct ig_device *d;
    struct ig_device_config config = {.mem = &mem};
    list.n = 0;
    cl->list(&list, why);
    if (!list.n) skip();
    list.device[0].unified = unified;
    assert_int_equal(cl->open(&d, &list.device[0], &config, &err), INGLE_OK);
    for (const struct ig_gen_module *m = ig_gen_modules; m->name; m++) {
        double start = ig_os_seconds();
        bool typed = !strncmp(m->name, "linear_", 7);
        if (typed && (m - ig_gen_modules) % thin(8, unified ? 19 : 11)) continue;
        take_module(d, m->name);
        printf("%s: %.2f s\n", m->name, ig_os_seconds() - start);
    }
    cl->close(d);
    assert_int_equal(ig_mem_used(&mem), 0);
}

static void weights_as_in_the_file(void **state) {
    (void)state;
    all_are_accepted(true);
}

static void weights_in_planes(void **state) {
    (void)state;
    all_are_accepted(false);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(weights_as_in_the_file),
                                       cmocka_unit_test(weights_in_planes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
