/* The template engine: every golden rendering, limits, segments, threads sharing one template,
 * allocation failure. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "chat/template.h"

static struct ig_mem mem;

static char *load(const char *name, size_t *n) {
    char path[1024];
    const char *root = getenv("INGLE_GOLDEN_BUILD");
    snprintf(path, sizeof path, "%s/%s", root ? root : "build/golden", name);
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing: run tools/golden/unpack.sh", path);
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    char *p = malloc(*n + 1);
    assert_int_equal(fread(p, 1, *n, f), *n);
    p[*n] = 0;
    fclose(f);
    return p;
}

static bool local_time(void *ud, struct ig_template_time *out) {
    const char *text = ud;
    *out = (struct ig_template_time){0};
    return sscanf(text, "%d-%d-%dT%d:%d:%d", &out->year, &out->month, &out->day, &out->hour,
                  &out->minute, &out->second) == 6;
}

/* Renders `source` with `json` as context; the result (or the error's message) is malloc'ed. */
static char *render(const char *source, const char *json, const struct ig_template_env *env,
                    ingle_status *status) {
    struct ig_arena a = {.mem = &mem};
    struct ig_buf out = {.mem = &mem};
    struct ig_template *t = NULL;
    const struct ig_json *j = NULL;
    ingle_error err = {0};
    ingle_status s = ig_json_parse(&a, ig_str_of(json), NULL, &j, &err);
    if (!s) s = ig_template_compile(&t, &mem, ig_str_of(source), &err);
    if (!s) s = ig_template_render(t, j, env, &out, NULL, &err);
    char *text = strdup(s ? err.message : out.p ? out.p : "");
    ig_template_free(t);
    ig_buf_free(&out);
    ig_arena_free(&a);
    *status = s;
    return text;
}

static void is(const char *source, const char *json, const char *want) {
    ingle_status s;
    char *got = render(source, json, NULL, &s);
    if (s || strcmp(got, want) != 0) fail_msg("%s\n  want %s\n  got  %s", source, want, got);
    free(got);
}

static void fails(const char *source, const char *json, const char *want) {
    ingle_status s;
    char *got = render(source, json, NULL, &s);
    if (s != INGLE_BAD_TEMPLATE || !strstr(got, want))
        fail_msg("%s\n  want %s\n  got  %d %s", source, want, s, got);
    free(got);
}

/* ---- Goldens ---- */

static void put_member(struct ig_buf *b, struct ig_str key, const struct ig_json *value) {
    if (b->n > 1) ig_buf_ch(b, ',');
    ig_json_put_str(b, key);
    ig_buf_ch(b, ':');
    ig_json_put(b, value);
}

static unsigned check_case(const struct ig_json *c, struct ig_str source) {
    static const char *const names[] = {"messages", "tools", "add_generation_prompt", "bos_token",
                                        "eos_token"};
    struct ig_buf ctx = {.mem = &mem};
    ig_buf_ch(&ctx, '{');
    for (size_t i = 0; i < 5; i++) put_member(&ctx, ig_str_of(names[i]), ig_json_get(c, names[i]));
    for (const struct ig_json *k = ig_json_get(c, "kwargs")->child; k; k = k->next)
        put_member(&ctx, k->key, k);
    ig_buf_ch(&ctx, '}');
    char now[32];
    struct ig_str at = ig_json_str(ig_json_get(c, "now"), ""),
                  text = ig_json_str(ig_json_get(c, "expected"), NULL);
    snprintf(now, sizeof now, "%.*s", (int)at.n, at.p);
    struct ig_template_env env = {.local_time = local_time, .ud = now};
    ingle_status s;
    char *src = strndup(source.p, source.n), *got = render(src, ctx.p, &env, &s);
    bool good;
    if (text.p) {
        good = !s && ig_str_is(text, got);
    } else {
        /* "TypeError: what": our message holds what; a template's own exception is exactly that */
        struct ig_str e = ig_json_str(ig_json_get(c, "error"), "");
        size_t colon;
        assert_true(ig_str_find(e, IG_STR(": "), &colon));
        struct ig_str what = {e.p + colon + 2, e.n - colon - 2};
        good = s == INGLE_BAD_TEMPLATE && ig_str_find(ig_str_of(got), what, NULL);
        if (ig_str_starts(e, IG_STR("TemplateError"))) good = good && ig_str_is(what, got);
    }
    struct ig_str file = ig_json_str(ig_json_get(c, "template"), ""),
                  name = ig_json_str(ig_json_get(c, "case"), "");
    if (!good) print_error("%.*s %.*s: %s\n", (int)file.n, file.p, (int)name.n, name.p, got);
    free(src);
    free(got);
    ig_buf_free(&ctx);
    return !good;
}

