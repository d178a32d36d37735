//! Sizes, offsets and values of the bindings are what a C compiler makes of the headers.

use std::{fmt::Write, mem, path::PathBuf, process::Command};

use ingle_sys::*;

macro_rules! rows {
    ($($name:ident { $($field:ident),* })*) => {
        /// One line a struct and field: name, size or offset.
        fn layout_in_rust() -> String {
            let mut out = String::new();
            $(
                let align = mem::align_of::<$name>();
                writeln!(out, "{} {} {align}", stringify!($name), mem::size_of::<$name>()).unwrap();
                $(
                    let field = stringify!($field).trim_start_matches("r#");
                    writeln!(out, "{}.{field} {}", stringify!($name), mem::offset_of!($name, $field)).unwrap();
                )*
            )*
            out
        }

        fn layout_in_c(out: &mut String) {
            $(
                let name = stringify!($name);
                writeln!(out, "printf(\"{name} %zu %zu\\n\", sizeof({name}), _Alignof({name}));").unwrap();
                $(
                    let field = stringify!($field).trim_start_matches("r#");
                    writeln!(out, "printf(\"{name}.{field} %zu\\n\", offsetof({name}, {field}));").unwrap();
                )*
            )*
        }
    };
}

macro_rules! values {
    ($($name:ident)*) => {
        fn values_in_rust() -> String {
            let mut out = String::new();
            $(writeln!(out, "{} {}", stringify!($name), $name as i64).unwrap();)*
            out
        }

        fn values_in_c(out: &mut String) {
            $(writeln!(out, "printf(\"{0} %lld\\n\", (long long){0});", stringify!($name)).unwrap();)*
        }
    };
}

include!("rows.rs");

/// The folder with `include`, as the build script found it.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    [here.join("c"), here.join("../../..")].into_iter().find(|p| p.join("include/ingle.h").is_file()).unwrap()
}

fn host() -> String {
    let version = Command::new("rustc").arg("-vV").output().unwrap().stdout;
    let version = String::from_utf8(version).unwrap();
    version.lines().find_map(|l| l.strip_prefix("host: ")).unwrap().to_string()
}

#[test]
fn the_bindings_have_the_layout_of_the_headers() {
    let mut source = String::from("#include <ingle.h>\n#include <stddef.h>\n#include <stdio.h>\n");
    source.push_str("#include \"hub.h\"\nint main(void) {\n");
    layout_in_c(&mut source);
    values_in_c(&mut source);
    source.push_str("return 0;\n}\n");

    let folder = std::env::temp_dir().join(format!("ingle-sys-layout-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (file, program) = (folder.join("layout.c"), folder.join("layout.exe"));
    std::fs::write(&file, source).unwrap();
    let (target, root) = (host(), root());
    let compiler = cc::Build::new().target(&target).host(&target).opt_level(0).cargo_metadata(false).get_compiler();
    let mut command = compiler.to_command();
    command.arg(&file).arg("-I").arg(root.join("include")).arg("-I").arg(root.join("hub"));
    if compiler.is_like_msvc() {
        command.arg("/std:c11").arg(format!("/Fe{}", program.display())).current_dir(&folder);
    } else {
        command.arg("-std=c11").arg("-o").arg(&program);
    }
    assert!(command.status().unwrap().success());
    let output = Command::new(&program).output().unwrap();
    assert!(output.status.success());
    let in_c = String::from_utf8(output.stdout).unwrap().replace('\r', "");
    assert_eq!(layout_in_rust() + &values_in_rust(), in_c);
    assert!(in_c.lines().count() > 60, "the rows are there");
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_library_answers() {
    // SAFETY: static texts.
    let version = unsafe { std::ffi::CStr::from_ptr(ingle_version()) }.to_str().unwrap();
    assert_eq!(version, format!("{INGLE_VERSION_MAJOR}.{INGLE_VERSION_MINOR}.{INGLE_VERSION_PATCH}"));
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
}
