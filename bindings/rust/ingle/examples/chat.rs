//! Streams an answer: `cargo run --example chat -- MODEL "Why is the sky blue?"`
use std::io::Write;

use ingle::{Engine, Event, Message, Model, Request};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(question)) = (arguments.next(), arguments.next()) else {
        return Err("usage: chat MODEL QUESTION".into());
    };
    let engine = Engine::new(&Model::open(path)?)?;
    let request = Request::chat([Message::user(question)]).max_tokens(400);
    let mut out = std::io::stdout();
    for event in engine.stream(request)?.blocking() {
        match event? {
            Event::Text(piece) => write!(out, "{piece}").and_then(|()| out.flush())?,
            Event::Done(done) => eprintln!("\n[{:.1} tokens/s]", done.timings.tokens_per_second),
            _ => {}
        }
    }
    Ok(())
}
