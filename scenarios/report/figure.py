"""A figure: a chart for wide and for narrow pages, with its title, legend and caption."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from scenarios.report.charts import NARROW, WIDE, Axis, Plot
from scenarios.report.folder import Run
from scenarios.report.markup import Markup, joined, path, tag


def figure(
    title: str, draw: Callable[[int], Markup], caption: str, keys: Iterable[tuple[str, str]] = ()
) -> Markup:
    """A figure.

    Args:
        title: of the figure.
        draw: makes the chart for a width; the style sheet shows the one that fits.
        caption: below the chart.
        keys: of the legend: the class of a mark, and what it stands for.
    """
    items = [tag("li", _swatch(class_), text) for class_, text in keys]
    legend = tag("ul", items, class_="legend") if items else None
    return tag("figure", tag("h3", title), legend, drawn_twice(draw), tag("figcaption", caption))


def over_time(
    run: Run,
    title: str,
    plots: Sequence[tuple[Axis, Callable[[Plot], None]]],
    caption: str,
    keys: Sequence[tuple[str, str]],
    *,
    rows: Sequence[str] = (),
    height: int = 190,
) -> Markup:
    """A figure of plots over the whole run, one below the other, in which the timeline's intervals are shaded.

    Args:
        run: the run.
        title: of the figure.
        plots: what each plots, and what puts the marks on it.
        caption: below them.
        keys: of the legend, without the shades.
        rows: of ticks below each plot.
        height: of the area between the axes.
    """

    def drawn(width: int) -> Markup:
        charts = []
        for y, draw in plots:
            plot = Plot(width, run.time_axis, y, title, spans=run.acts, rows=rows, height=height)
            draw(plot)
            charts.append(plot.svg())
        return joined(charts)

    kinds = {act.kind for act in run.acts}
    shades = [("shade eve", "Eve acts")] if "eve" in kinds else []
    shades += [("shade environment", "environment")] if "environment" in kinds else []
    return figure(title, drawn, caption, [*keys, *shades])


def drawn_twice(draw: Callable[[int], Markup]) -> Markup:
    """A chart for a wide and for a narrow page; the style sheet shows one of them."""
    return joined((tag("div", draw(WIDE), class_="wide"), tag("div", draw(NARROW), class_="narrow")))


def patterns() -> Markup:
    """The hatchings of shaded intervals; a page needs them once, before its charts."""
    stripe, dot = path("stripe", "M0 8L8 0M-2 2L2 -2M6 10L10 6"), tag("circle", cx=3, cy=3, r=1, class_="dot")
    definitions = [
        tag("pattern", stripe, id="eve-stripes", width=8, height=8, patternUnits="userSpaceOnUse"),
        tag("pattern", dot, id="environment-dots", width=6, height=6, patternUnits="userSpaceOnUse"),
    ]
    return tag("svg", tag("defs", definitions), width=0, height=0, class_="patterns", aria_hidden="true")


def _swatch(class_: str) -> Markup:
    """A mark of a chart, for its legend."""
    kind = class_.split(maxsplit=1)[0]
    lines = {"cross": "M8 3l8 8m0 -8l-8 8", "dots": "M12 7h0", "whisker": "M12 1v12"}
    if kind in ("point", "touch"):
        shape = tag("circle", cx=12, cy=7, r=3.2 if kind == "point" else 4.5, class_=class_)
    elif kind in ("bar", "envelope", "shade"):
        shape = tag("rect", x=1, y=1, width=22, height=12, class_=class_)
    else:
        shape = path(class_, lines.get(kind, "M0 7h24"))
    return tag("svg", shape, viewBox="0 0 24 14", aria_hidden="true")
