/* The inside of the template engine: tree, values, the state of one rendering. Only files named
 * tpl_*.c and template.c include it.
 *
 * Functions return false when rendering must stop; ig_tpl_raise has then been called. Values live
 * in the rendering's arena until it ends and are immutable (only namespaces, generators and cyclers
 * change), so they are shared freely. */
#ifndef IG_TPL_H
#define IG_TPL_H

#include "base/json.h"
#include "chat/template.h"

struct tpl_st;
struct tpl_node;
struct tpl_val;
struct tpl_args;

/* ---- Values
 * ----------------------------------------------------------------------------------------------------
 */

enum tpl_kind {
    V_MISSING, /* an argument that was not given; never seen by templates */
    V_UNDEF,
    V_NONE,
    V_BOOL,
    V_INT,
    V_FLOAT,
    V_STR,
    V_LIST,
    V_TUPLE,
    V_DICT,
    V_VIEW, /* d.items(), d.keys(), d.values() */
    V_GEN,  /* what can be read once: map(), select(), reverse() ... */
    V_RANGE,
    V_NS, /* namespace() */
    V_MACRO,
    V_METHOD, /* "abc".upper */
    V_FUNC,   /* range, dict, raise_exception ... */
    V_LOOP,
    V_CYCLER,
    V_JOINER
};

struct tpl_val {
    uint8_t kind;
    union {
        bool b;
        int64_t i;
        double f;
        struct tpl_str *s;
        struct tpl_list *l; /* also TUPLE */
        struct tpl_dict *d; /* also NS */
        struct tpl_view *view;
        struct tpl_gen *gen;
        struct tpl_range *range;
        struct tpl_undef *undef;
        struct tpl_macro *macro;
        struct tpl_method *method;
        const struct tpl_func *func;
        struct tpl_loop *loop;
        struct tpl_cycler *cycler;
    } u;
};

/* Text that grows; a string that was built by appending keeps its builder, so that s = s + x costs
 * x. */
struct tpl_sb {
    struct tpl_st *st;
    char *p;
    uint8_t *marks; /* NULL while all bytes have the origin `input` */
    size_t n, cap, max;
    bool input;
};

struct tpl_str {
    const char *p; /* UTF-8 */
    size_t n;
    size_t chars;         /* code points; SIZE_MAX: not counted yet */
    const uint8_t *marks; /* origin of each byte, or NULL: all bytes have the origin `input` */
    bool input, safe;     /* safe: markupsafe's Markup */
    struct tpl_sb *tail;
};

struct tpl_list {
    struct tpl_val *v;
    size_t n, cap;
};
struct tpl_pair {
    struct tpl_val key, value;
    uint64_t hash;
};
struct tpl_dict {
    struct tpl_pair *v;
    size_t n, cap;
    uint32_t *index; /* open addressing, entry number + 1; NULL while small */
    size_t n_index;
};
enum tpl_view_kind { VIEW_ITEMS, VIEW_KEYS, VIEW_VALUES };
struct tpl_view {
    struct tpl_dict *d;
    enum tpl_view_kind what;
};
struct tpl_gen {
    struct tpl_list *l;
    size_t at;
    const char *type; /* Python's name of the type */
};
struct tpl_range {
    int64_t start, stop, step;
    size_t n;
};
struct tpl_undef {
    const char *message; /* what reading it further raises */
};
struct tpl_macro {
    const struct tpl_node *node; /* N_MACRO or N_CALLBLOCK */
    struct tpl_scope *scope;     /* where it was defined */
};
struct tpl_method {
    struct tpl_val self;
    const struct tpl_func *func;
};
struct tpl_loop {
    const struct tpl_node *node; /* N_FOR */
    struct tpl_scope *scope;     /* outside the loop */
    struct tpl_list *items;
    size_t at;
    size_t depth0;
    struct tpl_val changed; /* last arguments of loop.changed(), as a tuple */
};
struct tpl_cycler {
    struct tpl_val items; /* TUPLE; for a JOINER a STR */
    size_t at;
};

struct tpl_kw {
    struct ig_str name;
    struct tpl_val value;
};
struct tpl_args {
    struct tpl_val *pos;
    size_t n_pos;
    struct tpl_kw *kw;
    size_t n_kw;
};

enum { TPL_MAX_PARAMS = 8 };
/* A filter, test, method or global. `params` are its parameters' names "a,b=,c=" ('=': may be left
 * out; such are V_MISSING in `a`); NULL: the function reads `args` itself. `self` is what stands
 * before the bar, `is` or dot. */
