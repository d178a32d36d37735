/* ingle: language models inside your program.
 *
 * One header, one small C library, no dependencies. Compiles as C99 and C++17.
 *
 *   Two levels.  An ENGINE takes requests as JSON (OpenAI chat-completion shape) and answers with events: text, reasoning,
 *   usage. That is what most programs want. A SESSION is one timeline of tokens for programs that want logits.
 *
 *   Errors.      Every call that can fail returns an ingle_status and fills an ingle_error (which may be NULL) with a
 *                message that names the place and a hint that says what to do. ingle never prints, aborts or exits.
 *   Ownership.   What an `_open` or `_new` returns, its `_close` or `_free` gives back (NULL is fine). Nothing else owns
 *                memory. A returned `const char *` says how long it lives.
 *   Text         is UTF-8 as pointer and length; text handed to you never ends inside a code point.
 *   Threads.     A model may be used by any number of threads at once. A session or an options object belongs to one
 *                thread at a time. Functions named `_cancel` may be called from any thread while another call runs.
 *   Results      are the same bits on every CPU, for any number of threads and any splitting of the prompt
 *                (docs/reproducibility.md).
 */
#ifndef INGLE_H
#define INGLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32) && defined(INGLE_SHARED)
#ifdef INGLE_BUILD
#define INGLE_API __declspec(dllexport)
#else
#define INGLE_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define INGLE_API __attribute__((visibility("default")))
#else
#define INGLE_API
#endif

#define INGLE_VERSION_MAJOR 0
#define INGLE_VERSION_MINOR 1
#define INGLE_VERSION_PATCH 0

/* "0.1.0", static. */
INGLE_API const char *ingle_version(void);

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

typedef enum ingle_status {
    INGLE_OK = 0,
    INGLE_BAD_ARGUMENT = 1,  /* the caller's mistake: an option, an index, a NULL */
    INGLE_BAD_FILE = 2,      /* a file is damaged, truncated or not what it says it is */
    INGLE_UNSUPPORTED = 3,   /* valid, but this version cannot run it */
    INGLE_NOT_FOUND = 4,     /* no such file, model, token or option */
    INGLE_IO = 5,            /* the operating system refused a read or write */
    INGLE_NO_MEMORY = 6,     /* allocation failed or the memory limit was reached */
    INGLE_LIMIT = 7,         /* the context is full, or another stated limit was reached */
    INGLE_CANCELLED = 8,     /* by `_cancel` or by a callback that returned non-zero */
    INGLE_BUSY = 9,          /* used by another thread at this moment */
    INGLE_BAD_TEMPLATE = 10, /* the chat template failed; raw completion still works */
    INGLE_BAD_REQUEST = 11,  /* a request's JSON is malformed or a field is out of range */
    INGLE_NUMERIC = 12,      /* logits are not finite: damaged weights */
    INGLE_DEVICE = 13,       /* a GPU or its driver failed */
    INGLE_INTERNAL = 14      /* a bug in ingle; please report it */
} ingle_status;

typedef struct ingle_error {
    ingle_status code;
    char message[512]; /* what and where, one line, no control characters */
    char hint[256];    /* what to do about it; may be empty */
} ingle_error;

/* Short English text for a status, static. */
INGLE_API const char *ingle_status_text(ingle_status status);
/* The exit code the command line uses for a status (sysexits-like; see `ingle help exit-codes`). */
INGLE_API int ingle_status_exit_code(ingle_status status);

/* ---- Hooks ------------------------------------------------------------------------------------------------------- */

typedef enum ingle_log_level {
    INGLE_LOG_DEBUG = 0,
    INGLE_LOG_INFO = 1,
    INGLE_LOG_WARN = 2,
    INGLE_LOG_ERROR = 3
} ingle_log_level;

/* One line without newline, valid during the call. May come from any thread. */
typedef void (*ingle_log_fn)(void *ud, ingle_log_level level, const char *line);

/* All memory, in the manner of Lua: `now` == 0 frees `ptr`, `ptr` == NULL allocates, else resizes; NULL = failure.
 * `old` is the size asked for before. Must be thread safe. Mapped files do not pass through it. */
