use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt};

/// What every command rejects with: `{code, message, hint}`.
///
/// `code` is one word to branch on, `message` says what and where, `hint` what to do about it (it may be empty).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error {
    /// The codes of the engine (`not_found`, `bad_file`, `no_memory`, `cancelled`, ...), and `not_loaded`, `forbidden`
    /// and `crashed`.
    pub code: Cow<'static, str>,
    /// One line.
    pub message: String,
    /// One line, may be empty.
    #[serde(default)]
    pub hint: String,
}

/// A result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a code, a message and a hint.
    pub fn new(code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
            hint: hint.into(),
        }
    }

    pub(crate) fn bad_argument(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("bad_argument", message, hint)
    }

    pub(crate) fn bad_request(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("bad_request", message, hint)
    }

    pub(crate) fn forbidden(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("forbidden", message, hint)
    }

    pub(crate) fn not_found(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new("not_found", message, hint)
    }

    pub(crate) fn cancelled(message: impl Into<String>) -> Self {
        Self::new("cancelled", message, "")
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(
            "internal",
            message,
            "this is a bug in ingle; please report it",
        )
    }

    pub(crate) fn io(what: &str, error: &std::io::Error) -> Self {
        let code = match error.kind() {
            std::io::ErrorKind::NotFound => "not_found",
            _ => "io",
        };
        Self::new(code, format!("{what}: {error}"), "")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        if self.hint.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.hint)
        }
    }
}

impl std::error::Error for Error {}

impl From<tauri::Error> for Error {
    fn from(error: tauri::Error) -> Self {
        Self::new("internal", format!("tauri: {error}"), "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_get_three_fields() {
        let json = serde_json::to_value(Error::forbidden("no", "ask")).unwrap();
        assert_eq!(
            json,
            serde_json::json!({ "code": "forbidden", "message": "no", "hint": "ask" })
        );
        assert_eq!(
            Error::forbidden("no", "ask").to_string(),
            "forbidden: no (ask)"
        );
        assert_eq!(
            Error::cancelled("stopped").to_string(),
            "cancelled: stopped"
        );
    }
}
