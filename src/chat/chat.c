/* Requests to prompts: probing a template once, adapting each request to it, ChatML where there is
 * none.
 *
 * A probe renders a small chat whose texts are marks and looks which marks come out. What a request
 * needs is changed on the JSON tree, in an arena; texts are never copied unless they are joined.
 * The subtle thing: probing must not depend on the clock or on limits, so it has an environment of
 * its own. */
#include "chat/chat.h"

#include <stdio.h>

struct ig_chat {
    struct ig_mem *mem;
    struct ig_template *t;
    struct ig_chat_caps caps;
    char *bos, *eos; /* NULL: none */
    size_t n_bos, n_eos;
    ingle_error broken;
};

static const char chatml[] =
    "{%- for message in messages -%}\n"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' -}}\n"
    "{%- endfor -%}\n"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}\n";

/* ---- Probing ---- */

static bool fixed_time(void *ud, struct ig_template_time *out) {
    (void)ud;
    *out = (struct ig_template_time){.year = 2025, .month = 6, .day = 15, .hour = 12};
    return true;
}

static struct ig_template_env env_of(const struct ig_chat *c, const struct ig_template_env *from) {
    struct ig_template_env e = from ? *from : (struct ig_template_env){0};
    if (!e.bos.p && c->bos) e.bos = (struct ig_str){c->bos, c->n_bos};
    if (!e.eos.p && c->eos) e.eos = (struct ig_str){c->eos, c->n_eos};
    return e;
}

/* 0: refused, else the marks found, one bit each; -1: no memory */
static int probe(const struct ig_chat *c, const char *json, const char *const *marks) {
    /* a small chat: a template that needs more than this for it is hostile, and loading must not
     * wait */
    static const struct ig_template_env limits = {
        .local_time = fixed_time, .max_steps = 100000, .max_output = 1 << 20, .max_heap = 8 << 20};
    struct ig_arena a = {.mem = c->mem};
    struct ig_buf out = {.mem = c->mem};
    const struct ig_json *j;
    struct ig_template_env env = env_of(c, &limits);
    ingle_status s = ig_json_parse(&a, ig_str_of(json), NULL, &j, NULL);
    if (!s) s = ig_template_render(c->t, j, &env, &out, NULL, NULL);
    int found = s == INGLE_NO_MEMORY ? -1 : 0;
    for (int i = 0; !s && marks[i]; i++)
        found |= ig_str_find(ig_buf_view(&out), ig_str_of(marks[i]), NULL) << i;
    ig_buf_free(&out);
    ig_arena_free(&a);
    return found;
}

#define TAIL             "\"tools\":null,\"documents\":null,\"add_generation_prompt\":true}"
#define TURN(role, text) "{\"role\":\"" role "\",\"content\":\"" text "\"}"
#define CALL(args)                                                                                 \
    "{\"messages\":[" TURN(                                                                        \
        "user",                                                                                    \
        "qUser") ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":"              \
                 "\"abcdefgh1\","                                                                  \
                 "\"type\":\"function\",\"function\":{\"name\":\"qName\",\"arguments\":" args      \
                 "}}]},"                                                                           \
                 "{\"role\":\"tool\",\"tool_call_id\":\"abcdefgh1\",\"name\":\"qName\","           \
                 "\"content\":\"qTool\"}]," TAIL

static ingle_status probe_all(struct ig_chat *c, ingle_error *err) {
    static const char *const one[] = {"qUser", NULL}, *const system[] = {"qSystem", "qUser", NULL};
    static const char *const two[] = {"qUser", "qOther", NULL};
    static const char *const call[] = {"qName", "qValue", "{'qKey'", NULL};
    int text = probe(c, "{\"messages\":[" TURN("user", "qUser") "]," TAIL, one);
    int parts = text == 1 ? 0
                          : probe(c,
                                  "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
                                  "\"text\",\"text\":\"qUser\"}]}]," TAIL,
                                  one);
    int with_system = probe(
        c, "{\"messages\":[" TURN("system", "qSystem") "," TURN("user", "qUser") "]," TAIL, system);
    int doubled =
        probe(c, "{\"messages\":[" TURN("user", "qUser") "," TURN("user", "qOther") "]," TAIL, two);
    int object = probe(c, CALL("{\"qKey\":\"qValue\"}"), call);
    int string = probe(c, CALL("\"{\\\"qKey\\\":\\\"qValue\\\"}\""), call);
    if (text < 0 || parts < 0 || with_system < 0 || doubled < 0 || object < 0 || string < 0)
        return ig_fail_memory(err, 0);
    c->caps.parts = parts == 1;
    c->caps.alternate = text == 1 && doubled != 3;
    c->caps.system = with_system == 3 || (text != 1 && parts != 1);
    if (c->caps.parts) /* the plain probes say nothing about such a template */
        c->caps.system =
            c->caps.system ||
            probe(c,
                  "{\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":"
                  "\"qSystem\"}]},"
                  "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"qUser\"}]}]," TAIL,
                  system) == 3;
    c->caps.string_args = object != 3 && string == 3;
    c->caps.tools = ig_template_uses(c->t, "tools");
    c->caps.developer = ig_str_find(ig_template_source(c->t), IG_STR("developer"), NULL);
    return INGLE_OK;
}

