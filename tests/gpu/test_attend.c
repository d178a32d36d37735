/* Keys and values on a device, and attention over them, give the bits of the scalar CPU: every type
 * of cache, head size, window, ring, ALiBi, soft cap and sink, for few rows and for many. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/kernels.h"
#include "gpu/thin.h"
#include "gpu/device.h"
#include "gpu/host_device.h"
#include "gpu/kv_shape.h"
#include "kv/put.h"
#include "plan/rope.h"

static uint64_t seed = 0x9E3779B97F4A7C15u;
static uint32_t below(uint32_t n) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 33) % n;
}
static float uniform(void) { /* -1 .. 1 */
    return (float)below(1u << 24) * 0x1p-23f - 1.0f;
}

struct shape {
    uint32_t n_kv, group, head_k, head_v;
};

struct trial {
    const struct shape *s;
    enum ig_cache_type type;
    uint32_t depth, n, window; /* positions before the pass, tokens of the pass */
    bool chunked, sinks, slopes, rope, pairwise, infinite;
    float softcap, scale;
    uint32_t dims, heads;
    struct ig_cache cache;
    struct ig_kv_shape kv;
    float *q, *k, *v, *turned, *table, *want, *sink,
        *slope; /* rows of the pass; `turned`: k of the CPU */
    struct ig_token *tok;
};

static struct ig_mem mem;
static ingle_error err;
static const char *const types[] = {"f16", "f32", "q8"};

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != INGLE_OK) fail_msg("%s", err.message);                                       \
    } while (0)

/* ---- A device ---- */

static const struct ig_backend *on;
static struct ig_device *device;
static bool exact; /* else bits may differ where a device rounds in its own way */

static struct ig_dev_mem *put(const void *p, size_t n) {
    struct ig_dev_mem *m;
    OK(on->alloc(device, &m, n ? n : 16, NULL, &err));
    if (p && n) OK(on->upload(device, m, 0, p, n, &err));
    return m;
}

static void run(const char *name, const char *type, uint32_t x, uint32_t y,
                struct ig_dev_mem *const *b, uint32_t n, const void *args, uint32_t bytes) {
    char full[64];
    struct ig_launch l = {.groups = {x, y, 1}, .n_buffers = n, .args = args, .args_bytes = bytes};
    snprintf(full, sizeof full, "%s%s%s", name, type ? "_" : "", type ? type : "");
    OK(on->kernel(device, &l.kernel, "attend", full, &err));
    memcpy(l.buffer, b, n * sizeof *b);
    OK(on->launch(device, &l, &err));
}

/* ---- The CPU's side ---- */

static float *floats(size_t n, float size) {
    float *p = malloc((n ? n : 1) * sizeof *p);
    for (size_t i = 0; i < n; i++) p[i] = uniform() * size;
    return p;
}

static void cpu_put(struct trial *t, uint32_t position, const float *k, const float *v) {
    const struct ig_cache_layer *l = &t->cache.layers[0];
    ig_kv_put(&t->cache, l, position, false, 0, t->s->n_kv, k, ig_kv_to_f16_plain);
    ig_kv_put(&t->cache, l, position, true, 0, t->s->n_kv, v, ig_kv_to_f16_plain);
}

static uint32_t first_of(const struct trial *t, uint32_t position) {
    if (!t->window) return 0;
    if (t->chunked) return position / t->window * t->window;
    return position + 1 > t->window ? position + 1 - t->window : 0;
}

static void cpu_row(struct trial *t, const float *q, uint32_t i, uint32_t head, float *out) {
    static float scratch[(1024 + 4 + IG_ATTEND_CHUNK + 16) * IG_ATTEND_ROWS],
        part[1024 + IG_ATTEND_PART];
    uint32_t position = t->depth + i, n = t->s->head_v;
    struct ig_attend_row row = {.q = q,
                                .part = part,
                                .first = first_of(t, position),
                                .last = position,
                                .slope = t->slopes ? t->slope[head] : 0};
    struct ig_attend j = {.cache = &t->cache,
                          .layer = &t->cache.layers[0],
                          .kv_head = head / t->s->group,
                          .n = 1,
                          .rows = &row,
                          .scale = t->scale,
                          .softcap = t->softcap,
                          .scratch = scratch};
    float state[2] = {-1e30f, 0};
    const struct ig_kernels *k = &ig_kernels_scalar;
    k->attend_queries(&j);
    memset(out, 0, n * sizeof *out);
    for (uint32_t at = row.first / IG_ATTEND_CHUNK * IG_ATTEND_CHUNK; at <= position;
         at += IG_ATTEND_CHUNK) {
        k->attend_chunk(&j, at);
        k->attend_merge(out, n, state, part);
    }
    k->attend_finish(out, n, state, t->sinks ? &t->sink[head] : NULL);
}

