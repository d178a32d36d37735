//! A model in the child, and the requests that run on it.

use std::{
    fmt,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Weak, mpsc},
};

use serde_json::{Value, json};

use super::{
    Inner, RawEvent, Worker,
    supervisor::{Expect, Sink},
    wait, wire,
};
use crate::{
    Code, Completion, Done, EmbedRequest, Error, Event, Finish, ModelInfo, Piece, Report, Request, Result,
    TemplateInput, Timings, TokenizeOptions, Usage,
    event::Collector,
    model::{parse, to_json},
};

/// A model that is loaded in the child, with one engine that takes requests in turn. Clones are the same model; it is
/// unloaded when the last one is gone. After a crash it is loaded again; its conversation is computed anew.
#[derive(Clone)]
pub struct WorkerModel {
    inner: Arc<Loaded>,
}

struct Loaded {
    worker: Worker,
    slot: u64,
    path: PathBuf,
    info: Value,
}

impl Drop for Loaded {
    fn drop(&mut self) {
        self.worker.shared().unload(self.slot);
    }
}

impl WorkerModel {
    pub(super) fn new(worker: Worker, slot: u64, loaded: &Value) -> WorkerModel {
        let path = loaded["path"].as_str().unwrap_or_default().into();
        WorkerModel { inner: Arc::new(Loaded { worker, slot, path, info: loaded["info"].clone() }) }
    }

    fn call(&self, method: &str, params: Value) -> Result<Value> {
        self.inner.worker.call(Some(self.inner.slot), method, params)
    }

    /// The worker it is loaded in.
    pub fn worker(&self) -> &Worker {
        &self.inner.worker
    }

    /// The path it was found at.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Family, sizes, context, memory needed, special tokens.
    pub fn info(&self) -> Result<ModelInfo> {
        parse(&self.inner.info.to_string())
    }

    /// The same as the library writes it.
    pub fn info_json(&self) -> &Value {
        &self.inner.info
    }

    /// False once the worker has given up, or could not load this model again: load it anew then. While a child is
    /// started it is true, and calls wait.
    pub fn is_loaded(&self) -> bool {
        self.inner.worker.shared().is_loaded(self.inner.slot)
    }

    // ---- Requests ----

