// Written by tools/bindings.py from include/ingle.h. Do not edit.

use core::ffi::{c_char, c_int, c_uint, c_void};

use crate::{Opaque, c_enum};

pub const INGLE_VERSION_MAJOR: u32 = 0;

pub const INGLE_VERSION_MINOR: u32 = 1;

pub const INGLE_VERSION_PATCH: u32 = 0;

pub type ingle_status = c_enum;

pub const INGLE_OK: ingle_status = 0;

/// the caller's mistake: an option, an index, a NULL
pub const INGLE_BAD_ARGUMENT: ingle_status = 1;

/// a file is damaged, truncated or not what it says it is
pub const INGLE_BAD_FILE: ingle_status = 2;

/// valid, but this version cannot run it
pub const INGLE_UNSUPPORTED: ingle_status = 3;

/// no such file, model, token or option
pub const INGLE_NOT_FOUND: ingle_status = 4;

/// the operating system refused a read or write
pub const INGLE_IO: ingle_status = 5;

/// allocation failed or the memory limit was reached
pub const INGLE_NO_MEMORY: ingle_status = 6;

/// the context is full, or another stated limit was reached
pub const INGLE_LIMIT: ingle_status = 7;

/// by `_cancel` or by a callback that returned non-zero
pub const INGLE_CANCELLED: ingle_status = 8;

/// used by another thread at this moment
pub const INGLE_BUSY: ingle_status = 9;

/// the chat template failed; raw completion still works
pub const INGLE_BAD_TEMPLATE: ingle_status = 10;

/// a request's JSON is malformed or a field is out of range
pub const INGLE_BAD_REQUEST: ingle_status = 11;

/// logits are not finite: damaged weights
pub const INGLE_NUMERIC: ingle_status = 12;

/// a GPU or its driver failed
pub const INGLE_DEVICE: ingle_status = 13;

/// a bug in ingle; please report it
pub const INGLE_INTERNAL: ingle_status = 14;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ingle_error {
    pub code: ingle_status,
    /// what and where, one line, no control characters
    pub message: [c_char; 512],
    /// what to do about it; may be empty
    pub hint: [c_char; 256],
}

pub type ingle_log_level = c_enum;

pub const INGLE_LOG_DEBUG: ingle_log_level = 0;

pub const INGLE_LOG_INFO: ingle_log_level = 1;

pub const INGLE_LOG_WARN: ingle_log_level = 2;

pub const INGLE_LOG_ERROR: ingle_log_level = 3;

/// One line without newline, valid during the call. May come from any thread.
pub type ingle_log_fn =
    Option<unsafe extern "C" fn(ud: *mut c_void, level: ingle_log_level, line: *const c_char)>;

/// All memory, in the manner of Lua: `now` == 0 frees `ptr`, `ptr` == NULL allocates, else resizes; NULL = failure.
/// `old` is the size asked for before. Must be thread safe. Mapped files do not pass through it.
pub type ingle_alloc_fn = Option<
    unsafe extern "C" fn(ud: *mut c_void, ptr: *mut c_void, old: usize, now: usize) -> *mut c_void,
>;

/// Called at least every 50 ms of long work with 0.0 \<= done \<= 1.0; non-zero cancels. `what` is static text.
pub type ingle_progress_fn =
    Option<unsafe extern "C" fn(ud: *mut c_void, what: *const c_char, done: f64) -> c_int>;

/// Takes a piece of text (whole code points). Non-zero stops the producer, which then returns INGLE_CANCELLED.
pub type ingle_text_fn =
    Option<unsafe extern "C" fn(ud: *mut c_void, text: *const c_char, len: usize) -> c_int>;

