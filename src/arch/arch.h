/* From a view of a file to weights with roles.
 *
 *   ig_keys     metadata under GGUF names (without the family prefix), whatever the file was: hf.c
 * writes the same names from config.json, so that everything behind it is written once. ig_row what
 * a family is, where its file cannot say it (rows.def). ig_hparams  numbers of this model: row +
 * keys, per layer where layers differ. ig_weights  tensors bound to roles (roles.def). Fused
 * tensors are split into views, so that the planner only knows separate q, k, v, gate and up.
 *
 * The lifetimes: all live in the model's arena and never change after ig_arch_open. */
#ifndef IG_ARCH_H
#define IG_ARCH_H

#include "file/view.h"
#include "quant/quant.h"

/* ---- Keys ---- */

struct ig_key { /* made by hf.c */
    const char *name;
    const double *number; /* `count` of them, or NULL */
    uint64_t count;
    struct ig_str text;
};

struct ig_keys {
    const struct ig_view *view;
    struct ig_arena *arena;
    struct ig_str family; /* "llama": prefix of the GGUF keys */
    struct ig_key *made;  /* folders: everything; GGUF: empty */
    size_t n_made, cap_made;
};

/* Element `index` of a key; a scalar answers for every index. False if absent or of another type.
 */
bool ig_key_f64(const struct ig_keys *k, const char *name, uint64_t index, double *out);
bool ig_key_i64(const struct ig_keys *k, const char *name, uint64_t index, int64_t *out);
bool ig_key_bool(const struct ig_keys *k, const char *name, uint64_t index, bool *out);
bool ig_key_str(const struct ig_keys *k, const char *name, struct ig_str *out);
uint64_t ig_key_count(const struct ig_keys *k,
                      const char *name); /* elements of an array, 1 for a scalar, 0 if absent */

/* For hf.c: `name` must be static. A later put of the same name wins. */
ingle_status ig_key_put(struct ig_keys *k, const char *name, double value, ingle_error *err);
ingle_status ig_key_put_list(struct ig_keys *k, const char *name, const double *values, uint64_t n,
                             ingle_error *err);
ingle_status ig_key_put_str(struct ig_keys *k, const char *name, struct ig_str value,
                            ingle_error *err);

/* ---- Families ---- */

enum ig_pairing { IG_PAIR, IG_HALF, IG_NOROPE }; /* rope rotates (2i, 2i+1) or (i, i + d/2) */
enum ig_act {
    IG_ACT_SILU,
    IG_ACT_GELU, /* tanh form */
    IG_ACT_GELU_ERF,
    IG_ACT_GELU_QUICK,
    IG_ACT_RELU,
    IG_ACT_RELU2,
    IG_ACT_OAI, /* gpt-oss: clamped, (up + 1) * gate * sigmoid(1.702 gate) */
    IG_ACT_XIELU,
    IG_ACT_SIGMOID,
    IG_ACT_TANH
};
enum ig_norm_kind { IG_NORM_BY_KEY, IG_NORM_RMS, IG_NORM_LAYER };
enum ig_position { IG_POS_NONE, IG_POS_LEARNED, IG_POS_ALIBI };
enum ig_router { /* how router logits become weights of the chosen experts; numbers as in GGUF */
                 IG_ROUTER_SOFTMAX = 1, /* softmax over all, then top-k */
                 IG_ROUTER_SIGMOID = 2,
                 IG_ROUTER_TOPK_SOFTMAX = 3, /* top-k of the logits, softmax over the kept */
                 IG_ROUTER_SPARSEMIXER = 100 /* phimoe */
};

struct ig_row {
    const char *name; /* general.architecture */
    const char *hf; /* config.json model_type values, separated by spaces; NULL: the same as name */
    uint8_t rope;   /* enum ig_pairing, in GGUF files */
    uint8_t hf_rope; /* the same in folders: differs where the converter permutes q and k */
    uint8_t act;     /* unless the file names one (key hidden_activation) */
    uint8_t norm;    /* enum ig_norm_kind; BY_KEY: which epsilon key exists */
    bool parallel; /* x += A(norm x) + F(norm x), unless key use_parallel_residual says otherwise */
    bool embed_sqrt; /* embeddings times sqrt(width) */
    bool qk_late;    /* q/k norm after rope */
    uint8_t pos;     /* enum ig_position */
    uint8_t router;  /* enum ig_router unless key expert_gating_func; 0 = SOFTMAX */
    bool router_raw; /* weights of the kept experts are not renormalised unless key
                        expert_weights_norm */
    uint8_t swa; /* if the file has a window: every swa-th layer is global, the others windowed; 0:
                    none windowed; 255: all. Key attention.sliding_window_pattern overrides */
    bool swa_first;    /* of each period the first layer is the global one, not the last */
    uint8_t nope;      /* every nope-th layer has no rope; key attention.rope_pattern overrides */
    bool nope_global;  /* windowed model: global layers have no rope */
    bool swa_unscaled; /* rope scaling only on global layers */
    bool logit_divide; /* logits / logit_scale instead of times */
    bool
        l2_qk; /* llama4: q and k divided by their RMS after rope, no weight, on layers with rope */
    bool chunked;          /* the window is a fixed chunk of positions, not a sliding range */
    bool weight_first;     /* llama4: router weight scales the expert's input */
    bool bare_norm;        /* olmo: LayerNorm without weights, so that no tensor shows it */
    bool qk_whole;         /* mpt: a q/k LayerNorm over the row, not head by head */
    bool rope_tuned;       /* granite: no rope if key rope.scaling.finetuned says false */
    bool v_norm;           /* gemma4: v divided by its RMS, head by head */
    uint32_t alibi_layers; /* GGUF: a model of this many layers has ALiBi instead of rope */
    uint32_t wide_layers;  /* GGUF: one of this many has scores / sqrt(width / heads) */
    const char *defaults;  /* "key=number" pairs separated by spaces, for files without the key */
    const char
        *rename; /* "file base=role base" pairs separated by spaces, without the leading dot */
    const char *ignore; /* base names that are not needed, beyond the common list */
};

