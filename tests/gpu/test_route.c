/* route.k against src/cpu/ops_route.c, bit for bit, on every device there is. */
#include "gpu/op_test.h"

#include "gpu/args.h"

#include "cpu/exec.h"

static const struct op_device *dev;

struct job {
    const char *name;
    uint32_t n, used, rows, groups, groups_used;
    uint8_t router;
    bool norm, bias;
    double scale, jitter;
    uint32_t odd; /* one in so many logits is odd; 1000: many are equal */
};

/* Enough of an executor for the operations. */
struct stand {
    struct ig_hparams hp;
    struct ig_plan plan;
    struct ig_cpu cpu;
    struct ig_lane lane;
    struct ig_op op;
    struct ig_slot slot;
};

static struct stand *stand_new(const struct job *j, float *logits, uint32_t stride, float *bias) {
    struct stand *s = calloc(1, sizeof *s);
    uint32_t slots = j->rows * j->used;
    assert_non_null(s);
    s->hp.n_expert = j->n, s->hp.n_expert_used = j->used;
    s->hp.n_expert_groups = j->groups, s->hp.n_expert_groups_used = j->groups_used;
    s->hp.router = j->router, s->hp.expert_norm = j->norm;
    s->hp.expert_scale = j->scale, s->hp.router_jitter = j->jitter;
    s->plan.hp = &s->hp, s->plan.ops = &s->op;
    s->op.a = IG_B_R, s->op.w[0] = &s->slot;
    s->slot.vec = j->bias ? bias : NULL;
    s->cpu.k = &ig_kernels_scalar, s->cpu.plan = &s->plan, s->cpu.lane = &s->lane;
    s->cpu.pass.n = j->rows;
    s->cpu.buffer[IG_B_R] = logits, s->cpu.stride[IG_B_R] = stride;
    s->lane.route = (struct ig_route){.expert = malloc(slots * 4),
                                      .weight = malloc(slots * 4),
                                      .order = malloc(slots * 4),
                                      .order_token = malloc(slots * 4),
                                      .first = malloc((j->n + 1) * 4),
                                      .active = malloc(j->n * 4),
                                      .scores = malloc((size_t)j->rows * 3 * j->n * 4)};
    return s;
}

static void stand_free(struct stand *s) {
    struct ig_route *r = &s->lane.route;
    free(r->expert), free(r->weight), free(r->order), free(r->order_token), free(r->first),
        free(r->active);
    free(r->scores), free(s);
}

static void one_route(const struct job *j) {
    uint32_t stride = (j->n + 15) / 16 * 16 + 16, slots = j->rows * j->used,
             words = 2 * slots + j->n + 1;
    float *logits = op_floats((size_t)j->rows * stride, 3), *bias = op_floats(j->n, 1);
    if (j->odd == 1000)
        for (uint32_t i = 0; i < j->rows * stride; i++) logits[i] = (float)(op_random() % 4);
    else if (j->odd)
        op_make_odd(logits, (size_t)j->rows * stride, j->odd);
    struct stand *s = stand_new(j, logits, stride, bias);
    ig_op_route_few(&s->cpu, &s->op, 0);
    const struct ig_route *want = &s->lane.route;
    uint32_t *route = op_filled((words + 1) * 4);
    float *weight = op_filled((slots + 1) * 4);
    struct ig_route_args args = {
        j->rows, j->n,    j->used,         stride,           j->router, j->groups, j->groups_used,
        j->norm, j->bias, (float)j->scale, (float)j->jitter, slots,     2 * slots};
    struct op_buf buf[] = {{logits, (size_t)j->rows * stride * 4, false},
                           {bias, j->n * 4, false},
                           {route, (words + 1) * 4, true},
                           {weight, (slots + 1) * 4, true}};
    op_run(dev, "route", j->router == IG_ROUTER_SPARSEMIXER ? "route_mixer" : "route_choose", 1,
           j->rows, 1, buf, 4, NULL, &args, sizeof args);
    op_run(dev, "route", "route_sort", j->n, 1, 1, buf + 2, 1, NULL, &args, sizeof args);
    op_same_bytes("expert", route, want->expert, slots * 4);
    op_same_floats("weight", weight, want->weight, slots);
    op_same_bytes("order", route + slots, want->order, slots * 4);
    op_same_bytes("first", route + 2 * slots, want->first, (j->n + 1) * 4);
    assert_int_equal(route[words], 0x5A5A5A5A);
    stand_free(s);
    free(logits), free(bias), free(route), free(weight);
}

