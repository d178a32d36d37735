/* Any bytes as a template, rendered over a small chat with tight limits: no crash, no leak, no long
 * run; segments always cover the output. */
#include <stdint.h>
#include <stdlib.h>
#include "chat/template.h"

static bool noon(void *ud, struct ig_template_time *out) {
    (void)ud;
    *out = (struct ig_template_time){.year = 2026, .month = 1, .day = 15, .hour = 12};
    return true;
}

static void check(const struct ig_segments *s, size_t n) {
    size_t at = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->list[i].start != at || !s->list[i].len) abort();
        at += s->list[i].len;
    }
    if (at != n) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char chat[] = "{\"messages\":[{\"role\":\"system\",\"content\":\"S\"},{\"role\":"
                               "\"user\",\"content\":\"Hi \xc3\xa9\\n x\"},"
                               "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
                               "\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1.5}}}]}],"
                               "\"tools\":[{\"b\":1,\"a\":[true,null]}],\"bos_token\":\"<s>\","
                               "\"n\":3,\"s\":\"Hello World\",\"add_generation_prompt\":true}";
    struct ig_mem mem = {.limit = 512u << 20};
    struct ig_arena a = {.mem = &mem};
    struct ig_buf out = {.mem = &mem};
    struct ig_segments segments = {.mem = &mem};
    struct ig_template_env env = {
        .local_time = noon, .max_steps = 50000, .max_output = 1 << 20, .max_heap = 16 << 20};
    struct ig_template *t = NULL;
    const struct ig_json *j;
    ingle_error err = {0};
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    struct ig_str source = {(const char *)data, zero ? (size_t)(zero - data) : size},
                  json = IG_STR(chat);
    if (zero) json = (struct ig_str){(const char *)zero + 1, size - source.n - 1};
    if (ig_json_parse(&a, json, NULL, &j, &err) || j->kind != IG_JSON_OBJECT) {
        ig_arena_free(&a);
        return 0;
    }
    ingle_status s = ig_template_compile(&t, &mem, source, &err);
    if (!s) s = ig_template_render(t, j, &env, &out, &segments, &err);
    if (s && s != INGLE_BAD_TEMPLATE) abort();
    if (s && (!err.message[0] || err.code != s || out.n)) abort();
    if (!s) check(&segments, out.n);
    ig_template_free(t);
    ig_segments_free(&segments);
    ig_buf_free(&out);
    ig_arena_free(&a);
    if (ig_mem_used(&mem)) abort();
    return 0;
}