/* NULL if no row names it. */
const struct ig_row *ig_row_by_name(struct ig_str name);
const struct ig_row *ig_row_by_model_type(struct ig_str model_type);
/* INGLE_UNSUPPORTED with the nearest rows in the message. */
ingle_status ig_row_unknown(struct ig_str name, bool folder, ingle_error *err);
const struct ig_row *ig_row_at(size_t index);

/* ---- Numbers of a model ---- */

enum ig_rope_scaling {
    IG_ROPE_PLAIN,
    IG_ROPE_LINEAR,
    IG_ROPE_YARN,
    IG_ROPE_LLAMA3,
    IG_ROPE_LONG,
    IG_ROPE_DYNAMIC,
    IG_ROPE_PROPORTIONAL
};

struct ig_rope { /* one for global layers, one for windowed */
    uint8_t pairing, scaling;
    uint32_t dims; /* rotated dimensions of a head, even */
    uint32_t original_context;
    double base, factor, beta_fast, beta_slow, low_freq, high_freq;
    double mscale;                               /* multiplies cos and sin */
    double mscale_long;                          /* the same with the long divisors */
    bool truncate;                               /* yarn: correction range on whole dimensions */
    bool bf16;                                   /* frequencies rounded to bf16: see shape.c */
    const float *divisors;                       /* [dims / 2] from rope_freqs, or NULL */
    const float *long_divisors, *short_divisors; /* longrope, [dims / 2] */
};

enum ig_mixer { IG_MIX_ATTN /* mla, conv, ssm, delta, rwkv come with their families */ };

struct ig_layer_params {
    uint8_t mixer;
    bool rope;  /* this layer rotates */
    bool local; /* uses rope set 1 and the window */
    uint32_t n_head, n_head_kv, head_k, head_v, n_ff;
    uint32_t window;   /* positions seen, the own included; 0 = all */
    uint32_t kv_layer; /* whose cache it reads: itself, or an earlier layer (shared KV) */
    double q_scale;    /* q times this, beside attn_scale (gpt2: 1 / layer) */
};

struct ig_hparams {
    const struct ig_row *row;
    struct ig_str family;
    uint32_t n_layer, n_embd, n_vocab, n_context, n_ff;
    uint32_t
        n_layer_file;   /* layers that tensors may belong to; those from n_layer on are not run */
    uint32_t n_predict; /* 1: layer n_layer predicts the token after the next, if the file has it */
    uint8_t act, norm, pos, router;
    bool parallel;
    double eps;
    double embed_scale, residual_scale;
    double logit_scale; /* multiplies the logits */
    double attn_scale;  /* 0 = 1/sqrt(head_k) */
    double attn_softcap, logit_softcap, router_softcap, clamp_kqv, alibi_max;
    double temperature_scale, temperature_length,
        temperature_offset; /* llama4, ministral: q grows with the log of the
                               position */
    double alibi_scale;     /* falcon: the bias is divided by sqrt(head) like the scores */
    bool bare_norm, l2_qk;  /* as in the row, unless the file says otherwise */
    bool post_norm;         /* opt-350m: x = norm(x + A(x)), x = norm(x + F(x)) */
    bool no_output_norm;    /* some of opt: nothing between the last layer and the logits */
    bool residual_normed;   /* bloom: the residual is taken behind the norm */
    bool unit_rows;         /* baichuan2: rows of the output matrix have length 1 */
    double router_jitter;   /* phimoe: experts this far below the best do not share its weight */
    uint32_t n_expert, n_expert_used, n_expert_groups, n_expert_groups_used;
    bool expert_norm; /* renormalise kept weights */
    double expert_scale;
    double act_limit, act_alpha;   /* IG_ACT_OAI */
    const double *xielu;           /* [n_layer][4]: p, n, beta, eps of x > 0 ? p x^2 + beta x
                                      : n (expm1(min(x, eps)) - x) + beta x; or NULL */
    struct ig_rope rope[2];        /* global, local */
    struct ig_layer_params *layer; /* [n_layer + n_predict] */
    uint32_t n_embd_per_layer;     /* gemma per-layer inputs */
    uint32_t position_offset;      /* opt: learned positions start at 2 */
};

