/* Several sessions in one pass: the bits of each alone, logits that stay, refusals that change
 * nothing. */
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "sessions.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STRIDE = 3 }; /* through the cases below: sanitizers are slow, the release build compares all */
#else
enum { STRIDE = 1 };
#endif
enum { N = 6, STEPS = 5, MOST = 200 };

/* Timelines of quite different lengths: within a chunk of attention, at its end, beyond a window.
 */
static const size_t lengths[N] = {1, 17, 64, 63, 150, 9};

struct many {
    ingle_session *s[N];
    int32_t ids[N][MOST];
};

static void open_many(struct many *a, const ingle_model *m, const char *const *pairs) {
    for (size_t i = 0; i < N; i++) {
        make_ids(a->ids[i], MOST);
        for (size_t k = 0; k < MOST; k++) a->ids[i][k] = (a->ids[i][k] + 31 * (int)i) % VOCAB;
        a->s[i] = open_session(m, pairs);
        assert_int_equal(ingle_session_sync(a->s[i], a->ids[i], lengths[i], &err), INGLE_OK);
    }
}

static void close_many(struct many *a) {
    for (size_t i = 0; i < N; i++) ingle_session_close(a->s[i]);
}

static void step_many(struct many *a, size_t step) {
    int32_t next[N];
    for (size_t i = 0; i < N; i++) next[i] = a->ids[i][lengths[i] + step];
    if (ingle_sessions_step(a->s, next, N, &err) != INGLE_OK) fail_msg("%s", err.message);
}

static void test_same_bits_as_alone(void **state) {
    static const char *const names[] = {"models/llama",   "models/llama-256", "models/mistral-swa",
                                        "models/gemma2",  "models/qwen3-moe", "models/gpt-oss",
                                        "models/cohere2", "models/gemma3"};
    static const char *const variants[][9] = {
        {"context", "256", NULL},
        {"context", "256", "kv", "q8_0", "threads", "3", NULL},
        {"context", "256", "kv", "f32", "cpu", "scalar", "threads", "2", NULL}};
    (void)state;
    float want[VOCAB];
    struct many a;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++)
        for (size_t k = v % STRIDE; k < sizeof names / sizeof *names; k += STRIDE) {
            ingle_model *m = open_model(names[k]);
            open_many(&a, m, variants[v]);
            for (size_t step = 0; step < STEPS; step++) step_many(&a, step);
            for (size_t i = 0; i < N; i++) {
                reference(m, variants[v], a.ids[i], lengths[i] + STEPS, want);
                same_bits(want, ingle_session_logits(a.s[i]));
            }
            close_many(&a);
            ingle_model_close(m);
        }
}

/* A session goes on alone, others together; rows of those that rest stay as they are. */
static void test_logits_stay(void **state) {
    static const char *const pairs[] = {"context", "256", NULL};
    (void)state;
    float want[VOCAB];
    struct many a;
    ingle_model *m = open_model("models/llama");
    open_many(&a, m, pairs);
    step_many(&a, 0);
    memcpy(want, ingle_session_logits(a.s[4]), sizeof want);
    for (size_t i = 1; i < 3; i++)
        assert_int_equal(ingle_session_step(a.s[0], a.ids[0][lengths[0] + i], &err), INGLE_OK);
    int32_t next[2] = {a.ids[1][lengths[1] + 1], a.ids[2][lengths[2] + 1]};
    assert_int_equal(ingle_sessions_step(a.s + 1, next, 2, &err), INGLE_OK);
    same_bits(want, ingle_session_logits(a.s[4]));
    ingle_session_close(a.s[0]); /* the one whose threads computed */
    a.s[0] = NULL;
    same_bits(want, ingle_session_logits(a.s[4]));
    reference(m, pairs, a.ids[1], lengths[1] + 2, want);
    same_bits(want, ingle_session_logits(a.s[1]));
    int32_t id;
    assert_int_equal(ingle_session_sample(a.s[1], &id, &err), INGLE_OK);
    assert_in_range(id, 0, VOCAB - 1);
    close_many(&a);
    ingle_model_close(m);
}

