/* Statements and what holds the tree together: symbols, nodes, errors. What each kind keeps where:
 *   DATA text            PRINT list of expressions       IF list of IF (a, body), other = else
 *   FOR a target, b iterable, c filter, body, other = else, flag recursive
 *   SET a target, b      SETBLOCK a target, b filters or NULL, body     FILTERBLOCK b filters, body
 *   WITH list of SET, body          SCOPE body (blocks that only group)
 *   MACRO sym, list of PARAM (sym, text, a default), body, flags        CALLBLOCK the same, b the
 * call targets: NAME, TUPLE, NSREF (sym, text) */
#include "chat/tpl_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/hash.h"

static ingle_status parse_body(struct tpl_parser *p, const char *const *ends,
                               struct tpl_node **out);

static ingle_status parse_failv(struct tpl_parser *p, uint32_t line, const char *fmt,
                                va_list args) {
    char what[400];
    vsnprintf(what, sizeof what, fmt, args);
    return ig_fail(p->err, INGLE_BAD_TEMPLATE,
                   "the template's text is wrong; raw completion still works", "line %u: %s",
                   (unsigned)line, what);
}

ingle_status ig_tpl_parse_fail(struct tpl_parser *p, uint32_t line, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    ingle_status s = parse_failv(p, line, fmt, args);
    va_end(args);
    return s;
}

ingle_status ig_tpl_unexpected(struct tpl_parser *p) {
    if (p->at->kind == T_END)
        return ig_tpl_parse_fail(p, p->at->line, "the template ends too early");
    if (p->at->kind == T_BLOCK_END || p->at->kind == T_VAR_END)
        return ig_tpl_parse_fail(p, p->at->line, "the tag ends too early");
    int n = p->at->text.n > 60 ? 60 : (int)p->at->text.n;
    return ig_tpl_parse_fail(p, p->at->line, "unexpected '%.*s'", n, p->at->text.p);
}

ingle_status ig_tpl_node(struct tpl_parser *p, enum tpl_node_kind kind, struct tpl_node **out) {
    struct tpl_node *n = ig_arena_calloc(&p->t->arena, 1, sizeof *n);
    if (!n) return ig_fail_memory(p->err, sizeof *n);
    n->kind = (uint8_t)kind;
    n->line = p->at->line;
    *out = n;
    return INGLE_OK;
}

ingle_status ig_tpl_expect_op(struct tpl_parser *p, uint8_t op, const char *text) {
    if (tpl_skip_op(p, op)) return INGLE_OK;
    if (p->at->kind != T_OP && p->at->kind != T_NAME)
        return ig_tpl_parse_fail(p, p->at->line, "expected '%s'", text);
    return ig_tpl_parse_fail(p, p->at->line, "expected '%s', got '%.*s'", text,
                             (int)(p->at->text.n & 63), p->at->text.p);
}

ingle_status ig_tpl_expect_name(struct tpl_parser *p, struct ig_str *out) {
    if (p->at->kind != T_NAME) return ig_tpl_unexpected(p);
    *out = p->at->text;
    if (out->p[0] >= '0' && out->p[0] <= '9')
        return ig_tpl_parse_fail(p, p->at->line, "Invalid character in identifier");
    p->at++;
    return INGLE_OK;
}

/* ---- Symbols ---- */

static uint32_t *find_slot(const struct ig_template *t, struct ig_str name) {
    uint32_t mask = t->n_index - 1, at = (uint32_t)ig_hash(name.p, name.n, 0) & mask;
    while (t->index[at] && !ig_str_eq(t->symbols[t->index[at] - 1].name, name))
        at = (at + 1) & mask;
    return &t->index[at];
}

uint32_t ig_tpl_symbol_find(const struct ig_template *t, struct ig_str name) {
    uint32_t *slot = t->n_index ? find_slot(t, name) : NULL;
    return slot && *slot ? *slot - 1 : UINT32_MAX;
}

