//! A tool loop: `cargo run --example tools -- MODEL "What is 17 times 23?"`
//!
//! The tools go through the model's chat template. What the model answers is text: calls are found in it here. The
//! engine will find them itself, and stream them as events, in a later version. Small models seldom call tools well.
use ingle::{Engine, Message, Model, Request, Tool, ToolCall, partial};
use serde_json::Value;

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Multiply {
    /// First factor
    a: f64,
    /// Second factor
    b: f64,
}

/// A call as most models write it: `{"name": ..., "arguments": {...}}`, within tags or not.
fn find_call(answer: &str) -> Option<(String, Value)> {
    partial::candidates(answer).filter(|parsed| parsed.complete).find_map(|parsed| {
        let value = parsed.value.get(0).cloned().unwrap_or(parsed.value);
        let name = value.get("name")?.as_str()?.to_string();
        let arguments = value.get("arguments").or_else(|| value.get("parameters"))?;
        Some((name, arguments.clone()))
    })
}

/// The result, or what is wrong with the call: both go back to the model.
fn call(name: &str, arguments: Value) -> String {
    match name {
        "multiply" => match serde_json::from_value::<Multiply>(arguments) {
            Ok(Multiply { a, b }) => (a * b).to_string(),
            Err(e) => format!("error: {e}"),
        },
        _ => format!("error: there is no tool {name}"),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(question)) = (arguments.next(), arguments.next()) else {
        return Err("usage: tools MODEL QUESTION".into());
    };
    let engine = Engine::new(&Model::open(path)?)?;
    let tools = [Tool::of::<Multiply>("multiply", "Multiplies two numbers")];
    let mut chat = vec![Message::user(question)];
    for turn in 0..4 {
        let request = Request::chat(chat.clone()).tools(tools.clone()).temperature(0.0).max_tokens(200);
        let answer = engine.run(request)?.text;
        let Some((name, arguments)) = find_call(&answer) else {
            println!("{answer}");
            return Ok(());
        };
        let id = format!("call_{turn}");
        let result = call(&name, arguments.clone());
        println!("[{name} {arguments} -> {result}]");
        chat.push(Message::assistant_calls(vec![ToolCall::new(&id, name, arguments.to_string())]));
        chat.push(Message::tool(id, result));
    }
    Err("the model does not stop calling tools".into())
}
