/* The option table and everything that reads it: every row's default and bounds, names and aliases,
 * lists, requests. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/options.h"

static ingle_options *fresh(void) {
    ingle_options *o;
    assert_int_equal(ingle_options_new(&o, NULL), INGLE_OK);
    return o;
}

static void set(ingle_options *o, const char *name, const char *value) {
    ingle_error err;
    if (ingle_options_set(o, name, value, &err) != INGLE_OK)
        fail_msg("%s=%s: %s", name, value, err.message);
    assert_string_equal(ingle_options_get(o, name), value);
}

static void refuse(ingle_options *o, const char *name, const char *value, const char *part) {
    ingle_error err = {0};
    const char *before = ingle_options_get(o, name);
    char *copy = before ? strdup(before) : NULL;
    ingle_status st = ingle_options_set(o, name, value, &err);
    if (st != INGLE_BAD_ARGUMENT) fail_msg("%s=%s was taken", name, value);
    if (!strstr(err.message, part) && !strstr(err.hint, part))
        fail_msg("%s (%s)", err.message, err.hint);
    assert_non_null(strstr(err.message, name));
    assert_string_equal(ingle_options_get(o, name), copy); /* nothing changed */
    free(copy);
}

/* Every row: strings filled, default is in bounds, bounds hold on both sides, the key finds the
 * same row. */
static void test_every_row(void **state) {
    (void)state;
    ingle_options *o = fresh();
    char flags[256] = "";
    for (size_t i = 0;; i++) {
        const ingle_option_info *r = ingle_options_describe(i);
        if (!r) {
            assert_int_equal(i, IG_OPTIONS);
            break;
        }
        assert_true(r->name[0] && r->key[0] && r->group[0] && r->type[0] && r->help[0]);
        assert_string_equal(ingle_options_get(o, r->name), r->initial);
        assert_ptr_equal(ingle_options_get(o, r->name), ingle_options_get(o, r->key));
        for (const char *c = r->help; *c; c++) assert_true(*c >= ' ' && *c <= '~');
        assert_true(strlen(r->flag) <= 1);
        assert_true(!r->flag[0] || !strchr(flags, r->flag[0])); /* each letter once */
        strcat(flags, r->flag);
        if (r->initial[0]) set(o, r->name, r->initial);
        bool is_int = strcmp(r->type, "int") == 0;
        if (is_int || strcmp(r->type, "float") == 0) {
            char text[64];
            const char *form = is_int ? "%.0f" : "%.17g";
            snprintf(text, sizeof text, form, r->min);
            set(o, r->name, text);
            snprintf(text, sizeof text, form, r->max);
            set(o, r->key, text);
            snprintf(text, sizeof text, form, r->min - 1);
            refuse(o, r->name, text, "out of range");
            snprintf(text, sizeof text, form, r->max * 2 + 1);
            refuse(o, r->name, text, "out of range");
            refuse(o, r->name, "", "not a");
            refuse(o, r->name, "12x", "not a");
            refuse(o, r->name, "nan", "not a");
            if (is_int) refuse(o, r->name, "1.5", "not a whole number");
        } else if (strcmp(r->type, "choice") == 0) {
            refuse(o, r->name, "nonsense", r->choices);
            refuse(o, r->name, "", r->choices);
        } else if (strcmp(r->type, "bool") == 0) {
            refuse(o, r->name, "maybe", "neither true nor false");
        } else {
            assert_string_equal(r->type, "string");
        }
    }
    ingle_options_free(o);
    ingle_options_free(NULL);
    assert_null(ingle_options_describe(SIZE_MAX));
}

