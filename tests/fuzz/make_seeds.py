#!/usr/bin/env python3
"""Writes the seeds of the targets whose inputs are too long to type: whole models of a few kilobytes, one for each kind of
layer (arch, folder), vocabularies of each kind (vocab) and templates."""
import json
import os
import random
import struct
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "tests", "py"))
from gguf_edit import F32, Gguf, I32, STRING, Tensor, U32  # noqa: E402

E, HEADS, KV, HEAD, FF, VOCAB, LAYERS = 8, 2, 1, 4, 8, 12, 2


def matrix(rng, name, *dims):
    n = 1
    for d in dims:
        n *= d
    return Tensor(name, dims, 30, b"".join(struct.pack("<f", rng.gauss(0, 0.1))[2:] for _ in range(n)))


def vector(name, n):
    return Tensor(name, [n], 0, struct.pack("<f", 1.0) * n)


def model(family, layer, extra=(), keys=(), output=True):
    rng = random.Random(family)
    g = Gguf()
    g.set("general.architecture", STRING, family)
    for k, v in (("block_count", LAYERS), ("context_length", 64), ("embedding_length", E), ("feed_forward_length", FF),
                 ("attention.head_count", HEADS), ("attention.head_count_kv", KV), ("rope.dimension_count", HEAD),
                 ("attention.key_length", HEAD), ("attention.value_length", HEAD)):
        g.set(f"{family}.{k}", U32, v)
    g.set(f"{family}.attention.layer_norm_rms_epsilon", F32, 1e-5)
    for k, t, v in keys:
        g.set(f"{family}.{k}", t, v)
    g.set("tokenizer.ggml.model", STRING, "gpt2").set("tokenizer.ggml.pre", STRING, "gpt-2")
    g.array("tokenizer.ggml.tokens", STRING, ["<s>", "</s>", "a", "b", "c", "ab", "\u0120", "e", "f", "g", "h", "i"])
    g.array("tokenizer.ggml.token_type", I32, [3, 3] + [1] * 10).array("tokenizer.ggml.merges", STRING, ["a b"])
    g.set("tokenizer.ggml.bos_token_id", U32, 0).set("tokenizer.ggml.eos_token_id", U32, 1)
    g.tensors = [matrix(rng, "token_embd.weight", E, VOCAB), vector("output_norm.weight", E)]
    if output:
        g.tensors.append(matrix(rng, "output.weight", E, VOCAB))
    g.tensors += [vector(n, k) for n, k in extra]
    for i in range(LAYERS):
        for name, *dims in layer:
            full = f"blk.{i}.{name}"
            g.tensors.append(vector(full, dims[0]) if len(dims) == 1 else matrix(rng, full, *dims))
    return g


ATTENTION = [("attn_norm.weight", E), ("attn_q.weight", E, HEADS * HEAD), ("attn_k.weight", E, KV * HEAD),
             ("attn_v.weight", E, KV * HEAD), ("attn_output.weight", HEADS * HEAD, E), ("ffn_norm.weight", E)]
GATED = [("ffn_gate.weight", E, FF), ("ffn_up.weight", E, FF), ("ffn_down.weight", FF, E)]
EXPERTS = [("ffn_gate_inp.weight", E, 4), ("ffn_gate_exps.weight", E, FF, 4), ("ffn_up_exps.weight", E, FF, 4),
           ("ffn_down_exps.weight", FF, E, 4)]
QK = [("attn_q_norm.weight", HEAD), ("attn_k_norm.weight", HEAD)]
BIAS = [("attn_q.bias", HEADS * HEAD), ("attn_k.bias", KV * HEAD), ("attn_v.bias", KV * HEAD)]
MOE = [("expert_count", U32, 4), ("expert_used_count", U32, 2)]

