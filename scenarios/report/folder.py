"""A run's folder, read and checked: its manifest and its tables, with names, types and SI units."""

from __future__ import annotations

import csv
import dataclasses
import functools
import hashlib
import io
import json
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from netsim.errors import ScenarioError
from nodes.link import STEPS
from scenarios.report.charts import Axis, Series
from scenarios.report.timeline import Act, Entry
from scenarios.units import Fraction, Hertz, Kilometres, Seconds

_DECOYS = "intensities.csv"
_MOST_FAULTS = 20
_EXPECTED = {
    "bool": "true or false",
    "dict": "a mapping",
    "finite": "a number",
    "float": "a number",
    "int": "a whole number",
    "list": "a list",
    "model": "a mapping",
    "string": "text",
}
"""What pydantic expected, by how the names of its errors begin."""


class _Part(BaseModel):
    """What the page needs of a part of the manifest; more may stand there."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class _Source(_Part):
    kind: str = "ideal"
    position: str = "alice"
    probabilities: list[float] = []


class _Link(_Part):
    protocol: str
    length: Kilometres
    pulse_rate: Hertz
    block_pulses: int
    source: _Source = _Source()


class _Eve(_Part):
    position: Kilometres


class _Server(_Part):
    service_time: str


class _Defences(_Part):
    authentication: bool
    query_mac: bool
    abort_above_qber: Fraction | None = None
    abort_below_chsh: float | None = None


class _Scenario(_Part):
    about: str
    duration: Seconds
    link: _Link
    eve: _Eve
    queries: dict[str, Any] | None = None
    server: _Server | None = None
    defences: _Defences
    timeline: list[Entry]


class _Intensity(_Part):
    mean_photons: float
    gain: float
    qber: float | None


class _LinkSummary(_Part):
    proof: str
    qber: float | None
    chsh_s: float | None
    chsh_standard_error: float | None
    abort_reasons: dict[str, int]
    no_key_for: dict[str, int]
    intensities: dict[str, _Intensity]
    secret_bits: int
    secret_key_rate_bps: float | None
    net_key_rate_bps: float | None
    reconciliation_efficiency: float | None
    reconciliation: str
    reconciliation_rounds: float | None
    epsilon: float | None


class _KeysSummary(_Part):
    delivered_bits: int
    consumed_bits: int
    reused_bits: int
    mismatched_bits: int
    exhausted_events: int


class _Percentiles(_Part):
    p50: float | None
    p95: float | None
    p99: float | None


class _QueriesSummary(_Part):
    issued: int
    answered: int
    rejections: dict[str, int]
    latency_s: _Percentiles
    accuracy: float | None


class _EveSummary(_Part):
    attacks: list[str]
    known_key_bits: int
    known_query_bits: int
    detected: bool
    detection_delay_s: float | None
    false_alarms: int
    overheard: dict[str, int]


class _Training(_Part):
    rows: int
    poisoned: int
    removed: int
    removed_poisoned: int


class _Canaries(_Part):
    asked: int
    answered: int
    wrong: int
    alarm_s: float | None


class _Delivery(_Part):
    sentence: str


class _Playbook(_Part):
    actions: dict[str, int]


class _Leak(_Part):
    questions_bits: float
    line_bits: float
    server_bits: float
    gram_error: float | None
    key_bits: int


class ModelSummary(_Part):
    """What the summary says of the model."""

    kind: str
    data: str
    features: int
    mode: str
    answers: str
    training: _Training
    test_rows: Annotated[int, Field(ge=0)]
    accuracy: dict[str, Annotated[float, Field(ge=0, le=1)]]
    attacks: dict[str, dict[str, float | None]]
    doubted: int
    canaries: _Canaries | None
    delivery: _Delivery | None
    playbook: _Playbook | None
    privacy_epsilon: float | None
    leak: _Leak | None


class _Check(_Part):
    verdict: str
    sentence: str
    evidence: dict[str, float | str | None]


class _Summary(_Part):
    scenario: str
    verdict: str
    fabric: str
    wall_s: float
    work_s: dict[str, float]
    link: _LinkSummary
    keys: _KeysSummary
    queries: _QueriesSummary
    eve: _EveSummary
    model: ModelSummary | None
    algorithm_2: dict[str, _Check]


class _Verdict(_Part):
    expression: str
    value: float | bool | str | None
    passed: bool


class _Manifest(_Part):
    evelab: str
    scenario: _Scenario
    scenario_sha256: str
    seed: int
    command: list[str]
    versions: dict[str, str | None]
    python: str
    machine: str
    summary: _Summary
    expect: list[_Verdict]
    files: dict[str, str]


class _Row(BaseModel):
    """A row of a table: the fields that are required are columns that must be there."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)


_Maybe: TypeAlias = Annotated[float | None, BeforeValidator(lambda cell: cell or None)]
_AnyRow = TypeVar("_AnyRow", bound=_Row)


