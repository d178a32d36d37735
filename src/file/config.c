/* Model folders in the Hugging Face layout: which safetensors files belong to the model, and its
 * JSON files.
 *
 * Promises: names that come from a file never leave the folder; everything that is missing is named
 * together with what to do; a sharded model is complete or refused. Does not know: what config.json
 * says. arch/ and vocab/ read the trees.
 *
 * Subtle: Python writes NaN and Infinity into JSON, which JSON does not have (granite-hybrid's
 * time_step_limit). config files are read with those replaced; the copy is made only when they
 * occur. */
#include "file/reader.h"

#include <stdio.h>

enum { CONFIG_BYTES_MAX = 16 << 20, TOKENIZER_BYTES_MAX = 256 << 20, SHARDS_MAX = 10000 };

static const char *const HINT_COMPLETE = "get all files of the model's repository";

/* ---- JSON files
 * --------------------------------------------------------------------------------------------------
 */

static ingle_status map_beside(struct ig_view *v, const char *prefix, const char *name,
                               uint64_t most, char **path, struct ig_map *m, ingle_error *err) {
    *path = ig_path_beside(&v->arena, prefix, strlen(prefix), ig_str_of(name));
    if (!*path) return ig_fail_memory(err, strlen(prefix) + strlen(name) + 1);
    IG_TRY(ig_view_map(v, *path, m, err));
    if (m->size > most)
        return ig_fail(err, INGLE_UNSUPPORTED, IG_HINT_DAMAGED, "%s: is larger than %u MiB", *path,
                       (unsigned)(most >> 20));
    return INGLE_OK;
}

enum { PATH_BYTES = 4096 };

/* Without an allocation, so that lack of memory is never taken for lack of a file. */
static bool exists(const char *prefix, const char *name) {
    char path[PATH_BYTES];
    size_t n = strlen(prefix), m = strlen(name);
    if (n + m >= sizeof path) return false;
    memcpy(path, prefix, n);
    memcpy(path + n, name, m + 1);
    return ig_os_kind(path) != IG_OS_ABSENT;
}

/* A number of Python's JSON at s, outside of strings: its length and what stands for it. */
static size_t python_number(struct ig_str s, const char **instead) {
    if (ig_str_starts(s, IG_STR("NaN"))) return *instead = "null", 3;
    if (ig_str_starts(s, IG_STR("Infinity"))) return *instead = "1e999", 8;
    return 0;
}

static bool has_python_numbers(struct ig_str text) {
    size_t at;
    return ig_str_find(text, IG_STR("Infinity"), &at) || ig_str_find(text, IG_STR("NaN"), &at);
}

/* The replacements are never longer, so the copy fits. */
static ingle_status replace_python_numbers(struct ig_view *v, struct ig_str *text,
                                           ingle_error *err) {
    char *out = ig_arena_alloc(&v->arena, text->n + 4);
    if (!out) return ig_fail_memory(err, text->n);
    size_t n = 0;
    bool quoted = false;
    for (size_t i = 0; i < text->n;) {
        const char *instead = NULL;
        size_t skip =
            quoted ? 0 : python_number((struct ig_str){text->p + i, text->n - i}, &instead);
        if (skip) {
            memcpy(out + n, instead, strlen(instead));
            n += strlen(instead);
            i += skip;
            continue;
        }
        if (text->p[i] == '"')
            quoted = !quoted;
        else if (quoted && text->p[i] == '\\' && i + 1 < text->n)
            out[n++] = text->p[i++];
        out[n++] = text->p[i++];
    }
    *text = (struct ig_str){out, n};
    return INGLE_OK;
}

/* Parses an object. A file that is absent leaves *out NULL. */
static ingle_status read_object(struct ig_view *v, const char *prefix, const char *name,
                                uint64_t most, const struct ig_json **out, ingle_error *err) {
    char *path;
    struct ig_map m;
    *out = NULL;
    if (!exists(prefix, name)) return INGLE_OK;
    IG_TRY(map_beside(v, prefix, name, most, &path, &m, err));
    struct ig_str text = {(const char *)m.data, (size_t)m.size};
    if (ig_str_starts(text, IG_STR("\xef\xbb\xbf"))) text = (struct ig_str){text.p + 3, text.n - 3};
    if (most == CONFIG_BYTES_MAX && has_python_numbers(text))
        IG_TRY(replace_python_numbers(v, &text, err));
    ingle_error inner = {0};
    ingle_status s = ig_json_parse(&v->arena, text, NULL, out, &inner);
    if (s == INGLE_NO_MEMORY) return ig_fail_memory(err, text.n);
    if (s) return ig_fail(err, INGLE_BAD_FILE, IG_HINT_DAMAGED, "%s: %s", path, inner.message);
    if (!ig_json_is(*out, IG_JSON_OBJECT))
        return ig_fail(err, INGLE_BAD_FILE, IG_HINT_DAMAGED, "%s: is not a JSON object", path);
    return INGLE_OK;
}

