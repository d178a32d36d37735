//! Requests through the C library: streams, cancelling, panics, threads, lifetimes.

mod common;

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use common::{folder, golden, slow_engine, smollm2, tiny, tiny_engine};
use ingle::{
    Canceller, Code, EmbedRequest, Engine, Error, Event, Finish, Handle, Message, Model, Options, Pooling, Request,
    Stream,
    session::{Session, SessionCanceller},
};

const SOON: Duration = Duration::from_millis(100);

fn send<T: Send>() {}
fn sync<T: Sync>() {}
fn unwind_safe<T: std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}

#[test]
fn what_may_cross_threads_does() {
    send::<Model>();
    sync::<Model>();
    send::<Engine>();
    sync::<Engine>();
    send::<Stream>();
    send::<Handle>();
    sync::<Handle>();
    send::<Canceller>();
    sync::<Canceller>();
    send::<Options>();
    sync::<Options>();
    send::<Session>();
    send::<SessionCanceller>();
    sync::<SessionCanceller>();
    unwind_safe::<Engine>();
    unwind_safe::<ingle::hub::Hub>();
    send::<Error>();
    sync::<Error>();
}

fn greedy(text: &str, n: u32) -> Request {
    Request::prompt(text).temperature(0.0).max_tokens(n).option("ignore_eos", true)
}

/// Runs until stopped.
fn endless() -> Request {
    Request::prompt("Once upon a time").option("ignore_eos", true)
}

