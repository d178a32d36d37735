/* Embeddings: pooled hidden states in place of logits. */
#ifndef IG_EMBED_H
#define IG_EMBED_H

#include "engine/session.h"

/* As ingle_session_embed, but leaves the cancel flag as it is. */
ingle_status ig_session_embed(struct ingle_session *s, const int32_t *ids, size_t n,
                              ingle_pooling pooling, float *out, ingle_error *err);
/* Runs the request of ingle_engine_embed on a session of its own. */
ingle_status ig_embed_run(struct ingle_session *s, struct ig_mem *mem,
                          const struct ig_json *request, ingle_embedding_fn fn, void *ud,
                          ingle_error *err);

#endif
