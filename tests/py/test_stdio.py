"""`ingle stdio` from outside: the protocol, streams, cancelling, bad input, and that it never outlives whoever started it."""
import base64
import json
import os
import queue
import random
import re
import signal
import struct
import subprocess
import sys
import threading
import time

import pytest
import synth

SLOW = {"width": 512, "layers": 8, "heads": 8, "kv_heads": 4, "head": 64, "ffn": 2048, "vocab": 1024}
LINE_BYTES = 64 << 20


class Client:
    """One process and a thread that reads its lines."""

    def __init__(self, ingle, *args, env=None, **kw):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("INGLE_")} | (env or {})
        self.process = subprocess.Popen([ingle, *(args or ["--stdio"])], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=clean, **kw)
        self.lines, self.last_id, self.seen = queue.Queue(), 0, []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put((time.monotonic(), line))
        self.lines.put((time.monotonic(), None))

    def raw(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, method, params=None, **more):
        self.last_id += 1
        self.raw(json.dumps({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params or {}} | more).encode() + b"\n")
        return self.last_id

    def next(self, timeout=30):
        """The next message and when it came."""
        at, line = self.lines.get(timeout=timeout)
        if line is None:
            return at, None
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        message = json.loads(line.decode("utf-8", "strict"))
        assert message["jsonrpc"] == "2.0" and ("id" in message) != ("method" in message)
        self.seen.append(message)
        return at, message

    def until(self, wanted, timeout=30):
        end = time.monotonic() + timeout
        while True:
            at, message = self.next(max(end - time.monotonic(), 0.01))
            assert message is not None, "it ended: " + self.process.stderr.read().decode()
            if wanted(message):
                return at, message

    def answer(self, id, timeout=30):
        return self.until(lambda m: m.get("id", "-") == id, timeout)[1]

    def call(self, method, params=None, timeout=30):
        message = self.answer(self.send(method, params), timeout)
        assert "error" not in message, message
        return message["result"]

    def error(self, method, params=None, **more):
        return self.answer(self.send(method, params, **more))["error"]

    def load(self, path, **options):
        return self.call("load", {"model": str(path), "options": options})["model"]

    def submit(self, model, **request):
        return self.call("submit", {"model": model, "request": request})["request"]

    def events(self, request, timeout=60):
        """All events of a request, from those that came already on."""
        mine = [m["params"] for m in self.seen if m.get("method") == "event" and m["params"]["request"] == request]
        while not mine or mine[-1]["kind"] not in ("done", "error"):
            _, m = self.until(lambda m: m.get("method") == "event" and m["params"]["request"] == request, timeout)
            mine.append(m["params"])
        return mine

    def close(self, timeout=5):
        self.process.stdin.close()
        code = self.process.wait(timeout)
        self.reader.join(timeout)
        return code


@pytest.fixture
def stdio(ingle):
    made = []

    def start(*args, **kw):
        made.append(Client(ingle, *args, **kw))
        return made[-1]

    yield start
    for client in made:
        if client.process.poll() is None:
            client.process.kill()
            client.process.wait()


@pytest.fixture(scope="session")
def tiny(golden):
    return str(golden / "gguf" / "llama.gguf")


@pytest.fixture(scope="session")
def slow(tmp_path_factory):
    """A model that takes seconds over a long prompt and never has to stop."""
    path = tmp_path_factory.mktemp("stdio") / "slow.gguf"
    synth.synth(str(path), "Q4_K_M", 7, SLOW)
    return str(path)


def text_of(events):
    return "".join(e.get("text", "") for e in events if e["kind"] == "text")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie whose new parent has not collected it yet is dead all the same.
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"


