//! What a page may name: `{path}`, `{model}` and `{source}` entries of the permissions it has.

use crate::{Error, Result};
use glob::{MatchOptions, Pattern};
use serde::Deserialize;
use serde_json::Value;
use std::{path::Path, sync::Arc};
use tauri::{
    AppHandle, Manager, Runtime,
    ipc::{CommandArg, CommandItem, CommandScope, GlobalScope, InvokeError, ScopeObject},
};

/// An entry as it is written in a capability.
#[derive(Debug, Deserialize)]
#[serde(untagged, rename_all_fields = "camelCase", deny_unknown_fields)]
enum Written {
    Path {
        path: String,
    },
    Model {
        model: String,
    },
    Source {
        source: String,
        max_bytes: Option<u64>,
    },
}

/// An entry that can be matched.
#[derive(Debug)]
pub enum Entry {
    /// Files outside the store.
    Path(Pattern),
    /// Names in the store.
    Model(Pattern),
    /// Downloads.
    Source {
        pattern: Pattern,
        max_bytes: Option<u64>,
    },
}

impl Entry {
    fn parse(raw: Value, expand: impl FnOnce(&str) -> Result<String>) -> Result<Self> {
        let written: Written = serde_json::from_value(raw.clone()).map_err(|_| {
            Error::bad_argument(
                format!(
                    "scope entry {raw} is not one of {{path}}, {{model}}, {{source, maxBytes}}"
                ),
                "correct the capability file",
            )
        })?;
        let pattern = |text: &str| {
            Pattern::new(text).map_err(|error| {
                Error::bad_argument(
                    format!("scope pattern {text:?}: {error}"),
                    "correct the capability file",
                )
            })
        };
        Ok(match written {
            Written::Path { path } => Self::Path(pattern(&expand(&path)?)?),
            Written::Model { model } => Self::Model(pattern(&model)?),
            Written::Source { source, max_bytes } => Self::Source {
                pattern: pattern(&source)?,
                max_bytes,
            },
        })
    }
}

impl ScopeObject for Entry {
    type Error = Error;

    fn deserialize<R: Runtime>(app: &AppHandle<R>, raw: tauri::utils::acl::Value) -> Result<Self> {
        Self::parse(raw.into(), |path| {
            let path = app.path().parse(path).map_err(|error| {
                Error::bad_argument(format!("scope path {path:?}: {error}"), "")
            })?;
            Ok(resolve_fixed_part(&path))
        })
    }
}

/// The pattern with links resolved in the folders before its first wildcard: what it is matched against is resolved too.
fn resolve_fixed_part(path: &Path) -> String {
    let wild = |part: &std::path::Component<'_>| {
        part.as_os_str()
            .to_string_lossy()
            .contains(['*', '?', '[', ']'])
    };
    let parts: Vec<_> = path.components().collect();
    let fixed = parts.iter().position(wild).unwrap_or(parts.len());
    let head: std::path::PathBuf = parts[..fixed].iter().collect();
    // A folder that is not there yet matches as it is written.
    let head = dunce::canonicalize(&head).unwrap_or(head);
    let head = Pattern::escape(&head.to_string_lossy());
    let tail: std::path::PathBuf = parts[fixed..].iter().collect();
    if tail.as_os_str().is_empty() {
        return head;
    }
    let slash = if head.ends_with(std::path::MAIN_SEPARATOR) {
        ""
    } else {
        std::path::MAIN_SEPARATOR_STR
    };
    format!("{head}{slash}{}", tail.to_string_lossy())
}

/// `*` stays within a folder; a leading dot is not special.
const PATHS: MatchOptions = MatchOptions {
    case_sensitive: cfg!(not(any(windows, target_os = "macos"))),
    require_literal_separator: true,
    require_literal_leading_dot: false,
};
/// Names and sources are not paths: `*` takes everything but what `{path}` would need, so `owner/*` is all of an owner.
const NAMES: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: false,
    require_literal_leading_dot: false,
};

/// Everything that holds for one call: the entries of the command's permissions, and those of the whole plugin.
#[derive(Debug, Default, Clone)]
pub struct Scope {
    /// Of a command that the app registered as its own: no permission stands before it, so none narrows it.
    open: bool,
    allow: Vec<Arc<Entry>>,
    deny: Vec<Arc<Entry>>,
}

