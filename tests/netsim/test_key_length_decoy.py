"""Finite blocks of weak pulses: the papers' numbers, linear programmes, and blocks drawn under attack."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import hypergeom

from netsim.key_length import decoy
from netsim.key_length.asymptotic import binary_entropy
from netsim.key_length.decoy import lim_2014, photon_probability, wiesemann_2024

ONE_DECOY = Path(__file__).parents[1] / "vectors" / "one_decoy_key_lengths.csv"
THREE, TWO = (0.5, 0.15, 2e-4), (0.5, 0.15)
P_THREE, P_TWO = (0.6, 0.3, 0.1), (0.7, 0.3)


def lim_model(length_km, block, q_x, probabilities, intensities, *, error_transmittance=0.1):
    """Lim et al.'s link: expected counts of a block, and the pulses it takes."""
    channel = 10 ** (-0.02 * length_km)
    clicks = [1 - (1 - 1.2e-6) * math.exp(-0.1 * channel * k) for k in intensities]
    wrong = [
        6e-7 + 5e-3 * -math.expm1(-error_transmittance * channel * k) + 0.02 * d
        for k, d in zip(intensities, clicks, strict=True)
    ]
    seen = [p * 1.04 * d for p, d in zip(probabilities, clicks, strict=True)]
    wrong = [p * min(e, 1.04 * d) for p, e, d in zip(probabilities, wrong, clicks, strict=True)]
    pulses = block / q_x**2 / sum(seen)
    counts = {
        "key_detections": [pulses * q_x**2 * s for s in seen],
        "test_detections": [pulses * (1 - q_x) ** 2 * s for s in seen],
        "test_errors": [pulses * (1 - q_x) ** 2 * w for w in wrong],
        "intensities": intensities,
        "probabilities": probabilities,
        "leak_ec_bits": 1.16 * block * binary_entropy(min(0.5, sum(wrong) / sum(seen))),
    }
    return counts, pulses


def lim_rate(length_km, block, q_x, probabilities, intensities, **model):
    """Secret bits per pulse with ε_sec = 1e-15 per secret bit, as in the paper, and the bound behind them."""
    counts, pulses = lim_model(length_km, block, q_x, probabilities, intensities, **model)
    length = block / 10
    for _ in range(60):
        got = lim_2014(**counts, eps_sec=1e-15 * max(length, 1), eps_cor=1e-15)
        length = got.length
    return length / pulses, got


def test_two_decoys_meet_the_checkpoint():
    """q_x = 0.9, n = 1e9, no fibre: 8.444428e-3 secret bits a pulse, 2.97174e8 in all."""
    rate, got = lim_rate(0, 1e9, 0.9, P_THREE, THREE)
    assert rate == pytest.approx(8.444428e-3, abs=5e-10)
    assert got.length == pytest.approx(2.97174e8, abs=500)
    assert got.single_photon_events == pytest.approx(6.24051e8, abs=500)
    assert got.phase_error_bound == pytest.approx(0.0351548, abs=5e-8)


def test_ratio_of_block_sizes_needs_the_transmittance_of_the_system():
    """At 100 km a block of 1e9 gives about 1.75 times the rate of 1e7 (optimised); as printed, 2.7 times.

    The parameters were optimised by differential evolution, and give 1.79; for the printed model by
    Nelder and Mead's method from three starts.
    """
    large = ((0.9272717, 0.7559695, 0.6352893, 0.4383992, 0.3848334), 1e9)
    small = ((0.8505374, 0.3844426, 0.7134420, 0.4144371, 0.5221622), 1e7)
    rates = []
    for (q_x, p1, share, mu1, ratio), block in (large, small):
        p2 = (1 - p1) * share
        rates.append(lim_rate(100, block, q_x, (p1, p2, 1 - p1 - p2), (mu1, mu1 * ratio, 2e-4))[0])
    assert rates[0] / rates[1] == pytest.approx(1.75, abs=0.05)
    printed = [
        lim_rate(100, block, q_x, (p1, p2, 1 - p1 - p2), (mu1, mu2, 2e-4), error_transmittance=1.0)[0]
        for block, q_x, p1, p2, mu1, mu2 in (
            (1e9, 0.88398114, 0.59260425, 0.26896045, 0.15713009, 0.07365439),
            (1e7, 0.75184209, 0.10225812, 0.63783719, 0.19059548, 0.08158935),
        )
    ]
    assert printed[0] / printed[1] == pytest.approx(2.73, abs=0.02)


