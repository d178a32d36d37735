#!/usr/bin/env python3
"""Writes src/chat/unicode_tables.inc: what Python's str methods know about code points, as ranges.

Ranges are {first, last, step}: with step 2 every other code point (cased alphabets alternate).
"""
import sys

MAX = 0x110000
chars = [(c, chr(c)) for c in range(MAX) if not 0xD800 <= c < 0xE000]


def ranges(values):
    """Sorted ints -> [first, last, step] with step 1 or 2."""
    out = []
    for v in values:
        if out:
            first, last, step = out[-1]
            if first == last and v - last in (1, 2):
                out[-1] = [first, v, v - last]
                continue
            if first != last and v - last == step:
                out[-1][1] = v
                continue
            if step == 2 and last - first == 2 and v - last == 1:  # two apart by chance: do not start a pair
                out[-1] = [first, first, 1]
                out.append([last, v, 1])
                continue
        out.append([v, v, 1])
    return out


def delta_ranges(pairs):
    """[(cp, delta)] -> [first, last, step, delta]"""
    out = []
    for v, d in pairs:
        if out and out[-1][3] == d:
            first, last, step, _ = out[-1]
            if first == last and v - last in (1, 2):
                out[-1] = [first, v, v - last, d]
                continue
            if first != last and v - last == step:
                out[-1][1] = v
                continue
        out.append([v, v, 1, d])
    return out


def emit(name, ctype, rows):
    print(f"static const struct {ctype} {name}[] = {{")
    line = "   "
    for row in rows:
        text = " {" + ", ".join(f"0x{x:x}" if i < 2 else str(x) for i, x in enumerate(row)) + "},"
        if len(line) + len(text) > 110:
            print(line)
            line = "   "
        line += text
    print(line)
    print("};")


def mapping(function):
    single, special = [], []
    for c, s in chars:
        t = function(s)
        if t == s:
            continue
        if len(t) == 1:
            single.append((c, ord(t) - c))
        else:
            special.append([c] + [ord(x) for x in t] + [0] * (3 - len(t)))
    return delta_ranges(single), special


print("/* Made by tools/unicode_chat.py; do not edit. */")
for name, test in [
    ("alpha", str.isalpha),
    ("digit", str.isdigit),
    ("decimal", str.isdecimal),
    ("numeric", str.isnumeric),
    ("upper", str.isupper),
    ("lower", str.islower),
    ("title", lambda s: s.istitle() and not s.isupper()),
    ("hidden", lambda s: not s.isprintable()),
]:
    emit("is_" + name, "range", ranges([c for c, s in chars if test(s)]))
for name, function in [("upper", str.upper), ("lower", str.lower), ("title", str.title)]:
    simple, special = mapping(function)
    emit("to_" + name, "delta", simple)
    emit("special_" + name, "special", special or [[0, 0, 0, 0]])
