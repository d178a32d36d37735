/* GGUF, versions 1 to 3, one file or a split set.
 *
 * Promises: every length and count is checked against the bytes that are left before it is
 * believed, every product and sum is checked for overflow, and memory is at most four times the
 * header's bytes. Keys and names are unique, tensors lie inside the file, aligned, and do not
 * overlap. Weights are never copied or touched. Does not know: what a key means (but
 * general.alignment and split.*) or how a block type is coded: `type_size` tells its size.
 *
 * Subtle: string arrays are walked here once, so that ig_kv_next_str may trust them. The limits on
 * strings, keys and tensors are far above what models have; they keep a sparse file of terabytes
 * from costing minutes.
 *
 * Version 1 has 32-bit counts, lengths and dimensions; from version 2 on they have 64 bits. */
#include "file/reader.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    KEY_MAX = 65535,       /* the format's limit */
    NAME_MAX_BYTES = 1024, /* the format says 64; writers take more */
    ALIGNMENT_MAX = 1 << 20,
    COUNT_FIRST_MAX = 4096, /* longer lists are walked once before memory is taken for them */
    SPLIT_MAX = 10000
};
static const uint64_t ITEMS_MAX = UINT64_C(1) << 30, STRINGS_MAX = UINT64_C(1) << 26;

struct reader {
    const char *path;
    const uint8_t *data;
    uint64_t size, at;
    uint64_t strings; /* seen so far, in all arrays */
    unsigned wide;    /* bytes of a count: 8, or 4 in version 1 */
    uint32_t version;
    ig_type_size_fn type_size;
    ingle_error *err;
};

/* What one file holds. */
struct part {
    struct ig_kv *kv;
    size_t n_kv;
    struct ig_tensor *tensors;
    size_t n_tensors;
    uint32_t version;
};

static uint64_t left(const struct reader *r) {
    return r->size - r->at;
}

static ingle_status fail_cut(struct reader *r, const char *what) {
    return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_WHOLE,
                   "%s: the file ends at byte %" PRIu64 " in the middle of %s", r->path, r->size,
                   what);
}

static ingle_status take(struct reader *r, unsigned bytes, uint64_t *out, const char *what) {
    *out = 0;
    if (left(r) < bytes) return fail_cut(r, what);
    uint64_t v = 0;
    for (unsigned i = bytes; i-- > 0;) v = v << 8 | r->data[r->at + i];
    r->at += bytes;
    *out = v;
    return INGLE_OK;
}

static ingle_status take_string(struct reader *r, struct ig_str *out, uint64_t most,
                                const char *what) {
    uint64_t n, start = r->at;
    IG_TRY(take(r, r->wide, &n, what));
    if (n > left(r))
        return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_WHOLE,
                       "%s: %s at byte %" PRIu64 " claims %" PRIu64 " bytes, only %" PRIu64
                       " are left",
                       r->path, what, start, n, left(r));
    if (n > most)
        return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_DAMAGED,
                       "%s: %s at byte %" PRIu64 " has %" PRIu64 " bytes, the limit is %" PRIu64,
                       r->path, what, start, n, most);
    *out = (struct ig_str){(const char *)r->data + r->at, (size_t)n};
    r->at += n;
    return INGLE_OK;
}

/* ---- metadata
 * ----------------------------------------------------------------------------------------------------
 */

/* Bytes of a value of fixed size; 0 for strings, arrays and unknown types. */
static unsigned value_width(uint64_t type) {
    static const uint8_t widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof widths ? widths[type] : 0;
}

static ingle_status fail_type(struct reader *r, struct ig_str key, uint64_t type,
                              const char *what) {
    return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_DAMAGED, "%s: key '%.*s' has %s %" PRIu64,
                   r->path, IG_NAME(key), what, type);
}

