/* strftime in the C locale, whatever locale the host has set. The moment comes from the caller. */
#include "chat/tpl.h"

#include <stdio.h>

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};

static bool is_leap(int y) {
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

static int day_of_year(const struct ig_template_time *t) {
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    return before[t->month - 1] + t->day - 1 + (t->month > 2 && is_leap(t->year));
}

/* 0 = Sunday (Sakamoto's congruence) */
static int weekday(const struct ig_template_time *t) {
    static const int shift[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
    int y = t->year - (t->month < 3);
    return (y + y / 4 - y / 100 + y / 400 + shift[t->month - 1] + t->day) % 7;
}

static int iso_week(const struct ig_template_time *t, int *year) {
    int monday_based = (weekday(t) + 6) % 7, week = (day_of_year(t) - monday_based + 10) / 7;
    *year = t->year;
    if (week < 1) {
        struct ig_template_time last = {.year = t->year - 1, .month = 12, .day = 31};
        *year = last.year;
        int w = (day_of_year(&last) - (weekday(&last) + 6) % 7 + 10) / 7;
        return w;
    }
    if (week == 53) {
        struct ig_template_time first = {.year = t->year + 1, .month = 1, .day = 1};
        if ((weekday(&first) + 6) % 7 <= 3) return *year = t->year + 1, 1;
    }
    return week;
}

static int64_t seconds_since_1970(const struct ig_template_time *t) {
    int64_t y = t->year - 1, d = y * 365 + y / 4 - y / 100 + y / 400 - 719162 + day_of_year(t);
    return ((d * 24 + t->hour) * 60 + t->minute) * 60 + t->second - t->utc_offset;
}

/* A number, padded by `pad` to `width`; flag '-' means no padding, '_' spaces, '0' zeros. */
static void number(char *out, size_t cap, int64_t v, int width, char pad, char flag) {
    if (flag == '_') pad = ' ';
    if (flag == '0') pad = '0';
    if (flag == '-')
        snprintf(out, cap, "%lld", (long long)v);
    else
        snprintf(out, cap, pad == '0' ? "%0*lld" : "%*lld", width, (long long)v);
}

/* Directives that are shorthand for others */
static const char *shorthand(char c) {
    switch (c) {
    case 'c': return "%a %b %e %H:%M:%S %Y";
    case 'D':
    case 'x': return "%m/%d/%y";
    case 'F': return "%Y-%m-%d";
    case 'R': return "%H:%M";
    case 'r': return "%I:%M:%S %p";
    case 'T':
    case 'X': return "%H:%M:%S";
    default: return NULL;
    }
}

static bool name_of(const struct ig_template_time *t, char c, char *out, size_t cap) {
    const char *day = days[weekday(t)], *month = months[t->month - 1];
    switch (c) {
    case 'a': snprintf(out, cap, "%.3s", day); return true;
    case 'A': snprintf(out, cap, "%s", day); return true;
    case 'b':
    case 'h': snprintf(out, cap, "%.3s", month); return true;
    case 'B': snprintf(out, cap, "%s", month); return true;
    case 'p': snprintf(out, cap, "%s", t->hour < 12 ? "AM" : "PM"); return true;
    case 'P': snprintf(out, cap, "%s", t->hour < 12 ? "am" : "pm"); return true;
    case 'n': snprintf(out, cap, "\n"); return true;
    case 't': snprintf(out, cap, "\t"); return true;
    case 'f': snprintf(out, cap, "000000"); return true;
    case 'z':
    case 'Z': out[0] = 0; return true; /* a naive time has no zone */
    case '%': snprintf(out, cap, "%%"); return true;
    default: return false;
    }
}

static bool number_of(const struct ig_template_time *t, char c, char flag, char *out, size_t cap) {
    int year, week = iso_week(t, &year), yday = day_of_year(t), wday = weekday(t);
    int hour12 = t->hour % 12 ? t->hour % 12 : 12;
    int64_t v;
    int width = 2;
    char pad = '0';
    switch (c) {
    case 'Y': v = t->year, width = 1; break;
    case 'C': v = t->year / 100; break;
    case 'y': v = t->year % 100; break;
    case 'm': v = t->month; break;
    case 'd': v = t->day; break;
    case 'e': v = t->day, pad = ' '; break;
    case 'H': v = t->hour; break;
    case 'k': v = t->hour, pad = ' '; break;
    case 'I': v = hour12; break;
    case 'l': v = hour12, pad = ' '; break;
    case 'M': v = t->minute; break;
    case 'S': v = t->second; break;
    case 'j': v = yday + 1, width = 3; break;
    case 'u': v = wday ? wday : 7, width = 1; break;
    case 'w': v = wday, width = 1; break;
    case 'U': v = (yday + 7 - wday) / 7; break;
    case 'W': v = (yday + 7 - (wday + 6) % 7) / 7; break;
    case 'V': v = week; break;
    case 'G': v = year, width = 1; break;
    case 'g': v = year % 100; break;
    case 's': v = seconds_since_1970(t), width = 1; break;
    default: return false;
    }
    number(out, cap, v, width, pad, flag);
    return true;
}

static void change_case(char *s, char flag) {
    for (; flag == '^' && *s; s++)
        if (*s >= 'a' && *s <= 'z') *s = (char)(*s - 32);
}

/* `depth`: shorthands expand once */
static void put(struct tpl_sb *sb, const struct ig_template_time *t, struct ig_str f, bool input,
                unsigned depth) {
    for (size_t i = 0; i < f.n && !sb->st->code; i++) {
        size_t from = i;
        char text[64], flag = 0;
        if (f.p[i] != '%' || i + 1 == f.n) {
            ig_tpl_sb_add(sb, f.p + i, 1, input);
            continue;
        }
        i++;
        while (i + 1 < f.n && strchr("-_0^#", f.p[i]) && f.p[i]) flag = f.p[i++];
        const char *more = depth ? NULL : shorthand(f.p[i]);
        if (more) {
            put(sb, t, ig_str_of(more), input, 1);
        } else if (name_of(t, f.p[i], text, sizeof text) ||
                   number_of(t, f.p[i], flag, text, sizeof text)) {
            change_case(text, flag);
            ig_tpl_sb_z(sb, text);
        } else {
            ig_tpl_sb_add(sb, f.p + from, i + 1 - from, input);
        }
    }
}

bool ig_tpl_strftime(struct tpl_st *st, const struct tpl_str *format, struct tpl_val *out) {
    struct ig_template_time t = {0};
    struct tpl_sb sb;
    if (!st->env->local_time || !st->env->local_time(st->env->ud, &t))
        return ig_tpl_raise(st, "the template asks for the date, but no clock is there");
    if (t.month < 1 || t.month > 12 || t.day < 1 || t.day > 31 || t.year < 1 || t.year > 9999 ||
        t.hour < 0 || t.minute < 0 || t.second < 0)
        return ig_tpl_raise(st, "the clock gives an impossible date");
    ig_tpl_sb_init(&sb, st);
    put(&sb, &t, (struct ig_str){format->p, format->n}, ig_tpl_is_input(format), 0);
    return ig_tpl_sb_done(&sb, out);
}
