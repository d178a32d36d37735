"""Downloads into the store from a hub on this machine: progress, cut and resume, cancel, reload, limits."""
import os
import sys
import time

import pytest

from harness import TINY, TOP, PageError, wait_until

sys.path.insert(0, str(TOP / "tests" / "py"))
from fake_hub import FakeHub  # noqa: E402

MEGABYTE = 1 << 20
CAPABILITIES = [{
    "identifier": "downloads", "windows": ["main"],
    "permissions": [
        {"identifier": "ingle:allow-download", "allow": [
            {"source": "owner/*"}, {"source": "small/*", "maxBytes": MEGABYTE},
            {"source": "http://127.0.0.1:*/open/**"}]},
        "ingle:allow-manage",
    ],
}]


def padded(size):
    """A model file that loads, with what a GGUF reader does not look at behind its tensors."""
    data = TINY.read_bytes()
    return data + os.urandom(size - len(data))


@pytest.fixture(scope="module")
def window(start):
    with FakeHub() as hub:
        with start(config={"endpoint": hub.url}, capabilities=CAPABILITIES) as page:
            page.hub = hub
            yield page


@pytest.fixture
def page(window):
    """The window with nothing in its store and the hub as it was at first."""
    hub = window.hub
    hub.rate, hub.cut_after, hub.cuts, hub.max_cuts, hub.since_cut = None, None, 0, 1, 0
    hub.log.clear()
    hub.repos.clear()
    window.reload()
    yield window
    hub.rate = None
    for row in window.run("listDownloads"):
        window.invoke("plugin:ingle|cancel_download", download=row["download"])
    wait_until("downloads have ended", lambda: not window.run("listDownloads"))
    for row in window.run("models"):
        window.run("remove", row["name"])


def test_progress_and_use_of_what_came(page):
    data = padded(8 * MEGABYTE)
    page.hub.add("owner/model", {"model-Q4_K_M.gguf": data})
    page.hub.rate = 4 * MEGABYTE
    page.run("startDownload", "owner/model")
    state = page.run("waitDownload")
    assert state["error"] is None
    model = state["model"]
    assert model["bytes"] == len(data) and model["complete"]
    with open(model["path"], "rb") as file:
        assert file.read() == data
    phases = [phase for phase, _ in state["steps"]]
    done = [bytes_done for phase, bytes_done in state["steps"] if phase == "download"]
    assert phases[-1] in ("verify", "done") or done[-1] == len(data)
    assert len(set(done)) >= 5 and done == sorted(done)
    last = state["progress"]
    assert last["bytesTotal"] == len(data) and last["files"] == 1
    row = next(row for row in page.run("models") if row["name"] == model["name"])
    assert row["complete"] and row["source"] and row["bytes"] == len(data)
    assert page.run("verify", model["name"]) is None
    answer = page.run("chat", {"model": model["name"], "messages": [{"role": "user", "content": "x"}], "maxTokens": 5})
    assert answer["finish"] in ("length", "stop") and answer["usage"]["outputTokens"] > 0
    # The store has it now: nothing is fetched a second time.
    sent = page.hub.sent("model-Q4_K_M")
    page.run("startDownload", "owner/model")
    assert page.run("waitDownload")["error"] is None
    assert page.hub.sent("model-Q4_K_M") == sent


def test_cut_connections_lose_no_byte(page, report):
    data = padded(6 * MEGABYTE)
    page.hub.add("owner/model", {"model-Q4_K_M.gguf": data})
    page.hub.cut_after, page.hub.max_cuts = MEGABYTE, 3
    page.run("startDownload", "owner/model")
    state = page.run("waitDownload")
    assert state["error"] is None and page.hub.cuts == 3
    with open(state["model"]["path"], "rb") as file:
        assert file.read() == data
    report("bytes served over bytes of the file, 3 cuts", f"{page.hub.sent() / len(data):.3f}")
    assert page.hub.sent() < 1.2 * len(data)


