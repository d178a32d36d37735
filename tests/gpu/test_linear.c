/* Linear layers and embeddings on devices (linear.k) against the scalar CPU: the same bits, for
 * every block type, with random and with extreme blocks, whatever the shape, with bias, scale and
 * experts. On the host devices of host.cpp, and on whatever OpenCL finds (PoCL in CI). An argument
 * names the one type to try. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "cpu/kernels.h"
#include "gpu/thin.h"
#include "gpu/device.h"
#include "gpu/host_device.h"
#include "gpu/host_types.h"
#include "gpu/args.h"
#include "gpu/planes.h"
#include "unit/quant_golden.h"

static struct ig_mem mem;
static ingle_error err;
static const char *only;
static const struct ig_backend *backend;
static struct ig_device *device;
static bool planes;         /* the device wants blocks taken apart */
static const char *variant; /* of the module, on the host device */

static uint64_t seed = 0x2545F4914F6CDD1Du;
static uint32_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 20);
}

static void must(ingle_status s) {
    if (s != INGLE_OK) fail_msg("%s", err.message);
}

static void *room(size_t n) {
    void *p = malloc(n ? n : 1);
    assert_non_null(p);
    return p;
}

static const char *file_name(const struct ig_quant *t) {
    static char name[32];
    size_t i = 0;
    for (; t->name[i]; i++)
        name[i] = (char)(t->name[i] >= 'A' && t->name[i] <= 'Z' ? t->name[i] + 32 : t->name[i]);
    name[i] = 0;
    return name;
}

/* ---- Weights and inputs ---- */

static bool finite_block(const struct ig_quant *t, const uint8_t *b) {
    float v[IG_QUANT_MAX_BLOCK];
    t->decode(b, v, 1);
    for (int i = 0; i < t->block; i++)
        if (!isfinite(v[i]) || fabsf(v[i]) > 1e30f) return false;
    return true;
}

static uint8_t *make_weights(const struct ig_quant *t, size_t blocks) {
    uint8_t *w = room(blocks * t->bytes);
    for (size_t i = 0; i < blocks; i++) {
        uint8_t *b = w + i * t->bytes;
        for (int tries = 0; !tries || !finite_block(t, b); tries++) {
            int fill =
                next() % 8 == 0 ? (int[]){0, 255, 128, 127, 15, 240, 136, 119}[next() % 8] : -1;
            for (int k = 0; k < t->bytes; k++)
                b[k] = (uint8_t)(fill < 0 || (tries && k < 4) ? next() : (uint32_t)fill);
        }
    }
    return w;
}

struct inputs {
    float *x;
    size_t x_stride;
    struct ig_act_rows act;
    size_t n;
    uint32_t per;
};

static struct inputs make_inputs(const struct ig_quant *t, uint32_t cols, uint32_t n) {
    struct inputs in = {.n = n, .per = t->kind == IG_QUANT_A256 ? 256 : 32};
    struct ig_act_rows *a = &in.act;
    in.x_stride = (cols + 15) / 16 * 16 + 16;
    a->q_stride = cols / 32 * 32 + 32, a->d_stride = cols / in.per + 3, a->s_stride = cols / 16 + 4;
    in.x = room(sizeof *in.x * in.x_stride * n);
    a->q = room(a->q_stride * n), a->d = room(sizeof *a->d * a->d_stride * n),
    a->sum = room(sizeof *a->sum * a->s_stride * n);
    for (size_t i = 0; i < n * in.x_stride; i++)
        in.x[i] = ((float)(next() % 65536) - 32768) * 0x1p-13f;
    for (size_t i = 0; i < n * a->d_stride; i++) a->d[i] = 0.01f * (float)(next() % 100 + 1);
    for (size_t i = 0; i < n; i++) {
        int8_t *q = a->q + i * a->q_stride;
        bool most = next() % 4 == 0;
        for (size_t k = 0; k < a->q_stride; k++)
            q[k] = (int8_t)(most ? next() % 2 ? 127 : -127 : (int)(next() % 255) - 127);
        memset(a->sum + i * a->s_stride, 0x55, sizeof *a->sum * a->s_stride);
        for (size_t g = 0; g < cols / 16; g++) {
            int sum = 0;
            for (size_t k = 0; k < 16; k++) sum += q[16 * g + k];
            a->sum[i * a->s_stride + g] = (int16_t)sum;
        }
    }
    return in;
}

