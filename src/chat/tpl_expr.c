/* Expressions, by jinja2's grammar: conditional, or, and, not, comparison, + -, ~, * / // %, **,
 * sign, then steps (.name [key] (args) |filter is test).
 *
 * Chains of one level are lists, not nested trees, so evaluating never goes deeper than brackets
 * nest; what each kind keeps where: COND a if b else c (c may be NULL)       OR AND CONCAT TUPLE
 * LIST DICT list     PAIR a: b COMPARE ARITH a, then list of OPERAND (op, a)      NOT NEG POS a
 * CONST value     NAME sym POST a, then list of steps:  ATTR text   ITEM a   SLICE a:b:c   CALL
 * list of arguments FILTER TEST text, func (NULL: unknown), list of arguments */
#include "chat/tpl_parse.h"

#include <stdio.h>

static ingle_status parse_unary(struct tpl_parser *p, bool with_filter, struct tpl_node **out);

static void append(struct tpl_node ***tail, struct tpl_node *n) {
    **tail = n;
    *tail = &n->next;
}

static ingle_status expr(struct tpl_parser *p, struct tpl_node **out) {
    return ig_tpl_parse_expr(p, true, out);
}

/* ---- Arguments ---- */

static ingle_status parse_argument(struct tpl_parser *p, enum tpl_node_kind *seen,
                                   struct tpl_node **out) {
    uint32_t line = p->at->line;
    enum tpl_node_kind kind = N_CONST; /* a plain one */
    struct ig_str name = {0};
    if (tpl_skip_op(p, '*'))
        kind = N_STAR;
    else if (tpl_skip_op(p, TWO_POW))
        kind = N_STARSTAR;
    else if (p->at->kind == T_NAME && p->at[1].kind == T_OP && p->at[1].op == '=') {
        kind = N_KW;
        name = p->at->text;
        p->at += 2;
    }
    if (*seen == N_STARSTAR || (kind == N_CONST && *seen != N_CONST) ||
        (kind == N_STAR && *seen == N_STAR))
        return ig_tpl_parse_fail(p, line, "invalid syntax for function call expression");
    if (kind != N_KW || *seen == N_CONST) *seen = kind;
    if (kind == N_CONST) return expr(p, out);
    IG_TRY(ig_tpl_node(p, kind, out));
    (*out)->text = name;
    return expr(p, &(*out)->a);
}

/* ( ... ) */
static ingle_status parse_args(struct tpl_parser *p, struct tpl_node **list) {
    struct tpl_node **tail = list;
    enum tpl_node_kind seen = N_CONST;
    bool comma = false;
    IG_TRY(ig_tpl_expect_op(p, '(', "("));
    while (!tpl_is_op(p, ')')) {
        if (comma) {
            IG_TRY(ig_tpl_expect_op(p, ',', ","));
            if (tpl_is_op(p, ')')) break;
        }
        struct tpl_node *n = NULL;
        IG_TRY(parse_argument(p, &seen, &n));
        append(&tail, n);
        comma = true;
    }
    return ig_tpl_expect_op(p, ')', ")");
}

/* ---- Steps ---- */

static ingle_status dotted_name(struct tpl_parser *p, struct ig_str *out) {
    IG_TRY(ig_tpl_expect_name(p, out));
    while (tpl_skip_op(p, '.')) {
        struct ig_str more;
        IG_TRY(ig_tpl_expect_name(p, &more));
        struct ig_buf b = {.mem = p->t->mem};
        ig_buf_f(&b, "%.*s.%.*s", (int)out->n, out->p, (int)more.n, more.p);
        char *copy = b.failed ? NULL : ig_arena_copy(&p->t->arena, b.p, b.n);
        *out = (struct ig_str){copy, b.n};
        ig_buf_free(&b);
        if (!copy) return ig_fail_memory(p->err, out->n);
    }
    return INGLE_OK;
}

