/* What is in the store: the folder's files, and the records that say where they came from. */
#ifndef IG_HUB_STORE_H
#define IG_HUB_STORE_H

#include "call.h"
#include "record.h"
#include "source.h"

struct ig_entry {
    const char *name, *path; /* path of the file, of the first part, or of the folder */
    const char *format;
    int64_t bytes;                  /* of all parts */
    const struct ig_record *record; /* NULL: put there by hand, or changed since */
    bool complete;
    const char *key; /* of an unfinished pull: path is its folder, bytes what it will have */
    int64_t part_bytes;
    struct ig_entry *next;
};

struct ig_store {
    struct ig_entry *first; /* sorted by name */
    size_t n;
};

/* Everything is in the call's arena. A store that does not exist yet is empty. */
ingle_status ig_store_read(struct ig_call *c, struct ig_store *s, ingle_error *err);
/* Adds the unfinished pull `key`, if there is one. */
ingle_status ig_store_unfinished(struct ig_call *c, struct ig_store *s, const char *key,
                                 ingle_error *err);
/* Whole name, case counts less than a match in the same case; NULL if there is none. Only complete
 * ones. */
struct ig_entry *ig_store_named(const struct ig_store *s, struct ig_str name);
struct ig_entry *ig_store_by_key(const struct ig_store *s, const char *key);
/* A name, the beginning of one, or a source. */
ingle_status ig_store_find(struct ig_call *c, const struct ig_store *s, const char *name,
                           struct ig_entry **out, ingle_error *err);
/* The entry that was pulled from `source` (of several the error lists them); *out NULL: none. */
ingle_status ig_store_find_source(const struct ig_store *s, const struct ig_source *source,
                                  struct ig_entry **out, ingle_error *err);

/* Path of file `i` of the model; NULL: memory is out. Without a record of a folder model's files:
 * see each_file. */
const char *ig_store_file_path(struct ig_call *c, const struct ig_record *r, const char *name);
const char *ig_store_record_path(struct ig_call *c, const char *name);
const char *ig_store_part_folder(struct ig_call *c, const char *key);
const char *ig_store_lock_path(struct ig_call *c, const char *key);
/* Removes a folder and what is in it, two levels at most; missing ones are fine. */
ingle_status ig_store_clear(struct ig_call *c, const char *folder, ingle_error *err);
/* 32 hexadecimal digits that stand for a source. */
const char *ig_store_key(struct ig_call *c, const char *a, const char *b, const char *d,
                         const char *e);
/* One entry as a JSON object. */
void ig_entry_put(struct ig_buf *b, const struct ig_entry *e);

#endif