def wait_gone(pid, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not alive(pid):
            return True
        time.sleep(0.01)
    return False


# ---- Calls ---------------------------------------------------------------------------------------------------------


def test_handshake(stdio, ingle):
    client = stdio()
    hello = client.call("initialize", {"client": {"name": "test", "version": "1"}})
    version = json.loads(subprocess.run([ingle, "version", "--json"], capture_output=True).stdout)["version"]
    assert (hello["name"], hello["version"], hello["protocol"], hello["line_bytes"]) == ("ingle", version, 1, LINE_BYTES)
    options = {o["name"]: o for o in hello["options"]}
    assert options["top-k"]["key"] == "top_k" and options["top-k"]["type"] == "int" and options["top-k"]["max"] > 0
    assert "f16" in options["kv"]["choices"]
    names = {m["name"] for m in hello["methods"]}
    assert {"load", "unload", "submit", "cancel", "embed", "shutdown"} <= names
    assert client.call("list") == {"models": []}
    assert client.close() == 0


def test_every_method_is_documented(stdio, top):
    text = (top / "docs" / "stdio.md").read_text()
    for method in stdio().call("initialize")["methods"]:
        assert f"`{method['name']}`" in text, method
        row = next(line for line in text.splitlines() if line.startswith(f"| `{method['name']}`"))
        for parameter in method["params"]:
            assert parameter in row, (method["name"], parameter)


def test_examples_in_the_docs(stdio, top, tiny, tmp_path):
    """Lines after `->` are sent as they stand, lines after `<-` must be answered with at least those members."""
    text = (top / "docs" / "stdio.md").read_text()
    blocks = re.findall(r"```jsonl\n(.*?)```", text, re.S)
    assert len(blocks) >= 3
    client, n = stdio("--stdio", "--temperature", "0"), 0

    def holds(real, wanted, where):
        if wanted == "...":
            return
        if isinstance(wanted, dict):
            for key, value in wanted.items():
                if key != "...":
                    assert key in real, (where, key, real)
                    holds(real[key], value, where)
        else:
            assert real == wanted, (where, real)

    for block in blocks:
        for line in block.splitlines():
            n += 1
            line = line.replace("/models/story.gguf", tiny).replace("/tmp/story.kv", str(tmp_path / "story.kv"))
            if line.startswith("-> "):
                client.raw(line[3:].encode() + b"\n")
            elif line.startswith("<- "):
                wanted = json.loads(line[3:])
                kind = wanted.get("params", {}).get("kind")
                _, real = client.until(lambda m: m.get("id", 0) == wanted.get("id", 0) and m.get("method") == wanted.get("method")
                                       and (kind is None or m["params"]["kind"] == kind))
                holds(real, wanted, line)
            else:
                assert not line.strip(), line
    assert n > 12


def test_load_reports_progress_and_info(stdio, tiny):
    client = stdio()
    id = client.send("load", {"model": tiny, "options": {"context": 64, "threads": "1"}})
    loaded = client.answer(id)["result"]
    progress = [m["params"] for m in client.seen if m.get("method") == "progress"]
    assert progress and all(p["call"] == id and p["what"] and 0 <= p["done"] <= 1 for p in progress)
    assert progress[-1]["done"] == 1 and sorted(p["done"] for p in progress) == [p["done"] for p in progress]
    assert loaded["path"] == tiny and loaded["info"]["family"] == "llama" and loaded["seconds"] > 0
    assert client.call("list")["models"] == [{"model": loaded["model"], "path": tiny, "requests": 0, "calls": 0}]
    too_long = client.submit(loaded["model"], prompt="word " * 100)
    assert client.events(too_long)[-1]["error"]["code"] == "limit"  # the context option was taken


def test_load_finds_names_in_the_store(stdio, tiny, tmp_path):
    (tmp_path / "models").mkdir()
    os.symlink(tiny, tmp_path / "models" / "small.gguf")
    client = stdio(env={"INGLE_HOME": str(tmp_path)})
    assert client.call("load", {"model": "small"})["path"] == str(tmp_path / "models" / "small.gguf")
    error = client.error("load", {"model": "large"})
    assert error["code"] == -32004 and error["data"]["code"] == "not_found" and "large" in error["message"]


def test_stream_is_what_run_prints(stdio, ingle, tiny):
    client = stdio()
    model = client.load(tiny)
    for request, args in (({"prompt": "Once upon a time", "max_tokens": 24, "temperature": 0}, ["Once upon a time", "-n", "24", "--temp", "0"]),
                          ({"messages": [{"role": "user", "content": "hé 🙂"}], "max_tokens": 24, "temperature": 0},
                           ["hé 🙂", "--chat", "-n", "24", "--temp", "0"]),
                          ({"prompt": "a", "max_tokens": 40, "seed": 5, "temperature": 1.5}, ["a", "-n", "40", "-s", "5", "--temp", "1.5"])):
        expected = json.loads(subprocess.run([ingle, "run", tiny, *args, "--json"], capture_output=True, check=True).stdout)
        events = client.events(client.submit(model, **request))
        done = events[-1]
        assert text_of(events) == expected["text"]
        assert (done["kind"], done["finish"]) == ("done", expected["finish"])
        assert (done["prompt_tokens"], done["output_tokens"]) == (expected["prompt_tokens"], expected["output_tokens"])
        kinds = [e["kind"] for e in events]
        assert kinds == sorted(kinds, key=["progress", "text", "done"].index), kinds


def test_answer_comes_before_the_events(stdio, tiny):
    client = stdio()
    model = client.load(tiny)
    for _ in range(50):
        id = client.send("submit", {"model": model, "request": {"prompt": "x", "max_tokens": 1}})
        _, first = client.next()
        assert first.get("id") == id, first
        client.events(first["result"]["request"])


def test_two_models_at_once(stdio, tiny, golden):
    client = stdio()
    other = str(golden / "gguf" / "qwen3.gguf")
    a, b = client.load(tiny), client.load(other)
    assert a != b
    alone = {}
    for model in (a, b):
        alone[model] = text_of(client.events(client.submit(model, prompt="Hello", max_tokens=60, temperature=0)))
    running = [(m, client.submit(m, prompt="Hello", max_tokens=60, temperature=0)) for m in (a, b, a, b)]
    for model, request in running:
        assert text_of(client.events(request)) == alone[model]
    client.call("unload", {"model": a})
    assert client.error("submit", {"model": a, "request": {"prompt": "x"}})["data"]["code"] == "not_found"
    assert client.events(client.submit(b, prompt="x", max_tokens=2))[-1]["kind"] == "done"


def test_tokens_and_templates(stdio, tiny, ingle):
    client = stdio()
    model = client.load(tiny)
    text = "Hello wörld 🙂\n"
    tokens = client.call("tokenize", {"model": model, "text": text})["tokens"]
    assert tokens == json.loads(subprocess.run([ingle, "tokenize", tiny, text, "--json"], capture_output=True).stdout)
    bare = client.call("tokenize", {"model": model, "text": text, "add_special": False})["tokens"]
    assert client.call("detokenize", {"model": model, "tokens": bare})["text"] == text
    assert client.call("tokenize", {"model": model, "text": ""})["tokens"] == tokens[:len(tokens) - len(bare)]
    special = client.call("tokenize", {"model": model, "text": "<|im_end|>", "add_special": False, "parse_special": True})["tokens"]
    assert len(special) == 1
    assert client.call("detokenize", {"model": model, "tokens": special}) == {"text": ""}
    assert client.call("detokenize", {"model": model, "tokens": special, "spell_special": True}) == {"text": "<|im_end|>"}
    chat = {"messages": [{"role": "user", "content": "hi"}], "add_generation_prompt": True}
    rendered = client.call("template", {"model": model, "input": chat})["text"]
    assert "hi" in rendered
    assert client.call("template", {"source": "{{ messages[0].content }}!", "input": chat}) == {"text": "hi!"}
    assert client.error("template", {"input": chat})["code"] == -32602
    assert client.error("template", {"source": "{% if %}", "input": chat})["data"]["code"] == "bad_template"
    for bad in ([-1], [1.5], ["1"], [1 << 40]):
        assert client.error("detokenize", {"model": model, "tokens": bad})["code"] == -32602
    assert client.error("detokenize", {"model": model, "tokens": [1 << 30]})["code"] == -32001


def test_describe(stdio, tiny):
    client = stdio()
    model = client.load(tiny)
    assert client.call("describe", {"model": model, "view": "info"})["info"]["family"] == "llama"
    assert client.call("describe", {"model": model, "view": "metadata"})["metadata"]["general.architecture"] == "llama"
    assert any(t["name"] == "token_embd.weight" for t in client.call("describe", {"model": model, "view": "tensors"})["tensors"])
    assert "{%" in client.call("describe", {"model": model, "view": "template"})["template"]
    assert "\n" in client.call("describe", {"model": model, "view": "plan"})["plan"]
    assert client.error("describe", {"model": model, "view": "weights"})["code"] == -32602


def test_devices_and_doctor(stdio, tiny):
    client = stdio()
    devices = client.call("devices")["devices"]
    assert any(d["kind"] == "cpu" and d["usable"] for d in devices)
    assert client.call("doctor")["model"] is None
    assert client.call("doctor", {"model": client.load(tiny)})["model"]


def test_embed(stdio, tiny):
    client = stdio()
    model = client.load(tiny)
    texts = ["a cat", "a dog and a cat"]
    plain = client.call("embed", {"model": model, "input": texts})
    width = plain["width"]
    assert (plain["count"], len(plain["tokens"])) == (2, 2) and plain["tokens"][0] < plain["tokens"][1]
    assert [len(v) for v in plain["embeddings"]] == [width, width]
    packed = client.call("embed", {"model": model, "input": texts, "encoding": "base64"})
    raw = base64.b64decode(packed["embeddings"], validate=True)
    assert struct.unpack(f"<{2 * width}f", raw) == tuple(x for v in plain["embeddings"] for x in v)
    assert client.call("embed", {"model": model, "input": "a cat", "dimensions": 3, "pooling": "last"})["width"] == 3
    assert client.error("embed", {"model": model, "input": "a", "encoding": "hex"})["code"] == -32602
    assert client.error("embed", {"model": model, "input": {}})["data"]["code"] == "bad_request"
    assert client.error("embed", {"model": model, "input": "a", "pooling": "best"})["data"]["code"] == "bad_request"


def test_save_and_restore(stdio, tiny, tmp_path):
    client = stdio()
    model = client.load(tiny)
    path, prompt = str(tmp_path / "talk.kv"), "once upon a time " * 4
    client.events(client.submit(model, prompt=prompt, max_tokens=4))
    client.call("save", {"model": model, "path": path})
    again = client.load(tiny)
    client.call("restore", {"model": again, "path": path})
    assert client.events(client.submit(again, prompt=prompt, max_tokens=4))[-1]["cached_tokens"] > 10
    assert client.error("restore", {"model": again, "path": path + ".not"})["data"]["code"] in ("not_found", "io")
    assert client.error("save", {"model": again, "path": "a\0b"})["code"] == -32602


def test_notifications_get_no_answer(stdio, tiny):
    client = stdio()
    client.raw(b'{"jsonrpc":"2.0","method":"list"}\n{"jsonrpc":"2.0","method":"nothing"}\n{"jsonrpc":"2.0","method":"load","params":{}}\n')
    id = client.send("list")
    assert client.next()[1]["id"] == id
    client.raw(json.dumps({"jsonrpc": "2.0", "method": "cancel", "params": {"request": 99}}).encode() + b"\n")
    assert client.call("devices")["devices"]


def test_ids_come_back_as_they_were(stdio):
    client = stdio()
    for id in ('"a\\u0000\\n\\"🙂"', "1.50", "-7", "123456789012345678901234567890", "null", '"' + "x" * 200 + '"'):
        client.raw(('{"jsonrpc":"2.0","id":%s,"method":"list"}\n' % id).encode())
        _, line = client.lines.get(timeout=10)
        assert json.loads(line)["id"] == json.loads(id)
    for id in ("true", "[1]", "{}", '"' + "x" * 300 + '"'):
        client.raw(('{"jsonrpc":"2.0","id":%s,"method":"list"}\n' % id).encode())
        message = client.next()[1]
        assert message["id"] is None and message["error"]["code"] == -32600


# ---- Bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line, code, part", [
    (b"garbage", -32700, "column 1"),
    (b'{"jsonrpc":"2.0","id":1,"method":"list"', -32700, "column"),
    (b'{"jsonrpc":"2.0","id":1,"method":"list",}', -32700, "column 41"),
    (b'{"jsonrpc":"2.0","id":1,"method":"li\x01st"}', -32700, "control character"),
    (b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}', -32700, "UTF-8"),
    (b'{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}', -32700, "UTF-8"),
    (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":1,"method":"list"}', -32700, "byte order mark"),
    (b"\x00", -32700, ""),
    (b"\xff" * 1000, -32700, ""),
    (b"[" * 100000, -32700, "deep"),
    (b'{"jsonrpc":"2.0","id":1,"method":"list"} x', -32700, "more text"),
    (b"[]", -32600, "batches"),
    (b'[{"jsonrpc":"2.0","id":1,"method":"list"}]', -32600, "batches"),
    (b"1", -32600, "object"),
    (b"null", -32600, "object"),
    (b'{"id":1,"method":"list"}', -32600, "2.0"),
    (b'{"jsonrpc":"1.0","id":1,"method":"list"}', -32600, "2.0"),
    (b'{"jsonrpc":"2.0","id":1}', -32600, "method"),
    (b'{"jsonrpc":"2.0","id":1,"result":{}}', -32600, "method"),
    (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600, "method"),
    (b'{"jsonrpc":"2.0","id":1,"method":"list","params":[1]}', -32602, "params"),
    (b'{"jsonrpc":"2.0","id":1,"method":"fly"}', -32601, "fly"),
    (b'{"jsonrpc":"2.0","id":1,"method":"a\\u0000b"}', -32601, "no method"),
    (b'{"jsonrpc":"2.0","id":1,"method":"load"}', -32602, "model"),
    (b'{"jsonrpc":"2.0","id":1,"method":"load","params":{"model":7}}', -32602, "text"),
    (b'{"jsonrpc":"2.0","id":1,"method":"load","params":{"model":""}}', -32602, "empty"),
    (b'{"jsonrpc":"2.0","id":1,"method":"load","params":{"model":"a\\u0000b"}}', -32602, "NUL"),
    (b'{"jsonrpc":"2.0","id":1,"method":"load","params":{"model":"/nowhere/x.gguf"}}', -32004, "/nowhere/x.gguf"),
    (b'{"jsonrpc":"2.0","id":1,"method":"load","params":{"model":"/nowhere","options":[]}}', -32602, "options"),
    (b'{"jsonrpc":"2.0","id":1,"method":"load","params":{"model":"/nowhere","options":{"wings":2}}}', -32004, "wings"),
    (b'{"jsonrpc":"2.0","id":1,"method":"load","params":{"model":"/nowhere","options":{"threads":"many"}}}', -32001, "threads"),
    (b'{"jsonrpc":"2.0","id":1,"method":"submit","params":{"model":1}}', -32602, "request"),
    (b'{"jsonrpc":"2.0","id":1,"method":"submit","params":{"model":1,"request":{"prompt":"x"}}}', -32004, "no model 1"),
    (b'{"jsonrpc":"2.0","id":1,"method":"tokenize","params":{"model":1.5,"text":"x"}}', -32004, "no model 1.5"),
    (b'{"jsonrpc":"2.0","id":1,"method":"cancel"}', -32602, "one of"),
    (b'{"jsonrpc":"2.0","id":1,"method":"cancel","params":{"request":1,"model":1}}', -32602, "one of"),
    (b'{"jsonrpc":"2.0","id":1,"method":"unload","params":{"model":"x"}}', -32602, "number"),
])
def test_bad_lines(stdio, line, code, part):
    client = stdio()
    client.raw(line + b"\n")
    message = client.until(lambda m: "id" in m)[1]
    error = message["error"]
    assert error["code"] == code and part in error["message"], message
    assert message["id"] == (None if code in (-32700,) or not line.startswith(b'{') else 1)
    assert error["data"]["message"] == error["message"] and error["data"]["code"] and "hint" in error["data"]
    assert client.call("list") == {"models": []}  # the next line is read as if nothing had happened
    assert client.close() == 0


