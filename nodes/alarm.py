"""An alarm that reads telemetry only: a sequential test for change, with a stated false-alarm rate.

What is tested. Each counter of the telemetry has a reference interval [low, high]. The honest link's null hypothesis
is composite and says nothing of how the rate moves inside: given everything before it, each trial of the counter
comes true with a probability within [low, high]. Under it, for any tilt λ > 0, the likelihood ratio of a block with K
events in N trials,

    L(λ) = exp(λK) / (1 − high + high·exp(λ))^N,

has a mean of at most 1 given the past, because a trial's factor has a mean that grows with its probability and is 1
at `high`; λ < 0 does the same for `low`. A Shiryaev–Roberts e-detector R ← L(λ)·(1 + R) adds up the evidence for a
change that began at any earlier block, and a mixture over a grid of λ adapts to a change of unknown size
(Shin, Ramdas, Rinaldo 2023, "E-detectors", arXiv 2203.03532; mixtures of exponential supermartingales: Howard,
Ramdas, McAuliffe, Sekhon 2021). An alarm is raised when the mixture reaches the inverse of its share of the rate.

What is guaranteed, with α = `false_alarm_rate` and N the block of the first alarm, while the null holds, whatever the
counters' dependence on each other and with no approximation:

    E[N] ≥ 1/α   and   P(N ≤ T) ≤ αT for every T.

For a bound ε on a whole run of T blocks, set α = ε/T. Why: R grows by at most 1 a block in the mean, so that
optional stopping bounds the expected value of R at N by the number of blocks watched. A reference that is learned
counts too. Its confidence interval, for the mean rate over the calibration's independent trials, fails with
probability δ = (the counter's rate)·`calibration_blocks`: exactly what the blocks of the calibration, in which no
alarm is possible, leave unspent. So neither statement needs a proviso about the calibration. Later alarms: unless a
calibration failed (total probability at most α·`calibration_blocks`), their expected number in T blocks is at most αT.

What is not. The counts of a link vary by more than a binomial's, because the link drifts. That is what `tolerance` is
for: by the argument above no movement inside the interval is evidence, not even an adversary's; movement beyond it
is, even if the weather did it. Clustered events (afterpulses) break "given everything before it". A tolerance of at
least the afterpulse probability a makes good for it at the low side, at the high side for λ ≤ log((tolerance + a) /
(a(1 + tolerance))); larger λ matter only where blocks have few events. Finally, what is wrong already while the
reference is learned is learned as honest: only a known reference sees that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nodes.telemetry import Telemetry

Change = Literal["above", "below"]

_TILTS = np.concatenate([0.5 ** np.arange(17, 0, -1), np.arange(1.0, 22.0)])
"""Grid of |λ|, in log odds: 2^-17, …, 1/4, 1/2, then 1, 2, …, 21.

