"""What a page may not do: commands without a permission, models and files outside its scope."""
import shutil

import pytest

from harness import TINY, PageError

ASK = [{"role": "user", "content": "x"}]


@pytest.fixture(scope="module")
def page(start, copies, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name in ("open", "closed", "open/secret"):
        (folder / name).mkdir()
        shutil.copy(TINY, folder / name / "model.gguf")
    (folder / "open/link.gguf").symlink_to(folder / "closed/model.gguf")
    capabilities = [
        {"identifier": "files", "windows": ["main"], "permissions": [
            {"identifier": "ingle:default",
             "allow": [{"path": f"{folder}/open/**"}, {"model": "tiny*"}],
             "deny": [{"path": f"{folder}/open/secret/**"}, {"model": "*-private"}]}]},
        {"identifier": "reader", "windows": ["reader"], "permissions": ["core:default", "ingle:allow-list-models"]},
    ]
    models = {"tiny.gguf": copies("tiny"), "tiny-private.gguf": copies("tiny-private"), "other.gguf": copies("other")}
    with start(models=models, capabilities=capabilities) as page:
        page.files = folder
        yield page


def refusal(page, function, *args):
    with pytest.raises(PageError) as error:
        page.run(function, *args)
    return error.value


@pytest.mark.parametrize("function, args, permission", [
    ("remove", ["tiny"], "ingle:allow-manage"),
    ("verify", ["tiny"], "ingle:allow-manage"),
    ("listDownloads", [], "ingle:allow-download"),
])
def test_commands_that_are_not_granted(page, function, args, permission):
    error = refusal(page, function, *args)
    assert error.code == "forbidden" and permission in error.hint
    page.run("startDownload", "owner/model")
    assert page.run("waitDownload")["error"]["code"] == "forbidden"


def test_tauri_itself_refuses(page):
    with pytest.raises(PageError) as error:
        page.invoke("plugin:ingle|remove_model", model="tiny")
    assert "not allowed" in error.value.message


def test_models_of_the_scope(page):
    assert page.run("load", "tiny")["name"] == "tiny"
    for name in ("tiny-private", "other"):
        assert refusal(page, "load", name).code == "forbidden"
        answer = page.run("chat", {"model": name, "messages": ASK})
        assert answer["error"]["code"] == "forbidden"
    assert [row["name"] for row in page.run("models")] == ["tiny"]


def test_paths_of_the_scope(page):
    assert page.run("load", f"{page.files}/open/model.gguf")["info"]["width"] == 32
    for path in ("closed/model.gguf", "open/secret/model.gguf", "open/../closed/model.gguf", "open/link.gguf"):
        assert refusal(page, "load", f"{page.files}/{path}").code == "forbidden", path
    for path in ("/etc/passwd", "/proc/self/mem", "/dev/zero", "/"):
        assert refusal(page, "load", path).code in ("forbidden", "not_found"), path


def test_windows_have_permissions_of_their_own(page):
    try:
        page.open_window("bare")
        for function in ("models", "devices", "listStreams"):
            assert refusal(page, function).code == "forbidden"
        assert page.run("chat", {"model": "tiny", "messages": ASK})["error"]["code"] == "forbidden"
        page.to_main()
        page.open_window("reader")
        assert page.run("models")
        assert refusal(page, "load", "tiny").code == "forbidden"
    finally:
        page.to_main()
        for label in page.invoke("test_windows"):
            if label != "main":
                page.invoke("test_close_window", label=label)
