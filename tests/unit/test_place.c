/* Sharing layers out: devices that exist only in tables, models that are real. Whatever the free
 * memory is, what comes out can be run: every model, many sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "engine/place.h"

enum { CONTEXT = 64, BATCH = 16 };

static ingle_error err;

struct model {
    struct ig_mem mem;
    struct ig_view view;
    struct ig_arena arena;
    struct ig_arch arch;
    struct ig_plan plan;
    uint64_t margin, head; /* bytes: left alone on a device; of the output */
};

static bool type_size(uint32_t type, uint32_t *weights, uint32_t *bytes, const char **name,
                      const char **why) {
    const struct ig_quant *q = ig_quant_by_id(type);
    *why = NULL;
    if (!q) return false;
    *weights = q->block;
    *bytes = q->bytes;
    *name = q->name;
    return true;
}

static struct model *open_model(const char *name) {
    struct model *m = calloc(1, sizeof *m);
    const char *top = getenv("INGLE_GOLDEN");
    char path[512];
    snprintf(path, sizeof path, "%s/models/%s", top ? top : "tests/golden", name);
    m->arena.mem = &m->mem;
    if (ig_view_open(&m->view, &m->mem, path, type_size, NULL, &err) ||
        ig_arch_open(&m->arch, &m->arena, &m->view, NULL, &err) ||
        ig_plan_make(&m->plan, &m->arena, &m->arch, &err))
        fail_msg("%s: %s", name, err.message);
    m->margin = (256u << 20) + ig_gpu_scratch_bytes(&m->plan, CONTEXT, BATCH);
    m->head = ig_gpu_weight_bytes(&m->plan, m->plan.gather, m->plan.n_ops);
    return m;
}

static void close_model(struct model *m) {
    ig_arena_free(&m->arena);
    ig_view_close(&m->view);
    assert_int_equal(ig_mem_used(&m->mem), 0);
    free(m);
}

/* Operations of a layer that are experts: [0] the first, [1] behind the last; equal if none. */
static void find_experts(const struct ig_plan *p, int layer, uint32_t at[2]) {
    at[0] = at[1] = 0;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (p->ops[i].layer != layer) continue;
        if (p->ops[i].kind == IG_OP_ROUTE) at[0] = i;
        if (p->ops[i].kind == IG_OP_COMBINE) at[1] = i + 1;
    }
}

static uint64_t layer_bytes(const struct model *m, int layer, bool experts) {
    const struct ig_plan *p = &m->plan;
    uint32_t from = 0, to, at[2];
    while (p->ops[from].layer != layer) from++;
    for (to = from; p->ops[to].layer == layer;) to++;
    find_experts(p, layer, at);
    uint64_t bytes = ig_gpu_kv_bytes(p, (uint32_t)layer, IG_CACHE_F16, CONTEXT, BATCH);
    if (at[0] == at[1]) return bytes + ig_gpu_weight_bytes(p, from, to);
    bytes += ig_gpu_weight_bytes(p, from, at[0]) + ig_gpu_weight_bytes(p, at[1], to);
    return experts ? bytes + ig_gpu_weight_bytes(p, at[0], at[1]) : bytes;
}

static const struct ig_device_info cards[3] = {
    {.backend = "cuda", .index = 0, .name = "Card A", .usable = true, .memory = 1u << 30},
    {.backend = "cuda", .index = 1, .name = "Card B", .usable = true, .memory = 1u << 30},
    {.backend = "opencl", .index = 0, .name = "Card C", .usable = true, .memory = 1u << 30}};

static struct ig_placement place(struct model *m, int64_t layers, const uint64_t *free,
                                 uint32_t n) {
    struct ig_place_device devices[3];
    struct ig_placement out;
    for (uint32_t d = 0; d < n; d++) devices[d] = (struct ig_place_device){&cards[d], free[d]};
    struct ig_place_wish wish = {.layers = layers,
                                 .context = CONTEXT,
                                 .batch = BATCH,
                                 .kv = IG_CACHE_F16,
                                 .devices = devices,
                                 .n_devices = n};
    assert_int_equal(ig_place_make(&out, &m->arena, &m->plan, &wish, &err), INGLE_OK);
    return out;
}

static int on(const struct model *m, const struct ig_placement *p, int layer, int kind) {
    for (uint32_t i = 0; i < m->plan.n_ops; i++)
        if (m->plan.ops[i].layer == layer && m->plan.ops[i].kind == kind) return p->where[i];
    fail_msg("layer %d has no such operation", layer);
    return -2;
}

