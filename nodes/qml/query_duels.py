"""Attacks that ask, against defences of what is answered: the pairs that are measured, also where a defence does nothing.

Every bout trains on the paper's data (140 of 200 rows, whose scaling counts for all others); accuracy and
agreement are taken on about a thousand fresh rows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.qml import extraction
from nodes.qml.answers import AnswerPolicy, Budget
from nodes.qml.asking import on_grid
from nodes.qml.canaries import CanaryTest
from nodes.qml.committee import Committee
from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.drift import WornDecision, drifted, ramp
from nodes.qml.duel import Duel, Outcome
from nodes.qml.evasion import by_copy, by_differences, by_labels, gradient_of, white_box
from nodes.qml.inversion import portraits
from nodes.qml.membership import Rule, inferred
from nodes.qml.qsvm import QuantumSVM
from nodes.qml.strategy import Classifier, Knowledge, Loot, Oracle, Replies, Truth, carried_out
from nodes.qml.timing import Effort, timed

EPSILON = 0.1
"""ε of evasion, in units of the scaled features."""

HONEST = 100
"""Questions that an honest client asks of one model."""

_ROWS = 400  # that evasion disguises in a bout
_SCORES = AnswerPolicy("score")
_LABELS = AnswerPolicy("label")
_ROUNDED = AnswerPolicy("score", decimals=1)
_NOISY = AnswerPolicy("score", decimals=2, epsilon=1.0)
_MILD = AnswerPolicy("score", decimals=2, epsilon=10.0)
_FLIPPED = AnswerPolicy("label", epsilon=2.0)


@dataclass(frozen=True, eq=False)
class Scene:
    """One seed's data, and the model trained on it.

    Attributes:
        model: the server's.
        truth: it, its training rows, and fresh rows.
        own: 200 fresh rows of the attacker's.
        seed: from which both sides of a bout draw, so that they differ in nothing but the defence.
    """

    model: QuantumSVM
    truth: Truth
    own: DataSet
    seed: int

    @classmethod
    def of(cls, rng: np.random.Generator) -> Scene:
        """Draw and train.

        `two_clusters` scales by the extremes of all its rows. Here the first 200 alone set the scale, as in the
        paper; of the others the few outside [0, 1], which the wire cannot carry, are left out.
        """
        drawn = two_clusters(1450, 3.2, rng)
        low, high = drawn.features[:200].min(axis=0), drawn.features[:200].max(axis=0)
        # the extremes themselves must not miss 0 and 1 by a rounding error
        features = np.where(drawn.features == high, 1.0, (drawn.features - low) / (high - low))
        paper = DataSet(features[:200], drawn.labels[:200])
        train, _ = split(paper, 0.7, rng)
        inside = 200 + np.flatnonzero(((features[200:] >= 0.0) & (features[200:] <= 1.0)).all(axis=1))
        own, test = inside[:200], inside[200:]
        model = QuantumSVM().fit(train)
        return cls(
            model,
            Truth(model, train, DataSet(features[test], drawn.labels[test])),
            DataSet(features[own], drawn.labels[own]),
            int(rng.integers(2**62)),
        )

    def rng(self) -> np.random.Generator:
        """The same for either side of a bout."""
        return np.random.Generator(np.random.PCG64(self.seed))

    def knowledge(self, scores: bool) -> Knowledge:
        """What an attacker has who knows the feature map."""
        return Knowledge(2, self.own, scores, self.model.decision_.program)


@dataclass(frozen=True)
class _Guard:
    """A defence of answers, and how the attacker copes with it.

    Attributes:
        name: of the defence.
        policy: what is answered.
        budget: questions of each client.
        names: under which the attacker asks.
        asks: keyword arguments of the attack against it.
        notes: for the duel.
    """

    name: str
    policy: AnswerPolicy
    budget: int | None = None
    names: int = 1
    asks: tuple[tuple[str, Any], ...] = ()
    notes: str = ""


def served(
    model: Classifier,
    policy: AnswerPolicy,
    rng: np.random.Generator,
    *,
    budget: int | None = None,
    names: int = 1,
) -> Oracle:
    """A server in memory, with the wire's rounding of questions; it takes no time.

    Args:
        model: what it runs.
        policy: what it answers.
        rng: for noise.
        budget: questions of each client; no limit if None.
        names: under which the attacker asks, one after the other.
    """
    purse = None if budget is None else Budget(budget)

    def answer(questions: NDArray[np.float64]) -> Replies:
        values = policy.answer(model.decide(on_grid(questions)), rng)
        if purse is not None:
            values[_in_turn(purse, len(values), names) :] = np.nan
        return Replies(values, np.where(np.isnan(values), np.nan, 0.0))

    return answer


def _in_turn(purse: Budget, count: int, names: int) -> int:
    """Take so many questions from one name after the other."""
    granted = 0
    for name in range(names):
        granted += purse.granted(str(name), count - granted)
    return granted


def _plain(policy: AnswerPolicy) -> AnswerPolicy:
    """What is answered without a defence; a label is a defence only where scores would have been told."""
    return AnswerPolicy(policy.form)


def _accuracy(answers: NDArray[np.float64], labels: NDArray[np.int64], policy: AnswerPolicy) -> float:
    """Share of questions that were answered, and rightly."""
    positive = answers > (0.5 if policy.form == "label" else 0.0)
    return float(np.mean(~np.isnan(answers) & (positive == (labels == 1))))


def _benign(scene: Scene, model: Classifier, guard: _Guard) -> float:
    """Share of an honest client's questions that are answered, and rightly: of `HONEST` at a time, if there is a budget."""
    test = scene.truth.test
    answers = guard.policy.answer(model.decide(test.features), scene.rng())
    if guard.budget is not None:
        answers[np.arange(len(answers)) % HONEST >= guard.budget] = np.nan
    return _accuracy(answers, test.labels, guard.policy)


