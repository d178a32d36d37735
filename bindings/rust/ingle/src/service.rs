//! The simple names that tutorials use: a service that loads a model and generates text.

use std::path::Path;

use crate::{Device, Engine, Event, Message, Model, Options, Request, Result, devices};

/// A model ready to answer. Clones are the same service, so it can be the state of an app.
///
/// ```no_run
/// use ingle::service::LlmService;
///
/// let service = LlmService::load_model("model.gguf")?;
/// println!("on {}", service.device().name);
/// let text = service.generate("Why is the sky blue?", 200, |token| print!("{token}"))?;
/// # Ok::<(), ingle::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LlmService {
    engine: Engine,
    device: Device,
}

impl LlmService {
    /// Opens a model and makes it ready on the best device there is.
    pub fn load_model(path: impl AsRef<Path>) -> Result<LlmService> {
        LlmService::load_model_with(path, &Options::new())
    }

    /// The same with options.
    pub fn load_model_with(path: impl AsRef<Path>, options: &Options) -> Result<LlmService> {
        let device = best_device()?;
        let model = Model::builder(path).options(options.clone()).open()?;
        Ok(LlmService { engine: Engine::with_options(&model, options)?, device })
    }

    /// Answers `prompt`: as a chat turn where the model has a chat template, else by going on with the text.
    /// `on_token` gets each piece as it comes, on this thread. Gives the whole text.
    pub fn generate(&self, prompt: &str, max_tokens: u32, on_token: impl FnMut(&str)) -> Result<String> {
        let request = match self.engine.model().template()? {
            Some(_) => Request::chat([Message::user(prompt)]),
            None => Request::prompt(prompt),
        };
        self.generate_request(request.max_tokens(max_tokens), on_token)
    }

    /// The same for any request.
    pub fn generate_request(&self, request: Request, mut on_token: impl FnMut(&str)) -> Result<String> {
        let mut text = String::new();
        for event in self.engine.stream(request)?.blocking() {
            if let Event::Text(piece) = event? {
                on_token(&piece);
                text.push_str(&piece);
            }
        }
        Ok(text)
    }

    /// Ends what is being generated; [`LlmService::generate`] then gives what there is.
    pub fn cancel(&self) {
        self.engine.cancel_all();
    }

    /// The device that is used.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The engine, for everything else.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }
}

fn best_device() -> Result<Device> {
    let none = || crate::Error::new(crate::Code::Device, "no device can be used");
    devices()?.into_iter().find(|d| d.usable).ok_or_else(none)
}
