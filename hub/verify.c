/* Hashing what is in the store, and removing it. */
#include "pull.h"

#include "file_names.h"
#include "sha256.h"

enum { AT_ONCE = 1 << 20 };

/* base_done counts the files before this one. */
ingle_status ig_hash_file(struct ig_call *c, const char *path, char hex[65], int64_t *bytes,
                          ingle_error *err) {
    struct ig_part *file;
    struct ig_sha256 sha;
    size_t got = 1;
    ingle_status s = INGLE_OK;
    uint8_t *buffer = ig_alloc(c->mem, AT_ONCE);
    if (!buffer) return ig_fail_memory(err, AT_ONCE);
    *bytes = 0;
    ig_sha256_begin(&sha);
    s = ig_os_part_open_read(&file, c->mem, path, err);
    if (s) file = NULL;
    while (!s && got) {
        s = ig_os_part_read(file, (uint64_t)*bytes, buffer, AT_ONCE, &got, err);
        if (s) break;
        ig_sha256_add(&sha, buffer, got);
        *bytes += (int64_t)got;
        ig_call_bytes(c, c->base_done + *bytes);
        if (ig_call_tick(c)) s = ig_fail(err, INGLE_CANCELLED, NULL, "the check was cancelled");
    }
    ig_os_part_close(file);
    ig_free(c->mem, buffer);
    ig_sha256_end(&sha, hex);
    return s;
}

static ingle_status verify(struct ig_call *c, const struct ig_entry *e, ingle_error *err) {
    const struct ig_record *r = e->record;
    if (!r) {
        const char *path = ig_store_record_path(c, e->name);
        const struct ig_record *stale = NULL;
        if (!path) return ig_fail_memory(err, 256);
        IG_TRY(ig_record_read(c, path, &stale, err));
        if (stale)
            return ig_fail(err, INGLE_BAD_FILE,
                           "remove it and pull it again, or keep it as a file of your own",
                           "%s: its files have not the sizes that were pulled", e->name);
        return ig_fail(err, INGLE_UNSUPPORTED, "only models that were pulled have one",
                       "%s: there is no record to compare with", e->name);
    }
    c->progress.files = (int32_t)r->n;
    c->progress.bytes_total = e->bytes;
    for (size_t i = 0; i < r->n; i++) {
        char hex[65];
        int64_t bytes;
        const char *path = ig_store_file_path(c, r, r->files[i].name);
        if (!path) return ig_fail_memory(err, 256);
        c->progress.file = r->files[i].name;
        c->progress.file_index = (int32_t)i;
        ig_call_phase(c, "verify");
        if (c->cancelled) return ig_fail(err, INGLE_CANCELLED, NULL, "the check was cancelled");
        IG_TRY(ig_hash_file(c, path, hex, &bytes, err));
        if (strcmp(hex, r->files[i].sha256) != 0)
            return ig_fail(
                err, INGLE_BAD_FILE, "remove it and pull it again",
                "%s: damaged: the SHA-256 is %.12s..., it was %.12s... when it was pulled", path,
                hex, r->files[i].sha256);
        c->base_done += bytes;
    }
    ig_call_phase(c, "done");
    return INGLE_OK;
}

ingle_status ingle_hub_verify(ingle_hub *h, const char *name, ingle_hub_progress_fn fn, void *ud,
                              ingle_error *err) {
    struct ig_call c;
    struct ig_store store;
    struct ig_entry *e = NULL;
    if (!name) return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_hub_verify: name is NULL");
    IG_TRY(ig_call_begin(&c, h, fn, ud, err));
    c.progress.phase = "verify";
    ingle_status s = ig_store_read(&c, &store, err);
    if (!s) s = ig_store_find(&c, &store, name, &e, err);
    if (!s) s = verify(&c, e, err);
    ig_call_end(&c);
    return s;
}

/* ---- removing ---- */

