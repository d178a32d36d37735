/* Vocabularies: the golden texts of eight files, every pre-tokenizer name, the detokenizer fed byte
 * by byte, and what damaged sources are answered with. Small sources are built here so that the
 * sanitizers see their exact ends. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/utf8.h"
#include "engine/vocab_source.h"
#include "quant/quant.h"

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

static char *read_file(const char *folder_env, const char *fallback, const char *name, size_t *n) {
    char path[1024];
    snprintf(path, sizeof path, "%s/tokenizers/%s",
             getenv(folder_env) ? getenv(folder_env) : fallback, name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing", path);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    assert_non_null(p);
    assert_int_equal(fread(p, 1, *n, f), *n);
    p[*n] = 0;
    fclose(f);
    return p;
}

/* ---- golden files ---- */

struct opened {
    struct ig_mem mem;
    struct ig_view view;
    struct ig_vocab *v;
};

static void open_golden(struct opened *o, const char *name) {
    char path[1024];
    ingle_error err = {0};
    const char *folder = getenv("INGLE_GOLDEN_BUILD");
    memset(o, 0, sizeof *o);
    snprintf(path, sizeof path, "%s/tokenizers/ggml-vocab-%s.gguf",
             folder ? folder : "build/golden", name);
    if (ig_view_open(&o->view, &o->mem, path, type_size, NULL, &err) != INGLE_OK)
        fail_msg("%s", err.message);
    if (ig_vocab_source_open(&o->v, &o->mem, &o->view, NULL, &err) != INGLE_OK)
        fail_msg("%s", err.message);
}

static void close_golden(struct opened *o) {
    ig_vocab_close(o->v);
    ig_view_close(&o->view);
    assert_int_equal(ig_mem_used(&o->mem), 0);
}

static size_t expected_ids(const char *line, int32_t *ids, size_t cap) {
    size_t n = 0;
    char *end;
    for (long id = strtol(line, &end, 10); end != line; id = strtol(line = end, &end, 10)) {
        assert_true(n < cap);
        ids[n++] = (int32_t)id;
        if (*end == '\n') break;
    }
    return n;
}

static void check_text(struct opened *o, const char *name, struct ig_str text, const char *line,
                       bool reversible) {
    static int32_t want[4096];
    size_t n = expected_ids(*line == '\n' ? "" : line, want, 4096);
    struct ig_ids got = {0};
    ingle_error err;
    assert_int_equal(ig_vocab_encode(o->v, &o->mem, text, 0, 0, &got, &err), INGLE_OK);
    if (got.n != n || (n && memcmp(got.p, want, n * sizeof *want)))
        fail_msg("%s: \"%.*s\" gives %zu ids, not the %zu expected", name, (int)text.n, text.p,
                 got.n, n);
    struct ig_buf back = {.mem = &o->mem};
    assert_int_equal(ig_vocab_decode(o->v, got.p, got.n, 0, &back, &err), INGLE_OK);
    if (reversible && !ig_str_eq(ig_buf_view(&back), text))
        fail_msg("%s: \"%.*s\" comes back as \"%.*s\"", name, (int)text.n, text.p, (int)back.n,
                 back.p);
    ig_buf_free(&back);
    ig_ids_free(&o->mem, &got);
}

static void golden(void **state) {
    static const char *const names[] = {"bert-bge",  "deepseek-llm", "gpt-2", "llama-bpe",
                                        "llama-spm", "phi-3",        "qwen2"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct opened o;
        char file[200];
        size_t n_in, n_out, texts = 0;
        open_golden(&o, names[i]);
        snprintf(file, sizeof file, "ggml-vocab-%s.gguf.inp", names[i]);
        char *in = read_file("INGLE_GOLDEN", "tests/golden", file, &n_in);
        snprintf(file, sizeof file, "ggml-vocab-%s.gguf.out", names[i]);
        char *out = read_file("INGLE_GOLDEN", "tests/golden", file, &n_out);
        struct ig_str rest = {in, n_in}, mark = IG_STR("\n__ggml_vocab_test__\n");
        const char *line = out;
        size_t at;
        while (ig_str_find(rest, mark, &at)) {
            check_text(&o, names[i], (struct ig_str){rest.p, at}, line,
                       strcmp(names[i], "bert-bge") != 0);
            rest.p += at + mark.n;
            rest.n -= at + mark.n;
            line = strchr(line, '\n');
            assert_non_null(line++);
            texts++;
        }
        assert_true(texts >= 46);
        free(in);
        free(out);
        close_golden(&o);
    }
}

