/* The executor on the host device against the CPU's: every golden model, all on the device or by
 * turns with the CPU, prompts in odd cuts, every type of cache; the same bits in logits, states and
 * the host's caches. Then what can happen to a timeline between passes, and devices that fail.
 *
 * `gpu_test_run NAME...` runs only the models of those names. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "cpu/cpu.h"
#include "gpu/gpu.h"
#include "gpu/host_device.h"
#include "gpu/thin.h"
#include "../unit/make_model.h"
#include "../unit/plans.h"

enum { N = 48, LONG = 330, MOST_PARTS = 512 };

static char **only;
static int n_only;
static ingle_error err;
static _Atomic bool no, flag;
static uint32_t seed = 12345;
static struct ig_device_list devices;

static uint32_t dice(uint32_t n) {
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* ---- Two executors, by turns or one alone ---- */

struct runner {
    struct model *m;
    struct ig_gpu_weights *w;
    struct ig_gpu *gpu;
    struct ig_cpu *cpu;
    struct ig_plan_part part[MOST_PARTS];
    uint32_t n_parts;
    bool by_turns;
    float *host[IG_B_COUNT]; /* rows as the last part left them */
};

static void cut(struct runner *r, uint32_t chance) {
    const struct ig_plan *p = &r->m->plan;
    uint32_t from = 0;
    for (uint32_t i = 1; i <= p->n_ops; i++) {
        if (i < p->n_ops &&
            (!chance || dice(chance) || !ig_plan_can_cut(p, i) || r->n_parts > MOST_PARTS - 2))
            continue;
        if (ig_plan_part_make(&r->part[r->n_parts++], p, from, i, &r->m->arena, &err))
            fail_msg("%s", err.message);
        from = i;
    }
}

/* gpu: 0 or 1 + index of a host device; chance: 0 one part, else one of so many operations begins
 * another. */
static struct runner *open_runner(struct model *m, unsigned gpu, uint32_t chance, uint32_t context,
                                  uint64_t most) {
    struct runner *r = calloc(1, sizeof *r);
    r->m = m;
    r->by_turns = gpu && chance;
    cut(r, chance);
    struct ig_cpu_config config = {.kernels = "auto",
                                   .threads = 1,
                                   .context = context,
                                   .cancel = &no,
                                   .parts = r->part,
                                   .n_parts = r->n_parts};
    if (!gpu || r->by_turns)
        if (ig_cpu_open(&r->cpu, &m->mem, &m->plan, &config, &err)) fail_msg("%s", err.message);
    for (unsigned b = 1; b < IG_B_COUNT; b++)
        if (m->plan.width[b])
            r->host[b] =
                calloc((size_t)ig_plan_rows(&m->plan, b, N, N) * m->plan.width[b], sizeof(float));
    if (!gpu) return r;
    struct ig_device_info info = devices.device[gpu - 1];
    struct ig_device_config device = {.mem = &m->mem};
    struct ig_gpu_config gpu_config = {.context = context, .batch = N, .cancel = &flag};
    if (most) info.most_alloc = most;
    if (ig_gpu_weights_open(&r->w, &m->mem, &m->plan, &info, &device, &err) ||
        ig_gpu_open(&r->gpu, &m->mem, r->w, &gpu_config, &err))
        fail_msg("%s", err.message);
    return r;
}

static void close_runner(struct runner *r) {
    ig_cpu_close(r->cpu);
    ig_gpu_close(r->gpu);
    ig_gpu_weights_close(r->w);
    for (unsigned b = 1; b < IG_B_COUNT; b++) free(r->host[b]);
    free(r);
}

static void cpu_part(struct runner *r, const struct ig_plan_part *part,
                     const struct ig_pass *pass) {
    if (ig_cpu_begin(r->cpu, pass, &err)) fail_msg("%s", err.message);
    for (unsigned b = 1; b < IG_B_COUNT; b++) {
        size_t stride, width = r->m->plan.width[b];
        if (!(part->in >> b & 1)) continue;
        float *to = ig_cpu_in(r->cpu, b, &stride);
        for (uint32_t i = 0; i < ig_pass_rows(&r->m->plan, pass, b); i++)
            memcpy(to + i * stride, r->host[b] + i * width, width * sizeof *to);
    }
    if (ig_cpu_run_part(r->cpu, part, &err)) fail_msg("%s", err.message);
    for (unsigned b = 1; b < IG_B_COUNT; b++) {
        size_t stride, width = r->m->plan.width[b];
        if (!(part->out >> b & 1)) continue;
        const float *from = ig_cpu_out(r->cpu, b, &stride);
        for (uint32_t i = 0; i < ig_pass_rows(&r->m->plan, pass, b); i++)
            memcpy(r->host[b] + i * width, from + i * stride, width * sizeof *from);
    }
}

