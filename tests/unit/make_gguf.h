/* Writes GGUF files byte by byte, good ones and every kind of bad one. Nothing here is shared with the reader. */
#ifndef MAKE_GGUF_H
#define MAKE_GGUF_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct gguf {
    uint8_t *p;
    size_t n, cap;
    unsigned version;
};

static void put(struct gguf *g, const void *p, size_t n) {
    if (g->n + n > g->cap) {
        g->cap = (g->n + n) * 2 + 64;
        g->p = realloc(g->p, g->cap);
    }
    if (n) memcpy(g->p + g->n, p, n);
    g->n += n;
}
static void put_int(struct gguf *g, uint64_t v, unsigned bytes) {
    uint8_t b[8];
    for (unsigned i = 0; i < bytes; i++) b[i] = (uint8_t)(v >> (8 * i));
    put(g, b, bytes);
}
static void put_u32(struct gguf *g, uint64_t v) { put_int(g, v, 4); }
static void put_u64(struct gguf *g, uint64_t v) { put_int(g, v, 8); }
/* Counts, lengths and dimensions: 32 bits in version 1. */
static void put_count(struct gguf *g, uint64_t v) { put_int(g, v, g->version == 1 ? 4 : 8); }
static void put_bytes(struct gguf *g, const char *s, size_t n) {
    put_count(g, n);
    put(g, s, n);
}
static void put_str(struct gguf *g, const char *s) { put_bytes(g, s, strlen(s)); }

static void put_head(struct gguf *g, unsigned version, uint64_t tensors, uint64_t keys) {
    g->n = 0;
    g->version = version;
    put(g, "GGUF", 4);
    put_u32(g, version);
    put_count(g, tensors);
    put_count(g, keys);
}
static void kv_int(struct gguf *g, const char *key, unsigned type, uint64_t v, unsigned bytes) {
    put_str(g, key);
    put_u32(g, type);
    put_int(g, v, bytes);
}
static void kv_u32(struct gguf *g, const char *key, uint64_t v) { kv_int(g, key, 4, v, 4); }
static void kv_str(struct gguf *g, const char *key, const char *v) {
    put_str(g, key);
    put_u32(g, 8);
    put_str(g, v);
}
static void kv_array(struct gguf *g, const char *key, unsigned item, uint64_t count) {
    put_str(g, key);
    put_u32(g, 9);
    put_u32(g, item);
    put_count(g, count);
}
static void put_tensor(struct gguf *g, const char *name, unsigned n_dims, const uint64_t *dims, uint32_t type,
                       uint64_t offset) {
    put_str(g, name);
    put_u32(g, n_dims);
    for (unsigned i = 0; i < n_dims; i++) put_count(g, dims[i]);
    put_u32(g, type);
    put_u64(g, offset);
}
static void pad_to(struct gguf *g, size_t multiple) {
    while (g->n % multiple) put(g, "", 1);
}
static void put_zeros(struct gguf *g, size_t n) {
    for (size_t i = 0; i < n; i++) put(g, "", 1);
}

/* One key of every type, three tensors of different types, alignment 32. */
static inline void put_good(struct gguf *g, unsigned version) {
    static const char *const tokens[] = {"a", "", "\xc3\xa9", "longer token"};
    put_head(g, version, 3, 17);
    kv_str(g, "general.architecture", "test");
    kv_int(g, "u8", 0, 200, 1);
    kv_int(g, "i8", 1, 0xff, 1);
    kv_int(g, "u16", 2, 60000, 2);
    kv_int(g, "i16", 3, 0xfffe, 2);
    kv_int(g, "u32", 4, 4000000000u, 4);
    kv_int(g, "i32", 5, 0xfffffffd, 4);
    kv_int(g, "f32", 6, 0x3fc00000, 4); /* 1.5 */
    kv_int(g, "bool", 7, 1, 1);
    kv_int(g, "u64", 10, UINT64_MAX, 8);
    kv_int(g, "i64", 11, UINT64_MAX - 4, 8);
    kv_int(g, "f64", 12, 0xc004000000000000u, 8); /* -2.5 */
    kv_array(g, "tokens", 8, 4);
    for (int i = 0; i < 4; i++) put_str(g, tokens[i]);
    kv_array(g, "types", 5, 3);
    for (int i = 1; i < 4; i++) put_u32(g, (uint32_t)-i);
    kv_array(g, "none", 8, 0);
    kv_array(g, "scores", 6, 2);
    put_u32(g, 0x3f800000);
    put_u32(g, 0xbf000000);
    kv_u32(g, "general.alignment", 32);
    put_tensor(g, "a.weight", 2, (uint64_t[]){64, 3}, 2, 0);      /* Q4_0: 3 * 2 * 18 = 108 */
    put_tensor(g, "b.weight", 4, (uint64_t[]){2, 3, 1, 2}, 1, 128); /* F16: 24 */
    put_tensor(g, "c.bias", 1, (uint64_t[]){5}, 0, 160);          /* F32: 20 */
    pad_to(g, 32);
    put_zeros(g, 180);
}

#endif