static void note_unknown(struct tpl_parser *p, const struct tpl_node *n, const char *what) {
    if (n->func || p->soft || p->unknown_what) return;
    p->unknown_what = what;
    p->unknown = n->text;
    p->unknown_line = n->line;
}

ingle_status ig_tpl_check_unknown(struct tpl_parser *p) {
    if (!p->unknown_what) return INGLE_OK;
    return ig_tpl_parse_fail(p, p->unknown_line, "No %s named '%.*s'.", p->unknown_what,
                             (int)p->unknown.n, p->unknown.p);
}

static ingle_status parse_filter(struct tpl_parser *p, struct tpl_node **out) {
    IG_TRY(ig_tpl_node(p, N_FILTER, out));
    IG_TRY(dotted_name(p, &(*out)->text));
    (*out)->func = ig_tpl_filter((*out)->text);
    note_unknown(p, *out, "filter");
    return tpl_is_op(p, '(') ? parse_args(p, &(*out)->list) : INGLE_OK;
}

ingle_status ig_tpl_parse_filters(struct tpl_parser *p, bool first, struct tpl_node **out) {
    IG_TRY(ig_tpl_node(p, N_POST, out));
    struct tpl_node **tail = &(*out)->list;
    while (first || tpl_is_op(p, '|')) {
        if (!first) p->at++;
        first = false;
        struct tpl_node *n = NULL;
        IG_TRY(parse_filter(p, &n));
        append(&tail, n);
    }
    return INGLE_OK;
}

static ingle_status parse_postfix(struct tpl_parser *p, struct tpl_node **node);

/* `is` is behind us */
static ingle_status parse_test(struct tpl_parser *p, struct tpl_node **out) {
    IG_TRY(ig_tpl_node(p, N_TEST, out));
    (*out)->flag = tpl_skip_word(p, "not");
    IG_TRY(dotted_name(p, &(*out)->text));
    (*out)->func = ig_tpl_test((*out)->text);
    note_unknown(p, *out, "test");
    if (tpl_is_op(p, '(')) return parse_args(p, &(*out)->list);
    enum tpl_tok kind = p->at->kind;
    bool starts = kind == T_NAME || kind == T_STRING || kind == T_INT || kind == T_FLOAT ||
                  tpl_is_op(p, '[') || tpl_is_op(p, '{');
    if (!starts || tpl_is_word(p, "else") || tpl_is_word(p, "or") || tpl_is_word(p, "and"))
        return INGLE_OK;
    if (tpl_is_word(p, "is"))
        return ig_tpl_parse_fail(p, p->at->line, "You cannot chain multiple tests with is");
    IG_TRY(ig_tpl_parse_primary(p, &(*out)->list));
    return parse_postfix(p, &(*out)->list);
}

static ingle_status parse_subscribed(struct tpl_parser *p, struct tpl_node **out) {
    struct tpl_node *start = NULL, *slice = NULL;
    if (!tpl_is_op(p, ':')) {
        IG_TRY(expr(p, &start));
        *out = start;
        if (!tpl_is_op(p, ':')) return INGLE_OK;
    }
    IG_TRY(ig_tpl_node(p, N_SLICE, &slice));
    *out = slice;
    slice->a = start;
    p->at++;
    if (!tpl_is_op(p, ':') && !tpl_is_op(p, ']') && !tpl_is_op(p, ',')) IG_TRY(expr(p, &slice->b));
    if (tpl_skip_op(p, ':') && !tpl_is_op(p, ']') && !tpl_is_op(p, ',')) IG_TRY(expr(p, &slice->c));
    return INGLE_OK;
}

