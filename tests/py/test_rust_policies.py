"""What the crates stand on: few crates, licences that fit, nothing that needs more than a C compiler."""
import json
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DENY = tomllib.loads((ROOT / "deny.toml").read_text())

pytestmark = pytest.mark.skipif(not shutil.which("cargo"), reason="cargo is not installed")


def metadata():
    done = subprocess.run(["cargo", "metadata", "--format-version=1", "--filter-platform=x86_64-unknown-linux-gnu"],
                          cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def tree(name, features):
    """(name, version) of everything a program gets by depending on the crate."""
    done = subprocess.run(["cargo", "tree", "-p", name, "-e", "normal,build", "--prefix", "none", *features], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {tuple(line.split()[:2]) for line in done.stdout.splitlines() if line.strip()}


def test_the_tree_of_ingle_is_small_and_has_no_crate_twice():
    small, full = tree("ingle", ["--no-default-features"]), tree("ingle", ["--all-features"])
    print(f"crates: {len(small)} without features, {len(full)} with all")
    assert len(small) <= 32, sorted(small)
    assert len(full) <= 70, sorted(full)
    for crates in (small, full):
        names = [name for name, _ in crates]
        assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)
    banned = {row["crate"] for row in DENY["bans"]["deny"]}
    assert banned and not banned & {name for name, _ in full}


def test_licences_are_on_the_list():
    allowed = set(DENY["licenses"]["allow"])
    wanted = {name for name, _ in tree("ingle", ["--all-features"])}
    for package in metadata()["packages"]:
        if package["name"] not in wanted:
            continue
        licence = (package["license"] or "").replace("/", " OR ").replace("(", "").replace(")", "")
        # One of the alternatives; a conjunction needs all of its parts.
        fits = any(all(part.strip() in allowed for part in choice.split(" AND ")) for choice in licence.split(" OR "))
        assert fits, f"{package['name']}: {package['license']}"


def test_our_own_manifests_say_what_a_registry_wants():
    for package in metadata()["packages"]:
        if package["name"] in ("ingle", "ingle-sys", "tauri-plugin-ingle"):
            assert package["license"] == "Apache-2.0" and package["version"] == "0.1.0"
            assert package["description"] and package["repository"] and package["rust_version"]


def test_cargo_deny():
    if not shutil.which("cargo-deny"):
        pytest.skip("cargo-deny is not installed")
    done = subprocess.run(["cargo-deny", "--offline", "check", "licenses", "bans", "sources"], cwd=ROOT, capture_output=True,
                          text=True)
    assert done.returncode == 0, done.stderr[-4000:]
