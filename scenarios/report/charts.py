"""Charts over one x and one y axis as SVG: shaded intervals, bars, steps, points, ticks.

They carry class names, not colours: the page's style sheet decides.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from scenarios.report.markup import Markup, path, svg, tag, text

WIDE, NARROW = 800, 340
"""Widths that a chart is drawn for, in user units: a desk's screen or paper, and a telephone."""
CHARACTER = 6.6
"""Mean width of a character of a chart's text, in user units."""

Series: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Times float64[n], ascending, and values float64[n], each of which holds from its time to the next."""


@dataclasses.dataclass(frozen=True)
class Span:
    """An interval of time in which somebody or something acts.

    Attributes:
        start: in the units of the x axis.
        end: likewise; None for something that happens at once and lasts.
        label: what acts.
        kind: who: the class name of its shading.
    """

    start: float
    end: float | None
    label: str
    kind: Literal["eve", "environment"]


@dataclasses.dataclass(frozen=True)
class Axis:
    """An axis: what it shows, from where to where, and how its ticks are spelled.

    A logarithmic axis needs 0 < low < high.
    """

    title: str
    low: float
    high: float
    spell: Callable[[float], str] = "{:g}".format
    log: bool = False

    def place(self, value: float) -> float:
        """Where a value lies: 0 at `low`, 1 at `high`, cut off there."""
        if self.log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, share))

    def ticks(self, most: int) -> list[float]:
        """At most about `most` round values between the ends."""
        if self.log:
            return self._decades(most)
        step = _round_step((self.high - self.low) / most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]

    def _decades(self, most: int) -> list[float]:
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1,)):
            values = [factor * 10.0**exponent for exponent in exponents for factor in factors]
            inside = [value for value in values if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9)]
            if len(inside) <= most:
                return inside
        return inside[:: math.ceil(len(inside) / most)]


def _round_step(least: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))


def headroom(values: Iterable[float], least: float) -> float:
    """An axis' upper end: a little above all values, and at least `least`."""
    return max([least, *(1.1 * value for value in values)])


def extremes(series: Series, end: float, bins: int) -> Series:
    """A step series with fewer points that looks the same: of each bin the first, least, greatest and last.

    Args:
        series: between 0 and `end`.
        end: of the last bin; the first begins at 0.
        bins: how many; a series of no more than four points a bin comes back whole.
    """
    t, values = series
    if len(t) <= 4 * bins:
        return series
    bin_of = np.minimum((t / end * bins).astype(np.int64), bins - 1)
    kept: set[int] = set()
    for places in np.split(np.arange(len(t)), np.flatnonzero(np.diff(bin_of)) + 1):
        inside = values[places]
        kept |= {int(places[0]), int(places[inside.argmin()]), int(places[inside.argmax()]), int(places[-1])}
    chosen = np.array(sorted(kept))
    return t[chosen], values[chosen]


