//! A typed value out of a text: `cargo run --example extract -- MODEL "Ada Lovelace was born in 1815 in London."`
use ingle::{Engine, Message, Model, Request};

#[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
#[allow(dead_code)]
struct Person {
    /// First and last name
    name: String,
    /// Year of birth
    born: i32,
    /// City of birth
    place: Option<String>,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(text)) = (arguments.next(), arguments.next()) else {
        return Err("usage: extract MODEL TEXT".into());
    };
    let engine = Engine::new(&Model::open(path)?)?;
    let request = Request::chat([Message::user(text)]).temperature(0.0).max_tokens(200);
    let person: Person = engine.extract(request)?;
    println!("{person:#?}");
    Ok(())
}