A tilt that is off by a factor 4/3 or 2/3, the worst among the small ones, keeps 8/9 of the information. Among the
large ones, where rates change by factors, steps must be even.
"""


@dataclass(frozen=True)
class AlarmParameters:
    """How an alarm watches.

    Attributes:
        false_alarm_rate: expected false alarms per block, all counters together; its inverse bounds the expected
            number of blocks to the first one from below.
        calibration_blocks: observed blocks from which a counter's reference is learned.
        tolerance: relative change of a rate that is no alarm; widens what was learned.
        tolerances: counters with a tolerance of their own.
        references: counters whose honest rate is known, → (low, high), each between 0 and 1. They are watched from
            their first block, against this interval as it stands. (0, p) means "at most p".

    Raises:
        ValueError: a parameter that cannot be.
    """

    false_alarm_rate: float = 1e-6
    calibration_blocks: int = 20
    tolerance: float = 0.05
    tolerances: Mapping[str, float] = field(default_factory=dict)
    references: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 < self.false_alarm_rate < 1:
            raise ValueError(
                f"false_alarm_rate is {self.false_alarm_rate}; expected between 0 and 1 per block"
            )
        if self.calibration_blocks < 1:
            raise ValueError(f"calibration_blocks is {self.calibration_blocks}; expected at least 1")
        if self.false_alarm_rate * self.calibration_blocks >= 1:
            raise ValueError(
                f"a calibration of {self.calibration_blocks} blocks at a false_alarm_rate of {self.false_alarm_rate}"
                " outlasts the run to a false alarm; expected a product below 1"
            )
        for name, tolerance in {"all counters": self.tolerance, **self.tolerances}.items():
            if not (tolerance >= 0 and math.isfinite(tolerance)):
                raise ValueError(f"tolerance of {name} is {tolerance}; expected a finite number, at least 0")
        for name, (low, high) in self.references.items():
            # A rate of exactly 0 or 1 is refused by the first event against it: that is no matter for a test.
            if not (0 <= low <= high <= 1 and high > 0 and low < 1):
                raise ValueError(
                    f"reference of {name!r} is {low} to {high}; expected 0 ≤ low ≤ high ≤ 1, high > 0, low < 1"
                )


@dataclass(frozen=True)
class Alarm:
    """A counter has left its reference.

    Attributes:
        block: in which block the evidence sufficed.
        t_s: its time.
        counter: name.
        change: to which side of the reference.
        observed_rate: events per trial since the change began, as far as the evidence tells when it did.
        observed_blocks: over how many blocks that is (weighted by the evidence, thus not a whole number).
        reference: (low, high), the honest rates, tolerance included.
        log10_e_value: decimal logarithm of the e-detector. It has reached the inverse of the side's rate.
    """

    block: int
    t_s: float
    counter: str
    change: Change
    observed_rate: float
    observed_blocks: float
    reference: tuple[float, float]
    log10_e_value: float


@dataclass(frozen=True)
class Return:
    """A counter is nearer to the honest side of the bound that it had crossed than to what raised the alarm.

    Attributes:
        block: in which block the evidence sufficed.
        t_s: its time.
        alarm: that stood until now.
    """

    block: int
    t_s: float
    alarm: Alarm


class SequentialAlarm:
    """Watches a link's counters, block by block.

    A counter that has raised an alarm raises no other until it has returned: until the same kind of test has rejected
    "the rate is still as far beyond the bound that was crossed as halfway to what raised the alarm", at the same rate. (Halfway is the
    geometric mean above a bound, the arithmetic one below it: a bound of 1e-9 takes 10^10 clean trials to be believed again,
    halfway to a photocurrent in each gate some millions.) So a change that persists for T
    blocks raises one alarm, and in expectation at most αT more. After the return the counter is watched anew,
    with the same reference: it is never learned again, or a patient Eve could teach it.

    The split of the rate: the counters in the first block that names any share 1/2 of it in equal parts, those that
    newly appear in a later one share 1/6, then 1/12, …, 1/(g(g + 1)) for the g-th group; within a counter, its two
    sides halve its part, unless one of them cannot be crossed (low = 0 or high = 1).

    Blocks are taken in the order in which they come; their numbers are only reported. A counter that a block
    leaves out, or that has no trials in it, was not observed: nothing moves.

    Args:
        parameters: how to watch.
    """

    def __init__(self, parameters: AlarmParameters | None = None) -> None:
        self.parameters = AlarmParameters() if parameters is None else parameters
        self._counters: dict[str, _Counter] = {}
        self._groups = 0
        self._returns: list[Return] = []

    def observe(self, telemetry: Telemetry) -> tuple[Alarm, ...]:
        """Take in a block; the alarms that it raises, by name of the counter."""
        self._admit(sorted(telemetry.counts.keys() - self._counters.keys()))
        alarms = []
        for name, (events, trials) in sorted(telemetry.counts.items()):
            if not trials:
                continue
            news = self._counters[name].observe(telemetry.block, telemetry.t_s, int(events), int(trials))
            if isinstance(news, Alarm):
                alarms.append(news)
            elif news is not None:
                self._returns.append(news)
        return tuple(alarms)

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """The alarms whose counters have not returned, by name of the counter."""
        counters = sorted(self._counters.items())
        return tuple(counter.standing for _, counter in counters if counter.standing is not None)

    @property
    def returns(self) -> tuple[Return, ...]:
        """Every return so far, in the order in which they were noticed."""
        return tuple(self._returns)

    def reference(self, counter: str) -> tuple[float, float] | None:
        """The honest rates of a counter, (low, high); None before its calibration is over."""
        known = self._counters.get(counter)
        return None if known is None else known.reference

    def rate(self, counter: str) -> float:
        """A counter's part of the false-alarm rate, per block; 0 for one not seen yet."""
        known = self._counters.get(counter)
        return 0.0 if known is None else known.rate

    def _admit(self, names: Sequence[str]) -> None:
        """Give counters that are new their part of the rate."""
        if not names:
            return
        self._groups += 1
        p = self.parameters
        rate = p.false_alarm_rate / (self._groups * (self._groups + 1) * len(names))
        for name in names:
            self._counters[name] = _Counter(
                name, rate, p.calibration_blocks, p.tolerances.get(name, p.tolerance), p.references.get(name)
            )