_Attack = Callable[..., Generator[NDArray[np.float64], Replies, Any]]


def _asked(
    attack: _Attack,
    scene: Scene,
    guard: _Guard,
    model: Classifier | None = None,
) -> Loot:
    """What the attack gets from a guarded server."""
    oracle = served(
        scene.model if model is None else model,
        guard.policy,
        np.random.Generator(np.random.PCG64([scene.seed, 1])),
        budget=guard.budget,
        names=guard.names,
    )
    knowledge = scene.knowledge(guard.policy.form == "score")
    loot: Loot = carried_out(attack(scene, knowledge, scene.rng(), **dict(guard.asks)), oracle)
    return loot


def _answers_bout(
    attack: _Attack, figure: str, plain: AnswerPolicy, guard: _Guard, rng: np.random.Generator
) -> Outcome:
    """A bout against a defence of answers: the model is the same on both sides."""
    scene = Scene.of(rng)
    bare = _Guard("none", plain)
    before = _asked(attack, scene, bare).figures(scene.truth)[figure]
    after = before if guard.name == "none" else _asked(attack, scene, guard).figures(scene.truth)[figure]
    return Outcome(before, after, _benign(scene, scene.model, bare), _benign(scene, scene.model, guard))


# Evasion


def _rows(scene: Scene) -> DataSet:
    test = scene.truth.test
    return DataSet(test.features[:_ROWS], test.labels[:_ROWS])


def _evade_by_scores(
    scene: Scene,
    knowledge: Knowledge,
    rng: np.random.Generator,
    *,
    copy_first: bool = False,
    **asks: Any,
) -> Generator[NDArray[np.float64], Replies, Any]:
    if copy_first:
        return by_copy(_extract_by_scores(scene, knowledge, rng, **asks), _rows(scene), EPSILON, rng)
    if not knowledge.scores:
        return by_labels(knowledge, EPSILON, rng, rows=_rows(scene), **asks)
    return by_differences(knowledge, EPSILON, rng, rows=_rows(scene), **asks)


