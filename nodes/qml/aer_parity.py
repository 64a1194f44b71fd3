"""The parity of a circuit's qubits on Qiskit Aer: one circuit for each row, as a device would run it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.qml.aer import noise_model
from nodes.qml.circuits import flattened
from nodes.qml.density import Noise


def parity_on_aer(
    circuit: Any,
    rows: NDArray[np.float64],
    noise: Noise | None,
    shots: int,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """The share of runs with an odd number of ones, minus that with an even one.

    Args:
        circuit: a qiskit `QuantumCircuit` whose parameters, in its own order, are a row's features; its gates are
            among those that Aer's simulators know.
        rows: float64[n, d].
        noise: of the device; none if left out.
        shots: of each row.
        rng: seeds Aer.

    Returns:
        float64[n], each in [-1, 1].
    """
    from qiskit_aer import AerSimulator  # noqa: PLC0415  Aer takes seconds to import, and most runs do without

    if len(rows) == 0:
        return np.zeros(0)
    flat = flattened(circuit)
    flat.measure_all()
    simulator = AerSimulator(
        method="statevector" if noise is None else "density_matrix",
        noise_model=None if noise is None else noise_model(noise),
        fusion_enable=False,
    )
    job = simulator.run(
        [flat.assign_parameters(row) for row in rows], shots=shots, seed_simulator=int(rng.integers(2**31))
    )
    result = job.result()
    odd = [
        sum(count for bits, count in result.get_counts(number).items() if bits.count("1") % 2)
        for number in range(len(rows))
    ]
    return 2.0 * np.array(odd) / shots - 1.0
