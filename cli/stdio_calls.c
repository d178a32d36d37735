/* From a line to its answer. Calls that return at once are run by the reader, the others by lanes
 * of threads, so that a cancel gets through at any time. Every call is answered exactly once; one
 * that is cancelled is answered at once, even if its thread still has to find its way out. */
#include "stdio_server.h"

#include <stdarg.h>
#include <stdio.h>

const struct stdio_method stdio_methods[] = {
#define X(name, lane, flags, params, what)                                                         \
    {#name, STDIO_##lane, flags, params, what, stdio_do_##name},
#include "stdio_methods.def"
#undef X
};
const size_t stdio_n_methods = sizeof stdio_methods / sizeof *stdio_methods;

/* ---- Parameters ---- */

ingle_status stdio_bad(struct stdio_call *c, const char *hint, const char *fmt, ...) {
    char message[sizeof c->err.message];
    va_list args;
    va_start(args, fmt);
    vsnprintf(message, sizeof message, fmt, args);
    va_end(args);
    c->code = STDIO_BAD_PARAMS;
    return ig_fail(&c->err, INGLE_BAD_REQUEST, hint, "%s: %s", c->method->name, message);
}

ingle_status stdio_param(struct stdio_call *c, const char *name, enum ig_json_kind kind,
                         bool needed, const struct ig_json **out) {
    static const char *const kinds[] = {"null",   "true or false", "a number",
                                        "a text", "a list",        "an object"};
    *out = ig_json_get(c->message.params, name);
    if (ig_json_is(*out, IG_JSON_NULL)) *out = NULL;
    if (!*out && needed)
        return stdio_bad(c, "see docs/stdio.md", "the parameter %s is missing", name);
    if (*out && (*out)->kind != kind)
        return stdio_bad(c, "see docs/stdio.md", "%s must be %s", name, kinds[kind]);
    return INGLE_OK;
}

ingle_status stdio_param_flag(struct stdio_call *c, const char *name, bool fallback, bool *out) {
    const struct ig_json *j;
    IG_TRY(stdio_param(c, name, IG_JSON_BOOL, false, &j));
    *out = ig_json_bool(j, fallback);
    return INGLE_OK;
}

ingle_status stdio_param_text(struct stdio_call *c, const char *name, bool needed,
                              const char **out) {
    const struct ig_json *j;
    *out = NULL;
    IG_TRY(stdio_param(c, name, IG_JSON_STRING, needed, &j));
    if (!j) return INGLE_OK;
    if (memchr(j->text.p, 0, j->text.n))
        return stdio_bad(c, NULL, "%s holds a NUL character", name);
    *out = ig_arena_copy(&c->arena, j->text.p, j->text.n);
    return *out ? INGLE_OK : ig_fail_memory(&c->err, j->text.n);
}

/* ---- Answers ---- */

static void free_call(struct stdio_call *c) {
    struct ig_mem *mem = &c->s->mem;
    ig_arena_free(&c->arena);
    ig_buf_free(&c->result);
    ig_free(mem, c->line);
    ig_free(mem, c);
}

void stdio_put_answer(struct stdio_call *c, ingle_status st, struct ig_buf *line) {
    if (st == INGLE_OK && c->result.failed) st = ig_fail_memory(&c->err, c->result.n);
    if (st == INGLE_OK)
        stdio_put_result(line, c->message.id, ig_buf_view(&c->result));
    else
        stdio_put_error(line, c->message.id, c->code, &c->err);
}

void stdio_answer(struct stdio_call *c, const struct ig_buf *line) {
    if (!c->answered && c->message.id.n) /* a notification gets no answer, whatever became of it */
        stdio_out_line(&c->s->out, line);
    c->answered = true;
}

void stdio_cancel_call(struct stdio_call *c) {
    struct ig_buf line = {.mem = &c->s->mem};
    ingle_error err = {INGLE_CANCELLED, "cancelled", ""};
    atomic_store(&c->cancelled, true);
    stdio_put_error(&line, c->message.id, 0, &err);
    stdio_answer(c, &line);
    ig_buf_free(&line);
}

static void unlink_call(struct stdio_call *c) {
    struct stdio_call **at = &c->s->calls;
    while (*at && *at != c) at = &(*at)->next_all;
    if (*at) *at = c->next_all;
    c->s->n_calls--;
}

static ingle_status run_method(struct stdio_call *c) {
    if (atomic_load(&c->cancelled)) return ig_fail(&c->err, INGLE_CANCELLED, NULL, "cancelled");
    return c->method->run(c);
}

/* On a lane's thread. */
static void run_queued(struct stdio_call *c) {
    struct stdio *s = c->s;
    struct ig_buf line = {.mem = &s->mem};
    stdio_put_answer(c, run_method(c), &line);
    stdio_out_pause(&s->out, NULL, &c->cancelled);
    stdio_take(s->lock);
    stdio_answer(c, &line);
    if (c->model) c->model->refs--;
    unlink_call(c);
    stdio_wake(s->lock);
    stdio_give(s->lock);
    ig_buf_free(&line);
    free_call(c);
}

/* ---- Lanes ---- */

static void work(void *ud) {
    struct stdio_queue *q = ((void **)ud)[0];
    struct stdio *s = ((void **)ud)[1];
    ig_free(&s->mem, ud);
    stdio_take(s->lock);
    for (;;) {
        while (!q->first && !s->quit) {
            q->idle++;
            stdio_wait(s->lock, -1);
            q->idle--;
        }
        struct stdio_call *c = q->first;
        if (!c) break;
        q->first = c->next;
        stdio_give(s->lock);
        run_queued(c);
        stdio_take(s->lock);
    }
    s->n_threads--;
    stdio_wake(s->lock);
    stdio_give(s->lock);
}

/* With the lock held. */
static bool add_thread(struct stdio *s, struct stdio_queue *q) {
    void **both = ig_alloc(&s->mem, 2 * sizeof *both);
    if (!both) return false;
    both[0] = q;
    both[1] = s;
    if (!stdio_start_thread(work, both)) {
        ig_free(&s->mem, both);
        return false;
    }
    q->threads++;
    s->n_threads++;
    return true;
}

/* With the lock held. */
static ingle_status hold_model(struct stdio_call *c) {
    const struct ig_json *j;
    bool needed = c->method->flags & STDIO_HOLDS;
    if (!needed && !(c->method->flags & STDIO_MAY_HOLD)) return INGLE_OK;
    IG_TRY(stdio_param(c, "model", IG_JSON_NUMBER, needed, &j));
    if (!j) return INGLE_OK;
    IG_TRY(stdio_find_model(c, j, &c->model));
    c->model->refs++;
    return INGLE_OK;
}

static ingle_status queue_call(struct stdio_call *c) {
    struct stdio *s = c->s;
    struct stdio_queue *q = &s->lanes[c->method->lane];
    stdio_take(s->lock);
    ingle_status st = hold_model(c);
    if (st == INGLE_OK && s->n_calls >= STDIO_CALLS)
        st = ig_fail(&c->err, INGLE_BUSY, "wait for answers", "%d calls are running", s->n_calls);
    int ahead = 0;
    for (const struct stdio_call *w = q->first; w; w = w->next) ahead++;
    if (st == INGLE_OK && q->idle <= ahead && q->threads < q->max && !add_thread(s, q) &&
        !q->threads)
        st = ig_fail(&c->err, INGLE_NO_MEMORY, "close other programs", "no thread can be started");
    if (st == INGLE_OK) {
        struct stdio_call **end = &q->first;
        while (*end) end = &(*end)->next;
        *end = c;
        c->next_all = s->calls;
        s->calls = c;
        s->n_calls++;
        stdio_wake(s->lock);
    } else if (c->model) {
        c->model->refs--;
    }
    stdio_give(s->lock);
    return st;
}

/* ---- Dispatch ---- */

static const struct stdio_method *find_method(struct ig_str name) {
    for (size_t i = 0; i < stdio_n_methods; i++)
        if (ig_str_is(name, stdio_methods[i].name)) return &stdio_methods[i];
    return NULL;
}

static ingle_status dispatch(struct stdio_call *c, bool *queued) {
    c->method = find_method(c->message.method);
    if (!c->method) {
        c->code = STDIO_NO_METHOD;
        return ig_fail(
            &c->err, INGLE_NOT_FOUND, "initialize lists the methods", "there is no method '%.*s'",
            (int)(c->message.method.n < 64 ? c->message.method.n : 64), c->message.method.p);
    }
    if (c->method->lane == STDIO_HERE) return run_method(c);
    ingle_status st = queue_call(c);
    *queued = st == INGLE_OK;
    return st;
}

void stdio_take_line(struct stdio *s, char *line, size_t n) {
    struct stdio_call *c = ig_calloc(&s->mem, 1, sizeof *c);
    if (!c) {
        ingle_error err;
        struct ig_buf b = {.mem = &s->out.mem};
        ig_fail_memory(&err, sizeof *c);
        stdio_put_error(&b, IG_STR("null"), 0, &err);
        stdio_out_line(&s->out, &b);
        ig_buf_free(&b);
        ig_free(&s->mem, line);
        return;
    }
    c->s = s;
    c->line = line;
    c->arena.mem = c->result.mem = &s->mem;
    bool queued = false;
    ingle_status st = INGLE_BAD_REQUEST;
    c->code = stdio_read_message(&c->arena, (struct ig_str){line, n}, &c->message, &c->err);
    if (!c->code) st = dispatch(c, &queued);
    if (queued) return;
    struct ig_buf answer = {.mem = &s->mem};
    stdio_put_answer(c, st, &answer);
    if (c->message.id.n) stdio_out_line(&s->out, &answer);
    if (c->submitted) stdio_out_flag(&s->out, &c->submitted->announced);
    ig_buf_free(&answer);
    free_call(c);
}

/* ---- Methods that need no engine ---- */

static void put_texts(struct ig_buf *b, const char *words) {
    ig_buf_ch(b, '[');
    for (const char *at = words; *at;) {
        size_t n = strcspn(at, " ");
        if (at != words) ig_buf_ch(b, ',');
        ig_json_put_str(b, (struct ig_str){at, n});
        at += n + (at[n] == ' ');
    }
    ig_buf_ch(b, ']');
}

static void put_methods(struct ig_buf *b) {
    ig_buf_z(b, "\"methods\":[");
    for (size_t i = 0; i < stdio_n_methods; i++) {
        const struct stdio_method *m = &stdio_methods[i];
        ig_buf_f(b, "%s{\"name\":\"%s\",\"params\":", i ? "," : "", m->name);
        put_texts(b, m->params);
        ig_buf_z(b, ",\"help\":");
        ig_json_put_str(b, ig_str_of(m->what));
        ig_buf_ch(b, '}');
    }
    ig_buf_ch(b, ']');
}

static void put_options(struct ig_buf *b) {
    const ingle_option_info *o;
    ig_buf_z(b, "\"options\":[");
    for (size_t i = 0; (o = ingle_options_describe(i)); i++) {
        ig_buf_f(b,
                 "%s{\"name\":\"%s\",\"key\":\"%s\",\"group\":\"%s\",\"type\":\"%s\",\"default\":",
                 i ? "," : "", o->name, o->key, o->group, o->type);
        ig_json_put_str(b, ig_str_of(o->initial));
        ig_buf_z(b, ",\"help\":");
        ig_json_put_str(b, ig_str_of(o->help));
        if (o->choices[0]) {
            ig_buf_z(b, ",\"choices\":");
            ig_json_put_str(b, ig_str_of(o->choices));
        }
        if (strcmp(o->type, "int") == 0 || strcmp(o->type, "float") == 0) {
            ig_buf_z(b, ",\"min\":");
            ig_json_put_f64(b, o->min);
            ig_buf_z(b, ",\"max\":");
            ig_json_put_f64(b, o->max);
        }
        ig_buf_ch(b, '}');
    }
    ig_buf_ch(b, ']');
}

ingle_status stdio_do_initialize(struct stdio_call *c) {
    struct ig_buf *b = &c->result;
    ig_buf_f(b, "{\"name\":\"ingle\",\"version\":\"%s\",\"protocol\":%d,\"line_bytes\":%d,",
             ingle_version(), STDIO_PROTOCOL, STDIO_LINE);
    put_methods(b);
    ig_buf_ch(b, ',');
    put_options(b);
    ig_buf_ch(b, '}');
    return INGLE_OK;
}

ingle_status stdio_do_shutdown(struct stdio_call *c) {
    c->s->shutdown = true;
    return INGLE_OK;
}

/* {"name": what fn pushes} */
ingle_status stdio_do_devices(struct stdio_call *c) {
    ig_buf_z(&c->result, "{\"devices\":");
    IG_TRY(ingle_devices(cli_collect, &c->result, &c->err));
    ig_buf_ch(&c->result, '}');
    return INGLE_OK;
}

ingle_status stdio_do_doctor(struct stdio_call *c) {
    ingle_options *o;
    IG_TRY(stdio_options(c, &o));
    ingle_status st =
        ingle_doctor(c->model ? c->model->model : NULL, o, cli_collect, &c->result, &c->err);
    ingle_options_free(o);
    return st;
}

ingle_status stdio_do_describe(struct stdio_call *c) {
    static const char *const names[] = {"info", "metadata", "tensors", "template", "plan"};
    const char *view;
    unsigned v = 0, n = sizeof names / sizeof *names;
    IG_TRY(stdio_param_text(c, "view", true, &view));
    while (v < n && strcmp(view, names[v]) != 0) v++;
    if (v == n)
        return stdio_bad(c, "one of info, metadata, tensors, template, plan",
                         "there is no view '%.40s'", view);
    bool text = v == INGLE_VIEW_TEMPLATE || v == INGLE_VIEW_PLAN;
    struct ig_buf b = {.mem = &c->s->mem};
    ingle_status st =
        ingle_model_describe(c->model->model, (ingle_model_view)v, cli_collect, &b, &c->err);
    ig_buf_f(&c->result, "{\"%s\":", names[v]);
    if (text)
        ig_json_put_str(&c->result, ig_buf_view(&b));
    else
        ig_buf_add(&c->result, b.p ? b.p : "null", b.p ? b.n : 4);
    ig_buf_ch(&c->result, '}');
    if (st == INGLE_OK && b.failed) st = ig_fail_memory(&c->err, b.n);
    ig_buf_free(&b);
    return st;
}

ingle_status stdio_do_template(struct stdio_call *c) {
    const struct ig_json *source, *input;
    IG_TRY(stdio_param(c, "source", IG_JSON_STRING, false, &source));
    IG_TRY(stdio_param(c, "input", IG_JSON_OBJECT, true, &input));
    if (!c->model && !source) return stdio_bad(c, NULL, "give a model or the template's source");
    struct ig_buf b = {.mem = &c->s->mem};
    ingle_status st = ingle_template_render(
        c->model ? c->model->model : NULL, source ? source->text.p : NULL,
        source ? source->text.n : 0, input->text.p, input->text.n, cli_collect, &b, &c->err);
    ig_buf_z(&c->result, "{\"text\":");
    ig_json_put_str(&c->result, ig_buf_view(&b));
    ig_buf_ch(&c->result, '}');
    if (st == INGLE_OK && b.failed) st = ig_fail_memory(&c->err, b.n);
    ig_buf_free(&b);
    return st;
}

/* ---- Tokens ---- */

ingle_status stdio_do_tokenize(struct stdio_call *c) {
    const struct ig_json *text;
    bool add, parse;
    size_t n, bytes;
    IG_TRY(stdio_param(c, "text", IG_JSON_STRING, true, &text));
    IG_TRY(stdio_param_flag(c, "add_special", true, &add));
    IG_TRY(stdio_param_flag(c, "parse_special", false, &parse));
    unsigned flags =
        (add ? (unsigned)INGLE_ADD_SPECIAL : 0) | (parse ? (unsigned)INGLE_PARSE_SPECIAL : 0);
    const ingle_model *m = c->model->model;
    IG_TRY(ingle_tokenize(m, text->text.p, text->text.n, flags, NULL, 0, &n, &c->err));
    int32_t *ids = ig_mul(n + 1, sizeof *ids, &bytes) ? ig_arena_alloc(&c->arena, bytes) : NULL;
    if (!ids) return ig_fail_memory(&c->err, n * sizeof *ids);
    if (n) IG_TRY(ingle_tokenize(m, text->text.p, text->text.n, flags, ids, n, &n, &c->err));
    ig_buf_z(&c->result, "{\"tokens\":[");
    for (size_t i = 0; i < n; i++) ig_buf_f(&c->result, i ? ",%d" : "%d", ids[i]);
    ig_buf_z(&c->result, "]}");
    return INGLE_OK;
}

static ingle_status read_ids(struct stdio_call *c, const struct ig_json *list, int32_t **out) {
    int32_t *ids = ig_arena_calloc(&c->arena, list->count + (size_t)1, sizeof *ids);
    if (!ids) return ig_fail_memory(&c->err, list->count * sizeof *ids);
    *out = ids;
    for (const struct ig_json *j = list->child; j; j = j->next) {
        int64_t v = ig_json_i64(j, -1);
        if (v < 0 || v > INT32_MAX)
            return stdio_bad(c, NULL, "tokens[%d] is not a token id", (int)(ids - *out));
        *ids++ = (int32_t)v;
    }
    return INGLE_OK;
}

ingle_status stdio_do_detokenize(struct stdio_call *c) {
    const struct ig_json *list;
    bool spell;
    int32_t *ids = NULL;
    IG_TRY(stdio_param(c, "tokens", IG_JSON_ARRAY, true, &list));
    IG_TRY(stdio_param_flag(c, "spell_special", false, &spell));
    IG_TRY(read_ids(c, list, &ids));
    struct ig_buf b = {.mem = &c->s->mem};
    ingle_status st =
        ingle_detokenize(c->model->model, ids, list->count,
                         spell ? (unsigned)INGLE_PARSE_SPECIAL : 0, cli_collect, &b, &c->err);
    ig_buf_z(&c->result, "{\"text\":");
    ig_json_put_str(&c->result, ig_buf_view(&b));
    ig_buf_ch(&c->result, '}');
    if (st == INGLE_OK && b.failed) st = ig_fail_memory(&c->err, b.n);
    ig_buf_free(&b);
    return st;
}
