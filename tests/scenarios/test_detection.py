"""The eavesdropping detectors: labelled telemetry of simulated links, one false-alarm rate, and a table."""

from __future__ import annotations

import math

import numpy as np
import pytest

from netsim.errors import ScenarioError
from nodes.qml.duel import Estimate
from nodes.telemetry import Telemetry
from scenarios.detection import ALPHA, ATTACKS, DETECTORS, INPUTS, compare, observed, watch
from scenarios.detection.comparison import Comparison
from scenarios.detection.detectors import area_under_curve, threshold
from scenarios.detection.features import deviation
from scenarios.detection.links import ATTACKED, QUIET, Watch
from tests.statistics import assert_binomial

CRUDE = next(attack for attack in ATTACKS if attack.name == "intercept-resend, random basis")


def test_there_are_attacks_to_learn_and_others_to_be_tested_on():
    """No family is both known and held out, and some cannot be seen at all."""
    roles = {attack.role for attack in ATTACKS}
    assert roles == {"known", "held out", "invisible"}
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


def test_a_watched_link_has_labels():
    """Blocks before Eve are honest, those with her are labelled, and a crude attack shows in the error rate."""
    seen = watch(CRUDE, 1.0, ALPHA, np.random.default_rng(0))
    assert seen.attacked == (False,) * QUIET + (True,) * ATTACKED
    blocks = observed(seen)
    assert blocks.deviations.shape == (QUIET + ATTACKED, len(INPUTS["five"]))
    assert blocks.qber[QUIET:].min() > 0.15
    assert blocks.qber[:QUIET].max() < 0.08
    assert seen.alarmed[-1]
    assert not any(seen.alarmed[:QUIET])


def test_the_same_generator_gives_the_same_link():
    """A link is a function of its generator, and no two are alike."""
    rng = np.random.default_rng(3)
    one, other = (observed(watch(None, 0.0, ALPHA, rng)) for _ in range(2))
    again = observed(watch(None, 0.0, ALPHA, np.random.default_rng(3)))
    assert np.array_equal(one.deviations, again.deviations)
    assert not np.array_equal(one.deviations, other.deviations)
    assert not one.attacked.any()


def test_inputs_lie_on_the_models_scale():
    """What is usual lies at ½, and no deviation leaves [0, 1]."""
    seen = watch(CRUDE, 1.0, ALPHA, np.random.default_rng(0))
    for inputs, names in INPUTS.items():
        rows = observed(seen).scaled(inputs)
        assert rows.shape == (QUIET + ATTACKED, len(names))
        assert 0.0 < rows.min() < rows.max() < 1.0


def test_deviations_are_standard_ones():
    """Of equal rates the deviation has variance 1, with few trials as well; without trials it is 0.

    20000 draws: the variance's standard deviation is 1 %, and 8 % are eight of them (false failures below 1e-9).
    """
    rng = np.random.default_rng(0)
    drawn = [
        deviation((int(rng.binomial(1000, 0.05)), 1000), (int(rng.binomial(4000, 0.05)), 4000))
        for _ in range(20_000)
    ]
    assert np.var(drawn) == pytest.approx(1.0, abs=0.08)
    assert deviation((0, 0), (3, 10)) == 0.0
    assert math.isfinite(deviation((0, 10), (0, 10)))


def test_the_threshold_keeps_the_false_alarm_rate():
    """A further block of the same law is flagged with a probability of at most α, exactly ⌊(n + 1)α⌋/(n + 1) without ties."""
    rng = np.random.default_rng(0)
    flagged = sum(
        int(scores[-1] > threshold(scores[:-1], 0.01)) for scores in rng.standard_normal((40_000, 200))
    )
    assert_binomial(flagged, 40_000, 2 / 200, fault=2 * 2 / 200)


def test_too_few_honest_blocks_are_refused():
    """Below 1/α − 1 blocks no threshold can be promised."""
    threshold(np.zeros(99), 0.01)
    with pytest.raises(ValueError, match="98 honest blocks"):
        threshold(np.zeros(98), 0.01)


def test_area_under_the_curve():
    """It is 1 where all attacked blocks score higher, ½ where scores say nothing, and ties count half."""
    assert area_under_curve(np.array([0.0, 1.0]), np.array([2.0, 3.0])) == 1.0
    assert area_under_curve(np.array([1.0]), np.array([1.0])) == 0.5
    assert area_under_curve(np.array([0.0, 2.0]), np.array([1.0])) == 0.5


