/* Filters that look at one value: default, tojson, numbers, type changes. */
#include "chat/tpl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FILTER(name)                                                                               \
    static bool name(struct tpl_st *st, const struct tpl_val *v, const struct tpl_args *args,      \
                     const struct tpl_val *a, struct tpl_val *out)
#define UNUSED (void)args, (void)a, (void)st

static bool given(const struct tpl_val *v) {
    return v->kind != V_MISSING;
}

FILTER(f_default) {
    UNUSED;
    bool boolean = given(&a[1]) && ig_tpl_truth(&a[1]);
    if (v->kind != V_UNDEF && !(boolean && !ig_tpl_truth(v))) return *out = *v, true;
    if (given(&a[0])) return *out = a[0], true;
    return ig_tpl_str(st, "", 0, false, out);
}

static bool json_separators(struct tpl_st *st, const struct tpl_val *v,
                            struct tpl_json_style *style) {
    struct tpl_list *l;
    if (!ig_tpl_iter(st, v, &l)) return false;
    if (l->n != 2 || l->v[0].kind != V_STR || l->v[1].kind != V_STR)
        return ig_tpl_raise(st, "separators must be two strings");
    style->item_sep = (struct ig_str){l->v[0].u.s->p, l->v[0].u.s->n};
    style->key_sep = (struct ig_str){l->v[1].u.s->p, l->v[1].u.s->n};
    return true;
}

FILTER(f_tojson) {
    UNUSED;
    struct tpl_json_style style = {.item_sep = IG_STR(", "), .key_sep = IG_STR(": ")};
    int64_t width;
    style.ascii = given(&a[0]) && ig_tpl_truth(&a[0]);
    style.sort_keys = given(&a[3]) && ig_tpl_truth(&a[3]);
    if (given(&a[1]) && a[1].kind != V_NONE) {
        style.has_indent = true;
        style.item_sep = IG_STR(",");
        if (a[1].kind == V_STR) {
            style.indent = (struct ig_str){a[1].u.s->p, a[1].u.s->n};
        } else {
            if (!ig_tpl_int_arg(st, &a[1], &width)) return false;
            if (width > 64) width = 64;
            style.indent =
                (struct ig_str){"                                                                ",
                                width < 0 ? 0 : (size_t)width};
        }
    }
    if (given(&a[2]) && a[2].kind != V_NONE && !json_separators(st, &a[2], &style)) return false;
    return ig_tpl_to_json(st, v, &style, out);
}

/* ---- Numbers ---- */

/* float("...") */
static bool parse_float(const struct tpl_str *s, double *out) {
    struct ig_str t = ig_tpl_trim((struct ig_str){s->p, s->n}, true, true);
    char text[400];
    size_t n = 0;
    for (size_t i = 0; i < t.n; i++) {
        bool digits = i && i + 1 < t.n && t.p[i - 1] >= '0' && t.p[i - 1] <= '9' &&
                      t.p[i + 1] >= '0' && t.p[i + 1] <= '9';
        if (t.p[i] == '_' && digits) continue;
        if (n == sizeof text - 1 || !strchr("0123456789+-.eEinfINFatyATY", t.p[i]) || !t.p[i])
            return false;
        text[n++] = t.p[i];
    }
    for (size_t i = 0; i < n;
         i++) /* C reads "nan(x)" and hexadecimal numbers, Python does not: letters checked above */
        if (text[i] == '(') return false;
    return ig_str_to_f64((struct ig_str){text, n}, out);
}

/* int("...", base) */
static bool parse_int(const struct tpl_str *s, int64_t base, int64_t *out) {
    struct ig_str t = ig_tpl_trim((struct ig_str){s->p, s->n}, true, true);
    bool minus = t.n && t.p[0] == '-';
    size_t i = t.n && (t.p[0] == '-' || t.p[0] == '+');
    if (t.n - i > 2 && t.p[i] == '0') {
        int c = t.p[i + 1] | 32, of = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
        if (of && (base == of || base == 0)) {
            base = of;
            i += 2;
            if (t.p[i] == '_') i++;
        }
    }
    if (base == 0) base = 10;
    int64_t r = 0;
    size_t first = i;
    for (; i < t.n; i++) {
        char c = t.p[i];
        if (c == '_' && i > first && t.p[i - 1] != '_' && i + 1 < t.n) continue;
        int64_t d = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10
                                                         : 99;
        if (d >= base || r > (INT64_MAX - d) / base) return false;
        r = r * base + d;
    }
    if (i == first) return false;
    *out = minus ? -r : r;
    return true;
}

static bool int_of_float(double f, int64_t *out) {
    if (!(f > -9.3e18 && f < 9.3e18)) return false;
    f = trunc(f);
    if (f < -9223372036854775808.0 || f >= 9223372036854775808.0) return false;
    *out = (int64_t)f;
    return true;
}

