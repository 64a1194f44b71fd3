"""From a Qiskit circuit to steps of the batched engine: compiled once, run for any number of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.qml.expressions import Expressions
from nodes.qml.statevector import Builder, Program

_H = np.sqrt(0.5) * np.array([[1, 1], [1, -1]], dtype=np.complex128)
_S = np.diag(np.array([1.0, 1.0j]))
_SX = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) * np.complex128(0.5)
_Y = np.array([[0, -1j], [1j, 0]])
_X = np.array([[0, 1], [1, 0]], dtype=np.complex128)
_TO_Y = _S @ _H  # takes the z axis to the y axis
_PHASE = {"z": np.pi, "s": np.pi / 2, "sdg": -np.pi / 2, "t": np.pi / 4, "tdg": -np.pi / 4}

Angle = NDArray[np.float64]


def _rz(to: Builder, angle: Angle, *qubits: int) -> None:
    to.phase(-angle / 2.0)
    to.phase(angle, *qubits)


def _turned(axis: NDArray[np.complex128]) -> Callable[..., None]:
    """A rotation about another axis: the one about z, its axis turned."""

    def gate(to: Builder, angle: Angle, *qubits: int) -> None:
        for qubit in qubits:
            to.gate(qubit, axis.conj().T)
        _rz(to, angle, *qubits)
        for qubit in qubits:
            to.gate(qubit, axis)

    return gate


def _crz(to: Builder, angle: Angle, control: int, target: int) -> None:
    to.phase(-angle / 2.0, control)
    to.conjunction(angle, control, target)


def _controlled_turned(axis: NDArray[np.complex128]) -> Callable[..., None]:
    def gate(to: Builder, angle: Angle, control: int, target: int) -> None:
        to.gate(target, axis.conj().T)
        _crz(to, angle, control, target)
        to.gate(target, axis)

    return gate


def _u(to: Builder, theta: Angle, phi: Angle, lam: Angle, qubit: int) -> None:
    to.phase(lam, qubit)
    _turned(_TO_Y)(to, theta, qubit)
    to.phase(phi, qubit)


def _ccx(to: Builder, one: int, other: int, target: int) -> None:
    to.gate(target, _H)
    to.conjunction(to.angle(np.pi), one, other, target)
    to.gate(target, _H)


def _constant(matrix: NDArray[np.complex128]) -> Callable[..., None]:
    return lambda to, qubit: to.gate(qubit, matrix)


def _fixed_phase(angle: float) -> Callable[..., None]:
    def gate(to: Builder, qubit: int) -> None:
        if to.loose(qubit):
            to.gate(qubit, np.diag([1.0, np.exp(1j * angle)]))
        else:
            to.phase(to.angle(angle), qubit)

    return gate


def _x(to: Builder, qubit: int) -> None:
    if to.loose(qubit):
        to.gate(qubit, _X)
    else:
        to.flip(qubit)


def _y(to: Builder, qubit: int) -> None:
    if to.loose(qubit):
        to.gate(qubit, _Y)
    else:  # Y = iXZ
        to.phase(to.angle(np.pi), qubit)
        to.flip(qubit)
        to.phase(to.angle(np.pi / 2))


_GATES: dict[str, Callable[..., None]] = {
    "id": lambda to, qubit: None,  # noqa: ARG005  it does nothing with what every gate is given
    "h": _constant(_H),
    "sx": _constant(_SX),
    "sxdg": _constant(_SX.conj().T),
    "x": _x,
    "y": _y,
    **{name: _fixed_phase(angle) for name, angle in _PHASE.items()},
    "p": lambda to, angle, qubit: to.phase(angle, qubit),
    "rz": _rz,
    "rx": _turned(_H),
    "ry": _turned(_TO_Y),
    "u": _u,
    "cx": lambda to, control, target: to.controlled_flip(control, target),
    "cz": lambda to, one, other: to.conjunction(to.angle(np.pi), one, other),
    "cp": lambda to, angle, one, other: to.conjunction(angle, one, other),
    "crz": _crz,
    "crx": _controlled_turned(_H),
    "cry": _controlled_turned(_TO_Y),
    "swap": lambda to, one, other: to.exchange(one, other),
    "rzz": _rz,
    "rxx": _turned(_H),
    "ryy": _turned(_TO_Y),
    "ccx": _ccx,
}
SUPPORTED = tuple(sorted(_GATES))
"""Names of the gates that are compiled, beside barriers and a global phase."""


def gates_of(circuit: Any) -> Iterator[tuple[str, tuple[Any, ...], tuple[int, ...]]]:
    """Name, parameters and qubits of each gate; gates that only wrap others are opened, barriers left out.

    Args:
        circuit: a qiskit `QuantumCircuit`.

    Raises:
        ValueError: an instruction that is not supported.
    """
    from qiskit.circuit import Gate, Instruction  # noqa: PLC0415  it takes a second, and closed forms do without

    for entry in circuit.data:
        operation = entry.operation
        qubits = tuple(circuit.find_bit(bit).index for bit in entry.qubits)
        if operation.name == "barrier":
            continue
        if operation.name == "global_phase":
            yield "global phase", tuple(operation.params), ()
            continue
        if operation.name in _GATES and not entry.clbits:
            yield operation.name, tuple(operation.params), qubits
        elif type(operation) in {Gate, Instruction} and operation.definition is not None and not entry.clbits:
            inner = operation.definition
            yield "global phase", (inner.global_phase,), ()
            for name, params, inside in gates_of(inner):
                yield name, params, tuple(qubits[qubit] for qubit in inside)
        else:
            raise ValueError(
                f"the circuit holds the instruction {operation.name!r} on qubits {list(qubits)}; "
                f"expected only barriers and the gates {', '.join(SUPPORTED)}"
            )


def flattened(circuit: Any) -> Any:
    """The same circuit with every gate that only wraps others opened, and without barriers; raises what `gates_of` does."""
    from qiskit import QuantumCircuit  # noqa: PLC0415  whoever has a circuit has Qiskit already
    from qiskit.circuit.library import get_standard_gate_name_mapping  # noqa: PLC0415  likewise

    standard = get_standard_gate_name_mapping()
    flat = QuantumCircuit(circuit.num_qubits, global_phase=circuit.global_phase)
    for name, params, qubits in gates_of(circuit):
        if name == "global phase":
            flat.global_phase += params[0]
        else:
            flat.append(standard[name].base_class(*params), qubits)
    return flat


def compile_circuit(
    circuit: Any, features: Sequence[Any] | None = None, weights: Sequence[Any] = (), *, begun: bool = True
) -> Program:
    """A circuit as a program of the batched engine.

    Args:
        circuit: a qiskit `QuantumCircuit` of the gates in `SUPPORTED`, barriers and a global phase.
        features: its parameters in the order of a row's columns; all that are not weights, in the circuit's own
            order, if left out.
        weights: further parameters; their columns follow those of the features.
        begun: whether steps that are the same for every row may be done on |0…0⟩ beforehand.

    Returns:
        The program; its rows are features, then weights.

    Raises:
        ValueError: a measurement, a reset, control flow, or another instruction that is not supported; a parameter
            that is neither feature nor weight; too many qubits.
    """
    held = set(weights)
    columns = [p for p in circuit.parameters if p not in held] if features is None else list(features)
    expressions = Expressions([*columns, *weights])
    gates = [("global phase", (circuit.global_phase,), ()), *gates_of(circuit)]
    resolved = [
        (name, [_resolved(value, expressions) for value in params], qubits) for name, params, qubits in gates
    ]
    builder = Builder(circuit.num_qubits, len(expressions))
    for name, params, qubits in resolved:
        angles = [builder.angle(*param) for param in params]
        if name == "global phase":
            builder.phase(angles[0])
        else:
            _GATES[name](builder, *angles, *qubits)
    return Program.of(
        len(columns) + len(weights), circuit.num_qubits, expressions, builder.steps(), begun=begun
    )


def _resolved(value: Any, expressions: Expressions) -> tuple[float, int]:
    """A gate's parameter as weight and index of an angle."""
    if hasattr(value, "parameters"):
        if value.parameters:
            return 1.0, expressions.add(value)
        value = value.numeric()
    number = float(value)
    if not np.isfinite(number):
        raise ValueError(f"a gate's angle is {number}; expected a finite one")
    return number, 0
