"""ingle pull, models, rm and verify against a hub of our own (fake_hub.py)."""
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest

from fake_hub import FakeHub, sha256

MIB = 1 << 20


def gguf(size, seed=0):
    return b"GGUF\x03\0\0\0" + random.Random(seed).randbytes(size - 8)


BIG = gguf(24 * MIB + 12345)


@pytest.fixture
def hub():
    with FakeHub() as h:
        yield h


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def store(home):
    return home / "models"


def environment(home, hub=None, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "INGLE_")) and "proxy" not in k.lower()}
    if hub:
        env["HF_ENDPOINT"] = hub.url
    return dict(env, INGLE_HOME=str(home), HOME=str(home), **more)


@pytest.fixture
def run(ingle, home, hub):
    """run("pull", ...) -> CompletedProcess, after checking its exit code"""
    def call(*args, code=0, timeout=60, **env):
        done = subprocess.run([ingle, *map(str, args)], env=environment(home, hub, **env), capture_output=True, text=True,
                              timeout=timeout)
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
        if code not in (0, 130):
            assert done.stderr.startswith("ingle: ") and done.stderr.count("\n") == 1, done.stderr
        return done
    return call


@pytest.fixture
def start(ingle, home, hub):
    running = []

    def call(*args, **env):
        p = subprocess.Popen([ingle, *map(str, args)], env=environment(home, hub, **env), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        running.append(p)
        return p
    yield call
    for p in running:
        if p.poll() is None:
            p.kill()
        p.communicate()


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def models(run):
    return {m["name"]: m for m in json.loads(run("models", "--json").stdout)}


def nothing_in_store(store):
    """No model, and no file under a final name."""
    return not store.exists() or [p.name for p in store.iterdir() if p.name != ".hub"] == []


# ---- what is chosen ------------------------------------------------------------------------------------------------


NAMES = ["m-Q2_K.gguf", "m-Q4_0.gguf", "m-Q4_K_M.gguf", "m-Q4_K_S.gguf", "m-Q8_0.gguf", "m-f16.gguf", "mmproj-f16.gguf",
         "UD/m-UD-Q4_K_XL.gguf", "README.md", "config.json"]


def tiny(names):
    return {n: gguf(100 + i, i) if n.lower().endswith(".gguf") else b"{}" for i, n in enumerate(names)}


@pytest.mark.parametrize("names, wish, wanted", [
    (NAMES, "", "m-Q4_K_M"),
    (NAMES, ":q8_0", "m-Q8_0"),
    (NAMES, ":Q4_K_XL", "m-UD-Q4_K_XL"),
    (NAMES, ":m-Q2_K.gguf", "m-Q2_K"),
    (NAMES, ":M-q2_k.GGUF", "m-Q2_K"),
    (NAMES, ":UD/m-UD-Q4_K_XL.gguf", "m-UD-Q4_K_XL"),
    (NAMES, ":*q8*", "m-Q8_0"),
    (NAMES, ":F16", "m-f16"),
    (["m-Q4_0.gguf", "m-Q4_K_S.gguf", "m-Q5_K_M.gguf"], "", "m-Q4_K_S"),
    (["m-Q8_0.gguf", "m-Q6_K.gguf", "m-Q2_K.gguf", "m-f16.gguf"], "", "m-Q8_0"),  # the smallest of at least 5 bits
    (["m-Q2_K.gguf", "m-IQ3_S.gguf"], "", "m-IQ3_S"),  # the largest of fewer
    (["model.gguf"], "", "model"),
    (["Model.Q4_K_M.GGUF"], ":q4_k_m", "Model.Q4_K_M"),
])
def test_choice(run, hub, names, wish, wanted):
    hub.add("own/m-GGUF", tiny(names))
    path = run("pull", f"own/m-GGUF{wish}").stdout.strip()
    assert pathlib.Path(path).name == wanted + ".gguf"
    assert list(models(run)) == [wanted]


def test_choice_that_fails_lists_what_is_there(run, hub):
    hub.add("own/m", tiny(NAMES))
    hub.add("own/none", {"README.md": b"x", "pytorch_model.bin": b"x"})
    assert "m-Q4_K_M.gguf" in run("pull", "own/m:Q5_K_M", code=2).stderr
    two = run("pull", "own/m:m-Q4_K_?.gguf", code=64).stderr
    assert "fits 2 files" in two and "m-Q4_K_S.gguf" in two
    assert "pytorch_model.bin" in run("pull", "own/none", code=2).stderr
    run("pull", "own/m:mmproj-f16.gguf")  # a companion only by its name
    for bad in ("own", "own/m/x", "own/m:", "own/m@", "own/..", "own/m:../x", "", "ftp://x/y.gguf", "http://u:p@x/y.gguf",
                "http://", "http://x/y.gguf#sha256=12"):
        run("pull", bad, code=64)


def test_split(run, hub, store):
    parts = {f"q8/m-Q8_0-{i:05}-of-00003.gguf": gguf(2 * MIB + i, i) for i in (1, 2, 3)}
    hub.add("own/m", {**parts, "m-Q4_K_M-00001-of-00002.gguf": gguf(100)})
    result = json.loads(run("pull", "own/m:Q8_0", "--json").stdout)
    assert result["name"] == "m-Q8_0" and len(result["files"]) == 3 and result["sha256"] == ""
    for path, data in parts.items():
        assert (store / path.split("/")[1]).read_bytes() == data
    assert models(run)["m-Q8_0"]["bytes"] == sum(map(len, parts.values()))
    assert "part 2 of 2" in run("pull", "own/m:Q4_K_M", code=2).stderr
    run("verify", "m-Q8_0")
    run("rm", "m-Q8_0")
    assert nothing_in_store(store)


def test_split_by_url(run, hub, store):
    for i in (1, 2, 3):
        url = hub.put(f"x/m-{i:05}-of-00003.gguf", gguf(2 * MIB + i, i))
    result = json.loads(run("pull", url + "?download=true", "--json").stdout)
    assert result["name"] == "m" and len(result["files"]) == 3
    for i in (1, 2, 3):
        assert (store / f"m-{i:05}-of-00003.gguf").read_bytes() == gguf(2 * MIB + i, i)
    before = hub.sent()
    run("pull", url + "?download=true")
    assert hub.sent() - before <= 1
    del hub.repos[""]["x/m-00002-of-00003.gguf"]
    run("rm", "m")
    run("pull", url + "?download=true", code=2)
    assert nothing_in_store(store)


def test_safetensors_set(run, hub, store, golden):
    folder = golden / "models" / "llama"
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "expected.safetensors"}
    weights = [n for n in files if n.endswith(".safetensors")]
    assert weights and "config.json" in files
    files.update({"README.md": b"x", "original/model.safetensors": b"x" * 99, "consolidated.safetensors": b"x" * 99,
                  "pytorch_model.bin": b"x", "onnx/model.onnx": b"x", ".gitattributes": b"x"})
    hub.add("own/tiny-llama", files)
    path = pathlib.Path(run("pull", "own/tiny-llama").stdout.strip())
    assert path == store / "tiny-llama"
    assert sorted(p.name for p in path.iterdir()) == sorted(p.name for p in folder.iterdir()
                                                            if p.name != "expected.safetensors" and
                                                            (p.name in weights or "token" in p.name or p.name in
                                                             ("config.json", "generation_config.json",
                                                              "chat_template.jinja", "vocab.json", "merges.txt")))
    assert run("tokenize", "tiny-llama", "hi", "--json").stdout
    assert run("tokenize", "own/tiny-llama", "hi", "--json").stdout
    run("verify", "tiny-llama")
    # nothing is loaded twice
    before = len(hub.asked("resolve"))
    run("pull", "own/tiny-llama")
    assert len(hub.asked("resolve")) == before
    # a changed file replaces the set as a whole
    hub.repos["own/tiny-llama"]["config.json"] = files["config.json"] + b"\n"
    run("pull", "own/tiny-llama")
    assert (path / "config.json").read_bytes() == files["config.json"] + b"\n"
    run("rm", "tiny-llama")
    assert nothing_in_store(store)


