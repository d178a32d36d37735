/* Help texts and the manual page, from commands.def, flags.def and the library's option table.
 * Nothing is written twice: a new row appears in all of them. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

static const char exit_codes[] =
    "  0    done\n"
    "  1    the chat template failed\n"
    "  2    a file or model: missing, damaged, not supported, or not to be read or written\n"
    "  3    a limit: memory, context, busy, numbers that are not finite\n"
    "  64   usage: a wrong command, option or request\n"
    "  70   a bug in ingle; please report it\n"
    "  130  stopped by Ctrl-C\n"
    "  141  the reader of the output went away\n";

static const char model_text[] = "MODEL is a path or a name. A path is a .gguf file (of a split "
                                 "model, any part) or a folder with config.json and\n"
                                 ".safetensors files. A name is looked up in the store, the folder "
                                 "models in INGLE_HOME: NAME.gguf or a folder\n"
                                 "NAME; the beginning of a name is enough if it fits only one. "
                                 "A model that was pulled\nis found by its source too. "
                                 "`ingle models` lists the store, `ingle pull` adds to it.\n";

static const char environment_text[] =
    "  INGLE_HOME      where the store and the chat history are (default ~/.local/share/ingle)\n"
    "  INGLE_VERBOSE   1: as --verbose\n"
    "  HF_TOKEN        access token of ingle pull for private models\n"
    "  HF_ENDPOINT     server of ingle pull (default https://huggingface.co)\n"
    "  HF_HUB_OFFLINE  1: ingle pull uses only what is in the store\n"
    "  NO_COLOR        any value: no colour\n"
    "Each option of the library can be set by INGLE_ and its name in capitals, for example "
    "INGLE_THREADS=4,\n"
    "INGLE_TOP_K=20. Options on the command line win.\n";

/* ---- As text ---- */

enum { INDENT = 34, WIDTH = 100 };

/* Words of `text` from column `at` on, broken before WIDTH. Returns the column. */
static size_t print_words(const char *text, size_t at) {
    while (*text) {
        size_t n = strcspn(text, " ");
        if (at > INDENT && at + 1 + n > WIDTH) {
            cli_putf("\n%*s", INDENT, "");
            at = INDENT;
        } else if (at > INDENT) {
            cli_putz(" ");
            at++;
        }
        cli_put(text, n);
        at += n;
        text += n + (text[n] == ' ');
    }
    return at;
}

static void print_row(const char *letter, const char *name, const char *argument, const char *help,
                      const char *initial) {
    char left[64];
    int n = letter[0] ? snprintf(left, sizeof left, "  -%s, --%s", letter, name)
                      : snprintf(left, sizeof left, "      --%s", name);
    if (argument[0] && n > 0 && n < 60)
        snprintf(left + n, sizeof left - (size_t)n, " %s", argument);
    cli_putf("%-*s", INDENT, left);
    if (strlen(left) > INDENT - 2) cli_putf("\n%*s", INDENT, "");
    size_t at = print_words(help, INDENT);
    if (initial[0]) {
        char text[128];
        snprintf(text, sizeof text, "[%s]", initial);
        print_words(text, at);
    }
    cli_putz("\n");
}

/* What to write after an option's name. */
static const char *argument_of(const ingle_option_info *o) {
    if (strcmp(o->type, "bool") == 0) return "";
    if (o->choices[0]) return o->choices;
    return strcmp(o->type, "string") == 0 ? "TEXT" : "N";
}

static void print_group(const struct cli_command *cmd, const char *group, const char *title) {
    const ingle_option_info *o;
    bool first = true;
    for (size_t i = 0; (o = ingle_options_describe(i)); i++) {
        if (strcmp(o->group, group) != 0 || !cli_command_has_option(cmd, o)) continue;
        if (first) cli_putf("\n%s\n", title);
        first = false;
        print_row(o->flag, o->name, argument_of(o), o->help,
                  strcmp(o->type, "bool") == 0 ? "" : o->initial);
    }
}

