//! Models for tests: tiny ones with random weights from the repository, and SmolLM2 from the user's store if it is there.
#![allow(dead_code)]

use std::path::PathBuf;

use ingle::{Engine, Model, Options};

/// A tiny model of the repository.
pub fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../tests/golden/gguf").join(format!("{name}.gguf"))
}

pub fn tiny() -> Model {
    Model::open(golden("llama")).expect("tests run in a checkout")
}

pub fn tiny_engine() -> Engine {
    Engine::new(&tiny()).unwrap()
}

/// SmolLM2 where `tools/get_model.py` puts it, or `None`.
pub fn smollm2() -> Option<Model> {
    let store = std::env::var_os("INGLE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share/ingle")))?;
    let path = store.join("models/smollm2.gguf");
    if !path.exists() {
        eprintln!("skipped: no {}; run tools/get_model.py", path.display());
        return None;
    }
    Some(Model::open(path).unwrap())
}

/// A model that takes long: SmolLM2, or the largest tiny one with a context that it was not trained for.
pub fn slow_engine() -> Engine {
    let mut options = Options::new();
    options.set("context", 4096).unwrap().set("threads", 1).unwrap();
    let model = smollm2().unwrap_or_else(|| Model::open(golden("llama-256")).unwrap());
    Engine::with_options(&model, &options).unwrap()
}

pub fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ingle-test-{}-{name}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
