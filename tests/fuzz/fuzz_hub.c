/* What the model store reads from the network and from its own folder: lists of files, names, URLs,
 * headers, journals, records. The first byte says which. What comes out must keep its promises:
 * safe names, URLs that parse again. */
#include <stdint.h>
#include <stdlib.h>
#include "hub/choice.h"
#include "hub/file_names.h"
#include "hub/journal.h"
#include "hub/record.h"
#include "hub/source.h"
#include "hub/url.h"

static void list(struct ig_call *c, struct ig_str text) {
    static const char *const wishes[] = {NULL, "Q4_K_M", "*q*", "safetensors", "a.gguf"};
    struct ig_remote_list all = {0};
    enum ig_model_format format;
    if (ig_tree_add(c, text, &all, NULL)) return;
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        struct ig_remote_list out = {0};
        if (ig_choose(c, &all, "o/r", wishes[i], &out, &format, NULL)) continue;
        if (!out.n) abort();
        for (size_t k = 0; k < out.n; k++) {
            if (!ig_hub_name_is_safe(ig_str_of(out.files[k].name))) abort();
            for (size_t m = 0; m < k; m++)
                if (ig_hub_same_name(ig_str_of(out.files[k].name), ig_str_of(out.files[m].name)))
                    abort();
        }
    }
}

static void names(struct ig_call *c, struct ig_str text) {
    struct ig_buf b = {.mem = c->mem};
    struct ig_str stem;
    unsigned part, parts;
    if (!ig_hub_make_safe(&b, text) || !ig_hub_name_is_safe(ig_buf_view(&b))) abort();
    if (ig_hub_name_is_safe(text) && !ig_str_eq(text, ig_buf_view(&b))) abort();
    if (ig_hub_split(text, &stem, &part, &parts) && (!part || part > parts || !stem.n)) abort();
    struct ig_str type = ig_hub_type_of(text);
    if (type.n && !ig_hub_has_type(text, type)) abort();
    if (!ig_hub_glob(IG_STR("*"), text)) abort();
    size_t half = text.n / 2;
    ig_hub_glob((struct ig_str){text.p, half}, (struct ig_str){text.p + half, text.n - half});
    ig_buf_free(&b);
}

static void urls(struct ig_call *c, struct ig_str text) {
    struct ig_buf b = {.mem = c->mem};
    struct ig_url u;
    const char *why;
    if (ig_url_join(&b, IG_STR("https://a.example/b/c?d"), text)) {
        if (!ig_url_parse(ig_buf_view(&b), &u, &why)) abort();
        for (size_t i = 0; i < b.n; i++)
            if (b.p[i] <= ' ' || b.p[i] >= 0x7f) abort();
        ig_url_is_private(&u);
    }
    ig_url_parse(text, &u, &why);
    ig_buf_clear(&b);
    ig_url_unescape(&b, text);
    ig_buf_free(&b);
}

static void headers(struct ig_call *c, struct ig_str text) {
    char *z = ig_arena_copy(&c->arena, text.p, text.n);
    struct ig_buf b = {.mem = c->mem};
    int64_t first, last, total;
    if (!z) return;
    if (ig_header_range(ig_header(z, "content-range"), &first, &last, &total) &&
        (last < first || (total >= 0 && total <= last)))
        abort();
    ig_header_retry_after(ig_header(z, "retry-after"), 1000000000);
    ig_header_next_link(ig_header(z, "link"));
    if (ig_header_file_name(&b, ig_header(z, "content-disposition")) && !b.n) abort();
    ig_buf_free(&b);
}

static void journal(struct ig_call *c, struct ig_str text) {
    struct ig_journal j;
    ig_journal_begin(&j, c->mem);
    if (ig_journal_parse(&j, text)) {
        if (j.size < 0) abort();
        for (size_t i = 0; i < j.pieces; i++)
            if (!ig_journal_bytes(&j, i) || ig_journal_bytes(&j, i) > IG_PIECE) abort();
    }
    ig_journal_end(&j);
}

static void record(struct ig_call *c, struct ig_str text) {
    struct ig_record r, again;
    struct ig_buf b = {.mem = c->mem};
    if (ig_record_parse(c, text, &r)) {
        for (size_t i = 0; i < r.n; i++)
            if (!ig_hub_name_is_safe(ig_str_of(r.files[i].name))) abort();
        ig_record_bytes(&r);
        ig_record_put(&b, &r);
        if (!b.failed && !ig_record_parse(c, ig_buf_view(&b), &again)) abort();
    }
    ig_buf_free(&b);
}

static void source(struct ig_call *c, struct ig_str text) {
    struct ig_source s;
    char *z = ig_arena_copy(&c->arena, text.p, text.n);
    if (z && ig_source_parse(c, z, &s, NULL) == INGLE_OK && !s.is_url &&
        (!s.repo || strstr(s.repo, "..")))
        abort();
    if (z) ig_source_is_repo(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const readers[])(struct ig_call *, struct ig_str) = {
        list, names, urls, headers, journal, record, source};
    struct ig_mem mem = {.limit = 256u << 20};
    struct ig_call c = {.mem = &mem, .arena = {.mem = &mem}, .models = "/m", .own = "/m/.hub"};
    c.set.endpoint = "https://huggingface.co";
    c.set.token = c.set.user_agent = "";
    if (!size) return 0;
    readers[(data[0] + 98u - 'a') % 7](&c, (struct ig_str){(const char *)data + 1, size - 1});
    ig_arena_free(&c.arena);
    if (ig_mem_used(&mem)) abort();
    return 0;
}
