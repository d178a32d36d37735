/* Opening a model: view, weights, plan, vocabulary, in this order, each from the one before.
 * Nothing is computed and no weight is read here, so a warm file is ready in milliseconds. */
#include "engine/model.h"

#include <stdio.h>

#include "engine/vocab_source.h"
#include "kv/cache.h"

static bool type_size(uint32_t type, uint32_t *weights, uint32_t *bytes, const char **name,
                      const char **why) {
    const struct ig_quant *q = ig_quant_by_id(type);
    *why = ig_quant_removed(type);
    if (!q) return false;
    *weights = q->block;
    *bytes = q->bytes;
    *name = q->name;
    return true;
}

static ingle_status report(const struct ig_options_hooks *hooks, double done, ingle_error *err) {
    if (hooks->progress && hooks->progress(hooks->progress_ud, "load", done))
        return ig_fail(err, INGLE_CANCELLED, NULL, "loading was cancelled");
    return INGLE_OK;
}

static void find_template(struct ingle_model *m) {
    const struct ig_kv *kv =
        m->view.folder ? NULL : ig_view_kv(&m->view, "tokenizer.chat_template");
    if (m->view.folder)
        m->template_text = m->view.chat_template;
    else if (!kv || !ig_kv_str(kv, &m->template_text))
        m->template_text = (struct ig_str){NULL, 0};
    if (!m->template_text.n) m->template_text.p = NULL;
}

/* What the caller says about rope overrides the file. */
static void override_rope(struct ig_hparams *hp, const ingle_options *o) {
    double base = ig_options_float(o, IG_OPT_ROPE_FREQ_BASE),
           scale = ig_options_float(o, IG_OPT_ROPE_FREQ_SCALE);
    int precision = ig_options_choice(o, IG_OPT_ROPE_PRECISION);
    if (precision) hp->rope[0].bf16 = hp->rope[1].bf16 = precision == 2;
    if (base > 0) hp->rope[0].base = base;
    if (!(scale > 0)) return;
    hp->rope[0].scaling = IG_ROPE_LINEAR;
    hp->rope[0].factor = 1 / scale;
}

/* More names than rows: ids beyond the rows must never reach the embedding (sessions check). */
static void note_vocab(const struct ingle_model *m) {
    if (!m->vocab || (uint32_t)ig_vocab_size(m->vocab) <= m->arch.hp.n_vocab) return;
    ig_log(&m->log, INGLE_LOG_WARN, "the vocabulary names %d tokens but the model has rows for %u",
           ig_vocab_size(m->vocab), m->arch.hp.n_vocab);
}

static struct ig_str token_name(const struct ingle_model *m, enum ig_token_role role) {
    int32_t id = ig_vocab_special(m->vocab, role);
    return id < 0 ? (struct ig_str){NULL, 0} : ig_vocab_spelling(m->vocab, id);
}

static ingle_status open_chat(struct ingle_model *m, ingle_error *err) {
    struct ig_chat_setup setup = {.source = m->template_text, .log = &m->log};
    if (!m->vocab) return INGLE_OK;
    setup.bos = token_name(m, IG_ROLE_BOS);
    setup.eos = token_name(m, IG_ROLE_EOS);
    return ig_chat_open(&m->chat, &m->mem, &setup, err);
}

static ingle_status open_parts(struct ingle_model *m, const ingle_options *o, ingle_error *err) {
    const struct ig_options_hooks *hooks = ig_options_hooks(o);
    double start = ig_os_seconds();
    IG_TRY(report(hooks, 0, err));
    IG_TRY(ig_view_open(&m->view, &m->mem, m->path, type_size, &m->log, err));
    IG_TRY(report(hooks, 0.2, err));
    IG_TRY(ig_arch_open(&m->arch, &m->arena, &m->view, &m->log, err));
    override_rope(&m->arch.hp, o);
    if (m->arch.predict) override_rope(&m->arch.predict->hp, o);
    IG_TRY(report(hooks, 0.5, err));
    IG_TRY(ig_plan_make(&m->plan, &m->arena, &m->arch, err));
    if (m->arch.predict) IG_TRY(ig_plan_predict(&m->predict, &m->arena, &m->arch, err));
    ingle_error none;
    ingle_status status =
        ig_vocab_source_open(&m->vocab, &m->mem, &m->view, &m->log, err ? err : &none);
    if (status == INGLE_NOT_FOUND)
        ig_log(&m->log, INGLE_LOG_WARN, "%s has no vocabulary: only token ids can be used",
               m->path);
    else if (status != INGLE_OK)
        return status;
    note_vocab(m);
    find_template(m);
    IG_TRY(open_chat(m, err));
    m->cpu_choice = ig_options_choice(o, IG_OPT_CPU);
    m->load_seconds = ig_os_seconds() - start;
    return report(hooks, 1, err);
}

ingle_status ingle_model_open(ingle_model **out, const char *path, const ingle_options *options,
                              ingle_error *err) {
    const struct ig_options_hooks *hooks = ig_options_hooks(options);
    if (!out || !path)
        return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_model_open: out or path is NULL");
    *out = NULL;
    struct ig_mem mem = {.hook = hooks->alloc,
                         .ud = hooks->alloc_ud,
                         .limit = (size_t)ig_options_int(options, IG_OPT_MEMORY_LIMIT)};
    struct ingle_model *m = ig_calloc(&mem, 1, sizeof *m);
    if (!m) return ig_fail_memory(err, sizeof *m);
    m->mem = mem;
    m->arena.mem = &m->mem;
    m->log = hooks->log;
    m->path = ig_arena_copy(&m->arena, path, strlen(path));
    m->read_ahead = ig_arena_calloc(&m->arena, 1, sizeof *m->read_ahead);
    ingle_status status = m->path && m->read_ahead
                              ? ig_model_devices_open(&m->devices, &m->mem, &m->log, err)
                              : ig_fail_memory(err, strlen(path));
    if (status == INGLE_OK) status = open_parts(m, options, err);
    if (status != INGLE_OK)
        ingle_model_close(m);
    else
        *out = m;
    return status;
}