typedef void *(*ingle_alloc_fn)(void *ud, void *ptr, size_t old, size_t now);

/* Called at least every 50 ms of long work with 0.0 <= done <= 1.0; non-zero cancels. `what` is static text. */
typedef int (*ingle_progress_fn)(void *ud, const char *what, double done);

/* Takes a piece of text (whole code points). Non-zero stops the producer, which then returns INGLE_CANCELLED. */
typedef int (*ingle_text_fn)(void *ud, const char *text, size_t len);

/* ---- Options ----------------------------------------------------------------------------------------------------- */

/* Named settings as strings: "threads" = "4", "context" = "8192", "temperature" = "0.7". The same names are command line
 * flags, INGLE_* environment variables (read by the command line only) and request fields. ingle_options_describe lists them. */
typedef struct ingle_options ingle_options;

typedef struct ingle_option_info {
    const char *name;    /* "top-k" */
    const char *key;     /* JSON field and environment name in lower case, "top_k" */
    const char *flag;    /* short command line flag without dash, "" if none */
    const char *group;   /* "model", "session", "sampling", "engine" */
    const char *type;    /* "bool", "int", "float", "string", "choice" */
    const char *initial; /* the value in force if never set */
    const char *help;    /* one line */
    const char *choices; /* for "choice": "f16|f32|q8_0", else "" */
    double min, max;     /* for numbers, inclusive */
} ingle_option_info;

INGLE_API ingle_status ingle_options_new(ingle_options **out, ingle_error *err);
INGLE_API void ingle_options_free(ingle_options *o);
/* `name` as "top-k" or "top_k". Checks type and bounds. The string is copied. */
INGLE_API ingle_status ingle_options_set(ingle_options *o, const char *name, const char *value, ingle_error *err);
/* The value in force, or NULL for an unknown name. Valid until the next set of that name. */
INGLE_API const char *ingle_options_get(const ingle_options *o, const char *name);
/* Row `index` of the option table, NULL past its end. Static. */
INGLE_API const ingle_option_info *ingle_options_describe(size_t index);
INGLE_API void ingle_options_on_log(ingle_options *o, ingle_log_fn fn, void *ud, ingle_log_level level);
INGLE_API void ingle_options_on_progress(ingle_options *o, ingle_progress_fn fn, void *ud);
/* Must be set before anything is opened with `o`; the hook must outlive what was opened. */
INGLE_API void ingle_options_on_alloc(ingle_options *o, ingle_alloc_fn fn, void *ud);

/* ---- Model ------------------------------------------------------------------------------------------------------- */

/* Read-only weights, vocabulary and template. Files are mapped, not copied. */
typedef struct ingle_model ingle_model;

/* `path`: a .gguf file (any part of a split one) or a folder with config.json and .safetensors files.
 * `options` may be NULL and is not kept. */
INGLE_API ingle_status ingle_model_open(ingle_model **out, const char *path, const ingle_options *options,
                                        ingle_error *err);
/* Sessions and engines of the model must be closed first. */
INGLE_API void ingle_model_close(ingle_model *m);
/* Gives the memory of GPUs back: weights, keys and values, working buffers. Sessions stay as they are; the next pass
 * brings there again what it needs. For programs that go idle. Waits for a pass that runs. */
INGLE_API void ingle_model_rest(ingle_model *m);

typedef enum ingle_model_view {
    INGLE_VIEW_INFO = 0,     /* one JSON object: family, sizes, context, memory needed, special tokens */
    INGLE_VIEW_METADATA = 1, /* JSON object of all metadata keys (long arrays shortened) */
    INGLE_VIEW_TENSORS = 2,  /* JSON array of {name, type, shape, bytes} */
    INGLE_VIEW_TEMPLATE = 3, /* the chat template's source text, as it is in the file */
    INGLE_VIEW_PLAN = 4      /* the op list that is executed, as text */
} ingle_model_view;
/* Pushes the view as text. INGLE_NOT_FOUND if the model has none (a template). */
INGLE_API ingle_status ingle_model_describe(const ingle_model *m, ingle_model_view view, ingle_text_fn fn, void *ud,
                                            ingle_error *err);
