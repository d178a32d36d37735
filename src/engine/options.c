/* ingle_options_*: strings in, checked values out. Everything known about an option is its row in
 * options.def; this file knows only the handful of row types.
 *
 * A set either succeeds wholly or changes nothing: the new value is parsed into a slot of its own
 * first. Lists (stop texts, biases) live in that slot's arena, so readers hand out pointers without
 * copying. Options use the C library's allocator: the host's hook is for what is opened with them.
 *
 * The subtle thing: the same text means the same value whether it comes from the command line, the
 * environment or a request, because JSON values are turned back into the text form and go through
 * the same door. */
#include "engine/options.h"
#include "os/os.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum row_type { BOOL, INT, BYTES, FLOAT, STRING, CHOICE, SEQ, TEXTS, BIAS, LAYERS };

static const uint8_t row_types[IG_OPTIONS] = {
#define X(id, name, key, flag, group, type, initial, min, max, choices, help) type,
#include "engine/options.def"
#undef X
};

/* What each row type is called in public. */
#define BOOL_NAME   "bool"
#define INT_NAME    "int"
#define BYTES_NAME  "int"
#define FLOAT_NAME  "float"
#define STRING_NAME "string"
#define CHOICE_NAME "choice"
#define SEQ_NAME    "string"
#define TEXTS_NAME  "string"
#define BIAS_NAME   "string"
#define LAYERS_NAME "string"

static const ingle_option_info rows[IG_OPTIONS] = {
#define X(id, name, key, flag, group, type, initial, min, max, choices, help)                      \
    {name, key, flag, group, type##_NAME, initial, help, choices, min, max},
#include "engine/options.def"
#undef X
};

/* Names that other programs use for the same thing. */
static const struct {
    const char *name;
    enum ig_option id;
} aliases[] = {
    {"temp", IG_OPT_TEMPERATURE},
    {"typ-p", IG_OPT_TYPICAL_P},
    {"n-predict", IG_OPT_MAX_TOKENS},
    {"n-gpu-layers", IG_OPT_GPU_LAYERS},
    {"max-completion-tokens", IG_OPT_MAX_TOKENS},
    {"repetition-penalty", IG_OPT_REPEAT_PENALTY},
};
enum { N_ALIASES = sizeof aliases / sizeof *aliases };

struct value {
    bool set;
    char *text;           /* as given */
    int64_t i;            /* BOOL, INT, BYTES, CHOICE, LAYERS */
    double f;             /* FLOAT */
    struct ig_str *texts; /* TEXTS */
    struct ig_logit_bias *bias;
    size_t n;
    struct ig_sample_params order; /* SEQ: only its order is used */
    struct ig_arena arena;         /* owns text and lists */
};

struct ingle_options {
    struct ig_mem mem;
    struct ig_options_hooks hooks;
    struct value values[IG_OPTIONS];
};

static const struct ig_str default_breakers[] = {{"\n", 1}, {":", 1}, {"\"", 1}, {"*", 1}};
enum { N_DEFAULT_BREAKERS = sizeof default_breakers / sizeof *default_breakers };

/* ---- Names ---- */

/* '-' and '_' are the same in names. */
static bool same_name(const char *a, const char *b) {
    for (; *a && *b; a++, b++)
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b)) return false;
    return *a == *b;
}

static enum ig_option find(const char *name) {
    for (unsigned i = 0; i < IG_OPTIONS; i++)
        if (same_name(rows[i].name, name)) return (enum ig_option)i;
    for (unsigned i = 0; i < N_ALIASES; i++)
        if (same_name(aliases[i].name, name)) return aliases[i].id;
    return IG_OPTIONS;
}

/* Edit distance of two short names; long ones are far apart. */
static unsigned distance(const char *a, const char *b) {
    enum { MAX = 32 };
    size_t n = strlen(a), m = strlen(b);
    unsigned row[MAX + 1];
    if (n > MAX || m > MAX) return UINT32_MAX;
    for (size_t j = 0; j <= m; j++) row[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            unsigned insert = row[j - 1] + 1, remove = row[j] + 1;
            row[j] = change < insert ? change : insert;
            if (remove < row[j]) row[j] = remove;
        }
    }
    return row[m];
}