/* Old positions into the CPU's cache, and what the pass brings. */
static void begin(struct trial *t) {
    const struct shape *s = t->s;
    size_t wk = s->n_kv * s->head_k, wv = s->n_kv * s->head_v;
    struct ig_cache_want want = {
        .n_head_kv = s->n_kv, .head_k = s->head_k, .head_v = s->head_v, .window = t->window};
    t->heads = s->n_kv * s->group;
    OK(ig_cache_open(&t->cache, &mem, &want, 1, t->type, t->depth + t->n, t->n, &err));
    for (uint32_t p = 0; p < t->depth; p++) {
        float *k = floats(wk, 1), *v = floats(wv, 1);
        OK(ig_cache_reserve(&t->cache, p + 1, &err));
        cpu_put(t, p, k, v);
        ig_cache_advance(&t->cache, p + 1);
        free(k), free(v);
    }
    OK(ig_cache_reserve(&t->cache, t->depth + t->n, &err));
    const struct ig_cache_group *g = &t->cache.groups[0];
    t->kv =
        ig_kv_shape_of(&t->cache, &t->cache.layers[0], t->window ? g->n_slots * IG_CACHE_BLOCK : 0);
    t->q = floats(t->n * t->heads * s->head_k, 2);
    t->k = floats(t->n * wk, 1);
    t->v = floats(t->n * wv, 1);
    if (t->infinite)
        t->v[t->n * wv - 1 - below((uint32_t)wv)] = INFINITY; /* earlier rows do not see it */
    t->table = floats(t->n * t->dims, 1);
    t->sink = floats(t->heads, 3);
    t->slope = floats(t->heads, 0.05f);
    t->turned = malloc(t->n * wk * sizeof(float));
    t->want = malloc((size_t)t->n * t->heads * s->head_v * sizeof(float));
    t->tok = calloc(t->n, sizeof *t->tok);
    memcpy(t->turned, t->k, t->n * wk * sizeof(float));
    for (uint32_t i = 0; i < t->n; i++) {
        t->tok[i].position = t->depth + i;
        for (uint32_t h = 0; h < s->n_kv && t->rope; h++)
            ig_rope_apply(t->turned + i * wk + h * s->head_k, t->table + i * t->dims, t->dims,
                          t->pairwise);
        cpu_put(t, t->depth + i, t->turned + i * wk, t->v + i * wv);
    }
}

static void end(struct trial *t) {
    ig_cache_close(&t->cache);
    free(t->q), free(t->k), free(t->v), free(t->table), free(t->sink), free(t->slope),
        free(t->turned), free(t->want), free(t->tok);
}

static float *turn_queries(const struct trial *t) {
    size_t n = (size_t)t->n * t->heads * t->s->head_k;
    float *q = malloc(n * sizeof *q);
    memcpy(q, t->q, n * sizeof *q);
    for (uint32_t i = 0; i < t->n * t->heads && t->rope; i++)
        ig_rope_apply(q + (size_t)i * t->s->head_k, t->table + i / t->heads * t->dims, t->dims,
                      t->pairwise);
    return q;
}

/* ---- Comparing ---- */

static bool close_enough(const float *got, const float *want, size_t n) {
    double off = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        off += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        all += (double)want[i] * want[i];
    }
    return off <= all * 1e-6; /* false for NaN */
}

static void compare(const struct trial *t, const char *what, const void *got, const void *want,
                    size_t n) {
    size_t at = 0;
    if (memcmp(got, want, n) == 0 || (!exact && close_enough(got, want, n / sizeof(float)))) return;
    while (((const char *)got)[at] == ((const char *)want)[at]) at++;
    fail_msg("%s, %s, %s: byte %zu of %zu; kv heads %u, group %u, widths %u %u, depth %u, tokens "
             "%u, window %u%s%s%s%s%s",
             on->name, what, types[t->type], at, n, t->s->n_kv, t->s->group, t->s->head_k,
             t->s->head_v, t->depth, t->n, t->window, t->chunked ? ", chunked" : "",
             t->sinks ? ", sinks" : "", t->slopes ? ", slopes" : "",
             t->softcap > 0 ? ", softcap" : "", t->rope ? ", rope" : "");
}

