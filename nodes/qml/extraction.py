"""Extraction: a copy of the served model, made from its answers.

f(x) = ⟨φ(x)|A|φ(x)⟩ + b is linear in A, and b is part of it because |φ⟩ is normalised. So f is known everywhere as
soon as it is known at as many points as the states |φ⟩⟨φ| span dimensions: at most 4^n on n qubits (16 for the
paper's two features), fewer for some maps. Tramèr et al., "Stealing machine learning models via prediction APIs"
(USENIX Security 2016) solve equations in the same way for logistic regression.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nodes.qml.asking import averaged, on_grid, signed
from nodes.qml.overlaps import gram, overlaps
from nodes.qml.statevector import Program
from nodes.qml.strategy import Classifier, Knowledge, Replies, Strategy, Truth

COUNTED_QUBITS = 5
"""Qubits up to which `queries_needed` counts; 4^n equations are solved in a second."""

_SPARE = 64  # random points beyond 4^n, so that the rank does not depend on which they are
_ZERO = (
    1e-10  # of the largest eigenvalue: those that exist are above 1e-4 for ZZ maps, the others below 1e-15
)
_BISECTIONS = 12
_PENALTIES = 10.0 ** np.arange(-10.0, 4.0)
_EXACT = 1e-13  # penalty that only keeps a singular matrix from overflowing
_TYPICAL = 2.0  # size of a decision value, in margins
_CORRECTION = 0.3  # of what a model from 200 rows of its own has wrong


@lru_cache(maxsize=64)
def queries_needed(program: Program) -> int:
    """Exact decision values that determine every model on this feature map: the dimension of what |φ(x)⟩⟨φ(x)| span.

    Counted as the rank of the kernel matrix of more than 4^n points of [0, 1]^d; on more than `COUNTED_QUBITS` qubits
    4^n, which it never exceeds. The ZZ map of two features has 16 with two or more repetitions, and 13 with one: all
    amplitudes are then of one size, so that of the 2^n diagonal entries only the sum counts, 4^n - 2^n + 1 in all.
    """
    unknowns: int = 4**program.qubits
    if program.qubits > COUNTED_QUBITS:
        return unknowns
    points = filling(unknowns + _SPARE, program.features)
    values = np.linalg.eigvalsh(gram(program.columns(points)))
    return int(np.sum(values > _ZERO * values[-1]))


def spread_out(program: Program, count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Questions on which a model of this feature map can be solved for with little loss of precision.

    Greedy D-optimal design among random points: the next question is the one whose |φ⟩⟨φ| is farthest from the span
    of those before, which is QR with column pivoting (Businger and Golub 1965), done as a pivoted Cholesky
    factorisation of the kernel matrix. When the span is exhausted it begins again.

    Args:
        program: of the feature map.
        count: questions.
        rng: where candidates come from.

    Returns:
        float64[count, d] on the wire's grid, the most telling first.
    """
    candidates = on_grid(rng.random((max(400, 4 * count), program.features)))
    states = program.columns(candidates)
    free = np.ones(len(candidates), dtype=np.bool_)
    order: list[int] = []
    while len(order) < count:
        left = free.astype(np.float64)  # squared distance of each from the span; states have length 1
        basis = np.empty((min(count - len(order), 4**program.qubits), len(candidates)))
        for size in range(len(basis)):
            best = int(left.argmax())
            if left[best] < 1e-8:
                break
            row = overlaps(states[:, best : best + 1], states)[0]
            row -= basis[:size, best] @ basis[:size]
            basis[size] = row / np.sqrt(left[best])
            left -= basis[size] ** 2
            left[best] = -np.inf
            free[best] = False
            order.append(best)
    return candidates[order]


def by_scores(
    knowledge: Knowledge,
    rng: np.random.Generator,
    *,
    queries: int | None = None,
    repeats: int = 1,
    noise: float | None = None,
    prior: Classifier | None = None,
) -> Strategy[Copy]:
    """Solve for the model from decision values, by least squares in its own feature map.

    With exact answers `queries_needed` questions give the model itself. With rounded or noisy ones, ask more. The
    penalty on the squares is what the noise calls for if the attacker knows it (it is the variance of the noise over
    that of what is to be found), else the one that predicts each answer best from the others. Without a known
    map it fits a Gaussian kernel.

    Args:
        knowledge: what the attacker has.
        rng: chooses the questions.
        queries: different questions; as many as are needed with exact answers, or 20 for each feature without a known
            map, if left out.
        repeats: how often each is asked.
        noise: standard deviation of one answer, in units of the decision value; None if the attacker does not know.
        prior: a model of the attacker's own, from its own rows; answers then only correct it.

    Raises:
        ValueError: fewer than one query or repeat, or a negative noise.
    """
    needed = 20 * knowledge.width if knowledge.program is None else queries_needed(knowledge.program)
    queries = needed if queries is None else queries
    if queries < 1:
        raise ValueError(f"queries is {queries}; expected at least 1")
    if noise is not None and not noise >= 0.0:
        raise ValueError(f"noise is {noise}; expected 0 or more")
    if knowledge.program is None:
        points = on_grid(rng.random((queries, knowledge.width)))
    else:
        points = spread_out(knowledge.program, queries, rng)
    answers = yield from averaged(points, repeats)
    values = signed(answers, knowledge.scores)
    remaining = None if noise is None else noise / np.sqrt(repeats)
    return copy_of_scores(knowledge, points, values, noise=remaining, prior=prior, asked=repeats * queries)


