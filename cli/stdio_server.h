/* `ingle stdio` from inside: one reader (the main thread), one writer, lanes of threads for calls
 * that take time, and the engines' own threads. docs/stdio.md is the protocol.
 *
 * Locks, always taken in this order: the server's (`lock`), an engine's own (inside
 * ingle_engine_*), the output's (`out.lock`). The engine calls back with none of its locks held. */
#ifndef STDIO_SERVER_H
#define STDIO_SERVER_H

#include <stdatomic.h>
#include "cli.h"
#include "stdio_message.h"
#include "stdio_os.h"

enum {
    STDIO_PROTOCOL = 1,
    STDIO_LINE = 64 << 20,  /* bytes of an input line */
    STDIO_EVENTS = 4 << 20, /* bytes waiting for the other side before engines pause */
    STDIO_CALLS = 1024,     /* queued and running at once */
    STDIO_SLOW_THREADS = 16,
};

struct stdio;
struct stdio_call;

enum stdio_lane { STDIO_HERE, STDIO_QUICK, STDIO_SLOW, STDIO_LANES };
enum { STDIO_HOLDS = 1, STDIO_MAY_HOLD = 2, STDIO_LONG = 4 };

struct stdio_method {
    const char *name;
    enum stdio_lane lane;
    unsigned flags;
    const char *params, *what;
    ingle_status (*run)(struct stdio_call *c);
};
extern const struct stdio_method stdio_methods[];
extern const size_t stdio_n_methods;

/* ---- stdio_out.c: what goes out ---- */

struct stdio_out {
    struct stdio_lock *lock;
    struct ig_mem mem;
    struct ig_buf waiting, writing;
    bool open;  /* engines still pause for a slow reader */
    bool ended; /* the writer has returned */
};
bool stdio_out_open(struct stdio_out *o);
/* Adds one line; the newline is added here. */
void stdio_out_line(struct stdio_out *o, const struct ig_buf *line);
/* Waits for `*flag` (may be NULL), then until there is room or *stop or the output closes. */
void stdio_out_pause(struct stdio_out *o, const bool *flag, const atomic_bool *stop);
/* Sets *flag, if given, and lets those who wait look again. */
void stdio_out_flag(struct stdio_out *o, bool *flag);
/* No more pausing; waits until all is written, `seconds` at most. */
bool stdio_out_close(struct stdio_out *o, double seconds);
void stdio_out_free(struct stdio_out *o);

/* ---- The server ---- */

struct stdio_model {
    struct stdio_model *next;
    int64_t id;
    char *path;
    ingle_model *model;
    ingle_engine *engine;
    unsigned refs;     /* calls at work on it */
    unsigned requests; /* submitted and not ended */
    unsigned embeds;
    uint64_t last_engine_id;
    bool saving; /* the engine's lock may be held for long */
};

struct stdio_request {
    struct stdio_request *next;
    struct stdio *s;
    struct stdio_model *model;
    uint64_t id, engine_id;
    bool announced; /* its id was sent: events may follow. Guarded by out.lock */
    atomic_bool cancelled;
};

struct stdio_call {
    struct stdio_call *next, *next_all;
    struct stdio *s;
    const struct stdio_method *method;
    char *line;
    struct ig_arena arena;
    struct stdio_message message;
    struct stdio_model *model; /* held, if the call names one */
    atomic_bool cancelled;
    bool answered;        /* guarded by the server's lock */
    struct ig_buf result; /* JSON; empty means {} */
    struct stdio_request *submitted;
    int code; /* of an error, 0 = from the status */
    double progress_at;
    ingle_error err;
};

struct stdio_queue {
    struct stdio_call *first;
    int threads, idle, max;
};

struct stdio {
    struct cli *cli;
    struct ig_mem mem;
    struct stdio_out out;
    struct stdio_lock *lock;
    struct stdio_queue lanes[STDIO_LANES];
    struct stdio_call *calls; /* all that are queued or run */
    int n_calls, n_threads;
    struct stdio_model *models;
    struct stdio_request *requests;
    int64_t last_model;
    uint64_t last_request;
    bool quit;     /* guarded by lock */
    bool shutdown; /* asked for; the reader's own */
};

/* ---- stdio_calls.c ---- */
/* Takes a line (freed by it) and answers or queues it. */
void stdio_take_line(struct stdio *s, char *line, size_t n);
/* -32602 with a hint. */
ingle_status stdio_bad(struct stdio_call *c, const char *hint, const char *fmt, ...)
    IG_PRINTF(3, 4);
/* Both with the server's lock held. Only the first answer to a call is sent. */
void stdio_answer(struct stdio_call *c, const struct ig_buf *line);
void stdio_cancel_call(struct stdio_call *c);
void stdio_put_answer(struct stdio_call *c, ingle_status st, struct ig_buf *line);
/* A parameter of a kind, or NULL; `needed` and wrong kinds fill the error. */
ingle_status stdio_param(struct stdio_call *c, const char *name, enum ig_json_kind kind,
                         bool needed, const struct ig_json **out);
ingle_status stdio_param_flag(struct stdio_call *c, const char *name, bool fallback, bool *out);
/* A text that holds no NUL, in the call's arena. */
ingle_status stdio_param_text(struct stdio_call *c, const char *name, bool needed,
                              const char **out);

/* ---- stdio_models.c ---- */
/* With the lock held. `number` is what the message gave. */
ingle_status stdio_find_model(struct stdio_call *c, const struct ig_json *number,
                              struct stdio_model **out);
void stdio_cancel_model(struct stdio *s, struct stdio_model *m);
ingle_status stdio_options(struct stdio_call *c, ingle_options **out);
void stdio_close_models(struct stdio *s);

#define X(name, lane, flags, params, what) ingle_status stdio_do_##name(struct stdio_call *c);
#include "stdio_methods.def"
#undef X

#endif
