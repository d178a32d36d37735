/* rows.k against the scalar CPU kernels, bit for bit, on every device there is. */
#include "gpu/op_test.h"

#include "gpu/args.h"

#include "arch/arch.h"
#include "cpu/kernels.h"
#include "plan/rope.h"

static const struct ig_kernels *cpu = &ig_kernels_scalar;
static const struct op_device *dev;

static void on_each(void (*fn)(void)) {
    for (unsigned i = 0; i < op_n_devices; i++) {
        dev = &op_devices[i];
        if (dev->backend == &ig_backend_host && dev->info.index == 1)
            continue; /* these kernels know no subgroups */
        double start = op_seconds();
        fn();
        print_message("%s: %.1f s\n", dev->info.backend, op_seconds() - start);
    }
}

/* ---- Norms ---- */

static void cpu_norm(float *dst, const float *a, const float *w, const float *b, uint32_t n,
                     float eps, bool layer) {
    (layer ? cpu->norm_layer : cpu->norm_rms)(dst, a, w, b, n, eps);
}

static void one_norm(const char *name, uint32_t n, uint32_t heads, uint32_t flags, bool in_place) {
    enum { ROWS = 3 };
    uint32_t width = n * heads, stride = (width + 15) / 16 * 16 + 16, at = in_place ? 0 : 8;
    uint32_t nw = flags & IG_NORM_PER_HEAD ? width : n;
    float *a = op_floats((size_t)ROWS * stride, 3), *w = op_floats(nw, 1), *bias = op_floats(nw, 1);
    size_t bytes = (size_t)ROWS * stride * sizeof *a;
    float *got = in_place ? op_copy(a, bytes) : op_filled(bytes), *want = op_copy(got, bytes);
    for (uint32_t r = 0; r < ROWS; r++)
        for (uint32_t h = 0; h < heads; h++) {
            uint32_t first = flags & IG_NORM_PER_HEAD ? h * n : 0;
            cpu_norm(want + (size_t)r * stride + h * n, a + (size_t)r * stride + at + h * n,
                     flags & IG_NORM_WEIGHT ? w + first : NULL,
                     flags & IG_NORM_BIAS ? bias + first : NULL, n, 1e-5f,
                     (flags & IG_NORM_MEAN) != 0);
        }
    struct ig_norm_args args = {.n = n,
                                .heads = heads,
                                .a_stride = stride,
                                .a_at = at,
                                .dst_stride = stride,
                                .flags = flags,
                                .eps = 1e-5f};
    struct op_buf buf[] = {{in_place ? got : a, bytes, false},
                           {w, nw * sizeof *w, false},
                           {bias, nw * sizeof *w, false},
                           {got, bytes, true}};
    unsigned same[4] = {0, 0, 0, in_place ? 1 : 0};
    bool each_16 = !strcmp(name, "norm_heads");
    op_run(dev, "rows", name, each_16 ? (heads + 15) / 16 : heads, ROWS, 1, buf, 4, same, &args,
           sizeof args);
    op_same_floats(name, got, want, (size_t)ROWS * stride);
    free(a), free(w), free(bias), free(got), free(want);
}

static void norms_of(void) {
    static const uint32_t ns[] = {1, 5, 16, 40, 100, 2048, 4099, 6144, 6145, 13001};
    for (unsigned i = 0; i < sizeof ns / sizeof *ns; i++)
        for (uint32_t flags = 0; flags < 16; flags++) {
            if (flags & IG_NORM_PER_HEAD || (ns[i] > 4099 && flags % 3)) continue;
            one_norm("norm", ns[i], 1, flags, flags & 1);
        }
    one_norm("norm", 96, 3, IG_NORM_WEIGHT | IG_NORM_PER_HEAD, false);
    static const uint32_t heads[][2] = {{1, 1},   {64, 3},   {128, 16}, {80, 17},
                                        {256, 5}, {130, 33}, {515, 2}};
    for (unsigned i = 0; i < sizeof heads / sizeof *heads; i++)
        for (uint32_t flags = 0; flags < 16; flags++)
            one_norm("norm_heads", heads[i][0], heads[i][1], flags, flags % 3 == 0);
}
static void norms(void **state) {
    (void)state;
    on_each(norms_of);
}