def copy_of_scores(
    knowledge: Knowledge,
    points: NDArray[np.float64],
    values: NDArray[np.float64],
    *,
    noise: float | None = None,
    prior: Classifier | None = None,
    asked: int,
) -> Copy:
    """The model that fits decision values float64[n] at points float64[n, d], without those that are NaN.

    Args:
        knowledge: what the attacker has.
        points: that were asked.
        values: what came back, as decision values.
        noise: standard deviation of each; unknown if None.
        prior: as in `by_scores`.
        asked: questions that it took.
    """
    known = ~np.isnan(values)
    points, values = points[known], values[known]
    kernel = _Kernel.of(knowledge)
    if len(values) == 0:
        return Copy(kernel, points, values, prior, asked)
    residual = values if prior is None else values - prior.decide(points)
    matrix = kernel.matrix(points)
    if noise is not None:
        size = _TYPICAL if prior is None else _CORRECTION
        penalties = np.array([max(_EXACT, (noise / size) ** 2)])
    else:
        needed = len(values) if knowledge.program is None else queries_needed(knowledge.program)
        # answers with few decimals are rounded: to fit them exactly is to fit the rounding
        exact = len(values) <= needed and not np.array_equal(np.round(values, 4), values)
        penalties = np.array([_EXACT]) if exact else _PENALTIES
    weights = _solved(matrix, residual, penalties)
    return Copy(kernel, points, weights, prior, asked)


