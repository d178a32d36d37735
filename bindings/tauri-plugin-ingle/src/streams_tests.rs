use super::*;
use std::sync::{atomic::AtomicU32, mpsc};

type Sent = Arc<Mutex<Vec<(Instant, StreamEvent)>>>;
type Fences = Arc<Mutex<Vec<Box<dyn FnOnce() + Send>>>>;

/// A page that keeps what it gets.
#[derive(Clone, Default)]
struct Page {
    sent: Sent,
    gone: Arc<AtomicBool>,
    /// Where fences wait if this page is slow.
    fences: Option<Fences>,
}

impl Outlet for Page {
    fn send(&self, event: StreamEvent) -> bool {
        if self.gone.load(Ordering::Relaxed) {
            return false;
        }
        lock(&self.sent).push((Instant::now(), event));
        true
    }
    fn fence(&self, done: Box<dyn FnOnce() + Send>) -> bool {
        match &self.fences {
            Some(fences) => lock(fences).push(done),
            None => done(),
        }
        true
    }
}

impl Page {
    fn slow() -> Self {
        Self {
            fences: Some(Arc::default()),
            ..Self::default()
        }
    }
    fn events(&self) -> Vec<StreamEvent> {
        lock(&self.sent)
            .iter()
            .map(|(_, event)| event.clone())
            .collect()
    }
    fn count(&self) -> usize {
        lock(&self.sent).len()
    }
    fn text(&self) -> String {
        let text = |event| match event {
            StreamEvent::Text { text, .. } => text,
            _ => String::new(),
        };
        self.events().into_iter().map(text).collect()
    }
    fn outlet(&self) -> Option<Box<dyn Outlet>> {
        Some(Box::new(self.clone()))
    }
    fn release(&self) {
        for done in std::mem::take(&mut *lock(self.fences.as_ref().unwrap())) {
            done();
        }
    }
}

