/* Reads OWNER/NAME[@REVISION][:FILE], and the ways people write it: a pasted page,
 * hf.co/OWNER/NAME, FILE@REVISION.
 *
 * Promises: OWNER and NAME consist of letters that need no escaping; everything else is escaped
 * where it is used. */
#include "source.h"
#include "url.h"

static ingle_status bad(ingle_error *err, const char *what, const char *why) {
    return ig_fail(err, INGLE_BAD_ARGUMENT, "write OWNER/NAME, OWNER/NAME:FILE or a URL",
                   "%.200s: %s", what, why);
}

static bool is_repo_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-_.", c));
}

/* The length of OWNER/NAME at the start of s, 0 if there is none. */
static size_t repo_length(struct ig_str s) {
    size_t n = 0, slash = 0;
    while (n < s.n && (is_repo_char(s.p[n]) || (s.p[n] == '/' && !slash))) {
        if (s.p[n] == '/') slash = n;
        n++;
    }
    if (!slash || slash + 1 >= n || n > 192 || s.p[0] == '.' || s.p[0] == '-' ||
        s.p[slash + 1] == '.')
        return 0;
    struct ig_str all = {s.p, n};
    size_t at;
    return ig_str_find(all, IG_STR(".."), &at) ? 0 : n;
}

static bool starts(struct ig_str *s, const char *prefix) {
    if (!ig_str_starts(*s, ig_str_of(prefix))) return false;
    size_t n = strlen(prefix);
    s->p += n;
    s->n -= n;
    return true;
}

bool ig_source_is_repo(const char *what) {
    struct ig_str s = ig_str_of(what);
    if (starts(&s, "hf.co/") || starts(&s, "huggingface.co/") || starts(&s, "hf:"))
        return repo_length(s) > 0;
    size_t n = repo_length(s);
    return n && (n == s.n || s.p[n] == ':' || s.p[n] == '@');
}

static const char *keep(struct ig_call *c, struct ig_str s, bool *ok) {
    char *p = ig_arena_copy(&c->arena, s.p ? s.p : "", s.n);
    *ok = *ok && p;
    return p;
}

static bool is_plain(struct ig_str s) { /* no control characters, no "." and ".." elements */
    if (s.n > 1024 || !s.n) return false;
    size_t from = 0;
    for (size_t i = 0; i <= s.n; i++) {
        if (i < s.n && ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f || s.p[i] == '\\'))
            return false;
        if (i < s.n && s.p[i] != '/') continue;
        struct ig_str part = {s.p + from, i - from};
        if (ig_str_is(part, ".") || ig_str_is(part, "..")) return false;
        from = i + 1;
    }
    return true;
}

static ingle_status parse_repo(struct ig_call *c, const char *what, struct ig_str s,
                               struct ig_source *out, ingle_error *err) {
    size_t n = repo_length(s);
    if (!n) return bad(err, what, "not the name of a repository");
    struct ig_str repo = {s.p, n}, rest = {s.p + n, s.n - n}, revision = IG_STR("main"),
                  file = {NULL, 0};
    while (rest.n) {
        bool at = rest.p[0] == '@';
        if (!at && rest.p[0] != ':')
            return bad(err, what, "what follows the name begins with neither @ nor :");
        size_t len = 1;
        while (len < rest.n && rest.p[len] != '@' && (at ? rest.p[len] != ':' : true)) len++;
        struct ig_str value = {rest.p + 1, len - 1};
        if (!is_plain(value))
            return bad(err, what, at ? "not a revision" : "not the name of a file");
        *(at ? &revision : &file) = value;
        rest = (struct ig_str){rest.p + len, rest.n - len};
    }
    bool ok = true;
    out->repo = keep(c, repo, &ok);
    out->revision = keep(c, revision, &ok);
    out->file = file.p ? keep(c, file, &ok) : NULL;
    return ok ? INGLE_OK : ig_fail_memory(err, s.n);
}

