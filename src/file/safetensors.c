/* One safetensors file: u64 length, a JSON header, the bytes of the tensors.
 *
 * Promises the format's rules and no leniency: the header is at most 100 MB and begins with '{',
 * names are unique, every span is exactly shape times type, and the spans cover the buffer without
 * holes or overlap (so nothing can hide in it). Does not know: folders and shards (config.c), what
 * a tensor means.
 *
 * Subtle: a JSON tree costs up to 28 bytes for each byte of a hostile header. So the two outer
 * levels are walked by hand, and only one tensor's description at a time goes through the JSON
 * parser.
 *
 * Shapes come slowest first and are turned round. More than IG_MAX_DIMS dimensions (vision towers
 * have five) are folded: leading ones vanish, then the slowest are multiplied into one. */
#include "file/reader.h"

#include "base/utf8.h"

#include <inttypes.h>

enum { HEADER_MAX = 100000000, ENTRY_MAX = 65536, SHAPE_MAX = 64 };

static const struct dtype {
    const char *name;
    uint32_t type; /* GGUF id */
    uint32_t bits;
} dtypes[] = {
    {"F32", 0, 32},
    {"F16", 1, 16},
    {"BF16", 30, 16},
    {"I8", 24, 8},
    {"I16", 25, 16},
    {"I32", 26, 32},
    {"I64", 27, 64},
    {"F64", 28, 64},
    {"U8", IG_TYPE_OTHER, 8},
    {"U16", IG_TYPE_OTHER, 16},
    {"U32", IG_TYPE_OTHER, 32},
    {"U64", IG_TYPE_OTHER, 64},
    {"BOOL", IG_TYPE_OTHER, 8},
    {"C64", IG_TYPE_OTHER, 64},
    {"F8_E4M3", IG_TYPE_OTHER, 8},
    {"F8_E5M2", IG_TYPE_OTHER, 8},
    {"F8_E8M0", IG_TYPE_OTHER, 8},
    {"F8_E4M3FNUZ", IG_TYPE_OTHER, 8},
    {"F8_E5M2FNUZ", IG_TYPE_OTHER, 8},
    {"F6_E2M3", IG_TYPE_OTHER, 6},
    {"F6_E3M2", IG_TYPE_OTHER, 6},
    {"F4", IG_TYPE_OTHER, 4},
};

struct header {
    struct ig_view *v;
    const char *path;
    const char *p; /* the JSON text */
    size_t n, at;
    const uint8_t *data; /* the buffer behind it */
    uint64_t data_bytes;
    ingle_error *err;
};

static ingle_status fail_at(const struct header *h, const char *what) {
    return ig_fail(h->err, INGLE_BAD_FILE, IG_HINT_DAMAGED, "%s: header, byte %zu: %s", h->path,
                   h->at + 8, what);
}

/* ---- the outer levels of the JSON
 * --------------------------------------------------------------------------------- */

static void skip_space(struct header *h) {
    while (h->at < h->n && (h->p[h->at] == ' ' || h->p[h->at] == '\n' || h->p[h->at] == '\r' ||
                            h->p[h->at] == '\t'))
        h->at++;
}

static bool next_is(struct header *h, char c) {
    skip_space(h);
    if (h->at >= h->n || h->p[h->at] != c) return false;
    h->at++;
    return true;
}

/* The text of a string with its quotes. Escapes and UTF-8 are checked when it is decoded. */
static ingle_status take_quoted(struct header *h, struct ig_str *out) {
    skip_space(h);
    size_t start = h->at;
    if (!next_is(h, '"')) return fail_at(h, "a string was expected");
    while (h->at < h->n && h->p[h->at] != '"') h->at += h->p[h->at] == '\\' ? 2 : 1;
    if (h->at >= h->n) {
        h->at = start;
        return fail_at(h, "the string does not end");
    }
    h->at++;
    *out = (struct ig_str){h->p + start, h->at - start};
    return INGLE_OK;
}

