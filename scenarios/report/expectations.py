"""Expectations: what was expected, what was measured, and whether it held."""

from __future__ import annotations

from scenarios.expectations import parse
from scenarios.report import words
from scenarios.report.folder import Run
from scenarios.report.markup import Markup, table, tag

_HELD, _FAILED = tag("span", "✓ held", class_="held"), tag("span", "✗ failed", class_="broken")


def section(run: Run) -> Markup:
    """A row for each."""
    verdicts = run.manifest.expect
    if not verdicts:
        return tag("p", "The scenario states none, so that this run could not fail.")
    rows = [
        (tag("code", v.expression), _measured(v.expression, v.value), _HELD if v.passed else _FAILED)
        for v in verdicts
    ]
    return table(["expected", "measured", "verdict"], rows, ["break", "number", ""])


def _measured(expression: str, value: float | bool | str | None) -> str:
    """The value of an expectation's left side, in the unit of what it is."""
    if value is None:
        return "no value"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value
    try:
        dimension = parse(expression).left.kind.dimension
    except ValueError:  # of another version's language
        dimension = None
    return words.quantity(value, dimension, 4) if dimension else words.plain(value)
