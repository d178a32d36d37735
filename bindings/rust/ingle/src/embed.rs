//! Embeddings: texts to vectors.

use std::{
    ffi::{c_int, c_void},
    ops::ControlFlow,
};

use ingle_sys as sys;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    Engine, Result,
    ffi::{self, Guarded, Inside},
    model::to_json,
};

/// How the hidden states of a text's tokens become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Pooling {
    /// The mean of all tokens.
    #[default]
    Mean,
    /// The last token: what decoder models are trained on.
    Last,
    /// The first token.
    First,
}

impl Pooling {
    pub(crate) fn to_raw(self) -> sys::ingle_pooling {
        match self {
            Pooling::Mean => sys::INGLE_POOL_MEAN,
            Pooling::Last => sys::INGLE_POOL_LAST,
            Pooling::First => sys::INGLE_POOL_FIRST,
        }
    }
}

/// Texts to embed.
///
/// ```
/// use ingle::{EmbedRequest, Pooling};
/// let request = EmbedRequest::new(["a cat", "a dog"]).pooling(Pooling::Last).dimensions(128);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EmbedRequest {
    /// A text, a list of texts, a list of token ids, or a list of such lists.
    pub input: Value,
    /// How the tokens' vectors become one; the engine's default is the mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pooling: Option<Pooling>,
    /// Whether vectors are scaled to length 1; the engine's default is yes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// How many values to keep; the engine's default is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<u32>,
    /// Everything else that was there.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl EmbedRequest {
    /// One vector a text.
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> EmbedRequest {
        EmbedRequest::of(texts.into_iter().map(Into::into).collect::<Vec<String>>().into())
    }

    /// One vector a list of token ids.
    pub fn tokens(lists: impl IntoIterator<Item = Vec<i32>>) -> EmbedRequest {
        EmbedRequest::of(lists.into_iter().collect::<Vec<Vec<i32>>>().into())
    }

    fn of(input: Value) -> EmbedRequest {
        EmbedRequest { input, pooling: None, normalize: None, dimensions: None, other: Map::new() }
    }

    /// How the tokens' vectors become one.
    #[must_use]
    pub fn pooling(mut self, pooling: Pooling) -> EmbedRequest {
        self.pooling = Some(pooling);
        self
    }

    /// Whether vectors are scaled to length 1.
    #[must_use]
    pub fn normalize(mut self, yes: bool) -> EmbedRequest {
        self.normalize = Some(yes);
        self
    }

    /// Keep the first `n` values only, for models that are trained for it.
    #[must_use]
    pub fn dimensions(mut self, n: u32) -> EmbedRequest {
        self.dimensions = Some(n);
        self
    }
}

/// The vector of a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Embedding {
    /// The vector.
    pub values: Vec<f32>,
    /// Tokens in the text.
    pub tokens: u32,
}

impl Embedding {
    /// The cosine of the angle to another vector: 1 for the same direction, 0 for a vector of zeros.
    ///
    /// # Panics
    /// If the vectors are not of one length.
    pub fn cosine(&self, other: &Embedding) -> f32 {
        assert_eq!(self.values.len(), other.values.len(), "vectors of one model have one length");
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        let lengths = (dot(&self.values, &self.values) * dot(&other.values, &other.values)).sqrt();
        if lengths > 0.0 { (dot(&self.values, &other.values) / lengths) as f32 } else { 0.0 }
    }
}

type Receive<'a> = Box<dyn FnMut(usize, &[f32], u32) -> ControlFlow<()> + Send + 'a>;

/// The engine's thread calls it while the caller waits.
struct Receiver<'a> {
    call: Receive<'a>,
    engine: usize,
}

unsafe extern "C" fn on_embedding(ud: *mut c_void, index: usize, values: *const f32, width: usize, n: i32) -> c_int {
    // SAFETY: called during `embed_each` only, one call at a time; the values are valid during the call.
    unsafe {
        Guarded::<Receiver<'_>>::enter(ud, |receiver| {
            let _inside = Inside::enter(receiver.engine);
            (receiver.call)(index, std::slice::from_raw_parts(values, width), n.max(0) as u32)
        })
    }
}

impl Engine {
    /// Embeds texts with the hidden states of the model. Blocks; waits for requests that were queued before. The
    /// conversation stays as it is. [`Engine::cancel_all`] ends it.
    ///
    /// ```no_run
    /// # let engine = ingle::Engine::new(&ingle::Model::open("model.gguf")?)?;
    /// use ingle::EmbedRequest;
    /// let vectors = engine.embed(EmbedRequest::new(["a cat", "a dog"]))?;
    /// println!("{}", vectors[0].cosine(&vectors[1]));
    /// # Ok::<(), ingle::Error>(())
    /// ```
    pub fn embed(&self, request: EmbedRequest) -> Result<Vec<Embedding>> {
        let mut all = Vec::new();
        self.embed_each(request, |_, values, tokens| {
            all.push(Embedding { values: values.to_vec(), tokens });
            ControlFlow::Continue(())
        })?;
        Ok(all)
    }

    /// The same with a callback for each text's index, vector and tokens, on the engine's thread. `Break` cancels; a
    /// panic goes on here.
    pub fn embed_each(
        &self,
        request: EmbedRequest,
        call: impl FnMut(usize, &[f32], u32) -> ControlFlow<()> + Send,
    ) -> Result<()> {
        self.inner.not_inside()?;
        let json = to_json(&request)?;
        let mut guard = Guarded::new(Receiver { call: Box::new(call), engine: self.as_ptr() as usize });
        // SAFETY: the call blocks until nothing uses the guard any more.
        let result = ffi::check(|err| unsafe {
            let text = json.as_ptr().cast();
            sys::ingle_engine_embed(self.as_ptr(), text, json.len(), Some(on_embedding), guard.ud(), err)
        });
        guard.finish(result)
    }
}