static void roles_and_ends(void **state) {
    struct opened o;
    (void)state;
    open_golden(&o, "llama-bpe");
    assert_int_equal(ig_vocab_size(o.v), 128256);
    assert_int_equal(ig_vocab_special(o.v, IG_ROLE_BOS), 128000);
    assert_int_equal(ig_vocab_special(o.v, IG_ROLE_EOT), 128009);
    assert_true(ig_vocab_is_end(o.v, 128001) && ig_vocab_is_end(o.v, 128009));
    assert_false(ig_vocab_is_end(o.v, 128000) || ig_vocab_is_end(o.v, -1) ||
                 ig_vocab_is_end(o.v, 128256));
    assert_true(ig_vocab_is_control(o.v, 128009));
    assert_true(ig_vocab_adds_bos(o.v));
    assert_int_equal(ig_vocab_find(o.v, IG_STR("<|eot_id|>")), 128009);
    assert_int_equal(ig_vocab_find(o.v, IG_STR("no such token")), IG_NO_TOKEN);
    int32_t the = ig_vocab_find(o.v, IG_STR("\xc4\xa0the"));
    assert_true(ig_str_is(ig_vocab_bytes(o.v, the), " the"));
    assert_true(ig_str_is(ig_vocab_spelling(o.v, the), "\xc4\xa0the"));
    assert_null(ig_vocab_bytes(o.v, 1 << 30).p);
    close_golden(&o);
}

/* A stranger's text must not spell a control token; the template's text must. */
static void special_tokens_in_text(void **state) {
    struct opened o;
    struct ig_ids a = {0}, b = {0};
    (void)state;
    open_golden(&o, "llama-bpe");
    struct ig_str text = IG_STR("x<|eot_id|>y");
    assert_int_equal(ig_vocab_encode(o.v, &o.mem, text, IG_ENCODE_PARSE_SPECIAL, 0, &a, NULL),
                     INGLE_OK);
    assert_int_equal(a.n, 3);
    assert_int_equal(a.p[1], 128009);
    assert_int_equal(ig_vocab_encode(o.v, &o.mem, text, 0, 0, &b, NULL), INGLE_OK);
    for (size_t i = 0; i < b.n; i++) assert_false(ig_vocab_is_control(o.v, b.p[i]));
    ig_ids_free(&o.mem, &a);
    assert_int_equal(ig_vocab_encode(o.v, &o.mem, text, IG_ENCODE_ADD_SPECIAL, 0, &a, NULL),
                     INGLE_OK);
    assert_int_equal(a.p[0], 128000);
    ig_ids_free(&o.mem, &a);
    ig_ids_free(&o.mem, &b);
    close_golden(&o);
}

