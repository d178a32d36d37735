/* Prompts. A rendered chat is encoded with special tokens on, but stretches that came from the
 * request and would turn into a control token are encoded apart with special tokens off: what a
 * user typed stays text. */
#include "engine/prompt.h"

#include <stdio.h>

/* ---- The clock a template sees ---- */

struct clock {
    struct ig_str now; /* ISO text, empty: the machine's clock */
};

static bool wall_clock(void *ud, struct ig_template_time *out) {
    const struct clock *c = ud;
    int weekday, yearday;
    *out = (struct ig_template_time){0};
    if (c->now.n) {
        char text[32];
        if (c->now.n >= sizeof text) return false;
        memcpy(text, c->now.p, c->now.n);
        text[c->now.n] = 0;
        return sscanf(text, "%d-%d-%dT%d:%d:%d", &out->year, &out->month, &out->day, &out->hour,
                      &out->minute, &out->second) == 6;
    }
    ig_os_local_time(ig_os_unix_time(), &out->year, &out->month, &out->day, &out->hour,
                     &out->minute, &out->second, &weekday, &yearday);
    return true;
}

static uint64_t clock_ns(void *ud) {
    (void)ud;
    return (uint64_t)(ig_os_seconds() * 1e9);
}

/* ---- Context ---- */

static void put_member(struct ig_buf *b, const char *key, const struct ig_json *v) {
    ig_buf_ch(b, b->n > 1 ? ',' : ' ');
    ig_json_put_str(b, ig_str_of(key));
    ig_buf_ch(b, ':');
    if (v)
        ig_json_put(b, v);
    else
        ig_buf_z(b, "null");
}

static void put_members(struct ig_buf *b, const struct ig_json *object) {
    for (const struct ig_json *v = ig_json_is(object, IG_JSON_OBJECT) ? object->child : NULL; v;
         v = v->next) {
        ig_buf_ch(b, ',');
        ig_json_put_str(b, v->key);
        ig_buf_ch(b, ':');
        ig_json_put(b, v);
    }
}

static void put_token(struct ig_buf *b, const char *key, const struct ig_json *given,
                      const struct ingle_model *m, enum ig_token_role role) {
    const struct ig_vocab *v = m ? m->vocab : NULL;
    if (given || !v || ig_vocab_special(v, role) < 0) {
        if (given) put_member(b, key, given);
        return;
    }
    ig_buf_f(b, ",\"%s\":", key);
    ig_json_put_str(b, ig_vocab_spelling(v, ig_vocab_special(v, role)));
}

/* The variables as transformers passes them: absent tools and documents are None, not undefined. */
static void put_context(struct ig_buf *b, const struct ingle_model *m, const struct ig_json *input,
                        bool generate) {
    const struct ig_json *flag = ig_json_get(input, "add_generation_prompt");
    ig_buf_ch(b, '{');
    put_member(b, "messages", ig_json_get(input, "messages"));
    put_member(b, "tools", ig_json_get(input, "tools"));
    put_member(b, "documents", ig_json_get(input, "documents"));
    ig_buf_f(b, ",\"add_generation_prompt\":%s", ig_json_bool(flag, generate) ? "true" : "false");
    put_token(b, "bos_token", ig_json_get(input, "bos_token"), m, IG_ROLE_BOS);
    put_token(b, "eos_token", ig_json_get(input, "eos_token"), m, IG_ROLE_EOS);
    put_members(b, ig_json_get(input, "kwargs"));
    put_members(b, ig_json_get(input, "chat_template_kwargs"));
    ig_buf_ch(b, '}');
}

static ingle_status render_with(struct ig_arena *arena, struct ig_str source,
                                const struct ig_json *input, struct ig_str context,
                                struct ig_buf *out, struct ig_segments *segments,
                                ingle_error *err) {
    const struct ig_json *tree;
    struct ig_template *t;
    struct clock clock = {ig_json_str(ig_json_get(input, "now"), "")};
    struct ig_template_env env = {.local_time = wall_clock, .clock_ns = clock_ns, .ud = &clock};
    IG_TRY(ig_json_parse(arena, context, NULL, &tree, err));
    IG_TRY(ig_template_compile(&t, arena->mem, source, err));
    ingle_status status = ig_template_render(t, tree, &env, out, segments, err);
    ig_template_free(t);
    if (status == INGLE_OK && out->failed) status = ig_fail_memory(err, out->n);
    return status;
}

