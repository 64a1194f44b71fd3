"""What the referee finds out about the model: how good it is, what was done to it, and Algorithm 2's four checks."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from nodes.attacks.asking import HostileHost
from nodes.attacks.classical import Impersonate, Tamper
from nodes.attacks.model import Poisoning
from nodes.qml.diagnostics import algorithm_2
from nodes.qml.query_leaks import MAX_MIXED, classical_leak, qotp_leak, same_pad_leak
from nodes.qml.query_modes import References
from nodes.qml.resources import EAGLE, inversion_test_resources
from scenarios.inference import BESIDE, QUANTUM, Lesson
from scenarios.inference_range import Inference, deployed
from scenarios.range import Range
from scenarios.recorder import Alarm
from scenarios.schema import Scenario

if TYPE_CHECKING:
    from scenarios.referee import BlockRow

_DIGITS = 9  # of figures: what is beyond depends on the machine that solved for it
_LONGEST_HEADER = 64  # bytes, at most, that a query's or answer's tag covers besides the ciphertext
_UNMET = {
    "masked": "questions are never opened, and no tag protects them",
    "same-pad": "pairs of states show the server how a question lies to the support vectors",
}
MODEL_WATCHERS = ("canary", "playbook")
"""Nodes whose alarms are about the model and its answers, not about the link."""


def shown_since_s(scenario: Scenario, alarm: Alarm) -> float:
    """Since when an attack is on that this alarm of the model's watchers can be the sign of; infinity without one.

    A playbook names a client: it is right if that one's host is hostile. Canaries show a model that learnt poison, and answers that
    somebody could change.
    """
    canary, open_to_change = alarm.node == "canary", not scenario.defences.query_mac
    begun = [
        entry.at
        for entry in scenario.timeline
        if (
            (
                isinstance(entry.action, Poisoning)
                or (open_to_change and isinstance(entry.action, Tamper | Impersonate))
            )
            if canary
            else isinstance(entry.action, HostileHost) and f"client-{entry.action.client} " in alarm.reason
        )
    ]
    return min(begun, default=math.inf)


def model_findings(inference: Inference | None) -> dict[str, Any] | None:
    """The summary's section on the model; None where nobody asks."""
    if inference is None:
        return None
    lesson = inference.lesson
    server, queries = lesson.scenario.server, lesson.scenario.queries
    assert queries is not None  # noqa: S101  there is a server only where somebody asks
    return {
        "kind": server.model,
        "data": server.training.data,
        "features": lesson.honest.features.shape[1],
        "mode": queries.mode,
        "answers": server.answers,
        "training": {
            "rows": len(lesson.train.labels),
            "poisoned": lesson.poisoned,
            "removed": lesson.removed,
            "removed_poisoned": lesson.removed_poisoned,
        },
        "test_rows": len(lesson.test.labels),
        "accuracy": _accuracy(lesson),
        "attacks": _attacks(inference),
        "doubted": sum(inference.server.doubts.values()),
        "canaries": inference.canary.figures() if inference.canary is not None else None,
        "delivery": inference.delivered(),
        "playbook": inference.acted(),
        "privacy_epsilon": inference.privacy_spent(),
        "leak": _leak(inference),
    }


def _leak(inference: Inference) -> dict[str, Any] | None:
    """What one question of the mode gives away, out of the test rows; None where there are too many dimensions to say."""
    lesson, layout, how = inference.lesson, inference.layout, inference.how
    key_bits = layout.query_key_bits + layout.answer_key_bits
    rows = lesson.test.features
    if not how.quantum:
        return dataclasses.asdict(classical_leak(how.name, len(rows), key_bits))
    model = deployed(lesson)
    program = model.decision_.program
    rows = rows[: MAX_MIXED >> (2 * program.qubits)]
    if len(rows) < 2:
        return None
    states = program.columns(rows)
    if how.name == "qotp":
        return dataclasses.asdict(qotp_leak(states, how.copies, key_bits))
    references = References.of(model, how.estimator)
    return dataclasses.asdict(same_pad_leak(states, references, how.copies, how.per_pad, key_bits))


def _accuracy(lesson: Lesson) -> dict[str, float]:
    """On all the clean test rows: the model that is served, what it would be had nobody touched it, and others on the same rows."""
    models = {"served": lesson.served, "untouched": lesson.untouched}
    models |= {name: lesson.beside(name) for name in BESIDE}
    rows = lesson.test
    return {
        name: float(np.mean(model.classify(rows.features) == rows.labels)) for name, model in models.items()
    }


