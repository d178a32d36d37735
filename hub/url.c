/* URLs: taking apart, joining, and the questions on which a pull's safety rests: is it the same
 * origin, does it stay encrypted, does a public server point into a private network. Answers go by
 * the spelling of the host: a name that a hostile name server maps to a private address is the
 * transport's business. */
#include "url.h"

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool same(struct ig_str a, const char *b) {
    size_t i = 0;
    while (i < a.n && b[i] && lower(a.p[i]) == b[i]) i++;
    return i == a.n && !b[i];
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static int hex_value(char c) {
    c = lower(c);
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct ig_str take(struct ig_str *s, size_t n) {
    struct ig_str head = {s->p, n};
    s->p += n;
    s->n -= n;
    return head;
}

static size_t span_until(struct ig_str s, const char *stops) {
    size_t n = 0;
    while (n < s.n && !strchr(stops, s.p[n])) n++;
    return n;
}

static bool parse_port(struct ig_str digits, int *port) {
    int64_t v;
    if (!digits.n) return true; /* "host:" */
    for (size_t i = 0; i < digits.n; i++)
        if (!is_digit(digits.p[i])) return false;
    if (!ig_str_to_i64(digits, &v) || v < 1 || v > 65535) return false;
    *port = (int)v;
    return true;
}

static bool parse_host(struct ig_str authority, struct ig_url *out) {
    bool v6 = authority.n && authority.p[0] == '[';
    size_t n = v6 ? span_until(authority, "]") + 1 : span_until(authority, ":");
    if (n > authority.n || n < 1 || n > 255) return false;
    out->host = take(&authority, n);
    for (size_t i = 0; i < n; i++) {
        char c = lower(out->host.p[i]);
        bool plain = is_digit(c) || (c >= 'a' && c <= (v6 ? 'f' : 'z')) || c == '.';
        bool edge = v6 && ((i == 0 && c == '[') || (i == n - 1 && c == ']'));
        if (!plain && !edge && (v6 ? c != ':' : c != '-' && c != '_')) return false;
    }
    if (!authority.n) return true;
    return authority.p[0] == ':' &&
           parse_port((struct ig_str){authority.p + 1, authority.n - 1}, &out->port);
}

bool ig_url_parse(struct ig_str text, struct ig_url *out, const char **why) {
    *out = (struct ig_url){0};
    *why = "it is too long";
    if (text.n > IG_URL_MAX) return false;
    *why = "it holds characters that a URL may not have";
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] >= 0x7f || strchr("\"<>\\^`{|}#", text.p[i]))
            return false;
    *why = "only http:// and https:// can be loaded";
    size_t colon = span_until(text, ":");
    if (colon + 3 > text.n || memcmp(text.p + colon, "://", 3) != 0) return false;
    out->scheme = take(&text, colon);
    take(&text, 3);
    if (!same(out->scheme, "https") && !same(out->scheme, "http")) return false;
    out->port = ig_url_is_secure(out) ? 443 : 80;
    struct ig_str authority = take(&text, span_until(text, "/?"));
    *why = "a name or password in a URL is not sent";
    if (memchr(authority.p, '@', authority.n)) return false;
    *why = "the host is malformed";
    if (!parse_host(authority, out)) return false;
    out->path = take(&text, span_until(text, "?"));
    out->query = text;
    return true;
}

bool ig_url_is_secure(const struct ig_url *u) {
    return same(u->scheme, "https");
}

bool ig_url_same_origin(const struct ig_url *a, const struct ig_url *b) {
    if (a->host.n != b->host.n || a->port != b->port || ig_url_is_secure(a) != ig_url_is_secure(b))
        return false;
    for (size_t i = 0; i < a->host.n; i++)
        if (lower(a->host.p[i]) != lower(b->host.p[i])) return false;
    return true;
}

static bool is_v4(struct ig_str host, unsigned byte[4]) {
    unsigned part = 0, digits = 0;
    memset(byte, 0, 4 * sizeof *byte);
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] == '.' && digits && part < 3) {
            part++;
            digits = 0;
        } else if (is_digit(host.p[i]) && digits < 3) {
            byte[part] = byte[part] * 10 + (unsigned)(host.p[i] - '0');
            digits++;
        } else {
            return false;
        }
    }
    return part == 3 && digits;
}

/* Whole-number and hexadecimal spellings of addresses (2130706433, 0x7f.1, 127.1): no honest server
 * redirects there. */
