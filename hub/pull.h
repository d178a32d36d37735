/* One pull: what the source offers, what of it is here, and where it goes. */
#ifndef IG_HUB_PULL_H
#define IG_HUB_PULL_H

#include "choice.h"
#include "os/part.h"
#include "store.h"

struct ig_pull {
    struct ig_call *call;
    struct ig_source source;
    enum ig_model_format format;
    struct ig_remote_list files; /* of a URL: path is the URL, name and size may still change */
    const char *base;            /* the model's name, before clashes are settled */
    const char *owner;           /* what is appended when the name is taken */
    const char *key, *commit, *origin;
    bool split;
    int64_t total;                         /* -1: not known */
    const char *folder, *done, *plan_path; /* of the parts */
    struct ig_record plan;
};

/* resolve.c: asks the endpoint, chooses, and fills all but the plan. */
ingle_status ig_pull_resolve(struct ig_pull *p, ingle_error *err);
/* Whether a URL's content is still the one of the record. */
ingle_status ig_pull_unchanged(struct ig_pull *p, const struct ig_record *r, bool *same,
                               ingle_error *err);
/* Base name, URL names: from what the download learned. */
ingle_status ig_pull_name_from(struct ig_pull *p, struct ig_str disposition, ingle_error *err);

/* commit.c: puts the files that lie in p->done into the store, under a name that is free or ours.
 */
ingle_status ig_pull_commit(struct ig_pull *p, ingle_error *err);
/* A file that was put there by hand and is what would be loaded gets a record. */
ingle_status ig_pull_adopt(struct ig_pull *p, const struct ig_store *s, bool *adopted,
                           ingle_error *err);
/* Waits for the lock of `key`, with progress: `show` what the pull that holds it has so far. */
ingle_status ig_pull_lock(struct ig_call *c, const char *key, bool show, struct ig_lock **out,
                          ingle_error *err);

/* verify.c: hashes a file with progress. */
ingle_status ig_hash_file(struct ig_call *c, const char *path, char hex[65], int64_t *bytes,
                          ingle_error *err);

#endif