struct CountedRequest(AtomicU32);
impl Request for CountedRequest {
    fn cancel(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn owner(label: &str) -> Owner {
    Owner {
        webview: label.into(),
        window: label.into(),
    }
}

fn streams(batch_ms: u64) -> Streams {
    Streams::new(Timer::default(), Duration::from_millis(batch_ms))
}

fn text(stream: &Stream, text: &str) -> ControlFlow<()> {
    stream.on_event(BackendEvent::Text {
        text: text.into(),
        tokens: 1,
    })
}

fn done(stream: &Stream) {
    let _ = stream.on_event(BackendEvent::Done {
        finish: "stop".into(),
        usage: Usage::default(),
        timings: Timings::default(),
    });
}

fn wait_for(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !what() {
        assert!(Instant::now() < end, "waited 10 s");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn is_end(event: &StreamEvent) -> bool {
    matches!(event, StreamEvent::Done { .. } | StreamEvent::Error { .. })
}

#[test]
fn the_first_token_goes_at_once_and_the_rest_in_batches() {
    let page = Page::default();
    let all = streams(40);
    let stream = all.open(owner("main"), "m", "chat", page.outlet()).unwrap();
    // Whatever came before the first token does not make it wait.
    stream.started();
    let _ = stream.on_event(BackendEvent::Progress { done: 1, total: 1 });
    assert!(text(&stream, "a").is_continue());
    assert_eq!(page.text(), "a");
    lock(&page.sent).drain(..2);
    for _ in 0..20 {
        let _ = text(&stream, "b");
    }
    assert_eq!(page.text(), "a");
    wait_for(|| page.count() == 2);
    assert_eq!(page.text(), format!("a{}", "b".repeat(20)));
    let times: Vec<_> = lock(&page.sent).iter().map(|(at, _)| *at).collect();
    assert!(times[1] - times[0] >= Duration::from_millis(39));
    // After a pause longer than a batch the next one does not wait either.
    std::thread::sleep(Duration::from_millis(60));
    let _ = text(&stream, "c");
    assert_eq!(page.count(), 3);
    let _ = text(&stream, "d");
    done(&stream);
    let events = page.events();
    assert_eq!(page.text(), format!("a{}cd", "b".repeat(20)));
    assert!(is_end(events.last().unwrap()));
    std::thread::sleep(Duration::from_millis(60));
    assert_eq!(page.count(), events.len());
}

#[test]
fn nothing_follows_the_end() {
    let page = Page::default();
    let all = streams(0);
    let stream = all.open(owner("main"), "m", "chat", page.outlet()).unwrap();
    done(&stream);
    let _ = text(&stream, "late");
    stream.fail(Error::internal("late"));
    done(&stream);
    stream.cancel();
    assert_eq!(page.count(), 1);
    assert!(lock(&stream.state).outlet.is_none());
}

#[test]
fn a_page_takes_up_where_it_was() {
    let first = Page::default();
    let all = streams(0);
    let stream = all
        .open(owner("main"), "m", "chat", first.outlet())
        .unwrap();
    stream.started();
    for i in 0..10 {
        let _ = text(&stream, &format!("{i} "));
    }
    let has = 6;
    let seen: String = first.events()[..has]
        .iter()
        .map(|event| match event {
            StreamEvent::Text { text, .. } => text.as_str(),
            _ => "",
        })
        .collect();
    all.detach_webview("main");
    for i in 10..20 {
        let _ = text(&stream, &format!("{i} "));
    }
    assert_eq!(first.count(), 11);
    let second = Page::default();
    assert!(all.get("other", &stream.id).is_none());
    let again = all.get("main", &stream.id).unwrap();
    assert!(again.attach(second.outlet().unwrap(), has as u64));
    // One message for all that was missed.
    assert_eq!(second.count(), 1);
    let _ = text(&stream, "end");
    done(&stream);
    let all_text: String = (0..20).map(|i| format!("{i} ")).collect();
    assert_eq!(seen + &second.text(), all_text + "end");
    let third = Page::default();
    assert!(!again.attach(third.outlet().unwrap(), 0));
    assert!(matches!(
        third.events()[0],
        StreamEvent::Started { seq: 1, .. }
    ));
    assert!(is_end(third.events().last().unwrap()));
    assert_eq!(third.count(), 3);
    // One that has it all gets nothing, one that claims more than there is neither.
    for after in [stream.info().seq, u64::MAX] {
        let page = Page::default();
        assert!(!again.attach(page.outlet().unwrap(), after));
        assert_eq!(page.count(), 0);
    }
}

#[test]
fn numbers_follow_each_other() {
    let page = Page::default();
    let all = streams(1);
    let stream = all.open(owner("main"), "m", "chat", page.outlet()).unwrap();
    stream.started();
    for i in 0..20_000u32 {
        if i % 1000 == 999 {
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = text(&stream, &format!("{i:06}"));
    }
    done(&stream);
    let events = page.events();
    let seq = |event: &StreamEvent| serde_json::to_value(event).unwrap()["data"]["seq"].as_u64();
    for (i, event) in events.iter().enumerate() {
        assert_eq!(seq(event), Some(i as u64 + 1));
        assert!(serde_json::to_string(event).unwrap().len() < 8000);
    }
    let text = page.text();
    assert_eq!(text.len(), 6 * 20_000);
    for i in 0..20_000 {
        assert_eq!(text[i * 6..i * 6 + 6].parse(), Ok(i));
    }
    assert!(events.len() > 15);
}

#[test]
fn a_slow_page_is_not_flooded_and_loses_nothing() {
    let page = Page::slow();
    let all = streams(0);
    let stream = all.open(owner("main"), "m", "chat", page.outlet()).unwrap();
    for i in 0..5000 {
        let _ = text(&stream, &format!("{i} "));
    }
    assert_eq!(page.count(), MAX_IN_FLIGHT as usize);
    done(&stream);
    assert_eq!(page.count(), MAX_IN_FLIGHT as usize);
    while !page.events().last().is_some_and(is_end) {
        page.release();
        std::thread::sleep(Duration::from_millis(1));
    }
    let all_text: String = (0..5000).map(|i| format!("{i} ")).collect();
    assert_eq!(page.text(), all_text);
}

#[test]
fn memory_stays_flat() {
    let all = streams(0);
    let page = Page::slow();
    let stream = all.open(owner("main"), "m", "chat", page.outlet()).unwrap();
    for _ in 0..2_000_000 {
        let _ = text(&stream, "12345678");
    }
    done(&stream);
    assert!(page.count() <= MAX_IN_FLIGHT as usize);
    // What a late page gets: the loss is said, the newest text and the end are there.
    let late = Page::default();
    stream.attach(late.outlet().unwrap(), 0);
    wait_for(|| late.events().last().is_some_and(is_end));
    assert!(matches!(late.events()[0], StreamEvent::Truncated { seq } if seq > 0));
    assert!(late.text().len() <= LOG_BYTES);
    assert!(late.text().len() > LOG_BYTES / 2);
}

#[test]
fn cancelling() {
    let all = streams(0);
    // Before the backend has it.
    let page = Page::default();
    let stream = all.open(owner("main"), "m", "chat", page.outlet()).unwrap();
    stream.cancel();
    assert!(
        matches!(&page.events()[..], [StreamEvent::Done { finish, .. }] if finish == "cancelled")
    );
    let request = Arc::new(CountedRequest(AtomicU32::new(0)));
    stream.bind(request.clone());
    assert_eq!(request.0.load(Ordering::Relaxed), 1);
    // While it runs: the backend says when it is over.
    let page = Page::default();
    let stream = all.open(owner("main"), "m", "chat", page.outlet()).unwrap();
    let request = Arc::new(CountedRequest(AtomicU32::new(0)));
    stream.bind(request.clone());
    assert!(text(&stream, "a").is_continue());
    stream.cancel();
    assert_eq!(request.0.load(Ordering::Relaxed), 1);
    assert!(!stream.is_ended());
    assert!(text(&stream, "b").is_break());
    stream.fail(Error::cancelled("stopped"));
    assert!(matches!(
        page.events().last(),
        Some(StreamEvent::Done { .. })
    ));
}

#[test]
fn a_closed_window_takes_its_streams_along() {
    let all = streams(0);
    let (ours, theirs) = (Page::default(), Page::default());
    let a = all.open(owner("main"), "m", "chat", ours.outlet()).unwrap();
    let b = all
        .open(owner("other"), "m", "chat", theirs.outlet())
        .unwrap();
    assert_eq!(all.list("main").len(), 1);
    all.close_window("main");
    assert!(text(&a, "x").is_break());
    assert!(text(&b, "x").is_continue());
    assert_eq!(ours.count(), 0);
    assert!(all.list("main").is_empty());
    assert_eq!(all.list("other")[0].stream, b.id);
}

#[test]
fn a_page_that_is_gone_does_no_harm() {
    let all = streams(0);
    let page = Page::default();
    let stream = all.open(owner("main"), "m", "chat", page.outlet()).unwrap();
    page.gone.store(true, Ordering::Relaxed);
    assert!(text(&stream, "a").is_continue());
    assert!(text(&stream, "b").is_continue());
    done(&stream);
    let next = Page::default();
    assert!(!stream.attach(next.outlet().unwrap(), 0));
    assert_eq!(next.text(), "ab");
}

#[test]
fn there_are_only_so_many() {
    let all = streams(0);
    let open = || all.open(owner("main"), "m", "chat", None);
    let running: Vec<_> = (0..MAX_RUNNING).map(|_| open().unwrap()).collect();
    assert_eq!(open().err().unwrap().code, "limit");
    running.iter().for_each(|stream| done(stream));
    for _ in 0..2 * MAX_ENDED {
        done(&open().unwrap());
    }
    assert!(lock(&all.map).len() <= MAX_ENDED);
}

#[test]
fn ids_are_long_and_differ() {
    let ids: std::collections::HashSet<_> = (0..1000).map(|_| new_id("s").unwrap()).collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| id.len() == 34));
}

#[test]
fn events_from_two_threads_while_pages_come_and_go() {
    let all = Arc::new(streams(1));
    let stream = all.open(owner("main"), "m", "chat", None).unwrap();
    let (tx, rx) = mpsc::channel();
    let feeder = stream.clone();
    let thread = std::thread::spawn(move || {
        for i in 0..30_000 {
            let _ = text(&feeder, &format!("{i} "));
        }
        done(&feeder);
        tx.send(()).unwrap();
    });
    let (mut got, mut after) = (String::new(), 0);
    loop {
        let over = rx.try_recv().is_ok();
        let page = Page::default();
        stream.attach(page.outlet().unwrap(), after);
        std::thread::sleep(Duration::from_millis(3));
        stream.detach();
        for event in page.events() {
            let value = serde_json::to_value(&event).unwrap();
            let seq = value["data"]["seq"].as_u64().unwrap();
            assert!(seq > after);
            after = seq;
            got.push_str(value["data"]["text"].as_str().unwrap_or(""));
        }
        if over {
            break;
        }
    }
    thread.join().unwrap();
    let all_text: String = (0..30_000).map(|i| format!("{i} ")).collect();
    assert_eq!(got, all_text);
}