static ingle_status gpu_part(struct runner *r, const struct ig_plan_part *part,
                             const struct ig_pass *pass) {
    for (unsigned b = 1; b < IG_B_COUNT; b++)
        if (part->in >> b & 1)
            IG_TRY(ig_gpu_put(r->gpu, b, ig_pass_rows(&r->m->plan, pass, b), r->host[b],
                              r->m->plan.width[b], &err));
    IG_TRY(ig_gpu_run(r->gpu, part, pass, &err));
    for (unsigned b = 1; b < IG_B_COUNT; b++) /* the last rows first: any may be asked for */
        if (part->out >> b & 1 && ig_pass_rows(&r->m->plan, pass, b)) {
            uint32_t rows = ig_pass_rows(&r->m->plan, pass, b), half = rows / 2,
                     width = r->m->plan.width[b];
            IG_TRY(ig_gpu_get(r->gpu, b, half, rows - half, r->host[b] + (size_t)half * width,
                              width, &err));
            IG_TRY(ig_gpu_get(r->gpu, b, 0, half, r->host[b], width, &err));
        }
    return INGLE_OK;
}

static ingle_status run_pass(struct runner *r, const struct ig_pass *pass) {
    static unsigned turn;
    for (uint32_t i = 0; i < r->n_parts && r->part[i].from < ig_pass_end(&r->m->plan, pass); i++) {
        if (r->gpu && (!r->by_turns || (i + turn) % 2 ||
                       ig_gpu_can_run(&r->m->plan, r->part[i].from, r->part[i].to) < r->part[i].to))
            IG_TRY(gpu_part(r, &r->part[i], pass));
        else
            cpu_part(r, &r->part[i], pass);
    }
    turn++;
    return INGLE_OK;
}

/* ---- A timeline ---- */

struct line {
    struct ig_cache cache;
    float *logits, *states; /* [LONG][..] */
};

static void open_line(struct line *l, struct model *m, enum ig_cache_type type, uint32_t context) {
    plan_cache(&l->cache, &m->mem, m->plan.hp, type, context, N);
    l->logits = calloc((size_t)context * m->plan.hp->n_vocab, sizeof(float));
    l->states = calloc((size_t)context * m->plan.hp->n_embd, sizeof(float));
}

static void close_line(struct line *l) {
    ig_cache_close(&l->cache);
    free(l->logits);
    free(l->states);
}

static int32_t id_at(const struct model *m, uint32_t t, uint32_t other) {
    return (int32_t)((t * t * 7 + t * 13 + 5 + other * 31) % m->plan.hp->n_vocab);
}

/* Tokens [from[i], from[i] + n[i]) of each of `lines` timelines in one pass; timelines follow each
 * other or, `mixed`, token by token. */
static ingle_status step(struct runner *r, struct line *const *lines, unsigned n_lines,
                         const uint32_t *n, bool mixed) {
    const struct ig_plan *p = &r->m->plan;
    struct ig_pass_token tokens[N];
    struct line *of[N];
    uint32_t wanted[N], count = 0, done[8] = {0}, left = 1;
    while (left) {
        left = 0;
        for (unsigned i = 0; i < n_lines; i++)
            for (bool one = true; done[i] < n[i] && (!mixed || one); one = false) {
                uint32_t at = lines[i]->cache.n + done[i]++;
                of[count] = lines[i];
                wanted[count] = count;
                tokens[count++] = (struct ig_pass_token){id_at(r->m, at, i), at, &lines[i]->cache};
            }
        for (unsigned i = 0; i < n_lines; i++) left |= done[i] < n[i];
    }
    for (unsigned i = 0; i < n_lines; i++)
        if (ig_cache_reserve(&lines[i]->cache, lines[i]->cache.n + n[i], &err))
            fail_msg("%s", err.message);
    struct ig_pass pass = {.tokens = tokens, .n = count, .wanted = wanted, .n_wanted = count};
    IG_TRY(run_pass(r, &pass));
    for (uint32_t i = 0; i < count; i++) {
        size_t vocab = p->hp->n_vocab, embd = p->hp->n_embd, at = tokens[i].position;
        memcpy(of[i]->logits + at * vocab, r->host[IG_B_LOGITS] + i * p->width[IG_B_LOGITS],
               vocab * 4);
        memcpy(of[i]->states + at * embd,
               r->host[p->ops[p->gather].a] + i * p->width[p->ops[p->gather].a], embd * 4);
    }
    for (unsigned i = 0; i < n_lines; i++)
        ig_cache_advance(&lines[i]->cache, lines[i]->cache.n + n[i]);
    return INGLE_OK;
}

