/* Guessing ahead changes nothing but the time: the same tokens, logits, random numbers and timeline
 * as plain steps, whatever the sampler does. And the guesses themselves: what a text's past says.
 */
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "engine/speculate.h"
#include "sessions.h"

/* Through the cases below: sanitizers are slow, and the release build compares all (not under TSan: test_engine and
 * test_together run the same threads). */
#if defined(__SANITIZE_ADDRESS__)
enum { STRIDE = 3 };
#else
enum { STRIDE = 1 };
#endif
enum { PROMPT = 40, OUT = 300 };

/* ---- Guesses ---- */

static void test_lookup(void **state) {
    (void)state;
    struct ig_mem mem = {0};
    struct ig_lookup l;
    int32_t guess[6];
    static const int32_t text[] = {7, 1, 2, 3, 4, 9, 8, 2, 3, 5, 6, 1, 2, 3};
    assert_int_equal(ig_lookup_open(&l, &mem, 64, &err), INGLE_OK);
    ig_lookup_begin(&l, text, 1);
    assert_int_equal(l.length, 0);
    ig_lookup_begin(&l, text, 14);
    assert_int_equal(l.length, 3); /* 1 2 3, though 2 3 stood there later */
    ig_lookup_guess(&l, guess, 6);
    assert_memory_equal(guess, ((int32_t[]){4, 9, 8, 2, 3, 5}), sizeof guess);
    static const int32_t loop[] = {5, 1, 2, 1, 2};
    ig_lookup_begin(&l, loop, 5);
    assert_int_equal(l.length, 2);
    ig_lookup_guess(&l, guess, 6); /* goes on with its own guesses */
    assert_memory_equal(guess, ((int32_t[]){1, 2, 1, 2, 1, 2}), sizeof guess);
    ig_lookup_close(&l);
    assert_int_equal(ig_mem_used(&mem), 0);
}

/* Every answer of a long random text is an earlier place that ends alike, and none is missed that
 * is alike for longer and young enough to be compared. */
static void test_lookup_at_length(void **state) {
    enum { LONG = 5000 };
    (void)state;
    struct ig_mem mem = {0};
    struct ig_lookup l;
    int32_t *text = calloc(LONG, sizeof *text);
    uint32_t random = 1, found = 0;
    for (int i = 0; i < LONG; i++) {
        random = random * 1664525 + 1013904223;
        text[i] = i >= 900 && i % 1000 > 500 ? text[i - 700] : (int32_t)(random >> 24);
    }
    assert_int_equal(ig_lookup_open(&l, &mem, 1000, &err), INGLE_OK); /* forgets after 1024 */
    ig_lookup_begin(&l, text, 0);
    for (uint32_t n = 1; n < LONG; n++) {
        uint32_t best = 0;
        ig_lookup_add(&l);
        assert_int_equal(l.n, n);
        for (uint32_t at = n > 1000 ? n - 1000 : 1; at < n; at++) {
            uint32_t k = 0;
            while (k < at && k < IG_LOOKUP_LONGEST && text[at - 1 - k] == text[n - 1 - k]) k++;
            best = k > best ? k : best;
        }
        if (best >= 2) assert_true(l.length >= best);
        for (uint32_t k = 0; k < l.length; k++)
            assert_int_equal(text[l.source - 1 - k], text[n - 1 - k]);
        found += l.length > 8;
    }
    assert_true(found > 1000);
    ig_lookup_close(&l);
    free(text);
}

/* ---- Plain and guessed ---- */

struct trace {
    int32_t ids[OUT];
    float logits[VOCAB];
    uint8_t sampler[1 << 14];
    size_t sampler_bytes;
    uint64_t guessed, accepted;
};

/* Samples OUT tokens behind a prompt; `force` guesses in each pass, -1 = plain steps. With `draft`
 * they are that model's, else the text's. */
