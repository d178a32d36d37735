/* The parts of the model store: names, URLs, headers, hashes, journals, records, the choice of
 * files. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "hub/call.h"
#include "hub/choice.h"
#include "hub/file_names.h"
#include "hub/journal.h"
#include "hub/record.h"
#include "hub/sha256.h"
#include "hub/source.h"
#include "hub/url.h"
#include "os/os.h"

static struct ig_mem mem;
static ingle_error err;

static struct ig_call *call(void) {
    static struct ig_call c;
    c = (struct ig_call){
        .mem = &mem, .arena = {.mem = &mem}, .models = "/models", .own = "/models/.hub"};
    c.set.endpoint = "https://huggingface.co";
    c.set.token = c.set.user_agent = "";
    return &c;
}

static int teardown(void **state) {
    (void)state;
    return ig_mem_used(&mem) != 0;
}

/* ---- SHA-256 ---- */

static void hash_of(const char *p, size_t n, size_t step, bool fast, char hex[65]) {
    struct ig_sha256 s;
    ig_sha256_begin(&s);
    if (!fast)
        s.blocks = ig_sha256_portable(); /* what a processor without the instructions takes */
    for (size_t i = 0; i < n; i += step) ig_sha256_add(&s, p + i, n - i < step ? n - i : step);
    ig_sha256_end(&s, hex);
}