static ingle_status fail_unknown(const char *name, ingle_error *err) {
    unsigned best = 4;
    const char *near = NULL;
    for (unsigned i = 0; i < IG_OPTIONS; i++) {
        unsigned d = distance(name, rows[i].name);
        if (d >= best) continue;
        best = d;
        near = rows[i].name;
    }
    char hint[96];
    snprintf(hint, sizeof hint, near ? "did you mean %s?" : "ingle_options_describe lists them",
             near);
    return ig_fail(err, INGLE_NOT_FOUND, hint, "there is no option '%.64s'", name);
}

/* ---- Text to value ---- */

static ingle_status fail_value(enum ig_option id, struct ig_str text, const char *what,
                               ingle_error *err) {
    const ingle_option_info *r = &rows[id];
    char hint[160];
    if (r->choices[0])
        snprintf(hint, sizeof hint, "one of %s", r->choices);
    else if (row_types[id] == INT || row_types[id] == FLOAT || row_types[id] == BYTES)
        snprintf(hint, sizeof hint, "a number from %.10g to %.10g", r->min, r->max);
    else
        snprintf(hint, sizeof hint, "%s", r->help);
    int n = text.n < 64 ? (int)text.n : 64;
    return ig_fail(err, INGLE_BAD_ARGUMENT, hint, "%s: '%.*s' is %s", r->name, n,
                   text.n ? text.p : "", what);
}

static ingle_status parse_int(struct value *v, enum ig_option id, struct ig_str text,
                              ingle_error *err) {
    struct ig_str digits = text;
    int64_t unit = 1;
    if (row_types[id] == BYTES && text.n > 1) {
        static const char units[] = "kmgt";
        char last = (char)(text.p[text.n - 1] | 0x20);
        const char *at = memchr(units, last, 4);
        if (at) {
            unit = (int64_t)1 << (10 * (at - units + 1));
            digits.n--;
        }
    }
    int64_t i;
    if (!ig_str_to_i64(digits, &i)) return fail_value(id, text, "not a whole number", err);
    double f = (double)i * (double)unit;
    if (f < rows[id].min || f > rows[id].max) return fail_value(id, text, "out of range", err);
    v->i = i * unit;
    return INGLE_OK;
}

static ingle_status parse_float(struct value *v, enum ig_option id, struct ig_str text,
                                ingle_error *err) {
    if (!ig_str_to_f64(text, &v->f) || !isfinite(v->f))
        return fail_value(id, text, "not a number", err);
    if (v->f < rows[id].min || v->f > rows[id].max)
        return fail_value(id, text, "out of range", err);
    return INGLE_OK;
}

static ingle_status parse_bool(struct value *v, enum ig_option id, struct ig_str text,
                               ingle_error *err) {
    static const char *const words[] = {"false", "true", "0", "1", "off", "on", "no", "yes"};
    for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
        if (ig_str_is(text, words[i])) {
            v->i = i & 1;
            return INGLE_OK;
        }
    return fail_value(id, text, "neither true nor false", err);
}

static ingle_status parse_choice(struct value *v, enum ig_option id, struct ig_str text,
                                 ingle_error *err) {
    const char *at = rows[id].choices;
    for (int64_t i = 0; *at; i++) {
        size_t n = strcspn(at, "|");
        if (ig_str_eq(text, (struct ig_str){at, n})) {
            v->i = i;
            return INGLE_OK;
        }
        at += n + (at[n] == '|');
    }
    return fail_value(id, text, "not a choice", err);
}

static ingle_status parse_layers(struct value *v, enum ig_option id, struct ig_str text,
                                 ingle_error *err) {
    v->i = ig_str_is(text, "auto") ? IG_LAYERS_AUTO : IG_LAYERS_ALL;
    if (ig_str_is(text, "auto") || ig_str_is(text, "all")) return INGLE_OK;
    return parse_int(v, id, text, err);
}

/* A JSON array of texts, or one text as it is. Empty texts would match everywhere and are refused.
 */
