//! The transport of feature `download`: ureq over rustls. Each exchange runs on a thread of its own, so that heartbeats go
//! on, and cancelling gets through, while the socket is silent.

use std::{
    io::Read,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use ureq::{Agent, http};

use super::{HttpRequest, Sink, Transport, cancelled};
use crate::{Code, Error, Result, engine::lock, ffi};

const HEARTBEAT: Duration = Duration::from_millis(15);
const CONNECT: Duration = Duration::from_secs(30);
/// The hub opens a silent connection anew before that; this ends the threads of servers that never answer.
const SILENCE: Duration = Duration::from_secs(120);
const PIECE: usize = 64 << 10;
/// Pieces on the way between the two threads.
const AHEAD: usize = 16;

/// Agents that wait for the next exchange, each with its open connection.
#[derive(Default)]
pub(super) struct Ureq {
    idle: Mutex<Vec<Agent>>,
}

enum News {
    Head(u16, Vec<(String, String)>),
    Body(Vec<u8>),
    End(Result<()>),
}

impl Transport for Ureq {
    fn exchange(&self, request: &HttpRequest<'_>, sink: &mut dyn Sink) -> Result<()> {
        let request = build(request)?;
        let agent = lock(&self.idle).pop().unwrap_or_else(new_agent);
        let (sender, news) = sync_channel(AHEAD);
        let worker_agent = agent.clone();
        let worker = move || {
            let done = catch_unwind(AssertUnwindSafe(|| perform(&worker_agent, request, &sender)));
            drop(worker_agent);
            // Nobody listens any more if the exchange was cancelled.
            let _ = sender.send(News::End(done.unwrap_or_else(|panic| {
                Err(Error::new(Code::Internal, format!("the HTTP client panicked: {}", ffi::panic_text(&panic))))
            })));
        };
        if let Err(e) = std::thread::Builder::new().name("ingle-http".into()).spawn(worker) {
            return Err(Error::new(Code::Io, format!("no thread for a connection: {e}")));
        }
        let mut beat = Instant::now();
        loop {
            let flow = match news.recv_timeout(HEARTBEAT) {
                Ok(News::End(Ok(()))) => {
                    lock(&self.idle).push(agent);
                    return Ok(());
                }
                Ok(News::End(Err(error))) => return Err(error),
                Ok(News::Head(status, headers)) => sink.head(status, &headers),
                Ok(News::Body(bytes)) => sink.body(&bytes),
                Err(RecvTimeoutError::Timeout) => ControlFlow::Continue(()),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::new(Code::Internal, "the HTTP client ended without a word"));
                }
            };
            let flow = if flow.is_continue() && beat.elapsed() >= HEARTBEAT {
                beat = Instant::now();
                sink.heartbeat()
            } else {
                flow
            };
            if flow.is_break() {
                // Closes the socket under the worker, which then ends by itself.
                agent.shutdown();
                return Err(cancelled());
            }
        }
    }
}

fn new_agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // The hub says which headers are sent.
        .user_agent("")
        .accept("")
        .accept_encoding("")
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(SILENCE))
        .timeout_per_write(Some(SILENCE))
        .input_buffer_size(PIECE)
        .build()
        .new_agent()
}

fn build(request: &HttpRequest<'_>) -> Result<http::Request<()>> {
    let mut builder = http::Request::builder().method(request.method).uri(request.url);
    for (name, value) in &request.headers {
        builder = builder.header(*name, *value);
    }
    builder.body(()).map_err(|e| Error::new(Code::BadRequest, format!("{}: {e}", request.url)))
}

fn perform(agent: &Agent, request: http::Request<()>, sender: &SyncSender<News>) -> Result<()> {
    let host = request.uri().host().unwrap_or("").to_string();
    let response = agent.run(request).map_err(|e| explain(&host, &e))?;
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    if sender.send(News::Head(response.status().as_u16(), headers)).is_err() {
        return Ok(());
    }
    let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
    loop {
        let mut piece = vec![0; PIECE];
        let n = body.read(&mut piece).map_err(|e| explain(&host, &ureq::Error::from(e)))?;
        if n == 0 {
            return Ok(());
        }
        piece.truncate(n);
        if sender.send(News::Body(piece)).is_err() {
            return Ok(());
        }
    }
}

/// What failed, and whether trying again may help.
fn explain(host: &str, error: &ureq::Error) -> Error {
    let text = error.to_string();
    let failed = |code| Error::new(code, format!("{host}: {text}"));
    match error {
        _ if text.contains("certificate") => failed(Code::Unsupported)
            .with_hint("the server's certificate is not trusted: check the address, the clock and any proxy"),
        ureq::Error::HostNotFound => failed(Code::Io).with_hint("check the address and the connection"),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::InvalidProxyUrl => failed(Code::BadRequest),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => failed(Code::Unsupported),
        _ => failed(Code::Io),
    }
}