static ingle_status remove_parts(struct ig_call *c, const struct ig_entry *e, ingle_error *err) {
    struct ig_str stem;
    unsigned part, parts;
    struct ig_str file = ig_hub_base_name(ig_str_of(e->path));
    if (!ig_hub_split(file, &stem, &part, &parts)) return ig_os_remove(e->path, err);
    for (unsigned i = 1; i <= parts; i++) { /* the first one first: without it there is no model */
        struct ig_buf b = {.mem = c->mem};
        ig_buf_str(&b, stem);
        ig_buf_f(&b, "-%05u-of-%05u.gguf", i, parts);
        const char *path = b.failed ? NULL : ig_call_path(c, c->models, b.p, "");
        ig_buf_free(&b);
        if (!path) return ig_fail_memory(err, 256);
        if (ig_os_kind(path) == IG_OS_FILE) IG_TRY(ig_os_remove(path, err));
    }
    return INGLE_OK;
}

/* A folder is moved away first, so that no half model bears the name. */
static ingle_status remove_folder(struct ig_call *c, const struct ig_entry *e, ingle_error *err) {
    const char *parts = ig_call_path(c, c->own, "parts", ""),
               *away = parts ? ig_call_path(c, parts, "removed", "") : NULL;
    if (!away) return ig_fail_memory(err, 256);
    IG_TRY(ig_os_make_folders(parts, err));
    IG_TRY(ig_store_clear(c, away, err));
    IG_TRY(ig_os_rename(e->path, away, err));
    return ig_store_clear(c, away, err);
}

static ingle_status remove_entry(struct ig_call *c, const struct ig_entry *e, ingle_error *err) {
    const char *record = ig_store_record_path(c, e->name);
    if (!record) return ig_fail_memory(err, 256);
    if (!e->complete) return ig_store_clear(c, e->path, err);
    IG_TRY(strcmp(e->format, "gguf") == 0 ? remove_parts(c, e, err) : remove_folder(c, e, err));
    if (ig_os_kind(record) != IG_OS_FILE) return INGLE_OK;
    return ig_os_remove(record, err);
}

static ingle_status remove_named(struct ig_call *c, const struct ig_store *s, const char *name,
                                 ingle_error *err) {
    struct ig_str want = ig_hub_model_name(ig_str_of(name));
    const char *locks = ig_call_path(c, c->own, "locks", "");
    bool any = false;
    if (!locks) return ig_fail_memory(err, 64);
    for (const struct ig_entry *e = s->first; e; e = e->next) {
        struct ig_lock *lock = NULL;
        if (!ig_str_is(want, e->name) && strcmp(name, e->name) != 0) continue;
        const char *key = e->record ? e->record->key : NULL,
                   *path = key ? ig_store_lock_path(c, key) : NULL;
        if (key && !path) return ig_fail_memory(err, 256);
        if (key) IG_TRY(ig_os_make_folders(locks, err));
        ingle_status st = key ? ig_os_lock_file(&lock, c->mem, path, err) : INGLE_OK;
        if (st == INGLE_BUSY)
            return ig_fail(err, INGLE_BUSY, "stop that first", "%s: it is being pulled", e->name);
        if (!st) st = remove_entry(c, e, err);
        ig_os_unlock_file(lock);
        if (st) return st;
        any = true;
    }
    if (any) return INGLE_OK;
    struct ig_entry *near = NULL;
    ingle_status st = ig_store_find(c, s, name, &near, err);
    if (st || !near) return st;
    return ig_fail(err, INGLE_NOT_FOUND, "to remove a model its whole name is needed",
                   "%s: did you mean %s?", name, near->name);
}

ingle_status ingle_hub_remove(ingle_hub *h, const char *name, ingle_error *err) {
    struct ig_call c;
    struct ig_store store;
    struct ig_lock *lock = NULL;
    if (!name) return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_hub_remove: name is NULL");
    IG_TRY(ig_call_begin(&c, h, NULL, NULL, err));
    ingle_status s = ig_store_read(&c, &store, err);
    if (!s && store.n) {
        const char *locks = ig_call_path(&c, c.own, "locks", "");
        s = locks ? ig_os_make_folders(locks, err) : ig_fail_memory(err, 64);
        if (!s) s = ig_pull_lock(&c, "store", false, &lock, err);
    }
    if (!s) s = remove_named(&c, &store, name, err);
    ig_os_unlock_file(lock);
    ig_call_end(&c);
    return s;
}
