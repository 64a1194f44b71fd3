"""Errors on the quantum channel: QBER and CHSH value of each block over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scenarios.report import words
from scenarios.report.blocks import Group, Groups, aborted_s
from scenarios.report.charts import Axis, Plot, headroom
from scenarios.report.figure import over_time
from scenarios.report.folder import Block, Run
from scenarios.report.markup import Markup, joined, tag
from scenarios.report.wilson import wilson


def section(run: Run) -> Markup:
    """QBER, and the CHSH value where it was witnessed."""
    if not run.done:
        return tag("p", "No block was finished, so no errors were counted.")
    witnessed = [block for block in run.done if block.chsh_s is not None]
    return joined((_qber(run), _chsh(run, witnessed) if witnessed else None))


def _qber(run: Run) -> Markup:
    blocks = [block for block in run.done if block.qber is not None]
    groups = Groups(run, blocks, lambda block: block.qber or 0.0, lambda block: block.test_bits)
    limit, aborted = run.scenario.defences.abort_above_qber, aborted_s(run)
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
        if aborted:
            plot.rug(0, aborted)

    caption = (
        "What Alice and Bob estimated from the bits they revealed. Each block stands where its light was on the fibre. "
        + groups.caption("± 1 standard error (Wilson)", "pooled QBER")
    )
    if blind := len(run.done) - len(blocks):
        ended = words.plural(blind, "block")
        caption += f" {ended} ended before there was an estimate: only the row below shows them."
    keys = [*groups.keys("pooled QBER"), *([("rule", "abort threshold")] if limit is not None else [])]
    rows = ["aborted"] if aborted else []
    return over_time(run, "QBER of each block", y, draw, caption, keys, rows=rows)


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
    return over_time(run, "CHSH value of each block", y, draw, caption, keys)
