//! Language models inside your program.
