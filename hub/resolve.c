/* Asks a repository what it holds, or a URL what it is.
 *
 * Promises: lists of any length end (pages, bytes and files are limited); a next page is asked of
 * the endpoint only. */
#include "pull.h"

#include "fetch.h"
#include "file_names.h"
#include "url.h"

enum { MAX_PAGES = 40, MAX_PAGE = 16 << 20 };

static void escape_all(struct ig_buf *b, const char *text) { /* '/' too: refs/pr/1 is one element */
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "/");
        ig_url_escape(b, (struct ig_str){at, n});
        at += n;
        if (*at == '/') {
            ig_buf_z(b, "%2F");
            at++;
        }
    }
}

static bool stays_at_endpoint(const struct ig_call *c, const struct ig_buf *url) {
    struct ig_url a, b;
    const char *why;
    return ig_url_parse(ig_buf_view(url), &a, &why) &&
           ig_url_parse(ig_str_of(c->set.endpoint), &b, &why) && ig_url_same_origin(&a, &b);
}

/* One page; `url` becomes that of the next one, or empty. */
static ingle_status page(struct ig_pull *p, struct ig_buf *url, struct ig_remote_list *all,
                         ingle_error *err) {
    struct ig_call *c = p->call;
    struct ig_fetch f;
    struct ig_buf text = {.mem = c->mem}, next = {.mem = c->mem};
    ig_fetch_begin(&f, c);
    f.url = url->p;
    ingle_status s = ig_fetch_text(c, &f, MAX_PAGE, &text, err);
    if (!s && f.status != 200) s = ig_fetch_fail(&f, p->source.repo, err);
    /* the slices of the tree point into the text: it has to live as long */
    char *copy = s ? NULL : ig_arena_copy(&c->arena, text.p, text.n);
    if (!s)
        s = copy ? ig_tree_add(c, (struct ig_str){copy, text.n}, all, err)
                 : ig_fail_memory(err, text.n);
    if (!s && f.commit.n && !p->commit[0])
        p->commit = ig_arena_copy(&c->arena, f.commit.p, f.commit.n);
    if (!p->commit) s = ig_fail_memory(err, f.commit.n);
    if (!s && f.next.n &&
        (!ig_url_join(&next, ig_buf_view(&f.at), ig_buf_view(&f.next)) ||
         !stays_at_endpoint(c, &next)))
        s = ig_fail(err, INGLE_UNSUPPORTED, "is the endpoint right?",
                    "%s: the list of files goes on elsewhere", p->source.repo);
    ig_buf_clear(url);
    if (!s) ig_buf_str(url, ig_buf_view(&next));
    ig_buf_free(&text);
    ig_buf_free(&next);
    ig_fetch_end(&f);
    return s;
}

static ingle_status list_repo(struct ig_pull *p, struct ig_remote_list *all, ingle_error *err) {
    struct ig_buf url = {.mem = p->call->mem};
    ingle_status s = INGLE_OK;
    ig_buf_f(&url, "%s/api/models/%s/tree/", p->call->set.endpoint, p->source.repo);
    escape_all(&url, p->source.revision);
    ig_buf_z(&url, "?recursive=1");
    for (int i = 0; !s && url.n; i++) {
        if (url.failed) s = ig_fail_memory(err, 256);
        if (i >= MAX_PAGES)
            s = ig_fail(err, INGLE_LIMIT, "name the file's URL",
                        "the repository has too many files");
        if (!s) s = page(p, &url, all, err);
    }
    ig_buf_free(&url);
    return s;
}

static ingle_status sum_up(struct ig_pull *p, ingle_error *err) {
    p->total = 0;
    for (size_t i = 0; i < p->files.n; i++) {
        int64_t size = p->files.files[i].size;
        if (size < 0 || p->total < 0 || p->total > INT64_MAX - size)
            p->total = -1;
        else
            p->total += size;
    }
    if (p->call->set.max_bytes && p->total > p->call->set.max_bytes)
        return ig_fail(err, INGLE_LIMIT, "choose a smaller file, or raise max-bytes",
                       "%s has %.2f GB, more than the %.2f GB that are allowed", p->base,
                       (double)p->total / 1e9, (double)p->call->set.max_bytes / 1e9);
    return INGLE_OK;
}

static const char *keep(struct ig_pull *p, struct ig_str s) {
    return ig_arena_copy(&p->call->arena, s.p, s.n);
}

