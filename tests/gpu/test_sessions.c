/* Sessions whose layers lie on the host device, or on two of them, against sessions of the
 * processor: the same bits whatever is placed where, in prompts and steps, beside others, cut,
 * saved and loaded, with prediction layers, after a rest and after every kind of fault.
 *
 * `gpu_test_sessions NAME...` runs only the models of those names. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/heads.h"
#include "gpu/thin.h"
#include "gpu/host_device.h"
#include "unit/make_predict.h"

enum { N = 48, MOST_VOCAB = 512, BESIDE = 4 };

static char **only;
static int n_only;
static ingle_error err;
static int32_t ids[N];
static float want[N][MOST_VOCAB], got[N][MOST_VOCAB];
static char said[4096]; /* by the log, the last lines */

static const char *const names[] = {"llama", "qwen3-moe",  "gemma4", "gpt-oss",
                                    "phi3",  "mixtral",    "gemma2", "llama3-rope",
                                    "gpt2",  "mistral-swa"};

static void hear(void *ud, ingle_log_level level, const char *line) {
    (void)ud; /* lines of several threads may mix: a test only looks for what is there */
    size_t n = strlen(said);
    if (level >= INGLE_LOG_INFO && n + strlen(line) + 2 < sizeof said)
        snprintf(said + n, sizeof said - n, "%s\n", line);
}

static const char *golden(const char *name) {
    static char path[512];
    const char *top = getenv("INGLE_GOLDEN");
    snprintf(path, sizeof path, "%s/models/%s", top ? top : "tests/golden", name);
    return path;
}

static ingle_model *open_model(const char *path) {
    ingle_model *m;
    ingle_options *o;
    said[0] = 0;
    assert_int_equal(ingle_options_new(&o, &err), INGLE_OK);
    ingle_options_on_log(o, hear, NULL, INGLE_LOG_INFO);
    if (ingle_model_open(&m, path, o, &err)) fail_msg("%s", err.message);
    ingle_options_free(o);
    return m;
}

/* Pairs of names and values, ended by NULL. */
static ingle_status try_session(ingle_session **s, const ingle_model *m, const char *device,
                                const char *layers, const char *const *more) {
    ingle_options *o;
    const char *base[] = {"device", device, "gpu-layers", layers, "context", "64", "batch", "40"};
    assert_int_equal(ingle_options_new(&o, &err), INGLE_OK);
    ingle_options_on_log(o, hear, NULL, INGLE_LOG_INFO);
    for (size_t i = 0; i < sizeof base / sizeof *base; i += 2)
        assert_int_equal(ingle_options_set(o, base[i], base[i + 1], &err), INGLE_OK);
    for (; more && *more; more += 2)
        assert_int_equal(ingle_options_set(o, more[0], more[1], &err), INGLE_OK);
    ingle_status status = ingle_session_open(s, m, o, &err);
    ingle_options_free(o);
    return status;
}

static ingle_session *session(const ingle_model *m, const char *device, const char *layers,
                              const char *const *more) {
    ingle_session *s;
    if (try_session(&s, m, device, layers, more)) fail_msg("%s %s", err.message, err.hint);
    return s;
}

static void make_ids(const ingle_model *m) {
    for (size_t i = 0; i < N; i++)
        ids[i] = (int32_t)(i * i * 7 + i * 13 + 5) % ingle_model_vocab_size(m);
}

static int take_row(void *ud, size_t position, const float *logits) {
    const ingle_model *m = ud;
    memcpy(got[position], logits, (size_t)ingle_model_vocab_size(m) * sizeof *logits);
    return 0;
}

static void compute(ingle_session *s, const ingle_model *m) {
    memset(got, 0xff, sizeof got);
    if (ingle_session_sync_each(s, ids, N, take_row, (void *)(uintptr_t)m, &err))
        fail_msg("%s", err.message);
}

static void same(const ingle_model *m, const char *what, size_t from) {
    for (size_t i = from; i < N; i++)
        if (memcmp(got[i], want[i], (size_t)ingle_model_vocab_size(m) * 4))
            fail_msg("%s: other bits at position %zu", what, i);
}

static void same_last(const ingle_session *s, const ingle_model *m, const char *what, size_t n) {
    const float *logits = ingle_session_logits(s);
    assert_non_null(logits);
    if (memcmp(logits, want[n - 1], (size_t)ingle_model_vocab_size(m) * 4))
        fail_msg("%s: other bits behind %zu tokens", what, n);
}

