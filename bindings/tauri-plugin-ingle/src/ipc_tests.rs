//! Commands as a page calls them, on a tiny real model.

use super::ipc_harness::*;
use crate::{Builder, IngleExt, models::StreamEvent, timer::lock};
use serde_json::{Value, json};
use std::{
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tauri::{
    WebviewWindowBuilder,
    ipc::InvokeResponseBody,
    test::{mock_builder, mock_context, noop_assets},
};

#[test]
fn a_chat_from_load_to_done() {
    let harness = everything();
    let (id, channel) = harness.channel();
    let loaded = harness.ok(
        "load_model",
        json!({ "model": golden("llama.gguf"), "options": { "threads": 1 }, "onEvent": channel }),
    );
    assert_eq!(loaded["name"], "llama");
    assert_eq!(loaded["id"], "llama");
    assert_eq!(loaded["device"], "cpu");
    assert_eq!(loaded["info"]["family"], "llama");
    assert!(loaded["loadSeconds"].as_f64().unwrap() > 0.0);
    assert_eq!(
        harness.messages(id).last().unwrap(),
        &json!({ "event": "done" })
    );
    let again = harness.ok("load_model", json!({ "model": "llama" }));
    assert_eq!(again["loadSeconds"], 0.0);

    let request = json!({ "messages": hello(), "maxTokens": 20, "seed": 1, "options": { "ignore-eos": true } });
    let (stream, id) = harness.chat(request.clone());
    let list = harness.finished(id);
    assert_eq!(list[0]["event"], "started");
    assert_eq!(list[0]["data"]["stream"], stream.as_str());
    assert_eq!(list[0]["data"]["model"], "llama");
    for (i, event) in list.iter().enumerate() {
        assert_eq!(event["data"]["seq"], i as u64 + 1, "{list:?}");
    }
    let done = &list.last().unwrap()["data"];
    assert_eq!(done["finish"], "length");
    assert_eq!(done["usage"]["outputTokens"], 20);
    assert!(done["timings"]["tokensPerSecond"].as_f64().unwrap() > 0.0);
    let tokens: u64 = list
        .iter()
        .filter_map(|event| event["data"]["tokens"].as_u64())
        .sum();
    assert!((1..=20).contains(&tokens));
    // The same seed, the same text, by the other command too.
    let prompt = harness.ok(
        "apply_template",
        json!({ "request": { "messages": hello() } }),
    );
    assert!(prompt.as_str().unwrap().contains("Hello"));
    let (_, id) = harness.chat(request);
    assert_eq!(text(&harness.finished(id)), text(&list));
    let streams = harness.ok("list_streams", json!({}));
    assert_eq!(streams.as_array().unwrap().len(), 2);
    assert_eq!(streams[0]["running"], false);
    assert_eq!(streams[0]["label"], "main");
}

#[test]
fn models_are_listed_and_unloaded() {
    let harness = everything();
    harness.err("not_loaded", "model_info", json!({}));
    harness.load("llama.gguf");
    let info = harness.ok("model_info", json!({}));
    assert_eq!(info["family"], "llama");
    let rows = harness.ok("list_models", json!({}));
    assert_eq!(rows[0]["name"], "llama");
    assert_eq!(rows[0]["loaded"], true);
    harness.ok("unload_model", json!({ "model": "llama" }));
    harness.err("not_found", "unload_model", json!({ "model": "llama" }));
    harness.err(
        "not_loaded",
        "unload_model",
        json!({ "model": golden("llama.gguf") }),
    );
    assert_eq!(harness.ok("list_models", json!({})), json!([]));
    // Asked about, not loaded.
    let info = harness.ok("model_info", json!({ "model": golden("qwen3.gguf") }));
    assert_eq!(info["family"], "qwen3");
    assert_eq!(harness.ok("list_models", json!({})), json!([]));
}

#[test]
fn the_store_and_models_on_demand() {
    let harness = harness(json!(["ingle:default", "ingle:allow-manage"]), json!({}));
    let models = harness.folder.join("home/models");
    std::fs::copy(golden("llama.gguf"), models.join("tiny.gguf")).unwrap();
    let rows = harness.ok("list_models", json!({}));
    assert_eq!(rows[0]["name"], "tiny");
    assert_eq!(rows[0]["loaded"], false);
    assert_eq!(rows[0]["complete"], true);
    let (_, id) = harness.chat(json!({ "model": "tiny", "messages": hello(), "maxTokens": 3 }));
    let list = harness.finished(id);
    assert_eq!(list.last().unwrap()["event"], "done", "{list:?}");
    assert_eq!(list[0]["data"]["model"], "tiny");
    assert_eq!(harness.ok("list_models", json!({}))[0]["loaded"], true);
    harness.err("unsupported", "verify_model", json!({ "model": "tiny" }));
    harness.ok("remove_model", json!({ "model": "tiny" }));
    assert_eq!(harness.ok("list_models", json!({})), json!([]));
    assert!(!models.join("tiny.gguf").exists());
    harness.err("not_found", "load_model", json!({ "model": "tiny" }));
    harness.err(
        "not_found",
        "remove_model",
        json!({ "model": "../../../etc/passwd" }),
    );
}

#[test]
fn the_configured_model_needs_no_scope() {
    let config = json!({ "model": golden("llama.gguf") });
    let harness = harness(json!(["ingle:default"]), config);
    let (_, id) = harness.chat(json!({ "messages": hello(), "maxTokens": 3 }));
    assert_eq!(harness.finished(id).last().unwrap()["event"], "done");
    harness.err(
        "forbidden",
        "load_model",
        json!({ "model": golden("qwen3.gguf") }),
    );
    harness.err("forbidden", "load_model", json!({ "model": "/etc/passwd" }));
    harness.err(
        "forbidden",
        "load_model",
        json!({ "model": "/no/such/file" }),
    );
    let sneaky = format!(
        "{}/../gguf/qwen3.gguf",
        Path::new(&golden("llama.gguf")).parent().unwrap().display()
    );
    harness.err("forbidden", "load_model", json!({ "model": sneaky }));
}

#[test]
fn scopes_hold() {
    let folder = Path::new(&golden("llama.gguf"))
        .parent()
        .unwrap()
        .display()
        .to_string();
    let permissions = json!([
        { "identifier": "ingle:default", "allow": [{ "path": format!("{folder}/l*") }, { "model": "open*" }],
          "deny": [{ "path": format!("{folder}/lfm2.gguf") }] },
        { "identifier": "ingle:allow-download", "allow": [{ "source": "http://127.0.0.1:1/*", "maxBytes": 9 }] }
    ]);
    let harness = harness(permissions, json!({}));
    let models = harness.folder.join("home/models");
    std::fs::copy(golden("llama.gguf"), models.join("open.gguf")).unwrap();
    std::fs::copy(golden("llama.gguf"), models.join("shut.gguf")).unwrap();
    harness.load("llama.gguf");
    harness.ok(
        "load_model",
        json!({ "model": format!("{folder}/../gguf/llama.gguf") }),
    );
    harness.err(
        "forbidden",
        "load_model",
        json!({ "model": golden("lfm2.gguf") }),
    );
    harness.err(
        "forbidden",
        "load_model",
        json!({ "model": golden("qwen3.gguf") }),
    );
    harness.ok("load_model", json!({ "model": "open" }));
    harness.err("forbidden", "load_model", json!({ "model": "shut" }));
    // A draft model is a model too.
    harness.err(
        "forbidden",
        "load_model",
        json!({ "model": "open", "options": { "draft-model": "shut" } }),
    );
    // Not by its path either, and a link does not help.
    harness.err(
        "forbidden",
        "load_model",
        json!({ "model": models.join("shut.gguf") }),
    );
    let rows = harness.ok("list_models", json!({}));
    let names: Vec<_> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["open", "llama"]);
    let (_, channel) = harness.channel();
    harness.err(
        "forbidden",
        "download_model",
        json!({ "source": "http://127.0.0.1:2/x.gguf", "onEvent": channel }),
    );
    harness.err(
        "forbidden",
        "download_model",
        json!({ "source": "owner/name", "onEvent": channel }),
    );
}

