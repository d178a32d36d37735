#!/usr/bin/env python3
"""Composes the GPU kernels' modules (src/gpu/*.k, the IG_PART_DEVICE parts of src/quant/*.h) and embeds them.

    tools/gpu.py                 writes src/gpu/gen/kernels.c and src/gpu/gen/tables.k
    tools/gpu.py --check         fails if they are not what the sources say
    tools/gpu.py --text MODULE   prints a module as a device's compiler gets it
    tools/gpu.py --host FOLDER   writes each module as a C++ file for the host device of the tests

A module is what is compiled together: "rows", "attend", "route", and "linear_q4_k" and so on for each block type that has
a device part. It is a list of pieces; pieces are stored once, without comments, packed (tools/lz.py).
"""
import argparse
import os
import re
import sys

import lz

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
GPU = os.path.join(TOP, "src", "gpu")
QUANT = os.path.join(TOP, "src", "quant")
GEN = os.path.join(GPU, "gen")
PLAIN = ["rows", "attend", "route"]  # modules that are one file; attend comes behind kv.k
# tests/gpu compile these also with subgroups and with weights as they lie in files
SOME_TYPES = ["q4_k", "q6_k", "q8_0", "f16"]
# and these with the override for the matrix units of sm_80, each kind of group, unit and minimum
MMA_TYPES = ["q4_k", "q6_k", "q2_k", "q8_0", "q4_1", "nvfp4"]
# code books of codebook_tables.c: name in the dialect, name there
BOOKS = {"iq1_s": "grid_iq1_s", "iq2_xxs": "grid_iq2_xxs", "iq2_xs": "grid_iq2_xs", "iq2_s": "grid_iq2_s",
         "iq3_xxs": "grid_iq3_xxs", "iq3_s": "grid_iq3_s", "iq4": "values_iq4"}


def read(*parts):
    with open(os.path.join(*parts), encoding="utf-8") as f:
        return f.read()


def strip(text):
    """Without comments, guards' blank lines and spaces that say nothing."""
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    text = re.sub(r"\\\n", " ", text)
    lines = (re.sub(r"[ \t]+", " ", line).strip() for line in text.split("\n"))
    return "\n".join(line for line in lines if line) + "\n"


def without_includes(text):
    """Pieces are joined by this tool; what they include is for editors and the host. Metal's own header stays."""
    return re.sub(r'^[ \t]*#[ \t]*include[ \t]*"(?!gpu/host\.h)[^"]*".*$', "", text, flags=re.M)


# ---- Types ----

def device_part(path):
    """The text behind #ifdef IG_PART_DEVICE, or None."""
    out, depth = [], 0
    for line in read(path).split("\n"):
        if depth == 0:
            depth = int(line.strip() == "#ifdef IG_PART_DEVICE")
            continue
        if re.match(r"\s*#\s*if", line):
            depth += 1
        if re.match(r"\s*#\s*endif", line):
            depth -= 1
            if depth == 0:
                return "\n".join(out) + "\n"
        out.append(line)
    return None


def types():
    """Names of the block types that have a device part, in the order of list.h."""
    names = re.findall(r'#include "quant/(\w+)\.h"', read(QUANT, "list.h"))
    return [n for n in names if device_part(os.path.join(QUANT, n + ".h"))]


def book_words():
    """Code books as lists of little-endian words, from the table of the library."""
    out = {}
    text = re.sub(r"/\*.*?\*/", " ", read(QUANT, "codebook_tables.c"), flags=re.S)
    for name, table in BOOKS.items():
        m = re.search(r"ig_quant_%s\s*(?:\[\d+\])+\s*=\s*\{(.*?)\};" % table, text, flags=re.S)
        numbers = [int(x, 0) & 255 for x in re.findall(r"-?(?:0[xX][0-9a-fA-F]+|\d+)", m.group(1))]
        out[name] = [int.from_bytes(bytes(numbers[i:i + 4]), "little") for i in range(0, len(numbers), 4)]
    return out


