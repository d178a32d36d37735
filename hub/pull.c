/* ingle_hub_pull: from what was asked for to a model in the store.
 *
 * resolve (what is there) -> lock (one pull of a source at a time) -> is it here already? ->
 * download each file into .hub/parts/KEY, finished ones into its folder done -> commit.
 *
 * Promises: a pull that fails or is cancelled leaves the store as it was, and the parts for the
 * next one. */
#include "pull.h"

#include "base/json.h"
#include "download.h"
#include "file_names.h"

static const char *const HINT_OFFLINE = "switch offline off, or name a model that is in the store";

/* ---- the result ---- */

static void put_files(struct ig_call *c, struct ig_buf *b, const struct ig_entry *e) {
    const struct ig_record *r = e->record;
    ig_buf_z(b, ",\"files\":[");
    for (size_t i = 0; r && i < r->n; i++) {
        const char *path = ig_store_file_path(c, r, r->files[i].name);
        ig_buf_z(b, i ? ",{\"path\":" : "{\"path\":");
        ig_json_put_str(b, ig_str_of(path ? path : ""));
        ig_buf_f(b, ",\"bytes\":%lld,\"sha256\":", (long long)r->files[i].bytes);
        ig_json_put_str(b, ig_str_of(r->files[i].sha256));
        ig_buf_z(b, "}");
        b->failed |= !path;
    }
    ig_buf_z(b, "]}\n");
}

static ingle_status push_result(struct ig_call *c, const struct ig_entry *e, ingle_text_fn fn,
                                void *ud, ingle_error *err) {
    struct ig_buf b = {.mem = c->mem};
    ingle_status s = INGLE_OK;
    c->progress.bytes_done = c->progress.bytes_total = e->bytes;
    c->progress.seconds_left = 0;
    ig_call_phase(c, "done");
    ig_entry_put(&b, e);
    put_files(c, &b, e);
    if (b.failed) s = ig_fail_memory(err, b.n);
    if (!s && fn && fn(ud, b.p, b.n))
        s = ig_fail(err, INGLE_CANCELLED, NULL, "the result was not taken");
    ig_buf_free(&b);
    return s;
}

static ingle_status offline(struct ig_call *c, const struct ig_source *source, const char *what,
                            ingle_text_fn fn, void *ud, ingle_error *err) {
    struct ig_store store;
    struct ig_entry *e;
    IG_TRY(ig_store_read(c, &store, err));
    IG_TRY(ig_store_find_source(&store, source, &e, err));
    if (e) return push_result(c, e, fn, ud, err);
    if (!c->set.offline)
        return ig_fail(err, INGLE_UNSUPPORTED, "put the file into the store by hand",
                       "%.200s: not in the store, and this program cannot reach the network", what);
    return ig_fail(err, INGLE_NOT_FOUND, HINT_OFFLINE,
                   "%.200s: not in the store, and this is offline", what);
}

/* ---- the plan ---- */

static ingle_status source_text(struct ig_pull *p, const char **out, ingle_error *err) {
    struct ig_buf b = {.mem = p->call->mem};
    const struct ig_source *s = &p->source;
    if (s->is_url) {
        ig_buf_add(&b, s->url, strcspn(s->url, "?")); /* a query may hold a secret */
    } else {
        ig_buf_z(&b, s->repo);
        if (strcmp(s->revision, "main") != 0) ig_buf_f(&b, "@%s", s->revision);
        if (p->format == IG_MODEL_GGUF)
            ig_buf_f(&b, ":%s", p->files.files[0].name);
        else if (s->file)
            ig_buf_f(&b, ":%s", s->file);
    }
    *out = b.failed ? NULL : ig_arena_copy(&p->call->arena, b.p, b.n);
    ig_buf_free(&b);
    return *out ? INGLE_OK : ig_fail_memory(err, 256);
}

static ingle_status make_plan(struct ig_pull *p, ingle_error *err) {
    struct ig_call *c = p->call;
    struct ig_record *r = &p->plan;
    bool repo = !p->source.is_url;
    *r = (struct ig_record){.name = p->base,
                            .key = p->key,
                            .format = p->format == IG_MODEL_GGUF ? "gguf" : "safetensors",
                            .repo = repo ? p->source.repo : "",
                            .revision = repo ? p->source.revision : "",
                            .commit = p->commit,
                            .endpoint = p->origin,
                            .time = ig_os_unix_time(),
                            .n = p->files.n};
    IG_TRY(source_text(p, &r->source, err));
    r->files = ig_arena_calloc(&c->arena, r->n, sizeof *r->files);
    if (!r->files) return ig_fail_memory(err, r->n * sizeof *r->files);
    for (size_t i = 0; i < r->n; i++) {
        const struct ig_remote_file *f = &p->files.files[i];
        char *hex = ig_arena_calloc(&c->arena, 1, 65);
        if (!hex) return ig_fail_memory(err, 65);
        r->files[i] = (struct ig_record_file){f->name, hex, f->oid, f->size};
    }
    p->folder = ig_store_part_folder(c, p->key);
    p->done = p->folder ? ig_call_path(c, p->folder, "done", "") : NULL;
    p->plan_path = p->folder ? ig_call_path(c, p->folder, "plan.json", "") : NULL;
    return p->plan_path ? INGLE_OK : ig_fail_memory(err, 256);
}

