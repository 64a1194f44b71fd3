"""The trainable half of a variational classifier: Qiskit's RealAmplitudes with a parity readout, and its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

_GROUP = 4  # qubits whose rotations become one matrix


@dataclass(frozen=True)
class RealAmplitudes:
    """Layers of rotations about y with CX between them, bottom pair last, as Qiskit's `real_amplitudes` has them.

    What is read is the parity of all qubits: +1 where an odd number of ones is found, -1 where an even one.

    Attributes:
        qubits: at least 1.
        layers: of CX; there is one layer of rotations more.

    Raises:
        ValueError: a value out of range.
    """

    qubits: int
    layers: int

    def __post_init__(self) -> None:
        if self.qubits < 1:
            raise ValueError(f"an ansatz of {self.qubits} qubits; expected at least 1")
        if self.layers < 0:
            raise ValueError(f"layers is {self.layers}; expected 0 or more")

    @property
    def weights(self) -> int:
        """Angles: one for each qubit and layer of rotations."""
        return self.qubits * (self.layers + 1)

    def circuit(self) -> Any:
        """The same as a qiskit `QuantumCircuit`; its parameters are the angles, layer by layer."""
        from qiskit.circuit.library import real_amplitudes  # noqa: PLC0415  seconds that serving does without

        return real_amplitudes(self.qubits, reps=self.layers, entanglement="reverse_linear")

    @cached_property
    def parity(self) -> NDArray[np.float64]:
        """float64[2**q]: what is read of each basis state."""
        odd: NDArray[np.float64] = (np.bitwise_count(np.arange(2**self.qubits)) & 1).astype(np.float64)
        return 2.0 * odd - 1.0

    @cached_property
    def _entangled(self) -> NDArray[np.intp]:
        """Where each basis state goes in a layer of CX."""
        image = np.arange(2**self.qubits)
        for control in reversed(range(self.qubits - 1)):
            image ^= ((image >> control) & 1) << (control + 1)
        return image

    @cached_property
    def _source(self) -> NDArray[np.intp]:
        return np.argsort(self._entangled)

    def states(self, states: NDArray[np.complex128], weights: NDArray[np.float64]) -> NDArray[np.complex128]:
        """The ansatz with angles float64[w] on states complex128[2**q, n]."""
        return self._layers(states, weights)[-1]

    def matrix(self, weights: NDArray[np.float64]) -> NDArray[np.complex128]:
        """All of it as complex128[2**q, 2**q]."""
        return self.states(np.eye(2**self.qubits, dtype=np.complex128), weights)

    def values(self, states: NDArray[np.complex128], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The mean parity float64[n] after the ansatz, of states complex128[2**q, n]."""
        found = self.states(states, weights)
        means: NDArray[np.float64] = self.parity @ (found.real**2 + found.imag**2)
        return means

    def gradients(self, states: NDArray[np.complex128], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """How `values` change with each angle: float64[n, w].

        By the adjoint method (Jones and Gacon, arXiv:2009.02823 (2020)): the measured operator travels back through
        the circuit, so that all angles cost three runs of it instead of two for each.
        """
        reached = self._layers(states, weights)
        angles = weights.reshape(self.layers + 1, self.qubits)
        out = np.empty((self.layers + 1, self.qubits, states.shape[1]))
        back = self.parity[:, None] * reached[-1]
        for layer in reversed(range(self.layers + 1)):
            for qubit in range(self.qubits):
                left, right = self._halves(back, qubit), self._halves(reached[layer], qubit)
                change = left[:, 1].conj() * right[:, 0] - left[:, 0].conj() * right[:, 1]
                out[layer, qubit] = change.real.sum(axis=(0, 1))
            if layer:
                back = self._rotated(back, -angles[layer])[self._entangled]
        return out.reshape(self.weights, -1).T

    def _layers(
        self, states: NDArray[np.complex128], weights: NDArray[np.float64]
    ) -> list[NDArray[np.complex128]]:
        """The states after each layer of rotations."""
        first, *others = weights.reshape(self.layers + 1, self.qubits)
        reached = [self._rotated(states, first)]
        for angles in others:
            reached.append(self._rotated(reached[-1][self._source], angles))
        return reached

    def _rotated(self, states: NDArray[np.complex128], angles: NDArray[np.float64]) -> NDArray[np.complex128]:
        for lowest in range(0, self.qubits, _GROUP):
            block = np.ones((1, 1))
            for angle in angles[lowest : lowest + _GROUP]:
                cosine, sine = np.cos(angle / 2.0), np.sin(angle / 2.0)
                turn = np.array([[cosine, -sine], [sine, cosine]])
                size = 2 * len(block)
                block = (turn[:, None, :, None] * block[:, None, :]).reshape(size, size)
            # a real matrix treats real and imaginary parts alike
            cells = states.view(np.float64).reshape(-1, len(block), (2 * states.shape[1]) << lowest)
            states = np.matmul(block, cells).reshape(len(states), -1).view(np.complex128)
        return states

    def _halves(self, states: NDArray[np.complex128], qubit: int) -> NDArray[np.complex128]:
        """complex128[·, 2, 2**qubit, n]: the qubit's own axis second."""
        return states.reshape(-1, 2, 2**qubit, states.shape[1])
