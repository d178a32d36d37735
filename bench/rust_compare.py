#!/usr/bin/env python3
"""Compares the Rust crate ingle with llama-cpp-2 and candle: a small program each (bench/rust), one file, one run.

    bench/rust_compare.py [MODEL] [-t THREADS] [-r REPETITIONS] [-n TOKENS] [--only NAME ...] [--skip-build]

MODEL is a GGUF file or a name in the model store (smollm2). Every program loads it, answers one fixed prompt greedily
and passes each piece of text to a function. Measured: a clean release build (packages already fetched), the size of
the stripped program, the crates behind it, the lines an app has to write, then loading, first token, tokens per second
and memory: REPETITIONS times in turn, so that a change of the machine's speed hits all. Shown are medians with the
lowest and highest value. Builds happen under build/bench-rust; what they took is kept there and shown by --skip-build.

ingle and candle are built with a search path that has no cmake, clang or C++ compiler; --probe also tries llama-cpp-2
without cmake and without a C++ compiler. --all adds two columns: "candle-v3" is candle built with
-C target-cpu=x86-64-v3, because its kernel for Q4_1 is plain Rust that only becomes fast if the compiler may use AVX2;
"ingle+download" is ingle with its default features, which contain an HTTP client (the others have none, so the plain
column leaves it out).
"""
import argparse
import datetime
import json
import os
import re
import shutil
import statistics
import subprocess
import sys

import engines

SOURCES = os.path.join(engines.TOP, "bench", "rust")
HERE = os.path.join(engines.TOP, "build", "bench-rust")
BUILD_TOOLS = ["cmake", "clang", "c++"]
PROMPT = """Below is a note that a colleague wrote about a small desktop program. Read it and then continue it with a
long and detailed description of how the program works, what each of its parts does, and why it was made this way.

The program keeps all of its data on the computer of the person who uses it. It opens a window, loads a language model
from a file, and answers questions without any connection to the internet. The first step is to"""


class Program:
    """One column: a folder of bench/rust, the package whose version counts, and how it is built."""

    def __init__(self, folder, package, flags="", bare=True, features=()):
        self.folder, self.package, self.flags, self.bare = os.path.join(SOURCES, folder), package, flags, bare
        self.features = ["--features", ",".join(features)] if features else []
        # The lock file of ingle's program is not kept: what it locks changes with the crate beside it.
        self.locked = [] if folder == "ingle" else ["--locked"]
        self.binary_name = f"chat-{folder}"


PROGRAMS = {
    "ingle": Program("ingle", "ingle"),
    "ingle+download": Program("ingle", "ingle", features=["download"]),
    "llama-cpp-2": Program("llama", "llama-cpp-2", bare=False),
    "candle": Program("candle", "candle-transformers"),
    "candle-v3": Program("candle", "candle-transformers", "-C target-cpu=x86-64-v3"),
}
USUAL = ["ingle", "llama-cpp-2", "candle"]

# title, unit, value of one run, more is better
RUN_MEASURES = [
    ("load", "ms", lambda r: r["load_ms"], False),
    ("time to first token", "ms", lambda r: r["first_token_ms"], False),
    ("load + first token", "ms", lambda r: r["load_ms"] + r["first_token_ms"], False),
    ("generation", "tokens/s", lambda r: r["tokens_per_second"], True),
    ("peak memory", "MB", lambda r: r["peak_rss_mb"], False),
]


def target(name):
    return os.path.join(HERE, name)


def binary(name):
    return os.path.join(target(name), "release", PROGRAMS[name].binary_name)


def path_without(tools):
    """A folder with a link to every program of the search path, except those whose name says they are one of tools."""
    folder = os.path.join(HERE, "path-without-" + "-".join(tools).replace("+", "x"))
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    families = {"c++": r"(.*-)?(c|g|clang)\+\+(-[\d.]+)?", "clang": r"(.*-)?(clang|llvm-config)(\+\+)?(-[\d.]+)?",
                "cmake": r"cmake\d?"}
    hidden = re.compile("|".join(families[t] for t in tools))
    for place in os.environ["PATH"].split(os.pathsep):
        for name in os.listdir(place) if os.path.isdir(place) else []:
            link = os.path.join(folder, name)
            if not hidden.fullmatch(name) and not os.path.lexists(link):
                os.symlink(os.path.join(place, name), link)
    return folder


def cargo_env(name, without=(), folder=None):
    env = dict(os.environ, CARGO_TARGET_DIR=folder or target(name), CARGO_TERM_COLOR="never")
    env.pop("RUSTFLAGS", None)
    if PROGRAMS[name].flags:
        env["RUSTFLAGS"] = PROGRAMS[name].flags
    if without:
        env["PATH"] = path_without(without)
    return env


