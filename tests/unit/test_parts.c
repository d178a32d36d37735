/* A plan cut into parts that two executors run by turns gives the bits of the whole plan: every
 * golden model, many cuts, threads and numbers of tokens. What a part did not ask for is not a
 * number, so that a buffer missing from its `in` shows.
 *
 * `test_parts NAME...` runs only the models of those names. */
#define _GNU_SOURCE
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "cpu/cpu.h"
#include "plans.h"

enum { N = 40, MOST_PARTS = 4096 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { THIN = 8 }; /* one of so many models */
#else
enum { THIN = 1 };
#endif

static char **only;
static int n_only;
static ingle_error err;
static const _Atomic bool no;
static uint32_t seed = 12345;

struct cuts {
    struct ig_plan_part part[MOST_PARTS];
    uint32_t n;
    const char *name;
};

/* What a run brings: logits of all tokens, or hidden states, and the state behind each token. */
struct result {
    float *logits, *hidden, *states; /* [N][n_vocab], [N][n_embd] twice */
};

static uint32_t dice(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* ---- Cuts ---- */

static void cut_at(struct model *m, struct cuts *c, uint32_t from, uint32_t to) {
    if (c->n == MOST_PARTS) fail_msg("too many parts");
    if (ig_plan_part_make(&c->part[c->n++], &m->plan, from, to, &m->arena, &err))
        fail_msg("%s", err.message);
}

/* chance 0: only where experts begin and end; else one of so many operations begins a part. */
static void cut(struct model *m, struct cuts *c, const char *name, uint32_t chance) {
    const struct ig_plan *p = &m->plan;
    uint32_t from = 0;
    c->n = 0;
    c->name = name;
    for (uint32_t i = 1; i < p->n_ops; i++) {
        bool here = chance ? dice(chance) == 0
                           : p->ops[i].kind == IG_OP_ROUTE || p->ops[i - 1].kind == IG_OP_COMBINE;
        if (!here || !ig_plan_can_cut(p, i)) continue;
        cut_at(m, c, from, i);
        from = i;
    }
    cut_at(m, c, from, p->n_ops);
}

/* ---- Running ---- */

struct runner {
    struct model *m;
    struct ig_cpu *cpu[2];
    float *host[IG_B_COUNT]; /* rows as the last part left them */
};

static void open_runner(struct runner *r, struct model *m, const struct cuts *c, unsigned threads) {
    *r = (struct runner){.m = m};
    struct ig_cpu_config config = {
        .kernels = "auto", .threads = threads, .context = N, .cancel = &no};
    if (c) config.parts = c->part, config.n_parts = c->n;
    for (int i = 0; i < 2; i++)
        if (ig_cpu_open(&r->cpu[i], &m->mem, &m->plan, &config, &err)) fail_msg("%s", err.message);
    for (unsigned b = 1; b < IG_B_COUNT; b++)
        if (m->plan.width[b])
            r->host[b] =
                calloc((size_t)ig_plan_rows(&m->plan, b, N, N) * m->plan.width[b], sizeof(float));
}

static void close_runner(struct runner *r) {
    for (int i = 0; i < 2; i++) ig_cpu_close(r->cpu[i]);
    for (unsigned b = 1; b < IG_B_COUNT; b++) free(r->host[b]);
}

static void give(struct runner *r, struct ig_cpu *cpu, const struct ig_plan_part *part,
                 const struct ig_pass *pass) {
    for (unsigned b = 1; b < IG_B_COUNT; b++) {
        size_t stride, width = r->m->plan.width[b];
        float *to = ig_cpu_in(cpu, b, &stride);
        for (uint32_t i = 0; width && i < ig_pass_rows(&r->m->plan, pass, b); i++)
            for (size_t k = 0; k < width; k++)
                to[i * stride + k] = part->in >> b & 1 ? r->host[b][i * width + k] : NAN;
    }
}

static void take(struct runner *r, struct ig_cpu *cpu, const struct ig_plan_part *part,
                 const struct ig_pass *pass) {
    for (unsigned b = 1; b < IG_B_COUNT; b++) {
        size_t stride, width = r->m->plan.width[b];
        const float *from = ig_cpu_out(cpu, b, &stride);
        for (uint32_t i = 0; part->out >> b & 1 && i < ig_pass_rows(&r->m->plan, pass, b); i++)
            memcpy(r->host[b] + i * width, from + i * stride, width * sizeof *from);
    }
}

static void run_parts(struct runner *r, const struct cuts *c, const struct ig_pass *pass) {
    for (uint32_t i = 0; i < c->n && c->part[i].from < ig_pass_end(&r->m->plan, pass); i++) {
        const struct ig_plan_part *part = &c->part[i];
        struct ig_cpu *cpu = r->cpu[i % 2];
        if (ig_cpu_begin(cpu, pass, &err)) fail_msg("%s", err.message);
        give(r, cpu, part, pass);
        if (ig_cpu_run_part(cpu, part, &err)) fail_msg("%s", err.message);
        take(r, cpu, part, pass);
    }
}

/* The rows of one pass into the results; c NULL: the whole plan on one executor. */
static void one_pass(struct runner *r, const struct cuts *c, struct ig_pass *pass, uint32_t at,
                     struct result *out) {
    const struct ig_plan *p = &r->m->plan;
    size_t vocab = p->hp->n_vocab, embd = p->hp->n_embd;
    uint8_t x = p->ops[p->gather].a;
    if (c)
        run_parts(r, c, pass);
    else if (ig_cpu_run(r->cpu[0], pass, &err))
        fail_msg("%s", err.message);
    for (uint32_t i = 0; i < pass->n; i++) {
        if (c)
            ig_cpu_state_of(r->cpu[0], r->host[x] + i * p->width[x], out->states + (at + i) * embd);
        else
            ig_cpu_state(r->cpu[0], i, out->states + (at + i) * embd);
    }
    unsigned b = pass->hidden ? IG_B_XO : IG_B_LOGITS;
    for (uint32_t i = 0; i < pass->n_wanted; i++) {
        float *to = pass->hidden ? out->hidden + (at + i) * embd : out->logits + (at + i) * vocab;
        size_t n = pass->hidden ? embd : vocab;
        const float *from = c              ? r->host[b] + i * p->width[b]
                            : pass->hidden ? ig_cpu_hidden(r->cpu[0], i)
                                           : ig_cpu_logits(r->cpu[0], i);
        memcpy(to, from, n * sizeof *to);
    }
}

enum wish { LOGITS, HIDDEN, STATES_ONLY };

static void compute(struct model *m, const struct cuts *c, unsigned threads, uint32_t chunk,
                    enum wish wish, struct result *out) {
    struct runner r;
    struct ig_cache cache;
    struct ig_pass_token tokens[N];
    uint32_t wanted[N];
    open_runner(&r, m, c, threads);
    plan_cache(&cache, &m->mem, m->plan.hp, IG_CACHE_F16, N, N);
    if (ig_cache_reserve(&cache, N, &err)) fail_msg("%s", err.message);
    for (uint32_t at = 0; at < N; at += chunk) {
        uint32_t n = N - at < chunk ? N - at : chunk;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t t = at + i;
            tokens[i] = (struct ig_pass_token){
                (int32_t)((t * t * 7 + t * 13 + 5) % m->plan.hp->n_vocab), t, &cache};
            wanted[i] = i;
        }
        struct ig_pass pass = {.tokens = tokens,
                               .n = n,
                               .wanted = wanted,
                               .n_wanted = wish == STATES_ONLY ? 0 : n,
                               .hidden = wish == HIDDEN};
        one_pass(&r, c, &pass, at, out);
        ig_cache_advance(&cache, at + n);
    }
    ig_cache_close(&cache);
    close_runner(&r);
}

static struct result new_result(const struct model *m) {
    size_t vocab = m->plan.hp->n_vocab, embd = m->plan.hp->n_embd;
    return (struct result){calloc(N * vocab, 4), calloc(N * embd, 4), calloc(N * embd, 4)};
}

static void free_result(struct result *r) {
    free(r->logits);
    free(r->hidden);
    free(r->states);
}

static int same(const struct model *m, const struct result *a, const struct result *b,
                enum wish wish, const struct cuts *c, unsigned threads, uint32_t chunk) {
    size_t vocab = m->plan.hp->n_vocab, embd = m->plan.hp->n_embd;
    bool good = !memcmp(a->states, b->states, N * embd * 4);
    if (wish == LOGITS) good &= !memcmp(a->logits, b->logits, N * vocab * 4);
    if (wish == HIDDEN) good &= !memcmp(a->hidden, b->hidden, N * embd * 4);
    if (!good)
        print_error("    other bits: %s, %u parts, %u threads, pieces of %u, wish %d\n", c->name,
                    c->n, threads, chunk, wish);
    return !good;
}

static int check_cuts(struct model *m) {
    static const struct {
        const char *name;
        uint32_t chance;
    } ways[] = {{"each operation", 1}, {"experts", 0}, {"some", 3}, {"few", 11}};
    static const uint32_t chunks[] = {1, 2, 7, 40};
    static struct cuts c;
    static unsigned turn;
    struct result want = new_result(m), got = new_result(m);
    int bad = 0;
    compute(m, NULL, 1, N, HIDDEN, &want);
    compute(m, NULL, 1, N, LOGITS, &want);
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        cut(m, &c, ways[w].name, ways[w].chance);
        for (unsigned k = 0; k < 4; k++, turn++) {
            if (!n_only && (k + turn / 4) % 2) continue;
            enum wish wish = (enum wish)(turn % 5 > 2 ? LOGITS : turn % 5);
            unsigned threads = 1 + (turn + turn / 4) % 3;
            memset(got.states, 0xff, (size_t)N * m->plan.hp->n_embd * 4);
            memset(got.logits, 0xff, (size_t)N * m->plan.hp->n_vocab * 4);
            compute(m, &c, threads, chunks[k], wish, &got);
            bad += same(m, &want, &got, wish, &c, threads, chunks[k]);
        }
    }
    free_result(&want);
    free_result(&got);
    return bad;
}

/* -1: not a model that is run. */
static int check_model(const char *path, const char *name) {
    struct model *m = calloc(1, sizeof *m);
    int bad = -1;
    if (plan_open(m, path, &err)) {
        bad = check_cuts(m);
        if (bad || n_only) print_message("%s%s\n", name, bad ? "  FAILED" : "");
        plan_close(m);
    }
    free(m);
    return bad;
}

static void every_golden_model(void **state) {
    (void)state;
    const struct plan_choice choice = {only, n_only, THIN};
    char folder[1000];
    int bad = 0, count = 0;
    for (int i = 0; i < 2; i++) {
        snprintf(folder, sizeof folder, "%s/models", plan_root(i));
        int here = plan_folder(folder, &choice, check_model, &count);
        if (here < 0) fail_msg("%s is missing: run tools/golden/unpack.sh", folder);
        bad += here;
    }
    if (bad) fail_msg("%d of %d models differ", bad, count);
    if (!n_only && count < 100 / THIN) fail_msg("only %d models found", count);
}

int main(int argc, char **argv) {
    only = argv + 1;
    n_only = argc - 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_golden_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
