"""The expectation language: what it reads, what it refuses, and what it makes of a run."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenarios.expectations import (
    AGGREGATES,
    SERIES,
    SUMMARY_PATHS,
    Column,
    SeriesValue,
    SummaryValue,
    parse,
)

SUMMARY: dict[str, Any] = {
    "simulated_s": 10.0,
    "link": {
        "protocol": "bb84",
        "proof": "trusted",
        "qber": 0.012,
        "chsh_s": None,
        "blocks": 4,
        "blocks_aborted": 1,
        "abort_reasons": {"qber": 1},
        "double_clicks": 12,
        "intensities": {"signal": {"mean_photons": 0.5, "gain": 0.06, "qber": 0.02}},
        "no_key_for": {"statistics": 3},
        "net_key_rate_bps": 1500.0,
        "reconciliation_efficiency": math.nan,
    },
    "keys": {"delivered_bits": 1000, "consumed_bits": 800, "reused_bits": np.int64(0)},
    "queries": {"latency_s": {"p50": 0.004, "p95": 0.02}, "accuracy": 0.95},
    "eve": {
        "attacks": [],
        "detected": False,
        "detection_delay_s": None,
        "false_alarms": 0,
        "overheard": {"messages": 40, "clients": 2, "lengths": 1},
    },
}

RUN = {
    # Errors and tested bits of four blocks: the second and the third under attack.
    "qber": Column(
        np.array([1.0, 3.0, 5.0, 7.0]),
        np.array([1.0, 50.0, 30.0, 2.0]),
        np.array([100.0, 200.0, 100.0, 100.0]),
    ),
    "latency": Column(np.array([0.5, 2.0, 4.0, 6.0]), np.array([0.001, 0.002, 0.003, 0.004])),
    "lost": Column(np.array([]), np.array([])),
    "stored_bits": Column(np.array([3.0, 1.0, 2.0]), np.array([30.0, 10.0, 20.0])),
    "accuracy": Column(np.array([1.0, 2.0]), np.array([0.0, 0.0]), np.array([0.0, 0.0])),
}


@pytest.mark.parametrize(
    "expression",
    [
        "link.qber < 5 %",
        "link.qber < 0.02",
        "link.qber<=1.2 %",
        "link.net_key_rate_bps > 1.2 kbit/s",
        "link.net_key_rate_bps >= 1500",
        "link.chsh_s == null",
        "link.qber != null",
        "link.reconciliation_efficiency == null",
        "link.protocol == bb84",
        "link.proof != device-independent",
        "link.blocks_aborted < link.blocks",
        "link.abort_reasons.qber == 1",
        "link.abort_reasons.authentication == 0",
        "link.double_clicks == 12",
        "link.intensities.signal.gain > 5 %",
        "link.intensities.signal.qber == 0.02",
        "link.intensities.vacuum.gain == null",
        "link.no_key_for.statistics == 3",
        "link.no_key_for.epsilon == 0",
        "eve.false_alarms == 0",
        "eve.overheard.messages > 10",
        "eve.overheard.clients == 2",
        "keys.consumed_bits <= keys.delivered_bits",
        "keys.delivered_bits == 1 kbit",
        "keys.reused_bits == 0",
        "queries.latency_s.p95 <= 20 ms",
        "eve.detected == false",
        "eve.detected != true",
        "eve.detection_delay_s == null",
        "simulated_s == 10 s",
        "qber > 16 %",
        "qber during 3 s..6 s > 26 %",
        "max(qber) == 0.3",
        "mean(qber) during 0 s..4 s == 0.13",
        "latency == 2.5 ms",
        "p50(latency) during 0 s..3 s == 1.5 ms",
        "sum(latency) during 4 s..end == 7 ms",
        "count(latency) == 4",
        "lost == 0",
        "stored_bits == 20 bit",
        "last(stored_bits) == 30",
        "min( stored_bits ) == 10",
        "accuracy == null",
        "chsh == null",
        "answered == null",
    ],
)
def test_holds(expression: str):
    """Every form of the language says what it seems to say about a known run."""
    verdict = parse(expression).evaluate(SUMMARY, RUN)
    assert verdict.passed, verdict
    assert verdict.expression == expression


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("link.qber > 5 %", 0.012),
        ("link.chsh_s > 2", None),
        ("link.chsh_s != 2", None),
        ("link.qber == null", 0.012),
        ("eve.detected == true", False),
        ("queries.latency_s.p99 < 1 s", None),
        ("eve.detection_delay_s < simulated_s", None),
        ("chsh != null", None),
        ("latency during 8 s..9 s < 1 s", None),
        ("qber during 8 s..end >= 0", None),
        ("link.secret_bits == 0", None),
    ],
)
def test_fails(expression: str, value: float | None):
    """An expectation that does not hold, or whose value is missing, fails and shows the value it saw."""
    verdict = parse(expression).evaluate(SUMMARY, RUN)
    assert not verdict.passed
    assert verdict.value == value


def test_missing_everything():
    """Against an empty run all comparisons fail except those with null."""
    assert not parse("link.abort_reasons.qber == 0").evaluate({}, {}).passed
    assert not parse("lost == 0").evaluate({}, {}).passed
    assert parse("keys.reused_bits == null").evaluate({"keys": 5}, {}).passed


def test_windows_are_half_open():
    """An event at a window's start counts, one at its end belongs to the next window."""
    assert parse("count(latency) during 2 s..4 s == 1").evaluate({}, RUN).passed
    assert parse("count(latency) during 4 s..6 s == 1").evaluate({}, RUN).passed


