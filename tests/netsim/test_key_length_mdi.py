"""Finite measurement-device-independent key: yields that are known, relays that cheat, and a larger programme."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import linprog

from netsim.key_length import mdi
from netsim.key_length.asymptotic import binary_entropy
from netsim.key_length.mdi import mdi_decoy

THREE, P_THREE = (0.4, 0.1, 0.005), (0.5, 0.3, 0.2)
TWO, P_TWO = (0.4, 0.08), (0.7, 0.3)
PHOTONS = np.arange(16)
EPS = {"eps_sec": 1e-10, "eps_cor": 1e-12}


def weights(intensities, probabilities):
    """Probability of an intensity and n photons, shape (K, 16)."""
    return np.array(
        [
            [p * math.exp(-k) * k**n / math.factorial(n) for n in PHOTONS]
            for k, p in zip(intensities, probabilities, strict=True)
        ]
    )


def honest(pulses, eta=0.1, wrong=0.01, dark=1e-7):
    """Events by photon numbers over a lossy channel, in the key basis, the test basis, and test errors."""
    arrives = 1 - (1 - eta) ** PHOTONS
    yields = 0.5 * np.outer(arrives, arrives) + dark
    # In the test basis several photons interfere badly, and none make errors at random.
    errors = np.full((16, 16), 0.25)
    errors[0, :] = errors[:, 0] = 0.5
    errors[1, 1] = (0.5 * dark + wrong * (yields[1, 1] - dark)) / yields[1, 1]
    return pulses * yields, pulses * yields, pulses * yields * errors


def by_intensity(rate, a=THREE, pa=P_THREE, b=THREE, pb=P_THREE):
    """Expected counts by the two intensities."""
    return weights(a, pa) @ rate @ weights(b, pb).T


def events(rate, a=THREE, pa=P_THREE, b=THREE, pb=P_THREE):
    """Expected events by photon numbers."""
    return rate * np.outer(weights(a, pa).sum(axis=0), weights(b, pb).sum(axis=0))


def key_of(tables, a=THREE, pa=P_THREE, b=THREE, pb=P_THREE, leak=0.0, **more):
    """The key length of three tables."""
    return mdi_decoy(
        key_detections=tables[0],
        test_detections=tables[1],
        test_errors=tables[2],
        intensities_a=a,
        intensities_b=b,
        probabilities_a=pa,
        probabilities_b=pb,
        leak_ec_bits=leak,
        **EPS | more,
    )


def test_large_blocks_find_the_single_photons():
    """With three intensities and endless pulses the bounds close on the truth, from the safe side."""
    shares, phases = [], []
    for pulses in (1e10, 1e12, 1e15, 1e18):
        rates = honest(pulses)
        got = key_of([by_intensity(rate) for rate in rates])
        truth = events(rates[0])
        assert got.single_photon_events <= truth[1, 1]
        assert got.vacuum_events <= truth[0].sum()
        assert got.test_single_photon_errors >= events(rates[2])[1, 1]
        shares.append(got.single_photon_events / truth[1, 1])
        phases.append(got.phase_error_bound)
    assert shares == sorted(shares)
    assert shares[-1] > 0.95
    assert phases == sorted(phases, reverse=True)
    assert 0.01 < phases[-1] < 0.02


def test_an_honest_relay_gives_key():
    """At 1e12 pulses and 10 dB a side there is key after leakage, and its terms add up."""
    tables = [by_intensity(rate) for rate in honest(1e12)]
    n = tables[0].sum()
    got = key_of(tables, leak=1.16 * n * binary_entropy(0.012))
    assert 0.1 < got.length / n < 0.5
    assert got.length == math.floor(got.n - got.amplification_bits - got.leak_ec_bits - got.epsilon_bits)
    assert got.epsilon_bits == pytest.approx(6 * math.log2(83 / 1e-10) + 1 + math.log2(1e12))


@pytest.mark.parametrize(("bob_sends", "with_p"), [(THREE, P_THREE), (TWO, P_TWO)], ids=["three", "two"])
def test_bounds_hold_whatever_the_relay_lets_through(bob_sends, with_p):
    """For relays that pick photon numbers as they like, drawn counts never yield a bound beyond the truth.

    Each of 25 blocks may fail with ε_sec = 1e-11: a false failure has probability below 3e-10.
    """
    rng = np.random.default_rng(12)
    columns = len(bob_sends)
    alice, bob = weights(THREE, P_THREE), weights(bob_sends, with_p)
    alice, bob = alice / alice.sum(axis=0), bob / bob.sum(axis=0)

    def draw(numbers):
        table = np.zeros((3, columns), dtype=int)
        for n, m in zip(*np.nonzero(numbers), strict=True):
            cells = np.outer(alice[:, n], bob[:, m]).ravel()
            table += rng.multinomial(numbers[n, m], cells / cells.sum()).reshape(3, columns)
        return table

    useful = 0
    for _ in range(25):
        shares = rng.dirichlet(np.r_[0.1, 0.1, 0.1, 0.1, 5.0, 0.5, 0.1, 0.5, 0.5])
        found = np.zeros((16, 16), dtype=int)
        found[:3, :3] = rng.multinomial(3 * 10**7, shares).reshape(3, 3)
        found[7, 9], found[1, 12] = rng.integers(0, 10**4, size=2)
        chance = np.full((16, 16), rng.uniform(0, 0.1))
        chance[0, :] = chance[:, 0] = 0.5
        wrong, key_wrong = rng.binomial(found, chance), rng.binomial(found, chance)
        errors, key_errors = draw(wrong), draw(key_wrong)
        tables = (key_errors + draw(found - key_wrong), errors + draw(found - wrong), errors)
        got = key_of(tables, b=bob_sends, pb=with_p, key_errors=key_errors, eps_sec=1e-11)
        assert got.single_photon_events <= found[1, 1]
        assert got.test_single_photon_events <= found[1, 1]
        assert got.vacuum_events <= found[0].sum()
        assert got.test_single_photon_errors >= wrong[1, 1]
        useful += got.single_photon_events > 0
    assert useful > 10


def test_two_intensities_need_the_errors_of_the_key():
    """With two a side only errors bound the vacuum: with the key's there are single photons, without them none."""
    rates = honest(1e14)
    two = {"a": TWO, "pa": P_TWO, "b": TWO, "pb": P_TWO}
    tables = [by_intensity(rate, **two) for rate in rates]
    chance = np.full((16, 16), 0.01)
    chance[0, :] = chance[:, 0] = 0.5
    got = key_of(tables, **two, key_errors=by_intensity(rates[0] * chance, **two))
    truth = events(rates[0], **two)[1, 1]
    assert 0.5 * truth < got.single_photon_events <= truth
    assert key_of(tables, **two).single_photon_events < 1e-6 * truth


