//! Conversations kept under names in the app's data folder.

use crate::{Error, Result};
use std::path::{Path, PathBuf};

const MAX_NAME: usize = 64;
/// Device names of Windows, which are not files in any folder.
const RESERVED: &[&str] = &["con", "prn", "aux", "nul"];

/// The file of a conversation. A page chooses the name, so it can never be a path.
pub(crate) fn file(folder: &Path, name: &str) -> Result<PathBuf> {
    let wrong = |why: &str| {
        Err(Error::bad_argument(
            format!("session name {name:?}: {why}"),
            "use 1 to 64 of the characters A-Z a-z 0-9 . _ -",
        ))
    };
    if name.is_empty() || name.len() > MAX_NAME {
        return wrong("too short or too long");
    }
    if !name
        .bytes()
        .all(|c| c.is_ascii_alphanumeric() || b"._-".contains(&c))
    {
        return wrong("a character is not allowed");
    }
    if name.starts_with('.') || name.ends_with('.') {
        return wrong("a dot at its beginning or end");
    }
    let stem = name.split('.').next().unwrap_or(name).to_ascii_lowercase();
    let numbered = |prefix| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest: &str| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit())
    };
    if RESERVED.contains(&stem.as_str()) || numbered("com") || numbered("lpt") {
        return wrong("reserved by Windows");
    }
    Ok(folder.join(format!("{name}.session")))
}

/// Writes beside the file first: a session is whole or not there.
pub(crate) fn save(file: &Path, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let failed = |what: &str, error: &std::io::Error| {
        Error::io(&format!("{what} {}", file.display()), error)
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(folder).map_err(|error| failed("folder of", &error))?;
    let part = folder.join(format!("{}.part", crate::streams::new_id("save")?));
    let written = write(&part)
        .and_then(|()| std::fs::rename(&part, file).map_err(|error| failed("write", &error)));
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let folder = Path::new("sessions");
        for name in [
            "a",
            "Chat-1",
            "2024.01.02_x",
            &"x".repeat(64),
            "common",
            "com10",
        ] {
            let path = file(folder, name).unwrap();
            assert_eq!(path.parent(), Some(folder), "{name}");
        }
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "C:x",
            ".hidden",
            "end.",
            "con",
            "NUL.txt",
            "COM1",
            "lpt9.a",
            "a b",
            "ä",
            "a\0",
            &"x".repeat(65),
        ] {
            assert_eq!(
                file(folder, name).unwrap_err().code,
                "bad_argument",
                "{name:?}"
            );
        }
    }

    #[test]
    fn a_failed_save_leaves_the_old_one() {
        let folder = std::env::temp_dir().join(crate::streams::new_id("ingle-test").unwrap());
        let path = file(&folder, "a").unwrap();
        let write = |text: &'static str| {
            move |path: &Path| {
                std::fs::write(path, text).map_err(|error| Error::io("write", &error))
            }
        };
        save(&path, write("one")).unwrap();
        let fail = |path: &Path| {
            std::fs::write(path, "half").unwrap();
            Err(Error::new("busy", "busy", ""))
        };
        assert_eq!(save(&path, fail).unwrap_err().code, "busy");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        save(&path, write("two")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