/* ---- What quantised rows look like ---- */

struct quantised {
    int8_t *q;
    float *d;
    int16_t *sum;
    uint32_t rows, q_stride, d_stride, s_stride;
};

static struct quantised quantised_new(uint32_t rows, uint32_t n) {
    struct quantised o = {.rows = rows,
                          .q_stride = (n + 15) / 16 * 16 + 16,
                          .d_stride = n / 32 + 3,
                          .s_stride = n / 16 + 5};
    o.q = op_filled((size_t)rows * o.q_stride);
    o.d = op_filled((size_t)rows * o.d_stride * sizeof *o.d);
    o.sum = op_filled((size_t)rows * o.s_stride * sizeof *o.sum);
    return o;
}
static void quantised_row(struct quantised *o, uint32_t r, const float *x, uint32_t n,
                          uint32_t per) {
    cpu->quantize(x, n, per, o->q + (size_t)r * o->q_stride, o->d + (size_t)r * o->d_stride,
                  o->sum + (size_t)r * o->s_stride);
}
static void quantised_bufs(struct quantised *o, struct op_buf *b) {
    b[0] = (struct op_buf){o->q, (size_t)o->rows * o->q_stride, true};
    b[1] = (struct op_buf){o->d, (size_t)o->rows * o->d_stride * sizeof *o->d, true};
    b[2] = (struct op_buf){o->sum, (size_t)o->rows * o->s_stride * sizeof *o->sum, true};
}
static void quantised_same(const char *what, const struct quantised *got,
                           const struct quantised *want) {
    op_same_floats(what, got->d, want->d, (size_t)got->rows * got->d_stride);
    op_same_bytes(what, got->q, want->q, (size_t)got->rows * got->q_stride);
    op_same_bytes(what, got->sum, want->sum, (size_t)got->rows * got->s_stride * sizeof *got->sum);
}
static void quantised_free(struct quantised *o) {
    free(o->q), free(o->d), free(o->sum);
}

static void one_quantize(uint32_t n, uint32_t per, uint32_t odd) {
    enum { ROWS = 3 };
    uint32_t stride = n + 32;
    float *a = op_floats((size_t)ROWS * stride, 2);
    if (odd) op_make_odd(a, (size_t)ROWS * stride, odd);
    struct quantised got = quantised_new(ROWS, n), want = quantised_new(ROWS, n);
    for (uint32_t r = 0; r < ROWS; r++) quantised_row(&want, r, a + (size_t)r * stride, n, per);
    struct ig_quantize_args args = {n, per, stride, got.q_stride, got.d_stride, got.s_stride};
    struct op_buf buf[4] = {{a, (size_t)ROWS * stride * sizeof *a, false}};
    quantised_bufs(&got, buf + 1);
    op_run(dev, "rows", "quantize", (n + 255) / 256, ROWS, 1, buf, 4, NULL, &args, sizeof args);
    quantised_same("quantize", &got, &want);
    free(a), quantised_free(&got), quantised_free(&want);
}

static void quantize_of(void) {
    static const uint32_t ns[] = {32, 224, 256, 480, 512, 4096, 14336};
    for (unsigned i = 0; i < sizeof ns / sizeof *ns; i++)
        for (uint32_t per = 32; per <= 256; per += 224) {
            one_quantize(ns[i], per, 0);
            one_quantize(ns[i], per, 40);
            one_quantize(ns[i], per, 400);
        }
}
static void quantise(void **state) {
    (void)state;
    on_each(quantize_of);
}

/* ---- add_norm_quantize ---- */

