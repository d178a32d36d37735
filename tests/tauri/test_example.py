"""examples/tauri-chat as a person meets it: first start, download, chat, stop, reload, another start.

INGLE_TAURI_CHAT  the app's binary; default build/cargo/debug/tauri-chat, skipped if it is not there
INGLE_PICTURES    a folder for pictures of what is on the screen, such as docs/img
"""
import os
import pathlib
import sys
import time

import pytest

from harness import TOP, Home, Window, real_model, wait_until

sys.path.insert(0, str(TOP / "tests" / "py"))
from fake_hub import FakeHub  # noqa: E402

CHAT = pathlib.Path(os.environ.get("INGLE_TAURI_CHAT", TOP / "build/cargo/debug/tauri-chat"))
REPOSITORY = ("bartowski/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct-Q4_K_M.gguf")
READY = "return document.readyState === 'complete' && document.body.innerText.length > 20"
QUESTION = "Give me three tips for learning a language, as a list."


class Chat(Window):
    def __init__(self, *args, **more):
        super().__init__(*args, app=CHAT, ready=READY, **more)

    def all(self, name):
        return self.driver.find_elements("css selector", f"[data-testid='{name}']")

    def one(self, name, seconds=20):
        return wait_until(f"{name} is shown", lambda: self.all(name), seconds)[0]

    def text(self, name):
        return self.js("return [...document.querySelectorAll(`[data-testid='${arguments[0]}']`)]"
                       ".map((e) => e.innerText)", name)

    def press(self, name):
        self.one(name)
        self.js("document.querySelector(`[data-testid='${arguments[0]}']`).click()", name)

    def picture(self, name):
        if os.environ.get("INGLE_PICTURES"):
            self.screenshot(pathlib.Path(os.environ["INGLE_PICTURES"]) / f"tauri-chat-{name}.png")

    def ask(self, question):
        self.one("composer").send_keys(question)
        self.press("send")

    def settle(self):
        """Until the answer is finished."""
        wait_until("the answer is finished", lambda: self.all("send") and not self.all("stop"), 120)
        time.sleep(0.3)


@pytest.fixture(scope="module")
def hub():
    if not CHAT.exists():
        pytest.skip(f"{CHAT} is missing: build the app first (examples/tauri-chat/README.md)")
    if not real_model():
        pytest.skip("no SmolLM2 in the store: run python3 tools/get_model.py")
    with FakeHub() as hub:
        repository, file = REPOSITORY
        hub.add(repository, {file: real_model().read_bytes()})
        yield hub


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return Home(tmp_path_factory.mktemp("chat") / "home")


def test_first_start_downloads_a_model(display, hub, home, report):
    size = real_model().stat().st_size
    with Chat(display, home, env={"HF_ENDPOINT": hub.url}) as app:
        app.one("welcome")
        app.picture("first-start")
        hub.rate = 4 << 20
        app.press("download-start")
        wait_until("progress is shown", lambda: any("MB" in text for text in app.text("download-numbers")))
        time.sleep(2.5)
        app.picture("download")
        app.press("download-cancel")
        app.one("download-resume")
        had = hub.sent()
        assert 0 < had < size
        hub.rate = None
        app.press("download-resume")
        app.one("composer", 60)
        assert had < size <= hub.sent() < 1.2 * size
        report("bytes served over bytes of the file", f"{hub.sent() / size:.3f}")


def test_chat_stop_and_history(display, hub, home, report):
    """The most likely words, so that the answer is the same each time."""
    with Chat(display, home, env={"HF_ENDPOINT": hub.url}) as app:
        app.js("localStorage.setItem('settings', JSON.stringify("
               "{ ...JSON.parse(localStorage.getItem('settings') ?? '{}'), temperature: 0 }))")
        app.reload()
        app.ask(QUESTION)
        seen = set()
        while app.all("stop") or not seen:
            seen.update(app.text("message-assistant"))
            if len(max(seen, default="")) > 320 and len(seen) > 3:
                app.picture("answer")
                break
        assert len([text for text in seen if text.strip()]) >= 3, "the answer came in one piece"
        app.settle()
        whole = app.text("message-assistant")[0]
        assert len(whole) > 200 and app.driver.find_elements("css selector", "[data-testid='message-assistant'] ol li")
        assert "tokens/s" in app.text("stats")[0]
        report("tauri-chat", app.text("stats")[0].replace("\n", " "))
        app.picture("chat")
        # A long answer, stopped.
        app.ask("Tell me a very long story.")
        wait_until("the answer grows", lambda: len((app.text("message-assistant")[1:] or [""])[0]) > 60, 60)
        app.press("stop")
        app.settle()
        stopped = app.text("message-assistant")[-1]
        time.sleep(0.5)
        assert app.text("message-assistant")[-1] == stopped
        # Stopped before it began.
        app.one("composer").send_keys("Tell me another one.")
        app.js("document.querySelector(`[data-testid='send']`).click();"
               "const wait = () => { const stop = document.querySelector(`[data-testid='stop']`);"
               "  if (stop) stop.click(); else requestAnimationFrame(wait); }; wait();")
        time.sleep(0.3)
        app.settle()
        assert len(app.text("message-assistant")[-1]) < 400
    with Chat(display, home, env={"HF_ENDPOINT": hub.url}) as app:
        app.press("conversation")
        wait_until("the old answers are shown", lambda: len(app.text("message-assistant")) == 3)
        assert app.text("message-assistant")[0] == whole


def test_reload_in_the_middle_of_an_answer(display, hub, home):
    with Chat(display, home, env={"HF_ENDPOINT": hub.url}) as app:
        app.one("composer")
        app.ask("Write a Python function that adds two numbers.")
        wait_until("the answer grows", lambda: len((app.text("message-assistant") or [""])[-1]) > 40, 60)
        before = app.text("message-assistant")[-1].strip()[:30]
        app.reload()
        if not app.text("message-assistant"):
            app.press("conversation")
        wait_until("the answer goes on", lambda: len((app.text("message-assistant") or [""])[-1]) > 80, 60)
        assert app.text("message-assistant")[-1].strip().startswith(before)
        if app.all("stop"):
            app.press("stop")
        app.settle()


def test_settings_and_dark(display, hub, home):
    with Chat(display, home, env={"HF_ENDPOINT": hub.url}) as app:
        app.press("settings-open")
        app.one("settings")
        app.press("settings-system")
        wait_until("the processor is named", lambda: "CPU" in (app.text("system") or [""])[0])
        app.picture("system")
        app.press("settings-general")
        app.picture("settings")
        app.js("document.querySelector(`[data-testid='theme-dark']`).click()")
        wait_until("it is dark", lambda: app.js("return document.documentElement.dataset.theme") == "dark")
        app.driver.find_element("css selector", "[aria-label='Close']").click()
        app.press("new-chat")
        app.ask("Write a Python function that adds two numbers.")
        wait_until("there is code", lambda: app.all("code-block"), 60)
        wait_until("the answer grows", lambda: len((app.text("message-assistant") or [""])[-1]) > 250, 60)
        app.picture("dark")
        app.press("stop")
        app.settle()
