#!/usr/bin/env python3
"""The import rule: which room may include which. Prints file:line for each breach and exits 1.

A room is a folder of src/, or cli, hub, server. Every room may include its own files, the C library and the
public header ingle.h (the core uses its status types). docs/MAP.md draws the same table.
"""
import os
import re
import sys

RULES = {
    "base": "",
    "os": "base",
    "quant": "base",
    "sample": "base",
    "file": "base os",
    "vocab": "base os",
    "chat": "base vocab",
    "arch": "base file quant",
    "plan": "base arch",
    "kv": "base os quant",
    "cpu": "base os quant plan kv",
    "gpu": "base os quant plan kv",
    "media": "base",
    "engine": "base os quant sample file vocab chat arch plan kv cpu gpu media",
    "hub": "base os",
    "cli": "base hub",
    "server": "base",
}
# These see of the core only its public header and base; hub, which is compiled into the library, also the system.
OUTSIDE = {"hub", "cli", "server"}
SUFFIXES = (".c", ".h", ".inl", ".inc", ".def", ".k")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def room_of(top, path):
    parts = os.path.relpath(path, top).split(os.sep)
    if parts[0] == "src" and len(parts) > 2:
        return parts[1]
    return parts[0] if parts[0] in OUTSIDE else None


def target_of(top, path, name):
    """The room a quoted include reaches: "ingle.h", a room, or None if nothing of ours bears that name."""
    if name == "ingle.h":
        return "ingle.h"
    for base in (os.path.dirname(path), os.path.join(top, "src"), top):
        full = os.path.normpath(os.path.join(base, name))
        if os.path.exists(full):
            return room_of(top, full) or "outside every room"
    head = name.split("/")[0]
    return head if head in RULES else None


def check_file(top, path):
    room, found = room_of(top, path), []
    with open(path, encoding="utf-8", errors="replace") as f:
        for number, line in enumerate(f, 1):
            m = INCLUDE.match(line)
            if not m:
                continue
            kind, name = m.groups()
            target = target_of(top, path, name)
            where = f"{os.path.relpath(path, top)}:{number}"
            if target is None:
                if kind == '"' and not name.startswith("build/"):
                    found.append(f'{where}: "{name}" is no file of ours; use <{name}> for a system header')
            elif target not in ("ingle.h", room) and target not in RULES[room].split():
                found.append(f"{where}: {room} may not include {target} ({name}); "
                             f"it may include: {RULES[room] or 'nothing'}")
    return found


def files(top):
    roots = [os.path.join(top, r) for r in ("src", "cli", "hub", "server")]
    for root in roots:
        for folder, dirs, names in os.walk(root):
            dirs.sort()
            for name in sorted(names):
                if name.endswith(SUFFIXES):
                    yield os.path.join(folder, name)


def check(top):
    found, scanned = [], 0
    for path in files(top):
        room = room_of(top, path)
        if room not in RULES:
            found.append(f"{os.path.relpath(path, top)}: {room or 'no room'} is not in the table of tools/rooms.py")
            continue
        scanned += 1
        found += check_file(top, path)
    return scanned, found


def main():
    top = os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.dirname(
        os.path.dirname(os.path.abspath(__file__)))
    scanned, found = check(top)
    for line in found:
        print(line)
    print(f"rooms: {scanned} files, {len(found)} breaches of the import rule")
    return 1 if found or not scanned else 0


if __name__ == "__main__":
    sys.exit(main())
