/* Evaluating expressions. Chains are lists (see tpl_expr.c), so the C stack grows with brackets,
 * calls and nothing else; each of those passes ig_tpl_enter. */
#include "chat/tpl.h"

static bool eval_name(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    for (const struct tpl_scope *s = st->scope; s; s = s->up)
        for (uint32_t i = s->n; i-- > 0;)
            if (s->v[i].sym == n->sym) return *out = s->v[i].value, true;
    const struct tpl_symbol *sym = &st->t->symbols[n->sym];
    if (sym->global) return *out = (struct tpl_val){.kind = V_FUNC, .u.func = sym->global}, true;
    return ig_tpl_undef(st, out, "'%.*s' is undefined",
                        (int)(sym->name.n < 200 ? sym->name.n : 200), sym->name.p);
}

static bool eval_seq(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    struct tpl_val item;
    if (!ig_tpl_list(st, 0, n->kind == N_LIST ? V_LIST : V_TUPLE, out)) return false;
    for (const struct tpl_node *e = n->list; e; e = e->next)
        if (!ig_tpl_eval(st, e, &item) || !ig_tpl_push(st, out->u.l, &item)) return false;
    return true;
}

static bool eval_dict(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    struct tpl_val key, value;
    if (!ig_tpl_dict(st, V_DICT, out)) return false;
    for (const struct tpl_node *e = n->list; e; e = e->next)
        if (!ig_tpl_eval(st, e->a, &key) || !ig_tpl_eval(st, e->b, &value) ||
            !ig_tpl_dict_set(st, out->u.d, &key, &value))
            return false;
    return true;
}

static bool eval_cond(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    struct tpl_val test;
    if (!ig_tpl_eval(st, n->b, &test)) return false;
    if (ig_tpl_truth(&test)) return ig_tpl_eval(st, n->a, out);
    if (n->c) return ig_tpl_eval(st, n->c, out);
    return ig_tpl_undef(
        st, out,
        "the inline if-expression on line %u evaluated to false and no else section was defined.",
        (unsigned)n->line);
}

static bool eval_logic(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    for (const struct tpl_node *e = n->list; e; e = e->next) {
        if (!ig_tpl_eval(st, e, out)) return false;
        if (e->next && ig_tpl_truth(out) == (n->kind == N_OR)) break;
    }
    return true;
}