    /// Queues a request given as JSON; its raw events go to `on_event`, on the worker's thread. `Break` cancels, and so
    /// does a panic. The last call has an event for which [`RawEvent::is_last`] holds, or an error.
    pub fn submit_json(
        &self,
        request: &str,
        on_event: impl FnMut(Result<RawEvent>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<WorkerHandle> {
        let request: Value = serde_json::from_str(request)
            .map_err(|e| Error::new(Code::BadRequest, format!("the request is not JSON: {e}")))?;
        self.submit_value(request, Box::new(on_event))
    }

    fn submit_value(&self, request: Value, sink: Sink) -> Result<WorkerHandle> {
        if !request.is_object() {
            return Err(Error::new(Code::BadRequest, "the request is not a JSON object")
                .with_hint("give {\"messages\": [...]} or {\"prompt\": \"...\"}"));
        }
        let (reply, notes) = mpsc::channel();
        let expect = Expect::Submit(sink, reply);
        let sent =
            self.inner.worker.shared().send(Some(self.inner.slot), "submit", json!({ "request": request }), expect)?;
        let answer = wait(&notes, |_, _| {})?;
        let id = answer["request"].as_u64().ok_or_else(|| Error::new(Code::Internal, "the request has no number"))?;
        let worker = Arc::downgrade(&self.inner.worker.inner);
        Ok(WorkerHandle { canceller: WorkerCanceller { worker, id, generation: sent.generation } })
    }

    /// Queues a request whose events go to `on_event`, as [`Engine::submit`](crate::Engine::submit) does. A crash is an
    /// error of code [`Code::Crashed`], and the last thing it gets.
    pub fn submit(
        &self,
        request: Request,
        mut on_event: impl FnMut(Result<Event>) -> ControlFlow<()> + Send + 'static,
    ) -> Result<WorkerHandle> {
        let request = serde_json::to_value(&request).map_err(|e| Error::new(Code::BadRequest, e.to_string()))?;
        let sink = move |raw: Result<RawEvent>| match raw.map(typed) {
            Ok(Some(event)) => on_event(Ok(event)),
            Ok(None) => ControlFlow::Continue(()),
            Err(error) => on_event(Err(error)),
        };
        self.submit_value(request, Box::new(sink))
    }

    /// Queues a request and gives its events as an iterator that blocks. **Dropping it cancels the request.**
    pub fn events(&self, request: Request) -> Result<WorkerEvents> {
        let (to, events) = mpsc::channel();
        let handle = self.submit(request, move |event| match to.send(event) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        })?;
        Ok(WorkerEvents { events, handle, ended: false, _model: self.clone() })
    }

    /// Runs a request and gives the whole answer. One that is cancelled gives what there was of it.
    pub fn run(&self, request: Request) -> Result<Completion> {
        let mut collector = Collector::default();
        for event in self.events(request)? {
            if let Some(completion) = collector.add(event?) {
                return Ok(completion);
            }
        }
        Err(Error::new(Code::Internal, "the request ended without its last event"))
    }

    /// Cancels every request that runs or waits.
    pub fn cancel_all(&self) {
        self.inner.worker.shared().cancel_model(self.inner.slot);
    }

    // ---- Calls ----

    /// One vector a text, in order.
    pub fn embed(&self, request: &EmbedRequest) -> Result<Vec<Vec<f32>>> {
        self.embed_json(&to_json(request)?)
    }

    /// The same with a request that is already JSON: `{"input": [...], "pooling", "normalize", "dimensions"}`, as `ingle_engine_embed` takes it.
    pub fn embed_json(&self, request: &str) -> Result<Vec<Vec<f32>>> {
        let mut params: Value = serde_json::from_str(request)
            .map_err(|e| Error::new(Code::BadRequest, format!("the request is not JSON: {e}")))?;
        if !params.is_object() {
            return Err(
                Error::new(Code::BadRequest, "the request is not a JSON object").with_hint("give {\"input\": [...]}")
            );
        }
        params["encoding"] = "base64".into();
        let answer = self.call("embed", params)?;
        let bad = |what: &str| Error::new(Code::Internal, format!("embeddings that cannot be read: {what}"));
        let bytes = wire::read_base64(answer["embeddings"].as_str().unwrap_or_default()).map_err(|e| bad(&e))?;
        let (count, width) = (answer["count"].as_u64().unwrap_or(0), answer["width"].as_u64().unwrap_or(0));
        if count.checked_mul(width).and_then(|n| n.checked_mul(4)) != Some(bytes.len() as u64) {
            return Err(bad("their size is wrong"));
        }
        if width == 0 {
            return Ok(vec![Vec::new(); count as usize]);
        }
        let (values, _) = bytes.as_chunks::<4>();
        let values: Vec<f32> = values.iter().map(|four| f32::from_le_bytes(*four)).collect();
        Ok(values.chunks(width as usize).map(<[f32]>::to_vec).collect())
    }

    /// Text to token ids.
    pub fn tokenize(&self, text: &str, options: TokenizeOptions) -> Result<Vec<i32>> {
        let TokenizeOptions { add_special, parse_special } = options;
        let params = json!({ "text": text, "add_special": add_special, "parse_special": parse_special });
        parse(&self.call("tokenize", params)?["tokens"].to_string())
    }

    /// Token ids to text.
    pub fn detokenize(&self, ids: &[i32], spell_special: bool) -> Result<String> {
        text_of(&self.call("detokenize", json!({ "tokens": ids, "spell_special": spell_special }))?)
    }

    /// Renders a chat with the model's template.
    pub fn apply_template(&self, input: &TemplateInput) -> Result<String> {
        self.apply_template_json(&to_json(input)?)
    }

    /// The same with a chat that is already JSON.
    pub fn apply_template_json(&self, input: &str) -> Result<String> {
        let input: Value = serde_json::from_str(input)
            .map_err(|e| Error::new(Code::BadRequest, format!("the chat is not JSON: {e}")))?;
        text_of(&self.call("template", json!({ "input": input }))?)
    }

    /// Keeps the conversation in a file. [`Code::Busy`] while a request runs.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.call("save", json!({ "path": utf8(path.as_ref())? })).map(drop)
    }

    /// Takes a conversation up again. [`Code::Busy`] while a request runs.
    pub fn restore(&self, path: impl AsRef<Path>) -> Result<()> {
        self.call("restore", json!({ "path": utf8(path.as_ref())? })).map(drop)
    }

