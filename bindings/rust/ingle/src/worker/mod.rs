//! The engine in a process of its own: a crash of it, or a kill for memory, is an error here and no more.
//!
//! [`Worker::spawn`] starts the `ingle` program with `--stdio` (docs/stdio.md). It starts it again when it ends before
//! its time, loads the models that were loaded, and gives [`Code::Crashed`] with signal and last messages to what ran.
//! The child never outlives this process, however this process ends: on Linux and macOS it watches its parent, on
//! Windows it is in a job object, and everywhere it ends with its input.
//!
//! ```no_run
//! use ingle::{Options, Request, worker::{Worker, WorkerOptions}};
//!
//! let worker = Worker::spawn("ingle", WorkerOptions::default())?;
//! let model = worker.load("model.gguf", &Options::new())?;
//! println!("{}", model.run(Request::prompt("Once upon a time").max_tokens(50))?.text);
//! # Ok::<(), ingle::Error>(())
//! ```
//!
//! There is one thread a worker (and one that reads the child's messages), no runtime. Callbacks are called by that
//! thread, one at a time, and must not block; a call that would wait for itself answers [`Code::Busy`].

mod model;
mod process;
mod supervisor;
mod wire;

use std::{
    ffi::OsString,
    fmt,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use serde_json::{Map, Value, json};

pub use model::{WorkerCanceller, WorkerEvents, WorkerHandle, WorkerModel};
pub use wire::RawEvent;

use crate::{Code, Device, Error, Options, Report, Result, model::parse};
use supervisor::{Expect, Note, Shared};

/// How a child is started, and how often again.
#[derive(Clone)]
#[non_exhaustive]
pub struct WorkerOptions {
    /// Arguments after `--stdio`, for example `--threads 4`: defaults of every model.
    pub args: Vec<OsString>,
    /// Added to the environment that the child inherits.
    pub env: Vec<(OsString, OsString)>,
    /// Restarts within `restart_window`. After one crash more every call fails until the window has passed.
    pub max_restarts: u32,
    /// A minute unless set.
    pub restart_window: Duration,
    on_stderr: Option<process::OnStderr>,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        let window = Duration::from_secs(60);
        WorkerOptions { args: Vec::new(), env: Vec::new(), max_restarts: 3, restart_window: window, on_stderr: None }
    }
}

impl WorkerOptions {
    /// Called with each line that the child writes to standard error, on a thread of its own. Without it the lines are
    /// dropped, but for the last ones in the report of a crash.
    #[must_use]
    pub fn on_stderr(mut self, call: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.on_stderr = Some(Arc::new(call));
        self
    }
}

impl fmt::Debug for WorkerOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerOptions")
            .field("args", &self.args)
            .field("max_restarts", &self.max_restarts)
            .field("restart_window", &self.restart_window)
            .finish_non_exhaustive()
    }
}

/// A child process that runs models. Clones are the same child; it ends when the last clone and the last model are
/// gone.
#[derive(Clone)]
pub struct Worker {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Worker {
    /// Starts the program and waits until it has said what it is.
    pub fn spawn(program: impl AsRef<Path>, options: WorkerOptions) -> Result<Worker> {
        let shared = Shared::start(program.as_ref().to_path_buf(), options)?;
        Ok(Worker { inner: Arc::new(Inner { shared }) })
    }

    fn shared(&self) -> &Shared {
        &self.inner.shared
    }

    /// Sends a call and waits for its answer.
    fn call(&self, slot: Option<u64>, method: &str, params: Value) -> Result<Value> {
        let (reply, notes) = mpsc::channel();
        self.shared().send(slot, method, params, Expect::Reply(reply))?;
        wait(&notes, |_, _| {})
    }

    /// Loads a model: a path, or a name in the model store.
    pub fn load(&self, model: impl AsRef<Path>, options: &Options) -> Result<WorkerModel> {
        self.load_with(model, options, |_, _| ControlFlow::Continue(()))
    }