/* ---- What is where ---- */

static void all_fits_on_one(void **state) {
    (void)state;
    struct model *m = open_model("llama");
    int n = (int)m->arch.hp.n_layer;
    struct ig_placement p = place(m, IG_LAYERS_AUTO, (uint64_t[]){1u << 30}, 1);
    assert_non_null(p.where);
    assert_int_equal(p.layers, n);
    assert_true(p.fits);
    for (int il = 0; il < n; il++) assert_int_equal(on(m, &p, il, IG_OP_ATTEND), 0);
    assert_int_equal(p.where[m->plan.n_ops - 1], 0);
    assert_non_null(strstr(p.text, "and the output on cuda0 (Card A"));
    bool tied = m->plan.ops[0].w[0]->mat.data == m->plan.ops[m->plan.n_ops - 1].w[0]->mat.data;
    assert_int_equal(p.where[0], tied ? 0 : -1);
    close_model(m);
}

static void as_many_as_fit(void **state) {
    (void)state;
    struct model *m = open_model("llama");
    int n = (int)m->arch.hp.n_layer;
    uint64_t room = m->margin + m->head;
    assert_true(n >= 2);
    for (int k = 0; k <= n; k++) {
        if (k) room += layer_bytes(m, n - k, true);
        struct ig_placement p = place(m, IG_LAYERS_AUTO, &room, 1);
        assert_int_equal(p.where ? (int)p.layers : 0, k);
        for (int il = 0; k && il < n; il++)
            assert_int_equal(on(m, &p, il, IG_OP_ATTEND), il < n - k ? -1 : 0);
        if (k) assert_int_equal(p.where[0], -1);
        room--;
        p = place(m, IG_LAYERS_AUTO, &room, 1);
        assert_int_equal(p.where ? (int)p.layers : 0, k ? k - 1 : 0);
        room++;
    }
    close_model(m);
}

static void a_number_is_obeyed(void **state) {
    (void)state;
    struct model *m = open_model("llama");
    int n = (int)m->arch.hp.n_layer;
    uint64_t much = 1u << 30, little = 1;
    assert_null(place(m, 0, &much, 1).where);
    assert_null(place(m, IG_LAYERS_ALL, &much, 0).where);
    struct ig_placement one = place(m, 1, &much, 1), all = place(m, IG_LAYERS_ALL, &little, 1),
                        more = place(m, 1000, &much, 1);
    assert_int_equal(one.layers, 1);
    assert_int_equal(on(m, &one, n - 1, IG_OP_KV_PUT), 0);
    assert_int_equal(on(m, &one, n - 2, IG_OP_KV_PUT), -1);
    assert_int_equal(one.where[m->plan.n_ops - 1], 0);
    assert_true(one.fits);
    assert_int_equal(all.layers, n);
    assert_false(all.fits);
    assert_int_equal(more.layers, n);
    close_model(m);
}

static void experts_stay_behind(void **state) {
    (void)state;
    struct model *m = open_model("qwen3-moe");
    int n = (int)m->arch.hp.n_layer;
    uint64_t room = m->margin + m->head;
    for (int il = 0; il < n; il++) room += layer_bytes(m, il, false);
    struct ig_placement p = place(m, IG_LAYERS_AUTO, &room, 1);
    assert_int_equal(p.layers, n);
    assert_int_equal(p.experts, 0);
    for (int il = 0; il < n; il++) {
        assert_int_equal(on(m, &p, il, IG_OP_ATTEND), 0);
        assert_int_equal(on(m, &p, il, IG_OP_ROUTE), -1);
        assert_int_equal(on(m, &p, il, IG_OP_EXPERT_LINEAR), -1);
        assert_int_equal(on(m, &p, il, IG_OP_COMBINE), -1);
    }
    assert_non_null(strstr(p.text, "the experts of"));
    room += layer_bytes(m, n - 1, true) - layer_bytes(m, n - 1, false);
    p = place(m, IG_LAYERS_AUTO, &room, 1);
    assert_int_equal(p.experts, 1);
    assert_int_equal(on(m, &p, n - 1, IG_OP_EXPERT_LINEAR), 0);
    assert_int_equal(on(m, &p, n - 2, IG_OP_EXPERT_LINEAR), -1);
    close_model(m);
}

