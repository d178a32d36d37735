/* Python's + - * / // % ** on numbers, strings and lists. Whole numbers are 64 bits: what does not
 * fit is an error, not a wrong number. */
#include "chat/tpl.h"

#include <math.h>

static bool too_big(struct tpl_st *st) {
    return ig_tpl_raise(st, "a whole number does not fit into 64 bits");
}

static bool add_ok(int64_t a, int64_t b, int64_t *r) {
    if (b > 0 ? a > INT64_MAX - b : a < INT64_MIN - b) return false;
    *r = a + b;
    return true;
}
static bool mul_ok(int64_t a, int64_t b, int64_t *r) {
    if (a == 0 || b == 0) return *r = 0, true;
    if ((a == -1 && b == INT64_MIN) || (b == -1 && a == INT64_MIN)) return false;
    int64_t p = (int64_t)((uint64_t)a * (uint64_t)b);
    if (p / b != a) return false;
    *r = p;
    return true;
}

static bool pow_int(struct tpl_st *st, int64_t a, int64_t b, struct tpl_val *out) {
    if (b < 0) {
        if (a == 0) return ig_tpl_raise(st, "0.0 cannot be raised to a negative power");
        *out = tpl_float(pow((double)a, (double)b));
        return true;
    }
    int64_t r = 1;
    bool base_ok = true;
    for (; b; b >>= 1) {
        if (b & 1 && (!base_ok || !mul_ok(r, a, &r))) return too_big(st);
        if (b > 1) base_ok = base_ok && mul_ok(a, a, &a);
    }
    *out = tpl_int(r);
    return true;
}

static bool arith_int(struct tpl_st *st, enum tpl_op op, int64_t a, int64_t b,
                      struct tpl_val *out) {
    int64_t r = 0;
    bool ok = true;
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0)
        return ig_tpl_raise(st, op == OP_DIV ? "division by zero"
                                             : "integer division or modulo by zero");
    switch (op) {
    case OP_ADD: ok = add_ok(a, b, &r); break;
    case OP_SUB:
        ok = b == INT64_MIN ? a < 0 && add_ok(a - INT64_MIN, 0, &r) : add_ok(a, -b, &r);
        break;
    case OP_MUL: ok = mul_ok(a, b, &r); break;
    case OP_DIV: *out = tpl_float((double)a / (double)b); return true;
    case OP_POW: return pow_int(st, a, b, out);
    default:
        if (b == -1) { /* INT64_MIN / -1 traps */
            ok = op == OP_MOD || a != INT64_MIN;
            if (ok) r = op == OP_MOD ? 0 : -a;
            break;
        }
        r = op == OP_MOD ? a % b : a / b;
        if (op == OP_MOD && r && (r < 0) != (b < 0)) r += b;
        if (op == OP_FLOORDIV && a % b && (a < 0) != (b < 0)) r--;
        break;
    }
    if (!ok) return too_big(st);
    *out = tpl_int(r);
    return true;
}

static double float_mod(double a, double b) {
    double r = fmod(a, b);
    if (r == 0) return copysign(0.0, b);
    return (r < 0) != (b < 0) ? r + b : r;
}

static bool arith_float(struct tpl_st *st, enum tpl_op op, double a, double b,
                        struct tpl_val *out) {
    if (b == 0 && (op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD))
        return ig_tpl_raise(st, op == OP_DIV   ? "float division by zero"
                                : op == OP_MOD ? "float modulo"
                                               : "float floor division by zero");
    switch (op) {
    case OP_ADD: *out = tpl_float(a + b); break;
    case OP_SUB: *out = tpl_float(a - b); break;
    case OP_MUL: *out = tpl_float(a * b); break;
    case OP_DIV: *out = tpl_float(a / b); break;
    case OP_MOD: *out = tpl_float(float_mod(a, b)); break;
    case OP_FLOORDIV: {
        double q = (a - float_mod(a, b)) / b, f = floor(q);
        *out = tpl_float(q == 0 ? copysign(0.0, a / b) : q - f > 0.5 ? f + 1 : f);
        break;
    }
    default: {
        if (a == 0 && b < 0) return ig_tpl_raise(st, "0.0 cannot be raised to a negative power");
        if (a < 0 && b != floor(b)) return ig_tpl_raise(st, "complex numbers are not supported");
        double r = pow(a, b);
        if (isinf(r) && !isinf(a) && !isinf(b))
            return ig_tpl_raise(st, "(34, 'Numerical result out of range')");
        *out = tpl_float(r);
        break;
    }
    }
    return true;
}

