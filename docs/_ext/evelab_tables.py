"""Tables that the pages take from the code, so that they cannot drift, and a check of those written by hand.

Directives, for MyST pages:

    scenario-keys   a section for each section of a scenario file: key, default, values, meaning
    timeline-keys   the keys that every timeline entry has
    units           the dimensions and the units they may be written in
    series          what an expectation may name over time
    catalogue       the actions, a row each
    action ID       one action's parameters, sign, gain, defences and source
    messages        the kinds of classical message
    scenarios       the scenarios that ship
    benchmark NAME  the table of results/benchmarks/NAME.json: medians, and goals with whether they were met
    duels SOURCE    attacks against defences, from results/reproduction/attacks: training or queries
    verdicts, claims, detectors   from results/reproduction
    result NAME     what `evelab run NAME --fabric direct` prints: the scenario is run while the pages are built

A build warns, and with -W fails, where a page ought to name something that the code has and does not.
"""  # noqa: INP001  an extension of docs/conf.py, found by its path

from __future__ import annotations

import contextlib
import csv
import inspect
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes as doctree
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from netsim.messages import Message
from nodes.attacks.action import Action
from nodes.attacks.catalogue import CATALOGUE
from nodes.session import ABORT_REASONS
from scenarios import units
from scenarios.console import print_result
from scenarios.expectations import SERIES, SUMMARY_PATHS
from scenarios.loader import LIBRARY, load
from scenarios.results import BLOCK_COLUMNS, DECOY_COLUMNS, INTENSITY_COLUMNS, QUERY_COLUMNS
from scenarios.runner import run
from scenarios.schema import json_schema

_DIMENSIONS = (
    units.TIME,
    units.LENGTH,
    units.ATTENUATION,
    units.FREQUENCY,
    units.RATE,
    units.FRACTION,
    units.BITS,
    units.BIT_RATE,
)
_BOUNDS = (
    ("minimum", "at least"),
    ("exclusiveMinimum", "more than"),
    ("maximum", "at most"),
    ("exclusiveMaximum", "less than"),
)


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, also in a table."""
    for character in "\\`*_[]<>|":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def _code(text: object) -> str:
    return f"`{text}`"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _first_line(thing: type) -> str:
    return (inspect.getdoc(thing) or "").splitlines()[0].rstrip(".")


# A scenario file


def _definition(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The section that a property holds, perhaps optionally; empty when it holds a value."""
    for candidate in (value, *value.get("anyOf", ())):
        if "$ref" in candidate:
            definition: dict[str, Any] = schema["$defs"][candidate["$ref"].rsplit("/", 1)[1]]
            return definition
    return {}


def _values(value: dict[str, Any]) -> str:
    """What a property may be, in words."""
    alternatives = [value, *value.get("anyOf", ())]
    optional = " or `null`" if {"type": "null"} in alternatives else ""
    for kind in alternatives:
        title = kind.get("title", "")
        if ", like " in title:  # a quantity: "a time in s or ms, like 10 s; at least 0 s"
            noun, bounds = title.split(" in ", 1)[0], title.partition("; ")[2]
            bounds = bounds.replace(" %", "\N{NO-BREAK SPACE}%")
            return noun + (f", {bounds}" if bounds else "") + optional
        if "enum" in kind:
            return ", ".join(map(_code, kind["enum"])) + optional
        if "const" in kind:
            return _code(kind["const"])
        if kind.get("type") in ("integer", "number"):
            bounds = " and ".join(f"{word} {kind[key]:,}" for key, word in _BOUNDS if key in kind)
            noun = "a whole number" if kind["type"] == "integer" else "a number"
            return noun + (f", {bounds}" if bounds else "") + optional
        if kind.get("type") == "boolean":
            return "`true` or `false`"
        if kind.get("type") == "array":
            words = kind.get("items", {}).get("enum")
            return f"a list of {', '.join(map(_code, words))}" if words else "a list"
        if kind.get("type") == "string":
            return f"text, {_code(kind['pattern'].strip('^$'))}" if "pattern" in kind else "text"
    return ""