/* Two devices are used only if one is too small, and share by what they have. */
static void two_devices_share(void **state) {
    (void)state;
    struct model *m = open_model("llama");
    int n = (int)m->arch.hp.n_layer;
    uint64_t big = 1u << 30, half = m->head, room[2];
    struct ig_placement p = place(m, IG_LAYERS_AUTO, (uint64_t[]){big, big}, 2);
    for (uint32_t i = 0; i < m->plan.n_ops; i++) assert_true(p.where[i] <= 0);
    for (int il = n / 2; il < n; il++) half += layer_bytes(m, il, true);
    room[0] = room[1] = m->margin + half;
    p = place(m, IG_LAYERS_AUTO, room, 2);
    assert_int_equal(p.layers, n);
    assert_int_equal(on(m, &p, n - 1, IG_OP_ATTEND), 0);
    assert_int_equal(on(m, &p, 0, IG_OP_ATTEND), 1);
    assert_int_equal(p.where[m->plan.n_ops - 1], 0);
    assert_true(p.bytes[0] && p.bytes[1]);
    assert_non_null(strstr(p.text, "cuda1"));
    p = place(m, IG_LAYERS_ALL, (uint64_t[]){1, 1}, 2);
    assert_int_equal(p.layers, n);
    assert_false(p.fits);
    close_model(m);
}

/* ---- Every model ---- */

static void can_run(const struct model *m, const struct ig_placement *p, const uint64_t *free,
                    uint32_t n) {
    const struct ig_plan *plan = &m->plan;
    for (uint32_t i = 0; p->where && i < plan->n_ops; i++) {
        const struct ig_op *op = &plan->ops[i];
        assert_in_range((uint64_t)(p->where[i] + 1), 0, n);
        if (i && p->where[i] != p->where[i - 1]) assert_true(ig_plan_can_cut(plan, i));
        if (p->where[i] >= 0) assert_int_equal(ig_gpu_can_run(plan, i, i + 1), i + 1);
        if (op->kind == IG_OP_ATTEND)
            assert_int_equal(on(m, p, (int)plan->hp->layer[op->layer].kv_layer, IG_OP_KV_PUT),
                             p->where[i]);
    }
    for (uint32_t d = 0; p->fits && d < n; d++)
        if (p->bytes[d]) assert_true(p->bytes[d] + (256u << 20) <= free[d]);
}

static void whatever_is_free(void **state) {
    (void)state;
    static const char *const names[] = {"llama",  "qwen3-moe",   "gemma2", "gemma4", "gpt-oss",
                                        "falcon", "mistral-swa", "phi3",   "gpt2",   "mixtral"};
    uint32_t seed = 7, opened = 0;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const char *top = getenv("INGLE_GOLDEN");
        char path[512];
        snprintf(path, sizeof path, "%s/models/%s/config.json", top ? top : "tests/golden",
                 names[k]);
        FILE *f = fopen(path, "rb");
        if (!f) continue;
        fclose(f);
        opened++;
        struct model *m = open_model(names[k]);
        uint64_t whole = ig_gpu_weight_bytes(&m->plan, 0, m->plan.n_ops);
        for (int il = 0; il < (int)m->arch.hp.n_layer; il++)
            whole += ig_gpu_kv_bytes(&m->plan, (uint32_t)il, IG_CACHE_F16, CONTEXT, BATCH);
        for (int i = 0; i < 300; i++) {
            uint64_t room[3];
            for (int d = 0; d < 3; d++) {
                seed = seed * 1664525u + 1013904223u;
                room[d] = m->margin + whole * (seed >> 16 & 255) / 200;
            }
            uint32_t n = 1 + (seed >> 8) % 3;
            int64_t layers = i % 3 ? IG_LAYERS_AUTO : (int64_t)(seed >> 24) % 8;
            struct ig_placement p = place(m, layers, room, n);
            can_run(m, &p, room, n);
        }
        close_model(m);
    }
    assert_true(opened >= 8);
}

/* ---- Choosing devices ---- */

static double table_speed(void *ud, const struct ig_device_info *d) {
    const double *speed = ud;
    return d ? speed[1 + d->index] : speed[0];
}

static struct ig_device_list list_of(const struct ig_device_info *d, uint32_t n) {
    struct ig_device_list l = {.n = n, .why = {"no libcuda.so.1", "", ""}};
    memcpy(l.device, d, n * sizeof *d);
    return l;
}

