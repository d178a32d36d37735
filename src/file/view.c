/* The view: opening whatever a path names, finding keys and tensors by name, reading typed values.
 *
 * Promises: one message that names the file for everything that is not a model; look-ups in O(1);
 * values are only ever read through accessors that check type, index and range. Does not know: the
 * formats (gguf.c, safetensors.c, config.c) or what a key means.
 *
 * Subtle: the tables hold indexes into arrays that must not move afterwards, so they are built
 * last. */
#include "file/reader.h"

#include "base/hash.h"

/* ---- names
 * -------------------------------------------------------------------------------------------------------
 */

enum {
    PROBE_MAX = 4096
}; /* never reached by chance at half load: somebody made names that collide */

static struct ig_str name_at(const struct ig_names *t, size_t i) {
    struct ig_str s;
    memcpy(&s, t->items + i * t->stride, sizeof s);
    return s;
}

static uint64_t fresh_seed(const void *p) {
    double now = ig_os_seconds();
    uint64_t bits;
    memcpy(&bits, &now, sizeof bits);
    return bits * 0x9e3779b97f4a7c15u ^ (uint64_t)(uintptr_t)p;
}

ingle_status ig_names_build(struct ig_names *t, struct ig_arena *a, const void *items,
                            size_t stride, size_t n, size_t *twice, ingle_error *err) {
    uint32_t cap = 16;
    while (cap < 2 * n) cap *= 2;
    *t = (struct ig_names){.mask = cap - 1, .items = items, .stride = stride};
    t->slots = ig_arena_calloc(a, cap, sizeof *t->slots);
    if (!t->slots) return ig_fail_memory(err, cap * sizeof *t->slots);
    t->seed = fresh_seed(t->slots);
    *twice = SIZE_MAX;
    for (size_t i = 0; i < n; i++) {
        struct ig_str name = name_at(t, i);
        uint32_t at = (uint32_t)ig_hash(name.p, name.n, t->seed) & t->mask, probes = 0;
        for (; t->slots[at]; at = (at + 1) & t->mask) {
            if (ig_str_eq(name_at(t, t->slots[at] - 1), name)) *twice = i;
            if (*twice != SIZE_MAX) return INGLE_BAD_FILE;
            if (++probes == PROBE_MAX)
                return ig_fail(err, INGLE_BAD_FILE, IG_HINT_DAMAGED,
                               "names are made to collide: '%.*s'", IG_NAME(name));
        }
        t->slots[at] = (uint32_t)i + 1;
    }
    return INGLE_OK;
}

size_t ig_names_find(const struct ig_names *t, struct ig_str name) {
    if (!t->slots) return SIZE_MAX;
    uint32_t at = (uint32_t)ig_hash(name.p, name.n, t->seed) & t->mask;
    for (; t->slots[at]; at = (at + 1) & t->mask)
        if (ig_str_eq(name_at(t, t->slots[at] - 1), name)) return t->slots[at] - 1;
    return SIZE_MAX;
}

ingle_status ig_view_index_names(struct ig_view *v, ingle_error *err) {
    struct ig_view_index *x = ig_arena_calloc(&v->arena, 1, sizeof *x);
    if (!x) return ig_fail_memory(err, sizeof *x);
    v->index = x;
    size_t twice;
    ingle_status s =
        ig_names_build(&x->keys, &v->arena, v->kv, sizeof *v->kv, v->n_kv, &twice, err);
    if (s && twice != SIZE_MAX)
        return ig_fail(err, s, IG_HINT_DAMAGED, "%s: metadata key '%.*s' occurs twice", v->path,
                       IG_NAME(v->kv[twice].key));
    if (s) return s;
    s = ig_names_build(&x->tensors, &v->arena, v->tensors, sizeof *v->tensors, v->n_tensors, &twice,
                       err);
    if (s && twice != SIZE_MAX)
        return ig_fail(err, s, IG_HINT_DAMAGED, "%s: tensor '%.*s' occurs twice", v->path,
                       IG_NAME(v->tensors[twice].name));
    return s;
}