FILTER(f_int) {
    UNUSED;
    int64_t base = 10, i;
    double f;
    struct tpl_val other = given(&a[0]) ? a[0] : tpl_int(0);
    if (given(&a[1]) && !ig_tpl_int_arg(st, &a[1], &base)) return false;
    if (tpl_is_int(v)) return *out = tpl_int(tpl_as_int(v)), true;
    if (v->kind == V_UNDEF) return ig_tpl_raise(st, "%s", v->u.undef->message);
    if (v->kind == V_STR && parse_int(v->u.s, base, &i)) return *out = tpl_int(i), true;
    bool have = v->kind == V_FLOAT || (v->kind == V_STR && parse_float(v->u.s, &f));
    if (v->kind == V_FLOAT) {
        f = v->u.f;
        if (isinf(f)) return ig_tpl_raise(st, "cannot convert float infinity to integer");
    }
    if (have && isfinite(f) && !int_of_float(f, &i))
        return ig_tpl_raise(st, "a whole number does not fit into 64 bits");
    *out = have && isfinite(f) ? tpl_int(i) : other;
    return true;
}

FILTER(f_float) {
    UNUSED;
    double f;
    struct tpl_val other = given(&a[0]) ? a[0] : tpl_float(0);
    if (v->kind == V_UNDEF) return ig_tpl_raise(st, "%s", v->u.undef->message);
    if (tpl_is_number(v))
        *out = tpl_float(tpl_as_f64(v));
    else if (v->kind == V_STR && parse_float(v->u.s, &f))
        *out = tpl_float(f);
    else
        *out = other;
    return true;
}

FILTER(f_abs) {
    UNUSED;
    if (v->kind == V_FLOAT) return *out = tpl_float(fabs(v->u.f)), true;
    if (tpl_is_int(v)) {
        struct tpl_val zero = tpl_int(0), plus = tpl_int(tpl_as_int(v));
        return tpl_as_int(v) < 0 ? ig_tpl_arith(st, OP_SUB, &zero, v, out) : (*out = plus, true);
    }
    if (v->kind == V_UNDEF) return ig_tpl_raise(st, "%s", v->u.undef->message);
    return ig_tpl_raise(st, "bad operand type for abs(): '%s'", ig_tpl_type(v));
}

/* Python's round(f, digits): the decimal expansion is exact, half goes to even by printf's own
 * rule. */
static double round_float(double f, int64_t digits) {
    char text[700];
    double r;
    if (!isfinite(f) || digits > 300) return f;
    if (digits < 0) {
        if (digits < -308) return copysign(0.0, f);
        double p = pow(10, (double)-digits);
        return nearbyint(f / p) * p;
    }
    int n = snprintf(text, sizeof text, "%.*f", (int)digits, f);
    for (int i = 0; i < n; i++)
        if (text[i] == ',') text[i] = '.';
    return n > 0 && n < 500 && ig_str_to_f64((struct ig_str){text, (size_t)n}, &r) ? r : f;
}

FILTER(f_round) {
    UNUSED;
    int64_t digits = 0;
    struct ig_str method = IG_STR("common");
    if (given(&a[0]) && a[0].kind != V_NONE && !ig_tpl_int_arg(st, &a[0], &digits)) return false;
    if (given(&a[1]))
        method = a[1].kind == V_STR ? (struct ig_str){a[1].u.s->p, a[1].u.s->n} : IG_STR("");
    bool common = ig_str_is(method, "common"), ceiling = ig_str_is(method, "ceil");
    if (!common && !ceiling && !ig_str_is(method, "floor"))
        return ig_tpl_raise(st, "method must be common, ceil or floor");
    if (v->kind == V_UNDEF) return ig_tpl_raise(st, "%s", v->u.undef->message);
    if (!tpl_is_number(v))
        return ig_tpl_raise(st, "type %s doesn't define __round__ method", ig_tpl_type(v));
    if (common && tpl_is_int(v) && digits >= 0) return *out = tpl_int(tpl_as_int(v)), true;
    if (common && tpl_is_int(v))
        return *out = tpl_int((int64_t)round_float(tpl_as_f64(v), digits)), true;
    if (common) return *out = tpl_float(round_float(v->u.f, digits)), true;
    double p = pow(10, (double)digits), f = tpl_as_f64(v) * p;
    if (!isfinite(f))
        return ig_tpl_raise(st, "cannot convert float %s to integer",
                            isnan(f) ? "NaN" : "infinity");
    *out = tpl_float((ceiling ? ceil(f) : floor(f)) / p);
    return true;
}

/* ---- Kinds ---- */

FILTER(f_string) {
    UNUSED;
    if (v->kind == V_STR) return *out = *v, true;
    return ig_tpl_to_str(st, v, out);
}

FILTER(f_safe) {
    UNUSED;
    if (!ig_tpl_to_str(st, v, out)) return false;
    if (!ig_tpl_sub(st, out->u.s, 0, out->u.s->n, out)) return false;
    out->u.s->safe = true;
    return true;
}

