//! The engine in this process.

use super::{Backend, BackendEvent, EventSink, LoadProgress, LoadedModel, OptionList, Request};
use crate::{
    Error, Result,
    models::{Timings, Usage},
};
use ingle::{Engine, Event, Finish, Model, Options, TemplateInput, TokenizeOptions};
use serde_json::Value;
use std::{ops::ControlFlow, path::Path, sync::Arc};

pub(crate) struct Local;

struct LocalModel {
    model: Model,
    engine: Engine,
    options: Options,
    info: Value,
}

impl From<ingle::Error> for Error {
    fn from(error: ingle::Error) -> Self {
        Self {
            code: error.code.as_str().into(),
            message: error.message,
            hint: error.hint,
        }
    }
}

/// What the library gives as a typed value, as JSON.
pub(super) fn json(value: impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(value).map_err(|error| Error::internal(error.to_string()))
}

impl Backend for Local {
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
        let model = Model::builder(path)
            .options(set.clone())
            .on_progress(|what, done| progress(what, done))
            .open()?;
        let engine = Engine::with_options(&model, &set)?;
        let info = json(model.info()?)?;
        Ok(Arc::new(LocalModel {
            model,
            engine,
            options: set,
            info,
        }))
    }

    fn devices(&self) -> Result<Value> {
        json(ingle::devices()?)
    }

    fn doctor(&self) -> Result<Value> {
        json(ingle::doctor(None, None)?)
    }
}

impl LoadedModel for LocalModel {
    fn info(&self) -> &Value {
        &self.info
    }

    fn submit(&self, request: &str, mut sink: EventSink) -> Result<Arc<dyn Request>> {
        let mut tokens = 0;
        let handle = self.engine.submit_json(request, move |event| match event {
            Ok(event) => match translate(event, &mut tokens) {
                Some(event) => sink(event),
                None => ControlFlow::Continue(()),
            },
            Err(error) => sink(BackendEvent::Failed(error.into())),
        })?;
        Ok(Arc::new(LocalRequest(handle.canceller())))
    }

    fn embed(&self, request: &str) -> Result<Vec<Vec<f32>>> {
        let request: ingle::EmbedRequest = serde_json::from_str(request)
            .map_err(|error| Error::bad_request(format!("embed: {error}"), ""))?;
        Ok(self
            .engine
            .embed(request)?
            .into_iter()
            .map(|row| row.values)
            .collect())
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
        Ok(self.engine.save(path)?)
    }

    fn restore(&self, path: &Path) -> Result<()> {
        Ok(self.engine.load(path)?)
    }

    fn doctor(&self) -> Result<Value> {
        json(ingle::doctor(Some(&self.model), Some(&self.options))?)
    }

    fn cancel_all(&self) {
        self.engine.cancel_all();
    }
}

/// `tokens` is how many came before; the engine counts from the beginning.
pub(super) fn translate(event: Event, tokens: &mut u32) -> Option<BackendEvent> {
    let mut more = |now: u32| {
        let more = now.saturating_sub(*tokens);
        *tokens = now;
        more
    };
    Some(match event {
        Event::Progress { done, total } => BackendEvent::Progress {
            done: done.into(),
            total: total.into(),
        },
        Event::Text(piece) => BackendEvent::Text {
            tokens: more(piece.tokens),
            text: piece.text,
        },
        Event::Reasoning(piece) => BackendEvent::Reasoning {
            tokens: more(piece.tokens),
            text: piece.text,
        },
        Event::Done(done) => BackendEvent::Done {
            finish: match done.finish {
                Finish::Length => "length",
                Finish::Cancelled => "cancelled",
                _ => "stop",
            }
            .into(),
            usage: Usage {
                prompt_tokens: done.usage.prompt_tokens.into(),
                cached_tokens: done.usage.cached_tokens.into(),
                output_tokens: done.usage.output_tokens.into(),
                guessed_tokens: done.usage.guessed_tokens.into(),
                accepted_tokens: done.usage.accepted_tokens.into(),
            },
            timings: Timings {
                prompt_seconds: done.timings.prompt_seconds,
                output_seconds: done.timings.output_seconds,
                tokens_per_second: done.timings.tokens_per_second,
            },
        },
        _ => return None,
    })
}

struct LocalRequest(ingle::Canceller);

impl Request for LocalRequest {
    fn cancel(&self) {
        self.0.cancel();
    }
}
