/* Pulling through a transport of our own: threads, failures of memory and network at every point,
 * cancelling. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "hub/call.h"
#include "hub/sha256.h"

enum { BIG = (5 << 20) + 1234, SMALL = 3000 };

static char home[64];
static uint8_t *content; /* [BIG] */
static char content_sha[65], small_sha[65];
static ingle_error err;

/* ---- memory that fails ---- */

struct failing {
    long count, fail_at; /* 0 = never; counted atomically */
    bool for_ever;
};

static void *hook(void *ud, void *p, size_t old, size_t now) {
    struct failing *f = ud;
    (void)old;
    if (!now) {
        free(p);
        return NULL;
    }
    long n = __atomic_add_fetch(&f->count, 1, __ATOMIC_RELAXED);
    if (f->fail_at && (n == f->fail_at || (f->for_ever && n > f->fail_at))) return NULL;
    return realloc(p, now);
}

/* ---- a network ---- */

struct network {
    long requests, fail_at; /* the exchange that fails; 0 = none */
    size_t piece;
    double delay; /* seconds between pieces; < 0: nothing comes at all */
    bool no_ranges;
    long bytes;
    bool tokens_seen_elsewhere;
};

static int answer(const ingle_http_sink *sink, int status, const char *headers) {
    ingle_http_response r = {sizeof r, status, headers};
    return sink->head(sink->ud, &r);
}

static int wait_beating(const ingle_http_sink *sink, double seconds) {
    for (double end = ig_os_seconds() + seconds; ig_os_seconds() < end; ig_os_sleep(0.005))
        if (sink->body(sink->ud, NULL, 0)) return 1;
    return sink->body(sink->ud, NULL, 0);
}

static ingle_status send(struct network *n, const ingle_http_sink *sink, const uint8_t *p,
                         size_t from, size_t to, bool cut, ingle_error *e) {
    if (cut) to = from + (to - from) / 2;
    for (size_t at = from; at < to;) {
        size_t step = to - at < n->piece ? to - at : n->piece;
        if (n->delay && wait_beating(sink, n->delay))
            return ig_fail(e, INGLE_CANCELLED, NULL, "stopped");
        if (sink->body(sink->ud, p + at, step)) return ig_fail(e, INGLE_CANCELLED, NULL, "stopped");
        __atomic_add_fetch(&n->bytes, (long)step, __ATOMIC_RELAXED);
        at += step;
    }
    return cut ? ig_fail(e, INGLE_IO, NULL, "cut") : INGLE_OK;
}

static ingle_status serve(struct network *n, const ingle_http_request *r,
                          const ingle_http_sink *sink, const uint8_t *p, size_t size, bool cut,
                          ingle_error *e) {
    char headers[200];
    const char *range = strstr(r->headers, "Range: bytes=");
    size_t from = 0, to = size;
    int status = 200;
    if (range && !n->no_ranges) {
        unsigned long long a, b;
        assert_int_equal(sscanf(range, "Range: bytes=%llu-%llu", &a, &b), 2);
        from = (size_t)a;
        to = b + 1 < size ? (size_t)b + 1 : size;
        status = 206;
        assert_true(from < to);
    }
    if (status == 206)
        snprintf(headers, sizeof headers, "content-length: %zu\ncontent-range: bytes %zu-%zu/%zu\n",
                 to - from, from, to - 1, size);
    else
        snprintf(headers, sizeof headers, "content-length: %zu\n", size);
    if (answer(sink, status, headers)) return ig_fail(e, INGLE_CANCELLED, NULL, "stopped");
    return send(n, sink, p, from, to, cut, e);
}

