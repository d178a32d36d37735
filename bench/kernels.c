/* Speed of the matrix kernels by themselves, against what the machine can do at most.
 *
 *     kernels [-t THREADS] [-k TABLE,...] [-n INPUTS,...] [-c COLUMNS] [TYPE...]
 *     kernels -p [-t THREADS] [-k TABLE]     only the peaks, as JSON
 *
 * Each thread multiplies its own rows by the same inputs, all begin together, wall time counts, the
 * best of some trials is shown. Few inputs (up to 8): GB/s of weights, read from memory, and their
 * part of the measured read bandwidth. More: GMAC/s, as part of the best integer (float types: fma)
 * instruction's rate. Rows come in chunks of 64, as from the executor. */
#define _DEFAULT_SOURCE
#include "cpu/kernels.h"
#include "peaks.h"
#include "together.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WEIGHT_BYTES = 256 << 20, CHUNK = 64, FEW = 8, MAX_N = 2048, TRIALS = 5 };
static const double MACS_PER_TRIAL = 1e9;

struct settings {
    int threads;
    uint32_t cols, n[16];
    int n_count;
    const char *tables;
    bool only_peaks;
};

/* All that a measurement needs; one for the program. */
struct bench {
    const struct ig_kernels *k;
    uint8_t *w;
    float *x, *y;
    struct ig_act_rows act[2]; /* quantised per 32, per 256 */
    void *scratch[TOGETHER_MAX];
    size_t y_floats;
    /* of the measurement that runs */
    struct ig_linear job;
    uint32_t rows; /* of one thread */
};

