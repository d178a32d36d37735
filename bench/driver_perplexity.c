/* Perplexity as llama.cpp's tool computes it: chunks of CONTEXT tokens, the first replaced by BOS
 * if the model wants one, the second half of each chunk is scored. */
#include "driver.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct score {
    const int32_t *ids;
    int first, n, vocab;
    double nll;
    long count;
};

static void add_position(int position, const float *logits, void *ud) {
    struct score *s = ud;
    if (position < s->first || position + 1 >= s->n) return;
    float max = logits[0];
    for (int i = 1; i < s->vocab; i++)
        if (logits[i] > max) max = logits[i];
    double sum = 0;
    for (int i = 0; i < s->vocab; i++) sum += exp((double)(logits[i] - max));
    s->nll += log(sum) - (double)(logits[s->ids[position + 1]] - max);
    s->count++;
}

static char *read_all(const char *path, size_t *len) {
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) return NULL;
    long size = ftell(f);
    rewind(f);
    char *text = size < 0 ? NULL : malloc((size_t)size + 1);
    *len = text ? fread(text, 1, (size_t)size, f) : 0;
    fclose(f);
    return text;
}

int run_perplexity(const char *path, const char *file, int context, int threads) {
    size_t len;
    char *text = read_all(file, &len);
    if (!text) {
        fprintf(stderr, "cannot read %s\n", file);
        return 1;
    }
    if (engine_open(path, threads, context, 1)) return 1;
    int cap = (int)len + 16;
    int32_t *ids = malloc(sizeof *ids * (size_t)cap), bos = -1;
    int n = ids ? engine_tokenize(text, len, ids, cap, &bos) : -1;
    if (n < 2 * context) {
        fprintf(stderr, "%s has %d tokens, at least %d are needed\n", file, n, 2 * context);
        return 1;
    }
    struct score s = {.vocab = engine_vocab(), .n = context, .first = context / 2};
    int chunks = n / context;
    for (int c = 0; c < chunks; c++) {
        int32_t *chunk = ids + (size_t)c * (size_t)context, kept = chunk[0];
        if (bos >= 0) chunk[0] = bos;
        s.ids = chunk;
        if (engine_all_logits(chunk, context, add_position, &s)) return 1;
        chunk[0] = kept;
    }
    printf("{\"tokens\": %d, \"chunks\": %d, \"scored\": %ld, \"perplexity\": %.6f}\n", n, chunks,
           s.count, exp(s.nll / (double)s.count));
    free(ids);
    free(text);
    engine_close();
    return 0;
}
