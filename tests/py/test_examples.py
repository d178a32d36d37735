"""The C examples build as their README says and run on a tiny model."""
import subprocess

import pytest


@pytest.fixture(scope="module")
def program(top, build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")

    def make(name):
        out = folder / name
        subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{top}/include", f"{top}/examples/c/{name}.c",
                        f"{build}/libingle.a", "-lm", "-lpthread", "-ldl", "-o", out], check=True)
        return str(out)

    return make


def test_answer(program, golden):
    answer = program("answer")
    model = str(golden / "gguf" / "llama.gguf")
    texts = []
    for _ in range(10):  # an answer is drawn by chance; one in twenty is empty
        done = subprocess.run([answer, model, 'say "hi"\\\n'], capture_output=True, timeout=60)
        assert done.returncode == 0 and done.stderr == b""
        texts.append(done.stdout)
    assert any(texts)
    wrong = subprocess.run([answer, "/nonexistent.gguf", "x"], capture_output=True, text=True, timeout=60)
    assert wrong.returncode == 1 and "/nonexistent.gguf" in wrong.stderr


def test_tokens(program, golden):
    done = subprocess.run([program("tokens"), str(golden / "gguf" / "llama.gguf"), "Hello"], capture_output=True, timeout=60)
    assert done.returncode == 0 and done.stderr == b""
    lines = done.stdout.split(b"\n")
    chances = [float(line.split(b"%")[0]) for line in lines if b" %  " in line[:12]][:5]
    assert len(chances) >= 3 and chances == sorted(chances, reverse=True)
    assert b"\nHello" in done.stdout
