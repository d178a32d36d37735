#!/usr/bin/env python3
"""Copies a GGUF file with its matrices in another block type, to compare engines on a type that each of them likes.

    bench/requantize.py IN.gguf OUT.gguf [--type Q8_0]       (needs numpy and gguf; types: Q8_0 Q4_0 Q4_1 Q5_0 Q5_1)

Rounding what was rounded before costs quality; the copy is for measuring speed.
"""
import argparse
import sys

import gguf


def fields(reader, writer):
    for f in reader.fields.values():
        if f.name.startswith("GGUF.") or f.name in ("general.architecture", "general.file_type"):
            continue
        sub = f.types[1] if len(f.types) > 1 else None
        writer.add_key_value(f.name, f.contents(), f.types[0], sub)


def requantize(source, target, kind):
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, reader.fields["general.architecture"].contents())
    fields(reader, writer)
    writer.add_file_type(gguf.LlamaFileType[f"MOSTLY_{kind.name}"])
    for t in reader.tensors:
        data, stored = t.data, t.tensor_type
        if len(t.shape) == 2 and stored not in (gguf.GGMLQuantizationType.F32, kind):
            data, stored = gguf.quants.quantize(gguf.quants.dequantize(t.data, stored), kind), kind
        writer.add_tensor(t.name, data, raw_dtype=stored)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("source")
    p.add_argument("target")
    p.add_argument("--type", default="Q8_0", choices=["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
    a = p.parse_args()
    try:
        requantize(a.source, a.target, gguf.GGMLQuantizationType[a.type])
    except (OSError, ValueError) as e:
        sys.exit(f"error: {e}")


if __name__ == "__main__":
    main()
