/* Names of tensors to places. GGUF names are regular: "blk.N." + a base name of roles.def +
 * ".weight", ".bias" or ".scale". Hugging Face names go through names.def. Names that a reader may
 * skip are listed here, so that binding can be strict: what is neither bound nor listed is an
 * error. */
#include "arch/arch.h"

static const struct {
    const char *name;
    bool layer;
} roles[] = {
#define ROLE(id, text, kind) {(text)[0] == '.' ? (text) + 1 : (text), (text)[0] == '.'},
#include "arch/roles.def"
#undef ROLE
};

static const struct {
    const char *pattern, *families;
    uint8_t role, transform;
} hf_names[] = {
#define HF(pattern, role, transform, families) {pattern, families, IG_R_##role, transform},
#include "arch/names.def"
#undef HF
};

/* Base names that hold nothing a forward pass needs (rotary tables, masks). */
static const char *const gguf_ignored = "attn_rot_embd";
static const char *const hf_ignored[] = {".self_attn.rotary_emb.inv_freq",
                                         ".attention.rotary_emb.inv_freq",
                                         ".attention.bias",
                                         ".attention.masked_bias",
                                         ".attn.bias",
                                         ".attn.masked_bias",
                                         ".self_attention.rotary_emb.inv_freq",
                                         "rotary_emb.inv_freq",
                                         ".self_attention.maskbias",
                                         ".mlp.act_fn.alpha_p", /* hf.c reads them */
                                         ".mlp.act_fn.alpha_n",
                                         ".mlp.act_fn.beta",
                                         ".mlp.act_fn.eps",
                                         "rotary_emb.original_inv_freq"};

/* Cuts a decimal number and the dot behind it off the front. */
static bool take_number(struct ig_str *s, int32_t *out) {
    size_t n = 0;
    int64_t v;
    while (n < s->n && s->p[n] >= '0' && s->p[n] <= '9') n++;
    if (!n || n > 7 || n >= s->n || s->p[n] != '.' || !ig_str_to_i64((struct ig_str){s->p, n}, &v))
        return false;
    *out = (int32_t)v;
    *s = (struct ig_str){s->p + n + 1, s->n - n - 1};
    return true;
}

static bool take_prefix(struct ig_str *s, const char *prefix) {
    struct ig_str p = ig_str_of(prefix);
    if (!ig_str_starts(*s, p)) return false;
    *s = (struct ig_str){s->p + p.n, s->n - p.n};
    return true;
}

static bool take_suffix(struct ig_str *s, const char *suffix) {
    struct ig_str x = ig_str_of(suffix);
    if (!ig_str_ends(*s, x)) return false;
    s->n -= x.n;
    return true;
}

/* "a=b" in a row's rename list: the role's base name for a file's base name. */
static struct ig_str renamed(const char *list, struct ig_str base) {
    while (list && *list) {
        size_t n = strcspn(list, " "), eq = strcspn(list, "=");
        if (eq < n && ig_str_eq((struct ig_str){list, eq}, base))
            return (struct ig_str){list + eq + 1, n - eq - 1};
        list += n + strspn(list + n, " ");
    }
    return base;
}

/* Mixtral files of 2023 have a tensor for each expert: blk.0.ffn_gate.7.weight */
static bool old_expert(struct ig_str name, struct ig_place *out) {
    static const struct {
        const char *prefix;
        uint8_t role;
    } parts[] = {{"ffn_gate.", IG_R_ffn_gate_exps},
                 {"ffn_up.", IG_R_ffn_up_exps},
                 {"ffn_down.", IG_R_ffn_down_exps}};
    int64_t expert;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        struct ig_str rest = name;
        if (!take_prefix(&rest, parts[i].prefix)) continue;
        if (rest.n > 4 || !ig_str_to_i64(rest, &expert) || expert < 0) return false;
        out->role = parts[i].role;
        out->expert = (int32_t)expert;
        return true;
    }
    return false;
}

