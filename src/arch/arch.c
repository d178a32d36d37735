/* The order of the steps from a view to bound weights. */
#include "arch/arch.h"

#include <math.h>

/* The row's numbers for keys that older files lack. */
static ingle_status put_defaults(struct ig_arch *a, ingle_error *err) {
    for (const char *at = a->hp.row->defaults; at && *at;) {
        size_t n = strcspn(at, " "), eq = strcspn(at, "=");
        double value;
        if (eq >= n || !ig_str_to_f64((struct ig_str){at + eq + 1, n - eq - 1}, &value))
            return ig_fail(err, INGLE_INTERNAL, "please report this", "row %s: bad default",
                           a->hp.row->name);
        const char *key = ig_arena_copy(a->keys.arena, at, eq);
        if (!key) return ig_fail_memory(err, eq + 1);
        if (!ig_key_count(&a->keys, key)) IG_TRY(ig_key_put(&a->keys, key, value, err));
        at += n + strspn(at + n, " ");
    }
    return INGLE_OK;
}

/* Names the file in front of the message, also for callers without an error record. */
static ingle_status unknown(const struct ig_view *view, struct ig_str name, ingle_error *err) {
    ingle_status s = ig_row_unknown(name, view->folder, err);
    ig_fail_in(err, "%s", view->path);
    return s;
}

/* MiniCPM files of 2024 hold none of its three scales; these are those of the 2B model. */
static ingle_status put_old_minicpm(struct ig_arch *a, ingle_error *err) {
    double layers, width;
    struct ig_keys *k = &a->keys;
    if (k->view->folder || strcmp(a->hp.row->name, "minicpm") != 0) return INGLE_OK;
    if (!ig_key_f64(k, "block_count", 0, &layers) || !(layers >= 1)) return INGLE_OK;
    if (!ig_key_f64(k, "embedding_length", 0, &width)) return INGLE_OK;
    if (!ig_key_count(k, "residual_scale"))
        IG_TRY(ig_key_put(k, "residual_scale", 1.4 / sqrt(layers), err));
    return ig_key_count(k, "logit_scale") ? INGLE_OK
                                          : ig_key_put(k, "logit_scale", width / 256, err);
}

static ingle_status find_row(struct ig_arch *a, const struct ig_view *view, ingle_error *err) {
    if (view->folder) {
        struct ig_str type = ig_json_str(ig_json_get(view->config, "model_type"), "");
        a->hp.row = ig_row_by_model_type(type);
        if (!a->hp.row) return unknown(view, type, err);
        a->keys.family = ig_str_of(a->hp.row->name);
        return ig_arch_hf_keys(&a->keys, a->hp.row, err);
    }
    const struct ig_kv *kv = ig_view_kv(view, "general.architecture");
    if (!kv || !ig_kv_str(kv, &a->keys.family))
        return ig_fail(err, INGLE_BAD_FILE, "this GGUF does not hold a model: get another file",
                       "%s: key general.architecture is missing", view->path);
    a->hp.row = ig_row_by_name(a->keys.family);
    return a->hp.row ? INGLE_OK : unknown(view, a->keys.family, err);
}

ingle_status ig_arch_open(struct ig_arch *a, struct ig_arena *arena, const struct ig_view *view,
                          const struct ig_log *log, ingle_error *err) {
    *a = (struct ig_arch){.keys = {.view = view, .arena = arena}};
    IG_TRY(find_row(a, view, err));
    IG_TRY(put_defaults(a, err));
    IG_TRY(put_old_minicpm(a, err));
    IG_TRY(ig_arch_hparams(&a->hp, &a->keys, arena, err));
    IG_TRY(ig_arch_bind(a, arena, view, log, err));
    return ig_arch_shape(a, arena, err);
}
