//! Language models inside a Tauri app: load, chat, stream, embed, download.
//!
//! ```
//! # fn f<R: tauri::Runtime>(builder: tauri::Builder<R>) -> tauri::Builder<R> {
//! builder.plugin(tauri_plugin_ingle::init())
//! # }
//! ```
//!
//! Pages use the npm package `tauri-plugin-ingle-api`, and need the permission `ingle:default`. Rust code uses
//! [`IngleExt::ingle`]. Settings are under `plugins.ingle` in `tauri.conf.json` ([`Config`]) or in [`Builder`].
#![warn(missing_docs)]

mod api;
mod args;
mod backend;
mod commands;
pub mod compat;
mod config;
mod downloads;
mod error;
mod loaded;
mod log;
pub mod models;
mod options;
mod scope;
mod sessions;
mod state;
mod store;
mod streams;
mod timer;

#[cfg(test)]
mod fuzz_tests;
#[cfg(test)]
mod ipc_harness;
#[cfg(test)]
mod ipc_tests;

pub use config::{Config, Isolated};
pub use error::{Error, Result};
pub use ingle::{self, service::LlmService};
pub use state::Ingle;

use serde_json::Value;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tauri::{
    AppHandle, Manager, RunEvent, Runtime, Webview, WindowEvent,
    plugin::TauriPlugin,
    webview::{PageLoadEvent, PageLoadPayload},
};

/// Gives the plugin's state to everything that manages an app.
pub trait IngleExt<R: Runtime> {
    /// The models of this app.
    ///
    /// # Panics
    /// If the plugin was not added to the app.
    fn ingle(&self) -> &Ingle<R>;
}

impl<R: Runtime, T: Manager<R>> IngleExt<R> for T {
    fn ingle(&self) -> &Ingle<R> {
        self.state::<Ingle<R>>().inner()
    }
}

/// The plugin with the settings of `tauri.conf.json`.
pub fn init<R: Runtime>() -> Plugin<R> {
    Builder::new().build()
}

type Change = Box<dyn FnOnce(&mut Config) -> Result<()> + Send>;

/// Settings in code, which win over those of `tauri.conf.json`.
///
/// ```
/// # fn f<R: tauri::Runtime>(builder: tauri::Builder<R>) -> tauri::Builder<R> {
/// let plugin = tauri_plugin_ingle::Builder::new()
///     .model("smollm2")
///     .option("threads", 4)
///     .idle_unload(Some(std::time::Duration::from_secs(60)))
///     .build();
/// builder.plugin(plugin)
/// # }
/// ```
#[derive(Default)]
#[must_use = "it does nothing before `build`"]
pub struct Builder {
    changes: Vec<Change>,
}

impl Builder {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn change(mut self, change: impl FnOnce(&mut Config) + Send + 'static) -> Self {
        self.changes.push(Box::new(|config| {
            change(config);
            Ok(())
        }));
        self
    }

    /// [`Config::home`].
    pub fn home(self, folder: impl Into<String>) -> Self {
        let folder = folder.into();
        self.change(|config| config.home = Some(folder))
    }

    /// [`Config::model`].
    pub fn model(self, model: impl Into<String>) -> Self {
        let model = model.into();
        self.change(|config| config.model = Some(model))
    }

    /// Adds to [`Config::options`]. A wrong name or value is an error when the app starts.
    pub fn option(mut self, name: &str, value: impl ToString) -> Self {
        let (name, value) = (name.to_string(), Value::from(value.to_string()));
        self.changes.push(Box::new(move |config| {
            let one = Value::Object([(name, value)].into_iter().collect());
            for (name, value) in options::from_json("option", &one)? {
                config.options.retain(|(other, _)| *other != name);
                config.options.push((name, value));
            }
            Ok(())
        }));
        self
    }

    /// [`Config::endpoint`].
    pub fn endpoint(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.change(|config| config.endpoint = Some(url))
    }

    /// [`Config::offline`].
    pub fn offline(self, on: bool) -> Self {
        self.change(move |config| config.offline = on)
    }

    /// [`Config::idle_unload`].
    pub fn idle_unload(self, after: Option<Duration>) -> Self {
        self.change(move |config| config.idle_unload = after.filter(|after| !after.is_zero()))
    }

    /// [`Config::unload_when_hidden`].
    pub fn unload_when_hidden(self, on: bool) -> Self {
        self.change(move |config| config.unload_when_hidden = on)
    }

