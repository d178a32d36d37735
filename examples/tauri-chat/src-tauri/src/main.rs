#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use tauri_plugin_sql::{Migration, MigrationKind};
use tauri_plugin_window_state::StateFlags;

/// The page opens the same name (src/lib/db.ts); the file lies in the app's configuration folder.
const DATABASE: &str = "sqlite:chats.db";

/// Without a GPU, WebKitGTK emulates OpenGL, which takes half the frames of a page that keeps changing; its older way of
/// painting does not. Whoever starts the app can say otherwise.
#[cfg(target_os = "linux")]
fn paint_without_gpu() {
    const WAY: &str = "WEBKIT_DISABLE_DMABUF_RENDERER";
    if !std::path::Path::new("/dev/dri").exists() && std::env::var_os(WAY).is_none() {
        // SAFETY: the first thing `main` does; no other thread is there yet.
        unsafe { std::env::set_var(WAY, "1") };
    }
}

fn main() {
    #[cfg(target_os = "linux")]
    paint_without_gpu();

    let migrations = vec![Migration {
        version: 1,
        description: "conversations and messages",
        sql: include_str!("../migrations/1_conversations.sql"),
        kind: MigrationKind::Up,
    }];
    // Whether the window is shown is not state: an app closed while hidden would stay hidden.
    let kept = StateFlags::all() - StateFlags::VISIBLE;

    let run = tauri::Builder::default()
        .plugin(
            tauri_plugin_window_state::Builder::new()
                .with_state_flags(kept)
                .build(),
        )
        .plugin(
            tauri_plugin_sql::Builder::new()
                .add_migrations(DATABASE, migrations)
                .build(),
        )
        .plugin(tauri_plugin_dialog::init())
        .plugin(tauri_plugin_opener::init())
        .plugin(tauri_plugin_ingle::init())
        .run(tauri::generate_context!());
    if let Err(error) = run {
        eprintln!("tauri-chat could not start: {error}");
        std::process::exit(1);
    }
}