    /// The same with progress: what is being done and how much of it (0 to 1), at least every 50 ms, on this thread.
    /// `Break` cancels.
    pub fn load_with(
        &self,
        model: impl AsRef<Path>,
        options: &Options,
        on_progress: impl FnMut(&str, f64) -> ControlFlow<()>,
    ) -> Result<WorkerModel> {
        self.load_pairs(model.as_ref(), options.iter(), on_progress)
    }

    /// The same with options by name that the child checks, not this process.
    pub fn load_pairs<'a>(
        &self,
        model: &Path,
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
        mut on_progress: impl FnMut(&str, f64) -> ControlFlow<()>,
    ) -> Result<WorkerModel> {
        let path = model.to_str().ok_or_else(|| {
            Error::new(Code::BadArgument, format!("{} is not valid Unicode", model.display()))
                .with_hint("rename the file, or use the engine in this process")
        })?;
        let (reply, notes) = mpsc::channel();
        let params = json!({ "model": path, "options": as_json(options) });
        let (slot, call) = self.shared().send_load(params, reply)?;
        let mut cancelled = false;
        let loaded = wait(&notes, |what, done| {
            if !cancelled && on_progress(what, done).is_break() {
                cancelled = true;
                self.shared().notify("cancel", json!({ "call": call }));
            }
        })?;
        let model = WorkerModel::new(self.clone(), slot, &loaded);
        match cancelled {
            // It was there already when the cancel came.
            true => Err(Error::new(Code::Cancelled, "cancelled")),
            false => Ok(model),
        }
    }

    /// What the machine could compute on, usable devices first.
    pub fn devices(&self) -> Result<Vec<Device>> {
        parse(&self.devices_json()?.to_string())
    }

    /// The same as the library writes it.
    pub fn devices_json(&self) -> Result<Value> {
        Ok(self.call(None, "devices", json!({}))?["devices"].take())
    }

    /// What is in the way on this machine.
    pub fn doctor(&self, options: &Options) -> Result<Report> {
        parse(&self.doctor_json(options)?.to_string())
    }

    /// The same as the library writes it.
    pub fn doctor_json(&self, options: &Options) -> Result<Value> {
        self.call(None, "doctor", json!({ "options": as_json(options.iter()) }))
    }

    /// Version of the program.
    pub fn version(&self) -> String {
        self.shared().version()
    }

    /// Of the child that is there now.
    pub fn process_id(&self) -> Option<u32> {
        self.shared().process_id()
    }

    /// How often it was started again.
    pub fn restarts(&self) -> u64 {
        self.shared().restarts()
    }

    /// Whether a child is there and ready. Calls wait for it by themselves.
    pub fn is_ready(&self) -> bool {
        self.shared().is_ready()
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("process", &self.process_id()).field("restarts", &self.restarts()).finish()
    }
}

fn as_json<'a>(options: impl IntoIterator<Item = (&'a str, &'a str)>) -> Map<String, Value> {
    options.into_iter().map(|(name, value)| (name.to_string(), value.into())).collect()
}

/// Waits for the answer; progress is given on in between, at least every 50 ms once it has begun.
fn wait(notes: &mpsc::Receiver<Note>, mut on_progress: impl FnMut(&str, f64)) -> Result<Value> {
    let mut last = (String::from("load"), 0.0);
    loop {
        match notes.recv_timeout(Duration::from_millis(50)) {
            Ok(Note::Answer(answer)) => return answer,
            Ok(Note::Progress { what, done }) => last = (what, done),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                return Err(Error::new(Code::Crashed, "the worker is closed"));
            }
        }
        on_progress(&last.0, last.1);
    }
}

/// The `ingle` program, where an app usually has it: beside the app's own executable, else at `INGLE_SIDECAR`, else in
/// `PATH`.
pub fn find_program(name: &str) -> Result<PathBuf> {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join(&file)));
    let named = std::env::var_os("INGLE_SIDECAR").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join(&file));
    let found = beside.iter().cloned().chain(named).chain(in_path).find(|p| p.is_file());
    found.ok_or_else(|| {
        let place = beside.as_deref().unwrap_or(Path::new(&file)).display().to_string();
        Error::new(Code::NotFound, format!("{place} is missing, and there is no {file} in PATH"))
            .with_hint("bundle it beside the app (docs/stdio.md), or set INGLE_SIDECAR")
    })
}
