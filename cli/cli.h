/* The command line, seen from its commands. Everything here uses ingle.h, hub.h and src/base only:
 * what a command can do, any program that links the library can do. */
#ifndef CLI_H
#define CLI_H

#include "base/json.h"
#include "hub/hub.h"
#include "ingle.h"

struct cli;

enum cli_flag {
#define X(id, name, letter, argument, commands, help) CLI_##id,
#include "flags.def"
#undef X
    CLI_FLAGS
};

struct cli_flag_row {
    const char *name, *letter, *argument, *commands, *help;
};
struct cli_command {
    const char *name, *arguments, *groups, *help, *more;
    int (*run)(struct cli *c);
};
extern const struct cli_flag_row cli_flags[CLI_FLAGS];
extern const struct cli_command cli_commands[];
extern const size_t cli_n_commands;

struct cli {
    struct ig_mem mem;
    const struct cli_command *command;
    ingle_options *options;
    const char *flag[CLI_FLAGS]; /* value, "" for a switch that was given, NULL if not */
    char **args;                 /* what is left: [n_args] */
    int n_args;
    bool stop_given; /* on the command line, once at least */
    ingle_error err;
};

/* ---- args.c ---- */
const struct cli_command *cli_find_command(const char *name);
bool cli_command_has_flag(const struct cli_command *cmd, const struct cli_flag_row *flag);
bool cli_command_has_option(const struct cli_command *cmd, const ingle_option_info *option);
/* Fills options, flags and args from the environment and argv. 0, or an exit code after the
 * message. */
int cli_parse(struct cli *c, int argc, char **argv);
/* A flag's number, or `fallback` if it was not given; *bad is set after a message. */
int64_t cli_number(struct cli *c, enum cli_flag id, int64_t fallback, int64_t min, int64_t max,
                   bool *bad);
bool cli_option_is_set(const struct cli *c, const char *name); /* by flag or environment */

/* ---- out.c: every byte to standard output goes through these ---- */
void cli_put(const char *p, size_t n);
void cli_putz(const char *z);
void cli_putf(const char *fmt, ...) IG_PRINTF(1, 2);
void cli_put_buf(struct ig_buf *b);         /* and frees it */
void cli_put_safe(const char *p, size_t n); /* control characters escaped: text from files */
bool cli_flush(void);                       /* false once standard output is broken */
/* The last word on the exit code: reports an output that could not be written. */
int cli_finish(int code);
int cli_push_text(void *ud, const char *text, size_t n); /* an ingle_text_fn that prints */
int cli_collect(void *ud, const char *text, size_t n);   /* an ingle_text_fn into an ig_buf */
/* "ingle: message (hint)" and the status's exit code. */
int cli_fail(const ingle_error *err);
/* "ingle: message (see ingle help COMMAND)", exit code 64. */
int cli_usage(const struct cli *c, const char *fmt, ...) IG_PRINTF(2, 3);
int cli_error(int code, const char *hint, const char *fmt, ...) IG_PRINTF(3, 4);
/* One line on standard error that is written over; nothing unless it is a terminal. */
void cli_progress_line(const char *line);
void cli_progress(const char *what, double done);
void cli_progress_clear(void);

/* ---- host.c: the operating system ---- */
bool cli_is_terminal(int fd);
bool cli_colour(int fd); /* a terminal, and NO_COLOR is not set */
/* `path` or "-". Text is NUL-terminated; free with ig_free. */
ingle_status cli_read_file(struct ig_mem *mem, const char *path, char **text, size_t *n,
                           ingle_error *err);
ingle_status cli_write_file(const char *path, const char *text, size_t n, ingle_error *err);
bool cli_is_file(const char *path);
bool cli_is_folder(const char *path);
int64_t cli_file_size(const char *path); /* -1 if there is none */
/* Calls fn for each name in the folder, in no order. */
void cli_each_name(const char *folder, void (*fn)(void *ud, const char *name), void *ud);
void cli_make_folders(const char *path);
double cli_seconds(void);
bool cli_home(struct ig_buf *b); /* INGLE_HOME or ~/.local/share/ingle */
void cli_binary_io(void);
void *cli_library_open(const char *name); /* NULL if there is none */
void *cli_library_symbol(void *library, const char *name);

/* Ctrl-C. While a target is set, the first one calls fn(ud) on another thread; without a target, or
 * the second time, the program ends with 130. cli_interrupted tells (and forgets) whether one came.
 */
void cli_signals_open(void);
void cli_on_interrupt(void (*fn)(void *ud), void *ud);
bool cli_interrupted(void);
bool cli_interrupt_pending(void);
void cli_hold_interrupts(bool hold); /* chat: Ctrl-C never ends the program */
/* read(2) of standard input; -1 on an error or once an interrupt is pending, however the two race.
 */
long cli_read_input(char *p, size_t n);

/* ---- store.c ---- */
/* The hub with the settings of the command line and the environment. 0, or an exit code after the
 * message. */
int cli_open_hub(struct cli *c, ingle_http_fn http, void *ud, ingle_hub **out);
bool cli_offline(const struct cli *c);
/* The file that MODEL means: a path, or a name or source of a model in the store. */
int cli_resolve(struct cli *c, const char *name, struct ig_buf *path);
/* Puts the file that the option draft-model means in its place. 0, or an exit code after the
 * message. */
int cli_resolve_draft(struct cli *c);
void cli_format_bytes(char out[24], int64_t bytes);
/* Shows a pull or a check on standard error; cancels after Ctrl-C. An ingle_hub_progress_fn. */
int cli_show_transfer(void *ud, const ingle_hub_progress *p);

/* ---- http_curl.c or http_none.c: the network ---- */
struct cli_http;
/* NULL and an error if this program has no network. */
struct cli_http *cli_http_open(struct cli *c);
ingle_status cli_http(void *http, const ingle_http_request *request, const ingle_http_sink *sink,
                      ingle_error *err);
void cli_http_close(struct cli_http *http);

/* ---- model.c ---- */
/* Opens c->args[0], a path or a name in the store. 0, or an exit code after the message. */
int cli_open_model(struct cli *c, ingle_model **out);
/* "5,6,7" or "[5, 6, 7]": NULL and a message in *code if it is not that. */
int32_t *cli_parse_ids(struct cli *c, const char *text, size_t *n, int *code);
ingle_status cli_get_ids(struct cli *c, ingle_model *m, const char *text, size_t len,
                         unsigned flags, int32_t **ids, size_t *n);

/* ---- bench_hash.c ---- */
/* Prints the hash of the logits of `n` fixed tokens; returns the exit code. */
int cli_bench_hash(struct cli *c, ingle_model *m, size_t n);

/* ---- line.c ---- */
struct cli_line;
struct cli_line *cli_line_open(struct cli *c, bool keep_history);
/* One line without its end, valid until the next call; NULL at the end of input or after Ctrl-C
 * (*interrupted). */
const char *cli_line_read(struct cli_line *l, const char *prompt, bool *interrupted);
void cli_line_remember(struct cli_line *l, const char *text);
void cli_line_close(struct cli_line *l);

/* ---- commands ---- */
#define X(name, arguments, groups, help, more) int cli_##name(struct cli *c);
#include "commands.def"
#undef X

/* help.c */
void cli_help_command(struct cli *c, const struct cli_command *cmd);
/* quant.c: the table of block types */
int cli_quant_types(struct cli *c, bool json);

#endif
