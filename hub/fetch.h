/* One GET with its redirects. */
#ifndef IG_HUB_FETCH_H
#define IG_HUB_FETCH_H

#include "call.h"

/* What the hops said. Strings are in the buffers of the fetch. */
struct ig_fetch {
    const struct ig_call
        *call; /* settings and transport; not its arena: fetches run on any thread */
    const char *url;
    const char *extra; /* header lines to send along, may be "" */
    void *ud;
    int (*head)(void *ud, struct ig_fetch *f,
                const char *headers);                   /* of the final answer; f->status is set */
    int (*body)(void *ud, const void *bytes, size_t n); /* of the final answer */
    int (*beat)(void *ud);                              /* at least every 20 ms; non-zero stops */

    bool no_token; /* in and out: a redirect has left the endpoint, the token stays home */
    int status;
    int64_t retry_after;  /* seconds, -1 if not said */
    struct ig_buf at;     /* URL of the final answer */
    struct ig_buf linked; /* X-Linked-Etag without quotes: SHA-256 of what the endpoint points to,
                             may be empty */
    struct ig_buf commit; /* X-Repo-Commit, may be empty */
    struct ig_buf code;   /* X-Error-Code of the final answer, may be empty */
    struct ig_buf next;   /* the Link header's next page, may be empty */
    int64_t linked_size;  /* -1 if not said */
};

void ig_fetch_begin(struct ig_fetch *f, const struct ig_call *c);
void ig_fetch_end(struct ig_fetch *f);
/* INGLE_OK: the final answer came, whatever its status. INGLE_CANCELLED: a callback stopped it.
 * INGLE_IO: try again. */
ingle_status ig_fetch_run(struct ig_fetch *f, ingle_error *err);
bool ig_fetch_may_retry(int status);
/* The error for a status that is no success, about `what`. */
ingle_status ig_fetch_fail(const struct ig_fetch *f, const char *what, ingle_error *err);

/* How long to wait before try number `tries` (1, 2, ...), seconds; -1: give up. `after`:
 * Retry-After or -1. */
double ig_retry_delay(const struct ig_call *c, int tries, int64_t after);

/* A whole text answer of at most `limit` bytes, on the calling thread, with retries. f->at etc.
 * stay for the caller. */
ingle_status ig_fetch_text(struct ig_call *c, struct ig_fetch *f, size_t limit, struct ig_buf *out,
                           ingle_error *err);

#endif
