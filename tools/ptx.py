#!/usr/bin/env python3
"""PTX of the GPU kernels' modules, made by clang without NVIDIA's toolkit, and what ptxas says about it.

    tools/ptx.py                   writes src/gpu/gen/ptx.c (needs clang-14)
    tools/ptx.py --check           fails if it is not what the sources say (nothing is checked without clang-14)
    tools/ptx.py --sizes           prints the modules' sizes
    tools/ptx.py --ptxas [SM,...]  assembles every module for these targets (all of TARGETS if none are named), writes
                                   registers, shared memory and spills of every kernel to build/ptx.txt and fails on
                                   spills in the kernels that must not have them
    tools/ptx.py --tune            finds for kernels that spill how many of their groups a multiprocessor may be asked to
                                   hold so that they do not, and writes that to src/gpu/ptx_groups.txt
    --module NAME                  only modules whose name begins so

Every module is compiled for compute capability 7.0, which all later GPUs take; linear_* of quantised types also for 8.0
with src/gpu/override/gemm_sm80.k, of which only the kernels that differ are kept (src/gpu/gpu_ptx.c adds the rest). ptxas is that of PyPI's nvidia-cuda-nvcc-cu12 (tests/requirements.txt), of the
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
GROUPS = os.path.join(gpu.GPU, "ptx_groups.txt")
CLANG = "clang-14"  # another version writes other text
FLAGS = ["-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "-O3", "-S", "-ffp-contract=off",
         "-Wno-unknown-cuda-version"]
VERSIONS = {70: "60", 80: "70"}  # the least PTX that has the target: CUDA 9.0 and 11.0
FORBIDDEN = {"calls a function that is not there": r"\.extern \.func.*",
             "has operations that ptxas may fuse": r"\b(mul|add|sub)(\.ftz)?\.f32.*",  # .rn is as it stands
             "has operations that are not exact": r"\b\w+(\.\w+)*\.(approx|ftz|full)\b.*"}
TARGETS = [75, 80, 86, 89, 90, 100, 120]
OVERRIDDEN = re.compile(r"many_")  # kernels that src/gpu/override changes
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
    """Registers of each kernel in the order in which they appear, from 1: what fold and src/gpu/gpu_ptx.c rely on."""
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


def without_others(ptx):
    """Of a module with an override: what comes before the kernels, and those that differ."""
    head, *kernels = re.split(r"(?=^\.visible \.entry )", ptx, flags=re.M)
    return head + "".join(k for k in kernels if OVERRIDDEN.match(k[len(".visible .entry "):]))


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
        if sm != min(VERSIONS):
            ptx = without_others(ptx)
        for what, pattern in FORBIDDEN.items():
            found = re.search(pattern, ptx)
            if found:
                sys.exit("%s for sm_%d %s: %s" % (module, sm, what, found.group(0)))
        with tempfile.NamedTemporaryFile("w", dir=CACHE, delete=False) as f:
            f.write(ptx)
        os.replace(f.name, path)
    with open(path, encoding="utf-8") as f:
        return f.read()


def read_groups():
    """Kernel -> groups a multiprocessor holds at least (--tune). ptxas prefers more of them to a few spills of registers
    where nothing is said."""
    if not os.path.exists(GROUPS):
        return {}
    return {k: int(n) for k, n in re.findall(r"^(\w+) (\d+)$", gpu.read(GROUPS), flags=re.M)}


def with_groups(ptx, groups):
    def one(m):
        n = groups.get(m[1])
        return m[0] + ("\n.minnctapersm %d" % n if n else "")
    return re.sub(r"\.entry (\w+)\([^)]*\)\s*\.maxntid [^\n]*", one, ptx)


def compile_all(begin="", groups=None):
    os.makedirs(CACHE, exist_ok=True)
    work = texts(begin)
    groups = read_groups() if groups is None else groups
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        done = pool.map(lambda key: compile_one(key, work[key]), work)
        return {key: with_groups(ptx, groups) for key, ptx in zip(work, done)}


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


def assemble(ptxas, text, sm, kernel=None):
    """Kernel -> (registers, shared bytes, stack bytes, spilled bytes), remembered by the text's hash."""
    name = hashlib.sha256(("%d %s %s\n" % (sm, kernel, os.path.getsize(ptxas)) + text).encode()).hexdigest()[:20]
    path = os.path.join(CACHE, name + ".ptxas")
    if not os.path.exists(path):
        with tempfile.NamedTemporaryFile("w", dir=CACHE, suffix=".text") as f:
            f.write(text)
            f.flush()
            only = ["-e", kernel] if kernel else []
            done = subprocess.run([ptxas, "-v", "-arch=sm_%d" % sm, *only, f.name, "-o", os.devnull], capture_output=True, text=True)
        if done.returncode:
            sys.exit("ptxas -arch=sm_%d %s:\n%s" % (sm, text[:40].split("\n")[0], (done.stdout + done.stderr)[-4000:]))
        with open(path + ".part", "w", encoding="utf-8") as f:
            f.write(done.stdout + done.stderr)
        os.replace(path + ".part", path)
    out, name = {}, None
    for line in gpu.read(path).split("\n"):
        m = re.search(r"Compiling entry function '(\w+)'", line)
        if m:
            name, stack, spills = m[1], 0, 0
        m = re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line)
        if m:
            stack, spills = int(m[1]), int(m[2]) + int(m[3])
        m = re.search(r"Used (\d+) registers", line)
        if m and name:
            shared = re.search(r"(\d+) bytes smem", line)
            out[name] = (int(m[1]), int(shared[1]) if shared else 0, stack, spills)
    return out


