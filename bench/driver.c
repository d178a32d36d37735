/* Times one engine on one file, or computes perplexity. Answers are JSON objects, one a line.
 *
 *     driver MODEL serve THREADS CONTEXT SEQUENCES     commands from standard input, one a line:
 *         prompt N             N tokens at once on an empty timeline
 *         generate N DEPTH     N tokens one by one behind DEPTH others (kept from the last time)
 *         batch S N            N tokens one by one in each of S sequences, all in one pass
 *         memory               what the process holds
 *     driver MODEL start THREADS CONTEXT PROMPT        opens, tokenizes, runs a prompt of so many
 *         tokens; when it was ready and when it had the first token, by the monotonic clock
 *     driver MODEL perplexity TEXT_FILE CONTEXT THREADS
 *
 * The engine is linked in (driver_ingle.c or driver_llama.c). Tokens are the same pseudo-random
 * ones for both, and no sampler runs, so only the model's own work is timed. */
#define _POSIX_C_SOURCE 200809L
#include "driver.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BATCH_DEPTH = 16, MAX_SEQUENCES = 64 };

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

static void put_memory(void) {
    printf("\"peak_bytes\": %lld, \"anonymous_bytes\": %lld}\n", status_field("VmHWM"),
           status_field("RssAnon"));
}

static void random_ids(int32_t *ids, int n, uint64_t seed) {
    uint64_t state = seed * 2654435761u + 1;
    for (int i = 0; i < n; i++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        ids[i] = (int32_t)((uint32_t)(state >> 33) % (uint32_t)engine_vocab());
    }
}

static int top_token(void) {
    const float *logits = engine_logits();
    int top = 0;
    for (int i = 1; i < engine_vocab(); i++)
        if (logits[i] > logits[top]) top = i;
    return top;
}

static int prefix; /* tokens of serve_generate's own sequence in the timeline */

/* Other tokens each time, the first one above all, so that nothing is taken from the last time. */
static int serve_prompt(int32_t *ids, int n) {
    static int round;
    random_ids(ids, n, (uint64_t)++round + 1000);
    ids[0] = round % engine_vocab();
    prefix = 0;
    if (engine_truncate(0)) return 1;
    double start = now();
    if (engine_append(ids, n)) return 1;
    double seconds = now() - start;
    printf("{\"seconds\": %.6f, \"top\": %d}\n", seconds, top_token());
    return 0;
}

static int serve_generate(int32_t *ids, int n, int depth) {
    if (depth < 1) depth = 1;
    random_ids(ids, depth + n, 7);
    if (prefix > depth) prefix = depth;
    if (engine_truncate(prefix)) return 1;
    if (depth > prefix && engine_append(ids + prefix, depth - prefix)) return 1;
    prefix = depth;
    double start = now();
    for (int i = 0; i < n; i++)
        if (engine_append(ids + depth + i, 1)) return 1;
    printf("{\"seconds\": %.6f}\n", now() - start);
    return 0;
}

static int serve_batch(int32_t *ids, int sequences, int n) {
    prefix = 0;
    if (engine_batch_start(sequences)) return 1;
    double start = 0;
    for (int i = 0; i < BATCH_DEPTH + n; i++) {
        if (i == BATCH_DEPTH) start = now();
        random_ids(ids, sequences, (uint64_t)i + 1);
        if (engine_batch_step(ids, sequences)) return 1;
    }
    printf("{\"seconds\": %.6f}\n", now() - start);
    return 0;
}

static int serve(const char *path, int threads, int context, int sequences) {
    char line[128];
    int a, b;
    if (engine_open(path, threads, context, sequences)) return 1;
    int32_t *ids = malloc(sizeof *ids * (size_t)(context + MAX_SEQUENCES));
    if (!ids || engine_vocab() <= 0) return 1;
    while (fgets(line, sizeof line, stdin)) {
        int bad = 0;
        if (sscanf(line, "prompt %d", &a) == 1 && a > 0 && a <= context)
            bad = serve_prompt(ids, a);
        else if (sscanf(line, "generate %d %d", &a, &b) == 2 && a > 0 && b >= 0 && a + b <= context)
            bad = serve_generate(ids, a, b);
        else if (sscanf(line, "batch %d %d", &a, &b) == 2 && a > 0 && a <= sequences && b > 0 &&
                 BATCH_DEPTH + b <= context)
            bad = serve_batch(ids, a, b);
        else if (strcmp(line, "memory\n") == 0)
            putchar('{'), put_memory();
        else
            bad = fprintf(stderr, "cannot do: %s", line);
        if (bad) return 1;
        fflush(stdout);
    }
    free(ids);
    engine_close();
    return 0;
}

/* A short text many times over: as many tokens as are asked for. */
static int start_ids(int32_t *ids, int n) {
    static const char text[] = "The harbour was quiet that morning, and nobody looked at the sea. ";
    size_t len = (size_t)n * 16 + sizeof text, at = 0;
    char *all = malloc(len);
    int32_t bos, *out = malloc(sizeof *out * len);
    if (!all || !out) return 1;
    for (; at + sizeof text <= len; at += sizeof text - 1) memcpy(all + at, text, sizeof text);
    int got = engine_tokenize(all, at, out, (int)len, &bos);
    if (got >= n) memcpy(ids, out, sizeof *ids * (size_t)n);
    free(all);
    free(out);
    return got < n;
}

static int run_start(const char *path, int threads, int context, int n) {
    if (n < 1 || n > context || engine_open(path, threads, context, 1)) return 1;
    double ready = now();
    int32_t *ids = malloc(sizeof *ids * (size_t)n);
    if (!ids || start_ids(ids, n) || engine_append(ids, n)) return 1;
    int top = top_token();
    double first = now();
    printf("{\"ready\": %.6f, \"first\": %.6f, \"top\": %d, ", ready, first, top);
    put_memory();
    free(ids);
    engine_close();
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 6 && strcmp(argv[2], "serve") == 0 && atoi(argv[5]) <= MAX_SEQUENCES)
        return serve(argv[1], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
    if (argc == 6 && strcmp(argv[2], "start") == 0)
        return run_start(argv[1], atoi(argv[3]), atoi(argv[4]), atoi(argv[5]));
    if (argc == 6 && strcmp(argv[2], "perplexity") == 0)
        return run_perplexity(argv[1], argv[3], atoi(argv[4]), atoi(argv[5]));
    fprintf(stderr, "usage: driver MODEL serve THREADS CONTEXT SEQUENCES | start THREADS CONTEXT "
                    "PROMPT | perplexity TEXT CONTEXT THREADS\n");
    return 64;
}
