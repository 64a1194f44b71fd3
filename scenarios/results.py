"""A run's folder: tidy tables, a manifest that says what made them, and nothing secret.

    manifest.json   the scenario with all defaults, its hash, seed, versions, command, summary, verdicts, sha256 of each file
    summary.csv     path, value
    blocks.csv      a row a block
    intensities.csv a row a block, basis and intensity; only with decoys
    queries.csv     a row a query
    metrics.csv     long form: t_s, node, metric, value, unit
    events.jsonl    an object an event
    report.html     all of it, to look at

Same scenario and seed give the same bytes in every CSV, whatever the fabric or the process.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import datetime
import errno
import hashlib
import importlib.metadata
import io
import itertools
import json
import operator
import platform
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from netsim.key_length.finite_key import Term
from netsim.keys.ledger import Ledger
from netsim.photonics.record import Monitors
from netsim.protocols.decoy import NAMES
from nodes.link import STEPS
from nodes.queries import QueryRecord
from scenarios.expectations import Verdict
from scenarios.recorder import Event, Metric, Recorder
from scenarios.referee import BlockRow, Findings
from scenarios.schema import Scenario, resolved

_Record = TypeVar("_Record")

PACKAGES = (
    "evelab",
    "qunetsim",
    "eqsn",
    "qiskit",
    "qiskit-machine-learning",
    "numpy",
    "scipy",
    "scikit-learn",
    "simpy",
    "networkx",
)


def scenario_hash(scenario: Scenario) -> str:
    """SHA-256 of the scenario's canonical content; its fabric and its name are not part of what it says."""
    content = resolved(scenario)
    for key in ("fabric", "name", "about"):
        content.pop(key, None)
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def folder_for(scenario: Scenario, parent: Path, now: datetime.datetime) -> Path:
    """A run's folder: <scenario>-<time>-<hash>."""
    return parent / f"{scenario.name}-{now:%Y%m%dT%H%M%S}-{scenario_hash(scenario)[:8]}"


