//! Models: weights, vocabulary and chat template.

use std::{
    collections::BTreeMap,
    ffi::{c_char, c_int, c_void},
    fmt,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
};

use ingle_sys as sys;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{
    Code, Error, Message, Options, Result, Tool,
    ffi::{self, Guarded},
    options::LogHook,
};

/// An opened model: read-only, shared by all its clones, used by any number of threads at once. Files are mapped,
/// not copied. It is closed when the last clone, engine and session of it are gone.
///
/// ```no_run
/// let model = ingle::Model::open("model.gguf")?;
/// println!("{} with {} parameters", model.info()?.name, model.info()?.parameters);
/// # Ok::<(), ingle::Error>(())
/// ```
#[derive(Clone)]
pub struct Model {
    inner: Arc<Inner>,
}

struct Inner {
    ptr: *mut sys::ingle_model,
    path: PathBuf,
    _log: Option<Arc<LogHook>>,
}

// SAFETY: "A model may be used by any number of threads at once" (ingle.h).
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: engines and sessions hold a clone of the model, so none is left.
        unsafe { sys::ingle_model_close(self.ptr) };
    }
}

impl Model {
    /// Gives the memory of GPUs back: weights, keys and values, working buffers. Sessions and engines stay as they are;
    /// the next pass brings there again what it needs. Waits for a pass that runs.
    pub fn rest(&self) {
        // SAFETY: the model is open as long as `inner` lives, and any thread may call this.
        unsafe { sys::ingle_model_rest(self.inner.ptr) };
    }

    /// Opens a `.gguf` file (any part of a split one) or a folder with `config.json` and `.safetensors` files.
    pub fn open(path: impl AsRef<Path>) -> Result<Model> {
        Model::builder(path).open()
    }

    /// Opens a model with options, progress or both.
    ///
    /// Another thread cancels through the progress callback, which is called at least every 50 ms:
    ///
    /// ```no_run
    /// use std::{ops::ControlFlow, sync::atomic::{AtomicBool, Ordering}};
    ///
    /// static STOP: AtomicBool = AtomicBool::new(false);
    /// let model = ingle::Model::builder("model.gguf")
    ///     .on_progress(|what, done| {
    ///         println!("{what} {:.0} %", done * 100.0);
    ///         if STOP.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    ///     })
    ///     .open()?;
    /// # Ok::<(), ingle::Error>(())
    /// ```
    pub fn builder<'a>(path: impl AsRef<Path>) -> ModelBuilder<'a> {
        ModelBuilder { path: path.as_ref().to_path_buf(), options: Options::new(), progress: None }
    }

    pub(crate) fn as_ptr(&self) -> *const sys::ingle_model {
        self.inner.ptr
    }

