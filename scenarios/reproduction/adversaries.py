"""Adversaries of the model: evasion, extraction and inversion by queries, poisoned labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nodes.qml.datasets import DataSet
from nodes.qml.poisoning import flip_labels
from scenarios.reproduction.charts import Curve, line_chart
from scenarios.reproduction.experiment import QuantumMachine, classical, clusters, stream
from scenarios.reproduction.study import Figure, Job, Part, Plan, Shown, Study, Table, long_rows
from scenarios.reproduction.verdicts import Claim, Trial, mean, spelled

EPSILONS = (0.05, 0.1, 0.2)
STRONG = 0.80
"""Accuracy that a robust classifier keeps; the paper asks 80 % of a noisy one."""
FLIPS = {"random": (0.1, 0.25, 0.4), "targeted": (0.1, 0.2, 0.3)}
HARMLESS = 0.02
"""A loss of accuracy that one would bear."""
NEEDED, FEWER, MORE = 16, 8, 64
"""Questions: as many as determine the model of two features, half of them, and several times as many."""
PROTECTED = 0.95
"""A copy that agrees less often with the model has not got it."""
MODELS = {"qsvm": "QSVM", "rbf": "RBF SVM", "logistic": "logistic"}


def evasion(seed: int, number: int) -> dict[str, float]:
    """Accuracy on test rows after every one was moved along the model's gradient, by at most ε in each feature."""
    from nodes.qml.evasion import white_box  # noqa: PLC0415  only this job needs it

    experiment = clusters(seed, number)
    found: dict[str, float] = {}
    for name, model in _models(experiment.train).items():
        found[f"{name}/0"] = _right(model, experiment.test)
        for epsilon in EPSILONS:
            rng = stream(seed, f"evasion/{name}/{epsilon:g}", number)
            moved = white_box(model, experiment.test, epsilon, rng)
            found[f"{name}/{epsilon:g}"] = _right(model, DataSet(moved.changed, experiment.test.labels))
    return found


def _models(train: DataSet) -> dict[str, Any]:
    from nodes.qml.classical import LogisticRegression, RadialSVM  # noqa: PLC0415  scikit-learn, which most jobs do without
    from nodes.qml.qsvm import QuantumSVM  # noqa: PLC0415  likewise

    return {
        "qsvm": QuantumSVM().fit(train),
        "rbf": RadialSVM().fit(train),
        "logistic": LogisticRegression().fit(train),
    }


def _right(model: Any, rows: DataSet) -> float:
    return float(np.mean(model.classify(rows.features) == rows.labels))


def extraction(seed: int, number: int) -> dict[str, float]:
    """How well copies made from answers agree with the model, by what is answered and how often it is asked."""
    from nodes.qml.answers import AnswerPolicy  # noqa: PLC0415  only this job needs it
    from nodes.qml.extraction import by_labels, by_scores  # noqa: PLC0415  likewise
    from nodes.qml.feature_maps import zz_map  # noqa: PLC0415  likewise
    from nodes.qml.qsvm import QuantumSVM  # noqa: PLC0415  likewise
    from nodes.qml.strategy import Knowledge, Replies, Truth, carried_out  # noqa: PLC0415  likewise

    experiment = clusters(seed, number)
    model = QuantumSVM().fit(experiment.train)
    truth = Truth(model, experiment.train, experiment.test)
    nothing = DataSet(np.empty((0, 2)), np.empty(0, dtype=np.int64))
    found: dict[str, float] = {}
    exact, rounded, label = (AnswerPolicy("score"), AnswerPolicy("score", decimals=1), AnswerPolicy("label"))
    ways = {
        f"exact scores, {NEEDED} questions": (exact, NEEDED),
        f"exact scores, {FEWER} questions": (exact, FEWER),
        f"scores to one decimal, {NEEDED} questions": (rounded, NEEDED),
        f"scores to one decimal, {MORE} questions": (rounded, MORE),
        f"classes, {MORE} questions": (label, MORE),
    }
    for way, (policy, questions) in ways.items():
        rng = stream(seed, f"extraction/{way}", number)
        knowledge = Knowledge(2, nothing, policy.form == "score", zz_map(2).program)

        def oracle(asked: Any, policy: Any = policy, rng: Any = rng) -> Replies:
            return Replies(policy.answer(model.decide(asked), rng), np.zeros(len(asked)))

        by = by_scores if policy.form == "score" else by_labels
        copy = carried_out(by(knowledge, rng, queries=questions), oracle)
        figures = copy.figures(truth)
        found[f"agreement/{way}"] = figures["agreement anywhere"]
        found[f"error/{way}"] = figures["score error"]
    return found


def poisoning(seed: int, number: int) -> dict[str, float]:
    """Accuracy on clean test rows after a share of training labels was flipped."""
    experiment = clusters(seed, number)
    train, test = experiment.train, experiment.test
    found = {"plain/0": QuantumMachine(train.features, train.labels).right(test.features, test.labels)}
    for how, fractions in FLIPS.items():
        for fraction in fractions:
            rng = stream(seed, f"poison/{how}/{fraction:g}", number)
            flipped, _ = flip_labels(train, fraction, how, rng)  # type: ignore[arg-type]  # one of the two
            machine = QuantumMachine(flipped.features, flipped.labels)
            found[f"{how}/{fraction:g}"] = machine.right(test.features, test.labels)
            rbf = classical("rbf").fit(flipped.features, flipped.labels)
            found[f"rbf, {how}/{fraction:g}"] = float(np.mean(rbf.predict(test.features) == test.labels))
    return found


