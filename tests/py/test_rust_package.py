"""The packages as cargo publishes them: whole, small, and they build in an empty folder with nothing else there."""
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests/golden/gguf/llama.gguf"

pytestmark = pytest.mark.skipif(not shutil.which("cargo"), reason="cargo is not installed")


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """name -> unpacked folder. Nothing is built here: that comes below, outside of the repository."""
    work = tmp_path_factory.mktemp("packages")
    run("cargo", "package", "--allow-dirty", "--no-verify", "--target-dir", work / "target", "-p", "ingle-sys", "-p", "ingle",
        cwd=ROOT)
    found = {}
    for name in ("ingle-sys", "ingle"):
        archive = next((work / "target/package").glob(f"{name}-[0-9]*.crate"))
        with tarfile.open(archive) as tar:
            assert all(m.isfile() for m in tar.getmembers()), "links would not survive"
            tar.extractall(work, filter="data")
        found[name] = (next(work.glob(f"{name}-[0-9]*")), archive.stat().st_size)
    return found


def test_the_package_has_every_source_and_nothing_else(packages):
    folder, size = packages["ingle-sys"]
    for room in ("src", "hub"):
        for line in (ROOT / room / "files.txt").read_text().split():
            assert (folder / "c" / line).read_bytes() == (ROOT / line).read_bytes()
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {"LICENSE", "README.md", "c/include/ingle.h", "c/hub/hub.h"} <= names
    assert not [n for n in names if "test" in n and not n.startswith(("tests/", "c/src/chat/tpl_tests"))]
    assert size < 3 << 20, f"{size} bytes"
    folder, size = packages["ingle"]
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert {"LICENSE", "README.md", "src/lib.rs", "examples/chat.rs"} <= names
    assert size < 200 << 10, f"{size} bytes"


PROGRAM = """
use ingle::{Engine, Model, Request};
fn main() {
    let engine = Engine::new(&Model::open(std::env::args().nth(1).unwrap()).unwrap()).unwrap();
    let answer = engine.run(Request::prompt("abc").temperature(0.0).max_tokens(5).option("ignore_eos", true)).unwrap();
    println!("{} tokens with ingle {}", answer.usage.output_tokens, ingle::version());
}
"""


# What a crate with C code of its own does.
BUILD = """
fn main() {
    let include = std::path::PathBuf::from(std::env::var_os("DEP_INGLE_INCLUDE").unwrap());
    let root = std::path::PathBuf::from(std::env::var_os("DEP_INGLE_ROOT").unwrap());
    assert!(include.join("ingle.h").is_file() && root.join("src/files.txt").is_file());
}
"""


def test_the_packages_build_in_an_empty_folder(packages, tmp_path):
    """A program that uses ingle, with the unpacked packages in place of the registry, as after publishing."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/main.rs").write_text(PROGRAM)
    (tmp_path / "build.rs").write_text(BUILD)
    sys_, ingle = packages["ingle-sys"][0], packages["ingle"][0]
    (tmp_path / "Cargo.toml").write_text(f"""
[package]
name = "empty"
version = "0.0.0"
edition = "2024"
[dependencies]
ingle = {{ version = "0.1.0", default-features = false }}
ingle-sys = "0.1.0"
[patch.crates-io]
ingle = {{ path = "{ingle}" }}
ingle-sys = {{ path = "{sys_}" }}
""")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("CARGO", "INGLE"))}
    run("cargo", "build", cwd=tmp_path, env=environment)
    said = run(tmp_path / "target/debug/empty", TINY, cwd=tmp_path)
    assert "5 tokens with ingle 0.1.0" in said
