//! What this machine has, and what is in the way.

use ingle_sys as sys;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Model, Options, Result, ffi, model::parse};

/// Something that can compute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"))]
#[non_exhaustive]
pub struct Device {
    /// `"cpu"`, `"cuda0"` ...
    pub id: String,
    /// `"cpu"` or `"gpu"`.
    pub kind: String,
    /// Its maker's name for it.
    pub name: String,
    /// Threads that work at once.
    pub threads: u32,
    /// Its memory.
    pub memory_bytes: u64,
    /// The instruction set of the kernels that it gets.
    pub kernels: String,
    /// Whether ingle can use it.
    pub usable: bool,
    /// Why not; else empty.
    pub reason: String,
    /// What newer versions of the library add.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What this machine could compute on, usable devices first.
///
/// ```
/// let devices = ingle::devices()?;
/// assert!(devices[0].usable);
/// # Ok::<(), ingle::Error>(())
/// ```
pub fn devices() -> Result<Vec<Device>> {
    parse(&ffi::collect(|push, ud, err| unsafe { sys::ingle_devices(push, ud, err) })?)
}

/// What [`doctor`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"))]
#[non_exhaustive]
pub struct Report {
    /// The library's version.
    pub version: String,
    /// The machine.
    pub system: System,
    /// What it could compute on.
    pub devices: Vec<Device>,
    /// What the model needs and whether it fits.
    pub model: Option<Fit>,
    /// How fast it can be.
    pub speed: Speed,
    /// What is in the way, and what to do about it.
    pub problems: Vec<Problem>,
    /// What newer versions of the library add.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"))]
#[non_exhaustive]
pub struct System {
    /// Operating system.
    pub os: String,
    /// Architecture.
    pub arch: String,
    /// Name of the processor.
    pub cpu: String,
    /// Threads that work at once.
    pub threads: u32,
    /// Memory.
    pub memory_bytes: u64,
    /// Of that, free now.
    pub memory_available_bytes: u64,
    /// What newer versions of the library add.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What a model needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"))]
#[non_exhaustive]
pub struct Fit {
    /// Its path.
    pub path: String,
    /// Its family.
    pub family: String,
    /// Bytes of its weights.
    pub weights_bytes: u64,
    /// Bytes of weights, keys and values.
    pub needed_bytes: u64,
    /// Whether that fits into the memory that is free.
    pub fits: bool,
    /// What newer versions of the library add.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What the memory allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"))]
#[non_exhaustive]
pub struct Speed {
    /// Measured.
    pub memory_bytes_per_second: f64,
    /// Bytes that a token reads.
    pub model_bytes_per_token: f64,
    /// Tokens a second that the memory allows.
    pub tokens_per_second_limit: f64,
    /// What newer versions of the library add.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Something in the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Problem {
    /// `"error"`, `"warning"` or `"note"`.
    pub severity: String,
    /// What it is.
    pub what: String,
    /// What to do about it.
    pub hint: String,
}

/// Looks at the machine and, where one is given, at how a model with these options fits it. Takes about 100 ms.
///
/// ```
/// for problem in ingle::doctor(None, None)?.problems {
///     println!("{}: {} ({})", problem.severity, problem.what, problem.hint);
/// }
/// # Ok::<(), ingle::Error>(())
/// ```
pub fn doctor(model: Option<&Model>, options: Option<&Options>) -> Result<Report> {
    let raw = options.map(Options::to_raw).transpose()?;
    let model = model.map_or(std::ptr::null(), Model::as_ptr);
    let options = raw.as_ref().map_or(std::ptr::null(), |raw| raw.ptr.cast_const());
    parse(&ffi::collect(|push, ud, err| unsafe { sys::ingle_doctor(model, options, push, ud, err) })?)
}
