//! Language models inside a Tauri app.
#![allow(dead_code)]
mod backend;
mod error;
mod log;
mod models;
mod scope;
mod streams;
mod timer;
pub use error::{Error, Result};
use tauri::{
    Runtime,
    plugin::{Builder, TauriPlugin},
};

#[tauri::command]
fn devices() -> String {
    String::new()
}

/// The plugin.
pub fn init<R: Runtime>() -> TauriPlugin<R> {
    Builder::new("ingle")
        .invoke_handler(tauri::generate_handler![devices])
        .build()
}
