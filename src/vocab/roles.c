/* Special tokens by their names. Files often do not say which token ends a turn; without these
 * lists a chat model of many families would never stop. What the file says always comes first. */
#include "vocab/impl.h"

struct guess {
    uint8_t role;
    const char *text;
};

static const struct guess guesses[] = {
    {IG_ROLE_EOT, "<|eot_id|>"},
    {IG_ROLE_EOT, "<|im_end|>"},
    {IG_ROLE_EOT, "<|end|>"},
    {IG_ROLE_EOT, "<end_of_turn>"},
    {IG_ROLE_EOT, "<|endoftext|>"},
    {IG_ROLE_EOT, "<|end_of_text|>"},
    {IG_ROLE_EOT, "<EOT>"},
    {IG_ROLE_EOT, "_<EOT>"},
    {IG_ROLE_EOT, "[EOT]"},
    {IG_ROLE_EOT, "<\357\275\234end\342\226\201of\342\226\201sentence\357\275\234>"},
    {IG_ROLE_EOT, "<end_of_utterance>"},
    {IG_ROLE_EOM, "<|eom_id|>"},
    {IG_ROLE_FIM_PRE, "<|fim_prefix|>"},
    {IG_ROLE_FIM_PRE, "<fim-prefix>"},
    {IG_ROLE_FIM_PRE, "<fim_prefix>"},
    {IG_ROLE_FIM_PRE, "<\357\275\234fim\342\226\201begin\357\275\234>"},
    {IG_ROLE_FIM_PRE, "<PRE>"},
    {IG_ROLE_FIM_PRE, "\342\226\201<PRE>"},
    {IG_ROLE_FIM_PRE, "<|code_prefix|>"},
    {IG_ROLE_FIM_PRE, "<|prefix|>"},
    {IG_ROLE_FIM_SUF, "<|fim_suffix|>"},
    {IG_ROLE_FIM_SUF, "<fim-suffix>"},
    {IG_ROLE_FIM_SUF, "<fim_suffix>"},
    {IG_ROLE_FIM_SUF, "<\357\275\234fim\342\226\201hole\357\275\234>"},
    {IG_ROLE_FIM_SUF, "<SUF>"},
    {IG_ROLE_FIM_SUF, "\342\226\201<SUF>"},
    {IG_ROLE_FIM_SUF, "<|code_suffix|>"},
    {IG_ROLE_FIM_SUF, "<|suffix|>"},
    {IG_ROLE_FIM_MID, "<|fim_middle|>"},
    {IG_ROLE_FIM_MID, "<fim-middle>"},
    {IG_ROLE_FIM_MID, "<fim_middle>"},
    {IG_ROLE_FIM_MID, "<\357\275\234fim\342\226\201end\357\275\234>"},
    {IG_ROLE_FIM_MID, "<MID>"},
    {IG_ROLE_FIM_MID, "\342\226\201<MID>"},
    {IG_ROLE_FIM_MID, "<|code_middle|>"},
    {IG_ROLE_FIM_MID, "<|middle|>"},
    {IG_ROLE_FIM_PAD, "<|fim_pad|>"},
    {IG_ROLE_FIM_PAD, "<fim-pad>"},
    {IG_ROLE_FIM_PAD, "<fim_pad>"},
    {IG_ROLE_FIM_PAD, "<PAD>"},
    {IG_ROLE_FIM_REP, "<|fim_repo|>"},
    {IG_ROLE_FIM_REP, "<|repo_name|>"},
    {IG_ROLE_FIM_REP, "<fim-repo>"},
    {IG_ROLE_FIM_REP, "<REPO>"},
    {IG_ROLE_FIM_REP, "<reponame>"},
    {IG_ROLE_FIM_SEP, "<|file_sep|>"},
};

/* Generation ends at these whatever their role. */
static const char *const ends[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "<|endoftext|>",
    "</s>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<end_of_utterance>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<\357\275\234end\342\226\201of\342\226\201sentence\357\275\234>",
    "[e~[",
};

void ig_mark_end(struct ig_vocab *v, int32_t id) {
    if (id >= 0 && id < v->tokens.n) v->is_end[id >> 6] |= (uint64_t)1 << (id & 63);
}

static void unmark_end(struct ig_vocab *v, int32_t id) {
    if (id >= 0) v->is_end[id >> 6] &= ~((uint64_t)1 << (id & 63));
}

/* A token that looks like a control token is one, and is left out of ordinary text. */
static void make_control(struct ig_vocab *v, int32_t id) {
    if ((v->tokens.type[id] & IG_TYPE_BITS) == IG_TOKEN_CONTROL) return;
    v->tokens.type[id] = IG_TOKEN_CONTROL | (v->tokens.type[id] & IG_TYPE_HIDDEN);
}

ingle_status ig_roles_guess(struct ig_vocab *v, const struct ig_log *log, ingle_error *err) {
    v->is_end = ig_calloc(v->mem, (size_t)v->tokens.n / 64 + 1, sizeof *v->is_end);
    if (!v->is_end) return ig_fail_memory(err, (size_t)v->tokens.n / 8);
    for (size_t i = 0; i < sizeof guesses / sizeof *guesses; i++) {
        int32_t *role = &v->role[guesses[i].role];
        if (*role != IG_NO_TOKEN) continue;
        *role = ig_vocab_find(v, ig_str_of(guesses[i].text));
        if (*role != IG_NO_TOKEN) make_control(v, *role);
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        int32_t id = ig_vocab_find(v, ig_str_of(ends[i]));
        if (id == IG_NO_TOKEN) continue;
        make_control(v, id);
        ig_mark_end(v, id);
    }
    static const uint8_t end_roles[] = {IG_ROLE_EOS,     IG_ROLE_EOT,     IG_ROLE_EOM,
                                        IG_ROLE_FIM_PAD, IG_ROLE_FIM_REP, IG_ROLE_FIM_SEP};
    for (size_t i = 0; i < sizeof end_roles; i++) ig_mark_end(v, v->role[end_roles[i]]);
    /* Formats with <|return|> and <|call|> use <|end|> between messages; with <|tool_response>,
     * </s> is plain text. */
    int32_t end = ig_vocab_find(v, IG_STR("<|end|>")), call = ig_vocab_find(v, IG_STR("<|call|>"));
    if (call < 0) call = ig_vocab_find(v, IG_STR("<|calls|>"));
    bool more =
        ig_vocab_find(v, IG_STR("<|return|>")) >= 0 || ig_vocab_find(v, IG_STR("<|flush|>")) >= 0;
    if (end >= 0 && call >= 0 && more) {
        unmark_end(v, end);
        ig_log(log, INGLE_LOG_DEBUG,
               "<|end|> separates messages here and does not end the generation");
    }
    int32_t s = ig_vocab_find(v, IG_STR("</s>"));
    if (s >= 0 && s != v->role[IG_ROLE_EOS] && ig_vocab_find(v, IG_STR("<|tool_response>")) >= 0)
        unmark_end(v, s);
    return INGLE_OK;
}
