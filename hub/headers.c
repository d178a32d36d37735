/* HTTP header values: each is parsed strictly or taken as absent; none is trusted further than its
 * syntax. */
#include "url.h"

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool begins(struct ig_str s, const char *word) {
    size_t i = 0;
    while (word[i] && i < s.n && lower(s.p[i]) == word[i]) i++;
    return !word[i];
}

struct ig_str ig_header(const char *headers, const char *name) {
    size_t n = strlen(name);
    for (const char *line = headers; line && *line;) {
        size_t len = strcspn(line, "\n");
        struct ig_str s = {line, len};
        if (len > n && line[n] == ':' && begins(s, name))
            return ig_str_trim((struct ig_str){line + n + 1, len - n - 1});
        line += len + (line[len] == '\n');
    }
    return (struct ig_str){NULL, 0};
}

static size_t digits(struct ig_str s, int64_t *out) {
    size_t n = 0;
    while (n < s.n && n < 19 && s.p[n] >= '0' && s.p[n] <= '9') n++;
    return n && ig_str_to_i64((struct ig_str){s.p, n}, out) ? n : 0;
}

static void skip(struct ig_str *s, size_t n) {
    s->p += n;
    s->n -= n;
}

bool ig_header_range(struct ig_str v, int64_t *first, int64_t *last, int64_t *total) {
    size_t n;
    if (!begins(v, "bytes")) return false;
    skip(&v, 5);
    v = ig_str_trim(v);
    *first = *last = *total = -1;
    if (v.n && v.p[0] == '*') {
        skip(&v, 1);
    } else {
        if (!(n = digits(v, first))) return false;
        skip(&v, n);
        if (!v.n || v.p[0] != '-') return false;
        skip(&v, 1);
        if (!(n = digits(v, last)) || *last < *first) return false;
        skip(&v, n);
    }
    if (!v.n || v.p[0] != '/') return false;
    skip(&v, 1);
    if (ig_str_is(v, "*")) return true;
    return v.n && digits(v, total) == v.n && *total > *last;
}

/* ---- Retry-After ---- */

static int64_t days_before(int64_t year, int64_t month,
                           int64_t day) { /* since 1970-01-01, Gregorian */
    year -= month <= 2;
    int64_t era = year / 400, of_era = year % 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "Wed, 21 Oct 2015 07:28:00 GMT", the only form that may be sent today. */
static int64_t http_date(struct ig_str v) {
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    int64_t day, year, hour, minute, second;
    if (v.n != 29 || v.p[3] != ',' || v.p[19] != ':' || v.p[22] != ':') return -1;
    if (digits((struct ig_str){v.p + 5, 2}, &day) != 2 ||
        digits((struct ig_str){v.p + 12, 4}, &year) != 4 ||
        digits((struct ig_str){v.p + 17, 2}, &hour) != 2 ||
        digits((struct ig_str){v.p + 20, 2}, &minute) != 2 ||
        digits((struct ig_str){v.p + 23, 2}, &second) != 2)
        return -1;
    for (int m = 0; m < 12; m++)
        if (lower(v.p[8]) == months[3 * m] && lower(v.p[9]) == months[3 * m + 1] &&
            lower(v.p[10]) == months[3 * m + 2])
            return days_before(year, m + 1, day) * 86400 + hour * 3600 + minute * 60 + second;
    return -1;
}

int64_t ig_header_retry_after(struct ig_str v, int64_t now) {
    int64_t seconds;
    if (!v.p) return -1;
    if (v.n && digits(v, &seconds) == v.n) return seconds;
    int64_t at = http_date(v);
    if (at < 0) return -1;
    return at > now ? at - now : 0;
}

/* ---- Content-Disposition and Link ---- */

/* The value of parameter `name` ("filename="), without quotes. */
static bool parameter(struct ig_str v, const char *name, struct ig_buf *out) {
    size_t n = strlen(name);
    bool quoted = false;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] == '\\' && quoted) {
            i++;
            continue;
        }
        if (v.p[i] == '"') quoted = !quoted;
        if (quoted || v.p[i] != ';') continue;
        struct ig_str rest = ig_str_trim((struct ig_str){v.p + i + 1, v.n - i - 1});
        if (!begins(rest, name)) continue;
        skip(&rest, n);
        bool in = rest.n && rest.p[0] == '"';
        for (size_t k = in;
             k < rest.n && (in ? rest.p[k] != '"' : rest.p[k] != ';' && rest.p[k] != ' '); k++) {
            if (in && rest.p[k] == '\\' && k + 1 < rest.n) k++;
            ig_buf_ch(out, rest.p[k]);
        }
        return out->n > 0;
    }
    return false;
}

bool ig_header_file_name(struct ig_buf *out, struct ig_str v) {
    struct ig_buf raw = {.mem = out->mem};
    bool found = parameter(v, "filename*=", &raw);
    size_t quote = 0, quotes = 0; /* UTF-8'en'name */
    while (found && quote < raw.n && quotes < 2) quotes += raw.p[quote++] == '\'';
    found = found && quotes == 2 && begins(ig_buf_view(&raw), "utf-8'");
    if (found) {
        ig_url_unescape(out, (struct ig_str){raw.p + quote, raw.n - quote});
    } else {
        ig_buf_clear(&raw);
        found = parameter(v, "filename=", &raw);
        if (found) ig_buf_str(out, ig_buf_view(&raw));
    }
    out->failed |= raw.failed;
    ig_buf_free(&raw);
    return found && out->n;
}

struct ig_str ig_header_next_link(struct ig_str v) {
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] != '<') continue;
        size_t end = i + 1, stop;
        while (end < v.n && v.p[end] != '>') end++;
        stop = end;
        while (stop < v.n && v.p[stop] != ',') stop++;
        size_t at;
        if (ig_str_find((struct ig_str){v.p + end, stop - end}, IG_STR("rel=\"next\""), &at))
            return (struct ig_str){v.p + i + 1, end - i - 1};
        i = stop;
    }
    return (struct ig_str){NULL, 0};
}
