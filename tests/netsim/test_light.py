"""What light is: states and Born's rule, photon numbers, and kernels that are stochastic maps."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, poisson

from netsim.photonics.light import (
    BORN,
    NUMBER,
    OPPOSITE,
    PHOTONS,
    SHIELDED,
    STATE,
    STATES,
    Branch,
    kernel,
    poisson_numbers,
    thinning,
)

BLOCH = np.array(
    [[np.sin(i * np.pi / 4), 0.0, np.cos(i * np.pi / 4)] for i in range(8)] + [[0, 1.0, 0], [0, -1.0, 0]]
)


def test_borns_rule_is_the_half_angle_on_the_sphere():
    """P(0) = (1 + a·b)/2 of the Bloch vectors, to rounding; 0, ½ and 1 are exact, and the opposite setting has the rest."""
    assert np.abs(BORN - (1 + BLOCH @ BLOCH.T) / 2).max() < 1e-15
    for state, setting in itertools.product(range(STATES), range(STATES)):
        assert BORN[state, setting] + BORN[state, OPPOSITE[setting]] == pytest.approx(1.0, abs=1e-15)
    assert np.all(np.diag(BORN) == 1.0)
    assert np.all(BORN[np.arange(STATES), OPPOSITE] == 0.0)
    assert np.all(BORN[[0, 0, 2, 8, 9, 1], [2, 8, 9, 4, 5, 7]] == 0.5)
    assert BORN[0, 1] == pytest.approx(np.cos(np.pi / 8) ** 2)


@pytest.mark.parametrize("mean", [0.0, 2e-4, 0.15, 0.5, 2.0])
def test_photon_numbers_are_poissons(mean):
    """Every probability to rounding, the tail with the last."""
    numbers = poisson_numbers(mean)
    assert numbers.sum() == pytest.approx(1.0, abs=1e-15)
    assert numbers[:-1] == pytest.approx(poisson.pmf(np.arange(PHOTONS - 1), mean), rel=1e-12, abs=1e-300)
    assert numbers[-1] == pytest.approx(poisson.sf(PHOTONS - 2, mean), rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("fluctuation", [0.0, 0.05, 0.2])
def test_a_fluctuating_intensity_mixes_poissons(fluctuation):
    """The mean stays µ, the vacuum has E[e^(−µ)] = e^(−µ + σ²µ²/2), and E[n(n − 1)] = µ²(1 + σ²)."""
    mean = 0.5
    numbers, n = poisson_numbers(mean, fluctuation), np.arange(PHOTONS)
    assert numbers.sum() == pytest.approx(1.0, abs=1e-15)
    assert numbers @ n == pytest.approx(mean, rel=1e-6)
    assert numbers[0] == pytest.approx(np.exp(-mean + (fluctuation * mean) ** 2 / 2), rel=1e-6)
    assert numbers @ (n * (n - 1)) == pytest.approx(mean**2 * (1 + fluctuation**2), rel=1e-5)


@pytest.mark.parametrize("transmittance", [0.0, 1e-6, 0.3, 1.0])
def test_thinning_is_binomial(transmittance):
    """Of n photons m survive as a binomial says, and two losses are one."""
    t, n = thinning(transmittance), np.arange(PHOTONS)
    assert t == pytest.approx(binom.pmf(n[None, :], n[:, None], transmittance), rel=1e-10, abs=1e-300)
    assert t @ thinning(0.5) == pytest.approx(thinning(0.5 * transmittance), rel=1e-10, abs=1e-30)


@given(st.floats(0, 1), st.floats(0, 1))
def test_branches_that_sum_to_one_make_a_kernel(share, turned):
    """What is written for some of the axes holds for all; what is left out goes on as it came."""
    made = kernel(
        Branch(share * turned, state=OPPOSITE[STATE], flags=SHIELDED, note=STATE),
        Branch(share * (1 - turned), photons=np.minimum(NUMBER, 1)),
        Branch(1 - share),
    )
    assert made.branches == 3
    assert made.probability.shape == made.state.shape == (1, STATES, PHOTONS, 3)
    assert np.abs(made.probability.sum(axis=3) - 1).max() < 1e-12
    assert np.array_equal(made.state[0, :, 5, 0], OPPOSITE)
    assert np.array_equal(made.state[0, :, 5, 2], np.arange(STATES))
    assert np.array_equal(made.photons[0, 3, :, 2], np.arange(PHOTONS))
    assert made.photons[0, 3, :, 1].max() == 1
    assert np.array_equal(made.note[0, :, 0, 0], np.arange(STATES))
    assert np.all(made.note[..., 1:] == 255)


def test_a_kernel_may_tell_intensities_apart():
    """The first axis is the intensity's, where a branch depends on it."""
    share = np.array([0.25, 0.5, 1.0])[:, None, None]
    made = kernel(Branch(share, photons=0), Branch(1 - share))
    assert made.probability.shape == (3, STATES, PHOTONS, 2)
    assert made.probability[:, 0, 0, 0].tolist() == [0.25, 0.5, 1.0]


@pytest.mark.parametrize("branches", [(0.5, 0.4), (1.5, -0.5), (0.7, 0.7)])
def test_branches_that_do_not_sum_to_one_are_refused(branches):
    """Nothing is lost and nothing happens twice."""
    with pytest.raises(ValueError, match="sum to 1"):
        kernel(*(Branch(p) for p in branches))
