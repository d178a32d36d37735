#![cfg_attr(not(debug_assertions), windows_subsystem = "windows")]

use tauri_plugin_sql::{Migration, MigrationKind};
use tauri_plugin_window_state::StateFlags;

/// The page opens the same name (src/lib/db.ts); the file lies in the app's configuration folder.
const DATABASE: &str = "sqlite:chats.db";

fn main() {
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