/* tokenizer_config's template may be one text or a list of named ones; "default" is meant then. */
static struct ig_str template_in(const struct ig_json *j) {
    const struct ig_json *t = ig_json_get(j, "chat_template");
    if (ig_json_is(t, IG_JSON_STRING)) return t->text;
    if (!ig_json_is(t, IG_JSON_ARRAY)) return (struct ig_str){0};
    for (const struct ig_json *i = t->child; i; i = i->next)
        if (ig_str_is(ig_json_str(ig_json_get(i, "name"), ""), "default"))
            return ig_json_str(ig_json_get(i, "template"), "");
    return (struct ig_str){0};
}

static ingle_status read_template(struct ig_view *v, const char *prefix, ingle_error *err) {
    char *path;
    struct ig_map m;
    const struct ig_json *j = NULL;
    if (exists(prefix, "chat_template.jinja")) {
        IG_TRY(map_beside(v, prefix, "chat_template.jinja", CONFIG_BYTES_MAX, &path, &m, err));
        v->chat_template = (struct ig_str){(const char *)m.data, (size_t)m.size};
        return INGLE_OK;
    }
    IG_TRY(read_object(v, prefix, "chat_template.json", CONFIG_BYTES_MAX, &j, err));
    v->chat_template = template_in(j);
    if (!v->chat_template.n) v->chat_template = template_in(v->tokenizer_config);
    return INGLE_OK;
}

ingle_status ig_config_read(struct ig_view *v, const char *prefix, ingle_error *err) {
    IG_TRY(read_object(v, prefix, "config.json", CONFIG_BYTES_MAX, &v->config, err));
    IG_TRY(read_object(v, prefix, "generation_config.json", CONFIG_BYTES_MAX, &v->generation_config,
                       err));
    IG_TRY(read_object(v, prefix, "tokenizer_config.json", CONFIG_BYTES_MAX, &v->tokenizer_config,
                       err));
    IG_TRY(read_object(v, prefix, "tokenizer.json", TOKENIZER_BYTES_MAX, &v->tokenizer, err));
    return read_template(v, prefix, err);
}

/* ---- which files
 * -------------------------------------------------------------------------------------------------
 */

/* The weights of a folder: names, sorted, without repetition. */
struct shard_list {
    struct ig_str *names;
    size_t n;
};

/* A name from an index must stay in the folder and be a weights file. */
static bool is_safe_name(struct ig_str s) {
    if (s.n < 1 || s.n > 255 || s.p[0] == '.' || !ig_str_ends(s, IG_STR(".safetensors")))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || strchr("/\\:*?\"<>|\x7f", s.p[i])) return false;
    return true;
}

static void sift_names(struct ig_str *s, size_t root, size_t n) {
    struct ig_str moving = s[root];
    for (size_t kid; (kid = 2 * root + 1) < n; root = kid) {
        if (kid + 1 < n && ig_str_cmp(s[kid], s[kid + 1]) < 0) kid++;
        if (ig_str_cmp(moving, s[kid]) >= 0) break;
        s[root] = s[kid];
    }
    s[root] = moving;
}

static void sort_unique(struct shard_list *l) {
    for (size_t i = l->n / 2; i-- > 0;) sift_names(l->names, i, l->n);
    for (size_t i = l->n; i-- > 1;) {
        struct ig_str top = l->names[0];
        l->names[0] = l->names[i];
        l->names[i] = top;
        sift_names(l->names, 0, i);
    }
    size_t kept = 0;
    for (size_t i = 0; i < l->n; i++)
        if (!kept || !ig_str_eq(l->names[kept - 1], l->names[i])) l->names[kept++] = l->names[i];
    l->n = kept;
}

/* The files that the index's weight_map names. */
static ingle_status shards_of_index(struct ig_view *v, const char *path, const struct ig_json *map,
                                    struct shard_list *out, ingle_error *err) {
    if (!ig_json_is(map, IG_JSON_OBJECT) || !map->count)
        return ig_fail(err, INGLE_BAD_FILE, IG_HINT_DAMAGED, "%s: has no weight_map", path);
    out->names = ig_arena_calloc(&v->arena, map->count, sizeof *out->names);
    if (!out->names) return ig_fail_memory(err, map->count * sizeof *out->names);
    for (const struct ig_json *j = map->child; j; j = j->next) {
        if (j->kind != IG_JSON_STRING || !is_safe_name(j->text))
            return ig_fail(
                err, INGLE_BAD_FILE, IG_HINT_DAMAGED,
                "%s: tensor '%.*s' is not in a .safetensors file of this folder but in '%.*s'",
                path, IG_NAME(j->key), IG_NAME(j->text));
        /* neighbours mostly share a file */
        if (!out->n || !ig_str_eq(out->names[out->n - 1], j->text)) out->names[out->n++] = j->text;
    }
    sort_unique(out);
    if (out->n > SHARDS_MAX)
        return ig_fail(err, INGLE_UNSUPPORTED, IG_HINT_DAMAGED,
                       "%s: names %zu files, the limit is %d", path, out->n, SHARDS_MAX);
    return INGLE_OK;
}

