"""The command line from outside: every command, pipes, exit codes, --json, Ctrl-C through a terminal, completion."""
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import numpy as np
import pytest
from safetensors.numpy import load_file

import get_model


@pytest.fixture(scope="session")
def models(golden):
    return golden / "models"


@pytest.fixture(scope="session")
def gguf(golden):
    return str(golden / "gguf" / "llama.gguf")


@pytest.fixture
def cli(ingle, tmp_path):
    """Runs the program; text in and out unless binary. The environment is ours alone."""

    def run(*args, stdin=None, env=None, binary=False, code=0, timeout=60):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("INGLE_")}
        clean |= {"INGLE_HOME": str(tmp_path / "home")} | (env or {})
        data = stdin if stdin is None or binary else stdin.encode()
        done = subprocess.run([ingle, *map(str, args)], input=data, capture_output=True, env=clean, timeout=timeout,
                              stdin=subprocess.DEVNULL if stdin is None else None)
        if code is not None:
            assert done.returncode == code, (done.returncode, done.stdout[-500:], done.stderr[-500:])
        if not binary:
            done.stdout = done.stdout.decode()
        done.stderr = done.stderr.decode()
        return done

    return run


def one_line_error(done, *parts):
    assert done.stdout in ("", b""), done.stdout
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("ingle: "), done.stderr
    assert lines[0].endswith(")"), "no hint: " + lines[0]
    for part in parts:
        assert part in lines[0], lines[0]


# ---- help, version, usage ------------------------------------------------------------------------------------------


def test_help(cli):
    overview = cli("help").stdout
    assert cli("--help").stdout == overview and cli("-h").stdout == overview
    assert cli(code=64).stdout == overview
    commands = re.findall(r"^  ([a-z]+) +\S", overview, re.M)
    for wanted in ("run chat info plan tokenize detokenize bench perplexity logits quant template models version help "
                   "completion").split():
        assert wanted in commands
    for name in commands:
        if name in ("ingle", "echo"):  # the examples
            continue
        text = cli("help", name).stdout
        assert text.startswith(f"usage: ingle {name}")
        assert cli(name, "--help").stdout == text
        assert all(len(line) < 120 for line in text.splitlines())
    run = cli("help", "run").stdout
    for flag in ("-n, --max-tokens", "-t, --threads", "-c, --context", "-s, --seed", "--temperature", "--top-k", "--kv"):
        assert flag in run
    assert "--temperature" not in cli("help", "info").stdout
    families = [line.split() for line in cli("help", "families").stdout.splitlines()[1:]]
    assert len(families) > 30 and ["qwen3", "qwen3"] in families and "mistral" in sum(families, [])
    for topic in ("exit-codes", "environment", "families", "models"):
        assert len(cli("help", topic).stdout) > 100
    one_line_error(cli("help", "nothing", code=64), "nothing")


def test_version(cli, top):
    header = (top / "include" / "ingle.h").read_text()
    version = ".".join(re.search(rf"INGLE_VERSION_{part} (\d+)", header)[1] for part in ("MAJOR", "MINOR", "PATCH"))
    assert cli("version").stdout == f"ingle {version}\n"
    assert cli("--version").stdout == f"ingle {version}\n"
    assert json.loads(cli("version", "--json").stdout) == {"version": version}


def test_usage_errors(cli, gguf):
    one_line_error(cli("rnu", code=64), "rnu", "run")
    one_line_error(cli("run", code=64), "help run")
    one_line_error(cli("run", gguf, "x", "--temprature", "1", code=64), "--temperature")
    one_line_error(cli("run", gguf, "x", "--temp", "hot", code=64), "temperature", "hot")
    one_line_error(cli("run", gguf, "x", "--top-p", "2", code=64), "top-p", "0 to 1")
    one_line_error(cli("run", gguf, "x", "-n", code=64), "-n")
    one_line_error(cli("run", gguf, "x", "y", code=64), "quotes")
    one_line_error(cli("run", gguf, "x", "--chat=yes", code=64), "--chat")
    one_line_error(cli("run", gguf, "x", "--kv", "f64", code=64), "f16|f32|q8_0")
    one_line_error(cli("info", gguf, "--temp", "1", code=64), "--temp")
    one_line_error(cli("run", gguf, "x", env={"INGLE_TOP_K": "many"}, code=64), "INGLE_TOP_K")
    one_line_error(cli("completion", "tcsh", code=64), "bash")
    one_line_error(cli("logits", gguf, "--ids", "1,x", "--out", "/dev/null", code=64), "'x'")
    one_line_error(cli("logits", gguf, code=64), "--ids")
    one_line_error(cli("quant", "decode", "Q9_9", code=64), "Q9_9")


