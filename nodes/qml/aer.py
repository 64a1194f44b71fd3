"""The kernel on Qiskit Aer: one compute-uncompute circuit for each entry, as a device would run it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.qml.circuits import SUPPORTED, flattened
from nodes.qml.density import Noise, damping_operators

_ONE_QUBIT = ("h", "x", "y", "z", "s", "sdg", "t", "tdg", "sx", "sxdg", "rx", "ry", "rz", "p", "u")
_TWO_QUBIT = tuple(name for name in SUPPORTED if name not in {*_ONE_QUBIT, "id", "ccx"})


def noise_model(noise: Noise) -> Any:
    """The noise as a qiskit-aer `NoiseModel`."""
    from qiskit_aer.noise import (  # noqa: PLC0415  Aer takes seconds to import, and most runs do without
        NoiseModel,
        ReadoutError,
        depolarizing_error,
        kraus_error,
    )

    model = NoiseModel()
    damping = kraus_error(damping_operators(noise.damping))
    model.add_all_qubit_quantum_error(depolarizing_error(noise.p1, 1).compose(damping), list(_ONE_QUBIT))
    both = damping.tensor(damping)
    model.add_all_qubit_quantum_error(depolarizing_error(noise.p2, 2).compose(both), list(_TWO_QUBIT))
    wrong = noise.readout
    model.add_all_qubit_readout_error(ReadoutError([[1.0 - wrong, wrong], [wrong, 1.0 - wrong]]))
    return model


class AerKernel:
    """Entries for pairs of rows.

    Args:
        circuit: a qiskit `QuantumCircuit`.
        noise: of the device; none if left out.
        shots: of each entry; its exact probability if left out.
        rng: seeds Aer; needed with shots.
    """

    def __init__(
        self, circuit: Any, noise: Noise | None, shots: int | None, rng: np.random.Generator | None
    ) -> None:
        self._circuit = flattened(circuit)
        if noise is not None and any(len(entry.qubits) > 2 for entry in self._circuit.data):
            raise ValueError("noise of the gate 'ccx' is not defined; transpile it to two-qubit gates first")
        self._noise, self._shots, self._rng = noise, shots, rng

    def evaluate(self, left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n] of the pairs of rows float64[n, d] and float64[n, d]."""
        from qiskit_aer import AerSimulator  # noqa: PLC0415  see above

        if len(left) == 0:
            return np.zeros(0)
        qubits = self._circuit.num_qubits
        circuits = []
        for x, y in zip(left, right, strict=True):
            circuit = self._circuit.assign_parameters(x)
            circuit.barrier()  # nothing may cancel across the middle
            circuit = circuit.compose(self._circuit.assign_parameters(y).inverse())
            if self._shots is None:
                circuit.save_probabilities()
            else:
                circuit.measure_all()
            circuits.append(circuit)
        method = "statevector" if self._noise is None else "density_matrix"
        native = set(AerSimulator(method=method).configuration().basis_gates)
        circuits = [_with_matrices(circuit, native) for circuit in circuits]
        simulator = AerSimulator(
            method=method,
            noise_model=None if self._noise is None else noise_model(self._noise),
            fusion_enable=False,
        )
        if self._shots is None:
            result = simulator.run(circuits).result()
            found = np.array([result.data(number)["probabilities"] for number in range(len(circuits))])
            read: NDArray[Any] = np.ones(1)
            wrong = 0.0 if self._noise is None else self._noise.readout
            for _ in range(qubits):
                read = np.kron(read, [1.0 - wrong, wrong])
            return np.asarray(found @ read)
        assert self._rng is not None  # noqa: S101  the kernel has checked
        seed = int(self._rng.integers(2**31))
        counts: Sequence[dict[str, int]] = (
            simulator.run(circuits, shots=self._shots, seed_simulator=seed).result().get_counts()
        )
        if isinstance(counts, dict):
            counts = [counts]
        return np.array([count.get("0" * qubits, 0) for count in counts]) / self._shots


def _with_matrices(circuit: Any, native: set[str]) -> Any:
    """Gates that Aer's method does not know as matrices; their labels keep their noise."""
    from qiskit.circuit.library import UnitaryGate  # noqa: PLC0415  whoever has a circuit has Qiskit already

    changed = circuit.copy_empty_like()
    for entry in circuit.data:
        gate = entry.operation
        if gate.name in SUPPORTED and gate.name not in native:
            gate = UnitaryGate(gate.to_matrix(), label=gate.name)
        changed.append(gate, entry.qubits, entry.clbits)
    return changed
