/* URLs and HTTP header values, as far as pulling needs them. Everything here treats its input as
 * hostile. */
#ifndef IG_HUB_URL_H
#define IG_HUB_URL_H

#include "base/str.h"

enum { IG_URL_MAX = 8192 };

struct ig_url {
    struct ig_str scheme, host; /* slices of the text; compare them without regard to case */
    struct ig_str path;         /* from the first '/', without query; may be empty */
    struct ig_str query;        /* with its '?'; may be empty */
    int port;                   /* 80 or 443 if none is written */
};
/* http and https only; printable ASCII; no user name, no fragment. *why is what is wrong. */
bool ig_url_parse(struct ig_str text, struct ig_url *out, const char **why);
/* The absolute form of `location` seen from `base`, without fragment. false: not a URL, or memory
 * (out->failed). */
bool ig_url_join(struct ig_buf *out, struct ig_str base, struct ig_str location);
bool ig_url_same_origin(const struct ig_url *a, const struct ig_url *b);
bool ig_url_is_secure(const struct ig_url *u);
bool ig_url_is_loopback(const struct ig_url *u); /* localhost, 127.*, ::1, by their spelling */
/* Addresses that only mean something inside a network or machine: also 10.*, 192.168.*, 169.254.*,
 * fe80::, .local ... */
bool ig_url_is_private(const struct ig_url *u);
void ig_url_escape(struct ig_buf *out, struct ig_str text); /* '/' is kept */
void ig_url_unescape(struct ig_buf *out, struct ig_str text);

/* ---- header values; `headers` are lines "name: value\n" ---- */

/* The first one's value; p is NULL if there is none. */
struct ig_str ig_header(const char *headers, const char *name);
/* "bytes 0-99/200" and "bytes * /200" (first = -1); total = -1 for '*' */
bool ig_header_range(struct ig_str value, int64_t *first, int64_t *last, int64_t *total);
/* Seconds to wait: a number or an HTTP date; -1 if it is neither. */
int64_t ig_header_retry_after(struct ig_str value, int64_t now);
/* The file name of Content-Disposition, filename* first. Any bytes may come out. */
bool ig_header_file_name(struct ig_buf *out, struct ig_str value);
/* The URL of <...>; rel="next" in a Link header; empty if there is none. */
struct ig_str ig_header_next_link(struct ig_str value);
bool ig_hub_is_sha256(struct ig_str hex); /* 64 hexadecimal digits */

#endif
