"""The figure of `evelab rate`: a self-contained SVG, or a page with it, that loads nothing and runs nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

from netsim.key_length.asymptotic import plob
from scenarios.presets import Preset
from scenarios.rate import Beside, Curves
from scenarios.rate_output import compact, spelled
from scenarios.report.charts import CHARACTER, WIDE, Axis, Plot
from scenarios.report.markup import Markup, joined, path, table, tag, text
from scenarios.units import FREQUENCY, format_quantity

_DECADES = 12
"""At most so many are drawn: less than 1e-12 of the highest rate is no rate."""
_ROW, _COLUMNS = 18, 3
_BOUND_POINTS = 400

# Okabe & Ito's colours, which the colour-blind tell apart, made darker on white and lighter on black;
# each line has its own dashes too.
STYLE = """
.rate-figure {
  --paper: #ffffff; --ink: #1a1f25; --muted: #57616c; --grid: #e6eaee;
  --c0: #0a5c9e; --c1: #b8480a; --c2: #00795a; --c3: #a8457f; --c4: #8a6100; --c5: #2a7fa8; --c6: #5b4bb5; --c7: #6b6b6b;
  background: var(--paper); font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif;
}
@media (prefers-color-scheme: dark) {
  .rate-figure {
    --paper: #11161b; --ink: #e7eaed; --muted: #9da7b1; --grid: #262e36;
    --c0: #6fb4f2; --c1: #f5a06a; --c2: #4fd1a5; --c3: #ee9fcb; --c4: #e6c04f; --c5: #8fd6f5; --c6: #b5a9f7; --c7: #bdbdbd;
  }
}
.rate-figure text { font-size: 12px; fill: var(--ink); }
.rate-figure .tick, .rate-figure .axis-title, .rate-figure .quiet { fill: var(--muted); font-size: 11.5px; }
.rate-figure .axis-title { font-weight: 600; }
.rate-figure .sheet { fill: var(--paper); }
.rate-figure .grid { stroke: var(--grid); fill: none; }
.rate-figure .axis { stroke: var(--muted); fill: none; }
.rate-figure .curve { stroke-width: 2; fill: none; stroke-linejoin: round; }
.rate-figure .bound { stroke: var(--ink); stroke-width: 1.4; stroke-dasharray: 1 4; stroke-linecap: round; }
.rate-figure .dot { stroke: var(--paper); stroke-width: 1; }
.rate-figure .whisker { stroke-width: 1.6; fill: none; }
.rate-figure .printed { fill: var(--paper); stroke: var(--ink); stroke-width: 1.6; }
""" + "".join(
    f".rate-figure .s{n} {{ stroke: var(--c{n}); stroke-dasharray: {dashes}; }} .rate-figure .dot.s{n} {{ fill: var(--c{n}); "
    f"stroke: var(--paper); stroke-dasharray: none; }} .rate-figure .whisker.s{n} {{ stroke-dasharray: none; }}\n"
    for n, dashes in enumerate(("none", "8 3", "3 3", "10 3 2 3", "6 2 2 2 2 2", "14 4", "2 2", "5 5"))
)


class RatePlot(Plot):
    """A plot of rates: curves, points with error bars, and what was printed."""

    def curve(self, points: list[tuple[float, float]], class_: str) -> None:
        """A line through points; nothing for a single one but a dot."""
        places = [self.at(*point) for point in points]
        if len(places) == 1:
            places.append((places[0][0] + 2, places[0][1]))
        self._draw(class_, *(part for n, place in enumerate(places) for part in ("L" if n else "M", *place)))

    def point(self, x: float, y: float, error: float, title: str, class_: str) -> None:
        """A dot with an error bar of one standard error either way."""
        across, up = self.at(x, y)
        if error:
            low, high = self.at(x, max(y - error, self.y.low))[1], self.at(x, y + error)[1]
            whisker = ("M", across, low, "V", high, "M", across - 3, low, "h6", "M", across - 3, high, "h6")
            self._draw(f"whisker {class_}", *whisker)
        self._shapes.append(
            tag("circle", tag("title", title), cx=across, cy=up, r=4.0, class_=f"dot {class_}")
        )

    def printed(self, x: float, y: float, title: str) -> None:
        """A diamond: what somebody else's system did."""
        across, up = self.at(x, y)
        d = f"M{across:.1f} {up - 6:.1f}l5 6l-5 6l-5 -6z"
        self._shapes.append(tag("path", tag("title", title), d=d, class_="printed"))

    def body(self) -> tuple[list[Markup], float]:
        """The shapes, and how tall they are."""
        return [
            joined(self._levels()),
            joined(self._ticks(self._floor)),
            joined(self._shapes),
        ], self._floor + 40


