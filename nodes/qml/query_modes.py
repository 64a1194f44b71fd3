"""The four ways in which a question may travel, and how a decision value is read off a question that is a quantum state.

* `otp`: the features under a one-time pad and a one-time MAC; the server opens and classifies them, and knows them then.
* `qotp`: copies of |φ(x)⟩, each under its own Pauli pad; the server undoes the pads and measures. It holds the state itself: the pad
  protects the way, not the question from the server.
* `same-pad`: pairs of |φ(x)⟩ and a reference state, both under one Pauli pad that the server does not know; the server finds their
  overlaps by swap tests, and the client, who has the model, adds them up.
* `masked`: the features under a one-time pad that the server does not take off: Algorithm 1 of the paper to the letter. What the
  server sees is independent of the features, so that it answers at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nodes.qml import fixed_point
from nodes.qml.decision import Decision, Observable
from nodes.qml.expansion import Expansion

QueryModeName = Literal["otp", "qotp", "same-pad", "masked"]
QUERY_MODES: tuple[QueryModeName, ...] = get_args(QueryModeName)
"""Names of the query modes."""

Estimator = Literal["observable", "kernel"]
"""What copies are measured for: the deployed observable in its eigenbasis, or one kernel entry for each support vector."""
ESTIMATORS: tuple[Estimator, ...] = get_args(Estimator)


@runtime_checkable
class Deployed(Protocol):
    """A trained kernel machine: `QuantumSVM` or `Expansion`."""

    @property
    def decision_(self) -> Decision:
        """Its decision function."""


@dataclass(frozen=True, eq=False)
class Reading:
    """How registers are measured, and what the outcomes are worth.

    f(x) is estimated as Σ_e weights_e · (mean of worth_e over the registers of entry e) + bias.

    Attributes:
        unitaries: complex128[turns, 2**q, 2**q], what a register undergoes before its qubits are read in the Z basis.
        turn: intp[entries], which of them the registers of an entry undergo.
        worth: float64[entries, 2**q], of each outcome.
        weights: float64[entries].
        shares: float64[entries], how registers are shared out; positive.
        bias: added at the end.
    """

    unitaries: NDArray[np.complex128]
    turn: NDArray[np.intp]
    worth: NDArray[np.float64]
    weights: NDArray[np.float64]
    shares: NDArray[np.float64]
    bias: float

    @property
    def qubits(self) -> int:
        """Of a register."""
        return int(self.worth.shape[1]).bit_length() - 1

    def schedule(self, registers: int) -> NDArray[np.intp]:
        """Which entry each register serves: intp[registers].

        Every entry gets one, the rest goes by shares (largest remainder), and the registers of an entry are spread evenly, so that
        a stretch of noise does not meet one entry alone.

        Raises:
            ValueError: fewer registers than entries.
        """
        entries = len(self.shares)
        if registers < entries:
            raise ValueError(f"{registers} registers for {entries} entries; expected at least one for each")
        ideal = (registers - entries) * self.shares / self.shares.sum()
        counts = 1 + np.floor(ideal).astype(np.int64)
        rest = registers - int(counts.sum())
        counts[np.argsort(np.floor(ideal) - ideal, kind="stable")[:rest]] += 1
        entry = np.repeat(np.arange(entries), counts)
        within = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
        return entry[np.argsort(within, kind="stable")]

    def entries(
        self, entry: NDArray[np.intp], outcomes: NDArray[np.intp], arrived: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Mean worth of each entry, float64[entries]; NaN where no register arrived.

        Args:
            entry: intp[registers], as `schedule` gives it.
            outcomes: intp[registers], the number that each register's bits make.
            arrived: bool[registers], whether all its qubits did.
        """
        worth = self.worth[entry[arrived], outcomes[arrived]]
        sums = np.bincount(entry[arrived], worth, len(self.shares))
        counts = np.bincount(entry[arrived], minlength=len(self.shares))
        means = np.full(len(counts), np.nan)
        np.divide(sums, counts, out=means, where=counts > 0)
        return means

    def value(self, entries: NDArray[np.float64]) -> float:
        """The decision value, of float64[entries]; NaN if one is missing."""
        return float(self.weights @ entries) + self.bias

    def distribution(self, states: NDArray[np.complex128], flip: float = 0.0) -> NDArray[np.float64]:
        """Exact probabilities of the outcomes, for every turn.

        Args:
            states: complex128[2**q, n].
            flip: probability of a Pauli Y on each qubit by itself.

        Returns:
            float64[turns, 2**q, n].
        """
        found = np.zeros((len(self.unitaries), *states.shape))
        size = len(states)
        rows = np.arange(size)
        for pattern in range(size):
            flips = int(pattern).bit_count()
            weight = flip**flips * (1.0 - flip) ** (self.qubits - flips)
            if weight:
                # Y is X and Z up to a phase that no outcome sees
                signs = 1.0 - 2.0 * (np.bitwise_count(rows & pattern) & 1)
                turned = self.unitaries @ (signs[:, None] * states)[rows ^ pattern]
                found += weight * (turned.real**2 + turned.imag**2)
        return found

    def exact(self, states: NDArray[np.complex128], flip: float = 0.0) -> NDArray[np.float64]:
        """Expected entries float64[entries, n] of states complex128[2**q, n] with such errors."""
        means: NDArray[np.float64] = np.einsum(
            "ez,ezn->en", self.worth, self.distribution(states, flip)[self.turn]
        )
        return means