void ingle_model_close(ingle_model *m) {
    if (!m) return;
    ig_model_devices_close(m->devices);
    ig_chat_close(m->chat);
    ig_vocab_close(m->vocab);
    ig_arena_free(&m->arena);
    ig_view_close(&m->view);
    struct ig_mem mem = m->mem;
    ig_free(&mem, m);
}

void ingle_model_rest(ingle_model *m) {
    ig_model_devices_rest(m->devices);
}

int32_t ingle_model_vocab_size(const ingle_model *m) {
    return (int32_t)m->arch.hp.n_vocab;
}
int32_t ingle_model_context_size(const ingle_model *m) {
    return (int32_t)m->arch.hp.n_context;
}
int32_t ingle_model_width(const ingle_model *m) {
    return (int32_t)m->arch.hp.n_embd;
}

uint64_t ig_model_weight_bytes(const struct ingle_model *m) {
    uint64_t total = 0;
    for (size_t i = 0; i < m->view.n_tensors; i++) total += m->view.tensors[i].bytes;
    return total;
}

uint64_t ig_model_kv_bytes(const struct ingle_model *m, int cache_type) {
    uint64_t total = 0, element = ig_cache_element((enum ig_cache_type)cache_type);
    for (uint32_t il = 0; il < m->arch.hp.n_layer; il++) {
        const struct ig_layer_params *l = &m->arch.hp.layer[il];
        if (l->kv_layer != il) continue;
        uint64_t keys = cache_type == IG_CACHE_Q8 ? (l->head_k + 3) / 4 * 4 : l->head_k;
        uint64_t values = keys + ((uint64_t)l->head_v + 15) / 16 * 16;
        total +=
            l->n_head_kv * (values * element + (cache_type == IG_CACHE_Q8 ? 2 * sizeof(float) : 0));
    }
    return total;
}

/* ---- Recommended sampling ---- */

static const struct {
    enum ig_option id;
    const char *option, *gguf, *hf;
} recommended[] = {
    {IG_OPT_TEMPERATURE, "temperature", "general.sampling.temp", "temperature"},
    {IG_OPT_TOP_K, "top-k", "general.sampling.top_k", "top_k"},
    {IG_OPT_TOP_P, "top-p", "general.sampling.top_p", "top_p"},
    {IG_OPT_MIN_P, "min-p", "general.sampling.min_p", "min_p"},
    {IG_OPT_REPEAT_PENALTY, "repeat-penalty", "general.sampling.penalty_repeat",
     "repetition_penalty"},
    {IG_OPT_REPEAT_LAST_N, "repeat-last-n", "general.sampling.penalty_last_n", NULL},
    {IG_OPT_XTC_PROBABILITY, "xtc-probability", "general.sampling.xtc_probability", NULL},
    {IG_OPT_XTC_THRESHOLD, "xtc-threshold", "general.sampling.xtc_threshold", NULL},
    {IG_OPT_MIROSTAT, "mirostat", "general.sampling.mirostat", NULL},
    {IG_OPT_MIROSTAT_TAU, "mirostat-tau", "general.sampling.mirostat_tau", NULL},
    {IG_OPT_MIROSTAT_ETA, "mirostat-eta", "general.sampling.mirostat_eta", NULL},
    {IG_OPT_TYPICAL_P, "typical-p", NULL, "typical_p"},
};

static bool recommendation(const struct ingle_model *m, size_t i, double *v) {
    if (!m->view.folder) {
        const struct ig_kv *kv =
            recommended[i].gguf ? ig_view_kv(&m->view, recommended[i].gguf) : NULL;
        return kv && ig_kv_f64(kv, 0, v);
    }
    const struct ig_json *j =
        recommended[i].hf ? ig_json_get(m->view.generation_config, recommended[i].hf) : NULL;
    if (!ig_json_is(j, IG_JSON_NUMBER)) return false;
    *v = ig_json_f64(j, 0);
    return true;
}

ingle_status ig_model_recommend(const struct ingle_model *m, struct ig_mem *mem, ingle_options *o,
                                ingle_error *err) {
    for (size_t i = 0; i < sizeof recommended / sizeof *recommended; i++) {
        double v;
        char text[40];
        if (ig_options_is_set(o, recommended[i].id) || !recommendation(m, i, &v)) continue;
        struct ig_buf b = {.mem = mem};
        ig_buf_f64(&b, v);
        bool failed = b.failed;
        if (!failed) snprintf(text, sizeof text, "%s", b.p);
        ig_buf_free(&b);
        if (failed) return ig_fail_memory(err, sizeof text);
        /* A file's number that is out of bounds is no reason to fail: it is only advice. */
        if (ingle_options_set(o, recommended[i].option, text, NULL) != INGLE_OK)
            ig_log(&m->log, INGLE_LOG_WARN, "the model recommends %s = %s, which is out of bounds",
                   recommended[i].option, text);
    }
    return INGLE_OK;
}
