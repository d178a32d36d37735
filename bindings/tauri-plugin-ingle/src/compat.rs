//! The command names of the usual tutorials: `load_llm_model(modelPath)`, `generate_text(prompt, maxTokens)` and the event
//! `llm-token`.
//!
//! With `compat: true` in the configuration a page that calls `invoke('generate_text', ...)` runs as it is: a script
//! sends those two names to this plugin. An app that registers commands of its own can list these instead:
//!
//! ```ignore
//! tauri::Builder::default()
//!     .plugin(tauri_plugin_ingle::init())
//!     .invoke_handler(tauri::generate_handler![
//!         tauri_plugin_ingle::compat::load_llm_model,
//!         tauri_plugin_ingle::compat::generate_text,
//!     ])
//! ```
//!
//! Failures are texts here, as such pages expect.

use crate::{
    Error, IngleExt, Result,
    args::Arg,
    backend::BackendEvent,
    commands::{blocking, slot_for},
    scope::Scope,
    state::Ingle,
    streams::Owner,
};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use tauri::{Emitter, Runtime, Webview, async_runtime, command};

/// A page's `fetch` of the two names becomes one of this plugin's commands, which the permissions know. Tauri's own
/// `invoke` cannot be replaced.
pub(crate) const SCRIPT: &str = r"
const internals = window.__TAURI_INTERNALS__;
const url = (command) => internals.convertFileSrc(command, 'ipc');
const routes = new Map(['load_llm_model', 'generate_text'].map((name) => [url(name), url('plugin:ingle|' + name)]));
const fetch = window.fetch;
window.fetch = function (input, init) {
  return fetch.call(window, typeof input === 'string' ? (routes.get(input) ?? input) : input, init);
};
";

fn text(error: Error) -> String {
    if error.hint.is_empty() {
        error.message
    } else {
        format!("{} ({})", error.message, error.hint)
    }
}

fn check_on<R: Runtime>(ingle: &Ingle<R>) -> Result<()> {
    if ingle.config().compat {
        return Ok(());
    }
    Err(Error::new(
        "unsupported",
        "load_llm_model and generate_text are switched off",
        "set plugins.ingle.compat to true",
    ))
}

/// Loads a model, which [`generate_text`] then uses. Returns its name.
#[command]
pub async fn load_llm_model<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model_path: Arg<String>,
) -> Result<String, String> {
    load(webview, scope, model_path.0).await.map_err(text)
}

async fn load<R: Runtime>(webview: Webview<R>, scope: Scope, path: String) -> Result<String> {
    let ingle = webview.ingle().clone();
    check_on(&ingle)?;
    blocking(move || {
        let loaded = ingle.load(&path, &[], Some(&scope), &mut |_, _| {
            ControlFlow::Continue(())
        })?;
        ingle.set_current(&loaded.id);
        Ok(loaded.name)
    })
    .await
}

/// Answers a prompt: each token as an event `llm-token` to the calling page, then the whole text as the result.
#[command]
pub async fn generate_text<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    prompt: Arg<String>,
    max_tokens: Arg<Option<u32>>,
) -> Result<String, String> {
    generate(webview, scope, prompt.0, max_tokens.0)
        .await
        .map_err(text)
}

async fn generate<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    prompt: String,
    max_tokens: Option<u32>,
) -> Result<String> {
    let ingle = webview.ingle().clone();
    check_on(&ingle)?;
    let slot = slot_for(&ingle, ingle.current(), scope).await?;
    let owner = Owner {
        webview: webview.label().into(),
        window: webview.window().label().into(),
    };
    // A stream that nobody reads: it ends with its window.
    let stream = ingle.streams().open(owner, &slot.id, "generate", None)?;
    let (tx, mut rx) = async_runtime::channel(1);
    let receiver = stream.clone();
    let mut answer = String::new();
    let sink = move |event: &BackendEvent| match event {
        BackendEvent::Text { text, .. } => {
            answer.push_str(text);
            let _ = webview.emit_to(webview.label(), "llm-token", text);
        }
        BackendEvent::Done { .. } => drop(tx.try_send(Ok(std::mem::take(&mut answer)))),
        BackendEvent::Failed(error) => drop(tx.try_send(Err(error.clone()))),
        _ => {}
    };
    async_runtime::spawn_blocking(
        move || match slot.wake(&mut |_, _| ControlFlow::Continue(())) {
            Ok(awake) => {
                let request = request(awake.model.info(), prompt, max_tokens);
                ingle.submit_with(&receiver, awake, &request.to_string(), sink);
            }
            Err(error) => {
                let mut sink = sink;
                sink(&BackendEvent::Failed(error.clone()));
                receiver.fail(error);
            }
        },
    );
    // Without an answer the stream was cancelled before it began.
    rx.recv()
        .await
        .unwrap_or_else(|| Err(Error::cancelled("generate_text was cancelled")))
}

/// A question if the model knows chats, else a text to go on with.
fn request(info: &Value, prompt: String, max_tokens: Option<u32>) -> Value {
    let mut request = match info["chatTemplate"].as_bool() {
        Some(true) => json!({ "messages": [{ "role": "user", "content": prompt }] }),
        _ => json!({ "prompt": prompt }),
    };
    if let Some(max) = max_tokens {
        request["max_tokens"] = max.into();
    }
    request
}
