"""The alarm keeps its stated rate, and is about as quick as theory allows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from nodes import alarm as alarm_module
from nodes.alarm import Alarm, AlarmParameters, SequentialAlarm, confidence_interval
from nodes.telemetry import Telemetry
from tests.statistics import FALSE_FAILURE

RARE = 1e-12
"""A false-alarm rate at which no run of this module sees a false alarm but once in 1/FALSE_FAILURE."""


def feed(watch: SequentialAlarm, counts: Iterable[tuple[int, int]], name: str = "gain") -> list[Alarm]:
    """Every alarm that one counter's blocks raise."""
    raised: list[Alarm] = []
    for block, (events, trials) in enumerate(counts):
        raised.extend(watch.observe(Telemetry(block, float(block), {name: (int(events), int(trials))})))
    return raised


def known(low: float, high: float, rate: float, name: str = "gain") -> SequentialAlarm:
    """An alarm on one counter with a known reference."""
    return SequentialAlarm(AlarmParameters(false_alarm_rate=rate, references={name: (low, high)}))


def runs_with_alarm(parameters: AlarmParameters, events: np.ndarray, trials: int) -> int:
    """In how many of the runs, int64[runs, blocks], a counter raises an alarm."""
    return sum(
        bool(feed(SequentialAlarm(parameters), ((count, trials) for count in run))) for run in events.tolist()
    )


def assert_at_most(count: int, runs: int, probability: float) -> None:
    """So many of the runs are no evidence against a probability of at most this."""
    allowed = int(binom.isf(FALSE_FAILURE, runs, probability))
    assert count <= allowed, f"{count} of {runs} runs; at most {allowed} fit a probability of {probability}"


def kl(q: float, p: float) -> float:
    """Divergence of one Bernoulli trial, nats."""
    return q * math.log(q / p) + (1 - q) * math.log((1 - q) / (1 - p))


@pytest.mark.parametrize("change", ["above", "below"])
@pytest.mark.parametrize("bound", [0.003, 0.4, 0.5, 0.7, 0.999])
def test_the_e_detector_grows_by_one_a_block_at_the_bound_and_by_less_inside(
    change: Literal["above", "below"], bound: float
) -> None:
    """Over all outcomes of two blocks, summed exactly, R has the mean 2 at the bound, and at most 2 where it is honest.

    This is the whole of the guarantee's premise. Inside, the second block's rate depends on the first one's outcome.
    """
    trials = 4
    within = bound * 0.9 if change == "above" else 1 - 0.9 * (1 - bound)
    exact, inside = [], []
    for first, second in itertools.product(range(trials + 1), repeat=2):
        detector = alarm_module._EDetector([alarm_module._Null(bound, change)], 1e-300)
        detector.observe(first, trials)
        detector.observe(second, trials)
        r = np.exp(detector._log_r[0])
        exact.append(binom.pmf(first, trials, bound) * binom.pmf(second, trials, bound) * r)
        honest = within if first % 2 else bound
        inside.append(binom.pmf(first, trials, within) * binom.pmf(second, trials, honest) * r)
    assert np.sum(exact, axis=0) == pytest.approx(2.0, rel=1e-6)
    assert np.all(np.sum(inside, axis=0) < 2)


@pytest.mark.parametrize(("p", "trials"), [(0.5, 100), (0.02, 2000), (1e-4, 5000)])
def test_false_alarms_keep_to_the_rate_at_the_very_bound(p: float, trials: int) -> None:
    """At the worst rate that is still honest, a run of T blocks raises an alarm with probability at most αT/2.

    (The counters of the first block share half of the rate.) Two-sided reference of no width: nothing is slack but
    the e-detector itself.
    """
    rate, blocks, runs = 0.02, 15, 2000
    events = np.random.default_rng(1).binomial(trials, p, size=(runs, blocks))
    parameters = AlarmParameters(false_alarm_rate=rate, references={"gain": (p, p)})
    count = runs_with_alarm(parameters, events, trials)
    assert_at_most(count, runs, rate * blocks / 2)


