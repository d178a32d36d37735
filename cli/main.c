/* ingle, the program: finds the command, reads options, runs it. Standard output is for answers,
 * standard error for everything else; the exit code says how it went (`ingle help exit-codes`). */
#include "cli.h"

#include <string.h>

const struct cli_flag_row cli_flags[CLI_FLAGS] = {
#define X(id, name, letter, argument, commands, help) {name, letter, argument, commands, help},
#include "flags.def"
#undef X
};

const struct cli_command cli_commands[] = {
#define X(name, arguments, groups, help, more) {#name, arguments, groups, help, more, cli_##name},
#include "commands.def"
#undef X
};
const size_t cli_n_commands = sizeof cli_commands / sizeof *cli_commands;

int cli_version(struct cli *c) {
    if (c->flag[CLI_JSON])
        cli_putf("{\"version\":\"%s\"}\n", ingle_version());
    else
        cli_putf("ingle %s\n", ingle_version());
    return 0;
}

static int run(struct cli *c, int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "help";
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) name = "version";
    if (strcmp(name, "--stdio") == 0) name = "stdio";
    if (strcmp(name, "--list-devices") == 0) name = "devices";
    c->command = cli_find_command(name);
    if (!c->command) return 64;
    if (ingle_options_new(&c->options, &c->err) != INGLE_OK) return cli_fail(&c->err);
    int code = cli_parse(c, argc - 2 > 0 ? argc - 2 : 0, argv + 2);
    if (code) return code;
    if (c->flag[CLI_HELP]) {
        cli_help_command(c, c->command);
        return 0;
    }
    code = c->command->run(c);
    return argc > 1 || code ? code : 64; /* a bare `ingle` shows the help, but did nothing */
}

int main(int argc, char **argv) {
    struct cli c = {0};
    cli_signals_open();
    int code = run(&c, argc, argv);
    ingle_options_free(c.options);
    ig_free(&c.mem, c.args);
    return cli_finish(code);
}
