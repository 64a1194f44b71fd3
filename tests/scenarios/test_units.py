"""Values with units: what is read, what is refused and in which words; text and float are one value."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from scenarios.units import (
    ATTENUATION,
    BIT_RATE,
    BITS,
    FRACTION,
    FREQUENCY,
    LENGTH,
    RATE,
    TIME,
    Bits,
    Dimension,
    Fraction,
    Kilometres,
    Limits,
    Quantity,
    Seconds,
    format_quantity,
    parse_quantity,
)

DIMENSIONS = (TIME, LENGTH, ATTENUATION, FREQUENCY, RATE, FRACTION, BITS, BIT_RATE)


@pytest.mark.parametrize(
    ("text", "dimension", "value"),
    [
        ("10 s", TIME, 10.0),
        ("10s", TIME, 10.0),
        ("  10\u00a0 s ", TIME, 10.0),
        ("0.1 ms", TIME, 1e-4),
        ("5 us", TIME, 5e-6),
        ("5 µs", TIME, 5e-6),
        ("5 \N{GREEK SMALL LETTER MU}s", TIME, 5e-6),
        ("3 ns", TIME, 3e-9),
        ("1.5 min", TIME, 90.0),
        ("2 h", TIME, 7200.0),
        ("0 s", TIME, 0.0),
        ("25 km", LENGTH, 25.0),
        ("500 m", LENGTH, 0.5),
        ("0.2 dB/km", ATTENUATION, 0.2),
        ("4 MHz", FREQUENCY, 4e6),
        ("1e3 kHz", FREQUENCY, 1e6),
        ("1 GHz", FREQUENCY, 1e9),
        ("5 /s", RATE, 5.0),
        ("5/s", RATE, 5.0),
        ("5 Hz", RATE, 5.0),
        ("57 %", FRACTION, 0.57),
        ("30%", FRACTION, 0.3),
        ("0.3", FRACTION, 0.3),
        (0.3, FRACTION, 0.3),
        (1, FRACTION, 1.0),
        (1e-6, FRACTION, 1e-6),
        ("4096 bit", BITS, 4096.0),
        ("1.2 kbit", BITS, 1200.0),
        ("1 Mbit", BITS, 1e6),
        ("2 Gbit", BITS, 2e9),
        ("100 Mbit/s", BIT_RATE, 1e8),
        ("-1 km", LENGTH, -1.0),
        ("+.5e1 km", LENGTH, 5.0),
    ],
)
def test_reads(text: str | float, dimension: Dimension, value: float):
    """A quantity is the exact float its text says, in canonical units."""
    assert parse_quantity(text, dimension) == value


@pytest.mark.parametrize(
    ("value", "dimension", "message"),
    [
        (25, LENGTH, "got 25, expected a length with its unit, like 25 km"),
        (0, TIME, "got 0, expected a time with its unit, like 10 s"),
        ("25", LENGTH, "got 25, expected a length with its unit, like 25 km"),
        (None, TIME, "got nothing, expected a time with its unit, like 10 s"),
        (True, FRACTION, "got true, expected a fraction, like 30 % or 0.3"),
        ([1], LENGTH, "got a list, expected a length with its unit, like 25 km"),
        ({}, LENGTH, "got a mapping, expected a length with its unit, like 25 km"),
        ("", LENGTH, "got an empty text, expected a length with its unit, like 25 km"),
        ("25 kg", LENGTH, "got 25 kg, expected a length in km or m, like 25 km"),
        (
            "4 Mhz",
            FREQUENCY,
            "expected a frequency in Hz, kHz, MHz, GHz or /s, like 4 MHz: did you mean MHz?",
        ),
        ("8 byte", BITS, "expected a number of bits in bit, kbit, Mbit or Gbit, like 4096 bit"),
        ("12:30", TIME, "got 12:30, expected a time with its unit, like 10 s (clock times are not read)"),
        ("010 km", LENGTH, "(a leading zero is ambiguous, older YAML reads octal: write it without)"),
        ("1_000 m", LENGTH, "(write the digits without underscores)"),
        ("1,5 km", LENGTH, "(write a decimal point, and no thousands separators)"),
        ("0x10 m", LENGTH, "(write it in decimal)"),
        ("nan", FRACTION, "(it must be finite)"),
        ("-inf s", TIME, "(it must be finite)"),
        (math.nan, FRACTION, "(it must be finite)"),
        (math.inf, FRACTION, "(it must be finite)"),
        (10**400, FRACTION, "(it must be finite)"),
        ("1e400 s", TIME, "(it must be finite)"),
        ("1e99999999999999999999 s", TIME, "(it must be finite)"),
        ("9" * 70 + " s", TIME, "(it is longer than 64 characters)"),
        ("٣ s", TIME, "expected a time with its unit"),
    ],
)
def test_refuses(value: object, dimension: Dimension, message: str):
    """What is no quantity is refused with what was got, what was expected, and the trap it fell into."""
    with pytest.raises(ValueError, match="expected") as caught:
        parse_quantity(value, dimension)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("value", "dimension", "text"),
    [
        (25.0, LENGTH, "25 km"),
        (0.5, LENGTH, "500 m"),
        (0.0, TIME, "0 s"),
        (1.5, TIME, "1.5 s"),
        (1e-4, TIME, "100 us"),
        (7200.0, TIME, "7200 s"),
        (4e6, FREQUENCY, "4 MHz"),
        (5.0, RATE, "5 /s"),
        (4096, BITS, "4096 bit"),
        (1e8, BIT_RATE, "100 Mbit/s"),
        (0.11, FRACTION, "11 %"),
        (0.0, FRACTION, "0 %"),
        (1e-6, FRACTION, "0.000001"),
        (1e-10, FRACTION, "1e-10"),
    ],
)
def test_writes(value: float, dimension: Dimension, text: str):
    """A value is written with the largest unit of which it is at least one."""
    assert format_quantity(value, dimension) == text


def test_writes_for_a_table():
    """With `digits`, a value is rounded to so many significant ones."""
    assert format_quantity(1234.5678, BIT_RATE, digits=3) == "1.23 kbit/s"
    assert format_quantity(0.0123456, FRACTION, digits=2) == "1.2 %"


@settings(deadline=None)
@given(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300),
    st.sampled_from(DIMENSIONS),
)
def test_text_and_float_are_one_value(value: float, dimension: Dimension):
    """Writing a value and reading it again gives the same float."""
    assert parse_quantity(format_quantity(value, dimension), dimension) == value


@settings(deadline=None)
@given(
    st.one_of(st.text(), st.integers(), st.floats(), st.none(), st.booleans()), st.sampled_from(DIMENSIONS)
)
def test_nothing_but_a_finite_float_or_a_value_error(value: object, dimension: Dimension):
    """Whatever comes in, a finite float or a ValueError comes out."""
    try:
        result = parse_quantity(value, dimension)
    except ValueError:
        return
    assert math.isfinite(result)


def test_annotated_types_read_spell_and_describe():
    """The annotated types read text into the canonical value, dump it as text, and describe it."""
    assert TypeAdapter(Seconds).validate_python("2 ms") == 0.002
    assert TypeAdapter(Kilometres).dump_python(0.5) == "500 m"
    assert TypeAdapter(Fraction).dump_python(1e-6) == 1e-6
    bits = TypeAdapter(Bits).validate_python("1.2 kbit")
    assert (bits, type(bits)) == (1200, int)
    assert TypeAdapter(Kilometres).json_schema()["type"] == "string"
    assert "like 25 km" in TypeAdapter(Kilometres).json_schema()["title"]
    assert TypeAdapter(Fraction).json_schema()["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 1}


@pytest.mark.parametrize(
    ("type_", "value", "message"),
    [
        (Seconds, "-1 s", "got -1 s, expected at least 0 s"),
        (Fraction, "101 %", "got 101 %, expected at least 0 % and at most 100 %"),
        (Bits, "0.5 bit", "got 0.5 bit, expected a whole number, like 4096 bit"),
    ],
)
def test_annotated_types_have_limits(type_: object, value: str, message: str):
    """A value outside its limits is refused in the units of the file."""
    with pytest.raises(ValidationError, match=message.replace(".", r"\.")):
        TypeAdapter(type_).validate_python(value)


def test_open_limits():
    """`above` and `below` exclude their bound."""
    open_unit = Quantity(FRACTION, Limits(above=0, below=1))
    assert open_unit.read(0.5) == 0.5
    for bound in (0, 1):
        with pytest.raises(ValueError, match="expected more than 0 % and less than 100 %"):
            open_unit.read(bound)
