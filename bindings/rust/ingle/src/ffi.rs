//! The few shapes in which C calls are made: every status becomes a `Result`, every callback a closure, and no panic
//! crosses into C.

use std::{
    any::Any,
    cell::Cell,
    ffi::{CStr, CString, c_char, c_int, c_void},
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

use ingle_sys as sys;

use crate::{Code, Error, Result};

/// Calls a C function with an error to fill.
pub fn check(call: impl FnOnce(*mut sys::ingle_error) -> sys::ingle_status) -> Result<()> {
    let mut error = sys::ingle_error { code: sys::INGLE_OK, message: [0; 512], hint: [0; 256] };
    match call(&mut error) {
        sys::INGLE_OK => Ok(()),
        status => {
            error.code = status;
            Err(Error::from_raw(&error))
        }
    }
}

/// Calls a C function that opens something, and gives its pointer.
pub fn open<T>(call: impl FnOnce(*mut *mut T, *mut sys::ingle_error) -> sys::ingle_status) -> Result<*mut T> {
    let mut out = std::ptr::null_mut();
    check(|err| call(&mut out, err))?;
    Ok(out)
}

/// Calls a C function that pushes text, and gives the text.
pub fn collect(
    call: impl FnOnce(sys::ingle_text_fn, *mut c_void, *mut sys::ingle_error) -> sys::ingle_status,
) -> Result<String> {
    unsafe extern "C" fn push(ud: *mut c_void, text: *const c_char, len: usize) -> c_int {
        // SAFETY: `ud` is the vector below, which lives during the call.
        let out = unsafe { &mut *ud.cast::<Vec<u8>>() };
        out.extend_from_slice(unsafe { bytes(text, len) });
        0
    }
    let mut out: Vec<u8> = Vec::new();
    check(|err| call(Some(push), (&raw mut out).cast(), err))?;
    Ok(String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// # Safety
/// `text` points to `len` bytes that stay there for `'a`, or `len` is 0.
pub unsafe fn bytes<'a>(text: *const c_char, len: usize) -> &'a [u8] {
    if len == 0 || text.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(text.cast(), len) } }
}

/// # Safety
/// `text` points to `len` bytes or `len` is 0.
pub unsafe fn string(text: *const c_char, len: usize) -> String {
    String::from_utf8_lossy(unsafe { bytes(text, len) }).into_owned()
}

/// # Safety
/// `text` is NULL or a C string that stays there for `'a`.
pub unsafe fn c_text<'a>(text: *const c_char) -> &'a str {
    if text.is_null() {
        return "";
    }
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("")
}

pub fn c_string(what: &str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::new(Code::BadArgument, format!("{what} contains a NUL character")))
}

/// A path as ingle takes it: UTF-8 on Windows, the system's bytes elsewhere.
pub fn c_path(path: &Path) -> Result<CString> {
    if cfg!(windows) && path.to_str().is_none() {
        return Err(Error::new(Code::BadArgument, format!("{} is not valid Unicode", path.display())));
    }
    CString::new(path.as_os_str().as_encoded_bytes())
        .map_err(|_| Error::new(Code::BadArgument, format!("{} contains a NUL character", path.display())))
}

/// What a callback left behind when it panicked.
pub type Panic = Box<dyn Any + Send>;

/// A closure that C calls during one blocking call. A panic in it stops the call and goes on in the caller.
pub struct Guarded<F> {
    call: F,
    panic: Option<Panic>,
}

impl<F> Guarded<F> {
    pub fn new(call: F) -> Self {
        Guarded { call, panic: None }
    }

    pub fn ud(&mut self) -> *mut c_void {
        (self as *mut Self).cast()
    }

    /// Runs `with` on the closure; the result is what the C callback returns.
    ///
    /// # Safety
    /// `ud` came from `ud()` of a value of the same type that is still alive and borrowed by nobody else.
    pub unsafe fn enter(ud: *mut c_void, with: impl FnOnce(&mut F) -> ControlFlow<()>) -> c_int {
        let this = unsafe { &mut *ud.cast::<Self>() };
        if this.panic.is_some() {
            return 1;
        }
        match catch_unwind(AssertUnwindSafe(|| with(&mut this.call))) {
            Ok(flow) => c_int::from(flow.is_break()),
            Err(panic) => {
                this.panic = Some(panic);
                1
            }
        }
    }

    /// After the C call: lets a panic go on.
    pub fn finish<T>(self, result: T) -> T {
        match self.panic {
            Some(panic) => resume_unwind(panic),
            None => result,
        }
    }
}

/// The text of a panic.
pub fn panic_text(panic: &Panic) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").to_string()
}

thread_local! {
    /// The engine whose callback this thread is in, as an address.
    static INSIDE: Cell<usize> = const { Cell::new(0) };
}

/// Marks the thread as being in a callback of an engine.
pub struct Inside(usize);

impl Inside {
    pub fn enter(engine: usize) -> Inside {
        Inside(INSIDE.replace(engine))
    }

    pub fn is(engine: usize) -> bool {
        INSIDE.get() == engine
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}