static ingle_status walk_strings(struct reader *r, const struct ig_kv *kv) {
    r->strings += kv->count;
    if (kv->count > STRINGS_MAX || r->strings > STRINGS_MAX)
        return ig_fail(r->err, INGLE_UNSUPPORTED, IG_HINT_DAMAGED,
                       "%s: key '%.*s': more than %" PRIu64 " strings in arrays", r->path,
                       IG_NAME(kv->key), STRINGS_MAX);
    for (uint64_t i = 0; i < kv->count; i++) {
        uint64_t n = 0;
        if (left(r) >= r->wide)
            take(r, r->wide, &n, "");
        else
            return fail_cut(r, "a string array");
        if (n > left(r))
            return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_WHOLE,
                           "%s: key '%.*s': string %" PRIu64 " claims %" PRIu64
                           " bytes, only %" PRIu64 " are left",
                           r->path, IG_NAME(kv->key), i, n, left(r));
        r->at += n;
    }
    return INGLE_OK;
}

static ingle_status read_array(struct reader *r, struct ig_kv *kv) {
    uint64_t item, bytes;
    IG_TRY(take(r, 4, &item, "an array's header"));
    IG_TRY(take(r, r->wide, &kv->count, "an array's header"));
    unsigned width = item == IG_KV_STRING ? r->wide : value_width(item);
    if (item == IG_KV_ARRAY)
        return ig_fail(r->err, INGLE_UNSUPPORTED, "use a model without it",
                       "%s: key '%.*s' is an array of arrays", r->path, IG_NAME(kv->key));
    if (!width) return fail_type(r, kv->key, item, "elements of the unknown type");
    if (!ig_mul_u64(kv->count, width, &bytes) || bytes > left(r))
        return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_WHOLE,
                       "%s: key '%.*s' claims %" PRIu64 " elements, only %" PRIu64
                       " bytes are left",
                       r->path, IG_NAME(kv->key), kv->count, left(r));
    if (kv->count > ITEMS_MAX)
        return ig_fail(r->err, INGLE_UNSUPPORTED, IG_HINT_DAMAGED,
                       "%s: key '%.*s' has %" PRIu64 " elements, the limit is %" PRIu64, r->path,
                       IG_NAME(kv->key), kv->count, ITEMS_MAX);
    kv->item = (uint8_t)item;
    kv->data = r->data + r->at;
    if (item == IG_KV_STRING)
        IG_TRY(walk_strings(r, kv));
    else
        r->at += bytes;
    kv->bytes = (uint64_t)(r->data + r->at - kv->data);
    return INGLE_OK;
}

static ingle_status read_kv(struct reader *r, struct ig_kv *kv) {
    uint64_t type, start = r->at;
    *kv = (struct ig_kv){.count = 1, .length_size = (uint8_t)r->wide};
    IG_TRY(take_string(r, &kv->key, KEY_MAX, "a metadata key"));
    if (!kv->key.n)
        return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_DAMAGED,
                       "%s: the metadata key at byte %" PRIu64 " is empty", r->path, start);
    IG_TRY(take(r, 4, &type, "a metadata value"));
    kv->type = (uint8_t)type;
    if (type == IG_KV_ARRAY) return read_array(r, kv);
    kv->data = r->data + r->at;
    if (type == IG_KV_STRING) {
        struct ig_str text;
        IG_TRY(take_string(r, &text, UINT64_C(1) << 30, "a metadata string"));
    } else {
        unsigned width = value_width(type);
        if (!width) return fail_type(r, kv->key, type, "the unknown type");
        if (left(r) < width) return fail_cut(r, "a metadata value");
        r->at += width;
    }
    kv->bytes = (uint64_t)(r->data + r->at - kv->data);
    return INGLE_OK;
}

static ingle_status read_metadata(struct reader *r, struct ig_arena *a, struct part *p) {
    struct ig_kv kv;
    if (p->n_kv > COUNT_FIRST_MAX) {
        struct reader probe = *r;
        for (size_t i = 0; i < p->n_kv; i++) IG_TRY(read_kv(&probe, &kv));
    }
    p->kv = ig_arena_calloc(a, p->n_kv, sizeof *p->kv);
    if (!p->kv) return ig_fail_memory(r->err, p->n_kv * sizeof *p->kv);
    for (size_t i = 0; i < p->n_kv; i++) IG_TRY(read_kv(r, &p->kv[i]));
    return INGLE_OK;
}

static const struct ig_kv *find_kv(const struct part *p, const char *key) {
    for (size_t i = 0; i < p->n_kv; i++)
        if (ig_str_is(p->kv[i].key, key)) return &p->kv[i];
    return NULL;
}