    /// The path it was opened with.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    fn describe(&self, view: sys::ingle_model_view) -> Result<String> {
        ffi::collect(|push, ud, err| unsafe { sys::ingle_model_describe(self.as_ptr(), view, push, ud, err) })
    }

    /// Family, sizes, context, memory needed, special tokens.
    pub fn info(&self) -> Result<ModelInfo> {
        parse(&self.info_json()?)
    }

    /// The same as the JSON text that the library writes.
    pub fn info_json(&self) -> Result<String> {
        self.describe(sys::INGLE_VIEW_INFO)
    }

    /// All metadata keys of the file; long arrays are shortened to `{"count": n, "first": [...]}`.
    pub fn metadata(&self) -> Result<Map<String, Value>> {
        parse(&self.describe(sys::INGLE_VIEW_METADATA)?)
    }

    /// Name, type, shape and size of every tensor.
    pub fn tensors(&self) -> Result<Vec<TensorInfo>> {
        parse(&self.describe(sys::INGLE_VIEW_TENSORS)?)
    }

    /// The chat template's source, or `None` if the model has none.
    pub fn template(&self) -> Result<Option<String>> {
        match self.describe(sys::INGLE_VIEW_TEMPLATE) {
            Ok(source) => Ok(Some(source)),
            Err(e) if e.code == Code::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// The list of operations that is executed, as text.
    pub fn plan(&self) -> Result<String> {
        self.describe(sys::INGLE_VIEW_PLAN)
    }

    /// Tokens in the vocabulary.
    pub fn vocab_size(&self) -> usize {
        unsafe { sys::ingle_model_vocab_size(self.as_ptr()) }.max(0) as usize
    }

    /// Positions the model was trained for.
    pub fn context_size(&self) -> usize {
        unsafe { sys::ingle_model_context_size(self.as_ptr()) }.max(0) as usize
    }

    /// Width of the hidden state, which is the width of embeddings.
    pub fn width(&self) -> usize {
        unsafe { sys::ingle_model_width(self.as_ptr()) }.max(0) as usize
    }

    /// Text to token ids.
    ///
    /// ```no_run
    /// # let model = ingle::Model::open("model.gguf")?;
    /// use ingle::TokenizeOptions;
    /// let ids = model.tokenize("Hello", TokenizeOptions::default())?;
    /// assert_eq!(model.detokenize(&ids, false)?, "Hello");
    /// # Ok::<(), ingle::Error>(())
    /// ```
    pub fn tokenize(&self, text: &str, options: TokenizeOptions) -> Result<Vec<i32>> {
        let flag = |on: bool, bit| if on { bit } else { 0 };
        let flags =
            flag(options.add_special, sys::INGLE_ADD_SPECIAL) | flag(options.parse_special, sys::INGLE_PARSE_SPECIAL);
        // Most tokens are longer than a byte or two; the second try has the size asked for.
        let mut ids = vec![0; text.len() / 2 + 16];
        loop {
            let (mut n, cap) = (0, ids.len());
            // SAFETY: `ids` has room for `cap` ids.
            let status = ffi::check(|err| unsafe {
                let text_ptr = text.as_ptr().cast();
                sys::ingle_tokenize(self.as_ptr(), text_ptr, text.len(), flags, ids.as_mut_ptr(), cap, &mut n, err)
            });
            match status {
                Err(e) if e.code == Code::Limit && n > cap => ids.resize(n, 0),
                Err(e) => return Err(e),
                Ok(()) => {
                    ids.truncate(n);
                    return Ok(ids);
                }
            }
        }
    }

    /// Token ids to text. Bytes that are no UTF-8 become U+FFFD; with `spell_special`, control tokens are spelled out.
    pub fn detokenize(&self, ids: &[i32], spell_special: bool) -> Result<String> {
        let flags = if spell_special { sys::INGLE_PARSE_SPECIAL } else { 0 };
        // SAFETY: the slice is valid during the call.
        ffi::collect(|push, ud, err| unsafe {
            sys::ingle_detokenize(self.as_ptr(), ids.as_ptr(), ids.len(), flags, push, ud, err)
        })
    }

    /// The token's bytes as they are in the vocabulary: possibly a part of a character.
    pub fn token_bytes(&self, id: i32) -> Result<&[u8]> {
        let (mut bytes, mut len) = (std::ptr::null(), 0);
        ffi::check(|err| unsafe { sys::ingle_token_bytes(self.as_ptr(), id, &mut bytes, &mut len, err) })?;
        // SAFETY: valid until the model is closed, which `self` prevents.
        Ok(unsafe { ffi::bytes(bytes, len) })
    }

    /// Whether generation ends at this token.
    pub fn token_is_end(&self, id: i32) -> bool {
        unsafe { sys::ingle_token_is_end(self.as_ptr(), id) != 0 }
    }

    /// Renders a chat with the model's template. The engine does this by itself; it is here to look at a prompt, or to
    /// count its tokens.
    ///
    /// ```no_run
    /// # let model = ingle::Model::open("model.gguf")?;
    /// use ingle::{Message, TemplateInput};
    /// let prompt = model.apply_template(&TemplateInput::new(vec![Message::user("Hello")]))?;
    /// # Ok::<(), ingle::Error>(())
    /// ```
    pub fn apply_template(&self, input: &TemplateInput) -> Result<String> {
        let json = to_json(input)?;
        render(self.as_ptr(), None, &json)
    }

    /// Renders a chat with a template of yours and this model's special tokens.
    pub fn apply_template_source(&self, source: &str, input: &TemplateInput) -> Result<String> {
        let json = to_json(input)?;
        render(self.as_ptr(), Some(source), &json)
    }
}

fn render(model: *const sys::ingle_model, source: Option<&str>, json: &str) -> Result<String> {
    let (source, len) = source.map_or((std::ptr::null(), 0), |s| (s.as_ptr().cast(), s.len()));
    // SAFETY: both texts are valid during the call.
    ffi::collect(|push, ud, err| unsafe {
        sys::ingle_template_render(model, source, len, json.as_ptr().cast(), json.len(), push, ud, err)
    })
}

/// Text that the library wrote.
pub(crate) fn parse<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|e| {
        Error::new(Code::Internal, format!("the library wrote JSON that cannot be read: {e}"))
            .with_hint("please report it")
    })
}

/// A value of the caller's as JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|e| Error::new(Code::BadArgument, format!("cannot be written as JSON: {e}")))
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("path", &self.inner.path).finish()
    }
}

type Progress<'a> = Box<dyn FnMut(&str, f64) -> ControlFlow<()> + 'a>;

/// Opens a model; from [`Model::builder`].
#[must_use = "nothing is opened before `open`"]
pub struct ModelBuilder<'a> {
    path: PathBuf,
    options: Options,
    progress: Option<Progress<'a>>,
}

impl fmt::Debug for ModelBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelBuilder").field("path", &self.path).field("options", &self.options).finish()
    }
}

