"""Sampled trains follow the exact law, and dense trains do: so the two agree, in everything that anybody can look at.

Where detectors remember nothing, every count is binomial with a probability that is known exactly; each check fails a right
implementation in 1e-9 of all runs. Where they remember, blocks are independent of each other, and dense and sampled are compared
by the means over many blocks (Welch's t at 1e-9).
"""

from __future__ import annotations

import dataclasses
import itertools
import tracemalloc
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats

from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.ensemble import Ensemble, Law
from netsim.photonics.light import (
    AFTER_GATE,
    BRIGHT,
    EARLY,
    LATE,
    NUMBER,
    OPPOSITE,
    SHIELDED,
    STATE,
    STEERED,
    Branch,
    Kernel,
    kernel,
)
from netsim.photonics.record import Clicks, Record
from netsim.photonics.sampled import successes
from netsim.photonics.train import FIRED_BOTH, Choice, Notes, Train
from netsim.random_streams import RandomStreams
from tests.statistics import FALSE_FAILURE, assert_binomial

STATES_ZX = np.array([[0, 4], [2, 6]], dtype=np.uint8)
ALICE = Choice(np.array([0, 2], dtype=np.uint8), np.array([0.7, 0.3]))
BOB = Choice(np.array([0, 2], dtype=np.uint8), np.array([0.6, 0.4]))
DECOYS = Emitter(1e9, intensities=(2.0, 0.6, 2e-3), probabilities=(0.6, 0.3, 0.1), fluctuation=0.1)
NOISY = Receiver(
    0.5,
    2e-3,
    mismatch=0.8,
    timing_mismatch=0.5,
    jitter_s=1e-10,
    gate_s=2.5e-10,
    background=4e-3,
    attenuated_share=0.2,
    attenuation=0.3,
)
FORGETFUL = NOISY
REMEMBERING = dataclasses.replace(
    NOISY, dead_time_s=7e-9, afterpulse=0.08, afterpulse_lifetime_s=2e-8, dark_counts=5e-3
)
PULSES = 1_000_000

Step = Callable[[Train, np.random.Generator], Notes | None]


def part(start: float, stop: float, train: Train) -> slice:
    """A window of a train, by shares of its length."""
    return slice(int(start * len(train)), int(stop * len(train)))


def channel(train: Train, rng: np.random.Generator) -> None:
    """Loss and errors, more of both in windows that overlap: five stretches."""
    train.lose(part(0, 1, train), 0.4, rng)
    train.flip(part(0, 1, train), 0.03, rng)
    train.flip(part(0.2, 0.6, train), 0.2, rng)
    train.lose(part(0.5, 0.9, train), 0.5, rng)


def acting(made: Kernel) -> Step:
    """An attack between two halves of the channel, in a window."""

    def step(train: Train, rng: np.random.Generator) -> Notes:
        train.lose(part(0, 1, train), 0.7, rng)
        notes = train.act(part(0.3, 1, train), made, rng)
        train.lose(part(0, 1, train), 0.6, rng)
        train.flip(part(0, 1, train), 0.05, rng)
        return notes

    return step


def resending() -> Kernel:
    """Intercept and resend in Z, of some; the rest gets one of all the marks there are."""
    zero = np.where(np.isin(STATE, (0, 2, 6)), np.where(STATE == 0, 1.0, 0.5), 0.0) * 0.4 * (NUMBER > 0)
    one = 0.4 * (NUMBER > 0) - zero
    marks = (SHIELDED, BRIGHT, EARLY, LATE, STEERED | EARLY, AFTER_GATE)
    rest = [Branch(0.05, photons=np.minimum(NUMBER, 1), flags=mark, note=OPPOSITE[STATE]) for mark in marks]
    return kernel(
        Branch(zero, state=0, photons=1, note=0),
        Branch(one, state=4, photons=1, note=4),
        *rest,
        Branch(0.1, photons=0),
        Branch(1.0 - 0.3 - 0.1 - 0.4 * (NUMBER > 0)),
    )


