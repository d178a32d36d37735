/* What is known of a model that was pulled: a JSON file beside it. Also the plan of a pull that is
 * not finished. */
#ifndef IG_HUB_RECORD_H
#define IG_HUB_RECORD_H

#include "call.h"

struct ig_record_file {
    const char *name;   /* one path element; of a safetensors set: inside the model's folder */
    const char *sha256; /* "" = not known yet */
    const char *oid;    /* what the source calls this content; "" = nothing */
    int64_t bytes;      /* -1 = not known yet */
};

struct ig_record {
    const char *name;   /* of the model */
    const char *key;    /* of the source: 32 hexadecimal digits */
    const char *format; /* "gguf", "safetensors" */
    const char *source; /* as it can be given to a pull; without the query of a URL */
    const char *repo, *revision, *commit, *endpoint; /* "" for a URL */
    int64_t time;                                    /* Unix seconds of the pull */
    struct ig_record_file *files;
    size_t n;
};

/* Everything is checked (names are safe, numbers in range): *out is NULL if there is none or it is
 * damaged. */
ingle_status ig_record_read(struct ig_call *c, const char *path, const struct ig_record **out,
                            ingle_error *err);
bool ig_record_parse(struct ig_call *c, struct ig_str json, struct ig_record *out);
void ig_record_put(struct ig_buf *b, const struct ig_record *r);
ingle_status ig_record_write(struct ig_call *c, const char *path, const struct ig_record *r,
                             ingle_error *err);
int64_t ig_record_bytes(const struct ig_record *r); /* -1 if a file's size is not known */

#endif