static ingle_status network(void *ud, const ingle_http_request *r, const ingle_http_sink *sink,
                            ingle_error *e) {
    struct network *n = ud;
    long number = __atomic_add_fetch(&n->requests, 1, __ATOMIC_RELAXED);
    bool cut = n->fail_at && number == n->fail_at;
    if (n->delay < 0)
        return wait_beating(sink, 60) ? ig_fail(e, INGLE_CANCELLED, NULL, "stopped") : INGLE_OK;
    if (strstr(r->headers, "Authorization") && !strstr(r->url, "https://hub.test/"))
        __atomic_store_n(&n->tokens_seen_elsewhere, true, __ATOMIC_RELAXED);
    if (cut && number % 2) return ig_fail(e, INGLE_IO, NULL, "no route");
    if (strcmp(r->url, "https://hub.test/api/models/o/r/tree/main?recursive=1") == 0) {
        char text[600];
        int len =
            snprintf(text, sizeof text,
                     "[{\"type\":\"file\",\"path\":\"big-Q4_K_M.gguf\",\"size\":%d,\"lfs\":{"
                     "\"oid\":\"%s\",\"size\":%d}},"
                     "{\"type\":\"file\",\"path\":\"small-Q8_0.gguf\",\"size\":%d,\"oid\":\"5a\"}]",
                     BIG, content_sha, BIG, SMALL);
        if (answer(sink, 200, "content-type: application/json\n"))
            return ig_fail(e, INGLE_CANCELLED, NULL, "stopped");
        return send(n, sink, (const uint8_t *)text, 0, (size_t)len, cut, e);
    }
    if (strstr(r->url, "https://hub.test/o/r/resolve/main/big")) {
        if (answer(sink, 302, "location: https://cdn.test/big?signed\n"))
            return ig_fail(e, INGLE_CANCELLED, NULL, "stopped");
        return INGLE_OK;
    }
    if (strcmp(r->url, "https://cdn.test/big?signed") == 0)
        return serve(n, r, sink, content, BIG, cut, e);
    if (strstr(r->url, "https://hub.test/o/r/resolve/main/small"))
        return serve(n, r, sink, content, SMALL, cut, e);
    answer(sink, 404, "");
    return INGLE_OK;
}

/* ---- help ---- */

static int setup(void **state) {
    (void)state;
    struct ig_sha256 s;
    content = malloc(BIG);
    strcpy(home, "/dev/shm/ingle-pull-XXXXXX"); /* hundreds of pulls, each with its fsync */
    if (!mkdtemp(home)) strcpy(home, "/tmp/ingle-pull-XXXXXX");
    if (!content || (!strncmp(home, "/tmp", 4) && !mkdtemp(home))) return -1;
    for (size_t i = 0; i < BIG; i++) content[i] = (uint8_t)(i * 2654435761u >> 13);
    memcpy(content, "GGUF\3\0\0\0", 8);
    ig_sha256_begin(&s);
    ig_sha256_add(&s, content, BIG);
    ig_sha256_end(&s, content_sha);
    ig_sha256_begin(&s);
    ig_sha256_add(&s, content, SMALL);
    ig_sha256_end(&s, small_sha);
    return 0;
}

static void forget(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s/models", home);
    assert_int_equal(system(command), 0);
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", home);
    free(content);
    return system(command);
}

