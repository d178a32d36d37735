/* The prediction layer that a model's file brings along (MTP, nextn): its logits against plain
 * loops, whatever was computed, guessed and cut before, and texts that are the same with and
 * without its guesses. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/speculate.h"
#include "make_predict.h"

enum { OUT = 90 };
static char path[] = "/tmp/ingle-heads-XXXXXX";
static ingle_error err;

#define OK(call)                                                                                   \
    do {                                                                                           \
        if ((call) != INGLE_OK) fail_msg("%s", err.message);                                       \
    } while (0)

static ingle_model *open_parts(int parts) {
    ingle_model *m = NULL;
    write_predict(path, parts);
    OK(ingle_model_open(&m, path, NULL, &err));
    return m;
}

static ingle_session *open_session(const ingle_model *m, const char *const *pairs) {
    ingle_options *o;
    ingle_session *s = NULL;
    OK(ingle_options_new(&o, &err));
    for (; *pairs; pairs += 2) OK(ingle_options_set(o, pairs[0], pairs[1], &err));
    OK(ingle_session_open(&s, m, o, &err));
    ingle_options_free(o);
    return s;
}

static void make_ids(int32_t *ids, int n, int seed) {
    for (int i = 0; i < n; i++) ids[i] = (int32_t)((i * i * 7 + i * seed + 5) % P_VOCAB);
}

/* ---- Logits ---- */

static double want[P_VOCAB];

/* Logits for the token behind ids[0..n) and the `guesses` behind those. */
static void compute(int parts, const int32_t *ids, int n, const int32_t *guesses, int n_guesses) {
    static struct p_cache first, second;
    double state[P_WIDTH];
    for (int i = 0; i + 1 < n; i++) {
        p_model(&first, ids[i], i, state);
        p_predict(&second, parts, ids[i + 1], i, state, want);
    }
    for (int i = 0; i < n_guesses; i++)
        p_predict(&second, parts, guesses[i], n - 1 + i, state, want);
}

/* Up to three guesses behind ids[0..n), whose last token the session has not computed. */
static void check_guesses(struct ig_draft *d, int parts, const int32_t *ids, int n) {
    int32_t guess[3], last = -1;
    double chance[3];
    uint32_t got;
    for (uint32_t most = 1; most <= 3; most++) {
        OK(ig_draft_guess(d, ids, (uint32_t)n, most, 0, guess, chance, &got, &err));
        assert_int_equal(got, most);
        if (most > 1) assert_int_equal(guess[most - 2], last);
        compute(parts, ids, n, guess, (int)most - 1);
        int best = 0;
        for (int i = 0; i < P_VOCAB; i++) {
            double off = fabs(want[i] - (double)d->heads->logits[i]);
            if (!(off < 1e-4))
                fail_msg("%d guesses behind %d: logit %d is off by %g", (int)most, n, i, off);
            best = want[i] > want[best] ? i : best;
        }
        assert_int_equal(last = guess[most - 1], best);
    }
}

static void test_logits(void **state) {
    static const char *const pairs[][8] = {{"kv", "f32", "context", "100", "batch", "100", NULL},
                                           {"kv", "f32", "context", "100", "batch", "7", NULL}};
    static const int parts[] = {P_ALL, P_NEEDED, P_NEEDED | P_NORM, P_NEEDED | P_EMBD,
                                P_NEEDED | P_HEAD_OWN};
    (void)state;
    int32_t ids[70], other[70];
    make_ids(ids, 70, 13);
    make_ids(other, 70, 13);
    for (int i = 20; i < 70; i++) other[i] = ids[69 - i];
    for (size_t k = 0; k < 2 * sizeof parts / sizeof *parts; k++) {
        ingle_model *m = open_parts(parts[k / 2]);
        ingle_session *s = open_session(m, pairs[k % 2]);
        struct ig_draft *d;
        assert_non_null(m->arch.predict);
        assert_int_equal(m->arch.hp.n_layer, 1);
        OK(ig_draft_open_heads(&d, s, &err));
        OK(ingle_session_sync(s, ids, 40, &err));
        check_guesses(d, parts[k / 2], ids, 41);
        for (int n = 41; n < 44; n++) { /* the tokens come, not those guessed */
            OK(ingle_session_step(s, ids[n - 1], &err));
            check_guesses(d, parts[k / 2], ids, n + 1);
        }
        OK(ingle_session_sync(s, other, 60, &err)); /* another text with the same beginning */
        check_guesses(d, parts[k / 2], other, 61);
        OK(ingle_session_sync(s, other, 2, &err));
        check_guesses(d, parts[k / 2], other, 3);
        ig_draft_close(d);
        ingle_session_close(s);
        ingle_model_close(m);
    }
}

