"""Fixtures of the end-to-end tests. Run by tests/tauri/run.py."""
import functools
import itertools
import json
import shutil
import signal

import pytest

from harness import APP, CLI, GOLDEN, TINY, Display, Home, Page, cli, real_model

DEFAULT = {"identifier": "second", "windows": ["second*"], "permissions": ["core:default", "ingle:default"]}


def pytest_configure():
    # A time limit from outside ends pytest in order, so that windows are closed.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))


@pytest.fixture(scope="session", autouse=True)
def tools_are_there():
    for name in ("Xvfb", "WebKitWebDriver"):
        if not shutil.which(name):
            pytest.skip(f"{name} is not installed (Debian: apt-get install xvfb webkit2gtk-driver)")
    assert APP.exists(), f"{APP} is missing: cargo build -p tauri-test-app --features custom-protocol"
    assert CLI.exists(), f"{CLI} is missing: run make"


@pytest.fixture(scope="session")
def display():
    with Display() as display:
        yield display


@pytest.fixture(scope="session")
def start(display, tmp_path_factory):
    """Starts the app with a fresh home: start(models={name: path}, config=..., capabilities=...)."""
    count = itertools.count()

    def begin(models=None, home=None, **more):
        home = home or Home(tmp_path_factory.mktemp(f"home{next(count)}") / "home")
        for name, path in (models or {}).items():
            home.add(name, path)
        return Page(display, home, **more)

    return begin


@pytest.fixture(scope="session")
def copies(tmp_path_factory):
    """Copies of the tiny model: each is a model of its own to the plugin, which knows files by their path."""
    folder = tmp_path_factory.mktemp("models")

    @functools.cache
    def copy(name, path=TINY):
        return shutil.copy(path, folder / f"{name}.gguf")

    return copy


@pytest.fixture(scope="session")
def shared(start, copies):
    """The window that most tests use: the tiny models and, where it is, SmolLM2 in the store."""
    models = {"tiny.gguf": copies("tiny"), "long.gguf": copies("long"),
              "qwen.gguf": copies("qwen", GOLDEN / "gguf/qwen3.gguf")}
    if real_model():
        models["smollm2.gguf"] = real_model()
    with start(models=models, capabilities=[DEFAULT]) as page:
        yield page


@pytest.fixture
def app(shared):
    """The shared window with nothing running in it."""
    shared.to_main()
    shared.reload()
    yield shared
    shared.to_main()
    for label in shared.invoke("test_windows"):
        if label != "main":
            shared.invoke("test_close_window", label=label)
    for row in shared.run("listStreams"):
        if row["running"]:
            shared.invoke("plugin:ingle|cancel", stream=row["stream"])


@pytest.fixture(scope="session")
def real():
    """Path of the real model."""
    path = real_model()
    if not path:
        pytest.skip("no SmolLM2 in the store: run python3 tools/get_model.py")
    return path


@pytest.fixture(scope="session")
def say():
    """What the command line program answers: say(model, prompt, n, chat=True, **options)."""

    @functools.cache
    def answer(model, prompt, n, chat=True, **options):
        flags = [part for name, value in options.items()
                 for part in ([f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)]))]
        out = cli("run", model, "--file", "/dev/stdin", "--json", "-n", n, *(["--chat"] if chat else []), *flags,
                  text=prompt)
        return json.loads(out)

    return answer


@pytest.fixture
def report(record_testsuite_property, capsys):
    """Prints a figure past pytest's capture, and keeps it in the XML report."""

    def tell(name, value):
        record_testsuite_property(name, value)
        with capsys.disabled():
            print(f"\n    {name}: {value}", end="", flush=True)

    return tell
