/* The generated files of src/gpu/gen as they see each other: sources (tools/gpu.py) and PTX (tools/ptx.py), packed. */
#ifndef IG_GPU_GEN_H
#define IG_GPU_GEN_H

#include <stdint.h>

struct ig_gen_piece {
    const uint8_t *packed;
    uint32_t packed_bytes, bytes;
};
enum { IG_GEN_PIECES = 15 };
struct ig_gen_module {
    const char *name;
    uint8_t piece[IG_GEN_PIECES]; /* 1 + index, 0 behind the last */
    uint64_t hash;                /* of its pieces */
};
struct ig_gen_ptx {
    const char *module;
    uint32_t sm;   /* 70: compute capability 7.0 and above */
    uint64_t hash; /* of the module it was made from */
    const uint8_t *packed;
    uint32_t packed_bytes, folded, bytes; /* folded: unpacked (ptx.c) */
    uint32_t adler;                       /* Adler-32 of the PTX, for tests */
};
extern const struct ig_gen_piece ig_gen_pieces[];
extern const struct ig_gen_module ig_gen_modules[]; /* up to name NULL */
extern const uint64_t ig_gen_hash;
extern const struct ig_gen_ptx ig_gen_ptx[]; /* up to module NULL */

#endif
