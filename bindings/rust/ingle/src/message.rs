//! Messages and tools in the shape of OpenAI's chat completions. Fields that these types do not name are kept and passed
//! on, so newer models and clients need no newer crate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Who speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum Role {
    /// What the model is to be.
    System,
    /// The same under its newer name.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
    /// A role of some template's own.
    Other(String),
}

impl From<String> for Role {
    fn from(name: String) -> Role {
        match name.as_str() {
            "system" => Role::System,
            "developer" => Role::Developer,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            _ => Role::Other(name),
        }
    }
}

impl From<Role> for String {
    fn from(role: Role) -> String {
        match role {
            Role::System => "system".into(),
            Role::Developer => "developer".into(),
            Role::User => "user".into(),
            Role::Assistant => "assistant".into(),
            Role::Tool => "tool".into(),
            Role::Other(name) => name,
        }
    }
}

/// One turn of a chat.
///
/// ```
/// use ingle::Message;
/// let chat = vec![Message::system("Be brief."), Message::user("Why is the sky blue?")];
/// assert_eq!(serde_json::to_string(&chat[1]).unwrap(), r#"{"role":"user","content":"Why is the sky blue?"}"#);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said; absent in a turn that only calls tools.
    #[serde(default)]
    pub content: Option<Content>,
    /// The speaker's name, for templates that show it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The thinking before the content, for templates that want it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<String>,
    /// Calls the assistant made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// Which call this is the result of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Everything else that was there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Message {
    /// A turn of any role.
    pub fn new(role: Role, content: impl Into<Content>) -> Message {
        Message {
            role,
            content: Some(content.into()),
            name: None,
            reasoning_content: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
            other: Map::new(),
        }
    }

    /// What the model is to be.
    pub fn system(content: impl Into<Content>) -> Message {
        Message::new(Role::System, content)
    }

    /// What the person says.
    pub fn user(content: impl Into<Content>) -> Message {
        Message::new(Role::User, content)
    }

    /// What the model said.
    pub fn assistant(content: impl Into<Content>) -> Message {
        Message::new(Role::Assistant, content)
    }

    /// Calls that the model made.
    pub fn assistant_calls(calls: Vec<ToolCall>) -> Message {
        let mut message = Message::new(Role::Assistant, "");
        message.content = None;
        message.tool_calls = calls;
        message
    }

    /// The result of the call `id`.
    pub fn tool(id: impl Into<String>, content: impl Into<Content>) -> Message {
        let mut message = Message::new(Role::Tool, content);
        message.tool_call_id = Some(id.into());
        message
    }

    /// The content's text, parts joined.
    pub fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => parts.iter().filter_map(|p| p.text.as_deref()).collect(),
        }
    }
}

/// Text, or a list of parts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Content {
    /// Text.
    Text(String),
    /// Parts: text and, with models that see or hear, other things.
    Parts(Vec<ContentPart>),
}

impl<T: Into<String>> From<T> for Content {
    fn from(text: T) -> Content {
        Content::Text(text.into())
    }
}

/// A part of a content: `{"type": "text", "text": "..."}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ContentPart {
    /// `"text"`, or another kind whose fields are in `other`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The text of a text part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Fields of other kinds.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ContentPart {
    /// A text part.
    pub fn text(text: impl Into<String>) -> ContentPart {
        ContentPart { kind: "text".into(), text: Some(text.into()), other: Map::new() }
    }
}

/// A call that the model made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ToolCall {
    /// Names the call in the message with its result.
    #[serde(default)]
    pub id: String,
    /// `"function"`.
    #[serde(rename = "type", default = "function")]
    pub kind: String,
    /// What is called.
    pub function: FunctionCall,
}

/// What is called, and with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FunctionCall {
    /// The tool's name.
    pub name: String,
    /// JSON text, as the model wrote it.
    pub arguments: String,
}

impl ToolCall {
    /// A call of a function with arguments as JSON text.
    pub fn new(id: impl Into<String>, name: impl Into<String>, arguments: impl Into<String>) -> ToolCall {
        let function = FunctionCall { name: name.into(), arguments: arguments.into() };
        ToolCall { id: id.into(), kind: function_kind(), function }
    }
}

fn function_kind() -> String {
    "function".into()
}

use function_kind as function;

/// A tool that the model may call.
///
/// ```
/// use ingle::Tool;
///
/// #[derive(schemars::JsonSchema, serde::Deserialize)]
/// struct Place {
///     /// The city's name
///     city: String,
/// }
/// let weather = Tool::of::<Place>("weather", "The weather now");
/// assert_eq!(weather.function.parameters["required"][0], "city");
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Tool {
    /// `"function"`.
    #[serde(rename = "type", default = "function")]
    pub kind: String,
    /// The function.
    pub function: Function,
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it does, for the model to read.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// JSON schema of its arguments.
    #[serde(default)]
    pub parameters: Value,
    /// Everything else that was there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Tool {
    /// A function with a JSON schema for its arguments.
    pub fn new(name: impl Into<String>, description: impl Into<String>, parameters: Value) -> Tool {
        let function = Function { name: name.into(), description: description.into(), parameters, other: Map::new() };
        Tool { kind: function_kind(), function }
    }

    /// A function whose arguments are the fields of `T`.
    pub fn of<T: JsonSchema>(name: impl Into<String>, description: impl Into<String>) -> Tool {
        let mut schema = schemars::schema_for!(T).to_value();
        if let Some(object) = schema.as_object_mut() {
            object.remove("$schema");
            object.remove("title");
        }
        Tool::new(name, description, schema)
    }
}

/// Which tool the model shall call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
#[non_exhaustive]
pub enum ToolChoice {
    /// Any or none.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Function(String),
}

impl From<ToolChoice> for Value {
    fn from(choice: ToolChoice) -> Value {
        match choice {
            ToolChoice::Auto => "auto".into(),
            ToolChoice::None => "none".into(),
            ToolChoice::Required => "required".into(),
            ToolChoice::Function(name) => json!({"type": "function", "function": {"name": name}}),
        }
    }
}

impl From<Value> for ToolChoice {
    fn from(value: Value) -> ToolChoice {
        match (value.as_str(), value.pointer("/function/name").and_then(Value::as_str)) {
            (Some("none"), _) => ToolChoice::None,
            (Some("required"), _) => ToolChoice::Required,
            (None, Some(name)) => ToolChoice::Function(name.into()),
            _ => ToolChoice::Auto,
        }
    }
}

/// The form of the answer. It is part of the request; engines that cannot enforce it yet leave it to the prompt and to
/// [`Engine::extract`](crate::Engine::extract), which checks the answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResponseFormat {
    /// Any text.
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON of this schema.
    JsonSchema {
        /// The schema and its name.
        json_schema: NamedSchema,
    },
}

/// A JSON schema with a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedSchema {
    /// Its name.
    pub name: String,
    /// The schema.
    pub schema: Value,
    /// Everything else that was there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl ResponseFormat {
    /// JSON of this schema.
    pub fn schema(name: impl Into<String>, schema: Value) -> ResponseFormat {
        ResponseFormat::JsonSchema { json_schema: NamedSchema { name: name.into(), schema, other: Map::new() } }
    }
}