static ingle_hub *open_hub(struct failing *f, struct network *n) {
    ingle_hub *h = NULL;
    struct ig_mem mem = {.hook = hook, .ud = f};
    if (ig_hub_open(&h, mem, network, n, &err)) return NULL;
    const char *const rows[][2] = {{"home", home},
                                   {"endpoint", "https://hub.test"},
                                   {"token", "secret"},
                                   {"range-bytes", "1048576"},
                                   {"retries", "2"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (ingle_hub_set(h, rows[i][0], rows[i][1], &err)) {
            ingle_hub_close(h);
            return NULL;
        }
    return h;
}

static bool holds(const char *name, size_t n) {
    char path[128];
    snprintf(path, sizeof path, "%s/models/%s", home, name);
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    uint8_t *p = malloc(n + 1);
    bool same = p && fread(p, 1, n + 1, f) == n && memcmp(p, content, n) == 0;
    free(p);
    fclose(f);
    return same;
}

static bool is_there(const char *name) {
    char path[128];
    snprintf(path, sizeof path, "%s/models/%s", home, name);
    return access(path, F_OK) == 0;
}

static int collect(void *ud, const char *text, size_t n) {
    char *out = ud;
    if (n >= 2000) return 1;
    memcpy(out, text, n);
    out[n] = 0;
    return 0;
}

/* ---- tests ---- */

static void test_pull(void **state) {
    (void)state;
    struct failing f = {0};
    struct network n = {.piece = 100000};
    char text[2000] = "";
    ingle_hub *h = open_hub(&f, &n);
    assert_non_null(h);
    assert_int_equal(ingle_hub_pull(h, "o/r", NULL, NULL, collect, text, &err), INGLE_OK);
    assert_true(holds("big-Q4_K_M.gguf", BIG));
    assert_non_null(strstr(text, content_sha));
    assert_false(n.tokens_seen_elsewhere);
    long before = n.requests;
    assert_int_equal(ingle_hub_pull(h, "o/r", NULL, NULL, NULL, NULL, &err), INGLE_OK);
    assert_int_equal(n.requests, before + 1);
    assert_int_equal(ingle_hub_verify(h, "big", NULL, NULL, &err), INGLE_OK);
    assert_int_equal(ingle_hub_find(h, "o/r", collect, text, &err), INGLE_OK);
    assert_non_null(strstr(text, "/models/big-Q4_K_M.gguf"));
    assert_int_equal(ingle_hub_remove(h, "big", &err), INGLE_NOT_FOUND);
    assert_int_equal(ingle_hub_remove(h, "big-Q4_K_M", &err), INGLE_OK);
    assert_false(is_there("big-Q4_K_M.gguf"));
    ingle_hub_close(h);
    forget();
}

/* The n-th exchange is cut or not made at all: the pull goes on. */
static void test_network_fails_anywhere(void **state) {
    (void)state;
    for (long i = 1; i <= 9; i++) {
        struct failing f = {0};
        struct network n = {.piece = 70000, .fail_at = i, .no_ranges = i == 8};
        ingle_hub *h = open_hub(&f, &n);
        assert_non_null(h);
        assert_int_equal(ingle_hub_pull(h, "o/r", NULL, NULL, NULL, NULL, &err), INGLE_OK);
        assert_true(holds("big-Q4_K_M.gguf", BIG));
        ingle_hub_close(h);
        forget();
    }
}

/* Each allocation fails once, or from then on: an error or success, never a crash, a leak or half a
 * file; and the next pull succeeds. */
static void test_memory_fails_anywhere(void **state) {
    (void)state;
    long failures = 0;
    for (int small = 0; small < 2; small++)
        for (int for_ever = 0; for_ever < 2; for_ever++) {
            /* the big file takes more threads and more time: not every point */
            for (long i = 1;; i += small ? 1 : 1 + i / 12) {
                struct failing f = {.fail_at = i, .for_ever = for_ever};
                struct network n = {.piece = 1 << 20};
                ingle_hub *h = open_hub(&f, &n);
                size_t used = h ? ig_mem_used(&h->mem) : 0;
                ingle_status s =
                    h ? ingle_hub_pull(h, small ? "o/r:q8_0" : "o/r", NULL, NULL, NULL, NULL, &err)
                      : INGLE_NO_MEMORY;
                bool reached = f.count >= i;
                if (h) {
                    struct failing none = {0};
                    h->mem.ud = &none;
                    assert_int_equal(ig_mem_used(&h->mem),
                                     used); /* nothing leaks from a pull that failed */
                    const char *name = small ? "small-Q8_0.gguf" : "big-Q4_K_M.gguf";
                    if (s)
                        assert_true(s == INGLE_NO_MEMORY || s == INGLE_IO || s == INGLE_NOT_FOUND);
                    if (!s || is_there(name)) assert_true(holds(name, small ? SMALL : BIG));
                    assert_int_equal(
                        ingle_hub_pull(h, small ? "o/r:q8_0" : "o/r", NULL, NULL, NULL, NULL, &err),
                        INGLE_OK);
                    assert_true(holds(name, small ? SMALL : BIG));
                    assert_int_equal(ig_mem_used(&h->mem), used);
                    ingle_hub_close(h);
                }
                forget();
                if (!reached) break;
                failures++;
            }
        }
    assert_true(failures > 100);
}

/* A process that is killed at any moment leaves nothing half under a final name, and the next one
 * finishes. */
static void test_killed_at_any_moment(void **state) {
    (void)state;
    unsigned seed = 7, finished = 0;
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (!child) {
            struct failing f = {0};
            struct network n = {.piece = 200000};
            ingle_hub *h = open_hub(&f, &n);
            _exit(!h || ingle_hub_pull(h, i % 2 ? "o/r" : "o/r:q8_0", NULL, NULL, NULL, NULL,
                                       NULL) != INGLE_OK);
        }
        seed = seed * 1664525u + 1013904223u;
        usleep(seed >> 8 & 0x7fff); /* up to 33 ms */
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        if (is_there("big-Q4_K_M.gguf")) assert_true(holds("big-Q4_K_M.gguf", BIG));
        if (is_there("small-Q8_0.gguf")) assert_true(holds("small-Q8_0.gguf", SMALL));
        if (!is_there(i % 2 ? "big-Q4_K_M.gguf" : "small-Q8_0.gguf")) continue;
        finished++;
        forget();
    }
    struct failing f = {0};
    struct network n = {.piece = 1 << 20};
    ingle_hub *h = open_hub(&f, &n);
    assert_int_equal(ingle_hub_pull(h, "o/r", NULL, NULL, NULL, NULL, &err), INGLE_OK);
    assert_int_equal(ingle_hub_pull(h, "o/r:q8_0", NULL, NULL, NULL, NULL, &err), INGLE_OK);
    assert_true(holds("big-Q4_K_M.gguf", BIG) && holds("small-Q8_0.gguf", SMALL));
    assert_int_equal(ingle_hub_verify(h, "big", NULL, NULL, &err), INGLE_OK);
    assert_int_equal(ingle_hub_verify(h, "small", NULL, NULL, &err), INGLE_OK);
    ingle_hub_close(h);
    forget();
    print_message("%u of 60 were done before the kill\n", finished);
}

struct stopper {
    double stop_at, asked_at; /* seconds after the first call; when it was said */
    double first;
    double longest, last;
};

static int stop_later(void *ud, const ingle_hub_progress *p) {
    struct stopper *s = ud;
    double now = ig_os_seconds();
    assert_true(p->size == sizeof *p && p->phase && p->file && p->bytes_done >= 0);
    if (!s->first) s->first = now;
    if (s->last && now - s->last > s->longest) s->longest = now - s->last;
    s->last = now;
    if (now - s->first < s->stop_at) return 0;
    if (!s->asked_at) s->asked_at = now;
    return 1;
}

static void test_cancel(void **state) {
    (void)state;
    static const struct {
        double delay, at;
    } rows[] = {{0.01, 0}, {0.01, 0.1}, {0.01, 0.2}, {0.03, 0.15}, {-1, 0.1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct failing f = {0};
        struct network n = {.piece = 65536, .delay = rows[i].delay};
        struct stopper s = {.stop_at = rows[i].at};
        ingle_hub *h = open_hub(&f, &n);
        assert_int_equal(ingle_hub_pull(h, "o/r", stop_later, &s, NULL, NULL, &err),
                         INGLE_CANCELLED);
        double took = ig_os_seconds() - s.asked_at;
        if (took > 0.5)
            fail_msg("cancelling took %.3f s", took); /* 50 ms; the machine of a test may be busy */
        assert_false(is_there("big-Q4_K_M.gguf"));
        ingle_hub_close(h);
    }
    struct failing f = {0};
    struct network n = {.piece = 1 << 20};
    ingle_hub *h = open_hub(&f, &n);
    assert_int_equal(ingle_hub_pull(h, "o/r", NULL, NULL, NULL, NULL, &err), INGLE_OK);
    assert_true(holds("big-Q4_K_M.gguf", BIG));
    ingle_hub_close(h);
    forget();
}

static void *pull_thread(void *ud) {
    struct stopper s = {.stop_at = 1e9};
    return (void *)(uintptr_t)ingle_hub_pull(ud, "o/r", stop_later, &s, NULL, NULL, NULL);
}

static void test_threads_share_a_pull(void **state) {
    (void)state;
    struct failing f = {0};
    struct network n = {.piece = 100000, .delay = 0.005};
    ingle_hub *h = open_hub(&f, &n);
    pthread_t threads[4];
    void *result;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pull_thread, h), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &result);
        assert_int_equal((uintptr_t)result, INGLE_OK);
    }
    assert_true(holds("big-Q4_K_M.gguf", BIG));
    assert_true(n.bytes < BIG + 10000); /* the rest are lists of files */
    ingle_hub_close(h);
    forget();
}

