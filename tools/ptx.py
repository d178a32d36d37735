#!/usr/bin/env python3
"""PTX of the GPU kernels' modules, made by clang without NVIDIA's toolkit, and what ptxas says about it.

    tools/ptx.py                   writes src/gpu/gen/ptx.c (needs clang-14)
    tools/ptx.py --check           fails if it is not what the sources say (nothing is checked without clang-14)
    tools/ptx.py --sizes           prints the modules' sizes
    tools/ptx.py --ptxas [SM,...]  assembles every module for these targets (75,90,120; "all": each of TARGETS), writes
                                   registers, shared memory and spills of every kernel to build/ptx.txt and fails on
                                   spills in the kernels that must not have them
    --module NAME                  only modules whose name begins so

Every module is compiled for compute capability 7.0, which all later GPUs take; linear_* of quantised types also for 8.0
with src/gpu/override/gemm_sm80.k. ptxas is that of PyPI's nvidia-cuda-nvcc-cu12 (tests/requirements.txt), of the
PATH, or the one that PTXAS names. What was compiled once lies in build/ptx, by the text's hash.
"""
import argparse
import concurrent.futures
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib

import gpu
import lz

TOP = gpu.TOP
OUT = os.path.join(gpu.GEN, "ptx.c")
CACHE = os.path.join(TOP, "build", "ptx")
CLANG = "clang-14"  # another version writes other text
FLAGS = ["-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "-O3", "-S", "-ffp-contract=off",
         "-Wno-unknown-cuda-version"]
VERSIONS = {70: "60", 80: "70"}  # the least PTX that has the target: CUDA 9.0 and 11.0
FORBIDDEN = {"calls a function that is not there": r"\.extern \.func.*",
             "has operations that ptxas may fuse": r"\b(mul|add|sub)(\.ftz)?\.f32.*",  # .rn is as it stands
             "has operations that are not exact": r"\b\w+(\.\w+)*\.(approx|ftz|full)\b.*"}
TARGETS = [75, 80, 86, 89, 90, 100, 120]
NO_SPILLS = re.compile(r"^(few|many|attend)")
JOBS = os.cpu_count() or 1


def texts(begin=""):
    """(module, sm) -> what clang gets."""
    have = gpu.pieces()
    out = {}
    for module, parts in gpu.modules(have).items():
        if module.startswith(begin):
            out[module, 70] = "".join(have[p] for p in parts)
            special = gpu.with_override(have, module, out[module, 70])
            if special:
                out[module, 80] = special
    return out


def smaller(ptx):
    """Without comments and indentation."""
    ptx = re.sub(r"/\*.*?\*/", "", ptx, flags=re.S)
    lines = (re.sub(r"[ \t]+", " ", re.sub(r"//.*", "", line)).strip() for line in ptx.split("\n"))
    return "\n".join(line.replace(", ", ",") for line in lines if line) + "\n"


REGISTER = re.compile(r"%(rd|rs|r|fd|f|p)(\d+)\b")


def renumber(ptx):
    """Registers of each kernel in the order in which they appear, from 1: what fold and src/gpu/ptx.c rely on."""
    out = []
    for part in re.split(r"(?=\.entry)", ptx):
        seen = {}
        out.append(REGISTER.sub(lambda m: "%%%s%d" % (m[1], seen.setdefault(m[1], {}).setdefault(m[2], len(seen[m[1]]) + 1)),
                                part))
    return "".join(out)


def fold(ptx):
    """A new register without its number, another with the distance from the newest."""
    out = []
    for part in re.split(r"(?=\.entry)", ptx):
        newest = {}

        def one(m):
            kind, n = m[1], int(m[2])
            if n > newest.get(kind, 0):
                assert n == newest.get(kind, 0) + 1
                newest[kind] = n
                return "%" + kind
            return "%%%s%d" % (kind, newest[kind] - n)
        out.append(REGISTER.sub(one, part))
    return "".join(out)


def compile_one(key, text):
    module, sm = key
    name = hashlib.sha256(("%s %s\n" % (FLAGS, VERSIONS[sm]) + text).encode()).hexdigest()[:16]
    path = os.path.join(CACHE, "%s.sm_%d.%s.ptx" % (module, sm, name))
    if not os.path.exists(path):
        for old in glob.glob(os.path.join(CACHE, "%s.sm_%d.*.ptx" % (module, sm))):
            os.remove(old)
        command = [CLANG, *FLAGS, "--cuda-gpu-arch=sm_%d" % sm, "-Xclang", "-target-feature", "-Xclang",
                   "+ptx" + VERSIONS[sm], "-", "-o", "-"]
        done = subprocess.run(command, input=text.encode(), capture_output=True)
        if done.returncode:
            sys.exit("%s for sm_%d:\n%s" % (module, sm, done.stderr.decode()[-4000:]))
        ptx = "// %s\n" % module + renumber(smaller(done.stdout.decode()))
        for what, pattern in FORBIDDEN.items():
            found = re.search(pattern, ptx)
            if found:
                sys.exit("%s for sm_%d %s: %s" % (module, sm, what, found.group(0)))
        with tempfile.NamedTemporaryFile("w", dir=CACHE, delete=False) as f:
            f.write(ptx)
        os.replace(f.name, path)
    with open(path, encoding="utf-8") as f:
        return f.read()


def compile_all(begin=""):
    os.makedirs(CACHE, exist_ok=True)
    work = texts(begin)
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return dict(zip(work, pool.map(lambda key: compile_one(key, work[key]), work)))


