/* Names of files and models: which may become a path, what they say about the content. */
#ifndef IG_HUB_FILE_NAMES_H
#define IG_HUB_FILE_NAMES_H

#include "base/str.h"

enum { IG_HUB_NAME_MAX = 200 };

/* May this be the name of a file in the store, on every system? One path element of valid UTF-8; no
 * control characters, separators or reserved names; not hidden; no dot or space at its end; at most
 * IG_HUB_NAME_MAX bytes. */
bool ig_hub_name_is_safe(struct ig_str name);
/* Makes any bytes a safe name: bad characters become '_'. false only if memory is out. */
bool ig_hub_make_safe(struct ig_buf *out, struct ig_str name);

/* '*' any run of characters, '?' one; '/' is a character like others. ASCII letters match in any
 * case. */
bool ig_hub_glob(struct ig_str pattern, struct ig_str text);
bool ig_hub_same_name(struct ig_str a, struct ig_str b);     /* ASCII letters in any case */
bool ig_hub_starts(struct ig_str text, struct ig_str start); /* likewise */

struct ig_str ig_hub_base_name(struct ig_str path); /* after the last '/' */
bool ig_hub_is_gguf(struct ig_str name);            /* ends in .gguf, in any case */

/* "x-00002-of-00003.gguf": true, *stem = "x", *part = 2, *parts = 3. Numbers have five digits. */
bool ig_hub_split(struct ig_str name, struct ig_str *stem, unsigned *part, unsigned *parts);
/* The model's name: without ".gguf" and without the number of a part. */
struct ig_str ig_hub_model_name(struct ig_str file);

/* Does the path of a GGUF file name this block type ("Q4_K_M", any case) as a word of its own? */
bool ig_hub_has_type(struct ig_str path, struct ig_str type);
/* The block type that the base name ends with ("Q4_K_M", "F16"), else the one in a folder's name;
 * empty if none. */
struct ig_str ig_hub_type_of(struct ig_str path);
/* Where `word` stands in a list of words with spaces between, in any case; -1 if it does not. */
int ig_hub_word_index(const char *list, struct ig_str word);
bool ig_hub_looks_like_type(struct ig_str word);

#endif
