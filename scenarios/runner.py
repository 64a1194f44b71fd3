"""Run a scenario: build the range, let time pass, ask the referee, hold the expectations against it, write it down."""

from __future__ import annotations

import dataclasses
import datetime
import operator
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, get_args

from netsim.errors import ScenarioError
from netsim.random_streams import RandomStreams
from nodes.observer import Step
from scenarios.expectations import Verdict
from scenarios.loader import find, load
from scenarios.range import build, fabric_of
from scenarios.referee import Findings, Referee
from scenarios.results import folder_for, write_run
from scenarios.schema import Scenario

RUNS = Path("results/runs")
"""Where runs are written, seen from the working directory."""

_STEPS = 200  # of simulated time, after each of which progress is told


@dataclasses.dataclass(frozen=True)
class Result:
    """What came out of a run.

    Attributes:
        summary: the public summary, as `evelab run --json` prints it.
        findings: everything behind it, in memory.
        verdicts: of the expectations.
        out: the run's folder; None if it was not written.
    """

    summary: dict[str, Any]
    findings: Findings = dataclasses.field(repr=False)
    verdicts: tuple[Verdict, ...] = dataclasses.field(repr=False)
    out: Path | None

    @property
    def passed(self) -> bool:
        """Whether every expectation held."""
        return all(verdict.passed for verdict in self.verdicts)


def run(
    scenario: str | os.PathLike[str] | Scenario,
    *,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    fabric: str | None = None,
    out: str | os.PathLike[str] | None = None,
    write: bool = True,
    progress: Callable[[float, float], None] | None = None,
    command: Sequence[str] = (),
) -> Result:
    """Run a scenario.

    Args:
        scenario: a path, the name of one that ships, or one already loaded.
        seed: instead of the scenario's.
        overrides: `path=value`, applied before validation.
        fabric: "qunetsim" or "direct", instead of the scenario's.
        out: the run's folder, new or empty; by default a new one under results/runs/, which the result names.
        write: whether to write the run's folder at all.
        progress: called with simulated seconds done and in all.
        command: the command line, for the manifest.

    Raises:
        ScenarioError: the scenario or the call is wrong; nothing has run.
        OSError: the run's folder could not be written; nothing is left of it.
    """
    began = time.perf_counter()
    if not isinstance(scenario, Scenario):
        scenario = load(find(scenario), overrides)
    elif overrides:
        raise ScenarioError(
            [f"overrides: got {list(overrides)} with a scenario already loaded: give its file instead"]
        )
    scenario = _changed(scenario, seed, fabric)
    if out is not None and not write:
        raise ScenarioError([f"out: got {os.fspath(out)!r} together with write=False: leave one of them out"])
    folder = None if out is None else _checked(Path(out))
    if write and folder is None:
        _checked(RUNS / "new")

    streams = RandomStreams(scenario.seed)
    with fabric_of(scenario, streams) as carrier:
        world = build(scenario, carrier, streams)
        referee = Referee(world)
        for step in range(1, _STEPS + 1):
            until_s = scenario.duration * step / _STEPS
            if until_s > world.env.now:  # the steps of the shortest durations fall together
                world.env.run(until=until_s)
                referee.settle()
            if progress is not None:
                progress(world.env.now, scenario.duration)
        findings = referee.judge()

    summary: dict[str, Any] = {
        "scenario": scenario.name,
        "seed": scenario.seed,
        "verdict": "pass",
        "simulated_s": scenario.duration,
        "wall_s": 0.0,
        "work_s": {
            step: round(world.recorder.work_s[step], 4)
            for step in get_args(Step)
            if step in world.recorder.work_s
        },
        "fabric": scenario.fabric,
        **findings.summary,
    }
    verdicts = tuple(expectation.evaluate(summary, findings.series) for expectation in scenario.expect)
    summary["verdict"] = "pass" if all(verdict.passed for verdict in verdicts) else "fail"
    summary["expect"] = [dataclasses.asdict(verdict) for verdict in verdicts]
    summary["wall_s"] = round(time.perf_counter() - began, 3)
    if write:
        if folder is None:
            folder = folder_for(scenario, RUNS, datetime.datetime.now(datetime.UTC))
        folder = write_run(
            folder, scenario, findings, world.recorder, summary, verdicts, command, numbered=out is None
        )
    summary["out"] = None if folder is None else str(folder)
    return Result(summary, findings, verdicts, folder)


def _changed(scenario: Scenario, seed: int | None, fabric: str | None) -> Scenario:
    faults = []
    try:
        number = None if seed is None else operator.index(seed)  # NumPy's integers are welcome
    except TypeError:
        number = -1
    if isinstance(seed, bool) or (number is not None and number < 0):
        faults.append(f"seed: got {seed!r}, expected a whole number, at least 0")
    if fabric not in (None, "qunetsim", "direct"):
        faults.append(f"fabric: got {fabric!r}, expected qunetsim or direct")
    if faults:
        raise ScenarioError(faults)
    changes = {"seed": number, "fabric": fabric}
    return scenario.model_copy(update={key: value for key, value in changes.items() if value is not None})


def _checked(folder: Path) -> Path:
    """A place where the run's folder can come to be: said before the run, not after it."""
    fault = ""
    if os.path.lexists(folder):
        if not folder.is_dir() or any(folder.iterdir()):
            fault = "exists and is not an empty folder; name a new one"
        elif not os.access(folder, os.W_OK | os.X_OK):
            fault = "cannot be written to"
    else:
        parent = next(place for place in folder.absolute().parents if os.path.lexists(place))
        if not parent.is_dir():
            fault = f"cannot be made: {parent} is not a folder"
        elif not os.access(parent, os.W_OK | os.X_OK):
            fault = f"cannot be made: {parent} cannot be written to"
    if fault:
        raise ScenarioError([f"--out {folder}: {fault}"])
    return folder
