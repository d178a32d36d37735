/* How a row of a matrix lies on a device. With planes a block is taken apart into its main piece, which kernels read in
 * wide aligned words, and the rest: first all main pieces of the row, then all the rest, each plane filled with zeros.
 * Without, the row lies as in the file. Columns are a multiple of the type's block. Knows no device and no model.
 *
 * Planes begin at multiples of 16 bytes, rows at multiples of 32, if the first row does. So a piece is aligned to the
 * largest power of two, up to 16, that divides its size: the device parts of the types rely on it. */
#ifndef IG_PLANES_H
#define IG_PLANES_H

#include "gpu/host_types.h"

#include "gpu/args.h"
#include "quant/quant.h"

struct ig_mat_shape ig_planes_shape(const struct ig_quant *t, uint32_t cols, bool native);
/* A row of a file to a row of ig_planes_shape(t, cols, false).row_bytes. */
void ig_planes_pack(const struct ig_quant *t, uint32_t cols, const uint8_t *row, uint8_t *out);

#endif