void cli_help_command(struct cli *c, const struct cli_command *cmd) {
    cli_putf("usage: ingle %s%s%s [OPTION...]\n\n%s", cmd->name, cmd->arguments[0] ? " " : "",
             cmd->arguments, cmd->help);
    cli_putz("\n");
    if (cmd->more[0]) cli_putf("%s\n", cmd->more);
    cli_putz("\n");
    for (int i = 0; i < CLI_FLAGS; i++)
        if (cli_command_has_flag(cmd, &cli_flags[i]))
            print_row(cli_flags[i].letter, cli_flags[i].name, cli_flags[i].argument,
                      cli_flags[i].help, "");
    print_group(cmd, "session", "computation");
    print_group(cmd, "engine", "engine");
    print_group(cmd, "model", "model");
    print_group(cmd, "sampling", "choice of tokens");
    if (strcmp(cmd->name, "models") == 0) cli_putf("\n%s", model_text);
    if (strcmp(cmd->name, "quant") == 0) {
        cli_putz("\n");
        cli_quant_types(c, false);
    }
}

static void print_overview(void) {
    cli_putz("ingle: language models on your machine\n\nusage: ingle COMMAND [ARGUMENT...] "
             "[OPTION...]\n\n");
    for (size_t i = 0; i < cli_n_commands; i++)
        cli_putf("  %-12s %s\n", cli_commands[i].name, cli_commands[i].help);
    cli_putz("\n  ingle run smollm2 \"Once upon a time\" -n 100\n"
             "  ingle run smollm2 --chat \"Why is the sky blue?\"\n"
             "  echo \"Dear reader,\" | ingle run ./model.gguf --temp 0\n\n"
             "`ingle help COMMAND` explains a command, `ingle help exit-codes`, `environment`, "
             "`families` and "
             "`models` the rest.\n");
}

/* ---- As a manual page ---- */

static void roff(const char *s) {
    bool line_start = true;
    for (; *s; s++) {
        if (line_start && (*s == '.' || *s == '\'')) cli_putz("\\&");
        if (*s == '\\')
            cli_putz("\\e");
        else if (*s == '-')
            cli_putz("\\-");
        else
            cli_put(s, 1);
        line_start = *s == '\n';
    }
}

static void roff_row(const char *letter, const char *name, const char *argument, const char *help,
                     const char *initial) {
    cli_putz(".TP\n");
    if (letter[0]) cli_putf("\\fB\\-%s\\fR, ", letter);
    cli_putz("\\fB\\-\\-");
    roff(name);
    cli_putz("\\fR");
    if (argument[0]) {
        cli_putz(" \\fI");
        roff(argument);
        cli_putz("\\fR");
    }
    cli_putz("\n");
    roff(help);
    if (initial[0]) {
        cli_putz(" [");
        roff(initial);
        cli_putz("]");
    }
    cli_putz("\n");
}

static void roff_literal(const char *title, const char *text) {
    cli_putf(".SH %s\n.nf\n", title);
    roff(text);
    cli_putz(".fi\n");
}

static void roff_commands(void) {
    cli_putz(".SH COMMANDS\n");
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *cmd = &cli_commands[i];
        cli_putf(".SS ingle %s ", cmd->name);
        roff(cmd->arguments);
        cli_putz("\n");
        roff(cmd->help);
        cli_putz(".\n");
        if (cmd->more[0]) {
            cli_putz(".br\n");
            roff(cmd->more);
            cli_putz("\n");
        }
        for (int k = 0; k < CLI_FLAGS; k++) {
            const struct cli_flag_row *f = &cli_flags[k];
            if (cli_command_has_flag(cmd, f) && f->commands[0] != '*')
                roff_row(f->letter, f->name, f->argument, f->help, "");
        }
    }
}

static void roff_options(void) {
    static const char *const groups[][3] = {
        {"session", "Computation", "run, chat, bench, perplexity, logits"},
        {"engine", "Engine", "run, chat"},
        {"model", "Model", "all commands that take a MODEL"},
        {"sampling", "Choice of tokens", "run, chat"}};
    const ingle_option_info *o;
    cli_putz(".SH OPTIONS\n");
    for (int i = 0; i < CLI_FLAGS; i++)
        if (cli_flags[i].commands[0] == '*')
            roff_row(cli_flags[i].letter, cli_flags[i].name, "", cli_flags[i].help, "");
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        bool first = true;
        for (size_t i = 0; (o = ingle_options_describe(i)); i++) {
            if (strcmp(o->group, groups[g][0]) != 0) continue;
            if (first) cli_putf(".SS %s (%s)\n", groups[g][1], groups[g][2]);
            first = false;
            roff_row(o->flag, o->name, argument_of(o), o->help,
                     strcmp(o->type, "bool") == 0 ? "" : o->initial);
        }
    }
}

