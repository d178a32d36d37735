#!/usr/bin/env python3
"""Perplexity of one text under ingle and under llama.cpp, same file, same chunks; fails when they differ by more.

    bench/perplexity_compare.py MODEL TEXT [-c 512] [-t THREADS] [--within 0.5]

Both compute it as llama.cpp's tool does: chunks of -c tokens, BOS first where the model wants one, the second half of
each chunk scored. --within is the difference allowed, in percent.
"""
import argparse
import os
import sys

import engines


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("text")
    p.add_argument("-c", "--context", type=int, default=512)
    p.add_argument("-t", "--threads", type=int, default=os.cpu_count())
    p.add_argument("--within", type=float, default=0.5)
    a = p.parse_args()
    try:
        model = engines.find_model(a.model)
        ours, theirs = (engines.run(build()[0], model, "perplexity", a.text, a.context, a.threads)
                        for build in (engines.build_ingle, engines.build_llama))
    except (engines.Failed, OSError) as e:
        sys.exit(f"error: {e}")
    difference = 100 * (ours["perplexity"] / theirs["perplexity"] - 1)
    for name, r in (("ingle", ours), ("llama.cpp", theirs)):
        print(f"{name:10} {r['perplexity']:.4f}  ({r['tokens']} tokens, {r['chunks']} chunks, {r['scored']} scored)")
    print(f"difference {difference:+.3f} % (at most {a.within} % allowed)")
    if ours["tokens"] != theirs["tokens"]:
        print("the tokenizers disagree on the number of tokens")
        return 1
    return 0 if abs(difference) <= a.within else 1


if __name__ == "__main__":
    sys.exit(main())
