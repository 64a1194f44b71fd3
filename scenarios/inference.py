"""What the server's model learns: data, who poisons it, what is left out again, and the model that comes of it."""

from __future__ import annotations

import copy
import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray

from netsim.errors import ScenarioError
from netsim.random_streams import Streams
from nodes.attacks.model import Poisoning
from nodes.qml.datasets import DataSet, split, two_clusters, xor
from nodes.qml.feature_maps import zz_map
from nodes.qml.models import trained
from nodes.qml.sanitising import Sanitised, knn, loss_trimming, reject_on_negative_influence
from nodes.qml.statevector import Program
from nodes.qml.strategy import Classifier, Knowledge, Truth
from scenarios.inference_sections import Training
from scenarios.schema import Scenario

TRAIN_FRACTION = 0.7
BESIDE = ("qsvm", "rbf-svm", "logistic")
"""Models that every table shows beside the one that is served."""

QUANTUM = ("qsvm", "vqc")
_TRIMS = 20  # rounds of loss trimming at most
_TRUSTED = 15  # rows of each class that the operator knows to be honest
_BATCH = 5  # rows that RONI judges together
_ROUNDS = 3  # of adversarial retraining
_TAIL = 0.01  # share of a table's rows beyond each end of a feature's scale
_SPREAD = 0.1  # of the four blobs of xor


@dataclasses.dataclass(frozen=True, eq=False)
class Lesson:
    """What a model is trained on, and how that came about.

    Attributes:
        scenario: whose.
        streams: its randomness.
        honest: the training rows before anybody touched them.
        train: those that the model learns: poisoned, then sanitised.
        test: the rest, which the clients ask about.
        poisoned: rows that the adversary touched or added.
        removed: rows that sanitising left out or gave the other label, and
        removed_poisoned: how many of them were the adversary's.
    """

    scenario: Scenario
    streams: Streams
    honest: DataSet
    train: DataSet
    test: DataSet
    poisoned: int
    removed: int
    removed_poisoned: int

    @functools.cached_property
    def served(self) -> Classifier:
        """The model that the server runs."""
        return self._defended(self.scenario.server.model, self.train)

    @functools.cached_property
    def untouched(self) -> Classifier:
        """What it would have been without attack and without defence."""
        if self.poisoned == 0 and self._plain:
            return self.served
        return trained(self.scenario.server.model, self.honest, self._rng)

    def beside(self, name: str) -> Classifier:
        """Another kind of model on the same rows, and without defences."""
        if name == self.scenario.server.model and self._plain:
            return self.served
        return trained(name, self.train, self._rng)

    @property
    def _rng(self) -> np.random.Generator:
        """Where every model of the lesson begins, so that they differ by what they are trained on and not by luck."""
        return copy.deepcopy(self.streams("server/model"))

    @property
    def _plain(self) -> bool:
        """Whether the served model is just trained."""
        defences = self.scenario.defences.model
        if self.scenario.queries is not None and self.scenario.queries.estimator == "kernel":
            return False
        return self.removed == 0 and defences.ensemble is None and defences.adversarial_training is None

    def _defended(self, name: str, rows: DataSet) -> Classifier:
        defences, rng = self.scenario.defences.model, self._rng
        if defences.ensemble is not None and len(np.unique(rows.labels)) > 1:
            from nodes.qml.ensemble import Ensemble  # noqa: PLC0415  few runs need it

            return Ensemble(defences.ensemble, rng=rng).fit(rows)
        if defences.adversarial_training is not None and len(np.unique(rows.labels)) > 1:
            from nodes.qml.hardening import adversarially_retrained  # noqa: PLC0415  likewise

            return adversarially_retrained(rows, defences.adversarial_training, _ROUNDS, rng)
        queries = self.scenario.queries
        if queries is not None and queries.estimator == "kernel" and len(np.unique(rows.labels)) > 1:
            from nodes.qml.expansion import Expansion  # noqa: PLC0415  likewise

            return Expansion.trained(rows)
        return trained(name, rows, rng)

    @property
    def program(self) -> Program | None:
        """The served model's feature map; None where it has none."""
        return (
            zz_map(self.honest.features.shape[1], 2).program
            if self.scenario.server.model in QUANTUM
            else None
        )

    def known(self) -> Knowledge:
        """What an attacker knows before the first question."""
        return Knowledge(
            width=self.honest.features.shape[1],
            rows=self.own("eve/data"),
            scores=self.scenario.server.answers == "score",
            program=self.program,
        )

    def own(self, stream: str) -> DataSet:
        """Rows from where the server's came, for somebody else; of a table, half of those that the clients ask about."""
        training = self.scenario.server.training
        if training.data == "table":
            return _part(self.test, _first_half(self.test.labels))
        return _rows(training, self.streams(stream))

    @property
    def _unseen(self) -> DataSet:
        """Test rows that nobody else has as rows of their own."""
        if self.scenario.server.training.data == "table":
            return _part(self.test, ~_first_half(self.test.labels))
        return self.test

    def candidates(self) -> DataSet:
        """Rows of which the model has learnt half: as many of its own as test rows that the attacker has not, in random order."""
        others = self._unseen
        count = min(len(self.honest.labels), len(others.labels))
        rng = self.streams("eve/candidates")
        own = rng.permutation(len(self.honest.labels))[:count]
        order = rng.permutation(2 * count)
        features = np.concatenate([self.honest.features[own], others.features[:count]])
        labels = np.concatenate([self.honest.labels[own], others.labels[:count]])
        return DataSet(features[order], labels[order])

    @property
    def truth(self) -> Truth:
        """What only the referee has."""
        return Truth(self.served, self.train, self.test)


