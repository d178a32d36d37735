#!/usr/bin/env python3
"""Runs everything that `make test` promises and ends with one line `N passed, M failed`.

    tools/test.py [SUITE...]        suites: unit gpu asan tsan arm fuzz py rust sane js app tauri (all by default)
    tools/test.py -k NAME [SUITE]   only programs and pytest items whose name holds NAME

unit   tests/unit/test_*.c in the release build
gpu    the kernels' generated files, PTX through ptxas, and the tests of tests/gpu that run on OpenCL devices (PoCL)
asan   tests/unit and all of tests/gpu, with the kernels as host C++, under AddressSanitizer and UBSan
tsan   those that start threads, under ThreadSanitizer
arm    the NEON kernels against the scalar ones, built for 64-bit ARM, under qemu-user (tools/cross.sh); skipped where
       the cross compiler or qemu is missing
fuzz   every seed of tests/fuzz/seeds/NAME through tests/fuzz/fuzz_NAME.c, under ASan and UBSan
py     tests/py with pytest, in a private environment under build/venv
rust   the crates: format, clippy, tests, documentation
sane   the crates' tests under AddressSanitizer, C and Rust together; only where named or with INGLE_TEST_ALL=1
js     the npm packages: format, lint, types, tests, build
app    examples/tauri-chat: the same, and its pages in Chromium
tauri  the plugin in real windows (WebKitGTK under Xvfb), driven by WebDriver

INGLE_TEST_ALL=1 runs what is left out to keep `make test` short: all cases of tests/gpu, all PTX through ptxas, sane.

A crash, a time-out, a failed build and a suite that runs nothing count as failures.
"""
import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import threading

import test_bindings
import venv_here
from suites import BUILD, ENV, JOBS, TIMEOUT, TOP, Suite, sh, pytest_suite

# Programs of tests/gpu that have something to do on real devices; drivers leak, so these run without sanitizers.
ON_DEVICES = ("attend", "linear", "opencl", "opencl_faults", "opencl_kernels", "route", "rows")
NOT_SANITIZED = ("opencl", "opencl_faults", "opencl_kernels")


def build(kind, targets=()):
    """Configures one variant and builds it or these targets; returns its folder, or None after printing the log's end."""
    folder = BUILD if kind == "release" else os.path.join(BUILD, kind)
    flags = {"release": ["-DINGLE_GPU_HOST=OFF"], "asan": ["-DINGLE_SANITIZE=address,undefined", "-DINGLE_SHARED_LIB=OFF"],
             "tsan": ["-DINGLE_SANITIZE=thread", "-DINGLE_SHARED_LIB=OFF", "-DINGLE_CLI=OFF"]}[kind]
    configure = ["cmake", "-S", TOP, "-B", folder, "-DCMAKE_BUILD_TYPE=Release", "-DINGLE_TESTS=ON", *flags]
    if os.environ.get("CI") and kind == "release":
        configure.append("-DINGLE_WERROR=ON")
    if shutil.which("ninja") and not os.path.exists(os.path.join(folder, "CMakeCache.txt")):
        configure += ["-G", "Ninja"]
    r = sh(configure)
    if r.returncode == 0:
        # Keep going: one broken test program must not hide the others.
        keep = "-k0" if os.path.exists(os.path.join(folder, "build.ninja")) else "-k"
        named = ["--target", *targets] if targets else []
        r = sh(["cmake", "--build", folder, "-j", str(JOBS), *named, "--", keep])
    if r.returncode:
        print("\n".join(r.stdout.splitlines()[-60:]))
        return folder, False
    return folder, True


def wanted(path, args):
    return not args.k or args.k in os.path.basename(path)


def sources(pattern, args):
    return [p for p in sorted(glob.glob(os.path.join(TOP, pattern))) if wanted(p, args)]


