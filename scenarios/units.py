"""Values with units: `25 km`, `0.2 dB/km`, `30 %` to canonical floats, and back to text.

Canonical units: seconds, kilometres, dB/km, hertz, fractions of one, bits, bits per second. The arithmetic
of the conversion is decimal, so that `57 %` is exactly the float 0.57 and a value written by
`format_quantity` reads back as the same float.
"""

from __future__ import annotations

import dataclasses
import decimal
import difflib
import math
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

_LONGEST = 64  # characters of a number or a quantity; nothing sensible is longer
_NUMBER = r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
_QUANTITY = re.compile(rf"({_NUMBER})\s*(.*)", re.DOTALL)
_TRAPS = (
    (re.compile(r"[-+]?0[0-9]"), "a leading zero is ambiguous, older YAML reads octal: write it without"),
    (re.compile(r"[-+]?[0-9]+_"), "write the digits without underscores"),
    (re.compile(r"[-+]?0[xob]", re.IGNORECASE), "write it in decimal"),
    (re.compile(r"[-+]?\.?(?:inf|nan)", re.IGNORECASE), "it must be finite"),
    (re.compile(r"[-+]?[0-9]+:"), "clock times are not read"),
    (re.compile(r"[-+]?[0-9]+,"), "write a decimal point, and no thousands separators"),
)
_DECIMAL = decimal.Context(prec=80, traps=[decimal.InvalidOperation, decimal.Overflow])


def shown(value: Any) -> str:
    """A value as a message names it: short, printable, on one line."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.12g}" if isinstance(value, float) or abs(value) < 10**15 else f"{str(value)[:40]}"
    if isinstance(value, str):
        if not value.strip():
            return "an empty text"
        short = value if len(value) <= 60 else value[:57] + "..."
        return short if short.isprintable() and short == short.strip() else repr(short)
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list | tuple) else type(value).__name__


def listed(words: Iterable[str], last: str = "or") -> str:
    """Words as a message lists them: `a, b or c`."""
    *head, tail = words
    return f"{', '.join(head)} {last} {tail}" if head else tail


def suggestion(word: str, known: Iterable[str]) -> str:
    """`: did you mean X?` when something known is close to `word`, else nothing."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word[:100].casefold(), folded, n=1, cutoff=0.6)
    return f": did you mean {folded[close[0]]}?" if close else ""


def number_trap(text: str) -> str:
    """Why a text that looks like a number is not read as one, in brackets, or nothing."""
    if len(text) > _LONGEST:
        return f" (it is longer than {_LONGEST} characters)"
    return next((f" ({why})" for pattern, why in _TRAPS if pattern.match(text.strip())), "")


@dataclasses.dataclass(frozen=True)
class Dimension:
    """A kind of quantity and the units it may be written in.

    Attributes:
        noun: what a message calls it, with its article.
        example: one value as a file would write it.
        factors: unit → how many canonical units it is, as decimal text.
        written: the units `format_quantity` chooses from, largest first, all powers of ten.
        bare: whether a plain number is read too, as canonical units.
    """

    noun: str
    example: str
    factors: Mapping[str, str] = dataclasses.field(hash=False)
    written: tuple[str, ...]
    bare: bool = False


TIME = Dimension(
    "a time",
    "10 s",
    {
        "s": "1",
        "ms": "1e-3",
        "us": "1e-6",
        "µs": "1e-6",  # micro sign
        "\N{GREEK SMALL LETTER MU}s": "1e-6",
        "ns": "1e-9",
        "ps": "1e-12",
        "min": "60",
        "h": "3600",
    },
    ("s", "ms", "us", "ns", "ps"),
)
LENGTH = Dimension("a length", "25 km", {"km": "1", "m": "1e-3"}, ("km", "m"))
ATTENUATION = Dimension("an attenuation", "0.2 dB/km", {"dB/km": "1"}, ("dB/km",))
POWER = Dimension("a power", "1 mW", {"mW": "1", "W": "1e3", "uW": "1e-3", "nW": "1e-6"}, ("mW", "uW", "nW"))
RATIO = Dimension("a ratio", "60 dB", {"dB": "1"}, ("dB",))
_HERTZ = {"Hz": "1", "kHz": "1e3", "MHz": "1e6", "GHz": "1e9", "/s": "1"}
FREQUENCY = Dimension("a frequency", "4 MHz", _HERTZ, ("GHz", "MHz", "kHz", "Hz"))
RATE = Dimension("a rate", "5 /s", _HERTZ, ("/s",))
FRACTION = Dimension("a fraction", "30 % or 0.3", {"%": "1e-2"}, ("%",), bare=True)
BITS = Dimension(
    "a number of bits",
    "4096 bit",
    {"bit": "1", "kbit": "1e3", "Mbit": "1e6", "Gbit": "1e9"},
    ("bit",),  # key is counted by the bit
)
BIT_RATE = Dimension(
    "a bit rate",
    "100 Mbit/s",
    {"bit/s": "1", "kbit/s": "1e3", "Mbit/s": "1e6", "Gbit/s": "1e9"},
    ("Gbit/s", "Mbit/s", "kbit/s", "bit/s"),
)