bool ig_place_gguf(const struct ig_hparams *hp, struct ig_str name, struct ig_place *out) {
    *out = (struct ig_place){.layer = -1, .expert = -1};
    bool layer = take_prefix(&name, "blk.");
    if (layer && !take_number(&name, &out->layer)) return false;
    out->part = take_suffix(&name, ".weight")        ? IG_PART_WEIGHT
                : take_suffix(&name, ".bias")        ? IG_PART_BIAS
                : take_suffix(&name, ".scale")       ? IG_PART_SCALE
                : take_suffix(&name, ".input_scale") ? IG_PART_IGNORE
                                                     : IG_PART_WEIGHT;
    if (out->part == IG_PART_SCALE && ig_str_is(name, "ffn_gate_inp")) { /* gemma4: not a factor */
        out->part = IG_PART_WEIGHT;
        out->role = IG_R_ffn_gate_inp_scale;
        return true;
    }
    if (layer && ig_str_in_list(gguf_ignored, name)) out->part = IG_PART_IGNORE;
    if (layer && ig_str_in_list(hp->row->ignore, name)) out->part = IG_PART_IGNORE;
    if (out->part == IG_PART_IGNORE) return true;
    name = renamed(hp->row->rename, name);
    if (layer && old_expert(name, out)) return true;
    for (size_t i = 0; i < IG_ROLE_COUNT; i++) {
        bool freqs =
            i == IG_R_rope_freqs || i == IG_R_rope_factors_long || i == IG_R_rope_factors_short;
        if (!ig_str_is(name, roles[i].name) || (roles[i].layer != layer && !(freqs && layer)))
            continue;
        out->role = (uint8_t)i;
        if (i == IG_R_exp_probs_b) out->part = IG_PART_WEIGHT; /* called ".bias" in files */
        if (freqs) out->layer = -1; /* some converters repeat the global table in every layer */
        return true;
    }
    return false;
}

/* Pattern against name; '#' takes the number of an expert or of a head. *whole: the pattern ended
 * in '!'. */
static bool match(const char *pattern, struct ig_str name, int32_t *expert, bool *whole) {
    *whole = false;
    while (*pattern && *pattern != '!') {
        if (*pattern == '#' && !pattern[1]) {
            int64_t v;
            if (name.n > 6 || !ig_str_to_i64(name, &v) || v < 0) return false;
            *expert = (int32_t)v;
            return true;
        }
        if (*pattern == '#') {
            if (!take_number(&name, expert) || pattern[1] != '.') return false;
            pattern += 2;
            continue;
        }
        if (!name.n || name.p[0] != *pattern) return false;
        pattern++;
        name = (struct ig_str){name.p + 1, name.n - 1};
    }
    *whole = *pattern == '!';
    return name.n == 0;
}

static bool find_hf(const struct ig_hparams *hp, struct ig_str name, bool whole,
                    struct ig_place *out) {
    for (size_t i = 0; i < sizeof hf_names / sizeof *hf_names; i++) {
        bool ends;
        int32_t expert = -1;
        const char *pattern = hf_names[i].pattern;
        if ((pattern[0] == '.') != (out->layer >= 0)) continue;
        if (hf_names[i].families && !ig_str_in_list(hf_names[i].families, ig_str_of(hp->row->name)))
            continue;
        if (!match(pattern + (pattern[0] == '.'), name, &expert, &ends) || ends != whole) continue;
        out->role = hf_names[i].role;
        out->transform = hf_names[i].transform;
        out->expert = expert;
        return true;
    }
    return false;
}

bool ig_place_hf(const struct ig_hparams *hp, struct ig_str name, struct ig_place *out) {
    static const char *const prefixes[] = {"model.language_model.",
                                           "language_model.model.",
                                           "language_model.",
                                           "model.decoder.",
                                           "model.",
                                           "transformer.",
                                           "gpt_neox.",
                                           "decoder."};
    static const char *const layers[] = {"layers.", "h.", "blocks."};
    /* The parts of a multimodal model that do not make text. */
    static const char *const towers[] = {
        "vision_tower.", "vision_model.", "multi_modal_projector.", "embed_vision.",
        "embed_audio.",  "audio_tower.",  "vision_encoder."};
    *out = (struct ig_place){.layer = -1, .expert = -1};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (take_prefix(&name, prefixes[i])) break;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (take_prefix(&name, layers[i])) {
            if (!take_number(&name, &out->layer)) return false;
            break;
        }
    for (size_t i = 0; i < sizeof towers / sizeof *towers; i++)
        if (out->layer < 0 && ig_str_starts(name, ig_str_of(towers[i]))) {
            out->part = IG_PART_IGNORE;
            return true;
        }
    for (size_t i = 0; i < sizeof hf_ignored / sizeof *hf_ignored; i++) {
        bool dot = hf_ignored[i][0] == '.';
        if (dot == (out->layer >= 0) && ig_str_is(name, hf_ignored[i] + dot)) {
            out->part = IG_PART_IGNORE;
            return true;
        }
    }
    if (find_hf(hp, name, true, out)) {
        out->part = ig_str_ends(name, IG_STR("_bias")) && out->role != IG_R_exp_probs_b
                        ? IG_PART_BIAS
                        : IG_PART_WEIGHT;
        return true;
    }
    out->part = take_suffix(&name, ".weight") ? IG_PART_WEIGHT
                : take_suffix(&name, ".bias") ? IG_PART_BIAS
                                              : IG_PART_IGNORE;
    return out->part != IG_PART_IGNORE && find_hf(hp, name, false, out);
}