struct tpl_func {
    const char *name;
    const char *params;
    bool (*call)(struct tpl_st *st, const struct tpl_val *self, const struct tpl_args *args,
                 const struct tpl_val *a, struct tpl_val *out);
};

/* ---- Tree
 * ------------------------------------------------------------------------------------------------------
 */

enum tpl_node_kind {
    /* expressions */
    N_CONST,
    N_NAME,
    N_TUPLE,
    N_LIST,
    N_DICT,
    N_PAIR,
    N_COND,
    N_OR,
    N_AND,
    N_NOT,
    N_COMPARE,
    N_ARITH,
    N_CONCAT,
    N_NEG,
    N_POS,
    N_POST,
    N_OPERAND,
    /* steps of N_POST */
    N_ATTR,
    N_ITEM,
    N_SLICE,
    N_CALL,
    N_FILTER,
    N_TEST,
    /* arguments */
    N_KW,
    N_STAR,
    N_STARSTAR,
    /* statements */
    N_DATA,
    N_PRINT,
    N_IF,
    N_FOR,
    N_SET,
    N_SETBLOCK,
    N_MACRO,
    N_CALLBLOCK,
    N_FILTERBLOCK,
    N_WITH,
    N_BREAK,
    N_CONTINUE,
    N_SCOPE,
    N_NSREF,
    N_PARAM
};

enum tpl_op {
    OP_NONE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_CONCAT,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOTIN
};

/* What a, b, c, list and body mean stands at each kind's place in tpl_expr.c and tpl_parse.c. */
struct tpl_node {
    uint8_t kind, op;
    bool flag; /* TEST: negated; FOR: recursive; MACRO: takes varargs (flag), kwargs (flag2), caller
                  (flag3) */
    bool flag2, flag3;
    uint32_t line, sym;
    struct tpl_node *a, *b, *c, *list, *body, *other, *next;
    const struct tpl_func *func;
    struct ig_str text;
    struct tpl_val value;
};

struct tpl_symbol {
    struct ig_str name;
    const struct tpl_func *global;
    bool read;
};

struct ig_template {
    struct ig_mem *mem;
    struct ig_arena arena;
    struct ig_str source;
    struct tpl_node *body;
    struct tpl_symbol *symbols;
    uint32_t n_symbols, cap_symbols;
    uint32_t *index; /* open addressing, symbol + 1 */
    uint32_t n_index;
    uint32_t sym_loop, sym_caller, sym_varargs, sym_kwargs;
};

ingle_status ig_tpl_parse(struct ig_template *t, ingle_error *err);
/* UINT32_MAX if there is no such symbol */
uint32_t ig_tpl_symbol_find(const struct ig_template *t, struct ig_str name);

/* ---- Tokens (tpl_lex.c)
 * ---------------------------------------------------------------------------------------- */

enum tpl_tok {
    T_END,
    T_DATA,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_VAR_BEGIN,
    T_VAR_END,
    T_NAME,
    T_STRING,
    T_INT,
    T_FLOAT,
    T_OP
};
struct tpl_token {
    uint8_t kind;
    uint8_t op; /* T_OP: the character, or for two-character operators one of the TWO_ codes */
    uint32_t line;
    struct ig_str text; /* STRING: decoded */
    int64_t i;
    double f;
};
enum { TWO_EQ = 128, TWO_NE, TWO_LE, TWO_GE, TWO_POW, TWO_FLOORDIV };
ingle_status ig_tpl_lex(struct ig_arena *a, struct ig_str source, struct tpl_token **out, size_t *n,
                        ingle_error *err);

/* ---- The state of one rendering (tpl_state.c)
 * -------------------------------------------------------------------- */

struct tpl_slot {
    uint32_t sym;
    struct tpl_val value;
};
struct tpl_scope {
    struct tpl_scope *up;
    struct tpl_slot *v;
    uint32_t n, cap;
};

enum tpl_flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE };

struct tpl_st {
    const struct ig_template *t;
    const struct ig_template_env *env;
    const struct ig_json *context;
    struct ig_mem mem; /* counts and limits the arena */
    struct ig_arena arena;
    ingle_error *err;
    ingle_status code; /* once not OK, all is over */
    uint32_t line;
    size_t steps, max_steps, next_clock;
    size_t depth, max_depth;
    size_t output, max_output; /* bytes written to any target */
    uint64_t deadline;
    uint64_t seed;
    struct tpl_scope *root, *scope;
    struct tpl_sb *out;
    enum tpl_flow flow;
};

