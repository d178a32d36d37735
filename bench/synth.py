#!/usr/bin/env python3
"""Writes a GGUF file with random weights in the shape of Llama 3.2 1B, in any block type.

    bench/synth.py OUT.gguf [--type Q4_K_M] [--seed 1] [--vocab FILE.gguf]

2048 wide, 16 layers, 32 query and 8 key/value heads of 64, 8192 in the feed-forward part, 128256 tokens, output
tied to the embedding, llama3 rope factors: 1.24 billion weights. The blocks are random but valid, their scales such
that weights have a standard deviation near 0.02, so that logits stay finite; what the model says is noise. One seed
gives one file. --type takes a block type or a mix as quantised files have them (Q4_K_M, Q5_K_M, Q3_K_M, Q2_K_S).
--vocab takes tokens and merges of another file; without it a byte-level BPE vocabulary is made up.
"""
import argparse
import os
import struct
import sys

import numpy as np

import gguf_read

STD = 0.02  # wanted standard deviation of a weight

# id, weights per block, bytes per block, [(offset, kind, factor)] of the scale fields. factor times STD is the value.
# Factors follow from the spread of the remaining, uniformly random bits of the block.
TYPES = {
    "F32": (0, 1, 4, None), "F16": (1, 1, 2, None), "BF16": (30, 1, 2, None),
    "Q4_0": (2, 32, 18, [(0, "f16", 1 / 4.6)]),
    "Q4_1": (3, 32, 20, [(0, "f16", 1 / 4.6), (2, "f16", -7.5 / 4.6)]),
    "Q5_0": (6, 32, 22, [(0, "f16", 1 / 9.2)]),
    "Q5_1": (7, 32, 24, [(0, "f16", 1 / 9.2), (2, "f16", -15.5 / 9.2)]),
    "Q8_0": (8, 32, 34, [(0, "f16", 1 / 74)]),
    "Q2_K": (10, 256, 84, [(80, "f16", 1 / 12.5), (82, "f16", 1.5 / 12.5)]),
    "Q3_K": (11, 256, 110, [(108, "f16", 1 / 43)]),
    "Q4_K": (12, 256, 144, [(0, "f16", 1 / 255), (2, "f16", 7.5 / 255)]),
    "Q5_K": (13, 256, 176, [(0, "f16", 1 / 520), (2, "f16", 15.5 / 520)]),
    "Q6_K": (14, 256, 210, [(208, "f16", 1 / 1368)]),
    "IQ2_XXS": (16, 256, 66, [(0, "f16", 1 / 45)]), "IQ2_XS": (17, 256, 74, [(0, "f16", 1 / 45)]),
    "IQ3_XXS": (18, 256, 98, [(0, "f16", 1 / 130)]), "IQ1_S": (19, 256, 50, [(0, "f16", 1 / 7)]),
    "IQ4_NL": (20, 32, 18, [(0, "f16", 1 / 68)]), "IQ3_S": (21, 256, 110, [(0, "f16", 1 / 130)]),
    "IQ2_S": (22, 256, 82, [(0, "f16", 1 / 45)]), "IQ4_XS": (23, 256, 136, [(0, "f16", 1 / 1260)]),
    "IQ1_M": (29, 256, 56, [(48, "iq1m", 1 / 7)]),
    "TQ1_0": (34, 256, 54, [(52, "f16", 1 / 0.82)]), "TQ2_0": (35, 256, 66, [(64, "f16", 1 / 1.12)]),
    "MXFP4": (39, 32, 17, [(0, "e8m0", 1)]), "NVFP4": (40, 64, 36, [(0, "ue4m3", 1)]),
    "Q1_0": (41, 128, 18, [(0, "f16", 1)]), "Q2_0": (42, 64, 18, [(0, "f16", 1 / 1.12)]),
}
FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_M": 12,
              "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18, "Q2_K_S": 21, "BF16": 32}
# A mix: (most tensors, the sensitive ones, token embedding).
MIXES = {"Q4_K_M": ("Q4_K", "Q6_K", "Q6_K"), "Q5_K_M": ("Q5_K", "Q6_K", "Q6_K"),
         "Q3_K_M": ("Q3_K", "Q5_K", "Q6_K"), "Q2_K_S": ("Q2_K", "Q4_K", "Q6_K")}
LLAMA_1B = {"width": 2048, "layers": 16, "heads": 32, "kv_heads": 8, "head": 64, "ffn": 8192, "vocab": 128256}
TINY = {"width": 256, "layers": 2, "heads": 4, "kv_heads": 2, "head": 64, "ffn": 512, "vocab": 1024}
SPECIALS = 256  # control tokens at the end of the vocabulary, as in Llama 3
ALIGN = 32


