/* The character database and normalization. Look-ups are two table steps or a binary search over a
 * sorted table, which holds the low halves of its code points and where each plane begins.
 *
 * Normalization works run by run: a run starts at a character of combining class 0 and takes in
 * what follows with a class above 0. Runs are bounded only by the text, so sorting marks uses a
 * stable counting by class instead of insertion: a hostile run of a million marks stays linear.
 * Composition needs no look-back beyond the run's starter, but a starter may compose with the next
 * starter (Hangul, and a few Indic vowels), so a finished run is held until the next one begins. */
#include "vocab/unicode.h"
#include "base/utf8.h"

#include "vocab/unicode.inc"

unsigned ig_unicode_category(uint32_t cp) {
    if (cp > 0x10ffff) return IG_GC_CN;
    return ig_gc_block[ig_gc_index[cp >> 7] * 128 + (cp & 127)];
}

const char *ig_unicode_category_name(unsigned category) {
    return category < IG_GC_COUNT ? ig_gc_names[category] : "Cn";
}

bool ig_unicode_category_ranges(uint32_t mask, ig_unicode_range_fn put, void *ud) {
    uint32_t first = 0;
    bool in = false;
    for (uint32_t cp = 0; cp <= 0x10ffff;) {
        bool has = mask >> ig_unicode_category(cp) & 1;
        if (has && !in) first = cp;
        if (!has && in && !put(ud, first, cp - 1)) return false;
        in = has;
        cp += ig_gc_index[cp >> 7] < IG_GC_UNIFORM ? 128 : 1;
    }
    return !in || put(ud, first, 0x10ffff);
}

static unsigned combining(uint32_t cp) {
    if (cp < 0x300 || cp >> 7 >= sizeof ig_ccc_index) return 0;
    return ig_ccc_block[ig_ccc_index[cp >> 7] * 128 + (cp & 127)];
}

/* The last row of cp's plane that is not above cp; before the plane's rows if there is none. */
static size_t find_last(const uint16_t *plane, const uint16_t *low, uint32_t cp) {
    size_t lo = plane[cp >> 16], hi = plane[(cp >> 16) + 1];
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (low[mid] <= (cp & 0xffff))
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo - 1;
}

/* The row of cp, or -1. */
static long find_row(const uint16_t *plane, const uint16_t *low, uint32_t cp) {
    if (cp > 0x10ffff || plane[cp >> 16] == plane[(cp >> 16) + 1]) return -1;
    size_t row = find_last(plane, low, cp);
    return row + 1 > plane[cp >> 16] && low[row] == (cp & 0xffff) ? (long)row : -1;
}

/* Ranges of code points with a value each; one begins with every plane. */
struct ranges {
    const uint16_t *plane, *low;
    const uint8_t *value;
};
static const struct ranges scripts = {ig_script_plane, ig_script_low, ig_script_value},
                           ages = {ig_age_plane, ig_age_low, ig_age_value},
                           clusters = {ig_gcb_plane, ig_gcb_low, ig_gcb_value};

static unsigned in_ranges(const struct ranges *r, uint32_t cp) {
    return cp > 0x10ffff ? 0 : r->value[find_last(r->plane, r->low, cp)];
}

/* Ranges with a value of [from, to] */
static bool put_ranges(const struct ranges *r, unsigned from, unsigned to, ig_unicode_range_fn put,
                       void *ud) {
    for (uint32_t p = 0; p <= 0x10; p++)
        for (size_t i = r->plane[p], end = r->plane[p + 1]; i < end; i++) {
            uint32_t next = i + 1 < end ? r->low[i + 1] : 0x10000;
            if (r->value[i] < from || r->value[i] > to) continue;
            if (!put(ud, p << 16 | r->low[i], (p << 16) + next - 1)) return false;
        }
    return true;
}

unsigned ig_unicode_script(uint32_t cp) {
    return in_ranges(&scripts, cp);
}

unsigned ig_unicode_age(uint32_t cp) {
    return cp < 0x300 ? 0 : in_ranges(&ages, cp);
}

bool ig_unicode_age_ranges(unsigned above, ig_unicode_range_fn put, void *ud) {
    return put_ranges(&ages, above + 1, UINT8_MAX, put, ud);
}

