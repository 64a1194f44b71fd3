"""The classical models against scikit-learn, which trains them and does not serve them."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression as TheirLogistic
from sklearn.svm import SVC

from nodes.qml.classical import LogisticRegression, RadialSVM
from nodes.qml.datasets import DataSet, split, two_clusters, xor

PAIRS = [(RadialSVM(), SVC()), (LogisticRegression(), TheirLogistic())]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=["rbf-svm", "logistic"])
@pytest.mark.parametrize("features", [1, 2, 7])
def test_decisions_are_those_of_scikit_learn(ours, theirs, features):
    """Served without scikit-learn, both models give its decision values to 1e-10, and its labels."""
    rng = np.random.default_rng(features)
    train, test = split(two_clusters(200, 2.0, rng, features), 0.7, rng)
    expected = theirs.fit(train.features, train.labels).decision_function(test.features)
    ours.fit(train)
    assert np.abs(ours.decide(test.features) - expected).max() <= 1e-10
    assert np.array_equal(ours.classify(test.features), theirs.predict(test.features))


def test_parameters_reach_the_trainer():
    """Another C and γ give scikit-learn's decisions at that C and γ."""
    data = xor(80, 0.3, np.random.default_rng(1))
    expected = SVC(C=7.0, gamma=2.5).fit(data.features, data.labels).decision_function(data.features)
    assert np.abs(RadialSVM(C=7.0, gamma=2.5).fit(data).decide(data.features) - expected).max() <= 1e-10
    logistic = TheirLogistic(C=0.01).fit(data.features, data.labels).decision_function(data.features)
    assert np.abs(LogisticRegression(C=0.01).fit(data).decide(data.features) - logistic).max() <= 1e-10


def test_many_queries_are_worked_on_in_blocks():
    """A batch that takes several blocks has the same decisions as its rows one by one."""
    machine = RadialSVM().fit(two_clusters(400, 1.0, np.random.default_rng(2)))
    rows = np.random.default_rng(3).random((12_000, 2))
    assert 12_000 * len(machine.support_) > 2 * 2**20
    some = [0, 1, 5000, 11_999]
    alone = np.concatenate([machine.decide(rows[row : row + 1]) for row in some])
    assert np.abs(machine.decide(rows)[some] - alone).max() <= 1e-12


def test_rows_that_are_all_alike_still_train():
    """Without any variance γ is 1, as scikit-learn has it."""
    machine = RadialSVM().fit(DataSet(np.full((4, 2), 0.5), np.array([0, 1, 0, 1])))
    assert machine.gamma_ == 1.0
    assert np.isfinite(machine.decide(np.array([[0.1, 0.9]]))).all()


@pytest.mark.parametrize("kind", [RadialSVM, LogisticRegression])
def test_a_state_gives_the_same_model(kind):
    """Settings survive JSON, and the model made of a state decides the same, bit for bit."""
    data = two_clusters(60, 3.2, np.random.default_rng(4))
    settings, arrays = kind(C=0.5).fit(data).state()
    again = kind.of_state(json.loads(json.dumps(settings)), arrays)
    assert np.array_equal(again.decide(data.features), kind(C=0.5).fit(data).decide(data.features))
    assert again.C == 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state[0].pop("bias"), "bias is None; expected int or float"),
        (lambda state: state[0].update(bias=float("nan")), "bias is nan"),
        (
            lambda state: state[0].update(features=3),
            r"support is float64 of shape .*expected float64 of \(any, 3\)",
        ),
        (lambda state: state[0].update(features=True), "features is True"),
        (lambda state: state[0].update(C=-1.0), "C is -1.0"),
        (lambda state: state[1].pop("weights"), "no array 'weights'; it has support"),
        (lambda state: state[1].update(weights=state[1]["weights"][:-1]), "weights is float64 of shape"),
        (lambda state: state[1].update(support=state[1]["support"].astype(np.float32)), "support is float32"),
        (lambda state: state[1].update(weights=np.full_like(state[1]["weights"], np.inf)), "not finite"),
    ],
)
def test_what_is_no_state_is_refused(change, words):
    """A state with a part missing, of another shape or not finite raises a ValueError that names the part."""
    settings, arrays = RadialSVM().fit(two_clusters(30, 3.2, np.random.default_rng(5))).state()
    change((settings, arrays))
    with pytest.raises(ValueError, match=words):
        RadialSVM.of_state(settings, arrays)


@pytest.mark.parametrize("kind", [RadialSVM, LogisticRegression])
@pytest.mark.parametrize(
    ("train", "words"),
    [
        (DataSet(np.zeros((0, 2)), np.zeros(0, np.int64)), "empty"),
        (DataSet(np.zeros((4, 2)), np.ones(4, np.int64)), "all 4 training rows have label 1"),
    ],
)
def test_what_cannot_be_learned_is_refused(kind, train, words):
    """No rows, or rows of one label, raise a ValueError that says so."""
    with pytest.raises(ValueError, match=words):
        kind().fit(train)


@pytest.mark.parametrize("kind", [RadialSVM, LogisticRegression])
@pytest.mark.parametrize(
    ("features", "words"),
    [
        (np.zeros((2, 3)), r"shape \(2, 3\); expected \(n, 2\)"),
        (np.zeros(2), "shape"),
        (np.array([[0.0, np.nan]]), "not a number"),
        (np.array([[0.0, np.inf]]), "infinite"),
    ],
)
def test_what_cannot_be_asked_is_refused(kind, features, words):
    """Queries of the wrong width, or not finite, raise a ValueError."""
    model = kind().fit(two_clusters(30, 3.2, np.random.default_rng(6)))
    with pytest.raises(ValueError, match=words):
        model.decide(features)


@pytest.mark.parametrize("kind", [RadialSVM, LogisticRegression])
def test_an_untrained_model_says_so(kind):
    """Asking before training, or for a state, raises scikit-learn's NotFittedError."""
    for ask in (lambda: kind().decide(np.zeros((1, 2))), lambda: kind().state()):
        with pytest.raises(NotFittedError, match="call fit first"):
            ask()


def test_a_query_of_no_rows_has_no_answers():
    """An empty batch of the right width is a valid query."""
    for kind in (RadialSVM, LogisticRegression):
        model = kind().fit(two_clusters(20, 3.2, np.random.default_rng(7)))
        assert model.classify(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize(
    "make",
    [lambda: RadialSVM(C=0.0), lambda: RadialSVM(gamma="auto"), lambda: LogisticRegression(C=float("inf"))],
)
def test_impossible_parameters_are_refused(make):
    """Penalties and widths that are not positive numbers raise a ValueError."""
    with pytest.raises(ValueError, match="expected a positive number"):
        make()


def test_serving_needs_no_scikit_learn():
    """A model made of a state answers without scikit-learn being imported."""
    code = (
        "import sys, numpy as np\n"
        "from nodes.qml.classical import LogisticRegression\n"
        "m = LogisticRegression.of_state({'C': 1.0, 'bias': 0.5, 'features': 2}, {'weights': np.ones(2)})\n"
        "assert m.classify(np.zeros((1, 2))).tolist() == [1]\n"
        "assert 'sklearn' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603  our own interpreter and code
