//! The plugin's state: what the commands and the app's own code work on.

use crate::{
    Config, Error, Result,
    backend::{self, Backend, LoadProgress},
    downloads::Downloads,
    loaded::{Awake, Models, Origin, Slot, Target},
    models::{LoadedModelInfo, StoredModel},
    scope::Scope,
    store::Store,
    streams::{Stream, Streams},
    timer::{Timer, lock},
};
use serde_json::Value;
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tauri::{AppHandle, Manager, Runtime};

/// How long all windows must be hidden before models leave the memory.
const HIDDEN_FOR: Duration = Duration::from_secs(10);

/// Language models of this app; `app.ingle()` gives it. Clones are the same thing.
///
/// Its functions block until they are done: call them from a thread of your own or from
/// [`tauri::async_runtime::spawn_blocking`], not from the main thread. No scope holds for them: scopes are for pages.
pub struct Ingle<R: Runtime> {
    inner: Arc<Inner<R>>,
}

impl<R: Runtime> Clone for Ingle<R> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
        }
    }
}

struct Inner<R: Runtime> {
    app: AppHandle<R>,
    config: Config,
    /// The configured model, with the variables in its path replaced.
    model: Option<String>,
    models: Models,
    streams: Streams,
    downloads: Downloads,
    store: Store,
    timer: Timer,
    sessions: PathBuf,
    /// What `load_llm_model` loaded last.
    current: Mutex<Option<String>>,
    hidden_check: AtomicBool,
}

impl<R: Runtime> Ingle<R> {
    pub(crate) fn new(
        app: &AppHandle<R>,
        config: Config,
        backend: Option<Arc<dyn Backend>>,
    ) -> Result<Self> {
        let backend = match backend {
            Some(backend) => backend,
            None => backend::open(app, &config.isolated)?,
        };
        let timer = Timer::default();
        let paths = app.path();
        let cache = paths.app_cache_dir()?.join("ingle");
        let home = config
            .home
            .as_deref()
            .map(|home| paths.parse(home))
            .transpose()?;
        // As its row will have it, so that it is found without looking at files.
        let plain = |path: PathBuf| dunce::canonicalize(&path).unwrap_or(path);
        let model = match &config.model {
            Some(name) if name.starts_with('$') => Some(plain(paths.parse(name)?)),
            Some(name) if Path::new(name).is_absolute() => Some(plain(name.into())),
            _ => None,
        };
        let model = model
            .map(|path| path.to_string_lossy().into_owned())
            .or(config.model.clone());
        Ok(Self {
            inner: Arc::new(Inner {
                model,
                models: Models::new(backend, timer.clone(), config.idle_unload, cache),
                streams: Streams::new(timer.clone(), config.batch),
                downloads: Downloads::default(),
                store: Store::new(home, &config),
                timer,
                current: Mutex::default(),
                hidden_check: AtomicBool::new(false),
                sessions: paths.app_data_dir()?.join("ingle").join("sessions"),
                app: app.clone(),
                config,
            }),
        })
    }

