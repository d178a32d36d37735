/* bench/driver.h for ingle: the session level of the public header. */
#include "driver.h"
#include "ingle.h"
#include <stdio.h>

static ingle_model *model;
static ingle_session *session;
static ingle_options *settings;

static int failed(ingle_status status, const ingle_error *err) {
    if (status) fprintf(stderr, "ingle: %s %s\n", err->message, err->hint);
    return status != INGLE_OK;
}

int engine_open(const char *path, int threads, int context) {
    ingle_error err;
    char number[2][16];
    snprintf(number[0], sizeof number[0], "%d", threads);
    snprintf(number[1], sizeof number[1], "%d", context);
    if (failed(ingle_options_new(&settings, &err), &err) ||
        failed(ingle_options_set(settings, "threads", number[0], &err), &err) ||
        failed(ingle_options_set(settings, "context", number[1], &err), &err) ||
        failed(ingle_model_open(&model, path, settings, &err), &err) ||
        failed(ingle_session_open(&session, model, settings, &err), &err))
        return 1;
    return 0;
}

void engine_close(void) {
    ingle_session_close(session);
    ingle_model_close(model);
    ingle_options_free(settings);
}

int engine_vocab(void) {
    return ingle_model_vocab_size(model);
}

/* A new session: sync alone would keep the prefix that is already there. */
static int restart(void) {
    ingle_error err;
    ingle_session_close(session);
    session = NULL;
    return failed(ingle_session_open(&session, model, settings, &err), &err);
}

int engine_prompt(const int32_t *ids, int n) {
    ingle_error err;
    return restart() || failed(ingle_session_sync(session, ids, (size_t)n, &err), &err);
}

int engine_step(int32_t id) {
    ingle_error err;
    return failed(ingle_session_step(session, id, &err), &err);
}

const float *engine_logits(void) {
    return ingle_session_logits(session);
}

int engine_tokenize(const char *text, size_t len, int32_t *ids, int cap, int32_t *bos) {
    ingle_error err;
    size_t n = 0;
    int32_t first[4];
    if (failed(ingle_tokenize(model, "", 0, INGLE_ADD_SPECIAL, first, 4, &n, &err), &err))
        return -1;
    *bos = n > 0 ? first[0] : -1;
    if (failed(ingle_tokenize(model, text, len, INGLE_ADD_SPECIAL, ids, (size_t)cap, &n, &err),
               &err))
        return -1;
    return (int)n;
}

struct relay {
    void (*fn)(int, const float *, void *);
    void *ud;
};

static int relay_logits(void *ud, size_t position, const float *logits) {
    const struct relay *r = ud;
    r->fn((int)position, logits, r->ud);
    return 0;
}

int engine_all_logits(const int32_t *ids, int n, void (*fn)(int, const float *, void *), void *ud) {
    ingle_error err;
    struct relay r = {fn, ud};
    if (restart()) return 1;
    return failed(ingle_session_sync_each(session, ids, (size_t)n, relay_logits, &r, &err), &err);
}
