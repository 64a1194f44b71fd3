"""What the circuits cost: qubits, depth and two-qubit gates, counted on named devices or cited, with its source in every row.

Counted means: built, transpiled by Qiskit to {rz, sx, x, cx} with the parameters unbound, at optimisation level 1 and a fixed
seed, and counted. For the ZZ feature map there are closed forms as well, which need no Qiskit: a run can afford them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

Coupling = Literal["all-to-all", "line", "heavy-hex"]
"""Which pairs of qubits a device joins."""

BASIS = ("rz", "sx", "x", "cx")
SEED = 0
LEVEL = 1
_CLOSED_FORM = "closed form"


@dataclass(frozen=True)
class Resources:
    """What a circuit takes.

    Attributes:
        qubits: in use.
        depth: layers of gates; for a measurement pattern, layers of measurements.
        two_qubit_gates: of them.
        two_qubit_depth: layers that hold a two-qubit gate.
        source: "counted: …", "closed form: …" or "cited: …".
    """

    qubits: int
    depth: int
    two_qubit_gates: int
    two_qubit_depth: int
    source: str


@dataclass(frozen=True)
class Device:
    """A machine, and how large a circuit has been run on it with a result.

    Attributes:
        name: of it.
        coupling: of its qubits.
        qubits: how many it has.
        two_qubit_gates: in the largest circuit.
        two_qubit_depth: of it.
        source: where that is written.
    """

    name: str
    coupling: Coupling
    qubits: int
    two_qubit_gates: int
    two_qubit_depth: int
    source: str


EAGLE = Device(
    "IBM Eagle (127 qubits, heavy-hex)",
    "heavy-hex",
    127,
    2880,
    60,
    "Kim et al., Nature 618, 500 (2023): expectation values after 60 layers, 2880 CNOT gates, with error mitigation",
)
"""The limit that Algorithm 2's check is held against unless another is given: a circuit that was run, not one that was promised."""


def zz_map_resources(features: int, reps: int = 2, coupling: Coupling = "all-to-all") -> Resources:
    """The ZZ feature map with full entanglement, in closed form.

    All to all: what Qiskit's transpiler makes of Qiskit's circuit. Its pairs follow each other as (0,1), (0,2), …, so that pair
    (i,j) of the first repetition ends at layer 4 + 3(i + j) and each further one begins where its qubits are free.

    On a line, which a heavy-hex device contains: a network of swaps (Kivlichan et al., PRL 120, 110501 (2018)). The phases
    commute, so that n layers of neighbours, each pair turned and swapped with three CX and one RZ, let every pair meet once. It
    is no transpiler's output: see `swap_network` for the circuit, and `transpiled` for what SABRE finds.

    Args:
        features: n, one qubit each, at least 2.
        reps: repetitions, at least 1.
        coupling: of the device.

    Raises:
        ValueError: a value out of range.
    """
    n = features
    if n < 2 or reps < 1 or coupling not in get_args(Coupling):
        raise ValueError(
            f"got {features} features, {reps} repetitions and {coupling!r}; expected at least 2, at least 1, and one of "
            f"{', '.join(get_args(Coupling))}"
        )
    pairs = n * (n - 1) // 2
    if n == 2:  # the two are neighbours on any device
        return Resources(2, 7 * reps, 2 * reps, 2 * reps, f"{_CLOSED_FORM}: any coupling")
    if coupling == "all-to-all":
        return Resources(
            n,
            6 * n - 5 + (reps - 1) * (3 * n + 4),
            2 * pairs * reps,
            4 * n - 6 + (reps - 1) * 2 * n,
            f"{_CLOSED_FORM}: all-to-all, Qiskit's order of the pairs",
        )
    return Resources(
        n, reps * (4 * n + 4), 3 * pairs * reps, 3 * n * reps, f"{_CLOSED_FORM}: line, network of swaps"
    )


