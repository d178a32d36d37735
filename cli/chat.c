/* ingle chat: a conversation. The messages are kept here as the inside of a JSON array; the engine
 * finds by itself how much of them it has already computed. /save writes them as JSON and, beside
 * it as NAME.kv, what the engine has computed, so that /load need not do it again; without a
 * fitting NAME.kv it does.
 *
 * Ctrl-C never ends the program: during an answer it cancels it, at the prompt it empties the line.
 */
#include "answer.h"

#include <stdio.h>
#include <string.h>

struct chat {
    struct cli *c;
    ingle_engine *engine;
    ingle_model *model;
    struct cli_line *line;
    struct ig_buf system, turns; /* turns: {...},{...} */
    struct ig_buf input;
    struct cli_answer last;
    int32_t turns_n, total_output;
    double total_seconds;
    bool terminal, done;
    int code;
};

/* ---- Asking ---- */

static void build_messages(struct chat *t, struct ig_buf *b) {
    if (t->system.n) cli_add_message(b, "system", ig_buf_view(&t->system));
    if (t->system.n && t->turns.n) ig_buf_ch(b, ',');
    ig_buf_str(b, ig_buf_view(&t->turns));
}

static void note(const struct chat *t, const char *text) {
    if (t->terminal) fprintf(stderr, "%s\n", text);
}

static void send_message(struct chat *t, struct ig_str text) {
    struct ig_buf request = {.mem = &t->c->mem};
    size_t before = t->turns.n;
    cli_add_message(&t->turns, "user", text);
    ig_buf_z(&request, "{\"messages\":[");
    build_messages(t, &request);
    ig_buf_z(&request, "]}");
    ingle_status st = request.failed || t->turns.failed
                          ? ig_fail_memory(&t->c->err, request.n)
                          : cli_ask(t->engine, &request, &t->last, &t->c->err);
    ig_buf_free(&request);
    if (t->last.text.n && t->last.last != '\n') cli_putz("\n");
    if (t->terminal) cli_putz("\n");
    if (!cli_flush()) t->done = true;
    if (st != INGLE_OK && st != INGLE_CANCELLED) {
        t->code = cli_fail(&t->c->err);
        t->turns.n = before; /* as if it had not been said */
        return;
    }
    t->code = 0;
    if (st == INGLE_CANCELLED) note(t, "(stopped)");
    if (strcmp(t->last.finish, "length") == 0)
        note(t, "(cut at the length limit: -n, or -c for a longer context)");
    if (st == INGLE_CANCELLED && !t->last.text.n) {
        t->turns.n = before;
        return;
    }
    cli_add_message(&t->turns, "assistant", ig_buf_view(&t->last.text));
    t->turns_n++;
    t->total_output += t->last.output_tokens;
    t->total_seconds += t->last.output_seconds;
}

/* ---- /save and /load ---- */

static void kv_name(struct chat *t, const char *path, struct ig_buf *b) {
    ig_buf_f(b, "%s.kv", path), (void)t;
}

static void save(struct chat *t, const char *path) {
    struct ig_buf b = {.mem = &t->c->mem}, kv = {.mem = &t->c->mem};
    if (!path[0]) {
        cli_error(0, NULL, "/save FILE");
        return;
    }
    ig_buf_z(&b, "{\"messages\":[");
    build_messages(t, &b);
    ig_buf_z(&b, "]}\n");
    kv_name(t, path, &kv);
    ingle_status st = b.failed || kv.failed ? ig_fail_memory(&t->c->err, b.n) : INGLE_OK;
    if (st == INGLE_OK) st = cli_write_file(path, b.p, b.n, &t->c->err);
    if (st == INGLE_OK && t->turns_n) st = ingle_engine_save(t->engine, kv.p, &t->c->err);
    if (st != INGLE_OK)
        cli_fail(&t->c->err);
    else
        note(t, "saved");
    ig_buf_free(&b);
    ig_buf_free(&kv);
}