def test_bad_requests_are_refused_by_submit(stdio, tiny):
    client = stdio()
    model = client.load(tiny)
    for request in ({"prompt": "x", "temperature": -1}, {"prompt": "x", "top_k": "many"}):
        error = client.error("submit", {"model": model, "request": request})
        assert error["data"]["code"] in ("bad_request", "bad_argument") and error["code"] < -32000, error
    assert client.events(client.submit(model, max_tokens=2))[-1]["error"]["code"] == "bad_request"
    assert client.call("list")["models"][0]["requests"] == 0


def test_white_space_and_line_ends(stdio):
    client = stdio()
    client.raw(b'\n\r\n   \n{"jsonrpc":"2.0","id":1,"method":"list"}\r\n \t{"jsonrpc":"2.0","id":2,"method":"list"} \n')
    assert [client.next()[1]["id"] for _ in range(2)] == [1, 2]
    for byte in b'{"jsonrpc":"2.0","id":3,"method":"list"}\n':  # in single bytes
        client.raw(bytes([byte]))
    assert client.next()[1]["id"] == 3


def test_the_last_line_needs_no_end(stdio):
    client = stdio()
    client.raw(b'{"jsonrpc":"2.0","id":1,"method":"list"}')
    assert client.close() == 0
    assert client.next()[1]["id"] == 1