def test_the_lumped_programme_is_below_a_larger_one():
    """Fifteen photons a side, none lumped, allow no fewer single photons than what is claimed."""
    rates = honest(1e11)
    tables = [by_intensity(rate) for rate in rates]
    total = tables[0].sum()
    low, high = mdi._mean_intervals(tables[0].ravel() / total, total, 1e-10 / 83)
    side = weights(THREE, P_THREE) / weights(THREE, P_THREE).sum(axis=0)
    cells = np.kron(side, side)
    scale = 1 / high[:, None]
    objective = np.zeros(256)
    objective[17] = 1
    larger = linprog(
        objective,
        A_ub=np.vstack([cells * scale, -cells * scale]),
        b_ub=np.concatenate([np.ones(9), -low / high]),
        A_eq=np.ones((1, 256)),
        b_eq=[1],
        bounds=(0, 1),
    )
    got = key_of(tables)
    assert 0 < got.single_photon_events <= larger.fun * total * (1 + 1e-6)
    assert got.single_photon_events == pytest.approx(larger.fun * total, rel=1e-3)


def test_intervals_hold_their_divergence():
    """The ends of an interval are where N·D(share‖mean) is ln(1/ε), and lie inside Hoeffding's."""
    shares, total, eps = np.array([0.0, 1e-6, 0.3, 1.0]), 1e7, 1e-10
    low, high = mdi._mean_intervals(shares, total, eps)
    hoeffding = math.sqrt(math.log(1 / eps) / (2 * total))
    assert (low <= shares).all()
    assert (shares <= high).all()
    assert (shares - low <= hoeffding).all()
    assert (high - shares <= hoeffding).all()
    assert low[0] == 0.0
    assert high[-1] == 1.0
    assert high[0] == pytest.approx(-math.expm1(-math.log(1 / eps) / total), rel=1e-9)
    for mean in (low[2], high[2]):
        divergence = 0.3 * math.log(0.3 / mean) + 0.7 * math.log(0.7 / (1 - mean))
        assert total * divergence == pytest.approx(math.log(1 / eps), rel=1e-6)


