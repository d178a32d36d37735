/* Writes a small glm4moe model, one ordinary layer and a prediction layer (nextn), all F32, and
 * computes both anew with plain loops from the same weights. Include after cmocka.h. */
#ifndef MAKE_PREDICT_H
#define MAKE_PREDICT_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include "make_gguf.h"

enum {
    P_VOCAB = 64,
    P_WIDTH = 32,
    P_HEADS = 4,
    P_KV = 2,
    P_HEAD = 8,
    P_ROPE = 4,
    P_FFN = 48,
    P_MOST = 128
};

enum { /* which of the prediction layer's own tensors a file has */
       P_LAYER = 1,
       P_PROJ = 2,
       P_ENORM = 4,
       P_HNORM = 8,
       P_NORM = 16,
       P_EMBD = 32,
       P_HEAD_OWN = 64,
       P_NEEDED = P_LAYER | P_PROJ | P_ENORM | P_HNORM,
       P_ALL = 127
};

struct p_tensor {
    const char *name;
    int cols, rows; /* rows 0: a norm */
    int part;       /* 0: always there */
    float *w;
};

enum {
    P_T_EMBD,
    P_T_NORM,
    P_T_OUT,
    P_T_FIRST,
    P_T_SECOND = P_T_FIRST + 9,
    P_T_PROJ = P_T_SECOND + 9,
    P_T_ENORM,
    P_T_HNORM,
    P_T_SHARED_NORM,
    P_T_SHARED_EMBD,
    P_T_SHARED_OUT,
    P_TENSORS
};

#define P_BLOCK(n, part)                                                                           \
    {"blk." n ".attn_norm.weight", P_WIDTH, 0, part, NULL},                                        \
        {"blk." n ".attn_q.weight", P_WIDTH, P_HEADS * P_HEAD, part, NULL},                        \
        {"blk." n ".attn_k.weight", P_WIDTH, P_KV * P_HEAD, part, NULL},                           \
        {"blk." n ".attn_v.weight", P_WIDTH, P_KV * P_HEAD, part, NULL},                           \
        {"blk." n ".attn_output.weight", P_HEADS * P_HEAD, P_WIDTH, part, NULL},                   \
        {"blk." n ".post_attention_norm.weight", P_WIDTH, 0, part, NULL},                          \
        {"blk." n ".ffn_gate.weight", P_WIDTH, P_FFN, part, NULL},                                 \
        {"blk." n ".ffn_up.weight", P_WIDTH, P_FFN, part, NULL}, {                                 \
        "blk." n ".ffn_down.weight", P_FFN, P_WIDTH, part, NULL                                    \
    }

static struct p_tensor p_tensors[P_TENSORS] = {
    {"token_embd.weight", P_WIDTH, P_VOCAB, 0, NULL},
    {"output_norm.weight", P_WIDTH, 0, 0, NULL},
    {"output.weight", P_WIDTH, P_VOCAB, 0, NULL},
    P_BLOCK("0", 0),
    P_BLOCK("1", P_LAYER),
    {"blk.1.nextn.eh_proj.weight", 2 * P_WIDTH, P_WIDTH, P_PROJ, NULL},
    {"blk.1.nextn.enorm.weight", P_WIDTH, 0, P_ENORM, NULL},
    {"blk.1.nextn.hnorm.weight", P_WIDTH, 0, P_HNORM, NULL},
    {"blk.1.nextn.shared_head_norm.weight", P_WIDTH, 0, P_NORM, NULL},
    {"blk.1.nextn.embed_tokens.weight", P_WIDTH, P_VOCAB, P_EMBD, NULL},
    {"blk.1.nextn.shared_head_head.weight", P_WIDTH, P_VOCAB, P_HEAD_OWN, NULL}};

/* ---- The file ---- */

static size_t p_size(const struct p_tensor *t) {
    return (size_t)t->cols * (size_t)(t->rows ? t->rows : 1);
}

static bool p_has(const struct p_tensor *t, int parts) {
    return !t->part || (t->part & parts);
}

