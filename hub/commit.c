/* From finished parts to a model in the store.
 *
 * Promises: the name appears only when everything is there (the first part of a split file comes
 * last, a folder comes whole), and the same pull always gets the same name: NAME, or NAME--OWNER if
 * NAME is somebody else's, or NAME--OWNER--KEY. The record is written first, so a commit that was
 * cut is recognised as ours by the next pull. */
#include "pull.h"

#include "file_names.h"
#include "journal.h"
#include "url.h"

/* ---- waiting for a lock ---- */

/* What the other one has so far, read with an arena of its own: this is called for as long as it
 * takes. */
static void show_other(struct ig_call *c, const char *key) {
    struct ig_call peek = *c;
    struct ig_store s = {0};
    peek.arena = (struct ig_arena){.mem = c->mem};
    c->progress.phase = "wait";
    if (!ig_store_unfinished(&peek, &s, key, NULL) && s.first) {
        c->progress.bytes_total = s.first->bytes > 0 ? s.first->bytes : -1;
        ig_call_bytes(c, s.first->part_bytes);
    }
    ig_arena_free(&peek.arena);
}

ingle_status ig_pull_lock(struct ig_call *c, const char *key, bool show, struct ig_lock **out,
                          ingle_error *err) {
    double shown = 0;
    const char *path = ig_store_lock_path(c, key);
    if (!path) return ig_fail_memory(err, 256);
    for (;;) {
        ingle_status s = ig_os_lock_file(out, c->mem, path, err);
        if (s != INGLE_BUSY) return s;
        if (show && ig_os_seconds() - shown > 0.25) {
            show_other(c, key);
            shown = ig_os_seconds();
        }
        if (ig_call_tick(c)) return ig_call_cancelled(err);
        ig_os_sleep(0.015);
    }
}

/* ---- the name ---- */

/* The file's name in the store when the model is called `name`. */
static const char *final_name(struct ig_pull *p, const char *name, size_t i) {
    struct ig_buf b = {.mem = p->call->mem};
    if (p->format == IG_MODEL_SAFETENSORS)
        ig_buf_z(&b, p->files.files[i].name);
    else if (p->split)
        ig_buf_f(&b, "%s-%05u-of-%05u.gguf", name, (unsigned)i + 1, (unsigned)p->files.n);
    else
        ig_buf_f(&b, "%s.gguf", name);
    const char *copy = b.failed ? NULL : ig_arena_copy(&p->call->arena, b.p, b.n);
    ig_buf_free(&b);
    return copy;
}

/* Is the name free or ours? Also files that are no models are in the way. */
static ingle_status may_use(struct ig_pull *p, const struct ig_store *s, const char *name, bool *ok,
                            ingle_error *err) {
    struct ig_call *c = p->call;
    const struct ig_record *r;
    const char *record = ig_store_record_path(c, name), *file = final_name(p, name, 0);
    const char *path = p->format == IG_MODEL_SAFETENSORS ? name : file;
    if (!record || !file) return ig_fail_memory(err, 256);
    path = ig_call_path(c, c->models, path, "");
    if (!path) return ig_fail_memory(err, 256);
    IG_TRY(ig_record_read(c, record, &r, err));
    const struct ig_entry *there = ig_store_named(s, ig_str_of(name));
    bool ours = r && strcmp(r->key, p->key) == 0;
    *ok = ours || (!there && !r && ig_os_kind(path) == IG_OS_ABSENT);
    /* a record whose model is gone keeps nobody out */
    if (!*ok && r && !there && ig_os_kind(path) == IG_OS_ABSENT) *ok = true;
    return INGLE_OK;
}

static ingle_status pick_name(struct ig_pull *p, const struct ig_store *s, const char **out,
                              ingle_error *err) {
    struct ig_call *c = p->call;
    const struct ig_entry *had = ig_store_by_key(s, p->key);
    if (had && had->record->n == p->files.n) {
        *out = had->name;
        return INGLE_OK;
    }
    for (int i = 0; i < 3; i++) {
        struct ig_buf b = {.mem = c->mem};
        bool ok = false;
        /* room for what is appended: IG_HUB_NAME_MAX counts for the file */
        ig_buf_f(&b, "%.*s", i ? 110 : IG_HUB_NAME_MAX - 20, p->base);
        if (i) ig_buf_z(&b, "--");
        if (i)
            ig_hub_make_safe(
                &b, (struct ig_str){p->owner, strlen(p->owner) < 50 ? strlen(p->owner) : 50});
        if (i == 2) ig_buf_f(&b, "--%.8s", p->key);
        *out = b.failed ? NULL : ig_arena_copy(&c->arena, b.p, b.n);
        ig_buf_free(&b);
        if (!*out) return ig_fail_memory(err, 256);
        IG_TRY(may_use(p, s, *out, &ok, err));
        if (ok) return INGLE_OK;
    }
    return ig_fail(err, INGLE_IO, "move what bears its name out of the store",
                   "%s: the name is taken", *out);
}