static ingle_status keep(struct ig_chat *c, struct ig_str s, char **out, size_t *n,
                         ingle_error *err) {
    if (!s.p) return INGLE_OK;
    *out = ig_alloc(c->mem, s.n + 1);
    if (!*out) return ig_fail_memory(err, s.n);
    if (s.n) memcpy(*out, s.p, s.n);
    *n = s.n;
    return INGLE_OK;
}

static ingle_status open_in(struct ig_chat *c, const struct ig_chat_setup *setup,
                            ingle_error *err) {
    struct ig_str source = setup->source;
    IG_TRY(keep(c, setup->bos, &c->bos, &c->n_bos, err));
    IG_TRY(keep(c, setup->eos, &c->eos, &c->n_eos, err));
    if (!source.n) {
        source = ig_str_of(chatml);
        c->caps.builtin = true;
        if (setup->log)
            ig_log(setup->log, INGLE_LOG_WARN, "the model has no chat template: using ChatML");
    }
    ingle_status s = ig_template_compile(&c->t, c->mem, source, &c->broken);
    if (s == INGLE_NO_MEMORY) return ig_fail_memory(err, source.n);
    if (s) {
        c->caps.broken = true;
        if (setup->log)
            ig_log(setup->log, INGLE_LOG_WARN, "the chat template does not compile: %s",
                   c->broken.message);
        return INGLE_OK;
    }
    IG_TRY(probe_all(c, err));
    if (setup->log && !c->caps.system)
        ig_log(setup->log, INGLE_LOG_INFO,
               "the chat template has no system role: system messages go into the first user turn");
    return INGLE_OK;
}

ingle_status ig_chat_open(struct ig_chat **out, struct ig_mem *mem,
                          const struct ig_chat_setup *setup, ingle_error *err) {
    *out = NULL;
    struct ig_chat *c = ig_calloc(mem, 1, sizeof *c);
    if (!c) return ig_fail_memory(err, sizeof *c);
    c->mem = mem;
    ingle_status s = open_in(c, setup, err);
    if (s)
        ig_chat_close(c);
    else
        *out = c;
    return s;
}

void ig_chat_close(struct ig_chat *c) {
    if (!c) return;
    ig_template_free(c->t);
    ig_free(c->mem, c->bos);
    ig_free(c->mem, c->eos);
    ig_free(c->mem, c);
}

const struct ig_chat_caps *ig_chat_caps(const struct ig_chat *c) {
    return &c->caps;
}

/* ---- Building JSON in an arena ---- */

struct maker {
    const struct ig_chat *c;
    struct ig_arena *a;
    ingle_error *err;
    ingle_status code; /* the first failure; everything after it does nothing */
};

static struct ig_json *make(struct maker *m, uint8_t kind) {
    struct ig_json *j = m->code ? NULL : ig_arena_calloc(m->a, 1, sizeof *j);
    if (!j) {
        if (!m->code) m->code = ig_fail_memory(m->err, sizeof *j);
        return NULL;
    }
    j->kind = kind;
    return j;
}

static struct ig_json *make_str(struct maker *m, struct ig_str s) {
    struct ig_json *j = make(m, IG_JSON_STRING);
    if (j) j->text = s;
    return j;
}

