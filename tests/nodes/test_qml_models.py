"""The registry of models: all of them have the same edges."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.models import KINDS, MODELS, OneAnswer, make, trained

DATA = two_clusters(60, 3.2, np.random.default_rng(1))


def test_the_four_models_are_there():
    """Names are those that scenarios and tables use, and each model carries its own."""
    assert list(MODELS) == ["qsvm", "vqc", "rbf-svm", "logistic"]
    for name in MODELS:
        assert make(name, np.random.default_rng(0)).name == name
        assert KINDS[name].name == name


@pytest.mark.parametrize("name", MODELS)
def test_every_model_learns_and_survives_a_file(name):
    """Trained on separable data each is nearly always right, and of its state it decides the same, bit for bit."""
    rng = np.random.default_rng(2)
    train, test = split(two_clusters(200, 8.0, rng), 0.7, rng)
    model = make(name, rng).fit(train)
    assert np.mean(model.classify(test.features) == test.labels) > 0.9
    assert model.decide(test.features).dtype == np.float64
    assert model.classify(test.features).dtype == np.int64
    settings, arrays = model.state()
    again = KINDS[name].of_state(json.loads(json.dumps(settings)), arrays)
    assert np.array_equal(again.decide(test.features), model.decide(test.features))


def test_an_unknown_model_or_option_is_refused():
    """The error lists the models there are, or the options that this one has."""
    with pytest.raises(ValueError, match="no model 'svm'; expected one of qsvm, vqc, rbf-svm, logistic"):
        make("svm", np.random.default_rng(0))
    with pytest.raises(ValueError, match="'gama' is no option of the model 'rbf-svm'; expected C, gamma"):
        make("rbf-svm", np.random.default_rng(0), gama=1.0)


def test_options_reach_the_model():
    """An option of the constructor is that of the model made."""
    assert make("qsvm", np.random.default_rng(0), C=3.0, reps=1).C == 3.0
    assert make("vqc", np.random.default_rng(0), layers=1).layers == 1


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("label", [0, 1])
def test_a_set_with_one_label_left_gives_that_answer(name, label):
    """Where poisoning left one class the model always answers it, and its state says which."""
    train = DataSet(DATA.features, np.full(len(DATA.labels), label, dtype=np.int64))
    model = trained(name, train, np.random.default_rng(0))
    assert isinstance(model, OneAnswer)
    assert np.array_equal(model.classify(DATA.features), train.labels)
    assert np.array_equal(model.decide(DATA.features) > 0, train.labels == 1)
    assert OneAnswer.of_state(*model.state()).label == label


def test_with_both_labels_the_model_itself_is_trained():
    """`trained` is `make` and `fit`; an empty set stays an error."""
    rng = np.random.default_rng
    model, same = trained("qsvm", DATA, rng(0)), make("qsvm", rng(0)).fit(DATA)
    assert np.array_equal(model.decide(DATA.features), same.decide(DATA.features))
    with pytest.raises(ValueError, match="empty"):
        trained("qsvm", DataSet(np.zeros((0, 2)), np.zeros(0, np.int64)), rng(0))


def test_the_registry_needs_neither_qiskit_nor_scikit_learn():
    """Importing the models takes a fraction of a second: what trains them is imported by training."""
    code = "import sys, nodes.qml.models; assert not {'qiskit', 'sklearn'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  our own interpreter and code


def test_one_answer_refuses_what_it_is_not_for():
    """Another label, or a training set with both, raises a ValueError."""
    with pytest.raises(ValueError, match="label is 2"):
        OneAnswer(2)
    with pytest.raises(ValueError, match=r"\[0, 1\]; expected exactly one"):
        OneAnswer(0).fit(DATA)
    with pytest.raises(ValueError, match="label is None"):
        OneAnswer.of_state({}, {})