static void one_add_norm(uint32_t n, uint32_t flags, uint32_t per, unsigned x_is, unsigned h_is) {
    enum { ROWS = 2 };
    const uint32_t stride = (n + 15) / 16 * 16 + 16;
    const size_t floats = (size_t)ROWS * stride, bytes = floats * sizeof(float);
    float *a = op_floats(floats, 3), *b = op_floats(floats, 2), *post = op_floats(n, 1),
          *w = op_floats(n, 1), *bias = op_floats(n, 1), *x = op_filled(bytes),
          *h = op_filled(bytes);
    float *want[7] = {op_copy(a, bytes), op_copy(b, bytes), post, w, bias,
                      op_copy(x, bytes), op_copy(h, bytes)};
    float *got[7] = {a, b, post, w, bias, x, h}, *t = malloc(n * sizeof *t),
          *u = malloc(n * sizeof *u);
    struct quantised q = quantised_new(ROWS, n), want_q = quantised_new(ROWS, n);
    bool layer = (flags & IG_NORM_MEAN) != 0;
    for (uint32_t r = 0; r < ROWS; r++) {
        size_t at = (size_t)r * stride;
        memcpy(t, a + at, n * sizeof *t);
        memcpy(u, b + at, n * sizeof *u);
        if (flags & IG_NORM_POST) cpu_norm(u, u, post, NULL, n, 1e-6f, layer);
        if (flags & IG_NORM_ADD) cpu->add(t, t, u, 0.75f, n);
        if (flags & IG_NORM_ADD) memcpy(want[x_is] + at, t, n * sizeof *t);
        cpu_norm(t, t, flags & IG_NORM_WEIGHT ? w : NULL, flags & IG_NORM_BIAS ? bias : NULL, n,
                 1e-5f, layer);
        if (flags & IG_NORM_KEEP) memcpy(want[h_is] + at, t, n * sizeof *t);
        if (per) quantised_row(&want_q, r, t, n, per);
    }
    struct ig_add_norm_args args = {n,      flags,  per,        stride,     stride,
                                    stride, stride, q.q_stride, q.d_stride, q.s_stride,
                                    0.75f,  1e-5f,  1e-6f};
    struct op_buf buf[10];
    unsigned same[10] = {[5] = x_is == 5 ? 0 : x_is + 1, [6] = h_is == 6 ? 0 : h_is + 1};
    for (unsigned i = 0; i < 7; i++)
        buf[i] = (struct op_buf){got[i], i >= 2 && i < 5 ? n * sizeof(float) : bytes,
                                 (i < 2 || i > 4) && !same[i]};
    quantised_bufs(&q, buf + 7);
    op_run(dev, "rows", "add_norm_quantize", ROWS, 1, 1, buf, 10, same, &args, sizeof args);
    for (unsigned i = 0; i < 7; i++)
        if (!same[i])
            op_same_floats("add_norm_quantize", got[i], want[i], i >= 2 && i < 5 ? n : floats);
    quantised_same("add_norm_quantize", &q, &want_q);
    for (unsigned i = 0; i < 7; i++) {
        if (want[i] != got[i]) free(want[i]);
        free(got[i]);
    }
    free(t), free(u), quantised_free(&q), quantised_free(&want_q);
}

static void add_norm_of(void) {
    static const uint32_t ns[] = {32, 288, 2048, 6144, 6176, 8192, 12544};
    for (unsigned i = 0; i < sizeof ns / sizeof *ns; i++)
        for (uint32_t flags = 0; flags < 128; flags++) {
            if (flags & IG_NORM_PER_HEAD || (flags & IG_NORM_POST && !(flags & IG_NORM_ADD)))
                continue;
            if (ns[i] > 288 && op_random() % 4) continue;
            uint32_t per = op_random() % 3 == 0 ? 0 : op_random() % 2 ? 32 : 256;
            unsigned x_is = op_random() % 3, h_is = op_random() % 3;
            x_is = x_is == 2 ? 5 : x_is;
            h_is = h_is == 2 || h_is == x_is ? 6 : h_is;
            one_add_norm(ns[i], flags, per, x_is, h_is);
        }
    one_add_norm(100, IG_NORM_ADD | IG_NORM_KEEP | IG_NORM_WEIGHT, 0, 0, 6);
}
static void add_norm(void **state) {
    (void)state;
    on_each(add_norm_of);
}

/* ---- Activations ---- */

static const float xielu[4] = {0.8f, 0.6f, 0.5f, -1e-6f}, oai[4] = {7.0f, 1.702f};