static bool escape(struct tpl_st *st, const struct tpl_val *v, struct tpl_val *out) {
    static const char from[] = "&<>'\"";
    static const char *const into[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    struct tpl_val text;
    struct tpl_sb sb;
    if (!ig_tpl_to_str(st, v, &text)) return false;
    const struct tpl_str *s = text.u.s;
    ig_tpl_sb_init(&sb, st);
    size_t begin = 0;
    for (size_t i = 0; i < s->n; i++) {
        const char *at = s->p[i] ? strchr(from, s->p[i]) : NULL;
        if (!at) continue;
        ig_tpl_sb_sub(&sb, s, begin, i - begin);
        ig_tpl_sb_add(&sb, into[at - from], strlen(into[at - from]),
                      s->marks ? s->marks[i] : s->input);
        begin = i + 1;
    }
    ig_tpl_sb_sub(&sb, s, begin, s->n - begin);
    if (!ig_tpl_sb_done(&sb, out)) return false;
    out->u.s->safe = true;
    return true;
}
FILTER(f_escape) {
    UNUSED;
    if (v->kind == V_STR && v->u.s->safe) return *out = *v, true;
    return escape(st, v, out);
}
FILTER(f_forceescape) {
    return UNUSED, escape(st, v, out);
}

FILTER(f_length) {
    UNUSED;
    size_t n;
    if (!ig_tpl_length(st, v, &n)) return false;
    *out = tpl_int((int64_t)n);
    return true;
}

FILTER(f_list) {
    UNUSED;
    struct tpl_list *l;
    if (!ig_tpl_iter(st, v, &l)) return false;
    *out = (struct tpl_val){.kind = V_LIST, .u.l = l};
    return true;
}

FILTER(f_items) {
    UNUSED;
    struct tpl_list *l;
    struct tpl_view view = {.what = VIEW_ITEMS};
    struct tpl_val pairs = {.kind = V_VIEW, .u.view = &view}, empty;
    if (v->kind == V_UNDEF) {
        if (!ig_tpl_list(st, 0, V_LIST, &empty)) return false;
        return ig_tpl_gen(st, empty.u.l, "generator", out);
    }
    if (v->kind != V_DICT) return ig_tpl_raise(st, "Can only get item pairs from a mapping.");
    view.d = v->u.d;
    return ig_tpl_iter(st, &pairs, &l) && ig_tpl_gen(st, l, "generator", out);
}

FILTER(f_attr) {
    UNUSED;
    if (a[0].kind != V_STR)
        return ig_tpl_raise(st, "attribute name must be string, not '%s'", ig_tpl_type(&a[0]));
    struct ig_str name = {a[0].u.s->p, a[0].u.s->n};
    if (v->kind == V_DICT && !ig_tpl_method(V_DICT, name))
        return ig_tpl_undef(st, out, "'dict object' has no attribute '%.*s'", (int)(name.n & 127),
                            name.p);
    return ig_tpl_getattr(st, v, name, out);
}

FILTER(f_pprint) {
    UNUSED;
    struct tpl_sb sb;
    ig_tpl_sb_init(&sb, st);
    ig_tpl_put_repr(&sb, v);
    return ig_tpl_sb_done(&sb, out);
}

FILTER(f_filesizeformat) {
    UNUSED;
    static const char *const units[] = {"kB",  "MB",  "GB",  "TB",  "PB",  "EB",  "ZB",  "YB",
                                        "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
    struct tpl_args none = {0};
    struct tpl_val f = {0};
    char text[64];
    bool binary = given(&a[0]) && ig_tpl_truth(&a[0]);
    if (!f_float(st, v, &none, (struct tpl_val[1]){tpl_none()}, &f)) return false;
    if (f.kind == V_NONE && v->kind == V_STR)
        return ig_tpl_raise(st, "could not convert string to float");
    if (f.kind == V_NONE)
        return ig_tpl_raise(st, "float() argument must be a string or a real number, not '%s'",
                            ig_tpl_type(v));
    double base = binary ? 1024 : 1000, bytes = tpl_as_f64(&f), unit = base;
    size_t i = 0;
    if (bytes == 1)
        snprintf(text, sizeof text, "1 Byte");
    else if (bytes < base)
        snprintf(text, sizeof text, "%d Bytes", bytes > -2e9 ? (int)bytes : -2000000000);
    else {
        for (unit = base * base; bytes >= unit && i < 7; i++) unit *= base;
        snprintf(text, sizeof text, "%.1f %s", base * bytes / unit, units[i + (binary ? 8 : 0)]);
    }
    return ig_tpl_str_copy(st, text, strlen(text), false, out);
}

const struct tpl_func ig_tpl_filters_value[] = {
    {"default", "default_value=,boolean=", f_default},
    {"d", "default_value=,boolean=", f_default},
    {"tojson", "ensure_ascii=,indent=,separators=,sort_keys=", f_tojson},
    {"int", "default=,base=", f_int},
    {"float", "default=", f_float},
    {"abs", "", f_abs},
    {"round", "precision=,method=", f_round},
    {"string", "", f_string},
    {"safe", "", f_safe},
    {"escape", "", f_escape},
    {"e", "", f_escape},
    {"forceescape", "", f_forceescape},
    {"length", "", f_length},
    {"count", "", f_length},
    {"list", "", f_list},
    {"items", "", f_items},
    {"attr", "name", f_attr},
    {"pprint", "", f_pprint},
    {"filesizeformat", "binary=", f_filesizeformat},
    {0},
};
