fn main() {
    // The program holds the built page, and Tauri does not tell Cargo so.
    println!("cargo:rerun-if-changed=../dist");
    tauri_build::build();
}
