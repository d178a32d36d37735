/* Any chat template over any context. Input: the template, a zero byte, the context as JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "chat/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    if (!zero) return 0;
    struct ig_mem mem = {0};
    struct ig_arena arena = {.mem = &mem};
    struct ig_buf out = {.mem = &mem};
    struct ig_segments segments = {.mem = &mem};
    struct ig_template_env env = {.max_steps = 20000, .max_output = 1 << 20, .max_heap = 16 << 20};
    struct ig_template *t = NULL;
    const struct ig_json *context;
    ingle_error err = {0};
    struct ig_str source = {(const char *)data, (size_t)(zero - data)};
    struct ig_str json = {(const char *)zero + 1, size - source.n - 1};
    if (ig_json_parse(&arena, json, NULL, &context, &err) || context->kind != IG_JSON_OBJECT)
        goto done;
    ingle_status s = ig_template_compile(&t, &mem, source, &err);
    if (!s) s = ig_template_render(t, context, &env, &out, &segments, &err);
    if (s && (!err.message[0] || err.code != s || out.n)) abort();
    size_t covered = 0;
    for (size_t i = 0; !s && i < segments.n; i++) {
        if (segments.list[i].start != covered || !segments.list[i].len) abort();
        covered += segments.list[i].len;
    }
    if (!s && covered != out.n) abort();
done:
    ig_template_free(t);
    ig_segments_free(&segments);
    ig_buf_free(&out);
    ig_arena_free(&arena);
    if (ig_mem_used(&mem)) abort();
    return 0;
}
