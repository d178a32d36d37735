/* Hashes. ig_hash is for tables in memory (its value may change between versions); ig_checksum is part of the session
 * file format and never changes. */
#ifndef IG_HASH_H
#define IG_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t ig_hash(const void *p, size_t n, uint64_t seed);
/* FNV-1a over 64-bit words with a final mix; bytes beyond the last whole word are padded with zeros and the length is
 * mixed in. Chain calls by passing the last value as `state` (start with 0). */
uint64_t ig_checksum(uint64_t state, const void *p, size_t n);

#endif