def splitting() -> Kernel:
    """Photon-number splitting that blocks single photons by intensity."""
    blocked = np.array([0.8, 0.5, 0.1])[:, None, None] * (NUMBER == 1)
    split = 1.0 * (NUMBER > 1)
    return kernel(
        Branch(blocked, photons=0),
        Branch(split, photons=np.maximum(NUMBER, 1) - 1, flags=SHIELDED, note=STATE),
        Branch(1.0 - blocked - split),
    )


CHANNELS: dict[str, Step] = {
    "windows": channel,
    "resend": acting(resending()),
    "split": acting(splitting()),
}
SOURCES = {"decoys": DECOYS, "single": Emitter(1e9)}


@dataclasses.dataclass(frozen=True)
class Seen:
    """What everybody has of a block.

    Attributes:
        record: the sender's.
        slots: at which something fires.
        settings: the receiver's there.
        patterns: which detectors.
        notes: the attacker's.
        settings_at: the receiver's anywhere.
    """

    record: Record
    slots: np.ndarray
    settings: np.ndarray
    patterns: np.ndarray
    bright: int
    notes: Notes | None
    settings_at: Callable[[np.ndarray], np.ndarray]


def expose(emitter: Emitter, step: Step, receiver: Receiver, count: int, seed: int = 1) -> Seen:
    """One block, up to detectors that remember nothing."""
    streams = RandomStreams(seed)
    train, record = emitter.prepare(STATES_ZX, ALICE, count, 0, 0.0, streams)
    notes = step(train, streams("channel"))
    exposure = train.expose(slice(0, count), receiver.response(), BOB, streams("bob"))
    return Seen(
        record,
        exposure.slots,
        exposure.settings,
        exposure.patterns,
        exposure.bright,
        notes,
        exposure.settings_at,
    )


def detect(emitter: Emitter, step: Step, receiver: Receiver, count: int, seed: int) -> tuple[Clicks, Record]:
    """One block, through the receiver."""
    streams = RandomStreams(seed)
    train, record = emitter.prepare(STATES_ZX, ALICE, count, 0, 0.0, streams)
    step(train, streams("channel"))
    return receiver.detect(train, BOB, streams("bob")), record


class Ledger(Train):
    """Stands in for a train, and keeps what is done to it."""

    def __init__(self, count: int) -> None:
        super().__init__(0, 0.0, 1.0)
        self._count = count
        self.done: list[tuple[slice, str, object]] = []

    def __len__(self) -> int:
        return self._count

    def parcels(self):
        """As one."""
        return (slice(0, self._count),)

    def lose(self, where, transmittance, _rng):
        """Keep it."""
        self.done.append((where, "lose", transmittance))

    def flip(self, where, probability, _rng):
        """Keep it."""
        self.done.append((where, "flip", probability))

    def act(self, where, kernel, _rng):
        """Keep it."""
        self.done.append((where, "act", kernel))

    measure = expose = replace = None


def laws(emitter: Emitter, step: Step, receiver: Receiver, count: int) -> list[tuple[slice, Law]]:
    """The exact law of each stretch, worked out here without SampledTrain."""
    ledger = Ledger(count)
    step(ledger, np.random.default_rng())
    edges = sorted({0, count, *(edge for where, _, _ in ledger.done for edge in (where.start, where.stop))})
    found = []
    for start, stop in itertools.pairwise(edges):
        ensemble = Ensemble(emitter.source(STATES_ZX, ALICE))
        for where, what, value in ledger.done:
            if where.start <= start and stop <= where.stop:
                getattr(ensemble, what)(value)
            elif what == "act":
                ensemble.untouched()
        found.append((slice(start, stop), ensemble.law(receiver.response(), BOB)))
    return found


def cells(law: Law, emitter: Emitter, fired: bool) -> dict[tuple[int, ...], float]:
    """Probability of each combination of what everybody has: sender's setting, bit, intensity; receiver's setting, pattern; note."""
    sent = emitter.source(STATES_ZX, ALICE)
    note = law.notes[0] if len(law.notes) else np.full(len(law.symbol), 255)
    columns = (
        sent.setting[law.symbol],
        sent.bit[law.symbol],
        sent.intensity[law.symbol],
        law.setting,
        law.pattern,
        note,
    )
    found: dict[tuple[int, ...], float] = {}
    for *key, p in zip(*(c.tolist() for c in columns), law.probability.tolist(), strict=True):
        if (key[4] > 0) == fired:
            found[tuple(key)] = found.get(tuple(key), 0.0) + p
    return found


