//! How near texts are to each other: `cargo run --example embeddings -- MODEL "a cat" "a kitten" "an engine"`
//!
//! Any model gives vectors; models trained for embeddings give better ones.
use ingle::{EmbedRequest, Engine, Model};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, texts @ ..] = arguments.as_slice() else {
        return Err("usage: embeddings MODEL TEXT...".into());
    };
    let engine = Engine::new(&Model::open(path)?)?;
    let vectors = engine.embed(EmbedRequest::new(texts))?;
    for (i, text) in texts.iter().enumerate() {
        let row: Vec<String> = vectors.iter().map(|other| format!("{:6.3}", vectors[i].cosine(other))).collect();
        println!("{} {text}", row.join(" "));
    }
    Ok(())
}
