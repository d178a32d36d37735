/* What a model file or folder looks like to the rest: metadata keys and tensor descriptors over mapped bytes.
 *
 * GGUF keeps its keys as they are. A folder has its JSON files, parsed; arch/hf turns those into the GGUF key names.
 * Nothing here knows what a tensor means. Everything is owned by the view and dies with ig_view_close. */
#ifndef IG_VIEW_H
#define IG_VIEW_H

#include "base/json.h"
#include "base/log.h"
#include "os/os.h"

enum ig_kv_type { /* GGUF's numbers */
    IG_KV_U8, IG_KV_I8, IG_KV_U16, IG_KV_I16, IG_KV_U32, IG_KV_I32, IG_KV_F32, IG_KV_BOOL,
    IG_KV_STRING, IG_KV_ARRAY, IG_KV_U64, IG_KV_I64, IG_KV_F64
};

struct ig_kv {
    struct ig_str key;
    uint8_t type;            /* enum ig_kv_type */
    uint8_t item;            /* ARRAY: type of the elements, never ARRAY */
    uint64_t count;          /* ARRAY: number of elements, else 1 */
    const uint8_t *data;     /* little-endian values in the map; strings: u64 length + bytes each (u32 in version 1) */
    uint64_t bytes;          /* of data */
    uint8_t length_size;     /* 8, or 4 in GGUF version 1 */
};

enum { IG_MAX_DIMS = 4 };

struct ig_tensor {
    struct ig_str name;
    uint32_t type;               /* GGUF type id; safetensors dtypes are mapped to F32 0, F16 1, BF16 30, I8..I64 24..27, F64 28,
                                    and IG_TYPE_OTHER for dtypes GGUF has no id for */
    uint32_t n_dims;
    uint64_t ne[IG_MAX_DIMS];    /* ne[0] is the row length (fastest); missing dimensions are 1 */
    const uint8_t *data;         /* in the map, `bytes` of them, checked; alignment is the file's */
    uint64_t bytes;
    struct ig_str dtype;         /* name for messages: "Q4_K", "BF16", "F8_E4M3" */
};
enum { IG_TYPE_OTHER = 0xffff };

/* How the caller tells the reader about block types (file/ does not know them): false for an unknown id.
 * `why` may be set to a static text for removed ids. */
typedef bool (*ig_type_size_fn)(uint32_t type, uint32_t *weights, uint32_t *bytes, const char **name, const char **why);

struct ig_view {
    struct ig_mem *mem;
    struct ig_arena arena;
    bool folder;                 /* Hugging Face layout */
    const char *path;            /* as given, for messages */
    const struct ig_kv *kv;
    size_t n_kv;
    const struct ig_tensor *tensors;
    size_t n_tensors;
    /* folders only; NULL when the file is absent. The objects. */
    const struct ig_json *config, *generation_config, *tokenizer, *tokenizer_config;
    struct ig_str chat_template; /* folders: chat_template.jinja or tokenizer_config's, else empty */
    struct ig_map *maps;
    size_t n_maps;
    uint32_t version;            /* GGUF version, 0 for folders */
    void *index;                 /* private: hash tables of names and keys */
};

/* Opens a .gguf (any part of a split set finds the others), a .safetensors file beside its config.json, or a folder.
 * `progress` (may be NULL) is asked between files; non-zero cancels. */
ingle_status ig_view_open(struct ig_view *v, struct ig_mem *mem, const char *path, ig_type_size_fn type_size,
                          const struct ig_log *log, ingle_error *err);
void ig_view_close(struct ig_view *v);

const struct ig_tensor *ig_view_tensor(const struct ig_view *v, struct ig_str name); /* NULL if absent; O(1) */
const struct ig_kv *ig_view_kv(const struct ig_view *v, const char *key);            /* NULL if absent; O(1) */

/* Typed access: one element of a key's value (index 0 for scalars). Any integer width is accepted for i64, any number for
 * f64. False if the key is NULL, the index is out of range or the type does not fit. */
bool ig_kv_i64(const struct ig_kv *kv, uint64_t index, int64_t *out);
bool ig_kv_f64(const struct ig_kv *kv, uint64_t index, double *out);
bool ig_kv_bool(const struct ig_kv *kv, uint64_t index, bool *out);
bool ig_kv_str(const struct ig_kv *kv, struct ig_str *out); /* scalar strings */
/* Walks a string array: start with *at = 0; false at the end. */
bool ig_kv_next_str(const struct ig_kv *kv, uint64_t *at, struct ig_str *out);

/* The readers behind ig_view_open, also the fuzz targets' entrances: bytes must outlive the view. */
ingle_status ig_gguf_read(struct ig_view *v, const uint8_t *data, uint64_t size, ig_type_size_fn type_size,
                          ingle_error *err);
ingle_status ig_safetensors_read(struct ig_view *v, const uint8_t *data, uint64_t size, ingle_error *err);

#endif
