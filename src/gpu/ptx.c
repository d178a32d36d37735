/* PTX of the modules (gen/ptx.c, written by tools/ptx.py), unpacked on demand. Knows no driver.
 *
 * The subtle thing: PTX is committed, sources change; code that was made from other sources would read the arguments'
 * structures wrongly, so it counts as missing. */
#include "base/lz.h"
#include "gpu/device.h"
#include "gpu/gen.h"

#include <string.h>

static uint64_t hash_of(const char *module) {
    for (const struct ig_gen_module *m = ig_gen_modules; m->name; m++)
        if (strcmp(m->name, module) == 0) return m->hash;
    return 0;
}

static const struct ig_gen_ptx *find(const char *module, uint32_t sm) {
    const struct ig_gen_ptx *best = NULL;
    for (const struct ig_gen_ptx *p = ig_gen_ptx; p->module; p++)
        if (p->sm <= sm && (!best || p->sm > best->sm) && strcmp(p->module, module) == 0) best = p;
    return best && best->hash == hash_of(module) ? best : NULL;
}

char *ig_gpu_ptx(struct ig_mem *mem, const char *module, uint32_t sm, size_t *n) {
    const struct ig_gen_ptx *p = find(module, sm);
    char *text = p ? ig_alloc(mem, (size_t)p->bytes + 1) : NULL;
    if (!text) return NULL;
    if (!ig_lz_unpack(p->packed, p->packed_bytes, text, p->bytes)) {
        ig_free(mem, text);
        return NULL;
    }
    text[p->bytes] = 0;
    *n = p->bytes;
    return text;
}
