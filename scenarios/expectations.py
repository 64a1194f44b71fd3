"""The expectation language: `qber during 3 s..6 s > 15 %`, read once and held against a run's results.

    LEFT OP RIGHT
    LEFT    a path into the summary (`queries.latency_s.p95`), or a series: `NAME` or `AGG(NAME)`, with an
            optional window `during T1..T2`, half open; T2 may be `end`
    OP      < <= > >= == !=
    RIGHT   a number with an optional unit, `true`, `false`, `null`, another path into the summary, or for a
            path that holds a word (`link.proof`) that word

Everything inside is SI, so that a number without a unit means seconds, bits, fractions. A value that is
missing makes every comparison false except those with `null`.
"""

from __future__ import annotations

import dataclasses
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from netsim.key_length.finite_key import Term
from netsim.protocols.decoy import NAMES
from scenarios.units import (
    BIT_RATE,
    BITS,
    FRACTION,
    RATE,
    TIME,
    Dimension,
    listed,
    parse_quantity,
    shown,
    split_quantity,
    suggestion,
)

Value: TypeAlias = float | int | bool | str | None


@dataclasses.dataclass(frozen=True)
class Kind:
    """What a value of the results is.

    Attributes:
        noun: what a message calls it.
        dimension: the units it may be compared in, None for a plain number, a flag or a word.
        type: `float` for anything with an order, `bool` or `str`.
    """

    noun: str
    dimension: Dimension | None = None
    type: type = float


_COUNT = Kind("a count")
_NUMBER = Kind("a plain number")
_BITS = Kind("a number of bits", BITS)
_FRACTION = Kind("a fraction", FRACTION)
_TIME = Kind("a time", TIME)
_BIT_RATE = Kind("a bit rate", BIT_RATE)
_RATE = Kind("a rate", RATE)
_FLAG = Kind("true or false", type=bool)
_WORD = Kind("a word", type=str)

SUMMARY_PATHS: dict[str, Kind] = {
    "seed": _COUNT,
    "simulated_s": _TIME,
    "link.protocol": _WORD,
    "link.proof": _WORD,
    "link.pulses_sent": _COUNT,
    "link.detections": _COUNT,
    "link.sifted_bits": _BITS,
    "link.qber": _FRACTION,
    "link.chsh_s": _NUMBER,
    "link.blocks": _COUNT,
    "link.blocks_aborted": _COUNT,
    "link.secret_bits": _BITS,
    "link.secret_key_rate_bps": _BIT_RATE,
    "link.net_key_rate_bps": _BIT_RATE,
    "link.reconciliation_efficiency": _NUMBER,
    "link.epsilon": _FRACTION,
    "link.double_clicks": _COUNT,
    **{f"link.intensities.{name}.{rate}": _FRACTION for name in NAMES for rate in ("gain", "qber")},
    **{f"link.no_key_for.{term}": _COUNT for term in get_args(Term)},
    "keys.delivered_bits": _BITS,
    "keys.consumed_bits": _BITS,
    "keys.reused_bits": _BITS,
    "keys.mismatched_bits": _BITS,
    "keys.exhausted_events": _COUNT,
    "queries.issued": _COUNT,
    "queries.sent": _COUNT,
    "queries.answered": _COUNT,
    "queries.rejected": _COUNT,
    "queries.lost": _COUNT,
    "queries.gave_up": _COUNT,
    "queries.pending": _COUNT,
    "queries.latency_s.p50": _TIME,
    "queries.latency_s.p95": _TIME,
    "queries.latency_s.p99": _TIME,
    "queries.accuracy": _FRACTION,
    "queries.throughput_per_s": _RATE,
    "eve.known_key_bits": _BITS,
    "eve.known_sifted_bits": _BITS,
    "eve.known_query_bits": _BITS,
    "eve.detected": _FLAG,
    "eve.detection_delay_s": _TIME,
    "eve.false_alarms": _COUNT,
    "eve.overheard.messages": _COUNT,
    "eve.overheard.clients": _COUNT,
    "eve.overheard.lengths": _COUNT,
    "model.mode": _WORD,
    "model.training.rows": _COUNT,
    "model.training.poisoned": _COUNT,
    "model.training.removed": _COUNT,
    "model.training.removed_poisoned": _COUNT,
    **{
        f"model.accuracy.{model}": _FRACTION
        for model in ("served", "untouched", "qsvm", "rbf-svm", "logistic")
    },
    "model.doubted": _COUNT,
    "model.canaries.asked": _COUNT,
    "model.canaries.wrong": _COUNT,
    "model.canaries.alarm_s": _TIME,
    "model.delivery.status": _WORD,
    "model.delivery.security": _WORD,
    "model.delivery.fell_back": _FLAG,
    "model.delivery.installed_s": _TIME,
    "model.delivery.parcel_bytes": _COUNT,
    "model.delivery.qkd_bits": _BITS,
    "model.leak.line_bits": _NUMBER,
    "model.leak.server_bits": _NUMBER,
    "model.leak.gram_error": _NUMBER,
    "model.leak.key_bits": _BITS,
    "model.privacy_epsilon": _NUMBER,
    "model.playbook.discarded_bits": _BITS,
    **{
        f"algorithm_2.{check}.verdict": _WORD
        for check in ("composability", "refresh", "leakage", "resources")
    },
}
"""What an expectation may name in the summary; besides these `link.abort_reasons.REASON`, `model.playbook.actions.ACTION` and
`model.delivery.refused.CAUSE`, 0 where none did, and `model.attacks.VERB.FIGURE`, a plain number.

Left out on purpose: what depends on the machine (`wall_s`, `out`), what the expectations decide (`verdict`), and tables and
lists, which have no order.
"""
_ABORT_REASONS = "link.abort_reasons"
_TALLIES = (_ABORT_REASONS, "link.no_key_for", "model.playbook.actions", "model.delivery.refused")
"""What never occurred is not in these tables: that is a count of zero."""

