/* ingle_hub.h: the model store. Finds, pulls, checks and removes models on this machine. Compiles as C99 and C++17.
 *
 *   Store.       HOME/models: NAME.gguf, the parts NAME-00001-of-0000N.gguf of a split file, or a folder NAME with
 *                config.json and .safetensors. Files put there by hand are models too. What a pull brought has a record
 *                (source, revision, SHA-256, size, time) under HOME/models/.hub; docs/models-store.md has the layout.
 *   Network.     The library has none: the host hands in a transport. Redirects, retries, ranges, tokens and checks are
 *                done here, so every transport behaves the same.
 *   Promises.    A name in the store always holds a whole, checked file (part file, SHA-256, fsync, rename). A pull that
 *                was cut, cancelled or killed goes on where it stopped. Two pulls of the same model, also in two
 *                processes, share one download. Names from the network never become paths unchecked. The token is sent
 *                to the endpoint only, never to where it redirects.
 *   Threads.     A hub may be used by any number of threads at once. Callbacks of a call come on the thread that made
 *                it; the transport is also called from threads of the hub.
 *   Errors, ownership, text: as in ingle.h. An INGLE_IO of a pull means that trying again later may help.
 */
#ifndef INGLE_HUB_H
#define INGLE_HUB_H

#include "ingle.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Transport: one HTTP exchange -------------------------------------------------------------------------------- */

typedef struct ingle_http_request {
    uint32_t size;       /* bytes of this struct: newer versions append fields */
    const char *method;  /* "GET" */
    const char *url;     /* http:// or https://, ASCII, without fragment and user name */
    const char *headers; /* "Name: value\n" lines, all that are to be sent; may be empty */
} ingle_http_request;

typedef struct ingle_http_response {
    uint32_t size;
    int32_t status;      /* 200, 206, 302, ... */
    const char *headers; /* "name: value\n" lines, names in lower case; valid during the call */
} ingle_http_response;

/* Where the answer goes. When one of the functions returns non-zero the transport drops the connection and returns
 * INGLE_CANCELLED at once. */
typedef struct ingle_http_sink {
    void *ud;
    /* Once, before any body: the final response, not 1xx and not a proxy's. */
    int (*head)(void *ud, const ingle_http_response *response);
    /* Pieces of the body in order, not decompressed. n == 0 is a heartbeat: call it at least every 20 ms, from the first
     * moment (name look-up, connecting) to the last. */
    int (*body)(void *ud, const void *bytes, size_t n);
} ingle_http_sink;

/* Performs `request` and returns INGLE_OK once the whole body was delivered, whatever the status. Must not follow
 * redirects, must verify certificates, must notice a body that is shorter than its Content-Length. INGLE_IO: the network
 * failed (connect, cut, time-out), the hub tries again. Any other code ends the pull, for example INGLE_UNSUPPORTED for a
 * certificate that is not trusted. Called from several threads at once. */
typedef ingle_status (*ingle_http_fn)(void *ud, const ingle_http_request *request, const ingle_http_sink *sink,
                                      ingle_error *err);

/* ---- The store --------------------------------------------------------------------------------------------------- */

typedef struct ingle_hub ingle_hub;

/* `http` may be NULL: everything but pulling works. `ud` must outlive the hub. */
INGLE_API ingle_status ingle_hub_open(ingle_hub **out, ingle_http_fn http, void *ud, ingle_error *err);
/* No call may be running. */
INGLE_API void ingle_hub_close(ingle_hub *h);

/* Settings; a call that is running keeps those it began with.
 *   "home"           folder that holds models/; "" = INGLE_HOME, or .local/share/ingle in the user's home folder
 *   "endpoint"       https://huggingface.co; a mirror with the same API
 *   "token"          access token for the endpoint, "" = none. Not sent over plain http except to this machine
 *   "offline"        true | false: a pull answers from the store or fails
 *   "connections"    1..16 [4]: for one file, where the server allows it
 *   "range-bytes"    0 | 1048576.. [0 = by the file's size]: how much a connection asks for at a time
 *   "max-bytes"      [0 = no limit] refuse what is larger
 *   "retries"        0..100 [5]: tries in a row that bring no byte before giving up
 *   "stall-seconds"  1..3600 [30]: a connection that brings no byte for so long is opened anew
 *   "user-agent"     [ingle/VERSION] */
