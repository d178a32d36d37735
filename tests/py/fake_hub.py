"""A hub and its CDN on two ports of this machine, with every way to go wrong that the tests need.

    with FakeHub() as hub:
        hub.add("owner/model", {"model-Q4_K_M.gguf": data})
        ... endpoint is hub.url; what was asked for is in hub.log

LFS files are redirected from the endpoint to the CDN, as the real one does; small files are served by the endpoint.
"""
import hashlib
import http.server
import json
import re
import socket
import socketserver
import struct
import threading
import time
import urllib.parse


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # connections end in every way here


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def log_message(self, *args):
        pass

    def do_GET(self):
        hub, entry = self.server.hub, {"server": self.server.name, "path": self.path, "sent": 0, "status": 0,
                                       "headers": {k.lower(): v for k, v in self.headers.items()}, "method": self.command}
        with hub.lock:
            hub.log.append(entry)
            hub.active += 1
            hub.most_active = max(hub.most_active, hub.active)
        self.entry = entry
        try:
            hub.answer(self)
        except (BrokenPipeError, ConnectionResetError, socket.timeout):
            self.close_connection = True
        finally:
            with hub.lock:
                hub.active -= 1

    do_HEAD = do_POST = do_GET

    # ---- pieces of an answer ----

    def head(self, status, headers):
        self.entry["status"] = status
        self.send_response(status)
        for k, v in headers.items():
            self.send_header(k, v)
        self.end_headers()

    def text(self, status, body, headers=None):
        data = body if isinstance(body, bytes) else body.encode()
        self.head(status, {"Content-Length": len(data), "Content-Type": "text/plain", **(headers or {})})
        self.wfile.write(data)

    def cut(self, reset=False):
        """Ends the connection in the middle."""
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def send_bytes(self, data):
        hub, at = self.server.hub, 0
        start = time.monotonic()
        while at < len(data):
            piece = data[at:at + hub.piece]
            if hub.gate and not hub.gate.wait(30):
                return
            if hub.cut_after is not None:
                with hub.lock:
                    left = hub.cut_after - hub.since_cut
                    if len(piece) >= left:
                        piece = piece[:left]
                        hub.since_cut = 0
                        hub.cuts += 1
                        stop = True
                    else:
                        hub.since_cut += len(piece)
                        stop = False
                    if stop and hub.cuts >= hub.max_cuts:
                        hub.cut_after = None
            else:
                stop = False
            self.wfile.write(piece)
            at += len(piece)
            with hub.lock:
                self.entry["sent"] += len(piece)
            if stop:
                return self.cut()
            if hub.rate:
                time.sleep(max(0, start + at / hub.rate - time.monotonic()))