const struct ig_tensor *ig_view_tensor(const struct ig_view *v, struct ig_str name) {
    const struct ig_view_index *x = v->index;
    size_t i = x ? ig_names_find(&x->tensors, name) : SIZE_MAX;
    return i == SIZE_MAX ? NULL : &v->tensors[i];
}

const struct ig_kv *ig_view_kv(const struct ig_view *v, const char *key) {
    const struct ig_view_index *x = v->index;
    size_t i = x ? ig_names_find(&x->keys, ig_str_of(key)) : SIZE_MAX;
    return i == SIZE_MAX ? NULL : &v->kv[i];
}

/* ---- spans
 * -------------------------------------------------------------------------------------------------------
 */

static bool span_less(const struct ig_span *a, const struct ig_span *b) {
    return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
}

static void sift(struct ig_span *s, size_t root, size_t n) {
    struct ig_span moving = s[root];
    for (size_t kid; (kid = 2 * root + 1) < n; root = kid) {
        if (kid + 1 < n && span_less(&s[kid], &s[kid + 1])) kid++;
        if (!span_less(&moving, &s[kid])) break;
        s[root] = s[kid];
    }
    s[root] = moving;
}

/* Heap sort: qsort of some C libraries allocates, or is quadratic on chosen input. Most files are
 * sorted already. */
void ig_spans_sort(struct ig_span *s, size_t n) {
    size_t i = 1;
    while (i < n && !span_less(&s[i], &s[i - 1])) i++;
    if (i >= n) return;
    for (i = n / 2; i-- > 0;) sift(s, i, n);
    for (i = n - 1; i > 0; i--) {
        struct ig_span top = s[0];
        s[0] = s[i];
        s[i] = top;
        sift(s, 0, i);
    }
}

/* ---- paths and maps
 * ---------------------------------------------------------------------------------------------- */

size_t ig_path_folder_length(const char *path) {
    size_t n = strlen(path);
    while (n && path[n - 1] != '/' && path[n - 1] != '\\') n--;
    return n;
}

char *ig_path_beside(struct ig_arena *a, const char *base, size_t folder, struct ig_str name) {
    char *p = ig_arena_alloc(a, folder + name.n + 1);
    if (!p) return NULL;
    memcpy(p, base, folder);
    if (name.n) memcpy(p + folder, name.p, name.n);
    p[folder + name.n] = 0;
    return p;
}

ingle_status ig_view_reserve_maps(struct ig_view *v, size_t n, ingle_error *err) {
    v->maps = ig_arena_calloc(&v->arena, n, sizeof *v->maps);
    return v->maps ? INGLE_OK : ig_fail_memory(err, n * sizeof *v->maps);
}

ingle_status ig_view_map(struct ig_view *v, const char *path, struct ig_map *out,
                         ingle_error *err) {
    IG_TRY(ig_os_map(out, path, err));
    v->maps[v->n_maps++] = *out;
    return INGLE_OK;
}

/* ---- open and close
 * ---------------------------------------------------------------------------------------------- */

