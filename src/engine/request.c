/* The engine: requests in, events out, one after another on a thread of its own. A request is
 * checked when it is submitted and run when its turn comes; its events are delivered from the
 * engine's thread. The timeline is kept between requests, so a conversation that grows computes
 * only what is new. */
#include "engine/embed.h"
#include "engine/prompt.h"
#include "engine/session.h"
#include "engine/speculate.h"

enum {
    OUTCOMES = 64 /* finished requests whose outcome can still be asked */,
    WORKER_STACK = 2 << 20
};

struct request {
    struct request *next;
    uint64_t id;
    struct ig_arena arena; /* text and tree */
    const struct ig_json *json;
    ingle_options *options;
    ingle_event_fn fn;
    ingle_embedding_fn embed; /* instead of fn: a request for embeddings */
    void *ud;
    bool cancelled; /* by the host, guarded by the engine's mutex */
};

struct outcome {
    uint64_t id;
    ingle_error error;
};

struct ingle_engine {
    struct ig_mem mem;
    const struct ingle_model *model;
    ingle_options *options;
    struct ingle_session *session;
    struct ingle_session *embedder; /* opened at the first request for embeddings */
    struct ig_draft *draft;         /* NULL without the option draft-model */
    struct ig_draft *heads;         /* the prediction layer of the model's own file, or NULL */
    struct ig_spec *spec;           /* of session, opened at the first request that allows it */
    struct ig_thread thread;
    struct ig_mutex mutex;
    struct ig_cond changed;
    struct request *queue, *running;
    uint64_t last_id;
    bool quit, started;
    struct outcome outcomes[OUTCOMES];
};

/* What a running request has at hand. */
struct run {
    struct ingle_engine *e;
    struct request *r;
    struct ingle_session *s;
    struct ig_sampler *sampler;
    struct ig_spec *spec; /* NULL: plain steps */
    struct ig_detok detok;
    struct ig_buf text; /* decoded but not delivered */
    struct ig_reason reason;
    bool split; /* a chat: reasoning is told apart */
    const struct ig_str *stops;
    size_t n_stops;
    ingle_event event;
    double started;
};

/* ---- Events ---- */

static ingle_status deliver(struct run *run, ingle_event_kind kind, const char *text, size_t len,
                            ingle_error *err) {
    run->event.kind = kind;
    run->event.text = text ? text : "";
    run->event.len = len;
    if (run->r->fn && run->r->fn(run->r->ud, &run->event))
        return ig_fail(err, INGLE_CANCELLED, NULL, "cancelled by the receiver");
    return INGLE_OK;
}

static int on_prompt(void *ud, size_t done, size_t n) {
    struct run *run = ud;
    (void)n;
    run->event.prompt_done = (int32_t)done;
    run->event.prompt_seconds = ig_os_seconds() - run->started;
    return deliver(run, INGLE_EVENT_PROGRESS, NULL, 0, NULL) != INGLE_OK;
}

/* ---- Stop texts ---- */

/* Where the earliest stop text begins, or the text's length. */
static size_t find_stop(const struct run *run, bool *found) {
    struct ig_str text = ig_buf_view(&run->text);
    size_t best = text.n, at;
    *found = false;
    for (size_t i = 0; i < run->n_stops; i++)
        if (run->stops[i].n && ig_str_find(text, run->stops[i], &at) && (!*found || at < best))
            best = at, *found = true;
    return best;
}

/* Bytes at the end that could be the beginning of a stop text: they wait for what follows. */
static size_t held_back(const struct run *run) {
    struct ig_str text = ig_buf_view(&run->text);
    size_t longest = 0;
    for (size_t i = 0; i < run->n_stops; i++)
        for (size_t n = run->stops[i].n < text.n + 1 ? run->stops[i].n : text.n + 1;
             n-- > longest + 1;)
            if (memcmp(text.p + text.n - n, run->stops[i].p, n) == 0) {
                longest = n;
                break;
            }
    return longest;
}

static int on_part(void *ud, bool reasoning, const char *p, size_t n) {
    return deliver(ud, reasoning ? INGLE_EVENT_REASONING : INGLE_EVENT_TEXT, p, n, NULL) !=
           INGLE_OK;
}

static ingle_status deliver_text(struct run *run, const char *p, size_t n, ingle_error *err) {
    if (!run->split) return deliver(run, INGLE_EVENT_TEXT, p, n, err);
    if (ig_reason_feed(&run->reason, p, n, on_part, run))
        return ig_fail(err, INGLE_CANCELLED, NULL, "cancelled by the receiver");
    return INGLE_OK;
}

