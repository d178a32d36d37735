/* A libFuzzer mutator that knows where a GGUF file's counts, lengths, types and offsets lie, and writes the values there
 * that break readers. Included at the end of a target; empty when the target is built for replay only. */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

enum { FIELDS_MAX = 4096 };
struct fields {
    size_t at[FIELDS_MAX];
    uint8_t width[FIELDS_MAX];
    size_t n, pos, size;
    const uint8_t *data;
    bool ok;
};

static uint64_t field(struct fields *f, unsigned width) {
    uint64_t v = 0;
    if (!f->ok || f->size - f->pos < width) {
        f->ok = false;
        return 0;
    }
    if (f->n < FIELDS_MAX) f->at[f->n] = f->pos, f->width[f->n++] = (uint8_t)width;
    for (unsigned i = width; i-- > 0;) v = v << 8 | f->data[f->pos + i];
    f->pos += width;
    return v;
}

static void skip(struct fields *f, uint64_t n) {
    if (!f->ok || n > f->size - f->pos)
        f->ok = false;
    else
        f->pos += (size_t)n;
}

static void value_fields(struct fields *f, unsigned wide) {
    static const uint8_t widths[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    uint64_t type = field(f, 4), count = 1;
    if (type == 9) {
        type = field(f, 4);
        count = field(f, wide);
    }
    if (type > 12 || type == 9) f->ok = false;
    for (uint64_t i = 0; i < count && f->ok; i++) {
        if (type == 8)
            skip(f, field(f, wide));
        else if (i < 4)
            field(f, widths[type]);
        else
            skip(f, widths[type]);
    }
}

/* Where the fields are, as far as the file makes sense. */
static void find_fields(struct fields *f, const uint8_t *data, size_t size) {
    *f = (struct fields){.data = data, .size = size, .ok = true};
    skip(f, 4);
    unsigned wide = field(f, 4) == 1 ? 4 : 8;
    uint64_t tensors = field(f, wide), keys = field(f, wide);
    for (uint64_t i = 0; i < keys && f->ok; i++) {
        skip(f, field(f, wide));
        value_fields(f, wide);
    }
    for (uint64_t i = 0; i < tensors && f->ok; i++) {
        skip(f, field(f, wide));
        uint64_t dims = field(f, 4);
        for (uint64_t d = 0; d < dims && f->ok; d++) field(f, wide);
        field(f, 4);
        field(f, 8);
    }
}

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
    static const uint64_t wild[] = {0,
                                    1,
                                    2,
                                    3,
                                    4,
                                    5,
                                    8,
                                    9,
                                    12,
                                    13,
                                    31,
                                    32,
                                    33,
                                    255,
                                    256,
                                    257,
                                    1u << 20,
                                    0x7fffffff,
                                    0x80000000,
                                    0xffffffff,
                                    UINT64_C(1) << 32,
                                    (UINT64_C(1) << 32) + 1,
                                    UINT64_C(1) << 61,
                                    UINT64_C(1) << 62,
                                    UINT64_C(1) << 63,
                                    UINT64_MAX,
                                    UINT64_MAX - 31,
                                    UINT64_MAX / 8 + 1};
    static struct fields f;
    uint64_t r = seed;
    find_fields(&f, data, size);
    if (!f.n || next_random(&r) % 3 == 0) return LLVMFuzzerMutate(data, size, max);
    for (uint64_t times = 1 + next_random(&r) % 3; times > 0; times--) {
        size_t k = next_random(&r) % f.n;
        uint64_t v = 0;
        for (unsigned i = f.width[k]; i-- > 0;) v = v << 8 | data[f.at[k] + i];
        switch (next_random(&r) % 4) {
        case 0: v = wild[next_random(&r) % (sizeof wild / sizeof *wild)]; break;
        case 1: v += next_random(&r) % 2 ? 1 : UINT64_MAX; break;
        case 2: v = size - f.at[k] - f.width[k] + next_random(&r) % 3 - 1; break;
        default: v ^= UINT64_C(1) << next_random(&r) % (8u * f.width[k]);
        }
        for (unsigned i = 0; i < f.width[k]; i++) data[f.at[k] + i] = (uint8_t)(v >> (8 * i));
    }
    return size;
}
#endif
