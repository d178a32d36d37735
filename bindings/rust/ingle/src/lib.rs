#![doc = include_str!("../README.md")]
#![deny(missing_docs, missing_debug_implementations, unsafe_op_in_unsafe_fn)]

mod device;
mod embed;
mod engine;
mod error;
mod event;
mod extract;
mod ffi;
pub mod hub;
mod message;
mod model;
mod options;
pub mod partial;
mod request;
pub mod schema;
pub mod service;
pub mod session;
mod stream;
#[cfg(feature = "worker")]
pub mod worker;

pub use device::{Device, Fit, Problem, Report, Speed, System, devices, doctor};
pub use embed::{EmbedRequest, Embedding, Pooling};
pub use engine::{Canceller, Engine, Handle};
pub use error::{Code, Error, Result};
pub use event::{Completion, Done, Event, Finish, Piece, Timings, Usage};
pub use extract::ExtractOptions;
pub use message::{
    Content, ContentPart, Function, FunctionCall, Message, NamedSchema, ResponseFormat, Role, Tool, ToolCall,
    ToolChoice,
};
pub use model::{
    Model, ModelBuilder, ModelInfo, ModelMemory, SpecialToken, TemplateInput, TensorInfo, TokenizeOptions,
};
pub use options::{LogLevel, OptionInfo, Options};
pub use request::Request;
pub use stream::{Blocking, Stream};

/// The library's version.
pub fn version() -> &'static str {
    // SAFETY: static text.
    unsafe { ffi::c_text(ingle_sys::ingle_version()) }
}