static void test_goldens(void **state) {
    (void)state;
    size_t n, n_cases = 0;
    unsigned wrong = 0;
    char *text = load("templates.json", &n);
    struct ig_arena a = {.mem = &mem};
    const struct ig_json *root;
    assert_int_equal(ig_json_parse(&a, (struct ig_str){text, n}, NULL, &root, NULL), INGLE_OK);
    for (const struct ig_json *c = ig_json_get(root, "cases")->child; c; c = c->next, n_cases++) {
        char name[200];
        struct ig_str file = ig_json_str(ig_json_get(c, "template"), "");
        snprintf(name, sizeof name, "%.*s", (int)file.n, file.p);
        wrong += check_case(c, ig_json_str(ig_json_get(ig_json_get(root, "templates"), name), ""));
    }
    assert_int_equal(n_cases, 432);
    assert_int_equal(wrong, 0);
    ig_arena_free(&a);
    free(text);
}

/* ---- The language ---- */

static void test_text(void **state) {
    (void)state;
    is("a\n{% if true %}\n  b\n  {% endif %}\nc\n", "{}", "a\n  b\nc");
    is("a  {%- if true %} b {%+ endif -%}  c", "{}", "a b c");
    is("{% if true +%}\nx{% endif %}", "{}", "\nx");
    is("x {# c #} y {#- d -#} z", "{}", "x  yz");
    is("{% raw %}{{ a }} {% b %}{% endraw %}!", "{}", "{{ a }} {% b %}!");
    is("{{ 'a' 'b' }}{{ \"q\\n\\x41\\u00e9\" }}", "{}", "abq\nA\xc3\xa9");
    is("{{ {'a': {'b': 1}} }}", "{}", "{'a': {'b': 1}}");
    is("a\r\nb{{ 1 }}\r\n", "{}", "a\nb1");
}

static void test_values(void **state) {
    (void)state;
    is("{{ 1 }} {{ 1.0 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ -7 % "
       "3 }} {{ 7 / 2 }} {{ 2 ** 10 }}",
       "{}", "1 1.0 1e+16 1e-05 0.30000000000000004 3 -4 2 3.5 1024");
    is("{{ none }} {{ true }} {{ [1, 'a', none, 2.5] }} {{ (1,) }} {{ {'a': \"it's\"} }}", "{}",
       "None True [1, 'a', None, 2.5] (1,) {'a': \"it's\"}");
    is("{{ a }}|{{ b }}|{{ c }}", "{\"a\": 3, \"b\": 3.0, \"c\": -0}", "3|3.0|0");
    is("[{{ missing }}] {{ missing is defined }} {{ missing|default('x') }} {{ '' | default('y', "
       "true) }}",
       "{}", "[] False x y");
    is("{{ 'abc'[1] }} {{ 'abc'[::-1] }} {{ [1,2,3][-2:] }} {{ '\xc3\xa9t\xc3\xa9'[1:] }}", "{}",
       "b cba [2, 3] t\xc3\xa9");
    is("{{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'a' in 'cat' }} {{ 2 not in [1, 2] }} {{ 1 == true }}",
       "{}", "True True True False True");
    is("{{ x.items()|list }} {{ x.get('b', 5) }} {{ x.a }} {{ x['a'] }}", "{\"x\": {\"a\": 1}}",
       "[('a', 1)] 5 1 1");
    is("{{ 'a' ~ 1 ~ none ~ [2] }} {{ 'x' * 3 }} {{ [1] + [2] }}", "{}", "a1None[2] xxx [1, 2]");
    is("{{ '%s-%05.1f|%-4d|%(a)s' is string }} {{ '%s-%05.1f|%-4d|' % ('a', 2.25, 7) }} {{ "
       "'{:>5}|{a!r}'.format(1, a='b') }}",
       "{}", "True a-002.2|7   |     1|'b'");
    is("{{ x|tojson }} {{ x|tojson(indent=2) }} {{ '\xc3\xa9'|tojson(ensure_ascii=true) }}",
       "{\"x\": {\"a\": [1, 2.0, null, \"<\\n\"]}}",
       "{\"a\": [1, 2.0, null, \"<\\n\"]} {\n  \"a\": [\n    1,\n    2.0,\n    null,\n    "
       "\"<\\n\"\n  ]\n} \"\\u00e9\"");
}