static void expect(ingle_session **s, const int32_t *ids, size_t n, ingle_status status,
                   const char *word) {
    float before[VOCAB];
    size_t held, now;
    const float *row = s && s[0] ? ingle_session_logits(s[0]) : NULL;
    if (row) {
        memcpy(before, row, sizeof before);
        ingle_session_tokens(s[0], &held);
    }
    assert_int_equal(ingle_sessions_step(s, ids, n, &err), status);
    if (!strstr(err.message, word)) fail_msg("no '%s' in '%s'", word, err.message);
    assert_int_equal(ingle_sessions_step(s, ids, n, NULL), status);
    if (!row) return;
    same_bits(before, ingle_session_logits(s[0]));
    ingle_session_tokens(s[0], &now);
    assert_int_equal(held, now);
}

static void test_refusals(void **state) {
    static const char *const plain[] = {"context", "20", "batch", "3", NULL},
                             *const q8[] = {"context", "20", "kv", "q8_0", NULL},
                             *const scalar[] = {"context", "20", "cpu", "scalar", NULL};
    (void)state;
    int32_t ids[5] = {1, 2, 3, 4, 5}, full[20], bad[2] = {1, VOCAB};
    make_ids(full, 20);
    ingle_model *m = open_model("models/llama"), *other = open_model("models/qwen2");
    ingle_session *a = open_session(m, plain), *b = open_session(m, plain),
                  *c = open_session(m, q8), *d = open_session(m, scalar),
                  *e = open_session(other, plain);
    assert_int_equal(ingle_session_sync(a, ids, 5, &err), INGLE_OK);
    expect(NULL, ids, 1, INGLE_BAD_ARGUMENT, "no session");
    expect(&a, ids, 0, INGLE_BAD_ARGUMENT, "no session");
    expect((ingle_session *[]){a, NULL}, ids, 2, INGLE_BAD_ARGUMENT, "session 1 is NULL");
    expect((ingle_session *[]){a, b, a}, ids, 3, INGLE_BAD_ARGUMENT, "twice");
    expect((ingle_session *[]){a, c}, ids, 2, INGLE_BAD_ARGUMENT, "KV type");
    expect((ingle_session *[]){a, e}, ids, 2, INGLE_BAD_ARGUMENT, "another model");
    expect((ingle_session *[]){a, b}, bad, 2, INGLE_BAD_ARGUMENT, "session 1: token id");
    expect((ingle_session *[]){a, b, c, d}, ids, 4, INGLE_BAD_ARGUMENT, "do not fit a pass of 3");
    assert_int_equal(ingle_session_sync(b, full, 20, &err), INGLE_OK);
    expect((ingle_session *[]){a, b}, ids, 2, INGLE_LIMIT, "session 1: the context of 20");
    if (ingle_sessions_step((ingle_session *[]){c, d}, ids, 2, &err) == INGLE_OK)
        fail_msg("q8_0 and f16 in one pass");
    ingle_session *all[] = {a, b, c, d, e};
    for (size_t i = 0; i < 5; i++) ingle_session_close(all[i]);
    ingle_model_close(m);
    ingle_model_close(other);
}

static void *cancel_often(void *ud) {
    for (int i = 0; i < 300; i++) {
        ingle_session_cancel(ud);
        usleep(100);
    }
    return NULL;
}

/* Cancelled again and again, the timelines end where the successful calls led. */
static void test_cancel(void **state) {
    static const char *const pairs[] = {"context", "256", "cpu", "scalar", "threads", "2", NULL};
    (void)state;
    float want[VOCAB];
    struct many a;
    pthread_t t;
    size_t steps = 0;
    ingle_model *m = open_model("models/mistral-swa");
    open_many(&a, m, pairs);
    pthread_create(&t, NULL, cancel_often, a.s[0]);
    for (int i = 0; i < 200 && steps < 40; i++) {
        int32_t next[N];
        for (size_t k = 0; k < N; k++) next[k] = a.ids[k][lengths[k] + steps];
        ingle_status status = ingle_sessions_step(a.s, next, N, &err);
        if (status == INGLE_OK)
            steps++;
        else
            assert_int_equal(status, INGLE_CANCELLED);
        assert_non_null(ingle_session_logits(a.s[0]));
    }
    pthread_join(t, NULL);
    step_many(&a, steps++);
    for (size_t i = 0; i < N; i++) {
        reference(m, pairs, a.ids[i], lengths[i] + steps, want);
        same_bits(want, ingle_session_logits(a.s[i]));
    }
    close_many(&a);
    ingle_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_as_alone),
        cmocka_unit_test(test_logits_stay),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