/* The text of a value up to its closing bracket; syntax is checked when it is parsed. */
static ingle_status take_object(struct header *h, struct ig_str *out) {
    struct ig_str quoted;
    skip_space(h);
    size_t start = h->at, depth = 0;
    if (h->at >= h->n || h->p[h->at] != '{') return fail_at(h, "an object was expected");
    do {
        if (h->at >= h->n) return fail_at(h, "the header ends inside an object");
        char c = h->p[h->at];
        if (c == '"') {
            IG_TRY(take_quoted(h, &quoted));
            continue;
        }
        if (c == '{' || c == '[') depth++;
        if (c == '}' || c == ']') depth--;
        h->at++;
    } while (depth);
    *out = (struct ig_str){h->p + start, h->at - start};
    return INGLE_OK;
}

/* Between the entries of an object: *more says whether another follows. */
static ingle_status after_entry(struct header *h, bool *more) {
    *more = next_is(h, ',');
    if (*more || next_is(h, '}')) return INGLE_OK;
    return fail_at(h, "',' or '}' was expected");
}

static bool has_control(struct ig_str s) {
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20) return true;
    return false;
}

static ingle_status parse_slice(struct header *h, struct ig_arena *scratch, struct ig_str text,
                                const char *what, const struct ig_json **out) {
    static const struct ig_json_limits limits = {.depth = 8, .unique_keys = true};
    ingle_error inner = {0};
    ingle_status s = ig_json_parse(scratch, text, &limits, out, &inner);
    if (s == INGLE_NO_MEMORY) return ig_fail_memory(h->err, text.n);
    if (s)
        return ig_fail(h->err, INGLE_BAD_FILE, IG_HINT_DAMAGED, "%s: header, byte %zu: %s: %s",
                       h->path, (size_t)(text.p - h->p) + 8, what, inner.message);
    return INGLE_OK;
}

/* The decoded string: a slice of the file, or a copy in `keep` if it has escapes. With `keep` NULL
 * it is only checked. */
static ingle_status decode(struct header *h, struct ig_str quoted, struct ig_arena *keep,
                           struct ig_str *out) {
    const struct ig_json *j = NULL;
    struct ig_arena scratch = {.mem = h->v->mem};
    if (quoted.n > ENTRY_MAX && keep) return fail_at(h, "a name is longer than 64 KiB");
    *out = (struct ig_str){quoted.p + 1, quoted.n - 2};
    if (!memchr(quoted.p, '\\', quoted.n) && ig_utf8_valid(out->p, out->n) && !has_control(*out))
        return INGLE_OK;
    ingle_status s = parse_slice(h, &scratch, quoted, "a string", &j);
    if (!s && keep) {
        *out =
            (struct ig_str){ig_arena_copy(keep, j->text.n ? j->text.p : "", j->text.n), j->text.n};
        if (!out->p) s = ig_fail_memory(h->err, quoted.n);
    }
    ig_arena_free(&scratch);
    return s;
}

static ingle_status take_key(struct header *h, struct ig_arena *keep, struct ig_str *out) {
    struct ig_str quoted = {0};
    IG_TRY(take_quoted(h, &quoted));
    IG_TRY(decode(h, quoted, keep, out));
    return next_is(h, ':') ? INGLE_OK : fail_at(h, "':' was expected");
}

/* "__metadata__" maps text to text; nothing in ingle reads it, but it must be what the format says.
 */
static ingle_status skip_metadata(struct header *h) {
    struct ig_str quoted = {0}, text;
    if (!next_is(h, '{')) return fail_at(h, "__metadata__ is not an object");
    if (next_is(h, '}')) return INGLE_OK;
    for (bool more = true; more;) {
        IG_TRY(take_key(h, NULL, &text));
        IG_TRY(take_quoted(h, &quoted));
        IG_TRY(decode(h, quoted, NULL, &text));
        IG_TRY(after_entry(h, &more));
    }
    return INGLE_OK;
}