static void room_for_ids(void **state) {
    struct opened o;
    int32_t ids[8];
    size_t n = 0;
    ingle_error err;
    (void)state;
    open_golden(&o, "gpt-2");
    struct ig_str text = IG_STR("one two three four five");
    assert_int_equal(ig_vocab_encode_into(o.v, &o.mem, text, 0, NULL, 0, &n, &err), INGLE_OK);
    assert_int_equal(n, 5);
    memset(ids, 0x55, sizeof ids);
    assert_int_equal(ig_vocab_encode_into(o.v, &o.mem, text, 0, ids, 4, &n, &err), INGLE_LIMIT);
    assert_int_equal(n, 5);
    assert_int_equal(ids[4], 0x55555555);
    assert_int_equal(ig_vocab_encode_into(o.v, &o.mem, text, 0, ids, 5, &n, &err), INGLE_OK);
    assert_int_equal(ids[5], 0x55555555);
    struct ig_ids out = {0};
    assert_int_equal(ig_vocab_encode(o.v, &o.mem, text, 0, 4, &out, &err), INGLE_LIMIT);
    assert_int_equal(ig_vocab_encode(o.v, &o.mem, text, 0, 0, &out, &err), INGLE_OK);
    ig_ids_free(&o.mem, &out);
    /* far too long: refused without being read */
    size_t big = 40u << 20;
    char *long_text = calloc(big, 1);
    assert_non_null(long_text);
    assert_int_equal(
        ig_vocab_encode(o.v, &o.mem, (struct ig_str){long_text, big}, 0, 1000, &out, &err),
        INGLE_LIMIT);
    assert_true(o.mem.peak < 32u << 20);
    ig_ids_free(&o.mem, &out);
    free(long_text);
    close_golden(&o);
}

/* Runs of one character, of each kind that pre-tokenizers know, in time that grows with their
 * length. */
static void long_runs(void **state) {
    static const char *const units[] = {"a",
                                        " ",
                                        "\n",
                                        "\r\n",
                                        "1",
                                        ".",
                                        "\xc3\xa9",
                                        "\xe6\xbc\xa2",
                                        "\xf0\x9f\x99\x82",
                                        "\xcc\x81",
                                        "\xe2\x96\x81",
                                        "'s",
                                        "\xff",
                                        "\xe2\x82"};
    static const char *const names[] = {"llama-bpe", "deepseek-llm", "llama-spm", "bert-bge",
                                        "nomic-bert-moe"};
    size_t n = 300000;
    (void)state;
    for (size_t f = 0; f < sizeof names / sizeof *names; f++) {
        struct opened o;
        open_golden(&o, names[f]);
        char *text = malloc(n);
        assert_non_null(text);
        for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
            size_t len = strlen(units[u]);
            struct ig_ids out = {0};
            for (size_t i = 0; i + len <= n; i += len) memcpy(text + i, units[u], len);
            double t = ig_os_seconds();
            assert_int_equal(
                ig_vocab_encode(o.v, &o.mem, (struct ig_str){text, n - n % len}, 0, 0, &out, NULL),
                INGLE_OK);
            assert_true(ig_os_seconds() - t < 10); /* generous: sanitizers and a busy machine */
            ig_ids_free(&o.mem, &out);
        }
        free(text);
        close_golden(&o);
    }
}

/* Any bytes go through a byte-level vocabulary and come back, valid text unchanged. */
static void bytes_round_trip(void **state) {
    struct opened o;
    uint32_t seed = 1;
    (void)state;
    open_golden(&o, "gpt-2");
    for (int round = 0; round < 2000; round++) {
        char text[64];
        size_t n = 0;
        while (n < 40) {
            seed = seed * 1664525 + 1013904223;
            if (round & 1)
                text[n++] = (char)(seed >> 24);
            else
                n += ig_utf8_encode(seed >> 8 & (seed & 1 ? 0x7f : 0xffff), text + n);
        }
        struct ig_ids ids = {0};
        struct ig_buf back = {.mem = &o.mem};
        assert_int_equal(ig_vocab_encode(o.v, &o.mem, (struct ig_str){text, n}, 0, 0, &ids, NULL),
                         INGLE_OK);
        size_t at = 0;
        for (size_t i = 0; i < ids.n; i++) {
            struct ig_str s = ig_vocab_bytes(o.v, ids.p[i]);
            assert_true(at + s.n <= n && !memcmp(text + at, s.p, s.n));
            at += s.n;
        }
        assert_int_equal(at, n);
        assert_int_equal(ig_vocab_decode(o.v, ids.p, ids.n, 0, &back, NULL), INGLE_OK);
        assert_true(ig_utf8_valid(back.p, back.n));
        if (ig_utf8_valid(text, n))
            assert_true(ig_str_eq(ig_buf_view(&back), (struct ig_str){text, n}));
        ig_buf_free(&back);
        ig_ids_free(&o.mem, &ids);
    }
    close_golden(&o);
}

