/* Arguments of the kernels, shared by kernels and host. Members are u32, i32 or f32 only, so that every compiler lays
 * them out alike. Strides and widths count elements of the buffer, "at" is a first element; rows are tokens unless said
 * otherwise. A kernel's buffers are listed with it, in their order; a buffer that a call does not need is any other
 * buffer of the call. f32 rows of activations are [rows][stride], stride a multiple of 16, columns behind the width 0.
 *
 * Part of the dialect (prelude.h): on the host, include gpu/host_types.h first. */
#ifndef IG_ARGS_H
#define IG_ARGS_H

/* What every token of a pass is: buffer `tok`, struct [n] */
struct ig_token {
    u32 id, position;
    f32 temperature; /* factor of IG_OP_TEMPERATURE */
    u32 pad;
};

/* ---- rows.k ---- */

enum {
    IG_NORM_WEIGHT = 1, IG_NORM_BIAS = 2, IG_NORM_PER_HEAD = 4, IG_NORM_MEAN = 8 /* LayerNorm, else RMS */,
    IG_NORM_ADD = 16, IG_NORM_KEEP = 32, IG_NORM_POST = 64 /* add_norm_quantize */
};
/* norm: a, w [n] or per head [heads][n], bias likewise, dst. Groups: (heads, rows). dst may be a.
 * norm_heads: the same for heads that are short (up to about 512). Groups: (ceil(heads / 16), rows) */
struct ig_norm_args {
    u32 n, heads, a_stride, a_at, dst_stride, flags;
    f32 eps;
};
/* add_norm_quantize: a, b, post (weights [n]), w, bias, x, h, q (i8), d (f32), sum (i16). A row at a time, what flags and
 * per ask for:
 *     ADD   x = a + f * b (x may be a or b); with POST b is normed before, with post_eps and the weights `post`, as MEAN
 *           or RMS
 *     h     = norm of x (of a without ADD), WEIGHT, BIAS, MEAN as for norm; written with KEEP (h may be a or b, not x)
 *     per   32 or 256: h is quantised as by quantize, 0: it is not
 * Groups: (rows) */
struct ig_add_norm_args {
    u32 n, flags, per, a_stride, b_stride, x_stride, h_stride, q_stride, d_stride, s_stride;
    f32 f, eps, post_eps;
};
/* quantize: a, q (i8), d (f32), sum (i16, per 16). Groups: (ceil(n / 256), rows). As struct ig_act_rows of the CPU: per =
 * 32 or 256 values have one scale. n is a multiple of 32, q_stride of 16; nothing behind n is written. */
struct ig_quantize_args {
    u32 n, per, a_stride, q_stride, d_stride, s_stride;
};
/* glu_quantize: a, b, dst, q, d, sum. act(a) * b (what = IG_EL_GLU) or act(a) (IG_EL_ACT), kept in dst with `keep` (dst may
 * be a or b), quantised as by quantize. Groups: (ceil(n / 256), rows) */
struct ig_glu_args {
    u32 n, what, act, per, keep, a_stride, b_stride, dst_stride, q_stride, d_stride, s_stride;
    f32 f0, f1, f2, f3;
};
/* element: a, b, dst. dst[r][i] from a[r][a_at + i] and b[r][b_at + i], for the elementwise operations of ops.def.
 * Groups: (ceil(n / 256), rows). GATE: b is one number a row. */
enum {
    IG_EL_ADD /* fma(f0, b, a) */, IG_EL_COPY, IG_EL_SCALE /* a * f0 */, IG_EL_CLAMP, IG_EL_SOFTCAP,
    IG_EL_ACT, IG_EL_GLU, IG_EL_MUL, IG_EL_GATE
};
struct ig_element_args {
    u32 n, what, act /* enum ig_act */, a_stride, a_at, b_stride, b_at, dst_stride;
    f32 f0, f1, f2, f3;
};
/* rope: x, table [rows][dims]. In place, `heads` heads of n columns, the first dims of each turn. Groups:
 * (ceil(heads * dims / 2 / 64), rows) */
