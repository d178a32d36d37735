//! Options by name.

use std::{collections::BTreeMap, ffi::c_char, ffi::c_void, fmt, panic::AssertUnwindSafe, sync::Arc};

use ingle_sys as sys;
use serde::Serialize;

use crate::{Result, ffi};

/// How important a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For those who work on ingle.
    Debug,
    /// What was done.
    Info,
    /// Something is not as it should be, and work goes on.
    Warn,
    /// Something failed.
    Error,
}

type LogFn = dyn Fn(LogLevel, &str) + Send + Sync;

/// Kept alive by everything that was opened with it.
pub(crate) struct LogHook {
    level: LogLevel,
    call: Box<LogFn>,
}

// Its panics are caught where it is called.
impl std::panic::RefUnwindSafe for LogHook {}

/// Named settings: `"threads"`, `"context"`, `"temperature"` and so on. The names are those of the command line;
/// [`Options::describe`] lists them.
///
/// ```
/// use ingle::Options;
///
/// let mut options = Options::new();
/// options.set("context", "2048")?.set("threads", 2)?;
/// assert_eq!(options.get("context").as_deref(), Some("2048"));
/// assert!(options.set("contxt", 1).is_err());
/// # Ok::<(), ingle::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Options {
    values: BTreeMap<&'static str, String>,
    log: Option<Arc<LogHook>>,
}

impl Options {
    /// Nothing set: every option has its initial value.
    pub fn new() -> Options {
        Options::default()
    }

    /// Sets an option. `name` is `"top-k"` or `"top_k"`; the value is checked for type and bounds.
    pub fn set(&mut self, name: &str, value: impl ToString) -> Result<&mut Options> {
        let value = value.to_string();
        RawOptions::new()?.set(name, &value)?;
        let known = Options::describe().find(|o| o.name == name || o.key == name);
        // The table has every name that C accepts.
        if let Some(row) = known {
            self.values.insert(row.name, value);
        }
        Ok(self)
    }

    /// The value in force, or `None` for an unknown name.
    pub fn get(&self, name: &str) -> Option<String> {
        let raw = self.to_raw().ok()?;
        let name = ffi::c_string("name", name).ok()?;
        // SAFETY: `raw` is alive; the text is valid until the next set and copied at once.
        let value = unsafe { sys::ingle_options_get(raw.ptr, name.as_ptr()) };
        (!value.is_null()).then(|| unsafe { ffi::c_text(value) }.to_string())
    }

    /// The names and values that were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// Sends the log's lines of `level` and above to `call`, from any thread. A panic in it is swallowed.
    pub fn on_log(&mut self, level: LogLevel, call: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> &mut Options {
        self.log = Some(Arc::new(LogHook { level, call: Box::new(call) }));
        self
    }

    /// Every option there is, in the order of the table.
    ///
    /// ```
    /// let names: Vec<_> = ingle::Options::describe().map(|o| o.name).collect();
    /// assert!(names.contains(&"temperature"));
    /// ```
    pub fn describe() -> impl Iterator<Item = OptionInfo> {
        // SAFETY: rows and their texts are static.
        (0..).map_while(|index| unsafe { sys::ingle_options_describe(index).as_ref() }).map(|row| unsafe {
            OptionInfo {
                name: ffi::c_text(row.name),
                key: ffi::c_text(row.key),
                flag: ffi::c_text(row.flag),
                group: ffi::c_text(row.group),
                kind: ffi::c_text(row.r#type),
                initial: ffi::c_text(row.initial),
                help: ffi::c_text(row.help),
                choices: ffi::c_text(row.choices).split('|').filter(|c| !c.is_empty()).collect(),
                min: row.min,
                max: row.max,
            }
        })
    }

    pub(crate) fn to_raw(&self) -> Result<RawOptions> {
        let mut raw = RawOptions::new()?;
        for (name, value) in &self.values {
            raw.set(name, value)?;
        }
        if let Some(log) = &self.log {
            let ud: *const LogHook = &**log;
            // SAFETY: whoever opens something with these options keeps `log` alive longer than that.
            unsafe { sys::ingle_options_on_log(raw.ptr, Some(on_log), ud.cast_mut().cast(), log.level as _) };
        }
        Ok(raw)
    }

    pub(crate) fn log(&self) -> Option<Arc<LogHook>> {
        self.log.clone()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.values).finish()
    }
}

unsafe extern "C" fn on_log(ud: *mut c_void, level: sys::ingle_log_level, line: *const c_char) {
    // SAFETY: the hook outlives what was opened with it; `line` is valid during the call.
    let (hook, line) = unsafe { (&*ud.cast::<LogHook>(), ffi::c_text(line)) };
    let level = match level {
        sys::INGLE_LOG_DEBUG => LogLevel::Debug,
        sys::INGLE_LOG_INFO => LogLevel::Info,
        sys::INGLE_LOG_WARN => LogLevel::Warn,
        _ => LogLevel::Error,
    };
    let _ = std::panic::catch_unwind(AssertUnwindSafe(|| (hook.call)(level, line)));
}

/// The C object, alive for one call.
pub(crate) struct RawOptions {
    pub ptr: *mut sys::ingle_options,
}

impl RawOptions {
    fn new() -> Result<RawOptions> {
        let ptr = ffi::open(|out, err| unsafe { sys::ingle_options_new(out, err) })?;
        Ok(RawOptions { ptr })
    }

    fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let (name, value) = (ffi::c_string("the option's name", name)?, ffi::c_string("the option's value", value)?);
        // SAFETY: both are C strings and copied.
        ffi::check(|err| unsafe { sys::ingle_options_set(self.ptr, name.as_ptr(), value.as_ptr(), err) })
    }
}

impl Drop for RawOptions {
    fn drop(&mut self) {
        unsafe { sys::ingle_options_free(self.ptr) };
    }
}

/// One row of the option table.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct OptionInfo {
    /// `"top-k"`
    pub name: &'static str,
    /// Name of the request field and, in upper case after `INGLE_`, of the environment variable: `"top_k"`
    pub key: &'static str,
    /// Short flag of the command line without dash, `""` if it has none.
    pub flag: &'static str,
    /// `"model"`, `"session"`, `"sampling"` or `"engine"`.
    pub group: &'static str,
    /// `"bool"`, `"int"`, `"float"`, `"string"` or `"choice"`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The value in force if never set.
    pub initial: &'static str,
    /// What it does, one line.
    pub help: &'static str,
    /// What a choice may be.
    pub choices: Vec<&'static str>,
    /// Smallest number allowed.
    pub min: f64,
    /// Largest number allowed.
    pub max: f64,
}
