"""Parameter expressions evaluated for all rows at once, against Qiskit's own binding."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.circuit import ParameterVector

from nodes.qml.expressions import Expressions

X = ParameterVector("x", 3)
FORMS = [
    X[0],
    2 * X[1],
    -X[2],
    X[0] - X[1],
    3 - X[0],
    X[0] / 2,
    2 / X[1],
    (3 - X[0]) / (X[1] + 2),
    X[0] ** 2,
    2 ** X[1],
    (X[0] + 1) ** (X[1] + 1),
    2 * (np.pi - X[0]) * (np.pi - X[1]) * (np.pi - X[2]),
    (X[0] * X[1]).sin() + X[2].cos() * X[0].tan(),
    X[0].arcsin() + X[1].arccos() + X[2].arctan(),
    X[0].exp() - X[1].log() + X[2].abs(),
    (X[0] - X[1]).sign(),
    2 * (3 * X[2] + X[0]) * X[1],
]


def bound(expression, rows):
    """Qiskit's values."""
    return [
        float(
            expression.bind(
                {x: v for x, v in zip(X, row, strict=True) if x in expression.parameters}
            ).numeric()
        )
        for row in rows
    ]


@pytest.mark.parametrize("private", [True, False])
def test_values_are_qiskits(private, monkeypatch):
    """Every form has the value that Qiskit binds, to 1e-13, together and also without Qiskit's record of the form."""
    if not private:
        monkeypatch.setattr(Expressions, "_recipe", lambda *_: None)
    rows = np.random.default_rng(1).uniform(0.05, 0.95, (6, 3))
    expressions = Expressions(list(X))
    indices = [expressions.add(form) for form in FORMS]
    values = expressions(rows)
    assert np.array_equal(values[0], np.ones(6))
    for form, index in zip(FORMS, indices, strict=True):
        assert values[index] == pytest.approx(bound(form, rows), abs=1e-13)


def test_an_equal_expression_is_evaluated_once():
    """The same expression, made twice, has one index; another one has its own."""
    expressions = Expressions(list(X))
    first = expressions.add(2 * (np.pi - X[0]) * (np.pi - X[1]))
    assert expressions.add(2 * (np.pi - X[0]) * (np.pi - X[1])) == first
    assert expressions.add(2 * (np.pi - X[0]) * (np.pi - X[2])) != first
    assert len(expressions) == 3
    assert len(expressions._groups) == 1