/* `[` is behind us */
static ingle_status parse_subscript(struct tpl_parser *p, struct tpl_node **out) {
    struct tpl_node *tuple, **tail, *only = NULL;
    size_t n = 0;
    IG_TRY(ig_tpl_node(p, N_TUPLE, &tuple));
    tail = &tuple->list;
    while (!tpl_is_op(p, ']')) {
        if (n++) IG_TRY(ig_tpl_expect_op(p, ',', ","));
        only = NULL;
        IG_TRY(parse_subscribed(p, &only));
        append(&tail, only);
    }
    p->at++;
    if (n == 1 && only->kind == N_SLICE) {
        *out = only;
        return INGLE_OK;
    }
    IG_TRY(ig_tpl_node(p, N_ITEM, out));
    (*out)->a = n == 1 ? only : tuple;
    return INGLE_OK;
}

/* `.` is behind us */
static ingle_status parse_dot(struct tpl_parser *p, struct tpl_node **out) {
    if (p->at->kind == T_INT) {
        struct tpl_node *key = NULL;
        IG_TRY(ig_tpl_node(p, N_CONST, &key));
        key->value = tpl_int(p->at->i);
        IG_TRY(ig_tpl_node(p, N_ITEM, out));
        (*out)->a = key;
        p->at++;
        return INGLE_OK;
    }
    IG_TRY(ig_tpl_node(p, N_ATTR, out));
    if (p->at->kind != T_NAME) return ig_tpl_parse_fail(p, p->at->line, "expected name or number");
    (*out)->text = p->at++->text;
    return INGLE_OK;
}

/* Appends the steps that stand here to *node, making it a POST. */
static ingle_status parse_steps(struct tpl_parser *p, bool filters, struct tpl_node **node) {
    struct tpl_node *post = NULL, **tail = NULL;
    for (;;) {
        struct tpl_node *step = NULL;
        bool dot = !filters && tpl_is_op(p, '.'), bracket = !filters && tpl_is_op(p, '[');
        bool call = tpl_is_op(p, '('), bar = filters && tpl_is_op(p, '|'),
             is = filters && tpl_is_word(p, "is");
        if (!dot && !bracket && !call && !bar && !is) return INGLE_OK;
        if (call) {
            IG_TRY(ig_tpl_node(p, N_CALL, &step));
            IG_TRY(parse_args(p, &step->list));
        } else {
            p->at++;
            if (dot)
                IG_TRY(parse_dot(p, &step));
            else if (bracket)
                IG_TRY(parse_subscript(p, &step));
            else if (bar)
                IG_TRY(parse_filter(p, &step));
            else
                IG_TRY(parse_test(p, &step));
        }
        if (!post) {
            if ((*node)->kind == N_POST && (*node)->a) {
                post = *node;
                for (tail = &post->list; *tail; tail = &(*tail)->next) {
                }
            } else {
                IG_TRY(ig_tpl_node(p, N_POST, &post));
                post->a = *node;
                *node = post;
                tail = &post->list;
            }
        }
        append(&tail, step);
    }
}

static ingle_status parse_postfix(struct tpl_parser *p, struct tpl_node **node) {
    return parse_steps(p, false, node);
}

/* ---- Literals ---- */

static ingle_status parse_strings(struct tpl_parser *p, struct tpl_node **out) {
    struct ig_buf b = {.mem = p->t->mem};
    while (p->at->kind == T_STRING) ig_buf_str(&b, p->at++->text);
    struct tpl_str *s = b.failed ? NULL : ig_arena_calloc(&p->t->arena, 1, sizeof *s);
    char *copy = s ? ig_arena_copy(&p->t->arena, b.p ? b.p : "", b.n) : NULL;
    if (copy) {
        *s = (struct tpl_str){.p = copy, .n = b.n, .chars = SIZE_MAX};
        ig_tpl_chars(s); /* now: the tree is shared between threads */
    }
    ig_buf_free(&b);
    if (!copy) return ig_fail_memory(p->err, sizeof *s);
    IG_TRY(ig_tpl_node(p, N_CONST, out));
    (*out)->value = (struct tpl_val){.kind = V_STR, .u.s = s};
    return INGLE_OK;
}

