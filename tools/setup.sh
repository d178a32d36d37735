#!/bin/sh
# Installs what is missing to build, demo, test, bench or fuzz: tools/setup.sh GOAL
# It looks first and does nothing when everything is there. On Debian and Ubuntu it uses apt-get (through sudo
# when not root), on macOS brew; elsewhere, or without the right to install, it says exactly what to run.
set -eu
goal=${1:-build}
missing=""
why=""

need() { # need PACKAGE REASON, when the probe before it failed
    case " $missing " in *" $1 "*) ;; *) missing="$missing $1"; why="$why
  $1: $2" ;; esac
}
have() { command -v "$1" >/dev/null 2>&1; }
have_header() { printf '#include <stddef.h>\n#include <stdarg.h>\n#include <stdint.h>\n#include <setjmp.h>\n#include <stdio.h>\n#include <%s>\n' "$1" |
    ${CC:-cc} ${2:-} -E - >/dev/null 2>&1; }

case $(uname -s) in
Darwin) system=mac ;;
*) if have apt-get; then system=apt; else system=other; fi ;;
esac

pkg() { # the name on this system: pkg DEBIAN BREW
    if [ $system = mac ]; then echo "$2"; else echo "$1"; fi
}

wants_python=no; wants_test=no; wants_fuzz=no
case $goal in
build) ;;
demo | bench) wants_python=yes ;;
test) wants_python=yes; wants_test=yes; wants_fuzz=yes ;;
fuzz) wants_fuzz=yes ;;
*) echo "usage: tools/setup.sh build|demo|test|bench|fuzz" >&2; exit 64 ;;
esac

if [ $system = mac ]; then
    have cc || { echo "No C compiler. Run: xcode-select --install" >&2; exit 1; }
    brew_prefix=$(brew --prefix 2>/dev/null || echo /opt/homebrew)
else
    have "${CC:-cc}" && have_header stdlib.h || need gcc "C compiler"
    [ -e /usr/include/stdlib.h ] || have_header stdlib.h || need libc6-dev "C library headers"
    have pkg-config || need pkg-config "finds libedit"
    have_header histedit.h || need libedit-dev "line editing in ingle chat"
    have_header curl/curl.h || need libcurl4-openssl-dev "ingle pull"
    brew_prefix=/usr
fi
have cmake || need cmake "build system"
have ninja || have make || need "$(pkg make make)" "runs the compiler"
if [ $wants_python = yes ]; then
    have python3 || need "$(pkg python3 python)" "fetches the model, runs the tests"
    # ensurepip is what Debian leaves out of python3: without it no virtual environment.
    { have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; } ||
        need "$(pkg python3-venv python)" "private Python environment under build/venv"
fi
if [ $wants_test = yes ]; then
    have_header cmocka.h "-I$brew_prefix/include" || need "$(pkg libcmocka-dev cmocka)" "unit test framework"
    have xz || need "$(pkg xz-utils xz)" "unpacks test data"
    have g++ || have clang++ || need g++ "checks the header as C++"
    have nm || need binutils "lists exported symbols"
    # Rust: Debian 12 keeps a current one beside its old default.
    if [ $system = mac ]; then have cargo || need rust "the Rust crates and the Tauri plugin"
    elif ! have cargo; then
        web=""
        apt-cache show cargo-web 2>/dev/null | grep -q . && web=-web
        need "cargo$web" "the Rust crates and the Tauri plugin"
        need "rustc$web" "the Rust crates and the Tauri plugin"
        need "rustfmt$web" "checks the format of the crates"
        if [ -n "$web" ]; then need rust-web-clippy "checks the crates"; else need rust-clippy "checks the crates"; fi
    fi
    if [ $system = apt ]; then
        pkg-config --exists webkit2gtk-4.1 2>/dev/null || need libwebkit2gtk-4.1-dev "the webview of Tauri apps"
        have WebKitWebDriver || need webkit2gtk-driver "drives the Tauri app in tests"
        have Xvfb || need xvfb "a display for the Tauri app in tests"
        ls /etc/OpenCL/vendors/*.icd >/dev/null 2>&1 || need pocl-opencl-icd "runs the GPU kernels in tests, on the CPU"
        ldconfig -p 2>/dev/null | grep -q libOpenCL.so.1 || need ocl-icd-libopencl1 "finds the OpenCL driver"
        have chromium || need chromium "looks at the example's pages in tests"
    fi
fi
if [ $wants_fuzz = yes ] && [ $system != mac ]; then
    have clang || need clang "second compiler, fuzzing"
    # The sanitizer and fuzzer runtimes are a package of their own on Debian 12 and later.
    if [ $system = apt ] && ! ls /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-* >/dev/null 2>&1; then
        version=$(apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)
        [ -z "$version" ] || need "libclang-rt-$version-dev" "fuzzer and sanitizer runtime"
    fi
fi

[ -n "$missing" ] || exit 0
missing=${missing# }

echo "For 'make $goal' these packages are missing:$why"
case $system in
mac)
    have brew || { echo "Install Homebrew (https://brew.sh), then run: brew install $missing" >&2; exit 1; }
    echo "Running: brew install $missing"
    # shellcheck disable=SC2086
    exec brew install $missing
    ;;
other)
    echo "This system has no apt-get. Install them with its package manager (names above are Debian's)." >&2
    exit 1
    ;;
esac

root=""
if [ "$(id -u)" != 0 ]; then
    have sudo || { printf 'Run as root:  apt-get update && apt-get install -y --no-install-recommends %s\n' "$missing" >&2; exit 1; }
    root=sudo
fi
install() {
    # shellcheck disable=SC2086
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing </dev/null
}
echo "Running: ${root:+$root }apt-get install -y --no-install-recommends $missing"
if ! ls /var/lib/apt/lists/*_Packages* >/dev/null 2>&1 || ! install; then
    echo "Refreshing the package lists first."
    $root apt-get update -q </dev/null || echo "(apt-get update reported errors; trying all the same)"
    install || {
        printf 'Could not install. Run as root:  apt-get update && apt-get install -y %s\n' "$missing" >&2
        exit 1
    }
fi
# On a bare system the name of the fuzzer runtime's package is known only once the lists are there.
if [ "${INGLE_SETUP_AGAIN:-}" = "" ]; then INGLE_SETUP_AGAIN=1 exec sh "$0" "$goal"; fi
