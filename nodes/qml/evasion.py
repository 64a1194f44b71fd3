"""Evasion: rows moved a little, so that a trained model takes them for the other class.

A row may move by at most ε in every feature (an L∞ ball) and stays in [0, 1]. Who has the model follows its gradient;
who may only ask estimates the gradient from scores; who gets classes only searches, and walks along the boundary.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodes.qml.asking import averaged, on_grid, signed
from nodes.qml.datasets import DataSet
from nodes.qml.decision import Decision
from nodes.qml.extraction import Copy
from nodes.qml.fixed_point import FULL_SCALE
from nodes.qml.statevector import Layer, Phases, Reordering
from nodes.qml.strategy import Classifier, Knowledge, Replies, Strategy, Truth

Gradient = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""float64[n, d] features to float64[n, d], ∂f/∂x of the decision value in every row."""

_STEP = (
    1e-6  # of central differences: rounding of 1e-16/1e-6 and curvature of 1e-12 are both far below a sign
)

_Asking = Generator[NDArray[np.float64], Replies, None]


def gradient_of_decision(decision: Decision) -> Gradient:
    """∂f/∂x of f = ⟨φ(x)|A|φ(x)⟩ + b, by derivatives carried through the compiled feature map.

    Exact up to rounding in the state: a diagonal D(a(x)) turns φ and its derivative φ_j into Dφ and
    D(φ_j + i (∂a/∂x_j) φ), everything else is linear; ∂f/∂x_j = 2 Re⟨φ_j|A|φ⟩, taken as half the difference of
    ⟨A⟩ in φ + φ_j and φ - φ_j, so that it needs nothing of A but expectations. The derivatives of the angles a are
    central differences; those of Pauli maps are linear in each feature, where a central difference has no error of
    its own.
    """
    program = decision.program

    def gradient(features: NDArray[np.float64]) -> NDArray[np.float64]:
        count, width = features.shape
        angles = program.angles(features)
        slopes = []
        for column in range(width):
            shift = np.zeros(width)
            shift[column] = 1e-4
            slopes.append((program.angles(features + shift) - program.angles(features - shift)) / 2e-4)
        # the state and its derivatives side by side, each for all rows
        state = np.repeat(program.start[:, None], count, axis=1)
        parts = np.concatenate([state, np.zeros((len(state), width * count), dtype=np.complex128)], axis=1)
        for step in program.steps:
            if isinstance(step, Layer):
                parts = step.apply(np.ascontiguousarray(parts))
            elif isinstance(step, Reordering):
                parts = parts[step.source]
            else:
                parts = _through(step, parts, angles, slopes, program.qubits)
        state, derivatives = parts[:, :count], parts[:, count:]
        repeated = np.tile(state, (1, width))
        difference = decision.form.expectation(repeated + derivatives) - decision.form.expectation(
            repeated - derivatives
        )
        return 0.5 * difference.reshape(width, count).T

    return gradient


def _through(
    step: Phases,
    parts: NDArray[np.complex128],
    angles: NDArray[np.float64],
    slopes: list[NDArray[np.float64]],
    qubits: int,
) -> NDArray[np.complex128]:
    """A diagonal on a state and its derivatives, complex128[2**q, (1 + d)·n]."""
    count = angles.shape[1]
    table = step.table(qubits)
    after = parts * np.tile(step.diagonal(angles, qubits), (1, 1 + len(slopes)))
    for number, slope in enumerate(slopes, start=1):
        after[:, number * count : (number + 1) * count] += 1j * (table @ slope) * after[:, :count]
    return after


