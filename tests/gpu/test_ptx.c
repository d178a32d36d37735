/* The committed PTX: every module has it with every kernel of kernels.def; the unpacker gives what tools/ptx.py packed.
 * While kernels are being written their PTX may be behind: such modules are left out here, tools/ptx.py --check is strict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gpu/device.h"
#include "gpu/gen.h"

static struct ig_mem mem;

static bool is_behind(const char *module) {
    for (const struct ig_gen_module *m = ig_gen_modules; m->name; m++)
        for (const struct ig_gen_ptx *p = ig_gen_ptx; p->module && !strcmp(m->name, module); p++)
            if (!strcmp(p->module, module)) return p->hash != m->hash;
    return true;
}

static uint32_t adler(const char *p, size_t n) {
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a = (a + (uint8_t)p[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static void every_module_unpacks(void **state) {
    (void)state;
    size_t total = 0;
    for (const struct ig_gen_ptx *p = ig_gen_ptx; p->module; p++) {
        size_t n = 0;
        char *text = ig_gpu_ptx(&mem, p->module, p->sm, &n), target[32];
        total += p->packed_bytes;
        if (is_behind(p->module)) {
            assert_null(text);
            print_message("the PTX of %s is behind: tools/ptx.py brings it up\n", p->module);
            continue;
        }
        assert_non_null(text);
        assert_true(n >= p->bytes); /* kernels that newer GPUs have in common with others come behind */
        assert_true(n == p->bytes || p->sm > 70);
        assert_int_equal(strlen(text), n);
        assert_int_equal(adler(text, p->bytes), p->adler);
        snprintf(target, sizeof target, ".target sm_%u", (unsigned)p->sm);
        assert_non_null(strstr(text, target));
        ig_free(&mem, text);
    }
    for (const struct ig_gen_module *m = ig_gen_modules; m->name; m++)
        for (int i = 0; i < IG_GEN_PIECES && m->piece[i]; i++) total += ig_gen_pieces[m->piece[i] - 1].packed_bytes;
    assert_true(total < 2u << 20);
    assert_int_equal(ig_mem_used(&mem), 0);
}

static void expect_kernel_for(const char *module, const char *kernel, uint32_t sm) {
    size_t n = 0;
    char *text = ig_gpu_ptx(&mem, module, sm, &n), entry[96];
    assert_non_null(text);
    snprintf(entry, sizeof entry, ".entry %s(", kernel);
    const char *at = strstr(text, entry);
    if (!at) fail_msg("PTX of %s for sm_%u has no kernel %s", module, (unsigned)sm, kernel);
    assert_null(strstr(at + 1, entry));
    ig_free(&mem, text);
}

static void expect_kernel(const char *module, const char *kernel) {
    assert_true(ig_gpu_group_items(kernel) > 0);
    if (is_behind(module)) return;
    expect_kernel_for(module, kernel, 75);
    expect_kernel_for(module, kernel, 90);
}

static void every_kernel_is_there(void **state) {
    (void)state;
#define KERNEL_ROW(where, kernel, items) expect_kernel(#where, #kernel);
#define TYPED_ROW(kernel, items)
#include "gpu/kernels.def"
#undef KERNEL_ROW
#undef TYPED_ROW
    static const char *const typed[] = {
#define KERNEL_ROW(where, kernel, items)
#define TYPED_ROW(kernel, items) #kernel,
#include "gpu/kernels.def"
    };
    for (const struct ig_gen_module *m = ig_gen_modules; m->name; m++)
        for (size_t i = 0; i < sizeof typed / sizeof *typed && !strncmp(m->name, "linear_", 7); i++) {
            char kernel[96];
            snprintf(kernel, sizeof kernel, "%s_%s", typed[i], m->name + 7);
            expect_kernel(m->name, kernel);
        }
}

static void what_is_not_there(void **state) {
    (void)state;
    size_t n;
    assert_null(ig_gpu_ptx(&mem, "no_such_module", 90, &n));
    assert_null(ig_gpu_ptx(&mem, "rows", 69, &n));
    for (size_t limit = 1000; limit < 1000000; limit *= 10) { /* for neither text, for one */
        struct ig_mem small = {.limit = limit};
        if (limit < 100000) assert_null(ig_gpu_ptx(&small, "rows", 90, &n));
        else ig_free(&small, ig_gpu_ptx(&small, "rows", 90, &n));
        assert_int_equal(ig_mem_used(&small), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_module_unpacks),
        cmocka_unit_test(every_kernel_is_there),
        cmocka_unit_test(what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