/* A timeline whose states nobody kept gets no guesses. */
static void test_no_states(void **state) {
    static const char *const pairs[] = {"context", "100", NULL};
    (void)state;
    int32_t ids[30], guess[3];
    double chance[3];
    uint32_t n = 9;
    struct ig_draft *d;
    make_ids(ids, 30, 3);
    ingle_model *m = open_parts(P_ALL);
    ingle_session *s = open_session(m, pairs);
    OK(ingle_session_sync(s, ids, 20, &err));
    OK(ig_draft_open_heads(&d, s, &err));
    OK(ingle_session_step(s, ids[20], &err));
    OK(ig_draft_follow(d, ids, 21, &err));
    OK(ig_draft_guess(d, ids, 22, 3, 0, guess, chance, &n, &err));
    assert_int_equal(n, 0);
    OK(ingle_session_sync(s, ids + 1, 20, &err)); /* a new one */
    OK(ig_draft_guess(d, ids + 1, 21, 3, 0, guess, chance, &n, &err));
    assert_int_equal(n, 3);
    ig_draft_close(d);
    ingle_session_close(s);
    ingle_model_close(m);
}

/* ---- Texts ---- */

struct trace {
    int32_t ids[OUT];
    float logits[P_VOCAB];
    uint64_t guessed;
};

/* OUT tokens behind a prompt with `force` guesses a pass; -1: plain steps. */
static void generate(const ingle_model *m, const char *const *pairs, int force, struct trace *t) {
    ingle_session *s = open_session(m, pairs);
    struct ig_sampler *sampler;
    struct ig_draft *d = NULL;
    struct ig_spec *sp = NULL;
    int32_t ids[30];
    make_ids(ids, 30, 11);
    if (force >= 0) {
        OK(ig_draft_open_heads(&d, s, &err));
        OK(ig_spec_open(&sp, s, d, &err));
    }
    OK(ingle_session_sync(s, ids, 30, &err));
    OK(ig_session_sampler(s, s->options, &sampler, &err));
    if (sp) ig_spec_begin(sp, IG_SPEC_MTP);
    if (sp) sp->force = (uint32_t)force;
    for (uint32_t i = 0; i < OUT; i++) {
        OK(ig_sampler_pick(sampler, s->logits, &t->ids[i], &err));
        ig_sampler_accept(sampler, t->ids[i]);
        OK(sp ? ig_spec_step(sp, t->ids[i], OUT - i - 1, &err)
              : ig_session_step(s, t->ids[i], &err));
    }
    memcpy(t->logits, s->logits, sizeof t->logits);
    t->guessed = sp ? sp->guessed : 0;
    ig_sampler_close(sampler);
    ig_spec_close(sp);
    ig_draft_close(d);
    ingle_session_close(s);
}

static void test_same_as_plain(void **state) {
    static const char *const pairs[][12] = {
        {"context", "150", "batch", "32", "temperature", "0", NULL},
        {"context", "150", "batch", "8", "temperature", "0.8", "seed", "4", "threads", "3", NULL}};
    (void)state;
    static struct trace plain, got;
    ingle_model *m = open_parts(P_ALL);
    for (int i = 0; i < 2; i++) {
        generate(m, pairs[i], -1, &plain);
        for (int force = 1; force <= 7; force += 3) {
            generate(m, pairs[i], force, &got);
            assert_memory_equal(plain.ids, got.ids, sizeof got.ids);
            assert_memory_equal(plain.logits, got.logits, sizeof got.logits);
            assert_true(got.guessed > OUT / 2);
        }
    }
    ingle_model_close(m);
}

struct heard {
    char text[1024];
    size_t n;
};

static int hear(void *ud, const ingle_event *e) {
    struct heard *h = ud;
    if (e->kind != INGLE_EVENT_TEXT || h->n + e->len >= sizeof h->text) return 0;
    memcpy(h->text + h->n, e->text, e->len);
    h->n += e->len;
    return 0;
}

static ingle_status ask(ingle_engine *e, const char *mode, struct heard *h) {
    char json[256];
    memset(h, 0, sizeof *h);
    snprintf(
        json, sizeof json,
        "{\"prompt\":[5,9,3,5,9,3,5,9],\"max_tokens\":80,\"temperature\":0,\"ignore_eos\":true,"
        "\"speculate\":\"%s\"}",
        mode);
    return ingle_engine_run(e, json, strlen(json), hear, h, &err);
}

static void test_engine(void **state) {
    static const char *const modes[] = {"mtp", "auto", "ngram", "off", "mtp"};
    (void)state;
    struct heard first, h;
    ingle_model *m = open_parts(P_ALL);
    ingle_engine *e;
    ingle_options *o;
    OK(ingle_engine_open(&e, m, NULL, &err));
    OK(ask(e, "off", &first));
    assert_true(first.n >= 80);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        OK(ask(e, modes[i], &h));
        assert_memory_equal(&first, &h, sizeof h);
    }
    ingle_engine_close(e);
    OK(ingle_options_new(&o, &err));
    OK(ingle_options_set(o, "speculate", "off", &err)); /* what is not wanted takes no memory */
    OK(ingle_engine_open(&e, m, o, &err));
    assert_int_equal(ask(e, "mtp", &h), INGLE_BAD_REQUEST);
    ingle_engine_close(e);
    ingle_options_free(o);
    ingle_model_close(m);
    m = open_parts(0);
    OK(ingle_engine_open(&e, m, NULL, &err));
    OK(ask(e, "auto", &h));
    assert_memory_equal(&first, &h, sizeof h); /* the layer has no part in it */
    assert_int_equal(ask(e, "mtp", &h), INGLE_BAD_REQUEST);
    ingle_engine_close(e);
    ingle_model_close(m);
}

