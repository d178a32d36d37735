/* Embeddings of any model: the plan is run up to the final norm and the hidden states are pooled.
 * Sums are in f64 in order of position, so cutting a text into passes changes no bit. */
#include "engine/embed.h"
#include "engine/prompt.h"

#include <math.h>

enum {
    ROWS = 64 /* positions a pass when all are pooled: bounds the rows of the head's buffers */
};

struct wish {
    ingle_pooling pooling;
    bool normalize;
    uint32_t width; /* values handed out */
};

/* ---- Session ---- */

static void add_rows(const struct ingle_session *s, uint32_t n, double *sum) {
    uint32_t width = s->model->arch.hp.n_embd;
    for (uint32_t i = 0; i < n; i++) {
        const float *row = ig_exec_hidden(s->exec, i); /* [n_embd] */
        for (uint32_t k = 0; k < width; k++) sum[k] += (double)row[k];
    }
}

ingle_status ig_session_embed(struct ingle_session *s, const int32_t *ids, size_t n,
                              ingle_pooling pooling, float *out, ingle_error *err) {
    uint32_t width = s->model->arch.hp.n_embd;
    IG_TRY(ig_session_check_ids(s, ids, n, err));
    double *sum = ig_calloc(&s->mem, width, sizeof *sum); /* [n_embd] */
    if (!sum) return ig_fail_memory(err, width * sizeof *sum);
    ingle_status status = INGLE_OK;
    bool mean = pooling == INGLE_POOL_MEAN;
    if (pooling == INGLE_POOL_FIRST) n = 1; /* later positions cannot change the first */
    ig_session_cut(s, 0);
    while (status == INGLE_OK && s->n < n) {
        uint32_t left = (uint32_t)n - s->n, take = left < s->batch ? left : s->batch;
        if (mean && take > ROWS) take = ROWS;
        uint32_t wanted = mean ? take : take == left;
        status = ig_session_hidden(s, ids, take, wanted, err);
        if (status == INGLE_OK) add_rows(s, wanted, sum);
    }
    for (uint32_t k = 0; status == INGLE_OK && k < width; k++)
        out[k] = (float)(mean ? sum[k] / (double)n : sum[k]);
    ig_free(&s->mem, sum);
    return status;
}

static ingle_status check_pooling(ingle_pooling pooling, ingle_error *err) {
    if (pooling >= INGLE_POOL_MEAN && pooling <= INGLE_POOL_FIRST) return INGLE_OK;
    return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "there is no pooling %d", (int)pooling);
}

ingle_status ingle_session_embed(ingle_session *s, const int32_t *ids, size_t n,
                                 ingle_pooling pooling, float *out, ingle_error *err) {
    IG_TRY(check_pooling(pooling, err));
    atomic_store(&s->cancel, false);
    return ig_session_embed(s, ids, n, pooling, out, err);
}

/* ---- Requests ---- */

static ingle_status read_wish(const struct ingle_model *m, const struct ig_json *request,
                              struct wish *w, ingle_error *err) {
    const struct ig_json *pooling = ig_json_get(request, "pooling"),
                         *dimensions = ig_json_get(request, "dimensions"),
                         *normalize = ig_json_get(request, "normalize");
    struct ig_str name = ig_json_str(pooling, "mean");
    uint32_t width = m->arch.hp.n_embd;
    *w = (struct wish){.normalize = ig_json_bool(normalize, true), .width = width};
    if (ig_str_is(name, "last"))
        w->pooling = INGLE_POOL_LAST;
    else if (ig_str_is(name, "first") || ig_str_is(name, "cls"))
        w->pooling = INGLE_POOL_FIRST;
    else if (!ig_str_is(name, "mean") ||
             (pooling && pooling->kind != IG_JSON_STRING && pooling->kind != IG_JSON_NULL))
        return ig_fail(err, INGLE_BAD_REQUEST, "one of mean, last, first", "pooling: unknown");
    if (!dimensions || dimensions->kind == IG_JSON_NULL) return INGLE_OK;
    int64_t n = ig_json_i64(dimensions, 0);
    if (n < 1 || n > width)
        return ig_fail(err, INGLE_BAD_REQUEST, NULL,
                       "dimensions: give a whole number from 1 to %u, the model's width", width);
    w->width = (uint32_t)n;
    return INGLE_OK;
}