def run_program(command):
    # PoCL ends a process whose kernels another one compiles into the same folder: one for each thread.
    folder = os.path.join(BUILD, "pocl", threading.current_thread().name.rpartition("_")[2])
    os.makedirs(folder, exist_ok=True)
    try:
        env = dict(ENV, POCL_CACHE_DIR=folder)
        if "gpu_test" in command[0]:  # each fiber of the host device would get a second stack
            env["ASAN_OPTIONS"] = env["ASAN_OPTIONS"].replace("after_return=1", "after_return=0")
        r = sh(command, env=env, timeout=TIMEOUT)
        return r.returncode, r.stdout
    except subprocess.TimeoutExpired as e:
        out = e.stdout or b""
        return None, (out.decode(errors="replace") if isinstance(out, bytes) else out)
    except OSError as e:
        return 127, str(e)


def count_cmocka(code, out):
    """(passed, failed, skipped) from cmocka's output and the exit status; a crash is a failure."""
    ran = len(re.findall(r"^\[ RUN      \]", out, re.M))
    passed = len(re.findall(r"^\[       OK \]", out, re.M))
    skipped = len(re.findall(r"^\[  SKIPPED \] [A-Za-z_]\w*$", out, re.M))
    passed, failed = passed, max(ran - passed - skipped, 0)
    if (code != 0 and failed == 0) or ran == 0:
        failed += 1
    return passed, failed, skipped


def unit(name, kind, programs, args, before=None):
    suite = Suite(name)
    if before:
        before(suite)
    names = [("gpu_" if "/gpu/" in p else "") + os.path.splitext(os.path.basename(p))[0] for p in programs]
    folder, ok = build(kind, names if kind == "tsan" else ())
    if not ok:
        suite.fail(f"the {kind} build failed")
    paths = [os.path.join(folder, "tests", name) for name in names]
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for path, (code, out) in zip(paths, pool.map(lambda p: run_program([p]), paths)):
            passed, failed, skipped = count_cmocka(code, out)
            suite.add(passed, failed, skipped)
            if failed:
                end = "timed out" if code is None else f"exit status {code}"
                print(f"==== {name} {os.path.basename(path)}: {end}")
                print("\n".join(out.splitlines()[-60:]), flush=True)
    suite.done()
    return suite


def run_unit(args):
    return unit("unit", "release", sources("tests/unit/test_*.c", args), args)


def generated(suite):
    """What src/gpu/gen holds is what the kernels say, and ptxas takes it for every GPU without spills. tools/ptx.py says what
    it leaves out where clang-14 or ptxas are missing."""
    # All of PTX takes minutes to make anew and to assemble: tests/py/test_ptx.py looks at hashes and one module.
    ptx = [["ptx.py", "--check"], ["ptx.py", "--ptxas"]] if os.environ.get("INGLE_TEST_ALL") else []
    for command in (["gpu.py", "--check"], *ptx):
        r = sh([sys.executable, os.path.join(TOP, "tools", command[0]), *command[1:]])
        suite.add(r.returncode == 0, r.returncode != 0)
        if r.stdout.strip():
            print(r.stdout.strip()[-6000:], flush=True)


def run_gpu(args):
    programs = [p for name in ON_DEVICES for p in sources(f"tests/gpu/test_{name}.c", args)]
    return unit("gpu", "release", programs, args, None if args.k else generated) if programs else None


def run_asan(args):
    return unit("asan", "asan", sources("tests/unit/test_*.c", args)
                + [p for p in sources("tests/gpu/test_*.c", args) if os.path.basename(p)[5:-2] not in NOT_SANITIZED], args)


def run_tsan(args):
    texts = {p: open(p).read() for p in sources("tests/unit/test_*.c", args)}
    threaded = [p for p, text in texts.items()
                if re.search(r"pthread|ig_thread|ig_os_thread|\"threads\"", text) and "not under TSan" not in text]
    if not threaded:
        return None
    return unit("tsan", "tsan", threaded, args)


