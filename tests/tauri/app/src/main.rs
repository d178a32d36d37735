//! The window that tests/tauri drives. Beside the plugin it has what only a test needs: settings from the environment
//! and second windows.
#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use tauri::{AppHandle, Manager, WebviewUrl, WebviewWindow, WebviewWindowBuilder};

/// JSON from an environment variable; the app does not start with a broken one.
fn setting(name: &str) -> Option<serde_json::Value> {
    let text = std::env::var(name).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")))
}

fn window(app: &AppHandle, label: &str) -> Result<WebviewWindow, String> {
    app.get_webview_window(label)
        .ok_or_else(|| format!("no window {label:?}"))
}

#[tauri::command]
async fn test_open_window(app: AppHandle, label: String) -> Result<(), String> {
    WebviewWindowBuilder::new(&app, &label, WebviewUrl::App("index.html".into()))
        .title(&label)
        .inner_size(500.0, 300.0)
        .build()
        .map(drop)
        .map_err(|error| error.to_string())
}

#[tauri::command]
fn test_close_window(app: AppHandle, label: &str) -> Result<(), String> {
    window(&app, label)?
        .close()
        .map_err(|error| error.to_string())
}

#[tauri::command]
fn test_set_visible(app: AppHandle, label: &str, visible: bool) -> Result<(), String> {
    let window = window(&app, label)?;
    let done = if visible {
        window.show()
    } else {
        window.hide()
    };
    done.map_err(|error| error.to_string())
}

#[tauri::command]
fn test_eval(app: AppHandle, label: &str, script: &str) -> Result<(), String> {
    window(&app, label)?
        .eval(script)
        .map_err(|error| error.to_string())
}

#[tauri::command]
fn test_windows(app: AppHandle) -> Vec<String> {
    app.webview_windows().into_keys().collect()
}

fn main() {
    let mut context = tauri::generate_context!();
    // The plugin's part of tauri.conf.json, so that one binary serves every test.
    if let Some(config) = setting("INGLE_TEST_CONFIG") {
        context
            .config_mut()
            .plugins
            .0
            .insert("ingle".into(), config);
    }
    tauri::Builder::default()
        .plugin(tauri_plugin_ingle::init())
        .invoke_handler(tauri::generate_handler![
            test_open_window,
            test_close_window,
            test_set_visible,
            test_eval,
            test_windows,
        ])
        .setup(|app| {
            let more = setting("INGLE_TEST_CAPABILITIES");
            for capability in more
                .iter()
                .flat_map(|list| list.as_array().expect("an array"))
            {
                app.add_capability(capability.to_string())?;
            }
            Ok(())
        })
        .run(context)
        .expect("the app could not start");
}
