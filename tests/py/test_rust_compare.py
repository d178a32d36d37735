"""bench/rust_compare.py: its table of a canned result, what it counts, and what it refuses. Nothing is built here."""
import json
import subprocess
import sys

import pytest

import engines
import rust_compare


def one_run(speed, text="The program", prompt=98, output=128):
    return {"load_ms": 10.0, "first_token_ms": 20.25, "prompt_tokens": prompt, "output_tokens": output,
            "tokens_per_second": speed, "peak_rss_mb": 100.0, "text": text}


def column(speeds, without=(), bindgen=False, probed=None, **run):
    return {"built": {"wall_seconds": 61.5, "cpu_seconds": 99.6, "without": list(without)}, "probed": probed,
            "facts": {"version": "1.2.3", "crates": 7, "crates_with_build": 9, "bytes": 1234567, "lines": 25,
                      "generates_bindings": bindgen},
            "runs": [one_run(s, **run) for s in speeds]}


@pytest.fixture
def result():
    return {"date": "2026-01-02", "machine": {"cpu": "A CPU", "cores": 2, "isa": "avx2"}, "rustc": "rustc 1.0",
            "model": "m.gguf", "bytes": 98_000_000, "threads": 2, "tokens": 128, "repetitions": 3,
            "columns": {"ingle": column([30, 10, 20], without=["cmake", "clang", "c++"]),
                        "llama-cpp-2": column([5, 6, 7], bindgen=True, probed=["cmake", "c++"])}}


def cells(text, measure):
    line = next(line for line in text.splitlines() if line.startswith(f"| {measure} |"))
    return [c.strip() for c in line.strip("|").split("|")][2:]


def test_table(result):
    text = rust_compare.table(result)
    assert cells(text, "measure") == ["ingle", "llama-cpp-2"]
    assert cells(text, "generation") == ["20.0 (10.0 to 30.0)", "6.0 (5.0 to 7.0)"]
    assert cells(text, "load + first token")[0] == "30.2 (30.2 to 30.2)"
    assert cells(text, "clean build, CPU") == ["100", "100"]
    assert cells(text, "program, stripped")[0] == "1.2"
    assert cells(text, "needed to build, beside Rust") == ["C compiler", "C compiler, cmake, c++, libclang"]
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {5}
    assert "Prompt 98 tokens, answer 128 tokens in all." in text and "llama-cpp-2: the same." in text


def test_unequal_work_is_said(result):
    result["columns"]["llama-cpp-2"] = column([5], prompt=97, text="The computer")
    text = rust_compare.table(result)
    assert "NOT THE SAME WORK" in text and "the same for 4 characters" in text
    assert cells(text, "needed to build, beside Rust")[1] == "C compiler (not probed)"


def test_code_lines():
    assert rust_compare.code_lines("//! What\n\nfn main() {\n    // why\n    go(); // now\n}\n") == 3


def test_every_program_has_the_same_profile(top):
    profiles = set()
    for p in rust_compare.PROGRAMS.values():
        with open(f"{p.folder}/Cargo.toml") as f:
            profiles.add(f.read().split("[profile.release]")[1].strip())
    assert len(profiles) == 1 and 'lto = "thin"' in profiles.pop()


def test_path_without(tmp_path, monkeypatch):
    places = tmp_path / "bin"
    places.mkdir()
    for name in ("cc", "gcc", "g++", "g++-12", "x86_64-linux-gnu-g++", "c++", "clang-14", "cmake", "cargo"):
        (places / name).touch()
    monkeypatch.setenv("PATH", str(places))
    monkeypatch.setattr(rust_compare, "HERE", str(tmp_path))
    left = {p.name for p in (tmp_path / rust_compare.path_without(rust_compare.BUILD_TOOLS)).iterdir()}
    assert left == {"cc", "gcc", "cargo"}
    assert "g++" in {p.name for p in (tmp_path / rust_compare.path_without(["cmake"])).iterdir()}


def test_skip_build_without_a_build(tmp_path, monkeypatch):
    monkeypatch.setattr(rust_compare, "HERE", str(tmp_path))
    with pytest.raises(engines.Failed, match="--skip-build"):
        rust_compare.kept_build("candle")


def test_a_program_that_fails_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(rust_compare, "HERE", str(tmp_path))
    program = tmp_path / "candle" / "release" / "chat-candle"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(engines.Failed, match="candle ended with 3: broken"):
        rust_compare.run_once("candle", "m.gguf", 2, 4, [])
    program.write_text(f"#!/bin/sh\necho '{json.dumps(one_run(5))}'\n")
    assert rust_compare.run_once("candle", "m.gguf", 2, 4, [])["tokens_per_second"] == 5


def test_command_line(top):
    def call(*args):
        return subprocess.run([sys.executable, top / "bench" / "rust_compare.py", *args], capture_output=True, text=True)

    usage = call("--help")
    assert usage.returncode == 0 and "--skip-build" in usage.stdout and "candle-v3" in usage.stdout
    assert call("--only", "nothing").returncode == 2
    missing = call("/no/such/model.gguf", "--skip-build")
    assert missing.returncode == 1 and missing.stderr.startswith("error: no file /no/such/model.gguf")