/* ---- Memory ---- */

static struct { long count, fail_at, live; } hook;

static void *allocate(void *ud, void *p, size_t old, size_t now) {
    (void)ud;
    (void)old;
    if (!now) {
        hook.live -= p != NULL;
        free(p);
        return NULL;
    }
    if (++hook.count == hook.fail_at) return NULL;
    void *q = realloc(p, now);
    hook.live += q && !p;
    return q;
}

/* Opens a model and its prediction layer and guesses twice; INGLE_OK or how it failed. */
static ingle_status course(ingle_options *o, const int32_t *ids) {
    ingle_model *m = NULL;
    ingle_session *s = NULL;
    struct ig_draft *d = NULL;
    int32_t guess[3];
    double chance[3];
    uint32_t n;
    ingle_status status = ingle_model_open(&m, path, o, &err);
    if (!status) status = ingle_session_open(&s, m, o, &err);
    if (!status) status = ig_draft_open_heads(&d, s, &err);
    for (int i = 20; i <= 60 && !status; i += 40) {
        status = ingle_session_sync(s, ids, (size_t)i, &err);
        if (!status)
            status = ig_draft_guess(d, ids, (uint32_t)i + 1, 3, 0, guess, chance, &n, &err);
    }
    ig_draft_close(d);
    ingle_session_close(s);
    ingle_model_close(m);
    return status;
}

static void test_no_memory(void **state) {
    (void)state;
    int32_t ids[61];
    ingle_options *o;
    long failed = 0;
    make_ids(ids, 61, 7);
    write_predict(path, P_ALL);
    OK(ingle_options_new(&o, &err));
    ingle_options_on_alloc(o, allocate, NULL);
    OK(ingle_options_set(o, "context", "100", &err));
    OK(ingle_options_set(o, "threads", "1", &err)); /* the counts have no lock */
    hook.count = hook.fail_at = hook.live = 0;
    OK(course(o, ids));
    long total = hook.count;
    for (long i = 1; i <= total; i++) {
        hook.count = 0;
        hook.fail_at = i;
        ingle_status status = course(o, ids);
        if (status && status != INGLE_NO_MEMORY) fail_msg("allocation %ld: %s", i, err.message);
        failed += status != INGLE_OK;
        if (hook.live) fail_msg("allocation %ld failed: %ld blocks are left", i, hook.live);
    }
    hook.fail_at = 0;
    assert_true(failed > total * 3 / 4);
    ingle_options_free(o);
}

/* ---- Files ---- */

static void test_half_present(void **state) {
    static const struct {
        int parts;
        const char *says;
    } cases[] = {{P_ALL & ~P_PROJ, "blk.1.nextn.eh_proj is missing"},
                 {P_ALL & ~P_ENORM, "blk.1.nextn.enorm is missing"},
                 {P_ALL & ~P_HNORM, "blk.1.nextn.hnorm is missing"},
                 {P_ALL & ~P_LAYER, "blk.1.attn_norm is missing"},
                 {P_LAYER, "blk.1.nextn.eh_proj is missing"},
                 {P_EMBD, "blk.1.attn_norm is missing"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ingle_model *m = NULL;
        write_predict(path, cases[i].parts);
        assert_int_equal(ingle_model_open(&m, path, NULL, &err), INGLE_BAD_FILE);
        if (!strstr(err.message, cases[i].says))
            fail_msg("'%s' instead of '%s'", err.message, cases[i].says);
    }
}

/* Folders spell the same tensors in their own way. */
static void test_folder_names(void **state) {
    static const struct {
        const char *name;
        uint8_t role;
    } names[] = {{"model.layers.46.eh_proj.weight", IG_R_nextn_eh_proj},
                 {"model.layers.46.enorm.weight", IG_R_nextn_enorm},
                 {"model.layers.46.hnorm.weight", IG_R_nextn_hnorm},
                 {"model.layers.46.embed_tokens.weight", IG_R_nextn_embed_tokens},
                 {"model.layers.46.shared_head.norm.weight", IG_R_nextn_shared_head_norm},
                 {"model.layers.46.shared_head.head.weight", IG_R_nextn_shared_head_head},
                 {"model.embed_tokens.weight", IG_R_token_embd}};
    (void)state;
    struct ig_hparams hp = {.row = ig_row_by_name(ig_str_of("glm4moe"))};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ig_place p;
        assert_true(ig_place_hf(&hp, ig_str_of(names[i].name), &p));
        assert_int_equal(p.role, names[i].role);
        assert_int_equal(p.layer, names[i].role == IG_R_token_embd ? -1 : 46);
        assert_int_equal(p.part, IG_PART_WEIGHT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits),        cmocka_unit_test(test_no_states),
        cmocka_unit_test(test_same_as_plain), cmocka_unit_test(test_engine),
        cmocka_unit_test(test_no_memory),     cmocka_unit_test(test_half_present),
        cmocka_unit_test(test_folder_names),
    };
    int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    p_free();
    return failed;
}
