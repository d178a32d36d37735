/* One rendering's budget (steps, depth, memory, time), its errors, and its strings.
 *
 * Memory comes from one arena that is dropped at the end, so whatever copies bytes is bounded by
 * the heap limit; what only reads bytes reports its work as steps. The subtle thing: a string made
 * by appending shares its builder's buffer. It may be appended to in place as long as it still ends
 * where the buffer ends: older strings that share the buffer never look beyond their own length. */
#include "chat/tpl.h"

#include <stdarg.h>
#include <stdio.h>
#include "base/utf8.h"

static const char hint[] = "the template or the messages must change; raw completion still works";

bool ig_tpl_raise(struct tpl_st *st, const char *fmt, ...) {
    if (st->code) return false;
    char what[480];
    va_list args;
    va_start(args, fmt);
    vsnprintf(what, sizeof what, fmt, args);
    va_end(args);
    st->code = ig_fail(st->err, INGLE_BAD_TEMPLATE, hint, "line %u: %s", (unsigned)st->line, what);
    return false;
}

bool ig_tpl_raise_text(struct tpl_st *st, struct ig_str text) {
    if (st->code) return false;
    int n = text.n > 511 ? 511 : (int)text.n;
    st->code = ig_fail(st->err, INGLE_BAD_TEMPLATE, hint, "%.*s", n, text.p ? text.p : "");
    return false;
}

void *ig_tpl_alloc(struct tpl_st *st, size_t n) {
    if (st->code) return NULL;
    void *p = ig_arena_alloc(&st->arena, n);
    if (p) return p;
    size_t used = ig_mem_used(&st->mem), total;
    if (st->mem.limit && (!ig_add(used, n, &total) || total > st->mem.limit - st->mem.limit / 8)) {
        ig_tpl_raise(st, "the template needs more than %zu MiB of memory", st->mem.limit >> 20);
    } else {
        st->code = ig_fail_memory(st->err, n);
    }
    return NULL;
}

/* Called when a step count passes next_clock, and by work that is more than a step. */
bool ig_tpl_work(struct tpl_st *st, size_t steps) {
    if (st->code) return false;
    st->steps += steps;
    if (st->steps < st->next_clock) return true;
    if (st->steps > st->max_steps)
        return ig_tpl_raise(st, "the template runs more than %zu steps", st->max_steps);
    st->next_clock = st->steps + 1024;
    if (st->next_clock > st->max_steps) st->next_clock = st->max_steps + 1;
    if (st->deadline && st->env->clock_ns(st->env->ud) > st->deadline)
        return ig_tpl_raise(st, "the template takes too long");
    return true;
}

bool ig_tpl_enter(struct tpl_st *st) {
    if (st->depth >= st->max_depth)
        return ig_tpl_raise(st, "nested more than %zu deep (recursion?)", st->max_depth);
    st->depth++;
    return ig_tpl_step(st) || (st->depth--, false);
}

/* ---- Builders ---- */

void ig_tpl_sb_init(struct tpl_sb *sb, struct tpl_st *st) {
    *sb = (struct tpl_sb){.st = st};
}

static bool reserve(struct tpl_sb *sb, size_t more) {
    size_t need;
    if (!ig_add(sb->n, more, &need)) return ig_tpl_raise(sb->st, "text is too long");
    if (need <= sb->cap) return true;
    if (need > sb->st->max_output)
        return ig_tpl_raise(sb->st, "the text grows beyond %zu bytes", sb->st->max_output);
    size_t cap = sb->cap * 2 < 64 ? 64 : sb->cap * 2;
    if (cap < need) cap = need;
    char *p = ig_tpl_alloc(sb->st, cap);
    if (!p) return false;
    if (sb->n) memcpy(p, sb->p, sb->n);
    if (sb->marks) {
        uint8_t *marks = ig_tpl_alloc(sb->st, cap);
        if (!marks) return false;
        memcpy(marks, sb->marks, sb->n);
        sb->marks = marks;
    }
    sb->p = p;
    sb->cap = cap;
    return true;
}

/* From here on bytes of both origins may follow. */
static bool start_marks(struct tpl_sb *sb) {
    if (sb->marks) return true;
    sb->marks = ig_tpl_alloc(sb->st, sb->cap);
    if (!sb->marks) return false;
    memset(sb->marks, sb->input, sb->n);
    return true;
}

void ig_tpl_sb_add(struct tpl_sb *sb, const char *p, size_t n, bool input) {
    if (!n || !reserve(sb, n)) return;
    if (!sb->n) {
        sb->input = input;
        sb->marks = NULL;
    }
    if (input != sb->input && !start_marks(sb)) return;
    if (sb->marks) memset(sb->marks + sb->n, input, n);
    memcpy(sb->p + sb->n, p, n);
    sb->n += n;
}

void ig_tpl_sb_z(struct tpl_sb *sb, const char *z) {
    ig_tpl_sb_add(sb, z, strlen(z), false);
}