/* Always false, for `return ig_tpl_raise(...)`. The first one counts. */
bool ig_tpl_raise(struct tpl_st *st, const char *fmt, ...) IG_PRINTF(2, 3);
/* Without "line N: " */
bool ig_tpl_raise_text(struct tpl_st *st, struct ig_str text);
void *ig_tpl_alloc(struct tpl_st *st, size_t n); /* NULL: has raised */
bool ig_tpl_work(struct tpl_st *st, size_t steps);
static inline bool ig_tpl_step(struct tpl_st *st) {
    return ++st->steps < st->next_clock || ig_tpl_work(st, 0);
}
bool ig_tpl_enter(
    struct tpl_st *st); /* one level deeper; pair with st->depth-- only if it succeeded */

/* Strings and builders. A builder's failure shows in st->code and at ig_tpl_sb_done. */
void ig_tpl_sb_init(struct tpl_sb *sb, struct tpl_st *st);
void ig_tpl_sb_add(struct tpl_sb *sb, const char *p, size_t n, bool input);
void ig_tpl_sb_z(struct tpl_sb *sb, const char *z);
void ig_tpl_sb_str(struct tpl_sb *sb, const struct tpl_str *s);
void ig_tpl_sb_sub(struct tpl_sb *sb, const struct tpl_str *s, size_t from, size_t n);
bool ig_tpl_sb_done(struct tpl_sb *sb, struct tpl_val *out);
bool ig_tpl_str(struct tpl_st *st, const char *p, size_t n, bool input,
                struct tpl_val *out); /* no copy */
bool ig_tpl_str_copy(struct tpl_st *st, const char *p, size_t n, bool input, struct tpl_val *out);
bool ig_tpl_sub(struct tpl_st *st, const struct tpl_str *s, size_t from, size_t n,
                struct tpl_val *out);
bool ig_tpl_concat(struct tpl_st *st, const struct tpl_str *a, const struct tpl_str *b,
                   struct tpl_val *out);
size_t ig_tpl_chars(struct tpl_str *s);
/* Byte offset of code point `index` (<= chars). */
size_t ig_tpl_offset(struct tpl_str *s, size_t index);
bool ig_tpl_is_input(const struct tpl_str *s); /* any byte */
/* First place of needle at or behind `from`; SIZE_MAX if none. Counts its work. */
size_t ig_tpl_find(struct tpl_st *st, const struct tpl_str *hay, size_t from,
                   const struct tpl_str *needle);

/* ---- Values (tpl_value.c)
 * -------------------------------------------------------------------------------------- */

static inline struct tpl_val tpl_none(void) {
    return (struct tpl_val){.kind = V_NONE};
}
static inline struct tpl_val tpl_bool(bool b) {
    return (struct tpl_val){.kind = V_BOOL, .u.b = b};
}
static inline struct tpl_val tpl_int(int64_t i) {
    return (struct tpl_val){.kind = V_INT, .u.i = i};
}
static inline struct tpl_val tpl_float(double f) {
    return (struct tpl_val){.kind = V_FLOAT, .u.f = f};
}
static inline bool tpl_is_int(const struct tpl_val *v) {
    return v->kind == V_INT || v->kind == V_BOOL;
}
static inline int64_t tpl_as_int(const struct tpl_val *v) {
    return v->kind == V_BOOL ? v->u.b : v->u.i;
}
static inline bool tpl_is_number(const struct tpl_val *v) {
    return tpl_is_int(v) || v->kind == V_FLOAT;
}
static inline double tpl_as_f64(const struct tpl_val *v) {
    return v->kind == V_FLOAT ? v->u.f : (double)tpl_as_int(v);
}
static inline bool tpl_is_seq(const struct tpl_val *v) {
    return v->kind == V_LIST || v->kind == V_TUPLE;
}

const char *ig_tpl_type(const struct tpl_val *v); /* Python's name */
bool ig_tpl_truth(const struct tpl_val *v);
bool ig_tpl_list(struct tpl_st *st, size_t cap, uint8_t kind, struct tpl_val *out);
bool ig_tpl_push(struct tpl_st *st, struct tpl_list *l, const struct tpl_val *v);
bool ig_tpl_pair(struct tpl_st *st, const struct tpl_val *a, const struct tpl_val *b,
                 struct tpl_val *out);