unsigned ig_unicode_scripts(void) {
    return IG_SCRIPT_COUNT;
}

const char *ig_unicode_script_name(unsigned script) {
    return ig_script_names + ig_script_name[script < IG_SCRIPT_COUNT ? script : 0];
}

bool ig_unicode_script_ranges(unsigned script, ig_unicode_range_fn put, void *ud) {
    return put_ranges(&scripts, script, script, put, ud);
}

bool ig_unicode_is_space(uint32_t cp) {
    if (cp < 0x80) return cp == ' ' || (cp >= 9 && cp <= 13);
    return cp == 0x85 || cp == 0xa0 || cp == 0x1680 || (cp >= 0x2000 && cp <= 0x200a) ||
           cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f || cp == 0x3000;
}

bool ig_unicode_is_letter(uint32_t cp) {
    unsigned c = ig_unicode_category(cp);
    return c >= IG_GC_LU && c <= IG_GC_LO;
}
bool ig_unicode_is_mark(uint32_t cp) {
    unsigned c = ig_unicode_category(cp);
    return c >= IG_GC_MN && c <= IG_GC_ME;
}
bool ig_unicode_is_number(uint32_t cp) {
    unsigned c = ig_unicode_category(cp);
    return c >= IG_GC_ND && c <= IG_GC_NO;
}
bool ig_unicode_is_punctuation(uint32_t cp) {
    unsigned c = ig_unicode_category(cp);
    return c >= IG_GC_PC && c <= IG_GC_PO;
}
bool ig_unicode_is_word(uint32_t cp) {
    unsigned c = ig_unicode_category(cp);
    return (c >= IG_GC_LU && c <= IG_GC_ND) || c == IG_GC_NL || c == IG_GC_PC || cp == 0x200c ||
           cp == 0x200d || (cp >= 0x24b6 && cp <= 0x24e9) || (cp >= 0x1f130 && cp <= 0x1f149) ||
           (cp >= 0x1f150 && cp <= 0x1f169) ||
           (cp >= 0x1f170 && cp <= 0x1f189); /* letters in circles and squares */
}

uint32_t ig_unicode_lower(uint32_t cp) {
    if (cp < 0x80) return cp >= 'A' && cp <= 'Z' ? cp + 32 : cp;
    long row = find_row(ig_lower_plane, ig_lower_low, cp);
    return row < 0 ? cp : (cp & 0xff0000) | ig_lower_to[row];
}

bool ig_unicode_fold(size_t i, uint32_t *from, uint32_t *to) {
    uint32_t plane = 0;
    if (i >= sizeof ig_fold_low / sizeof *ig_fold_low) return false;
    while (ig_fold_plane[plane + 1] <= i) plane++;
    *from = plane << 16 | ig_fold_low[i];
    *to = plane << 16 | ig_fold_to[i];
    return true;
}

/* ---- grapheme clusters ---- */

static unsigned cluster_class(uint32_t cp) {
    if (cp >= 0x20 && cp < 0x7f) return IG_GCB_OTHER;
    return in_ranges(&clusters, cp);
}

/* Rules GB3 to GB9b; pictograph sequences (GB11) and flags (GB12) need what came before: `picture`,
 * `flags`. */
static bool joined(unsigned a, unsigned b, bool picture, unsigned flags) {
    if (a == IG_GCB_CR && b == IG_GCB_LF) return true;
    if (a >= IG_GCB_CR && a <= IG_GCB_CONTROL) return false;
    if (b >= IG_GCB_CR && b <= IG_GCB_CONTROL) return false;
    if (a == IG_GCB_L && (b == IG_GCB_L || b == IG_GCB_V || b == IG_GCB_LV || b == IG_GCB_LVT))
        return true;
    if ((a == IG_GCB_LV || a == IG_GCB_V) && (b == IG_GCB_V || b == IG_GCB_T)) return true;
    if ((a == IG_GCB_LVT || a == IG_GCB_T) && b == IG_GCB_T) return true;
    if (b == IG_GCB_EXTEND || b == IG_GCB_ZWJ || b == IG_GCB_SPACINGMARK || a == IG_GCB_PREPEND)
        return true;
    if (a == IG_GCB_ZWJ && b == IG_GCB_PICTOGRAPHIC) return picture;
    return a == IG_GCB_REGIONAL_INDICATOR && b == IG_GCB_REGIONAL_INDICATOR && flags % 2 == 1;
}

