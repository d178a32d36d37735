//! Raw bindings to the C library ingle.