static uint64_t next(void) {
    static uint64_t seed = 88172645463325252u;
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Random bits in which no 16 are the infinity or NaN of a scale; for float types values around 1,
 * so that no sum is ever subnormal. */
static void fill_weights(uint8_t *w, bool floats) {
    for (size_t i = 0; i < WEIGHT_BYTES / 8; i++) {
        uint64_t v = floats ? (next() & 0x83FF83FF83FF83FFu) | 0x3C003C003C003C00u
                            : next() & 0x3BFF3BFF3BFF3BFFu;
        memcpy(w + 8 * i, &v, 8);
    }
}

/* In pages of the usual size, as the pages of a mapped file. */
static uint8_t *weight_memory(void) {
    void *p = mmap(NULL, WEIGHT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (p == MAP_FAILED) return NULL;
#ifdef MADV_NOHUGEPAGE
    madvise(p, WEIGHT_BYTES, MADV_NOHUGEPAGE);
#endif
    return p;
}

static void *need(void *p) {
    if (!p) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return p;
}

static void make_inputs(struct bench *b, uint32_t cols) {
    b->x = need(malloc((size_t)MAX_N * cols * sizeof *b->x));
    for (size_t i = 0; i < (size_t)MAX_N * cols; i++) b->x[i] = (float)(int64_t)next() * 0x1p-63f;
    for (int kind = 0; kind < 2; kind++) {
        struct ig_act_rows *a = &b->act[kind];
        *a = (struct ig_act_rows){.q_stride = cols, .d_stride = cols / 32, .s_stride = cols / 16};
        a->q = need(malloc(MAX_N * a->q_stride));
        a->d = need(malloc(MAX_N * a->d_stride * sizeof *a->d));
        a->sum = need(malloc(MAX_N * a->s_stride * sizeof *a->sum));
        for (size_t i = 0; i < MAX_N; i++)
            ig_kernels_scalar.quantize(b->x + i * cols, cols, kind ? 256 : 32,
                                       a->q + i * a->q_stride, a->d + i * a->d_stride,
                                       a->sum + i * a->s_stride);
    }
}

static void multiply(void *ud, int thread) {
    const struct bench *b = ud;
    uint32_t first = b->rows * (uint32_t)thread;
    for (uint32_t r = first; r < first + b->rows; r += CHUNK) {
        struct ig_linear part = b->job;
        part.w += part.row_bytes * r;
        part.y += r;
        part.rows = CHUNK;
        part.scratch = b->scratch[thread];
        if (part.type->kind == IG_QUANT_FLOAT)
            b->k->linear_float(&part);
        else
            b->k->linear_quant(&part);
    }
}

/* Seconds; the rows are set so that a trial is neither endless nor fits a cache with few inputs. */
static double time_of(struct bench *b, const struct ig_quant *t, const struct settings *s,
                      uint32_t n) {
    size_t row_bytes = (size_t)s->cols / t->block * t->bytes, all = WEIGHT_BYTES / row_bytes;
    size_t enough = (size_t)(MACS_PER_TRIAL / n / s->cols), rows = all < enough ? all : enough;
    if (rows > b->y_floats / n) rows = b->y_floats / n;
    b->rows = (uint32_t)(rows / (size_t)s->threads / CHUNK * CHUNK);
    if (!b->rows) b->rows = CHUNK;
    b->job = (struct ig_linear){.type = t, .w = b->w, .row_bytes = row_bytes, .cols = s->cols};
    b->job.x = b->x, b->job.x_stride = s->cols;
    b->job.act = b->act[t->kind == IG_QUANT_A256];
    b->job.y = b->y, b->job.y_stride = (size_t)b->rows * (size_t)s->threads;
    b->job.n = n;
    double best = 1e9, spent = 0;
    for (int i = 0; i < TRIALS && (i < 2 || spent < 0.5); i++) {
        double time = together(s->threads, multiply, b);
        best = time < best ? time : best;
        spent += time;
    }
    return best;
}

static void show(const char *unit, double value, double peak) {
    printf(" %8.1f %s", 1e-9 * value, unit);
    if (peak > 0)
        printf(" %3.0f%%", 100 * value / peak);
    else
        printf("     ");
}

static void measure_type(struct bench *b, const struct ig_quant *t, const struct settings *s,
                         const struct peaks *peaks) {
    printf("%-9s %-8s", b->k->name, t->name);
    for (int i = 0; i < s->n_count; i++) {
        uint32_t n = s->n[i];
        double time = time_of(b, t, s, n), rows = (double)b->rows * s->threads;
        if (n <= FEW)
            show("GB/s", rows * (double)b->job.row_bytes / time, peaks->read);
        else
            show("GMAC/s", rows * n * s->cols / time,
                 t->kind == IG_QUANT_FLOAT ? peaks->fma : peaks->int8);
        fflush(stdout);
    }
    printf("\n");
}

static bool wanted(const struct ig_quant *t, const struct settings *s, char **types) {
    if (t->kind == IG_QUANT_OTHER || s->cols % t->block) return false;
    if (!*types) return true;
    for (; *types; types++)
        if (ig_quant_by_name(*types, strlen(*types)) == t) return true;
    return false;
}

static void measure_table(struct bench *b, const struct settings *s, char **types) {
    fill_weights(b->w, false); /* pages never written to would all be one page of zeros */
    struct peaks p = peaks_measure(b->k->name, s->threads, b->w, WEIGHT_BYTES);
    if (s->only_peaks) {
        printf("{\"table\": \"%s\", \"int8\": %.4g, \"fma\": %.4g, \"read\": %.4g}\n", b->k->name,
               p.int8, p.fma, p.read);
        return;
    }
    printf("%s, %d threads, %u columns: %s %.1f GMAC/s, %s %.1f GMAC/s, read %.1f GB/s\n%-18s",
           b->k->name, s->threads, s->cols, p.int8_name ? p.int8_name : "int8", 1e-9 * p.int8,
           p.fma_name ? p.fma_name : "fma", 1e-9 * p.fma, 1e-9 * p.read, "inputs");
    for (int i = 0; i < s->n_count; i++)
        printf(s->n[i] <= FEW ? " %8u          " : " %8u            ", s->n[i]);
    printf("\n");
    for (int i = 0; i < TOGETHER_MAX && i < s->threads; i++)
        b->scratch[i] = need(aligned_alloc(64, (b->k->scratch_bytes(s->cols) + 63) / 64 * 64));
    const struct ig_quant *t;
    for (int floats = 0; floats < 2; floats++) { /* float types last: they want other weights */
        if (floats) fill_weights(b->w, true);
        for (size_t i = 0; (t = ig_quant_at(i)); i++)
            if (wanted(t, s, types) && (t->kind == IG_QUANT_FLOAT) == floats)
                measure_type(b, t, s, &p);
    }
    for (int i = 0; i < s->threads; i++) free(b->scratch[i]);
}

static int usage(void) {
    fprintf(stderr,
            "usage: kernels [-p] [-t THREADS] [-k TABLE,...] [-n INPUTS,...] [-c COLUMNS] "
            "[TYPE...]\nup to %d threads, 16 numbers of inputs up to %d, columns in 256s\n",
            TOGETHER_MAX, MAX_N);
    return 64;
}

static bool read_counts(struct settings *s, const char *text) {
    s->n_count = 0;
    for (char *end; s->n_count < 16; text = end + 1) {
        unsigned long n = strtoul(text, &end, 10);
        if (end == text || n < 1 || n > MAX_N) return false;
        s->n[s->n_count++] = (uint32_t)n;
        if (!*end) return true;
    }
    return false;
}

static bool read_settings(struct settings *s, int argc, char **argv) {
    *s = (struct settings){1, 2048, {1, 2, 4, 8, 16, 64, 512}, 7, "auto", false};
    for (int c; (c = getopt(argc, argv, "pt:k:n:c:")) != -1;) {
        if (c == 't') s->threads = atoi(optarg);
        if (c == 'c') s->cols = (uint32_t)atoi(optarg);
        if (c == 'k') s->tables = optarg;
        if (c == 'p') s->only_peaks = true;
        if (c == '?' || (c == 'n' && !read_counts(s, optarg))) return false;
    }
    for (char **type = argv + optind; *type; type++)
        if (!ig_quant_by_name(*type, strlen(*type)))
            return fprintf(stderr, "no type %s\n", *type), false;
    return s->threads >= 1 && s->threads <= TOGETHER_MAX && s->cols >= 256 && s->cols <= 65536 &&
           s->cols % 256 == 0;
}

int main(int argc, char **argv) {
    struct settings s;
    if (!read_settings(&s, argc, argv)) return usage();
    struct bench b = {.w = need(weight_memory()), .y_floats = (size_t)8 << 20};
    b.y = need(malloc(b.y_floats * sizeof *b.y));
    make_inputs(&b, s.cols);
    char name[32];
    for (const char *p = s.tables; *p; p += *p == ',') {
        size_t n = strcspn(p, ",");
        snprintf(name, sizeof name, "%.*s", (int)n, p);
        if (!(b.k = ig_kernels_choose(name))) return fprintf(stderr, "no table %s here\n", name), 2;
        measure_table(&b, &s, argv + optind);
        p += n;
    }
    return 0;
}
