/* The reasoning splitter: a machine of three states fed byte by byte. It holds back at most one
 * unfinished tag and the white space that may turn out to stand before a closing tag. */
#include "chat/chat.h"

enum { START, THINK, TEXT };

void ig_reason_init(struct ig_reason *r, bool thinking, const char *open, const char *close) {
    *r = (struct ig_reason){.open = open ? open : "<think>",
                            .close = close ? close : "</think>",
                            .state = thinking ? THINK : START};
}

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Collects neighbouring bytes of one kind, so that fn gets pieces and not bytes. */
struct sink {
    struct ig_reason *r;
    ig_reason_fn fn;
    void *ud;
    const char *from; /* bytes of the fed text not delivered yet */
    size_t n;
    int result;
};

static void flush(struct sink *s) {
    if (s->n && !s->result) s->result = s->fn(s->ud, s->r->state == THINK, s->from, s->n);
    s->n = 0;
}

static void send(struct sink *s, const char *p, size_t n) {
    if (!n) return;
    if (s->n && s->from + s->n != p) flush(s);
    if (!s->n) s->from = p;
    s->n += n;
}

static void send_space(struct sink *s) {
    struct ig_reason *r = s->r;
    if (!r->n_space) return;
    flush(s);
    send(s, r->space, r->n_space);
    flush(s);
    r->n_space = 0;
}

static void plain(struct sink *s, const char *p, size_t n) {
    struct ig_reason *r = s->r;
    if (r->state == START)
        r->state = TEXT; /* no reasoning: its leading space belongs to the answer */
    send_space(s);
    r->begun = true;
    send(s, p, n);
}

/* White space: dropped where a part begins, held back where a tag may follow. */
static void space(struct sink *s, const char *p) {
    struct ig_reason *r = s->r;
    if (!r->begun && r->state != START) return;
    if (r->state == TEXT || r->n_space == sizeof r->space)
        plain(s, p, 1);
    else
        r->space[r->n_space++] = *p;
}

static void held_is_plain(struct sink *s) {
    struct ig_reason *r = s->r;
    size_t n = r->n;
    r->n = 0;
    if (r->state == START) r->state = TEXT;
    send_space(s);
    r->begun = true;
    flush(s);
    send(s, r->held, n);
    flush(s);
}

static void tag_done(struct sink *s) {
    struct ig_reason *r = s->r;
    flush(s);
    r->state = r->state == START ? THINK : TEXT;
    r->n = 0;
    r->n_space = 0;
    r->begun = false;
}

static void take(struct sink *s, const char *p) {
    struct ig_reason *r = s->r;
    const char *tag = r->state == START ? r->open : r->close;
    if (r->state != TEXT && *p == tag[r->n]) {
        r->held[r->n++] = *p;
        if (!tag[r->n]) tag_done(s);
        return;
    }
    if (r->n) { /* what was held is no tag: no tag begins inside a tag's beginning but by its first
                   byte */
        held_is_plain(s);
        take(s, p);
        return;
    }
    if (is_space(*p))
        space(s, p);
    else
        plain(s, p, 1);
}

int ig_reason_feed(struct ig_reason *r, const char *p, size_t n, ig_reason_fn fn, void *ud) {
    struct sink s = {.r = r, .fn = fn, .ud = ud};
    for (size_t i = 0; i < n && !s.result; i++) take(&s, p + i);
    flush(&s);
    return s.result;
}

int ig_reason_end(struct ig_reason *r, ig_reason_fn fn, void *ud) {
    struct sink s = {.r = r, .fn = fn, .ud = ud};
    if (r->n)
        held_is_plain(&s);
    else if (r->state == THINK || (r->state == START && r->n_space)) {
        r->n_space = 0; /* nothing but space, or space that ended the reasoning */
    }
    flush(&s);
    return s.result;
}
