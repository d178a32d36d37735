//! Requests: what to generate and how.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Code, Error, Message, ResponseFormat, Result, Tool, ToolChoice};

/// A request: a chat or a prompt, with sampling options by name.
///
/// ```
/// use ingle::{Message, Request};
///
/// let request = Request::chat(vec![Message::user("Name three rivers.")])
///     .max_tokens(64)
///     .temperature(0.2)
///     .option("top_k", 20);
/// assert_eq!(request.get("max_tokens"), Some(&64.into()));
/// ```
///
/// Any field of the request's JSON can be set with [`Request::option`]: every option of group "sampling"
/// ([`Options::describe`](crate::Options::describe)) by its key, `chat_template_kwargs`, and what newer engines know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Request {
    fields: Map<String, Value>,
}

impl Request {
    /// The next turn of a chat, through the model's template.
    pub fn chat(messages: impl IntoIterator<Item = Message>) -> Request {
        let messages: Vec<Message> = messages.into_iter().collect();
        Request::default().put("messages", &messages)
    }

    /// Text to go on with, without a template.
    pub fn prompt(text: impl Into<String>) -> Request {
        Request::default().option("prompt", text.into())
    }

    /// A request as OpenAI's clients write it.
    pub fn from_json(json: &str) -> Result<Request> {
        serde_json::from_str(json).map_err(|e| {
            Error::new(Code::BadRequest, format!("the request cannot be read: {e}"))
                .with_hint(r#"give {"messages": [...]} or {"prompt": "..."}"#)
        })
    }

    /// The request as JSON text.
    pub fn to_json(&self) -> String {
        Value::Object(self.fields.clone()).to_string()
    }

    /// Sets any field.
    #[must_use]
    pub fn option(mut self, key: impl Into<String>, value: impl Into<Value>) -> Request {
        self.fields.insert(key.into(), value.into());
        self
    }

    /// A field.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key)
    }

    /// All fields.
    pub fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// All fields, to be changed.
    pub fn fields_mut(&mut self) -> &mut Map<String, Value> {
        &mut self.fields
    }

    fn put(mut self, key: &str, value: &impl Serialize) -> Request {
        // These types have text keys and no failing `Serialize`.
        self.fields.insert(key.into(), serde_json::to_value(value).unwrap_or(Value::Null));
        self
    }

    /// Tokens to generate at most.
    #[must_use]
    pub fn max_tokens(self, n: u32) -> Request {
        self.option("max_tokens", n)
    }

    /// Above 1 bolder, below 1 safer, 0 always the most likely token.
    #[must_use]
    pub fn temperature(self, t: f64) -> Request {
        self.option("temperature", t)
    }

    /// Choose among the most likely tokens that together have this chance.
    #[must_use]
    pub fn top_p(self, p: f64) -> Request {
        self.option("top_p", p)
    }

    /// Choose among the `k` most likely tokens.
    #[must_use]
    pub fn top_k(self, k: i32) -> Request {
        self.option("top_k", k)
    }

    /// One seed gives one text.
    #[must_use]
    pub fn seed(self, seed: u32) -> Request {
        self.option("seed", seed)
    }

    /// Texts that end the answer.
    #[must_use]
    pub fn stop<T: Into<String>>(self, texts: impl IntoIterator<Item = T>) -> Request {
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        self.option("stop", texts)
    }

    /// Tools the model may call.
    #[must_use]
    pub fn tools(self, tools: impl IntoIterator<Item = Tool>) -> Request {
        let tools: Vec<Tool> = tools.into_iter().collect();
        self.put("tools", &tools)
    }

    /// Which tool the model shall call.
    #[must_use]
    pub fn tool_choice(self, choice: ToolChoice) -> Request {
        self.put("tool_choice", &choice)
    }

    /// The form of the answer.
    #[must_use]
    pub fn response_format(self, format: ResponseFormat) -> Request {
        self.put("response_format", &format)
    }

    /// The messages of a chat.
    pub fn messages(&self) -> Result<Vec<Message>> {
        let messages = self.get("messages").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
        serde_json::from_value(messages).map_err(|e| Error::new(Code::BadRequest, format!("messages: {e}")))
    }

    pub(crate) fn set_messages(&mut self, messages: &[Message]) {
        self.fields.insert("messages".into(), serde_json::to_value(messages).unwrap_or(Value::Null));
    }
}