/* What people feed us instead of a model. */
static const struct {
    const char *magic;
    const char *what, *hint;
} strangers[] = {
    {"<!DOCTYPE", "is a web page",
     "the download link was wrong: get the file itself, not the page about it"},
    {"<!doctype", "is a web page",
     "the download link was wrong: get the file itself, not the page about it"},
    {"<html", "is a web page",
     "the download link was wrong: get the file itself, not the page about it"},
    {"version https://git-lfs", "is a Git LFS pointer, not the file itself",
     "run `git lfs pull` in its folder"},
    {"Entry not found", "is the text of a failed download", "check the link and download it again"},
    {"Invalid username", "is the text of a failed download",
     "log in or accept the model's licence, then download it"},
    {"lmgg", "is a GGML file from before GGUF", "get the GGUF version of this model"},
    {"tjgg", "is a GGJT file from before GGUF", "get the GGUF version of this model"},
    {"fmgg", "is a GGMF file from before GGUF", "get the GGUF version of this model"},
    {"algg", "is a GGLA adapter from before GGUF", "get the GGUF version of this adapter"},
    {"PK\x03\x04", "is a zip archive (perhaps a PyTorch checkpoint)",
     "get the safetensors or GGUF version of this model"},
    {"\x1f\x8b", "is gzip-compressed", "unpack it first"},
    {"\xfd"
     "7zXZ",
     "is xz-compressed", "unpack it first"},
    {"\x28\xb5\x2f\xfd", "is zstd-compressed", "unpack it first"},
};

static ingle_status refuse_stranger(const char *path, struct ig_str head, ingle_error *err) {
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (ig_str_starts(head, ig_str_of(strangers[i].magic)))
            return ig_fail(err, INGLE_BAD_FILE, strangers[i].hint, "%s: %s", path,
                           strangers[i].what);
    return ig_fail(err, INGLE_BAD_FILE,
                   "name a .gguf file, or a folder with config.json and .safetensors files",
                   "%s: is not a model file (it does not begin with 'GGUF')", path);
}

static ingle_status open_file(struct ig_view *v, ig_type_size_fn type_size, ingle_error *err) {
    struct ig_str path = ig_str_of(v->path);
    if (ig_str_ends(path, IG_STR(".safetensors"))) {
        size_t folder = ig_path_folder_length(v->path);
        char *prefix = ig_path_beside(&v->arena, v->path, folder, (struct ig_str){0});
        if (!prefix) return ig_fail_memory(err, folder + 1);
        return ig_folder_open(v, prefix, v->path + folder, err);
    }
    struct ig_map m;
    IG_TRY(ig_os_map(&m, v->path, err));
    struct ig_str head = {(const char *)m.data, m.size < 64 ? (size_t)m.size : 64};
    bool gguf = ig_str_starts(head, IG_STR("GGUF")) || ig_str_starts(IG_STR("GGUF"), head);
    ingle_status s = gguf ? INGLE_OK : refuse_stranger(v->path, head, err);
    ig_os_unmap(&m);
    return s ? s : ig_gguf_open(v, v->path, type_size, err);
}

static ingle_status open_any(struct ig_view *v, const char *path, ig_type_size_fn type_size,
                             ingle_error *err) {
    size_t n = strlen(path);
    if (!n)
        return ig_fail(err, INGLE_BAD_ARGUMENT, "name a model file or folder",
                       "the model's path is empty");
    v->path = ig_arena_copy(&v->arena, path, n);
    if (!v->path) return ig_fail_memory(err, n + 1);
    if (ig_os_kind(path) != IG_OS_FOLDER) return open_file(v, type_size, err);
    bool slash = path[n - 1] == '/' || path[n - 1] == '\\';
    char *prefix = ig_path_beside(&v->arena, path, n, slash ? (struct ig_str){0} : IG_STR("/"));
    return prefix ? ig_folder_open(v, prefix, NULL, err) : ig_fail_memory(err, n + 2);
}

ingle_status ig_view_open(struct ig_view *v, struct ig_mem *mem, const char *path,
                          ig_type_size_fn type_size, const struct ig_log *log, ingle_error *err) {
    *v = (struct ig_view){.mem = mem, .arena = {.mem = mem}};
    ingle_status s = open_any(v, path, type_size, err);
    if (s) {
        ig_view_close(v);
        return s;
    }
    ig_log(log, INGLE_LOG_DEBUG, "%s: %zu metadata keys, %zu tensors, %zu files mapped", v->path,
           v->n_kv, v->n_tensors, v->n_maps);
    return INGLE_OK;
}

