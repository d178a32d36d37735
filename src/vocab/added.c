/* Added tokens: texts that become one token before anything else looks at the text. They are found
 * by an Aho-Corasick automaton over bytes, leftmost first and of those the longest, so a vocabulary
 * with thousands of them, or with very long ones, costs no more than a pass over the text.
 *
 * Texts of more than IG_MAX_MATCHED bytes are left out: finding the longest match may have to look
 * that far ahead for every match, and no vocabulary in use has such tokens.
 *
 * A node knows its first child and next sibling; siblings are in the order of their bytes. The root
 * has a direct table. */
#include "vocab/impl.h"
#include "base/utf8.h"

enum { NONE = 0, ROOT = 1, MAX_NODES = 1 << 22 };

struct node {
    uint32_t child, sibling, fail;
    uint32_t depth;
    int32_t token;  /* index of the added token that ends here, or -1 */
    int32_t suffix; /* the nearest on the failure path that has a token, or 0 */
    uint8_t byte;
};

static struct node *node(const struct ig_matcher *m, uint32_t i) {
    return (struct node *)(void *)m->nodes.p + i;
}
static uint32_t n_nodes(const struct ig_matcher *m) {
    return (uint32_t)(m->nodes.n / sizeof(struct node));
}

static uint32_t step(const struct ig_matcher *m, uint32_t at, uint8_t byte) {
    if (at == ROOT) return m->root[byte];
    for (uint32_t c = node(m, at)->child; c; c = node(m, c)->sibling) {
        if (node(m, c)->byte == byte) return c;
        if (node(m, c)->byte > byte) break;
    }
    return NONE;
}

static ingle_status add_node(struct ig_matcher *m, struct node n, uint32_t *out, ingle_error *err) {
    *out = n_nodes(m);
    if (*out >= MAX_NODES)
        return ig_fail(err, INGLE_UNSUPPORTED, "the vocabulary is damaged: convert the model again",
                       "the special tokens' texts are longer than %d bytes together", MAX_NODES);
    ig_buf_add(&m->nodes, (const char *)&n, sizeof n);
    return m->nodes.failed ? ig_fail_memory(err, m->nodes.n) : INGLE_OK;
}

static ingle_status insert(struct ig_matcher *m, struct ig_str text, int32_t token,
                           ingle_error *err) {
    uint32_t at = ROOT;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t byte = (uint8_t)text.p[i];
        uint32_t next = step(m, at, byte);
        if (!next) {
            IG_TRY(add_node(m, (struct node){.byte = byte, .depth = (uint32_t)i + 1, .token = -1},
                            &next, err));
            uint32_t before = NONE, c = node(m, at)->child;
            while (c && node(m, c)->byte < byte) before = c, c = node(m, c)->sibling;
            node(m, next)->sibling = c;
            if (before)
                node(m, before)->sibling = next;
            else
                node(m, at)->child = next;
            if (at == ROOT) m->root[byte] = next;
        }
        at = next;
    }
    if (node(m, at)->token < 0) m->patterns++;
    node(m, at)->token = token; /* the last of equal texts counts */
    return INGLE_OK;
}

/* Failure links, breadth first. */
static ingle_status link_failures(struct ig_matcher *m, struct ig_mem *mem, ingle_error *err) {
    uint32_t n = n_nodes(m), head = 0, tail = 0;
    uint32_t *queue = ig_alloc(mem, n * sizeof *queue);
    if (!queue) return ig_fail_memory(err, n);
    for (uint32_t c = node(m, ROOT)->child; c; c = node(m, c)->sibling) {
        node(m, c)->fail = ROOT;
        queue[tail++] = c;
    }
    while (head < tail) {
        uint32_t at = queue[head++];
        struct node *p = node(m, at);
        p->suffix =
            (int32_t)(node(m, p->fail)->token >= 0 ? p->fail : (uint32_t)node(m, p->fail)->suffix);
        for (uint32_t c = p->child; c; c = node(m, c)->sibling) {
            uint32_t f = p->fail, to;
            while (!(to = step(m, f, node(m, c)->byte)) && f != ROOT) f = node(m, f)->fail;
            node(m, c)->fail = to ? to : ROOT;
            queue[tail++] = c;
        }
    }
    ig_free(mem, queue);
    return INGLE_OK;
}

