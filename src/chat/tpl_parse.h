/* What the statement parser (tpl_parse.c) and the expression parser (tpl_expr.c) share. */
#ifndef IG_TPL_PARSE_H
#define IG_TPL_PARSE_H

#include "chat/tpl.h"

/* Levels of nesting. A bracket takes as much of the C stack as two statements: all of it fits into
 * 100 KB. */
enum { TPL_PARSE_DEPTH = 200, TPL_EXPR_DEPTH = 2 };

struct tpl_parser {
    struct ig_template *t;
    const struct tpl_token *at, *end; /* `end` is the T_END token */
    unsigned depth;
    unsigned
        soft; /* inside {% if %}: jinja2 looks for unknown filters and tests only when they run */
    bool in_loop;
    const char *unknown_what; /* the first unknown filter or test that nothing has excused yet */
    struct ig_str unknown;
    uint32_t unknown_line;
    struct tpl_node *macro; /* whose body is being parsed */
    ingle_error *err;
};

ingle_status ig_tpl_parse_fail(struct tpl_parser *p, uint32_t line, const char *fmt, ...)
    IG_PRINTF(3, 4);
ingle_status ig_tpl_node(struct tpl_parser *p, enum tpl_node_kind kind, struct tpl_node **out);
ingle_status ig_tpl_symbol(struct tpl_parser *p, struct ig_str name, uint32_t *out);

static inline bool tpl_is_op(const struct tpl_parser *p, uint8_t op) {
    return p->at->kind == T_OP && p->at->op == op;
}
static inline bool tpl_is_word(const struct tpl_parser *p, const char *word) {
    return p->at->kind == T_NAME && ig_str_is(p->at->text, word);
}
static inline bool tpl_skip_op(struct tpl_parser *p, uint8_t op) {
    return tpl_is_op(p, op) ? p->at++, true : false;
}
static inline bool tpl_skip_word(struct tpl_parser *p, const char *word) {
    return tpl_is_word(p, word) ? p->at++, true : false;
}
ingle_status ig_tpl_expect_op(struct tpl_parser *p, uint8_t op, const char *text);
ingle_status ig_tpl_expect_name(struct tpl_parser *p, struct ig_str *out);
ingle_status ig_tpl_unexpected(struct tpl_parser *p);

/* a if b else c, or without the conditional */
ingle_status ig_tpl_parse_expr(struct tpl_parser *p, bool with_cond, struct tpl_node **out);
/* a, b, c: a tuple if there is a comma. `stop` is a word that ends it, or NULL. */
ingle_status ig_tpl_parse_tuple(struct tpl_parser *p, bool with_cond, bool empty_ok,
                                const char *stop, struct tpl_node **out);
/* |name(args)|... as steps of an N_POST whose base stays NULL; `first`: no bar before the first */
ingle_status ig_tpl_parse_filters(struct tpl_parser *p, bool first, struct tpl_node **out);
ingle_status ig_tpl_parse_primary(struct tpl_parser *p, struct tpl_node **out);
/* name(args) ... any expression, as after {% call %} */
ingle_status ig_tpl_check_unknown(struct tpl_parser *p);

#endif
