//! Loads a GGUF file and streams a greedy answer: the least an app has to write with candle.
//! The number of threads comes from the environment (CANDLE_NUM_THREADS, RAYON_NUM_THREADS).
#[path = "../../measure.rs"]
mod measure;

use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use candle_core::{Device, Tensor};
use candle_transformers::generation::LogitsProcessor;
use candle_transformers::models::quantized_llama::ModelWeights;
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut run = measure::Measure::start();
    let mut file = std::io::BufReader::new(std::fs::File::open(&run.model)?);
    let content = Content::read(&mut file)?;
    let mut tokenizer = Tokenizer::from_gguf(&content)?;
    // candle knows no pre-tokenizer "smollm" and takes GPT-2's with a leading space instead.
    let split = vec![
        Digits::new(true).into(),
        ByteLevel::new(false, true, true).into(),
    ];
    tokenizer.with_pre_tokenizer(Some(Sequence::new(split)));
    let end = content.metadata["tokenizer.ggml.eos_token_id"].to_u32()?;
    let mut model = ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?;
    run.loaded();

    let prompt = tokenizer.encode(run.prompt.as_str(), true)?;
    let mut sampler = LogitsProcessor::new(0, None, None);
    let mut stream = tokenizer.decode_stream(true);
    let mut input = prompt.get_ids().to_vec();
    let mut position = 0;
    let mut output = 0;
    while output < run.tokens {
        let tensor = Tensor::new(input.as_slice(), &Device::Cpu)?.unsqueeze(0)?;
        let logits = model.forward(&tensor, position)?.squeeze(0)?;
        let token = sampler.sample(&logits)?;
        if token == end {
            break;
        }
        if let Some(text) = stream.step(token)? {
            run.text(&text);
        }
        position += input.len();
        input = vec![token];
        output += 1;
    }
    run.finish(prompt.len(), output);
    Ok(())
}
