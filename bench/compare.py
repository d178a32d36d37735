#!/usr/bin/env python3
"""Compares ingle with llama.cpp on one file, on this machine, in one run.

    bench/compare.py MODEL [-t THREADS] [-r REPETITIONS] [-p 512] [-n 64] [--json OUT]
    bench/compare.py --synth Q4_K_M       first writes the synthetic 1.24B-parameter model in that type

MODEL is a GGUF file or a name in the model store. The same C program (bench/driver.c) is linked with either engine;
the two run in turn, REPETITIONS times, so that a change of the machine's speed hits both. Shown are medians with the
lowest and highest value. The ratio is above 1 where ingle is better.
"""
import argparse
import json
import os
import statistics
import sys

import engines

# title, unit, value of one run, more is better
MEASURES = [
    ("load", "ms", lambda r: r["load_seconds"] * 1e3, False),
    ("load + first token", "ms", lambda r: r["first_token_seconds"] * 1e3, False),
    ("prompt (pp{p})", "tokens/s", lambda r: r["prompt_tokens"] / r["prompt_seconds"], True),
    ("generation (tg{n})", "tokens/s", lambda r: r["output_tokens"] / r["output_seconds"], True),
    ("peak memory", "MB", lambda r: r["peak_bytes"] / 1e6, False),
    ("of that not the file", "MB", lambda r: r["anonymous_bytes"] / 1e6, False),
]


def spread(values):
    return {"median": statistics.median(values), "low": min(values), "high": max(values), "runs": values}


def row(title, unit, ours, theirs, more):
    a, b = ours["median"], theirs["median"]
    ratio = None if not a or not b else (a / b if more else b / a)
    return {"measure": title, "unit": unit, "ingle": ours, "llama.cpp": theirs, "ratio": ratio}


def measure(model, threads, repetitions, prompt, output):
    engines_built = {"ingle": engines.build_ingle(), "llama.cpp": engines.build_llama()}
    runs = {name: [] for name in engines_built}
    # One unmeasured run each brings the file into the page cache.
    for name, (driver, _) in engines_built.items():
        engines.run(driver, model, "bench", 8, 4, threads)
    for i in range(repetitions):
        order = list(engines_built) if i % 2 == 0 else list(engines_built)[::-1]
        for name in order:
            runs[name].append(engines.run(engines_built[name][0], model, "bench", prompt, output, threads))
            engines.say(f"  {i + 1}/{repetitions} {name}")
    rows = [row(title.format(p=prompt, n=output), unit, spread([get(r) for r in runs["ingle"]]),
                spread([get(r) for r in runs["llama.cpp"]]), more) for title, unit, get, more in MEASURES]
    single = lambda get: [spread([get(n)]) for n in ("ingle", "llama.cpp")]
    rows.append(row("program with the engine", "MB", *single(lambda n: os.path.getsize(engines_built[n][0]) / 1e6), False))
    rows.append(row("clean build, wall", "s", *single(lambda n: engines_built[n][1]["wall_seconds"]), False))
    rows.append(row("clean build, CPU", "s", *single(lambda n: engines_built[n][1]["cpu_seconds"]), False))
    return {"machine": engines.machine(), "model": os.path.basename(model), "bytes": os.path.getsize(model),
            "threads": threads, "repetitions": repetitions, "llama.cpp": engines.PACKAGE, "rows": rows,
            "same_top_token": runs["ingle"][0]["top"] == runs["llama.cpp"][0]["top"]}


def cell(v):
    digits = 0 if v["median"] >= 1000 else 1
    text = f"{v['median']:.{digits}f}"
    return text if len(v["runs"]) == 1 else f"{text} ({v['low']:.{digits}f} to {v['high']:.{digits}f})"


def table(result):
    """Markdown, so that it can go into docs/SPEED.md as it is."""
    m = result["machine"]
    lines = [f"{result['model']} ({result['bytes'] / 1e6:.0f} MB), {result['threads']} threads, "
             f"{result['repetitions']} repetitions in turn; {m['cpu']}, {m['cores']} cores, {m['isa']}; "
             f"llama.cpp of {result['llama.cpp']}, native build.", "",
             "| measure | unit | ingle | llama.cpp | ratio |", "|---|---|---|---|---|"]
    for r in result["rows"]:
        ratio = "-" if r["ratio"] is None else f"{r['ratio']:.2f}"
        lines.append(f"| {r['measure']} | {r['unit']} | {cell(r['ingle'])} | {cell(r['llama.cpp'])} | {ratio} |")
    lines += ["", "Ratio above 1: ingle is better. Most likely next token after the prompt: "
              + ("the same." if result["same_top_token"] else "not the same (the two round differently).")]
    return "\n".join(lines)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model", nargs="?")
    p.add_argument("--synth", metavar="TYPE", help="write and use the synthetic model in this type (needs numpy)")
    p.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    p.add_argument("-r", "--repetitions", type=int, default=5)
    p.add_argument("-p", "--prompt", type=int, default=512)
    p.add_argument("-n", "--output", type=int, default=64)
    p.add_argument("--json", metavar="OUT", help="also write everything as JSON")
    a = p.parse_args()
    try:
        if a.synth:
            import synth
            os.makedirs(engines.HERE, exist_ok=True)
            model = os.path.join(engines.HERE, f"synthetic-1b-{a.synth}.gguf")
            if not os.path.exists(model):
                engines.say(f"Writing {model}")
                synth.synth(model, a.synth)
        elif a.model:
            model = engines.find_model(a.model)
        else:
            p.error("give a MODEL or --synth TYPE")
        result = measure(model, a.threads, a.repetitions, a.prompt, a.output)
    except ImportError as e:
        sys.exit(f"error: {e}; run it with build/venv/bin/python (make test creates it)")
    except (engines.Failed, OSError, ValueError) as e:
        sys.exit(f"error: {e}")
    print(table(result))
    if a.json:
        with open(a.json, "w") as f:
            json.dump(result, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
