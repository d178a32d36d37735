#!/usr/bin/env python3
"""Writes the Rust bindings from the public headers; --check says whether the committed ones are current.

The headers have no bit-fields, unions, varargs or macro functions, so a few patterns read all of them and nobody
needs libclang. What a pattern does not know is an error here, never a guess. tests/py/test_rust_bindings.py holds
the result against what a C compiler makes of the same headers.
"""
import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SYS = ROOT / "bindings/rust/ingle-sys"
HEADERS = [(ROOT / "include/ingle.h", SYS / "src/bindings.rs"), (ROOT / "hub/hub.h", SYS / "src/hub.rs")]
ROWS = SYS / "tests/layout/rows.rs"

SCALARS = {
    "void": "c_void", "char": "c_char", "int": "c_int", "unsigned": "c_uint", "unsigned int": "c_uint",
    "float": "f32", "double": "f64", "size_t": "usize", "bool": "bool",
    **{f"{u}int{n}_t": f"{'u' if u else 'i'}{n}" for u in ("", "u") for n in (8, 16, 32, 64)},
}
KEYWORDS = {"type", "in", "match", "ref", "where", "move", "use", "fn", "box", "loop"}


class Header:
    """One header's declarations in order: (kind, name, detail, doc)."""

    def __init__(self, text):
        self.items = []
        self.functions_of = set()  # names of function types
        self.structs = {}
        self.enums = {}
        self.read(text)

    def read(self, text):
        text = text.replace('#ifdef __cplusplus\nextern "C" {\n#endif', "")
        text = text.replace("#ifdef __cplusplus\n}\n#endif", "")
        doc, depth = "", 0
        lines = text.split("\n")
        i = 0
        while i < len(lines):
            line = lines[i]
            if line.startswith("#if"):
                depth += not re.match(r"#ifndef INGLE_(\w+_)?H\b", line)
            elif line.startswith("#endif"):
                depth -= depth > 0
            elif line.startswith("#"):
                m = re.match(r"#define (INGLE_\w+) (\d+)$", line)
                if m and not depth:
                    self.items.append(("define", m[1], m[2], ""))
            elif line.startswith("/*"):
                comment = line
                while "*/" not in lines[i]:
                    i += 1
                    comment += "\n" + lines[i]
                doc = "" if comment.startswith("/* ----") else clean(comment)
            elif not line.strip():
                doc = ""
            elif not depth:
                item = line
                while not complete(item):
                    i += 1
                    if i == len(lines):
                        sys.exit(f"unfinished declaration: {item[:80]}")
                    item += "\n" + lines[i]
                self.declare(item, doc)
                doc = ""
            i += 1

    def declare(self, item, doc):
        tail = re.search(r";[ \t]*/\*(.*?)\*/[ \t]*$", item, re.S)
        if tail and not doc:
            doc = clean(tail[0][1:])
        code = re.sub(r"\s+", " ", strip(item)).strip().removesuffix(";").strip()
        if m := re.match(r"(?:typedef )?enum ?(\w*) ?\{", code):
            self.enum(item, m[1], doc)
        elif m := re.match(r"typedef struct (\w+) ?\{", code):
            self.struct(item, m[1], doc)
        elif m := re.fullmatch(r"typedef struct (\w+) (\w+)", code):
            self.items.append(("opaque", m[1], None, doc))
        elif m := re.fullmatch(r"typedef (.+?)\(\*(\w+)\) ?\((.*)\)", code):
            self.functions_of.add(m[2])
            self.items.append(("callback", m[2], (m[1].strip(), params(m[3])), doc))
        elif m := re.fullmatch(r"INGLE_API (.+?)(\w+) ?\((.*)\)", code):
            self.items.append(("function", m[2], (m[1].strip(), params(m[3])), doc))
        else:
            sys.exit(f"cannot read: {code}")

    def enum(self, item, name, doc):
        rows, value = [], 0
        body = item[item.index("{") + 1:item.rindex("}")]
        for m in re.finditer(r"(INGLE_\w+)\s*(?:=\s*(-?\d+))?\s*,?[ \t]*(?:/\*(.*?)\*/)?", body, re.S):
            value = int(m[2]) if m[2] else value
            rows.append((m[1], value, clean("/*" + m[3] + "*/") if m[3] else ""))
            value += 1
        self.enums[name or f"unnamed_{len(self.enums)}"] = rows
        self.items.append(("enum", name, rows, doc))

    def struct(self, item, name, doc):
        fields = []
        body = item[item.index("{") + 1:item.rindex("}")]
        for m in re.finditer(r"([^;]+);[ \t]*(?:/\*(.*?)\*/)?", body, re.S):
            code = re.sub(r"\s+", " ", strip(m[1])).strip()
            above = re.findall(r"/\*.*?\*/", m[1], re.S)
            note = clean("/*" + m[2] + "*/") if m[2] else " ".join(clean(a) for a in above)
            if f := re.fullmatch(r"(.+?)\(\*(\w+)\) ?\((.*)\)", code):
                fields.append((f[2], ("fn", f[1].strip(), params(f[3])), note))
                continue
            first, *more = [p.strip() for p in code.split(",")]
            base, field = split(first)
            fields.append((field, base, note))
            if more and "*" in base:
                sys.exit(f"{name}: write pointers one a line: {code}")
            fields += [(f, base, note) for f in more]
        self.structs[name] = fields
        self.items.append(("struct", name, fields, doc))