/* ---- redirects ---- */

struct redirect {
    const char *to;     /* where https://hub.test/start.gguf points */
    const char *to_too; /* where anything else points; NULL: it answers */
    int asked, with_token, token_elsewhere;
    char last[200];
};

static ingle_status redirecting(void *ud, const ingle_http_request *r, const ingle_http_sink *sink,
                                ingle_error *e) {
    struct redirect *x = ud;
    char headers[300];
    bool first = strcmp(r->url, "https://hub.test/start.gguf") == 0;
    bool token = strstr(r->headers, "Authorization: Bearer secret\n") != NULL;
    const char *to = first ? x->to : x->to_too;
    x->asked++;
    x->with_token += token;
    x->token_elsewhere += token && strncmp(r->url, "https://hub.test/", 17) != 0;
    snprintf(x->last, sizeof x->last, "%s", r->url);
    if (!to) {
        struct network n = {.piece = SMALL};
        return serve(&n, r, sink, content, SMALL, false, e);
    }
    snprintf(headers, sizeof headers, "location: %s\n", to);
    if (answer(sink, 302, headers)) return ig_fail(e, INGLE_CANCELLED, NULL, "stopped");
    return INGLE_OK;
}

static ingle_hub *open_redirecting(struct redirect *x, const char *endpoint) {
    ingle_hub *h;
    assert_int_equal(ingle_hub_open(&h, redirecting, x, &err), INGLE_OK);
    assert_int_equal(ingle_hub_set(h, "home", home, &err), INGLE_OK);
    assert_int_equal(ingle_hub_set(h, "endpoint", endpoint, &err), INGLE_OK);
    assert_int_equal(ingle_hub_set(h, "token", "secret", &err), INGLE_OK);
    return h;
}