def test_pages_of_the_tree(run, hub):
    hub.add("own/m", {f"f{i:03}.txt": b"x" for i in range(95)} | {"zz-Q4_K_M.gguf": gguf(100)})
    hub.page_size = 10
    run("pull", "own/m")
    assert len(hub.asked("/tree/")) == 10


def test_revision(run, hub):
    hub.add("own/m", {"m.gguf": gguf(100)})
    run("pull", "own/m@refs/pr/7:m.gguf")
    assert "/tree/refs%2Fpr%2F7" in hub.asked("/tree/")[0]["path"]
    assert models(run)["m"]["source"] == "own/m@refs/pr/7:m.gguf"
    assert run("pull", "own/m@refs/pr/7:m.gguf").stdout  # what it says can be pulled again


def test_pasted_pages(run, hub):
    hub.add("own/m", tiny(NAMES))
    for path, name in (("/own/m", "m-Q4_K_M"), ("/own/m/blob/main/m-Q8_0.gguf", "m-Q8_0"),
                       ("/own/m/resolve/main/m-Q2_K.gguf?download=true", "m-Q2_K"), ("/own/m/tree/main", "m-Q4_K_M")):
        assert run("pull", hub.url + path).stdout.strip().endswith(f"/{name}.gguf")
        assert models(run)[name]["source"].startswith("own/m:")


# ---- loading -------------------------------------------------------------------------------------------------------


def test_pull_uses_connections_and_one_redirect(run, hub, store):
    hub.add("own/m", {"m-Q4_K_M.gguf": BIG})
    hub.rate = 8 * MIB
    result = json.loads(run("pull", "own/m", "--json", "--range-bytes", 2 * MIB).stdout)
    assert (store / "m-Q4_K_M.gguf").read_bytes() == BIG
    assert result["sha256"] == sha256(BIG) and result["bytes"] == len(BIG) and result["source"] == "own/m:m-Q4_K_M.gguf"
    assert hub.most_active == 4
    assert hub.sent() == len(BIG), "no byte twice"
    assert len(hub.asked("/resolve/")) == 1
    assert not list((store / ".hub" / "parts").iterdir()) and not list((store / ".hub" / "locks").iterdir())
    hub.most_active = 0
    run("rm", "m-Q4_K_M")
    run("pull", "own/m", "--connections", 1)
    assert hub.most_active == 1 and (store / "m-Q4_K_M.gguf").read_bytes() == BIG


def test_small_file_needs_one_request(run, hub):
    hub.add("own/m", {"m.gguf": gguf(5000)})
    run("pull", "own/m")
    assert [e["server"] for e in hub.log] == ["endpoint", "endpoint", "cdn"]
    before = len(hub.log)
    run("pull", "own/m")  # it is there: only the list is asked for
    assert [("/tree/" in e["path"]) for e in hub.log[before:]] == [True]


def test_server_that_takes_every_condition_for_a_change(run, hub, store):
    hub.deaf = True
    run("pull", hub.put("x/m.gguf", BIG))
    assert (store / "m.gguf").read_bytes() == BIG


def test_changed_source_replaces(run, hub, store):
    hub.add("own/m", {"m.gguf": gguf(3 * MIB, 1)})
    run("pull", "own/m")
    hub.add("own/m", {"m.gguf": gguf(2 * MIB, 2)})
    run("pull", "own/m")
    assert (store / "m.gguf").read_bytes() == gguf(2 * MIB, 2)
    assert list(models(run)) == ["m"]
    run("verify")


