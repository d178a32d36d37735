//! What the app's own Rust code calls. It shares models, queue and idle time with the pages.

use crate::{
    Error, Ingle, Result,
    backend::BackendEvent,
    models::{Answer, DownloadProgress, LoadedModelInfo, StoredModel},
};
use std::{ops::ControlFlow, sync::mpsc};
use tauri::Runtime;

fn go_on(_: &str, _: f64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Every function blocks until it is done. `model` is a name in the store or a path; `None` is the configured model, or
/// the only one that is loaded. Models are loaded when they are needed.
impl<R: Runtime> Ingle<R> {
    /// Loads a model before it is needed. Pages may use it then, whatever their scope.
    pub fn load_model(&self, model: &str) -> Result<LoadedModelInfo> {
        self.load(model, &[], None, &mut go_on)
    }

    /// Gives its memory back; what runs on it ends as cancelled.
    pub fn unload_model(&self, model: &str) -> Result<()> {
        self.unload(model, None)
    }

    /// The models of the store, and those that are loaded from elsewhere.
    pub fn list_models(&self) -> Result<Vec<StoredModel>> {
        self.list(None)
    }

    /// Answers a request. `on_text` gets each piece as it comes, on the engine's thread; `Break` ends the answer there.
    ///
    /// ```no_run
    /// # fn f<R: tauri::Runtime>(app: &tauri::AppHandle<R>) -> tauri_plugin_ingle::Result<()> {
    /// use std::ops::ControlFlow;
    /// use tauri_plugin_ingle::{IngleExt, ingle::{Message, Request}};
    ///
    /// let request = Request::chat([Message::user("Why is the sky blue?")]).max_tokens(200);
    /// let answer = app.ingle().run(None, &request, |text| {
    ///     print!("{text}");
    ///     ControlFlow::Continue(())
    /// })?;
    /// println!("\n{} tokens per second", answer.timings.tokens_per_second);
    /// # Ok(())
    /// # }
    /// ```
    pub fn run(
        &self,
        model: Option<&str>,
        request: &ingle::Request,
        mut on_text: impl FnMut(&str) -> ControlFlow<()> + Send + 'static,
    ) -> Result<Answer> {
        let awake = self.awake(model, None)?;
        let (tx, rx) = mpsc::channel();
        let guard = awake.guard;
        let mut answer = Answer::default();
        let sink = move |event| {
            let _used = &guard;
            match event {
                BackendEvent::Text { text, .. } => {
                    answer.text.push_str(&text);
                    return on_text(&text);
                }
                BackendEvent::Reasoning { text, .. } => answer.reasoning.push_str(&text),
                BackendEvent::Progress { .. } => {}
                BackendEvent::Done {
                    finish,
                    usage,
                    timings,
                } => {
                    let answer = std::mem::take(&mut answer);
                    let _ = tx.send(Ok(Answer {
                        finish,
                        usage,
                        timings,
                        ..answer
                    }));
                }
                BackendEvent::Failed(error) => drop(tx.send(Err(error))),
            }
            ControlFlow::Continue(())
        };
        awake.model.submit(&request.to_json(), Box::new(sink))?;
        rx.recv()
            .map_err(|_| Error::cancelled("the model was unloaded"))?
    }

    /// One vector a text: the pooled hidden states of the model.
    pub fn embed(
        &self,
        model: Option<&str>,
        request: &ingle::EmbedRequest,
    ) -> Result<Vec<Vec<f32>>> {
        let json =
            serde_json::to_string(request).map_err(|error| Error::internal(error.to_string()))?;
        self.awake(model, None)?.model.embed(&json)
    }

    /// Makes a model be in the store. `Break` cancels; what was received stays for the next try.
    pub fn download_model(
        &self,
        source: &str,
        mut on_progress: impl FnMut(DownloadProgress) -> ControlFlow<()> + Send,
    ) -> Result<StoredModel> {
        self.store().pull(source, None, &mut on_progress)
    }
}
