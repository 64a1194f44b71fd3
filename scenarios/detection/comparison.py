"""All detectors on the same links, at the same false-alarm rate, against attacks they were trained on and attacks they were not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships none

from nodes.qml.duel import Estimate
from scenarios.detection.detectors import DETECTORS, area_under_curve, threshold
from scenarios.detection.features import Observation, observed
from scenarios.detection.links import ATTACKS, QUIET, Attack, Watch, watch
from scenarios.report.wilson import wilson

ALPHA = 0.01
"""False alarms per honest block, for all detectors."""

SEQUENTIAL = "sequential"
"""The alarm that ships, in the table."""

HONEST, KNOWN, HELD_OUT = "honest", "known", "held out"
"""The groups of blocks that every detector has a row for; `invisible`, families and shares have rows as well."""


@dataclass(frozen=True)
class Row:
    """One detector on one group of blocks.

    Attributes:
        detector: its name.
        inputs: how many it has, in words; empty for a rule, "all" for the sequential test, which reads every counter.
        kind: "rule", "classical", "quantum" or "sequential".
        group: "honest", "known", "held out", "invisible", a family's name, or a group and a share of the light.
        flagged: blocks.
        blocks: in all.
        rate: flagged over all: the false-alarm rate of honest blocks, else the detection rate.
        low: of its 95 % interval, as if blocks were independent (Wilson 1927).
        high: of it.
        over_seeds: mean over seeds with its 95 % interval (Student), which holds whatever blocks of a link share.
        auc: area under the curve against honest blocks, mean over seeds; NaN where there is no score or nothing to compare.
        caught: runs with a flagged block under attack.
        runs: in all; honest ones have none.
        delay_blocks: blocks from Eve's first to the first that is flagged, that one counted, mean over the runs caught.
    """

    detector: str
    inputs: str
    kind: str
    group: str
    flagged: int
    blocks: int
    rate: float
    low: float
    high: float
    over_seeds: Estimate
    auc: Estimate
    caught: int
    runs: int
    delay_blocks: float


@dataclass(frozen=True)
class Comparison:
    """What came of it.

    Attributes:
        alpha: false alarms per block that every detector was set to.
        seeds: one repetition each: its own links, training and thresholds.
        rows: by detector, then by group.
        quantum_gain: detection rate on held-out attacks, best quantum model less best classical model, seed by seed.
        best_quantum: its name and inputs.
        best_classical: likewise.
        best: of all, the sequential test and the rules included.
    """

    alpha: float
    seeds: tuple[int, ...]
    rows: tuple[Row, ...]
    quantum_gain: Estimate
    best_quantum: str
    best_classical: str
    best: str

    def row(self, detector: str, group: str, inputs: str = "") -> Row:
        """One row.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if (row.detector, row.group) == (detector, group) and inputs in ("", row.inputs):
                return row
        raise KeyError(f"no row of {detector!r} ({inputs or 'any'} inputs) on {group!r}")

    def sentence(self) -> str:
        """Who wins, in a few words."""
        gain = self.quantum_gain
        if gain.low > 0:
            verdict = f"{self.best_quantum} detects more than {self.best_classical}"
        elif gain.high < 0:
            verdict = f"{self.best_quantum} detects less than {self.best_classical}"
        else:
            verdict = f"{self.best_quantum} and {self.best_classical} cannot be told apart"
        return (
            f"At {self.alpha:.0%} false alarms a block, on attacks never seen in training: {verdict} "
            f"({gain.mean:+.1%}, {gain.low:+.1%} to {gain.high:+.1%}). Most is detected by {self.best}."
        )

    def as_rows(self) -> list[dict[str, str | int | float]]:
        """For a CSV file: one mapping a row, flat."""
        flat: list[dict[str, str | int | float]] = []
        for row in self.rows:
            cells = {
                field.name: getattr(row, field.name)
                for field in dataclasses.fields(row)
                if field.name not in ("over_seeds", "auc")
            }
            for name in ("over_seeds", "auc"):
                estimate = getattr(row, name)
                cells |= {
                    name: estimate.mean,
                    f"{name}_low": estimate.low,
                    f"{name}_high": estimate.high,
                }
            flat.append(cells)
        return flat


