"""Blocks along the time axis: each on its own, or neighbours together where there are too many to draw."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

from scenarios.report import words
from scenarios.report.charts import Plot
from scenarios.report.folder import Block, Run

MOST = 160
"""More blocks, or answers, than this times a little are drawn in as many groups."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Neighbouring blocks that are drawn as one; often just one block.

    Attributes:
        blocks: its members, at least one.
        start_s: when the first one's light begins.
        end_s: when the last one's ends.
        mean: of a quantity.
        low: the least of it.
        high: the greatest.
    """

    blocks: Sequence[Block]
    start_s: float
    end_s: float
    mean: float
    low: float
    high: float

    @property
    def middle_s(self) -> float:
        """Where it is marked."""
        return (self.start_s + self.end_s) / 2

    @property
    def name(self) -> str:
        """Which blocks, from when to when."""
        first, last = self.blocks[0], self.blocks[-1]
        when = f"{self.start_s:.4g} to {self.end_s:.4g} s"
        if first is not last:
            return f"blocks {first.block} to {last.block}, {when}"
        aborted = f", aborted: {words.why(first.reason)}" if first.status == "aborted" else ""
        return f"block {first.block}, {when}{aborted}"


class Groups(list[Group]):
    """Blocks in as many groups as can be drawn, with the weighted mean of a quantity.

    Args:
        run: which the blocks are of.
        blocks: in order.
        value: the quantity.
        weight: of a block in the mean of its group.
    """

    def __init__(
        self,
        run: Run,
        blocks: Sequence[Block],
        value: Callable[[Block], float],
        weight: Callable[[Block], float] = lambda _: 1.0,
    ) -> None:
        self.total = len(blocks)
        self.size = 1 if self.total <= 1.25 * MOST else math.ceil(self.total / MOST)
        for first in range(0, self.total, self.size):
            members = blocks[first : first + self.size]
            values, weights = [value(block) for block in members], [weight(block) for block in members]
            mean = float(np.average(values, weights=weights if any(weights) else None))
            end_s = members[-1].start_s + run.block_s
            self.append(Group(members, members[0].start_s, end_s, mean, min(values), max(values)))

    @property
    def single(self) -> bool:
        """Whether every block stands on its own."""
        return self.size == 1

    def keys(self, mean: str) -> list[tuple[str, str]]:
        """The legend of `draw`; `mean` says what the line joins."""
        if self.single:
            return [("point", "gave key"), ("cross", "aborted")]
        return [("line", mean), ("envelope", "least to greatest")]

    def caption(self, error: str, mean: str) -> str:
        """What lines and areas of `draw` mean."""
        if self.single:
            return f"Upright lines: {error}."
        return (
            f"Too many blocks to draw each ({self.total:,}): the line joins the {mean} of {self.size} neighbours at a "
            "time, the area reaches from the least to the greatest of them."
        )

    def draw(self, plot: Plot, errors: Sequence[tuple[float, float]], told: Callable[[Group], str]) -> None:
        """Mark each block with its error, or the means and extremes of groups.

        Args:
            plot: to draw on.
            errors: from where to where, for each block.
            told: what a pointer finds at a block, besides its name.
        """
        if not self.single:
            plot.envelope((group.start_s, group.end_s, group.low, group.high) for group in self)
            plot.line((group.middle_s, group.mean) for group in self)
            return
        plot.whiskers((group.middle_s, *error) for group, error in zip(self, errors, strict=True))
        for group in self:
            title = f"{group.name}\n{told(group)}"
            plot.mark(group.middle_s, group.mean, title, crossed=not group.blocks[0].accepted)


def aborted_s(run: Run) -> list[float]:
    """The middles of the light of the blocks that were aborted."""
    return [block.start_s + run.block_s / 2 for block in run.done if not block.accepted]