static void go(struct runner *r, struct line *l, uint32_t to, uint32_t chunk) {
    while (l->cache.n < to) {
        uint32_t n = to - l->cache.n < chunk ? to - l->cache.n : chunk;
        if (step(r, &l, 1, &n, false)) fail_msg("%s", err.message);
    }
}

/* What differs, or NULL. */
static const char *differs(const struct model *m, const struct line *a, const struct line *b,
                           uint32_t n) {
    static char text[120];
    size_t vocab = m->plan.hp->n_vocab, embd = m->plan.hp->n_embd;
    for (uint32_t i = 0; i < n; i++)
        if (memcmp(a->states + i * embd, b->states + i * embd, embd * 4) ||
            memcmp(a->logits + i * vocab, b->logits + i * vocab, vocab * 4)) {
            snprintf(text, sizeof text, "row %u: logits %a, not %a", i,
                     (double)b->logits[i * vocab], (double)a->logits[i * vocab]);
            return text;
        }
    for (uint32_t g = 0; g < a->cache.n_groups; g++)
        for (uint32_t s = 0; s < a->cache.groups[g].n_slots; s++) {
            const uint8_t *x = a->cache.groups[g].slots[s], *y = b->cache.groups[g].slots[s];
            if (!x != !y || (x && memcmp(x, y, a->cache.groups[g].block_bytes))) {
                snprintf(text, sizeof text, "the host's cache, group %u, block %u", g, s);
                return text;
            }
        }
    return NULL;
}

/* ---- Every golden model ---- */

static int check_ways(struct model *m, const char *name) {
    static const uint32_t chunks[] = {1, 2, 7, 40}, chances[] = {0, 0, 9, 3};
    static unsigned turn;
    int bad = 0;
    enum ig_cache_type type = (enum ig_cache_type)(turn % 3);
    struct runner *r = open_runner(m, 0, 0, N, 0);
    struct line want, got;
    open_line(&want, m, type, N);
    go(r, &want, N, N);
    close_runner(r);
    for (unsigned i = 0; i < 4; i++, turn++) {
        if (!n_only && (i + turn / 4) % 2) continue;
        unsigned way = (turn + turn / 4) % 4,
                 device = (turn / 2 + turn / 8) % (devices.n < 2 ? 1 : 2);
        r = open_runner(m, 1 + device, chances[way], N, 0);
        open_line(&got, m, type, N);
        go(r, &got, N, chunks[i]);
        const char *what = differs(m, &want, &got, N);
        if (what)
            print_error("    %s: %s (cache %d, pieces of %u, %u parts, device %u)\n", name, what,
                        type, chunks[i], r->n_parts, device);
        bad += what != NULL;
        close_line(&got);
        close_runner(r);
        assert_int_equal(ig_host_allocated(NULL), 0);
    }
    close_line(&want);
    return bad;
}

/* -1: not a model that is run. */
static int check_model(const char *path, const char *name) {
    struct model *m = calloc(1, sizeof *m);
    int bad = -1;
    if (plan_open(m, path, &err)) {
        bad = check_ways(m, name);
        if (bad || n_only) print_message("%s%s\n", name, bad ? "  FAILED" : "");
        plan_close(m);
    }
    free(m);
    return bad;
}

static void every_golden_model(void **state) {
    (void)state;
    static const char *const kinds[] = {"models", "gguf"};
    const struct plan_choice choice = {only, n_only, thin(40, 6)};
    char folder[1100];
    int bad = 0, count = 0;
    for (int i = 0; i < 4; i++) {
        snprintf(folder, sizeof folder, "%s/%s", plan_root(i % 2), kinds[i / 2]);
        int here = plan_folder(folder, &choice, check_model, &count); /* not all are in both places */
        bad += here > 0 ? here : 0;
    }
    if (bad) fail_msg("%d of %d models differ", bad, count);
    if (!n_only && count < 100 / (int)thin(40, 6)) fail_msg("only %d models found", count);
}

/* ---- Every block type, in planes and as in the file ---- */

static void check_type(struct model *m, const struct line *want, const char *name,
                       unsigned device) {
    struct runner *gpu = open_runner(m, 1 + device, 0, N, 0);
    struct line got;
    open_line(&got, m, IG_CACHE_F16, N);
    go(gpu, &got, 1, 1);
    go(gpu, &got, 12, 9);
    const char *what = differs(m, want, &got, 12);
    if (what) fail_msg("%s on device %u: %s", name, device, what);
    close_line(&got);
    close_runner(gpu);
}