/* "ab" * 3, [1] * 3 */
static bool repeat(struct tpl_st *st, const struct tpl_val *v, int64_t times, struct tpl_val *out) {
    if (times < 0) times = 0;
    if (v->kind == V_STR) {
        struct tpl_sb sb;
        size_t total;
        ig_tpl_sb_init(&sb, st);
        if (!ig_mul(v->u.s->n, (size_t)times, &total) || total > st->max_output)
            return ig_tpl_raise(st, "the text grows beyond %zu bytes", st->max_output);
        for (int64_t i = 0; i < times && v->u.s->n; i++) {
            if (!ig_tpl_step(st)) return false;
            ig_tpl_sb_str(&sb, v->u.s);
        }
        if (!ig_tpl_sb_done(&sb, out)) return false;
        out->u.s->safe = v->u.s->safe;
        return true;
    }
    if (!ig_tpl_list(st, 0, v->kind, out)) return false;
    for (int64_t i = 0; i < times && v->u.l->n; i++)
        for (size_t k = 0; k < v->u.l->n; k++)
            if (!ig_tpl_step(st) || !ig_tpl_push(st, out->u.l, &v->u.l->v[k])) return false;
    return true;
}

static bool escape(struct tpl_st *st, const struct tpl_str *s, struct tpl_val *out) {
    struct tpl_args none = {0};
    struct tpl_val v = {.kind = V_STR, .u.s = (struct tpl_str *)(uintptr_t)s};
    return ig_tpl_call_func(st, ig_tpl_filter(IG_STR("escape")), &v, &none, out);
}

static bool add_str(struct tpl_st *st, const struct tpl_str *a, const struct tpl_str *b,
                    struct tpl_val *out) {
    struct tpl_val left = {0}, right = {0};
    bool safe = a->safe || b->safe;
    if (safe && !a->safe) {
        if (!escape(st, a, &left)) return false;
        a = left.u.s;
    }
    if (safe && !b->safe) {
        if (!escape(st, b, &right)) return false;
        b = right.u.s;
    }
    if (!ig_tpl_concat(st, a, b, out)) return false;
    out->u.s->safe = safe;
    return true;
}

static bool add_lists(struct tpl_st *st, const struct tpl_list *a, const struct tpl_list *b,
                      uint8_t kind, struct tpl_val *out) {
    size_t n;
    if (!ig_add(a->n, b->n, &n) || !ig_tpl_list(st, n, kind, out)) return false;
    if (a->n) memcpy(out->u.l->v, a->v, a->n * sizeof *a->v);
    if (b->n) memcpy(out->u.l->v + a->n, b->v, b->n * sizeof *b->v);
    out->u.l->n = n;
    return true;
}

static bool no_operator(struct tpl_st *st, enum tpl_op op, const struct tpl_val *a,
                        const struct tpl_val *b) {
    static const char *const names[] = {
        [OP_ADD] = "+", [OP_SUB] = "-",       [OP_MUL] = "*",          [OP_DIV] = "/",
        [OP_MOD] = "%", [OP_FLOORDIV] = "//", [OP_POW] = "** or pow()"};
    if (a->kind == V_UNDEF) return ig_tpl_raise(st, "%s", a->u.undef->message);
    if (b->kind == V_UNDEF) return ig_tpl_raise(st, "%s", b->u.undef->message);
    if (op == OP_ADD && a->kind == V_STR)
        return ig_tpl_raise(st, "can only concatenate str (not \"%s\") to str", ig_tpl_type(b));
    if (op == OP_ADD && tpl_is_seq(a))
        return ig_tpl_raise(st, "can only concatenate %s (not \"%s\") to %s", ig_tpl_type(a),
                            ig_tpl_type(b), ig_tpl_type(a));
    if (op == OP_MUL && (a->kind == V_STR || tpl_is_seq(a)))
        return ig_tpl_raise(st, "can't multiply sequence by non-int of type '%s'", ig_tpl_type(b));
    return ig_tpl_raise(st, "unsupported operand type(s) for %s: '%s' and '%s'", names[op],
                        ig_tpl_type(a), ig_tpl_type(b));
}

bool ig_tpl_arith(struct tpl_st *st, enum tpl_op op, const struct tpl_val *a,
                  const struct tpl_val *b, struct tpl_val *out) {
    if (!ig_tpl_step(st)) return false;
    if (tpl_is_int(a) && tpl_is_int(b)) return arith_int(st, op, tpl_as_int(a), tpl_as_int(b), out);
    if (tpl_is_number(a) && tpl_is_number(b))
        return arith_float(st, op, tpl_as_f64(a), tpl_as_f64(b), out);
    if (op == OP_ADD && a->kind == V_STR && b->kind == V_STR)
        return add_str(st, a->u.s, b->u.s, out);
    if (op == OP_ADD && tpl_is_seq(a) && a->kind == b->kind)
        return add_lists(st, a->u.l, b->u.l, a->kind, out);
    if (op == OP_MUL && (a->kind == V_STR || tpl_is_seq(a)) && tpl_is_int(b))
        return repeat(st, a, tpl_as_int(b), out);
    if (op == OP_MUL && (b->kind == V_STR || tpl_is_seq(b)) && tpl_is_int(a))
        return repeat(st, b, tpl_as_int(a), out);
    if (op == OP_MOD && a->kind == V_STR) return ig_tpl_percent(st, a->u.s, b, NULL, out);
    return no_operator(st, op, a, b);
}