/* Delivers what is certain. `last`: nothing follows. *stopped: a stop text was met. */
static ingle_status flush_text(struct run *run, bool last, bool *stopped, ingle_error *err) {
    if (run->text.failed) return ig_fail_memory(err, run->text.n);
    size_t n = find_stop(run, stopped);
    if (!*stopped && !last) n -= held_back(run);
    if (!n) return INGLE_OK;
    IG_TRY(deliver_text(run, run->text.p, n, err));
    memmove(run->text.p, run->text.p + n, run->text.n - n);
    run->text.n -= n;
    run->text.p[run->text.n] = 0;
    return INGLE_OK;
}

/* ---- Running ---- */

static ingle_status begin_guessing(struct run *run, ingle_error *err) {
    struct ingle_engine *e = run->e;
    int mode = ig_options_choice(run->r->options, IG_OPT_SPECULATE);
    if (mode == IG_SPEC_OFF) return INGLE_OK;
    if (mode == IG_SPEC_DRAFT && !e->draft)
        return ig_fail(err, INGLE_BAD_REQUEST, "open the engine with the option draft-model",
                       "speculate is draft, but there is no draft model");
    if (mode == IG_SPEC_MTP && !e->heads)
        return ig_fail(err, INGLE_BAD_REQUEST,
                       "open the engine with speculate mtp and a model that has such a layer",
                       "speculate is mtp, but there is no prediction layer");
    if (!e->spec) IG_TRY(ig_spec_open(&e->spec, e->session, NULL, err));
    run->spec = e->spec;
    run->spec->draft = mode == IG_SPEC_MTP || !e->draft ? e->heads : e->draft;
    ig_spec_begin(run->spec, (enum ig_spec_mode)mode);
    return INGLE_OK;
}

/* `left`: tokens the request may still have; -1: any number. */
static ingle_status step(struct run *run, int32_t id, int64_t left, ingle_error *err) {
    struct ig_spec *spec = run->spec;
    if (!spec) return ig_session_step(run->s, id, err);
    uint32_t room = left < 0 || left > UINT32_MAX ? UINT32_MAX : (uint32_t)left;
    IG_TRY(ig_spec_step(spec, id, room, err));
    run->event.guessed_tokens = (int32_t)spec->guessed;
    run->event.accepted_tokens = (int32_t)spec->accepted;
    return INGLE_OK;
}

static ingle_status generate(struct run *run, ingle_error *err) {
    struct ingle_session *s = run->s;
    int64_t max = ig_options_int(run->r->options, IG_OPT_MAX_TOKENS);
    double start = ig_os_seconds();
    bool stopped = false;
    run->event.finish = "length";
    while (max < 0 || run->event.output_tokens < max) {
        int32_t id;
        IG_TRY(ig_sampler_pick(run->sampler, s->logits, &id, err));
        if (run->e->model->vocab && ig_vocab_is_end(run->e->model->vocab, id)) {
            run->event.finish = "stop";
            break;
        }
        ig_sampler_accept(run->sampler, id);
        run->event.output_tokens++;
        run->event.output_seconds = ig_os_seconds() - start;
        if (run->e->model->vocab) ig_detok_add(&run->detok, id, &run->text);
        IG_TRY(flush_text(run, false, &stopped, err));
        if (stopped) {
            run->event.finish = "stop";
            return INGLE_OK;
        }
        if (s->n >= s->context || run->event.output_tokens == max) break;
        IG_TRY(step(run, id, max < 0 ? -1 : max - run->event.output_tokens, err));
        run->event.output_seconds = ig_os_seconds() - start;
    }
    if (run->e->model->vocab) ig_detok_end(&run->detok, &run->text);
    return flush_text(run, true, &stopped, err);
}