def test_huge_line(stdio, tiny):
    client = stdio()
    model = client.load(tiny)
    piece = b"x" * (1 << 20)

    def write():
        client.raw(b'{"jsonrpc":"2.0","id":1,"method":"tokenize","params":{"text":"')
        for _ in range(65):
            client.raw(piece)
        client.raw(b'"}}\n')
        client.send("list")

    writer = threading.Thread(target=write)
    writer.start()
    error = client.next(60)[1]
    assert error["error"]["code"] == -32700 and error["error"]["data"]["code"] == "limit" and error["id"] is None
    assert client.next(60)[1]["result"]["models"][0]["model"] == model  # the rest of the line was skipped
    writer.join()
    big = client.call("tokenize", {"model": model, "text": "word " * 400000}, timeout=60)["tokens"]  # 2 MB are fine
    assert len(big) > 400000


def test_random_bytes(stdio):
    client, rng = stdio(), random.Random(11)
    valid = b'{"jsonrpc":"2.0","id":1,"method":"describe","params":{"model":1,"view":"info","x":[1,2,{"a":"\\u00e9"}]}}'
    sent = 0
    for _ in range(400):
        line = bytearray(valid)
        for _ in range(rng.randrange(1, 6)):
            line[rng.randrange(len(line))] = rng.randrange(256)
        line = bytes(line).replace(b"\n", b" ")
        client.raw(line + b"\n")
        sent += 1
    client.last_id = 1000
    id = client.send("list")
    answered = 0
    while True:
        message = client.next()[1]
        if message.get("id") == id:
            break
        assert "error" in message
        answered += 1
    assert sent * 0.9 < answered <= sent  # the others had lost their id and so were notifications
    assert client.close() == 0


