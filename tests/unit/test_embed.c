/* Embeddings through the engine: shapes, order, what malformed requests are told, cancelling, and a
 * conversation that is not disturbed. (What the numbers are is checked against the logits by
 * tests/py/test_embed.py.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingle.h"

static ingle_error err;

struct got {
    size_t n, width;
    float first[4][512];
    int32_t tokens[4];
    int stop_at; /* -1: never */
};

static int take(void *ud, size_t index, const float *values, size_t width, int32_t tokens) {
    struct got *g = ud;
    assert_int_equal(index, g->n);
    assert_true(width <= 512 && index < 4);
    memcpy(g->first[index], values, width * sizeof *values);
    g->tokens[index] = tokens;
    g->width = width;
    g->n++;
    return g->stop_at >= 0 && (int)index >= g->stop_at;
}

static ingle_model *open_model(void) {
    char path[512];
    const char *root = getenv("INGLE_GOLDEN");
    ingle_model *m = NULL;
    snprintf(path, sizeof path, "%s/models/llama", root ? root : "tests/golden");
    if (ingle_model_open(&m, path, NULL, &err) != INGLE_OK) fail_msg("%s", err.message);
    return m;
}

static ingle_status embed(ingle_engine *e, const char *json, struct got *g) {
    *g = (struct got){.stop_at = -1};
    return ingle_engine_embed(e, json, strlen(json), take, g, &err);
}

static void test_shapes_and_order(void **state) {
    ingle_model *m = open_model();
    ingle_engine *e;
    static struct got g, one;
    (void)state;
    assert_int_equal(ingle_engine_open(&e, m, NULL, &err), INGLE_OK);
    assert_int_equal(embed(e, "{\"input\":[\"a b\",\"c d e f\",[5,6,7]]}", &g), INGLE_OK);
    assert_int_equal(g.n, 3);
    assert_int_equal(g.width, (size_t)ingle_model_width(m));
    assert_int_equal(g.tokens[2], 3);
    assert_int_equal(embed(e, "{\"input\":[5,6,7]}", &one), INGLE_OK);
    assert_int_equal(one.n, 1);
    assert_memory_equal(one.first[0], g.first[2], g.width * sizeof(float));
    double length = 0;
    for (size_t k = 0; k < g.width; k++) length += (double)g.first[0][k] * (double)g.first[0][k];
    assert_true(fabs(length - 1) < 1e-5);
    assert_int_equal(embed(e, "{\"input\":\"a b\",\"dimensions\":5,\"normalize\":false}", &one),
                     INGLE_OK);
    assert_int_equal(one.width, 5);
    ingle_engine_close(e);
    ingle_model_close(m);
}

static void test_malformed(void **state) {
    static const struct {
        const char *json;
        ingle_status status;
        const char *says;
    } cases[] = {
        {"{", INGLE_BAD_REQUEST, "line 1"},
        {"[]", INGLE_BAD_REQUEST, "not a JSON object"},
        {"{}", INGLE_BAD_REQUEST, "no input"},
        {"{\"input\":[]}", INGLE_BAD_REQUEST, "no input"},
        {"{\"input\":null}", INGLE_BAD_REQUEST, "neither"},
        {"{\"input\":[\"a\",{}]}", INGLE_BAD_REQUEST, "input 1"},
        {"{\"input\":[\"a\",7]}", INGLE_BAD_REQUEST, "input 1"},
        {"{\"input\":[1,\"a\"]}", INGLE_BAD_REQUEST, "element 1"},
        {"{\"input\":[1,-4]}", INGLE_BAD_ARGUMENT, "outside the vocabulary"},
        {"{\"input\":[[]]}", INGLE_BAD_ARGUMENT, "no tokens"},
        {"{\"input\":\"a\",\"pooling\":\"max\"}", INGLE_BAD_REQUEST, "pooling"},
        {"{\"input\":\"a\",\"pooling\":3}", INGLE_BAD_REQUEST, "pooling"},
        {"{\"input\":\"a\",\"dimensions\":0}", INGLE_BAD_REQUEST, "dimensions"},
        {"{\"input\":\"a\",\"dimensions\":100000}", INGLE_BAD_REQUEST, "dimensions"},
    };
    ingle_model *m = open_model();
    ingle_engine *e;
    static struct got g;
    (void)state;
    assert_int_equal(ingle_engine_open(&e, m, NULL, &err), INGLE_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ingle_status status = embed(e, cases[i].json, &g);
        if (status != cases[i].status || !strstr(err.message, cases[i].says))
            fail_msg("%s: %d %s", cases[i].json, (int)status, err.message);
    }
    assert_int_equal(ingle_engine_embed(e, "{}", 2, NULL, NULL, &err), INGLE_BAD_ARGUMENT);
    ingle_engine_close(e);
    ingle_model_close(m);
}