/* ---- small sources ---- */

struct packed {
    uint8_t bytes[1 << 16];
    size_t n;
    uint64_t count;
};

static void pack(struct packed *p, const char *text, size_t len) {
    assert_true(p->n + 8 + len <= sizeof p->bytes);
    for (unsigned i = 0; i < 8; i++) p->bytes[p->n++] = (uint8_t)((uint64_t)len >> 8 * i);
    memcpy(p->bytes + p->n, text, len);
    p->n += len;
    p->count++;
}

static struct packed tokens, merges;
static int32_t types[1000];
static float scores[1000];

static void use(struct ig_vocab_gguf *g) {
    g->tokens = (struct ig_vocab_strings){tokens.bytes, tokens.n, tokens.count, 8};
    g->merges = (struct ig_vocab_strings){merges.bytes, merges.n, merges.count, 8};
    g->types = (const uint8_t *)types;
    g->n_types = tokens.count;
    g->scores = (const uint8_t *)scores;
    g->n_scores = tokens.count;
}

/* "a", "b", "ab", "<s>", byte tokens 0x00..0xff: enough for SPM and, by its first three, for BPE.
 */
static struct ig_vocab_gguf small(const char *model, const char *pre) {
    struct ig_vocab_gguf g = {.model = ig_str_of(model),
                              .add_bos = -1,
                              .add_eos = -1,
                              .add_sep = -1,
                              .add_space_prefix = -1,
                              .remove_extra_whitespaces = -1,
                              .escape_whitespaces = -1,
                              .lowercase = -1,
                              .strip_accents = -1};
    if (pre) g.pre = ig_str_of(pre);
    for (int r = 0; r < IG_ROLES; r++) g.role[r] = IG_NO_TOKEN;
    tokens.n = tokens.count = merges.n = merges.count = 0;
    pack(&tokens, "<unk>", 5);
    pack(&tokens, "<s>", 3);
    pack(&tokens, "</s>", 4);
    pack(&tokens, "a", 1);
    pack(&tokens, "b", 1);
    pack(&tokens, "ab", 2);
    pack(&merges, "a b", 3);
    for (size_t i = 0; i < 1000; i++) types[i] = IG_TOKEN_NORMAL, scores[i] = -(float)i;
    types[0] = IG_TOKEN_UNKNOWN;
    types[1] = types[2] = IG_TOKEN_CONTROL;
    for (unsigned b = 0; b < 256; b++) {
        char text[8];
        snprintf(text, sizeof text, "<0x%02X>", b);
        types[tokens.count] = IG_TOKEN_BYTE;
        pack(&tokens, text, 6);
    }
    use(&g);
    return g;
}

static ingle_error last;

static ingle_status try_open(const struct ig_vocab_gguf *g) {
    struct ig_mem mem = {0};
    struct ig_vocab *v = NULL;
    memset(&last, 0, sizeof last);
    ingle_status s = ig_vocab_open_gguf(&v, &mem, g, NULL, &last);
    if (s == INGLE_OK) {
        struct ig_ids ids = {0};
        struct ig_buf back = {.mem = &mem};
        s = ig_vocab_encode(v, &mem, IG_STR("ab a\xc3\xa9 <0x-1> <s>"), 3, 0, &ids, &last);
        if (s == INGLE_OK) s = ig_vocab_decode(v, ids.p, ids.n, 2, &back, &last);
        ig_buf_free(&back);
        ig_ids_free(&mem, &ids);
        ig_vocab_close(v);
    } else {
        assert_true(last.message[0] && last.hint[0]);
    }
    assert_int_equal(ig_mem_used(&mem), 0);
    return s;
}