INGLE_API int32_t ingle_model_vocab_size(const ingle_model *m);
INGLE_API int32_t ingle_model_context_size(const ingle_model *m); /* positions it was trained for */
INGLE_API int32_t ingle_model_width(const ingle_model *m);        /* of the hidden state */

/* ---- Vocabulary -------------------------------------------------------------------------------------------------- */

enum { INGLE_ADD_SPECIAL = 1, /* BOS / EOS as the model wants them */
       INGLE_PARSE_SPECIAL = 2 /* special tokens written in the text become tokens; off for text of strangers */ };

/* Writes at most `cap` ids and sets *n to the number the text has: call with cap 0 to ask. INGLE_LIMIT if cap was too
 * small and not 0 (what fits is written). */
INGLE_API ingle_status ingle_tokenize(const ingle_model *m, const char *text, size_t len, unsigned flags, int32_t *ids,
                                      size_t cap, size_t *n, ingle_error *err);
/* Pushes the text of `n` ids. Invalid bytes become U+FFFD. With INGLE_PARSE_SPECIAL control tokens are spelled out. */
INGLE_API ingle_status ingle_detokenize(const ingle_model *m, const int32_t *ids, size_t n, unsigned flags,
                                        ingle_text_fn fn, void *ud, ingle_error *err);
/* The token's bytes as in the vocabulary (may be part of a code point); valid until the model is closed. */
INGLE_API ingle_status ingle_token_bytes(const ingle_model *m, int32_t id, const char **bytes, size_t *len,
                                         ingle_error *err);
/* 1 if generation ends at this token (EOS, EOT, ...). */
INGLE_API int ingle_token_is_end(const ingle_model *m, int32_t id);

/* ---- Chat template ----------------------------------------------------------------------------------------------- */

/* Renders a chat: `json` has messages, tools, add_generation_prompt and any other variable the template knows.
 * With `source` NULL the model's own template is used; with `m` NULL `source` is rendered without a model
 * (bos_token and eos_token then come from the JSON). */
INGLE_API ingle_status ingle_template_render(const ingle_model *m, const char *source, size_t source_len,
                                             const char *json, size_t json_len, ingle_text_fn fn, void *ud,
                                             ingle_error *err);

/* ---- Engine: requests in, events out ----------------------------------------------------------------------------- */

typedef struct ingle_engine ingle_engine;

typedef enum ingle_event_kind {
    INGLE_EVENT_PROGRESS = 0, /* prompt tokens done so far; text is empty */
    INGLE_EVENT_TEXT = 1,     /* a piece of the answer */
    INGLE_EVENT_REASONING = 2,/* a piece of the thinking that precedes the answer */
    INGLE_EVENT_DONE = 3,     /* last event of a request that ran; finish and counts are final */
    INGLE_EVENT_ERROR = 4     /* last event of a request that failed; error is set */
} ingle_event_kind;

typedef struct ingle_event {
    uint32_t size;          /* bytes of this struct: newer versions append fields */
    ingle_event_kind kind;
    uint64_t request;
    const char *text;       /* valid during the callback */
    size_t len;
    const char *finish;     /* DONE: "stop", "length", "cancelled"; else "" */
    int32_t prompt_tokens;  /* in the prompt */
    int32_t cached_tokens;  /* of those, not computed again */
    int32_t prompt_done;    /* of those, done so far */
    int32_t output_tokens;
    double prompt_seconds, output_seconds;
    const ingle_error *error;
    int32_t guessed_tokens;  /* computed ahead of their turn (option "speculate") */
    int32_t accepted_tokens; /* of those, how many came true */
} ingle_event;

/* Called on the engine's thread, one event at a time per engine. Non-zero cancels the request. Must not call into the
 * same engine except ingle_engine_cancel. */
typedef int (*ingle_event_fn)(void *ud, const ingle_event *event);

INGLE_API ingle_status ingle_engine_open(ingle_engine **out, const ingle_model *m, const ingle_options *options,
                                         ingle_error *err);