def test_one_decoy_meets_the_authors_simulation():
    """The five lengths that the authors' published simulation gives are met to four bits."""
    with ONE_DECOY.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    for row in rows:
        keys = ("length_km", "pulses", "p_signal", "p_key_basis", "mu_signal", "mu_decoy")
        length_km, pulses, p, q, *intensities = (float(row[key]) for key in keys)
        dark, eta = 200 / 625e6, 10 ** (-0.02 * length_km)
        clicks = [
            pk * (1 - math.exp(-k * eta) * (1 - dark)) for k, pk in zip(intensities, (p, 1 - p), strict=True)
        ]
        wrong = [
            pk * (-math.expm1(-k * eta) * 0.02 + dark / 2)
            for k, pk in zip(intensities, (p, 1 - p), strict=True)
        ]
        key, test = pulses * q**2, pulses * (1 - q) ** 2
        got = wiesemann_2024(
            key_detections=[key * c for c in clicks],
            key_errors=[key * w for w in wrong],
            test_detections=[test * c for c in clicks],
            test_errors=[test * w for w in wrong],
            intensities=intensities,
            probabilities=(p, 1 - p),
            leak_ec_bits=1.16 * key * sum(clicks) * binary_entropy(sum(wrong) / sum(clicks)),
            eps_sec=1e-12,
            eps_cor=1e-12,
        )
        # They round no count of photons down before Serfling's inequality; we do.
        assert got.length == pytest.approx(float(row["key_bits"]), abs=4), row


def drawn(rng, totals, intensities, probabilities):
    """Events of n photons, assigned to intensities as a source assigns them: counts by intensity."""
    counts = np.zeros(len(intensities), dtype=int)
    for n, events in enumerate(totals):
        weights = [p * math.exp(-k) * k**n for k, p in zip(intensities, probabilities, strict=True)]
        counts += rng.multinomial(events, np.array(weights) / sum(weights))
    return counts


def random_events(rng, size):
    """Detections, and errors among them, by photon number: an arbitrary choice of Eve's."""
    shares = rng.dirichlet([0.3, 3.0, 1.0, 0.5, 0.2])
    events = rng.multinomial(size, shares)
    errors = rng.binomial(events, [0.5, rng.uniform(0, 0.08), rng.uniform(0, 0.5), 0.2, 0.1])
    return events, errors


def block(rng, intensities, probabilities, sizes=(10**6, 2 * 10**5)):
    """A drawn block with both bases under one attack, and what is true of it."""
    key, key_errors = random_events(rng, sizes[0])
    # The single photons of both bases are one population, of which either basis is a sample.
    share = sizes[1] / sizes[0]
    test = np.array([max(0, round(share * n)) for n in key])
    rate = key_errors / np.maximum(key, 1)
    test_errors = rng.binomial(test, rate)
    phase_errors = rng.binomial(key, rate)
    by_intensity = {}
    for name, events, errors in (("key", key, key_errors), ("test", test, test_errors)):
        wrong = drawn(rng, errors, intensities, probabilities)
        by_intensity[f"{name}_errors"] = wrong
        by_intensity[f"{name}_detections"] = wrong + drawn(rng, events - errors, intensities, probabilities)
    truth = {"s0": key[0], "s1": key[1], "t1": test[1], "v1": test_errors[1], "phase": phase_errors[1]}
    return by_intensity, truth


