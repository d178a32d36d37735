"""Packs bytes in the LZ4 block format (src/base/lz.c unpacks them). Greedy with a hash of four bytes: the texts it is for
shrink to a sixth or so, and nothing needs to be installed."""


def _length(n):
    """The bytes that follow a token whose four bits were full."""
    out = bytearray()
    while n >= 255:
        out.append(255)
        n -= 255
    out.append(n)
    return bytes(out)


def _sequence(literals, match, offset):
    lit, rest = len(literals), match - 4
    token = min(lit, 15) << 4 | (min(rest, 15) if match else 0)
    out = bytes([token]) + (_length(lit - 15) if lit >= 15 else b"") + literals
    if match:
        out += offset.to_bytes(2, "little") + (_length(rest - 15) if rest >= 15 else b"")
    return out


def pack(data, tries=32):
    """The packed bytes. The last five bytes are literals and no match begins in the last twelve, as the format asks."""
    out, anchor, at, n = bytearray(), 0, 0, len(data)
    table = {}
    while at + 12 < n:
        key = data[at:at + 4]
        best, where = 0, 0
        places = table.setdefault(key, [])
        for p in reversed(places[-tries:]):
            if at - p > 65535:
                break
            length, most = 4, n - 5 - at
            while length < most and data[p + length] == data[at + length]:
                length += 1
            if min(length, most) > best:
                best, where = min(length, most), p
        places.append(at)
        if best < 4:
            at += 1
            continue
        out += _sequence(data[anchor:at], best, at - where)
        for skipped in range(at + 1, min(at + best, n - 12)):
            table.setdefault(data[skipped:skipped + 4], []).append(skipped)
        at += best
        anchor = at
    return bytes(out + _sequence(data[anchor:], 0, 0))


def unpack(packed, n):
    """The other way, for checks."""
    out, at = bytearray(), 0
    while True:
        token = packed[at]
        at += 1
        lit = token >> 4
        if lit == 15:
            while True:
                lit += packed[at]
                at += 1
                if packed[at - 1] != 255:
                    break
        out += packed[at:at + lit]
        at += lit
        if at >= len(packed):
            assert len(out) == n
            return bytes(out)
        offset = int.from_bytes(packed[at:at + 2], "little")
        at += 2
        match = (token & 15) + 4
        if match == 19:
            while True:
                match += packed[at]
                at += 1
                if packed[at - 1] != 255:
                    break
        for _ in range(match):
            out.append(out[-offset])