static ingle_status parse_name(struct tpl_parser *p, struct tpl_node **out) {
    struct ig_str name = p->at->text;
    static const char *const words[] = {"true", "True", "false", "False", "none", "None"};
    for (size_t i = 0; i < 6; i++) {
        if (!ig_str_is(name, words[i])) continue;
        IG_TRY(ig_tpl_node(p, N_CONST, out));
        (*out)->value = i < 4 ? tpl_bool(i < 2) : tpl_none();
        p->at++;
        return INGLE_OK;
    }
    IG_TRY(ig_tpl_expect_name(p, &name));
    IG_TRY(ig_tpl_node(p, N_NAME, out));
    IG_TRY(ig_tpl_symbol(p, name, &(*out)->sym));
    p->t->symbols[(*out)->sym].read = true;
    uint32_t sym = (*out)->sym;
    for (struct tpl_node *m = p->macro; m;
         m = m->other) { /* nested macros count for those around them */
        m->flag |= sym == p->t->sym_varargs;
        m->flag2 |= sym == p->t->sym_kwargs;
        m->flag3 |= sym == p->t->sym_caller;
    }
    return INGLE_OK;
}

static ingle_status parse_dict(struct tpl_parser *p, struct tpl_node **out) {
    IG_TRY(ig_tpl_node(p, N_DICT, out));
    struct tpl_node **tail = &(*out)->list;
    p->at++;
    while (!tpl_is_op(p, '}')) {
        if ((*out)->list) {
            IG_TRY(ig_tpl_expect_op(p, ',', ","));
            if (tpl_is_op(p, '}')) break;
        }
        struct tpl_node *pair = NULL;
        IG_TRY(ig_tpl_node(p, N_PAIR, &pair));
        IG_TRY(expr(p, &pair->a));
        IG_TRY(ig_tpl_expect_op(p, ':', ":"));
        IG_TRY(expr(p, &pair->b));
        append(&tail, pair);
    }
    p->at++;
    return INGLE_OK;
}

static ingle_status parse_list(struct tpl_parser *p, struct tpl_node **out) {
    IG_TRY(ig_tpl_node(p, N_LIST, out));
    struct tpl_node **tail = &(*out)->list;
    p->at++;
    while (!tpl_is_op(p, ']')) {
        if ((*out)->list) {
            IG_TRY(ig_tpl_expect_op(p, ',', ","));
            if (tpl_is_op(p, ']')) break;
        }
        struct tpl_node *item = NULL;
        IG_TRY(expr(p, &item));
        append(&tail, item);
    }
    p->at++;
    return INGLE_OK;
}

ingle_status ig_tpl_parse_primary(struct tpl_parser *p, struct tpl_node **out) {
    enum tpl_tok kind = p->at->kind;
    if (kind == T_NAME) return parse_name(p, out);
    if (kind == T_STRING) return parse_strings(p, out);
    if (kind == T_INT || kind == T_FLOAT) {
        IG_TRY(ig_tpl_node(p, N_CONST, out));
        (*out)->value = kind == T_INT ? tpl_int(p->at->i) : tpl_float(p->at->f);
        p->at++;
        return INGLE_OK;
    }
    if (tpl_is_op(p, '[')) return parse_list(p, out);
    if (tpl_is_op(p, '{')) return parse_dict(p, out);
    if (!tpl_skip_op(p, '(')) return ig_tpl_unexpected(p);
    IG_TRY(ig_tpl_parse_tuple(p, true, true, NULL, out));
    return ig_tpl_expect_op(p, ')', ")");
}

/* ---- Operators ---- */

static ingle_status parse_unary(struct tpl_parser *p, bool with_filter, struct tpl_node **out) {
    if (tpl_is_op(p, '-') || tpl_is_op(p, '+')) {
        if (++p->depth > TPL_PARSE_DEPTH)
            return ig_tpl_parse_fail(p, p->at->line, "nested too deeply");
        IG_TRY(ig_tpl_node(p, p->at->op == '-' ? N_NEG : N_POS, out));
        p->at++;
        IG_TRY(parse_unary(p, false, &(*out)->a));
        p->depth--;
    } else {
        IG_TRY(ig_tpl_parse_primary(p, out));
    }
    IG_TRY(parse_postfix(p, out));
    return with_filter ? parse_steps(p, true, out) : INGLE_OK;
}

