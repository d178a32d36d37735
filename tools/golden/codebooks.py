#!/usr/bin/env python3
"""Write src/quant/codebook_tables.c from a safetensors file of code books.

usage: codebooks.py codebooks.safetensors > src/quant/codebook_tables.c
"""
import json
import struct
import sys

GRIDS = ["iq1_s", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs", "iq3_s"]


def load(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    out = {}
    for name, t in json.loads(data[8 : 8 + n]).items():
        if name == "__metadata__":
            continue
        begin, end = (8 + n + x for x in t["data_offsets"])
        fmt, size = {"F32": ("f", 4), "U8": ("B", 1)}[t["dtype"]]
        values = struct.unpack("<%d%s" % ((end - begin) // size, fmt), data[begin:end])
        out[name] = ([int(v) for v in values], t["shape"])
    return out


def rows(values, width):
    """Braced rows of `width`, as many on a line as fit."""
    items = ["{" + ",".join(map(str, values[i : i + width])) + "}" for i in range(0, len(values), width)]
    line = ""
    for item in items:
        if len(line) + len(item) + 2 > 116:
            yield line
            line = ""
        line += item + ","
    yield line


def main():
    books = load(sys.argv[1])
    print("/* Code books of the IQ types. Written by tools/golden/codebooks.py; do not edit. */")
    print('#include "quant/parts.h"\n\n/* clang-format off */')
    for name in GRIDS:
        values, (count, width) = books[name + ".grid"]
        print("const int8_t ig_quant_grid_%s[%d][%d] = {" % (name, count, width))
        print("\n".join(rows(values, width)) + "\n};")
    print("const uint8_t ig_quant_signs[128] = {%s};" % ",".join(map(str, books["ksigns"][0])))
    masks = [-(b >> i & 1) for b in range(256) for i in range(8)]
    print("const int8_t ig_quant_sign_masks[256][8] = {")
    print("\n".join(rows(masks, 8)) + "\n};")
    print("const int8_t ig_quant_values_iq4[16] = {%s};" % ",".join(map(str, books["iq4.values"][0])))
    fp4 = [0, 1, 2, 3, 4, 6, 8, 12]
    print("const int8_t ig_quant_values_fp4[16] = {%s};" % ",".join(str(v) for v in fp4 + [-v for v in fp4]))


main()