#[test]
fn permissions_hold() {
    let harness = harness(json!(["ingle:allow-devices"]), json!({}));
    assert_eq!(harness.ok("devices", json!({}))[0]["kind"], "cpu");
    for command in [
        "chat",
        "list_models",
        "download_model",
        "remove_model",
        "no_such",
    ] {
        let error = harness.call(command, json!({})).unwrap_err();
        assert!(
            error
                .as_str()
                .is_some_and(|text| text.contains("not allowed")),
            "{error}"
        );
    }
    // What lets one use models lets nobody download or delete.
    let harness = self::harness(json!(["ingle:default"]), json!({}));
    for command in [
        "download_model",
        "cancel_download",
        "list_downloads",
        "remove_model",
        "verify_model",
    ] {
        let error = harness.call(command, json!({})).unwrap_err();
        assert!(
            error
                .as_str()
                .is_some_and(|text| text.contains("not allowed")),
            "{error}"
        );
    }
    // A window that no capability names.
    let other = WebviewWindowBuilder::new(&harness.app, "stranger", Default::default())
        .build()
        .unwrap();
    assert!(harness.raw(&other, "devices", json!({})).is_err());
}

#[test]
fn a_reload_loses_nothing() {
    let harness = everything();
    load_long(&harness);
    let (stream, first) = harness.chat(long());
    let seen = harness.wait(first, |list| list.len() >= 4);
    let last = seen.last().unwrap()["data"]["seq"].as_u64().unwrap();
    // What `on_page_load` does; the mock runtime loads no pages.
    harness.app.ingle().streams().detach_webview("main");
    let count = harness.messages(first).len();
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(harness.messages(first).len(), count);
    let rows = harness.ok("list_streams", json!({}));
    assert_eq!(rows[0]["stream"], stream.as_str());
    assert_eq!(rows[0]["running"], true);
    let (second, channel) = harness.channel();
    let answer = harness.ok(
        "attach",
        json!({ "stream": stream, "after": last, "onEvent": channel }),
    );
    assert_eq!(answer, json!({ "stream": stream, "running": true }));
    harness.wait(second, |list| list.len() >= 3);
    harness.ok("cancel", json!({ "stream": stream }));
    let rest = harness.finished(second);
    assert_eq!(rest.last().unwrap()["data"]["finish"], "cancelled");
    // Both pages together have what a third one gets now.
    let (third, channel) = harness.channel();
    let answer = harness.ok("attach", json!({ "stream": stream, "onEvent": channel }));
    assert_eq!(answer["running"], false);
    let whole = harness.finished(third);
    let seen: Vec<_> = seen
        .into_iter()
        .filter(|event| event["data"]["seq"].as_u64().unwrap() <= last)
        .collect();
    assert_eq!(text(&seen) + &text(&rest), text(&whole));
    let tokens = |list: &[Value]| -> u64 {
        list.iter()
            .filter_map(|event| event["data"]["tokens"].as_u64())
            .sum()
    };
    assert_eq!(tokens(&seen) + tokens(&rest), tokens(&whole));
    harness.err(
        "not_found",
        "attach",
        json!({ "stream": "s-0", "onEvent": channel }),
    );
}

