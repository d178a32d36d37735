/* The network of a program that was built without libcurl: it says so. */
#ifndef INGLE_HAVE_CURL
#include "cli.h"

struct cli_http *cli_http_open(struct cli *c) {
    ig_fail(&c->err, INGLE_UNSUPPORTED,
            "install libcurl with its headers (libcurl4-openssl-dev) and build again",
            "this program was built without libcurl, so it cannot reach the network");
    return NULL;
}

ingle_status cli_http(void *http, const ingle_http_request *request, const ingle_http_sink *sink,
                      ingle_error *err) {
    (void)http;
    (void)request;
    (void)sink;
    return ig_fail(err, INGLE_UNSUPPORTED, NULL, "there is no network");
}

void cli_http_close(struct cli_http *http) {
    (void)http;
}
#endif
