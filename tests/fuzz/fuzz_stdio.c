/* A line of `ingle stdio` may hold any bytes. Whatever it is, the answer is one line of valid JSON
 * that bears its id. */
#include <stdint.h>
#include <stdlib.h>
#include "../../cli/stdio_message.c"

/* One line, valid, and "id" reads as `id` does. */
static void check(const struct ig_buf *line, struct ig_str id) {
    struct ig_mem mem = {0};
    struct ig_arena a = {.mem = &mem};
    const struct ig_json *j, *wanted;
    if (line->failed || memchr(line->p, '\n', line->n)) abort();
    if (ig_json_parse(&a, ig_buf_view(line), NULL, &j, NULL) != INGLE_OK) abort();
    if (id.n) {
        const struct ig_json *got = ig_json_get(j, "id");
        if (ig_json_parse(&a, id, NULL, &wanted, NULL) != INGLE_OK || !got) abort();
        if (got->kind != wanted->kind || !ig_str_eq(got->text, wanted->text)) abort();
    }
    ig_arena_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct ig_mem mem = {.limit = 256u << 20};
    struct ig_arena a = {.mem = &mem};
    struct ig_buf line = {.mem = &mem};
    struct stdio_message m;
    ingle_error err = {INGLE_OK, "", ""};
    struct ig_str text = {(const char *)data, size};
    int code = stdio_read_message(&a, text, &m, &err);
    if (code && (code > -32000 || !err.message[0])) abort();
    if (!code && m.params && !ig_json_is(m.params, IG_JSON_OBJECT)) abort();
    if (m.id.n > STDIO_ID) abort();
    struct ig_str id = m.id.n ? m.id : IG_STR("null");
    if (code)
        stdio_put_error(&line, id, code == STDIO_STATUS - (int)err.code ? 0 : code, &err);
    else
        stdio_put_result(&line, id, m.params ? m.params->text : IG_STR(""));
    check(&line, id);
    ig_buf_clear(&line);
    ingle_event ev = {
        .size = sizeof ev, .kind = INGLE_EVENT_TEXT, .text = text.p, .len = size, .finish = ""};
    stdio_put_event(&line, 1, &ev); /* any bytes as text */
    check(&line, (struct ig_str){0});
    ig_buf_clear(&line);
    ig_buf_ch(&line, '"');
    stdio_put_base64(&line, data, size);
    ig_buf_ch(&line, '"');
    if (line.n != (size + 2) / 3 * 4 + 2) abort();
    check(&line, (struct ig_str){0});
    ig_buf_free(&line);
    ig_arena_free(&a);
    if (ig_mem_used(&mem)) abort();
    return 0;
}