static void every_block_type(void **state) {
    const struct ig_quant *t;
    char path[] = "/tmp/ingle-gpu-run-XXXXXX";
    int file = mkstemp(path), apart = (int)thin(8, 2);
    (void)state;
    if (file < 0) fail();
    close(file);
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        if (t->kind == IG_QUANT_OTHER || i % (size_t)apart) continue;
        struct model *m = calloc(1, sizeof *m);
        struct line want;
        write_model(path, t);
        if (!plan_open(m, path, &err)) fail_msg("%s: %s", t->name, err.message);
        struct runner *cpu = open_runner(m, 0, 0, N, 0);
        open_line(&want, m, IG_CACHE_F16, N);
        go(cpu, &want, 12, 12);
        check_type(m, &want, t->name, (unsigned)(i % (devices.n < 2 ? 1 : 2)));
        check_type(m, &want, t->name, 2 % devices.n);
        close_line(&want);
        close_runner(cpu);
        plan_close(m);
        free(m);
    }
    unlink(path);
}

/* ---- What happens to a timeline ---- */

static struct model *open_golden(const char *name) {
    char path[1100];
    struct model *m = calloc(1, sizeof *m);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", plan_root(i), name);
        if (plan_open(m, path, &err)) return m;
    }
    fail_msg("%s: %s", name, err.message);
    return NULL;
}

static void expect_same(const struct model *m, const struct line *want, const struct line *got,
                        uint32_t n) {
    const char *what = differs(m, want, got, n);
    if (what) fail_msg("%s", what);
}

/* Beyond windows' rings and the first chunk of attention, cut back and filled again, given back in
 * between. */
static void check_long(const char *name, enum ig_cache_type type) {
    struct model *m = open_golden(name);
    struct runner *cpu = open_runner(m, 0, 0, LONG, 0), *gpu = open_runner(m, 1, 0, LONG, 0);
    struct line want, got;
    open_line(&want, m, type, LONG);
    open_line(&got, m, type, LONG);
    go(cpu, &want, LONG, N);
    go(gpu, &got, 150, 37);
    assert_int_equal(ig_cache_keep(&got.cache, 140), 140);
    go(gpu, &got, 200, 1);
    ig_gpu_rest(gpu->w);
    assert_int_equal(ig_host_allocated(NULL), 0);
    go(gpu, &got, 260, 13);
    go(cpu, &got, 270, 3); /* by another: what the device knows ends where that began */
    go(gpu, &got, 290, 2);
    ig_cache_mirrors_keep(&got.cache, 0);
    go(gpu, &got, LONG, 20);
    expect_same(m, &want, &got, LONG);
    close_line(&got);
    close_line(&want);
    close_runner(gpu);
    close_runner(cpu);
    assert_int_equal(ig_host_allocated(NULL), 0);
    plan_close(m);
    free(m);
}

static void timelines_go_on(void **state) {
    (void)state;
    check_long("models/mistral-swa", IG_CACHE_Q8);
    if (thin(2, 1) > 1) return;
    check_long("models/llama", IG_CACHE_F16);
    check_long("models/gemma3", IG_CACHE_F32);
    check_long("models/gpt-oss", IG_CACHE_F16);
}

/* Three in one pass, one after another and token by token, of different lengths. */
static void timelines_share_a_pass(void **state) {
    static const char *const names[] = {"models/llama", "models/qwen3-moe", "models/gemma3"};
    (void)state;
    for (unsigned k = thin(2, 1) > 1 ? 2 : 0; k < 3; k++) {
        struct model *m = open_golden(names[k]);
        struct runner *cpu = open_runner(m, 0, 0, LONG, 0),
                      *gpu = open_runner(m, 1 + k % 2, 0, LONG, 0);
        struct line want[3], got[3], *w[3], *g[3];
        for (unsigned i = 0; i < 3; i++) {
            open_line(w[i] = &want[i], m, (enum ig_cache_type)k, LONG);
            open_line(g[i] = &got[i], m, (enum ig_cache_type)k, LONG);
        }
        for (unsigned s = 0; s < 6; s++) {
            uint32_t n[3] = {s % 3 + 1, s * 2 % 7, 9 - s};
            if (step(cpu, w, 3, n, s % 2) || step(gpu, g, 3, n, s % 2)) fail_msg("%s", err.message);
        }
        for (unsigned i = 0; i < 3; i++) {
            expect_same(m, &want[i], &got[i], got[i].cache.n);
            close_line(&want[i]);
            close_line(&got[i]);
        }
        close_runner(cpu);
        close_runner(gpu);
        plan_close(m);
        free(m);
    }
}

