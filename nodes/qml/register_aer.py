"""A server's processor on Qiskit Aer: the circuits that a device would run on registers that have arrived, with its noise."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.registers import Treatment
from nodes.qml.aer import noise_model
from nodes.qml.density import Noise

_BASIS = ("u", "cx")
_SAME = 9  # decimals to which two states count as the same


class AerProcessor:
    """Undoes Pauli pads gate by gate, runs a unitary as a circuit of one-qubit gates and controlled NOTs, and measures.

    Registers that are in the same state and get the same treatment are shots of one circuit.

    Args:
        noise: of the device; none if left out.
    """

    def __init__(self, noise: Noise | None = None) -> None:
        from qiskit_aer import AerSimulator  # noqa: PLC0415  Aer takes seconds to import, and most runs do without

        method = "statevector" if noise is None else "density_matrix"
        model = None if noise is None else noise_model(noise)
        self._simulator = AerSimulator(method=method, noise_model=model, fusion_enable=False)
        self._circuits: dict[bytes, Any] = {}

    def run(
        self, states: NDArray[np.complex128], treatment: Treatment, rng: np.random.Generator
    ) -> NDArray[np.intp]:
        """One outcome for each register; see `netsim.photonics.registers.Processor`."""
        labels = np.concatenate([treatment.x.T, treatment.z.T, treatment.kind[None]]).astype(np.int64)
        rounded = np.round(states, _SAME) + 0.0  # no negative zeros: they have other bytes
        groups: dict[bytes, list[int]] = {}
        for register in range(states.shape[1]):
            key = rounded[:, register].tobytes() + labels[:, register].tobytes()
            groups.setdefault(key, []).append(register)
        found = np.empty(states.shape[1], dtype=np.intp)
        for shots in sorted({len(where) for where in groups.values()}):  # a job has one number of shots
            members = [where for where in groups.values() if len(where) == shots]
            circuits = [self._circuit(states[:, where[0]], treatment, where[0]) for where in members]
            seed = int(rng.integers(2**31))
            result = self._simulator.run(circuits, shots=shots, seed_simulator=seed, memory=True).result()
            for number, where in enumerate(members):
                found[where] = [int(word, 2) for word in result.get_memory(number)]
        return found

    def _circuit(self, state: NDArray[np.complex128], treatment: Treatment, register: int) -> Any:
        from qiskit import QuantumCircuit  # noqa: PLC0415  whoever has Aer has Qiskit already
        from qiskit_aer.library import SetStatevector  # noqa: PLC0415  likewise

        qubits = treatment.x.shape[1]
        circuit = QuantumCircuit(qubits)
        circuit.append(SetStatevector(state / np.linalg.norm(state)), range(qubits))
        for qubit in range(qubits):  # the inverse of X^x Z^z
            if treatment.x[register, qubit]:
                circuit.x(qubit)
            if treatment.z[register, qubit]:
                circuit.z(qubit)
        circuit.compose(self._turn(treatment.unitaries[treatment.kind[register]]), inplace=True)
        circuit.measure_all()
        return circuit

    def _turn(self, unitary: NDArray[np.complex128]) -> Any:
        """A unitary as a circuit; made once."""
        from qiskit import QuantumCircuit, transpile  # noqa: PLC0415  whoever has Aer has Qiskit already
        from qiskit.circuit.library import UnitaryGate  # noqa: PLC0415  likewise

        key = unitary.tobytes()
        if key not in self._circuits:
            qubits = len(unitary).bit_length() - 1
            whole = QuantumCircuit(qubits)
            whole.append(UnitaryGate(unitary), range(qubits))
            self._circuits[key] = transpile(whole, basis_gates=list(_BASIS), optimization_level=1)
        return self._circuits[key]