def test_the_bound_on_false_alarms_is_not_idle() -> None:
    """The same runs at a rate beyond the reference's bound break the limit: the test can see a broken guarantee."""
    rate, blocks, runs = 0.02, 15, 400
    events = np.random.default_rng(2).binomial(100, 0.56, size=(runs, blocks))
    count = runs_with_alarm(
        AlarmParameters(false_alarm_rate=rate, references={"gain": (0.5, 0.5)}), events, 100
    )
    assert count > binom.isf(FALSE_FAILURE, runs, rate * blocks / 2)


def test_repeated_false_alarms_keep_to_the_rate() -> None:
    """The expected number of alarms in T blocks, returns and new alarms included, is at most αT/2.

    An alarm and its return take two blocks, so that a run has at most T/2 alarms: Hoeffding's bound on the mean.
    """
    rate, blocks, runs = 0.2, 40, 1000
    parameters = AlarmParameters(false_alarm_rate=rate, calibration_blocks=1, references={"gain": (0.3, 0.3)})
    events = np.random.default_rng(3).binomial(50, 0.3, size=(runs, blocks))
    total = sum(len(feed(SequentialAlarm(parameters), ((k, 50) for k in run))) for run in events.tolist())
    deviation = blocks / 2 * math.sqrt(math.log(1 / FALSE_FAILURE) / (2 * runs))
    assert total / runs <= rate * blocks / 2 + deviation


