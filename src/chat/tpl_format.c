/* "%5.2f" % x and "{:>5.2f}".format(x), as Python has them. Both end in one routine that lays out a
 * number or a text by a parsed specification. Widths are bounded: they come from the template. */
#include "chat/tpl.h"

#include <math.h>
#include <stdio.h>
#include "base/utf8.h"

struct spec {
    char fill[5];
    char align; /* < > ^ = or 0: the type's own */
    char sign;  /* + - space */
    bool alt;
    char group;               /* , or _ or 0 */
    int64_t width, precision; /* -1: not given */
    char type;
};

enum { MAX_WIDTH = 1 << 20, MAX_PRECISION = 300 };

static void put_fill(struct tpl_sb *sb, const struct spec *f, int64_t n) {
    const char *fill = f->fill[0] ? f->fill : " ";
    for (; n > 0 && ig_tpl_step(sb->st); n--) ig_tpl_sb_add(sb, fill, strlen(fill), false);
}

/* head (a sign or prefix), body: '=' fills between them */
static void put_padded(struct tpl_sb *sb, const struct spec *f, const char *head,
                       const struct tpl_str *body, char align) {
    struct tpl_str copy = *body;
    int64_t gap = f->width - (int64_t)strlen(head) - (int64_t)ig_tpl_chars(&copy);
    char where = f->align ? f->align : align;
    int64_t left = where == '>' ? gap : where == '^' ? gap / 2 : 0;
    if (gap < 0) gap = left = 0;
    put_fill(sb, f, left);
    ig_tpl_sb_z(sb, head);
    if (where == '=') put_fill(sb, f, gap);
    ig_tpl_sb_str(sb, body);
    if (where == '<' || where == '^') put_fill(sb, f, gap - left);
}

static void put_text(struct tpl_sb *sb, const struct spec *f, struct tpl_str *s) {
    struct tpl_str cut = *s;
    if (f->precision >= 0 && (uint64_t)f->precision < ig_tpl_chars(s)) {
        cut.n = ig_tpl_offset(s, (size_t)f->precision);
        cut.chars = (size_t)f->precision;
    }
    put_padded(sb, f, "", &cut, '<');
}

static void group_digits(char *text, size_t cap, char mark, size_t every) {
    size_t digits = strspn(text, "0123456789abcdefABCDEF"), n = strlen(text);
    for (size_t i = digits; i > every && n + 1 < cap; n++) {
        i -= every;
        memmove(text + i + 1, text + i, n - i + 1);
        text[i] = mark;
    }
}

static void sign_of(const struct spec *f, bool minus, char head[8]) {
    head[0] = minus ? '-' : f->sign == '+' ? '+' : f->sign == ' ' ? ' ' : 0;
    head[minus || f->sign == '+' || f->sign == ' '] = 0;
}