static void test_defaults_are_those_of_the_sampler(void **state) {
    (void)state;
    struct ig_sample_params a, b;
    ig_sample_defaults(&a);
    ig_options_sampling(NULL, &b);
    a.seed = b.seed = 0;
    assert_int_equal(a.n_dry_breakers, b.n_dry_breakers);
    for (size_t i = 0; i < a.n_dry_breakers; i++)
        assert_true(ig_str_eq(a.dry_breakers[i], b.dry_breakers[i]));
    a.dry_breakers = b.dry_breakers;
    assert_int_equal(a.n_order, b.n_order);
    assert_memory_equal(a.order, b.order, a.n_order);
#define SAME(field) assert_true(a.field == b.field)
    SAME(temperature), SAME(dynatemp_range), SAME(dynatemp_exponent), SAME(top_p), SAME(min_p),
        SAME(typical_p);
    SAME(top_n_sigma), SAME(xtc_probability), SAME(xtc_threshold), SAME(mirostat_tau),
        SAME(mirostat_eta);
    SAME(repeat_penalty), SAME(frequency_penalty), SAME(presence_penalty), SAME(dry_multiplier),
        SAME(dry_base);
    SAME(top_k), SAME(min_keep), SAME(mirostat), SAME(repeat_last_n), SAME(dry_allowed_length);
    SAME(dry_penalty_last_n), SAME(n_context), SAME(n_bias);
}

static void test_readers(void **state) {
    (void)state;
    ingle_options *o = fresh();
    assert_int_equal(ig_options_int(NULL, IG_OPT_BATCH), 512);
    assert_int_equal(ig_options_int(o, IG_OPT_THREADS), 0);
    assert_false(ig_options_is_set(o, IG_OPT_THREADS));
    set(o, "threads", "4");
    assert_true(ig_options_is_set(o, IG_OPT_THREADS));
    assert_int_equal(ig_options_int(o, IG_OPT_THREADS), 4);
    set(o, "kv", "q8_0");
    assert_int_equal(ig_options_choice(o, IG_OPT_KV), 2);
    assert_int_equal(ig_options_choice(NULL, IG_OPT_KV), 0);
    set(o, "ignore_eos", "true");
    assert_true(ig_options_bool(o, IG_OPT_IGNORE_EOS));
    set(o, "memory-limit", "3G");
    assert_int_equal(ig_options_int(o, IG_OPT_MEMORY_LIMIT), (int64_t)3 << 30);
    set(o, "memory-limit", "512k");
    assert_int_equal(ig_options_int(o, IG_OPT_MEMORY_LIMIT), 512 << 10);
    set(o, "memory-limit", "17");
    assert_int_equal(ig_options_int(o, IG_OPT_MEMORY_LIMIT), 17);
    refuse(o, "memory-limit", "M", "whole number");
    refuse(o, "memory-limit", "9007199254740991T", "out of range");
    set(o, "temp", "0.25");
    assert_true(ig_options_float(o, IG_OPT_TEMPERATURE) == 0.25);
    assert_string_equal(ingle_options_get(o, "temperature"), "0.25");
    ingle_options_free(o);
}

static void test_unknown_names(void **state) {
    (void)state;
    ingle_options *o = fresh();
    ingle_error err;
    assert_int_equal(ingle_options_set(o, "tempreature", "1", &err), INGLE_NOT_FOUND);
    assert_non_null(strstr(err.hint, "temperature"));
    assert_int_equal(ingle_options_set(o, "flux-capacitor", "1", &err), INGLE_NOT_FOUND);
    assert_null(ingle_options_get(o, "flux-capacitor"));
    assert_null(ingle_options_get(o, ""));
    assert_null(ingle_options_get(o, NULL));
    assert_int_equal(ingle_options_set(o, NULL, "1", &err), INGLE_BAD_ARGUMENT);
    assert_int_equal(ingle_options_set(NULL, "seed", "1", NULL), INGLE_BAD_ARGUMENT);
    assert_int_equal(ingle_options_new(NULL, &err), INGLE_BAD_ARGUMENT);
    ingle_options_free(o);
}