static ingle_status grow_symbols(struct tpl_parser *p) {
    struct ig_template *t = p->t;
    uint32_t cap = t->cap_symbols ? t->cap_symbols * 2 : 64;
    struct tpl_symbol *v = ig_arena_calloc(&t->arena, cap, sizeof *v);
    uint32_t *index = ig_arena_calloc(&t->arena, (size_t)cap * 2, sizeof *index);
    if (!v || !index) return ig_fail_memory(p->err, cap * sizeof *v);
    if (t->n_symbols) memcpy(v, t->symbols, t->n_symbols * sizeof *v);
    t->symbols = v;
    t->cap_symbols = cap;
    t->index = index;
    t->n_index = cap * 2;
    for (uint32_t i = 0; i < t->n_symbols; i++) *find_slot(t, v[i].name) = i + 1;
    return INGLE_OK;
}

ingle_status ig_tpl_symbol(struct tpl_parser *p, struct ig_str name, uint32_t *out) {
    struct ig_template *t = p->t;
    if (t->n_symbols == t->cap_symbols) IG_TRY(grow_symbols(p));
    uint32_t *slot = find_slot(t, name);
    if (!*slot) {
        t->symbols[t->n_symbols] = (struct tpl_symbol){.name = name, .global = ig_tpl_global(name)};
        *slot = ++t->n_symbols;
    }
    *out = *slot - 1;
    return INGLE_OK;
}

/* ---- Pieces of statements ---- */

static void append(struct tpl_node ***tail, struct tpl_node *n) {
    **tail = n;
    *tail = &n->next;
}

/* An expression that stands by itself: unknown filters in it are errors unless it is conditional.
 */
static ingle_status whole_tuple(struct tpl_parser *p, bool with_cond, const char *stop,
                                struct tpl_node **out) {
    IG_TRY(ig_tpl_parse_tuple(p, with_cond, false, stop, out));
    return ig_tpl_check_unknown(p);
}
static ingle_status whole_expr(struct tpl_parser *p, struct tpl_node **out) {
    IG_TRY(ig_tpl_parse_expr(p, true, out));
    return ig_tpl_check_unknown(p);
}

static ingle_status block_end(struct tpl_parser *p) {
    if (p->at->kind != T_BLOCK_END) {
        if (p->at->kind == T_END) return ig_tpl_unexpected(p);
        return ig_tpl_parse_fail(p, p->at->line, "expected the end of the tag, got '%.*s'",
                                 p->at->text.n > 60 ? 60 : (int)p->at->text.n, p->at->text.p);
    }
    p->at++;
    return INGLE_OK;
}

/* The end of a tag that has a body; a colon before it is forgiven. */
static ingle_status body_begins(struct tpl_parser *p) {
    tpl_skip_op(p, ':');
    return block_end(p);
}

/* `body` up to {% end %}, whose tag is consumed */
static ingle_status body_to(struct tpl_parser *p, const char *end, struct tpl_node **out) {
    const char *const ends[] = {end, NULL};
    IG_TRY(body_begins(p));
    IG_TRY(parse_body(p, ends, out));
    p->at++;
    return block_end(p);
}

/* Bodies with a scope of their own are no longer "soft" (see tpl_parse.h). */
static ingle_status hard_body_to(struct tpl_parser *p, const char *end, struct tpl_node **out) {
    unsigned soft = p->soft;
    p->soft = 0;
    IG_TRY(body_to(p, end, out));
    p->soft = soft;
    return INGLE_OK;
}

static ingle_status one_target(struct tpl_parser *p, bool with_ns, struct tpl_node **out) {
    if (with_ns && p->at->kind == T_NAME && p->at[1].kind == T_OP && p->at[1].op == '.') {
        IG_TRY(ig_tpl_node(p, N_NSREF, out));
        struct ig_str name = {0};
        IG_TRY(ig_tpl_expect_name(p, &name));
        IG_TRY(ig_tpl_symbol(p, name, &(*out)->sym));
        p->at++;
        return ig_tpl_expect_name(p, &(*out)->text);
    }
    uint32_t line = p->at->line;
    IG_TRY(ig_tpl_parse_primary(p, out));
    if ((*out)->kind == N_TUPLE) {
        for (const struct tpl_node *n = (*out)->list; n; n = n->next)
            if (n->kind != N_NAME) return ig_tpl_parse_fail(p, line, "can't assign to this");
        return INGLE_OK;
    }
    if ((*out)->kind != N_NAME) return ig_tpl_parse_fail(p, line, "can't assign to this");
    return INGLE_OK;
}