    /// What is in the way on this machine, and how the model fits it.
    pub fn doctor(&self) -> Result<Report> {
        parse(&self.doctor_json()?.to_string())
    }

    /// The same as the library writes it.
    pub fn doctor_json(&self) -> Result<Value> {
        self.call("doctor", json!({}))
    }
}

impl fmt::Debug for WorkerModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerModel").field("path", &self.inner.path).finish()
    }
}

fn text_of(answer: &Value) -> Result<String> {
    let text = answer["text"].as_str().map(str::to_string);
    text.ok_or_else(|| Error::new(Code::Internal, "an answer without its text"))
}

fn utf8(path: &Path) -> Result<&str> {
    // The child may have another working folder one day; today it has ours.
    path.to_str().ok_or_else(|| Error::new(Code::BadArgument, format!("{} is not valid Unicode", path.display())))
}

/// `None` for kinds that this version does not know.
fn typed(raw: RawEvent) -> Option<Event> {
    let count = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    let tokens = count(raw.output_tokens);
    Some(match raw.kind.as_str() {
        "progress" => Event::Progress { done: count(raw.prompt_done), total: count(raw.prompt_tokens) },
        "text" => Event::Text(Piece { text: raw.text, tokens }),
        "reasoning" => Event::Reasoning(Piece { text: raw.text, tokens }),
        "done" => Event::Done(Done {
            finish: match raw.finish.as_str() {
                "stop" => Finish::Stop,
                "length" => Finish::Length,
                "cancelled" => Finish::Cancelled,
                _ => Finish::Other,
            },
            usage: Usage {
                prompt_tokens: count(raw.prompt_tokens),
                cached_tokens: count(raw.cached_tokens),
                output_tokens: tokens,
                guessed_tokens: count(raw.guessed_tokens),
                accepted_tokens: count(raw.accepted_tokens),
            },
            timings: Timings {
                prompt_seconds: raw.prompt_seconds,
                output_seconds: raw.output_seconds,
                tokens_per_second: if raw.output_seconds > 0.0 { f64::from(tokens) / raw.output_seconds } else { 0.0 },
            },
        }),
        _ => return None,
    })
}

/// A request that was submitted. Dropping it changes nothing.
#[derive(Debug)]
pub struct WorkerHandle {
    canceller: WorkerCanceller,
}

impl WorkerHandle {
    /// The request's number in its child.
    pub fn id(&self) -> u64 {
        self.canceller.id
    }

    /// Cancels the request: its callback gets [`Event::Done`] with [`Finish::Cancelled`] soon.
    pub fn cancel(&self) {
        self.canceller.cancel();
    }

    /// Something that cancels the request from anywhere and keeps nothing alive.
    pub fn canceller(&self) -> WorkerCanceller {
        self.canceller.clone()
    }
}

/// Cancels one request, from any thread, as often as one likes.
#[derive(Clone)]
pub struct WorkerCanceller {
    worker: Weak<Inner>,
    id: u64,
    generation: u64,
}

impl WorkerCanceller {
    /// Cancels the request; nothing happens if it has ended.
    pub fn cancel(&self) {
        if let Some(worker) = self.worker.upgrade() {
            worker.shared.cancel_request(self.id, self.generation);
        }
    }
}

impl fmt::Debug for WorkerCanceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerCanceller").field("id", &self.id).finish()
    }
}

/// The events of a running request, as an iterator that blocks. Dropping it cancels the request.
#[must_use = "dropping it cancels its request"]
pub struct WorkerEvents {
    events: mpsc::Receiver<Result<Event>>,
    handle: WorkerHandle,
    ended: bool,
    _model: WorkerModel,
}

impl WorkerEvents {
    /// Something that cancels the request from anywhere.
    pub fn canceller(&self) -> WorkerCanceller {
        self.handle.canceller()
    }
}

impl Iterator for WorkerEvents {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Result<Event>> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().ok();
        self.ended = matches!(event, None | Some(Err(_) | Ok(Event::Done(_))));
        event
    }
}

impl std::iter::FusedIterator for WorkerEvents {}

impl Drop for WorkerEvents {
    fn drop(&mut self) {
        if !self.ended {
            self.handle.cancel();
        }
    }
}

impl fmt::Debug for WorkerEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerEvents").field("id", &self.handle.id()).field("ended", &self.ended).finish()
    }
}