static const struct job jobs[] = {
    {"mixtral", 8, 2, 5, 0, 0, IG_ROUTER_SOFTMAX, true, false, 1, 0, 0},
    {"qwen", 128, 8, 33, 0, 0, IG_ROUTER_SOFTMAX, true, false, 1, 0, 0},
    {"olmoe", 64, 8, 3, 0, 0, IG_ROUTER_SOFTMAX, false, false, 1, 0, 0},
    {"deepseek 2", 160, 6, 3, 8, 3, IG_ROUTER_SOFTMAX, false, false, 16, 0, 0},
    {"deepseek 3", 256, 8, 7, 8, 4, IG_ROUTER_SIGMOID, true, true, 2.5, 0, 0},
    {"llama 4", 16, 1, 9, 0, 0, IG_ROUTER_SIGMOID, false, false, 1, 0, 0},
    {"gpt-oss", 32, 4, 200, 0, 0, IG_ROUTER_TOPK_SOFTMAX, false, false, 1, 0, 0},
    {"with bias", 24, 17, 4, 0, 0, IG_ROUTER_TOPK_SOFTMAX, true, true, 0.7, 0, 0},
    {"phimoe", 16, 2, 20, 0, 0, IG_ROUTER_SPARSEMIXER, false, false, 1, 0.01, 0},
    {"phimoe, all", 5, 5, 4, 0, 0, IG_ROUTER_SPARSEMIXER, false, false, 1, 0.3, 0},
    {"one", 1, 1, 1, 0, 0, IG_ROUTER_SOFTMAX, true, false, 1, 0, 0},
    {"equal", 70, 9, 10, 0, 0, IG_ROUTER_SOFTMAX, true, false, 1, 0, 1000},
    {"equal groups", 64, 6, 10, 16, 2, IG_ROUTER_SIGMOID, true, true, 1, 0, 1000},
    {"groups of one", 12, 5, 10, 12, 3, IG_ROUTER_SIGMOID, true, false, 1, 0, 1000},
    {"too few groups", 12, 8, 10, 4, 1, IG_ROUTER_SIGMOID, true, false, 1, 0, 0},
    {"odd", 64, 6, 40, 0, 0, IG_ROUTER_SOFTMAX, true, false, 1, 0, 3},
    {"odd sigmoid", 64, 6, 40, 8, 4, IG_ROUTER_SIGMOID, true, true, 1, 0, 3},
    {"odd top", 67, 6, 40, 0, 0, IG_ROUTER_TOPK_SOFTMAX, true, false, 1, 0, 2},
    {"many", 1000, 12, 3, 0, 0, IG_ROUTER_SOFTMAX, true, false, 1, 0, 0},
    {"most", 4096, 64, 2, 0, 0, IG_ROUTER_SIGMOID, true, true, 1, 0, 0},
};

static void choose_and_sort(void **state) {
    (void)state;
    for (unsigned d = 0; d < op_n_devices; d++)
        for (unsigned i = 0; i < sizeof jobs / sizeof *jobs; i++) {
            dev = &op_devices[d];
            print_message("%s: %s\n", dev->info.backend, jobs[i].name);
            one_route(&jobs[i]);
        }
}

static void one_slots(uint32_t n, uint32_t used, uint32_t rows, bool plain) {
    const struct job j = {.n = 8, .used = used, .rows = rows};
    uint32_t stride = (n + 15) / 16 * 16 + 16, slots = rows * used;
    size_t few = (size_t)rows * stride, many = (size_t)slots * stride;
    float *a = op_floats(few, 2), *ex = op_floats(many, 2), *got_a = op_copy(a, few * 4),
          *got_ex = op_copy(ex, many * 4), *weight = op_floats(slots, 1);
    struct stand *s = stand_new(&j, a, stride, NULL);
    memcpy(s->lane.route.weight, weight, slots * 4);
    s->cpu.route = s->lane.route;
    s->cpu.buffer[IG_B_EX] = ex, s->cpu.stride[IG_B_EX] = stride;
    struct ig_slots_args args = {n, used, stride, stride, plain};
    struct op_buf buf[] = {
        {got_a, few * 4, false}, {weight, slots * 4, false}, {got_ex, many * 4, true}};
    s->op = (struct ig_op){.a = IG_B_R, .dst = IG_B_EX, .n = n};
    for (uint32_t t = 0; t < rows; t++) ig_op_spread_row(&s->cpu, &s->op, t, 0);
    op_run(dev, "route", "spread", (n + 255) / 256, rows, 1, buf, 3, NULL, &args, sizeof args);
    op_same_floats("spread", got_ex, ex, many);
    for (size_t i = 0; i < many; i++) got_ex[i] = ex[i] = op_normal();
    s->op =
        (struct ig_op){.a = IG_B_EX, .dst = IG_B_R, .n = n, .flags = plain ? IG_OPF_UNWEIGHTED : 0};
    for (uint32_t t = 0; t < rows; t++) ig_op_combine_row(&s->cpu, &s->op, t, 0);
    struct op_buf back[] = {
        {got_ex, many * 4, false}, {weight, slots * 4, false}, {got_a, few * 4, true}};
    op_run(dev, "route", "combine", (n + 255) / 256, rows, 1, back, 3, NULL, &args, sizeof args);
    op_same_floats("combine", got_a, a, few);
    stand_free(s);
    free(a), free(ex), free(got_a), free(got_ex), free(weight);
}

static void spread_and_combine(void **state) {
    (void)state;
    for (unsigned d = 0; d < op_n_devices; d++) {
        dev = &op_devices[d];
        one_slots(100, 1, 3, false), one_slots(256, 2, 1, false), one_slots(2050, 6, 4, true),
            one_slots(300, 8, 5, false);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(choose_and_sort),
                                       cmocka_unit_test(spread_and_combine)};
    return cmocka_run_group_tests(tests, op_open, op_close);
}
