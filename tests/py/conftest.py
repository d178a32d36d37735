"""Paths that the tests share. Run through `tools/test.py py`, or by hand from the top with build/venv/bin/python -m pytest."""
import os
import pathlib
import sys

import pytest

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("INGLE_BUILD", TOP / "build"))
sys.path.insert(0, str(TOP / "tools"))
sys.path.insert(0, str(TOP / "bench"))


@pytest.fixture(scope="session")
def top():
    return TOP


@pytest.fixture(scope="session")
def build():
    return BUILD


@pytest.fixture(scope="session")
def ingle():
    """The command line program."""
    path = pathlib.Path(os.environ.get("INGLE_BIN", BUILD / "ingle"))
    assert path.exists(), f"{path} is missing: run make"
    return str(path)


@pytest.fixture(scope="session")
def golden():
    """tests/golden as it is in the repository."""
    return pathlib.Path(os.environ.get("INGLE_GOLDEN", TOP / "tests" / "golden"))


@pytest.fixture(scope="session")
def golden_build():
    """What tools/golden/unpack.sh unpacked."""
    return pathlib.Path(os.environ.get("INGLE_GOLDEN_BUILD", BUILD / "golden"))
