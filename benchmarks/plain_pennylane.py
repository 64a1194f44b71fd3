"""Gram matrices of the ZZ feature map by PennyLane, its states broadcast over all rows; run by kernels.py in an environment of its own.

The circuit is written as PennyLane's templates are, with the coefficients of Qiskit's feature map; `default.qubit` takes a batch of rows as
the parameters of one circuit, and the Gram matrix of the states is one product by hand. Prints one JSON object: seconds for each number of
features, medians of five after one call to warm up, and the first off-diagonal entry, so that it can be checked.

    python benchmarks/plain_pennylane.py ROWS FEATURES...
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time

import numpy as np
import pennylane as qml


def kernel(features: int, reps: int):  # noqa: ANN201  PennyLane's objects have no names that one could write here
    """The Gram matrix of rows as a function."""
    device = qml.device("default.qubit", wires=features)

    @qml.qnode(device)
    def state(x):  # noqa: ANN001, ANN202  likewise
        for _ in range(reps):
            for wire in range(features):
                qml.Hadamard(wire)
                qml.PhaseShift(2.0 * x[:, wire], wire)
            for one, other in itertools.combinations(range(features), 2):
                qml.CNOT([one, other])
                qml.PhaseShift(2.0 * (np.pi - x[:, one]) * (np.pi - x[:, other]), other)
                qml.CNOT([one, other])
        return qml.state()

    def gram(x):  # noqa: ANN001, ANN202  likewise
        states = state(x)
        products = states @ states.conj().T
        return products.real**2 + products.imag**2

    return gram


def main() -> None:
    """Measure each number of features."""
    rows, sizes = int(sys.argv[1]), list(map(int, sys.argv[2:]))
    found = {}
    for features in sizes:
        x = np.random.default_rng(features).random((rows, features))
        gram = kernel(features, reps=2)
        entry = float(gram(x)[0, 1])
        times = []
        for _ in range(5):
            began = time.perf_counter()
            gram(x)
            times.append(time.perf_counter() - began)
        found[str(features)] = {"seconds": statistics.median(times), "entry": entry}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
