"""What the command prints: tables that fit 80 columns, and progress on a terminal."""

from __future__ import annotations

import dataclasses
import itertools
import re
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console, RenderableType
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from netsim.errors import ScenarioError
from nodes.attacks.catalogue import CATALOGUE
from scenarios.expectations import parse
from scenarios.loader import LIBRARY
from scenarios.schema import Scenario
from scenarios.units import (
    BIT_RATE,
    BITS,
    FRACTION,
    RATE,
    RATIO,
    TIME,
    Dimension,
    format_quantity,
    suggestion,
)

if TYPE_CHECKING:  # `evelab list` and `evelab attacks` need none of what a run needs
    from scenarios.account import Account
    from scenarios.referee import BlockRow
    from scenarios.runner import Result

WIDTH = 80

_GLUE = "\N{BRAILLE PATTERN BLANK}"
"""Stands for a space where a line must not break; Rich would break at a no-break space."""
_MANY_BITS = dataclasses.replace(BITS, written=("Gbit", "Mbit", "kbit", "bit"))
_EXACT_BITS = 10_000  # fewer are shown to the bit
_EXACT_COUNT = 100_000_000  # likewise of what is counted
_TELEMETRY = "telemetry: "  # how the alarms of the telemetry begin, among all that nodes raise
_LEAST_PERCENT = 1e-4  # smaller fractions, as ε is, are shown as plain numbers


def _print(*renderables: RenderableType) -> None:
    """Print on standard output: 80 columns where that is not a terminal, never more than 100, no line padded."""
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = min(console.width, 100) if console.is_terminal else WIDTH
    with console.capture() as capture:
        for renderable in renderables:
            console.print(renderable)
    for line in capture.get().replace(_GLUE, " ").splitlines():
        print(line.rstrip())  # noqa: T201  printing is what this module is for


def _table(*columns: str, widest: Sequence[int] = ()) -> Table:
    """A plain table: the columns of these names stay on one line, except those counted in `widest`."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for number, name in enumerate(columns):
        folds = number in widest
        table.add_column(name, no_wrap=not folds, overflow="fold")
    return table


def _pairs(rows: Sequence[tuple[str, str | Table]]) -> Table:
    """Names and what is to say, or show, of each; rows of nothing are left out."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        if text:
            table.add_row(name, text)
    return table