/* PATH of the endpoint: OWNER/NAME, OWNER/NAME/blob|resolve|tree|raw/REVISION[/FILE]. False:
 * something else. */
static bool page_of_endpoint(struct ig_call *c, const struct ig_url *u, struct ig_source *out,
                             bool *ok) {
    struct ig_buf plain = {.mem = c->mem};
    ig_url_unescape(&plain, u->path);
    struct ig_str s = ig_buf_view(&plain);
    bool found = false;
    static const char *const kinds[] = {"/blob/", "/resolve/", "/tree/", "/raw/"};
    size_t n = starts(&s, "/") ? repo_length(s) : 0;
    struct ig_str repo = {s.p, n}, rest = {s.p + n, s.n - n}, revision = IG_STR("main"),
                  file = {NULL, 0};
    if (n && (!rest.n || ig_str_is(rest, "/"))) found = true;
    for (size_t i = 0; n && i < 4; i++) {
        if (!starts(&rest, kinds[i])) continue;
        size_t len = 0;
        while (len < rest.n && rest.p[len] != '/') len++;
        revision = (struct ig_str){rest.p, len};
        if (len + 1 < rest.n) file = (struct ig_str){rest.p + len + 1, rest.n - len - 1};
        found = is_plain(revision) && (!file.p || is_plain(file));
        if (i == 2 && file.p) found = false; /* a folder */
        break;
    }
    if (found) {
        out->repo = keep(c, repo, ok);
        out->revision = keep(c, revision, ok);
        out->file = file.p ? keep(c, file, ok) : NULL;
    }
    *ok = *ok && !plain.failed;
    ig_buf_free(&plain);
    return found;
}

static ingle_status parse_url(struct ig_call *c, const char *what, struct ig_source *out,
                              ingle_error *err) {
    struct ig_str s = ig_str_of(what), fragment = {NULL, 0};
    const char *hash = strchr(what, '#'), *why;
    struct ig_url u, endpoint;
    bool ok = true;
    if (hash) {
        fragment = ig_str_of(hash + 1);
        s.n = (size_t)(hash - what);
    }
    if (!ig_url_parse(s, &u, &why)) return bad(err, what, why);
    if (fragment.n && starts(&fragment, "sha256=")) {
        if (!ig_hub_is_sha256(fragment))
            return bad(err, what, "sha256= needs 64 hexadecimal digits");
        char *hex = (char *)(uintptr_t)keep(c, fragment, &ok);
        for (char *p = hex; ok && *p; p++)
            if (*p >= 'A' && *p <= 'F') *p = (char)(*p + 32);
        out->sha256 = hex;
    }
    out->host = keep(c, u.host, &ok);
    bool ours = ig_url_parse(ig_str_of(c->set.endpoint), &endpoint, &why) &&
                ig_url_same_origin(&u, &endpoint) && !endpoint.path.n;
    out->is_url = !ours || !page_of_endpoint(c, &u, out, &ok);
    if (out->is_url) out->url = keep(c, s, &ok);
    return ok ? INGLE_OK : ig_fail_memory(err, s.n);
}

ingle_status ig_source_parse(struct ig_call *c, const char *what, struct ig_source *out,
                             ingle_error *err) {
    struct ig_str s = ig_str_of(what);
    struct ig_url endpoint;
    const char *why;
    bool ok = true;
    *out = (struct ig_source){0};
    if (!s.n || s.n > IG_URL_MAX) return bad(err, what, s.n ? "too long" : "nothing is named");
    if (strstr(what, "://")) return parse_url(c, what, out, err);
    if (!starts(&s, "hf.co/") && !starts(&s, "huggingface.co/")) starts(&s, "hf:");
    out->host = ig_url_parse(ig_str_of(c->set.endpoint), &endpoint, &why)
                    ? keep(c, endpoint.host, &ok)
                    : "";
    if (!ok) return ig_fail_memory(err, 256);
    return parse_repo(c, what, s, out, err);
}