#[test]
fn a_stream_says_what_a_blocking_run_says() {
    for model in [Some(tiny()), smollm2()].into_iter().flatten() {
        let engine = Engine::new(&model).unwrap();
        let whole = engine.run(greedy("The sky is", 40)).unwrap();
        assert_eq!((whole.finish, whole.usage.output_tokens), (Finish::Length, 40));
        let mut text = String::new();
        let mut tokens = 0;
        let mut ended = false;
        for event in engine.stream(greedy("The sky is", 40)).unwrap().blocking() {
            assert!(!ended);
            match event.unwrap() {
                Event::Text(piece) => {
                    assert!(piece.tokens >= tokens);
                    tokens = piece.tokens;
                    text.push_str(&piece);
                }
                Event::Progress { done, total } => assert!(done <= total && text.is_empty()),
                Event::Done(done) => {
                    ended = true;
                    assert_eq!(done.usage.output_tokens, 40);
                    assert!(done.usage.cached_tokens > 0, "the second run knows the prompt");
                    assert!(done.timings.tokens_per_second > 0.0);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(ended);
        assert_eq!(text, whole.text);
        let callback = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&callback);
        let handle = engine
            .submit(greedy("The sky is", 40), move |event| {
                if let Ok(Event::Text(piece)) = event {
                    sink.lock().unwrap().push_str(&piece);
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(handle.wait().unwrap().finish, Finish::Length);
        assert_eq!(*callback.lock().unwrap(), whole.text);
    }
}

/// A runtime that is nothing but a thread that parks.
fn block_on<F: Future>(future: F) -> F::Output {
    use std::task::{Context, Poll, Wake};
    struct Unpark(thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_stream_is_a_futures_stream() {
    use futures_core::Stream as _;
    let engine = tiny_engine();
    let whole = engine.run(greedy("abc", 30)).unwrap();
    let answer = block_on(engine.stream(greedy("abc", 30)).unwrap().completion()).unwrap();
    assert_eq!(answer.text, whole.text);
    let mut stream = engine.stream(greedy("abc", 30)).unwrap();
    let text = block_on(async {
        let mut text = String::new();
        while let Some(event) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut stream).poll_next(cx)).await {
            if let Event::Text(piece) = event.unwrap() {
                text.push_str(&piece);
            }
        }
        text
    });
    assert_eq!(text, whole.text);
}

#[test]
fn a_dropped_stream_frees_the_engine() {
    let engine = slow_engine();
    engine.run(greedy("abc", 1)).unwrap();
    let mut stream = engine.stream(endless()).unwrap().blocking();
    while !matches!(stream.next().unwrap().unwrap(), Event::Text(_)) {}
    let start = Instant::now();
    drop(stream);
    engine.run(greedy("abc", 1)).unwrap();
    let free = start.elapsed();
    eprintln!("engine free after {free:?}");
    assert!(free < 3 * SOON, "{free:?}");
}

#[test]
fn cancelling_ends_with_what_there_is() {
    let engine = slow_engine();
    let stream = engine.stream(endless()).unwrap();
    let canceller = stream.canceller();
    let mut events = stream.blocking();
    while !matches!(events.next().unwrap().unwrap(), Event::Text(_)) {}
    let start = Instant::now();
    thread::spawn(move || canceller.cancel()).join().unwrap();
    let last = events.by_ref().last().unwrap().unwrap();
    assert!(start.elapsed() < 3 * SOON, "{:?}", start.elapsed());
    assert!(matches!(last, Event::Done(done) if done.is_cancelled()));
    assert!(events.next().is_none());

    // One that waits for its turn never runs; `Break` cancels the one that does.
    let running = engine.submit(endless(), |event| match event {
        Ok(Event::Text(_)) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let waiting = engine.submit(endless(), |_| ControlFlow::Continue(())).unwrap();
    waiting.cancel();
    assert!(running.unwrap().wait().unwrap().is_cancelled());
    let done = waiting.wait().unwrap();
    assert!(done.is_cancelled() && done.usage.output_tokens == 0);

    let all: Vec<Handle> = (0..4).map(|_| engine.submit(endless(), |_| ControlFlow::Continue(())).unwrap()).collect();
    engine.cancel_all();
    for handle in all {
        assert!(handle.wait().unwrap().is_cancelled());
    }
}

#[test]
fn a_panic_in_a_callback_cancels_and_is_told() {
    let engine = tiny_engine();
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let handle = engine
        .submit(endless(), move |event| {
            *counted.lock().unwrap() += 1;
            if matches!(event, Ok(Event::Text(_))) {
                panic!("on purpose");
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let error = handle.wait().unwrap_err();
    assert_eq!(error.code, Code::Cancelled);
    assert!(error.message.contains("on purpose"), "{error}");
    let after = *calls.lock().unwrap();
    engine.run(greedy("abc", 3)).unwrap();
    assert_eq!(*calls.lock().unwrap(), after, "no call after the panic");

    let caught =
        std::panic::catch_unwind(|| engine.embed_each(EmbedRequest::new(["a", "b"]), |_, _, _| panic!("in embed")));
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"in embed"));
    let caught = std::panic::catch_unwind(|| {
        Model::builder(golden("llama-256")).on_progress(|_, _| panic!("in progress")).open().map(|_| ())
    });
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"in progress"));
    assert_eq!(engine.embed(EmbedRequest::new(["a"])).unwrap().len(), 1);

    // A closure whose own drop panics.
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let bomb = Bomb;
    let handle = engine.submit(greedy("abc", 2), move |_| {
        let _held = &bomb;
        ControlFlow::Continue(())
    });
    assert!(handle.unwrap().wait().unwrap_err().message.contains("in drop"));
    engine.run(greedy("abc", 3)).unwrap();
}

#[test]
fn eight_threads_share_an_engine() {
    let engine = tiny_engine();
    let alone: Vec<String> = (0..8).map(|i| engine.run(greedy(&format!("text {i}"), 25)).unwrap().text).collect();
    thread::scope(|scope| {
        for i in 0..8 {
            let (engine, alone) = (engine.clone(), &alone);
            scope.spawn(move || {
                for round in 0..10 {
                    let request = greedy(&format!("text {i}"), 25);
                    let text = match round % 3 {
                        0 => engine.run(request).unwrap().text,
                        1 => engine.stream(request).unwrap().blocking().completion().unwrap().text,
                        _ => {
                            drop(engine.stream(endless()).unwrap());
                            block_on(engine.stream(request).unwrap().completion()).unwrap().text
                        }
                    };
                    assert_eq!(text, alone[i], "thread {i}, round {round}");
                }
            });
        }
    });
}

#[test]
fn streams_and_handles_outlive_the_engine_value() {
    let engine = tiny_engine();
    let expected = engine.run(greedy("abc", 20)).unwrap().text;
    let stream = engine.stream(greedy("abc", 20)).unwrap();
    let handle = engine.submit(greedy("abc", 20), |_| ControlFlow::Continue(())).unwrap();
    drop(engine);
    assert_eq!(stream.blocking().completion().unwrap().text, expected);
    assert_eq!(handle.wait().unwrap().usage.output_tokens, 20);

    // Nobody waits: closing cancels, and the last events come.
    let (sender, receiver) = mpsc::channel();
    let engine = slow_engine();
    for _ in 0..3 {
        let sender = sender.clone();
        engine
            .submit(endless(), move |event| {
                if let Ok(Event::Done(done)) = event {
                    sender.send(done.finish).unwrap();
                }
                ControlFlow::Continue(())
            })
            .unwrap();
    }
    let canceller = engine.submit(endless(), |_| ControlFlow::Continue(())).unwrap().canceller();
    drop(sender);
    drop(engine);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [Finish::Cancelled; 3]);
    canceller.cancel();
}

#[test]
fn an_engine_may_be_dropped_by_its_own_callback() {
    let (sender, receiver) = mpsc::channel();
    for _ in 0..20 {
        let engine = tiny_engine();
        let (inside, sender) = (engine.clone(), sender.clone());
        let (go, gone) = mpsc::channel::<()>();
        engine
            .submit(greedy("abc", 5), move |event| {
                // Blocking calls would wait for themselves.
                assert_eq!(inside.run(greedy("abc", 1)).unwrap_err().code, Code::Busy);
                assert_eq!(inside.embed(EmbedRequest::new(["a"])).unwrap_err().code, Code::Busy);
                assert_eq!(inside.save("never").unwrap_err().code, Code::Busy);
                if let Ok(Event::Done(_)) = event {
                    gone.recv().ok();
                    sender.send(()).unwrap();
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        drop(engine);
        go.send(()).unwrap();
    }
    drop(sender);
    assert_eq!(receiver.iter().count(), 20);
}

#[test]
fn errors_have_code_message_and_hint() {
    let error = Model::open("no/such.gguf").unwrap_err();
    assert_eq!(error.code, Code::NotFound);
    assert!(error.message.contains("no/such.gguf"), "{error}");
    assert_eq!(Model::open("a\0b").unwrap_err().code, Code::BadArgument);
    let path = folder("errors").join("bad.gguf");
    std::fs::write(&path, b"GGUF\x03\0\0\0 and then nonsense").unwrap();
    assert_eq!(Model::open(&path).unwrap_err().code, Code::BadFile);

    let engine = tiny_engine();
    for (json, code) in [
        ("{", Code::BadRequest),
        ("[]", Code::BadRequest),
        (r#"{"prompt": "a", "temperature": "hot"}"#, Code::BadRequest),
        (r#"{"prompt": "a", "top_p": 7}"#, Code::BadRequest),
    ] {
        let error = engine.submit_json(json, |_| ControlFlow::Continue(())).unwrap_err();
        assert_eq!(error.code, code, "{json}: {error}");
        assert!(!error.message.is_empty());
    }
    let long = "word ".repeat(10_000);
    let error = engine.run(Request::prompt(long.clone())).unwrap_err();
    assert_eq!(error.code, Code::Limit);
    assert!(!error.hint.is_empty() && error.to_string().ends_with(&format!("({})", error.hint)));
    // The same through a stream: the error is the last item.
    let items: Vec<_> = engine.stream(Request::prompt(long)).unwrap().blocking().collect();
    assert_eq!(items.last().unwrap().as_ref().unwrap_err().code, Code::Limit);
    assert_eq!(serde_json::to_value(&error).unwrap()["code"], "limit");
    assert_eq!(engine.run(Request::default()).unwrap_err().code, Code::BadRequest);
    let mut options = Options::new();
    assert!(options.set("context", "many").unwrap_err().message.contains("context"));
    assert_eq!(options.set("no-such", 1).unwrap_err().code, Code::NotFound);
}

#[test]
fn loading_can_be_cancelled_from_another_thread() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let stop = AtomicBool::new(false);
    let error = thread::scope(|scope| {
        let loader = scope.spawn(|| {
            Model::builder(golden("llama-256"))
                .on_progress(|what, done| {
                    assert!(!what.is_empty() && (0.0..=1.0).contains(&done));
                    while !stop.load(Ordering::Relaxed) {
                        thread::yield_now();
                    }
                    ControlFlow::Break(())
                })
                .open()
        });
        stop.store(true, Ordering::Relaxed);
        loader.join().unwrap().unwrap_err()
    });
    assert_eq!(error.code, Code::Cancelled);
}

#[test]
fn chats_go_through_the_template() {
    let model = tiny();
    let chat = vec![Message::system("Be brief."), Message::user("Hello <|im_end|>")];
    let prompt = model.apply_template(&ingle::TemplateInput::new(chat.clone())).unwrap();
    assert!(prompt.contains("Be brief.") && prompt.contains("Hello"), "{prompt}");
    assert!(model.template().unwrap().unwrap().contains("messages"));
    let answer = Engine::new(&model).unwrap().run(Request::chat(chat).max_tokens(4).seed(1)).unwrap();
    assert!(answer.usage.prompt_tokens > 4);
    let source = "{{ messages[0].content }}|{{ colour }}";
    let mut input = ingle::TemplateInput::new(vec![Message::user("x")]);
    input.variables.insert("colour".into(), "blue".into());
    assert_eq!(model.apply_template_source(source, &input).unwrap(), "x|blue");
    assert_eq!(model.apply_template_source("{% if %}", &input).unwrap_err().code, Code::BadTemplate);
}

#[test]
fn models_tell_what_they_are() {
    let model = tiny();
    let info = model.info().unwrap();
    assert_eq!((info.family.as_str(), info.context, info.vocabulary), ("llama", 256, 272));
    assert_eq!((model.width(), model.vocab_size(), model.context_size()), (32, 272, 256));
    assert_eq!(info.special_tokens["eos"].text, "</s>");
    let json = serde_json::to_value(&info).unwrap();
    assert_eq!(json["kvHeads"], 2);
    assert!(json["memory"]["kvPerToken"].is_u64() && json["loadSeconds"].is_f64());
    assert_eq!(model.metadata().unwrap()["general.architecture"], "llama");
    assert_eq!(model.tensors().unwrap().len(), 30);
    assert!(model.plan().unwrap().lines().count() > 10);
    let text = "Grüße, 世界! 🦀 ".repeat(50);
    let ids = model.tokenize(&text, ingle::TokenizeOptions { add_special: false, parse_special: false }).unwrap();
    assert_eq!(model.detokenize(&ids, false).unwrap(), text);
    assert!(
        model.tokenize("", ingle::TokenizeOptions { add_special: false, parse_special: false }).unwrap().is_empty()
    );
    assert_eq!(model.token_bytes(2).unwrap(), b"</s>");
    assert!(model.token_is_end(2) && !model.token_is_end(70));
    assert_eq!(model.token_bytes(-1).unwrap_err().code, Code::BadArgument);
    assert!(model.detokenize(&[1_000_000], false).is_err());
}

#[test]
fn embeddings_have_the_models_width() {
    let engine = Engine::new(&Model::open(golden("qwen3-embed")).unwrap()).unwrap();
    let texts = ["a cat", "a cat", "something else entirely"];
    let vectors = engine.embed(EmbedRequest::new(texts)).unwrap();
    assert_eq!(vectors.len(), 3);
    for v in &vectors {
        assert_eq!(v.values.len(), 32);
        assert!(v.tokens > 0);
        assert!((v.values.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    assert_eq!(vectors[0], vectors[1]);
    assert!((vectors[0].cosine(&vectors[1]) - 1.0).abs() < 1e-6);
    assert!(vectors[0].cosine(&vectors[2]) < 0.9999);
    let last = engine.embed(EmbedRequest::new(["a cat"]).pooling(Pooling::Last).normalize(false)).unwrap();
    assert_ne!(last[0].values, vectors[0].values);
    assert_eq!(engine.embed(EmbedRequest::new(["a"]).dimensions(8)).unwrap()[0].values.len(), 8);
    assert_eq!(engine.embed(EmbedRequest::new(["a"]).dimensions(9999)).unwrap_err().code, Code::BadRequest);
    assert_eq!(engine.embed(EmbedRequest::new(Vec::<String>::new())).unwrap_err().code, Code::BadRequest);
    let ids = engine.model().tokenize("a cat", ingle::TokenizeOptions::default()).unwrap();
    let mut session = Session::new(engine.model()).unwrap();
    assert_eq!(session.embed(&ids, Pooling::Last).unwrap(), last[0].values);
    assert_eq!(engine.embed(EmbedRequest::tokens([ids]).pooling(Pooling::Last).normalize(false)).unwrap(), last);
    let stopped = engine.embed_each(EmbedRequest::new(texts), |_, _, _| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap_err().code, Code::Cancelled);
}

#[test]
fn conversations_are_kept_in_files() {
    let folder = folder("save");
    let (engine, path) = (tiny_engine(), folder.join("talk.kv"));
    for _ in 0..20 {
        // Right after its last event a request must not count as running.
        engine.run(greedy("A long beginning of a text that is remembered", 5)).unwrap();
        engine.save(&path).unwrap();
    }
    let other = tiny_engine();
    other.load(&path).unwrap();
    let answer = other.run(greedy("A long beginning of a text that is remembered", 5)).unwrap();
    assert!(answer.usage.cached_tokens + 2 > answer.usage.prompt_tokens, "{:?}", answer.usage);
    assert!(other.load(folder.join("none")).is_err());
    let different = Engine::new(&Model::open(golden("llama-256")).unwrap()).unwrap();
    assert!(different.load(&path).is_err());
    let busy = slow_engine();
    let stream = busy.stream(endless()).unwrap();
    assert_eq!(busy.save(&path).unwrap_err().code, Code::Busy);
    drop(stream);
}

#[test]
fn sessions_step_together() {
    let model = tiny();
    let mut sessions: Vec<_> = (0..3).map(|_| Session::new(&model).unwrap()).collect();
    for (i, session) in sessions.iter_mut().enumerate() {
        session.sync(&[5, 6, 7, 8][..=i]).unwrap();
    }
    let mut all: Vec<_> = sessions.iter_mut().collect();
    Session::step_together(&mut all, &[9, 10, 11]).unwrap();
    assert!(Session::step_together(&mut all, &[9]).is_err());
    assert!(Session::step_together(&mut [], &[]).is_err());
    for (i, together) in sessions.iter().enumerate() {
        let mut alone = Session::new(&model).unwrap();
        alone.sync(together.tokens()).unwrap();
        assert_eq!(together.tokens().last(), Some(&(9 + i as i32)));
        assert_eq!(alone.logits(), together.logits());
    }
}

#[test]
fn sessions_give_logits() {
    let model = tiny();
    let mut options = Options::new();
    options.set("temperature", 0).unwrap();
    let mut session = Session::with_options(&model, &options).unwrap();
    assert!(session.logits().is_none() && session.tokens().is_empty());
    let ids = model.tokenize("abc def", ingle::TokenizeOptions::default()).unwrap();
    session.sync(&ids).unwrap();
    let last = session.logits().unwrap().to_vec();
    assert_eq!((last.len(), session.tokens()), (272, ids.as_slice()));
    let most = (0..272).max_by(|&a, &b| last[a].total_cmp(&last[b])).unwrap();
    assert_eq!(session.sample().unwrap(), most as i32);
    session.step(most as i32).unwrap();
    assert_eq!(session.tokens().len(), ids.len() + 1);
    let mut fresh = Session::new(&model).unwrap();
    let mut rows = 0;
    fresh
        .sync_each(&ids, |position, logits| {
            assert_eq!(position, rows);
            rows += 1;
            if position + 1 == ids.len() {
                assert_eq!(logits, last);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(rows, ids.len());
    let path = folder("session").join("s");
    session.save(&path).unwrap();
    fresh.load(&path).unwrap();
    assert_eq!(fresh.tokens(), session.tokens());
    assert!(fresh.bytes() > 0);
    let canceller = fresh.canceller();
    drop(fresh);
    canceller.cancel();
    assert!(session.step(-5).is_err());
    assert!(session.sync(&[]).is_err());
}

#[test]
fn the_machine_is_described() {
    let devices = ingle::devices().unwrap();
    assert!(devices[0].usable && devices[0].kind == "cpu" && devices[0].threads > 0);
    assert!(serde_json::to_value(&devices[0]).unwrap()["memoryBytes"].is_u64());
    let model = tiny();
    let report = ingle::doctor(Some(&model), Some(&Options::new())).unwrap();
    assert_eq!(report.version, ingle::version());
    assert!(report.model.unwrap().fits && report.speed.memory_bytes_per_second > 0.0);
    assert!(ingle::doctor(None, None).unwrap().model.is_none());
}

#[test]
fn options_are_checked_and_listed() {
    let rows: Vec<_> = Options::describe().collect();
    assert!(rows.len() > 20);
    let mut options = Options::new();
    for row in &rows {
        assert_eq!(options.get(row.name).as_deref(), Some(row.initial), "{}", row.name);
    }
    options.set("top_k", 7).unwrap().set("kv", "q8_0").unwrap();
    assert_eq!(options.iter().collect::<Vec<_>>(), [("kv", "q8_0"), ("top-k", "7")]);
    assert_eq!(options.clone().get("top-k").as_deref(), Some("7"));
    assert_eq!(options.get("nothing"), None);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&lines);
    options.on_log(ingle::LogLevel::Debug, move |level, line| log.lock().unwrap().push((level, line.to_string())));
    let model = Model::builder(golden("llama")).options(options.clone()).open().unwrap();
    let engine = Engine::with_options(&model, &options).unwrap();
    drop((options, model));
    engine.run(greedy("abc", 2)).unwrap();
    drop(engine);
    assert_eq!(Arc::strong_count(&lines), 1, "the hook went with the last user");
}

#[test]
fn the_simple_names_work() {
    let service = ingle::service::LlmService::load_model(golden("llama")).unwrap();
    assert!(service.device().usable);
    let mut pieces = Vec::new();
    let text = service.generate("Hello", 12, |token| pieces.push(token.to_string())).unwrap();
    assert_eq!(pieces.concat(), text);
    assert!(!text.is_empty());
    assert_eq!(ingle::service::LlmService::load_model("nowhere").unwrap_err().code, Code::NotFound);
}

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct City {
    name: String,
    country: String,
}

#[test]
fn extract_says_what_does_not_fit() {
    // Random weights answer with noise.
    let options = ingle::ExtractOptions::new().attempts(2);
    let request = || Request::prompt("x").temperature(0.0).max_tokens(8);
    let mut larger = Options::new();
    larger.set("context", 4096).unwrap();
    let engine = Engine::with_options(&tiny(), &larger).unwrap();
    let error = engine.extract_with::<City>(request(), &options).unwrap_err();
    assert_eq!(error.code, Code::Limit, "{error}");
    assert!(error.message.contains("2 answers"), "{error}");
    let canceller = {
        let engine = engine.clone();
        thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            engine.cancel_all();
        })
    };
    let endless = Request::prompt("x").option("ignore_eos", true);
    let result = engine.extract::<City>(endless);
    canceller.join().unwrap();
    assert!(matches!(result.unwrap_err().code, Code::Cancelled | Code::Limit));
}

#[derive(Debug, PartialEq, serde::Deserialize, schemars::JsonSchema)]
struct Person {
    /// First and last name
    name: String,
    /// Year of birth
    born: i32,
    /// City of birth
    place: Option<String>,
}

#[test]
fn extract_reads_what_a_real_model_answers() {
    let Some(model) = smollm2() else { return };
    let engine = Engine::new(&model).unwrap();
    let text = Message::user("Ada Lovelace was born in 1815 in London.");
    let person: Person = engine.extract(Request::chat([text]).temperature(0.0).max_tokens(100)).unwrap();
    assert_eq!(person.name, "Ada Lovelace");
}
