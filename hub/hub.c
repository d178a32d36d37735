/* The hub object: settings by name, and the frame of a call (a copy of the settings, progress,
 * cancelling).
 *
 * Promises: a call sees the settings it began with; the host hears of progress often enough to
 * cancel in time. Does not know: what is pulled or stored. */
#include "call.h"
#include "url.h"

#include <stdio.h>

static char *copy_of(struct ig_mem *m, const char *z) {
    size_t n = strlen(z) + 1;
    char *p = ig_alloc(m, n);
    if (p) memcpy(p, z, n);
    return p;
}

ingle_status ingle_hub_open(ingle_hub **out, ingle_http_fn http, void *ud, ingle_error *err) {
    struct ig_mem plain = {0};
    if (!out) return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_hub_open: out is NULL");
    return ig_hub_open(out, plain, http, ud, err);
}

ingle_status ig_hub_open(ingle_hub **out, struct ig_mem first, ingle_http_fn http, void *ud,
                         ingle_error *err) {
    *out = NULL;
    ingle_hub *h = ig_alloc(&first, sizeof *h);
    if (!h) return ig_fail_memory(err, sizeof *h);
    *h = (ingle_hub){.mem = first, .http = http, .http_ud = ud};
    ig_os_mutex_init(&h->lock);
    char agent[48];
    snprintf(agent, sizeof agent, "ingle/%s", ingle_version());
    h->set = (struct ig_hub_settings){.home = copy_of(&h->mem, ""),
                                      .endpoint = copy_of(&h->mem, "https://huggingface.co"),
                                      .token = copy_of(&h->mem, ""),
                                      .user_agent = copy_of(&h->mem, agent),
                                      .connections = 4,
                                      .retries = 5,
                                      .stall_seconds = 30};
    if (!h->set.home || !h->set.endpoint || !h->set.token || !h->set.user_agent) {
        ingle_hub_close(h);
        return ig_fail_memory(err, sizeof agent);
    }
    *out = h;
    return INGLE_OK;
}

void ingle_hub_close(ingle_hub *h) {
    if (!h) return;
    const char *strings[] = {h->set.home, h->set.endpoint, h->set.token, h->set.user_agent};
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++)
        ig_free(&h->mem, (void *)(uintptr_t)strings[i]);
    ig_os_mutex_free(&h->lock);
    struct ig_mem mem = h->mem; /* it lies in the block that it frees */
    ig_free(&mem, h);
}

/* ---- settings ---- */

static ingle_status bad_value(ingle_error *err, const char *name, const char *value,
                              const char *want) {
    return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "%s: '%.80s' is not %s", name, value, want);
}

static ingle_status set_string(ingle_hub *h, const char **field, const char *value,
                               ingle_error *err) {
    char *now = copy_of(&h->mem, value);
    if (!now) return ig_fail_memory(err, strlen(value) + 1);
    ig_free(&h->mem, (void *)(uintptr_t)*field);
    *field = now;
    return INGLE_OK;
}

/* Header values and paths: one line, no control characters. */
static bool is_line(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f) return false;
    return true;
}

static ingle_status set_endpoint(ingle_hub *h, const char *value, ingle_error *err) {
    struct ig_url u;
    const char *why;
    struct ig_str s = ig_str_of(value);
    while (s.n && s.p[s.n - 1] == '/') s.n--;
    if (!ig_url_parse(s, &u, &why) || u.query.n)
        return ig_fail(err, INGLE_BAD_ARGUMENT, "for example https://huggingface.co",
                       "endpoint %.200s: %s", value, u.query.n ? "it has a query" : why);
    ingle_status st = set_string(h, &h->set.endpoint, value, err);
    if (!st) ((char *)(uintptr_t)h->set.endpoint)[s.n] = 0;
    return st;
}