/* ---- one tensor
 * --------------------------------------------------------------------------------------------------
 */

#define TENSOR_FAIL(fmt, ...)                                                                      \
    ig_fail(h->err, INGLE_BAD_FILE, IG_HINT_DAMAGED, "%s: tensor '%.*s': " fmt, h->path,           \
            IG_NAME(t->name), __VA_ARGS__)

static bool natural(const struct ig_json *j, uint64_t *out) {
    if (!ig_json_is(j, IG_JSON_NUMBER) || !j->integer || j->text.p[0] == '-') return false;
    int64_t v = ig_json_i64(j, -1);
    *out = (uint64_t)v;
    return v >= 0;
}

/* Slowest first in the file, ne[0] fastest here. */
static ingle_status read_shape(struct header *h, struct ig_tensor *t, const struct ig_json *shape,
                               uint64_t *weights) {
    uint64_t dims[SHAPE_MAX];
    size_t n = 0;
    if (!ig_json_is(shape, IG_JSON_ARRAY) || shape->count > SHAPE_MAX)
        return TENSOR_FAIL("shape is not an array of at most %d numbers", SHAPE_MAX);
    *weights = 1;
    for (const struct ig_json *j = shape->child; j; j = j->next) {
        if (!natural(j, &dims[n])) return TENSOR_FAIL("dimension %zu is not a whole number", n);
        if (!ig_mul_u64(*weights, dims[n], weights) || *weights > INT64_MAX)
            return TENSOR_FAIL("dimension %zu is %" PRIu64 ", the number of weights overflows", n,
                               dims[n]);
        n++;
    }
    size_t first = 0;
    while (n - first > IG_MAX_DIMS && dims[first] == 1) first++;
    for (unsigned i = 0; i < IG_MAX_DIMS; i++) t->ne[i] = 1;
    for (size_t i = n; i-- > first;) {
        size_t to = n - 1 - i < IG_MAX_DIMS - 1 ? n - 1 - i : IG_MAX_DIMS - 1;
        if (!ig_mul_u64(t->ne[to], dims[i], &t->ne[to]))
            return TENSOR_FAIL("dimension %zu overflows", i);
    }
    n -= first;
    t->n_dims = n < IG_MAX_DIMS ? (uint32_t)n : IG_MAX_DIMS;
    if (!t->n_dims) t->n_dims = 1; /* a scalar is a row of one */
    return INGLE_OK;
}

static ingle_status read_dtype(struct header *h, struct ig_tensor *t, const struct ig_json *j,
                               uint32_t *bits) {
    *bits = 0;
    if (!ig_json_is(j, IG_JSON_STRING)) return TENSOR_FAIL("%s", "dtype is not a string");
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++) {
        if (!ig_str_is(j->text, dtypes[i].name)) continue;
        t->type = dtypes[i].type;
        t->dtype = ig_str_of(dtypes[i].name);
        *bits = dtypes[i].bits;
        return INGLE_OK;
    }
    return ig_fail(h->err, INGLE_UNSUPPORTED, "get this model as BF16, F16 or F32",
                   "%s: tensor '%.*s': dtype '%.*s' is not known", h->path, IG_NAME(t->name),
                   IG_NAME(j->text));
}

static ingle_status read_span(struct header *h, struct ig_tensor *t, const struct ig_json *j,
                              struct ig_span *span) {
    if (!ig_json_is(j, IG_JSON_ARRAY) || j->count != 2 ||
        !natural(ig_json_at(j, 0), &span->begin) || !natural(ig_json_at(j, 1), &span->end) ||
        span->begin > span->end)
        return TENSOR_FAIL("%s", "data_offsets are not a begin and an end");
    if (span->end > h->data_bytes)
        return ig_fail(h->err, INGLE_BAD_FILE, IG_HINT_WHOLE,
                       "%s: tensor '%.*s': ends at byte %" PRIu64
                       " of the data, the file holds %" PRIu64,
                       h->path, IG_NAME(t->name), span->end, h->data_bytes);
    t->data = h->data + span->begin;
    t->bytes = span->end - span->begin;
    return INGLE_OK;
}