def _attacks(inference: Inference) -> dict[str, Mapping[str, float | None]]:
    """What each attack on the model came to, by the action's verb; a later entry of the same action counts as VERB_2."""
    found: dict[str, Mapping[str, float | None]] = {}

    def add(verb: str, figures: Mapping[str, float]) -> None:
        name, number = verb, 1
        while name in found:
            number += 1
            name = f"{verb}_{number}"
        found[name] = {
            key.replace(" ", "_"): round(float(value), _DIGITS) if np.isfinite(value) else None
            for key, value in figures.items()
        }

    truth = inference.lesson.truth
    for action in inference.poisonings:
        add(action.verb, action.figures(truth, inference.lesson.untouched))
    for attack, intruder in inference.intruders:
        intruder.give_up()
        asked = {"questions": float(intruder.asked), "answers": float(intruder.replied)}
        figures = {} if intruder.loot is None else intruder.loot.figures(truth)
        add(attack.verb, {**asked, **{name: value for name, value in figures.items() if name != "asked"}})
    return found


def algorithm_2_findings(world: Range, blocks: Sequence[BlockRow]) -> dict[str, dict[str, Any]]:
    """Algorithm 2's checks on this run, by name; those on queries and model only where somebody asks."""
    inference = world.inference
    checks = algorithm_2(
        link_epsilon=_link_epsilon(blocks),
        key_age_s=_key_age_s(world, blocks),
        **({} if inference is None else _asked(world, inference)),
    )
    return {
        check.name: {
            "verdict": check.verdict,
            "sentence": check.sentence,
            "evidence": {name: _plain(value) for name, value in check.evidence.items()},
        }
        for check in checks
        if inference is not None or check.name in ("composability", "refresh")
    }


def _asked(world: Range, inference: Inference) -> dict[str, Any]:
    """What the checks need to know of queries and model."""
    lesson, layout = inference.lesson, world.layout
    mode = lesson.scenario.queries.mode if lesson.scenario.queries is not None else "otp"
    records = [query for client in inference.everybody for query in client.queries]
    sealed = sum(query.sent_s is not None for query in records) + sum(inference.server.told.values())
    answers, noise = _answers(inference)
    delivered = inference.delivered()
    features = lesson.honest.features.shape[1]
    quantum = lesson.scenario.server.model in QUANTUM
    return {
        "sealed_messages": sealed,
        "longest_message_bytes": _LONGEST_HEADER + max(layout.query_bytes, layout.answer_bytes),
        "mac": layout.mac and mode != "masked",
        "delivery": _assurance(delivered),
        "unmet": _UNMET.get(mode, ""),
        "queries": {str(client): count for client, count in inference.server.told.items()},
        "program": lesson.program,
        "answers": answers,
        "noise": noise,
        "needed": inversion_test_resources(features, 2, EAGLE.coupling) if quantum else None,
    }


def _assurance(delivered: Mapping[str, Any] | None) -> Any:
    if delivered is None or delivered["security"] is None:
        return "none"
    return "information-theoretic" if delivered["security"] == "information-theoretic" else "computational"


def _answers(inference: Inference) -> tuple[Any, float]:
    """What the server tells, and its noise as a share of the scores' own standard deviation."""
    policy, lesson = inference.policy, inference.lesson
    if policy.form == "label":
        return "label", 0.0
    spread = float(np.std(lesson.served.decide(lesson.test.features))) or 1.0
    if policy.epsilon is not None:
        return "noisy", math.sqrt(2.0) * policy.sensitivity / policy.epsilon / spread
    if policy.decimals is not None:
        return "rounded", 10.0**-policy.decimals / spread
    return "score", 0.0


def _link_epsilon(blocks: Sequence[BlockRow]) -> float | None:
    accepted = [row.eps for row in blocks if row.status == "accepted"]
    return min(1.0, sum(accepted)) if accepted else None


def _key_age_s(world: Range, blocks: Sequence[BlockRow]) -> float | None:
    """The longest that went by without fresh key, the time before the first and after the last included."""
    fresh = sorted(row.end_s for row in blocks if row.status == "accepted" and row.end_s is not None)
    if not fresh:
        return None
    times = [0.0, *fresh, world.scenario.duration]
    return max(after - before for before, after in itertools.pairwise(times))


def _plain(value: float | str) -> float | str | None:
    """A value that JSON has."""
    if isinstance(value, str):
        return value
    return value if math.isfinite(value) else None