static void drop_inputs(struct inputs *in) {
    free(in->x), free(in->act.q), free(in->act.d), free(in->act.sum);
}

/* ---- Matrices on the device ---- */

static struct ig_dev_mem *put(const void *p, size_t n) {
    struct ig_dev_mem *m;
    must(backend->alloc(device, &m, n, NULL, &err));
    must(backend->upload(device, m, 0, p, n, &err));
    return m;
}

static struct ig_dev_mem *put_matrix(const struct ig_quant *t, const uint8_t *w, uint32_t rows,
                                     uint32_t cols) {
    struct ig_mat_shape s = ig_planes_shape(t, cols, !planes);
    size_t row_bytes = cols / t->block * t->bytes;
    if (!planes) return put(w, (size_t)rows * s.row_bytes);
    uint8_t *p = room((size_t)rows * s.row_bytes);
    for (size_t r = 0; r < rows; r++)
        ig_planes_pack(t, cols, w + r * row_bytes, p + r * s.row_bytes);
    struct ig_dev_mem *m = put(p, (size_t)rows * s.row_bytes);
    free(p);
    return m;
}

static struct ig_dev_kernel *kernel(const struct ig_quant *t, const char *name) {
    char module[64], full[64];
    struct ig_dev_kernel *k;
    snprintf(module, sizeof module, "linear_%s%s", file_name(t), variant);
    snprintf(full, sizeof full, "%s_%s", name, file_name(t));
    must(backend->kernel(device, &k, module, full, &err));
    return k;
}

/* ---- One call ---- */

struct call {
    const char *kernel;
    uint32_t rows, cols, n; /* n: inputs, or tokens */
    uint32_t experts, used; /* 0: none */
    bool slots;             /* an input for each slot, not each token */
    uint32_t flags;
};

struct tables { /* of a route: slots sorted by expert */
    uint32_t *route, order_at, first_at, n;
};

static struct tables make_route(const struct call *c) {
    uint32_t slots = c->n * c->used;
    struct tables t = {room(sizeof(uint32_t) * (2 * slots + c->experts + 1)), slots, 2 * slots,
                       2 * slots + c->experts + 1};
    uint32_t at = 0;
    for (uint32_t i = 0; i < slots; i++) t.route[i] = next() % 3 ? next() % c->experts : 0;
    for (uint32_t e = 0; e < c->experts; e++) {
        t.route[t.first_at + e] = at;
        for (uint32_t i = 0; i < slots; i++)
            if (t.route[i] == e) t.route[t.order_at + at++] = i;
    }
    t.route[t.first_at + c->experts] = at;
    return t;
}

/* What src/cpu computes: y [.][rows + 3], columns from 2 */
static void on_cpu(const struct ig_quant *t, const struct call *c, const uint8_t *w,
                   const struct inputs *in, const struct tables *route, const float *bias,
                   const float *scales, float *y) {
    size_t stride = c->rows + 3, row_bytes = (size_t)c->cols / t->block * t->bytes;
    uint32_t experts = c->experts ? c->experts : 1,
             *x_index = room(sizeof *x_index * (c->n * (c->used + 1)));
    struct ig_linear j = {.type = t,
                          .row_bytes = row_bytes,
                          .rows = c->rows,
                          .cols = c->cols,
                          .x = in->x,
                          .x_stride = in->x_stride,
                          .act = in->act,
                          .y = y + 2,
                          .y_stride = stride,
                          .n = c->n};
    j.scratch = aligned_alloc(64, (ig_kernels_scalar.scratch_bytes(c->cols) + 63) / 64 * 64);
    for (uint32_t e = 0; e < experts; e++) {
        j.w = w + row_bytes * (c->rows + 1) * e;
        if (c->experts) {
            const uint32_t *first = route->route + route->first_at;
            j.y_index = route->route + route->order_at + first[e];
            j.n = first[e + 1] - first[e];
            for (uint32_t i = 0; i < j.n; i++)
                x_index[i] = c->slots ? j.y_index[i] : j.y_index[i] / c->used;
            j.x_index = x_index;
        }
        if (!j.n) continue;
        (t->unpack ? ig_kernels_scalar.linear_quant : ig_kernels_scalar.linear_float)(&j);
        for (uint32_t i = 0; i < j.n; i++)
            for (uint32_t r = 0; r < c->rows; r++) {
                float *v = ig_linear_y(&j, i) + r;
                if (c->flags & IG_LIN_SCALE) *v = *v * scales[e];
                if (c->flags & IG_LIN_BIAS) *v = *v + bias[e * (c->rows + 2) + 1 + r];
            }
    }
    free(j.scratch), free(x_index);
}

