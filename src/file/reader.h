/* What the readers of this room share: the name table, the check that tensors tile their section, the folder's JSON files.
 * Private to file/. */
#ifndef IG_FILE_READER_H
#define IG_FILE_READER_H

#include "file/view.h"

#define IG_HINT_WHOLE "the download is incomplete: get the file again"
#define IG_HINT_DAMAGED "the file is damaged or was written by a faulty tool: get it again"

/* Names from a file are printed with "%.*s": at most 100 bytes of them. */
#define IG_NAME(s) ((int)((s).n < 100 ? (s).n : 100)), ((s).n ? (s).p : "")

/* A hash table over an array of structs whose first member is their name (struct ig_str). Linear probing, at most half
 * full, seeded per table. */
struct ig_names {
    uint32_t *slots; /* index + 1, 0 = empty */
    uint32_t mask;
    uint64_t seed;
    const char *items;
    size_t stride;
};
enum { IG_NAMES_MAX = 1 << 20 }; /* more keys or tensors than any model has; refused before anything is allocated */

/* What ig_view.index points to. */
struct ig_view_index {
    struct ig_names keys, tensors;
};

/* Indexes items[0..n). INGLE_BAD_FILE if two have one name: *twice says which. `n` <= IG_NAMES_MAX. */
ingle_status ig_names_build(struct ig_names *t, struct ig_arena *a, const void *items, size_t stride, size_t n,
                            size_t *twice, ingle_error *err);
/* SIZE_MAX if absent. An all-zero table is empty. */
size_t ig_names_find(const struct ig_names *t, struct ig_str name);

/* Indexes v->kv and v->tensors and refuses duplicates, naming them. */
ingle_status ig_view_index_names(struct ig_view *v, ingle_error *err);

/* Where a tensor's bytes lie. */
struct ig_span {
    uint64_t begin, end;
    size_t index;
};
void ig_spans_sort(struct ig_span *s, size_t n); /* by begin, then end; in place, O(n log n) always */

/* The file name without its folder, and the length of the folder with its separator ("" = 0). */
size_t ig_path_folder_length(const char *path);
/* folder part of `base` (its first `folder` bytes) + name, in the arena; NULL if out of memory. */
char *ig_path_beside(struct ig_arena *a, const char *base, size_t folder, struct ig_str name);

/* Maps a file into v->maps, which has room. */
ingle_status ig_view_map(struct ig_view *v, const char *path, struct ig_map *out, ingle_error *err);
/* Makes room for `n` maps. */
ingle_status ig_view_reserve_maps(struct ig_view *v, size_t n, ingle_error *err);

/* The steps of ig_view_open. */
ingle_status ig_gguf_open(struct ig_view *v, const char *path, ig_type_size_fn type_size, ingle_error *err);
ingle_status ig_folder_open(struct ig_view *v, const char *folder, const char *only_file, ingle_error *err);
/* config.json and its friends; `prefix` is the folder's path with a separator at its end. */
ingle_status ig_config_read(struct ig_view *v, const char *prefix, ingle_error *err);
enum { IG_CONFIG_FILES = 8 }; /* the most maps ig_config_read needs */

/* The tensors of one safetensors file. `path` is for messages. */
struct ig_tensor_list {
    struct ig_tensor *at;
    size_t n;
};
ingle_status ig_safetensors_list(struct ig_view *v, const char *path, const uint8_t *data, uint64_t size,
                                 struct ig_tensor_list *out, ingle_error *err);

#endif
