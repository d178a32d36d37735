//! The stopwatch that the three programs share; what an app needs is in their main.rs alone.
//!
//! Arguments: MODEL THREADS TOKENS PROMPT. Prints one line of JSON.
use std::time::Instant;

pub struct Measure {
    pub model: String,
    #[allow(dead_code)] // candle takes it from the environment
    pub threads: usize,
    pub tokens: usize,
    pub prompt: String,
    start: Instant,
    loaded: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
    text: String,
}

impl Measure {
    pub fn start() -> Self {
        let args: Vec<String> = std::env::args().skip(1).collect();
        let [model, threads, tokens, prompt] = args.as_slice() else {
            eprintln!("usage: PROGRAM MODEL THREADS TOKENS PROMPT");
            std::process::exit(2);
        };
        let number = |text: &String| text.parse().expect("THREADS and TOKENS are numbers");
        Self {
            model: model.clone(),
            threads: number(threads),
            tokens: number(tokens),
            prompt: prompt.clone(),
            start: Instant::now(),
            loaded: None,
            first: None,
            last: None,
            text: String::new(),
        }
    }

    /// The model is ready; the request begins.
    pub fn loaded(&mut self) {
        self.loaded = Some(Instant::now());
    }

    /// A piece of the answer: here an app would send it to its page.
    pub fn text(&mut self, piece: &str) {
        let now = Instant::now();
        self.first.get_or_insert(now);
        self.last = Some(now);
        self.text.push_str(piece);
    }

    pub fn finish(&self, prompt_tokens: usize, output_tokens: usize) {
        let loaded = self.loaded.expect("loaded() was called");
        let first = self.first.expect("at least one piece of text came");
        let after_first = self.last.unwrap_or(first) - first;
        let speed = (output_tokens as f64 - 1.0) / after_first.as_secs_f64();
        println!(
            "{{\"load_ms\": {:.2}, \"first_token_ms\": {:.2}, \"prompt_tokens\": {prompt_tokens}, \
             \"output_tokens\": {output_tokens}, \"tokens_per_second\": {speed:.2}, \
             \"peak_rss_mb\": {:.1}, \"text\": {}}}",
            (loaded - self.start).as_secs_f64() * 1e3,
            (first - loaded).as_secs_f64() * 1e3,
            peak_rss_mb(),
            quoted(&self.text),
        );
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The highest resident size so far in MB of 10^6 bytes; 0 where /proc does not say it.
fn peak_rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) * 1024.0 / 1e6
}