SERIES: dict[str, tuple[Kind, str]] = {
    "qber": (_FRACTION, "pooled"),
    "chsh": (_NUMBER, "mean"),
    "sifted_bits": (_BITS, "sum"),
    "secret_bits": (_BITS, "sum"),
    "blocks_aborted": (_COUNT, "sum"),
    "latency": (_TIME, "p50"),
    "answered": (_COUNT, "sum"),
    "rejected": (_COUNT, "sum"),
    "lost": (_COUNT, "sum"),
    "accuracy": (_FRACTION, "pooled"),
    "stored_bits": (_BITS, "mean"),
    "exhausted": (_COUNT, "sum"),
}
"""What an expectation may name over time: kind, and how it is aggregated when the expectation does not say.

`pooled` is the sum of the numerators over the sum of the denominators: errors over tested bits.
"""

AGGREGATES: dict[str, Callable[[npt.NDArray[np.float64]], float]] = {
    "mean": lambda values: float(np.mean(values)),
    "min": lambda values: float(np.min(values)),
    "max": lambda values: float(np.max(values)),
    "sum": lambda values: float(np.sum(values)),
    "last": lambda values: float(values[-1]),
    "count": lambda values: float(values.size),
    "p50": lambda values: float(np.percentile(values, 50)),
    "p95": lambda values: float(np.percentile(values, 95)),
    "p99": lambda values: float(np.percentile(values, 99)),
}

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_OPEN_ENDED = re.compile(
    r"(link\.abort_reasons|model\.attacks\.[a-z_0-9]+|model\.playbook\.actions|model\.delivery\.refused)\.[a-z][a-z0-9_-]*"
)
"""Paths whose last names come from what happened."""
_OPERATOR = re.compile(r"[<>=!]+")
_CALL = re.compile(r"(\w+)\s*\(\s*([\w.]*)\s*\)")
_LONGEST = 500  # characters of an expression


@dataclasses.dataclass(frozen=True)
class Column:
    """One quantity over the run, a row per event.

    Attributes:
        t_s: float64 [n], when each event happened, in simulated seconds.
        numerator: float64 [n], the value; or errors, correct answers where there is a denominator.
        denominator: float64 [n], tested bits, answers; None where the value stands alone.
    """

    t_s: npt.NDArray[np.float64]
    numerator: npt.NDArray[np.float64]
    denominator: npt.NDArray[np.float64] | None = None


Series: TypeAlias = Mapping[str, Column]
"""The run over time: `SERIES` name → column. A name may be absent: its value is then missing."""


@dataclasses.dataclass(frozen=True)
class SummaryValue:
    """A path into the summary."""

    path: str

    @property
    def kind(self) -> Kind:
        """What the path holds."""
        return SUMMARY_PATHS.get(self.path, _NUMBER if self.path.startswith("model.attacks.") else _COUNT)

    def evaluate(self, summary: Mapping[str, Any], _series: Series) -> Value:
        """The value under the path, None when missing or not a number."""
        value: Any = summary
        *sections, name = self.path.split(".")
        for section in sections:
            value = value.get(section) if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping):
            return None
        value = value.get(name, 0 if ".".join(sections) in _TALLIES else None)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float) and math.isnan(value):
            return None
        return value if isinstance(value, int | float | str) else None