static ingle_status parse_target(struct tpl_parser *p, bool with_ns, const char *stop,
                                 struct tpl_node **out) {
    struct tpl_node *list = NULL, **tail = &list;
    bool comma = false;
    while (p->at->kind != T_BLOCK_END && !(stop && tpl_is_word(p, stop)) && !tpl_is_op(p, ')')) {
        struct tpl_node *n = NULL;
        IG_TRY(one_target(p, with_ns, &n));
        append(&tail, n);
        if (!tpl_skip_op(p, ',')) break;
        comma = true;
    }
    if (!list) return ig_tpl_unexpected(p);
    *out = list;
    if (!comma) return INGLE_OK;
    IG_TRY(ig_tpl_node(p, N_TUPLE, out));
    (*out)->list = list;
    return INGLE_OK;
}

static ingle_status plain_name(struct tpl_parser *p, uint32_t *sym, struct ig_str *text) {
    struct ig_str name = {0};
    uint32_t line = p->at->line;
    IG_TRY(ig_tpl_expect_name(p, &name));
    static const char *const taken[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < 6; i++)
        if (ig_str_is(name, taken[i]))
            return ig_tpl_parse_fail(p, line, "can't assign to '%s'", taken[i]);
    if (text) *text = name;
    return ig_tpl_symbol(p, name, sym);
}

/* (a, b=1) */
static ingle_status parse_signature(struct tpl_parser *p, struct tpl_node *macro) {
    struct tpl_node **tail = &macro->list;
    bool defaults = false;
    IG_TRY(ig_tpl_expect_op(p, '(', "("));
    while (!tpl_is_op(p, ')')) {
        if (macro->list) IG_TRY(ig_tpl_expect_op(p, ',', ","));
        struct tpl_node *param = NULL;
        IG_TRY(ig_tpl_node(p, N_PARAM, &param));
        IG_TRY(plain_name(p, &param->sym, &param->text));
        if (tpl_skip_op(p, '=')) {
            unsigned soft = p->soft;
            p->soft = 0;
            IG_TRY(whole_expr(p, &param->a));
            p->soft = soft;
            defaults = true;
        } else if (defaults) {
            return ig_tpl_parse_fail(p, param->line,
                                     "non-default argument follows default argument");
        }
        append(&tail, param);
    }
    p->at++;
    return INGLE_OK;
}

static ingle_status macro_body(struct tpl_parser *p, struct tpl_node *macro, const char *end) {
    struct tpl_node *outer = p->macro;
    bool loop = p->in_loop;
    macro->other = outer;
    p->macro = macro;
    p->in_loop = false;
    IG_TRY(hard_body_to(p, end, &macro->body));
    p->macro = outer;
    p->in_loop = loop;
    return INGLE_OK;
}

/* ---- Statements; the tag's name is behind us ---- */

static ingle_status parse_if(struct tpl_parser *p, struct tpl_node *n) {
    static const char *const ends[] = {"elif", "else", "endif", NULL};
    struct tpl_node **tail = &n->list;
    p->soft++;
    for (;;) {
        struct tpl_node *branch = NULL;
        IG_TRY(ig_tpl_node(p, N_IF, &branch));
        IG_TRY(whole_tuple(p, false, NULL, &branch->a));
        IG_TRY(body_begins(p));
        IG_TRY(parse_body(p, ends, &branch->body));
        append(&tail, branch);
        if (!tpl_skip_word(p, "elif")) break;
    }
    p->soft--;
    if (tpl_skip_word(p, "else")) {
        p->soft++;
        IG_TRY(body_to(p, "endif", &n->other));
        p->soft--;
        return INGLE_OK;
    }
    p->at++;
    return block_end(p);
}

static ingle_status parse_for(struct tpl_parser *p, struct tpl_node *n) {
    static const char *const ends[] = {"else", "endfor", NULL};
    IG_TRY(parse_target(p, false, "in", &n->a));
    if (!tpl_skip_word(p, "in")) return ig_tpl_unexpected(p);
    unsigned soft = p->soft;
    bool loop = p->in_loop;
    p->soft = 0;
    IG_TRY(whole_tuple(p, false, "recursive", &n->b));
    if (tpl_skip_word(p, "if")) IG_TRY(whole_expr(p, &n->c));
    n->flag = tpl_skip_word(p, "recursive");
    IG_TRY(body_begins(p));
    p->in_loop = true;
    IG_TRY(parse_body(p, ends, &n->body));
    p->in_loop = loop;
    if (tpl_skip_word(p, "else")) {
        IG_TRY(body_to(p, "endfor", &n->other));
    } else {
        p->at++;
        IG_TRY(block_end(p));
    }
    p->soft = soft;
    return INGLE_OK;
}