# ---- Cancelling ----------------------------------------------------------------------------------------------------


def test_cancel_in_the_prompt(stdio, slow):
    client = stdio()
    model = client.load(slow, context=65536)
    request = client.submit(model, prompt="a b c d " * 6000, max_tokens=10)
    client.until(lambda m: m.get("method") == "event" and m["params"]["prompt_done"] > 0)
    start = time.monotonic()
    client.send("cancel", {"request": request})
    at, m = client.until(lambda m: m.get("method") == "event" and m["params"]["kind"] in ("done", "error"))
    assert m["params"]["finish"] == "cancelled" and m["params"]["prompt_done"] < m["params"]["prompt_tokens"]
    assert at - start < 0.1 * patience(), at - start


def test_cancel_in_the_answer(stdio, slow):
    client = stdio()
    model = client.load(slow, context=4096)
    request = client.submit(model, prompt="a", max_tokens=4000, ignore_eos=True)
    client.until(lambda m: m.get("method") == "event" and m["params"]["output_tokens"] > 5)
    start = time.monotonic()
    client.send("cancel", {"request": request})
    at, m = client.until(lambda m: m.get("method") == "event" and m["params"]["kind"] in ("done", "error"))
    assert m["params"]["finish"] == "cancelled" and 5 < m["params"]["output_tokens"] < 4000
    assert at - start < 0.1 * patience(), at - start
    assert client.call("list")["models"][0]["requests"] == 0


