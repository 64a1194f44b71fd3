"""Values of a scenario's queries, server and its defences that are right alone and wrong together, or of no use together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from nodes.attacks.asking import Asking, HostileHost
from nodes.attacks.environment import DriftData
from nodes.attacks.model import Backdoor, Poisoning
from nodes.qml.answers import AnswerPolicy
from scenarios.units import TIME, format_quantity

if TYPE_CHECKING:
    from nodes.attacks.action import Action
    from scenarios.inference_sections import Delivery, Training
    from scenarios.schema import Scenario, TimelineEntry

Path: TypeAlias = tuple[str, ...]
Fault: TypeAlias = tuple[Path, str]

QUANTUM_MODES = ("qotp", "same-pad")
_KEY_IN_ONE_PIECE = 65536  # bits that a KME hands out for one request
_MAC_BITS = 256
_LARGEST_PAIR = 5  # qubits of each of two registers that are compared


def inference_contradictions(scenario: Scenario) -> Iterator[Fault]:
    """What cannot be, and where.

    Args:
        scenario: perhaps a draft, whose values at fault are NaN; every comparison here must be true for a contradiction.
    """
    yield from _training(scenario)
    yield from _defences(scenario)
    yield from _given_in_vain(scenario)
    if scenario.queries is not None:
        yield from _mode(scenario)


def _training(scenario: Scenario) -> Iterator[Fault]:
    training, path = scenario.server.training, ("server", "training")
    if training.data == "table":
        if training.file is None:
            yield (*path, "file"), "missing, expected the path of a CSV or NSL-KDD file for data: table"
        features = training.features
        if isinstance(training.columns, tuple) and (
            len(training.columns) < features or len(training.columns) > features
        ):
            yield (
                (*path, "columns"),
                f"got {len(training.columns)} of them, expected as many as features ({training.features})",
            )
    if training.data == "xor" and training.features > 2:
        yield (*path, "features"), f"got {training.features}, expected 2 with data: xor"


def _defences(scenario: Scenario) -> Iterator[Fault]:
    model, server, path = scenario.defences.model, scenario.server, ("defences", "model")
    if server.answers == "label" and model.decimals is not None and model.decimals >= 0:
        yield (*path, "decimals"), "of no use with answers: label, which tell no score: remove it"
    if server.answers == "score" and model.decimals is None and model.noise is not None and model.noise > 0:
        yield (
            (*path, "noise"),
            "scores with all their digits betray what noise hides (Mironov 2012): set defences.model.decimals too",
        )
    if model.constant_time is True and server.early_stopping is False:
        yield (
            (*path, "constant_time"),
            "of no use without server.early_stopping: every query takes as long anyway",
        )
    if model.sanitise == "roni" and server.training.data == "table":
        yield (
            (*path, "sanitise"),
            "got roni, which needs rows that are known to be honest: a table has none beside",
        )
    machines = {"ensemble": model.ensemble, "adversarial_training": model.adversarial_training}
    for name, value in machines.items():
        if value is not None and value > 0 and server.model in ("vqc", "rbf-svm", "logistic"):
            yield (
                (*path, name),
                f"made for quantum kernel machines, expected server.model: qsvm, got {server.model}",
            )
    if all(value is not None and value > 0 for value in machines.values()):
        yield (*path, "ensemble"), "together with adversarial_training: remove one of the two"
    yield from _noise_on_a_fine_grid(scenario)


def _noise_on_a_fine_grid(scenario: Scenario) -> Iterator[Fault]:
    """Noise so wide on a grid so fine that doubles do not hold it exactly."""
    model = scenario.defences.model
    if scenario.server.answers == "score" and model.decimals is not None and model.noise is not None:
        if not (model.decimals >= 0 and model.noise > 0):
            return  # a draft's, at fault by itself
        try:
            AnswerPolicy("score", model.decimals, model.noise)
        except ValueError as error:
            yield ("defences", "model", "decimals"), str(error)


def _useless(scenario: Scenario) -> Iterator[tuple[Path, str]]:
    """Values that mean nothing beside the others, and beside which."""
    defences, queries = scenario.defences, scenario.queries
    yield from _useless_in_training(scenario.server.training)
    if defences.model.sanitise in ("none", "knn", "roni"):
        yield ("defences", "model", "suspected"), f"sanitise: {defences.model.sanitise}"
    actions = defences.playbook.actions if defences.playbook is not None else ()
    if defences.playbook is not None and isinstance(actions, tuple) and "re-route" not in actions:
        yield ("defences", "playbook", "detour_latency"), "no action re-route"
    if queries is not None and queries.mode in ("otp", "masked"):
        for name in ("copies", "estimator"):
            yield ("queries", name), f"mode: {queries.mode}, which sends no states"
    if queries is not None and queries.mode in ("otp", "masked", "qotp"):
        for name in ("per_pad", "pads"):
            yield ("queries", name), f"mode: {queries.mode}"
    if scenario.server.delivery is not None:
        yield from _useless_in_delivery(scenario.server.delivery)


def _useless_in_training(training: Training) -> Iterator[tuple[Path, str]]:
    path = ("server", "training")
    if training.data in ("xor", "flows", "table"):
        yield (*path, "distance"), f"data: {training.data}"
    if training.data in ("clusters", "xor", "flows"):
        for name in ("file", "label", "positive", "columns"):
            yield (*path, name), f"data: {training.data}"


def _useless_in_delivery(delivery: Delivery) -> Iterator[tuple[Path, str]]:
    path = ("server", "delivery")
    if delivery.suite in ("x25519+ml-kem-768", "ml-kem-768"):
        for name in ("without_key", "patience"):
            yield (*path, name), f"suite: {delivery.suite}, which takes no QKD key"
    elif delivery.without_key == "refuse":
        yield (*path, "patience"), "without_key: refuse, which never waits"
    if delivery.suite == "one-time-pad+mac":
        yield (*path, "cipher"), "suite: one-time-pad+mac"


def without_use_of_inference(scenario: Scenario) -> Iterator[Path]:
    """Values that a scenario's server, queries and defences of the model have no use for; those of a server that nobody asks are none's."""
    for path, _ in _useless(scenario):
        if scenario.queries is not None or path[0] != "server":
            yield path


def _given_in_vain(scenario: Scenario) -> Iterator[Fault]:
    for path, beside in _useless(scenario):
        section = scenario
        for key in path[:-1]:
            section = getattr(section, key)
        if path[-1] in section.model_fields_set and getattr(section, path[-1]) not in (None, ()):
            yield path, f"of no use with {beside}: remove it"


def _mode(scenario: Scenario) -> Iterator[Fault]:
    queries = scenario.queries
    assert queries is not None  # noqa: S101  the caller has looked
    if queries.mode not in QUANTUM_MODES:
        return
    server, link, path = scenario.server, scenario.link, ("queries", "mode")
    if server.model in ("vqc", "rbf-svm", "logistic"):
        yield (
            path,
            f"got {queries.mode}, which compares states of a kernel machine, expected server.model: qsvm",
        )
    if link.relayed:
        yield path, f"got {queries.mode}, which needs a quantum channel from Alice to Bob: mdi has none"
    if server.early_stopping is True:
        yield (
            path,
            f"got {queries.mode} with server.early_stopping, which is for features that the server reads",
        )
    model = scenario.defences.model
    if model.ensemble is not None and model.ensemble > 0:
        yield ("defences", "model", "ensemble"), f"whose members vote, not with mode: {queries.mode}"
    if queries.estimator == "kernel" and model.adversarial_training is not None:
        yield (
            ("defences", "model", "adversarial_training"),
            "whose machine keeps no support vectors, not with estimator: kernel: remove it",
        )
    if server.delivery is not None and (queries.mode == "same-pad" or queries.estimator == "kernel"):
        yield ("server", "delivery"), f"not with mode: {queries.mode} and estimator: {queries.estimator}"
    if queries.mode == "same-pad":
        yield from _same_pad(scenario)
    elif queries.copies * 2 * server.training.features + _MAC_BITS > _KEY_IN_ONE_PIECE:
        most = (_KEY_IN_ONE_PIECE - _MAC_BITS) // (2 * server.training.features)
        yield (
            ("queries", "copies"),
            f"got {queries.copies}, expected at most {most}: what a KME hands out at once",
        )


def _same_pad(scenario: Scenario) -> Iterator[Fault]:
    model, queries, features = scenario.defences.model, scenario.queries, scenario.server.training.features
    assert queries is not None  # noqa: S101  the caller has looked
    most = _KEY_IN_ONE_PIECE // (2 * features) if features > 0 else math.nan
    if queries.pads == "key" and queries.copies > most * queries.per_pad:
        beside = f"with per_pad: {queries.per_pad} and pads: key"
        yield (
            ("queries", "copies"),
            f"got {queries.copies}, expected at most {most * queries.per_pad:.12g} {beside}: what a KME hands out at once",
        )
    if features > _LARGEST_PAIR:
        yield (
            ("server", "training", "features"),
            f"got {features}, expected at most {_LARGEST_PAIR} with mode: same-pad: a gate on two registers has 16^features numbers",
        )
    if scenario.defences.query_mac is False:
        yield ("defences", "query_mac"), "got false; with mode: same-pad a tag is all that a query seals"
    if scenario.server.answers == "score" and (model.noise is not None or model.decimals is not None):
        yield ("defences", "model"), "rounding and noise, with mode: same-pad, where the client decides"


def action_contradictions(entry: TimelineEntry, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """What of an action against the model has no sense in its scenario: which key, and why."""
    action = entry.action
    if isinstance(action, Poisoning):
        yield from _at_the_start(entry)
    if isinstance(action, Backdoor) and action.column >= scenario.server.training.features:
        features = scenario.server.training.features
        yield "column", f"got {action.column}, expected below the number of features ({features})"
    if scenario.queries is None:
        if needs_queries(action):
            yield "action", f"got {action.id}, which needs a queries section"
    elif isinstance(action, Asking) and scenario.queries.mode in QUANTUM_MODES:
        yield "action", f"got {action.id}, which asks what the server can read, expected queries.mode: otp"
    elif isinstance(action, HostileHost) and action.client > scenario.queries.clients:
        yield "client", f"got {action.client}, expected at most queries.clients ({scenario.queries.clients})"


def needs_queries(action: Action) -> bool:
    """Whether an action has no sense where nobody asks."""
    return isinstance(action, Poisoning | Asking | HostileHost | DriftData)


def _at_the_start(entry: TimelineEntry) -> Iterator[tuple[str, str]]:
    """What is wrong with the times of something that happens before the model is trained."""
    if entry.at > 0:
        yield "at", f"got {format_quantity(entry.at, TIME)}, expected 0 s: the model is trained at the start"
    if entry.until is not None:
        yield "until", f"{entry.action.id} takes none: the model is trained once, at the start"