class _Counter:
    """One counter's life: calibration, watch, standing alarm, watch again."""

    def __init__(
        self,
        name: str,
        rate: float,
        calibration_blocks: int,
        tolerance: float,
        reference: tuple[float, float] | None,
    ) -> None:
        self.name = name
        self.rate = rate
        self.reference = reference
        self.standing: Alarm | None = None
        self._tolerance = tolerance
        self._failure = rate * calibration_blocks
        self._blocks_to_learn = calibration_blocks
        self._events = self._trials = 0
        self._test: _EDetector | None = None if reference is None else self._watch(reference)

    def observe(self, block: int, t_s: float, events: int, trials: int) -> Alarm | Return | None:
        """Take in a block's count; trials > 0."""
        if self._test is None or self.reference is None:
            self._learn(events, trials)
            return None
        crossed = self._test.observe(events, trials)
        if crossed is None:
            return None
        if self.standing is not None:
            returned = Return(block, t_s, self.standing)
            self.standing, self._test = None, self._watch(self.reference)
            return returned
        self.standing = Alarm(
            block,
            t_s,
            self.name,
            crossed.null.against,
            crossed.rate,
            crossed.blocks,
            self.reference,
            crossed.log_value / math.log(10),
        )
        self._test = _EDetector([_return_from(crossed)], self.rate)
        return self.standing

    def _learn(self, events: int, trials: int) -> None:
        self._events += events
        self._trials += trials
        self._blocks_to_learn -= 1
        if not self._blocks_to_learn:
            low, high = confidence_interval(self._events, self._trials, self._failure)
            self.reference = max(0.0, low * (1 - self._tolerance)), min(1.0, high * (1 + self._tolerance))
            self._test = self._watch(self.reference)

    def _watch(self, reference: tuple[float, float]) -> _EDetector:
        low, high = reference
        nulls = []
        if high < 1:
            nulls.append(_Null(high, "above"))
        if low > 0:
            nulls.append(_Null(low, "below"))
        return _EDetector(nulls, self.rate)


@dataclass(frozen=True)
class _Null:
    """A one-sided hypothesis: no trial's probability is beyond the bound.

    Attributes:
        bound: of the probability.
        against: the side of it on which the alternative lies.
    """

    bound: float
    against: Change


@dataclass(frozen=True)
class _Crossing:
    """A null is rejected: the e-detector's logarithm, and what was counted since the change."""

    null: _Null
    log_value: float
    rate: float
    blocks: float


def _return_from(crossed: _Crossing) -> _Null:
    """What is to be rejected before an alarm ends: that the rate is still halfway, or further, to what raised it."""
    bound = crossed.null.bound
    if crossed.null.against == "above":
        return _Null(max(bound, math.sqrt(bound * crossed.rate)), "below")
    return _Null(min(bound, (bound + crossed.rate) / 2.0), "above")