static ingle_status parse_texts(struct value *v, enum ig_option id, struct ig_str text,
                                ingle_error *err) {
    struct ig_arena *a = &v->arena;
    const struct ig_json *j = NULL;
    bool one = !text.n || text.p[0] != '[';
    if (!one) {
        ingle_error why;
        ingle_status st = ig_json_parse(a, text, NULL, &j, &why);
        if (st == INGLE_NO_MEMORY) return ig_fail_memory(err, text.n);
        one = st != INGLE_OK;
    }
    size_t n = one ? text.n > 0 : j->count;
    if (!n) return INGLE_OK;
    if (n > 64) return fail_value(id, text, "a list of more than 64 texts", err);
    v->texts = ig_arena_calloc(a, n, sizeof *v->texts);
    if (!v->texts) return ig_fail_memory(err, n * sizeof *v->texts);
    v->n = n;
    if (one) {
        v->texts[0] = text;
        return INGLE_OK;
    }
    struct ig_str *to = v->texts;
    for (const struct ig_json *c = j->child; c; c = c->next) {
        if (!ig_json_is(c, IG_JSON_STRING) || !c->text.n)
            return fail_value(id, text, "not a list of texts", err);
        *to++ = c->text;
    }
    return INGLE_OK;
}

static bool read_bias(struct ig_logit_bias *b, struct ig_str key, const struct ig_json *j) {
    int64_t id;
    if (!ig_str_to_i64(key, &id) || id < 0 || id > INT32_MAX) return false;
    b->id = (int32_t)id;
    if (ig_json_is(j, IG_JSON_BOOL) && !j->truth) {
        b->bias = -INFINITY;
        return true;
    }
    double f = ig_json_f64(j, NAN);
    b->bias = (float)f;
    return ig_json_is(j, IG_JSON_NUMBER) && fabs(f) <= 1e6;
}

/* {"15043": -1.5, "2": false} or [[15043, -1.5], [2, false]]. */
static ingle_status parse_bias(struct value *v, enum ig_option id, struct ig_str text,
                               ingle_error *err) {
    const struct ig_json *j;
    if (!ig_str_trim(text).n) return INGLE_OK;
    ingle_error why;
    ingle_status st = ig_json_parse(&v->arena, text, NULL, &j, &why);
    if (st == INGLE_NO_MEMORY) return ig_fail_memory(err, text.n);
    bool object = st == INGLE_OK && ig_json_is(j, IG_JSON_OBJECT);
    if (!object && !(st == INGLE_OK && ig_json_is(j, IG_JSON_ARRAY)))
        return fail_value(id, text, "not a JSON object from token id to bias", err);
    if (!j->count) return INGLE_OK;
    v->bias = ig_arena_calloc(&v->arena, j->count, sizeof *v->bias);
    if (!v->bias) return ig_fail_memory(err, (size_t)j->count * sizeof *v->bias);
    for (const struct ig_json *c = j->child; c; c = c->next) {
        struct ig_str key = object ? c->key : (struct ig_str){NULL, 0};
        const struct ig_json *to = c;
        if (!object) {
            const struct ig_json *first = ig_json_at(c, 0);
            if (ig_json_is(c, IG_JSON_ARRAY) && ig_json_is(first, IG_JSON_NUMBER))
                key = first->text;
            to = ig_json_at(c, 1);
        }
        if (!read_bias(&v->bias[v->n++], key, to))
            return fail_value(id, text, "not a map from token id to a bias within 1e6 or false",
                              err);
    }
    return INGLE_OK;
}

static ingle_status parse(struct value *v, enum ig_option id, struct ig_str text,
                          ingle_error *err) {
    switch ((enum row_type)row_types[id]) {
    case BOOL: return parse_bool(v, id, text, err);
    case INT:
    case BYTES: return parse_int(v, id, text, err);
    case FLOAT: return parse_float(v, id, text, err);
    case CHOICE: return parse_choice(v, id, text, err);
    case TEXTS: return parse_texts(v, id, text, err);
    case BIAS: return parse_bias(v, id, text, err);
    case SEQ: return ig_sample_parse_order(&v->order, text, err);
    case LAYERS: return parse_layers(v, id, text, err);
    case STRING: break;
    }
    return INGLE_OK;
}

