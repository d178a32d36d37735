#!/usr/bin/env python3
"""Writes a Llama-shaped GGUF file as a model folder for Transformers.js: ONNX with quantised weights and key/value inputs.

    bench/transformers_js/export.py MODEL.gguf FOLDER       (needs numpy, gguf, onnx)

Two graphs, named as Transformers.js wants them: q8 (8-bit weights, activations quantised as they come; its default for
WebAssembly) and q4 (blocks of 32 in MatMulNBits, which WebAssembly unpacks to floats at every use). Both use ONNX
Runtime's fused operators (GroupQueryAttention with rotary embedding inside, SimplifiedLayerNormalization) and compute
logits of the last position only, so they should be no slower than a usual export. The weights are rounded once more
than those of the GGUF file: the text may differ.
"""
import json
import os
import sys

import gguf
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BLOCK = 32
MS = "com.microsoft"


def four_bits(w):
    """Rows of w in blocks of 32 as (packed values, scales, packed zero points), low nibble first."""
    rows, width = w.shape
    x = w.reshape(rows, width // BLOCK, BLOCK)
    low, high = np.minimum(x.min(-1), 0), np.maximum(x.max(-1), 0)
    scale = np.where(high > low, (high - low) / 15, 1).astype(np.float32)
    zero = np.clip(np.rint(-low / scale), 0, 15).astype(np.uint8)
    q = np.clip(np.rint(x / scale[..., None]) + zero[..., None], 0, 15).astype(np.uint8)
    if zero.shape[1] % 2:
        zero = np.pad(zero, ((0, 0), (0, 1)))
    return q[..., 0::2] | q[..., 1::2] << 4, scale, zero[:, 0::2] | zero[:, 1::2] << 4


def eight_bits(w):
    """w transposed as signed bytes, one scale a column."""
    scale = np.maximum(np.abs(w).max(1), 1e-9) / 127
    return np.rint(w / scale[:, None]).astype(np.int8).T, scale.astype(np.float32)


class Graph:
    def __init__(self, reader, kind):
        self.kind, self.rounded = kind, {}
        self.tensors = {t.name: t for t in reader.tensors}
        self.nodes, self.constants = [], []

    def weight(self, name):
        t = self.tensors[name]
        return gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32)

    def const(self, name, array):
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op, inputs, outputs, domain="", **attributes):
        outputs = [outputs] if isinstance(outputs, str) else outputs
        self.nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], domain=domain, **attributes))
        return outputs[0]

    def matmul(self, x, name, out):
        w = self.weight(name + ".weight")
        return self.matmul_q8(x, w, out) if self.kind == "q8" else self.matmul_q4(x, w, out)

    def matmul_q8(self, x, w, out):
        if x not in self.rounded:  # q, k and v have one input
            self.rounded[x] = [f"{x}.{n}" for n in ("q", "scale", "zero")]
            self.node("DynamicQuantizeLinear", [x], self.rounded[x])
        a, a_scale, a_zero = self.rounded[x]
        q, scale = eight_bits(w)
        b, b_scale = self.const(f"{out}.w", q), self.const(f"{out}.scale", scale)
        return self.node("MatMulIntegerToFloat", [a, b, a_scale, b_scale, a_zero], out, MS)

    def matmul_q4(self, x, w, out):
        q, scale, zero = four_bits(w)
        parts = [self.const(f"{out}.{n}", v) for n, v in (("q", q), ("scale", scale.ravel()), ("zero", zero.ravel()))]
        return self.node("MatMulNBits", [x, *parts], out, MS, K=w.shape[1], N=w.shape[0], bits=4, block_size=BLOCK,
                         accuracy_level=4)

    def embedding(self, ids, out):
        """One scale a row, 8 bits: the WebAssembly build has no GatherBlockQuantized."""
        w = self.weight("token_embd.weight")
        scale = np.maximum(np.abs(w).max(-1, keepdims=True), 1e-9) / 127
        rows = self.node("Gather", [self.const("embd.q", np.rint(w / scale).astype(np.int8)), ids], "embd.row")
        scales = self.node("Gather", [self.const("embd.scale", scale.astype(np.float32)), ids], "embd.row_scale")
        return self.node("Mul", [self.node("Cast", [rows], "embd.float", to=TensorProto.FLOAT), scales], out)


