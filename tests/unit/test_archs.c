/* Every golden model against the logits that transformers computed for it, from folders and from
 * GGUF files, and the same bits for every chunking, thread count and instruction set.
 *
 * `test_archs NAME...` runs only the models of those names and prints the differences. */
#define _GNU_SOURCE
#include <dirent.h>
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

/* Families of later issues: they must be refused by name, not computed wrongly. */
static const char *const later[] = {"bert",       "deepseek-v2", "deepseek-v3", "granite-hybrid",
                                    "lfm2",       "mamba2",      "modernbert",  "qwen3-embed",
                                    "qwen3-next", "t5"};
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { RUNS = 1 }; /* of the nine in same_bits, in turn; the release build does the comparing */
#else
enum { RUNS = 3 };
#endif
static char **only;
static int n_only;

struct run {
    const char *kernels;
    unsigned threads, chunk; /* chunk 0: all at once */
};

struct golden {
    uint32_t n, vocab;
    int32_t *ids;
    float *logits; /* [n][vocab] */
};

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(*size + 1);
    if (!p || fread(p, 1, *size, f) != *size) fail_msg("%s: cannot read", path);
    fclose(f);
    return p;
}

/* expected.safetensors, by hand: input_ids I64 [n] and logits F32 [n, vocab]. */
static bool read_golden(const char *folder, struct golden *g) {
    char path[1200];
    size_t size, at;
    snprintf(path, sizeof path, "%s/expected.safetensors", folder);
    uint8_t *p = read_file(path, &size);
    if (!p) return false;
    uint64_t header;
    memcpy(&header, p, 8);
    p[8 + header - 1] = 0;
    const char *ids = strstr((char *)p + 8, "\"input_ids\""),
               *logits = strstr((char *)p + 8, "\"logits\"");
    if (!ids || !logits) fail_msg("%s: no input_ids or logits", path);
    unsigned long n, vocab;
    assert_int_equal(sscanf(strstr(ids, "\"shape\":"), "\"shape\":[%lu]", &n), 1);
    assert_int_equal(sscanf(strstr(logits, "\"shape\":"), "\"shape\":[%*u,%lu]", &vocab), 1);
    *g = (struct golden){(uint32_t)n, (uint32_t)vocab, calloc(n, sizeof *g->ids),
                         calloc(n * vocab, sizeof *g->logits)};
    assert_int_equal(sscanf(strstr(ids, "\"data_offsets\":"), "\"data_offsets\":[%zu", &at), 1);
    for (unsigned long i = 0; i < n; i++) {
        int64_t id;
        memcpy(&id, p + 8 + header + at + 8 * i, 8);
        g->ids[i] = (int32_t)id;
    }
    assert_int_equal(sscanf(strstr(logits, "\"data_offsets\":"), "\"data_offsets\":[%zu", &at), 1);
    memcpy(g->logits, p + 8 + header + at, n * vocab * sizeof *g->logits);
    free(p);
    return true;
}

/* All logits of a golden's ids. False: these kernels do not run here. */
static bool compute(const struct ig_plan *plan, const struct golden *g, const struct run *r,
                    float *out) {
    struct ig_mem mem = {0};
    struct ig_cache cache;
    struct ig_cpu *cpu;
    static const _Atomic bool no;
    struct ig_cpu_config config = {
        .kernels = r->kernels, .threads = r->threads, .context = g->n, .cancel = &no};
    ingle_error err;
    uint32_t chunk = r->chunk && r->chunk < g->n ? r->chunk : g->n, wanted[512];
    struct ig_pass_token tokens[512];
    if (ig_cpu_open(&cpu, &mem, plan, &config, &err)) return false;
    plan_cache(&cache, &mem, plan->hp, IG_CACHE_F32, g->n, chunk);
    if (ig_cache_reserve(&cache, g->n, &err)) fail_msg("%s", err.message);
    for (uint32_t at = 0; at < g->n; at += chunk) {
        uint32_t n = g->n - at < chunk ? g->n - at : chunk;
        for (uint32_t i = 0; i < n; i++) {
            tokens[i] = (struct ig_pass_token){g->ids[at + i], at + i, &cache};
            wanted[i] = i;
        }
        struct ig_pass pass = {.tokens = tokens, .n = n, .wanted = wanted, .n_wanted = n};
        if (ig_cpu_run(cpu, &pass, &err)) fail_msg("%s", err.message);
        ig_cache_advance(&cache, at + n);
        for (uint32_t i = 0; i < n; i++)
            memcpy(out + (size_t)(at + i) * g->vocab, ig_cpu_logits(cpu, i),
                   g->vocab * sizeof *out);
    }
    ig_cache_close(&cache);
    ig_cpu_close(cpu);
    assert_int_equal(ig_mem_used(&mem), 0);
    return true;
}