def assert_cells(columns: Sequence[np.ndarray], trials: int, expected: dict[tuple[int, ...], float]) -> int:
    """Each combination as often as the law says, and no other; how many are so frequent that a tenth, or four tenths, less would show."""
    sizes = (2, 2, 3, 2, 64, 256)
    codes, counts = np.unique(
        np.ravel_multi_index([c.astype(int) for c in columns], sizes), return_counts=True
    )
    keys = np.stack(np.unravel_index(codes, sizes), axis=1).tolist()
    seen = {tuple(key): int(n) for key, n in zip(keys, counts, strict=True)}
    assert set(seen) <= set(expected)
    probability = np.array(list(expected.values()))
    found = np.array([seen.get(key, 0) for key in expected])
    # As assert_binomial does, for all of them at once.
    low, high = (
        quantile(FALSE_FAILURE / 2, trials, probability) for quantile in (stats.binom.ppf, stats.binom.isf)
    )
    fault = probability * np.where(trials * probability > 20_000, 0.9, 0.6)
    frequent = trials * probability > 2000
    missed = stats.binom.sf(low - 1, trials, fault)
    assert np.all(missed[frequent] < FALSE_FAILURE)
    wrong = np.flatnonzero((found < low) | (found > high))
    assert not len(wrong), [(list(expected)[i], found[i], low[i], high[i]) for i in wrong]
    return int(frequent.sum())


@pytest.mark.parametrize("sampled", [False, True], ids=["dense", "sampled"])
@pytest.mark.parametrize("passive", [False, True], ids=["active", "passive"])
@pytest.mark.parametrize(
    ("source", "path"),
    [(source, path) for source in SOURCES for path in CHANNELS if (source, path) != ("single", "split")],
)
def test_everything_that_fires_follows_the_law(source, path, passive, sampled):
    """In each stretch, every joint frequency of settings, bit, intensity, detectors, marks and Eve's note is the law's."""
    emitter = dataclasses.replace(SOURCES[source], sampled=sampled)
    receiver = dataclasses.replace(FORGETFUL, passive=passive)
    seen = expose(emitter, CHANNELS[path], receiver, PULSES)
    assert np.all(np.diff(seen.slots) > 0)
    sent = seen.record.rounds(seen.slots)
    assert sent.held.all()
    noted = np.full(len(seen.slots), 255) if seen.notes is None else seen.notes.at(seen.slots)
    columns = (sent.settings, sent.outcomes, sent.intensities, seen.settings, seen.patterns, noted)
    bright, frequent = 0.0, 0
    for where, law in laws(emitter, CHANNELS[path], receiver, PULSES):
        inside = (seen.slots >= where.start) & (seen.slots < where.stop)
        trials = where.stop - where.start
        frequent += assert_cells([c[inside] for c in columns], trials, cells(law, emitter, fired=True))
        bright += trials * float(law.probability[law.bright].sum())
    assert frequent >= 8
    # The number of bright pulses is binomial per stretch: Hoeffding over all of them.
    assert abs(seen.bright - bright) <= np.sqrt(PULSES * np.log(2 / FALSE_FAILURE) / 2)
    assert (seen.bright > 0) == (path == "resend")


@pytest.mark.parametrize("sampled", [False, True], ids=["dense", "sampled"])
@pytest.mark.parametrize("path", CHANNELS)
def test_where_nothing_fired_the_records_follow_the_law_too(path, sampled):
    """Afterpulses and forged announcements ask for such slots: settings, bit, intensity and note as if by their law given silence."""
    emitter = dataclasses.replace(DECOYS, sampled=sampled)
    seen = expose(emitter, CHANNELS[path], FORGETFUL, PULSES)
    quiet = np.setdiff1d(np.arange(PULSES), seen.slots)[::5]
    bobs = seen.settings_at(quiet)
    sent = seen.record.rounds(quiet)
    noted = np.full(len(quiet), 255) if seen.notes is None else seen.notes.at(quiet)
    columns = (sent.settings, sent.outcomes, sent.intensities, bobs, np.zeros(len(quiet)), noted)
    frequent = 0
    for where, law in laws(emitter, CHANNELS[path], FORGETFUL, PULSES):
        inside = (quiet >= where.start) & (quiet < where.stop)
        expected = cells(law, emitter, fired=False)
        silence = sum(expected.values())
        given = {key: p / silence for key, p in expected.items()}
        frequent += assert_cells([c[inside] for c in columns], int(inside.sum()), given)
    assert frequent >= 10