static void one_glu(uint32_t n, uint32_t act, bool two, uint32_t per, bool keep, bool in_place,
                    uint32_t odd) {
    enum { ROWS = 2 };
    uint32_t stride = n + 16;
    size_t floats = (size_t)ROWS * stride, bytes = floats * sizeof(float);
    const float *f = act == IG_ACT_OAI ? oai : xielu;
    float *a = op_floats(floats, 4), *b = op_floats(floats, 4);
    if (odd) op_make_odd(a, floats, odd);
    float *dst = in_place ? a : op_filled(bytes), *want = op_copy(dst, bytes),
          *t = malloc(n * sizeof *t);
    struct quantised q = quantised_new(ROWS, n), want_q = quantised_new(ROWS, n);
    for (uint32_t r = 0; r < ROWS; r++) {
        if (two)
            cpu->glu((uint8_t)act, f, t, a + (size_t)r * stride, b + (size_t)r * stride, n);
        else
            cpu->act((uint8_t)act, f, t, a + (size_t)r * stride, n);
        if (keep) memcpy(want + (size_t)r * stride, t, n * sizeof *t);
        quantised_row(&want_q, r, t, n, per);
    }
    struct ig_glu_args args = {n,          two ? IG_EL_GLU : IG_EL_ACT,
                               act,        per,
                               keep,       stride,
                               stride,     stride,
                               q.q_stride, q.d_stride,
                               q.s_stride, f[0],
                               f[1],       f[2],
                               f[3]};
    struct op_buf buf[6] = {{a, bytes, in_place}, {b, bytes, false}, {dst, bytes, !in_place}};
    unsigned same[6] = {0, 0, in_place ? 1 : 0, 0, 0, 0};
    quantised_bufs(&q, buf + 3);
    op_run(dev, "rows", "glu_quantize", (n + 255) / 256, ROWS, 1, buf, 6, same, &args, sizeof args);
    op_same_floats("glu_quantize", dst, want, floats);
    quantised_same("glu_quantize", &q, &want_q);
    if (!in_place) free(dst);
    free(a), free(b), free(want), free(t), quantised_free(&q), quantised_free(&want_q);
}

static void glu_of(void) {
    for (uint32_t act = 0; act <= IG_ACT_TANH; act++)
        for (unsigned i = 0; i < 16; i++) {
            if (act == IG_ACT_OAI && !(i & 1)) continue;
            one_glu(i & 8 ? 2048 : 288, act, i & 1, i & 2 ? 32 : 256, i & 4, i & 8,
                    i % 3 == 0 ? 50 : 0);
        }
}
static void glu(void **state) {
    (void)state;
    on_each(glu_of);
}

/* ---- Elementwise ---- */

static void clamp(float *dst, const float *a, float f, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) dst[i] = a[i] > f ? f : a[i] < -f ? -f : a[i];
}

static void cpu_element(const struct ig_element_args *p, float *dst, const float *a,
                        const float *b) {
    const float f[4] = {p->f0, p->f1, p->f2, p->f3};
    float s;
    switch (p->what) {
    case IG_EL_ADD: cpu->add(dst, a, b, f[0], p->n); break;
    case IG_EL_SCALE: cpu->scale(dst, a, f[0], p->n); break;
    case IG_EL_CLAMP: clamp(dst, a, f[0], p->n); break;
    case IG_EL_SOFTCAP: cpu->softcap(dst, a, f[0], p->n); break;
    case IG_EL_ACT: cpu->act((uint8_t)p->act, f, dst, a, p->n); break;
    case IG_EL_GLU: cpu->glu((uint8_t)p->act, f, dst, a, b, p->n); break;
    case IG_EL_MUL: cpu->mul(dst, a, b, p->n); break;
    case IG_EL_GATE:
        cpu->act(IG_ACT_SIGMOID, f, &s, b, 1);
        cpu->scale(dst, a, s, p->n);
        break;
    default: memcpy(dst, a, p->n * sizeof *dst);
    }
}