def settings(reader):
    get = lambda key: reader.fields["llama." + key].contents()
    s = {"layers": get("block_count"), "width": get("embedding_length"), "ffn": get("feed_forward_length"),
         "heads": get("attention.head_count"), "kv_heads": get("attention.head_count_kv"),
         "eps": get("attention.layer_norm_rms_epsilon"), "theta": get("rope.freq_base"), "context": 2048}
    return {**s, "head": s["width"] // s["heads"]}


def build(reader, kind):
    s, g = settings(reader), Graph(reader, kind)
    angles = np.outer(np.arange(s["context"]), s["theta"] ** -(np.arange(0, s["head"], 2) / s["head"]))
    cos, sin = g.const("cos", np.cos(angles).astype(np.float32)), g.const("sin", np.sin(angles).astype(np.float32))
    one, last = g.const("one", np.array([1], np.int64)), g.const("last", np.array([-1], np.int64))
    shape = g.node("Shape", ["attention_mask"], "mask.shape")
    total = g.node("Gather", [shape, g.const("axis", np.array(1, np.int64))], "total64")
    total = g.node("Cast", [total], "total", to=TensorProto.INT32)
    seen = g.node("ReduceSum", ["attention_mask", one], "seen1", keepdims=0)
    seen = g.node("Cast", [g.node("Sub", [seen, one], "seen64")], "seen", to=TensorProto.INT32)
    norm = {"axis": -1, "epsilon": s["eps"], "stash_type": 1}
    x = g.embedding("input_ids", "x")
    gamma = g.const("blk.0.norm", g.weight("blk.0.attn_norm.weight"))
    h = g.node("SimplifiedLayerNormalization", [x, gamma], "h.0", **norm)
    cache = []
    for i in range(s["layers"]):
        b = f"blk.{i}."
        q, k, v = (g.matmul(h, f"{b}attn_{n}", f"{b}{n}") for n in "qkv")
        past = [f"past_key_values.{i}.{n}" for n in ("key", "value")]
        present = [f"present.{i}.{n}" for n in ("key", "value")]
        cache.append((past, present))
        # GGUF files of this architecture have the rows of q and k in the interleaved order.
        a = g.node("GroupQueryAttention", [q, k, v, *past, seen, total, cos, sin], [f"{b}attn", *present], MS,
                   num_heads=s["heads"], kv_num_heads=s["kv_heads"], do_rotary=1, rotary_interleaved=1)
        a = g.matmul(a, f"{b}attn_output", f"{b}o")
        gamma = g.const(f"{b}ffn_norm", g.weight(f"{b}ffn_norm.weight"))
        h = g.node("SkipSimplifiedLayerNormalization", [x, a, gamma], [f"{b}h", "", "", f"{b}x"], MS, epsilon=s["eps"])
        x = f"{b}x"
        gate, up = g.matmul(h, f"{b}ffn_gate", f"{b}gate"), g.matmul(h, f"{b}ffn_up", f"{b}up")
        act = g.node("Mul", [gate, g.node("Sigmoid", [gate], f"{b}sigmoid")], f"{b}silu")
        f = g.matmul(g.node("Mul", [act, up], f"{b}act"), f"{b}ffn_down", f"{b}down")
        final = i + 1 == s["layers"]
        gamma = g.const(f"{b}next_norm", g.weight("output_norm.weight" if final else f"blk.{i + 1}.attn_norm.weight"))
        h = g.node("SkipSimplifiedLayerNormalization", [x, f, gamma], [f"{b}next", "", "", f"{b}y"], MS, epsilon=s["eps"])
        x = f"{b}y"
    h = g.node("Gather", [h, last], "h.last", axis=1)
    g.matmul(h, "output" if "output.weight" in g.tensors else "token_embd", "logits")
    return model(s, g, cache), s


def model(s, g, cache):
    value = helper.make_tensor_value_info
    kv = lambda name, length: value(name, TensorProto.FLOAT, ["batch_size", s["kv_heads"], length, s["head"]])
    inputs = [value("input_ids", TensorProto.INT64, ["batch_size", "sequence_length"]),
              value("attention_mask", TensorProto.INT64, ["batch_size", "total_sequence_length"])]
    outputs = [value("logits", TensorProto.FLOAT, ["batch_size", 1, "vocab"])]
    for past, present in cache:
        inputs += [kv(n, "past_sequence_length") for n in past]
        outputs += [kv(n, "total_sequence_length") for n in present]
    graph = helper.make_graph(g.nodes, "llama", inputs, outputs, g.constants)
    versions = [helper.make_opsetid("", 20), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, ir_version=10, opset_imports=versions)


def tokenizer(reader):
    get = lambda key: reader.fields["tokenizer.ggml." + key].contents()
    tokens, types = get("tokens"), get("token_type")
    special = [{"id": i, "content": t, "special": True, "normalized": False, "single_word": False, "lstrip": False,
                "rstrip": False} for i, (t, kind) in enumerate(zip(tokens, types)) if kind == 3]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    digits = {"type": "Digits", "individual_digits": True}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [digits, level]},
            "post_processor": None, "decoder": level,
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                      "vocab": {t: i for i, t in enumerate(tokens)}, "merges": get("merges")}}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    reader, folder = gguf.GGUFReader(sys.argv[1]), sys.argv[2]
    os.makedirs(os.path.join(folder, "onnx"), exist_ok=True)
    for kind, name in (("q8", "model_quantized.onnx"), ("q4", "model_q4.onnx")):
        graph, s = build(reader, kind)
        onnx.save(graph, os.path.join(folder, "onnx", name))
    eos = reader.fields["tokenizer.ggml.eos_token_id"].contents()
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": s["layers"],
              "hidden_size": s["width"], "intermediate_size": s["ffn"], "num_attention_heads": s["heads"],
              "num_key_value_heads": s["kv_heads"], "eos_token_id": eos, "bos_token_id": eos,
              "vocab_size": len(reader.fields["tokenizer.ggml.tokens"].data)}
    files = {"config.json": config, "generation_config.json": {"eos_token_id": eos, "bos_token_id": eos},
             "tokenizer.json": tokenizer(reader),
             "tokenizer_config.json": {"tokenizer_class": "GPT2Tokenizer", "clean_up_tokenization_spaces": False}}
    for name, content in files.items():
        with open(os.path.join(folder, name), "w") as f:
            json.dump(content, f)


if __name__ == "__main__":
    main()
