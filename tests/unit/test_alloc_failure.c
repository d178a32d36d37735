/* Every allocation fails once. A fixed course of calls (open a model, tokenise, render its
 * template, generate three tokens, save and load the session, run a request on an engine) is
 * repeated with allocation 1, 2, 3 ... failing: alone, and together with all that follow. Each time
 * the call in which it happens must say INGLE_NO_MEMORY, the same call must succeed when repeated
 * with memory, the text must be the same in the end, and no block may be left. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "ingle.h"

static struct {
    atomic_long count, live;
    atomic_long fail_at; /* the count at which failing begins, 0 = never */
    atomic_bool forever;
} hook;

static void *allocate(void *ud, void *p, size_t old, size_t now) {
    (void)ud;
    (void)old;
    if (!now) {
        if (p) atomic_fetch_sub(&hook.live, 1);
        free(p);
        return NULL;
    }
    long n = atomic_fetch_add(&hook.count, 1) + 1, at = atomic_load(&hook.fail_at);
    if (at && (n == at || (n > at && atomic_load(&hook.forever)))) return NULL;
    void *q = realloc(p, now);
    if (q && !p) atomic_fetch_add(&hook.live, 1);
    return q;
}

static char folder[64];
enum { TEXT_MAX = 4096, IDS_MAX = 512 };

struct course {
    const char *path;
    ingle_options *options;
    ingle_model *model;
    ingle_session *session;
    ingle_engine *engine;
    int32_t ids[IDS_MAX];
    size_t n;
    int32_t made[3];
    char text[TEXT_MAX];
    size_t text_n;
};

static int keep(void *ud, const char *text, size_t len) {
    struct course *c = ud;
    if (c->text_n + len < TEXT_MAX) {
        memcpy(c->text + c->text_n, text, len);
        c->text_n += len;
    }
    return 0;
}

static int on_event(void *ud, const ingle_event *e) {
    return e->kind == INGLE_EVENT_TEXT ? keep(ud, e->text, e->len) : 0;
}

static const char *saved(void) {
    static char path[128];
    snprintf(path, sizeof path, "%s/session", folder);
    return path;
}

/* ---- the course
 * --------------------------------------------------------------------------------------------------
 */

