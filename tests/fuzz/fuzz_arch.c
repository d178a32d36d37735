/* A whole GGUF model up to its bound weights: keys, hyper-parameters, tensors and their shapes.
 * What is accepted has every matrix inside the file and every vector readable to its end. */
#include <stdint.h>
#include <stdlib.h>
#include "arch/arch.h"

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

static unsigned touch(const struct ig_slot *s) {
    unsigned sum = 0;
    const struct ig_mat *m = &s->mat;
    for (uint32_t i = 0; (m->data || m->parts) && i < m->count && i < 64; i++) {
        const uint8_t *p = ig_mat_at(m, i);
        if (m->rows && m->row_bytes) sum += p[0] + p[m->row_bytes * m->rows - 1];
    }
    if (s->vec && s->n) sum += s->vec[0] > s->vec[s->n - 1];
    if (s->bias && s->n_bias) sum += s->bias[0] > s->bias[s->n_bias - 1];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static volatile unsigned sink;
    struct ig_mem mem = {0};
    struct ig_arena arena = {.mem = &mem};
    struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}};
    struct ig_arch a = {0};
    ingle_error err = {0};
    if (!ig_gguf_read(&v, data, size, type_size, &err)) {
        ingle_status s = ig_arch_open(&a, &arena, &v, &(struct ig_log){0}, &err);
        if (s && (!err.message[0] || err.code != s)) abort();
        for (int r = 0; !s && r < IG_ROLE_COUNT; r++) {
            sink = touch(&a.w.global[r]);
            for (uint32_t l = 0; l < a.hp.n_layer; l++) sink = touch(&a.w.layer[l][r]);
        }
    }
    (void)sink;
    if (mem.peak > 16 * size + (64u << 20)) abort();
    ig_arena_free(&arena);
    ig_view_close(&v);
    if (ig_mem_used(&mem)) abort();
    return 0;
}

#include "gguf_mutator.h"
