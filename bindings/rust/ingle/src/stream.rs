//! Streams of events: for `async` without a runtime of our own, and for plain loops.

use std::{
    collections::VecDeque,
    fmt,
    future::poll_fn,
    ops::ControlFlow,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    Canceller, Code, Completion, Engine, Error, Event, Result,
    engine::{Handle, lock},
    event::Collector,
};

/// The events of a running request. It is a [`futures_core::Stream`], and with [`Stream::blocking`] an iterator.
/// **Dropping it cancels the request.**
///
/// ```no_run
/// use ingle::{Engine, Event, Message, Model, Request};
///
/// let engine = Engine::new(&Model::open("model.gguf")?)?;
/// for event in engine.stream(Request::chat([Message::user("Tell me a story.")]))?.blocking() {
///     if let Event::Text(piece) = event? {
///         print!("{piece}");
///     }
/// }
/// # Ok::<(), ingle::Error>(())
/// ```
///
/// In async code, with `futures::StreamExt` or `tokio_stream::StreamExt`:
///
/// ```ignore
/// while let Some(event) = stream.next().await { ... }
/// ```
#[must_use = "dropping a stream cancels its request"]
pub struct Stream {
    shared: Arc<Shared>,
    handle: Handle,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Default)]
struct State {
    events: VecDeque<Result<Event>>,
    waker: Option<Waker>,
    closed: bool,
}

impl Shared {
    fn push(&self, event: Result<Event>) {
        let waker = {
            let mut state = lock(&self.state);
            state.events.push_back(event);
            state.waker.take()
        };
        self.arrived.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Tells the reader that nothing more comes, should the engine ever drop a request without a last event.
struct Sender(Arc<Shared>);

impl Drop for Sender {
    fn drop(&mut self) {
        let waker = {
            let mut state = lock(&self.0.state);
            state.closed = true;
            state.waker.take()
        };
        self.0.arrived.notify_one();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Stream {
    pub(crate) fn start(engine: &Engine, json: &str) -> Result<Stream> {
        let shared = Arc::new(Shared::default());
        let sender = Sender(Arc::clone(&shared));
        let handle = engine.submit_json(json, move |event| {
            sender.0.push(event);
            ControlFlow::Continue(())
        })?;
        Ok(Stream { shared, handle, ended: false })
    }

    /// The request's number in its engine.
    pub fn id(&self) -> u64 {
        self.handle.id()
    }

    /// Cancels the request; the stream then ends with [`Finish::Cancelled`](crate::Finish::Cancelled).
    pub fn cancel(&self) {
        self.handle.cancel();
    }

    /// Something that cancels the request from anywhere.
    pub fn canceller(&self) -> Canceller {
        self.handle.canceller()
    }

    /// The events as an iterator that blocks.
    pub fn blocking(self) -> Blocking {
        Blocking { stream: self }
    }

    /// Waits for the end and gives what was still to come as one answer.
    pub async fn completion(mut self) -> Result<Completion> {
        let mut collector = Collector::default();
        while let Some(event) = poll_fn(|cx| self.poll_event(cx)).await {
            if let Some(completion) = collector.add(event?) {
                return Ok(completion);
            }
        }
        Err(no_end())
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut state = lock(&self.shared.state);
        let event = match state.events.pop_front() {
            Some(event) => Some(event),
            None if state.closed => None,
            None => {
                match &mut state.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                return Poll::Pending;
            }
        };
        drop(state);
        Poll::Ready(self.pass(event))
    }

    fn next_blocking(&mut self) -> Option<Result<Event>> {
        if self.ended {
            return None;
        }
        if let Err(error) = self.handle.may_block() {
            self.ended = true;
            return Some(Err(error));
        }
        let mut state = lock(&self.shared.state);
        while state.events.is_empty() && !state.closed {
            state = self.shared.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let event = state.events.pop_front();
        drop(state);
        self.pass(event)
    }

    fn pass(&mut self, event: Option<Result<Event>>) -> Option<Result<Event>> {
        self.ended = matches!(event, None | Some(Err(_) | Ok(Event::Done(_))));
        event
    }
}

fn no_end() -> Error {
    Error::new(Code::Internal, "the stream ended without its last event")
}

impl futures_core::Stream for Stream {
    type Item = Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event>>> {
        self.poll_event(cx)
    }
}

impl futures_core::FusedStream for Stream {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if !self.ended {
            self.handle.cancel();
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id()).field("ended", &self.ended).finish()
    }
}

/// The events of a running request as an iterator. Dropping it cancels the request.
#[derive(Debug)]
#[must_use = "dropping it cancels its request"]
pub struct Blocking {
    stream: Stream,
}

impl Blocking {
    /// Waits for the end and gives what was still to come as one answer.
    pub fn completion(self) -> Result<Completion> {
        let mut collector = Collector::default();
        for event in self {
            if let Some(completion) = collector.add(event?) {
                return Ok(completion);
            }
        }
        Err(no_end())
    }

    /// Something that cancels the request from anywhere.
    pub fn canceller(&self) -> Canceller {
        self.stream.canceller()
    }
}

impl Iterator for Blocking {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        self.stream.next_blocking()
    }
}

impl std::iter::FusedIterator for Blocking {}
