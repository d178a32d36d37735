/* bench/driver.h for llama.cpp, through its C interface with its defaults (f16 cache, flash
 * attention as it chooses, weights repacked if it wants to). */
#include "driver.h"
#include "llama.h"
#include <stdio.h>
#include <stdlib.h>

static struct llama_model *model;
static struct llama_context *context;

static void only_errors(enum ggml_log_level level, const char *text, void *ud) {
    (void)ud;
    if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

int engine_open(const char *path, int threads, int size, int sequences) {
    llama_log_set(only_errors, NULL);
    llama_backend_init();
    const char *folder =
        getenv("LLAMA_BACKENDS"); /* a prebuilt package loads its CPU variants from there */
    if (folder) ggml_backend_load_all_from_path(folder);
    model = llama_model_load_from_file(path, llama_model_default_params());
    if (!model) return 1;
    struct llama_context_params params = llama_context_default_params();
    params.n_seq_max = (uint32_t)sequences;
    params.n_ctx = (uint32_t)(size * sequences);
    params.n_threads = params.n_threads_batch = threads;
    context = llama_init_from_model(model, params);
    return context == NULL;
}

void engine_close(void) {
    llama_free(context);
    llama_model_free(model);
}

int engine_vocab(void) {
    return llama_vocab_n_tokens(llama_model_get_vocab(model));
}

int engine_truncate(int n) {
    return !llama_memory_seq_rm(llama_get_memory(context), 0, n, -1);
}

int engine_append(const int32_t *ids, int n) {
    int most = (int)llama_n_batch(context);
    for (int at = 0, part; at < n; at += part) {
        part = n - at < most ? n - at : most;
        if (llama_decode(context, llama_batch_get_one((int32_t *)ids + at, part))) return 1;
    }
    return 0;
}

const float *engine_logits(void) {
    return llama_get_logits_ith(context, -1);
}

static int batch_length;

int engine_batch_start(int n) {
    (void)n;
    llama_memory_clear(llama_get_memory(context), true);
    batch_length = 0;
    return 0;
}

int engine_batch_step(const int32_t *ids, int n) {
    struct llama_batch batch = llama_batch_init(n, 0, 1);
    batch.n_tokens = n;
    for (int i = 0; i < n; i++) {
        batch.token[i] = ids[i];
        batch.pos[i] = batch_length;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = i;
        batch.logits[i] = 1;
    }
    batch_length++;
    int failed = llama_decode(context, batch);
    llama_batch_free(batch);
    return failed;
}

int engine_tokenize(const char *text, size_t len, int32_t *ids, int cap, int32_t *bos) {
    const struct llama_vocab *vocab = llama_model_get_vocab(model);
    *bos = llama_vocab_get_add_bos(vocab) ? llama_vocab_bos(vocab) : -1;
    return llama_tokenize(vocab, text, (int32_t)len, ids, cap, true, false);
}

int engine_all_logits(const int32_t *ids, int n, void (*fn)(int, const float *, void *), void *ud) {
    struct llama_batch batch = llama_batch_init(n, 0, 1);
    batch.n_tokens = n;
    for (int i = 0; i < n; i++) {
        batch.token[i] = ids[i];
        batch.pos[i] = i;
        batch.n_seq_id[i] = 1;
        batch.seq_id[i][0] = 0;
        batch.logits[i] = 1;
    }
    llama_memory_clear(llama_get_memory(context), true);
    int failed = llama_decode(context, batch);
    for (int i = 0; !failed && i < n; i++) fn(i, llama_get_logits_ith(context, i), ud);
    llama_batch_free(batch);
    return failed;
}