static void test_sha256(void **state) {
    (void)state;
    char hex[65], other[65];
    hash_of("", 0, 1, true, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    hash_of("abc", 3, 1, true, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const char *two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    hash_of(two, 56, 7, true, hex);
    assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = test_malloc(1000000);
    memset(million, 'a', 1000000);
    hash_of(million, 1000000, 999, true, hex);
    assert_string_equal(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    for (size_t n = 0; n < 300;
         n++) /* every length around the blocks' edges, in pieces, both ways */
        for (int fast = 0; fast < 2; fast++) {
            hash_of(million, n, n ? n : 1, true, hex);
            hash_of(million, n, n % 13 + 1, fast, other);
            assert_string_equal(hex, other);
        }
    test_free(million);
}

/* ---- names ---- */

static void test_safe_names(void **state) {
    (void)state;
    static const char *const good[] = {
        "a", "Model-Q4_K_M.gguf", "b\xc3\xa4r.gguf", "console.gguf", "com10", "a b", "x..y"};
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      ".x",
                                      "-x",
                                      " x",
                                      "x ",
                                      "x.",
                                      "a/b",
                                      "a\\b",
                                      "a:b",
                                      "a*",
                                      "a?",
                                      "a\"b",
                                      "a<b",
                                      "a|b",
                                      "a\nb",
                                      "a\x7f",
                                      "CON",
                                      "con.x",
                                      "nul",
                                      "Com1",
                                      "lpt9.txt",
                                      "aux .gguf",
                                      "\xff\xfe",
                                      "\xc2\x80",
                                      "a\xe2\x80\xae"
                                      "b",
                                      "conin$",
                                      "com\xc2\xb9"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(ig_hub_name_is_safe(ig_str_of(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ig_buf b = {.mem = &mem};
        if (ig_hub_name_is_safe(ig_str_of(bad[i]))) fail_msg("'%s' passes", bad[i]);
        assert_true(ig_hub_make_safe(&b, ig_str_of(bad[i])));
        if (!ig_hub_name_is_safe(ig_buf_view(&b))) fail_msg("'%s' becomes '%s'", bad[i], b.p);
        ig_buf_free(&b);
    }
    char longest[IG_HUB_NAME_MAX + 2];
    memset(longest, 'x', sizeof longest);
    assert_true(ig_hub_name_is_safe((struct ig_str){longest, IG_HUB_NAME_MAX}));
    assert_false(ig_hub_name_is_safe((struct ig_str){longest, IG_HUB_NAME_MAX + 1}));
    assert_false(ig_hub_name_is_safe((struct ig_str){"a\0b", 3}));
}

static bool glob(const char *pattern, const char *text) {
    return ig_hub_glob(ig_str_of(pattern), ig_str_of(text));
}

static void test_glob(void **state) {
    (void)state;
    assert_true(glob("*", "") && glob("*", "x") && glob("", "") && glob("a*c", "abc") &&
                glob("a*c", "ac"));
    assert_true(glob("*q4*", "m-Q4_K_M.gguf") && glob("*.GGUF", "x.gguf") && glob("a?c", "abc") &&
                glob("**a**", "a"));
    assert_false(glob("", "x") || glob("a", "ab") || glob("a?c", "ac") || glob("*q4", "q4x") ||
                 glob("?", ""));
    char text[5001], pattern[101]; /* no exponential time */
    memset(text, 'a', 5000);
    text[5000] = 0;
    for (int i = 0; i < 100; i++) pattern[i] = i % 2 ? 'a' : '*';
    pattern[100] = 0;
    assert_true(glob(pattern, text));
    pattern[99] = 'b';
    assert_false(glob(pattern, text));
}

static void test_split_names(void **state) {
    (void)state;
    struct ig_str stem;
    unsigned part, parts;
    assert_true(ig_hub_split(IG_STR("d/m-00002-of-00003.gguf"), &stem, &part, &parts));
    assert_true(ig_str_is(stem, "d/m") && part == 2 && parts == 3);
    static const char *const no[] = {"m.gguf",
                                     "-00001-of-00001.gguf",
                                     "m-00004-of-00003.gguf",
                                     "m-00000-of-00003.gguf",
                                     "m-0001-of-0003.gguf",
                                     "m-00001-of-00003.bin",
                                     "m-00001of-00003.gguf",
                                     "m-0000a-of-00003.gguf"};
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(ig_hub_split(ig_str_of(no[i]), &stem, &part, &parts));
    assert_true(ig_str_is(ig_hub_model_name(IG_STR("m-00001-of-00002.gguf")), "m"));
    assert_true(ig_str_is(ig_hub_model_name(IG_STR("m.GGUF")), "m"));
}

static bool has(const char *path, const char *type) {
    return ig_hub_has_type(ig_str_of(path), ig_str_of(type));
}

static void test_types_in_names(void **state) {
    (void)state;
    assert_true(has("m-Q4_K_M.gguf", "q4_k_m") && has("Q4_K_M/m-00001-of-00002.gguf", "Q4_K_M") &&
                has("m.Q8_0.gguf", "q8_0"));
    assert_false(has("m-Q4_K_M.gguf", "Q4_K") || has("m-IQ4_XS.gguf", "Q4_XS") ||
                 has("m-Q4_K_M.gguf", ""));
    static const char *const rows[][2] = {{"m-Q4_K_M.gguf", "Q4_K_M"},
                                          {"m-q8_0-00001-of-00002.gguf", "q8_0"},
                                          {"Q6_K/m.gguf", "Q6_K"},
                                          {"m-f16.gguf", "f16"},
                                          {"qwen2.5-7b-IQ2_XXS.gguf", "IQ2_XXS"},
                                          {"m.gguf", ""},
                                          {"m-Q4.gguf", ""},
                                          {"gpt-MXFP4.gguf", "MXFP4"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ig_str t = ig_hub_type_of(ig_str_of(rows[i][0]));
        if (!ig_str_is(t, rows[i][1])) fail_msg("%s: %.*s", rows[i][0], (int)t.n, t.p);
    }
}

/* ---- URLs ---- */

static void test_url_parse(void **state) {
    (void)state;
    struct ig_url u;
    const char *why;
    assert_true(ig_url_parse(IG_STR("https://Example.com:8443/a/b?x=/"), &u, &why));
    assert_true(ig_str_is(u.host, "Example.com") && u.port == 8443 && ig_str_is(u.path, "/a/b") &&
                ig_str_is(u.query, "?x=/"));
    assert_true(ig_url_parse(IG_STR("HTTP://x"), &u, &why) && u.port == 80 && !u.path.n &&
                !ig_url_is_secure(&u));
    assert_true(ig_url_parse(IG_STR("https://x?y"), &u, &why) && ig_str_is(u.query, "?y") &&
                ig_str_is(u.host, "x"));
    assert_true(ig_url_parse(IG_STR("http://[::1]:80/"), &u, &why) && ig_url_is_loopback(&u));
    static const char *const bad[] = {"",
                                      "x",
                                      "ftp://x/",
                                      "http://",
                                      "http:///x",
                                      "http://u@x/",
                                      "http://x:0",
                                      "http://x:65536",
                                      "http://x:y/",
                                      "http://x y/",
                                      "http://x/\n",
                                      "http://x#f",
                                      "http://[::1",
                                      "http://[x]/",
                                      "http://x:1:2",
                                      "https:/x",
                                      "http://a\xc3\xa4/",
                                      "//x/y",
                                      "http://x%2f/",
                                      "http://x:-1/",
                                      "file:///etc/passwd"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (ig_url_parse(ig_str_of(bad[i]), &u, &why)) fail_msg("%s passes", bad[i]);
}

static void test_url_join(void **state) {
    (void)state;
    static const char *const rows[][3] = {
        {"https://a/b/c?q", "d", "https://a/b/d"},
        {"https://a/b/c", "/d", "https://a/d"},
        {"https://a/b/c", "//e/f", "https://e/f"},
        {"https://a:8/b", "?x", "https://a:8/b?x"},
        {"https://a", "d", "https://a/d"},
        {"https://a/b", "http://c/d#f", "http://c/d"},
        {"https://a/b", " /d ", "https://a/d"},
        {"https://a/b", "/\xc3\xa4", "https://a/%C3%A4"},
        {"https://a/b", "/x?u=http://y", "https://a/x?u=http://y"},
        {"https://a/b", "ftp://x", NULL},
        {"https://a/b", "javascript:x", NULL},
        {"https://a/b", "", NULL},
        {"https://a/b", "/a b", NULL},
        {"https://a/b", "/a\r\nX: y", NULL},
        {"https://a/b", "http://u:p@c/", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ig_buf b = {.mem = &mem};
        bool ok = ig_url_join(&b, ig_str_of(rows[i][0]), ig_str_of(rows[i][1]));
        if (ok != (rows[i][2] != NULL) || (ok && strcmp(b.p, rows[i][2]) != 0))
            fail_msg("%s + %s = %s", rows[i][0], rows[i][1], ok ? b.p : "nothing");
        ig_buf_free(&b);
    }
}

static void test_private_hosts(void **state) {
    (void)state;
    static const char *const inside[] = {"localhost",     "127.0.0.1",
                                         "127.9.9.9",     "[::1]",
                                         "10.0.0.1",      "192.168.1.1",
                                         "172.16.0.1",    "169.254.169.254",
                                         "0.0.0.0",       "100.64.0.1",
                                         "[fe80::1]",     "[fc00::1]",
                                         "printer.local", "router",
                                         "2130706433",    "0x7f.1",
                                         "127.1",         "metadata.google.internal",
                                         "224.0.0.1",     "[::ffff:127.0.0.1]",
                                         "0177.0.0.1"};
    static const char *const outside[] = {"huggingface.co",     "8.8.8.8",       "172.32.0.1",
                                          "[2606:4700::1]",     "cdn-lfs.hf.co", "100.128.0.1",
                                          "x.local.example.com"};
    struct ig_url u;
    const char *why;
    for (size_t i = 0; i < sizeof inside / sizeof *inside + sizeof outside / sizeof *outside; i++) {
        size_t n = sizeof inside / sizeof *inside;
        const char *host = i < n ? inside[i] : outside[i - n];
        char url[80];
        snprintf(url, sizeof url, "https://%s/", host);
        assert_true(ig_url_parse(ig_str_of(url), &u, &why));
        if (ig_url_is_private(&u) != (i < n)) fail_msg("%s", host);
    }
}

static void test_headers(void **state) {
    (void)state;
    const char *h = "etag: \"x\"\ncontent-length: 12\netag: \"y\"\nempty:\nx-etag: no\n";
    assert_true(ig_str_is(ig_header(h, "etag"), "\"x\"") &&
                ig_str_is(ig_header(h, "content-length"), "12"));
    assert_true(ig_header(h, "empty").p && !ig_header(h, "empty").n && !ig_header(h, "length").p &&
                !ig_header("", "x").p);
    int64_t a, b, n;
    assert_true(ig_header_range(IG_STR("bytes 5-9/10"), &a, &b, &n) && a == 5 && b == 9 && n == 10);
    assert_true(ig_header_range(IG_STR("bytes */10"), &a, &b, &n) && a == -1 && n == 10);
    assert_true(ig_header_range(IG_STR("bytes 0-0/*"), &a, &b, &n) && n == -1);
    static const char *const bad[] = {"",
                                      "bytes",
                                      "bytes 5-4/10",
                                      "bytes 5-10/10",
                                      "bytes -5/10",
                                      "bytes 5/10",
                                      "bytes 5-9",
                                      "items 5-9/10",
                                      "bytes 5-9/x",
                                      "bytes 5-9/10x",
                                      "bytes 99999999999999999999-1/2"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ig_header_range(ig_str_of(bad[i]), &a, &b, &n));
    assert_int_equal(ig_header_retry_after(IG_STR("120"), 0), 120);
    assert_int_equal(ig_header_retry_after(IG_STR("Wed, 21 Oct 2015 07:28:00 GMT"), 1445412480 - 7),
                     7);
    assert_int_equal(ig_header_retry_after(IG_STR("Thu, 29 Feb 2024 00:00:01 GMT"), 1709164800), 1);
    assert_int_equal(ig_header_retry_after(IG_STR("Wed, 21 Oct 2015 07:28:00 GMT"), 1545412480), 0);
    assert_int_equal(ig_header_retry_after(IG_STR("soon"), 0), -1);
    assert_int_equal(ig_header_retry_after((struct ig_str){NULL, 0}, 0), -1);
    assert_true(ig_str_is(ig_header_next_link(IG_STR("<a>; rel=\"prev\", <b?c=1>; rel=\"next\"")),
                          "b?c=1"));
    assert_false(ig_header_next_link(IG_STR("<a>; rel=\"prev\", <b")).p);
}

static void test_disposition(void **state) {
    (void)state;
    static const char *const rows[][2] = {
        {"attachment; filename=\"a b.gguf\"", "a b.gguf"},
        {"attachment; filename=x.gguf; size=3", "x.gguf"},
        {"attachment; filename=\"a\\\"b;c\"", "a\"b;c"},
        {"attachment; filename*=UTF-8''%41%c3%a4; filename=x", "A\xc3\xa4"},
        {"attachment; x=\"filename=y\"; filename=z", "z"},
        {"attachment; filename*=latin1''x; filename=y", "y"},
        {"attachment", NULL},
        {"attachment; filename=", NULL},
        {"", NULL},
        {"attachment; filename*=UTF-8x", NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ig_buf b = {.mem = &mem};
        bool ok = ig_header_file_name(&b, ig_str_of(rows[i][0]));
        if (ok != (rows[i][1] != NULL) || (ok && strcmp(b.p, rows[i][1]) != 0))
            fail_msg("%s: %s", rows[i][0], ok ? b.p : "-");
        ig_buf_free(&b);
    }
}

/* ---- sources ---- */

static void test_sources(void **state) {
    (void)state;
    static const char *const rows[][5] = {
        /* what, repo, revision, file, url */
        {"a/b", "a/b", "main", NULL, NULL},
        {"a/b:Q4_K_M", "a/b", "main", "Q4_K_M", NULL},
        {"a/b@v1:x/y.gguf", "a/b", "v1", "x/y.gguf", NULL},
        {"a/b:x.gguf@refs/pr/1", "a/b", "refs/pr/1", "x.gguf", NULL},
        {"hf.co/a/b:q8_0", "a/b", "main", "q8_0", NULL},
        {"https://huggingface.co/a/b", "a/b", "main", NULL, NULL},
        {"https://huggingface.co/a/b/", "a/b", "main", NULL, NULL},
        {"https://HuggingFace.co/a/b/blob/v2/x%20y.gguf?z", "a/b", "v2", "x y.gguf", NULL},
        {"https://huggingface.co/a/b/resolve/main/../x", NULL, NULL, NULL,
         "https://huggingface.co/a/b/resolve/main/../x"},
        {"http://huggingface.co/a/b", NULL, NULL, NULL, "http://huggingface.co/a/b"},
        {"https://x.org/m.gguf?y#z", NULL, NULL, NULL, "https://x.org/m.gguf?y"}};
    struct ig_call *c = call();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct ig_source s;
        assert_int_equal(ig_source_parse(c, rows[i][0], &s, &err), INGLE_OK);
        assert_int_equal(s.is_url, rows[i][4] != NULL);
        const char *got[] = {s.repo, s.revision, s.file, s.url};
        for (int k = 0; k < 4; k++) {
            if (!got[k] != !rows[i][k + 1] || (got[k] && strcmp(got[k], rows[i][k + 1]) != 0))
                fail_msg("%s: %d is %s", rows[i][0], k, got[k] ? got[k] : "-");
        }
    }
    static const char *const bad[] = {"",      "a",     "/a",   "a/",   "./a",     "../a",
                                      "a/..",  "a/b/c", "a/b:", "a/b@", "a/b:..",  "a/b:x/../y",
                                      "a b/c", "a/b c", "-a/b", "a/.b", "a/b:x\n", "x://y"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct ig_source s;
        if (ig_source_parse(c, bad[i], &s, &err) != INGLE_BAD_ARGUMENT)
            fail_msg("'%s' passes", bad[i]);
    }
    assert_true(ig_source_is_repo("a/b") && ig_source_is_repo("a/b:c") &&
                !ig_source_is_repo("a/b/c") && !ig_source_is_repo("a"));
    ig_arena_free(&c->arena);
}

/* ---- the choice ---- */

static void test_tree_and_choice(void **state) {
    (void)state;
    static const char tree[] =
        "[{\"type\":\"directory\",\"path\":\"d\",\"size\":0},"
        "{\"type\":\"file\",\"path\":\"a-Q8_0.gguf\",\"size\":134,\"oid\":\"x\",\"lfs\":{\"oid\":"
        "\"SHA256:0\",\"size\":900}},"
        "{\"type\":\"file\",\"path\":\"a-Q5_K_M.gguf\",\"size\":134,\"lfs\":{\"oid\":"
        "\"sha256:ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789\",\"size\":500}}"
        "]";
    struct ig_call *c = call();
    struct ig_remote_list all = {0}, out = {0};
    enum ig_model_format format;
    assert_int_equal(ig_tree_add(c, ig_str_of(tree), &all, &err), INGLE_OK);
    assert_int_equal(all.n, 2);
    assert_int_equal(all.files[0].size, 900);
    assert_null(all.files[0].sha256);
    assert_string_equal(all.files[1].sha256,
                        "abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789");
    assert_int_equal(ig_choose(c, &all, "o/r", NULL, &out, &format, &err), INGLE_OK);
    assert_true(out.n == 1 && strcmp(out.files[0].name, "a-Q5_K_M.gguf") == 0 &&
                format == IG_MODEL_GGUF);
    out = (struct ig_remote_list){0};
    assert_int_equal(ig_choose(c, &all, "o/r", "q4_0", &out, &format, &err), INGLE_NOT_FOUND);
    assert_non_null(strstr(err.message, "a-Q8_0.gguf"));
    assert_int_equal(ig_tree_add(c, IG_STR("{}"), &all, &err), INGLE_BAD_FILE);
    ig_arena_free(&c->arena);
}

/* ---- journals and records ---- */

static void test_journal(void **state) {
    (void)state;
    char path[] = "/tmp/ingle-journal-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    struct ig_journal j, k;
    ig_journal_begin(&j, &mem);
    assert_int_equal(ig_journal_open(&j, path, &err), INGLE_OK);
    assert_int_equal(j.size, -1);
    assert_int_equal(ig_journal_size(&j, 3 * (int64_t)IG_PIECE + 5, &err), INGLE_OK);
    ig_buf_z(&j.oid, "\"tag\"");
    assert_int_equal(ig_journal_rewrite(&j, &err), INGLE_OK);
    assert_int_equal(ig_journal_done(&j, 3, 77, &err), INGLE_OK);
    assert_int_equal(ig_journal_done(&j, 0, UINT64_MAX, &err), INGLE_OK);
    assert_int_equal(ig_journal_peek(&mem, path), IG_PIECE + 5);
    ig_journal_begin(&k, &mem);
    assert_int_equal(ig_journal_open(&k, path, &err), INGLE_OK);
    assert_true(k.size == j.size && k.pieces == 4 && ig_str_is(ig_buf_view(&k.oid), "\"tag\""));
    assert_true(k.state[0] == IG_PIECE_OLD && k.state[1] == IG_PIECE_MISSING &&
                k.state[3] == IG_PIECE_OLD);
    assert_true(k.sum[0] == UINT64_MAX && k.sum[3] == 77);
    ig_journal_end(&j);
    ig_journal_end(&k);
    unlink(path);
}

static void test_journal_text(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "ingle-part 2\nsize 1\noid \n",
                                      "ingle-part 1\n",
                                      "ingle-part 1\nsize x\noid \n",
                                      "ingle-part 1\nsize -1\noid \n",
                                      "ingle-part 1\nsize 5\n",
                                      "ingle-part 1\nsize 5\noid x",
                                      "ingle-part 1\nsize 99999999999999999\noid \n"};
    struct ig_journal j;
    ig_journal_begin(&j, &mem);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ig_journal_parse(&j, ig_str_of(bad[i])));
    assert_true(ig_journal_parse(
        &j, IG_STR("ingle-part 1\nsize 5000000\noid \n0 0000000000000001\n9 0000000000000001\n"
                   "x 0\n-1 0000000000000001\n1 000000000000000G\n2 00000000000000\n"
                   "3 0000000000000003\n4 00000000")));
    assert_int_equal(j.state[0], IG_PIECE_OLD);
    assert_int_equal(j.state[1], IG_PIECE_MISSING);
    assert_int_equal(j.state[2], IG_PIECE_MISSING);
    assert_int_equal(j.state[3], IG_PIECE_OLD);
    assert_int_equal(j.state[4], IG_PIECE_MISSING); /* torn */
    ig_journal_end(&j);
}

static void test_records(void **state) {
    (void)state;
    struct ig_call *c = call();
    struct ig_record_file files[] = {{"m.gguf", "", "o\"x", 5}, {"n.gguf", "", "", -1}};
    struct ig_record r = {"m",    "0123456789abcdef0123456789abcdef",
                          "gguf", "a/b:m.gguf",
                          "a/b",  "main",
                          "c0",   "https://h",
                          99,     files,
                          2};
    struct ig_record back;
    struct ig_buf b = {.mem = &mem};
    ig_record_put(&b, &r);
    assert_true(ig_record_parse(c, ig_buf_view(&b), &back));
    assert_true(back.n == 2 && back.files[0].bytes == 5 && strcmp(back.files[0].oid, "o\"x") == 0 &&
                back.time == 99);
    assert_int_equal(ig_record_bytes(&back), -1);
    static const char *const names[] = {"../x", "a/b", "", ".x", "x\\n"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        ig_buf_clear(&b);
        files[1].name = names[i];
        ig_record_put(&b, &r);
        assert_false(ig_record_parse(c, ig_buf_view(&b), &back) && strcmp(names[i], "x\\n") != 0);
    }
    ig_buf_free(&b);
    ig_arena_free(&c->arena);
}

static void test_settings(void **state) {
    (void)state;
    ingle_hub *h;
    assert_int_equal(ingle_hub_open(&h, NULL, NULL, &err), INGLE_OK);
    static const char *const good[][2] = {{"connections", "16"},
                                          {"offline", "true"},
                                          {"offline", "0"},
                                          {"token", "x"},
                                          {"endpoint", "http://127.0.0.1:8/"},
                                          {"range-bytes", "0"},
                                          {"max-bytes", "5"},
                                          {"retries", "0"},
                                          {"stall-seconds", "1"},
                                          {"user-agent", "me"},
                                          {"home", "/x"}};
    static const char *const bad[][2] = {
        {"connections", "0"},       {"connections", "17"},      {"connections", "x"},
        {"offline", "maybe"},       {"token", "a\nb"},          {"endpoint", "x"},
        {"endpoint", "http://x?y"}, {"range-bytes", "5"},       {"max-bytes", "-1"},
        {"retries", "101"},         {"user-agent", "a\r\nX: y"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(ingle_hub_set(h, good[i][0], good[i][1], &err), INGLE_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(ingle_hub_set(h, bad[i][0], bad[i][1], &err), INGLE_BAD_ARGUMENT);
    assert_int_equal(ingle_hub_set(h, "nonsense", "1", &err), INGLE_NOT_FOUND);
    assert_int_equal(ingle_hub_set(NULL, "home", "1", &err), INGLE_BAD_ARGUMENT);
    ingle_hub_close(h);
    ingle_hub_close(NULL);
}

/* What an earlier pull left is no speed. */
static void test_rate(void **state) {
    enum { MB = 1000000 };
    struct ig_call c = {.progress = {.phase = "download", .bytes_total = 600ll * MB}};
    (void)state;
    ig_call_bytes(&c, 0);
    ig_os_sleep(0.3);
    c.progress.bytes_resumed = 500ll * MB;
    ig_call_bytes(&c, 501ll * MB);
    assert_int_equal(c.progress.bytes_done, 501ll * MB);
    assert_true(c.progress.bytes_per_second > 0.1 * MB && c.progress.bytes_per_second < 4.0 * MB);
    assert_true(c.progress.seconds_left > 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_sha256, teardown),
        cmocka_unit_test_teardown(test_safe_names, teardown),
        cmocka_unit_test_teardown(test_glob, teardown),
        cmocka_unit_test_teardown(test_split_names, teardown),
        cmocka_unit_test_teardown(test_types_in_names, teardown),
        cmocka_unit_test_teardown(test_url_parse, teardown),
        cmocka_unit_test_teardown(test_url_join, teardown),
        cmocka_unit_test_teardown(test_private_hosts, teardown),
        cmocka_unit_test_teardown(test_headers, teardown),
        cmocka_unit_test_teardown(test_disposition, teardown),
        cmocka_unit_test_teardown(test_sources, teardown),
        cmocka_unit_test_teardown(test_tree_and_choice, teardown),
        cmocka_unit_test_teardown(test_journal, teardown),
        cmocka_unit_test_teardown(test_journal_text, teardown),
        cmocka_unit_test_teardown(test_records, teardown),
        cmocka_unit_test_teardown(test_settings, teardown),
        cmocka_unit_test(test_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