def _evade_by_labels(
    scene: Scene,
    knowledge: Knowledge,
    rng: np.random.Generator,
    *,
    copy_first: bool = False,
    **asks: Any,
) -> Generator[NDArray[np.float64], Replies, Any]:
    if copy_first:
        return by_copy(_extract_by_labels(scene, knowledge, rng, **asks), _rows(scene), EPSILON, rng)
    return by_labels(knowledge, EPSILON, rng, rows=_rows(scene), **asks)


_Refit = Callable[[Scene], Classifier]


def _committee(scene: Scene) -> Committee:
    from nodes.qml.classical import LogisticRegression, RadialSVM  # noqa: PLC0415  not every duel needs them

    train = scene.truth.train
    return Committee([scene.model, RadialSVM().fit(train), LogisticRegression().fit(train)])


def _radial(scene: Scene) -> Classifier:
    from nodes.qml.classical import RadialSVM  # noqa: PLC0415  as above

    return RadialSVM().fit(scene.truth.train)


def _logistic(scene: Scene) -> Classifier:
    from nodes.qml.classical import LogisticRegression  # noqa: PLC0415  as above

    return LogisticRegression().fit(scene.truth.train)


def _retrained(scene: Scene) -> Classifier:
    from nodes.qml.hardening import adversarially_retrained  # noqa: PLC0415  as above

    return adversarially_retrained(scene.truth.train, EPSILON, 3, scene.rng())


def _exact(scene: Scene, model: Classifier) -> float:
    """Error under the gradient attack, which knows all members of a committee."""
    rows, rng = _rows(scene), scene.rng()
    if not isinstance(model, Committee):
        return white_box(model, rows, EPSILON, rng).figures(Truth(model, scene.truth.train, rows))["error"]
    slopes = [gradient_of(member) for member in model.members]

    def mean(features: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.mean([slope(features) for slope in slopes], axis=0))

    loot = white_box(model, rows, EPSILON, rng, gradient=mean)
    return loot.figures(Truth(model, scene.truth.train, rows))["error"]


def _model_bout(
    attack: _Attack | None, policy: AnswerPolicy, refit: _Refit | None, rng: np.random.Generator
) -> Outcome:
    """A bout against another model in the server's place; None is the attack that has the model."""
    scene = Scene.of(rng)
    other = scene.model if refit is None else refit(scene)

    def harm(model: Classifier) -> float:
        if attack is None:
            return _exact(scene, model)
        loot = _asked(attack, scene, _Guard("", policy), model)
        return loot.figures(Truth(model, scene.truth.train, scene.truth.test))["error"]

    bare = _Guard("none", policy)
    before = harm(scene.model)
    return Outcome(
        before,
        before if refit is None else harm(other),
        _benign(scene, scene.model, bare),
        _benign(scene, other, bare),
    )


# Extraction, inversion, membership, timing


def _prior(scene: Scene) -> QuantumSVM:
    """What the attacker can train without asking."""
    return QuantumSVM().fit(scene.own)


def _extract_by_scores(
    scene: Scene, knowledge: Knowledge, rng: np.random.Generator, **asks: Any
) -> Generator[NDArray[np.float64], Replies, Any]:
    if not knowledge.scores:
        return _extract_by_labels(scene, knowledge, rng, **asks)
    return extraction.by_scores(knowledge, rng, prior=_prior(scene), **asks)


def _extract_by_labels(
    scene: Scene, knowledge: Knowledge, rng: np.random.Generator, **asks: Any
) -> Generator[NDArray[np.float64], Replies, Any]:
    return extraction.by_labels(knowledge, rng, prior=_prior(scene), **asks)


def _invert(
    scene: Scene,  # noqa: ARG001  attacks are called alike
    knowledge: Knowledge,
    rng: np.random.Generator,
    **asks: Any,
) -> Generator[NDArray[np.float64], Replies, Any]:
    return portraits(knowledge, rng, **asks)