static void one_element(uint32_t n, uint32_t what, uint32_t act, bool in_place, uint32_t odd) {
    enum { ROWS = 3 };
    uint32_t stride = (n + 15) / 16 * 16 + 32;
    size_t floats = (size_t)ROWS * stride, bytes = floats * sizeof(float);
    struct ig_element_args args = {n,    what, act,  stride, in_place ? 0 : 7, stride, 5, stride,
                                   0.7f, 0.9f, 0.5f, -1e-6f};
    if (act == IG_ACT_OAI) args.f0 = 7, args.f1 = 1.702f;
    if (what == IG_EL_SOFTCAP) args.f0 = 30;
    float *a = op_floats(floats, 4), *b = op_floats(floats, 4);
    if (odd) op_make_odd(a, floats, odd), op_make_odd(b, floats, odd);
    float *dst = in_place ? a : op_filled(bytes), *want = op_copy(dst, bytes);
    for (uint32_t r = 0; r < ROWS; r++)
        cpu_element(&args, want + (size_t)r * stride, a + (size_t)r * stride + args.a_at,
                    b + (size_t)r * stride + args.b_at);
    struct op_buf buf[3] = {{a, bytes, in_place}, {b, bytes, false}, {dst, bytes, !in_place}};
    unsigned same[3] = {0, 0, in_place ? 1 : 0};
    op_run(dev, "rows", "element", (n + 255) / 256, ROWS, 1, buf, 3, same, &args, sizeof args);
    op_same_floats("element", dst, want, floats);
    if (!in_place) free(dst);
    free(a), free(b), free(want);
}

static void element_of(void) {
    static const uint32_t ns[] = {1, 100, 256, 2049};
    for (unsigned i = 0; i < 4; i++)
        for (uint32_t what = 0; what <= IG_EL_GATE; what++) {
            bool acts = what == IG_EL_ACT || what == IG_EL_GLU;
            for (uint32_t act = 0; act <= (acts ? IG_ACT_TANH : 0u); act++)
                for (unsigned k = 0; k < 2; k++) one_element(ns[i], what, act, k, k ? 20 : 0);
        }
}
static void element(void **state) {
    (void)state;
    on_each(element_of);
}

static void one_rope(uint32_t n, uint32_t heads, uint32_t dims, bool pairwise) {
    enum { ROWS = 3 };
    uint32_t stride = (n * heads + 15) / 16 * 16 + 16;
    size_t floats = (size_t)ROWS * stride;
    float *x = op_floats(floats, 2), *want = op_copy(x, floats * sizeof *x),
          *table = op_floats((size_t)ROWS * dims, 1);
    for (uint32_t r = 0; r < ROWS; r++)
        for (uint32_t h = 0; h < heads; h++)
            ig_rope_apply(want + (size_t)r * stride + h * n, table + (size_t)r * dims, dims,
                          pairwise);
    struct ig_rope_args args = {n, heads, dims, stride, pairwise};
    struct op_buf buf[2] = {{x, floats * sizeof *x, true},
                            {table, (size_t)ROWS * dims * sizeof *table, false}};
    op_run(dev, "rows", "rope", (heads * dims / 2 + 63) / 64, ROWS, 1, buf, 2, NULL, &args,
           sizeof args);
    op_same_floats("rope", x, want, floats);
    free(x), free(want), free(table);
}

static void moved_of(void) {
    enum { ROWS = 4, N = 300, STRIDE = 320, FROM = 7 };
    one_rope(64, 5, 64, false), one_rope(64, 5, 64, true), one_rope(80, 3, 20, false),
        one_rope(96, 33, 96, true);
    struct ig_token tok[ROWS] = {
        {1, 2, 0.5f, 0}, {3, 4, 1.0f, 0}, {5, 6, 1.37f, 0}, {7, 8, -2.0f, 0}};
    uint32_t index[ROWS] = {6, 0, 3, 3};
    float *x = op_floats(FROM * STRIDE, 2), *want = op_copy(x, ROWS * STRIDE * sizeof *x);
    float *got = op_copy(x, ROWS * STRIDE * sizeof *x);
    for (uint32_t r = 0; r < ROWS; r++)
        cpu->scale(want + r * STRIDE, want + r * STRIDE, tok[r].temperature, N);
    struct ig_temperature_args t = {N, STRIDE};
    struct op_buf buf[3] = {{got, ROWS * STRIDE * sizeof *x, true}, {tok, sizeof tok, false}};
    op_run(dev, "rows", "temperature", 2, ROWS, 1, buf, 2, NULL, &t, sizeof t);
    op_same_floats("temperature", got, want, ROWS * STRIDE);
    for (uint32_t r = 0; r < ROWS; r++)
        memcpy(want + r * STRIDE, x + index[r] * STRIDE, N * sizeof *x);
    struct ig_gather_args g = {N, STRIDE, STRIDE};
    buf[0] = (struct op_buf){x, FROM * STRIDE * sizeof *x, false};
    buf[1] = (struct op_buf){index, sizeof index, false};
    buf[2] = (struct op_buf){got, ROWS * STRIDE * sizeof *x, true};
    op_run(dev, "rows", "gather", 2, ROWS, 1, buf, 3, NULL, &g, sizeof g);
    op_same_floats("gather", got, want, ROWS * STRIDE);
    free(x), free(want), free(got);
}
static void moved(void **state) {
    (void)state;
    on_each(moved_of);
}

