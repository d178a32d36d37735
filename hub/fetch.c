/* One GET with its redirects, and what its failures mean.
 *
 * Promises: at most ten redirects, never from https to http, never from a public server into a
 * private network; the token goes to the endpoint's origin only, and no more once a redirect has
 * left it; a redirect's body is dropped. Does not know: what is loaded, nor where it goes.
 *
 * Subtle: the headers X-Linked-Etag, X-Linked-Size and X-Repo-Commit stand on the endpoint's
 * redirect, not on the final answer; only those of the first hop are believed, because only that
 * one is the endpoint. */
#include "fetch.h"
#include "url.h"

enum { MAX_HOPS = 10, MAX_REDIRECT_BODY = 64 << 10, MAX_WAIT = 600 };

struct hop {
    struct ig_fetch *f;
    struct ig_buf *location; /* of a redirect */
    size_t dropped;
    bool first, redirect, answered, stopped;
};

static void keep(struct ig_buf *b, struct ig_str v) {
    ig_buf_clear(b);
    if (v.n >= 2 && v.p[0] == '"' && v.p[v.n - 1] == '"') v = (struct ig_str){v.p + 1, v.n - 2};
    if (v.n < 200) ig_buf_str(b, v);
}

static int on_head(void *ud, const ingle_http_response *r) {
    struct hop *h = ud;
    struct ig_fetch *f = h->f;
    int64_t size;
    if (h->answered) return 1; /* a transport that answers twice */
    h->answered = true;
    f->status = r->status;
    const char *headers = r->headers ? r->headers : "";
    if (h->first) {
        keep(&f->linked, ig_header(headers, "x-linked-etag"));
        keep(&f->commit, ig_header(headers, "x-repo-commit"));
        struct ig_str text = ig_header(headers, "x-linked-size");
        f->linked_size = text.p && ig_str_to_i64(text, &size) && size >= 0 ? size : -1;
    }
    bool moved = r->status == 301 || r->status == 302 || r->status == 303 || r->status == 307 ||
                 r->status == 308;
    struct ig_str to = ig_header(headers, "location");
    if (moved && to.n) {
        h->redirect = true;
        ig_buf_str(h->location, to);
        return h->location->failed;
    }
    keep(&f->code, ig_header(headers, "x-error-code"));
    struct ig_str next = ig_header_next_link(ig_header(headers, "link"));
    ig_buf_clear(&f->next);
    if (next.n && next.n < 2000) ig_buf_str(&f->next, next);
    f->retry_after = ig_header_retry_after(ig_header(headers, "retry-after"), ig_os_unix_time());
    h->stopped = f->head && f->head(f->ud, f, headers);
    return h->stopped;
}

static int on_body(void *ud, const void *bytes, size_t n) {
    struct hop *h = ud;
    if (!n)
        h->stopped = h->stopped || h->f->beat(h->f->ud);
    else if (h->redirect)
        return (h->dropped += n) > MAX_REDIRECT_BODY;
    else if (h->answered)
        h->stopped = h->stopped || h->f->body(h->f->ud, bytes, n);
    return h->stopped;
}

/* Whether the token may be sent to `u`. */
static bool may_know(const struct ig_fetch *f, const struct ig_url *u) {
    struct ig_url endpoint;
    const char *why;
    if (!f->call->set.token[0] || !ig_url_parse(ig_str_of(f->call->set.endpoint), &endpoint, &why))
        return false;
    return ig_url_same_origin(u, &endpoint) && (ig_url_is_secure(u) || ig_url_is_loopback(u));
}

static ingle_status one_hop(struct ig_fetch *f, const char *url, bool with_token, struct hop *h,
                            ingle_error *err) {
    struct ig_buf headers = {.mem = f->call->mem};
    ig_buf_f(&headers, "User-Agent: %s\nAccept: */*\nAccept-Encoding: identity\n",
             f->call->set.user_agent);
    if (with_token) ig_buf_f(&headers, "Authorization: Bearer %s\n", f->call->set.token);
    ig_buf_z(&headers, f->extra ? f->extra : "");
    if (headers.failed) {
        ig_buf_free(&headers);
        return ig_fail_memory(err, 256);
    }
    ingle_http_request request = {sizeof request, "GET", url, headers.p};
    ingle_http_sink sink = {h, on_head, on_body};
    ingle_status s = f->call->http(f->call->http_ud, &request, &sink, err);
    ig_buf_free(&headers);
    if (h->location->failed) return ig_fail_memory(err, 256);
    if (h->stopped) return INGLE_CANCELLED;
    if (s == INGLE_CANCELLED && h->redirect) return INGLE_OK; /* its body was too long to drop */
    if (s == INGLE_CANCELLED)
        return ig_fail(err, INGLE_IO, NULL, "the transport stopped without being asked");
    if (s) return s;
    return h->answered
               ? INGLE_OK
               : ig_fail(err, INGLE_IO, NULL, "the server closed the connection without an answer");
}