bool ig_tpl_gen(struct tpl_st *st, struct tpl_list *l, const char *type, struct tpl_val *out);
bool ig_tpl_dict(struct tpl_st *st, uint8_t kind, struct tpl_val *out);
bool ig_tpl_dict_set(struct tpl_st *st, struct tpl_dict *d, const struct tpl_val *key,
                     const struct tpl_val *value);
/* NULL if not there, or raised (unhashable key: check st->code) */
struct tpl_val *ig_tpl_dict_get(struct tpl_st *st, const struct tpl_dict *d,
                                const struct tpl_val *key);
struct tpl_val *ig_tpl_dict_get_z(struct tpl_st *st, const struct tpl_dict *d, struct ig_str key);
bool ig_tpl_undef(struct tpl_st *st, struct tpl_val *out, const char *fmt, ...) IG_PRINTF(3, 4);
bool ig_tpl_from_json(struct tpl_st *st, const struct ig_json *j, bool input, struct tpl_val *out);

/* == and <, as Python has them (tpl_compare.c). cmp: -1, 0, 1; raises for kinds that have no order.
 */
bool ig_tpl_equal(struct tpl_st *st, const struct tpl_val *a, const struct tpl_val *b, bool *out);
bool ig_tpl_less(struct tpl_st *st, const struct tpl_val *a, const struct tpl_val *b,
                 const char *op, bool *out);
bool ig_tpl_contains(struct tpl_st *st, const struct tpl_val *in, const struct tpl_val *what,
                     bool *out);
/* Stable. keys[i] belongs to items[i]. */
bool ig_tpl_sort(struct tpl_st *st, struct tpl_val *items, struct tpl_val *keys, size_t n,
                 bool reverse);

/* Everything a value yields when iterated; consumes a generator. */
bool ig_tpl_iter(struct tpl_st *st, const struct tpl_val *v, struct tpl_list **out);
bool ig_tpl_length(struct tpl_st *st, const struct tpl_val *v, size_t *out);

/* ---- Text of values (tpl_text.c)
 * ------------------------------------------------------------------------------- */

void ig_tpl_put_str(struct tpl_sb *sb, const struct tpl_val *v);  /* str(v) */
void ig_tpl_put_repr(struct tpl_sb *sb, const struct tpl_val *v); /* repr(v) */
bool ig_tpl_to_str(struct tpl_st *st, const struct tpl_val *v, struct tpl_val *out);
void ig_tpl_float_repr(double f, char out[32]);
struct tpl_json_style {
    bool ascii, sort_keys, has_indent;
    struct ig_str indent, item_sep, key_sep;
};
bool ig_tpl_to_json(struct tpl_st *st, const struct tpl_val *v, const struct tpl_json_style *style,
                    struct tpl_val *out);
/* printf-style "%d" % x, str.format, and strftime (tpl_format.c, tpl_time.c) */
bool ig_tpl_percent(struct tpl_st *st, const struct tpl_str *format, const struct tpl_val *args,
                    const struct tpl_args *kwargs, struct tpl_val *out);
bool ig_tpl_format(struct tpl_st *st, const struct tpl_str *format, const struct tpl_args *args,
                   struct tpl_val *out);
bool ig_tpl_strftime(struct tpl_st *st, const struct tpl_str *format, struct tpl_val *out);

/* ---- Unicode (tpl_unicode.c)
 * ----------------------------------------------------------------------------------- */

enum tpl_class {
    CLASS_ALPHA = 1,
    CLASS_DIGIT = 2,
    CLASS_UPPER = 4,
    CLASS_LOWER = 8,
    CLASS_PRINT = 16,
    CLASS_NUMERIC = 32,
    CLASS_TITLE = 64,
    CLASS_DECIMAL = 128
};
bool ig_tpl_is_space(uint32_t cp); /* str.isspace */
unsigned ig_tpl_class(uint32_t cp);
/* At most three code points; returns how many. */
unsigned ig_tpl_upper(uint32_t cp, uint32_t out[3]);
unsigned ig_tpl_lower(uint32_t cp, uint32_t out[3]);
unsigned ig_tpl_title(uint32_t cp, uint32_t out[3]);
/* Decodes one code point of valid UTF-8; a stray byte counts as U+FFFD of length 1. */
unsigned ig_tpl_decode(const char *p, size_t n, uint32_t *cp);
struct ig_str ig_tpl_trim(struct ig_str s, bool left, bool right); /* Unicode white space */

/* ---- Evaluation
 * ------------------------------------------------------------------------------------------------
 */

