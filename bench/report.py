#!/usr/bin/env python3
"""Tables and a plot of what bench/compare.py measured.

    bench/report.py RESULTS.jsonl... [--svg OUT.svg] [--into FILE.md]

Takes the newest version of ingle for each model, test, thread count and instruction set. Every number is the median of the
pairs; in brackets the lowest and highest ratio of a pair. Ratios above 1: ingle is better. --into replaces what
stands between the lines <!-- bench/report.py --> and <!-- end --> of a file.
"""
import argparse
import json
import os
import re
import statistics
import sys

import plot

LESS_IS_BETTER = {"ready", "first", "memory", "program", "build"}
SCALE = {"ready": 1e3, "first": 1e3, "memory": 1e-6, "program": 1e-6}
GROUPS = [  # title, unit, tests, what the last column says
    ("Prompt", "tokens/s", ["pp16", "pp128", "pp512", "pp2048"], "of the int8 peak (float types: fma)"),
    ("Generation", "tokens/s", ["tg64", "tg64@2048", "tg64@8192"], "of the read bandwidth"),
    ("Several sequences, 32 tokens each", "tokens/s in all", [f"batch{n}" for n in (1, 2, 4, 8, 16)], None),
    ("Process start to ready and to the first token (ms); memory with 4096 positions and program (MB); clean build (CPU s)", "",
     ["ready", "first", "memory", "program", "build"], None),
]


def load(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f if line.endswith("\n")]


def part_of_peak(r):
    """How much of what the machine can do at most ingle used, measured by the weights alone for prompts (attention and the
    rest count as loss) and by weights, keys and values for generation; None where that says nothing."""
    work, peaks, test = r["work"], r["peaks"], r["test"]
    if test.startswith("pp"):
        n = int(test[2:])
        peak = peaks["fma" if work["floats"] else "int8"]
        return (work["macs"] + work["head_macs"] / n) * r["ingle"] / peak if peak else None
    if test.startswith("tg"):
        depth = int(test.partition("@")[2] or 0) + 32
        return (work["bytes"] + depth * work["kv_bytes"]) * r["ingle"] / peaks["read"]
    return None


def summary(records):
    """{(isa, threads): {model: {test: {...medians}}}} of the newest version of each."""
    found = {}
    for r in records:
        tests = found.setdefault((r["isa"], r["threads"]), {}).setdefault(r["model"], {})
        held = tests.setdefault(r["test"], [])
        if held and held[-1]["version"] != r["version"]:
            held.clear()  # the file is in order of time
        held.append(r)
    return {setup: {model: {t: medians(rs) for t, rs in tests.items()} for model, tests in models.items()}
            for setup, models in found.items()}


def medians(rs):
    less = rs[0]["test"] in LESS_IS_BETTER
    ratios = [r["llama.cpp"] / r["ingle"] if less else r["ingle"] / r["llama.cpp"] for r in rs]
    parts = [p for p in map(part_of_peak, rs) if p is not None]
    scale = SCALE.get(rs[0]["test"], 1)
    return {"ingle": scale * statistics.median(r["ingle"] for r in rs),
            "llama.cpp": scale * statistics.median(r["llama.cpp"] for r in rs),
            "ratio": statistics.median(ratios), "low": min(ratios), "high": max(ratios), "pairs": len(rs),
            "part": statistics.median(parts) if parts else None}


def number(v):
    return f"{v:.0f}" if v >= 100 else f"{v:.1f}"


def cell(m):
    if m is None:
        return "-"
    spread = f" ({m['low']:.2f}-{m['high']:.2f})" if m["pairs"] > 1 else ""
    return f"{number(m['ingle'])} / {number(m['llama.cpp'])} = {m['ratio']:.2f}{spread}"


def label(model):
    return re.sub(r"^synthetic-1b-|\.gguf$", "", model)


def group_table(models, title, unit, tests, part):
    tests = [t for t in tests if any(t in m for m in models.values())]
    if not tests:
        return []
    shown = [t for t in tests if part and any(t in m and m[t]["part"] is not None for m in models.values())]
    head = ["model", *tests, *([f"{part}: {', '.join(shown)}"] if shown else [])]
    lines = [f"{title}{', ' + unit if unit else ''}: ingle / llama.cpp = ratio.", "", "| " + " | ".join(head) + " |",
             "|---" * len(head) + "|"]
    for model, found in models.items():
        cells = [cell(found.get(t)) for t in tests]
        if shown:
            parts = [found[t]["part"] if t in found else None for t in shown]
            cells.append(", ".join("-" if p is None else f"{100 * p:.0f} %" for p in parts))
        if any(c != "-" for c in cells[:len(tests)]):
            lines.append(f"| {label(model)} | " + " | ".join(cells) + " |")
    return lines + [""]


def heading(records, isa, threads):
    mine = [r for r in records if (r["isa"], r["threads"]) == (isa, threads)]
    last, machine = mine[-1], mine[-1]["machine"]
    peaks = [r["peaks"] for r in mine if r["peaks"]]
    mid = lambda name: statistics.median(p[name] for p in peaks) / 1e9
    level = "AVX2 only, both engines" if isa == "avx2" else "native"
    measured = (f" Peaks of the machine, medians of {len(peaks)}: int8 {mid('int8'):.0f} and f32 {mid('fma'):.0f} GMAC/s, "
                f"reading {mid('read'):.1f} GB/s.") if peaks else ""
    return (f"{machine['cpu']}, {machine['cores']} cores, {machine['isa']}; {threads} threads, {level}; {last['when'][:10]}; "
            f"{machine['compiler']}; llama.cpp of {last['llama.cpp version']}.{measured}")


def markdown(records):
    lines = []
    for (isa, threads), models in summary(records).items():
        lines += [heading(records, isa, threads), ""]
        for group in GROUPS:
            lines += group_table(models, *group)
    return "\n".join(lines).rstrip()


def put_between(path, text):
    with open(path) as f:
        old = f.read()
    new, n = re.subn(r"(<!-- bench/report.py -->\n).*?(<!-- end -->)", lambda m: m[1] + "\n" + text + "\n\n" + m[2], old,
                     flags=re.S)
    if n != 1:
        raise ValueError(f"{path} has not exactly one pair of marks")
    with open(path, "w") as f:
        f.write(new)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("results", nargs="+")
    p.add_argument("--svg", metavar="OUT", help="draw the ratios")
    p.add_argument("--into", metavar="FILE.md", help="put the tables into this file")
    a = p.parse_args()
    try:
        records = sorted((r for path in a.results for r in load(path)), key=lambda r: r["when"])
        if not records:
            raise ValueError("nothing was measured")
        text = markdown(records)
        if a.into:
            put_between(a.into, text)
        else:
            print(text)
        if a.svg:
            with open(a.svg, "w") as f:
                f.write(plot.ratios(summary(records), label))
    except (OSError, ValueError) as e:
        sys.exit(f"error: {e}")


if __name__ == "__main__":
    main()
