"""What a claim of the paper comes to: trials against what was printed, and the rule that makes a verdict of them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np

from nodes.qml.duel import Estimate
from scenarios.report.wilson import wilson

Verdict: TypeAlias = Literal["holds", "holds under stated conditions", "does not hold", "cannot be tested"]

RULE = (
    "A trial's interval lies inside the range that counts as the printed value (yes), outside it (no), or across an end of it "
    "(open). All yes: the claim holds. Some yes: it holds under the conditions of those trials. None yes: it does not hold if "
    "the leading trial, the first, says no; otherwise it cannot be tested, by these means or with so few seeds."
)


@dataclasses.dataclass(frozen=True)
class Trial:
    """One measurement that bears on a claim.

    Attributes:
        condition: under which it was made.
        estimate: what was measured.
        low: least value that counts as what the paper says.
        high: greatest one.
        unit: "%" for a share that is shown as per cent, otherwise the unit's own name, or "".
    """

    condition: str
    estimate: Estimate
    low: float = -math.inf
    high: float = math.inf
    unit: str = "%"

    @property
    def outcome(self) -> Literal["yes", "no", "open"]:
        """Whether it agrees with the paper: only if the whole interval does."""
        e = self.estimate
        if math.isnan(e.mean):
            return "open"
        if e.low >= self.low and e.high <= self.high:
            return "yes"
        return "no" if e.high < self.low or e.low > self.high else "open"


@dataclasses.dataclass(frozen=True)
class Claim:
    """Something the paper says, and what was found.

    Attributes:
        id: short name.
        where: in the paper.
        says: in the paper's words or numbers.
        printed: the printed value, in a few words.
        trials: those that bear on it, the leading one first, which has the condition that serves the claim best or is the paper's own;
            none if it cannot be tested at all.
        why: one plain sentence.
        shows: what stands for our value, where one trial's does not say it.
    """

    id: str
    where: str
    says: str
    printed: str
    trials: tuple[Trial, ...]
    why: str
    shows: str = ""

    @property
    def verdict(self) -> Verdict:
        """By `RULE`."""
        outcomes = {trial.outcome for trial in self.trials}
        if outcomes == {"yes"}:
            return "holds"
        if "yes" in outcomes:
            return "holds under stated conditions"
        return "does not hold" if self.trials and self.trials[0].outcome == "no" else "cannot be tested"

    @property
    def conditions(self) -> tuple[str, ...]:
        """Those under which it was seen to hold."""
        return tuple(trial.condition for trial in self.trials if trial.outcome == "yes")

    @property
    def ours(self) -> str:
        """The leading trial, spelled."""
        if self.shows:
            return self.shows
        return spelled(self.trials[0].estimate, self.trials[0].unit) if self.trials else "–"


def about(value: float, within: float = 0.02) -> tuple[float, float]:
    """The range that counts as "about": two points of accuracy to either side unless said otherwise."""
    return value - within, value + within


def exactly(value: float) -> Estimate:
    """What is computed, and not estimated."""
    return Estimate(float(value), float(value), float(value))


def mean(values: Iterable[float]) -> Estimate:
    """A mean over seeds with its 95 % interval (Student's t); values that are NaN are left out."""
    return Estimate.of(np.fromiter(values, dtype=np.float64))


def share(count: int, trials: int) -> Estimate:
    """A share that was counted, with its 95 % interval (Wilson); NaN of no trials."""
    if not trials:
        return Estimate(math.nan, math.nan, math.nan)
    return Estimate(count / trials, *wilson(count, trials))


def spelled(estimate: Estimate, unit: str) -> str:
    """`92.5 [91.6, 93.3] %`, without the interval where nothing was estimated."""
    if math.isnan(estimate.mean):
        return "not told"
    scale = 100.0 if unit == "%" else 1.0
    spell = "{:.1f}".format if unit == "%" else _figure
    middle, low, high = (spell(scale * value) for value in (estimate.mean, estimate.low, estimate.high))
    interval = "" if low == high else f" [{low}, {high}]"
    return f"{middle}{interval} {unit}".strip()


def _figure(value: float) -> str:
    """Three digits, with thousands where there are many."""
    if value == 0.0 or 1e-3 <= abs(value) < 1e3:
        return f"{value:.3g}"
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.1e}"
