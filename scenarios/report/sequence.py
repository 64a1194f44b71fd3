"""Sequence diagrams as SVG: who says what to whom, from top to bottom."""

from __future__ import annotations

import dataclasses
import itertools
import textwrap
from collections.abc import Sequence
from typing import Literal

from scenarios.report.charts import CHARACTER, WIDE
from scenarios.report.markup import Markup, path, svg, tag, text

_LINE, _DETAIL_LINE = 14, 13


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


def sequence_diagram(
    width: int, lifelines: Sequence[str], steps: Sequence[Step], name: str, tap: str = "Eve"
) -> Markup:
    """Who says what to whom, from top to bottom.

    Args:
        width: WIDE or NARROW.
        lifelines: from left to right.
        steps: in order.
        name: says what it shows, for those who cannot see it.
        tap: the lifeline that only touches what passes.
    """
    return _SequenceDiagram(width, lifelines, tap).drawn(steps, name)


class _SequenceDiagram:
    def __init__(self, width: int, lifelines: Sequence[str], tap: str) -> None:
        self._width, self._wide = width, width >= WIDE
        self._gutter = 104 if self._wide else 0
        margin = 46 if self._wide else 27
        first, last = self._gutter + margin, width - margin
        gap = (last - first) / (len(lifelines) - 1)
        self._across = {name: first + gap * number for number, name in enumerate(lifelines)}
        self._tap = tap
        self._y = 0.0
        self._behind: list[Markup] = []
        self._front: list[Markup] = []

    def drawn(self, steps: Sequence[Step], name: str) -> Markup:
        top = self._heads()
        self._y = top + 8.0
        for group, members in itertools.groupby(steps, key=lambda step: step.group):
            self._group(group, list(members))
        self._y += 6
        lines = [
            path("lifeline tap" if line == self._tap else "lifeline", "M", across, top, "V", self._y)
            for line, across in self._across.items()
        ]
        return svg(self._width, self._y + 4, [lines, self._behind, self._front], name, "chart sequence")

    def _heads(self) -> float:
        """The names at the top; returns where the lifelines begin."""
        names = {name: textwrap.wrap(name, 12 if self._wide else 6) for name in self._across}
        height = 10 + _LINE * max(map(len, names.values()))
        for name, lines in names.items():
            half = max(map(len, lines)) * CHARACTER / 2 + 6
            self._box("head tap" if name == self._tap else "head", self._across[name], half, 1.0, height, 4)
            first = 5 + (height - _LINE * (len(lines) - 1)) / 2
            self._lines(lines, self._across[name], first, "head-label")
        return height + 1

    def _box(self, class_: str, middle: float, half: float, top: float, height: float, round_: int) -> None:
        place = {"x": middle - half, "y": top, "width": 2 * half, "height": height, "rx": round_}
        self._front.append(tag("rect", class_=class_, **place))

    def _lines(
        self, lines: Sequence[str], middle: float, first: float, class_: str, gap: int = _LINE
    ) -> None:
        for number, line in enumerate(lines):
            self._front.append(text(line, middle, first + gap * number, class_, "middle"))

    def _group(self, label: str, steps: Sequence[Step]) -> None:
        if not label:
            for step in steps:
                self._step(step)
            return
        self._phase(steps[0].phase)
        ends = [self._across[end] for step in steps for end in (step.source, step.target)]
        left, right, top = min(ends) - 16, max(ends) + 16, self._y + 4
        self._y += 22
        for step in steps:
            self._step(dataclasses.replace(step, phase=""))
        self._y += 4
        frame = {"x": left, "y": top, "width": right - left, "height": self._y - top, "rx": 5}
        self._behind.append(tag("rect", class_="group", **frame))
        self._front.append(text(label, left + 8, top + 14, "group-label"))
        self._y += 6

    def _phase(self, name: str) -> None:
        """A part of the story begins: in the margin, or on a line of its own where there is none."""
        if not name:
            return
        self._y += 4
        if self._y > 60:
            self._behind.append(path("grid", "M0", self._y, "H", self._width))
        self._front.append(text(name, 0, self._y + 16, "phase"))
        self._y += 4 if self._wide else 20

    def _step(self, step: Step) -> None:
        self._phase(step.phase)
        start, end = self._across[step.source], self._across[step.target]
        middle = (start + end) / 2
        if step.kind == "note":
            self._note(step.text, middle)
            return
        self._say(step.text, middle, "stopped" if step.kind == "stop" else "said")
        self._y += 6
        if step.kind == "stop":
            self._front.append(path("cross", "M", middle - 7, self._y - 3, "l14 14m0 -14l-14 14"))
            self._y += 12
        else:
            self._arrow(step, start, end)
        self._y += 3
        self._say(step.detail, middle, "detail")
        self._y += 5

    def _wrapped(
        self, words: str, middle: float, character: float, margin: float
    ) -> tuple[list[str], float, float]:
        """Lines, half their width, and their middle, moved where they would leave the drawing."""
        lines = textwrap.wrap(words, 64 if self._wide else 46)
        half = max(map(len, lines), default=0) * character / 2 + margin
        return lines, half, min(max(middle, self._gutter + half), self._width - half - 2)

    def _say(self, words: str, middle: float, class_: str) -> None:
        bold = 1.15 if class_ == "stopped" else 1.0
        lines, _, middle = self._wrapped(words, middle, CHARACTER * bold, 0)
        gap = _DETAIL_LINE if class_ == "detail" else _LINE
        self._lines(lines, middle, self._y + gap, class_, gap)
        self._y += gap * len(lines)

    def _arrow(self, step: Step, start: float, end: float) -> None:
        way = 1 if end > start else -1
        back = step.kind == "exchange"
        self._front.append(path(step.kind, "M", start + 8 * way * back, self._y, "H", end - 7 * way))
        tips: list[str | float] = ["M", end, self._y, f"l{-8 * way} -4v8z"]
        if back:
            tips += ["M", start, self._y, f"l{8 * way} -4v8z"]
        self._front.append(path(f"tip {step.kind}", *tips))
        tap = self._across.get(self._tap, start)
        if min(start, end) < tap < max(start, end):
            radius, class_ = (5.0, "touch acting") if step.touched else (3.5, "touch")
            self._front.append(tag("circle", cx=tap, cy=self._y, r=radius, class_=class_))

    def _note(self, words: str, middle: float) -> None:
        lines, half, middle = self._wrapped(words, middle, CHARACTER, 9)
        height = _LINE * len(lines) + 8
        self._y += 5
        self._box("note", middle, half, self._y, height, 3)
        self._lines(lines, middle, self._y + _LINE + 1, "said")
        self._y += height + 6
