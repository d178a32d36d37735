/* The lines of `ingle stdio`, to messages and back; no more than base and ingle.h, so that it can
 * be fuzzed alone. */
#ifndef STDIO_MESSAGE_H
#define STDIO_MESSAGE_H

#include "base/json.h"

enum { STDIO_ID = 256 /* bytes of a call's id */ };

/* JSON-RPC's own error codes; a status of ingle is -32000 - status. */
enum {
    STDIO_PARSE = -32700,
    STDIO_INVALID = -32600,
    STDIO_NO_METHOD = -32601,
    STDIO_BAD_PARAMS = -32602,
    STDIO_STATUS = -32000,
};

struct stdio_message {
    struct ig_str id; /* as it stands in the line; "null" if unreadable, empty for a notification */
    struct ig_str method;
    const struct ig_json *params; /* an object or NULL */
};
/* 0, or a JSON-RPC error code with `err` filled. The message points into the line and the arena. */
int stdio_read_message(struct ig_arena *a, struct ig_str line, struct stdio_message *m,
                       ingle_error *err);
void stdio_put_result(struct ig_buf *b, struct ig_str id, struct ig_str result);
/* `code` 0: from err's status. */
void stdio_put_error(struct ig_buf *b, struct ig_str id, int code, const ingle_error *err);
void stdio_put_event(struct ig_buf *b, uint64_t request, const ingle_event *ev);
void stdio_put_progress(struct ig_buf *b, struct ig_str call, const char *what, double done);
const char *stdio_status_name(ingle_status st); /* "bad_file" */
void stdio_put_base64(struct ig_buf *b, const void *bytes, size_t n);

#endif
