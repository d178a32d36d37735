/* The template engine's door: compile, render, free. What a rendering may use up is decided here;
 * the work is in tpl_lex / tpl_parse / tpl_expr (text to tree) and tpl_exec / tpl_eval (tree to
 * text). */
#include "chat/tpl.h"

enum { MAX_SOURCE = 4 << 20 };

ingle_status ig_template_compile(struct ig_template **out, struct ig_mem *mem, struct ig_str source,
                                 ingle_error *err) {
    *out = NULL;
    if (source.n > MAX_SOURCE)
        return ig_fail(err, INGLE_BAD_TEMPLATE, NULL,
                       "line 1: the template has %zu bytes, more than 4 MiB", source.n);
    struct ig_template *t = ig_calloc(mem, 1, sizeof *t);
    if (!t) return ig_fail_memory(err, sizeof *t);
    t->mem = mem;
    t->arena.mem = mem;
    char *copy = ig_arena_copy(&t->arena, source.p, source.n);
    ingle_status s = INGLE_OK;
    if (!copy) s = ig_fail_memory(err, source.n);
    t->source = (struct ig_str){copy, source.n};
    if (!s) s = ig_tpl_parse(t, err);
    if (s)
        ig_template_free(t);
    else
        *out = t;
    return s;
}

void ig_template_free(struct ig_template *t) {
    if (!t) return;
    struct ig_mem *mem = t->mem;
    ig_arena_free(&t->arena);
    ig_free(mem, t);
}

struct ig_str ig_template_source(const struct ig_template *t) {
    return t->source;
}

bool ig_template_uses(const struct ig_template *t, const char *variable) {
    uint32_t sym = ig_tpl_symbol_find(t, ig_str_of(variable));
    return sym != UINT32_MAX && t->symbols[sym].read;
}

/* The rendering's memory is taken from the caller's, with a limit of its own. */
static void *from_parent(void *ud, void *p, size_t old, size_t now) {
    (void)old;
    if (now) return p ? ig_realloc(ud, p, now) : ig_alloc(ud, now);
    ig_free(ud, p);
    return NULL;
}

static void set_limits(struct tpl_st *st, size_t input) {
    static const struct ig_template_env none = {0};
    const struct ig_template_env *e = st->env ? st->env : &none;
    size_t usual = (size_t)1 << 20, more;
    if (ig_mul(input, 16, &more) && ig_add(usual, more, &usual) && usual > (8u << 20))
        usual = 8u << 20;
    st->env = e;
    st->max_steps = e->max_steps ? e->max_steps : 1000000;
    st->max_depth = e->max_depth ? e->max_depth : 200;
    st->max_output = e->max_output ? e->max_output : usual;
    st->mem.limit = e->max_heap ? e->max_heap : (size_t)64 << 20;
    st->next_clock = st->max_steps < 1024 ? st->max_steps + 1 : 1024;
    if (e->clock_ns) st->deadline = e->clock_ns(e->ud) + (e->max_ns ? e->max_ns : 1000000000u);
}

static bool bind_name(struct tpl_st *st, struct ig_str name, const struct tpl_val *v) {
    uint32_t sym = ig_tpl_symbol_find(st->t, name);
    return sym == UINT32_MAX || ig_tpl_bind(st, st->root, sym, v);
}

/* Only variables that the template names are converted. */
static bool bind_context(struct tpl_st *st) {
    struct tpl_val v;
    for (const struct ig_json *j = st->context ? st->context->child : NULL; j; j = j->next) {
        if (ig_tpl_symbol_find(st->t, j->key) == UINT32_MAX) continue;
        bool token = ig_str_ends(j->key, IG_STR("_token"));
        if (!ig_tpl_from_json(st, j, !token, &v) || !bind_name(st, j->key, &v)) return false;
    }
    const struct ig_template_env *e = st->env;
    if (e->bos.p &&
        !(ig_tpl_str(st, e->bos.p, e->bos.n, false, &v) && bind_name(st, IG_STR("bos_token"), &v)))
        return false;
    return !e->eos.p || (ig_tpl_str(st, e->eos.p, e->eos.n, false, &v) &&
                         bind_name(st, IG_STR("eos_token"), &v));
}

static ingle_status add_segment(struct ig_segments *s, size_t start, size_t len, bool input,
                                ingle_error *err) {
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct ig_segment *more = ig_realloc(s->mem, s->list, cap * sizeof *more);
        if (!more) return ig_fail_memory(err, cap * sizeof *more);
        s->list = more;
        s->cap = cap;
    }
    s->list[s->n++] = (struct ig_segment){start, len, input};
    return INGLE_OK;
}

static ingle_status put_segments(struct ig_segments *s, const struct tpl_sb *sb, size_t base,
                                 ingle_error *err) {
    s->n = 0;
    for (size_t from = 0; from < sb->n;) {
        size_t to = sb->n;
        bool input = sb->marks ? sb->marks[from] : sb->input;
        for (to = from + 1; sb->marks && to < sb->n && sb->marks[to] == sb->marks[from];) to++;
        if (!sb->marks) to = sb->n;
        IG_TRY(add_segment(s, base + from, to - from, input, err));
        from = to;
    }
    return INGLE_OK;
}

static ingle_status deliver(struct tpl_st *st, const struct tpl_sb *sb, struct ig_buf *out,
                            struct ig_segments *segments) {
    size_t base = out->n;
    if (segments) IG_TRY(put_segments(segments, sb, base, st->err));
    ig_buf_add(out, sb->p ? sb->p : "", sb->n);
    return out->failed ? ig_fail_memory(st->err, sb->n) : INGLE_OK;
}

ingle_status ig_template_render(const struct ig_template *t, const struct ig_json *context,
                                const struct ig_template_env *env, struct ig_buf *out,
                                struct ig_segments *segments, ingle_error *err) {
    struct tpl_st st = {.t = t, .env = env, .context = context, .err = err, .line = 1};
    struct tpl_sb sb;
    st.mem = (struct ig_mem){.hook = from_parent, .ud = t->mem};
    st.arena.mem = &st.mem;
    st.seed = (uint64_t)(uintptr_t)&st;
    set_limits(&st, t->source.n + (context ? context->text.n : 0));
    ig_tpl_sb_init(&sb, &st);
    st.out = &sb;
    st.root = st.scope = ig_tpl_scope(&st, NULL);
    bool ok = st.root && bind_context(&st) && ig_tpl_exec(&st, t->body);
    ingle_status s = ok && !st.code ? deliver(&st, &sb, out, segments)
                     : st.code      ? st.code
                                    : INGLE_INTERNAL;
    ig_arena_free(&st.arena);
    return s;
}