impl<'a> ModelBuilder<'a> {
    /// Options of group "model".
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Called at least every 50 ms with what is being done and how much of it (0 to 1). `Break` cancels.
    pub fn on_progress(mut self, call: impl FnMut(&str, f64) -> ControlFlow<()> + 'a) -> Self {
        self.progress = Some(Box::new(call));
        self
    }

    /// Opens the model. A panic in the progress callback goes on here.
    pub fn open(self) -> Result<Model> {
        unsafe extern "C" fn on_progress(ud: *mut c_void, what: *const c_char, done: f64) -> c_int {
            // SAFETY: called during `open` only, with the guard's pointer and static text.
            unsafe { Guarded::<Progress<'_>>::enter(ud, |call| call(ffi::c_text(what), done)) }
        }
        let raw = self.options.to_raw()?;
        let path = ffi::c_path(&self.path)?;
        let mut guard = Guarded::new(self.progress.unwrap_or_else(|| Box::new(|_, _| ControlFlow::Continue(()))));
        let opened = ffi::open(|out, err| unsafe {
            sys::ingle_options_on_progress(raw.ptr, Some(on_progress), guard.ud());
            sys::ingle_model_open(out, path.as_ptr(), raw.ptr, err)
        });
        let model =
            opened.map(|ptr| Model { inner: Arc::new(Inner { ptr, path: self.path, _log: self.options.log() }) });
        guard.finish(model)
    }
}

/// How text becomes tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenizeOptions {
    /// Begin and end tokens as the model wants them.
    pub add_special: bool,
    /// Special tokens written in the text become tokens. Leave it off for text of strangers.
    pub parse_special: bool,
}

impl Default for TokenizeOptions {
    fn default() -> Self {
        TokenizeOptions { add_special: true, parse_special: false }
    }
}

/// What a chat template is rendered with.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TemplateInput {
    /// The chat.
    pub messages: Vec<Message>,
    /// Tools the model may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    /// Whether the prompt ends where the answer begins.
    #[serde(default, alias = "addGenerationPrompt")]
    pub add_generation_prompt: bool,
    /// Other variables that the template knows.
    #[serde(default, rename = "chat_template_kwargs", alias = "variables", skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
}

impl TemplateInput {
    /// A chat whose answer comes next.
    pub fn new(messages: Vec<Message>) -> TemplateInput {
        TemplateInput { messages, add_generation_prompt: true, ..TemplateInput::default() }
    }
}

/// What a model is. Written in camelCase, read as the library writes it; fields that this version does not know are
/// kept in `other`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"))]
#[non_exhaustive]
pub struct ModelInfo {
    /// Path it was opened with.
    pub path: String,
    /// Its own name, may be empty.
    pub name: String,
    /// `"gguf"` or `"safetensors"`.
    pub format: String,
    /// `"llama"`, `"qwen3"` and so on.
    pub family: String,
    /// Weights.
    pub parameters: u64,
    /// Layers.
    pub layers: u32,
    /// Width of the hidden state.
    pub width: u32,
    /// Width inside the feed-forward network.
    pub feed_forward: u32,
    /// Attention heads.
    pub heads: u32,
    /// Heads of keys and values.
    pub kv_heads: u32,
    /// Width of a head.
    pub head_size: u32,
    /// Positions it was trained for.
    pub context: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Experts of a mixture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experts: Option<u32>,
    /// Of those, used for a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experts_used: Option<u32>,
    /// How many tensors there are of each type.
    pub tensor_types: BTreeMap<String, u32>,
    /// Tensors.
    pub tensors: u32,
    /// Kind of vocabulary, `"none"` if it has none.
    pub tokenizer: String,
    /// By role: `"bos"`, `"eos"` ...
    pub special_tokens: BTreeMap<String, SpecialToken>,
    /// Whether it has a chat template.
    pub chat_template: bool,
    /// Bytes it needs.
    pub memory: ModelMemory,
    /// How long opening took.
    pub load_seconds: f64,
    /// What newer versions of the library add.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A token with a role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SpecialToken {
    /// Its id.
    pub id: i32,
    /// How it is written.
    pub text: String,
}

/// Bytes that a model needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all(serialize = "camelCase"))]
#[non_exhaustive]
pub struct ModelMemory {
    /// Weights, mapped from the file.
    pub weights: u64,
    /// Weights that had to be copied.
    pub copied: u64,
    /// Keys and values of a position.
    pub kv_per_token: u64,
    /// Keys and values at the context a session has if none is asked for.
    pub kv_at_default_context: u64,
    /// All of it.
    pub total: u64,
    /// What newer versions of the library add.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// A tensor of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TensorInfo {
    /// Its name.
    pub name: String,
    /// Its block type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Rows first.
    pub shape: Vec<u64>,
    /// Its size.
    pub bytes: u64,
}
