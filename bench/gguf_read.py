"""Reads the head of a GGUF file: keys and the list of tensors, without any package."""
import math
import mmap
import struct

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        v = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return v

    def text(self):
        n = self.take("<Q")
        self.at += n
        return self.data[self.at - n:self.at]

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            inner, n = self.take("<I"), self.take("<Q")
            return [self.value(inner) for _ in range(n)]
        return self.take(SCALARS[kind])


def read(path):
    """(keys, tensors): {name: value}, texts as bytes; [(name, shape with the row length first, type id, bytes)]; the
    bytes include the padding that follows."""
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as data:
        c = Cursor(data)
        if data[:4] != b"GGUF":
            raise ValueError(f"{path} is not a GGUF file")
        c.at = 8
        n_tensors, n_keys, keys = c.take("<Q"), c.take("<Q"), {}
        for _ in range(n_keys):
            name = c.text().decode()
            keys[name] = c.value(c.take("<I"))
        tensors = []
        for _ in range(n_tensors):
            name = c.text().decode()
            shape = [c.take("<Q") for _ in range(c.take("<I"))]
            tensors.append((name, shape, c.take("<I"), c.take("<Q")))
        align = keys.get("general.alignment", 32)
        offsets = sorted(t[3] for t in tensors) + [len(data) - (c.at + align - 1) // align * align]
        size = {offset: after - offset for offset, after in zip(offsets, offsets[1:])}
        return keys, [(name, shape, kind, size[offset]) for name, shape, kind, offset in tensors]


def work(path):
    """What a token costs: {"bytes": of weights read per generated token, "kv_bytes": read per position before it, "macs":
    multiply-adds per token in the layers, "head_macs": per wanted row of logits, "floats": whether the layers' matrices
    are of a float type}. For dense models."""
    keys, tensors = read(path)
    arch = keys["general.architecture"].decode()
    get = lambda name, other=None: keys.get(f"{arch}.{name}", other)
    matrices = {name: (math.prod(shape), kind, size) for name, shape, kind, size in tensors if len(shape) > 1}
    head = "output.weight" if "output.weight" in matrices else "token_embd.weight"
    layers = [m for name, m in matrices.items() if name.startswith("blk.")]
    key = get("attention.key_length") or get("embedding_length") // get("attention.head_count")
    value = get("attention.value_length") or key
    return {"bytes": sum(m[2] for m in layers) + matrices[head][2],
            "kv_bytes": 2 * get("block_count") * get("attention.head_count_kv", get("attention.head_count")) * (key + value),
            "macs": sum(m[0] for m in layers), "head_macs": matrices[head][0],
            "floats": all(m[1] in (0, 1, 30) for m in layers)}
