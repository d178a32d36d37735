"""ingle-sys from outside: bindings against the header, names that leave the library, copies beside each other."""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SYS = ROOT / "bindings/rust/ingle-sys"
TINY = ROOT / "tests/golden/gguf/llama.gguf"
CC = os.environ.get("CC", "cc")

pytestmark = pytest.mark.skipif(not shutil.which("cargo"), reason="cargo is not installed")


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def test_committed_bindings_are_current():
    done = subprocess.run([sys.executable, ROOT / "tools/bindings.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ---- Every signature, from Rust back to C -------------------------------------------------------------------------

TO_C = {"c_void": "void", "c_char": "char", "c_int": "int", "c_uint": "unsigned", "f32": "float", "f64": "double",
        "usize": "size_t", **{f"{s}{n}": f"{'u' if s == 'u' else ''}int{n}_t" for s in "iu" for n in (8, 16, 32, 64)}}


def c_type(rust):
    if m := re.fullmatch(r"\*(const|mut) (.+)", rust):
        inner = c_type(m[2])
        return f"{inner} const *" if m[1] == "const" else f"{inner} *"
    return TO_C.get(rust, rust)


def prototypes(text):
    body = re.sub(r"^\s*//.*$", "", text[text.index('unsafe extern "C" {'):], flags=re.M)
    for m in re.finditer(r"pub fn (\w+)\((.*?)\)(?: -> ([^;]+))?;", body, re.S):
        args = [a.split(":", 1)[1].strip() for a in re.sub(r"\s+", " ", m[2]).split(",") if ":" in a]
        yield m[1], c_type((m[3] or "c_void").strip()), [c_type(a) for a in args]


def test_a_c_compiler_agrees_with_every_function(tmp_path):
    """Declares each function a second time from its Rust signature: C refuses two that differ."""
    lines, names = ['#include "ingle.h"', '#include "hub.h"'], []
    for file in ("bindings.rs", "hub.rs"):
        for name, result, args in prototypes((SYS / "src" / file).read_text()):
            names.append(name)
            lines.append(f"{result} {name}({', '.join(args) or 'void'});")
    (tmp_path / "again.c").write_text("\n".join(lines) + "\n")
    compile_ = [CC, "-std=c11", "-fsyntax-only", "-I", ROOT / "include", "-I", ROOT / "hub"]
    run(*compile_, tmp_path / "again.c")
    declared = set(re.findall(r"^INGLE_API [^;]*?(\w+)\(", (ROOT / "include/ingle.h").read_text(), re.M))
    declared |= set(re.findall(r"^INGLE_API [^;]*?(\w+)\(", (ROOT / "hub/hub.h").read_text(), re.M))
    assert set(names) == declared and len(names) > 40
    # The check can fail: one argument of another type is refused.
    wrong = "\n".join(lines).replace("int32_t ingle_model_width(", "int64_t ingle_model_width(")
    (tmp_path / "wrong.c").write_text(wrong + "\n")
    assert subprocess.run([str(c) for c in compile_] + [tmp_path / "wrong.c"], capture_output=True).returncode != 0


# ---- The library that cargo builds ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def archive():
    """libingle.a as the build script left it."""
    # A folder of its own: other cargo commands that run meanwhile would make this one wait.
    text = run("cargo", "build", "-q", "--target-dir", ROOT / "build/cargo-sys", "-p", "ingle-sys", "--message-format=json", cwd=ROOT)
    messages = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    out = [m["out_dir"] for m in messages if m["reason"] == "build-script-executed" and "ingle-sys" in m["package_id"]]
    return Path(out[-1]) / "libingle.a"


def symbols(path, *flags):
    return [line.split()[-1] for line in run("nm", *flags, path).splitlines() if len(line.split()) >= 2]


def test_every_global_name_has_our_prefix(archive):
    names = symbols(archive, "-g", "--defined-only")
    ours = [n for n in names if n.startswith(("ingle_", "ig_"))]
    assert len(ours) > 200
    # Compilers put helpers of their own beside ours; none of them comes from our sources.
    others = [n for n in names if not n.startswith(("ingle_", "ig_")) and n not in ("__odr_asan",)]
    assert not others


PROGRAM = r"""
#include <dlfcn.h>
#include <ingle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

typedef struct api {
    ingle_status (*model_open)(ingle_model **, const char *, const ingle_options *, ingle_error *);
    ingle_status (*engine_open)(ingle_engine **, const ingle_model *, const ingle_options *, ingle_error *);
    ingle_status (*engine_run)(ingle_engine *, const char *, size_t, ingle_event_fn, void *, ingle_error *);
    void (*engine_close)(ingle_engine *);
    void (*model_close)(ingle_model *);
} api;
typedef struct text { char p[4096]; size_t n; } text;

static int on_event(void *ud, const ingle_event *e) {
    text *t = ud;
    if (e->kind == INGLE_EVENT_TEXT && t->n + e->len < sizeof t->p) memcpy(t->p + t->n, e->text, e->len), t->n += e->len;
    return 0;
}
static ingle_engine *start(const api *a, ingle_model **m, const char *path) {
    ingle_error err;
    ingle_engine *e = NULL;
    if (a->model_open(m, path, NULL, &err) || a->engine_open(&e, *m, NULL, &err)) printf("%s\n", err.message), exit(1);
    return e;
}
#ifdef FAKE_GGML
int ggml_init(void); int gguf_init_from_file(void); int llama_decode(void); int ggml_quantize_chunk(void);
#endif
int main(int argc, char **argv) {
    static const char ask[] = "{\"prompt\": \"abc\", \"temperature\": 0, \"max_tokens\": 40, \"ignore_eos\": true}";
    api here = {ingle_model_open, ingle_engine_open, ingle_engine_run, ingle_engine_close, ingle_model_close};
    api both[2] = {here, here};
    ingle_error err;
    if (argc > 2) {
        void *lib = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
        if (!lib) return printf("%s\n", dlerror()), 1;
        *(void **)&both[1].model_open = dlsym(lib, "ingle_model_open");
        *(void **)&both[1].engine_open = dlsym(lib, "ingle_engine_open");
        *(void **)&both[1].engine_run = dlsym(lib, "ingle_engine_run");
        *(void **)&both[1].engine_close = dlsym(lib, "ingle_engine_close");
        *(void **)&both[1].model_close = dlsym(lib, "ingle_model_close");
        if (both[1].model_open == both[0].model_open) return puts("one copy"), 1;
    }
    ingle_model *m[2];
    ingle_engine *e[2];
    text said[2] = {{{0}, 0}, {{0}, 0}};
    for (int i = 0; i < 2; i++) e[i] = start(&both[i], &m[i], argv[1]);
    for (int i = 0; i < 2; i++)
        if (both[i].engine_run(e[i], ask, strlen(ask), on_event, &said[i], &err)) return printf("%s\n", err.message), 1;
    for (int i = 0; i < 2; i++) both[i].engine_close(e[i]), both[i].model_close(m[i]);
#ifdef FAKE_GGML
    if (ggml_init() + gguf_init_from_file() + llama_decode() + ggml_quantize_chunk() != 4) return puts("not the fake"), 1;
#endif
    return said[0].n < 20 || said[0].n != said[1].n || memcmp(said[0].p, said[1].p, said[0].n);
}
"""
LIBS = ["-lm", "-lpthread", "-ldl"]


@pytest.mark.parametrize("exported", [False, True], ids=["hidden", "exported"])
def test_two_copies_in_one_process(archive, tmp_path, exported):
    """One linked, one opened at run time; also where the program exports the names of the linked one."""
    shared = ROOT / "build/libingle.so"
    if not shared.exists():
        pytest.skip("no build/libingle.so: make build")
    (tmp_path / "two.c").write_text(PROGRAM)
    flags = ["-rdynamic"] if exported else []
    run(CC, "-I", ROOT / "include", tmp_path / "two.c", archive, *flags, *LIBS, "-o", tmp_path / "two")
    run(tmp_path / "two", TINY, shared)


def test_beside_a_library_with_the_names_of_ggml(archive, tmp_path):
    names = ["ggml_init", "ggml_quantize_chunk", "gguf_init_from_file", "llama_decode", "llama_init", "quantize_row_q4_0"]
    (tmp_path / "fake.c").write_text("".join(f"int {n}(void) {{ return 1; }}\n" for n in names))
    (tmp_path / "main.c").write_text(PROGRAM)
    run(CC, "-c", tmp_path / "fake.c", "-o", tmp_path / "fake.o")
    run("ar", "rcs", tmp_path / "libfake.a", tmp_path / "fake.o")
    both = ["-Wl,--whole-archive", archive, tmp_path / "libfake.a", "-Wl,--no-whole-archive"]
    run(CC, "-DFAKE_GGML", "-I", ROOT / "include", tmp_path / "main.c", *both, *LIBS, "-o", tmp_path / "beside")
    run(tmp_path / "beside", TINY)
