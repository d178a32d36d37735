#!/usr/bin/env python3
"""Writes tests/unit/sample_numbers.inc and sample_text.inc: the sampler's random numbers from their definition in exact
integers, and the tokens that the default chain chooses with them, computed a second way. The C test holds every
machine and compiler to these.

    python3 tools/golden/sampler_numbers.py tests/unit
"""
import math
import struct
import sys

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def uniform(seed, at, lane):
    base = mix(seed ^ GAMMA)
    return (mix((base + (2 * at + lane + 1) * GAMMA) & MASK) >> 11) * 2.0**-53


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def logits(step, n):
    return [f32(((i * 2654435761 + step * 40503) % 4294967296 >> 16) / 4096.0) for i in range(n)]


def pick(step, seed, n, temperature=0.8, top_k=40, top_p=0.95, min_p=0.05):
    """Top-k, top-p, min-p, temperature, then the draw in order of falling logits."""
    left = sorted(((-z, i) for i, z in enumerate(logits(step, n))))[:top_k]
    best = -left[0][0]
    weight = [math.exp(-z - best) for z, _ in left]
    goal, run, kept = top_p * sum(weight), 0.0, 0
    while kept < len(left) and run < goal:
        run += weight[kept]
        kept += 1
    left = [(z, i) for z, i in left[:kept] if -z >= best + math.log(min_p)]
    cooled = [(f32(-z / temperature), i) for z, i in left]
    weight = [math.exp(z - cooled[0][0]) for z, _ in cooled]
    goal, run = uniform(seed, step, 0) * sum(weight), 0.0
    for w, (_, i) in zip(weight, cooled):
        run += w
        if run > goal:
            return i
    return cooled[-1][1]


with open(sys.argv[1] + "/sample_numbers.inc", "w") as out:
    for seed in (0, 1, 42, 2**53 - 1, 2**64 - 1):
        for at in (0, 1, 1000000, 2**40):
            for lane in (0, 1):
                print(f"{{{seed}u, {at}u, {lane}, {uniform(seed, at, lane).hex()}}},", file=out)
with open(sys.argv[1] + "/sample_text.inc", "w") as out:
    text = [pick(step, 42, 1000) for step in range(120)]
    for row in range(0, 120, 20):
        print(", ".join(map(str, text[row:row + 20])) + ",", file=out)
