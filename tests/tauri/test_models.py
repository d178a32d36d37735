"""Loading, describing, embedding, tokens, templates, sessions, devices: against the command line program."""
import json
import math
import pathlib
import subprocess
import time

import pytest

from harness import APP, GOLDEN, Home, PageError, app_env, cli, wait_until

USER = {"role": "user", "content": "x"}
TEXTS = ["a cat sleeps", "tax law of 1987", "größer 🦀"]


def path_of(app, name):
    return (app.home.store / "models" / f"{name}.gguf").resolve()


def unload(app, name):
    if any(row["loaded"] for row in app.run("models") if row["name"] == name):
        app.run("unload", name)


def test_load_says_what_it_loaded(app):
    unload(app, "tiny")
    loaded = app.run("load", "tiny")
    info = json.loads(cli("info", path_of(app, "tiny"), "--json"))["info"]
    assert loaded["name"] == "tiny" and loaded["device"] and loaded["loadSeconds"] > 0
    assert (loaded["info"]["width"], loaded["info"]["vocabulary"]) == (info["width"], info["vocabulary"])
    assert loaded["info"]["feedForward"] == info["feed_forward"] and loaded["info"]["chatTemplate"] is True
    assert app.run("info", "tiny") == loaded["info"]
    assert [row["loaded"] for row in app.run("models") if row["name"] == "tiny"] == [True]
    again = app.run("load", "tiny")
    assert again["id"] == loaded["id"] and again["loadSeconds"] == 0
    assert app.run("unload", "tiny") is None
    assert [row["loaded"] for row in app.run("models") if row["name"] == "tiny"] == [False]


def test_real_model_loads_with_progress(app, real):
    unload(app, "smollm2")
    loaded = app.run("load", "smollm2")
    done = [step["done"] for step in loaded["progress"]]
    assert done == sorted(done) and all(0 <= value <= 1 for value in done)
    assert loaded["info"]["parameters"] > 1e8


def test_a_stored_model_loads_on_demand(app):
    unload(app, "tiny")
    answer = app.run("generate", {"model": "tiny", "prompt": "x", "maxTokens": 3, "options": {"ignore-eos": True}})
    assert answer["usage"]["outputTokens"] == 3


@pytest.mark.parametrize("model", ["tiny", "smollm2"])
def test_embeddings_are_those_of_the_command(app, request, model):
    if model == "smollm2":
        request.getfixturevalue("real")
    got = app.call("""async (request) => {
        const vectors = await window.__TAURI__.ingle.embed(request);
        if (!vectors.every((v) => v instanceof Float32Array)) throw new Error('not Float32Array');
        return vectors.map((v) => [...v]);
    }""", model=model, input=TEXTS)
    width = app.run("info", model)["width"]
    want = [[float(v) for v in line.split()]
            for line in cli("embed", path_of(app, model), "-", text="\n".join(TEXTS) + "\n").splitlines()]
    assert len(got) == len(TEXTS) and all(len(v) == width for v in got)
    for a, b in zip(got, want):
        assert max(abs(x - y) for x, y in zip(a, b)) < 1e-6
        assert math.isclose(sum(x * x for x in a), 1, abs_tol=1e-4)
    one = app.run("embed", {"model": model, "input": TEXTS[0], "dimensions": 8, "pooling": "last"})
    assert one["count"] == 1 and one["width"] == 8 and one["finite"]


def test_tokens_and_templates(app):
    text = "the name of größer 🦀"
    want = json.loads(cli("tokenize", path_of(app, "tiny"), text, "--json"))
    got = app.run("tokenize", text, {"model": "tiny", "addSpecial": False})
    assert got == [token for token in want if token != 1] or got == want
    assert app.run("detokenize", got, {"model": "tiny"}).strip() == text
    messages = [{"role": "user", "content": "hi"}]
    rendered = app.run("applyTemplate", {"model": "tiny", "messages": messages})
    assert rendered == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


def test_a_session_goes_on(app):
    request = {"model": "tiny", "messages": [{"role": "user", "content": "remember the lighthouse"}], "maxTokens": 4,
               "options": {"ignore-eos": True, "temperature": 0}}
    first = app.run("chat", request)
    assert app.run("saveSession", "my-talk.1", "tiny") is None
    app.run("unload", "tiny")
    app.run("load", "tiny")
    assert app.run("loadSession", "my-talk.1", "tiny") is None
    again = app.run("chat", request)
    assert again["text"] == first["text"]
    assert again["usage"]["cachedTokens"] > 0 == first["usage"]["cachedTokens"] or again["usage"]["cachedTokens"] > 10
    for bad in ("../outside", "", "a/b", "x" * 65):
        with pytest.raises(PageError) as error:
            app.run("saveSession", bad, "tiny")
        assert error.value.code == "bad_argument"
    with pytest.raises(PageError) as error:
        app.run("loadSession", "never-saved", "tiny")
    assert error.value.code == "not_found" and error.value.hint


