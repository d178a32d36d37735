/* Completion scripts, made from the same tables as the help. Models complete through `ingle models
 * --names`. */
#include "cli.h"

#include <string.h>

static bool is_bool(const ingle_option_info *o) {
    return strcmp(o->type, "bool") == 0;
}
static bool takes_model(const struct cli_command *cmd) {
    return strstr(cmd->arguments, "MODEL") != NULL || strstr(cmd->arguments, "NAME...") != NULL;
}

/* Words after the command's name that are not models: "bash|zsh|fish", "decode|encode|list [TYPE]",
 * command names. */
static void put_choices(const struct cli_command *cmd, const char *parting) {
    if (strcmp(cmd->name, "help") == 0) {
        for (size_t i = 0; i < cli_n_commands; i++) cli_putf("%s%s", cli_commands[i].name, parting);
        cli_putf("exit-codes%senvironment%sfamilies%smodels", parting, parting, parting);
    } else if (strchr(cmd->arguments, '|') && !takes_model(cmd) && strcmp(cmd->name, "pull") != 0) {
        for (const char *at = cmd->arguments; *at && *at != ' '; at++) {
            if (*at == '|')
                cli_putz(parting);
            else
                cli_put(at, 1);
        }
    }
}

static void put_flags(const struct cli_command *cmd) {
    const ingle_option_info *o;
    for (int i = 0; i < CLI_FLAGS; i++)
        if (cli_command_has_flag(cmd, &cli_flags[i])) {
            cli_putf("--%s ", cli_flags[i].name);
            if (cli_flags[i].letter[0]) cli_putf("-%s ", cli_flags[i].letter);
        }
    for (size_t i = 0; (o = ingle_options_describe(i)); i++)
        if (cli_command_has_option(cmd, o)) {
            cli_putf("--%s ", o->name);
            if (o->flag[0]) cli_putf("-%s ", o->flag);
        }
}

static void put_spaced(const char *choices) {
    for (; *choices; choices++) cli_put(*choices == '|' ? " " : choices, 1);
}

/* ---- bash ---- */

static void bash_values(void) {
    const ingle_option_info *o;
    cli_putz("    case \"$prev\" in\n");
    for (size_t i = 0; (o = ingle_options_describe(i)); i++) {
        if (is_bool(o)) continue;
        cli_putf("    --%s", o->name);
        if (o->flag[0]) cli_putf("|-%s", o->flag);
        cli_putz(") COMPREPLY=($(compgen -W \"");
        put_spaced(o->choices);
        cli_putz("\" -- \"$cur\")); return ;;\n");
    }
    for (int i = 0; i < CLI_FLAGS; i++) {
        const struct cli_flag_row *f = &cli_flags[i];
        if (!f->argument[0] || strcmp(f->name, "template") == 0)
            continue; /* a switch of info, a file of template */
        bool file = strcmp(f->argument, "FILE") == 0;
        cli_putf("    --%s) %s return ;;\n", f->name,
                 file ? "COMPREPLY=($(compgen -f -- \"$cur\"));" : "");
    }
    cli_putz("    esac\n");
}

static void bash(void) {
    cli_putz("# bash completion for ingle\n"
             "_ingle() {\n"
             "    local cur prev words models\n"
             "    cur=\"${COMP_WORDS[COMP_CWORD]}\" prev=\"${COMP_WORDS[COMP_CWORD-1]}\" "
             "words=\"\" models=\"\"\n"
             "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
             "        COMPREPLY=($(compgen -W \"");
    for (size_t i = 0; i < cli_n_commands; i++) cli_putf("%s ", cli_commands[i].name);
    cli_putz("\" -- \"$cur\")); return\n    fi\n");
    bash_values();
    cli_putz("    case \"${COMP_WORDS[1]}\" in\n");
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *cmd = &cli_commands[i];
        cli_putf("    %s) words=\"", cmd->name);
        put_flags(cmd);
        put_choices(cmd, " ");
        cli_putf("\"%s ;;\n", takes_model(cmd)
                                  ? " models=\"$(ingle models --names 2>/dev/null)\""
                                  : "");
    }
    cli_putz("    esac\n"
             "    if [ \"${cur#-}\" != \"$cur\" ]; then\n"
             "        COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n"
             "    else\n"
             "        COMPREPLY=($(compgen -W \"$models $words\" -- \"$cur\") $(compgen -f -- "
             "\"$cur\"))\n"
             "    fi\n"
             "}\n"
             "complete -o filenames -F _ingle ingle\n");
}

/* ---- zsh ---- */

/* Inside '...[help]': quotes, brackets and colons have meanings. */
static void zsh_text(const char *s) {
    for (; *s; s++) {
        if (*s == '\'')
            cli_putz("'\\''");
        else if (strchr("[]:\\", *s))
            cli_putf("\\%c", *s);
        else
            cli_put(s, 1);
    }
}