static void make_want(const ingle_model *m) {
    make_ids(m);
    ingle_session *s = session(m, "none", "auto", NULL);
    compute(s, m);
    memcpy(want, got, sizeof want);
    ingle_session_close(s);
}

static void sync_to(ingle_session *s, size_t n) {
    if (ingle_session_sync(s, ids, n, &err)) fail_msg("%s", err.message);
}

/* ---- Bits ---- */

static const char *chosen(size_t i) {
    bool here = !n_only;
    for (int k = 0; k < n_only; k++) here |= !strcmp(only[k], names[i]);
    return here ? names[i] : NULL;
}

static void placed_anyhow(void **state) {
    (void)state;
    static const char *const ways[][3] = {{"host0", "all", "f16"},       {"host1", "1", "f32"},
                                          {"host2", "2", "q8_0"},        {"host0", "1", "q8_0"},
                                          {"host0,host1", "all", "f16"}, {"host1", "all", "f32"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!chosen(i) || (!n_only && i % thin(6, 1))) continue;
        ingle_model *m = open_model(golden(names[i]));
        make_ids(m);
        for (size_t w = i % 2; w < sizeof ways / sizeof *ways; w += 2) {
            char what[128];
            const char *kv[] = {"kv", ways[w][2], NULL};
            snprintf(what, sizeof what, "%s, %s layers on %s, %s", names[i], ways[w][1], ways[w][0],
                     ways[w][2]);
            ingle_session *s = session(m, "none", "auto", kv);
            compute(s, m);
            memcpy(want, got, sizeof want);
            ingle_session_close(s);
            uint64_t launches = ig_host_launches();
            s = session(m, ways[w][0], ways[w][1], kv);
            compute(s, m);
            same(m, what, 0);
            assert_true(ig_host_launches() > launches);
            ig_session_cut(s, 17);
            sync_to(s, 33);
            same_last(s, m, what, 33);
            for (size_t n = 34; n <= 40; n++) {
                if (ingle_session_step(s, ids[n - 1], &err)) fail_msg("%s", err.message);
                same_last(s, m, what, n);
            }
            ingle_session_close(s);
        }
        ingle_model_close(m);
        unsigned buffers;
        assert_int_equal(ig_host_allocated(&buffers), 0);
        assert_int_equal(buffers, 0);
    }
}

/* Timelines of which some are the device's, in one pass on the device or on the processor. */
static void beside_others(void **state) {
    (void)state;
    ingle_model *m = open_model(golden("qwen3-moe"));
    make_want(m);
    for (int lead = 0; lead < 2; lead++) {
        ingle_session *s[BESIDE];
        int32_t next[BESIDE];
        for (size_t i = 0; i < BESIDE; i++) {
            s[i] = session(m, ((int)i + lead) % 2 ? "none" : "host1", "1", NULL);
            sync_to(s[i], 10 + 5 * i);
        }
        for (size_t at = 0; at < 12; at++) {
            for (size_t i = 0; i < BESIDE; i++) next[i] = ids[10 + 5 * i + at];
            if (ingle_sessions_step(s, next, BESIDE, &err)) fail_msg("%s", err.message);
            for (size_t i = 0; i < BESIDE; i++)
                same_last(s[i], m, "beside others", 11 + 5 * i + at);
            if (at % 4 == 3) { /* alone again for a while */
                at++;
                for (size_t i = 0; i < BESIDE; i++) {
                    if (ingle_session_step(s[i], ids[10 + 5 * i + at], &err))
                        fail_msg("%s", err.message);
                    same_last(s[i], m, "alone again", 11 + 5 * i + at);
                }
            }
        }
        for (size_t i = 0; i < BESIDE; i++) ingle_session_close(s[i]);
    }
    ingle_model_close(m);
}