static void generate_with(const ingle_model *m, const char *const *pairs, int force,
                          const char *draft, struct trace *t) {
    struct ig_draft *d = NULL;
    struct ingle_session *s = open_session(m, pairs);
    struct ig_spec *sp = NULL;
    struct ig_sampler *sampler = NULL;
    int32_t ids[PROMPT];
    make_ids(ids, PROMPT);
    for (int i = PROMPT / 2; i < PROMPT; i++) ids[i] = ids[i - PROMPT / 2];
    memset(t, 0, sizeof *t);
    assert_int_equal(ingle_session_sync(s, ids, PROMPT, &err), INGLE_OK);
    if (ig_session_sampler(s, s->options, &sampler, &err) != INGLE_OK) fail_msg("%s", err.message);
    for (int i = 0; i < PROMPT; i++) ig_sampler_accept(sampler, ids[i]);
    if (draft && ig_draft_open(&d, s, golden(draft), &err) != INGLE_OK) fail_msg("%s", err.message);
    if (force >= 0) {
        assert_int_equal(ig_spec_open(&sp, s, d, &err), INGLE_OK);
        sp->force = (uint32_t)force;
        ig_spec_begin(sp, draft ? IG_SPEC_DRAFT : IG_SPEC_NGRAM);
    }
    for (uint32_t i = 0; i < OUT; i++) {
        assert_int_equal(ig_sampler_pick(sampler, s->logits, &t->ids[i], &err), INGLE_OK);
        ig_sampler_accept(sampler, t->ids[i]);
        ingle_status status = sp ? ig_spec_step(sp, t->ids[i], OUT - i - 1, &err)
                                 : ig_session_step(s, t->ids[i], &err);
        if (status != INGLE_OK) fail_msg("%s", err.message);
        assert_int_equal(s->n, PROMPT + i + 1);
        assert_int_equal(s->cache.n, s->n);
    }
    memcpy(t->logits, s->logits, sizeof t->logits);
    t->sampler_bytes = ig_sampler_state_size(sampler);
    assert_true(t->sampler_bytes <= sizeof t->sampler);
    ig_sampler_save(sampler, t->sampler);
    if (sp) t->guessed = sp->guessed, t->accepted = sp->accepted;
    assert_memory_equal(s->tokens + PROMPT, t->ids, sizeof t->ids);
    ig_sampler_close(sampler);
    ig_spec_close(sp);
    ig_draft_close(d);
    ingle_session_close(s);
}

static void generate(const ingle_model *m, const char *const *pairs, int force, struct trace *t) {
    generate_with(m, pairs, force, NULL, t);
}

static void expect_same(const struct trace *a, const struct trace *b) {
    assert_memory_equal(a->ids, b->ids, sizeof a->ids);
    same_bits(a->logits, b->logits);
    assert_int_equal(a->sampler_bytes, b->sampler_bytes);
    assert_memory_equal(a->sampler, b->sampler, a->sampler_bytes);
}

#define PLACE "context", "400", "batch", "32"

static void test_same_as_plain(void **state) {
    static const char *const names[] = {"models/llama", "models/mistral-swa", "models/qwen3-moe",
                                        "models/gpt-oss"};
    static const char *const settings[][24] = {
        {PLACE, "temperature", "0", NULL},
        {PLACE, "temperature", "0.9", "seed", "5", NULL},
        {PLACE, "temperature", "0", "repeat-penalty", "1.3", "frequency-penalty", "0.2",
         "presence-penalty", "0.1", "repeat-last-n", "50", NULL},
        {PLACE, "temperature", "0.7", "seed", "3", "dry-multiplier", "0.8", "top-k", "20", NULL},
        {PLACE, "mirostat", "1", "seed", "11", NULL},
        {PLACE, "mirostat", "2", "seed", "12", "repeat-penalty", "1.1", NULL},
        {PLACE, "xtc-probability", "0.5", "seed", "4", "dynatemp-range", "0.5", "typical-p", "0.9",
         NULL}};
    (void)state;
    static struct trace want, got;
    uint64_t guessed = 0, accepted = 0;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        ingle_model *m = open_model(names[k]);
        for (size_t i = k % STRIDE; i < sizeof settings / sizeof *settings; i += STRIDE) {
            generate(m, settings[i], -1, &want);
            for (int force = 0; force <= IG_SPEC_MOST; force += force ? 11 : 1) {
                generate(m, settings[i], force, &got);
                expect_same(&want, &got);
                guessed += got.guessed;
                accepted += got.accepted;
            }
        }
        ingle_model_close(m);
    }
    assert_true(guessed > 4000 / STRIDE && accepted > 300 / STRIDE && accepted < guessed); /* both ways were gone */
}

