"""Key length: published numbers, and bounds that hold where a naive one would give key away."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.key_length import asymptotic, finite_key
from netsim.key_length.asymptotic import (
    binary_entropy,
    chsh_from_qber,
    holevo_information,
    qber_from_chsh,
    shor_preskill,
    six_state,
)
from netsim.key_length.finite_key import (
    CHSH_SIGNS,
    chsh,
    chsh_confidence,
    e91_trusted,
    serfling_deviation,
    tomamichel_2012,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "asymptotic_key_rates.csv"
ANGLES = tuple(CHSH_SIGNS)


def phi_plus(a: float, b: float) -> float:
    """Correlation of an ideal Φ+ at two polariser angles in degrees."""
    return math.cos(math.radians(2 * (a - b)))


def midway(a: float, b: float) -> float:
    """Correlation after Eve measured at 33.75° and sent on what she saw."""
    return phi_plus(a, 33.75) * phi_plus(33.75, b)


def counts(correlation, rounds: int, visibility: float = 1.0):
    """Expected counts at the four CHSH settings, `rounds` each."""
    same = {s: round(rounds * (1 + visibility * correlation(*s)) / 2) for s in ANGLES}
    return {s: (same[s], rounds - same[s]) for s in ANGLES}


def test_rates_meet_the_published_numbers():
    """Every rate in the vector file is met to its last printed digit."""
    rates = {
        "shor_preskill": shor_preskill,
        "six_state": lambda qber, _: six_state(qber),
        "device_independent": lambda qber, _: asymptotic.device_independent(qber, chsh_from_qber(qber)),
    }
    with VECTORS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    for row in rows:
        got = rates[row["protocol"]](float(row["qber"]), float(row["f"]))
        assert got == pytest.approx(float(row["rate"]), abs=1e-7), row["source"]


def test_entropy_at_its_ends():
    """h(0) = h(1) = 0, h(½) = 1, and no probability lies outside."""
    assert [binary_entropy(p) for p in (0.0, 0.5, 1.0)] == [0.0, 1.0, 0.0]
    for outside in (-1e-9, 1.1, math.nan):
        with pytest.raises(ValueError, match="between 0 and 1"):
            binary_entropy(outside)


def test_chsh_and_qber_are_one_number():
    """S = 2√2(1 − 2Q) both ways; S = 2.42400866 is the critical 7.149176 %."""
    assert chsh_from_qber(0.07149176) == pytest.approx(2.42400866, abs=1e-8)
    assert qber_from_chsh(chsh_from_qber(0.03)) == pytest.approx(0.03)


def test_eve_knows_everything_without_violation_and_nothing_at_tsirelson():
    """χ falls from 1 at S = 2 to 0 at 2√2, and statistics beyond either end change nothing."""
    assert [holevo_information(s) for s in (-1.0, 0.0, 2.0)] == [1.0, 1.0, 1.0]
    assert holevo_information(2 * math.sqrt(2)) == pytest.approx(0.0, abs=1e-12)
    assert holevo_information(3.5) == pytest.approx(0.0, abs=1e-12)
    assert holevo_information(2.0 + 1e-9) < 1.0


def test_tomamichel_meets_the_checkpoint():
    """A million bits and as many samples at 2.5 %, ε = 1e-10 each, leakage 1.1·n·h(Q): 610601 secret bits."""
    n = 10**6
    got = tomamichel_2012(n, n, 0.025, 1.1 * n * binary_entropy(0.025), 1e-10, 1e-10)
    assert got.length == 610601
    assert got.phase_error_bound == pytest.approx(0.025 + serfling_deviation(n, n, 1e-10))
    assert got.epsilon_bits == pytest.approx(1 + 3 * math.log2(1e10))


@given(
    n=st.integers(0, 10**6),
    k=st.integers(0, 10**6),
    qber=st.floats(0, 1),
    leak=st.floats(0, 10**6),
    tag_bits=st.none() | st.integers(0, 128),
)
def test_the_terms_add_up(n, k, qber, leak, tag_bits):
    """The length is what the terms leave, never negative, and never more than with a smaller error rate."""
    got = tomamichel_2012(n, k, qber, leak, 1e-9, 1e-12, tag_bits=tag_bits)
    left = n - got.amplification_bits - got.leak_ec_bits - got.epsilon_bits
    assert got.length == max(0, math.floor(left))
    assert 0.0 <= got.phase_error_bound <= 0.5
    assert got.length <= tomamichel_2012(n, k, qber / 2, leak, 1e-9, 1e-12).length


def test_the_verification_tag_is_paid_once():
    """The formula covers a tag of log2(2/ε_cor) bits; only what a tag has beyond is charged on top."""

    def length(tag_bits):
        return tomamichel_2012(10**5, 10**5, 0.01, 9000, 1e-10, 2.0**-39, tag_bits=tag_bits).length

    assert length(None) == length(39) == length(40)
    assert length(64) == length(None) - 24


@pytest.mark.parametrize(
    ("n", "k", "qber", "leak", "culprit"),
    [
        (0, 1000, 0.0, 0, "detections"),
        (60, 10**9, 0.0, 0, "epsilon"),
        (2000, 50, 0.01, 200, "statistics"),
        (2000, 0, 0.0, 200, "statistics"),
        (10**6, 10**6, 0.2, 500_000, "amplification"),
        (10**6, 10**6, 0.11, 600_000, "reconciliation"),
    ],
)
def test_the_term_that_ate_the_key_is_named(n, k, qber, leak, culprit):
    """Where there is no key, the account names what took it, and adds up."""
    got = tomamichel_2012(n, k, qber, leak, 1e-10, 1e-10)
    assert (got.length, got.eaten_by) == (0, culprit)
    assert culprit in got.account
    assert sum(got.terms.values()) == pytest.approx(
        got.amplification_bits + got.leak_ec_bits + got.epsilon_bits
    )
    assert ("a larger block would leave some" in got.account) == (culprit in {"statistics", "epsilon"})


def test_a_key_has_no_culprit():
    """Where there is key, nothing ate it, and the account states length and terms."""
    got = tomamichel_2012(10**6, 10**6, 0.025, 185_500, 1e-10, 1e-10)
    assert got.eaten_by is None
    assert got.account.startswith(f"{got.length} secret bits of 1000000; taken away: amplification 168661, ")


def test_unmeasured_settings_are_a_matter_of_statistics():
    """E91 without test rounds, with trust and without, lacks statistics; with S = √2 Eve was there."""
    n = 10**6
    nothing = dict.fromkeys(ANGLES, (0, 0))
    assert e91_trusted((n, n), nothing, 0.0, 1e-10, 1e-10).eaten_by == "statistics"
    intercepted = e91_trusted((n, n), counts(midway, n), 1e6, 1e-10, 1e-10)
    assert (intercepted.length, intercepted.eaten_by) == (0, "amplification")
    seen = finite_key.device_independent(n, counts(midway, n), 0.0, 1e-10, 1e-10)
    assert (seen.length, seen.eaten_by, seen.statistics_bits) == (0, "amplification", 0.0)


def test_no_sample_no_key():
    """Without a single compared bit the phase error is unknown, and all is amplified away."""
    got = tomamichel_2012(1000, 0, 0.0, 0, 1e-10, 1e-10)
    assert (got.length, got.phase_error_bound, got.amplification_bits) == (0, 0.5, 1000)
    assert tomamichel_2012(0, 1000, 0.0, 0, 1e-10, 1e-10).length == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"n": -1},
        {"k": -1},
        {"qber": 1.5},
        {"qber": math.nan},
        {"leak_ec_bits": -1.0},
        {"eps_sec": 0.0},
        {"eps_cor": 1.0},
    ],
)
def test_impossible_blocks_are_refused(changes):
    """Counts, rates and ε outside their range raise instead of giving a length."""
    sane = {"n": 1000, "k": 1000, "qber": 0.01, "leak_ec_bits": 100.0, "eps_sec": 1e-9, "eps_cor": 1e-9}
    with pytest.raises(ValueError, match=r"must|lie"):
        tomamichel_2012(**(sane | changes))


def test_the_sample_bounds_the_rest():
    """Serfling: over random splits of a block, unseen exceeds seen by µ no oftener than (ε/2)².

    ε = 0.4 allows 4 %, 800 of 20000 splits; even at that rate 980 or more have probability below 1e-9. The
    sample suffices: half of µ is exceeded 2200 times.
    """
    rng = np.random.default_rng(1)
    n, k, wrong, eps = 600, 400, 500, 0.4
    seen = rng.hypergeometric(wrong, n + k - wrong, k, size=20_000)
    excess = (wrong - seen) / n - seen / k
    mu = serfling_deviation(n, k, eps)
    assert np.count_nonzero(excess > mu) < 980
    assert np.count_nonzero(excess > mu / 2) > 980


def test_phase_correlators_hold_in_every_two_qubit_state():
    """In any state, the two combinations of test settings are the key settings' phase-error correlators."""
    rng = np.random.default_rng(5)
    z, x = np.diag([1.0, -1.0]), np.array([[0.0, 1.0], [1.0, 0.0]])
    for _ in range(50):
        root = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))
        state = root @ root.conj().T / np.trace(root @ root.conj().T).real

        def mean(alice, bob, state=state):
            return float(np.trace(state @ np.kron(alice, bob)).real)

        def e(a, b, mean=mean):
            def observable(angle):
                return math.cos(math.radians(2 * angle)) * z + math.sin(math.radians(2 * angle)) * x

            return mean(observable(a), observable(b))

        unbiased = (z - x) / math.sqrt(2)
        assert mean(z, z) == pytest.approx((e(0, 22.5) - e(0, 67.5)) / math.sqrt(2))
        assert mean(unbiased, unbiased) == pytest.approx((e(45, 67.5) - e(0, 67.5)) / math.sqrt(2))