def test_a_tiny_calibration_makes_no_false_alarms_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference learned from two small blocks costs power, never false alarms; taken at face value, it would."""
    rate, runs = 0.01, 600
    parameters = AlarmParameters(false_alarm_rate=rate, calibration_blocks=2, tolerance=0.0)
    blocks = 42
    events = np.random.default_rng(4).binomial(400, 0.05, size=(runs, blocks))
    assert_at_most(runs_with_alarm(parameters, events, 400), runs, rate * blocks / 2)

    def face_value(events: int, trials: int, _failure: float) -> tuple[float, float]:
        return events / trials, events / trials

    monkeypatch.setattr(alarm_module, "confidence_interval", face_value)
    assert runs_with_alarm(parameters, events, 400) > binom.isf(FALSE_FAILURE, runs, rate * blocks / 2)


def test_many_counters_share_one_rate() -> None:
    """Ten counters, four of which come later, together raise false alarms at no more than the one stated rate."""
    rate, blocks, runs = 0.02, 20, 200
    rng = np.random.default_rng(5)
    names = [f"counter {i}" for i in range(10)]
    parameters = AlarmParameters(false_alarm_rate=rate, references=dict.fromkeys(names, (0.2, 0.2)))
    count = 0
    for run in rng.binomial(200, 0.2, size=(runs, blocks, 10)).tolist():
        watch = SequentialAlarm(parameters)
        raised = 0
        for block, row in enumerate(run):
            seen = names if block >= 5 else names[:6]
            counts = {name: (events, 200) for name, events in zip(seen, row, strict=False)}
            raised += len(watch.observe(Telemetry(block, 0.0, counts)))
        count += raised > 0
    assert_at_most(count, runs, rate * blocks * (1 / 2 + 1 / 6))


def test_the_split_of_the_rate_is_as_stated() -> None:
    """Counters of the first block share half of the rate, those that come later a sixth, then a twelfth."""
    watch = SequentialAlarm(AlarmParameters(false_alarm_rate=1e-3))
    assert watch.observe(Telemetry(0, 0.0, {})) == ()
    watch.observe(Telemetry(1, 0.0, {"a": (0, 0), "b": (1, 2)}))
    watch.observe(Telemetry(2, 0.0, {"a": (1, 2), "c": (1, 2)}))
    watch.observe(Telemetry(3, 0.0, {"d": (1, 2), "e": (1, 2), "f": (0, 0)}))
    assert [watch.rate(name) for name in "abcdef"] == pytest.approx(
        [1e-3 / 4, 1e-3 / 4, 1e-3 / 6, *[1e-3 / 36] * 3]
    )
    assert watch.rate("unheard of") == 0


@pytest.mark.parametrize(
    ("p", "q", "trials"), [(0.02, 0.025, 1000), (1e-3, 1.4e-3, 20_000), (0.5, 0.48, 2000), (0.99, 0.98, 300)]
)
def test_the_delay_is_near_the_information_bound(p: float, q: float, trials: int) -> None:
    """From R = 0, the worst start, an alarm takes at least 0.8·log(1/α)/KL blocks, and at most the mixture's price more.

    The upper limit is the first block at which the best tilt on the grid alone has the evidence in the mean:
    threshold 2·2/α (half the rate, two sides), times the number of tilts, over 8/9 of the information, and one block
    of overshoot.
    """
    rate, runs = 1e-6, 60
    information = kl(q, p) * trials
    bound = math.log(1 / rate) / information
    rng = np.random.default_rng(6)
    delays = []
    for _ in range(runs):
        watch = known(p, p, rate)
        changed = ((k, trials) for k in rng.binomial(trials, q, size=math.ceil(4 * bound) + 20))
        delays.append(feed(watch, changed)[0].block + 1)
    mean = float(np.mean(delays))
    six_sigma = 6 * float(np.std(delays)) / math.sqrt(runs)
    assert mean >= 0.8 * bound - six_sigma
    assert mean <= math.log(4 * len(alarm_module._TILTS) / rate) / (8 / 9 * information) + 1 + six_sigma


def test_a_large_change_is_seen_in_its_first_block() -> None:
    """A fifth of the light intercepted, in a block of 1e5 test bits: one block suffices, after a calibration too."""
    rng = np.random.default_rng(7)
    counts = [*rng.binomial(100_000, 0.01, size=30), *rng.binomial(100_000, 0.0595, size=3)]
    watch = SequentialAlarm(AlarmParameters(false_alarm_rate=RARE))
    (raised,) = feed(watch, ((k, 100_000) for k in counts), "qber Z signal")
    assert (raised.block, raised.t_s, raised.counter, raised.change) == (30, 30.0, "qber Z signal", "above")
    assert raised.observed_rate == counts[30] / 100_000
    assert raised.observed_blocks == pytest.approx(1, abs=1e-6)
    assert raised.reference == watch.reference("qber Z signal")
    assert raised.log10_e_value > math.log10(4 / RARE)


def test_a_loss_of_events_is_seen() -> None:
    """A decoy's gain that collapses is as much a change as one that grows."""
    (raised,) = feed(SequentialAlarm(), [*[(1000, 10**6)] * 20, *[(700, 10**6)] * 5])
    assert (raised.block, raised.change, raised.observed_rate) == (20, "below", 7e-4)


def test_the_observed_rate_is_that_since_the_change() -> None:
    """Where one block says little, the alarm reports the rate since the change, not the last block's."""
    rng = np.random.default_rng(8)
    counts = [*rng.binomial(200, 0.05, size=300), *rng.binomial(200, 0.1, size=60)]
    (raised, *_) = feed(known(0.05, 0.05, RARE), ((k, 200) for k in counts))
    trials = 200 * raised.observed_blocks
    assert raised.block >= 300
    assert 2 < raised.observed_blocks < raised.block - 300 + 20
    assert abs(raised.observed_rate - 0.1) < 6 * math.sqrt(0.1 / trials)


@pytest.mark.parametrize("factor", [1.049, 0.951])
@pytest.mark.parametrize("scale", [1, 10**6])
def test_a_change_within_the_tolerance_is_no_alarm(factor: float, scale: int) -> None:
    """A rate that moves by less than the tolerance raises nothing, however many counts there are to see it by."""
    start, moved = 10**4 * scale, round(10**4 * scale * factor)
    counts = [*[(start, 10**6 * scale)] * 20, *[(moved, 10**6 * scale)] * 500]
    assert feed(SequentialAlarm(), counts) == []


