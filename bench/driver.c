/* Times one engine on one file: opening, a prompt, generation; or computes perplexity. Prints one
 * JSON object.
 *
 *     driver MODEL bench PROMPT_TOKENS OUTPUT_TOKENS THREADS
 *     driver MODEL perplexity TEXT_FILE CONTEXT THREADS
 *
 * The engine is linked in (driver_ingle.c or driver_llama.c). Tokens are the same pseudo-random
 * ones for both, and no sampler runs, so only the model's own work is timed. Perplexity is computed
 * as llama.cpp's tool does: chunks of CONTEXT tokens, the first replaced by BOS if the model wants
 * one, the second half of each chunk is scored. */
#define _POSIX_C_SOURCE 200809L
#include "driver.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* A field of /proc/self/status in bytes, -1 where there is no such file. */
static long long status_field(const char *name) {
    FILE *f = fopen("/proc/self/status", "r");
    if (!f) return -1;
    char line[256];
    long long kb = -1;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0) kb = atoll(line + strlen(name) + 1);
    fclose(f);
    return kb < 0 ? -1 : kb * 1024;
}

static uint32_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(*state >> 33);
}

static int run_bench(const char *path, int n_prompt, int n_out, int threads) {
    double start = now();
    if (engine_open(path, threads, n_prompt + n_out + 8)) return 1;
    double opened = now();
    int vocab = engine_vocab();
    int32_t *ids = malloc(sizeof *ids * (size_t)(n_prompt + 1));
    if (!ids || vocab <= 0) return 1;
    uint64_t seed = 1;
    for (int i = 0; i <= n_prompt; i++) ids[i] = (int32_t)(next_random(&seed) % (uint32_t)vocab);
    /* The first token pays for page faults and lazy set-up. */
    if (engine_prompt(ids, 1)) return 1;
    double first = now();
    if (engine_prompt(ids, n_prompt > 32 ? 32 : n_prompt)) return 1;

    double t0 = now();
    if (engine_prompt(ids, n_prompt)) return 1;
    double t1 = now();
    const float *logits = engine_logits();
    int top = 0;
    double sum = 0, square = 0;
    for (int i = 0; i < vocab; i++) {
        if (logits[i] > logits[top]) top = i;
        sum += logits[i];
        square += (double)logits[i] * logits[i];
    }
    double mean = sum / vocab, deviation = sqrt(square / vocab - mean * mean);
    double t2 = now();
    for (int i = 0; i < n_out; i++)
        if (engine_step((int32_t)(next_random(&seed) % (uint32_t)vocab))) return 1;
    double t3 = now();
    printf("{\"load_seconds\": %.6f, \"first_token_seconds\": %.6f, \"prompt_tokens\": %d, "
           "\"prompt_seconds\": %.6f, \"output_tokens\": %d, \"output_seconds\": %.6f, "
           "\"peak_bytes\": %lld, \"anonymous_bytes\": %lld, \"top\": %d, \"logit_deviation\": "
           "%.5f}\n",
           opened - start, first - start, n_prompt, t1 - t0, n_out, t3 - t2, status_field("VmHWM"),
           status_field("RssAnon"), top, deviation);
    free(ids);
    engine_close();
    return 0;
}

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

static int run_perplexity(const char *path, const char *file, int context, int threads) {
    size_t len;
    char *text = read_all(file, &len);
    if (!text) {
        fprintf(stderr, "cannot read %s\n", file);
        return 1;
    }
    if (engine_open(path, threads, context)) return 1;
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

int main(int argc, char **argv) {
    if (argc == 6 && strcmp(argv[2], "bench") == 0)
        return run_bench(argv[1], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
    if (argc == 6 && strcmp(argv[2], "perplexity") == 0)
        return run_perplexity(argv[1], argv[3], atoi(argv[4]), atoi(argv[5]));
    fprintf(stderr,
            "usage: driver MODEL bench PROMPT OUTPUT THREADS | perplexity TEXT CONTEXT THREADS\n");
    return 64;
}