@pytest.mark.parametrize("size", [MIB - 1, MIB, MIB + 1, 8 * MIB, 8 * MIB + 1, 40])
def test_sizes_around_the_edges(run, hub, store, size):
    data = gguf(size, size)
    hub.add("own/m", {"m.gguf": data})
    run("pull", "own/m", "--range-bytes", MIB)
    assert (store / "m.gguf").read_bytes() == data
    assert hub.sent() == size


@pytest.mark.parametrize("connections", [1, 4])
def test_cuts(run, hub, store, connections):
    hub.add("own/m", {"m.gguf": BIG})
    hub.cut_after, hub.max_cuts = 5 * MIB + 321, 4
    run("pull", "own/m", "--connections", connections)
    assert hub.cuts >= 4 and (store / "m.gguf").read_bytes() == BIG
    assert hub.sent() < len(BIG) + 2 * MIB, "it went on where it was cut"


def test_server_without_ranges(run, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    hub.ranges = False
    hub.cut_after = 10 * MIB
    run("pull", "own/m")
    assert (store / "m.gguf").read_bytes() == BIG
    assert hub.most_active == 1 and len(hub.asked("signature")) == 2


def test_no_length(run, hub, store):
    url = hub.put("x/m.gguf", BIG)
    hub.lengths = hub.ranges = hub.etags = False
    run("pull", url)
    assert (store / "m.gguf").read_bytes() == BIG
    run("rm", "m")
    hub.cut_after = 10 * MIB  # cannot be gone on with, so it begins anew
    run("pull", url)
    assert (store / "m.gguf").read_bytes() == BIG


def test_busy_server(run, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    hub.statuses["/api/models/own/m/tree/main"] = [(503, {}), (429, {"Retry-After": "1"})]
    hub.statuses["/own/m/m.gguf"] = [(500, {}), (429, {"Retry-After": "0"}), (502, {})]
    start = time.monotonic()
    run("pull", "own/m")
    assert (store / "m.gguf").read_bytes() == BIG
    assert time.monotonic() - start >= 1


def test_server_that_stays_busy(run, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    hub.statuses["/own/m/m.gguf"] = [(503, {})] * 99
    assert "503" in run("pull", "own/m", "--retries", 1, code=2).stderr
    hub.statuses["/own/m/m.gguf"] = [(429, {"Retry-After": "100000"})]
    assert "too many requests" in run("pull", "own/m", code=2).stderr
    assert nothing_in_store(store)


def test_one_connection_too_many(run, hub, store):
    """A server that turns away all but the first connection."""
    hub.add("own/m", {"m.gguf": BIG})
    real = hub.from_cdn

    def limited(h, path, query):
        if hub.active > 1:
            return h.text(503, "one at a time")
        return real(h, path, query)
    hub.from_cdn = limited
    hub.rate = 30 * MIB
    run("pull", "own/m", "--range-bytes", 4 * MIB, "--retries", 1)
    assert (store / "m.gguf").read_bytes() == BIG


def test_addresses_that_expire(run, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    hub.expire = True
    run("pull", "own/m", "--range-bytes", 8 * MIB)
    assert (store / "m.gguf").read_bytes() == BIG


def test_stalled_connection(run, hub, store):
    hub.add("own/m", {"m.gguf": gguf(3 * MIB)})
    hub.gate = threading.Event()
    threading.Timer(2.5, hub.gate.set).start()
    start = time.monotonic()
    run("pull", "own/m", "--stall-seconds", 1)
    assert time.monotonic() - start > 2 and len(hub.asked("signature")) >= 2


# ---- going on ------------------------------------------------------------------------------------------------------


def begin_and_stop(start, hub, how, *args, at=8 * MIB):
    hub.rate = 6 * MIB
    p = start("pull", *args)
    wait_until(lambda: hub.sent() > at)
    how(p)
    hub.rate = None
    wait_until(lambda: hub.active == 0)
    return p


def test_resume_after_kill(run, start, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    begin_and_stop(start, hub, lambda p: (p.kill(), p.wait()), "own/m")
    unfinished = models(run)["m"]
    assert not unfinished["complete"] and 3 * MIB < unfinished["part_bytes"] < len(BIG)
    assert "unfinished" in run("models").stdout
    assert run("models", "--names").stdout == ""
    assert nothing_in_store(store)
    before = hub.sent()
    run("pull", "own/m")
    assert (store / "m.gguf").read_bytes() == BIG
    loaded = hub.sent() - before
    assert loaded == len(BIG) - unfinished["part_bytes"], "only what was missing"
    assert list(models(run)) == ["m"] and models(run)["m"]["complete"]


def test_resume_after_many_kills(run, start, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    hub.rate = 12 * MIB
    rng = random.Random(5)
    for _ in range(12):
        p = start("pull", "own/m", "--range-bytes", MIB)
        time.sleep(rng.uniform(0.01, 0.25))
        p.kill()
        p.wait()
        assert not (store / "m.gguf").exists() or (store / "m.gguf").read_bytes() == BIG
    hub.rate = None
    run("pull", "own/m")
    assert (store / "m.gguf").read_bytes() == BIG
    run("verify", "m")


def test_resume_of_a_url_with_etag(run, start, hub, store):
    url = hub.put("x/m.gguf", BIG)
    begin_and_stop(start, hub, lambda p: (p.kill(), p.wait()), url)
    before = hub.sent()
    run("pull", url)
    assert (store / "m.gguf").read_bytes() == BIG
    assert hub.sent() - before < len(BIG) - 3 * MIB
    assert any("if-range" in e["headers"] for e in hub.log)


@pytest.mark.parametrize("etags", [True, False])
def test_changed_file_starts_anew(run, start, hub, store, etags):
    hub.etags = etags
    url = hub.put("x/m.gguf", BIG)
    begin_and_stop(start, hub, lambda p: (p.kill(), p.wait()), url)
    other = gguf(len(BIG), 99)
    hub.put("x/m.gguf", other)
    run("pull", url)
    assert (store / "m.gguf").read_bytes() == other


def test_file_that_changes_while_it_is_loaded(run, start, hub, store):
    url = hub.put("x/m.gguf", BIG)
    hub.rate = 6 * MIB
    p = start("pull", url, "--range-bytes", MIB)
    wait_until(lambda: hub.sent() > 12 * MIB)
    other = gguf(20 * MIB, 99)
    hub.put("x/m.gguf", other)
    hub.rate = None
    assert p.wait(30) == 0, p.stderr.read()
    assert (store / "m.gguf").read_bytes() == other


def test_damaged_part_is_loaded_again(run, start, hub, store):
    """What a power failure does: the journal says a piece is there, the disk lost it."""
    hub.add("own/m", {"m.gguf": BIG})
    begin_and_stop(start, hub, lambda p: (p.kill(), p.wait()), "own/m")
    part = next(store.rglob("m.gguf.part"))
    with open(part, "r+b") as f:
        f.seek(MIB + 5)
        f.write(bytes(1000))
    before = hub.sent()
    run("pull", "own/m")
    assert (store / "m.gguf").read_bytes() == BIG
    assert hub.sent() - before < len(BIG) - 2 * MIB


def test_part_that_lies(run, start, hub, store):
    """The journal's checksums fit, but the bytes are not the file's: the hash tells, and it begins anew."""
    hub.add("own/m", {"m.gguf": BIG})
    begin_and_stop(start, hub, lambda p: (p.kill(), p.wait()), "own/m", "--connections", 1)
    part, journal = next(store.rglob("m.gguf.part")), next(store.rglob("m.gguf.journal"))
    with open(part, "r+b") as f:
        f.seek(MIB)
        piece = f.read(MIB)
        f.seek(2 * MIB)
        f.write(piece)
    lines = journal.read_text().splitlines()
    sum_of_one = next(line.split()[1] for line in lines if line.startswith("1 "))
    journal.write_text("".join(f"2 {sum_of_one}\n" if line.startswith("2 ") else line + "\n" for line in lines))
    run("pull", "own/m")
    assert (store / "m.gguf").read_bytes() == BIG


@pytest.mark.parametrize("damage", ["empty", "torn", "noise", "gone", "part gone"])
def test_damaged_journal(run, start, hub, store, damage):
    hub.add("own/m", {"m.gguf": BIG})
    begin_and_stop(start, hub, lambda p: (p.kill(), p.wait()), "own/m")
    journal = next(store.rglob("m.gguf.journal"))
    text = journal.read_bytes()
    if damage == "part gone":
        next(store.rglob("m.gguf.part")).unlink()
    elif damage == "gone":
        journal.unlink()
    else:
        journal.write_bytes({"empty": b"", "torn": text[:-9], "noise": random.Random(1).randbytes(500)}[damage])
    run("pull", "own/m")
    assert (store / "m.gguf").read_bytes() == BIG


def test_resume_in_a_set(run, start, hub, store):
    files = {"config.json": b"{}" * 50, "tokenizer.json": b"[]" * 99, "tokenizer_config.json": b"{}"}
    for i in (1, 2):
        header = b'{"__metadata__":{}}     '
        files[f"model-0000{i}-of-00002.safetensors"] = (len(header).to_bytes(8, "little") + header +
                                                        random.Random(i).randbytes(10 * MIB))
    hub.add("own/set", files)
    begin_and_stop(start, hub, lambda p: (p.kill(), p.wait()), "own/set", at=14 * MIB)
    before = hub.sent()
    assert models(run)["set"]["bytes"] == sum(map(len, files.values()))
    run("pull", "own/set")
    assert hub.sent() - before < 10 * MIB, "the first part is not loaded again"
    for name, data in files.items():
        assert (store / "set" / name).read_bytes() == data
    run("verify", "set")


# ---- cancelling ----------------------------------------------------------------------------------------------------


def stop_time(p, sig=signal.SIGINT):
    start = time.monotonic()
    p.send_signal(sig)
    p.wait(10)
    return time.monotonic() - start


def test_ctrl_c(run, start, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    times = []
    p = begin_and_stop(start, hub, lambda p: times.append(stop_time(p)), "own/m")
    assert p.returncode == 130
    error = p.stderr.read()
    assert "stopped" in error and "goes on from there" in error
    assert times[0] < 0.5, "50 ms and the process's end, on a busy machine"
    before = hub.sent()
    run("pull", "own/m")
    assert hub.sent() - before < len(BIG) - 3 * MIB


@pytest.mark.parametrize("where", ["tree", "signature", "before the answer"])
def test_ctrl_c_while_nothing_comes(start, hub, where):
    hub.add("own/m", {"m.gguf": BIG})
    event = threading.Event()
    if where == "signature":
        hub.gate = event
    else:
        real = hub.answer
        word = "tree" if where == "tree" else "resolve"
        hub.answer = lambda h: event.wait(20) and None if word in h.path else real(h)
    p = start("pull", "own/m")
    wait_until(lambda: hub.asked("signature" if where == "signature" else "tree" if where == "tree" else "resolve"))
    time.sleep(0.2)
    took = stop_time(p)
    event.set()
    assert p.returncode == 130 and took < 0.5, took


def test_ctrl_c_while_waiting_to_try_again(start, hub):
    hub.add("own/m", {"m.gguf": BIG})
    hub.statuses["/own/m/m.gguf"] = [(503, {"Retry-After": "30"})] * 9
    p = start("pull", "own/m")
    wait_until(lambda: hub.asked("signature"))
    time.sleep(0.3)
    assert stop_time(p) < 0.5 and p.returncode == 130


# ---- two at once ---------------------------------------------------------------------------------------------------


def test_two_processes_share_one_download(run, start, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    hub.rate = 12 * MIB
    ps = [start("pull", "own/m") for _ in range(3)]
    assert [p.wait(60) for p in ps] == [0, 0, 0]
    assert len({p.stdout.read() for p in ps}) == 1
    assert (store / "m.gguf").read_bytes() == BIG
    assert hub.sent() == len(BIG)


def test_waiting_can_be_cancelled_and_takes_over(run, start, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    hub.rate = 5 * MIB
    first = start("pull", "own/m")
    wait_until(lambda: hub.sent() > MIB)
    second, third = start("pull", "own/m"), start("pull", "own/m")
    time.sleep(0.4)
    assert stop_time(second) < 0.5 and second.returncode == 130
    assert first.poll() is None
    assert "being pulled" in run("rm", "m", code=3).stderr
    first.kill()  # the third goes on
    hub.rate = None
    assert third.wait(60) == 0
    assert (store / "m.gguf").read_bytes() == BIG


# ---- bad servers ---------------------------------------------------------------------------------------------------


def test_wrong_hash(run, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    hub.corrupt["/own/m/m.gguf"] = BIG[:9 * MIB] + b"x" + BIG[9 * MIB + 1:]
    assert "SHA-256" in run("pull", "own/m", code=2).stderr
    assert nothing_in_store(store)
    del hub.corrupt["/own/m/m.gguf"]
    run("pull", "own/m")


def test_url_with_hash(run, hub, store):
    data = gguf(5 * MIB)
    url = hub.put("x/m.gguf", data)
    assert "SHA-256" in run("pull", f"{url}#sha256={'0' * 64}", code=2).stderr
    assert nothing_in_store(store)
    run("pull", f"{url}#sha256={sha256(data).upper()}")
    before = len(hub.log)
    run("pull", f"{url}#sha256={sha256(data)}")
    assert len(hub.log) == before, "nothing to ask"


@pytest.mark.parametrize("delta", [-1000, 1000])
def test_list_and_server_disagree_about_the_length(run, hub, store, delta):
    hub.add("own/m", {"m.gguf": BIG})
    hub.says_size["own/m", "m.gguf"] = len(BIG) + delta
    run("pull", "own/m", code=2)
    assert nothing_in_store(store)


def test_short_body(run, hub, store):
    data = gguf(MIB // 2)
    url = hub.put("x/m.gguf", data)
    hub.ranges = False
    hub.extra["/x/m.gguf"] = {"Content-Length": str(len(data) + 10)}
    hub.cut_after, hub.max_cuts = len(data), 99
    run("pull", url, "--retries", 1, code=2, timeout=90)
    assert nothing_in_store(store)


@pytest.mark.parametrize("body, word", [(b"<!DOCTYPE html><html>Please log in</html>", "web page"),
                                        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12\n", "LFS pointer"),
                                        (b"\0" * 5000, "not a GGUF"), (b"GG", "not a GGUF"), (b"", "empty")])
def test_what_is_no_model(run, hub, store, body, word):
    assert word in run("pull", hub.put("x/m.gguf", body), code=2).stderr
    assert nothing_in_store(store)


def test_page_in_place_of_a_set(run, hub, store):
    hub.add("own/set", {"config.json": b"<html></html>", "model.safetensors": b"x" * 50})
    assert "web page" in run("pull", "own/set", code=2).stderr
    hub.add("own/set", {"config.json": b"{}"})
    assert "not a safetensors file" in run("pull", "own/set", code=2).stderr
    assert nothing_in_store(store)


@pytest.mark.parametrize("tree", ["", "{}", "[1,2", "[" * 5000, '[{"type":"file"}]', '"x"', "<html>", "\0\0",
                                  '[{"type":"file","path":"a.gguf","size":-5}]',
                                  '[{"type":"file","path":"a.gguf","size":1e300}]',
                                  '[{"type":"file","path":"a\\u0000b.gguf","size":5}]',
                                  '[{"type":"file","path":"..","size":5}]'])
def test_hostile_lists(run, hub, store, tree):
    hub.add("own/m", {"m.gguf": BIG})
    hub.tree_override = tree
    run("pull", "own/m", code=2)
    assert nothing_in_store(store)


@pytest.mark.parametrize("name", ["../x.gguf", "a/../../x.gguf", "..\\x.gguf", "C:\\x.gguf", "con.gguf", "nul.Q4_K_M.gguf",
                                  "-rf.gguf", ".hidden.gguf", "a\nb.gguf", "a\x1b[31m.gguf", "x" * 250 + ".gguf",
                                  "a\u202egguf.gguf"])
def test_hostile_names_in_a_list(run, hub, store, name):
    hub.tree_override = json.dumps([{"type": "file", "path": name, "size": 100, "lfs": {"oid": "0" * 64, "size": 100}}])
    hub.add("own/m", {})
    error = run("pull", "own/m", code=2).stderr
    assert "\x1b" not in error
    assert nothing_in_store(store)


@pytest.mark.parametrize("header, wanted", [
    ('attachment; filename="good.gguf"', "good.gguf"),
    ("attachment; filename*=UTF-8''b%C3%A4r.gguf; filename=x.gguf", "bär.gguf"),
    ('attachment; filename="../../../evil.gguf"', "evil.gguf"),
    ('attachment; filename="..\\\\..\\\\evil.gguf"', "evil.gguf"),
    ('attachment; filename=".."', "_._.gguf"),
    ('attachment; filename="a|b?c.gguf"', "a_b_c.gguf"),
    ('attachment; filename="CON"', "_CON.gguf"),
    ("attachment", "download.gguf"),
    ("attachment; filename=plain", "plain.gguf")])
def test_names_from_content_disposition(run, hub, store, header, wanted):
    url = hub.put("x/download", gguf(100))
    hub.extra["/x/download"] = {"Content-Disposition": header.encode().decode("latin-1")}
    path = pathlib.Path(run("pull", url + "?id=1").stdout.strip())
    assert path.parent == store and path.name == wanted
    assert "id=1" not in models(run)[wanted[:-5]]["source"], "a query may hold a secret"


def test_redirects(run, hub, store):
    url = hub.put("x/m.gguf", gguf(100))
    hub.redirects["/loop"] = "/loop"
    assert "redirects" in run("pull", hub.cdn_url + "/loop", code=2).stderr
    assert len(hub.asked("/loop")) == 11
    hub.redirects["/relative"] = "x/m.gguf"
    hub.redirects["/absolute"] = url
    hub.redirects["/schemeless"] = url.split(":", 1)[1]
    for path in ("relative", "absolute", "schemeless"):
        run("pull", f"{hub.cdn_url}/{path}")
    for to in ("ftp://x/y", "file:///etc/passwd", "javascript:1", "http://user:pw@127.0.0.1/x", "http://[::1", "http://a b/",
               "\x01", "http://x\x7f/"):
        hub.redirects["/bad"] = to
        run("pull", hub.cdn_url + "/bad", code=2)


def test_token(run, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    hub.need_token = "hf_secret"
    error = run("pull", "own/m", code=2).stderr
    assert "licence" in error and "HF_TOKEN" in error
    run("pull", "own/m", HF_TOKEN="hf_secret")
    assert (store / "m.gguf").read_bytes() == BIG
    for e in hub.log:
        if e["server"] == "cdn":
            assert "authorization" not in e["headers"]
    assert any(e["headers"].get("authorization") == "Bearer hf_secret" for e in hub.log)
    assert not any("hf_secret" in p.read_text() for p in store.rglob("*.json"))


def test_token_does_not_come_back(run, hub):
    """endpoint -> CDN -> endpoint: the CDN must not steer a token to where it likes."""
    hub.add("own/m", {"m.gguf": gguf(100)})
    hub.need_token = "hf_secret"
    hub.redirects["/own/m/m.gguf"] = hub.url + "/own/m/resolve/main/m.gguf"
    run("pull", "own/m", code=2, HF_TOKEN="hf_secret")
    assert "authorization" not in hub.log[-1]["headers"]


@pytest.mark.parametrize("status", [401, 403, 404])
def test_refused(run, hub, status):
    hub.add("own/m", {"m.gguf": gguf(100)})
    hub.statuses["/api/models/own/m/tree/main"] = [(status, {})]
    assert "own/m" in run("pull", "own/m", code=2).stderr
    hub.statuses["/own/m/m.gguf"] = [(status, {})] * 9
    run("pull", "own/m", code=2)
    assert "no/such" in run("pull", "no/such", code=2).stderr


def test_nobody_listens(run, hub, store):
    hub.__exit__()
    start = time.monotonic()
    error = run("pull", "own/m", code=2).stderr
    assert "online" in error and time.monotonic() - start < 10
    hub.__enter__()


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate")
def test_certificates(run, hub, store, tmp_path):
    import ssl
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", "key", "-out", "cert"],
                   cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    hub.cdn.socket = context.wrap_socket(hub.cdn.socket, server_side=True, do_handshake_on_connect=False)
    data = gguf(3 * MIB)
    url = hub.put("x/m.gguf", data).replace("http:", "https:")
    start = time.monotonic()
    assert "certificate" in run("pull", url, code=2).stderr
    assert time.monotonic() - start < 5, "not tried again"
    assert hub.log == [] and nothing_in_store(store)
    run("pull", url, SSL_CERT_FILE=str(tmp_path / "cert"))
    assert (store / "m.gguf").read_bytes() == data
    # https -> http is refused, also to the same machine
    hub.redirects["/down"] = hub.url + "/x"
    assert "https to http" in run("pull", url.replace("/x/m.gguf", "/down"), code=2,
                                  SSL_CERT_FILE=str(tmp_path / "cert")).stderr


def test_proxy(run, hub, store):
    """http_proxy is honoured: the request arrives at the proxy with the whole URL."""
    run("pull", "http://example.invalid/m.gguf", "--retries", 0, code=2, http_proxy=hub.url)
    assert hub.log[0]["path"] == "http://example.invalid/m.gguf"


# ---- disk ----------------------------------------------------------------------------------------------------------


def test_max_bytes(run, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    url = hub.put("x/m.gguf", BIG)
    assert "allowed" in run("pull", "own/m", "--max-bytes", MIB, code=3).stderr
    assert "allowed" in run("pull", url, "--max-bytes", MIB, code=3).stderr
    hub.lengths = hub.ranges = False
    assert "allowed" in run("pull", url, "--max-bytes", 3 * MIB, code=3).stderr
    assert nothing_in_store(store)


def test_file_size_limit(ingle, home, hub, store):
    """The disk refuses a write in the middle: a clear error, and the part stays for later."""
    hub.add("own/m", {"m.gguf": BIG})

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (9 * MIB, 9 * MIB))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    done = subprocess.run([ingle, "pull", "own/m"], env=environment(home, hub), capture_output=True, text=True, timeout=60,
                          preexec_fn=limit)
    assert done.returncode == 2 and "too large" in done.stderr, done.stderr
    assert nothing_in_store(store)
    before = hub.sent()
    subprocess.run([ingle, "pull", "own/m"], env=environment(home, hub), check=True, capture_output=True)
    assert (store / "m.gguf").read_bytes() == BIG and hub.sent() - before < len(BIG)


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", place],
                                      capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    yield place
    subprocess.run(["umount", "-l", place])


def test_full_disk(ingle, hub, small_disk):
    hub.add("own/m", {"m.gguf": BIG})
    url = hub.put("x/m.gguf", BIG)
    for what in ("own/m", url):
        done = subprocess.run([ingle, "pull", what], env=environment(small_disk, hub), capture_output=True, text=True)
        assert done.returncode == 2 and "the disk has" in done.stderr, done.stderr
    assert hub.sent("signature") == 0, "known before the first byte"
    hub.lengths = hub.ranges = False  # not known before: the write fails
    done = subprocess.run([ingle, "pull", url], env=environment(small_disk, hub), capture_output=True, text=True)
    assert done.returncode == 2 and "no space left" in done.stderr, done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_store_that_may_not_be_written(run, hub, home):
    hub.add("own/m", {"m.gguf": gguf(100)})
    home.mkdir()
    home.chmod(0o500)
    run("pull", "own/m", code=2)
    home.chmod(0o700)


# ---- the store -----------------------------------------------------------------------------------------------------


def test_names_that_clash(run, hub, store):
    store.mkdir(parents=True)
    (store / "m.gguf").write_bytes(gguf(500, 7))
    for owner in ("a", "b"):
        hub.add(f"{owner}/m", {"m.gguf": gguf(100, ord(owner))})
        run("pull", f"{owner}/m")
    assert sorted(models(run)) == ["m", "m--a", "m--b"]
    assert (store / "m.gguf").read_bytes() == gguf(500, 7), "a file put there by hand is nobody's to replace"
    hub.add("a/m", {"m.gguf": gguf(120, 3)})
    run("pull", "a/m")
    assert sorted(models(run)) == ["m", "m--a", "m--b"] and (store / "m--a.gguf").stat().st_size == 120
    hub.add("a/other", {"M.GGUF": gguf(130, 3)})
    run("pull", "a/other")
    assert sorted(models(run)) == ["M--a--" + next(n for n in models(run) if n.startswith("M--a--"))[6:], "m", "m--a",
                                   "m--b"], "case does not make a name another one"


def test_file_put_there_by_hand_is_adopted(run, hub, store):
    data = gguf(3 * MIB)
    store.mkdir(parents=True)
    (store / "m.gguf").write_bytes(data)
    hub.add("own/m", {"m.gguf": data})
    run("pull", "own/m")
    assert hub.sent() == 0
    assert models(run)["m"]["sha256"] == sha256(data) and models(run)["m"]["source"] == "own/m:m.gguf"


def test_verify(run, hub, store):
    hub.add("own/m", {"m.gguf": gguf(3 * MIB)})
    run("pull", "own/m")
    (store / "mine.gguf").write_bytes(gguf(50))
    listed = run("verify").stdout
    assert "ok" in listed and "no record" in listed
    assert "no record" in run("verify", "mine", code=2).stderr
    with open(store / "m.gguf", "r+b") as f:
        f.seek(2 * MIB)
        byte = f.read(1)
        f.seek(2 * MIB)
        f.write(bytes([byte[0] ^ 1]))
    assert "damaged" in run("verify", "m", code=2).stderr
    run("verify", code=2)
    with open(store / "m.gguf", "ab") as f:
        f.write(b"x")
    assert "sizes" in run("verify", "m", code=2).stderr
    run("verify", "zzz", code=2)


def test_verify_json(ingle, run, hub, store, home):
    hub.add("own/m", {"m.gguf": gguf(1000)})
    run("pull", "own/m")
    (store / "mine.gguf").write_bytes(gguf(50))
    assert json.loads(run("verify", "--json").stdout) == [
        {"name": "m", "result": "ok", "message": ""},
        {"name": "mine", "result": "no record", "message": "mine: there is no record to compare with"}]
    (store / "m.gguf").write_bytes(gguf(1000, 5))
    done = subprocess.run([ingle, "verify", "--json", "m"], env=environment(home), capture_output=True, text=True)
    assert done.returncode == 2 and json.loads(done.stdout)[0]["result"] == "damaged"


def test_rm(run, hub, store):
    hub.add("own/m", {"m-Q8_0.gguf": gguf(100), "m-Q4_K_M.gguf": gguf(100)})
    run("pull", "own/m")
    run("pull", "own/m:Q8_0")
    assert "m-Q8_0" in run("rm", "m-Q8", code=2).stderr
    run("rm", "m-Q8_0", "m-Q4_K_M.gguf")
    assert nothing_in_store(store) and models(run) == {}
    assert not list((store / ".hub" / "records").iterdir())
    run("rm", "m-Q8_0", code=2)
    run("rm", code=64)


def test_rm_of_an_unfinished_pull(run, start, hub, store):
    hub.add("own/m", {"m.gguf": BIG})
    begin_and_stop(start, hub, lambda p: (p.kill(), p.wait()), "own/m")
    run("rm", "m")
    assert models(run) == {} and not list((store / ".hub" / "parts").iterdir())


def test_offline(run, hub, store):
    hub.add("own/m", {"m-Q4_K_M.gguf": gguf(100)})
    assert "offline" in run("pull", "own/m", "--offline", code=2).stderr
    assert hub.log == []
    path = run("pull", "own/m").stdout
    before = len(hub.log)
    for what in ("own/m", "own/m:q4_k_m", "OWN/M:m-Q4_K_M.gguf"):
        assert run("pull", what, "--offline").stdout == path
        assert run("pull", what, HF_HUB_OFFLINE="1").stdout == path
    run("pull", "own/m:Q8_0", "--offline", code=2)
    assert len(hub.log) == before


def test_models_by_their_source(run, hub, golden):
    data = (golden / "gguf" / "tiny.gguf").read_bytes() if (golden / "gguf" / "tiny.gguf").exists() else \
        next((golden / "gguf").glob("*.gguf")).read_bytes()
    hub.add("own/tiny-GGUF", {"tiny-Q8_0.gguf": data})
    assert "ingle pull own/tiny-GGUF:Q8_0" in run("tokenize", "own/tiny-GGUF:Q8_0", "hi", code=2).stderr
    run("pull", "own/tiny-GGUF")
    wanted = run("tokenize", "tiny-Q8_0", "hi", "--json").stdout
    for name in ("own/tiny-GGUF", "own/tiny-GGUF:q8_0", "tiny", "TINY-q8_0.gguf"):
        assert run("tokenize", name, "hi", "--json").stdout == wanted
    assert "no such file" in run("info", "./own/tiny", code=2).stderr


def test_strange_things_in_the_store(run, hub, store):
    """Nothing that lies there, in whatever shape, is an error."""
    records = store / ".hub" / "records"
    records.mkdir(parents=True)
    (store / ".hub" / "parts" / "junk").mkdir(parents=True)
    (store / ".hub" / "parts" / "junk" / "plan.json").write_text("{")
    (store / ".hub" / "parts" / "file").write_text("x")
    (store / "m.gguf").write_bytes(gguf(100))
    (store / "folder.gguf").mkdir()
    (store / "link.gguf").symlink_to("nowhere")
    for text in ("", "[]", "{}", '{"version":1}', '{"version":1,"name":"m","key":"../../x"}', "\0"):
        (records / "m.json").write_text(text)
        assert list(models(run)) == ["m"]
    good = {"version": 1, "name": "m", "key": "0" * 32, "format": "gguf", "source": "s", "files":
            [{"name": "../../../home/x", "bytes": 100, "sha256": "0" * 64, "oid": ""}]}
    (records / "m.json").write_text(json.dumps(good))
    assert models(run)["m"]["source"] == ""
    good["files"][0]["name"] = "m.gguf"
    (records / "m.json").write_text(json.dumps(good))
    assert models(run)["m"]["source"] == "s"


def test_progress_is_for_terminals(run, hub):
    hub.add("own/m", {"m.gguf": BIG})
    done = run("pull", "own/m")
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo terminals")
def test_progress_line(ingle, home, hub):
    import pty
    hub.add("own/m", {"m.gguf": BIG})
    hub.rate = 6 * MIB
    mine, theirs = pty.openpty()
    p = subprocess.Popen([ingle, "pull", "own/m"], env=environment(home, hub), stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(mine, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    assert p.wait() == 0
    os.close(mine)
    for word in (b"m.gguf", b" %", b"MB/s", b"left", b"ingle chat m"):
        assert word in text, text[-500:]


def test_without_curl(top, tmp_path, hub):
    """A build without libcurl works, and pull says what is missing."""
    cc = shutil.which("cc")
    sources = [top / f for name in ("src", "hub") for f in (top / name / "files.txt").read_text().split()]
    out = tmp_path / "o"
    out.mkdir()
    cli = [p for p in sorted((top / "cli").glob("*.c"))]
    subprocess.run([cc, "-std=c11", "-O0", f"-I{top}", f"-I{top}/include", f"-I{top}/src", *cli, "-c"], cwd=out, check=True)
    library = pathlib.Path(os.environ.get("INGLE_BUILD", top / "build")) / "libingle.a"
    assert sources and library.exists()
    subprocess.run([cc, *out.glob("*.o"), library, "-lm", "-lpthread", "-ldl", "-o", tmp_path / "ingle"], check=True)
    done = subprocess.run([tmp_path / "ingle", "pull", "own/m"], env=environment(tmp_path, hub), capture_output=True, text=True)
    assert done.returncode == 2 and "libcurl" in done.stderr
    assert subprocess.run([tmp_path / "ingle", "models"], env=environment(tmp_path), capture_output=True).returncode == 0


# ---- the sources ---------------------------------------------------------------------------------------------------


def test_files_txt_lists_every_source_sorted(top):
    listed = (top / "hub/files.txt").read_text().split()
    assert listed == sorted(str(p.relative_to(top)) for p in (top / "hub").glob("*.c"))
    core = [pathlib.Path(f).name for f in (top / "src/files.txt").read_text().split()]
    assert not {pathlib.Path(f).name for f in listed} & set(core), "objects of one name cannot lie in one folder"


@pytest.mark.parametrize("cc, standard, ending", [("cc", "c99", "c"), ("c++", "c++17", "cpp")])
def test_header_alone(top, tmp_path, cc, standard, ending):
    if not shutil.which(cc):
        pytest.skip(f"no {cc}")
    shutil.copy(top / "hub/hub.h", tmp_path / "ingle_hub.h")  # as it is installed
    source = tmp_path / f"a.{ending}"
    source.write_text('#include <ingle_hub.h>\nint main(void) { return 0; }\n')
    subprocess.run([cc, f"-std={standard}", "-pedantic-errors", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}",
                    f"-I{top}/include", "-fsyntax-only", source], check=True)


def test_core_does_not_know_the_hub(top):
    """src/ alone is a library: nothing in it includes or names the hub."""
    for path in (top / "src").rglob("*.[ch]"):
        assert "hub/" not in path.read_text() and "ingle_hub" not in path.read_text(), path