def set_scale(blocks, offset, kind, value, rng):
    n = len(blocks)
    spread = rng.random(n, dtype=np.float32) * np.float32(0.5) + np.float32(0.75)
    if kind == "f16":
        blocks[:, offset:offset + 2] = (spread * np.float32(value)).astype("<f2").view(np.uint8).reshape(n, 2)
    elif kind == "iq1m":  # the f16 lies in the top nibbles of four 16-bit words
        d = (spread * np.float32(value)).astype("<f2").view(np.uint16)
        for i in range(4):
            high = blocks[:, offset + 2 * i + 1]
            high &= 0x0F
            high |= (((d >> (4 * i)) & 15) << 4).astype(np.uint8)
    elif kind == "e8m0":  # w = fp4 * 2^(e - 127), |fp4| up to 6, spread 3.2
        blocks[:, offset] = rng.integers(118, 121, n, dtype=np.uint8)
    elif kind == "ue4m3":  # smallest normal scales: 2^-6 .. 2^-5
        blocks[:, offset:offset + 4] = rng.integers(4, 12, (n, 4), dtype=np.uint8)


def weights(kind, count, rng):
    """`count` random weights as bytes of the type."""
    _, per, size, fields = TYPES[kind]
    assert count % per == 0
    if fields is None:
        x = rng.standard_normal(count, dtype=np.float32) * np.float32(STD)
        if kind == "F32":
            return x.tobytes()
        if kind == "F16":
            return x.astype("<f2").tobytes()
        return (x.view(np.uint32) >> 16).astype("<u2").tobytes()
    n = count // per
    blocks = np.frombuffer(bytearray(rng.bytes(n * size)), np.uint8).reshape(n, size)
    for offset, field, factor in fields:
        set_scale(blocks, offset, field, factor * STD, rng)
    return blocks.tobytes()


# ---- GGUF ---------------------------------------------------------------------------------------------------------


def text(s):
    raw = s.encode() if isinstance(s, str) else s
    return struct.pack("<Q", len(raw)) + raw


def value(v):
    """(type, bytes): int -> u32, float -> f32, str, bool, list of str, list of int (i32), list of float."""
    if isinstance(v, bool):
        return 7, struct.pack("<?", v)
    if isinstance(v, int):
        return 4, struct.pack("<I", v)
    if isinstance(v, float):
        return 6, struct.pack("<f", v)
    if isinstance(v, (str, bytes)):
        return 8, text(v)
    if isinstance(v[0], (str, bytes)):
        return 9, struct.pack("<IQ", 8, len(v)) + b"".join(map(text, v))
    if isinstance(v[0], float):
        return 9, struct.pack("<IQ", 6, len(v)) + np.asarray(v, "<f4").tobytes()
    return 9, struct.pack("<IQ", 5, len(v)) + np.asarray(v, "<i4").tobytes()


