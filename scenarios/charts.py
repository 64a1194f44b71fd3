"""Small charts as SVG text: axes, shaded intervals, bars, steps, points, and sequence diagrams.

They carry class names, not colours: the page's style sheet decides. Everything that is not `Markup` is escaped
on its way in, so that no text of a scenario can become markup.
"""

from __future__ import annotations

import dataclasses
import html
import itertools
import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

WIDE, NARROW = 800, 340
"""Widths that a chart is drawn for, in user units: a desk's screen or paper, and a telephone."""

_VOID = frozenset({"br", "col", "hr", "link", "meta"})
_CHARACTER = 6.1  # mean width of a character of a chart's text, in user units


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element.

    Args:
        name: of the element.
        children: text, which is escaped; markup; iterables of both; None is nothing.
        attributes: `class_` is class, underscores are hyphens; None leaves one out, floats are cut to a tenth.
    """
    spelled = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_spelled(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{spelled}>")
    return Markup(f"<{name}{spelled}>{joined(children)}</{name}>")


def joined(children: Iterable[object]) -> Markup:
    """Children one after another; see `tag`."""
    parts = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(Markup(html.escape(child)))
        elif isinstance(child, Iterable):
            parts.append(joined(child))
        elif child is not None:
            raise TypeError(f"got a child of type {type(child).__name__}, expected text, markup or None")
    return Markup("".join(parts))


def _spelled(value: object) -> str:
    return _short(value) if isinstance(value, float) else str(value)


def _short(value: float) -> str:
    """A coordinate, to a tenth of a user unit."""
    return f"{value:.1f}".removesuffix(".0")


def drawn_twice(draw: Callable[[int], Markup]) -> Markup:
    """A chart for a wide and for a narrow page; the style sheet shows one of them."""
    return joined((tag("div", draw(WIDE), class_="wide"), tag("div", draw(NARROW), class_="narrow")))


def patterns() -> Markup:
    """The hatchings of shaded intervals; a page needs them once, before its charts."""
    stripe = tag("path", d="M0 8L8 0M-2 2L2 -2M6 10L10 6", class_="stripe")
    dot = tag("circle", cx=3, cy=3, r=1, class_="dot")
    definitions = [
        tag("pattern", stripe, id="eve-stripes", width=8, height=8, patternUnits="userSpaceOnUse"),
        tag("pattern", dot, id="environment-dots", width=6, height=6, patternUnits="userSpaceOnUse"),
    ]
    return tag("svg", tag("defs", definitions), width=0, height=0, class_="patterns", aria_hidden="true")


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


def extremes(
    t: NDArray[np.float64], values: NDArray[np.float64], end: float, bins: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A step series with fewer points that looks the same: of each bin the first, least, greatest and last.

    Args:
        t: float64[n], ascending, between 0 and `end`.
        values: float64[n], each holds from its time to the next.
        end: of the last bin; the first begins at 0.
        bins: how many; a series of no more than four points a bin comes back whole.
    """
    if len(t) <= 4 * bins:
        return t, values
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

    _RIGHT, _LANE, _ROW = 14, 19, 16

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
        self._wide = width >= WIDE
        self._left = 62 if self._wide else 48
        self._lanes = self._assigned(spans)
        self._top = 22 + self._LANE * len({lane for _, lane in self._lanes}) + (4 if spans else 0)
        self._shapes: list[Markup] = []

    def at(self, x: float, y: float) -> tuple[float, float]:
        """User units of a point."""
        return self._across(x), self._up(y)

    def _across(self, x: float) -> float:
        return self._left + self.x.place(x) * (self._width - self._left - self._RIGHT)

    def _up(self, y: float) -> float:
        return self._top + (1 - self.y.place(y)) * self._height

    @property
    def _floor(self) -> float:
        return self._top + self._height

    def bar(self, start: float, end: float, value: float, title: str, class_: str = "bar") -> None:
        """A bar from the axis up to `value`."""
        left, right, top = self._across(start), self._across(end), self._up(value)
        gap = min(1.0, 0.12 * (right - left))
        shape = {
            "x": left + gap,
            "y": top,
            "width": max(0.6, right - left - 2 * gap),
            "height": self._floor - top,
        }
        self._shapes.append(tag("rect", tag("title", title), class_=class_, **shape))

    def mark(self, x: float, y: float, title: str, *, crossed: bool = False) -> None:
        """A point; a cross if it stands for something that failed."""
        across, up = self.at(x, y)
        if crossed:
            lines = f"M{_short(across - 4)} {_short(up - 4)}l8 8m0 -8l-8 8"
            # The disc behind is what a pointer finds.
            found = tag("circle", tag("title", title), cx=across, cy=up, r=6.0, class_="found")
            self._shapes += [tag("path", d=lines, class_="cross"), found]
        else:
            self._shapes.append(tag("circle", tag("title", title), cx=across, cy=up, r=3.2, class_="point"))

    def dots(self, points: Iterable[tuple[float, float]]) -> None:
        """Many points, as one shape."""
        path = "".join(f"M{_short(x)} {_short(y)}h0" for x, y in (self.at(*point) for point in points))
        self._shapes.append(tag("path", d=path, class_="dots"))

    def whiskers(self, ranges: Iterable[tuple[float, float, float]], class_: str = "whisker") -> None:
        """Upright lines. Each is (x, low, high)."""
        path = ""
        for x, low, high in ranges:
            (across, bottom), top = self.at(x, low), self._up(high)
            path += f"M{_short(across)} {_short(bottom)}V{_short(top)}"
        self._shapes.append(tag("path", d=path, class_=class_))

    def envelope(self, boxes: Iterable[tuple[float, float, float, float]]) -> None:
        """Areas between a least and a greatest value. Each is (start, end, low, high)."""
        path = ""
        for start, end, low, high in boxes:
            (left, bottom), (right, top) = self.at(start, low), self.at(end, high)
            right, top = max(right, left + 1), min(top, bottom - 1)
            path += f"M{_short(left)} {_short(bottom)}H{_short(right)}V{_short(top)}H{_short(left)}z"
        self._shapes.append(tag("path", d=path, class_="envelope"))

    def line(self, points: Sequence[tuple[float, float]], class_: str = "line") -> None:
        """A line through points."""
        path = "L".join(f"{_short(x)} {_short(y)}" for x, y in (self.at(*point) for point in points))
        self._shapes.append(tag("path", d=f"M{path}" if path else "", class_=class_))

    def steps(self, points: Sequence[tuple[float, float]], end: float, class_: str = "line") -> None:
        """A line through values each of which holds until the next, the last until `end`."""
        places = [self.at(*point) for point in points]
        path = "".join(f"H{_short(x)}V{_short(y)}" for x, y in places[1:])
        if places:
            path = f"M{_short(places[0][0])} {_short(places[0][1])}{path}H{_short(self._across(end))}"
        self._shapes.append(tag("path", d=path, class_=class_))

    def rule(self, value: float, label: str) -> None:
        """A level, with its name at its right end."""
        up, right = self._up(value), self._width - self._RIGHT
        line = tag("path", d=f"M{self._left} {_short(up)}H{right}", class_="rule")
        text = tag("text", label, x=right - 4, y=up - 5, text_anchor="end", class_="label")
        self._shapes += [line, text]

    def upright(self, value: float, label: str, place: int) -> None:
        """A position on the x axis, with its name; `place` counts such names from above."""
        across, room = self._across(value), len(label) * _CHARACTER + 8
        before = across + room > self._width - self._RIGHT
        line = tag("path", d=f"M{_short(across)} {_short(self._floor)}V{self._top}", class_="rule")
        beside = {"x": across + (-4 if before else 4), "y": self._top + 11.0 + 14 * place}
        text = tag("text", label, text_anchor="end" if before else "start", class_="label", **beside)
        self._shapes += [line, text]

    def rug(self, row: int, places: Iterable[float]) -> None:
        """Ticks in a row below the plot, where something happened."""
        low = self._floor + self._ROW * (row + 1) + 2
        across = sorted({round(2 * self._across(place)) / 2 for place in places})
        path = "".join(f"M{_short(x)} {_short(low)}v-10" for x in across)
        self._shapes.append(tag("path", d=path, class_="rug"))

    def remark(self, text: str) -> None:
        """A word in the middle of the plot, where there is nothing to see."""
        middle = (self._left + self._width - self._RIGHT) / 2
        place = {"x": middle, "y": self._top + self._height / 2}
        self._shapes.append(tag("text", text, text_anchor="middle", class_="quiet", **place))

    def svg(self) -> Markup:
        """The finished plot."""
        below = self._ROW * len(self.rows) + (8 if self.rows else 0)
        height = self._floor + below + 40
        parts = [self._shading(), self._axes(below), self._shapes]
        box = f"0 0 {self._width} {_short(height)}"
        return tag("svg", parts, viewBox=box, role="img", aria_label=self.name, class_="chart")

    def _assigned(self, spans: Sequence[Span]) -> list[tuple[Span, int]]:
        """Spans with the lane each is labelled in, so that neither bars nor labels cover each other."""
        free: list[float] = []
        assigned = []
        for span in sorted(spans, key=lambda span: span.start):
            left, right = self._reach(span)
            lane = next((number for number, until in enumerate(free) if until <= left), len(free))
            free[lane:] = [right + 6, *free[lane + 1 :]]
            assigned.append((span, lane))
        return assigned

    def _reach(self, span: Span) -> tuple[float, float]:
        """From where to where a span and its label reach."""
        left = self._across(span.start)
        end = left if span.end is None else self._across(span.end)
        room = len(span.label) * _CHARACTER + 8
        left_most = min(left, self._width - self._RIGHT - room)
        return left_most, max(end, left_most + room)

    def _shading(self) -> list[Markup]:
        shapes = []
        for span, lane in self._lanes:
            left, top = self._across(span.start), 22 + self._LANE * lane
            right = left + 2 if span.end is None else max(left + 2, self._across(span.end))
            wide = right - left
            if span.end is not None:
                area = {"x": left, "y": self._top, "width": wide, "height": self._height}
                shapes.append(tag("rect", class_=f"shade {span.kind}", **area))
            lasts = "at once" if span.end is None else f"until {span.end:g} s"
            title = tag("title", f"{span.label}: from {span.start:g} s, {lasts}")
            shapes.append(
                tag(
                    "rect",
                    title,
                    x=left,
                    y=top,
                    width=wide,
                    height=self._LANE - 4,
                    class_=f"lane {span.kind}",
                )
            )
            place = {"x": self._reach(span)[0] + 4, "y": top + 11.5}
            shapes.append(tag("text", span.label, class_=f"lane-label {span.kind}", **place))
        return shapes

    def _axes(self, below: float) -> list[Markup]:
        left, right, floor = self._left, self._width - self._RIGHT, self._floor
        shapes = [tag("text", self.y.title, x=0, y=13, class_="axis-title")]
        for value in self.y.ticks(5):
            up = _short(self._up(value))
            shapes.append(tag("path", d=f"M{left} {up}H{right}", class_="grid"))
            label = self.y.spell(value)
            shapes.append(
                tag("text", label, x=left - 7, y=self._up(value) + 4, text_anchor="end", class_="tick")
            )
        shapes.append(tag("path", d=f"M{left} {_short(floor)}H{right}", class_="axis"))
        for number, row in enumerate(self.rows):
            low = floor + self._ROW * (number + 1) + 2
            shapes.append(tag("text", row, x=0, y=low - 1, class_="tick"))
            shapes.append(tag("path", d=f"M{left} {_short(low)}H{right}", class_="grid"))
        for value in self.x.ticks(9 if self._wide else 5):
            across = self._across(value)
            shapes.append(tag("path", d=f"M{_short(across)} {_short(floor)}v5", class_="axis"))
            place = {"x": across, "y": floor + below + 18}
            shapes.append(tag("text", self.x.spell(value), text_anchor="middle", class_="tick", **place))
        title_place = {"x": right, "y": floor + below + 34}
        shapes.append(tag("text", self.x.title, text_anchor="end", class_="axis-title", **title_place))
        return shapes


