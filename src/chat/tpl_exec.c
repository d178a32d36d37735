/* Running statements: output, scopes, loops, macros. Names are looked up along the chain of scopes;
 * a loop's body, a macro, a call, filter or set block and `with` have one of their own, `if` has
 * none. A macro sees the scopes it was written in, with the values they have when it is called. */
#include "chat/tpl.h"

struct tpl_scope *ig_tpl_scope(struct tpl_st *st, struct tpl_scope *up) {
    struct tpl_scope *s = ig_tpl_alloc(st, sizeof *s);
    if (s) *s = (struct tpl_scope){.up = up};
    return s;
}

bool ig_tpl_bind(struct tpl_st *st, struct tpl_scope *s, uint32_t sym, const struct tpl_val *v) {
    for (uint32_t i = 0; i < s->n; i++)
        if (s->v[i].sym == sym) return s->v[i].value = *v, true;
    if (s->n == s->cap) {
        uint32_t cap = s->cap ? s->cap * 2 : 4;
        struct tpl_slot *more = ig_tpl_alloc(st, cap * sizeof *more);
        if (!more) return false;
        if (s->n) memcpy(more, s->v, s->n * sizeof *more);
        s->v = more;
        s->cap = cap;
    }
    s->v[s->n++] = (struct tpl_slot){sym, *v};
    return true;
}

static bool assign_attr(struct tpl_st *st, const struct tpl_node *target, const struct tpl_val *v) {
    struct tpl_val ns, key;
    struct tpl_node name = {.kind = N_NAME, .sym = target->sym, .line = target->line};
    if (!ig_tpl_eval(st, &name, &ns)) return false;
    if (ns.kind != V_NS) return ig_tpl_raise(st, "cannot assign attribute on non-namespace object");
    return ig_tpl_str(st, target->text.p, target->text.n, false, &key) &&
           ig_tpl_dict_set(st, ns.u.d, &key, v);
}

bool ig_tpl_assign(struct tpl_st *st, const struct tpl_node *target, const struct tpl_val *v) {
    if (target->kind == N_NAME) return ig_tpl_bind(st, st->scope, target->sym, v);
    if (target->kind == N_NSREF) return assign_attr(st, target, v);
    struct tpl_list *items;
    size_t want = 0, i = 0;
    if (v->kind != V_STR && v->kind != V_UNDEF && !tpl_is_seq(v) && v->kind != V_DICT &&
        v->kind != V_VIEW && v->kind != V_GEN && v->kind != V_RANGE)
        return ig_tpl_raise(st, "cannot unpack non-iterable %s object", ig_tpl_type(v));
    if (!ig_tpl_iter(st, v, &items)) return false;
    for (const struct tpl_node *n = target->list; n; n = n->next) want++;
    if (items->n > want) return ig_tpl_raise(st, "too many values to unpack (expected %zu)", want);
    if (items->n < want)
        return ig_tpl_raise(st, "not enough values to unpack (expected %zu, got %zu)", want,
                            items->n);
    for (const struct tpl_node *n = target->list; n; n = n->next)
        if (!ig_tpl_assign(st, n, &items->v[i++])) return false;
    return true;
}

bool ig_tpl_capture(struct tpl_st *st, const struct tpl_node *list, struct tpl_scope *scope,
                    struct tpl_val *out) {
    struct tpl_sb sb, *outer = st->out;
    struct tpl_scope *before = st->scope;
    ig_tpl_sb_init(&sb, st);
    st->out = &sb;
    st->scope = scope;
    bool ok = ig_tpl_exec(st, list);
    st->out = outer;
    st->scope = before;
    return ok && ig_tpl_sb_done(&sb, out);
}

/* `list` in a scope of its own, output to where we are */
static bool exec_scoped(struct tpl_st *st, const struct tpl_node *list) {
    struct tpl_scope *before = st->scope, *s = ig_tpl_scope(st, before);
    if (!s) return false;
    st->scope = s;
    bool ok = ig_tpl_exec(st, list);
    st->scope = before;
    return ok;
}

static bool print(struct tpl_st *st, const struct tpl_node *list) {
    for (const struct tpl_node *n = list; n; n = n->next) {
        struct tpl_val v = {0};
        if (!ig_tpl_eval(st, n, &v)) return false;
        ig_tpl_put_str(st->out, &v);
        if (st->code) return false;
    }
    return true;
}

