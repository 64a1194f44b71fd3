"""The model: how good it is beside others, what was done to it, and Algorithm 2's four checks."""

from __future__ import annotations

from scenarios.report import words
from scenarios.report.folder import ModelSummary, Run
from scenarios.report.markup import Markup, joined, table, tag
from scenarios.report.wilson import wilson
from scenarios.units import TIME, format_quantity

NAMES = {
    "served": "as served",
    "untouched": "had nobody touched it",
    "qsvm": "quantum SVM",
    "vqc": "variational circuit",
    "rbf-svm": "RBF SVM",
    "logistic": "logistic regression",
}
"""The models in words."""


def section(run: Run) -> Markup:
    """What was trained, how right it is, what attackers got of it, and the checks."""
    model = run.summary.model
    if model is None:
        return tag("p", "Nobody asked anything, so there was no model.")
    parts = [
        tag("p", _about(model)),
        tag("h3", "How often it is right"),
        _accuracy(model),
        *([tag("h3", "What attacks on it came to"), _attacks(model)] if model.attacks else []),
        *_others(model),
        *([tag("h3", "Algorithm 2's checks"), _checks(run)] if run.summary.algorithm_2 else []),
    ]
    return joined(parts)


def _about(model: ModelSummary) -> str:
    training = model.training
    kind = NAMES.get(model.kind, model.kind)
    told = f"{kind[0].upper()}{kind[1:]}, trained on {words.plural(training.rows, 'row')} of {model.data}"
    told += f" with {words.plural(model.features, 'feature')}"
    if training.poisoned:
        told += f"; an adversary had touched {words.plural(training.poisoned, 'row')}"
    if training.removed:
        of = f", {training.removed_poisoned:,} of them the adversary's" if training.poisoned else ""
        told += f"; sanitising left out {training.removed:,}{of}"
    return f"{told}. Questions travel in mode {model.mode}; an answer is a {model.answers}."


def _accuracy(model: ModelSummary) -> Markup:
    rows, total = [], model.test_rows
    for name, share in model.accuracy.items():
        low, high = wilson(round(share * total), total)
        rows.append((NAMES.get(name, name), f"{100 * share:.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %"))
    note = (
        f"On the {total:,} clean test rows, with Wilson's 95 % interval. Beside it, other kinds of model trained on the same rows, "
        "without the server's defences."
    )
    return joined(
        (table(["model", "right", "95 %"], rows, ["", "number", "number"]), tag("p", note, class_="muted"))
    )


def _attacks(model: ModelSummary) -> Markup:
    rows = [
        (tag("code", verb), figure.replace("_", " "), "–" if value is None else f"{value:,.4g}")
        for verb, figures in model.attacks.items()
        for figure, value in figures.items()
    ]
    note = "As the referee measures them, who has the model and the truth; the attacker has neither."
    return joined(
        (table(["attack", "figure", "value"], rows, ["", "", "number"]), tag("p", note, class_="muted"))
    )


def _others(model: ModelSummary) -> list[Markup]:
    told = []
    if model.leak is not None:
        leak = model.leak
        told.append(
            f"A question costs {leak.key_bits:,} bit of key, its answer included. Of the {leak.questions_bits:.2f} bit that tell the test rows "
            f"apart, what passes on the line holds at most {leak.line_bits:.2f}, what the server gets {leak.server_bits:.2f}"
            + (f"; an overlap is known to {leak.gram_error:.3f}." if leak.gram_error is not None else ".")
        )
    if model.canaries is not None:
        canaries = model.canaries
        when = canaries.alarm_s
        ended = "no alarm" if when is None else f"alarm at {format_quantity(when, TIME, 3)}"
        told.append(
            f"Canaries: {canaries.asked:,} asked, {canaries.answered:,} answered, {canaries.wrong:,} wrong: {ended}."
        )
    if model.doubted:
        told.append(f"Its members disagreed on {words.plural(model.doubted, 'question')}.")
    if model.privacy_epsilon is not None:
        told.append(
            f"Noise: the client that asked most has spent a privacy loss of ε = {model.privacy_epsilon:.4g} by basic composition."
        )
    if model.delivery is not None:
        told.append(f"Delivery: {model.delivery.sentence}")
    if model.playbook is not None:
        counts = ", ".join(f"{name}: {count}" for name, count in model.playbook.actions.items())
        told.append(f"Playbook: {counts or 'nothing was set off'}.")
    return [tag("p", sentence) for sentence in told]


def _checks(run: Run) -> Markup:
    rows = []
    for name, check in run.summary.algorithm_2.items():
        verdict = check.verdict
        evidence = ", ".join(
            f"{key.replace('_', ' ')} {_shown(value)}" for key, value in check.evidence.items()
        )
        mark = tag("span", verdict, class_="held" if verdict in ("ok", "not applicable") else "broken")
        rows.append((name, mark, joined((tag("p", check.sentence), tag("p", evidence, class_="muted")))))
    return table(["check", "verdict", "why, and the evidence"], rows, ["", "", "break"])


def _shown(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "–" if value is None else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