/* ---- Weights ---- */

enum ig_role {
#define ROLE(id, name, kind) IG_R_##id,
#include "arch/roles.def"
#undef ROLE
    IG_ROLE_COUNT
};

struct ig_mat { /* count matrices [rows, cols], row-major blocks */
    const struct ig_quant *type;
    const uint8_t *data;
    const uint8_t *const *parts; /* [count] when they lie apart, else NULL */
    uint32_t cols, rows, count;
    size_t row_bytes, stride; /* stride: from one matrix to the next */
    const float *scale;       /* [count] NVFP4 side scales, or NULL */
};

static inline const uint8_t *ig_mat_at(const struct ig_mat *m, uint32_t i) {
    return m->parts ? m->parts[i] : m->data + m->stride * i;
}

struct ig_slot {       /* a role's tensors: a matrix or a vector, perhaps with bias */
    struct ig_mat mat; /* data and parts NULL if absent */
    const float *vec;  /* [n] norms, scales, sinks: always f32 copies; NULL if absent */
    uint32_t n;
    const float *bias; /* [n_bias] f32, or NULL; experts: [count, rows] */
    uint32_t n_bias;
    uint32_t n_scale; /* length of mat.scale */
};

static inline bool ig_slot_has(const struct ig_slot *s) {
    return s->mat.data || s->mat.parts || s->vec;
}

struct ig_weights {
    struct ig_slot global[IG_ROLE_COUNT];   /* roles outside the layers */
    struct ig_slot (*layer)[IG_ROLE_COUNT]; /* [n_layer + n_predict] */
};

struct ig_arch {
    struct ig_keys keys;
    struct ig_hparams hp;
    struct ig_weights w;
    size_t copied_bytes;     /* weights that had to be rewritten (transposed, re-ordered) */
    struct ig_arch *predict; /* the prediction layer as a model of one layer, whose input joins an
                                embedding and a state of this model; NULL: the file has none */
};

/* view -> keys, row, hparams, weights. Everything is allocated from `arena`. */
ingle_status ig_arch_open(struct ig_arch *a, struct ig_arena *arena, const struct ig_view *view,
                          const struct ig_log *log, ingle_error *err);

/* The steps, one file each. */
ingle_status ig_arch_hf_keys(struct ig_keys *k, const struct ig_row *row,
                             ingle_error *err); /* hf.c */
ingle_status ig_arch_hparams(struct ig_hparams *hp, const struct ig_keys *k, struct ig_arena *arena,
                             ingle_error *err); /* hparams.c */
ingle_status ig_arch_bind(struct ig_arch *a, struct ig_arena *arena, const struct ig_view *view,
                          const struct ig_log *log, ingle_error *err); /* bind.c */
/* After binding: splits fused tensors, checks shapes against hp, takes over what only tensors tell.
 */
ingle_status ig_arch_shape(struct ig_arch *a, struct ig_arena *arena,
                           ingle_error *err); /* shape.c */

/* ---- Where a tensor belongs, by its name in the file (names.c) ---- */

enum ig_part { IG_PART_WEIGHT, IG_PART_BIAS, IG_PART_SCALE, IG_PART_IGNORE };
enum ig_transform { /* applied at binding; all but ADD_ONE make a copy of a matrix */
                    IG_T_NONE = 0,
                    IG_T_TRANSPOSE = 1,  /* stored [in, out] (gpt2's Conv1D, expert stacks of llama4
                                            and gpt-oss) */
                    IG_T_ADD_ONE = 2,    /* norm stored as w, used as 1 + w */
                    IG_T_QKV_GROUPS = 4, /* rows ordered by kv head: q heads, k, v of group 0, then
                                            group 1 ... -> q, k, v */
                    IG_T_INTERLEAVED =
                        8,             /* gate and up rows alternate -> gate rows, then up rows */
                    IG_T_UP_FIRST = 16 /* fused pair is up | gate instead of gate | up */
};
struct ig_place {
    uint8_t role, part, transform;
    int32_t layer;  /* -1: global */
    int32_t expert; /* -1: not one of several tensors */
};
/* False if the name is neither known nor ignorable. */
bool ig_place_gguf(const struct ig_hparams *hp, struct ig_str name, struct ig_place *out);
bool ig_place_hf(const struct ig_hparams *hp, struct ig_str name, struct ig_place *out);

#endif
