//! One thread a worker: it starts the child, reads what it says, and after a crash tells everyone who waits, starts
//! another and loads the models that were loaded. All that changes is behind one lock; the receivers of events are called
//! without it, by this thread.
//!
//! The subtle thing: answers, crashes and restarts are handled by the same thread, one after another. So a model's
//! number, once read under the lock, belongs to the child that a line written under the same lock goes to.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    io::{self, BufRead, BufReader, Write},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    process::{ChildStdin, ChildStdout},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    WorkerOptions,
    process::{self, Pipes, Process},
    wire::{self, Incoming, RawEvent},
};
use crate::{Code, Error, Result, engine::lock};

/// How long the child may take to say what it is.
const GREETING: Duration = Duration::from_secs(10);
/// How long it may take to end once its streams are closed.
const ENDING: Duration = Duration::from_millis(1500);
const PROTOCOL: u64 = 1;

pub type Sink = Box<dyn FnMut(Result<RawEvent>) -> ControlFlow<()> + Send>;

/// What a waiting caller is told.
pub enum Note {
    Progress { what: String, done: f64 },
    Answer(Result<Value>),
}

/// What becomes of an answer.
pub enum Expect {
    Nothing,
    Reply(mpsc::Sender<Note>),
    /// The request's events go to the sink.
    Submit(Sink, mpsc::Sender<Note>),
    /// The model gets its number.
    Load(u64, mpsc::Sender<Note>),
}

/// A call that was sent, and to which child: numbers of requests hold within a generation.
pub struct Sent {
    pub call: u64,
    pub generation: u64,
}

struct Stream {
    sink: Sink,
    cancelled: bool,
}

/// A model as it survives the child: what to load, and what came of it this time.
struct Slot {
    params: Value,
    /// Loaded once: it is loaded again after a crash.
    known: bool,
    number: Result<u64>,
}

enum Phase {
    Starting,
    Ready,
    Failed(Error),
    Closed,
}

struct State {
    phase: Phase,
    process: Option<Arc<Process>>,
    stdin: Option<Arc<Mutex<ChildStdin>>>,
    calls: HashMap<u64, Expect>,
    streams: HashMap<u64, Stream>,
    slots: BTreeMap<u64, Slot>,
    last_call: u64,
    last_slot: u64,
    crashes: VecDeque<Instant>,
    restarts: u64,
    version: String,
    closing: bool,
}

pub struct Shared {
    program: PathBuf,
    options: WorkerOptions,
    state: Mutex<State>,
    changed: Condvar,
    thread: Mutex<Option<ThreadId>>,
}

impl Shared {
    pub fn start(program: PathBuf, options: WorkerOptions) -> Result<Arc<Shared>> {
        let shared = Arc::new(Shared {
            program,
            options,
            state: Mutex::new(State {
                phase: Phase::Starting,
                process: None,
                stdin: None,
                calls: HashMap::new(),
                streams: HashMap::new(),
                slots: BTreeMap::new(),
                last_call: 0,
                last_slot: 0,
                crashes: VecDeque::new(),
                restarts: 0,
                version: String::new(),
                closing: false,
            }),
            changed: Condvar::new(),
            thread: Mutex::new(None),
        });
        let (first, started) = mpsc::channel();
        let supervised = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("ingle-worker".into())
            .spawn(move || supervise(&supervised, first))
            .map_err(|e| Error::new(Code::NoMemory, format!("no thread can be started: {e}")))?;
        *lock(&shared.thread) = Some(thread.thread().id());
        started.recv().unwrap_or_else(|_| Err(Error::new(Code::Internal, "the supervisor ended")))?;
        Ok(shared)
    }

