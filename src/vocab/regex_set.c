/* Sets of code points for the regex engine: unions, complements, Unicode properties, case folding.
 * A set's ranges may overlap while it is being built; every operation that depends on order tidies
 * first. Memory failure is sticky in the buffer and checked once, by the parser. */
#include "vocab/regex_set.h"
#include "vocab/unicode.h"

#include <stdlib.h>

enum { LAST = 0x10ffff };

bool ig_set_add(struct ig_set *s, uint32_t first, uint32_t last) {
    uint32_t pair[2] = {first, last};
    if (first <= last) ig_buf_add(&s->ranges, (const char *)pair, sizeof pair);
    return !s->ranges.failed;
}

static int by_first(const void *a, const void *b) {
    const uint32_t *x = a, *y = b;
    return x[0] < y[0] ? -1 : x[0] > y[0];
}

static uint32_t *items(struct ig_set *s) {
    return (uint32_t *)(void *)s->ranges.p;
}

void ig_set_tidy(struct ig_set *s) {
    size_t n = ig_set_count(s), kept = 0;
    uint32_t *r = items(s);
    if (n < 2) return;
    bool sorted = true;
    for (size_t i = 1; i < n && sorted; i++) sorted = r[2 * i - 2] <= r[2 * i];
    if (!sorted) qsort(r, n, 2 * sizeof *r, by_first);
    for (size_t i = 1; i < n; i++) {
        uint32_t *last = r + 2 * kept, *next = r + 2 * i;
        if (next[0] <= last[1] || next[0] == last[1] + 1) {
            if (next[1] > last[1]) last[1] = next[1];
        } else {
            kept++;
            r[2 * kept] = next[0];
            r[2 * kept + 1] = next[1];
        }
    }
    s->ranges.n = (kept + 1) * 2 * sizeof *r;
}

void ig_set_negate(struct ig_set *s) {
    struct ig_set out = {.ranges.mem = s->ranges.mem};
    ig_set_tidy(s);
    uint32_t at = 0;
    bool open = true;
    for (size_t i = 0; i < ig_set_count(s); i++) {
        const uint32_t *r = items(s) + 2 * i;
        if (r[0] > at) ig_set_add(&out, at, r[0] - 1);
        open = r[1] < LAST;
        at = r[1] + 1;
    }
    if (open) ig_set_add(&out, at, LAST);
    out.ranges.failed |= s->ranges.failed;
    ig_set_free(s);
    *s = out;
}

void ig_set_union(struct ig_set *s, const struct ig_set *with) {
    ig_buf_add(&s->ranges, with->ranges.p, with->ranges.n);
    s->ranges.failed |= with->ranges.failed;
}

void ig_set_intersect(struct ig_set *s, struct ig_set *with) {
    struct ig_set out = {.ranges.mem = s->ranges.mem};
    ig_set_tidy(s);
    ig_set_tidy(with);
    size_t i = 0, j = 0;
    while (i < ig_set_count(s) && j < ig_set_count(with)) {
        const uint32_t *a = items(s) + 2 * i, *b = items(with) + 2 * j;
        ig_set_add(&out, a[0] > b[0] ? a[0] : b[0], a[1] < b[1] ? a[1] : b[1]);
        if (a[1] < b[1])
            i++;
        else
            j++;
    }
    out.ranges.failed |= s->ranges.failed || with->ranges.failed;
    ig_set_free(s);
    *s = out;
}

bool ig_set_has(const struct ig_set *s, uint32_t cp) {
    const uint32_t *r = ig_set_items(s);
    size_t lo = 0, hi = ig_set_count(s);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (cp < r[2 * mid])
            hi = mid;
        else if (cp > r[2 * mid + 1])
            lo = mid + 1;
        else
            return true;
    }
    return false;
}

void ig_set_fold(struct ig_set *s) {
    /* Twice: first everything's folded form comes in, then all that share it. */
    for (int round = 0; round < 2; round++) {
        ig_set_tidy(s);
        struct ig_set more = {.ranges.mem = s->ranges.mem};
        uint32_t from, to;
        for (size_t i = 0; ig_unicode_fold(i, &from, &to); i++) {
            if (ig_set_has(s, from)) ig_set_add(&more, to, to);
            if (ig_set_has(s, to)) ig_set_add(&more, from, from);
        }
        ig_set_union(s, &more);
        ig_set_free(&more);
    }
    ig_set_tidy(s);
}