static ingle_status run_prompt(struct run *run, const struct ig_ids *ids, ingle_error *err) {
    struct ingle_session *s = run->s;
    if (!ids->n) return ig_fail(err, INGLE_BAD_REQUEST, "give some text", "the prompt is empty");
    if (ids->n >= s->context)
        return ig_fail(err, INGLE_LIMIT, "shorten it or raise the context size (-c)",
                       "the prompt has %zu tokens, the context holds %u", ids->n, s->context);
    run->event.prompt_tokens = (int32_t)ids->n;
    uint32_t same = ig_session_common(s, ids->p, ids->n);
    run->event.cached_tokens = (int32_t)(same < ids->n ? same : ids->n - 1);
    IG_TRY(ig_session_sync(s, ids->p, ids->n, on_prompt, run, err));
    run->event.prompt_done = run->event.prompt_tokens;
    run->event.prompt_seconds = ig_os_seconds() - run->started;
    for (size_t i = 0; i < ids->n; i++) ig_sampler_accept(run->sampler, ids->p[i]);
    return INGLE_OK;
}

static ingle_status run_all(struct run *run, struct ig_prompt *prompt, ingle_error *err) {
    struct ingle_engine *e = run->e;
    run->stops = ig_options_texts(run->r->options, IG_OPT_STOP, &run->n_stops);
    IG_TRY(ig_prompt_encode(e->model, &e->mem, run->r->json, (size_t)run->s->context, prompt, err));
    run->split = prompt->chat;
    ig_reason_init(&run->reason, prompt->thinking, NULL, NULL);
    IG_TRY(ig_session_sampler(run->s, run->r->options, &run->sampler, err));
    IG_TRY(run_prompt(run, &prompt->ids, err));
    if (e->model->vocab) ig_detok_begin(&run->detok, e->model->vocab, IG_DECODE_MIDDLE);
    IG_TRY(begin_guessing(run, err));
    IG_TRY(generate(run, err));
    if (run->split && ig_reason_end(&run->reason, on_part, run))
        return ig_fail(err, INGLE_CANCELLED, NULL, "cancelled by the receiver");
    return INGLE_OK;
}

static void run_request(struct ingle_engine *e, struct request *r, ingle_error *error) {
    struct ig_prompt prompt = {0};
    struct run run = {
        .e = e, .r = r, .s = e->session, .text = {.mem = &e->mem}, .started = ig_os_seconds()};
    run.event = (ingle_event){.size = sizeof run.event, .request = r->id, .finish = ""};
    ingle_status status = run_all(&run, &prompt, error);
    if (status == INGLE_OK || status == INGLE_CANCELLED) {
        if (status == INGLE_CANCELLED) run.event.finish = "cancelled";
        deliver(&run, INGLE_EVENT_DONE, NULL, 0, NULL);
    } else {
        run.event.error = error;
        deliver(&run, INGLE_EVENT_ERROR, NULL, 0, NULL);
    }
    ig_ids_free(&e->mem, &prompt.ids);
    ig_buf_free(&run.text);
    ig_sampler_close(run.sampler);
}

static void free_request(struct ingle_engine *e, struct request *r) {
    ingle_options_free(r->options);
    ig_arena_free(&r->arena);
    ig_free(&e->mem, r);
}

/* Ends a request that never ran. */
static void drop_request(struct request *r, ingle_error *error) {
    ingle_event event = {.size = sizeof event,
                         .kind = INGLE_EVENT_DONE,
                         .request = r->id,
                         .text = "",
                         .finish = "cancelled"};
    ig_fail(error, INGLE_CANCELLED, NULL, "cancelled");
    if (r->fn) r->fn(r->ud, &event);
}

/* Embeddings have a timeline of their own, so that the conversation stays. */
static void run_embed(struct ingle_engine *e, struct request *r, ingle_error *error) {
    struct ingle_session *s = e->embedder;
    if (!s && ingle_session_open(&s, e->model, e->options, error) != INGLE_OK) return;
    ig_os_lock(&e->mutex);
    e->embedder = s;
    atomic_store(&s->cancel, r->cancelled || e->quit);
    ig_os_unlock(&e->mutex);
    ig_embed_run(s, &e->mem, r->json, r->embed, r->ud, error);
}

/* Raises or lowers the flags that the running request's passes look at. */
static void set_cancel(struct ingle_engine *e, bool on) {
    atomic_store(&e->session->cancel, on);
    if (e->draft) atomic_store(&e->draft->s->cancel, on);
    if (on && e->embedder) atomic_store(&e->embedder->cancel, on);
}

static struct request *next_request(struct ingle_engine *e, bool *run) {
    ig_os_lock(&e->mutex);
    while (!e->queue && !e->quit) ig_os_wait(&e->changed, &e->mutex);
    struct request *r = e->queue;
    if (r) {
        e->queue = r->next;
        e->running = r;
        *run = !r->cancelled && !e->quit;
        set_cancel(e, false);
    }
    ig_os_unlock(&e->mutex);
    return r;
}

