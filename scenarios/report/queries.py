"""Queries: how long answers took, how many were right, and what became of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scenarios.report import words
from scenarios.report.blocks import MOST
from scenarios.report.charts import Axis, Plot
from scenarios.report.figure import over_time
from scenarios.report.folder import Run
from scenarios.report.markup import Markup, joined, table, tag
from scenarios.report.wilson import wilson

_MOST_DOTS = 1500
_FATES = {
    "answered": "the client opened an answer",
    "rejected": "the server or the client refused a message",
    "lost": "no answer came in time",
    "gave up": "no key came in time",
    "pending": "still waiting at the end of the run",
}


def section(run: Run) -> Markup:
    """Latencies, accuracy, and how queries ended."""
    if not run.asks:
        return tag("p", "Nobody asked anything: the scenario has no queries.")
    if not run.queries:
        return tag("p", "No query was asked while the run lasted.")
    timed = [(query.created_s, query.latency_s) for query in run.queries if query.latency_s is not None]
    return joined((_latencies(run, timed) if timed else None, _accuracy(run), _endings(run)))


def fates(run: Run) -> list[str]:
    """What may become of a query, from best to worst; what this page does not know comes last."""
    return list(dict.fromkeys([*_FATES, *(query.status for query in run.queries)]))


def _latencies(run: Run, timed: Sequence[tuple[float, float]]) -> Markup:
    seconds = np.array([latency for _, latency in timed])
    axis = _latency_axis(seconds)
    failed = {fate: [q.created_s for q in run.queries if q.status == fate] for fate in fates(run)[1:]}
    failed = {fate: places for fate, places in failed.items() if places}
    crowd = len(timed) > _MOST_DOTS

    def draw(plot: Plot) -> None:
        if crowd:
            boxes = _boxes(timed, run.duration_s)
            plot.envelope((start, end, low, high) for start, end, low, _, high in boxes)
            plot.dots(((start + end) / 2, middle) for start, end, _, middle, _ in boxes)
        else:
            plot.dots(timed)
        for row, places in enumerate(failed.values()):
            plot.rug(row, places)

    caption = "From the wish to ask to the opened answer, waiting for key included; each query stands where it was made. "
    ranks = [
        f"{name} {words.time(value)}" for name, value in run.summary.queries.latency_s if value is not None
    ]
    caption += f"Percentiles: {', '.join(ranks)}."
    keys = [("dots", "one answered query")]
    if axis.log:
        caption += " The latency axis is logarithmic."
    if failed:
        caption += " Rows below: queries that got no answer, and why."
    if crowd:
        keys = [("dots", "median"), ("envelope", "least to greatest")]
        caption += (
            f" Too many answers to draw each ({len(timed):,}): areas reach from the least to the greatest latency in "
            f"each 1/{MOST} of the run, points are medians."
        )
    rows = list(failed)
    return over_time(run, "Latency over time", [(axis, draw)], caption, keys, rows=rows, height=210)


def _latency_axis(seconds: NDArray[np.float64]) -> Axis:
    """An axis for latencies; logarithmic where they span more than a decade."""
    low, high = float(seconds.min()), float(seconds.max())
    if low > 0 and high > 10 * low:
        return Axis("latency", low / 1.25, high * 1.1, _tick, log=True)
    return Axis("latency", 0.0, high * 1.1 or 1.0, _tick)


def _tick(seconds: float) -> str:
    return words.time(seconds, 2)


def _boxes(
    timed: Sequence[tuple[float, float]], duration_s: float
) -> list[tuple[float, float, float, float, float]]:
    """(start, end, least, median, greatest) of the latencies in each part of the run that has any."""
    times, seconds = np.array(timed).T
    bin_s = duration_s / MOST
    number = np.minimum((times / bin_s).astype(np.int64), MOST - 1)
    boxes = []
    for one in np.unique(number).tolist():
        low, middle, high = np.quantile(seconds[number == one], [0, 0.5, 1]).tolist()
        boxes.append((one * bin_s, (one + 1) * bin_s, low, middle, high))
    return boxes


def _accuracy(run: Run) -> Markup:
    answered, right = run.answers
    if not answered:
        return tag("p", "No query was answered, so there is no latency and no accuracy.")
    low, high = map(words.percent, wilson(right, answered))
    were = f"{right:,} of {words.plural(answered, 'answer')} {'was' if right == 1 else 'were'} right"
    share = tag("strong", f"Accuracy {words.percent(right / answered)}")
    return tag("p", share, f": {were}; 95 % Wilson interval {low} to {high}.")


def _endings(run: Run) -> Markup:
    counts, issued = Counter(query.status for query in run.queries), len(run.queries)
    rows = [
        (fate, f"{counts[fate]:,}", words.share(counts[fate], issued), _FATES.get(fate, ""))
        for fate in fates(run)
    ]
    rows.append(("asked in all", f"{issued:,}", "", ""))
    endings = table(["queries", "", "share", ""], rows, ["nowrap", "number", "number", ""])
    rejections = run.summary.queries.rejections
    if not rejections:
        return endings
    reasons = [(words.why(reason), f"{count:,}") for reason, count in rejections.items()]
    copies = "More messages were refused than queries: copies that Eve sent count too."
    more = sum(rejections.values()) > counts["rejected"]
    note = tag("p", copies, class_="muted") if more else None
    return joined((endings, table(["messages refused", ""], reasons, ["", "number"]), note))