static ingle_status parse_set(struct tpl_parser *p, struct tpl_node *n) {
    IG_TRY(parse_target(p, true, NULL, &n->a));
    if (tpl_skip_op(p, '=')) {
        IG_TRY(whole_tuple(p, true, NULL, &n->b));
        return block_end(p);
    }
    n->kind = N_SETBLOCK;
    if (tpl_is_op(p, '|')) IG_TRY(ig_tpl_parse_filters(p, false, &n->b));
    IG_TRY(ig_tpl_check_unknown(p));
    return hard_body_to(p, "endset", &n->body);
}

static ingle_status parse_macro(struct tpl_parser *p, struct tpl_node *n) {
    IG_TRY(plain_name(p, &n->sym, &n->text));
    IG_TRY(parse_signature(p, n));
    return macro_body(p, n, "endmacro");
}

static ingle_status parse_call(struct tpl_parser *p, struct tpl_node *n) {
    if (tpl_is_op(p, '(')) IG_TRY(parse_signature(p, n));
    uint32_t line = p->at->line;
    IG_TRY(whole_expr(p, &n->b));
    const struct tpl_node *last = n->b->kind == N_POST ? n->b->list : NULL;
    while (last && last->next) last = last->next;
    if (!last || last->kind != N_CALL) return ig_tpl_parse_fail(p, line, "expected call");
    n->text = IG_STR("caller");
    return macro_body(p, n, "endcall");
}

static ingle_status parse_with(struct tpl_parser *p, struct tpl_node *n) {
    struct tpl_node **tail = &n->list;
    while (p->at->kind != T_BLOCK_END) {
        if (n->list) IG_TRY(ig_tpl_expect_op(p, ',', ","));
        struct tpl_node *set = NULL;
        IG_TRY(ig_tpl_node(p, N_SET, &set));
        IG_TRY(one_target(p, false, &set->a));
        IG_TRY(ig_tpl_expect_op(p, '=', "="));
        IG_TRY(whole_expr(p, &set->b));
        append(&tail, set);
    }
    return hard_body_to(p, "endwith", &n->body);
}

static ingle_status parse_print(struct tpl_parser *p, struct tpl_node *n) {
    struct tpl_node **tail = &n->list;
    while (p->at->kind != T_BLOCK_END) {
        if (n->list) IG_TRY(ig_tpl_expect_op(p, ',', ","));
        struct tpl_node *e = NULL;
        IG_TRY(whole_expr(p, &e));
        append(&tail, e);
    }
    return block_end(p);
}

static ingle_status parse_jump(struct tpl_parser *p, struct tpl_node *n) {
    if (!p->in_loop)
        return ig_tpl_parse_fail(p, n->line, "'%s' outside loop",
                                 n->kind == N_BREAK ? "break" : "continue");
    return block_end(p);
}

static ingle_status parse_generation(struct tpl_parser *p, struct tpl_node *n) {
    return hard_body_to(p, "endgeneration", &n->body);
}

static ingle_status parse_block(struct tpl_parser *p, struct tpl_node *n) {
    struct ig_str name = {0};
    IG_TRY(ig_tpl_expect_name(p, &name));
    tpl_skip_word(p, "scoped");
    const char *const ends[] = {"endblock", NULL};
    unsigned soft = p->soft;
    p->soft = 0;
    IG_TRY(block_end(p));
    IG_TRY(parse_body(p, ends, &n->body));
    p->soft = soft;
    p->at++;
    if (p->at->kind == T_NAME && ig_str_eq(p->at->text, name)) p->at++;
    return block_end(p);
}

static ingle_status parse_filter_block(struct tpl_parser *p, struct tpl_node *n) {
    IG_TRY(ig_tpl_parse_filters(p, true, &n->b));
    IG_TRY(ig_tpl_check_unknown(p));
    return hard_body_to(p, "endfilter", &n->body);
}

