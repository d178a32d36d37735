/* The table of families and its look-ups. */
#include "arch/arch.h"

#include <limits.h>

static const struct ig_row rows[] = {
#define ROW(family, ...) {.name = family, __VA_ARGS__},
#include "arch/rows.def"
#undef ROW
};
enum { N_ROWS = sizeof rows / sizeof *rows };

const struct ig_row *ig_row_at(size_t index) {
    return index < N_ROWS ? &rows[index] : NULL;
}

const struct ig_row *ig_row_by_name(struct ig_str name) {
    for (size_t i = 0; i < N_ROWS; i++)
        if (ig_str_is(name, rows[i].name)) return &rows[i];
    return NULL;
}

const struct ig_row *ig_row_by_model_type(struct ig_str model_type) {
    for (size_t i = 0; i < N_ROWS; i++)
        if (ig_str_in_list(rows[i].hf ? rows[i].hf : rows[i].name, model_type)) return &rows[i];
    return NULL;
}

/* Levenshtein distance, bounded to short names. */
static unsigned distance(struct ig_str a, const char *b) {
    unsigned row[65];
    size_t m = strlen(b);
    if (a.n > 64 || m > 64) return 1000;
    for (unsigned j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 0; i < a.n; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < m; j++) {
            unsigned change = diagonal + (a.p[i] != b[j]);
            unsigned best = row[j] < row[j + 1] ? row[j] + 1 : row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = change < best ? change : best;
        }
    }
    return row[m];
}

ingle_status ig_row_unknown(struct ig_str name, bool folder, ingle_error *err) {
    const char *near[3] = {"", "", ""};
    unsigned best[3] = {UINT_MAX, UINT_MAX, UINT_MAX};
    for (size_t i = 0; i < N_ROWS; i++) {
        unsigned d = distance(name, rows[i].name);
        size_t at = 3;
        while (at > 0 && d < best[at - 1]) at--;
        for (size_t j = 2; j > at && at < 3; j--) best[j] = best[j - 1], near[j] = near[j - 1];
        if (at < 3) best[at] = d, near[at] = rows[i].name;
    }
    return ig_fail(err, INGLE_UNSUPPORTED, "`ingle help families` lists what this version runs",
                   "%s '%.*s' is not a family this version knows; the nearest are %s, %s and %s",
                   folder ? "config.json: model_type" : "general.architecture",
                   (int)(name.n < 64 ? name.n : 64), name.p, near[0], near[1], near[2]);
}
