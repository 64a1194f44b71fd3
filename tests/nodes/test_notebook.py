"""Eve's notebook: what her notes of one attack or several say of a key, once the bases are announced."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from netsim.messages import Amplification, Detections, Envelope, Sample, Sifting
from netsim.photonics.light import BORN, GUESS_0, GUESS_1, NOTHING, OPPOSITE, STATES
from netsim.photonics.train import NO_PHOTON, Written
from netsim.postprocessing import privacy_amplification
from netsim.protocols.bb84 import BB84
from netsim.protocols.e91 import E91
from netsim.protocols.protocol import AbortThresholds
from netsim.protocols.six_state import SixState
from netsim.window import Window
from nodes.attacks.channel import InterceptResend
from nodes.eve import UNSURE, Guess, Notebook
from tests.nodes.harness import Link
from tests.statistics import assert_binomial

NONE = np.empty(0, dtype=np.uint8)


def u8(*values: int) -> np.ndarray:
    """Small numbers, written out."""
    return np.array(values, dtype=np.uint8)


def said(notebook: Notebook, block: int, *messages) -> None:
    """These messages about a block pass Eve."""
    for number, message in enumerate(messages):
        notebook.heard(Envelope("bob", "alice", block, number, message.encode()))


def sifted(settings: np.ndarray, slots: np.ndarray | None = None, **changes):
    """Bob's and Alice's announcements where all pulses clicked in equal settings and none is revealed."""
    n = len(settings)
    sifting = Sifting(np.ones(n, np.uint8), settings, NONE, np.zeros(n, np.uint8), NONE, 0)
    slots = np.arange(n) if slots is None else slots
    return Detections(slots, settings, NONE), dataclasses.replace(sifting, **changes)


def guess(notebook: Notebook, protocol=None, seed: int = 0, block: int = 0) -> Guess:
    """Her guess of a block."""
    found = notebook.guess_sifted(block, protocol or BB84(), np.random.default_rng(seed))
    assert found is not None
    return found


@pytest.mark.parametrize("protocol", [BB84(), SixState(), E91()], ids=lambda protocol: protocol.name)
def test_a_note_is_read_along_the_announced_axis(protocol):
    """Every state noted, at every setting of Alice's: the likelier bit by Born's rule, and how sure it makes her."""
    settings = np.array(
        [a for a, angle in enumerate(protocol.alice_angles) if angle in protocol.bob_angles], dtype=np.uint8
    )
    for setting in settings:
        axis = int(protocol.alice_angles[setting])
        theirs = u8(protocol.bob_angles.tolist().index(axis))
        notebook = Notebook()
        notebook.note(0, Written(0, np.arange(STATES, dtype=np.uint8)))
        detections, sifting = sifted(np.repeat(setting, STATES))
        said(notebook, 0, dataclasses.replace(detections, settings=np.repeat(theirs, STATES)), sifting)
        several = [guess(notebook, protocol, seed) for seed in range(30)]
        for state in range(STATES):
            zero = BORN[state, axis]
            kinds = {int(found.kind[state]) for found in several}
            bits = {int(found.bits[state]) for found in several}
            if abs(zero - 0.5) < 1e-9:
                # A coin: thirty that fall alike would happen once in 2^29.
                assert (kinds, bits) == ({UNSURE}, {0, 1})
            else:
                assert kinds == {0 if zero in (0.0, 1.0) else 1}
                assert bits == {int(zero < 0.5)}


@pytest.mark.parametrize("setting", [0, 1])
def test_a_guess_of_the_bit_needs_no_basis(setting):
    """GUESS_0 and GUESS_1 are the bit whatever the basis, and rest on less than a state held."""
    notebook = Notebook()
    notebook.note(0, Written(0, u8(GUESS_0, GUESS_1, NOTHING, GUESS_1)))
    said(notebook, 0, *sifted(np.repeat(u8(setting), 4)))
    several = [guess(notebook, seed=seed) for seed in range(30)]
    assert {tuple(found.kind.tolist()) for found in several} == {(1, 1, UNSURE, 1)}
    assert {tuple(found.bits[[0, 1, 3]].tolist()) for found in several} == {(0, 1, 1)}
    assert {int(found.bits[2]) for found in several} == {0, 1}


def test_the_better_of_several_notes_counts():
    """Of what several attacks noted of a pulse the surest is taken, the earlier one among equals, and the kind says which."""
    notebook = Notebook()
    breidbart = 1
    notebook.note(0, Written(0, u8(breidbart, breidbart, NOTHING, 2, GUESS_1, GUESS_1, 4)))
    notebook.note(0, Written(0, u8(4, NOTHING, NOTHING, 4, 0, NOTHING, 0)))
    notebook.note(0, Written(2, u8(breidbart, breidbart)))
    said(notebook, 0, *sifted(u8(0, 0, 0, 0, 0, 0, 0)))
    found = guess(notebook)
    # 4 is |1>, found along Z; Breidbart's 1 says 0 at 0.85; 2 is |+> and says nothing in Z.
    assert found.kind.tolist() == [4, 1, 9, 4, 4, 1, 0]
    assert found.bits.tolist() == [1, 0, 0, 1, 0, 1, 1]


def test_notes_are_of_the_pulses_they_were_made_of():
    """Notes that begin in mid-train are found at their slots; other slots, on either side, have none."""
    notebook = Notebook()
    notebook.note(0, Written(10, u8(0, 4, 0)))
    slots = np.array([3, 9, 10, 12, 13, 2**40])
    said(notebook, 0, *sifted(np.zeros(6, np.uint8), slots))
    assert guess(notebook).kind.tolist() == [UNSURE, UNSURE, 0, 0, UNSURE, UNSURE]


def test_what_makes_no_key_is_left_out():
    """The guess is of the sifted key: equal bases, both clicked, not revealed; in the order of the slots."""
    notebook = Notebook()
    notebook.note(0, Written(0, u8(0, 4, 0, 4, 0, 4)))
    detections = Detections(np.arange(6), u8(0, 0, 1, 0, 0, 0), NONE)
    # Slot 5 did not click at Alice's; slot 2 has different bases; slot 4 is revealed.
    sifting = Sifting(u8(1, 1, 1, 1, 1, 0), u8(0, 0, 0, 0, 0), NONE, u8(0, 0, 0, 0, 1), u8(0), 7)
    said(notebook, 0, detections, sifting)
    found = guess(notebook)
    assert found.bits.tolist() == [0, 1, 1]
    assert found.kind.tolist() == [0, 0, 0]


def test_measurements_become_notes():
    """An outcome 1 is the opposite state of the setting, an outcome 0 the setting itself, no photon nothing."""
    notebook = Notebook()
    settings = u8(0, 0, 2, 2, 1, 8)
    outcomes = np.array([0, 1, 1, NO_PHOTON, 1, 1], dtype=np.int8)
    notebook.measured(3, slice(5, 11), settings, outcomes)
    (notes,) = notebook._notes[3]
    assert notes.at(np.arange(4, 12)).tolist() == [NOTHING, 0, 4, 6, NOTHING, OPPOSITE[1], 9, NOTHING]
    assert notebook.blocks == (3,)


def test_without_the_announcements_there_is_no_guess():
    """No notes, no detections, no sifting, or two that do not fit each other: nothing to guess."""
    notebook = Notebook()
    rng = np.random.default_rng(0)
    detections, sifting = sifted(u8(0, 0, 0))
    said(notebook, 0, detections, sifting)  # she noted nothing, so it is of no interest
    assert notebook.guess_sifted(0, BB84(), rng) is None
    notebook.note(0, Written(0, u8(0, 0, 0)))
    assert notebook.guess_sifted(0, BB84(), rng) is None
    said(notebook, 0, detections)
    assert notebook.guess_sifted(0, BB84(), rng) is None
    said(notebook, 0, dataclasses.replace(sifting, clicked=u8(1, 1)))
    assert notebook.guess_sifted(0, BB84(), rng) is None
    said(notebook, 0, dataclasses.replace(sifting, clicked=u8(1, 1, 0)))
    assert notebook.guess_sifted(0, BB84(), rng) is None
    said(notebook, 0, sifting)
    assert notebook.guess_sifted(0, BB84(), rng) is not None
    assert notebook.guess_sifted(1, BB84(), rng) is None


def test_garbled_and_other_messages_are_passed_over():
    """Bytes that are no message, and kinds that say nothing of bases, change nothing."""
    notebook = Notebook()
    notebook.note(0, Written(0, u8(0, 4)))
    said(notebook, 0, *sifted(u8(0, 0)), Sample(u8(1)))
    for message in sifted(u8(1, 1)):
        notebook.heard(Envelope("bob", "alice", 0, 9, message.encode()[:-1]))
    notebook.heard(Envelope("bob", "alice", 0, 9, b""))
    assert guess(notebook).kind.tolist() == [0, 0]


def test_forgetting_a_block_forgets_all_of_it_and_nothing_else():
    """Notes, announcements and bounds of the block go; other blocks, queries read and traffic stay; twice does no harm."""
    notebook = Notebook()
    for block in (0, 1):
        notebook.note(block, Written(0, u8(0, 4)))
        notebook.bound(block, 0.3)
        said(notebook, block, *sifted(u8(0, 0)))
    notebook.queries[1, 2] = b"asked"
    notebook.overheard("query", "client-1", 99)
    for _ in range(2):
        notebook.forget(0)
        assert notebook.blocks == (1,)
        assert notebook.bounds == {1: 0.3}
        assert notebook.guess_sifted(0, BB84(), np.random.default_rng(0)) is None
        assert guess(notebook, block=1).bits.tolist() == [0, 1]
    assert not notebook._heard.get(0)
    assert notebook.queries == {(1, 2): b"asked"}
    assert notebook.traffic == {("query", "client-1", 99): 1}


def test_bounds_of_several_attacks_add_up():
    """What she may still learn by measuring together adds up over attacks; none is not noted."""
    notebook = Notebook()
    for bits in (0.0, 0.2, 0.3):
        notebook.bound(4, bits)
    notebook.bound(5, 0.0)
    assert notebook.bounds == {4: pytest.approx(0.5)}


def test_the_final_key_follows_from_the_sifted_one():
    """Her guess of the final key is her sifted bits through the announced matrix; a seed that does not fit gives none."""
    rng = np.random.default_rng(8)
    bits = rng.integers(0, 2, 40, dtype=np.uint8)
    notebook = Notebook()
    notebook.note(0, Written(0, np.where(bits, 4, 0).astype(np.uint8)))
    said(notebook, 0, *sifted(np.zeros(40, np.uint8)))
    found = guess(notebook)
    assert np.array_equal(found.bits, bits)
    assert notebook.guess_final(0, found) is None
    seed = rng.integers(0, 2, privacy_amplification.seed_length(40, 12), dtype=np.uint8)
    announced = Amplification(12, seed, 0, 0, 6, 0, 0)
    said(notebook, 0, announced)
    assert np.array_equal(notebook.guess_final(0, found), privacy_amplification.toeplitz(bits, seed, 12))
    said(notebook, 0, dataclasses.replace(announced, seed=seed[1:]))
    assert notebook.guess_final(0, found) is None


@pytest.mark.parametrize("grain", ["pulse", "sampled"])
def test_two_attacks_in_one_block(grain):
    """Half the pulses measured in Z, then half in the Breidbart basis: each kind as often and as right as theory says.

    Of the key bits of basis Z she holds 1/2 for sure from the first attack; what else the second met, 1/2 of the rest and of
    all in X, is right with cos²(π/8), on pulses that the first had measured in Z, for the X bits, no more than by chance.
    """
    attacks = [(Window(), InterceptResend(0.5, "z")), (Window(), InterceptResend(0.5, "breidbart"))]
    link = Link(pulses=200_000, grain=grain, attacks=attacks, thresholds=AbortThresholds(0.0), seed=5).run(1)
    key = link.alice.results[0].sifted_key
    found = guess(link.eve.notebook)
    (sifting,), (detections,) = link.wire.about(0, "sifting"), link.wire.about(0, "detections")
    kept = (sifting.settings == detections.settings) & (sifting.revealed == 0)
    in_z = sifting.settings[kept] == 0
    right = found.bits == key
    assert set(np.unique(found.kind)) == {0, UNSURE, 5}
    assert right[found.kind == 0].all()
    assert_binomial(int((found.kind[in_z] == 0).sum()), int(in_z.sum()), 0.5, fault=0.4)
    assert not (found.kind[~in_z] == 0).any()
    assert_binomial(int((found.kind[in_z] == 5).sum()), int(in_z.sum()), 0.25, fault=0.2)
    assert_binomial(int((found.kind[~in_z] == 5).sum()), int((~in_z).sum()), 0.5, fault=0.4)
    halfway = math.cos(math.pi / 8) ** 2
    z5, x5 = in_z & (found.kind == 5), ~in_z & (found.kind == 5)
    # In Z the first attack left these alone; in X half of them had been turned to a state of Z before.
    assert_binomial(int(right[z5].sum()), int(z5.sum()), halfway, fault=0.78)
    assert_binomial(int(right[x5].sum()), int(x5.sum()), (halfway + 0.5) / 2, fault=0.6)
    unsure = found.kind == UNSURE
    assert_binomial(int(right[unsure].sum()), int(unsure.sum()), 0.5, fault=0.55)