def test_whoever_asks_is_told_the_same():
    """In any order and at any time, of slots that fired and of others: one story."""
    seen = expose(dataclasses.replace(DECOYS, sampled=True), CHANNELS["resend"], FORGETFUL, 100_000)
    rng = np.random.default_rng(5)
    assert seen.notes is not None
    every = np.arange(100_000)
    some = np.sort(rng.choice(every, 5000, replace=False))
    early = seen.record.rounds(some)
    notes_early = seen.notes.at(some)
    bob_early = seen.settings_at(some)
    whole = seen.record.rounds(every)
    for _ in range(3):
        again = np.sort(rng.choice(every, 3000, replace=False))
        got = seen.record.rounds(again)
        for one, other in (
            (got.settings, whole.settings),
            (got.outcomes, whole.outcomes),
            (got.intensities, whole.intensities),
        ):
            assert np.array_equal(one, other[again])
    assert np.array_equal(early.outcomes, whole.outcomes[some])
    assert np.array_equal(early.intensities, whole.intensities[some])
    assert np.array_equal(notes_early, seen.notes.at(every)[some])
    assert np.array_equal(bob_early, seen.settings_at(every)[some])
    assert np.array_equal(seen.settings, seen.settings_at(every)[seen.slots])
    shuffled = rng.permutation(some)
    assert np.array_equal(seen.record.rounds(shuffled).outcomes, whole.outcomes[shuffled])


def test_slots_that_do_not_exist_are_refused():
    """A forged announcement beyond the block is an error, before the detection and after it."""
    streams = RandomStreams(1)
    train, record = dataclasses.replace(DECOYS, sampled=True).prepare(STATES_ZX, ALICE, 100, 0, 0.0, streams)
    for slot in (-1, 100):
        with pytest.raises(IndexError, match=r"0\.\.99"):
            record.rounds(np.array([slot]))
    FORGETFUL.detect(train, BOB, streams("bob"))
    for slot in (-1, 100):
        with pytest.raises(IndexError, match=r"0\.\.99"):
            record.rounds(np.array([slot]))