impl<'de, R: Runtime> CommandArg<'de, R> for Scope {
    fn from_command(command: CommandItem<'de, R>) -> Result<Self, InvokeError> {
        if command.plugin.is_none() {
            return Ok(Self {
                open: true,
                ..Self::default()
            });
        }
        let item = || CommandItem { ..command };
        let wrong = |error: InvokeError| {
            let why = error.0.as_str().unwrap_or("cannot be read").to_string();
            InvokeError(serde_json::json!(Error::bad_argument(
                format!("scope: {why}"),
                ""
            )))
        };
        let own = CommandScope::<Entry>::from_command(item()).map_err(wrong)?;
        let global = GlobalScope::<Entry>::from_command(item()).map_err(wrong)?;
        let join = |a: &[Arc<Entry>], b: &[Arc<Entry>]| a.iter().chain(b).cloned().collect();
        Ok(Self {
            open: false,
            allow: join(own.allows(), global.allows()),
            deny: join(own.denies(), global.denies()),
        })
    }
}

impl Scope {
    /// A model of the store: allowed unless an entry denies it, or there are `{model}` entries and none matches.
    pub fn check_model(&self, name: &str) -> Result<()> {
        let matches = |entry: &Arc<Entry>| match &**entry {
            Entry::Model(pattern) => Some(pattern.matches_with(name, NAMES)),
            _ => None,
        };
        let denied = self.deny.iter().filter_map(matches).any(|hit| hit);
        let mut listed = self.allow.iter().filter_map(matches).peekable();
        if denied || (listed.peek().is_some() && !listed.any(|hit| hit)) {
            return Err(Error::forbidden(
                format!("model {name:?} is outside this page's scope"),
                "allow it with a { \"model\": ... } entry in the capability",
            ));
        }
        Ok(())
    }

    /// A file outside the store, by its canonical path: only what an entry allows and none denies.
    pub fn check_path(&self, path: &Path) -> Result<()> {
        if self.open {
            return Ok(());
        }
        let matches = |entry: &Arc<Entry>| match &**entry {
            Entry::Path(pattern) => pattern.matches_path_with(path, PATHS),
            _ => false,
        };
        if self.deny.iter().any(matches) || !self.allow.iter().any(matches) {
            return Err(Error::forbidden(
                format!("{} is outside this page's scope", path.display()),
                "allow it with a { \"path\": ... } entry in the capability",
            ));
        }
        Ok(())
    }

    /// A download. `Ok` holds the most bytes it may have. Without `{source}` entries: repositories yes, URLs no.
    pub fn check_source(&self, source: &str) -> Result<Option<u64>> {
        let refused = |why: &str| {
            Err(Error::forbidden(
                format!("download of {source:?}: {why}"),
                "allow it with a { \"source\": ... } entry in the capability",
            ))
        };
        let matches = |entry: &Arc<Entry>| match &**entry {
            Entry::Source { pattern, max_bytes } => {
                let hit = |text| pattern.matches_with(text, NAMES);
                Some((hit(source) || hit(repository(source)), *max_bytes))
            }
            _ => None,
        };
        if self.deny.iter().filter_map(matches).any(|(hit, _)| hit) {
            return refused("denied by this page's scope");
        }
        let allowed: Vec<_> = self.allow.iter().filter_map(matches).collect();
        if allowed.is_empty() {
            return if source.contains("://") {
                refused("a URL needs a scope")
            } else {
                Ok(None)
            };
        }
        let hits: Vec<_> = allowed.iter().filter(|(hit, _)| *hit).collect();
        if hits.is_empty() {
            return refused("outside this page's scope");
        }
        // Several entries: the widest counts, as each of them allows it.
        if hits.iter().any(|(_, max)| max.is_none()) {
            return Ok(None);
        }
        Ok(hits.iter().filter_map(|(_, max)| *max).max())
    }
}