static ingle_status alignment_of(struct reader *r, const struct part *p, uint64_t *out) {
    const struct ig_kv *kv = find_kv(p, "general.alignment");
    int64_t v = 32;
    if (kv && (kv->type == IG_KV_ARRAY || !ig_kv_i64(kv, 0, &v))) v = -1;
    if (v < 1 || v > ALIGNMENT_MAX || (v & (v - 1)))
        return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_DAMAGED,
                       "%s: general.alignment must be a power of two up to %d", r->path,
                       ALIGNMENT_MAX);
    *out = (uint64_t)v;
    return INGLE_OK;
}

/* ---- tensors
 * -----------------------------------------------------------------------------------------------------
 */

#define TENSOR_FAIL(code, hint, fmt, ...)                                                          \
    ig_fail(r->err, code, hint, "%s: tensor '%.*s': " fmt, r->path, IG_NAME(t->name), __VA_ARGS__)

static ingle_status read_shape(struct reader *r, struct ig_tensor *t) {
    uint64_t n, weights = 1;
    IG_TRY(take(r, 4, &n, "a tensor's description"));
    if (n < 1 || n > IG_MAX_DIMS)
        return TENSOR_FAIL(INGLE_BAD_FILE, IG_HINT_DAMAGED,
                           "has %" PRIu64 " dimensions, 1 to %d are possible", n, IG_MAX_DIMS);
    t->n_dims = (uint32_t)n;
    for (unsigned i = 0; i < IG_MAX_DIMS; i++) {
        t->ne[i] = 1;
        if (i < n) IG_TRY(take(r, r->wide, &t->ne[i], "a tensor's description"));
        if (!t->ne[i])
            return TENSOR_FAIL(INGLE_BAD_FILE, IG_HINT_DAMAGED, "dimension %u is zero", i);
        if (!ig_mul_u64(weights, t->ne[i], &weights) || weights > INT64_MAX)
            return TENSOR_FAIL(INGLE_BAD_FILE, IG_HINT_DAMAGED,
                               "dimension %u is %" PRIu64 ", the number of weights overflows", i,
                               t->ne[i]);
    }
    return INGLE_OK;
}

static ingle_status read_block_type(struct reader *r, struct ig_tensor *t) {
    uint64_t type;
    uint32_t weights = 0, bytes = 0;
    const char *name = NULL, *why = NULL;
    IG_TRY(take(r, 4, &type, "a tensor's description"));
    t->type = (uint32_t)type;
    if (!r->type_size(t->type, &weights, &bytes, &name, &why) || !weights || !bytes)
        return TENSOR_FAIL(
            INGLE_UNSUPPORTED, "get this model in another quantisation, such as Q4_K_M or Q8_0",
            "has block type %" PRIu64 ": %s", type, why ? why : "ingle does not know it");
    t->dtype = ig_str_of(name);
    if (t->ne[0] % weights)
        return TENSOR_FAIL(INGLE_BAD_FILE, IG_HINT_DAMAGED,
                           "rows of %" PRIu64 " weights do not divide into %s blocks of %u",
                           t->ne[0], name, (unsigned)weights);
    t->bytes = t->ne[0] / weights;
    bool fits = ig_mul_u64(t->bytes, bytes, &t->bytes);
    for (int i = 1; i < IG_MAX_DIMS; i++) fits = fits && ig_mul_u64(t->bytes, t->ne[i], &t->bytes);
    if (!fits)
        return TENSOR_FAIL(INGLE_BAD_FILE, IG_HINT_DAMAGED, "its size in bytes overflows (%s)",
                           name);
    return INGLE_OK;
}

/* Leaves the offset in *offset: the data section's start is known only after the last description.
 */
static ingle_status read_tensor(struct reader *r, struct ig_tensor *t, uint64_t *offset) {
    uint64_t start = r->at;
    *t = (struct ig_tensor){0};
    IG_TRY(take_string(r, &t->name, NAME_MAX_BYTES, "a tensor's name"));
    if (!t->name.n)
        return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_DAMAGED,
                       "%s: the tensor name at byte %" PRIu64 " is empty", r->path, start);
    IG_TRY(read_shape(r, t));
    IG_TRY(read_block_type(r, t));
    return take(r, 8, offset, "a tensor's description");
}

