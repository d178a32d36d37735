//! Sessions: tokens in, logits out.

use std::{
    ffi::{c_int, c_void},
    fmt,
    ops::ControlFlow,
    path::Path,
    sync::{Arc, Weak},
};

use ingle_sys as sys;

use crate::{
    Code, Error, Model, Options, Pooling, Result,
    ffi::{self, Guarded},
    options::LogHook,
};

/// One timeline of tokens with their keys and values.
///
/// ```no_run
/// use ingle::{Model, TokenizeOptions, session::Session};
///
/// let model = Model::open("model.gguf")?;
/// let mut session = Session::new(&model)?;
/// session.sync(&model.tokenize("The capital of France is", TokenizeOptions::default())?)?;
/// for _ in 0..16 {
///     let id = session.sample()?;
///     if model.token_is_end(id) {
///         break;
///     }
///     print!("{}", model.detokenize(&[id], false)?);
///     session.step(id)?;
/// }
/// # Ok::<(), ingle::Error>(())
/// ```
pub struct Session {
    inner: Arc<Inner>,
    model: Model,
}

struct Inner {
    ptr: *mut sys::ingle_session,
    // Closed before these are dropped.
    _model: Model,
    _log: Option<Arc<LogHook>>,
}

// SAFETY: a session may move between threads; what is shared is only used to cancel, which any thread may do.
unsafe impl Send for Inner {}
unsafe impl Sync for Inner {}

impl Drop for Inner {
    fn drop(&mut self) {
        // SAFETY: the last owner.
        unsafe { sys::ingle_session_close(self.ptr) };
    }
}

impl Session {
    /// A session with default options.
    pub fn new(model: &Model) -> Result<Session> {
        Session::with_options(model, &Options::new())
    }

    /// A session with options of the groups "session" and "sampling".
    pub fn with_options(model: &Model, options: &Options) -> Result<Session> {
        let raw = options.to_raw()?;
        // SAFETY: the session keeps a clone of the model and of the log hook.
        let ptr = ffi::open(|out, err| unsafe { sys::ingle_session_open(out, model.as_ptr(), raw.ptr, err) })?;
        let inner = Inner { ptr, _model: model.clone(), _log: options.log() };
        Ok(Session { inner: Arc::new(inner), model: model.clone() })
    }

    /// The session's model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Makes the timeline equal to `ids`: keeps the longest common beginning, forgets the rest, computes what is missing.
    pub fn sync(&mut self, ids: &[i32]) -> Result<()> {
        ffi::check(|err| unsafe { sys::ingle_session_sync(self.inner.ptr, ids.as_ptr(), ids.len(), err) })
    }

