//! The shapes that cross to the page: camelCase, events tagged as `{event, data}`.
#![allow(
    missing_docs,
    reason = "a field that says it all by its name has no second line"
)]

use crate::{Error, Result, options};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Token counts of a finished request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt_tokens: u64,
    /// Of those, taken from the conversation before and not computed again.
    pub cached_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// Tokens computed ahead of their turn (option `speculate`).
    #[serde(default)]
    pub guessed_tokens: u64,
    /// Of those, how many came true.
    #[serde(default)]
    pub accepted_tokens: u64,
}

/// Where the time of a finished request went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    pub prompt_seconds: f64,
    pub output_seconds: f64,
    pub tokens_per_second: f64,
}

/// A whole answer, for Rust code.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    pub text: String,
    /// The thinking before it.
    pub reasoning: String,
    /// `stop`, `length` or `cancelled`.
    pub finish: String,
    pub usage: Usage,
    pub timings: Timings,
}

/// One message of a stream. `seq` counts 1, 2, ... within the stream; `done` or `error` is the last message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "camelCase")]
pub enum StreamEvent {
    /// The model is loaded and has the request.
    Started {
        seq: u64,
        stream: String,
        model: String,
    },
    /// Prompt tokens computed so far.
    Progress { seq: u64, done: u64, total: u64 },
    /// A piece of the answer, and how many tokens it took.
    Text { seq: u64, text: String, tokens: u64 },
    /// A piece of the thinking before the answer.
    Reasoning { seq: u64, text: String, tokens: u64 },
    /// Only after `attach`: everything up to `seq` that the page does not have is no longer kept.
    Truncated { seq: u64 },
    /// The end: `finish` is `stop`, `length` or `cancelled`.
    Done {
        seq: u64,
        finish: String,
        usage: Usage,
        timings: Timings,
    },
    /// The end, by a failure.
    Error {
        seq: u64,
        code: String,
        message: String,
        hint: String,
    },
}

/// Answer of `generate` and `chat`, which return before the first token.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamStarted {
    pub stream: String,
}

/// Answer of `attach`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attached {
    pub stream: String,
    /// `false` if the stream has ended; its last messages still come.
    pub running: bool,
}

/// A row of `list_streams`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamInfo {
    pub stream: String,
    pub model: String,
    /// `generate` or `chat`.
    pub kind: String,
    pub running: bool,
    /// Number of the last message.
    pub seq: u64,
    /// Milliseconds since 1970, as `Date.now()` gives them.
    pub started_at: u64,
    /// The webview that started it.
    pub label: String,
}

/// Answer of `load_model`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadedModelInfo {
    /// Names the model in later calls. The same as `name` unless two models have the same name.
    pub id: String,
    pub name: String,
    pub path: String,
    pub info: Value,
    /// 0 if it was loaded already.
    pub load_seconds: f64,
    /// The device that computes, as `devices` lists it.
    pub device: String,
}

/// Progress of `load_model`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "camelCase")]
pub enum LoadEvent {
    /// `done` from 0 to 1.
    Progress {
        done: f64,
        what: String,
    },
    Done,
}

/// A row of `list_models`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StoredModel {
    pub name: String,
    pub path: String,
    pub bytes: u64,
    pub format: String,
    pub source: String,
    /// `false` while parts of it are missing.
    pub complete: bool,
    /// In memory now, or ready to be again without being asked for.
    pub loaded: bool,
}

/// Progress of a download: `done` or `error` is the last message.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "camelCase")]
pub enum DownloadEvent {
    Started {
        source: String,
    },
    Progress(DownloadProgress),
    Done {
        model: StoredModel,
    },
    Error {
        code: String,
        message: String,
        hint: String,
    },
}

/// How far a download is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DownloadProgress {
    /// `resolve`, `wait`, `download`, `verify` or `done`.
    pub phase: String,
    pub file: String,
    pub file_index: u32,
    pub files: u32,
    pub bytes_done: u64,
    /// `null` while unknown.
    pub bytes_total: Option<u64>,
    /// Of `bytes_done`, kept from an earlier try.
    pub bytes_resumed: u64,
    pub bytes_per_second: f64,
    /// `null` while unknown.
    pub seconds_left: Option<f64>,
}