def _infer(
    scene: Scene, knowledge: Knowledge, rng: np.random.Generator, *, rule: Rule, **asks: Any
) -> Generator[NDArray[np.float64], Replies, Any]:
    train, test = scene.truth.train, scene.truth.test
    # as many others as members, for the shadow models' sake; the order gives nothing away to a rule
    count = len(train.labels)
    candidates = DataSet(
        np.concatenate([train.features, test.features[:count]]),
        np.concatenate([train.labels, test.labels[:count]]),
    )
    return inferred(knowledge, candidates, rule, rng, trainer=QuantumSVM().fit, size=count, **asks)


_EFFORT = Effort(64, 3.0, 0.5)
_JITTER = 0.5  # of a latency, standard deviation in batches


def _timing_bout(defended: bool, rng: np.random.Generator) -> Outcome:
    """A bout against a server that measures with shots and tells the class."""
    scene = Scene.of(rng)
    steady = Effort(_EFFORT.most, _EFFORT.z, _EFFORT.spread, constant=True)

    def harm(effort: Effort) -> float:
        noise = np.random.Generator(np.random.PCG64([scene.seed, 1]))

        def answer(questions: NDArray[np.float64]) -> Replies:
            found, taken = effort.measured(scene.model.decide(on_grid(questions)), noise)
            jitter = _JITTER * noise.standard_normal(len(taken))
            return Replies((found > 0.0).astype(np.float64), 5.0 + taken + jitter)

        strategy = timed(scene.knowledge(scores=False), _EFFORT, scene.rng(), prior=_prior(scene))
        loot: Loot = carried_out(strategy, answer)
        return loot.figures(scene.truth)["leaked"]

    def benign(effort: Effort) -> float:
        found, _ = effort.measured(scene.model.decide(scene.truth.test.features), scene.rng())
        return float(np.mean((found > 0.0) == (scene.truth.test.labels == 1)))

    before = harm(_EFFORT)
    return Outcome(
        before,
        harm(steady) if defended else before,
        benign(_EFFORT),
        benign(steady if defended else _EFFORT),
    )


# Drift

