"""How the values of a scenario file that are no quantities are read, spelled again and described in the JSON Schema; a section's base.

Quantities with units are read in `scenarios.units`.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from scenarios.expectations import Expectation, parse
from scenarios.units import (
    RATIO,
    TIME,
    UNLIMITED,
    Limits,
    Quantity,
    Reader,
    format_quantity,
    listed,
    number_trap,
    shown,
    suggestion,
)

NODES = ("alice", "eve", "bob", "server")
"""The nodes a scenario may name."""

_QUOTED_NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")


@dataclasses.dataclass(frozen=True)
class Integer(Reader):
    """A whole number within limits; `1e6` is one."""

    limits: Limits = UNLIMITED

    def read(self, value: Any) -> int:
        """The number as `int`."""
        number = Number(self.limits, noun="an integer").read(value)
        if isinstance(number, float) and not number.is_integer():
            raise ValueError(f"got {shown(value)}, expected an integer")
        return int(number)

    def describe(self) -> dict[str, Any]:
        """An integer."""
        return {"type": "integer", **self.limits.keywords()}


@dataclasses.dataclass(frozen=True)
class Number(Reader):
    """A plain number within limits."""

    limits: Limits = UNLIMITED
    noun: str = "a number"

    def read(self, value: Any) -> float | int:
        """The number, still an `int` where the file had one."""
        bounds = self.limits.words()
        expected = f"expected {self.noun}" + (bounds and f", {bounds}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            hint = ""
            if isinstance(value, str):
                quoted = _QUOTED_NUMBER.fullmatch(value)
                hint = number_trap(value) or (" (write it without quotes)" if quoted else "")
            raise ValueError(f"got {shown(value)}, {expected}{hint}")  # noqa: TRY004 (pydantic collects ValueErrors)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"got {shown(value)}, {expected} (it must be finite)")
        if self.limits.broken_by(value):
            raise ValueError(f"got {shown(value)}, {expected}")
        return value

    def describe(self) -> dict[str, Any]:
        """A number."""
        return {"type": "number", **self.limits.keywords()}


class RealNumber(Number):
    """A plain number within limits, as `float`."""

    def read(self, value: Any) -> float:
        """The number as `float`."""
        return float(super().read(value))


class Flag(Reader):
    """`true` or `false`, and no other word for them."""

    def read(self, value: Any) -> bool:
        """The boolean."""
        if not isinstance(value, bool):
            raise ValueError(f"got {shown(value)}, expected a boolean: write true or false")  # noqa: TRY004 (pydantic collects ValueErrors)
        return value

    def describe(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclasses.dataclass(frozen=True)
class Text(Reader):
    """Text, perhaps of a given form.

    Attributes:
        pattern: a regular expression for the whole text, None for any.
        expected: what the pattern means, for the message.
    """

    pattern: str | None = None
    expected: str = "text"

    def read(self, value: Any) -> str:
        """The text."""
        if not isinstance(value, str):
            hint = "" if isinstance(value, Mapping | list | tuple) else ": put it in quotes"
            raise ValueError(f"got {shown(value)}, expected {self.expected}{hint}")  # noqa: TRY004 (pydantic collects ValueErrors)
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise ValueError(f"got {shown(value)}, expected {self.expected}")
        return value

    def describe(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string"} | ({"pattern": f"^{self.pattern}$"} if self.pattern else {})


@dataclasses.dataclass(frozen=True)
class Choice(Reader):
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: Any) -> str:
        """The word."""
        if not isinstance(value, str) or value not in self.words:
            hint = suggestion(value, self.words) if isinstance(value, str) else ""
            raise ValueError(f"got {shown(value)}, expected {listed(self.words)}{hint}")
        return value

    def describe(self) -> dict[str, Any]:
        """A constant, or an enumeration."""
        return {"const": self.words[0]} if len(self.words) == 1 else {"enum": list(self.words)}


class Hop(Choice):
    """A choice of two nodes joined by a hyphen."""

    def read(self, value: Any) -> str:
        """The hop."""
        if isinstance(value, str):
            for node in value.split("-"):
                if node and node not in NODES:
                    known = listed(NODES, "and")
                    raise ValueError(
                        f"got {shown(value)}, but no node is called {shown(node)} (the nodes are {known}), "
                        f"expected {listed(self.words)}"
                    )
        return super().read(value)


@dataclasses.dataclass(frozen=True)
class Names(Reader):
    """A list of different words out of a few, at least one."""

    words: tuple[str, ...]

    def read(self, value: Any) -> tuple[str, ...]:
        """The words."""
        if not isinstance(value, list | tuple) or not value:
            example = f"[{self.words[0]}]"
            raise ValueError(f"got {shown(value)}, expected a list of {listed(self.words)}, like {example}")
        names = tuple(Choice(self.words).read(name) for name in value)
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"got {name} more than once, expected each name once")
        return names

    def spell(self, value: Any) -> Any:
        """A list."""
        return list(value)

    def describe(self) -> dict[str, Any]:
        """An array of an enumeration."""
        items = Choice(self.words).describe()
        return {"type": "array", "items": items, "minItems": 1, "uniqueItems": True}


class Words(Reader):
    """A list of any words, perhaps none."""

    def read(self, value: Any) -> tuple[str, ...]:
        """The words."""
        if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
            raise ValueError(f"got {shown(value)}, expected a list of words, like [duration, src_bytes]")
        return tuple(value)

    def spell(self, value: Any) -> Any:
        """A list."""
        return list(value)

    def describe(self) -> dict[str, Any]:
        """An array."""
        return {"type": "array", "items": {"type": "string"}}


@dataclasses.dataclass(frozen=True)
class Numbers(Reader):
    """A short list of plain numbers within limits, at least one."""

    limits: Limits
    most: int

    def read(self, value: Any) -> tuple[float, ...]:
        """The numbers."""
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= self.most:
            raise ValueError(
                f"got {shown(value)}, expected a list of 1 to {self.most} numbers, like [0.5, 0.1]"
            )
        return tuple(RealNumber(self.limits).read(number) for number in value)

    def spell(self, value: Any) -> Any:
        """A list."""
        return list(value)

    def describe(self) -> dict[str, Any]:
        """An array."""
        items = RealNumber(self.limits).describe()
        return {"type": "array", "items": items, "minItems": 1, "maxItems": self.most}


class LossTable(Reader):
    """A table of times and losses, ascending in time."""

    def read(self, value: Any) -> tuple[tuple[float, float], ...]:
        """Pairs of seconds and decibels."""
        expected = "expected a list of pairs in ascending time, like [[0 s, 30 dB], [100 s, 25 dB]]"
        if not isinstance(value, list | tuple) or not all(
            isinstance(row, list | tuple) and len(row) == 2 for row in value
        ):
            raise ValueError(f"got {shown(value)}, {expected}")
        at_least_0 = Limits(minimum=0)
        rows = tuple(
            (Quantity(TIME, at_least_0).read(t), Quantity(RATIO, at_least_0).read(loss)) for t, loss in value
        )
        if any(later[0] <= earlier[0] for earlier, later in itertools.pairwise(rows)):
            raise ValueError(f"got {shown(value)}, {expected}")
        return rows

    def spell(self, value: Any) -> Any:
        """Pairs of quantities."""
        return [[format_quantity(t, TIME), format_quantity(loss, RATIO)] for t, loss in value]

    def describe(self) -> dict[str, Any]:
        """An array of pairs."""
        pair = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
        return {"type": "array", "items": pair}


class Expected(Reader):
    """An expectation, in the language of `scenarios.expectations`."""

    def read(self, value: Any) -> Expectation:
        """The parsed expectation."""
        if not isinstance(value, str):
            raise ValueError(f"got {shown(value)}, expected a comparison in one text, like qber < 5 %")  # noqa: TRY004 (pydantic collects ValueErrors)
        return parse(value.strip())

    def spell(self, value: Any) -> Any:
        """Its text."""
        return value.expression

    def describe(self) -> dict[str, Any]:
        """A string."""
        return {
            "type": "string",
            "description": "LEFT OP RIGHT, like qber during 3 s..6 s > 15 %",
            "pattern": "[<>=!]",
        }


class Section(BaseModel):
    """Base of the file's sections: immutable, and strict about keys and types."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