def test_bad_files(cli, gguf, tmp_path):
    one_line_error(cli("info", tmp_path / "none.gguf", code=2), "none.gguf")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(open(gguf, "rb").read()[:3000])
    one_line_error(cli("info", broken, code=2), "broken.gguf")
    broken.write_bytes(b"\x1b[31mnot a model" * 10)
    done = cli("run", broken, "x", code=2)
    one_line_error(done, "broken.gguf")
    assert "\x1b" not in done.stderr
    one_line_error(cli("perplexity", gguf, tmp_path / "none.txt", code=2), "none.txt")


def test_man_page_is_current(cli, top):
    assert cli("help", "--man").stdout == (top / "docs" / "ingle.1").read_text(), \
        "run: build/ingle help --man > docs/ingle.1"


def test_option_table_is_current(cli, top):
    assert cli("help", "--markdown").stdout == (top / "docs" / "options.md").read_text(), \
        "run: build/ingle help --markdown > docs/options.md"


def test_man_page_parses(top):
    for tool in (["mandoc", "-Tlint", "-Werror"], ["groff", "-man", "-ww", "-z", "-Tutf8"]):
        if shutil.which(tool[0]):
            done = subprocess.run([*tool, top / "docs" / "ingle.1"], capture_output=True, text=True)
            assert done.returncode == 0 and "error" not in done.stderr, done.stderr
            return
    text = (top / "docs" / "ingle.1").read_text()
    assert text.count(".TH ") == 1 and ".SH NAME" in text


# ---- the store ---------------------------------------------------------------------------------------------------


def test_store(cli, gguf, models, tmp_path):
    store = tmp_path / "home" / "models"
    one_line_error(cli("info", "tiny", code=2), "tiny", "empty")
    assert json.loads(cli("models", "--json").stdout) == []
    store.mkdir(parents=True)
    shutil.copy(gguf, store / "tiny-a.gguf")
    shutil.copy(gguf, store / "tiny-b.gguf")
    shutil.copy(gguf, store / "other-00001-of-00002.gguf")
    shutil.copy(gguf, store / "other-00002-of-00002.gguf")
    shutil.copytree(models / "llama", store / "folder")
    (store / "tiny-c.gguf.part").write_text("x")
    (store / "notes.txt").write_text("x")
    names = [m["name"] for m in json.loads(cli("models", "--json").stdout)]
    assert names == ["folder", "other", "tiny-a", "tiny-b"]
    listed = cli("models").stdout
    assert [line.split()[-1] for line in listed.splitlines()] == names
    by_path = cli("tokenize", gguf, "hi", "--json").stdout
    assert cli("tokenize", "tiny-a", "hi", "--json").stdout == by_path
    assert cli("tokenize", "tiny-a.gguf", "hi", "--json").stdout == by_path
    assert cli("tokenize", "fo", "hi", "--json").stdout
    one_line_error(cli("info", "tiny", code=2), "tiny-a, tiny-b")
    one_line_error(cli("info", "tinny", code=2), "tiny-a")
    one_line_error(cli("info", "zzz", code=2), "folder")


# ---- info, plan --------------------------------------------------------------------------------------------------


def test_info(cli, gguf, models):
    whole = json.loads(cli("info", gguf, "--json").stdout)
    assert set(whole) == {"info", "metadata", "tensors", "template"}
    assert whole["metadata"]["general.architecture"] == "llama"
    assert "im_start" in whole["template"]
    names = {t["name"]: t for t in whole["tensors"]}
    assert names["token_embd.weight"]["type"] == "BF16"
    text = cli("info", gguf).stdout
    assert "general.architecture" in text and "BF16" in text and "chat template" in text
    assert "llama.block_count" in cli("info", gguf, "--metadata").stdout
    lines = cli("info", gguf, "--tensors").stdout.splitlines()
    assert len(lines) == len(names) and any("token_embd.weight" in line for line in lines)
    assert cli("info", gguf, "--template").stdout == whole["template"]
    assert cli("info", models / "qwen3").stdout