static ingle_status resolve_repo(struct ig_pull *p, ingle_error *err) {
    struct ig_call *c = p->call;
    struct ig_remote_list all = {0};
    IG_TRY(list_repo(p, &all, err));
    IG_TRY(ig_choose(c, &all, p->source.repo, p->source.file, &p->files, &p->format, err));
    struct ig_str stem, repo = ig_str_of(p->source.repo), name = ig_hub_base_name(repo);
    struct ig_str first = ig_str_of(p->files.files[0].name);
    unsigned part, parts;
    bool gguf = p->format == IG_MODEL_GGUF;
    p->split = gguf && ig_hub_split(first, &stem, &part, &parts);
    p->base = keep(p, gguf ? ig_hub_model_name(first) : name);
    p->owner = keep(p, (struct ig_str){repo.p, repo.n - name.n - 1});
    p->origin = c->set.endpoint;
    p->key = ig_store_key(c, c->set.endpoint, p->source.repo, p->source.revision,
                          gguf ? p->files.files[0].path : "*safetensors");
    const char *revision = p->commit[0] ? p->commit : p->source.revision;
    for (size_t i = 0; i < p->files.n; i++) { /* path becomes the URL */
        struct ig_buf url = {.mem = c->mem};
        ig_buf_f(&url, "%s/%s/resolve/", c->set.endpoint, p->source.repo);
        escape_all(&url, revision);
        ig_buf_ch(&url, '/');
        ig_url_escape(&url, ig_str_of(p->files.files[i].path));
        p->files.files[i].path = url.failed ? NULL : keep(p, ig_buf_view(&url));
        ig_buf_free(&url);
        if (!p->files.files[i].path) return ig_fail_memory(err, 256);
    }
    if (!p->base || !p->owner || !p->key) return ig_fail_memory(err, 256);
    if (!ig_hub_name_is_safe(ig_str_of(p->base)))
        return ig_fail(err, INGLE_UNSUPPORTED, NULL, "'%.100s' cannot be a model's name here",
                       p->base);
    return sum_up(p, err);
}

/* ---- URLs ---- */

static ingle_status name_files(struct ig_pull *p, struct ig_str file, ingle_error *err) {
    struct ig_buf safe = {.mem = p->call->mem};
    struct ig_str stem = {NULL, 0};
    unsigned part, parts = 1;
    ig_hub_make_safe(&safe, file.n ? file : IG_STR("model"));
    if (!ig_hub_is_gguf(ig_buf_view(&safe))) {
        if (safe.n > IG_HUB_NAME_MAX - 5) safe.n = IG_HUB_NAME_MAX - 5;
        ig_buf_z(&safe, ".gguf");
    }
    p->split = !safe.failed && ig_hub_split(ig_buf_view(&safe), &stem, &part, &parts);
    const char *kept = safe.failed ? NULL : keep(p, ig_buf_view(&safe));
    ig_buf_free(&safe);
    if (!kept) return ig_fail_memory(err, 256);
    p->base = keep(p, ig_hub_model_name(ig_str_of(kept)));
    if (!p->base) return ig_fail_memory(err, 256);
    if (p->files.n == 1) p->files.files[0].name = kept;
    return ig_hub_name_is_safe(ig_str_of(p->base))
               ? INGLE_OK
               : ig_fail(err, INGLE_UNSUPPORTED, NULL, "'%.100s' cannot be a model's name here",
                         p->base);
}

ingle_status ig_pull_name_from(struct ig_pull *p, struct ig_str disposition, ingle_error *err) {
    struct ig_str name = ig_hub_base_name(disposition);
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '\\')
            name = (struct ig_str){name.p + i + 1, name.n - i - 1}, i = (size_t)-1;
    /* the path's own name, if it is one of a model, is what the user saw */
    if (!p->source.is_url || p->files.n > 1 || !name.n) return INGLE_OK;
    struct ig_url u;
    const char *why;
    if (!ig_url_parse(ig_str_of(p->source.url), &u, &why) || ig_hub_is_gguf(u.path))
        return INGLE_OK;
    return name_files(p, name, err);
}