def inversion_test_resources(features: int, reps: int = 2, coupling: Coupling = "all-to-all") -> Resources:
    """One kernel entry by the inversion test, in closed form: the map and its inverse, less what cancels where they meet.

    Raises:
        ValueError: as `zz_map_resources`.
    """
    once = zz_map_resources(features, reps, coupling)
    swapped = features > 2 and coupling != "all-to-all"
    met = 2 if swapped else 1  # CX of the last layer that meet their inverses, on either side
    pairs = (features - 1) // 2 if swapped else 1
    return Resources(
        once.qubits,
        2 * once.depth - 2 * met,
        2 * once.two_qubit_gates - 2 * met * pairs,
        2 * once.two_qubit_depth - 2 * met,
        once.source,
    )


def coupling_map(coupling: Coupling, qubits: int) -> Any:
    """Qiskit's `CouplingMap` of a device with room for so many qubits: None for all to all, else a line or the smallest heavy-hex."""
    from qiskit.transpiler import CouplingMap  # noqa: PLC0415  seconds, which a run may do without

    if coupling == "all-to-all":
        return None
    if coupling == "line":
        return CouplingMap.from_line(qubits)
    distance = 3
    while (joined := CouplingMap.from_heavy_hex(distance)).size() < qubits:
        distance += 2  # the code distances that the lattice has are odd
    return joined


def transpiled(circuit: Any, coupling: Coupling = "all-to-all") -> Any:
    """A Qiskit circuit in the basis of this module on such a device; the same each time."""
    from qiskit import transpile  # noqa: PLC0415  seconds, which a run may do without

    return transpile(
        circuit,
        basis_gates=list(BASIS),
        coupling_map=coupling_map(coupling, circuit.num_qubits),
        optimization_level=LEVEL,
        seed_transpiler=SEED,
    )


def counted(circuit: Any, coupling: Coupling = "all-to-all", what: str = "") -> Resources:
    """Transpile a Qiskit circuit, and count.

    Args:
        circuit: a `QuantumCircuit`.
        coupling: of the device.
        what: the circuit, in a few words, for the source.
    """
    done = transpiled(circuit, coupling)
    return Resources(
        circuit.num_qubits,
        done.depth(),
        sum(instruction.operation.num_qubits == 2 for instruction in done.data),
        done.depth(lambda instruction: instruction.operation.num_qubits == 2),
        f"counted: {what or circuit.name} on {coupling}",
    )


def feature_map(features: int, reps: int = 2, entanglement: str = "full", prefix: str = "x") -> Any:
    """Qiskit's ZZ feature map with free parameters; any number of features, as nothing is simulated."""
    from qiskit.circuit.library import zz_feature_map  # noqa: PLC0415  seconds, which a run may do without

    return zz_feature_map(features, reps=reps, entanglement=entanglement, parameter_prefix=prefix)


def inversion_test(features: int, reps: int = 2) -> Any:
    """U†(y)U(x): how often all qubits are 0 is the kernel |⟨φ(y)|φ(x)⟩|² (Havlíček et al. 2019)."""
    return feature_map(features, reps).compose(feature_map(features, reps, prefix="y").inverse())


def swap_test(features: int, reps: int = 2) -> Any:
    """Both states side by side and a control qubit, which is 0 with probability (1 + kernel)/2 (Buhrman et al. 2001)."""
    from qiskit import QuantumCircuit  # noqa: PLC0415  seconds, which a run may do without

    circuit = QuantumCircuit(2 * features + 1, name="swap test")
    circuit.compose(feature_map(features, reps), range(1, features + 1), inplace=True)
    circuit.compose(
        feature_map(features, reps, prefix="y"), range(features + 1, 2 * features + 1), inplace=True
    )
    circuit.h(0)
    for qubit in range(1, features + 1):
        circuit.cswap(0, qubit, qubit + features)
    circuit.h(0)
    return circuit


def variational(features: int, reps: int = 2, layers: int = 3) -> Any:
    """The classifier of seeds/000: a linear ZZ feature map, and RealAmplitudes."""
    from qiskit.circuit.library import real_amplitudes  # noqa: PLC0415  seconds, which a run may do without

    return feature_map(features, reps, "linear").compose(real_amplitudes(features, reps=layers))