/* Links `j` (a fresh node) under `key` behind all that `in` has. */
static void add(struct ig_json *in, struct ig_json **last, struct ig_str key, struct ig_json *j) {
    if (!in || !j) return;
    j->key = key;
    j->next = NULL;
    if (*last)
        (*last)->next = j;
    else
        in->child = j;
    *last = j;
    in->count++;
}

static struct ig_json *copy_node(struct maker *m, const struct ig_json *from) {
    struct ig_json *j = make(m, IG_JSON_NULL);
    if (j) *j = *from;
    if (j) j->next = NULL;
    return j;
}

/* ---- Adapting messages ---- */

static struct ig_str joined(struct maker *m, struct ig_str a, const char *between,
                            struct ig_str b) {
    size_t gap = a.n && b.n ? strlen(between) : 0, n;
    if (!ig_add(a.n, b.n, &n) || !ig_add(n, gap, &n)) n = SIZE_MAX;
    char *p = m->code ? NULL : ig_arena_alloc(m->a, n);
    if (!p) {
        if (!m->code) m->code = ig_fail_memory(m->err, n);
        return (struct ig_str){"", 0};
    }
    if (a.n) memcpy(p, a.p, a.n);
    memcpy(p + a.n, between, gap);
    if (b.n) memcpy(p + a.n + gap, b.p, b.n);
    return (struct ig_str){p, n};
}

static bool is_text_part(const struct ig_json *part) {
    struct ig_str type = ig_json_str(ig_json_get(part, "type"), "");
    return ig_json_is(part, IG_JSON_STRING) || ig_str_is(type, "text") ||
           ig_str_is(type, "input_text") || ig_str_is(type, "refusal");
}

static struct ig_str part_text(const struct ig_json *part) {
    if (ig_json_is(part, IG_JSON_STRING)) return part->text;
    const struct ig_json *text = ig_json_get(part, "text");
    return ig_json_str(text ? text : ig_json_get(part, "refusal"), "");
}

/* A list of parts as one text */
static struct ig_json *parts_to_text(struct maker *m, const struct ig_json *parts) {
    struct ig_str all = {"", 0};
    for (const struct ig_json *p = parts->child; p && !m->code; p = p->next) {
        if (!is_text_part(p)) {
            struct ig_str type = ig_json_str(ig_json_get(p, "type"), "?");
            m->code =
                ig_fail(m->err, INGLE_BAD_REQUEST, "send text only to this model",
                        "messages: content of type \"%.*s\" has no place in the chat template",
                        type.n < 60 ? (int)type.n : 60, type.p);
            return NULL;
        }
        all = all.n ? joined(m, all, "\n", part_text(p)) : part_text(p);
    }
    return make_str(m, all);
}

static struct ig_json *text_to_parts(struct maker *m, struct ig_str text) {
    struct ig_json *list = make(m, IG_JSON_ARRAY), *part = make(m, IG_JSON_OBJECT), *last = NULL,
                   *end = NULL;
    add(part, &last, IG_STR("type"), make_str(m, IG_STR("text")));
    add(part, &last, IG_STR("text"), make_str(m, text));
    add(list, &end, (struct ig_str){NULL, 0}, part);
    return list;
}

static struct ig_json *adapt_content(struct maker *m, const struct ig_json *content) {
    if (!content || content->kind == IG_JSON_NULL)
        return m->c->caps.parts ? text_to_parts(m, (struct ig_str){"", 0})
                                : make_str(m, (struct ig_str){"", 0});
    if (content->kind == IG_JSON_STRING && m->c->caps.parts) return text_to_parts(m, content->text);
    if (content->kind == IG_JSON_ARRAY && !m->c->caps.parts) {
        bool plain = true;
        for (const struct ig_json *p = content->child; p; p = p->next)
            plain = plain && is_text_part(p);
        /* a template that reads text may still know images: "parts" then pass as they are */
        if (plain || !ig_str_find(ig_template_source(m->c->t), IG_STR("image"), NULL))
            return parts_to_text(m, content);
    }
    return copy_node(m, content);
}

/* A tool call whose arguments are text becomes one whose arguments are an object, or the other way
 * round. */
