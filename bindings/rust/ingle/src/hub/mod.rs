//! The model store: pull models from a hub or a URL, list, find, check and remove them.
//!
//! ```no_run
//! use std::ops::ControlFlow;
//! use ingle::{Model, hub::Hub};
//!
//! let hub = Hub::open()?;
//! let pulled = hub.pull("HuggingFaceTB/SmolLM2-135M-Instruct-GGUF:Q4_K_M", |progress| {
//!     println!("{:?} {} of {:?}", progress.phase, progress.bytes_done, progress.bytes_total);
//!     ControlFlow::Continue(())
//! })?;
//! let model = Model::open(&pulled.path)?;
//! # Ok::<(), ingle::Error>(())
//! ```
//!
//! Downloads go on where they stopped, are checked while they come in, and appear in the store whole or not at all.
//! Feature `download` (on by default) brings the network; without it, everything but [`Hub::pull`] works, and a
//! [`Transport`] of your own brings that too.

#[cfg(feature = "download")]
mod http;
mod transport;

use std::{
    ffi::{c_char, c_int, c_void},
    fmt,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use ingle_sys as sys;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Code, Error, Result,
    ffi::{self, Guarded},
    model::parse,
};

pub use transport::{HttpRequest, Sink, Transport};

/// A store of models with its settings. Clones are the same store; any number of threads may use it at once.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    ptr: *mut sys::ingle_hub,
    // Used by the hub until it is closed.
    _transport: Option<Box<transport::Boxed>>,
}

// SAFETY: "A hub may be used by any number of threads at once" (hub.h); transports are `Send + Sync`.
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: calls borrow the hub, so none is running.
        unsafe { sys::ingle_hub_close(self.ptr) };
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hub")
    }
}

/// Settings of a store; from [`Hub::builder`].
#[derive(Default)]
#[must_use = "nothing is opened before `open`"]
pub struct HubBuilder {
    settings: Vec<(String, String)>,
    transport: Option<Box<dyn Transport>>,
}

impl fmt::Debug for HubBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the values: one of them is the token.
        let names: Vec<&str> = self.settings.iter().map(|s| s.0.as_str()).collect();
        f.debug_struct("HubBuilder").field("settings", &names).finish()
    }
}

impl HubBuilder {
    /// Any setting by its name: `"stall-seconds"`, `"retries"`, `"range-bytes"`, `"user-agent"` ...
    pub fn set(mut self, name: impl Into<String>, value: impl ToString) -> HubBuilder {
        self.settings.push((name.into(), value.to_string()));
        self
    }

    /// The folder that holds `models/`. Without it: `INGLE_HOME`, or a folder in the user's home.
    pub fn home(self, folder: impl AsRef<Path>) -> HubBuilder {
        self.set("home", folder.as_ref().display())
    }

    /// The hub's address, or that of a mirror.
    pub fn endpoint(self, url: impl Into<String>) -> HubBuilder {
        self.set("endpoint", url.into())
    }

    /// Access token for the endpoint. It is sent there only.
    pub fn token(self, token: impl Into<String>) -> HubBuilder {
        self.set("token", token.into())
    }

    /// Answer from the store or fail; never use the network.
    pub fn offline(self, yes: bool) -> HubBuilder {
        self.set("offline", yes)
    }

    /// Connections for one file, 1 to 16.
    pub fn connections(self, n: u32) -> HubBuilder {
        self.set("connections", n)
    }

    /// Refuse what is larger.
    pub fn max_bytes(self, n: u64) -> HubBuilder {
        self.set("max-bytes", n)
    }

    /// Takes `HF_TOKEN`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` from the environment, as other programs do.
    pub fn from_env(mut self) -> HubBuilder {
        let value = |name| std::env::var(name).ok().filter(|v: &String| !v.is_empty());
        if let Some(token) = value("HF_TOKEN") {
            self = self.token(token);
        }
        if let Some(endpoint) = value("HF_ENDPOINT") {
            self = self.endpoint(endpoint);
        }
        if value("HF_HUB_OFFLINE").is_some_and(|v| matches!(v.to_lowercase().as_str(), "1" | "true" | "yes" | "on")) {
            self = self.offline(true);
        }
        self
    }

    /// Brings bytes from the network in place of the transport that feature `download` has.
    pub fn transport(mut self, transport: impl Transport) -> HubBuilder {
        self.transport = Some(Box::new(transport));
        self
    }

