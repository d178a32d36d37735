/* Which files of a repository make the model that was asked for.
 *
 * Promises: the same list and the same wish always give the same files; of a split GGUF all parts
 * or an error; no name that the store could not hold. Does not know: the network.
 *
 * The order without a wish: Q4_K_M, then other 4-bit types (good ones first), then the smallest
 * file of at least 5 bits, then the largest of fewer: below 4 bits small models talk nonsense. */
#include "choice.h"

#include "base/json.h"
#include "file_names.h"
#include "url.h"

enum { MAX_FILES = 20000 };

static bool add(struct ig_call *c, struct ig_remote_list *l, struct ig_remote_file f) {
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 32;
        struct ig_remote_file *more = ig_arena_calloc(&c->arena, cap, sizeof *more);
        if (!more) return false;
        if (l->n) memcpy(more, l->files, l->n * sizeof *more);
        l->files = more;
        l->cap = cap;
    }
    l->files[l->n++] = f;
    return true;
}

/* "sha256:HEX" or HEX, in lower case; NULL if it is neither. */
static const char *sha_of(struct ig_call *c, struct ig_str oid) {
    if (ig_str_starts(oid, IG_STR("sha256:"))) oid = (struct ig_str){oid.p + 7, oid.n - 7};
    if (!ig_hub_is_sha256(oid)) return NULL;
    char *hex = ig_arena_copy(&c->arena, oid.p, oid.n);
    for (char *p = hex; p && *p; p++)
        if (*p >= 'A' && *p <= 'F') *p = (char)(*p + 32);
    return hex;
}

ingle_status ig_tree_add(struct ig_call *c, struct ig_str json, struct ig_remote_list *list,
                         ingle_error *err) {
    const struct ig_json *tree;
    struct ig_json_limits limits = {.depth = 16, .code = INGLE_BAD_FILE};
    if (ig_json_parse(&c->arena, json, &limits, &tree, err))
        return ig_fail_in(err, "the list of files");
    if (!ig_json_is(tree, IG_JSON_ARRAY))
        return ig_fail(err, INGLE_BAD_FILE, "is the endpoint right?",
                       "the list of files is not a list");
    for (const struct ig_json *f = tree->child; f; f = f->next) {
        struct ig_str type = ig_json_str(ig_json_get(f, "type"), ""),
                      path = ig_json_str(ig_json_get(f, "path"), "");
        const struct ig_json *lfs = ig_json_get(f, "lfs");
        if (!ig_str_is(type, "file") || !path.n) continue;
        if (list->n >= MAX_FILES)
            return ig_fail(err, INGLE_LIMIT, "name the file's URL",
                           "the repository has too many files");
        int64_t size = ig_json_i64(ig_json_get(f, "size"), -1),
                real = ig_json_i64(ig_json_get(lfs, "size"), -1);
        if (ig_json_is(lfs, IG_JSON_OBJECT) && real >= 0) size = real;
        struct ig_str oid = ig_json_str(ig_json_get(lfs ? lfs : f, "oid"), "");
        bool plain = oid.n < 80;
        for (size_t i = 0; i < oid.n; i++) plain = plain && oid.p[i] > ' ' && oid.p[i] < 0x7f;
        struct ig_remote_file file = {.oid = ig_arena_copy(&c->arena, oid.p, plain ? oid.n : 0),
                                      .path = ig_arena_copy(&c->arena, path.p, path.n),
                                      .sha256 = sha_of(c, ig_json_str(ig_json_get(lfs, "oid"), "")),
                                      .size = size < 0 ? -1 : size};
        if (memchr(path.p, 0, path.n)) continue; /* an escaped NUL: no file of a repository */
        if (!file.path || !file.oid || !add(c, list, file)) return ig_fail_memory(err, path.n);
    }
    return INGLE_OK;
}

/* ---- GGUF ---- */

static bool is_first_part(const char *path) {
    struct ig_str stem;
    unsigned part, parts;
    return !ig_hub_split(ig_str_of(path), &stem, &part, &parts) || part == 1;
}

/* Companions of models (projectors, importance matrices) are GGUF files, but no models. */
static bool is_companion(const char *path) {
    struct ig_str base = ig_hub_base_name(ig_str_of(path));
    return ig_hub_glob(IG_STR("*mmproj*"), base) || ig_hub_glob(IG_STR("*imatrix*"), base);
}

static bool is_model(const struct ig_remote_file *f) {
    return ig_hub_is_gguf(ig_str_of(f->path)) && is_first_part(f->path) && !is_companion(f->path);
}

/* How much a type is wanted when nothing is said; less is better. */
static int rank(struct ig_str type) {
    static const char best[] =
        "q4_k_m q4_k_s mxfp4 mxfp4_moe q4_k_l q4_k_xl iq4_nl iq4_xs q4_1 q4_0";
    enum { n = 10 /* words of it */ };
    int at = ig_hub_word_index(best, type);
    if (at >= 0) return at;
    if (ig_hub_starts(type, IG_STR("q4_")) || ig_hub_starts(type, IG_STR("iq4_"))) return n;
    static const char *const low[] = {"q1", "q2", "q3", "iq1", "iq2", "iq3", "tq1", "tq2"};
    for (size_t i = 0; i < sizeof low / sizeof *low; i++)
        if (ig_hub_starts(type, ig_str_of(low[i]))) return n + 2;
    return n + 1; /* 5 bits and more, or not said */
}