static ingle_status set_text(ingle_options *o, enum ig_option id, struct ig_str text,
                             ingle_error *err) {
    struct value v = {.set = true, .arena = {.mem = &o->mem}};
    if (text.n && memchr(text.p, 0, text.n)) return fail_value(id, text, "a text with a NUL", err);
    v.text = ig_arena_copy(&v.arena, text.p, text.n);
    ingle_status st =
        v.text ? parse(&v, id, (struct ig_str){v.text, text.n}, err) : ig_fail_memory(err, text.n);
    if (st != INGLE_OK) {
        ig_arena_free(&v.arena);
        return st;
    }
    ig_arena_free(&o->values[id].arena);
    o->values[id] = v;
    return INGLE_OK;
}

/* ---- Readers ---- */

/* Defaults are texts in the table, scalar ones short enough to be parsed at each reading. */
static struct value scalar(const ingle_options *o, enum ig_option id) {
    if (o && o->values[id].set) return o->values[id];
    struct value v = {0};
    if (row_types[id] != TEXTS && row_types[id] != BIAS)
        (void)parse(&v, id, ig_str_of(rows[id].initial), NULL);
    return v;
}

int64_t ig_options_int(const ingle_options *o, enum ig_option id) {
    return scalar(o, id).i;
}
double ig_options_float(const ingle_options *o, enum ig_option id) {
    return scalar(o, id).f;
}
bool ig_options_bool(const ingle_options *o, enum ig_option id) {
    return scalar(o, id).i != 0;
}
int ig_options_choice(const ingle_options *o, enum ig_option id) {
    return (int)scalar(o, id).i;
}
bool ig_options_is_set(const ingle_options *o, enum ig_option id) {
    return o && o->values[id].set;
}

const struct ig_str *ig_options_texts(const ingle_options *o, enum ig_option id, size_t *n) {
    bool set = ig_options_is_set(o, id), breakers = !set && id == IG_OPT_DRY_SEQUENCE_BREAKERS;
    *n = set ? o->values[id].n : breakers ? N_DEFAULT_BREAKERS : 0;
    return set ? o->values[id].texts : breakers ? default_breakers : NULL;
}

const struct ig_options_hooks *ig_options_hooks(const ingle_options *o) {
    static const struct ig_options_hooks none = {
        {NULL, NULL, INGLE_LOG_DEBUG}, NULL, NULL, NULL, NULL};
    return o ? &o->hooks : &none;
}

/* Not for secrets: only different from run to run. */
static uint64_t fresh_seed(const void *where) {
    double now = ig_os_seconds();
    uint64_t bits, z;
    memcpy(&bits, &now, sizeof bits);
    z = bits ^ ((uint64_t)ig_os_unix_time() << 32) ^ (uint64_t)(uintptr_t)where;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) >> 11; /* 53 bits: can be shown and given again */
}