static void zsh_flag(const char *dashes, const char *name, const char *help, const char *argument,
                     const char *choices) {
    cli_putf(" \\\n            '%s%s[", dashes, name);
    zsh_text(help);
    cli_putz("]");
    if (argument[0]) cli_putf(":%s:", argument);
    if (choices[0]) {
        cli_putz("(");
        put_spaced(choices);
        cli_putz(")");
    } else if (strcmp(argument, "FILE") == 0) {
        cli_putz("_files");
    }
    cli_putz("'");
}

static void zsh(void) {
    const ingle_option_info *o;
    cli_putz("#compdef ingle\n"
             "_ingle_models() {\n"
             "    local -a names\n"
             "    names=(${(f)\"$(ingle models --names 2>/dev/null)\"})\n"
             "    _alternative 'models:model:compadd -a names' 'files:file:_files'\n"
             "}\n"
             "_ingle() {\n"
             "    local -a commands\n"
             "    commands=(\n");
    for (size_t i = 0; i < cli_n_commands; i++) {
        cli_putf("        '%s:", cli_commands[i].name);
        zsh_text(cli_commands[i].help);
        cli_putz("'\n");
    }
    cli_putz("    )\n"
             "    if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
             "    local command=$words[2]\n"
             "    shift words; (( CURRENT-- ))\n"
             "    case $command in\n");
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *cmd = &cli_commands[i];
        cli_putf("        %s) _arguments", cmd->name);
        for (int k = 0; k < CLI_FLAGS; k++) {
            const struct cli_flag_row *f = &cli_flags[k];
            if (!cli_command_has_flag(cmd, f)) continue;
            zsh_flag("--", f->name, f->help, f->argument, "");
            if (f->letter[0]) zsh_flag("-", f->letter, f->help, f->argument, "");
        }
        for (size_t k = 0; (o = ingle_options_describe(k)); k++) {
            if (!cli_command_has_option(cmd, o)) continue;
            zsh_flag("--", o->name, o->help, is_bool(o) ? "" : o->type, o->choices);
            if (o->flag[0]) zsh_flag("-", o->flag, o->help, o->type, o->choices);
        }
        if (takes_model(cmd))
            cli_putz(" \\\n            '1:model:_ingle_models' '*:argument:_files'");
        else if (cmd->arguments[0]) {
            cli_putz(" \\\n            '1:word:(");
            put_choices(cmd, " ");
            cli_putz(")'");
        }
        cli_putz(" ;;\n");
    }
    cli_putz("    esac\n}\n_ingle \"$@\"\n");
}

/* ---- fish ---- */

static void fish_text(const char *s) {
    for (; *s; s++) {
        if (*s == '\'' || *s == '\\') cli_putz("\\");
        cli_put(s, 1);
    }
}

static void fish_flag(const struct cli_command *cmd, const char *name, const char *letter,
                      const char *help, bool value, bool file, const char *choices) {
    cli_putf("complete -c ingle -n '__fish_seen_subcommand_from %s' -l %s", cmd->name, name);
    if (letter[0]) cli_putf(" -s %s", letter);
    if (value) cli_putz(file ? " -rF" : " -x");
    if (choices[0]) {
        cli_putz(" -a '");
        put_spaced(choices);
        cli_putz("'");
    }
    cli_putz(" -d '");
    fish_text(help);
    cli_putz("'\n");
}

static void fish(void) {
    const ingle_option_info *o;
    cli_putz("# fish completion for ingle\ncomplete -c ingle -e\n");
    for (size_t i = 0; i < cli_n_commands; i++) {
        const struct cli_command *cmd = &cli_commands[i];
        cli_putf("complete -c ingle -n __fish_use_subcommand -f -a %s -d '", cmd->name);
        fish_text(cmd->help);
        cli_putz("'\n");
        if (takes_model(cmd))
            cli_putf("complete -c ingle -n '__fish_seen_subcommand_from %s' -a \"(ingle models --names "
                     "2>/dev/null)\"\n",
                     cmd->name);
        else if (cmd->arguments[0]) {
            cli_putf("complete -c ingle -n '__fish_seen_subcommand_from %s' -f -a '", cmd->name);
            put_choices(cmd, " ");
            cli_putz("'\n");
        }
        for (int k = 0; k < CLI_FLAGS; k++) {
            const struct cli_flag_row *f = &cli_flags[k];
            if (cli_command_has_flag(cmd, f))
                fish_flag(cmd, f->name, f->letter, f->help, f->argument[0] != 0,
                          strcmp(f->argument, "FILE") == 0, "");
        }
        for (size_t k = 0; (o = ingle_options_describe(k)); k++)
            if (cli_command_has_option(cmd, o))
                fish_flag(cmd, o->name, o->flag, o->help, !is_bool(o), false, o->choices);
    }
}

int cli_completion(struct cli *c) {
    const char *shell = c->n_args == 1 ? c->args[0] : "";
    if (strcmp(shell, "bash") == 0)
        bash();
    else if (strcmp(shell, "zsh") == 0)
        zsh();
    else if (strcmp(shell, "fish") == 0)
        fish();
    else
        return cli_usage(c, "name one shell: bash, zsh or fish");
    return 0;
}