struct ig_rope_args {
    u32 n, heads, dims, x_stride, pairwise;
};
/* temperature: x, tok. x[r][i] *= tok[r].temperature. Groups: (ceil(n / 256), rows) */
struct ig_temperature_args {
    u32 n, x_stride;
};
/* gather: a, index (u32 [rows]), dst. dst[r] = a[index[r]]. Groups: (ceil(n / 256), rows) */
struct ig_gather_args {
    u32 n, a_stride, dst_stride;
};

/* top: a, out (u32 [rows][groups][64][2]: id, bits of the value). The 64 best of every 2048 logits, descending, ties to the
 * lower id, NaN behind all others; where there are fewer, id 0xffffffff. Groups: (ceil(n / 2048), rows). Then again with
 * `pairs`: a is the `out` of before, n = 64 * its groups, stride = 2 * n, until there is one group. */
struct ig_top_args {
    u32 n, stride, pairs;
};

/* ---- Keys and values: kv.k ----
 * A row of a timeline's layer is one position: keys [n_kv][head_k], values [n_kv][head_v] as f32, f16 or i8, each head
 * padded with zeros to a multiple of 16 bytes, for i8 then f32 scales of keys [n_kv] and of values [n_kv]; `row` bytes,
 * a multiple of 16. So rows come in (kv_load).
 *
 * In the timeline's buffer 32 positions are a block of 32 * row bytes, so that neighbouring items read neighbouring
 * memory whether an item is a position (keys) or some dims (values):
 *     at 0           keys    [n_kv][units of a head][32 positions][16 bytes]
 *     at 32 * v_at   values  [n_kv][32 positions][head, padded]
 *     at 32 * ks_at  scales of keys [n_kv][32]; at 32 * vs_at those of values
 * A buffer for n positions is ceil(n / 32) blocks and may grow by copying whole blocks; it need not be cleared. ring > 0:
 * position p lies at p mod ring, a multiple of 32. Host code: kv_shape.h. */
enum { IG_DKV_F16, IG_DKV_F32, IG_DKV_Q8 }; /* enum ig_cache_type */
enum { IG_KV_BLOCK = 32 };
struct ig_kv_shape {
    u32 type, row, v_at, ks_at, vs_at; /* bytes of a row; keys are at 0 */
    u32 n_kv, head_k, head_v, ring;
};
/* kv_put_T (T = f16, f32, q8): k, v, tok, kv, stage. Rows [from, from + n) of k and v belong to the timeline `kv`. stage,
 * if `keep`: f32 [.][stage_stride], row i of them at stage_at + i * stage_stride, keys then values as they are, for the
 * host's own cache. Groups: (n_kv, n) */
struct ig_kv_put_args {
    struct ig_kv_shape s;
    u32 from, k_stride, v_stride, keep, stage_at, stage_stride;
};
/* rope_put_T: q, k, v, table, tok, kv, stage. rope of q in place (`heads` heads of head_k columns, the first `dims` of
 * each turn) and kv_put of turned k and of v in one launch; k itself stays as it is. table [rows of the pass][dims].
 * Groups: (heads + n_kv, n) */
struct ig_rope_put_args {
    struct ig_kv_put_args put;
    u32 heads, q_stride, dims, pairwise;
};
/* kv_load: in (u8 [n][row], rows as above), kv. Positions [first, first + n) of the timeline; every type, exact.
 * Groups: (n_kv, n) */
struct ig_kv_load_args {
    struct ig_kv_shape s;
    u32 first;
};
/* attend.k: attend_few_T, attend_merge, attend_many_T: q, kv, tok, parts, sinks (f32 [heads]), slopes (f32 [heads]), dst, which is
 * none of the others. Rows [from, from + n) of q belong to the timeline, in order of position. What row r sees is a
 * position from its first (window; with IG_ATT_CHUNKED the window's start counts from multiples of the window) to its own.
 * A chunk is 256 positions counted from 0. parts: f32 [n][heads][chunks][16 + head_v rounded up to 16] with maximum, sum
 * and values as in src/cpu/attend.inl; `chunk0` = first chunk that any row sees (few and merge only). `scale` as in
 * ops_attend.c.
 *   attend_few_T, then attend_merge: a few rows against much; groups (chunks, n_kv * ceil(n * heads / n_kv / 8)) and
 *     (heads, n).
 *   attend_many_T: no parts; groups (ceil(n * heads / n_kv / 16), n_kv). Where that is groups enough for the device. */
