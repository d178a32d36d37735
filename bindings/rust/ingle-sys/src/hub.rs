// Written by tools/bindings.py from hub/hub.h. Do not edit.

use core::ffi::{c_char, c_int, c_void};

use crate::{Opaque, bindings::*};

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ingle_http_request {
    /// bytes of this struct: newer versions append fields
    pub size: u32,
    /// "GET"
    pub method: *const c_char,
    /// http:// or https://, ASCII, without fragment and user name
    pub url: *const c_char,
    /// "Name: value\n" lines, all that are to be sent; may be empty
    pub headers: *const c_char,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ingle_http_response {
    pub size: u32,
    /// 200, 206, 302, ...
    pub status: i32,
    /// "name: value\n" lines, names in lower case; valid during the call
    pub headers: *const c_char,
}

/// Where the answer goes. When one of the functions returns non-zero the transport drops the connection and returns
/// INGLE_CANCELLED at once.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ingle_http_sink {
    pub ud: *mut c_void,
    /// Once, before any body: the final response, not 1xx and not a proxy's.
    pub head: Option<
        unsafe extern "C" fn(ud: *mut c_void, response: *const ingle_http_response) -> c_int,
    >,
    /// Pieces of the body in order, not decompressed. n == 0 is a heartbeat: call it at least every 20 ms, from the first
    /// moment (name look-up, connecting) to the last.
    pub body:
        Option<unsafe extern "C" fn(ud: *mut c_void, bytes: *const c_void, n: usize) -> c_int>,
}

/// Performs `request` and returns INGLE_OK once the whole body was delivered, whatever the status. Must not follow
/// redirects, must verify certificates, must notice a body that is shorter than its Content-Length. INGLE_IO: the network
/// failed (connect, cut, time-out), the hub tries again. Any other code ends the pull, for example INGLE_UNSUPPORTED for a
/// certificate that is not trusted. Called from several threads at once.
pub type ingle_http_fn = Option<
    unsafe extern "C" fn(
        ud: *mut c_void,
        request: *const ingle_http_request,
        sink: *const ingle_http_sink,
        err: *mut ingle_error,
    ) -> ingle_status,
>;

#[repr(C)]
#[derive(Debug)]
pub struct ingle_hub {
    _opaque: Opaque,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ingle_hub_progress {
    pub size: u32,
    /// "resolve": asks the endpoint; "wait": another program pulls the same, bytes_done is its
    /// progress; "download"; "verify": hashes what is there; "done"
    pub phase: *const c_char,
    /// the present one, "" while there is none; valid during the call
    pub file: *const c_char,
    /// 0 .. files - 1
    pub file_index: i32,
    /// 0 while unknown
    pub files: i32,
    /// of the whole pull (verify: of the whole check), resumed bytes included
    pub bytes_done: i64,
    /// -1 = unknown
    pub bytes_total: i64,
    /// of bytes_done, there from an earlier pull
    pub bytes_resumed: i64,
    pub bytes_per_second: f64,
    /// -1 = unknown
    pub seconds_left: f64,
}

/// At least every 50 ms; non-zero cancels: the call returns INGLE_CANCELLED and what was received stays for the next pull.
pub type ingle_hub_progress_fn =
    Option<unsafe extern "C" fn(ud: *mut c_void, p: *const ingle_hub_progress) -> c_int>;

unsafe extern "C" {
    /// `http` may be NULL: everything but pulling works. `ud` must outlive the hub.
    pub fn ingle_hub_open(
        out: *mut *mut ingle_hub,
        http: ingle_http_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// No call may be running.
    pub fn ingle_hub_close(h: *mut ingle_hub);
    /// Settings; a call that is running keeps those it began with.
    /// "home"           folder that holds models/; "" = INGLE_HOME, or .local/share/ingle in the user's home folder
    /// "endpoint"       <https://huggingface.co>; a mirror with the same API
    /// "token"          access token for the endpoint, "" = none. Not sent over plain http except to this machine
    /// "offline"        true | false: a pull answers from the store or fails
    /// "connections"    1..16 \[4\]: for one file, where the server allows it
    /// "range-bytes"    0 | 1048576.. \[0 = by the file's size\]: how much a connection asks for at a time
    /// "max-bytes"      \[0 = no limit\] refuse what is larger
    /// "retries"        0..100 \[5\]: tries in a row that bring no byte before giving up
    /// "stall-seconds"  1..3600 \[30\]: a connection that brings no byte for so long is opened anew
    /// "user-agent"     \[ingle/VERSION\]
    pub fn ingle_hub_set(
        h: *mut ingle_hub,
        name: *const c_char,
        value: *const c_char,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Makes a model be in the store. `what`:
    /// OWNER/NAME\[@REVISION\]\[:FILE\]  FILE is a file's name, a block type ("Q4_K_M", any case) or a pattern ("\*q8\*"). Without
    /// it: Q4_K_M, another 4-bit type, the smallest of at least 5 bits, or the safetensors set
    /// URL\[#sha256=HEX\]              a GGUF file; a page of the endpoint means the repository's file
    /// All parts of a split file come along. If the store has it already, nothing is loaded; if the source has changed, it is
    /// replaced. Pushes one JSON object: {"name","path","bytes","sha256","format","source","files":\[{"path","bytes","sha256"}\]};
    /// sha256 is that of the only file, else "". `fn` and `result` may be NULL.
    pub fn ingle_hub_pull(
        h: *mut ingle_hub,
        what: *const c_char,
        r#fn: ingle_hub_progress_fn,
        ud: *mut c_void,
        result: ingle_text_fn,
        result_ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Pushes a JSON array, sorted by name: {"name","path","bytes","format":"gguf"|"safetensors","source","sha256",
    /// "complete":bool,"part_bytes"}. source is "" for files put there by hand. complete is false for a pull that was not
    /// finished: path is its folder, bytes the size it will have (0 = unknown), part_bytes what is there.
    pub fn ingle_hub_list(
        h: *mut ingle_hub,
        r#fn: ingle_text_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Pushes the path of a model: a whole name, the beginning of one that fits no other, or the OWNER/NAME\[:FILE\] or URL it
    /// was pulled from. INGLE_NOT_FOUND with a hint that says what there is. Letters' case does not matter.
    pub fn ingle_hub_find(
        h: *mut ingle_hub,
        name: *const c_char,
        r#fn: ingle_text_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Removes a model, its record and what an unfinished pull of it left. The whole name is needed. INGLE_BUSY while it is
    /// being pulled.
    pub fn ingle_hub_remove(
        h: *mut ingle_hub,
        name: *const c_char,
        err: *mut ingle_error,
    ) -> ingle_status;
    /// Hashes a model's files and compares with the record. INGLE_BAD_FILE names the file that differs, INGLE_UNSUPPORTED: the
    /// model has no record (it was put there by hand).
    pub fn ingle_hub_verify(
        h: *mut ingle_hub,
        name: *const c_char,
        r#fn: ingle_hub_progress_fn,
        ud: *mut c_void,
        err: *mut ingle_error,
    ) -> ingle_status;
}
