"""How registers are measured and what outcomes are worth: exact means, and samplers that agree with them."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.photonics.registers import ExactProcessor, Treatment, pauli
from netsim.random_streams import random_bits
from nodes.qml import fixed_point
from nodes.qml.datasets import split, two_clusters
from nodes.qml.density import Noise
from nodes.qml.expansion import Expansion
from nodes.qml.padding import Pads
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.query_modes import (
    ESTIMATORS,
    QUERY_MODES,
    References,
    kernel_reading,
    masked_features,
    observable_reading,
    reading_of,
    sampled_values,
    swap_reading,
    swap_values,
)
from tests.nodes.desk import machine
from tests.statistics import FALSE_FAILURE, assert_binomial

READINGS = {"observable": observable_reading, "kernel": kernel_reading}


def questions(count):
    """Test rows and their states, complex128[4, count]."""
    model, test = machine()
    return test.features[:count], model.program.columns(test.features[:count])


def allowed(reading, registers):
    """How far a decision value may be off at the stated false-failure rate: Hoeffding over the entries' registers."""
    counts = np.bincount(reading.schedule(registers))
    spans = np.abs(reading.weights) * np.ptp(reading.worth, axis=1)
    return np.sqrt(np.log(2 / FALSE_FAILURE) / 2 * np.sum(spans**2 / counts))


def test_the_modes_have_their_names():
    """The four of the paper's constructions, in this order."""
    assert QUERY_MODES == ("otp", "qotp", "same-pad", "masked")
    assert ESTIMATORS == ("observable", "kernel")


def test_an_expansion_is_the_quantum_svm():
    """The same machine as QuantumSVM trains, decision values equal to 1e-9."""
    rng = np.random.default_rng(2)
    train, test = split(two_clusters(200, 3.2, rng), 0.7, rng)
    kept, deployed = Expansion.trained(train, C=2.0), QuantumSVM(C=2.0).fit(train)
    assert np.abs(kept.decide(test.features) - deployed.decide(test.features)).max() < 1e-9
    assert np.array_equal(kept.classify(test.features), deployed.classify(test.features))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_a_readings_mean_is_the_decision_value(estimator):
    """Observable and kernel entries add up to f(x) to 1e-12, without errors; the deployed model has the same observable."""
    model, _ = machine()
    features, states = questions(60)
    reading = reading_of(model, estimator)
    values = [reading.value(entries) for entries in reading.exact(states).T]
    assert np.abs(values - model.decide(features)).max() < 1e-12


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_swap_tests_mean_is_the_decision_value(estimator):
    """Overlaps with reference states, by the Bell measurement's exact distribution, add up to f(x)."""
    model, _ = machine()
    features, states = questions(10)
    references = References.of(model, estimator)
    reading = references.reading()
    for state, value in zip(states.T, model.decide(features), strict=True):
        pairs = references.pairs(state, np.arange(references.count))
        entries = np.einsum("ez,ze->e", reading.worth, reading.distribution(pairs)[0])
        assert reading.value(entries) == pytest.approx(value, abs=1e-12)
        # the same pad on both halves changes no mean
        pads = Pads.of(random_bits(4 * references.count, np.random.default_rng(3)), 2).doubled()
        padded = reading.distribution(pauli(pairs, pads.x, pads.z))[0]
        assert np.allclose(np.einsum("ez,ze->e", reading.worth, padded), entries, atol=1e-12)


@pytest.mark.parametrize("qubits", [1, 2, 3])
def test_the_swap_reading_is_unitary(qubits):
    """A Bell measurement of n pairs of qubits."""
    unitary = swap_reading(qubits, 1).unitaries[0]
    assert np.allclose(unitary @ unitary.conj().T, np.eye(4**qubits), atol=1e-14)


def test_errors_of_the_fibre_are_in_the_distribution():
    """Pauli Y on each qubit by itself: the distribution is that of the mixed state."""
    _, states = questions(3)
    reading = observable_reading(machine()[0])
    y = np.array([[0, -1j], [1j, 0]])
    p, one = 0.07, np.eye(2)
    for state, found in zip(states.T, reading.distribution(states, p)[0].T, strict=True):
        rho = np.outer(state, state.conj())
        for turn in (np.kron(one, y), np.kron(y, one)):
            rho = (1 - p) * rho + p * turn @ rho @ turn.conj().T
        unitary = reading.unitaries[0]
        assert np.allclose(found, np.diag(unitary @ rho @ unitary.conj().T).real, atol=1e-13)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_sampled_values_are_right_in_the_mean(estimator):
    """Drawn outcomes, with losses, lie about the exact value with errors, within Hoeffding's bound."""
    reading = reading_of(machine()[0], estimator)
    _, states = questions(4)
    rng = np.random.default_rng(4)
    found = sampled_values(reading, states, 40_000, rng, flip=0.03, arrival=0.8)
    exact = [reading.value(entries) for entries in reading.exact(states, 0.03).T]
    assert np.abs(found - exact).max() < allowed(reading, 30_000)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_sampled_swaps_are_right_in_the_mean(estimator):
    """Likewise for swap tests."""
    model, _ = machine()
    features, states = questions(4)
    references = References.of(model, estimator)
    found = swap_values(references, states, 40_000, np.random.default_rng(5), arrival=0.8)
    assert np.abs(found - model.decide(features)).max() < allowed(references.reading(), 30_000)