static void describe_host(const char *url, char out[128]) {
    struct ig_url u;
    const char *why;
    struct ig_str host = ig_url_parse(ig_str_of(url), &u, &why) ? u.host : IG_STR("the server");
    size_t n = host.n < 127 ? host.n : 127;
    memcpy(out, host.p, n);
    out[n] = 0;
}

/* Checks the way from f->at to `location` and puts the new URL into f->at. */
static ingle_status follow(struct ig_fetch *f, const struct ig_buf *location, ingle_error *err) {
    static const char *const hint =
        "the server is misconfigured, or somebody tampers with the connection";
    struct ig_buf next = {.mem = f->call->mem};
    struct ig_url from, to;
    const char *why;
    char host[128];
    describe_host(f->at.p, host);
    ingle_status s = INGLE_OK;
    if (!ig_url_join(&next, ig_buf_view(&f->at), ig_buf_view(location)) ||
        !ig_url_parse(ig_buf_view(&f->at), &from, &why) ||
        !ig_url_parse(ig_buf_view(&next), &to, &why))
        s = next.failed ? ig_fail_memory(err, location->n)
                        : ig_fail(err, INGLE_UNSUPPORTED, hint,
                                  "%s redirects to something that is no URL", host);
    else if (ig_url_is_secure(&from) && !ig_url_is_secure(&to))
        s = ig_fail(err, INGLE_UNSUPPORTED, hint, "%s redirects from https to http: refused", host);
    else if (!ig_url_is_private(&from) && ig_url_is_private(&to))
        s = ig_fail(err, INGLE_UNSUPPORTED, hint,
                    "%s redirects into a private network (%.*s): refused", host,
                    (int)(to.host.n < 80 ? to.host.n : 80), to.host.p);
    if (!s) {
        ig_buf_clear(&f->at);
        ig_buf_str(&f->at, ig_buf_view(&next));
        if (f->at.failed) s = ig_fail_memory(err, next.n);
    }
    ig_buf_free(&next);
    return s;
}

static ingle_status hops(struct ig_fetch *f, struct ig_buf *location, ingle_error *err) {
    for (int i = 0; i <= MAX_HOPS; i++) {
        struct ig_url u;
        const char *why;
        if (!ig_url_parse(ig_buf_view(&f->at), &u, &why))
            return ig_fail(err, INGLE_BAD_ARGUMENT, "check the URL", "%.200s: %s", f->at.p, why);
        struct hop h = {.f = f, .location = location, .first = i == 0};
        f->no_token = f->no_token || !may_know(f, &u);
        ig_buf_clear(location);
        if (f->beat(f->ud)) return INGLE_CANCELLED;
        ingle_status s = one_hop(f, f->at.p, !f->no_token, &h, err);
        if (s || !h.redirect) return s;
        IG_TRY(follow(f, location, err));
    }
    char host[128];
    describe_host(f->at.p, host);
    return ig_fail(err, INGLE_UNSUPPORTED, "the server is misconfigured",
                   "%s: more than %d redirects", host, MAX_HOPS);
}

void ig_fetch_begin(struct ig_fetch *f, const struct ig_call *c) {
    *f = (struct ig_fetch){.call = c, .extra = "", .retry_after = -1, .linked_size = -1};
    f->at.mem = f->linked.mem = f->commit.mem = f->code.mem = f->next.mem = c->mem;
}

void ig_fetch_end(struct ig_fetch *f) {
    ig_buf_free(&f->at);
    ig_buf_free(&f->linked);
    ig_buf_free(&f->commit);
    ig_buf_free(&f->code);
    ig_buf_free(&f->next);
}

ingle_status ig_fetch_run(struct ig_fetch *f, ingle_error *err) {
    struct ig_buf location = {.mem = f->call->mem};
    f->status = 0;
    f->retry_after = -1;
    ig_buf_clear(&f->at);
    ig_buf_z(&f->at, f->url);
    ingle_status s = f->at.failed ? ig_fail_memory(err, strlen(f->url)) : hops(f, &location, err);
    ig_buf_free(&location);
    if (s == INGLE_CANCELLED) return ig_call_cancelled(err);
    return s;
}

/* ---- failures ---- */

bool ig_fetch_may_retry(int status) {
    return status == 408 || status == 425 || status == 429 ||
           (status >= 500 && status <= 599 && status != 501);
}