static void put_int(struct tpl_sb *sb, const struct spec *f, int64_t i) {
    char text[160], head[8], digits[80];
    unsigned base = f->type == 'x' || f->type == 'X' ? 16
                    : f->type == 'o'                 ? 8
                    : f->type == 'b'                 ? 2
                                                     : 10;
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    size_t n = 0, k = 0;
    do digits[n++] = (f->type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[u % base];
    while (u /= base);
    for (int64_t zeros = f->precision - (int64_t)n; zeros > 0 && k < 60; zeros--)
        text[k++] = '0'; /* "%.3d" */
    while (n) text[k++] = digits[--n];
    text[k] = 0;
    if (f->group) group_digits(text, sizeof text, f->group, base == 10 ? 3 : 4);
    sign_of(f, i < 0, head);
    if (f->alt && base != 10) {
        size_t at = strlen(head);
        head[at] = '0';
        head[at + 1] = f->type;
        head[at + 2] = 0;
    }
    struct tpl_str body = {.p = text, .n = strlen(text), .chars = SIZE_MAX};
    put_padded(sb, f, head, &body, '>');
}

static bool put_float(struct tpl_sb *sb, const struct spec *f, double x) {
    char text[800], head[8], format[8] = "%.*f";
    bool percent = f->type == '%';
    double size = percent ? fabs(x) * 100 : fabs(x);
    int precision = f->precision < 0 ? 6 : (int)f->precision;
    if (f->precision > MAX_PRECISION) return ig_tpl_raise(sb->st, "precision too big");
    if (!f->type && f->precision < 0) {
        ig_tpl_float_repr(size, text);
    } else {
        size_t at = 1;
        if (f->alt) format[at++] = '#';
        format[at++] = '.';
        format[at++] = '*';
        format[at++] = percent ? 'f' : f->type == 0 || f->type == 'n' ? 'g' : f->type;
        format[at] = 0;
        if (!f->type && precision == 0) precision = 1;
#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#endif
        snprintf(text, sizeof text - 2, format, precision, size);
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif
        for (char *p = text; *p; p++)
            if (*p == ',') *p = '.';
        /* "{:.3}" of a float keeps one digit behind the point */
        if (!f->type && isfinite(x) && !strpbrk(text, ".e")) strcat(text, ".0");
    }
    if (percent) strcat(text, "%");
    if (f->group) group_digits(text, sizeof text, f->group, 3);
    sign_of(f, signbit(x) && !isnan(x), head);
    struct tpl_str body = {.p = text, .n = strlen(text), .chars = SIZE_MAX};
    put_padded(sb, f, head, &body, '>');
    return !sb->st->code;
}

static void put_char(struct tpl_sb *sb, const struct spec *f, int64_t cp) {
    char bytes[4];
    unsigned n = cp >= 0 && cp < 0x110000 ? ig_utf8_encode((uint32_t)cp, bytes) : 0;
    if (!n) {
        ig_tpl_raise(sb->st, "%%c arg not in range(0x110000)");
        return;
    }
    struct tpl_str body = {.p = bytes, .n = n, .chars = 1};
    put_padded(sb, f, "", &body, '<');
}

/* ---- printf style ---- */

struct percent {
    struct tpl_st *st;
    const char *p, *end;
    const struct tpl_val *args;    /* a TUPLE's items, a mapping, or one value */
    const struct tpl_args *kwargs; /* in place of a mapping */
    size_t at;
    bool used_key;
};

static bool next_arg(struct percent *x, struct tpl_val *out) {
    if (x->args->kind == V_TUPLE) {
        if (x->at >= x->args->u.l->n)
            return ig_tpl_raise(x->st, "not enough arguments for format string");
        *out = x->args->u.l->v[x->at++];
        return true;
    }
    if (x->at++) return ig_tpl_raise(x->st, "not enough arguments for format string");
    *out = *x->args;
    return true;
}

static bool key_arg(struct percent *x, struct tpl_val *out) {
    const char *from = ++x->p;
    for (unsigned depth = 1; x->p < x->end; x->p++) {
        depth += *x->p == '(';
        depth -= *x->p == ')';
        if (!depth) break;
    }
    if (x->p == x->end) return ig_tpl_raise(x->st, "incomplete format key");
    struct ig_str key = {from, (size_t)(x->p++ - from)};
    x->used_key = true;
    for (size_t i = 0; x->kwargs && i < x->kwargs->n_kw; i++)
        if (ig_str_eq(x->kwargs->kw[i].name, key)) return *out = x->kwargs->kw[i].value, true;
    if (!x->kwargs && x->args->kind == V_UNDEF)
        return ig_tpl_raise(x->st, "%s", x->args->u.undef->message);
    if (!x->kwargs && x->args->kind != V_DICT)
        return ig_tpl_raise(x->st, "format requires a mapping");
    const struct tpl_val *got = x->kwargs ? NULL : ig_tpl_dict_get_z(x->st, x->args->u.d, key);
    if (!got) return ig_tpl_raise(x->st, "'%.*s'", (int)(key.n & 127), key.p);
    *out = *got;
    return true;
}

static bool percent_number(struct percent *x, int64_t *out) {
    struct tpl_val v = {0};
    *out = 0;
    if (x->p < x->end && *x->p == '*') {
        x->p++;
        if (!next_arg(x, &v)) return false;
        if (!tpl_is_int(&v)) return ig_tpl_raise(x->st, "* wants int");
        *out = tpl_as_int(&v);
    }
    while (x->p < x->end && *x->p >= '0' && *x->p <= '9' && *out <= MAX_WIDTH)
        *out = *out * 10 + (*x->p++ - '0');
    return (*out <= MAX_WIDTH && *out >= -MAX_WIDTH) || ig_tpl_raise(x->st, "width too big");
}

static bool percent_flags(struct percent *x, struct spec *f, bool *zero) {
    bool left = false;
    for (; x->p < x->end && strchr("-+ #0", *x->p) && *x->p; x->p++) {
        if (*x->p == '-')
            left = true;
        else if (*x->p == '+')
            f->sign = '+';
        else if (*x->p == ' ' && f->sign != '+')
            f->sign = ' ';
        else if (*x->p == '#')
            f->alt = true;
        else if (*x->p == '0')
            *zero = true;
    }
    if (!percent_number(x, &f->width)) return false;
    if (f->width < 0) left = true, f->width = -f->width;
    if (x->p < x->end && *x->p == '.') {
        x->p++;
        if (!percent_number(x, &f->precision)) return false;
        if (f->precision < 0) f->precision = 0;
    }
    while (x->p < x->end && strchr("hlL", *x->p) && *x->p) x->p++;
    f->align = left ? '<' : 0;
    if (left) *zero = false;
    return x->p < x->end || ig_tpl_raise(x->st, "incomplete format");
}

static bool put_percent(struct percent *x, struct tpl_sb *sb, struct spec *f, bool zero,
                        const struct tpl_val *v) {
    struct tpl_sb text;
    struct tpl_val s;
    char type = f->type;
    if (type == 's' || type == 'r' || type == 'a') {
        ig_tpl_sb_init(&text, x->st);
        if (type == 's')
            ig_tpl_put_str(&text, v);
        else
            ig_tpl_put_repr(&text, v);
        if (!ig_tpl_sb_done(&text, &s)) return false;
        if (!f->align) f->align = '>';
        put_text(sb, f, s.u.s);
        return !x->st->code;
    }
    if (type == 'c') {
        if (!f->align) f->align = '>';
        if (v->kind == V_STR && ig_tpl_chars(v->u.s) == 1)
            put_padded(sb, f, "", v->u.s, '>');
        else if (tpl_is_int(v))
            put_char(sb, f, tpl_as_int(v));
        else
            return ig_tpl_raise(x->st, "%%c requires int or char");
        return !x->st->code;
    }
    if (zero) strcpy(f->fill, "0");
    if (zero) f->align = '=';
    if (strchr("diuxXo", type)) {
        bool ok =
            tpl_is_int(v) || (v->kind == V_FLOAT && strchr("diu", type) && fabs(v->u.f) < 9e18);
        if (!ok)
            return ig_tpl_raise(x->st,
                                strchr("diu", type)
                                    ? "%%%c format: a real number is required, not %s"
                                    : "%%%c format: an integer is required, not %s",
                                type, ig_tpl_type(v));
        if (strchr("iu", type)) f->type = 'd';
        put_int(sb, f, tpl_is_int(v) ? tpl_as_int(v) : (int64_t)v->u.f);
        return !x->st->code;
    }
    if (!strchr("eEfFgG", type))
        return ig_tpl_raise(x->st, "unsupported format character '%c' (0x%x)", type,
                            (unsigned)(unsigned char)type);
    if (!tpl_is_number(v))
        return ig_tpl_raise(x->st, "must be real number, not %s", ig_tpl_type(v));
    return put_float(sb, f, tpl_as_f64(v));
}

/* What has __getitem__ may be left unused by a format string. */
static bool is_mapping(const struct tpl_val *v) {
    return v->kind == V_DICT || v->kind == V_LIST || v->kind == V_UNDEF || v->kind == V_RANGE;
}

bool ig_tpl_percent(struct tpl_st *st, const struct tpl_str *format, const struct tpl_val *args,
                    const struct tpl_args *kwargs, struct tpl_val *out) {
    struct percent x = {
        .st = st, .p = format->p, .end = format->p + format->n, .args = args, .kwargs = kwargs};
    struct tpl_sb sb;
    ig_tpl_sb_init(&sb, st);
    while (x.p < x.end) {
        const char *at = memchr(x.p, '%', (size_t)(x.end - x.p));
        size_t n = at ? (size_t)(at - x.p) : (size_t)(x.end - x.p);
        ig_tpl_sb_sub(&sb, format, (size_t)(x.p - format->p), n);
        x.p += n;
        if (!at) break;
        if (++x.p == x.end) return ig_tpl_raise(st, "incomplete format");
        struct spec f = {.precision = -1};
        struct tpl_val v = {0};
        bool zero = false;
        if (*x.p == '(' && !key_arg(&x, &v)) return false;
        if (!percent_flags(&x, &f, &zero)) return false;
        f.type = *x.p++;
        if (f.type == '%') {
            ig_tpl_sb_z(&sb, "%");
            continue;
        }
        if (v.kind == V_MISSING && !next_arg(&x, &v)) return false;
        if (!put_percent(&x, &sb, &f, zero, &v)) return false;
    }
    bool left =
        args->kind == V_TUPLE ? x.at < args->u.l->n : !x.at && !x.used_key && !is_mapping(args);
    if (left && !kwargs)
        return ig_tpl_raise(st, "not all arguments converted during string formatting");
    return ig_tpl_sb_done(&sb, out);
}

/* ---- str.format ---- */

struct format {
    struct tpl_st *st;
    const struct tpl_args *args;
    size_t next; /* of {} */
    bool numbered, automatic;
};

static bool parse_spec(struct tpl_st *st, struct ig_str s, struct spec *f) {
    const char *p = s.p, *end = s.p + s.n;
    uint32_t cp;
    unsigned n = s.n ? ig_tpl_decode(p, s.n, &cp) : 0;
    *f = (struct spec){.precision = -1};
    if (n && (size_t)n < s.n && strchr("<>=^", p[n]) && p[n]) {
        memcpy(f->fill, p, n);
        f->align = p[n];
        p += n + 1;
    } else if (p < end && *p && strchr("<>=^", *p)) {
        f->align = *p++;
    }
    if (p < end && (*p == '+' || *p == '-' || *p == ' ')) f->sign = *p++;
    if (p < end && *p == '#') f->alt = true, p++;
    if (p < end && *p == '0') {
        if (!f->align) f->align = '=';
        if (!f->fill[0]) strcpy(f->fill, "0");
        p++;
    }
    while (p < end && *p >= '0' && *p <= '9' && f->width <= MAX_WIDTH)
        f->width = f->width * 10 + (*p++ - '0');
    if (p < end && (*p == ',' || *p == '_')) f->group = *p++;
    if (p < end && *p == '.') {
        f->precision = 0;
        if (++p == end || *p < '0' || *p > '9')
            return ig_tpl_raise(st, "Format specifier missing precision");
        while (p < end && *p >= '0' && *p <= '9' && f->precision <= MAX_WIDTH)
            f->precision = f->precision * 10 + (*p++ - '0');
    }
    if (p < end) f->type = *p++;
    if (p < end || f->width > MAX_WIDTH || f->precision > MAX_WIDTH)
        return ig_tpl_raise(st, "Invalid format specifier");
    return true;
}

static bool put_formatted(struct tpl_st *st, struct tpl_sb *sb, const struct tpl_val *v,
                          struct ig_str text) {
    struct spec f;
    struct tpl_val s;
    if (!parse_spec(st, text, &f)) return false;
    char t = f.type;
    bool whole = t && strchr("bcdoxXn", t), real = t && strchr("eEfFgG%", t);
    if (v->kind == V_INT || (v->kind == V_BOOL && (text.n && t != 's' && t))) {
        if (f.precision >= 0 && !real)
            return ig_tpl_raise(st, "Precision not allowed in integer format specifier");
        if (real) return put_float(sb, &f, tpl_as_f64(v));
        if (t && !whole)
            return ig_tpl_raise(st, "Unknown format code '%c' for object of type 'int'", t);
        if (t == 'c')
            put_char(sb, &f, tpl_as_int(v));
        else
            put_int(sb, &f, tpl_as_int(v));
        return !st->code;
    }
    if (v->kind == V_FLOAT) {
        if (t && !real && t != 'n')
            return ig_tpl_raise(st, "Unknown format code '%c' for object of type 'float'", t);
        return put_float(sb, &f, v->u.f);
    }
    if (v->kind != V_STR && v->kind != V_BOOL && v->kind != V_UNDEF && text.n)
        return ig_tpl_raise(st, "unsupported format string passed to %s.__format__",
                            ig_tpl_type(v));
    if (t && t != 's')
        return ig_tpl_raise(st, "Unknown format code '%c' for object of type 'str'", t);
    if (f.align == '=')
        return ig_tpl_raise(st, "'=' alignment not allowed in string format specifier");
    if (!ig_tpl_to_str(st, v, &s)) return false;
    put_text(sb, &f, s.u.s);
    return !st->code;
}

static bool first_part(struct format *x, struct ig_str name, struct tpl_val *out) {
    int64_t i = 0;
    if (!name.n) {
        i = (int64_t)x->next++;
        x->automatic = true;
    } else if (ig_str_to_i64(name, &i) && i >= 0) {
        x->numbered = true;
    } else {
        for (size_t k = 0; k < x->args->n_kw; k++)
            if (ig_str_eq(x->args->kw[k].name, name)) return *out = x->args->kw[k].value, true;
        return ig_tpl_raise(x->st, "'%.*s'", (int)(name.n & 127), name.p);
    }
    if (x->automatic && x->numbered)
        return ig_tpl_raise(
            x->st,
            "cannot switch between manual field specification and automatic field numbering");
    if ((uint64_t)i >= x->args->n_pos)
        return ig_tpl_raise(x->st, "Replacement index %lld out of range for positional args tuple",
                            (long long)i);
    *out = x->args->pos[i];
    return true;
}

/* name.attr[key] */
static bool field_value(struct format *x, struct ig_str s, struct tpl_val *out) {
    size_t n = 0;
    while (n < s.n && s.p[n] != '.' && s.p[n] != '[') n++;
    if (!first_part(x, (struct ig_str){s.p, n}, out)) return false;
    while (n < s.n) {
        struct tpl_val v = *out, key;
        bool dot = s.p[n++] == '.';
        size_t from = n;
        while (n < s.n && (dot ? s.p[n] != '.' && s.p[n] != '[' : s.p[n] != ']')) n++;
        struct ig_str part = {s.p + from, n - from};
        int64_t i;
        if (!dot && n++ == s.n) return ig_tpl_raise(x->st, "Missing ']' in format string");
        if (!part.n) return ig_tpl_raise(x->st, "Empty attribute in format string");
        if (dot) {
            if (!ig_tpl_getattr(x->st, &v, part, out)) return false;
            continue;
        }
        if (ig_str_to_i64(part, &i))
            key = tpl_int(i);
        else if (!ig_tpl_str(x->st, part.p, part.n, false, &key))
            return false;
        if (!ig_tpl_getitem(x->st, &v, &key, out)) return false;
    }
    return true;
}

/* What stands between { and }: field!conversion:spec; spec may hold fields itself (one level). */
static bool put_field(struct format *x, struct tpl_sb *sb, struct ig_str s) {
    size_t n = 0;
    while (n < s.n && s.p[n] != '!' && s.p[n] != ':') {
        if (s.p[n] == '[')
            while (n < s.n && s.p[n] != ']') n++;
        if (n < s.n) n++;
    }
    struct tpl_val v, spec;
    if (!field_value(x, (struct ig_str){s.p, n}, &v)) return false;
    char conversion = 0;
    if (n < s.n && s.p[n] == '!') {
        if (s.n - n < 2)
            return ig_tpl_raise(x->st, "end of string while looking for conversion specifier");
        conversion = s.p[n + 1];
        n += 2;
        if (n < s.n && s.p[n] != ':')
            return ig_tpl_raise(x->st, "expected ':' after conversion specifier");
    }
    struct ig_str text = {s.p + n + (n < s.n), s.n - n - (n < s.n)};
    if (memchr(text.p, '{', text.n)) {
        struct tpl_sb inner;
        ig_tpl_sb_init(&inner, x->st);
        for (size_t i = 0; i < text.n; i++) {
            size_t from = i + 1;
            if (text.p[i] != '{') {
                ig_tpl_sb_add(&inner, text.p + i, 1, false);
                continue;
            }
            while (i < text.n && text.p[i] != '}') i++;
            struct tpl_val w;
            if (i == text.n) return ig_tpl_raise(x->st, "expected '}' before end of string");
            if (!field_value(x, (struct ig_str){text.p + from, i - from}, &w)) return false;
            ig_tpl_put_str(&inner, &w);
        }
        if (!ig_tpl_sb_done(&inner, &spec)) return false;
        text = (struct ig_str){spec.u.s->p, spec.u.s->n};
    }
    if (conversion) {
        struct tpl_sb sv;
        ig_tpl_sb_init(&sv, x->st);
        if (conversion == 's')
            ig_tpl_put_str(&sv, &v);
        else if (conversion == 'r' || conversion == 'a')
            ig_tpl_put_repr(&sv, &v);
        else
            return ig_tpl_raise(x->st, "Unknown conversion specifier '%c'", conversion);
        if (!ig_tpl_sb_done(&sv, &v)) return false;
    }
    return put_formatted(x->st, sb, &v, text);
}

bool ig_tpl_format(struct tpl_st *st, const struct tpl_str *s, const struct tpl_args *args,
                   struct tpl_val *out) {
    struct format x = {.st = st, .args = args};
    struct tpl_sb sb;
    ig_tpl_sb_init(&sb, st);
    for (size_t i = 0; i < s->n && !st->code;) {
        size_t from = i;
        while (i < s->n && s->p[i] != '{' && s->p[i] != '}') i++;
        ig_tpl_sb_sub(&sb, s, from, i - from);
        if (i == s->n) break;
        if (i + 1 < s->n && s->p[i + 1] == s->p[i]) {
            ig_tpl_sb_sub(&sb, s, i, 1);
            i += 2;
            continue;
        }
        if (s->p[i] == '}') return ig_tpl_raise(st, "Single '}' encountered in format string");
        from = ++i;
        for (unsigned depth = 1; i < s->n; i++) {
            depth += s->p[i] == '{';
            depth -= s->p[i] == '}';
            if (!depth) break;
        }
        if (i == s->n)
            return ig_tpl_raise(st, from == s->n ? "Single '{' encountered in format string"
                                                 : "expected '}' before end of string");
        if (!put_field(&x, &sb, (struct ig_str){s->p + from, i - from})) return false;
        i++;
    }
    if (!ig_tpl_sb_done(&sb, out)) return false;
    out->u.s->safe = s->safe;
    return true;
}