static void test_receiver_cancels(void **state) {
    ingle_model *m = open_model();
    ingle_engine *e;
    static struct got g;
    const char json[] = "{\"input\":[\"a\",\"b\",\"c\"]}";
    (void)state;
    assert_int_equal(ingle_engine_open(&e, m, NULL, &err), INGLE_OK);
    g = (struct got){.stop_at = 1};
    assert_int_equal(ingle_engine_embed(e, json, strlen(json), take, &g, &err), INGLE_CANCELLED);
    assert_int_equal(g.n, 2);
    assert_int_equal(embed(e, json, &g), INGLE_OK); /* and the engine goes on */
    ingle_engine_close(e);
    ingle_model_close(m);
}

static void *cancel_all(void *e) {
    ingle_engine_cancel(e, 0);
    return NULL;
}

static int cancel_in_thread(void *ud, size_t index, const float *values, size_t width,
                            int32_t tokens) {
    pthread_t t;
    (void)values, (void)width, (void)tokens, (void)index;
    assert_int_equal(pthread_create(&t, NULL, cancel_all, ud), 0);
    pthread_join(t, NULL);
    return 0;
}

static void test_cancel_from_another_thread(void **state) {
    ingle_model *m = open_model();
    ingle_engine *e;
    const char json[] = "{\"input\":[\"a\",\"b\",\"c\"]}";
    (void)state;
    assert_int_equal(ingle_engine_open(&e, m, NULL, &err), INGLE_OK);
    assert_int_equal(ingle_engine_embed(e, json, strlen(json), cancel_in_thread, e, &err),
                     INGLE_CANCELLED);
    ingle_engine_close(e);
    ingle_model_close(m);
}

static int keep_counts(void *ud, const ingle_event *event) {
    if (event->kind == INGLE_EVENT_DONE) *(int32_t *)ud = event->cached_tokens;
    return 0;
}

static void test_conversation_stays(void **state) {
    static const char ask[] = "{\"prompt\":[5,6,7,8,9,10,11],\"max_tokens\":1}";
    ingle_model *m = open_model();
    ingle_engine *e;
    static struct got g;
    int32_t cached = -1;
    (void)state;
    assert_int_equal(ingle_engine_open(&e, m, NULL, &err), INGLE_OK);
    assert_int_equal(ingle_engine_run(e, ask, strlen(ask), keep_counts, &cached, &err), INGLE_OK);
    assert_int_equal(embed(e, "{\"input\":\"something else\"}", &g), INGLE_OK);
    assert_int_equal(ingle_engine_run(e, ask, strlen(ask), keep_counts, &cached, &err), INGLE_OK);
    assert_int_equal(cached, 6); /* all but the last, whose logits are wanted */
    ingle_engine_close(e);
    ingle_model_close(m);
}