static bool exec_if(struct tpl_st *st, const struct tpl_node *n) {
    for (const struct tpl_node *branch = n->list; branch; branch = branch->next) {
        struct tpl_val test;
        if (!ig_tpl_eval(st, branch->a, &test)) return false;
        if (ig_tpl_truth(&test)) return ig_tpl_exec(st, branch->body);
    }
    return ig_tpl_exec(st, n->other);
}

/* ---- Loops ---- */

/* The items that pass the loop's own filter */
static bool filter_items(struct tpl_st *st, const struct tpl_node *n, struct tpl_list **items) {
    struct tpl_val kept, test, undef;
    struct tpl_list *all = *items;
    struct tpl_scope *before = st->scope, *s = ig_tpl_scope(st, before);
    if (!s || !ig_tpl_list(st, 0, V_LIST, &kept)) return false;
    bool ok = ig_tpl_undef(st, &undef,
                           "'loop' is undefined. the filter section of a loop as well as the else "
                           "block don't have "
                           "access to the special 'loop' variable of the current loop.  Because "
                           "there is no parent "
                           "loop it's undefined.  Happened in loop on line %u",
                           (unsigned)n->line) &&
              ig_tpl_bind(st, s, st->t->sym_loop, &undef);
    st->scope = s;
    for (size_t i = 0; ok && i < all->n; i++) {
        ok = ig_tpl_step(st) && ig_tpl_assign(st, n->a, &all->v[i]) && ig_tpl_eval(st, n->c, &test);
        if (ok && ig_tpl_truth(&test)) ok = ig_tpl_push(st, kept.u.l, &all->v[i]);
    }
    st->scope = before;
    *items = kept.u.l;
    return ok;
}

static bool loop_bodies(struct tpl_st *st, struct tpl_loop *loop) {
    struct tpl_val self = {.kind = V_LOOP, .u.loop = loop};
    struct tpl_scope *s = ig_tpl_scope(st, loop->scope);
    if (!s) return false;
    for (loop->at = 0; loop->at < loop->items->n; loop->at++) {
        struct tpl_val item = loop->items->v[loop->at];
        /* a closure may have kept the last round's scope only if a macro was defined in it */
        if (loop->at) s->n = 0;
        st->scope = s;
        if (!ig_tpl_step(st) || !ig_tpl_assign(st, loop->node->a, &item) ||
            !ig_tpl_bind(st, s, st->t->sym_loop, &self) || !ig_tpl_exec(st, loop->node->body))
            return false;
        enum tpl_flow flow = st->flow;
        st->flow = FLOW_NEXT;
        if (flow == FLOW_BREAK) break;
    }
    return true;
}

static bool run_loop(struct tpl_st *st, const struct tpl_node *n, struct tpl_scope *scope,
                     const struct tpl_val *over, size_t depth0) {
    struct tpl_list *items;
    struct tpl_scope *before = st->scope;
    if (!ig_tpl_iter(st, over, &items)) return false;
    struct tpl_loop *loop = ig_tpl_alloc(st, sizeof *loop);
    if (!loop) return false;
    st->scope = scope;
    bool ok = !n->c || filter_items(st, n, &items);
    *loop = (struct tpl_loop){.node = n, .scope = scope, .items = items, .depth0 = depth0};
    if (ok) ok = items->n ? loop_bodies(st, loop) : exec_scoped(st, n->other);
    st->scope = before;
    return ok;
}

static bool exec_for(struct tpl_st *st, const struct tpl_node *n) {
    struct tpl_val over;
    return ig_tpl_eval(st, n->b, &over) && run_loop(st, n, st->scope, &over, 0);
}

bool ig_tpl_call_loop(struct tpl_st *st, const struct tpl_loop *loop, const struct tpl_args *args,
                      struct tpl_val *out) {
    if (!loop->node->flag)
        return ig_tpl_raise(st,
                            "The loop must have the 'recursive' marker to be called recursively.");
    if (args->n_pos != 1 || args->n_kw) return ig_tpl_raise(st, "loop() takes one argument");
    if (!ig_tpl_enter(st)) return false;
    struct tpl_sb sb, *outer = st->out;
    ig_tpl_sb_init(&sb, st);
    st->out = &sb;
    bool ok = run_loop(st, loop->node, loop->scope, &args->pos[0], loop->depth0 + 1);
    st->out = outer;
    st->depth--;
    return ok && ig_tpl_sb_done(&sb, out);
}

/* ---- Macros ---- */

