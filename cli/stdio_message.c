/* The lines of `ingle stdio`: JSON-RPC 2.0, one object a line. Reading is strict, and says where a
 * line is wrong; what is written is always valid UTF-8 without control characters. Knows nothing of
 * models and threads. */
#include "stdio_message.h"

#include <stdio.h>

/* ---- In ---- */

static int fail(ingle_error *err, int code, const char *hint, const char *what) {
    ig_fail(err, INGLE_BAD_REQUEST, hint, "%s", what);
    return code;
}

/* The id as it will be sent back: the number as it was written, the text with its escapes. */
static bool read_id(struct ig_arena *a, const struct ig_json *id, struct ig_str *out) {
    if (id->kind == IG_JSON_NUMBER || id->kind == IG_JSON_NULL) {
        *out = id->text;
    } else if (id->kind == IG_JSON_STRING) {
        struct ig_buf b = {.mem = a->mem};
        ig_json_put_str(&b, id->text);
        char *copy = b.failed ? NULL : ig_arena_copy(a, b.p, b.n);
        *out = (struct ig_str){copy, copy ? b.n : 0};
        ig_buf_free(&b);
    } else {
        return false;
    }
    return out->n > 0 && out->n <= STDIO_ID;
}

int stdio_read_message(struct ig_arena *a, struct ig_str line, struct stdio_message *m,
                       ingle_error *err) {
    const struct ig_json *j;
    const struct ig_json_limits limits = {.code = INGLE_BAD_REQUEST};
    *m = (struct stdio_message){.id = IG_STR("null")};
    ingle_status st = ig_json_parse(a, line, &limits, &j, err);
    if (st == INGLE_NO_MEMORY) return STDIO_STATUS - (int)st;
    if (st != INGLE_OK) return STDIO_PARSE;
    if (ig_json_is(j, IG_JSON_ARRAY))
        return fail(err, STDIO_INVALID, "send one object a line", "batches are not supported");
    if (!ig_json_is(j, IG_JSON_OBJECT))
        return fail(err, STDIO_INVALID, "send {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"...\"}",
                    "the message is not a JSON object");
    const struct ig_json *id = ig_json_get(j, "id"), *method = ig_json_get(j, "method"),
                         *params = ig_json_get(j, "params");
    if (id && !read_id(a, id, &m->id)) {
        m->id = IG_STR("null");
        return fail(err, STDIO_INVALID, "number the calls 1, 2, 3",
                    "the id must be a number or a text of at most 256 bytes");
    }
    if (!ig_str_is(ig_json_str(ig_json_get(j, "jsonrpc"), ""), "2.0"))
        return fail(err, STDIO_INVALID, "add \"jsonrpc\":\"2.0\"",
                    "the message is not JSON-RPC 2.0");
    if (!ig_json_is(method, IG_JSON_STRING))
        return fail(err, STDIO_INVALID, "add \"method\":\"initialize\", for example",
                    "the method is missing or not a text");
    if (!id) m->id = (struct ig_str){0};
    m->method = method->text;
    if (ig_json_is(params, IG_JSON_NULL)) params = NULL;
    if (params && !ig_json_is(params, IG_JSON_OBJECT))
        return fail(err, STDIO_BAD_PARAMS, "give parameters by name",
                    "params is not a JSON object");
    m->params = params;
    return 0;
}

/* ---- Out ---- */

static void open_answer(struct ig_buf *b, struct ig_str id) {
    ig_buf_z(b, "{\"jsonrpc\":\"2.0\",\"id\":");
    ig_buf_str(b, id);
}

void stdio_put_result(struct ig_buf *b, struct ig_str id, struct ig_str result) {
    open_answer(b, id);
    ig_buf_z(b, ",\"result\":");
    size_t from = b->n;
    ig_buf_str(b, result.n ? result : IG_STR("{}"));
    /* In JSON a bare line feed is white space; in a line it would be its end. */
    for (size_t i = from; i < b->n; i++)
        if (b->p[i] == '\n') b->p[i] = ' ';
    ig_buf_ch(b, '}');
}