    /// Whether this is the thread that calls the sinks: it must not wait for itself.
    fn is_inside(&self) -> bool {
        *lock(&self.thread) == Some(thread::current().id())
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while a child is started; one that has given up may try again after a while.
    fn ready(&self) -> Result<MutexGuard<'_, State>> {
        if self.is_inside() {
            return Err(
                Error::new(Code::Busy, "called from a callback of the same worker").with_hint("use another thread")
            );
        }
        let mut state = lock(&self.state);
        loop {
            match &state.phase {
                Phase::Ready => return Ok(state),
                Phase::Closed => return Err(closed()),
                Phase::Failed(error) => {
                    let error = error.clone();
                    if self.too_many(&mut state) {
                        return Err(error);
                    }
                    state.phase = Phase::Starting;
                    self.changed.notify_all();
                }
                Phase::Starting => state = self.wait(state),
            }
        }
    }

    fn too_many(&self, state: &mut State) -> bool {
        let window = self.options.restart_window;
        while state.crashes.front().is_some_and(|at| at.elapsed() > window) {
            state.crashes.pop_front();
        }
        state.crashes.len() > self.options.max_restarts as usize
    }

    /// Sends a call; its answer goes to `expect`. With a slot, the model's number is put into the parameters.
    pub fn send(&self, slot: Option<u64>, method: &str, mut params: Value, expect: Expect) -> Result<Sent> {
        let mut state = self.ready()?;
        if let Some(slot) = slot {
            params["model"] = state.number(slot)?.into();
        }
        let (call, generation) = (state.register(expect), state.restarts);
        let stdin = state.stdin.clone();
        drop(state);
        let line = wire::write(Some(call), method, params);
        // If that fails the child is gone, and the reader is about to tell.
        let _ = stdin.map(|stdin| lock(&stdin).write_all(&line));
        Ok(Sent { call, generation })
    }

    /// A slot for a model that is about to be loaded, and the call that does it.
    pub fn send_load(&self, params: Value, reply: mpsc::Sender<Note>) -> Result<(u64, u64)> {
        let mut state = self.ready()?;
        state.last_slot += 1;
        let slot = state.last_slot;
        let number = Err(Error::new(Code::NotFound, "the model is not loaded"));
        state.slots.insert(slot, Slot { params: params.clone(), known: false, number });
        drop(state);
        match self.send(None, "load", params, Expect::Load(slot, reply)) {
            Ok(sent) => Ok((slot, sent.call)),
            Err(error) => {
                lock(&self.state).slots.remove(&slot);
                Err(error)
            }
        }
    }

    /// To the child that is there now, if there is one; waits for nothing.
    pub fn notify(&self, method: &str, params: Value) {
        let stdin = lock(&self.state).stdin.clone();
        let _ = stdin.map(|stdin| lock(&stdin).write_all(&wire::write(None, method, params)));
    }

    pub fn cancel_request(&self, request: u64, generation: u64) {
        if lock(&self.state).restarts == generation {
            self.notify("cancel", json!({ "request": request }));
        }
    }

    pub fn cancel_model(&self, slot: u64) {
        let number = lock(&self.state).number(slot);
        if let Ok(number) = number {
            self.notify("cancel", json!({ "model": number }));
        }
    }

    pub fn unload(&self, slot: u64) {
        let removed = lock(&self.state).slots.remove(&slot);
        if let Some(Slot { number: Ok(number), .. }) = removed {
            self.notify("unload", json!({ "model": number }));
        }
    }

    pub fn restarts(&self) -> u64 {
        lock(&self.state).restarts
    }

    pub fn version(&self) -> String {
        lock(&self.state).version.clone()
    }

    pub fn process_id(&self) -> Option<u32> {
        let process = lock(&self.state).process.clone();
        process.map(|p| p.id())
    }

    pub fn is_ready(&self) -> bool {
        matches!(lock(&self.state).phase, Phase::Ready)
    }

    /// False once it is known that the model could not be loaded again.
    pub fn is_loaded(&self, slot: u64) -> bool {
        let state = lock(&self.state);
        match state.phase {
            Phase::Starting => true,
            Phase::Ready => state.number(slot).is_ok(),
            Phase::Failed(_) | Phase::Closed => false,
        }
    }