def _simulated(attack, share, alpha, rng):
    """A link without a simulation: counts drawn as an intercept-resend of that share would move them."""
    del alpha
    error = 0.012
    counts = {}

    def block(number, eve):
        rate = error + 0.25 * eve
        names = [f"qber {basis} {name}" for basis in "ZX" for name in ("signal", "decoy")]
        counts = {name: (int(rng.binomial(400, rate)), 400) for name in names}
        counts["gain signal"] = (int(rng.binomial(10**6, 8e-3 * (1 - eve / 3))), 10**6)
        counts["gain decoy"] = (int(rng.binomial(10**6, 2e-3 * (1 - eve / 3))), 10**6)
        counts["double clicks"] = (int(rng.binomial(10_000, 1e-3)), 10_000)
        return Telemetry(number, float(number), counts)

    invisible = attack is None or attack.role == "invisible"
    blocks = tuple(block(n, 0.0 if invisible or n < QUIET else share) for n in range(QUIET + ATTACKED))
    counts = {name: (4 * k, 4 * n) for name, (k, n) in block(0, 0.0).counts.items()}
    alarmed = tuple(not invisible and n > QUIET for n in range(QUIET + ATTACKED))
    return Watch(attack, share, blocks, counts, alarmed)


@pytest.fixture(scope="module")
def comparison():
    """A quick comparison on drawn counts, which takes the simulation's time off."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scenarios.detection.comparison.watch", _simulated)
        patch.setattr(
            "scenarios.detection.comparison.DETECTORS",
            tuple(d for d in DETECTORS if (d.name, d.inputs) != ("vqc", "five")),
        )
        return compare((7, 8), quick=True)


def test_every_detector_has_every_row(comparison):
    """Honest, known, held-out and invisible blocks, families and shares: one row each, for all detectors."""
    groups = {row.group for row in comparison.rows}
    assert {"honest", "known", "held out", "invisible", "held out, 5.0% of the light"} <= groups
    assert {attack.name for attack in ATTACKS} <= groups
    detectors = {(row.detector, row.inputs) for row in comparison.rows}
    assert len(comparison.rows) == len(groups) * len(detectors)
    for row in comparison.rows:
        assert 0.0 <= row.low <= row.rate <= row.high <= 1.0
        assert row.flagged <= row.blocks
        assert row.caught <= row.runs


def test_what_cannot_be_seen_is_not_detected(comparison):
    """Invisible attacks are flagged as rarely as honest blocks are: below 20 % with any detector."""
    for row in comparison.rows:
        if row.group in ("honest", "invisible"):
            assert row.rate < 0.2, row


def test_a_quarter_of_the_light_is_detected(comparison):
    """An error rate six times the usual one is seen at once, and the delay counts from one."""
    row = comparison.row("qber rise", "held out, 25.0% of the light")
    assert row.rate > 0.9
    assert row.delay_blocks >= 1.0
    assert row.auc.mean > 0.9
    assert math.isnan(comparison.row("sequential", "held out").auc.mean)
    assert comparison.row("sequential", "held out").delay_blocks == 2.0


def test_rows_are_flat(comparison):
    """For a CSV file: the same columns in each row, and nothing nested."""
    rows = comparison.as_rows()
    assert len(rows) == len(comparison.rows)
    assert len({tuple(row) for row in rows}) == 1
    assert all(isinstance(value, str | int | float) for row in rows for value in row.values())


def test_the_sentence_follows_the_interval():
    """Who wins is said only where the interval over seeds excludes 0."""

    def said(low, high):
        return Comparison(0.01, (1, 2), (), Estimate((low + high) / 2, low, high), "Q", "C", "B").sentence()

    assert "Q detects more than C" in said(0.01, 0.03)
    assert "Q detects less than C" in said(-0.03, -0.01)
    assert "cannot be told apart" in said(-0.01, 0.03)


def test_one_seed_is_refused():
    """An interval over seeds takes two."""
    with pytest.raises(ValueError, match="at least two"):
        compare((1,))
    with pytest.raises(KeyError, match="no row"):
        Comparison(0.01, (1, 2), (), Estimate(0, 0, 0), "", "", "").row("nobody", "honest")


@pytest.mark.slow
def test_every_attack_is_one_that_a_scenario_may_name():
    """Each family's action is in the catalogue with these parameters, and meets what the links have."""
    for attack in ATTACKS:
        try:
            watch(attack, 0.25, ALPHA, np.random.default_rng(1))
        except ScenarioError as error:  # pragma: no cover  only where it fails
            pytest.fail(f"{attack.name}: {error}")


@pytest.mark.slow
def test_the_real_comparison_finds_strong_attacks():
    """On simulated links, every detector with all inputs finds known attacks more often than it raises false alarms."""
    found = compare((1, 2), quick=True)
    for row in found.rows:
        if row.group == "known" and row.inputs in ("five", "all"):
            assert row.rate > found.row(row.detector, "honest", row.inputs).rate
