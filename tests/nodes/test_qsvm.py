"""The quantum support vector machine: exact against QSVC, and as accurate as the paper says."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from qiskit_machine_learning.algorithms import QSVC
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import check_estimator

from nodes.qml.circuits import compile_circuit
from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.decision import Decision, SupportVectors
from nodes.qml.feature_maps import PauliMap
from nodes.qml.kernel import StatevectorKernel
from nodes.qml.qsvm import QuantumSVM


@pytest.mark.parametrize(("features", "reps", "C"), [(2, 2, 1.0), (3, 1, 0.3), (4, 2, 10.0), (7, 2, 1.0)])
def test_decisions_are_those_of_qsvc(features, reps, C):
    """The observable gives QSVC's decision values to 1e-9, and its labels."""
    rng = np.random.default_rng(features)
    train, test = split(two_clusters(120, 2.0, rng, features), 0.7, rng)
    reference = QSVC(quantum_kernel=StatevectorKernel(features, reps=reps), C=C)
    reference.fit(train.features, train.labels)
    machine = QuantumSVM(C=C, reps=reps).fit(train)
    expected = reference.decision_function(test.features)
    assert np.abs(machine.decide(test.features) - expected).max() <= 1e-9
    assert np.array_equal(machine.classify(test.features), reference.predict(test.features))


def test_the_papers_accuracy():
    """The paper's experiment (200 points, 3.2 apart, 70/30, exact kernel) is right in about 92 % of queries.

    One experiment's accuracy has a mean of 92.5 % and a standard deviation of 3.5 points (1000 seeds; a trial
    of 20 gave 92.0±4.5, half a standard error away). The mean of 200 has a standard deviation of 0.25 points,
    so the band of ±1.7 is 6.8 of them to either side: false failure below 1e-9. A machine right in 89 % or in
    96 % would fail with the same certainty; 20 seeds, with 0.8 points, could not tell 88 % from 92 %.
    """
    accuracies = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        train, test = split(two_clusters(200, 3.2, rng), 0.7, rng)
        accuracies.append(np.mean(QuantumSVM().fit(train).classify(test.features) == test.labels))
    assert 0.908 < np.mean(accuracies) < 0.942


def test_training_is_deterministic():
    """Two machines trained on the same data give the same decision values, bit for bit."""
    data = two_clusters(100, 3.2, np.random.default_rng(8))
    first, second = (QuantumSVM().fit(data).decide(data.features) for _ in range(2))
    assert np.array_equal(first, second)


def test_training_again_forgets_the_first_data():
    """A machine trained on swapped labels after the honest ones decides the other way round."""
    data = two_clusters(100, 3.2, np.random.default_rng(9))
    machine = QuantumSVM().fit(data)
    honest = machine.classify(data.features)
    machine.fit(DataSet(data.features, 1 - data.labels))
    assert np.array_equal(machine.classify(data.features), 1 - honest)


def test_a_query_of_no_rows_has_no_answers():
    """An empty batch of the right width is a valid query."""
    machine = QuantumSVM().fit(two_clusters(20, 3.2, np.random.default_rng(1)))
    assert machine.classify(np.zeros((0, 2))).shape == (0,)


@pytest.mark.parametrize(
    ("train", "words"),
    [
        (DataSet(np.zeros((0, 2)), np.zeros(0, np.int64)), "empty"),
        (DataSet(np.zeros((4, 2)), np.ones(4, np.int64)), "all 4 training rows have label 1"),
        (DataSet(np.zeros((2, 1)), np.array([0, 1])), r"1 feature\(s\); expected 2 to 16"),
    ],
)
def test_what_cannot_be_learned_is_refused(train, words):
    """No rows, one label only and too few features raise a ValueError that says so."""
    with pytest.raises(ValueError, match=words):
        QuantumSVM().fit(train)