INGLE_API ingle_status ingle_hub_set(ingle_hub *h, const char *name, const char *value, ingle_error *err);

typedef struct ingle_hub_progress {
    uint32_t size;
    const char *phase;      /* "resolve": asks the endpoint; "wait": another program pulls the same, bytes_done is its
                             * progress; "download"; "verify": hashes what is there; "done" */
    const char *file;       /* the present one, "" while there is none; valid during the call */
    int32_t file_index;     /* 0 .. files - 1 */
    int32_t files;          /* 0 while unknown */
    int64_t bytes_done;     /* of the whole pull (verify: of the whole check), resumed bytes included */
    int64_t bytes_total;    /* -1 = unknown */
    int64_t bytes_resumed;  /* of bytes_done, there from an earlier pull */
    double bytes_per_second;
    double seconds_left;    /* -1 = unknown */
} ingle_hub_progress;

/* At least every 50 ms; non-zero cancels: the call returns INGLE_CANCELLED and what was received stays for the next pull. */
typedef int (*ingle_hub_progress_fn)(void *ud, const ingle_hub_progress *p);

/* Makes a model be in the store. `what`:
 *   OWNER/NAME[@REVISION][:FILE]  FILE is a file's name, a block type ("Q4_K_M", any case) or a pattern ("*q8*"). Without
 *                                 it: Q4_K_M, another 4-bit type, the smallest of at least 5 bits, or the safetensors set
 *   URL[#sha256=HEX]              a GGUF file; a page of the endpoint means the repository's file
 * All parts of a split file come along. If the store has it already, nothing is loaded; if the source has changed, it is
 * replaced. Pushes one JSON object: {"name","path","bytes","sha256","format","source","files":[{"path","bytes","sha256"}]};
 * sha256 is that of the only file, else "". `fn` and `result` may be NULL. */
INGLE_API ingle_status ingle_hub_pull(ingle_hub *h, const char *what, ingle_hub_progress_fn fn, void *ud,
                                      ingle_text_fn result, void *result_ud, ingle_error *err);

/* Pushes a JSON array, sorted by name: {"name","path","bytes","format":"gguf"|"safetensors","source","sha256",
 * "complete":bool,"part_bytes"}. source is "" for files put there by hand. complete is false for a pull that was not
 * finished: path is its folder, bytes the size it will have (0 = unknown), part_bytes what is there. */
INGLE_API ingle_status ingle_hub_list(ingle_hub *h, ingle_text_fn fn, void *ud, ingle_error *err);

/* Pushes the path of a model: a whole name, the beginning of one that fits no other, or the OWNER/NAME[:FILE] or URL it
 * was pulled from. INGLE_NOT_FOUND with a hint that says what there is. Letters' case does not matter. */
INGLE_API ingle_status ingle_hub_find(ingle_hub *h, const char *name, ingle_text_fn fn, void *ud, ingle_error *err);

/* Removes a model, its record and what an unfinished pull of it left. The whole name is needed. INGLE_BUSY while it is
 * being pulled. */
INGLE_API ingle_status ingle_hub_remove(ingle_hub *h, const char *name, ingle_error *err);

/* Hashes a model's files and compares with the record. INGLE_BAD_FILE names the file that differs, INGLE_UNSUPPORTED: the
 * model has no record (it was put there by hand). */
INGLE_API ingle_status ingle_hub_verify(ingle_hub *h, const char *name, ingle_hub_progress_fn fn, void *ud,
                                        ingle_error *err);

#ifdef __cplusplus
}
#endif
#endif
