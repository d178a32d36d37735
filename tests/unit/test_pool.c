/* The team of threads: every unit done once, phases in order, quiet between runs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "cpu/pool.h"

enum { PHASES = 200, UNITS = 37, MOST = 9 };

struct job {
    struct ig_pool *pool;
    int sum[PHASES][UNITS]; /* written by whoever takes the unit, read by all in the next phase */
    _Atomic int wrong;
};

static const struct ig_pool_next nothing = {NULL, 0};

/* Unit u of a phase becomes u + 1; each thread adds up the phase before: wrong if a barrier lets a
 * thread through early or a unit is left out. */
static void phases(void *ud, unsigned thread) {
    struct job *j = ud;
    for (int p = 0; p < PHASES; p++) {
        int before = 0;
        for (int u = 0; p && u < UNITS; u++) before += j->sum[p - 1][u];
        if (p && before != UNITS * (UNITS + 1) / 2) atomic_fetch_add(&j->wrong, 1);
        for (uint32_t u = thread; u < UNITS;
             u = ig_pool_take(j->pool, (unsigned)p % IG_POOL_COUNTERS))
            j->sum[p][u] += (int)u + 1;
        ig_pool_barrier(j->pool, thread, p % 2 ? nothing : (struct ig_pool_next){j, sizeof *j});
    }
}

static void test_every_unit_once(void **state) {
    (void)state;
    for (unsigned threads = 1; threads <= MOST; threads += 2) {
        static struct job j;
        struct ig_mem mem = {0};
        ingle_error err;
        memset(&j, 0, sizeof j);
        assert_int_equal(ig_pool_open(&j.pool, &mem, threads, false, &err), INGLE_OK);
        for (int run = 0; run < 5; run++) {
            memset(j.sum, 0, sizeof j.sum);
            assert_int_equal(ig_pool_run(j.pool, phases, &j, &err), INGLE_OK);
            for (int p = 0; p < PHASES; p++)
                for (int u = 0; u < UNITS; u++) assert_int_equal(j.sum[p][u], u + 1);
        }
        assert_int_equal(j.wrong, 0);
        ig_pool_close(j.pool);
        assert_int_equal(ig_mem_used(&mem), 0);
    }
}

static double cpu_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC; /* of all threads */
}

static void test_quiet_between_runs(void **state) {
    static struct job j;
    struct ig_mem mem = {0};
    ingle_error err;
    (void)state;
    memset(&j, 0, sizeof j);
    assert_int_equal(ig_pool_open(&j.pool, &mem, 4, false, &err), INGLE_OK);
    assert_int_equal(ig_pool_run(j.pool, phases, &j, &err), INGLE_OK);
    ig_os_sleep(0.05);
    double before = cpu_seconds();
    ig_os_sleep(0.5);
    assert_true(cpu_seconds() - before < 0.02);
    ig_pool_close(j.pool);
}

/* One thread of the team sleeps in every phase: the others wait for it most of the time. */
static void slow(void *ud, unsigned thread) {
    struct job *j = ud;
    if (thread == 1) ig_os_sleep(0.01);
    ig_pool_barrier(j->pool, thread, nothing);
}

static void quick(void *ud, unsigned thread) {
    struct job *j = ud;
    ig_pool_barrier(j->pool, thread, nothing);
}

static void test_team_shrinks_and_grows(void **state) {
    static struct job j;
    struct ig_mem mem = {0};
    ingle_error err;
    (void)state;
    assert_int_equal(ig_pool_open(&j.pool, &mem, 2, false, &err), INGLE_OK);
    for (int i = 0; i < 2; i++) assert_int_equal(ig_pool_run(j.pool, slow, &j, &err), INGLE_OK);
    assert_int_equal(ig_pool_team(j.pool), 1);
    double start = ig_os_seconds();
    while (ig_pool_team(j.pool) < 2 && ig_os_seconds() - start < 20) {
        assert_int_equal(ig_pool_run(j.pool, quick, &j, &err), INGLE_OK);
        ig_os_sleep(0.005);
    }
    assert_int_equal(ig_pool_team(j.pool), 2);
    ig_pool_close(j.pool);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_unit_once),
                                       cmocka_unit_test(test_quiet_between_runs),
                                       cmocka_unit_test(test_team_shrinks_and_grows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