class _EDetector:
    """Mixtures of Shiryaev–Roberts e-detectors, one mixture for each of some nulls, which share a rate equally.

    Args:
        nulls: at most one for each side.
        rate: expected number of false rejections per block, all nulls together.
    """

    def __init__(self, nulls: Sequence[_Null], rate: float) -> None:
        self._nulls = nulls
        self._log_threshold = math.log(max(len(nulls), 1)) - math.log(rate)
        shape = (len(nulls), len(_TILTS))
        self._log_r = np.full(shape, -np.inf)
        # Events, trials and blocks since the change, averaged over when it may have begun.
        self._since = np.zeros((3, *shape))
        gains = [_log_gains(null) for null in nulls]
        self._event_gain = np.array([gain for gain, _ in gains]).reshape(shape)
        self._other_gain = np.array([gain for _, gain in gains]).reshape(shape)

    def observe(self, events: int, trials: int) -> _Crossing | None:
        """Take in a block; the null that it rejects, if any: of two, the one with more against it."""
        if not self._nulls:
            return None
        # R ← L(1 + R). The change began before this block with odds R to 1.
        grown = np.logaddexp(0.0, self._log_r)
        self._since *= np.exp(self._log_r - grown)
        self._since += np.array([events, trials, 1.0])[:, np.newaxis, np.newaxis]
        self._log_r = grown + float(events) * self._event_gain + float(trials - events) * self._other_gain
        values = np.logaddexp.reduce(self._log_r, axis=1) - math.log(len(_TILTS))
        row = int(np.argmax(values))
        if values[row] < self._log_threshold:
            return None
        since_events, since_trials, blocks = self._since[:, row, np.argmax(self._log_r[row])]
        return _Crossing(
            self._nulls[row], float(values[row]), float(since_events / since_trials), float(blocks)
        )


def _log_gains(null: _Null) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What an event and a trial without one add to log L. Two float64[tilts], natural logarithms.

    With odds q/(1 − q) = exp(λ)·bound/(1 − bound): log(q/bound) and log((1 − q)/(1 − bound)). The rarer outcome is
    the one that is tilted, so that a bound near 1 loses no digits: 1e12 trials would multiply them.
    """
    sign = 1.0 if null.against == "above" else -1.0
    if null.bound > 0.5:
        normaliser = np.log1p((1 - null.bound) * np.expm1(-sign * _TILTS))
        return -normaliser, -sign * _TILTS - normaliser
    normaliser = np.log1p(null.bound * np.expm1(sign * _TILTS))
    return sign * _TILTS - normaliser, -normaliser


def confidence_interval(events: int, trials: int, failure: float) -> tuple[float, float]:
    """An interval for the mean probability of independent trials, which need not be alike.

    Chernoff's bound inverted: all p with trials·KL(events/trials ‖ p) ≤ log(2/failure) (Hoeffding 1963, theorem 1,
    equation 2.1, which holds for trials with different probabilities and their mean p).

    Args:
        events: how many came true.
        trials: out of how many, at least 1.
        failure: probability, at most, that the interval misses the mean; half of it on each side.

    Returns:
        (low, high); low is 0 without events, high is 1 if all came true.

    Raises:
        ValueError: counts or a probability that cannot be.
    """
    if not 0 <= events <= trials or not trials or not 0 < failure < 1:
        raise ValueError(
            f"got {events} events of {trials} trials and a failure probability of {failure};"
            " expected 0 ≤ events ≤ trials, trials > 0 and 0 < failure < 1"
        )
    divergence = math.log(2 / failure) / trials
    observed = events / trials
    rest = (trials - events) / trials
    low = _furthest(observed, rest, 0.0, divergence) if events else 0.0
    high = _furthest(observed, rest, 1.0, divergence) if events < trials else 1.0
    return low, high


def _furthest(observed: float, rest: float, towards: float, divergence: float) -> float:
    """The probability, from `observed` towards 0 or 1, at which the divergence is reached, rounded outwards."""
    inside, outside = observed, towards
    while (middle := (inside + outside) / 2) not in {inside, outside}:
        if _divergence(observed, rest, middle) <= divergence:
            inside = middle
        else:
            outside = middle
    return outside


def _divergence(observed: float, rest: float, p: float) -> float:
    """KL(observed ‖ p) of Bernoulli trials in nats, exact also where the two nearly agree; 0 < p < 1.

    Args:
        observed: frequency of events.
        rest: 1 − observed, with its own digits.
        p: probability.
    """
    total = 0.0
    # The terms' linear parts cancel: taking them out leaves no difference of large numbers.
    for share, change in ((observed, p - observed), (rest, observed - p)):
        if share > 0:
            relative = change / share
            total += share * (relative - math.log1p(relative)) if relative > -1 else math.inf
        else:
            total += change
    return total
