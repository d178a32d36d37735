/* What the user asks for: a repository's file or a URL. */
#ifndef IG_HUB_SOURCE_H
#define IG_HUB_SOURCE_H

#include "call.h"

struct ig_source {
    bool is_url;
    const char *repo, *revision, *file; /* file NULL: choose; revision "main" if none was given */
    const char *url;                    /* without fragment */
    const char *sha256;                 /* of #sha256=, lower case, or NULL */
    const char *host;                   /* of the URL or endpoint */
};
/* Strings are in the call's arena. A URL that is a page or file of the endpoint becomes a
 * repository. */
ingle_status ig_source_parse(struct ig_call *c, const char *what, struct ig_source *out,
                             ingle_error *err);
/* Could this be OWNER/NAME...? (and not a path or a name in the store) */
bool ig_source_is_repo(const char *what);

#endif
