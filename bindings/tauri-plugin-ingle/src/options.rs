//! The engine's option table, as configuration and pages use it.

use crate::{Error, Result};
use serde_json::Value;

/// The row of an option, by `top-k` or `top_k`.
fn row(name: &str) -> Option<ingle::OptionInfo> {
    ingle::Options::describe().find(|row| row.name == name || row.key == name)
}

fn unknown(place: &str, name: &str, group: Option<&str>) -> Error {
    let names: Vec<_> = ingle::Options::describe()
        .filter(|row| group.is_none_or(|group| row.group == group))
        .map(|row| row.name)
        .collect();
    Error::bad_argument(
        format!("{place}: unknown option {name:?}"),
        format!("options: {}", names.join(", ")),
    )
}

/// `{name: value}` as pairs of text, each checked against the table: name, type and bounds.
pub(crate) fn from_json(place: &str, json: &Value) -> Result<Vec<(String, String)>> {
    let fields = match json {
        Value::Null => return Ok(Vec::new()),
        Value::Object(fields) => fields,
        _ => return Err(Error::bad_argument(format!("{place} is not an object"), "")),
    };
    let mut list = Vec::new();
    for (name, value) in fields {
        let row = row(name).ok_or_else(|| unknown(place, name, None))?;
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            Value::Object(_) if row.name != "logit-bias" => {
                return Err(Error::bad_argument(
                    format!("{place}.{name}: {value} is not a value"),
                    "",
                ));
            }
            other => other.to_string(),
        };
        check(place, row.name, &text)?;
        list.push((row.name.to_string(), text));
    }
    Ok(list)
}

/// Type and bounds, by the engine's own check.
pub(crate) fn check(place: &str, name: &str, value: &str) -> Result<()> {
    let Some(row) = row(name) else {
        return Err(unknown(place, name, None));
    };
    let mut options = ingle::Options::new();
    options.set(row.name, value).map(|_| ()).map_err(|error| {
        let mut error = Error::from(error);
        error.message = format!("{place}: {}", error.message);
        error
    })
}

/// A name in a request's `options`: only what the engine obeys per request.
pub(crate) fn check_sampling_name(place: &str, name: &str) -> Result<()> {
    match row(name) {
        Some(row) if row.group == "sampling" => Ok(()),
        Some(_) => Err(Error::bad_request(
            format!("{place}: option {name:?} belongs to load_model"),
            "set it when the model is loaded",
        )),
        None => {
            let mut error = unknown(place, name, Some("sampling"));
            error.code = "bad_request".into();
            Err(error)
        }
    }
}