def _default(name: str, value: dict[str, Any], required: Iterable[str]) -> str:
    if name in required or "default" not in value:
        return "required" if name in required else "–"
    default = value["default"]
    if default is None:
        return "`null`"
    if isinstance(default, bool):
        return _code(str(default).lower())
    if isinstance(default, float) and _values(value).startswith("a fraction"):
        return _code(units.format_quantity(default, units.FRACTION) if default >= 0.01 else f"{default:g}")
    if isinstance(default, list):
        return _code(f"[{', '.join(map(str, default))}]")
    return _code(default) if default != "" else "empty"


def _rows(properties: dict[str, Any], required: Iterable[str]) -> Iterator[tuple[str, str, str, str]]:
    for name, value in properties.items():
        yield (
            _code(name),
            _default(name, value, required),
            _values(value),
            _escaped(value.get("description", "")),
        )


_KEY_HEADER = ("key", "default", "value", "meaning")


def _scenario_keys() -> str:
    schema = json_schema()
    parts: list[str] = []

    def section(path: str, definition: dict[str, Any], note: str) -> None:
        properties = definition["properties"]
        inner = {name: _definition(schema, value) for name, value in properties.items()}
        plain = {name: value for name, value in properties.items() if not inner[name]}
        parts.append(f"### {_code(path) if path else 'The top'}\n\n{note}\n")
        parts.append(_table(_KEY_HEADER, _rows(plain, definition.get("required", ()))))
        for name, below in inner.items():
            if below:
                value = properties[name]
                remark = value.get("description", "")
                about = _escaped(below.get("description", "")) + (f" ({_escaped(remark)})" if remark else "")
                section(f"{path}.{name}" if path else name, below, about)

    section("", schema, "Beside the sections below, a file has these keys.")
    return "\n".join(parts)


def _timeline_keys() -> str:
    entry = json_schema()["properties"]["timeline"]["items"]["oneOf"][0]
    common = {name: value for name, value in entry["properties"].items() if name in ("at", "until")}
    rows = [
        *_rows(common, entry["required"]),
        ("`action`", "required", "a name of the catalogue", "what happens"),
    ]
    return _table(_KEY_HEADER, rows)


def _units() -> str:
    rows = []
    for dimension in _DIMENSIONS:
        written = dict.fromkeys(
            unit.replace("\N{GREEK SMALL LETTER MU}", "\N{MICRO SIGN}") for unit in dimension.factors
        )
        bare = ", or a plain number" if dimension.bare else ""
        rows.append((dimension.noun, ", ".join(map(_code, written)) + bare, _escaped(dimension.example)))
    return _table(("value", "units", "example"), rows)


def _series() -> str:
    rows = [(_code(name), kind.noun, _code(aggregate)) for name, (kind, aggregate) in SERIES.items()]
    return _table(("series", "value", "aggregate unless said"), rows)


# The catalogue


def _catalogue() -> str:
    rows = [
        (
            f"[{_code(action.id)}]({_page(action)}#{_anchor(action.id)})",
            _escaped(_first_line(action)),
            action.family,
            _escaped(", ".join(action.defences)) or "–",
        )
        for action in CATALOGUE.values()
    ]
    return _table(("action", "what it does", "family", "defences"), rows)


def _page(action: type[Action]) -> str:
    """The page that an action's own section stands on."""
    return "model.md" if action.family == "model" or action.id.startswith("data.") else "eve.md"


def _anchor(identifier: str) -> str:
    """The anchor of a heading that is an action's name, by the rule of `myst_heading_anchors`."""
    return identifier.replace(".", "").lower()


def _entry(action: type[Action]) -> dict[str, Any]:
    """The JSON Schema of a timeline entry with this action."""
    entries = json_schema()["properties"]["timeline"]["items"]["oneOf"]
    found: dict[str, Any] = next(e for e in entries if e["properties"]["action"].get("const") == action.id)
    return found


