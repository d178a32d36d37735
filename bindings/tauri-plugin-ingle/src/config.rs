//! `plugins.ingle` of tauri.conf.json. An unknown key or option name is an error that names it, at start.

use crate::{Error, Result, options};
use serde_json::{Map, Value};
use std::time::Duration;

/// The plugin's settings: those of `tauri.conf.json`, then those of [`Builder`](crate::Builder), which win.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Config {
    /// Folder that holds `models/`. May begin with a variable as `$APPDATA`. `None`: the store that all ingle programs of
    /// this user share.
    pub home: Option<String>,
    /// The model that is used when a page names none: a name in the store or a path, which may begin with `$RESOURCE`.
    pub model: Option<String>,
    /// Options of every model that is loaded, by the engine's names.
    pub options: Vec<(String, String)>,
    /// Where repositories are downloaded from.
    pub endpoint: Option<String>,
    /// Never use the network.
    pub offline: bool,
    /// A model that nobody used for so long leaves the memory, and comes back by itself with the next request.
    /// `None`: never.
    pub idle_unload: Option<Duration>,
    /// The same as soon as all windows are hidden or minimised.
    pub unload_when_hidden: bool,
    /// Compute at lower priority.
    pub background: bool,
    /// Text is collected for so long before it is sent to the page; the first token never waits.
    pub batch: Duration,
    /// Where the engine runs.
    pub isolated: Isolated,
    /// Answer `load_llm_model` and `generate_text` as well.
    pub compat: bool,
}

/// Where the engine runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Isolated {
    /// In the app's process.
    #[default]
    No,
    /// In a child process: `ingle` beside the app's executable or in `PATH`.
    Yes,
    /// In a child process: this sidecar of the bundle (`externalBin`), or a path.
    Sidecar(String),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            home: None,
            model: None,
            options: Vec::new(),
            endpoint: None,
            offline: false,
            idle_unload: Some(Duration::from_secs(300)),
            unload_when_hidden: false,
            background: false,
            batch: Duration::from_millis(33),
            isolated: Isolated::No,
            compat: false,
        }
    }
}

const KEYS: &[&str] = &[
    "home",
    "model",
    "options",
    "endpoint",
    "offline",
    "idleUnloadSeconds",
    "unloadWhenHidden",
    "background",
    "batchMs",
    "isolated",
    "compat",
];
/// A week.
const MAX_IDLE_SECONDS: u64 = 604_800;
const MAX_BATCH_MS: u64 = 100;

