/* Panels of 16 rows for NEON; the code is in the type files, the vocabulary in lanes.h. Knows nothing of who multiplies. */
#include "quant/panel.h"

#if defined(__aarch64__) && defined(__GNUC__) && !defined(__AARCH64EB__)

#if !defined(__clang__) && !defined(__SANITIZE_ADDRESS__) /* minutes to compile */
#pragma GCC optimize("O3")
#endif

#define W_NEON
#define PANEL_FIND ig_quant_panel_neon
#include "quant/panel.inl"

#else

const struct ig_panel_type *ig_quant_panel_neon(const struct ig_quant *type) {
    (void)type;
    return NULL;
}

#endif