def sampled_values(
    reading: Reading,
    states: NDArray[np.complex128],
    registers: int,
    rng: np.random.Generator,
    *,
    flip: float = 0.0,
    arrival: float = 1.0,
) -> NDArray[np.float64]:
    """Decision values as a server with perfect gates finds them, without a network: for tables over many questions.

    Args:
        reading: how registers are measured.
        states: complex128[2**q, n], the questions; for swap tests there is `swap_values`.
        registers: for each question.
        rng: of losses and outcomes.
        flip: probability of a Pauli Y on each qubit by itself.
        arrival: probability that a register arrives.

    Returns:
        float64[n]; NaN where an entry got no register.
    """
    entry = reading.schedule(registers)
    below = np.cumsum(reading.distribution(states, flip), axis=1)
    values = np.empty(states.shape[1])
    for question in range(len(values)):
        limits = below[reading.turn[entry], :, question]
        outcomes = np.sum(limits <= rng.random((registers, 1)) * limits[:, -1:], axis=1)
        values[question] = reading.value(reading.entries(entry, outcomes, rng.random(registers) < arrival))
    return values


def swap_values(
    references: References,
    states: NDArray[np.complex128],
    pairs: int,
    rng: np.random.Generator,
    *,
    arrival: float = 1.0,
) -> NDArray[np.float64]:
    """The same for swap tests of questions complex128[2**n, m] against references: ±1 of mean |⟨r|φ⟩|² each. float64[m]."""
    reading = references.reading()
    entry = reading.schedule(pairs)
    plus = (1.0 + np.abs(references.states.conj().T @ states) ** 2) / 2.0
    values = np.empty(states.shape[1])
    for question in range(len(values)):
        minus = (rng.random(pairs) >= plus[entry, question]).astype(np.intp)
        outcomes = np.where(minus, np.argmin(reading.worth[0]), 0)
        values[question] = reading.value(reading.entries(entry, outcomes, rng.random(pairs) < arrival))
    return values