def gradient_by_differences(decide: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Gradient:
    """∂f/∂x of any decision function by central differences of ±1e-6, one-sided at the edge of [0, 1]."""

    def gradient(features: NDArray[np.float64]) -> NDArray[np.float64]:
        slopes = np.empty_like(features)
        for column in range(features.shape[1]):
            above, below = features.copy(), features.copy()
            above[:, column] = np.minimum(features[:, column] + _STEP, 1.0)
            below[:, column] = np.maximum(features[:, column] - _STEP, 0.0)
            slopes[:, column] = (decide(above) - decide(below)) / (above[:, column] - below[:, column])
        return slopes

    return gradient


def gradient_of(model: Classifier) -> Gradient:
    """Of any trained model: exact where it is a kernel machine deployed as a `Decision`, else central differences."""
    decision = getattr(model, "decision_", None)
    return (
        gradient_of_decision(decision)
        if isinstance(decision, Decision)
        else gradient_by_differences(model.decide)
    )


def white_box(
    model: Classifier,
    rows: DataSet,
    epsilon: float,
    rng: np.random.Generator,
    *,
    steps: int = 20,
    starts: int = 4,
    gradient: Gradient | None = None,
) -> Disguised:
    """Projected gradient descent on the decision value (Madry et al., arXiv:1706.06083 (2018), section 2.1).

    Steps of the sign of the gradient, the size falling from ε/2 to nothing; the first start is the row, the others
    are uniform in its ball. What is kept of a row is where its decision value was worst on the way.

    Args:
        model: any with decision values; a NaN of it counts as no use to the attacker.
        rows: to disguise.
        epsilon: ε, largest change of a feature, not negative.
        rng: where starts come from.
        steps: for each start, at least 1.
        starts: at least 1.
        gradient: of the decision value; `gradient_of(model)` if left out.

    Raises:
        ValueError: a parameter out of range.
    """
    _check(epsilon, steps=steps, starts=starts)
    slope = gradient_of(model) if gradient is None else gradient
    toward = np.where(rows.labels == 1, -1.0, 1.0)
    low, high = _box(rows.features, epsilon)
    best = rows.features.copy()
    gain = _gain(model.decide(best), toward)
    for start in range(starts):
        here = rows.features.copy() if start == 0 else rng.uniform(low, high)
        for step in range(steps):
            size = 0.5 * epsilon * (1.0 - step / steps)
            here = np.clip(here + size * toward[:, None] * np.sign(slope(here)), low, high)
            here = np.where(np.isnan(here), best, here)
            now = _gain(model.decide(here), toward)
            better = now > gain
            best[better], gain[better] = here[better], now[better]
    return Disguised(rows, best, epsilon, 0)


def by_differences(
    knowledge: Knowledge,
    epsilon: float,
    rng: np.random.Generator,
    *,
    rows: DataSet | None = None,
    steps: int = 10,
    probe: float | None = None,
    repeats: int = 1,
) -> Strategy[Disguised]:
    """Projected gradient descent where the gradient comes from asking either side of where a row is.

    2·d + 1 questions for each row and step, until the answer at the row itself is the wanted class (Bhagoji et al.,
    arXiv:1712.09491 (2017), section 3.1). With classes only, differences are nearly always 0 and the row walks
    at random.

    Args:
        knowledge: what the attacker has.
        epsilon: ε, largest change of a feature.
        rng: breaks ties where two answers are equal.
        rows: to disguise; the attacker's own if left out.
        steps: at most.
        probe: distance of the two questions from the row; ε/2 if left out. Wide ones see through rounding and noise.
        repeats: how often each question is asked.

    Raises:
        ValueError: a parameter out of range.
    """
    _check(epsilon, steps=steps, repeats=repeats)
    rows = knowledge.rows if rows is None else rows
    toward = np.where(rows.labels == 1, -1.0, 1.0)
    low, high = _box_on_grid(rows.features, epsilon)
    wide = max(epsilon / 2.0 if probe is None else probe, 1e-4)
    here, best = np.clip(on_grid(rows.features), low, high), rows.features.copy()
    gain = np.full(len(here), -np.inf)
    asked = 0
    for step in range(steps + 1):
        todo = np.flatnonzero(gain <= 0.0)
        count, width = len(todo), here.shape[1]
        if count == 0:
            break
        corners = np.concatenate([np.zeros((1, width)), np.eye(width), -np.eye(width)])
        if step == steps:  # nothing follows from another slope
            corners = corners[:1]
        points = on_grid(here[todo][None] + wide * corners[:, None]).reshape(-1, width)
        answers = yield from averaged(points, repeats)
        asked += repeats * len(points)
        if np.isnan(answers).all():
            break
        values = signed(answers, knowledge.scores).reshape(len(corners), count)
        now = _gain(values[0], toward[todo])
        better = todo[now > gain[todo]]
        best[better] = here[better]
        gain[todo] = np.maximum(gain[todo], now)
        if step < steps:
            slope = np.nan_to_num(values[1 : width + 1] - values[width + 1 :]).T
            turn = np.sign(slope)
            turn[turn == 0.0] = rng.choice([-1.0, 1.0], int(np.sum(turn == 0.0)))
            size = 0.5 * epsilon * (1.0 - step / steps)
            moved = on_grid(here[todo] + size * toward[todo, None] * turn)
            here[todo] = np.clip(moved, low[todo], high[todo])
    return Disguised(rows, best, epsilon, asked)


def by_labels(
    knowledge: Knowledge,
    epsilon: float,
    rng: np.random.Generator,
    *,
    rows: DataSet | None = None,
    tries: int = 24,
    rounds: int = 4,
    directions: int = 12,
    repeats: int = 1,
) -> Strategy[Disguised]:
    """Evasion from classes alone: search of the ball, then a walk along the boundary.

    First corners and other random points of the ball. Rows that none of them disguised start from the nearest of the
    attacker's own rows that is answered with the other class, and come closer by HopSkipJump (Chen, Jordan and
    Wainwright, IEEE S&P (2020), algorithm 2, its L∞ form): bisect to the boundary, estimate its normal from the
    classes around, step along the signs of the normal, bisect again. With scores it uses their signs.

    Args:
        knowledge: what the attacker has.
        epsilon: ε, largest change of a feature.
        rng: where points and directions come from.
        rows: to disguise; the attacker's own if left out.
        tries: points of the ball for each row, at least 1.
        rounds: of the walk; 0 for none.
        directions: asked around the boundary in each round, at least 1.
        repeats: how often each question is asked; the majority counts.

    Raises:
        ValueError: a parameter out of range.
    """
    _check(epsilon, tries=tries, directions=directions, repeats=repeats)
    rows = knowledge.rows if rows is None else rows
    walk = _Walk(knowledge, rows, epsilon, rng, repeats)
    yield from walk.search(tries)
    if rounds > 0:
        yield from walk.begin()
    for number in range(rounds):
        yield from walk.round(number, directions)
    return Disguised(rows, walk.disguised(), epsilon, walk.asked)


def by_copy(
    copying: Strategy[Copy],
    rows: DataSet,
    epsilon: float,
    rng: np.random.Generator,
    *,
    steps: int = 20,
    starts: int = 4,
) -> Strategy[Disguised]:
    """Extract a copy first, then follow the copy's gradient: any number of rows for the price of one extraction.

    Evasion attacks transfer between models (Papernot et al., AsiaCCS 2017). This is what to measure a query budget
    or noise against, and not the attacks above, which ask anew for every row.

    Args:
        copying: makes the copy.
        rows: to disguise.
        epsilon: ε, largest change of a feature.
        rng: where starts come from.
        steps: of the descent.
        starts: of the descent.

    Raises:
        ValueError: a parameter out of range.
    """
    copy = yield from copying
    found = white_box(copy, rows, epsilon, rng, steps=steps, starts=starts)
    return Disguised(rows, found.changed, epsilon, copy.asked)


class _Walk:
    """Where each row has got to.

    `far` are points known to be answered with the wrong class, NaN where none is known.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        rows: DataSet,
        epsilon: float,
        rng: np.random.Generator,
        repeats: int,
    ) -> None:
        self.knowledge, self.rows, self.epsilon, self.rng, self.repeats = (
            knowledge,
            rows,
            epsilon,
            rng,
            repeats,
        )
        self.start = rows.features
        self.far = np.full_like(rows.features, np.nan)
        self.asked = 0
        self.silent = False  # nothing was answered: the budget is spent, and asking on is no use

    def disguised(self) -> NDArray[np.float64]:
        """The rows, moved where that is known to help and near enough."""
        use = self._distance() <= self.epsilon
        return np.where(use[:, None], self.far, self.start)

    def _distance(self) -> NDArray[np.float64]:
        distance = np.abs(self.far - self.start).max(axis=1)
        return np.where(np.isnan(distance), np.inf, distance)

    def _answers(
        self, points: NDArray[np.float64]
    ) -> Generator[NDArray[np.float64], Replies, NDArray[np.float64]]:
        """The sign is the class; NaN without an answer."""
        if self.silent or len(points) == 0:
            return np.full(len(points), np.nan)
        answers = yield from averaged(points, self.repeats)
        self.asked += self.repeats * len(points)
        self.silent = bool(np.isnan(answers).all())
        return signed(answers, self.knowledge.scores)

    def _ask(
        self, points: NDArray[np.float64], labels: NDArray[np.int64]
    ) -> Generator[NDArray[np.float64], Replies, NDArray[np.bool_]]:
        """Whether each point is answered, and with another class than its label."""
        values = yield from self._answers(points)
        fooled: NDArray[np.bool_] = ~np.isnan(values) & ((values > 0.0) != (labels == 1))
        return fooled

    def _todo(self) -> NDArray[np.intp]:
        return np.flatnonzero(self._distance() > self.epsilon)

    def search(self, tries: int) -> _Asking:
        """The row itself, corners of the ball, and points within; only for rows still to do."""
        low, high = _box_on_grid(self.start, self.epsilon)
        for number in range(tries + 1):
            todo = self._todo()
            if number == 0:
                points = self.start[todo].copy()
            elif number % 3:
                corner = self.rng.integers(0, 2, (len(todo), self.start.shape[1]))
                points = np.where(corner == 1, high[todo], low[todo])
            else:
                points = on_grid(self.rng.uniform(low[todo], high[todo]))
                points = np.clip(points, low[todo], high[todo])
            fooled = yield from self._ask(points, self.rows.labels[todo])
            self.far[todo[fooled]] = points[fooled]

    def begin(self) -> _Asking:
        """From the nearest own row that is answered otherwise."""
        todo = self._todo()
        if len(todo) == 0:
            return
        own = self.knowledge.rows.features
        values = yield from self._answers(own)
        for label, other in ((1, own[values <= 0.0]), (0, own[values > 0.0])):
            mine = todo[self.rows.labels[todo] == label]
            if len(other) and len(mine):
                distance = np.abs(self.start[mine][:, None] - other[None]).max(axis=2)
                self.far[mine] = other[distance.argmin(axis=1)]
        yield from self._closer()

    def _closer(self) -> _Asking:
        """Bisect: `far`, drawn into smaller and smaller boxes around the row, as long as it stays on its side."""
        todo = self._todo()
        todo = todo[np.isfinite(self._distance()[todo])]
        start, labels = self.start[todo], self.rows.labels[todo]
        low, high = np.zeros(len(todo)), self._distance()[todo]
        for _ in range(8):
            middle = 0.5 * (low + high)
            points = np.clip(self.far[todo], start - middle[:, None], start + middle[:, None])
            fooled = yield from self._ask(points, labels)
            self.far[todo[fooled]] = points[fooled]
            high = np.where(fooled, middle, high)
            low = np.where(fooled, low, middle)

    def round(self, number: int, directions: int) -> _Asking:
        """Estimate the normal at the boundary, go along it, and bisect again."""
        todo = self._todo()
        distance = self._distance()[todo]
        todo, distance = todo[np.isfinite(distance)], distance[np.isfinite(distance)]
        count, width = len(todo), self.start.shape[1]
        if count == 0 or self.silent:
            return
        ways = self.rng.standard_normal((directions, count, width))
        ways /= np.linalg.norm(ways, axis=2, keepdims=True)
        around = np.clip(self.far[todo] + 0.1 * distance[:, None] * ways, 0.0, 1.0)
        labels = self.rows.labels[todo]
        fooled = yield from self._ask(around.reshape(-1, width), np.tile(labels, directions))
        votes = np.where(fooled.reshape(directions, count), 1.0, -1.0)
        votes -= votes.mean(axis=0)
        normal = np.sign((votes[:, :, None] * ways).sum(axis=0))
        size = distance / np.sqrt(number + 1.0)
        stepped = np.zeros(count, dtype=np.bool_)
        for _ in range(5):
            left = np.flatnonzero(~stepped)
            points = np.clip(self.far[todo[left]] + size[left, None] * normal[left], 0.0, 1.0)
            fooled = yield from self._ask(points, labels[left])
            self.far[todo[left[fooled]]] = points[fooled]
            stepped[left[fooled]] = True
            size *= 0.5
        yield from self._closer()


@dataclass(frozen=True, eq=False)
class Disguised:
    """Rows and what they were changed to.

    Attributes:
        rows: as they were, with their true labels.
        changed: float64[n, d].
        epsilon: ε that was allowed.
        asked: questions that it took.
    """

    rows: DataSet
    changed: NDArray[np.float64]
    epsilon: float
    asked: int

    def figures(self, truth: Truth) -> Mapping[str, float]:
        """`error`: share of the changed rows that the model takes for the wrong class; what else it says of them.

        A decision value of NaN, by which a model declines, is no error. `error before` is the same of the rows as they
        were, `asked` the questions for each row, `largest shift` the largest change of a feature.
        """
        shift = np.abs(self.changed - self.rows.features)
        return {
            "error": _error(truth.model, self.changed, self.rows.labels),
            "error before": _error(truth.model, self.rows.features, self.rows.labels),
            "asked": self.asked / max(1, len(self.rows.labels)),
            "largest shift": float(shift.max(initial=0.0)),
        }


def _error(model: Classifier, features: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    values = model.decide(features)
    return float(np.mean(~np.isnan(values) & ((values > 0.0) != (labels == 1)))) if len(values) else 0.0


def _gain(values: NDArray[np.float64], toward: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far on the wanted side each value is; a value of 0 is class 0, and counts for it."""
    return np.where(
        np.isnan(values), -np.inf, np.where((values == 0.0) & (toward < 0.0), 1e-300, values * toward)
    )


def _box(features: NDArray[np.float64], epsilon: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return np.maximum(features - epsilon, 0.0), np.minimum(features + epsilon, 1.0)


def _box_on_grid(
    features: NDArray[np.float64], epsilon: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The box's corners that the wire carries; the row itself where a box is too small to hold any."""
    low, high = _box(features, epsilon)
    low, high = np.ceil(low * FULL_SCALE) / FULL_SCALE, np.floor(high * FULL_SCALE) / FULL_SCALE
    return np.where(low > high, features, low), np.where(low > high, features, high)


def _check(epsilon: float, **counts: int) -> None:
    if not (np.isfinite(epsilon) and epsilon >= 0.0):
        raise ValueError(f"epsilon is {epsilon}; expected a finite number, 0 or more")
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"{name} is {count}; expected at least 1")
