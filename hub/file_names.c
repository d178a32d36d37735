/* Names of files and models.
 *
 * Promises: what ig_hub_name_is_safe lets through is one path element on Linux, macOS and Windows
 * alike, so a name that came from the network cannot leave the store. Does not know: where a name
 * came from. */
#include "file_names.h"

#include "base/utf8.h"

static char lower(char c) {
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_word(char c) {
    return is_digit(c) || c == '_' || (lower(c) >= 'a' && lower(c) <= 'z');
}

bool ig_hub_same_name(struct ig_str a, struct ig_str b) {
    return a.n == b.n && ig_hub_starts(a, b);
}

bool ig_hub_starts(struct ig_str text, struct ig_str start) {
    if (start.n > text.n) return false;
    for (size_t i = 0; i < start.n; i++)
        if (lower(text.p[i]) != lower(start.p[i])) return false;
    return true;
}

/* CON, NUL, COM1 ... with any extension are devices on Windows. */
static bool is_reserved(struct ig_str name) {
    static const char *const devices[] = {"con", "prn", "aux", "nul", "conin$", "conout$"};
    size_t n = 0;
    while (n < name.n && name.p[n] != '.') n++;
    while (n && name.p[n - 1] == ' ') n--;
    struct ig_str stem = {name.p, n};
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        if (ig_hub_same_name(stem, ig_str_of(devices[i]))) return true;
    bool port = ig_hub_starts(stem, IG_STR("com")) || ig_hub_starts(stem, IG_STR("lpt"));
    /* also with a superscript 1, 2 or 3 */
    return port &&
           ((n == 4 && is_digit(stem.p[3])) || (n == 5 && (unsigned char)stem.p[3] == 0xc2));
}

static bool is_bad_char(uint32_t c) {
    if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029) return true;
    if ((c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
        return true; /* turn the reading order */
    return c < 0x80 && strchr("/\\:*?\"<>|", (int)c);
}

bool ig_hub_name_is_safe(struct ig_str name) {
    if (!name.n || name.n > IG_HUB_NAME_MAX || name.p[0] == '.' || name.p[0] == '-' ||
        name.p[0] == ' ')
        return false;
    if (name.p[name.n - 1] == '.' || name.p[name.n - 1] == ' ' || is_reserved(name)) return false;
    for (size_t i = 0; i < name.n;) {
        uint32_t c;
        unsigned n = ig_utf8_decode(name.p + i, name.n - i, &c);
        if (!n || is_bad_char(c)) return false;
        i += n;
    }
    return true;
}

bool ig_hub_make_safe(struct ig_buf *out, struct ig_str name) {
    size_t from = out->n;
    if (!name.n || name.p[0] == '.' || name.p[0] == '-' || name.p[0] == ' ' || is_reserved(name))
        ig_buf_ch(out, '_');
    for (size_t i = 0; i < name.n;) {
        uint32_t c;
        unsigned n = ig_utf8_decode(name.p + i, name.n - i, &c);
        bool bad = !n || is_bad_char(c);
        if (!n) n = 1;
        if (out->n - from + n > IG_HUB_NAME_MAX) break;
        if (bad)
            ig_buf_ch(out, '_');
        else
            ig_buf_add(out, name.p + i, n);
        i += n;
    }
    while (!out->failed && out->n > from &&
           (out->p[out->n - 1] == '.' || out->p[out->n - 1] == ' '))
        out->p[out->n - 1] = '_';
    return !out->failed;
}

/* One place to come back to is enough: a later '*' makes an earlier one's choice irrelevant. */
bool ig_hub_glob(struct ig_str pattern, struct ig_str text) {
    size_t p = 0, t = 0, star = SIZE_MAX, resume = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.n &&
                   (pattern.p[p] == '?' || lower(pattern.p[p]) == lower(text.p[t]))) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}

struct ig_str ig_hub_base_name(struct ig_str path) {
    size_t at = path.n;
    while (at && path.p[at - 1] != '/') at--;
    return (struct ig_str){path.p + at, path.n - at};
}

bool ig_hub_is_gguf(struct ig_str name) {
    return name.n > 5 && ig_hub_same_name((struct ig_str){name.p + name.n - 5, 5}, IG_STR(".gguf"));
}

static bool five_digits(const char *p, unsigned *out) {
    *out = 0;
    for (int i = 0; i < 5; i++) {
        if (!is_digit(p[i])) return false;
        *out = *out * 10 + (unsigned)(p[i] - '0');
    }
    return true;
}

bool ig_hub_split(struct ig_str name, struct ig_str *stem, unsigned *part, unsigned *parts) {
    enum { TAIL = sizeof "-00001-of-00003.gguf" - 1 };
    if (name.n <= TAIL || !ig_hub_is_gguf(name)) return false;
    const char *tail = name.p + name.n - TAIL;
    if (tail[0] != '-' || memcmp(tail + 6, "-of-", 4) != 0) return false;
    if (!five_digits(tail + 1, part) || !five_digits(tail + 10, parts)) return false;
    if (!*part || *part > *parts) return false;
    *stem = (struct ig_str){name.p, name.n - TAIL};
    return true;
}

struct ig_str ig_hub_model_name(struct ig_str file) {
    struct ig_str stem;
    unsigned part, parts;
    if (ig_hub_split(file, &stem, &part, &parts)) return stem;
    if (ig_hub_is_gguf(file)) file.n -= 5;
    return file;
}

/* ---- block types in names ---- */

bool ig_hub_has_type(struct ig_str path, struct ig_str type) {
    if (!type.n) return false;
    for (size_t i = 0; i + type.n <= path.n; i++) {
        if (i && is_word(path.p[i - 1])) continue;
        if (i + type.n < path.n && is_word(path.p[i + type.n])) continue;
        if (ig_hub_same_name((struct ig_str){path.p + i, type.n}, type)) return true;
    }
    return false;
}

int ig_hub_word_index(const char *list, struct ig_str word) {
    for (int index = 0; *list; index++) {
        size_t n = strcspn(list, " ");
        if (ig_hub_same_name((struct ig_str){list, n}, word)) return index;
        list += n + (list[n] == ' ');
    }
    return -1;
}

/* Q4_K_M, IQ2_XXS, TQ1_0, MXFP4, NVFP4, F16, BF16, F32, FP16 */
bool ig_hub_looks_like_type(struct ig_str word) {
    if (ig_hub_word_index("f16 bf16 f32 fp16 fp32 f64 mxfp4 mxfp4_moe nvfp4", word) >= 0)
        return true;
    size_t at = word.n && (lower(word.p[0]) == 'i' || lower(word.p[0]) == 't');
    if (word.n < at + 4 || lower(word.p[at]) != 'q' || !is_digit(word.p[at + 1]) ||
        word.p[at + 2] != '_')
        return false;
    return true;
}

static struct ig_str last_type(struct ig_str text) {
    struct ig_str found = {text.p, 0};
    for (size_t i = 0; i < text.n;) {
        size_t n = 0;
        while (i + n < text.n && is_word(text.p[i + n])) n++;
        struct ig_str word = {text.p + i, n};
        if (n && ig_hub_looks_like_type(word)) found = word;
        i += n ? n : 1;
    }
    return found;
}

struct ig_str ig_hub_type_of(struct ig_str path) {
    struct ig_str base = last_type(ig_hub_model_name(ig_hub_base_name(path)));
    return base.n ? base : last_type(path);
}