def test_a_counter_may_have_a_tolerance_of_its_own() -> None:
    """The tolerance of one counter is no other's."""
    counts = [*[(10**7, 10**9)] * 20, *[(13 * 10**6, 10**9)] * 3]
    parameters = AlarmParameters(tolerances={"qber": 0.5})
    assert feed(SequentialAlarm(parameters), counts, "qber") == []
    assert len(feed(SequentialAlarm(parameters), counts, "gain")) == 1


def test_a_drifting_link_is_overdispersed_and_raises_nothing() -> None:
    """Gains that wander within the tolerance vary a hundredfold more than a binomial count, and stay without alarm."""
    rng = np.random.default_rng(9)
    rates = 1e-3 * (1 + 0.02 * np.sin(np.arange(400) / 10))
    counts = rng.binomial(10**9, rates)
    assert np.var(counts) > 100 * np.mean(counts)
    watch = SequentialAlarm(AlarmParameters(false_alarm_rate=RARE))
    assert feed(watch, ((k, 10**9) for k in counts)) == []


@pytest.mark.parametrize("mean", [3.0, 300.0])
def test_afterpulses_within_the_tolerance_keep_the_rate(mean: float) -> None:
    """Chains of afterpulses, 4 % after each click, raise no more alarms than stated at a tolerance of 5 %."""
    rate, runs, blocks, trials = 0.02, 500, 20, 10**6
    rng = np.random.default_rng(10)
    primaries = rng.poisson(mean, size=(runs, blocks))
    counts = primaries + rng.negative_binomial(np.maximum(primaries, 1), 0.96) * (primaries > 0)
    p = mean / 0.96 / trials
    parameters = AlarmParameters(false_alarm_rate=rate, references={"gain": (0.95 * p, 1.05 * p)})
    assert_at_most(runs_with_alarm(parameters, counts, trials), runs, rate * blocks / 2)


def test_a_known_reference_is_watched_from_the_first_block() -> None:
    """A monitor of a known honest rate needs no calibration, and an attack that was always there is seen."""
    watch = known(0.0, 1e-6, 1e-6, "photocurrent")
    assert feed(watch, [(0, 1000)], "photocurrent") == []
    assert watch.reference("photocurrent") == (0.0, 1e-6)
    (raised,) = feed(watch, [(3, 1000)], "photocurrent")
    assert raised.change == "above"
    assert feed(SequentialAlarm(), [(3, 1000)] * 100, "photocurrent") == []


def test_a_persisting_change_alarms_once() -> None:
    """Of a change that lasts a thousand blocks there is one alarm; it stands all the while."""
    rng = np.random.default_rng(11)
    watch = SequentialAlarm(AlarmParameters(false_alarm_rate=RARE))
    counts = [*rng.binomial(10**5, 0.01, size=20), *rng.binomial(10**5, 0.014, size=1000)]
    raised = feed(watch, ((k, 10**5) for k in counts))
    assert len(raised) == 1
    assert watch.standing == tuple(raised)
    assert watch.returns == ()


def test_a_return_to_normal_is_noticed_and_the_watch_goes_on() -> None:
    """A change, its end, and a second change the other way: alarm, return, alarm."""
    watch = SequentialAlarm()
    blocks = {20: 10_000, 10: 20_000, 5: 10_000, 3: 5000}
    raised = feed(watch, ((events, 10**6) for n, events in blocks.items() for _ in range(n)))
    assert [(alarm.block, alarm.change) for alarm in raised] == [(20, "above"), (35, "below")]
    (back,) = watch.returns
    assert (back.block, back.alarm) == (30, raised[0])
    assert watch.standing == (raised[1],)


def test_a_change_to_the_other_side_is_a_return_and_an_alarm() -> None:
    """Who jumps from above the reference to below it has returned from the one, and is caught at the other."""
    watch = SequentialAlarm()
    counts = [*[(10_000, 10**6)] * 20, *[(20_000, 10**6)] * 3, *[(5000, 10**6)] * 3]
    assert [(raised.block, raised.change) for raised in feed(watch, counts)] == [(20, "above"), (24, "below")]
    assert [back.block for back in watch.returns] == [23]


