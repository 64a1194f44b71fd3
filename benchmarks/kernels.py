"""How fast the quantum kernel is, side by side with qiskit-machine-learning and PennyLane on the same machine in the same run.

    python benchmarks/kernels.py [--repeats N] [--no-peers] [--out DIR]

The ZZ feature map, two repetitions, full entanglement: Gram matrices of 1000 rows, single queries and batches against a machine with
hundreds of support vectors, the same map as a compiled circuit, and 16 features in bounded memory. qiskit-machine-learning's
FidelityStatevectorKernel takes seconds a call and runs once; PennyLane is installed into a virtual environment of its own that is thrown away,
in the version of peers.txt, and skipped with a line that says so where that fails. Prints a table of medians; with --out it also writes the
table (kernels.txt) and a manifest of what was measured where (kernels.json). Matrix products use all cores; other work on the machine slows
every row: the load before and after is part of the table.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from qiskit.circuit.library import zz_feature_map
from qiskit_machine_learning.kernels import FidelityStatevectorKernel
from table import Row, measured, parser, peak_mb, report, seconds
from table import peers as beside

from nodes.qml.datasets import two_clusters
from nodes.qml.kernel import StatevectorKernel
from nodes.qml.qsvm import QuantumSVM

ROWS, REPS = 1000, 2
SIZES = (2, 4, 8)
GRAM_MS = {2: 3.0, 4: 4.0, 8: 25.0}
GRAM_RATIO = {2: 1000.0, 4: 1000.0, 8: 250.0}
QUERY_US = {2: 30.0, 8: 100.0}
BATCH = {2: 3e6, 8: 5e4}
BATCH_ROWS = {2: 300_000, 8: 20_000}
INNER = 15  # calls of what takes milliseconds: the middle one counts
QUERIES = 2000
PEERS = {"pennylane": ("PennyLane", "plain_pennylane.py", [str(ROWS), *map(str, SIZES)])}


def data(features: int) -> NDArray[np.float64]:
    """The rows that all are given."""
    return np.random.default_rng(features).random((ROWS, features))


def middle_s(work: Callable[[], object], calls: int) -> float:
    """The median of so many calls, after one to warm up."""
    work()
    return statistics.median(seconds(work) for _ in range(calls))


def gram_ms(kernel: StatevectorKernel, rows: NDArray[np.float64]) -> float:
    """One Gram matrix."""
    return 1e3 * middle_s(lambda: kernel.evaluate(rows), INNER)


def query_us(machine: QuantumSVM, features: int) -> float:
    """One query of one row, as the server asks it."""
    query = np.random.default_rng(1).random((1, features))
    return 1e6 * middle_s(lambda: machine.classify(query), QUERIES)


def batch_rate(machine: QuantumSVM, features: int) -> float:
    """Queries per second in one call."""
    queries = np.random.default_rng(1).random((BATCH_ROWS[features], features))
    return len(queries) / middle_s(lambda: machine.classify(queries), 5)


def trained(features: int, rows: int) -> QuantumSVM:
    """A machine whose classes overlap, so that most rows are support vectors."""
    return QuantumSVM(reps=REPS).fit(two_clusters(rows, 1.0, np.random.default_rng(features), features))


def reference(features: int, ours: NDArray[np.float64]) -> float:
    """What qiskit-machine-learning takes, in milliseconds; its matrix must be ours."""
    kernel = FidelityStatevectorKernel(feature_map=zz_feature_map(features, reps=REPS))
    rows = data(features)
    began = time.perf_counter()
    found = kernel.evaluate(rows)
    took_s = time.perf_counter() - began
    difference = np.abs(found - ours).max()
    if not difference <= 1e-10:
        raise SystemExit(f"{features} features: the kernels differ by {difference}")
    return 1e3 * took_s


def rows(repeats: int, *, peers: bool) -> tuple[list[Row], list[str]]:
    """Measure everything; repeats take turns. The table's rows, and remarks."""
    found, remarks = [], []
    grams = {}
    for features in SIZES:
        closed = StatevectorKernel(features, reps=REPS)
        compiled = StatevectorKernel(feature_map=zz_feature_map(features, reps=REPS))
        points = data(features)
        grams[features], other, states, compiled_states = measured(
            repeats,
            lambda closed=closed, points=points: gram_ms(closed, points),
            lambda compiled=compiled, points=points: gram_ms(compiled, points),
            lambda closed=closed, points=points: 1e3 * middle_s(lambda: closed.program.states(points), INNER),
            lambda compiled=compiled, points=points: (
                1e3 * middle_s(lambda: compiled.program.states(points), INNER)
            ),
        )
        slowdown = tuple(b / a for a, b in zip(states, compiled_states, strict=True))
        found += [
            Row(f"Gram matrix, {ROWS} rows, {features} features", "ms", grams[features], GRAM_MS[features]),
            Row("  of the compiled circuit", "ms", other),
            Row("  its states alone", "ms", states),
            Row("  ratio compiled : closed form, states alone", "", slowdown, 3.0),
        ]
        plain = reference(features, closed.evaluate(points))
        found += [
            Row("  qiskit-machine-learning, FidelityStatevectorKernel", "ms", (plain,)),
            Row(
                "  ratio EveLab : it",
                "",
                tuple(plain / ours for ours in grams[features]),
                GRAM_RATIO[features],
                at_least=True,
            ),
        ]
    for features in (2, 8):
        for count in (100, ROWS):
            machine = trained(features, count)
            (asked,) = measured(repeats, lambda m=machine, f=features: query_us(m, f))
            found.append(
                Row(f"one query, {features} features, {count} training rows", "µs", asked, QUERY_US[features])
            )
        (rate,) = measured(repeats, lambda m=machine, f=features: batch_rate(m, f))
        found.append(
            Row(f"  in batches of {BATCH_ROWS[features]}", "1/s", rate, BATCH[features], at_least=True)
        )
    for name, done in beside(PEERS, repeats) if peers else ():
        if isinstance(done, str):
            remarks.append(f"{name}: {done}")
            continue
        for features in SIZES:
            entry = StatevectorKernel(features, reps=REPS).evaluate(data(features)[:2])[0, 1]
            if any(abs(one[str(features)]["entry"] - entry) > 1e-10 for one in done):
                raise SystemExit(f"{features} features: the kernels of {name} and ours differ")
            times = tuple(1e3 * one[str(features)]["seconds"] for one in done)
            ratios = tuple(t / statistics.median(grams[features]) for t in times)
            found.append(Row(f"{name}, states broadcast, own Gram matrix, {features} features", "ms", times))
            found.append(Row("  ratio EveLab : it", "", ratios, 2.0, at_least=True))
    points = data(16)
    large = seconds(lambda: StatevectorKernel(16, reps=REPS).evaluate(points))
    found.append(Row(f"Gram matrix, {ROWS} rows, 16 features, in blocks", "s", (large,)))
    found.append(Row("  peak memory of all of the above", "MB", (peak_mb(),), 1500.0))
    return found, remarks


def main() -> None:
    """Measure, print, and write if asked to."""
    made = parser("How fast the quantum kernel is, beside qiskit-machine-learning and PennyLane.", "kernels")
    made.add_argument("--no-peers", action="store_true", help="leave PennyLane out")
    arguments = made.parse_args()
    report(
        "kernels",
        ("numpy", "qiskit", "qiskit-machine-learning", "scikit-learn"),
        arguments,
        lambda repeats: rows(repeats, peers=not arguments.no_peers),
    )


if __name__ == "__main__":
    main()
