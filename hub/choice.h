/* From the list of a repository's files to those a model needs. */
#ifndef IG_HUB_CHOICE_H
#define IG_HUB_CHOICE_H

#include "call.h"

struct ig_remote_file {
    const char *path;   /* in the repository */
    const char *name;   /* in the store */
    const char *sha256; /* lower case, or NULL */
    const char
        *oid;     /* what the source calls this content (SHA-256, git blob, ETag); "" = nothing */
    int64_t size; /* -1 = unknown */
};

struct ig_remote_list {
    struct ig_remote_file *files;
    size_t n, cap;
};

enum ig_model_format { IG_MODEL_GGUF, IG_MODEL_SAFETENSORS };

/* Adds the files of one answer of the tree API; everything is in the call's arena. */
ingle_status ig_tree_add(struct ig_call *c, struct ig_str json, struct ig_remote_list *list,
                         ingle_error *err);
/* `spec`: what follows the colon, or NULL. `out` gets the files in the order they are loaded, with
 * safe names; split files are complete. On failure the message says what there is. */
ingle_status ig_choose(struct ig_call *c, const struct ig_remote_list *all, const char *repo,
                       const char *spec, struct ig_remote_list *out, enum ig_model_format *format,
                       ingle_error *err);

#endif