def cargo(name, *args, **kw):
    return engines.sh(["cargo", *args], f"cargo {args[0]} of {name}", cwd=PROGRAMS[name].folder, **kw)


def timed_build(name, jobs):
    """Seconds of a clean build. The packages are there before, so no network is in it."""
    p = PROGRAMS[name]
    cargo(name, "fetch", *p.locked, env=cargo_env(name))
    shutil.rmtree(target(name), ignore_errors=True)
    without = BUILD_TOOLS if p.bare else []
    engines.say(f"Building {name}" + (f" without {', '.join(without)}" if without else ""))
    times = engines.timed([["cargo", "build", "--release", *p.locked, "--offline", "-j", str(jobs), *p.features]],
                          f"building {name}", cwd=p.folder, env=cargo_env(name, without))
    times.update(jobs=jobs, load_average=round(os.getloadavg()[1], 1), without=without,
                 date=datetime.date.today().isoformat())
    note_build(name, times)
    return times


def note_build(name, times):
    with open(target(name) + ".json", "w") as f:
        json.dump(times, f)


def kept_build(name):
    try:
        with open(target(name) + ".json") as f:
            return json.load(f)
    except FileNotFoundError:
        raise engines.Failed(f"{name} is not built yet: leave out --skip-build") from None


def probe(name, jobs):
    """Which tools a build fails without; in its own folder, so that the timed build stays whole. Not clang: the library
    libclang, which bindgen loads, cannot be hidden by a search path, and without the program the build goes through."""
    needed = []
    for tool in ("cmake", "c++"):
        engines.say(f"Trying {name} without {tool}")
        r = subprocess.run(["cargo", "build", "--release", *PROGRAMS[name].locked, "--offline", "-j", str(jobs)],
                           cwd=PROGRAMS[name].folder, env=cargo_env(name, [tool], target(name) + "-probe"),
                           stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if r.returncode:
            needed.append(tool)
    note_build(name, dict(kept_build(name), probed=needed))
    return needed


def crates(name, edges):
    """"name version" of all crates behind the program."""
    p = PROGRAMS[name]
    out = cargo(name, "tree", *p.locked, "--offline", "-e", edges, "--prefix", "none", "--no-dedupe", "-f", "{p}",
                *p.features, env=cargo_env(name))
    found = {" ".join(line.split()[:2]) for line in out.splitlines() if line}
    return sorted(line for line in found if not line.startswith(p.binary_name))


def version(name):
    with open(os.path.join(PROGRAMS[name].folder, "Cargo.lock")) as f:
        lock = f.read()
    return re.search(rf'^name = "{PROGRAMS[name].package}"\nversion = "(.+)"$', lock, re.M).group(1)


def code_lines(text):
    """Lines of Rust that are neither empty nor comments."""
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("//"))


def static_facts(name):
    with open(os.path.join(PROGRAMS[name].folder, "src", "main.rs")) as f:
        lines = code_lines(f.read())
    normal, build = crates(name, "normal"), crates(name, "normal,build")
    return {"version": version(name), "crates": len(normal), "crates_with_build": len(build),
            "bytes": os.path.getsize(binary(name)), "lines": lines,
            "generates_bindings": any(c.startswith("bindgen ") for c in build)}