static void print_man(void) {
    cli_putf(".\\\" Made by `ingle help --man` from the tables of the program: do not edit.\n"
             ".TH INGLE 1 \"\" \"ingle %s\" \"User Commands\"\n"
             ".SH NAME\ningle \\- language models on your machine\n"
             ".SH SYNOPSIS\n.B ingle\n.I COMMAND\n[\\fIARGUMENT\\fR...] [\\fIOPTION\\fR...]\n"
             ".SH DESCRIPTION\n",
             ingle_version());
    roff(model_text);
    roff_commands();
    roff_options();
    roff_literal("ENVIRONMENT", environment_text);
    roff_literal("EXIT STATUS", exit_codes);
    roff_literal("EXAMPLES", "ingle run smollm2 \"Once upon a time\" -n 100\n"
                             "ingle run smollm2 --chat \"Why is the sky blue?\" --temp 0\n"
                             "ingle chat ./model.gguf -c 8192 -t 4\n"
                             "ingle perplexity model.gguf wiki.test.raw -c 512\n");
}

/* ---- As a table for the documentation ---- */

static void cell(const char *s) {
    for (; *s; s++) {
        if (*s == '|') cli_putz("\\");
        cli_put(s, 1);
    }
}

static void print_markdown(void) {
    const ingle_option_info *o;
    const char *group = "";
    cli_putz("# Options\n\nMade by `ingle help --markdown` from `src/engine/options.def`: do not "
             "edit.\n\nEach row is a command "
             "line flag (`--top-k 20`), an environment variable (`INGLE_TOP_K=20`),\na name for "
             "`ingle_options_set` "
             "(`\"top-k\"`) and, in the group sampling, a field of a request (`\"top_k\": 20`).\n");
    for (size_t i = 0; (o = ingle_options_describe(i)); i++) {
        if (strcmp(group, o->group) != 0)
            cli_putf("\n## %s\n\n| flag | field | type | default | range | "
                     "|\n|---|---|---|---|---|---|\n",
                     o->group);
        group = o->group;
        cli_putf("| `--%s`", o->name);
        if (o->flag[0]) cli_putf(" `-%s`", o->flag);
        cli_putf(" | `%s` | %s | ", o->key, o->type);
        if (o->initial[0]) {
            cli_putz("`");
            cell(o->initial);
            cli_putz("`");
        }
        cli_putz(" | ");
        if (o->choices[0])
            cell(o->choices);
        else if (o->max > o->min && strcmp(o->type, "bool") != 0)
            cli_putf("%.16g .. %.16g", o->min, o->max);
        cli_putz(" | ");
        cell(o->help);
        cli_putz(" |\n");
    }
}

static void print_families(void) {
    const char *types;
    cli_putf("%-*s%s\n", 20, "GGUF architecture", "model_type in config.json");
    for (size_t i = 0; ingle_family_name(i, &types); i++)
        cli_putf("%-*s%s\n", 20, ingle_family_name(i, NULL), types);
}

int cli_help(struct cli *c) {
    const char *topic = c->n_args ? c->args[0] : NULL;
    if (c->n_args > 1) return cli_usage(c, "help explains one thing at a time");
    if (c->flag[CLI_MAN]) {
        print_man();
    } else if (c->flag[CLI_MARKDOWN]) {
        print_markdown();
    } else if (!topic) {
        print_overview();
    } else if (strcmp(topic, "exit-codes") == 0) {
        cli_putz(exit_codes);
    } else if (strcmp(topic, "families") == 0) {
        print_families();
    } else if (strcmp(topic, "environment") == 0) {
        cli_putz(environment_text);
    } else {
        const struct cli_command *cmd = cli_find_command(topic);
        if (!cmd) return 64;
        cli_help_command(c, cmd);
    }
    return 0;
}
