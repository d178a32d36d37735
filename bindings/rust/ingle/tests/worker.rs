//! The worker with a real child: `build/ingle` (or `INGLE_BIN`), killed, stopped and lied to.
#![cfg(all(feature = "worker", unix))]

mod common;

use std::{
    ops::ControlFlow,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use common::{folder, golden};
use ingle::{
    Code, Engine, Event, Finish, Message, Options, Request, TemplateInput, TokenizeOptions,
    worker::{Worker, WorkerModel, WorkerOptions},
};

fn program() -> PathBuf {
    let built = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../build/ingle");
    let path = std::env::var_os("INGLE_BIN").map_or_else(built, PathBuf::from);
    assert!(path.is_file(), "{} is missing: run make", path.display());
    path
}

fn worker() -> Worker {
    Worker::spawn(program(), WorkerOptions::default()).unwrap()
}

fn load(worker: &Worker, name: &str) -> WorkerModel {
    let mut options = Options::new();
    options.set("context", 4096).unwrap();
    worker.load(golden(name), &options).unwrap()
}

/// Goes on for a long while, and says so token by token.
fn endless() -> Request {
    Request::prompt("Once upon a time").max_tokens(4000).option("ignore_eos", true)
}

/// So many tokens, always the same.
fn short(n: u32) -> Request {
    Request::prompt("abc").max_tokens(n).temperature(0.0).option("ignore_eos", true)
}

fn kill(signal: &str, pid: u32) {
    assert!(Command::new("kill").args([signal, &pid.to_string()]).status().unwrap().success());
}

fn is_alive(pid: u32) -> bool {
    Command::new("kill").args(["-0", &pid.to_string()]).stderr(std::process::Stdio::null()).status().unwrap().success()
}

fn within(seconds: f64, mut what: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    while Instant::now() < end {
        if what() {
            return true;
        }
        thread::sleep(Duration::from_millis(5));
    }
    false
}

#[test]
fn answers_are_those_of_the_engine_in_this_process() {
    let worker = worker();
    assert_eq!(worker.version(), ingle::version());
    let model = load(&worker, "llama");
    let local = ingle::Model::open(golden("llama")).unwrap();
    let engine = Engine::new(&local).unwrap();
    for request in [
        Request::prompt("Once upon a time").max_tokens(20).temperature(0.0),
        Request::chat([Message::user("hé 🙂")]).max_tokens(20).temperature(1.0).seed(3),
    ] {
        let (far, near) = (model.run(request.clone()).unwrap(), engine.run(request).unwrap());
        assert_eq!((far.text, far.finish, far.usage), (near.text, near.finish, near.usage));
    }
    assert_eq!(model.info().unwrap().family, local.info().unwrap().family);
    let options = TokenizeOptions::default();
    let ids = model.tokenize("a b 🙂", options).unwrap();
    assert_eq!(ids, local.tokenize("a b 🙂", options).unwrap());
    assert_eq!(model.detokenize(&ids, true).unwrap(), local.detokenize(&ids, true).unwrap());
    let chat = TemplateInput::new(vec![Message::user("hi")]);
    assert_eq!(model.apply_template(&chat).unwrap(), local.apply_template(&chat).unwrap());
    let texts = ingle::EmbedRequest::new(["a cat", "a dog"]);
    let near: Vec<Vec<f32>> = engine.embed(texts.clone()).unwrap().into_iter().map(|e| e.values).collect();
    assert_eq!(model.embed(&texts).unwrap(), near);
    assert!(worker.devices().unwrap()[0].usable);
    assert!(model.doctor().unwrap().model.is_some());
}

#[test]
fn a_kill_in_mid_stream_is_an_error_and_the_next_request_works() {
    let worker = worker();
    let (model, other) = (load(&worker, "llama"), load(&worker, "qwen3"));
    let wanted = model.run(short(8)).unwrap().text;
    let pid = worker.process_id().unwrap();

    let mut events = model.events(endless()).unwrap();
    let waiting = model.events(endless()).unwrap();
    assert!(events.any(|e| matches!(e, Ok(Event::Text(_)))));
    kill("-KILL", pid);
    let error = events.find_map(Result::err).expect("the stream ends with an error");
    assert_eq!(error.code, Code::Crashed);
    assert!(error.message.contains("signal 9 (SIGKILL)"), "{error}");
    assert!(error.hint.contains("memory"), "{error}");
    assert!(events.next().is_none());
    assert_eq!(waiting.last().unwrap().unwrap_err().code, Code::Crashed);

    let again = model.run(short(8)).unwrap();
    assert_eq!(again.text, wanted);
    assert_eq!(other.run(short(2)).unwrap().usage.output_tokens, 2);
    assert_eq!(worker.restarts(), 1);
    assert_ne!(worker.process_id().unwrap(), pid);
}

#[test]
fn a_crash_shows_the_signal_and_the_last_messages() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let mut options = WorkerOptions::default();
    options.args = vec!["--verbose".into()];
    let seen = Arc::clone(&lines);
    let options = options.on_stderr(move |line| seen.lock().unwrap().push(line.to_string()));
    let worker = Worker::spawn(program(), options).unwrap();
    let model = load(&worker, "llama");
    let events = model.events(endless()).unwrap();
    kill("-SEGV", worker.process_id().unwrap());
    let error = events.last().unwrap().unwrap_err();
    assert!(error.message.contains("signal 11 (SIGSEGV)"), "{error}");
    let lines = lines.lock().unwrap();
    assert!(!lines.is_empty() && lines[0].starts_with("ingle: "), "{lines:?}");
    assert!(error.message.contains(lines.last().unwrap()), "{error} {lines:?}");
}

