"""The build promises: import rule, one-line build, header alone, exported symbols, installation, README example."""
import os
import re
import shutil
import subprocess
import sys

import pytest

import rooms

WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"]
COMPILERS = [c for c in ("gcc", "clang") if shutil.which(c)]
CXX = {"gcc": "g++", "clang": "clang++"}
USER_LIBS = ["-lm", "-lpthread"] + (["-ldl"] if sys.platform.startswith("linux") else [])


def sh(args, cwd, **kw):
    r = subprocess.run([str(a) for a in args], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True, **kw)
    assert r.returncode == 0, r.stdout[-4000:]
    return r.stdout


def test_two_compilers_are_here():
    assert COMPILERS, "neither gcc nor clang"
    if sys.platform.startswith("linux"):
        assert COMPILERS == ["gcc", "clang"]


# ---- The import rule ------------------------------------------------------------------------------------------------


def test_rooms_keep_the_import_rule(top):
    scanned, found = rooms.check(str(top))
    assert scanned > 10
    assert not found, "\n".join(found)


@pytest.mark.parametrize("path, line, breach", [
    ("src/quant/x.c", '#include "engine/model.h"', "quant may not include engine"),
    ("src/base/x.c", '#include "os/os.h"', "base may not include os"),
    ("src/cpu/x.c", '#  include "arch/rows.h"', "cpu may not include arch"),
    ("cli/x.c", '#include "vocab/vocab.h"', "cli may not include vocab"),
    ("src/kv/x.c", '#include "stdio.h"', "no file of ours"),
    ("src/newroom/x.c", "", "not in the table"),
])
def test_rooms_sees_a_breach(tmp_path, path, line, breach):
    for name in ("src/engine/model.h", "src/os/os.h", "src/arch/rows.h", "src/vocab/vocab.h"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text("\n" + line + "\n")
    _, found = rooms.check(str(tmp_path))
    assert len(found) == 1 and breach in found[0] and path in found[0]
    if line:
        assert f"{path}:2" in found[0]


# ---- The core without cmake ----------------------------------------------------------------------------------------


def test_files_txt_lists_every_core_source_sorted(top):
    listed = (top / "src/files.txt").read_text().split()
    found = sorted(str(p.relative_to(top)) for p in (top / "src").rglob("*.c"))
    assert sorted(listed) == found
    assert listed == sorted(set(listed)), "src/files.txt is not sorted"


@pytest.mark.parametrize("cc", COMPILERS)
def test_one_line_build(top, tmp_path, cc):
    """As in the README, from the top of the tree but with the objects elsewhere."""
    files = [top / f for f in (top / "src/files.txt").read_text().split()]
    out = sh([cc, "-std=c11", "-O2", f"-I{top}/include", f"-I{top}/src", "-c", *files], tmp_path)
    assert out == ""
    assert len(list(tmp_path.glob("*.o"))) == len(files), "two sources have one name"
    main = tmp_path / "main.c"
    main.write_text('#include <ingle.h>\n#include <stdio.h>\n'
                    'int main(void) { puts(ingle_status_text(INGLE_BAD_FILE)); return 0; }\n')
    objects = sorted(tmp_path.glob("*.o"))
    sh([cc, f"-I{top}/include", main, *objects, "-o", "main", *USER_LIBS], tmp_path)
    assert "bad file\n" == (sh([tmp_path / "main"], tmp_path))


@pytest.mark.parametrize("cc", COMPILERS)
def test_core_has_no_warnings(top, tmp_path, cc):
    files = [top / f for f in (top / "src/files.txt").read_text().split()]
    sh([cc, "-std=c11", "-O2", "-fsyntax-only", *WARNINGS, f"-I{top}/include", f"-I{top}/src", *files], tmp_path)


@pytest.mark.skipif("clang" not in COMPILERS, reason="gcc does not contract under -std=c11")
def test_no_contraction_without_our_flags(top, tmp_path):
    """Built by hand with clang, no a * b + c may become one operation: clang marks each that may as llvm.fmuladd."""
    def marks(path):
        text = sh(["clang", "-std=c11", "-O1", "-Xclang", "-disable-llvm-passes", f"-I{top}/include", f"-I{top}/src",
                   "-S", "-emit-llvm", "-o", "-", path], tmp_path)
        return text.count("llvm.fmuladd")
    (tmp_path / "bare.c").write_text("float f(float a, float b, float c) { return a * b + c; }\n")
    assert marks(tmp_path / "bare.c") > 0, "clang no longer marks them: this test sees nothing"
    found = {name: marks(top / name) for name in (top / "src/files.txt").read_text().split()}
    assert not {name: n for name, n in found.items() if n}


@pytest.mark.parametrize("cc", COMPILERS)
def test_header_alone(top, tmp_path, cc):
    (tmp_path / "a.c").write_text('#include "ingle.h"\nint main(void) { return 0; }\n')
    shutil.copy(tmp_path / "a.c", tmp_path / "a.cpp")
    sh([cc, "-std=c99", "-pedantic-errors", *WARNINGS, f"-I{top}/include", "-c", "a.c"], tmp_path)
    sh([CXX[cc], "-std=c++17", "-pedantic-errors", *WARNINGS, f"-I{top}/include", "-c", "a.cpp"], tmp_path)


def test_header_is_short(top):
    assert len((top / "include/ingle.h").read_text().splitlines()) <= 600


def declared(top):
    text = (top / "include/ingle.h").read_text() + (top / "hub/hub.h").read_text()
    return set(re.findall(r"\bINGLE_API\b[^;(]*?\b(ingle_\w+)\(", text))


def symbols(args, cwd):
    return {line.split()[-1].lstrip("_" if sys.platform == "darwin" else "").split("@")[0]
            for line in sh(args, cwd).splitlines() if len(line.split()) >= 2 and not line.endswith(":")}


def test_shared_library_exports_the_header_and_nothing_else(top, build):
    name = "libingle.dylib" if sys.platform == "darwin" else "libingle.so"
    flags = ["-gU"] if sys.platform == "darwin" else ["-D", "--defined-only"]
    exported = symbols(["nm", *flags, build / name], top)
    assert not exported - declared(top), "exported but in no header"
    assert not declared(top) - exported, "in a header but not exported"


def test_shared_library_is_small(top, build, tmp_path):
    """All instruction sets and GPUs together, without symbols. The goal is 1.5 MB without what GPUs compile; this holds what
    is reached (docs/SPEED.md)."""
    name = "libingle.dylib" if sys.platform == "darwin" else "libingle.so"
    sh(["strip", "-x", "-o", tmp_path / name, (build / name).resolve()], top)
    embedded = sum(int(n) for f in ("kernels.c", "ptx.c") for n in
                   re.findall(r"static const uint8_t \w+\[(\d+)\]", (top / "src/gpu/gen" / f).read_text()))
    assert 100_000 < embedded <= 1_050_000
    assert 200_000 < (tmp_path / name).stat().st_size - embedded <= 1_680_000


def test_static_library_symbols_are_prefixed(top, build):
    flags = ["-gU"] if sys.platform == "darwin" else ["-g", "--defined-only"]
    names = symbols(["nm", *flags, build / "libingle.a"], top)
    assert names and not {n for n in names if not n.startswith(("ig_", "ingle_"))}


def test_core_calls_nothing_that_kills_or_prints(top, build):
    """P3: no abort, exit, assert or printing in the library."""
    used = symbols(["nm", "-u", build / "libingle.a"], top)
    forbidden = {"abort", "exit", "_exit", "quick_exit", "__assert_fail", "__assert_rtn", "printf", "puts", "putchar",
                 "perror", "vprintf", "stdout", "stderr", "system", "strtok", "setlocale", "rand", "srand"}
    assert not used & forbidden


# ---- Installed -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(top, build, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("prefix")
    sh(["cmake", "--install", build, "--prefix", prefix], top)
    return prefix


MAIN = '#include <ingle.h>\n#include <stdio.h>\nint main(void) { puts(ingle_status_text(INGLE_BAD_FILE)); return 0; }\n'


@pytest.mark.parametrize("target", ["ingle::ingle", "ingle::ingle_shared"])
def test_find_package(installed, tmp_path, target):
    (tmp_path / "main.c").write_text(MAIN)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(user C)\nfind_package(ingle REQUIRED)\n"
        f"add_executable(user main.c)\ntarget_link_libraries(user PRIVATE {target})\n")
    sh(["cmake", "-S", ".", "-B", "b", f"-DCMAKE_PREFIX_PATH={installed}"], tmp_path)
    sh(["cmake", "--build", "b"], tmp_path)
    assert "bad file\n" == (sh(["b/user"], tmp_path))


