"""Charts of a reproduction: curves with intervals, as SVG that carries its own style and stands in a file or a page."""

from __future__ import annotations

import dataclasses
import math
import textwrap
from collections.abc import Sequence

from nodes.qml.duel import Estimate
from scenarios.rate_figure import STYLE
from scenarios.report.charts import CHARACTER, WIDE, Axis, Plot
from scenarios.report.markup import Markup, joined, path, tag, text

_ROW = 18


@dataclasses.dataclass(frozen=True)
class Curve:
    """A line through estimates.

    Attributes:
        name: for the legend.
        points: (x, estimate), x ascending.
    """

    name: str
    points: Sequence[tuple[float, Estimate]]


class _Curves(Plot):
    """A plot whose shapes can be put into a larger drawing."""

    def curve(self, points: Sequence[tuple[float, float]], class_: str) -> None:
        """A line through points."""
        self.line(points, class_)

    def estimate(self, x: float, value: Estimate, title: str, class_: str) -> None:
        """A dot with its interval."""
        across, up = self.at(x, value.mean)
        if value.low < value.high:
            (_, low), (_, high) = self.at(x, value.low), self.at(x, value.high)
            bar = ("M", across, low, "V", high, "M", across - 3, low, "h6", "M", across - 3, high, "h6")
            self._draw(f"whisker {class_}", *bar)
        dot = tag("circle", tag("title", title), cx=across, cy=up, r=3.4, class_=f"dot {class_}")
        self._shapes.append(dot)

    def span(self, x: float, low: float, high: float, title: str, class_: str) -> None:
        """A thick upright bar from a least to a greatest value, at least as tall as it can be seen."""
        across, bottom = self.at(x, low)
        top = min(self.at(x, high)[1], bottom - 3)
        place = {"x": across - 6, "y": top, "width": 12, "height": bottom - top}
        self._shapes.append(tag("rect", tag("title", title), **place, class_=f"block {class_}"))

    def level(self, value: float, label: str) -> None:
        """A dotted line with its name."""
        up = self.at(self.x.low, value)[1]
        self._draw("curve bound", "M", self._left, up, "H", self._right)
        self._shapes.append(text(label, self._right - 2, up - 5, "quiet", "end"))

    def body(self) -> tuple[Markup, float]:
        """The shapes, and how tall they are."""
        shapes = [joined(self._levels()), joined(self._ticks(self._floor)), joined(self._shapes)]
        return joined(shapes), self._floor + 40


_BLOCKS = ".rate-figure .block { stroke: none; } " + " ".join(
    f".rate-figure .block.s{n} {{ fill: var(--c{n}); }}" for n in range(8)
)


def line_chart(
    width: int,
    title: str,
    across: str,
    up: str,
    curves: Sequence[Curve],
    x: tuple[float, float],
    y: tuple[float, float],
    *,
    level: tuple[float, str] | None = None,
) -> Markup:
    """Curves over one x axis; shares on the y axis are spelled as per cent.

    Args:
        width: of the drawing, in user units.
        title: says what it shows, for those who cannot see it.
        across: title of the x axis.
        up: title of the y axis.
        curves: at most eight.
        x: ends of the x axis.
        y: ends of the y axis.
        level: a dotted line and its name.
    """
    plot = _Curves(
        width - 16, Axis(across, *x), Axis(up, *y, lambda value: f"{100 * value:.0f} %"), title, height=260
    )
    if level is not None:
        plot.level(*level)
    for number, curve in enumerate(curves):
        told = [(at, value) for at, value in curve.points if not math.isnan(value.mean)]
        plot.curve([(at, value.mean) for at, value in told], f"curve s{number}")
        for at, value in told:
            words = f"{curve.name}, {across} {at:g}: {100 * value.mean:.1f} % [{100 * value.low:.1f}, {100 * value.high:.1f}]"
            plot.estimate(at, value, words, f"s{number}")
    return _drawing(width, title, [(f"curve s{n}", curve.name) for n, curve in enumerate(curves)], plot)


def range_chart(
    width: int, title: str, up: str, groups: Sequence[tuple[str, Sequence[tuple[str, float, float]]]]
) -> Markup:
    """Ranges side by side on a logarithmic axis, in groups.

    Args:
        width: of the drawing.
        title: as above.
        up: title of the y axis.
        groups: (name below the axis, its ranges), each range (name for the legend, least, greatest).
    """
    ends = [value for _, ranges in groups for _, low, high in ranges for value in (low, high)]
    low, high = 10.0 ** math.floor(math.log10(min(ends))), 10.0 ** math.ceil(math.log10(max(ends) * 1.001))
    y = Axis(up, low, high, log=True)
    plot = _Curves(width - 16, Axis("", 0.0, float(len(groups)), lambda _: ""), y, title, height=260)
    names = list(dict.fromkeys(name for _, ranges in groups for name, _, _ in ranges))
    for place, (label, ranges) in enumerate(groups):
        for name, least, greatest in ranges:
            number = names.index(name)
            x = place + (number + 1.0) / (len(names) + 1.0)
            words = f"{label}, {name}: {least:g}" + (f" to {greatest:g}" if greatest > least else "")
            plot.span(x, least, greatest, words, f"s{number}")
    labels = [(place + 0.5, label) for place, (label, _) in enumerate(groups)]
    return _drawing(width, title, [(f"block s{n}", name) for n, name in enumerate(names)], plot, labels)


def _drawing(
    width: int,
    title: str,
    keys: Sequence[tuple[str, str]],
    plot: _Curves,
    labels: Sequence[tuple[float, str]] = (),
) -> Markup:
    legend, tall = _legend(width - 16, keys)
    body, height = plot.body()
    below: list[Markup] = []
    if labels:
        room = max(6, int((width - 90) / len(labels) / CHARACTER))
        for x, label in labels:
            across, floor = plot.at(x, plot.y.low)
            lines = textwrap.wrap(label, room)
            below += [
                text(line, across, floor + 16.0 + 13 * n, "tick", "middle") for n, line in enumerate(lines)
            ]
            height = max(height, floor + 24.0 + 13 * len(lines))
    whole = tall + height
    parts = [
        tag("title", title),
        tag("style", Markup(STYLE + _BLOCKS)),
        tag("rect", x=0, y=0, width=width, height=float(whole), class_="sheet"),
        tag("g", legend, transform="translate(8 6)"),
        tag("g", body, below, transform=f"translate(8 {tall:.1f})"),
    ]
    return tag(
        "svg",
        parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width} {whole:.0f}",
        role="img",
        aria_label=title,
        class_="rate-figure chart",
    )


def _legend(width: float, keys: Sequence[tuple[str, str]]) -> tuple[list[Markup], float]:
    """In as many columns as fit; and where the plot begins below it."""
    longest = max(len(words) for _, words in keys) * CHARACTER + 40
    columns = max(1, min(len(keys), math.floor(width / longest)))
    shapes = []
    for number, (class_, words) in enumerate(keys):
        x, y = (number % columns) * width / columns, (number // columns) * _ROW + 8.0
        if class_.startswith("block"):
            shapes.append(tag("rect", x=x + 6, y=y - 6, width=14, height=12, class_=class_))
        else:
            shapes.append(path(class_, "M", x, y, "h26"))
        shapes.append(text(words, x + 32, y + 4.0, "key"))
    return shapes, 6.0 + _ROW * math.ceil(len(keys) / columns) + 12.0


def standalone(drawing: Markup) -> str:
    """A drawing as a file of its own."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{drawing}\n'


__all__ = ["WIDE", "Curve", "line_chart", "range_chart", "standalone"]
