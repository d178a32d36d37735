/* x is something, and where filters and tests are looked up. */
#include "chat/tpl.h"

#include <math.h>

#define TEST(name)                                                                                 \
    static bool name(struct tpl_st *st, const struct tpl_val *v, const struct tpl_args *args,      \
                     const struct tpl_val *a, struct tpl_val *out)
#define UNUSED (void)st, (void)v, (void)args, (void)a
#define KIND_TEST(name, condition)                                                                 \
    TEST(name) {                                                                                   \
        UNUSED;                                                                                    \
        *out = tpl_bool(condition);                                                                \
        return true;                                                                               \
    }

KIND_TEST(t_defined, v->kind != V_UNDEF)
KIND_TEST(t_undefined, v->kind == V_UNDEF)
KIND_TEST(t_none, v->kind == V_NONE)
KIND_TEST(t_boolean, v->kind == V_BOOL)
KIND_TEST(t_true, v->kind == V_BOOL && v->u.b)
KIND_TEST(t_false, v->kind == V_BOOL && !v->u.b)
KIND_TEST(t_integer, v->kind == V_INT)
KIND_TEST(t_float, v->kind == V_FLOAT)
KIND_TEST(t_number, tpl_is_number(v))
KIND_TEST(t_string, v->kind == V_STR)
KIND_TEST(t_mapping, v->kind == V_DICT)
KIND_TEST(t_escaped, v->kind == V_STR && v->u.s->safe)
KIND_TEST(t_callable, v->kind == V_FUNC || v->kind == V_METHOD || v->kind == V_MACRO ||
                          v->kind == V_LOOP || v->kind == V_JOINER || v->kind == V_UNDEF)
KIND_TEST(t_iterable, v->kind == V_STR || tpl_is_seq(v) || v->kind == V_DICT || v->kind == V_VIEW ||
                          v->kind == V_GEN || v->kind == V_RANGE || v->kind == V_UNDEF ||
                          v->kind == V_LOOP)
/* has a length and can be indexed */
KIND_TEST(t_sequence, v->kind == V_STR || tpl_is_seq(v) || v->kind == V_DICT ||
                          v->kind == V_RANGE || v->kind == V_UNDEF)

static bool known(struct tpl_st *st, const struct tpl_val *v,
                  const struct tpl_func *(*find)(struct ig_str), struct tpl_val *out) {
    if (v->kind == V_LIST || v->kind == V_DICT)
        return ig_tpl_raise(st, "unhashable type: '%s'", ig_tpl_type(v));
    *out = tpl_bool(v->kind == V_STR && find((struct ig_str){v->u.s->p, v->u.s->n}));
    return true;
}
TEST(t_filter) {
    return UNUSED, known(st, v, ig_tpl_filter, out);
}
TEST(t_test) {
    return UNUSED, known(st, v, ig_tpl_test, out);
}

static bool int_remainder(struct tpl_st *st, const struct tpl_val *v, const struct tpl_val *by,
                          struct tpl_val *out) {
    return ig_tpl_arith(st, OP_MOD, v, by, out);
}

TEST(t_odd) {
    UNUSED;
    struct tpl_val two = tpl_int(2);
    if (!int_remainder(st, v, &two, out)) return false;
    *out = tpl_bool(tpl_is_number(out) && tpl_as_f64(out) == 1);
    return true;
}
TEST(t_even) {
    UNUSED;
    struct tpl_val two = tpl_int(2);
    if (!int_remainder(st, v, &two, out)) return false;
    *out = tpl_bool(tpl_is_number(out) && tpl_as_f64(out) == 0);
    return true;
}
TEST(t_divisibleby) {
    UNUSED;
    if (!int_remainder(st, v, &a[0], out)) return false;
    *out = tpl_bool(tpl_is_number(out) && tpl_as_f64(out) == 0);
    return true;
}

