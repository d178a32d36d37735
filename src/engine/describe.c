/* What a model is, as JSON and text: the views of ingle_model_describe. File text is escaped by the
 * JSON writer. */
#include "engine/model.h"

#include "kv/cache.h"

enum { LONGEST_ARRAY = 8 /* elements shown of a metadata array */ };

static void put_kv_value(struct ig_buf *b, const struct ig_kv *kv, uint64_t index, uint8_t type) {
    int64_t i;
    double f;
    bool t;
    if (type == IG_KV_BOOL)
        ig_buf_z(b, ig_kv_bool(kv, index, &t) && t ? "true" : "false");
    else if (type == IG_KV_F32 || type == IG_KV_F64)
        ig_json_put_f64(b, ig_kv_f64(kv, index, &f) ? f : 0);
    else
        ig_buf_f(b, "%lld", ig_kv_i64(kv, index, &i) ? (long long)i : 0LL);
}

static void put_kv_array(struct ig_buf *b, const struct ig_kv *kv) {
    uint64_t at = 0, n = kv->count < LONGEST_ARRAY ? kv->count : LONGEST_ARRAY;
    struct ig_str s;
    bool texts = kv->item == IG_KV_STRING, cut = n < kv->count;
    if (cut) ig_buf_f(b, "{\"count\":%llu,\"first\":", (unsigned long long)kv->count);
    ig_buf_ch(b, '[');
    for (uint64_t i = 0; i < n; i++) {
        if (i) ig_buf_ch(b, ',');
        if (texts && ig_kv_next_str(kv, &at, &s))
            ig_json_put_str(b, s);
        else if (!texts)
            put_kv_value(b, kv, i, kv->item);
    }
    ig_buf_z(b, cut ? "]}" : "]");
}

static void view_metadata(const struct ingle_model *m, struct ig_buf *b) {
    struct ig_str s;
    ig_buf_ch(b, '{');
    for (size_t i = 0; i < m->view.n_kv; i++) {
        const struct ig_kv *kv = &m->view.kv[i];
        if (i) ig_buf_ch(b, ',');
        ig_json_put_str(b, kv->key);
        ig_buf_ch(b, ':');
        if (kv->type == IG_KV_STRING && ig_kv_str(kv, &s))
            ig_json_put_str(b, s);
        else if (kv->type == IG_KV_ARRAY)
            put_kv_array(b, kv);
        else
            put_kv_value(b, kv, 0, kv->type);
    }
    if (m->view.folder) {
        ig_buf_z(b, "\"config\":");
        ig_json_put(b, m->view.config);
        if (m->view.generation_config)
            ig_buf_z(b, ",\"generation_config\":"), ig_json_put(b, m->view.generation_config);
    }
    ig_buf_ch(b, '}');
}

static void view_tensors(const struct ingle_model *m, struct ig_buf *b) {
    ig_buf_ch(b, '[');
    for (size_t i = 0; i < m->view.n_tensors; i++) {
        const struct ig_tensor *t = &m->view.tensors[i];
        ig_buf_z(b, i ? ",\n{\"name\":" : "{\"name\":");
        ig_json_put_str(b, t->name);
        ig_buf_z(b, ",\"type\":");
        ig_json_put_str(b, t->dtype);
        ig_buf_z(b, ",\"shape\":[");
        for (uint32_t d = t->n_dims; d > 0; d--)
            ig_buf_f(b, "%llu%s", (unsigned long long)t->ne[d - 1], d > 1 ? "," : "");
        ig_buf_f(b, "],\"bytes\":%llu}", (unsigned long long)t->bytes);
    }
    ig_buf_ch(b, ']');
}

static struct ig_str model_name(const struct ingle_model *m) {
    struct ig_str s;
    const struct ig_kv *kv = m->view.folder ? NULL : ig_view_kv(&m->view, "general.name");
    if (m->view.folder) return ig_json_str(ig_json_get(m->view.config, "_name_or_path"), "");
    return kv && ig_kv_str(kv, &s) ? s : IG_STR("");
}

static uint64_t count_weights(const struct ingle_model *m) {
    uint64_t n = 0;
    for (size_t i = 0; i < m->view.n_tensors; i++) {
        const struct ig_tensor *t = &m->view.tensors[i];
        n += t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
    }
    return n;
}

/* {"Q4_K": tensors, ...} in the order of the type list */
static void put_types(const struct ingle_model *m, struct ig_buf *b) {
    bool first = true;
    ig_buf_ch(b, '{');
    for (size_t q = 0; ig_quant_at(q); q++) {
        size_t n = 0;
        for (size_t i = 0; i < m->view.n_tensors; i++)
            n += m->view.tensors[i].type == ig_quant_at(q)->id;
        if (n)
            ig_buf_f(b, "%s\"%s\":%zu", first ? "" : ",", ig_quant_at(q)->name, n), first = false;
    }
    ig_buf_ch(b, '}');
}