@dataclass(frozen=True)
class _Size:
    """How many links of each kind a repetition has."""

    shares: tuple[float, ...]
    training: int
    calibrating: int
    honest: int


_QUICK = _Size((0.05, 0.25), 4, 9, 6)
_FULL = _Size((0.025, 0.05, 0.1, 0.25, 1.0), 10, 25, 20)


@dataclass(frozen=True)
class _Judged:
    """What one detector said of one run."""

    detector: str
    inputs: str
    kind: str
    seed: int
    watch: Watch
    flags: NDArray[np.bool_]
    scores: NDArray[np.float64] | None


def compare(seeds: Sequence[int], quick: bool = False) -> Comparison:
    """Simulate links, train, set thresholds, and test; nothing is written.

    Every seed has its own links: some to train on (attacks of the known families, and none), honest ones to set the thresholds, and
    others to test on. Every attacked link of the test has another length, misalignment and drift.

    Args:
        seeds: at least two, for the intervals over seeds.
        quick: fewer links, and two shares of the light instead of five.

    Raises:
        ValueError: fewer than two seeds, or a negative one.
    """
    if len(seeds) < 2 or min(seeds) < 0:
        raise ValueError(f"got seeds {list(seeds)}; expected at least two, none negative")
    size = _QUICK if quick else _FULL
    with threadpool_limits(
        limits=1, user_api="blas"
    ):  # the matrices are small: threads would wait for each other
        judged = [said for seed in seeds for said in _repetition(seed, size)]
    rows = _rows(judged, size.shares)
    return _concluded(tuple(seeds), rows, judged)


def _repetition(seed: int, size: _Size) -> list[_Judged]:
    links, learning = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])

    def honest(count: int) -> list[Watch]:
        return [watch(None, 0.0, ALPHA, links) for _ in range(count)]

    def attacked(chosen: Sequence[Attack]) -> list[Watch]:
        return [
            watch(attack, share, ALPHA, links) for attack in chosen for share in _shares(attack, size.shares)
        ]

    train = _together(honest(size.training) + attacked([a for a in ATTACKS if a.role == KNOWN]))
    calibration = _together(honest(size.calibrating))
    tests = honest(size.honest) + attacked(ATTACKS)
    seen = [observed(test) for test in tests]
    judged = [
        _Judged(SEQUENTIAL, "all", SEQUENTIAL, seed, test, np.array(test.alarmed), None) for test in tests
    ]
    for detector in DETECTORS:
        score = detector.trained(train, learning)
        above = threshold(score(calibration), ALPHA)
        for test, blocks in zip(tests, seen, strict=True):
            scores = score(blocks)
            judged.append(
                _Judged(detector.name, detector.inputs, detector.kind, seed, test, scores > above, scores)
            )
    return judged


def _together(watches: Sequence[Watch]) -> Observation:
    parts = [observed(one) for one in watches]
    return Observation(
        *(
            np.concatenate([getattr(part, field.name) for part in parts])
            for field in dataclasses.fields(Observation)
        )
    )


def _shares(attack: Attack, shares: Sequence[float]) -> Sequence[float]:
    """What cannot be seen is tested at its strongest only."""
    return (1.0,) if attack.role == "invisible" else shares