class Plot:
    """A plot over one x and one y axis, built mark by mark.

    Args:
        width: WIDE or NARROW.
        x: the horizontal axis.
        y: the vertical axis.
        name: says what the plot shows, for those who cannot see it.
        spans: intervals to shade; each has its label above the plot.
        rows: names of rows of ticks below the plot, see `rug`.
        height: of the area between the axes.
    """

    _LANE, _ROW = 19, 16

    def __init__(
        self,
        width: int,
        x: Axis,
        y: Axis,
        name: str,
        *,
        spans: Sequence[Span] = (),
        rows: Sequence[str] = (),
        height: int = 190,
    ) -> None:
        self.x, self.y, self.name, self.rows = x, y, name, rows
        self._width, self._height = width, height
        self._left, self._right = 62 if width >= WIDE else 48, width - 14
        self._lanes = self._assigned(spans)
        self._top = 22 + self._LANE * len({lane for _, lane in self._lanes}) + (4 if spans else 0)
        self._floor = self._top + height
        self._shapes: list[Markup] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        """User units of a point."""
        return self._across(x), self._up(y)

    def _across(self, x: float) -> float:
        return self._left + self.x.place(x) * (self._right - self._left)

    def _up(self, y: float) -> float:
        return self._top + (1 - self.y.place(y)) * self._height

    def _draw(self, class_: str, *parts: str | float) -> None:
        self._shapes.append(path(class_, *parts))

    def bar(self, start: float, end: float, value: float, title: str, class_: str = "bar") -> None:
        """A bar from the axis up to `value`."""
        left, right, top = self._across(start), self._across(end), self._up(value)
        gap = min(1.0, 0.12 * (right - left))
        place = {"x": left + gap, "y": top, "width": max(0.6, right - left - 2 * gap)}
        height = self._floor - top
        self._shapes.append(tag("rect", tag("title", title), **place, height=height, class_=class_))

    def mark(self, x: float, y: float, title: str, *, crossed: bool = False) -> None:
        """A point; a cross if it stands for something that failed."""
        across, up = self.at(x, y)
        if crossed:
            self._draw("cross", "M", across - 4, up - 4, "l8 8m0 -8l-8 8")
        # The disc behind a cross is what a pointer finds.
        radius, class_ = (6.0, "found") if crossed else (3.2, "point")
        self._shapes.append(tag("circle", tag("title", title), cx=across, cy=up, r=radius, class_=class_))

    def dots(self, points: Iterable[tuple[float, float]], class_: str = "dots") -> None:
        """Many points, as one shape."""
        self._draw(class_, *(part for point in points for part in ("M", *self.at(*point), "h0")))

    def whiskers(self, ranges: Iterable[tuple[float, float, float]], class_: str = "whisker") -> None:
        """Upright lines. Each is (x, low, high)."""
        parts = (("M", *self.at(x, low), "V", self._up(high)) for x, low, high in ranges)
        self._draw(class_, *(part for whisker in parts for part in whisker))

    def envelope(self, boxes: Iterable[tuple[float, float, float, float]]) -> None:
        """Areas between a least and a greatest value. Each is (start, end, low, high)."""
        parts: list[str | float] = []
        for start, end, low, high in boxes:
            (left, bottom), (right, top) = self.at(start, low), self.at(end, high)
            parts += ["M", left, bottom, "H", max(right, left + 1), "V", min(top, bottom - 1), "H", left, "z"]
        self._draw("envelope", *parts)

    def line(self, points: Iterable[tuple[float, float]], class_: str = "line") -> None:
        """A line through points."""
        places = enumerate(self.at(*point) for point in points)
        self._draw(class_, *(part for number, place in places for part in ("L" if number else "M", *place)))

    def steps(self, series: Series, end: float, class_: str = "line") -> None:
        """A line through values each of which holds until the next, the last until `end`."""
        parts: list[str | float] = []
        for t, value in zip(*(column.tolist() for column in series), strict=True):
            x, y = self.at(t, value)
            parts += ["H", x, "V", y] if parts else ["M", x, y]
        self._draw(class_, *parts, *(("H", self._across(end)) if parts else ()))

    def rule(self, value: float, label: str) -> None:
        """A level, with its name at its right end."""
        up = self._up(value)
        self._draw("rule", "M", self._left, up, "H", self._right)
        self._shapes.append(text(label, self._right - 4, up - 5, "label", "end"))

    def rug(self, row: int, places: Iterable[float]) -> None:
        """Ticks in a row below the plot, where something happened."""
        across = sorted({round(2 * self._across(place)) / 2 for place in places})
        self._draw("rug", *(part for x in across for part in ("M", x, self._row(row), "v-10")))

    def _row(self, number: int) -> int:
        return self._floor + self._ROW * (number + 1) + 2

    def remark(self, words: str) -> None:
        """A word in the middle of the plot, where there is nothing to see."""
        x, y = (self._left + self._right) / 2, self._top + self._height / 2
        self._shapes.append(text(words, x, y, "quiet", "middle"))

    def svg(self) -> Markup:
        """The finished plot."""
        bottom = self._floor + (self._ROW * len(self.rows) + 8 if self.rows else 0)
        shapes = [self._shading(), self._levels(), self._ticks(bottom), self._shapes]
        return svg(self._width, bottom + 40, shapes, self.name)

    def _assigned(self, spans: Sequence[Span]) -> list[tuple[Span, int]]:
        """Spans with the lane each is labelled in, so that neither bars nor labels cover each other."""
        free: list[float] = []
        assigned = []
        for span in sorted(spans, key=lambda span: self._reach(span)[0]):
            left, right, *_ = self._reach(span)
            lane = next((number for number, until in enumerate(free) if until <= left), len(free))
            free[lane:] = [right + 6, *free[lane + 1 :]]
            assigned.append((span, lane))
        return assigned

    def _ends(self, span: Span) -> tuple[float, float]:
        left = self._across(span.start)
        return left, left + 2 if span.end is None else max(left + 2, self._across(span.end))

    def _reach(self, span: Span) -> tuple[float, float, float, str]:
        """From where to where a span and its label reach, and the label's place and anchor.

        A label that is longer than its span stands beside it, or over it where there is no room on either side.
        """
        left, right = self._ends(span)
        room = len(span.label) * CHARACTER + 8
        if right - left >= room:
            return left, right, left + 4, "start"
        if right + room <= self._width:
            return left, right + room, right + 4, "start"
        if left >= room:
            return left - room, right, left - 4, "end"
        begin = max(0.0, self._width - room)
        return min(left, begin), max(right, begin + room), begin + 4, "start"

    def _shading(self) -> list[Markup]:
        shapes = []
        for span, lane in self._lanes:
            (left, right), top = self._ends(span), 22 + self._LANE * lane
            place: dict[str, object] = {"x": left, "width": right - left}
            if span.end is not None:
                shade = f"shade {span.kind}"
                shapes.append(tag("rect", **place, y=self._top, height=self._height, class_=shade))
            lasts = "at once" if span.end is None else f"until {span.end:g} s"
            title = tag("title", f"{span.label}: from {span.start:g} s, {lasts}")
            shapes.append(
                tag("rect", title, **place, y=top, height=self._LANE - 4, class_=f"lane {span.kind}")
            )
            *_, x, anchor = self._reach(span)
            shapes.append(text(span.label, x, top + 11.5, f"lane-label {span.kind}", anchor))
        return shapes

    def _levels(self) -> list[Markup]:
        """The y axis, and the rows below the plot."""
        shapes = [text(self.y.title, 0, 13, "axis-title")]
        for value in self.y.ticks(5):
            up = self._up(value)
            shapes.append(path("grid", "M", self._left, up, "H", self._right))
            shapes.append(text(self.y.spell(value), self._left - 7, up + 4, "tick", "end"))
        for number, row in enumerate(self.rows):
            low = self._row(number)
            shapes.append(text(row, 0, low - 1, "tick"))
            shapes.append(path("grid", "M", self._left, low, "H", self._right))
        return shapes

    def _ticks(self, bottom: float) -> list[Markup]:
        """The x axis; labels that would run into each other are left out."""
        shapes = [path("axis", "M", self._left, self._floor, "H", self._right)]
        free = 0.0  # where the next label may begin
        for value in self.x.ticks(9 if self._width >= WIDE else 5):
            across, label = self._across(value), self.x.spell(value)
            half = len(label) * CHARACTER / 2
            shapes.append(path("axis", "M", across, self._floor, "v5"))
            if across - half >= free:
                shapes.append(text(label, across, bottom + 18, "tick", "middle"))
                free = across + half + 4
        return [*shapes, text(self.x.title, self._right, bottom + 34, "axis-title", "end")]
