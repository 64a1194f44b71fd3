"""`evelab reproduce attacks`: every duel of an attack and a defence, fought over the same seeds."""

from __future__ import annotations

import dataclasses
import itertools
import math
import textwrap
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from nodes.qml.duel import Duel, Estimate, Outcome, Record, fought
from scenarios.reproduction.experiment import stream
from scenarios.reproduction.printed import WIDTH, folded
from scenarios.reproduction.study import Job, Part, Plan, Shown, Study, Table

Source = Literal["training", "queries"]
_TITLES: dict[Source, str] = {
    "training": "Attacks on the training data",
    "queries": "Attacks that only ask",
}
ALONE = "none"
"""The name of no defence."""


def duels_of(source: Source) -> tuple[Duel, ...]:
    """Those of a source."""
    if source == "training":
        from nodes.qml.training_duels import TRAINING_DUELS  # noqa: PLC0415  each process imports what it fights

        return tuple(TRAINING_DUELS)
    from nodes.qml.query_duels import QUERY_DUELS  # noqa: PLC0415  likewise

    return tuple(QUERY_DUELS)


def bouts(source: Source, seed: int, number: int) -> list[tuple[float, float, float, float]]:
    """One bout of every duel of a source, all on the same data: the four numbers of each `Outcome`."""
    return [
        dataclasses.astuple(duel.bout(stream(seed, f"duels/{source}", number))) for duel in duels_of(source)
    ]


def judged(benefit: Estimate) -> str:
    """What may be said of a defence: something only where the interval leaves 0 out."""
    if math.isnan(benefit.mean):
        return "cannot be told"
    if benefit.low > 0.0:
        return "benefit"
    return "makes it worse" if benefit.high < 0.0 else "no benefit shown"


def charged(cost: Estimate) -> str:
    """What it costs honest users, likewise."""
    if math.isnan(cost.mean):
        return "cannot be told"
    if cost.low > 0.0:
        return "cost"
    return "gain" if cost.high < 0.0 else "no cost shown"


class _Replay:
    """Bouts that were fought elsewhere, one after the other."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self._left = iter(outcomes)

    def __call__(self, _: np.random.Generator) -> Outcome:
        return next(self._left)


def records(source: Source, results: Sequence[Sequence[Sequence[float]]]) -> list[Record]:
    """What the bouts, one list for each number, come to."""
    found = []
    for place, duel in enumerate(duels_of(source)):
        replayed = dataclasses.replace(duel, bout=_Replay([Outcome(*result[place]) for result in results]))
        record = fought(replayed, [np.random.default_rng(0)] * len(results))  # the outcomes are there already
        found.append(dataclasses.replace(record, duel=duel))
    return found


def _study(source: Source) -> Study:
    def jobs(plan: Plan) -> list[Job]:
        return [Job(bouts, (source, plan.seed, number)) for number in range(plan.seeds)]

    def found(plan: Plan, results: Sequence[Any]) -> Part:
        return _part(source, plan, records(source, results), results)

    return Study(source, jobs, found)


def _part(source: Source, plan: Plan, fought_out: Sequence[Record], results: Sequence[Any]) -> Part:
    pairs = sum(record.duel.defence != ALONE for record in fought_out)
    shown = tuple(
        Shown(
            attack,
            ("defence", "harm", "harm left", "benefit", "", "cost to honest users", "", "notes"),
            tuple(
                (
                    record.duel.defence,
                    _interval(record.harm),
                    "–" if record.duel.defence == ALONE else _interval(record.harm_defended),
                    "–" if record.duel.defence == ALONE else _interval(record.benefit),
                    "" if record.duel.defence == ALONE else judged(record.benefit),
                    "–" if record.duel.defence == ALONE else _interval(record.cost),
                    "" if record.duel.defence == ALONE else charged(record.cost),
                    record.duel.notes,
                )
                for record in mine
            ),
            f"Harm: {mine[0].duel.harm}.",
        )
        for attack, mine in (
            (attack, list(group))
            for attack, group in itertools.groupby(
                sorted(fought_out, key=_order(fought_out)), key=lambda record: record.duel.attack
            )
        )
    )
    return Part(
        _TITLES[source],
        f"{plan.seeds} bouts of each pair, every pair on the same data, so that differences are paired; 95 % intervals (Student's t). "
        "An interval that includes 0 shows no benefit, and no cost. Of so many intervals one in twenty misses by chance.",
        tables=(
            Table(
                f"duels-{source}",
                ("attack", "defence", "harm", "quantity", "mean", "low", "high", "judged"),
                tuple(row for record in fought_out for row in _rows(record)),
            ),
            Table(
                f"bouts-{source}",
                ("attack", "defence", "bout", "harm", "harm_defended", "benign", "benign_defended"),
                tuple(
                    (record.duel.attack, record.duel.defence, number, *result[place])
                    for place, record in enumerate(fought_out)
                    for number, result in enumerate(results)
                ),
            ),
        ),
        shown=shown,
        printed="\n".join(
            [
                f"{_TITLES[source]}: {pairs} pairs, {plan.seeds} bouts each; ± half of a 95 % interval",
                "",
                _printed(fought_out),
            ]
        ),
    )


def _order(fought_out: Sequence[Record]) -> Any:
    """Attacks in the order in which they first come, the attack alone before its defences."""
    first: dict[str, int] = {}
    for place, record in enumerate(fought_out):
        first.setdefault(record.duel.attack, place)
    return lambda record: (first[record.duel.attack], record.duel.defence != ALONE)


def _rows(record: Record) -> list[tuple[str | float, ...]]:
    words = {"benefit": judged(record.benefit), "cost": charged(record.cost)}
    if record.duel.defence == ALONE:
        words = {}
    return [
        (
            record.duel.attack,
            record.duel.defence,
            record.duel.harm,
            name,
            e.mean,
            e.low,
            e.high,
            words.get(name, ""),
        )
        for name, e in (
            ("harm", record.harm),
            ("harm_defended", record.harm_defended),
            ("benefit", record.benefit),
            ("cost", record.cost),
        )
    ]


def _interval(e: Estimate) -> str:
    if math.isnan(e.mean):
        return "not told"
    return f"{e.mean + 0.0:.3f} ± {(e.high - e.low) / 2.0:.3f}"


def _short(e: Estimate) -> str:
    if math.isnan(e.mean):
        return "not told"
    return f"{e.mean:+.3f} ±{(e.high - e.low) / 2.0:.3f}"


def _printed(fought_out: Sequence[Record]) -> str:
    """Attack by attack: what it does alone, then what each defence leaves of it."""
    blocks = []
    ordered = sorted(fought_out, key=_order(fought_out))
    for attack, group in itertools.groupby(ordered, key=lambda record: record.duel.attack):
        mine = list(group)
        head = textwrap.wrap(f"{attack}: {mine[0].harm.mean:.3f} {mine[0].duel.harm}", WIDTH)
        rows = [
            (
                record.duel.defence,
                f"{record.harm_defended.mean:.3f}",
                _short(record.benefit),
                judged(record.benefit),
                _short(record.cost),
            )
            for record in mine
            if record.duel.defence != ALONE
        ]
        heads = ("  defence", "left", "benefit", "", "benign cost")
        table = (
            [folded(heads, [(f"  {row[0]}", *row[1:]) for row in rows], (24, 6, 13, 16, 13))] if rows else []
        )
        blocks.append("\n".join([*head, *table]))
    return "\n\n".join(blocks)


STUDIES = (_study("training"), _study("queries"))