/* The binary operators, each level binding tighter than the one before. One function climbs through
 * all of them: a bracket costs one stack frame here, not five. */
enum level { LEVEL_ADD, LEVEL_CONCAT, LEVEL_MUL, LEVEL_POW, LEVEL_UNARY };

static enum tpl_op op_at(const struct tpl_parser *p, int level) {
    if (p->at->kind != T_OP) return OP_NONE;
    uint8_t op = p->at->op;
    if (level == LEVEL_ADD) return op == '+' ? OP_ADD : op == '-' ? OP_SUB : OP_NONE;
    if (level == LEVEL_CONCAT) return op == '~' ? OP_CONCAT : OP_NONE;
    if (level == LEVEL_POW) return op == TWO_POW ? OP_POW : OP_NONE;
    return op == '*'            ? OP_MUL
           : op == '/'          ? OP_DIV
           : op == TWO_FLOORDIV ? OP_FLOORDIV
           : op == '%'          ? OP_MOD
                                : OP_NONE;
}

static ingle_status parse_level(struct tpl_parser *p, int lowest, struct tpl_node **out);

/* *out and what follows it with operators of this very level */
static ingle_status parse_chain(struct tpl_parser *p, int level, struct tpl_node **out) {
    struct tpl_node *first = *out, **tail, *n = NULL;
    bool concat = level == LEVEL_CONCAT;
    IG_TRY(ig_tpl_node(p, concat ? N_CONCAT : N_ARITH, out));
    tail = &(*out)->list;
    if (concat)
        append(&tail, first);
    else
        (*out)->a = first;
    for (enum tpl_op op; (op = op_at(p, level)) != OP_NONE;) {
        struct tpl_node *operand = NULL;
        if (!concat) IG_TRY(ig_tpl_node(p, N_OPERAND, &n));
        p->at++;
        IG_TRY(parse_level(p, level + 1, &operand));
        if (concat) {
            n = operand;
        } else {
            n->op = (uint8_t)op;
            n->a = operand;
        }
        append(&tail, n);
    }
    return INGLE_OK;
}

static ingle_status parse_level(struct tpl_parser *p, int lowest, struct tpl_node **out) {
    IG_TRY(parse_unary(p, true, out));
    for (int level = LEVEL_POW; level >= lowest; level--)
        if (op_at(p, level) != OP_NONE) IG_TRY(parse_chain(p, level, out));
    return INGLE_OK;
}

static enum tpl_op compare_at(struct tpl_parser *p) {
    if (tpl_is_word(p, "in")) return OP_IN;
    if (tpl_is_word(p, "not") && p->at[1].kind == T_NAME && ig_str_is(p->at[1].text, "in")) {
        p->at++;
        return OP_NOTIN;
    }
    if (p->at->kind != T_OP) return OP_NONE;
    switch (p->at->op) {
    case TWO_EQ: return OP_EQ;
    case TWO_NE: return OP_NE;
    case '<': return OP_LT;
    case TWO_LE: return OP_LE;
    case '>': return OP_GT;
    case TWO_GE: return OP_GE;
    default: return OP_NONE;
    }
}

static ingle_status parse_compare(struct tpl_parser *p, struct tpl_node **out) {
    IG_TRY(parse_level(p, LEVEL_ADD, out));
    struct tpl_node *first = *out, **tail = NULL, *n = NULL;
    for (enum tpl_op op; (op = compare_at(p)) != OP_NONE;) {
        if (!tail) {
            IG_TRY(ig_tpl_node(p, N_COMPARE, out));
            (*out)->a = first;
            tail = &(*out)->list;
        }
        IG_TRY(ig_tpl_node(p, N_OPERAND, &n));
        n->op = (uint8_t)op;
        p->at++;
        IG_TRY(parse_level(p, LEVEL_ADD, &n->a));
        append(&tail, n);
    }
    return INGLE_OK;
}

