#!/usr/bin/env python3
"""Runs the tests of this folder in a private Python environment: tests/tauri/run.py [PYTEST ARGUMENT...]"""
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent / "tools"))

import venv_here  # noqa: E402

if __name__ == "__main__":
    try:
        python = venv_here.ensure(str(HERE / "requirements.txt"), "venv-tauri")
    except venv_here.Failed as e:
        sys.exit(f"error: {e}")
    os.execv(python, [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(sys.argv[1:] or [str(HERE)])])
