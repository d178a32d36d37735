//! What a page may call. None blocks the main thread: what takes time runs on the pool for blocking work.

use crate::{
    Error, IngleExt, Result,
    args::{Arg, Events, OptionalEvents},
    loaded::{Awake, Slot},
    models::{
        Attached, DownloadEvent, DownloadInfo, DownloadStarted, EmbedRequest, GenerateRequest,
        LoadEvent, LoadedModelInfo, StoredModel, StreamEvent, StreamInfo, StreamStarted,
        TemplateRequest, pack_embeddings,
    },
    options,
    scope::Scope,
    sessions,
    state::Ingle,
    streams::{Outlet, Owner},
};
use serde_json::Value;
use std::{ops::ControlFlow, sync::Arc};
use tauri::{
    AppHandle, Runtime, Webview, async_runtime, command,
    ipc::{Channel, Response},
};

/// Runs what blocks elsewhere.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    async_runtime::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal(format!("a command did not finish: {error}")))?
}

/// Runs `work` with the model awake.
async fn with_model<R: Runtime, T: Send + 'static>(
    webview: &Webview<R>,
    model: Option<String>,
    scope: Scope,
    work: impl FnOnce(&Awake) -> Result<T> + Send + 'static,
) -> Result<T> {
    let ingle = webview.ingle().clone();
    blocking(move || work(&ingle.awake(model.as_deref(), Some(&scope))?)).await
}

#[command]
pub(crate) async fn load_model<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model: Arg<String>,
    options: Arg<Option<Value>>,
    on_event: OptionalEvents<LoadEvent>,
) -> Result<LoadedModelInfo> {
    let ingle = webview.ingle().clone();
    let options = options::from_json("options", &options.0.unwrap_or_default())?;
    let channel = on_event.0;
    blocking(move || {
        let mut progress = |what: &str, done: f64| {
            let event = LoadEvent::Progress {
                done,
                what: what.into(),
            };
            let _ = channel.as_ref().map(|channel| channel.send(event));
            ControlFlow::Continue(())
        };
        let loaded = ingle.load(&model.0, &options, Some(&scope), &mut progress)?;
        let _ = channel
            .as_ref()
            .map(|channel| channel.send(LoadEvent::Done));
        Ok(loaded)
    })
    .await
}

#[command]
pub(crate) async fn unload_model<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model: Arg<String>,
) -> Result<()> {
    let ingle = webview.ingle().clone();
    blocking(move || ingle.unload(&model.0, Some(&scope))).await
}

#[command]
pub(crate) async fn list_models<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
) -> Result<Vec<StoredModel>> {
    let ingle = webview.ingle().clone();
    blocking(move || ingle.list(Some(&scope))).await
}

#[command]
pub(crate) async fn model_info<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model: Arg<Option<String>>,
) -> Result<Value> {
    let ingle = webview.ingle().clone();
    blocking(move || {
        if let Some(slot) = ingle.loaded(model.0.as_deref(), Some(&scope))? {
            return slot.info_or_load();
        }
        let target = ingle.target(model.0.as_deref(), Some(&scope))?;
        if let Some(slot) = ingle.models().find_path(&target.path) {
            return slot.info_or_load();
        }
        // It was asked about, not for: nothing of it stays.
        let backend = ingle.models().backend();
        let options = ingle.config().load_options();
        let loaded = backend.load(
            &target.path,
            &options,
            &mut |_, _| ControlFlow::Continue(()),
        )?;
        Ok(loaded.info().clone())
    })
    .await
}

/// A page that listens to a stream.
struct Page<R: Runtime> {
    channel: Channel<StreamEvent>,
    app: AppHandle<R>,
}

impl<R: Runtime> Outlet for Page<R> {
    fn send(&self, event: StreamEvent) -> bool {
        self.channel.send(event).is_ok()
    }
    fn fence(&self, done: Box<dyn FnOnce() + Send>) -> bool {
        self.app.run_on_main_thread(done).is_ok()
    }
}

fn outlet<R: Runtime>(webview: &Webview<R>, channel: Channel<StreamEvent>) -> Box<dyn Outlet> {
    Box::new(Page {
        channel,
        app: tauri::Manager::app_handle(webview).clone(),
    })
}

