/* The network: one HTTP exchange through libcurl.
 *
 * Promises what hub.h asks of a transport: redirects are handed out, certificates are checked, a
 * short body is an error, and the sink hears of us every 15 ms, also while a name is looked up.
 * Proxies come from the environment, as libcurl reads it. Does not know: what is loaded.
 *
 * Subtle: curl_easy_perform may sleep for a second between two calls of its progress function, so
 * the transfer is driven by a multi handle of its own. Handles are kept in slots and lent to one
 * call at a time, so that a thread finds the connection of an earlier request open; the slots are
 * exchanged atomically, for a lock would need threads' help. libcurl is opened when it is needed:
 * linked, it and its thirty libraries would make every command start 6 ms later. */
#ifdef INGLE_HAVE_CURL
#include "cli.h"

#define CURL_DISABLE_TYPECHECK
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 32, MAX_HEADERS = 256 << 10, BEAT_MS = 15 };

#define FUNCTIONS                                                                                  \
    X(global_init)                                                                                 \
    X(global_cleanup)                                                                              \
    X(easy_init)                                                                                   \
    X(easy_cleanup) X(easy_reset) X(easy_setopt) X(easy_getinfo) X(easy_strerror) X(slist_append)  \
        X(slist_free_all) X(multi_init) X(multi_cleanup) X(multi_add_handle)                       \
            X(multi_remove_handle) X(multi_perform) X(multi_poll) X(multi_info_read)

struct curl {
#define X(name) __typeof__(&curl_##name) name;
    FUNCTIONS
#undef X
};

struct connection {
    CURLM *multi;
    CURL *easy;
};

struct cli_http {
    struct cli *c;
    void *library;
    struct curl curl;
    struct connection *slots[SLOTS];
};

struct exchange {
    const struct curl *curl;
    const ingle_http_sink *sink;
    CURL *easy;
    struct ig_buf headers; /* of the answer that is arriving */
    bool answered, stopped;
};

static void close_connection(struct cli_http *h, struct connection *k) {
    if (!k) return;
    if (k->easy) h->curl.easy_cleanup(k->easy);
    if (k->multi) h->curl.multi_cleanup(k->multi);
    ig_free(&h->c->mem, k);
}

static struct connection *borrow(struct cli_http *h) {
    for (int i = 0; i < SLOTS; i++) {
        struct connection *k = __atomic_exchange_n(&h->slots[i], NULL, __ATOMIC_ACQ_REL);
        if (k) return k;
    }
    struct connection *k = ig_calloc(&h->c->mem, 1, sizeof *k);
    if (!k) return NULL;
    k->multi = h->curl.multi_init();
    k->easy = h->curl.easy_init();
    if (k->multi && k->easy) return k;
    close_connection(h, k);
    return NULL;
}

static void give_back(struct cli_http *h, struct connection *k) {
    for (int i = 0; i < SLOTS; i++) {
        struct connection *none = NULL;
        if (__atomic_compare_exchange_n(&h->slots[i], &none, k, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED))
            return;
    }
    close_connection(h, k);
}

/* ---- what comes in ---- */

static bool end_of_head(struct exchange *x) {
    long status = 0;
    x->curl->easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 100 && status < 200) return true; /* an interim answer: the real one follows */
    ingle_http_response r = {sizeof r, (int32_t)status, x->headers.p ? x->headers.p : ""};
    x->answered = true;
    x->stopped = x->headers.failed || x->sink->head(x->sink->ud, &r);
    return !x->stopped;
}

static size_t on_header(char *p, size_t size, size_t n, void *ud) {
    struct exchange *x = ud;
    size_t bytes = size * n, len = bytes;
    while (len && (p[len - 1] == '\r' || p[len - 1] == '\n')) len--;
    if (x->answered) return bytes; /* a trailer */
    if (len >= 5 && memcmp(p, "HTTP/", 5) == 0) {
        ig_buf_clear(&x->headers);
        return bytes;
    }
    if (!len) return end_of_head(x) ? bytes : 0;
    if (x->headers.n + len > MAX_HEADERS) return 0;
    bool name = true;
    for (size_t i = 0; i < len; i++) {
        char c = p[i];
        if (c == ':') name = false;
        if (name && c >= 'A' && c <= 'Z') c = (char)(c + 32);
        ig_buf_ch(&x->headers, (unsigned char)c < 0x20 && c != '\t' ? ' ' : c);
    }
    ig_buf_ch(&x->headers, '\n');
    return x->headers.failed ? 0 : bytes;
}

static size_t on_body(char *p, size_t size, size_t n, void *ud) {
    struct exchange *x = ud;
    size_t bytes = size * n;
    x->stopped = x->stopped || (bytes && x->sink->body(x->sink->ud, p, bytes));
    return x->stopped ? 0 : bytes;
}

/* ---- what goes out ---- */

static struct curl_slist *header_list(struct cli_http *h, const char *lines, bool *ok) {
    struct curl_slist *list = NULL;
    for (const char *at = lines; *ok && *at;) {
        size_t n = strcspn(at, "\n");
        struct ig_buf line = {.mem = &h->c->mem};
        ig_buf_add(&line, at, n);
        struct curl_slist *more = line.failed ? NULL : h->curl.slist_append(list, line.p);
        ig_buf_free(&line);
        *ok = more != NULL;
        if (more) list = more;
        at += n + (at[n] == '\n');
    }
    return list;
}

