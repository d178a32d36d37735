//! Errors: a code for programs, a message for logs, a hint for people.

use std::{ffi::c_char, fmt, str::FromStr};

use ingle_sys as sys;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What kind of error it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// The caller's mistake: an option, an index, a text with a NUL.
    BadArgument,
    /// A file is damaged, truncated or not what it says it is.
    BadFile,
    /// Valid, but this version cannot run it.
    Unsupported,
    /// No such file, model, token or option.
    NotFound,
    /// The operating system refused a read or write, or a server could not be reached.
    Io,
    /// Allocation failed or the memory limit was reached.
    NoMemory,
    /// The context is full, or another stated limit was reached.
    Limit,
    /// Cancelled, or stopped by a callback.
    Cancelled,
    /// Used by another thread at this moment.
    Busy,
    /// The chat template failed; raw completion still works.
    BadTemplate,
    /// A request is malformed or a field is out of range.
    BadRequest,
    /// Logits are not finite: damaged weights.
    Numeric,
    /// A GPU or its driver failed.
    Device,
    /// A bug in ingle; please report it.
    Internal,
    /// The process that did the work has ended (feature `worker`).
    Crashed,
}

const CODES: [(Code, sys::ingle_status, &str); 15] = [
    (Code::BadArgument, sys::INGLE_BAD_ARGUMENT, "bad_argument"),
    (Code::BadFile, sys::INGLE_BAD_FILE, "bad_file"),
    (Code::Unsupported, sys::INGLE_UNSUPPORTED, "unsupported"),
    (Code::NotFound, sys::INGLE_NOT_FOUND, "not_found"),
    (Code::Io, sys::INGLE_IO, "io"),
    (Code::NoMemory, sys::INGLE_NO_MEMORY, "no_memory"),
    (Code::Limit, sys::INGLE_LIMIT, "limit"),
    (Code::Cancelled, sys::INGLE_CANCELLED, "cancelled"),
    (Code::Busy, sys::INGLE_BUSY, "busy"),
    (Code::BadTemplate, sys::INGLE_BAD_TEMPLATE, "bad_template"),
    (Code::BadRequest, sys::INGLE_BAD_REQUEST, "bad_request"),
    (Code::Numeric, sys::INGLE_NUMERIC, "numeric"),
    (Code::Device, sys::INGLE_DEVICE, "device"),
    (Code::Internal, sys::INGLE_INTERNAL, "internal"),
    // Behind the entry that the number stands for: the library itself never says so.
    (Code::Crashed, sys::INGLE_INTERNAL, "crashed"),
];

impl Code {
    /// The name as it stands in JSON: `"not_found"`.
    pub fn as_str(self) -> &'static str {
        CODES.iter().find(|c| c.0 == self).map_or("internal", |c| c.2)
    }

    pub(crate) fn from_raw(status: sys::ingle_status) -> Code {
        CODES.iter().find(|c| c.1 == status).map_or(Code::Internal, |c| c.0)
    }

    pub(crate) fn to_raw(self) -> sys::ingle_status {
        CODES.iter().find(|c| c.0 == self).map_or(sys::INGLE_INTERNAL, |c| c.1)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Code {
    type Err = Error;

    fn from_str(s: &str) -> Result<Code> {
        let found = CODES.iter().find(|c| c.2 == s).map(|c| c.0);
        found.ok_or_else(|| Error::new(Code::BadArgument, format!("'{s}' is not an error code")))
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(d: D) -> std::result::Result<Code, D::Error> {
        // A code that a newer version added is still an error.
        let text = String::deserialize(d)?;
        Ok(text.parse().unwrap_or(Code::Internal))
    }
}

/// What went wrong, where, and what to do about it.
///
/// ```
/// let error = ingle::Model::open("no/such/model.gguf").unwrap_err();
/// assert_eq!(error.code, ingle::Code::NotFound);
/// assert!(error.message.contains("no/such/model.gguf"));
/// println!("{error}"); // message (hint)
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// For programs.
    pub code: Code,
    /// What and where, one line.
    pub message: String,
    /// What to do about it; may be empty.
    #[serde(default)]
    pub hint: String,
}

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Error {
        Error { code, message: message.into(), hint: String::new() }
    }

    /// The same error with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Error {
        self.hint = hint.into();
        self
    }

    pub(crate) fn from_raw(raw: &sys::ingle_error) -> Error {
        Error { code: Code::from_raw(raw.code), message: text_of(&raw.message), hint: text_of(&raw.hint) }
    }
}

/// The text up to the first NUL of a fixed buffer.
fn text_of(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> = buffer.iter().take_while(|&&c| c != 0).map(|&c| c as u8).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hint.as_str() {
            "" => f.write_str(&self.message),
            hint => write!(f, "{} ({hint})", self.message),
        }
    }
}

impl std::error::Error for Error {}