static void test_statements(void **state) {
    (void)state;
    is("{% for x in [1,2,3] if x != 2 %}{{ loop.index }}{{ x }}{{ '.' if loop.last else ',' }}{% "
       "else %}none{% endfor %}",
       "{}", "11,23.");
    is("{% for k, v in {'a': 1}.items() %}{{ k }}{{ v }}{% endfor %}{% for x in [] %}{% else %}e{% "
       "endfor %}",
       "{}", "a1e");
    is("{% set x = 1 %}{% for i in [1] %}{% set x = 2 %}{{ x }}{% endfor %}{{ x }}", "{}", "21");
    is("{% set ns = namespace(a=1) %}{% for i in [1,2] %}{% set ns.a = ns.a + i %}{% endfor %}{{ "
       "ns.a }}",
       "{}", "4");
    is("{% macro m(a, b='x') %}{{ a }}{{ b }}{{ caller() if caller }}{% endmacro %}{{ m(1) }}{{ "
       "m(b=2, a=3) }}{% call m(5) %}!{% endcall %}",
       "{}", "1x325x!");
    is("{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 4 %}{% break "
       "%}{% endif %}{{ i }}{% endfor %}",
       "{}", "013");
    is("{% set a %}<{{ 1 }}>{% endset %}{{ a }}{% filter upper %}x{{ a }}{% endfilter %}{% with q "
       "= 2 %}{{ q }}{% endwith %}{{ q }}",
       "{}", "<1>X<1>2");
    is("{% for i in t recursive %}{{ i.n }}{% if i.c %}({{ loop(i.c) }}){% endif %}{% endfor %}",
       "{\"t\": [{\"n\": 1, \"c\": [{\"n\": 2}, {\"n\": 3}]}, {\"n\": 4}]}", "1(23)4");
    is("{% generation %}a{% endgeneration %}{{ loop is defined }}", "{}", "aFalse");
    is("{% if false %}{{ 1|nofilter }}{% endif %}ok", "{}", "ok");
}

static void test_errors(void **state) {
    (void)state;
    fails("a\nb{{ x.y.z }}", "{}", "line 2: 'x' is undefined");
    fails("{{ 'a' + 1 }}", "{}", "line 1: can only concatenate str (not \"int\") to str");
    fails("\n\n{{ raise_exception('no ' ~ 'way') }}", "{}", "no way");
    fails("{{ 1 / 0 }}", "{}", "division by zero");
    fails("{% if x %}", "{}", "line 1: the template ends, but 'endif' is missing");
    fails("{{ 1", "{}", "line 1: a {{ tag does not end");
    fails("a\n{% raw %}x", "{}", "line 2: {% raw %} without {% endraw %}");
    fails("{# a", "{}", "does not end");
    fails("{{ (1, [2) }}", "{}", "brackets do not match");
    fails("{{ 1|nofilter }}", "{}", "No filter named 'nofilter'.");
    fails("{{ 1 is notest }}", "{}", "No test named 'notest'.");
    fails("{% include '/etc/passwd' %}", "{}", "'include' is not allowed");
    fails("{% import 'x' as y %}{% from 'x' import y %}", "{}", "not allowed");
    fails("{{ ''.__class__.__mro__ }}", "{}",
          "access to attribute '__class__' of 'str' object is unsafe.");
    fails("{{ [].append(1) }}", "{}", "access to attribute 'append' of 'list' object is unsafe.");
    fails("{{ strftime_now('%Y') }}", "{}", "no clock");
    fails("{% break %}", "{}", "'break' outside loop");
}

/* ---- Hostile templates: each must end within a second or so, with an error ---- */

static char *repeated(const char *before, const char *what, size_t n, const char *after) {
    size_t len = strlen(what);
    char *p = malloc(strlen(before) + n * len + strlen(after) + 1), *to = p;
    to += sprintf(to, "%s", before);
    for (size_t i = 0; i < n; i++, to += len) memcpy(to, what, len);
    strcpy(to, after);
    return p;
}