@dataclasses.dataclass(frozen=True)
class Step:
    """One line of a sequence diagram.

    Attributes:
        kind: "light", "message", "exchange" (there and back), "note" (at one lifeline, or between two) or "stop".
        source: the lifeline it begins at.
        target: the lifeline it ends at.
        text: what is said or done.
        detail: numbers, smaller, below the line.
        phase: the part of the story it begins.
        group: what steps that follow each other are repeated as, one frame around them.
        touched: whether the tap that it crosses acts on it.
    """

    kind: Literal["light", "message", "exchange", "note", "stop"]
    source: str
    target: str
    text: str
    detail: str = ""
    phase: str = ""
    group: str = ""
    touched: bool = False


@dataclasses.dataclass(frozen=True)
class Lifeline:
    """Somebody in a sequence diagram.

    Attributes:
        name: of the lifeline, which steps refer to.
        tap: whether it only touches what passes, like Eve.
    """

    name: str
    tap: bool = False


def sequence_diagram(width: int, lifelines: Sequence[Lifeline], steps: Sequence[Step], name: str) -> Markup:
    """Who says what to whom, from top to bottom.

    Args:
        width: WIDE or NARROW.
        lifelines: from left to right.
        steps: in order.
        name: says what it shows, for those who cannot see it.
    """
    return _SequenceDiagram(width, lifelines).drawn(steps, name)