/* Finished files of an earlier pull, if the source still calls their content the same. */
static ingle_status take_over(struct ig_pull *p, ingle_error *err) {
    const struct ig_record *old;
    IG_TRY(ig_record_read(p->call, p->plan_path, &old, err));
    for (size_t i = 0; old && i < p->plan.n; i++) {
        struct ig_record_file *now = &p->plan.files[i];
        for (size_t k = 0; k < old->n; k++) {
            const struct ig_record_file *had = &old->files[k];
            if (strcmp(now->name, had->name) != 0 || !had->sha256[0]) continue;
            if (p->files.files[i].sha256 ? strcmp(p->files.files[i].sha256, had->sha256) != 0
                                         : !now->oid[0] || strcmp(now->oid, had->oid) != 0)
                continue;
            const char *path = ig_call_path(p->call, p->done, now->name, "");
            if (!path) return ig_fail_memory(err, 256);
            if (ig_os_file_size(path) != had->bytes) continue;
            memcpy((char *)(uintptr_t)now->sha256, had->sha256, 65);
            now->bytes = had->bytes;
        }
    }
    return INGLE_OK;
}

/* ---- is it here already? ---- */

static ingle_status same_content(struct ig_pull *p, const struct ig_record *r, bool *same,
                                 ingle_error *err) {
    if (p->source.is_url) return ig_pull_unchanged(p, r, same, err);
    *same = r->n == p->files.n;
    for (size_t i = 0; *same && i < r->n; i++) {
        const struct ig_remote_file *f = &p->files.files[i];
        const struct ig_record_file *had = &r->files[i];
        if (f->sha256)
            *same = strcmp(f->sha256, had->sha256) == 0;
        else
            *same = strcmp(f->oid, had->oid) == 0 && (f->size < 0 || f->size == had->bytes);
    }
    return INGLE_OK;
}

static ingle_status find_here(struct ig_pull *p, struct ig_entry **out, ingle_error *err) {
    struct ig_store store;
    bool same = false, adopted = false;
    *out = NULL;
    IG_TRY(ig_store_read(p->call, &store, err));
    struct ig_entry *e = ig_store_by_key(&store, p->key);
    if (e) IG_TRY(same_content(p, e->record, &same, err));
    if (e && same) {
        *out = e;
        return INGLE_OK;
    }
    if (!e) IG_TRY(ig_pull_adopt(p, &store, &adopted, err));
    if (!adopted) return INGLE_OK;
    IG_TRY(ig_store_read(p->call, &store, err));
    *out = ig_store_by_key(&store, p->key);
    return INGLE_OK;
}

/* ---- downloading ---- */

static ingle_status fetch_file(struct ig_pull *p, size_t i, ingle_error *err) {
    struct ig_call *c = p->call;
    const struct ig_remote_file *f = &p->files.files[i];
    struct ig_record_file *r = &p->plan.files[i];
    struct ig_download d = {.url = f->path,
                            .sha256 = f->sha256,
                            .oid = f->oid,
                            .size = f->size,
                            .what = f->name,
                            .content = p->source.is_url ? IG_CONTENT_GGUF : ig_content_of(f->name),
                            .folder = p->folder,
                            .part = ig_call_path(c, p->folder, f->name, ".part"),
                            .journal = ig_call_path(c, p->folder, f->name, ".journal"),
                            .name = {.mem = c->mem},
                            .tag = {.mem = c->mem}};
    if (!d.part || !d.journal) return ig_fail_memory(err, 256);
    ingle_status s = ig_download(c, &d, err);
    if (!s && d.name.n) s = ig_pull_name_from(p, ig_buf_view(&d.name), err);
    const char *to = ig_call_path(c, p->done, f->name, "");
    if (!s) s = to ? ig_os_rename(d.part, to, err) : ig_fail_memory(err, 256);
    if (!s) {
        memcpy((char *)(uintptr_t)r->sha256, d.digest, sizeof d.digest);
        r->bytes = d.bytes;
        r->name = f->name;
        if (p->source.is_url) r->oid = ig_arena_copy(&c->arena, d.tag.p ? d.tag.p : "", d.tag.n);
        if (!r->oid) s = ig_fail_memory(err, d.tag.n);
    }
    ig_buf_free(&d.name);
    ig_buf_free(&d.tag);
    return s;
}

