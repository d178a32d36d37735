"""Block types are named in src/quant only (tools/quant_names.py)."""
import pathlib
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parents[2]


def check(top):
    run = subprocess.run([sys.executable, TOP / "tools/quant_names.py", top], capture_output=True, text=True)
    return run.returncode, run.stdout


def test_no_type_names_outside_their_room():
    assert check(TOP) == (0, "")


def test_finds_names_in_code_and_not_in_prose(tmp_path):
    shutil.copytree(TOP / "src/quant", tmp_path / "src/quant")
    room = tmp_path / "src/cpu"
    room.mkdir()
    (room / "a.c").write_text(
        'int q4_k_dot; /* Q4_K is fine here */ const char *hint = "try Q8_0 instead", *name = "Q8_0"; // q4_0\n'
    )
    code, out = check(tmp_path)
    assert code == 1
    assert len(out.splitlines()) == 2 and "q4_k_dot" in out and '"Q8_0"' in out