/* A position's row out of the device's buffer */
static void take_row(const struct ig_kv_shape *s, const uint8_t *kv, uint32_t position,
                     uint8_t *row) {
    uint32_t slot = s->ring ? position % s->ring : position, in = slot % IG_KV_BLOCK, n = s->n_kv;
    uint32_t units = s->v_at / n / 16, bytes = (s->ks_at - s->v_at) / n;
    const uint8_t *block = kv + (size_t)(slot / IG_KV_BLOCK) * IG_KV_BLOCK * s->row;
    memset(row, 0, s->row);
    for (uint32_t h = 0; h < n; h++) {
        for (uint32_t u = 0; u < units; u++)
            memcpy(row + (h * units + u) * 16, block + ((h * units + u) * IG_KV_BLOCK + in) * 16,
                   16);
        memcpy(row + s->v_at + h * bytes,
               block + IG_KV_BLOCK * s->v_at + (h * IG_KV_BLOCK + in) * bytes, bytes);
        if (s->type != IG_DKV_Q8) continue;
        memcpy(row + s->ks_at + 4 * h, block + IG_KV_BLOCK * s->ks_at + (h * IG_KV_BLOCK + in) * 4,
               4);
        memcpy(row + s->vs_at + 4 * h, block + IG_KV_BLOCK * s->vs_at + (h * IG_KV_BLOCK + in) * 4,
               4);
    }
}

static void compare_rows(struct trial *t, struct ig_dev_mem *kv) {
    size_t n = (size_t)ig_kv_bytes(&t->kv, t->depth + t->n);
    uint8_t *all = malloc(n), *got = malloc(t->kv.row), *want = malloc(t->kv.row);
    OK(on->download(device, kv, 0, all, n, &err));
    for (uint32_t p = first_of(t, t->depth); p < t->depth + t->n; p++) {
        take_row(&t->kv, all, p, got);
        ig_kv_row(&t->cache, &t->cache.layers[0], &t->kv, p, want);
        compare(t, p < t->depth ? "kv_load" : "kv_put", got, want, t->kv.row);
    }
    free(all), free(got), free(want);
}

static void compare_stage(const struct trial *t, const float *stage, uint32_t stride) {
    uint32_t wk = t->s->n_kv * t->s->head_k, wv = t->s->n_kv * t->s->head_v;
    for (uint32_t i = 0; i < t->n; i++) {
        compare(t, "staged keys", stage + i * stride, t->turned + i * wk, wk * sizeof(float));
        compare(t, "staged values", stage + i * stride + wk, t->v + i * wv, wv * sizeof(float));
    }
}

/* ---- A trial ---- */

enum { BEFORE = 3 }; /* rows of the pass that belong to another timeline */

/* `n` rows with three rows of garbage before them */
static struct ig_dev_mem *put_rows(const float *p, uint32_t n, uint32_t width, uint32_t stride) {
    size_t all = (size_t)(n + BEFORE) * stride;
    float *rows = malloc((all ? all : 1) * sizeof *rows);
    memset(rows, 0xff, all * sizeof *rows);
    for (uint32_t i = 0; i < n; i++)
        memcpy(rows + (i + BEFORE) * stride, p + (size_t)i * width, width * sizeof *rows);
    struct ig_dev_mem *m = put(rows, all * sizeof *rows);
    free(rows);
    return m;
}

static uint32_t up16(uint32_t n) {
    return (n + 15) / 16 * 16;
}

static struct ig_dev_mem *load_old(struct trial *t) {
    uint32_t first = first_of(t, t->depth), n = t->depth - first;
    size_t bytes = (size_t)ig_kv_bytes(&t->kv, t->depth + t->n);
    uint8_t *nan = malloc(bytes);
    memset(nan, 0xff, bytes); /* what was never written must not be seen */
    struct ig_dev_mem *kv = put(nan, bytes);
    free(nan);
    struct ig_kv_load_args a = {.s = t->kv, .first = first};
    if (!n) return kv;
    uint8_t *rows = malloc((size_t)n * t->kv.row);
    for (uint32_t i = 0; i < n; i++)
        ig_kv_row(&t->cache, &t->cache.layers[0], &t->kv, first + i, rows + (size_t)i * t->kv.row);
    struct ig_dev_mem *in = put(rows, (size_t)n * t->kv.row);
    run("kv_load", NULL, t->kv.n_kv, n, (struct ig_dev_mem *[]){in, kv}, 2, &a, sizeof a);
    free(rows);
    on->free(device, in);
    return kv;
}