static void work(void *ud) {
    struct ingle_engine *e = ud;
    struct request *r;
    bool run;
    if (ig_options_bool(e->options, IG_OPT_BACKGROUND)) ig_os_thread_background();
    while ((r = next_request(e, &run))) {
        ingle_error error = {INGLE_OK, "", ""};
        if (run && r->embed)
            run_embed(e, r, &error);
        else if (run)
            run_request(e, r, &error);
        else
            drop_request(r, &error);
        ig_os_lock(&e->mutex);
        e->outcomes[r->id % OUTCOMES] = (struct outcome){r->id, error};
        e->running = NULL;
        ig_os_wake_all(&e->changed);
        ig_os_unlock(&e->mutex);
        free_request(e, r);
    }
}

/* ---- Public ---- */

static ingle_status open_drafts(struct ingle_engine *e, ingle_error *err) {
    const char *path = ingle_options_get(e->options, "draft-model");
    int mode = ig_options_choice(e->options, IG_OPT_SPECULATE);
    if (*path) IG_TRY(ig_draft_open(&e->draft, e->session, path, err));
    bool wanted = mode == IG_SPEC_MTP || (mode == IG_SPEC_AUTO && !e->draft);
    return wanted && e->model->arch.predict ? ig_draft_open_heads(&e->heads, e->session, err)
                                            : INGLE_OK;
}

static ingle_status open_parts(struct ingle_engine *e, const ingle_options *options,
                               ingle_error *err) {
    IG_TRY(ig_options_copy(&e->options, options, err));
    IG_TRY(ingle_session_open(&e->session, e->model, e->options, err));
    IG_TRY(ig_model_recommend(e->model, &e->mem, e->options, err));
    IG_TRY(open_drafts(e, err));
    IG_TRY(ig_os_thread_start(&e->thread, work, e, WORKER_STACK, err));
    e->started = true;
    return INGLE_OK;
}

ingle_status ingle_engine_open(ingle_engine **out, const ingle_model *m,
                               const ingle_options *options, ingle_error *err) {
    const struct ig_options_hooks *hooks = ig_options_hooks(options);
    if (!out || !m)
        return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_engine_open: out or model is NULL");
    *out = NULL;
    struct ig_mem mem = {.hook = hooks->alloc, .ud = hooks->alloc_ud};
    struct ingle_engine *e = ig_calloc(&mem, 1, sizeof *e);
    if (!e) return ig_fail_memory(err, sizeof *e);
    e->mem = mem;
    e->model = m;
    ig_os_mutex_init(&e->mutex);
    ig_os_cond_init(&e->changed);
    ingle_status status = open_parts(e, options, err);
    if (status != INGLE_OK)
        ingle_engine_close(e);
    else
        *out = e;
    return status;
}

void ingle_engine_close(ingle_engine *e) {
    if (!e) return;
    if (e->started) {
        ig_os_lock(&e->mutex);
        e->quit = true;
        set_cancel(e, true);
        ig_os_wake_all(&e->changed);
        ig_os_unlock(&e->mutex);
        ig_os_thread_join(&e->thread);
    }
    ig_spec_close(e->spec);
    ig_draft_close(e->draft);
    ig_draft_close(e->heads);
    ingle_session_close(e->session);
    ingle_session_close(e->embedder);
    ingle_options_free(e->options);
    ig_os_cond_free(&e->changed);
    ig_os_mutex_free(&e->mutex);
    struct ig_mem mem = e->mem;
    ig_free(&mem, e);
}

static ingle_status read_request(struct ingle_engine *e, struct request *r, struct ig_str json,
                                 ingle_error *err) {
    char *text = ig_arena_copy(&r->arena, json.p, json.n);
    if (!text) return ig_fail_memory(err, json.n);
    ingle_status status =
        ig_json_parse(&r->arena, (struct ig_str){text, json.n}, NULL, &r->json, err);
    if (status == INGLE_NO_MEMORY) return status;
    if (status != INGLE_OK) {
        if (err) err->code = INGLE_BAD_REQUEST;
        return INGLE_BAD_REQUEST;
    }
    if (!ig_json_is(r->json, IG_JSON_OBJECT))
        return ig_fail(err, INGLE_BAD_REQUEST,
                       r->embed ? "give {\"input\": [...]}"
                                : "give {\"messages\": [...]} or {\"prompt\": \"...\"}",
                       "the request is not a JSON object");
    IG_TRY(ig_options_copy(&r->options, e->options, err));
    return ig_options_apply_json(r->options, r->json, err);
}

