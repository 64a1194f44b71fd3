"""A strip: the whole run in a table's cell, to see at a glance when something was high, or happened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from scenarios.report.folder import Run
from scenarios.report.markup import Markup, path, tag

_WIDTH, _HEIGHT = 240, 22.0


def strip(
    run: Run, name: str, *, levels: Sequence[tuple[float, float]] = (), at: Iterable[float] = ()
) -> Markup:
    """The timeline's intervals as shades, and on them a line, or ticks.

    Args:
        run: the run, from its start at the left to its end at the right.
        name: says what it shows, for those who cannot see it.
        levels: times and values of the line; 0 lies at the bottom, the greatest value at the top.
        at: times of the ticks.
    """

    def across(t_s: float) -> float:
        return _WIDTH * run.time_axis.place(t_s)

    shapes = []
    for act in run.acts:
        if act.end is not None:
            place = {"x": across(act.start), "width": max(1.0, across(act.end) - across(act.start))}
            shade = f"span {act.kind}"
            shapes.append(tag("rect", tag("title", act.label), **place, height=_HEIGHT, class_=shade))
    if levels:
        scale = (_HEIGHT - 2) / (max(value for _, value in levels) or 1.0)
        line: list[str | float] = []
        for t_s, value in levels:
            line += ["L" if line else "M", across(t_s), _HEIGHT - 1 - scale * value]
        shapes.append(path("line", *line, "h1"))  # so that a single value is seen as well
    if ticks := sorted({round(across(t_s)) for t_s in at}):
        shapes.append(path("alarm", *(part for x in ticks for part in ("M", x, 2, "V", _HEIGHT))))
    box = f"0 0 {_WIDTH} {_HEIGHT:g}"
    return tag("svg", shapes, viewBox=box, preserveAspectRatio="none", role="img", aria_label=name)