def swap_network(features: int, reps: int = 2, prefix: str = "x") -> Any:
    """The fully entangled ZZ feature map for a line of qubits; after an odd number of repetitions the qubits are reversed.

    Parameters are those of `feature_map`.
    """
    from qiskit import QuantumCircuit  # noqa: PLC0415  seconds, which a run may do without
    from qiskit.circuit import ParameterVector  # noqa: PLC0415  likewise

    x = ParameterVector(prefix, features)
    circuit = QuantumCircuit(features, name="network of swaps")
    at = list(range(features))  # which feature is at each place
    for _ in range(reps):
        for place, feature in enumerate(at):
            circuit.h(place)
            circuit.p(2.0 * x[feature], place)
        for layer in range(features):
            for left in range(layer % 2, features - 1, 2):
                one, other = at[left], at[left + 1]
                circuit.cx(left, left + 1)
                circuit.p(2.0 * (math.pi - x[one]) * (math.pi - x[other]), left + 1)
                circuit.cx(left + 1, left)  # CX, phase, CX, and a swap's three CX: two of the five cancel
                circuit.cx(left, left + 1)
                at[left], at[left + 1] = other, one
    return circuit


def least_squares_svm(rows: int, clock: int) -> Any:
    """The core of Rebentrost, Mohseni, Lloyd (PRL 113, 130503 (2014)): solve the least-squares SVM's equations by phase estimation.

    Harrow, Hassidim, Lloyd (PRL 103, 150502 (2009)): phase estimation of F = (0 1ᵀ; 1 K + 1), a rotation by the inverse eigenvalue,
    and phase estimation undone. e^(iFt) is synthesised as a matrix, not simulated from a memory of the data, and the state of the
    labels is not prepared: real ones cost more. K is of rows spread evenly on a circle. Qubits: the clock, the equations, and the
    one that must be found in 1.

    Args:
        rows: of training; rows + 1 equations, padded to a power of two.
        clock: qubits of the phase.
    """
    from qiskit import QuantumCircuit  # noqa: PLC0415  seconds, which a run may do without
    from qiskit.circuit.library import UCRYGate, UnitaryGate  # noqa: PLC0415  likewise
    from qiskit.synthesis import synth_qft_full  # noqa: PLC0415  likewise
    from scipy.linalg import expm  # noqa: PLC0415  likewise

    system = max(1, math.ceil(math.log2(rows + 1)))
    angle = 2 * math.pi * np.arange(rows) / rows
    matrix = np.eye(2**system)  # what is padding stays invertible
    matrix[0, 0] = 0.0
    matrix[1 : rows + 1, 1 : rows + 1] += np.cos(angle[:, None] - angle)
    matrix[0, 1 : rows + 1] = matrix[1 : rows + 1, 0] = 1.0
    largest = 2 ** (clock - 1) - 1  # the clock's number for the largest eigenvalue: both signs are told apart
    matrix *= largest / 2 ** (clock - 1) / np.linalg.norm(matrix, 2)
    phases = list(range(clock))
    work = list(range(clock, clock + system))
    estimation = QuantumCircuit(clock + system + 1)
    estimation.h(phases)
    for qubit in phases:
        step = expm(1j * math.pi * 2**qubit * matrix)
        estimation.append(UnitaryGate(step).control(1), [qubit, *work])
    estimation.compose(synth_qft_full(clock, inverse=True), phases, inplace=True)
    circuit = estimation.copy(name="least-squares SVM")
    signed = np.fft.fftfreq(2**clock, 1 / 2**clock)
    shares = np.divide(1.0, signed, out=np.zeros_like(signed), where=signed != 0)
    circuit.append(UCRYGate((2 * np.arcsin(shares)).tolist()), [clock + system, *phases])
    return circuit.compose(estimation.inverse())


_BRICK_COLUMNS = 4