def patience():
    """The machine may be busy with other tests: the promise is for a free core."""
    return 1 if os.getloadavg()[0] < 1 else 3


def test_cancel_in_the_queue(stdio, slow):
    client = stdio()
    model = client.load(slow, context=4096)
    first, second, third = (client.submit(model, prompt="a", max_tokens=300, ignore_eos=True, temperature=0) for _ in range(3))
    client.call("cancel", {"request": third})
    client.call("cancel", {"request": second})
    client.call("cancel", {"request": 12345})  # unknown ids are ignored
    assert client.events(first)[-1]["finish"] == "length"
    for request in (second, third):
        events = client.events(request)
        assert [e["kind"] for e in events] == ["done"] and events[0]["finish"] == "cancelled"


def test_cancel_all_of_a_model(stdio, slow):
    client = stdio()
    model = client.load(slow, context=4096)
    requests = [client.submit(model, prompt="a", max_tokens=4000, ignore_eos=True) for _ in range(3)]
    embed = client.send("embed", {"model": model, "input": ["a"]})  # waits behind them
    client.call("cancel", {"model": model})
    assert {client.events(r)[-1]["finish"] for r in requests} == {"cancelled"}
    seen = [m for m in client.seen if m.get("id") == embed] or [client.answer(embed)]
    assert seen[0]["error"]["data"]["code"] == "cancelled"
    assert client.call("embed", {"model": model, "input": ["a"]})["count"] == 1  # it goes on working


def test_cancel_a_call(stdio, slow):
    client = stdio()
    model = client.load(slow, context=65536)
    embed = client.send("embed", {"model": model, "input": ["a b c d " * 6000]})
    time.sleep(0.3)
    start = time.monotonic()
    client.send("cancel", {"call": embed})
    at, m = client.until(lambda m: m.get("id") == embed)
    assert m["error"]["data"]["code"] == "cancelled" and at - start < 0.1 * patience()
    end = time.monotonic() + 0.5 * patience()
    while client.call("list")["models"][0]["calls"]:  # and the work has ended, not only the waiting
        assert time.monotonic() < end


def test_calls_get_through_while_one_is_long(stdio, slow):
    client = stdio()
    model = client.load(slow, context=65536)
    embed = client.send("embed", {"model": model, "input": ["a b c d " * 6000]})
    start = time.monotonic()
    assert client.call("tokenize", {"model": model, "text": "a b"})["tokens"]
    assert client.call("list")["models"][0]["calls"] == 1
    assert time.monotonic() - start < 0.5
    assert not [m for m in client.seen if m.get("id") == embed]
    assert client.error("save", {"model": model, "path": "/nowhere/x"})["data"]["code"] == "busy"


