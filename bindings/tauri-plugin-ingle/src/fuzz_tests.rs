//! No payload of a page panics the app or leaves a promise open, and every refusal has its three fields.

use super::ipc_harness::{all_permissions, golden, harness};
use serde_json::{Map, Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};
use tauri::ipc::InvokeBody;

/// xorshift: the same payloads in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n as u64) as usize
    }
    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

const WORDS: &[&str] = &[
    "",
    "a",
    "llama",
    "model",
    "messages",
    "prompt",
    "role",
    "user",
    "content",
    "\0",
    "\u{1f600}",
    "../../etc/passwd",
    "/etc/passwd",
    "$APPDATA/x",
    "$NOTHING/x",
    "__CHANNEL__:7",
    "__CHANNEL__:x",
    "s-0",
    "owner/name:Q4_0",
    "http://",
    "file:///",
    "con",
    "{{ messages[0] }}",
    "top-k",
    "stop",
    "mean",
    "*",
    "[",
];
const NUMBERS: &[f64] = &[
    0.0,
    1.0,
    -1.0,
    3.0,
    0.5,
    250.0,
    -2_147_483_649.0,
    4_294_967_296.0,
    1e15,
    1e308,
];

const SIMPLE: &[&str] = &["load_llm_model", "generate_text"];

/// Any JSON, not too deep.
fn anything(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0 => Value::Null,
        1 => json!(random.below(2) == 0),
        2 => json!(*random.of(NUMBERS)),
        3 => json!(*random.of(&[0_i64, 1, -1, 7, i64::MAX, i64::MIN])),
        4 => json!(random.of(WORDS)),
        5 => json!("x".repeat(random.below(5000))),
        6 => (0..random.below(4))
            .map(|_| anything(random, depth - 1))
            .collect(),
        _ => {
            let mut map = Map::new();
            for _ in 0..random.below(4) {
                map.insert(random.of(WORDS).to_string(), anything(random, depth - 1));
            }
            Value::Object(map)
        }
    }
}

/// A valid call of every command.
fn calls() -> Vec<(&'static str, Value)> {
    let messages = json!([{ "role": "user", "content": "Hi" }]);
    let channel = "__CHANNEL__:7";
    vec![
        (
            "load_model",
            json!({ "model": golden("llama.gguf"), "options": { "threads": 1 }, "onEvent": channel }),
        ),
        ("unload_model", json!({ "model": "llama" })),
        ("list_models", json!({})),
        ("model_info", json!({ "model": golden("qwen3.gguf") })),
        (
            "generate",
            json!({ "request": { "model": golden("llama.gguf"), "prompt": "Once", "maxTokens": 3,
            "temperature": 0.5, "topP": 0.9, "topK": 4, "seed": 1, "stop": ["x"], "options": { "min-p": 0.1 } },
            "onEvent": channel }),
        ),
        (
            "chat",
            json!({ "request": { "model": golden("llama.gguf"), "messages": messages, "maxTokens": 3, "tools": [],
            "responseFormat": { "type": "text" } }, "onEvent": channel }),
        ),
        ("cancel", json!({ "stream": "s-0" })),
        (
            "attach",
            json!({ "stream": "s-0", "after": 0, "onEvent": channel }),
        ),
        ("list_streams", json!({})),
        (
            "embed",
            json!({ "request": { "model": golden("llama.gguf"), "input": ["a"], "pooling": "mean",
            "normalize": true, "dimensions": 4 } }),
        ),
        (
            "tokenize",
            json!({ "model": golden("llama.gguf"), "text": "Hi", "addSpecial": true, "parseSpecial": false }),
        ),
        (
            "detokenize",
            json!({ "model": golden("llama.gguf"), "tokens": [1, 2, 3], "spellSpecial": true }),
        ),
        (
            "apply_template",
            json!({ "request": { "model": golden("llama.gguf"), "messages": messages, "tools": [],
            "addGenerationPrompt": true, "variables": { "x": 1 } } }),
        ),
        (
            "download_model",
            json!({ "source": "owner/name", "onEvent": channel }),
        ),
        ("cancel_download", json!({ "download": "d-0" })),
        ("list_downloads", json!({})),
        ("remove_model", json!({ "model": "tiny" })),
        (
            "verify_model",
            json!({ "model": "tiny", "onEvent": channel }),
        ),
        ("devices", json!({})),
        (
            "save_session",
            json!({ "model": golden("llama.gguf"), "name": "one" }),
        ),
        (
            "load_session",
            json!({ "model": golden("llama.gguf"), "name": "one" }),
        ),
        (
            "load_llm_model",
            json!({ "modelPath": golden("llama.gguf") }),
        ),
        ("generate_text", json!({ "prompt": "Hi", "maxTokens": 2 })),
    ]
}

