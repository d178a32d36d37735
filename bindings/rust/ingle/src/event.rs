//! What a request answers with.

use std::{fmt, ops::Deref};

use ingle_sys as sys;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, ffi};

/// What happened to a request. [`Event::Done`] is the last one; a request that fails ends with an `Err` in its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", content = "data", rename_all = "camelCase")]
#[non_exhaustive]
pub enum Event {
    /// So many tokens of the prompt are computed.
    Progress {
        /// Tokens done so far.
        done: u32,
        /// Tokens in the prompt.
        total: u32,
    },
    /// A piece of the answer.
    Text(Piece),
    /// A piece of the thinking before the answer.
    Reasoning(Piece),
    /// The end.
    Done(Done),
}

/// A piece of text, whole characters only. It behaves as the text it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Piece {
    /// The text.
    pub text: String,
    /// Tokens generated so far.
    pub tokens: u32,
}

impl Deref for Piece {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Piece> for String {
    fn from(piece: Piece) -> String {
        piece.text
    }
}

impl PartialEq<str> for Piece {
    fn eq(&self, other: &str) -> bool {
        self.text == other
    }
}

/// Why generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finish {
    /// The model ended, or a stop text was met.
    Stop,
    /// `max_tokens` or the context is used up.
    Length,
    /// It was cancelled.
    Cancelled,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

/// The end of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Done {
    /// Why generation ended.
    pub finish: Finish,
    /// Tokens.
    pub usage: Usage,
    /// Times.
    pub timings: Timings,
}

/// Tokens of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Usage {
    /// In the prompt.
    pub prompt_tokens: u32,
    /// Of those, not computed again.
    pub cached_tokens: u32,
    /// Generated.
    pub output_tokens: u32,
    /// Computed ahead of their turn (option `speculate`).
    #[serde(default)]
    pub guessed_tokens: u32,
    /// Of those, how many came true.
    #[serde(default)]
    pub accepted_tokens: u32,
}

/// Times of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Timings {
    /// From the start to the end of the prompt.
    pub prompt_seconds: f64,
    /// From there to the last token.
    pub output_seconds: f64,
    /// Generated tokens per second.
    pub tokens_per_second: f64,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Completion {
    /// The answer.
    pub text: String,
    /// The thinking before it.
    pub reasoning: String,
    /// Why generation ended.
    pub finish: Finish,
    /// Tokens.
    pub usage: Usage,
    /// Times.
    pub timings: Timings,
}

/// Puts a completion together from events.
#[derive(Default)]
pub(crate) struct Collector {
    text: String,
    reasoning: String,
}

impl Collector {
    /// The completion, once it has ended.
    pub fn add(&mut self, event: Event) -> Option<Completion> {
        match event {
            Event::Text(piece) => self.text.push_str(&piece),
            Event::Reasoning(piece) => self.reasoning.push_str(&piece),
            Event::Progress { .. } => {}
            Event::Done(Done { finish, usage, timings }) => {
                let (text, reasoning) = (std::mem::take(&mut self.text), std::mem::take(&mut self.reasoning));
                return Some(Completion { text, reasoning, finish, usage, timings });
            }
        }
        None
    }
}

/// Whether nothing follows an event of this kind.
pub(crate) fn is_last(event: &sys::ingle_event) -> bool {
    matches!(event.kind, sys::INGLE_EVENT_DONE | sys::INGLE_EVENT_ERROR)
}

fn count(n: i32) -> u32 {
    n.max(0) as u32
}

/// `None` for kinds that this version does not know.
///
/// # Safety
/// The event's pointers are valid, as they are during the callback.
pub(crate) unsafe fn from_raw(event: &sys::ingle_event) -> Option<Result<Event>> {
    let piece = || Piece { text: unsafe { ffi::string(event.text, event.len) }, tokens: count(event.output_tokens) };
    Some(Ok(match event.kind {
        sys::INGLE_EVENT_PROGRESS => {
            Event::Progress { done: count(event.prompt_done), total: count(event.prompt_tokens) }
        }
        sys::INGLE_EVENT_TEXT => Event::Text(piece()),
        sys::INGLE_EVENT_REASONING => Event::Reasoning(piece()),
        sys::INGLE_EVENT_DONE => Event::Done(done(event)),
        sys::INGLE_EVENT_ERROR => return Some(Err(unsafe { error(event) })),
        _ => return None,
    }))
}

fn done(event: &sys::ingle_event) -> Done {
    let finish = match unsafe { ffi::c_text(event.finish) } {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        "cancelled" => Finish::Cancelled,
        _ => Finish::Other,
    };
    let usage = Usage {
        prompt_tokens: count(event.prompt_tokens),
        cached_tokens: count(event.cached_tokens),
        output_tokens: count(event.output_tokens),
        guessed_tokens: count(event.guessed_tokens),
        accepted_tokens: count(event.accepted_tokens),
    };
    let seconds = event.output_seconds;
    let tokens_per_second = if seconds > 0.0 { f64::from(usage.output_tokens) / seconds } else { 0.0 };
    let timings = Timings { prompt_seconds: event.prompt_seconds, output_seconds: seconds, tokens_per_second };
    Done { finish, usage, timings }
}

unsafe fn error(event: &sys::ingle_event) -> Error {
    match unsafe { event.error.as_ref() } {
        Some(raw) => Error::from_raw(raw),
        None => Error::new(crate::Code::Internal, "the request failed without saying why"),
    }
}
