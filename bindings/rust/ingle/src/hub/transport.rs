//! What brings bytes from the network.

use std::{
    any::Any,
    ffi::{CString, c_int, c_void},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
};

use ingle_sys as sys;

use super::{cancelled, fill};
use crate::{Code, Error, Result, ffi};

/// One request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HttpRequest<'a> {
    /// `"GET"`.
    pub method: &'a str,
    /// An http or https address.
    pub url: &'a str,
    /// Names and values, all that are to be sent.
    pub headers: Vec<(&'a str, &'a str)>,
}

/// Takes the answer to a request. When a method gives `Break`, drop the connection and return at once.
pub trait Sink {
    /// Once, before any body: the status and the headers of the final answer.
    fn head(&mut self, status: u16, headers: &[(String, String)]) -> ControlFlow<()>;
    /// A piece of the body, as it came, not decompressed.
    fn body(&mut self, bytes: &[u8]) -> ControlFlow<()>;
    /// To be called at least every 20 ms from the first moment on: this is how cancelling gets through.
    fn heartbeat(&mut self) -> ControlFlow<()>;
}

/// Performs HTTP requests for a [`Hub`](super::Hub), from several threads at once.
///
/// It must not follow redirects (the hub does, so that tokens go to the endpoint only), must check certificates, and must
/// notice a body that is shorter than its `content-length`. [`Code::Io`] means that the network failed and that trying
/// again may help; any other code ends the pull.
pub trait Transport: Send + Sync + 'static {
    /// Performs `request` and returns once the whole body was delivered, whatever the status.
    fn exchange(&self, request: &HttpRequest<'_>, sink: &mut dyn Sink) -> Result<()>;
}

/// A thin pointer for C.
pub(super) struct Boxed(pub Box<dyn Transport>);

// Its panics are caught where it is called.
impl std::panic::RefUnwindSafe for Boxed {}

struct RawSink<'a> {
    raw: &'a sys::ingle_http_sink,
    stopped: bool,
}

impl RawSink<'_> {
    fn flow(&mut self, stop: c_int) -> ControlFlow<()> {
        self.stopped |= stop != 0;
        if self.stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn push(&mut self, bytes: *const c_void, n: usize) -> ControlFlow<()> {
        if self.stopped {
            return ControlFlow::Break(());
        }
        // SAFETY: the sink is valid during the exchange.
        let stop = self.raw.body.map_or(0, |body| unsafe { body(self.raw.ud, bytes, n) });
        self.flow(stop)
    }
}

impl Sink for RawSink<'_> {
    fn head(&mut self, status: u16, headers: &[(String, String)]) -> ControlFlow<()> {
        let mut lines = String::new();
        for (name, value) in headers {
            lines.push_str(&name.to_ascii_lowercase());
            lines.push_str(": ");
            lines.extend(value.chars().map(|c| if c.is_control() { ' ' } else { c }));
            lines.push('\n');
        }
        let lines = CString::new(lines).unwrap_or_default();
        let response = sys::ingle_http_response {
            size: size_of::<sys::ingle_http_response>() as u32,
            status: i32::from(status),
            headers: lines.as_ptr(),
        };
        // SAFETY: the sink is valid during the exchange, the response during the call.
        let stop = self.raw.head.map_or(0, |head| unsafe { head(self.raw.ud, &response) });
        self.flow(stop)
    }

    fn body(&mut self, bytes: &[u8]) -> ControlFlow<()> {
        if bytes.is_empty() {
            return ControlFlow::Continue(());
        }
        self.push(bytes.as_ptr().cast(), bytes.len())
    }

    fn heartbeat(&mut self) -> ControlFlow<()> {
        self.push(std::ptr::null(), 0)
    }
}

pub(super) unsafe extern "C" fn exchange(
    ud: *mut c_void,
    request: *const sys::ingle_http_request,
    sink: *const sys::ingle_http_sink,
    err: *mut sys::ingle_error,
) -> sys::ingle_status {
    // SAFETY: `ud` is the hub's transport; the rest is valid during the call.
    let (transport, request, sink) = unsafe { (&*ud.cast::<Boxed>(), &*request, &*sink) };
    let headers = unsafe { ffi::c_text(request.headers) };
    let request = HttpRequest {
        method: unsafe { ffi::c_text(request.method) },
        url: unsafe { ffi::c_text(request.url) },
        headers: headers.lines().filter_map(|l| l.split_once(':')).map(|(n, v)| (n.trim(), v.trim())).collect(),
    };
    let mut sink = RawSink { raw: sink, stopped: false };
    let result = catch_unwind(AssertUnwindSafe(|| transport.0.exchange(&request, &mut sink)));
    let result = result.unwrap_or_else(|panic| Err(panicked(panic)));
    // What a transport says about a connection that it was told to drop is beside the point.
    let result = if sink.stopped { Err(cancelled()) } else { result };
    match result {
        Ok(()) => sys::INGLE_OK,
        Err(error) => fill(err, &error),
    }
}

fn panicked(panic: Box<dyn Any + Send>) -> Error {
    Error::new(Code::Internal, format!("the transport panicked: {}", ffi::panic_text(&panic)))
}