/* str(v).islower() and isupper() */
static bool cased(struct tpl_st *st, const struct tpl_val *v, unsigned want, unsigned other,
                  struct tpl_val *out) {
    struct tpl_val s;
    bool any = false;
    if (!ig_tpl_to_str(st, v, &s)) return false;
    for (size_t i = 0; i < s.u.s->n;) {
        uint32_t cp;
        i += ig_tpl_decode(s.u.s->p + i, s.u.s->n - i, &cp);
        unsigned c = ig_tpl_class(cp);
        if (c & (other | CLASS_TITLE)) return *out = tpl_bool(false), true;
        any |= (c & want) != 0;
    }
    *out = tpl_bool(any);
    return true;
}
TEST(t_lower) {
    return UNUSED, cased(st, v, CLASS_LOWER, CLASS_UPPER, out);
}
TEST(t_upper) {
    return UNUSED, cased(st, v, CLASS_UPPER, CLASS_LOWER, out);
}

static bool equal(struct tpl_st *st, const struct tpl_val *v, const struct tpl_val *other,
                  bool want, struct tpl_val *out) {
    bool same;
    if (!ig_tpl_equal(st, v, other, &same)) return false;
    *out = tpl_bool(same == want);
    return true;
}
TEST(t_eq) {
    return UNUSED, equal(st, v, &a[0], true, out);
}
TEST(t_ne) {
    return UNUSED, equal(st, v, &a[0], false, out);
}

static bool less(struct tpl_st *st, const struct tpl_val *v, const struct tpl_val *other,
                 const char *op, struct tpl_val *out) {
    bool is;
    if (!ig_tpl_less(st, v, other, op, &is)) return false;
    *out = tpl_bool(is);
    return true;
}
TEST(t_lt) {
    return UNUSED, less(st, v, &a[0], "<", out);
}
TEST(t_le) {
    return UNUSED, less(st, v, &a[0], "<=", out);
}
TEST(t_gt) {
    return UNUSED, less(st, v, &a[0], ">", out);
}
TEST(t_ge) {
    return UNUSED, less(st, v, &a[0], ">=", out);
}

TEST(t_in) {
    UNUSED;
    bool is;
    if (!ig_tpl_contains(st, &a[0], v, &is)) return false;
    *out = tpl_bool(is);
    return true;
}

/* Python's `is`: the same object. Small numbers are, strings we cannot tell. */
TEST(t_sameas) {
    UNUSED;
    bool same = false;
    if (v->kind == a[0].kind && !ig_tpl_equal(st, v, &a[0], &same)) return false;
    if (tpl_is_seq(v) || v->kind == V_DICT) same = same && v->u.s == a[0].u.s;
    *out = tpl_bool(same);
    return true;
}

static const struct tpl_func tests[] = {
    {"odd", "", t_odd},
    {"even", "", t_even},
    {"divisibleby", "num", t_divisibleby},
    {"defined", "", t_defined},
    {"undefined", "", t_undefined},
    {"filter", "", t_filter},
    {"test", "", t_test},
    {"none", "", t_none},
    {"boolean", "", t_boolean},
    {"false", "", t_false},
    {"true", "", t_true},
    {"integer", "", t_integer},
    {"float", "", t_float},
    {"lower", "", t_lower},
    {"upper", "", t_upper},
    {"string", "", t_string},
    {"mapping", "", t_mapping},
    {"number", "", t_number},
    {"sequence", "", t_sequence},
    {"iterable", "", t_iterable},
    {"callable", "", t_callable},
    {"sameas", "other", t_sameas},
    {"escaped", "", t_escaped},
    {"in", "seq", t_in},
    {"==", "b", t_eq},
    {"eq", "b", t_eq},
    {"equalto", "b", t_eq},
    {"!=", "b", t_ne},
    {"ne", "b", t_ne},
    {">", "b", t_gt},
    {"gt", "b", t_gt},
    {"greaterthan", "b", t_gt},
    {">=", "b", t_ge},
    {"ge", "b", t_ge},
    {"<", "b", t_lt},
    {"lt", "b", t_lt},
    {"lessthan", "b", t_lt},
    {"<=", "b", t_le},
    {"le", "b", t_le},
};

const struct tpl_func *ig_tpl_test(struct ig_str name) {
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (ig_str_is(name, tests[i].name)) return &tests[i];
    return NULL;
}

const struct tpl_func *ig_tpl_filter(struct ig_str name) {
    const struct tpl_func *const tables[] = {ig_tpl_filters_text, ig_tpl_filters_seq,
                                             ig_tpl_filters_value};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct tpl_func *f = tables[i]; f->name; f++)
            if (ig_str_is(name, f->name)) return f;
    return NULL;
}