static void p_fill(void) {
    uint32_t random = 1;
    for (size_t i = 0; i < P_TENSORS; i++) {
        struct p_tensor *t = &p_tensors[i];
        if (t->w) return;
        t->w = malloc(p_size(t) * sizeof *t->w);
        for (size_t k = 0; k < p_size(t); k++) {
            random = random * 1664525 + 1013904223;
            float v = (float)(random >> 8) / (1 << 23) - 1;
            t->w[k] =
                t->rows ? v * (i == P_T_OUT || i == P_T_SHARED_OUT ? 0.6f : 0.3f) : 1 + 0.5f * v;
        }
    }
}

static void p_free(void) {
    for (size_t i = 0; i < P_TENSORS; i++) free(p_tensors[i].w), p_tensors[i].w = NULL;
}

static void p_keys(struct gguf *g, uint64_t tensors) {
    char name[8];
    put_head(g, 3, tensors, 14);
    kv_str(g, "general.architecture", "glm4moe");
    kv_u32(g, "glm4moe.block_count", 2);
    kv_u32(g, "glm4moe.nextn_predict_layers", 1);
    kv_u32(g, "glm4moe.context_length", 512);
    kv_u32(g, "glm4moe.embedding_length", P_WIDTH);
    kv_u32(g, "glm4moe.feed_forward_length", P_FFN);
    kv_u32(g, "glm4moe.attention.head_count", P_HEADS);
    kv_u32(g, "glm4moe.attention.head_count_kv", P_KV);
    kv_u32(g, "glm4moe.rope.dimension_count", P_ROPE);
    kv_int(g, "glm4moe.attention.layer_norm_rms_epsilon", 6, 0x3727c5ac, 4); /* 1e-5 */
    kv_str(g, "tokenizer.ggml.model", "llama");
    kv_array(g, "tokenizer.ggml.tokens", 8, P_VOCAB);
    for (int i = 0; i < P_VOCAB; i++) {
        snprintf(name, sizeof name, "%c%c", 'a' + i / 26, 'a' + i % 26);
        put_str(g, i ? name : "<unk>");
    }
    kv_array(g, "tokenizer.ggml.scores", 6, P_VOCAB);
    for (int i = 0; i < P_VOCAB; i++) put_u32(g, 0);
    kv_array(g, "tokenizer.ggml.token_type", 5, P_VOCAB);
    for (int i = 0; i < P_VOCAB; i++) put_u32(g, i ? 1 : 2);
}

static void write_predict(const char *path, int parts) {
    struct gguf g = {0};
    uint64_t n = 0, offset = 0;
    p_fill();
    for (size_t i = 0; i < P_TENSORS; i++) n += p_has(&p_tensors[i], parts);
    p_keys(&g, n);
    for (size_t i = 0; i < P_TENSORS; i++) {
        const struct p_tensor *t = &p_tensors[i];
        if (!p_has(t, parts)) continue;
        put_tensor(&g, t->name, t->rows ? 2 : 1, (uint64_t[]){(uint64_t)t->cols, (uint64_t)t->rows},
                   0, offset);
        offset += p_size(t) * sizeof *t->w;
    }
    pad_to(&g, 32);
    for (size_t i = 0; i < P_TENSORS; i++)
        if (p_has(&p_tensors[i], parts))
            put(&g, p_tensors[i].w, p_size(&p_tensors[i]) * sizeof(float));
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(g.p, 1, g.n, f) != g.n || fclose(f)) fail_msg("cannot write %s", path);
    free(g.p);
}

/* ---- The same by plain loops ---- */

static void p_mul(const struct p_tensor *t, const double *x, double *y) {
    for (int r = 0; r < t->rows; r++) {
        y[r] = 0;
        for (int c = 0; c < t->cols; c++) y[r] += (double)t->w[r * t->cols + c] * x[c];
    }
}

static void p_rms(const struct p_tensor *t, const double *x, double *y) {
    double sum = 0;
    for (int i = 0; i < P_WIDTH; i++) sum += x[i] * x[i];
    double f = 1 / sqrt(sum / P_WIDTH + 1e-5);
    for (int i = 0; i < P_WIDTH; i++) y[i] = x[i] * f * (double)t->w[i];
}