def split_quantity(text: str) -> tuple[str, str] | None:
    """The number and the unit (perhaps empty) of a text; None where it does not begin with a number."""
    text = text.strip()
    if len(text) > _LONGEST or number_trap(text):
        return None
    match = _QUANTITY.fullmatch(text)
    return (match[1], match[2]) if match else None


def parse_quantity(value: Any, dimension: Dimension) -> float:
    """The canonical float of a value as a scenario file gives it.

    Args:
        value: a text such as `25 km`; a plain int or float only where the dimension is `bare`.
        dimension: what is expected.

    Raises:
        ValueError: what was got, and what was expected.
    """
    unit_wanted = "" if dimension.bare else " with its unit"
    wrong = f"got {shown(value)}, expected {dimension.noun}{unit_wanted}, like {dimension.example}"
    if isinstance(value, str):
        parts = split_quantity(value)
        if parts is None:
            raise ValueError(wrong + number_trap(value))
        number, unit = parts
        if unit and unit not in dimension.factors:
            units = listed(dimension.factors)
            raise ValueError(
                f"got {shown(value)}, expected {dimension.noun} in {units}, like {dimension.example}"
                f"{suggestion(unit, dimension.factors)}"
            )
        if not unit and not dimension.bare:
            raise ValueError(wrong)
        factor = dimension.factors[unit] if unit else "1"
    elif isinstance(value, int | float) and not isinstance(value, bool) and dimension.bare:
        number, factor = repr(value), "1"
    else:
        raise ValueError(wrong)
    try:
        exact = _DECIMAL.multiply(_DECIMAL.create_decimal(number), _DECIMAL.create_decimal(factor))
    except decimal.DecimalException:
        exact = decimal.Decimal("inf")
    result = float(exact) + 0.0  # -0.0 becomes 0.0
    if not math.isfinite(result):
        raise ValueError(wrong + " (it must be finite)")
    return result


def _digits(number: decimal.Decimal) -> str:
    """A decimal written plainly when that is short, else in scientific notation."""
    number = number.normalize(_DECIMAL)
    if number.is_zero():
        return "0"
    return f"{number:f}" if -6 <= number.adjusted() <= 12 else str(number).lower()


def format_quantity(value: float, dimension: Dimension, digits: int | None = None) -> str:
    """A canonical value as text, in the largest unit of which it is at least one.

    Without `digits`, `parse_quantity(format_quantity(x, d), d) == x` for every finite x.

    Args:
        value: in canonical units.
        dimension: of the value.
        digits: significant digits to keep, for a table; None for all of them.
    """
    exact = decimal.Decimal(repr(float(value)))
    if digits is not None:
        exact = decimal.Context(prec=digits).plus(exact)
    for unit in dimension.written:
        scaled = _DECIMAL.divide(exact, decimal.Decimal(dimension.factors[unit]))
        if abs(scaled) >= 1 or (exact.is_zero() and dimension.factors[unit] == "1"):
            return f"{_digits(scaled)} {unit}"
    if dimension.bare:
        return "0 %" if exact.is_zero() else _digits(exact)
    unit = dimension.written[-1]
    return f"{_digits(_DECIMAL.divide(exact, decimal.Decimal(dimension.factors[unit])))} {unit}"


