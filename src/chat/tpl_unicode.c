/* What Python's str methods know about code points. The tables are ranges made by
 * tools/unicode_chat.py. */
#include "chat/tpl.h"

#include "base/utf8.h"

struct range {
    uint32_t first, last, step;
};
struct delta {
    uint32_t first, last, step;
    int32_t delta;
};
struct special {
    uint32_t cp, a, b, c;
};
#include "chat/unicode_tables.inc"

#define COUNT(table) (sizeof(table) / sizeof *(table))

static bool in_ranges(const struct range *r, size_t n, uint32_t cp) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > r[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && cp >= r[lo].first && (cp - r[lo].first) % r[lo].step == 0;
}

static uint32_t map_one(const struct delta *r, size_t n, uint32_t cp) {
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp > r[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo == n || cp < r[lo].first || (cp - r[lo].first) % r[lo].step) return cp;
    return (uint32_t)((int32_t)cp + r[lo].delta);
}

static unsigned map(const struct delta *r, size_t n, const struct special *s, size_t ns,
                    uint32_t cp, uint32_t out[3]) {
    for (size_t i = 0; cp > 0x7f && i < ns; i++) {
        if (s[i].cp != cp) continue;
        out[0] = s[i].a;
        out[1] = s[i].b;
        out[2] = s[i].c;
        return out[2] ? 3 : 2;
    }
    out[0] = map_one(r, n, cp);
    return 1;
}

unsigned ig_tpl_upper(uint32_t cp, uint32_t out[3]) {
    return map(to_upper, COUNT(to_upper), special_upper, COUNT(special_upper), cp, out);
}
unsigned ig_tpl_lower(uint32_t cp, uint32_t out[3]) {
    return map(to_lower, COUNT(to_lower), special_lower, COUNT(special_lower), cp, out);
}
unsigned ig_tpl_title(uint32_t cp, uint32_t out[3]) {
    return map(to_title, COUNT(to_title), special_title, COUNT(special_title), cp, out);
}

unsigned ig_tpl_class(uint32_t cp) {
    if (cp >= 0x20 && cp < 0x7f) {
        bool upper = cp >= 'A' && cp <= 'Z', lower = cp >= 'a' && cp <= 'z',
             digit = cp >= '0' && cp <= '9';
        return CLASS_PRINT | (upper || lower ? CLASS_ALPHA : 0u) | (upper ? CLASS_UPPER : 0u) |
               (lower ? CLASS_LOWER : 0u) |
               (digit ? CLASS_DIGIT | CLASS_DECIMAL | CLASS_NUMERIC : 0u);
    }
    unsigned c = 0;
    if (in_ranges(is_alpha, COUNT(is_alpha), cp)) c |= CLASS_ALPHA;
    if (in_ranges(is_digit, COUNT(is_digit), cp)) c |= CLASS_DIGIT;
    if (in_ranges(is_decimal, COUNT(is_decimal), cp)) c |= CLASS_DECIMAL;
    if (in_ranges(is_numeric, COUNT(is_numeric), cp)) c |= CLASS_NUMERIC;
    if (in_ranges(is_upper, COUNT(is_upper), cp)) c |= CLASS_UPPER;
    if (in_ranges(is_lower, COUNT(is_lower), cp)) c |= CLASS_LOWER;
    if (in_ranges(is_title, COUNT(is_title), cp)) c |= CLASS_TITLE;
    if (!in_ranges(is_hidden, COUNT(is_hidden), cp)) c |= CLASS_PRINT;
    return c;
}

bool ig_tpl_is_space(uint32_t cp) {
    if (cp < 0x80) return (cp >= 9 && cp <= 13) || (cp >= 28 && cp <= 32);
    return cp == 0x85 || cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

unsigned ig_tpl_decode(const char *p, size_t n, uint32_t *cp) {
    unsigned len = ig_utf8_decode(p, n, cp);
    if (len) return len;
    *cp = 0xfffd;
    return 1;
}

struct ig_str ig_tpl_trim(struct ig_str s, bool left, bool right) {
    uint32_t cp;
    while (left && s.n) {
        unsigned n = ig_tpl_decode(s.p, s.n, &cp);
        if (!ig_tpl_is_space(cp)) break;
        s.p += n;
        s.n -= n;
    }
    while (right && s.n) {
        size_t at = s.n - 1;
        while (at && s.n - at < 4 && ((unsigned char)s.p[at] & 0xc0) == 0x80) at--;
        ig_tpl_decode(s.p + at, s.n - at, &cp);
        if (!ig_tpl_is_space(cp)) break;
        s.n = at;
    }
    return s;
}
