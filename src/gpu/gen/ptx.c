/* Written by tools/ptx.py: PTX of the kernels' modules, packed. Do not edit. */
#include "gpu/gen.h"
/* clang-format off */
const struct ig_gen_ptx ig_gen_ptx[] = {
{0, 0, 0, 0, 0, 0}};