#[test]
fn calls_that_wait_are_told_too() {
    let worker = worker();
    let model = load(&worker, "llama");
    let events = model.events(endless()).unwrap();
    let pid = worker.process_id().unwrap();
    let embedding = thread::spawn({
        let model = model.clone();
        move || model.embed(&ingle::EmbedRequest::new(["waits behind the request"]))
    });
    thread::sleep(Duration::from_millis(50));
    kill("-KILL", pid);
    assert_eq!(embedding.join().unwrap().unwrap_err().code, Code::Crashed);
    assert_eq!(events.last().unwrap().unwrap_err().code, Code::Crashed);
}

#[test]
fn it_gives_up_after_too_many_crashes_and_tries_again_later() {
    let mut options = WorkerOptions::default();
    options.max_restarts = 1;
    options.restart_window = Duration::from_secs(2);
    let worker = Worker::spawn(program(), options).unwrap();
    let model = load(&worker, "llama");
    let first = Instant::now();
    for restarts in 1..=2 {
        kill("-KILL", worker.process_id().unwrap());
        assert!(within(5.0, || worker.restarts() == restarts));
        assert!(restarts == 2 || within(5.0, || worker.is_ready()));
    }
    let error = model.run(short(1)).unwrap_err();
    assert_eq!(error.code, Code::Crashed);
    assert!(error.hint.contains("again and again"), "{error}");
    thread::sleep(Duration::from_millis(2100).saturating_sub(first.elapsed()));
    assert!(within(3.0, || model.run(short(1)).is_ok()));
}

#[test]
fn cancelling() {
    let worker = worker();
    let model = load(&worker, "llama");
    let mut events = model.events(endless()).unwrap();
    assert!(events.any(|e| matches!(e, Ok(Event::Text(_)))));
    events.canceller().cancel();
    let Some(Ok(Event::Done(done))) = events.last() else { panic!() };
    assert_eq!(done.finish, Finish::Cancelled);

    let (to, from) = mpsc::channel();
    let handle = model.submit(endless(), move |event| {
        let stop = matches!(event, Ok(Event::Text(_)));
        to.send(event).unwrap();
        if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let last = from.iter().last().unwrap().unwrap();
    assert!(matches!(last, Event::Done(done) if done.finish == Finish::Cancelled), "{}", handle.unwrap().id());

    drop(model.events(endless()).unwrap()); // dropping cancels
    let start = Instant::now();
    model.run(short(1)).unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));

    let events: Vec<_> = (0..3).map(|_| model.events(endless()).unwrap()).collect();
    model.cancel_all();
    for events in events {
        let Some(Ok(Event::Done(done))) = events.last() else { panic!() };
        assert_eq!(done.finish, Finish::Cancelled);
    }
}

#[test]
fn a_callback_that_panics_harms_only_its_request() {
    let worker = worker();
    let model = load(&worker, "llama");
    model.submit(endless(), |_| panic!("on purpose")).unwrap();
    assert_eq!(model.run(short(2)).unwrap().usage.output_tokens, 2);
}

