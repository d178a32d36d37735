/* What a vocabulary answers once it is open, and what it computes from its parts when they are all
 * there. */
#include "vocab/impl.h"

int32_t ig_vocab_size(const struct ig_vocab *v) {
    return v->tokens.n;
}

static bool known(const struct ig_vocab *v, int32_t id) {
    return id >= 0 && id < v->tokens.n;
}

struct ig_str ig_vocab_bytes(const struct ig_vocab *v, int32_t id) {
    return known(v, id) ? ig_tokens_piece(&v->tokens, id) : (struct ig_str){NULL, 0};
}

struct ig_str ig_vocab_spelling(const struct ig_vocab *v, int32_t id) {
    return known(v, id) ? ig_tokens_spelling(&v->tokens, id) : (struct ig_str){NULL, 0};
}

int32_t ig_vocab_find(const struct ig_vocab *v, struct ig_str spelling) {
    return v->tokens.n ? ig_tokens_spelled(&v->tokens, spelling) : IG_NO_TOKEN;
}

enum ig_token_type ig_vocab_type(const struct ig_vocab *v, int32_t id) {
    return known(v, id) ? (enum ig_token_type)(v->tokens.type[id] & IG_TYPE_BITS)
                        : IG_TOKEN_UNDEFINED;
}

float ig_vocab_score(const struct ig_vocab *v, int32_t id) {
    return known(v, id) ? ig_tokens_score(&v->tokens, id) : 0;
}

int32_t ig_vocab_special(const struct ig_vocab *v, enum ig_token_role role) {
    return (unsigned)role < IG_ROLES ? v->role[role] : IG_NO_TOKEN;
}

bool ig_vocab_is_end(const struct ig_vocab *v, int32_t id) {
    return known(v, id) && (v->is_end[id >> 6] >> (id & 63) & 1);
}

bool ig_vocab_is_control(const struct ig_vocab *v, int32_t id) {
    enum ig_token_type t = ig_vocab_type(v, id);
    return t == IG_TOKEN_CONTROL || t == IG_TOKEN_UNKNOWN;
}

bool ig_vocab_adds_bos(const struct ig_vocab *v) {
    return v->add_bos;
}
bool ig_vocab_adds_eos(const struct ig_vocab *v) {
    return v->add_eos;
}

const char *ig_vocab_model(const struct ig_vocab *v) {
    static const char *const names[] = {"none", "bpe", "spm", "unigram", "wordpiece", "wordlevel"};
    return names[v->model];
}

size_t ig_vocab_memory(const struct ig_vocab *v) {
    const struct ig_tokens *t = &v->tokens;
    size_t n = sizeof *v + (size_t)t->n * 9 + ((size_t)t->mask + t->hidden_mask + 2) * 8 +
               v->raw.nodes.cap + v->normal.nodes.cap;
    if (t->n) n += t->piece_at[t->n];
    if (v->merges.slots)
        n += ((size_t)v->merges.mask + 1) * 8 + (v->merges.result ? v->merges.n * 4u : 0);
    if (v->prefixes) n += ((size_t)v->prefix_mask + 1) / 4 + (size_t)t->n * 8;
    for (unsigned i = 0; i < v->n_pre; i++) n += ig_regex_memory(v->pre[i].regex);
    for (unsigned i = 0; i < v->n_norm; i++) n += ig_regex_memory(v->norm[i].regex);
    return n;
}

/* Does some token go from another character into a space mark? */
static bool crosses_marks(const struct ig_tokens *t) {
    for (int32_t id = 0; id < t->n; id++) {
        if (t->type[id] & IG_TYPE_HIDDEN) continue;
        struct ig_str s = ig_tokens_spelling(t, id);
        bool other = false;
        for (size_t i = 0; i < s.n; i++) {
            bool mark = s.n - i >= 3 && !memcmp(s.p + i, IG_SPACE_MARK, 3);
            if (mark && other) return true;
            if (mark)
                i += 2;
            else
                other = true;
        }
    }
    return false;
}

ingle_status ig_vocab_finish(struct ig_vocab *v, const struct ig_log *log, ingle_error *err) {
    (void)log;
    bool marks = !v->tokens.bytes && (v->model == IG_MODEL_BPE || v->model == IG_MODEL_SPM ||
                                      v->model == IG_MODEL_UNIGRAM);
    v->split_marks = marks && !v->suffix.n && !v->prefix.n &&
                     ig_vocab_find(v, IG_STR(IG_SPACE_MARK)) >= 0 && !crosses_marks(&v->tokens);
    v->longest = v->tokens.longest > v->longest ? v->tokens.longest : v->longest;
    if (v->longest < 4) v->longest = 4;
    return ig_added_build(v, err);
}

void ig_vocab_close(struct ig_vocab *v) {
    if (!v) return;
    struct ig_mem *mem = v->mem;
    ig_tokens_free(&v->tokens, mem);
    ig_merges_free(&v->merges, mem);
    for (unsigned i = 0; i < IG_MAX_STEPS; i++) {
        ig_regex_close(v->norm[i].regex);
        ig_regex_close(v->pre[i].regex);
        ig_regex_close(v->dec[i].regex);
    }
    ig_matcher_free(&v->raw);
    ig_matcher_free(&v->normal);
    ig_free(mem, v->is_end);
    ig_free(mem, v->exact_score);
    ig_free(mem, v->prefixes);
    ig_arena_free(&v->arena);
    ig_free(mem, v);
}