def test_who_is_asked_too_early_stands_by_the_answer():
    """An announcement forged before anything was detected is answered by the sender's law, and the same way ever after."""
    count = 60_000
    streams = RandomStreams(2)
    train, record = dataclasses.replace(DECOYS, sampled=True).prepare(
        STATES_ZX, ALICE, count, 0, 0.0, streams
    )
    slots = np.arange(0, count, 2)
    early = record.rounds(slots)
    clicks = FORGETFUL.detect(train, BOB, streams("bob"))
    for asked in (slots, np.arange(count), clicks.slots):
        late = record.rounds(asked)
        even = asked % 2 == 0
        assert np.array_equal(late.outcomes[even], early.outcomes[asked[even] // 2])
        assert np.array_equal(late.intensities[even], early.intensities[asked[even] // 2])
        assert np.array_equal(late.settings[even], early.settings[asked[even] // 2])
    assert_binomial(int(early.settings.sum()), len(slots), 0.3, fault=0.35)
    assert_binomial(int(np.sum(early.intensities == 2)), len(slots), 0.1, fault=0.13)


def per_block(emitter: Emitter, step: Step, receiver: Receiver, blocks: int, count: int) -> np.ndarray:
    """Statistics of many blocks. float64[statistics, blocks]: counts by cell, double clicks, gaps, afterpulse neighbours."""
    rows = []
    for seed in range(blocks):
        clicks, record = detect(emitter, step, receiver, count, 1000 + seed)
        sent = record.rounds(clicks.slots)
        wrong = sent.outcomes != clicks.outcomes
        cell = sent.intensities.astype(int) * 4 + sent.settings * 2 + clicks.settings
        gaps = np.bincount(np.minimum(np.diff(clicks.slots), 60), minlength=61)
        monitors = clicks.monitors
        rows.append(
            [
                len(clicks.slots),
                *np.bincount(cell, minlength=12),
                *np.bincount(cell[wrong], minlength=12),
                monitors.double_clicks,
                monitors.ones,
                monitors.attenuated,
                *(gaps[a:b].sum() for a, b in ((1, 8), (8, 12), (12, 20), (20, 40), (40, 60), (60, 61))),
                np.sum(clicks.outcomes[1:] == clicks.outcomes[:-1]),
            ]
        )
    return np.array(rows, dtype=float).T


@pytest.mark.slow
@pytest.mark.parametrize("path", ["windows", "resend"])
def test_dense_and_sampled_agree_under_a_detector_that_remembers(path):
    """Gains and errors by intensity and basis, double clicks, monitors and inter-arrival times, with dead time and afterpulses.

    Block means over 300 blocks each; the large ones would show a difference of 3 %.
    """
    blocks, count = 300, 20_000
    dense, sampled = (
        per_block(dataclasses.replace(DECOYS, sampled=grain), CHANNELS[path], REMEMBERING, blocks, count)
        for grain in (False, True)
    )
    for one, other in zip(dense, sampled, strict=True):
        if one.mean() < 5:
            continue
        spread = np.sqrt((one.var(ddof=1) + other.var(ddof=1)) / blocks)
        bound = stats.t.isf(FALSE_FAILURE / 2, 2 * (blocks - 1)) * spread
        assert abs(one.mean() - other.mean()) <= bound
        if one.mean() > 1000:
            assert 2 * bound < 0.03 * one.mean()
    gaps = slice(28, 34)
    assert np.all(dense[gaps][0] == 0)  # the dead time of 7 slots
    assert np.all(sampled[gaps][0] == 0)


@pytest.mark.parametrize("probability", [1e-6, 0.01, 0.3, 0.97, 1.0])
def test_successes_are_independent_trials(probability):
    """As many as a binomial says, in each half, ascending and distinct; and gaps of 1 as often as the probability."""
    count = 4_000_000 if probability > 1e-3 else 10**11
    slots = successes(count, probability, np.random.default_rng(3))
    assert np.all(np.diff(slots) > 0)
    assert slots[0] >= 0
    assert slots[-1] < count
    for half in (slots < count // 2, slots >= count // 2):
        assert_binomial(int(half.sum()), count // 2, probability, fault=0.9 * probability)
    ones = int(np.sum(np.diff(slots) == 1))
    assert_binomial(ones, len(slots) - 1, probability)


def test_no_successes_at_no_probability():
    """Zero trials, zero chance."""
    rng = np.random.default_rng(1)
    assert len(successes(0, 0.5, rng)) == len(successes(10**12, 0.0, rng)) == 0


@pytest.mark.parametrize("sampled", [False, True], ids=["dense", "sampled"])
def test_the_seed_decides(sampled):
    """The same seed gives the same block, another seed another."""
    emitter = dataclasses.replace(DECOYS, sampled=sampled)

    def story(seed: int) -> list[object]:
        clicks, record = detect(emitter, CHANNELS["resend"], REMEMBERING, 30_000, seed)
        sent = record.rounds(np.arange(30_000))
        return [
            clicks.slots.tolist(),
            clicks.settings.tolist(),
            clicks.outcomes.tolist(),
            sent.outcomes.tolist(),
            clicks.monitors,
        ]

    assert story(7) == story(7)
    assert story(7) != story(8)


def test_a_terapulse_block_at_300_km_costs_its_clicks():
    """10^12 pulses: 10^5 clicks of the right number, in less than 60 MB."""
    emitter = Emitter(1e9, intensities=(0.5, 0.15, 2e-4), probabilities=(0.6, 0.3, 0.1), sampled=True)
    count, p = 10**12, 1e-8
    receiver = Receiver(0.2, p, dead_time_s=2e-8, afterpulse=0.01, afterpulse_lifetime_s=1e-6)
    detect(emitter, lambda *_: None, receiver, 1000, 1)  # compiled before memory is measured
    tracemalloc.start()
    try:
        clicks, record = detect(
            emitter, lambda train, rng: train.lose(slice(0, count), 1e-6, rng), receiver, count, 1
        )
        sent = record.rounds(clicks.slots)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    gain = 2 * p + sum(q * 2e-7 * mu for q, mu in zip((0.6, 0.3, 0.1), (0.5, 0.15, 2e-4), strict=True))
    clicking = (
        len(clicks.slots) / 1.01
    )  # of a hundred clicks one has an afterpulse: Poisson with a variance 1.01³ of the mean
    assert abs(clicking - count * gain) < 7 * np.sqrt(count * gain)
    assert sent.held.all()
    assert peak < 60e6


def test_what_is_detected_is_absorbed_but_for_the_dark_counts():
    """A second receiver behind the first sees its own noise only, and the record is the first one's."""
    streams = RandomStreams(3)
    train, record = Emitter(1e9, sampled=True).prepare(STATES_ZX, ALICE, 200_000, 0, 0.0, streams)
    first = Receiver().detect(train, BOB, streams("bob"))
    assert len(first.slots) == 200_000
    before = record.rounds(first.slots)
    second = Receiver(1.0, 0.01).detect(train, BOB, streams("second"))
    assert_binomial(len(second.slots), 200_000, 1 - 0.99**2, fault=0.015)
    assert np.array_equal(record.rounds(first.slots).outcomes, before.outcomes)
    same = before.settings == first.settings
    assert np.array_equal(before.outcomes[same], first.outcomes[same])


def test_a_replaced_train_is_the_other_senders():
    """Who blocks a train and sends another: Bob's clicks are what the other sent; Alice's record is her own, and keeps to its answers."""
    streams, eves = RandomStreams(4), RandomStreams(5)
    emitter, count = Emitter(1e9, sampled=True), 20_000
    train, alices = emitter.prepare(STATES_ZX, ALICE, count, 0, 0.0, streams)
    notes = train.act(slice(0, count), kernel(Branch(1.0, note=STATE)), streams("eve"))
    other, hers = emitter.prepare(STATES_ZX, ALICE, count, 0, 0.0, eves)
    train.replace(slice(0, count), other)
    clicks = Receiver().detect(train, BOB, streams("bob"))
    assert len(Receiver().detect(other, BOB, streams("nobody")).slots) == 0
    assert len(clicks.slots) == count
    sent = hers.rounds(clicks.slots)
    same = sent.settings == clicks.settings
    assert np.array_equal(sent.outcomes[same], clicks.outcomes[same])
    alice = alices.rounds(clicks.slots)
    same = alice.settings == clicks.settings
    assert_binomial(
        int(np.sum(alice.outcomes[same] == clicks.outcomes[same])), int(same.sum()), 0.5, fault=0.57
    )
    again = alices.rounds(clicks.slots[::3])
    assert np.array_equal(again.outcomes, alice.outcomes[::3])
    assert np.array_equal(notes.at(clicks.slots), STATES_ZX[alice.settings, alice.outcomes])
    with pytest.raises(TypeError, match="as a whole"):
        train.replace(slice(0, 10), other)


def test_what_a_sampled_train_does_not_do_it_refuses():
    """Pulse by pulse it is not measured, nor in parts."""
    train, _ = Emitter(1e9, sampled=True).prepare(STATES_ZX, ALICE, 100, 0, 0.0, RandomStreams(1))
    rng = np.random.default_rng(1)
    with pytest.raises(TypeError, match="pulse by pulse"):
        train.measure(slice(0, 100), np.zeros(100, np.uint8), rng)
    with pytest.raises(TypeError, match="as a whole"):
        Receiver().detect(train, BOB, rng, slice(0, 10))


def test_an_attack_by_intensity_needs_intensities():
    """A dense train of single photons refuses a kernel that tells them apart."""
    train, _ = Emitter(1e9).prepare(STATES_ZX, ALICE, 100, 0, 0.0, RandomStreams(1))
    with pytest.raises(TypeError, match="intensities"):
        train.act(slice(0, 100), splitting(), np.random.default_rng(1))


def test_an_empty_block_is_a_block():
    """No pulses, no clicks."""
    for sampled in (False, True):
        clicks, record = detect(
            dataclasses.replace(DECOYS, sampled=sampled), lambda *_: None, REMEMBERING, 0, 1
        )
        assert len(clicks.slots) == len(record.rounds(clicks.slots).held) == 0


def test_double_clicks_get_random_outcomes():
    """Half of them are wrong, in the sampled train as in the dense one."""
    emitter = dataclasses.replace(DECOYS, sampled=True)
    streams = RandomStreams(9)
    train, record = emitter.prepare(STATES_ZX, ALICE, 400_000, 0, 0.0, streams)
    exposure_law = laws(emitter, lambda *_: None, Receiver(1.0, 0.3), 400_000)[0][1]
    clicks = Receiver(1.0, 0.3).detect(train, BOB, streams("bob"))
    doubles = float(exposure_law.probability[(exposure_law.pattern & FIRED_BOTH) == FIRED_BOTH].sum())
    assert_binomial(clicks.monitors.double_clicks, 400_000, doubles, fault=0.9 * doubles)
    assert record.rounds(clicks.slots).held.all()


GRAINS = pytest.mark.parametrize("sampled", [False, True], ids=["dense", "sampled"])


@GRAINS
def test_marks_on_what_was_lost_do_not_count(sampled):
    """Dark counts where marked light was lost came neither early nor late nor after the gate, and chose their basis at random."""
    train, _ = Emitter(1e9, sampled=sampled).prepare(STATES_ZX, ALICE, 50_000, 0, 0.0, RandomStreams(1))
    rng, whole = np.random.default_rng(1), slice(0, 50_000)
    train.act(whole, kernel(Branch(1.0, state=0, flags=EARLY | STEERED)), rng)
    train.lose(whole, 0.0, rng)
    clicks = Receiver(1.0, 0.5, passive=True).detect(train, BOB, rng)
    assert clicks.monitors.early == 0
    assert_binomial(clicks.monitors.clicks, 50_000, 0.75, fault=0.7)
    assert_binomial(int(clicks.settings.sum()), clicks.monitors.clicks, 0.4, fault=0.35)


@GRAINS
def test_blinded_detectors_have_no_dark_counts(sampled):
    """A bright pulse clicks in its own basis, alone, and in the other basis nothing does; each counts in the photocurrent."""
    train, _ = Emitter(1e9, sampled=sampled).prepare(STATES_ZX, ALICE, 50_000, 0, 0.0, RandomStreams(1))
    rng = np.random.default_rng(1)
    train.act(slice(0, 50_000), kernel(Branch(1.0, state=4, flags=BRIGHT)), rng)
    clicks = Receiver(0.3, 0.5).detect(train, BOB, rng)
    assert clicks.monitors.photocurrent == 50_000
    assert clicks.monitors.double_clicks == 0
    assert not clicks.settings.any()
    assert clicks.outcomes.all()
    assert_binomial(clicks.monitors.clicks, 50_000, 0.6, fault=0.55)


@GRAINS
def test_records_of_afterpulses_stay_what_they_are(sampled):
    """Asked for all that was registered, for a part of it or for more: the same; where an afterpulse fell the sender's bit is fair."""
    streams, count = RandomStreams(1), 200_000
    train, record = Emitter(1e9, sampled=sampled).prepare(STATES_ZX, ALICE, count, 0, 0.0, streams)
    train.lose(slice(0, count), 0.1, streams("channel"))
    receiver = Receiver(afterpulse=0.5, afterpulse_lifetime_s=3e-8)
    clicks = receiver.detect(train, Choice.always(0), streams("bob"))
    whole = record.rounds(clicks.slots)
    every = record.rounds(np.arange(count))
    for part in (slice(None, None, 2), slice(100, 900), slice(None)):
        again = record.rounds(clicks.slots[part])
        assert np.array_equal(again.outcomes, whole.outcomes[part])
        assert np.array_equal(again.settings, whole.settings[part])
    assert np.array_equal(every.outcomes[clicks.slots], whole.outcomes)
    # In Z, would-be clicks are right; of the afterpulses half are wrong, for zeros and ones alike.
    in_z = whole.settings == 0
    wrong = (whole.outcomes != clicks.outcomes) & in_z
    assert_binomial(int(np.sum(whole.outcomes[wrong])), int(wrong.sum()), 0.5, fault=0.6)
    assert wrong.sum() > 3000
