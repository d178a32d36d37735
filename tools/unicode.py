#!/usr/bin/env python3
"""Writes src/vocab/unicode.inc: tables of the Unicode character database as C arrays.

    python3 tools/unicode.py > src/vocab/unicode.inc

Everything but scripts comes from Python's own unicodedata (its version is written into the file). Scripts are not in
unicodedata; they come from perl's \\p{Script=...}, and code points that Python's database does not know are left out so
that both tables speak of one version.
"""
import subprocess
import sys
import unicodedata as u

N = 0x110000
CATEGORIES = ("Cn Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co").split()
BLOCK = 128


def two_stage(name, values, kind):
    """Blocks of one value come first; what follows the last block with any value but 0 is left out of the index."""
    cut = [tuple(values[at:at + BLOCK]) for at in range(0, N, BLOCK)]
    blocks = sorted(dict.fromkeys(cut), key=lambda block: len(set(block)) > 1)
    number = {block: i for i, block in enumerate(blocks)}
    while not any(cut[-1]):
        cut.pop()
    assert len(blocks) < 256
    print(f"enum {{ {name.upper()}_UNIFORM = {sum(len(set(block)) == 1 for block in blocks)} }};")
    emit(f"static const uint8_t {name}_index[{len(cut)}]", [number[block] for block in cut])
    emit(f"static const {kind} {name}_block[{len(blocks)} * {BLOCK}]", [v for b in blocks for v in b])


def by_plane(name, codes):
    """Sorted code points: their low halves, and where each plane begins among them."""
    plane = [sum(c < at for c in codes) for at in range(0, N + 1, 0x10000)]
    emit(f"static const uint16_t {name}_plane[{len(plane)}]", plane)
    emit(f"static const uint16_t {name}_low[{len(codes)}]", [c & 0xFFFF for c in codes])


def ranges(name, values):
    """Where values change, and at the beginning of each plane."""
    starts = [c for c in range(N) if c & 0xFFFF == 0 or values[c] != values[c - 1]]
    by_plane(name, starts)
    emit(f"static const uint8_t {name}_value[{len(starts)}]", [values[c] for c in starts])


def mapping(name, pairs):
    """From character to character of the same plane"""
    assert all(a >> 16 == b >> 16 for a, b in pairs)
    by_plane(name, [a for a, _ in pairs])
    emit(f"static const uint16_t {name}_to[{len(pairs)}]", [b & 0xFFFF for _, b in pairs])


def utf16(text):
    raw = text.encode("utf-16-le")
    return "".join(chr(raw[i] | raw[i + 1] << 8) for i in range(0, len(raw), 2))


def emit(declaration, numbers):
    print(declaration + " = {")
    line = ""
    for v in numbers:
        word = f"{v},"
        if len(line) + len(word) > 118:
            print(line)
            line = ""
        line += word
    print(line + "};")


def scripts():
    names = subprocess.run(
        ["perl", "-MUnicode::UCD=prop_values", "-e", 'print join("\\n", prop_values("Script"))'],
        check=True, capture_output=True, text=True).stdout.split()
    program = r"""
        use Unicode::UCD qw(prop_invmap prop_value_aliases);
        my ($starts, $values) = prop_invmap("Script");
        for my $i (0 .. $#$starts) { print "$starts->[$i] $values->[$i]\n"; }
    """
    rows = [r.split() for r in subprocess.run(["perl", "-e", program], check=True, capture_output=True,
                                              text=True).stdout.splitlines()]
    rows = [(int(a), b) for a, b in rows]
    value = ["Unknown"] * N
    for (start, name), (end, _) in zip(rows, rows[1:] + [(N, "")]):
        for cp in range(start, min(end, N)):
            value[cp] = name
    for cp in range(N):
        if u.category(chr(cp)) == "Cn":
            value[cp] = "Unknown"
    assert names
    return value


def ages():
    """Major version that brought a character, 0 up to 8: libraries in the field still use tables of Unicode 8 and 9."""
    program = r"""
        use Unicode::UCD qw(prop_invmap);
        my ($starts, $values) = prop_invmap("Age");
        for my $i (0 .. $#$starts) { print "$starts->[$i] $values->[$i]\n"; }
    """
    rows = [r.split() for r in subprocess.run(["perl", "-e", program], check=True, capture_output=True,
                                              text=True).stdout.splitlines()]
    value = [0] * N
    for (start, version), (end, _) in zip(rows, rows[1:] + [(str(N), "")]):
        major = int(version.split(".")[0].lstrip("V")) if version[0] in "0123456789V" else 0
        for cp in range(int(start), min(int(end), N)):
            value[cp] = major if major > 8 else 0
    return value


CLUSTER_CLASSES = "Other CR LF Control Extend ZWJ Regional_Indicator Prepend SpacingMark L V T LV LVT Pictographic".split()


