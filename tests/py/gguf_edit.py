"""Reads a small GGUF file into plain Python values, and writes whatever is asked, sensible or not."""
import copy
import struct

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORMATS = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}
# id: weights and bytes a block, for the types the tests write
BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 8: (32, 34), 9: (32, 36), 12: (256, 144), 15: (256, 292), 24: (1, 1),
          25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2)}


class Tensor:
    def __init__(self, name, dims, type, data):
        self.name, self.dims, self.type, self.data = name, list(dims), type, data
        self.offset = None  # None: where it belongs


class Gguf:
    """keys: {name: (type, value)}, arrays as (ARRAY, (item type, list)). tensors: list of Tensor."""

    def __init__(self, keys=None, tensors=None):
        self.keys, self.tensors, self.version, self.alignment = keys or {}, tensors or [], 3, 32

    def copy(self):
        return copy.deepcopy(self)

    def __getitem__(self, name):
        return next(t for t in self.tensors if t.name == name)

    def set(self, key, type, value):
        self.keys[key] = (type, value)
        return self

    def array(self, key, item, values):
        return self.set(key, ARRAY, (item, list(values)))

    def drop(self, key):
        self.keys.pop(key, None)
        return self

    def bytes(self):
        head, body, alignment = bytearray(), bytearray(), self.alignment
        head += struct.pack("<4sIQQ", b"GGUF", self.version, len(self.tensors), len(self.keys))
        for key, (type, value) in self.keys.items():
            head += string(key) + struct.pack("<I", type) + pack(type, value)
        for t in self.tensors:
            body += bytes(-len(body) % alignment)
            offset = len(body) if t.offset is None else t.offset
            if 0 < offset - len(body) < 64:
                body += bytes(offset - len(body))
            head += string(t.name) + struct.pack("<I", len(t.dims))
            head += b"".join(struct.pack("<Q", d) for d in t.dims) + struct.pack("<IQ", t.type, offset)
            body += t.data
        return bytes(head + bytes(-len(head) % alignment) + body)


def string(s):
    b = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(b)) + b


def pack(type, value):
    if type == STRING:
        return string(value)
    if type == ARRAY:
        item, values = value
        return struct.pack("<IQ", item, len(values)) + b"".join(pack(item, v) for v in values)
    return struct.pack("<" + FORMATS[type], value)


def size_of(dims, type):
    weights, size = BLOCKS[type]
    for d in dims:
        size *= d
    return size // weights


def read(path):
    data, at = open(path, "rb").read(), 24
    version, n_tensors, n_keys = struct.unpack_from("<IQQ", data, 4)
    assert data[:4] == b"GGUF" and version == 3

    def take(format):
        nonlocal at
        values = struct.unpack_from("<" + format, data, at)
        at += struct.calcsize("<" + format)
        return values[0] if len(values) == 1 else values

    def take_string():
        nonlocal at
        n = take("Q")
        at += n
        return data[at - n:at]

    def take_value(type):
        if type == STRING:
            return take_string()
        if type == ARRAY:
            item, n = take("IQ")
            return item, [take_value(item) for _ in range(n)]
        return take(FORMATS[type])

    g = Gguf()
    for _ in range(n_keys):
        key, type = take_string().decode(), take("I")
        g.keys[key] = (type, take_value(type))
    for _ in range(n_tensors):
        name, n_dims = take_string().decode(), take("I")
        dims = [take("Q") for _ in range(n_dims)]
        type, offset = take("IQ")
        g.tensors.append(Tensor(name, dims, type, offset))
    base = at + -at % 32
    for t in g.tensors:
        start = base + t.data
        t.data = data[start:start + size_of(t.dims, t.type)]
    return g
