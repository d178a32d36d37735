/* Drives src/vocab for tests written in Python. `vocab_tool PATH` opens a GGUF file, a folder or a
 * tokenizer.json and then answers requests from standard input until it ends: e FLAGS LEN\n<LEN
 * bytes>    ->  "N id id ...\n"            encode d FLAGS N id id ...\n       ->  "LEN\n<LEN
 * bytes>\n"       decode, streamed token by token s\n                         ->  "bos eos ... \n"
 * ids of all roles, then the end set after a '|' An error is answered with "! message\n".
 * `vocab_tool --bench PATH FILE` prints the load time and the encoding speed. */
#include "engine/vocab_source.h"
#include "quant/quant.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static struct ig_mem mem;

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

static char *read_file(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    if (p && fread(p, 1, *n, f) != *n) *n = 0;
    fclose(f);
    return p;
}

static void log_line(void *ud, ingle_log_level level, const char *line) {
    (void)ud;
    if (level >= INGLE_LOG_WARN) fprintf(stderr, "%s\n", line);
}

static struct ig_view view;
static struct ig_arena arena;

static ingle_status open_any(struct ig_vocab **v, const char *path, ingle_error *err) {
    struct ig_log log = {log_line, NULL, INGLE_LOG_WARN};
    size_t len = strlen(path), n;
    arena.mem = &mem;
    if (len > 5 && !strcmp(path + len - 5, ".json")) {
        char *text = read_file(path, &n);
        if (!text) return ig_fail(err, INGLE_IO, NULL, "%s: cannot be read", path);
        struct ig_vocab_json j = {0};
        ingle_status s = ig_json_parse(&arena, (struct ig_str){text, n}, NULL, &j.tokenizer, err);
        if (s == INGLE_OK) s = ig_vocab_open_json(v, &mem, &j, &log, err);
        free(text);
        return s;
    }
    IG_TRY(ig_view_open(&view, &mem, path, type_size, &log, err));
    return ig_vocab_source_open(v, &mem, &view, &log, err);
}

static void encode(const struct ig_vocab *v) {
    unsigned flags;
    size_t n;
    ingle_error err;
    struct ig_ids ids = {0};
    if (scanf("%u %zu", &flags, &n) != 2) exit(1);
    getchar();
    char *text = malloc(n ? n : 1);
    if (!text || fread(text, 1, n, stdin) != n) exit(1);
    if (ig_vocab_encode(v, &mem, (struct ig_str){text, n}, flags, 0, &ids, &err) != INGLE_OK) {
        printf("! %s\n", err.message);
    } else {
        printf("%zu", ids.n);
        for (size_t i = 0; i < ids.n; i++) printf(" %d", (int)ids.p[i]);
        printf("\n");
    }
    ig_ids_free(&mem, &ids);
    free(text);
}

static void decode(const struct ig_vocab *v) {
    unsigned flags;
    size_t n;
    struct ig_buf out = {.mem = &mem};
    struct ig_detok d;
    if (scanf("%u %zu", &flags, &n) != 2) exit(1);
    ig_detok_begin(&d, v, flags);
    for (size_t i = 0; i < n; i++) {
        int id;
        if (scanf("%d", &id) != 1) exit(1);
        ig_detok_add(&d, id, &out);
    }
    ig_detok_end(&d, &out);
    printf("%zu\n", out.n);
    if (out.n) fwrite(out.p, 1, out.n, stdout);
    printf("\n");
    ig_buf_free(&out);
}

/* Processor time: other work on the machine must not count. */
static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

static int bench(const char *path, const char *file) {
    struct ig_vocab *v;
    ingle_error err;
    size_t n;
    char *text = read_file(file, &n);
    if (!text) return 1;
    double best_load = 1e9, best = 1e9;
    struct ig_ids ids = {0};
    for (int i = 0; i < 5; i++) {
        if (open_any(&v, path, &err) != INGLE_OK) {
            fprintf(stderr, "%s\n", err.message);
            return 1;
        }
        ig_vocab_close(v);
        double t = cpu_seconds();
        ingle_status s = view.kv ? ig_vocab_source_open(&v, &mem, &view, NULL, &err) : open_any(&v, path, &err);
        t = cpu_seconds() - t;
        if (s != INGLE_OK) return 1;
        if (t < best_load) best_load = t;
        t = cpu_seconds();
        ids.n = 0;
        s = ig_vocab_encode(v, &mem, (struct ig_str){text, n}, 3, 0, &ids, &err);
        t = cpu_seconds() - t;
        if (s != INGLE_OK) fprintf(stderr, "%s\n", err.message);
        if (t < best) best = t;
        printf("vocabulary holds %.1f MB; ", (double)ig_vocab_memory(v) / 1e6);
        ig_vocab_close(v);
        if (view.kv) ig_view_close(&view), view.kv = NULL;
    }
    printf("\nload %.2f ms, %zu bytes -> %zu ids in %.2f ms = %.1f MB/s, peak memory %.1f MB\n",
           best_load * 1e3, n, ids.n, best * 1e3, (double)n / best / 1e6, (double)mem.peak / 1e6);
    ig_ids_free(&mem, &ids);
    free(text);
    return 0;
}

int main(int argc, char **argv) {
    struct ig_vocab *v;
    ingle_error err;
    int c;
    if (argc == 4 && !strcmp(argv[1], "--bench")) return bench(argv[2], argv[3]);
    if (argc != 2) return 64;
    if (open_any(&v, argv[1], &err) != INGLE_OK) {
        printf("! %s\n", err.message);
        return 2;
    }
    printf("ok %d %s\n", (int)ig_vocab_size(v), ig_vocab_model(v));
    fflush(stdout);
    while ((c = getchar()) != EOF) {
        if (c == 'e')
            encode(v);
        else if (c == 'd')
            decode(v);
        else if (c == 's') {
            for (int r = 0; r < IG_ROLES; r++)
                printf("%d ", (int)ig_vocab_special(v, (enum ig_token_role)r));
            printf("|");
            for (int32_t id = 0; id < ig_vocab_size(v); id++)
                if (ig_vocab_is_end(v, id)) printf(" %d", (int)id);
            printf("\n");
        }
        fflush(stdout);
    }
    ig_vocab_close(v);
    ig_arena_free(&arena);
    if (view.kv) ig_view_close(&view);
    if (ig_mem_used(&mem)) fprintf(stderr, "leak: %zu bytes\n", ig_mem_used(&mem));
    return ig_mem_used(&mem) != 0;
}