/* Largest difference in units of the expected logits' standard deviation. */
static double difference(const struct golden *g, const float *got) {
    size_t n = (size_t)g->n * g->vocab;
    double sum = 0, square = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)g->logits[i]);
        sum += (double)g->logits[i];
        square += (double)g->logits[i] * (double)g->logits[i];
        if (!(d <= most)) most = d; /* also takes NaN */
    }
    return most / sqrt(square / (double)n - sum / (double)n * (sum / (double)n));
}

#if defined(__aarch64__)
#define NARROW "neon"
#define WIDE   "i8mm"
#else
#define NARROW "avx2"
#define WIDE   "avx512"
#endif

static int same_bits(const struct ig_plan *plan, const struct golden *g, const float *want,
                     size_t n_runs) {
    static unsigned turn;
    static const struct run runs[] = {{"scalar", 3, 1},  {NARROW, 1, 7},   {WIDE, 2, 16},
                                      {"scalar", 2, 16}, {NARROW, 2, 1},   {WIDE, 1, 7},
                                      {NARROW, 3, 0},    {WIDE, 3, 1}, {"scalar", 1, 7}};
    size_t n = (size_t)g->n * g->vocab;
    float *got = calloc(n, sizeof *got);
    int bad = 0;
    for (size_t j = 0; j < n_runs; j++, turn++) {
        size_t i = turn % (sizeof runs / sizeof *runs);
        if (!compute(plan, g, &runs[i], got) || !memcmp(got, want, n * sizeof *got)) continue;
        print_error("    other bits with %s, %u threads, pieces of %u\n", runs[i].kernels,
                    runs[i].threads, runs[i].chunk);
        bad++;
    }
    free(got);
    return bad;
}

/* How often threads wait for each other in a layer of the middle, for a token and in a prompt. */
static int few_barriers(const struct ig_plan *p, const char *name) {
    static const struct {
        const char *name;
        uint32_t few, many;
    } most[] = {{"llama", 5, 7},     {"gemma4", 5, 7},  {"falcon", 4, 5},    {"olmo2", 6, 8},
                {"qwen3-moe", 6, 9}, {"gpt-oss", 6, 9}, {"llama-256", 5, 7}, {"", 7, 11}};
    uint32_t first = 0, end, i = 0;
    while (p->ops[first].layer != (int)p->hp->n_layer / 2) first++;
    for (end = first; p->ops[end].layer == p->ops[first].layer;) end++;
    while (most[i].name[0] && strcmp(most[i].name, name) != 0) i++;
    uint32_t few = ig_walk_barriers(&p->walk[1], first, end),
             many = ig_walk_barriers(&p->walk[0], first, end);
    if (few <= most[i].few && many <= most[i].many) return 0;
    print_error("    %u barriers a layer for a token, %u in prompts\n", few, many);
    return 1;
}

static int check_model(const char *path, const char *name, const struct golden *g) {
    struct ig_mem mem = {0};
    struct ig_view view;
    struct ig_arena arena = {.mem = &mem};
    struct ig_arch arch;
    struct ig_plan plan;
    ingle_error err;
    int bad = 1;
    if (ig_view_open(&view, &mem, path, plan_type_size, NULL, &err)) {
        print_error("%s: %s\n", name, err.message);
        return 1;
    }
    if (ig_arch_open(&arch, &arena, &view, NULL, &err) ||
        ig_plan_make(&plan, &arena, &arch, &err) || arch.hp.n_vocab != g->vocab) {
        print_error("%s: %s\n", name, err.message);
    } else {
        float *got = calloc((size_t)g->n * g->vocab, sizeof *got);
        struct run first = {"scalar", 1, 0};
        if (!compute(&plan, g, &first, got)) fail_msg("no scalar kernels");
        double d = difference(g, got);
        bad = !(d <= 2e-3) + same_bits(&plan, g, got, n_only ? 9 : RUNS);
        bad += few_barriers(&plan, name);
        if (bad || n_only) print_message("%-28s %.2e%s\n", name, d, bad ? "  FAILED" : "");
        free(got);
    }
    ig_arena_free(&arena);
    ig_view_close(&view);
    assert_int_equal(ig_mem_used(&mem), 0);
    return bad != 0;
}