static void test_redirects(void **state) {
    (void)state;
    static const struct {
        const char *to, *to_too, *last; /* last NULL: refused */
        int with_token;
    } rows[] = {
        {"https://cdn.test/x", NULL, "https://cdn.test/x", 1},
        {"/other", NULL, "https://hub.test/other", 2},
        {"https://HUB.test:443/other", NULL, "https://HUB.test:443/other", 2},
        {"https://hub.test:8443/other", NULL, "https://hub.test:8443/other", 1},
        {"https://hub.test.evil.test/", NULL, "https://hub.test.evil.test/", 1},
        {"http://hub.test/x", NULL, NULL, 1},
        {"http://cdn.test/x", NULL, NULL, 1},
        {"https://localhost/x", NULL, NULL, 1},
        {"https://127.0.0.1/x", NULL, NULL, 1},
        {"https://169.254.169.254/latest", NULL, NULL, 1},
        {"https://[::1]/x", NULL, NULL, 1},
        {"https://2130706433/x", NULL, NULL, 1},
        {"https://router/x", NULL, NULL, 1},
        {"ftp://cdn.test/x", NULL, NULL, 1},
        {"https://u:p@cdn.test/x", NULL, NULL, 1},
        {"https://cdn.test/x", "http://cdn.test/y", NULL, 1},
        {"https://cdn.test/x", "/y", NULL, 1},                            /* in a circle */
        {"https://cdn.test/x", "https://hub.test/private.gguf", NULL, 1}, /* and back home */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct redirect x = {.to = rows[i].to, .to_too = rows[i].to_too};
        ingle_hub *h = open_redirecting(&x, "https://hub.test");
        ingle_status s =
            ingle_hub_pull(h, "https://hub.test/start.gguf", NULL, NULL, NULL, NULL, &err);
        if ((s == INGLE_OK) != (rows[i].last != NULL)) fail_msg("%s: %s", rows[i].to, err.message);
        if (rows[i].last) assert_string_equal(x.last, rows[i].last);
        if (!rows[i].last) assert_int_equal(s, INGLE_UNSUPPORTED);
        if (x.with_token != rows[i].with_token) fail_msg("%s: %d", rows[i].to, x.with_token);
        assert_int_equal(x.token_elsewhere,
                         rows[i].last && strncmp(rows[i].last, "https://HUB", 11) == 0);
        assert_true(x.asked <= 11);
        ingle_hub_close(h);
        forget();
    }
}

static void test_no_token_over_http(void **state) {
    (void)state;
    struct redirect x = {.to = NULL};
    ingle_hub *h = open_redirecting(&x, "http://hub.test");
    assert_int_equal(ingle_hub_pull(h, "http://hub.test/x.gguf", NULL, NULL, NULL, NULL, &err),
                     INGLE_OK);
    assert_int_equal(x.with_token, 0);
    assert_int_equal(ingle_hub_set(h, "endpoint", "http://127.0.0.1:80", &err), INGLE_OK);
    assert_int_equal(ingle_hub_pull(h, "http://127.0.0.1/y.gguf", NULL, NULL, NULL, NULL, &err),
                     INGLE_OK);
    assert_int_equal(x.with_token, 1);
    ingle_hub_close(h);
    forget();
}

static void test_no_network(void **state) {
    (void)state;
    ingle_hub *h;
    assert_int_equal(ingle_hub_open(&h, NULL, NULL, &err), INGLE_OK);
    assert_int_equal(ingle_hub_set(h, "home", home, &err), INGLE_OK);
    assert_int_equal(ingle_hub_pull(h, "o/r", NULL, NULL, NULL, NULL, &err), INGLE_UNSUPPORTED);
    assert_int_equal(ingle_hub_pull(h, NULL, NULL, NULL, NULL, NULL, &err), INGLE_BAD_ARGUMENT);
    assert_int_equal(ingle_hub_pull(NULL, "o/r", NULL, NULL, NULL, NULL, &err), INGLE_BAD_ARGUMENT);
    ingle_hub_close(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pull),
        cmocka_unit_test(test_network_fails_anywhere),
        cmocka_unit_test(test_memory_fails_anywhere),
        cmocka_unit_test(test_killed_at_any_moment),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_threads_share_a_pull),
        cmocka_unit_test(test_redirects),
        cmocka_unit_test(test_no_token_over_http),
        cmocka_unit_test(test_no_network),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