static void test_lists(void **state) {
    (void)state;
    ingle_options *o = fresh();
    size_t n;
    ig_options_texts(o, IG_OPT_STOP, &n);
    assert_int_equal(n, 0);
    set(o, "stop", "###");
    const struct ig_str *t = ig_options_texts(o, IG_OPT_STOP, &n);
    assert_int_equal(n, 1);
    assert_true(ig_str_is(t[0], "###"));
    set(o, "stop", "[\"a\\n\", \"\\u00e9\"]");
    t = ig_options_texts(o, IG_OPT_STOP, &n);
    assert_int_equal(n, 2);
    assert_true(ig_str_is(t[0], "a\n") && ig_str_is(t[1], "\xc3\xa9"));
    set(o, "stop", "[INST]"); /* not JSON: the text itself */
    t = ig_options_texts(o, IG_OPT_STOP, &n);
    assert_int_equal(n, 1);
    assert_true(ig_str_is(t[0], "[INST]"));
    refuse(o, "stop", "[1]", "not a list of texts");
    refuse(o, "stop", "[\"\"]", "not a list of texts");
    set(o, "stop", "");
    ig_options_texts(o, IG_OPT_STOP, &n);
    assert_int_equal(n, 0);

    struct ig_sample_params p;
    set(o, "logit-bias", "{\"15\": -1.5, \"7\": false, \"0\": 100}");
    ig_options_sampling(o, &p);
    assert_int_equal(p.n_bias, 3);
    assert_true(p.bias[0].id == 15 && p.bias[0].bias == -1.5f);
    assert_true(p.bias[1].id == 7 && p.bias[1].bias == -INFINITY);
    set(o, "logit-bias", "[[3, 2], [4, false]]");
    ig_options_sampling(o, &p);
    assert_int_equal(p.n_bias, 2);
    assert_true(p.bias[0].id == 3 && p.bias[0].bias == 2 && p.bias[1].bias == -INFINITY);
    refuse(o, "logit-bias", "{\"x\": 1}", "bias");
    refuse(o, "logit-bias", "{\"-1\": 1}", "bias");
    refuse(o, "logit-bias", "{\"1\": true}", "bias");
    refuse(o, "logit-bias", "{\"1\": 1e9}", "bias");
    refuse(o, "logit-bias", "[3]", "bias");
    refuse(o, "logit-bias", "15=1", "JSON");

    set(o, "samplers", "temperature;top_p");
    ig_options_sampling(o, &p);
    assert_int_equal(p.n_order, 2);
    assert_int_equal(p.order[0], IG_SAMPLER_TEMPERATURE);
    refuse(o, "samplers", "tfs", "tfs");
    ingle_options_free(o);
}

static void test_seed(void **state) {
    (void)state;
    struct ig_sample_params p, q;
    ingle_options *o = fresh();
    ig_options_sampling(o, &p);
    ig_options_sampling(o, &q);
    assert_true(p.seed != q.seed); /* 53 random bits: differ */
    set(o, "seed", "42");
    ig_options_sampling(o, &p);
    assert_int_equal(p.seed, 42);
    ingle_options_free(o);
}

static ingle_status apply(ingle_options *o, const char *json, ingle_error *err) {
    struct ig_mem mem = {0};
    struct ig_arena a = {.mem = &mem};
    const struct ig_json *j;
    assert_int_equal(ig_json_parse(&a, ig_str_of(json), NULL, &j, NULL), INGLE_OK);
    ingle_status st = ig_options_apply_json(o, j, err);
    ig_arena_free(&a);
    return st;
}

