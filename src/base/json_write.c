/* JSON out: strings, numbers and whole trees, compact. The buffer's sticky failure is the only
 * error. The tree is walked with a stack of its own (nodes know no parent), so its depth costs no C
 * stack. */
#include "base/json.h"

#include <math.h>
#include "base/utf8.h"

static void put_escape(struct ig_buf *b, unsigned char c) {
    static const char from[] = "\"\\\b\f\n\r\t", into[] = "\"\\bfnrt";
    const char *known = c ? strchr(from, c) : NULL;
    ig_buf_ch(b, '\\');
    if (known) {
        ig_buf_ch(b, into[known - from]);
        return;
    }
    static const char hex[] = "0123456789abcdef";
    char text[5] = {'u', '0', '0', hex[c >> 4], hex[c & 15]};
    ig_buf_add(b, text, sizeof text);
}

void ig_json_put_str(struct ig_buf *b, struct ig_str s) {
    ig_buf_ch(b, '"');
    size_t from = 0, i = 0;
    while (i < s.n) {
        unsigned char c = (unsigned char)s.p[i];
        uint32_t cp;
        unsigned n = c < 0x80 ? 1 : ig_utf8_decode(s.p + i, s.n - i, &cp);
        if (n && c >= 0x20 && c != '"' && c != '\\') {
            i += n;
            continue;
        }
        ig_buf_add(b, s.p + from, i - from);
        if (n)
            put_escape(b, c);
        else
            ig_buf_z(b, "\xef\xbf\xbd");
        from = ++i;
    }
    if (i > from) ig_buf_add(b, s.p + from, i - from);
    ig_buf_ch(b, '"');
}

void ig_json_put_f64(struct ig_buf *b, double v) {
    if (isfinite(v))
        ig_buf_f64(b, v);
    else
        ig_buf_z(b, "null");
}

static void put_scalar(struct ig_buf *b, const struct ig_json *j) {
    if (j->kind == IG_JSON_STRING)
        ig_json_put_str(b, j->text);
    else if (j->kind == IG_JSON_NUMBER)
        ig_buf_str(b, j->text);
    else if (j->kind == IG_JSON_BOOL)
        ig_buf_z(b, j->truth ? "true" : "false");
    else
        ig_buf_z(b, "null");
}

void ig_json_put(struct ig_buf *b, const struct ig_json *root) {
    const struct ig_json **stack = NULL; /* open containers */
    size_t depth = 0, cap = 0;
    const struct ig_json *j = root;
    while (j && !b->failed) {
        if (depth && stack[depth - 1]->kind == IG_JSON_OBJECT) {
            ig_json_put_str(b, j->key);
            ig_buf_ch(b, ':');
        }
        if ((j->kind == IG_JSON_ARRAY || j->kind == IG_JSON_OBJECT) && j->child) {
            if (depth == cap) {
                cap = cap ? cap * 2 : 32;
                const struct ig_json **more = ig_realloc(b->mem, stack, cap * sizeof *stack);
                if (!more) {
                    b->failed = true;
                    break;
                }
                stack = more;
            }
            stack[depth++] = j;
            ig_buf_ch(b, j->kind == IG_JSON_OBJECT ? '{' : '[');
            j = j->child;
            continue;
        }
        if (j->kind == IG_JSON_ARRAY || j->kind == IG_JSON_OBJECT)
            ig_buf_z(b, j->kind == IG_JSON_OBJECT ? "{}" : "[]");
        else
            put_scalar(b, j);
        while (depth && !j->next) {
            j = stack[--depth];
            ig_buf_ch(b, j->kind == IG_JSON_OBJECT ? '}' : ']');
        }
        if (!depth) break;
        j = j->next;
        ig_buf_ch(b, ',');
    }
    ig_free(b->mem, stack);
}