@dataclasses.dataclass(frozen=True)
class SeriesValue:
    """A series aggregated over a window.

    Attributes:
        series: a name of `SERIES`.
        aggregate: a name of `AGGREGATES`, or "pooled".
        from_s: the window's start.
        until_s: the window's end, exclusive; infinite for the end of the run.
    """

    series: str
    aggregate: str
    from_s: float = 0.0
    until_s: float = math.inf

    @property
    def kind(self) -> Kind:
        """What the aggregate is."""
        return _COUNT if self.aggregate == "count" else SERIES[self.series][0]

    def evaluate(self, _summary: Mapping[str, Any], series: Series) -> float | None:
        """The aggregate; None without data, but a sum or a count of no events is 0."""
        column = series.get(self.series)
        if column is None:
            return None
        t_s = np.asarray(column.t_s, dtype=np.float64)
        numerator = np.asarray(column.numerator, dtype=np.float64)
        denominator = np.ones_like(numerator)
        if column.denominator is not None:
            denominator = np.asarray(column.denominator, dtype=np.float64)
        used = (t_s >= self.from_s) & (t_s < self.until_s) & (denominator > 0) & np.isfinite(numerator)
        order = np.argsort(t_s[used], kind="stable")
        numerator, denominator = numerator[used][order], denominator[used][order]
        if self.aggregate in {"sum", "count"} or numerator.size:
            if self.aggregate == "pooled":
                return float(numerator.sum() / denominator.sum())
            return AGGREGATES[self.aggregate](numerator / denominator)
        return None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """How an expectation came out.

    Attributes:
        expression: the expectation's text.
        value: what its left side was, SI; None when missing.
        passed: whether it held.
    """

    expression: str
    value: Value
    passed: bool


@dataclasses.dataclass(frozen=True)
class Expectation:
    """One parsed expectation.

    Attributes:
        expression: its text.
        left: the value it looks at.
        operator: a name of `OPERATORS`.
        right: what it is compared with: an SI value, None for `null`, or another summary value.
    """

    expression: str
    left: SummaryValue | SeriesValue
    operator: str
    right: SummaryValue | Value

    def evaluate(self, summary: Mapping[str, Any], series: Series) -> Verdict:
        """Hold the expectation against a run.

        Args:
            summary: the public summary, nested mappings of SI values.
            series: the run over time.
        """
        left = self.left.evaluate(summary, series)
        right = self.right.evaluate(summary, series) if isinstance(self.right, SummaryValue) else self.right
        if self.right is None:
            passed = (left is None) == (self.operator == "==")
        else:
            passed = left is not None and right is not None and bool(OPERATORS[self.operator](left, right))
        return Verdict(self.expression, left, passed)


def parse(text: str) -> Expectation:
    """Read one expectation.

    Args:
        text: `LEFT OP RIGHT`, as the module's docstring says.

    Raises:
        ValueError: what is wrong at which character (counted from 1), and what is allowed there.
    """
    if len(text) > _LONGEST:
        raise ValueError(f"an expectation of {len(text)} characters, expected at most {_LONGEST}")
    operators = list(_OPERATOR.finditer(text))
    if not operators:
        raise ValueError(
            f"got {shown(text)}, expected a comparison LEFT OP RIGHT with OP one of "
            f"{listed(OPERATORS)}, like qber < 5 %"
        )
    first = operators[0]
    if first[0] not in OPERATORS:
        hint = ": write ==" if first[0] == "=" else ""
        raise _fault(text, first.start(), f"got {first[0]}, expected one of {listed(OPERATORS)}{hint}")
    if len(operators) > 1:
        raise _fault(text, operators[1].start(), f"got a second {operators[1][0]}, expected one comparison")
    left = _left(text, first.start())
    right = _right(text, first, left)
    return Expectation(text, left, first[0], right)


def _fault(text: str, start: int, message: str) -> ValueError:
    """A fault at character `start` of `text`, or at the first character after it that is not a space."""
    while start < len(text) and text[start].isspace():
        start += 1
    return ValueError(f"at character {start + 1}: {message}")


def _left(text: str, end: int) -> SummaryValue | SeriesValue:
    """The left side: `text` up to `end`."""
    left = text[:end]
    if not left.strip():
        raise ValueError("at character 1: got nothing, expected a path into the summary or a series")
    during = re.search(r"\sduring(?=\s|$)", left)
    head = left[: during.start()] if during else left
    call = _CALL.fullmatch(head.strip())
    name = call[2] if call else head.strip()
    at = head.index(name, head.index("(") + 1) if call else 0
    if call and call[1] not in AGGREGATES:
        raise _fault(
            text,
            0,
            f"unknown aggregate {call[1]}, expected {listed(AGGREGATES)}{suggestion(call[1], AGGREGATES)}",
        )
    if name in SERIES:
        from_s, until_s = _window(text, during.end(), end) if during else (0.0, math.inf)
        return SeriesValue(name, call[1] if call else SERIES[name][1], from_s, until_s)
    path = _path(name)
    if path is None:
        known = SERIES if call or during else [*SERIES, *SUMMARY_PATHS]
        what = "series" if call or during else "series or summary path"
        hint = _nearest(name, known) or f", expected one of {listed(SERIES)}"
        raise _fault(text, at, f"unknown {what} {shown(name)}{hint}")
    if call:
        raise _fault(text, at, f"{name} is one value, expected a series in brackets: {listed(SERIES)}")
    if during:
        raise _fault(
            text, during.start(), f"{name} covers the whole run, `during` needs a series: {listed(SERIES)}"
        )
    return path


