"""The quantum channel over time: errors, gains, CHSH values, and what Bob's instruments saw."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from scenarios.report import words
from scenarios.report.blocks import Group, Groups, aborted_s
from scenarios.report.charts import Axis, Plot, headroom
from scenarios.report.figure import over_time
from scenarios.report.folder import Block, Run
from scenarios.report.markup import Markup, joined, table, tag
from scenarios.report.strip import strip
from scenarios.report.wilson import wilson
from scenarios.units import FRACTION

_HEIGHT = 130  # of a plot that is one of two
_INSTRUMENTS = (
    ("double clicks", "both detectors at once", "clicks"),
    ("ones", "detector 1 alone", "clicks"),
    ("early", "before the middle of the gate", "clicks"),
    ("late", "after it", "clicks"),
    ("after gate", "when the gate was over", "clicks"),
    ("attenuated", "with the efficiency turned down", "clicks"),
    ("photocurrent", "more current than single photons draw", "gates"),
)
"""Bob's instruments, as the telemetry names them; what they tell, and out of what."""

_Counts: TypeAlias = Mapping[int, tuple[int, int]]
"""Block → events, and out of how many."""


def section(run: Run) -> Markup:
    """QBER; intensities, CHSH values and instruments where there is something to show of them."""
    if not run.done:
        return tag("p", "No block was finished, so no errors were counted.")
    witnessed = [block for block in run.done if block.chsh_s is not None]
    chsh = _chsh(run, witnessed) if witnessed else None
    decoys = _intensities(run) if run.summary.link.intensities else None
    return joined((_qber(run), chsh, decoys, _instruments(run)))


def _qber(run: Run) -> Markup:
    blocks = [block for block in run.done if block.qber is not None]
    groups = Groups(run, blocks, lambda block: block.qber or 0.0, lambda block: block.test_bits)
    limit = run.scenario.defences.abort_above_qber
    sounded = [event.t_s for why, told in run.alarms.items() if words.telemetry(why) for event in told]
    below = {name: times for name, times in (("aborted", aborted_s(run)), ("alarm", sounded)) if times}
    errors = []
    for group in groups:
        tested = sum(block.test_bits for block in group.blocks)
        errors.append(wilson(group.mean * tested, tested, z=1.0))
    highest = [high for _, high in errors] if groups.single else [group.high for group in groups]
    y = Axis("QBER", 0.0, min(headroom([*highest, limit or 0.0], 0.02), 1.0), words.percent)

    def told(group: Group) -> str:
        block = group.blocks[0]
        bases = [f", {basis}: {words.percent(e)}" for basis, e in block.by_basis.items() if e is not None]
        return f"QBER {words.percent(group.mean)} of {block.test_bits:,} bits{''.join(bases)}"

    def draw(plot: Plot) -> None:
        if limit is not None:
            plot.rule(limit, f"abort above {words.percent(limit)}")
        if groups:
            groups.draw(plot, errors, told)
        else:
            plot.remark("no block came as far as an estimate")
        for row, places in enumerate(below.values()):
            plot.rug(row, places)

    caption = (
        "What Alice and Bob estimated from the bits they revealed. Each block stands where its light was on the fibre. "
        + groups.caption("± 1 standard error (Wilson)", "pooled QBER")
    )
    if blind := len(run.done) - len(blocks):
        ended = words.plural(blind, "block")
        caption += f" {ended} ended before there was an estimate: only the row below shows them."
    keys = [*groups.keys("pooled QBER"), *([("rule", "abort threshold")] if limit is not None else [])]
    if sounded:
        caption += " Ticks at “alarm”: something in the telemetry left what is usual."
    return over_time(run, "QBER of each block", [(y, draw)], caption, keys, rows=list(below))


def _rates(run: Run, counts: _Counts) -> Groups:
    """Rates over the blocks that have any trials."""

    def rate(block: Block) -> float:
        events, trials = counts[block.block]
        return events / trials

    blocks = [block for block in run.done if counts.get(block.block, (0, 0))[1]]
    return Groups(run, blocks, rate, lambda block: counts[block.block][1])


