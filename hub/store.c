/* Reads the store: what files are there is the truth, records only add to it.
 *
 *     models/NAME.gguf, NAME-00001-of-0000N.gguf, NAME/config.json
 *     models/.hub/records/NAME.json     where a pulled model came from, its hashes
 *     models/.hub/parts/KEY/            a pull that is not finished: plan.json, FILE.part,
 * FILE.journal models/.hub/locks/KEY             held while KEY is pulled
 *
 * Promises: works on a store that other programs change meanwhile, and on one made by hand; writes
 * nothing but what ig_store_clear removes. A record counts only while the sizes of its files fit.
 */
#include "store.h"

#include "base/json.h"
#include "file_names.h"
#include "journal.h"
#include "os/part.h"
#include "sha256.h"

const char *ig_store_record_path(struct ig_call *c, const char *name) {
    const char *folder = ig_call_path(c, c->own, "records", "");
    return folder ? ig_call_path(c, folder, name, ".json") : NULL;
}

const char *ig_store_part_folder(struct ig_call *c, const char *key) {
    const char *folder = ig_call_path(c, c->own, "parts", "");
    return folder ? ig_call_path(c, folder, key, "") : NULL;
}

const char *ig_store_lock_path(struct ig_call *c, const char *key) {
    const char *folder = ig_call_path(c, c->own, "locks", "");
    return folder ? ig_call_path(c, folder, key, "") : NULL;
}

const char *ig_store_file_path(struct ig_call *c, const struct ig_record *r, const char *name) {
    if (strcmp(r->format, "safetensors") != 0) return ig_call_path(c, c->models, name, "");
    const char *folder = ig_call_path(c, c->models, r->name, "");
    return folder ? ig_call_path(c, folder, name, "") : NULL;
}

const char *ig_store_key(struct ig_call *c, const char *a, const char *b, const char *d,
                         const char *e) {
    struct ig_sha256 sha;
    char hex[65];
    const char *parts[] = {a, b, d, e};
    ig_sha256_begin(&sha);
    for (size_t i = 0; i < 4; i++) ig_sha256_add(&sha, parts[i], strlen(parts[i]) + 1);
    ig_sha256_end(&sha, hex);
    return ig_arena_copy(&c->arena, hex, 32);
}

/* ---- reading ---- */

static void insert(struct ig_store *s, struct ig_entry *e) {
    struct ig_entry **at = &s->first;
    while (*at && strcmp((*at)->name, e->name) < 0) at = &(*at)->next;
    e->next = *at;
    *at = e;
    s->n++;
}

/* Names in a folder; an absent one has none. */
static ingle_status list_folder(struct ig_call *c, const char *path, char **names,
                                ingle_error *err) {
    *names = NULL;
    return ig_os_kind(path) == IG_OS_FOLDER ? ig_os_list(c->mem, path, names, err) : INGLE_OK;
}

static bool record_holds(struct ig_call *c, const struct ig_record *r) {
    for (size_t i = 0; i < r->n; i++) {
        const char *path = ig_store_file_path(c, r, r->files[i].name);
        if (!path || r->files[i].bytes < 0 || ig_os_file_size(path) != r->files[i].bytes)
            return false;
    }
    return true;
}

static int64_t folder_bytes(struct ig_call *c, const char *folder) {
    char *names = NULL;
    int64_t sum = 0;
    if (list_folder(c, folder, &names, NULL)) return 0;
    for (char *n = names; n && *n; n += strlen(n) + 1) {
        const char *path = ig_call_path(c, folder, n, "");
        int64_t size = path ? ig_os_file_size(path) : -1;
        if (size > 0) sum += size;
    }
    ig_free(c->mem, names);
    return sum;
}

static int64_t split_bytes(struct ig_call *c, struct ig_str stem, unsigned parts) {
    int64_t sum = 0;
    for (unsigned i = 1; i <= parts && i <= 10000; i++) {
        struct ig_buf b = {.mem = c->mem};
        ig_buf_str(&b, stem);
        ig_buf_f(&b, "-%05u-of-%05u.gguf", i, parts);
        const char *path = b.failed ? NULL : ig_call_path(c, c->models, b.p, "");
        int64_t size = path ? ig_os_file_size(path) : -1;
        if (size > 0) sum += size;
        ig_buf_free(&b);
    }
    return sum;
}

static ingle_status add_entry(struct ig_call *c, struct ig_store *s, const char *file,
                              ingle_error *err) {
    struct ig_str name = ig_str_of(file), stem;
    unsigned part = 1, parts = 1;
    bool gguf = ig_hub_is_gguf(name), split = ig_hub_split(name, &stem, &part, &parts);
    const char *path = ig_call_path(c, c->models, file, "");
    if (!path) return ig_fail_memory(err, name.n);
    if (file[0] == '.' || part != 1) return INGLE_OK;
    if (!gguf) {
        const char *config = ig_call_path(c, path, "config.json", "");
        if (!config) return ig_fail_memory(err, name.n);
        if (ig_os_kind(config) != IG_OS_FILE) return INGLE_OK;
    } else if (ig_os_kind(path) != IG_OS_FILE) {
        return INGLE_OK;
    }
    struct ig_entry *e = ig_arena_calloc(&c->arena, 1, sizeof *e);
    struct ig_str plain = gguf ? ig_hub_model_name(name) : name;
    if (e) e->name = ig_arena_copy(&c->arena, plain.p, plain.n);
    const char *record = e && e->name ? ig_store_record_path(c, e->name) : NULL;
    if (!record) return ig_fail_memory(err, sizeof *e);
    e->path = path;
    e->format = gguf ? "gguf" : "safetensors";
    e->bytes = !gguf   ? folder_bytes(c, path)
               : split ? split_bytes(c, stem, parts)
                       : ig_os_file_size(path);
    e->complete = true;
    IG_TRY(ig_record_read(c, record, &e->record, err));
    if (e->record && (strcmp(e->record->name, e->name) != 0 ||
                      strcmp(e->record->format, e->format) != 0 || !record_holds(c, e->record)))
        e->record = NULL;
    insert(s, e);
    return INGLE_OK;
}