static ingle_status read_description(struct header *h, struct ig_tensor *t, struct ig_span *span,
                                     const struct ig_json *j) {
    const struct ig_json *shape = NULL, *dtype = NULL, *offsets = NULL;
    uint64_t weights = 0, bits_all;
    uint32_t bits = 0;
    for (const struct ig_json *f = j->child; f; f = f->next) {
        if (ig_str_is(f->key, "shape"))
            shape = f;
        else if (ig_str_is(f->key, "dtype"))
            dtype = f;
        else if (ig_str_is(f->key, "data_offsets"))
            offsets = f;
        else
            return TENSOR_FAIL("has the unknown field '%.*s'", IG_NAME(f->key));
    }
    if (!shape || !dtype || !offsets)
        return TENSOR_FAIL("%s", "lacks one of dtype, shape and data_offsets");
    IG_TRY(read_dtype(h, t, dtype, &bits));
    IG_TRY(read_shape(h, t, shape, &weights));
    IG_TRY(read_span(h, t, offsets, span));
    if (!ig_mul_u64(weights, bits, &bits_all) || bits_all % 8 || bits_all / 8 != t->bytes)
        return TENSOR_FAIL("%" PRIu64 " weights of %s do not fill %" PRIu64 " bytes", weights,
                           t->dtype.p, t->bytes);
    return INGLE_OK;
}

static ingle_status read_entry(struct header *h, struct ig_tensor *t, struct ig_span *span) {
    struct ig_str text = {0};
    const struct ig_json *j = NULL;
    IG_TRY(take_object(h, &text));
    if (text.n > ENTRY_MAX) return TENSOR_FAIL("%s", "its description is longer than 64 KiB");
    struct ig_arena scratch = {.mem = h->v->mem};
    ingle_status s = parse_slice(h, &scratch, text, "a tensor's description", &j);
    if (!s) s = read_description(h, t, span, j);
    ig_arena_free(&scratch);
    return s;
}

/* ---- the file
 * ----------------------------------------------------------------------------------------------------
 */

/* Walks the header. With `tensors` NULL only counts and skips, so that the list can be made as long
 * as it must be. */
static ingle_status walk(struct header *h, struct ig_tensor *tensors, struct ig_span *spans,
                         size_t *n) {
    bool metadata = false;
    *n = 0;
    h->at = 0;
    if (!next_is(h, '{')) return fail_at(h, "'{' was expected");
    for (bool more = !next_is(h, '}'); more;) {
        struct ig_str name = {0}, skipped;
        IG_TRY(take_key(h, tensors ? &h->v->arena : NULL, &name));
        if (ig_str_is(name, "__metadata__")) {
            if (metadata) return fail_at(h, "__metadata__ occurs twice");
            metadata = true;
            IG_TRY(skip_metadata(h));
        } else if (!tensors) {
            IG_TRY(take_object(h, &skipped));
            ++*n;
        } else {
            tensors[*n] = (struct ig_tensor){.name = name};
            spans[*n] = (struct ig_span){.index = *n};
            IG_TRY(read_entry(h, &tensors[*n], &spans[*n]));
            ++*n;
        }
        IG_TRY(after_entry(h, &more));
    }
    skip_space(h);
    return h->at == h->n ? INGLE_OK : fail_at(h, "something follows the header's object");
}