def complete(item):
    code = strip(item)
    return code.count("{") == code.count("}") and code.rstrip().endswith(";") and "/*" not in code


def strip(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def clean(comment):
    text = comment.strip().removeprefix("/*").removesuffix("*/")
    return "\n".join(line.strip().removeprefix("*").strip() for line in text.split("\n")).strip()


def split(declarator):
    """'const char *name' -> ('const char *', 'name')"""
    m = re.fullmatch(r"(.*?)(\w+)((?:\[\w*\])*)", declarator)
    if not m or not m[1].strip():
        sys.exit(f"cannot read: {declarator}")
    return m[1].strip() + m[3], m[2]


def params(text):
    text = text.strip()
    return [] if text in ("", "void") else [split(p.strip()) for p in text.split(",")]


def rust_type(c, known):
    if isinstance(c, tuple):
        return callback(c[1], c[2], known)
    if m := re.fullmatch(r"(.+)\[(\d+)\]", c):
        return f"[{rust_type(m[1], known)}; {m[2]}]"
    if m := re.fullmatch(r"(.+?) ?\* ?(?:const)?", c):
        inner = m[1].strip()
        const = re.fullmatch(r"const (\w+(?: int)?)|.*\* ?const", inner) is not None
        return f"*{'const' if const else 'mut'} {rust_type(inner.removesuffix('const').strip(), known)}"
    base = c.removeprefix("const ").strip()
    base = base.removeprefix("struct ").removeprefix("enum ")
    if base in SCALARS:
        return SCALARS[base]
    if base in known:
        return base
    sys.exit(f"unknown type: {c}")


def result(c, known):
    return "" if c == "void" else f" -> {rust_type(c, known)}"


def name_of(name):
    return f"r#{name}" if name in KEYWORDS else name


def arguments(args, known):
    return ", ".join(f"{name_of(n)}: {rust_type(t, known)}" for t, n in args)


def callback(ret, args, known):
    return f'Option<unsafe extern "C" fn({arguments(args, known)}){result(ret, known)}>'


def doc_lines(doc, indent=""):
    # Doc comments are Markdown: what looks like markup is text here.
    escape = lambda s: re.sub(r"(https?://[^\s;,)]+)", r"<\1>", re.sub(r"([\[\]<*])", r"\\\1", s))
    pieces = re.split(r"(`[^`]*`)", doc)
    text = "".join(p if p.startswith("`") else escape(p) for p in pieces)
    return "".join(f"{indent}/// {line}".rstrip() + "\n" for line in text.split("\n")) if doc else ""


def rust(header, known, title, mods):
    out = []
    functions = []
    for kind, name, detail, doc in header.items:
        if kind == "define":
            out.append(f"pub const {name}: u32 = {detail};\n")
        elif kind == "enum":
            ty = name or "c_uint"
            if name:
                out.append(f"{doc_lines(doc)}pub type {name} = c_enum;\n")
            out += [f"{doc_lines(d)}pub const {n}: {ty} = {v};\n" for n, v, d in detail]
        elif kind == "opaque":
            out.append(f"{doc_lines(doc)}#[repr(C)]\n#[derive(Debug)]\npub struct {name} {{\n    _opaque: Opaque,\n}}\n")
        elif kind == "callback":
            out.append(f"{doc_lines(doc)}pub type {name} =\n    {callback(*detail, known)};\n")
        elif kind == "struct":
            body = "".join(f"{doc_lines(d, '    ')}    pub {name_of(n)}: {rust_type(t, known)},\n"
                           for n, t, d in detail)
            out.append(f"{doc_lines(doc)}#[repr(C)]\n#[derive(Clone, Copy, Debug)]\npub struct {name} {{\n{body}}}\n")
        else:
            ret, args = detail
            functions.append(f"{doc_lines(doc, '    ')}    pub fn {name}({arguments(args, known)}){result(ret, known)};\n")
    out.append('unsafe extern "C" {\n' + "".join(functions) + "}\n")
    body = "\n".join(out)
    named = lambda names: [n for n in names if re.search(rf"\b{n}\b", body)]
    head = f"// Written by tools/bindings.py from {title}. Do not edit.\n\n"
    head += f"use core::ffi::{{{', '.join(named(['c_char', 'c_int', 'c_uint', 'c_void']))}}};\n\n"
    return head + f"use crate::{{{', '.join(sorted(mods + named(['Opaque', 'c_enum'])))}}};\n\n" + body


def rows(headers):
    out = ["// Written by tools/bindings.py. Do not edit.\n\nrows! {\n"]
    for header, feature in headers:
        for name, fields in header.structs.items():
            names = ", ".join(name_of(f[0]) for f in fields)
            out.append(f"    {name} {{ {names} }}\n")
    out.append("}\n\nvalues! {\n")
    for header, feature in headers:
        out += [f"    {n}\n" for kind, _, detail, _ in header.items if kind == "enum" for n, _, _ in detail]
        out += [f"    {n}\n" for kind, n, _, _ in header.items if kind == "define"]
    return "".join(out) + "}\n"


def write():
    """path -> text of every generated file"""
    files, known, read = {}, set(), []
    for path, target in HEADERS:
        if not path.exists():
            continue
        header = Header(path.read_text())
        known |= {i[1] for i in header.items if i[0] in ("enum", "opaque", "callback", "struct") and i[1]}
        first = not read
        mods = [] if first else ["bindings::*"]
        text = rust(header, known, path.relative_to(ROOT).as_posix(), mods)
        read.append((header, None if first else "hub"))
        files[target] = text
    files[ROWS] = rows(read)
    return {path: format_rust(text) for path, text in files.items()}


def format_rust(text):
    import subprocess
    done = subprocess.run(["rustfmt", "--edition", "2024", "--config", "max_width=100"], input=text,
                          capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"rustfmt: {done.stderr}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 if something is not current")
    check = parser.parse_args().check
    stale = 0
    for path, text in write().items():
        if path.exists() and path.read_text() == text:
            continue
        stale = 1
        print(path.relative_to(ROOT).as_posix(), "is not current: run tools/bindings.py" if check else "written")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return stale if check else 0


if __name__ == "__main__":
    sys.exit(main())