static struct ig_json *adapt_arguments(struct maker *m, const struct ig_json *args) {
    bool want_text = m->c->caps.string_args;
    if (!want_text && args->kind == IG_JSON_STRING) {
        const struct ig_json *object = NULL;
        ingle_status s =
            ig_json_parse(m->a, args->text, &(struct ig_json_limits){.depth = 100}, &object, NULL);
        if (s == INGLE_NO_MEMORY) m->code = ig_fail_memory(m->err, args->text.n);
        if (!s && object->kind == IG_JSON_OBJECT) return copy_node(m, object);
    }
    if (want_text && args->kind == IG_JSON_OBJECT) {
        struct ig_buf b = {.mem = m->a->mem};
        ig_json_put(&b, args);
        char *p = b.failed ? NULL : ig_arena_copy(m->a, b.p, b.n);
        struct ig_str text = {p, b.n};
        ig_buf_free(&b);
        if (!p) m->code = ig_fail_memory(m->err, text.n);
        return p ? make_str(m, text) : NULL;
    }
    return copy_node(m, args);
}

static struct ig_json *adapt_function(struct maker *m, const struct ig_json *function) {
    struct ig_json *out = make(m, IG_JSON_OBJECT), *last = NULL;
    for (const struct ig_json *v = function->child; v; v = v->next)
        add(out, &last, v->key,
            ig_str_is(v->key, "arguments") ? adapt_arguments(m, v) : copy_node(m, v));
    return out;
}

static struct ig_json *adapt_calls(struct maker *m, const struct ig_json *calls) {
    struct ig_json *list = make(m, IG_JSON_ARRAY), *end = NULL;
    for (const struct ig_json *call = calls->child; call; call = call->next) {
        struct ig_json *out = copy_node(m, call), *last = NULL;
        if (out && call->kind == IG_JSON_OBJECT) {
            out->child = NULL;
            out->count = 0;
            for (const struct ig_json *v = call->child; v; v = v->next) {
                bool f = ig_str_is(v->key, "function") && v->kind == IG_JSON_OBJECT;
                add(out, &last, v->key, f ? adapt_function(m, v) : copy_node(m, v));
            }
        }
        add(list, &end, (struct ig_str){NULL, 0}, out);
    }
    return list;
}

static struct ig_str adapt_role(struct maker *m, struct ig_str role) {
    return ig_str_is(role, "developer") && !m->c->caps.developer ? IG_STR("system") : role;
}

static struct ig_json *adapt_message(struct maker *m, const struct ig_json *from) {
    struct ig_json *out = make(m, IG_JSON_OBJECT), *last = NULL;
    bool has_content = false;
    for (const struct ig_json *v = from->child; v && !m->code; v = v->next) {
        struct ig_json *n;
        if (ig_str_is(v->key, "content"))
            n = adapt_content(m, v), has_content = true;
        else if (ig_str_is(v->key, "tool_calls") && v->kind == IG_JSON_NULL)
            continue;
        else if (ig_str_is(v->key, "tool_calls") && v->kind == IG_JSON_ARRAY)
            n = adapt_calls(m, v);
        else if (ig_str_is(v->key, "role"))
            n = make_str(m, adapt_role(m, ig_json_str(v, "")));
        else
            n = copy_node(m, v);
        add(out, &last, v->key, n);
    }
    if (!has_content) add(out, &last, IG_STR("content"), adapt_content(m, NULL));
    return out;
}

static struct ig_json *member(struct ig_json *object, const char *key) {
    return (struct ig_json *)(uintptr_t)ig_json_get(object, key);
}

/* Puts b's content behind a's; both were made by adapt_content. */
static void merge_content(struct maker *m, struct ig_json *into, const struct ig_json *more) {
    if (!into || !more) return;
    if (into->kind == IG_JSON_STRING && more->kind == IG_JSON_STRING) {
        into->text = joined(m, into->text, "\n\n", more->text);
    } else if (into->kind == IG_JSON_ARRAY && more->kind == IG_JSON_ARRAY) {
        struct ig_json *last = NULL;
        for (const struct ig_json *p = into->child; p; p = p->next)
            last = (struct ig_json *)(uintptr_t)p;
        for (const struct ig_json *p = more->child; p; p = p->next)
            add(into, &last, p->key, copy_node(m, p));
    }
}

static bool same_turn(const struct ig_json *a, const struct ig_json *b) {
    struct ig_str role = ig_json_str(ig_json_get(a, "role"), "");
    return ig_str_eq(role, ig_json_str(ig_json_get(b, "role"), "")) && !ig_str_is(role, "tool") &&
           !ig_json_get(a, "tool_calls") && !ig_json_get(b, "tool_calls");
}