def _groups(shares: Sequence[float]) -> list[tuple[str, list[tuple[str, float]]]]:
    """Names of groups, and the families and shares in them."""
    runs = [(attack, share) for attack in ATTACKS for share in _shares(attack, shares)]
    found: dict[str, list[tuple[str, float]]] = {}
    for name_of in (
        lambda attack, share: attack.role,  # noqa: ARG005  names of one kind go by less
        lambda attack, share: attack.name,  # noqa: ARG005  likewise
        lambda attack, share: f"{attack.role}, {share:.1%} of the light",
    ):
        for attack, share in runs:
            found.setdefault(name_of(attack, share), []).append((attack.name, share))
    return list(found.items())


def _rows(judged: Sequence[_Judged], shares: Sequence[float]) -> tuple[Row, ...]:
    rows = []
    for key in dict.fromkeys((said.detector, said.inputs, said.kind) for said in judged):
        mine = [said for said in judged if (said.detector, said.inputs, said.kind) == key]
        quiet = [(said, ~np.array(said.watch.attacked)) for said in mine]
        rows.append(_row(key, HONEST, quiet, []))
        for group, members in _groups(shares):
            hit = [
                (said, np.array(said.watch.attacked))
                for said in mine
                if said.watch.attack is not None and (said.watch.attack.name, said.watch.share) in members
            ]
            rows.append(_row(key, group, hit, quiet))
    return tuple(rows)


_Chosen = list[tuple[_Judged, NDArray[np.bool_]]]


def _row(key: tuple[str, str, str], group: str, chosen: _Chosen, honest: _Chosen) -> Row:
    flagged = sum(int(said.flags[where].sum()) for said, where in chosen)
    blocks = sum(int(where.sum()) for _, where in chosen)
    seeds = list(dict.fromkeys(said.seed for said, _ in chosen))
    delays = [
        int(np.argmax(said.flags[QUIET:])) + 1 for said, _ in chosen if honest and said.flags[QUIET:].any()
    ]
    low, high = wilson(flagged, blocks)
    return Row(
        *(key[0], key[1], key[2], group, flagged, blocks, flagged / blocks, low, high),
        over_seeds=Estimate.of(np.array([_rate(chosen, seed) for seed in seeds])),
        auc=Estimate.of(np.array([_area(chosen, honest, seed) for seed in seeds])),
        caught=len(delays),
        runs=len(chosen) if honest else 0,
        delay_blocks=float(np.mean(delays)) if delays else float("nan"),
    )


def _rate(chosen: _Chosen, seed: int) -> float:
    return float(np.mean(np.concatenate([said.flags[where] for said, where in chosen if said.seed == seed])))


def _area(chosen: _Chosen, honest: _Chosen, seed: int) -> float:
    def scores(of: _Chosen) -> list[NDArray[np.float64]]:
        return [said.scores[where] for said, where in of if said.seed == seed and said.scores is not None]

    quiet, hit = scores(honest), scores(chosen)
    return area_under_curve(np.concatenate(quiet), np.concatenate(hit)) if quiet and hit else float("nan")


def _concluded(seeds: tuple[int, ...], rows: tuple[Row, ...], judged: Sequence[_Judged]) -> Comparison:
    held_out = [row for row in rows if row.group == HELD_OUT]

    def best(*kinds: str) -> Row:
        return max((row for row in held_out if row.kind in kinds), key=lambda row: row.rate)

    def by_seed(row: Row) -> NDArray[np.float64]:
        mine = [
            (said, np.array(said.watch.attacked))
            for said in judged
            if (said.detector, said.inputs) == (row.detector, row.inputs)
            and said.watch.attack is not None
            and said.watch.attack.role == HELD_OUT
        ]
        return np.array([_rate(mine, seed) for seed in seeds])

    quantum, classical = best("quantum"), best("classical")
    return Comparison(
        ALPHA,
        seeds,
        rows,
        Estimate.of(by_seed(quantum) - by_seed(classical)),
        _called(quantum),
        _called(classical),
        _called(best("rule", "classical", "quantum", SEQUENTIAL)),
    )


def _called(row: Row) -> str:
    return f"{row.detector} ({row.inputs} inputs)" if row.inputs else row.detector