/* Among equals: the shorter path, then the bytewise first. */
static bool simpler(const char *a, const char *b) {
    size_t n = strlen(a), m = strlen(b);
    return n != m ? n < m : strcmp(a, b) < 0;
}

static bool better(const struct ig_remote_file *a, const struct ig_remote_file *b) {
    int ra = rank(ig_hub_type_of(ig_str_of(a->path))),
        rb = rank(ig_hub_type_of(ig_str_of(b->path)));
    if (ra != rb) return ra < rb;
    if (ra > 10 && a->size != b->size && a->size >= 0 && b->size >= 0)
        return (a->size < b->size) == (ra == 11);
    return simpler(a->path, b->path);
}

static const struct ig_remote_file *best_gguf(const struct ig_remote_list *all) {
    const struct ig_remote_file *best = NULL;
    for (size_t i = 0; i < all->n; i++)
        if (is_model(&all->files[i]) && (!best || better(&all->files[i], best)))
            best = &all->files[i];
    return best;
}

static ingle_status add_named(struct ig_call *c, struct ig_remote_list *out,
                              const struct ig_remote_file *f, ingle_error *err) {
    struct ig_remote_file copy = *f;
    struct ig_str base = ig_hub_base_name(ig_str_of(f->path));
    if (!ig_hub_name_is_safe(base))
        return ig_fail(err, INGLE_UNSUPPORTED,
                       "load it by other means and put it into the store under another name",
                       "'%.100s' cannot be a file's name here", f->path);
    copy.name = base.p;
    for (size_t i = 0; i < out->n; i++)
        if (ig_hub_same_name(base, ig_str_of(out->files[i].name)))
            return ig_fail(err, INGLE_BAD_FILE, "choose another file", "'%.100s' is there twice",
                           f->path);
    return add(c, out, copy) ? INGLE_OK : ig_fail_memory(err, sizeof copy);
}

static ingle_status add_gguf(struct ig_call *c, const struct ig_remote_list *all,
                             const struct ig_remote_file *f, struct ig_remote_list *out,
                             ingle_error *err) {
    struct ig_str stem, other;
    unsigned part, parts, n;
    if (!ig_hub_split(ig_str_of(f->path), &stem, &part, &parts)) return add_named(c, out, f, err);
    for (unsigned want = 1; want <= parts; want++) {
        const struct ig_remote_file *found = NULL;
        for (size_t i = 0; i < all->n && !found; i++)
            if (ig_hub_split(ig_str_of(all->files[i].path), &other, &part, &n) && part == want &&
                n == parts && ig_str_eq(stem, other))
                found = &all->files[i];
        if (!found)
            return ig_fail(err, INGLE_NOT_FOUND,
                           "the repository is incomplete: choose another file",
                           "%.200s: part %u of %u is not there", f->path, want, parts);
        IG_TRY(add_named(c, out, found, err));
    }
    return INGLE_OK;
}

/* ---- safetensors ---- */

static bool is_weights(const char *path) {
    struct ig_str s = ig_str_of(path);
    if (strchr(path, '/') || !ig_str_ends(s, IG_STR(".safetensors"))) return false;
    return !ig_hub_glob(IG_STR("*adapter*"), s);
}

/* Some repositories hold the weights a second time, in the layout of their makers. */
static bool is_consolidated(const char *path) {
    return ig_hub_glob(IG_STR("consolidated*"), ig_str_of(path));
}

static bool is_wanted_beside(const char *path) {
    static const char *const names[] = {"config.json",
                                        "generation_config.json",
                                        "chat_template.jinja",
                                        "chat_template.json",
                                        "special_tokens_map.json",
                                        "added_tokens.json",
                                        "vocab.json",
                                        "merges.txt",
                                        "model.safetensors.index.json"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(path, names[i]) == 0) return true;
    return !strchr(path, '/') && ig_hub_glob(IG_STR("tokenizer*"), ig_str_of(path));
}

static ingle_status choose_safetensors(struct ig_call *c, const struct ig_remote_list *all,
                                       struct ig_remote_list *out, bool *found, ingle_error *err) {
    bool config = false, weights = false, plain = false;
    for (size_t i = 0; i < all->n; i++) {
        const char *path = all->files[i].path;
        config = config || strcmp(path, "config.json") == 0;
        weights = weights || is_weights(path);
        plain = plain || (is_weights(path) && !is_consolidated(path));
    }
    *found = config && weights;
    for (int pass = 0; *found && pass < 2; pass++) /* the small files first: they fail early */
        for (size_t i = 0; i < all->n; i++) {
            const char *path = all->files[i].path;
            bool take = pass ? is_weights(path) && !(plain && is_consolidated(path))
                             : is_wanted_beside(path);
            if (take) IG_TRY(add_named(c, out, &all->files[i], err));
        }
    return INGLE_OK;
}

