/* Two 64-bit hashes built from multiply and xor-shift. Neither is meant to resist an attacker who knows the seed;
 * tables that hold untrusted keys bound their probe lengths instead. */
#include "base/hash.h"

#include <string.h>

static uint64_t mix(uint64_t x) {
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ x >> 32;
}

static uint64_t load64(const unsigned char *p, size_t n) {
    uint64_t v = 0;
    memcpy(&v, p, n < 8 ? n : 8);
    return v;
}

uint64_t ig_hash(const void *data, size_t n, uint64_t seed) {
    const unsigned char *p = data;
    uint64_t h = seed ^ (n * 0x9e3779b97f4a7c15u);
    for (; n >= 8; p += 8, n -= 8) h = (h ^ load64(p, 8)) * 0xff51afd7ed558ccdu, h ^= h >> 29;
    if (n) h = (h ^ load64(p, n)) * 0xff51afd7ed558ccdu;
    return mix(h);
}

uint64_t ig_checksum(uint64_t state, const void *data, size_t n) {
    const unsigned char *p = data;
    uint64_t h = state ^ 0xcbf29ce484222325u, len = n;
    for (; n >= 8; p += 8, n -= 8) {
        uint64_t w = 0;
        for (int i = 7; i >= 0; i--) w = w << 8 | p[i];
        h = (h ^ w) * 0x100000001b3u;
        h ^= h >> 31;
    }
    uint64_t w = 0;
    for (size_t i = n; i > 0; i--) w = w << 8 | p[i - 1];
    h = (h ^ w) * 0x100000001b3u;
    return mix(h ^ len);
}