@pytest.mark.parametrize("decoys", [1, 2])
def test_bounds_hold_in_blocks_drawn_under_attack(decoys):
    """Whatever share of which photon numbers Eve lets through, the bounds lie on the right side.

    Each of the 150 blocks may fail with ε_sec = 1e-12 in all: a false failure has probability below 1e-9.
    """
    rng = np.random.default_rng(10 + decoys)
    useful = 0
    for _ in range(150):
        intensities, probabilities = (TWO, P_TWO) if decoys == 1 else (THREE, P_THREE)
        counts, truth = block(rng, intensities, probabilities)
        common = {
            "intensities": intensities,
            "probabilities": probabilities,
            "leak_ec_bits": 0.0,
            "eps_sec": 1e-12,
            "eps_cor": 1e-12,
        }
        if decoys == 1:
            got = wiesemann_2024(**counts, **common)
        else:
            counts.pop("key_errors")
            got = lim_2014(**counts, **common)
        assert got.vacuum_events <= truth["s0"]
        assert got.single_photon_events <= truth["s1"]
        assert got.test_single_photon_events <= truth["t1"]
        assert got.test_single_photon_errors >= truth["v1"]
        if got.phase_error_bound < 0.5:
            assert truth["phase"] / truth["s1"] <= got.phase_error_bound
            useful += 1
    assert useful > 30


def photon_programme(objective, counts, deviation, intensities, probabilities, *, extra=None):
    """The least objective·s over events s by photon number whose means lie within the deviation of the counts."""
    photons = len(objective)
    weights = np.array(
        [
            [
                p
                * math.exp(-k)
                * k**n
                / math.factorial(n)
                / photon_probability(n, intensities, probabilities)
                for n in range(photons)
            ]
            for k, p in zip(intensities, probabilities, strict=True)
        ]
    )
    total = float(np.sum(counts))
    rows, limits = (
        np.vstack([weights, -weights]),
        np.concatenate([counts + deviation, deviation - counts]) / total,
    )
    if extra is not None:
        rows, limits = np.vstack([rows, extra[0]]), np.append(limits, extra[1] / total)
    result = linprog(objective, A_ub=rows, b_ub=limits, bounds=(0, None))
    assert result.status == 0
    return result.fun * total


def test_two_decoy_bounds_enclose_the_linear_programme():
    """The paper's closed forms never claim more than a linear programme over photon numbers, nor much less."""
    rng = np.random.default_rng(21)
    for _ in range(25):
        counts, _ = block(rng, THREE, P_THREE)
        counts.pop("key_errors")
        got = lim_2014(
            **counts, intensities=THREE, probabilities=P_THREE, leak_ec_bits=0, eps_sec=1e-9, eps_cor=1e-9
        )
        deviations = {
            name: math.sqrt(table.sum() / 2 * math.log(21 / 1e-9)) for name, table in counts.items()
        }

        def optimum(objective, name, counts=counts, deviations=deviations):
            return photon_programme(objective, counts[name], deviations[name], THREE, P_THREE)

        unit = np.eye(16)
        scale = counts["key_detections"].sum()
        assert got.vacuum_events <= optimum(unit[0], "key_detections") + 1e-6 * scale
        assert got.single_photon_events <= optimum(unit[1], "key_detections") + 1e-6 * scale
        assert got.test_single_photon_events <= optimum(unit[1], "test_detections") + 1e-6 * scale
        most = -optimum(-unit[1], "test_errors")
        assert min(got.test_single_photon_errors, counts["test_detections"].sum()) >= (
            min(most, counts["test_detections"].sum()) - 1e-6 * scale
        )


def test_one_decoy_bounds_enclose_the_linear_programme():
    """One decoy's closed forms never claim more than a programme that knows half the vacuum events to be errors."""
    rng = np.random.default_rng(22)
    tight = 0
    for _ in range(25):
        counts, _ = block(rng, TWO, P_TWO)
        got = wiesemann_2024(
            **counts, intensities=TWO, probabilities=P_TWO, leak_ec_bits=0, eps_sec=1e-9, eps_cor=1e-9
        )
        log = math.log(15 / 1e-9)
        unit = np.eye(16)
        detections, errors = counts["key_detections"], counts["key_errors"]
        spread = math.sqrt(detections.sum() / 2 * log)
        # First the most vacuum errors that the errors allow, then the least single photons given those.
        vacuum_errors = -photon_programme(-unit[0], errors, math.sqrt(errors.sum() / 2 * log), TWO, P_TWO)
        least = photon_programme(
            unit[1], detections, spread, TWO, P_TWO, extra=(unit[0], 2 * (vacuum_errors + spread))
        )
        assert got.single_photon_events <= least + 1e-6 * detections.sum()
        tight += got.single_photon_events > 0.9 * least > 0
    assert tight > 5