/* ---- into the store ---- */

static ingle_status write_record(struct ig_pull *p, const char *name, ingle_error *err) {
    struct ig_record r = p->plan;
    struct ig_call *c = p->call;
    const char *path = ig_store_record_path(c, name);
    r.name = name;
    r.commit = p->commit;
    r.time = ig_os_unix_time();
    r.files = ig_arena_calloc(&c->arena, r.n, sizeof *r.files);
    if (!path || !r.files) return ig_fail_memory(err, 256);
    for (size_t i = 0; i < r.n; i++) {
        r.files[i] = p->plan.files[i];
        r.files[i].name = final_name(p, name, i);
        if (!r.files[i].name) return ig_fail_memory(err, 256);
    }
    IG_TRY(ig_record_write(c, path, &r, err));
    p->plan = r;
    return INGLE_OK;
}

static ingle_status move_folder(struct ig_pull *p, const char *name, ingle_error *err) {
    struct ig_call *c = p->call;
    const char *to = ig_call_path(c, c->models, name, ""),
               *old = ig_call_path(c, p->folder, "old", "");
    if (!to || !old) return ig_fail_memory(err, 256);
    IG_TRY(ig_store_clear(c, old, err));
    if (ig_os_kind(to) != IG_OS_ABSENT) IG_TRY(ig_os_rename(to, old, err));
    IG_TRY(ig_os_rename(p->done, to, err));
    return ig_store_clear(c, old, err);
}

static ingle_status move_files(struct ig_pull *p, ingle_error *err) {
    struct ig_call *c = p->call;
    for (size_t i = p->files.n;
         i-- > 0;) { /* the first part makes the model appear: it comes last */
        const char *from = ig_call_path(c, p->done, p->files.files[i].name, "");
        const char *to = ig_call_path(c, c->models, p->plan.files[i].name, "");
        if (!from || !to) return ig_fail_memory(err, 256);
        IG_TRY(ig_os_rename(from, to, err));
    }
    return INGLE_OK;
}

ingle_status ig_pull_commit(struct ig_pull *p, ingle_error *err) {
    struct ig_call *c = p->call;
    struct ig_lock *lock = NULL;
    struct ig_store store;
    const char *name = NULL;
    IG_TRY(ig_pull_lock(c, "store", false, &lock, err));
    ingle_status s = ig_store_read(c, &store, err);
    if (!s) s = pick_name(p, &store, &name, err);
    if (!s) s = write_record(p, name, err);
    if (!s) s = p->format == IG_MODEL_SAFETENSORS ? move_folder(p, name, err) : move_files(p, err);
    if (!s) s = ig_store_clear(c, p->folder, err);
    ig_os_unlock_file(lock);
    return s;
}

ingle_status ig_pull_adopt(struct ig_pull *p, const struct ig_store *s, bool *adopted,
                           ingle_error *err) {
    struct ig_remote_file *f = &p->files.files[0];
    const struct ig_entry *e = ig_store_named(s, ig_str_of(p->base));
    struct ig_lock *lock = NULL;
    char hex[65];
    int64_t bytes;
    *adopted = false;
    if (p->files.n != 1 || p->split || !f->sha256 || !e || e->record ||
        strcmp(e->format, "gguf") != 0)
        return INGLE_OK;
    if (f->size >= 0 && e->bytes != f->size) return INGLE_OK;
    p->call->progress.bytes_total = e->bytes;
    ig_call_phase(p->call, "verify");
    IG_TRY(ig_hash_file(p->call, e->path, hex, &bytes, err));
    if (strcmp(hex, f->sha256) != 0) return INGLE_OK;
    memcpy((char *)(uintptr_t)p->plan.files[0].sha256, hex, sizeof hex);
    p->plan.files[0].bytes = bytes;
    IG_TRY(ig_pull_lock(p->call, "store", false, &lock, err));
    ingle_status st = write_record(p, e->name, err);
    ig_os_unlock_file(lock);
    *adopted = !st;
    return st;
}