ingle_status ig_prompt_render(const struct ingle_model *m, struct ig_mem *mem, struct ig_str source,
                              const struct ig_json *input, bool generate, struct ig_buf *out,
                              struct ig_segments *segments, ingle_error *err) {
    if (!source.p && m) source = m->template_text;
    if (!source.p)
        return ig_fail(err, INGLE_NOT_FOUND, "use raw completion, or give a template",
                       "%s has no chat template", m ? m->path : "the request");
    struct ig_arena arena = {.mem = mem};
    struct ig_buf context = {.mem = mem};
    put_context(&context, m, input, generate);
    ingle_status status = context.failed ? ig_fail_memory(err, context.n)
                                         : render_with(&arena, source, input, ig_buf_view(&context),
                                                       out, segments, err);
    ig_buf_free(&context);
    ig_arena_free(&arena);
    return status;
}

/* ---- Encoding ---- */

/* Would this text, read with special tokens on, contain a control token? */
static ingle_status has_control(const struct ingle_model *m, struct ig_mem *mem, struct ig_str text,
                                bool *yes, ingle_error *err) {
    struct ig_ids ids = {0};
    *yes = false;
    ingle_status status =
        ig_vocab_encode(m->vocab, mem, text, IG_ENCODE_PARSE_SPECIAL, 0, &ids, err);
    for (size_t i = 0; i < ids.n; i++) *yes |= ig_vocab_is_control(m->vocab, ids.p[i]);
    ig_ids_free(mem, &ids);
    return status;
}

/* An EOS that the vocabulary adds would end what is to be continued. */
static void drop_eos(const struct ingle_model *m, struct ig_ids *ids) {
    int32_t eos = ig_vocab_special(m->vocab, IG_ROLE_EOS);
    if (ids->n > 1 && ig_vocab_adds_eos(m->vocab) && ids->p[ids->n - 1] == eos) ids->n--;
}

/* The text up to the next dangerous input segment in one piece, then that segment on its own. */
static ingle_status encode_marked(const struct ingle_model *m, struct ig_mem *mem,
                                  struct ig_str text, const struct ig_segments *segments,
                                  unsigned flags, size_t max, struct ig_ids *out,
                                  ingle_error *err) {
    size_t from = 0;
    for (size_t i = 0; i < segments->n; i++) {
        const struct ig_segment *s = &segments->list[i];
        bool danger = false;
        if (!s->is_input || s->start < from) continue;
        IG_TRY(has_control(m, mem, (struct ig_str){text.p + s->start, s->len}, &danger, err));
        if (!danger) continue;
        IG_TRY(ig_vocab_encode(m->vocab, mem, (struct ig_str){text.p + from, s->start - from},
                               flags | IG_ENCODE_PARSE_SPECIAL, max, out, err));
        flags = 0;
        IG_TRY(ig_vocab_encode(m->vocab, mem, (struct ig_str){text.p + s->start, s->len}, 0, max,
                               out, err));
        from = s->start + s->len;
    }
    return ig_vocab_encode(m->vocab, mem, (struct ig_str){text.p + from, text.n - from},
                           flags | IG_ENCODE_PARSE_SPECIAL, max, out, err);
}

static ingle_status encode_text(const struct ingle_model *m, struct ig_mem *mem, struct ig_str text,
                                const struct ig_segments *segments, size_t max, struct ig_ids *out,
                                ingle_error *err) {
    int32_t bos = ig_vocab_special(m->vocab, IG_ROLE_BOS);
    /* A template that writes BOS itself must not get a second one. */
    bool has_bos = bos >= 0 && ig_str_starts(text, ig_vocab_spelling(m->vocab, bos));
    unsigned flags = !has_bos && ig_vocab_adds_bos(m->vocab) ? IG_ENCODE_ADD_SPECIAL : 0;
    IG_TRY(encode_marked(m, mem, text, segments, flags, max, out, err));
    if (flags) drop_eos(m, out);
    return INGLE_OK;
}

static ingle_status encode_chat(const struct ingle_model *m, struct ig_mem *mem,
                                const struct ig_json *request, size_t max, struct ig_prompt *p,
                                ingle_error *err) {
    struct ig_buf text = {.mem = mem};
    struct ig_segments segments = {.mem = mem};
    struct clock clock = {{NULL, 0}};
    struct ig_template_env env = {.local_time = wall_clock, .clock_ns = clock_ns, .ud = &clock};
    struct ig_chat_prompt shape = {false};
    ingle_status status =
        ig_chat_render(m->chat, mem, request, &env, &text, &segments, &shape, err);
    if (status == INGLE_OK && text.failed) status = ig_fail_memory(err, text.n);
    if (status == INGLE_OK)
        status = encode_text(m, mem, ig_buf_view(&text), &segments, max, &p->ids, err);
    p->chat = true;
    p->thinking = shape.thinking;
    ig_segments_free(&segments);
    ig_buf_free(&text);
    return status;
}