    /// [`Config::background`].
    pub fn background(self, on: bool) -> Self {
        self.change(move |config| config.background = on)
    }

    /// [`Config::batch`], at most 100 ms.
    pub fn batch(self, time: Duration) -> Self {
        self.change(move |config| config.batch = time.min(Duration::from_millis(100)))
    }

    /// [`Config::isolated`].
    pub fn isolated(self, isolated: Isolated) -> Self {
        self.change(move |config| config.isolated = isolated)
    }

    /// [`Config::compat`].
    pub fn compat(self, on: bool) -> Self {
        self.change(move |config| config.compat = on)
    }

    /// The plugin, for [`tauri::Builder::plugin`].
    pub fn build<R: Runtime>(self) -> Plugin<R> {
        let compat = Arc::new(OnceLock::new());
        let is_compat = compat.clone();
        let inner = tauri::plugin::Builder::<R, Option<Value>>::new("ingle")
            .invoke_handler(tauri::generate_handler![
                commands::load_model,
                commands::unload_model,
                commands::list_models,
                commands::model_info,
                commands::generate,
                commands::chat,
                commands::cancel,
                commands::attach,
                commands::list_streams,
                commands::embed,
                commands::tokenize,
                commands::detokenize,
                commands::apply_template,
                commands::download_model,
                commands::cancel_download,
                commands::list_downloads,
                commands::remove_model,
                commands::verify_model,
                commands::devices,
                commands::doctor,
                commands::save_session,
                commands::load_session,
                compat::load_llm_model,
                compat::generate_text,
            ])
            .setup(move |app, api| {
                let json = api.config().clone().unwrap_or_default();
                let mut config = Config::from_json(&json)?;
                for change in self.changes {
                    change(&mut config)?;
                }
                let _ = is_compat.set(config.compat);
                app.manage(Ingle::new(app, config, None)?);
                Ok(())
            })
            .on_page_load(on_page_load)
            .on_event(on_event)
            .build();
        Plugin { inner, compat }
    }
}

fn on_page_load<R: Runtime>(webview: &Webview<R>, payload: &PageLoadPayload<'_>) {
    // The old page's channels lead nowhere; its streams go on for the new one to take up.
    if payload.event() == PageLoadEvent::Started {
        webview.ingle().streams().detach_webview(webview.label());
        webview.ingle().downloads().detach_webview(webview.label());
    }
}

fn on_event<R: Runtime>(app: &AppHandle<R>, event: &RunEvent) {
    match event {
        RunEvent::WindowEvent {
            label,
            event: WindowEvent::Destroyed,
            ..
        } => {
            app.ingle().streams().close_window(label);
        }
        RunEvent::WindowEvent { event, .. } if may_hide(event) => app.ingle().check_hidden(),
        RunEvent::Exit => app.ingle().shut_down(),
        _ => {}
    }
}

/// Whether a window may not be seen any more after this. A window that closes to the tray is hidden by its app.
fn may_hide(event: &WindowEvent) -> bool {
    matches!(
        event,
        WindowEvent::Focused(false) | WindowEvent::Resized(_) | WindowEvent::CloseRequested { .. }
    )
}

/// The plugin, as [`tauri::Builder::plugin`] takes it.
pub struct Plugin<R: Runtime> {
    inner: TauriPlugin<R, Option<Value>>,
    /// Known once the configuration is read, which is before the first page.
    compat: Arc<OnceLock<bool>>,
}

impl<R: Runtime> tauri::plugin::Plugin<R> for Plugin<R> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn initialize(
        &mut self,
        app: &AppHandle<R>,
        config: Value,
    ) -> std::result::Result<(), Box<dyn std::error::Error>> {
        self.inner.initialize(app, config)
    }

    fn initialization_script(&self) -> Option<String> {
        let on = self.compat.get().copied().unwrap_or(false);
        on.then(|| compat::SCRIPT.to_string())
    }

    fn on_page_load(&mut self, webview: &Webview<R>, payload: &PageLoadPayload<'_>) {
        self.inner.on_page_load(webview, payload);
    }

    fn on_event(&mut self, app: &AppHandle<R>, event: &RunEvent) {
        self.inner.on_event(app, event);
    }

    fn extend_api(&mut self, invoke: tauri::ipc::Invoke<R>) -> bool {
        self.inner.extend_api(invoke)
    }
}