#[test]
fn a_call_from_a_callback_does_not_wait_for_itself() {
    let worker = worker();
    let model = load(&worker, "llama");
    let (to, from) = mpsc::channel();
    let inner = model.clone();
    let handle = model
        .submit(short(1), move |_| {
            let _ = to.send(inner.tokenize("a", TokenizeOptions::default()).unwrap_err().code);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(from.recv_timeout(Duration::from_secs(10)), Ok(Code::Busy));
    handle.cancel();
}

#[test]
fn loading() {
    let worker = worker();
    let mut seen = Vec::new();
    let model = worker.load_with(golden("llama"), &Options::new(), |what, done| {
        seen.push((what.to_string(), done));
        ControlFlow::Continue(())
    });
    assert_eq!(model.unwrap().path(), golden("llama"));
    assert_eq!(seen.last().unwrap().1, 1.0);
    let stopped = worker.load_with(golden("llama"), &Options::new(), |_, _| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap_err().code, Code::Cancelled);
    let missing = worker.load("/nowhere/x.gguf", &Options::new()).unwrap_err();
    assert!(missing.code == Code::NotFound && missing.message.contains("/nowhere/x.gguf"), "{missing}");
    let wrong = worker.load_pairs(&golden("llama"), [("wings", "2")], |_, _| ControlFlow::Continue(()));
    assert_eq!(wrong.unwrap_err().code, Code::NotFound);
}

#[test]
fn a_model_that_is_gone_at_the_restart_fails_alone() {
    let folder = folder("worker");
    let path = folder.join("m.gguf");
    std::fs::copy(golden("llama"), &path).unwrap();
    let worker = worker();
    let (model, other) = (worker.load(&path, &Options::new()).unwrap(), load(&worker, "qwen3"));
    std::fs::remove_file(&path).unwrap();
    kill("-KILL", worker.process_id().unwrap());
    assert!(within(5.0, || worker.restarts() == 1 && worker.is_ready()));
    let error = model.run(short(1)).unwrap_err();
    assert!(error.code == Code::NotFound && error.message.contains("m.gguf"), "{error}");
    assert!(!model.is_loaded() && other.is_loaded());
    assert!(other.run(short(1)).is_ok());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn save_and_restore() {
    let folder = folder("worker-save");
    let worker = worker();
    let model = load(&worker, "llama");
    let long = || Request::prompt("once upon a time there was a time").max_tokens(2);
    model.run(long()).unwrap();
    model.save(folder.join("s.kv")).unwrap();
    let again = load(&worker, "llama");
    again.restore(folder.join("s.kv")).unwrap();
    assert!(again.run(long()).unwrap().usage.cached_tokens > 5);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn programs_that_are_not_ours() {
    let spawn = |program: &str| Worker::spawn(program, WorkerOptions::default()).unwrap_err();
    assert_eq!(spawn("/nowhere/ingle").code, Code::NotFound);
    let error = spawn("true"); // ends at once
    assert!(error.code == Code::Crashed && error.message.contains("exit code 0"), "{error}");
    let folder = folder("worker-fakes");
    let fake = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        spawn(path.to_str().unwrap())
    };
    let error = fake("chatty", "echo hello; sleep 60");
    assert!(error.code == Code::Crashed && error.message.contains("hello"), "{error}");
    let error = fake("echo", "exec cat");
    assert_eq!(error.code, Code::Crashed, "{error}");
    let error =
        fake("newer", r#"echo '{"jsonrpc":"2.0","id":1,"result":{"name":"ingle","protocol":9}}'; exec sleep 60"#);
    assert!(error.code == Code::Unsupported && error.message.contains('9'), "{error}");
    let error = fake("dies", "echo out of luck >&2; exit 7");
    assert!(error.message.contains("exit code 7") && error.message.contains("out of luck"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn dropping_it_ends_the_child() {
    let worker = worker();
    let model = load(&worker, "llama");
    let events = model.events(endless()).unwrap();
    let pid = worker.process_id().unwrap();
    drop(worker);
    assert!(is_alive(pid)); // the model is still there
    drop(model);
    assert!(is_alive(pid)); // and so is the stream
    drop(events);
    assert!(!is_alive(pid));
}

#[test]
fn dropping_it_in_a_callback() {
    let worker = worker();
    let model = load(&worker, "llama");
    let pid = worker.process_id().unwrap();
    let mut all = Some((worker, model.clone()));
    let submitted = model.submit(short(3), move |_| {
        all.take();
        ControlFlow::Continue(())
    });
    drop(model);
    submitted.unwrap();
    assert!(within(5.0, || !is_alive(pid)));
}

#[test]
fn unloading_gives_the_model_back() {
    let worker = worker();
    let model = load(&worker, "llama");
    let kept = model.clone();
    drop(model);
    assert!(kept.run(short(1)).is_ok());
    drop(kept);
    kill("-KILL", worker.process_id().unwrap());
    assert!(within(5.0, || worker.restarts() == 1 && worker.is_ready())); // with nothing to load again
    assert!(load(&worker, "llama").run(short(1)).is_ok());
}

/// Run by the next test, in a process of its own that is then killed.
#[test]
#[ignore = "a helper"]
fn parent_that_will_be_killed() {
    let Some(out) = std::env::var_os("INGLE_TEST_PID_FILE") else { return };
    let worker = worker();
    let model = load(&worker, "llama");
    let _events = model.events(endless()).unwrap();
    std::fs::write(out, worker.process_id().unwrap().to_string()).unwrap();
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_kill_of_this_process_leaves_no_orphan() {
    let folder = folder("worker-orphan");
    let file = folder.join("pid");
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "parent_that_will_be_killed"])
        .env("INGLE_TEST_PID_FILE", &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut pid = 0;
    assert!(within(20.0, || {
        pid = std::fs::read_to_string(&file).ok().and_then(|t| t.parse().ok()).unwrap_or(0);
        pid != 0
    }));
    assert!(is_alive(pid));
    kill("-KILL", parent.id());
    parent.wait().unwrap();
    assert!(within(2.0, || !is_alive(pid)), "the child outlived its parent");
    std::fs::remove_dir_all(folder).unwrap();
}
