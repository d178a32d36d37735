/* Data packed into the library (the GPU kernels' text): the LZ4 block format, which needs no tables and unpacks in one
 * pass. tools/gpu.py packs. */
#ifndef IG_LZ_H
#define IG_LZ_H

#include <stdbool.h>
#include <stddef.h>

/* Unpacks the block [in, in + n) into exactly out_n bytes. False on anything else: a block that is cut, one that reaches
 * outside, more or fewer bytes than out_n; out then holds rubbish. Reads and writes nothing outside the two ranges. */
bool ig_lz_unpack(const void *in, size_t n, void *out, size_t out_n);

#endif
