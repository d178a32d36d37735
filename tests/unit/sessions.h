/* Golden models opened and compared: for tests of sessions. Include after cmocka.h. */
#ifndef SESSIONS_H
#define SESSIONS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingle.h"

enum { VOCAB = 272 }; /* of the golden models used here */

static const char *golden(const char *name) {
    static char path[512];
    const char *root = getenv("INGLE_GOLDEN");
    snprintf(path, sizeof path, "%s/%s", root ? root : "tests/golden", name);
    return path;
}

static ingle_error err;

static ingle_model *open_model(const char *name) {
    ingle_model *m = NULL;
    if (ingle_model_open(&m, golden(name), NULL, &err) != INGLE_OK) fail_msg("%s", err.message);
    return m;
}

/* Pairs of option names and values, ended by NULL. */
static ingle_options *options(const char *const *pairs) {
    ingle_options *o;
    assert_int_equal(ingle_options_new(&o, &err), INGLE_OK);
    for (; pairs && *pairs; pairs += 2)
        if (ingle_options_set(o, pairs[0], pairs[1], &err) != INGLE_OK) fail_msg("%s", err.message);
    return o;
}

static ingle_session *open_session(const ingle_model *m, const char *const *pairs) {
    ingle_options *o = options(pairs);
    ingle_session *s = NULL;
    if (ingle_session_open(&s, m, o, &err) != INGLE_OK) fail_msg("%s", err.message);
    ingle_options_free(o);
    return s;
}

static void make_ids(int32_t *ids, size_t n) {
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)(i * i * 7 + i * 13 + 5) % VOCAB;
}

static void same_bits(const float *a, const float *b) {
    assert_memory_equal(a, b, VOCAB * sizeof *a);
}

/* The logits behind ids[n - 1] computed afresh. */
static void reference(const ingle_model *m, const char *const *pairs, const int32_t *ids, size_t n,
                      float *out) {
    ingle_session *s = open_session(m, pairs);
    assert_int_equal(ingle_session_sync(s, ids, n, &err), INGLE_OK);
    memcpy(out, ingle_session_logits(s), VOCAB * sizeof *out);
    ingle_session_close(s);
}

#endif
