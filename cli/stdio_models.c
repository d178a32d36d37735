/* The models of `ingle stdio`: loading, requests with their events, embeddings, and taking it all
 * down again. A model is in the list while calls may find it; unload takes it out first, then waits
 * until nobody is at work on it. */
#include "stdio_server.h"

#include <stdio.h>

ingle_status stdio_find_model(struct stdio_call *c, const struct ig_json *number,
                              struct stdio_model **out) {
    int64_t id = ig_json_i64(number, -1);
    struct stdio_model *m = c->s->models;
    while (m && m->id != id) m = m->next;
    *out = m;
    if (m) return INGLE_OK;
    return ig_fail(&c->err, INGLE_NOT_FOUND, "load answers with the number of a model",
                   "no model %.*s is loaded", (int)(number->text.n < 24 ? number->text.n : 24),
                   number->text.p);
}

/* ---- Options ---- */

static void print_log(void *ud, ingle_log_level level, const char *line) {
    static const char *const names[] = {"debug", "info", "warning", "error"};
    (void)ud;
    fprintf(stderr, "ingle: %s: %s\n", names[level & 3], line);
}

static ingle_status set_option(struct stdio_call *c, ingle_options *o, const struct ig_json *j) {
    char *name = ig_arena_copy(&c->arena, j->key.p, j->key.n), *value = NULL;
    if (!ig_json_is(j, IG_JSON_NULL)) value = ig_arena_copy(&c->arena, j->text.p, j->text.n);
    if (!name || (!value && !ig_json_is(j, IG_JSON_NULL)))
        return ig_fail_memory(&c->err, j->text.n);
    if (!value) return INGLE_OK; /* null: as if it were not there */
    if (strlen(name) != j->key.n || strlen(value) != j->text.n)
        return stdio_bad(c, NULL, "options: a name or value holds a NUL character");
    return ingle_options_set(o, name, value, &c->err);
}

static ingle_status fill_options(struct stdio_call *c, ingle_options *o) {
    const ingle_option_info *row;
    const struct ig_json *given;
    const ingle_options *own = c->s->cli->options; /* of the command line */
    for (size_t i = 0; (row = ingle_options_describe(i)); i++) {
        const char *value = ingle_options_get(own, row->name);
        if (strcmp(value, row->initial) != 0)
            IG_TRY(ingle_options_set(o, row->name, value, &c->err));
    }
    IG_TRY(stdio_param(c, "options", IG_JSON_OBJECT, false, &given));
    for (const struct ig_json *j = given ? given->child : NULL; j; j = j->next)
        IG_TRY(set_option(c, o, j));
    ingle_options_on_log(o, print_log, NULL,
                         c->s->cli->flag[CLI_VERBOSE] ? INGLE_LOG_DEBUG : INGLE_LOG_WARN);
    return INGLE_OK;
}

ingle_status stdio_options(struct stdio_call *c, ingle_options **out) {
    *out = NULL;
    IG_TRY(ingle_options_new(out, &c->err));
    ingle_status st = fill_options(c, *out);
    if (st == INGLE_OK) return st;
    ingle_options_free(*out);
    *out = NULL;
    return st;
}

/* ---- load ---- */

static void free_model(struct stdio *s, struct stdio_model *m) {
    if (!m) return;
    ingle_engine_close(m->engine);
    ingle_model_close(m->model);
    ig_free(&s->mem, m->path);
    ig_free(&s->mem, m);
}

static int on_load(void *ud, const char *what, double done) {
    struct stdio_call *c = ud;
    double now = cli_seconds();
    if (atomic_load(&c->cancelled)) return 1;
    if (!c->message.id.n || (now - c->progress_at < 0.05 && done < 1)) return 0;
    c->progress_at = now;
    struct ig_buf b = {.mem = &c->s->mem};
    stdio_put_progress(&b, c->message.id, what, done);
    stdio_take(c->s->lock);
    if (!c->answered) stdio_out_line(&c->s->out, &b);
    stdio_give(c->s->lock);
    ig_buf_free(&b);
    return 0;
}