def test_cancel_and_resume(page, report):
    data = padded(8 * MEGABYTE)
    page.hub.add("owner/model", {"model-Q4_K_M.gguf": data})
    page.hub.rate = MEGABYTE
    page.run("startDownload", "owner/model")
    page.run("waitBytes", 2 * MEGABYTE)
    began = time.monotonic()
    state = page.run("cancelDownload")
    report("download stopped after", f"{1000 * (time.monotonic() - began):.0f} ms")
    assert state["error"]["code"] == "cancelled" and state["model"] is None
    assert time.monotonic() - began < 1.5
    part = next(row for row in page.run("models") if not row["complete"])
    first = page.hub.sent()
    assert 2 * MEGABYTE <= first < len(data)
    assert part["bytes"] in (0, len(data))
    page.hub.rate = None
    page.run("startDownload", "owner/model")
    state = page.run("waitDownload")
    assert state["error"] is None and state["progress"]["bytesResumed"] >= 2 * MEGABYTE
    with open(state["model"]["path"], "rb") as file:
        assert file.read() == data
    report("bytes served over bytes of the file, resumed", f"{page.hub.sent() / len(data):.3f}")
    assert page.hub.sent() < 1.2 * len(data)


def test_download_outlives_a_reload(page):
    data = padded(6 * MEGABYTE)
    page.hub.add("owner/model", {"model-Q4_K_M.gguf": data})
    page.hub.rate = MEGABYTE
    page.run("startDownload", "owner/model")
    page.run("waitBytes", MEGABYTE // 2)
    page.reload()
    running = page.run("listDownloads")
    assert [row["source"] for row in running] == ["owner/model"]
    page.hub.rate = None
    page.run("startDownload", "owner/model")
    state = page.run("waitDownload")
    assert state["id"] == running[0]["download"] and state["error"] is None
    assert page.hub.sent() < 1.1 * len(data)


def test_what_is_refused(page):
    page.hub.add("small/model", {"model-Q4_K_M.gguf": padded(2 * MEGABYTE)})
    page.hub.add("other/model", {"model-Q4_K_M.gguf": padded(MEGABYTE)})
    url = page.hub.put("closed/model.gguf", padded(MEGABYTE))

    def error(source):
        page.run("startDownload", source)
        state = page.run("waitDownload")
        assert state["model"] is None
        return state["error"]

    assert error("other/model")["code"] == "forbidden"
    assert error(url)["code"] == "forbidden"
    assert error("file:///etc/passwd")["code"] in ("forbidden", "bad_argument")
    assert page.hub.sent() == 0
    large = error("small/model")
    assert large["code"] == "limit" and large["message"]
    assert error("owner/nothing")["code"] in ("not_found", "forbidden")
    for bad in ("", "owner", "owner/../x", "owner/model:no-such-file"):
        assert error(bad)["code"] in ("bad_argument", "not_found", "forbidden"), bad
    assert not [row for row in page.run("models") if row["complete"]]


def test_plain_url_in_scope(page):
    data = padded(2 * MEGABYTE)
    page.run("startDownload", page.hub.put("open/mine.gguf", data))
    state = page.run("waitDownload")
    assert state["error"] is None and state["model"]["bytes"] == len(data)


def test_damaged_bytes_are_not_kept(page):
    data = padded(2 * MEGABYTE)
    page.hub.add("owner/model", {"model-Q4_K_M.gguf": data})
    page.hub.corrupt = {"/owner/model/model-Q4_K_M.gguf": data[:-1] + bytes([data[-1] ^ 1])}
    try:
        page.run("startDownload", "owner/model")
        state = page.run("waitDownload")
    finally:
        page.hub.corrupt = {}
    assert state["error"] and state["error"]["code"] in ("bad_file", "io") and state["error"]["hint"]
    rows = page.run("models")
    assert not [row for row in rows if row["complete"]]
    for row in rows:
        page.run("remove", row["name"])
    assert page.run("models") == [], "what a failed download left cannot be removed"


def test_remove(page):
    page.hub.add("owner/model", {"model-Q4_K_M.gguf": padded(MEGABYTE)})
    page.run("startDownload", "owner/model")
    model = page.run("waitDownload")["model"]
    page.run("load", model["name"])
    assert page.run("remove", model["name"]) is None
    assert not os.path.exists(model["path"]) and page.run("models") == []
    with pytest.raises(PageError) as error:
        page.run("remove", model["name"])
    assert error.value.code == "not_found"