def test_a_good_pair_source_gives_key():
    """At 2 % error and a million rounds a setting, E91 keeps nearly what Shor and Preskill would."""
    n = 10**6
    leak = 1.1 * 2 * n * binary_entropy(0.02)
    got = e91_trusted((n, n), counts(phi_plus, n, visibility=0.96), leak, 1e-10, 1e-10)
    assert 0.02 < got.phase_error_bound < 0.035
    assert 0.9 * shor_preskill(0.02, 1.1) < got.length / (2 * n) < shor_preskill(0.02, 1.1)
    assert got.length == math.floor(2 * n - got.amplification_bits - leak - got.epsilon_bits)


def test_interception_midway_leaves_no_key():
    """At 33.75° Eve makes 7.3 % errors, which Shor and Preskill would forgive; the phase errors do not."""
    qber = (1 - midway(45, 45)) / 2
    assert qber == pytest.approx(0.0732, abs=1e-4)
    assert (1 - midway(22.5, 22.5)) / 2 == pytest.approx(qber)
    assert shor_preskill(qber) > 0.2
    n = 10**9
    got = e91_trusted((n, n), counts(midway, n), 2 * n * binary_entropy(qber), 1e-10, 1e-10)
    assert got.length == 0
    assert got.phase_error_bound > 0.42