static void set_up(const struct curl *curl, CURL *e, const char *url, struct curl_slist *headers,
                   struct exchange *x, char *why) {
    curl->easy_reset(e); /* keeps connections and the name cache */
    curl->easy_setopt(e, CURLOPT_URL, url);
    curl->easy_setopt(e, CURLOPT_HTTPGET, 1L);
    curl->easy_setopt(e, CURLOPT_HTTPHEADER, headers);
    curl->easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl->easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl->easy_setopt(e, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    curl->easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* a cancel does not wait for a name server */
#endif
    curl->easy_setopt(e, CURLOPT_HTTP_VERSION,
                      (long)CURL_HTTP_VERSION_1_1); /* a range that ends early costs a connection */
    curl->easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    const char *bundle = getenv("SSL_CERT_FILE");
    if (!bundle || !bundle[0]) bundle = getenv("CURL_CA_BUNDLE");
    if (bundle && bundle[0]) curl->easy_setopt(e, CURLOPT_CAINFO, bundle);
    curl->easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(e, CURLOPT_CONNECTTIMEOUT, 30L);
    curl->easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    curl->easy_setopt(e, CURLOPT_BUFFERSIZE, 256L << 10);
    curl->easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl->easy_setopt(e, CURLOPT_HEADERDATA, x);
    curl->easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl->easy_setopt(e, CURLOPT_WRITEDATA, x);
    curl->easy_setopt(e, CURLOPT_ERRORBUFFER, why);
}

static ingle_status judge(const struct exchange *x, CURLcode code, const char *why,
                          ingle_error *err) {
    const char *text = why[0] ? why : x->curl->easy_strerror(code);
    if (x->stopped) return INGLE_CANCELLED;
    switch (code) {
    case CURLE_OK: return INGLE_OK;
    case CURLE_OUT_OF_MEMORY: return ig_fail_memory(err, 0);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
        return ig_fail(err, INGLE_UNSUPPORTED,
                       "is the clock right? is there a proxy that needs its certificate installed?",
                       "the server's certificate is not trusted: %s", text);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT: return ig_fail(err, INGLE_UNSUPPORTED, NULL, "%s", text);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        return ig_fail(err, INGLE_IO,
                       "is this machine online? what is in the store runs without the network",
                       "%s", text);
    default: return ig_fail(err, INGLE_IO, "try again later: what was received stays", "%s", text);
    }
}

static CURLcode drive(struct connection *k, struct exchange *x) {
    int running = 1, left;
    while (running && !x->stopped) {
        if (x->curl->multi_perform(k->multi, &running) != CURLM_OK) return CURLE_RECV_ERROR;
        if (!x->stopped && x->sink->body(x->sink->ud, NULL, 0)) x->stopped = true;
        if (running && !x->stopped) x->curl->multi_poll(k->multi, NULL, 0, BEAT_MS, NULL);
    }
    CURLMsg *m = x->curl->multi_info_read(k->multi, &left);
    return m && m->msg == CURLMSG_DONE ? m->data.result : CURLE_ABORTED_BY_CALLBACK;
}

ingle_status cli_http(void *http, const ingle_http_request *request, const ingle_http_sink *sink,
                      ingle_error *err) {
    struct cli_http *h = http;
    char why[CURL_ERROR_SIZE] = "";
    bool ok = true;
    struct connection *k = borrow(h);
    if (!k) return ig_fail_memory(err, sizeof *k);
    struct exchange x = {
        .curl = &h->curl, .sink = sink, .easy = k->easy, .headers = {.mem = &h->c->mem}};
    struct curl_slist *headers = header_list(h, request->headers, &ok);
    ingle_status s = INGLE_OK;
    set_up(&h->curl, k->easy, request->url, headers, &x, why);
    if (!ok || h->curl.multi_add_handle(k->multi, k->easy) != CURLM_OK) {
        s = ig_fail_memory(err, 0);
    } else {
        CURLcode code = drive(k, &x);
        h->curl.multi_remove_handle(k->multi, k->easy);
        s = judge(&x, code, why, err);
    }
    h->curl.easy_setopt(k->easy, CURLOPT_ERRORBUFFER, NULL);
    h->curl.slist_free_all(headers);
    ig_buf_free(&x.headers);
    give_back(h, k);
    return s;
}

static bool load(struct cli_http *h) {
    static const char *const names[] = {
        "libcurl.so.4",    "libcurl-gnutls.so.4", "/usr/lib/libcurl.4.dylib",
        "libcurl.4.dylib", "libcurl-x64.dll",     "libcurl.dll"};
    for (size_t i = 0; !h->library && i < sizeof names / sizeof *names; i++)
        h->library = cli_library_open(names[i]);
    if (!h->library) return false;
    void *symbol;
#define X(name)                                                                                    \
    if (!(symbol = cli_library_symbol(h->library, "curl_" #name))) return false;                   \
    memcpy(&h->curl.name, &symbol, sizeof symbol);
    FUNCTIONS
#undef X
    return h->curl.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

struct cli_http *cli_http_open(struct cli *c) {
    struct cli_http *h = ig_calloc(&c->mem, 1, sizeof *h);
    if (!h) {
        ig_fail_memory(&c->err, sizeof *h);
        return NULL;
    }
    h->c = c;
    if (load(h)) return h;
    ig_fail(&c->err, INGLE_UNSUPPORTED, "install it (Debian and Ubuntu: libcurl4)",
            h->library ? "libcurl is older than 7.66, or cannot start"
                       : "libcurl is not installed on this machine");
    ig_free(&c->mem, h);
    return NULL;
}

/* The library stays open: some of what it starts cannot be unloaded. */
void cli_http_close(struct cli_http *h) {
    if (!h) return;
    for (int i = 0; i < SLOTS; i++) close_connection(h, h->slots[i]);
    h->curl.global_cleanup();
    ig_free(&h->c->mem, h);
}
#endif
