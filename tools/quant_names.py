#!/usr/bin/env python3
"""Fail if a quantised block type is named in code outside src/quant.

A type lives in one file (DESIGN 5); everyone else goes through struct ig_quant. Names are taken from the rows of the
type files. Comments are free, and so are strings that are prose or lists (with a space or a bar): hints and help texts.

usage: quant_names.py [top of the repository]
"""
import pathlib
import re
import sys

ROOMS = ["src", "cli", "server", "hub"]
TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|\w+', re.S)


def type_names(top):
    """Names of types with more than one weight a block: Q4_K and so on, not F16 or I32."""
    names = []
    for path in sorted((top / "src/quant").glob("*.h")):
        text = path.read_text()
        row = re.search(r'^IG_PART_ROW\(\d+, "(\w+)"', text, re.M)
        if row and "_BLOCK = 1," not in text:
            names.append(row.group(1).lower())
    return names


def main():
    top = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    names = type_names(top)
    if len(names) < 20:
        sys.exit("quant_names.py: found only %d block types in %s" % (len(names), top / "src/quant"))
    named = re.compile(r"(?:^|[_\W])(%s)(?:$|[_\W])" % "|".join(names))
    bad = 0
    for room in ROOMS:
        for path in sorted((top / room).rglob("*")):
            if path.suffix not in {".c", ".h", ".def", ".inl", ".inc", ".k", ".m"} or top / "src/quant" in path.parents:
                continue
            if top / "src/gpu/gen" in path.parents:  # written by gpu.py from the type files
                continue
            text = path.read_text(encoding="utf-8")
            for m in TOKEN.finditer(text):
                t = m.group().lower()
                if t.startswith(("//", "/*")) or (t[0] == '"' and re.search(r"[ |]", t)) or not named.search(t):
                    continue
                line = text.count("\n", 0, m.start()) + 1
                print("%s:%d: names a block type: %s" % (path.relative_to(top), line, m.group()))
                bad += 1
    sys.exit(1 if bad else 0)


main()
