"""The measured pairs: all of them can be fought, and what was learnt from them stays true."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qml.answers import AnswerPolicy
from nodes.qml.query_duels import QUERY_DUELS, Scene, served

NAMES = [(duel.attack, duel.defence) for duel in QUERY_DUELS]


def outcomes(attack, defence, bouts=2):
    """A few bouts of a pair."""
    duel = QUERY_DUELS[NAMES.index((attack, defence))]
    return [duel.bout(np.random.default_rng([1, seed])) for seed in range(bouts)]


def test_every_pair_is_there_once_and_every_attack_alone():
    """No pair twice, and each attack against no defence at all."""
    assert len(set(NAMES)) == len(NAMES)
    assert {attack for attack, _ in NAMES} == {attack for attack, defence in NAMES if defence == "none"}


def test_a_scene_is_on_the_papers_scale():
    """140 rows to train on, the scale of 200; about a thousand fresh ones, none of which the model has seen."""
    scene = Scene.of(np.random.default_rng(0))
    truth = scene.truth
    assert len(truth.train.labels) == 140
    assert len(scene.own.labels) == 200
    assert len(truth.test.labels) > 900
    assert not set(map(tuple, truth.train.features)) & set(map(tuple, truth.test.features))
    assert truth.test.features.min() >= 0.0


def test_a_budget_counts_every_name():
    """Two names have twice the answers, and then silence."""
    scene = Scene.of(np.random.default_rng(1))
    for names, answered in ((1, 5), (2, 10)):
        oracle = served(scene.model, AnswerPolicy("label"), np.random.default_rng(0), budget=5, names=names)
        first, second = (oracle(scene.own.features[:7]).values for _ in range(2))
        assert np.sum(~np.isnan(np.concatenate([first, second]))) == answered


def test_bouts_can_be_repeated():
    """The same generator gives the same outcome."""
    assert outcomes("extraction-scores", "noise", 1) == outcomes("extraction-scores", "noise", 1)


@pytest.mark.parametrize("attack", sorted({attack for attack, _ in NAMES}))
def test_no_defence_changes_nothing(attack):
    """Against no defence both sides of a bout are the same."""
    for outcome in outcomes(attack, "none", 1):
        assert outcome.harm == outcome.harm_defended
        assert outcome.benign == outcome.benign_defended


def test_fixed_canaries_do_not_see_drifting_questions():
    """Canaries that stay where they are raise no alarm when others' questions move."""
    for outcome in outcomes("drift-questions", "canaries"):
        assert outcome.harm_defended == outcome.harm


def test_a_budget_stops_only_who_asks_anew_for_every_row():
    """Who extracts a copy first evades as well with 16 questions as without a budget."""
    naive, copied = outcomes("evasion-scores", "budget"), outcomes("evasion-scores", "budget, copied")
    for one, other in zip(naive, copied, strict=True):
        assert one.harm_defended < one.harm - 0.05
        assert other.harm_defended > other.harm - 0.05


def test_constant_time_closes_the_channel():
    """Times leak the sizes of decision values, and nothing of them when all are the same."""
    for outcome in outcomes("timing", "constant-time"):
        assert outcome.harm > 0.7
        assert outcome.harm_defended == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("duel", QUERY_DUELS, ids=["/".join(name) for name in NAMES])
def test_every_bout_ends_with_numbers(duel):
    """A bout of each pair gives shares, or NaN where it cannot be told."""
    outcome = duel.bout(np.random.default_rng([2, 0]))
    assert -1.0 <= outcome.harm <= 1.0
    assert outcome.harm_defended <= 1.0
    assert 0.0 <= outcome.benign_defended <= 1.0
    assert 0.0 <= outcome.benign <= 1.0
