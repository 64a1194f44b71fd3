"""Registers in flight: what is done to one photon is done to one qubit of a shared state."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from netsim.photonics.detector import Receiver
from netsim.photonics.fibre import Fibre
from netsim.photonics.pulses import PulseTrain
from netsim.photonics.registers import MAX_QUBITS, ExactProcessor, RegisterTrain, Treatment, pauli
from netsim.photonics.train import NO_PHOTON, Choice
from tests.statistics import assert_binomial

X = np.array([[0, 1], [1, 0]], dtype=complex)
Y = np.array([[0, -1j], [1j, 0]])
Z = np.diag([1.0 + 0j, -1.0])
H = np.array([[1, 1], [1, -1]], dtype=complex) / np.sqrt(2)
SHOTS = 20_000


def kron(*matrices):
    """Of the lowest qubit's matrix first."""
    return functools.reduce(lambda low, high: np.kron(high, low), matrices)


def random_states(qubits, count, rng):
    """complex128[2**qubits, count], each of length 1."""
    states = rng.normal(size=(2**qubits, count)) + 1j * rng.normal(size=(2**qubits, count))
    return states / np.linalg.norm(states, axis=0)


def copies(state, count=SHOTS):
    """A train of copies of one state."""
    return RegisterTrain(np.repeat(state[:, None], count, axis=1), -2, 0.0, 1e6)


def whole(train):
    """All of it."""
    return slice(0, len(train))


def reading(train, unitary=None, rng=None):
    """Numbers of the basis states found after a unitary on each register."""
    rng = np.random.default_rng(9) if rng is None else rng
    zeros = np.zeros((train.registers, train.qubits), dtype=np.uint8)
    size = 2**train.qubits
    unitaries = np.eye(size, dtype=complex)[None] if unitary is None else unitary[None]
    kind = np.zeros(train.registers, dtype=np.intp)
    train.process(Treatment(zeros, zeros, unitaries, kind), ExactProcessor(), rng)
    found = train.measure(whole(train), np.zeros(len(train), np.uint8), rng).reshape(-1, train.qubits)
    return found @ (1 << np.arange(train.qubits))


def assert_distribution(found, probabilities, count=SHOTS):
    """Every outcome is as frequent as it should be."""
    for outcome, probability in enumerate(probabilities):
        assert_binomial(int(np.sum(found == outcome)), count, min(1.0, max(0.0, float(probability))))


@pytest.mark.parametrize("undo", [False, True])
def test_pauli_pads_are_the_textbook_matrices(undo):
    """X^x Z^z and its inverse on every register, qubit 0 the lowest, against Kronecker products."""
    rng = np.random.default_rng(1)
    states = random_states(3, 40, rng)
    x, z = (rng.integers(0, 2, (40, 3), dtype=np.uint8) for _ in range(2))
    turned = pauli(states, x, z, undo=undo)
    for i in range(40):
        matrix = kron(
            *(
                np.linalg.matrix_power(X, int(a)) @ np.linalg.matrix_power(Z, int(b))
                for a, b in zip(x[i], z[i], strict=True)
            )
        )
        matrix = matrix.conj().T if undo else matrix
        assert np.allclose(turned[:, i], matrix @ states[:, i], atol=1e-14)


@pytest.mark.parametrize("qubit", [0, 1, 2])
def test_a_flip_is_a_pauli_y_on_its_qubit(qubit):
    """With certainty on one qubit's slots: the state afterwards is Y on that qubit, whatever it is entangled with."""
    rng = np.random.default_rng(2)
    state = random_states(3, 1, rng)[:, 0]
    train = copies(state, 200)
    for position in range(qubit, len(train), 3):
        train.flip(slice(position, position + 1), 1.0, rng)
    target = kron(*(Y if q == qubit else np.eye(2) for q in range(3))) @ state
    basis = np.linalg.qr(np.column_stack([target, random_states(3, 7, rng)]))[0]
    assert np.all(reading(train, basis.conj().T) == 0)