/// Answer of `download_model`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DownloadStarted {
    pub download: String,
}

/// A row of `list_downloads`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DownloadInfo {
    pub download: String,
    pub source: String,
    /// `null` before the first answer of the server.
    pub progress: Option<DownloadProgress>,
}

/// A request as the page writes it. Fields that only the engine understands pass through as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerateRequest {
    pub model: Option<String>,
    /// The request in the engine's shape: snake_case, options flat.
    pub engine: Map<String, Value>,
}

/// What a request may have beside the options of group "sampling".
const FIELDS: &[&str] = &[
    "messages",
    "prompt",
    "tools",
    "tool_choice",
    "response_format",
    "chat_template_kwargs",
];

impl GenerateRequest {
    /// Checks what can be checked before a model is there. `kind` is the command.
    pub fn from_json(kind: &str, json: Value) -> Result<Self> {
        let Value::Object(fields) = json else {
            return Err(Error::bad_request(
                format!("{kind}: the request is not an object"),
                "",
            ));
        };
        let mut engine = Map::new();
        let mut model = None;
        for (key, value) in fields {
            match (key.as_str(), value) {
                (_, Value::Null) => {}
                ("model", Value::String(name)) => model = Some(name),
                ("model", _) => {
                    return Err(Error::bad_request(
                        format!("{kind}: model is not a string"),
                        "",
                    ));
                }
                ("options", Value::Object(options)) => {
                    for (name, value) in options {
                        options::check_sampling_name(kind, &name)?;
                        engine.insert(name.replace('-', "_"), value);
                    }
                }
                ("options", _) => {
                    return Err(Error::bad_request(
                        format!("{kind}: options is not an object"),
                        "write options: {\"top-k\": 40}",
                    ));
                }
                (_, value) => {
                    engine.insert(engine_key(kind, &key)?, value);
                }
            }
        }
        let request = Self { model, engine };
        request.check(kind)?;
        Ok(request)
    }

    fn check(&self, kind: &str) -> Result<()> {
        let (wanted, other) = match kind {
            "chat" => ("messages", "prompt"),
            _ => ("prompt", "messages"),
        };
        if self.engine.contains_key(other) {
            return Err(Error::bad_request(
                format!("{kind}: {other} does not belong here"),
                format!("{kind} takes {wanted}"),
            ));
        }
        match (wanted, self.engine.get(wanted)) {
            ("messages", Some(Value::Array(_))) | ("prompt", Some(Value::String(_))) => Ok(()),
            (_, None) => Err(Error::bad_request(
                format!("{kind}: {wanted} is missing"),
                "",
            )),
            ("messages", _) => Err(Error::bad_request(
                format!("{kind}: messages is not an array"),
                "write messages: [{role: 'user', content: '...'}]",
            )),
            _ => Err(Error::bad_request(
                format!("{kind}: prompt is not a string"),
                "",
            )),
        }
    }
}

/// The engine's name of a field: `max_tokens` of `maxTokens`. A slip of the pen is not passed over.
fn engine_key(kind: &str, key: &str) -> Result<String> {
    let mut name = String::new();
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    if FIELDS.contains(&name.as_str()) || options::check_sampling_name(kind, &name).is_ok() {
        return Ok(name);
    }
    Err(Error::bad_request(
        format!("{kind}: unknown field {key:?}"),
        "see the option table: ingle help options",
    ))
}

/// Request of `embed`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EmbedRequest {
    pub model: Option<String>,
    pub input: EmbedInput,
    pub pooling: Option<String>,
    pub normalize: Option<bool>,
    pub dimensions: Option<u64>,
}

/// A text or several.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(untagged)]
pub enum EmbedInput {
    One(String),
    Many(Vec<String>),
}

impl EmbedRequest {
    pub(crate) fn to_engine(&self) -> String {
        let mut fields = Map::new();
        fields.insert("input".into(), serde_json::json!(self.input));
        if let Some(pooling) = &self.pooling {
            fields.insert("pooling".into(), Value::from(pooling.as_str()));
        }
        if let Some(normalize) = self.normalize {
            fields.insert("normalize".into(), Value::from(normalize));
        }
        if let Some(dimensions) = self.dimensions {
            fields.insert("dimensions".into(), Value::from(dimensions));
        }
        Value::Object(fields).to_string()
    }
}

