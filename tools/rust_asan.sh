#!/bin/sh
# The tests of the crate ingle with AddressSanitizer and LeakSanitizer in C and in Rust: tools/rust_asan.sh [TEST ARGUMENT...]
#
# RUSTC_BOOTSTRAP opens the sanitizer flag on a stable compiler; --target keeps it away from build scripts. Rust brings the
# sanitizer's runtime, which is LLVM's; code that gcc instruments runs on it as well.
set -eu
cd "$(dirname "$0")/.."
target=$(rustc -vV | sed -n 's/^host: //p')
cc=${CC:-gcc}
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="-Zsanitizer=address"
export INGLE_SYS_CFLAGS="-fsanitize=address -fno-omit-frame-pointer -g1 -O1"
export CC="$cc"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-build/cargo-asan}"
# A leak is an error; the panics that tests cause on purpose leave nothing behind.
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:detect_stack_use_after_return=1}"
start=$(date +%s)
cargo test --target "$target" -p ingle --test engine --test hub "$@"
echo "rust_asan: no errors, $(($(date +%s) - start)) s"
