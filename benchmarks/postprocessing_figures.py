"""Draw the figures of docs/post-processing.md from what postprocessing.py measured.

python benchmarks/postprocessing_figures.py [results/benchmarks/postprocessing.json] [docs/_static]
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

from netsim.key_length.asymptotic import binary_entropy
from scenarios.rate_figure import STYLE, RatePlot
from scenarios.report.charts import CHARACTER, WIDE, Axis
from scenarios.report.markup import Markup, path, tag, text

Curve = list[tuple[float, float]]


def figure(title: str, x: Axis, y: Axis, curves: dict[str, Curve], note: str) -> str:
    """A figure with a line for each curve, dots where it was measured."""
    plot = RatePlot(WIDE, x, y, title, height=300)
    keys, across = [], 8.0
    down = 44.0
    for number, (name, points) in enumerate(curves.items()):
        plot.curve(points, f"curve s{number}")
        if len(points) < 30:
            for place in points:
                plot.point(*place, 0.0, f"{name}: {place[1]:.4g} at {place[0]:g}", f"s{number}")
        room = 44 + CHARACTER * len(name)
        if across + room > WIDE:
            across, down = 8.0, down + 18
        keys += [path(f"curve s{number}", "M", across, down, "h26"), text(name, across + 32, down + 4, "key")]
        across += room
    shapes, height = plot.body()
    below = down + 14 + height
    parts = [
        tag("title", title),
        tag("style", Markup(STYLE)),
        tag("rect", x=0, y=0, width=WIDE + 16, height=below + 24, class_="sheet"),
        text(title, 8, 20, "quiet"),
        keys,
        tag("g", shapes, transform=f"translate(8 {down + 14:.1f})"),
        text(note, 8, below + 12, "quiet"),
    ]
    box = f"0 0 {WIDE + 16} {below + 24:.0f}"
    names = {"xmlns": "http://www.w3.org/2000/svg", "viewBox": box, "class_": "rate-figure"}
    drawn = tag("svg", parts, **names, role="img", aria_label=title)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{drawn}\n'


def points(curve: dict[str, float], scale: float = 1.0) -> Curve:
    """A curve of the manifest, whose numbers are text."""
    return sorted((scale * float(x), y) for x, y in curve.items())


def efficiency(curves: dict[str, Any], note: str) -> str:
    """Efficiency f against the error rate."""
    drawn = {name: points(curve, 100) for name, curve in curves["efficiency"].items()}
    high = max(y for curve in drawn.values() for _, y in curve)
    return figure(
        "Reconciliation efficiency against error rate",
        Axis("QBER, %", 0.0, 12.0),
        Axis("f: disclosed bits over Shannon's limit", 1.0, math.ceil(10 * high) / 10),
        drawn,
        note,
    )


def sizes(curves: dict[str, Any], note: str) -> str:
    """Speed against block size."""
    drawn = {name: points(curve) for name, curve in curves["sizes"].items()}
    values = [y for curve in drawn.values() for _, y in curve]
    places = [x for curve in drawn.values() for x, _ in curve]
    return figure(
        "Speed against block size, at 3 %",
        Axis(
            "bits in the block", min(places), max(places), lambda bits: f"10^{math.log10(bits):.0f}", log=True
        ),
        Axis("Mbit/s", min(values) / 1.5, 1.5 * max(values), log=True),
        drawn,
        note,
    )


def fraction(curves: dict[str, Any], note: str) -> str:
    """Secret fraction against the error rate, beside the limit of endless blocks."""
    drawn = {name: points(curve, 100) for name, curve in curves["secret fraction"].items()}
    rates = [number / 1000 for number in range(111)]
    drawn["endless block at Shannon's limit, 1 − 2h(Q)"] = [
        (100 * rate, max(0.0, 1.0 - 2.0 * binary_entropy(rate))) for rate in rates
    ]
    return figure(
        "Secret fraction against error rate: BB84, a tenth of the bits tested",
        Axis("QBER, %", 0.0, 12.0),
        Axis("secret bits over sifted bits", 0.0, 1.0),
        drawn,
        note,
    )


def main() -> None:
    """Draw all three."""
    given = [Path(argument) for argument in sys.argv[1:]]
    source = given[0] if given else Path("results/benchmarks/postprocessing.json")
    folder = given[1] if given[1:] else Path("docs/_static")
    manifest = json.loads(source.read_text(encoding="utf-8"))
    note = f"Measured {manifest['measured'][:10]} by benchmarks/postprocessing.py on {manifest['machine']['cpu']}"
    for draw in (efficiency, sizes, fraction):
        made = draw(manifest["curves"], note)
        (folder / f"postprocessing-{draw.__name__}.svg").write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