def brick(upper: Sequence[float], lower: Sequence[float]) -> NDArray[np.complex128]:
    """What a brick of the brickwork state does to two wires when all outcomes are 0, up to a phase; complex128[4, 4].

    Two rows of five qubits (Broadbent, Fitzsimons, Kashefi, FOCS 2009), the last column being the next brick's first: four
    measurements a wire, each J(α) = H·diag(1, e^(iα)), and CZ after the second and the fourth. Angles (α, β, γ, 0) on a wire turn
    it by Rz(γ)Rx(β)Rz(α), any rotation; (0, 0, π/2, 0) above and (0, π/2, 0, −π/2) below make a CX.

    Args:
        upper: four angles.
        lower: four angles.
    """
    hadamard = np.array([[1, 1], [1, -1]]) / math.sqrt(2)
    done: NDArray[np.complex128] = np.eye(4, dtype=np.complex128)
    for column, angles in enumerate(zip(upper, lower, strict=True)):
        turns = [hadamard @ np.diag([1.0, np.exp(1j * angle)]) for angle in angles]
        done = np.kron(turns[0], turns[1]) @ done
        if column % 2:
            done = np.diag([1.0, 1.0, 1.0, -1.0]) @ done
    return done


def brickwork(circuit: Any, what: str = "") -> Resources:
    """A circuit as a pattern on the brickwork state: blind quantum computing's cost.

    The circuit is transpiled to a line; each CX and each run of single-qubit gates takes a brick, as early as its wires are free. A
    CX needs a layer whose bricks join its wires: (0,1), (2,3), … in the first, (1,2), … in the second. The number of layers is
    odd, so that the columns are 5 modulo 8 as the definition of the state has it. Angles are taken to be any; the protocol's eight
    angles would make a rotation many bricks.

    Returns:
        All the state's qubits (a server that measures as it goes holds two columns at a time), layers of measurements, CZ gates.
    """
    done = transpiled(circuit, "line")
    wires = circuit.num_qubits
    free = [0] * wires  # layers used so far
    turning = [False] * wires  # whether the last of them is a rotation, which takes in another
    for instruction in done.data:
        qubits = sorted(done.find_bit(qubit).index for qubit in instruction.qubits)
        if len(qubits) == 1:
            if not turning[qubits[0]]:
                free[qubits[0]] += 1
                turning[qubits[0]] = True
            continue
        layer = max(free[qubit] for qubit in qubits)
        layer += layer % 2 != qubits[0] % 2
        for qubit in qubits:
            free[qubit], turning[qubit] = layer + 1, False
    layers = max(free)
    layers += layers % 2 == 0
    columns = _BRICK_COLUMNS * layers + 1
    joined = sum(2 * len(range(layer % 2, wires - 1, 2)) for layer in range(layers))
    return Resources(
        wires * columns,
        columns - 1,
        wires * (columns - 1) + joined,
        4,  # every qubit has at most three neighbours, and edges of such a graph take at most four rounds (Vizing 1964)
        f"counted: {what or circuit.name} as bricks of Broadbent, Fitzsimons, Kashefi (2009), any angles",
    )


def non_clifford_rotations(features: int, reps: int = 2) -> int:
    """Rotations of the fully entangled ZZ feature map that are no Clifford gates for data in general: one a feature and one a pair."""
    return reps * features * (features + 1) // 2


def t_gates(rotations: int, error: float) -> int:
    """T gates for so many rotations with a total error: 3·log2(1/ε) each to leading order (Ross, Selinger 2016)."""
    return rotations * math.ceil(3 * math.log2(rotations / error))


@dataclass(frozen=True)
class Row:
    """A row of a resource table.

    Attributes:
        approach: whose.
        what: the circuit, in a few words.
        printed: the paper's value; empty where it has none.
        qubits: ours, in words where it is no number.
        depth: ours.
        two_qubit_gates: ours.
        how: "counted: …", "closed form: …", "cited: …" or "cannot be tested: …".
    """

    approach: str
    what: str
    printed: str
    qubits: str
    depth: str
    two_qubit_gates: str
    how: str


def _row(approach: str, what: str, printed: str, found: Resources) -> Row:
    return Row(
        approach,
        what,
        printed,
        str(found.qubits),
        str(found.depth),
        str(found.two_qubit_gates),
        found.source,
    )