void ig_set_free(struct ig_set *s) {
    ig_buf_free(&s->ranges);
}

static bool put_range(void *ud, uint32_t first, uint32_t last) {
    return ig_set_add(ud, first, last);
}

static void add_categories(struct ig_set *s, uint32_t mask) {
    ig_unicode_category_ranges(mask, put_range, s);
}

static void add_chars(struct ig_set *s, const char *chars) {
    for (; *chars; chars++) ig_set_add(s, (unsigned char)*chars, (unsigned char)*chars);
}

/* Long names of categories, Unicode's aliases. */
static const struct {
    const char *name, *category;
} long_names[] = {
    {"letter", "l"},
    {"uppercaseletter", "lu"},
    {"lowercaseletter", "ll"},
    {"titlecaseletter", "lt"},
    {"casedletter", "lc"},
    {"modifierletter", "lm"},
    {"otherletter", "lo"},
    {"mark", "m"},
    {"nonspacingmark", "mn"},
    {"spacingmark", "mc"},
    {"enclosingmark", "me"},
    {"number", "n"},
    {"decimalnumber", "nd"},
    {"letternumber", "nl"},
    {"othernumber", "no"},
    {"punctuation", "p"},
    {"connectorpunctuation", "pc"},
    {"dashpunctuation", "pd"},
    {"openpunctuation", "ps"},
    {"closepunctuation", "pe"},
    {"initialpunctuation", "pi"},
    {"finalpunctuation", "pf"},
    {"otherpunctuation", "po"},
    {"symbol", "s"},
    {"mathsymbol", "sm"},
    {"currencysymbol", "sc"},
    {"modifiersymbol", "sk"},
    {"othersymbol", "so"},
    {"separator", "z"},
    {"spaceseparator", "zs"},
    {"lineseparator", "zl"},
    {"paragraphseparator", "zp"},
    {"other", "c"},
    {"control", "cc"},
    {"format", "cf"},
    {"surrogate", "cs"},
    {"privateuse", "co"},
    {"unassigned", "cn"},
};

static uint32_t category_mask(const char *name) {
    uint32_t mask = 0;
    if (!strcmp(name, "lc")) return 1u << 1 | 1u << 2 | 1u << 3;
    for (unsigned c = 0; c < IG_CATEGORIES; c++) {
        const char *two = ig_unicode_category_name(c);
        char lower[3] = {(char)(two[0] | 32), two[1], 0};
        if (!strcmp(name, lower) || (name[0] == lower[0] && !name[1])) mask |= 1u << c;
    }
    return mask;
}

/* Lower case without blanks, '_' and '-'. */
static bool squeeze(struct ig_str name, char *out, size_t cap) {
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == ' ' || c == '_' || c == '-') continue;
        if (n + 1 >= cap) return false;
        out[n++] = c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    out[n] = 0;
    return n > 0;
}

static bool add_script(struct ig_set *s, const char *want) {
    for (unsigned i = 0; i < ig_unicode_scripts(); i++) {
        char have[64];
        if (!squeeze(ig_str_of(ig_unicode_script_name(i)), have, sizeof have) || strcmp(have, want))
            continue;
        return ig_unicode_script_ranges(i, put_range, s);
    }
    return false;
}

