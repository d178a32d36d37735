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
    blocks, index, seen = [], [], {}
    for at in range(0, N, BLOCK):
        block = tuple(values[at:at + BLOCK])
        if block not in seen:
            seen[block] = len(blocks)
            blocks.append(block)
        index.append(seen[block])
    width = "uint8_t" if len(blocks) < 256 else "uint16_t"
    emit(f"static const {width} {name}_index[{len(index)}]", index)
    emit(f"static const {kind} {name}_block[{len(blocks)} * {BLOCK}]", [v for b in blocks for v in b])


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
    starts = [c for c in range(N) if c == 0 or gc[c] != gc[c - 1]]
    emit(f"static const uint32_t ig_gc_start[{len(starts)}]", starts)
    emit(f"static const uint8_t ig_gc_value[{len(starts)}]", [gc[c] for c in starts])
    two_stage("ig_ccc", [u.combining(chr(c)) for c in range(N)], "uint8_t")

    script = scripts()
    names = sorted(set(script) - {"Unknown", "Common", "Inherited"})
    names = ["Unknown", "Common", "Inherited"] + names
    print("static const char *const ig_script_names[] = {" + ", ".join(f'"{n}"' for n in names) + "};")
    print(f"enum {{ IG_SCRIPT_COUNT = {len(names)} }};")
    number = {n: i for i, n in enumerate(names)}
    starts = [c for c in range(N) if c == 0 or script[c] != script[c - 1]]
    emit(f"static const uint32_t ig_script_start[{len(starts)}]", starts)
    emit(f"static const uint8_t ig_script_value[{len(starts)}]", [number[script[c]] for c in starts])

    age = ages()
    starts = [c for c in range(N) if c == 0 or age[c] != age[c - 1]]
    emit(f"static const uint32_t ig_age_start[{len(starts)}]", starts)
    emit(f"static const uint8_t ig_age_value[{len(starts)}]", [age[c] for c in starts])
    gcb = clusters()
    starts = [c for c in range(N) if c == 0 or gcb[c] != gcb[c - 1]]
    print("enum { " + ", ".join("IG_GCB_" + c.upper() for c in CLUSTER_CLASSES) + " };")
    emit(f"static const uint32_t ig_gcb_start[{len(starts)}]", starts)
    emit(f"static const uint8_t ig_gcb_value[{len(starts)}]", [gcb[c] for c in starts])

    lower = [(c, ord(chr(c).lower())) for c in range(N) if len(chr(c).lower()) == 1 and chr(c).lower() != chr(c)]
    emit(f"static const uint32_t ig_lower[{len(lower) * 2}]", [v for p in lower for v in p])
    fold = [(c, ord(chr(c).casefold())) for c in range(N)
            if len(chr(c).casefold()) == 1 and chr(c).casefold() != chr(c)]
    emit(f"static const uint32_t ig_fold[{len(fold) * 2}]", [v for p in fold for v in p])

    # Full decompositions. Hangul is computed, not stored.
    pool, rows = [], []
    for form, compat in (("NFD", 0), ("NFKD", 1)):
        for c in range(N):
            if 0xAC00 <= c < 0xAC00 + 11172 or 0xD800 <= c < 0xE000:
                continue
            text = u.normalize(form, chr(c))
            if text == chr(c) or (compat and text == u.normalize("NFD", chr(c))):
                continue
            rows.append((compat, c, len(pool), len(text)))
            pool += [ord(x) for x in text]
    for compat, name in ((0, "ig_nfd"), (1, "ig_nfkd")):
        part = [(c, at << 5 | n) for k, c, at, n in rows if k == compat]
        assert all(n < 32 for _, _, _, n in rows)
        emit(f"static const uint32_t {name}[{len(part) * 2}]", [v for p in part for v in p])
    emit(f"static const uint32_t ig_decomposed[{len(pool)}]", pool)

    pairs = []
    for c in range(N):
        d = u.decomposition(chr(c))
        if not d or d.startswith("<") or len(d.split()) != 2:
            continue
        if u.normalize("NFC", chr(c)) != chr(c):
            continue  # composition exclusion
        a, b = (int(x, 16) for x in d.split())
        pairs.append((a, b, c))
    pairs.sort()
    emit(f"static const uint32_t ig_compose[{len(pairs) * 3}]", [v for p in pairs for v in p])


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(__doc__)
    main()