def write(path, metadata, tensors, make):
    """tensors: [(name, shape with the row length first, type)]; make(name, type, count) gives the bytes."""
    with open(path + ".part", "wb") as f:
        f.write(b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)))
        for key, v in metadata.items():
            kind, raw = value(v)
            f.write(text(key) + struct.pack("<I", kind) + raw)
        offset = 0
        for name, shape, kind in tensors:
            number, per, size, _ = TYPES[kind]
            f.write(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, number, offset))
            offset += (int(np.prod(shape)) // per * size + ALIGN - 1) // ALIGN * ALIGN
        f.write(b"\0" * (-f.tell() % ALIGN))
        for name, shape, kind in tensors:
            # In pieces, so that memory stays small.
            left, piece = int(np.prod(shape)), 1 << 22
            while left:
                n = min(left, piece)
                f.write(make(name, kind, n))
                left -= n
            f.write(b"\0" * (-f.tell() % ALIGN))
    os.replace(path + ".part", path)


# ---- Vocabulary ----------------------------------------------------------------------------------------------------


def byte_letters():
    """The 256 printable stand-ins for bytes that GPT-2 introduced."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    out, extra = {}, 0
    for b in range(256):
        out[b] = chr(b) if b in keep else chr(256 + extra)
        extra += b not in keep
    return out


def made_up_vocabulary(size, rng):
    """Tokens and merges of a byte-level BPE: each merge joins two earlier tokens, short ones first."""
    letters = byte_letters()
    tokens = [letters[b] for b in range(256)]
    seen, merges = set(tokens), []
    lower = [letters[b] for b in b" etaoinshrdlucmfwypvbgkjqxz"]
    pool = lower[:]
    while len(tokens) < size - SPECIALS:
        a, b = (pool[int(i)] for i in rng.integers(0, len(pool), 2))
        if len(a) + len(b) > 12 or a + b in seen or b.startswith(letters[32]):
            a, b = tokens[int(rng.integers(0, len(tokens)))], tokens[int(rng.integers(0, 256))]
        if len(a) + len(b) > 16 or a + b in seen:
            continue
        seen.add(a + b)
        tokens.append(a + b)
        merges.append(f"{a} {b}")
        pool.append(a + b)
    types = [1] * len(tokens) + [3] * SPECIALS
    named = {0: "<|begin_of_text|>", 1: "<|end_of_text|>", 6: "<|start_header_id|>", 7: "<|end_header_id|>",
             9: "<|eot_id|>"}
    tokens += [named.get(i, f"<|reserved_special_token_{i}|>") for i in range(SPECIALS)]
    first = size - SPECIALS
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": types, "tokenizer.ggml.merges": merges,
            "tokenizer.ggml.bos_token_id": first, "tokenizer.ggml.eos_token_id": first + 9}


def vocabulary_of(path):
    """The tokenizer.* keys of a GGUF file."""
    return {key: v for key, v in gguf_read.read(path)[0].items() if key.startswith("tokenizer.")}


# ---- The model ------------------------------------------------------------------------------------------------------


def rope_factors(head, factor=32.0, low=1.0, high=4.0, original=8192, base=500000.0):
    """Llama 3's per-frequency divisors."""
    out = []
    for i in range(head // 2):
        wave = 2 * np.pi * base ** (2 * i / head)
        if wave < original / high:
            out.append(1.0)
        elif wave > original / low:
            out.append(factor)
        else:
            smooth = (original / wave - low) / (high - low)
            out.append(1 / ((1 - smooth) / factor + smooth))
    return np.asarray(out, "<f4")


def tensor_list(s, mix):
    plain, fine, embedding = MIXES.get(mix, (mix, mix, mix))
    w, q, kv, n = s["width"], s["heads"] * s["head"], s["kv_heads"] * s["head"], s["layers"]
    out = [("token_embd.weight", (w, s["vocab"]), embedding), ("rope_freqs.weight", (s["head"] // 2,), "F32")]
    for i in range(n):
        # The usual choice of layers whose value and down projections get more bits.
        more = i < n // 8 or i >= 7 * n // 8 or (i - n // 8) % 3 == 2
        sensitive = fine if more else plain
        b = f"blk.{i}."
        out += [(b + "attn_norm.weight", (w,), "F32"), (b + "attn_q.weight", (w, q), plain),
                (b + "attn_k.weight", (w, kv), plain), (b + "attn_v.weight", (w, kv), sensitive),
                (b + "attn_output.weight", (q, w), plain), (b + "ffn_norm.weight", (w,), "F32"),
                (b + "ffn_gate.weight", (w, s["ffn"]), plain), (b + "ffn_up.weight", (w, s["ffn"]), plain),
                (b + "ffn_down.weight", (s["ffn"], w), sensitive)]
    return out + [("output_norm.weight", (w,), "F32")]


def synth(path, mix="Q4_K_M", seed=1, shape=LLAMA_1B, vocab=None):
    if mix not in TYPES and mix not in MIXES:
        raise ValueError(f"no type {mix}; there are: {' '.join([*TYPES, *MIXES])}")
    s = dict(shape)
    names = vocabulary_of(vocab) if vocab else None
    if names:
        s["vocab"] = len(names["tokenizer.ggml.tokens"])
    rng = np.random.Generator(np.random.SFC64(seed))
    metadata = {
        "general.architecture": "llama", "general.name": f"synthetic {mix} seed {seed}",
        "general.file_type": FILE_TYPES.get(mix, 1),
        "llama.block_count": s["layers"], "llama.context_length": 131072, "llama.embedding_length": s["width"],
        "llama.feed_forward_length": s["ffn"], "llama.attention.head_count": s["heads"],
        "llama.attention.head_count_kv": s["kv_heads"], "llama.attention.key_length": s["head"],
        "llama.attention.value_length": s["head"], "llama.rope.dimension_count": s["head"],
        "llama.rope.freq_base": 500000.0, "llama.attention.layer_norm_rms_epsilon": 1e-5, "llama.vocab_size": s["vocab"],
        **(names or made_up_vocabulary(s["vocab"], rng)),
    }

    def make(name, kind, count):
        if name == "rope_freqs.weight":
            return rope_factors(s["head"]).tobytes()
        if "norm" in name:
            return (1 + rng.standard_normal(count, dtype=np.float32) * np.float32(0.1)).tobytes()
        return weights(kind, count, rng)

    tensors = tensor_list(s, mix)
    write(path, metadata, tensors, make)
    return sum(int(np.prod(shape)) for _, shape, _ in tensors)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out")
    p.add_argument("--type", default="Q4_K_M")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--vocab", help="take the vocabulary of this GGUF file")
    p.add_argument("--tiny", action="store_true", help="two narrow layers and 1024 tokens, for tests")
    p.add_argument("--layers", type=int)
    a = p.parse_args()
    shape = dict(TINY if a.tiny else LLAMA_1B)
    if a.layers:
        shape["layers"] = a.layers
    try:
        n = synth(a.out, a.type, a.seed, shape, a.vocab)
    except (ValueError, OSError) as e:
        print(f"error: {e}", file=sys.stderr)
        return 64 if isinstance(e, ValueError) else 2
    print(f"{a.out}: {n / 1e9:.2f} billion weights, {os.path.getsize(a.out) / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