#[test]
fn streams_belong_to_their_window() {
    let harness = everything();
    load_long(&harness);
    let (stream, id) = harness.chat(long());
    let other = WebviewWindowBuilder::new(&harness.app, "second", Default::default())
        .build()
        .unwrap();
    let (_, channel) = harness.channel();
    let error = harness
        .raw(
            &other,
            "attach",
            json!({ "stream": stream, "onEvent": channel }),
        )
        .unwrap_err();
    assert_eq!(error["code"], "not_found");
    harness
        .raw(&other, "cancel", json!({ "stream": stream }))
        .unwrap();
    let rows: Value = harness
        .raw(&other, "list_streams", json!({}))
        .unwrap()
        .deserialize()
        .unwrap();
    assert_eq!(rows, json!([]));
    let count = harness.messages(id).len();
    harness.wait(id, |list| list.len() > count + 2);
    // The window goes, the next request gets its turn.
    let (_, queued) = harness.chat(json!({ "messages": hello(), "maxTokens": 1 }));
    harness.app.ingle().streams().close_window("main");
    let (_, next) = harness.chat(json!({ "messages": hello(), "maxTokens": 1 }));
    assert_eq!(harness.finished(next).last().unwrap()["event"], "done");
    assert!(
        !harness
            .messages(queued)
            .iter()
            .any(|event| event["event"] == "text")
    );
}