static void hostile(const char *source, const char *want) {
    struct timespec from, to;
    clock_gettime(CLOCK_MONOTONIC, &from);
    fails(source, "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}", want);
    clock_gettime(CLOCK_MONOTONIC, &to);
    if (to.tv_sec - from.tv_sec > 4) fail_msg("%.60s takes too long", source);
    assert_int_equal(ig_mem_used(&mem), 0);
}

static void test_hostile(void **state) {
    (void)state;
    hostile("{% for i in range(1000000000) %}x{% endfor %}", "Range too big");
    hostile("{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}", "");
    hostile("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "more than");
    hostile("{% macro m(x) %}{{ m(x) }}{% endmacro %}{{ m(1) }}", "nested more than");
    hostile("{% set ns = namespace(f=1) %}{% macro a(f) %}{{ f(f) }}{% endmacro %}{{ a(a) }}",
            "nested more than");
    hostile("{{ 'a' * 1000000000 }}", "grows beyond");
    hostile("{{ [0] * 1000000000 }}", "more than");
    hostile("{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s + "
            "ns.s %}{% endfor %}",
            "grows beyond");
    hostile("{% set ns = namespace(s=[1]) %}{% for i in range(60) %}{% set ns.s = [ns.s, ns.s] "
            "%}{% endfor %}{{ ns.s }}",
            "");
    hostile("{% set ns = namespace(s=[1]) %}{% for i in range(999) %}{% set ns.s = [ns.s] %}{% "
            "endfor %}{{ ns.s }}",
            "nested more than");
    hostile("{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}", "nested more than");
    hostile("{{ 2 ** 9999999 }}", "64 bits");
    hostile("{{ '%999999999d' % 1 }}", "width too big");
    hostile("{{ '{:999999999}'.format(1) }}", "Invalid format");
    hostile("{{ 'x'|center(1000000000) }}", "");
    hostile("{{ 'x'|indent(1000000000, true) }}", "");
    hostile("{% for i in messages recursive %}{{ loop(messages) }}{% endfor %}",
            "nested more than");
    static const char *const deep[][3] = {{"{{ ", "(", ""},
                                          {"{{ ", "[", ""},
                                          {"{{ ", "not ", "1 }}"},
                                          {"{{ ", "-", "1 }}"},
                                          {"{{ ", "{1:", ""},
                                          {"", "{% if 1 %}", ""},
                                          {"", "{% for x in [1] %}", ""},
                                          {"{{ 1", " if 1 else 1", " }}"},
                                          {"{{ a", "[a", " }}"}};
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++) {
        char *source = repeated(deep[i][0], deep[i][1], 20000, deep[i][2]);
        hostile(source, "line 1");
        free(source);
    }
}

/* Long chains are no depth. */
static void test_long_chains(void **state) {
    (void)state;
    static const char *const chains[][3] = {{"{{ 1", "+1", " }}"},
                                            {"{{ 1", " and 1", " }}"},
                                            {"{{ 'a'", "|upper", " }}"},
                                            {"{{ 1", " ~ 1", " }}"},
                                            {"{% if 0 %}", "{% elif 0 %}", "{% endif %}"}};
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        ingle_status s;
        char *source = repeated(chains[i][0], chains[i][1], 5000, chains[i][2]),
             *got = render(source, "{}", NULL, &s);
        if (s) fail_msg("%.30s: %s", source, got);
        free(source);
        free(got);
    }
}

/* ---- Segments ---- */