static void saved_and_rested(void **state) {
    (void)state;
    char path[] = "/tmp/ingle-gpu-saved-XXXXXX";
    close(mkstemp(path));
    ingle_model *m = open_model(golden("gemma2"));
    make_want(m);
    ingle_session *a = session(m, "host0", "all", NULL), *b = session(m, "none", "auto", NULL),
                  *c = session(m, "host0", "1", NULL);
    unsigned buffers;
    sync_to(a, 20);
    same_last(a, m, "all layers", 20);
    sync_to(c, 44);
    assert_int_equal(ingle_session_save(a, path, &err), INGLE_OK);
    assert_int_equal(ingle_session_load(b, path, &err), INGLE_OK);
    assert_int_equal(ingle_session_load(c, path, &err), INGLE_OK);
    sync_to(b, 30);
    same_last(b, m, "saved by the device", 30);
    sync_to(c, 30);
    same_last(c, m, "loaded by a device", 30);
    assert_true(ig_host_allocated(&buffers) > 0);
    ingle_model_rest(m);
    assert_int_equal(ig_host_allocated(&buffers), 0);
    sync_to(a, 30);
    same_last(a, m, "after a rest", 30);
    sync_to(c, 35);
    same_last(c, m, "after a rest", 35);
    ingle_session_close(a);
    ingle_session_close(b);
    ingle_session_close(c);
    ingle_model_close(m);
    unlink(path);
    assert_int_equal(ig_host_allocated(&buffers), 0);
}

/* Two threads with sessions on one device, and one that wants the memory back all the time. */
struct worker {
    struct ig_thread thread;
    const ingle_model *m;
    const char *layers;
    ingle_session *s;
    _Atomic bool done;
    const char *wrong;
};

static void work(void *ud) {
    struct worker *w = ud;
    ingle_error why;
    size_t bytes = (size_t)ingle_model_vocab_size(w->m) * sizeof(float);
    ingle_session *s = w->s;
    for (int i = 0; i < 6 && !w->wrong; i++) {
        ig_session_cut(s, 0);
        for (size_t n = 8; n <= N && !w->wrong; n += n < 24 ? 8 : 1)
            if (ingle_session_sync(s, ids, n, &why))
                w->wrong = "a pass failed";
            else if (memcmp(ingle_session_logits(s), want[n - 1], bytes))
                w->wrong = "other bits";
    }
    atomic_store(&w->done, true);
}