#[test]
fn cancelled_before_and_while_it_runs() {
    let harness = everything();
    load_long(&harness);
    let (first, id) = harness.chat(long());
    let (queued, waiting) = harness.chat(long());
    harness.wait(id, |list| text(list).len() > 10);
    harness.ok("cancel", json!({ "stream": queued }));
    let start = Instant::now();
    harness.ok("cancel", json!({ "stream": first }));
    let list = harness.finished(id);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert_eq!(list.last().unwrap()["data"]["finish"], "cancelled");
    assert_eq!(
        harness.finished(waiting).last().unwrap()["data"]["finish"],
        "cancelled"
    );
    harness.ok("cancel", json!({ "stream": first }));
    harness.ok("cancel", json!({ "stream": "none" }));
    // Unloading ends what runs.
    let (_, id) = harness.chat(long());
    harness.wait(id, |list| text(list).len() > 10);
    harness.ok("unload_model", json!({ "model": "llama" }));
    assert_eq!(
        harness.finished(id).last().unwrap()["data"]["finish"],
        "cancelled"
    );
}

#[test]
fn embeddings_are_bytes() {
    let harness = everything();
    harness.load("qwen3.gguf");
    let body = harness
        .raw(
            &harness.main,
            "embed",
            json!({ "request": { "input": ["one", "two"], "normalize": true } }),
        )
        .unwrap();
    let InvokeResponseBody::Raw(bytes) = body else {
        panic!("not raw")
    };
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let width = word(4) as usize;
    assert_eq!(word(0), 2);
    assert_eq!(bytes.len(), 8 + 2 * width * 4);
    let row = |i: usize| -> Vec<f32> {
        (0..width)
            .map(|k| f32::from_bits(word(8 + (i * width + k) * 4)))
            .collect()
    };
    let norm = |row: &[f32]| row.iter().map(|x| x * x).sum::<f32>();
    assert!((norm(&row(0)) - 1.0).abs() < 1e-4 && (norm(&row(1)) - 1.0).abs() < 1e-4);
    assert_ne!(row(0), row(1));
    harness.err("bad_request", "embed", json!({ "request": { "input": 3 } }));
    harness.err(
        "bad_request",
        "embed",
        json!({ "request": { "input": "a", "pooling": "max" } }),
    );
}

#[test]
fn tokens_and_text() {
    let harness = everything();
    harness.load("llama.gguf");
    let ids = harness.ok("tokenize", json!({ "text": "Hello", "addSpecial": false }));
    assert!(!ids.as_array().unwrap().is_empty());
    assert_eq!(harness.ok("detokenize", json!({ "tokens": ids })), "Hello");
    harness.err(
        "bad_argument",
        "detokenize",
        json!({ "tokens": [99_999_999] }),
    );
    harness.err("bad_request", "detokenize", json!({ "tokens": ["a"] }));
}

#[test]
fn sessions_keep_the_conversation() {
    let harness = everything();
    harness.load("llama.gguf");
    let request = json!({ "messages": hello(), "maxTokens": 8, "seed": 3, "options": { "ignore-eos": true } });
    let cached = |id: u32| {
        harness.finished(id).last().unwrap()["data"]["usage"]["cachedTokens"]
            .as_u64()
            .unwrap()
    };
    let (_, id) = harness.chat(request.clone());
    assert_eq!(cached(id), 0);
    harness.ok("save_session", json!({ "name": "one" }));
    harness.ok("unload_model", json!({ "model": "llama" }));
    harness.load("llama.gguf");
    harness.ok("load_session", json!({ "name": "one" }));
    let (_, id) = harness.chat(request);
    assert!(cached(id) > 0);
    harness.err("not_found", "load_session", json!({ "name": "two" }));
    harness.err("bad_argument", "save_session", json!({ "name": "../one" }));
    assert!(
        harness
            .folder
            .join("app/ingle/sessions/one.session")
            .exists()
    );
}

#[test]
fn idle_models_come_back_with_their_conversation() {
    let builder = Builder::new().idle_unload(Some(Duration::from_millis(60)));
    let harness = harness_with(all_permissions(), json!({}), builder);
    harness.load("llama.gguf");
    let request = json!({ "messages": hello(), "maxTokens": 4, "seed": 3, "options": { "ignore-eos": true } });
    let (_, id) = harness.chat(request.clone());
    harness.finished(id);
    let slot = harness.app.ingle().models().find("llama").unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    while slot.try_awake().is_some() {
        assert!(Instant::now() < end, "still awake");
        std::thread::sleep(Duration::from_millis(100));
    }
    let (_, id) = harness.chat(request);
    let list = harness.finished(id);
    assert!(
        list.last().unwrap()["data"]["usage"]["cachedTokens"]
            .as_u64()
            .unwrap()
            > 0,
        "{list:?}"
    );
}