bool ig_set_property(struct ig_set *s, struct ig_str raw) {
    char name[64];
    bool negative = raw.n && raw.p[0] == '^';
    if (negative) raw.p++, raw.n--;
    if (!squeeze(raw, name, sizeof name)) return false;
    const char *n = name;
    char *equal = strchr(name, '=');
    if (equal) {
        *equal = 0;
        bool script = !strcmp(name, "script") || !strcmp(name, "sc") ||
                      !strcmp(name, "scriptextensions") || !strcmp(name, "scx");
        if (!script && strcmp(name, "generalcategory") && strcmp(name, "gc")) return false;
        n = equal + 1;
    }
    struct ig_set got = {.ranges.mem = s->ranges.mem};
    for (size_t i = 0; i < sizeof long_names / sizeof *long_names; i++)
        if (!strcmp(n, long_names[i].name)) n = long_names[i].category;
    uint32_t mask = category_mask(n);
    if (mask)
        add_categories(&got, mask);
    else if (!strcmp(n, "any"))
        ig_set_add(&got, 0, LAST);
    else if (!strcmp(n, "assigned"))
        add_categories(&got, ~1u);
    else if (!strcmp(n, "ascii"))
        ig_set_add(&got, 0, 127);
    else if (!strcmp(n, "alphabetic") || !strcmp(n, "alpha"))
        add_categories(&got, category_mask("l") | category_mask("nl"));
    else if (!strcmp(n, "alnum"))
        add_categories(&got, category_mask("l") | category_mask("nl") | category_mask("nd"));
    else if (!strcmp(n, "digit"))
        add_categories(&got, category_mask("nd"));
    else if (!strcmp(n, "upper") || !strcmp(n, "uppercase"))
        add_categories(&got, category_mask("lu"));
    else if (!strcmp(n, "lower") || !strcmp(n, "lowercase"))
        add_categories(&got, category_mask("ll")), ig_set_add(&got, 0xaa, 0xaa),
            ig_set_add(&got, 0xba, 0xba);
    else if (!strcmp(n, "bertpunctuation")) { /* ours: P as of Unicode 8, and all of ASCII's */
        struct ig_set newer = {.ranges.mem = s->ranges.mem};
        ig_unicode_age_ranges(8, put_range, &newer);
        ig_set_negate(&newer);
        add_categories(&got, category_mask("p"));
        ig_set_intersect(&got, &newer);
        ig_set_free(&newer);
        add_chars(&got, "$+<=>^`|~");
        ig_set_add(&got, 0x166d, 0x166d), ig_set_add(&got, 0x111c9, 0x111c9);
    } else if (!strcmp(n, "punct"))
        add_categories(&got, category_mask("p")), add_chars(&got, "$+<=>^`|~");
    else if (!strcmp(n, "space") || !strcmp(n, "whitespace"))
        ig_set_class(&got, 's');
    else if (!strcmp(n, "word"))
        ig_set_class(&got, 'w');
    else if (!strcmp(n, "xdigit"))
        ig_set_class(&got, 'h');
    else if (!strcmp(n, "cntrl"))
        add_categories(&got, category_mask("c"));
    else if (!strcmp(n, "blank"))
        ig_set_add(&got, 9, 9), add_categories(&got, category_mask("zs"));
    else if (!strcmp(n, "graph") || !strcmp(n, "print")) {
        ig_set_class(&got, 's');
        add_categories(&got, category_mask("cc") | category_mask("cn") | category_mask("cs"));
        ig_set_negate(&got);
        if (n[0] == 'p') add_categories(&got, category_mask("zs"));
    } else if (!add_script(&got, n)) {
        ig_set_free(&got);
        return false;
    }
    ig_set_tidy(&got);
    if (negative) ig_set_negate(&got);
    ig_set_union(s, &got);
    ig_set_free(&got);
    return true;
}

void ig_set_class(struct ig_set *s, char which) {
    switch (which) {
    case 's':
        ig_set_add(s, 9, 13), ig_set_add(s, 32, 32), ig_set_add(s, 0x85, 0x85),
            ig_set_add(s, 0xa0, 0xa0);
        ig_set_add(s, 0x1680, 0x1680), ig_set_add(s, 0x2000, 0x200a), ig_set_add(s, 0x2028, 0x2029);
        ig_set_add(s, 0x202f, 0x202f), ig_set_add(s, 0x205f, 0x205f), ig_set_add(s, 0x3000, 0x3000);
        break;
    case 'd': add_categories(s, category_mask("nd")); break;
    case 'w': /* ig_unicode_is_word */
        add_categories(s, category_mask("l") | category_mask("m") | category_mask("nd") |
                              category_mask("nl") | category_mask("pc"));
        ig_set_add(s, 0x200c, 0x200d), ig_set_add(s, 0x24b6, 0x24e9),
            ig_set_add(s, 0x1f130, 0x1f149);
        ig_set_add(s, 0x1f150, 0x1f169), ig_set_add(s, 0x1f170, 0x1f189);
        break;
    default: ig_set_add(s, '0', '9'), ig_set_add(s, 'A', 'F'), ig_set_add(s, 'a', 'f'); break;
    }
}