    /// Opens the store.
    pub fn open(self) -> Result<Hub> {
        // A thin pointer for C.
        let transport = self.transport.or_else(default_transport).map(|t| Box::new(transport::Boxed(t)));
        let (call, ud): (sys::ingle_http_fn, *mut c_void) = match &transport {
            Some(boxed) => (Some(transport::exchange), (&raw const **boxed).cast_mut().cast()),
            None => (None, std::ptr::null_mut()),
        };
        // SAFETY: the transport lives in the same struct and is dropped after the hub is closed.
        let ptr = ffi::open(|out, err| unsafe { sys::ingle_hub_open(out, call, ud, err) })?;
        let hub = Hub { inner: Arc::new(Inner { ptr, _transport: transport }) };
        for (name, value) in &self.settings {
            hub.set(name, value)?;
        }
        Ok(hub)
    }
}

#[cfg(feature = "download")]
fn default_transport() -> Option<Box<dyn Transport>> {
    Some(Box::new(http::Ureq::default()))
}

#[cfg(not(feature = "download"))]
fn default_transport() -> Option<Box<dyn Transport>> {
    None
}

impl Hub {
    /// The user's store with default settings.
    pub fn open() -> Result<Hub> {
        Hub::builder().open()
    }

    /// A store with settings.
    pub fn builder() -> HubBuilder {
        HubBuilder::default()
    }

    /// Changes a setting; pulls that run keep those they began with.
    pub fn set(&self, name: &str, value: impl ToString) -> Result<()> {
        let (name, value) = (ffi::c_string("the setting's name", name)?, value.to_string());
        let value = ffi::c_string("the setting's value", &value)?;
        ffi::check(|err| unsafe { sys::ingle_hub_set(self.inner.ptr, name.as_ptr(), value.as_ptr(), err) })
    }

    /// Makes a model be in the store. `what` is `OWNER/NAME[@REVISION][:FILE]`, where FILE is a file's name, a block type
    /// (`Q4_K_M`) or a pattern, or a URL, with `#sha256=HEX` to check it.
    ///
    /// `on_progress` is called on this thread at least every 50 ms. `Break` cancels: what was received stays for the next
    /// pull. A panic in it goes on here.
    pub fn pull(&self, what: &str, on_progress: impl FnMut(&Progress) -> ControlFlow<()>) -> Result<PulledModel> {
        let what = ffi::c_string("the model's source", what)?;
        let mut guard = Guarded::new(boxed(on_progress));
        // SAFETY: the guard outlives the call.
        let result = ffi::collect(|push, ud, err| unsafe {
            sys::ingle_hub_pull(self.inner.ptr, what.as_ptr(), Some(progress), guard.ud(), push, ud, err)
        });
        parse(&guard.finish(result)?)
    }

    /// Every model of the store, sorted by name; pulls that were not finished among them.
    pub fn list(&self) -> Result<Vec<StoredModel>> {
        parse(&ffi::collect(|push, ud, err| unsafe { sys::ingle_hub_list(self.inner.ptr, push, ud, err) })?)
    }

    /// The path of a model: by its name, the beginning of it that fits no other, or what it was pulled from.
    pub fn find(&self, name: &str) -> Result<PathBuf> {
        let name = ffi::c_string("the model's name", name)?;
        let path =
            ffi::collect(|push, ud, err| unsafe { sys::ingle_hub_find(self.inner.ptr, name.as_ptr(), push, ud, err) })?;
        Ok(PathBuf::from(path))
    }

    /// Removes a model and what an unfinished pull of it left. [`Code::Busy`] while it is pulled.
    pub fn remove(&self, name: &str) -> Result<()> {
        let name = ffi::c_string("the model's name", name)?;
        ffi::check(|err| unsafe { sys::ingle_hub_remove(self.inner.ptr, name.as_ptr(), err) })
    }

    /// Hashes a model's files and compares with what was pulled.
    pub fn verify(&self, name: &str, on_progress: impl FnMut(&Progress) -> ControlFlow<()>) -> Result<()> {
        let name = ffi::c_string("the model's name", name)?;
        let mut guard = Guarded::new(boxed(on_progress));
        // SAFETY: the guard outlives the call.
        let result = ffi::check(|err| unsafe {
            sys::ingle_hub_verify(self.inner.ptr, name.as_ptr(), Some(progress), guard.ud(), err)
        });
        guard.finish(result)
    }
}

type OnProgress<'a> = Box<dyn FnMut(&Progress) -> ControlFlow<()> + 'a>;

fn boxed<'a>(call: impl FnMut(&Progress) -> ControlFlow<()> + 'a) -> OnProgress<'a> {
    Box::new(call)
}

