/* From a chat request to its prompt. A chat is a compiled template together with what probing found
 * out about it: does it know a system role, does it want text or parts, must turns alternate ...
 * Requests of the OpenAI shape are adapted to that; a model without a template gets ChatML.
 * Immutable after open: any number of threads may render at once. */
#ifndef IG_CHAT_H
#define IG_CHAT_H

#include "base/log.h"
#include "chat/template.h"

struct ig_chat;

struct ig_chat_setup {
    struct ig_str source;     /* n == 0: the model has none */
    struct ig_str bos, eos;   /* texts of the tokens; p NULL: none */
    const struct ig_log *log; /* used during open only; may be NULL */
};

/* What probing found. */
struct ig_chat_caps {
    bool builtin;     /* ChatML in place of a missing template */
    bool broken;      /* the template does not compile: rendering fails, everything else works */
    bool system;      /* has a place for system messages; else they go into the first user turn */
    bool developer;   /* knows that role; else it becomes system */
    bool parts;       /* wants content as a list of parts; else as text */
    bool alternate;   /* refuses two turns of one role in a row; they are merged */
    bool string_args; /* wants a tool call's arguments as text; else as an object */
    bool tools;       /* reads `tools` */
};

/* Fails only for lack of memory: a template that does not compile shows in caps and at
 * ig_chat_render. */
ingle_status ig_chat_open(struct ig_chat **out, struct ig_mem *mem,
                          const struct ig_chat_setup *setup, ingle_error *err);
void ig_chat_close(struct ig_chat *c);
const struct ig_chat_caps *ig_chat_caps(const struct ig_chat *c);

struct ig_chat_prompt {
    bool thinking; /* the prompt ends inside <think>: the answer begins with reasoning */
};

/* `request`: messages, tools, documents, add_generation_prompt (true if absent),
 * continue_final_message, reasoning_effort, chat_template_kwargs. Appends to `out`; `env`,
 * `segments` and `prompt` may be NULL. */
ingle_status ig_chat_render(const struct ig_chat *c, struct ig_mem *mem,
                            const struct ig_json *request, const struct ig_template_env *env,
                            struct ig_buf *out, struct ig_segments *segments,
                            struct ig_chat_prompt *prompt, ingle_error *err);

/* ---- Reasoning
 * --------------------------------------------------------------------------------------------------
 * Splits generated text into reasoning and answer while it streams; the tags and the white space
 * around them are dropped, and may be cut anywhere between pieces. Reasoning is recognised only at
 * the very beginning. */

typedef int (*ig_reason_fn)(void *ud, bool reasoning, const char *p, size_t n);

struct ig_reason {
    const char *open, *close;
    uint8_t state;
    bool begun; /* something of this part was delivered: white space counts again */
    uint8_t n;  /* bytes of a tag that has begun */
    char held[32];
    size_t n_space; /* white space held back, in `space`; more than fits is delivered */
    char space[64];
};

/* `thinking`: the prompt has opened the block already. `open` and `close`: NULL means <think> and
 * </think>; at most 31 bytes each, static. */
void ig_reason_init(struct ig_reason *r, bool thinking, const char *open, const char *close);
/* Stops and returns what fn returned if that is not 0. */
int ig_reason_feed(struct ig_reason *r, const char *p, size_t n, ig_reason_fn fn, void *ud);
/* The text ends here: delivers what was held back. */
int ig_reason_end(struct ig_reason *r, ig_reason_fn fn, void *ud);

#endif