static bool is_system(const struct ig_json *message) {
    return ig_str_is(ig_json_str(ig_json_get(message, "role"), ""), "system");
}

static struct ig_json *adapt_messages(struct maker *m, const struct ig_json *from) {
    struct ig_json *list = make(m, IG_JSON_ARRAY), *last = NULL, *system = NULL;
    for (const struct ig_json *v = from->child; v && !m->code; v = v->next) {
        struct ig_json *n = adapt_message(m, v);
        if (!n) break;
        if (!m->c->caps.system && is_system(n)) {
            if (system)
                merge_content(m, member(system, "content"), ig_json_get(n, "content"));
            else
                system = n;
            continue;
        }
        if (system && ig_str_is(ig_json_str(ig_json_get(n, "role"), ""), "user")) {
            struct ig_json *content = copy_node(m, ig_json_get(n, "content"));
            merge_content(m, member(system, "content"), content);
            if (!m->code) {
                struct ig_json *to = member(n, "content");
                const struct ig_json *all = ig_json_get(system, "content");
                to->kind = all->kind;
                to->text = all->text;
                to->child = all->child;
                to->count = all->count;
            }
            system = NULL;
        }
        if (m->c->caps.alternate && last && same_turn(last, n))
            merge_content(m, member(last, "content"), ig_json_get(n, "content"));
        else
            add(list, &last, (struct ig_str){NULL, 0}, n);
    }
    if (system && !m->code) { /* nobody to give it to: a user turn of its own */
        member(system, "role")->text = IG_STR("user");
        add(list, &last, (struct ig_str){NULL, 0}, system);
    }
    return list;
}

/* ---- The context ---- */

static ingle_status check_messages(const struct ig_json *messages, ingle_error *err) {
    size_t i = 0;
    if (!ig_json_is(messages, IG_JSON_ARRAY) || !messages->count)
        return ig_fail(err, INGLE_BAD_REQUEST,
                       "send \"messages\": [{\"role\": \"user\", \"content\": \"...\"}]",
                       "messages is missing, empty or no list");
    for (const struct ig_json *v = messages->child; v; v = v->next, i++) {
        const struct ig_json *content = ig_json_get(v, "content");
        if (!ig_json_is(ig_json_get(v, "role"), IG_JSON_STRING))
            return ig_fail(err, INGLE_BAD_REQUEST,
                           "each message has a role: system, user, assistant or tool",
                           "messages[%zu] has no role", i);
        if (content && content->kind != IG_JSON_NULL && content->kind != IG_JSON_STRING &&
            content->kind != IG_JSON_ARRAY)
            return ig_fail(err, INGLE_BAD_REQUEST, "content is a text, a list of parts or null",
                           "messages[%zu].content is neither", i);
    }
    return INGLE_OK;
}

static unsigned depth_of(struct ig_str json) {
    unsigned depth = 0, most = 0;
    bool text = false;
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        if (c == '"')
            text = !text;
        else if (text && c == '\\')
            i++;
        else if (!text && (c == '{' || c == '[') && ++depth > most)
            most = depth;
        else if (!text && (c == '}' || c == ']'))
            depth--;
    }
    return most;
}

/* Arguments that the caller hands to the template must not replace what the template is given. */
static ingle_status check_kwargs(const struct ig_json *kwargs, ingle_error *err) {
    static const char *const taken[] = {"messages",  "range",           "namespace",    "dict",
                                        "cycler",    "joiner",          "lipsum",       "loop",
                                        "self",      "raise_exception", "strftime_now", "bos_token",
                                        "eos_token", "chat_template",   "tokenize"};
    if (!kwargs || kwargs->kind == IG_JSON_NULL) return INGLE_OK;
    if (kwargs->kind != IG_JSON_OBJECT)
        return ig_fail(err, INGLE_BAD_REQUEST, NULL, "chat_template_kwargs is no object");
    if (kwargs->count > 16 || kwargs->text.n > 16384 || depth_of(kwargs->text) > 16)
        return ig_fail(err, INGLE_BAD_REQUEST, "at most 16 members, 16 KiB and 16 levels",
                       "chat_template_kwargs is too big");
    for (const struct ig_json *v = kwargs->child; v; v = v->next)
        for (size_t i = 0; i < sizeof taken / sizeof *taken; i++)
            if (ig_str_is(v->key, taken[i]))
                return ig_fail(err, INGLE_BAD_REQUEST, NULL,
                               "chat_template_kwargs must not set \"%s\"", taken[i]);
    return INGLE_OK;
}