/* A model with windows, on a timeline much longer than its rings. */
static void test_windows(void **state) {
    static const char *const names[] = {"models/gemma2", "models/mistral-swa", "models/cohere2",
                                        "models/gemma3"};
    static const char *const pairs[] = {"context",     "512", "batch", "8", "kv", "q8_0",
                                        "temperature", "0.4", "seed",  "9", NULL};
    (void)state;
    static struct trace want, got;
    for (size_t k = 0; k < sizeof names / sizeof *names; k += STRIDE) {
        ingle_model *m = open_model(names[k]);
        generate(m, pairs, -1, &want);
        generate(m, pairs, 7, &got);
        expect_same(&want, &got);
        assert_true(got.guessed > 0);
        ingle_model_close(m);
    }
}

struct heard {
    char text[4096];
    size_t n;
    int32_t output, guessed, accepted;
};

static int hear(void *ud, const ingle_event *e) {
    struct heard *h = ud;
    if (e->kind == INGLE_EVENT_TEXT && h->n + e->len < sizeof h->text) {
        memcpy(h->text + h->n, e->text, e->len);
        h->n += e->len;
    }
    h->output = e->output_tokens;
    h->guessed = e->guessed_tokens;
    h->accepted = e->accepted_tokens;
    return 0;
}

/* ---- Draft models: all golden models have one vocabulary ---- */

static void test_drafts(void **state) {
    static const char *const pairs[][2] = {{"models/llama", "models/llama"},
                                           {"models/gpt-oss", "models/mistral-swa"},
                                           {"models/gemma2", "models/llama-256"},
                                           {"models/mistral-swa", "models/gemma2"}};
    static const char *const settings[][12] = {
        {PLACE, "temperature", "0", NULL},
        {PLACE, "temperature", "0.5", "seed", "8", "repeat-penalty", "1.2", NULL},
        {PLACE, "mirostat", "2", "seed", "2", NULL}};
    (void)state;
    static struct trace want, got;
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        ingle_model *m = open_model(pairs[k][0]);
        for (size_t i = k % STRIDE; i < sizeof settings / sizeof *settings; i += STRIDE) {
            generate(m, settings[i], -1, &want);
            for (int force = 1; force <= 9; force += 4) {
                generate_with(m, settings[i], force, pairs[k][1], &got);
                expect_same(&want, &got);
                assert_true(got.guessed > 0);
                if (k == 0 && i == 0) assert_int_equal(got.accepted, got.guessed); /* of itself */
            }
        }
        ingle_model_close(m);
    }
}

