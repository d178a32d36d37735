#!/usr/bin/env python3
"""Make GGUF goldens from the golden model folders with a llama.cpp checkout's own converter.

    gguf.py --llama-cpp DIR --out DIR [--type bf16|f16|f32] FOLDER ...

The tiny tokenizer of the goldens is unknown to the converter, which knows real ones by a hash, so it is
written as plain GPT-2 byte-level BPE whatever the family. Prints one line a folder: ok, or why not.
Needs torch, transformers, safetensors, and DIR/conversion of llama.cpp of September 2026 or later.
"""
import argparse
import logging
import os
import sys
from pathlib import Path


ALIASES = {"MptForCausalLM": "MPTForCausalLM", "PhimoeForCausalLM": "PhiMoEForCausalLM",
           "Ministral3ForCausalLM": "Mistral3ForConditionalGeneration"}


def older_names(h):
    """Give back the configuration names that the converter asks for and transformers 5 no longer writes."""
    kind = h.get("model_type")
    r = h.get("rope_parameters") or {}
    if kind == "gpt_neox":
        h.setdefault("rotary_pct", r.get("partial_rotary_factor", 1.0))
        h.setdefault("rotary_emb_base", r.get("rope_theta", 10000.0))
    if kind == "cohere2":
        h.setdefault("rotary_pct", 1.0)
    if kind == "gpt2":
        h.setdefault("n_ctx", h["n_positions"])
    if kind == "hunyuan_v1_moe":
        h.setdefault("moe_intermediate_size", [h["intermediate_size"]] * h["num_hidden_layers"])
        h.setdefault("num_shared_expert", [1] * h["num_hidden_layers"])
        h["moe_topk"] = [h["moe_topk"]] * h["num_hidden_layers"]
    if kind == "falcon" and h.get("multi_query") and not h.get("new_decoder_architecture"):
        h["n_head_kv"] = h["num_kv_heads"] = 1
    if kind == "dots1":
        h.setdefault("scoring_func", "sigmoid")
    return h


def convert(folder, outfile, kind, fuse):
    import torch
    import gguf
    from conversion import ModelBase, ModelType, get_model_architecture, get_model_class
    from conversion.base import TextModel

    folder = Path(folder)
    TextModel.get_vocab_base_pre = lambda self, tokenizer: "gpt-2"
    with torch.inference_mode():
        hparams = older_names(ModelBase.load_hparams(folder, False))
        name = get_model_architecture(hparams, ModelType.TEXT)
        base = get_model_class(ALIASES.get(name, name))
        over = {"model_arch": base.model_arch, "set_vocab": TextModel._set_vocab_gpt2}
        if hparams["model_type"] == "baichuan":  # the converter's own method calls itself without end
            own = base.modify_tensors

            def modify(self, t, name, bid):
                return own(self, t, name, bid) if "W_pack" in name else [(self.map_tensor_name(name), t)]
            over["modify_tensors"] = modify
        cls = type(base.__name__, (base,), over)
        ftype = {"bf16": gguf.LlamaFileType.MOSTLY_BF16, "f16": gguf.LlamaFileType.MOSTLY_F16,
                 "f32": gguf.LlamaFileType.ALL_F32}[kind]
        cls(folder, ftype, Path(outfile), eager=True, hparams=hparams, model_name="golden",
            fuse_qkv=fuse, fuse_gate_up_exps=fuse).write()


def split_experts(path, out):
    """Rewrite a llama GGUF with one tensor an expert, as Mixtral files of 2023 are."""
    import gguf
    import numpy as np

    reader, writer = gguf.GGUFReader(path), gguf.GGUFWriter(out, "llama")
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        if field.types[0] == gguf.GGUFValueType.ARRAY:
            writer.add_array(key, field.contents())
        else:
            writer.add_key_value(key, field.contents(), field.types[0])
    for t in reader.tensors:
        parts = t.data if "_exps" in t.name else [t.data]
        for i, part in enumerate(parts):
            writer.add_tensor(t.name.replace("_exps", ".%d" % i), np.ascontiguousarray(part), raw_dtype=t.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--llama-cpp", required=True)
    a.add_argument("--out", required=True)
    a.add_argument("--type", choices=("bf16", "f16", "f32"), default="bf16")
    a.add_argument("--fuse", action="store_true", help="fused q|k|v and gate|up; the file's name gets -fused")
    a.add_argument("--split-experts", action="store_true", help="also write NAME-split.gguf with a tensor an expert")
    a.add_argument("folders", nargs="+")
    a = a.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]  # this file is called gguf, too
    sys.path[:0] = [a.llama_cpp, os.path.join(a.llama_cpp, "gguf-py")]
    logging.disable(logging.WARNING)
    os.makedirs(a.out, exist_ok=True)
    failed = 0
    for folder in a.folders:
        name = os.path.basename(folder.rstrip("/"))
        out = os.path.join(a.out, name + ("-fused" if a.fuse else "") + ".gguf")
        try:
            convert(folder, out, a.type, a.fuse)
            if a.split_experts:
                split_experts(out, out.replace(".gguf", "-split.gguf"))
            print("%-28s ok" % name, flush=True)
        except BaseException as e:
            if os.path.exists(out):
                os.remove(out)
            failed += 1
            print("%-28s %s: %s" % (name, type(e).__name__, str(e)[:160]), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
