/* Chat templates: the Jinja language as Hugging Face's transformers sets it up (sandboxed and
 * immutable, trim_blocks, lstrip_blocks, break / continue, generation blocks, tojson,
 * raise_exception, strftime_now).
 *
 * Promises: the same text jinja2 gives, or INGLE_BAD_TEMPLATE with "line N: why" where jinja2
 * raises (a template's own raise_exception gives exactly its text). A template can reach values
 * only: no files, no host objects, no imports. Steps, depth, output, memory and time are bounded on
 * any input. A compiled template never changes: any number of threads may render it at once.
 *
 * Each byte of the output knows whether it stems from the template's own text or from an input
 * value, also through concatenation, slicing, methods and filters. Special tokens may be looked for
 * in the template's own text only. */
#ifndef IG_TEMPLATE_H
#define IG_TEMPLATE_H

#include "base/json.h"

struct ig_template;

/* A moment as clocks on the wall show it. */
struct ig_template_time {
    int year, month, day, hour, minute, second; /* month and day from 1 */
    int utc_offset;                             /* seconds east */
};

/* Everything may be 0 / NULL. */
struct ig_template_env {
    struct ig_str bos,
        eos; /* if p is not NULL: bos_token and eos_token, in place of the context's */
    bool (*local_time)(void *ud, struct ig_template_time *out); /* NULL: strftime_now raises */
    uint64_t (*clock_ns)(void *ud);                             /* NULL: no time limit */
    void *ud;
    size_t max_steps;  /* 0 = 1,000,000 */
    size_t max_depth;  /* 0 = 200 */
    size_t max_output; /* 0 = min(8 MiB, 16 x (template + context) + 1 MiB) */
    size_t max_heap;   /* 0 = 64 MiB */
    uint64_t max_ns;   /* 0 = 1 s */
};

struct ig_segment {
    size_t start, len; /* bytes of the output */
    bool is_input;     /* came from a value of the context */
};

/* Zero-initialise with only `mem` set. Neighbours differ in is_input; together they cover the
 * output. */
struct ig_segments {
    struct ig_mem *mem;
    struct ig_segment *list;
    size_t n, cap;
};
void ig_segments_free(struct ig_segments *s);

/* `source` is copied. `mem` must outlive the template. */
ingle_status ig_template_compile(struct ig_template **out, struct ig_mem *mem, struct ig_str source,
                                 ingle_error *err);
void ig_template_free(struct ig_template *t);
struct ig_str ig_template_source(const struct ig_template *t);

/* `context` is an object, its members are the template's variables. Strings below it count as
 * input, except members named "*_token" at the top and the usual role names in messages[].role. The
 * text is appended to `out` (nothing on failure). `env` and `segments` may be NULL; segments are
 * those of this call. */
ingle_status ig_template_render(const struct ig_template *t, const struct ig_json *context,
                                const struct ig_template_env *env, struct ig_buf *out,
                                struct ig_segments *segments, ingle_error *err);
/* True if the template reads the variable at all: "tools", "enable_thinking" ... */
bool ig_template_uses(const struct ig_template *t, const char *variable);

#endif