static void put_specials(const struct ingle_model *m, struct ig_buf *b) {
    static const char *const names[] = {"bos", "eos", "eot", "eom", "unk", "sep", "pad", "mask"};
    bool first = true;
    ig_buf_ch(b, '{');
    for (int r = 0; m->vocab && r < (int)(sizeof names / sizeof *names); r++) {
        int32_t id = ig_vocab_special(m->vocab, (enum ig_token_role)r);
        if (id < 0) continue;
        ig_buf_f(b, "%s\"%s\":{\"id\":%d,\"text\":", first ? "" : ",", names[r], id);
        ig_json_put_str(b, ig_vocab_bytes(m->vocab, id));
        ig_buf_ch(b, '}');
        first = false;
    }
    ig_buf_ch(b, '}');
}

static void put_memory(const struct ingle_model *m, struct ig_buf *b) {
    uint64_t weights = ig_model_weight_bytes(m), kv = ig_model_kv_bytes(m, IG_CACHE_F16);
    uint64_t context = m->arch.hp.n_context < 4096 ? m->arch.hp.n_context : 4096;
    ig_buf_f(b,
             "{\"weights\":%llu,\"copied\":%zu,\"kv_per_token\":%llu,\"kv_at_default_context\":%"
             "llu,\"total\":%llu}",
             (unsigned long long)weights, m->arch.copied_bytes, (unsigned long long)kv,
             (unsigned long long)(kv * context),
             (unsigned long long)(weights + m->arch.copied_bytes + kv * context));
}

static void view_info(const struct ingle_model *m, struct ig_buf *b) {
    const struct ig_hparams *hp = &m->arch.hp;
    const struct ig_layer_params *l = &hp->layer[0];
    ig_buf_z(b, "{\"path\":");
    ig_json_put_str(b, ig_str_of(m->path));
    ig_buf_z(b, ",\"name\":");
    ig_json_put_str(b, model_name(m));
    ig_buf_f(b, ",\"format\":\"%s\"", m->view.folder ? "safetensors" : "gguf");
    if (!m->view.folder) ig_buf_f(b, ",\"gguf_version\":%u", m->view.version);
    ig_buf_f(
        b, ",\"family\":\"%s\",\"parameters\":%llu,\"layers\":%u,\"width\":%u,\"feed_forward\":%u",
        hp->row->name, (unsigned long long)count_weights(m), hp->n_layer, hp->n_embd, hp->n_ff);
    ig_buf_f(b, ",\"heads\":%u,\"kv_heads\":%u,\"head_size\":%u,\"context\":%u,\"vocabulary\":%u",
             l->n_head, l->n_head_kv, l->head_k, hp->n_context, hp->n_vocab);
    if (hp->n_expert)
        ig_buf_f(b, ",\"experts\":%u,\"experts_used\":%u", hp->n_expert, hp->n_expert_used);
    ig_buf_z(b, ",\"tensor_types\":");
    put_types(m, b);
    ig_buf_f(b, ",\"tensors\":%zu,\"tokenizer\":\"%s\",\"special_tokens\":", m->view.n_tensors,
             m->vocab ? ig_vocab_model(m->vocab) : "none");
    put_specials(m, b);
    ig_buf_f(b, ",\"chat_template\":%s,\"memory\":", m->template_text.p ? "true" : "false");
    put_memory(m, b);
    ig_buf_z(b, ",\"load_seconds\":");
    ig_json_put_f64(b, m->load_seconds);
    ig_buf_ch(b, '}');
}

ingle_status ingle_model_describe(const ingle_model *m, ingle_model_view view, ingle_text_fn fn,
                                  void *ud, ingle_error *err) {
    struct ig_mem mem = {.hook = m->mem.hook, .ud = m->mem.ud};
    struct ig_buf b = {.mem = &mem};
    switch (view) {
    case INGLE_VIEW_INFO: view_info(m, &b); break;
    case INGLE_VIEW_METADATA: view_metadata(m, &b); break;
    case INGLE_VIEW_TENSORS: view_tensors(m, &b); break;
    case INGLE_VIEW_PLAN: ig_plan_dump(&m->plan, &b); break;
    case INGLE_VIEW_TEMPLATE:
        if (!m->template_text.p)
            return ig_fail(err, INGLE_NOT_FOUND, "use raw completion, or give a template",
                           "%s has no chat template", m->path);
        ig_buf_str(&b, m->template_text);
        break;
    default: return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "there is no view %d", (int)view);
    }
    ingle_status status = INGLE_OK;
    if (b.failed)
        status = ig_fail_memory(err, b.n);
    else if (b.n && fn(ud, b.p, b.n))
        status = ig_fail(err, INGLE_CANCELLED, NULL, "stopped by the caller");
    ig_buf_free(&b);
    return status;
}