def test_plan(cli, gguf, models):
    assert len(cli("plan", gguf).stdout.splitlines()) > 5
    assert cli("plan", models / "llama").stdout


# ---- tokens ------------------------------------------------------------------------------------------------------


def test_tokenize(cli, gguf, tmp_path):
    text = "Hello, wörld\n <|im_start|> tail"
    file = tmp_path / "t.txt"
    file.write_text(text)
    ids = json.loads(cli("tokenize", gguf, "--text-file", file, "--json", "--no-special").stdout)
    assert json.loads(cli("tokenize", gguf, text, "--json", "--no-special").stdout) == ids
    assert json.loads(cli("tokenize", gguf, "--json", "--no-special", stdin=text).stdout) == ids
    assert json.loads(cli("tokenize", gguf, "-", "--json", "--no-special", stdin=text).stdout) == ids
    assert cli("detokenize", gguf, "--ids", ",".join(map(str, ids))).stdout == text
    assert cli("detokenize", gguf, *ids).stdout == text
    assert cli("detokenize", gguf, stdin=json.dumps(ids)).stdout == text
    special = json.loads(cli("tokenize", gguf, text, "--json", "--no-special", "--parse-special").stdout)
    assert 3 in special and 3 not in ids and len(special) < len(ids)
    assert cli("detokenize", gguf, *special, "--parse-special").stdout == text
    table = cli("tokenize", gguf, "ab\n", "--no-special").stdout.splitlines()
    assert all(re.match(r" *\d+  '.*'$", line) for line in table)
    assert cli("tokenize", gguf, "", "--json", "--no-special").stdout == "[]\n"
    one_line_error(cli("detokenize", gguf, "5000000", code=None), "5000000")


# ---- logits, perplexity ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_logits(cli, models, tmp_path, name):
    want = load_file(models / name / "expected.safetensors")
    ids = want["input_ids"].reshape(-1)
    text = ",".join(map(str, ids))
    out = tmp_path / "l.safetensors"
    cli("logits", models / name, "--ids", text, "--out", out)
    got = load_file(out)
    assert set(got) == {"logits"} and got["logits"].dtype == np.float32
    reference = want["logits"].reshape(got["logits"].shape)
    assert np.abs(got["logits"] - reference).max() <= 2e-3 * reference.std()
    raw = out.read_bytes()
    for chunk in (1, 7, 16):
        cli("logits", models / name, "--ids", text, "--out", out, "--chunk", chunk)
        assert out.read_bytes() == raw  # the same bits
    for threads in (1, 3):
        cli("logits", models / name, "--ids", text, "--out", out, "-t", threads, "--cpu", "scalar")
        assert out.read_bytes() == raw
    piped = cli("logits", models / name, "--ids", "-", "--out", "-", stdin=text.encode(), binary=True)
    assert piped.stdout == raw
    cli("logits", models / name, "--ids", text, "--out", out, "--kv", "q8_0")
    assert out.read_bytes() != raw
    assert os.listdir(tmp_path) == ["l.safetensors"]


def test_logits_that_cannot_be_written(cli, gguf, tmp_path):
    one_line_error(cli("logits", gguf, "--ids", "5,6", "--out", tmp_path / "no" / "l.safetensors", code=2), "l.safetensors")
    one_line_error(cli("logits", gguf, "--ids", "5,600000", "--out", tmp_path / "l.safetensors", code=None), "600000")
    assert os.listdir(tmp_path) == []


