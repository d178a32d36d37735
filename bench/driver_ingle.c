/* bench/driver.h for ingle: the session level of the public header. */
#include "driver.h"
#include "ingle.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SESSIONS = 64 };
static ingle_model *model;
static ingle_session *session, *batch[MAX_SESSIONS];
static ingle_options *settings;
static int32_t *held; /* the tokens of the timeline, of which n_held are wanted */
static int n_held;

static int failed(ingle_status status, const ingle_error *err) {
    if (status) fprintf(stderr, "ingle: %s %s\n", err->message, err->hint);
    return status != INGLE_OK;
}

static int set(const char *name, const char *value) {
    ingle_error err;
    return value && failed(ingle_options_set(settings, name, value, &err), &err);
}

int engine_open(const char *path, int threads, int context, int sequences) {
    ingle_error err;
    char number[2][16];
    snprintf(number[0], sizeof number[0], "%d", threads);
    snprintf(number[1], sizeof number[1], "%d", context);
    held = malloc(sizeof *held * (size_t)context);
    (void)sequences;
    return !held || failed(ingle_options_new(&settings, &err), &err) || set("threads", number[0]) ||
           set("context", number[1]) || set("cpu", getenv("INGLE_CPU")) ||
           failed(ingle_model_open(&model, path, settings, &err), &err) ||
           failed(ingle_session_open(&session, model, settings, &err), &err);
}

void engine_close(void) {
    free(held);
    engine_batch_start(0);
    ingle_session_close(session);
    ingle_model_close(model);
    ingle_options_free(settings);
}

int engine_vocab(void) {
    return ingle_model_vocab_size(model);
}

int engine_truncate(int n) {
    n_held = n;
    return 0;
}

/* A step is a call of its own; everything else is "make the timeline equal to this". */
int engine_append(const int32_t *ids, int n) {
    ingle_error err;
    size_t now = 0;
    ingle_session_tokens(session, &now);
    memcpy(held + n_held, ids, sizeof *ids * (size_t)n);
    n_held += n;
    if (n == 1 && (int)now + 1 == n_held)
        return failed(ingle_session_step(session, ids[0], &err), &err);
    return failed(ingle_session_sync(session, held, (size_t)n_held, &err), &err);
}

const float *engine_logits(void) {
    return ingle_session_logits(session);
}

int engine_batch_start(int n) {
    ingle_error err;
    for (int i = 0; i < MAX_SESSIONS; i++) {
        ingle_session_close(batch[i]);
        batch[i] = NULL;
        if (i < n && failed(ingle_session_open(&batch[i], model, settings, &err), &err)) return 1;
    }
    return 0;
}

int engine_batch_step(const int32_t *ids, int n) {
    ingle_error err;
    return failed(ingle_sessions_step(batch, ids, (size_t)n, &err), &err);
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
    ingle_session_close(session); /* a new one: nothing of the last chunk may be kept */
    session = NULL;
    if (failed(ingle_session_open(&session, model, settings, &err), &err)) return 1;
    return failed(ingle_session_sync_each(session, ids, (size_t)n, relay_logits, &r, &err), &err);
}