def test_a_query_of_the_wrong_width_is_refused():
    """Features of another number than in training raise a ValueError that names both."""
    machine = QuantumSVM().fit(two_clusters(20, 3.2, np.random.default_rng(1)))
    with pytest.raises(ValueError, match="X has 3 features, but QuantumSVM is expecting 2 features"):
        machine.decide(np.zeros((1, 3)))


def test_an_untrained_machine_says_so():
    """A decision before training raises an error that says what to do."""
    with pytest.raises(NotFittedError, match="call fit first"):
        QuantumSVM().classify(np.zeros((1, 2)))


def test_importing_the_module_is_light():
    """Neither Qiskit nor scikit-learn is loaded before the first training, so the commands start at once."""
    probe = "import sys, nodes.qml.qsvm; print(sorted({'qiskit', 'scipy', 'sklearn'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)  # noqa: S603  our own interpreter and a constant
    assert run.stdout.strip() == "[]"


def test_arrays_train_the_same_machine_as_a_data_set():
    """fit(X, y) gives the decision values of fit(DataSet), and predicts labels under their own names."""
    data = two_clusters(80, 3.2, np.random.default_rng(3))
    names = np.array(["clean", "hostile"])
    machine = QuantumSVM().fit(data)
    named = QuantumSVM().fit(data.features, names[data.labels])
    assert np.array_equal(machine.decide(data.features), named.decision_function(data.features.tolist()))
    assert machine.classes_.tolist() == [0, 1]
    assert named.classes_.tolist() == names.tolist()
    assert np.array_equal(names[machine.predict(data.features)], named.predict(data.features))
    assert named.score(data.features, names[data.labels]) == np.mean(
        machine.classify(data.features) == data.labels
    )


def test_another_feature_map_can_be_chosen():
    """A Pauli map and the program of its circuit train the same machine; another width is refused."""
    data = two_clusters(60, 2.0, np.random.default_rng(4), 3)
    feature_map = PauliMap(3, ("X", "ZZ"), 1, "linear")
    closed = QuantumSVM(feature_map=feature_map).fit(data)
    compiled = QuantumSVM().set_params(feature_map=compile_circuit(feature_map.circuit())).fit(data)
    assert np.abs(closed.decide(data.features) - compiled.decide(data.features)).max() <= 1e-9
    with pytest.raises(ValueError, match="rows have 2 features; the feature map takes 3"):
        closed.fit(two_clusters(10, 2.0, np.random.default_rng(4)))


@pytest.mark.parametrize("feature", [np.nan, np.inf, -np.inf])
def test_a_query_that_is_no_number_is_refused(feature):
    """NaN and infinities raise a ValueError, in training rows and in queries."""
    data = two_clusters(20, 3.2, np.random.default_rng(1))
    machine = QuantumSVM().fit(data)
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        machine.classify(np.array([[0.5, feature]]))
    with pytest.raises(ValueError, match=r"NaN|infinity"):
        machine.fit(np.array([[0.5, feature], [0.1, 0.1]]), [0, 1])


@pytest.mark.parametrize(
    ("labels", "words"),
    [([0, 0, 0], "one class"), ([0, 1, 2], "Only binary"), ([0, 1], "inconsistent"), (None, "requires y")],
)
def test_labels_that_do_not_fit_are_refused(labels, words):
    """One class, three, a wrong number and none raise a ValueError."""
    with pytest.raises(ValueError, match=words):
        QuantumSVM().fit(np.eye(3), labels)


def test_an_unknown_parameter_is_refused():
    """A misspelt parameter raises a ValueError that names the right ones."""
    with pytest.raises(
        ValueError, match="'c' is not a parameter of QuantumSVM; expected C, reps, feature_map"
    ):
        QuantumSVM().set_params(c=1.0)


# Checks of scikit-learn that do not run. The tag poor_score switches off one assertion of check_classifiers_train, 83 %
# on blobs that are not scaled to an interval, where the phases of the feature map wrap round.
NOT_RUN = {
    "check_array_api_input": "needs SCIPY_ARRAY_API, as for every estimator on NumPy arrays only",
    "check_classifier_data_not_an_array": "needs pandas, which EveLab does not",
}