/// The row of the request's model; what touches files does so elsewhere.
pub(crate) async fn slot_for<R: Runtime>(
    ingle: &Ingle<R>,
    model: Option<String>,
    scope: Scope,
) -> Result<Arc<Slot>> {
    if let Some(slot) = ingle.loaded(model.as_deref(), Some(&scope))? {
        return Ok(slot);
    }
    let ingle = ingle.clone();
    blocking(move || ingle.slot(model.as_deref(), Some(&scope))).await
}

async fn start<R: Runtime>(
    webview: &Webview<R>,
    scope: Scope,
    kind: &'static str,
    request: Value,
    channel: Channel<StreamEvent>,
) -> Result<StreamStarted> {
    let ingle = webview.ingle().clone();
    let request = GenerateRequest::from_json(kind, request)?;
    let slot = slot_for(&ingle, request.model, scope).await?;
    let owner = Owner {
        webview: webview.label().into(),
        window: webview.window().label().into(),
    };
    let outlet = outlet(webview, channel);
    let stream = ingle.streams().open(owner, &slot.id, kind, Some(outlet))?;
    let id = stream.id.clone();
    let request = Value::Object(request.engine).to_string();
    match slot.try_awake() {
        // At once, so that requests keep their order.
        Some(awake) => ingle.submit(&stream, awake, &request),
        None => {
            async_runtime::spawn_blocking(move || {
                match slot.wake(&mut |_, _| ControlFlow::Continue(())) {
                    Ok(awake) => ingle.submit(&stream, awake, &request),
                    Err(error) => stream.fail(error),
                }
            });
        }
    }
    Ok(StreamStarted { stream: id })
}

#[command]
pub(crate) async fn generate<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    request: Arg<Value>,
    on_event: Events<StreamEvent>,
) -> Result<StreamStarted> {
    start(&webview, scope, "generate", request.0, on_event.0).await
}

#[command]
pub(crate) async fn chat<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    request: Arg<Value>,
    on_event: Events<StreamEvent>,
) -> Result<StreamStarted> {
    start(&webview, scope, "chat", request.0, on_event.0).await
}

#[command]
pub(crate) async fn cancel<R: Runtime>(webview: Webview<R>, stream: Arg<String>) -> Result<()> {
    if let Some(stream) = webview.ingle().streams().get(webview.label(), &stream.0) {
        stream.cancel();
    }
    Ok(())
}

#[command]
pub(crate) async fn attach<R: Runtime>(
    webview: Webview<R>,
    stream: Arg<String>,
    after: Arg<Option<u64>>,
    on_event: Events<StreamEvent>,
) -> Result<Attached> {
    let found = webview.ingle().streams().get(webview.label(), &stream.0);
    let found = found.ok_or_else(|| {
        Error::not_found(
            format!("there is no stream {:?}", stream.0),
            "streams are kept for 5 minutes after their end, for the window that started them",
        )
    })?;
    let running = found.attach(outlet(&webview, on_event.0), after.0.unwrap_or(0));
    Ok(Attached {
        stream: stream.0,
        running,
    })
}

#[command]
pub(crate) async fn list_streams<R: Runtime>(webview: Webview<R>) -> Result<Vec<StreamInfo>> {
    Ok(webview.ingle().streams().list(webview.label()))
}

#[command]
pub(crate) async fn embed<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    request: Arg<EmbedRequest>,
) -> Result<Response> {
    let request = request.0;
    let rows = with_model(&webview, request.model.clone(), scope, move |awake| {
        awake.model.embed(&request.to_engine())
    });
    Ok(Response::new(pack_embeddings(&rows.await?)))
}

#[command]
pub(crate) async fn tokenize<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model: Arg<Option<String>>,
    text: Arg<String>,
    add_special: Arg<Option<bool>>,
    parse_special: Arg<Option<bool>>,
) -> Result<Vec<i32>> {
    let (add, parse) = (
        add_special.0.unwrap_or(true),
        parse_special.0.unwrap_or(false),
    );
    with_model(&webview, model.0, scope, move |awake| {
        awake.model.tokenize(&text.0, add, parse)
    })
    .await
}

