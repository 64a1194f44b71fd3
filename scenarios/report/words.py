"""Numbers and reasons in words, as the page tells them."""

from __future__ import annotations

from collections.abc import Mapping

from scenarios.units import BITS, FRACTION, TIME, Dimension, format_quantity

NBSP = "\N{NO-BREAK SPACE}"  # between a number and its unit
_REASONS = {
    "alarm": "the alarm of the telemetry stood",
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


_ATE = {
    "detections": "nothing was detected to make key from",
    "amplification": "what Eve may know took it all, as it would in a block of any size",
    "statistics": "the allowance for statistics took it all; a larger block would leave some",
    "reconciliation": "correcting the errors took it all, as it would in a block of any size",
    "epsilon": "the price of ε took it all; a larger block would leave some",
}
"""Why a key length is 0, by the term that ate it."""


def no_key(eaten: Mapping[str, int]) -> str:
    """Why blocks gave no key: which term ate it, and in how many of them, the most frequent first."""
    ordered = sorted(eaten.items(), key=lambda item: -item[1])
    return "; ".join(
        (f"in {plural(count, 'block')} " if len(ordered) > 1 else "") + _ATE.get(term, term)
        for term, count in ordered
    )


def telemetry(reason: str) -> bool:
    """Whether it is an alarm of the telemetry that gives this reason."""
    return reason.startswith("telemetry: ")


def why(reason: str) -> str:
    """A reason to abort a block, to refuse a message, or for an alarm; `answer: mac` keeps what it is about."""
    about, colon, what = reason.rpartition(": ")
    if telemetry(reason):
        return f"{what} what is usual"
    return f"{about}{colon}{_REASONS.get(what, what)}"


def plural(count: int, one: str, many: str = "") -> str:
    """1 block, 2 blocks."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def plain(value: float) -> str:
    """A number without a unit; a count has no decimals."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def count(number: int) -> str:
    """How many; a great many to three digits."""
    return f"{number:,}" if number < 1e8 else scientific(number, 2)


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
    """A fraction in per cent, three digits; a tiny one as the number it is."""
    value = 100 * share
    if value and abs(value) < 1e-3:
        return scientific(share)
    number = f"{value:.0f}" if abs(value) >= 99.95 else f"{float(f'{value:.3g}'):g}"
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


def scientific(value: float, decimals: int = 1) -> str:
    """1.4 × 10⁻⁹."""
    digits, exponent = f"{value:.{decimals}e}".split("e")
    power = f"10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"
    return power if float(digits) == 1 else f"{float(digits):g} × {power}"