static ingle_status submit(ingle_engine *e, const char *json, size_t len, ingle_event_fn fn,
                           ingle_embedding_fn embed, void *ud, uint64_t *id, ingle_error *err) {
    struct request *r = ig_calloc(&e->mem, 1, sizeof *r);
    if (!r) return ig_fail_memory(err, sizeof *r);
    r->arena.mem = &e->mem;
    r->fn = fn;
    r->embed = embed;
    r->ud = ud;
    ingle_status status = read_request(e, r, (struct ig_str){json, len}, err);
    if (status != INGLE_OK) {
        free_request(e, r);
        return status;
    }
    ig_os_lock(&e->mutex);
    struct request **end = &e->queue;
    while (*end) end = &(*end)->next;
    *end = r;
    r->id = ++e->last_id;
    if (id) *id = r->id;
    ig_os_wake_all(&e->changed);
    ig_os_unlock(&e->mutex);
    return INGLE_OK;
}

ingle_status ingle_engine_submit(ingle_engine *e, const char *json, size_t len, ingle_event_fn fn,
                                 void *ud, uint64_t *id, ingle_error *err) {
    return submit(e, json, len, fn, NULL, ud, id, err);
}

static bool is_pending(const struct ingle_engine *e, uint64_t id) {
    if (e->running && e->running->id == id) return true;
    for (const struct request *r = e->queue; r; r = r->next)
        if (r->id == id) return true;
    return false;
}

ingle_status ingle_engine_wait(ingle_engine *e, uint64_t id, ingle_error *err) {
    ingle_error error = {INGLE_OK, "", ""};
    ig_os_lock(&e->mutex);
    while (is_pending(e, id)) ig_os_wait(&e->changed, &e->mutex);
    bool known = id && e->outcomes[id % OUTCOMES].id == id;
    if (known) error = e->outcomes[id % OUTCOMES].error;
    ig_os_unlock(&e->mutex);
    if (!known)
        return ig_fail(err, INGLE_NOT_FOUND, "ask soon after the request has ended",
                       "request %llu is not known", (unsigned long long)id);
    if (err) *err = error;
    return error.code;
}

ingle_status ingle_engine_run(ingle_engine *e, const char *json, size_t len, ingle_event_fn fn,
                              void *ud, ingle_error *err) {
    uint64_t id;
    IG_TRY(ingle_engine_submit(e, json, len, fn, ud, &id, err));
    return ingle_engine_wait(e, id, err);
}

ingle_status ingle_engine_embed(ingle_engine *e, const char *json, size_t len,
                                ingle_embedding_fn fn, void *ud, ingle_error *err) {
    uint64_t id;
    if (!fn) return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_engine_embed: fn is NULL");
    IG_TRY(submit(e, json, len, NULL, fn, ud, &id, err));
    return ingle_engine_wait(e, id, err);
}

void ingle_engine_cancel(ingle_engine *e, uint64_t id) {
    ig_os_lock(&e->mutex);
    for (struct request *r = e->queue; r; r = r->next)
        if (!id || r->id == id) r->cancelled = true;
    if (e->running && (!id || e->running->id == id)) {
        e->running->cancelled = true; /* an embedder that is only now opened sees this */
        set_cancel(e, true);
    }
    ig_os_unlock(&e->mutex);
}

/* The timeline may only be touched while no request runs. */
static ingle_status when_idle(ingle_engine *e, const char *path,
                              ingle_status (*fn)(ingle_session *, const char *, ingle_error *),
                              ingle_error *err) {
    ig_os_lock(&e->mutex);
    bool busy = e->running || e->queue;
    ingle_status status =
        busy ? ig_fail(err, INGLE_BUSY, "wait for it or cancel it first", "a request is running")
             : fn(e->session, path, err);
    ig_os_unlock(&e->mutex);
    return status;
}

ingle_status ingle_engine_save(ingle_engine *e, const char *path, ingle_error *err) {
    return when_idle(e, path, ingle_session_save, err);
}
ingle_status ingle_engine_load(ingle_engine *e, const char *path, ingle_error *err) {
    return when_idle(e, path, ingle_session_load, err);
}