static ingle_status set_number(ingle_hub *h, const char *name, const char *value,
                               ingle_error *err) {
    static const struct {
        const char *name, *want;
        int64_t min, max;
    } rows[] = {{"connections", "a number from 1 to 16", 1, 16},
                {"retries", "a number from 0 to 100", 0, 100},
                {"stall-seconds", "a number from 1 to 3600", 1, 3600},
                {"range-bytes", "0 or a number of bytes from 1048576 on", 0, INT64_MAX},
                {"max-bytes", "a number of bytes", 0, INT64_MAX}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t v;
        if (strcmp(name, rows[i].name) != 0) continue;
        if (!ig_str_to_i64(ig_str_of(value), &v) || v < rows[i].min || v > rows[i].max ||
            (i == 3 && v && v < 1048576))
            return bad_value(err, name, value, rows[i].want);
        if (i == 0) h->set.connections = (int)v;
        if (i == 1) h->set.retries = (int)v;
        if (i == 2) h->set.stall_seconds = (double)v;
        if (i == 3) h->set.range_bytes = v;
        if (i == 4) h->set.max_bytes = v;
        return INGLE_OK;
    }
    return ig_fail(err, INGLE_NOT_FOUND, "ingle_hub.h lists them",
                   "there is no hub setting '%.80s'", name);
}

static ingle_status set_locked(ingle_hub *h, const char *name, const char *value,
                               ingle_error *err) {
    if (!is_line(value))
        return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "%.80s: the value has control characters",
                       name);
    if (strcmp(name, "home") == 0) return set_string(h, &h->set.home, value, err);
    if (strcmp(name, "token") == 0) return set_string(h, &h->set.token, value, err);
    if (strcmp(name, "user-agent") == 0) return set_string(h, &h->set.user_agent, value, err);
    if (strcmp(name, "endpoint") == 0) return set_endpoint(h, value, err);
    if (strcmp(name, "offline") == 0) {
        bool on = strcmp(value, "true") == 0 || strcmp(value, "1") == 0;
        if (!on && strcmp(value, "false") != 0 && strcmp(value, "0") != 0)
            return bad_value(err, name, value, "true or false");
        h->set.offline = on;
        return INGLE_OK;
    }
    return set_number(h, name, value, err);
}

ingle_status ingle_hub_set(ingle_hub *h, const char *name, const char *value, ingle_error *err) {
    if (!h || !name || !value)
        return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_hub_set: an argument is NULL");
    ig_os_lock(&h->lock);
    ingle_status s = set_locked(h, name, value, err);
    ig_os_unlock(&h->lock);
    return s;
}

/* ---- the frame of a call ---- */

static bool default_home(struct ig_buf *b) {
    const char *own = ig_os_env("INGLE_HOME");
    static const char *const places[][2] = {{"LOCALAPPDATA", "/ingle"},
                                            {"HOME", "/.local/share/ingle"}};
    if (own && own[0]) {
        ig_buf_z(b, own);
        return true;
    }
    for (size_t i = 0; i < 2; i++) {
        const char *base = ig_os_env(places[i][0]);
        if (!base || !base[0]) continue;
        ig_buf_z(b, base);
        ig_buf_z(b, places[i][1]);
        return true;
    }
    return false;
}

static ingle_status copy_settings(struct ig_call *c, ingle_hub *h, ingle_error *err) {
    struct ig_buf home = {.mem = c->mem};
    bool known = true;
    ig_os_lock(&h->lock);
    c->set = h->set;
    if (h->set.home[0])
        ig_buf_z(&home, h->set.home);
    else
        known = default_home(&home);
    const char **strings[] = {&c->set.endpoint, &c->set.token, &c->set.user_agent};
    bool ok = !home.failed;
    for (size_t i = 0; i < 3; i++) {
        *strings[i] = ig_arena_copy(&c->arena, *strings[i], strlen(*strings[i]));
        ok = ok && *strings[i];
    }
    ig_os_unlock(&h->lock);
    if (known && ok) {
        c->set.home = ig_arena_copy(&c->arena, home.p, home.n);
        c->models = c->set.home ? ig_call_path(c, c->set.home, "models", "") : NULL;
        c->own = c->models ? ig_call_path(c, c->models, ".hub", "") : NULL;
    }
    ig_buf_free(&home);
    if (!known)
        return ig_fail(err, INGLE_NOT_FOUND, "set INGLE_HOME to a folder",
                       "the model store has no place: neither INGLE_HOME nor HOME is set");
    return ok && c->own ? INGLE_OK : ig_fail_memory(err, 256);
}

