"""Numbers and reasons in words, as the page tells them."""

from __future__ import annotations

from scenarios.units import BITS, FRACTION, TIME, Dimension, format_quantity

NBSP = "\N{NO-BREAK SPACE}"  # between a number and its unit
_REASONS = {
    "authentication": "an authentication tag did not fit",
    "authentication_key_exhausted": "no key was left to authenticate with",
    "chsh": "the CHSH value was below its bound",
    "malformed_message": "a message made no sense",
    "no_detections": "next to nothing was detected",
    "qber": "the error rate was above its threshold",
    "timeout": "an answer did not come in time",
    "too_short": "too little was left to make key from",
    "verification": "the corrected keys still differed",
    "mac": "the tag did not fit",
    "replay": "it had come before",
    "queue full": "the queue was full",
    "no key for the answer": "no key came for the answer",
    "unknown or spent key": "its key was unknown or spent",
}


def why(reason: str) -> str:
    """A reason to abort a block, or to refuse a message; `answer: mac` keeps what it is about."""
    about, colon, what = reason.rpartition(": ")
    return f"{about}{colon}{_REASONS.get(what, what)}"


def plural(count: int, one: str, many: str = "") -> str:
    """1 block, 2 blocks."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def plain(value: float) -> str:
    """A number without a unit; a count has no decimals."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def bits(count: float) -> str:
    """1,024 bits."""
    number = f"{count:,.0f}" if float(count).is_integer() else f"{count:,.1f}"
    return f"{number}{NBSP}{'bit' if count == 1 else 'bits'}"


def kilo(value: float) -> str:
    """A count on an axis: 150 k."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{NBSP}{unit}"
    return f"{value:g}"


def percent(share: float) -> str:
    """A fraction in per cent, three digits."""
    value = 100 * share
    if value and abs(value) < 1e-3:
        number = scientific(value)
    elif abs(value) >= 99.95:
        number = f"{value:.0f}"
    else:
        number = f"{float(f'{value:.3g}'):g}"
    return f"{number}{NBSP}%"


def share(part: float, whole: float) -> str:
    """A part in per cent of the whole."""
    return percent(part / whole) if whole else "–"


def quantity(value: float | None, dimension: Dimension, digits: int = 3) -> str:
    """A value with its unit, if there is one."""
    if value is None:
        return "–"
    if dimension is FRACTION:
        return percent(value)
    if dimension is BITS:
        return bits(value)
    return format_quantity(value, dimension, digits).replace(" us", " µs").replace(" ", NBSP)


def time(seconds: float | None, digits: int = 3) -> str:
    """How long something takes."""
    return quantity(seconds, TIME, digits)


def clock(seconds: float) -> str:
    """A moment of the run."""
    return f"{seconds:.4f}{NBSP}s"


def scientific(value: float) -> str:
    """1.4 × 10⁻⁹."""
    digits, exponent = f"{value:.1e}".split("e")
    raised = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits.removesuffix('.0')} × 10{raised}"