SEEDS = {
    "llama": model("llama", ATTENTION + GATED),
    "llama-rope-factors": model("llama", ATTENTION + GATED, extra=[("rope_freqs.weight", HEAD // 2)]),
    "llama-experts": model("llama", ATTENTION + EXPERTS, keys=MOE),
    "qwen2": model("qwen2", ATTENTION + BIAS + GATED, output=False),
    "qwen3": model("qwen3", ATTENTION + QK + GATED),
    "qwen3moe": model("qwen3moe", ATTENTION + QK + EXPERTS, keys=MOE + [("expert_feed_forward_length", U32, FF)]),
    "gemma3": model("gemma3", ATTENTION + QK + GATED + [("post_attention_norm.weight", E), ("post_ffw_norm.weight", E)],
                    keys=[("attention.sliding_window", U32, 8)]),
    "phi3": model("phi3", [("attn_norm.weight", E), ("attn_qkv.weight", E, (HEADS + 2 * KV) * HEAD),
                           ("attn_output.weight", HEADS * HEAD, E), ("ffn_norm.weight", E),
                           ("ffn_up.weight", E, 2 * FF), ("ffn_down.weight", FF, E)]),
}


HF = {"hidden_size": E, "intermediate_size": FF, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
      "num_key_value_heads": KV, "head_dim": HEAD, "vocab_size": VOCAB, "max_position_embeddings": 64,
      "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": False}
NAMES = {"attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
         "attn_q_norm": "self_attn.q_norm", "attn_k_norm": "self_attn.k_norm"}
FOLDERS = {
    "llama": (ATTENTION + GATED, {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                                   "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}),
    "qwen3": (ATTENTION + QK + GATED, {}),
    "mistral": (ATTENTION + GATED, {"sliding_window": 8}),
    "phi3": (ATTENTION + GATED, {"rope_scaling": {"type": "longrope", "long_factor": [1.0, 2.0],
                                                  "short_factor": [1.0, 1.0]}, "partial_rotary_factor": 1.0}),
}


def folder(family, layer, more):
    """config.json, a zero byte, a safetensors file."""
    rng, header, body = random.Random(family), {}, b""
    names = [("model.embed_tokens.weight", E, VOCAB), ("model.norm.weight", E), ("lm_head.weight", E, VOCAB)]
    for i in range(LAYERS):
        for name, *dims in layer:
            stem, kind = name.rsplit(".", 1)
            names.append((f"model.layers.{i}.{NAMES[stem]}.{kind}", *dims))
    for name, *dims in names:
        t = matrix(rng, name, *dims)
        header[name] = {"dtype": "BF16", "shape": dims[::-1], "data_offsets": [len(body), len(body) + len(t.data)]}
        body += t.data
    text = json.dumps(header, separators=(",", ":")).encode()
    config = json.dumps({"model_type": family, **HF, **more}).encode()
    return config + b"\0" + struct.pack("<Q", len(text)) + text + body


PIECES = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + ["\u2581", "\u2581a", "a", "b", "ab", "H", "e", "l", "lo"]


def spm(kind):
    g = Gguf()
    g.set("general.architecture", STRING, "llama").set("tokenizer.ggml.model", STRING, kind)
    g.array("tokenizer.ggml.tokens", STRING, PIECES)
    g.array("tokenizer.ggml.scores", F32, [-float(i) for i in range(len(PIECES))])
    g.array("tokenizer.ggml.token_type", I32, [2, 3, 3] + [6] * 256 + [1] * 9)
    for i, name in enumerate(("unknown", "bos", "eos")):
        g.set(f"tokenizer.ggml.{name}_token_id", U32, i)
    return g


def wordpiece():
    g = Gguf()
    g.set("general.architecture", STRING, "bert").set("tokenizer.ggml.model", STRING, "bert")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u2581hello", "lo", "\u2581h", "e", "l", "\u25811", "2", "\u2581,"]
    g.array("tokenizer.ggml.tokens", STRING, words).array("tokenizer.ggml.token_type", I32, [3] * 4 + [1] * 8)
    for name, i in (("unknown", 1), ("bos", 2), ("seperator", 3), ("padding", 0)):
        g.set(f"tokenizer.ggml.{name}_token_id", U32, i)
    return g


VOCABS = {"bpe": Gguf({k: v for k, v in SEEDS["llama"].keys.items() if k.startswith(("tokenizer", "general"))}),
          "spm": spm("llama"), "unigram": spm("t5"), "wordpiece": wordpiece()}

TEMPLATES = ["{% for m in messages %}<|{{ m.role }}|>{{ m['content'] | trim }}{% if not loop.last %}\n{% endif %}{% endfor %}",
             "{%- macro f(x, y=1) -%}{{ x ~ y }}{%- endmacro -%}{{ f(messages|length) }}{% set ns = namespace(a=0) %}{% set ns.a = ns.a + 1 %}{{ ns.a }}",
             "{{ messages | tojson(indent=2) }}{{ 'a,b'.split(',') | join('-') | upper }}{{ range(3) | list }}{{ messages[0].content[::-1] }}",
             "{% if add_generation_prompt is defined and add_generation_prompt %}{{ raise_exception('x') }}{% elif tools %}{{ tools[0] }}{% else %}{{ 7 // 2 ** 3 % 4 }}{% endif %}",
             "{% set x = messages | selectattr('role', 'equalto', 'user') | map(attribute='content') | list %}{{ x | first | default('none', true) | replace('h', 'j') }}",
             "{{ messages | select | list | length }}{{ messages | reject | list }}"]
CONTEXT = json.dumps({"messages": [{"role": "user", "content": " hi "}, {"role": "assistant", "content": "yes", "n": [1, 2.5, None, True]}],
                      "bos_token": "<s>", "add_generation_prompt": False}).encode()


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def write_texts(seeds):
    for name, g in VOCABS.items():
        write(os.path.join(seeds, "vocab", name), g.bytes())
    for i, t in enumerate(TEMPLATES):
        write(os.path.join(seeds, "template", f"{i}"), t.encode() + b"\0" + CONTEXT)


def main():
    seeds = os.path.join(TOP, "tests", "fuzz", "seeds")
    for kind in ("arch", "folder"):
        os.makedirs(os.path.join(seeds, kind), exist_ok=True)
    write_texts(seeds)
    for name, g in SEEDS.items():
        with open(os.path.join(seeds, "arch", name), "wb") as f:
            f.write(g.bytes())
    for name, (layer, more) in FOLDERS.items():
        with open(os.path.join(seeds, "folder", name), "wb") as f:
            f.write(folder(name, layer, more))


if __name__ == "__main__":
    main()
