/* The GGUF reader takes any bytes. What it accepts is read through and through: every value by its
 * accessors, the first and last byte of every tensor. The mutator knows where counts, lengths,
 * types and offsets lie and writes the values that break readers. */
#include <stdint.h>
#include <stdlib.h>
#include "file/view.h"
#include "quant/quant.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool type_size(uint32_t type, uint32_t *weights, uint32_t *bytes, const char **name,
                      const char **why) {
    const struct ig_quant *q = ig_quant_by_id(type);
    *why = ig_quant_removed(type);
    if (!q) return false;
    *weights = q->block;
    *bytes = q->bytes;
    *name = q->name;
    return true;
}

static uint64_t touch_value(const struct ig_kv *kv) {
    uint64_t sum = 0, at = 0;
    struct ig_str s;
    int64_t i;
    double f;
    bool b;
    while (ig_kv_next_str(kv, &at, &s))
        if (s.n) sum += (uint8_t)s.p[0] + (uint8_t)s.p[s.n - 1];
    if (ig_kv_str(kv, &s) && s.n) sum += (uint8_t)s.p[s.n - 1];
    uint64_t n = kv->count < 64 ? kv->count : 64;
    for (uint64_t k = 0; k <= n; k++) {
        uint64_t index = k < n ? k : kv->count - 1;
        if (ig_kv_i64(kv, index, &i)) sum += (uint64_t)i;
        if (ig_kv_f64(kv, index, &f)) sum += f > 0;
        if (ig_kv_bool(kv, index, &b)) sum += b;
    }
    if (ig_kv_f64(kv, kv->count, &f) || ig_kv_bool(kv, UINT64_MAX, &b)) abort();
    return sum;
}

static uint64_t touch(const struct ig_view *v, const uint8_t *data, size_t size) {
    uint64_t sum = 0;
    for (size_t i = 0; i < v->n_kv; i++) sum += touch_value(&v->kv[i]);
    for (size_t i = 0; i < v->n_tensors; i++) {
        const struct ig_tensor *t = &v->tensors[i];
        if (!t->bytes || t->data < data || t->bytes > size || t->data + t->bytes > data + size)
            abort();
        sum += t->data[0] + t->data[t->bytes - 1];
        if (ig_view_tensor(v, t->name) != t) abort();
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static volatile uint64_t sink;
    struct ig_mem mem = {0};
    struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}};
    ingle_error err = {0};
    ingle_status s = ig_gguf_read(&v, data, size, type_size, &err);
    if (s) {
        if (!err.message[0] || !err.hint[0] || err.code != s) abort();
    } else {
        sink = touch(&v, data, size);
    }
    (void)sink;
    if (mem.peak > 4 * size + (16u << 20)) abort();
    ig_view_close(&v);
    if (ig_mem_used(&mem)) abort();
    return 0;
}

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

enum { FIELDS_MAX = 4096 };
struct fields {
    size_t at[FIELDS_MAX];
    uint8_t width[FIELDS_MAX];
    size_t n, pos, size;
    const uint8_t *data;
    bool ok;
};

static uint64_t field(struct fields *f, unsigned width) {
    uint64_t v = 0;
    if (!f->ok || f->size - f->pos < width) {
        f->ok = false;
        return 0;
    }
    if (f->n < FIELDS_MAX) f->at[f->n] = f->pos, f->width[f->n++] = (uint8_t)width;
    for (unsigned i = width; i-- > 0;) v = v << 8 | f->data[f->pos + i];
    f->pos += width;
    return v;
}

static void skip(struct fields *f, uint64_t n) {
    if (!f->ok || n > f->size - f->pos)
        f->ok = false;
    else
        f->pos += (size_t)n;
}

static void value_fields(struct fields *f, unsigned wide) {
    static const uint8_t widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    uint64_t type = field(f, 4), count = 1;
    if (type == 9) {
        type = field(f, 4);
        count = field(f, wide);
    }
    if (type > 12 || type == 9) f->ok = false;
    for (uint64_t i = 0; i < count && f->ok; i++) {
        if (type == 8)
            skip(f, field(f, wide));
        else if (i < 4)
            field(f, widths[type]);
        else
            skip(f, widths[type]);
    }
}

/* Where the fields are, as far as the file makes sense. */
static void find_fields(struct fields *f, const uint8_t *data, size_t size) {
    *f = (struct fields){.data = data, .size = size, .ok = true};
    skip(f, 4);
    unsigned wide = field(f, 4) == 1 ? 4 : 8;
    uint64_t tensors = field(f, wide), keys = field(f, wide);
    for (uint64_t i = 0; i < keys && f->ok; i++) {
        skip(f, field(f, wide));
        value_fields(f, wide);
    }
    for (uint64_t i = 0; i < tensors && f->ok; i++) {
        skip(f, field(f, wide));
        uint64_t dims = field(f, 4);
        for (uint64_t d = 0; d < dims && f->ok; d++) field(f, wide);
        field(f, 4);
        field(f, 8);
    }
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    static const uint64_t wild[] = {0,
                                    1,
                                    2,
                                    3,
                                    4,
                                    5,
                                    8,
                                    9,
                                    12,
                                    13,
                                    31,
                                    32,
                                    33,
                                    255,
                                    256,
                                    257,
                                    1u << 20,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    UINT64_C(1) << 32,
                                    (UINT64_C(1) << 32) + 1,
                                    UINT64_C(1) << 61,
                                    UINT64_C(1) << 62,
                                    UINT64_C(1) << 63,
                                    UINT64_MAX,
                                    UINT64_MAX - 31,
                                    UINT64_MAX / 8 + 1};
    static struct fields f;
    uint64_t r = seed;
    find_fields(&f, data, size);
    if (!f.n || next_random(&r) % 3 == 0) return LLVMFuzzerMutate(data, size, max);
    for (uint64_t times = 1 + next_random(&r) % 3; times > 0; times--) {
        size_t k = next_random(&r) % f.n;
        uint64_t v = 0;
        for (unsigned i = f.width[k]; i-- > 0;) v = v << 8 | data[f.at[k] + i];
        switch (next_random(&r) % 4) {
        case 0: v = wild[next_random(&r) % (sizeof wild / sizeof *wild)]; break;
        case 1: v += next_random(&r) % 2 ? 1 : UINT64_MAX; break;
        case 2: v = size - f.at[k] - f.width[k] + next_random(&r) % 3 - 1; break;
        default: v ^= UINT64_C(1) << next_random(&r) % (8u * f.width[k]);
        }
        for (unsigned i = 0; i < f.width[k]; i++) data[f.at[k] + i] = (uint8_t)(v >> (8 * i));
    }
    return size;
}
#endif
