#!/usr/bin/env python3
"""Speculation against plain decoding: the same requests with --speculate off and another value, in turn, texts compared.

    bench/speculation.py MODEL [--speculate auto] [--rounds 3] [more options of ingle run]

Prints a Markdown table: tokens a second (medians), their ratio (median of pairs), guesses that came true. Texts of three
kinds: a copied and an edited program, free prose, and tokens drawn almost at random, where nothing can be gained.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CODE = open(os.path.join(TOP, "src/engine/lookup.c"), encoding="utf-8").read().split("ig_lookup_begin")[0][:1500]
PROSE = ["It was late in the autumn when the ferry captain first noticed the light on the far side of the river.",
         "The history of the printing press begins long before Gutenberg, in workshops where",
         "Dear Anna, thank you for your letter, which arrived on the morning after the storm and"]
GREEDY = ["--temp", "0"]
DRAWN = ["--temp", "0.8", "--repeat-penalty", "1.1"]
RANDOM = ["--temp", "1.6", "--top-k", "0", "--top-p", "1", "--min-p", "0"]


def chat(text, answer=""):
    return f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n{answer}"


def tasks():
    begun = "Here is the code:\n\n" + CODE[:200]
    yield "copy of a program", chat("Repeat this code exactly:\n\n" + CODE, begun), 300, GREEDY
    yield "edit of a program", chat("Rename the variable `size` to `slots` in this code:\n\n" + CODE, begun), 300, GREEDY
    for i, text in enumerate(PROSE):
        yield f"prose {i + 1}", text, 300, DRAWN
    for i, text in enumerate(PROSE):
        yield f"random {i + 1}", text, 200, RANDOM


def run(args, text, n, how, speculate, seed):
    command = [args.ingle, "run", args.model, "-", "--json", "--ignore-eos", "-n", str(n), "-s", str(seed), *how,
               "--speculate", speculate, *args.more]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def measure(args, name, text, n, how):
    speeds, ratios, guessed, accepted = {"off": [], "on": []}, [], 0, 0
    for seed in range(args.rounds):
        pair = {}
        for mode in ("off", "on") if seed % 2 else ("on", "off"):
            pair[mode] = run(args, text, n, how, "off" if mode == "off" else args.speculate, seed)
            speeds[mode].append(pair[mode]["output_tokens"] / pair[mode]["output_seconds"])
        if pair["off"]["text"] != pair["on"]["text"]:
            sys.exit(f"{name}, seed {seed}: speculation changed the text")
        ratios.append(speeds["on"][-1] / speeds["off"][-1])
        guessed += pair["on"]["guessed_tokens"]
        accepted += pair["on"]["accepted_tokens"]
    print(f"| {name} | {statistics.median(speeds['off']):.1f} | {statistics.median(speeds['on']):.1f} | "
          f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {accepted} of {guessed} |", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--ingle", default=os.path.join(TOP, "build/ingle"))
    p.add_argument("--speculate", default="auto")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--only", default="", help="tasks whose name begins so")
    args, args.more = p.parse_known_args()
    print("| text | off, tokens/s | on, tokens/s | ratio | came true |\n|---|---|---|---|---|")
    for name, text, n, how in tasks():
        if name.startswith(args.only):
            measure(args, name, text, n, how)


if __name__ == "__main__":
    main()
