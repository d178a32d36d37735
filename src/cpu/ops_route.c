/* Mixture of experts: choosing, sorting, summing. Ties go to the lower expert, sums run in slot
 * order. */
#include "cpu/exec.h"

#include <math.h>

/* Experts outside the best groups are ruled out. A group's score is the sum of its two best
 * (DeepSeek V3). */
static void limit_groups(const struct ig_hparams *hp, float *choice, float *group) {
    uint32_t n = hp->n_expert_groups, size = hp->n_expert / n;
    for (uint32_t g = 0; g < n; g++) {
        float first = -INFINITY, second = -INFINITY;
        for (uint32_t j = 0; j < size; j++) {
            float s = choice[g * size + j];
            if (s > first)
                second = first, first = s;
            else if (s > second)
                second = s;
        }
        group[g] = size > 1 ? first + second : first;
    }
    for (uint32_t out = hp->n_expert_groups_used; out < n;
         out++) { /* drop the worst, the later one of equals */
        uint32_t worst = n;
        for (uint32_t g = 0; g < n; g++)
            if (group[g] < INFINITY && (worst == n || group[g] <= group[worst])) worst = g;
        if (worst == n) return;
        group[worst] = INFINITY;
        for (uint32_t j = 0; j < size; j++) choice[worst * size + j] = -INFINITY;
    }
}

static void take_best(const struct ig_hparams *hp, float *choice, uint32_t *expert) {
    for (uint32_t k = 0; k < hp->n_expert_used; k++) {
        uint32_t best = 0;
        for (uint32_t e = 1; e < hp->n_expert; e++)
            if (choice[e] > choice[best]) best = e;
        expert[k] = best;
        choice[best] = -INFINITY;
    }
}

/* phimoe: each of two experts is drawn from those close to the best, and weighted by a softmax
 * over just those */
static void sparse_mixer(const struct ig_cpu *c, const float *logits, float *scratch,
                         uint32_t *expert, float *weight) {
    const struct ig_hparams *hp = c->plan->hp;
    uint32_t n = hp->n_expert;
    float limit = (float)(2 * hp->router_jitter);
    for (uint32_t k = 0; k < hp->n_expert_used; k++) {
        uint32_t best = n;
        for (uint32_t e = 0; e < n; e++) {
            bool taken = false;
            for (uint32_t i = 0; i < k; i++) taken |= expert[i] == e;
            scratch[e] = taken ? -INFINITY : logits[e];
            if (!taken && (best == n || logits[e] > logits[best])) best = e;
        }
        float top = logits[best];
        for (uint32_t e = 0; e < n; e++) {
            float scale = fabsf(logits[e]) > top ? fabsf(logits[e]) : top;
            if ((top - logits[e]) / scale > limit) scratch[e] = -INFINITY;
        }
        c->k->softmax(scratch, scratch, n);
        expert[k] = best;
        weight[k] = scratch[best];
    }
}

static void route_token(const struct ig_cpu *c, const struct ig_op *op, struct ig_route *r,
                        const float *logits, uint32_t t) {
    static const float nothing[4] = {0};
    const struct ig_hparams *hp = c->plan->hp;
    const float *bias = op->w[0]->vec;
    uint32_t n = hp->n_expert, used = hp->n_expert_used, *expert = r->expert + (size_t)t * used;
    float *p = r->scores + (size_t)t * 3 * n, *choice = p + n,
          *weight = r->weight + (size_t)t * used, sum = 0;
    if (hp->router == IG_ROUTER_SPARSEMIXER) {
        sparse_mixer(c, logits, p, expert, weight);
        return;
    }
    if (hp->router == IG_ROUTER_SOFTMAX)
        c->k->softmax(p, logits, n);
    else if (hp->router == IG_ROUTER_SIGMOID)
        c->k->act(IG_ACT_SIGMOID, nothing, p, logits, n);
    else
        memcpy(p, logits, n * sizeof *p);
    for (uint32_t e = 0; e < n; e++) choice[e] = bias ? p[e] + bias[e] : p[e];
    if (hp->n_expert_groups > 1) limit_groups(hp, choice, choice + n);
    take_best(hp, choice, expert);
    for (uint32_t k = 0; k < used; k++) weight[k] = p[expert[k]];
    if (hp->router == IG_ROUTER_TOPK_SOFTMAX)
        c->k->softmax(weight, weight, used);
    else if (hp->expert_norm) {
        for (uint32_t k = 0; k < used; k++) sum = sum + weight[k];
        for (uint32_t k = 0; k < used && sum > 0; k++) weight[k] = weight[k] / sum;
    }
    for (uint32_t k = 0; k < used; k++) weight[k] = weight[k] * (float)hp->expert_scale;
}

