//! The same commands with the engine in a child process: `build/ingle` (or `INGLE_BIN`) as the sidecar.

use crate::ipc_harness::*;
use serde_json::{Value, json};
use std::{
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tauri::ipc::InvokeResponseBody;

/// A sidecar under a name of its own, so that a test finds its child among those of the others.
struct Sidecar {
    path: PathBuf,
}

impl Sidecar {
    fn new() -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let program = std::env::var_os("INGLE_BIN")
            .map_or_else(|| top.join("build/ingle"), PathBuf::from)
            .canonicalize()
            .expect("build/ingle is missing: run make");
        let path = std::env::temp_dir().join(crate::streams::new_id("ingle-sidecar").unwrap());
        symlink(program, &path).unwrap();
        Self { path }
    }

    fn harness(&self) -> Harness {
        harness(
            all_permissions(),
            json!({ "isolated": { "sidecar": self.path } }),
        )
    }

    fn children(&self) -> Vec<String> {
        let name = self.path.to_string_lossy().into_owned();
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter(|process| {
                let line = std::fs::read_to_string(process.path().join("cmdline"));
                line.is_ok_and(|line| line.split('\0').next() == Some(&*name))
            })
            .map(|process| process.file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn kill(&self) {
        let children = self.children();
        assert_eq!(children.len(), 1);
        let killed = std::process::Command::new("kill")
            .args(["-KILL", &children[0]])
            .status();
        assert!(killed.unwrap().success());
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[test]
fn commands_answer_as_in_this_process() {
    let sidecar = Sidecar::new();
    let (there, here) = (sidecar.harness(), everything());
    let both = |command: &str, args: Value| {
        let answers = (
            there.ok(command, args.clone()),
            here.ok(command, args.clone()),
        );
        assert_eq!(answers.0, answers.1, "{command} {args}");
        answers.0
    };
    assert!(sidecar.children().is_empty()); // started when it is needed
    both("devices", json!({}));
    let load = json!({ "model": golden("llama.gguf"), "options": { "context": 512 } });
    let (loaded, local) = (
        there.ok("load_model", load.clone()),
        here.ok("load_model", load),
    );
    assert_eq!(loaded["id"], local["id"]);
    assert_eq!(loaded["device"], local["device"]);
    assert_eq!(loaded["info"]["memory"], local["info"]["memory"]);
    let ids = both("tokenize", json!({ "text": "hé 🙂" }));
    both("detokenize", json!({ "tokens": ids }));
    both(
        "apply_template",
        json!({ "request": { "messages": hello() } }),
    );
    let request = json!({ "messages": hello(), "maxTokens": 30, "seed": 4, "options": { "ignore-eos": true } });
    let texts: Vec<Value> = [&there, &here]
        .map(|harness| {
            let (_, id) = harness.chat(request.clone());
            let list = harness.finished(id);
            let done = &list.last().unwrap()["data"];
            json!([text(&list), done["finish"], done["usage"]])
        })
        .into();
    assert_eq!(texts[0], texts[1]);
    let embed = json!({ "request": { "input": ["a cat", "a dog"], "dimensions": 6 } });
    let raw = |harness: &Harness| match harness.raw(&harness.main, "embed", embed.clone()) {
        Ok(InvokeResponseBody::Raw(bytes)) => bytes,
        other => panic!("{other:?}"),
    };
    assert_eq!(raw(&there), raw(&here));
}

#[test]
fn a_crash_is_an_error_of_the_stream_and_the_next_request_works() {
    let sidecar = Sidecar::new();
    let harness = sidecar.harness();
    load_long(&harness);
    let (_, id) = harness.chat(long());
    harness.wait(id, |list| list.len() > 5);
    sidecar.kill();
    let list = harness.finished(id);
    let error = &list.last().unwrap()["data"];
    assert_eq!(error["code"], "crashed");
    assert!(error["message"].as_str().unwrap().contains("SIGKILL"));
    assert_eq!(error["seq"], list.len() as u64);
    let (_, id) = harness.chat(json!({ "messages": hello(), "maxTokens": 3 }));
    assert_eq!(harness.finished(id).last().unwrap()["event"], "done");
}

#[test]
fn cancelling_and_unloading() {
    let sidecar = Sidecar::new();
    let harness = sidecar.harness();
    load_long(&harness);
    let (stream, id) = harness.chat(long());
    harness.wait(id, |list| list.len() > 5);
    harness.ok("cancel", json!({ "stream": stream }));
    assert_eq!(
        harness.finished(id).last().unwrap()["data"]["finish"],
        "cancelled"
    );
    let (_, id) = harness.chat(long());
    harness.wait(id, |list| list.len() > 5);
    harness.ok("unload_model", json!({ "model": "llama" }));
    assert_eq!(
        harness.finished(id).last().unwrap()["data"]["finish"],
        "cancelled"
    );
}

#[test]
fn the_child_ends_with_the_app() {
    let sidecar = Sidecar::new();
    let harness = sidecar.harness();
    harness.load("llama.gguf");
    assert_eq!(sidecar.children().len(), 1);
    drop(harness);
    let end = Instant::now() + Duration::from_secs(5);
    while !sidecar.children().is_empty() {
        assert!(Instant::now() < end, "the child outlives the app");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_sidecar_that_is_not_there() {
    let harness = harness(
        all_permissions(),
        json!({ "isolated": { "sidecar": "no-such-sidecar" } }),
    );
    let message = harness.err("not_found", "devices", json!({}));
    assert!(message.contains("no-such-sidecar"), "{message}");
}