static void compare(const struct ig_quant *t, const struct call *c, const float *want,
                    const float *got, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (memcmp(want + i, got + i, 4) && !(isnan(want[i]) && isnan(got[i])))
            fail_msg("%s_%s, %u rows, %u columns, %u inputs, %u experts, flags %u: value %zu "
                     "(input %zu, row %zd) is %a, not %a",
                     c->kernel, t->name, c->rows, c->cols, c->n, c->experts, c->flags, i,
                     i / (c->rows + 3), (ssize_t)(i % (c->rows + 3)) - 2, (double)got[i],
                     (double)want[i]);
}

static void same_bits(const struct ig_quant *t, const struct call *c) {
    uint32_t experts = c->experts ? c->experts : 1, many = !strcmp(c->kernel, "many"),
             slots = c->n * (c->experts ? c->used : 1);
    uint32_t rows = (c->rows + 1) * experts;
    size_t n_y = (size_t)slots * (c->rows + 3), n_bias = (size_t)experts * (c->rows + 2);
    struct inputs in = make_inputs(t, c->cols, c->experts && !c->slots ? c->n : slots);
    struct tables route = {.n = 1};
    if (c->experts)
        route = make_route(c);
    else
        route.route = room(4);
    uint8_t *w = make_weights(t, (size_t)rows * c->cols / t->block);
    float *want = room(4 * n_y), *got = room(4 * n_y), *bias = room(4 * n_bias), scales[16];
    for (size_t i = 0; i < n_y; i++) want[i] = -777;
    for (size_t i = 0; i < n_bias; i++) bias[i] = (float)(next() % 1000) - 500;
    for (int i = 0; i < 16; i++) scales[i] = 0.3f * (float)(i + 1);
    const struct ig_act_rows *a = &in.act;
    struct ig_dev_mem *b[9] = {put_matrix(t, w, rows, c->cols),
                               put(a->q, a->q_stride * in.n),
                               put(a->d, sizeof *a->d * a->d_stride * in.n),
                               put(a->sum, sizeof *a->sum * a->s_stride * in.n),
                               put(in.x, sizeof *in.x * in.x_stride * in.n),
                               put(bias, 4 * n_bias),
                               put(scales, sizeof scales),
                               put(route.route, 4 * route.n),
                               put(want, 4 * n_y)};
    struct ig_linear_args args = {.m = ig_planes_shape(t, c->cols, !planes),
                                  .rows = c->rows,
                                  .cols = c->cols,
                                  .n = slots,
                                  .flags = c->flags | (c->experts ? IG_LIN_EXPERTS : 0u),
                                  .q_stride = (uint32_t)a->q_stride,
                                  .d_stride = (uint32_t)a->d_stride,
                                  .s_stride = (uint32_t)a->s_stride,
                                  .x_stride = (uint32_t)in.x_stride,
                                  .y_stride = c->rows + 3,
                                  .y_at = 2,
                                  .bias_at = 1,
                                  .bias_stride = c->rows + 2,
                                  .expert_rows = c->rows + 1,
                                  .x_div = c->slots ? 1 : c->used,
                                  .order_at = route.order_at,
                                  .first_at = route.first_at};
    struct ig_launch l = {
        .kernel = kernel(t, c->kernel), .n_buffers = 9, .args = &args, .args_bytes = sizeof args};
    memcpy(l.buffer, b, sizeof b);
    l.groups[0] = many ? (c->rows + IG_MANY_ROWS - 1) / IG_MANY_ROWS
                       : (c->rows + IG_FEW_ROWS - 1) / IG_FEW_ROWS;
    l.groups[1] = many ? (slots + IG_MANY_INPUTS - 1) / IG_MANY_INPUTS : c->experts ? slots : 1;
    l.groups[2] = many ? experts : 1;
    must(backend->launch(device, &l, &err));
    must(backend->download(device, b[8], 0, got, 4 * n_y, &err));
    on_cpu(t, c, w, &in, &route, bias, scales, want);
    compare(t, c, want, got, n_y);
    for (int i = 0; i < 9; i++) backend->free(device, b[i]);
    free(w), free(want), free(got), free(bias), free(route.route);
    drop_inputs(&in);
}

