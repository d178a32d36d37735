/* For tests that run one kernel at a time: every usable device in turn, buffers up, a launch,
 * buffers down. A test fills arrays as the device shall find them and arrays as it shall leave
 * them; all of every array is compared, so that a kernel that writes where it should not is caught
 * too. NaN equals NaN, of whatever sign and payload.
 *
 * Bits are compared where the device does what IEEE says: the host, OpenCL on a processor, CUDA.
 * Others may round in their own way; there the sum of squared differences must be below a millionth
 * of the sum of squares, and few of the whole numbers may differ, which come from a float that was
 * rounded the other way. */
#ifndef OP_TEST_H
#define OP_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <math.h>
#include <cmocka.h>

#include "gpu/device.h"
#include "gpu/host_device.h"
#include "gpu/host_types.h"

struct op_device {
    const struct ig_backend *backend;
    struct ig_device_info info;
    struct ig_device *d;
};

/* A buffer of a launch. */
struct op_buf {
    void *p; /* what it holds; what the device left there, after op_run with `out` */
    size_t bytes;
    bool out;
};

static struct ig_mem op_mem;
static ingle_error op_err;
static struct op_device op_devices[8];
static unsigned op_n_devices;
static bool op_exact; /* of the last launch */

static inline double op_seconds(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void op_ok(ingle_status s) {
    if (s != INGLE_OK) fail_msg("%s", op_err.message);
}

static inline void op_add(const struct ig_backend *b) {
    static struct ig_device_list list;
    char why[256];
    list.n = 0;
    b->list(&list, why);
    for (unsigned i = 0; i < list.n && op_n_devices < 8; i++) {
        struct op_device *o = &op_devices[op_n_devices];
        struct ig_device_config config = {.mem = &op_mem};
        if (!list.device[i].usable) continue;
        o->backend = b;
        o->info = list.device[i];
        op_ok(b->open(&o->d, &o->info, &config, &op_err));
        op_n_devices++;
    }
}

/* The host's devices with and without subgroups, and what the system has; only the former under
 * sanitizers. */
static inline int op_open(void **state) {
    (void)state;
    if (GPU_HOST) op_add(&ig_backend_host);
    if (op_n_devices == 3) { /* the third differs in its weights only */
        op_devices[2].backend->close(op_devices[2].d);
        op_n_devices = 2;
    }
#if !defined(__SANITIZE_ADDRESS__) &&                                                              \
    !defined(__SANITIZE_THREAD__) /* drivers leak, and are not ours */
    for (uint32_t i = 0; ig_backend_at(i); i++) op_add(ig_backend_at(i));
#endif
    for (unsigned i = 0; i < op_n_devices; i++)
        print_message("device %u: %s, %s\n", i, op_devices[i].info.backend,
                      op_devices[i].info.name);
    return 0;
}

static inline int op_close(void **state) {
    (void)state;
    for (unsigned i = 0; i < op_n_devices; i++) op_devices[i].backend->close(op_devices[i].d);
    return 0;
}

/* One launch with buffers of its own; `same[i]`, if given, is 1 + the buffer that i is too. */
static inline void op_run(const struct op_device *o, const char *module, const char *name,
                          uint32_t x, uint32_t y, uint32_t z, struct op_buf *buf, unsigned n,
                          const unsigned *same, const void *args, size_t args_bytes) {
    const struct ig_backend *b = o->backend;
    op_exact = b == &ig_backend_host || o->info.software || !strcmp(o->info.backend, "cuda");
    struct ig_launch l = {
        .groups = {x, y, z}, .n_buffers = n, .args = args, .args_bytes = (uint32_t)args_bytes};
    op_ok(b->kernel(o->d, &l.kernel, module, name, &op_err));
    for (unsigned i = 0; i < n; i++) {
        if (same && same[i]) {
            l.buffer[i] = l.buffer[same[i] - 1];
            continue;
        }
        op_ok(b->alloc(o->d, &l.buffer[i], buf[i].bytes, NULL, &op_err));
        op_ok(b->upload(o->d, l.buffer[i], 0, buf[i].p, buf[i].bytes, &op_err));
    }
    op_ok(b->launch(o->d, &l, &op_err));
    op_ok(b->sync(o->d, &op_err));
    for (unsigned i = 0; i < n; i++)
        if (buf[i].out) op_ok(b->download(o->d, l.buffer[i], 0, buf[i].p, buf[i].bytes, &op_err));
    for (unsigned i = 0; i < n; i++)
        if (!same || !same[i]) b->free(o->d, l.buffer[i]);
}

static inline bool op_same_float(float a, float b) {
    return (a != a && b != b) || !memcmp(&a, &b, sizeof a);
}

static inline void op_close_floats(const char *what, const float *got, const float *want,
                                   size_t n) {
    double off = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        double d = (double)got[i] - (double)want[i];
        if (op_same_float(got[i], want[i]) || !(fabs((double)want[i]) < 1e30)) continue;
        off += d * d;
        all += (double)want[i] * (double)want[i];
    }
    if (!(off <= all * 1e-6)) fail_msg("%s: differs by %g of its size", what, sqrt(off / all));
}

static inline void op_same_floats(const char *what, const float *got, const float *want, size_t n) {
    if (!op_exact) {
        op_close_floats(what, got, want, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t g, w;
        if (op_same_float(got[i], want[i])) continue;
        memcpy(&g, got + i, 4), memcpy(&w, want + i, 4);
        fail_msg("%s: number %zu is %.9g (%08x), should be %.9g (%08x)", what, i, (double)got[i], g,
                 (double)want[i], w);
    }
}

static inline void op_same_bytes(const char *what, const void *got, const void *want, size_t n) {
    const uint8_t *g = got, *w = want;
    size_t off = 0;
    for (size_t i = 0; i < n; i++) {
        off += g[i] != w[i];
        if (off > (op_exact ? 0 : n / 50))
            fail_msg("%s: byte %zu is %u, should be %u", what, i, g[i], w[i]);
    }
}

/* ---- Numbers ---- */

static inline uint32_t op_random(void) {
    static uint32_t s = 12345;
    s ^= s << 13, s ^= s >> 17, s ^= s << 5;
    return s;
}
/* Roughly normal */
static inline float op_normal(void) {
    float x = 0;
    for (int i = 0; i < 6; i++) x += (float)(op_random() >> 8) / 16777216.0f - 0.5f;
    return x * 1.41421356f;
}
static inline float *op_floats(size_t n, float scale) {
    float *p = malloc((n + 1) * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < n; i++) p[i] = op_normal() * scale;
    return p;
}
/* Some of them odd: huge, tiny, denormal, zeros of both signs, infinite, no numbers. */
static inline void op_make_odd(float *p, size_t n, uint32_t every) {
    static const float odd[] = {0.0f,   -0.0f,  1e-40f, -1e-41f, 3e38f,
                                -3e38f, 1e-30f, 88.5f,  -87.5f,  127.0f};
    for (size_t i = 0; i < n; i++)
        if (op_random() % every == 0) {
            uint32_t k = op_random() % 14;
            p[i] = k < 10    ? odd[k]
                   : k == 10 ? (float)INFINITY
                   : k == 11 ? -(float)INFINITY
                             : (float)NAN;
        }
}
static inline void *op_copy(const void *p, size_t n) {
    void *q = malloc(n + 1);
    assert_non_null(q);
    memcpy(q, p, n);
    return q;
}
static inline void *op_filled(size_t n) { /* with what a kernel must leave alone */
    void *q = malloc(n + 1);
    assert_non_null(q);
    memset(q, 0x5A, n);
    return q;
}

#endif