def pack(text):
    """Packing takes longer than compiling: kept too."""
    data = fold(text).encode()
    path = os.path.join(CACHE, hashlib.sha256(data).hexdigest()[:16] + ".lz")
    if not os.path.exists(path):
        packed = lz.pack(data)
        with tempfile.NamedTemporaryFile("wb", dir=CACHE, delete=False) as f:
            f.write(packed)
        os.replace(f.name, path)
    with open(path, "rb") as f:
        return f.read()


def ptx_c(ptx, packed):
    have = gpu.pieces()
    lists = gpu.modules(have)
    out = ["/* Written by tools/ptx.py: PTX of the kernels' modules, packed. Do not edit. */", '#include "gpu/gen.h"',
           "/* clang-format off */"]
    rows = []
    for i, (module, sm) in enumerate(ptx):
        data = packed[module, sm]
        out.append("static const uint8_t p%d[%d] = {%s};" % (i, len(data), gpu.c_bytes(data)))
        text = ptx[module, sm]
        rows.append('{"%s", %d, UINT64_C(0x%016x), p%d, sizeof p%d, %d, %d, 0x%08xu},' %
                    (module, sm, gpu.module_hash(have, lists[module]), i, i, len(fold(text)), len(text), zlib.adler32(text.encode())))
    out += ["const struct ig_gen_ptx ig_gen_ptx[] = {", *rows, "{0, 0, 0, 0, 0, 0, 0, 0}};", ""]
    return "\n".join(out)


# ---- ptxas ----

def find_ptxas():
    places = [os.environ.get("PTXAS"), shutil.which("ptxas")]
    places += glob.glob(os.path.join(TOP, "build", "venv", "lib", "python*", "site-packages", "nvidia", "cuda_nvcc", "bin", "ptxas"))
    places += [os.path.join(p, "nvidia", "cuda_nvcc", "bin", "ptxas") for p in sys.path]
    for p in places:
        if p and os.path.exists(p):
            return p
    return None


def assemble(ptxas, path, sm):
    """Kernel -> (registers, shared bytes, stack bytes, spilled bytes)."""
    done = subprocess.run([ptxas, "-v", "-arch=sm_%d" % sm, path, "-o", os.devnull], capture_output=True, text=True)
    if done.returncode:
        sys.exit("ptxas -arch=sm_%d %s:\n%s" % (sm, path, (done.stdout + done.stderr)[-4000:]))
    out, name = {}, None
    for line in (done.stdout + done.stderr).split("\n"):
        m = re.search(r"Compiling entry function '(\w+)'", line)
        if m:
            name, stack, spills = m.group(1), 0, 0
        m = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if m:
            stack, spills = int(m.group(1)), int(m.group(2)) + int(m.group(3))
        m = re.search(r"Used (\d+) registers", line)
        if m and name:
            shared = re.search(r"(\d+) bytes smem", line)
            out[name] = (int(m.group(1)), int(shared.group(1)) if shared else 0, stack, spills)
    return out


def run_ptxas(ptx, targets):
    ptxas = find_ptxas()
    if not ptxas:
        print("no ptxas: install nvidia-cuda-nvcc-cu12 (tests/requirements.txt) or set PTXAS; skipped")
        return 0
    folder = os.path.join(CACHE, "text")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    work = []
    for (module, sm), text in ptx.items():
        path = os.path.join(folder, "%s.sm_%d.ptx" % (module, sm))
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        work += [(module, sm, target, path) for target in targets if target >= sm]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        answers = list(pool.map(lambda w: assemble(ptxas, w[3], w[2]), work))
    lines, bad = ["%-44s %-4s %-6s %9s %7s %6s %7s" % ("kernel", "ptx", "target", "registers", "shared", "stack", "spilled")], 0
    for (module, sm, target, _), kernels in zip(work, answers):
        for kernel, (registers, shared, stack, spilled) in sorted(kernels.items()):
            wrong = (spilled or stack) and NO_SPILLS.match(kernel)
            bad += bool(wrong)
            lines.append("%-44s %-4d %-6d %9d %7d %6d %7d%s" % (module + " " + kernel, sm, target, registers, shared, stack,
                                                               spilled, "  <-- memory instead of registers" if wrong else ""))
    with open(os.path.join(TOP, "build", "ptx.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    most = max((k[0] for a in answers for k in a.values()), default=0)
    print("ptxas: %d kernels of %d modules for %d targets, at most %d registers, %d with spills or a stack that must not "
          "(build/ptx.txt)" % (len(lines) - 1, len(ptx), len(targets), most, bad))
    for line in lines:
        if "<--" in line:
            print(line)
    return 1 if bad else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--sizes", action="store_true")
    parser.add_argument("--ptxas", nargs="?", const="75,90,120", metavar="SM,...")
    parser.add_argument("--module", default="")
    args = parser.parse_args()
    if not shutil.which(CLANG):
        print("no %s: the PTX is as committed; skipped" % CLANG)
        return 0 if args.check or args.ptxas else 1
    ptx = compile_all(args.module)
    if args.ptxas:
        return run_ptxas(ptx, TARGETS if args.ptxas == "all" else [int(t) for t in args.ptxas.split(",")])
    with concurrent.futures.ProcessPoolExecutor(JOBS) as pool:
        packed = dict(zip(ptx, pool.map(pack, ptx.values())))
    if args.sizes:
        for key in ptx:
            print("%-16s sm_%d %8d %8d" % (*key, len(ptx[key]), len(packed[key])))
        print("%-22s %8d %8d" % ("all", sum(map(len, ptx.values())), sum(map(len, packed.values()))))
    elif args.check:
        if not os.path.exists(OUT) or gpu.read(OUT) != ptx_c(ptx, packed):
            sys.exit("src/gpu/gen/ptx.c is not what the kernels say: run tools/ptx.py and commit it")
    elif not args.module:
        gpu.write(OUT, ptx_c(ptx, packed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
