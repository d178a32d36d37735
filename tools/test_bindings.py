"""The suites of the bindings: Rust crates, npm packages, the example app, the plugin in real windows.

Each step (a formatter, a linter, a build) counts as one test; test programs count their own. A machine without Rust or
Node.js (tools/setup.sh installs them where it can) skips what needs them, and says so.
"""
import os
import re
import shutil
import subprocess
import sys

import venv_here
from suites import BUILD, ENV, TOP, Suite, pytest_suite, sh

RUST = (1, 90)
NODE = (20, 19)
CARGO_ENV = dict(ENV, CARGO_TERM_COLOR="never", CARGO_INCREMENTAL="0")
NODE_ENV = dict(ENV, NO_COLOR="1", npm_config_fund="false", npm_config_audit="false", npm_config_update_notifier="false")
GUEST = "bindings/tauri-plugin-ingle/guest-js"
APP = "examples/tauri-chat"
CREATE = "bindings/create-ingle-app"


def version_of(program):
    try:
        r = subprocess.run([program, "--version"], capture_output=True, text=True)
    except OSError:
        return None
    m = re.search(r"(\d+)\.(\d+)", r.stdout)
    return (int(m.group(1)), int(m.group(2))) if m and r.returncode == 0 else None


def lacks(suite, program, least):
    """Says why and counts a skip if the program is missing or too old."""
    have = version_of(program)
    if have and have >= least:
        return False
    print(f"{suite.name}: skipped, {program} {least[0]}.{least[1]} or later is needed"
          + (f", this is {have[0]}.{have[1]}" if have else "; it is not installed"), flush=True)
    suite.add(0, 0, 1)
    return True


def lacks_node(suite):
    """Node.js of the machine if it is new enough, else the one in a package of the Python index."""
    have = version_of("node")
    if not have or have < NODE:
        try:
            python = venv_here.ensure(os.path.join(TOP, "tests", "node.txt"), "venv-node")
        except venv_here.Failed as e:
            print(f"{suite.name}: {e}", flush=True)
        else:
            os.environ["PATH"] = os.path.dirname(python) + os.pathsep + os.environ["PATH"]
            NODE_ENV["PATH"] = os.environ["PATH"]
    return lacks(suite, "node", NODE)


def tail(text, n=60):
    print("\n".join(text.splitlines()[-n:]), flush=True)


def step(suite, name, command, env, folder=TOP, timeout=1500):
    """One command that must succeed; its output, or None after printing the end of it."""
    try:
        r = sh(command, env=env, cwd=folder, timeout=timeout)
    except subprocess.TimeoutExpired:
        suite.fail(f"{name}: took longer than {timeout} s")
        return None
    except OSError as e:
        suite.fail(f"{name}: {e}")
        return None
    if r.returncode:
        tail(r.stdout)
        suite.fail(f"{name}: {' '.join(command)} ended with status {r.returncode}")
        return None
    suite.add(1, 0)
    return r.stdout


# Always the same selection: with another one cargo unites features in another way and compiles Tauri once more.
EVERYTHING = ["--locked", "--workspace", "--all-features"]


def linting():
    """Clippy as the compiler of our own crates: `cargo clippy` would compile all of Tauri a second time, for checks only."""
    driver = shutil.which("clippy-driver")
    if not driver:
        return CARGO_ENV
    return dict(CARGO_ENV, RUSTC_WORKSPACE_WRAPPER=driver, CLIPPY_ARGS="-Dwarnings__CLIPPY_HACKERY__")


