//! The model store over the network: a server in this process, the real transport.
#![cfg(feature = "download")]

mod common;

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    ops::ControlFlow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use common::{folder, golden};
use ingle::{
    Code, Model, Result,
    hub::{HttpRequest, Hub, Phase, Progress, Sink, Transport},
};

/// What the server does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Serve,
    /// Takes requests and says nothing.
    Silent,
    /// Sends the head and a first piece, then nothing.
    Stuck,
    /// Promises more than it sends.
    Cut,
}

struct Server {
    address: String,
    mood: Mutex<Mood>,
    bytes: Vec<u8>,
    requests: Mutex<Vec<(String, HashMap<String, String>)>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
    slow: AtomicBool,
}

impl Server {
    fn start(bytes: Vec<u8>) -> Arc<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Arc::new(Server {
            address: format!("http://{}", listener.local_addr().unwrap()),
            mood: Mutex::new(Mood::Serve),
            bytes,
            requests: Mutex::default(),
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            slow: AtomicBool::new(false),
        });
        let shared = Arc::clone(&server);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let server = Arc::clone(&shared);
                thread::spawn(move || server.talk(stream.unwrap()));
            }
        });
        server
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn talk(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        loop {
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                if !matches!(reader.read_line(&mut line), Ok(n) if n > 0) {
                    return;
                }
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.trim().to_string());
            }
            let path = head[0].split(' ').nth(1).unwrap().to_string();
            let split = |l: &String| l.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_string()));
            let headers: HashMap<String, String> = head[1..].iter().filter_map(split).collect();
            self.requests.lock().unwrap().push((path.clone(), headers.clone()));
            let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_open.fetch_max(open, Ordering::SeqCst);
            let done = self.answer(&stream, &path, &headers);
            self.open.fetch_sub(1, Ordering::SeqCst);
            if done.is_err() {
                return;
            }
        }
    }

    fn answer(&self, mut out: &TcpStream, path: &str, headers: &HashMap<String, String>) -> std::io::Result<()> {
        if let Some(target) = path.strip_prefix("/moved") {
            return write!(out, "HTTP/1.1 302 Found\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n");
        }
        if path != "/tiny.gguf" {
            return write!(out, "HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\nnone");
        }
        let mood = *self.mood.lock().unwrap();
        let stop = || Err(std::io::Error::other("enough"));
        if mood == Mood::Silent {
            thread::sleep(Duration::from_secs(20));
            return stop();
        }
        let range = headers.get("range").and_then(|r| r.strip_prefix("bytes=")).and_then(|r| r.split_once('-'));
        let total = self.bytes.len();
        let (from, to) = match range {
            Some((from, to)) => (from.parse().unwrap(), to.parse().map_or(total, |t: usize| (t + 1).min(total))),
            None => (0, total),
        };
        let status = if range.is_some() { "206 Partial Content" } else { "200 OK" };
        let body = &self.bytes[from..to];
        write!(
            out,
            "HTTP/1.1 {status}\r\ncontent-length: {}\r\netag: \"one\"\r\naccept-ranges: bytes\r\n",
            body.len()
        )?;
        if range.is_some() {
            write!(out, "content-range: bytes {from}-{}/{total}\r\n", to - 1)?;
        }
        write!(out, "\r\n")?;
        match mood {
            Mood::Stuck => {
                out.write_all(&body[..body.len().min(1000)])?;
                thread::sleep(Duration::from_secs(20));
                stop()
            }
            Mood::Cut => {
                out.write_all(&body[..body.len() / 2])?;
                stop()
            }
            _ if self.slow.load(Ordering::Relaxed) => body.chunks(16 << 10).try_for_each(|piece| {
                out.write_all(piece)?;
                thread::sleep(Duration::from_millis(10));
                Ok(())
            }),
            _ => out.write_all(body),
        }
    }
}

fn tiny_bytes() -> Vec<u8> {
    std::fs::read(golden("llama-256")).unwrap()
}

