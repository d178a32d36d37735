//! The lines of `ingle --stdio` (docs/stdio.md): what is sent, and what comes back.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Code, Error};

/// A line from the child.
#[derive(Debug)]
pub enum Incoming {
    Answer {
        id: u64,
        result: Result<Value, Error>,
    },
    Event(RawEvent),
    Progress {
        call: u64,
        what: String,
        done: f64,
    },
    /// A kind of notification that this version does not know.
    Unknown,
}

/// An event of a request with all its counts, as the protocol has it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct RawEvent {
    /// The request's number.
    pub request: u64,
    /// `progress`, `text`, `reasoning`, and last `done` or `error`. Later versions may have others.
    pub kind: String,
    /// Of `text` and `reasoning`.
    #[serde(default)]
    pub text: String,
    /// Of `done`: `stop`, `length` or `cancelled`.
    #[serde(default)]
    pub finish: String,
    /// Tokens of the prompt.
    #[serde(default)]
    pub prompt_tokens: u64,
    /// Of those, not computed again.
    #[serde(default)]
    pub cached_tokens: u64,
    /// Of those, done so far.
    #[serde(default)]
    pub prompt_done: u64,
    /// Tokens of the answer so far.
    #[serde(default)]
    pub output_tokens: u64,
    /// Tokens computed ahead of their turn.
    #[serde(default)]
    pub guessed_tokens: u64,
    /// Of those, how many came true.
    #[serde(default)]
    pub accepted_tokens: u64,
    /// Time spent on the prompt.
    #[serde(default)]
    pub prompt_seconds: f64,
    /// Time spent on the answer.
    #[serde(default)]
    pub output_seconds: f64,
    /// Of `error`.
    #[serde(default)]
    pub error: Option<Error>,
}

impl RawEvent {
    /// Whether no other event of the request follows.
    pub fn is_last(&self) -> bool {
        self.kind == "done" || self.kind == "error"
    }
}

#[derive(Deserialize)]
struct Line {
    id: Option<u64>,
    method: Option<String>,
    params: Option<Value>,
    result: Option<Value>,
    error: Option<WireError>,
}

#[derive(Deserialize)]
struct WireError {
    message: String,
    data: Option<Error>,
}

#[derive(Deserialize)]
struct Progress {
    call: u64,
    what: String,
    done: f64,
}

/// `Err` says what is wrong with the line: it was not written by ingle.
pub fn read(line: &[u8]) -> Result<Incoming, String> {
    let line: Line = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    let fields = |params: Option<Value>| params.unwrap_or(Value::Null);
    match (line.method.as_deref(), line.id) {
        (Some("event"), None) => {
            serde_json::from_value(fields(line.params)).map(Incoming::Event).map_err(|e| e.to_string())
        }
        (Some("progress"), None) => serde_json::from_value(fields(line.params))
            .map(|Progress { call, what, done }| Incoming::Progress { call, what, done })
            .map_err(|e| e.to_string()),
        (Some(_), None) => Ok(Incoming::Unknown),
        (None, Some(id)) => match (line.result, line.error) {
            (Some(result), None) => Ok(Incoming::Answer { id, result: Ok(result) }),
            (None, Some(error)) => {
                let plain = Error::new(Code::Internal, error.message);
                Ok(Incoming::Answer { id, result: Err(error.data.unwrap_or(plain)) })
            }
            _ => Err("neither a result nor an error".into()),
        },
        _ => Err("neither an answer nor a notification".into()),
    }
}

/// A call, or with `id` `None` a notification. Ends in a line feed.
pub fn write(id: Option<u64>, method: &str, params: Value) -> Vec<u8> {
    let mut message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
    if let Some(id) = id {
        message["id"] = id.into();
    }
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// `Err` at a byte that stands for no digit, or if bytes are left over.
pub fn read_base64(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(digits.len() * 3 / 4);
    for four in digits.chunks(4) {
        let mut bits = 0u32;
        for &c in four {
            let value = match c {
                b'A'..=b'Z' => c - b'A',
                b'a'..=b'z' => c - b'a' + 26,
                b'0'..=b'9' => c - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return Err(format!("'{}' in base64", c as char)),
            };
            bits = bits << 6 | u32::from(value);
        }
        if four.len() == 1 {
            return Err("base64 ends too early".into());
        }
        bits <<= 6 * (4 - four.len());
        out.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_events_and_progress() {
        let Ok(Incoming::Answer { id: 3, result: Ok(result) }) =
            read(br#"{"jsonrpc":"2.0","id":3,"result":{"model":1}}"#)
        else {
            panic!()
        };
        assert_eq!(result["model"], 1);
        let line =
            br#"{"id":4,"error":{"code":-32004,"message":"m","data":{"code":"not_found","message":"m","hint":"h"}}}"#;
        let Ok(Incoming::Answer { id: 4, result: Err(error) }) = read(line) else { panic!() };
        assert_eq!((error.code, error.hint.as_str()), (Code::NotFound, "h"));
        let line = br#"{"method":"event","params":{"request":9,"kind":"text","text":"\u00e9","output_tokens":2}}"#;
        let Ok(Incoming::Event(event)) = read(line) else { panic!() };
        assert_eq!((event.request, event.text.as_str(), event.output_tokens, event.is_last()), (9, "é", 2, false));
        let line = br#"{"method":"progress","params":{"call":2,"what":"load","done":0.5}}"#;
        assert!(matches!(read(line), Ok(Incoming::Progress { call: 2, .. })));
        assert!(matches!(read(br#"{"method":"news","params":{}}"#), Ok(Incoming::Unknown)));
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for line in
            ["", "hello", "[]", "{}", "1", r#"{"id":1}"#, r#"{"id":1,"method":"initialize"}"#, r#"{"method":"event"}"#]
        {
            assert!(read(line.as_bytes()).is_err(), "{line}");
        }
        assert!(read(b"{\"id\":1,\"result\":\"\xff\"}").is_err());
    }

    #[test]
    fn base64() {
        assert_eq!(read_base64("").unwrap(), b"");
        assert_eq!(read_base64("aQ==").unwrap(), b"i");
        assert_eq!(read_base64("aW4=").unwrap(), b"in");
        assert_eq!(read_base64("aW5n").unwrap(), b"ing");
        assert_eq!(read_base64("+/8A").unwrap(), [0xfb, 0xff, 0]);
        assert!(read_base64("a").is_err() && read_base64("a b=").is_err());
    }

    #[test]
    fn calls_are_one_line() {
        let line = write(Some(1), "load", json!({ "model": "a\nb" }));
        assert_eq!(line.iter().filter(|&&b| b == b'\n').count(), 1);
        assert!(!String::from_utf8(write(None, "cancel", json!({}))).unwrap().contains("\"id\""));
    }
}