counts_of = st.lists(st.integers(0, 10**7), min_size=3, max_size=3)


@given(
    key=counts_of,
    test=counts_of,
    shares=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    leak=st.floats(0, 1e8),
)
def test_any_counts_give_a_balance(key, test, shares, leak):
    """Whatever the counts, nought among them, the terms add up to the length, finite and never negative."""
    errors = [math.floor(n * share) for n, share in zip(test, shares, strict=True)]
    wrong = [math.floor(n * share) for n, share in zip(key, shares, strict=True)]
    common = {"leak_ec_bits": leak, "eps_sec": 1e-10, "eps_cor": 1e-12, "tag_bits": 64}
    for got in (
        lim_2014(
            key_detections=key,
            test_detections=test,
            test_errors=errors,
            intensities=THREE,
            probabilities=P_THREE,
            **common,
        ),
        wiesemann_2024(
            key_detections=key[:2],
            key_errors=wrong[:2],
            test_detections=test[:2],
            test_errors=errors[:2],
            intensities=TWO,
            probabilities=P_TWO,
            **common,
        ),
    ):
        left = got.n - got.amplification_bits - got.leak_ec_bits - got.epsilon_bits
        assert got.length == max(0, math.floor(left))
        assert all(math.isfinite(bits) for bits in got.terms.values())
        assert sum(got.terms.values()) == pytest.approx(got.n - left)
        assert 0 <= got.vacuum_events <= got.n
        assert 0 <= got.single_photon_events <= got.n
        assert 0 <= got.phase_error_bound <= 0.5
        assert (got.eaten_by is None) == (got.length > 0)
        assert str(got.length or got.eaten_by) in got.account


def test_photon_number_splitting_leaves_no_key():
    """If only pulses of two and more photons arrive, one decoy or two see it, and no block would be large enough."""
    rng = np.random.default_rng(4)
    events, errors = [0, 0, 8 * 10**6, 2 * 10**6], [0, 0, 40_000, 10_000]
    for intensities, probabilities in ((THREE, P_THREE), (TWO, P_TWO)):
        wrong = drawn(rng, errors, intensities, probabilities)
        seen = wrong + drawn(rng, np.subtract(events, errors), intensities, probabilities)
        common = {
            "key_detections": seen,
            "test_detections": seen,
            "test_errors": wrong,
            "intensities": intensities,
            "probabilities": probabilities,
            "leak_ec_bits": 4e5,
            "eps_sec": 1e-10,
            "eps_cor": 1e-10,
        }
        got = lim_2014(**common) if len(intensities) == 3 else wiesemann_2024(**common, key_errors=wrong)
        assert (got.length, got.eaten_by) == (0, "amplification")
        assert got.single_photon_events < 0.02 * got.n


def test_a_block_too_small_says_so():
    """The same link gives key from 1e7 bits and none from 1e3, and the account names the statistics."""
    large, small = (lim_rate(20, n, 0.8, P_THREE, THREE)[1] for n in (1e7, 1e3))
    assert large.length > 0
    assert (small.length, small.eaten_by) == (0, "statistics")
    assert "statistics ate it (a larger block would leave some)" in small.account
    counts, _ = lim_model(20, 1e7, 0.8, P_THREE, THREE)
    leaky = lim_2014(**counts | {"leak_ec_bits": 1e7}, eps_sec=1e-10, eps_cor=1e-10)
    assert (leaky.length, leaky.eaten_by) == (0, "reconciliation")
    nothing = {
        "key_detections": [0, 0, 0],
        "test_detections": [0, 0, 0],
        "test_errors": [0, 0, 0],
        "leak_ec_bits": 0,
    }
    empty = lim_2014(**counts | nothing, eps_sec=1e-10, eps_cor=1e-10)
    assert (empty.length, empty.eaten_by) == (0, "detections")


