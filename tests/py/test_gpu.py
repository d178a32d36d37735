"""GPUs as seen from outside: what is listed, what is said when something is missing, and what it costs not to have one.

OpenCL runs on PoCL here, a driver that computes on the processor. tests/gpu/fault_cl.c stands in for its library where calls
are to fail or to be counted."""
import json
import os
import pathlib
import subprocess
import time

import get_model
import pytest

from conftest import BUILD


# Tests run side by side, and PoCL ends a process whose kernels another one compiles into the same folder.
# The folders are those of tools/test.py, which holds what its programs had compiled.
POCL = BUILD / "pocl" / os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]


def run(ingle, *args, timeout=300, **env):
    POCL.mkdir(parents=True, exist_ok=True)
    env = dict(os.environ, POCL_CACHE_DIR=str(POCL), **env)
    return subprocess.run([ingle, *args], capture_output=True, text=True, timeout=timeout, env=env)


def devices(ingle, **env):
    return json.loads(run(ingle, "devices", "--json", **env).stdout)


@pytest.fixture(scope="session")
def opencl(ingle):
    """The first OpenCL device, or the test is skipped."""
    found = [d for d in devices(ingle) if d.get("backend") == "opencl"]
    if not found:
        pytest.skip("no OpenCL device")
    return found[0]


def test_a_device_is_described(ingle, opencl):
    assert opencl["id"] == "opencl0" and opencl["kind"] == "gpu" and opencl["name"] and opencl["driver"]
    assert opencl["usable"] and opencl["memory_bytes"] > 0 and opencl["units"] > 0
    if opencl["software"]:
        assert not opencl["automatic"] and "only when asked for" in opencl["reason"]
    else:
        assert opencl["automatic"] and not opencl["reason"]


def test_list_devices_is_devices(ingle):
    a, b = run(ingle, "--list-devices"), run(ingle, "devices")
    assert a.returncode == 0 and a.stdout == b.stdout and a.stdout.startswith("usable    cpu ")


@pytest.mark.parametrize("library,word", [("/nowhere/libOpenCL.so", "no OpenCL library is installed"),
                                          ("libm.so.6", "lacks functions")])
def test_what_is_missing_is_said(ingle, library, word):
    report = json.loads(run(ingle, "doctor", "--json", INGLE_OPENCL=library).stdout)
    assert all(d.get("backend") != "opencl" for d in report["devices"])
    reason = {b["name"]: b["reason"] for b in report["backends"]}
    assert list(reason) == ["cuda", "metal", "opencl"] and word in reason["opencl"]
    assert "no driver opencl " in run(ingle, "doctor", INGLE_OPENCL=library).stdout


def test_doctor_measures_devices(ingle, opencl, golden):
    start = time.monotonic()
    report = json.loads(run(ingle, "doctor", str(golden / "models" / "llama"), "--json").stdout)
    assert time.monotonic() - start < 20
    speed = {d["id"]: d for d in report["speed"]["devices"]}[opencl["id"]]
    assert speed["memory_bytes_per_second"] > 1e7 and speed["upload_bytes_per_second"] > 1e7
    assert 0 < speed["launch_seconds"] < 1 and speed["model_share"] == 1 and not speed["reason"]
    least = report["speed"]["model_bytes_per_token"] / speed["memory_bytes_per_second"]
    assert 0 < speed["tokens_per_second_limit"] <= 1 / least
    assert {b["name"]: b["devices"] for b in report["backends"]}["opencl"] >= 1
    words = run(ingle, "doctor").stdout
    assert f"\n{opencl['id']}   " in words and "GB/s in its memory" in words


def test_doctor_says_where_a_model_goes(ingle, opencl, golden):
    model = str(golden / "models" / "llama")
    placed = json.loads(run(ingle, "doctor", model, "--json", "--device", opencl["id"]).stdout)["model"]
    assert placed["on_gpus"] and opencl["id"] in placed["placement"]
    assert f"placed    {placed['placement'].split('(')[0]}" in run(ingle, "doctor", model, "--device", opencl["id"]).stdout
    placed = json.loads(run(ingle, "doctor", model, "--json", "--device", "none").stdout)["model"]
    assert not placed["on_gpus"] and placed["placement"].startswith("all on the processor")
    report = json.loads(run(ingle, "doctor", model, "--json", "--device", "cuda9").stdout)
    assert any(p["severity"] == "error" and "cuda9" in p["what"] and p["hint"] for p in report["problems"])


