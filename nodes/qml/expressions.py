"""Qiskit's parameter expressions for all rows at once: alike ones are evaluated together, as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_UNARY: dict[str, Callable[[Any], Any]] = {
    "SIN": np.sin,
    "COS": np.cos,
    "TAN": np.tan,
    "ASIN": np.arcsin,
    "ACOS": np.arccos,
    "ATAN": np.arctan,
    "EXP": np.exp,
    "LOG": np.log,
    "ABS": np.abs,
    "SIGN": np.sign,
    "CONJ": np.conjugate,
}
_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "ADD": np.add,
    "SUB": np.subtract,
    "MUL": np.multiply,
    "DIV": np.divide,
    "POW": np.power,
    "RSUB": lambda left, right: right - left,
    "RDIV": lambda left, right: right / left,
    "RPOW": lambda left, right: np.power(right, left),
}

# an operand is a parameter's column, a number, or the result of an operation before
_Operand = tuple[str, float]
_Recipe = tuple[tuple[str, _Operand | None, _Operand | None], ...]


class Expressions:
    """Angles of a circuit as functions of its parameters.

    Expressions of the same form, such as 2·(π - x_i)·(π - x_j) for all pairs, take one array operation for each of
    their operations. The form is what Qiskit records of an expression to write it to a file; where a release
    records it otherwise, or an expression holds what is not known here, that expression is bound row by row.

    Args:
        parameters: in the order of the columns.
    """

    def __init__(self, parameters: Sequence[Any]) -> None:
        self._columns = {parameter: column for column, parameter in enumerate(parameters)}
        self._index: dict[Any, int] = {}
        self._groups: dict[Any, tuple[list[_Recipe], list[int]]] = {}
        self._bound: list[tuple[Any, int]] = []

    def __len__(self) -> int:
        """How many there are, with the constant 1."""
        return len(self._index) + 1

    def add(self, expression: Any) -> int:
        """The index of an expression among the angles; the same one for an equal expression.

        Raises:
            ValueError: a parameter that has no column.
        """
        for parameter in expression.parameters:
            if parameter not in self._columns:
                raise ValueError(
                    f"the circuit's parameter {parameter.name} is among neither features nor weights"
                )
        recipe = self._recipe(expression)
        key = str(expression) if recipe is None else recipe
        if key not in self._index:
            index = len(self)
            self._index[key] = index
            if recipe is None:
                self._bound.append((expression, index))
            else:
                form = tuple((name, left and left[0], right and right[0]) for name, left, right in recipe)
                recipes, indices = self._groups.setdefault(form, ([], []))
                recipes.append(recipe)
                indices.append(index)
        return self._index[key]

    def _recipe(self, expression: Any) -> _Recipe | None:
        if hasattr(expression, "is_symbol") and expression.is_symbol():
            (parameter,) = expression.parameters
            return (("ADD", ("column", self._columns[parameter]), ("number", 0.0)),)
        steps = []
        try:
            for step in expression._qpy_replay:  # noqa: SLF001  no other part of Qiskit tells an expression's form
                name = str(step.op).rsplit(".", 1)[-1]
                unary = name in _UNARY
                if not unary and name not in _BINARY:
                    return None
                left = self._operand(step.lhs)
                steps.append((name, left, None if unary else self._operand(step.rhs)))
            recipe = tuple(steps)
            # Any values between 0.1 and 0.9 that are unlike each other: here multiples of the golden ratio.
            trial = 0.1 + 0.8 * np.modf(np.arange(1.0, 1.0 + len(self._columns)) * 0.6180339887)[0][None, :]
            ours = complex(_evaluated([recipe], trial)[0, 0])
            theirs = complex(self._row_by_row(expression, trial)[0])
        except (AttributeError, TypeError, KeyError, IndexError):
            return None
        return recipe if abs(ours - theirs) <= 1e-9 * max(1.0, abs(theirs)) else None

    def _operand(self, operand: Any) -> _Operand:
        if operand is None:
            return ("result", 0.0)
        if isinstance(operand, (int, float)):
            return ("number", float(operand))
        return ("column", self._columns[operand])

    def _row_by_row(self, expression: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        parameters = [(parameter, self._columns[parameter]) for parameter in expression.parameters]
        return np.array(
            [
                expression.bind({parameter: float(row[column]) for parameter, column in parameters}).numeric()
                for row in rows
            ]
        )

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n, columns] to float64[e, n], the first of them 1.

        Raises:
            ValueError: an expression that is not real at some row.
        """
        out = np.empty((len(self), len(rows)))
        out[0] = 1.0
        for recipes, indices in self._groups.values():
            out[indices] = _real(_evaluated(recipes, rows))
        for expression, index in self._bound:
            out[index] = _real(self._row_by_row(expression, rows))
        return out


def _real(values: NDArray[Any]) -> NDArray[np.float64]:
    if np.iscomplexobj(values):
        raise ValueError("a gate's angle is complex; expected a real one")
    if not np.isfinite(values).all():
        raise ValueError("a gate's angle is infinite or not a number; expected finite angles")
    return values


def _evaluated(recipes: Sequence[_Recipe], rows: NDArray[np.float64]) -> NDArray[Any]:
    """Recipes of one form at all rows, [recipes, rows]."""
    columns = rows.T
    stack: list[Any] = []

    def value(step: int, side: int, kind: str) -> Any:
        if kind == "result":
            return stack.pop()
        numbers = [recipe[step][side][1] for recipe in recipes]  # type: ignore[index]  # all of one form
        if kind == "number":
            return numbers[0] if len(set(numbers)) == 1 else np.array(numbers)[:, None]
        return columns[np.array(numbers, dtype=np.intp)]

    for step, (name, left, right) in enumerate(recipes[0]):
        if name in _UNARY:
            assert left is not None  # noqa: S101  every operation has a left operand
            stack.append(_UNARY[name](value(step, 1, left[0])))
        else:
            assert left is not None  # noqa: S101  likewise
            assert right is not None  # noqa: S101  and a binary one a right one
            second = value(step, 2, right[0])
            stack.append(_BINARY[name](value(step, 1, left[0]), second))
    (result,) = stack
    return np.broadcast_to(np.asarray(result), (len(recipes), len(rows)))