static bool extra_args(struct tpl_st *st, const struct tpl_node *m, const struct tpl_args *args,
                       size_t n_params, struct tpl_scope *s) {
    struct tpl_val v = {0};
    if (args->n_pos > n_params && !m->flag)
        return ig_tpl_raise(st, "macro '%.*s' takes not more than %zu argument(s)",
                            (int)(m->text.n & 127), m->text.p, n_params);
    if (!m->flag) return true;
    if (!ig_tpl_list(st, 0, V_TUPLE, &v)) return false;
    for (size_t i = n_params; i < args->n_pos; i++)
        if (!ig_tpl_push(st, v.u.l, &args->pos[i])) return false;
    return ig_tpl_bind(st, s, st->t->sym_varargs, &v);
}

static bool is_param(const struct tpl_node *m, struct ig_str name) {
    for (const struct tpl_node *p = m->list; p; p = p->next)
        if (ig_str_eq(p->text, name)) return true;
    return false;
}

static bool extra_kw(struct tpl_st *st, const struct tpl_node *m, const struct tpl_args *args,
                     struct tpl_scope *s) {
    struct tpl_val dict, key, caller;
    if (m->flag2 && !ig_tpl_dict(st, V_DICT, &dict)) return false;
    if (m->flag3 && !is_param(m, IG_STR("caller"))) {
        if (!ig_tpl_undef(st, &caller, "No caller defined") ||
            !ig_tpl_bind(st, s, st->t->sym_caller, &caller))
            return false;
    }
    for (size_t i = 0; i < args->n_kw; i++) {
        struct ig_str name = args->kw[i].name;
        if (is_param(m, name)) continue;
        if (m->flag3 && ig_str_is(name, "caller")) {
            if (!ig_tpl_bind(st, s, st->t->sym_caller, &args->kw[i].value)) return false;
        } else if (m->flag2) {
            if (!ig_tpl_str(st, name.p, name.n, false, &key) ||
                !ig_tpl_dict_set(st, dict.u.d, &key, &args->kw[i].value))
                return false;
        } else {
            return ig_tpl_raise(st, "macro '%.*s' takes no keyword argument '%.*s'",
                                (int)(m->text.n & 127), m->text.p, (int)(name.n & 127), name.p);
        }
    }
    return !m->flag2 || ig_tpl_bind(st, s, st->t->sym_kwargs, &dict);
}

static bool bind_param(struct tpl_st *st, const struct tpl_node *m, const struct tpl_node *p,
                       size_t i, const struct tpl_args *args, struct tpl_scope *s) {
    struct tpl_val v = {0};
    int n = (int)(p->text.n & 127);
    if (i < args->n_pos) v = args->pos[i];
    for (size_t k = 0; k < args->n_kw; k++) {
        if (!ig_str_eq(args->kw[k].name, p->text)) continue;
        if (i < args->n_pos)
            return ig_tpl_raise(st, "macro '%.*s' takes no keyword argument '%.*s'",
                                (int)(m->text.n & 127), m->text.p, n, p->text.p);
        v = args->kw[k].value;
    }
    if (v.kind == V_MISSING && p->a && !ig_tpl_eval(st, p->a, &v)) return false;
    if (v.kind == V_MISSING &&
        !ig_tpl_undef(st, &v, "parameter '%.*s' was not provided", n, p->text.p))
        return false;
    return ig_tpl_bind(st, s, p->sym, &v);
}

bool ig_tpl_call_macro(struct tpl_st *st, const struct tpl_macro *m, const struct tpl_args *args,
                       struct tpl_val *out) {
    struct tpl_scope *before = st->scope, *s = ig_tpl_scope(st, m->scope);
    if (!s || !ig_tpl_enter(st)) return false;
    size_t i = 0;
    bool ok = true;
    st->scope = s; /* defaults may read the parameters before them */
    for (const struct tpl_node *p = m->node->list; ok && p; p = p->next)
        ok = bind_param(st, m->node, p, i++, args, s);
    ok = ok && extra_args(st, m->node, args, i, s) && extra_kw(st, m->node, args, s) &&
         ig_tpl_capture(st, m->node->body, s, out);
    st->scope = before;
    st->depth--;
    return ok;
}

static bool make_macro(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    struct tpl_macro *m = ig_tpl_alloc(st, sizeof *m);
    if (!m) return false;
    *m = (struct tpl_macro){.node = n, .scope = st->scope};
    *out = (struct tpl_val){.kind = V_MACRO, .u.macro = m};
    return true;
}