bool ig_tpl_eval(struct tpl_st *st, const struct tpl_node *n, struct tpl_val *out);
bool ig_tpl_exec(struct tpl_st *st, const struct tpl_node *list);
bool ig_tpl_arith(struct tpl_st *st, enum tpl_op op, const struct tpl_val *a,
                  const struct tpl_val *b, struct tpl_val *out);
bool ig_tpl_call(struct tpl_st *st, const struct tpl_val *f, const struct tpl_args *args,
                 struct tpl_val *out);
bool ig_tpl_call_func(struct tpl_st *st, const struct tpl_func *f, const struct tpl_val *self,
                      const struct tpl_args *args, struct tpl_val *out);
bool ig_tpl_eval_args(struct tpl_st *st, const struct tpl_node *list, struct tpl_args *out);
bool ig_tpl_call_macro(struct tpl_st *st, const struct tpl_macro *m, const struct tpl_args *args,
                       struct tpl_val *out);
bool ig_tpl_call_loop(struct tpl_st *st, const struct tpl_loop *loop, const struct tpl_args *args,
                      struct tpl_val *out);
/* Renders `list` in its own scope and output; the text is *out. */
bool ig_tpl_capture(struct tpl_st *st, const struct tpl_node *list, struct tpl_scope *scope,
                    struct tpl_val *out);
bool ig_tpl_assign(struct tpl_st *st, const struct tpl_node *target, const struct tpl_val *v);
struct tpl_scope *ig_tpl_scope(struct tpl_st *st, struct tpl_scope *up);
bool ig_tpl_bind(struct tpl_st *st, struct tpl_scope *s, uint32_t sym, const struct tpl_val *v);

/* a.name, a[key], a[i:j:k] (tpl_attr.c) */
bool ig_tpl_getattr(struct tpl_st *st, const struct tpl_val *v, struct ig_str name,
                    struct tpl_val *out);
bool ig_tpl_getitem(struct tpl_st *st, const struct tpl_val *v, const struct tpl_val *key,
                    struct tpl_val *out);
bool ig_tpl_slice(struct tpl_st *st, const struct tpl_val *v, const struct tpl_val *start,
                  const struct tpl_val *stop, const struct tpl_val *step, struct tpl_val *out);
bool ig_tpl_loop_attr(struct tpl_st *st, struct tpl_loop *loop, struct ig_str name,
                      struct tpl_val *out);

/* ---- Work shared by methods and filters (tpl_strings.c)
 * -------------------------------------------------------- */

enum tpl_case { CASE_UPPER, CASE_LOWER, CASE_TITLE, CASE_CAPITAL, CASE_SWAP, CASE_FOLD };
bool ig_tpl_case(struct tpl_st *st, const struct tpl_str *s, enum tpl_case how,
                 struct tpl_val *out);
/* chars NULL: white space */
bool ig_tpl_strip(struct tpl_st *st, struct tpl_str *s, struct tpl_str *chars, bool left,
                  bool right, struct tpl_val *out);
bool ig_tpl_replace(struct tpl_st *st, const struct tpl_str *s, const struct tpl_str *old,
                    const struct tpl_str *with, int64_t max, struct tpl_val *out);
bool ig_tpl_split(struct tpl_st *st, const struct tpl_str *s, const struct tpl_str *sep,
                  int64_t max, bool right, struct tpl_val *out);
bool ig_tpl_splitlines(struct tpl_st *st, const struct tpl_str *s, bool keep, struct tpl_val *out);
bool ig_tpl_join(struct tpl_st *st, const struct tpl_str *sep, const struct tpl_list *items,
                 bool strict, struct tpl_val *out);
/* v as int; raises "... cannot be interpreted as an integer" */
bool ig_tpl_int_arg(struct tpl_st *st, const struct tpl_val *v, int64_t *out);

/* ---- Tables
 * ----------------------------------------------------------------------------------------------------
 */

const struct tpl_func *ig_tpl_filter(struct ig_str name);
const struct tpl_func *ig_tpl_test(struct ig_str name);
const struct tpl_func *ig_tpl_global(struct ig_str name);
const struct tpl_func *ig_tpl_method(uint8_t kind, struct ig_str name);
extern const struct tpl_func ig_tpl_filters_text[], ig_tpl_filters_seq[], ig_tpl_filters_value[];
extern const struct tpl_func ig_tpl_str_methods[], ig_tpl_str_methods2[], ig_tpl_other_methods[];

#endif
