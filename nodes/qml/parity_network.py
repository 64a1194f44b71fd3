"""A variational circuit as a neural network of qiskit-machine-learning, whose `NeuralNetworkClassifier` trains it.

Imports qiskit-machine-learning, which takes seconds; `nodes.qml.vqc` imports this module to train, and not to serve.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from qiskit_machine_learning.algorithms import NeuralNetworkClassifier
from qiskit_machine_learning.neural_networks import NeuralNetwork
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships none


class Readout(Protocol):
    """A circuit with data and angles whose parity is read, for all rows at once."""

    features: int
    weights: int

    def encode(self, rows: NDArray[np.float64]) -> NDArray[Any]:
        """The states of rows float64[n, d], in a form of its own; the angles do not matter to them."""

    def values(self, encoded: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean parity float64[n] at the angles float64[w]."""

    def gradients(self, encoded: NDArray[Any], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Its exact gradient float64[n, w]."""


class ParityNetwork(NeuralNetwork):  # type: ignore[misc]  # qiskit-machine-learning ships no types
    """A readout as a network with one output in [-1, 1].

    The states of the rows are kept from one call to the next, because training asks for the same rows again and again.
    """

    def __init__(self, readout: Readout) -> None:
        super().__init__(readout.features, readout.weights, sparse=False, output_shape=1)
        self._readout = readout
        self._known: tuple[NDArray[np.float64], NDArray[Any]] | None = None

    def _states(self, rows: NDArray[np.float64]) -> NDArray[Any]:
        if self._known is None or not np.array_equal(rows, self._known[0]):
            self._known = rows, self._readout.encode(rows)
        return self._known[1]

    def _forward(self, input_data: Any, weights: Any) -> NDArray[np.float64]:
        return self._readout.values(self._states(input_data), weights)[:, None]

    def _backward(self, input_data: Any, weights: Any) -> tuple[None, NDArray[np.float64]]:
        return None, self._readout.gradients(self._states(input_data), weights)[:, None, :]


def trained_weights(
    readout: Readout,
    rows: NDArray[np.float64],
    signs: NDArray[np.float64],
    begin: NDArray[np.float64],
    iterations: int,
) -> tuple[NDArray[np.float64], float]:
    """Angles of least squared error between parity and label, found by L-BFGS-B from a starting point.

    Args:
        readout: the circuit.
        rows: float64[n, d].
        signs: float64[n], labels as ±1.
        begin: float64[w].
        iterations: of the optimiser, at most.

    Returns:
        float64[w], and the mean squared error that is left.
    """
    # products of a few kiloflop each: with other work on the machine, threads of BLAS wait longer for each other than they compute
    with threadpool_limits(limits=1, user_api="blas"):
        classifier = NeuralNetworkClassifier(
            ParityNetwork(readout),
            loss="squared_error",
            # the library's own wrapper sets options that SciPy deprecates
            optimizer=lambda fun, x0, jac: minimize(
                fun, x0, method="L-BFGS-B", jac=lambda x: jac(x)[0], options={"maxiter": iterations}
            ),
            initial_point=begin,
        ).fit(rows, signs)
    return np.array(classifier.weights), float(classifier.fit_result.fun)