@lru_cache(maxsize=1)
def feature_map_rows(features: tuple[int, ...] = (2, 4, 6, 8, 9, 10, 12, 16)) -> tuple[Row, ...]:
    """The paper's experiment and what it grows to: the map alone and both kernel circuits, on each coupling."""
    rows = []
    for n in features:
        circuits = {
            "feature map": feature_map(n),
            "inversion test": inversion_test(n),
            "swap test": swap_test(n),
        }
        for name, circuit in circuits.items():
            for coupling in get_args(Coupling):
                what = f"{name}, {n} features"
                rows.append(_row("QSVM", what, "", counted(circuit, coupling, what)))
    return tuple(rows)


@lru_cache(maxsize=1)
def table_3_rows() -> tuple[Row, ...]:
    """The qubits and depths of the paper's Table 3 beside ours; every approach has at least one row.

    Its columns on fidelity and key throughput are no circuit's and not answered here.
    """
    qsvm, vqc, blind, homomorphic, proposed = (
        "Rebentrost et al. (2014) qSVM",
        "Schuld et al. (2019) VQC",
        "Broadbent et al. (2009) Blind QC",
        "Ouyang et al. (2020) QHE",
        "Proposed: QKD-QML integration",
    )
    rows = []
    for training, clock in ((1, 2), (3, 3), (7, 4)):
        what = f"least-squares SVM of {training} training rows, {clock} clock qubits"
        found = counted(least_squares_svm(training, clock), what=what)
        rows.append(_row(qsvm, what, "20-40 qubits, depth 200-500", found))
    rows.append(
        Row(
            qsvm,
            "M training rows of N features, to accuracy ε",
            "20-40 qubits, depth 200-500",
            "O(log MN)",
            "poly(1/ε) · O(log MN)",
            "",
            "cited: Rebentrost, Mohseni, Lloyd, PRL 113, 130503 (2014), which gives no gate counts and asks for a quantum memory",
        )
    )
    for n in (2, 10, 20, 30):
        what = f"ZZ map and RealAmplitudes of {n} features"
        found = counted(variational(n), "line", what)
        rows.append(_row(vqc, what, "10-30 qubits, depth 150-300", found))
    rows.append(
        Row(
            "Dunjko & Briegel (2017)",
            "a review, no circuit",
            "10-20 qubits, depth 100-250",
            "",
            "",
            "",
            "cannot be tested: Rep. Prog. Phys. 81, 074001 (2018) is a review of the field and proposes no circuit to count",
        )
    )
    for n in (2, 4, 9):
        what = f"feature map, {n} features"
        rows.append(_row(blind, what, "50-100 qubits, depth 800-1000", brickwork(feature_map(n), what)))
    rotations = non_clifford_rotations(2)
    rows.append(
        Row(
            homomorphic,
            "feature map, 2 features",
            "100+ qubits, depth 1000+",
            "",
            "",
            "",
            "cannot be tested: the scheme (Ouyang, Tan, Fitzsimons, PRA 98, 042334 (2018)) is homomorphic for circuits with at most some "
            f"constant number of non-Clifford gates; this map has {rotations} such rotations, about {t_gates(rotations, 1e-3)} T gates at a "
            "total error of 1e-3 (3·log2(1/ε) each, cited: Ross, Selinger 2016)",
        )
    )
    printed = "40-60 qubits, depth 400-600"
    rows.append(
        _row(
            proposed,
            "the paper's experiment: feature map, 2 features",
            printed,
            counted(feature_map(2), what="feature map, 2 features"),
        )
    )
    what = "inversion test, 2 features"
    rows.append(_row(proposed, what, printed, counted(inversion_test(2), what=what)))
    rows.extend(
        _row(proposed, f"feature map, {n} features", printed, zz_map_resources(n)) for n in (40, 45, 60)
    )
    for n in (9, 10):
        for coupling in ("line", "heavy-hex"):
            what = f"inversion test, {n} features"
            rows.append(_row(proposed, what, printed, counted(inversion_test(n), coupling, what)))
    return tuple(rows)
