"""A run's folder: tidy tables, a manifest that says what made them, and nothing secret.

    manifest.json   the scenario with all defaults, its hash, seed, versions, command, summary, verdicts, sha256 of each file
    summary.csv     path, value
    blocks.csv      a row a block
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
import json
import platform
import shutil
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from netsim.keys.ledger import Ledger
from nodes.queries import QueryRecord
from scenarios.expectations import Verdict
from scenarios.recorder import Event, Metric, Recorder
from scenarios.referee import BlockRow, Findings
from scenarios.schema import Scenario, resolved

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
            "blocks.csv": _csv(*_blocks(findings.blocks)),
            "queries.csv": _csv(*_queries(findings.queries)),
            "metrics.csv": _csv(
                ["t_s", "node", "metric", "value", "unit"], _metrics(findings, recorder.metrics)
            ),
            "events.jsonl": _events(recorder.events),
        }
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
    return {key: value for key, value in summary.items() if key not in ("wall_s", "out", "fabric", "expect")}


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


_LEDGER = tuple(field.name for field in dataclasses.fields(Ledger))


def _blocks(blocks: Sequence[BlockRow]) -> tuple[list[str], list[list[Any]]]:
    names = next((tuple(b.basis for b in row.estimate.bases) for row in blocks if row.estimate), ())
    header = [
        "block",
        "start_s",
        "end_s",
        "status",
        "reason",
        "qber",
        *(f"qber_{name.rstrip('°')}" for name in names),
        "chsh_s",
        "chsh_standard_error",
        *_LEDGER,
        "reconciliation_rounds",
        "corrected_bits",
        "reconciliation_efficiency",
        "phase_error_bound",
        "epsilon",
        "mismatched_bits",
        "eve_sifted_bits",
        "eve_key_bits",
    ]
    rows = []
    for row in blocks:
        estimate = row.estimate
        chsh = estimate.chsh if estimate is not None else None
        rows.append(
            [
                row.block,
                row.start_s,
                row.end_s,
                row.status,
                row.reason,
                estimate.qber if estimate is not None else None,
                *([b.qber for b in estimate.bases] if estimate is not None else [None] * len(names)),
                *(chsh or (None, None)),
                *(getattr(row.ledger, name) for name in _LEDGER),
                row.rounds,
                row.corrected_bits,
                row.efficiency,
                row.phase_error_bound,
                row.eps,
                row.mismatched_bits,
                row.eve_sifted_bits,
                row.eve_key_bits,
            ]
        )
    return header, rows


def _queries(queries: Sequence[QueryRecord]) -> tuple[list[str], list[list[Any]]]:
    header = ["client", "sequence", "created_s", "sent_s", "answered_s", "latency_s", "status", "reason"]
    header += ["truth", "answer", "correct"]
    rows = [
        [
            q.client,
            q.sequence,
            q.created_s,
            q.sent_s,
            q.answered_s,
            q.latency_s,
            q.status,
            q.reason,
            q.truth,
            q.answer,
            None if q.answer is None else q.answer == q.truth,
        ]
        for q in queries
    ]
    return header, rows


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
