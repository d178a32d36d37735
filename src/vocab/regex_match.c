/* The two passes of the regex engine over a text: from the end to the start, noting a state for
 * every character, and forward, taking the branch that the notes say will succeed. Neither
 * allocates; both take one step a character. */
#include "vocab/regex_impl.h"
#include "base/utf8.h"

/* The character that ends at `end` > 0: where it starts and its class. Bytes that are not UTF-8
 * count one by one as U+FFFD; both passes agree on them because a lead byte never lies inside a
 * valid sequence. */
static size_t char_before(const struct ig_regex *r, const char *text, size_t end, uint8_t *class) {
    unsigned char c = (unsigned char)text[end - 1];
    if (c < 0x80) {
        *class = r->ascii[c];
        return end - 1;
    }
    uint32_t cp;
    for (size_t back = 2; back <= 4 && back <= end; back++) {
        unsigned char lead = (unsigned char)text[end - back];
        if ((lead & 0xc0) == 0x80) continue;
        if (lead < 0x80 || ig_utf8_decode(text + end - back, back, &cp) != back) break;
        *class = class_of(r, cp);
        return end - back;
    }
    *class = class_of(r, 0xfffd);
    return end - 1;
}

void ig_regex_prepare(const struct ig_regex *r, const char *text, size_t n, uint16_t *notes) {
    uint32_t kinds = r->n_kinds, row = r->n_classes * kinds;
    uint8_t class = (uint8_t)r->n_classes, before = 0;
    size_t start = n ? char_before(r, text, n, &class) : 0;
    uint16_t s = r->at_end[n ? r->kind_of[class] : r->kind_of[r->n_classes]];
    notes[n] = s;
    while (n) {
        size_t end = start;
        if (end) start = char_before(r, text, end, &before);
        uint32_t kind = kinds == 1 ? 0 : r->kind_of[end ? before : r->n_classes];
        s = r->step[(size_t)s * row + class * kinds + kind];
        notes[end] = s;
        class = before;
        if (!end) break;
    }
}

static size_t step_over(const char *text, size_t n, size_t at) {
    uint32_t cp;
    if ((unsigned char)text[at] < 0x80) return at + 1;
    unsigned len = ig_utf8_decode(text + at, n - at, &cp);
    return at + (len ? len : 1);
}

static uint16_t next_char(const struct ig_regex *r, uint32_t row, uint16_t s) {
    if (r->go) return r->go[(size_t)row * r->n_states + s];
    uint32_t pc = row ? (uint32_t)r->code[r->char_at[row - 1]].x : r->start;
    return walk(r->code, r->alive + (size_t)s * r->alive_words, pc);
}

bool ig_regex_next(const struct ig_regex *r, const char *text, size_t n, const uint16_t *notes,
                   size_t from, size_t *start, size_t *end) {
    size_t at = from;
    while (at <= n && !r->can_start[notes[at]]) {
        if (at == n) return false;
        at = step_over(text, n, at);
    }
    if (at > n) return false;
    *start = at;
    for (uint32_t row = 0;;) {
        uint16_t to = next_char(r, row, notes[at]);
        if (to == GO_MATCH) break;
        if (to == GO_DEAD) { /* only with empty loops: the match is empty */
            at = *start;
            break;
        }
        row = to + 1u;
        at = step_over(text, n, at);
    }
    *end = at;
    return true;
}