def test_photon_number_splitting_leaves_no_key():
    """A relay that lets only pairs of two photons through is seen, however large the block."""
    rate = np.zeros((16, 16))
    rate[2, 2] = 1e12
    got = key_of([by_intensity(rate), by_intensity(rate), by_intensity(0.02 * rate)])
    assert (got.length, got.eaten_by) == (0, "amplification")
    assert got.single_photon_events < 1e-3 * got.n


def test_counts_that_no_photons_make_give_no_key():
    """A relay that favours the weak intensities contradicts every photon number: no bound, no key, no exception."""
    got = key_of(([[10, 10, 10], [10, 10, 10], [10, 10, 10**7]],) * 2 + (np.zeros((3, 3)),))
    assert got.length == 0
    assert got.single_photon_events == 0


def test_empty_tables_give_no_key():
    """Nought in any table, or in all, is answered without an exception, and with no single photon's key."""
    nothing, some = np.zeros((3, 3)), np.full((3, 3), 100)
    assert key_of((nothing, nothing, nothing)).eaten_by == "detections"
    for tables in ((some, nothing, nothing), (some, some, nothing), (nothing, some, some)):
        got = key_of(tables)
        # What came without a photon from Alice is secret, and needs no test.
        assert got.length <= got.vacuum_events
        assert got.single_photon_events == 0 or got.phase_error_bound == 0.5
        assert all(math.isfinite(bits) for bits in got.terms.values())


def test_a_small_block_says_so():
    """The same relay gives key from 1e12 pulses and none from 1e8: the block ate it, not the relay."""
    tables = [by_intensity(rate) for rate in honest(1e8)]
    got = key_of(tables, leak=1.16 * tables[0].sum() * binary_entropy(0.012))
    assert (got.length, got.eaten_by) == (0, "statistics")
    assert "a larger block would leave some" in got.account


@pytest.mark.parametrize(
    "changes",
    [
        {"key_detections": [[1, 1], [1, 1]]},
        {"key_detections": [[1, 1, 1], [1, 1, 1], [1, 1]]},
        {"test_detections": [[1, 1, -1]] * 3},
        {"test_errors": [[2, 0, 0]] * 3},
        {"intensities_a": (0.1, 0.2, 0.0)},
        {"intensities_b": (0.4,), "probabilities_b": (1.0,)},
        {"probabilities_a": (0.5, 0.5, 0.5)},
        {"key_errors": [[2, 0, 0]] * 3},
        {"eps_sec": 2.0},
        {"leak_ec_bits": math.nan},
    ],
)
def test_impossible_blocks_are_refused(changes):
    """Tables of another shape, negative counts, intensities that do not fall: refused with what was got."""
    sane = {
        "key_detections": [[1, 1, 1]] * 3,
        "test_detections": [[1, 1, 1]] * 3,
        "test_errors": [[0, 0, 0]] * 3,
        "intensities_a": THREE,
        "intensities_b": THREE,
        "probabilities_a": P_THREE,
        "probabilities_b": P_THREE,
        "leak_ec_bits": 0.0,
        **EPS,
    }
    with pytest.raises(ValueError, match=r"must|needed|lie|among"):
        mdi_decoy(**sane | changes)