static void test_draft_engine(void **state) {
    static const char request[] = "{\"prompt\":\"once upon\",\"max_tokens\":100,\"temperature\":0,"
                                  "\"ignore_eos\":true,\"speculate\":\"%s\"}";
    static const char *const modes[] = {"off", "auto", "draft", "ngram"};
    (void)state;
    char path[512], json[256];
    struct heard heard[4] = {0};
    ingle_model *m = open_model("models/mistral-swa");
    ingle_engine *e = NULL;
    snprintf(path, sizeof path, "%s", golden("models/llama"));
    ingle_options *o = options((const char *[]){"draft-model", path, NULL});
    assert_int_equal(ingle_engine_open(&e, m, o, &err), INGLE_OK);
    for (int i = 0; i < 4; i++) {
        snprintf(json, sizeof json, request, modes[i]);
        assert_int_equal(ingle_engine_run(e, json, strlen(json), hear, &heard[i], &err), INGLE_OK);
        assert_memory_equal(heard[0].text, heard[i].text, sizeof heard[i].text);
    }
    ingle_engine_close(e);
    assert_int_equal(ingle_options_set(o, "memory-limit", "2M", &err), INGLE_OK); /* for both */
    assert_int_equal(ingle_engine_open(&e, m, o, &err), INGLE_NO_MEMORY);
    assert_null(e);
    ingle_options_free(o);
    o = options((const char *[]){"draft-model", "no/such/model", NULL});
    assert_int_equal(ingle_engine_open(&e, m, o, &err), INGLE_NOT_FOUND);
    ingle_options_free(o);
    assert_int_equal(ingle_engine_open(&e, m, NULL, &err), INGLE_OK);
    snprintf(json, sizeof json, request, "draft");
    assert_int_equal(ingle_engine_run(e, json, strlen(json), hear, &heard[0], &err),
                     INGLE_BAD_REQUEST);
    ingle_engine_close(e);
    ingle_model_close(m);
}

/* What lies behind the end is no part of the timeline: it can be cut, saved, gone on with. */
static void test_behind_the_end(void **state) {
    static const char *const pairs[] = {PLACE, NULL};
    (void)state;
    int32_t ids[PROMPT], other[PROMPT + 9];
    float want[VOCAB];
    ingle_model *m = open_model("models/llama");
    struct ingle_session *s = open_session(m, pairs);
    struct ig_spec *sp;
    for (int i = 0; i < PROMPT; i++) ids[i] = 20 + i % 5;
    assert_int_equal(ingle_session_sync(s, ids, PROMPT, &err), INGLE_OK);
    assert_int_equal(ig_spec_open(&sp, s, NULL, &err), INGLE_OK);
    sp->force = 8;
    ig_spec_begin(sp, IG_SPEC_AUTO);
    assert_int_equal(ig_spec_step(sp, 20, 100, &err), INGLE_OK); /* as guessed in vain: 8 ahead */
    assert_int_equal(sp->held, 8);
    assert_int_equal(ig_spec_step(sp, 21, 99, &err), INGLE_OK);
    assert_int_equal(sp->at, 1);
    memcpy(other, ids, sizeof ids);
    other[PROMPT] = 20;
    other[PROMPT + 1] = 21;
    for (int i = PROMPT + 2; i < PROMPT + 9; i++) other[i] = 100 + i;
    assert_int_equal(ingle_session_sync(s, other, PROMPT + 9, &err), INGLE_OK);
    reference(m, pairs, other, PROMPT + 9, want);
    same_bits(want, ingle_session_logits(s));
    ig_spec_begin(sp, IG_SPEC_AUTO);
    for (int i = 0; i < 3; i++) assert_int_equal(ig_spec_step(sp, 3, 1, &err), INGLE_OK);
    assert_int_equal(sp->guessed, 0); /* one more token is wanted: nothing is computed for later */
    while (s->n < s->context)
        assert_int_equal(ig_spec_step(sp, 3, UINT32_MAX, &err),
                         INGLE_OK); /* up to the last place */
    assert_int_equal(ig_spec_step(sp, 3, UINT32_MAX, &err), INGLE_LIMIT);
    ig_spec_close(sp);
    ingle_session_close(s);
    ingle_model_close(m);
}

/* ---- Choosing ---- */

/* Costs and chances as given: what is chosen must be the best of all choices, and nothing where
 * nothing pays. */
