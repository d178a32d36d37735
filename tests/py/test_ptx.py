"""The generated code of GPU kernels is what the sources say, and NVIDIA's assembler takes it without spilling registers."""
import re
import subprocess
import sys

import pytest

import gpu


def test_embedded_sources_are_fresh(top):
    assert (top / "src/gpu/gen/kernels.c").read_text() == gpu.source_c(), "run tools/gpu.py and commit what it writes"


def test_embedded_ptx_is_fresh(top):
    have = gpu.pieces()
    lists = gpu.modules(have)
    rows = re.findall(r'^\{"(\w+)", (\d+), UINT64_C\(0x(\w+)\)', (top / "src/gpu/gen/ptx.c").read_text(), flags=re.M)
    assert {m for m, sm, _ in rows if sm == "70"} == set(lists)
    old = sorted({m for m, _, h in rows if int(h, 16) != gpu.module_hash(have, lists[m])})
    assert not old, "run tools/ptx.py and commit what it writes"


@pytest.mark.parametrize("module", ["linear_q4_k", "rows"])
def test_ptxas(top, module):
    """For every target; all modules are checked by `tools/ptx.py --ptxas`, which takes minutes."""
    r = subprocess.run([sys.executable, top / "tools/ptx.py", "--ptxas", "--module", module], cwd=top, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    if "skipped" in r.stdout:
        pytest.skip(r.stdout.strip())
    assert r.returncode == 0, r.stdout
    assert re.search(r"\d+ kernels, at most \d+ registers, 0 with memory", r.stdout)