def test_a_load_is_cancelled_or_it_is_there(stdio, slow):
    client, cancelled = stdio(), 0
    for _ in range(20):
        client.last_id += 1
        load, n = client.last_id, json.dumps(slow)
        client.raw(('{"jsonrpc":"2.0","id":%d,"method":"load","params":{"model":%s}}\n'
                    '{"jsonrpc":"2.0","method":"cancel","params":{"call":%d}}\n' % (load, n, load)).encode())
        message = client.answer(load)
        if "error" in message:
            assert message["error"]["data"]["code"] == "cancelled"
            cancelled += 1
        else:
            assert client.call("list")["models"][0]["model"] == message["result"]["model"]
            client.call("unload", {"model": message["result"]["model"]})
        assert client.call("list") == {"models": []}
    assert cancelled
    assert len([m for m in client.seen if "id" in m]) == len({m["id"] for m in client.seen if "id" in m})  # one answer each


def test_unload_cancels_what_runs(stdio, slow):
    client = stdio()
    model = client.load(slow, context=4096)
    requests = [client.submit(model, prompt="a", max_tokens=4000, ignore_eos=True) for _ in range(2)]
    start = time.monotonic()
    unload = client.send("unload", {"model": model})
    client.answer(unload)
    assert time.monotonic() - start < 0.5 * patience()
    assert {client.events(r)[-1]["finish"] for r in requests} == {"cancelled"}
    assert [m.get("id") for m in client.seen][-1] == unload  # the last events come before the answer


def test_interleaved(stdio, slow, tiny):
    """Many calls in flight on two models: each is answered once, each stream is whole."""
    client = stdio()
    models, rng = [client.load(slow, context=512), client.load(tiny, context=512)], random.Random(3)
    expected = {m: text_of(client.events(client.submit(m, prompt="abc", max_tokens=12, temperature=0))) for m in models}
    ids, submits = set(), {}
    for _ in range(150):
        model, what = rng.choice(models), rng.randrange(4)
        if what == 0:
            id = client.send("tokenize", {"model": model, "text": "a b c"})
        elif what == 1:
            id = client.send("submit", {"model": model, "request": {"prompt": "abc", "max_tokens": 12, "temperature": 0}})
            submits[id] = model
        elif what == 2:
            id = client.send("embed", {"model": model, "input": "abc"})
        else:
            id = client.send("list")
        ids.add(id)
    answers, streams = {}, {}
    while len(answers) < len(ids) or any(s[-1]["kind"] != "done" for s in streams.values()):
        message = client.next(60)[1]
        if "id" in message:
            assert message["id"] in ids and message["id"] not in answers and "result" in message, message
            answers[message["id"]] = message["result"]
        else:
            streams.setdefault(message["params"]["request"], []).append(message["params"])
    for id, model in submits.items():
        assert text_of(streams.pop(answers[id]["request"])) == expected[model]
    assert not streams


# ---- Ends ----------------------------------------------------------------------------------------------------------


def test_end_of_input_ends_it(stdio, slow):
    client = stdio()
    model = client.load(slow, context=65536)
    client.submit(model, prompt="a b c d " * 6000, max_tokens=10)
    client.submit(model, prompt="a", max_tokens=10)
    client.send("embed", {"model": model, "input": "a"})
    start = time.monotonic()
    assert client.close() == 0
    assert time.monotonic() - start < 1.5
    messages = []
    while (m := client.next()[1]) is not None:
        messages.append(m)
    assert [m["params"]["finish"] for m in messages if m.get("method") == "event" and m["params"]["kind"] == "done"] == ["cancelled"] * 2
    assert b"ERROR" not in client.process.stderr.read()  # sanitizers


def test_shutdown(stdio, tiny):
    client = stdio()
    client.load(tiny)
    assert client.call("shutdown") == {}
    assert client.process.wait(2) == 0


def test_quick_calls_are_answered_at_the_end(ingle):
    lines = b'{"jsonrpc":"2.0","id":1,"method":"initialize"}\n{"jsonrpc":"2.0","id":2,"method":"devices"}\n'
    done = subprocess.run([ingle, "stdio"], input=lines, capture_output=True, timeout=10)
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1, 2] and done.returncode == 0