def count_cargo(suite, out):
    for m in re.finditer(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored", out, re.M):
        suite.add(int(m.group(1)), int(m.group(2)), int(m.group(3)))


def cargo_test(suite, name, command, env, timeout=1500):
    try:
        r = sh(command, env=env, timeout=timeout)
    except subprocess.TimeoutExpired:
        suite.fail(f"{name}: took longer than {timeout} s")
        return
    count_cargo(suite, r.stdout)
    if r.returncode:
        tail(r.stdout, 120)
        suite.fail(f"{name} ended with status {r.returncode}")


def with_page_placeholder():
    """The example app embeds its built page: an empty one will do where only Rust is looked at."""
    dist = os.path.join(TOP, APP, "dist")
    if not os.path.exists(os.path.join(dist, "index.html")):
        os.makedirs(dist, exist_ok=True)
        with open(os.path.join(dist, "index.html"), "w") as f:
            f.write("<!doctype html><title>run npm run build</title>\n")


def run_rust(args):
    suite = Suite("rust")
    if lacks(suite, "cargo", RUST):
        return suite
    with_page_placeholder()
    if shutil.which("rustfmt"):
        step(suite, "format", ["cargo", "fmt", "--all", "--check"], CARGO_ENV)
    cargo_test(suite, "cargo test", ["cargo", "test", *EVERYTHING, "--no-fail-fast"], linting())
    step(suite, "documentation", ["cargo", "doc", "--locked", "--no-deps", "-p", "ingle-sys", "-p", "ingle", "-q"],
         dict(CARGO_ENV, RUSTDOCFLAGS="-D warnings"))
    suite.done()
    return suite


def run_sane(args):
    suite = Suite("sane")
    script = os.path.join(TOP, "tools", "rust_asan.sh")
    if lacks(suite, "cargo", RUST) or not os.path.exists(script):
        return suite
    cargo_test(suite, "Rust under AddressSanitizer", ["sh", script], CARGO_ENV)
    suite.done()
    return suite


def count_js(suite, out):
    """Tests of vitest and node:test in an output."""
    out = re.sub(r"\x1b\[[0-9;]*m", "", out)
    for m in re.finditer(r"^\s*Tests\s+(.*)$", out, re.M):
        n = {k: int(v) for v, k in re.findall(r"(\d+) (passed|failed|skipped)", m.group(1))}
        suite.add(n.get("passed", 0), n.get("failed", 0), n.get("skipped", 0))
    suite.add(len(re.findall(r"^ok    \S+$", out, re.M)), 0)  # pages in Chromium (tests/ui)
    for m in re.finditer(r"^(?:# |\u2139 )(pass|fail|skipped) (\d+)$", out, re.M):
        n = int(m.group(2))
        suite.add(*{"pass": (n, 0, 0), "fail": (0, n, 0), "skipped": (0, 0, n)}[m.group(1)])


def npm(suite, name, folder, *words, env=None):
    out = step(suite, name, ["npm", *words], env or NODE_ENV, os.path.join(TOP, folder))
    if out:
        count_js(suite, out)
    return out is not None


def run_js(args):
    suite = Suite("js")
    if lacks_node(suite):
        return suite
    if npm(suite, "npm ci of the api", GUEST, "ci"):
        npm(suite, "the api package", GUEST, "run", "check")
    npm(suite, "create-ingle-app", CREATE, "test")
    suite.done()
    return suite


def run_app(args):
    suite = Suite("app")
    if lacks_node(suite):
        return suite
    if not os.path.exists(os.path.join(TOP, GUEST, "dist", "index.js")):
        npm(suite, "npm ci of the api", GUEST, "ci")
        npm(suite, "build of the api", GUEST, "run", "build")
    if npm(suite, "npm ci of the app", APP, "ci"):
        npm(suite, "the app", APP, "run", "check")
    suite.done()
    return suite


def newest_tauri(suite):
    """Type-checks the plugin against the newest Tauri 2 if the lock file names an older one."""
    names = ["tauri", "tauri-build", "tauri-plugin"]
    flags = [word for name in names for word in ("-p", name)]
    r = sh(["cargo", "update", "--dry-run", *flags], env=CARGO_ENV)
    if r.returncode:
        print("tauri: cannot ask for newer versions (offline?)", flush=True)
        suite.add(0, 0, 1)
        return
    if not re.search(r"^\s*Updating tauri(-\w+)? v", r.stdout, re.M):
        suite.add(1, 0)
        return
    copy = os.path.join(BUILD, "newest")
    shutil.rmtree(copy, ignore_errors=True)
    files = sh(["git", "ls-files", "-z", "Cargo.toml", "Cargo.lock", "bindings", "include", "src", "hub", "LICENSE",
                "examples/tauri-chat/src-tauri", "tests/tauri/app"]).stdout.split("\0")
    for name in filter(None, files):
        source = os.path.join(TOP, name)
        if "node_modules" in name or not os.path.exists(source):
            continue
        target = os.path.join(copy, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(source, target, follow_symlinks=False)
    env = dict(CARGO_ENV, CARGO_TARGET_DIR=os.path.join(BUILD, "cargo-newest"))
    if step(suite, "newest Tauri 2", ["cargo", "update", *flags], env, copy) is not None:
        step(suite, "the plugin with the newest Tauri 2", ["cargo", "check", "-p", "tauri-plugin-ingle"], env, copy)


def run_tauri(args):
    suite = Suite("tauri")
    if lacks(suite, "cargo", RUST):
        return suite
    missing = [name for name in ("WebKitWebDriver", "Xvfb") if not shutil.which(name)]
    if missing:
        print(f"tauri: skipped, {' and '.join(missing)} not installed", flush=True)
        suite.add(0, 0, 1)
        return suite
    newest_tauri(suite)
    built = step(suite, "apps", ["cargo", "build", *EVERYTHING], linting())
    if built is not None:
        # The real model is worth a try; without it the tests that need it are skipped.
        sh([sys.executable, "tools/get_model.py"])
        try:
            python = venv_here.ensure(os.path.join(TOP, "tests", "tauri", "requirements.txt"), "venv-tauri")
        except venv_here.Failed as e:
            suite.fail(str(e))
        else:
            env = dict(ENV, INGLE_BIN=os.path.join(BUILD, "ingle"), INGLE_BUILD=BUILD)
            pytest_suite(suite, python, ["tests/tauri"] + (["-k", args.k] if args.k else []), env)
    suite.done()
    return suite


SUITES = {"rust": run_rust, "sane": run_sane, "js": run_js, "app": run_app, "tauri": run_tauri}