static ingle_status find_path(struct stdio_call *c, const char *name, char **out) {
    struct ig_buf path = {.mem = &c->s->mem};
    struct cli own = *c->s->cli; /* loads run at once: each with an error of its own */
    if (!name[0])
        return stdio_bad(c, "give a path or the name of a model in the store", "model is empty");
    if (cli_resolve(&own, name, &path) != 0) {
        bool memory = path.failed;
        ig_buf_free(&path);
        if (memory) return ig_fail_memory(&c->err, 4096);
        c->err = own.err;
        return c->err.code;
    }
    *out = path.p;
    return INGLE_OK;
}

static ingle_status find_draft(struct stdio_call *c, ingle_options *o) {
    const char *name = ingle_options_get(o, "draft-model");
    char *path = NULL;
    if (!*name) return INGLE_OK;
    IG_TRY(find_path(c, name, &path));
    ingle_status status = ingle_options_set(o, "draft-model", path, &c->err);
    ig_free(&c->s->mem, path);
    return status;
}

static ingle_status open_model(struct stdio_call *c, struct stdio_model *m, const char *name,
                               ingle_options *o) {
    IG_TRY(find_path(c, name, &m->path));
    IG_TRY(find_draft(c, o));
    ingle_options_on_progress(o, on_load, c);
    ingle_status st = ingle_model_open(&m->model, m->path, o, &c->err);
    ingle_options_on_progress(o, NULL, NULL); /* the engine keeps what it is given */
    if (st != INGLE_OK) return st;
    IG_TRY(ingle_engine_open(&m->engine, m->model, o, &c->err));
    struct ig_buf info = {.mem = &c->s->mem};
    st = ingle_model_describe(m->model, INGLE_VIEW_INFO, cli_collect, &info, &c->err);
    ig_buf_z(&c->result, ",\"path\":");
    ig_json_put_str(&c->result, ig_str_of(m->path));
    ig_buf_z(&c->result, ",\"info\":");
    ig_buf_add(&c->result, info.p ? info.p : "null", info.p ? info.n : 4);
    if (st == INGLE_OK && info.failed) st = ig_fail_memory(&c->err, info.n);
    ig_buf_free(&info);
    return st;
}

/* Puts the model in the list and answers, in one step: a cancel comes before both or after both. */
static bool publish(struct stdio_call *c, struct stdio_model *m, double started) {
    struct stdio *s = c->s;
    struct ig_buf rest = c->result, line = {.mem = &s->mem};
    c->result = (struct ig_buf){.mem = &s->mem};
    stdio_take(s->lock);
    bool wanted = !c->answered && !s->quit;
    if (wanted) {
        m->id = ++s->last_model;
        m->next = s->models;
        s->models = m;
        ig_buf_f(&c->result, "{\"model\":%lld,\"seconds\":", (long long)m->id);
        ig_json_put_f64(&c->result, cli_seconds() - started);
        ig_buf_str(&c->result, ig_buf_view(&rest));
        ig_buf_ch(&c->result, '}');
        c->result.failed |= rest.failed;
        stdio_put_answer(c, INGLE_OK, &line);
        stdio_answer(c, &line);
    }
    stdio_give(s->lock);
    ig_buf_free(&rest);
    ig_buf_free(&line);
    return wanted;
}

ingle_status stdio_do_load(struct stdio_call *c) {
    const char *name;
    ingle_options *o;
    double started = cli_seconds();
    IG_TRY(stdio_param_text(c, "model", true, &name));
    IG_TRY(stdio_options(c, &o));
    struct stdio_model *m = ig_calloc(&c->s->mem, 1, sizeof *m);
    ingle_status st = m ? open_model(c, m, name, o) : ig_fail_memory(&c->err, sizeof *m);
    ingle_options_free(o);
    if (st == INGLE_OK && !publish(c, m, started))
        st = ig_fail(&c->err, INGLE_CANCELLED, NULL, "cancelled");
    if (st != INGLE_OK) free_model(c->s, m);
    return st;
}