static void add_copy(struct maker *m, struct ig_json *in, struct ig_json **last, const char *key,
                     const struct ig_json *v) {
    add(in, last, ig_str_of(key), v ? copy_node(m, v) : make(m, IG_JSON_NULL));
}

static ingle_status build_context(struct maker *m, const struct ig_json *request,
                                  const struct ig_json **out) {
    const struct ig_json *messages = ig_json_get(request, "messages"),
                         *tools = ig_json_get(request, "tools");
    const struct ig_json *kwargs = ig_json_get(request, "chat_template_kwargs");
    if (!kwargs) kwargs = ig_json_get(request, "kwargs");
    IG_TRY(check_messages(messages, m->err));
    IG_TRY(check_kwargs(kwargs, m->err));
    struct ig_json *ctx = make(m, IG_JSON_OBJECT), *last = NULL, *flag = make(m, IG_JSON_BOOL);
    if (!ctx || !flag) return m->code;
    ctx->text = request->text; /* its size counts for the output limit */
    flag->truth =
        ig_json_bool(ig_json_get(request, "add_generation_prompt"),
                     !ig_json_bool(ig_json_get(request, "continue_final_message"), false));
    add(ctx, &last, IG_STR("messages"), adapt_messages(m, messages));
    bool some_tools = ig_json_is(tools, IG_JSON_ARRAY) && tools->count;
    add_copy(m, ctx, &last, "tools", some_tools ? tools : NULL);
    add_copy(m, ctx, &last, "documents", ig_json_get(request, "documents"));
    add(ctx, &last, IG_STR("add_generation_prompt"), flag);
    const struct ig_json *effort = ig_json_get(request, "reasoning_effort");
    if (effort && effort->kind != IG_JSON_NULL) add_copy(m, ctx, &last, "reasoning_effort", effort);
    for (const struct ig_json *v = kwargs ? kwargs->child : NULL; v; v = v->next)
        add(ctx, &last, v->key, copy_node(m, v));
    *out = ctx;
    return m->code;
}

/* Does the template's own text at the end open a think block that it does not close? */
static bool opens_think(struct ig_str text) {
    size_t open = SIZE_MAX;
    struct ig_str tag = IG_STR("<think>"), rest = ig_str_trim(text);
    for (size_t from = rest.n > 200 ? rest.n - 200 : 0; from + tag.n <= rest.n; from++)
        if (memcmp(rest.p + from, tag.p, tag.n) == 0) open = from + tag.n;
    if (open == SIZE_MAX) return false;
    return !ig_str_find((struct ig_str){rest.p + open, rest.n - open}, IG_STR("</think>"), NULL);
}

ingle_status ig_chat_render(const struct ig_chat *c, struct ig_mem *mem,
                            const struct ig_json *request, const struct ig_template_env *env,
                            struct ig_buf *out, struct ig_segments *segments,
                            struct ig_chat_prompt *prompt, ingle_error *err) {
    if (c->caps.broken)
        return ig_fail(err, INGLE_BAD_TEMPLATE, "raw completion still works", "%s",
                       c->broken.message);
    struct ig_arena a = {.mem = mem};
    struct maker m = {.c = c, .a = &a, .err = err};
    struct ig_segments own = {.mem = mem}, *s = segments ? segments : &own;
    struct ig_template_env e = env_of(c, env);
    const struct ig_json *ctx = NULL;
    size_t base = out->n;
    ingle_status status = build_context(&m, request, &ctx);
    if (!status) status = ig_template_render(c->t, ctx, &e, out, s, err);
    if (!status && prompt) {
        size_t from = s->n && s->list[s->n - 1].is_input ? out->n
                      : s->n                             ? s->list[s->n - 1].start
                                                         : base;
        prompt->thinking = opens_think((struct ig_str){out->p + from, out->n - from});
    }
    ig_segments_free(&own);
    ig_arena_free(&a);
    return status;
}
