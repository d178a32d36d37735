/* Products of many inputs (panel_many.inl) for instruction sets that share the rest of their
 * kernels with AVX2 (avx2.c). NULL where the compiler does not know them; whether the machine does
 * is choose.c's business. */
#ifndef IG_MANY_H
#define IG_MANY_H

#include "cpu/kernels.h"

/* False: not for this type or shape. `scratch` must hold what AVX2's table asks for. */
typedef bool (*ig_many_fn)(const struct ig_linear *j);

extern const ig_many_fn ig_many_avxvnni;  /* 256 bits, VNNI in its VEX form */
extern const ig_many_fn ig_many_vnni256;  /* the same code in the AVX-512VL form */
extern const ig_many_fn ig_many_avx512bw; /* 512 bits without VNNI */

#endif
