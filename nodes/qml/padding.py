"""The quantum one-time pad X^a Z^b, and what becomes of a kernel under it: as it should be done, and as the paper's Algorithm 3 prints it.

Averaged over its 4^n keys the pad makes every state of n qubits the maximally mixed one (Ambainis, Mosca, Tapp and de Wolf,
FOCS 2000): two bits of key hide one qubit, and nothing less would do.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.registers import pauli
from nodes.qml.feature_maps import zz_map
from nodes.qml.overlaps import overlaps
from nodes.qml.statevector import Builder, Program

Order = Literal["pad then map", "map then pad"]
"""What comes first: Algorithm 3 pads the input of the feature map; a pad that can be undone comes after it."""


@dataclass(frozen=True, eq=False)
class Pads:
    """Keys of Pauli pads.

    Attributes:
        x: uint8[count, n] of 0/1, the bit flips.
        z: uint8[count, n] of 0/1, the phase flips.
    """

    x: NDArray[np.uint8]
    z: NDArray[np.uint8]

    @classmethod
    def of(cls, bits: NDArray[np.uint8], qubits: int) -> Pads:
        """Of key uint8[2·n·count]: for each pad its x, then its z."""
        if len(bits) % (2 * qubits):
            raise ValueError(f"pads of {qubits} qubits take {2 * qubits} bits each, got {len(bits)}")
        both = bits.reshape(-1, 2, qubits)
        return cls(both[:, 0], both[:, 1])

    @classmethod
    def every(cls, qubits: int) -> Pads:
        """All 4^n of them."""
        return cls.of(np.array(list(product((0, 1), repeat=2 * qubits)), dtype=np.uint8).reshape(-1), qubits)

    def __len__(self) -> int:
        return len(self.x)

    def repeated(self, times: int, count: int) -> Pads:
        """Each used so often in a row, cut to `count` in all."""
        return Pads(np.repeat(self.x, times, axis=0)[:count], np.repeat(self.z, times, axis=0)[:count])

    def doubled(self) -> Pads:
        """For two registers side by side, the same on both."""
        return Pads(np.tile(self.x, (1, 2)), np.tile(self.z, (1, 2)))


def padded(states: NDArray[np.complex128], pads: Pads) -> NDArray[np.complex128]:
    """Every state under every pad. complex128[2**n, m] → complex128[2**n, m, count]."""
    size, count = states.shape
    repeated = np.repeat(states, len(pads), axis=1)
    every = Pads(np.tile(pads.x, (count, 1)), np.tile(pads.z, (count, 1)))
    return pauli(repeated, every.x, every.z).reshape(size, count, len(pads))


def _inputs(features: int, reps: int) -> Program:
    """The ZZ map with nothing done beforehand, so that another input than |0…0⟩ can be given to it."""
    ready = zz_map(features, reps).program
    builder = Builder(features, 1)
    hadamard = np.array([[1, 1], [1, -1]], dtype=np.complex128) / np.sqrt(2.0)
    for qubit in range(features):
        builder.gate(qubit, hadamard)
    # the leading Hadamards were folded into the start
    return Program(features, features, ready.angles, ready.start, (*builder.steps(), *ready.steps))


def unitaries(features: NDArray[np.float64], reps: int = 2) -> NDArray[np.complex128]:
    """U(x) of the ZZ map for rows float64[m, d], as complex128[2**d, 2**d, m]."""
    return _inputs(features.shape[1], reps).unitaries(features)


@dataclass(frozen=True)
class PadTrial:
    """Kernel entries under pads against the true ones, over all pairs of rows and all keys.

    Attributes:
        order: what came first.
        same_key_error: largest |K' − K| with one key on both states; over keys with some x bit set, and
        same_key_error_without_x: over the others.
        changed: share of entries (of pairs of different rows and of keys with an x bit) off by more than 0.01.
        independent_mean: mean of K' over independent keys, averaged over pairs, and
        independent_spread: the largest distance of a pair's mean from it.
    """

    order: Order
    same_key_error: float
    same_key_error_without_x: float
    changed: float
    independent_mean: float
    independent_spread: float


def pad_trial(rows: NDArray[np.float64], order: Order, reps: int = 2) -> PadTrial:
    """Try all keys, exactly.

    Args:
        rows: float64[m, d], m at least 2, d small: 4^d keys are tried, and 16^d pairs of them.
        order: "pad then map" is U(x) X^a Z^b |0⟩, as the paper's Algorithm 3 says; "map then pad" is X^a Z^b U(x) |0⟩.
        reps: of the ZZ map.
    """
    count, qubits = rows.shape
    size = 2**qubits
    pads = Pads.every(qubits)
    of_rows = zz_map(qubits, reps).program.columns(rows)
    true = overlaps(of_rows, of_rows)
    if order == "map then pad":
        states = padded(of_rows, pads)
    else:
        zero = np.zeros((size, 1), dtype=np.complex128)
        zero[0] = 1.0
        states = np.einsum("ijm,jp->imp", unitaries(rows, reps), padded(zero, pads)[:, 0])
    flat = np.ascontiguousarray(states.reshape(size, -1))
    entries = overlaps(flat, flat).reshape(count, len(pads), count, len(pads))
    same = np.einsum("ipjp->pij", entries)
    error = np.abs(same - true)
    flipped = pads.x.any(axis=1)
    off_diagonal = ~np.eye(count, dtype=np.bool_)
    means = entries.mean(axis=(1, 3))
    return PadTrial(
        order,
        float(error[flipped].max()),
        float(error[~flipped].max()),
        float(np.mean(error[flipped][:, off_diagonal] > 0.01)),
        float(means.mean()),
        float(np.abs(means - means.mean()).max()),
    )