@pytest.mark.parametrize("registers", [37, 100, 1001])
def test_registers_are_shared_out_by_weight(registers):
    """Every entry has at least one, in all there are as many as said, more where the weight is greater."""
    reading = kernel_reading(machine()[0])
    counts = np.bincount(reading.schedule(registers), minlength=len(reading.weights))
    assert counts.sum() == registers
    assert counts.min() >= 1
    assert np.all(np.diff(counts[np.argsort(np.abs(reading.weights))]) >= -1)


def test_too_few_registers_are_refused():
    """An entry without a register cannot be estimated."""
    with pytest.raises(ValueError, match="at least one for each"):
        kernel_reading(machine()[0]).schedule(5)


def test_an_entry_of_which_nothing_arrived_is_missing():
    """It is NaN, and so is the decision value."""
    reading = kernel_reading(machine()[0])
    entry = reading.schedule(200)
    entries = reading.entries(entry, np.zeros(200, np.intp), entry != 3)
    assert np.flatnonzero(np.isnan(entries)).tolist() == [3]
    assert np.isnan(reading.value(entries))


def test_a_mask_that_stays_on_leaves_chance():
    """Codes under a fresh pad are uniform whatever the features, so the classifier agrees with itself half of the time."""
    model, test = machine()
    rng = np.random.default_rng(6)
    features = np.repeat(test.features, 100, axis=0)
    masked = masked_features(features, rng)
    assert_binomial(int(np.sum(masked[:, 0] < 0.5)), len(masked), 0.5)
    right = model.classify(masked) == np.repeat(test.labels, 100)
    # balanced labels: whatever share of the square is class 1, independent answers are right half of the time
    assert_binomial(int(right.sum()), len(right), 0.5, fault=0.6)
    assert fixed_point.FULL_SCALE == 65535


def test_models_without_support_vectors_have_no_entries():
    """A deployed QuantumSVM can be measured as an observable, not entry by entry."""
    rng = np.random.default_rng(7)
    train, _ = split(two_clusters(60, 3.2, rng), 0.7, rng)
    model = QuantumSVM().fit(train)
    assert reading_of(model, "observable").qubits == 2
    assert References.of(model, "observable").count == 4
    with pytest.raises(TypeError, match="expected an Expansion"):
        reading_of(model, "kernel")
    with pytest.raises(TypeError, match="expected an Expansion"):
        References.of(model, "kernel")


def aer(noise=None):
    """A processor on Aer."""
    from nodes.qml.register_aer import AerProcessor  # noqa: PLC0415  Aer takes seconds to import

    return AerProcessor(noise)


def estimated(processor, reading, states, pads, rng):
    """A decision value from registers under pads that the processor undoes, or leaves on where there is no key."""
    registers = states.shape[1]
    entry = reading.schedule(registers)
    treatment = Treatment(pads.x, pads.z, reading.unitaries, reading.turn[entry])
    found = processor.run(states, treatment, rng)
    return reading.value(reading.entries(entry, found, np.ones(registers, dtype=np.bool_)))


@pytest.mark.slow
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_aer_and_the_exact_processor_agree_on_padded_copies(estimator):
    """`qotp`: random Pauli pads undone, U and readout as circuits: both within Hoeffding's bound of f(x)."""
    model, _ = machine()
    features, states = questions(1)
    reading, rng, registers = reading_of(model, estimator), np.random.default_rng(8), 20_000
    pads = Pads.of(random_bits(4 * registers, rng), 2)
    copies = pauli(np.repeat(states, registers, axis=1), pads.x, pads.z)
    for processor in (ExactProcessor(), aer()):
        value = estimated(processor, reading, copies, pads, rng)
        assert abs(value - model.decide(features)[0]) < allowed(reading, registers)


@pytest.mark.slow
def test_aer_and_the_exact_processor_agree_on_pairs_under_one_pad():
    """`same-pad`: swap tests of pairs whose pads stay on: both within Hoeffding's bound of f(x)."""
    model, _ = machine()
    features, states = questions(1)
    references = References.of(model, "observable")
    reading, rng, registers = references.reading(), np.random.default_rng(9), 20_000
    under = Pads.of(random_bits(4 * registers, rng), 2).doubled()
    pairs = pauli(references.pairs(states[:, 0], reading.schedule(registers)), under.x, under.z)
    nothing = Pads(np.zeros_like(under.x), np.zeros_like(under.z))
    for processor in (ExactProcessor(), aer()):
        value = estimated(processor, reading, pairs, nothing, rng)
        assert abs(value - model.decide(features)[0]) < allowed(reading, registers)


@pytest.mark.slow
def test_a_devices_noise_is_aers():
    """Readout errors flip each bit by themselves; depolarising gates pull an observable's value towards its bias."""
    model, _ = machine()
    _, states = questions(1)
    reading, rng, registers = observable_reading(model), np.random.default_rng(10), 20_000
    pads = Pads.of(random_bits(4 * registers, rng), 2)
    copies = pauli(np.repeat(states, registers, axis=1), pads.x, pads.z)
    wrong = 0.1
    flip = np.array([[1 - wrong, wrong], [wrong, 1 - wrong]])
    distribution = np.kron(flip, flip) @ reading.distribution(states)[0][:, 0]
    value = estimated(aer(Noise(readout=wrong)), reading, copies, pads, rng)
    assert abs(value - reading.bias - reading.worth[0] @ distribution) < allowed(reading, registers)
    all_noise = estimated(aer(Noise(p1=1.0, p2=1.0)), reading, copies, pads, rng)
    assert abs(all_noise - reading.bias - reading.worth[0].mean()) < allowed(reading, registers)