def test_the_tag_is_paid_once():
    """A tag as long as the formula foresees costs nothing more, a longer one what it exceeds."""
    counts, _ = lim_model(0, 1e7, 0.9, P_THREE, THREE)
    lengths = [
        lim_2014(**counts, eps_sec=1e-10, eps_cor=2.0**-39, tag_bits=tag).length for tag in (None, 39, 40, 64)
    ]
    assert lengths == [lengths[0], lengths[0], lengths[0], lengths[0] - 24]


def test_no_error_seen_is_not_no_error():
    """Without a single error in a small test, the phase error is what the exact tail cannot exclude."""
    eps = 1e-10 / 21
    raised = decoy._raised_to_exact_tail(0.0, 0.0, 1000.0, 100_000.0, eps)
    # Of 101000 events, so many are errors that a thousand drawn without one would have probability ε.
    assert hypergeom.cdf(0, 101_000, math.ceil(raised * 100_000), 1000) <= eps
    assert hypergeom.cdf(0, 101_000, math.floor(0.99 * raised * 100_000), 1000) > eps
    assert decoy._raised_to_exact_tail(0.0, 0.0, 5.0, 100.0, eps) == 0.5
    assert decoy._raised_to_exact_tail(0.1, 0.0, 0.5, 100.0, eps) == 0.5


@given(
    few=st.integers(0, 60),
    sample=st.integers(1, 2000),
    marked=st.integers(0, 1500),
    population=st.integers(2000, 20_000),
)
def test_the_tail_is_never_understated(few, sample, marked, population):
    """The closed form for the hypergeometric tail lies above scipy's sum."""
    exact = float(hypergeom.cdf(few, population, marked, sample))
    assert exact <= math.exp(min(0.0, decoy._log_tail(few, sample, marked, population))) * (1 + 1e-6) + 1e-300


@pytest.mark.parametrize(
    "changes",
    [
        {"intensities": (0.1, 0.5, 0.0)},
        {"intensities": (0.5, 0.1, -0.1)},
        {"intensities": (0.2, 0.15, 0.1)},
        {"intensities": (0.5, 0.1)},
        {"probabilities": (0.5, 0.5, 0.0)},
        {"probabilities": (0.5, 0.5, 0.5)},
        {"key_detections": (1, 2)},
        {"key_detections": (1, 2, -3)},
        {"key_detections": (1, 2, math.nan)},
        {"test_errors": (100, 0, 0)},
        {"eps_sec": 0.0},
        {"eps_cor": 1.0},
        {"leak_ec_bits": -1.0},
    ],
)
def test_impossible_blocks_are_refused(changes):
    """Intensities that do not fall, probabilities that do not add up, counts that cannot be: refused."""
    sane = {
        "key_detections": (10, 10, 10),
        "test_detections": (10, 10, 10),
        "test_errors": (0, 0, 0),
        "intensities": THREE,
        "probabilities": P_THREE,
        "leak_ec_bits": 0.0,
        "eps_sec": 1e-10,
        "eps_cor": 1e-10,
    }
    with pytest.raises(ValueError, match=r"must|needed|lie|among"):
        lim_2014(**sane | changes)


def test_a_vacuum_is_no_decoy_on_its_own():
    """With the vacuum as the only decoy nothing bounds the multi-photon pulses: refused."""
    with pytest.raises(ValueError, match="says nothing of single photons"):
        wiesemann_2024(
            key_detections=(1, 1),
            key_errors=(0, 0),
            test_detections=(1, 1),
            test_errors=(0, 0),
            intensities=(0.5, 0.0),
            probabilities=(0.5, 0.5),
            leak_ec_bits=0,
            eps_sec=1e-10,
            eps_cor=1e-10,
        )