static void threads_and_rests(void **state) {
    (void)state;
    ingle_model *m = open_model(golden("qwen3-moe"));
    make_want(m);
    struct worker w[2] = {{.m = m, .layers = "all"}, {.m = m, .layers = "1"}};
    for (int i = 0; i < 2; i++) w[i].s = session(m, "host1", w[i].layers, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(ig_os_thread_start(&w[i].thread, work, &w[i], 0, &err), INGLE_OK);
    unsigned rests = 0;
    for (; !atomic_load(&w[0].done) || !atomic_load(&w[1].done); rests++) {
        ingle_model_rest(m);
        ig_os_sleep(0.002);
    }
    for (int i = 0; i < 2; i++) {
        ig_os_thread_join(&w[i].thread);
        ingle_session_close(w[i].s);
        if (w[i].wrong) fail_msg("%s, %s layers, %u rests", w[i].wrong, w[i].layers, rests);
    }
    assert_null(strstr(said, "not used any more"));
    ingle_model_close(m);
}

struct canceller {
    struct ig_thread thread;
    ingle_session *s;
    double delay;
};

static void cancel_later(void *ud) {
    struct canceller *c = ud;
    ig_os_sleep(c->delay);
    ingle_session_cancel(c->s);
}

/* Wherever a pass is cancelled, the next one is right and the device stays in use. */
static void cancelled_in_the_middle(void **state) {
    (void)state;
    ingle_model *m = open_model(golden("qwen3-moe"));
    make_want(m);
    unsigned cancelled = 0;
    ingle_session *s = session(m, "host0,host1", "2", NULL);
    for (int i = 0; i < 40; i++) {
        struct canceller c = {.s = s, .delay = 2e-4 * i};
        ig_session_cut(s, i % 3 ? 0 : 7);
        assert_int_equal(ig_os_thread_start(&c.thread, cancel_later, &c, 0, &err), INGLE_OK);
        ingle_status status = ingle_session_sync(s, ids, 40, &err);
        ig_os_thread_join(&c.thread);
        assert_true(status == INGLE_OK || status == INGLE_CANCELLED);
        cancelled += status == INGLE_CANCELLED;
        sync_to(s, 33 + (size_t)i % 8);
        same_last(s, m, "after a cancelled pass", 33 + (size_t)i % 8);
    }
    assert_true(cancelled > 0);
    assert_null(strstr(said, "not used any more"));
    ingle_session_close(s);
    ingle_model_close(m);
}

static void embeddings(void **state) {
    (void)state;
    static float one[2][1024];
    ingle_model *m = open_model(golden("llama"));
    make_ids(m);
    assert_true(ingle_model_width(m) <= 1024);
    for (int pooling = INGLE_POOL_MEAN; pooling <= INGLE_POOL_FIRST; pooling++) {
        for (int i = 0; i < 2; i++) {
            ingle_session *s = session(m, i ? "host0" : "none", i ? "all" : "auto", NULL);
            if (ingle_session_embed(s, ids, N, (ingle_pooling)pooling, one[i], &err))
                fail_msg("%s", err.message);
            ingle_session_close(s);
        }
        assert_memory_equal(one[0], one[1], (size_t)ingle_model_width(m) * sizeof(float));
    }
    ingle_model_close(m);
}

/* A request whose guesses come from a prediction layer: text and states by way of the device. */
static void prediction_layers(void **state) {
    (void)state;
    char path[] = "/tmp/ingle-gpu-heads-XXXXXX", text[2][4096] = {"", ""};
    close(mkstemp(path));
    write_predict(path, P_ALL);
    ingle_model *m = open_model(path);
    for (int i = 0; i < 2; i++) {
        ingle_session *s = session(m, i ? "host1" : "none", i ? "all" : "auto", NULL);
        struct ig_heads *h;
        size_t n = 0;
        for (size_t k = 0; k < 24; k++) ids[k] = (int32_t)(k * k + 3) % P_VOCAB;
        if (ig_heads_open(&h, s, &err)) fail_msg("%s", err.message);
        for (uint32_t at = 8; at < 24; at += 4) {
            if (ig_session_sync(s, ids, at - 1, NULL, NULL, &err) ||
                ig_heads_sync(h, ids, at, &err) || ig_heads_step(h, ids[at], &err))
                fail_msg("%s", err.message);
            for (int k = 0; k < P_VOCAB && n < sizeof text[i] - 12; k++)
                n += (size_t)snprintf(text[i] + n, 12, "%a", (double)h->logits[k]);
        }
        ig_heads_close(h);
        ingle_session_close(s);
    }
    assert_string_equal(text[0], text[1]);
    ingle_model_close(m);
    unlink(path);
}

/* ---- Faults ---- */

/* Opens, computes a prompt and steps while the n-th call fails. Returns how far it went wrong: 0
 * the session could not be opened, 1 all went well. */
static int with_fault(const ingle_model *m, const char *what, unsigned n, bool forever,
                      const char *device) {
    ingle_session *s;
    char name[96];
    snprintf(name, sizeof name, "%s %u fails%s on %s", what, n, forever ? " from then on" : "",
             device);
    said[0] = 0;
    ig_host_fail(what, n, forever);
    ingle_status status = try_session(&s, m, device, "1", NULL);
    if (status != INGLE_OK) {
        ig_host_fail(what, 0, false);
        assert_true(status == INGLE_DEVICE || status == INGLE_NO_MEMORY);
        assert_true(err.message[0]);
        return 0;
    }
    sync_to(s, 20);
    same_last(s, m, name, 20);
    for (size_t k = 21; k <= 26; k++) {
        if (ingle_session_step(s, ids[k - 1], &err)) fail_msg("%s: %s", name, err.message);
        same_last(s, m, name, k);
    }
    ig_host_fail(what, 0, false);
    sync_to(s, 30);
    same_last(s, m, name, 30);
    ingle_session_close(s);
    return 1;
}

static void every_call_may_fail(void **state) {
    (void)state;
    static const char *const calls[] = {"alloc",  "launch", "upload", "download",
                                        "kernel", "copy",   "sync"};
    size_t used = 0;
    unsigned dropped = 0;
    for (int i = 0; i < 7; i++)
        for (int forever = 0; forever < 2; forever++)
            for (unsigned n = 1, calm = 0; n < 400 && calm < 3; n += n < 20 ? thin(11, 2) : n / 3) {
                unsigned buffers;
                ingle_model *m = open_model(golden(n % 2 ? "llama" : "qwen3-moe"));
                make_want(m);
                with_fault(m, calls[i], n, forever, n % 3 ? "host0" : "host0,host1");
                bool told = strstr(said, "not used any more") != NULL;
                dropped += told;
                calm = told || n < 10 ? 0 : calm + 1;
                ingle_model_close(m);
                used = ig_host_allocated(&buffers);
                if (used || buffers) fail_msg("%s %u: %zu bytes left", calls[i], n, used);
            }
    assert_true(dropped > 5);
}

/* ---- The host's memory ---- */

static struct {
    long count, live, fail_at; /* fail_at 0: never */
    bool forever;
} hook;

static void *allocate(void *ud, void *p, size_t old, size_t now) {
    (void)ud;
    (void)old;
    if (!now) {
        hook.live -= p != NULL;
        free(p);
        return NULL;
    }
    long n = ++hook.count;
    if (hook.fail_at && (n == hook.fail_at || (n > hook.fail_at && hook.forever))) return NULL;
    void *q = realloc(p, now);
    hook.live += q && !p;
    return q;
}

static ingle_status course(ingle_session **s, const ingle_model *m, const ingle_options *o) {
    if (!*s) IG_TRY(ingle_session_open(s, m, o, &err));
    IG_TRY(ingle_session_sync(*s, ids, 20, &err));
    return ingle_session_sync(*s, ids, 21, &err);
}

/* Allocation 1, 2, 3 ... fails, alone or with all behind it: a status, or a device less; then, with
 * memory again, the same bits. */
static void every_allocation_may_fail(void **state) {
    (void)state;
    static const char *const set[] = {"device",  "host0,host1", "gpu-layers", "2",
                                      "threads", "1",           "context",    "64"};
    ingle_options *o;
    ingle_model *m;
    assert_int_equal(ingle_options_new(&o, &err), INGLE_OK);
    for (size_t i = 0; i < sizeof set / sizeof *set; i += 2)
        assert_int_equal(ingle_options_set(o, set[i], set[i + 1], &err), INGLE_OK);
    ingle_options_on_alloc(o, allocate, NULL);
    bool more = true;
    for (long n = 1; more; n += n < 150 ? (long)thin(29, 5) : n / 20)
        for (int forever = 0; forever < 2; forever++) {
            ingle_session *s = NULL;
            assert_int_equal(ingle_model_open(&m, golden("qwen3-moe"), o, &err), INGLE_OK);
            if (n == 1 && !forever) make_want(m);
            hook.count = 0;
            hook.fail_at = n;
            hook.forever = forever;
            ingle_status status = course(&s, m, o);
            more = hook.count >= n;
            hook.fail_at = 0;
            assert_true(status == INGLE_OK || status == INGLE_NO_MEMORY);
            if (course(&s, m, o) != INGLE_OK) fail_msg("allocation %ld: %s", n, err.message);
            same_last(s, m, "after an allocation that failed", 21);
            ingle_session_close(s);
            ingle_model_close(m);
            if (hook.live) fail_msg("allocation %ld: %ld blocks are left", n, hook.live);
        }
    ingle_options_free(o);
}

static void unknown_devices(void **state) {
    (void)state;
    ingle_model *m = open_model(golden("llama"));
    ingle_session *s;
    assert_int_equal(try_session(&s, m, "host7", "all", NULL), INGLE_NOT_FOUND);
    assert_non_null(strstr(err.message, "host7"));
    assert_non_null(strstr(err.hint, "host0"));
    uint64_t launches = ig_host_launches();
    s = session(m, "auto", "auto", NULL); /* too small to be worth it */
    sync_to(s, 5);
    ingle_session_close(s);
    s = session(m, "auto", "0", NULL);
    sync_to(s, 5);
    ingle_session_close(s);
    assert_int_equal(ig_host_launches(), launches);
    s = session(m, "auto", "all", NULL);
    sync_to(s, 5);
    ingle_session_close(s);
    assert_true(ig_host_launches() > launches);
    said[0] = 0;
    s = session(m, "host0", "all", NULL);
    assert_non_null(strstr(said, "layers and the output on host0"));
    ingle_session_close(s);
    ingle_model_close(m);
}

static int setup(void **state) {
    (void)state;
    ig_backend_test(&ig_backend_host);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    ig_backend_test(NULL);
    p_free();
    return 0;
}

int main(int argc, char **argv) {
    only = argv + 1;
    n_only = argc - 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(placed_anyhow),
                                       cmocka_unit_test(beside_others),
                                       cmocka_unit_test(saved_and_rested),
                                       cmocka_unit_test(threads_and_rests),
                                       cmocka_unit_test(cancelled_in_the_middle),
                                       cmocka_unit_test(embeddings),
                                       cmocka_unit_test(prediction_layers),
                                       cmocka_unit_test(every_call_may_fail),
                                       cmocka_unit_test(every_allocation_may_fail),
                                       cmocka_unit_test(unknown_devices)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