def book_text(name, words):
    what = ("ig_values_" if len(words) == 4 else "ig_grid_") + name
    return constant(what, words)


def constant(what, words):
    rows = [",".join("%d" % w if w < 10 else "0x%x" % w for w in words[i:i + 12]) for i in range(0, len(words), 12)]
    return "CONSTANT(u32, %s, %d) = {%s};\n" % (what, len(words), ",\n".join(rows))


def pairs_text(name, words):
    """For each byte the values of its low half (bits 7..0) and of its high half (bits 23..16)."""
    v = [words[i // 4] >> 8 * (i % 4) & 255 for i in range(16)]
    return constant("ig_pairs_" + name, [v[b & 15] | v[b >> 4] << 16 for b in range(256)])


# ---- Modules ----

def pieces():
    """Name -> text of each piece. The prelude keeps its preprocessor lines; all lose their comments."""
    out = {"prelude": strip(without_includes(read(GPU, "prelude.h"))), "args": strip(read(GPU, "args.h"))}
    for name in ("math", "types", "linear", "kv", *PLAIN):
        path = os.path.join(GPU, name + ".k")
        if os.path.exists(path):
            out[name] = strip(without_includes(read(path)))
    for name, words in book_words().items():
        out["book_" + name] = book_text(name, words)
        if len(words) == 4:
            out["book_" + name] += pairs_text(name, words)
    for t in types():
        part = strip(device_part(os.path.join(QUANT, t + ".h")))
        number = re.compile(r"^#define T_.*\n", re.M)  # known to all pieces behind the prelude
        out["numbers_" + t] = "".join(number.findall(part))
        out["type_" + t] = "#define T(x) %s_##x\n#define K(x) x##_%s\n" % (t, t) + number.sub("", part)
    return out


def modules(have):
    """Module -> names of its pieces, in order."""
    out = {}
    for name in PLAIN:
        if name in have:
            out[name] = [p for p in ("prelude", "args", "math", *(["kv"] if name == "attend" else []), name) if p in have]
    for t in types():
        needs = re.search(r"/\*\s*needs:\s*([\w ]+?)\s*\*/", device_part(os.path.join(QUANT, t + ".h")))
        books = ["book_" + b for b in (needs.group(1).split() if needs else [])]
        names = ("prelude", "numbers_" + t, "args", "math", "types", *books, "type_" + t, "linear")
        out["linear_" + t] = [p for p in names if p in have]
    return out


def compose(module, override=False):
    have = pieces()
    text = "".join(have[p] for p in modules(have)[module])
    return with_override(have, module, text) if override else text


def with_override(have, module, text):
    """The module for CUDA's sm_80, or None if there is nothing special about it."""
    if not module.startswith("linear_") or "T_FLOAT" in have["numbers_" + module[len("linear_"):]]:
        return None
    return text.replace(have["linear"], strip(read(GPU, "override", "gemm_sm80.k")) + have["linear"])


# ---- What is written ----

def c_bytes(data):
    return ",\n".join(",".join(str(b) for b in data[i:i + 40]) for i in range(0, len(data), 40))


def fnv(text):
    h = 0xcbf29ce484222325
    for b in text.encode():
        h = ((h ^ b) * 0x100000001b3) & 0xffffffffffffffff
    return h


def module_hash(have, parts):
    """What the PTX of a module is known by: changes with any of its pieces."""
    return fnv("".join("%016x" % fnv(have[p]) for p in parts))


def source_c():
    """The C file with all pieces, packed one by one, and the modules as lists of them."""
    have = pieces()
    names = list(have)
    out = ["/* Written by tools/gpu.py from src/gpu and src/quant: the kernels' sources, packed. Do not edit. */",
           '#include "gpu/gen.h"', "/* clang-format off */"]
    for i, name in enumerate(names):
        packed = lz.pack(have[name].encode())
        assert lz.unpack(packed, len(have[name].encode())) == have[name].encode()
        out.append("static const uint8_t p%d[%d] = {%s};" % (i, len(packed), c_bytes(packed)))
    out.append("const struct ig_gen_piece ig_gen_pieces[] = {")
    for i, name in enumerate(names):
        out.append("{p%d, sizeof p%d, %d}, /* %s */" % (i, i, len(have[name].encode()), name))
    out.append("};")
    out.append("const struct ig_gen_module ig_gen_modules[] = {")
    for module, list_ in modules(have).items():
        out.append('{"%s", {%s}, UINT64_C(0x%016x)},' %
                   (module, ", ".join(str(names.index(p) + 1) for p in list_), module_hash(have, list_)))
    out += ['{0, {0}, 0}};', "const uint64_t ig_gen_hash = UINT64_C(0x%016x);" % fnv("\0".join(have[n] for n in names)), ""]
    return "\n".join(out)


def host_files():
    """File name -> C++ text of each module for tests/gpu/host.cpp, with variants for some."""
    rows = read(GPU, "kernels.def")
    out = {}
    have = pieces()
    for module in modules(have):
        typed = module[len("linear_"):] if module.startswith("linear_") else None
        variants = [("", "")]
        if module in PLAIN or typed in SOME_TYPES:
            variants.append((":sub", "#define IG_SUBGROUP 32\n"))
        if typed in SOME_TYPES:
            variants.append((":native", "#define PLANES 0\n"))
        if typed in MMA_TYPES:
            variants.append((":mma", ""))
        for suffix, define in variants:
            text = define + compose(module, suffix == ":mma")
            for where, name, items in re.findall(r"^KERNEL_ROW\((\w+),\s*(\w+),\s*(\w+)\)", rows, flags=re.M):
                if where == module:
                    text += 'IG_HOST_ROW("%s%s", %s, %s)\n' % (module, suffix, name, items)
            for name, items in re.findall(r"^TYPED_ROW\((\w+),\s*(\w+)\)", rows, flags=re.M):
                if typed:
                    text += 'IG_HOST_ROW("%s%s", %s_%s, %s)\n' % (module, suffix, name, typed, items)
            out["%s.cpp" % (module + suffix.replace(":", "_"))] = text
    return out


def probe_files():
    """The device parts of all types with the kernel of tests/gpu/test_types.c, in planes and as in files."""
    have = pieces()
    probe = strip(read(TOP, "tests", "gpu", "types_probe.k"))
    books = "".join(have["book_" + b] for b in book_words())
    out = {}
    for suffix, define in (("", ""), (":sub", "#define IG_SUBGROUP 32\n"), (":native", "#define PLANES 0\n")):
        text = define + have["prelude"] + have["args"] + books
        for t in types():
            parts = have["numbers_" + t] + have["types"] + have["type_" + t]
            text += "namespace of_%s {\n" % t + parts + probe
            text += 'IG_HOST_ROW("types%s", probe_%s, 64)\n}\n' % (suffix, t)
            text += "".join("#undef %s\n" % n for n in re.findall(r"^#define (\w+)", parts, flags=re.M))
        out["types%s.cpp" % suffix.replace(":", "_")] = text
    return out


def write(path, text):
    """Only if it differs, so that nothing is compiled again for nothing."""
    if os.path.exists(path) and read(path) == text:
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--text", metavar="MODULE")
    parser.add_argument("--host", metavar="FOLDER")
    args = parser.parse_args()
    path = os.path.join(GEN, "kernels.c")
    if args.text:
        sys.stdout.write(compose(args.text))
    elif args.host:
        files = {**host_files(), **probe_files()}
        for name, text in files.items():
            write(os.path.join(args.host, name), text)
        for old in set(os.listdir(args.host)) - set(files):
            os.remove(os.path.join(args.host, old))
        print(";".join(sorted(files)))
    elif args.check:
        if not os.path.exists(path) or read(path) != source_c():
            sys.exit("src/gpu/gen/kernels.c is not what the kernels say: run tools/gpu.py and commit it")
    else:
        write(path, source_c())


if __name__ == "__main__":
    main()