static ingle_status place_tensor(struct reader *r, struct ig_tensor *t, struct ig_span *span,
                                 uint64_t base, uint64_t alignment) {
    uint64_t offset = span->begin, begin, end;
    if (offset & (alignment - 1))
        return TENSOR_FAIL(INGLE_BAD_FILE, IG_HINT_DAMAGED,
                           "offset %" PRIu64 " is not a multiple of %" PRIu64, offset, alignment);
    bool fits =
        ig_add_u64(base, offset, &begin) && ig_add_u64(begin, t->bytes, &end) && end <= r->size;
    if (!fits)
        return TENSOR_FAIL(INGLE_BAD_FILE, IG_HINT_WHOLE,
                           "offset %" PRIu64 " + %" PRIu64
                           " bytes is past the end of the file (%" PRIu64
                           " bytes, data from %" PRIu64 ")",
                           offset, t->bytes, r->size, base);
    t->data = r->data + begin;
    *span = (struct ig_span){begin, end, span->index};
    return INGLE_OK;
}

static ingle_status place_tensors(struct reader *r, struct part *p, struct ig_span *spans) {
    uint64_t alignment = 0, base;
    IG_TRY(alignment_of(r, p, &alignment));
    if (!ig_add_u64(r->at, alignment - 1, &base)) return fail_cut(r, "the header");
    base &= ~(alignment - 1);
    for (size_t i = 0; i < p->n_tensors; i++)
        IG_TRY(place_tensor(r, &p->tensors[i], &spans[i], base, alignment));
    ig_spans_sort(spans, p->n_tensors);
    for (size_t i = 1; i < p->n_tensors; i++) {
        const struct ig_tensor *t = &p->tensors[spans[i].index],
                               *before = &p->tensors[spans[i - 1].index];
        if (spans[i].begin < spans[i - 1].end)
            return TENSOR_FAIL(INGLE_BAD_FILE, IG_HINT_DAMAGED,
                               "overlaps tensor '%.*s' at byte %" PRIu64, IG_NAME(before->name),
                               spans[i].begin);
    }
    return INGLE_OK;
}

static ingle_status read_tensors(struct reader *r, struct ig_arena *a, struct part *p) {
    if (!p->n_tensors) return INGLE_OK;
    if (p->n_tensors > COUNT_FIRST_MAX) {
        struct reader probe = *r;
        struct ig_tensor t;
        uint64_t offset;
        for (size_t i = 0; i < p->n_tensors; i++) IG_TRY(read_tensor(&probe, &t, &offset));
    }
    struct ig_span *spans = ig_calloc(a->mem, p->n_tensors, sizeof *spans);
    p->tensors = ig_arena_calloc(a, p->n_tensors, sizeof *p->tensors);
    ingle_status s =
        spans && p->tensors ? INGLE_OK : ig_fail_memory(r->err, p->n_tensors * sizeof *p->tensors);
    for (size_t i = 0; i < p->n_tensors && !s; i++) {
        spans[i].index = i;
        s = read_tensor(r, &p->tensors[i], &spans[i].begin);
    }
    if (!s) s = place_tensors(r, p, spans);
    ig_free(a->mem, spans);
    return s;
}

/* ---- one file
 * ----------------------------------------------------------------------------------------------------
 */

static ingle_status read_version(struct reader *r, struct part *p) {
    uint64_t magic, version;
    IG_TRY(take(r, 4, &magic, "the header"));
    if (magic != 0x46554747)
        return ig_fail(r->err, INGLE_BAD_FILE, "name a .gguf file",
                       "%s: is not a GGUF file (wrong magic)", r->path);
    IG_TRY(take(r, 4, &version, "the header"));
    if (version && !(version & 0xffff))
        return ig_fail(r->err, INGLE_UNSUPPORTED, "get the little-endian version of this model",
                       "%s: is a big-endian GGUF file", r->path);
    if (version < 1 || version > 3)
        return ig_fail(r->err, INGLE_UNSUPPORTED,
                       "get a newer ingle or an older version of this model",
                       "%s: GGUF version %" PRIu64 " is not known (1 to 3 are)", r->path, version);
    p->version = r->version = (uint32_t)version;
    r->wide = version == 1 ? 4 : 8;
    return INGLE_OK;
}