/* Matrices in several buffers. */
static void large_matrices_are_cut(void **state) {
    static const char *const names[] = {"models/llama", "models/qwen3-moe", "models/gpt2"};
    (void)state;
    for (unsigned k = 0; k < 3; k++) {
        struct model *m = open_golden(names[k]);
        struct runner *cpu = open_runner(m, 0, 0, N, 0), *gpu = open_runner(m, 1, 0, N, 12000);
        struct line want, got;
        open_line(&want, m, IG_CACHE_F16, N);
        open_line(&got, m, IG_CACHE_F16, N);
        go(cpu, &want, N, N);
        go(gpu, &got, N, 19);
        expect_same(m, &want, &got, N);
        close_line(&want);
        close_line(&got);
        close_runner(cpu);
        close_runner(gpu);
        plan_close(m);
        free(m);
    }
}

/* ---- Faults ---- */

static void cancelled_and_failed_passes_leave_no_trace(void **state) {
    static const char *const calls[] = {"alloc",  "upload", "launch", "download",
                                        "kernel", "copy",   "sync"};
    (void)state;
    struct model *m = open_golden("models/llama");
    struct runner *cpu = open_runner(m, 0, 0, LONG, 0);
    struct line want;
    open_line(&want, m, IG_CACHE_F16, LONG);
    go(cpu, &want, N, N);
    for (unsigned c = 0; c < sizeof calls / sizeof *calls; c++)
        for (unsigned nth = 1; nth < 120; nth += 1 + nth / 2) {
            struct runner *gpu = open_runner(m, 1, 0, LONG, 0);
            struct line got;
            open_line(&got, m, IG_CACHE_F16, LONG);
            uint32_t n[] = {9};
            ig_host_fail(calls[c], nth, false);
            for (unsigned tries = 0; got.cache.n < 36 && tries < 8; tries++) {
                struct line *l = &got;
                ingle_status status = step(gpu, &l, 1, n, false);
                if (status == INGLE_OK) continue;
                assert_int_equal(status, INGLE_DEVICE);
                assert_non_null(strstr(err.message, "on purpose"));
                if (tries % 2 && step(cpu, &l, 1, n, false)) fail_msg("%s", err.message);
            }
            ig_host_fail(NULL, 0, false);
            assert_int_equal(got.cache.n, 36);
            go(gpu, &got, N, 5);
            expect_same(m, &want, &got, N);
            close_line(&got);
            close_runner(gpu);
            assert_int_equal(ig_host_allocated(NULL), 0);
        }
    struct runner *gpu = open_runner(m, 1, 0, LONG, 0);
    struct line got, *l = &got;
    open_line(&got, m, IG_CACHE_F16, LONG);
    go(gpu, &got, 20, 6);
    uint32_t n[] = {7};
    flag = true;
    assert_int_equal(step(gpu, &l, 1, n, false), INGLE_CANCELLED);
    flag = false;
    go(gpu, &got, N, 6);
    expect_same(m, &want, &got, N);
    close_line(&got);
    close_runner(gpu);
    close_line(&want);
    close_runner(cpu);
    plan_close(m);
    free(m);
}

int main(int argc, char **argv) {
    only = argv + 1;
    n_only = argc - 1;
    char why[256];
    const char *backend = getenv("INGLE_TEST_BACKEND"); /* "opencl": on real devices, instead */
    ig_backend_test(&ig_backend_host);
    for (uint32_t i = 0; backend && ig_backend_at(i); i++)
        if (!strcmp(ig_backend_at(i)->name, backend)) ig_backend_at(i)->list(&devices, why);
    if (!backend) ig_backend_host.list(&devices, why);
    if (!devices.n) return 1;
    if (getenv("INGLE_TEST_ONLY"))
        cmocka_set_test_filter(getenv("INGLE_TEST_ONLY")); /* "every_b*" */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_model),
        cmocka_unit_test(every_block_type),
        cmocka_unit_test(timelines_go_on),
        cmocka_unit_test(timelines_share_a_pass),
        cmocka_unit_test(large_matrices_are_cut),
        cmocka_unit_test(cancelled_and_failed_passes_leave_no_trace),
    };
    const struct CMUnitTest models[] = {cmocka_unit_test(every_golden_model)};
    return n_only ? cmocka_run_group_tests(models, NULL, NULL)
                  : cmocka_run_group_tests(tests, NULL, NULL);
}
