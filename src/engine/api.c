/* The public functions that are one step from a room: versions, texts, tokens, block types. Larger
 * ones have files of their own (model.c, session.c, snapshot.c, request.c, options.c, describe.c).
 */
#include "engine/model.h"

#include <limits.h>

#define TEXT_(x) #x
#define TEXT(x)  TEXT_(x)

const char *ingle_version(void) {
    return TEXT(INGLE_VERSION_MAJOR) "." TEXT(INGLE_VERSION_MINOR) "." TEXT(INGLE_VERSION_PATCH);
}

const char *ingle_status_text(ingle_status status) {
    return ig_status_text(status);
}
int ingle_status_exit_code(ingle_status status) {
    return ig_status_exit_code(status);
}

/* ---- Vocabulary ---- */

static ingle_status need_vocab(const ingle_model *m, ingle_error *err) {
    if (m->vocab) return INGLE_OK;
    return ig_fail(err, INGLE_NOT_FOUND, "give token ids, or put tokenizer.json beside the weights",
                   "%s has no vocabulary", m->path);
}

/* Memory of one call: the model's hook, no limit shared with it (a const model must not change). */
static struct ig_mem call_mem(const ingle_model *m) {
    return (struct ig_mem){.hook = m->mem.hook, .ud = m->mem.ud};
}

ingle_status ingle_tokenize(const ingle_model *m, const char *text, size_t len, unsigned flags,
                            int32_t *ids, size_t cap, size_t *n, ingle_error *err) {
    struct ig_mem mem = call_mem(m);
    IG_TRY(need_vocab(m, err));
    return ig_vocab_encode_into(m->vocab, &mem, (struct ig_str){text, len}, flags, ids, cap, n,
                                err);
}

ingle_status ingle_detokenize(const ingle_model *m, const int32_t *ids, size_t n, unsigned flags,
                              ingle_text_fn fn, void *ud, ingle_error *err) {
    struct ig_mem mem = call_mem(m);
    struct ig_buf b = {.mem = &mem};
    IG_TRY(need_vocab(m, err));
    ingle_status status = ig_vocab_decode(m->vocab, ids, n, flags, &b, err);
    if (status == INGLE_OK && b.failed) status = ig_fail_memory(err, b.n);
    if (status == INGLE_OK && b.n && fn(ud, b.p, b.n))
        status = ig_fail(err, INGLE_CANCELLED, NULL, "stopped by the caller");
    ig_buf_free(&b);
    return status;
}

ingle_status ingle_token_bytes(const ingle_model *m, int32_t id, const char **bytes, size_t *len,
                               ingle_error *err) {
    IG_TRY(need_vocab(m, err));
    struct ig_str s = ig_vocab_bytes(m->vocab, id);
    if (!s.p)
        return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "token id %d is outside the vocabulary of %d",
                       id, ig_vocab_size(m->vocab));
    *bytes = s.p;
    *len = s.n;
    return INGLE_OK;
}

int ingle_token_is_end(const ingle_model *m, int32_t id) {
    return m->vocab && ig_vocab_is_end(m->vocab, id);
}

/* ---- Families ---- */

const char *ingle_family_name(size_t index, const char **model_types) {
    const struct ig_row *row = ig_row_at(index);
    if (!row) return NULL;
    if (model_types) *model_types = row->hf ? row->hf : row->name;
    return row->name;
}

/* ---- Block types ---- */

const char *ingle_quant_name(size_t index, int32_t *weights, int32_t *bytes) {
    const struct ig_quant *q = ig_quant_at(index);
    if (!q) return NULL;
    if (weights) *weights = q->block;
    if (bytes) *bytes = q->bytes;
    return q->name;
}

static ingle_status find_type(const char *type, const struct ig_quant **out, ingle_error *err) {
    *out = ig_quant_by_name(type, strlen(type));
    if (*out) return INGLE_OK;
    return ig_fail(err, INGLE_NOT_FOUND, "`ingle help quant` lists the types",
                   "'%.40s' is not a block type", type);
}

ingle_status ingle_quant_decode(const char *type, const void *blocks, size_t n, float *out,
                                ingle_error *err) {
    const struct ig_quant *q;
    IG_TRY(find_type(type, &q, err));
    if (!q->decode)
        return ig_fail(err, INGLE_UNSUPPORTED, NULL, "%s blocks cannot be decoded to floats",
                       q->name);
    q->decode(blocks, out, n);
    return INGLE_OK;
}

ingle_status ingle_quant_encode(const char *type, const float *in, size_t n, void *blocks,
                                ingle_error *err) {
    const struct ig_quant *q;
    IG_TRY(find_type(type, &q, err));
    if (!q->encode)
        return ig_fail(err, INGLE_UNSUPPORTED, "`ingle help quant` says which types can be encoded",
                       "%s has no encoder", q->name);
    q->encode(in, blocks, n);
    return INGLE_OK;
}
