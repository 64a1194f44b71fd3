"""What the command prints: tables that fit 80 columns, and progress on a terminal."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from netsim.errors import ScenarioError
from nodes.attacks.catalogue import CATALOGUE
from scenarios.runner import Result
from scenarios.schema import Scenario
from scenarios.units import BIT_RATE, BITS, FRACTION, TIME, Dimension, format_quantity

WIDTH = 80


def _console() -> Console:
    """Standard output; 80 columns where it is not a terminal, and never wider than 100."""
    console = Console(highlight=False)
    console.width = min(console.width, 100) if console.is_terminal else WIDTH
    return console


class Progress:
    """A bar on standard error, if that is a terminal."""

    def __init__(self, name: str) -> None:
        console = Console(stderr=True)
        self._bar = Bar(
            TextColumn(f"{name}  {{task.fields[now]}}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("", now="starting", total=1.0)
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
    console, s = _console(), result.summary
    link, keys, queries, eve = s["link"], s["keys"], s["queries"], s["eve"]
    passed = s["verdict"] == "pass"
    head = Text.assemble(
        (f" {s['verdict'].upper()} ", "bold white on green" if passed else "bold white on red"),
        f"  {s['scenario']}, seed {s['seed']}: {s['simulated_s']:g} s simulated in {s['wall_s']:.1f} s over {s['fabric']}",
    )
    console.print(head, soft_wrap=True)

    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0), expand=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    made = link["blocks"] - link["blocks_aborted"]
    light = f"{_count(link['pulses_sent'])} pulses, {_count(link['detections'])} detections"
    rates = (_quantity(link["secret_key_rate_bps"], BIT_RATE), _quantity(link["net_key_rate_bps"], BIT_RATE))
    spent = f"{_count(keys['delivered_bits'])} bits delivered, {_count(keys['consumed_bits'])} consumed"
    efficiency, epsilon = _plain(link["reconciliation_efficiency"]), _plain(link["epsilon"])
    rows = [
        ("link", f"{link['protocol']}: {light}, {_count(link['sifted_bits'])} bits sifted"),
        ("", f"QBER {_quantity(link['qber'], FRACTION)}{_chsh(link)}"),
        ("blocks", f"{made} gave key, {link['blocks_aborted']} aborted{_reasons(link['abort_reasons'])}"),
        ("key", f"{_count(link['secret_bits'])} secret bits, {rates[0]} ({rates[1]} net of authentication)"),
        ("", f"reconciliation efficiency {efficiency}, ε {epsilon}{_no_promise(link)}"),
        ("stores", f"{spent}, {keys['reused_bits']} reused, {_count(keys['mismatched_bits'])} mismatched"),
        ("queries", _queries(queries)),
        ("", _latency(queries)),
        ("eve", _eve(eve)),
    ]
    for name, text in rows:
        if text:
            table.add_row(name, text)
    console.print(table)

    if result.verdicts:
        console.print()
        expectations = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        expectations.add_column("expected", overflow="fold")
        expectations.add_column("measured", justify="right", no_wrap=True)
        expectations.add_column("", no_wrap=True)
        for expectation, verdict in zip(s["expect"], result.verdicts, strict=True):
            mark = Text("held", "green") if verdict.passed else Text("FAILED", "bold red")
            expectations.add_row(expectation["expression"], _value(verdict.value), mark)
        console.print(expectations)
    if result.out is not None:
        console.print()
        console.print(f"report: {result.out / 'report.html'}", soft_wrap=True)


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _value(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "–" if value is None else str(value).lower()


def _quantity(value: float | None, dimension: Dimension) -> str:
    return "–" if value is None else format_quantity(value, dimension, 3)


def _chsh(link: dict[str, Any]) -> str:
    if link["chsh_s"] is None:
        return ""
    return f", CHSH S = {link['chsh_s']:.3f} ± {link['chsh_standard_error']:.3f}"


def _reasons(reasons: dict[str, int]) -> str:
    return f" ({', '.join(f'{reason}: {count}' for reason, count in reasons.items())})" if reasons else ""


def _no_promise(link: dict[str, Any]) -> str:
    return ": no security is promised" if link["epsilon"] >= 1 else ""


def _queries(queries: dict[str, Any]) -> str:
    if not queries["issued"]:
        return ""
    parts = [f"{queries['issued']} issued, {queries['answered']} answered"]
    parts += [
        f"{queries[key]} {key.replace('_', ' ')}"
        for key in ("rejected", "lost", "gave_up", "pending")
        if queries[key]
    ]
    accuracy = (
        f", accuracy {_quantity(queries['accuracy'], FRACTION)}" if queries["accuracy"] is not None else ""
    )
    return ", ".join(parts) + accuracy


def _latency(queries: dict[str, Any]) -> str:
    latency = queries["latency_s"]
    if latency["p50"] is None:
        return ""
    return "latency " + ", ".join(
        f"{name} {_quantity(latency[name], TIME)}" for name in ("p50", "p95", "p99")
    )


def _eve(eve: dict[str, Any]) -> str:
    if not eve["attacks"]:
        return "does nothing"
    noticed = (
        f"noticed after {_quantity(eve['detection_delay_s'], TIME)}" if eve["detected"] else "not noticed"
    )
    return (
        f"{', '.join(eve['attacks'])}: {noticed}; knows {_quantity(eve['known_sifted_bits'], BITS)} of sifted key, "
        f"{_quantity(eve['known_key_bits'], BITS)} of final key, {_quantity(eve['known_query_bits'], BITS)} of queries"
    )


def print_scenarios(scenarios: Sequence[Scenario]) -> None:
    """The scenarios that ship."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("scenario", no_wrap=True)
    table.add_column("link", no_wrap=True)
    table.add_column("what to look for", overflow="fold")
    for scenario in scenarios:
        about = " ".join(scenario.about.split())
        sentence = about.split(". ")[0].rstrip(".")
        grain = "" if scenario.link.grain == "pulse" else ", qubits"
        table.add_row(scenario.name, f"{scenario.link.protocol}{grain}", sentence)
    _console().print(table)