/// Request of `apply_template`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TemplateRequest {
    pub model: Option<String>,
    pub messages: Vec<Value>,
    pub tools: Option<Vec<Value>>,
    pub add_generation_prompt: Option<bool>,
    #[serde(default)]
    pub variables: Map<String, Value>,
}

impl TemplateRequest {
    pub(crate) fn to_engine(&self) -> String {
        let mut fields = Map::new();
        fields.insert(
            "chat_template_kwargs".into(),
            Value::Object(self.variables.clone()),
        );
        fields.insert("messages".into(), Value::Array(self.messages.clone()));
        if let Some(tools) = &self.tools {
            fields.insert("tools".into(), Value::Array(tools.clone()));
        }
        fields.insert(
            "add_generation_prompt".into(),
            Value::from(self.add_generation_prompt.unwrap_or(true)),
        );
        Value::Object(fields).to_string()
    }
}

/// Vectors as the page gets them: u32 count, u32 width, then the values, all little endian.
pub(crate) fn pack_embeddings(rows: &[Vec<f32>]) -> Vec<u8> {
    let width = rows.first().map_or(0, Vec::len);
    let mut bytes = Vec::with_capacity(8 + rows.len() * width * 4);
    bytes.extend_from_slice(&(rows.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(width as u32).to_le_bytes());
    for value in rows.iter().flatten() {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_tagged() {
        let event = StreamEvent::Text {
            seq: 3,
            text: "a".into(),
            tokens: 1,
        };
        assert_eq!(
            serde_json::to_value(event).unwrap(),
            json!({ "event": "text", "data": { "seq": 3, "text": "a", "tokens": 1 } })
        );
        assert_eq!(
            serde_json::to_value(LoadEvent::Done).unwrap(),
            json!({ "event": "done" })
        );
        let progress = DownloadEvent::Progress(DownloadProgress::default());
        let json = serde_json::to_value(progress).unwrap();
        assert_eq!(json["data"]["bytesTotal"], Value::Null);
        assert_eq!(json["data"]["fileIndex"], 0);
    }

    #[test]
    fn requests_become_the_engines_shape() {
        let request = GenerateRequest::from_json(
            "chat",
            json!({ "model": "m", "messages": [{ "role": "user", "content": "hi", "maxTokens": 1 }],
                "maxTokens": 5, "seed": null, "options": { "top-k": 3, "min_p": 0.5 } }),
        )
        .unwrap();
        assert_eq!(request.model.as_deref(), Some("m"));
        assert_eq!(
            Value::Object(request.engine),
            json!({ "messages": [{ "role": "user", "content": "hi", "maxTokens": 1 }],
                "max_tokens": 5, "top_k": 3, "min_p": 0.5 })
        );
    }

    #[test]
    fn requests_name_what_is_wrong() {
        let wrong = |kind: &str, json: Value| GenerateRequest::from_json(kind, json).unwrap_err();
        for (kind, json, part) in [
            ("chat", json!(1), "not an object"),
            ("chat", json!({}), "messages is missing"),
            ("chat", json!({ "messages": "x" }), "not an array"),
            (
                "chat",
                json!({ "messages": [], "prompt": "x" }),
                "prompt does not belong",
            ),
            ("generate", json!({ "prompt": 1 }), "prompt is not a string"),
            (
                "generate",
                json!({ "prompt": "", "model": 1 }),
                "model is not a string",
            ),
            (
                "generate",
                json!({ "prompt": "", "options": [] }),
                "options is not an object",
            ),
        ] {
            let error = wrong(kind, json);
            assert_eq!(error.code, "bad_request");
            assert!(error.message.contains(part), "{}", error.message);
        }
    }

    #[test]
    fn embeddings_have_a_head() {
        let bytes = pack_embeddings(&[vec![1.0, 2.0], vec![3.0, 4.0]]);
        assert_eq!(bytes.len(), 8 + 16);
        assert_eq!(&bytes[..8], &[2, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(&bytes[20..], &4f32.to_le_bytes());
        assert_eq!(pack_embeddings(&[]), vec![0; 8]);
    }
}