static bool compare(struct tpl_st *st, enum tpl_op op, const struct tpl_val *a,
                    const struct tpl_val *b, bool *out) {
    static const char *const names[] = {
        [OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">", [OP_GE] = ">="};
    bool ok, wanted = op == OP_EQ || op == OP_IN;
    if (op == OP_EQ || op == OP_NE)
        ok = ig_tpl_equal(st, a, b, out);
    else if (op == OP_IN || op == OP_NOTIN)
        ok = ig_tpl_contains(st, b, a, out);
    else
        return ig_tpl_less(st, a, b, names[op], out);
    if (!wanted) *out = !*out;
    return ok;
}

static bool eval_compare(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    struct tpl_val left, right;
    bool truth = true;
    if (!ig_tpl_eval(st, n->a, &left)) return false;
    for (const struct tpl_node *e = n->list; e && truth; e = e->next) {
        if (!ig_tpl_eval(st, e->a, &right) || !compare(st, e->op, &left, &right, &truth))
            return false;
        left = right;
    }
    *out = tpl_bool(truth);
    return true;
}

static bool eval_arith(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    struct tpl_val left, right;
    if (!ig_tpl_eval(st, n->a, &left)) return false;
    for (const struct tpl_node *e = n->list; e; e = e->next) {
        if (!ig_tpl_eval(st, e->a, &right) || !ig_tpl_arith(st, e->op, &left, &right, out))
            return false;
        left = *out;
    }
    return true;
}

static bool eval_concat(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    struct tpl_val left, right, text;
    if (!ig_tpl_eval(st, n->list, &left) || !ig_tpl_to_str(st, &left, out)) return false;
    for (const struct tpl_node *e = n->list->next; e; e = e->next) {
        left = *out;
        if (!ig_tpl_eval(st, e, &right) || !ig_tpl_to_str(st, &right, &text) ||
            !ig_tpl_concat(st, left.u.s, text.u.s, out))
            return false;
    }
    return true;
}

static bool eval_sign(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    struct tpl_val v;
    if (!ig_tpl_eval(st, n->a, &v)) return false;
    if (v.kind == V_UNDEF) return ig_tpl_raise(st, "%s", v.u.undef->message);
    if (!tpl_is_number(&v))
        return ig_tpl_raise(st, "bad operand type for unary %c: '%s'", n->kind == N_NEG ? '-' : '+',
                            ig_tpl_type(&v));
    if (v.kind == V_FLOAT) {
        *out = tpl_float(n->kind == N_NEG ? -v.u.f : v.u.f);
        return true;
    }
    struct tpl_val zero = tpl_int(0);
    return ig_tpl_arith(st, n->kind == N_NEG ? OP_SUB : OP_ADD, &zero, &v, out);
}

/* ---- Steps ---- */

static bool eval_slice(struct tpl_st *st, const struct tpl_node *n, const struct tpl_val *v,
                       struct tpl_val *out) {
    struct tpl_val part[3] = {tpl_none(), tpl_none(), tpl_none()};
    const struct tpl_node *from[3] = {n->a, n->b, n->c};
    for (int i = 0; i < 3; i++)
        if (from[i] && !ig_tpl_eval(st, from[i], &part[i])) return false;
    return ig_tpl_slice(st, v, &part[0], &part[1], &part[2], out);
}

static bool eval_test_or_filter(struct tpl_st *st, const struct tpl_node *n,
                                const struct tpl_val *v, struct tpl_val *out) {
    struct tpl_args args;
    if (!n->func) {
        int len = n->text.n < 200 ? (int)n->text.n : 200;
        return ig_tpl_raise(st, "No %s named '%.*s' found.", n->kind == N_TEST ? "test" : "filter",
                            len, n->text.p);
    }
    if (!ig_tpl_eval_args(st, n->list, &args) || !ig_tpl_call_func(st, n->func, v, &args, out))
        return false;
    if (n->kind == N_TEST) *out = tpl_bool(ig_tpl_truth(out) != n->flag);
    return true;
}

static bool eval_step(struct tpl_st *st, const struct tpl_node *n, const struct tpl_val *v,
                      struct tpl_val *out) {
    struct tpl_val key;
    struct tpl_args args;
    if (!ig_tpl_step(st)) return false;
    switch ((enum tpl_node_kind)n->kind) {
    case N_ATTR: return ig_tpl_getattr(st, v, n->text, out);
    case N_ITEM: return ig_tpl_eval(st, n->a, &key) && ig_tpl_getitem(st, v, &key, out);
    case N_SLICE: return eval_slice(st, n, v, out);
    case N_CALL: return ig_tpl_eval_args(st, n->list, &args) && ig_tpl_call(st, v, &args, out);
    default: return eval_test_or_filter(st, n, v, out);
    }
}

static bool eval_post(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    struct tpl_val v;
    if (!ig_tpl_eval(st, n->a, &v)) return false;
    for (const struct tpl_node *s = n->list; s; s = s->next) {
        st->line = s->line;
        if (!eval_step(st, s, &v, out)) return false;
        v = *out;
    }
    *out = v;
    return true;
}

static bool eval_node(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    switch ((enum tpl_node_kind)n->kind) {
    case N_LIST:
    case N_TUPLE: return eval_seq(st, n, out);
    case N_DICT: return eval_dict(st, n, out);
    case N_COND: return eval_cond(st, n, out);
    case N_OR:
    case N_AND: return eval_logic(st, n, out);
    case N_NOT:
        if (!ig_tpl_eval(st, n->a, out)) return false;
        *out = tpl_bool(!ig_tpl_truth(out));
        return true;
    case N_COMPARE: return eval_compare(st, n, out);
    case N_ARITH: return eval_arith(st, n, out);
    case N_CONCAT: return eval_concat(st, n, out);
    case N_NEG:
    case N_POS: return eval_sign(st, n, out);
    case N_POST: return eval_post(st, n, out);
    default: return ig_tpl_raise(st, "this cannot stand in an expression");
    }
}

bool ig_tpl_eval(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out) {
    if (n->kind == N_CONST) return *out = n->value, ig_tpl_step(st);
    if (n->kind == N_NAME) return eval_name(st, n, out) && ig_tpl_step(st);
    if (!ig_tpl_enter(st)) return false;
    st->line = n->line;
    bool ok = eval_node(st, n, out);
    st->depth--;
    return ok;
}

/* ---- Calls ---- */

static bool push_kw(struct tpl_st *st, struct tpl_args *args, size_t *cap, struct ig_str name,
                    const struct tpl_val *v) {
    for (size_t i = 0; i < args->n_kw; i++)
        if (ig_str_eq(args->kw[i].name, name))
            return ig_tpl_raise(st, "got multiple values for keyword argument '%.*s'",
                                (int)(name.n & 127), name.p);
    if (args->n_kw == *cap) {
        *cap = *cap ? *cap * 2 : 4;
        struct tpl_kw *more = ig_tpl_alloc(st, *cap * sizeof *more);
        if (!more) return false;
        if (args->n_kw) memcpy(more, args->kw, args->n_kw * sizeof *more);
        args->kw = more;
    }
    args->kw[args->n_kw++] = (struct tpl_kw){name, *v};
    return ig_tpl_work(st, args->n_kw / 8);
}

static bool spread_kw(struct tpl_st *st, struct tpl_args *args, size_t *cap,
                      const struct tpl_val *v) {
    if (v->kind != V_DICT)
        return ig_tpl_raise(st, "argument after ** must be a mapping, not %s", ig_tpl_type(v));
    for (size_t i = 0; i < v->u.d->n; i++) {
        const struct tpl_pair *p = &v->u.d->v[i];
        if (p->key.kind != V_STR) return ig_tpl_raise(st, "keywords must be strings");
        if (!push_kw(st, args, cap, (struct ig_str){p->key.u.s->p, p->key.u.s->n}, &p->value))
            return false;
    }
    return true;
}

bool ig_tpl_eval_args(struct tpl_st *st, const struct tpl_node *list, struct tpl_args *out) {
    struct tpl_list pos = {0};
    size_t cap = 0;
    *out = (struct tpl_args){0};
    for (const struct tpl_node *n = list; n; n = n->next) {
        bool special = n->kind == N_KW || n->kind == N_STAR || n->kind == N_STARSTAR;
        struct tpl_val v;
        struct tpl_list *more;
        if (!ig_tpl_eval(st, special ? n->a : n, &v)) return false;
        if (n->kind == N_KW) {
            if (!push_kw(st, out, &cap, n->text, &v)) return false;
        } else if (n->kind == N_STARSTAR) {
            if (!spread_kw(st, out, &cap, &v)) return false;
        } else if (n->kind == N_STAR) {
            if (!ig_tpl_iter(st, &v, &more)) return false;
            for (size_t i = 0; i < more->n; i++)
                if (!ig_tpl_push(st, &pos, &more->v[i])) return false;
        } else if (!ig_tpl_push(st, &pos, &v)) {
            return false;
        }
    }
    out->pos = pos.v;
    out->n_pos = pos.n;
    return true;
}

static bool unknown_kw(struct tpl_st *st, const struct tpl_func *f, const struct tpl_args *args) {
    for (size_t i = 0; i < args->n_kw; i++) {
        struct ig_str name = args->kw[i].name;
        bool known = false;
        for (const char *p = f->params; *p && !known;) {
            size_t len = strcspn(p, ",=");
            known = ig_str_eq(name, (struct ig_str){p, len});
            p += len;
            p += strspn(p, ",=");
        }
        if (!known)
            return ig_tpl_raise(st, "%s() got an unexpected keyword argument '%.*s'", f->name,
                                (int)(name.n & 127), name.p);
    }
    return true;
}

/* Puts the arguments where the parameters' names want them. */
static bool bind(struct tpl_st *st, const struct tpl_func *f, const struct tpl_args *args,
                 struct tpl_val *a) {
    size_t n = 0, used = 0;
    for (const char *p = f->params; *p; n++) {
        size_t len = strcspn(p, ",="), i = 0;
        if (n < args->n_pos) a[n] = args->pos[n];
        while (i < args->n_kw && !ig_str_eq(args->kw[i].name, (struct ig_str){p, len})) i++;
        if (i < args->n_kw) {
            if (n < args->n_pos)
                return ig_tpl_raise(st, "%s() got multiple values for argument '%.*s'", f->name,
                                    (int)len, p);
            a[n] = args->kw[i].value;
            used++;
        }
        p += len;
        bool optional = *p == '=';
        p += optional;
        if (*p == ',') p++;
        if (a[n].kind == V_MISSING && !optional)
            return ig_tpl_raise(st, "%s() missing %zu required positional argument", f->name,
                                n + 1);
    }
    if (args->n_pos > n)
        return ig_tpl_raise(st, "%s() takes %zu positional arguments but %zu were given", f->name,
                            n, args->n_pos);
    return used == args->n_kw || unknown_kw(st, f, args);
}

bool ig_tpl_call_func(struct tpl_st *st, const struct tpl_func *f, const struct tpl_val *self,
                      const struct tpl_args *args, struct tpl_val *out) {
    struct tpl_val a[TPL_MAX_PARAMS] = {{0}};
    if (f->params && !bind(st, f, args, a)) return false;
    if (!ig_tpl_enter(st)) return false;
    bool ok = f->call(st, self, args, a, out);
    st->depth--;
    return ok && !st->code;
}

static bool call_cycler(struct tpl_st *st, const struct tpl_val *f, const struct tpl_args *args,
                        struct tpl_val *out) {
    if (args->n_pos || args->n_kw) return ig_tpl_raise(st, "a joiner takes no arguments");
    struct tpl_cycler *c = f->u.cycler;
    if (c->at++) return *out = c->items, true;
    return ig_tpl_str(st, "", 0, false, out);
}

bool ig_tpl_call(struct tpl_st *st, const struct tpl_val *f, const struct tpl_args *args,
                 struct tpl_val *out) {
    switch ((enum tpl_kind)f->kind) {
    case V_FUNC: return ig_tpl_call_func(st, f->u.func, NULL, args, out);
    case V_METHOD: return ig_tpl_call_func(st, f->u.method->func, &f->u.method->self, args, out);
    case V_MACRO: return ig_tpl_call_macro(st, f->u.macro, args, out);
    case V_LOOP: return ig_tpl_call_loop(st, f->u.loop, args, out);
    case V_JOINER: return call_cycler(st, f, args, out);
    case V_UNDEF: return ig_tpl_raise(st, "%s", f->u.undef->message);
    default: return ig_tpl_raise(st, "'%s' object is not callable", ig_tpl_type(f));
    }
}
