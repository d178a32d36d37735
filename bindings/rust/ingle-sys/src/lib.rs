//! Raw bindings to [ingle](https://github.com/ingle-dev/ingle), a small C library that runs language models.
//!
//! The crate compiles the C sources it carries with the `cc` crate: a C11 compiler is all it needs. The names and
//! meanings are those of `ingle.h`; the crate `ingle` puts a safe interface over them.
//!
//! `links = "ingle"`: one version of this crate a program. Build scripts of crates that depend on it directly find
//! the header's folder in `DEP_INGLE_INCLUDE` and the sources in `DEP_INGLE_ROOT`.
#![no_std]
#![allow(non_camel_case_types)]
#![deny(missing_debug_implementations)]

use core::{
    fmt,
    marker::{PhantomData, PhantomPinned},
};

#[rustfmt::skip]
mod bindings;
pub use bindings::*;

#[cfg(feature = "hub")]
#[rustfmt::skip]
mod hub;
#[cfg(feature = "hub")]
pub use hub::*;

/// What the compiler chooses for an `enum` without negative values.
#[cfg(not(all(windows, target_env = "msvc")))]
pub type c_enum = core::ffi::c_uint;
/// What the compiler chooses for an `enum`.
#[cfg(all(windows, target_env = "msvc"))]
pub type c_enum = core::ffi::c_int;

/// Makes a type that is only ever seen through a pointer: of unknown size, bound to its place and its thread.
#[repr(C)]
struct Opaque {
    _bytes: [u8; 0],
    _bound: PhantomData<(*mut u8, PhantomPinned)>,
}

impl fmt::Debug for Opaque {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("opaque")
    }
}