size_t ig_unicode_cluster_end(struct ig_str text, size_t at) {
    uint32_t cp;
    unsigned len = ig_utf8_decode(text.p + at, text.n - at, &cp);
    if (!len) return at + 1;
    unsigned a = cluster_class(cp), flags = a == IG_GCB_REGIONAL_INDICATOR;
    bool picture = a == IG_GCB_PICTOGRAPHIC;
    for (at += len; at < text.n; at += len) {
        len = ig_utf8_decode(text.p + at, text.n - at, &cp);
        unsigned b = len ? cluster_class(cp) : IG_GCB_CONTROL;
        if (!joined(a, b, picture, flags)) break;
        flags += b == IG_GCB_REGIONAL_INDICATOR;
        if (b != IG_GCB_EXTEND && b != IG_GCB_ZWJ) picture = b == IG_GCB_PICTOGRAPHIC;
        a = b;
    }
    return at;
}

const char *ig_unicode_version(void) {
    return IG_UNICODE_VERSION;
}

/* ---- normalization ---- */

enum {
    S_BASE = 0xac00,
    L_BASE = 0x1100,
    V_BASE = 0x1161,
    T_BASE = 0x11a7,
    L_COUNT = 19,
    V_COUNT = 21,
    T_COUNT = 28
};

struct run {
    struct ig_buf cps; /* uint32_t each: starter first, then marks */
    struct ig_buf sorted;
    struct ig_buf *out;
    bool compose;
};

static size_t count(const struct ig_buf *b) {
    return b->n / sizeof(uint32_t);
}
static uint32_t *items(const struct ig_buf *b) {
    return (uint32_t *)(void *)b->p;
}

static void push(struct ig_buf *b, uint32_t cp) {
    ig_buf_add(b, (const char *)&cp, sizeof cp);
}

static void put(struct ig_buf *out, uint32_t cp) {
    char bytes[4];
    ig_buf_add(out, bytes, ig_utf8_encode(cp, bytes));
}

static uint32_t compose_pair(uint32_t a, uint32_t b) {
    if (a >= L_BASE && a < L_BASE + L_COUNT && b >= V_BASE && b < V_BASE + V_COUNT)
        return S_BASE + ((a - L_BASE) * V_COUNT + (b - V_BASE)) * T_COUNT;
    if (a >= S_BASE && a < S_BASE + L_COUNT * V_COUNT * T_COUNT && (a - S_BASE) % T_COUNT == 0 &&
        b > T_BASE && b < T_BASE + T_COUNT)
        return a + (b - T_BASE);
    if (a >> 16 != b >> 16 || a > 0x10ffff) return 0; /* all lie in one plane */
    size_t lo = ig_compose_plane[a >> 16], hi = ig_compose_plane[(a >> 16) + 1];
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        uint32_t key = (uint32_t)ig_compose_low[mid] << 16 | ig_compose_with[mid];
        if (key == (a << 16 | (b & 0xffff))) return (a & 0xff0000) | ig_compose_to[mid];
        if (key < (a << 16 | (b & 0xffff)))
            lo = mid + 1;
        else
            hi = mid;
    }
    return 0;
}

/* Stable order of the marks cps[from ..] by combining class. */
static void sort_marks(struct run *r, size_t from) {
    size_t n = count(&r->cps);
    uint32_t *cp = items(&r->cps);
    if (n - from < 2) return;
    bool sorted = true;
    for (size_t i = from + 1; i < n && sorted; i++)
        sorted = combining(cp[i - 1]) <= combining(cp[i]);
    if (sorted) return;
    size_t at[257] = {0};
    for (size_t i = from; i < n; i++) at[combining(cp[i]) + 1]++;
    for (size_t c = 1; c < 257; c++) at[c] += at[c - 1];
    ig_buf_clear(&r->sorted);
    ig_buf_add(&r->sorted, (const char *)(cp + from), (n - from) * sizeof *cp);
    if (r->sorted.failed) return;
    for (size_t i = 0; i < n - from; i++) {
        uint32_t c = items(&r->sorted)[i];
        cp[from + at[combining(c)]++] = c;
    }
}