ingle_status ig_store_unfinished(struct ig_call *c, struct ig_store *s, const char *key,
                                 ingle_error *err) {
    const char *folder = ig_store_part_folder(c, key),
               *plan = folder ? ig_call_path(c, folder, "plan.json", "") : NULL;
    const char *done = folder ? ig_call_path(c, folder, "done", "") : NULL;
    const struct ig_record *r;
    struct ig_entry *e = ig_arena_calloc(&c->arena, 1, sizeof *e);
    if (!plan || !done || !e) return ig_fail_memory(err, sizeof *e);
    IG_TRY(ig_record_read(c, plan, &r, err));
    if (!r || strcmp(r->key, key) != 0) return INGLE_OK;
    *e = (struct ig_entry){
        .name = r->name, .path = folder, .format = r->format, .record = r, .key = r->key};
    int64_t bytes = ig_record_bytes(r);
    e->bytes = bytes < 0 ? 0 : bytes;
    e->part_bytes = folder_bytes(c, done);
    for (size_t i = 0; i < r->n; i++) {
        const char *journal = ig_call_path(c, folder, r->files[i].name, ".journal");
        if (!journal) return ig_fail_memory(err, 64);
        e->part_bytes += ig_journal_peek(c->mem, journal);
    }
    insert(s, e);
    return INGLE_OK;
}

ingle_status ig_store_read(struct ig_call *c, struct ig_store *s, ingle_error *err) {
    char *names;
    *s = (struct ig_store){0};
    IG_TRY(list_folder(c, c->models, &names, err));
    ingle_status st = INGLE_OK;
    for (char *n = names; !st && n && *n; n += strlen(n) + 1) st = add_entry(c, s, n, err);
    ig_free(c->mem, names);
    const char *parts = ig_call_path(c, c->own, "parts", "");
    if (!st && !parts) st = ig_fail_memory(err, 64);
    if (!st) st = list_folder(c, parts, &names, err);
    if (st) return st;
    for (char *n = names; !st && n && *n; n += strlen(n) + 1)
        st = ig_store_unfinished(c, s, n, err);
    ig_free(c->mem, names);
    return st;
}

ingle_status ig_store_clear(struct ig_call *c, const char *folder, ingle_error *err) {
    char *names;
    ingle_status s = INGLE_OK;
    IG_TRY(list_folder(c, folder, &names, err));
    if (!names) return INGLE_OK;
    for (char *n = names; !s && *n; n += strlen(n) + 1) {
        const char *path = ig_call_path(c, folder, n, "");
        char *inner = NULL;
        if (!path) s = ig_fail_memory(err, 64);
        bool deeper = path && ig_os_kind(path) == IG_OS_FOLDER;
        if (!s && deeper) s = ig_os_list(c->mem, path, &inner, err);
        for (char *m = inner; !s && m && *m; m += strlen(m) + 1) {
            const char *file = ig_call_path(c, path, m, "");
            s = file ? ig_os_remove(file, err) : ig_fail_memory(err, 64);
        }
        ig_free(c->mem, inner);
        if (!s) s = deeper ? ig_os_remove_folder(path, err) : ig_os_remove(path, err);
    }
    ig_free(c->mem, names);
    return s ? s : ig_os_remove_folder(folder, err);
}

/* ---- as JSON ---- */

void ig_entry_put(struct ig_buf *b, const struct ig_entry *e) {
    const struct ig_record *r = e->record;
    ig_buf_z(b, "{\"name\":");
    ig_json_put_str(b, ig_str_of(e->name));
    ig_buf_z(b, ",\"path\":");
    ig_json_put_str(b, ig_str_of(e->path));
    ig_buf_f(b, ",\"bytes\":%lld,\"format\":\"%s\",\"source\":", (long long)e->bytes, e->format);
    ig_json_put_str(b, ig_str_of(r ? r->source : ""));
    ig_buf_z(b, ",\"sha256\":");
    ig_json_put_str(b, ig_str_of(r && r->n == 1 ? r->files[0].sha256 : ""));
    ig_buf_f(b, ",\"complete\":%s,\"part_bytes\":%lld", e->complete ? "true" : "false",
             (long long)e->part_bytes);
}

ingle_status ingle_hub_list(ingle_hub *h, ingle_text_fn fn, void *ud, ingle_error *err) {
    struct ig_call c;
    struct ig_store store;
    if (!fn) return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_hub_list: fn is NULL");
    IG_TRY(ig_call_begin(&c, h, NULL, NULL, err));
    struct ig_buf b = {.mem = c.mem};
    ingle_status s = ig_store_read(&c, &store, err);
    ig_buf_z(&b, "[");
    for (struct ig_entry *e = store.first; !s && e; e = e->next) {
        if (e != store.first) ig_buf_z(&b, ",\n");
        ig_entry_put(&b, e);
        ig_buf_z(&b, "}");
    }
    ig_buf_z(&b, "]\n");
    if (!s && b.failed) s = ig_fail_memory(err, b.n);
    if (!s && fn(ud, b.p, b.n)) s = ig_call_cancelled(err);
    ig_buf_free(&b);
    ig_call_end(&c);
    return s;
}
