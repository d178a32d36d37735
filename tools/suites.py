"""What the parts of the test runner share: where things are, a suite's count, running a command."""
import os
import subprocess
import time
import xml.etree.ElementTree as ET

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build")
JOBS = os.cpu_count() or 2
TIMEOUT = int(os.environ.get("INGLE_TEST_TIMEOUT", "600"))
ENV = dict(
    {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")},
    INGLE_GOLDEN=os.path.join(TOP, "tests", "golden"),
    INGLE_GOLDEN_BUILD=os.path.join(BUILD, "golden"),
    ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=1",
    UBSAN_OPTIONS="print_stacktrace=1",
    TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1",
)


class Suite:
    def __init__(self, name):
        self.name, self.passed, self.failed, self.skipped = name, 0, 0, 0
        self.start = time.time()
        self.seconds = 0.0

    def add(self, passed, failed, skipped=0):
        self.passed, self.failed, self.skipped = (self.passed + passed, self.failed + failed,
                                                  self.skipped + skipped)

    def fail(self, text):
        print(f"FAILED {self.name}: {text}", flush=True)
        self.failed += 1

    def done(self):
        if not self.passed and not self.failed:
            self.fail("no test ran")
        self.seconds = time.time() - self.start
        print(f"-- {self.name}: {self.passed} passed, {self.failed} failed, {self.skipped} skipped "
              f"({self.seconds:.0f} s)", flush=True)


def sh(args, **kw):
    return subprocess.run(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", **{"cwd": TOP, "env": ENV, **kw})


def pytest_suite(suite, python, arguments, env):
    """Runs pytest and adds what its report says to the suite."""
    report = os.path.join(BUILD, f"pytest-{suite.name}.xml")
    if os.path.exists(report):
        os.remove(report)
    r = subprocess.run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", report, *arguments],
                       cwd=TOP, env=env, stdin=subprocess.DEVNULL)
    try:
        s = next(ET.parse(report).getroot().iter("testsuite"))
        n = {k: int(s.get(k, 0)) for k in ("tests", "failures", "errors", "skipped")}
        failed = n["failures"] + n["errors"]
        suite.add(n["tests"] - failed - n["skipped"], failed, n["skipped"])
        if r.returncode not in (0, 1, 5):
            suite.fail(f"pytest ended with status {r.returncode}")
    except (OSError, ET.ParseError, StopIteration) as e:
        suite.fail(f"pytest left no report ({e})")