void ig_options_sampling(const ingle_options *o, struct ig_sample_params *p) {
    ig_sample_defaults(p);
    int64_t seed = ig_options_int(o, IG_OPT_SEED);
    p->seed = seed < 0 ? fresh_seed(&seed) : (uint64_t)seed;
    p->temperature = ig_options_float(o, IG_OPT_TEMPERATURE);
    p->dynatemp_range = ig_options_float(o, IG_OPT_DYNATEMP_RANGE);
    p->dynatemp_exponent = ig_options_float(o, IG_OPT_DYNATEMP_EXPONENT);
    p->top_k = (int32_t)ig_options_int(o, IG_OPT_TOP_K);
    p->top_p = ig_options_float(o, IG_OPT_TOP_P);
    p->min_p = ig_options_float(o, IG_OPT_MIN_P);
    p->typical_p = ig_options_float(o, IG_OPT_TYPICAL_P);
    p->top_n_sigma = ig_options_float(o, IG_OPT_TOP_N_SIGMA);
    p->xtc_probability = ig_options_float(o, IG_OPT_XTC_PROBABILITY);
    p->xtc_threshold = ig_options_float(o, IG_OPT_XTC_THRESHOLD);
    p->mirostat = (int32_t)ig_options_int(o, IG_OPT_MIROSTAT);
    p->mirostat_tau = ig_options_float(o, IG_OPT_MIROSTAT_TAU);
    p->mirostat_eta = ig_options_float(o, IG_OPT_MIROSTAT_ETA);
    p->repeat_penalty = ig_options_float(o, IG_OPT_REPEAT_PENALTY);
    p->repeat_last_n = (int32_t)ig_options_int(o, IG_OPT_REPEAT_LAST_N);
    p->frequency_penalty = ig_options_float(o, IG_OPT_FREQUENCY_PENALTY);
    p->presence_penalty = ig_options_float(o, IG_OPT_PRESENCE_PENALTY);
    p->dry_multiplier = ig_options_float(o, IG_OPT_DRY_MULTIPLIER);
    p->dry_base = ig_options_float(o, IG_OPT_DRY_BASE);
    p->dry_allowed_length = (int32_t)ig_options_int(o, IG_OPT_DRY_ALLOWED_LENGTH);
    p->dry_penalty_last_n = (int32_t)ig_options_int(o, IG_OPT_DRY_PENALTY_LAST_N);
    p->dry_breakers = ig_options_texts(o, IG_OPT_DRY_SEQUENCE_BREAKERS, &p->n_dry_breakers);
    p->min_keep = (int32_t)ig_options_int(o, IG_OPT_MIN_KEEP);
    struct value order = scalar(o, IG_OPT_SAMPLERS);
    memcpy(p->order, order.order.order, sizeof p->order);
    p->n_order = order.order.n_order;
    if (!ig_options_is_set(o, IG_OPT_LOGIT_BIAS)) return;
    p->bias = o->values[IG_OPT_LOGIT_BIAS].bias;
    p->n_bias = o->values[IG_OPT_LOGIT_BIAS].n;
}

/* ---- A request's fields ---- */

/* The value as the text that would be typed on a command line. */
static ingle_status field_text(struct ig_buf *b, enum ig_option id, const struct ig_json *j,
                               ingle_error *err) {
    enum row_type type = (enum row_type)row_types[id];
    bool list = type == TEXTS || type == SEQ, fits = false;
    if (j->kind == IG_JSON_NUMBER && (type == INT || type == BYTES) && !j->integer) {
        double f = ig_json_f64(j, NAN);
        fits = fabs(f) <= 9007199254740992.0 && floor(f) == f;
        if (fits) ig_buf_f(b, "%lld", (long long)f);
    } else if (j->kind == IG_JSON_NUMBER && (type == INT || type == BYTES || type == FLOAT)) {
        fits = true;
        ig_buf_str(b, j->text);
    } else if (j->kind == IG_JSON_BOOL && type == BOOL) {
        fits = true;
        ig_buf_z(b, j->truth ? "true" : "false");
    } else if (j->kind == IG_JSON_STRING && type == TEXTS) {
        fits = true;
        if (j->text.n) {
            ig_buf_ch(b, '[');
            ig_json_put_str(b, j->text);
            ig_buf_ch(b, ']');
        }
    } else if (j->kind == IG_JSON_STRING &&
               (type == CHOICE || type == SEQ || type == STRING || type == BYTES)) {
        fits = true;
        ig_buf_str(b, j->text);
    } else if (j->kind == IG_JSON_ARRAY && type == SEQ) {
        fits = true;
        for (const struct ig_json *c = j->child; c; c = c->next) {
            fits = fits && c->kind == IG_JSON_STRING;
            if (b->n) ig_buf_ch(b, ';');
            ig_buf_str(b, c->text);
        }
    } else if ((j->kind == IG_JSON_ARRAY && list) ||
               (type == BIAS && (j->kind == IG_JSON_ARRAY || j->kind == IG_JSON_OBJECT))) {
        fits = true;
        ig_json_put(b, j);
    }
    if (b->failed) return ig_fail_memory(err, b->cap);
    if (!fits) return fail_value(id, j->text, "a JSON value of the wrong type", err);
    return INGLE_OK;
}

