"""The engine in a child process: the same answers, a crash that the app survives, no orphan."""
import os
import signal
import time

import pytest

from harness import CLI, PageError, processes, wait_until


@pytest.fixture
def page(start, copies, request):
    models = {"tiny.gguf": copies("tiny"), "long.gguf": copies("long")}
    with start(models=models, config={"isolated": {"sidecar": str(CLI)}}) as page:
        yield page


def children(page):
    return [pid for pid, parent, _, name, _ in processes() if parent == page.app_pid() and name == CLI.name]


def ask(n=40, **options):
    return {"model": "tiny", "messages": [{"role": "user", "content": "hi"}], "maxTokens": n,
            "options": {"temperature": 0, "ignore-eos": True, **options}}


def test_same_answers(page, say, copies):
    got = page.run("chat", ask())
    assert got["error"] is None and len(children(page)) == 1
    assert got["text"] == say(copies("tiny"), "hi", 40, temperature=0, ignore_eos=True)["text"]
    assert got["inOrder"] and got["usage"]["outputTokens"] == 40
    embedded = page.run("embed", {"model": "tiny", "input": ["a", "b"]})
    assert embedded["count"] == 2 and embedded["width"] == 32
    tokens = page.run("tokenize", "the name", {"model": "tiny"})
    assert page.run("detokenize", tokens, {"model": "tiny"}).strip().endswith("the name")
    assert page.run("devices") and page.run("doctor")["version"]


def test_stop(page):
    page.run("load", "long", {"context": 8400})
    page.run("startChat", ask(8000) | {"model": "long"})
    page.run("waitText", 20)
    stopped = page.run("stop")
    assert stopped["finish"] == "cancelled" and stopped["tokens"] < 8000 and stopped["stopMs"] < 1000


def test_a_killed_child_is_reported_and_replaced(page, report):
    page.run("load", "long", {"context": 20100})
    page.run("startChat", ask(20000) | {"model": "long"})
    page.run("waitText", 20)
    [child] = children(page)
    killed = time.monotonic()
    os.kill(child, signal.SIGKILL)
    state = page.run("wait")
    report("crash reported after", f"{1000 * (time.monotonic() - killed):.0f} ms")
    assert state["error"]["code"] == "crashed" and state["error"]["message"] and state["text"]
    again = page.run("chat", ask())
    assert again["error"] is None and again["finish"] == "length"
    [new] = wait_until("there is one child", lambda: children(page))
    assert new != child


def test_a_child_that_dies_while_idle(page):
    first = page.run("chat", ask())
    [child] = children(page)
    os.kill(child, signal.SIGKILL)
    wait_until("it is gone", lambda: child not in children(page))
    time.sleep(0.2)
    again = page.run("chat", ask())
    assert again["error"] is None and again["text"] == first["text"]


def test_no_child_outlives_a_killed_app(page):
    page.run("load", "long", {"context": 20100})
    page.run("startChat", ask(20000) | {"model": "long"})
    page.run("waitText", 20)
    [child] = children(page)
    os.kill(page.app_pid(), signal.SIGKILL)
    wait_until("the child has ended", lambda: child not in [row[0] for row in processes()], seconds=5)


def test_no_child_without_need(page):
    assert page.run("models") and children(page) == []


def test_a_missing_sidecar_is_an_error_not_a_hang(start, copies):
    with start(models={"tiny.gguf": copies("tiny")}, config={"isolated": {"sidecar": "/nowhere/ingle"}}) as page:
        with pytest.raises(PageError) as error:
            page.run("load", "tiny")
        assert error.value.code in ("not_found", "io", "crashed", "unsupported") and error.value.message
