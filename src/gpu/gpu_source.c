/* The kernels' sources, unpacked on demand: modules are put together from shared pieces (tools/gpu.py). Knows no device. */
#include "base/lz.h"
#include "gpu/device.h"
#include "gpu/gen.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t items;
    bool typed;
} kernels[] = {
#define KERNEL_ROW(module, name, items) {#name, items, false},
#define TYPED_ROW(name, items) {#name, items, true},
#include "gpu/kernels.def"
#undef KERNEL_ROW
#undef TYPED_ROW
    {NULL, 0, false}};

uint32_t ig_gpu_group_items(const char *kernel) {
    for (size_t i = 0; kernels[i].name; i++) {
        size_t n = strlen(kernels[i].name);
        if (!kernels[i].typed && strcmp(kernels[i].name, kernel) == 0) return kernels[i].items;
        if (kernels[i].typed && strncmp(kernels[i].name, kernel, n) == 0 && kernel[n] == '_')
            return kernels[i].items;
    }
    return 0;
}

uint64_t ig_gpu_source_hash(void) {
    return ig_gen_hash;
}

/* A module's name may end in ":variant", which is the host driver's affair. */
static const struct ig_gen_module *find(const char *module) {
    size_t n = strcspn(module, ":");
    for (const struct ig_gen_module *m = ig_gen_modules; m->name; m++)
        if (strlen(m->name) == n && strncmp(m->name, module, n) == 0) return m;
    return NULL;
}

char *ig_gpu_source(struct ig_mem *mem, const char *module, size_t *n) {
    const struct ig_gen_module *m = find(module);
    size_t total = 0, at = 0;
    for (int i = 0; m && i < IG_GEN_PIECES && m->piece[i]; i++)
        total += ig_gen_pieces[m->piece[i] - 1].bytes;
    char *text = m ? ig_alloc(mem, total + 1) : NULL;
    if (!text) return NULL;
    for (int i = 0; i < IG_GEN_PIECES && m->piece[i]; i++) {
        const struct ig_gen_piece *p = &ig_gen_pieces[m->piece[i] - 1];
        if (!ig_lz_unpack(p->packed, p->packed_bytes, text + at, p->bytes)) {
            ig_free(mem, text);
            return NULL;
        }
        at += p->bytes;
    }
    text[at] = 0;
    *n = at;
    return text;
}