class Progress:
    """A bar on standard error, if that is a terminal."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._bar = Bar(
            TextColumn("{task.description}  {task.fields[now]}", markup=False),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task(self._name, now="starting", total=1.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()

    def __call__(self, now_s: float, total_s: float) -> None:
        """So much simulated time is done."""
        if self._task is not None:
            self._bar.update(self._task, completed=now_s / total_s, now=f"{now_s:.2f} s of {total_s:g} s")


def print_result(result: Result) -> None:
    """The result of a run."""
    s = result.summary
    link, keys, queries, eve = s["link"], s["keys"], s["queries"], s["eve"]
    passed = s["verdict"] == "pass"
    simulated, wall = _glued(f"{s['simulated_s']:g}", "s"), _glued(f"{s['wall_s']:.1f}", "s")
    head = Text.assemble(
        (f" {s['verdict'].upper()} ", "bold white on green" if passed else "bold white on red"),
        f" {s['scenario']}, {_glued('seed', s['seed'])}: {simulated} simulated in {wall} over {s['fabric']}",
    )
    light = f"{_count(link['pulses_sent'], 'pulse')}, {_count(link['detections'], 'detection')}"
    kinds = ", decoys" if link["intensities"] else ""
    made, aborted = link["blocks"] - link["blocks_aborted"], link["blocks_aborted"]
    rates = [_quantity(link[rate], BIT_RATE) for rate in ("secret_key_rate_bps", "net_key_rate_bps")]
    efficiency, epsilon = _plain(link["reconciliation_efficiency"]), _plain(link["epsilon"])
    stores = ", ".join(
        f"{_quantity(keys[f'{what}_bits'], BITS)} {what}"
        for what in ("delivered", "consumed", "reused", "mismatched")
    )
    rows: list[tuple[str, str | Table]] = [
        ("link", f"{link['protocol']}{kinds}: {light}, {_quantity(link['sifted_bits'], BITS)} sifted"),
        ("", f"{_glued('QBER', _quantity(link['qber'], FRACTION))}{_chsh(link)}"),
        ("", _intensities(link["intensities"])),
        (
            "blocks",
            f"{made} gave key, {_glued(aborted, 'aborted')}{_reasons(link['abort_reasons'])}{_unfinished(link)}",
        ),
        ("", _no_key(result.findings.blocks)),
        (
            "key",
            f"{_quantity(link['secret_bits'], BITS)} secret: {rates[0]}, {rates[1]} net of authentication",
        ),
        ("", f"reconciliation efficiency {efficiency}, {_glued('ε', epsilon)}{_no_promise(link)}"),
        ("stores", stores),
        ("queries", _queries(queries)),
        ("", _latency(queries)),
        ("model", _model(s["model"])),
        *_around_the_model(s["model"]),
        *_model_attacks(s["model"]),
        ("eve", _eve(eve)),
        ("alarms", _telemetry(eve)),
        ("checks", _checks(s["algorithm_2"])),
    ]
    parts: list[RenderableType] = [head, _pairs(rows)]
    if result.verdicts:
        expectations = _table("expected", "measured", "", widest=[0])
        expectations.columns[1].justify = "right"
        for verdict in result.verdicts:
            mark = Text("held", "green") if verdict.passed else Text("FAILED", "bold red")
            dimension = parse(verdict.expression).left.kind.dimension
            expectations.add_row(verdict.expression, _value(verdict.value, dimension), mark)
        parts += [Text(), expectations]
    _print(*parts)
    if result.out is not None:
        print(f"\nreport: {result.out / 'report.html'}")  # noqa: T201  whole on its line, however long


def print_account(account: Account) -> None:
    """Where the bits and the time of a run's blocks went."""
    from scenarios.account import LINES  # noqa: PLC0415  other commands do without what reads a run's folder
    from scenarios.report.time import TIMES  # noqa: PLC0415  likewise

    which = f"block {account.block}, {account.fate}"
    if account.block is None:
        which = (
            "no block gave key" if not account.blocks else f"{_count(account.blocks, 'block')} that gave key"
        )
    ledger = _table("bits", "all", "a block", "of raw key")
    for column in ledger.columns[1:]:
        column.justify = "right"
    raw, blocks = account.bits["key_bits"], max(1, account.blocks)
    for name, sign, words in LINES:
        bits = account.bits[name]
        if name == "lost_bits" and not bits:
            continue
        share = f"{100 * bits / raw:.2f} %" if raw else "–"
        cells = (f"{bits:,}", f"{bits / blocks:,.0f}", share)
        ledger.add_row(
            words,
            *(f"{sign if bits and cell != '–' else ''}{cell}" for cell in cells),
            style="" if sign else "bold",
        )
    simulated = _table("time of a block, simulated", "mean")
    computed = _table("computing, both parties, whole run", "wall clock")
    for table in (simulated, computed):
        table.columns[1].justify = "right"
    for step, words in TIMES:
        simulated.add_row(words, _quantity(account.simulated_s[step], TIME))
    for step, seconds in account.work_s.items():
        computed.add_row(step, _quantity(seconds, TIME))
    if account.work_s:
        rest = max(0.0, account.wall_s - sum(account.work_s.values()))
        computed.add_row("everything else", _quantity(rest, TIME))
    efficiency = "" if account.efficiency is None else f", {account.efficiency:.4f} times Shannon's limit"
    asked = _count(round(account.rounds), "round")
    told = f"reconciliation: {account.code}, {asked} a block{efficiency}"
    parts: list[RenderableType] = [f"{account.scenario}: {which}", Text(), ledger, Text(), simulated, told]
    if account.work_s:
        parts += [Text(), computed]
    _print(*parts)