void ig_tpl_sb_sub(struct tpl_sb *sb, const struct tpl_str *s, size_t from, size_t n) {
    if (!s->marks) {
        ig_tpl_sb_add(sb, s->p + from, n, s->input);
        return;
    }
    while (n) {
        size_t run = 1;
        while (run < n && s->marks[from + run] == s->marks[from]) run++;
        ig_tpl_sb_add(sb, s->p + from, run, s->marks[from]);
        from += run;
        n -= run;
    }
}

void ig_tpl_sb_str(struct tpl_sb *sb, const struct tpl_str *s) {
    ig_tpl_sb_sub(sb, s, 0, s->n);
}

bool ig_tpl_sb_done(struct tpl_sb *sb, struct tpl_val *out) {
    struct tpl_str *s = sb->st->code ? NULL : ig_tpl_alloc(sb->st, sizeof *s);
    if (!s) return false;
    *s = (struct tpl_str){.p = sb->p ? sb->p : "",
                          .n = sb->n,
                          .chars = SIZE_MAX,
                          .marks = sb->marks,
                          .input = sb->input};
    *out = (struct tpl_val){.kind = V_STR, .u.s = s};
    return true;
}

/* ---- Strings ---- */

bool ig_tpl_str(struct tpl_st *st, const char *p, size_t n, bool input, struct tpl_val *out) {
    struct tpl_str *s = ig_tpl_alloc(st, sizeof *s);
    if (!s) return false;
    *s = (struct tpl_str){.p = p, .n = n, .chars = SIZE_MAX, .input = input};
    *out = (struct tpl_val){.kind = V_STR, .u.s = s};
    return true;
}

bool ig_tpl_str_copy(struct tpl_st *st, const char *p, size_t n, bool input, struct tpl_val *out) {
    char *copy = ig_tpl_alloc(st, n ? n : 1);
    if (!copy) return false;
    if (n) memcpy(copy, p, n);
    return ig_tpl_str(st, copy, n, input, out);
}

bool ig_tpl_sub(struct tpl_st *st, const struct tpl_str *s, size_t from, size_t n,
                struct tpl_val *out) {
    if (!ig_tpl_str(st, s->p + from, n, s->input, out)) return false;
    out->u.s->safe = s->safe;
    if (s->marks) out->u.s->marks = s->marks + from;
    if (s->chars == s->n) out->u.s->chars = n; /* ASCII */
    return true;
}

bool ig_tpl_concat(struct tpl_st *st, const struct tpl_str *a, const struct tpl_str *b,
                   struct tpl_val *out) {
    struct tpl_sb *sb = a->tail;
    if (!sb || sb->n != a->n || sb->p != a->p) {
        sb = ig_tpl_alloc(st, sizeof *sb);
        if (!sb) return false;
        ig_tpl_sb_init(sb, st);
        reserve(sb, a->n + b->n);
        ig_tpl_sb_str(sb, a);
    }
    ig_tpl_sb_str(sb, b);
    if (!ig_tpl_sb_done(sb, out)) return false;
    out->u.s->tail = sb;
    if (a->chars != SIZE_MAX && b->chars != SIZE_MAX) out->u.s->chars = a->chars + b->chars;
    return true;
}

size_t ig_tpl_chars(struct tpl_str *s) {
    if (s->chars != SIZE_MAX) return s->chars;
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) n += ((unsigned char)s->p[i] & 0xc0) != 0x80;
    return s->chars = n;
}

size_t ig_tpl_offset(struct tpl_str *s, size_t index) {
    if (ig_tpl_chars(s) == s->n) return index < s->n ? index : s->n;
    size_t i = 0;
    for (; i < s->n; i++) {
        if (((unsigned char)s->p[i] & 0xc0) == 0x80) continue;
        if (!index--) break;
    }
    return i;
}

bool ig_tpl_is_input(const struct tpl_str *s) {
    if (!s->marks) return s->input && s->n;
    return s->n && memchr(s->marks, 1, s->n) != NULL;
}

size_t ig_tpl_find(struct tpl_st *st, const struct tpl_str *hay, size_t from,
                   const struct tpl_str *needle) {
    if (from > hay->n || needle->n > hay->n - from) return SIZE_MAX;
    if (!needle->n) return from;
    size_t work = 0, last = hay->n - needle->n;
    for (size_t i = from; i <= last; i++) {
        const char *at = memchr(hay->p + i, needle->p[0], last - i + 1);
        if (!at) {
            work += (last - i) / 1024;
            break;
        }
        size_t k = 1, next = (size_t)(at - hay->p);
        work += (next - i) / 1024;
        i = next;
        while (k < needle->n && at[k] == needle->p[k]) k++;
        if (k == needle->n) {
            ig_tpl_work(st, work);
            return i;
        }
        work += k / 128;
        if (work > 4096) {
            if (!ig_tpl_work(st, work)) return SIZE_MAX;
            work = 0;
        }
    }
    ig_tpl_work(st, work);
    return SIZE_MAX;
}

void ig_segments_free(struct ig_segments *s) {
    ig_free(s->mem, s->list);
    *s = (struct ig_segments){.mem = s->mem};
}
