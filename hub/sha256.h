/* SHA-256 (FIPS 180-4), fed in pieces. */
#ifndef IG_HUB_SHA256_H
#define IG_HUB_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* Compresses `n` blocks of 64 bytes. */
typedef void (*ig_sha256_blocks)(uint32_t state[8], const uint8_t *p, size_t n);
extern const uint32_t ig_sha256_k[64]; /* the constants of the rounds */
ig_sha256_blocks ig_sha256_portable(void);
ig_sha256_blocks ig_sha256_fast(void); /* NULL where the processor has no SHA instructions */

struct ig_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    ig_sha256_blocks blocks;
    uint8_t block[64];
};
void ig_sha256_begin(struct ig_sha256 *s);
void ig_sha256_add(struct ig_sha256 *s, const void *p, size_t n);
void ig_sha256_end(struct ig_sha256 *s, char hex[65]);

#endif