def _glued(*words: object) -> str:
    """Words that stay on one line."""
    return " ".join(map(str, words)).replace(" ", _GLUE)


def _count(value: int, noun: str) -> str:
    # As a scenario file may write it: 1.8e9.
    number = f"{value:,}" if value < _EXACT_COUNT else f"{value:.3g}".replace("e+", "e").replace("e0", "e")
    return _glued(number, noun if value == 1 else f"{noun}s")


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _value(value: object, dimension: Dimension | None) -> str:
    """A measured value in the units of what was expected."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value).lower()
    return _quantity(value, dimension, 4) if dimension else f"{value:.6g}"


def _quantity(value: float | None, dimension: Dimension, digits: int = 3) -> str:
    """A value with its unit, or a dash; few bits are shown to the bit."""
    if value is None:
        return "–"
    if dimension is BITS:
        if value < _EXACT_BITS and float(value).is_integer():
            return _glued(f"{value:,.0f}", "bit")
        dimension = _MANY_BITS
    if dimension is FRACTION:
        return (
            _glued(f"{100 * value:.{digits}g}", "%")
            if value >= _LEAST_PERCENT or not value
            else f"{value:.{digits}g}"
        )
    return _glued(format_quantity(value, dimension, digits))


def _chsh(link: dict[str, Any]) -> str:
    if link["chsh_s"] is None:
        return ""
    return ", " + _glued(f"CHSH S = {link['chsh_s']:.3f} ± {link['chsh_standard_error']:.3f}")


def _reasons(reasons: dict[str, int]) -> str:
    listed = ", ".join(_glued(f"{reason}:", count) for reason, count in reasons.items())
    return f" ({listed})" if reasons else ""


def _intensities(intensities: dict[str, dict[str, Any]]) -> str | Table:
    """Gain and error rate of the signal and the decoys."""
    if not intensities:
        return ""
    table = _table("intensity", "photons", "gain", "QBER")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, told in intensities.items():
        qber = _quantity(told["qber"], FRACTION)
        table.add_row(name, f"{told['mean_photons']:g}", f"{told['gain']:.2e}", qber)
    return table


def _no_key(blocks: Sequence[BlockRow]) -> str:
    """Why blocks that came as far as a key length had none, by the account of the first of each kind."""
    accounts: dict[str, list[str]] = {}
    for row in blocks:
        if row.bound is not None and row.bound.eaten_by is not None:
            accounts.setdefault(row.bound.eaten_by, []).append(row.bound.account)
    return "\n".join(
        f"{told[0].partition('; of ')[0]}: {_count(len(told), 'block')}" for told in accounts.values()
    )


def _no_promise(link: dict[str, Any]) -> str:
    return ": no security is promised" if link["epsilon"] == 1 else ""


def _queries(queries: dict[str, Any]) -> str:
    if not queries["issued"]:
        return ""
    parts = [_glued(f"{queries[key]:,}", key) for key in ("issued", "answered")]
    parts += [
        _glued(f"{queries[key]:,}", key.replace("_", " "))
        for key in ("rejected", "lost", "gave_up", "pending")
        if queries[key]
    ]
    if queries["accuracy"] is not None:
        parts.append(_glued("accuracy", _quantity(queries["accuracy"], FRACTION)))
    return ", ".join(parts)


def _latency(queries: dict[str, Any]) -> str:
    latency = queries["latency_s"]
    if latency["p50"] is None:
        return ""
    percentiles = (_glued(name, _quantity(latency[name], TIME)) for name in ("p50", "p95", "p99"))
    return f"latency {', '.join(percentiles)}"


def _model(model: dict[str, Any] | None) -> str:
    """How right the model is, beside others."""
    if model is None:
        return ""
    training, accuracy = model["training"], model["accuracy"]
    told = f"{model['kind']}, right in {_quantity(accuracy['served'], FRACTION)}"
    if accuracy["untouched"] != accuracy["served"]:
        told += f" (untouched {_quantity(accuracy['untouched'], FRACTION)})"
    beside = (_glued(name, _quantity(accuracy[name], FRACTION)) for name in ("rbf-svm", "logistic"))
    told += f"; beside it {', '.join(beside)}"
    if training["poisoned"] or training["removed"]:
        told += f"; {training['poisoned']:,} rows poisoned, {training['removed']:,} left out"
    return told


def _around_the_model(model: dict[str, Any] | None) -> list[tuple[str, str]]:
    """How questions and the model travel, and who watches the answers; what is as usual is left out."""
    if model is None:
        return []
    told = []
    leak, canaries, playbook = model["leak"], model["canaries"], model["playbook"]
    if model["mode"] != "otp" and leak is not None:
        told.append(
            f"mode {model['mode']}: a question costs {_quantity(leak['key_bits'], BITS)} of key; of {_plain(leak['questions_bits'])} bits "
            f"the line holds at most {_plain(leak['line_bits'])}, the server {_plain(leak['server_bits'])}"
        )
    if model["delivery"] is not None:
        told.append(f"delivery: {model['delivery']['sentence']}")
    if canaries is not None:
        when = canaries["alarm_s"]
        alarm = "no alarm" if when is None else _glued("alarm at", _quantity(when, TIME))
        told.append(f"canaries: {canaries['answered']:,} answered, {canaries['wrong']:,} wrong, {alarm}")
    if playbook is not None:
        counts = ", ".join(_glued(f"{name}:", count) for name, count in playbook["actions"].items())
        told.append(f"playbook: {counts or 'nothing was set off'}")
    return [("", line) for line in told]


def _model_attacks(model: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What attacks on the model came to, a line each."""
    attacks = {} if model is None else model["attacks"]
    return [
        (
            "",
            f"{verb}: "
            + ", ".join(_glued(name.replace("_", " "), _plain(value)) for name, value in figures.items()),
        )
        for verb, figures in attacks.items()
    ]


