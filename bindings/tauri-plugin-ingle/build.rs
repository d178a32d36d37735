use std::path::Path;

const COMMANDS: &[&str] = &[
    "load_model",
    "unload_model",
    "list_models",
    "model_info",
    "generate",
    "chat",
    "cancel",
    "attach",
    "list_streams",
    "embed",
    "tokenize",
    "detokenize",
    "apply_template",
    "download_model",
    "cancel_download",
    "list_downloads",
    "remove_model",
    "verify_model",
    "devices",
    "doctor",
    "save_session",
    "load_session",
    "load_llm_model",
    "generate_text",
];

fn main() {
    let mut plugin = tauri_plugin::Builder::new(COMMANDS).global_scope_schema(scope_schema());
    // Built from guest-js; a checkout without it still gives a plugin for pages that import the npm package.
    println!("cargo:rerun-if-changed=api-iife.js");
    if Path::new("api-iife.js").exists() {
        plugin = plugin.global_api_script_path("./api-iife.js");
    }
    plugin.build();
}

/// What `allow` and `deny` of a permission may hold, for the editor that writes a capability. Tauri 2 wants a schema of
/// schemars 0.8, Tauri 3 one of schemars 1: only this function knows.
fn scope_schema() -> schemars::schema::RootSchema {
    let text =
        |description: &str| serde_json::json!({ "type": "string", "description": description });
    let schema = serde_json::json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "IngleScopeEntry",
        "description": "One thing that a page may use, or may not.",
        "anyOf": [
            { "type": "object", "required": ["path"], "additionalProperties": false, "properties": {
                "path": text("Glob over absolute paths of model files outside the store. May begin with a variable as $APPDATA or $RESOURCE; * stays within one folder, ** does not.")
            } },
            { "type": "object", "required": ["model"], "additionalProperties": false, "properties": {
                "model": text("Glob over names of models in the store.")
            } },
            { "type": "object", "required": ["source"], "additionalProperties": false, "properties": {
                "source": text("Glob over what may be downloaded: owner/name, owner/name:file or a URL."),
                "maxBytes": { "type": "integer", "minimum": 0, "description": "Larger downloads are refused." }
            } }
        ]
    });
    serde_json::from_value(schema).expect("the schema above is one of draft 7")
}