static void every_pre_name(void **state) {
    static const char *const names[] = {
#define PRE(name, id, flags) name,
#include "vocab/pre.def"
    };
    (void)state;
    assert_true(sizeof names / sizeof *names >= 80);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ig_vocab_gguf g = small("gpt2", names[i]);
        if (try_open(&g) != INGLE_OK) fail_msg("%s: %s", names[i], last.message);
    }
    struct ig_vocab_gguf g = small("gpt2", "nobody-knows");
    assert_int_equal(try_open(&g), INGLE_UNSUPPORTED);
    assert_non_null(strstr(last.message, "nobody-knows"));
    g = small("gpt2", NULL);
    assert_int_equal(try_open(&g), INGLE_OK);
    g = small("rwkv", NULL);
    assert_int_equal(try_open(&g), INGLE_UNSUPPORTED);
}

static void damaged_sources(void **state) {
    static const char *const models[] = {"llama", "gpt2", "bert", "t5", "gemma4"};
    (void)state;
    for (size_t m = 0; m < sizeof models / sizeof *models; m++) {
        struct ig_vocab_gguf g = small(models[m], "gpt-2");
        assert_int_equal(try_open(&g), INGLE_OK);
        g.role[IG_ROLE_BOS] = (int64_t)tokens.count;
        assert_int_equal(try_open(&g), INGLE_BAD_FILE);
        g.role[IG_ROLE_BOS] = -7;
        assert_int_equal(try_open(&g), INGLE_BAD_FILE);
        g.role[IG_ROLE_BOS] = UINT32_MAX; /* a -1 that was written unsigned */
        assert_int_equal(try_open(&g), INGLE_OK);
        g.role[IG_ROLE_PAD] = 1 << 20; /* not needed to run */
        assert_int_equal(try_open(&g), INGLE_OK);
        g.n_types = tokens.count - 1;
        assert_int_equal(try_open(&g), INGLE_BAD_FILE);
        g.n_types = tokens.count;
        g.n_scores = 1;
        assert_int_equal(try_open(&g), INGLE_BAD_FILE);
        g.n_scores = tokens.count;
        g.tokens.count++;
        assert_int_equal(try_open(&g), INGLE_BAD_FILE);
        g.tokens.count = (uint64_t)1 << 61;
        assert_int_equal(try_open(&g), INGLE_BAD_FILE);
        g.tokens.count = 0;
        assert_int_equal(try_open(&g), INGLE_BAD_FILE);
        for (size_t cut = 0; cut < 40; cut++) {
            g = small(models[m], "gpt-2");
            g.tokens.bytes = cut;
            assert_int_equal(try_open(&g), INGLE_BAD_FILE);
        }
        for (int type = -2; type < 9; type++) {
            g = small(models[m], "gpt-2");
            for (size_t i = 0; i < tokens.count; i++) types[i] = type;
            try_open(&g);
        }
        for (size_t i = 0; i < 200; i++) { /* a length field that lies */
            g = small(models[m], "gpt-2");
            tokens.bytes[i] ^= 0x80;
            try_open(&g);
            g = small(models[m], "gpt-2");
            if (i < merges.n) merges.bytes[i] ^= 0x81;
            try_open(&g);
        }
    }
}

static void odd_tokens(void **state) {
    (void)state;
    struct ig_vocab_gguf g = small("llama", NULL);
    types[tokens.count] = IG_TOKEN_BYTE;
    pack(&tokens, "<0x-1>", 6);
    types[tokens.count] = IG_TOKEN_BYTE;
    pack(&tokens, "<0x", 3);
    use(&g);
    assert_int_equal(try_open(&g), INGLE_OK);
    pack(&tokens, "ab", 2); /* twice */
    use(&g);
    assert_int_equal(try_open(&g), INGLE_BAD_FILE);
    assert_non_null(strstr(last.message, "same text"));
    g = small("gpt2", "gpt-2");
    pack(&merges, "nospace", 7);
    use(&g);
    assert_int_equal(try_open(&g), INGLE_BAD_FILE);
    g = small("gpt2", "gpt-2");
    for (int i = 0; i < 1500; i++) pack(&tokens, "", 0);
    static int32_t many[3000];
    use(&g);
    g.types = (const uint8_t *)many;
    g.scores = NULL;
    assert_int_equal(try_open(&g), INGLE_BAD_FILE); /* mostly empty */
    scores[3] = 0.0f / 1.0f;
    g = small("t5", NULL);
    memset(&scores[3], 0xff, sizeof *scores); /* not a number */
    assert_int_equal(try_open(&g), INGLE_BAD_FILE);
    g = small("t5", NULL);
    g.charsmap = IG_STR("\xff\xff\xff\xff");
    assert_int_equal(try_open(&g), INGLE_BAD_FILE);
    g.charsmap = IG_STR("\x08\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff");
    assert_int_equal(try_open(&g), INGLE_OK);
}

