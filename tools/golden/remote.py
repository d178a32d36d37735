#!/usr/bin/env python3
"""Golden models of families whose code never entered transformers: internlm2, baichuan, minicpm.

    remote.py [--out tests/golden/models] [NAME ...]

Each is a decoder that transformers does have, with its weights stored in another arrangement:
  internlm2  llama; wqkv holds, per key/value head, its query heads, its key head, its value head
  baichuan   llama; W_pack is q, k, v stacked; the 13B has ALiBi instead of rope; version 2 divides the
             rows of lm_head by their length
  minicpm    granite by other names: scale_emb, scale_depth / sqrt(layers), hidden / dim_model_base
So the logits come from transformers' llama and granite, and for ALiBi from the few lines of alibi_llama.
"""
import argparse
import json
import math
import os
import shutil
import sys
import zlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from models import BASE, TOKENIZER, VOCAB, randomise, rope

LAYERS = 2


def slopes(n):
    """ALiBi slopes for n heads, also when n is no power of two (the paper's rule)."""
    two = 2 ** math.floor(math.log2(n))
    s = [2.0 ** (-8.0 * (i + 1) / two) for i in range(two)]
    return s + [2.0 ** (-4.0 * (2 * i + 1) / two) for i in range(n - two)]


def alibi_llama(w, ids, layers, heads, eps):
    """A llama whose scores get slope * (key - query) instead of rotated q and k; w has llama's names."""
    def norm(x, g):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * g

    t = len(ids)
    x = w["model.embed_tokens.weight"][ids]
    far = (torch.arange(t)[None, :] - torch.arange(t)[:, None]).float()
    bias = torch.tensor(slopes(heads))[:, None, None] * far
    bias = bias.masked_fill(far[None] > 0, float("-inf"))
    for i in range(layers):
        p = "model.layers.%d." % i
        h = norm(x, w[p + "input_layernorm.weight"])
        q, k, v = (F.linear(h, w[p + "self_attn.%s_proj.weight" % n]).view(t, heads, -1).transpose(0, 1) for n in "qkv")
        a = torch.softmax(q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + bias, -1) @ v
        x = x + F.linear(a.transpose(0, 1).reshape(t, -1), w[p + "self_attn.o_proj.weight"])
        h = norm(x, w[p + "post_attention_layernorm.weight"])
        g = F.silu(F.linear(h, w[p + "mlp.gate_proj.weight"])) * F.linear(h, w[p + "mlp.up_proj.weight"])
        x = x + F.linear(g, w[p + "mlp.down_proj.weight"])
    return F.linear(norm(x, w["model.norm.weight"]), w["lm_head.weight"])


def internlm2(w, config):
    out, kv = {}, config["num_key_value_heads"]
    names = {"input_layernorm": "attention_norm", "post_attention_layernorm": "ffn_norm", "self_attn.o_proj": "attention.wo",
             "mlp.gate_proj": "feed_forward.w1", "mlp.up_proj": "feed_forward.w3", "mlp.down_proj": "feed_forward.w2",
             "model.embed_tokens": "model.tok_embeddings", "lm_head": "output"}
    for i in range(LAYERS):
        p = "model.layers.%d.self_attn." % i
        q, k, v = (w.pop(p + n + "_proj.weight") for n in "qkv")
        d = k.shape[0] // kv
        parts = [q.view(kv, -1, d, q.shape[1]), k.view(kv, 1, d, -1), v.view(kv, 1, d, -1)]
        out["model.layers.%d.attention.wqkv.weight" % i] = torch.cat(parts, 1).reshape(-1, q.shape[1])
    for name, t in w.items():
        for a, b in names.items():
            name = name.replace(a, b)
        out[name] = t
    return out


def baichuan(w, config):
    for i in range(config["num_hidden_layers"]):
        p = "model.layers.%d.self_attn." % i
        w[p + "W_pack.weight"] = torch.cat([w.pop(p + n + "_proj.weight") for n in "qkv"])
    return w


COMMON = dict(hidden_act="silu", hidden_size=32, intermediate_size=48, num_hidden_layers=LAYERS, num_attention_heads=4, bos_token_id=1,
              eos_token_id=2, pad_token_id=0, rms_norm_eps=1e-6, tie_word_embeddings=False, torch_dtype="bfloat16", use_cache=True,
              vocab_size=VOCAB, initializer_range=0.02)
