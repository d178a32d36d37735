/* Slices and growing text. Number conversion never depends on the host's locale, because hosts set one. */
#include "base/str.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

int ig_str_cmp(struct ig_str a, struct ig_str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    return c ? c : (a.n > b.n) - (a.n < b.n);
}

bool ig_str_find(struct ig_str hay, struct ig_str needle, size_t *at) {
    if (needle.n > hay.n) return false;
    for (size_t i = 0; i + needle.n <= hay.n; i++) {
        if (needle.n && hay.p[i] != needle.p[0]) continue;
        if (needle.n && memcmp(hay.p + i, needle.p, needle.n) != 0) continue;
        if (at) *at = i;
        return true;
    }
    return false;
}

bool ig_str_in_list(const char *list, struct ig_str word) {
    while (list && *list) {
        size_t n = strcspn(list, " ");
        if (ig_str_eq((struct ig_str){list, n}, word)) return true;
        list += n + strspn(list + n, " ");
    }
    return false;
}

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

struct ig_str ig_str_trim(struct ig_str s) {
    while (s.n && is_space(s.p[0])) s.p++, s.n--;
    while (s.n && is_space(s.p[s.n - 1])) s.n--;
    return s;
}

bool ig_str_to_i64(struct ig_str s, int64_t *out) {
    bool minus = s.n && s.p[0] == '-';
    size_t i = minus || (s.n && s.p[0] == '+') ? 1 : 0;
    if (i == s.n) return false;
    uint64_t v = 0, max = minus ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    for (; i < s.n; i++) {
        unsigned d = (unsigned char)s.p[i] - (unsigned)'0';
        if (d > 9 || v > (max - d) / 10) return false;
        v = v * 10 + d;
    }
    *out = minus ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* strtod reads the locale's decimal point: put it in place of '.' in a copy. */
bool ig_str_to_f64(struct ig_str s, double *out) {
    char copy[512];
    if (!s.n || s.n >= sizeof copy - 8) return false;
    const char *point = localeconv()->decimal_point;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (is_space(c) || c == ',' || c == 'x' || c == 'X' || c == 'p' || c == 0) return false;
        if (c != '.') {
            copy[n++] = c;
            continue;
        }
        size_t len = strlen(point);
        if (len > 4 || n + len >= sizeof copy - 1) return false;
        memcpy(copy + n, point, len);
        n += len;
    }
    copy[n] = 0;
    char *end;
    double v = strtod(copy, &end);
    if (end != copy + n) return false;
    *out = v;
    return true;
}

bool ig_buf_reserve(struct ig_buf *b, size_t more) {
    size_t need;
    if (b->failed) return false;
    if (!ig_add(b->n, more, &need) || !ig_add(need, 1, &need)) {
        b->failed = true;
        return false;
    }
    if (need <= b->cap) return true;
    size_t cap = b->cap < 64 ? 64 : b->cap + b->cap / 2;
    if (cap < need) cap = need;
    char *p = ig_realloc(b->mem, b->p, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void ig_buf_add(struct ig_buf *b, const char *p, size_t n) {
    if (!ig_buf_reserve(b, n)) return;
    if (n) memcpy(b->p + b->n, p, n);
    b->n += n;
    b->p[b->n] = 0;
}

void ig_buf_str(struct ig_buf *b, struct ig_str s) { ig_buf_add(b, s.p, s.n); }
void ig_buf_z(struct ig_buf *b, const char *z) { ig_buf_add(b, z, strlen(z)); }
void ig_buf_ch(struct ig_buf *b, char c) { ig_buf_add(b, &c, 1); }

void ig_buf_f(struct ig_buf *b, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) b->failed = true;
    if (n >= 0 && ig_buf_reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void ig_buf_f64(struct ig_buf *b, double v) {
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) break;
    }
    const char *point = localeconv()->decimal_point;
    char *at = strcmp(point, ".") != 0 ? strstr(text, point) : NULL;
    if (at) {
        size_t len = strlen(point);
        *at = '.';
        memmove(at + 1, at + len, strlen(at + len) + 1);
    }
    ig_buf_z(b, text);
}

void ig_buf_clear(struct ig_buf *b) {
    b->n = 0;
    b->failed = false;
    if (b->p) b->p[0] = 0;
}

void ig_buf_free(struct ig_buf *b) {
    ig_free(b->mem, b->p);
    *b = (struct ig_buf){.mem = b->mem};
}