    /// The settings in force.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn app(&self) -> &AppHandle<R> {
        &self.inner.app
    }

    pub(crate) fn models(&self) -> &Models {
        &self.inner.models
    }

    pub(crate) fn streams(&self) -> &Streams {
        &self.inner.streams
    }

    pub(crate) fn downloads(&self) -> &Downloads {
        &self.inner.downloads
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn sessions(&self) -> &Path {
        &self.inner.sessions
    }

    pub(crate) fn set_current(&self, id: &str) {
        *lock(&self.inner.current) = Some(id.into());
    }

    pub(crate) fn current(&self) -> Option<String> {
        lock(&self.inner.current)
            .clone()
            .filter(|id| self.models().find(id).is_some())
    }

    /// The row of a model that is loaded already, if the caller may use it. No file is touched.
    pub(crate) fn loaded(
        &self,
        name: Option<&str>,
        scope: Option<&Scope>,
    ) -> Result<Option<Arc<Slot>>> {
        let slot = match (name, &self.inner.model) {
            (Some(name), _) => self.models().find(name),
            (None, Some(model)) => self.models().find(model),
            (None, None) => self.models().only(),
        };
        if let Some(slot) = &slot {
            check(&slot.target, scope)?;
        }
        Ok(slot)
    }

    /// The row of a model, made if need be; it may be asleep. Blocks.
    pub(crate) fn slot(&self, name: Option<&str>, scope: Option<&Scope>) -> Result<Arc<Slot>> {
        if let Some(slot) = self.loaded(name, scope)? {
            return Ok(slot);
        }
        let target = self.target(name, scope)?;
        Ok(self.models().slot(&target, &self.config().load_options()))
    }

    /// What a name means, if the caller may use it. Blocks.
    pub(crate) fn target(&self, name: Option<&str>, scope: Option<&Scope>) -> Result<Target> {
        let configured = self.inner.model.as_deref();
        let trusted =
            name.is_none() || name == configured || name == self.config().model.as_deref();
        let name = match (name, configured) {
            (Some(name), _) if !trusted => name,
            (_, Some(model)) => model,
            (Some(name), None) => name,
            (None, None) => {
                return Err(Error::new(
                    "not_loaded",
                    "no model is named and there is not exactly one loaded",
                    "name one, or set plugins.ingle.model in tauri.conf.json",
                ));
            }
        };
        let scope = scope.filter(|_| !trusted);
        let mut target = self.look_up(name, scope)?;
        if trusted || scope.is_none() {
            target.origin = Origin::App;
        }
        Ok(target)
    }

    fn look_up(&self, name: &str, scope: Option<&Scope>) -> Result<Target> {
        if name.is_empty() || name.contains('\0') {
            return Err(Error::bad_argument(
                format!("{name:?} is not a model's name"),
                "",
            ));
        }
        let path = match name.strip_prefix('$') {
            Some(_) => self.app().path().parse(name)?,
            None => PathBuf::from(name),
        };
        if !path.is_absolute() {
            match self.inner.store.find(name) {
                Ok((name, path)) => {
                    let target = Target {
                        name,
                        path: canonical(&path)?,
                        origin: Origin::Store,
                    };
                    check(&target, scope)?;
                    return Ok(target);
                }
                // A file that the caller may not use is told from one that is not there by nobody.
                Err(error) if error.code == "not_found" => {
                    return self.file(&path, scope).map_err(|_| error);
                }
                Err(error) => return Err(error),
            }
        }
        self.file(&path, scope)
    }

    /// A file by its path. What the caller may not use does not exist for it either.
    fn file(&self, path: &Path, scope: Option<&Scope>) -> Result<Target> {
        let real = dunce::canonicalize(path);
        if let Some(scope) = scope {
            scope.check_path(real.as_deref().unwrap_or(path))?;
        }
        let path = real.map_err(|error| Error::io(&path.display().to_string(), &error))?;
        let stem = if path.is_dir() {
            path.file_name()
        } else {
            path.file_stem()
        };
        let name = stem
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        Ok(Target {
            name,
            path,
            origin: Origin::File,
        })
    }

    /// The model, loaded if need be. Blocks.
    pub(crate) fn awake(&self, name: Option<&str>, scope: Option<&Scope>) -> Result<Awake> {
        self.slot(name, scope)?
            .wake(&mut |_, _| std::ops::ControlFlow::Continue(()))
    }

    /// A draft model is named as a model is, and must be one that the caller may use.
    fn option_value(&self, name: &str, value: &str, scope: Option<&Scope>) -> Result<String> {
        if name != "draft-model" || value.is_empty() {
            return Ok(value.to_owned());
        }
        let target = self.target(Some(value), scope)?;
        Ok(target.path.to_string_lossy().into_owned())
    }

    pub(crate) fn load(
        &self,
        name: &str,
        options: &[(String, String)],
        scope: Option<&Scope>,
        progress: LoadProgress<'_>,
    ) -> Result<LoadedModelInfo> {
        let target = match self.loaded(Some(name), scope)? {
            Some(slot) => slot.target.clone(),
            None => self.target(Some(name), scope)?,
        };
        let mut all = self.config().load_options();
        for (name, value) in options {
            all.retain(|(other, _)| other != name);
            all.push((name.clone(), self.option_value(name, value, scope)?));
        }
        all.sort();
        let slot = match options {
            [] => self.models().slot(&target, &all),
            _ => self.models().slot_with(&target, &all),
        };
        let awake = slot.wake(progress)?;
        Ok(LoadedModelInfo {
            id: slot.id.clone(),
            name: target.name.clone(),
            path: target.path.to_string_lossy().into_owned(),
            device: self.device(awake.model.info()),
            info: awake.model.info().clone(),
            load_seconds: awake.load_seconds,
        })
    }

    fn device(&self, info: &Value) -> String {
        let first = || {
            let devices = self.models().backend().devices().ok()?;
            let usable = devices
                .as_array()?
                .iter()
                .find(|device| device["usable"] != false)?;
            usable["id"].as_str().map(str::to_owned)
        };
        let own = info["device"].as_str().map(str::to_owned);
        own.or_else(first).unwrap_or_else(|| "cpu".into())
    }

    pub(crate) fn unload(&self, name: &str, scope: Option<&Scope>) -> Result<()> {
        let slot = match self.loaded(Some(name), scope)? {
            Some(slot) => Some(slot),
            None => self
                .models()
                .find_path(&self.target(Some(name), scope)?.path),
        };
        let slot =
            slot.ok_or_else(|| Error::new("not_loaded", format!("{name:?} is not loaded"), ""))?;
        self.models().unload(&slot);
        Ok(())
    }

    pub(crate) fn list(&self, scope: Option<&Scope>) -> Result<Vec<StoredModel>> {
        let mut rows = self.inner.store.list()?;
        rows.retain(|row| scope.is_none_or(|scope| scope.check_model(&row.name).is_ok()));
        for slot in self.models().slots() {
            let path = &slot.target.path;
            let same = |row: &&mut StoredModel| {
                Path::new(&row.path) == path
                    || canonical(Path::new(&row.path)).is_ok_and(|p| p == *path)
            };
            if let Some(row) = rows.iter_mut().find(same) {
                row.loaded = true;
            } else if check(&slot.target, scope).is_ok() {
                rows.push(StoredModel {
                    name: slot.id.clone(),
                    path: path.to_string_lossy().into_owned(),
                    bytes: std::fs::metadata(path).map_or(0, |file| file.len()),
                    format: slot
                        .info()
                        .and_then(|info| Some(info["format"].as_str()?.to_owned()))
                        .unwrap_or_default(),
                    source: String::new(),
                    complete: true,
                    loaded: true,
                });
            }
        }
        Ok(rows)
    }

    /// Hands a request to the model; its events go to the stream.
    pub(crate) fn submit(&self, stream: &Arc<Stream>, awake: Awake, request: &str) {
        self.submit_with(stream, awake, request, |_| {});
    }

    /// The same, with somebody who looks at the events first.
    pub(crate) fn submit_with(
        &self,
        stream: &Arc<Stream>,
        awake: Awake,
        request: &str,
        mut look: impl FnMut(&backend::BackendEvent) + Send + 'static,
    ) {
        if stream.is_ended() {
            return;
        }
        stream.started();
        let Awake { model, guard, .. } = awake;
        let (receiver, mut guard, ingle) = (stream.clone(), Some(guard), self.clone());
        let sink = Box::new(move |event: backend::BackendEvent| {
            let last = event.is_last();
            look(&event);
            let flow = receiver.on_event(event);
            if last {
                drop(guard.take());
                ingle.check_hidden();
            }
            flow
        });
        match model.submit(request, sink) {
            Ok(request) => stream.bind(request),
            Err(error) => stream.fail(error),
        }
    }

    /// Gives the memory back if no window is to be seen for a while. Called when something has changed that may be a
    /// sign of it: systems do not say when a window is hidden.
    pub(crate) fn check_hidden(&self) {
        if !self.config().unload_when_hidden || self.inner.hidden_check.swap(true, Ordering::SeqCst)
        {
            return;
        }
        // Weak: an app that has ended has nothing to check.
        let inner = Arc::downgrade(&self.inner);
        self.inner.timer.after(HIDDEN_FOR, move || {
            let Some(inner) = inner.upgrade() else { return };
            inner.hidden_check.store(false, Ordering::SeqCst);
            // Asks the main thread, so it must not hold up the timer.
            std::thread::spawn(move || {
                let windows = inner.app.webview_windows();
                let seen = windows.values().any(|window| {
                    window.is_visible().unwrap_or(true) && !window.is_minimized().unwrap_or(false)
                });
                if !seen {
                    inner.models.sleep_all();
                }
            });
        });
    }

    /// The app ends.
    pub(crate) fn shut_down(&self) {
        self.downloads().cancel_all();
        self.streams().cancel_all();
        self.models().unload_all();
        self.models().backend().shut_down();
    }
}

/// Whether the caller may use the model.
fn check(target: &Target, scope: Option<&Scope>) -> Result<()> {
    let Some(scope) = scope else { return Ok(()) };
    match target.origin {
        Origin::Store => scope.check_model(&target.name),
        Origin::File => scope.check_path(&target.path),
        Origin::App => Ok(()),
    }
}

fn canonical(path: &Path) -> Result<PathBuf> {
    dunce::canonicalize(path).map_err(|error| Error::io(&path.display().to_string(), &error))
}
