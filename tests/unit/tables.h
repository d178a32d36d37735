/* The kernel tables that this machine runs, scalar first, as the option "cpu" names them: a new table is in every test that asks here. */
#ifndef TABLES_H
#define TABLES_H

#include <stdio.h>
#include <string.h>

#include "cpu/kernels.h"
#include "ingle.h"

enum { MAX_TABLES = 16 };

static size_t find_tables(const struct ig_kernels *tables[MAX_TABLES]) {
    size_t n = 1;
    const ingle_option_info *info = NULL;
    for (size_t i = 0; !info || strcmp(info->name, "cpu"); i++) info = ingle_options_describe(i);
    tables[0] = &ig_kernels_scalar;
    for (const char *p = info->choices; *p && n < MAX_TABLES; p += *p == '|') {
        char name[16];
        size_t len = strcspn(p, "|");
        snprintf(name, sizeof name, "%.*s", (int)len, p);
        p += len;
        if (!strcmp(name, "auto") || !strcmp(name, "scalar")) continue;
        tables[n] = ig_kernels_choose(name);
        n += tables[n] != NULL;
    }
    return n;
}

#endif
