/* Writes small llama models with random weights in one block type: for tests that must see every type in a whole model.
 * One layer, 256 wide, 2304 in the feed-forward part (more than a slice of 2048 columns), no vocabulary. Include after cmocka.h. */
#ifndef MAKE_MODEL_H
#define MAKE_MODEL_H

#include <math.h>
#include <stdio.h>

#include "make_gguf.h"
#include "quant/quant.h"

enum { MODEL_VOCAB = 96, MODEL_WIDTH = 256, MODEL_FFN = 2304, MODEL_POOL = 64 };

static uint64_t model_random(void) {
    static uint64_t seed = 0x9E3779B97F4A7C15u;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Random bits that decode to weights of a usual size. */
static void random_block(const struct ig_quant *t, uint8_t *b) {
    float v[IG_QUANT_MAX_BLOCK], most;
    do {
        for (size_t k = 0; k < t->bytes; k++) b[k] = (uint8_t)(model_random() >> 30);
        t->decode(b, v, 1);
        most = 0;
        for (int i = 0; i < t->block; i++) most = fabsf(v[i]) <= most ? most : fabsf(v[i]);
    } while (!(most > 0.03f && most < 0.4f));
}

static void put_random(struct gguf *g, const struct ig_quant *t, const uint8_t *pool, uint64_t weights) {
    for (uint64_t i = 0; i < weights / t->block; i++) put(g, pool + t->bytes * (model_random() % MODEL_POOL), t->bytes);
    pad_to(g, 32);
}

struct model_tensor {
    const char *name;
    uint64_t cols, rows; /* rows 0: a vector of f32 */
};

static const struct model_tensor model_tensors[] = {
    {"token_embd.weight", MODEL_WIDTH, MODEL_VOCAB},       {"output_norm.weight", MODEL_WIDTH, 0},
    {"blk.0.attn_norm.weight", MODEL_WIDTH, 0},            {"blk.0.attn_q.weight", MODEL_WIDTH, MODEL_WIDTH},
    {"blk.0.attn_k.weight", MODEL_WIDTH, MODEL_WIDTH / 2}, {"blk.0.attn_v.weight", MODEL_WIDTH, MODEL_WIDTH / 2},
    {"blk.0.attn_output.weight", MODEL_WIDTH, MODEL_WIDTH}, {"blk.0.ffn_norm.weight", MODEL_WIDTH, 0},
    {"blk.0.ffn_gate.weight", MODEL_WIDTH, MODEL_FFN},     {"blk.0.ffn_up.weight", MODEL_WIDTH, MODEL_FFN},
    {"blk.0.ffn_down.weight", MODEL_FFN, MODEL_WIDTH}};
enum { MODEL_TENSORS = sizeof model_tensors / sizeof *model_tensors };

static void put_model_keys(struct gguf *g) {
    put_head(g, 3, MODEL_TENSORS, 8);
    kv_str(g, "general.architecture", "llama");
    kv_u32(g, "llama.block_count", 1);
    kv_u32(g, "llama.context_length", 1024);
    kv_u32(g, "llama.embedding_length", MODEL_WIDTH);
    kv_u32(g, "llama.feed_forward_length", MODEL_FFN);
    kv_u32(g, "llama.attention.head_count", 4);
    kv_u32(g, "llama.attention.head_count_kv", 2);
    kv_int(g, "llama.attention.layer_norm_rms_epsilon", 6, 0x3727c5ac, 4); /* 1e-5 */
}

/* The bytes of a GGUF file; free g->p. */
static void put_model(struct gguf *g, const struct ig_quant *t) {
    uint8_t pool[MODEL_POOL * IG_QUANT_MAX_BYTES];
    uint64_t offset = 0;
    for (size_t i = 0; i < MODEL_POOL; i++) random_block(t, pool + t->bytes * i);
    put_model_keys(g);
    for (size_t i = 0; i < MODEL_TENSORS; i++) {
        const struct model_tensor *m = &model_tensors[i];
        uint64_t bytes = m->rows ? m->cols * m->rows / t->block * t->bytes : 4 * m->cols;
        put_tensor(g, m->name, m->rows ? 2 : 1, (uint64_t[]){m->cols, m->rows}, m->rows ? t->id : 0, offset);
        offset += (bytes + 31) / 32 * 32;
    }
    pad_to(g, 32);
    for (size_t i = 0; i < MODEL_TENSORS; i++) {
        const struct model_tensor *m = &model_tensors[i];
        if (m->rows)
            put_random(g, t, pool, m->cols * m->rows);
        else
            for (uint64_t k = 0; k < m->cols; k++) put_u32(g, 0x3f800000 + (uint32_t)(model_random() & 0x3fffff));
    }
}

static inline void write_model(const char *path, const struct ig_quant *t) {
    struct gguf g = {0};
    put_model(&g, t);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(g.p, 1, g.n, f) != g.n || fclose(f)) fail_msg("cannot write %s", path);
    free(g.p);
}

#endif
