"""`evelab reproduce detector`: detectors of an eavesdropper on held-out attacks, at one false-alarm rate."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nodes.qml.duel import Estimate
from scenarios.reproduction.charts import Curve, line_chart
from scenarios.reproduction.printed import WIDTH, folded
from scenarios.reproduction.study import Figure, Job, Part, Plan, Shown, Study, Table
from scenarios.reproduction.verdicts import share

if TYPE_CHECKING:  # a detector's libraries take seconds to import
    from scenarios.detection import Comparison
    from scenarios.detection.comparison import Row

GROUPS = ("honest", "known", "held out", "invisible")
_LIGHT = re.compile(r"held out, ([0-9.]+)% of the light")
_DRAWN = 8  # curves that a chart tells apart


def compared(seeds: Sequence[int], quick: bool) -> Comparison:
    """See `scenarios.detection.compare`."""
    from scenarios.detection import compare  # noqa: PLC0415  see above

    return compare(seeds, quick=quick)


def _jobs(plan: Plan) -> list[Job]:
    # Repetitions of another seed of the command share none of these.
    seeds = tuple(plan.seed * 1000 + number for number in range(plan.seeds))
    return [Job(compared, (seeds, not plan.full))]


def _found(plan: Plan, results: Sequence[Any]) -> Part:  # noqa: ARG001  the signature of every study
    (made,) = results
    rows: Sequence[Row] = made.rows
    keys = list(dict.fromkeys((row.detector, row.inputs, row.kind) for row in rows))
    cells = {(row.detector, row.inputs, row.kind, row.group): row for row in rows}

    def rate(key: tuple[str, str, str], group: str) -> str:
        row = cells.get((*key, group))
        return "–" if row is None else f"{100 * row.rate:.1f} [{100 * row.low:.1f}, {100 * row.high:.1f}]"

    flat = made.as_rows()
    shown = Shown(
        f"Blocks flagged, per cent, at {made.alpha:.0%} false alarms a block",
        (
            "detector",
            "inputs",
            "kind",
            "honest (false alarms)",
            "attacks trained on",
            "held-out attacks",
            "invisible attacks",
            "delay, blocks",
        ),
        tuple(
            (
                *key,
                *(rate(key, group) for group in GROUPS),
                _delay(cells.get((*key, "held out"))),
            )
            for key in keys
        ),
        "Intervals are Wilson's, as if blocks were independent. “Invisible” attacks leave nothing in the telemetry that a detector reads.",
    )
    title = "Held-out attacks detected, against the share of the light that Eve touches"
    curves = _curves(rows, keys)
    return Part(
        "Detectors of an eavesdropper",
        f"{len(made.seeds)} repetitions, each with its own links, training and thresholds. {made.sentence()}",
        tables=(Table("detectors", tuple(flat[0]), tuple(tuple(row.values()) for row in flat)),),
        figures=(
            Figure(
                "detectors",
                title,
                lambda width: line_chart(
                    width,
                    title,
                    "share of the light",
                    "blocks flagged",
                    curves,
                    (0.0, max(x for c in curves for x, _ in c.points)),
                    (0.0, 1.0),
                ),
                "Share of attacked blocks that are flagged, with Wilson's 95 % interval.",
            ),
        ),
        shown=(shown,),
        printed=_printed(made, keys, cells),
    )


def _delay(row: Row | None) -> str:
    return (
        "–" if row is None or not row.caught else f"{row.delay_blocks:.1f} ({row.caught} of {row.runs} runs)"
    )


def _curves(rows: Sequence[Row], keys: Sequence[tuple[str, str, str]]) -> list[Curve]:
    curves = []
    for detector, inputs, kind in keys:
        points: list[tuple[float, Estimate]] = []
        for row in rows:
            found = _LIGHT.fullmatch(row.group)
            if found and (row.detector, row.inputs, row.kind) == (detector, inputs, kind):
                points.append((float(found.group(1)) / 100.0, share(row.flagged, row.blocks)))
        if points:
            name = detector if inputs in ("", "all") else f"{detector}, {inputs} inputs"
            curves.append(Curve(name, sorted(points, key=lambda point: point[0])))
    held = {curve.name: curve.points[-1][1].mean for curve in curves}
    best = sorted(held, key=lambda name: -held[name])[:_DRAWN]
    return [curve for curve in curves if curve.name in best]


def _printed(made: Comparison, keys: Sequence[tuple[str, str, str]], cells: dict[Any, Row]) -> str:
    def rate(key: tuple[str, str, str], group: str) -> str:
        row = cells.get((*key, group))
        return "-" if row is None else f"{100 * row.rate:.1f}"

    table = folded(
        ("detector", "inputs", "kind", "honest", "known", "held out", "invisible"),
        [(*key, *(rate(key, group) for group in GROUPS)) for key in keys],
        (16, 7, 11, 7, 7, 9, 10),
    )
    return "\n".join(
        [
            f"blocks flagged, per cent, at {made.alpha:.0%} false alarms a block",
            "",
            table,
            "",
            *textwrap.wrap(made.sentence(), WIDTH),
        ]
    )


STUDIES = (Study("detectors", _jobs, _found),)