    /// The same; `on_logits` gets the position and logits of every token that is computed. `Break` cancels.
    pub fn sync_each(&mut self, ids: &[i32], on_logits: impl FnMut(usize, &[f32]) -> ControlFlow<()>) -> Result<()> {
        type Call<'a> = (Box<dyn FnMut(usize, &[f32]) -> ControlFlow<()> + 'a>, usize);
        unsafe extern "C" fn on_raw(ud: *mut c_void, position: usize, logits: *const f32) -> c_int {
            // SAFETY: called during `sync_each` only; a row has the vocabulary's size.
            unsafe {
                Guarded::<Call<'_>>::enter(ud, |(call, width)| {
                    call(position, std::slice::from_raw_parts(logits, *width))
                })
            }
        }
        let call: Call<'_> = (Box::new(on_logits), self.model.vocab_size());
        let mut guard = Guarded::new(call);
        let result = ffi::check(|err| unsafe {
            let (ptr, n) = (ids.as_ptr(), ids.len());
            sys::ingle_session_sync_each(self.inner.ptr, ptr, n, Some(on_raw), guard.ud(), err)
        });
        guard.finish(result)
    }

    /// Appends one token.
    pub fn step(&mut self, id: i32) -> Result<()> {
        ffi::check(|err| unsafe { sys::ingle_session_step(self.inner.ptr, id, err) })
    }

    /// Appends `ids[i]` to `sessions[i]`, all in one pass over the weights: several answers for little more than the time
    /// of one. All are sessions of one model with the same options `cpu` and `kv`, and each gets the bits that it would
    /// get alone. The threads of the first compute, and its canceller ends the call. On failure none has changed.
    pub fn step_together(sessions: &mut [&mut Session], ids: &[i32]) -> Result<()> {
        if sessions.len() != ids.len() {
            let message = format!("{} sessions, but {} tokens", sessions.len(), ids.len());
            return Err(Error::new(Code::BadArgument, message));
        }
        let raw: Vec<_> = sessions.iter().map(|session| session.inner.ptr).collect();
        // SAFETY: as many pointers as ids; `&mut` says that nobody else uses these sessions.
        ffi::check(|err| unsafe { sys::ingle_sessions_step(raw.as_ptr(), ids.as_ptr(), raw.len(), err) })
    }

    /// One value for each token of the vocabulary, after the last token; `None` before the first [`Session::sync`].
    pub fn logits(&self) -> Option<&[f32]> {
        // SAFETY: valid until the next call, which needs `&mut self`.
        let row = unsafe { sys::ingle_session_logits(self.inner.ptr) };
        (!row.is_null()).then(|| unsafe { std::slice::from_raw_parts(row, self.model.vocab_size()) })
    }

    /// Chooses the next token with the session's sampling options, and remembers it for penalties. Does not append it.
    pub fn sample(&mut self) -> Result<i32> {
        let mut id = 0;
        ffi::check(|err| unsafe { sys::ingle_session_sample(self.inner.ptr, &mut id, err) })?;
        Ok(id)
    }

    /// The tokens on the timeline.
    pub fn tokens(&self) -> &[i32] {
        let mut n = 0;
        // SAFETY: valid until the next call, which needs `&mut self`.
        let ids = unsafe { sys::ingle_session_tokens(self.inner.ptr, &mut n) };
        if ids.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(ids, n) } }
    }

    /// The pooled hidden state of these tokens, not normalised. Starts a fresh timeline.
    pub fn embed(&mut self, ids: &[i32], pooling: Pooling) -> Result<Vec<f32>> {
        let mut out = vec![0.0; self.model.width()];
        // SAFETY: `out` has the model's width.
        ffi::check(|err| unsafe {
            let (ptr, n) = (ids.as_ptr(), ids.len());
            sys::ingle_session_embed(self.inner.ptr, ptr, n, pooling.to_raw(), out.as_mut_ptr(), err)
        })?;
        Ok(out)
    }

    /// Keeps tokens, keys and values in a file.
    pub fn save(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = ffi::c_path(path.as_ref())?;
        ffi::check(|err| unsafe { sys::ingle_session_save(self.inner.ptr, path.as_ptr(), err) })
    }

    /// Takes them up again. The model and the type of keys and values must be the same.
    pub fn load(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = ffi::c_path(path.as_ref())?;
        ffi::check(|err| unsafe { sys::ingle_session_load(self.inner.ptr, path.as_ptr(), err) })
    }

    /// Bytes held for keys, values and scratch.
    pub fn bytes(&self) -> usize {
        unsafe { sys::ingle_session_bytes(self.inner.ptr) }
    }

    /// Something that makes a running call of this session end with [`Code::Cancelled`].
    pub fn canceller(&self) -> SessionCanceller {
        SessionCanceller { inner: Arc::downgrade(&self.inner) }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("model", &self.model).field("tokens", &self.tokens().len()).finish()
    }
}

/// Cancels the running call of a session, from any thread.
#[derive(Clone)]
pub struct SessionCanceller {
    inner: Weak<Inner>,
}

impl SessionCanceller {
    /// Makes the running call end within 50 ms; what was computed stays.
    pub fn cancel(&self) {
        if let Some(inner) = self.inner.upgrade() {
            // SAFETY: from any thread; `inner` keeps the session open meanwhile.
            unsafe { sys::ingle_session_cancel(inner.ptr) };
        }
    }
}

impl fmt::Debug for SessionCanceller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionCanceller")
    }
}