def run_arm(args):
    programs = [n for n in ("test_kernels", "test_linear_quant") if args.k in n]
    if not programs:
        return None
    suite = Suite("arm")
    r = sh(["sh", "tools/cross.sh", *programs])
    if r.returncode == 77:
        print("arm: skipped: " + r.stdout.strip())
        return None
    passed, failed, skipped = count_cmocka(r.returncode, r.stdout)
    suite.add(passed, failed, skipped)
    if failed:
        print("\n".join(r.stdout.splitlines()[-60:]), flush=True)
    suite.done()
    return suite


def run_fuzz(args):
    targets = sources("tests/fuzz/fuzz_*.c", args)
    if not targets:
        return None
    suite = Suite("fuzz")
    folder, ok = build("asan")
    if not ok:
        suite.fail("the asan build failed")
    for target in targets:
        name = os.path.splitext(os.path.basename(target))[0]
        seeds = os.path.join(TOP, "tests", "fuzz", "seeds", name[len("fuzz_"):])
        code, out = run_program([os.path.join(folder, "tests", name), seeds])
        count = re.search(r"^(\d+) inputs$", out, re.M)
        if code == 0 and count and int(count.group(1)) > 0:
            suite.add(1, 0)
        else:
            print("\n".join(out.splitlines()[-40:]))
            suite.fail(f"{name} on {os.path.relpath(seeds, TOP)}: exit status {code}")
    suite.done()
    return suite


def run_py(args):
    suite = Suite("py")
    _, ok = build("release")
    if not ok:
        suite.fail("the release build failed")
    try:
        python = venv_here.ensure(os.path.join(TOP, "tests", "requirements.txt"))
    except venv_here.Failed as e:
        suite.fail(str(e))
        suite.done()
        return suite
    env = dict(ENV, INGLE_BIN=os.environ.get("INGLE_BIN", os.path.join(BUILD, "ingle")), INGLE_BUILD=BUILD)
    pytest_suite(suite, python, ["-n", str(JOBS), "tests/py"] + (["-k", args.k] if args.k else []), env)
    suite.done()
    return suite


def fetch(names):
    """What comes over the network, while the compiler works: it is waited for in main, before the suites that need it."""
    try:
        if "py" in names:
            venv_here.ensure(os.path.join(TOP, "tests", "requirements.txt"))
    except venv_here.Failed:
        pass  # the suite says so
    if "rust" in names and shutil.which("cargo"):
        sh(["cargo", "fetch", "--locked"])


SUITES = {"unit": run_unit, "gpu": run_gpu, "asan": run_asan, "tsan": run_tsan, "arm": run_arm, "fuzz": run_fuzz, "py": run_py, **test_bindings.SUITES}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-k", metavar="NAME", default="")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=" ".join(SUITES))
    args = parser.parse_args()
    for name in args.suites:
        if name not in SUITES:
            parser.error(f"no suite {name}; there are: {' '.join(SUITES)}")
    os.makedirs(BUILD, exist_ok=True)
    unpack = sh(["sh", "tools/golden/unpack.sh"])
    results = []
    if unpack.returncode:
        suite = Suite("golden data")
        suite.fail("cannot unpack: " + unpack.stdout)
        suite.done()
        results.append(suite)
    names = args.suites or [name for name in SUITES if name != "sane" or os.environ.get("INGLE_TEST_ALL")]
    fetching = threading.Thread(target=fetch, args=(names,), daemon=True)
    fetching.start()
    for name in names:
        if name in ("py", *test_bindings.SUITES):
            fetching.join()
        results.append(SUITES[name](args))
    results = [r for r in results if r]
    passed, failed, skipped = (sum(getattr(r, a) for r in results) for a in ("passed", "failed", "skipped"))
    if not results:
        failed = 1
        print("no test ran")
    print(f"{sum(r.seconds for r in results):.0f} s in all; "
          + ", ".join(f"{r.name} {r.passed}/{r.passed + r.failed}" for r in results))
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