static bool is_later(const char *name) {
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        size_t n = strlen(later[i]);
        if (!strncmp(name, later[i], n) && (!name[n] || !strcmp(name + n, ".gguf"))) return true;
    }
    return false;
}

static bool chosen(const char *name) {
    for (int i = 0; i < n_only; i++)
        if (!strcmp(only[i], name)) return true;
    return !n_only;
}

/* The folder of expected logits for a GGUF file: NAME, NAME-fused or NAME-split. */
static void golden_folder(char *out, size_t cap, const char *models, const char *name) {
    size_t n = strlen(name) - strlen(".gguf");
    if (n > 6 && (!strncmp(name + n - 6, "-fused", 6) || !strncmp(name + n - 6, "-split", 6)))
        n -= 6;
    snprintf(out, cap, "%s/%.*s", models, (int)n, name);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Calls `each` for the entries of a folder in order of their names; returns how many failed. */
static int walk(const char *folder, int (*each)(const char *folder, const char *name), int *count) {
    DIR *d = opendir(folder);
    char *names[512];
    int n = 0, bad = 0;
    if (!d) fail_msg("%s is missing: run tools/golden/unpack.sh", folder);
    for (struct dirent *e; n < 512 && (e = readdir(d));)
        if (e->d_name[0] != '.') names[n++] = strdup(e->d_name);
    closedir(d);
    qsort(names, (size_t)n, sizeof *names, by_name);
    for (int i = 0; i < n; i++) {
        if (!is_later(names[i]) && chosen(names[i])) bad += each(folder, names[i]), (*count)++;
        free(names[i]);
    }
    return bad;
}

static int each_folder(const char *folder, const char *name) {
    char path[1100];
    struct golden g;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!read_golden(path, &g)) fail_msg("%s has no expected logits", path);
    int bad = check_model(path, name, &g);
    free(g.ids);
    free(g.logits);
    return bad;
}

static int each_gguf(const char *folder, const char *name) {
    char path[1100], models[1100], expected[1200];
    struct golden g;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(models, sizeof models, "%s/../models", folder);
    golden_folder(expected, sizeof expected, models, name);
    if (!read_golden(expected, &g)) fail_msg("%s has no expected logits", path);
    int bad = check_model(path, name, &g);
    free(g.ids);
    free(g.logits);
    return bad;
}

static void root(char *out, size_t cap, bool unpacked, const char *what) {
    const char *dir = getenv(unpacked ? "INGLE_GOLDEN_BUILD" : "INGLE_GOLDEN");
    if (!dir) dir = unpacked ? "build/golden" : "tests/golden";
    snprintf(out, cap, "%s/%s", dir, what);
}

static void run_all(const char *what, int (*each)(const char *, const char *), int at_least) {
    char folder[1000];
    int bad = 0, count = 0;
    for (int unpacked = 0; unpacked < 2; unpacked++) {
        root(folder, sizeof folder, unpacked, what);
        bad += walk(folder, each, &count);
    }
    if (bad) fail_msg("%d of %d models differ", bad, count);
    if (!n_only && count < at_least) fail_msg("only %d models found", count);
}

static void folders_match(void **state) {
    (void)state;
    run_all("models", each_folder, 120);
}

static void ggufs_match(void **state) {
    (void)state;
    run_all("gguf", each_gguf, 65);
}

/* A family without a row is refused with the names that come nearest. */
static void later_families_are_refused(void **state) {
    (void)state;
    char path[1100], folder[1000];
    root(folder, sizeof folder, false, "models");
    for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
        struct ig_mem mem = {0};
        struct ig_view view;
        struct ig_arena arena = {.mem = &mem};
        struct ig_arch arch;
        ingle_error err;
        if (!strcmp(later[i], "qwen3-embed")) continue; /* qwen3 without an output: it opens */
        snprintf(path, sizeof path, "%s/%s", folder, later[i]);
        assert_int_equal(ig_view_open(&view, &mem, path, plan_type_size, NULL, &err), INGLE_OK);
        assert_int_equal(ig_arch_open(&arch, &arena, &view, NULL, &err), INGLE_UNSUPPORTED);
        assert_non_null(strstr(err.message, "the nearest are"));
        ig_arena_free(&arena);
        ig_view_close(&view);
    }
}

int main(int argc, char **argv) {
    only = argv + 1;
    n_only = argc - 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(folders_match),
                                       cmocka_unit_test(ggufs_match),
                                       cmocka_unit_test(later_families_are_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
