"""Whole models with something wrong in them, through the command line: a refusal is exit code 2 with one line that names
the file, never a signal, a hang or a pile of memory. What is odd but defined may succeed."""
import json
import math
import os
import random
import shutil
import struct
import subprocess
import sys
import time

import pytest

import gguf_edit as ge
from gguf_edit import F32, I32, STRING, Tensor, U32, U64, U8

SECONDS, MEGABYTES = 2.0, 256
SLOW = float(os.environ.get("INGLE_TEST_SLOW", "1"))  # for sanitizer builds


def run(args, cwd):
    """Exit code, standard error, seconds, peak MB."""
    err = open(os.path.join(cwd, "stderr"), "wb+")
    start = time.monotonic()
    p = subprocess.Popen([str(a) for a in args], cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err)
    deadline = start + 10 * SLOW
    while True:
        pid, status, usage = os.wait4(p.pid, os.WNOHANG)
        if pid:
            break
        if time.monotonic() > deadline:
            p.kill()
            os.wait4(p.pid, 0)
            pytest.fail(f"hangs: {args}")
        time.sleep(0.002)
    seconds = time.monotonic() - start
    p.returncode = os.waitstatus_to_exitcode(status)
    err.seek(0)
    text = err.read().decode("utf-8", "surrogateescape")
    err.close()
    return p.returncode, text, seconds, usage.ru_maxrss / (1024 if sys.platform.startswith("linux") else 1 << 20)


def judge(args, cwd, path, refuse):
    """refuse: True must be refused, False must succeed, None either."""
    code, err, seconds, megabytes = run(args, cwd)
    what = f"{' '.join(map(str, args[1:]))}: exit {code}: {err[:2000]!r}"
    assert code >= 0, f"signal {-code}: {what}"
    empty = code == 64 and "the prompt is empty" in err  # a vocabulary that has no tokens for it
    assert code in (0, 2, 3) or empty, what
    assert seconds < SECONDS * SLOW, f"{seconds:.1f} s: {what}"
    assert megabytes < MEGABYTES * SLOW, f"{megabytes:.0f} MB: {what}"
    if code:
        lines = err.splitlines()
        assert len(lines) == 1, what
        assert not any(ord(c) < 32 or ord(c) == 127 for c in lines[0]), what
        # 3 is for what goes wrong while it runs: numbers, limits
        if code == 2:
            assert os.path.basename(str(path)) in lines[0], f"the file is not named: {what}"
    if refuse is not None:
        assert (code != 0) == refuse, f"{'was accepted' if refuse else 'was refused'}: {what}"
    return code


def commands(ingle, path, tmp):
    yield [ingle, "info", path]
    yield [ingle, "logits", path, "--ids", "1,2,3", "--out", os.path.join(tmp, "o.safetensors")]
    yield [ingle, "run", path, "hello world", "-n", "3", "-t", "1"]


def judge_file(ingle, tmp_path, path, refuse):
    """info may show what logits and run refuse; a file that must be refused is refused by logits."""
    results = []
    for args in commands(ingle, path, str(tmp_path)):
        results.append(judge(args, str(tmp_path), path, None))
    if refuse is not None:
        assert (results[1] != 0) == refuse, f"logits {'accepts' if refuse else 'refuses'} it: exit {results}"
    return results


def judge_gguf(ingle, tmp_path, g, refuse):
    path = tmp_path / "hostile.gguf"
    path.write_bytes(g if isinstance(g, bytes) else g.bytes())
    return judge_file(ingle, tmp_path, path, refuse)


# ---- GGUF ---------------------------------------------------------------------------------------------------------

LLAMA = "gguf/llama.gguf"
MIXTRAL = "gguf/mixtral.gguf"
NAN, INF = math.nan, math.inf


def u32(key, value):
    return lambda g: g.set(key, U32, value)


def f32(key, value):
    return lambda g: g.set(key, F32, value)


def arr(key, item, values):
    return lambda g: g.array(key, item, values)


def drop(key):
    return lambda g: g.drop(key)


def drop_tensor(name):
    def change(g):
        g.tensors.remove(g[name])
    return change


def retype(name, type):
    def change(g):
        t = g[name]
        t.type = type
        t.data = bytes(ge.size_of(t.dims, type))
    return change


def reshape(name, *dims):
    def change(g):
        t = g[name]
        t.dims = list(dims)
        t.data = (t.data * 64)[:ge.size_of(dims, t.type)]
    return change


def more(name, dims, type=0):
    return lambda g: g.tensors.append(Tensor(name, dims, type, bytes(ge.size_of(dims, type))))


