"""What a server says of a decision value: the class or the value, rounded, with noise of a stated ε, within a budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Form = Literal["label", "score"]


@dataclass(frozen=True)
class AnswerPolicy:
    """How decision values become answers.

    The noise gives *ε-local differential privacy of one answer with respect to the decision value*: whatever two values
    f and f' stand behind it, no answer is more than e^ε times as likely from one as from the other (Dwork and Roth,
    "The algorithmic foundations of differential privacy" (2014), definition 2.4, for one record). Nothing is assumed
    about the model, so the same holds for any two models or training sets, but for this one answer. Further answers
    add up: see `spent`. It is a promise about k answers together and none about more; an attacker who may repeat a
    question averages the noise away.

    In score form values are clipped to ±sensitivity/2 and get Laplace noise of scale sensitivity/ε (theorem 3.6).
    With decimals the noise is two-sided geometric on the grid of answers (Ghosh, Roughgarden and Sundararajan, STOC
    2009), the exact analogue; without, it is drawn in double precision, whose last bits are known to betray values
    (Mironov, CCS 2012), so state an ε only with decimals. In label form the class is told truly with probability
    e^ε / (1 + e^ε) (randomised response, Warner 1965), and decimals and sensitivity mean nothing.

    Attributes:
        form: `label` answers 0 or 1; `score` the decision value.
        decimals: of a score, 0 to 15; all of them if None.
        epsilon: ε of one answer, positive; no noise if None.
        sensitivity: width of the interval that noisy scores are clipped to, in units of the decision value. It is part
            of the policy and must not be computed from the training data, or it would leak.

    Raises:
        ValueError: a value out of range.
    """

    form: Form = "label"
    decimals: int | None = None
    epsilon: float | None = None
    sensitivity: float = 6.0

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise ValueError(f"form is {self.form!r}; expected one of {', '.join(get_args(Form))}")
        if self.decimals is not None and not 0 <= self.decimals <= 15:
            raise ValueError(f"decimals is {self.decimals}; expected 0 to 15")
        if self.epsilon is not None and not (math.isfinite(self.epsilon) and self.epsilon > 0.0):
            raise ValueError(f"epsilon is {self.epsilon}; expected a finite number above 0")
        if not (math.isfinite(self.sensitivity) and self.sensitivity > 0.0):
            raise ValueError(f"sensitivity is {self.sensitivity}; expected a finite number above 0")
        steps = 0.0 if self.decimals is None else self.sensitivity * 10.0**self.decimals
        if self.epsilon is not None and steps / min(1.0, self.epsilon) > 2.0**48:
            raise ValueError(
                f"noise of ε = {self.epsilon} on a grid of {self.decimals} decimals needs numbers that are not exact; "
                f"expected fewer decimals"
            )

    def answer(self, decision_values: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """The answers to questions with these decision values.

        Args:
            decision_values: float64[n]; NaN, by which a model declines, stays NaN.
            rng: where noise comes from, drawn anew for each answer.

        Returns:
            float64[n]: 0 or 1 in label form, else scores, whose sign is the class.
        """
        values = np.asarray(decision_values, dtype=np.float64)
        if self.form == "label":
            labels = (values > 0.0).astype(np.float64)
            if self.epsilon is not None:
                flipped = rng.random(len(values)) < self.flip_probability
                labels = np.where(flipped, 1.0 - labels, labels)
            return np.where(np.isnan(values), np.nan, labels)
        if self.epsilon is None:
            return values.copy() if self.decimals is None else np.round(values, self.decimals)
        half = 0.5 * self.sensitivity
        clipped = np.clip(values, -half, half)
        if self.decimals is None:
            return clipped + rng.laplace(0.0, self.sensitivity / self.epsilon, len(values))
        steps = 10.0**self.decimals
        # the widest change on the grid, in steps: rounding could widen the interval by one
        width = 2.0 * np.rint(half * steps)
        stop = -math.expm1(-self.epsilon / max(1.0, width))
        noise = rng.geometric(stop, len(values)) - rng.geometric(stop, len(values))
        noisy: NDArray[np.float64] = np.round((np.rint(clipped * steps) + noise) / steps, self.decimals)
        return noisy

    @property
    def flip_probability(self) -> float:
        """How often label form answers with the wrong class, 1 / (1 + e^ε); 0 without noise."""
        return 0.0 if self.epsilon is None else 1.0 / (1.0 + math.exp(min(self.epsilon, 700.0)))

    @property
    def deviation(self) -> float:
        """Standard deviation of a score from the decision value, about: of the noise, or of rounding; 0 in label form."""
        if self.form == "label":
            return 0.0
        if self.epsilon is not None:
            return math.sqrt(2.0) * self.sensitivity / self.epsilon
        return 0.0 if self.decimals is None else 10.0**-self.decimals / math.sqrt(12.0)

    def spent(self, answers: int, delta: float = 0.0) -> float:
        """ε that so many answers together spend; infinite without noise.

        The smaller of basic composition, k·ε, which holds with δ = 0, and, for δ > 0, advanced composition,
        ε √(2 k ln(1/δ)) + k ε (e^ε - 1) (Dwork, Rothblum and Vadhan, FOCS 2010, theorem III.3), which holds except
        with probability δ. At ε of 1 or more for one answer advanced composition never helps.

        Raises:
            ValueError: a negative number of answers, or δ outside [0, 1).
        """
        if answers < 0:
            raise ValueError(f"answers is {answers}; expected 0 or more")
        if not 0.0 <= delta < 1.0:
            raise ValueError(f"delta is {delta}; expected 0 or more, less than 1")
        if answers == 0:
            return 0.0
        if self.epsilon is None:
            return math.inf
        basic = answers * self.epsilon
        if delta == 0.0 or self.epsilon > 1.0:  # the second term alone is then more than k·ε
            return basic
        advanced = self.epsilon * math.sqrt(2.0 * answers * math.log(1.0 / delta))
        return min(basic, advanced + answers * self.epsilon * math.expm1(self.epsilon))


class Budget:
    """Questions that each client may ask of one model.

    It is as good as the names of clients: whoever can have two has two budgets.

    Args:
        limit: for each client, 0 or more.

    Raises:
        ValueError: a negative limit.
    """

    def __init__(self, limit: int) -> None:
        if limit < 0:
            raise ValueError(f"limit is {limit}; expected 0 or more")
        self.limit = limit
        self._spent: dict[str, int] = {}

    def granted(self, client: str, asked: int = 1) -> int:
        """How many of so many more questions of a client are answered; they are taken off its budget.

        Raises:
            ValueError: a negative number of questions.
        """
        if asked < 0:
            raise ValueError(f"asked is {asked}; expected 0 or more")
        count = min(asked, self.left(client))
        self._spent[client] = self._spent.get(client, 0) + count
        return count

    def left(self, client: str) -> int:
        """Questions that a client has left."""
        return self.limit - self._spent.get(client, 0)

    def renew(self) -> None:
        """Give everyone the full budget again: to be done with a new model, on which old answers tell little."""
        self._spent.clear()