def test_a_change_that_persists_does_not_flicker() -> None:
    """Halfway between the bound and what raised the alarm false returns keep to the rate, so that alarms do not repeat."""
    rng = np.random.default_rng(12)
    watch = known(0.009, 0.01, RARE)
    feed(watch, [(3000, 10**5)])
    assert len(watch.standing) == 1
    halfway = math.sqrt(0.01 * 0.03)
    assert feed(watch, ((k, 10**5) for k in rng.binomial(10**5, halfway, size=2000))) == []
    assert watch.returns == ()


def test_an_instrument_that_ought_to_be_silent_returns() -> None:
    """After light in each gate some 10^6 dark ones end the alarm, though a bound of 1e-9 would take 10^10 to be believed."""
    watch = SequentialAlarm(AlarmParameters(1e-6, references={"gain": (0.0, 1e-9)}))
    feed(watch, [(10**6, 10**6)])
    assert len(watch.standing) == 1
    feed(watch, [(0, 10**6)])
    assert watch.standing == ()
    assert len(feed(watch, [(10, 10**6)])) == 1


@pytest.mark.parametrize("trials", [1, 1000, 10**12])
@pytest.mark.parametrize("all_events", [False, True])
def test_counters_at_their_extremes_can_be_watched(trials: int, all_events: bool) -> None:
    """A counter that always or never comes true stays quiet, and has no bound on that side."""
    watch = SequentialAlarm()
    events = trials if all_events else 0
    assert feed(watch, [(events, trials)] * 100) == []
    reference = watch.reference("gain")
    assert reference is not None
    assert reference[1 if all_events else 0] == events / trials
    if trials > 1:
        assert len(feed(watch, [(trials - events, trials)] * 3)) == 1


@pytest.mark.parametrize("p", [1e-12, 1e-6, 0.5, 1 - 1e-6])
def test_rounding_raises_nothing_at_a_million_million_trials(p: float) -> None:
    """Counts of exactly the bound's mean, 1e12 trials a block, are never evidence, and ten sigmas always are."""
    trials = 10**12
    mean, sigma = round(p * trials), math.sqrt(trials * p * (1 - p))
    watch = known(p, p, 1e-6)
    assert feed(watch, [(mean, trials)] * 200) == []
    shift = math.ceil(10 * sigma)
    assert feed(watch, [(min(mean + shift, trials), trials)] * 10)[0].change == "above"


def test_a_bound_near_one_loses_no_digits() -> None:
    """Events at 1 − p are exactly as good evidence as the trials without one at p, also where p is 2^-45."""
    p = 2.0**-45
    events, others = alarm_module._log_gains(alarm_module._Null(1 - p, "below"))
    mirrored_others, mirrored_events = alarm_module._log_gains(alarm_module._Null(p, "above"))
    assert np.array_equal(events, mirrored_events)
    assert np.array_equal(others, mirrored_others)


def test_blocks_without_trials_change_nothing() -> None:
    """Empty blocks neither calibrate nor accumulate."""
    watch = SequentialAlarm(AlarmParameters(calibration_blocks=2))
    assert feed(watch, [(10, 1000), *[(0, 0)] * 50]) == []
    assert watch.reference("gain") is None
    assert feed(watch, [(10, 1000)]) == []
    assert watch.reference("gain") is not None


@pytest.mark.parametrize(("events", "trials"), [(0, 50), (1, 50), (37, 50), (50, 50), (3, 10**6)])
def test_the_confidence_interval_covers_as_stated(events: int, trials: int) -> None:
    """At the interval's ends the exact binomial tail is at most half of the stated failure, and not needlessly less."""
    failure = 1e-4
    low, high = confidence_interval(events, trials, failure)
    if events:
        assert 0.02 * failure < binom.sf(events - 1, trials, low) <= failure / 2
    else:
        assert low == 0
    if events < trials:
        assert 0.02 * failure < binom.cdf(events, trials, high) <= failure / 2 * (1 + 1e-9)
    else:
        assert high == 1


