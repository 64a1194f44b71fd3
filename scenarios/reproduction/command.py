"""`evelab reproduce`: from a request to a folder of numbers, and what is printed of it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from netsim.errors import ScenarioError
from scenarios.report.charts import WIDE
from scenarios.reproduction import folder as folders
from scenarios.reproduction.charts import standalone
from scenarios.reproduction.page import page
from scenarios.reproduction.printed import claims_table
from scenarios.reproduction.study import Part, Plan, Study, Table
from scenarios.reproduction.verdicts import RULE, Claim, Trial
from scenarios.reproduction.workers import Workers
from scenarios.results import PACKAGES

RESULTS = Path("results/reproduction")
"""Where reproductions are written, seen from the working directory."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """Something that can be reproduced.

    Attributes:
        name: on the command line.
        title: of its report.
        lead: below the title.
        studies: makes them; imports what they need.
        seeds: means are over so many, quick and full.
    """

    name: str
    title: str
    lead: str
    studies: Callable[[], Sequence[Study]]
    seeds: tuple[int, int]


def _paper() -> Sequence[Study]:
    from scenarios.reproduction import paper  # noqa: PLC0415  studies import what only they need

    return paper.STUDIES


def _attacks() -> Sequence[Study]:
    from scenarios.reproduction import duels  # noqa: PLC0415  as above

    return duels.STUDIES


def _detector() -> Sequence[Study]:
    from scenarios.reproduction import detector  # noqa: PLC0415  as above

    return detector.STUDIES


SUBJECTS = {
    one.name: one
    for one in (
        Subject(
            "paper",
            "The paper, measured",
            "Every claim of “Secure Quantum Machine Learning via Quantum Cryptography” (2025) beside what this range measures.",
            _paper,
            (40, 100),
        ),
        Subject(
            "attacks",
            "Attacks and defences on the model",
            "Every attack against every defence that is meant for it: what the attack does, what the defence takes from it, and what "
            "it costs honest users.",
            _attacks,
            (8, 40),
        ),
        Subject(
            "detector",
            "Detectors of an eavesdropper",
            "Classifiers on the link's telemetry, held to one false-alarm rate, on attacks they were not trained on.",
            _detector,
            (5, 8),
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class Reproduction:
    """What came out.

    Attributes:
        subject: what was reproduced.
        plan: how much was measured.
        parts: what was found.
        out: its folder; None if it was not written.
        wall_s: how long it took.
    """

    subject: Subject
    plan: Plan
    parts: tuple[Part, ...]
    out: Path | None
    wall_s: float

    @property
    def claims(self) -> tuple[Claim, ...]:
        """All of them, in order."""
        return tuple(claim for part in self.parts for claim in part.claims)

    def printed(self) -> str:
        """For a terminal of 80 columns."""
        own = [part.printed for part in self.parts if part.printed]
        tables = [claims_table(self.claims)] if self.claims else []
        return "\n\n".join([*tables, *own])

    def as_data(self) -> dict[str, Any]:
        """As `--json` prints it: what is infinite or not a number is null."""
        return {
            "reproduction": self.subject.name,
            "mode": _mode(self.plan),
            "seed": self.plan.seed,
            "seeds": self.plan.seeds,
            "wall_s": round(self.wall_s, 1),
            "claims": [_claim_data(claim) for claim in self.claims],
            "tables": {
                table.name: [dict(zip(table.columns, map(_plain, row), strict=True)) for row in table.rows]
                for table in summaries(self.parts)
            },
            "out": None if self.out is None else str(self.out),
        }


def reproduce(
    what: str = "paper",
    *,
    full: bool = False,
    seed: int = 1,
    seeds: int | None = None,
    out: Path | None = None,
    write: bool = True,
    workers: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Reproduction:
    """Measure, judge and write.

    Args:
        what: one of `SUBJECTS`.
        full: whether to take the time for more seeds and points.
        seed: of everything random.
        seeds: data sets or bouts for each mean; by default what the mode has.
        out: the folder, new, empty, or an earlier reproduction's; by default results/reproduction/<what>.
        write: whether to write it at all.
        workers: processes; by default one a core. The numbers do not depend on it.
        say: told of progress, a line at a time.

    Raises:
        ScenarioError: the call is wrong; nothing has run.
        OSError: the folder could not be written; what was there is as it was.
    """
    began = time.perf_counter()
    subject = SUBJECTS.get(what)
    faults = []
    if subject is None:
        faults.append(f"got {what!r}, expected one of {', '.join(SUBJECTS)}")
    if seed < 0:
        faults.append(f"--seed: got {seed}, expected a whole number, at least 0")
    if seeds is not None and seeds < 2:
        faults.append(f"--seeds: got {seeds}, expected at least 2: one gives no interval")
    if faults or subject is None:
        raise ScenarioError(faults)
    place = (RESULTS / what if out is None else out) if write else None
    if place is not None:
        folders.check(place)
    plan = Plan(seed, subject.seeds[int(full)] if seeds is None else seeds, full)
    parts = _measured(subject, plan, workers, say, began)
    if place is not None:
        folders.write(place, files(subject, plan, parts), manifest(subject, plan, parts))
        say(f"wrote {place}")
    return Reproduction(subject, plan, tuple(parts), place, time.perf_counter() - began)


def _measured(
    subject: Subject, plan: Plan, workers: int | None, say: Callable[[str], None], began: float
) -> list[Part]:
    studies = subject.studies()
    count = workers if workers is not None else len(os.sched_getaffinity(0))
    parts = []
    with Workers(count) as pool:
        promised = [pool.submit(study.jobs(plan)) for study in studies]
        total = sum(len(futures) for futures in promised)
        say(f"{subject.name}, {_mode(plan)}: {len(studies)} studies, {total} jobs, {plan.seeds} seeds")
        for number, (study, futures) in enumerate(zip(studies, promised, strict=True), start=1):
            parts.append(study.found(plan, [future.result() for future in futures]))
            say(f"[{number:>2}/{len(studies)}] {study.name:<12} {time.perf_counter() - began:6.1f} s")
    return parts


def _mode(plan: Plan) -> str:
    return "full" if plan.full else "quick"


def command_line(subject: Subject, plan: Plan) -> list[str]:
    """The call that makes the same numbers again; where they go is not part of it."""
    return [
        "evelab",
        "reproduce",
        subject.name,
        f"--{_mode(plan)}",
        "--seed",
        str(plan.seed),
        "--seeds",
        str(plan.seeds),
    ]


def summaries(parts: Sequence[Part]) -> tuple[Table, ...]:
    """Claims and their trials, as tables."""
    claims = [claim for part in parts for claim in part.claims]
    if not claims:
        return ()
    return (
        Table(
            "claims",
            ("claim", "where", "says", "printed", "ours", "verdict", "why"),
            tuple((c.id, c.where, c.says, c.printed, c.ours, c.verdict, c.why) for c in claims),
        ),
        Table(
            "trials",
            ("claim", "condition", "unit", "mean", "low", "high", "counts_from", "counts_to", "agrees"),
            tuple((claim.id, *_trial_row(trial)) for claim in claims for trial in claim.trials),
        ),
    )


def _trial_row(trial: Trial) -> tuple[str | float | None, ...]:
    e = trial.estimate
    numbers = (e.mean, e.low, e.high, trial.low, trial.high)
    unit = "1" if trial.unit in ("%", "") else trial.unit
    return (trial.condition, unit, *(_finite(value) for value in numbers), trial.outcome)


def files(subject: Subject, plan: Plan, parts: Sequence[Part]) -> dict[str, str]:
    """Name → text of every file but the manifest."""
    tables = [*summaries(parts), *(table for part in parts for table in part.tables)]
    made = {f"{table.name}.csv": table.as_csv() for table in tables}
    made |= {f"{figure.name}.svg": standalone(figure.draw(WIDE)) for part in parts for figure in part.figures}
    facts = [
        ("command", " ".join(command_line(subject, plan))),
        ("seeds", f"{plan.seeds} data sets or bouts for each mean, from seed {plan.seed}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions().items() if version)),
        ("files", ", ".join(sorted(made))),
    ]
    made["report.html"] = page(subject.title, subject.lead, parts, facts)
    return made


def manifest(subject: Subject, plan: Plan, parts: Sequence[Part]) -> dict[str, Any]:
    """What made the files. It has neither times nor places."""
    return {
        "reproduction": subject.name,
        "mode": _mode(plan),
        "seed": plan.seed,
        "seeds": plan.seeds,
        "command": command_line(subject, plan),
        "versions": versions(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "rule": RULE,
        "verdicts": {claim.id: claim.verdict for part in parts for claim in part.claims},
    }


def versions() -> dict[str, str | None]:
    """Versions of what the numbers may depend on; None for what is not installed as a package."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def _claim_data(claim: Claim) -> dict[str, Any]:
    return {
        "id": claim.id,
        "where": claim.where,
        "says": claim.says,
        "printed": claim.printed,
        "ours": claim.ours,
        "verdict": claim.verdict,
        "why": claim.why,
        "trials": [
            dict(
                zip(
                    ("condition", "unit", "mean", "low", "high", "counts_from", "counts_to", "agrees"),
                    _trial_row(trial),
                    strict=True,
                )
            )
            for trial in claim.trials
        ],
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _plain(value: Any) -> Any:
    return _finite(value) if isinstance(value, float) else value