static ingle_status parse_not(struct tpl_parser *p, struct tpl_node **out) {
    if (!tpl_is_word(p, "not")) return parse_compare(p, out);
    if (++p->depth > TPL_PARSE_DEPTH) return ig_tpl_parse_fail(p, p->at->line, "nested too deeply");
    IG_TRY(ig_tpl_node(p, N_NOT, out));
    p->at++;
    IG_TRY(parse_not(p, &(*out)->a));
    p->depth--;
    return INGLE_OK;
}

static ingle_status parse_logic(struct tpl_parser *p, bool is_or, struct tpl_node **out) {
    IG_TRY(is_or ? parse_logic(p, false, out) : parse_not(p, out));
    if (!tpl_is_word(p, is_or ? "or" : "and")) return INGLE_OK;
    struct tpl_node *first = *out;
    IG_TRY(ig_tpl_node(p, is_or ? N_OR : N_AND, out));
    struct tpl_node **tail = &(*out)->list;
    append(&tail, first);
    while (tpl_skip_word(p, is_or ? "or" : "and")) {
        struct tpl_node *n = NULL;
        IG_TRY(is_or ? parse_logic(p, false, &n) : parse_not(p, &n));
        append(&tail, n);
    }
    return INGLE_OK;
}

static ingle_status parse_cond(struct tpl_parser *p, struct tpl_node **out) {
    const char *known = p->unknown_what;
    IG_TRY(parse_logic(p, true, out));
    while (tpl_skip_word(p, "if")) {
        struct tpl_node *cond = NULL;
        p->unknown_what = known; /* a conditional excuses its parts */
        p->soft++;
        IG_TRY(ig_tpl_node(p, N_COND, &cond));
        cond->a = *out;
        IG_TRY(parse_logic(p, true, &cond->b));
        if (tpl_skip_word(p, "else")) IG_TRY(ig_tpl_parse_expr(p, true, &cond->c));
        *out = cond;
        p->soft--;
    }
    return INGLE_OK;
}

ingle_status ig_tpl_parse_expr(struct tpl_parser *p, bool with_cond, struct tpl_node **out) {
    p->depth += TPL_EXPR_DEPTH;
    if (p->depth > TPL_PARSE_DEPTH) return ig_tpl_parse_fail(p, p->at->line, "nested too deeply");
    IG_TRY(with_cond ? parse_cond(p, out) : parse_logic(p, true, out));
    p->depth -= TPL_EXPR_DEPTH;
    return INGLE_OK;
}

static bool tuple_ends(const struct tpl_parser *p, const char *stop) {
    return p->at->kind == T_VAR_END || p->at->kind == T_BLOCK_END || tpl_is_op(p, ')') ||
           (stop && tpl_is_word(p, stop));
}

ingle_status ig_tpl_parse_tuple(struct tpl_parser *p, bool with_cond, bool empty_ok,
                                const char *stop, struct tpl_node **out) {
    struct tpl_node *list = NULL, **tail = &list;
    bool comma = false;
    while (!tuple_ends(p, stop)) {
        struct tpl_node *n = NULL;
        IG_TRY(ig_tpl_parse_expr(p, with_cond, &n));
        append(&tail, n);
        if (!tpl_skip_op(p, ',')) break;
        comma = true;
    }
    if (!comma && list) {
        *out = list;
        return INGLE_OK;
    }
    if (!list && !empty_ok) return ig_tpl_parse_fail(p, p->at->line, "Expected an expression");
    IG_TRY(ig_tpl_node(p, N_TUPLE, out));
    (*out)->list = list;
    return INGLE_OK;
}
