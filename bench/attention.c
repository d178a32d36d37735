/* Speed of attention by itself: a prompt's tiles in GMAC/s next to the machine's rate of fused
 * multiply-adds, and a decode step in GB/s of keys and values. 16 layers of 8 kv heads of 64 with
 * four query heads each, so that a step reads from memory and not from a cache.
 *
 *   build/bench_attention [table] [f16|f32|q8_0] [threads]        tables: scalar avx2 avx512 auto
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cpu/kernels.h"
#include "peaks.h"
#include "together.h"

enum { LAYERS = 16, KV = 8, GROUP = 4, HEAD = 64, DEEPEST = 32768, MEMORY = 256 << 20 };

static uint64_t seed = 88172645463325252u;
static uint64_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

struct work {
    const struct ig_kernels *k;
    struct ig_cache cache;
    uint32_t depth, tokens, layers; /* rows are the last `tokens` of `depth` positions */
    float *q;                       /* [tokens][KV * GROUP][HEAD] */
    int threads;
    float *scratch[TOGETHER_MAX];
    float sum[TOGETHER_MAX]; /* so that nothing is left out */
};

/* One tile: rows [first, first + n) of a kv head, all chunks */
static float tile(const struct work *w, uint32_t layer, uint32_t kv, uint32_t first, uint32_t n,
                  float *scratch) {
    struct ig_attend_row rows[IG_ATTEND_ROWS];
    const struct ig_cache_layer *l = &w->cache.layers[layer];
    struct ig_attend j = {.cache = &w->cache,
                          .layer = l,
                          .kv_head = kv,
                          .n = n,
                          .rows = rows,
                          .scale = 0.125f,
                          .scratch = scratch};
    float out[IG_ATTEND_ROWS][HEAD] = {{0}}, state[IG_ATTEND_ROWS][2], sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t token = (first + i) / GROUP, head = kv * GROUP + (first + i) % GROUP;
        rows[i] = (struct ig_attend_row){.q = w->q + ((size_t)token * KV * GROUP + head) * HEAD,
                                         .part = scratch + ig_attend_scratch(HEAD) +
                                                 i * ig_attend_part(l),
                                         .last = w->depth - w->tokens + token};
        state[i][0] = -1e30f, state[i][1] = 0;
    }
    w->k->attend_queries(&j);
    for (uint32_t at = 0; at <= rows[n - 1].last; at += IG_ATTEND_CHUNK) {
        w->k->attend_chunk(&j, at);
        for (uint32_t i = 0; i < n; i++)
            if (rows[i].last >= at) w->k->attend_merge(out[i], HEAD, state[i], rows[i].part);
    }
    for (uint32_t i = 0; i < n; i++) {
        w->k->attend_finish(out[i], HEAD, state[i], NULL);
        sum += out[i][0];
    }
    return sum;
}

static void run(void *ud, int thread) {
    struct work *w = ud;
    uint32_t rows = w->tokens * GROUP, tiles = (rows + IG_ATTEND_ROWS - 1) / IG_ATTEND_ROWS;
    for (uint32_t layer = 0; layer < w->layers; layer++)
        for (uint32_t i = (uint32_t)thread; i < KV * tiles; i += (uint32_t)w->threads) {
            uint32_t first = i % tiles * IG_ATTEND_ROWS, rest = rows - first;
            w->sum[thread] +=
                tile(w, layer, i / tiles, first, rest < IG_ATTEND_ROWS ? rest : IG_ATTEND_ROWS,
                     w->scratch[thread]);
        }
}

static double best(struct work *w) {
    double least = 1e9;
    for (int trial = 0; trial < 4; trial++) {
        double time = together(w->threads, run, w);
        if (time < least) least = time;
    }
    return least;
}