    /// Closes the child's input and waits for its end.
    pub fn close(&self) {
        let inside = self.is_inside();
        let mut state = lock(&self.state);
        state.closing = true;
        state.stdin = None;
        self.changed.notify_all();
        let end = Instant::now() + ENDING;
        while !inside && !matches!(state.phase, Phase::Closed) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let process = state.process.clone();
                drop(state);
                process.inspect(|p| p.kill());
                return;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn closed() -> Error {
    Error::new(Code::Crashed, "the worker is closed")
}

impl State {
    fn register(&mut self, expect: Expect) -> u64 {
        self.last_call += 1;
        self.calls.insert(self.last_call, expect);
        self.last_call
    }

    fn number(&self, slot: u64) -> Result<u64> {
        match self.slots.get(&slot) {
            Some(slot) => slot.number.clone(),
            None => Err(Error::new(Code::NotFound, "the model was unloaded")),
        }
    }
}

type Reader = BufReader<ChildStdout>;

fn supervise(shared: &Shared, first: mpsc::Sender<Result<()>>) {
    let mut first = Some(first);
    loop {
        let end = match launch(shared) {
            Ok(mut reader) => {
                first.take().map(|first| first.send(Ok(())));
                read(shared, &mut reader)
            }
            Err(error) => Some(error),
        };
        let error = end_of_child(shared, end);
        if let Some(first) = first.take() {
            lock(&shared.state).phase = Phase::Closed;
            let _ = first.send(Err(error));
            return;
        }
        if !recover(shared, error) {
            return;
        }
    }
}

/// After an end: tells everyone, and decides how to go on. False: the worker is closed.
fn recover(shared: &Shared, error: Error) -> bool {
    let mut state = lock(&shared.state);
    let error = if state.closing { closed() } else { error };
    state.phase = Phase::Starting;
    let calls: Vec<_> = state.calls.drain().map(|(_, expect)| expect).collect();
    let streams: Vec<_> = state.streams.drain().map(|(_, stream)| stream).collect();
    state.slots.retain(|_, slot| slot.known);
    for slot in state.slots.values_mut() {
        slot.number = Err(error.clone());
    }
    if !state.closing {
        state.restarts += 1;
        state.crashes.push_back(Instant::now());
        if shared.too_many(&mut state) {
            let hint = "it fails again and again: look at its messages, or try another model";
            state.phase = Phase::Failed(error.clone().with_hint(hint));
        }
    }
    shared.changed.notify_all();
    drop(state);
    for expect in calls {
        answer(expect, Err(error.clone()));
    }
    for mut stream in streams {
        let _ = guarded(&mut stream.sink, Err(error.clone()));
    }
    let mut state = lock(&shared.state);
    while matches!(state.phase, Phase::Failed(_)) && !state.closing {
        state = shared.wait(state);
    }
    if state.closing {
        state.phase = Phase::Closed;
        shared.changed.notify_all();
    }
    !state.closing
}

/// Collects the child and says how it ended. `said`: what we know already.
fn end_of_child(shared: &Shared, said: Option<Error>) -> Error {
    let mut state = lock(&shared.state);
    state.stdin = None;
    let process = state.process.take();
    drop(state);
    let Some(process) = process else {
        return said.unwrap_or_else(|| Error::new(Code::Crashed, "the ingle process ended"));
    };
    if said.is_some() {
        process.kill();
    }
    let status = process.reap(ENDING);
    if let Some(error) = said {
        return error;
    }
    let (end, hint) = match status {
        Ok(status) => (process::describe_end(status), process::hint_for(status)),
        Err(_) => ("ended".to_string(), ""),
    };
    let words = process.last_words();
    let said = if words.is_empty() { String::new() } else { format!("; it said: {}", words.join(" | ")) };
    Error::new(Code::Crashed, format!("the ingle process {end}{said}")).with_hint(hint)
}

// ---- Starting ----

/// Starts a child and brings it to where the last one was. `Err` if it is not there or not ours; a child that ended
/// meanwhile gives an error too.
fn launch(shared: &Shared) -> Result<Reader> {
    let options = &shared.options;
    let started = process::start(&shared.program, &options.args, &options.env, options.on_stderr.clone());
    let (process, Pipes { stdin, stdout }) = started.map_err(|e| {
        let code = if e.kind() == io::ErrorKind::NotFound { Code::NotFound } else { Code::Io };
        Error::new(code, format!("{} cannot be started: {e}", shared.program.display()))
            .with_hint("give the path of the ingle program")
    })?;
    let process = Arc::new(process);
    let stdin = Arc::new(Mutex::new(stdin));
    let mut state = lock(&shared.state);
    state.process = Some(Arc::clone(&process));
    if state.closing {
        return Err(closed());
    }
    state.stdin = Some(Arc::clone(&stdin));
    drop(state);
    let mut reader = BufReader::with_capacity(64 << 10, stdout);
    greet(shared, &mut reader, &stdin, &process)?;
    reload(shared, &mut reader, &stdin)?;
    let mut state = lock(&shared.state);
    state.phase = Phase::Ready;
    shared.changed.notify_all();
    Ok(reader)
}

/// A call whose answer is read at once, before anything else runs.
fn call_now(
    shared: &Shared,
    reader: &mut Reader,
    stdin: &Mutex<ChildStdin>,
    method: &str,
    params: Value,
) -> Result<Result<Value>> {
    let id = lock(&shared.state).register(Expect::Nothing);
    lock(&shared.state).calls.remove(&id);
    let _ = lock(stdin).write_all(&wire::write(Some(id), method, params));
    loop {
        match next(reader) {
            Ok(Some(Incoming::Answer { id: which, result })) if which == id => return Ok(result),
            Ok(Some(_)) => {}
            Ok(None) => return Err(end_of_child(shared, None)),
            Err(error) => return Err(error),
        }
    }
}

fn greet(shared: &Shared, reader: &mut Reader, stdin: &Mutex<ChildStdin>, process: &Arc<Process>) -> Result<()> {
    // A program that is not ours may say nothing for ever.
    let (greeted, waits) = mpsc::channel::<()>();
    let watched = Arc::clone(process);
    let watchdog = thread::Builder::new().name("ingle-worker-greeting".into()).spawn(move || {
        let late = waits.recv_timeout(GREETING) == Err(mpsc::RecvTimeoutError::Timeout);
        if late {
            watched.kill();
        }
        late
    });
    let client = json!({ "client": { "name": "ingle-rust", "version": env!("CARGO_PKG_VERSION") } });
    let answer = call_now(shared, reader, stdin, "initialize", client);
    drop(greeted);
    let late = watchdog.is_ok_and(|w| w.join().unwrap_or(false));
    let program = shared.program.display();
    if late {
        let what = format!("{program} did not answer within {} seconds", GREETING.as_secs());
        return Err(Error::new(Code::Unsupported, what).with_hint("is it the ingle program?"));
    }
    let hello = answer??;
    if hello["name"] != "ingle" || hello["protocol"] != PROTOCOL {
        let what =
            format!("{program} speaks protocol {} of {}, not {PROTOCOL} of ingle", hello["protocol"], hello["name"]);
        return Err(Error::new(Code::Unsupported, what).with_hint("use a program and a crate of the same version"));
    }
    lock(&shared.state).version = hello["version"].as_str().unwrap_or_default().to_string();
    Ok(())
}

fn reload(shared: &Shared, reader: &mut Reader, stdin: &Mutex<ChildStdin>) -> Result<()> {
    let slots: Vec<(u64, Value)> =
        lock(&shared.state).slots.iter().map(|(id, slot)| (*id, slot.params.clone())).collect();
    for (id, params) in slots {
        let number = call_now(shared, reader, stdin, "load", params)?.and_then(|loaded| number_of(&loaded));
        let mut state = lock(&shared.state);
        match (state.slots.get_mut(&id), number) {
            (Some(slot), number) => slot.number = number,
            (None, Ok(number)) => {
                // Dropped meanwhile.
                drop(state);
                let _ = lock(stdin).write_all(&wire::write(None, "unload", json!({ "model": number })));
            }
            (None, Err(_)) => {}
        }
    }
    Ok(())
}

fn number_of(loaded: &Value) -> Result<u64> {
    loaded["model"].as_u64().ok_or_else(|| Error::new(Code::Internal, "the loaded model has no number"))
}

// ---- Reading ----

/// `None` at the end; `Err` for a line that is no message of ours.
fn next(reader: &mut Reader) -> Result<Option<Incoming>> {
    let mut line = Vec::new();
    match reader.read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => Ok(None),
        Ok(_) if line.last() != Some(&b'\n') => Ok(None), // cut by its end
        Ok(_) => wire::read(&line).map(Some).map_err(|what| {
            let shown: String = String::from_utf8_lossy(&line).chars().filter(|c| !c.is_control()).take(80).collect();
            Error::new(Code::Crashed, format!("the ingle process sent what is no message ({what}): {shown}"))
                .with_hint("is it the ingle program, and of the same version?")
        }),
    }
}

/// Until the child ends; with an error if we have to end it.
fn read(shared: &Shared, reader: &mut Reader) -> Option<Error> {
    loop {
        match next(reader) {
            Ok(Some(message)) => take(shared, message),
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

fn take(shared: &Shared, message: Incoming) {
    match message {
        Incoming::Answer { id, result } => take_answer(shared, id, result),
        Incoming::Event(event) => take_event(shared, event),
        Incoming::Progress { call, what, done } => {
            if let Some(Expect::Load(_, reply) | Expect::Reply(reply)) = lock(&shared.state).calls.get(&call) {
                let _ = reply.send(Note::Progress { what, done });
            }
        }
        Incoming::Unknown => {}
    }
}

fn take_answer(shared: &Shared, id: u64, result: Result<Value>) {
    let mut state = lock(&shared.state);
    match state.calls.remove(&id) {
        Some(Expect::Submit(sink, reply)) => {
            if let Some(request) = result.as_ref().ok().and_then(|r| r["request"].as_u64()) {
                state.streams.insert(request, Stream { sink, cancelled: false });
            }
            let _ = reply.send(Note::Answer(result));
        }
        Some(Expect::Load(slot, reply)) => {
            let number = result.as_ref().map_err(Error::clone).and_then(number_of);
            match (number, state.slots.get_mut(&slot)) {
                (Ok(number), Some(slot)) => {
                    slot.number = Ok(number);
                    slot.known = true;
                }
                _ => drop(state.slots.remove(&slot)),
            }
            drop(state);
            if reply.send(Note::Answer(result)).is_err() {
                shared.unload(slot); // the caller is gone
            }
        }
        Some(expect) => {
            drop(state);
            answer(expect, result);
        }
        None => {}
    }
}

fn answer(expect: Expect, result: Result<Value>) {
    if let Expect::Reply(reply) | Expect::Submit(_, reply) | Expect::Load(_, reply) = expect {
        let _ = reply.send(Note::Answer(result)); // who gave up waiting does not care
    }
}

fn take_event(shared: &Shared, mut event: RawEvent) {
    let (request, last) = (event.request, event.is_last());
    let Some(mut stream) = lock(&shared.state).streams.remove(&request) else { return };
    let event = match event.error.take() {
        Some(error) => Err(error),
        None if event.kind == "error" => Err(Error::new(Code::Internal, "the request failed without saying why")),
        None => Ok(event),
    };
    let flow = guarded(&mut stream.sink, event);
    if last {
        return;
    }
    if flow.is_break() && !stream.cancelled {
        stream.cancelled = true;
        shared.notify("cancel", json!({ "request": request }));
    }
    lock(&shared.state).streams.insert(request, stream);
}

/// A panic in a sink cancels its request and harms nobody else. It is not called again.
fn guarded(sink: &mut Sink, event: Result<RawEvent>) -> ControlFlow<()> {
    catch_unwind(AssertUnwindSafe(|| sink(event))).unwrap_or_else(|_| {
        *sink = Box::new(|_| ControlFlow::Break(()));
        ControlFlow::Break(())
    })
}
