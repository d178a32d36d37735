/* A page of a mapped file costs a fault when it is first touched, and a wait for the disk if it is
 * not in memory. One thread that goes ahead of the computing ones takes most of both from them. It
 * reads small pieces, so that closing never waits long. */
#include "engine/ahead.h"

enum { PIECE = 2 << 20 };

static bool read_matrix(struct ig_ahead *a, const struct ig_mat *m) {
    for (uint32_t i = 0; i < m->count; i++) {
        const uint8_t *p = ig_mat_at(m, i);
        size_t bytes = m->row_bytes * m->rows;
        for (size_t at = 0; at < bytes; at += PIECE) {
            if (atomic_load_explicit(&a->quit, memory_order_relaxed)) return false;
            ig_os_read_ahead(p + at, bytes - at < PIECE ? bytes - at : PIECE);
        }
    }
    return true;
}

static void read_all(void *ud) {
    struct ig_ahead *a = ud;
    const struct ig_plan *p = &a->model->plan;
    ig_os_thread_background();
    for (uint32_t i = 0; i < p->n_ops; i++)
        for (unsigned j = 0; j < p->ops[i].n_to; j++) /* embeddings: only a row a token is read */
            if (!read_matrix(a, &p->ops[i].w[j]->mat)) return;
}

void ig_ahead_start(struct ig_ahead *a, const struct ingle_model *m) {
    uint64_t bytes = ig_model_weight_bytes(m), available = ig_os_memory_available();
    if (bytes < PIECE || bytes / 8 * 9 > available || atomic_exchange(m->read_ahead, true)) return;
    a->model = m;
    a->started = ig_os_thread_start(&a->thread, read_all, a, 0, NULL) == INGLE_OK;
}

void ig_ahead_stop(struct ig_ahead *a) {
    atomic_store(&a->quit, true);
    if (a->started) ig_os_thread_join(&a->thread);
    a->started = false;
}