def _intensities(run: Run) -> Markup:
    """Gain and error rate of the signal and the decoys."""
    told, link = run.summary.link.intensities, run.scenario.link
    gains = [
        {
            block.block: (int(found), round(share * link.block_pulses))
            for block in run.done
            if (found := block.detected.get(name)) is not None
        }
        for name, share in zip(told, link.source.probabilities, strict=False)
    ]
    errors = [run.tests.get(name, {}) for name in told]
    plots = []
    for title, counted in (("gain", gains), ("QBER", errors)):
        curves = [(_rates(run, counts), counts) for counts in counted]
        seen = [group.mean for groups, _ in curves for group in groups if group.mean] or [0.1]
        y = Axis(title, min(seen) / 2, min(1.0, 2 * max(seen)), words.percent, log=True)
        plots.append((y, functools.partial(_draw_rates, curves=curves)))
    caption = (
        "Gain: detections over pulses sent. Who treats pulses by their number of photons moves the lines apart. "
        "The axes are logarithmic."
    )
    keys = [(f"line i{number}", name) for number, name in enumerate(told)]
    rows = []
    for (name, one), tests in zip(told.items(), errors, strict=True):
        bits, qber = sum(tested for _, tested in tests.values()), words.quantity(one.qber, FRACTION)
        rows.append((name, f"{one.mean_photons:g}", words.percent(one.gain), qber, f"{bits:,}"))
    heads = ["intensity, whole run", "photons a pulse", "gain", "QBER", "of bits tested"]
    shown = over_time(run, "Gain and QBER of each intensity", plots, caption, keys, height=_HEIGHT)
    return joined((shown, table(heads, rows, ["", *["number"] * 4])))


def _draw_rates(plot: Plot, curves: Sequence[tuple[Groups, _Counts]]) -> None:
    for number, (groups, counts) in enumerate(curves):
        points = [(group.middle_s, group.mean) for group in groups]
        plot.line(points, f"line i{number}")
        if groups.single:
            errors = [wilson(*counts[group.blocks[0].block], z=1.0) for group in groups]
            whiskers = [(x, *error) for (x, _), error in zip(points, errors, strict=True)]
            plot.whiskers(whiskers, f"whisker i{number}")
            plot.dots(points, f"dots i{number}")


def _instruments(run: Run) -> Markup | None:
    """What Bob's instruments saw. How clicks fall on his detectors is shown only where an alarm told of it."""
    rows = []
    for name, tells, of in _INSTRUMENTS:
        counts = {
            block.block: (getattr(block, name.replace(" ", "_")), getattr(block, of)) for block in run.done
        }
        seen, trials = map(sum, zip(*counts.values(), strict=True))
        suspected = any(reason.startswith(f"telemetry: {name} ") for reason in run.alarms)
        if suspected or (seen and name != "ones"):
            levels = [(group.middle_s, group.mean) for group in _rates(run, counts)]
            line = strip(run, f"{name} over the run", levels=levels)
            rows.append((name, line, words.count(seen), f"{words.share(seen, trials)} of {of}", tells))
    if not rows:
        return None
    heads = ["instrument", "share over the run", "in all", "share", "sees clicks"]
    shown = table(heads, rows, ["nowrap", "over", "number", "number", ""])
    return joined((tag("h3", "Bob's instruments"), shown))


def _chsh(run: Run, blocks: Sequence[Block]) -> Markup:
    bound = run.scenario.defences.abort_below_chsh
    groups = Groups(run, blocks, lambda block: block.chsh_s or 0.0)
    spread = [(group.mean, group.blocks[0].chsh_standard_error or 0.0) for group in groups]
    errors = [(mean - error, mean + error) for mean, error in spread]
    lowest = min([2.0, bound or 2.0, *(group.low for group in groups)])
    highest = max([2 * math.sqrt(2), *(group.high for group in groups)])
    y = Axis("CHSH value S", lowest - 0.15, highest + 0.2)

    def told(group: Group) -> str:
        return f"S = {group.mean:.3f} ± {group.blocks[0].chsh_standard_error or 0.0:.2g}"

    def draw(plot: Plot) -> None:
        plot.rule(2 * math.sqrt(2), "2√2, the quantum limit")
        if bound != 2:
            plot.rule(2.0, "2, the classical limit")
        if bound is not None:
            plot.rule(bound, f"abort below {bound:g}")
        groups.draw(plot, errors, told)

    caption = (
        "From the rounds in which the settings differed; whoever measures on the way lowers it. "
        + groups.caption("± 1 standard error", "mean")
    )
    keys = [*groups.keys("mean S"), ("rule", "bounds")]
    return over_time(run, "CHSH value of each block", [(y, draw)], caption, keys)