/* Cancels what runs, delivers the last events, frees. */
INGLE_API void ingle_engine_close(ingle_engine *e);
/* Queues a request: {"messages": [...]} or {"prompt": "..."} with max_tokens, stop, seed, temperature, top_p and every
 * option of group "sampling" by its key. Unknown fields are ignored. Returns at once; *id names the request. Safe from any thread. */
INGLE_API ingle_status ingle_engine_submit(ingle_engine *e, const char *json, size_t len, ingle_event_fn fn, void *ud,
                                           uint64_t *id, ingle_error *err);
/* Blocks until the request has delivered its last event. Returns its outcome. */
INGLE_API ingle_status ingle_engine_wait(ingle_engine *e, uint64_t id, ingle_error *err);
/* submit and wait in one call. */
INGLE_API ingle_status ingle_engine_run(ingle_engine *e, const char *json, size_t len, ingle_event_fn fn, void *ud,
                                        ingle_error *err);
/* From any thread. Unknown or finished ids are ignored; 0 cancels all. */
INGLE_API void ingle_engine_cancel(ingle_engine *e, uint64_t id);
/* Called with each text's embedding in order: values [width] f32, valid during the call, and the text's length in tokens.
 * Non-zero cancels. */
typedef int (*ingle_embedding_fn)(void *ud, size_t index, const float *values, size_t width, int32_t tokens);
/* Embeds texts: {"input": text, [texts], [ids] or [[ids]], "pooling": "mean" (default), "last" or "first",
 * "normalize": true (default; to length 1), "dimensions": n (the first n values only; default all)}. Queued like a request; blocks
 * until done; fn is called on the engine's thread. ingle_engine_cancel(e, 0) ends it. The engine's conversation stays as it is. */
INGLE_API ingle_status ingle_engine_embed(ingle_engine *e, const char *json, size_t len, ingle_embedding_fn fn, void *ud,
                                          ingle_error *err);
/* Keeps the engine's conversation (tokens and KV) in a file, and takes it up again. Not while a request runs. */
INGLE_API ingle_status ingle_engine_save(ingle_engine *e, const char *path, ingle_error *err);
INGLE_API ingle_status ingle_engine_load(ingle_engine *e, const char *path, ingle_error *err);

/* ---- Session: tokens in, logits out ------------------------------------------------------------------------------ */

typedef struct ingle_session ingle_session;

INGLE_API ingle_status ingle_session_open(ingle_session **out, const ingle_model *m, const ingle_options *options,
                                          ingle_error *err);
INGLE_API void ingle_session_close(ingle_session *s);
/* Makes the timeline equal to ids[0..n): keeps the longest common prefix it already holds, forgets the rest, computes
 * what is missing. Afterwards ingle_session_logits are those of ids[n - 1]. n >= 1. */
INGLE_API ingle_status ingle_session_sync(ingle_session *s, const int32_t *ids, size_t n, ingle_error *err);
/* Appends one token. */
INGLE_API ingle_status ingle_session_step(ingle_session *s, int32_t id, ingle_error *err);
/* Appends ids[i] to sessions[i], each a different one, in one pass over the weights: n answers for little more than the time of
 * one. Results are the bits each session would get alone. All are sessions of one model with the same "cpu" and "kv", used by the
 * calling thread alone; n <= the first one's "batch", whose threads compute. ingle_session_cancel of the first ends the call.
 * On failure no timeline has changed, and logits stay. */
INGLE_API ingle_status ingle_sessions_step(ingle_session *const *sessions, const int32_t *ids, size_t n,
                                           ingle_error *err);
/* Row of vocab_size floats for the last token; valid until the next call on the session. NULL before the first sync. */
INGLE_API const float *ingle_session_logits(const ingle_session *s);
/* Called with the logits [vocab_size] of each new position; non-zero cancels. */
typedef int (*ingle_logits_fn)(void *ud, size_t position, const float *logits);
/* Like ingle_session_sync but delivers the logits of every position it computes (from a fresh timeline: all). */
INGLE_API ingle_status ingle_session_sync_each(ingle_session *s, const int32_t *ids, size_t n, ingle_logits_fn fn,
                                               void *ud, ingle_error *err);