def _action(identifier: str) -> str:
    action = CATALOGUE[identifier]
    entry = _entry(action)
    names = [field.name for field, _ in action.parameters()]
    own = {name: entry["properties"][name] for name in names}
    facts = (
        ("Sign", action.sign),
        ("Eve gets", action.gets),
        ("Defences", ", ".join(action.defences) or "none"),
        ("Source", action.source),
    )
    lines = [f"**{name}**\n: {_escaped(text)}\n" for name, text in facts if text != "-"]
    return (
        f"{_escaped(_first_line(action))}.\n\n{_table(_KEY_HEADER, _rows(own, entry['required']))}\n"
        + "\n".join(lines)
    )


# The rest


def _messages() -> str:
    rows = [
        (str(kind.code), _code(kind.kind), _escaped(_first_line(kind)))
        for kind in sorted(Message.__subclasses__(), key=lambda kind: kind.code)
    ]
    return _table(("code", "kind", "what it says"), rows)


def _scenarios() -> str:
    rows = []
    for path in sorted(LIBRARY.glob("*.yaml")):
        scenario = load(path)
        grain = "" if scenario.link.grain == "pulse" else ", qubits"
        rows.append((_code(scenario.name), scenario.link.protocol + grain, _escaped(scenario.about)))
    return _table(("scenario", "link", "what to look for"), rows)