class FakeHub:
    def __init__(self):
        self.repos, self.files, self.log = {}, {}, []
        self.lock = threading.Lock()
        self.active = self.most_active = 0
        # behaviour; the tests change it
        self.piece = 64 << 10
        self.rate = None            # bytes a second, for each connection
        self.gate = None            # an Event that bodies wait for
        self.cut_after = None       # bytes until a connection is cut, again and again
        self.max_cuts, self.cuts, self.since_cut = 1, 0, 0
        self.ranges = True
        self.lengths = True         # False: chunked, without a length
        self.etags = True
        self.need_token = None
        self.statuses = {}          # path of the URL -> list of (status, headers) that come first
        self.redirects = {}         # path of the URL -> Location
        self.extra = {}             # path of the URL -> headers of the answer
        self.corrupt = {}           # path of the URL -> bytes that are served in place of the file's
        self.says_size = {}         # (repo, path) -> size in the tree
        self.page_size = 1000
        self.deaf = False           # takes every If-Range for a mismatch
        self.expire = False         # CDN addresses hold for one request
        self.used = set()
        self.commit = "c0ffee" + "0" * 34
        self.tree_override = None

    def __enter__(self):
        self.endpoint, self.cdn = (Server(("127.0.0.1", 0), Handler) for _ in range(2))
        self.threads = []
        for server, name in ((self.endpoint, "endpoint"), (self.cdn, "cdn")):
            server.hub, server.name = self, name
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            self.threads.append(thread)
        self.url = f"http://127.0.0.1:{self.endpoint.server_port}"
        self.cdn_url = f"http://127.0.0.1:{self.cdn.server_port}"
        return self

    def __exit__(self, *args):
        if self.gate:
            self.gate.set()
        for server in (self.endpoint, self.cdn):
            server.shutdown()
            server.server_close()

    # ---- content ----

    def add(self, repo, files, lfs=None):
        """files: {path: bytes}; lfs: the paths that are (default: .gguf and .safetensors)"""
        self.repos.setdefault(repo, {}).update(files)
        for path, data in files.items():
            big = path.endswith((".gguf", ".safetensors")) if lfs is None else path in lfs
            self.files[repo, path] = big

    def put(self, path, data):
        """A file at a plain URL of the CDN; returns the URL."""
        self.repos.setdefault("", {})[path] = data
        return f"{self.cdn_url}/{urllib.parse.quote(path)}"

    def sent(self, word=""):
        with self.lock:
            return sum(e["sent"] for e in self.log if word in e["path"] and e["status"] in (200, 206))

    def asked(self, word=""):
        with self.lock:
            return [e for e in self.log if word in e["path"]]

    # ---- answers ----

    def answer(self, h):
        url = urllib.parse.urlsplit(h.path)
        path = urllib.parse.unquote(url.path)
        with self.lock:
            first = self.statuses.get(path)
            status = first.pop(0) if first else None
        if status:
            return h.text(status[0], "no", status[1])
        if path in self.redirects:
            return h.head(302, {"Location": self.redirects[path], "Content-Length": "0"})
        if h.server.name == "cdn":
            return self.from_cdn(h, path, url.query)
        token = h.entry["headers"].get("authorization")
        if self.need_token and token != f"Bearer {self.need_token}":
            return h.text(401, "who are you", {"X-Error-Code": "GatedRepo"})
        m = re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", url.path)
        if m:
            return self.tree(h, m.group(1), urllib.parse.parse_qs(url.query))
        m = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", url.path)
        if m and urllib.parse.unquote(m.group(3)) in self.repos.get(m.group(1), {}):
            return self.resolve(h, m.group(1), urllib.parse.unquote(m.group(3)))
        return h.text(404, "nothing here", {"X-Error-Code": "EntryNotFound"})

    def tree(self, h, repo, query):
        if self.tree_override is not None:
            return h.text(200, self.tree_override, {"Content-Type": "application/json"})
        if repo not in self.repos:
            return h.text(401, '{"error":"Invalid username or password."}', {"X-Error-Code": "RepoNotFound"})
        rows = []
        for path, data in sorted(self.repos[repo].items()):
            row = {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
            if self.files[repo, path]:
                row["lfs"] = {"oid": sha256(data), "size": len(data), "pointerSize": 134}
            if (repo, path) in self.says_size:
                row["size"] = self.says_size[repo, path]
                if "lfs" in row:
                    row["lfs"]["size"] = row["size"]
            rows.append(row)
        at = int(query.get("cursor", ["0"])[0])
        headers = {"Content-Type": "application/json", "X-Repo-Commit": self.commit}
        if at + self.page_size < len(rows):
            headers["Link"] = f'<{self.url}{h.path.split("?")[0]}?recursive=1&cursor={at + self.page_size}>; rel="next"'
        return h.text(200, json.dumps(rows[at:at + self.page_size]), headers)

    def resolve(self, h, repo, path):
        data = self.repos[repo][path]
        headers = {"X-Repo-Commit": self.commit}
        if not self.files[repo, path]:
            return self.send(h, h.path, data, {**headers, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'})
        number = len(self.log)
        where = f"{self.cdn_url}/{urllib.parse.quote(repo + '/' + path)}?signature={number}"
        body = b"Found. Redirecting"
        h.head(302, {**headers, "Location": where, "X-Linked-Etag": f'"{sha256(data)}"', "X-Linked-Size": len(data),
                     "Content-Length": len(body)})
        h.wfile.write(body)

    def from_cdn(self, h, path, query):
        name = path.lstrip("/")
        if self.expire and query:
            with self.lock:
                if query in self.used:
                    return h.text(403, "expired")
                self.used.add(query)
        for repo, files in self.repos.items():
            if repo and name.startswith(repo + "/") and name[len(repo) + 1:] in files:
                return self.send(h, path, files[name[len(repo) + 1:]])
        if name in self.repos.get("", {}):
            return self.send(h, path, self.repos[""][name])
        return h.text(404, "nothing here")

    def send(self, h, path, data, headers=None):
        path = urllib.parse.unquote(path.split("?")[0])
        data = self.corrupt.get(path, data)
        headers = {**(headers or {}), **self.extra.get(path, {})}
        if self.etags:
            headers.setdefault("ETag", f'"{sha256(data)[:16]}"')
        want = re.fullmatch(r"bytes=(\d+)-(\d*)", h.entry["headers"].get("range", ""))
        condition = h.entry["headers"].get("if-range")
        if want and self.ranges and (not condition or (condition == headers.get("ETag") and not self.deaf)):
            first = int(want.group(1))
            last = min(int(want.group(2) or len(data) - 1), len(data) - 1)
            if first >= len(data):
                return h.text(416, "", {"Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            h.head(206, {**headers, "Content-Length": last - first + 1})
            return h.send_bytes(data[first:last + 1])
        if self.lengths:
            h.head(200, {**headers, "Content-Length": headers.pop("Content-Length", len(data))})
            return h.send_bytes(data)
        h.head(200, {**headers, "Transfer-Encoding": "chunked"})
        for at in range(0, len(data), self.piece):
            piece = data[at:at + self.piece]
            h.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            h.entry["sent"] += len(piece)
            if self.cut_after is not None and h.entry["sent"] >= self.cut_after:
                self.cut_after = None
                return h.cut()
        h.wfile.write(b"0\r\n\r\n")