static ingle_status read_messages(struct chat *t, const char *path, const struct ig_json *j,
                                  ingle_error *err) {
    const struct ig_json *list = ig_json_get(j, "messages");
    static const char hint[] = "give a file that /save wrote";
    if (!ig_json_is(list, IG_JSON_ARRAY))
        return ig_fail(err, INGLE_BAD_FILE, hint, "%s: no array messages", path);
    ig_buf_clear(&t->system);
    ig_buf_clear(&t->turns);
    t->turns_n = 0;
    for (const struct ig_json *m = list->child; m; m = m->next) {
        struct ig_str role = ig_json_str(ig_json_get(m, "role"), "");
        const struct ig_json *content = ig_json_get(m, "content");
        bool system = ig_str_is(role, "system"), user = ig_str_is(role, "user");
        if (!ig_json_is(content, IG_JSON_STRING) ||
            !(system || user || ig_str_is(role, "assistant")))
            return ig_fail(err, INGLE_BAD_FILE, hint, "%s: a message without role or content",
                           path);
        if (system)
            ig_buf_str(&t->system, content->text);
        else
            cli_add_message(&t->turns, user ? "user" : "assistant", content->text);
        t->turns_n += !system && !user;
    }
    return INGLE_OK;
}

static int load(struct chat *t, const char *path) {
    struct ig_arena arena = {.mem = &t->c->mem};
    struct ig_buf kv = {.mem = &t->c->mem};
    char *text = NULL;
    size_t n;
    const struct ig_json *j;
    ingle_error *err = &t->c->err;
    if (!path[0]) return cli_error(64, NULL, "/load FILE");
    ingle_status st = cli_read_file(&t->c->mem, path, &text, &n, err);
    if (st == INGLE_OK) {
        st = ig_json_parse(&arena, (struct ig_str){text, n}, NULL, &j, err);
        if (st != INGLE_OK) {
            ig_fail_in(err, "%s", path);
            st = err->code = INGLE_BAD_FILE;
        }
    }
    if (st == INGLE_OK) st = read_messages(t, path, j, err);
    kv_name(t, path, &kv);
    if (st == INGLE_OK && !kv.failed && cli_is_file(kv.p) &&
        ingle_engine_load(t->engine, kv.p, err) != INGLE_OK)
        note(t, "(the computed state does not fit this model: it will be computed again)");
    int code = st == INGLE_OK ? 0 : cli_fail(err);
    if (!code) note(t, "loaded");
    ig_buf_free(&kv);
    ig_arena_free(&arena);
    ig_free(&t->c->mem, text);
    return code;
}

/* ---- Commands ---- */

static void show_stats(struct chat *t) {
    fprintf(stderr, "%d answers, %d tokens", t->turns_n, t->total_output);
    if (t->total_seconds > 0) fprintf(stderr, ", %.1f/s", t->total_output / t->total_seconds);
    fputs("\n", stderr);
    if (!t->last.finish[0]) return;
    fputs("last: ", stderr);
    cli_print_stats(&t->last);
    fprintf(stderr, "context: %d tokens used\n", t->last.prompt_tokens + t->last.output_tokens);
}

static void set_system(struct chat *t, const char *text) {
    if (!text[0]) {
        fprintf(stderr, "%s\n", t->system.n ? t->system.p : "(no system message)");
        return;
    }
    ig_buf_clear(&t->system);
    if (strcmp(text, "-") != 0) ig_buf_z(&t->system, text);
    note(t, t->system.n ? "system message set" : "system message removed");
}

static void show_help(void) {
    fputs("/system TEXT   set the system message (- removes it)\n"
          "/clear         forget the conversation\n"
          "/save FILE     write the conversation\n"
          "/load FILE     take up a conversation\n"
          "/stats         counts and speeds\n"
          "/exit          leave (also Ctrl-D)\n"
          "Ctrl-C stops an answer. A line that ends in \\ goes on; \"\"\" begins and ends a text "
          "of several lines.\n",
          stderr);
}

static bool is_command(const char *text, const char *name, const char **rest) {
    size_t n = strlen(name);
    if (strncmp(text, name, n) != 0 || (text[n] && text[n] != ' ')) return false;
    *rest = text + n + strspn(text + n, " ");
    return true;
}

