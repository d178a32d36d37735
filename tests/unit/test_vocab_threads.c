/* One vocabulary, four threads, no locks: every thread gets the ids that a single one gets. Meant
 * for ThreadSanitizer. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "os/os.h"
#include "vocab/vocab.h"

enum { THREADS = 4, ROUNDS = 50 };

static const char source[] = "{\"added_tokens\":[{\"id\":5,\"content\":\"<s>\",\"special\":true}],"
                             "\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":"
                             "{\"type\":\"ByteLevel\",\"add_prefix_space\":true},\"decoder\":{"
                             "\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\",\"vocab\":"
                             "{\"a\":0,\"b\":1,\"ab\":2,\"\xc4\xa0\":3,\"\xc4\xa0"
                             "ab\":4},\"merges\":[\"a b\",\"\xc4\xa0 ab\"]}}";

struct job {
    struct ig_thread thread;
    const struct ig_vocab *v;
    struct ig_mem mem;
    struct ig_ids ids;
    struct ig_buf text;
    bool failed;
};

static void run(void *ud) {
    struct job *j = ud;
    static const char text[] = "ab abab<s>ba a\xcc\x81 ab ab ab ab ab ab ab ab ab ab ab ab ab "
                               "abababababababababababababababababab";
    for (int i = 0; i < ROUNDS; i++) {
        j->ids.n = 0;
        ig_buf_clear(&j->text);
        if (ig_vocab_encode(j->v, &j->mem, (struct ig_str){text, sizeof text - 1}, 3, 0, &j->ids,
                            NULL) != INGLE_OK ||
            ig_vocab_decode(j->v, j->ids.p, j->ids.n, 2, &j->text, NULL) != INGLE_OK)
            j->failed = true;
    }
}

static void threads_agree(void **state) {
    struct ig_mem mem = {0};
    struct ig_arena arena = {.mem = &mem};
    struct ig_vocab_json json = {0};
    struct ig_vocab *v;
    static struct job jobs[THREADS];
    (void)state;
    assert_int_equal(ig_json_parse(&arena, (struct ig_str){source, sizeof source - 1}, NULL,
                                   &json.tokenizer, NULL),
                     INGLE_OK);
    assert_int_equal(ig_vocab_open_json(&v, &mem, &json, NULL, NULL), INGLE_OK);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.v = v};
        jobs[i].text.mem = &jobs[i].mem;
        assert_int_equal(ig_os_thread_start(&jobs[i].thread, run, &jobs[i], 0, NULL), INGLE_OK);
    }
    for (int i = 0; i < THREADS; i++) ig_os_thread_join(&jobs[i].thread);
    for (int i = 0; i < THREADS; i++) {
        assert_false(jobs[i].failed);
        assert_true(jobs[i].ids.n > 10 && jobs[i].ids.n == jobs[0].ids.n);
        assert_memory_equal(jobs[i].ids.p, jobs[0].ids.p, jobs[0].ids.n * sizeof *jobs[0].ids.p);
        assert_true(ig_str_eq(ig_buf_view(&jobs[i].text), ig_buf_view(&jobs[0].text)));
    }
    for (int i = 0; i < THREADS; i++) {
        ig_ids_free(&jobs[i].mem, &jobs[i].ids);
        ig_buf_free(&jobs[i].text);
        assert_int_equal(ig_mem_used(&jobs[i].mem), 0);
    }
    ig_vocab_close(v);
    ig_arena_free(&arena);
    assert_int_equal(ig_mem_used(&mem), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_agree)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
