/* A request's events, printed as they come. Reasoning goes to standard error, dimmed, and only if
 * that is a terminal: what is piped on is the answer alone. */
#include "answer.h"

#include <stdio.h>
#include <string.h>

static void show_reasoning(struct cli_answer *a, const ingle_event *ev) {
    ig_buf_add(&a->reasoning, ev->text, ev->len);
    if (!a->print || !cli_is_terminal(2)) return;
    cli_progress_clear();
    if (!a->printed_reasoning && cli_colour(2)) fputs("\x1b[2m", stderr);
    a->printed_reasoning = true;
    fwrite(ev->text, 1, ev->len, stderr);
}

static void end_reasoning(struct cli_answer *a) {
    if (!a->printed_reasoning) return;
    fputs(cli_colour(2) ? "\x1b[0m\n\n" : "\n\n", stderr);
    a->printed_reasoning = false;
}

static void show_text(struct cli_answer *a, const ingle_event *ev) {
    ig_buf_add(&a->text, ev->text, ev->len);
    if (!a->print || !ev->len) return;
    cli_progress_clear();
    end_reasoning(a);
    cli_put(ev->text, ev->len);
    a->last = ev->text[ev->len - 1];
}

static int on_event(void *ud, const ingle_event *ev) {
    struct cli_answer *a = ud;
    switch (ev->kind) {
    case INGLE_EVENT_PROGRESS:
        if (ev->prompt_tokens > 0)
            cli_progress("reading the prompt", (double)ev->prompt_done / ev->prompt_tokens);
        break;
    case INGLE_EVENT_TEXT: show_text(a, ev); break;
    case INGLE_EVENT_REASONING: show_reasoning(a, ev); break;
    case INGLE_EVENT_DONE:
    case INGLE_EVENT_ERROR:
        if (ev->finish) snprintf(a->finish, sizeof a->finish, "%s", ev->finish);
        break;
    }
    a->prompt_tokens = ev->prompt_tokens;
    a->cached_tokens = ev->cached_tokens;
    a->output_tokens = ev->output_tokens;
    a->prompt_seconds = ev->prompt_seconds;
    a->output_seconds = ev->output_seconds;
    a->guessed_tokens = ev->guessed_tokens;
    a->accepted_tokens = ev->accepted_tokens;
    if (a->text.failed || a->reasoning.failed) return 1;
    /* A Ctrl-C that came before the request was queued had nothing to cancel: it is seen here. */
    return !cli_flush() || cli_interrupt_pending();
}

static void cancel(void *ud) {
    ingle_engine_cancel(ud, 0);
}

ingle_status cli_ask(ingle_engine *e, const struct ig_buf *request, struct cli_answer *a,
                     ingle_error *err) {
    ig_buf_clear(&a->text);
    ig_buf_clear(&a->reasoning);
    a->finish[0] = a->last = 0;
    a->prompt_tokens = a->cached_tokens = a->output_tokens = 0;
    a->guessed_tokens = a->accepted_tokens = 0;
    cli_on_interrupt(cancel, e);
    ingle_status st = ingle_engine_run(e, request->p, request->n, on_event, a, err);
    cli_on_interrupt(NULL, NULL);
    cli_interrupted();
    cli_progress_clear();
    end_reasoning(a);
    if (a->text.failed) return ig_fail_memory(err, a->text.n);
    if (st == INGLE_OK && strcmp(a->finish, "cancelled") == 0) return INGLE_CANCELLED;
    return st;
}

void cli_answer_free(struct cli_answer *a) {
    ig_buf_free(&a->text);
    ig_buf_free(&a->reasoning);
}

static double rate(int32_t n, double seconds) {
    return seconds > 0 ? n / seconds : 0;
}

void cli_print_stats(const struct cli_answer *a) {
    fprintf(stderr, "prompt %d tokens (%d cached), %.1f/s; answer %d tokens, %.1f/s; ended by %s\n",
            a->prompt_tokens, a->cached_tokens,
            rate(a->prompt_tokens - a->cached_tokens, a->prompt_seconds), a->output_tokens,
            rate(a->output_tokens, a->output_seconds), a->finish[0] ? a->finish : "an error");
    if (a->guessed_tokens)
        fprintf(stderr, "guessed %d tokens ahead, %d came true\n", a->guessed_tokens,
                a->accepted_tokens);
}

void cli_add_message(struct ig_buf *b, const char *role, struct ig_str content) {
    if (b->n && b->p[b->n - 1] == '}') ig_buf_ch(b, ',');
    ig_buf_f(b, "{\"role\":\"%s\",\"content\":", role);
    ig_json_put_str(b, content);
    ig_buf_ch(b, '}');
}