/* A multiple of the type's block */
static uint32_t columns(const struct ig_quant *t, uint32_t cols) {
    return cols < t->block ? t->block : cols / t->block * t->block;
}

static void few_kernels(const struct ig_quant *t) {
    static const uint32_t shapes[][2] = {{1, 32},   {8, 288},  {19, 1024}, {200, 96},
                                         {9, 2048}, {5, 2336}, {17, 4608}};
    static const char *const names[] = {"few1", "few2", "few4", "few8"};
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            uint32_t most = 1u << i, cols = columns(t, shapes[s][1]);
            if (!t->unpack && s % 2) cols += 5;
            struct call c = {names[i], shapes[s][0], cols, s % 3 == 1 ? most / 2 + 1 : most, 0,
                             0,        false,        s % 4};
            same_bits(t, &c);
        }
    for (uint32_t s = 0; s < 4; s++)
        same_bits(t,
                  &(struct call){"few1", 13 + s, columns(t, 800 + 600 * s), 1 + s, 5, 2, s % 2, s});
}

static void many_kernel(const struct ig_quant *t) {
    static const uint32_t shapes[][3] = {{64, 256, 32},  {1, 32, 1},    {70, 416, 33}, {200, 96, 9},
                                         {33, 2080, 17}, {65, 4608, 5}, {7, 544, 70}};
    for (uint32_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        uint32_t cols = columns(t, shapes[s][1]);
        if (!t->unpack && s % 2) cols += 5;
        same_bits(t, &(struct call){"many", shapes[s][0], cols, shapes[s][2], 0, 0, false, s % 4});
    }
    for (uint32_t s = 0; s < 3; s++)
        same_bits(t, &(struct call){"many", 60 + 9 * s, columns(t, 200 + 300 * s), 7 + 20 * s, 4, 2,
                                    s % 2, s});
}

/* ---- Embeddings ---- */

static void embed(const struct ig_quant *t, uint32_t n, uint32_t tokens, bool position,
                  bool golden) {
    enum { ROWS = 7, FIRST = 3 };
    uint32_t stride = (n + 15) / 16 * 16;
    size_t n_y = (size_t)tokens * stride, row_bytes = (size_t)n / t->block * t->bytes;
    uint8_t *w = make_weights(t, (size_t)ROWS * n / t->block);
    for (size_t i = 0; golden && i < (size_t)ROWS * n / t->block; i++)
        memcpy(w + i * t->bytes, golden_of(t->id)->block, t->bytes);
    struct ig_token *tok = room(sizeof *tok * tokens);
    float *want = room(4 * n_y), *got = room(4 * n_y), *row = room(4 * (size_t)n);
    for (size_t i = 0; i < n_y; i++) want[i] = (float)i;
    for (uint32_t i = 0; i < tokens; i++) tok[i] = (struct ig_token){i % 12, (i + 5) % 11, 1, 0};
    struct ig_dev_mem *b[3] = {put_matrix(t, w, ROWS, n), put(tok, sizeof *tok * tokens),
                               put(want, 4 * n_y)};
    struct ig_embed_args args = {.m = ig_planes_shape(t, n, !planes),
                                 .n = n,
                                 .dst_stride = stride,
                                 .position = position,
                                 .offset = 2,
                                 .rows_at = FIRST,
                                 .rows = ROWS,
                                 .f = golden ? 1.0f : 2.5f};
    struct ig_launch l = {.kernel = kernel(t, "embed"),
                          .groups = {(n + 255) / 256, tokens, 1},
                          .n_buffers = 3,
                          .args = &args,
                          .args_bytes = sizeof args};
    memcpy(l.buffer, b, sizeof b);
    must(backend->launch(device, &l, &err));
    must(backend->download(device, b[2], 0, got, 4 * n_y, &err));
    for (uint32_t i = 0; i < tokens; i++) {
        uint32_t id = position ? tok[i].position + 2 : tok[i].id;
        if (id < FIRST || id >= FIRST + ROWS) continue;
        t->decode(w + row_bytes * (id - FIRST), row, n / t->block);
        for (uint32_t k = 0; k < n; k++) {
            float v = golden ? golden_of(t->id)->values[k % t->block] : row[k],
                  *to = want + (size_t)i * stride + k;
            *to = position ? *to + v : v * args.f;
        }
    }
    compare(t, &(struct call){"embed", stride - 3, n, tokens, 0, 0, 0, 0}, want, got, n_y);
    for (int i = 0; i < 3; i++) backend->free(device, b[i]);
    free(w), free(tok), free(want), free(got), free(row);
}