static void p_rotate(double *head, int position) {
    for (int i = 0; i < P_ROPE / 2; i++) {
        double angle = position * pow(10000, -2.0 * i / P_ROPE), c = cos(angle), s = sin(angle);
        double a = head[i], b = head[i + P_ROPE / 2];
        head[i] = a * c - b * s;
        head[i + P_ROPE / 2] = a * s + b * c;
    }
}

struct p_cache {
    double k[P_MOST][P_KV * P_HEAD], v[P_MOST][P_KV * P_HEAD];
};

static void p_attend(const struct p_cache *cache, const double *q, int position, double *out) {
    double score[P_MOST], sum = 0;
    for (int h = 0; h < P_HEADS; h++, sum = 0) {
        int from = h / (P_HEADS / P_KV) * P_HEAD;
        for (int p = 0; p <= position; p++) {
            score[p] = 0;
            for (int i = 0; i < P_HEAD; i++) score[p] += q[h * P_HEAD + i] * cache->k[p][from + i];
            score[p] = exp(score[p] / sqrt(P_HEAD));
            sum += score[p];
        }
        for (int i = 0; i < P_HEAD; i++) {
            out[h * P_HEAD + i] = 0;
            for (int p = 0; p <= position; p++)
                out[h * P_HEAD + i] += score[p] / sum * cache->v[p][from + i];
        }
    }
}

/* One layer on one token, in place; `t` is its attn_norm. */
static void p_layer(const struct p_tensor *t, struct p_cache *cache, int position, double *x) {
    double h[P_WIDTH], q[P_HEADS * P_HEAD], a[P_HEADS * P_HEAD], f[P_WIDTH], gate[P_FFN], up[P_FFN];
    p_rms(&t[0], x, h);
    p_mul(&t[1], h, q);
    p_mul(&t[2], h, cache->k[position]);
    p_mul(&t[3], h, cache->v[position]);
    for (int i = 0; i < P_HEADS; i++) p_rotate(q + i * P_HEAD, position);
    for (int i = 0; i < P_KV; i++) p_rotate(cache->k[position] + i * P_HEAD, position);
    p_attend(cache, q, position, a);
    p_mul(&t[4], a, f);
    for (int i = 0; i < P_WIDTH; i++) x[i] += f[i];
    p_rms(&t[5], x, h);
    p_mul(&t[6], h, gate);
    p_mul(&t[7], h, up);
    for (int i = 0; i < P_FFN; i++) up[i] *= gate[i] / (1 + exp(-gate[i]));
    p_mul(&t[8], up, f);
    for (int i = 0; i < P_WIDTH; i++) x[i] += f[i];
}

/* The model's state behind a token: normed, as the head reads it. */
static inline void p_model(struct p_cache *cache, int32_t id, int position, double *state) {
    double x[P_WIDTH];
    for (int i = 0; i < P_WIDTH; i++) x[i] = (double)p_tensors[P_T_EMBD].w[id * P_WIDTH + i];
    p_layer(&p_tensors[P_T_FIRST], cache, position, x);
    p_rms(&p_tensors[P_T_NORM], x, state);
}

/* An entry of the prediction layer: state is the token's before, and becomes its own. */
static inline void p_predict(struct p_cache *cache, int parts, int32_t id, int position, double *state,
                      double *logits) {
    const struct p_tensor *embd = &p_tensors[parts & P_EMBD ? P_T_SHARED_EMBD : P_T_EMBD];
    double e[P_WIDTH], both[2 * P_WIDTH], x[P_WIDTH];
    for (int i = 0; i < P_WIDTH; i++) e[i] = (double)embd->w[id * P_WIDTH + i];
    p_rms(&p_tensors[P_T_ENORM], e, both);
    p_rms(&p_tensors[P_T_HNORM], state, both + P_WIDTH);
    p_mul(&p_tensors[P_T_PROJ], both, x);
    p_layer(&p_tensors[P_T_SECOND], cache, position, x);
    p_rms(&p_tensors[parts & P_NORM ? P_T_SHARED_NORM : P_T_NORM], x, state);
    p_mul(&p_tensors[parts & P_HEAD_OWN ? P_T_SHARED_OUT : P_T_OUT], state, logits);
}

#endif