static void run_put(struct trial *t, struct ig_dev_mem *q, struct ig_dev_mem *kv,
                    struct ig_dev_mem *tok, uint32_t q_stride) {
    const struct shape *s = t->s;
    uint32_t wk = s->n_kv * s->head_k, wv = s->n_kv * s->head_v, stride = up16(wk + wv) + 16;
    struct ig_dev_mem *k = put_rows(t->k, t->n, wk, up16(wk)),
                      *v = put_rows(t->v, t->n, wv, up16(wv)),
                      *table = put_rows(t->table, t->n, t->dims, t->dims),
                      *stage = put(NULL, ((size_t)t->n * stride + 16) * sizeof(float));
    struct ig_rope_put_args a = {.put = {.s = t->kv,
                                         .from = BEFORE,
                                         .k_stride = up16(wk),
                                         .v_stride = up16(wv),
                                         .keep = 1,
                                         .stage_at = 16,
                                         .stage_stride = stride},
                                 .heads = t->heads,
                                 .q_stride = q_stride,
                                 .dims = t->dims,
                                 .pairwise = t->pairwise};
    if (t->rope)
        run("rope_put", types[t->type], t->heads + s->n_kv, t->n,
            (struct ig_dev_mem *[]){q, k, v, table, tok, kv, stage}, 7, &a, sizeof a);
    else
        run("kv_put", types[t->type], s->n_kv, t->n, (struct ig_dev_mem *[]){k, v, tok, kv, stage},
            5, &a.put, sizeof a.put);
    float *got = malloc((size_t)t->n * stride * sizeof *got);
    OK(on->download(device, stage, 16 * sizeof *got, got, (size_t)t->n * stride * sizeof *got,
                    &err));
    compare_stage(t, got, stride);
    free(got);
    on->free(device, k), on->free(device, v), on->free(device, table), on->free(device, stage);
}

static void run_attend(const struct trial *t, const char *what, struct ig_dev_mem *q,
                       struct ig_dev_mem *kv, struct ig_dev_mem *tok, const float *want,
                       uint32_t q_stride) {
    const struct shape *s = t->s;
    uint32_t width = t->heads * s->head_v, stride = up16(width) + 16, last = t->depth + t->n - 1;
    struct ig_attend_args a = {.s = t->kv,
                               .from = BEFORE,
                               .n = t->n,
                               .heads = t->heads,
                               .q_stride = q_stride,
                               .dst_stride = stride,
                               .window = t->window,
                               .chunk0 = first_of(t, t->depth) / IG_ATTEND_CHUNK,
                               .scale = t->scale,
                               .softcap = t->softcap};
    a.chunks = last / IG_ATTEND_CHUNK - a.chunk0 + 1;
    a.flags = (t->sinks ? IG_ATT_SINKS : 0) | (t->slopes ? IG_ATT_SLOPES : 0) |
              (t->chunked ? IG_ATT_CHUNKED : 0);
    size_t part = (size_t)IG_ATT_PART + up16(s->head_v), rows = (t->n + BEFORE) * stride;
    struct ig_dev_mem *parts = put(NULL, t->n * t->heads * a.chunks * part * sizeof(float)),
                      *sinks = put(t->sink, t->heads * sizeof(float)),
                      *slopes = put(t->slope, t->heads * sizeof(float)),
                      *dst = put(NULL, rows * sizeof(float));
    struct ig_dev_mem *b[] = {q, kv, tok, parts, sinks, slopes, dst};
    if (strcmp(what, "few") == 0) {
        run("attend_few", types[t->type], a.chunks, s->n_kv * ((t->n * s->group + 7) / 8), b, 7, &a,
            sizeof a);
        run("attend_merge", NULL, t->heads, t->n, b, 7, &a, sizeof a);
    } else {
        run("attend_many", types[t->type], (t->n * s->group + 15) / 16, s->n_kv, b, 7, &a,
            sizeof a);
    }
    float *got = malloc(rows * sizeof *got);
    OK(on->download(device, dst, 0, got, rows * sizeof *got, &err));
    for (uint32_t i = 0; i < t->n; i++)
        compare(t, what, got + (size_t)(i + BEFORE) * stride, want + (size_t)i * width,
                width * sizeof(float));
    free(got);
    on->free(device, parts), on->free(device, sinks), on->free(device, slopes),
        on->free(device, dst);
}