typedef enum ingle_pooling {
    INGLE_POOL_MEAN = 0, /* of all positions */
    INGLE_POOL_LAST = 1, /* the last position: what decoder models are trained on */
    INGLE_POOL_FIRST = 2 /* the first position (CLS) */
} ingle_pooling;
/* Computes ids[0..n) from a fresh timeline and writes the pooled hidden state after the final norm to out
 * [ingle_model_width]; not normalised. No logits are computed. */
INGLE_API ingle_status ingle_session_embed(ingle_session *s, const int32_t *ids, size_t n, ingle_pooling pooling, float *out,
                                           ingle_error *err);
/* Chooses the next token from the logits with the session's sampling options, and remembers it for penalties. Does not append it. */
INGLE_API ingle_status ingle_session_sample(ingle_session *s, int32_t *id, ingle_error *err);
/* Tokens held; pointer valid until the next call on the session. */
INGLE_API const int32_t *ingle_session_tokens(const ingle_session *s, size_t *n);
/* From any thread: makes the running call return INGLE_CANCELLED within 50 ms. The timeline keeps what was finished. */
INGLE_API void ingle_session_cancel(ingle_session *s);
/* Tokens and KV with a checksum. Loading needs the same model and KV type; anything else is refused. */
INGLE_API ingle_status ingle_session_save(ingle_session *s, const char *path, ingle_error *err);
INGLE_API ingle_status ingle_session_load(ingle_session *s, const char *path, ingle_error *err);
/* Bytes this session holds for KV and scratch. */
INGLE_API size_t ingle_session_bytes(const ingle_session *s);

/* ---- Devices ----------------------------------------------------------------------------------------------------- */

/* Pushes a JSON array of what this machine could compute on, the CPU first, then GPUs, best first: {"id": "cpu" or "cuda0",
 * "kind": "cpu" or "gpu", "name", "threads", "cores": physical performance cores, the default number of threads (CPU only),
 * "memory_bytes", "kernels": instruction set (CPU only), "usable": bool, "automatic": may be chosen without being named,
 * "reason": why it is not usable or not automatic, else ""}, and for GPUs "backend": "cuda", "metal" or "opencl", "driver",
 * "units", "memory_free_bytes", "software": computes on the CPU, "unified": shares the CPU's memory. Opens the drivers. */
INGLE_API ingle_status ingle_devices(ingle_text_fn fn, void *ud, ingle_error *err);
/* Pushes a JSON report: {"version", "system", "devices", "backends": [{"name", "devices": how many, "reason": why none}],
 * "model": what `m` needs, whether it fits, and its "placement" with these options (null without a model), "speed": measured
 * memory bandwidth and the tokens a second it allows, for the CPU and under "devices" for each usable GPU with the share of
 * the model that its memory holds, "problems": [{"severity": "error", "warning" or "note", "what", "hint"}]}. Measures for
 * about 100 ms, and up to three seconds where there are GPUs. `m` and `options` may be NULL. */
INGLE_API ingle_status ingle_doctor(const ingle_model *m, const ingle_options *options, ingle_text_fn fn, void *ud,
                                    ingle_error *err);

/* ---- Families ---------------------------------------------------------------------------------------------------- */

/* Row `index` of the list of model families, NULL past its end: general.architecture of GGUF files. *model_types (may be
 * NULL) becomes the model_type names in config.json that mean it, separated by spaces. Static. */
INGLE_API const char *ingle_family_name(size_t index, const char **model_types);

/* ---- Block types ------------------------------------------------------------------------------------------------- */

/* Row `index` of the list of block types, NULL past its end: "Q4_K" and its weights and bytes per block. Static. */
INGLE_API const char *ingle_quant_name(size_t index, int32_t *weights, int32_t *bytes);
/* Name in any case. `n` blocks of bytes to n * weights floats. */
INGLE_API ingle_status ingle_quant_decode(const char *type, const void *blocks, size_t n, float *out, ingle_error *err);
/* The reverse; INGLE_UNSUPPORTED for types that have no encoder. */
INGLE_API ingle_status ingle_quant_encode(const char *type, const float *in, size_t n, void *blocks, ingle_error *err);

#ifdef __cplusplus
}
#endif
#endif