impl Config {
    /// Reads the value of `plugins.ingle`; `null` is the same as `{}`.
    pub fn from_json(json: &Value) -> Result<Self> {
        let empty = Map::new();
        let fields = match json {
            Value::Null => &empty,
            Value::Object(fields) => fields,
            _ => return Err(wrong("plugins.ingle", json, "an object")),
        };
        let mut config = Self::default();
        for (key, value) in fields {
            config.set(key, value)?;
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<()> {
        match key {
            "home" => self.home = text(key, value)?,
            "model" => self.model = text(key, value)?,
            "options" => self.options = options::from_json("plugins.ingle.options", value)?,
            "endpoint" => self.endpoint = text(key, value)?,
            "offline" => self.offline = flag(key, value)?,
            "idleUnloadSeconds" => {
                let seconds = number(key, value, MAX_IDLE_SECONDS)?;
                self.idle_unload = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            "unloadWhenHidden" => self.unload_when_hidden = flag(key, value)?,
            "background" => self.background = flag(key, value)?,
            "batchMs" => self.batch = Duration::from_millis(number(key, value, MAX_BATCH_MS)?),
            "isolated" => self.isolated = isolated(value)?,
            "compat" => self.compat = flag(key, value)?,
            _ => {
                return Err(Error::bad_argument(
                    format!("plugins.ingle: unknown key {key:?}"),
                    format!("known keys: {}", KEYS.join(", ")),
                ));
            }
        }
        Ok(())
    }

    /// What every model is loaded with.
    pub(crate) fn load_options(&self) -> Vec<(String, String)> {
        let mut list = self.options.clone();
        if self.background && !list.iter().any(|(name, _)| name == "background") {
            list.push(("background".into(), "true".into()));
        }
        list.sort();
        list
    }
}

fn wrong(place: &str, value: &Value, wanted: &str) -> Error {
    Error::bad_argument(
        format!("{place}: {value} is not {wanted}"),
        "correct tauri.conf.json",
    )
}

fn place(key: &str) -> String {
    format!("plugins.ingle.{key}")
}

fn text(key: &str, value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if !text.is_empty() => Ok(Some(text.clone())),
        _ => Err(wrong(&place(key), value, "a text")),
    }
}

fn flag(key: &str, value: &Value) -> Result<bool> {
    value
        .as_bool()
        .ok_or_else(|| wrong(&place(key), value, "true or false"))
}

fn number(key: &str, value: &Value, max: u64) -> Result<u64> {
    value
        .as_u64()
        .filter(|number| *number <= max)
        .ok_or_else(|| {
            wrong(
                &place(key),
                value,
                &format!("a whole number from 0 to {max}"),
            )
        })
}

fn isolated(value: &Value) -> Result<Isolated> {
    let sidecar = |fields: &Map<String, Value>| match (fields.len(), fields.get("sidecar")) {
        (1, Some(Value::String(name))) if !name.is_empty() => Some(Isolated::Sidecar(name.clone())),
        _ => None,
    };
    match value {
        Value::Bool(false) => Some(Isolated::No),
        Value::Bool(true) => Some(Isolated::Yes),
        Value::Object(fields) => sidecar(fields),
        _ => None,
    }
    .ok_or_else(|| {
        wrong(
            &place("isolated"),
            value,
            "true, false or {\"sidecar\": \"name\"}",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn everything_can_be_set() {
        let config = Config::from_json(&json!({
            "home": "$APPDATA/ingle", "model": "smollm2", "options": { "threads": 2, "top_k": "7", "background": true },
            "endpoint": "http://localhost:1", "offline": true, "idleUnloadSeconds": 9, "unloadWhenHidden": true,
            "background": true, "batchMs": 33, "isolated": { "sidecar": "ingle" }, "compat": true
        }))
        .unwrap();
        assert_eq!(config.home.as_deref(), Some("$APPDATA/ingle"));
        assert_eq!(config.idle_unload, Some(Duration::from_secs(9)));
        assert_eq!(config.batch, Duration::from_millis(33));
        assert_eq!(config.isolated, Isolated::Sidecar("ingle".into()));
        assert!(config.offline && config.unload_when_hidden && config.background && config.compat);
        let mut options = config.load_options();
        options.sort();
        let pair = |a: &str, b: &str| (a.to_string(), b.to_string());
        assert_eq!(
            options,
            [
                pair("background", "true"),
                pair("threads", "2"),
                pair("top-k", "7")
            ]
        );
    }

    #[test]
    fn nothing_need_be_set() {
        let config = Config::from_json(&Value::Null).unwrap();
        assert_eq!(config, Config::default());
        assert_eq!(config, Config::from_json(&json!({})).unwrap());
        assert_eq!(config.idle_unload, Some(Duration::from_secs(300)));
        assert_eq!(config.batch, Duration::from_millis(33));
        let never = Config::from_json(&json!({ "idleUnloadSeconds": 0 })).unwrap();
        assert_eq!(never.idle_unload, None);
    }

    #[test]
    fn mistakes_are_named() {
        for (json, part) in [
            (json!([]), "plugins.ingle: [] is not an object"),
            (json!({ "batchms": 3 }), "unknown key \"batchms\""),
            (
                json!({ "batchMs": 101 }),
                "plugins.ingle.batchMs: 101 is not a whole number from 0 to 100",
            ),
            (json!({ "batchMs": 1.5 }), "plugins.ingle.batchMs"),
            (
                json!({ "idleUnloadSeconds": -1 }),
                "plugins.ingle.idleUnloadSeconds",
            ),
            (json!({ "compat": "yes" }), "plugins.ingle.compat"),
            (json!({ "model": "" }), "plugins.ingle.model"),
            (
                json!({ "isolated": { "sidecar": 1 } }),
                "plugins.ingle.isolated",
            ),
            (
                json!({ "isolated": { "sidecar": "a", "b": 1 } }),
                "plugins.ingle.isolated",
            ),
            (json!({ "options": [] }), "plugins.ingle.options"),
            (json!({ "options": { "treads": 1 } }), "treads"),
            (json!({ "options": { "threads": -1 } }), "threads"),
            (json!({ "options": { "threads": {} } }), "threads"),
        ] {
            let error = Config::from_json(&json).unwrap_err();
            assert!(error.message.contains(part), "{json}: {error}");
        }
    }
}
