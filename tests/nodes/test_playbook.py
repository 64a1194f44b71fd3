"""The playbook: scores, thresholds, patience, and what is done."""

from __future__ import annotations

import math
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.playbook import ACTIONS, Playbook, Rule


class Record:
    """An observer that remembers."""

    def __init__(self):
        self.events, self.alarms = [], []

    def event(self, node, what, **details):
        """Remember it."""
        self.events.append((node, what, details))

    def metric(self, node, metric, value, unit):  # noqa: ARG002  the observer's interface
        """Nobody measures here."""
        raise AssertionError

    def alarm(self, node, reason):
        """Remember it."""
        self.alarms.append((node, reason))

    def work(self, step):  # noqa: ARG002  the observer's interface
        """Nothing to look at."""
        return nullcontext()


def playbook(*rules):
    """A playbook with an effect for every action, and what was done."""
    done, record = [], Record()
    act = {action: done.append for action in ACTIONS if action != "alarm"}
    return Playbook(rules, act, record), done, record


def test_the_story_of_an_intruder():
    """Alarm at once, isolation at the third high score within a minute, then peace for the hold-off, then again."""
    book, done, record = playbook(
        Rule(0.5, "alarm", hold_off_s=1000.0, count=1),
        Rule(0.9, "isolate-host", hold_off_s=100.0, count=3, window_s=60.0),
    )
    log = []
    for t_s in (0, 10, 70, 75, 80, 100, 181, 182, 183):
        log += [(deed.t_s, deed.action) for deed in book.on_score("host-7", 0.95, t_s)]
    # the scores of 0 and 10 s are a minute old when that of 70 s comes; those up to 179 s fall into the hold-off
    assert log == [(0, "alarm"), (80, "isolate-host"), (183, "isolate-host")]
    assert [(deed.subject, deed.rule, deed.count) for deed in done] == [("host-7", 1, 3)] * 2
    assert [deed.action for deed in book.deeds] == ["alarm", "isolate-host", "isolate-host"]
    assert record.alarms == [("playbook", "score of host-7")]
    assert [details["action"] for _, _, details in record.events] == ["alarm", "isolate-host", "isolate-host"]


def test_a_single_false_positive_isolates_nobody():
    """Between low scores one high score does nothing, and neither do high scores that come too rarely."""
    book, done, _ = playbook(Rule(0.9, "isolate-host", count=2, window_s=60.0))
    for t_s, score in enumerate([0.1, 0.2, 0.99, 0.3, 0.1]):
        book.on_score("host-1", score, float(t_s))
    for t_s in (100.0, 160.0, 220.0):
        book.on_score("host-2", 0.99, t_s)
    assert done == []


def test_hosts_are_watched_one_by_one():
    """Scores of one host do not count against another, nor does one's hold-off protect the other."""
    book, done, _ = playbook(Rule(0.9, "re-route", count=2, hold_off_s=math.inf))
    for t_s, host in enumerate(["a", "b", "a", "a", "a", "b"]):
        book.on_score(host, 1.0, float(t_s))
    assert [(deed.subject, deed.t_s) for deed in done] == [("a", 2.0), ("b", 5.0)]


def test_a_score_at_the_threshold_counts():
    """The threshold itself is reached."""
    book, done, _ = playbook(Rule(0.5, "rotate-key", count=1))
    book.on_score("a", 0.4999, 0.0)
    assert done == []
    book.on_score("a", 0.5, 0.0)
    assert [deed.action for deed in done] == ["rotate-key"]


def test_an_effect_for_alarm_replaces_the_observers():
    """Who gives an effect for the alarm gets it instead."""
    done, record = [], Record()
    book = Playbook([Rule(0.5, "alarm", count=1)], {"alarm": done.append}, record)
    book.on_score("a", 1.0, 0.0)
    assert len(done) == 1
    assert record.alarms == []


@given(
    scores=st.lists(st.tuples(st.floats(0.0, 30.0), st.floats(0.0, 1.0)), max_size=60),
    count=st.integers(1, 4),
    hold_off_s=st.floats(0.0, 100.0),
)
def test_deeds_rest_on_enough_evidence(scores, count, hold_off_s):
    """Between two deeds lie the hold-off and as many high scores as the rule asks for, whatever comes in."""
    book, done, _ = playbook(Rule(0.7, "isolate-host", hold_off_s=hold_off_s, count=count, window_s=50.0))
    now_s, high = 0.0, []
    for gap_s, score in scores:
        now_s += gap_s
        if score >= 0.7:
            high.append(now_s)
        book.on_score("a", score, now_s)
    since_s = -math.inf
    for deed in done:
        fresh = [t_s for t_s in high if since_s <= t_s <= deed.t_s and t_s > deed.t_s - 50.0]
        assert len(fresh) >= count
        assert deed.t_s >= since_s + hold_off_s
        since_s = deed.t_s


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"threshold": math.nan}, "threshold is nan"),
        ({"action": "panic"}, "'panic'; expected one of isolate-host, rotate-key, re-route, alarm"),
        ({"hold_off_s": -1.0}, "hold_off_s is -1.0"),
        ({"hold_off_s": math.nan}, "hold_off_s is nan"),
        ({"count": 0}, "count is 0"),
        ({"window_s": 0.0}, "window_s is 0.0"),
    ],
)
def test_impossible_rules_are_refused(options, words):
    """A rule that could never or always act raises a ValueError that names the parameter."""
    with pytest.raises(ValueError, match=words):
        Rule(**{"threshold": 0.5, "action": "alarm", **options})


def test_a_playbook_that_could_not_act_is_refused():
    """No rules, or an action that nobody carries out, are found before the run."""
    with pytest.raises(ValueError, match="no rules"):
        Playbook([], {}, Record())
    with pytest.raises(ValueError, match="nobody carries out isolate-host, re-route"):
        Playbook([Rule(0.5, "re-route"), Rule(0.5, "isolate-host")], {}, Record())


def test_scores_that_are_none_are_refused():
    """NaN and infinity are no scores, and time does not run backwards."""
    book, _, _ = playbook(Rule(0.5, "alarm"))
    for score in (math.nan, math.inf):
        with pytest.raises(ValueError, match="expected a finite number"):
            book.on_score("a", score, 0.0)
    book.on_score("a", 0.1, 5.0)
    with pytest.raises(ValueError, match="after one at 5"):
        book.on_score("a", 0.1, 4.0)
