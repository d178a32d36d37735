"""Builds the two programs that bench/driver.c becomes: linked with ingle and linked with llama.cpp.

llama.cpp comes as source inside the package llama-cpp-python (pip download), at one pinned version, and is built here
for this very CPU with its own defaults (Release, GGML_NATIVE), or for AVX2 alone. Nothing of it enters this repository.
"""
import glob
import hashlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tarfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
HERE = os.path.join(TOP, "build", "bench")
PACKAGE = "llama-cpp-python==0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"

sys.path.insert(0, os.path.join(TOP, "tools"))


SYSTEM = ["-lm", "-lpthread"] + ([] if sys.platform == "darwin" else ["-ldl"])


class Failed(Exception):
    pass


def say(text):
    print(text, file=sys.stderr, flush=True)


def sh(args, what, **kw):
    r = subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if r.returncode:
        raise Failed(f"{what} failed:\n{r.stdout[-3000:]}")
    return r.stdout


def timed(steps, what, **kw):
    """Wall and CPU seconds of a list of commands."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.time()
    for step in steps:
        sh(step, what, **kw)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"wall_seconds": round(time.time() - start, 2),
            "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)}


def machine():
    name = platform.processor()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as f:
            names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
        name = names[0] if names else name
    flags = ""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as f:
            found = next((line for line in f if line.startswith("flags")), "").split()
        flags = " ".join(n for n in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8") if n in found)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cpu": name, "cores": os.cpu_count(), "isa": flags, "memory_gib": round(memory / 2 ** 30),
            "system": platform.system(), "compiler": sh(["cc", "--version"], "cc").splitlines()[0]}


# ---- llama.cpp ----------------------------------------------------------------------------------------------------


def llama_source():
    folder = os.path.join(HERE, "llama.cpp")
    if os.path.exists(os.path.join(folder, "CMakeLists.txt")):
        return folder
    from get_model import python_with_pip
    os.makedirs(HERE, exist_ok=True)
    say(f"Fetching the source of llama.cpp ({PACKAGE}, 77 MB)")
    sh([python_with_pip(), "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "--no-binary",
        "llama-cpp-python", "-d", HERE, PACKAGE], "pip download (is this machine online?)")
    archive = glob.glob(os.path.join(HERE, "llama_cpp_python-*.tar.gz"))[0]
    with open(archive, "rb") as f:
        if hashlib.sha256(f.read()).hexdigest() != SHA256:
            raise Failed(f"{archive} is not the version this comparison is pinned to")
    unpacked = os.path.join(HERE, "unpacked")
    shutil.rmtree(unpacked, ignore_errors=True)
    with tarfile.open(archive) as t:
        t.extractall(unpacked)
    os.replace(glob.glob(os.path.join(unpacked, "*", "vendor", "llama.cpp"))[0], folder)
    shutil.rmtree(unpacked)
    os.remove(archive)
    return folder


def generator():
    return ["-G", "Ninja"] if shutil.which("ninja") else []


# What cmake is told per instruction set, beside the default of this very CPU.
LLAMA_ISA = {"native": [], "avx2": ["-DGGML_NATIVE=OFF", "-DGGML_SSE42=ON", "-DGGML_AVX=ON", "-DGGML_AVX2=ON", "-DGGML_FMA=ON",
                                    "-DGGML_F16C=ON", "-DGGML_BMI2=ON", "-DGGML_AVX_VNNI=OFF", "-DGGML_AVX512=OFF"]}


def build_llama(isa="native"):
    """Path of the stripped driver and the build's times (measured once, kept in a file)."""
    source, suffix = llama_source(), "" if isa == "native" else "-" + isa
    build, note = os.path.join(HERE, "llama-build" + suffix), os.path.join(HERE, f"llama-build{suffix}.json")
    if not os.path.exists(note):
        say(f"Building llama.cpp, {isa} (a few minutes, once)")
        shutil.rmtree(build, ignore_errors=True)
        options = ["-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=OFF", "-DLLAMA_BUILD_TESTS=OFF",
                   "-DLLAMA_BUILD_EXAMPLES=OFF", "-DLLAMA_BUILD_TOOLS=OFF", "-DLLAMA_BUILD_SERVER=OFF",
                   "-DLLAMA_BUILD_APP=OFF", "-DLLAMA_BUILD_COMMON=OFF"]
        times = timed([["cmake", "-S", source, "-B", build, *generator(), *options, *LLAMA_ISA[isa]],
                       ["cmake", "--build", build, "-j", str(os.cpu_count()), "--target", "llama"]],
                      "building llama.cpp")
        with open(note, "w") as f:
            json.dump(times, f)
    with open(note) as f:
        times = json.load(f)
    out = os.path.join(HERE, "driver-llama" + suffix)
    libs = [os.path.join(build, *p) for p in (("src", "libllama.a"), ("ggml", "src", "libggml.a"),
                                              ("ggml", "src", "libggml-cpu.a"), ("ggml", "src", "libggml-base.a"))]
    link_driver(out, "driver_llama.c", [f"-I{source}/include", f"-I{source}/ggml/include"], libs,
                ["c++", "-fopenmp"] if sys.platform != "darwin" else ["c++"])
    return out, times