void ig_view_close(struct ig_view *v) {
    for (size_t i = 0; i < v->n_maps; i++) ig_os_unmap(&v->maps[i]);
    ig_arena_free(&v->arena);
    *v = (struct ig_view){.mem = v->mem, .arena = {.mem = v->mem}};
}

/* ---- typed values
 * ------------------------------------------------------------------------------------------------
 */

static uint64_t little_endian(const uint8_t *p, unsigned bytes) {
    uint64_t v = 0;
    for (unsigned i = bytes; i-- > 0;) v = v << 8 | p[i];
    return v;
}

/* Bytes of a fixed-size value, 0 for the others. */
static unsigned width_of(unsigned type) {
    static const uint8_t widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof widths ? widths[type] : 0;
}

/* Type and place of element `index`; false if there is none of fixed size. */
static bool element(const struct ig_kv *kv, uint64_t index, unsigned *type, const uint8_t **at) {
    if (!kv || index >= kv->count) return false;
    *type = kv->type == IG_KV_ARRAY ? kv->item : kv->type;
    unsigned width = width_of(*type);
    if (!width || index > (kv->bytes - width) / width) return false;
    *at = kv->data + index * width;
    return true;
}

bool ig_kv_i64(const struct ig_kv *kv, uint64_t index, int64_t *out) {
    unsigned type;
    const uint8_t *p;
    if (!element(kv, index, &type, &p)) return false;
    uint64_t v = little_endian(p, width_of(type));
    switch (type) {
    case IG_KV_U8:
    case IG_KV_U16:
    case IG_KV_U32: *out = (int64_t)v; return true;
    case IG_KV_I8: *out = (int8_t)v; return true;
    case IG_KV_I16: *out = (int16_t)v; return true;
    case IG_KV_I32: *out = (int32_t)v; return true;
    case IG_KV_I64: *out = (int64_t)v; return true;
    case IG_KV_U64:
        if (v > INT64_MAX) return false;
        *out = (int64_t)v;
        return true;
    default: return false;
    }
}

bool ig_kv_f64(const struct ig_kv *kv, uint64_t index, double *out) {
    unsigned type;
    const uint8_t *p;
    int64_t whole;
    if (!element(kv, index, &type, &p)) return false;
    if (type == IG_KV_F32) {
        uint32_t bits = (uint32_t)little_endian(p, 4);
        float f;
        memcpy(&f, &bits, sizeof f);
        *out = (double)f;
        return true;
    }
    if (type == IG_KV_F64) {
        uint64_t bits = little_endian(p, 8);
        memcpy(out, &bits, sizeof *out);
        return true;
    }
    if (!ig_kv_i64(kv, index, &whole)) return false;
    *out = (double)whole;
    return true;
}

bool ig_kv_bool(const struct ig_kv *kv, uint64_t index, bool *out) {
    unsigned type;
    const uint8_t *p;
    if (!element(kv, index, &type, &p) || type != IG_KV_BOOL) return false;
    *out = *p != 0;
    return true;
}

/* The string at `at` bytes into the value; the readers have checked that it lies inside. */
static struct ig_str string_at(const struct ig_kv *kv, uint64_t at, uint64_t *next) {
    uint64_t n = little_endian(kv->data + at, kv->length_size);
    *next = at + kv->length_size + n;
    return (struct ig_str){(const char *)kv->data + at + kv->length_size, (size_t)n};
}

bool ig_kv_str(const struct ig_kv *kv, struct ig_str *out) {
    uint64_t next;
    if (!kv || kv->type != IG_KV_STRING) return false;
    *out = string_at(kv, 0, &next);
    return true;
}

bool ig_kv_next_str(const struct ig_kv *kv, uint64_t *at, struct ig_str *out) {
    if (!kv || kv->type != IG_KV_ARRAY || kv->item != IG_KV_STRING || *at >= kv->bytes)
        return false;
    *out = string_at(kv, *at, at);
    return true;
}
