/* Chats: probing, adapting requests to a template, the fallback, and the reasoning splitter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "chat/chat.h"

static struct ig_mem mem;
static char logged[512];

static void on_log(void *ud, ingle_log_level level, const char *line) {
    (void)ud, (void)level;
    snprintf(logged, sizeof logged, "%s", line);
}

static struct ig_chat *open_chat(const char *source) {
    struct ig_log log = {.fn = on_log};
    struct ig_chat *c;
    struct ig_chat_setup setup = {
        .source = ig_str_of(source), .bos = IG_STR("<s>"), .eos = IG_STR("</s>"), .log = &log};
    ingle_error err = {0};
    logged[0] = 0;
    if (ig_chat_open(&c, &mem, &setup, &err)) fail_msg("%s", err.message);
    return c;
}

/* Rendering of `request`, or "!" and the message */
static const char *render(const struct ig_chat *c, const char *request,
                          struct ig_chat_prompt *prompt) {
    static char text[4096];
    struct ig_arena a = {.mem = &mem};
    struct ig_buf out = {.mem = &mem};
    const struct ig_json *j;
    ingle_error err = {0};
    assert_int_equal(ig_json_parse(&a, ig_str_of(request), NULL, &j, &err), INGLE_OK);
    ingle_status s = ig_chat_render(c, &mem, j, NULL, &out, NULL, prompt, &err);
    snprintf(text, sizeof text, "%s%s", s ? "!" : "", s ? err.message : out.p ? out.p : "");
    ig_buf_free(&out);
    ig_arena_free(&a);
    return text;
}

static void shows(const char *source, const char *request, const char *want) {
    struct ig_chat *c = open_chat(source);
    assert_string_equal(render(c, request, NULL), want);
    ig_chat_close(c);
}

#define USER   "{\"role\":\"user\",\"content\":\"Hi\"}"
#define SYSTEM "{\"role\":\"system\",\"content\":\"Be brief.\"}"

