/* ingle quant: raw blocks to f32 and back through standard input and output, a piece at a time. */
#include "cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BLOCKS = 1024 }; /* in one piece */

struct type {
    const char *name;
    int32_t weights, bytes;
};

static char upper(char c) {
    return (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
}

static bool find_type(const char *name, struct type *t) {
    for (size_t i = 0; (t->name = ingle_quant_name(i, &t->weights, &t->bytes)); i++) {
        const char *a = t->name, *b = name;
        while (*a && upper(*a) == upper(*b)) a++, b++;
        if (!*a && !*b) return true;
    }
    return false;
}

/* Asked by trying: one block of zeros. */
static bool can_encode(struct cli *c, const struct type *t) {
    float *zeros = ig_calloc(&c->mem, (size_t)t->weights, sizeof *zeros);
    uint8_t *block = ig_calloc(&c->mem, (size_t)t->bytes, 1);
    bool can = zeros && block && ingle_quant_encode(t->name, zeros, 1, block, NULL) == INGLE_OK;
    ig_free(&c->mem, zeros);
    ig_free(&c->mem, block);
    return can;
}

int cli_quant_types(struct cli *c, bool json) {
    struct type t;
    cli_putz(json ? "[" : "type     weights  bytes  bits per weight  encoder\n");
    for (size_t i = 0; (t.name = ingle_quant_name(i, &t.weights, &t.bytes)); i++) {
        bool can = can_encode(c, &t);
        if (json)
            cli_putf("%s{\"name\":\"%s\",\"weights\":%d,\"bytes\":%d,\"encoder\":%s}", i ? "," : "",
                     t.name, t.weights, t.bytes, can ? "true" : "false");
        else
            cli_putf("%-8s %7d  %5d  %15.4f  %7s\n", t.name, t.weights, t.bytes,
                     8.0 * t.bytes / t.weights, can ? "yes" : "no");
    }
    if (json) cli_putz("]\n");
    return 0;
}

static void swap_floats(float *f, size_t n) { /* files are little-endian */
    const uint16_t probe = 1;
    if (*(const uint8_t *)&probe) return;
    for (size_t i = 0; i < n; i++) {
        uint32_t u;
        memcpy(&u, &f[i], 4);
        u = u >> 24 | (u >> 8 & 0xff00) | (u << 8 & 0xff0000) | u << 24;
        memcpy(&f[i], &u, 4);
    }
}

static int convert(struct cli *c, const struct type *t, bool decode, uint8_t *blocks,
                   float *floats) {
    size_t block_in = decode ? (size_t)t->bytes : (size_t)t->weights * 4,
           weights = (size_t)t->weights;
    void *in = decode ? (void *)blocks : (void *)floats;
    uint64_t total = 0;
    for (;;) {
        size_t got = fread(in, 1, BLOCKS * block_in, stdin), n = got / block_in;
        if (ferror(stdin)) return cli_error(2, NULL, "standard input: %s", strerror(errno));
        if (got % block_in)
            return cli_error(
                2, "the input must be whole blocks",
                "standard input ends in the middle of a %s block: %llu bytes, %zu to a block",
                t->name, (unsigned long long)(total + got), block_in);
        if (!n) return 0;
        total += got;
        if (!decode) swap_floats(floats, n * weights);
        ingle_status st = decode ? ingle_quant_decode(t->name, blocks, n, floats, &c->err)
                                 : ingle_quant_encode(t->name, floats, n, blocks, &c->err);
        if (st != INGLE_OK) return cli_fail(&c->err);
        if (decode) {
            swap_floats(floats, n * weights);
            cli_put((const char *)floats, n * weights * 4);
        } else {
            cli_put((const char *)blocks, n * (size_t)t->bytes);
        }
        if (!cli_flush()) return 0; /* cli_finish says why */
    }
}

int cli_quant(struct cli *c) {
    const char *what = c->n_args ? c->args[0] : "";
    bool decode = strcmp(what, "decode") == 0;
    struct type t;
    if (strcmp(what, "list") == 0 && c->n_args == 1)
        return cli_quant_types(c, c->flag[CLI_JSON] != NULL);
    if (!decode && strcmp(what, "encode") != 0)
        return cli_usage(c, "say decode TYPE, encode TYPE or list");
    if (c->n_args != 2) return cli_usage(c, "quant %s takes one TYPE", what);
    if (!find_type(c->args[1], &t))
        return cli_error(64, "ingle quant list shows them", "there is no block type '%.32s'",
                         c->args[1]);
    cli_binary_io();
    uint8_t *blocks = ig_alloc(&c->mem, BLOCKS * (size_t)t.bytes);
    float *floats = ig_alloc(&c->mem, BLOCKS * (size_t)t.weights * sizeof *floats);
    int code = blocks && floats ? convert(c, &t, decode, blocks, floats)
                                : cli_error(3, NULL, "out of memory");
    ig_free(&c->mem, blocks);
    ig_free(&c->mem, floats);
    return code;
}