def run_once(name, model, threads, tokens, prefix):
    env = dict(os.environ, CANDLE_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads))
    r = subprocess.run([*prefix, binary(name), model, str(threads), str(tokens), PROMPT], env=env, timeout=600,
                       stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if r.returncode:
        raise engines.Failed(f"{name} ended with {r.returncode}: {r.stderr.strip()[-500:]}")
    return json.loads(r.stdout)


def measure(names, model, threads, tokens, repetitions, prefix):
    runs = {name: [] for name in names}
    for name in names:  # unmeasured: brings the file into the page cache
        run_once(name, model, threads, 4, prefix)
    for i in range(repetitions):
        for name in names if i % 2 == 0 else names[::-1]:
            runs[name].append(run_once(name, model, threads, tokens, prefix))
            engines.say(f"  {i + 1}/{repetitions} {name}")
    return runs


def spread(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def tools(built, facts, probed, **_):
    if built["without"]:
        return "C compiler"
    needed = ["C compiler", *(probed or []), *(["libclang"] if facts["generates_bindings"] else [])]
    return ", ".join(needed) + ("" if probed is not None else " (not probed)")


def rows(columns):
    """[title, unit, cell of each column] for the table; columns: name -> {built, facts, runs, probed}."""
    def each(title, unit, get, digits=1):
        return [title, unit, *(f"{get(c):.{digits}f}" for c in columns.values())]

    out = [["version", "", *(c["facts"]["version"] for c in columns.values())],
           each("clean build, wall", "s", lambda c: c["built"]["wall_seconds"], 0),
           each("clean build, CPU", "s", lambda c: c["built"]["cpu_seconds"], 0),
           each("crates", "", lambda c: c["facts"]["crates"], 0),
           each("crates, with those of the build", "", lambda c: c["facts"]["crates_with_build"], 0),
           ["needed to build, beside Rust", "", *(tools(**c) for c in columns.values())],
           each("program, stripped", "MB", lambda c: c["facts"]["bytes"] / 1e6),
           each("lines of app code", "", lambda c: c["facts"]["lines"], 0)]
    for title, unit, get, _ in RUN_MEASURES:
        values = [spread([get(r) for r in c["runs"]]) for c in columns.values()]
        out.append([title, unit, *(f"{v['median']:.1f} ({v['low']:.1f} to {v['high']:.1f})" for v in values)])
    return out


def common_prefix(texts):
    return len(os.path.commonprefix(texts))


def notes(result):
    """What the table does not say: unequal work would make it worthless."""
    columns = result["columns"]
    prompts = {name: c["runs"][0]["prompt_tokens"] for name, c in columns.items()}
    outputs = {name: c["runs"][0]["output_tokens"] for name, c in columns.items()}
    out = []
    if len(set(prompts.values())) == 1 and len(set(outputs.values())) == 1:
        first = columns[min(columns)]["runs"][0]
        out.append(f"Prompt {first['prompt_tokens']} tokens, answer {first['output_tokens']} tokens in all.")
    else:
        out.append(f"NOT THE SAME WORK: prompt tokens {prompts}, answer tokens {outputs}.")
    first = next(iter(columns))
    for name, c in list(columns.items())[1:]:
        texts = [columns[first]["runs"][0]["text"], c["runs"][0]["text"]]
        same = common_prefix(texts)
        out.append(f"Greedy text of {first} and {name}: " + ("the same." if texts[0] == texts[1] else
                   f"the same for {same} characters."))
    return out


def table(result):
    m, names = result["machine"], list(result["columns"])
    head = (f"{result['date']}, {result['model']} ({result['bytes'] / 1e6:.0f} MB), {result['threads']} threads, "
            f"{result['repetitions']} repetitions in turn; {m['cpu']}, {m['cores']} cores, {m['isa']}; "
            f"{result['rustc']}.")
    lines = [head, "", f"| measure | unit | {' | '.join(names)} |", "|---|---|" + "---|" * len(names)]
    lines += [f"| {' | '.join(r)} |" for r in rows(result["columns"])]
    return "\n".join([*lines, "", *notes(result)])


def compare(a, model):
    names = a.only or (list(PROGRAMS) if a.all else USUAL)
    os.makedirs(HERE, exist_ok=True)
    built = {n: kept_build(n) if a.skip_build else timed_build(n, a.jobs) for n in names}
    probed = {n: probe(n, a.jobs) if a.probe and not PROGRAMS[n].bare else built[n].get("probed")
              for n in names}
    facts = {n: static_facts(n) for n in names}
    prefix = ["chrt", "-f", "1"] if a.realtime else []
    load = round(os.getloadavg()[0], 2)
    runs = measure(names, model, a.threads, a.tokens, a.repetitions, prefix)
    return {"date": datetime.date.today().isoformat(), "machine": engines.machine(),
            "rustc": engines.sh(["rustc", "--version"], "rustc").strip(), "model": os.path.basename(model),
            "bytes": os.path.getsize(model), "threads": a.threads, "tokens": a.tokens, "repetitions": a.repetitions,
            "realtime": a.realtime, "load_average": load,
            "columns": {n: {"built": built[n], "facts": facts[n], "probed": probed[n], "runs": runs[n]} for n in names}}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="?", default="smollm2")
    p.add_argument("-t", "--threads", type=int, default=2)
    p.add_argument("-r", "--repetitions", type=int, default=5)
    p.add_argument("-n", "--tokens", type=int, default=128)
    p.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    p.add_argument("--only", nargs="+", metavar="NAME", choices=list(PROGRAMS), help=", ".join(PROGRAMS))
    p.add_argument("--all", action="store_true", help="candle-v3 and ingle+download too")
    p.add_argument("--skip-build", action="store_true", help="use the programs and times of the last build")
    p.add_argument("--probe", action="store_true", help="find out which tools llama-cpp-2 cannot be built without")
    p.add_argument("--realtime", action="store_true", help="run under chrt, so that other programs take no time (root)")
    p.add_argument("--json", metavar="OUT", help="also write everything as JSON")
    a = p.parse_args()
    try:
        result = compare(a, engines.find_model(a.model))
    except (engines.Failed, OSError, ValueError, subprocess.TimeoutExpired) as e:
        sys.exit(f"error: {e}")
    print(table(result))
    if a.json:
        with open(a.json, "w") as f:
            json.dump(result, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