def catalogue_entries(name: str | None) -> list[dict[str, Any]]:
    """The catalogue as data; one entry if a name is given.

    Raises:
        ScenarioError: no entry has that name.
    """
    if name is not None and name not in CATALOGUE:
        near = difflib.get_close_matches(name, CATALOGUE, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ScenarioError([f"{name}: no such action{hint}; `evelab attacks` shows them all"])
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
            "parameters": [
                {
                    "name": field.name,
                    "unit": unit.dimension,
                    "default": _default(field.default),
                    "choices": list(unit.choices),
                    "doc": unit.doc,
                }
                for field, unit in action.parameters()
            ],
        }
        for action in ([CATALOGUE[name]] if name is not None else CATALOGUE.values())
    ]


def _default(value: object) -> object:
    return (
        value
        if isinstance(value, str | int | float | bool)
        else list(value)
        if isinstance(value, tuple)
        else None
    )


def print_attacks(entries: Sequence[dict[str, Any]]) -> None:
    """The catalogue as a table."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("action", no_wrap=True)
    table.add_column("what it does", overflow="fold")
    table.add_column("defences", overflow="fold")
    for entry in entries:
        table.add_row(entry["name"], entry["what"], ", ".join(entry["defences"]) or "–")
    _console().print(table)


def print_attack(entry: dict[str, Any]) -> None:
    """One entry of the catalogue."""
    console = _console()
    console.print(Text(entry["name"], "bold"), Text(f"({entry['family']})"))
    console.print(entry["what"])
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for label in ("sign", "gets"):
        table.add_row(label, entry[label])
    table.add_row("defences", ", ".join(entry["defences"]) or "none")
    table.add_row("source", entry["source"])
    for p in entry["parameters"]:
        default = "required" if p["default"] is None else f"default {_spelled(p['default'], p['unit'])}"
        choices = f" ({', '.join(p['choices'])})" if p["choices"] else ""
        table.add_row(p["name"], f"{p['doc']}{choices}; {default}")
    console.print(table)


def _spelled(value: object, dimension: str) -> str:
    if isinstance(value, list):
        return f"[{', '.join(value)}]"
    if dimension == "fraction" and isinstance(value, float):
        return f"{100 * value:g} %"
    return f"{value:g} s" if dimension == "s" and isinstance(value, float) else str(value)