static ingle_status one_shard(struct ig_view *v, struct ig_str name, struct shard_list *out,
                              ingle_error *err) {
    out->names = ig_arena_alloc(&v->arena, sizeof *out->names);
    char *copy = ig_arena_copy(&v->arena, name.p, name.n);
    if (!out->names || !copy) return ig_fail_memory(err, name.n + sizeof *out->names);
    out->names[0] = (struct ig_str){copy, name.n};
    out->n = 1;
    return INGLE_OK;
}

/* What a folder without the usual names holds instead. */
struct finds {
    const char *gguf, *safetensors, *pytorch, *onnx;
    size_t n_safetensors;
};

static struct finds look_at(const char *names) {
    struct finds f = {0};
    for (const char *p = names; *p; p += strlen(p) + 1) {
        struct ig_str s = ig_str_of(p);
        if (ig_str_ends(s, IG_STR(".gguf"))) f.gguf = f.gguf ? f.gguf : p;
        if (ig_str_ends(s, IG_STR(".safetensors"))) f.safetensors = p, f.n_safetensors++;
        if (ig_str_ends(s, IG_STR(".bin")) || ig_str_ends(s, IG_STR(".pt")) ||
            ig_str_ends(s, IG_STR(".pth")))
            f.pytorch = f.pytorch ? f.pytorch : p;
        if (ig_str_ends(s, IG_STR(".onnx"))) f.onnx = p;
    }
    return f;
}

static ingle_status explain_folder(const char *prefix, const struct finds *f, bool config,
                                   ingle_error *err) {
    if (f->gguf && !f->safetensors)
        return ig_fail(err, INGLE_NOT_FOUND, "name the .gguf file instead of its folder",
                       "%s: holds '%s'", prefix, f->gguf);
    if (!config)
        return ig_fail(err, INGLE_NOT_FOUND, HINT_COMPLETE,
                       "%sconfig.json: is missing (a model folder has config.json, tokenizer.json "
                       "and *.safetensors)",
                       prefix);
    if (f->pytorch || f->onnx)
        return ig_fail(err, INGLE_UNSUPPORTED, "get the safetensors or GGUF version of this model",
                       "%s: has its weights as '%s' only, which this version does not read", prefix,
                       f->pytorch ? f->pytorch : f->onnx);
    if (f->n_safetensors > 1)
        return ig_fail(
            err, INGLE_NOT_FOUND, HINT_COMPLETE,
            "%smodel.safetensors.index.json: is missing, and there are %zu .safetensors files",
            prefix, f->n_safetensors);
    return ig_fail(err, INGLE_NOT_FOUND, HINT_COMPLETE, "%s: holds no .safetensors file", prefix);
}

static ingle_status search_folder(struct ig_view *v, const char *prefix, struct shard_list *out,
                                  ingle_error *err) {
    char *names;
    bool config = exists(prefix, "config.json");
    if (config && exists(prefix, "model.safetensors"))
        return one_shard(v, IG_STR("model.safetensors"), out, err);
    IG_TRY(ig_os_list(v->mem, *prefix ? prefix : ".", &names, err));
    struct finds f = look_at(names);
    ingle_status s = config && f.n_safetensors == 1
                         ? one_shard(v, ig_str_of(f.safetensors), out, err)
                         : explain_folder(prefix, &f, config, err);
    ig_free(v->mem, names);
    return s;
}

static bool lists(const struct shard_list *l, struct ig_str name) {
    for (size_t i = 0; i < l->n; i++)
        if (ig_str_eq(l->names[i], name)) return true;
    return false;
}