# name: (config.json, oracle's model_type, oracle's changes, rearrangement)
SPECS = {
    "internlm2": (dict(COMMON, architectures=["InternLM2ForCausalLM"], model_type="internlm2", num_key_value_heads=2, bias=False,
                       max_position_embeddings=4096, rms_norm_eps=1e-5, rope_theta=1000000.0,
                       rope_scaling=dict(type="dynamic", factor=2.0)),
                  "llama", dict(rms_norm_eps=1e-5, rope_parameters=rope(1000000.0, "dynamic", factor=2.0)), internlm2),
    "baichuan-7b": (dict(COMMON, architectures=["BaiChuanForCausalLM"], model_type="baichuan", max_position_embeddings=4096),
                    "llama", dict(num_key_value_heads=4), baichuan),
    "baichuan2-7b": (dict(COMMON, architectures=["BaichuanForCausalLM"], model_type="baichuan", max_position_embeddings=4096,
                          model_max_length=4096, z_loss_weight=0), "llama", dict(num_key_value_heads=4), baichuan),
    "baichuan-13b": (dict(COMMON, architectures=["BaichuanForCausalLM"], model_type="baichuan", model_max_length=4096,
                          num_attention_heads=5, hidden_size=20, intermediate_size=24, num_hidden_layers=40),
                     "alibi", dict(num_key_value_heads=5, num_attention_heads=5, hidden_size=20, intermediate_size=24,
                                   num_hidden_layers=40), baichuan),
    "minicpm": (dict(COMMON, architectures=["MiniCPMForCausalLM"], model_type="minicpm", max_position_embeddings=4096,
                     num_key_value_heads=2, rms_norm_eps=1e-5, scale_emb=6, scale_depth=1.4, dim_model_base=16,
                     tie_word_embeddings=True, rope_scaling=None),
                "granite", dict(rms_norm_eps=1e-5, tie_word_embeddings=True, embedding_multiplier=6.0,
                                residual_multiplier=1.4 / LAYERS ** 0.5, logits_scaling=2.0, attention_multiplier=8 ** -0.5), None),
    "minicpm-untied": (dict(COMMON, architectures=["MiniCPMForCausalLM"], model_type="minicpm", max_position_embeddings=4096,
                            num_key_value_heads=4, rms_norm_eps=1e-5, scale_emb=3, scale_depth=1.0, dim_model_base=8),
                       "granite", dict(rms_norm_eps=1e-5, num_key_value_heads=4, embedding_multiplier=3.0,
                                       residual_multiplier=1.0 / LAYERS ** 0.5, logits_scaling=4.0,
                                       attention_multiplier=8 ** -0.5), None),
}


def make(name, out, t=24):
    config, oracle, changes, arrange = SPECS[name]
    seed = zlib.crc32(name.encode())
    fields = {**BASE, "tie_word_embeddings": False, "rms_norm_eps": 1e-6, **changes}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama" if oracle == "alibi" else oracle, **fields),
                                             dtype=torch.float32, attn_implementation="eager").eval()
    randomise(model, seed)
    ids = torch.randint(3, VOCAB, (t,), generator=torch.Generator().manual_seed(seed + 1))
    w = {k: v.clone() for k, v in model.state_dict().items()}
    if config["tie_word_embeddings"]:
        w.pop("lm_head.weight")
    with torch.no_grad():
        if "z_loss_weight" in config:
            model.lm_head.weight.copy_(F.normalize(model.lm_head.weight))
        if oracle == "alibi":
            logits = alibi_llama(w, ids, config["num_hidden_layers"], config["num_attention_heads"], config["rms_norm_eps"])
        else:
            logits = model(input_ids=ids[None], use_cache=False).logits[0]
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    w = arrange(w, config) if arrange else w
    save_file({k: v.to(torch.bfloat16).contiguous() for k, v in w.items()}, os.path.join(folder, "model.safetensors"),
              metadata={"format": "pt"})
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f, indent=2)
    for f in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(TOKENIZER, f), folder)
        os.chmod(os.path.join(folder, f), 0o644)
    save_file({"input_ids": ids, "logits": logits.float().contiguous()}, os.path.join(folder, "expected.safetensors"))
    print("%-24s T %3d  std %.3f" % (name, t, logits.std()))


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--out", default=os.path.join(here, "..", "..", "tests", "golden", "models"))
    a.add_argument("names", nargs="*")
    a = a.parse_args()
    for name in a.names or SPECS:
        make(name, a.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