static void marked(const char *source, const char *json, const char *want) {
    struct ig_arena a = {.mem = &mem};
    struct ig_buf out = {.mem = &mem}, text = {.mem = &mem};
    struct ig_segments s = {.mem = &mem};
    struct ig_template *t;
    const struct ig_json *j;
    ingle_error err = {0};
    assert_int_equal(ig_json_parse(&a, ig_str_of(json), NULL, &j, &err), INGLE_OK);
    assert_int_equal(ig_template_compile(&t, &mem, ig_str_of(source), &err), INGLE_OK);
    if (ig_template_render(t, j, NULL, &out, &s, &err)) fail_msg("%s", err.message);
    size_t at = 0;
    for (size_t i = 0; i < s.n; i++) {
        assert_int_equal(s.list[i].start, at);
        assert_true(s.list[i].len > 0 && (!i || s.list[i].is_input != s.list[i - 1].is_input));
        if (s.list[i].is_input) ig_buf_ch(&text, '<');
        ig_buf_add(&text, out.p + at, s.list[i].len);
        if (s.list[i].is_input) ig_buf_ch(&text, '>');
        at += s.list[i].len;
    }
    assert_int_equal(at, out.n);
    assert_string_equal(text.p ? text.p : "", want);
    ig_template_free(t);
    ig_segments_free(&s);
    ig_buf_free(&out);
    ig_buf_free(&text);
    ig_arena_free(&a);
}

static void test_segments(void **state) {
    (void)state;
    const char *json = "{\"messages\": [{\"role\": \"user\", \"content\": \"  Hi there \"}, "
                       "{\"role\": \"x<|\", \"content\": \"b\"}],"
                       "\"bos_token\": \"BOS\"}";
    marked("{{ bos_token }}[{{ messages[0].content }}]", json, "BOS[<  Hi there >]");
    marked("{{ 'a' + messages[0]['content'] + 'b' }}", json, "a<  Hi there >b");
    marked("{{ ('a' + messages[0].content|trim|upper ~ 'b')[:3] }}", json, "a<HI>");
    marked("{{ messages[0].content.split()|join('-') }}{{ 'x' }}", json, "<Hi>-<there>x");
    marked("{{ 'T' }}{{ messages[1].content|tojson }}", json, "T<\"b\">");
    marked("{{ messages[0].role }}|{{ messages[1].role }}", json, "user|<x<|>");
    marked("{{ '%s!' % messages[1].content }}{{ '{}?'.format(messages[1].content) }}", json,
           "<b>!<b>?");
    marked("{% set a %}q{{ messages[1].content }}{% endset %}{{ a.replace('q', 'zz') }}", json,
           "zz<b>");
    marked("{% macro m(x) %}({{ x }}){% endmacro %}{{ m(messages[1].content) }}{{ ['k', "
           "messages[1].content] }}",
           json, "(<b>)['k', '<b>']");
    marked("{% for c in messages[1].content ~ 'y' %}{{ c }}{% endfor %}", json, "<b>y");
}

/* ---- Threads, memory ---- */

static const char *const chatml =
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ "
    "'<|im_start|>system\nYou are a "
    "helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif "
    "%}{{'<|im_start|>' + message['role'] + '\n' + "
    "message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ "
    "'<|im_start|>assistant\n' }}{% endif %}";
static const char *const chat = "{\"messages\": [{\"role\": \"user\", \"content\": \"Hello\"}], "
                                "\"add_generation_prompt\": true}";

static struct ig_template *shared;
static void *renders(void *arg) {
    struct ig_arena a = {.mem = &mem};
    const struct ig_json *j;
    size_t *bad = arg;
    if (ig_json_parse(&a, ig_str_of(chat), NULL, &j, NULL)) return NULL;
    for (int i = 0; i < 300; i++) {
        struct ig_buf out = {.mem = &mem};
        if (ig_template_render(shared, j, NULL, &out, NULL, NULL) ||
            !ig_str_ends(ig_buf_view(&out),
                         IG_STR("<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n")))
            ++*bad;
        ig_buf_free(&out);
    }
    ig_arena_free(&a);
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    pthread_t threads[4];
    size_t bad[4] = {0};
    assert_int_equal(ig_template_compile(&shared, &mem, ig_str_of(chatml), NULL), INGLE_OK);
    assert_true(ig_template_uses(shared, "messages") && !ig_template_uses(shared, "tools"));
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, renders, &bad[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) assert_int_equal(bad[i], 0);
    ig_template_free(shared);
}

static unsigned countdown;
static void *failing(void *ud, void *p, size_t old, size_t now) {
    (void)ud, (void)old;
    if (!now) return free(p), NULL;
    return countdown-- == 0 ? NULL : realloc(p, now);
}

