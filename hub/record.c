/* Records: written whole and renamed into place, read with suspicion. A record that does not parse
 * counts as none, so the model it belonged to is like one that was put there by hand. */
#include "record.h"

#include "base/json.h"
#include "file_names.h"
#include "os/part.h"
#include "url.h"

enum { MAX_RECORD = 4 << 20, MAX_RECORD_FILES = 2000 };

static const char *text(struct ig_call *c, const struct ig_json *j, const char *key, bool *ok) {
    struct ig_str s = ig_json_str(ig_json_get(j, key), "");
    const char *p = ig_arena_copy(&c->arena, s.p, s.n);
    *ok = *ok && p && strlen(p) == s.n;
    return p;
}

static bool is_key(const char *s) {
    return strlen(s) == 32 && strspn(s, "0123456789abcdef") == 32;
}

static bool parse_files(struct ig_call *c, const struct ig_json *list, struct ig_record *out) {
    if (!ig_json_is(list, IG_JSON_ARRAY) || !list->count || list->count > MAX_RECORD_FILES)
        return false;
    out->files = ig_arena_calloc(&c->arena, list->count, sizeof *out->files);
    if (!out->files) return false;
    for (const struct ig_json *f = list->child; f; f = f->next) {
        bool ok = true;
        struct ig_record_file *r = &out->files[out->n++];
        r->name = text(c, f, "name", &ok);
        r->sha256 = text(c, f, "sha256", &ok);
        r->oid = text(c, f, "oid", &ok);
        r->bytes = ig_json_i64(ig_json_get(f, "bytes"), -1);
        if (!ok || !ig_hub_name_is_safe(ig_str_of(r->name)) || r->bytes < -1) return false;
        if (r->sha256[0] && !ig_hub_is_sha256(ig_str_of(r->sha256))) return false;
    }
    return true;
}

bool ig_record_parse(struct ig_call *c, struct ig_str json, struct ig_record *out) {
    const struct ig_json *j;
    struct ig_json_limits limits = {.depth = 8};
    bool ok = true;
    *out = (struct ig_record){0};
    if (ig_json_parse(&c->arena, json, &limits, &j, NULL)) return false;
    if (ig_json_i64(ig_json_get(j, "version"), 0) != 1) return false;
    out->name = text(c, j, "name", &ok);
    out->key = text(c, j, "key", &ok);
    out->format = text(c, j, "format", &ok);
    out->source = text(c, j, "source", &ok);
    out->repo = text(c, j, "repo", &ok);
    out->revision = text(c, j, "revision", &ok);
    out->commit = text(c, j, "commit", &ok);
    out->endpoint = text(c, j, "endpoint", &ok);
    out->time = ig_json_i64(ig_json_get(j, "time"), 0);
    if (!ok || !is_key(out->key) || !ig_hub_name_is_safe(ig_str_of(out->name))) return false;
    if (strcmp(out->format, "gguf") != 0 && strcmp(out->format, "safetensors") != 0) return false;
    return parse_files(c, ig_json_get(j, "files"), out);
}

ingle_status ig_record_read(struct ig_call *c, const char *path, const struct ig_record **out,
                            ingle_error *err) {
    *out = NULL;
    struct ig_part *file;
    int64_t size = ig_os_file_size(path);
    size_t got = 0;
    if (size <= 0 || size > MAX_RECORD || ig_os_part_open_read(&file, c->mem, path, NULL))
        return INGLE_OK;
    char *p = ig_arena_alloc(&c->arena, (size_t)size);
    struct ig_record *r = ig_arena_alloc(&c->arena, sizeof *r);
    bool read = p && r && ig_os_part_read(file, 0, p, (size_t)size, &got, NULL) == INGLE_OK;
    ig_os_part_close(file);
    if (!p || !r) return ig_fail_memory(err, (size_t)size);
    if (read && ig_record_parse(c, (struct ig_str){p, got}, r)) *out = r;
    return INGLE_OK;
}

static void put(struct ig_buf *b, const char *before, const char *value) {
    ig_buf_z(b, before);
    ig_json_put_str(b, ig_str_of(value ? value : ""));
}

void ig_record_put(struct ig_buf *b, const struct ig_record *r) {
    put(b, "{\"version\":1,\"name\":", r->name);
    put(b, ",\"key\":", r->key);
    put(b, ",\"format\":", r->format);
    put(b, ",\"source\":", r->source);
    put(b, ",\"endpoint\":", r->endpoint);
    put(b, ",\"repo\":", r->repo);
    put(b, ",\"revision\":", r->revision);
    put(b, ",\"commit\":", r->commit);
    ig_buf_f(b, ",\"time\":%lld,\"files\":[", (long long)r->time);
    for (size_t i = 0; i < r->n; i++) {
        put(b, i ? ",\n{\"name\":" : "\n{\"name\":", r->files[i].name);
        ig_buf_f(b, ",\"bytes\":%lld", (long long)r->files[i].bytes);
        put(b, ",\"sha256\":", r->files[i].sha256);
        put(b, ",\"oid\":", r->files[i].oid);
        ig_buf_z(b, "}");
    }
    ig_buf_z(b, "]}\n");
}

ingle_status ig_record_write(struct ig_call *c, const char *path, const struct ig_record *r,
                             ingle_error *err) {
    struct ig_buf b = {.mem = c->mem};
    struct ig_file *file = NULL;
    ig_record_put(&b, r);
    ingle_status s = b.failed ? ig_fail_memory(err, b.n) : ig_os_create(&file, c->mem, path, err);
    if (!s) s = ig_os_write(file, b.p, b.n, err);
    if (!s)
        s = ig_os_commit(file, err);
    else
        ig_os_discard(file);
    ig_buf_free(&b);
    return s;
}

int64_t ig_record_bytes(const struct ig_record *r) {
    int64_t sum = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (r->files[i].bytes < 0 || sum > INT64_MAX - r->files[i].bytes) return -1;
        sum += r->files[i].bytes;
    }
    return sum;
}
