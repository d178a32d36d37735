#!/usr/bin/env python3
"""Make tiny golden models: random weights for one transformers family each, with the logits it computes.

    models.py [--out tests/golden/models] [--list] [NAME ...]

For every NAME in SPECS (all of them if none is given) a folder with config.json, model.safetensors
(bf16, or f16 where the context is short), tokenizer.json and expected.safetensors (`input_ids` [T] and `logits` [T, V] in f32) is written.
The logits are computed from the saved folder, loaded again in f32 with eager attention, so they
belong to exactly the weights in the file.

Weights are drawn so that every tensor matters: norms sit around their neutral value but not on it,
biases, sinks, router corrections and scalars are non-zero, matrices keep the residual stream alive.

Needs torch, transformers 5.23, safetensors. Families whose code is not in transformers (internlm2,
baichuan, minicpm) are made by tools/golden/remote.py.
"""
import argparse
import json
import os
import shutil
import sys
import zlib

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

VOCAB = 272
TOKENIZER = os.path.join(os.path.dirname(__file__), "..", "..", "tests", "golden", "models", "llama")

# What most families call their sizes.
BASE = dict(
    vocab_size=VOCAB, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=4096, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    tie_word_embeddings=True)


def rope(theta=10000.0, kind="default", **more):
    return dict(rope_theta=theta, rope_type=kind, **more)


# name: (model_type, changes to BASE; None removes a key, number of positions)
SPECS = {}


def spec(name, model_type, t=20, **changes):
    SPECS[name] = (model_type, changes, t)


FULL, SWA, CHUNK = "full_attention", "sliding_attention", "chunked_attention"

# llama and its near relatives
spec("mistral", "mistral", sliding_window=None, head_dim=8, tie_word_embeddings=False)
spec("mistral-nemo", "mistral", sliding_window=None, head_dim=12)  # heads * head_dim != hidden
spec("mistral-window-long", "mistral", 64, sliding_window=12, head_dim=8)
spec("llama-300", "llama", 320, head_dim=8)
spec("llama-mlp-bias", "llama", mlp_bias=True, attention_bias=True)
spec("llama-mqa", "llama", num_key_value_heads=1, head_dim=16)
spec("llama-mha", "llama", num_attention_heads=3, num_key_value_heads=3, hidden_size=36, head_dim=10)
spec("llama-linear", "llama", rope_parameters=rope(kind="linear", factor=4.0))
spec("llama-dynamic", "llama", 64, max_position_embeddings=32, rope_parameters=rope(kind="dynamic", factor=2.0))
spec("llama-dynamic-short", "llama", 20, max_position_embeddings=32, rope_parameters=rope(kind="dynamic", factor=2.0))
spec("llama-yarn-factors", "llama", 64, rope_parameters=rope(
    kind="yarn", factor=8.0, original_max_position_embeddings=32, beta_fast=16.0, beta_slow=2.0,
    attention_factor=1.2))
spec("smollm", "llama", num_attention_heads=3, num_key_value_heads=1, hidden_size=24, head_dim=8)
spec("ministral", "ministral", 36, sliding_window=12, layer_types=[SWA, FULL, SWA], num_hidden_layers=3, head_dim=8)
spec("ministral3", "ministral3", 64, head_dim=12, rope_parameters=rope(
    1000000.0, "yarn", factor=16.0, original_max_position_embeddings=32, beta_fast=32.0, beta_slow=1.0,
    mscale=1.0, mscale_all_dim=1.0, llama_4_scaling_beta=0.1))
spec("mistral3", "mistral3", text_config="ministral3")
spec("mixtral-swa", "mixtral", 36, num_local_experts=4, num_experts_per_tok=3, sliding_window=12)
spec("mixtral-plain", "mixtral", num_local_experts=4, num_experts_per_tok=2, sliding_window=None)
spec("seed-oss", "seed_oss", head_dim=16, attention_bias=True, attention_out_bias=False, mlp_bias=False,
     rope_parameters=rope(10000000.0))