def clusters():
    """Grapheme_Cluster_Break, with Extended_Pictographic as a class of its own (the two do not overlap)."""
    program = r"""
        use Unicode::UCD qw(prop_invmap);
        for my $p ("GCB", "ExtPict") {
            my ($starts, $values) = prop_invmap($p);
            for my $i (0 .. $#$starts) { print "$p $starts->[$i] $values->[$i]\n"; }
        }
    """
    rows = [r.split() for r in subprocess.run(["perl", "-e", program], check=True, capture_output=True,
                                              text=True).stdout.splitlines()]
    value = [0] * N
    for prop in ("GCB", "ExtPict"):
        part = [(int(a), b) for p, a, b in rows if p == prop]
        for (start, name), (end, _) in zip(part, part[1:] + [(N, "")]):
            if prop == "ExtPict":
                if name not in ("Y", "Yes"):
                    continue
                name = "Pictographic"
            for cp in range(start, min(end, N)):
                if name.startswith("ExtPict"):
                    name = "Pictographic"
                if prop == "GCB" or value[cp] == 0:
                    value[cp] = CLUSTER_CLASSES.index(name)
    return value


def main():
    print("/* Made by tools/unicode.py from Unicode " + u.unidata_version + ": do not edit. */")
    print(f'#define IG_UNICODE_VERSION "{u.unidata_version}"')
    number = {c: i for i, c in enumerate(CATEGORIES)}
    print("enum { " + ", ".join(f"IG_GC_{c.upper()}" for c in CATEGORIES) + ", IG_GC_COUNT };")
    print("static const char ig_gc_names[][3] = {" + ", ".join(f'"{c}"' for c in CATEGORIES) + "};")
    gc = [number[u.category(chr(c))] for c in range(N)]
    two_stage("ig_gc", gc, "uint8_t")
    two_stage("ig_ccc", [u.combining(chr(c)) for c in range(N)], "uint8_t")

    script = scripts()
    names = sorted(set(script) - {"Unknown", "Common", "Inherited"})
    names = ["Unknown", "Common", "Inherited"] + names
    print("static const char ig_script_names[] = " + "\n".join(f'"{n}\\0"' for n in names) + ";")
    emit(f"static const uint16_t ig_script_name[{len(names)}]",
         [sum(len(n) + 1 for n in names[:i]) for i in range(len(names))])
    print(f"enum {{ IG_SCRIPT_COUNT = {len(names)} }};")
    number = {n: i for i, n in enumerate(names)}
    ranges("ig_script", [number[s] for s in script])
    ranges("ig_age", ages())
    print("enum { " + ", ".join("IG_GCB_" + c.upper() for c in CLUSTER_CLASSES) + " };")
    ranges("ig_gcb", clusters())

    for name, change in (("ig_lower", str.lower), ("ig_fold", str.casefold)):
        pairs = [(c, change(chr(c))) for c in range(N)]
        mapping(name, [(c, ord(t)) for c, t in pairs if len(t) == 1 and t != chr(c)])

    # Full decompositions, as UTF-16 in one pool in which they share what they can. Hangul is computed, not stored.
    tables = {"ig_nfd": [], "ig_nfkd": []}
    for form, name in (("NFD", "ig_nfd"), ("NFKD", "ig_nfkd")):
        for c in range(N):
            if 0xAC00 <= c < 0xAC00 + 11172 or 0xD800 <= c < 0xE000:
                continue
            text = u.normalize(form, chr(c))
            if text == chr(c) or (form == "NFKD" and text == u.normalize("NFD", chr(c))):
                continue
            tables[name].append((c, utf16(text)))
    pool = ""
    for text in sorted({t for rows in tables.values() for _, t in rows}, key=lambda t: (-len(t), t)):
        if text not in pool:
            pool += text
    for name, rows in tables.items():
        by_plane(name, [c for c, _ in rows])
        emit(f"static const uint16_t {name}_at[{len(rows)}]", [pool.index(t) for _, t in rows])
        emit(f"static const uint8_t {name}_n[{len(rows)}]", [len(t) for _, t in rows])
    emit(f"static const uint16_t ig_decomposed[{len(pool)}]", [ord(c) for c in pool])

    pairs = []
    for c in range(N):
        d = u.decomposition(chr(c))
        if not d or d.startswith("<") or len(d.split()) != 2:
            continue
        if u.normalize("NFC", chr(c)) != chr(c):
            continue  # composition exclusion
        a, b = (int(x, 16) for x in d.split())
        assert a >> 16 == b >> 16 == c >> 16
        pairs.append((a, b, c))
    pairs.sort()
    by_plane("ig_compose", [a for a, _, _ in pairs])
    emit(f"static const uint16_t ig_compose_with[{len(pairs)}]", [b & 0xFFFF for _, b, _ in pairs])
    emit(f"static const uint16_t ig_compose_to[{len(pairs)}]", [c & 0xFFFF for _, _, c in pairs])


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(__doc__)
    main()
