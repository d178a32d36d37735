"""What meets systems that no test machine runs compiles for them: the GPU drivers, the system layer and what they include,
with the C compiler and headers of ziglang (PyPI). Nothing is run here."""
import os
import subprocess
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# All of them take half a minute on two cores: INGLE_TEST_ALL=1.
TARGETS = ["aarch64-macos", "x86_64-windows-gnu"] if not os.environ.get("INGLE_TEST_ALL") else ["aarch64-macos", "x86_64-macos", "aarch64-windows-gnu", "x86_64-windows-gnu", "aarch64-linux-musl"]


def sources(target):
    files = open(os.path.join(TOP, "src", "files.txt")).read().split()
    gone = "/posix" if "windows" in target else "/win32"
    return [f for f in files if f.startswith(("src/gpu/", "src/os/", "src/kv/")) and "/gen/" not in f and gone not in f]


@pytest.mark.parametrize("target", TARGETS)
def test_compiles_for(target, tmp_path):
    pytest.importorskip("ziglang", reason="pip install ziglang")
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-ffp-contract=off", "-DINGLE_BUILD", "-Iinclude", "-Isrc"]
    files = sources(target)
    assert any("metal" in f for f in files) and any("cuda" in f or "opencl" in f for f in files)
    out = os.path.join(tmp_path, "all.o")
    broken = []
    for f in files:
        r = subprocess.run([sys.executable, "-m", "ziglang", "cc", "-target", target, *flags, "-c", f, "-o", out], cwd=TOP,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode:
            broken.append(f + ":\n" + r.stdout)
    assert not broken, "\n".join(broken)[:6000]
