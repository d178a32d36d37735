"""The C program in the README compiles as shown, answers, and fails as it says; links and file names there exist."""
import re
import subprocess

import pytest


@pytest.fixture(scope="module")
def readme(top):
    return (top / "README.md").read_text()


@pytest.fixture(scope="module")
def program(top, build, readme, tmp_path_factory):
    folder = tmp_path_factory.mktemp("readme")
    blocks = re.findall(r"^```c\n(.*?)^```", readme, re.M | re.S)
    assert len(blocks) == 1
    assert len(blocks[0].splitlines()) <= 26
    (folder / "answer.c").write_text(blocks[0])
    subprocess.run(["cc", "-std=c99", "-Wall", "-Wextra", "-Werror", f"-I{top}/include", "answer.c",
                    f"{build}/libingle.a", "-lm", "-lpthread", "-ldl", "-o", "answer"], cwd=folder, check=True)
    return str(folder / "answer")


def test_example_answers(program, golden):
    r = subprocess.run([program, str(golden / "gguf" / "llama.gguf")], capture_output=True, timeout=120)
    assert r.returncode == 0 and r.stdout and not r.stderr


def test_example_fails_with_a_hint(program):
    r = subprocess.run([program, "/no/such/model.gguf"], capture_output=True, text=True, timeout=120)
    assert r.returncode == 2 and "/no/such/model.gguf" in r.stderr
    assert subprocess.run([program], capture_output=True, timeout=120).returncode == 64


@pytest.mark.parametrize("page", ["README.md", "docs/MAP.md", "docs/reproducibility.md"])
def test_named_files_exist(top, page):
    text = (top / page).read_text()
    folder = (top / page).parent
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (folder / link).exists(), f"{page}: {link}"
    for name in re.findall(r"`((?:src|docs|tests|tools|bench|cli|include)/[\w./-]+)`", text):
        assert (top / name).exists(), f"{page}: {name}"


def test_exit_codes_are_those_of_the_table(top, readme):
    codes = {int(n) for n in re.findall(r"^X\(\w+, \d+, (\d+),", (top / "src/base/status.def").read_text(), re.M)}
    line = re.search(r"Exit codes:(.*?)Errors are", readme, re.S).group(1)
    assert codes <= {int(n) for n in re.findall(r"\b(\d+) ", line)}


def test_every_row_of_the_family_table_is_named_in_the_rows(top, readme):
    """The README claims no family that src/arch/rows.def does not have."""
    rows = (top / "src/arch/rows.def").read_text().lower()
    known = set(re.findall(r"[a-z0-9]+", " ".join(re.findall(r'"([^"]*)"', rows)).replace("_", "").replace(".", "").replace("-", " ")))
    known |= {n.replace("-", "") for n in re.findall(r'row\("([^"]+)"', rows)}
    line = next(row for row in readme.splitlines() if row.startswith("| llama 1 to"))
    names = re.sub(r"\([^)]*\)|\b\d+ to [\d.]+|\band \d+|\d\.\d", "", line.split("|")[1])
    for name in re.findall(r"[a-z][a-z0-9-]*", names):
        plain = name.replace("-", "")
        assert any(plain in k or k in plain for k in known if len(k) > 2), name
