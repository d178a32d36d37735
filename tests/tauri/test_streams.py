"""Answers that stream into the page: whole, stopped, over a reload, from a window that closes."""
import time

import pytest

from harness import PageError, wait_until

PROMPT = "Why is the sky blue?"
# (store name, tokens, extra options of the request). The tiny model writes noise, thousands of tokens a second.
MODELS = [
    pytest.param("smollm2", 48, {}, id="smollm2"),
    pytest.param("tiny", 200, {"ignore-eos": True}, id="tiny"),
]
LONG = [
    pytest.param("smollm2", 400, {"ignore-eos": True}, id="smollm2"),
    pytest.param("long", 8000, {"ignore-eos": True, "seed": 5, "temperature": 0.9}, id="tiny"),
]


def ask(model, n, options, prompt=PROMPT):
    options = {"temperature": 0, **options}
    return {"model": model, "messages": [{"role": "user", "content": prompt}], "maxTokens": n, "options": options}


@pytest.fixture
def unbroken(app, say):
    """The same request answered by the command line program."""

    def text(model, n, options, prompt=PROMPT):
        more = {"temperature": 0, **options}
        if model == "long":
            more["context"] = 8400
        path = (app.home.store / "models" / f"{model}.gguf").resolve()
        return say(path, prompt, n, **{name.replace("-", "_"): value for name, value in more.items()})["text"]

    return text


@pytest.fixture
def loaded(app, request):
    """Loads a model with a context that is large enough for the long answers."""
    need = request.getfixturevalue

    def load(model):
        if model == "smollm2":
            need("real")
        options = {"context": 8400} if model == "long" else {}
        return app.run("load", model, options)

    return load


@pytest.mark.parametrize("model, n, options", MODELS)
def test_answer_streams_into_the_page(app, loaded, unbroken, model, n, options):
    loaded(model)
    app.run("startChat", ask(model, n, options))
    seen = []
    while app.run("state")["running"]:
        seen.append(app.js("return document.getElementById('answer').textContent"))
    state = app.run("wait")
    assert state["error"] is None
    assert state["text"] == unbroken(model, n, options)
    assert state["inOrder"] and state["usage"]["outputTokens"] == n and state["finish"] in ("stop", "length")
    wait_until("the page shows the whole answer",
               lambda: app.js("return document.getElementById('answer').textContent") == state["text"])
    if model == "smollm2":
        grown = [text for text in dict.fromkeys(seen) if text]
        assert len(grown) >= 3, "the answer came in one piece"
        assert all(later.startswith(earlier) for earlier, later in zip(grown, grown[1:]))


def test_first_message_is_started_and_last_is_done(app):
    app.run("chat", ask("tiny", 20, {}))
    events = app.run("events")
    assert events[0]["event"] == "started" and events[-1]["event"] == "done"
    assert [event["data"]["seq"] for event in events] == list(range(1, len(events) + 1))
    done = events[-1]["data"]
    assert sum(event["data"].get("tokens", 0) for event in events) == done["usage"]["outputTokens"]
    assert done["timings"]["tokensPerSecond"] > 0 and done["timings"]["promptSeconds"] > 0


def test_several_readers_get_the_same(app):
    text = app.run("chat", ask("tiny", 60, {}))["text"]
    assert app.run("textStream", ask("tiny", 60, {}))["text"] == text
    result = app.call("""async (request) => {
        const stream = window.__TAURI__.ingle.chat(request);
        const [a, b] = await Promise.all([stream.text(), stream.result]);
        return [a, b.text, stream.running];
    }""", **ask("tiny", 60, {}))
    assert result == [text, text, False]


@pytest.mark.parametrize("model, n, options", LONG)
def test_stop_in_mid_stream(app, loaded, report, model, n, options):
    loaded(model)
    app.run("startChat", ask(model, n, options))
    assert app.run("waitText", 20)["running"]
    stopped = app.run("stop")
    assert stopped["finish"] == "cancelled" and stopped["error"] is None
    assert 20 <= len(stopped["text"]) and stopped["tokens"] < n
    report(f"{model} stopped after", f"{stopped['stopMs']:.0f} ms")
    assert stopped["stopMs"] < 1000
    time.sleep(0.1)
    assert app.run("state")["text"] == stopped["text"], "text after the end"
    following = app.run("chat", ask(model, 3, options), "next")
    waited = following["firstTextMs"] - 1000 * following["timings"]["promptSeconds"]
    report(f"{model} next request waited", f"{waited:.0f} ms")
    assert following["finish"] == "length" and waited < 1000