/* ---- Cancelling ---- */

/* While a conversation is saved nothing runs that could be cancelled, and the engine's lock is
 * taken for long. */
static void cancel_engine(struct stdio_model *m) {
    if (!m->saving) ingle_engine_cancel(m->engine, 0);
}

void stdio_cancel_model(struct stdio *s, struct stdio_model *m) {
    for (struct stdio_request *r = s->requests; r; r = r->next)
        if (r->model == m) atomic_store(&r->cancelled, true);
    for (struct stdio_call *c = s->calls; c; c = c->next_all)
        if (c->model == m && c->method->flags & STDIO_LONG) stdio_cancel_call(c);
    cancel_engine(m);
    stdio_out_flag(&s->out, NULL);
}

static void cancel_request(struct stdio *s, int64_t id) {
    struct stdio_request *r = s->requests;
    while (r && (int64_t)r->id != id) r = r->next;
    if (!r) return;
    atomic_store(&r->cancelled, true);
    ingle_engine_cancel(r->model->engine, r->engine_id);
    stdio_out_flag(&s->out, NULL);
}

/* An engine knows no id for an embedding. Where it is all that runs, the engine is stopped; else
 * the call is answered and its vectors are dropped after the next text. */
static void cancel_call(struct stdio *s, struct ig_str id) {
    struct stdio_call *c = s->calls;
    while (c && !ig_str_eq(c->message.id, id)) c = c->next_all;
    if (!c || c->method->run == stdio_do_unload) return;
    if (c->method->run == stdio_do_embed && c->model->embeds == 1 && !c->model->requests)
        cancel_engine(c->model);
    stdio_cancel_call(c);
    stdio_out_flag(&s->out, NULL);
}

ingle_status stdio_do_cancel(struct stdio_call *c) {
    const struct ig_json *request, *model, *call = ig_json_get(c->message.params, "call");
    struct stdio_model *m;
    struct ig_buf id = {.mem = &c->s->mem};
    IG_TRY(stdio_param(c, "request", IG_JSON_NUMBER, false, &request));
    IG_TRY(stdio_param(c, "model", IG_JSON_NUMBER, false, &model));
    if (!request + !model + !call != 2)
        return stdio_bad(c, NULL, "give one of request, call and model");
    if (call) ig_json_put(&id, call);
    stdio_take(c->s->lock);
    if (request) cancel_request(c->s, ig_json_i64(request, -1));
    if (call) cancel_call(c->s, ig_buf_view(&id));
    if (model && stdio_find_model(c, model, &m) == INGLE_OK) stdio_cancel_model(c->s, m);
    stdio_give(c->s->lock);
    ig_buf_free(&id);
    return INGLE_OK; /* what is not there any more needs no cancelling */
}

/* ---- unload ---- */

ingle_status stdio_do_unload(struct stdio_call *c) {
    struct stdio *s = c->s;
    const struct ig_json *number;
    struct stdio_model *m, **at = &s->models;
    IG_TRY(stdio_param(c, "model", IG_JSON_NUMBER, true, &number));
    stdio_take(s->lock);
    ingle_status st = stdio_find_model(c, number, &m);
    if (st != INGLE_OK) {
        stdio_give(s->lock);
        return st;
    }
    while (*at != m) at = &(*at)->next;
    *at = m->next;
    stdio_cancel_model(s, m);
    while (m->refs) { /* a call that had not reached the engine yet is caught by a later cancel */
        stdio_wait(s->lock, 0.02);
        cancel_engine(m);
    }
    stdio_give(s->lock);
    free_model(s, m);
    return INGLE_OK;
}

/* At the end, when no call and no request is left. */
void stdio_close_models(struct stdio *s) {
    while (s->models) {
        struct stdio_model *m = s->models;
        s->models = m->next;
        free_model(s, m);
    }
}