def test_perplexity(cli, gguf, models, tmp_path):
    """Against the definition, from the logits of another command."""
    text = tmp_path / "t.txt"
    text.write_text(" ".join(f"word{i * 7 % 13} and {i}" for i in range(60)))
    n = 32
    ids = json.loads(cli("tokenize", gguf, "--text-file", text, "--json").stdout)
    plain = json.loads(cli("tokenize", gguf, "--text-file", text, "--json", "--no-special").stdout)
    bos = ids[0] if len(ids) > len(plain) else None
    nll = []
    for start in range(0, len(ids) // n * n, n):
        chunk = ids[start:start + n]
        if bos is not None:
            chunk[0] = bos
        out = tmp_path / "l.safetensors"
        cli("logits", gguf, "--ids", ",".join(map(str, chunk)), "--out", out)
        z = load_file(out)["logits"].astype(np.float64)
        lp = z - z.max(1, keepdims=True)
        lp -= np.log(np.exp(lp).sum(1, keepdims=True))
        nll += [-lp[j, chunk[j + 1]] for j in range(n // 2, n - 1)]
    nll = np.array(nll)
    result = json.loads(cli("perplexity", gguf, text, "-c", n, "--kv", "f32", "--json").stdout)
    assert result["scored"] == len(nll) and result["chunks"] == len(ids) // n
    assert abs(result["perplexity"] / np.exp(nll.mean()) - 1) < 1e-5
    error = np.sqrt((np.square(nll).mean() - nll.mean()**2) / (len(nll) - 1)) * np.exp(nll.mean())
    assert abs(result["error"] / error - 1) < 1e-4
    shown = cli("perplexity", gguf, text, "-c", n, "--kv", "f32").stdout
    assert re.search(r"^\[1\][\d.]+,\[2\][\d.]+,", shown)
    final = float(re.search(r"Final estimate: PPL = ([\d.]+) \+/- [\d.]+\n$", shown)[1])
    assert abs(final - result["perplexity"]) < 1e-3
    assert json.loads(cli("perplexity", gguf, text, "-c", n, "--chunks", 2, "--json").stdout)["chunks"] == 2
    one_line_error(cli("perplexity", gguf, text, "-c", 100000, code=64), "tokens")


# ---- bench, quant, template ----------------------------------------------------------------------------------------


def test_bench(cli, gguf):
    table = cli("bench", gguf, "-p", 20, "-n", 4, "-r", 3).stdout.splitlines()
    assert table[0].split() == ["test", "tokens/s", "+-", "runs"]
    assert [line.split()[0] for line in table[1:]] == ["pp20", "tg4"]
    result = json.loads(cli("bench", gguf, "-p", 20, "-n", 4, "-r", 3, "--json").stdout)
    assert [r["test"] for r in result] == ["pp20", "tg4"]
    for r in result:
        assert len(r["samples"]) == 3 and all(s > 0 for s in r["samples"])
        assert abs(r["tokens_per_second"] / np.mean(r["samples"]) - 1) < 1e-3
        assert abs(r["stddev"] - np.std(r["samples"], ddof=1)) <= 1e-3 * max(r["samples"])
    assert [r["test"] for r in json.loads(cli("bench", gguf, "-p", 0, "-n", 4, "-r", 1, "--json").stdout)] == ["tg4"]
    assert [r["test"] for r in json.loads(cli("bench", gguf, "-p", 0, "-n", 4, "-r", 1, "--sessions", 3,
                                              "--json").stdout)] == ["tg4x3"]


def documented_hash(top, name):
    """The hash that docs/reproducibility.md names for a file."""
    return re.search(rf"^([0-9a-f]{{16}})  .*{re.escape(name)}$", (top / "docs/reproducibility.md").read_text(), re.M)[1]


def test_bench_hash(cli, golden, top):
    model = golden / "gguf" / "llama-256.gguf"
    want = documented_hash(top, "tests/golden/gguf/llama-256.gguf")
    for flags in ((), ("--cpu", "scalar", "-t", 1), ("-t", 3, "-b", 7), ("-b", 1)):
        assert cli("bench", model, "--hash", *flags).stdout == f"{want}  64 tokens, 272 logits each, kv f16\n"
    got = json.loads(cli("bench", model, "--hash", "-p", 20, "--json").stdout)
    assert got.pop("hash") != want and got == {"tokens": 20, "vocab_size": 272, "kv": "f16"}
    assert json.loads(cli("bench", model, "--hash", "--json", "--kv", "f32").stdout)["hash"] != want
    one_line_error(cli("bench", model, "--hash", "-p", 0, code=64), "at least one")


def test_bench_hash_of_the_default_model(cli, top):
    model = os.path.join(get_model.store(), "smollm2.gguf")
    if not os.path.exists(model):
        pytest.skip("tools/get_model.py has not been run")
    for flags in ((), ("-t", 1, "-b", 16)):
        assert cli("bench", model, "--hash", *flags).stdout.split()[0] == documented_hash(top, "SmolLM2 (tools/get_model.py)")


def test_quant(cli, golden):
    data = load_file(golden / "quants.safetensors")
    types = json.loads(cli("quant", "list", "--json").stdout)
    assert len(types) > 25
    done = 0
    for t in types:
        key = next((k for k in data if k.lower() == f"{t['name'].lower()}.blocks"), None)
        if not key:
            continue
        blocks, values = data[key], data[key.replace(".blocks", ".values")]
        out = cli("quant", "decode", t["name"].lower(), stdin=blocks.tobytes(), binary=True)
        assert out.stdout == values.tobytes(), t["name"]
        done += 1
    assert done > 20
    source = data["encode.input"]
    for name in ("Q8_0", "Q4_0", "MXFP4"):
        out = cli("quant", "encode", name, stdin=source.tobytes(), binary=True)
        assert out.stdout == data[f"encode.{name}"].tobytes(), name
    assert cli("quant", "decode", "Q8_0", stdin=b"", binary=True).stdout == b""
    one_line_error(cli("quant", "decode", "Q8_0", stdin=b"x" * 35, binary=True, code=2), "middle", "Q8_0")
    big = np.arange(3_000_000, dtype=np.float32) / 7
    out = cli("quant", "decode", "F32", stdin=big.tobytes(), binary=True)
    assert out.stdout == big.tobytes()


def test_template(cli, gguf, tmp_path):
    case = tmp_path / "case.json"
    messages = [{"role": "user", "content": "Hi  \"you\"\n"}, {"role": "assistant", "content": "é"}]
    case.write_text(json.dumps({"messages": messages, "add_generation_prompt": True, "tools": None,
                                "kwargs": {"colour": "red"}, "bos_token": "<s>", "eos_token": "</s>"}))
    want = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages) + "<|im_start|>assistant\n"
    assert cli("template", gguf, "--input", case).stdout == want
    file = tmp_path / "t.jinja"
    file.write_text("{{ bos_token }}{{ messages | length }}{{ colour }}")
    assert cli("template", "--template", file, "--input", case).stdout == "<s>2red"
    assert cli("template", "--template", file, "--input", "-", stdin=case.read_text()).stdout == "<s>2red"
    file.write_text("{{ bos_token }}{{ raise_exception('no way') }}")
    one_line_error(cli("template", "--template", file, "--input", case, code=1), "no way")
    file.write_text("{% if %}")
    one_line_error(cli("template", "--template", file, "--input", case, code=1))
    case.write_text("{")
    one_line_error(cli("template", gguf, "--input", case, code=2), "case.json")
    one_line_error(cli("template", gguf, code=64), "--input")


# ---- run -----------------------------------------------------------------------------------------------------------


def test_run(cli, gguf, models, tmp_path):
    greedy = cli("run", gguf, "Hello", "-n", 12, "--temp", 0, binary=True).stdout
    assert greedy and cli("run", gguf, "Hello", "-n12", "--temp=0", binary=True).stdout == greedy
    assert cli("run", gguf, "-n", 12, "--temp", 0, binary=True, stdin=b"Hello\n").stdout == greedy
    assert cli("run", gguf, "-", "-n", 12, "--temp", 0, binary=True, stdin=b"Hello").stdout == greedy
    (tmp_path / "p.txt").write_text("Hello")
    assert cli("run", gguf, "-f", tmp_path / "p.txt", "-n", 12, "--temp", 0, binary=True).stdout == greedy
    env = {"INGLE_MAX_TOKENS": "12", "INGLE_TEMPERATURE": "0"}
    assert cli("run", gguf, "Hello", env=env, binary=True).stdout == greedy
    a = cli("run", gguf, "Hello", "-n", 30, "-s", 7, binary=True).stdout
    assert cli("run", gguf, "Hello", "-n", 30, "-s", 7, "-t", 2, binary=True).stdout == a
    assert cli("run", gguf, "Hello", "-n", 30, "-s", 8, binary=True).stdout != a
    assert cli("run", "--", models / "llama", "Hello", code=None)


def test_run_json_and_stats(cli, gguf):
    result = json.loads(cli("run", gguf, "Hello", "-n", 5, "--temp", 0, "--ignore-eos", "--json").stdout)
    assert result["finish"] == "length" and result["output_tokens"] == 5 and result["prompt_tokens"] > 1
    assert result["output_seconds"] > 0
    text = cli("run", gguf, "Hello", "-n", 5, "--temp", 0, "--ignore-eos")
    assert text.stdout == result["text"] and text.stderr == ""
    stats = cli("run", gguf, "Hello", "-n", 5, "--temp", 0, "--ignore-eos", "--stats").stderr
    assert "answer 5 tokens" in stats
    chat = json.loads(cli("run", gguf, "Hello", "-n", 5, "--chat", "--system", "Be brief", "--json").stdout)
    assert chat["prompt_tokens"] > result["prompt_tokens"]
    one_line_error(cli("run", gguf, "x", "--system", "s", code=64), "--chat")


@pytest.mark.parametrize("how", [("--temp", 0), ("--temp", 0.7, "-s", 5, "--repeat-penalty", 1.2), ("--mirostat", 2, "-s", 4)])
def test_speculation_changes_no_text(cli, gguf, how):
    def ask(mode):
        return json.loads(cli("run", gguf, "abc abc abc abc", "-n", 150, "--ignore-eos", *how, "--speculate", mode,
                              "--json").stdout)
    plain = ask("off")
    assert plain["guessed_tokens"] == 0 and plain["output_tokens"] == 150
    for mode in "auto", "ngram":
        result = ask(mode)
        assert result["text"] == plain["text"] and result["output_tokens"] == 150
        assert 0 <= result["accepted_tokens"] <= result["guessed_tokens"]


def test_draft_model(cli, models, tmp_path):
    model = models / "llama"
    ask = ("run", model, "abc abc", "-n", 60, "--ignore-eos", "--temp", 0, "--json")
    plain = json.loads(cli(*ask, "--speculate", "off").stdout)
    for mode in "auto", "draft":
        assert json.loads(cli(*ask, "--draft-model", models / "gemma2", "--speculate", mode).stdout)["text"] == plain["text"]
    one_line_error(cli(*ask, "--draft-model", tmp_path / "none", code=None), "none")
    one_line_error(cli(*ask, "--speculate", "draft", code=None), "no draft model")
    other = tmp_path / "other"
    shutil.copytree(model, other)
    file = other / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    vocab = tokenizer["model"]["vocab"]
    a, b = [t for t in vocab if len(t) == 1 and t.isalpha() and t.isascii()][:2]
    vocab[a], vocab[b] = vocab[b], vocab[a]
    file.write_text(json.dumps(tokenizer))
    one_line_error(cli(*ask, "--draft-model", other, code=None), f"'{a}' in")
    vocab["<one more>"] = len(vocab)
    file.write_text(json.dumps(tokenizer))
    one_line_error(cli(*ask, "--draft-model", other, code=None), "its vocabulary has")


def test_stop_texts(cli, gguf):
    whole = cli("run", gguf, "Hello", "-n", 60, "-s", 3, "--ignore-eos").stdout
    first, second = whole[10:12], whole[20:22]
    cut = min(whole.index(first), whole.index(second))
    both = ("--stop", second, "--stop", first)
    assert cli("run", gguf, "Hello", "-n", 60, "-s", 3, "--ignore-eos", *both).stdout == whole[:cut]
    as_list = ("--stop", json.dumps([second, first]))
    assert cli("run", gguf, "Hello", "-n", 60, "-s", 3, "--ignore-eos", *as_list).stdout == whole[:cut]
    result = json.loads(cli("run", gguf, "Hello", "-n", 60, "-s", 3, "--ignore-eos", "--json", *both).stdout)
    assert result["finish"] == "stop"


def test_reader_goes_away(ingle, gguf):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([ingle, "run", gguf, "x", "-n", "50", "--ignore-eos"], stdout=write, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=60)
    os.close(write)
    assert done.returncode == 141 and done.stderr == b""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_disk(ingle, gguf):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([ingle, "info", gguf], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith(b"ingle: standard output:")


# ---- a terminal ----------------------------------------------------------------------------------------------------


class Terminal:
    """The program on a pseudo-terminal of its own."""

    def __init__(self, args, home, env=None):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
        clean = {k: v for k, v in os.environ.items() if not k.startswith("INGLE_")}
        clean |= {"INGLE_HOME": str(home), "TERM": "xterm", "LC_ALL": "C.UTF-8"} | (env or {})

        def own_terminal():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(list(map(str, args)), stdin=slave, stdout=slave, stderr=slave, env=clean,
                                        preexec_fn=own_terminal, close_fds=True)
        os.close(slave)
        self.seen = ""

    def read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def expect(self, text, seconds=30):
        """Reads until `text` has come; what came before and with it is taken out."""
        end = time.time() + seconds
        while text not in self.seen:
            assert time.time() < end, f"waiting for {text!r}, got {self.seen[-600:]!r}"
            if not self.read(0.2) and self.process.poll() is not None and text not in self.seen:
                raise AssertionError(f"ended with {self.process.returncode}, waiting for {text!r}: {self.seen[-600:]!r}")
        at = self.seen.index(text) + len(text)
        before, self.seen = self.seen[:at], self.seen[at:]
        return before

    def expect_prompt(self):
        """libedit shows the prompt a moment before it takes the terminal over: no person types that fast."""
        self.expect("> ")
        time.sleep(0.2)

    def expect_more(self, n, seconds=60):
        """Reads until n characters have come."""
        end = time.time() + seconds
        while len(self.seen) < n:
            assert time.time() < end and self.process.poll() is None, f"only {self.seen!r}"
            self.read(0.2)

    def send(self, text):
        os.write(self.master, text.encode())

    def wait(self, seconds=20):
        end = time.time() + seconds
        while self.process.poll() is None and time.time() < end:
            self.read(0.05)
        while self.read(0.05):
            pass
        assert self.process.poll() is not None, f"still running: {self.seen[-300:]!r}"
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.master)


@pytest.fixture
def terminal(tmp_path):
    opened = []

    def start(*args, env=None):
        t = Terminal(args, tmp_path / "home", env)
        opened.append(t)
        return t

    yield start
    for t in opened:
        t.close()


# One thread: a busy machine would make several wait for each other.
ENDLESS = ("-c", 200000, "-n", 200000, "--ignore-eos", "--temp", 1, "-s", 1, "-t", 1)


def test_ctrl_c_stops_run(terminal, ingle, gguf):
    t = terminal(ingle, "run", gguf, "Hello", *ENDLESS)
    t.expect_more(50)
    start = time.time()
    t.send("\x03")
    assert t.wait() == 130
    assert time.time() - start < 5
    assert "ingle:" not in t.seen


def test_ctrl_c_from_kill_in_a_pipe(ingle, gguf):
    p = subprocess.Popen([ingle, "run", gguf, "Hello", *map(str, ENDLESS)], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                         preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    assert p.stdout.read(20)
    p.send_signal(signal.SIGINT)
    _, err = p.communicate(timeout=20)
    assert p.returncode == 130 and err == b""


def test_chat_on_a_terminal(terminal, ingle, gguf, tmp_path):
    saved = tmp_path / "talk.json"
    t = terminal(ingle, "chat", gguf, "-c", 4000, "-n", 6, "--ignore-eos", "--temp", 0)
    t.expect_prompt()
    t.send("Hello\r")
    t.expect("length limit")
    t.expect_prompt()
    t.send("\x03")  # at the prompt: an empty line, not the end
    t.expect("Ctrl-D")
    t.expect_prompt()
    t.send("two \\\r")
    t.expect(". ")
    t.send("lines\r")
    t.expect("length limit")
    t.expect_prompt()
    t.send('"""first\r')
    t.expect(". ")
    t.send('second"""\r')
    t.expect("length limit")
    t.expect_prompt()
    t.send("/stats\r")
    t.expect("3 answers, 18 tokens")
    t.expect_prompt()
    t.send("/system Be kind\r")
    t.expect("system message set")
    t.send(f"/save {saved}\r")
    t.expect("saved")
    t.send("/clear\r")
    t.expect("forgotten")
    t.send(f"/load {saved}\r")
    t.expect("loaded")
    t.send("/nonsense\r")
    t.expect("no command /nonsense")
    t.send("/help\r")
    t.expect("/system TEXT")
    t.send("/exit\r")
    assert t.wait() == 0
    messages = json.loads(saved.read_text())["messages"]
    assert [m["role"] for m in messages] == ["system"] + ["user", "assistant"] * 3
    assert messages[0]["content"] == "Be kind"
    assert messages[3]["content"] == "two \nlines" and messages[5]["content"] == "first\nsecond"
    assert os.path.exists(str(saved) + ".kv")


def test_ctrl_c_stops_the_answer_not_the_chat(terminal, ingle, gguf):
    t = terminal(ingle, "chat", gguf, *ENDLESS)
    for _ in range(2):
        t.expect_prompt()
        t.send("Go\r")
        t.expect("\n")
        t.expect_more(40)
        start = time.time()
        t.send("\x03")
        t.expect("(stopped)")
        assert time.time() - start < 5
    t.expect_prompt()
    t.send("\x04")
    assert t.wait() == 0


def test_chat_history(terminal, ingle, gguf, tmp_path):
    for _ in range(2):
        t = terminal(ingle, "chat", gguf, "-n", 2)
        t.expect_prompt()
        t.send("remember me\r")
        t.expect_prompt()
        t.send("\x04")
        assert t.wait() == 0
    history = tmp_path / "home" / "history"
    if not history.exists():
        pytest.skip("built without libedit")
    assert "remember" in history.read_text()
    t = terminal(ingle, "chat", gguf, "-n", 2)
    t.expect_prompt()
    t.send("\x1b[A")
    t.expect("remember me")
    t.send("\x03")
    t.expect_prompt()
    t.send("\x04")
    assert t.wait() == 0


def test_chat_in_a_pipe(cli, gguf, tmp_path):
    saved = tmp_path / "c.json"
    done = cli("chat", gguf, "-n", 4, "--ignore-eos", "--temp", 0, stdin=f"Hello\n/save {saved}\n/exit\nnever\n")
    messages = json.loads(saved.read_text())["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant"]
    assert done.stdout == messages[1]["content"] + ("" if messages[1]["content"].endswith("\n") else "\n")
    assert done.stderr == ""
    again = cli("chat", gguf, "-n", 4, "--load", saved, stdin="/stats\n")
    assert "1 answers" in again.stderr
    saved.write_text("[]")
    one_line_error(cli("chat", gguf, "--load", saved, stdin="", code=2), "c.json")


def test_no_colour_no_progress_in_pipes(cli, gguf):
    done = cli("run", gguf, "Hello " * 20, "-n", 5)
    assert done.stderr == "" and "\x1b" not in done.stdout


# ---- completion ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_parses(cli, shell, tmp_path):
    script = cli("completion", shell).stdout
    for word in ("perplexity", "max-tokens", "q8_0", "text-file"):
        assert word in script
    if not shutil.which(shell):
        pytest.skip(f"no {shell} here")
    file = tmp_path / "script"
    file.write_text(script)
    done = subprocess.run([shell, "-n", file], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash here")
def test_completion_completes(cli, tmp_path):
    (tmp_path / "script").write_text(cli("completion", "bash").stdout)

    def complete(*words):
        code = (f"source {tmp_path}/script; COMP_WORDS=({' '.join(words)!s}); COMP_CWORD={len(words) - 1}; _ingle; "
                "printf '%s\\n' \"${COMPREPLY[@]}\"")
        return subprocess.run(["bash", "-c", code], capture_output=True, text=True, cwd=tmp_path).stdout.split()

    assert complete("ingle", "per") == ["perplexity"]
    assert "--temperature" in complete("ingle", "run", "m", "--te")
    assert "--temperature" not in complete("ingle", "info", "m", "--te")
    assert complete("ingle", "run", "m", "--kv", "q") == ["q8_0"]
    assert complete("ingle", "completion", "fi") == ["fish"]