static ingle_status fetch_all(struct ig_pull *p, ingle_error *err) {
    struct ig_call *c = p->call;
    c->progress.files = (int32_t)p->files.n;
    c->progress.bytes_total = p->total;
    c->progress.bytes_done = 0;
    for (size_t i = 0; i < p->files.n; i++) {
        struct ig_record_file *r = &p->plan.files[i];
        c->progress.file = p->files.files[i].name;
        c->progress.file_index = (int32_t)i;
        bool had = r->sha256[0] != 0;
        /* the loop inside looks at cancelling; between files so do we */
        ig_call_phase(c, "download");
        if (c->cancelled) return ig_call_cancelled(err);
        if (!had) IG_TRY(fetch_file(p, i, err));
        c->base_done += r->bytes;
        if (had) c->base_resumed += r->bytes;
        if (!had && p->files.n > 1) IG_TRY(ig_record_write(c, p->plan_path, &p->plan, err));
    }
    return INGLE_OK;
}

/* What is left over of another plan would else move into the store with the rest. */
static ingle_status clean_done(struct ig_pull *p, ingle_error *err) {
    char *names;
    ingle_status s = ig_os_list(p->call->mem, p->done, &names, err);
    for (char *n = names; !s && *n; n += strlen(n) + 1) {
        bool wanted = false;
        for (size_t i = 0; i < p->plan.n; i++)
            wanted =
                wanted || (p->plan.files[i].sha256[0] && strcmp(p->plan.files[i].name, n) == 0);
        const char *path = ig_call_path(p->call, p->done, n, "");
        if (!path)
            s = ig_fail_memory(err, 256);
        else if (!wanted)
            s = ig_os_remove(path, err);
    }
    ig_free(p->call->mem, names);
    return s;
}

static ingle_status make_room(struct ig_pull *p, ingle_error *err) {
    struct ig_call *c = p->call;
    struct ig_store s = {0};
    IG_TRY(ig_os_make_folders(p->done, err));
    IG_TRY(take_over(p, err));
    IG_TRY(clean_done(p, err));
    IG_TRY(ig_record_write(c, p->plan_path, &p->plan, err));
    IG_TRY(ig_store_unfinished(c, &s, p->key, err));
    int64_t have = s.first ? s.first->part_bytes : 0;
    uint64_t free = ig_os_free_space(p->folder);
    if (p->total > have && free < (uint64_t)(p->total - have))
        return ig_fail(err, INGLE_IO, "make room, or choose a smaller file",
                       "%s needs %.2f GB, the disk has %.2f GB left", p->base,
                       (double)(p->total - have) / 1e9, (double)free / 1e9);
    return INGLE_OK;
}

static ingle_status locked(struct ig_pull *p, ingle_text_fn result, void *ud, ingle_error *err) {
    struct ig_entry *e;
    struct ig_store store;
    IG_TRY(make_plan(p, err));
    IG_TRY(find_here(p, &e, err));
    if (!e) {
        IG_TRY(make_room(p, err));
        IG_TRY(fetch_all(p, err));
        IG_TRY(ig_pull_commit(p, err));
        IG_TRY(ig_store_read(p->call, &store, err));
        e = ig_store_by_key(&store, p->key);
    }
    if (!e) return ig_fail(err, INGLE_IO, "pull again", "%s: somebody removed it at once", p->base);
    return push_result(p->call, e, result, ud, err);
}

static ingle_status run(struct ig_call *c, const char *what, ingle_text_fn result, void *ud,
                        ingle_error *err) {
    struct ig_pull p = {.call = c};
    struct ig_lock *lock = NULL;
    IG_TRY(ig_source_parse(c, what, &p.source, err));
    if (c->set.offline || !c->http) return offline(c, &p.source, what, result, ud, err);
    IG_TRY(ig_pull_resolve(&p, err));
    const char *locks = ig_call_path(c, c->own, "locks", ""),
               *records = ig_call_path(c, c->own, "records", "");
    if (!locks || !records) return ig_fail_memory(err, 64);
    IG_TRY(ig_os_make_folders(locks, err));
    IG_TRY(ig_os_make_folders(records, err));
    IG_TRY(ig_pull_lock(c, p.key, true, &lock, err));
    c->progress.bytes_done = 0;
    c->progress.bytes_total = p.total;
    ingle_status s = locked(&p, result, ud, err);
    ig_os_unlock_file(lock);
    return s;
}

ingle_status ingle_hub_pull(ingle_hub *h, const char *what, ingle_hub_progress_fn fn, void *ud,
                            ingle_text_fn result, void *result_ud, ingle_error *err) {
    struct ig_call c;
    if (!what) return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_hub_pull: what is NULL");
    IG_TRY(ig_call_begin(&c, h, fn, ud, err));
    ingle_status s = run(&c, what, result, result_ud, err);
    ig_call_end(&c);
    return s;
}