def masked_features(features: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """What the server of `masked` takes for features float64[n, d]: their 16-bit codes under a fresh pad."""
    codes = np.rint(features * fixed_point.FULL_SCALE).astype(np.uint16)
    pad = rng.integers(0, fixed_point.FULL_SCALE, codes.shape, dtype=np.uint16, endpoint=True)
    return np.asarray((codes ^ pad) / fixed_point.FULL_SCALE)


def observable_reading(model: Deployed) -> Reading:
    """All registers measure A in its eigenbasis; an outcome is worth its eigenvalue.

    Raises:
        ValueError: the model is too large to be deployed as an observable.
    """
    values, vectors = _eigen(model.decision_)
    return Reading(
        unitaries=vectors.conj().T[None],
        turn=np.zeros(1, dtype=np.intp),
        worth=values[None],
        weights=np.ones(1),
        shares=np.ones(1),
        bias=model.decision_.bias,
    )


def kernel_reading(model: Expansion) -> Reading:
    """The inversion test: for support vector i the inverse of a circuit that makes |φ(x_i)⟩, and zeros are counted.

    Registers are shared out by |c_i|, as the errors of the entries count.
    """
    states = model.states
    size = len(states)
    zeros = np.zeros((states.shape[1], size))
    zeros[:, 0] = 1.0
    return Reading(
        unitaries=np.array([_maker(state).conj().T for state in states.T]),
        turn=np.arange(states.shape[1]),
        worth=zeros,
        weights=model.weights,
        shares=np.abs(model.weights),
        bias=model.bias,
    )


def reading_of(model: Deployed, estimator: Estimator) -> Reading:
    """The reading that an estimator names.

    Raises:
        TypeError: kernel entries of a model that did not keep its support vectors.
        ValueError: too large an observable.
    """
    if estimator == "observable":
        return observable_reading(model)
    if not isinstance(model, Expansion):
        raise TypeError(
            f"kernel entries need the support vectors, which a {type(model).__name__} does not keep; expected an Expansion"
        )
    return kernel_reading(model)


@dataclass(frozen=True, eq=False)
class References:
    """The client's model as reference states: f(x) = Σ_e weights_e |⟨r_e|φ(x)⟩|² + bias.

    Attributes:
        states: complex128[2**n, entries].
        weights: float64[entries].
        bias: added at the end.
    """

    states: NDArray[np.complex128]
    weights: NDArray[np.float64]
    bias: float

    @classmethod
    def of(cls, model: Deployed, estimator: Estimator) -> References:
        """The eigenvectors of the observable, at most 2**n, or the support vectors' states; raises what `reading_of` does."""
        if estimator == "observable":
            values, vectors = _eigen(model.decision_)
            return cls(vectors, values, model.decision_.bias)
        if not isinstance(model, Expansion):
            raise TypeError(
                f"support vectors of a {type(model).__name__}, which does not keep them; expected an Expansion"
            )
        return cls(model.states, model.weights, model.bias)

    @property
    def count(self) -> int:
        """How many."""
        return len(self.weights)

    def reading(self) -> Reading:
        """The swap test of a question's register, the low half of the qubits, and a reference's, the high half."""
        return swap_reading(len(self.states).bit_length() - 1, self.count, self.weights, self.bias)

    def pairs(self, state: NDArray[np.complex128], entry: NDArray[np.intp]) -> NDArray[np.complex128]:
        """Registers of 2n qubits: a question complex128[2**n] beside the references intp[registers] name."""
        both: NDArray[np.complex128] = (self.states[:, None, entry] * state[:, None]).reshape(-1, len(entry))
        return both


def swap_reading(
    qubits: int, entries: int, weights: NDArray[np.float64] | None = None, bias: float = 0.0
) -> Reading:
    """The swap test of two registers side by side that destroys them: a Bell measurement of each pair of qubits.

    ⟨SWAP⟩ = |⟨a|b⟩|²; SWAP is −1 on the singlet and +1 on the other Bell states (Garcia-Escartin and Chamorro-Posada, PRA 87,
    052330 (2013)), so an outcome is worth the parity of its singlets. Entries have equal shares: unequal ones would tell the
    server the weights.
    """
    size = 4**qubits
    numbers = np.arange(size)
    low, high = numbers & (2**qubits - 1), numbers >> qubits
    to_bell = np.zeros((size, size), dtype=np.complex128)
    # controlled NOTs from the low half onto the high one, then Hadamards on the low half
    after_not = (high ^ low) << qubits | low
    to_bell[after_not, numbers] = 1.0
    signs = 1.0 - 2.0 * (np.bitwise_count(np.arange(2**qubits)[:, None] & np.arange(2**qubits)) & 1)
    hadamards = np.kron(np.eye(2**qubits), signs / np.sqrt(2.0**qubits))
    singlets = np.bitwise_count(low & high) & 1
    return Reading(
        unitaries=(hadamards @ to_bell)[None],
        turn=np.zeros(entries, dtype=np.intp),
        worth=np.tile(1.0 - 2.0 * singlets, (entries, 1)),
        weights=np.ones(entries) if weights is None else weights,
        shares=np.ones(entries),
        bias=bias,
    )


def _eigen(decision: Decision) -> tuple[NDArray[np.float64], NDArray[np.complex128]]:
    """All eigenvalues float64[2**q] and eigenvectors complex128[2**q, 2**q], columns, of a deployed observable."""
    if not isinstance(decision.form, Observable):
        raise ValueError(  # noqa: TRY004  its size is wrong, its type follows from that
            f"a model of {decision.program.qubits} qubits is too large to be measured as one observable"
        )
    values, vectors = np.linalg.eigh(decision.form.matrix)
    return values, vectors


def _maker(state: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """A unitary that takes |0…0⟩ to a state: its first column; which of them does not matter to the count of zeros."""
    size = len(state)
    square = np.eye(size, dtype=np.complex128)
    square[:, 0] = state
    # swap the column that the state is nearest to out of the way, so that the others stay independent of it
    square[:, np.argmax(np.abs(state))], square[:, 0] = np.eye(size)[:, 0], state
    basis, scale = np.linalg.qr(square)
    return np.asarray(basis * (scale[0, 0] / abs(scale[0, 0])))
