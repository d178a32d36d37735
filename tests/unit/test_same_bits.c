/* The promise of docs/reproducibility.md, for every block type in a whole model: all logits are the
 * same bits with every instruction set of this machine, any number of threads, any cutting of the
 * prompt, alone or beside other sessions, fresh or from a saved session. (Whole families: the
 * golden models in test_archs.c. Each kernel: test_linear_quant.c, test_kernels.c.)
 *
 * `test_same_bits TYPE...` runs only these types, and every combination. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "make_model.h"
#include "tables.h"

/* One type and one combination of so many; the release build does the comparing (not under TSan: test_engine and
 * test_together run the same threads). */
#if defined(__SANITIZE_ADDRESS__)
enum { THIN = 7 };
#else
enum { THIN = 1 };
#endif
enum { N = 66, HALF = 40, BESIDE = 5 };

static char folder[64] = "/tmp/ingle-same-bits-XXXXXX", path[128], saved[128];
static ingle_error err;
static int32_t ids[N];
static float want[N][MODEL_VOCAB], got[N][MODEL_VOCAB];
static char **only;
static int n_only;

struct run {
    const char *cpu;
    int threads, chunk;
};

static void set(ingle_options *o, const char *name, const char *value) {
    if (ingle_options_set(o, name, value, &err)) fail_msg("%s", err.message);
}

static ingle_session *open_run(const ingle_model *m, const struct run *r) {
    ingle_options *o;
    ingle_session *s = NULL;
    char number[16];
    assert_int_equal(ingle_options_new(&o, &err), INGLE_OK);
    set(o, "context", "128");
    set(o, "cpu", r->cpu);
    snprintf(number, sizeof number, "%d", r->threads);
    set(o, "threads", number);
    snprintf(number, sizeof number, "%d", r->chunk);
    set(o, "batch", number);
    if (ingle_session_open(&s, m, o, &err)) fail_msg("%s", err.message);
    ingle_options_free(o);
    return s;
}

static int take_row(void *ud, size_t position, const float *logits) {
    memcpy((float(*)[MODEL_VOCAB])ud + position, logits, sizeof want[0]);
    return 0;
}

static void check(const char *what, const struct run *r, size_t first, size_t end) {
    for (size_t i = first; i < end; i++)
        if (memcmp(want[i], got[i], sizeof want[i]))
            fail_msg("%s, %s, %d threads, pieces of %d: other bits at position %zu (%a, not %a)",
                     what, r->cpu, r->threads, r->chunk, i, (double)got[i][0], (double)want[i][0]);
}

static void fresh(const ingle_model *m, const struct run *r, float (*out)[MODEL_VOCAB]) {
    ingle_session *s = open_run(m, r);
    if (ingle_session_sync_each(s, ids, N, take_row, out, &err)) fail_msg("%s", err.message);
    ingle_session_close(s);
}

/* The second half token by token, each in one pass with those of five other sessions. */
static void beside(const ingle_model *m, const struct run *r) {
    ingle_session *s[BESIDE + 1];
    int32_t next[BESIDE + 1];
    for (size_t i = 0; i <= BESIDE; i++) {
        s[i] = open_run(m, &(struct run){r->cpu, r->threads, r->chunk < 6 ? 6 : r->chunk});
        if (ingle_session_sync(s[i], ids + 3 * i, HALF - 6 * i, &err)) fail_msg("%s", err.message);
    }
    for (size_t at = HALF; at < N; at++) {
        for (size_t i = 0; i <= BESIDE; i++) next[i] = ids[i ? at - i : at];
        if (ingle_sessions_step(s, next, BESIDE + 1, &err)) fail_msg("%s", err.message);
        memcpy(got[at], ingle_session_logits(s[0]), sizeof got[at]);
    }
    for (size_t i = 0; i <= BESIDE; i++) ingle_session_close(s[i]);
    check("beside others", r, HALF, N);
}

/* Computed by one, continued by the other. */
static void loaded(const ingle_model *m, const struct run *before, const struct run *after) {
    ingle_session *a = open_run(m, before), *b = open_run(m, after);
    if (ingle_session_sync(a, ids, HALF, &err) || ingle_session_save(a, saved, &err) ||
        ingle_session_load(b, saved, &err) ||
        ingle_session_sync_each(b, ids, N, take_row, got, &err))
        fail_msg("%s", err.message);
    ingle_session_close(a);
    ingle_session_close(b);
    check("from a saved session", after, HALF, N);
}

/* Each table with three of the combinations of threads and pieces, others for the next type; with a
 * name on the command line, all of them. */
static void check_type(const struct ig_quant *t) {
    static const int threads[] = {1, 2, 3, 8}, chunks[] = {1, 3, 7, 16, 64, 512};
    static unsigned turn;
    const struct ig_kernels *tables[MAX_TABLES];
    ingle_model *m;
    write_model(path, t);
    if (ingle_model_open(&m, path, NULL, &err)) fail_msg("%s: %s", t->name, err.message);
    size_t n_tables = find_tables(tables);
    fresh(m, &(struct run){"scalar", 1, 512}, want);
    for (size_t i = 0; i < n_tables; i++) {
        for (unsigned c = 0; c < 6; c++)
            for (unsigned k = 0; k < 4; k++, turn++) {
                struct run r = {tables[i]->name, threads[k], chunks[c]};
                if (turn % THIN || (!n_only && (i == 0 ? turn % 24 : (c + k + turn / 24) % 8)))
                    continue;
                fresh(m, &r, got);
                check(t->name, &r, 0, N);
            }
        if (i == 0 && !n_only) continue;                         /* scalar code is slow */
        size_t mate = n_tables > 1 ? i % (n_tables - 1) + 1 : 0; /* never scalar, if it can */
        struct run r = {tables[i]->name, 1 + (int)i % 3, chunks[turn++ % 6]},
                   other = {tables[mate]->name, 2, 16};
        beside(m, &r);
        loaded(m, &other, &r);
    }
    ingle_model_close(m);
}

static void every_block_type(void **state) {
    (void)state;
    const struct ig_quant *t;
    int count = 0;
    for (size_t i = 0; (t = ig_quant_at(i)); i++) {
        bool wanted = !n_only;
        for (int k = 0; k < n_only; k++) wanted |= !strcmp(only[k], t->name);
        if (t->kind == IG_QUANT_OTHER || !wanted || (!n_only && i % THIN)) continue;
        check_type(t);
        count++;
    }
    if (!n_only) assert_true(count >= 27 / THIN);
}

static int setup(void **state) {
    (void)state;
    if (!mkdtemp(folder)) return -1;
    snprintf(path, sizeof path, "%s/model.gguf", folder);
    snprintf(saved, sizeof saved, "%s/session", folder);
    for (size_t i = 0; i < N; i++) ids[i] = (int32_t)(model_random() % MODEL_VOCAB);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    unlink(path);
    unlink(saved);
    return rmdir(folder);
}

int main(int argc, char **argv) {
    only = argv + 1;
    n_only = argc - 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_block_type)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