static bool is_odd_address(struct ig_str host) {
    unsigned byte[4];
    if (!host.n || is_v4(host, byte)) return false;
    size_t last = host.n;
    while (last && host.p[last - 1] != '.') last--;
    return is_digit(host.p[last < host.n ? last : 0]);
}

bool ig_url_is_loopback(const struct ig_url *u) {
    unsigned byte[4];
    if (same(u->host, "localhost") || same(u->host, "[::1]")) return true;
    return is_v4(u->host, byte) && byte[0] == 127;
}

bool ig_url_is_private(const struct ig_url *u) {
    unsigned b[4];
    struct ig_str h = u->host;
    if (ig_url_is_loopback(u) || is_odd_address(h)) return true;
    if (is_v4(h, b))
        return b[0] == 0 || b[0] == 10 || b[0] >= 224 ||
               (b[0] == 100 && b[1] >= 64 && b[1] < 128) || (b[0] == 169 && b[1] == 254) ||
               (b[0] == 172 && b[1] >= 16 && b[1] < 32) || (b[0] == 192 && b[1] == 168);
    if (h.n && h.p[0] == '[') { /* 2000::/3 is public, also 4-in-6 is not asked for */
        return h.n < 3 || !(h.p[1] == '2' || h.p[1] == '3');
    }
    static const char *const ends[] = {".local", ".localhost", ".internal", ".lan", ".home.arpa"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);
        if (h.n > n && same((struct ig_str){h.p + h.n - n, n}, ends[i])) return true;
    }
    return !memchr(h.p, '.', h.n); /* a bare name means a machine in the local network */
}

/* ---- joining ---- */

/* Bytes beyond ASCII in a Location are escaped; anything else that has no place there makes the URL
 * malformed later. */
static void add_clean(struct ig_buf *out, struct ig_str s) {
    for (size_t i = 0; i < s.n && s.p[i] != '#'; i++) {
        if ((unsigned char)s.p[i] >= 0x80)
            ig_buf_f(out, "%%%02X", (unsigned char)s.p[i]);
        else
            ig_buf_ch(out, s.p[i]);
    }
}

static bool has_scheme(struct ig_str s) {
    size_t n = span_until(s, ":/?#");
    return n && n < s.n && s.p[n] == ':';
}

bool ig_url_join(struct ig_buf *out, struct ig_str base, struct ig_str location) {
    struct ig_url u;
    const char *why;
    location = ig_str_trim(location);
    if (!location.n || location.n > IG_URL_MAX || !ig_url_parse(base, &u, &why)) return false;
    if (!has_scheme(location)) {
        ig_buf_str(out, u.scheme);
        ig_buf_z(out, ":");
        bool authority = location.n > 1 && location.p[0] == '/' && location.p[1] == '/';
        if (!authority) { /* everything before the path */
            size_t n = (size_t)(u.path.p - u.scheme.p) - u.scheme.n - 1;
            ig_buf_add(out, u.scheme.p + u.scheme.n + 1, n);
        }
        if (location.p[0] == '?') {
            ig_buf_str(out, u.path);
        } else if (location.p[0] != '/') { /* beside the last element of the path */
            size_t n = u.path.n;
            while (n && u.path.p[n - 1] != '/') n--;
            if (n)
                ig_buf_add(out, u.path.p, n);
            else
                ig_buf_ch(out, '/');
        }
    }
    add_clean(out, location);
    return !out->failed && ig_url_parse(ig_buf_view(out), &u, &why);
}

void ig_url_escape(struct ig_buf *out, struct ig_str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || (c && strchr("-._~/", c)))
            ig_buf_ch(out, c);
        else
            ig_buf_f(out, "%%%02X", (unsigned char)c);
    }
}

void ig_url_unescape(struct ig_buf *out, struct ig_str text) {
    for (size_t i = 0; i < text.n; i++) {
        int high = i + 2 < text.n && text.p[i] == '%' ? hex_value(text.p[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text.p[i + 2]) : -1;
        if (low >= 0) i += 2;
        ig_buf_ch(out, low >= 0 ? (char)(high * 16 + low) : text.p[i]);
    }
}

bool ig_hub_is_sha256(struct ig_str hex) {
    if (hex.n != 64) return false;
    for (size_t i = 0; i < 64; i++)
        if (hex_value(hex.p[i]) < 0) return false;
    return true;
}