static void auto_is_careful(void **state) {
    (void)state;
    struct ig_device_info d[] = {
        {.backend = "cuda", .index = 0, .name = "big", .usable = true},
        {.backend = "opencl", .index = 1, .name = "inside", .usable = true, .unified = true},
        {.backend = "opencl", .index = 2, .name = "PoCL", .usable = true, .software = true},
        {.backend = "opencl", .index = 3, .name = "old", .why = "its driver is too old"}};
    struct ig_device_list l = list_of(d, 4);
    struct ig_place_choice c;
    assert_int_equal(ig_place_choose(&c, &l, "auto", NULL, NULL, &err), INGLE_OK);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.index[0], 0);
    assert_string_equal(c.why, "");
    l = list_of(d + 1, 3);
    assert_int_equal(ig_place_choose(&c, &l, "auto", NULL, NULL, &err), INGLE_OK);
    assert_int_equal(c.n, 0);
    double slow[] = {40e9, 0, 20e9, 0, 0}, fast[] = {40e9, 0, 60e9, 0, 0};
    assert_int_equal(ig_place_choose(&c, &l, "auto", table_speed, slow, &err), INGLE_OK);
    assert_int_equal(c.n, 0);
    assert_non_null(strstr(c.why, "computes on the processor"));
    assert_int_equal(ig_place_choose(&c, &l, "auto", table_speed, fast, &err), INGLE_OK);
    assert_int_equal(c.n, 1);
    d[0].units = 2;
    l = list_of(d, 4);
    assert_int_equal(ig_place_choose(&c, &l, "auto", NULL, NULL, &err), INGLE_OK);
    assert_int_equal(c.n, 0);
    assert_non_null(strstr(c.why, "too small"));
    fast[1] = 50e9;
    assert_int_equal(ig_place_choose(&c, &l, "auto", table_speed, fast, &err), INGLE_OK);
    assert_int_equal(c.n, 1);
    assert_int_equal(c.index[0], 0);
    d[1].backend = "metal";
    l = list_of(d + 1, 3);
    assert_int_equal(ig_place_choose(&c, &l, "auto", NULL, NULL, &err), INGLE_OK);
    assert_int_equal(c.n, 1);
    l = list_of(d + 3, 1);
    assert_int_equal(ig_place_choose(&c, &l, "auto", NULL, NULL, &err), INGLE_OK);
    assert_int_equal(c.n, 0);
    assert_non_null(strstr(c.why, "its driver is too old"));
}

static void names_are_obeyed(void **state) {
    (void)state;
    struct ig_device_info d[] = {
        {.backend = "cuda", .index = 0, .name = "big", .usable = true},
        {.backend = "opencl", .index = 2, .name = "PoCL", .usable = true, .software = true},
        {.backend = "opencl", .index = 3, .name = "old", .why = "its driver is too old"}};
    struct ig_device_list l = list_of(d, 3), empty = {.why = {"no libcuda.so.1", "", ""}};
    struct ig_place_choice c;
    assert_int_equal(ig_place_choose(&c, &l, "opencl2,cuda0,opencl2", NULL, NULL, &err), INGLE_OK);
    assert_int_equal(c.n, 2);
    assert_int_equal(c.index[0], 1);
    assert_int_equal(c.index[1], 0);
    assert_int_equal(ig_place_choose(&c, &l, "none", NULL, NULL, &err), INGLE_OK);
    assert_int_equal(c.n, 0);
    assert_int_equal(ig_place_choose(&c, &l, "cpu", NULL, NULL, &err), INGLE_OK);
    assert_int_equal(c.n, 0);
    assert_int_equal(ig_place_choose(&c, &l, "cuda1", NULL, NULL, &err), INGLE_NOT_FOUND);
    assert_non_null(strstr(err.message, "cuda1"));
    assert_non_null(strstr(err.hint, "opencl2"));
    assert_int_equal(ig_place_choose(&c, &l, "opencl3", NULL, NULL, &err), INGLE_DEVICE);
    assert_non_null(strstr(err.hint, "too old"));
    assert_int_equal(ig_place_choose(&c, &empty, "cuda0", NULL, NULL, &err), INGLE_NOT_FOUND);
    assert_non_null(strstr(err.hint, "no libcuda.so.1"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fits_on_one),    cmocka_unit_test(as_many_as_fit),
        cmocka_unit_test(a_number_is_obeyed), cmocka_unit_test(experts_stay_behind),
        cmocka_unit_test(two_devices_share),  cmocka_unit_test(whatever_is_free),
        cmocka_unit_test(auto_is_careful),    cmocka_unit_test(names_are_obeyed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