@pytest.mark.parametrize("static", [False, True])
def test_pkg_config(installed, tmp_path, static):
    (tmp_path / "main.c").write_text(MAIN)
    folder = next(installed.rglob("ingle.pc")).parent
    env = dict(os.environ, PKG_CONFIG_PATH=str(folder))
    flags = sh(["pkg-config", "--cflags", "--libs", *(["--static"] if static else []), "ingle"], tmp_path,
               env=env).split()
    if static:
        flags = [next(installed.rglob("libingle.a")) if f == "-lingle" else f for f in flags]
    sh(["cc", "main.c", "-o", "main", *flags], tmp_path)
    run = dict(os.environ, LD_LIBRARY_PATH=str(folder.parent), DYLD_LIBRARY_PATH=str(folder.parent))
    assert "bad file\n" == (sh(["./main"], tmp_path, env=run))


def test_as_subproject(top, tmp_path):
    """add_subdirectory builds the library alone: no tests, no command line, no install surprises."""
    (tmp_path / "main.c").write_text(MAIN)
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(user C)\n"
        f"set(INGLE_SHARED_LIB OFF)\nset(CMAKE_C_STANDARD 11)\nadd_subdirectory({top} ingle EXCLUDE_FROM_ALL)\n"
        "add_executable(user main.c)\ntarget_link_libraries(user PRIVATE ingle::ingle)\n")
    sh(["cmake", "-S", ".", "-B", "b"], tmp_path)
    out = sh(["cmake", "--build", "b", "--target", "help"], tmp_path)
    assert "ingle_cli" not in out


def test_presets_are_valid(top, tmp_path):
    out = sh(["cmake", "--list-presets"], top)
    assert all(f'"{name}"' in out for name in ("release", "asan", "tsan"))