def _result(name: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        print_result(run(name, fabric="direct", write=False))
    lines = "\n".join(line.rstrip() for line in printed.getvalue().splitlines())
    return f"```text\n{lines}\n```\n"


def _benchmark(name: str) -> str:
    path = Path(__file__).parents[2] / "results" / "benchmarks" / f"{name}.json"
    measured = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for row in measured["rows"]:
        goal = ""
        if row["goal"] is not None:
            sign, met = "≥" if row["at_least"] else "≤", "met" if row["met"] else "**missed**"
            goal = f"{sign} {_figure(row['goal'])}, {met}"
        values = [_figure(value) for value in (row["median"], min(row["values"]), max(row["values"]))]
        what = ("– " if row.get("detail") else "") + _escaped(row["what"])
        rows.append((what, *values, row["unit"], goal))
    machine, load = measured["machine"], measured["load_average"]
    told = (
        f"Measured {measured['measured'][:10]} on {machine['cpu']}, {machine['cores']} cores, load {load['before']:.1f} to {load['after']:.1f}; "
        f"Python {machine['python']}, NumPy {machine['numpy']}."
    )
    return _table(("what", "median", "least", "most", "unit", "goal"), rows) + f"\n{told}\n"


def _figure(value: float) -> str:
    """Thousands apart; small ones with three significant digits, four near one."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4f}" if 0.9 < value < 1.5 else f"{value:.3g}"


def _reproduced(what: str, table: str) -> list[dict[str, str]]:
    """Rows of a table of results/reproduction."""
    path = Path(__file__).parents[2] / "results" / "reproduction" / what / f"{table}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _duels(source: str) -> str:
    """Attacks against defences: the harm alone, what a defence leaves of it, what it gains and costs."""
    rows: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for row in _reproduced("attacks", f"duels-{source}"):
        rows.setdefault((row["attack"], row["defence"]), {})[row["quantity"]] = row
    cells = []
    for (attack, defence), told in rows.items():
        alone = defence == "none"
        left, benefit, cost = (
            "–" if alone else _interval(told[name]) for name in ("harm_defended", "benefit", "cost")
        )
        judged = "" if alone else told["benefit"]["judged"]
        cells.append(
            (_escaped(attack), _escaped(defence), _interval(told["harm"]), left, benefit, judged, cost)
        )
    return _table(("attack", "defence", "harm", "left", "benefit", "", "cost"), cells)


def _verdicts() -> str:
    """How many claims came out how, and which."""
    found: dict[str, list[str]] = {}
    for row in _reproduced("paper", "claims"):
        found.setdefault(row["verdict"], []).append(row["claim"])
    order = ("holds", "holds under stated conditions", "does not hold", "cannot be tested")
    rows = [
        (word, str(len(found[word])), ", ".join(map(_code, found[word]))) for word in order if word in found
    ]
    return _table(("verdict", "claims", "which"), rows)


def _claims() -> str:
    """Each claim: what the paper says, what was measured, the verdict and why."""
    rows = [
        (
            f"{_code(row['claim'])}: {_escaped(row['says'])} ({_escaped(row['where'])})",
            _escaped(row["printed"]),
            _escaped(row["ours"]),
            f"**{row['verdict']}**. {_escaped(row['why'])}",
        )
        for row in _reproduced("paper", "claims")
    ]
    return _table(("the paper says", "printed", "ours", "verdict"), rows)


def _detectors() -> str:
    """Detection rates at the same false-alarm rate, on attacks of training and on others."""
    rows: dict[tuple[str, str], dict[str, dict[str, str]]] = {}
    for row in _reproduced("detector", "detectors"):
        rows.setdefault((row["detector"], row["inputs"]), {})[row["group"]] = row
    cells = []
    for (detector, inputs), groups in rows.items():
        shares = [_share(groups[group]) for group in ("honest", "known", "held out", "invisible")]
        area = groups["held out"]["auc"]
        cells.append((detector, inputs or "–", *shares, "–" if area == "nan" else f"{float(area):.2f}"))
    header = (
        "detector",
        "inputs",
        "false alarms",
        "known attacks",
        "held-out attacks",
        "invisible attacks",
        "AUC, held out",
    )
    return _table(header, cells)


def _share(row: dict[str, str]) -> str:
    mean, low, high = (100 * float(row[name]) for name in ("rate", "low", "high"))
    return f"{mean:.1f} % [{low:.1f}, {high:.1f}]"


def _interval(row: dict[str, str]) -> str:
    if not row["mean"] or row["mean"] == "nan":
        return "not told"
    mean, low, high = (float(row[name]) for name in ("mean", "low", "high"))
    return f"{mean:.3f} ± {(high - low) / 2:.3f}"


_GENERATED: dict[str, Callable[..., str]] = {
    "scenario-keys": _scenario_keys,
    "timeline-keys": _timeline_keys,
    "units": _units,
    "series": _series,
    "catalogue": _catalogue,
    "action": _action,
    "messages": _messages,
    "scenarios": _scenarios,
    "benchmark": _benchmark,
    "result": _result,
    "duels": _duels,
    "verdicts": _verdicts,
    "claims": _claims,
    "detectors": _detectors,
}


class _Generated(SphinxDirective):
    """A directive whose content is generated Markdown."""

    optional_arguments: ClassVar[int] = 1
    option_spec: ClassVar[dict[str, Callable[[str], Any]]] = {"class": directives.class_option}

    def run(self) -> list[doctree.Node]:
        """The nodes."""
        self.env.note_reread()  # the code behind it may have changed, whatever the page's date
        text = _GENERATED[self.name](*self.arguments)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


_PROMISES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    *(
        (
            page,
            "{{action}} {}",
            tuple(id_ for id_, action in CATALOGUE.items() if _page(action) == f"{page}.md"),
        )
        for page in ("eve", "model")
    ),
    ("results", "`{}`", (*SUMMARY_PATHS, *BLOCK_COLUMNS, *DECOY_COLUMNS, *INTENSITY_COLUMNS, *QUERY_COLUMNS)),
    ("link", "`{}`", ABORT_REASONS),
)
"""(page, how a name must stand there, the names)."""


def _keep_promises(_: Sphinx, env: BuildEnvironment) -> None:
    log = logging.getLogger(__name__)
    for page, form, names in _PROMISES:
        text = Path(env.doc2path(page)).read_text(encoding="utf-8")
        for name in names:
            if form.format(name) not in text:
                log.warning("%s is in the code and not on the page", name, location=page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives and the check."""
    for name in _GENERATED:
        app.add_directive(name, _Generated)
    app.connect("env-check-consistency", _keep_promises)
    return {"parallel_read_safe": True}
