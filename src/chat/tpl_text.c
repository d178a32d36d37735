/* Values as text: str(), repr() and JSON, each byte of it as Python writes it. */
#include "chat/tpl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The shortest digits that read back as f, laid out as Python's repr does. Formatting goes through
 * "%e", whose decimal point may be the locale's: only digits are taken from it. */
void ig_tpl_float_repr(double f, char out[32]) {
    if (isnan(f)) {
        strcpy(out, "nan");
        return;
    }
    if (isinf(f)) {
        strcpy(out, f < 0 ? "-inf" : "inf");
        return;
    }
    char text[40], digits[24];
    size_t n = 0;
    for (int precision = 0; precision < 17; precision++) {
        snprintf(text, sizeof text, "%.*e", precision, f);
        if (strtod(text, NULL) == f) break;
    }
    char *e = strchr(text, 'e');
    int exponent = atoi(e + 1);
    for (const char *p = text; p < e && n < sizeof digits; p++)
        if (*p >= '0' && *p <= '9') digits[n++] = *p;
    char *to = out;
    if (text[0] == '-') *to++ = '-';
    if (exponent < -4 || exponent >= 16) {
        *to++ = digits[0];
        if (n > 1) {
            *to++ = '.';
            memcpy(to, digits + 1, n - 1);
            to += n - 1;
        }
        snprintf(to, 16, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) {
        memcpy(to, "0.000000", (size_t)(1 - exponent));
        to += 1 - exponent;
        memcpy(to, digits, n);
        to[n] = 0;
        return;
    }
    for (int i = 0; i < (int)n || i <= exponent; i++) {
        if (i == exponent + 1) *to++ = '.';
        *to++ = i < (int)n ? digits[i] : '0';
    }
    if ((int)n <= exponent + 1) *to++ = '.', *to++ = '0';
    *to = 0;
}

static void put_number(struct tpl_sb *sb, const struct tpl_val *v) {
    char text[32];
    if (v->kind == V_FLOAT)
        ig_tpl_float_repr(v->u.f, text);
    else
        snprintf(text, sizeof text, "%lld", (long long)v->u.i);
    ig_tpl_sb_z(sb, text);
}

/* ---- repr ---- */

static void put_escaped_cp(struct tpl_sb *sb, uint32_t cp) {
    char text[16];
    if (cp == '\n')
        strcpy(text, "\\n");
    else if (cp == '\r')
        strcpy(text, "\\r");
    else if (cp == '\t')
        strcpy(text, "\\t");
    else
        snprintf(text, sizeof text,
                 cp < 0x100     ? "\\x%02x"
                 : cp < 0x10000 ? "\\u%04x"
                                : "\\U%08x",
                 (unsigned)cp);
    ig_tpl_sb_z(sb, text);
}

static void repr_str(struct tpl_sb *sb, const struct tpl_str *s) {
    bool single = memchr(s->p, '\'', s->n) != NULL, twice = memchr(s->p, '"', s->n) != NULL;
    char quote = single && !twice ? '"' : '\'';
    size_t from = 0;
    if (s->safe) ig_tpl_sb_z(sb, "Markup(");
    ig_tpl_sb_add(sb, &quote, 1, false);
    for (size_t i = 0; i < s->n && !sb->st->code;) {
        uint32_t cp;
        unsigned n = ig_tpl_decode(s->p + i, s->n - i, &cp);
        bool back = cp == '\\' || cp == (uint32_t)quote;
        if (back || !(ig_tpl_class(cp) & CLASS_PRINT)) {
            ig_tpl_sb_sub(sb, s, from, i - from);
            if (back)
                ig_tpl_sb_z(sb, "\\");
            else
                put_escaped_cp(sb, cp);
            from = back ? i : i + n;
        }
        i += n;
    }
    ig_tpl_sb_sub(sb, s, from, s->n - from);
    ig_tpl_sb_add(sb, &quote, 1, false);
    if (s->safe) ig_tpl_sb_z(sb, ")");
}

static void repr_items(struct tpl_sb *sb, const struct tpl_list *l, const char *open,
                       const char *close, bool tuple) {
    ig_tpl_sb_z(sb, open);
    for (size_t i = 0; i < l->n && !sb->st->code; i++) {
        if (i) ig_tpl_sb_z(sb, ", ");
        ig_tpl_put_repr(sb, &l->v[i]);
    }
    if (tuple && l->n == 1) ig_tpl_sb_z(sb, ",");
    ig_tpl_sb_z(sb, close);
}

static void repr_dict(struct tpl_sb *sb, const struct tpl_dict *d) {
    ig_tpl_sb_z(sb, "{");
    for (size_t i = 0; i < d->n && !sb->st->code; i++) {
        if (i) ig_tpl_sb_z(sb, ", ");
        ig_tpl_put_repr(sb, &d->v[i].key);
        ig_tpl_sb_z(sb, ": ");
        ig_tpl_put_repr(sb, &d->v[i].value);
    }
    ig_tpl_sb_z(sb, "}");
}

static void repr_view(struct tpl_sb *sb, const struct tpl_val *v) {
    struct tpl_list *l;
    if (!ig_tpl_iter(sb->st, v, &l)) return;
    ig_tpl_sb_z(sb, ig_tpl_type(v));
    repr_items(sb, l, "([", "])", false);
}

static void repr_range(struct tpl_sb *sb, const struct tpl_range *r) {
    char text[96];
    int n =
        snprintf(text, sizeof text, "range(%lld, %lld", (long long)r->start, (long long)r->stop);
    if (r->step != 1)
        n += snprintf(text + n, sizeof text - (size_t)n, ", %lld", (long long)r->step);
    ig_tpl_sb_add(sb, text, (size_t)n, false);
    ig_tpl_sb_z(sb, ")");
}

static void repr_object(struct tpl_sb *sb, const struct tpl_val *v) {
    char text[200];
    if (v->kind == V_MACRO) {
        struct ig_str name = v->u.macro->node->text;
        if (v->u.macro->node->kind == N_CALLBLOCK)
            snprintf(text, sizeof text, "<Macro anonymous>");
        else
            snprintf(text, sizeof text, "<Macro '%.*s'>", (int)(name.n & 127), name.p);
    } else if (v->kind == V_LOOP) {
        snprintf(text, sizeof text, "<LoopContext %zu/%zu>", v->u.loop->at + 1,
                 v->u.loop->items->n);
    } else if (v->kind == V_METHOD || v->kind == V_FUNC) {
        const struct tpl_func *f = v->kind == V_FUNC ? v->u.func : v->u.method->func;
        snprintf(text, sizeof text, "<function %s>", f->name);
    } else {
        snprintf(text, sizeof text, "<%s object>", ig_tpl_type(v));
    }
    ig_tpl_sb_z(sb, text);
}

static void repr_container(struct tpl_sb *sb, const struct tpl_val *v) {
    if (!ig_tpl_enter(sb->st)) return;
    switch ((enum tpl_kind)v->kind) {
    case V_LIST: repr_items(sb, v->u.l, "[", "]", false); break;
    case V_TUPLE: repr_items(sb, v->u.l, "(", ")", true); break;
    case V_VIEW: repr_view(sb, v); break;
    case V_NS:
        ig_tpl_sb_z(sb, "<Namespace ");
        repr_dict(sb, v->u.d);
        ig_tpl_sb_z(sb, ">");
        break;
    default: repr_dict(sb, v->u.d); break;
    }
    sb->st->depth--;
}

void ig_tpl_put_repr(struct tpl_sb *sb, const struct tpl_val *v) {
    if (!ig_tpl_step(sb->st)) return;
    switch ((enum tpl_kind)v->kind) {
    case V_UNDEF: ig_tpl_sb_z(sb, "Undefined"); break;
    case V_NONE: ig_tpl_sb_z(sb, "None"); break;
    case V_BOOL: ig_tpl_sb_z(sb, v->u.b ? "True" : "False"); break;
    case V_INT:
    case V_FLOAT: put_number(sb, v); break;
    case V_STR: repr_str(sb, v->u.s); break;
    case V_RANGE: repr_range(sb, v->u.range); break;
    case V_LIST:
    case V_TUPLE:
    case V_DICT:
    case V_VIEW:
    case V_NS: repr_container(sb, v); break;
    default: repr_object(sb, v); break;
    }
}

void ig_tpl_put_str(struct tpl_sb *sb, const struct tpl_val *v) {
    if (v->kind == V_STR)
        ig_tpl_sb_str(sb, v->u.s);
    else if (v->kind != V_UNDEF)
        ig_tpl_put_repr(sb, v);
}

bool ig_tpl_to_str(struct tpl_st *st, const struct tpl_val *v, struct tpl_val *out) {
    if (v->kind == V_STR && !v->u.s->safe) return *out = *v, true;
    if (v->kind == V_STR) {
        if (!ig_tpl_sub(st, v->u.s, 0, v->u.s->n, out)) return false;
        out->u.s->safe = false;
        return true;
    }
    struct tpl_sb sb;
    ig_tpl_sb_init(&sb, st);
    ig_tpl_put_str(&sb, v);
    return ig_tpl_sb_done(&sb, out);
}

/* ---- JSON ---- */

struct json {
    struct tpl_sb sb;
    const struct tpl_json_style *style;
    size_t level;
    bool input; /* any string in it came from input: then all of it counts as input */
};

static void put(struct json *w, const char *p, size_t n) {
    ig_tpl_sb_add(&w->sb, p, n, false);
}

static void put_json_cp(struct json *w, uint32_t cp) {
    static const char from[] = "\"\\\b\f\n\r\t", into[] = "\"\\bfnrt";
    char text[16];
    const char *known = cp && cp < 128 ? strchr(from, (int)cp) : NULL;
    if (known)
        snprintf(text, sizeof text, "\\%c", into[known - from]);
    else if (cp < 0x10000)
        snprintf(text, sizeof text, "\\u%04x", (unsigned)cp);
    else
        snprintf(text, sizeof text, "\\u%04x\\u%04x", (unsigned)(0xd800 + ((cp - 0x10000) >> 10)),
                 (unsigned)(0xdc00 + ((cp - 0x10000) & 0x3ff)));
    put(w, text, strlen(text));
}

static void json_str(struct json *w, const struct tpl_str *s) {
    size_t from = 0;
    w->input |= ig_tpl_is_input(s);
    put(w, "\"", 1);
    for (size_t i = 0; i < s->n && !w->sb.st->code;) {
        uint32_t cp;
        unsigned n = ig_tpl_decode(s->p + i, s->n - i, &cp);
        if (cp < 0x20 || cp == '"' || cp == '\\' || (w->style->ascii && cp > 0x7e)) {
            put(w, s->p + from, i - from);
            put_json_cp(w, cp);
            from = i + n;
        }
        i += n;
    }
    put(w, s->p + from, s->n - from);
    put(w, "\"", 1);
}

static void newline(struct json *w) {
    if (!w->style->has_indent) return;
    put(w, "\n", 1);
    for (size_t i = 0; i < w->level && !w->sb.st->code; i++)
        put(w, w->style->indent.p, w->style->indent.n);
}

static void json_value(struct json *w, const struct tpl_val *v);

static void json_list(struct json *w, const struct tpl_list *l) {
    if (!l->n) {
        put(w, "[]", 2);
        return;
    }
    put(w, "[", 1);
    w->level++;
    for (size_t i = 0; i < l->n && !w->sb.st->code; i++) {
        if (i) put(w, w->style->item_sep.p, w->style->item_sep.n);
        newline(w);
        json_value(w, &l->v[i]);
    }
    w->level--;
    newline(w);
    put(w, "]", 1);
}

static void json_key(struct json *w, const struct tpl_val *key) {
    char text[32];
    switch ((enum tpl_kind)key->kind) {
    case V_STR: json_str(w, key->u.s); return;
    case V_NONE: put(w, "\"null\"", 6); return;
    case V_BOOL: put(w, key->u.b ? "\"true\"" : "\"false\"", key->u.b ? 6 : 7); return;
    case V_INT: snprintf(text, sizeof text, "%lld", (long long)key->u.i); break;
    case V_FLOAT: ig_tpl_float_repr(key->u.f, text); break;
    default:
        ig_tpl_raise(w->sb.st, "keys must be str, int, float, bool or None, not %s",
                     ig_tpl_type(key));
        return;
    }
    put(w, "\"", 1);
    put(w, text, strlen(text));
    put(w, "\"", 1);
}

static const struct tpl_dict *sorted(struct json *w, const struct tpl_dict *d) {
    struct tpl_st *st = w->sb.st;
    struct tpl_val keys, items, copy;
    if (!ig_tpl_list(st, d->n, V_LIST, &keys) || !ig_tpl_list(st, d->n, V_LIST, &items) ||
        !ig_tpl_dict(st, V_DICT, &copy))
        return d;
    for (size_t i = 0; i < d->n; i++) {
        ig_tpl_push(st, keys.u.l, &d->v[i].key);
        ig_tpl_push(st, items.u.l, &d->v[i].value);
    }
    if (!ig_tpl_sort(st, items.u.l->v, keys.u.l->v, d->n, false)) return d;
    for (size_t i = 0; i < d->n; i++)
        if (!ig_tpl_dict_set(st, copy.u.d, &keys.u.l->v[i], &items.u.l->v[i])) return d;
    return copy.u.d;
}

static void json_dict(struct json *w, const struct tpl_dict *d) {
    if (!d->n) {
        put(w, "{}", 2);
        return;
    }
    if (w->style->sort_keys) d = sorted(w, d);
    put(w, "{", 1);
    w->level++;
    for (size_t i = 0; i < d->n && !w->sb.st->code; i++) {
        if (i) put(w, w->style->item_sep.p, w->style->item_sep.n);
        newline(w);
        json_key(w, &d->v[i].key);
        put(w, w->style->key_sep.p, w->style->key_sep.n);
        json_value(w, &d->v[i].value);
    }
    w->level--;
    newline(w);
    put(w, "}", 1);
}

static void json_float(struct json *w, double f) {
    char text[32];
    if (isnan(f))
        strcpy(text, "NaN");
    else if (isinf(f))
        strcpy(text, f < 0 ? "-Infinity" : "Infinity");
    else
        ig_tpl_float_repr(f, text);
    put(w, text, strlen(text));
}

static void json_value(struct json *w, const struct tpl_val *v) {
    char text[32];
    if (!ig_tpl_enter(w->sb.st)) return;
    switch ((enum tpl_kind)v->kind) {
    case V_NONE: put(w, "null", 4); break;
    case V_BOOL: put(w, v->u.b ? "true" : "false", v->u.b ? 4 : 5); break;
    case V_INT:
        snprintf(text, sizeof text, "%lld", (long long)v->u.i);
        put(w, text, strlen(text));
        break;
    case V_FLOAT: json_float(w, v->u.f); break;
    case V_STR: json_str(w, v->u.s); break;
    case V_LIST:
    case V_TUPLE: json_list(w, v->u.l); break;
    case V_DICT: json_dict(w, v->u.d); break;
    default:
        ig_tpl_raise(w->sb.st, "Object of type %s is not JSON serializable", ig_tpl_type(v));
        break;
    }
    w->sb.st->depth--;
}

bool ig_tpl_to_json(struct tpl_st *st, const struct tpl_val *v, const struct tpl_json_style *style,
                    struct tpl_val *out) {
    struct json w = {.style = style};
    ig_tpl_sb_init(&w.sb, st);
    json_value(&w, v);
    if (!ig_tpl_sb_done(&w.sb, out)) return false;
    out->u.s->input = w.input;
    return true;
}
