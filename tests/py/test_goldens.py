"""`ingle logits` on the golden models, as a script would call it: within the bound of the reference, in pieces too."""
import pathlib
import subprocess

import numpy as np
import pytest
from safetensors.numpy import load_file

ROOT = pathlib.Path(__file__).parent.parent / "golden"
# Families of later issues; test_later_families says what happens to them now.
LATER = {"bert", "deepseek-v2", "deepseek-v3", "granite-hybrid", "lfm2", "mamba2", "modernbert", "qwen3-embed", "qwen3-next", "t5"}
MODELS = sorted((ROOT / "models").iterdir()) + sorted((ROOT / "gguf").glob("*.gguf"))
name = "{0.parent.name}-{0.stem}".format


def run(ingle, model, ids, out, *options):
    ids = ",".join(map(str, ids))
    return subprocess.run([ingle, "logits", model, "--ids", ids, "--out", out, *options], capture_output=True, text=True)


def logits(*args):
    done = run(*args)
    assert done.returncode == 0, done.stderr
    return load_file(args[3])["logits"]


@pytest.mark.parametrize("model", [m for m in MODELS if m.stem not in LATER], ids=name)
def test_logits_are_the_reference(ingle, model, tmp_path):
    expected = load_file(ROOT / "models" / model.stem / "expected.safetensors")
    ids = expected["input_ids"].reshape(-1)
    want = expected["logits"].reshape(len(ids), -1)
    got = logits(ingle, model, ids, tmp_path / "a.safetensors")
    assert got.shape == want.shape and got.dtype == np.float32
    assert np.abs(got - want).max() <= 2e-3 * want.std()
    pieces = logits(ingle, model, ids, tmp_path / "b.safetensors", "--chunk", "7", "-t", "2")
    assert np.array_equal(got.view(np.uint32), pieces.view(np.uint32))


@pytest.mark.parametrize("model", [m for m in MODELS if m.stem in LATER and m.stem != "qwen3-embed"], ids=name)
def test_later_families_say_so(ingle, model, tmp_path):
    done = run(ingle, model, [5, 6], tmp_path / "a.safetensors")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "the nearest are" in done.stderr