fn go(_: &Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn a_model_is_pulled_listed_checked_and_removed() {
    let server = Server::start(tiny_bytes());
    let home = folder("hub");
    let hub = Hub::builder().home(&home).connections(3).set("range-bytes", 1 << 20).open().unwrap();
    let mut seen = Vec::new();
    let what = format!("{}/moved/tiny.gguf", server.address);
    let pulled = hub
        .pull(&what, |progress| {
            assert!(progress.bytes_total.is_none_or(|total| progress.bytes_done <= total));
            seen.push(progress.clone());
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(pulled.bytes, server.bytes.len() as u64);
    assert_eq!(std::fs::read(&pulled.path).unwrap(), server.bytes);
    let last = seen.last().unwrap();
    assert_eq!((last.phase, last.bytes_done), (Phase::Done, pulled.bytes));
    assert!(seen.iter().any(|p| p.phase == Phase::Download));
    Model::open(&pulled.path).unwrap();
    let user_agents: Vec<_> =
        server.requests.lock().unwrap().iter().map(|r| r.1.get("user-agent").cloned().unwrap_or_default()).collect();
    assert!(user_agents.iter().all(|u| u.starts_with("ingle/")), "the hub says who asks: {user_agents:?}");

    let list = hub.list().unwrap();
    assert_eq!((list.len(), list[0].name.as_str(), list[0].complete), (1, pulled.name.as_str(), true));
    assert_eq!(serde_json::to_value(&list[0]).unwrap()["partBytes"], 0);
    assert_eq!(hub.find(&pulled.name).unwrap().to_str(), Some(pulled.path.as_str()));
    hub.verify(&pulled.name, go).unwrap();
    let mut spoiled = server.bytes.clone();
    *spoiled.last_mut().unwrap() ^= 1;
    std::fs::write(&pulled.path, spoiled).unwrap();
    assert_eq!(hub.verify(&pulled.name, go).unwrap_err().code, Code::BadFile);
    hub.remove(&pulled.name).unwrap();
    assert!(hub.list().unwrap().is_empty());
    assert_eq!(hub.find(&pulled.name).unwrap_err().code, Code::NotFound);
    assert_eq!(hub.remove(&pulled.name).unwrap_err().code, Code::NotFound);
}

#[test]
fn a_cancelled_pull_goes_on_where_it_stopped() {
    let mut bytes = tiny_bytes();
    bytes.resize(8 << 20, 0);
    let server = Server::start(bytes);
    server.slow.store(true, Ordering::Relaxed);
    let hub = Hub::builder().home(folder("resume")).connections(1).open().unwrap();
    let what = format!("{}/tiny.gguf", server.address);
    let half = server.bytes.len() as u64 / 2;
    let stop = |p: &Progress| if p.bytes_done >= half { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    let error = hub.pull(&what, stop).unwrap_err();
    assert_eq!(error.code, Code::Cancelled);
    let part = &hub.list().unwrap()[0];
    assert!(!part.complete && part.part_bytes > 0, "{part:?}");
    server.slow.store(false, Ordering::Relaxed);
    let mut resumed = 0;
    let pulled = hub
        .pull(&what, |progress| {
            resumed = resumed.max(progress.bytes_resumed);
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(resumed > 0);
    assert_eq!(std::fs::read(&pulled.path).unwrap(), server.bytes);
    // What is there is not loaded again.
    let before = server.requests.lock().unwrap().iter().filter(|r| r.1.contains_key("range")).count();
    hub.pull(&what, go).unwrap();
    let after = server.requests.lock().unwrap().iter().filter(|r| r.1.contains_key("range")).count();
    assert!(after <= before + 1, "{before} {after}");
}

#[test]
fn several_connections_share_a_file() {
    let mut bytes = tiny_bytes();
    bytes.resize(6 << 20, 1);
    let server = Server::start(bytes);
    server.slow.store(true, Ordering::Relaxed);
    let hub = Hub::builder().home(folder("several")).connections(3).set("range-bytes", 1 << 20).open().unwrap();
    let pulled = hub.pull(&format!("{}/tiny.gguf", server.address), go).unwrap();
    assert_eq!(std::fs::read(&pulled.path).unwrap(), server.bytes);
    let most = server.most_open.load(Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most} connections at once");
}

#[test]
fn a_silent_server_does_not_hold_a_cancel() {
    for mood in [Mood::Silent, Mood::Stuck] {
        let server = Server::start(tiny_bytes());
        server.set(mood);
        let hub = Hub::builder().home(folder("silent")).open().unwrap();
        let what = format!("{}/tiny.gguf", server.address);
        let start = Instant::now();
        let (mut asked, mut longest, mut last) = (None, Duration::ZERO, Instant::now());
        let error = hub
            .pull(&what, |_| {
                longest = longest.max(last.elapsed());
                last = Instant::now();
                if start.elapsed() < Duration::from_millis(400) {
                    return ControlFlow::Continue(());
                }
                asked.get_or_insert_with(Instant::now);
                ControlFlow::Break(())
            })
            .unwrap_err();
        let took = asked.unwrap().elapsed();
        assert_eq!(error.code, Code::Cancelled);
        eprintln!("cancelled after {took:?}, progress at least every {longest:?}");
        assert!(took < Duration::from_millis(250), "{took:?}");
        // The sockets are closed, too: the server's side of each notices when it writes or reads.
    }
}

#[test]
fn failures_say_what_failed() {
    let server = Server::start(tiny_bytes());
    let hub = Hub::builder().home(folder("failures")).set("retries", 1).open().unwrap();
    let error = hub.pull(&format!("{}/other.gguf", server.address), go).unwrap_err();
    assert_eq!(error.code, Code::NotFound, "{error}");
    server.set(Mood::Cut);
    hub.set("retries", 0).unwrap();
    let error = hub.pull(&format!("{}/tiny.gguf", server.address), go);
    // Each try brings something, so it may get through by itself; never with wrong bytes.
    if let Ok(pulled) = &error {
        assert_eq!(std::fs::read(&pulled.path).unwrap(), server.bytes);
    }
    let error = hub.pull("http://127.0.0.1:1/tiny.gguf", go).unwrap_err();
    assert_eq!(error.code, Code::Io, "{error}");
    assert!(!error.message.is_empty());
    // TLS is there and speaks: a server without it is refused, not followed.
    let error = hub.pull(&format!("{}/tiny.gguf", server.address.replace("http:", "https:")), go).unwrap_err();
    assert!(matches!(error.code, Code::Io | Code::Unsupported), "{error:?}");
    eprintln!("https to a server without TLS: {error}");
    hub.set("offline", true).unwrap();
    let error = hub.pull(&format!("{}/tiny2.gguf", server.address), go).unwrap_err();
    assert_ne!(error.code, Code::Internal, "{error}");
    assert!(hub.set("connections", 99).is_err() && hub.set("no-such", 1).is_err());
    assert!(hub.pull("", go).is_err() && hub.pull("a\0b", go).is_err());
    let caught = std::panic::catch_unwind(|| {
        let hub = Hub::builder().home(folder("panic")).open().unwrap();
        hub.pull(&format!("{}/tiny.gguf", server.address), |_| panic!("in progress")).map(|_| ())
    });
    assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"in progress"));
}

/// A transport of one's own, from memory.
struct Memory(Vec<u8>, bool);

impl Transport for Memory {
    fn exchange(&self, request: &HttpRequest<'_>, sink: &mut dyn Sink) -> Result<()> {
        assert!(!self.1, "a transport that panics");
        assert_eq!((request.method, request.url), ("GET", "https://models.example/a.gguf"));
        let length = ("Content-Length".to_string(), self.0.len().to_string());
        if sink.head(200, &[length]).is_continue() && sink.heartbeat().is_continue() {
            let _ = sink.body(&self.0);
        }
        Ok(())
    }
}

#[test]
fn another_transport_can_bring_the_bytes() {
    let bytes = std::fs::read(golden("llama")).unwrap();
    let hub = Hub::builder().home(folder("memory")).transport(Memory(bytes.clone(), false)).open().unwrap();
    let pulled = hub.pull("https://models.example/a.gguf", go).unwrap();
    assert_eq!(std::fs::read(&pulled.path).unwrap(), bytes);
    let hub = Hub::builder().home(folder("panics")).transport(Memory(bytes, true)).open().unwrap();
    let error = hub.pull("https://models.example/a.gguf", go).unwrap_err();
    assert!(error.message.contains("a transport that panics"), "{error}");
}
