"""A real window to test in: Xvfb, WebKitWebDriver and the app, each test session with a home of its own.

    with Display() as display, Window(display, home, config={...}) as window:
        window.js("return document.title")
        window.call("async ({ text }) => (await window.__TAURI__.ingle.embed(text))[0].length", text="hi")

Driver, app and web processes share a process group that is killed at the end, so nothing is left behind.
"""
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import time

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.options import ArgOptions
from selenium.webdriver.remote.client_config import ClientConfig
from selenium.webdriver.remote.remote_connection import RemoteConnection

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
APP = pathlib.Path(os.environ.get("INGLE_TAURI_APP", TOP / "build/cargo/debug/tauri-test-app"))
CLI = pathlib.Path(os.environ.get("INGLE_BIN", TOP / "build/ingle"))
GOLDEN = pathlib.Path(os.environ.get("INGLE_GOLDEN", TOP / "tests/golden"))
TINY = GOLDEN / "gguf/llama.gguf"


def real_model():
    """The small real model, or None. Looked for where tools/get_model.py puts it."""
    home = os.environ.get("INGLE_HOME")
    data = os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local/share"
    path = (pathlib.Path(home) if home else pathlib.Path(data) / "ingle") / "models/smollm2.gguf"
    return path.resolve() if path.exists() else None


def wait_until(what, condition, seconds=20.0, step=0.02):
    """The first true value of condition(); a failed assertion that says `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"after {seconds} s still not: {what}"
        time.sleep(step)


class PageError(Exception):
    """What a promise in the page was rejected with."""

    def __init__(self, raw):
        self.code, self.message, self.hint = raw.get("code"), raw.get("message"), raw.get("hint")
        self.raw = raw
        super().__init__(f"{self.code}: {self.message} ({self.hint})")


def stop_group(process):
    """Ends a process and everything that shares its group."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


class Display:
    """An Xvfb of its own on a free display number."""

    def __init__(self, size="1280x900"):
        read, write = os.pipe()
        self.process = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{size}x24", "-nolisten", "tcp"],
            pass_fds=[write], start_new_session=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(write)
        # Number and line feed come in two writes: a pipe closed between them ends the server.
        number = b""
        while not number.endswith(b"\n") and select.select([read], [], [], 30)[0]:
            piece = os.read(read, 16)
            number += piece or b"\n"
        os.close(read)
        if not number.strip():
            stop_group(self.process)
            raise RuntimeError("Xvfb did not start")
        self.name = ":" + number.strip().decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop_group(self.process)


class Home:
    """A folder that stands for a user's home, with a model store in it."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.store = self.folder / "ingle"
        (self.store / "models").mkdir(parents=True)
        for name in ("data", "config", "cache", "runtime"):
            (self.folder / name).mkdir()
        (self.folder / "runtime").chmod(0o700)

    def add(self, name, path):
        """Puts a model into the store."""
        os.symlink(path, self.store / "models" / name)

    def env(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("INGLE_", "XDG_", "HF_"))}
        return env | {
            "HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_CONFIG_HOME": str(self.folder / "config"), "XDG_CACHE_HOME": str(self.folder / "cache"),
            "XDG_RUNTIME_DIR": str(self.folder / "runtime"), "INGLE_HOME": str(self.store),
            "LANG": "C.UTF-8", "NO_AT_BRIDGE": "1",
        }


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def processes():
    """(pid, parent, group, program, arguments) of every process that is not a zombie."""
    rows = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            stat = pathlib.Path(f"/proc/{entry}/stat").read_text()
            rest = stat[stat.rindex(")") + 2:].split()
            if rest[0] == "Z":
                continue
            arguments = pathlib.Path(f"/proc/{entry}/cmdline").read_bytes().split(b"\0")
            name = os.path.basename(os.readlink(f"/proc/{entry}/exe"))
            rows.append((int(entry), int(rest[1]), int(rest[2]), name,
                         [a.decode(errors="replace") for a in arguments if a]))
    return rows


def resident(pid):
    """Bytes of memory that a process has to itself or shares (RSS)."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


# Runs in the page: calls a function (in the text, as the page's CSP forbids eval) and passes on how it ends.
CALL = """
const [args, done] = arguments;
const plain = (e) => e === null || typeof e !== 'object' ? { code: null, message: String(e), hint: '' }
  : { name: e.name, code: e.code ?? null, message: e.message ?? String(e), hint: e.hint ?? null,
      details: e.details ?? null, isError: e instanceof Error };
Promise.resolve().then(() => (FUNCTION)(args))
  .then((value) => done({ value: value === undefined ? null : value }), (e) => done({ error: plain(e) }));
"""

READY = "return document.readyState === 'complete' && !!window.__TAURI__ && !!window.__TAURI__.ingle"