/* Slots by expert, in the order of tokens. */
static void sort_slots(const struct ig_cpu *c, struct ig_route *r) {
    uint32_t n = c->plan->hp->n_expert, used = c->plan->hp->n_expert_used, slots = c->pass.n * used,
             at = 0;
    memset(r->first, 0, (n + 1) * sizeof *r->first);
    for (uint32_t s = 0; s < slots; s++) r->first[r->expert[s]]++;
    r->n_active = 0;
    for (uint32_t e = 0; e < n; e++) {
        uint32_t count = r->first[e];
        r->first[e] = at;
        at += count;
        if (count) r->active[r->n_active++] = e;
    }
    for (uint32_t s = 0; s < slots; s++) {
        uint32_t to = r->first[r->expert[s]]++;
        r->order[to] = s;
        r->order_token[to] = s / used;
    }
    for (uint32_t e = n; e > 0; e--) r->first[e] = r->first[e - 1];
    r->first[0] = 0;
}

void ig_op_route(struct ig_cpu *c, const struct ig_op *op, unsigned thread) {
    uint32_t unit;
    while (ig_take(c, thread, c->pass.n, &unit))
        route_token(c, op, &c->route, ig_row(c, op->a, unit), unit);
    ig_barrier(c, thread, (struct ig_pool_next){NULL, 0});
    if (thread == 0 && !atomic_load_explicit(c->cancel, memory_order_relaxed))
        sort_slots(c, &c->route);
    else if (thread == 0)
        c->route.n_active = 0;
}

void ig_op_route_few(struct ig_cpu *c, const struct ig_op *op, unsigned thread) {
    bool own = (ig_own(c, op) & IG_OWN_A) != 0;
    struct ig_route *r = &c->lane[thread].route;
    for (uint32_t t = 0; t < c->pass.n; t++)
        route_token(c, op, r, ig_row_of(c, thread, own, op->a, t), t);
    sort_slots(c, r);
}

void ig_op_spread_row(struct ig_cpu *c, const struct ig_op *op, uint32_t t, unsigned thread) {
    uint32_t used = c->plan->hp->n_expert_used;
    unsigned own = ig_own(c, op);
    const float *a = ig_row_of(c, thread, own & IG_OWN_A, op->a, t),
                *weight = ig_routes(c, thread)->weight;
    for (uint32_t slot = t * used; slot < (t + 1) * used; slot++)
        c->k->scale(ig_row_of(c, thread, own & IG_OWN_DST, op->dst, slot), a, weight[slot], op->n);
}

void ig_op_combine_row(struct ig_cpu *c, const struct ig_op *op, uint32_t t, unsigned thread) {
    uint32_t used = c->plan->hp->n_expert_used;
    unsigned own = ig_own(c, op);
    bool plain = (op->flags & IG_OPF_UNWEIGHTED) != 0;
    float *dst = ig_row_of(c, thread, own & IG_OWN_DST, op->dst, t);
    for (uint32_t k = 0; k < used; k++) {
        uint32_t slot = t * used + k;
        const float *a = ig_row_of(c, thread, own & IG_OWN_A, op->a, slot);
        float w = plain ? 1.0f : ig_routes(c, thread)->weight[slot];
        if (k == 0)
            c->k->scale(dst, a, w, op->n);
        else
            c->k->add(dst, dst, a, w, op->n);
    }
}
