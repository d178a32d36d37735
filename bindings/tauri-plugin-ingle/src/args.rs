//! Arguments of commands. Tauri rejects a wrong one with a plain string; these reject with `{code, message, hint}` as
//! every other failure does.

use crate::Error;
use serde::de::DeserializeOwned;
use tauri::{
    Runtime, Webview,
    ipc::{Channel, CommandArg, CommandItem, InvokeBody, InvokeError, JavaScriptChannelId},
};

fn wrong(command: &str, key: &str, why: &str) -> InvokeError {
    let error = Error::bad_request(format!("{command}: argument {key}: {why}"), "");
    InvokeError(serde_json::json!(error))
}

/// Any argument that is data.
pub struct Arg<T>(pub T);

impl<'de, R: Runtime, T: DeserializeOwned> CommandArg<'de, R> for Arg<T> {
    fn from_command(command: CommandItem<'de, R>) -> Result<Self, InvokeError> {
        let (name, key) = (command.name, command.key);
        let null = serde_json::Value::Null;
        let value = match command.message.payload() {
            InvokeBody::Json(json) => json.get(key).unwrap_or(&null),
            InvokeBody::Raw(_) => return Err(wrong(name, key, "the body is bytes, not JSON")),
        };
        match T::deserialize(value) {
            Ok(value) => Ok(Self(value)),
            Err(_) if value.is_null() => Err(wrong(name, key, "is missing")),
            Err(error) => Err(wrong(name, key, &error.to_string())),
        }
    }
}

/// A channel to the calling page.
pub(crate) struct Events<T>(pub Channel<T>);

impl<'de, R: Runtime, T> CommandArg<'de, R> for Events<T> {
    fn from_command(command: CommandItem<'de, R>) -> Result<Self, InvokeError> {
        let (name, key) = (command.name, command.key);
        match OptionalEvents::from_command(command)?.0 {
            Some(channel) => Ok(Self(channel)),
            None => Err(wrong(name, key, "is missing; it takes a Channel")),
        }
    }
}

/// The same where the page may leave it out.
pub(crate) struct OptionalEvents<T>(pub Option<Channel<T>>);

impl<'de, R: Runtime, T> CommandArg<'de, R> for OptionalEvents<T> {
    fn from_command(command: CommandItem<'de, R>) -> Result<Self, InvokeError> {
        let (name, key) = (command.name, command.key);
        let webview: Webview<R> = command.message.webview();
        let Arg(text) = Arg::<Option<String>>::from_command(command)
            .map_err(|_: InvokeError| wrong(name, key, "is not a Channel"))?;
        let Some(text) = text else {
            return Ok(Self(None));
        };
        let id: JavaScriptChannelId = text
            .parse()
            .map_err(|_| wrong(name, key, "is not a Channel"))?;
        Ok(Self(Some(id.channel_on(webview))))
    }
}