/// `owner/name` of `owner/name@revision:file`: an entry for a repository holds for everything in it.
fn repository(source: &str) -> &str {
    if source.contains("://") {
        return source;
    }
    source.split(['@', ':']).next().unwrap_or(source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn scope(allow: Value, deny: Value) -> Scope {
        let parse = |list: Value| {
            let expand = |path: &str| Ok(resolve_fixed_part(Path::new(path)));
            let list = list.as_array().unwrap().clone();
            list.into_iter()
                .map(|raw| Arc::new(Entry::parse(raw, expand).unwrap()))
                .collect()
        };
        Scope {
            open: false,
            allow: parse(allow),
            deny: parse(deny),
        }
    }

    #[test]
    fn store_models_are_open_until_listed() {
        let open = scope(json!([]), json!([]));
        assert!(open.check_model("any").is_ok());
        let some = scope(
            json!([{ "model": "smol*" }, { "path": "/x/**" }]),
            json!([{ "model": "*360*" }]),
        );
        assert!(some.check_model("smollm2").is_ok());
        assert_eq!(some.check_model("qwen").unwrap_err().code, "forbidden");
        assert_eq!(some.check_model("smol-360m").unwrap_err().code, "forbidden");
    }

    #[test]
    fn paths_are_closed_until_allowed() {
        let none = scope(json!([{ "model": "*" }]), json!([]));
        assert!(none.check_path(Path::new("/srv/m.gguf")).is_err());
        let some = scope(
            json!([{ "path": "/nowhere/models/*.gguf" }, { "path": "/nowhere/deep/**" }]),
            json!([{ "path": "/nowhere/deep/secret/**" }]),
        );
        for (path, allowed) in [
            ("/nowhere/models/a.gguf", true),
            ("/nowhere/models/.hidden.gguf", true),
            ("/nowhere/models/sub/a.gguf", false),
            ("/nowhere/models/a.bin", false),
            ("/nowhere/deep/a/b/c.gguf", true),
            ("/nowhere/deep/secret/c.gguf", false),
            ("/nowhere/deeper", false),
        ] {
            assert_eq!(some.check_path(Path::new(path)).is_ok(), allowed, "{path}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_scope_through_a_link_still_matches() {
        let dir = std::env::temp_dir().join(format!("ingle-scope-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("real [1]")).unwrap();
        let link = dir.join("link");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(dir.join("real [1]"), &link).unwrap();
        std::fs::write(dir.join("real [1]/m.gguf"), "x").unwrap();
        let some = scope(
            json!([{ "path": format!("{}/*.gguf", link.display()) }]),
            json!([]),
        );
        let real = dunce::canonicalize(link.join("m.gguf")).unwrap();
        assert!(some.check_path(&real).is_ok());
        assert!(some.check_path(Path::new("/etc/passwd")).is_err());
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn sources() {
        let open = scope(json!([]), json!([]));
        assert_eq!(open.check_source("owner/name:Q4_0"), Ok(None));
        assert_eq!(
            open.check_source("http://127.0.0.1/x.gguf")
                .unwrap_err()
                .code,
            "forbidden"
        );
        let some = scope(
            json!([{ "source": "Qwen/*", "maxBytes": 5 }, { "source": "Qwen/Tiny*", "maxBytes": 9 },
                { "source": "https://models.example/**" }]),
            json!([{ "source": "*secret*" }]),
        );
        assert_eq!(some.check_source("Qwen/Big"), Ok(Some(5)));
        assert_eq!(some.check_source("Qwen/Tiny:Q8_0"), Ok(Some(9)));
        assert_eq!(
            some.check_source("https://models.example/a/b.gguf"),
            Ok(None)
        );
        assert!(some.check_source("https://other.example/a").is_err());
        assert!(some.check_source("Qwen/secret").is_err());
        let one = scope(
            json!([{ "source": "a/b" }]),
            json!([{ "source": "a/b:*.bin" }]),
        );
        assert!(one.check_source("a/b@main:Q4_0").is_ok());
        assert!(one.check_source("a/b:x.bin").is_err());
        assert!(one.check_source("a/bc").is_err());
    }

    #[test]
    fn wrong_entries_are_named() {
        for raw in [
            json!({}),
            json!({ "file": "x" }),
            json!({ "path": 3 }),
            json!({ "model": "[" }),
            json!({ "path": "a", "model": "b" }),
        ] {
            let error = Entry::parse(raw, |path| Ok(path.to_string())).unwrap_err();
            assert_eq!(error.code, "bad_argument");
            assert!(error.message.starts_with("scope"), "{}", error.message);
        }
    }
}