def fill(name, pattern):
    def change(g):
        t = g[name]
        t.data = (pattern * (len(t.data) // len(pattern) + 1))[:len(t.data)]
    return change


def tokens(f):
    def change(g):
        item, values = g.keys["tokenizer.ggml.tokens"][1]
        f(values)
        g.keys["tokenizer.ggml.tokens"] = (ge.ARRAY, (item, values))
    return change


def put(i, text):
    return tokens(lambda v: v.__setitem__(i, text))


def odd_offsets(g):
    """Every tensor begins at an odd byte of the file."""
    g.set("general.alignment", U32, 1)
    g.alignment = 1
    head = len(g.bytes()) - sum(len(t.data) for t in g.tensors)
    at = 1 - head % 2
    for t in g.tensors:
        t.offset = at
        at += len(t.data) + len(t.data) % 2
    data = g.bytes()
    assert all((head + t.offset) % 2 and data[head + t.offset:][:len(t.data)] == t.data for t in g.tensors)


R, E = True, None  # refused; either
HPARAMS = {
    # counts that size arrays
    "block_count_0": (u32("llama.block_count", 0), R),
    "block_count_1_of_3": (u32("llama.block_count", 1), R),
    "block_count_4_of_3": (u32("llama.block_count", 4), R),
    "block_count_513": (u32("llama.block_count", 513), R),
    "block_count_2p20": (u32("llama.block_count", 1 << 20), R),
    "block_count_max": (u32("llama.block_count", 2**32 - 1), R),
    "block_count_u64": (lambda g: g.set("llama.block_count", U64, 2**64 - 1), R),
    "block_count_string": (lambda g: g.set("llama.block_count", STRING, "3"), R),
    "block_count_f32": (lambda g: g.set("llama.block_count", F32, 3.5), R),
    "block_count_array": (arr("llama.block_count", U32, [3, 3, 3]), E),
    "block_count_missing": (drop("llama.block_count"), R),
    "block_count_negative": (lambda g: g.set("llama.block_count", I32, -1), R),
    "embedding_0": (u32("llama.embedding_length", 0), R),
    "embedding_31": (u32("llama.embedding_length", 31), R),
    "embedding_max": (u32("llama.embedding_length", 2**32 - 1), R),
    "embedding_missing": (drop("llama.embedding_length"), R),
    "ff_0": (u32("llama.feed_forward_length", 0), E),
    "ff_63": (u32("llama.feed_forward_length", 63), E),
    "ff_max": (u32("llama.feed_forward_length", 2**32 - 1), R),
    "context_0": (u32("llama.context_length", 0), E),
    "context_max": (u32("llama.context_length", 2**32 - 1), E),
    "context_missing": (drop("llama.context_length"), E),
    "vocab_size_0": (u32("llama.vocab_size", 0), E),
    "vocab_size_5": (u32("llama.vocab_size", 5), E),
    "vocab_size_max": (u32("llama.vocab_size", 2**32 - 1), E),
    # heads
    "head_count_0": (u32("llama.attention.head_count", 0), R),
    "head_count_3": (u32("llama.attention.head_count", 3), R),
    "head_count_max": (u32("llama.attention.head_count", 2**32 - 1), R),
    "head_count_missing": (drop("llama.attention.head_count"), R),
    "head_count_arr": (arr("llama.attention.head_count", U32, [4, 4, 4]), False),
    "head_count_arr_short": (arr("llama.attention.head_count", U32, [4, 4]), R),
    "head_count_arr_long": (arr("llama.attention.head_count", U32, [4] * 2000), E),
    "head_count_arr_empty": (arr("llama.attention.head_count", U32, []), R),
    "head_count_arr_u8": (arr("llama.attention.head_count", U8, [4, 4, 4]), False),
    "head_count_arr_f32": (arr("llama.attention.head_count", F32, [4, 4, 4]), E),
    "head_count_arr_string": (arr("llama.attention.head_count", STRING, ["4", "4", "4"]), R),
    "kv_heads_0": (u32("llama.attention.head_count_kv", 0), R),
    "kv_heads_3": (u32("llama.attention.head_count_kv", 3), R),
    "kv_heads_5": (u32("llama.attention.head_count_kv", 5), R),
    "kv_heads_max": (u32("llama.attention.head_count_kv", 2**32 - 1), R),
    "key_length_0": (u32("llama.attention.key_length", 0), R),
    "key_length_7": (u32("llama.attention.key_length", 7), R),
    "key_length_max": (u32("llama.attention.key_length", 2**32 - 1), R),
    "value_length_16": (u32("llama.attention.value_length", 16), R),
    # rope
    "rope_dims_0": (u32("llama.rope.dimension_count", 0), E),
    "rope_dims_7": (u32("llama.rope.dimension_count", 7), R),
    "rope_dims_10": (u32("llama.rope.dimension_count", 10), R),
    "rope_dims_max": (u32("llama.rope.dimension_count", 2**32 - 1), R),
    "rope_base_nan": (f32("llama.rope.freq_base", NAN), R),
    "rope_base_inf": (f32("llama.rope.freq_base", INF), R),
    "rope_base_0": (f32("llama.rope.freq_base", 0), R),
    "rope_base_negative": (f32("llama.rope.freq_base", -10000), R),
    "rope_base_string": (lambda g: g.set("llama.rope.freq_base", STRING, "10000"), R),
    "rope_factor_nan": (lambda g: f32("llama.rope.scaling.factor", NAN)(g.set("llama.rope.scaling.type", STRING, "linear")), R),
    "rope_factor_0": (lambda g: f32("llama.rope.scaling.factor", 0)(g.set("llama.rope.scaling.type", STRING, "linear")), E),
    "rope_factor_negative": (lambda g: f32("llama.rope.scaling.factor", -2)(g.set("llama.rope.scaling.type", STRING, "yarn")), E),
    "rope_scaling_unknown": (lambda g: g.set("llama.rope.scaling.type", STRING, "weird"), E),
    "yarn_original_0": (lambda g: u32("llama.rope.scaling.original_context_length", 0)(
        f32("llama.rope.scaling.factor", 4)(g.set("llama.rope.scaling.type", STRING, "yarn"))), E),
    "rope_freqs_short": (more("rope_freqs.weight", [3]), R),
    "rope_freqs_zero": (more("rope_freqs.weight", [4]), R),
    # numbers
    "eps_nan": (f32("llama.attention.layer_norm_rms_epsilon", NAN), R),
    "eps_inf": (f32("llama.attention.layer_norm_rms_epsilon", INF), R),
    "eps_negative": (f32("llama.attention.layer_norm_rms_epsilon", -1), R),
    "eps_missing": (drop("llama.attention.layer_norm_rms_epsilon"), E),
    "eps_string": (lambda g: g.set("llama.attention.layer_norm_rms_epsilon", STRING, "x"), E),
    "logit_scale_nan": (f32("llama.logit_scale", NAN), R),
    "embedding_scale_nan": (f32("llama.embedding_scale", NAN), R),
    "residual_scale_inf": (f32("llama.residual_scale", INF), R),
    "attention_scale_nan": (f32("llama.attention.scale", NAN), R),
    "softcap_nan": (f32("llama.attn_logit_softcapping", NAN), R),
    "softcap_negative": (f32("llama.final_logit_softcapping", -1), E),
    "window_max": (u32("llama.attention.sliding_window", 2**32 - 1), E),
    # family
    "arch_missing": (drop("general.architecture"), R),
    "arch_empty": (lambda g: g.set("general.architecture", STRING, ""), R),
    "arch_unknown": (lambda g: g.set("general.architecture", STRING, "no-such-family"), R),
    "arch_number": (u32("general.architecture", 7), R),
    "arch_escape": (lambda g: g.set("general.architecture", STRING, "\033[2Jllama\n"), R),
    "arch_long": (lambda g: g.set("general.architecture", STRING, "a" * 100000), R),
    "arch_format": (lambda g: g.set("general.architecture", STRING, "%s%n%s%n"), R),
    "arch_other": (lambda g: g.set("general.architecture", STRING, "gemma3"), R),
    "name_escape": (lambda g: g.set("general.name", STRING, "\033[31mred\033]0;t\a"), False),
    # experts in a model that has none
    "experts_4": (lambda g: u32("llama.expert_used_count", 2)(u32("llama.expert_count", 4)(g)), E),
}

TENSORS = {
    "no_tensors": (lambda g: g.tensors.clear(), R),
    "no_q": (drop_tensor("blk.1.attn_q.weight"), R),
    "no_norm": (drop_tensor("output_norm.weight"), R),
    "no_attn_norm": (drop_tensor("blk.0.attn_norm.weight"), R),
    "no_ffn_norm": (drop_tensor("blk.2.ffn_norm.weight"), R),
    "odd_offsets": (odd_offsets, False),
    "no_embedding": (drop_tensor("token_embd.weight"), R),
    "no_output": (drop_tensor("output.weight"), False),  # tied
    "extra_unknown": (more("blk.0.surprise.weight", [32, 32]), R),
    "extra_layer": (more("blk.7.attn_q.weight", [32, 32]), R),
    "extra_layer_max": (more("blk.4294967296.attn_q.weight", [32, 32]), R),
    "extra_layer_negative": (more("blk.-1.attn_q.weight", [32, 32]), R),
    "extra_escape": (more("\033[2J\n", [32]), R),
    "extra_bias_short": (more("blk.0.attn_q.bias", [31]), R),
    "extra_20000": (lambda g: [more(f"x.{i}", [1])(g) for i in range(20000)] and None, R),
    "q_swapped": (reshape("blk.0.attn_k.weight", 16, 32), R),
    "embed_swapped": (reshape("token_embd.weight", 272, 32), R),
    "embed_1d": (reshape("token_embd.weight", 32 * 272), R),
    "q_3d": (reshape("blk.0.attn_q.weight", 32, 32, 2), R),
    "norm_2d": (reshape("blk.0.attn_norm.weight", 32, 32), R),
    "norm_short": (reshape("blk.0.attn_norm.weight", 31), R),
    "norm_long": (reshape("blk.0.attn_norm.weight", 33), R),
    "q_one_row_less": (reshape("blk.0.attn_q.weight", 32, 31), R),
    "q_one_column_more": (reshape("blk.0.attn_q.weight", 33, 32), R),
    "output_rows": (reshape("output.weight", 32, 100), R),
    "embed_rows": (reshape("token_embd.weight", 32, 1), R),
    "norm_q8_1": (retype("blk.0.attn_norm.weight", 9), R),
    "norm_q4_0": (retype("blk.0.attn_norm.weight", 2), E),
    "norm_i32": (retype("blk.0.attn_norm.weight", 26), R),
    "norm_bf16": (retype("blk.0.attn_norm.weight", 30), E),
    "q_q8_1": (retype("blk.0.attn_q.weight", 9), R),
    "q_i8": (retype("blk.0.attn_q.weight", 24), R),
    "q_i16": (retype("blk.0.attn_q.weight", 25), R),
    "q_i32": (retype("blk.0.attn_q.weight", 26), R),
    "q_i64": (retype("blk.0.attn_q.weight", 27), R),
    "q_f64": (retype("blk.0.attn_q.weight", 28), R),
    "embed_q8_1": (retype("token_embd.weight", 9), R),
    "embed_i8": (retype("token_embd.weight", 24), R),
    "q_q4_0": (retype("blk.0.attn_q.weight", 2), False),
    # numbers: an answer or a clear error, nothing else
    "nan_norm": (fill("blk.0.attn_norm.weight", struct.pack("<f", NAN)), E),
    "inf_norm": (fill("output_norm.weight", struct.pack("<f", INF)), E),
    "nan_q": (fill("blk.0.attn_q.weight", b"\xc0\x7f"), E),
    "inf_down": (fill("blk.2.ffn_down.weight", b"\x80\x7f"), E),
    "nan_embed": (fill("token_embd.weight", b"\xff\xff"), E),
    "nan_output": (fill("output.weight", b"\xc0\x7f"), E),
    "huge_weights": (fill("blk.0.attn_q.weight", b"\x7f\x7f"), E),
    "zero_norm": (fill("blk.0.attn_norm.weight", bytes(4)), E),
    "ff_bytes_q": (lambda g: (retype("blk.0.attn_q.weight", 8)(g), fill("blk.0.attn_q.weight", b"\xff")(g)), E),
}

VOCAB = {
    "model_missing": (drop("tokenizer.ggml.model"), E),
    "model_unknown": (lambda g: g.set("tokenizer.ggml.model", STRING, "klingon"), R),
    "model_number": (u32("tokenizer.ggml.model", 1), E),
    "model_llama": (lambda g: g.set("tokenizer.ggml.model", STRING, "llama"), E),
    "model_bert": (lambda g: g.set("tokenizer.ggml.model", STRING, "bert"), E),
    "model_t5": (lambda g: g.set("tokenizer.ggml.model", STRING, "t5"), E),
    "pre_unknown": (lambda g: g.set("tokenizer.ggml.pre", STRING, "no-such-pre"), E),
    "pre_missing": (drop("tokenizer.ggml.pre"), E),
    "tokens_missing": (drop("tokenizer.ggml.tokens"), E),
    "tokens_empty": (arr("tokenizer.ggml.tokens", STRING, []), E),
    "tokens_fewer": (tokens(lambda v: v.__delitem__(slice(100, None))), E),
    "tokens_more": (tokens(lambda v: v.extend([b"x%d" % i for i in range(1000)])), E),
    "tokens_u32": (arr("tokenizer.ggml.tokens", U32, range(272)), R),
    "tokens_scalar": (lambda g: g.set("tokenizer.ggml.tokens", STRING, "x"), R),
    "tokens_all_equal": (tokens(lambda v: v.__setitem__(slice(None), [b"a"] * len(v))), E),
    "tokens_all_empty": (tokens(lambda v: v.__setitem__(slice(None), [b""] * len(v))), E),
    "token_1mb": (put(100, b"x" * (1 << 20)), E),
    "token_16mb": (put(100, b"x" * (16 << 20)), E),
    "token_invalid_utf8": (put(100, b"\xff\xfe\x80"), E),
    "token_nul": (put(100, b"a\0b"), E),
    "token_escape": (put(100, b"\033[2J"), E),
    "types_missing": (drop("tokenizer.ggml.token_type"), E),
    "types_short": (arr("tokenizer.ggml.token_type", I32, [1] * 10), R),
    "types_long": (arr("tokenizer.ggml.token_type", I32, [1] * 10000), E),
    "types_u8": (arr("tokenizer.ggml.token_type", U8, [1] * 272), E),
    "types_string": (arr("tokenizer.ggml.token_type", STRING, ["1"] * 272), R),
    "types_wild": (arr("tokenizer.ggml.token_type", I32, [-5, 7, 1 << 30, -(1 << 31)] * 68), E),
    "merges_missing": (drop("tokenizer.ggml.merges"), E),
    "merges_empty_string": (arr("tokenizer.ggml.merges", STRING, [""]), E),
    "merges_no_space": (arr("tokenizer.ggml.merges", STRING, ["ab"]), E),
    "merges_only_space": (arr("tokenizer.ggml.merges", STRING, [" "]), E),
    "merges_unknown_parts": (arr("tokenizer.ggml.merges", STRING, ["qqq zzz"]), E),
    "merges_twice": (arr("tokenizer.ggml.merges", STRING, ["h e"] * 1000), E),
    "merges_u32": (arr("tokenizer.ggml.merges", U32, [1, 2]), R),
    "merges_long": (arr("tokenizer.ggml.merges", STRING, ["a " * 500000]), E),
    "template_missing": (drop("tokenizer.chat_template"), False),
    "template_number": (u32("tokenizer.chat_template", 5), E),
    "template_endless": (lambda g: g.set("tokenizer.chat_template", STRING, "{% for i in range(10**9) %}x{% endfor %}"), E),
    "template_open": (lambda g: g.set("tokenizer.chat_template", STRING, "{% if %}{{"), E),
    "template_deep": (lambda g: g.set("tokenizer.chat_template", STRING, "{{" + "(" * 100000 + "}}"), E),
    "add_bos_number": (u32("tokenizer.ggml.add_bos_token", 7), E),
}
for _name in ("bos", "eos", "eot", "unknown", "padding", "seperator", "fim_pre"):
    for _label, _value in (("n", 272), ("max", 2**32 - 1), ("2p31", 1 << 31)):
        VOCAB[f"{_name}_id_{_label}"] = (u32(f"tokenizer.ggml.{_name}_token_id", _value), E)
    VOCAB[f"{_name}_id_string"] = (lambda g, k=f"tokenizer.ggml.{_name}_token_id": g.set(k, STRING, "1"), E)


def spm(g, byte_token=None):
    """The same model with a SentencePiece vocabulary."""
    pieces = [b"<unk>", b"<s>", b"</s>"] + [b"<0x%02X>" % i for i in range(256)]
    types = [2, 3, 3] + [6] * 256
    while len(pieces) < 272:
        pieces.append(b"\xe2\x96\x81" + bytes([ord("a") + len(pieces) - 259]))
        types.append(1)
    if byte_token is not None:
        pieces[3] = byte_token
    g.set("tokenizer.ggml.model", STRING, "llama").drop("tokenizer.ggml.merges").drop("tokenizer.ggml.pre")
    g.array("tokenizer.ggml.tokens", STRING, pieces).array("tokenizer.ggml.token_type", I32, types)
    g.array("tokenizer.ggml.scores", F32, [-float(i) for i in range(272)])
    g.set("tokenizer.ggml.unknown_token_id", U32, 0)
    return g


for _label, _piece in (("minus", b"<0x-1>"), ("wide", b"<0x100>"), ("plus", b"<0x+1>"), ("space", b"<0x 1>"),
                       ("letters", b"<0xZZ>"), ("empty", b"<0x>"), ("open", b"<0x00"), ("twice", b"<0x01>"),
                       ("huge", b"<0x" + b"F" * 1000 + b">")):
    VOCAB[f"spm_byte_{_label}"] = (lambda g, p=_piece: spm(g, p), E)
VOCAB["spm_good"] = (spm, False)
VOCAB["spm_scores_nan"] = (lambda g: spm(g).array("tokenizer.ggml.scores", F32, [NAN] * 272), E)
VOCAB["spm_scores_short"] = (lambda g: spm(g).array("tokenizer.ggml.scores", F32, [0.0] * 3), R)
VOCAB["spm_scores_u8"] = (lambda g: spm(g).array("tokenizer.ggml.scores", U8, [0] * 272), E)
VOCAB["spm_scores_missing"] = (lambda g: spm(g).drop("tokenizer.ggml.scores"), E)
VOCAB["charmap_wild"] = (lambda g: spm(g).set("tokenizer.ggml.model", STRING, "t5").array(
    "tokenizer.ggml.precompiled_charsmap", U8, [255] * 100), E)
VOCAB["charmap_short"] = (lambda g: spm(g).set("tokenizer.ggml.model", STRING, "t5").array(
    "tokenizer.ggml.precompiled_charsmap", U8, [1, 0]), E)
VOCAB["charmap_loop"] = (lambda g: spm(g).set("tokenizer.ggml.model", STRING, "t5").array(
    "tokenizer.ggml.precompiled_charsmap", U8, list(struct.pack("<I", 1024)) + [0] * 1100), E)

EXPERTS = {
    "count_0": (u32("llama.expert_count", 0), R),
    "count_1": (u32("llama.expert_count", 1), R),
    "count_less": (u32("llama.expert_count", 3), R),
    "count_more": (u32("llama.expert_count", 5), R),
    "count_max": (u32("llama.expert_count", 2**32 - 1), R),
    "count_missing": (drop("llama.expert_count"), E),
    "used_0": (u32("llama.expert_used_count", 0), R),
    "used_more": (u32("llama.expert_used_count", 1000), R),
    "used_max": (u32("llama.expert_used_count", 2**32 - 1), R),
    "used_missing": (drop("llama.expert_used_count"), E),
    "gating_wild": (u32("llama.expert_gating_func", 77), R),
    "groups_wild": (u32("llama.expert_group_count", 3), E),
    "router_nan": (fill("blk.0.ffn_gate_inp.weight", struct.pack("<f", NAN)), E),
    "router_missing": (drop_tensor("blk.0.ffn_gate_inp.weight"), R),
    "router_short": (reshape("blk.0.ffn_gate_inp.weight", 32, 1), R),
}


@pytest.fixture(scope="module")
def models(golden):
    return {name: ge.read(golden / name) for name in (LLAMA, MIXTRAL)}


def change(models, name, f):
    g = models[name].copy()
    f(g)
    return g


def test_the_untouched_model_runs(ingle, tmp_path, models):
    for g in models.values():
        assert judge_gguf(ingle, tmp_path, g, False) == [0, 0, 0]


@pytest.mark.parametrize("case", HPARAMS)
def test_hparams(ingle, tmp_path, models, case):
    f, refuse = HPARAMS[case]
    judge_gguf(ingle, tmp_path, change(models, LLAMA, f), refuse)


@pytest.mark.parametrize("case", TENSORS)
def test_tensors(ingle, tmp_path, models, case):
    f, refuse = TENSORS[case]
    judge_gguf(ingle, tmp_path, change(models, LLAMA, f), refuse)


@pytest.mark.parametrize("case", VOCAB)
def test_vocab(ingle, tmp_path, models, case):
    f, refuse = VOCAB[case]
    judge_gguf(ingle, tmp_path, change(models, LLAMA, f), refuse)


@pytest.mark.parametrize("case", EXPERTS)
def test_experts(ingle, tmp_path, models, case):
    f, refuse = EXPERTS[case]
    judge_gguf(ingle, tmp_path, change(models, MIXTRAL, f), refuse)


def test_not_finite_logits_are_an_error(ingle, tmp_path, models):
    g = change(models, LLAMA, TENSORS["nan_output"][0])
    results = judge_gguf(ingle, tmp_path, g, None)
    assert results[2] == 3, "generation from NaN logits must fail with 'not finite'"


@pytest.mark.parametrize("seed", range(40))
def test_random_field_changes(ingle, tmp_path, models, seed):
    """Bytes of the header changed at random, most often to values that hurt."""
    rng = random.Random(seed)
    good = models[LLAMA].bytes()
    header = good.index(b"output_norm.weight") + 60
    wild = [0, 1, 2, 7, 8, 9, 31, 33, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**61, 2**63, 2**64 - 1]
    data = bytearray(good)
    for _ in range(rng.choice([1, 1, 2, 4])):
        at = rng.randrange(header)
        width = rng.choice([1, 4, 8])
        value = rng.choice(wild) % (1 << 8 * width) if rng.random() < 0.7 else rng.randrange(1 << 8 * width)
        data[at:at + width] = value.to_bytes(width, "little")
    judge_gguf(ingle, tmp_path, bytes(data), None)


@pytest.mark.parametrize("share", [0, 3, 4, 8, 23, 24, 100, 0.01, 0.1, 0.5, 0.9, 0.999])
def test_truncated(ingle, tmp_path, models, share):
    data = models[LLAMA].bytes()
    cut = share if isinstance(share, int) else int(len(data) * share)
    judge_gguf(ingle, tmp_path, data[:cut], True)


@pytest.mark.parametrize("kind", ["fifo", "folder", "absent", "device", "html", "empty"])
def test_not_a_file(ingle, tmp_path, kind):
    path = tmp_path / "hostile.gguf"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = "/dev/zero"
    elif kind == "html":
        path.write_text("<!DOCTYPE html>\n<html>not found")
    elif kind == "empty":
        path.write_bytes(b"")
    judge_file(ingle, tmp_path, path, True)


# ---- folders ------------------------------------------------------------------------------------------------------

FOLDER = "models/llama"


def config(**changes):
    def change(path):
        c = json.loads((path / "config.json").read_text())
        for k, v in changes.items():
            if v is DROP:
                c.pop(k, None)
            else:
                c[k] = v
        (path / "config.json").write_text(json.dumps(c))
    return change


def tokenizer(f):
    def change(path):
        t = json.loads((path / "tokenizer.json").read_text())
        t = f(t) or t
        (path / "tokenizer.json").write_text(json.dumps(t))
    return change


def text(name, content):
    def change(path):
        (path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return change


def absent(name):
    return lambda path: (path / name).unlink()


def weights(f):
    """f(header dict, body) -> (header, body)"""
    def change(path):
        data = (path / "model.safetensors").read_bytes()
        n = struct.unpack("<Q", data[:8])[0]
        header, body = f(json.loads(data[8:8 + n]), data[8 + n:])
        h = json.dumps(header).encode()
        (path / "model.safetensors").write_bytes(struct.pack("<Q", len(h)) + h + body)
    return change


def entry(name, **changes):
    def f(h, b):
        h[name].update(changes)
        return h, b
    return weights(f)


def rename(old, new):
    return weights(lambda h, b: ({(new if k == old else k): v for k, v in h.items()}, b))


def odd_header(path):
    """Every tensor begins at an odd byte of the file."""
    data = (path / "model.safetensors").read_bytes()
    n = struct.unpack("<Q", data[:8])[0]
    (path / "model.safetensors").write_bytes(struct.pack("<Q", n + 1 - n % 2) + data[8:8 + n] + b" " * (1 - n % 2) + data[8 + n:])


def model_of(t, **changes):
    t["model"].update(changes)
    return t


DROP = object()
Q = "model.layers.0.self_attn.q_proj.weight"
FOLDERS = {
    "config_absent": (absent("config.json"), R),
    "config_empty": (text("config.json", ""), R),
    "config_array": (text("config.json", "[]"), R),
    "config_cut": (text("config.json", '{"model_type": "llama", "hidden_size": '), R),
    "config_not_json": (text("config.json", "model_type: llama\n"), R),
    "config_utf16": (text("config.json", '{"model_type":"llama"}'.encode("utf-16")), R),
    "config_deep": (text("config.json", '{"a":' * 100000 + "1" + "}" * 100000), R),
    "config_empty_object": (text("config.json", "{}"), R),
    "config_binary": (text("config.json", os.urandom(4096)), R),
    "config_20mb": (text("config.json", '{"a":"' + "x" * (20 << 20) + '"}'), R),
    "model_type_unknown": (config(model_type="klingon"), R),
    "model_type_number": (config(model_type=5), R),
    "model_type_missing": (config(model_type=DROP), E),
    "model_type_escape": (config(model_type="\033[2J\n"), R),
    "layers_0": (config(num_hidden_layers=0), R),
    "layers_less": (config(num_hidden_layers=1), R),
    "layers_more": (config(num_hidden_layers=4), R),
    "layers_513": (config(num_hidden_layers=513), R),
    "layers_huge": (config(num_hidden_layers=2**62), R),
    "layers_negative": (config(num_hidden_layers=-1), R),
    "layers_float": (config(num_hidden_layers=2.5), R),
    "layers_1e300": (config(num_hidden_layers=1e300), R),
    "layers_string": (config(num_hidden_layers="3"), R),
    "layers_null": (config(num_hidden_layers=None), R),
    "heads_0": (config(num_attention_heads=0), R),
    "heads_3": (config(num_attention_heads=3), R),
    "heads_huge": (config(num_attention_heads=2**40), R),
    "kv_heads_0": (config(num_key_value_heads=0), R),
    "kv_heads_3": (config(num_key_value_heads=3), R),
    "head_dim_0": (config(head_dim=0), E),
    "head_dim_7": (config(head_dim=7), R),
    "hidden_0": (config(hidden_size=0), R),
    "hidden_31": (config(hidden_size=31), R),
    "eps_nan": (config(rms_norm_eps=NAN), E),
    "eps_inf": (config(rms_norm_eps=INF), R),
    "eps_string": (config(rms_norm_eps="small"), E),
    "theta_0": (config(rope_parameters={"rope_type": "default", "rope_theta": 0}), R),
    "theta_inf": (config(rope_parameters={"rope_type": "default", "rope_theta": -INF}), R),
    "rope_scaling_string": (config(rope_scaling="llama3"), E),
    "rope_scaling_unknown": (config(rope_scaling={"rope_type": "weird", "factor": 2.0}), E),
    "rope_scaling_nan": (config(rope_scaling={"rope_type": "linear", "factor": NAN}), E),
    "rope_scaling_0": (config(rope_scaling={"rope_type": "linear", "factor": 0}), E),
    "rope_scaling_longrope_short": (config(rope_scaling={"rope_type": "longrope", "long_factor": [1.0], "short_factor": []}), E),
    "act_unknown": (config(hidden_act="relu99"), R),
    "act_number": (config(hidden_act=3), E),
    "vocab_0": (config(vocab_size=0), E),
    "context_0": (config(max_position_embeddings=0), E),
    "context_huge": (config(max_position_embeddings=2**53), E),
    "window_negative": (config(sliding_window=-4), E),
    "layer_types_wild": (config(layer_types=["weird"] * 3), E),
    "layer_types_short": (config(layer_types=["full_attention"]), E),
    "quantization_config": (config(quantization_config={"quant_method": "gptq", "bits": 4}), E),
    "weights_absent": (absent("model.safetensors"), R),
    "weights_pytorch": (lambda p: (absent("model.safetensors")(p), text("pytorch_model.bin", "PK\3\4")(p)), R),
    "weights_onnx": (lambda p: (absent("model.safetensors")(p), text("model.onnx", "x")(p)), R),
    "weights_empty": (text("model.safetensors", b""), R),
    "weights_short": (text("model.safetensors", b"\x08\0\0\0"), R),
    "weights_html": (text("model.safetensors", "<!DOCTYPE html><html>"), R),
    "weights_header_long": (text("model.safetensors", struct.pack("<Q", 2**63) + b"{}"), R),
    "weights_cut": (lambda p: os.truncate(p / "model.safetensors", os.path.getsize(p / "model.safetensors") - 1), R),
    "weights_longer": (weights(lambda h, b: (h, b + b"x")), R),
    "weights_no_q": (rename(Q, "model.layers.0.other.weight"), R),
    "weights_layer_99": (rename(Q, "model.layers.99.self_attn.q_proj.weight"), R),
    "weights_layer_huge": (rename(Q, "model.layers.99999999999999999999.self_attn.q_proj.weight"), R),
    "weights_swapped": (entry("model.layers.0.self_attn.k_proj.weight", shape=[32, 16]), R),
    "weights_odd": (odd_header, False),
    "weights_shape_wrap": (entry(Q, shape=[2**32, 2**32]), R),
    "weights_shape_0": (entry(Q, shape=[0, 32]), R),
    "weights_overlap": (entry(Q, data_offsets=[0, 2048]), R),
    "weights_dtype_unknown": (entry(Q, dtype="Q4"), R),
    "weights_dtype_i16": (entry(Q, dtype="I16"), R),
    "index_escapes": (text("model.safetensors.index.json", '{"weight_map":{"a":"../model.safetensors"}}'), R),
    "index_absolute": (text("model.safetensors.index.json", '{"weight_map":{"a":"/etc/passwd"}}'), R),
    "index_missing_part": (text("model.safetensors.index.json", '{"weight_map":{"a":"x-1.safetensors","b":"x-2.safetensors"}}'), R),
    "index_broken": (text("model.safetensors.index.json", "{"), R),
    "tokenizer_absent": (absent("tokenizer.json"), E),
    "tokenizer_empty": (text("tokenizer.json", ""), R),
    "tokenizer_empty_object": (text("tokenizer.json", "{}"), E),
    "tokenizer_array": (text("tokenizer.json", "[1,2]"), R),
    "tokenizer_deep": (text("tokenizer.json", "[" * 100000), R),
    "tokenizer_model_unknown": (tokenizer(lambda t: model_of(t, type="Klingon")), R),
    "tokenizer_model_null": (tokenizer(lambda t: dict(t, model=None)), R),
    "tokenizer_vocab_empty": (tokenizer(lambda t: model_of(t, vocab={})), E),
    "tokenizer_vocab_list": (tokenizer(lambda t: model_of(t, vocab=[["a", 1.0]])), E),
    "tokenizer_vocab_id_huge": (tokenizer(lambda t: model_of(t, vocab=dict(t["model"]["vocab"], zz=2**40))), R),
    "tokenizer_vocab_id_2p31": (tokenizer(lambda t: model_of(t, vocab=dict(t["model"]["vocab"], zz=2**31 - 1))), R),
    "tokenizer_vocab_id_negative": (tokenizer(lambda t: model_of(t, vocab=dict(t["model"]["vocab"], zz=-1))), R),
    "tokenizer_vocab_id_string": (tokenizer(lambda t: model_of(t, vocab=dict(t["model"]["vocab"], zz="1"))), R),
    "tokenizer_vocab_id_twice": (tokenizer(lambda t: model_of(t, vocab=dict(t["model"]["vocab"], zz=5))), E),
    "tokenizer_merges_wild": (tokenizer(lambda t: model_of(t, merges=[["qq", "zz"], 5, "ab", ["a"]])), E),
    "tokenizer_added_wild": (tokenizer(lambda t: dict(t, added_tokens=[{"id": 2**31, "content": "x"}])), R),
    "tokenizer_added_empty": (tokenizer(lambda t: dict(t, added_tokens=[{"id": 3, "content": "", "special": True}])), E),
    "tokenizer_regex_bad": (tokenizer(lambda t: dict(t, pre_tokenizer={"type": "Split", "pattern": {"Regex": "(("}, "behavior": "Isolated", "invert": False})), R),
    "tokenizer_regex_bomb": (tokenizer(lambda t: dict(t, pre_tokenizer={"type": "Split", "pattern": {"Regex": "((a{1000}){1000}){1000}"}, "behavior": "Isolated", "invert": False})), E),
    "tokenizer_regex_slow": (tokenizer(lambda t: dict(t, pre_tokenizer={"type": "Split", "pattern": {"Regex": "(a*)*b"}, "behavior": "Isolated", "invert": False})), E),
    "tokenizer_pre_unknown": (tokenizer(lambda t: dict(t, pre_tokenizer={"type": "Klingon"})), R),
    "tokenizer_pre_deep": (tokenizer(lambda t: dict(t, pre_tokenizer=nest(150))), E),
    "tokenizer_decoder_unknown": (tokenizer(lambda t: dict(t, decoder={"type": "Klingon"})), R),
    "tokenizer_normalizer_wild": (tokenizer(lambda t: dict(t, normalizer={"type": "Precompiled", "precompiled_charsmap": "////"})), E),
    "tokenizer_post_wild": (tokenizer(lambda t: dict(t, post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "no", "type_id": 0}}], "pair": [], "special_tokens": {}})), E),
    "tokenizer_config_broken": (text("tokenizer_config.json", "{"), R),
    "generation_config_broken": (text("generation_config.json", "nope"), R),
    "generation_config_eos_wild": (text("generation_config.json", '{"eos_token_id":[1,99999999999,"x",-5]}'), E),
    "template_wild": (text("chat_template.jinja", b"\xff\xfe{{"), E),
}


def nest(depth):
    inner = {"type": "Whitespace"}
    for _ in range(depth):
        inner = {"type": "Sequence", "pretokenizers": [inner]}
    return inner


@pytest.mark.parametrize("case", FOLDERS)
def test_folders(ingle, tmp_path, golden, case):
    f, refuse = FOLDERS[case]
    path = tmp_path / "hostile-model"
    shutil.copytree(golden / FOLDER, path, copy_function=shutil.copyfile)
    os.chmod(path, 0o755)
    f(path)
    judge_file(ingle, tmp_path, path, refuse)