@pytest.mark.parametrize("trials", [10**9, 10**12])
@pytest.mark.parametrize("p", [1e-6, 0.03, 0.5, 0.999])
def test_the_confidence_interval_is_exact_at_large_counts(trials: int, p: float) -> None:
    """With very many trials the interval is the normal one, √(2 ln(2/δ)) standard deviations to each side."""
    events = round(p * trials)
    low, high = confidence_interval(events, trials, 1e-6)
    half = math.sqrt(2 * math.log(2 / 1e-6) * p * (1 - p) / trials)
    tolerance = 3 * math.sqrt(2 * math.log(2 / 1e-6) / (trials * p * (1 - p)))
    assert [high - p, p - low] == pytest.approx([half, half], rel=tolerance + 1e-6)


Names = st.sampled_from(["gain signal", "qber Z signal", "ones", "late clicks", "photocurrent"])
Counts = st.integers(0, 10**12).flatmap(
    lambda trials: st.tuples(st.one_of(st.sampled_from([0, trials]), st.integers(0, trials)), st.just(trials))
)
Run = st.lists(st.dictionaries(Names, Counts), max_size=25)


@given(run=Run, data=st.data())
def test_any_counts_are_taken_in_whatever_their_order(
    run: Sequence[dict[str, tuple[int, int]]], data: st.DataObject
) -> None:
    """No valid counts raise an error, and the order of counters within a block changes no alarm and no number."""
    parameters = AlarmParameters(calibration_blocks=3, references={"photocurrent": (0.0, 1e-5)})
    one, other = SequentialAlarm(parameters), SequentialAlarm(parameters)
    for block, counts in enumerate(run):
        shuffled = dict(data.draw(st.permutations(list(counts.items()))))
        raised = one.observe(Telemetry(block, float(block), counts))
        assert raised == other.observe(Telemetry(block, float(block), shuffled))
        for alarm in raised:
            assert math.isfinite(alarm.log10_e_value)
            assert 0 <= alarm.observed_rate <= 1
            assert 1 <= alarm.observed_blocks <= block + 1
    assert one.standing == other.standing
    assert one.returns == other.returns


@pytest.mark.parametrize(
    "arguments",
    [
        {"false_alarm_rate": 0.0},
        {"false_alarm_rate": 1.0},
        {"false_alarm_rate": math.nan},
        {"calibration_blocks": 0},
        {"false_alarm_rate": 0.1, "calibration_blocks": 10},
        {"tolerance": -0.1},
        {"tolerances": {"gain": math.inf}},
        {"references": {"gain": (0.5, 0.4)}},
        {"references": {"gain": (0.0, 0.0)}},
        {"references": {"gain": (1.0, 1.0)}},
        {"references": {"gain": (0.0, 1.5)}},
        {"references": {"gain": (math.nan, 0.5)}},
    ],
)
def test_parameters_that_cannot_be_are_refused(arguments: dict[str, object]) -> None:
    """Each wrong parameter is named."""
    with pytest.raises(ValueError, match=r"expected"):
        AlarmParameters(**arguments)  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.parametrize("counts", [(3, 2), (-1, 2), (0.5, 1), ("1", 2), (1, math.nan)])
def test_counts_that_cannot_be_are_refused(counts: tuple[int, int]) -> None:
    """Telemetry names every count that is none."""
    with pytest.raises(ValueError, match=r"'ones'"):
        Telemetry(0, 0.0, {"ones": counts, "gain": (1, 2)})


def test_a_time_that_is_none_is_refused() -> None:
    """Telemetry happens at some time."""
    with pytest.raises(ValueError, match=r"finite"):
        Telemetry(0, math.nan, {})


@pytest.mark.parametrize(
    ("events", "trials", "failure"), [(2, 1, 0.1), (0, 0, 0.1), (1, 2, 0.0), (1, 2, 1.0)]
)
def test_an_interval_of_nothing_is_refused(events: int, trials: int, failure: float) -> None:
    """No interval without trials, without room for failure, or with more events than trials."""
    with pytest.raises(ValueError, match=r"expected"):
        confidence_interval(events, trials, failure)