@dataclasses.dataclass(frozen=True)
class Limits:
    """The values a number may take; every bound in the number's canonical unit."""

    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    below: float | None = None

    def broken_by(self, value: float) -> bool:
        """Whether `value` lies outside."""
        return (
            (self.minimum is not None and value < self.minimum)
            or (self.above is not None and value <= self.above)
            or (self.maximum is not None and value > self.maximum)
            or (self.below is not None and value >= self.below)
        )

    def words(self, dimension: Dimension | None = None) -> str:
        """The bounds in words, `at least 0 km`, or nothing where there are none."""

        def spelled(bound: float) -> str:
            return format_quantity(bound, dimension) if dimension else f"{bound:.12g}"

        bounds = (
            ("at least", self.minimum),
            ("more than", self.above),
            ("at most", self.maximum),
            ("less than", self.below),
        )
        return " and ".join(f"{word} {spelled(bound)}" for word, bound in bounds if bound is not None)

    def keywords(self) -> dict[str, float]:
        """The bounds as JSON Schema keywords of a number."""
        named = {
            "minimum": self.minimum,
            "exclusiveMinimum": self.above,
            "maximum": self.maximum,
            "exclusiveMaximum": self.below,
        }
        return {name: bound for name, bound in named.items() if bound is not None}


UNLIMITED = Limits()


class Reader:
    """How one kind of value is read from a file, written again, and described: a pydantic annotation.

    `Annotated[float, SomeReader(...)]` makes pydantic read the field with `read`, dump it with `spell`, and
    put `describe` into the JSON Schema.
    """

    def read(self, value: Any) -> Any:
        """The value in its canonical form.

        Raises:
            ValueError: what was got, and what was expected.
        """
        raise NotImplementedError

    def spell(self, value: Any) -> Any:
        """The canonical value as a file writes it: `read(spell(x)) == x`."""
        return value

    def describe(self) -> dict[str, Any]:
        """JSON Schema of what `read` takes."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.read, serialization=core_schema.plain_serializer_function_ser_schema(self.spell)
        )

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.describe()


@dataclasses.dataclass(frozen=True)
class Quantity(Reader):
    """A value with a unit, within limits.

    Attributes:
        dimension: what is measured.
        limits: the values allowed, in canonical units.
        whole: whether the canonical value must be an integer, and is then given as `int`.
    """

    dimension: Dimension
    limits: Limits = UNLIMITED
    whole: bool = False

    def read(self, value: Any) -> float:
        """The canonical value, as `parse_quantity`, within the limits."""
        result = parse_quantity(value, self.dimension)
        if self.limits.broken_by(result):
            raise ValueError(f"got {shown(value)}, expected {self.limits.words(self.dimension)}")
        if self.whole:
            if not result.is_integer():
                raise ValueError(
                    f"got {shown(value)}, expected a whole number, like {self.dimension.example}"
                )
            return int(result)
        return result

    def spell(self, value: Any) -> Any:
        """Text with the unit; a plain number for a fraction too small for per cent."""
        text = format_quantity(value, self.dimension)
        return text if text[-1].isalpha() or text[-1] == "%" else float(text)

    def describe(self) -> dict[str, Any]:
        """A text with one of the units; or also a number, for a fraction."""
        bounds = self.limits.words(self.dimension)
        units = listed(self.dimension.factors)
        title = f"{self.dimension.noun} in {units}, like {self.dimension.example}" + (
            bounds and f"; {bounds}"
        )
        unit_pattern = "|".join(re.escape(unit) for unit in self.dimension.factors)
        text = {"type": "string", "pattern": rf"^\s*{_NUMBER}\s*({unit_pattern})\s*$"}
        # Not the description: that is the field's own.
        if not self.dimension.bare:
            return {**text, "title": title}
        return {"anyOf": [{"type": "number", **self.limits.keywords()}, text], "title": title}


Seconds = Annotated[float, Quantity(TIME, Limits(minimum=0))]
Kilometres = Annotated[float, Quantity(LENGTH, Limits(minimum=0))]
DecibelsPerKilometre = Annotated[float, Quantity(ATTENUATION, Limits(minimum=0))]
Hertz = Annotated[float, Quantity(FREQUENCY, Limits(above=0))]
Fraction = Annotated[float, Quantity(FRACTION, Limits(minimum=0, maximum=1))]
Bits = Annotated[int, Quantity(BITS, Limits(minimum=0), whole=True)]
BitsPerSecond = Annotated[float, Quantity(BIT_RATE, Limits(above=0))]
