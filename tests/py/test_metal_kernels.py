"""The kernels as Metal gets them, without Metal: every module is compiled as C++ against a stub of Metal's types
(tests/gpu/metal_stub), and its text is searched for what only Metal's own compiler would mind."""
import os
import re
import shutil
import subprocess
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tools"))
import gpu  # noqa: E402

PIECES = gpu.pieces()
MODULES = gpu.modules(PIECES)
CLANG = next((c for c in ("clang-14", "clang") if shutil.which(c)), None)
needs_clang = pytest.mark.skipif(not CLANG, reason="clang is not installed")
# as Metal 3 is C++14; what is not used in one module is used in another
FLAGS = ["-x", "c++", "-std=c++14", "-fsyntax-only", "-ffp-contract=off", "-D__METAL_VERSION__=310", "-Wall", "-Wextra",
         "-Werror", "-Wno-unused", "-Wno-unused-parameter", "-Wno-unknown-attributes", "-Wno-duplicate-decl-specifier",
         "-Wno-c++17-extensions", "-Wno-undefined-inline",
         "-I", os.path.join(TOP, "tests", "gpu", "metal_stub"), "-"]
RESERVED = {"half", "kernel", "vertex", "fragment", "device", "constant", "threadgroup", "thread", "sampler", "access",
            "as_type", "uchar", "ushort", "uint", "ulong", "float2", "float3", "float4", "uint2", "uint3", "uint4", "metal",
            "precise", "fast", "object_data", "ray_data", "mesh", "visible", "stitchable", "patch"}


def for_stub(text):
    """The module with two things said so that C++ takes them: a variable in local memory is static, and a
    kernel's arguments, which are copied as a whole, lie in no space."""
    for before, after in (("#define LOCAL(T, n, N) threadgroup T n[N]", "#define LOCAL(T, n, N) static threadgroup T n[N]"),
                          ("constant S &n [[buffer(i)]]", "const S &n [[buffer(i)]]")):
        assert before in text
        text = text.replace(before, after)
    return text


def check(text):
    r = subprocess.run([CLANG, *FLAGS], input=for_stub(text), capture_output=True, text=True)
    return "" if r.returncode == 0 else r.stderr


@needs_clang
@pytest.mark.parametrize("module", MODULES)
def test_types(module):
    errors = check(gpu.compose(module))
    assert not errors, errors


@needs_clang
@pytest.mark.parametrize("wrong", [
    "DEVICE f32 f(const LMEM f32 *p) { return p[0]; } DEVICE f32 g(const MEM f32 *p) { return f(p); }",
    "DEVICE f32 f(const MEM f32 *p) { return p[0]; } DEVICE f32 g(f32 x) { return f(&x); }",
    "DEVICE f32 g(f32 x) { return RINT(x * 1.5); }",
    "DEVICE u32 g(u16 x) { return AS_U32(x); }",
    "CONSTANT(u32, t, 2) = {1, 2}; DEVICE u32 g(u32 i) { return t[i]++; }",
])
def test_the_stub_minds(wrong):
    assert check(PIECES["prelude"]) == ""
    assert "error" in check(PIECES["prelude"] + wrong + "\n")


POINTER = re.compile(r"(?:\b(\w+)\s+)?(?:const\s+)?\b(?:[uif](?:8|16|32|64)|v[24][uf]|void|struct \w+)\s*\*+\s*\w*")


def bare_pointers(text):
    return [m.group(0) for m in POINTER.finditer(text) if m.group(1) not in ("MEM", "LMEM", "CONST", "PRIV")]


def test_bare_pointers_are_found():
    assert len(bare_pointers("void f(u32 *q, const MEM u8 *p, const f32 *x, LMEM v4u *l, void *a, struct b *c)")) == 4


@pytest.mark.parametrize("piece", [p for p in PIECES if p not in ("prelude", "args")])
def test_words(piece):
    """Pointers say where they point to, private ones too; no name is a word of Metal's."""
    text = PIECES[piece]
    assert not bare_pointers(text)
    assert not RESERVED & set(re.findall(r"[A-Za-z_]\w*", re.sub(r"#.*", "", text)))