def _path(name: str) -> SummaryValue | None:
    """The summary value called `name`, None when there is none."""
    known = name in SUMMARY_PATHS or _OPEN_ENDED.fullmatch(name)
    return SummaryValue(name) if known else None


def _nearest(name: str, known: Mapping[str, Any] | list[str]) -> str:
    """Did-you-mean, also for a path without its section: `p95` or `reused_bits`."""
    ends = [path for path in known if path.endswith(f".{name}")]
    return f": did you mean {listed(ends)}?" if name and ends else suggestion(name, known)


def _window(text: str, start: int, end: int) -> tuple[float, float]:
    """The window `T1..T2` in `text[start:end]`, in seconds."""
    from_text, dots, until_text = text[start:end].partition("..")
    if not dots:
        raise _fault(
            text,
            start,
            f"got {shown(from_text.strip())}, expected a window T1..T2, like 3 s..6 s or 3 s..end",
        )
    try:
        from_s = parse_quantity(from_text.strip(), TIME)
    except ValueError as error:
        raise _fault(text, start, str(error)) from None
    if from_s < 0:
        raise _fault(text, start, f"got {from_text.strip()}, expected at least 0 s")
    if until_text.strip() == "end":
        return from_s, math.inf
    until_at = start + len(from_text) + 2
    try:
        until_s = parse_quantity(until_text.strip(), TIME)
    except ValueError as error:
        raise _fault(text, until_at, f"{error}, or end") from None
    if until_s <= from_s:
        raise _fault(
            text,
            until_at,
            f"got {until_text.strip()}, expected later than the window's start ({from_text.strip()})",
        )
    return from_s, until_s


def _right(text: str, comparison: re.Match[str], left: SummaryValue | SeriesValue) -> SummaryValue | Value:
    """The right side: `text` after the comparison, fitting the left side's kind."""
    at, word, kind = comparison.end(), text[comparison.end() :].strip(), left.kind
    if not word:
        raise _fault(text, at, f"got nothing, expected {_allowed(kind)}")
    words: dict[str, Value] = {"true": True, "false": False, "null": None}
    if word in words:
        if word != "null" and kind.type is not bool:
            raise _fault(text, at, f"got {word}, but the left side is {kind.noun}: expected {_allowed(kind)}")
        _no_order(text, comparison, kind, word)
        return words[word]
    path = _path(word)
    if path is not None:
        if path.kind != kind:
            raise _fault(text, at, f"{word} is {path.kind.noun}, but the left side is {kind.noun}")
        _no_order(text, comparison, kind, word)
        return path
    if kind.type is str and re.fullmatch(r"[a-z][a-z0-9-]*", word):
        _no_order(text, comparison, kind, word)
        return word
    if re.match(r"[-+.]?[0-9]", word):
        return _number(text, at, word, kind)
    if word in SERIES:
        raise _fault(text, at, f"{word} is a series, expected {_allowed(kind)}")
    hint = _nearest(word, list(SUMMARY_PATHS)) or f", expected {_allowed(kind)}"
    raise _fault(text, at, f"got {shown(word)}{hint}")


def _number(text: str, at: int, word: str, kind: Kind) -> float:
    """A number with an optional unit that fits `kind`, in SI."""
    parts = split_quantity(word)
    if kind.type is float and parts is not None and (kind.dimension is not None or not parts[1]):
        try:
            # Without a unit the number is SI already; a fraction reads the same either way.
            return parse_quantity(word, kind.dimension if parts[1] and kind.dimension else FRACTION)
        except ValueError:
            pass  # the message below says more: what the left side is
    raise _fault(text, at, f"got {shown(word)}, but the left side is {kind.noun}: expected {_allowed(kind)}")


def _no_order(text: str, comparison: re.Match[str], kind: Kind, word: str) -> None:
    """Refuse < and > where there is no order."""
    if comparison[0] not in {"==", "!="} and (kind.type is not float or word == "null"):
        raise _fault(text, comparison.start(), f"got {comparison[0]} with {word}, expected == or !=")


def _allowed(kind: Kind) -> str:
    """What may stand on the right of a value of this kind."""
    if kind.type is bool:
        return "true, false, null or another summary path that holds true or false"
    if kind.type is str:
        return "a word, null or another summary path that holds a word"
    example = f"a number, like {kind.dimension.example}" if kind.dimension else "a number without a unit"
    return f"{example}, null, or another summary path that holds {kind.noun}"
