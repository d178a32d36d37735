//! Compiles the C sources with the `cc` crate alone. They lie in `c/`: links to the repository's folders in a
//! checkout, plain files in the published package.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    let root = find_root();
    let mut sources = list(&root, "src/files.txt");
    let include = root.join("include");

    let mut build = cc::Build::new();
    build
        .std("c11")
        .include(&include)
        .include(root.join("src"))
        .define("INGLE_BUILD", None)
        .define("NDEBUG", None)
        // Debug builds of a program are for its own code: an engine at -O0 is useless.
        .opt_level(2)
        .debug(false)
        .pic(true)
        .warnings(false)
        .flag_if_supported("-fvisibility=hidden");
    // Bits are part of the contract (docs/reproducibility.md): no contraction.
    if build.get_compiler().is_like_msvc() {
        build.flag("/fp:precise").flag("/experimental:c11atomics");
    } else {
        build.flag("-ffp-contract=off");
    }
    if env::var_os("CARGO_FEATURE_HUB").is_some() {
        build.include(root.join("hub"));
        sources.extend(list(&root, "hub/files.txt"));
        println!("cargo:rerun-if-changed={}", root.join("hub").display());
    }
    for folder in ["src", "include"] {
        println!("cargo:rerun-if-changed={}", root.join(folder).display());
    }
    // For sanitizers and the like: INGLE_SYS_CFLAGS="-fsanitize=address -g -O1".
    println!("cargo:rerun-if-env-changed=INGLE_SYS_CFLAGS");
    for flag in env::var("INGLE_SYS_CFLAGS").unwrap_or_default().split_whitespace() {
        build.flag(flag);
    }
    add_sources(&mut build, &root, &sources);
    build.compile("ingle");

    link_system();
    println!("cargo:root={}", root.display());
    println!("cargo:include={}", include.display());
    println!("cargo:rerun-if-changed=build.rs");
}

/// As in CMakeLists.txt: rooms that no token waits for are compiled for size (but not the hash of whole models), kernels
/// have no tables to unwind their frames.
fn add_sources(build: &mut cc::Build, root: &Path, sources: &[String]) {
    let sanitized = env::var("INGLE_SYS_CFLAGS").is_ok_and(|flags| flags.contains("sanitize"));
    let plain = build.get_compiler().is_like_msvc() || sanitized;
    let small = |s: &str| {
        ["src/arch/", "src/chat/", "src/engine/", "src/file/", "src/plan/", "hub/"].iter().any(|r| s.starts_with(r))
            && !s.contains("sha256")
    };
    let leaf = |s: &str| {
        ["src/cpu/", "src/quant/"].iter().any(|r| s.starts_with(r))
            && !["/run", "/pool", "/choose", "/ops_"].iter().any(|n| s.contains(n))
    };
    let (mut for_size, mut kernels) = (build.clone(), build.clone());
    for_size.opt_level_str("s");
    for flag in ["-fno-asynchronous-unwind-tables", "-fno-unwind-tables"] {
        kernels.flag_if_supported(flag);
    }
    for source in sources {
        let part = match source.as_str() {
            s if !plain && small(s) => &mut for_size,
            s if !plain && leaf(s) => &mut kernels,
            _ => &mut *build,
        };
        part.file(root.join(source));
    }
    for part in [for_size, kernels] {
        if part.get_files().next().is_some() {
            for object in part.compile_intermediates() {
                build.object(object);
            }
        }
    }
}

/// The folder with `src`, `include` and `hub`.
fn find_root() -> PathBuf {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    // Where git makes no links (Windows), `c/src` is a file and the repository is three folders up.
    let places = [here.join("c"), here.join("../../..")];
    let root = places.iter().find(|p| p.join("src/files.txt").is_file());
    let root =
        root.unwrap_or_else(|| panic!("ingle-sys: no C sources in {} (is the checkout whole?)", places[0].display()));
    // The links are resolved so that messages name the files people edit.
    match root.join("src").canonicalize() {
        Ok(src) if !cfg!(windows) => src.parent().expect("src has a parent").to_path_buf(),
        _ => root.clone(),
    }
}

fn list(root: &Path, name: &str) -> Vec<String> {
    let text = fs::read_to_string(root.join(name)).unwrap_or_else(|e| panic!("ingle-sys: {name}: {e}"));
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).map(String::from).collect()
}

fn link_system() {
    let os = env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    let libs: &[&str] = match os.as_str() {
        "windows" | "macos" | "ios" | "tvos" | "watchos" | "visionos" => &[],
        "android" => &["m", "dl"],
        "freebsd" | "openbsd" | "netbsd" | "dragonfly" => &["m", "pthread"],
        _ => &["m", "pthread", "dl"],
    };
    for lib in libs {
        println!("cargo:rustc-link-lib={lib}");
    }
}
