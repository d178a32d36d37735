#!/usr/bin/env python3
"""Times Transformers.js (WebAssembly) in a real browser engine: WebKitGTK, as Tauri has it on Linux, or Chromium.

    bench/transformers_js/run.py FOLDER --modules NODE_MODULES [--engine webkit|chromium] [--dtype q8|q4]

FOLDER is what export.py wrote. NODE_MODULES holds @huggingface/transformers (npm install @huggingface/transformers).
Needs WebKitGTK's MiniBrowser and Xvfb, or chromium. The server sends the headers that make SharedArrayBuffer, and so
threads, available. Prints one JSON object.
"""
import argparse
import glob
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import rust_compare  # noqa: E402  (the prompt)

TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm", ".json": "application/json",
         ".html": "text/html; charset=utf-8"}


def handler(folders, results):
    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def guess_type(self, path):
            return TYPES.get(os.path.splitext(path)[1], "application/octet-stream")

        def translate_path(self, path):
            path = urllib.parse.urlsplit(path).path
            for prefix, target in folders.items():
                if path.startswith(prefix):
                    return os.path.join(target, os.path.normpath("/" + path[len(prefix):]).lstrip("/")).rstrip("/")
            return os.path.join(HERE, "no such file")

        def end_headers(self):
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            super().end_headers()

        def answer(self, body):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            if self.path == "/prompt":
                return self.answer(rust_compare.PROMPT.encode())
            return super().do_GET()

        def do_POST(self):
            results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.answer(b"{}")

    return Handler


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A browser that is closed cuts its connections."""


def browser(engine, profile):
    """The command that opens a page, which is appended."""
    if engine == "chromium":
        return ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
    found = glob.glob("/usr/lib/*/webkit2gtk-4.1/MiniBrowser") + glob.glob("/usr/libexec/webkit2gtk-4.1/MiniBrowser")
    if not found:
        sys.exit("error: MiniBrowser of webkit2gtk-4.1 is not installed (Debian: libwebkit2gtk-4.1-0)")
    return ["xvfb-run", "-a", "--", found[0], "--private"]


def end(process):
    """Ends the browser with everything it started: they are one process group."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder")
    p.add_argument("--modules", required=True)
    p.add_argument("--engine", choices=["webkit", "chromium"], default="webkit")
    p.add_argument("-t", "--threads", type=int, default=2)
    p.add_argument("-n", "--tokens", type=int, default=128)
    p.add_argument("-r", "--repetitions", type=int, default=3)
    p.add_argument("--dtype", choices=["q8", "q4"], default="q8", help="q8 is what Transformers.js takes for wasm")
    p.add_argument("--timeout", type=int, default=600)
    a = p.parse_args()
    package = os.path.join(a.modules, "@huggingface", "transformers")
    folders = {"/page.html": os.path.join(HERE, "page.html"), "/models/model/": a.folder,
               "/ort/": os.path.join(a.modules, "onnxruntime-web", "dist"),
               "/transformers.js": os.path.join(package, "dist", "transformers.min.js")}
    results = queue.Queue()
    server = Server(("127.0.0.1", 0), handler(folders, results))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    ask = urllib.parse.urlencode({"threads": a.threads, "tokens": a.tokens, "repetitions": a.repetitions, "dtype": a.dtype})
    profile = tempfile.mkdtemp()
    page = subprocess.Popen([*browser(a.engine, profile), f"http://127.0.0.1:{server.server_port}/page.html?{ask}"],
                            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    try:
        result = results.get(timeout=a.timeout)
    except queue.Empty:
        sys.exit(f"error: the page said nothing in {a.timeout} s")
    finally:
        end(page)
        shutil.rmtree(profile, ignore_errors=True)
    if "error" in result:
        sys.exit(f"error: the page says: {result['error']}")
    with open(os.path.join(package, "package.json")) as f:
        result["transformers.js"] = json.load(f)["version"]
    print(json.dumps({"engine": a.engine, "dtype": a.dtype, **result}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