static void test_requests(void **state) {
    (void)state;
    ingle_options *o = fresh();
    size_t n;
    ingle_error err;
    set(o, "threads", "3");
    assert_int_equal(
        apply(o,
              "{\"messages\": [], \"model\": \"x\", \"temperature\": 0.5, \"top_p\": 1, "
              "\"max_tokens\": 7.0,"
              "\"seed\": null, \"stop\": [\"a\", \"b\"], \"logit_bias\": {\"5\": -100}, "
              "\"threads\": 9,"
              "\"ignore_eos\": true, \"samplers\": [\"top_k\", \"temperature\"], \"unknown\": {}}",
              &err),
        INGLE_OK);
    assert_true(ig_options_float(o, IG_OPT_TEMPERATURE) == 0.5);
    assert_true(ig_options_float(o, IG_OPT_TOP_P) == 1);
    assert_int_equal(ig_options_int(o, IG_OPT_MAX_TOKENS), 7);
    assert_int_equal(ig_options_int(o, IG_OPT_SEED), -1);
    assert_int_equal(ig_options_int(o, IG_OPT_THREADS), 3); /* not for a request to say */
    assert_true(ig_options_bool(o, IG_OPT_IGNORE_EOS));
    const struct ig_str *t = ig_options_texts(o, IG_OPT_STOP, &n);
    assert_true(n == 2 && ig_str_is(t[1], "b"));
    struct ig_sample_params p;
    ig_options_sampling(o, &p);
    assert_true(p.n_bias == 1 && p.bias[0].bias == -100 && p.n_order == 2);

    assert_int_equal(apply(o, "{\"stop\": \"[\\\"x\\\"]\"}", &err), INGLE_OK);
    t = ig_options_texts(o, IG_OPT_STOP, &n);
    assert_true(n == 1 && ig_str_is(t[0], "[\"x\"]")); /* a text is never taken for a list */
    assert_int_equal(apply(o, "{\"max_completion_tokens\": 1e2, \"stop\": \"\"}", &err), INGLE_OK);
    assert_int_equal(ig_options_int(o, IG_OPT_MAX_TOKENS), 100);
    ig_options_texts(o, IG_OPT_STOP, &n);
    assert_int_equal(n, 0);

    const char *const wrong[] = {"{\"temperature\": \"hot\"}",
                                 "{\"temperature\": -1}",
                                 "{\"top_k\": 1.5}",
                                 "{\"stop\": [1]}",
                                 "{\"stop\": 5}",
                                 "{\"ignore_eos\": 1}",
                                 "{\"logit_bias\": 3}",
                                 "{\"samplers\": [7]}",
                                 "{\"seed\": 1e300}",
                                 "{\"max_tokens\": true}",
                                 "[]"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ingle_status st = apply(o, wrong[i], &err);
        if (st != INGLE_BAD_REQUEST) fail_msg("%s gave %d", wrong[i], st);
        assert_int_equal(err.code, INGLE_BAD_REQUEST);
    }
    ingle_options_free(o);
}

static int no_progress(void *ud, const char *what, double done) {
    return (void)ud, (void)what, (void)done, 0;
}

static void test_copy(void **state) {
    (void)state;
    ingle_options *o = fresh(), *c;
    set(o, "stop", "[\"x\",\"y\"]");
    set(o, "logit-bias", "{\"1\":2}");
    set(o, "top-k", "3");
    ingle_options_on_progress(o, no_progress, o);
    assert_int_equal(ig_options_copy(&c, o, NULL), INGLE_OK);
    ingle_options_free(o);
    size_t n;
    assert_true(ig_options_texts(c, IG_OPT_STOP, &n) && n == 2);
    assert_int_equal(ig_options_int(c, IG_OPT_TOP_K), 3);
    assert_false(ig_options_is_set(c, IG_OPT_TOP_P));
    assert_true(ig_options_hooks(c)->progress == no_progress);
    ingle_options_free(c);
    assert_int_equal(ig_options_copy(&c, NULL, NULL), INGLE_OK);
    ingle_options_free(c);
    assert_null(ig_options_hooks(NULL)->alloc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_row), cmocka_unit_test(test_defaults_are_those_of_the_sampler),
        cmocka_unit_test(test_readers),   cmocka_unit_test(test_unknown_names),
        cmocka_unit_test(test_lists),     cmocka_unit_test(test_seed),
        cmocka_unit_test(test_requests),  cmocka_unit_test(test_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
