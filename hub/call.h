/* What one call of the public functions works with: a copy of the settings, its arena, its
 * progress. */
#ifndef IG_HUB_CALL_H
#define IG_HUB_CALL_H

#include "base/mem.h"
#include "base/status.h"
#include "base/str.h"
#include "hub.h"
#include "os/os.h"

struct ig_hub_settings {
    const char *home, *endpoint, *token, *user_agent; /* NUL-terminated, never NULL */
    bool offline;
    int connections, retries;
    int64_t range_bytes, max_bytes; /* 0 = by size; 0 = no limit */
    double stall_seconds;
};

struct ig_call {
    struct ig_mem *mem;
    struct ig_arena arena; /* of the calling thread only */
    struct ig_hub_settings set;
    ingle_http_fn http;
    void *http_ud;
    const char *models; /* HOME/models */
    const char *own;    /* HOME/models/.hub */
    ingle_hub_progress_fn fn;
    void *ud;
    ingle_hub_progress progress;
    double last_tick, rate_at;
    int64_t rate_bytes;
    int64_t base_done, base_resumed; /* bytes of the files that are finished */
    bool cancelled;
};

/* `h` may be used by other calls meanwhile. The home folder must be known, else INGLE_NOT_FOUND. */
ingle_status ig_call_begin(struct ig_call *c, ingle_hub *h, ingle_hub_progress_fn fn, void *ud,
                           ingle_error *err);
void ig_call_end(struct ig_call *c);
/* Tells the host where we are (not more often than every 10 ms) and whether it wants to stop; stays
 * true then. */
bool ig_call_tick(struct ig_call *c);
void ig_call_phase(struct ig_call *c, const char *phase); /* tells at once */
/* Bytes done so far; the rate follows. */
void ig_call_bytes(struct ig_call *c, int64_t done);
ingle_status ig_call_cancelled(ingle_error *err);
/* "folder/name" and a suffix, in the arena; NULL: memory is out. */
const char *ig_call_path(struct ig_call *c, const char *folder, const char *name,
                         const char *suffix);

/* As ingle_hub_open, with the host's allocator (tests). */
ingle_status ig_hub_open(ingle_hub **out, struct ig_mem mem, ingle_http_fn http, void *ud,
                         ingle_error *err);

struct ingle_hub {
    struct ig_mem mem;
    struct ig_mutex lock;       /* guards `set` */
    struct ig_hub_settings set; /* the strings are ours */
    ingle_http_fn http;
    void *http_ud;
};

#endif
