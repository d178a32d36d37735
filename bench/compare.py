#!/usr/bin/env python3
"""Compares ingle with llama.cpp on the same files, on this machine, in one run.

    bench/compare.py MODEL... [-t THREADS] [-r REPETITIONS] [--only pp512,tg64,...] [--isa avx2]
    bench/compare.py --synth Q4_K_M,Q8_0        first writes synthetic 1.24B-parameter models of these types

MODEL is a GGUF file or a name in the model store. The same C program (bench/driver.c) is linked with either engine; the
two are measured in turn, a pair at a time, so that a change of the machine's speed hits both, and with each pair the
machine's peaks (bench/kernels.c). Pairs are appended to RESULTS as they come; a run that was stopped, or ended by its
--budget, goes on where it was. bench/report.py makes the tables and the plot.

Tests:
  pp16 pp128 pp512 pp2048          tokens/s of a prompt of so many tokens, on an empty timeline
  tg64 tg64@2048 tg64@8192         tokens/s of 64 tokens one by one, behind so many others
  batch1 batch2 batch4 batch8 batch16   tokens/s of all sequences together, 32 tokens in each
  ready, first                     s from the start of a fresh process until it could begin; until it had the first token
                                   behind a prompt of 32 (opened for 4096 positions, file in the page cache)
  memory                           bytes resident at most with a full context of 4096 positions, one fresh process each
  build, program                   s of processor time of a build from nothing; bytes of the stripped program
"""
import argparse
import contextlib
import fnmatch
import hashlib
import json
import os
import subprocess
import sys
import time

import engines
import gguf_read
import report

TESTS = ["ready", "first", "pp16", "pp128", "pp512", "pp2048", "tg64", "tg64@2048", "tg64@8192", "batch1", "batch2",
         "batch4", "batch8", "batch16", "memory", "program", "build"]
USUAL = "ready,first,pp512,tg64,memory,program"
ONCE = ("memory", "program", "build")  # these do not vary
FILL = 512  # tokens of a depth computed under one lock