static void test_session_pooling(void **state) {
    static const int32_t ids[] = {5, 6, 7};
    ingle_model *m = open_model();
    ingle_session *s;
    float first[512], alone[512], last[512];
    (void)state;
    assert_int_equal(ingle_session_open(&s, m, NULL, &err), INGLE_OK);
    size_t bytes = (size_t)ingle_model_width(m) * sizeof *first;
    assert_int_equal(ingle_session_embed(s, ids, 3, INGLE_POOL_FIRST, first, &err), INGLE_OK);
    assert_int_equal(ingle_session_embed(s, ids, 1, INGLE_POOL_MEAN, alone, &err), INGLE_OK);
    assert_memory_equal(first, alone, bytes);
    assert_int_equal(ingle_session_embed(s, ids, 3, INGLE_POOL_LAST, last, &err), INGLE_OK);
    assert_memory_not_equal(first, last, bytes);
    assert_int_equal(ingle_session_embed(s, ids, 3, (ingle_pooling)9, last, &err),
                     INGLE_BAD_ARGUMENT);
    assert_null(ingle_session_logits(s));
    assert_int_equal(ingle_session_sync(s, ids, 3, &err),
                     INGLE_OK); /* logits can be had afterwards */
    assert_non_null(ingle_session_logits(s));
    ingle_session_close(s);
    ingle_model_close(m);
}

/* Models are causal: the mean over a text is the mean of its prefixes' last positions. */
static void test_mean_is_the_mean_of_prefixes(void **state) {
    static const int32_t ids[] = {5, 17, 200, 33, 101};
    enum { N = sizeof ids / sizeof *ids };
    ingle_model *m = open_model();
    ingle_session *s;
    float mean[512], last[512];
    double sum[512] = {0};
    (void)state;
    assert_int_equal(ingle_session_open(&s, m, NULL, &err), INGLE_OK);
    size_t width = (size_t)ingle_model_width(m);
    assert_int_equal(ingle_session_embed(s, ids, N, INGLE_POOL_MEAN, mean, &err), INGLE_OK);
    for (size_t n = 1; n <= N; n++) {
        assert_int_equal(ingle_session_embed(s, ids, n, INGLE_POOL_LAST, last, &err), INGLE_OK);
        for (size_t k = 0; k < width; k++) sum[k] += (double)last[k];
    }
    for (size_t k = 0; k < width; k++) assert_true(mean[k] == (float)(sum[k] / N));
    ingle_session_close(s);
    ingle_model_close(m);
}

static int stop_text(void *ud, const char *text, size_t n) {
    (void)ud, (void)text, (void)n;
    return 1;
}

static void test_doctor_takes_no_model(void **state) {
    (void)state;
    assert_int_equal(ingle_doctor(NULL, NULL, stop_text, NULL, &err), INGLE_CANCELLED);
    assert_int_equal(ingle_devices(stop_text, NULL, &err), INGLE_CANCELLED);
    assert_int_equal(ingle_devices(NULL, NULL, &err), INGLE_BAD_ARGUMENT);
}

static void test_background_gives_the_same(void **state) {
    ingle_model *m = open_model();
    ingle_options *o;
    ingle_engine *e, *quiet;
    static struct got a, b;
    (void)state;
    assert_int_equal(ingle_options_new(&o, &err), INGLE_OK);
    assert_int_equal(ingle_options_set(o, "background", "true", &err), INGLE_OK);
    assert_int_equal(ingle_options_set(o, "threads", "2", &err), INGLE_OK);
    assert_int_equal(ingle_engine_open(&e, m, NULL, &err), INGLE_OK);
    assert_int_equal(ingle_engine_open(&quiet, m, o, &err), INGLE_OK);
    assert_int_equal(embed(e, "{\"input\":\"x y z\"}", &a), INGLE_OK);
    assert_int_equal(embed(quiet, "{\"input\":\"x y z\"}", &b), INGLE_OK);
    assert_memory_equal(a.first[0], b.first[0], a.width * sizeof(float));
    ingle_engine_close(e);
    ingle_engine_close(quiet);
    ingle_options_free(o);
    ingle_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes_and_order),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_receiver_cancels),
        cmocka_unit_test(test_cancel_from_another_thread),
        cmocka_unit_test(test_conversation_stays),
        cmocka_unit_test(test_session_pooling),
        cmocka_unit_test(test_mean_is_the_mean_of_prefixes),
        cmocka_unit_test(test_doctor_takes_no_model),
        cmocka_unit_test(test_background_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