/* {% call(args) f(x) %}: f(x, caller=the block) */
static bool exec_call(struct tpl_st *st, const struct tpl_node *n) {
    struct tpl_val f, v, caller;
    struct tpl_args args;
    const struct tpl_node *last = n->b->list;
    if (!ig_tpl_eval(st, n->b->a, &f)) return false;
    for (; last->next; last = last->next) {
        struct tpl_node one = *last;
        struct tpl_node post = {.kind = N_POST, .line = n->line, .a = n->b->a, .list = &one};
        struct tpl_node value = {.kind = N_CONST, .line = n->line, .value = f};
        one.next = NULL;
        post.a = &value;
        if (!ig_tpl_eval(st, &post, &f)) return false;
    }
    if (!make_macro(st, n, &caller) || !ig_tpl_eval_args(st, last->list, &args)) return false;
    struct tpl_kw *kw = ig_tpl_alloc(st, (args.n_kw + 1) * sizeof *kw);
    if (!kw) return false;
    if (args.n_kw) memcpy(kw, args.kw, args.n_kw * sizeof *kw);
    kw[args.n_kw++] = (struct tpl_kw){IG_STR("caller"), caller};
    args.kw = kw;
    if (!ig_tpl_call(st, &f, &args, &v)) return false;
    ig_tpl_put_str(st->out, &v);
    return !st->code;
}

/* ---- Blocks ---- */

static bool run_filters(struct tpl_st *st, const struct tpl_node *filters,
                        const struct tpl_node *body, struct tpl_val *out) {
    struct tpl_scope *s = ig_tpl_scope(st, st->scope);
    struct tpl_val text;
    if (!s || !ig_tpl_capture(st, body, s, &text)) return false;
    *out = text;
    if (!filters) return true;
    struct tpl_node value = {.kind = N_CONST, .line = filters->line, .value = text};
    struct tpl_node post = *filters;
    post.a = &value;
    return ig_tpl_eval(st, &post, out);
}

static bool exec_with(struct tpl_st *st, const struct tpl_node *n) {
    struct tpl_scope *before = st->scope, *s = ig_tpl_scope(st, before);
    bool ok = s != NULL;
    for (const struct tpl_node *set = n->list; ok && set; set = set->next) {
        struct tpl_val v = {0};
        ok = ig_tpl_eval(st, set->b, &v); /* in the scope outside */
        st->scope = s;
        ok = ok && ig_tpl_assign(st, set->a, &v);
        st->scope = before;
    }
    if (!ok) return false;
    st->scope = s;
    ok = ig_tpl_exec(st, n->body);
    st->scope = before;
    return ok;
}

static bool exec_one(struct tpl_st *st, const struct tpl_node *n) {
    struct tpl_val v = {0};
    switch ((enum tpl_node_kind)n->kind) {
    case N_DATA: ig_tpl_sb_add(st->out, n->text.p, n->text.n, false); return !st->code;
    case N_PRINT: return print(st, n->list);
    case N_IF: return exec_if(st, n);
    case N_FOR: return exec_for(st, n);
    case N_SET: return ig_tpl_eval(st, n->b, &v) && ig_tpl_assign(st, n->a, &v);
    case N_SETBLOCK: return run_filters(st, n->b, n->body, &v) && ig_tpl_assign(st, n->a, &v);
    case N_FILTERBLOCK:
        if (!run_filters(st, n->b, n->body, &v)) return false;
        if (v.kind != V_STR)
            return ig_tpl_raise(st, "expected str instance, %s found", ig_tpl_type(&v));
        ig_tpl_put_str(st->out, &v);
        return !st->code;
    case N_MACRO: return make_macro(st, n, &v) && ig_tpl_bind(st, st->scope, n->sym, &v);
    case N_CALLBLOCK: return exec_call(st, n);
    case N_WITH: return exec_with(st, n);
    case N_SCOPE: return exec_scoped(st, n->body);
    case N_BREAK: st->flow = FLOW_BREAK; return true;
    case N_CONTINUE: st->flow = FLOW_CONTINUE; return true;
    default: return ig_tpl_raise(st, "this cannot stand here");
    }
}

bool ig_tpl_exec(struct tpl_st *st, const struct tpl_node *list) {
    if (!list) return true;
    if (!ig_tpl_enter(st)) return false;
    bool ok = true;
    for (const struct tpl_node *n = list; ok && n && st->flow == FLOW_NEXT; n = n->next) {
        st->line = n->line;
        ok = ig_tpl_step(st) && exec_one(st, n);
    }
    st->depth--;
    return ok;
}
