/* render TEMPLATE CASE.json: prints the rendered prompt, or the error on stderr with exit code 1.
 * CASE has the fields of golden/templates.json. With a third argument `segments`, each input
 * segment stands between \1 and \2. With `-` as TEMPLATE, CASE's own "source" is the template; CASE
 * may be `-`: then standard input has one case a line, and each answer is a line of JSON: {"text":
 * ...} or {"error": ...}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "chat/template.h"

static struct ig_mem mem;

static char *read_all(FILE *f, size_t *n) {
    size_t cap = 1 << 16;
    char *p = malloc(cap);
    *n = 0;
    for (size_t got; (got = fread(p + *n, 1, cap - *n, f)) > 0;) {
        *n += got;
        if (*n == cap) p = realloc(p, cap *= 2);
    }
    return p;
}

static char *load(const char *path, size_t *n) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(2);
    }
    char *p = read_all(f, n);
    fclose(f);
    return p;
}

static struct ig_template_time now;
static bool local_time(void *ud, struct ig_template_time *out) {
    (void)ud;
    *out = now;
    return now.year > 0;
}

/* messages, tools ... and the members of kwargs, as one object */
static void context_of(const struct ig_json *c, struct ig_buf *b) {
    ig_buf_ch(b, '{');
    const struct ig_json *parts[2] = {c, ig_json_get(c, "kwargs")};
    bool first = true;
    for (int k = 0; k < 2; k++)
        for (const struct ig_json *j = ig_json_is(parts[k], IG_JSON_OBJECT) ? parts[k]->child
                                                                            : NULL;
             j; j = j->next) {
            if (!k && (ig_str_is(j->key, "kwargs") || ig_str_is(j->key, "source"))) continue;
            if (!first) ig_buf_ch(b, ',');
            first = false;
            ig_json_put_str(b, j->key);
            ig_buf_ch(b, ':');
            ig_json_put(b, j);
        }
    ig_buf_ch(b, '}');
}

static ingle_status render(struct ig_str source, const struct ig_json *c, struct ig_buf *out,
                           struct ig_segments *s, ingle_error *err) {
    struct ig_arena a = {.mem = &mem};
    struct ig_buf ctx = {.mem = &mem};
    struct ig_template *t = NULL;
    const struct ig_json *j;
    struct ig_template_env env = {.local_time = local_time};
    struct ig_str date = ig_json_str(ig_json_get(c, "now"), "");
    char text[32];
    now = (struct ig_template_time){0};
    snprintf(text, sizeof text, "%.*s", (int)date.n, date.p);
    sscanf(text, "%d-%d-%dT%d:%d:%d", &now.year, &now.month, &now.day, &now.hour, &now.minute,
           &now.second);
    context_of(c, &ctx);
    ingle_status st = ig_json_parse(&a, ig_buf_view(&ctx), NULL, &j, err);
    if (!st) st = ig_template_compile(&t, &mem, source, err);
    if (!st) st = ig_template_render(t, j, &env, out, s, err);
    ig_template_free(t);
    ig_buf_free(&ctx);
    ig_arena_free(&a);
    return st;
}

static void answer(struct ig_str source, const struct ig_json *c, struct ig_buf *line) {
    struct ig_buf out = {.mem = &mem};
    ingle_error err = {0};
    ingle_status s = render(source, c, &out, NULL, &err);
    ig_buf_z(line, s ? "{\"error\":" : "{\"text\":");
    ig_json_put_str(line, s ? ig_str_of(err.message) : (struct ig_str){out.p ? out.p : "", out.n});
    ig_buf_z(line, "}");
    ig_buf_free(&out);
}

static int lines(void) {
    size_t n;
    char *text = read_all(stdin, &n);
    for (char *p = text, *end = text + n; p < end;) {
        char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t len = nl ? (size_t)(nl - p) : (size_t)(end - p);
        struct ig_arena a = {.mem = &mem};
        struct ig_buf line = {.mem = &mem};
        const struct ig_json *c;
        ingle_error err = {0};
        if (ig_json_parse(&a, (struct ig_str){p, len}, NULL, &c, &err)) {
            fprintf(stderr, "%s\n", err.message);
            return 2;
        }
        answer(ig_json_str(ig_json_get(c, "source"), ""), c, &line);
        puts(line.p);
        ig_buf_free(&line);
        ig_arena_free(&a);
        p += len + 1;
    }
    free(text);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "-") && !strcmp(argv[2], "-")) return lines();
    if (argc < 3) return 64;
    size_t n, m;
    char *source = load(argv[1], &n), *input = load(argv[2], &m);
    struct ig_arena a = {.mem = &mem};
    struct ig_buf out = {.mem = &mem};
    struct ig_segments segments = {.mem = &mem};
    const struct ig_json *c;
    ingle_error err = {0};
    ingle_status s = ig_json_parse(&a, (struct ig_str){input, m}, NULL, &c, &err);
    if (!s) s = render((struct ig_str){source, n}, c, &out, &segments, &err);
    if (s)
        fprintf(stderr, "%s\n", err.message);
    else if (argc > 3)
        for (size_t i = 0; i < segments.n; i++)
            printf(segments.list[i].is_input ? "\1%.*s\2" : "%.*s", (int)segments.list[i].len,
                   out.p + segments.list[i].start);
    else
        fwrite(out.p, 1, out.n, stdout);
    ig_segments_free(&segments);
    ig_buf_free(&out);
    ig_arena_free(&a);
    free(source);
    free(input);
    return s != 0;
}