static uint64_t inverse(uint64_t odd) {
    uint64_t x = odd;
    for (int i = 0; i < 6; i++) x *= 2 - odd * x;
    return x;
}

/* Texts of eight bytes that all hash to one slot: without a bound on probing, opening would be
 * quadratic. */
static void colliding_tokens(void **state) {
    struct ig_vocab_gguf g = small("llama", NULL);
    (void)state;
    for (uint64_t i = 1; i <= 3500; i++) {
        uint64_t h = i << 32;
        h ^= h >> 32;
        h *= inverse(0xd6e8feb86659fd93u);
        h ^= h >> 32;
        h = h * inverse(0x9fb21c651e98df25u) ^ 8 * 0x9e3779b97f4a7c15u;
        pack(&tokens, (const char *)&h, 8);
    }
    use(&g);
    g.types = g.scores = NULL;
    assert_int_equal(try_open(&g), INGLE_BAD_FILE);
    assert_non_null(strstr(last.message, "collide"));
}

/* ---- detokenizer ---- */

static void add_byte(struct ig_detok *d, const struct ig_vocab *v, unsigned byte,
                     struct ig_buf *out) {
    char text[8];
    snprintf(text, sizeof text, "<0x%02X>", byte);
    ig_detok_add(d, ig_vocab_find(v, ig_str_of(text)), out);
}

static void whole_code_points(void **state) {
    static const struct {
        const char *in, *out;
    } rows[] = {{"\xc3\xa9", "\xc3\xa9"},
                {"\xe2\x82\xac", "\xe2\x82\xac"},
                {"\xf0\x9f\x99\x82", "\xf0\x9f\x99\x82"},
                {"\xe2\x82", "\xef\xbf\xbd"},
                {"\xe2\x82z", "\xef\xbf\xbdz"},
                {"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xc3\xc3\xa9", "\xef\xbf\xbd\xc3\xa9"},
                {"\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd"},
                {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}};
    struct ig_vocab_gguf g = small("llama", NULL);
    struct ig_mem mem = {0};
    struct ig_vocab *v;
    (void)state;
    assert_int_equal(ig_vocab_open_gguf(&v, &mem, &g, NULL, NULL), INGLE_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ig_detok d;
        struct ig_buf out = {.mem = &mem};
        ig_detok_begin(&d, v, 0);
        for (const char *p = rows[i].in; *p; p++) {
            add_byte(&d, v, (unsigned char)*p, &out);
            assert_true(ig_utf8_valid(out.p, out.n));
        }
        ig_detok_end(&d, &out);
        if (!ig_str_is(ig_buf_view(&out), rows[i].out))
            fail_msg("row %zu gives \"%.*s\"", i, (int)out.n, out.p);
        ig_buf_free(&out);
    }
    ig_vocab_close(v);
    assert_int_equal(ig_mem_used(&mem), 0);
}

/* ---- every allocation fails in turn ---- */

struct failing {
    size_t left;
};

static void *fail_after(void *ud, void *p, size_t old, size_t now) {
    struct failing *f = ud;
    (void)old;
    if (!now) {
        free(p);
        return NULL;
    }
    if (!f->left) return NULL;
    f->left--;
    return realloc(p, now);
}