/* All parts of a split file, when the URL names one of them. */
static ingle_status add_parts(struct ig_pull *p, struct ig_str path, ingle_error *err) {
    struct ig_str stem;
    unsigned part, parts = 1;
    const char *url = p->source.url;
    bool split = ig_hub_split(path, &stem, &part, &parts);
    if (parts > 1000)
        return ig_fail(err, INGLE_LIMIT, NULL, "a model of %u parts is too much", parts);
    p->files.files = ig_arena_calloc(&p->call->arena, parts, sizeof *p->files.files);
    if (!p->files.files) return ig_fail_memory(err, parts * sizeof *p->files.files);
    p->files.n = parts;
    for (unsigned i = 0; i < parts; i++) {
        struct ig_remote_file *f = &p->files.files[i];
        char *copy = ig_arena_copy(&p->call->arena, url, strlen(url));
        *f = (struct ig_remote_file){.path = copy, .oid = "", .size = -1};
        if (!copy) return ig_fail_memory(err, 256);
        if (!split) continue;
        char *digits = copy + (path.p - url) + path.n - 19; /* "00001-of-00003.gguf" */
        for (unsigned k = 0, v = i + 1; k < 5; k++, v /= 10) digits[4 - k] = (char)('0' + v % 10);
        struct ig_buf name = {.mem = p->call->mem};
        struct ig_str base = ig_hub_base_name((struct ig_str){copy + (path.p - url), path.n});
        ig_hub_make_safe(&name, base);
        f->name = name.failed ? NULL : keep(p, ig_buf_view(&name));
        ig_buf_free(&name);
        if (!f->name) return ig_fail_memory(err, 256);
    }
    return INGLE_OK;
}

static ingle_status resolve_url(struct ig_pull *p, ingle_error *err) {
    struct ig_url u;
    const char *why;
    struct ig_buf plain = {.mem = p->call->mem};
    ig_url_parse(ig_str_of(p->source.url), &u, &why);
    IG_TRY(add_parts(p, u.path, err));
    ig_url_unescape(&plain, ig_hub_base_name(u.path));
    ingle_status s = plain.failed ? ig_fail_memory(err, u.path.n)
                                  : name_files(p, ig_hub_base_name(ig_buf_view(&plain)), err);
    ig_buf_free(&plain);
    if (s) return s;
    if (p->files.n == 1) p->files.files[0].sha256 = p->source.sha256;
    p->owner = p->source.host;
    p->origin = "";
    p->total = -1;
    p->key = ig_store_key(p->call, "url", p->files.files[0].path, "", "");
    return p->key ? INGLE_OK : ig_fail_memory(err, 33);
}

ingle_status ig_pull_resolve(struct ig_pull *p, ingle_error *err) {
    p->commit = "";
    ig_call_phase(p->call, "resolve");
    if (p->call->cancelled) return ig_call_cancelled(err);
    return p->source.is_url ? resolve_url(p, err) : resolve_repo(p, err);
}

/* ---- has it changed? ---- */

struct probe {
    struct ig_call *call;
    struct ig_buf tag;
    int64_t size;
    bool answered;
};

static int probe_head(void *ud, struct ig_fetch *f, const char *headers) {
    struct probe *p = ud;
    int64_t first, last, size = -1;
    struct ig_str etag = ig_header(headers, "etag"), date = ig_header(headers, "last-modified");
    ig_buf_str(&p->tag, etag.n && etag.p[0] == '"' ? etag : date);
    if (f->status == 206)
        ig_header_range(ig_header(headers, "content-range"), &first, &last, &size);
    else if (ig_header(headers, "content-length").p)
        ig_str_to_i64(ig_header(headers, "content-length"), &size);
    p->size = size;
    p->answered = f->status == 200 || f->status == 206;
    return 1;
}

static int probe_body(void *ud, const void *bytes, size_t n) {
    (void)ud;
    (void)bytes;
    (void)n;
    return 1;
}

static int probe_beat(void *ud) {
    return ig_call_tick(((struct probe *)ud)->call);
}

ingle_status ig_pull_unchanged(struct ig_pull *p, const struct ig_record *r, bool *same,
                               ingle_error *err) {
    struct ig_call *c = p->call;
    struct probe probe = {.call = c, .tag = {.mem = c->mem}};
    struct ig_fetch f;
    *same = false;
    if (p->source.sha256) {
        *same = r->n == 1 && strcmp(r->files[0].sha256, p->source.sha256) == 0;
        return INGLE_OK;
    }
    ig_fetch_begin(&f, c);
    f.url = p->files.files[0].path;
    f.extra = "Range: bytes=0-0\n";
    f.ud = &probe;
    f.head = probe_head;
    f.body = probe_body;
    f.beat = probe_beat;
    ingle_status s = ig_fetch_run(&f, err);
    if (c->cancelled)
        s = ig_call_cancelled(err);
    else if (s == INGLE_CANCELLED && !probe.answered)
        s = ig_fetch_fail(&f, p->base, err);
    else if (s == INGLE_CANCELLED)
        s = INGLE_OK;
    const struct ig_record_file *had = &r->files[0];
    bool tags = had->oid[0] && probe.tag.n;
    *same = !s && (tags ? ig_str_is(ig_buf_view(&probe.tag), had->oid) : probe.size == had->bytes);
    ig_buf_free(&probe.tag);
    ig_fetch_end(&f);
    return s;
}