ingle_status stdio_do_list(struct stdio_call *c) {
    ig_buf_z(&c->result, "{\"models\":[");
    stdio_take(c->s->lock);
    for (const struct stdio_model *m = c->s->models; m; m = m->next) {
        ig_buf_f(&c->result, "{\"model\":%lld,\"path\":", (long long)m->id);
        ig_json_put_str(&c->result, ig_str_of(m->path));
        ig_buf_f(&c->result, ",\"requests\":%u,\"calls\":%u}%s", m->requests, m->refs,
                 m->next ? "," : "");
    }
    stdio_give(c->s->lock);
    ig_buf_z(&c->result, "]}");
    return INGLE_OK;
}

/* ---- submit ---- */

static void unlink_request(struct stdio_request *r) {
    struct stdio *s = r->s;
    stdio_take(s->lock);
    struct stdio_request **at = &s->requests;
    while (*at != r) at = &(*at)->next;
    *at = r->next;
    r->model->requests--;
    stdio_wake(s->lock);
    stdio_give(s->lock);
}

/* On the engine's thread. */
static int on_event(void *ud, const ingle_event *ev) {
    struct stdio_request *r = ud;
    struct stdio *s = r->s;
    struct ig_buf b = {.mem = &s->mem};
    stdio_out_pause(&s->out, &r->announced, &r->cancelled);
    stdio_put_event(&b, r->id, ev);
    bool last = ev->kind == INGLE_EVENT_DONE || ev->kind == INGLE_EVENT_ERROR;
    int cancelled = atomic_load(&r->cancelled);
    if (last) unlink_request(r); /* first: who has read the line may rely on it */
    stdio_out_line(&s->out, &b);
    ig_buf_free(&b);
    if (last) ig_free(&s->mem, r);
    return cancelled;
}

static ingle_status add_request(struct stdio_call *c, const struct ig_json *number,
                                struct stdio_request *r) {
    struct stdio *s = c->s;
    stdio_take(s->lock);
    ingle_status st = stdio_find_model(c, number, &r->model);
    if (st == INGLE_OK && r->model->saving)
        st = ig_fail(&c->err, INGLE_BUSY, "wait for save or restore to be answered",
                     "the conversation is being saved or restored");
    if (st == INGLE_OK) {
        r->id = ++s->last_request;
        r->next = s->requests;
        s->requests = r;
        r->model->requests++;
        r->model->refs++; /* until submit has returned */
    }
    stdio_give(s->lock);
    return st;
}

ingle_status stdio_do_submit(struct stdio_call *c) {
    struct stdio *s = c->s;
    const struct ig_json *number, *request;
    IG_TRY(stdio_param(c, "model", IG_JSON_NUMBER, true, &number));
    IG_TRY(stdio_param(c, "request", IG_JSON_OBJECT, true, &request));
    struct stdio_request *r = ig_calloc(&s->mem, 1, sizeof *r);
    if (!r) return ig_fail_memory(&c->err, sizeof *r);
    r->s = s;
    ingle_status st = add_request(c, number, r);
    if (st != INGLE_OK) {
        ig_free(&s->mem, r);
        return st;
    }
    struct stdio_model *m = r->model;
    uint64_t id = r->id, engine_id = 0;
    st = ingle_engine_submit(m->engine, request->text.p, request->text.n, on_event, r, &engine_id,
                             &c->err);
    if (st != INGLE_OK) unlink_request(r);
    stdio_take(s->lock);
    if (st == INGLE_OK) /* it cannot have ended: its events wait for our answer */
        m->last_engine_id = r->engine_id = engine_id;
    m->refs--;
    stdio_wake(s->lock);
    stdio_give(s->lock);
    if (st != INGLE_OK) {
        ig_free(&s->mem, r);
        return st;
    }
    c->submitted = r;
    ig_buf_f(&c->result, "{\"request\":%llu}", (unsigned long long)id);
    return INGLE_OK;
}

/* ---- embed ---- */

struct vectors {
    struct stdio_call *call;
    struct ig_buf *out, tokens, raw;
    size_t width, count;
    bool base64;
};

