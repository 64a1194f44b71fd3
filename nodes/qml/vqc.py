"""The variational quantum classifier: a ZZ feature map, trainable rotations, and the parity of what is measured."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.decision import Decision, Observable
from nodes.qml.density import MAX_QUBITS as MAX_NOISY_QUBITS
from nodes.qml.density import Noise, NoisyCircuit
from nodes.qml.feature_maps import zz_map
from nodes.qml.machine import Arrays, Machine, array, setting
from nodes.qml.pauli_transfer import NoisyParity, pauli_means
from nodes.qml.real_amplitudes import RealAmplitudes

MAX_FEATURES = 10
"""Largest number of features: the deployed observable takes 16 MiB."""


class VariationalClassifier(Machine):
    """A VQC: f(x) is the mean parity after the feature map and a RealAmplitudes circuit, in [-1, 1].

    The angles are trained by qiskit-machine-learning's `NeuralNetworkClassifier` with the squared error and L-BFGS-B;
    the network that it trains is `nodes.qml.parity_network`, which runs all rows at once and knows its exact gradient.
    An odd number of ones means class 1, as in Qiskit's VQC.

    There is neither a factor nor a bias after the parity. That costs accuracy where the classes overlap: on the
    paper's clusters it is right in about 84 %, a support vector machine on the same feature map in about 92 %.

    Args:
        rng: where the starting angles come from; read once, here, so that training is deterministic.
        reps: repetitions of the ZZ feature map's layer, at least 1.
        layers: of entangling gates in the trained circuit, 0 or more.
        noise: of the device on which it is trained and asked, at most 6 features; none if left out.
        starts: how often the optimiser starts, each time from other angles; the best end counts.
        iterations: of the optimiser from each start, at most.

    Attributes:
        weights_: float64[w], the angles after training.

    Raises:
        ValueError: a value out of range.
    """

    name: ClassVar[str] = "vqc"
    weights_: NDArray[np.float64]

    def __init__(
        self,
        rng: np.random.Generator,
        *,
        reps: int = 2,
        layers: int = 3,
        noise: Noise | None = None,
        starts: int = 3,
        iterations: int = 100,
    ) -> None:
        for name, value, least in (
            ("reps", reps, 1),
            ("layers", layers, 0),
            ("starts", starts, 1),
            ("iterations", iterations, 1),
        ):
            if value < least:
                raise ValueError(f"{name} is {value}; expected at least {least}")
        self.reps = reps
        self.layers = layers
        self.noise = noise
        self.starts = starts
        self.iterations = iterations
        self._seed = int(rng.integers(2**63))
        self._reading: _Reading | None = None

    def __repr__(self) -> str:
        return (
            f"VariationalClassifier(reps={self.reps!r}, layers={self.layers!r}, noise={self.noise!r}, "
            f"starts={self.starts!r}, iterations={self.iterations!r})"
        )

    def circuit(self) -> Any:
        """The trained circuit without its measurement, a qiskit `QuantumCircuit` of the features."""
        self._require_trained()
        whole = zz_map(self.n_features_in_, self.reps).circuit()
        trained = RealAmplitudes(self.n_features_in_, self.layers).circuit().assign_parameters(self.weights_)
        return whole.compose(trained)

    def measured(
        self, shots: int, rng: np.random.Generator, backend: Literal["exact", "aer"] = "exact"
    ) -> Self:
        """The same trained model, asked as a device is: every decision value is a mean over so many runs.

        Args:
            shots: runs for each row, at least 1.
            rng: where they come from.
            backend: `exact` draws from exact probabilities, `aer` runs each row's circuit on Qiskit Aer.

        Raises:
            ValueError: a value out of range.
        """
        if shots < 1:
            raise ValueError(f"shots is {shots}; expected at least 1")
        if backend not in {"exact", "aer"}:
            raise ValueError(f"backend is {backend!r}; expected 'exact' or 'aer'")
        self._require_trained()
        asked = copy.copy(self)
        asked._reading = _Reading(shots, rng, backend)  # noqa: SLF001  its own class
        return asked

    def _train(self, train: DataSet) -> None:
        from nodes.qml.parity_network import (  # noqa: PLC0415  seconds that serving does without
            trained_weights,
        )

        readout = self._readout(train.features.shape[1])
        rng = np.random.Generator(np.random.PCG64(self._seed))
        signs = np.where(train.labels == 1, 1.0, -1.0)
        ends = [
            trained_weights(
                readout,
                train.features,
                signs,
                rng.uniform(-np.pi, np.pi, readout.weights),
                self.iterations,
            )
            for _ in range(self.starts)
        ]
        self.weights_, _ = min(ends, key=lambda end: end[1])
        self._reading = None
        self._serve(readout)

    def _readout(self, features: int) -> _Pure | _Noisy:
        if not 2 <= features <= MAX_FEATURES:
            raise ValueError(
                f"a variational classifier of {features} feature(s); expected 2 to {MAX_FEATURES}"
            )
        if self.noise is None:
            return _Pure(features, self.reps, self.layers)
        if features > MAX_NOISY_QUBITS:
            raise ValueError(
                f"a noisy variational classifier of {features} features; expected 2 to {MAX_NOISY_QUBITS}"
            )
        return _Noisy(features, self.reps, self.layers, self.noise)

    def _serve(self, readout: _Pure | _Noisy) -> None:
        self._served = readout.served(self.weights_)

    def _values(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        reading = self._reading
        if reading is None:
            return self._served.values(features)
        if reading.backend == "aer":
            from nodes.qml.aer_parity import parity_on_aer  # noqa: PLC0415  it needs Qiskit

            return parity_on_aer(self.circuit(), features, self.noise, reading.shots, reading.rng)
        odd = np.clip((1.0 + self._served.values(features)) / 2.0, 0.0, 1.0)
        found: NDArray[np.float64] = 2.0 * reading.rng.binomial(reading.shots, odd) / reading.shots - 1.0
        return found

    def _state(self) -> tuple[dict[str, Any], Arrays]:
        settings = {
            "reps": self.reps,
            "layers": self.layers,
            "noise": None if self.noise is None else asdict(self.noise),
            "starts": self.starts,
            "iterations": self.iterations,
            "seed": self._seed,
        }
        return settings, {"weights": self.weights_}

    @classmethod
    def of_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """See `Machine.of_state`; it answers exactly, whether or not the model was one that is `measured`."""
        noise = setting(settings, "noise", (dict, type(None)))
        seed = setting(settings, "seed", int)
        if noise is not None and set(noise) != {field.name for field in fields(Noise)}:
            raise ValueError(
                f"the state's noise has {', '.join(sorted(map(str, noise)))}; "
                f"expected {', '.join(field.name for field in fields(Noise))}"
            )
        found = cls(
            np.random.Generator(np.random.PCG64(0)),
            **{name: setting(settings, name, int) for name in ("reps", "layers", "starts", "iterations")},
            noise=None
            if noise is None
            else Noise(**{name: float(setting(noise, name, (int, float))) for name in noise}),
        )
        found._seed = seed
        width = setting(settings, "features", int)
        readout = found._readout(width)
        found.weights_ = array(arrays, "weights", (readout.weights,))
        found._serve(readout)
        found.n_features_in_ = width
        return found


@dataclass(frozen=True)
class _Reading:
    """How a device is asked."""

    shots: int
    rng: np.random.Generator
    backend: Literal["exact", "aer"]


class _Pure:
    """The circuit without noise: a `nodes.qml.parity_network.Readout`."""

    def __init__(self, features: int, reps: int, layers: int) -> None:
        self.features = features
        self._ansatz = RealAmplitudes(features, layers)
        self.weights = self._ansatz.weights
        self._program = zz_map(features, reps).program

    def encode(self, rows: NDArray[np.float64]) -> NDArray[np.complex128]:
        """State vectors complex128[2**q, n]."""
        return self._program.columns(rows)

    def values(self, encoded: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._ansatz.values(encoded, weights)

    def gradients(self, encoded: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return self._ansatz.gradients(encoded, weights)

    def served(self, weights: NDArray[np.float64]) -> Decision:
        """The trained circuit moved over to the measurement: one observable, V†ΠV."""
        matrix = self._ansatz.matrix(weights)
        return Decision(self._program, Observable(self._ansatz.parity, matrix.conj()), 0.0)


class _Noisy:
    """The circuit with noise after every gate: likewise."""

    def __init__(self, features: int, reps: int, layers: int, noise: Noise) -> None:
        self.features = features
        ansatz = RealAmplitudes(features, layers)
        self.weights = ansatz.weights
        self._before = NoisyCircuit(zz_map(features, reps).circuit(), noise)
        self._after = NoisyParity(ansatz, noise)
        self._last = (np.full(self.weights, np.nan), np.empty((0, 0)))

    def encode(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Means of the Pauli operators, float64[4**q, n]."""
        return pauli_means(self._before.states(rows), self.features)

    def values(self, encoded: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        means: NDArray[np.float64] = self._effect(weights)[:, 0] @ encoded
        return means

    def gradients(self, encoded: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        changes: NDArray[np.float64] = (self._effect(weights)[:, 1:].T @ encoded).T
        return changes

    def served(self, weights: NDArray[np.float64]) -> _NoisyDecision:
        return _NoisyDecision(self, np.ascontiguousarray(self._after.effect(weights)[:, 0]))

    def height(self) -> int:
        """Rows that are best worked on at a time."""
        return self._before.block_rows

    def _effect(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The optimiser asks for the value and the gradient at the same angles, one after the other."""
        if not np.array_equal(self._last[0], weights):
            self._last = weights.copy(), self._after.effect(weights)
        return self._last[1]


@dataclass(frozen=True, eq=False)
class _NoisyDecision:
    """The noisy circuit with fixed angles.

    Attributes:
        readout: the feature map.
        effect: float64[4**q], what is measured after it.
    """

    readout: _Noisy
    effect: NDArray[np.float64]

    def values(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n] of float64[n, d]."""
        height = self.readout.height()
        out = np.empty(len(features))
        for begin in range(0, len(features), height):
            out[begin : begin + height] = self.effect @ self.readout.encode(features[begin : begin + height])
        return out
