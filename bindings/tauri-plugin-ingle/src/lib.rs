//! Language models inside a Tauri app.
use tauri::{Runtime, plugin::{Builder, TauriPlugin}};

#[tauri::command]
fn devices() -> String {
    String::new()
}

/// The plugin.
pub fn init<R: Runtime>() -> TauriPlugin<R> {
    Builder::new("ingle").invoke_handler(tauri::generate_handler![devices]).build()
}