static ingle_status build(struct ig_vocab *v, struct ig_matcher *m, bool normalized,
                          ingle_error *err) {
    uint32_t ignored;
    m->nodes.mem = v->mem;
    IG_TRY(add_node(m, (struct node){.token = -1}, &ignored, err));
    IG_TRY(add_node(m, (struct node){.token = -1}, &ignored, err));
    struct ig_enc e = {.v = v,
                       .mem = v->mem,
                       .err = err,
                       .text[0].mem = v->mem,
                       .text[1].mem = v->mem,
                       .notes.mem = v->mem};
    ingle_status status = INGLE_OK;
    for (size_t i = 0; i < v->n_added && status == INGLE_OK; i++) {
        struct ig_str text = v->added[i].text;
        if (v->added[i].normalized != normalized || !text.n || text.n > IG_MAX_MATCHED) continue;
        if (normalized) status = ig_normalize(&e, text, &text);
        if (status == INGLE_OK && text.n) status = insert(m, text, (int32_t)i, err);
    }
    ig_buf_free(&e.text[0]);
    ig_buf_free(&e.text[1]);
    ig_buf_free(&e.notes);
    IG_TRY(status);
    return link_failures(m, v->mem, err);
}

ingle_status ig_added_build(struct ig_vocab *v, ingle_error *err) {
    for (size_t i = 0; i < v->n_added; i++)
        if (v->added[i].text.n > v->longest) v->longest = v->added[i].text.n;
    IG_TRY(build(v, &v->raw, false, err));
    return build(v, &v->normal, true, err);
}

void ig_matcher_free(struct ig_matcher *m) {
    ig_buf_free(&m->nodes);
}

/* Leftmost-longest match at or after `from`: once a match is known, the automaton goes on only
 * while the text it is in the middle of starts no later. */
static bool find(const struct ig_matcher *m, struct ig_str text, size_t from, size_t *start,
                 size_t *end, int32_t *token) {
    uint32_t at = ROOT;
    bool found = false;
    for (size_t i = from; i < text.n; i++) {
        uint8_t byte = (uint8_t)text.p[i];
        uint32_t next;
        if (at == ROOT && !found) {
            while (i < text.n && !m->root[(uint8_t)text.p[i]]) i++;
            if (i == text.n) break;
            byte = (uint8_t)text.p[i];
        }
        while (!(next = step(m, at, byte)) && at != ROOT) at = node(m, at)->fail;
        at = next ? next : ROOT;
        if (found && i + 1 - node(m, at)->depth > *start) break;
        uint32_t hit = node(m, at)->token >= 0 ? at : (uint32_t)node(m, at)->suffix;
        if (!hit) continue;
        size_t first = i + 1 - node(m, hit)->depth;
        if (found && first > *start) continue;
        *start = first;
        *end = i + 1;
        *token = node(m, hit)->token;
        found = true;
    }
    return found;
}

static bool word_before(struct ig_str text, size_t at) {
    size_t start = at ? at - 1 : 0;
    uint32_t cp;
    while (start && at - start < 4 && ((unsigned char)text.p[start] & 0xc0) == 0x80) start--;
    return at && ig_utf8_decode(text.p + start, at - start, &cp) && ig_unicode_is_word(cp);
}

static bool word_after(struct ig_str text, size_t at) {
    uint32_t cp;
    return at < text.n && ig_utf8_decode(text.p + at, text.n - at, &cp) && ig_unicode_is_word(cp);
}

static size_t spaces_before(struct ig_str text, size_t from, size_t at) {
    while (at > from) {
        size_t start = at - 1;
        uint32_t cp;
        while (start > from && at - start < 4 && ((unsigned char)text.p[start] & 0xc0) == 0x80)
            start--;
        if (!ig_utf8_decode(text.p + start, at - start, &cp) || !ig_unicode_is_space(cp)) break;
        at = start;
    }
    return at;
}

static size_t spaces_after(struct ig_str text, size_t at) {
    uint32_t cp;
    for (unsigned len; at < text.n && (len = ig_utf8_decode(text.p + at, text.n - at, &cp)) &&
                       ig_unicode_is_space(cp);)
        at += len;
    return at;
}

bool ig_added_next(const struct ig_vocab *v, const struct ig_matcher *m, struct ig_str text,
                   size_t from, bool parse, size_t *start, size_t *end,
                   const struct ig_added **token) {
    size_t scan = from;
    int32_t which = -1;
    while (m->patterns && find(m, text, scan, start, end, &which)) {
        const struct ig_added *a = v->added + which;
        scan = *end;
        if (a->special && !parse) continue;
        if (a->single_word && (word_before(text, *start) || word_after(text, *end))) continue;
        if (a->lstrip) *start = spaces_before(text, from, *start);
        if (a->rstrip) *end = spaces_after(text, *end);
        *token = a;
        return true;
    }
    return false;
}