def test_doctor_says_what_failed(ingle, opencl, build):
    layer = build / "tests" / "libfault_cl.so"
    if not layer.exists():
        pytest.skip("the tests of the GPU are not built")
    report = json.loads(run(ingle, "doctor", "--json", INGLE_OPENCL=str(layer), INGLE_FAULT_CL="clCreateBuffer 2 forever").stdout)
    speed = {d["id"]: d for d in report["speed"]["devices"]}[opencl["id"]]
    assert speed["memory_bytes_per_second"] == 0 and "clCreateBuffer" in speed["reason"]
    assert any(p["severity"] == "error" and opencl["id"] in p["what"] and p["hint"] for p in report["problems"])


def hash_of(ingle, model, *args, **env):
    done = run(ingle, "bench", "--hash", "-p", "24", "--threads", "1", str(model), *args, timeout=1800, **env)  # PoCL compiles
    return done.stdout if done.returncode == 0 else None


def test_golden_models_on_opencl(ingle, opencl, golden, tmp_path):
    """Every golden model (every fourth without INGLE_TEST_ALL=1) of a family that is known: all layers there, and of every third some on either side."""
    env = {"INGLE_HOME": str(tmp_path)}  # compiled programs
    models = sorted(golden.glob("models/*")) + sorted(golden.glob("gguf/*.gguf"))
    every = 1 if os.environ.get("INGLE_TEST_ALL") else 4
    models = models[::every]
    other, seen = [], 0
    for i, model in enumerate(models):
        want = hash_of(ingle, model)
        if want is None:
            continue
        seen += 1
        splits = [["--gpu-layers", "all"]] + ([["--gpu-layers", "1"]] if i % 3 == 0 else [])
        other += [(model.name, s) for s in splits if hash_of(ingle, model, "--device", opencl["id"], *s, **env) != want]
    assert seen > 30 // every and not other
    assert list((tmp_path / "programs").glob("opencl-*.bin"))


def test_smollm2_on_opencl(ingle, opencl, top, tmp_path):
    """Greedy text; INGLE_LONG=1 takes 256 tokens and a second split, which PoCL needs minutes for."""
    model = pathlib.Path(get_model.store()) / "smollm2.gguf"
    if not model.exists():
        pytest.skip("no SmolLM2: run make model")
    long = os.environ.get("INGLE_LONG")
    args = ["run", str(model), "Once upon a time there was a", "--temp", "0", "--max-tokens", "256" if long else "12"]
    want = run(ingle, *args, "--device", "none")
    assert want.returncode == 0 and want.stdout
    for layers in ["all", "10"] if long else ["10"]:
        got = run(ingle, *args, "--device", opencl["id"], "--gpu-layers", layers, timeout=1800, INGLE_HOME=str(tmp_path))
        assert got.returncode == 0 and got.stdout == want.stdout


def opened(command, **env):
    """Names of the libraries and drivers that a command tries to open, by strace."""
    try:
        done = subprocess.run(["strace", "-f", "-e", "trace=open,openat", *command], capture_output=True, text=True, timeout=120,
                              env=dict(os.environ, **env))
    except FileNotFoundError:
        pytest.skip("no strace")
    if "PTRACE" in done.stderr and "Operation not permitted" in done.stderr:
        pytest.skip("strace may not trace here")
    return [line for line in done.stderr.splitlines() if any(w in line for w in ("OpenCL", "libcuda", "nvidia", "pocl"))]


def test_nothing_is_opened_for_nothing(ingle, golden):
    for args in (["version"], ["help"], ["info", str(golden / "models" / "llama")]):
        assert opened([ingle, *args]) == []