def figure(made: Curves) -> Markup:
    """The figure as an SVG element that carries its own style."""
    positive = {
        name: [(r.model.length_km, r.per_second_bps) for r in rates if r.per_pulse > 0]
        for name, rates in made.rates.items()
    }
    points = [point for point in made.simulated if point.mean_bps > 0]
    printed = [(one.length_km, one) for one in made.published if one.length_km is not None]
    values = [y for curve in positive.values() for _, y in curve]
    values += [p.mean_bps for p in points] + [one.published for _, one in printed]
    farthest = max(
        [*made.request.distances_km, *(p.length_km for p in points), *(x for x, _ in printed), 1.0]
    )
    nearest = min([*made.request.distances_km, *(p.length_km for p in points), *(x for x, _ in printed)])
    nearest = nearest if nearest < farthest else 0.0
    bound = list(_bound(made, nearest, farthest))
    # The bound is infinite where nothing is lost: what is drawn of it begins a decade above all rates.
    top = max([10.0 * max(values, default=0.0), *(y for _, y in bound[-1:])]) or 1.0
    high = 10.0 ** math.ceil(math.log10(min([top, *(y for _, y in bound[:1])]) * 1.0001))
    low = 10.0 ** math.floor(math.log10(max(min(values, default=high / 1e3), high / 10.0**_DECADES)))
    low = min(low, high / 10)
    title = f"Secret key rate against distance: {made.request.preset.name}"
    plot = RatePlot(
        WIDE,
        Axis("fibre, km", nearest, farthest),
        Axis("secret key rate, bit/s", low, high, _tick, log=True),
        title,
        height=360,
    )
    plot.curve([(x, y) for x, y in bound if low <= y <= high] or [(farthest, low)], "curve bound")
    order = list(made.rates)
    for number, name in enumerate(order):
        inside = [(x, y) for x, y in positive[name] if y >= low]
        if inside:
            plot.curve(inside, f"curve s{number}")
    for length, one in printed:
        plot.printed(length, one.published, f"{one.what}: {spelled(one.published, one.unit)} ({one.origin})")
    for p in points:
        told = f"{p.protocol} at {p.length_km:g} km: {compact(p.mean_bps)} ± {compact(p.standard_error_bps)} bit/s over {p.seeds} seeds"
        plot.point(p.length_km, p.mean_bps, p.standard_error_bps, told, f"s{order.index(p.protocol)}")

    keys = [("curve bound", "PLOB bound: the most without a repeater")]
    for number, protocol in enumerate(made.request.protocols):
        dead = "" if positive[protocol.id] else ": no key"
        keys.append((f"curve s{number}", f"{protocol.title} ({protocol.bound}){dead}"))
    keys += [("dot s0", "simulated, ± standard error")] if points else []
    keys += [("printed", "printed by its authors")] if printed else []
    legend, tall = _legend(keys)
    shapes, height = plot.body()
    notes = _notes(made)
    below = tall + height + 8
    parts = [
        tag("title", title),
        tag("style", Markup(STYLE)),
        tag("rect", x=0, y=0, width=WIDE + 16, height=float(below + 16 * len(notes) + 8), class_="sheet"),
        text(title, 8, 20, "quiet"),
        tag("g", legend, transform="translate(8 34)"),
        tag("g", shapes, transform=f"translate(8 {tall:.1f})"),
        [text(note, 8, below + 16 * n, "quiet") for n, note in enumerate(notes)],
    ]
    box = f"0 0 {WIDE + 16} {below + 16 * len(notes) + 8:.0f}"
    return tag(
        "svg",
        parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=box,
        role="img",
        aria_label=title,
        class_="rate-figure",
    )