/* ---- The best logits ---- */

static const float *top_logits;
static int top_before(const void *pa, const void *pb) {
    uint32_t i = *(const uint32_t *)pa, j = *(const uint32_t *)pb;
    float a = top_logits[i], b = top_logits[j];
    if ((a != a) != (b != b)) return a != a ? 1 : -1;
    if (a > b || a < b) return a > b ? -1 : 1;
    return i < j ? -1 : 1;
}

static void one_top(uint32_t n, uint32_t rows, uint32_t kind) {
    uint32_t groups = (n + 2047) / 2048, stride = n + 9;
    float *a = op_floats((size_t)rows * stride, 5);
    uint32_t *order = malloc(n * sizeof *order), last = groups;
    for (size_t i = 0; i < (size_t)rows * stride; i++) {
        if (kind == 1) a[i] = (float)(op_random() % 50) - 25; /* ties */
        if (kind == 2) a[i] = (float)NAN;
        if (kind == 3) a[i] = op_random() % 3 ? -(float)INFINITY : -0.0f * (float)(op_random() % 2);
    }
    if (kind == 4) op_make_odd(a, (size_t)rows * stride, 5);
    struct op_buf buf[2] = {{a, (size_t)rows * stride * sizeof *a, false}};
    struct ig_top_args args = {n, stride, 0};
    uint32_t *in = NULL, *out = NULL;
    for (uint32_t pairs = 0; !pairs || last > 1; pairs = 1) {
        if (pairs) last = groups;
        size_t bytes = (size_t)rows * groups * 64 * 2 * sizeof *out;
        out = op_filled(bytes);
        buf[1] = (struct op_buf){out, bytes, true};
        args.pairs = pairs;
        op_run(dev, "rows", "top", groups, rows, 1, buf, 2, NULL, &args, sizeof args);
        free(in);
        in = out;
        buf[0] = (struct op_buf){in, bytes, false};
        args.n = 64 * groups, args.stride = 2 * args.n;
        last = groups;
        groups = (args.n + 2047) / 2048;
        if (last == 1) break;
    }
    for (uint32_t r = 0; r < rows; r++) {
        top_logits = a + (size_t)r * stride;
        for (uint32_t i = 0; i < n; i++) order[i] = i;
        qsort(order, n, sizeof *order, top_before);
        for (uint32_t i = 0; i < 64; i++) {
            const uint32_t *o = out + ((size_t)r * 64 + i) * 2;
            assert_int_equal(o[0], i < n ? order[i] : UINT32_MAX);
            if (i < n) assert_memory_equal(&o[1], &top_logits[order[i]], 4);
        }
    }
    free(a), free(order), free(out);
}

static void top_of(void) {
    static const uint32_t ns[] = {1, 63, 64, 65, 2048, 2049, 5000, 70000};
    for (unsigned i = 0; i < sizeof ns / sizeof *ns; i++)
        for (uint32_t kind = 0; kind < 5; kind++) one_top(ns[i], ns[i] > 5000 ? 1 : 2, kind);
}
static void top(void **state) {
    (void)state;
    on_each(top_of);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(norms), cmocka_unit_test(quantise), cmocka_unit_test(add_norm),
        cmocka_unit_test(glu),   cmocka_unit_test(element),  cmocka_unit_test(moved),
        cmocka_unit_test(top),
    };
    return cmocka_run_group_tests(tests, op_open, op_close);
}
