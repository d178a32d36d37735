#!/usr/bin/env python3
"""A private Python environment under build/venv, made once and kept current with a requirements file.

    tools/venv_here.py [requirements.txt]     prints the path of its python
Nothing is installed outside build/. Only wheels are taken, so no compiler is needed.
"""
import hashlib
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Failed(Exception):
    pass


def run(args, what):
    r = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if r.returncode:
        raise Failed(f"{what}: {r.stdout.strip()[-800:]}")


def ensure(requirements=None, name="venv"):
    """Path of the environment's python, with everything in `requirements` installed."""
    folder = os.path.join(TOP, "build", name)
    python = os.path.join(folder, "bin", "python")
    if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode if os.path.exists(python) else 1:
        run([sys.executable, "-m", "venv", "--clear", folder],
            "cannot make a Python environment (Debian: apt-get install python3-venv)")
    if requirements:
        with open(requirements, "rb") as f:
            key = hashlib.sha256(f.read() + sys.version.encode()).hexdigest()
        stamp = os.path.join(folder, "stamp-" + os.path.basename(requirements))
        if not os.path.exists(stamp) or open(stamp).read() != key:
            print(f"Installing {os.path.relpath(requirements, TOP)} into build/{name}", file=sys.stderr, flush=True)
            run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:",
                 "-r", requirements], "cannot install Python packages (is the network there?)")
            with open(stamp, "w") as f:
                f.write(key)
    return python


if __name__ == "__main__":
    try:
        print(ensure(sys.argv[1] if len(sys.argv) > 1 else None))
    except Failed as e:
        sys.exit(f"error: {e}")
