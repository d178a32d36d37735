// Written by tools/bindings.py. Do not edit.

rows! {
    ingle_error { code, message, hint }
    ingle_option_info { name, key, flag, group, r#type, initial, help, choices, min, max }
    ingle_event { size, kind, request, text, len, finish, prompt_tokens, cached_tokens, prompt_done, output_tokens, prompt_seconds, output_seconds, error, guessed_tokens, accepted_tokens }
    ingle_http_request { size, method, url, headers }
    ingle_http_response { size, status, headers }
    ingle_http_sink { ud, head, body }
    ingle_hub_progress { size, phase, file, file_index, files, bytes_done, bytes_total, bytes_resumed, bytes_per_second, seconds_left }
}

values! {
    INGLE_OK
    INGLE_BAD_ARGUMENT
    INGLE_BAD_FILE
    INGLE_UNSUPPORTED
    INGLE_NOT_FOUND
    INGLE_IO
    INGLE_NO_MEMORY
    INGLE_LIMIT
    INGLE_CANCELLED
    INGLE_BUSY
    INGLE_BAD_TEMPLATE
    INGLE_BAD_REQUEST
    INGLE_NUMERIC
    INGLE_DEVICE
    INGLE_INTERNAL
    INGLE_LOG_DEBUG
    INGLE_LOG_INFO
    INGLE_LOG_WARN
    INGLE_LOG_ERROR
    INGLE_VIEW_INFO
    INGLE_VIEW_METADATA
    INGLE_VIEW_TENSORS
    INGLE_VIEW_TEMPLATE
    INGLE_VIEW_PLAN
    INGLE_ADD_SPECIAL
    INGLE_PARSE_SPECIAL
    INGLE_EVENT_PROGRESS
    INGLE_EVENT_TEXT
    INGLE_EVENT_REASONING
    INGLE_EVENT_DONE
    INGLE_EVENT_ERROR
    INGLE_POOL_MEAN
    INGLE_POOL_LAST
    INGLE_POOL_FIRST
    INGLE_VERSION_MAJOR
    INGLE_VERSION_MINOR
    INGLE_VERSION_PATCH
}