static const char shapes[] = "input is a text, texts, or lists of token ids";

static ingle_status read_text(struct ingle_session *s, const struct ig_json *item,
                              struct ig_mem *mem, struct ig_ids *out, size_t index,
                              ingle_error *err) {
    const struct ingle_model *m = s->model;
    *out = (struct ig_ids){0};
    if (ig_json_is(item, IG_JSON_ARRAY)) {
        ingle_status status = ig_prompt_copy_ids(mem, item, shapes, out, err);
        return status == INGLE_BAD_REQUEST ? ig_fail_in(err, "input %zu", index) : status;
    }
    if (!ig_json_is(item, IG_JSON_STRING))
        return ig_fail(err, INGLE_BAD_REQUEST, shapes,
                       "input %zu is neither a text nor a list of token ids", index);
    if (!m->vocab)
        return ig_fail(err, INGLE_NOT_FOUND, "give the input as lists of token ids",
                       "%s has no vocabulary", m->path);
    ingle_status status =
        ig_vocab_encode(m->vocab, mem, item->text, IG_ENCODE_ADD_SPECIAL, s->context, out, err);
    if (status != INGLE_OK) return ig_fail_in(err, "input %zu", index);
    if (!out->n)
        return ig_fail(err, INGLE_BAD_REQUEST, "leave empty texts out", "input %zu is empty",
                       index);
    return INGLE_OK;
}

static void scale_to_one(float *v, uint32_t n) {
    double sum = 0;
    for (uint32_t k = 0; k < n; k++) sum += (double)v[k] * (double)v[k];
    double length = sqrt(sum);
    for (uint32_t k = 0; length > 0 && k < n; k++) v[k] = (float)((double)v[k] / length);
}

static ingle_status embed_one(struct ingle_session *s, struct ig_mem *mem,
                              const struct ig_json *item, const struct wish *w, float *values,
                              size_t index, int32_t *tokens, ingle_error *err) {
    struct ig_ids ids = {0};
    ingle_status status = read_text(s, item, mem, &ids, index, err);
    if (status == INGLE_OK) status = ig_session_embed(s, ids.p, ids.n, w->pooling, values, err);
    *tokens = (int32_t)ids.n;
    ig_ids_free(mem, &ids);
    if (status == INGLE_OK && w->normalize) scale_to_one(values, w->width);
    return status;
}

/* [ids] is one text, [texts] and [[ids]] are many. */
static bool is_many(const struct ig_json *input) {
    return ig_json_is(input, IG_JSON_ARRAY) && !ig_json_is(input->child, IG_JSON_NUMBER);
}

ingle_status ig_embed_run(struct ingle_session *s, struct ig_mem *mem,
                          const struct ig_json *request, ingle_embedding_fn fn, void *ud,
                          ingle_error *err) {
    const struct ig_json *input = ig_json_get(request, "input");
    struct wish w;
    IG_TRY(read_wish(s->model, request, &w, err));
    if (!input || (is_many(input) && !input->count))
        return ig_fail(err, INGLE_BAD_REQUEST, "give \"input\": a text or a list of texts",
                       "the request has no input");
    float *values = ig_calloc(mem, s->model->arch.hp.n_embd, sizeof *values); /* [n_embd] */
    if (!values) return ig_fail_memory(err, s->model->arch.hp.n_embd * sizeof *values);
    ingle_status status = INGLE_OK;
    size_t index = 0;
    const struct ig_json *item = is_many(input) ? input->child : input;
    while (item && status == INGLE_OK) {
        int32_t tokens = 0;
        status = embed_one(s, mem, item, &w, values, index, &tokens, err);
        if (status == INGLE_OK && fn(ud, index, values, w.width, tokens))
            status = ig_fail(err, INGLE_CANCELLED, NULL, "cancelled by the receiver");
        index++;
        item = is_many(input) ? item->next : NULL;
    }
    ig_free(mem, values);
    return status;
}