enum { IG_ATT_SINKS = 1, IG_ATT_SLOPES = 2, IG_ATT_CHUNKED = 4 };
enum { IG_ATT_FEW_ROWS = 8, IG_ATT_MANY_ROWS = 16, IG_ATT_PART = 16 };
struct ig_attend_args {
    struct ig_kv_shape s;
    u32 from, n, heads, q_stride, dst_stride, window, flags, chunk0, chunks;
    f32 scale, softcap;
};

/* ---- route.k ----
 * route (u32) holds three tables: expert [rows][used] at 0; order [rows * used] at order_at: slots sorted by expert,
 * slot = row * used + k; first [n_expert + 1] at first_at. weight: f32 [rows][used]. */
enum { IG_ROUTE_SOFTMAX = 1, IG_ROUTE_SIGMOID = 2, IG_ROUTE_TOPK_SOFTMAX = 3, IG_ROUTE_SPARSEMIXER = 100 }; /* ig_router */
enum { IG_ROUTE_EXPERTS = 4096, IG_ROUTE_USED = 1024 }; /* at most; groups too are at most IG_ROUTE_USED */
/* route_choose, or for SPARSEMIXER route_mixer: a (logits), bias, route, weight. Groups: (1, rows). jitter is
 * router_jitter, scale expert_scale.
 * route_sort: route. Groups: (n). Not needed for few1, which takes the slots as they are. */
struct ig_route_args {
    u32 rows, n, used, a_stride, router, groups, groups_used, norm, has_bias;
    f32 scale, jitter;
    u32 order_at, first_at;
};
/* spread: a, weight, dst [slots]; combine: a [slots], weight, dst. Groups: (ceil(n / 256), rows) */
struct ig_slots_args {
    u32 n, used, a_stride, dst_stride, unweighted;
};

/* ---- linear.k, once for each block type ---- */

/* A matrix on the device (weights.h): row r begins at r * row_bytes; block b of it has a main piece at main_at +
 * b * main_step and a rest piece at rest_at + b * rest_step. */
struct ig_mat_shape {
    u32 row_bytes, main_at, main_step, rest_at, rest_step;
};
/* few1_T, few2_T, few4_T, few8_T (at most so many inputs), many_T: w, q, d, sum (quantised inputs), x (f32 inputs, of float
 * types), bias, scales, route, y.   y[i][y_at + r] = sum over k of w[r][k] x[i][k], times scale, plus bias.
 * Groups of few: (ceil(rows / IG_FEW_ROWS), 1 or input slots); of many: (ceil(rows / IG_MANY_ROWS),
 * ceil(n / IG_MANY_INPUTS), experts or 1). */
enum { IG_LIN_BIAS = 1, IG_LIN_SCALE = 2, IG_LIN_EXPERTS = 4 };
enum { IG_FEW_ROWS = 8, IG_MANY_ROWS = 64, IG_MANY_INPUTS = 32 };
struct ig_linear_args {
    struct ig_mat_shape m;
    u32 rows, cols, n, flags;
    u32 q_stride /* a multiple of 16 */, d_stride, s_stride, x_stride, y_stride, y_at;
    u32 bias_at; /* bias[bias_at + r], with experts bias[e * bias_stride + bias_at + r]; scales[e] */
    u32 bias_stride;
    /* experts: matrix e begins at e * expert_rows rows. few1: GROUP_Y is the slot, its input is row slot / x_div.
     * many: GROUP_Z is the expert e, its inputs are the slots order[first[e] .. first[e + 1]) of route */
    u32 expert_rows, x_div, order_at, first_at;
};
/* embed_T: w, tok, dst. dst[r][i] = w[tok[r].id][i] * f, or with `position`: dst += w[tok[r].position + offset].
 * Groups: (ceil(n / 256), rows) */
struct ig_embed_args {
    struct ig_mat_shape m;
    u32 n, dst_stride, position, offset, rows_at; /* rows_at: the buffer's first row; others are left alone */
    u32 rows;
    f32 f;
};
#endif
