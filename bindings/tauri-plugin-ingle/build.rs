const COMMANDS: &[&str] = &["devices"];

fn main() {
    tauri_plugin::Builder::new(COMMANDS).build();
}