def test_each_key_setting_answers_for_itself():
    """A key setting whose test settings are spoilt gives less, and the other as much as before."""
    n = 10**6
    spoilt = counts(phi_plus, n) | {(0.0, 22.5): (n // 2, n // 2)}
    only_22, only_45 = (e91_trusted(keys, spoilt, 0.0, 1e-10, 1e-10) for keys in ((n, 0), (0, n)))
    assert only_22.length > 0.9 * n
    assert only_45.length < only_22.length / 2
    both = e91_trusted((n, n), spoilt, 0.0, 1e-10, 1e-10)
    assert both.amplification_bits == pytest.approx(only_22.amplification_bits + only_45.amplification_bits)


def test_unmeasured_settings_leave_no_key():
    """No rounds at a test setting bound nothing; a setting left out altogether is an error."""
    n = 10**6
    unmeasured = counts(phi_plus, n) | {(0.0, 67.5): (0, 0)}
    assert e91_trusted((n, n), unmeasured, 0.0, 1e-10, 1e-10).length == 0
    assert e91_trusted((0, 0), unmeasured, 0.0, 1e-10, 1e-10).length == 0
    assert finite_key.device_independent(n, unmeasured, 0.0, 1e-10, 1e-10).length == 0
    del unmeasured[0.0, 67.5]
    with pytest.raises(ValueError, match="are needed"):
        e91_trusted((n, n), unmeasured, 0.0, 1e-10, 1e-10)
    with pytest.raises(ValueError, match="are needed"):
        chsh(unmeasured)


def test_chsh_of_an_ideal_pair():
    """Φ+ gives 2√2 with a standard error of √(2/N), a midway intercept √2, nothing measured 0 ± ∞."""
    s, standard_error = chsh(counts(phi_plus, 10**8))
    assert s == pytest.approx(2 * math.sqrt(2), abs=1e-7)
    assert standard_error == pytest.approx(math.sqrt(2 / 10**8), rel=1e-6)
    assert chsh(counts(midway, 10**8))[0] == pytest.approx(math.sqrt(2), abs=1e-7)
    assert chsh(counts(phi_plus, 0)) == (0.0, math.inf)
    assert chsh_confidence(counts(phi_plus, 0), 1e-9) == (-4.0, 4.0)


def test_the_confidence_interval_covers():
    """Of 5000 measurements of S, an interval for ε = 0.1 misses at most one in a hundred.

    Hoeffding is generous: the true share is 0.06 %, three misses, and more than 50 have probability below
    1e-9. The sample suffices: an interval half as wide would miss 420.
    """
    rng = np.random.default_rng(4)
    rounds = 500
    missed = 0
    for _ in range(5000):
        same = {s: int(rng.binomial(rounds, (1 + phi_plus(*s)) / 2)) for s in ANGLES}
        low, high = chsh_confidence({s: (same[s], rounds - same[s]) for s in ANGLES}, 0.1)
        missed += not low <= 2 * math.sqrt(2) <= high
    assert missed <= 50


def test_device_independence_needs_a_violation():
    """A good source gives key without trust, less than with it; S ≤ 2 within the statistics gives none."""
    n = 10**6
    leak = 1.1 * n * binary_entropy(0.01)
    good = counts(phi_plus, n, visibility=0.98)
    got = finite_key.device_independent(n, good, leak, 1e-10, 1e-10)
    assert 0 < got.length < n * asymptotic.device_independent(0.01, chsh_from_qber(0.01))
    assert got.phase_error_bound < 0.1
    assert got.length < e91_trusted((n // 2, n // 2), good, leak, 1e-10, 1e-10).length
    barely = finite_key.device_independent(n, counts(phi_plus, n, visibility=0.709), 0.0, 1e-10, 1e-10)
    assert (barely.length, barely.phase_error_bound, barely.amplification_bits) == (0, 0.5, n)
