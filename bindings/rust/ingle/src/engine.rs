//! The engine: requests in, events out.

use std::{
    ffi::{c_int, c_void},
    fmt,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    ptr,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use ingle_sys as sys;

use crate::{
    Code, Completion, Done, Error, Event, Finish, Model, Options, Request, Result, Stream, event,
    event::Collector,
    ffi::{self, Inside, Panic},
    options::LogHook,
};

/// Runs requests, one after another, on a thread of its own. It remembers the last conversation, so a chat that grows
/// computes only what is new.
///
/// Clones are the same engine. It closes when the last clone, [`Stream`] and [`Handle`] of it are gone; what still runs
/// or waits then is cancelled.
///
/// ```no_run
/// use ingle::{Engine, Message, Model, Request};
///
/// let engine = Engine::new(&Model::open("model.gguf")?)?;
/// let answer = engine.run(Request::chat([Message::user("Why is the sky blue?")]))?;
/// println!("{}", answer.text);
/// # Ok::<(), ingle::Error>(())
/// ```
#[derive(Clone)]
pub struct Engine {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    ptr: *mut sys::ingle_engine,
    model: Model,
    log: Option<Arc<LogHook>>,
    /// The last request that delivered its last event.
    last_ended: Arc<AtomicU64>,
}

// SAFETY: submit, wait, cancel and embed are safe from any thread, and so are save and load, which answer "busy".
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

impl Inner {
    fn key(&self) -> usize {
        self.ptr as usize
    }

    pub fn cancel(&self, id: u64) {
        // SAFETY: from any thread, at any time before close.
        unsafe { sys::ingle_engine_cancel(self.ptr, id) };
    }

    /// Blocking calls from the engine's own callback would wait for themselves.
    pub fn not_inside(&self) -> Result<()> {
        if !Inside::is(self.key()) {
            return Ok(());
        }
        Err(Error::new(Code::Busy, "called from a callback of the same engine").with_hint("use another thread"))
    }

    /// A request has ended for its receiver a moment before it has for the engine.
    fn settle(&self) {
        let id = self.last_ended.load(Ordering::Acquire);
        if id != 0 {
            // SAFETY: the request's last event is delivered, so this returns at once; how it went is known.
            unsafe { sys::ingle_engine_wait(self.ptr, id, ptr::null_mut()) };
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !Inside::is(self.key()) {
            // SAFETY: nobody else has the pointer any more.
            unsafe { sys::ingle_engine_close(self.ptr) };
            return;
        }
        // The last owner was in a callback of the engine. Closing waits for that thread, so another one has to do it,
        // and it has to own all that must outlive the engine. If there is no thread to be had, the engine leaks.
        struct Parts(*mut sys::ingle_engine, #[expect(dead_code)] Model, #[expect(dead_code)] Option<Arc<LogHook>>);
        let parts = Box::into_raw(Box::new(Parts(self.ptr, self.model.clone(), self.log.clone()))) as usize;
        let _ = std::thread::Builder::new().name("ingle-close".into()).spawn(move || {
            // SAFETY: made above and given to this thread alone.
            let parts = unsafe { Box::from_raw(parts as *mut Parts) };
            unsafe { sys::ingle_engine_close(parts.0) };
        });
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("model", &self.inner.model).finish()
    }
}

impl Engine {
    /// An engine with default options.
    pub fn new(model: &Model) -> Result<Engine> {
        Engine::with_options(model, &Options::new())
    }

    /// An engine with options of the groups "session" and "sampling"; the latter hold for requests that do not say
    /// otherwise.
    pub fn with_options(model: &Model, options: &Options) -> Result<Engine> {
        let raw = options.to_raw()?;
        // SAFETY: the engine keeps a clone of the model and of the log hook.
        let ptr = ffi::open(|out, err| unsafe { sys::ingle_engine_open(out, model.as_ptr(), raw.ptr, err) })?;
        let inner = Inner { ptr, model: model.clone(), log: options.log(), last_ended: Arc::new(AtomicU64::new(0)) };
        Ok(Engine { inner: Arc::new(inner) })
    }

    /// The engine's model.
    pub fn model(&self) -> &Model {
        &self.inner.model
    }

    pub(crate) fn as_ptr(&self) -> *mut sys::ingle_engine {
        self.inner.ptr
    }

    /// Queues a request and returns at once; events come through the stream. The stream holds what was not read yet: a
    /// reader that stops reading does not stop the engine, dropping the stream does.
    pub fn stream(&self, request: Request) -> Result<Stream> {
        Stream::start(self, &request.to_json())
    }

    /// Runs a request and gives the whole answer. One that is cancelled gives what there was of it.
    pub fn run(&self, request: Request) -> Result<Completion> {
        self.inner.not_inside()?;
        let answer = Arc::new(Mutex::new((Collector::default(), None)));
        let collect = Arc::clone(&answer);
        let handle = self.submit(request, move |event| {
            if let Ok(event) = event {
                let (collector, completion) = &mut *lock(&collect);
                if let Some(done) = collector.add(event) {
                    *completion = Some(done);
                }
            }
            ControlFlow::Continue(())
        })?;
        handle.wait()?;
        let completion = lock(&answer).1.take();
        completion.ok_or_else(|| Error::new(Code::Internal, "the request ended without its last event"))
    }

    /// Queues a request whose events go to `on_event`, on the engine's thread. `Break` cancels the request, and so does
    /// a panic. The last call has [`Event::Done`] or an error.
    ///
    /// The callback may use [`Canceller`], but no other method of the same engine waits for it: those answer
    /// [`Code::Busy`].
    ///
    /// ```no_run
    /// # let engine = ingle::Engine::new(&ingle::Model::open("model.gguf")?)?;
    /// use std::ops::ControlFlow;
    /// use ingle::{Event, Request};
    ///
    /// let handle = engine.submit(Request::prompt("Once upon a time"), |event| {
    ///     if let Ok(Event::Text(piece)) = event {
    ///         print!("{piece}");
    ///     }
    ///     ControlFlow::Continue(())
    /// })?;
    /// handle.wait()?;
    /// # Ok::<(), ingle::Error>(())
    /// ```
    pub fn submit(
        &self,
        request: Request,
        on_event: impl FnMut(Result<Event>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<Handle> {
        self.submit_json(&request.to_json(), on_event)
    }

    /// The same with a request that is already JSON.
    pub fn submit_json(
        &self,
        json: &str,
        on_event: impl FnMut(Result<Event>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<Handle> {
        self.inner.not_inside()?;
        let outcome = Arc::new(Outcome::default());
        let receiver = Box::new(Receiver {
            call: Box::new(on_event),
            outcome: Arc::clone(&outcome),
            last_ended: Arc::clone(&self.inner.last_ended),
            engine: self.inner.key(),
            panic: None,
        });
        let ud = Box::into_raw(receiver);
        let mut id = 0;
        // SAFETY: the text is copied; the receiver is freed by its last event, or here if none will come.
        let submitted = ffi::check(|err| unsafe {
            let text = json.as_ptr().cast();
            sys::ingle_engine_submit(self.as_ptr(), text, json.len(), Some(on_raw), ud.cast(), &mut id, err)
        });
        if let Err(error) = submitted {
            drop(unsafe { Box::from_raw(ud) });
            return Err(error);
        }
        Ok(Handle { engine: Arc::clone(&self.inner), id, outcome })
    }

    /// Cancels every request that runs or waits.
    pub fn cancel_all(&self) {
        self.inner.cancel(0);
    }

    /// Keeps the conversation (tokens, keys and values) in a file. [`Code::Busy`] while a request runs.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.when_settled(path.as_ref(), sys::ingle_engine_save)
    }

    /// Takes a conversation up again. [`Code::Busy`] while a request runs.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<()> {
        self.when_settled(path.as_ref(), sys::ingle_engine_load)
    }

    fn when_settled(&self, path: &Path, call: FileCall) -> Result<()> {
        self.inner.not_inside()?;
        let path = ffi::c_path(path)?;
        self.inner.settle();
        ffi::check(|err| unsafe { call(self.as_ptr(), path.as_ptr(), err) })
    }
}

type FileCall =
    unsafe extern "C" fn(*mut sys::ingle_engine, *const std::ffi::c_char, *mut sys::ingle_error) -> sys::ingle_status;

/// Locks that a panic cannot spoil: what they guard is whole at every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a request ended, once it has.
#[derive(Default)]
struct Outcome {
    result: Mutex<Option<Result<Done>>>,
    ended: Condvar,
}

/// What the engine holds of a request: freed with its last event.
struct Receiver {
    call: Box<dyn FnMut(Result<Event>) -> ControlFlow<()> + Send>,
    outcome: Arc<Outcome>,
    last_ended: Arc<AtomicU64>,
    engine: usize,
    panic: Option<Panic>,
}

impl Receiver {
    fn deliver(&mut self, event: Result<Event>) -> ControlFlow<()> {
        if self.panic.is_some() {
            return ControlFlow::Break(());
        }
        catch_unwind(AssertUnwindSafe(|| (self.call)(event))).unwrap_or_else(|panic| {
            self.panic = Some(panic);
            ControlFlow::Break(())
        })
    }

    fn finish(self, request: u64, result: Result<Done>) {
        let Receiver { call, outcome, last_ended, panic, .. } = self;
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(call)));
        let panic = panic.or(dropped.err());
        let result = match panic {
            Some(panic) => Err(Error::new(
                Code::Cancelled,
                format!("the request's callback panicked: {}", ffi::panic_text(&panic)),
            )),
            None => result,
        };
        last_ended.store(request, Ordering::Release);
        *lock(&outcome.result) = Some(result);
        outcome.ended.notify_all();
    }
}

unsafe extern "C" fn on_raw(ud: *mut c_void, raw: *const sys::ingle_event) -> c_int {
    // SAFETY: `ud` is the receiver of this request, which lives until its last event; events come one at a time.
    let (receiver, raw) = unsafe { (&mut *ud.cast::<Receiver>(), &*raw) };
    let _inside = Inside::enter(receiver.engine);
    let event = unsafe { event::from_raw(raw) };
    let result = match &event {
        Some(Ok(Event::Done(done))) => Some(Ok(done.clone())),
        Some(Err(error)) => Some(Err(error.clone())),
        _ => None,
    };
    let flow = event.map_or(ControlFlow::Continue(()), |event| receiver.deliver(event));
    if event::is_last(raw) {
        let result = result.unwrap_or_else(|| Err(Error::new(Code::Internal, "an end that cannot be read")));
        // SAFETY: made by `Box::into_raw`; no event follows.
        let receiver = unsafe { Box::from_raw(ud.cast::<Receiver>()) };
        receiver.finish(raw.request, result);
    }
    c_int::from(flow.is_break())
}

/// A request that was submitted with a callback. Dropping it changes nothing: the request goes on as long as the engine
/// is there.
pub struct Handle {
    engine: Arc<Inner>,
    id: u64,
    outcome: Arc<Outcome>,
}

impl Handle {
    /// The request's number in its engine.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether the last event has been delivered.
    pub fn is_finished(&self) -> bool {
        lock(&self.outcome.result).is_some()
    }

    /// Cancels the request: its callback gets [`Event::Done`] with [`Finish::Cancelled`] soon.
    pub fn cancel(&self) {
        self.engine.cancel(self.id);
    }

    pub(crate) fn may_block(&self) -> Result<()> {
        self.engine.not_inside()
    }

    /// Something that cancels the request from anywhere and keeps nothing alive.
    pub fn canceller(&self) -> Canceller {
        Canceller { engine: Arc::downgrade(&self.engine), id: self.id }
    }

    /// Blocks until the last event has been delivered. A request whose callback panicked ends with
    /// [`Code::Cancelled`] and the panic's text.
    pub fn wait(self) -> Result<Done> {
        self.engine.not_inside()?;
        let mut result = lock(&self.outcome.result);
        loop {
            if let Some(result) = result.take() {
                return result;
            }
            result = self.outcome.ended.wait(result).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("id", &self.id).field("finished", &self.is_finished()).finish()
    }
}

/// Cancels one request, from any thread, as often as one likes. It does not keep the engine alive.
#[derive(Clone)]
pub struct Canceller {
    pub(crate) engine: Weak<Inner>,
    pub(crate) id: u64,
}

impl Canceller {
    /// Cancels the request; nothing happens if it has ended.
    pub fn cancel(&self) {
        if let Some(engine) = self.engine.upgrade() {
            engine.cancel(self.id);
        }
    }
}

impl fmt::Debug for Canceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canceller").field("id", &self.id).finish()
    }
}

impl Done {
    /// Whether the request was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.finish == Finish::Cancelled
    }
}