_WORKS = (evasion, extraction, poisoning)


def _jobs(plan: Plan) -> list[Job]:
    return [Job(work, (plan.seed, number)) for work in _WORKS for number in range(plan.seeds)]


def _found(plan: Plan, results: Sequence[Any]) -> Part:
    n = plan.seeds
    evaded, copied, poisoned = (results[first : first + n] for first in (0, n, 2 * n))

    def of(bouts: Sequence[Any], name: str) -> list[float]:
        return [bout[name] for bout in bouts]

    accuracy = {(name, e): mean(of(evaded, f"{name}/{e:g}")) for name in MODELS for e in (0, *EPSILONS)}
    behind = {e: mean(np.subtract(of(evaded, f"qsvm/{e:g}"), of(evaded, f"rbf/{e:g}"))) for e in EPSILONS}
    robust = Claim(
        "adversarial-robustness",
        "Table 4, Algorithm 1, line 12",
        "Adversarial robustness: strong; robust against small ‖δx‖.",
        "strong",
        (
            *(
                Trial(f"accuracy at ε = {e:g} in each feature", accuracy["qsvm", e], low=STRONG)
                for e in EPSILONS
            ),
            *(Trial(f"QSVM minus RBF SVM at ε = {e:g}", behind[e], low=0.0) for e in EPSILONS),
        ),
        "Rows moved along the gradient by at most "
        + ", ".join(
            f"{e:g} leave {spelled(accuracy['qsvm', e], '%')} (RBF SVM {spelled(accuracy['rbf', e], '%')})"
            for e in EPSILONS
        )
        + ".",
    )
    agreement = {key.split("/")[1]: mean(of(copied, key)) for key in copied[0] if key.startswith("agreement")}
    exact = f"exact scores, {NEEDED} questions"
    worst = max(of(copied, f"error/{exact}"))
    stolen = Claim(
        "model-inversion",
        "Abstract, Algorithm 2, step 5",
        "Threats such as model inversion are mitigated; flag leakage if an adversary can estimate ∇f(x).",
        "mitigated",
        tuple(
            Trial(f"agreement of a copy: {way}", estimate, high=PROTECTED)
            for way, estimate in agreement.items()
        ),
        f"{NEEDED} exact scores give the model of two features, and with it ∇f, everywhere (largest error of a score {worst:.0e}); one "
        f"decimal leaves {spelled(agreement[f'scores to one decimal, {NEEDED} questions'], '%')} agreement. Encryption hides queries "
        "from Eve, not the model from a client.",
    )
    plain = of(poisoned, "plain/0")
    loss = {
        (how, fraction): mean(np.subtract(plain, of(poisoned, f"{how}/{fraction:g}")))
        for how, fractions in FLIPS.items()
        for fraction in fractions
    }
    left = {key: mean(of(poisoned, f"{key[0]}/{key[1]:g}")) for key in loss}
    poison = Claim(
        "poisoning",
        "Abstract, Algorithm 1",
        "Poisoning attacks are mitigated.",
        "mitigated",
        tuple(
            Trial(f"{100 * fraction:g} % of labels flipped, {how}: accuracy lost", estimate, high=HARMLESS)
            for (how, fraction), estimate in loss.items()
        ),
        f"Key distribution keeps strangers out of the training data, not whoever may write labels: random flips of 25 % leave "
        f"{spelled(left['random', 0.25], '%')}, targeted ones of 20 % {spelled(left['targeted', 0.2], '%')} and of 30 % "
        f"{spelled(left['targeted', 0.3], '%')}.",
    )
    curves = [Curve(name, [(e, accuracy[key, e]) for e in (0, *EPSILONS)]) for key, name in MODELS.items()]
    title = "Accuracy of disguised rows"
    figure = Figure(
        "evasion",
        title,
        lambda width: line_chart(
            width,
            title,
            "ε, largest change of a feature",
            "accuracy",
            curves,
            (0.0, 0.2),
            (0.0, 1.0),
            level=(STRONG, "80 %"),
        ),
        "Test rows moved along the exact gradient (four starts, twenty steps); features lie in [0, 1].",
    )
    rows = tuple(
        (
            f"{100 * fraction:g} %, {how}",
            spelled(left[how, fraction], "%"),
            spelled(mean(of(poisoned, f"rbf, {how}/{fraction:g}")), "%"),
        )
        for how, fraction in left
    )
    return Part(
        "Adversaries of the model (Table 4)",
        f"{plan.seeds} data sets. Evasion has the model and its gradient; extraction only asks, and knows the feature map but no data; "
        "poisoning flips training labels. Defences against each are measured by `evelab reproduce attacks`.",
        (robust, stolen, poison),
        (
            Table(
                "adversaries",
                ("attack", "bout", "quantity", "value"),
                tuple(
                    (name, *row)
                    for name, bouts in (("evasion", evaded), ("extraction", copied), ("poisoning", poisoned))
                    for row in long_rows(bouts)
                ),
            ),
        ),
        (figure,),
        (Shown("Accuracy on clean rows after labels were flipped", ("flipped", "QSVM", "RBF SVM"), rows),),
    )


STUDY = Study("adversaries", _jobs, _found)