static void test_fallback(void **state) {
    (void)state;
    struct ig_chat *c = open_chat("");
    assert_true(ig_chat_caps(c)->builtin && ig_chat_caps(c)->system && !ig_chat_caps(c)->alternate);
    assert_non_null(strstr(logged, "ChatML"));
    assert_string_equal(
        render(c, "{\"messages\":[" SYSTEM "," USER "]}", NULL),
        "<|im_start|>system\nBe "
        "brief.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    assert_string_equal(
        render(c,
               "{\"messages\":[" USER
               ",{\"role\":\"assistant\",\"content\":null}],\"add_generation_prompt\":false}",
               NULL),
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n");
    assert_string_equal(render(c,
                               "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\","
                               "\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}]}",
                               NULL),
                        "<|im_start|>user\na\nb<|im_end|>\n<|im_start|>assistant\n");
    assert_non_null(strstr(
        render(c, "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
               NULL),
        "!messages: content of type \"image_url\""));
    assert_string_equal(render(c, "{\"messages\":[]}", NULL),
                        "!messages is missing, empty or no list");
    assert_string_equal(render(c, "{\"messages\":[{\"content\":\"x\"}]}", NULL),
                        "!messages[0] has no role");
    assert_string_equal(render(c, "{\"messages\":[{\"role\":\"user\",\"content\":3}]}", NULL),
                        "!messages[0].content is neither");
    ig_chat_close(c);
}

static void test_adapt(void **state) {
    (void)state;
    static const char gemma[] =
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role "
        "not supported') }}{% endif %}"
        "{% for m in messages %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ "
        "raise_exception('alternate') }}{% endif %}"
        "[{{ m['role'] }}:{{ m['content'] }}]{% endfor %}";
    shows(gemma,
          "{\"messages\":[" SYSTEM "," USER "," USER
          ",{\"role\":\"assistant\",\"content\":\"Yo\"}," USER "]}",
          "<s>[user:Be brief.\n\nHi\n\nHi][assistant:Yo][user:Hi]");
    shows(gemma, "{\"messages\":[" SYSTEM "]}", "<s>[user:Be brief.]");
    shows(gemma, "{\"messages\":[{\"role\":\"assistant\",\"content\":\"Yo\"}]}", "!alternate");
    static const char plain[] = "{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}";
    shows(plain, "{\"messages\":[{\"role\":\"developer\",\"content\":\"x\"}," USER "," USER "]}",
          "[system:x][user:Hi][user:Hi]");
    static const char parts[] =
        "{% for m in messages %}{% for p in m.content %}{{ m.role }}={{ p['text'] if p['type'] == "
        "'text' else raise_exception('no') }};{% endfor %}{% endfor %}";
    shows(parts, "{\"messages\":[" SYSTEM "," USER "]}", "system=Be brief.;user=Hi;");
}

static void test_tool_calls(void **state) {
    (void)state;
    static const char object[] =
        "{% for m in messages %}{{ m.content }}{% for t in m.tool_calls %}{{ t.function.name }}({{ "
        "t.function.arguments|tojson }}){% endfor %}{% endfor %}";
    static const char text[] =
        "{% for m in messages %}{{ m.content }}{% for t in m.tool_calls %}{{ t.function.name + '(' "
        "+ t.function.arguments + ')' }}{% endfor %}{% endfor %}";
    static const char request[] =
        "{\"messages\":[" USER ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
        "\"1\",\"type\":\"function\","
        "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\": 1}\"}}]}],\"tools\":[]}";
    shows(object, request, "Hif({\"a\": 1})");
    shows(text, request, "Hif({\"a\": 1})");
}

static void test_kwargs(void **state) {
    (void)state;
    struct ig_chat *c = open_chat("{{ tools is none }} {{ x }} {{ reasoning_effort }} {{ "
                                  "add_generation_prompt }} {{ eos_token }}");
    assert_string_equal(
        render(c,
               "{\"messages\":[" USER
               "],\"chat_template_kwargs\":{\"x\":[1]},\"reasoning_effort\":\"low\"}",
               NULL),
        "True [1] low True </s>");
    assert_non_null(
        strstr(render(c, "{\"messages\":[" USER "],\"chat_template_kwargs\":{\"range\":1}}", NULL),
               "must not set \"range\""));
    assert_non_null(
        strstr(render(c,
                      "{\"messages\":[" USER
                      "],\"chat_template_kwargs\":{\"x\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}}",
                      NULL),
               "too big"));
    ig_chat_close(c);
    c = open_chat("{{ 1");
    assert_true(ig_chat_caps(c)->broken);
    assert_non_null(
        strstr(render(c, "{\"messages\":[" USER "]}", NULL), "!line 1: a {{ tag does not end"));
    ig_chat_close(c);
}

static void test_thinking(void **state) {
    (void)state;
    struct ig_chat *c =
        open_chat("{% for m in messages %}{{ m.content }}{% endfor %}{% if add_generation_prompt "
                  "%}<|a|>{% if enable_thinking is defined and not enable_thinking %}"
                  "<think>\n\n</think>\n\n{% else %}<think>\n{% endif %}{% endif %}");
    struct ig_chat_prompt p = {0};
    render(c, "{\"messages\":[" USER "]}", &p);
    assert_true(p.thinking);
    render(c, "{\"messages\":[" USER "],\"chat_template_kwargs\":{\"enable_thinking\":false}}", &p);
    assert_false(p.thinking);
    render(c,
           "{\"messages\":[{\"role\":\"user\",\"content\":\"<think>\"}],\"add_generation_prompt\":"
           "false}",
           &p);
    assert_false(p.thinking); /* a user's own tag opens nothing */
    ig_chat_close(c);
}

/* ---- Reasoning ---- */

static char parts_seen[1024];
static int on_part(void *ud, bool reasoning, const char *p, size_t n) {
    (void)ud;
    size_t at = strlen(parts_seen);
    static bool last;
    if (!at || last != reasoning) at += (size_t)sprintf(parts_seen + at, reasoning ? "R:" : "T:");
    last = reasoning;
    memcpy(parts_seen + at, p, n);
    parts_seen[at + n] = 0;
    return 0;
}

static void splits(bool thinking, const char *text, const char *want) {
    size_t n = strlen(text);
    for (size_t step = 1; step <= n; step++) {
        struct ig_reason r;
        ig_reason_init(&r, thinking, NULL, NULL);
        parts_seen[0] = 0;
        for (size_t i = 0; i < n; i += step)
            ig_reason_feed(&r, text + i, i + step < n ? step : n - i, on_part, NULL);
        ig_reason_end(&r, on_part, NULL);
        if (strcmp(parts_seen, want) != 0)
            fail_msg("%s in steps of %zu\n  want %s\n  got  %s", text, step, want, parts_seen);
    }
}

static int stops(void *ud, bool reasoning, const char *p, size_t n) {
    (void)reasoning, (void)p, (void)n;
    ++*(int *)ud;
    return 7;
}

static void test_reason(void **state) {
    (void)state;
    splits(false, "Hello <think>x</think>", "T:Hello <think>x</think>");
    splits(false, "<think>\na b\n</think>\n\nHi  there\n", "R:a bT:Hi  there\n");
    splits(false, "\n <think>a</think>b", "R:aT:b");
    splits(false, "  Hi", "T:  Hi");
    splits(false, "<thin", "T:<thin");
    splits(false, "<this", "T:<this");
    splits(true, "a <b </think>c</think>d", "R:a <bT:c</think>d");
    splits(true, "a <</think>c", "R:a <T:c");
    splits(true, "never\n\nclosed \n", "R:never\n\nclosed");
    splits(true, "x </thin", "R:x </thin");
    splits(true, "</think>\n\nHi", "T:Hi");
    splits(false, "<think></think>", "");
    splits(false, "", "");
    struct ig_reason r;
    int calls = 0;
    ig_reason_init(&r, false, NULL, NULL);
    assert_int_equal(ig_reason_feed(&r, "Hi", 2, stops, &calls), 7);
    assert_int_equal(calls, 1);
    ig_reason_init(&r, false, "[THINK]", "[/THINK]");
    parts_seen[0] = 0;
    ig_reason_feed(&r, "[THINK]a[/THINK]b", 17, on_part, NULL);
    assert_string_equal(parts_seen, "R:aT:b");
}

static unsigned countdown;
static void *failing(void *ud, void *p, size_t old, size_t now) {
    (void)ud, (void)old;
    if (!now) return free(p), NULL;
    return countdown-- == 0 ? NULL : realloc(p, now);
}

static void test_no_memory(void **state) {
    (void)state;
    static const char source[] =
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('x') }}{% endif %}{{ "
        "m.content }}{{ m.tool_calls }}{% endfor %}";
    static const char request[] = "{\"messages\":[" SYSTEM "," USER
                                  ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{"
                                  "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}]}";
    struct ig_arena a = {.mem = &mem};
    const struct ig_json *j;
    assert_int_equal(ig_json_parse(&a, ig_str_of(request), NULL, &j, NULL), INGLE_OK);
    for (unsigned n = 0;; n++) {
        struct ig_mem bad = {.hook = failing};
        struct ig_chat *c;
        struct ig_buf out = {.mem = &bad};
        struct ig_chat_setup setup = {.source = ig_str_of(source), .bos = IG_STR("<s>")};
        ingle_error err = {0};
        countdown = n;
        ingle_status s = ig_chat_open(&c, &bad, &setup, &err);
        if (!s) s = ig_chat_render(c, &bad, j, NULL, &out, NULL, &(struct ig_chat_prompt){0}, &err);
        ig_chat_close(c);
        ig_buf_free(&out);
        assert_int_equal(ig_mem_used(&bad), 0);
        if (s == INGLE_OK) break;
        if (s != INGLE_NO_MEMORY) fail_msg("allocation %u: %d %s", n, s, err.message);
        assert_true(n < 10000);
    }
    ig_arena_free(&a);
}

static int no_leak(void **state) {
    (void)state;
    return ig_mem_used(&mem) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fallback),   cmocka_unit_test(test_adapt),
        cmocka_unit_test(test_tool_calls), cmocka_unit_test(test_kwargs),
        cmocka_unit_test(test_thinking),   cmocka_unit_test(test_reason),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, no_leak);
}