unsafe extern "C" fn progress(ud: *mut c_void, raw: *const sys::ingle_hub_progress) -> c_int {
    // SAFETY: called during `pull` and `verify` only; `raw` and its texts are valid during the call.
    unsafe { Guarded::<OnProgress<'_>>::enter(ud, |call| call(&Progress::from_raw(&*raw))) }
}

/// What a pull is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// It asks what there is.
    Resolve,
    /// Another program pulls the same; it waits for that.
    Wait,
    /// Bytes come in.
    Download,
    /// It hashes what is there.
    Verify,
    /// All is done.
    Done,
    /// Something that this version does not know.
    #[serde(other)]
    Other,
}

/// How far a pull is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
    /// The file it is at, `""` while there is none.
    pub file: String,
    /// From 0.
    pub file_index: u32,
    /// 0 while unknown.
    pub files: u32,
    /// Of the whole pull, resumed bytes included.
    pub bytes_done: u64,
    /// Of the whole pull.
    pub bytes_total: Option<u64>,
    /// There from an earlier pull.
    pub bytes_resumed: u64,
    /// Speed.
    pub bytes_per_second: f64,
    /// Time left at this speed.
    pub seconds_left: Option<f64>,
}

impl Progress {
    unsafe fn from_raw(raw: &sys::ingle_hub_progress) -> Progress {
        let text = |p: *const c_char| unsafe { ffi::c_text(p) };
        let phase = match text(raw.phase) {
            "resolve" => Phase::Resolve,
            "wait" => Phase::Wait,
            "download" => Phase::Download,
            "verify" => Phase::Verify,
            "done" => Phase::Done,
            _ => Phase::Other,
        };
        Progress {
            phase,
            file: text(raw.file).to_string(),
            file_index: raw.file_index.max(0) as u32,
            files: raw.files.max(0) as u32,
            bytes_done: raw.bytes_done.max(0) as u64,
            bytes_total: u64::try_from(raw.bytes_total).ok(),
            bytes_resumed: raw.bytes_resumed.max(0) as u64,
            bytes_per_second: raw.bytes_per_second,
            seconds_left: (raw.seconds_left >= 0.0).then_some(raw.seconds_left),
        }
    }
}

/// A model that a pull brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"))]
#[non_exhaustive]
pub struct PulledModel {
    /// Its name in the store.
    pub name: String,
    /// Give it to [`Model::open`](crate::Model::open).
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Of its only file, else empty.
    pub sha256: String,
    /// `"gguf"` or `"safetensors"`.
    #[serde(default)]
    pub format: String,
    /// What it was pulled from.
    #[serde(default)]
    pub source: String,
    /// Its files.
    pub files: Vec<PulledFile>,
    /// What newer versions of the library add.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A file that a pull brought.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PulledFile {
    /// Where it is.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its hash.
    pub sha256: String,
}

/// A model in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"))]
#[non_exhaustive]
pub struct StoredModel {
    /// Its name.
    pub name: String,
    /// Give it to [`Model::open`](crate::Model::open); of an unfinished pull, its folder.
    pub path: String,
    /// Its size; of an unfinished pull, the size it will have (0 = unknown).
    pub bytes: u64,
    /// `"gguf"` or `"safetensors"`.
    pub format: String,
    /// What it was pulled from, `""` for files put there by hand.
    pub source: String,
    /// Of its only file, else empty.
    pub sha256: String,
    /// Whether it can be opened; `false` for a pull that was not finished.
    pub complete: bool,
    /// Bytes of an unfinished pull that are there.
    #[serde(default)]
    pub part_bytes: u64,
    /// What newer versions of the library add.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A `Code` as a transport hands it to the hub.
fn fill(err: *mut sys::ingle_error, error: &Error) -> sys::ingle_status {
    let code = error.code.to_raw();
    // SAFETY: NULL or the hub's own error.
    if let Some(raw) = unsafe { err.as_mut() } {
        raw.code = code;
        put(&mut raw.message, &error.message);
        put(&mut raw.hint, &error.hint);
    }
    code
}

/// Writes as many whole characters as fit; control characters become spaces.
fn put(out: &mut [c_char], text: &str) {
    let mut n = 0;
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        let mut buffer = [0; 4];
        let bytes = c.encode_utf8(&mut buffer).as_bytes();
        if n + bytes.len() >= out.len() {
            break;
        }
        for &byte in bytes {
            out[n] = byte as c_char;
            n += 1;
        }
    }
    out[n] = 0;
}

fn cancelled() -> Error {
    Error::new(Code::Cancelled, "cancelled")
}
