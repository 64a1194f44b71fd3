"""Key: how much each block gave, how much was in store, and what became of it in all."""

from __future__ import annotations

import numpy as np

from scenarios.report import words
from scenarios.report.blocks import Groups, aborted_s
from scenarios.report.charts import Axis, Plot, Series, extremes, headroom
from scenarios.report.figure import over_time
from scenarios.report.folder import Run
from scenarios.report.markup import Markup, joined, table, tag

_BINS = 300
"""Bins in time of a step series that has too many points."""
_HEIGHT = 150


def section(run: Run) -> Markup:
    """Key over time, and what became of it in all."""
    if not run.accepted:
        return joined((tag("p", "No block gave key."), _totals(run)))
    return joined((_secret(run), _stores(run) if run.stored else None, _totals(run)))


def _secret(run: Run) -> Markup:
    groups = Groups(run, run.done, lambda block: block.secret_bits if block.accepted else 0)
    aborted = aborted_s(run)

    def draw(plot: Plot) -> None:
        for group in groups:
            if group.mean > 0:
                title = f"{group.name}\n{words.bits(round(group.mean))}"
                plot.bar(group.start_s, group.end_s, group.mean, title)
        if not groups.single:
            plot.whiskers(((group.middle_s, group.low, group.high) for group in groups), "whisker over")
        if aborted:
            plot.rug(0, aborted)

    caption = "Final key, before part of it goes to authenticate the next blocks. Aborted blocks made none."
    keys = [("bar", "secret bits")]
    if not groups.single:
        caption += (
            f" Too many blocks to draw each ({groups.total:,}): a bar is the mean of {groups.size} neighbours, "
            "the thin line on it reaches from the least to the greatest of them."
        )
        keys.append(("whisker over", "least to greatest"))
    y = Axis("secret bits a block", 0.0, headroom((group.high for group in groups), 1.0), words.kilo)
    rows = ["aborted"] if aborted else []
    title = "Secret key made by each block"
    return over_time(run, title, [(y, draw)], caption, keys, rows=rows, height=_HEIGHT)


def _steps(plot: Plot, series: Series, class_: str) -> None:
    end_s = plot.x.high
    plot.steps(extremes(series, end_s, _BINS), end_s, class_)


def _stores(run: Run) -> Markup:
    starved = [event.t_s for event in run.events if event.event == "key_exhausted"]
    keys = list(zip(("line", "line-two"), run.stored, strict=False))

    def draw(plot: Plot) -> None:
        for class_, node in keys:
            times, bits = run.stored[node]
            if times[0] > 0:
                times, bits = np.concatenate([[0.0], times]), np.concatenate([[0.0], bits])
            _steps(plot, (times, bits), class_)
        if starved:
            plot.rug(0, starved)

    caption = "What each site may still issue: Alice's for queries, Bob's for answers."
    if starved:
        times = words.plural(len(starved), "time")
        caption += f" Ticks below: {times} a key was asked for and the store held too little."
    if max(len(times) for times, _ in run.stored.values()) > 4 * _BINS:
        caption += f" Drawn from the first, least, greatest and last value in each 1/{_BINS} of the run."
    y = Axis("bits in store", 0.0, headroom((b.max() for _, b in run.stored.values()), 1.0), words.kilo)
    rows = ["no key"] if starved else []
    return over_time(run, "Key in store", [(y, draw)], caption, keys, rows=rows, height=_HEIGHT)


def _totals(run: Run) -> Markup:
    keys = run.summary.keys
    tags = sum(block.authentication_spent_bits for block in run.blocks)
    rows = [
        ("delivered to the stores", words.bits(keys.delivered_bits)),
        ("consumed by queries and answers", words.bits(keys.consumed_bits)),
        *((f"left in {node} at the end", words.bits(bits[-1])) for node, (_, bits) in run.stored.items()),
        ("handed out more than once", words.bits(keys.reused_bits)),
        ("different at Alice's and Bob's", words.bits(keys.mismatched_bits)),
        ("spent on authentication tags, all blocks", words.bits(tags)),
        ("requests that found too little key", f"{keys.exhausted_events:,}"),
    ]
    return table(["key, over the whole run", ""], rows, ["", "number"])