def is_wrong(kernel, numbers):
    return bool(NO_SPILLS.match(kernel)) and (numbers[2] or numbers[3])


def assemble_all(ptxas, ptx, targets):
    """(module, sm, target) -> its kernels."""
    work = [(module, sm, target) for module, sm in ptx for target in targets if target >= sm]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        return dict(zip(work, pool.map(lambda w: assemble(ptxas, ptx[w[:2]], w[2]), work)))


def run_ptxas(ptx, targets):
    ptxas = find_ptxas()
    if not ptxas:
        print("no ptxas: install nvidia-cuda-nvcc-cu12 (tests/requirements.txt) or set PTXAS; skipped")
        return 0
    form = "%-44s %-4s %-6s %9s %7s %6s %7s"
    lines, bad, most = [form % ("kernel", "ptx", "target", "registers", "shared", "stack", "spilled")], [], 0
    for (module, sm, target), kernels in assemble_all(ptxas, ptx, targets).items():
        for kernel, numbers in sorted(kernels.items()):
            lines.append(form % (module + " " + kernel, sm, target, *numbers))
            most = max(most, numbers[0])
            if is_wrong(kernel, numbers):
                lines[-1] += "  <-- memory instead of registers"
                bad.append(lines[-1])
    with open(os.path.join(TOP, "build", "ptx.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    print("ptxas: %d modules for sm_%s: %d kernels, at most %d registers, %d with memory instead of registers (build/ptx.txt)" %
          (len(ptx), " ".join(map(str, targets)), len(lines) - 1, most, len(bad)))
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


def tune():
    """The most groups with which a kernel spills for no target: the fewest registers that do."""
    ptxas = find_ptxas()
    if not ptxas:
        sys.exit("no ptxas: see tools/ptx.py --help")
    plain, groups = compile_all(groups={}), {}
    for (module, sm, _), kernels in assemble_all(ptxas, plain, TARGETS).items():
        for kernel, numbers in kernels.items():
            if not is_wrong(kernel, numbers) or kernel in groups:
                continue
            items = int(re.search(r"\.entry %s\([^)]*\)\s*\.maxntid (\d+)" % kernel, plain[module, sm])[1])
            for n in range(65536 // items // (numbers[0] + 8), 0, -1):  # 65536 registers are shared by all groups
                text = with_groups(plain[module, sm], {kernel: n})
                if not any(is_wrong(kernel, assemble(ptxas, text, t, kernel)[kernel]) for t in TARGETS if t >= sm):
                    groups[kernel] = n
                    break
            else:
                print("%s spills in any case" % kernel)
    gpu.write(GROUPS, "# Written by tools/ptx.py --tune: kernels of which a multiprocessor holds at least so many groups.\n" +
              "".join("%s %d\n" % item for item in sorted(groups.items())))
    print("%d kernels tuned: %s" % (len(groups), groups))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--sizes", action="store_true")
    parser.add_argument("--ptxas", nargs="?", const=",".join(map(str, TARGETS)), metavar="SM,...")
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--module", default="")
    args = parser.parse_args()
    if not shutil.which(CLANG):
        print("no %s: the PTX is as committed; skipped" % CLANG)
        return 0 if args.check or args.ptxas else 1
    if args.tune:
        os.makedirs(CACHE, exist_ok=True)
        return tune()
    ptx = compile_all(args.module)
    if args.ptxas:
        return run_ptxas(ptx, [int(t) for t in args.ptxas.split(",")])
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