static void run_command(struct chat *t, const char *text) {
    const char *rest;
    if (is_command(text, "/exit", &rest) || is_command(text, "/quit", &rest) ||
        is_command(text, "/bye", &rest)) {
        t->done = true;
    } else if (is_command(text, "/clear", &rest)) {
        ig_buf_clear(&t->turns);
        t->turns_n = 0;
        note(t, "forgotten");
    } else if (is_command(text, "/system", &rest)) {
        set_system(t, rest);
    } else if (is_command(text, "/save", &rest)) {
        save(t, rest);
    } else if (is_command(text, "/load", &rest)) {
        load(t, rest);
    } else if (is_command(text, "/stats", &rest)) {
        show_stats(t);
    } else if (is_command(text, "/help", &rest) || is_command(text, "/?", &rest)) {
        show_help();
    } else {
        cli_error(0, "/help lists them", "there is no command %.40s", text);
    }
}

/* ---- Input ---- */

static bool trim_end(struct ig_buf *b, const char *end) {
    size_t n = strlen(end);
    if (b->n < n || memcmp(b->p + b->n - n, end, n) != 0) return false;
    b->n -= n;
    b->p[b->n] = 0;
    return true;
}

/* One message in t->input: a line, lines joined by backslashes, or a """block""". False at the end
 * of input. */
static bool read_message(struct chat *t, bool *interrupted) {
    struct ig_buf *b = &t->input;
    bool block = false;
    const char *prompt = t->terminal ? "> " : "";
    ig_buf_clear(b);
    for (;;) {
        const char *line = cli_line_read(t->line, prompt, interrupted);
        if (*interrupted) return true;
        if (!line) return b->n > 0;
        if (!block && !b->n && strncmp(line, "\"\"\"", 3) == 0) {
            block = true;
            line += 3;
            ig_buf_z(b, line);
        } else {
            if (b->n || prompt[0] == '.') ig_buf_ch(b, '\n');
            ig_buf_z(b, line);
        }
        if (block ? trim_end(b, "\"\"\"") : !trim_end(b, "\\")) return true;
        if (t->terminal) prompt = ". ";
        if (b->failed) return true;
    }
}

static void talk(struct chat *t) {
    bool hinted = false;
    while (!t->done) {
        bool interrupted;
        if (!read_message(t, &interrupted)) break;
        if (interrupted) {
            cli_putz("\n");
            if (!hinted) note(t, "(Ctrl-D or /exit to leave)");
            hinted = true;
            continue;
        }
        if (t->input.failed) {
            t->code = cli_error(3, NULL, "out of memory");
            continue;
        }
        struct ig_str text = ig_str_trim(ig_buf_view(&t->input));
        if (!text.n) continue;
        cli_line_remember(t->line, t->input.p);
        if (text.p[0] == '/' && !memchr(text.p, '\n', text.n))
            run_command(t, text.p);
        else
            send_message(t, text);
    }
    if (t->terminal && !t->done) cli_putz("\n");
}

int cli_chat(struct cli *c) {
    struct chat t = {.c = c, .terminal = cli_is_terminal(0) && cli_is_terminal(1)};
    if (!c->n_args) return cli_usage(c, "name a model");
    if (c->n_args > 1)
        return cli_usage(c, "chat takes one MODEL; ingle run --chat answers one prompt");
    t.system.mem = t.turns.mem = t.input.mem = t.last.text.mem = t.last.reasoning.mem = &c->mem;
    t.last.print = true;
    int code = cli_open_model(c, &t.model);
    if (!code && ingle_engine_open(&t.engine, t.model, c->options, &c->err) != INGLE_OK)
        code = cli_fail(&c->err);
    if (!code && c->flag[CLI_LOAD]) code = load(&t, c->flag[CLI_LOAD]);
    if (!code && !(t.line = cli_line_open(c, !c->flag[CLI_HISTORY])))
        code = cli_error(3, NULL, "out of memory");
    if (!code) {
        if (c->flag[CLI_SYSTEM]) {
            ig_buf_clear(&t.system);
            ig_buf_z(&t.system, c->flag[CLI_SYSTEM]);
        }
        note(&t, "Type a message, /help for help, Ctrl-D to leave.");
        cli_hold_interrupts(t.terminal);
        talk(&t);
        code = t.terminal ? 0 : t.code;
    }
    cli_line_close(t.line);
    ingle_engine_close(t.engine);
    ingle_model_close(t.model);
    cli_answer_free(&t.last);
    ig_buf_free(&t.system);
    ig_buf_free(&t.turns);
    ig_buf_free(&t.input);
    return code;
}