spec("seed-oss-bias", "seed_oss", head_dim=8, attention_bias=True, attention_out_bias=True, mlp_bias=True)
spec("arcee", "arcee", hidden_act="relu2", rope_parameters=rope(kind="yarn", factor=4.0, original_max_position_embeddings=16))
spec("apertus", "apertus", 36, tie_word_embeddings=False, hidden_act="xielu", rope_parameters=rope(
    12000000.0, "llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32))
spec("helium", "helium", head_dim=8, num_key_value_heads=4)
spec("smollm3-nope2", "smollm3", num_hidden_layers=4, no_rope_layer_interval=2, use_sliding_window=False,
     attention_bias=False)
spec("smollm3-window", "smollm3", 36, num_hidden_layers=4, no_rope_layers=[1, 0, 1, 1], use_sliding_window=True, sliding_window=12,
     layer_types=[FULL, SWA, SWA, FULL])
spec("granite-bias", "granite", attention_bias=True, mlp_bias=True, embedding_multiplier=3.0, logits_scaling=2.0,
     residual_multiplier=0.7, attention_multiplier=0.3)
spec("granitemoe", "granitemoe", num_local_experts=4, num_experts_per_tok=2, intermediate_size=24, embedding_multiplier=3.0,
     logits_scaling=2.0, residual_multiplier=0.7, attention_multiplier=0.3)
spec("granitemoe-shared", "granitemoeshared", num_local_experts=4, num_experts_per_tok=2, intermediate_size=24,
     shared_intermediate_size=40, embedding_multiplier=3.0, logits_scaling=2.0, residual_multiplier=0.7,
     attention_multiplier=0.3)

# qwen
spec("qwen2-window", "qwen2", 36, use_sliding_window=True, sliding_window=12, num_hidden_layers=3, max_window_layers=1)
spec("qwen2-moe", "qwen2_moe", tie_word_embeddings=False, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
     shared_expert_intermediate_size=40, norm_topk_prob=False, decoder_sparse_step=1, qkv_bias=True)
spec("qwen2-moe-sparse", "qwen2_moe", num_hidden_layers=3, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
     shared_expert_intermediate_size=24, norm_topk_prob=True, decoder_sparse_step=2, mlp_only_layers=[], qkv_bias=True)
spec("qwen3-bias", "qwen3", attention_bias=True, head_dim=16)
spec("qwen3-moe-sparse", "qwen3_moe", num_hidden_layers=4, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16,
     norm_topk_prob=False, decoder_sparse_step=2, mlp_only_layers=[3], head_dim=12)

spec("qwen2-tied", "qwen2", rope_parameters=rope(1000000.0))
spec("qwen3-moe-all", "qwen3_moe", num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, norm_topk_prob=True, decoder_sparse_step=1,
     mlp_only_layers=[], head_dim=12, tie_word_embeddings=False)

# gemma
spec("gemma", "gemma", head_dim=16, num_key_value_heads=1, hidden_activation="gelu_pytorch_tanh")
spec("gemma2-small-window", "gemma2", 64, num_hidden_layers=3, head_dim=8, sliding_window=12, query_pre_attn_scalar=8,
     attn_logit_softcapping=5.0, final_logit_softcapping=3.0)
spec("gemma3-linear", "gemma3_text", 64, num_hidden_layers=6, head_dim=8, sliding_window=12, query_pre_attn_scalar=8,
     rope_parameters={FULL: rope(1000000.0, "linear", factor=8.0), SWA: rope(10000.0)})
spec("gemma3-mm", "gemma3", text_config="gemma3_text")
spec("gemma4-kv", "gemma4_text", 36, num_hidden_layers=6, head_dim=8, sliding_window=12, attention_k_eq_v=True,
     hidden_size_per_layer_input=0, num_global_key_value_heads=1, global_head_dim=16, final_logit_softcapping=3.0,
     vocab_size_per_layer_input=VOCAB)
spec("gemma4-ple", "gemma4_text", 36, num_hidden_layers=4, head_dim=8, sliding_window=12, global_head_dim=16,
     layer_types=[SWA, FULL, SWA, FULL], hidden_size_per_layer_input=8, vocab_size_per_layer_input=VOCAB,
     num_kv_shared_layers=2, use_double_wide_mlp=True, intermediate_size=32, final_logit_softcapping=30.0)
spec("gemma4-moe", "gemma4_text", 36, num_hidden_layers=3, head_dim=8, sliding_window=12, layer_types=[SWA, SWA, FULL],
     hidden_size_per_layer_input=0, final_logit_softcapping=30.0, enable_moe_block=True, num_experts=4, top_k_experts=2, moe_intermediate_size=16,
     attention_k_eq_v=True, global_head_dim=16, num_global_key_value_heads=1, vocab_size_per_layer_input=VOCAB)

# phi
spec("phi2", "phi", intermediate_size=128, partial_rotary_factor=0.5, num_key_value_heads=4, tie_word_embeddings=False, hidden_act="gelu_new",
     rope_parameters=rope(partial_rotary_factor=0.5))
spec("phi1", "phi", num_key_value_heads=2, tie_word_embeddings=False, hidden_act="gelu_new", qk_layernorm=True,
     rope_parameters=rope(partial_rotary_factor=0.5))
spec("phi3-longrope-short", "phi3", 24, max_position_embeddings=128, original_max_position_embeddings=32,
     rope_parameters=rope(kind="longrope", short_factor=[1.0, 1.1, 1.3, 1.6], long_factor=[1.0, 1.5, 3.0, 7.0],
                          original_max_position_embeddings=32))
spec("phi3-longrope-long", "phi3", 64, max_position_embeddings=128, original_max_position_embeddings=32,
     rope_parameters=rope(kind="longrope", short_factor=[1.0, 1.1, 1.3, 1.6], long_factor=[1.0, 1.5, 3.0, 7.0],
                          original_max_position_embeddings=32))
spec("phi4-mini", "phi3", 64, max_position_embeddings=128, original_max_position_embeddings=32, num_attention_heads=2,
     num_key_value_heads=1, rope_parameters=rope(
         kind="longrope", partial_rotary_factor=0.75, short_factor=[1.0, 1.0, 1.1, 1.2, 1.3, 1.6],
         long_factor=[1.0, 1.2, 1.5, 2.0, 3.0, 7.0], original_max_position_embeddings=32))
spec("phi3-window", "phi3", 36, sliding_window=12)
PHIMOE = dict(num_local_experts=4, num_experts_per_tok=2, attention_bias=True, lm_head_bias=True, max_position_embeddings=2048,
              original_max_position_embeddings=512, intermediate_size=24, tie_word_embeddings=False)


def phimoe_rope(short, long):  # transformers takes the short factors always, so the sequence must be short
    return rope(kind="longrope", short_factor=[1.0, 1.1, 1.3, 1.6], long_factor=[1.0, 1.5, 3.0, 7.0], short_mscale=short,
                long_mscale=long, original_max_position_embeddings=512)


spec("phimoe", "phimoe", **{**PHIMOE, "rope_parameters": phimoe_rope(1.1, 1.2)})
spec("phimoe-even", "phimoe", **{**PHIMOE, "rope_parameters": phimoe_rope((11 / 9) ** 0.5, (11 / 9) ** 0.5)})

# olmo
spec("olmo", "olmo", tie_word_embeddings=False, clip_qkv=None)
spec("olmo-clip", "olmo", clip_qkv=0.8, attention_bias=True)
spec("olmo3", "olmo3", 36, tie_word_embeddings=False, num_hidden_layers=4, sliding_window=12, rope_parameters=rope(
    kind="yarn", factor=4.0, original_max_position_embeddings=16, attention_factor=1.1))
spec("olmoe", "olmoe", num_key_value_heads=4, tie_word_embeddings=False, num_experts=4, num_experts_per_tok=2, intermediate_size=16, norm_topk_prob=False)
spec("olmoe-norm-clip", "olmoe", num_key_value_heads=4, tie_word_embeddings=False, num_experts=4, num_experts_per_tok=2, intermediate_size=16, norm_topk_prob=True, clip_qkv=0.9)

# glm, cohere, command-r, ernie, hunyuan, dots, exaone
spec("glm", "glm", head_dim=8, attention_bias=True, rope_parameters=rope(partial_rotary_factor=0.5))
spec("glm4-moe", "glm4_moe", num_hidden_layers=3, head_dim=12, n_routed_experts=8, num_experts_per_tok=2, n_shared_experts=1,
     moe_intermediate_size=16, first_k_dense_replace=1, n_group=1, topk_group=1, routed_scaling_factor=1.8,
     norm_topk_prob=True, use_qk_norm=True, attention_bias=True, num_mtp_layers=0,
     rope_parameters=rope(partial_rotary_factor=0.5))
spec("glm4-moe-groups", "glm4_moe", num_hidden_layers=2, head_dim=16, n_routed_experts=8, num_experts_per_tok=2,
     n_shared_experts=1, moe_intermediate_size=16, first_k_dense_replace=1, n_group=4, topk_group=2,
     routed_scaling_factor=1.0, norm_topk_prob=False, use_qk_norm=False, attention_bias=False, num_mtp_layers=0,
     rope_parameters=rope(partial_rotary_factor=0.5))
spec("cohere", "cohere", use_qk_norm=False, logit_scale=0.25)
spec("cohere-qk-norm", "cohere", use_qk_norm=True, logit_scale=0.5, num_key_value_heads=2)
spec("cohere2-long", "cohere2", 64, num_hidden_layers=4, head_dim=8, sliding_window=12, logit_scale=0.25,
     sliding_window_pattern=4)
spec("ernie4_5", "ernie4_5", head_dim=12, use_bias=False)
spec("ernie4_5-bias", "ernie4_5", head_dim=8, use_bias=True)
spec("ernie4_5-moe", "ernie4_5_moe", intermediate_size=64, num_hidden_layers=3, use_bias=False, moe_intermediate_size=16, moe_k=2,
     moe_num_experts=4, moe_num_shared_experts=2, moe_layer_start_index=1, moe_layer_interval=1)
spec("ernie4_5-moe-interval", "ernie4_5_moe", num_hidden_layers=4, use_bias=False, moe_intermediate_size=16, moe_k=2,
     moe_num_experts=4, moe_num_shared_experts=0, moe_layer_start_index=0, moe_layer_end_index=2, moe_layer_interval=2)
spec("hunyuan-dense", "hunyuan_v1_dense", 36, head_dim=12, rope_parameters=rope(kind="dynamic", factor=1.0, alpha=1000.0))
spec("hunyuan-moe", "hunyuan_v1_moe", head_dim=8, num_experts=4, moe_topk=2, intermediate_size=24,
     rope_parameters=rope(kind="dynamic", factor=1.0, alpha=1000.0))
spec("dots1", "dots1", 36, num_key_value_heads=4, tie_word_embeddings=False, num_hidden_layers=3, n_routed_experts=4, num_experts_per_tok=2, n_shared_experts=2, moe_intermediate_size=16,
     first_k_dense_replace=1, n_group=1, topk_group=1, routed_scaling_factor=2.5, norm_topk_prob=True, head_dim=8,
     sliding_window=None)
spec("exaone4-full", "exaone4", num_hidden_layers=2, sliding_window=None, sliding_window_pattern=None, head_dim=8,
     layer_types=[FULL, FULL], rope_parameters=rope(1000000.0, "llama3", factor=16.0, low_freq_factor=1.0,
                                                   high_freq_factor=4.0, original_max_position_embeddings=16))

# falcon, stablelm, nemotron, starcoder2
FALCON = dict(num_key_value_heads=None, intermediate_size=None, layer_norm_epsilon=1e-5)
spec("falcon-40b", "falcon", **{**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 2})
spec("falcon-11b", "falcon", **{**FALCON, "new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1})
spec("falcon-rw", "falcon", 36, **{**FALCON, "new_decoder_architecture": False, "multi_query": False, "parallel_attn": False,
                               "alibi": True, "bias": True})
spec("falcon-7b", "falcon", **{**FALCON, "new_decoder_architecture": False, "multi_query": True, "parallel_attn": True,
                               "bias": False})
spec("falcon-mha", "falcon", **{**FALCON, "new_decoder_architecture": False, "multi_query": False, "parallel_attn": True,
                               "bias": False})
spec("stablelm-parallel", "stablelm", tie_word_embeddings=False, use_parallel_residual=True, use_qkv_bias=False, qk_layernorm=False,
     rope_parameters=rope(partial_rotary_factor=0.25), layer_norm_eps=1e-5)
spec("stablelm-qk", "stablelm", use_parallel_residual=True, use_qkv_bias=False, qk_layernorm=True, head_dim=None,
     rope_parameters=rope(partial_rotary_factor=0.5), layer_norm_eps=1e-5)
spec("nemotron-bias", "nemotron", tie_word_embeddings=False, attention_bias=True, mlp_bias=True, hidden_act="relu2", head_dim=12,
     rope_parameters=rope(partial_rotary_factor=0.5))
spec("starcoder2-window", "starcoder2", 36, sliding_window=12, use_bias=True, tie_word_embeddings=True)
spec("starcoder2-nobias", "starcoder2", use_bias=False, num_key_value_heads=1)

# learned positions and ALiBi
spec("bloom", "bloom", n_layer=2, n_head=4, hidden_size=32, layer_norm_epsilon=1e-5)
spec("bloom-odd-heads", "bloom", 36, n_layer=2, n_head=6, hidden_size=36, apply_residual_connection_post_layernorm=True)
MPT = dict(d_model=32, n_heads=4, n_layers=2, expansion_ratio=2, max_seq_len=128, hidden_size=None, num_attention_heads=None,
           num_hidden_layers=None, intermediate_size=None, num_key_value_heads=None, max_position_embeddings=None)
spec("mpt", "mpt", 36, **MPT)
spec("mpt-clip", "mpt", **{**MPT, "n_heads": 6, "d_model": 36,
                           "attn_config": dict(clip_qkv=0.9, alibi=True, alibi_bias_max=8, softmax_scale=0.3)})
OPT = dict(intermediate_size=None, ffn_dim=48, num_key_value_heads=None)
spec("opt", "opt", **{**OPT, "word_embed_proj_dim": 32, "do_layer_norm_before": True})
spec("opt-350m", "opt", **{**OPT, "word_embed_proj_dim": 24, "do_layer_norm_before": False})
spec("opt-nobias", "opt", **{**OPT, "word_embed_proj_dim": 32, "enable_bias": False, "layer_norm_elementwise_affine": True,
                              "_remove_final_layer_norm": True})
GPT2 = dict(n_embd=32, n_layer=2, n_head=4, n_positions=128, hidden_size=None, intermediate_size=None, num_attention_heads=None,
            num_hidden_layers=None, num_key_value_heads=None, max_position_embeddings=None)
spec("gpt2-layer-scale", "gpt2", **{**GPT2, "scale_attn_by_inverse_layer_idx": True, "n_inner": 48})
spec("gpt2-gelu", "gpt2", **{**GPT2, "activation_function": "gelu_pytorch_tanh"})
spec("gpt2-no-scale", "gpt2", **{**GPT2, "scale_attn_weights": False, "activation_function": "gelu"})
spec("gptneox-serial", "gpt_neox", use_parallel_residual=False, tie_word_embeddings=False, hidden_act="gelu",
     rope_parameters=rope(partial_rotary_factor=0.25))
spec("gptneox-parallel", "gpt_neox", use_parallel_residual=True, tie_word_embeddings=False, hidden_act="gelu",
     intermediate_size=128, rope_parameters=rope(partial_rotary_factor=0.5))
spec("gptneox-nobias", "gpt_neox", attention_bias=False, hidden_act="gelu_fast", rope_parameters=rope(partial_rotary_factor=1.0))

# mixtures with their own ways
spec("gpt-oss-long", "gpt_oss", 64, tie_word_embeddings=False, num_hidden_layers=2, head_dim=8, num_local_experts=4, num_experts_per_tok=3, sliding_window=12,
     intermediate_size=24, rope_parameters=rope(
         150000.0, "yarn", factor=8.0, beta_fast=32.0, beta_slow=1.0, truncate=False,
         original_max_position_embeddings=32))
LLAMA4 = dict(intermediate_size=24, intermediate_size_mlp=40, head_dim=8, num_local_experts=4, tie_word_embeddings=False)
spec("llama4", "llama4_text", 36, **{**LLAMA4, "num_hidden_layers": 4, "interleave_moe_layer_step": 1, "num_experts_per_tok": 1,
                                  "attention_chunk_size": 16, "floor_scale": 8, "attn_scale": 0.1})
spec("llama4-dense", "llama4_text", 36, **{**LLAMA4, "num_hidden_layers": 4, "interleave_moe_layer_step": 2, "num_experts_per_tok": 2,
                                        "use_qk_norm": False, "attention_chunk_size": 12, "attn_temperature_tuning": False,
                                        "rope_parameters": rope(500000.0, "llama3", factor=8.0, low_freq_factor=1.0,
                                                                high_freq_factor=4.0, original_max_position_embeddings=16)})
spec("gemma4-mm", "gemma4", text_config="gemma4_text")
spec("llama4-scout", "llama4_text", 36, **{**LLAMA4, "num_hidden_layers": 4, "interleave_moe_layer_step": 1, "num_experts_per_tok": 1,
                                        "attention_chunk_size": 8192, "floor_scale": 8192})
spec("llama4-maverick", "llama4_text", 20, **{**LLAMA4, "num_hidden_layers": 4, "interleave_moe_layer_step": 2,
                                           "attention_chunk_size": 8192, "floor_scale": 8192})
spec("llama4-mm", "llama4", text_config="llama4_text")

# The text model inside each multimodal wrapper.
INNER = {"ministral3": "ministral3", "gemma3_text": "gemma3-linear", "gemma4_text": "gemma4-ple", "llama4_text": "llama4"}


def build_config(model_type, changes):
    fields = dict(BASE)
    text = changes.get("text_config")
    if isinstance(text, str):  # a multimodal wrapper round a text model
        inner = {**BASE, **SPECS[INNER[text]][1], "model_type": text}
        vision = dict(hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28,
                      patch_size=14)
        if model_type == "llama4":
            vision.update(vision_output_dim=16, projector_input_dim=16, projector_output_dim=16)
        if model_type == "gemma4":
            vision.update(num_key_value_heads=2, head_dim=8, position_embedding_size=8)
        return AutoConfig.for_model(model_type, text_config=inner, vision_config=vision)
    for key, value in changes.items():
        if value is None:
            fields.pop(key, None)
        if value is not None or key in ("sliding_window", "sliding_window_pattern", "clip_qkv"):
            fields[key] = value
    return AutoConfig.for_model(model_type, **fields)


# These get the config.json of a transformers 4 checkpoint, as most real ones have.
LEGACY = set("""mistral-nemo mistral-window-long llama-linear llama-dynamic llama-yarn-factors ministral3 apertus qwen2-window qwen3-moe-sparse
    gemma gemma2-small-window gemma3-linear gemma3-mm gemma4-kv gemma4-moe phi2 phi3-longrope-long phi4-mini phimoe olmo3 glm glm4-moe cohere2-long
    exaone4-full falcon-40b falcon-rw stablelm-parallel nemotron-bias gptneox-serial gpt-oss-long llama4 llama4-dense
    hunyuan-dense smollm3-nope2 ernie4_5""".split())


def legacy_config(path):
    """Rewrite config.json the way transformers 4 wrote it: rope_theta, rope_scaling, no layer_types."""
    with open(path) as f:
        c = json.load(f)

    def rewrite(c):
        kind, layers = c["model_type"], c.get("layer_types")
        r = c.pop("rope_parameters", None) or {}
        if FULL in r:
            if "gemma4" in kind:
                c["rope_parameters"] = r
            else:
                c["rope_local_base_freq"] = r[SWA]["rope_theta"]
            r = r[FULL] if "rope_parameters" not in c else {}
        r = dict(r)
        theta, part, rt = r.pop("rope_theta", None), r.pop("partial_rotary_factor", None), r.pop("rope_type", "default")
        names = {"gpt_neox": ("rotary_emb_base", "rotary_pct")}.get(kind, ("rope_theta", "partial_rotary_factor"))
        if theta is not None:
            c[names[0]] = theta
        if part is not None:
            c[names[1]] = part
        if rt != "default":
            c["rope_scaling"] = {("type" if kind in ("phi3", "phimoe", "llama") else "rope_type"): rt, **r}
        if kind in ("gemma2", "gemma3_text", "cohere2", "olmo3", "qwen2"):
            c.pop("layer_types", None)
            c.pop("_sliding_window_pattern", None)
            if kind in ("gemma3_text", "cohere2"):
                c["sliding_window_pattern"] = {"gemma3_text": 6, "cohere2": 4}[kind]
        per_layer = c.pop("per_layer_config", None)
        if per_layer:
            one = next(iter(per_layer.values()))
            c["global_head_dim"] = one.get("head_dim", c["head_dim"])
            c["num_global_key_value_heads"] = one.get("num_key_value_heads")
        if "dtype" in c:
            c["torch_dtype"] = c.pop("dtype")
        for inner in ("text_config", "vision_config"):
            if isinstance(c.get(inner), dict):
                rewrite(c[inner])

    rewrite(c)
    c["transformers_version"] = "4.51.0"
    with open(path, "w") as f:
        json.dump(c, f, indent=2)


@torch.no_grad()
def randomise(model, seed):
    """Draw every weight; neutral values (norm weights of 1 or of 0) stay the centre of their draw."""
    g = torch.Generator().manual_seed(seed)

    def normal(shape, centre, std):
        return centre + std * torch.randn(shape, generator=g)

    tensors = dict(model.named_parameters())
    keep = set(model.state_dict())
    tensors.update({k: b for k, b in model.named_buffers() if k in keep and b.is_floating_point()})
    for name, p in sorted(tensors.items()):
        leaf = name.rsplit(".", 1)[-1]
        if "embed" in name and p.dim() == 2 and "proj" not in name or name.endswith(("wte.weight", "wpe.weight")):
            p.copy_(normal(p.shape, 0.0, 0.6))
        elif "alpha_" in leaf or leaf in ("beta", "eps"):  # xIELU
            p.copy_(p + 0.1 * torch.randn(p.shape, generator=g).to(p.dtype) * (leaf != "eps"))
        elif "correction" in leaf or leaf == "sinks":
            p.copy_(normal(p.shape, 0.0, 0.3))
        elif p.dim() <= 1 or p.dim() == 2 and "norm" in name and "proj" not in name:
            bias = leaf.endswith("bias")
            centre = 0.0 if bias else float(p.float().mean().round())
            p.copy_(normal(p.shape, centre, 0.2 if bias else 0.15))
        elif leaf.endswith("bias"):
            p.copy_(normal(p.shape, 0.0, 0.2))
        else:
            p.copy_(normal(p.shape, 0.0, 1.2 / p.shape[-1] ** 0.5))
        p.copy_(p.to(torch.bfloat16).to(p.dtype))


# bf16 models of at most 1024 positions are run with rope frequencies rounded to bf16, as the golden models that came with
# the task were made; so these are stored as f16, and the others have a longer context.
SHORT = [name for name, (_, c, _) in SPECS.items() if (c.get("max_position_embeddings") or 4096) <= 1024]


# transformers 5.23 adds falcon's ALiBi twice with eager attention.
SDPA = ("falcon-rw",)


def make(name, out):
    model_type, changes, t = SPECS[name]
    seed = zlib.crc32(name.encode())
    config = build_config(model_type, changes)
    config._attn_implementation = "eager"
    torch.manual_seed(seed)
    if "text_config" in changes:
        from transformers import AutoModelForImageTextToText
        auto = AutoModelForImageTextToText
    else:
        auto = AutoModelForCausalLM
    model = auto.from_config(config, dtype=torch.float32, attn_implementation="eager").eval()
    randomise(model, seed)
    folder = os.path.join(out, name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    model.to(torch.float16 if name in SHORT else torch.bfloat16).save_pretrained(folder)
    if name in LEGACY:
        legacy_config(os.path.join(folder, "config.json"))
    for f in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(os.path.join(TOKENIZER, f), folder)
        os.chmod(os.path.join(folder, f), 0o644)
    again, info = auto.from_pretrained(folder, dtype=torch.float32, output_loading_info=True,
                                       attn_implementation="sdpa" if name in SDPA else "eager")
    bad = {k: list(v) for k, v in info.items() if v and k != "error_msgs"}
    ids = torch.randint(3, VOCAB, (1, t), generator=torch.Generator().manual_seed(seed + 1))
    with torch.no_grad():
        logits = again.eval()(input_ids=ids, use_cache=False).logits[0].float().contiguous()
    save_file({"input_ids": ids[0], "logits": logits}, os.path.join(folder, "expected.safetensors"))
    size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
    print("%-24s T %3d  std %.3f  max %.2f  %4d kB %s" % (
        name, t, logits.std(), logits.abs().max(), size // 1000, json.dumps(bad) if bad else ""), flush=True)
    return size


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--out", default=os.path.join(here, "..", "..", "tests", "golden", "models"))
    a.add_argument("--list", action="store_true")
    a.add_argument("names", nargs="*")
    a = a.parse_args()
    if a.list:
        print("\n".join(SPECS))
        return 0
    failed, total = [], 0
    for name in a.names or SPECS:
        try:
            total += make(name, a.out)
        except Exception as e:
            failed.append(name)
            print("%-24s FAILED %s: %s" % (name, type(e).__name__, str(e)[:300]), flush=True)
    print("%d kB" % (total // 1000))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
