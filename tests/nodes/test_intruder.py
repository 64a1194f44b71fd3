"""An attacker among the clients: its strategy meets the server as it would meet a function."""

import dataclasses

import numpy as np
import pytest

from netsim.window import Window
from nodes.client import Workload
from nodes.intruder import Intruder
from nodes.qml.datasets import DataSet
from nodes.qml.strategy import Replies, carried_out
from nodes.queries import QueryFormat
from nodes.questions import Changing, Drifting, Pool
from tests.nodes.harness import Asking, Link, Threshold


@dataclasses.dataclass(frozen=True)
class Heard:
    """Everything that came back."""

    values: np.ndarray
    seconds: np.ndarray

    def figures(self, truth):  # noqa: ARG002  the interface's
        """How much."""
        return {"answers": float(np.sum(~np.isnan(self.values)))}


def curious(batches):
    """Ask batch after batch and keep all that comes."""
    replies = []
    for batch in batches:
        replies.append((yield batch))  # noqa: PERF401  a comprehension cannot yield
    return Heard(*(np.concatenate([getattr(r, name) for r in replies]) for name in ("values", "seconds")))


QUESTIONS = [np.array([[0.1, 0.5], [0.9, 0.5], [0.6, 0.2]]), np.array([[0.2, 0.2], [0.8, 0.1]])]


def asking(batches, *, answers="label", budget=None, until_s=np.inf, key_bits=100_000):
    """A link with a server, and an intruder as client 7."""
    link = Link()
    link.layout = QueryFormat(2, True, answers)
    asks = Asking(link, clients=1, key_bits=key_bits, workload={"budget": 0})
    load = Workload("periodic", 10.0, 0.0, budget, 0.5, 1.0, until_s)
    intruder = Intruder(
        link.env,
        7,
        link.to_bob.send,
        link.keys[0],
        load,
        link.layout,
        Pool(DataSet(np.zeros((1, 2)), np.zeros(1, np.int64))),
        link.streams("intruder"),
        link.tape,
        lambda: curious(batches),
    )
    link.gates["alice"].route({intruder.name: intruder.on_envelope})
    link.gates["bob"].route({intruder.name: link.to_alice.send})
    link.env.process(intruder.run())
    return asks, intruder


@pytest.mark.parametrize("answers", ["label", "score"])
def test_the_network_answers_as_the_model_does(answers):
    """Classes and scores come back as the model gives them, to the wire's precision, and each took some time."""
    asks, intruder = asking(QUESTIONS, answers=answers)
    asks.run(3.0)

    def oracle(rows):
        values = Threshold().decide(rows)
        return Replies(values if answers == "score" else (values > 0) * 1.0, np.zeros(len(rows)))

    known = carried_out(curious(QUESTIONS), oracle)
    assert intruder.loot.values == pytest.approx(known.values, abs=1e-5)
    assert (intruder.loot.seconds > asks.LAN_S).all()
    assert intruder.asked == intruder.replied == 5


def test_a_budget_ends_the_answers_and_not_the_attacker():
    """What the budget does not cover comes back as NaN, and the strategy ends with the rest."""
    asks, intruder = asking(QUESTIONS, budget=2)
    asks.run(3.0)
    assert intruder.asked == 2
    assert np.isnan(intruder.loot.values).tolist() == [False, False, True, True, True]


def test_a_run_that_ends_early_leaves_the_attacker_what_it_has():
    """At the end of the run what was answered counts, the rest does not; one who never stops asking gets nothing."""
    asks, intruder = asking(QUESTIONS)
    asks.run(0.45)
    assert intruder.loot is None
    intruder.give_up()
    assert np.isnan(intruder.loot.values).tolist() == [False] * 4 + [True]

    def endless():
        while True:
            yield QUESTIONS[0]

    asks, intruder = asking([])
    intruder._begin = endless
    asks.run(0.45)
    intruder.give_up()
    assert intruder.loot is None


def test_questions_change_and_drift_with_time():
    """A window's questions take the usual ones' place, and drift moves them by the time that has passed."""
    ones = Pool(DataSet(np.ones((1, 2)), np.ones(1, np.int64)))
    zeros = Pool(DataSet(np.zeros((1, 2)), np.zeros(1, np.int64)))
    rng = np.random.default_rng(1)
    changing = Changing(zeros, [(Window(1.0, 2.0), ones)])
    assert [changing.draw(t, rng)[1] for t in (0.5, 1.5, 2.5)] == [0, 1, 0]
    drifting = Drifting(zeros, 1.0, lambda rows, seconds: np.minimum(rows + 0.1 * seconds, 1.0))
    assert drifting.draw(0.5, rng)[0].tolist() == [0.0, 0.0]
    assert drifting.draw(4.0, rng)[0] == pytest.approx([0.3, 0.3])


@pytest.mark.parametrize("absurd", [np.inf, -1e300])
def test_what_no_server_says_is_no_answer(monkeypatch, absurd):
    """Without a MAC an answer may be any bytes; a strategy never sees a number beyond all scores."""
    monkeypatch.setattr(Threshold, "decide", lambda _, rows: np.full(len(rows), absurd))
    asks, intruder = asking(QUESTIONS, answers="score")
    asks.run(3.0)
    assert intruder.replied == 5
    assert np.isnan(intruder.loot.values).all()