def app_env(display, home, config=None, capabilities=None):
    """Without a GPU, WebKitGTK paints through an emulated OpenGL that takes more of the processor than a small model: a
    page that changes 60 times a second then falls to half its frame rate. The last setting makes it paint directly."""
    env = home.env() | {"DISPLAY": display.name, "GDK_BACKEND": "x11", "WEBKIT_DISABLE_DMABUF_RENDERER": "1"}
    if config is not None:
        env["INGLE_TEST_CONFIG"] = json.dumps(config)
    if capabilities is not None:
        env["INGLE_TEST_CAPABILITIES"] = json.dumps(capabilities)
    return env


class Window:
    """The app, started through WebKitWebDriver, and its main window's page."""

    def __init__(self, display, home, config=None, capabilities=None, env=None, app=APP, ready=READY,
                 timeout=60):
        self.app, self.home, self.ready = pathlib.Path(app), home, ready
        environment = app_env(display, home, config, capabilities) | {"TAURI_WEBVIEW_AUTOMATION": "true"}
        self.log = home.folder / f"app-{time.monotonic_ns()}.log"
        port = free_port()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                ["WebKitWebDriver", f"--port={port}"], env=environment | (env or {}), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            self.driver = self._connect(port, timeout)
            self.wait_ready(timeout)
        except BaseException:
            stop_group(self.process)
            raise

    def _connect(self, port, timeout):
        options = ArgOptions()
        options.set_capability("webkitgtk:browserOptions", {"binary": str(self.app), "args": []})
        options._caps.pop("browserName", None)
        # The time-out: an app that dies at its start is never reported.
        config = ClientConfig(remote_server_addr=f"http://127.0.0.1:{port}", timeout=timeout)
        end = time.monotonic() + timeout
        while True:
            try:
                driver = webdriver.Remote(RemoteConnection(client_config=config), options=options)
                config.timeout = 600
                return driver
            # It listens a moment before it answers, and on a busy machine the app may be late.
            except Exception as error:  # noqa: BLE001
                if time.monotonic() > end or self.process.poll() is not None or "panicked" in self.output():
                    raise RuntimeError(f"no session with {self.app}: {error}\n{self.output()}") from error
                time.sleep(0.3)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with contextlib.suppress(Exception):
            self.driver.quit()
        stop_group(self.process)

    def output(self):
        """What driver and app have printed."""
        return self.log.read_text(errors="replace")[-4000:]

    def wait_ready(self, seconds=60):
        wait_until("the page is loaded", lambda: self.driver.execute_script(self.ready), seconds)

    def js(self, script, *args):
        return self.driver.execute_script(script, *args)

    def call(self, function, timeout=60, **args):
        """Awaits a JavaScript function of one object; a rejection becomes a PageError."""
        self.driver.set_script_timeout(timeout)
        try:
            result = self.driver.execute_async_script(CALL.replace("FUNCTION", function), args)
        except WebDriverException as error:
            raise AssertionError(f"{error.msg}\n{self.output()}") from error
        if "error" in result:
            raise PageError(result["error"])
        return result["value"]

    def invoke(self, command, **args):
        """A command of the app or, with its prefix, of a plugin, past the JavaScript package."""
        return self.call("({ command, args }) => window.__TAURI__.core.invoke(command, args)",
                         command=command, args=args)

    def reload(self):
        self.driver.refresh()
        self.wait_ready()

    def screenshot(self, path):
        """A small PNG of the page."""
        path = pathlib.Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.driver.get_screenshot_as_file(str(path))
        if shutil.which("convert"):
            subprocess.run(["convert", str(path), "-strip", "+dither", "-colors", "128", "-define",
                            "png:compression-level=9", f"PNG8:{path}"], check=False)
        return path

    def pids(self, name=None):
        """Processes of this session, by program name."""
        return [row[0] for row in processes() if row[2] == self.process.pid and (name is None or row[3] == name)]

    def app_pid(self):
        return self.pids(self.app.name)[0]

    def web_pids(self):
        return self.pids("WebKitWebProcess")


class Page(Window):
    """The test app's own page, with the functions of page/harness.js."""

    def __init__(self, *args, ready=READY + " && !!window.harness && window.harness.ready", **more):
        super().__init__(*args, ready=ready, **more)
        self.main = self.driver.current_window_handle

    def run(self, function, *args, timeout=120):
        """A function of `harness` in the page."""
        result = self.call("({ name, args }) => window.harness.run(name, ...args)", timeout, name=function, args=args)
        if "error" in result:
            raise PageError(result["error"])
        return result["value"]

    def open_window(self, label):
        """Opens a second window and drives it from now on."""
        before = set(self.driver.window_handles)
        self.invoke("test_open_window", label=label)
        handle = wait_until("the window is open", lambda: set(self.driver.window_handles) - before).pop()
        self.driver.switch_to.window(handle)
        self.wait_ready()
        return handle

    def to_main(self):
        self.driver.switch_to.window(self.main)


def cli(*args, text=None, env=None, check=True):
    """Output of the command line program."""
    r = subprocess.run([str(CLI), *map(str, args)], input=text, capture_output=True, text=True, env=env, timeout=300,
                       stdin=subprocess.DEVNULL if text is None else None)
    if check and r.returncode:
        raise AssertionError(f"ingle {' '.join(map(str, args))}: {r.returncode}\n{r.stderr}")
    return r.stdout