class Block(_Row):
    """A row of blocks.csv; None where a cell is empty."""

    block: int
    start_s: float
    end_s: _Maybe
    status: str
    reason: str
    qber: _Maybe
    chsh_s: _Maybe
    chsh_standard_error: _Maybe
    detections: int
    sifted_bits: int
    test_bits: int
    key_bits: int
    disclosed_parities: int
    given_away_bits: int
    disclosed_counts: int
    verification_bits: int
    amplification_bits: int
    secret_bits: int
    authentication_spent_bits: int
    authentication_replenished_bits: int
    delivered_bits: int
    reconciliation_rounds: int
    reconciliation_efficiency: _Maybe
    amplification_term_bits: _Maybe
    statistics_term_bits: _Maybe
    epsilon_term_bits: _Maybe
    no_key_for: str
    gates: int
    clicks: int
    double_clicks: int
    ones: int
    early: int
    late: int
    after_gate: int
    attenuated: int
    photocurrent: int
    eve_sifted_bits: float
    by_basis: dict[str, _Maybe] = {}
    detected: dict[str, _Maybe] = {}
    step_s: dict[str, _Maybe] = {}

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, cells: dict[str, Any]) -> dict[str, Any]:
        def under(prefix: str) -> dict[str, Any]:
            return {name.removeprefix(prefix): cells[name] for name in cells if name.startswith(prefix)}

        steps = {step: cells[f"{step}_s"] for step in STEPS if f"{step}_s" in cells}
        return {**cells, "by_basis": under("qber_"), "detected": under("detected_"), "step_s": steps}

    @property
    def accepted(self) -> bool:
        """Whether it gave key."""
        return self.status == "accepted"


class _Cell(_Row):
    """A row of intensities.csv."""

    block: int
    intensity: str
    tested: int
    errors: int


class Query(_Row):
    """A row of queries.csv; None where a cell is empty."""

    created_s: float
    sent_s: _Maybe
    answered_s: _Maybe
    latency_s: _Maybe
    status: str
    reason: str
    correct: Annotated[bool, BeforeValidator(lambda cell: cell == "true")]


class _Metric(_Row):
    t_s: float
    node: str
    metric: str
    value: float


class Event(_Row):
    """A line of events.jsonl."""

    t_s: float
    node: str
    event: str
    reason: str = ""
    block: int | None = None


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything the page is made from.

    Attributes:
        folder: the run's.
        manifest: its manifest.
        resolved: its scenario with all defaults, as it stands in the manifest.
        blocks: in order.
        queries: by time.
        stored: KME → bits in its store over time.
        events: by time.
        tests: intensity → block → errors and tested bits; empty without decoys.
        acts: what the timeline does.
    """

    folder: Path
    manifest: _Manifest
    resolved: Mapping[str, Any]
    blocks: tuple[Block, ...]
    queries: tuple[Query, ...]
    stored: Mapping[str, Series]
    events: tuple[Event, ...]
    tests: Mapping[str, Mapping[int, tuple[int, int]]]
    acts: tuple[Act, ...]

    @property
    def summary(self) -> _Summary:
        """The run in numbers."""
        return self.manifest.summary

    @property
    def scenario(self) -> _Scenario:
        """What was run."""
        return self.manifest.scenario

    @functools.cached_property
    def done(self) -> list[Block]:
        """The blocks that came to an end."""
        return [block for block in self.blocks if block.status != "unfinished"]

    @functools.cached_property
    def accepted(self) -> list[Block]:
        """The blocks that gave key."""
        return [block for block in self.blocks if block.accepted]

    @property
    def answers(self) -> tuple[int, int]:
        """Answers in all, and right ones."""
        answered = [query for query in self.queries if query.status == "answered"]
        return len(answered), sum(query.correct for query in answered)

    @property
    def asks(self) -> bool:
        """Whether there are clients and a server."""
        return self.scenario.queries is not None

    @property
    def pairs(self) -> bool:
        """Whether the light comes in entangled pairs."""
        return self.scenario.link.protocol in ("e91", "bbm92")

    @property
    def relayed(self) -> bool:
        """Whether both send light, to a relay between them that measures it."""
        return self.scenario.link.protocol == "mdi"

    @property
    def alarms(self) -> Mapping[str, list[Event]]:
        """The alarms of each reason, in the order of the first ones."""
        raised: dict[str, list[Event]] = {}
        for event in self.events:
            if event.event == "alarm":
                raised.setdefault(event.reason, []).append(event)
        return raised

    @property
    def duration_s(self) -> float:
        """How long was simulated."""
        return self.scenario.duration

    @property
    def block_s(self) -> float:
        """How long a block's light takes."""
        return self.scenario.link.block_pulses / self.scenario.link.pulse_rate

    @property
    def time_axis(self) -> Axis:
        """The whole run."""
        return Axis("simulated time, s", 0.0, self.duration_s)