/// Replaces, drops or adds something somewhere.
fn spoil(random: &mut Random, value: &mut Value) {
    let down = random.below(3) > 0;
    match value {
        Value::Object(map) if down && !map.is_empty() => {
            let at = random.below(map.len());
            let key = map.keys().nth(at).unwrap().clone();
            match random.below(5) {
                0 => drop(map.remove(&key)),
                1 => drop(map.insert(random.of(WORDS).to_string(), anything(random, 2))),
                _ => spoil(random, map.get_mut(&key).unwrap()),
            }
        }
        Value::Array(list) if down && !list.is_empty() => {
            let at = random.below(list.len());
            spoil(random, &mut list[at]);
        }
        other => *other = anything(random, 3),
    }
}

fn run(rounds: usize) {
    let mut permissions = all_permissions();
    permissions
        .as_array_mut()
        .unwrap()
        .push(json!("ingle:allow-list-models"));
    let harness = harness(permissions, json!({ "offline": true, "compat": true }));
    harness.listen_to_anything();
    std::fs::copy(golden("llama.gguf"), harness.store().join("tiny.gguf")).unwrap();
    let calls = calls();
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut refused, mut done) = (0, 0);
    for round in 0..rounds {
        let (command, valid) = random.of(&calls);
        let mut args = valid.clone();
        for _ in 0..random.below(3) {
            spoil(&mut random, &mut args);
        }
        let body = match random.below(50) {
            0 => InvokeBody::Raw(args.to_string().into_bytes()),
            _ => InvokeBody::Json(args.clone()),
        };
        match harness.send(command, body) {
            Ok(_) => done += 1,
            // The simple names fail with texts, but for arguments that cannot be read.
            Err(error) if error.is_string() => {
                assert!(
                    SIMPLE.contains(command),
                    "{round} {command} {args}: {error}"
                );
            }
            Err(error) => {
                refused += 1;
                for field in ["code", "message", "hint"] {
                    assert!(
                        error[field].is_string(),
                        "{round} {command} {args}: {error}"
                    );
                }
                assert_ne!(
                    error["code"], "internal",
                    "{round} {command} {args}: {error}"
                );
                assert_ne!(error["message"], "", "{round} {command} {args}: {error}");
            }
        }
    }
    assert!(
        done > rounds / 5 && refused > rounds / 5,
        "{done} done, {refused} refused"
    );
}

#[test]
fn payloads_do_not_panic() {
    let rounds = std::env::var("INGLE_FUZZ_ROUNDS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(4000);
    let panics = Arc::new(AtomicUsize::new(0));
    let count = panics.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // One test of the timer panics on purpose.
        if !info.to_string().contains("on purpose") {
            count.fetch_add(1, Ordering::SeqCst);
        }
        before(info);
    }));
    let (tx, rx) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        run(rounds);
        tx.send(()).unwrap();
    });
    let ended = rx.recv_timeout(Duration::from_secs(600));
    assert!(
        !matches!(ended, Err(mpsc::RecvTimeoutError::Timeout)),
        "a promise was left open"
    );
    thread.join().unwrap();
    assert_eq!(panics.load(Ordering::SeqCst), 0);
}