static void test_no_memory(void **state) {
    (void)state;
    static const char source[] = "{% macro m(a, b=[1]) %}{{ a|upper ~ b|tojson(indent=2) }}{% "
                                 "endmacro %}{% for x in messages %}"
                                 "{% set ns = namespace(q=x.content) %}{{ m(ns.q * 300) }}{{ "
                                 "'a%sb' % x }}{{ x.content.split('l')|map('upper')|list }}"
                                 "{% set y %}{{ x|dictsort }}{% endset %}{{ y }}{% endfor %}";
    struct ig_arena a = {.mem = &mem};
    const struct ig_json *j;
    assert_int_equal(ig_json_parse(&a, ig_str_of(chat), NULL, &j, NULL), INGLE_OK);
    for (unsigned n = 0;; n++) {
        struct ig_mem bad = {.hook = failing};
        struct ig_template *t;
        struct ig_buf out = {.mem = &bad};
        struct ig_segments segments = {.mem = &bad};
        countdown = n;
        ingle_error err = {0};
        ingle_status s = ig_template_compile(&t, &bad, ig_str_of(source), &err);
        if (!s) s = ig_template_render(t, j, NULL, &out, &segments, &err);
        ig_template_free(t);
        ig_buf_free(&out);
        ig_segments_free(&segments);
        assert_int_equal(ig_mem_used(&bad), 0);
        if (s == INGLE_OK) break;
        if (s != INGLE_NO_MEMORY) fail_msg("allocation %u: %d %s", n, s, err.message);
        assert_true(n < 10000);
    }
    ig_arena_free(&a);
}

/* The deepest nesting that is allowed must do with a small stack. */
static void *on_small_stack(void *arg) {
    (void)arg;
    ingle_status s;
    static const char *const deep[][4] = {{"", "{% if 1 %}", "x", "{% endif %}"},
                                          {"{{ ", "(", "1", ")"},
                                          {"{{ ", "[", "1", "]"},
                                          {"", "{% for x in [1] %}", "x", "{% endfor %}"},
                                          {"{{ ", "{1:", "1", "}"},
                                          {"{{ ", "1 if 1 else (", "1", ")"},
                                          {"{{ ", "not (", "1", ")"}};
    for (size_t i = 0; i < sizeof deep / sizeof *deep; i++)
        for (size_t n = 30; n <= 210; n += 30) {
            char *open = repeated(deep[i][0], deep[i][1], n, deep[i][2]);
            char *source = repeated(open, deep[i][3], n, *deep[i][0] ? " }}" : "");
            free(render(source, "{}", NULL, &s));
            free(open);
            free(source);
        }
    free(render("{% macro m(x) %}{% if x %}{% for i in [1] %}{{ m([x]|list|first) }}{% endfor %}{% "
                "endif %}{% endmacro %}{{ m(1) }}",
                "{}", NULL, &s));
    return NULL;
}

static void test_small_stack(void **state) {
    (void)state;
#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* frames are many times larger then */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    skip();
#endif
#endif
    pthread_t t;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 128 * 1024);
    assert_int_equal(pthread_create(&t, &attr, on_small_stack, NULL), 0);
    pthread_join(t, NULL);
    pthread_attr_destroy(&attr);
}

static void test_speed(void **state) {
    (void)state;
    struct ig_arena a = {.mem = &mem};
    struct ig_template *t;
    const struct ig_json *j;
    struct timespec from, to;
    assert_int_equal(ig_json_parse(&a, ig_str_of(chat), NULL, &j, NULL), INGLE_OK);
    assert_int_equal(ig_template_compile(&t, &mem, ig_str_of(chatml), NULL), INGLE_OK);
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 100; i++) {
        struct ig_buf out = {.mem = &mem};
        assert_int_equal(ig_template_render(t, j, NULL, &out, NULL, NULL), INGLE_OK);
        ig_buf_free(&out);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    double us =
        ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) / 1e5;
    print_message("a short chat renders in %.1f us\n", us);
    assert_true(us < 1000);
    ig_template_free(t);
    ig_arena_free(&a);
}

static int no_leak(void **state) {
    (void)state;
    return ig_mem_used(&mem) != 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),        cmocka_unit_test(test_values),
        cmocka_unit_test(test_statements),  cmocka_unit_test(test_errors),
        cmocka_unit_test(test_goldens),     cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_long_chains), cmocka_unit_test(test_segments),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_small_stack), cmocka_unit_test(test_speed),
    };
    return cmocka_run_group_tests(tests, NULL, no_leak);
}