static void embed_kernel(const struct ig_quant *t) {
    embed(t, columns(t, 512), 12, false, true);
    embed(t, columns(t, 320) + (t->unpack ? 0 : 7), 12, false, false);
    embed(t, columns(t, 2304), 11, true, false);
}

/* ---- Devices ---- */

static bool wanted(const struct ig_quant *t) {
    return t->device.main + t->device.rest && (!only || !strcasecmp(only, t->name));
}

static void on_host(void (*what)(const struct ig_quant *t)) {
    if (!GPU_HOST) skip();
    static const struct {
        uint32_t device;
        const char *suffix; /* of the module that runs */
    } runs[] = {{0, ""}, {0, ":mma"}, {1, ":sub"}, {2, ":native"}};
    struct ig_device_list list = {.n = 0};
    struct ig_device_config config = {.mem = &mem};
    const struct ig_quant *t;
    char why[256], module[64], name[64];
    backend = &ig_backend_host;
    backend->list(&list, why);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        const struct ig_device_info *info = &list.device[runs[i].device];
        must(backend->open(&device, info, &config, &err));
        planes = !info->unified;
        variant = runs[i].suffix;
        for (size_t k = 0; (t = ig_quant_at(k)); k++) {
            if (!wanted(t) || (!only && (k + i) % thin(4, 3))) continue;
            snprintf(module, sizeof module, "linear_%s%s", file_name(t), variant);
            snprintf(name, sizeof name, "embed_%s", file_name(t));
            if (ig_host_find(module, name)) what(t);
        }
        backend->close(device);
    }
}

static void host_few(void **state) {
    (void)state;
    on_host(few_kernels);
}
static void host_many(void **state) {
    (void)state;
    on_host(many_kernel);
}
static void host_embed(void **state) {
    (void)state;
    on_host(embed_kernel);
}

static void every_kernel(const struct ig_quant *t) {
    embed_kernel(t);
    few_kernels(t);
    many_kernel(t);
}

/* PoCL takes seconds to compile a module: one type of each kind and of each alignment in files,
 * unless asked for others; those of `apart` in planes, as on devices with memory of their own, the
 * others as the device wants them. */
static void opencl_types(const struct ig_device_info *info, bool apart) {
    static const char *const names[2][6] = {{"Q6_K", "BF16", "Q4_K", "MXFP4"},
                                            {"Q4_K", "IQ2_XS", "Q4_1", "NVFP4"}};
    struct ig_device_config config = {.mem = &mem};
    struct ig_device_info as = *info;
    if (apart) as.unified = false;
    planes = !as.unified;
    must(backend->open(&device, &as, &config, &err));
    for (size_t k = 0; !only && k < 4 / thin(4, 2); k++)
        every_kernel(ig_quant_by_name(names[apart][k], strlen(names[apart][k])));
    const struct ig_quant *t = only ? ig_quant_by_name(only, strlen(only)) : NULL;
    if (t) every_kernel(t);
    backend->close(device);
}

static void opencl_some(void **state) {
    static struct ig_device_list list;
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* drivers leak, and are not ours */
#endif
    list.n = 0;
    ig_devices_list(&list);
    variant = "";
    for (uint32_t i = 0; i < list.n; i++) {
        if (strcmp(list.device[i].backend, "opencl") || !list.device[i].usable) continue;
        backend = &ig_backend_opencl;
        opencl_types(&list.device[i], false);
        opencl_types(&list.device[i], true);
        return;
    }
    skip();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_embed),
        cmocka_unit_test(host_many),
        cmocka_unit_test(host_few),
        cmocka_unit_test(opencl_some),
    };
    only = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