@pytest.mark.filterwarnings(
    "ignore:Estimator QuantumSVM does not inherit"
)  # scikit-learn is imported for training only
def test_scikit_learns_checks_pass():
    """Every check of scikit-learn's for a binary classifier passes but those in NOT_RUN, which do not apply."""
    results = check_estimator(QuantumSVM(), on_skip=None, on_fail=None)
    failed = {result["check_name"]: result["exception"] for result in results if result["status"] == "failed"}
    skipped = {result["check_name"] for result in results if result["status"] == "skipped"}
    assert failed == {}
    assert skipped <= set(NOT_RUN)
    assert len(results) > 40


@pytest.mark.parametrize(
    "feature_map", [None, PauliMap(2, ("X", "YZ"), 1, "linear", 1.5)], ids=["zz", "pauli"]
)
def test_a_state_gives_the_same_machine(feature_map):
    """Settings survive JSON; the machine made of a state decides the same, bit for bit, and carries no training row."""
    data = two_clusters(60, 3.2, np.random.default_rng(20))
    machine = QuantumSVM(C=2.0, feature_map=feature_map).fit(data)
    settings, arrays = machine.state()
    assert {name: each.shape for name, each in arrays.items()} == {"values": (4,), "vectors": (4, 4)}
    again = QuantumSVM.of_state(json.loads(json.dumps(settings)), arrays)
    assert np.array_equal(again.decide(data.features), machine.decide(data.features))
    assert again.get_params() == machine.get_params()
    assert again.predict(data.features).tolist() == machine.predict(data.features).tolist()


def test_a_state_of_support_vectors_gives_the_same_machine():
    """A machine too large for an observable keeps its support vectors, and decides the same of its state."""
    data = two_clusters(40, 3.2, np.random.default_rng(21), 3)
    machine = QuantumSVM().fit(data)
    rows, weights = data.features[:5], np.arange(1.0, 6.0)
    program = machine.decision_.program
    machine.decision_ = Decision(program, SupportVectors(program, rows, weights), 0.25)
    settings, arrays = machine.state()
    assert set(arrays) == {"rows", "weights"}
    again = QuantumSVM.of_state(settings, arrays)
    assert np.array_equal(again.decide(data.features), machine.decide(data.features))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state[0].update(features=3), r"expected complex128 of \(any, 8\)"),
        (lambda state: state[1].update(values=state[1]["values"][:2]), r"values is float64 of shape \(2,\)"),
        (lambda state: state[1].update(vectors=state[1]["vectors"] * np.nan), "not finite"),
        (lambda state: state[1].clear(), "no array 'rows'"),
        (lambda state: state[0].update(bias="0"), "bias is '0'"),
        (lambda state: state[0].update(feature_map={"paulis": [1]}), "paulis are"),
        (lambda state: state[0].update(feature_map="zz"), "feature_map is 'zz'; expected dict or NoneType"),
    ],
)
def test_what_is_no_state_is_refused(change, words):
    """A state with a part missing, of another shape or not finite raises a ValueError that names the part."""
    settings, arrays = QuantumSVM().fit(two_clusters(30, 3.2, np.random.default_rng(22))).state()
    change((settings, arrays))
    with pytest.raises(ValueError, match=words):
        QuantumSVM.of_state(settings, arrays)


def test_machines_without_a_form_in_a_file_say_so():
    """Untrained machines, other labels than 0 and 1, and compiled circuits have no state."""
    data = two_clusters(30, 3.2, np.random.default_rng(23))
    with pytest.raises(NotFittedError):
        QuantumSVM().state()
    with pytest.raises(ValueError, match="expected 0 and 1"):
        QuantumSVM().fit(data.features, np.where(data.labels == 1, "bad", "good")).state()
    with pytest.raises(ValueError, match="compiled circuit"):
        QuantumSVM(feature_map=compile_circuit(PauliMap(2).circuit())).fit(data).state()
