/* Streams an answer:  answer MODEL "Why is the sky blue?" */
#include <ingle.h>
#include <stdio.h>

static int on_event(void *ud, const ingle_event *event) {
    (void)ud;
    if (event->kind == INGLE_EVENT_TEXT) fwrite(event->text, 1, event->len, stdout);
    return fflush(stdout); /* not zero: stop */
}

/* The question as a JSON string. */
static size_t request(char *json, size_t cap, const char *question) {
    size_t n = (size_t)sprintf(json, "{\"messages\": [{\"role\": \"user\", \"content\": \"");
    for (const char *p = question; *p && n + 8 < cap; p++) {
        if (*p == '"' || *p == '\\') json[n++] = '\\';
        json[n++] = (unsigned char)*p < ' ' ? ' ' : *p;
    }
    return n + (size_t)sprintf(json + n, "\"}]}");
}

int main(int argc, char **argv) {
    ingle_error err;
    ingle_model *model = NULL;
    ingle_engine *engine = NULL;
    char json[4096];
    if (argc != 3 || ingle_model_open(&model, argv[1], NULL, &err) != INGLE_OK) goto failed;
    if (ingle_engine_open(&engine, model, NULL, &err) != INGLE_OK) goto failed;
    size_t n = request(json, sizeof json, argv[2]);
    if (ingle_engine_run(engine, json, n, on_event, NULL, &err) != INGLE_OK) goto failed;
    ingle_engine_close(engine);
    ingle_model_close(model);
    return 0;
failed:
    fprintf(stderr, argc == 3 ? "%s (%s)\n" : "usage: answer MODEL QUESTION\n", err.message, err.hint);
    return 1;
}