def page(made: Curves) -> str:
    """An HTML page: the figure, what was published beside ours, and where every value is from."""
    preset = made.request.preset
    style = (
        "body{margin:2rem auto;max-width:60rem;padding:0 1rem;font:1rem/1.5 system-ui,sans-serif;background:#fff;color:#1a1f25}"
        "table{border-collapse:collapse;width:100%;font-size:.9rem}th,td{text-align:left;padding:.3rem 1rem .3rem 0;"
        "border-bottom:1px solid #d5dbe1;vertical-align:top}.scroll{overflow-x:auto}.number{text-align:right;white-space:nowrap}"
        "@media(prefers-color-scheme:dark){body{background:#11161b;color:#e7eaed}th,td{border-color:#333d47}}"
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag(
            "meta",
            http_equiv="Content-Security-Policy",
            content="default-src 'none'; style-src 'unsafe-inline'",
        ),
        tag("title", f"Key rates: {preset.name} – EveLab"),
        tag("style", Markup(style)),
    )
    beside = [tag("h2", "Published, and ours"), _beside_table(made.published)] if made.published else []
    body = tag(
        "body",
        tag("h1", f"Key rates: {preset.name}"),
        tag("p", preset.about, " ", preset.source),
        figure(made),
        beside,
        tag("h2", "Where the values are from"),
        _origins(preset, made.request.changes),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def standalone(made: Curves) -> str:
    """The figure as a file of its own."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{figure(made)}\n'


def _beside_table(published: tuple[Beside, ...]) -> Markup:
    rows = [
        (
            one.what,
            f"{one.published:g} {one.unit}".strip(),
            f"{one.ours:.4g}",
            f"{one.factor:.2f}",
            one.origin,
        )
        for one in published
    ]
    return table(
        ("quantity", "printed", "ours", "factor", "printed in"), rows, ("", "number", "number", "number", "")
    )


def _origins(preset: Preset, changed: Mapping[str, str]) -> Markup:
    rows = [
        (p.path, changed.get(p.path, p.value), "changed in this call" if p.path in changed else p.origin)
        for p in preset.parameters
    ]
    rows += [
        (name, value, "changed in this call")
        for name, value in changed.items()
        if name not in preset.settings()
    ]
    return table(("parameter", "value", "from"), rows, ("", "", ""))


def _legend(keys: list[tuple[str, str]]) -> tuple[list[Markup], float]:
    """The legend in columns, and where the plot begins below it."""
    width = WIDE / _COLUMNS
    longest = max(len(words) for _, words in keys) * CHARACTER + 36
    columns = max(1, min(_COLUMNS, math.floor(WIDE / longest)))
    width = WIDE / columns
    shapes = []
    for number, (class_, words) in enumerate(keys):
        x, y = (number % columns) * width, (number // columns) * _ROW + 8
        if class_.startswith("curve"):
            shapes.append(path(class_, "M", x, y, "h26"))
        elif class_ == "printed":
            shapes.append(tag("path", d=f"M{x + 13:.1f} {y - 6:.1f}l5 6l-5 6l-5 -6z", class_=class_))
        else:
            shapes.append(tag("circle", cx=x + 13, cy=float(y), r=4.0, class_=class_))
        shapes.append(text(words, x + 32, y + 4.0, "key"))
    return shapes, 34 + 8 + _ROW * math.ceil(len(keys) / columns) + 8


def _bound(made: Curves, nearest: float, farthest: float) -> Iterator[tuple[float, float]]:
    """The repeaterless bound in bit/s at many distances; where nothing is lost, it is left out."""
    model = made.request.model
    for number in range(_BOUND_POINTS + 1):
        length = nearest + (farthest - nearest) * number / _BOUND_POINTS
        transmittance = dataclasses.replace(model, length_km=length).fibre_transmittance
        if transmittance < 1:
            yield length, plob(transmittance) * model.pulse_rate_hz


def _tick(value: float) -> str:
    """A power of ten as a tick has it: 1M, 10k, 100."""
    return compact(value).replace(".00", "").replace(".0", "")


def _notes(made: Curves) -> list[str]:
    c = made.request.conditions
    block = (
        f"{c.block_pulses:.3g} pulses" if c.block_pulses is not None else f"{c.block_bits:.3g} sifted bits"
    )
    how = "optimised at each distance" if made.request.optimise else "as given"
    finite = any(protocol.finite for protocol in made.request.protocols)
    blocks = (
        f"finite blocks of {block}, ε_sec = {c.eps_sec:g}, ε_cor = {c.eps_cor:g}"
        if finite
        else "endless blocks"
    )
    rate = format_quantity(made.request.model.pulse_rate_hz, FREQUENCY, 3)
    return [
        f"{rate}; {blocks}; f = {c.f:g}; settings {how}.",
        "Lines are formulas fed with expected counts.",
    ]
