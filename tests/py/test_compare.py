"""bench/compare.py and bench/report.py on canned results: what counts as done, the tables, the plot. Nothing is measured."""
import json
import types
import xml.etree.ElementTree as ET

import pytest

import compare
import gguf_read
import plot
import report
import synth


def record(test, ours, theirs, version="a", model="synthetic-1b-Q4_K_M.gguf", **change):
    return {"model": model, "test": test, "threads": 2, "isa": "native", "ingle": ours, "llama.cpp": theirs, "version": version,
            "peaks": {"table": "avx512", "int8": 4e11, "fma": 1e11, "read": 4e10}, "realtime": False,
            "work": {"bytes": 8e8, "kv_bytes": 32768, "macs": 1e9, "head_macs": 2.5e8, "floats": False},
            "machine": {"cpu": "A CPU", "cores": 2, "isa": "avx2", "compiler": "cc 1"}, "llama.cpp version": "x==1",
            "when": "2026-01-02 03:04:05", **change}


RECORDS = [record("pp512", 100, 100, "old"), record("pp512", 200, 100), record("pp512", 220, 100), record("pp512", 240, 150),
           record("tg64", 30, 15), record("first", 0.05, 0.5), record("pp512", 90, 100, model="other.gguf")]


def test_medians_of_the_newest_version():
    found = report.summary(RECORDS)[("native", 2)]["synthetic-1b-Q4_K_M.gguf"]
    assert (found["pp512"]["pairs"], found["pp512"]["ingle"], found["pp512"]["llama.cpp"]) == (3, 220, 100)
    assert found["pp512"]["ratio"] == 2.0  # the median of the pairs, not the ratio of the medians
    assert (found["pp512"]["low"], found["pp512"]["high"]) == (1.6, 2.2)
    assert found["pp512"]["part"] == pytest.approx((1e9 + 2.5e8 / 512) * 220 / 4e11)
    assert found["tg64"]["part"] == pytest.approx((8e8 + 32 * 32768) * 30 / 4e10)
    assert found["first"]["ratio"] == pytest.approx(10) and found["first"]["ingle"] == pytest.approx(50)


def test_tables():
    text = report.markdown(RECORDS)
    assert "| Q4_K_M | 220 / 100 = 2.00 (1.60-2.20) | 55 % |" in text
    assert "| other | 90.0 / 100 = 0.90 | 23 % |" in text
    assert "50.0 / 500 = 10.00" in text and "int8 400 and f32 100 GMAC/s, reading 40.0 GB/s" in text


def test_tables_go_between_the_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A\n<!-- bench/report.py -->\nold\n<!-- end -->\nrest\n")
    report.put_between(page, "new \\1")
    assert page.read_text() == "# A\n<!-- bench/report.py -->\n\nnew \\1\n\n<!-- end -->\nrest\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        report.put_between(page, "new")


def test_the_page_has_marks(top):
    text = (top / "docs/SPEED.md").read_text()
    assert text.count("<!-- bench/report.py -->") == text.count("<!-- end -->") == 1


def test_plot_is_xml_with_a_dot_per_number():
    root = ET.fromstring(plot.ratios(report.summary(RECORDS), report.label))
    titles = [e.text for e in root.iter("{http://www.w3.org/2000/svg}title")]
    assert "Q4_K_M, pp512, native, 2 threads: 2.00" in titles and "other, pp512, native, 2 threads: 0.90" in titles


def test_what_is_missing(tmp_path):
    path = tmp_path / "results.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in RECORDS) + '{"half a line')
    setup = types.SimpleNamespace(isa="native", threads=2, version="a", repetitions=4, results=str(path))
    model = "/somewhere/synthetic-1b-Q4_K_M.gguf"
    assert compare.missing(setup, model, ["pp512", "tg64", "pp16", "memory"]) == {"pp512": 1, "tg64": 3, "pp16": 4, "memory": 1}
    setup.version = "b"
    assert compare.missing(setup, model, ["pp512"]) == {"pp512": 4}


def test_work_of_a_model(tmp_path):
    path = tmp_path / "m.gguf"
    synth.synth(str(path), "Q8_0", 1, synth.TINY)
    s = synth.TINY
    layer = s["width"] * s["heads"] * s["head"] * 2 + s["width"] * s["kv_heads"] * s["head"] * 2 + 3 * s["width"] * s["ffn"]
    head = s["width"] * s["vocab"]
    assert gguf_read.work(path) == {"bytes": (layer * s["layers"] + head) // 32 * 34, "macs": layer * s["layers"],
                                    "kv_bytes": 2 * s["layers"] * s["kv_heads"] * 2 * s["head"], "head_macs": head,
                                    "floats": False}