static void fill(struct ig_cache *c) {
    for (uint32_t s = 0; s < c->groups[0].n_slots; s++)
        for (size_t i = 0; i + 8 <= c->groups[0].block_bytes; i += 8) {
            uint64_t v = next() & 0xBBFFBBFFBBFFBBFFu; /* small numbers of either width */
            memcpy(c->groups[0].slots[s] + i, &v, 8);
        }
}

static void measure(struct work *w, const char *type) {
    static const uint32_t prompts[] = {512, 2048, 8192}, depths[] = {2048, 8192, 32768};
    double element =
        (double)ig_cache_element(w->cache.type) + (w->cache.type == IG_CACHE_Q8 ? 4.0 / HEAD : 0);
    for (size_t i = 0; i < 3; i++) {
        w->depth = prompts[i], w->tokens = 512, w->layers = 1;
        double pairs = (double)w->tokens * (w->depth - w->tokens / 2.0), time = best(w);
        printf("%-8s %-5s prompt, last 512 of %5u  %7.1f GMAC/s\n", w->k->name, type, w->depth,
               1e-9 * pairs * KV * GROUP * HEAD * 2 / time);
    }
    for (size_t i = 0; i < 3; i++) {
        w->depth = depths[i], w->tokens = 1, w->layers = LAYERS;
        double time = best(w), bytes = 2.0 * HEAD * element * KV * LAYERS * w->depth;
        printf("%-8s %-5s decode at %5u  %7.2f GB/s  %7.1f GMAC/s  %6.2f ms\n", w->k->name, type,
               w->depth, 1e-9 * bytes / time,
               1e-9 * w->depth * KV * GROUP * HEAD * 2 * LAYERS / time, 1e3 * time);
    }
}

int main(int argc, char **argv) {
    static struct work w;
    struct ig_mem mem = {0};
    const char *type = argc > 2 ? argv[2] : "f16";
    struct ig_cache_want want[LAYERS];
    w.k = ig_kernels_choose(argc > 1 ? argv[1] : "auto");
    w.threads = argc > 3 ? atoi(argv[3]) : 2;
    if (!w.k || w.threads < 1 || w.threads > TOGETHER_MAX)
        return fprintf(stderr, "no such table here\n"), 2;
    for (uint32_t i = 0; i < LAYERS; i++)
        want[i] =
            (struct ig_cache_want){.n_head_kv = KV, .head_k = HEAD, .head_v = HEAD, .source = i};
    enum ig_cache_type t = strcmp(type, "f32") == 0    ? IG_CACHE_F32
                           : strcmp(type, "q8_0") == 0 ? IG_CACHE_Q8
                                                       : IG_CACHE_F16;
    if (ig_cache_open(&w.cache, &mem, want, LAYERS, t, DEEPEST, 512, NULL) != INGLE_OK ||
        ig_cache_reserve(&w.cache, DEEPEST, NULL) != INGLE_OK)
        return fprintf(stderr, "no memory\n"), 1;
    fill(&w.cache);
    w.q = malloc((size_t)512 * KV * GROUP * HEAD * sizeof *w.q);
    for (size_t i = 0; i < (size_t)512 * KV * GROUP * HEAD; i++)
        w.q[i] = (float)(int64_t)next() * 0x1p-63f;
    size_t floats = ig_attend_scratch(HEAD) + IG_ATTEND_ROWS * (IG_ATTEND_PART + HEAD);
    for (int i = 0; i < w.threads; i++)
        w.scratch[i] = aligned_alloc(64, (floats * sizeof(float) + 63) / 64 * 64);
    uint8_t *memory = malloc(MEMORY);
    memset(memory, 1, MEMORY);
    struct peaks top = peaks_measure(w.k->name, w.threads, memory, MEMORY);
    printf("%-8s peak: %.1f GMAC/s fma, %.1f GB/s read\n", w.k->name, 1e-9 * top.fma,
           1e-9 * top.read);
    free(memory);
    measure(&w, type);
    ig_cache_close(&w.cache);
    free(w.q);
    for (int i = 0; i < w.threads; i++) free(w.scratch[i]);
    return 0;
}