static ingle_status open_model(struct course *c, ingle_error *err) {
    return ingle_model_open(&c->model, c->path, c->options, err);
}
static ingle_status describe(struct course *c, ingle_error *err) {
    size_t before = c->text_n;
    for (int view = INGLE_VIEW_INFO; view <= INGLE_VIEW_PLAN; view++) {
        c->text_n = before;
        ingle_status s = ingle_model_describe(c->model, (ingle_model_view)view, keep, c, err);
        if (s) return s;
    }
    return INGLE_OK;
}
static ingle_status tokenize(struct course *c, ingle_error *err) {
    return ingle_tokenize(c->model, "the name of a river", 19, INGLE_ADD_SPECIAL, c->ids, IDS_MAX,
                          &c->n, err);
}
static ingle_status detokenize(struct course *c, ingle_error *err) {
    c->text_n = 0;
    return ingle_detokenize(c->model, c->ids, c->n, INGLE_PARSE_SPECIAL, keep, c, err);
}
static ingle_status render(struct course *c, ingle_error *err) {
    static const char json[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"add_generation_prompt\":true}";
    size_t before = c->text_n;
    ingle_status s = ingle_template_render(c->model, NULL, 0, json, sizeof json - 1, keep, c, err);
    if (s) c->text_n = before;
    return s;
}
static ingle_status open_session(struct course *c, ingle_error *err) {
    return ingle_session_open(&c->session, c->model, c->options, err);
}
static ingle_status sync_prompt(struct course *c, ingle_error *err) {
    return ingle_session_sync(c->session, c->ids, c->n, err);
}
static ingle_status sample(struct course *c, int i, ingle_error *err) {
    return ingle_session_sample(c->session, &c->made[i], err);
}
static ingle_status sample0(struct course *c, ingle_error *err) {
    return sample(c, 0, err);
}
static ingle_status sample1(struct course *c, ingle_error *err) {
    return sample(c, 1, err);
}
static ingle_status sample2(struct course *c, ingle_error *err) {
    return sample(c, 2, err);
}
static ingle_status step0(struct course *c, ingle_error *err) {
    return ingle_session_step(c->session, c->made[0], err);
}
static ingle_status step1(struct course *c, ingle_error *err) {
    return ingle_session_step(c->session, c->made[1], err);
}
static ingle_status save(struct course *c, ingle_error *err) {
    return ingle_session_save(c->session, saved(), err);
}
static ingle_status load(struct course *c, ingle_error *err) {
    return ingle_session_load(c->session, saved(), err);
}
/* A loaded session holds tokens but no logits until it is synced. */
static ingle_status sync_loaded(struct course *c, ingle_error *err) {
    int32_t ids[IDS_MAX];
    size_t n;
    const int32_t *held = ingle_session_tokens(c->session, &n);
    assert_true(n == c->n + 2);
    memcpy(ids, held, n * sizeof *ids);
    return ingle_session_sync(c->session, ids, n, err);
}
/* With the model as its own draft. */
static ingle_status open_engine(struct course *c, ingle_error *err) {
    ingle_status s = ingle_options_set(c->options, "draft-model", c->path, err);
    if (s) return s;
    return ingle_engine_open(&c->engine, c->model, c->options, err);
}
static ingle_status run(struct course *c, const char *json, ingle_error *err) {
    size_t before = c->text_n;
    ingle_status s = ingle_engine_run(c->engine, json, strlen(json), on_event, c, err);
    if (s) c->text_n = before;
    return s;
}
static ingle_status complete(struct course *c, ingle_error *err) {
    return run(c, "{\"prompt\":\"the name\",\"max_tokens\":3,\"temperature\":0}", err);
}
static ingle_status chat(struct course *c, ingle_error *err) {
    return run(c,
               "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_tokens\":3,"
               "\"temperature\":0,\"stop\":[\"zq\"]}",
               err);
}

static const struct step {
    const char *name;
    ingle_status (*call)(struct course *, ingle_error *);
} steps[] = {
    {"open the model", open_model},
    {"describe", describe},
    {"tokenize", tokenize},
    {"detokenize", detokenize},
    {"render", render},
    {"open a session", open_session},
    {"sync", sync_prompt},
    {"sample", sample0},
    {"step", step0},
    {"sample", sample1},
    {"step", step1},
    {"save", save},
    {"load", load},
    {"sync what was loaded", sync_loaded},
    {"sample", sample2},
    {"open an engine", open_engine},
    {"complete", complete},
    {"chat", chat},
};
enum { N_STEPS = sizeof steps / sizeof *steps };

static void stop_failing(void) {
    atomic_store(&hook.fail_at, 0);
}

/* Runs the course, or, if not `whole`, the course up to the call that failed and succeeded when
 * repeated. Returns the number of calls that failed. */
static int go(struct course *c, bool whole) {
    int failed = 0;
    for (int i = 0; i < N_STEPS; i++) {
        ingle_error err = {0};
        ingle_status s = steps[i].call(c, &err);
        if (!s) continue;
        long at = atomic_load(&hook.fail_at);
        if (s != INGLE_NO_MEMORY || err.code != s || !err.message[0] || !at)
            fail_msg("%s, allocation %ld: status %d: %s", steps[i].name, at, s, err.message);
        failed++;
        stop_failing();
        s = steps[i].call(c, &err);
        if (s)
            fail_msg("%s, again after allocation %ld failed: status %d: %s", steps[i].name, at, s,
                     err.message);
        if (!whole) break;
    }
    return failed;
}

static void finish(struct course *c) {
    ingle_engine_close(c->engine);
    ingle_session_close(c->session);
    ingle_model_close(c->model);
}

/* Most courses end after the call that failed. */
static bool is_whole(long fail_at) {
    return fail_at % 8 == 0;
}

static int course(struct course *c, const char *path, ingle_options *options, long fail_at,
                  bool forever) {
    *c = (struct course){.path = path, .options = options};
    unlink(saved());
    atomic_store(&hook.count, 0);
    atomic_store(&hook.live, 0);
    atomic_store(&hook.forever, forever);
    atomic_store(&hook.fail_at, fail_at);
    int failed = go(c, is_whole(fail_at));
    stop_failing();
    finish(c);
    if (atomic_load(&hook.live))
        fail_msg("allocation %ld failed: %ld blocks are left", fail_at, atomic_load(&hook.live));
    char part[160];
    snprintf(part, sizeof part, "%s.part", saved());
    struct stat st;
    assert_int_equal(stat(part, &st), -1);
    return failed;
}

static void compare(const struct course *got, const struct course *want) {
    assert_int_equal(got->n, want->n);
    assert_memory_equal(got->ids, want->ids, want->n * sizeof *want->ids);
    assert_memory_equal(got->made, want->made, sizeof want->made);
    assert_int_equal(got->text_n, want->text_n);
    assert_memory_equal(got->text, want->text, want->text_n);
}

/* Each `step`th allocation once, and each 4 `step`th with all that follow. */
static void fail_each(const char *name, long step) {
    const char *top = getenv("INGLE_GOLDEN") ? getenv("INGLE_GOLDEN") : "tests/golden";
    char path[512];
    snprintf(path, sizeof path, "%s/%s", top, name);
    ingle_options *o;
    assert_int_equal(ingle_options_new(&o, NULL), INGLE_OK);
    ingle_options_on_alloc(o, allocate, NULL);
    assert_int_equal(ingle_options_set(o, "threads", "2", NULL), INGLE_OK);
    assert_int_equal(ingle_options_set(o, "context", "64", NULL), INGLE_OK);
    assert_int_equal(ingle_options_set(o, "temperature", "0.7", NULL), INGLE_OK);
    assert_int_equal(ingle_options_set(o, "seed", "1", NULL), INGLE_OK);
    static struct course want, got;
    assert_int_equal(course(&want, path, o, 0, false), 0);
    long total = atomic_load(&hook.count), failed = 0;
    assert_true(total > 20 && want.n > 0);
    long tried = 0;
    for (int forever = 0; forever < 2; forever++)
        for (long i = forever ? 1 + total % 4 : 1; i <= total; i += forever ? 4 * step : step) {
            failed += course(&got, path, o, i, forever);
            tried++;
            if (is_whole(i)) compare(&got, &want);
        }
    print_message("%s: %ld allocations, %ld of %ld failures were reported\n", name, total, failed,
                  tried);
    assert_true(failed > tried * 3 / 4); /* an allocation that may fail in silence is rare */
    ingle_options_free(o);
}

static void test_gguf(void **state) {
    (void)state;
    fail_each("gguf/llama.gguf", 1);
}
static void test_folder(void **state) {
    (void)state;
    fail_each("models/llama", 1);
}
static void test_experts(void **state) {
    (void)state;
    fail_each("gguf/mixtral.gguf", 3);
}

static int make_folder(void **state) {
    (void)state;
    struct stat
        st; /* in memory, if there is such a place: two thousand sessions are synced to it */
    strcpy(folder, stat("/dev/shm", &st) ? "/tmp/ingle-oom-XXXXXX" : "/dev/shm/ingle-oom-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}
static int remove_folder(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gguf),
        cmocka_unit_test(test_folder),
        cmocka_unit_test(test_experts),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
