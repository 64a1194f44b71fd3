"""Tables 1 to 4 and Fig. 2: qubits, depth and two-qubit gates, counted or cited; and what no measurement can decide."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from scenarios.reproduction.charts import range_chart
from scenarios.reproduction.study import Figure, Job, Part, Plan, Shown, Study, Table
from scenarios.reproduction.verdicts import Claim, Trial, exactly

_PRINTED = re.compile(r"(\d+)(?:-(\d+)|(\+))? qubits, depth (\d+)(?:-(\d+)|(\+))?")
_ID = {
    "Rebentrost": "resources-qsvm",
    "Schuld": "resources-vqc",
    "Dunjko": "resources-review",
    "Broadbent": "resources-blind",
    "Ouyang": "resources-qhe",
    "Proposed": "resources-proposed",
}


def rows() -> tuple[Any, ...]:
    """Rows of `nodes.qml.resources.table_3_rows`."""
    from nodes.qml.resources import table_3_rows  # noqa: PLC0415  seconds of Qiskit, in a process that counts

    return table_3_rows()


def _jobs(plan: Plan) -> list[Job]:  # noqa: ARG001  the signature of every study
    return [Job(rows)]


def printed_ranges(text: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """(least, greatest) of qubits and of depth, of the paper's words; a "+" has no greatest.

    Raises:
        ValueError: other words.
    """
    found = _PRINTED.fullmatch(text)
    if found is None:
        raise ValueError(f"got {text!r}, expected as in '40-60 qubits, depth 400-600'")

    def ends(low: str, high: str | None, more: str | None) -> tuple[float, float]:
        return float(low), float("inf") if more else float(high or low)

    return ends(*found.group(1, 2, 3)), ends(*found.group(4, 5, 6))


def _found(plan: Plan, results: Sequence[Any]) -> Part:  # noqa: ARG001  the signature of every study
    (table,) = results
    approaches = list(dict.fromkeys(row.approach for row in table))
    claims = [_claim(approach, [row for row in table if row.approach == approach]) for approach in approaches]
    columns = ("approach", "circuit", "printed", "qubits", "depth", "two_qubit_gates", "how")
    cells = tuple(
        (row.approach, row.what, row.printed, row.qubits, row.depth, row.two_qubit_gates, row.how)
        for row in table
    )
    return Part(
        "Resources (Tables 1 to 4, Fig. 2)",
        "Circuits built and transpiled to {rz, sx, x, cx}, or the cited source where there is no circuit to build; every row says "
        "which. The paper's own column is “estimated numerical benchmarks” without a circuit.",
        (*claims, *_beyond_measurement()),
        (Table("resources", columns, cells),),
        (_figure(approaches, table),),
        (
            Shown(
                "Counted, beside Table 3",
                ("approach", "circuit", "printed", "qubits", "depth", "two-qubit gates", "how"),
                cells,
            ),
        ),
    )


def _claim(approach: str, mine: Sequence[Any]) -> Claim:
    qubits, depth = printed_ranges(mine[0].printed)
    trials = tuple(
        _inside(f"{row.what} ({_place(row.how)})", row, qubits, depth)
        for row in mine
        if row.qubits.isdigit() and row.depth.isdigit()
    )
    proposed = approach.startswith("Proposed")
    if proposed:  # the experiment that the paper ran comes first
        why = (
            f"The experiment that is described needs {mine[0].qubits} qubits at depth {mine[0].depth} with {mine[0].two_qubit_gates} "
            "two-qubit gates; the printed numbers together belong to larger feature maps, of which none was run."
        )
    elif trials:
        why = f"The paper names no circuit; counted is {mine[0].what}: {mine[0].qubits} qubits, depth {mine[0].depth}."
    else:
        why = mine[0].how.removeprefix("cannot be tested: ").rstrip(".") + "."
        why = why[:1].upper() + why[1:]
    return Claim(
        next(name for key, name in _ID.items() if approach.startswith(key)),
        "Table 3, Fig. 2",
        f"{approach}: {mine[0].printed}.",
        mine[0].printed.replace("-", "–"),
        trials,
        why,
        f"{mine[0].qubits} qubits, depth {mine[0].depth}" if trials else "",
    )


def _inside(condition: str, row: Any, qubits: tuple[float, float], depth: tuple[float, float]) -> Trial:
    """1 if both numbers lie in the printed ranges; the condition says which they are."""
    inside = all(
        low <= int(value) <= high for value, (low, high) in ((row.qubits, qubits), (row.depth, depth))
    )
    return Trial(
        f"{condition}: {row.qubits} qubits, depth {row.depth}; both as printed",
        exactly(float(inside)),
        low=1.0,
        unit="of 1",
    )


def _place(how: str) -> str:
    """Where it was counted."""
    return how.rsplit(" on ", 1)[1] if " on " in how else how.split(":", 1)[0]


def _beyond_measurement() -> tuple[Claim, ...]:
    """What is a word in a table, and nothing to measure."""
    return (
        Claim(
            "related-work",
            "Tables 1 and 2",
            "What other works focus on, use and lack.",
            "words",
            (),
            "These are judgements of other papers in words; no measurement of this range bears on them.",
        ),
        Claim(
            "security-levels",
            "Table 4",
            "Security level low to very high, resource overhead, NISQ feasibility low to high.",
            "words",
            (),
            "The paper defines no scale for these words; what can be measured of them stands under the other claims.",
        ),
    )


def _figure(approaches: Sequence[str], table: Sequence[Any]) -> Figure:
    groups = []
    for approach in approaches:
        mine = [row for row in table if row.approach == approach]
        (q_low, q_high), (d_low, d_high) = printed_ranges(mine[0].printed)
        ranges = [
            ("qubits, printed", q_low, min(q_high, 10.0 * q_low)),
            ("depth, printed", d_low, min(d_high, 10.0 * d_low)),
        ]
        counted = [row for row in mine if row.qubits.isdigit() and row.depth.isdigit()]
        if counted:
            for name, field in (("qubits, counted", "qubits"), ("depth, counted", "depth")):
                numbers = [float(getattr(row, field)) for row in counted]
                ranges.append((name, min(numbers), max(numbers)))
        groups.append((re.sub(r" et al\.| \(\d+\)", "", approach), ranges))
    title = "Qubits and circuit depth: printed, and counted"
    return Figure(
        "resources",
        title,
        lambda width: range_chart(width, title, "number", groups),
        "Bars reach from the least to the greatest of the circuits in the table below; a printed “100+” is drawn over a decade. "
        "Approaches without a counted bar propose no circuit that could be.",
    )


STUDY = Study("resources", _jobs, _found)