ingle_status ig_call_begin(struct ig_call *c, ingle_hub *h, ingle_hub_progress_fn fn, void *ud,
                           ingle_error *err) {
    *c = (struct ig_call){0};
    if (!h) return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "the hub is NULL");
    c->mem = &h->mem;
    c->arena.mem = c->mem;
    c->http = h->http;
    c->http_ud = h->http_ud;
    c->fn = fn;
    c->ud = ud;
    c->progress = (ingle_hub_progress){.size = sizeof c->progress,
                                       .phase = "resolve",
                                       .file = "",
                                       .bytes_total = -1,
                                       .seconds_left = -1};
    ingle_status s = copy_settings(c, h, err);
    if (s) ig_call_end(c);
    return s;
}

void ig_call_end(struct ig_call *c) {
    if (c->mem) ig_arena_free(&c->arena);
}

const char *ig_call_path(struct ig_call *c, const char *folder, const char *name,
                         const char *suffix) {
    size_t a = strlen(folder), b = strlen(name), d = strlen(suffix);
    char *p = ig_arena_alloc(&c->arena, a + b + d + 2);
    if (!p) return NULL;
    memcpy(p, folder, a);
    p[a] = '/';
    memcpy(p + a + 1, name, b);
    memcpy(p + a + 1 + b, suffix, d + 1);
    return p;
}

static bool tell(struct ig_call *c) {
    c->last_tick = ig_os_seconds();
    if (c->fn && c->fn(c->ud, &c->progress)) c->cancelled = true;
    return c->cancelled;
}

bool ig_call_tick(struct ig_call *c) {
    if (c->cancelled) return true;
    return ig_os_seconds() - c->last_tick < 0.010 ? false : tell(c);
}

void ig_call_phase(struct ig_call *c, const char *phase) {
    if (strcmp(c->progress.phase, phase) != 0) {
        c->progress.phase = phase;
        c->progress.bytes_per_second = 0;
        c->progress.seconds_left = -1;
        c->rate_at = 0;
    }
    tell(c);
}

/* The rate is a moving average over about three seconds; what an earlier pull left does not count. */
void ig_call_bytes(struct ig_call *c, int64_t done) {
    ingle_hub_progress *p = &c->progress;
    double now = ig_os_seconds();
    int64_t fetched = done - p->bytes_resumed;
    p->bytes_done = done;
    if (c->rate_at <= 0 || fetched < c->rate_bytes) {
        c->rate_at = now;
        c->rate_bytes = fetched;
        return;
    }
    double seconds = now - c->rate_at;
    if (seconds < 0.25) return;
    double rate = (double)(fetched - c->rate_bytes) / seconds,
           keep = seconds < 3 ? 1 - seconds / 3 : 0;
    p->bytes_per_second =
        p->bytes_per_second > 0 ? keep * p->bytes_per_second + (1 - keep) * rate : rate;
    p->seconds_left = p->bytes_total >= done && p->bytes_per_second >= 1
                          ? (double)(p->bytes_total - done) / p->bytes_per_second
                          : -1;
    c->rate_at = now;
    c->rate_bytes = fetched;
}

ingle_status ig_call_cancelled(ingle_error *err) {
    return ig_fail(err, INGLE_CANCELLED, "what was received stays: pull again to go on",
                   "the pull was cancelled");
}