/* ---- the wish ---- */

/* "It has A, B, C and 4 more" into the hint. */
static void list_models(struct ig_call *c, const struct ig_remote_list *all, struct ig_buf *b) {
    size_t shown = 0, total = 0;
    for (int pass = 0; pass < 2 && !total; pass++) /* models, or whatever there is */
        for (size_t i = 0; i < all->n; i++) {
            if (!pass && !is_model(&all->files[i])) continue;
            total++;
            if (b->n > 330 || shown >= 24) continue;
            ig_buf_f(b, "%s%.120s", shown++ ? ", " : "", all->files[i].path);
        }
    if (total > shown) ig_buf_f(b, " and %u more", (unsigned)(total - shown));
    if (!total) ig_buf_z(b, "no files");
    (void)c;
}

static ingle_status nothing_fits(struct ig_call *c, const struct ig_remote_list *all,
                                 const char *repo, const char *spec, ingle_error *err) {
    struct ig_buf b = {.mem = c->mem};
    list_models(c, all, &b);
    ingle_status s;
    if (b.failed)
        s = ig_fail_memory(err, 512);
    else if (spec)
        s = ig_fail(err, INGLE_NOT_FOUND, "name one of them",
                    "%.100s has nothing that fits '%.60s'; it has: %s", repo, spec, b.p);
    else
        s = ig_fail(err, INGLE_NOT_FOUND,
                    "name a GGUF file, or a repository with config.json and .safetensors",
                    "%.100s has no model that ingle runs; it has: %s", repo, b.p);
    ig_buf_free(&b);
    return s;
}

static const struct ig_remote_file *by_name(const struct ig_remote_list *all, const char *spec) {
    for (int pass = 0; pass < 4; pass++)
        for (size_t i = 0; i < all->n; i++) {
            struct ig_str path = ig_str_of(all->files[i].path), want = ig_str_of(spec);
            struct ig_str name = pass & 1 ? ig_hub_base_name(path) : path;
            if (pass < 2 ? ig_str_eq(name, want) : ig_hub_same_name(name, want))
                return &all->files[i];
        }
    return NULL;
}

static const struct ig_remote_file *by_type(const struct ig_remote_list *all, const char *spec) {
    const struct ig_remote_file *best = NULL;
    for (size_t i = 0; i < all->n; i++) {
        const struct ig_remote_file *f = &all->files[i];
        if (!is_model(f) || !ig_hub_has_type(ig_str_of(f->path), ig_str_of(spec))) continue;
        if (!best || simpler(f->path, best->path)) best = f;
    }
    return best;
}

static ingle_status by_pattern(struct ig_call *c, const struct ig_remote_list *all,
                               const char *repo, const char *spec,
                               const struct ig_remote_file **found, ingle_error *err) {
    struct ig_remote_list hits = {0};
    for (size_t i = 0; i < all->n; i++) {
        struct ig_str path = ig_str_of(all->files[i].path);
        if (!is_model(&all->files[i])) continue;
        if (!ig_hub_glob(ig_str_of(spec), path) &&
            !ig_hub_glob(ig_str_of(spec), ig_hub_base_name(path)))
            continue;
        if (!add(c, &hits, all->files[i])) return ig_fail_memory(err, sizeof *hits.files);
        *found = &all->files[i];
    }
    if (hits.n <= 1) return INGLE_OK;
    struct ig_buf b = {.mem = c->mem};
    list_models(c, &hits, &b);
    ingle_status s =
        b.failed ? ig_fail_memory(err, 512)
                 : ig_fail(err, INGLE_BAD_ARGUMENT, "name one of them",
                           "%.100s: '%.60s' fits %u files: %s", repo, spec, (unsigned)hits.n, b.p);
    ig_buf_free(&b);
    return s;
}

ingle_status ig_choose(struct ig_call *c, const struct ig_remote_list *all, const char *repo,
                       const char *spec, struct ig_remote_list *out, enum ig_model_format *format,
                       ingle_error *err) {
    const struct ig_remote_file *found = NULL;
    bool set = false;
    *format = IG_MODEL_GGUF;
    if (!spec) {
        found = best_gguf(all);
        if (!found) IG_TRY(choose_safetensors(c, all, out, &set, err));
    } else if (ig_hub_same_name(ig_str_of(spec), IG_STR("safetensors"))) {
        IG_TRY(choose_safetensors(c, all, out, &set, err));
    } else {
        found = by_name(all, spec);
        if (!found && strpbrk(spec, "*?")) IG_TRY(by_pattern(c, all, repo, spec, &found, err));
        if (!found) found = by_type(all, spec);
    }
    if (set) {
        *format = IG_MODEL_SAFETENSORS;
        return INGLE_OK;
    }
    if (!found) return nothing_fits(c, all, repo, spec, err);
    if (!ig_hub_is_gguf(ig_str_of(found->path)))
        return ig_fail(err, INGLE_UNSUPPORTED,
                       "name a GGUF file; without a name the safetensors set is loaded",
                       "%.200s: a single file of this kind is no model", found->path);
    return add_gguf(c, all, found, out, err);
}
