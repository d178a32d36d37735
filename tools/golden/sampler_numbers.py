#!/usr/bin/env python3
"""Writes tests/unit/sample_numbers.inc: the sampler's random numbers from their definition, in exact integers.

    python3 tools/golden/sampler_numbers.py > tests/unit/sample_numbers.inc
"""
MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def uniform(seed, at, lane):
    base = mix(seed ^ GAMMA)
    return (mix((base + (2 * at + lane + 1) * GAMMA) & MASK) >> 11) * 2.0**-53


for seed in (0, 1, 42, 2**53 - 1, 2**64 - 1):
    for at in (0, 1, 1000000, 2**40):
        for lane in (0, 1):
            print(f"{{{seed}u, {at}u, {lane}, {uniform(seed, at, lane).hex()}}},")