class Server:
    """A driver that waits for commands."""

    def __init__(self, setup, engine, model, context, sequences):
        self.setup, self.engine = setup, engine
        self.process = subprocess.Popen([*setup.prefix, setup.driver[engine], model, "serve", str(setup.threads),
                                         str(context), str(sequences)], env=setup.env, text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.depth = 0

    def ask(self, command):
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            return json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            raise engines.Failed(f"{self.engine} could not do: {command}") from None

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait()


class Setup:
    """What stays the same during a run: programs, threads, instruction set, how to run."""

    def __init__(self, a):
        self.threads, self.isa, self.repetitions = a.threads, a.isa, a.repetitions
        self.prefix = ["chrt", "-f", "50"] if a.realtime else []
        self.env = dict(os.environ, **({"INGLE_CPU": a.isa} if a.isa != "native" else {}))
        self.lock_path, self.results = a.lock, a.results
        self.end = time.monotonic() + 60 * a.budget if a.budget else None
        ours, self.kernels = engines.build_ingle()
        theirs, self.llama_times = engines.build_llama(a.isa)
        self.driver = {"ingle": ours, "llama.cpp": theirs}
        with open(ours, "rb") as f:
            self.version = hashlib.sha256(f.read()).hexdigest()[:12]

    def over(self):
        return self.end is not None and time.monotonic() > self.end

    @contextlib.contextmanager
    def lock(self):
        """Alone among those who keep to the same lock file."""
        if not self.lock_path:
            yield
            return
        import fcntl
        with open(self.lock_path, "a") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            yield

    def peaks(self):
        table = ["-k", self.isa] if self.isa != "native" else []
        return engines.run(*self.prefix, self.kernels, "-p", "-t", self.threads, *table)

    def start(self, engine, model, prompt):
        """Seconds until ready and until the first token, counted from before the process exists."""
        began = time.monotonic()
        r = engines.run(*self.prefix, self.driver[engine], model, "start", self.threads, 4096, prompt, env=self.env)
        return dict(r, ready=r["ready"] - began, first=r["first"] - began)


# ---- What is there already ------------------------------------------------------------------------------------------


def key_of(setup, model, test):
    return [os.path.basename(model), setup.isa, setup.threads, setup.version, test]


def missing(setup, model, tests):
    """The repetitions that the results do not hold yet: {test: number}."""
    have = [[r["model"], r["isa"], r["threads"], r["version"], r["test"]] for r in report.load(setup.results)]
    want = {t: (1 if t in ONCE else setup.repetitions) - have.count(key_of(setup, model, t)) for t in tests}
    return {t: n for t, n in want.items() if n > 0}


def keep(setup, model, test, values, peaks):
    name, isa, threads, version, test = key_of(setup, model, test)
    record = {"model": name, "test": test, "threads": threads, "isa": isa, **values, "peaks": peaks,
              "work": gguf_read.work(model), "machine": engines.machine(), "llama.cpp version": engines.PACKAGE, "version": version,
              "realtime": bool(setup.prefix), "when": time.strftime("%Y-%m-%d %H:%M:%S")}
    with open(setup.results, "a") as f:
        f.write(json.dumps(record) + "\n")
    engines.say(f"  {name} {test}: ingle {values['ingle']:.5g}, llama.cpp {values['llama.cpp']:.5g}")


# ---- One pair -------------------------------------------------------------------------------------------------------


def in_turn(turn):
    return ["ingle", "llama.cpp"] if turn % 2 == 0 else ["llama.cpp", "ingle"]


def pair(setup, model, test, turn, measure):
    """measure(engine) -> value, for both under one lock, with the peaks of that moment."""
    with setup.lock():
        peaks = setup.peaks()
        values = {}
        for engine in in_turn(turn):
            values[engine] = measure(engine)
            time.sleep(0.1)  # waiting threads of the one may still spin
    keep(setup, model, test, values, peaks)


def serve_one(servers, test):
    """The function that measures a test of the running drivers."""
    number = int("".join(c if c.isdigit() else " " for c in test).split()[0])

    def measure(engine):
        s = servers[engine]
        if test.startswith("pp"):
            return number / s.ask(f"prompt {number}")["seconds"]
        if test.startswith("batch"):
            return 32 * number / s.ask(f"batch {number} 32")["seconds"]
        depth = int(test.partition("@")[2] or 0)
        return number / s.ask(f"generate {number} {depth}")["seconds"]
    return measure


def fill(setup, servers, depth):
    """Computes the tokens in front of a generation, a piece under each lock; they stay for the repetitions."""
    for engine, s in servers.items():
        while s.depth < depth:
            s.depth = min(s.depth + FILL, depth)
            with setup.lock():
                s.ask(f"generate 1 {s.depth}")


def serve_group(setup, model, todo, context, sequences):
    """Runs tests {name: repetitions} on one pair of processes. False: the time is over."""
    if not todo:
        return True
    servers = {e: Server(setup, e, model, context, sequences) for e in in_turn(0)}
    try:
        with setup.lock():  # unmeasured: brings the file into memory and sets up what is lazy
            for s in servers.values():
                s.ask("batch 1 2" if sequences > 1 else "prompt 16")
        deep = [t for t in todo if "@" in t]
        for tests in [[t for t in todo if t not in deep], *[[t] for t in deep]]:
            for turn in range(max([todo[t] for t in tests], default=0)):
                for t in tests:
                    if setup.over():
                        return False
                    if "@" in t:
                        fill(setup, servers, int(t.partition("@")[2]))
                    if turn < todo[t]:
                        pair(setup, model, t, turn, serve_one(servers, t))
    finally:
        for s in servers.values():
            s.close()
    return True


def start_group(setup, model, todo):
    """ready and first come from the same processes."""
    for turn in range(max(todo.values(), default=0)):
        if setup.over():
            return False
        with setup.lock():
            peaks = setup.peaks()
            runs = {}
            for engine in in_turn(turn):
                setup.start(engine, model, 1)  # the file in the page cache, whatever ran before
                runs[engine] = setup.start(engine, model, 32)
        for t in todo:
            keep(setup, model, t, {e: r[t] for e, r in runs.items()}, peaks)
    return True


def once(setup, model, test):
    if test == "memory":  # no time is measured: no lock, and at the usual priority
        setup.prefix, prefix = [], setup.prefix
        values = {e: setup.start(e, model, 4096)["peak_bytes"] for e in in_turn(0)}
        setup.prefix = prefix
        return keep(setup, model, test, values, {})
    if test == "program":
        return keep(setup, model, test, {e: os.path.getsize(p) for e, p in setup.driver.items()}, {})
    times = {"ingle": engines.clean_build_ingle(), "llama.cpp": setup.llama_times}
    return keep(setup, model, test, {e: t["cpu_seconds"] for e, t in times.items()}, {})


def run_model(setup, model, tests):
    """False: the time is over."""
    todo = missing(setup, model, tests)
    part = lambda *starts: {t: n for t, n in todo.items() if t.startswith(starts)}
    short = {t: n for t, n in part("pp", "tg").items() if "@" not in t}
    deep = {t: n for t, n in part("tg").items() if "@" in t}
    depth = max([int(t.partition("@")[2]) for t in deep], default=0)
    if not (start_group(setup, model, part("ready", "first")) and serve_group(setup, model, short, 2048 + 128, 1)
            and serve_group(setup, model, deep, depth + 128, 1) and serve_group(setup, model, part("batch"), 128, 16)):
        return False
    for test in part(*ONCE):
        if setup.over():
            return False
        once(setup, model, test)
    return True


# ---- The command ----------------------------------------------------------------------------------------------------


def find_models(a):
    models = [engines.find_model(name) for name in a.model]
    for kind in filter(None, (a.synth or "").split(",")):
        path = os.path.join(a.models, f"synthetic-1b-{kind}.gguf")
        if not os.path.exists(path):
            import synth
            engines.say(f"Writing {path}")
            os.makedirs(a.models, exist_ok=True)
            synth.synth(path, kind)
        models.append(path)
    return models


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="*")
    p.add_argument("--synth", metavar="TYPES", help="also the synthetic model in these types (writing needs numpy)")
    p.add_argument("--models", metavar="FOLDER", default=engines.HERE, help="where the synthetic models are")
    p.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    p.add_argument("-r", "--repetitions", type=int, default=5)
    p.add_argument("--only", default=USUAL, metavar="TESTS", help=f"names with commas, * and ? (default {USUAL}; * is all)")
    p.add_argument("--isa", choices=sorted(engines.LLAMA_ISA), default="native", help="instruction set for both engines")
    p.add_argument("--results", metavar="FILE", default=os.path.join(engines.HERE, "results.jsonl"))
    p.add_argument("--budget", type=float, metavar="MINUTES", help="begin no further test after so long")
    p.add_argument("--lock", metavar="FILE", help="hold this lock file while something is measured")
    p.add_argument("--realtime", action="store_true", help="run under chrt, so that other programs take no time (root)")
    a = p.parse_args()
    a.tests = [t for t in TESTS if any(fnmatch.fnmatchcase(t, want) for want in a.only.split(","))]
    if not a.tests:
        p.error(f"no test {a.only}; there are: {' '.join(TESTS)}")
    if not a.model and not a.synth:
        p.error("give a MODEL or --synth TYPES")
    return a


def main():
    a = arguments()
    try:
        os.makedirs(engines.HERE, exist_ok=True)
        models = find_models(a)
        setup = Setup(a)
        done = all([run_model(setup, model, a.tests) for model in models])
    except ImportError as e:
        sys.exit(f"error: {e}; run it with build/venv/bin/python (make test creates it)")
    except (engines.Failed, OSError, ValueError) as e:
        sys.exit(f"error: {e}")
    names = [os.path.basename(m) for m in models]
    records = [r for r in report.load(a.results)
               if r["model"] in names and r["version"] == setup.version and r["isa"] == a.isa]
    print(report.markdown(records))
    if not done:
        print("\nNot everything yet: the same command goes on.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