static ingle_status apply_field(ingle_options *o, const struct ig_json *j, ingle_error *err) {
    char name[64];
    if (j->kind == IG_JSON_NULL || !j->key.n || j->key.n >= sizeof name) return INGLE_OK;
    memcpy(name, j->key.p, j->key.n);
    name[j->key.n] = 0;
    enum ig_option id = find(name);
    if (id == IG_OPTIONS || strcmp(rows[id].group, "sampling") != 0) return INGLE_OK;
    struct ig_buf b = {.mem = &o->mem};
    ingle_status st = field_text(&b, id, j, err);
    if (st == INGLE_OK) st = set_text(o, id, ig_buf_view(&b), err);
    ig_buf_free(&b);
    if (st != INGLE_BAD_ARGUMENT) return st;
    if (err) err->code = INGLE_BAD_REQUEST;
    return INGLE_BAD_REQUEST;
}

ingle_status ig_options_apply_json(ingle_options *o, const struct ig_json *request,
                                   ingle_error *err) {
    if (!ig_json_is(request, IG_JSON_OBJECT))
        return ig_fail(err, INGLE_BAD_REQUEST, "send one JSON object",
                       "the request is not an object");
    for (const struct ig_json *c = request->child; c; c = c->next) IG_TRY(apply_field(o, c, err));
    return INGLE_OK;
}

/* ---- Public ---- */

ingle_status ig_options_copy(ingle_options **out, const ingle_options *o, ingle_error *err) {
    ingle_options *copy;
    *out = NULL;
    IG_TRY(ingle_options_new(&copy, err));
    for (unsigned i = 0; o && i < IG_OPTIONS; i++) {
        if (!o->values[i].set) continue;
        ingle_status st = set_text(copy, (enum ig_option)i, ig_str_of(o->values[i].text), err);
        if (st == INGLE_OK) continue;
        ingle_options_free(copy);
        return st;
    }
    if (o) copy->hooks = o->hooks;
    *out = copy;
    return INGLE_OK;
}

ingle_status ingle_options_new(ingle_options **out, ingle_error *err) {
    if (!out) return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_options_new: out is NULL");
    struct ig_mem libc = {0};
    *out = ig_calloc(&libc, 1, sizeof **out);
    if (!*out) return ig_fail_memory(err, sizeof **out);
    return INGLE_OK;
}

void ingle_options_free(ingle_options *o) {
    if (!o) return;
    for (unsigned i = 0; i < IG_OPTIONS; i++) ig_arena_free(&o->values[i].arena);
    struct ig_mem libc = {0};
    ig_free(&libc, o);
}

ingle_status ingle_options_set(ingle_options *o, const char *name, const char *value,
                               ingle_error *err) {
    if (!o || !name || !value)
        return ig_fail(err, INGLE_BAD_ARGUMENT, NULL, "ingle_options_set: an argument is NULL");
    enum ig_option id = find(name);
    if (id == IG_OPTIONS) return fail_unknown(name, err);
    return set_text(o, id, ig_str_of(value), err);
}

const char *ingle_options_get(const ingle_options *o, const char *name) {
    enum ig_option id = name ? find(name) : IG_OPTIONS;
    if (id == IG_OPTIONS) return NULL;
    return ig_options_is_set(o, id) ? o->values[id].text : rows[id].initial;
}

const ingle_option_info *ingle_options_describe(size_t index) {
    return index < IG_OPTIONS ? &rows[index] : NULL;
}

void ingle_options_on_log(ingle_options *o, ingle_log_fn fn, void *ud, ingle_log_level level) {
    if (o) o->hooks.log = (struct ig_log){fn, ud, level};
}

void ingle_options_on_progress(ingle_options *o, ingle_progress_fn fn, void *ud) {
    if (!o) return;
    o->hooks.progress = fn;
    o->hooks.progress_ud = ud;
}

void ingle_options_on_alloc(ingle_options *o, ingle_alloc_fn fn, void *ud) {
    if (!o) return;
    o->hooks.alloc = fn;
    o->hooks.alloc_ud = ud;
}