def test_flips_come_as_often_as_they_should():
    """Independent flips of a computational state change each bit by itself with the fibre's probability."""
    train = copies(np.eye(4, dtype=complex)[:, 1])
    train.flip(whole(train), 0.1, np.random.default_rng(3))
    assert_distribution(reading(train), [0.09, 0.81, 0.01, 0.09])


@pytest.mark.parametrize("setting", range(10))
def test_measuring_every_setting_obeys_born_and_collapses(setting):
    """Each setting of each qubit of an entangled register: frequencies as Born says, and the same again when asked again."""
    rng = np.random.default_rng([4, setting])
    state = random_states(2, 1, rng)[:, 0]
    angle = setting * np.pi / 8
    ket = np.array([np.cos(angle), np.sin(angle)], dtype=complex)
    if setting >= 8:
        ket = np.array([1.0, 1j if setting == 8 else -1j]) / np.sqrt(2)
    for qubit in range(2):
        train = copies(state)
        only = np.arange(len(train)) % 2 == qubit
        settings = np.full(len(train), setting, dtype=np.uint8)
        found = train.measure(whole(train), settings, rng, only)
        assert np.all(found[~only] == NO_PHOTON)
        projector = kron(*(np.outer(ket, ket.conj()) if q == qubit else np.eye(2) for q in range(2)))
        expected = float((state.conj() @ projector @ state).real)
        assert_binomial(int(np.sum(found[only] == 0)), SHOTS, expected)
        assert np.array_equal(train.measure(whole(train), settings, rng, only), found)


def test_measuring_one_qubit_leaves_the_other_in_its_conditional_state():
    """Of a Bell pair the second outcome always agrees with the first in Z and in X."""
    bell = np.array([1, 0, 0, 1], dtype=complex) / np.sqrt(2)
    for setting in (0, 2):
        train = copies(bell, 2000)
        found = train.measure(
            whole(train), np.full(4000, setting, np.uint8), np.random.default_rng(5)
        ).reshape(-1, 2)
        assert np.array_equal(found[:, 0], found[:, 1])
        assert_binomial(int(found[:, 0].sum()), 2000, 0.5)


def test_a_register_arrives_only_if_all_its_photons_do():
    """Through a fibre of transmittance t, a register of two is complete with probability t²."""
    fibre = Fibre(10.0)
    train = copies(np.eye(4, dtype=complex)[:, 3])
    fibre.transmit(train, whole(train), np.random.default_rng(6))
    found = train.measure(whole(train), np.zeros(len(train), np.uint8), np.random.default_rng(7))
    complete = np.all(found.reshape(-1, 2) != NO_PHOTON, axis=1)
    assert_binomial(int(complete.sum()), SHOTS, fibre.transmittance**2)
    assert np.all(found[found != NO_PHOTON] == 1)


def test_losing_a_photon_leaves_the_others_their_statistics():
    """Half of a Bell pair is a fair coin in every basis once the other half is lost."""
    bell = np.array([1, 0, 0, 1], dtype=complex) / np.sqrt(2)
    for setting in (0, 2, 8):
        train, rng = copies(bell, 2000), np.random.default_rng([8, setting])
        for position in range(0, len(train), 2):
            train.lose(slice(position, position + 1), 0.0, rng)
        found = train.measure(whole(train), np.full(len(train), setting, np.uint8), rng).reshape(-1, 2)
        assert np.all(found[:, 0] == NO_PHOTON)
        assert_binomial(int(found[:, 1].sum()), 2000, 0.5)


def test_a_processor_undoes_pads_and_turns():
    """Random pads undone and the inverse of a preparation applied: all zeros, and Born's rule where the states differ."""
    rng = np.random.default_rng(10)
    states = random_states(2, 2, rng)
    basis = np.linalg.qr(np.column_stack([states[:, 0], random_states(2, 3, rng)]))[0]
    x, z = (rng.integers(0, 2, (SHOTS, 2), dtype=np.uint8) for _ in range(2))
    kind = np.arange(SHOTS) % 2
    for which, expected in ((0, 1.0), (1, abs(np.vdot(states[:, 0], states[:, 1])) ** 2)):
        padded = pauli(np.repeat(states[:, [which]], SHOTS, axis=1), x, z)
        train = RegisterTrain(padded, -2, 0.0, 1e6)
        both = np.array([basis.conj().T, basis.conj().T])
        train.process(Treatment(x, z, both, kind), ExactProcessor(), rng)
        found = train.measure(whole(train), np.zeros(len(train), np.uint8), rng).reshape(-1, 2)
        assert_binomial(int(np.sum(~found.any(axis=1))), SHOTS, min(1.0, expected))


