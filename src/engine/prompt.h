/* From a request to the tokens of its prompt: template rendering, and encoding that never lets a
 * user's text become a control token. */
#ifndef IG_PROMPT_H
#define IG_PROMPT_H

#include "chat/template.h"
#include "engine/model.h"

/* Renders `source` (NULL text: the model's own template) with the variables of `input`: messages,
 * tools, documents, add_generation_prompt, bos_token, eos_token, everything in kwargs or
 * chat_template_kwargs, and `now` ("2026-01-15T09:30:00") as the clock. `m` may be NULL if a source
 * is given. `generate` is add_generation_prompt where `input` does not say. */
ingle_status ig_prompt_render(const struct ingle_model *m, struct ig_mem *mem, struct ig_str source,
                              const struct ig_json *input, bool generate, struct ig_buf *out,
                              struct ig_segments *segments, ingle_error *err);

struct ig_prompt {
    struct ig_ids ids;
    bool chat;     /* made from messages */
    bool thinking; /* ends inside an open think block */
};

/* {"messages": ...} or {"prompt": text or ids} -> ids, at most `max` (more is INGLE_LIMIT).
 * Messages are adapted to what the template can take (chat/chat.h). p->ids is freed by the caller,
 * also after a failure. */
ingle_status ig_prompt_encode(const struct ingle_model *m, struct ig_mem *mem,
                              const struct ig_json *request, size_t max, struct ig_prompt *p,
                              ingle_error *err);
/* A JSON list of token ids. INGLE_BAD_REQUEST names the element, with `hint`; out->p is freed by the
 * caller, also after a failure. Ids that fit no vocabulary become -1. */
ingle_status ig_prompt_copy_ids(struct ig_mem *mem, const struct ig_json *list, const char *hint,
                                struct ig_ids *out, ingle_error *err);

#endif
