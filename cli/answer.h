/* What run and chat share: a request's JSON, and taking its events. */
#ifndef CLI_ANSWER_H
#define CLI_ANSWER_H

#include "cli.h"

struct cli_answer {
    bool print; /* text to standard output as it comes */
    bool printed_reasoning;
    char last; /* last byte of text printed */
    struct ig_buf text, reasoning;
    char finish[16];
    int32_t prompt_tokens, cached_tokens, output_tokens, guessed_tokens, accepted_tokens;
    double prompt_seconds, output_seconds;
};

/* Runs the request; the answer's buffers are cleared first. Ctrl-C cancels it: INGLE_CANCELLED. */
ingle_status cli_ask(ingle_engine *e, const struct ig_buf *request, struct cli_answer *a,
                     ingle_error *err);
void cli_answer_free(struct cli_answer *a);
/* "prompt 12 tokens (3 cached) 85.1/s, answer 64 tokens 20.2/s" */
void cli_print_stats(const struct cli_answer *a);
/* Appends {"role": ..., "content": ...} to an open JSON array. */
void cli_add_message(struct ig_buf *b, const char *role, struct ig_str content);

#endif