#[test]
fn failures_within_a_stream_are_its_last_message() {
    let harness = everything();
    harness.load("llama.gguf");
    for request in [
        json!({ "messages": [{ "role": 3 }] }),
        json!({ "messages": hello(), "temperature": -1 }),
        json!({ "messages": hello(), "maxTokens": "many" }),
    ] {
        let (_, channel) = harness.channel();
        let (stream, id) = harness.chat(request.clone());
        let list = harness.finished(id);
        let end = &list.last().unwrap();
        assert_eq!(end["event"], "error", "{request}: {list:?}");
        assert_eq!(end["data"]["code"], "bad_request", "{list:?}");
        assert!(
            end["data"]["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
        assert_eq!(
            harness.ok("attach", json!({ "stream": stream, "onEvent": channel }))["running"],
            false
        );
    }
    let broken = harness.folder.join("home/models/broken.gguf");
    let half = std::fs::read(golden("llama.gguf")).unwrap();
    std::fs::write(&broken, &half[..half.len() / 2]).unwrap();
    let (_, id) = harness.chat(json!({ "model": "broken", "messages": hello() }));
    assert_eq!(
        harness.finished(id).last().unwrap()["data"]["code"],
        "bad_file"
    );
    harness.err("bad_file", "load_model", json!({ "model": "broken" }));
}

#[test]
fn mistakes_are_named() {
    let harness = everything();
    harness.load("llama.gguf");
    let (_, channel) = harness.channel();
    let message = harness.err("bad_request", "load_model", json!({}));
    assert!(message.contains("argument model: is missing"), "{message}");
    harness.err("bad_request", "load_model", json!({ "model": 3 }));
    harness.err(
        "bad_argument",
        "load_model",
        json!({ "model": golden("llama.gguf"), "options": { "threds": 1 } }),
    );
    harness.err("bad_argument", "load_model", json!({ "model": "" }));
    harness.err(
        "bad_request",
        "chat",
        json!({ "request": { "messages": hello() } }),
    );
    harness.err(
        "bad_request",
        "chat",
        json!({ "request": { "messages": hello() }, "onEvent": "x" }),
    );
    harness.err(
        "bad_request",
        "chat",
        json!({ "request": { "messages": hello() }, "onEvent": 7 }),
    );
    harness.err(
        "bad_request",
        "generate",
        json!({ "request": { "messages": hello() }, "onEvent": channel }),
    );
    let options =
        json!({ "request": { "messages": hello(), "options": { "topk": 1 } }, "onEvent": channel });
    let message = harness.err("bad_request", "chat", options);
    assert!(message.contains("topk"), "{message}");
    let options = json!({ "request": { "messages": hello(), "options": { "threads": 1 } }, "onEvent": channel });
    harness.err("bad_request", "chat", options);
}

#[test]
fn the_report_and_the_simple_names() {
    let harness = everything();
    harness.load("llama.gguf");
    assert!(harness.ok("doctor", json!({}))["devices"].is_array());
    assert!(harness.ok("doctor", json!({ "model": "llama" }))["model"].is_object());
    let error = harness
        .call("generate_text", json!({ "prompt": "x", "maxTokens": 2 }))
        .unwrap_err();
    assert!(error.as_str().unwrap().contains("plugins.ingle.compat"));

    let harness = self::harness(all_permissions(), json!({ "compat": true }));
    use tauri::Listener;
    let tokens = Arc::new(Mutex::new(String::new()));
    let heard = tokens.clone();
    harness.main.listen("llm-token", move |event| {
        lock(&heard).push_str(&serde_json::from_str::<String>(event.payload()).unwrap());
    });
    assert_eq!(
        harness.ok(
            "load_llm_model",
            json!({ "modelPath": golden("llama.gguf") })
        ),
        "llama"
    );
    let text = harness.ok(
        "generate_text",
        json!({ "prompt": "Hello", "maxTokens": 6 }),
    );
    assert!(!text.as_str().unwrap().is_empty());
    assert_eq!(text.as_str().unwrap(), *lock(&tokens));
    let error = harness
        .call("load_llm_model", json!({ "modelPath": "/etc/passwd" }))
        .unwrap_err();
    assert!(error.as_str().unwrap().contains("scope"), "{error}");
}

#[test]
fn a_wrong_configuration_stops_the_start() {
    let mut context = mock_context(noop_assets());
    context
        .config_mut()
        .plugins
        .0
        .insert("ingle".into(), json!({ "modle": "x" }));
    let error = mock_builder()
        .plugin(crate::init())
        .build(context)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("plugins.ingle: unknown key \"modle\""),
        "{error}"
    );
    let build = |builder: Builder| {
        mock_builder()
            .plugin(builder.build())
            .build(mock_context(noop_assets()))
            .map(|_| ())
    };
    let error = build(Builder::new().option("threads", -3))
        .unwrap_err()
        .to_string();
    assert!(error.contains("threads"), "{error}");
}

#[test]
fn downloads_report_their_end() {
    let permissions = json!(["ingle:default", { "identifier": "ingle:allow-download",
        "allow": [{ "source": "http://127.0.0.1:*/**" }] }]);
    let harness = harness(permissions, json!({}));
    // A port that nobody listens to.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (id, channel) = harness.channel();
    let source = format!("http://127.0.0.1:{port}/x.gguf");
    let answer = harness.ok(
        "download_model",
        json!({ "source": source, "onEvent": channel }),
    );
    let (second, channel) = harness.channel();
    let again = harness.ok(
        "download_model",
        json!({ "source": source, "onEvent": channel }),
    );
    assert_eq!(answer["download"], again["download"]);
    assert_eq!(
        harness.ok("list_downloads", json!({}))[0]["source"],
        source.as_str()
    );
    harness.ok("cancel_download", json!({ "download": answer["download"] }));
    harness.ok("cancel_download", json!({ "download": "none" }));
    for id in [id, second] {
        let list = harness.finished(id);
        assert_eq!(list[0]["event"], "started");
        assert_eq!(list.last().unwrap()["event"], "error");
        assert_eq!(
            list.last().unwrap()["data"]["code"],
            "cancelled",
            "{list:?}"
        );
    }
    assert_eq!(harness.ok("list_downloads", json!({})), json!([]));
}

#[test]
fn messages_read_as_events() {
    let harness = everything();
    harness.load("llama.gguf");
    let (_, id) = harness.chat(json!({ "messages": hello(), "maxTokens": 3 }));
    for message in harness.finished(id) {
        let event: StreamEvent = serde_json::from_value(message.clone()).unwrap();
        assert_eq!(serde_json::to_value(event).unwrap(), message);
    }
}

#[test]
fn rust_code_uses_the_same_models() {
    let harness = harness(json!(["ingle:default"]), json!({}));
    let ingle = harness.app.ingle();
    let request = ingle::Request::chat([ingle::Message::user("Hello")])
        .max_tokens(5)
        .seed(1);
    let request = request.option("ignore_eos", true);
    assert_eq!(
        ingle
            .run(None, &request, |_| ControlFlow::Continue(()))
            .unwrap_err()
            .code,
        "not_loaded"
    );
    assert_eq!(
        ingle.load_model(&golden("llama.gguf")).unwrap().name,
        "llama"
    );
    let heard = Arc::new(Mutex::new(String::new()));
    let sink = heard.clone();
    let answer = ingle.run(None, &request, move |text| {
        lock(&sink).push_str(text);
        ControlFlow::Continue(())
    });
    let answer = answer.unwrap();
    assert_eq!(answer.text, *lock(&heard));
    assert_eq!(
        (answer.finish.as_str(), answer.usage.output_tokens),
        ("length", 5)
    );
    let cut = ingle
        .run(None, &request, |_| ControlFlow::Break(()))
        .unwrap();
    assert_eq!(cut.finish, "cancelled");
    // What the app has loaded, its pages may use.
    let (_, id) = harness.chat(json!({ "messages": hello(), "maxTokens": 5, "seed": 1, "options": { "ignore-eos": true } }));
    assert_eq!(text(&harness.finished(id)), answer.text);
    let rows = ingle
        .embed(None, &ingle::EmbedRequest::new(["a", "b"]))
        .unwrap();
    assert_eq!((rows.len(), rows[0].len()), (2, 32));
    assert_eq!(ingle.list_models().unwrap()[0].name, "llama");
    ingle.unload_model("llama").unwrap();
    let error = ingle
        .download_model("no/such/thing/at/all", |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert_eq!(error.code, "bad_argument");
}
