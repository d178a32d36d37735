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

#include "gguf_mutator.h"
