//! The engine in a child process, a sidecar of the bundle: when it crashes, what ran gets the error `crashed`, and the
//! worker starts it again with the models that were loaded. It is started by the first command that needs it.

use super::{
    Backend, BackendEvent, EventSink, LoadProgress, LoadedModel, OptionList, Request,
    local::{json, translate},
};
use crate::{Error, Result, timer::lock};
use ingle::{
    Options, TemplateInput, TokenizeOptions,
    worker::{Worker, WorkerCanceller, WorkerModel, WorkerOptions, find_program},
};
use serde_json::Value;
use std::{
    io::Write,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

pub(crate) struct Child {
    sidecar: String,
    worker: Mutex<Option<Worker>>,
}

struct ChildModel {
    model: WorkerModel,
    info: Value,
}

struct ChildRequest(WorkerCanceller);

impl Child {
    pub(crate) fn new(sidecar: &str) -> Self {
        Self {
            sidecar: sidecar.into(),
            worker: Mutex::new(None),
        }
    }

    /// `externalBin` has "binaries/NAME", and the bundle NAME beside the app.
    fn program(&self) -> Result<PathBuf> {
        let name = Path::new(&self.sidecar);
        if name.is_absolute() {
            return Ok(name.into());
        }
        let file = name.file_name().and_then(|file| file.to_str());
        Ok(find_program(file.unwrap_or(&self.sidecar))?)
    }

    fn worker(&self) -> Result<Worker> {
        let mut worker = lock(&self.worker);
        if let Some(worker) = &*worker {
            return Ok(worker.clone());
        }
        // Its notes go where those of the app go. A standard error that is closed is no reason to fail.
        let options = WorkerOptions::default().on_stderr(|line| {
            let _ = writeln!(std::io::stderr(), "{line}");
        });
        let started = Worker::spawn(self.program()?, options)?;
        Ok(worker.insert(started).clone())
    }
}

impl Backend for Child {
    fn load(
        &self,
        path: &Path,
        options: &OptionList,
        progress: LoadProgress<'_>,
    ) -> Result<Arc<dyn LoadedModel>> {
        let mut set = Options::new();
        for (name, value) in options {
            set.set(name, value)?;
        }
        let model = self.worker()?.load_with(path, &set, progress)?;
        let info = json(model.info()?)?;
        Ok(Arc::new(ChildModel { model, info }))
    }

    fn devices(&self) -> Result<Value> {
        json(self.worker()?.devices()?)
    }

    fn doctor(&self) -> Result<Value> {
        json(self.worker()?.doctor(&Options::new())?)
    }

    fn shut_down(&self) {
        let worker = lock(&self.worker).take();
        drop(worker); // without the lock: it waits for the child's end
    }
}

impl LoadedModel for ChildModel {
    fn info(&self) -> &Value {
        &self.info
    }

    fn submit(&self, request: &str, mut sink: EventSink) -> Result<Arc<dyn Request>> {
        let request: ingle::Request = serde_json::from_str(request)
            .map_err(|error| Error::bad_request(format!("the request: {error}"), ""))?;
        let mut tokens = 0;
        let handle = self.model.submit(request, move |event| match event {
            Ok(event) => match translate(event, &mut tokens) {
                Some(event) => sink(event),
                None => ControlFlow::Continue(()),
            },
            Err(error) => sink(BackendEvent::Failed(error.into())),
        })?;
        Ok(Arc::new(ChildRequest(handle.canceller())))
    }

    fn embed(&self, request: &str) -> Result<Vec<Vec<f32>>> {
        Ok(self.model.embed_json(request)?)
    }

    fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Result<Vec<i32>> {
        Ok(self.model.tokenize(
            text,
            TokenizeOptions {
                add_special,
                parse_special,
            },
        )?)
    }

    fn detokenize(&self, tokens: &[i32], spell_special: bool) -> Result<String> {
        Ok(self.model.detokenize(tokens, spell_special)?)
    }

    fn template(&self, chat: &str) -> Result<String> {
        let input: TemplateInput = serde_json::from_str(chat)
            .map_err(|error| Error::bad_request(format!("apply_template: {error}"), ""))?;
        Ok(self.model.apply_template(&input)?)
    }

    fn save(&self, path: &Path) -> Result<()> {
        Ok(self.model.save(path)?)
    }

    fn restore(&self, path: &Path) -> Result<()> {
        Ok(self.model.restore(path)?)
    }

    fn doctor(&self) -> Result<Value> {
        json(self.model.doctor()?)
    }

    fn alive(&self) -> bool {
        self.model.is_loaded()
    }

    fn cancel_all(&self) {
        self.model.cancel_all();
    }
}

impl Request for ChildRequest {
    fn cancel(&self) {
        self.0.cancel();
    }
}
