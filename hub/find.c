/* From a name to a model: a whole name, the beginning of one, or the source it was pulled from. */
#include "store.h"

#include "file_names.h"

struct ig_entry *ig_store_named(const struct ig_store *s, struct ig_str name) {
    struct ig_entry *found = NULL;
    for (struct ig_entry *e = s->first; e; e = e->next) {
        if (!e->complete || !ig_hub_same_name(ig_str_of(e->name), name)) continue;
        if (!found || ig_str_is(name, e->name)) found = e;
    }
    return found;
}

struct ig_entry *ig_store_by_key(const struct ig_store *s, const char *key) {
    for (struct ig_entry *e = s->first; e; e = e->next)
        if (e->complete && e->record && strcmp(e->record->key, key) == 0) return e;
    return NULL;
}

/* ---- by source ---- */

static bool names_file(const struct ig_record *r, const char *spec) {
    struct ig_str want = ig_hub_base_name(ig_str_of(spec));
    for (size_t i = 0; i < r->n; i++) {
        struct ig_str name = ig_str_of(r->files[i].name);
        if (ig_hub_same_name(name, want) || ig_hub_has_type(name, want)) return true;
        if (strpbrk(spec, "*?") && ig_hub_glob(want, name)) return true;
    }
    return strcmp(r->format, spec) == 0;
}

static bool came_from(const struct ig_record *r, const struct ig_source *source) {
    if (source->is_url) {
        size_t n = strcspn(source->url, "?");
        return strlen(r->source) == n && memcmp(r->source, source->url, n) == 0;
    }
    if (!r->repo[0] || !ig_hub_same_name(ig_str_of(r->repo), ig_str_of(source->repo))) return false;
    if (strcmp(source->revision, "main") != 0 && strcmp(source->revision, r->revision) != 0)
        return false;
    return !source->file || names_file(r, source->file);
}

ingle_status ig_store_find_source(const struct ig_store *s, const struct ig_source *source,
                                  struct ig_entry **out, ingle_error *err) {
    *out = NULL;
    for (struct ig_entry *e = s->first; e; e = e->next) {
        if (!e->complete || !e->record || !came_from(e->record, source)) continue;
        if (*out)
            return ig_fail(err, INGLE_BAD_ARGUMENT, "use the name",
                           "%s: %s and %s are both from there",
                           source->is_url ? source->url : source->repo, (*out)->name, e->name);
        *out = e;
    }
    return INGLE_OK;
}

/* ---- by name ---- */

static size_t common_start(const char *a, const char *b) {
    size_t n = 0;
    while (a[n] && ig_hub_same_name((struct ig_str){a + n, 1}, (struct ig_str){b + n, 1})) n++;
    return n;
}

static void list_names(struct ig_buf *b, const struct ig_store *s, const char *start,
                       size_t at_least) {
    size_t shown = 0;
    for (const struct ig_entry *e = s->first; e && shown < 6; e = e->next)
        if (e->complete && common_start(start, e->name) >= at_least)
            ig_buf_f(b, "%s%s", shown++ ? ", " : "", e->name);
}

/* The hint of an error is a literal, so what there is goes into its text. */
static ingle_status fail_name(struct ig_call *c, const struct ig_store *s, const char *name,
                              size_t matches, ingle_error *err) {
    struct ig_buf b = {.mem = c->mem};
    size_t best = 1, complete = 0;
    ingle_status st;
    for (const struct ig_entry *e = s->first; e; e = e->next) {
        complete += e->complete;
        if (e->complete && common_start(name, e->name) > best) best = common_start(name, e->name);
    }
    list_names(&b, s, name, matches > 1 ? strlen(name) : best > 1 ? best : 0);
    if (b.failed)
        st = ig_fail_memory(err, 256);
    else if (matches > 1)
        st = ig_fail(err, INGLE_NOT_FOUND, "", "%.200s: more than one model begins so", name);
    else
        st = ig_fail(err, INGLE_NOT_FOUND, "", "%.200s: no such model in the store", name);
    if (err && st == INGLE_NOT_FOUND) {
        struct ig_buf hint = {.mem = c->mem};
        if (matches > 1)
            ig_buf_f(&hint, "which of %s?", b.p);
        else if (complete)
            ig_buf_f(&hint, "the store has %s", b.p);
        else
            ig_buf_f(&hint, "the store %s is empty", c->models);
        size_t n = hint.failed ? 0 : hint.n < sizeof err->hint ? hint.n : sizeof err->hint - 1;
        if (n) memcpy(err->hint, hint.p, n);
        err->hint[n] = 0;
        ig_buf_free(&hint);
    }
    ig_buf_free(&b);
    return st;
}

static ingle_status by_name(struct ig_call *c, const struct ig_store *s, const char *name,
                            struct ig_entry **out, ingle_error *err) {
    struct ig_str want = ig_hub_model_name(ig_str_of(name));
    size_t matches = 0;
    *out = ig_store_named(s, want);
    if (!*out) *out = ig_store_named(s, ig_str_of(name)); /* a folder that is called x.gguf */
    if (*out) return INGLE_OK;
    for (struct ig_entry *e = s->first; e; e = e->next) {
        if (!e->complete || !ig_hub_starts(ig_str_of(e->name), want)) continue;
        *out = e;
        matches++;
    }
    return matches == 1 && want.n ? INGLE_OK : fail_name(c, s, name, matches, err);
}

ingle_status ig_store_find(struct ig_call *c, const struct ig_store *s, const char *name,
                           struct ig_entry **out, ingle_error *err) {
    struct ig_source source;
    *out = NULL;
    bool url = strstr(name, "://") != NULL;
    if (!url && !ig_source_is_repo(name)) return by_name(c, s, name, out, err);
    IG_TRY(ig_source_parse(c, name, &source, err));
    IG_TRY(ig_store_find_source(s, &source, out, err));
    return *out ? INGLE_OK
                : ig_fail(err, INGLE_NOT_FOUND, "pull it first", "%.200s: not in the store", name);
}

ingle_status ingle_hub_find(ingle_hub *h, const char *name, ingle_text_fn fn, void *ud,
                            ingle_error *err) {
    struct ig_call c;
    struct ig_store store;
    struct ig_entry *e = NULL;
    if (!fn || !name)
        return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_hub_find: an argument is NULL");
    IG_TRY(ig_call_begin(&c, h, NULL, NULL, err));
    ingle_status s = ig_store_read(&c, &store, err);
    if (!s) s = ig_store_find(&c, &store, name, &e, err);
    if (!s && fn(ud, e->path, strlen(e->path))) s = ig_call_cancelled(err);
    ig_call_end(&c);
    return s;
}
