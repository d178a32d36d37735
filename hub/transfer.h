/* One file on its way: what its threads share. The calling thread shows progress (download.c),
 * workers fetch ranges (worker.c), the hasher reads behind them (hasher.c). */
#ifndef IG_HUB_TRANSFER_H
#define IG_HUB_TRANSFER_H

#include "call.h"
#include "choice.h"
#include "fetch.h"
#include "journal.h"
#include "sha256.h"

enum { MAX_WORKERS = 16 };

struct ig_transfer;

/* What the first bytes must look like. */
enum ig_content { IG_CONTENT_ANY, IG_CONTENT_JSON, IG_CONTENT_GGUF, IG_CONTENT_SAFETENSORS };

struct ig_worker {
    struct ig_transfer *t;
    struct ig_thread thread;
    bool started, running;
    size_t begin,
        end; /* pieces that are its to load; another worker may lower end (both under the lock) */
    int64_t at;      /* offset of the next byte it wants */
    int64_t skip;    /* bytes of this answer in front of `at`, from a server without ranges */
    uint8_t *buffer; /* [IG_PIECE], the piece that `at` is in */
    size_t fill;
    double last_byte;
    int tries;            /* in a row without a byte */
    bool stalled, direct; /* direct: this request went to the redirected address */
};

struct ig_transfer {
    const struct ig_call *call;
    const char *url, *sha256; /* sha256 NULL: not known */
    const char *what;         /* for messages */
    const char *extra;        /* header lines for every request, may be "" */
    enum ig_content content;
    bool unconditional; /* no If-Range: the answers' validators are compared all the same */
    int64_t chunk;      /* bytes a connection asks for */
    const char *folder; /* of the part, for the free space */
    struct ig_part *part;
    int64_t flushed; /* the hasher's */

    struct ig_mutex lock; /* guards all below, and begin/end of the workers */
    struct ig_cond changed;
    struct ig_journal journal;
    struct ig_buf direct; /* where the redirects led, or empty */
    bool direct_no_token;
    struct ig_buf name; /* from Content-Disposition */
    bool known;         /* the first answer came: size and ranges are settled */
    bool ranges;        /* the server sends ranges */
    bool no_ranges;     /* it must not be asked for them */
    bool streaming;     /* no size was said: one connection, `received` is all there is */
    bool ended;         /* streaming: the body is complete */
    bool stop, restart, finished;
    bool looked;         /* at the first bytes */
    int running, wanted; /* workers */
    int64_t done, resumed, hashed, received;
    int64_t live;      /* bytes in the workers' buffers */
    double hold_until; /* a server that asks for a pause asks all connections */
    ingle_status status;
    ingle_error err;
    char digest[65];
    struct ig_worker workers[MAX_WORKERS];
    struct ig_thread hasher;
};

/* Under the lock. Keeps the first failure, stops everybody. */
void ig_transfer_fail(struct ig_transfer *t, ingle_status s, const ingle_error *err);
bool ig_transfer_all_here(const struct ig_transfer *t);
/* Gives a worker pieces to load, or takes some from another one. false: there is nothing to do now.
 */
bool ig_transfer_take(struct ig_transfer *t, struct ig_worker *w);
void ig_worker_main(void *worker);
void ig_hasher_main(void *transfer);

#endif