static const struct {
    const char *name;
    enum tpl_node_kind kind;
    ingle_status (*parse)(struct tpl_parser *p, struct tpl_node *n);
} statements[] = {
    {"if", N_IF, parse_if},
    {"for", N_FOR, parse_for},
    {"set", N_SET, parse_set},
    {"macro", N_MACRO, parse_macro},
    {"call", N_CALLBLOCK, parse_call},
    {"filter", N_FILTERBLOCK, parse_filter_block},
    {"with", N_WITH, parse_with},
    {"print", N_PRINT, parse_print},
    {"break", N_BREAK, parse_jump},
    {"continue", N_CONTINUE, parse_jump},
    {"generation", N_SCOPE, parse_generation},
    {"block", N_SCOPE, parse_block},
};

static ingle_status parse_statement(struct tpl_parser *p, struct tpl_node **out) {
    if (p->at->kind != T_NAME) return ig_tpl_parse_fail(p, p->at->line, "tag name expected");
    struct ig_str name = p->at->text;
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        if (!ig_str_is(name, statements[i].name)) continue;
        if (++p->depth > TPL_PARSE_DEPTH)
            return ig_tpl_parse_fail(p, p->at->line, "nested too deeply");
        IG_TRY(ig_tpl_node(p, statements[i].kind, out));
        p->at++;
        IG_TRY(statements[i].parse(p, *out));
        p->depth--;
        return INGLE_OK;
    }
    static const char *const refused[] = {"include", "import", "from", "extends"};
    for (size_t i = 0; i < 4; i++)
        if (ig_str_is(name, refused[i]))
            return ig_tpl_parse_fail(
                p, p->at->line, "'%s' is not allowed: a template cannot read files", refused[i]);
    return ig_tpl_parse_fail(p, p->at->line, "Encountered unknown tag '%.*s'.",
                             name.n > 60 ? 60 : (int)name.n, name.p);
}

static ingle_status parse_output(struct tpl_parser *p, struct tpl_node **out) {
    IG_TRY(ig_tpl_node(p, N_PRINT, out));
    p->at++;
    IG_TRY(whole_tuple(p, true, NULL, &(*out)->list));
    if (p->at->kind != T_VAR_END)
        return p->at->kind == T_BLOCK_END ? ig_tpl_expect_op(p, '}', "}}") : ig_tpl_unexpected(p);
    p->at++;
    return INGLE_OK;
}

static bool at_end(const struct tpl_parser *p, const char *const *ends) {
    for (; ends && *ends; ends++)
        if (p->at[1].kind == T_NAME && ig_str_is(p->at[1].text, *ends)) return true;
    return false;
}

/* Up to a tag whose name is one of `ends` (p->at is then that name), or the end of the template. */
static ingle_status parse_body(struct tpl_parser *p, const char *const *ends,
                               struct tpl_node **out) {
    struct tpl_node **tail = out;
    while (p->at->kind != T_END) {
        struct tpl_node *n = NULL;
        if (p->at->kind == T_DATA) {
            IG_TRY(ig_tpl_node(p, N_DATA, &n));
            n->text = p->at++->text;
        } else if (p->at->kind == T_VAR_BEGIN) {
            IG_TRY(parse_output(p, &n));
        } else {
            if (at_end(p, ends)) {
                p->at++;
                return INGLE_OK;
            }
            p->at++;
            IG_TRY(parse_statement(p, &n));
        }
        append(&tail, n);
    }
    if (!ends) return INGLE_OK;
    const char *last = ends[0];
    while (*ends) last = *ends++;
    return ig_tpl_parse_fail(p, p->at->line, "the template ends, but '%s' is missing", last);
}

ingle_status ig_tpl_parse(struct ig_template *t, ingle_error *err) {
    struct tpl_token *tokens;
    size_t n;
    IG_TRY(ig_tpl_lex(&t->arena, t->source, &tokens, &n, err));
    struct tpl_parser p = {.t = t, .at = tokens, .end = tokens + n - 1, .err = err};
    IG_TRY(ig_tpl_symbol(&p, IG_STR("loop"), &t->sym_loop));
    IG_TRY(ig_tpl_symbol(&p, IG_STR("caller"), &t->sym_caller));
    IG_TRY(ig_tpl_symbol(&p, IG_STR("varargs"), &t->sym_varargs));
    IG_TRY(ig_tpl_symbol(&p, IG_STR("kwargs"), &t->sym_kwargs));
    return parse_body(&p, NULL, &t->body);
}