def read_folder(folder: Path) -> Run:
    """Read a run's folder.

    Raises:
        ScenarioError: it is none, or files are missing, cut short or changed.
    """
    place = folder / "manifest.json"
    if not place.is_file():
        raise ScenarioError([f"{folder}: not a run's folder: it has no manifest.json"])
    try:
        content = json.loads(place.read_bytes())
        manifest = _Manifest.model_validate(content)
    except ValidationError as error:
        why = "it is not the manifest of a run, or is damaged"
        raise ScenarioError(_first([f"{fault}; {why}" for fault in _faults(place, error)])) from None
    except ValueError as error:
        raise ScenarioError([f"{place}: cut short or damaged: {error}"]) from None
    _check_files(folder, manifest.files)
    faults: list[str] = []
    blocks = _rows(folder / "blocks.csv", Block, faults)
    queries = _rows(folder / "queries.csv", Query, faults)
    metrics = _rows(folder / "metrics.csv", _Metric, faults)
    cells = _rows(folder / _DECOYS, _Cell, faults) if _DECOYS in manifest.files else []
    events = _events(folder / "events.jsonl", faults)
    if faults:
        raise ScenarioError(_first(faults))
    stored: dict[str, list[tuple[float, float]]] = {}
    for row in metrics:
        if row.metric == "stored_bits":
            stored.setdefault(row.node, []).append((row.t_s, row.value))
    tests: dict[str, dict[int, tuple[int, int]]] = {}
    for cell in cells:
        errors, tested = tests.setdefault(cell.intensity, {}).get(cell.block, (0, 0))
        tests[cell.intensity][cell.block] = (errors + cell.errors, tested + cell.tested)
    duration_s, attacks = manifest.scenario.duration, manifest.summary.eve.attacks
    return Run(
        folder=folder,
        manifest=manifest,
        resolved=content["scenario"],
        blocks=tuple(blocks),
        queries=tuple(queries),
        stored={node: tuple(np.array(rows, dtype=np.float64).T) for node, rows in sorted(stored.items())},
        events=tuple(events),
        tests=tests,
        acts=tuple(Act.of(entry, duration_s, attacks) for entry in manifest.scenario.timeline),
    )


def _first(faults: list[str]) -> list[str]:
    """A table that is wrong throughout does not flood the terminal."""
    more = len(faults) - _MOST_FAULTS
    return faults[:_MOST_FAULTS] + ([f"and {more} more faults"] if more > 0 else [])


def _faults(place: object, error: ValidationError) -> list[str]:
    """What is wrong, with its place in the file."""
    return [
        ": ".join(filter(None, (str(place), ".".join(map(str, fault["loc"])), _fault(fault))))
        for fault in error.errors(include_url=False)
    ]


def _fault(fault: ErrorDetails) -> str:
    if fault["type"] == "missing":
        return "missing"
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    expected = _EXPECTED.get(fault["type"].partition("_")[0], "something else")
    return f"got {reprlib.repr(fault['input'])}, expected {expected}"


def _check_files(folder: Path, hashes: Mapping[str, str]) -> None:
    """Every table is there, and is what the run wrote.

    Raises:
        ScenarioError: all that are not.
    """
    faults = []
    for name in dict.fromkeys(("blocks.csv", "queries.csv", "metrics.csv", "events.jsonl", *hashes)):
        path = folder / name
        if not path.is_file():
            faults.append(f"{path}: missing")
        elif name not in hashes:
            faults.append(f"{folder / 'manifest.json'}: files.{name}: missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != hashes[name]:
            faults.append(f"{path}: cut short or changed: its SHA-256 is not the manifest's")
    if faults:
        raise ScenarioError(faults)


def _rows(path: Path, model: type[_AnyRow], faults: list[str]) -> list[_AnyRow]:
    """The rows of a CSV; what is wrong joins the faults."""
    try:
        text = io.StringIO(path.read_text(encoding="utf-8"), newline="")
        header, *lines = list(csv.reader(text, strict=True)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        faults.append(f"{path}: damaged: {error}")
        return []
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    if missing := [name for name in required if name not in header]:
        faults.append(f"{path}: no column {', '.join(missing)}")
        return []
    rows = []
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(header):
            faults.append(f"{path}:{number}: got {len(cells)} cells, expected {len(header)}")
            continue
        try:
            rows.append(model.model_validate(dict(zip(header, cells, strict=True))))
        except ValidationError as error:
            faults += _faults(f"{path}:{number}", error)
    return rows


def _events(path: Path, faults: list[str]) -> list[Event]:
    events = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            events.append(Event.model_validate_json(line))
        except ValidationError:
            faults.append(f"{path}:{number}: damaged: expected an object with t_s, node and event")
    return events