def test_values_are_json_able():
    """A verdict's value is a plain Python value, also where the summary holds NumPy's."""
    assert type(parse("keys.reused_bits == 0").evaluate(SUMMARY, RUN).value) is int
    assert type(parse("qber > 0").evaluate(SUMMARY, RUN).value) is float


def test_what_is_parsed():
    """The parts of an expectation are there to be read: SI values, the window, the series' own aggregate."""
    window = parse("qber during 3 s..6 s > 15 %")
    assert window.left == SeriesValue("qber", "pooled", 3.0, 6.0)
    assert (window.operator, window.right) == (">", 0.15)
    assert parse("p95(latency) < 20 ms").left == SeriesValue("latency", "p95", 0.0, math.inf)
    assert parse("link.blocks_aborted < link.blocks").right == SummaryValue("link.blocks")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "expected a comparison LEFT OP RIGHT"),
        ("qber", "expected a comparison LEFT OP RIGHT"),
        ("qber = 3", "at character 6: got =, expected one of <, <=, >, >=, == or !=: write =="),
        ("qber => 3", "at character 6: got =>"),
        ("1 < qber < 3", "at character 10: got a second <"),
        ("< 3", "at character 1: got nothing, expected a path"),
        ("qber >", "at character 7: got nothing, expected a number, like 30 % or 0.3, null"),
        ("lateny < 20 ms", "at character 1: unknown series or summary path lateny: did you mean latency?"),
        ("p95(lateny) < 20 ms", "at character 5: unknown series lateny: did you mean latency?"),
        ("link.qbr < 1 %", "did you mean link.qber?"),
        ("reused_bits == 0", "did you mean keys.reused_bits?"),
        ("wall_s < 1 s", "unknown series or summary path wall_s"),
        ("p90(latency) < 20 ms", "unknown aggregate p90"),
        ("mead(latency) < 20 ms", "did you mean mean?"),
        ("max(link.qber) < 20 %", "at character 5: link.qber is one value, expected a series"),
        ("link.qber during 3 s..6 s < 3 %", "`during` needs a series"),
        ("qber during 3 s < 3 %", "at character 13: got 3 s, expected a window T1..T2"),
        ("qber during 3..6 < 3 %", "at character 13: got 3, expected a time with its unit"),
        (
            "qber during 3 s..6 < 3 %",
            "at character 18: got 6, expected a time with its unit, like 10 s, or end",
        ),
        ("qber during -1 s..6 s < 3 %", "expected at least 0 s"),
        (
            "qber during 6 s..3 s < 3 %",
            "at character 18: got 3 s, expected later than the window's start (6 s)",
        ),
        ("qber < 20 ms", "at character 8: got 20 ms, but the left side is a fraction"),
        ("link.qber < 3 bit", "the left side is a fraction"),
        ("latency < 20 %", "the left side is a time: expected a number, like 10 s"),
        ("count(latency) > 20 ms", "the left side is a count"),
        ("link.chsh_s > 2 %", "the left side is a plain number: expected a number without a unit"),
        ("queries.lost == 010", "got 010"),
        ("qber < true", "got true, but the left side is a fraction"),
        ("eve.detected == 1", "got 1, but the left side is true or false"),
        ("eve.detected > false", "at character 14: got > with false, expected == or !="),
        ("link.chsh_s < null", "got < with null, expected == or !="),
        ("link.protocol < bb84", "got < with bb84, expected == or !="),
        ("link.qber < link.blocks", "link.blocks is a count, but the left side is a fraction"),
        ("latency < qber", "qber is a series, expected"),
        ("link.qber < link.qbr", "did you mean link.qber?"),
        ("x" * 501 + " < 3", "expected at most 500"),
    ],
)
def test_refuses_expression(expression: str, message: str):
    """A wrong expectation is refused with the place of the fault and what is allowed there."""
    with pytest.raises(ValueError, match=re.escape(message)):
        parse(expression)


LEFT = st.one_of(
    st.sampled_from(sorted(SUMMARY_PATHS)),
    st.sampled_from(sorted(SERIES)),
    st.builds("{}({})".format, st.sampled_from(sorted(AGGREGATES)), st.sampled_from(sorted(SERIES))),
    st.builds("{} during 1 s..{}".format, st.sampled_from(sorted(SERIES)), st.sampled_from(["2 s", "end"])),
)


@settings(deadline=None)
@given(LEFT, st.sampled_from(["==", "!="]))
def test_everything_can_be_missing(left: str, operator: str):
    """Every path and series may be compared with null, and holds against an empty run exactly with ==."""
    assert parse(f"{left} {operator} null").evaluate({}, {}).passed == (operator == "==")


@settings(deadline=None)
@given(st.one_of(st.text(), st.text("qberlatency.()<>=! 0123456789sm%during", max_size=40)))
def test_nothing_but_value_errors(text: str):
    """Whatever the text, it parses or raises ValueError."""
    try:
        expectation = parse(text)
    except ValueError:
        return
    assert expectation.evaluate(SUMMARY, RUN).expression == text
