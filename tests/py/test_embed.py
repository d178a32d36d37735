"""Embeddings are the hidden states behind the final norm: the output matrix times the one of the last position gives
the logits of `ingle logits`. (tests/unit/test_embed.c holds the mean against the last positions of the prefixes.)"""
import json
import subprocess

import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file

IDS = [5, 17, 200, 33, 101, 64, 9]
MODELS = ["llama", "qwen3", "gpt2", "mixtral", "stablelm"]


def run(ingle, *args, text=None):
    return subprocess.run([ingle, *args], input=text, capture_output=True, text=True)


def vectors(r):
    assert r.returncode == 0, r.stderr
    return np.array([[float(v) for v in line.split()] for line in r.stdout.splitlines()])


def output_matrix(folder):
    names = ("lm_head.weight", "model.embed_tokens.weight", "transformer.wte.weight", "wte.weight")
    with safetensors.safe_open(folder / "model.safetensors", "numpy") as f:
        config = json.loads((folder / "config.json").read_text())
        have = set(f.keys())
        for name in names[1 if config.get("tie_word_embeddings") else 0:]:
            if name in have:
                break
    raw = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(raw[:8], "little")
    info = json.loads(raw[8:8 + size])[name]
    begin, end = info["data_offsets"]
    assert info["dtype"] == "BF16"
    half = np.frombuffer(raw[8 + size + begin:8 + size + end], "<u2").astype(np.uint32) << 16
    return half.view(np.float32).reshape(info["shape"]).astype(np.float64)


def hidden(ingle, model, text, *options):
    return vectors(run(ingle, "embed", str(model), text, "--raw", *options))[0]


@pytest.mark.parametrize("name", MODELS)
def test_last_hidden_state_gives_the_logits(ingle, golden, tmp_path, name):
    model = golden / "models" / name
    text = "The quick brown fox"
    ids = run(ingle, "tokenize", str(model), text, "--json").stdout
    out = tmp_path / "logits.safetensors"
    r = run(ingle, "logits", str(model), "--ids", ids.strip(), "--out", str(out))
    assert r.returncode == 0, r.stderr
    want = load_file(out)["logits"][-1].astype(np.float64)
    got = output_matrix(model) @ hidden(ingle, model, text, "--pooling", "last")
    assert np.abs(got - want).max() < 2e-2 * want.std()


@pytest.mark.parametrize("batch", ["1", "3", "512"])
def test_mean_is_the_mean_of_positions_however_it_is_cut(ingle, golden, batch):
    model = golden / "models" / "llama"
    text = "one two three"
    mean = hidden(ingle, model, text, "--batch", batch)
    assert (mean == hidden(ingle, model, text)).all()
    ids = json.loads(run(ingle, "tokenize", str(model), text, "--json").stdout)
    assert len(ids) > 3
    first = hidden(ingle, model, text, "--pooling", "first")
    last = hidden(ingle, model, text, "--pooling", "last")
    assert np.abs(first - last).max() > 1e-3
    assert np.abs(mean - last).max() > 1e-3


def test_vectors_have_length_one_and_one_line_each(ingle, golden):
    model = golden / "models" / "llama"
    rows = vectors(run(ingle, "embed", str(model), text="first line\nsecond line\n"))
    assert rows.shape[0] == 2
    assert np.allclose((rows ** 2).sum(axis=1), 1, atol=1e-6)
    alone = vectors(run(ingle, "embed", str(model), "second line"))
    assert (alone[0] == rows[1]).all()
    r = run(ingle, "embed", str(model), "x", "--json")
    row = json.loads(r.stdout)
    assert row["index"] == 0 and row["tokens"] >= 1 and len(row["embedding"]) == rows.shape[1]


def test_bad_requests_say_what_is_wrong(ingle, golden):
    model = golden / "models" / "llama"
    r = run(ingle, "embed", str(model), "x", "--pooling", "median")
    assert r.returncode == 64 and "mean, last, first" in r.stderr
    r = run(ingle, "embed", str(model), "word " * 5000)
    assert r.returncode == 3 and "input 0" in r.stderr


def test_doctor_and_devices(ingle, golden):
    report = json.loads(run(ingle, "doctor", str(golden / "models" / "llama"), "--json").stdout)
    assert report["model"]["fits"] is True and report["model"]["family"] == "llama"
    assert report["speed"]["memory_bytes_per_second"] > 1e8
    limit = report["speed"]["memory_bytes_per_second"] / report["speed"]["model_bytes_per_token"]
    assert abs(report["speed"]["tokens_per_second_limit"] / limit - 1) < 1e-6
    devices = json.loads(run(ingle, "devices", "--json").stdout)
    assert devices[0]["id"] == "cpu" and devices[0]["usable"]
    assert [d["id"] for d in devices] == [d["id"] for d in report["devices"]]
    words = run(ingle, "doctor").stdout
    assert "memory" in words and "GB/s" in words


def test_doctor_says_when_a_model_cannot_fit(ingle, golden):
    r = run(ingle, "doctor", str(golden / "models" / "llama"), "--context", "16777216", "--kv", "f32", "--json")
    report = json.loads(r.stdout)
    needed = report["model"]["needed_bytes"]
    if needed > report["system"]["memory_bytes"]:
        assert not report["model"]["fits"]
        assert any(p["severity"] == "error" and p["hint"] for p in report["problems"])
    else:
        assert report["model"]["fits"]