/* Composes marks onto the starter cps[0] (class 0); what does not compose moves up. */
static void compose_run(struct run *r) {
    size_t n = count(&r->cps), kept = 1;
    uint32_t *cp = items(&r->cps);
    unsigned last = 0;
    if (!n || combining(cp[0])) return;
    for (size_t i = 1; i < n; i++) {
        unsigned c = combining(cp[i]);
        uint32_t made = last == 0 || last < c ? compose_pair(cp[0], cp[i]) : 0;
        if (made) {
            cp[0] = made;
        } else {
            cp[kept++] = cp[i];
            last = c;
        }
    }
    r->cps.n = kept * sizeof *cp;
}

static void write_run(struct run *r) {
    size_t n = count(&r->cps);
    if (r->cps.failed || r->sorted.failed) r->out->failed = true;
    for (size_t i = 0; i < n; i++) put(r->out, items(&r->cps)[i]);
    r->cps.n = 0;
}

/* Closes the run: its marks are ordered and composed; it stays in cps. */
static void close_run(struct run *r) {
    size_t n = count(&r->cps);
    if (!n || r->cps.failed) return;
    sort_marks(r, combining(items(&r->cps)[0]) ? 0 : 1);
    if (r->compose) compose_run(r);
}

static void feed(struct run *r, uint32_t cp) {
    if (combining(cp)) {
        push(&r->cps, cp);
        return;
    }
    close_run(r);
    /* A starter directly after a lone starter may compose with it. */
    if (r->compose && count(&r->cps) == 1 && !combining(items(&r->cps)[0])) {
        uint32_t made = compose_pair(items(&r->cps)[0], cp);
        if (made) {
            items(&r->cps)[0] = made;
            return;
        }
    }
    write_run(r);
    push(&r->cps, cp);
}

/* n units of UTF-16 */
static void feed_pool(struct run *r, size_t at, size_t n) {
    for (size_t end = at + n; at < end; at++) {
        uint32_t cp = ig_decomposed[at];
        if (cp >= 0xd800 && cp < 0xdc00)
            cp = 0x10000 + ((cp - 0xd800) << 10) + (ig_decomposed[++at] - 0xdc00u);
        feed(r, cp);
    }
}

static void decompose(struct run *r, uint32_t cp, bool compat) {
    if (cp < 0xa0) {
        feed(r, cp);
        return;
    }
    if (cp >= S_BASE && cp < S_BASE + L_COUNT * V_COUNT * T_COUNT) {
        uint32_t s = cp - S_BASE;
        feed(r, L_BASE + s / (V_COUNT * T_COUNT));
        feed(r, V_BASE + s % (V_COUNT * T_COUNT) / T_COUNT);
        if (s % T_COUNT) feed(r, T_BASE + s % T_COUNT);
        return;
    }
    long row = compat ? find_row(ig_nfkd_plane, ig_nfkd_low, cp) : -1;
    if (row >= 0) {
        feed_pool(r, ig_nfkd_at[row], ig_nfkd_n[row]);
        return;
    }
    row = find_row(ig_nfd_plane, ig_nfd_low, cp);
    if (row >= 0)
        feed_pool(r, ig_nfd_at[row], ig_nfd_n[row]);
    else
        feed(r, cp);
}

void ig_unicode_normalize(enum ig_unicode_form form, struct ig_str text, struct ig_buf *out) {
    struct run r = {.cps.mem = out->mem,
                    .sorted.mem = out->mem,
                    .out = out,
                    .compose = form == IG_NFC || form == IG_NFKC};
    bool compat = form == IG_NFKC || form == IG_NFKD;
    for (size_t i = 0; i < text.n;) {
        uint32_t cp;
        unsigned len = ig_utf8_decode(text.p + i, text.n - i, &cp);
        if (len) {
            decompose(&r, cp, compat);
            i += len;
            continue;
        }
        close_run(&r);
        write_run(&r);
        ig_buf_ch(out, text.p[i++]);
    }
    close_run(&r);
    write_run(&r);
    ig_buf_free(&r.cps);
    ig_buf_free(&r.sorted);
}