# ---- ingle --------------------------------------------------------------------------------------------------------


INGLE_BUILD = os.path.join(HERE, "ingle-build")
CONFIGURE = ["-DCMAKE_BUILD_TYPE=Release", "-DINGLE_CLI=OFF", "-DINGLE_SHARED_LIB=OFF"]


def build_ingle():
    """Brings the static library up to date; paths of the stripped driver and of the bench of the kernels."""
    timed([["cmake", "-S", TOP, "-B", INGLE_BUILD, *generator(), *CONFIGURE],
           ["cmake", "--build", INGLE_BUILD, "-j", str(os.cpu_count())]], "building ingle")
    library = os.path.join(INGLE_BUILD, "libingle.a")
    out, kernels = os.path.join(HERE, "driver-ingle"), os.path.join(HERE, "kernels")
    link_driver(out, "driver_ingle.c", [f"-I{TOP}/include"], [library], ["cc"])
    sources = [os.path.join(TOP, "bench", name) for name in ("kernels.c", "peaks.c", "together.c")]
    sh(["cc", "-std=c11", "-O2", f"-I{TOP}/src", f"-I{TOP}/include", *sources, library, "-o", kernels, *SYSTEM],
       "the bench of the kernels")
    return out, kernels


def clean_build_ingle():
    """Seconds of a build from nothing."""
    shutil.rmtree(INGLE_BUILD, ignore_errors=True)
    return timed([["cmake", "-S", TOP, "-B", INGLE_BUILD, *generator(), *CONFIGURE],
                  ["cmake", "--build", INGLE_BUILD, "-j", str(os.cpu_count())]], "building ingle")


def link_driver(out, source, includes, libs, linker):
    objects = []
    for name in ("driver.c", "driver_perplexity.c", source):
        objects.append(os.path.join(HERE, f"{os.path.basename(out)}-{name}.o"))
        sh(["cc", "-std=c11", "-O2", *includes, "-c", os.path.join(TOP, "bench", name), "-o", objects[-1]], name)
    apple = ["-framework", "Accelerate", "-framework", "Foundation"] if sys.platform == "darwin" else []
    sh([*linker, "-o", out, *objects, *libs, *SYSTEM, *apple], f"linking {out}")
    sh(["strip", out], "strip")


def run(driver, *args, timeout=3600, env=None):
    r = subprocess.run([driver, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=timeout, env=env)
    if r.returncode:
        raise Failed(f"{os.path.basename(driver)} ended with {r.returncode}: {r.stderr.strip()[-500:]}")
    return json.loads(r.stdout)


def find_model(name):
    """A path, or a name in the model store."""
    from get_model import store
    for path in (name, os.path.join(store(), name), os.path.join(store(), name + ".gguf")):
        if os.path.exists(path):
            return path
    raise Failed(f"no file {name}, and no model of that name in {store()}")