static void try_it(struct trial *t) {
    begin(t);
    uint32_t wq = t->heads * t->s->head_k, q_stride = up16(wq);
    float *turned = turn_queries(t);
    struct ig_token *tokens = calloc(t->n + BEFORE, sizeof *tokens);
    memcpy(tokens + BEFORE, t->tok, t->n * sizeof *tokens);
    for (uint32_t i = 0; i < t->n * t->heads; i++)
        cpu_row(t, turned + (size_t)i * t->s->head_k, i / t->heads, i % t->heads,
                t->want + (size_t)i * t->s->head_v);
    struct ig_dev_mem *kv = load_old(t), *tok = put(tokens, (t->n + BEFORE) * sizeof *tokens),
                      *q = put_rows(t->q, t->n, wq, q_stride);
    run_put(t, q, kv, tok, q_stride);
    compare_rows(t, kv);
    float *got = malloc((size_t)(t->n + BEFORE) * q_stride * sizeof *got);
    OK(on->download(device, q, 0, got, (size_t)(t->n + BEFORE) * q_stride * sizeof *got, &err));
    for (uint32_t i = 0; i < t->n; i++)
        compare(t, "queries", got + (size_t)(i + BEFORE) * q_stride, turned + (size_t)i * wq,
                wq * sizeof *got);
    run_attend(t, "few", q, kv, tok, t->want, q_stride);
    run_attend(t, "many", q, kv, tok, t->want, q_stride);
    on->free(device, kv), on->free(device, tok), on->free(device, q);
    free(got), free(turned), free(tokens);
    end(t);
}

/* ---- The tests ---- */

static const struct shape shapes[] = {
    {2, 1, 64, 64},   {2, 4, 64, 64},     {1, 3, 80, 80},   {1, 2, 128, 128},
    {2, 3, 24, 40},   {1, 1, 96, 16},     {1, 2, 256, 256}, {3, 1, 17, 33},
    {1, 5, 192, 128}, {1, 1, 1024, 1024}, {1, 64, 16, 20},  {1, 9, 576, 512},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* Something of everything, with little work where heads are large. */
static void random_trial(uint32_t i, enum ig_cache_type type) {
    struct trial t = {.s = &shapes[i % SHAPES], .type = type};
    uint32_t size = t.s->n_kv * t.s->group * (t.s->head_k + t.s->head_v), most = 40 * 1024 / size;
    t.n = 1 + below(most < 1 ? 1 : most > 40 ? 40 : most);
    t.depth = below(size > 2000 ? 300 : 660);
    if (below(3) == 0) t.window = 1 + below(below(2) ? 30 : 400);
    t.chunked = below(3) == 0;
    t.sinks = below(3) == 0;
    t.slopes = below(4) == 0;
    t.softcap = below(4) == 0 ? 30.0f : 0;
    t.scale = below(2) ? 0.125f : 1.5f;
    t.dims = t.s->head_k / 2 * 2;
    if (below(2)) t.dims = t.dims / 4 * 2;
    t.rope = t.dims && below(2);
    t.pairwise = below(2);
    t.infinite = exact && below(4) == 0;
    try_it(&t);
}

static void every_type_on(const struct ig_backend *b, const struct ig_device_info *info,
                          uint32_t trials) {
    struct ig_device_config config = {.mem = &mem};
    on = b;
    exact = info->software || b == &ig_backend_host;
    OK(on->open(&device, info, &config, &err));
    for (uint32_t i = 0; i < trials; i++)
        for (int type = IG_CACHE_F16; type <= IG_CACHE_Q8; type++)
            if ((i + (uint32_t)type) % thin(3, 3) == 0) random_trial(i, (enum ig_cache_type)type);
    on->close(device);
    assert_int_equal(ig_mem_used(&mem), 0);
}

static void host_gives_the_cpus_bits(void **state) {
    static struct ig_device_list list;
    char why[256];
    (void)state;
    if (!GPU_HOST) skip();
    ig_backend_host.list(&list, why);
    every_type_on(&ig_backend_host, &list.device[0], 2 * SHAPES);
}

static void devices_give_the_cpus_bits(void **state) {
    static struct ig_device_list list;
    uint32_t tried = 0;
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* drivers leak, and are not ours */
#endif
    ig_devices_list(&list);
    for (uint32_t i = 0; i < list.n; i++)
        for (uint32_t b = 0; list.device[i].usable && ig_backend_at(b); b++)
            if (strcmp(ig_backend_at(b)->name, list.device[i].backend) == 0) {
                every_type_on(ig_backend_at(b), &list.device[i], SHAPES);
                tried++;
            }
    if (!tried) skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_gives_the_cpus_bits),
        cmocka_unit_test(devices_give_the_cpus_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