def test_devices_and_doctor(app):
    devices = app.run("devices")
    assert [d for d in devices if d["kind"] == "cpu" and d["usable"] and d["threads"] >= 1]
    machine = app.run("doctor")
    assert machine["version"] and machine["model"] is None and isinstance(machine["problems"], list)
    fit = app.run("doctor", "tiny")
    assert fit["model"]


def test_errors_have_three_fields(app):
    errors = app.run("errors")
    expected = {"noModel": "not_found", "noStream": "not_found", "badRequest": "bad_request",
                "emptyPrompt": "bad_request", "badName": "bad_argument", "outside": "forbidden", "refused": "forbidden"}
    for name, code in expected.items():
        error = errors[name]
        assert error and error["isIngleError"], name
        assert error["code"] == code and error["message"] and isinstance(error["hint"], str), (name, error)
    if errors["badOption"]:
        assert errors["badOption"]["code"] in ("bad_argument", "not_found")


@pytest.mark.parametrize("command, args, code", [
    ("chat", {"request": {"model": "tiny", "messages": []}}, "bad_request"),
    ("chat", {"request": {"model": "tiny", "messages": [{"content": "x"}]}}, "bad_request"),
    ("chat", {"request": {"model": "tiny", "messages": [USER], "maxTokens": "many"}}, "bad_request"),
    ("chat", {"request": {"model": "tiny", "messages": [USER], "options": {"tmp": 1}}}, None),
    ("generate", {"request": {"model": "tiny", "prompt": "x", "temperature": -3}}, None),
    ("generate", {"request": {"model": "tiny", "prompt": "x" * 5000}}, None),
    ("generate", {"request": 7}, "bad_request"),
    ("generate", {}, "bad_request"),
    ("chat", {"request": {"model": {"a": 1}, "messages": []}}, "bad_request"),
])
def test_wrong_requests_end_in_an_error(app, command, args, code):
    """As a rejection or as the stream's last message, never as silence."""
    error = app.call("""({ command, args }) => new Promise((resolve) => {
        const channel = new window.__TAURI__.core.Channel();
        channel.onmessage = (m) => m.event === 'error' ? resolve(m.data) : m.event === 'done' && resolve(null);
        window.__TAURI__.core.invoke('plugin:ingle|' + command, { ...args, onEvent: channel }).catch(resolve);
    })""", command=command, args=args)
    assert isinstance(error, dict), f"no error but {error!r}"
    assert error["code"] and error["message"] and "hint" in error
    assert error["code"] == code if code else error["code"] in ("bad_request", "bad_argument", "limit")


def test_broken_files(start, tmp_path):
    """What lies in the store is not trusted either."""
    good = (GOLDEN / "gguf/llama.gguf").read_bytes()
    models = {}
    for name, data in {"empty.gguf": b"", "text.gguf": b"hello", "cut.gguf": good[:len(good) // 2],
                       "head.gguf": good[:40]}.items():
        models[name] = tmp_path / name
        models[name].write_bytes(data)
    with start(models=models) as page:
        for name in models:
            with pytest.raises(PageError) as error:
                page.run("load", name.removesuffix(".gguf"))
            assert error.value.code in ("bad_file", "unsupported", "io"), (name, error.value.raw)
            assert error.value.message
        assert page.run("devices")


def in_memory(page):
    return "tiny" in pathlib.Path(f"/proc/{page.app_pid()}/maps").read_text()


@pytest.mark.parametrize("config, hide, least", [
    pytest.param({"idleUnloadSeconds": 1}, False, 0.5, id="idle"),
    pytest.param({"unloadWhenHidden": True}, True, 5, id="hidden"),
])
def test_a_model_leaves_the_memory_and_comes_back(start, copies, config, hide, least):
    """Its conversation is kept meanwhile: the prompt is not computed a second time."""
    request = {"prompt": "the lighthouse keeper", "maxTokens": 5, "options": {"temperature": 0, "ignore-eos": True}}
    with start(models={"tiny.gguf": copies("tiny")}, config={"model": "tiny", **config}) as page:
        first = page.run("generate", request)
        began = time.monotonic()
        if hide:
            page.invoke("test_set_visible", label="main", visible=False)
        assert in_memory(page)
        wait_until("the model has left the memory", lambda: not in_memory(page), seconds=20)
        assert time.monotonic() - began > least
        again = page.run("generate", request)
        assert again["text"] == first["text"] and in_memory(page)
        assert again["usage"]["cachedTokens"] > 0


@pytest.mark.parametrize("config, word", [
    ({"batchms": 3}, "batchms"), ({"batchMs": 1000}, "batchMs"), ({"options": {"treads": 1}}, "treads"),
    (7, "plugins.ingle"),
])
def test_a_wrong_configuration_is_named_at_the_start(display, tmp_path, config, word):
    r = subprocess.run([APP], env=app_env(display, Home(tmp_path / "home"), config), capture_output=True, text=True,
                       timeout=30, stdin=subprocess.DEVNULL)
    assert r.returncode != 0 and word in r.stderr
