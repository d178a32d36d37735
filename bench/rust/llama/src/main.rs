//! Loads a GGUF file and streams a greedy answer: the least an app has to write with llama-cpp-2.
#[path = "../../measure.rs"]
mod measure;

use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::sampling::LlamaSampler;
use std::num::NonZeroU32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut run = measure::Measure::start();
    let threads = i32::try_from(run.threads)?;
    let mut backend = LlamaBackend::init()?;
    backend.void_logs();
    let model = LlamaModel::load_from_file(&backend, &run.model, &LlamaModelParams::default())?;
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(2048))
        .with_n_threads(threads)
        .with_n_threads_batch(threads);
    let mut context = model.new_context(&backend, params)?;
    run.loaded();

    let vocab = model.vocab();
    let prompt = vocab.tokenize(run.prompt.as_bytes(), true, true);
    let mut batch = LlamaBatch::new(prompt.len(), 1);
    batch.add_sequence(&prompt, 0, false)?;
    let mut sampler = LlamaSampler::greedy();
    let mut pending = Vec::new();
    let mut output = 0;
    while output < run.tokens {
        context.decode(&mut batch)?;
        let token = sampler.sample(&context, batch.n_tokens() - 1);
        if vocab.is_eog(token) {
            break;
        }
        pending.extend(vocab.token_to_piece(token, false, None));
        if let Ok(text) = std::str::from_utf8(&pending) {
            run.text(text);
            pending.clear();
        }
        batch.clear();
        batch.add(token, i32::try_from(prompt.len() + output)?, &[0], true)?;
        output += 1;
    }
    run.finish(prompt.len(), output);
    Ok(())
}
