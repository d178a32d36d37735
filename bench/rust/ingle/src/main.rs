//! Loads a GGUF file and streams a greedy answer: the least an app has to write with ingle.
#[path = "../../measure.rs"]
mod measure;

use ingle::{Engine, Event, Model, Options, Request};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut run = measure::Measure::start();
    let mut options = Options::new();
    options.set("threads", run.threads)?.set("context", 2048)?;
    let model = Model::open(&run.model)?;
    let engine = Engine::with_options(&model, &options)?;
    run.loaded();

    let request = Request::prompt(run.prompt.as_str()).max_tokens(u32::try_from(run.tokens)?);
    let run = Arc::new(Mutex::new(run));
    let page = run.clone();
    let answer = engine.submit(request.temperature(0.0), move |event| {
        if let Ok(Event::Text(piece)) = event {
            page.lock().unwrap().text(&piece);
        }
        ControlFlow::Continue(())
    })?;
    let usage = answer.wait()?.usage;
    let run = run.lock().unwrap();
    run.finish(usage.prompt_tokens as usize, usage.output_tokens as usize);
    Ok(())
}