static int on_vector(void *ud, size_t index, const float *values, size_t width, int32_t tokens) {
    struct vectors *v = ud;
    (void)index;
    if (atomic_load(&v->call->cancelled)) return 1;
    ig_buf_f(&v->tokens, v->count ? ",%d" : "%d", tokens);
    if (v->base64) {
        ig_buf_add(&v->raw, (const char *)values, width * sizeof *values);
    } else {
        ig_buf_z(v->out, v->count ? ",[" : "[");
        for (size_t i = 0; i < width; i++) {
            if (i) ig_buf_ch(v->out, ',');
            ig_json_put_f64(v->out, values[i]);
        }
        ig_buf_ch(v->out, ']');
    }
    v->width = width;
    v->count++;
    return v->out->failed || v->raw.failed || v->tokens.failed;
}

static ingle_status read_encoding(struct stdio_call *c, bool *base64) {
    const char *encoding;
    IG_TRY(stdio_param_text(c, "encoding", false, &encoding));
    *base64 = encoding && strcmp(encoding, "base64") == 0;
    if (!encoding || *base64 || strcmp(encoding, "float") == 0) return INGLE_OK;
    return stdio_bad(c, NULL, "encoding must be \"float\" or \"base64\"");
}

/* The engine reads input, pooling, normalize and dimensions from the parameters themselves. */
ingle_status stdio_do_embed(struct stdio_call *c) {
    struct stdio *s = c->s;
    struct vectors v = {
        .call = c, .out = &c->result, .tokens = {.mem = &s->mem}, .raw = {.mem = &s->mem}};
    struct ig_str json = c->message.params->text;
    IG_TRY(read_encoding(c, &v.base64));
    ig_buf_z(v.out, v.base64 ? "{\"embeddings\":\"" : "{\"embeddings\":[");
    stdio_take(s->lock);
    c->model->embeds++;
    stdio_give(s->lock);
    ingle_status st = ingle_engine_embed(c->model->engine, json.p, json.n, on_vector, &v, &c->err);
    stdio_take(s->lock);
    c->model->embeds--;
    stdio_give(s->lock);
    if (v.base64) stdio_put_base64(v.out, v.raw.p, v.raw.n);
    ig_buf_f(v.out, "%s,\"count\":%zu,\"width\":%zu,\"tokens\":[", v.base64 ? "\"" : "]", v.count,
             v.width);
    ig_buf_str(v.out, ig_buf_view(&v.tokens));
    ig_buf_z(v.out, "]}");
    if (v.out->failed || v.raw.failed || v.tokens.failed) st = ig_fail_memory(&c->err, v.out->n);
    ig_buf_free(&v.tokens);
    ig_buf_free(&v.raw);
    return st;
}

/* ---- save, restore ---- */

static ingle_status with_file(struct stdio_call *c,
                              ingle_status (*fn)(ingle_engine *e, const char *path,
                                                 ingle_error *err)) {
    struct stdio *s = c->s;
    struct stdio_model *m = c->model;
    const char *path;
    IG_TRY(stdio_param_text(c, "path", true, &path));
    stdio_take(s->lock);
    bool busy = m->requests || m->embeds || m->saving;
    if (!busy) m->saving = true;
    uint64_t last = m->last_engine_id;
    stdio_give(s->lock);
    if (busy)
        return ig_fail(&c->err, INGLE_BUSY, "wait for it or cancel it first",
                       "the model is at work");
    /* A request's last event is sent a moment before the engine is done with it. */
    if (last) ingle_engine_wait(m->engine, last, NULL);
    ingle_status st = fn(m->engine, path, &c->err);
    stdio_take(s->lock);
    m->saving = false;
    stdio_give(s->lock);
    return st;
}

ingle_status stdio_do_save(struct stdio_call *c) {
    return with_file(c, ingle_engine_save);
}
ingle_status stdio_do_restore(struct stdio_call *c) {
    return with_file(c, ingle_engine_load);
}