/* Counts are believed only as far as the rest of the file could hold that many of the smallest
 * entries. */
static ingle_status read_counts(struct reader *r, struct part *p) {
    uint64_t tensors, keys, dims_and_offset = r->wide + 16;
    IG_TRY(take(r, r->wide, &tensors, "the header"));
    IG_TRY(take(r, r->wide, &keys, "the header"));
    if (tensors > left(r) / (r->wide + 1 + dims_and_offset))
        return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_WHOLE,
                       "%s: claims %" PRIu64 " tensors, more than its %" PRIu64
                       " bytes can describe",
                       r->path, tensors, r->size);
    if (keys > left(r) / (r->wide + 1 + 4 + 1))
        return ig_fail(r->err, INGLE_BAD_FILE, IG_HINT_WHOLE,
                       "%s: claims %" PRIu64 " metadata keys, more than its %" PRIu64
                       " bytes can hold",
                       r->path, keys, r->size);
    if (tensors > IG_NAMES_MAX || keys > IG_NAMES_MAX)
        return ig_fail(r->err, INGLE_UNSUPPORTED, IG_HINT_DAMAGED,
                       "%s: %" PRIu64 " tensors and %" PRIu64 " metadata keys, the limit is %d",
                       r->path, tensors, keys, IG_NAMES_MAX);
    p->n_tensors = (size_t)tensors;
    p->n_kv = (size_t)keys;
    return INGLE_OK;
}

static ingle_status read_part(struct ig_view *v, const char *path, const uint8_t *data,
                              uint64_t size, ig_type_size_fn type_size, struct part *p,
                              ingle_error *err) {
    struct reader r = {
        .path = path, .data = data, .size = size, .type_size = type_size, .err = err};
    *p = (struct part){0};
    IG_TRY(read_version(&r, p));
    IG_TRY(read_counts(&r, p));
    if (p->n_kv) IG_TRY(read_metadata(&r, &v->arena, p));
    return read_tensors(&r, &v->arena, p);
}

static ingle_status take_over(struct ig_view *v, const struct part *p, ingle_error *err) {
    v->kv = p->kv;
    v->n_kv = p->n_kv;
    v->tensors = p->tensors;
    v->n_tensors = p->n_tensors;
    v->version = p->version;
    return ig_view_index_names(v, err);
}

ingle_status ig_gguf_read(struct ig_view *v, const uint8_t *data, uint64_t size,
                          ig_type_size_fn type_size, ingle_error *err) {
    struct part p;
    if (!v->path) v->path = "GGUF";
    IG_TRY(read_part(v, v->path, data, size, type_size, &p, err));
    return take_over(v, &p, err);
}

/* ---- split sets
 * --------------------------------------------------------------------------------------------------
 */

struct split {
    int64_t no, count, tensors; /* tensors: -1 if the file does not say */
};

static ingle_status read_split(const char *path, const struct part *p, struct split *s,
                               ingle_error *err) {
    const struct ig_kv *no = find_kv(p, "split.no"), *count = find_kv(p, "split.count"),
                       *tensors = find_kv(p, "split.tensors.count");
    *s = (struct split){0, 1, -1};
    bool good = (!count || ig_kv_i64(count, 0, &s->count)) && (!no || ig_kv_i64(no, 0, &s->no)) &&
                (!tensors || ig_kv_i64(tensors, 0, &s->tensors));
    if (good && s->count == 0 && s->no == 0) s->count = 1; /* "not split" as some tools write it */
    if (!good || s->count < 1 || s->count > SPLIT_MAX || s->no < 0 || s->no >= s->count)
        return ig_fail(
            err, INGLE_BAD_FILE, IG_HINT_DAMAGED,
            "%s: split.no and split.count are not a part number and a number of parts up to %d",
            path, SPLIT_MAX);
    return INGLE_OK;
}

enum { SUFFIX_BYTES = 40 };

static struct ig_str split_suffix(char out[SUFFIX_BYTES], int64_t no, int64_t count) {
    int n = snprintf(out, SUFFIX_BYTES, "-%05d-of-%05d.gguf", (int)no + 1, (int)count);
    return (struct ig_str){out, n < 0 ? 0 : (size_t)n};
}