ingle_status ig_fetch_fail(const struct ig_fetch *f, const char *what, ingle_error *err) {
    char host[128];
    describe_host(f->at.n ? f->at.p : f->url, host);
    bool token = f->call->set.token[0] != 0;
    struct ig_str code = ig_buf_view(&f->code);
    if (ig_str_is(code, "GatedRepo"))
        return ig_fail(
            err, INGLE_NOT_FOUND,
            token ? "accept the model's licence on its page with this account"
                  : "accept the licence on its page, then give an access token (HF_TOKEN)",
            "%s: its owner asks for a licence to be accepted first (%d)", what, f->status);
    if (ig_str_is(code, "RevisionNotFound"))
        return ig_fail(err, INGLE_NOT_FOUND, "check what follows the @",
                       "%s: no such revision on %s", what, host);
    struct ig_url u;
    const char *why;
    bool withheld = token && ig_url_parse(ig_str_of(f->url), &u, &why) && !may_know(f, &u);
    if (withheld && (f->status == 401 || f->status == 403))
        return ig_fail(err, INGLE_NOT_FOUND,
                       "the access token goes to the endpoint only, and over https only",
                       "%s: not for everybody (%s says %d)", what, host, f->status);
    if (f->status == 401 || f->status == 403)
        return ig_fail(err, INGLE_NOT_FOUND,
                       token ? "check the name, and that the access token may read it"
                             : "check the name; a private model needs an access token (HF_TOKEN)",
                       "%s: not there, or not for everybody (%s says %d)", what, host, f->status);
    if (f->status == 404 || f->status == 410)
        return ig_fail(err, INGLE_NOT_FOUND, "check the spelling", "%s: not found on %s", what,
                       host);
    if (f->status == 429)
        return ig_fail(err, INGLE_IO,
                       token ? "wait some minutes and pull again"
                             : "wait, or give an access token (HF_TOKEN)",
                       "%s: %s says there were too many requests (429)", what, host);
    if (f->status >= 500)
        return ig_fail(err, INGLE_IO, "try again later: what was received stays",
                       "%s: %s is out of order (%d)", what, host, f->status);
    return ig_fail(err, INGLE_IO, "check the address", "%s: %s answered with status %d", what, host,
                   f->status);
}

/* 0.5, 1, 2, 4 ... 30 s, shortened by up to a quarter so that many clients do not come back at
 * once. */
double ig_retry_delay(const struct ig_call *c, int tries, int64_t after) {
    if (tries > c->set.retries || after > MAX_WAIT) return -1;
    double wait = 0.5;
    for (int i = 1; i < tries && wait < 30; i++) wait *= 2;
    if (wait > 30) wait = 30;
    double now = ig_os_seconds() * 1000;
    wait *= 1 - 0.25 * (now - (double)(int64_t)now);
    return (double)after > wait ? (double)after : wait;
}

/* ---- a whole text ---- */

struct text {
    struct ig_call *call;
    struct ig_buf *out;
    size_t limit;
    bool too_long;
};

static int text_head(void *ud, struct ig_fetch *f, const char *headers) {
    struct text *t = ud;
    (void)f;
    (void)headers;
    ig_buf_clear(t->out);
    return 0;
}

static int text_body(void *ud, const void *bytes, size_t n) {
    struct text *t = ud;
    t->too_long = t->out->n + n > t->limit;
    if (!t->too_long) ig_buf_add(t->out, bytes, n);
    return t->too_long || t->out->failed;
}

static int text_beat(void *ud) {
    return ig_call_tick(((struct text *)ud)->call);
}

ingle_status ig_fetch_text(struct ig_call *c, struct ig_fetch *f, size_t limit, struct ig_buf *out,
                           ingle_error *err) {
    struct text t = {c, out, limit, false};
    f->ud = &t;
    f->head = text_head;
    f->body = text_body;
    f->beat = text_beat;
    for (int tries = 1;; tries++) {
        ingle_status s = ig_fetch_run(f, err);
        if (out->failed) return ig_fail_memory(err, limit);
        if (t.too_long)
            return ig_fail(err, INGLE_BAD_FILE, NULL, "the answer of the server is too long");
        if (s ? s != INGLE_IO : !ig_fetch_may_retry(f->status)) return s;
        /* somebody waits for an answer: that the network is down is said soon */
        double wait = s && tries > 2 ? -1 : ig_retry_delay(c, tries, s ? -1 : f->retry_after);
        if (wait < 0) return s;
        for (double end = ig_os_seconds() + wait; ig_os_seconds() < end; ig_os_sleep(0.01))
            if (ig_call_tick(c)) return ig_call_cancelled(err);
    }
}