def _checks(checks: dict[str, dict[str, Any]]) -> str:
    """Algorithm 2's verdicts."""
    return ", ".join(_glued(f"{name}:", check["verdict"]) for name, check in checks.items())


def _eve(eve: dict[str, Any]) -> str:
    if not eve["attacks"]:
        return "does nothing"
    delay = eve["detection_delay_s"]
    noticed = f"noticed after {_quantity(delay, TIME)}" if eve["detected"] else "not noticed"
    knows = ", ".join(
        f"{_quantity(eve[f'known_{what}_bits'], BITS)} of {name}"
        for what, name in (("sifted", "sifted key"), ("key", "final key"), ("query", "queries"))
    )
    heard = eve["overheard"]
    overheard = (
        f"; overheard {_count(heard['messages'], 'message')} of {_count(heard['clients'], 'client')}, "
        f"{_count(heard['lengths'], 'length')}"
        if heard["messages"]
        else ""
    )
    return f"{', '.join(eve['attacks'])}: {noticed}; knows {knows}{overheard}"


def _telemetry(eve: dict[str, Any]) -> str:
    """What the alarm on the telemetry said, counter by counter."""
    sounded = {
        reason.removeprefix(_TELEMETRY): times
        for reason, times in eve["alarms"].items()
        if reason.startswith(_TELEMETRY)
    }
    told = ", ".join(_glued(f"{name} ({times})" if times > 1 else name) for name, times in sounded.items())
    early = "before she began" if eve["attacks"] else "nobody attacked"
    false = f"; {_glued(eve['false_alarms'], 'false')}: {early}" if eve["false_alarms"] else ""
    return told + false


def _unfinished(link: dict[str, Any]) -> str:
    """Blocks that the end of the run cut off, or that none fits into it."""
    if link["blocks_unfinished"]:
        return f", {_glued(str(link['blocks_unfinished']), 'unfinished')}"
    return "" if link["blocks"] else ": the run is shorter than a block"


