/* The level below: one timeline of tokens, and its logits after each. Prints the five likeliest next tokens, then goes on
 * with the likeliest for a while:  tokens MODEL "The capital of France is" */
#include <ingle.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ingle_error err;

static void check(ingle_status status) {
    if (status == INGLE_OK) return;
    fprintf(stderr, "%s (%s)\n", err.message, err.hint);
    exit(1);
}

static void print_token(const ingle_model *model, int32_t id) {
    const char *bytes;
    size_t n;
    check(ingle_token_bytes(model, id, &bytes, &n, &err));
    fwrite(bytes, 1, n, stdout);
}

static void print_likeliest(const ingle_model *model, const float *logits) {
    int32_t n = ingle_model_vocab_size(model);
    double sum = 0;
    for (int32_t i = 0; i < n; i++) sum += exp(logits[i]);
    double below = INFINITY;
    for (int rank = 0; rank < 5; rank++) {
        int32_t best = -1;
        for (int32_t i = 0; i < n; i++)
            if (logits[i] < below && (best < 0 || logits[i] > logits[best])) best = i;
        if (best < 0) return;
        printf("%5.1f %%  ", 100 * exp(logits[best]) / sum);
        print_token(model, best);
        printf("\n");
        below = logits[best];
    }
}

int main(int argc, char **argv) {
    ingle_model *model;
    ingle_session *session;
    ingle_options *options;
    int32_t ids[512], next;
    size_t n;
    if (argc != 3) return fprintf(stderr, "usage: tokens MODEL TEXT\n"), 1;
    check(ingle_options_new(&options, &err));
    check(ingle_options_set(options, "temperature", "0", &err));
    check(ingle_model_open(&model, argv[1], options, &err));
    check(ingle_session_open(&session, model, options, &err));
    check(ingle_tokenize(model, argv[2], strlen(argv[2]), INGLE_ADD_SPECIAL, ids, 512, &n, &err));
    check(ingle_session_sync(session, ids, n, &err));
    print_likeliest(model, ingle_session_logits(session));
    printf("\n%s", argv[2]);
    for (int i = 0; i < 32; i++) {
        check(ingle_session_sample(session, &next, &err));
        if (ingle_token_is_end(model, next)) break;
        print_token(model, next);
        fflush(stdout);
        check(ingle_session_step(session, next, &err));
    }
    printf("\n");
    ingle_session_close(session);
    ingle_model_close(model);
    ingle_options_free(options);
    return 0;
}