#[command]
pub(crate) async fn detokenize<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model: Arg<Option<String>>,
    tokens: Arg<Vec<i32>>,
    spell_special: Arg<Option<bool>>,
) -> Result<String> {
    let spell = spell_special.0.unwrap_or(false);
    with_model(&webview, model.0, scope, move |awake| {
        awake.model.detokenize(&tokens.0, spell)
    })
    .await
}

#[command]
pub(crate) async fn apply_template<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    request: Arg<TemplateRequest>,
) -> Result<String> {
    let request = request.0;
    with_model(&webview, request.model.clone(), scope, move |awake| {
        awake.model.template(&request.to_engine())
    })
    .await
}

#[command]
pub(crate) async fn download_model<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    source: Arg<String>,
    on_event: Events<DownloadEvent>,
) -> Result<DownloadStarted> {
    let max_bytes = scope.check_source(&source.0)?;
    let ingle = webview.ingle().clone();
    let page = (webview.label().to_string(), on_event.0);
    let download = blocking(move || {
        ingle
            .downloads()
            .start(ingle.store(), &source.0, max_bytes, page)
    });
    Ok(DownloadStarted {
        download: download.await?,
    })
}

#[command]
pub(crate) async fn cancel_download<R: Runtime>(
    webview: Webview<R>,
    download: Arg<String>,
) -> Result<()> {
    webview.ingle().downloads().cancel(&download.0);
    Ok(())
}

#[command]
pub(crate) async fn list_downloads<R: Runtime>(webview: Webview<R>) -> Result<Vec<DownloadInfo>> {
    Ok(webview.ingle().downloads().list())
}

#[command]
pub(crate) async fn remove_model<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model: Arg<String>,
) -> Result<()> {
    let ingle = webview.ingle().clone();
    blocking(move || {
        let row = ingle.store().row(&model.0)?;
        scope.check_model(&row.name)?;
        let real = dunce::canonicalize(&row.path).unwrap_or_default();
        if let Some(slot) = ingle.models().find_path(&real) {
            ingle.models().unload(&slot);
        }
        ingle.store().remove(&row.name)
    })
    .await
}

#[command]
pub(crate) async fn verify_model<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model: Arg<String>,
    on_event: OptionalEvents<DownloadEvent>,
) -> Result<()> {
    let ingle = webview.ingle().clone();
    blocking(move || {
        let row = ingle.store().row(&model.0)?;
        scope.check_model(&row.name)?;
        ingle.store().verify(&row.name, &mut |progress| {
            let event = DownloadEvent::Progress(progress);
            let _ = on_event.0.as_ref().map(|channel| channel.send(event));
            ControlFlow::Continue(())
        })
    })
    .await
}

#[command]
pub(crate) async fn devices<R: Runtime>(webview: Webview<R>) -> Result<Value> {
    let backend = webview.ingle().models().backend();
    blocking(move || backend.devices()).await
}

#[command]
pub(crate) async fn doctor<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model: Arg<Option<String>>,
) -> Result<Value> {
    let Some(model) = model.0 else {
        let backend = webview.ingle().models().backend();
        return blocking(move || backend.doctor()).await;
    };
    with_model(&webview, Some(model), scope, |awake| awake.model.doctor()).await
}

#[command]
pub(crate) async fn save_session<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model: Arg<Option<String>>,
    name: Arg<String>,
) -> Result<()> {
    let file = sessions::file(webview.ingle().sessions(), &name.0)?;
    with_model(&webview, model.0, scope, move |awake| {
        sessions::save(&file, |path| awake.model.save(path))
    })
    .await
}

#[command]
pub(crate) async fn load_session<R: Runtime>(
    webview: Webview<R>,
    scope: Scope,
    model: Arg<Option<String>>,
    name: Arg<String>,
) -> Result<()> {
    let file = sessions::file(webview.ingle().sessions(), &name.0)?;
    with_model(&webview, model.0, scope, move |awake| {
        if !file.exists() {
            return Err(Error::not_found(
                format!("there is no session {:?}", name.0),
                "save_session makes one",
            ));
        }
        awake.model.restore(&file)
    })
    .await
}