def write_run(
    folder: Path,
    scenario: Scenario,
    findings: Findings,
    recorder: Recorder,
    summary: Mapping[str, Any],
    verdicts: Sequence[Verdict],
    command: Sequence[str],
    *,
    numbered: bool = False,
) -> Path:
    """Write a run's folder; it appears under its name only when it is whole.

    A folder that is there already, and empty, is filled: it may be where a disk is mounted. Its manifest comes last.

    Args:
        folder: where the run goes.
        scenario: what was run.
        findings: the referee's.
        recorder: the record of the run.
        summary: the public summary.
        verdicts: of the expectations.
        command: the command line.
        numbered: whether to take the next free FOLDER-2, FOLDER-3, ... if somebody else's run has that name.

    Returns:
        The folder.

    Raises:
        OSError: the disk is full or the place cannot be written; nothing is left.
    """
    from scenarios.report import write_report  # noqa: PLC0415  templates that a run in memory does without

    within = not numbered and folder.is_dir()
    partial = (folder if within else folder.absolute().parent) / f".{uuid.uuid4().hex[:12]}.partial"
    partial.mkdir(parents=True)
    try:
        tables = {
            "summary.csv": _csv(["path", "value"], _flat(_portable(summary))),
            "blocks.csv": _csv(*_blocks(findings.blocks, scenario)),
            "queries.csv": _csv(list(QUERY_COLUMNS), _rows(findings.queries, QUERY_COLUMNS)),
            "metrics.csv": _csv(
                ["t_s", "node", "metric", "value", "unit"], _metrics(findings, recorder.metrics)
            ),
            "events.jsonl": _events(recorder.events),
        }
        if scenario.link.decoys:
            tables["intensities.csv"] = _csv(INTENSITY_COLUMNS, _intensities(findings.blocks, scenario))
        for name, text in tables.items():
            (partial / name).write_text(text, encoding="utf-8", newline="")
        versions = _versions()
        manifest = {
            "evelab": versions["evelab"],
            "scenario": resolved(scenario),
            "scenario_sha256": scenario_hash(scenario),
            "seed": scenario.seed,
            "command": list(command),
            "versions": versions,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "summary": {key: value for key, value in summary.items() if key != "out"},
            "expect": [{"expression": v.expression, "value": v.value, "passed": v.passed} for v in verdicts],
            "files": {name: hashlib.sha256(text.encode()).hexdigest() for name, text in tables.items()},
        }
        (partial / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        write_report(partial)
        return _filled(folder, partial) if within else _named(folder, partial, numbered=numbered)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _filled(folder: Path, partial: Path) -> Path:
    """Move the files of a run into a folder that is there."""
    if any(other != partial for other in folder.iterdir()):
        raise FileExistsError(errno.EEXIST, "somebody has put other files there meanwhile", str(folder))
    moved = []
    try:
        for path in sorted(partial.iterdir(), key=lambda path: path.name == "manifest.json"):
            moved.append(folder / path.name)
            path.rename(moved[-1])
    except BaseException:
        for path in moved:
            path.unlink(missing_ok=True)
        raise
    partial.rmdir()
    return folder


def _named(folder: Path, partial: Path, *, numbered: bool) -> Path:
    """Give a run's folder its name, in one step; another run may have taken it a moment ago."""
    path, again = folder, 1
    while True:
        try:
            partial.rename(path)
        except OSError as error:
            if not numbered or error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            return path
        again += 1
        path = folder.with_name(f"{folder.name}-{again}")


def _versions() -> dict[str, str | None]:
    """Versions of what a run's numbers may depend on; None for what is not installed as a package."""
    versions: dict[str, str | None] = dict.fromkeys(PACKAGES)
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _portable(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The summary without what depends on the machine and the moment."""
    return {
        key: value
        for key, value in summary.items()
        if key not in ("wall_s", "work_s", "out", "fabric", "expect")
    }


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    for key, item in value.items():
        path = f"{prefix}{key}"
        if isinstance(item, Mapping):
            yield from _flat(item, f"{path}.")
        elif isinstance(item, list | tuple):
            yield path, " ".join(str(element) for element in item)
        else:
            yield path, item


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Nothing for None, true and false in lower case, floats in their shortest exact form."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(float(value)) if isinstance(value, float) else value


def _entry(part: str, name: str) -> Callable[[BlockRow], Any]:
    """What a part of a block says under a name; None where the block has no such part."""
    return lambda row: getattr(getattr(row, part), name, None)


def _term(term: Term) -> Callable[[BlockRow], float | None]:
    """A term of the key length."""
    return lambda row: None if row.bound is None else row.bound.terms[term]


def _step(place: int) -> Callable[[BlockRow], float | None]:
    """How long a step took; None where the block did not come so far."""
    return lambda row: row.step_s[place] if len(row.step_s) > place else None


def _basis(place: int) -> Callable[[BlockRow], float | None]:
    """The error rate in a basis."""
    return lambda row: None if row.estimate is None else row.estimate.bases[place].qber


def _detected(intensity: int) -> Callable[[BlockRow], int | None]:
    """Detections at an intensity; None before it was told."""
    return lambda row: row.detected[intensity] if row.detected else None


BLOCK_COLUMNS: dict[str, Callable[[BlockRow], Any]] = {
    "block": lambda row: row.block,
    "start_s": lambda row: row.start_s,
    "end_s": lambda row: row.end_s,
    **{f"{step}_s": _step(place) for place, step in enumerate(STEPS)},
    "status": lambda row: row.status,
    "reason": lambda row: row.reason,
    "qber": lambda row: row.estimate.qber if row.estimate else None,
    "chsh_s": lambda row: row.estimate.chsh[0] if row.estimate and row.estimate.chsh else None,
    "chsh_standard_error": lambda row: row.estimate.chsh[1] if row.estimate and row.estimate.chsh else None,
    **{field.name: _entry("ledger", field.name) for field in dataclasses.fields(Ledger)},
    "reconciliation_rounds": lambda row: row.rounds,
    "corrected_bits": lambda row: row.corrected_bits,
    "reconciliation_efficiency": lambda row: row.efficiency,
    "phase_error_bound": _entry("bound", "phase_error_bound"),
    **{f"{term}_term_bits": _term(term) for term in get_args(Term) if term != "detections"},
    "no_key_for": _entry("bound", "eaten_by"),
    "epsilon": lambda row: row.eps,
    **{field.name: _entry("monitors", field.name) for field in dataclasses.fields(Monitors)},
    "mismatched_bits": lambda row: row.mismatched_bits,
    "eve_sifted_bits": lambda row: row.eve_sifted_bits,
    "eve_key_bits": lambda row: row.eve_key_bits,
}
"""What a row of blocks.csv says. After `qber` come the bases; at the end, with decoys, `DECOY_COLUMNS`."""

DECOY_COLUMNS: dict[str, Callable[[BlockRow], Any]] = {
    **{f"detected_{name}": _detected(index) for index, name in enumerate(NAMES)},
    **{f"{photons}_events": _entry("bound", f"{photons}_events") for photons in ("vacuum", "single_photon")},
}

INTENSITY_COLUMNS = ("block", "basis", "intensity", "mean_photons", "sifted", "tested", "errors")

QUERY_COLUMNS: dict[str, Callable[[QueryRecord], Any]] = {
    **{
        name: operator.attrgetter(name)
        for name in ("client", "sequence", "created_s", "sent_s", "answered_s", "latency_s")
    },
    **{name: operator.attrgetter(name) for name in ("status", "reason", "truth", "answer")},
    "correct": lambda query: None if query.answer is None else query.answer == query.truth,
}


def _rows(records: Iterable[_Record], columns: Mapping[str, Callable[[_Record], Any]]) -> Iterable[list[Any]]:
    for record in records:
        yield [cell(record) for cell in columns.values()]


def _blocks(blocks: Sequence[BlockRow], scenario: Scenario) -> tuple[list[str], Iterable[list[Any]]]:
    bases = next(([b.basis for b in row.estimate.bases] for row in blocks if row.estimate), [])
    columns: dict[str, Callable[[BlockRow], Any]] = {}
    for name, cell in BLOCK_COLUMNS.items():
        columns[name] = cell
        if name == "qber":
            columns |= {f"qber_{basis.rstrip('°')}": _basis(place) for place, basis in enumerate(bases)}
    if scenario.link.decoys:
        # Where both send, intensities come in pairs, which intensities.csv has.
        unused = NAMES[len(scenario.link.source.intensities) :] if not scenario.link.relayed else NAMES
        columns |= {name: cell for name, cell in DECOY_COLUMNS.items() if not name.endswith(unused)}
    return list(columns), _rows(blocks, columns)


def _intensities(blocks: Sequence[BlockRow], scenario: Scenario) -> Iterable[list[Any]]:
    """The counts of each block that came to an estimate; of pairs of intensities no one mean photon number."""
    sent = {name: float(mean) for name, mean in zip(NAMES, scenario.link.source.intensities, strict=False)}
    for row in blocks:
        if row.estimate is not None:
            sifted = itertools.chain.from_iterable(row.sifted)
            for count, cell in zip(sifted, row.estimate.intensities, strict=True):
                photons = sent.get(cell.intensity)
                yield [row.block, cell.basis, cell.intensity, photons, count, cell.tested, cell.errors]


def _metrics(findings: Findings, told: Sequence[Metric]) -> list[list[Any]]:
    rows: list[list[Any]] = [[m.t_s, m.node, m.metric, m.value, m.unit] for m in told]
    for row in findings.blocks:
        if row.estimate is not None and row.estimate.qber is not None:
            rows.append([row.start_s, "link", "qber", row.estimate.qber, "1"])
            if row.estimate.chsh is not None:
                rows.append([row.start_s, "link", "chsh", row.estimate.chsh[0], "1"])
        if row.status != "unfinished":
            rows.append([row.start_s, "link", "sifted_bits", row.ledger.sifted_bits, "bit"])
            secret = row.ledger.secret_bits if row.status == "accepted" else 0
            rows.append([row.start_s, "link", "secret_bits", secret, "bit"])
    rows += [
        [q.created_s, f"client-{q.client}", "latency", q.latency_s, "s"]
        for q in findings.queries
        if q.latency_s is not None
    ]
    return sorted(rows, key=lambda row: (row[0], row[1], row[2]))


def _events(events: Sequence[Event]) -> str:
    lines = (
        json.dumps({"t_s": event.t_s, "node": event.node, "event": event.what, **event.details})
        for event in events
    )
    return "".join(line + "\n" for line in lines)