def print_scenarios(scenarios: Sequence[Scenario]) -> None:
    """The scenarios that ship."""
    table = _table("scenario", "link", "what to look for", widest=[2])
    for scenario in scenarios:
        sentence = " ".join(scenario.about.split()).split(". ")[0].rstrip(".")
        grain = {"pulse": "", "qubit": ", qubits"}.get(scenario.link.grain, ", sampled")
        table.add_row(scenario.name, f"{scenario.link.protocol}{grain}", sentence)
    _print(table)


def catalogue_entries(name: str | None) -> list[dict[str, Any]]:
    """The catalogue as data; one entry if a name is given.

    Raises:
        ScenarioError: no entry has that name.
    """
    if name is not None and name not in CATALOGUE:
        within = [known for known in CATALOGUE if name and name.casefold() in known]
        hint = f": did you mean {within[0]}?" if len(within) == 1 else suggestion(name, CATALOGUE)
        raise ScenarioError([f"{name}: no such action{hint or ': `evelab attacks` shows them all'}"])
    return [
        {
            "name": action.id,
            "family": action.family,
            "adversarial": action.adversarial,
            "what": (action.__doc__ or "").strip().splitlines()[0],
            "sign": action.sign,
            "gets": action.gets,
            "defences": list(action.defences),
            "source": action.source,
            "scenarios": _showing(action.id),
            "parameters": [
                {
                    "name": field.name,
                    "unit": unit.dimension,
                    "default": None if field.default is dataclasses.MISSING else _plain_data(field.default),
                    "choices": list(unit.choices),
                    "doc": unit.doc,
                }
                for field, unit in action.parameters()
            ],
        }
        for action in ([CATALOGUE[name]] if name is not None else CATALOGUE.values())
    ]


def _plain_data(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _showing(action: str) -> list[str]:
    """The scenarios that ship in which an action happens."""
    happens = re.compile(rf"action:\s*{re.escape(action)}\b")
    files = sorted(LIBRARY.glob("*.yaml"), key=lambda path: path.stem)
    return [path.stem for path in files if happens.search(path.read_text(encoding="utf-8"))]


def print_attacks(entries: Sequence[dict[str, Any]]) -> None:
    """The catalogue as a table, family by family."""
    table = _table("action", "what it does", widest=[1])
    for family, group in itertools.groupby(entries, key=lambda entry: entry["family"]):
        table.add_row(Text(family, "bold"), "")
        for entry in group:
            table.add_row(f"  {entry['name']}", entry["what"])
    _print(table)
    _print(Text("evelab attacks NAME: its sign, what it gets, what stands against it, and where it is shown"))


def print_attack(entry: dict[str, Any]) -> None:
    """One entry of the catalogue."""
    rows = [("sign", entry["sign"]), ("gets", entry["gets"])]
    rows += [("defences", ", ".join(entry["defences"]) or "none"), ("source", entry["source"])]
    rows += [("shown by", ", ".join(_glued(name) for name in entry["scenarios"]) or "–")]
    title = Text.assemble((entry["name"], "bold"), f" ({entry['family']})")
    parameters = []
    for p in entry["parameters"]:
        default = "required" if p["default"] is None else f"default {_spelled(p['default'], p['unit'])}"
        choices = f" ({', '.join(p['choices'])})" if p["choices"] else ""
        parameters.append((p["name"], f"{p['doc']}{choices}; {default}"))
    _print(title, Text(entry["what"]), _pairs(rows))
    if parameters:
        _print(Text(), Text("parameters", "bold"), _pairs(parameters))


def _spelled(value: object, dimension: str) -> str:
    """A default as a scenario file would write it."""
    if isinstance(value, list):
        return _glued(f"[{', '.join(value)}]")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        known = {"fraction": FRACTION, "s": TIME, "/s": RATE, "dB": RATIO}
        return _quantity(value, known[dimension], 12) if dimension in known else f"{value:g}"
    return str(value)
