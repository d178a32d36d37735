//! What runs the models: this process, or a child that may crash without taking the app along.

mod isolated;
#[cfg(all(test, target_os = "linux"))]
mod isolated_tests;
mod local;

use crate::{
    Error, Result,
    config::Isolated,
    models::{Timings, Usage},
};
use serde_json::Value;
use std::{ops::ControlFlow, path::Path, sync::Arc};
use tauri::{AppHandle, Runtime};

/// What a request says while it runs. `Done` or `Failed` comes exactly once, as the last.
#[derive(Debug, Clone)]
pub enum BackendEvent {
    /// Prompt tokens computed so far, and all of them.
    Progress {
        done: u64,
        total: u64,
    },
    /// A piece of the answer and the number of tokens it took.
    Text {
        text: String,
        tokens: u32,
    },
    /// A piece of the thinking before the answer.
    Reasoning {
        text: String,
        tokens: u32,
    },
    Done {
        finish: String,
        usage: Usage,
        timings: Timings,
    },
    Failed(crate::Error),
}

impl BackendEvent {
    pub(crate) fn is_last(&self) -> bool {
        matches!(self, Self::Done { .. } | Self::Failed(_))
    }
}

/// Takes the events of one request, one at a time, on the backend's thread: it must not block. `Break` cancels.
pub type EventSink = Box<dyn FnMut(BackendEvent) -> ControlFlow<()> + Send>;

/// Called every 50 ms or oftener while a model is read, with what is done and how much of it (0 to 1). `Break` cancels.
pub type LoadProgress<'a> = &'a mut (dyn FnMut(&str, f64) -> ControlFlow<()> + Send);

/// Option names and values, as the option table of the engine knows them.
pub type OptionList = [(String, String)];

/// The backend that the configuration asks for.
pub(crate) fn open<R: Runtime>(
    _app: &AppHandle<R>,
    isolated: &Isolated,
) -> Result<Arc<dyn Backend>> {
    if cfg!(mobile) {
        return Ok(Arc::new(Absent));
    }
    match isolated {
        Isolated::No => Ok(Arc::new(local::Local)),
        Isolated::Yes => Ok(Arc::new(isolated::Child::new("ingle"))),
        Isolated::Sidecar(name) => Ok(Arc::new(isolated::Child::new(name))),
    }
}

/// Systems that ingle has not been brought to: the app starts, and every command says so.
struct Absent;

impl Absent {
    fn error() -> Error {
        Error::new(
            "unsupported",
            "ingle does not run on this system yet",
            "use it on the desktop",
        )
    }
}

impl Backend for Absent {
    fn load(&self, _: &Path, _: &OptionList, _: LoadProgress<'_>) -> Result<Arc<dyn LoadedModel>> {
        Err(Self::error())
    }
    fn devices(&self) -> Result<Value> {
        Err(Self::error())
    }
    fn doctor(&self) -> Result<Value> {
        Err(Self::error())
    }
}

/// A place that runs models. All functions may block, except those of [`Request`]; none is called on the main thread.
pub trait Backend: Send + Sync + 'static {
    /// Reads a model and makes it ready for requests. It is unloaded when the last `Arc` goes.
    fn load(
        &self,
        path: &Path,
        options: &OptionList,
        progress: LoadProgress<'_>,
    ) -> Result<Arc<dyn LoadedModel>>;
    /// JSON array of devices.
    fn devices(&self) -> Result<Value>;
    /// JSON report on this machine.
    fn doctor(&self) -> Result<Value>;
    /// The app ends; no model is left.
    fn shut_down(&self) {}
}

/// A model with one engine, which takes requests in turn.
pub trait LoadedModel: Send + Sync {
    /// The model's description (`ingle::ModelInfo` as JSON).
    fn info(&self) -> &Value;
    /// Queues a request (its JSON in the engine's shape) and returns at once.
    fn submit(&self, request: &str, sink: EventSink) -> Result<Arc<dyn Request>>;
    /// One vector a text of the request.
    fn embed(&self, request: &str) -> Result<Vec<Vec<f32>>>;
    fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<i32>>;
    fn detokenize(&self, tokens: &[i32], spell_special: bool) -> Result<String>;
    /// The prompt that a chat becomes: `{messages, tools, add_generation_prompt, chat_template_kwargs}`.
    fn template(&self, chat: &str) -> Result<String>;
    /// Keeps the conversation (tokens and KV) in a file. `busy` while a request runs.
    fn save(&self, path: &Path) -> Result<()>;
    fn restore(&self, path: &Path) -> Result<()>;
    /// The same report, with how this model fits the machine.
    fn doctor(&self) -> Result<Value>;
    /// `false` once the process that held it is gone: the plugin then loads it anew with the next request.
    fn alive(&self) -> bool {
        true
    }
    /// Ends what runs, as `Done` with finish `cancelled`.
    fn cancel_all(&self);
}

/// A request that was submitted. Dropping it changes nothing.
pub trait Request: Send + Sync {
    /// Returns at once; the last event still comes. Finished requests are left alone.
    fn cancel(&self);
}
