"""bench/synth.py writes valid files: read back by the gguf package, every type finite and of the wanted spread."""
import hashlib

import numpy as np
import pytest

import gguf
import synth


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_one_seed_one_file(tmp_path):
    paths = [tmp_path / n for n in "abc"]
    for path, seed in zip(paths, (1, 1, 2)):
        synth.synth(str(path), "Q4_K_M", seed, synth.TINY)
    assert digest(paths[0]) == digest(paths[1]) != digest(paths[2])


def test_reads_back(tmp_path):
    path = tmp_path / "m.gguf"
    count = synth.synth(str(path), "Q4_K_M", 1, synth.TINY)
    r = gguf.GGUFReader(str(path))
    assert sum(t.n_elements for t in r.tensors) == count
    kinds = {t.name: t.tensor_type.name for t in r.tensors}
    assert kinds["token_embd.weight"] == "Q6_K" and kinds["blk.0.attn_q.weight"] == "Q4_K"
    assert "output.weight" not in kinds
    tokens = r.fields["tokenizer.ggml.tokens"].contents()
    merges = r.fields["tokenizer.ggml.merges"].contents()
    assert len(tokens) == len(set(tokens)) == synth.TINY["vocab"]
    assert all(m.replace(" ", "") in tokens and set(m.split(" ")) <= set(tokens) for m in merges)
    factors = next(t for t in r.tensors if t.name == "rope_freqs.weight").data
    assert factors[0] == 1 and factors[-1] == 32 and np.all(np.diff(factors) >= 0)


def test_full_shape_is_that_of_llama_1b():
    count = sum(int(np.prod(shape)) for _, shape, _ in synth.tensor_list(synth.LLAMA_1B, "Q4_K_M"))
    assert count == 1235814432  # the published number of parameters and 32 rope factors


@pytest.mark.parametrize("kind", sorted(synth.TYPES))
def test_weights_are_finite_and_spread(kind):
    number, per, size, _ = synth.TYPES[kind]
    try:
        known = gguf.GGMLQuantizationType(number)
        assert gguf.GGML_QUANT_SIZES[known] == (per, size)
    except ValueError:
        pytest.skip(f"this gguf package does not know {kind}")
    raw = np.frombuffer(synth.weights(kind, 256 * 512, np.random.Generator(np.random.SFC64(5))), np.uint8)
    assert raw.size == 256 * 512 // per * size
    try:
        values = gguf.quants.dequantize(raw.view(np.float32) if kind == "F32" else raw.reshape(512, -1), known)
    except NotImplementedError:
        pytest.skip(f"this gguf package cannot decode {kind}")
    assert np.isfinite(values).all()
    assert synth.STD / 2.5 < values.std() < synth.STD * 2.5