def lesson(scenario: Scenario, streams: Streams) -> Lesson:
    """The rows of a scenario: drawn or read, split, poisoned, sanitised."""
    honest, test = _parts(scenario.server.training, streams)
    train, touched = honest, np.zeros(len(honest.labels), dtype=np.bool_)
    for entry in scenario.timeline:
        if isinstance(entry.action, Poisoning):
            train, hit = entry.action.poison(train, streams("eve/poison"))
            touched = np.concatenate([touched, np.zeros(len(train.labels) - len(touched), dtype=np.bool_)])
            touched[hit] = True
    cleaned = _sanitised(train, scenario, streams)
    suspected = ~cleaned.kept | cleaned.relabelled
    return Lesson(
        scenario,
        streams,
        honest,
        cleaned.data,
        test,
        int(np.sum(touched)),
        int(np.sum(suspected)),
        int(np.sum(suspected & touched)),
    )


def _sanitised(train: DataSet, scenario: Scenario, streams: Streams) -> Sanitised:
    """The rows that are learnt."""
    defences = scenario.defences.model
    if defences.sanitise == "knn":
        return knn(train)
    if defences.sanitise == "loss-trimming":
        return loss_trimming(train, defences.suspected, _TRIMS, streams("server/sanitise"))
    if defences.sanitise == "roni":
        trusted = _rows(scenario.server.training, streams("server/trusted"))
        few = np.concatenate([np.flatnonzero(trusted.labels == label)[:_TRUSTED] for label in (0, 1)])
        trusted = DataSet(trusted.features[few], trusted.labels[few])
        return reject_on_negative_influence(train, trusted, _BATCH, streams("server/sanitise"))
    none = np.zeros(len(train.labels), dtype=np.bool_)
    return Sanitised(train, ~none, none, "")


def _parts(training: Training, streams: Streams) -> tuple[DataSet, DataSet]:
    """Training rows and test rows."""
    if training.data != "table":
        return split(_rows(training, streams("server/data")), TRAIN_FRACTION, streams("server/split"))
    from nodes.qml.tables import load_table  # noqa: PLC0415  few runs need it

    assert training.file is not None  # noqa: S101  the schema asks for it
    table = load_table(
        training.file, features=training.columns, label=training.label, positive=training.positive
    ).unscaled
    some = streams("server/data").permutation(len(table.labels))[: training.samples]
    fewest = int(np.bincount(table.labels[some], minlength=2).min())
    if fewest < 2:
        fault = (
            f"{training.file}: of {len(some)} rows drawn from it {fewest} are of one class, expected at least 2 of each, "
            "one to learn and one to ask about: raise samples, or give more rows"
        )
        raise ScenarioError([fault])
    few = dataclasses.replace(table, rows=table.rows[some], labels=table.labels[some])
    train, test, _ = few.split(TRAIN_FRACTION, streams("server/split"), _TAIL)
    return train, test


def _first_half(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Every other row of each label, the first among them."""
    first = np.zeros(len(labels), dtype=np.bool_)
    for label in (0, 1):
        first[np.flatnonzero(labels == label)[::2]] = True
    return first


def _part(rows: DataSet, which: NDArray[np.bool_]) -> DataSet:
    return DataSet(rows.features[which], rows.labels[which])


def _rows(training: Training, rng: np.random.Generator) -> DataSet:
    if training.data == "xor":
        return xor(training.samples, _SPREAD, rng)
    if training.data == "flows":
        from nodes.qml.flows import flow_data  # noqa: PLC0415  few runs need it

        return flow_data(training.samples, rng, features=training.features)
    return two_clusters(training.samples, training.distance, rng, training.features)
