/* How a row of a matrix lies on a device. With planes a block is taken apart into its main piece,
 * which kernels read in wide aligned words, and the rest: first all main pieces of the row, then
 * all the rest. Without, the row lies as in the file. */
#ifndef IG_PLANES_H
#define IG_PLANES_H

#include "gpu/host_types.h"

#include "gpu/args.h"
#include "quant/quant.h"

struct ig_mat_shape ig_planes_shape(const struct ig_quant *t, uint32_t cols, bool native);
/* A row of a file to a row of ig_planes_shape(t, cols, false).row_bytes. */
void ig_planes_pack(const struct ig_quant *t, uint32_t cols, const uint8_t *row, uint8_t *out);

#endif