/* The spans must tile the buffer: no overlap and no hole in which other content could hide. */
static ingle_status check_tiling(struct header *h, const struct ig_tensor *tensors,
                                 struct ig_span *spans, size_t n) {
    uint64_t at = 0;
    ig_spans_sort(spans, n);
    for (size_t i = 0; i < n; i++) {
        const struct ig_tensor *t = &tensors[spans[i].index];
        if (spans[i].begin != at)
            return TENSOR_FAIL(
                "begins at byte %" PRIu64 " of the data, %s byte %" PRIu64, spans[i].begin,
                spans[i].begin < at ? "inside the one that ends at" : "leaving a hole after", at);
        at = spans[i].end;
    }
    if (at != h->data_bytes)
        return ig_fail(h->err, INGLE_BAD_FILE, IG_HINT_DAMAGED,
                       "%s: the tensors end at byte %" PRIu64 " of %" PRIu64 " bytes of data",
                       h->path, at, h->data_bytes);
    return INGLE_OK;
}

static ingle_status check_frame(struct header *h, const uint8_t *data, uint64_t size) {
    uint64_t n = 0;
    if (size < 9)
        return ig_fail(h->err, INGLE_BAD_FILE, IG_HINT_WHOLE,
                       "%s: %" PRIu64 " bytes are too few for a safetensors file", h->path, size);
    for (int i = 7; i >= 0; i--) n = n << 8 | data[i];
    if (data[8] != '{')
        return ig_fail(h->err, INGLE_BAD_FILE, "check where the file came from",
                       "%s: is not a safetensors file (no '{' at byte 8)", h->path);
    if (n > HEADER_MAX || n < 2)
        return ig_fail(h->err, INGLE_BAD_FILE, IG_HINT_DAMAGED,
                       "%s: claims a header of %" PRIu64 " bytes, 2 to %d are possible", h->path, n,
                       HEADER_MAX);
    if (n > size - 8)
        return ig_fail(h->err, INGLE_BAD_FILE, IG_HINT_WHOLE,
                       "%s: claims a header of %" PRIu64 " bytes, the file has %" PRIu64, h->path,
                       n, size);
    h->p = (const char *)data + 8;
    h->n = (size_t)n;
    h->data = data + 8 + n;
    h->data_bytes = size - 8 - n;
    return INGLE_OK;
}

ingle_status ig_safetensors_list(struct ig_view *v, const char *path, const uint8_t *data,
                                 uint64_t size, struct ig_tensor_list *out, ingle_error *err) {
    struct header h = {.v = v, .path = path, .err = err};
    size_t n = 0;
    *out = (struct ig_tensor_list){0};
    IG_TRY(check_frame(&h, data, size));
    IG_TRY(walk(&h, NULL, NULL, &n));
    if (n > IG_NAMES_MAX)
        return ig_fail(err, INGLE_UNSUPPORTED, IG_HINT_DAMAGED, "%s: %zu tensors, the limit is %d",
                       path, n, IG_NAMES_MAX);
    /* one spare: a name that is "__metadata__" only after its escapes are decoded makes the counts
     * differ by one */
    struct ig_tensor *tensors = ig_arena_calloc(&v->arena, n + 1, sizeof *tensors);
    struct ig_span *spans = ig_calloc(v->mem, n + 1, sizeof *spans);
    ingle_status s = tensors && spans ? INGLE_OK : ig_fail_memory(err, (n + 1) * sizeof *tensors);
    if (!s) s = walk(&h, tensors, spans, &n);
    if (!s) s = check_tiling(&h, tensors, spans, n);
    ig_free(v->mem, spans);
    *out = (struct ig_tensor_list){tensors, n};
    return s;
}

ingle_status ig_safetensors_read(struct ig_view *v, const uint8_t *data, uint64_t size,
                                 ingle_error *err) {
    struct ig_tensor_list list;
    if (!v->path) v->path = "safetensors";
    IG_TRY(ig_safetensors_list(v, v->path, data, size, &list, err));
    v->tensors = list.at;
    v->n_tensors = list.n;
    return ig_view_index_names(v, err);
}