class _SequenceDiagram:
    _LINE, _DETAIL_LINE = 14, 13

    def __init__(self, width: int, lifelines: Sequence[Lifeline]) -> None:
        self._width = width
        self._gutter = 104 if width >= WIDE else 0
        self._longest = 64 if width >= WIDE else 46  # characters of a line of text
        margin = 46 if width >= WIDE else 27
        first, last = self._gutter + margin, width - margin
        gap = (last - first) / (len(lifelines) - 1)
        self._across = {line.name: first + gap * number for number, line in enumerate(lifelines)}
        self._taps = {line.name for line in lifelines if line.tap}
        self._y = 0.0
        self._behind: list[Markup] = []
        self._front: list[Markup] = []

    def drawn(self, steps: Sequence[Step], name: str) -> Markup:
        top = self._heads()
        self._y = top + 8.0
        for group, members in itertools.groupby(steps, key=lambda step: step.group):
            self._group(group, list(members))
        self._y += 6
        for line, across in self._across.items():
            shape = f"M{_short(across)} {top}V{_short(self._y)}"
            self._behind.insert(
                0, tag("path", d=shape, class_="lifeline tap" if line in self._taps else "lifeline")
            )
        box = f"0 0 {self._width} {_short(self._y + 4)}"
        parts = [self._behind, self._front]
        return tag("svg", parts, viewBox=box, role="img", aria_label=name, class_="chart sequence")

    def _heads(self) -> int:
        """The names at the top; returns where the lifelines begin."""
        longest = 12 if self._width >= WIDE else 7
        names = {name: textwrap.wrap(name, longest) for name in self._across}
        height = 10 + self._LINE * max(map(len, names.values()))
        for name, lines in names.items():
            half = max(map(len, lines)) * _CHARACTER / 2 + 6
            across = self._across[name]
            class_ = "head tap" if name in self._taps else "head"
            shape = {"x": across - half, "y": 1.0, "width": 2 * half, "height": height, "rx": 4}
            self._front.append(tag("rect", class_=class_, **shape))
            first = 1 + height / 2 + 4 - self._LINE * (len(lines) - 1) / 2
            self._front += [
                tag(
                    "text",
                    line,
                    x=across,
                    y=first + self._LINE * number,
                    text_anchor="middle",
                    class_="head-label",
                )
                for number, line in enumerate(lines)
            ]
        return height + 1

    def _group(self, label: str, steps: Sequence[Step]) -> None:
        if not label:
            for step in steps:
                self._step(step)
            return
        if steps[0].phase:
            self._phase(steps[0].phase)
        ends = [self._across[end] for step in steps for end in (step.source, step.target)]
        left, right, top = min(ends) - 16, max(ends) + 16, self._y + 4
        self._y += 22
        for step in steps:
            self._step(dataclasses.replace(step, phase=""))
        self._y += 4
        frame = {"x": left, "y": top, "width": right - left, "height": self._y - top, "rx": 5}
        self._behind.append(tag("rect", class_="group", **frame))
        self._front.append(tag("text", label, x=left + 8, y=top + 14, class_="group-label"))
        self._y += 6

    def _phase(self, name: str) -> None:
        """A part of the story begins: in the margin, or on a line of its own where there is none."""
        self._y += 4
        if self._y > 60:
            rule = f"M0 {_short(self._y)}H{self._width}"
            self._behind.append(tag("path", d=rule, class_="grid"))
        self._front.append(tag("text", name, x=0, y=self._y + 16, class_="phase"))
        self._y += 4 if self._gutter else 20

    def _step(self, step: Step) -> None:
        if step.phase:
            self._phase(step.phase)
        if step.kind == "note":
            self._note(step)
            return
        start, end = self._across[step.source], self._across[step.target]
        self._text(step.text, (start + end) / 2, "stopped" if step.kind == "stop" else "said")
        self._y += 6
        if step.kind == "stop":
            self._cross((start + end) / 2)
        else:
            self._arrow(step, start, end)
        self._y += 3
        self._text(step.detail, (start + end) / 2, "detail")
        self._y += 5

    def _text(self, text: str, middle: float, class_: str) -> None:
        """Lines centred at `middle`, moved where they would leave the drawing."""
        lines = textwrap.wrap(text, self._longest)
        if not lines:
            return
        half = max(map(len, lines)) * _CHARACTER / 2
        x = min(max(middle, self._gutter + half), self._width - half - 2)
        for line in lines:
            self._y += self._DETAIL_LINE if class_ == "detail" else self._LINE
            self._front.append(tag("text", line, x=x, y=self._y, text_anchor="middle", class_=class_))

    def _arrow(self, step: Step, start: float, end: float) -> None:
        way = 1 if end > start else -1
        y = _short(self._y)
        first = start + 8 * way if step.kind == "exchange" else start
        shaft = f"M{_short(first)} {y}H{_short(end - 7 * way)}"
        self._front.append(tag("path", d=shaft, class_=step.kind))
        heads = [(end, way)] + ([(start, -way)] if step.kind == "exchange" else [])
        tips = "".join(f"M{_short(at)} {y}l{-8 * to} -4v8z" for at, to in heads)
        self._front.append(tag("path", d=tips, class_=f"tip {step.kind}"))
        for tap in self._taps:
            across = self._across[tap]
            if min(start, end) < across < max(start, end):
                class_ = "touch acting" if step.touched else "touch"
                radius = 5.0 if step.touched else 3.5
                self._front.append(tag("circle", cx=across, cy=self._y, r=radius, class_=class_))

    def _cross(self, middle: float) -> None:
        self._y += 4
        shape = f"M{_short(middle - 7)} {_short(self._y - 7)}l14 14m0 -14l-14 14"
        self._front.append(tag("path", d=shape, class_="cross"))
        self._y += 8

    def _note(self, step: Step) -> None:
        lines = textwrap.wrap(step.text, self._longest)
        half = max(map(len, lines)) * _CHARACTER / 2 + 9
        middle = (self._across[step.source] + self._across[step.target]) / 2
        x = min(max(middle, self._gutter + half), self._width - half - 1)
        height = self._LINE * len(lines) + 8
        self._y += 5
        shape = {"x": x - half, "y": self._y, "width": 2 * half, "height": height, "rx": 3}
        self._front.append(tag("rect", class_="note", **shape))
        self._front += [
            tag(
                "text",
                line,
                x=x,
                y=self._y + self._LINE * (number + 1) + 1,
                text_anchor="middle",
                class_="said",
            )
            for number, line in enumerate(lines)
        ]
        self._y += height + 6
