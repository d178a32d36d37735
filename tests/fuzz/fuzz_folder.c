/* A model folder without the file system: config.json and one safetensors file, up to the bound
 * weights. Input: the JSON text, a zero byte, the safetensors bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "arch/arch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ingle_status open_all(struct ig_view *v, struct ig_arena *arena, struct ig_str config,
                             const uint8_t *weights, size_t size, ingle_error *err) {
    struct ig_arch a = {0};
    IG_TRY(ig_json_parse(&v->arena, config, NULL, &v->config, err));
    if (!ig_json_is(v->config, IG_JSON_OBJECT)) return INGLE_OK; /* config.c refuses those */
    IG_TRY(ig_safetensors_read(v, weights, size, err));
    return ig_arch_open(&a, arena, v, &(struct ig_log){0}, err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    if (!zero) return 0;
    struct ig_str config = {(const char *)data, (size_t)(zero - data)};
    size_t rest = size - config.n - 1;
    struct ig_mem mem = {0};
    struct ig_arena arena = {.mem = &mem};
    struct ig_view v = {.mem = &mem, .arena = {.mem = &mem}, .folder = true, .path = "folder"};
    ingle_error err = {0};
    ingle_status s = open_all(&v, &arena, config, zero + 1, rest, &err);
    if (s && (!err.message[0] || err.code != s)) abort();
    if (mem.peak > 64 * size + (64u << 20)) abort();
    ig_arena_free(&arena);
    ig_view_close(&v);
    if (ig_mem_used(&mem)) abort();
    return 0;
}