@pytest.mark.parametrize("how", ["breakAfter", "abortAfter"])
def test_leaving_the_loop_or_aborting_stops_the_engine(app, loaded, how):
    loaded("long")
    state = app.run("chat", ask("long", 8000, {"ignore-eos": True}), "main", {how: 2})
    assert state["finish"] == "cancelled" and state["error"] is None
    assert not [row for row in app.run("listStreams") if row["running"]]


@pytest.mark.parametrize("model, n, options", LONG)
def test_reload_in_mid_stream_loses_nothing(app, loaded, unbroken, report, model, n, options):
    if model == "smollm2":
        n = 60
    loaded(model)
    app.run("startChat", ask(model, n, options))
    stream = app.run("id")
    app.run("waitText", 15)
    before = app.run("state")
    assert before["running"], "it ended before the page could be reloaded"
    app.reload()
    assert app.run("saved") == stream
    row = next(row for row in app.run("listStreams") if row["stream"] == stream)
    report(f"{model} after the reload", f"running {row['running']}, {before['tokens']} of {n} tokens were there")
    app.run("attach", stream, before["lastSeq"])
    after = app.run("wait", "attached")
    assert after["error"] is None and after["finish"] == "length" and after["inOrder"] and not after["truncated"]
    assert before["tokens"] + after["tokens"] == n
    assert before["text"] + after["text"] == unbroken(model, n, options)
    # From the start, as a page does that kept nothing.
    app.run("attach", stream, 0, "whole")
    whole = app.run("wait", "whole")
    assert whole["text"] == before["text"] + after["text"] and whole["tokens"] == n


def test_resume_streams_finds_what_runs(app, loaded):
    loaded("long")
    options = {"ignore-eos": True, "seed": 1}
    app.run("startChat", ask("long", 8000, options))
    stream = app.run("id")
    app.run("waitText", 5)
    app.reload()
    found = app.run("resumeAll")
    assert [state["key"] for state in found] == [stream]
    stopped = app.run("stop", stream)
    assert stopped["finish"] == "cancelled" and stopped["text"]


def test_unknown_streams(app):
    for stream in ("s-0", "", "../x"):
        with pytest.raises(PageError) as error:
            app.invoke("plugin:ingle|attach", stream=stream, onEvent="__CHANNEL__:1")
        assert error.value.code == "not_found" and error.value.hint
        assert app.invoke("plugin:ingle|cancel", stream=stream) is None


@pytest.mark.parametrize("model, n, options", LONG)
def test_closing_a_window_frees_its_slot(app, loaded, report, model, n, options):
    loaded(model)
    app.open_window("second")
    app.run("startChat", ask(model, n, options, "Tell me a long story."))
    stream = app.run("id")
    assert app.run("waitText", 10)["running"]
    app.to_main()
    with pytest.raises(PageError) as error:
        app.run("attach", stream)
        raise PageError(app.run("wait", "attached")["error"])
    assert error.value.code == "not_found", "a window took up another window's stream"
    app.run("startChat", ask(model, 2, options), "first")
    time.sleep(0.2)
    if model == "smollm2":
        assert app.run("state", "first")["text"] == "", "two requests ran at once in one slot"
    closed = time.monotonic()
    app.invoke("test_close_window", label="second")
    state = app.run("wait", "first")
    waited = time.monotonic() - closed - state["timings"]["promptSeconds"] - state["timings"]["outputSeconds"]
    report(f"{model} freed after", f"{1000 * waited:.0f} ms")
    assert state["finish"] == "length" and waited < 1.5
    assert app.invoke("test_windows") == ["main"]


def test_two_requests_are_served_in_turn(app):
    app.run("startChat", ask("tiny", 100, {"ignore-eos": True}), "a")
    app.run("startChat", ask("tiny", 100, {"ignore-eos": True}), "b")
    a, b = app.run("wait", "a"), app.run("wait", "b")
    assert a["text"] == b["text"] and a["finish"] == b["finish"] == "length" and a["endMs"] > 0