static const char json_text[] =
    "{\"added_tokens\":[{\"id\":5,\"content\":\"<s>\",\"special\":true},{\"id\":6,\"content\":"
    "\"Foo\",\"normalized\":true}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKC\"},{\"type\":"
    "\"Lowercase\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\"x+\"},\"content\":\"y\"}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{"
    "\"Regex\":\"\\\\p{L}+|\\\\s+(?!\\\\S)\"},"
    "\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":true,"
    "\"use_regex\":false}]},"
    "\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<"
    "s>\",\"type_id\":0}},{\"Sequence\":"
    "{\"id\":\"A\",\"type_id\":0}}],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[5],"
    "\"tokens\":[\"<s>\"]}}},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,"
    "\"ab\":2,\"\xc4\xa0\":3,\"\xc4\xa0"
    "ab\":4},"
    "\"merges\":[\"a b\",[\"\xc4\xa0\",\"ab\"]]}}";

static ingle_status json_run(struct ig_mem *mem, struct ig_ids *ids, ingle_error *err) {
    struct ig_arena arena = {.mem = mem};
    struct ig_vocab_json j = {0};
    struct ig_vocab *v = NULL;
    ingle_status s = ig_json_parse(&arena, (struct ig_str){json_text, sizeof json_text - 1}, NULL,
                                   &j.tokenizer, err);
    if (s == INGLE_OK) s = ig_vocab_open_json(&v, mem, &j, NULL, err);
    ig_arena_free(&arena); /* nothing of the tree may be needed any more */
    if (s == INGLE_OK)
        s = ig_vocab_encode(v, mem, IG_STR("ab foo AB"),
                            IG_ENCODE_ADD_SPECIAL | IG_ENCODE_PARSE_SPECIAL, 0, ids, err);
    if (s == INGLE_OK) {
        struct ig_buf out = {.mem = mem};
        s = ig_vocab_decode(v, ids->p, ids->n, 0, &out, err);
        ig_buf_free(&out);
    }
    ig_vocab_close(v);
    return s;
}

static void failing_memory(void **state) {
    (void)state;
    bool done = false;
    for (size_t n = 0; !done && n < 5000; n++) {
        struct failing f = {n};
        struct ig_mem mem = {.hook = fail_after, .ud = &f};
        struct ig_ids ids = {0};
        ingle_error err = {0};
        ingle_status s = json_run(&mem, &ids, &err);
        done = s == INGLE_OK;
        if (!done) assert_int_equal(s, INGLE_NO_MEMORY);
        if (done) {
            static const int32_t want[] = {5, 4, 3, 6, 3, 4};
            assert_int_equal(ids.n, 6);
            assert_memory_equal(ids.p, want, sizeof want);
        }
        ig_ids_free(&mem, &ids);
        assert_int_equal(ig_mem_used(&mem), 0);
    }
    assert_true(done);
    done = false;
    for (size_t n = 0; !done && n < 5000; n++) {
        struct failing f = {n};
        struct ig_mem mem = {.hook = fail_after, .ud = &f};
        struct ig_vocab_gguf g = small("gpt2", "llama-bpe");
        struct ig_vocab *v = NULL;
        ingle_status s = ig_vocab_open_gguf(&v, &mem, &g, NULL, NULL);
        done = s == INGLE_OK;
        if (!done) assert_int_equal(s, INGLE_NO_MEMORY);
        ig_vocab_close(v);
        assert_int_equal(ig_mem_used(&mem), 0);
    }
    assert_true(done);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden),
        cmocka_unit_test(roles_and_ends),
        cmocka_unit_test(special_tokens_in_text),
        cmocka_unit_test(room_for_ids),
        cmocka_unit_test(long_runs),
        cmocka_unit_test(bytes_round_trip),
        cmocka_unit_test(every_pre_name),
        cmocka_unit_test(damaged_sources),
        cmocka_unit_test(odd_tokens),
        cmocka_unit_test(colliding_tokens),
        cmocka_unit_test(whole_code_points),
        cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