/* {"code":"bad_file","message":...,"hint":...} */
static void put_error_data(struct ig_buf *b, const ingle_error *err) {
    ig_buf_f(b, "{\"code\":\"%s\",\"message\":", stdio_status_name(err->code));
    ig_json_put_str(b, ig_str_of(err->message));
    ig_buf_z(b, ",\"hint\":");
    ig_json_put_str(b, ig_str_of(err->hint));
    ig_buf_ch(b, '}');
}

void stdio_put_error(struct ig_buf *b, struct ig_str id, int code, const ingle_error *err) {
    open_answer(b, id);
    ig_buf_f(b,
             ",\"error\":{\"code\":%d,\"message\":", code ? code : STDIO_STATUS - (int)err->code);
    ig_json_put_str(b, ig_str_of(err->message));
    ig_buf_z(b, ",\"data\":");
    put_error_data(b, err);
    ig_buf_z(b, "}}");
}

static void open_notice(struct ig_buf *b, const char *method) {
    ig_buf_f(b, "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{", method);
}

static const char *kind_name(ingle_event_kind kind) {
    static const char *const names[] = {"progress", "text", "reasoning", "done", "error"};
    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : "other";
}

void stdio_put_event(struct ig_buf *b, uint64_t request, const ingle_event *ev) {
    open_notice(b, "event");
    ig_buf_f(b, "\"request\":%llu,\"kind\":\"%s\"", (unsigned long long)request,
             kind_name(ev->kind));
    if (ev->len) {
        ig_buf_z(b, ",\"text\":");
        ig_json_put_str(b, (struct ig_str){ev->text, ev->len});
    }
    if (ev->kind == INGLE_EVENT_DONE) {
        ig_buf_z(b, ",\"finish\":");
        ig_json_put_str(b, ig_str_of(ev->finish));
    }
    ig_buf_f(b,
             ",\"prompt_tokens\":%d,\"cached_tokens\":%d,\"prompt_done\":%d,\"output_tokens\":%d",
             ev->prompt_tokens, ev->cached_tokens, ev->prompt_done, ev->output_tokens);
    ig_buf_f(b, ",\"guessed_tokens\":%d,\"accepted_tokens\":%d", ev->guessed_tokens,
             ev->accepted_tokens);
    ig_buf_z(b, ",\"prompt_seconds\":");
    ig_json_put_f64(b, ev->prompt_seconds);
    ig_buf_z(b, ",\"output_seconds\":");
    ig_json_put_f64(b, ev->output_seconds);
    if (ev->error) {
        ig_buf_z(b, ",\"error\":");
        put_error_data(b, ev->error);
    }
    ig_buf_z(b, "}}");
}

void stdio_put_progress(struct ig_buf *b, struct ig_str call, const char *what, double done) {
    open_notice(b, "progress");
    ig_buf_z(b, "\"call\":");
    ig_buf_str(b, call);
    ig_buf_z(b, ",\"what\":");
    ig_json_put_str(b, ig_str_of(what));
    ig_buf_z(b, ",\"done\":");
    ig_json_put_f64(b, done);
    ig_buf_z(b, "}}");
}

const char *stdio_status_name(ingle_status st) {
    static const char *const names[] = {
#define X(name, number, exit_code, text) [number] = #name,
#include "base/status.def"
#undef X
    };
    static _Thread_local char lower[24];
    const char *name =
        (size_t)st < sizeof names / sizeof *names && names[st] ? names[st] : "INTERNAL";
    size_t n = 0;
    for (; name[n] && n + 1 < sizeof lower; n++)
        lower[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + 32 : name[n]);
    lower[n] = 0;
    return lower;
}

void stdio_put_base64(struct ig_buf *b, const void *bytes, size_t n) {
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;
    if (!ig_buf_reserve(b, (n + 2) / 3 * 4)) return;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        unsigned v = (unsigned)p[i] << 16 | (left > 1 ? (unsigned)p[i + 1] << 8 : 0) |
                     (left > 2 ? (unsigned)p[i + 2] : 0);
        const char four[4] = {digit[v >> 18], digit[v >> 12 & 63],
                              left > 1 ? digit[v >> 6 & 63] : '=', left > 2 ? digit[v & 63] : '='};
        ig_buf_add(b, four, 4);
    }
}
