"""Every golden conversation through the command line: `ingle template --template FILE --input CASE.json`."""
import json
import subprocess

import pytest


@pytest.fixture(scope="module")
def goldens(golden_build):
    path = golden_build / "templates.json"
    assert path.exists(), f"{path} is missing: run tools/golden/unpack.sh"
    return json.loads(path.read_text(encoding="utf-8"))


def test_goldens(ingle, goldens, tmp_path):
    wrong = []
    for n, case in enumerate(goldens["cases"]):
        template, file = tmp_path / case["template"], tmp_path / "case.json"
        template.write_text(goldens["templates"][case["template"]], encoding="utf-8", newline="")
        file.write_text(json.dumps({k: v for k, v in case.items() if k not in ("expected", "error")}), encoding="utf-8")
        done = subprocess.run([ingle, "template", "--template", template, "--input", file], capture_output=True, timeout=60)
        if "expected" in case:
            good = done.returncode == 0 and done.stdout.decode() == case["expected"]
        else:
            what = case["error"].split(": ", 1)[1]
            good = done.returncode == 1 and not done.stdout and what in done.stderr.decode()
        if not good:
            wrong.append((case["template"], case["case"], done.returncode, done.stderr.decode()[:200]))
    assert not wrong
    assert n == 431
