/* Reading a line from a person. With libedit: editing, history, history kept between sessions.
 * Without it, or when standard input is not a terminal: plain lines. Ctrl-C empties the line. */
#define _XOPEN_SOURCE 700
#include "cli.h"

#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#ifdef INGLE_HAVE_EDIT
#include <histedit.h>
#endif

struct cli_line {
    struct ig_mem *mem;
    struct ig_buf buf, file;
    const char *prompt;
    bool terminal;
    char input[4096]; /* plain lines: what was read and not given out yet */
    size_t at, end;
#ifdef INGLE_HAVE_EDIT
    EditLine *edit;
    History *history;
#endif
};

#ifdef INGLE_HAVE_EDIT
static char *give_prompt(EditLine *e) {
    struct cli_line *l;
    el_get(e, EL_CLIENTDATA, &l);
    return (char *)(uintptr_t)l->prompt;
}

/* libedit's own reader would miss a Ctrl-C that comes just before its read. */
static int get_char(EditLine *e, wchar_t *out) {
    mbstate_t state;
    (void)e;
    memset(&state, 0, sizeof state);
    for (;;) {
        char byte;
        long n = cli_read_input(&byte, 1);
        if (n <= 0) return (int)n;
        size_t used = mbrtowc(out, &byte, 1, &state);
        if (used == (size_t)-2) continue;
        if (used == (size_t)-1) *out = L'?';
        return 1;
    }
}

static void open_edit(struct cli_line *l, bool keep) {
    HistEvent ev;
    setlocale(LC_CTYPE, "");
    l->edit = el_init("ingle", stdin, stdout, stderr);
    if (!l->edit) return;
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_PROMPT, give_prompt);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_SIGNAL, 0);
    el_set(l->edit, EL_GETCFN, get_char);
    el_set(l->edit, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(l->edit, EL_BIND, "\033[A", "ed-prev-history", NULL);
    el_set(l->edit, EL_BIND, "\033[B", "ed-next-history", NULL);
    l->history = history_init();
    if (!l->history) return;
    history(l->history, &ev, H_SETSIZE, 1000);
    history(l->history, &ev, H_SETUNIQUE, 1);
    el_set(l->edit, EL_HIST, history, l->history);
    if (keep && l->file.n) history(l->history, &ev, H_LOAD, l->file.p);
}
#endif

struct cli_line *cli_line_open(struct cli *c, bool keep) {
    struct cli_line *l = ig_calloc(&c->mem, 1, sizeof *l);
    if (!l) return NULL;
    l->mem = &c->mem;
    l->buf.mem = l->file.mem = &c->mem;
    l->terminal = cli_is_terminal(0);
    if (keep && l->terminal && cli_home(&l->file)) {
        cli_make_folders(l->file.p);
        ig_buf_z(&l->file, "/history");
    } else {
        ig_buf_clear(&l->file);
    }
#ifdef INGLE_HAVE_EDIT
    if (l->terminal && cli_is_terminal(1)) open_edit(l, keep);
#endif
    return l;
}

static int next_byte(struct cli_line *l) {
    if (l->at == l->end) {
        long n = cli_read_input(l->input, sizeof l->input);
        if (n <= 0) return n < 0 ? -2 : -1;
        l->at = 0;
        l->end = (size_t)n;
    }
    return (unsigned char)l->input[l->at++];
}

static const char *read_plain(struct cli_line *l, const char *prompt, bool *interrupted) {
    ig_buf_clear(&l->buf);
    if (l->terminal) {
        cli_putz(prompt);
        cli_flush();
    }
    for (;;) {
        int ch = next_byte(l);
        if (ch == -2 && cli_interrupted()) {
            *interrupted = true;
            return NULL;
        }
        if (ch < 0 && !l->buf.n) return NULL;
        if (ch < 0 || ch == '\n') break;
        ig_buf_ch(&l->buf, (char)ch);
        if (l->buf.failed) return NULL;
    }
    if (l->buf.n && l->buf.p[l->buf.n - 1] == '\r') l->buf.p[--l->buf.n] = 0;
    return l->buf.n ? l->buf.p : "";
}

const char *cli_line_read(struct cli_line *l, const char *prompt, bool *interrupted) {
    *interrupted = false;
#ifdef INGLE_HAVE_EDIT
    if (l->edit) {
        int n = 0;
        l->prompt = prompt;
        cli_flush();
        const char *line = el_gets(l->edit, &n);
        if (cli_interrupted()) {
            *interrupted = true;
            el_reset(l->edit);
            return NULL;
        }
        if (!line || n <= 0) return NULL;
        ig_buf_clear(&l->buf);
        ig_buf_add(&l->buf, line, (size_t)n - (line[n - 1] == '\n'));
        return l->buf.failed ? NULL : l->buf.p;
    }
#endif
    return read_plain(l, prompt, interrupted);
}

void cli_line_remember(struct cli_line *l, const char *text) {
#ifdef INGLE_HAVE_EDIT
    HistEvent ev;
    if (!l->history || !text[0]) return;
    history(l->history, &ev, H_ENTER, text);
    if (l->file.n) history(l->history, &ev, H_SAVE, l->file.p);
#else
    (void)l;
    (void)text;
#endif
}

void cli_line_close(struct cli_line *l) {
    if (!l) return;
#ifdef INGLE_HAVE_EDIT
    if (l->edit) el_end(l->edit);
    if (l->history) history_end(l->history);
#endif
    ig_buf_free(&l->buf);
    ig_buf_free(&l->file);
    ig_free(l->mem, l);
}