/// Named settings as strings: "threads" = "4", "context" = "8192", "temperature" = "0.7". The same names are command line
/// flags, INGLE_\* environment variables (read by the command line only) and request fields. ingle_options_describe lists them.
#[repr(C)]
#[derive(Debug)]
pub struct ingle_options {
    _opaque: Opaque,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ingle_option_info {
    /// "top-k"
    pub name: *const c_char,
    /// JSON field and environment name in lower case, "top_k"
    pub key: *const c_char,
    /// short command line flag without dash, "" if none
    pub flag: *const c_char,
    /// "model", "session", "sampling", "engine"
    pub group: *const c_char,
    /// "bool", "int", "float", "string", "choice"
    pub r#type: *const c_char,
    /// the value in force if never set
    pub initial: *const c_char,
    /// one line
    pub help: *const c_char,
    /// for "choice": "f16|f32|q8_0", else ""
    pub choices: *const c_char,
    /// for numbers, inclusive
    pub min: f64,
    /// for numbers, inclusive
    pub max: f64,
}

/// Read-only weights, vocabulary and template. Files are mapped, not copied.
#[repr(C)]
#[derive(Debug)]
pub struct ingle_model {
    _opaque: Opaque,
}

pub type ingle_model_view = c_enum;

/// one JSON object: family, sizes, context, memory needed, special tokens
pub const INGLE_VIEW_INFO: ingle_model_view = 0;

/// JSON object of all metadata keys (long arrays shortened)
pub const INGLE_VIEW_METADATA: ingle_model_view = 1;

/// JSON array of {name, type, shape, bytes}
pub const INGLE_VIEW_TENSORS: ingle_model_view = 2;

/// the chat template's source text, as it is in the file
pub const INGLE_VIEW_TEMPLATE: ingle_model_view = 3;

/// the op list that is executed, as text
pub const INGLE_VIEW_PLAN: ingle_model_view = 4;

/// BOS / EOS as the model wants them
pub const INGLE_ADD_SPECIAL: c_uint = 1;

/// special tokens written in the text become tokens; off for text of strangers
pub const INGLE_PARSE_SPECIAL: c_uint = 2;

#[repr(C)]
#[derive(Debug)]
pub struct ingle_engine {
    _opaque: Opaque,
}

pub type ingle_event_kind = c_enum;

/// prompt tokens done so far; text is empty
pub const INGLE_EVENT_PROGRESS: ingle_event_kind = 0;

/// a piece of the answer
pub const INGLE_EVENT_TEXT: ingle_event_kind = 1;

/// a piece of the thinking that precedes the answer
pub const INGLE_EVENT_REASONING: ingle_event_kind = 2;

/// last event of a request that ran; finish and counts are final
pub const INGLE_EVENT_DONE: ingle_event_kind = 3;

/// last event of a request that failed; error is set
pub const INGLE_EVENT_ERROR: ingle_event_kind = 4;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ingle_event {
    /// bytes of this struct: newer versions append fields
    pub size: u32,
    pub kind: ingle_event_kind,
    pub request: u64,
    /// valid during the callback
    pub text: *const c_char,
    pub len: usize,
    /// DONE: "stop", "length", "cancelled"; else ""
    pub finish: *const c_char,
    /// in the prompt
    pub prompt_tokens: i32,
    /// of those, not computed again
    pub cached_tokens: i32,
    /// of those, done so far
    pub prompt_done: i32,
    pub output_tokens: i32,
    pub prompt_seconds: f64,
    pub output_seconds: f64,
    pub error: *const ingle_error,
    /// computed ahead of their turn (option "speculate")
    pub guessed_tokens: i32,
    /// of those, how many came true
    pub accepted_tokens: i32,
}

/// Called on the engine's thread, one event at a time per engine. Non-zero cancels the request. Must not call into the
/// same engine except ingle_engine_cancel.
pub type ingle_event_fn =
    Option<unsafe extern "C" fn(ud: *mut c_void, event: *const ingle_event) -> c_int>;

/// Called with each text's embedding in order: values \[width\] f32, valid during the call, and the text's length in tokens.
/// Non-zero cancels.
pub type ingle_embedding_fn = Option<
    unsafe extern "C" fn(
        ud: *mut c_void,
        index: usize,
        values: *const f32,
        width: usize,
        tokens: i32,
    ) -> c_int,
>;

#[repr(C)]
#[derive(Debug)]
pub struct ingle_session {
    _opaque: Opaque,
}

/// Called with the logits \[vocab_size\] of each new position; non-zero cancels.
pub type ingle_logits_fn =
    Option<unsafe extern "C" fn(ud: *mut c_void, position: usize, logits: *const f32) -> c_int>;

pub type ingle_pooling = c_enum;

/// of all positions
pub const INGLE_POOL_MEAN: ingle_pooling = 0;

/// the last position: what decoder models are trained on
pub const INGLE_POOL_LAST: ingle_pooling = 1;

/// the first position (CLS)
pub const INGLE_POOL_FIRST: ingle_pooling = 2;

unsafe extern "C" {
    /// "0.1.0", static.
    pub fn ingle_version() -> *const c_char;
    /// Short English text for a status, static.
    pub fn ingle_status_text(status: ingle_status) -> *const c_char;
    /// The exit code the command line uses for a status (sysexits-like; see `ingle help exit-codes`).
    pub fn ingle_status_exit_code(status: ingle_status) -> c_int;
    pub fn ingle_options_new(out: *mut *mut ingle_options, err: *mut ingle_error) -> ingle_status;
    pub fn ingle_options_free(o: *mut ingle_options);
    /// `name` as "top-k" or "top_k". Checks type and bounds. The string is copied.
    pub fn ingle_options_set(
        o: *mut ingle_options,
        name: *const c_char,
        value: *const c_char,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// The value in force, or NULL for an unknown name. Valid until the next set of that name.
    pub fn ingle_options_get(o: *const ingle_options, name: *const c_char) -> *const c_char;
    /// Row `index` of the option table, NULL past its end. Static.
    pub fn ingle_options_describe(index: usize) -> *const ingle_option_info;
    pub fn ingle_options_on_log(
        o: *mut ingle_options,
        r#fn: ingle_log_fn,
        ud: *mut c_void,
        level: ingle_log_level,
    );
    pub fn ingle_options_on_progress(
        o: *mut ingle_options,
        r#fn: ingle_progress_fn,
        ud: *mut c_void,
    );
    /// Must be set before anything is opened with `o`; the hook must outlive what was opened.
    pub fn ingle_options_on_alloc(o: *mut ingle_options, r#fn: ingle_alloc_fn, ud: *mut c_void);
    /// `path`: a .gguf file (any part of a split one) or a folder with config.json and .safetensors files.
    /// `options` may be NULL and is not kept.
    pub fn ingle_model_open(
        out: *mut *mut ingle_model,
        path: *const c_char,
        options: *const ingle_options,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Sessions and engines of the model must be closed first.
    pub fn ingle_model_close(m: *mut ingle_model);
    /// Gives the memory of GPUs back: weights, keys and values, working buffers. Sessions stay as they are; the next pass
    /// brings there again what it needs. For programs that go idle. Waits for a pass that runs.
    pub fn ingle_model_rest(m: *mut ingle_model);
    /// Pushes the view as text. INGLE_NOT_FOUND if the model has none (a template).
    pub fn ingle_model_describe(
        m: *const ingle_model,
        view: ingle_model_view,
        r#fn: ingle_text_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    pub fn ingle_model_vocab_size(m: *const ingle_model) -> i32;
    /// positions it was trained for
    pub fn ingle_model_context_size(m: *const ingle_model) -> i32;
    /// of the hidden state
    pub fn ingle_model_width(m: *const ingle_model) -> i32;
    /// Writes at most `cap` ids and sets \*n to the number the text has: call with cap 0 to ask. INGLE_LIMIT if cap was too
    /// small and not 0 (what fits is written).
    pub fn ingle_tokenize(
        m: *const ingle_model,
        text: *const c_char,
        len: usize,
        flags: c_uint,
        ids: *mut i32,
        cap: usize,
        n: *mut usize,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Pushes the text of `n` ids. Invalid bytes become U+FFFD. With INGLE_PARSE_SPECIAL control tokens are spelled out.
    pub fn ingle_detokenize(
        m: *const ingle_model,
        ids: *const i32,
        n: usize,
        flags: c_uint,
        r#fn: ingle_text_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// The token's bytes as in the vocabulary (may be part of a code point); valid until the model is closed.
    pub fn ingle_token_bytes(
        m: *const ingle_model,
        id: i32,
        bytes: *mut *const c_char,
        len: *mut usize,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// 1 if generation ends at this token (EOS, EOT, ...).
    pub fn ingle_token_is_end(m: *const ingle_model, id: i32) -> c_int;
    /// Renders a chat: `json` has messages, tools, add_generation_prompt and any other variable the template knows.
    /// With `source` NULL the model's own template is used; with `m` NULL `source` is rendered without a model
    /// (bos_token and eos_token then come from the JSON).
    pub fn ingle_template_render(
        m: *const ingle_model,
        source: *const c_char,
        source_len: usize,
        json: *const c_char,
        json_len: usize,
        r#fn: ingle_text_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    pub fn ingle_engine_open(
        out: *mut *mut ingle_engine,
        m: *const ingle_model,
        options: *const ingle_options,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Cancels what runs, delivers the last events, frees.
    pub fn ingle_engine_close(e: *mut ingle_engine);
    /// Queues a request: {"messages": \[...\]} or {"prompt": "..."} with max_tokens, stop, seed, temperature, top_p and every
    /// option of group "sampling" by its key. Unknown fields are ignored. Returns at once; \*id names the request. Safe from any thread.
    pub fn ingle_engine_submit(
        e: *mut ingle_engine,
        json: *const c_char,
        len: usize,
        r#fn: ingle_event_fn,
        ud: *mut c_void,
        id: *mut u64,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Blocks until the request has delivered its last event. Returns its outcome.
    pub fn ingle_engine_wait(e: *mut ingle_engine, id: u64, err: *mut ingle_error) -> ingle_status;
    /// submit and wait in one call.
    pub fn ingle_engine_run(
        e: *mut ingle_engine,
        json: *const c_char,
        len: usize,
        r#fn: ingle_event_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// From any thread. Unknown or finished ids are ignored; 0 cancels all.
    pub fn ingle_engine_cancel(e: *mut ingle_engine, id: u64);
    /// Embeds texts: {"input": text, \[texts\], \[ids\] or \[\[ids\]\], "pooling": "mean" (default), "last" or "first",
    /// "normalize": true (default; to length 1), "dimensions": n (the first n values only; default all)}. Queued like a request; blocks
    /// until done; fn is called on the engine's thread. ingle_engine_cancel(e, 0) ends it. The engine's conversation stays as it is.
    pub fn ingle_engine_embed(
        e: *mut ingle_engine,
        json: *const c_char,
        len: usize,
        r#fn: ingle_embedding_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Keeps the engine's conversation (tokens and KV) in a file, and takes it up again. Not while a request runs.
    pub fn ingle_engine_save(
        e: *mut ingle_engine,
        path: *const c_char,
        err: *mut ingle_error,
    ) -> ingle_status;
    pub fn ingle_engine_load(
        e: *mut ingle_engine,
        path: *const c_char,
        err: *mut ingle_error,
    ) -> ingle_status;
    pub fn ingle_session_open(
        out: *mut *mut ingle_session,
        m: *const ingle_model,
        options: *const ingle_options,
        err: *mut ingle_error,
    ) -> ingle_status;
    pub fn ingle_session_close(s: *mut ingle_session);
    /// Makes the timeline equal to ids\[0..n): keeps the longest common prefix it already holds, forgets the rest, computes
    /// what is missing. Afterwards ingle_session_logits are those of ids\[n - 1\]. n >= 1.
    pub fn ingle_session_sync(
        s: *mut ingle_session,
        ids: *const i32,
        n: usize,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Appends one token.
    pub fn ingle_session_step(
        s: *mut ingle_session,
        id: i32,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Appends ids\[i\] to sessions\[i\], each a different one, in one pass over the weights: n answers for little more than the time of
    /// one. Results are the bits each session would get alone. All are sessions of one model with the same "cpu" and "kv", used by the
    /// calling thread alone; n \<= the first one's "batch", whose threads compute. ingle_session_cancel of the first ends the call.
    /// On failure no timeline has changed, and logits stay.
    pub fn ingle_sessions_step(
        sessions: *const *mut ingle_session,
        ids: *const i32,
        n: usize,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Row of vocab_size floats for the last token; valid until the next call on the session. NULL before the first sync.
    pub fn ingle_session_logits(s: *const ingle_session) -> *const f32;
    /// Like ingle_session_sync but delivers the logits of every position it computes (from a fresh timeline: all).
    pub fn ingle_session_sync_each(
        s: *mut ingle_session,
        ids: *const i32,
        n: usize,
        r#fn: ingle_logits_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Computes ids\[0..n) from a fresh timeline and writes the pooled hidden state after the final norm to out
    /// \[ingle_model_width\]; not normalised. No logits are computed.
    pub fn ingle_session_embed(
        s: *mut ingle_session,
        ids: *const i32,
        n: usize,
        pooling: ingle_pooling,
        out: *mut f32,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Chooses the next token from the logits with the session's sampling options, and remembers it for penalties. Does not append it.
    pub fn ingle_session_sample(
        s: *mut ingle_session,
        id: *mut i32,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Tokens held; pointer valid until the next call on the session.
    pub fn ingle_session_tokens(s: *const ingle_session, n: *mut usize) -> *const i32;
    /// From any thread: makes the running call return INGLE_CANCELLED within 50 ms. The timeline keeps what was finished.
    pub fn ingle_session_cancel(s: *mut ingle_session);
    /// Tokens and KV with a checksum. Loading needs the same model and KV type; anything else is refused.
    pub fn ingle_session_save(
        s: *mut ingle_session,
        path: *const c_char,
        err: *mut ingle_error,
    ) -> ingle_status;
    pub fn ingle_session_load(
        s: *mut ingle_session,
        path: *const c_char,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Bytes this session holds for KV and scratch.
    pub fn ingle_session_bytes(s: *const ingle_session) -> usize;
    /// Pushes a JSON array of what this machine could compute on, the CPU first, then GPUs, best first: {"id": "cpu" or "cuda0",
    /// "kind": "cpu" or "gpu", "name", "threads", "cores": physical performance cores, the default number of threads (CPU only),
    /// "memory_bytes", "kernels": instruction set (CPU only), "usable": bool, "automatic": may be chosen without being named,
    /// "reason": why it is not usable or not automatic, else ""}, and for GPUs "backend": "cuda", "metal" or "opencl", "driver",
    /// "units", "memory_free_bytes", "software": computes on the CPU, "unified": shares the CPU's memory. Opens the drivers.
    pub fn ingle_devices(
        r#fn: ingle_text_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Pushes a JSON report: {"version", "system", "devices", "backends": \[{"name", "devices": how many, "reason": why none}\],
    /// "model": what `m` needs, whether it fits, and its "placement" with these options (null without a model), "speed": measured
    /// memory bandwidth and the tokens a second it allows, for the CPU and under "devices" for each usable GPU with the share of
    /// the model that its memory holds, "problems": \[{"severity": "error", "warning" or "note", "what", "hint"}\]}. Measures for
    /// about 100 ms, and up to three seconds where there are GPUs. `m` and `options` may be NULL.
    pub fn ingle_doctor(
        m: *const ingle_model,
        options: *const ingle_options,
        r#fn: ingle_text_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Row `index` of the list of model families, NULL past its end: general.architecture of GGUF files. \*model_types (may be
    /// NULL) becomes the model_type names in config.json that mean it, separated by spaces. Static.
    pub fn ingle_family_name(index: usize, model_types: *mut *const c_char) -> *const c_char;
    /// Row `index` of the list of block types, NULL past its end: "Q4_K" and its weights and bytes per block. Static.
    pub fn ingle_quant_name(index: usize, weights: *mut i32, bytes: *mut i32) -> *const c_char;
    /// Name in any case. `n` blocks of bytes to n \* weights floats.
    pub fn ingle_quant_decode(
        r#type: *const c_char,
        blocks: *const c_void,
        n: usize,
        out: *mut f32,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// The reverse; INGLE_UNSUPPORTED for types that have no encoder.
    pub fn ingle_quant_encode(
        r#type: *const c_char,
        r#in: *const f32,
        n: usize,
        blocks: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
}