_STREAM = 1000
_EVERY, _LABELLED = 10, 4  # questions for each canary, and for each that is labelled
_FIXED = CanaryTest(good=0.01, bad=0.1, false_alarm=0.01, horizon=_STREAM // _EVERY)
_DRAWN = CanaryTest(good=0.1, bad=0.25, false_alarm=0.01, horizon=_STREAM // _LABELLED)
_SHIFT = 0.3
_WEAR = 0.8


def _drift_bout(kind: str, watch: str, rng: np.random.Generator) -> Outcome:
    """A stream of questions; the service stops at the first alarm, and what is not answered is not answered wrongly."""
    scene = Scene.of(rng)
    draws = scene.rng()
    model, test, train = scene.model, scene.truth.test, scene.truth.train
    chosen = draws.permutation(len(test.labels))[:_STREAM]
    labels = test.labels[chosen]
    count = len(labels)
    course = ramp(count, 200, 600, 1.0)
    # what canaries are asked: training rows, whose answers were written down when the model was deployed
    sureness = np.abs(model.decide(train.features))
    if watch == "touchy":
        which = np.resize(np.argsort(sureness)[:20], count)
    else:
        which = draws.integers(len(train.labels), size=count)
    canaries = train.features[which]
    known = model.classify(canaries) == 1

    def worn(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        states = [WornDecision(model.decision_, _WEAR * level) for level in np.linspace(0.0, 1.0, 41)]
        answers = np.array([state.decide(rows) for state in states])
        return np.asarray(answers[np.rint(40.0 * course).astype(np.intp), np.arange(len(rows))])

    def stream(on: bool) -> tuple[NDArray[np.bool_], int]:
        """Whether each answer is wrong, and how many are given before the alarm."""
        features = test.features[chosen]
        if on and kind == "questions":
            features = drifted(
                features, _SHIFT * course, np.random.Generator(np.random.PCG64([scene.seed, 2]))
            )
        values = worn if on and kind == "device" else model.decide
        wrong = (values(features) > 0.0) != (labels == 1)
        if watch == "none":
            return wrong, count
        test_of, every = (_DRAWN, _LABELLED) if watch == "drawn" else (_FIXED, _EVERY)
        seen = wrong if watch == "drawn" else (values(canaries) > 0.0) != known
        at = test_of.alarmed_at(seen[every - 1 :: every])
        return wrong, count if at is None else min(count, (at + 1) * every)

    wrong, until = stream(on=True)
    calm, calm_until = stream(on=False)
    return Outcome(
        float(wrong.sum()) / count,
        float(wrong[:until].sum()) / count,
        float(np.mean(~calm)),
        float((~calm[:calm_until]).sum()) / count,
    )


# The pairs

_EVASION_HARM = f"share of rows that the model gets wrong after moves of at most {EPSILON} in each feature"
_AGREEMENT = "share of fresh rows on which the copy and the model agree"
_CLOSENESS = "how much nearer to a class's mean than a random guess the portraits are, 0 to 1"
_ADVANTAGE = "true less false positives of the guesses who is a member"
_LEAKED = "squared correlation of |f| as recovered with the true one"
_WRONG = "share of the stream that is answered wrongly, before an alarm"

_UNASKED = "an attacker with 200 rows of its own starts from a model trained on them"


def _guarded(
    attack_id: str, attack: _Attack, figure: str, harm: str, plain: AnswerPolicy, *guards: _Guard
) -> list[Duel]:
    return [
        Duel(
            attack_id,
            guard.name,
            harm,
            partial(_answers_bout, attack, figure, plain, guard),
            guard.notes,
        )
        for guard in guards
    ]


def _asks(**values: Any) -> tuple[tuple[str, Any], ...]:
    return tuple(values.items())


def _evasion_duels() -> list[Duel]:
    every = "for all 400 rows together"
    copied = f"the attacker extracts a copy first, {every}"
    duels = _guarded(
        "evasion-scores",
        _evade_by_scores,
        "error",
        _EVASION_HARM,
        _SCORES,
        _Guard("rounding", _ROUNDED, notes="one decimal"),
        _Guard(
            "rounding, copied",
            _ROUNDED,
            asks=_asks(copy_first=True, queries=64, noise=_ROUNDED.deviation),
            notes=f"{copied}: 64 questions",
        ),
        _Guard("noise", _NOISY, notes="Laplace, ε = 1 an answer"),
        _Guard("noise, averaged", _NOISY, asks=_asks(repeats=100), notes="every question asked 100 times"),
        _Guard(
            "noise, copied",
            _NOISY,
            asks=_asks(copy_first=True, queries=64, repeats=400, noise=_NOISY.deviation),
            notes=f"{copied}: 25 600 questions",
        ),
        _Guard("label-only", _LABELS, notes="the attacker searches by classes instead"),
        _Guard("budget", _SCORES, HONEST, notes=f"{HONEST} questions {every}"),
        _Guard(
            "budget, copied",
            _SCORES,
            HONEST,
            asks=_asks(copy_first=True, noise=0.0),
            notes=f"{copied}: 16 of {HONEST} questions",
        ),
        _Guard(
            "no answers",
            _SCORES,
            0,
            asks=_asks(copy_first=True, noise=0.0),
            notes="the attacker uses the model that it trained on its own 200 rows",
        ),
    )
    duels += _guarded(
        "evasion-labels",
        _evade_by_labels,
        "error",
        _EVASION_HARM,
        _LABELS,
        _Guard("noise", _FLIPPED, notes="randomised response, ε = 2 an answer"),
        _Guard("noise, averaged", _FLIPPED, asks=_asks(repeats=15), notes="every question asked 15 times"),
        _Guard("budget", _LABELS, HONEST, notes=f"{HONEST} questions {every}"),
        _Guard(
            "budget, copied",
            _LABELS,
            HONEST,
            asks=_asks(copy_first=True, queries=HONEST),
            notes=f"{copied}: {HONEST} questions",
        ),
    )
    models: list[tuple[str, _Refit | None, str]] = [
        ("none", None, ""),
        (
            "ensemble disagreement",
            _committee,
            "QSVM, RBF and logistic must agree; declining is not an error; it hides slopes, not classes",
        ),
        ("adversarial retraining", _retrained, "3 rounds at the attacker's ε"),
        ("rbf-svm instead", _radial, "another model, for comparison"),
        ("logistic instead", _logistic, "another model, for comparison"),
    ]
    attacks: list[tuple[str, _Attack | None, AnswerPolicy]] = [
        ("evasion-gradient", None, _LABELS),
        ("evasion-scores", _evade_by_scores, _SCORES),
        ("evasion-labels", _evade_by_labels, _LABELS),
    ]
    for attack_id, attack, policy in attacks:
        duels += [
            Duel(attack_id, name, _EVASION_HARM, partial(_model_bout, attack, policy, refit), notes)
            for name, refit, notes in models
        ]
    return duels


def _extraction_duels() -> list[Duel]:
    noisy, mild = _NOISY.deviation, _MILD.deviation
    scores = _guarded(
        "extraction-scores",
        _extract_by_scores,
        "agreement",
        _AGREEMENT,
        _SCORES,
        _Guard("none", _SCORES, notes=f"16 questions; {_UNASKED}"),
        _Guard("no answers", _SCORES, 0, notes="what that model is worth without a question"),
        _Guard("rounding", _ROUNDED, asks=_asks(noise=_ROUNDED.deviation), notes="one decimal; 16 questions"),
        _Guard(
            "rounding, more asked",
            _ROUNDED,
            asks=_asks(noise=_ROUNDED.deviation, queries=64),
            notes="one decimal; 64 questions",
        ),
        _Guard("noise", _NOISY, asks=_asks(queries=64, noise=noisy), notes="ε = 1 an answer; 64 questions"),
        _Guard(
            "noise, averaged",
            _NOISY,
            asks=_asks(queries=64, repeats=400, noise=noisy),
            notes="ε = 1 an answer; 25 600 questions, which spend ε = 25 600",
        ),
        _Guard(
            "mild noise", _MILD, asks=_asks(queries=64, noise=mild), notes="ε = 10 an answer; 64 questions"
        ),
        _Guard(
            "mild noise, averaged",
            _MILD,
            asks=_asks(queries=64, repeats=20, noise=mild),
            notes="ε = 10 an answer; 1280 questions",
        ),
        _Guard("label-only", _LABELS, notes="the attacker bisects by classes instead: 332 questions for 16"),
        _Guard("budget", _SCORES, 12, notes=f"12 of the 16 questions; an honest client asks {HONEST}"),
        _Guard("budget, two names", _SCORES, 12, 2, notes="12 questions under each of two names"),
        _Guard("budget of honest use", _SCORES, HONEST, notes=f"{HONEST} questions: more than 16"),
        _Guard(
            "noise and budget",
            _NOISY,
            HONEST,
            asks=_asks(queries=HONEST, noise=noisy),
            notes=f"ε = 1 an answer, {HONEST} answers, which spend ε = {HONEST}",
        ),
    )
    labels = _guarded(
        "extraction-labels",
        _extract_by_labels,
        "agreement",
        _AGREEMENT,
        _LABELS,
        _Guard("none", _LABELS, notes=f"332 questions; {_UNASKED}"),
        _Guard(
            "noise",
            _FLIPPED,
            asks=_asks(queries=30, repeats=11),
            notes="randomised response, ε = 2 an answer; as many questions, of which 11 are the same",
        ),
        _Guard(
            "noise, averaged", _FLIPPED, asks=_asks(repeats=15), notes="ε = 2 an answer; 15 times as many"
        ),
        _Guard("budget", _LABELS, HONEST, asks=_asks(queries=HONEST), notes=f"{HONEST} questions"),
    )
    return scores + labels


def _private_duels() -> list[Duel]:
    averaged = _asks(repeats=100)
    duels = _guarded(
        "inversion-peak",
        _invert,
        "closeness",
        _CLOSENESS,
        _SCORES,
        _Guard("none", _SCORES, notes="about 200 questions, no rows used"),
        _Guard("rounding", _ROUNDED, notes="one decimal"),
        _Guard("noise", _NOISY, notes="ε = 1 an answer"),
        _Guard("noise, averaged", _NOISY, asks=averaged, notes="ε = 1 an answer, each asked 100 times"),
        _Guard(
            "label-only",
            _LABELS,
            notes="forces the attacker to the mean of a class's points, which is better",
        ),
        _Guard("budget", _SCORES, 12, notes="12 questions"),
    )
    duels += _guarded(
        "inversion-mean",
        partial(_invert, peak=False),
        "closeness",
        _CLOSENESS,
        _LABELS,
        _Guard("none", _LABELS, notes="200 questions, no rows used"),
        _Guard("noise", _FLIPPED, notes="randomised response, ε = 2 an answer"),
        _Guard("noise, averaged", _FLIPPED, asks=_asks(repeats=15), notes="every question asked 15 times"),
        _Guard("budget", _LABELS, 12, notes="12 questions"),
    )
    for rule in ("gap", "threshold", "ratio", "support"):
        duels += _guarded(
            f"membership-{rule}",
            partial(_infer, rule=rule),
            "advantage",
            _ADVANTAGE,
            _SCORES,
            _Guard("none", _SCORES),
            _Guard("rounding", _ROUNDED, asks=_asks(noise=_ROUNDED.deviation), notes="one decimal"),
            _Guard("noise", _NOISY, asks=_asks(noise=_NOISY.deviation), notes="ε = 1 an answer"),
            _Guard(
                "noise, averaged",
                _NOISY,
                asks=_asks(repeats=100, noise=_NOISY.deviation / 10.0),
                notes="ε = 1 an answer, each asked 100 times",
            ),
            _Guard("label-only", _LABELS),
        )
    return duels


def _service_duels() -> list[Duel]:
    duels = [
        Duel(
            "timing",
            "constant-time" if defended else "none",
            _LEAKED,
            partial(_timing_bout, defended),
            "64 questions, 9 times each; 1 to 64 batches, jitter of half a batch; stopping early takes 9 % of the time",
        )
        for defended in (False, True)
    ]
    watches = {
        "none": ("none", ""),
        "fixed": ("canaries", f"training rows, 1 for {_EVERY} questions"),
        "touchy": (
            "canaries near the boundary",
            f"the 20 training rows of least |f|, 1 for {_EVERY} questions",
        ),
        "drawn": ("labelled samples", f"somebody labels 1 question in {_LABELLED}"),
    }
    notes = {
        "questions": f"all questions move by {_SHIFT} in a random direction",
        "device": f"the device depolarises up to {_WEAR:.0%}",
    }
    for kind, moved in notes.items():
        duels += [
            Duel(
                f"drift-{kind}",
                name,
                _WRONG,
                partial(_drift_bout, kind, watch),
                "; ".join(filter(None, (moved, note))),
            )
            for watch, (name, note) in watches.items()
        ]
    return duels


QUERY_DUELS: tuple[Duel, ...] = (
    *_evasion_duels(),
    *_extraction_duels(),
    *_private_duels(),
    *_service_duels(),
)
"""All of them; the defence "none" is the attack alone."""