/* Maps part `no` and checks that it belongs to the set. */
static ingle_status open_part(struct ig_view *v, struct ig_str base, const struct split *set,
                              int64_t no, ig_type_size_fn type_size, struct part *p,
                              ingle_error *err) {
    char suffix[SUFFIX_BYTES];
    char *path = ig_path_beside(&v->arena, base.p, base.n, split_suffix(suffix, no, set->count));
    if (!path) return ig_fail_memory(err, base.n + SUFFIX_BYTES);
    if (ig_os_kind(path) == IG_OS_ABSENT)
        return ig_fail(err, INGLE_NOT_FOUND, "get all parts and put them into one folder",
                       "%s: part %d of %d of the split model is missing", path, (int)no + 1,
                       (int)set->count);
    struct ig_map m;
    struct split here;
    IG_TRY(ig_view_map(v, path, &m, err));
    IG_TRY(read_part(v, path, m.data, m.size, type_size, p, err));
    IG_TRY(read_split(path, p, &here, err));
    if (here.no != no || here.count != set->count)
        return ig_fail(err, INGLE_BAD_FILE,
                       "the parts come from different downloads: get all of them again",
                       "%s: says it is part %d of %d, its name says %d of %d", path,
                       (int)here.no + 1, (int)here.count, (int)no + 1, (int)set->count);
    return INGLE_OK;
}

static ingle_status join_parts(struct ig_view *v, struct part *parts, const struct split *set,
                               ingle_error *err) {
    size_t total = 0, at = 0;
    for (int64_t i = 0; i < set->count; i++) total += parts[i].n_tensors;
    if (total > IG_NAMES_MAX || (set->tensors >= 0 && (uint64_t)set->tensors != total))
        return ig_fail(err, INGLE_BAD_FILE,
                       "the parts come from different downloads: get all of them again",
                       "%s: the %d parts hold %zu tensors, split.tensors.count says %" PRId64,
                       v->path, (int)set->count, total, set->tensors);
    struct ig_tensor *all = ig_arena_calloc(&v->arena, total + 1, sizeof *all);
    if (!all) return ig_fail_memory(err, total * sizeof *all);
    for (int64_t i = 0; i < set->count; i++) {
        if (parts[i].n_tensors)
            memcpy(all + at, parts[i].tensors, parts[i].n_tensors * sizeof *all);
        at += parts[i].n_tensors;
    }
    parts[0].tensors = all;
    parts[0].n_tensors = total;
    return take_over(v, &parts[0], err);
}

static ingle_status open_split(struct ig_view *v, const char *path, const struct split *set,
                               ig_type_size_fn type_size, ingle_error *err) {
    char text[SUFFIX_BYTES];
    struct ig_str suffix = split_suffix(text, set->no, set->count), base = ig_str_of(path);
    if (!ig_str_ends(base, suffix))
        return ig_fail(err, INGLE_BAD_FILE, "give the parts their original names",
                       "%s: is part %d of %d of a split model, but its name does not end in '%s'",
                       path, (int)set->no + 1, (int)set->count, text);
    base.n -= suffix.n;
    IG_TRY(ig_view_reserve_maps(v, (size_t)set->count, err));
    struct part *parts = ig_arena_calloc(&v->arena, (size_t)set->count, sizeof *parts);
    if (!parts) return ig_fail_memory(err, (size_t)set->count * sizeof *parts);
    for (int64_t i = 0; i < set->count; i++)
        IG_TRY(open_part(v, base, set, i, type_size, &parts[i], err));
    return join_parts(v, parts, set, err);
}

ingle_status ig_gguf_open(struct ig_view *v, const char *path, ig_type_size_fn type_size,
                          ingle_error *err) {
    struct ig_map m;
    struct part p;
    struct split set;
    IG_TRY(ig_view_reserve_maps(v, 1, err));
    IG_TRY(ig_view_map(v, path, &m, err));
    IG_TRY(read_part(v, path, m.data, m.size, type_size, &p, err));
    IG_TRY(read_split(path, &p, &set, err));
    if (set.count == 1) return take_over(v, &p, err);
    ig_os_unmap(&v->maps[0]); /* open_split starts afresh, in order, from part 1 */
    v->n_maps = 0;
    return open_split(v, path, &set, type_size, err);
}