static void test_choice(void **state) {
    static const char *const pairs[] = {PLACE, NULL};
    (void)state;
    ingle_model *m = open_model("models/llama");
    struct ingle_session *s = open_session(m, pairs);
    struct ig_spec *sp;
    int32_t ids[PROMPT];
    for (int i = 0; i < PROMPT; i++) ids[i] = 20 + i % 5;
    assert_int_equal(ingle_session_sync(s, ids, PROMPT, &err), INGLE_OK);
    assert_int_equal(ig_spec_open(&sp, s, NULL, &err), INGLE_OK);
    for (int dear = 0; dear < 2; dear++) {
        ig_spec_begin(sp, IG_SPEC_AUTO);
        sp->passes = 10;
        for (unsigned i = 0; i < IG_SPEC_SIZES; i++) /* a further token costs 5 % more, or 80 % */
            sp->cost[i] =
                (struct ig_spec_cost){1 + (ig_spec_sizes[i] - 1) * (dear ? 0.8 : 0.05), 2, 10};
        for (unsigned i = 0; i < IG_SPEC_CLASSES; i++) sp->chance[i] = dear ? 0.9 : 0.97;
        assert_int_equal(ig_spec_step(sp, 20, 100, &err), INGLE_OK);
        assert_int_equal(sp->held, dear ? 1 : IG_SPEC_MOST);
        ig_session_cut(s, PROMPT);
    }
    for (unsigned i = 0; i < IG_SPEC_CLASSES; i++) sp->chance[i] = 0.02;
    ig_spec_begin(sp, IG_SPEC_AUTO);
    assert_int_equal(ig_spec_step(sp, 20, 100, &err), INGLE_OK);
    assert_int_equal(sp->held, 0);
    ig_spec_close(sp);
    ingle_session_close(s);
    ingle_model_close(m);
}

/* ---- Requests ---- */

static void test_requests(void **state) {
    static const char format[] = "{\"prompt\":\"abcabcabcabc\",\"max_tokens\":%d,\"seed\":2,"
                                 "\"temperature\":%s,\"ignore_eos\":true,\"speculate\":\"%s\"%s}";
    static const char *const ends[] = {"", ",\"stop\":[\"e\"]"};
    static const int most[] = {1, 2, 150};
    (void)state;
    char json[512];
    ingle_model *m = open_model("models/llama");
    ingle_engine *e = NULL;
    assert_int_equal(ingle_engine_open(&e, m, NULL, &err), INGLE_OK);
    for (int i = 0; i < 12; i++) {
        struct heard want = {0}, got = {0};
        int n = most[i % 3];
        const char *temperature = i % 2 ? "0" : "0.6", *end = ends[i / 6];
        snprintf(json, sizeof json, format, n, temperature, "off", end);
        assert_int_equal(ingle_engine_run(e, json, strlen(json), hear, &want, &err), INGLE_OK);
        assert_int_equal(want.guessed, 0);
        snprintf(json, sizeof json, format, n, temperature, i % 2 ? "ngram" : "auto", end);
        assert_int_equal(ingle_engine_run(e, json, strlen(json), hear, &got, &err), INGLE_OK);
        assert_memory_equal(want.text, got.text, sizeof want.text);
        assert_int_equal(want.output, got.output);
        assert_true(got.accepted <= got.guessed);
    }
    snprintf(json, sizeof json, format, 1, "0", "always", "");
    assert_int_equal(ingle_engine_run(e, json, strlen(json), hear, NULL, &err), INGLE_BAD_REQUEST);
    ingle_engine_close(e);
    ingle_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lookup),         cmocka_unit_test(test_lookup_at_length),
        cmocka_unit_test(test_same_as_plain),  cmocka_unit_test(test_windows),
        cmocka_unit_test(test_drafts),         cmocka_unit_test(test_draft_engine),
        cmocka_unit_test(test_behind_the_end), cmocka_unit_test(test_choice),
        cmocka_unit_test(test_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