def test_without_the_key_a_padded_register_is_noise():
    """Read under random pads that are not undone, every outcome is equally frequent."""
    rng = np.random.default_rng(11)
    state = random_states(2, 1, rng)
    x, z = (rng.integers(0, 2, (SHOTS, 2), dtype=np.uint8) for _ in range(2))
    train = RegisterTrain(pauli(np.repeat(state, SHOTS, axis=1), x, z), -2, 0.0, 1e6)
    assert_distribution(reading(train, kron(H, H)), [0.25] * 4)


def test_detectors_lose_and_invent():
    """Efficiency loses qubits, dark counts stand in for lost ones with a random bit, double clicks are coins."""
    train = copies(np.eye(2, dtype=complex)[:, 1])
    rng = np.random.default_rng(12)
    clicks = Receiver(efficiency=0.6, dark_counts=0.05).detect(train, Choice.always(0), rng)
    seen, dark = 0.6, 0.05
    silent = (1 - seen) * (1 - dark) ** 2
    assert_binomial(len(clicks.slots), SHOTS, 1 - silent)
    zeros = (1 - seen) * dark * (1 - dark) + (seen + (1 - seen) * dark) * dark / 2
    assert_binomial(int(np.sum(clicks.outcomes == 0)), SHOTS, zeros)
    # what was measured is gone
    assert np.all(train.measure(whole(train), np.zeros(SHOTS, np.uint8), rng) == NO_PHOTON)


def test_replacing_exchanges_whole_registers():
    """Registers of another train take the place of some; that one is dark there afterwards."""
    zero, one = (copies(np.eye(4, dtype=complex)[:, z], 10) for z in (0, 3))
    zero.replace(slice(4, 12), one)
    rng = np.random.default_rng(13)
    assert zero.measure(slice(0, 20), np.zeros(20, np.uint8), rng).tolist() == [0] * 4 + [1] * 8 + [0] * 8
    left = one.measure(slice(0, 20), np.zeros(20, np.uint8), rng)
    assert left.tolist() == [1] * 4 + [NO_PHOTON] * 8 + [1] * 8


def test_what_cannot_be_done_to_registers_is_refused():
    """Kernels of single pulses, replacements by other light or of half a register, sizes that are none."""
    train, rng = copies(np.eye(4, dtype=complex)[:, 0], 10), np.random.default_rng(14)
    with pytest.raises(TypeError, match="share one"):
        train.act(whole(train), None, rng)
    with pytest.raises(TypeError, match="got a PulseTrain"):
        train.replace(whole(train), PulseTrain(np.zeros(20, np.uint8), 0, 0.0, 1e6))
    with pytest.raises(TypeError, match="as a whole"):
        train.replace(slice(1, 3), copies(np.eye(4, dtype=complex)[:, 0], 10))
    for size in (1, 3, 2 ** (MAX_QUBITS + 1)):
        with pytest.raises(ValueError, match="a power of two"):
            RegisterTrain(np.zeros((size, 1), dtype=complex), -2, 0.0, 1e6)
    zeros = np.zeros((9, 2), np.uint8)
    eye = np.eye(4, dtype=complex)[None]
    with pytest.raises(ValueError, match="this train has"):
        train.process(Treatment(zeros, zeros, eye, np.zeros(9, np.intp)), ExactProcessor(), rng)
    with pytest.raises(ValueError, match="a treatment of 9"):
        Treatment(zeros, zeros, eye[:, :2], np.zeros(9, np.intp))