ingle_status ig_prompt_copy_ids(struct ig_mem *mem, const struct ig_json *list, const char *hint,
                                struct ig_ids *out, ingle_error *err) {
    out->p = ig_calloc(mem, list->count ? list->count : 1, sizeof *out->p);
    if (!out->p) return ig_fail_memory(err, list->count * sizeof *out->p);
    out->cap = list->count;
    for (const struct ig_json *v = list->child; v; v = v->next) {
        if (!ig_json_is(v, IG_JSON_NUMBER) || !v->integer)
            return ig_fail(err, INGLE_BAD_REQUEST, hint, "element %zu is not an integer", out->n);
        int64_t id = ig_json_i64(v, -1);
        out->p[out->n++] = id < 0 || id > INT32_MAX ? -1 : (int32_t)id;
    }
    return INGLE_OK;
}

ingle_status ig_prompt_encode(const struct ingle_model *m, struct ig_mem *mem,
                              const struct ig_json *request, size_t max, struct ig_prompt *p,
                              ingle_error *err) {
    const struct ig_json *messages = ig_json_get(request, "messages");
    const struct ig_json *prompt = ig_json_get(request, "prompt");
    *p = (struct ig_prompt){0};
    if (ig_json_is(prompt, IG_JSON_ARRAY)) {
        ingle_status status = ig_prompt_copy_ids(
            mem, prompt, "prompt is a text or a list of token ids", &p->ids, err);
        return status == INGLE_BAD_REQUEST ? ig_fail_in(err, "prompt") : status;
    }
    if (!m->vocab)
        return ig_fail(err, INGLE_NOT_FOUND, "give the prompt as a list of token ids",
                       "%s has no vocabulary", m->path);
    if (ig_json_is(messages, IG_JSON_ARRAY)) return encode_chat(m, mem, request, max, p, err);
    if (!ig_json_is(prompt, IG_JSON_STRING))
        return ig_fail(err, INGLE_BAD_REQUEST, "give \"messages\": [...] or \"prompt\": \"...\"",
                       "the request has neither messages nor a prompt");
    unsigned flags = IG_ENCODE_ADD_SPECIAL | IG_ENCODE_PARSE_SPECIAL;
    IG_TRY(ig_vocab_encode(m->vocab, mem, prompt->text, flags, max, &p->ids, err));
    drop_eos(m, &p->ids);
    return INGLE_OK;
}

/* ---- Public ---- */

static ingle_status render_public(const ingle_model *m, struct ig_mem *mem, struct ig_str source,
                                  struct ig_str json, ingle_text_fn fn, void *ud,
                                  ingle_error *err) {
    struct ig_arena arena = {.mem = mem};
    struct ig_buf text = {.mem = mem};
    const struct ig_json *input;
    ingle_status status = ig_json_parse(&arena, json, NULL, &input, err);
    if (status == INGLE_BAD_FILE && err) err->code = status = INGLE_BAD_REQUEST;
    if (status == INGLE_OK && !ig_json_is(input, IG_JSON_OBJECT))
        status = ig_fail(err, INGLE_BAD_REQUEST, "give an object with messages",
                         "the chat is not a JSON object");
    if (status == INGLE_OK)
        status = ig_prompt_render(m, mem, source, input, false, &text, NULL, err);
    if (status == INGLE_OK && text.n && fn(ud, text.p, text.n))
        status = ig_fail(err, INGLE_CANCELLED, NULL, "stopped by the caller");
    ig_buf_free(&text);
    ig_arena_free(&arena);
    return status;
}

ingle_status ingle_template_render(const ingle_model *m, const char *source, size_t source_len,
                                   const char *json, size_t json_len, ingle_text_fn fn, void *ud,
                                   ingle_error *err) {
    struct ig_mem mem = {0};
    if (m) mem = (struct ig_mem){.hook = m->mem.hook, .ud = m->mem.ud};
    struct ig_str text = {source, source ? source_len : 0};
    return render_public(m, &mem, text, (struct ig_str){json, json_len}, fn, ud, err);
}