def by_labels(
    knowledge: Knowledge,
    rng: np.random.Generator,
    *,
    queries: int = 340,
    repeats: int = 1,
    prior: Classifier | None = None,
) -> Strategy[Copy]:
    """Rebuild the model from classes: find points of its boundary by bisection, and fit a function that is 0 there.

    A sixth of the questions are random and tell the sides; the others bisect between points of different classes,
    twelve questions for each point of the boundary, as Lowd and Meek, "Adversarial learning" (KDD 2005) do for
    linear models. The scale of the decision values is nowhere in the classes, so that only its sign is a copy.

    Args:
        knowledge: what the attacker has; of scores it uses the signs.
        rng: where questions come from.
        queries: different questions, at least 30.
        repeats: how often each is asked; the majority counts.
        prior: a model of the attacker's own, from its own rows; answers then only correct it.

    Raises:
        ValueError: too few queries, or fewer than one repeat.
    """
    if queries < 30:
        raise ValueError(f"queries is {queries}; expected at least 30")
    seeds = on_grid(rng.random((queries // 6, knowledge.width)))
    sides = yield from _sides(seeds, knowledge, repeats)
    asked = repeats * len(seeds)
    kernel = _Kernel.of(knowledge)
    one, zero = seeds[sides > 0.0], seeds[sides < 0.0]
    wanted = (queries - len(seeds)) // _BISECTIONS
    boundary = np.empty((0, knowledge.width))
    if len(one) and len(zero):
        boundary, put = yield from _bisected(one, zero, wanted, knowledge, repeats, rng)
        asked += put
    known = sides != 0.0
    seeds, sides = seeds[known], sides[known]
    points = np.concatenate([boundary, seeds])
    if len(points) == 0:
        return Copy(kernel, points, np.empty(0), prior, asked)
    guess = np.zeros(len(points)) if prior is None else prior.decide(points)
    margin = 1.0 if prior is None else 0.1
    agrees = sides * guess[len(boundary) :] > 0.0
    target = np.concatenate(
        [np.zeros(len(boundary)), np.where(agrees, guess[len(boundary) :], margin * sides)]
    )
    # the boundary is known to the last bit, how far the random points are from it is not
    slack = np.concatenate([np.full(len(boundary), 1e-5), np.full(len(seeds), 0.1)])
    weights = np.asarray(
        np.linalg.solve(kernel.matrix(points) + np.diag(slack), target - guess), dtype=np.float64
    )
    return Copy(kernel, points, weights, prior, asked)


def _sides(
    points: NDArray[np.float64], knowledge: Knowledge, repeats: int
) -> Generator[NDArray[np.float64], Replies, NDArray[np.float64]]:
    """1 for class 1, -1 for class 0, 0 without an answer."""
    answers = yield from averaged(points, repeats)
    values = signed(answers, knowledge.scores)
    return np.where(np.isnan(values), 0.0, np.where(values > 0.0, 1.0, -1.0))


def _bisected(
    one: NDArray[np.float64],
    zero: NDArray[np.float64],
    count: int,
    knowledge: Knowledge,
    repeats: int,
    rng: np.random.Generator,
) -> Generator[NDArray[np.float64], Replies, tuple[NDArray[np.float64], int]]:
    """Points on the boundary between points of class 1 and of class 0, and how many questions that took."""
    above = one[rng.integers(len(one), size=count)]
    below = zero[rng.integers(len(zero), size=count)]
    asked = 0
    for _ in range(_BISECTIONS):
        if len(above) == 0:
            break
        middle = on_grid(0.5 * (above + below))
        sides = yield from _sides(middle, knowledge, repeats)
        asked += repeats * len(middle)
        above[sides > 0.0], below[sides < 0.0] = middle[sides > 0.0], middle[sides < 0.0]
        above, below = above[sides != 0.0], below[sides != 0.0]
    return 0.5 * (above + below), asked


@dataclass(frozen=True, eq=False)
class _Kernel:
    """The server's kernel where its feature map is known, else a Gaussian one.

    Attributes:
        program: the feature map.
        gamma: of exp(-γ |x - y|²) without one.
    """

    program: Program | None
    gamma: float

    @classmethod
    def of(cls, knowledge: Knowledge) -> _Kernel:
        return cls(knowledge.program, 6.0 / knowledge.width)

    def matrix(
        self, left: NDArray[np.float64], right: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        if self.program is not None:
            columns = self.program.columns
            return gram(columns(left)) if right is None else overlaps(columns(left), columns(right))
        right = left if right is None else right
        squares = ((left[:, None] - right[None]) ** 2).sum(axis=2)
        entries: NDArray[np.float64] = np.exp(-self.gamma * squares)
        return entries


@dataclass(frozen=True, eq=False)
class Copy:
    """A model rebuilt from answers; it can be asked like the one that it copies, and attacked at leisure.

    Attributes:
        kernel: of the fit.
        points: float64[m, d] that were asked.
        weights: float64[m].
        prior: what the fit corrects.
        asked: questions that it took, repeats included.
    """

    kernel: _Kernel
    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    prior: Classifier | None
    asked: int

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Decision values float64[n] of float64[n, d]."""
        values = np.zeros(len(features)) if self.prior is None else self.prior.decide(features)
        if len(self.points):
            values = values + self.kernel.matrix(features, self.points) @ self.weights
        return values

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Classes int64[n] of 0 or 1."""
        return (self.decide(features) > 0.0).astype(np.int64)

    def figures(self, truth: Truth) -> Mapping[str, float]:
        """`agreement`: share of test rows that copy and model put into the same class; how the scores compare.

        `agreement anywhere` is the same of points spread over [0, 1]^d, where `score error` is the largest difference of
        decision values and `explained` the squared correlation between them. `asked` counts questions. `agreement
        unasked` is what the attacker's own model reached before the first answer, where it has one: an attacker with
        data of its own agrees in most rows without asking.
        """
        points = filling(4096, truth.test.features.shape[1])
        mine, theirs = self.decide(points), truth.model.decide(points)
        classes = truth.model.classify(truth.test.features)
        found = {
            "agreement": float(np.mean(self.classify(truth.test.features) == classes)),
            "agreement anywhere": float(np.mean((mine > 0.0) == (theirs > 0.0))),
            "score error": float(np.abs(mine - theirs).max()),
            "explained": correlation(mine, theirs) ** 2,
            "asked": float(self.asked),
        }
        if self.prior is not None:
            found["agreement unasked"] = float(np.mean(self.prior.classify(truth.test.features) == classes))
        return found


def correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """Pearson's, of float64[n] each; 0 where one of them does not vary."""
    left, right = left - left.mean(), right - right.mean()
    size = float(np.sqrt((left @ left) * (right @ right)))
    return float(left @ right) / size if size > 1e-12 else 0.0


def _solved(
    matrix: NDArray[np.float64], values: NDArray[np.float64], penalties: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights of kernel ridge regression, with the penalty that predicts each answer best from the others.

    The errors of leaving one out are w_i / (K + λ)⁻¹_ii (Wahba, "Spline models for observational data" (1990),
    section 4.2).
    """
    scales, axes = np.linalg.eigh(matrix)
    scales = np.maximum(scales, 0.0)
    along = axes.T @ values
    best: tuple[float, NDArray[np.float64]] | None = None
    for penalty in penalties:
        inverse = 1.0 / (scales + penalty)
        weights = axes @ (inverse * along)
        missed = weights / ((axes**2) @ inverse)
        error = float(missed @ missed)
        if best is None or error < best[0]:
            best = (error, weights)
    assert best is not None  # noqa: S101  there is at least one penalty
    return best[1]


def filling(count: int, width: int) -> NDArray[np.float64]:
    """Points that fill [0, 1]^d evenly, float64[count, width]: multiples of powers of a generalised golden ratio.

    Roberts, "The unreasonable effectiveness of quasirandom sequences" (2018).
    """
    golden = 2.0
    for _ in range(60):  # the root of g^(d+1) = g + 1
        golden = (1.0 + golden) ** (1.0 / (width + 1))
    steps = golden ** -np.arange(1.0, width + 1.0)
    return (0.5 + np.arange(count)[:, None] * steps) % 1.0
