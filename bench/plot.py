"""Draws ratios as an SVG picture: a row of dots per test, a dot per model, on a logarithmic axis. No package needed."""
import math
from xml.sax.saxutils import escape

WIDTH, LEFT, RIGHT, ROW, TOP = 920, 220, 30, 26, 64
TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 5, 8, 12, 20, 30, 50)
# Told apart by shade and by shape, so that they differ for everybody.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000", "#8a8a8a", "#7a5195", "#b8a200")
SHAPES = ("circle", "square", "diamond", "triangle")


def mark(i, x, y, title):
    colour, shape, r = COLOURS[i % len(COLOURS)], SHAPES[i % len(SHAPES)], 5
    points = {"square": [(-1, -1), (1, -1), (1, 1), (-1, 1)], "diamond": [(0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)],
              "triangle": [(0, -1.2), (1.2, 1), (-1.2, 1)]}.get(shape)
    body = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}"' if points is None else \
        '<polygon points="' + " ".join(f"{x + r * dx:.1f},{y + r * dy:.1f}" for dx, dy in points) + '"'
    return f'{body} fill="{colour}" fill-opacity="0.8"><title>{escape(title)}</title></{body[1:body.index(" ")]}>'


def text(x, y, what, anchor="start", size=12, weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}">'
            f"{escape(what)}</text>")


def axis(low, high):
    """The function from a ratio to its place, and the ticks in between."""
    span = math.log(high / low)
    return (lambda v: LEFT + (WIDTH - LEFT - RIGHT) * math.log(v / low) / span,
            [t for t in TICKS if low <= t <= high])


def legend(models, label, y):
    out, x = [], LEFT
    for i, model in enumerate(models):
        width = 24 + 7.5 * len(label(model))
        if x + width > WIDTH - RIGHT:
            x, y = LEFT, y + 18
        out += [mark(i, x + 6, y - 4, label(model)), text(x + 16, y, label(model))]
        x += width
    return out, y


def rows_of(found):
    """[(title, [(model number, model, medians)])], tests in the order they first come."""
    models = sorted({m for models in found.values() for m in models})
    rows = []
    for (isa, threads), tests_of in found.items():
        tests = list(dict.fromkeys(t for m in tests_of.values() for t in m if t not in ("program", "build")))
        for t in tests:
            dots = [(models.index(m), m, v[t]) for m, v in tests_of.items() if t in v]
            rows.append((f"{t}, {isa}, {threads} threads", dots))
    return models, rows


def ratios(found, label):
    """SVG of report.summary(): how many times better ingle is than llama.cpp, per test and model."""
    models, rows = rows_of(found)
    values = [v["ratio"] for _, dots in rows for _, _, v in dots]
    place, ticks = axis(min(0.9, *values) / 1.1, max(1.5, *values) * 1.1)
    key, last = legend(models, label, 44)
    top = last + TOP - 44
    bottom = top + ROW * len(rows)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 30:.0f}" '
           'font-family="sans-serif" role="img">', f'<rect width="{WIDTH}" height="{bottom + 30:.0f}" fill="white"/>',
           text(LEFT, 20, "ingle compared with llama.cpp: times as good (medians of pairs)", size=14, weight="bold"), *key]
    for t in ticks:
        strong = ' stroke-width="2"' if t == 1 else ""
        out += [f'<line x1="{place(t):.1f}" y1="{top:.0f}" x2="{place(t):.1f}" y2="{bottom:.0f}" stroke="#ccc"{strong}/>',
                text(place(t), bottom + 18, f"{t:g}", "middle")]
    for i, (title, dots) in enumerate(rows):
        y = top + ROW * (i + 0.5)
        out += [text(LEFT - 10, y + 4, title, "end")]
        out += [mark(n, place(v["ratio"]), y, f"{label(m)}, {title}: {v['ratio']:.2f}") for n, m, v in dots]
    return "\n".join([*out, "</svg>", ""])