def test_end_of_input_while_nobody_reads(ingle, slow):
    """The output is full and stays so: the process ends all the same."""
    p = subprocess.Popen([ingle, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    for i in range(60):  # 60 option tables are far more than a pipe holds
        p.stdin.write(b'{"jsonrpc":"2.0","id":%d,"method":"initialize"}\n' % i)
    p.stdin.flush()
    time.sleep(0.3)
    start = time.monotonic()
    p.stdin.close()
    assert p.wait(5) == 0 and time.monotonic() - start < 1.5


def test_broken_output(ingle, tiny):
    read, write = os.pipe()
    p = subprocess.Popen([ingle, "--stdio"], stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    os.close(read)
    p.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"list"}\n')
    p.stdin.flush()
    assert p.wait(5) == 141
    assert b"standard output" in p.stderr.read()


def test_slow_reader_pauses_the_engine(ingle, tiny):
    """Unread events stop the engine, not the memory; reading lets it go on, with nothing lost."""
    p = subprocess.Popen([ingle, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def send(id, method, params):
        p.stdin.write(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode() + b"\n")
        p.stdin.flush()

    send(1, "load", {"model": tiny})
    while json.loads(p.stdout.readline()).get("id") != 1:
        pass
    n = 200
    for i in range(n):  # about 256 tokens each, some 250 bytes a token
        send(2 + i, "submit", {"model": 1, "request": {"prompt": "a", "max_tokens": 200, "ignore_eos": True, "temperature": 0}})
    time.sleep(2)
    assert p.poll() is None
    with open(f"/proc/{p.pid}/status") as f:
        kib = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
    assert kib < 200 * 1024
    done, counts = 0, {}
    while done < n:
        m = json.loads(p.stdout.readline())
        if m.get("method") == "event":
            e = m["params"]
            if e["kind"] == "text":
                assert e["output_tokens"] > counts.get(e["request"], 0)
                counts[e["request"]] = e["output_tokens"]
            done += e["kind"] == "done"
    p.stdin.close()
    assert p.wait(5) == 0


PARENT = """
import subprocess, sys, time
p = subprocess.Popen([sys.argv[1], "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
p.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"load","params":{"model":"%s","options":{"context":65536}}}\\n' % sys.argv[2].encode())
p.stdin.flush()
while b'"id":1' not in p.stdout.readline(): pass
p.stdin.write(b'{"jsonrpc":"2.0","id":2,"method":"submit","params":{"model":1,"request":{"prompt":"%s"}}}\\n' % (b"a b c d " * 6000))
p.stdin.flush()
if sys.argv[3] == "leak":  # someone else holds the pipes' other ends: their end never comes
    keeper = subprocess.Popen(["sleep", "30"], close_fds=False, pass_fds=[p.stdin.fileno(), p.stdout.fileno()], stdout=2)
    print(keeper.pid)
else:
    print(0)
print(p.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", ["pipe", "leak"])
@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_no_orphan(ingle, slow, how, sig):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, ingle, slow, how], stdout=subprocess.PIPE)
    keeper = int(parent.stdout.readline())
    child = int(parent.stdout.readline())
    try:
        assert alive(child)
        parent.send_signal(sig)
        parent.wait(5)
        assert wait_gone(child, 2), "the child outlived its parent"
    finally:
        if keeper:
            os.kill(keeper, signal.SIGKILL)


def test_started_by_a_thread_that_ends(ingle):
    """The kernel's parent-death signal would come with the thread's end; what we do must not."""
    made = []
    thread = threading.Thread(target=lambda: made.append(Client(ingle)))
    thread.start()
    thread.join()
    time.sleep(0.3)
    assert made[0].call("list") == {"models": []}
    assert made[0].close() == 0


def test_idle_takes_no_time(stdio, tiny):
    client = stdio()
    client.events(client.submit(client.load(tiny), prompt="a", max_tokens=3))
    time.sleep(0.2)

    def ticks():
        with open(f"/proc/{client.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(1)
    assert ticks() - before <= 1


def test_options_of_the_command_line_are_defaults(stdio, tiny):
    client = stdio("stdio", "--context", "32", "--max-tokens", "3")
    model = client.load(tiny)
    assert client.events(client.submit(model, prompt="a", ignore_eos=True))[-1]["output_tokens"] == 3
    assert client.events(client.submit(model, prompt="word " * 40))[-1]["error"]["code"] == "limit"
    roomy = client.load(tiny, context=1024)
    assert client.events(client.submit(roomy, prompt="word " * 40))[-1]["kind"] == "done"


def test_usage(ingle):
    done = subprocess.run([ingle, "--stdio", "model"], capture_output=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 64 and done.stdout == b""
    assert b"usage: ingle stdio" in subprocess.run([ingle, "--stdio", "--help"], capture_output=True).stdout