/* `index` is the index file's object or NULL. */
static ingle_status choose_files(struct ig_view *v, const char *prefix, const char *only_file,
                                 const struct ig_json *index, struct shard_list *out,
                                 ingle_error *err) {
    const struct ig_json *map = ig_json_get(index, "weight_map");
    if (index) {
        char *path = ig_path_beside(&v->arena, prefix, strlen(prefix),
                                    IG_STR("model.safetensors.index.json"));
        if (!path) return ig_fail_memory(err, strlen(prefix) + 32);
        IG_TRY(shards_of_index(v, path, map, out, err));
        if (!only_file || lists(out, ig_str_of(only_file))) return INGLE_OK;
    }
    if (!only_file) return search_folder(v, prefix, out, err);
    if (!exists(prefix, "config.json") && exists(prefix, only_file))
        return ig_fail(err, INGLE_NOT_FOUND, HINT_COMPLETE, "%sconfig.json: is missing beside '%s'",
                       prefix, only_file);
    return one_shard(v, ig_str_of(only_file), out, err);
}

/* ---- the tensors of all files
 * ------------------------------------------------------------------------------------- */

static ingle_status read_shards(struct ig_view *v, const char *prefix,
                                const struct shard_list *shards, ingle_error *err) {
    struct ig_tensor_list *lists_of = ig_arena_calloc(&v->arena, shards->n, sizeof *lists_of);
    if (!lists_of) return ig_fail_memory(err, shards->n * sizeof *lists_of);
    size_t total = 0, at = 0;
    for (size_t i = 0; i < shards->n; i++) {
        struct ig_map m;
        char *path = ig_path_beside(&v->arena, prefix, strlen(prefix), shards->names[i]);
        if (!path) return ig_fail_memory(err, strlen(prefix) + shards->names[i].n + 1);
        if (shards->n > 1 && ig_os_kind(path) == IG_OS_ABSENT)
            return ig_fail(err, INGLE_NOT_FOUND, HINT_COMPLETE,
                           "%s: is missing (one of %zu files of this model)", path, shards->n);
        IG_TRY(ig_view_map(v, path, &m, err));
        IG_TRY(ig_safetensors_list(v, path, m.data, m.size, &lists_of[i], err));
        total += lists_of[i].n;
        if (total > IG_NAMES_MAX)
            return ig_fail(err, INGLE_UNSUPPORTED, IG_HINT_DAMAGED, "%s: more than %d tensors",
                           path, IG_NAMES_MAX);
    }
    v->tensors = lists_of[0].at;
    v->n_tensors = lists_of[0].n;
    if (shards->n == 1) return INGLE_OK;
    struct ig_tensor *all = ig_arena_calloc(&v->arena, total + 1, sizeof *all);
    if (!all) return ig_fail_memory(err, total * sizeof *all);
    for (size_t i = 0; i < shards->n; at += lists_of[i++].n)
        if (lists_of[i].n) memcpy(all + at, lists_of[i].at, lists_of[i].n * sizeof *all);
    v->tensors = all;
    v->n_tensors = total;
    return INGLE_OK;
}

/* Every tensor that the index promises must be there. */
static ingle_status check_map(struct ig_view *v, const char *prefix, const struct ig_json *map,
                              ingle_error *err) {
    if (!map) return INGLE_OK;
    for (const struct ig_json *j = map->child; j; j = j->next)
        if (!ig_view_tensor(v, j->key))
            return ig_fail(err, INGLE_BAD_FILE,
                           "the files come from different downloads: get all of them again",
                           "%s%.*s: lacks tensor '%.*s', which the index says it holds", prefix,
                           IG_NAME(j->text), IG_NAME(j->key));
    return INGLE_OK;
}

static ingle_status open_weights(struct ig_view *v, const char *prefix, const char *only_file,
                                 const struct ig_json *index, ingle_error *err) {
    struct shard_list shards = {0};
    struct ig_map *first = v->maps;
    size_t used = v->n_maps;
    IG_TRY(choose_files(v, prefix, only_file, index, &shards, err));
    IG_TRY(ig_view_reserve_maps(v, shards.n + IG_CONFIG_FILES, err));
    if (used) memcpy(v->maps, first, used * sizeof *first);
    IG_TRY(read_shards(v, prefix, &shards, err));
    IG_TRY(ig_view_index_names(v, err));
    bool whole = index && (!only_file || shards.n > 1);
    return check_map(v, prefix, whole ? ig_json_get(index, "weight_map") : NULL, err);
}

ingle_status ig_folder_open(struct ig_view *v, const char *prefix, const char *only_file,
                            ingle_error *err) {
    const struct ig_json *index = NULL;
    v->folder = true;
    IG_TRY(ig_view_reserve_maps(v, 1, err));
    IG_TRY(
        read_object(v, prefix, "model.safetensors.index.json", TOKENIZER_BYTES_MAX, &index, err));
    IG_TRY(open_weights(v, prefix, only_file, index, err));
    IG_TRY(ig_config_read(v, prefix, err));
    if (v->config) return INGLE_OK;
    return ig_fail(err, INGLE_NOT_FOUND, HINT_COMPLETE, "%sconfig.json: is missing", prefix);
}
