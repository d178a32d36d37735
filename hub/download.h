/* One file from the network into a part file. */
#ifndef IG_HUB_DOWNLOAD_H
#define IG_HUB_DOWNLOAD_H

#include "transfer.h"

struct ig_download {
    const char *url, *sha256; /* sha256 NULL: not known */
    const char *oid;          /* what the list calls the content; "" = unknown */
    int64_t size;             /* -1: not known */
    const char *what;         /* for messages */
    enum ig_content content;
    const char *folder, *part, *journal; /* part and journal lie in the folder */
    /* results */
    char digest[65];
    int64_t bytes;
    struct ig_buf name; /* from Content-Disposition, may be empty; the caller frees it */
    struct ig_buf tag;  /* the validator of the content (URLs), may be empty; likewise */
};
/* On success the part holds the whole file, checked and flushed; the journal is removed. On failure
 * both stay, unless they are of no use. */
ingle_status ig_download(struct ig_call *c, struct ig_download *d, ingle_error *err);
enum ig_content ig_content_of(const char *name);

#endif
