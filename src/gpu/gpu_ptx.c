/* PTX of the modules (gen/ptx.c, written by tools/ptx.py), unpacked on demand. Knows no driver.
 *
 * PTX is stored folded: tools/ptx.py numbers a kernel's registers in the order in which they appear, and writes "%r" for
 * the next new one and "%r3" for the one that is 3 before the newest. Code that computes the same then reads the same
 * wherever it stands, and packs to less than half. unfold() writes the numbers again; it does not trust its input.
 *
 * The subtle thing: PTX is committed, sources change; code that was made from other sources would read the arguments'
 * structures wrongly, so it counts as missing. */
#include "base/lz.h"
#include "gpu/device.h"
#include "gpu/gen.h"

#include <stdio.h>
#include <string.h>

static const char *const classes[] = {"r", "rd", "rs", "f", "fd", "p"};
enum { CLASSES = sizeof classes / sizeof *classes };

struct text {
    char *p;
    size_t n, cap;
};

static bool put(struct text *t, const char *p, size_t n) {
    if (n > t->cap - t->n) return false;
    memcpy(t->p + t->n, p, n);
    t->n += n;
    return true;
}

/* The class of the n letters behind a %, CLASSES if it is no register's. */
static size_t class_of(const char *p, size_t n) {
    size_t c = 0;
    while (c < CLASSES && (strlen(classes[c]) != n || memcmp(classes[c], p, n) != 0)) c++;
    return c;
}

/* What follows a %: letters and, if a register is not new, how many it is before the newest. Returns the bytes read, 0 if
 * they make no sense. Names that are no register's (%tid.x, %SP, and declarations, %r<7>) stay as they are. */
static size_t unfold_name(const char *in, size_t n, uint32_t newest[CLASSES], struct text *out) {
    size_t letters = 0, end;
    uint32_t before = 0;
    char name[24];
    while (letters < n && in[letters] >= 'a' && in[letters] <= 'z') letters++;
    size_t c = class_of(in, letters);
    if (c == CLASSES || (letters < n && strchr("<._", in[letters]))) {
        end = letters ? letters : 1;
        return end <= n && put(out, in, end) ? end : 0;
    }
    for (end = letters; end < n && end < letters + 8 && in[end] >= '0' && in[end] <= '9'; end++)
        before = before * 10 + (uint32_t)(in[end] - '0');
    if (end == letters) newest[c]++;
    if (before >= newest[c]) return 0;
    int size = snprintf(name, sizeof name, "%s%lu", classes[c], (unsigned long)(newest[c] - before));
    return put(out, name, (size_t)size) ? end : 0;
}

/* The text up to the next % or "." in one piece: a kernel begins with ".entry". */
static bool unfold(const char *in, size_t n, char *to, size_t to_n) {
    struct text out = {to, 0, to_n};
    uint32_t newest[CLASSES] = {0};
    for (size_t at = 0; at < n;) {
        if (n - at >= 6 && memcmp(in + at, ".entry", 6) == 0) memset(newest, 0, sizeof newest);
        size_t read = 1;
        if (in[at] == '%') {
            if (!put(&out, in + at++, 1)) return false;
            read = unfold_name(in + at, n - at, newest, &out);
            if (!read) return false;
        } else {
            while (at + read < n && in[at + read] != '%' && in[at + read] != '.') read++;
            if (!put(&out, in + at, read)) return false;
        }
        at += read;
    }
    return out.n == to_n;
}

static uint64_t hash_of(const char *module) {
    for (const struct ig_gen_module *m = ig_gen_modules; m->name; m++)
        if (strcmp(m->name, module) == 0) return m->hash;
    return 0;
}

/* Of the module, for at most `sm`. */
static const struct ig_gen_ptx *find(const char *module, uint32_t sm) {
    const struct ig_gen_ptx *best = NULL;
    for (const struct ig_gen_ptx *p = ig_gen_ptx; p->module; p++)
        if (p->sm <= sm && (!best || p->sm > best->sm) && strcmp(p->module, module) == 0) best = p;
    return best && best->hash == hash_of(module) ? best : NULL;
}

static bool unpack(struct ig_mem *mem, const struct ig_gen_ptx *p, char *to) {
    char *folded = ig_alloc(mem, p->folded);
    bool good = folded && ig_lz_unpack(p->packed, p->packed_bytes, folded, p->folded) &&
                unfold(folded, p->folded, to, p->bytes);
    ig_free(mem, folded);
    to[good ? p->bytes : 0] = 0;
    return good;
}

#define ENTRY ".visible .entry "

/* Adds the kernels of `base` that `text` has not. A kernel ends where the next begins; their order does not matter, and
 * what stands before them (tables) is the same in both. */
static void add_rest(struct text *text, const char *base) {
    const char *at = strstr(base, ENTRY), *next;
    for (; at; at = next) {
        size_t head = strcspn(at, "(") + 1;
        next = strstr(at + 1, ENTRY);
        char name[128];
        if (head >= sizeof name) continue;
        memcpy(name, at, head);
        name[head] = 0;
        if (!strstr(text->p, name) && put(text, at, next ? (size_t)(next - at) : strlen(at)))
            text->p[text->n] = 0;
    }
}

/* Code for newer GPUs is of the kernels that differ only; the rest comes from that for all. */
char *ig_gpu_ptx(struct ig_mem *mem, const char *module, uint32_t sm, size_t *n) {
    const struct ig_gen_ptx *p = find(module, sm), *base = p ? find(module, p->sm - 1) : NULL;
    size_t cap = p ? (size_t)p->bytes + (base ? base->bytes : 0) : 0;
    struct text text = {p ? ig_alloc(mem, cap + 1) : NULL, 0, cap};
    char *rest = text.p && base ? ig_alloc(mem, (size_t)base->bytes + 1) : NULL;
    bool good = text.p && (!base || rest) && unpack(mem, p, text.p) && (!base || unpack(mem, base, rest));
    if (good) text.n = p->bytes;
    if (good && rest) add_rest(&text, rest);
    ig_free(mem, rest);
    if (!good) {
        ig_free(mem, text.p);
        return NULL;
    }
    *n = text.n;
    return text.p;
}
