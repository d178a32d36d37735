//! Running answers: who owns them, what they said, and where it goes.

use crate::{
    Error, Result,
    backend::{BackendEvent, Request},
    log::{Kind, Log},
    models::{StreamEvent, StreamInfo, Timings, Usage},
    timer::{Timer, lock},
};
use std::{
    collections::HashMap,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Bytes that are kept of a stream's text.
const LOG_BYTES: usize = 4 << 20;
/// How long a stream that has ended can still be taken up.
const RETENTION: Duration = Duration::from_secs(300);
/// Streams of the whole app that run, and those that have ended and are kept.
const MAX_RUNNING: usize = 64;
const MAX_ENDED: usize = 64;
/// Messages that the main loop has not taken yet: above this the text waits in the log.
const MAX_IN_FLIGHT: u32 = 64;
/// The main loop is asked once in so many messages.
const FENCE_EVERY: u32 = 16;

/// Where the messages of a stream go: a page.
pub(crate) trait Outlet: Send {
    /// `false`: it is gone for good.
    fn send(&self, event: StreamEvent) -> bool;
    /// Calls `done` once everything sent so far has been taken. `false`: it will never be called.
    fn fence(&self, done: Box<dyn FnOnce() + Send>) -> bool;
}

/// What identifies a stream.
#[derive(Clone, Debug)]
pub(crate) struct Owner {
    pub webview: String,
    pub window: String,
}

pub(crate) struct Stream {
    pub id: String,
    owner: Owner,
    model: String,
    kind: &'static str,
    started_at: u64,
    cancelled: AtomicBool,
    batch: Duration,
    timer: Timer,
    state: Mutex<State>,
    me: Weak<Stream>,
    home: Weak<Map>,
}

type Map = Mutex<HashMap<String, Arc<Stream>>>;

struct State {
    log: Log,
    outlet: Option<Box<dyn Outlet>>,
    /// Counts outlets, so that a fence of an old one does not count for the new one.
    outlets: u64,
    /// The outlet has everything up to this number.
    cursor: u64,
    in_flight: u32,
    since_fence: u32,
    last_text: Option<Instant>,
    armed: bool,
    request: Option<Arc<dyn Request>>,
    ended: Option<Instant>,
}

impl Stream {
    /// Takes an event of the backend. Never blocks.
    pub(crate) fn on_event(&self, event: BackendEvent) -> ControlFlow<()> {
        match event {
            BackendEvent::Text { text, tokens } => self.text(Kind::Text, &text, tokens.into()),
            BackendEvent::Reasoning { text, tokens } => {
                self.text(Kind::Reasoning, &text, tokens.into());
            }
            BackendEvent::Progress { done, total } => {
                self.push(|seq| StreamEvent::Progress { seq, done, total });
            }
            BackendEvent::Done {
                finish,
                usage,
                timings,
            } => self.finish(finish, usage, timings),
            BackendEvent::Failed(error) => self.fail(error),
        }
        if self.cancelled.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// The model is ready and gets the request now.
    pub(crate) fn started(&self) {
        let (stream, model) = (self.id.clone(), self.model.clone());
        self.push(|seq| StreamEvent::Started { seq, stream, model });
    }

    fn finish(&self, finish: String, usage: Usage, timings: Timings) {
        self.end(|seq| StreamEvent::Done {
            seq,
            finish,
            usage,
            timings,
        });
    }

    pub(crate) fn fail(&self, error: Error) {
        // A failure that is only the cancelling is the end that was asked for.
        if error.code == "cancelled" && self.cancelled.load(Ordering::Relaxed) {
            return self.finish("cancelled".into(), Usage::default(), Timings::default());
        }
        self.end(|seq| StreamEvent::Error {
            seq,
            code: error.code.into_owned(),
            message: error.message,
            hint: error.hint,
        });
    }

    /// Ties the stream to the backend's request, which is cancelled at once if the stream already is.
    pub(crate) fn bind(&self, request: Arc<dyn Request>) {
        let mut state = lock(&self.state);
        if state.ended.is_none() {
            state.request = Some(request.clone());
        }
        drop(state);
        if self.cancelled.load(Ordering::SeqCst) {
            request.cancel();
        }
    }

    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::SeqCst);
        let request = lock(&self.state).request.clone();
        match request {
            Some(request) => request.cancel(),
            // Not with the backend yet: nothing to wait for.
            None => self.finish("cancelled".into(), Usage::default(), Timings::default()),
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        lock(&self.state).ended.is_some()
    }

    /// A page takes the stream up after the message `after`. Returns whether it still runs.
    pub(crate) fn attach(&self, outlet: Box<dyn Outlet>, after: u64) -> bool {
        let mut state = lock(&self.state);
        let running = state.ended.is_none();
        let old = state.outlet.replace(outlet);
        state.outlets += 1;
        state.cursor = state.log.cursor(after);
        state.in_flight = 0;
        state.since_fence = 0;
        self.pump(&mut state);
        drop(state);
        drop(old);
        running
    }

    /// The page is gone. What comes goes into the log.
    pub(crate) fn detach(&self) {
        let old = lock(&self.state).outlet.take();
        drop(old);
    }

    fn text(&self, kind: Kind, text: &str, tokens: u64) {
        let mut state = lock(&self.state);
        if state.ended.is_some() || (text.is_empty() && tokens == 0) {
            return;
        }
        let full = state.log.push_text(kind, text, tokens);
        if state.outlet.is_none() {
            return;
        }
        let wait = match state.last_text {
            Some(last) if !full => self.batch.saturating_sub(last.elapsed()),
            _ => Duration::ZERO,
        };
        if wait.is_zero() {
            self.pump(&mut state);
        } else if !state.armed {
            state.armed = true;
            let me = self.me.clone();
            self.timer.after(wait, move || {
                if let Some(stream) = me.upgrade() {
                    let mut state = lock(&stream.state);
                    state.armed = false;
                    stream.pump(&mut state);
                }
            });
        }
    }

    fn push(&self, make: impl FnOnce(u64) -> StreamEvent) {
        let mut state = lock(&self.state);
        if state.ended.is_none() {
            state.log.push(make);
            self.pump(&mut state);
        }
    }

    fn end(&self, make: impl FnOnce(u64) -> StreamEvent) {
        let mut state = lock(&self.state);
        if state.ended.is_some() {
            return;
        }
        state.log.push(make);
        state.ended = Some(Instant::now());
        let request = state.request.take();
        self.pump(&mut state);
        drop(state);
        drop(request);
        // It can be taken up for a while, then it is forgotten.
        let (home, id) = (self.home.clone(), self.id.clone());
        self.timer.after(RETENTION, move || {
            let old = home.upgrade().and_then(|map| lock(&map).remove(&id));
            drop(old);
        });
    }

    /// Sends what the page does not have, as far as the main loop keeps up.
    fn pump(&self, state: &mut State) {
        while state.in_flight < MAX_IN_FLIGHT {
            let Some(outlet) = &state.outlet else { return };
            let Some((event, cursor)) = state.log.next_after(state.cursor) else {
                break;
            };
            let is_text = is_text(&event);
            let open = outlet.send(event);
            state.cursor = cursor;
            if is_text {
                state.last_text = Some(Instant::now());
            }
            if !open {
                state.outlet = None;
                return;
            }
            state.in_flight += 1;
            state.since_fence += 1;
            if state.since_fence == FENCE_EVERY {
                state.since_fence = 0;
                self.fence(state);
            }
        }
        if state.ended.is_some() && state.cursor == state.log.last() {
            // Closing the channel tells the page that nothing more comes.
            state.outlet = None;
        }
    }

    fn fence(&self, state: &mut State) {
        let (me, mine, timer) = (self.me.clone(), state.outlets, self.timer.clone());
        let taken = move || {
            // Not on the main thread, which has better things to do than to write JSON.
            timer.after(Duration::ZERO, move || {
                let Some(stream) = me.upgrade() else { return };
                let mut state = lock(&stream.state);
                if state.outlets == mine {
                    state.in_flight = state.in_flight.saturating_sub(FENCE_EVERY);
                    stream.pump(&mut state);
                }
            });
        };
        let asked = state
            .outlet
            .as_ref()
            .is_some_and(|outlet| outlet.fence(Box::new(taken)));
        if !asked {
            state.in_flight = state.in_flight.saturating_sub(FENCE_EVERY);
        }
    }

    fn info(&self) -> StreamInfo {
        let state = lock(&self.state);
        StreamInfo {
            stream: self.id.clone(),
            model: self.model.clone(),
            kind: self.kind.into(),
            running: state.ended.is_none(),
            seq: state.log.last(),
            started_at: self.started_at,
            label: self.owner.webview.clone(),
        }
    }
}

fn is_text(event: &StreamEvent) -> bool {
    matches!(
        event,
        StreamEvent::Text { .. } | StreamEvent::Reasoning { .. }
    )
}

/// All streams of the app.
pub(crate) struct Streams {
    map: Arc<Map>,
    timer: Timer,
    batch: Duration,
}

impl Streams {
    pub(crate) fn new(timer: Timer, batch: Duration) -> Self {
        Self {
            map: Arc::default(),
            timer,
            batch,
        }
    }

    pub(crate) fn open(
        &self,
        owner: Owner,
        model: &str,
        kind: &'static str,
        outlet: Option<Box<dyn Outlet>>,
    ) -> Result<Arc<Stream>> {
        let mut map = lock(&self.map);
        let ended = make_room(&mut map)?;
        let started = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let id = new_id("s")?;
        let stream = Arc::new_cyclic(|me| Stream {
            id: id.clone(),
            owner,
            model: model.into(),
            kind,
            started_at: u64::try_from(started.as_millis()).unwrap_or(0),
            cancelled: AtomicBool::new(false),
            batch: self.batch,
            timer: self.timer.clone(),
            state: Mutex::new(State {
                log: Log::new(LOG_BYTES),
                outlet,
                outlets: 0,
                cursor: 0,
                in_flight: 0,
                since_fence: 0,
                last_text: None,
                armed: false,
                request: None,
                ended: None,
            }),
            me: me.clone(),
            home: Arc::downgrade(&self.map),
        });
        map.insert(id, stream.clone());
        drop(map);
        drop(ended);
        Ok(stream)
    }

    /// A stream of this webview; those of others do not exist for it.
    pub(crate) fn get(&self, webview: &str, id: &str) -> Option<Arc<Stream>> {
        lock(&self.map)
            .get(id)
            .filter(|stream| stream.owner.webview == webview)
            .cloned()
    }

    pub(crate) fn list(&self, webview: &str) -> Vec<StreamInfo> {
        let mut rows: Vec<_> = self
            .select(|stream| stream.owner.webview == webview)
            .iter()
            .map(|stream| stream.info())
            .collect();
        rows.sort_by(|a, b| (a.started_at, &a.stream).cmp(&(b.started_at, &b.stream)));
        rows
    }

    fn select(&self, wanted: impl Fn(&Stream) -> bool) -> Vec<Arc<Stream>> {
        lock(&self.map)
            .values()
            .filter(|stream| wanted(stream))
            .cloned()
            .collect()
    }

    /// The page of this webview is being replaced: its channels lead nowhere.
    pub(crate) fn detach_webview(&self, webview: &str) {
        for stream in self.select(|stream| stream.owner.webview == webview) {
            stream.detach();
        }
    }

    /// The window is gone for good, and so is everything it waited for.
    pub(crate) fn close_window(&self, window: &str) {
        for stream in self.select(|stream| stream.owner.window == window) {
            stream.detach();
            stream.cancel();
            lock(&self.map).remove(&stream.id);
        }
    }

    pub(crate) fn cancel_all(&self) {
        for stream in self.select(|_| true) {
            stream.cancel();
        }
    }
}

/// Refuses one too many, forgets the oldest of those that have ended.
fn make_room(map: &mut HashMap<String, Arc<Stream>>) -> Result<Option<Arc<Stream>>> {
    let ended_at = |stream: &Arc<Stream>| lock(&stream.state).ended;
    let ended: Vec<_> = map
        .iter()
        .filter_map(|(id, stream)| Some((ended_at(stream)?, id.clone())))
        .collect();
    if map.len() - ended.len() >= MAX_RUNNING {
        return Err(Error::new(
            "limit",
            format!("{MAX_RUNNING} streams are running"),
            "wait for one to end, or cancel one",
        ));
    }
    if ended.len() < MAX_ENDED {
        return Ok(None);
    }
    let oldest = ended.into_iter().min().map(|(_, id)| id);
    Ok(oldest.and_then(|id| map.remove(&id)))
}

/// 128 bits of the system's randomness: another page cannot guess it.
pub(crate) fn new_id(prefix: &str) -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::new("io", format!("no random numbers: {error}"), ""))?;
    Ok(format!("{prefix}-{:032x}", u128::from_le_bytes(bytes)))
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
