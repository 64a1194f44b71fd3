"""Questions in each query mode from a client to the server and back, over both fabrics, with Eve on the line."""

from __future__ import annotations

import dataclasses
import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from netsim.fabric.direct import DirectFabric
from netsim.fabric.qunetsim import QuNetSimFabric
from netsim.messages import Envelope, Query, decode
from netsim.photonics.detector import Receiver
from netsim.photonics.registers import RegisterTrain
from netsim.random_streams import RandomStreams
from nodes.attacks.channel import InterceptResend
from nodes.eve import Notebook
from nodes.kme import KeyManager, address_of
from nodes.qml import fixed_point
from nodes.qml.query_modes import QUERY_MODES, References, observable_reading
from nodes.quantum_modes import NoModel, label_of, qotp_format, same_pad_format
from nodes.question_modes import QUANTUM_MODES, QuestionMode
from tests.nodes.desk import Desk, machine, network
from tests.nodes.harness import Threshold
from tests.statistics import assert_binomial

QUANTUM = pytest.mark.parametrize("mode", QUANTUM_MODES)


def exact_answers(desk):
    """What the model says of each question as it was coded."""
    features = np.array([fixed_point.decode(query.plaintext) for query in desk.queries])
    return desk.model.classify(features), desk.model.decide(features)


@pytest.mark.parametrize("mode", QUERY_MODES)
def test_every_mode_answers(mode):
    """All questions come back, under fresh key each, with no alarm."""
    desk = Desk(mode).run()
    assert desk.statuses == ["answered"] * 20
    assert not desk.tape.alarms
    assert not desk.server.rejections


@QUANTUM
def test_answers_are_the_models(mode):
    """With scores told, each estimate lies within Hoeffding's bound at 1e-9 (0.45 and 0.64 here) of the exact decision value."""
    desk = Desk(mode, answers="score", registers=2000 if mode == "qotp" else 8000, budget=5).run()
    _, values = exact_answers(desk)
    assert np.abs([query.score for query in desk.queries] - values).max() < 0.7


@pytest.mark.parametrize(
    ("mode", "estimator", "registers", "bound"),
    [
        ("qotp", "observable", 800, 0.8),
        ("qotp", "kernel", 8000, 1.4),
        ("same-pad", "observable", 2400, 1.2),
        ("same-pad", "kernel", 16_000, 1.9),
    ],
)
def test_answers_far_from_the_boundary_are_right(mode, estimator, registers, bound):
    """Where the model's margin is beyond Hoeffding's bound at 1e-9, the answer is the model's."""
    desk = Desk(mode, estimator=estimator, registers=registers, budget=12).run()
    classes, values = exact_answers(desk)
    sure = np.abs(values) > bound
    told = np.array([query.answer for query in desk.queries])
    assert sure.any()
    assert np.array_equal(told[sure], classes[sure])


@pytest.mark.parametrize("mode", QUERY_MODES)
@pytest.mark.parametrize("length_km", [0.0, 15.0])
def test_both_fabrics_carry_the_same_questions(mode, length_km):
    """Frames, answers, times and light are equal over QuNetSim's hosts and in-process, with Eve measuring on the way."""

    def everything(kind):
        streams = RandomStreams(5)
        with network(kind, streams, length_km, 0.01) as fabric:
            desk = Desk(mode, fabric=fabric, seed=5, length_km=length_km, budget=4)
            rng = np.random.default_rng(6)
            diary = []

            def meddle(train, where):
                settings = np.full(where.stop - where.start, 2, np.uint8)
                diary.append(train.measure(where, settings, rng, rng.random(len(settings)) < 0.3).tolist())

            desk.eve.meddle = meddle
            desk.run()
            return (
                [dataclasses.astuple(query) for query in desk.queries],
                desk.eve.frames,
                diary,
                dict(desk.server.rejections),
            )

    one, other = everything(DirectFabric), everything(QuNetSimFabric)
    assert one == other
    assert bool(one[2]) == (mode in QUANTUM_MODES)


def test_masked_answers_are_independent_of_the_question():
    """Class 1 is answered equally often to questions of either class, within 6.2 standard errors; the server never asks for the key."""
    desk = Desk("masked", budget=1500).run(300.0)
    answered = [query for query in desk.queries if query.status == "answered"]
    assert len(answered) == 1500
    truths = np.array([query.truth for query in answered])
    right = np.array([query.answer for query in answered]) == truths
    # of each class by itself: rows are drawn with replacement, so the classes need not be equally frequent
    ones = np.array([query.answer for query in answered]) == 1
    share = ones.mean()
    assert abs(ones[truths == 1].mean() - ones[truths == 0].mean()) < 6.2 * np.sqrt(
        4 * share * (1 - share) / 1500
    )
    assert right.mean() < 0.7
    assert desk.keys[1].incoming.handed_out_bits == 0


def test_what_eve_makes_up_is_answered_if_masked():
    """Without a key at the server no tag can be checked: a forged question gets an answer."""
    desk = Desk("masked", budget=1)

    def forge():
        yield desk.env.timeout(5.0)
        query = Query(1, 77, bytes(16), b"\x12\x34\x56\x78")
        desk.to_bob.send(Envelope("eve", "server", Envelope.QUERIES, 0, query.encode()))

    desk.env.process(forge())
    desk.run()
    assert not desk.server.rejections
    assert desk.keys[1].outgoing.handed_out_bits == 2 * desk.layout.answer_key_bits


@pytest.mark.parametrize(
    ("options", "forward", "backward"),
    [
        ({"mode": "otp"}, 32 + 256, 8 + 256),
        ({"mode": "masked"}, 32, 8 + 256),
        ({"mode": "qotp", "registers": 101}, 408 + 256, 8 + 256),
        ({"mode": "qotp", "registers": 101, "mac": False}, 408, 8),
        ({"mode": "same-pad", "registers": 101}, 408 + 256, 64 + 256),
        ({"mode": "same-pad", "registers": 101, "per_pad": 10}, 48 + 256, 64 + 256),
        ({"mode": "same-pad", "registers": 101, "pads_from_kme": False}, 256, 64 + 256),
    ],
)
def test_key_is_spent_bit_by_bit(options, forward, backward):
    """Two bits for each qubit under a pad, whole bytes, the MAC's key: so much leaves the stores, and each bit once."""
    desk = Desk(**options, budget=7).run()
    assert [kme.outgoing.handed_out_bits for kme in desk.keys] == [7 * forward, 7 * backward]
    assert desk.layout.forward_share == pytest.approx(forward / (forward + backward))
    for kme in desk.keys:
        places = sorted(address_of(key_id) for key_id in kme.issued)
        assert all(a + size <= b for (a, size), (b, _) in itertools.pairwise(places))


def test_the_server_of_same_pad_never_gets_the_pads():
    """It fetches the tags' keys and no other bit."""
    desk = Desk("same-pad", budget=5).run()
    assert desk.keys[1].incoming.handed_out_bits == 5 * 256
    assert not set(desk.keys[1].fetched) - {
        key_id for key_id in desk.keys[0].issued if address_of(key_id)[1] == 256
    }


@pytest.mark.parametrize(("mode", "photons"), [("qotp", 2), ("same-pad", 4)])
def test_registers_are_lost_as_a_whole(mode, photons):
    """Of 20 000 registers through 20 km, t^photons are complete; the others cost their pads and are not resent."""
    desk = Desk(mode, length_km=20.0, registers=1000).run()
    assert desk.bench.measured == 20_000
    assert_binomial(desk.bench.complete, 20_000, 10 ** (-0.4 * photons))
    assert desk.statuses == ["answered"] * 20


@QUANTUM
def test_where_too_little_arrives_the_server_says_nothing(mode):
    """On 300 km not a register is complete: rejected for that, and the client hears nothing."""
    desk = Desk(mode, length_km=300.0, registers=50, budget=3).run()
    assert dict(desk.server.rejections) == {"registers lost": 3}
    assert desk.statuses == ["lost"] * 3


def test_dark_counts_stand_in_for_lost_photons_and_dilute():
    """With noisy detectors and hardly any light the answers are chance: registers are complete, and hold nothing."""
    receiver = Receiver(efficiency=1e-6, dark_counts=0.5)
    desk = Desk("qotp", receiver=receiver, registers=2000, answers="score").run()
    reading = observable_reading(desk.model)
    scores = np.array([query.score for query in desk.queries])
    centre = reading.bias + reading.worth.mean()
    assert np.abs(scores - centre).max() < 6.2 * np.ptp(reading.worth) / 2 / np.sqrt(2000 * 0.75**2 * 0.9)


def test_a_misaligned_fibre_shifts_the_estimate_as_it_should():
    """The mean over many copies is the exact value with that many Pauli Y errors."""
    desk = Desk("qotp", misalignment=0.05, registers=15_000, answers="score", budget=3).run()
    reading = observable_reading(desk.model)
    features = np.array([fixed_point.decode(query.plaintext) for query in desk.queries])
    exact = [reading.value(e) for e in reading.exact(desk.model.program.columns(features), 0.05).T]
    scores = [query.score for query in desk.queries]
    assert np.abs(np.subtract(scores, exact)).max() < 6.2 * np.ptp(reading.worth) / 2 / np.sqrt(15_000)


@QUANTUM
def test_intercepting_disturbs(mode):
    """Eve measures every qubit in Z and sends on what she found: decision values move towards those of noise."""
    quiet, noisy = (Desk(mode, answers="score", registers=12_000, budget=6) for _ in range(2))
    quiet.run()
    rng, seen = np.random.default_rng(7), []

    def meddle(train, where):
        seen.append(train.measure(where, np.zeros(where.stop - where.start, np.uint8), rng))

    noisy.eve.meddle = meddle
    noisy.run()
    _, values = exact_answers(quiet)
    error, disturbed = (
        float(np.mean(np.abs([query.score for query in desk.queries] - values))) for desk in (quiet, noisy)
    )
    assert disturbed > 0.3 > error
    # and what she found under fresh pads is uniform, whatever was asked
    assert_binomial(int(np.sum(seen)), sum(map(len, seen)), 0.5)


@QUANTUM
def test_eves_usual_interception_works_on_registers(mode):
    """The catalogue's intercept-resend measures qubits of registers as it does single photons, and notes what she found."""
    desk = Desk(mode, budget=3)
    notebook, rng = Notebook(), np.random.default_rng(8)
    eve = SimpleNamespace(random=lambda _: rng, notebook=notebook)
    attack = InterceptResend(fraction=0.5)
    desk.eve.meddle = lambda train, where: attack.on_photons(eve, train, where, "bob")
    desk.run()
    assert desk.statuses == ["answered"] * 3
    assert sorted(notebook.blocks) == sorted(label_of(1, sequence) for sequence in range(3))


@QUANTUM
def test_eve_who_exchanges_registers_is_not_noticed(mode):
    """Pads hide, they do not authenticate: her own states are answered, no alarm is raised."""
    desk = Desk(mode, budget=3)

    def meddle(train, where):
        zero = np.zeros((2**train.qubits, train.registers), dtype=complex)
        zero[0] = 1.0
        train.replace(where, RegisterTrain(zero, train.block, train.start_s, train.rate_hz))

    desk.eve.meddle = meddle
    desk.run()
    assert desk.statuses == ["answered"] * 3
    assert not desk.tape.alarms


@QUANTUM
def test_a_forged_query_is_rejected(mode):
    """The classical part is authenticated as ever: another key ID, or a changed number, does not open."""
    desk = Desk(mode, budget=5)

    def tamper(frame):
        envelope = Envelope.decode(frame.data)
        message = decode(envelope.body)
        if isinstance(message, Query):
            changed = dataclasses.replace(message, sequence=message.sequence + 1)
            frame.data = dataclasses.replace(envelope, body=changed.encode()).encode()

    desk.eve.tamper = tamper
    desk.run()
    assert dict(desk.server.rejections) == {"mac": 5}
    assert desk.statuses == ["lost"] * 5


@QUANTUM
def test_registers_without_a_query_are_forgotten(mode):
    """Eve stops all queries: the server's memory is empty again after a while."""
    desk = Desk(mode, budget=5)
    desk.eve.tamper = lambda frame: setattr(frame, "fate", "taken")
    desk.run()
    assert desk.statuses == ["lost"] * 5
    assert not desk.bench._held
    assert not desk.bench._awaited


@QUANTUM
def test_a_query_without_registers_is_given_up(mode):
    """Light that never comes: the query waits in vain, and the next one is served."""
    desk = Desk(mode, budget=3)
    desk.bench.on_train = lambda _: None
    light = desk.client._mode._light
    desk.client._mode._light = lambda train: light(train) if train.block != label_of(1, 0) else None
    desk.run()
    assert desk.statuses == ["lost", "answered", "answered"]
    assert dict(desk.server.rejections) == {"registers lost": 1}
    assert not desk.bench._awaited


def test_no_key_no_question():
    """Where pads cannot be paid for, the client gives up and sends no light."""
    for mode in QUANTUM_MODES:
        desk = Desk(mode, budget=2, key_bits=800).run()
        assert desk.statuses == ["gave up"] * 2
        assert not desk.eve.light


@QUANTUM
@pytest.mark.slow
def test_aer_as_the_servers_processor(mode):
    """The same questions with the server's circuits on Aer: within Hoeffding's bound at 1e-9 (0.37 and 1.04 here) of the exact value."""
    from nodes.qml.register_aer import AerProcessor  # noqa: PLC0415  Aer takes seconds to import

    desk = Desk(mode, processor=AerProcessor(), answers="score", registers=3000, budget=2).run()
    _, values = exact_answers(desk)
    assert np.abs([query.score for query in desk.queries] - values).max() < 1.1


def test_a_question_too_long_for_a_key_is_refused():
    """More pads than a KME hands out in one piece, and same-pad without a tag, are errors before anything runs."""
    most = KeyManager.MAX_KEY_SIZE
    assert qotp_format(2, mac=True, copies=(most - 256) // 4).query_key_bits == most
    with pytest.raises(ValueError, match="send fewer registers"):
        qotp_format(2, mac=True, copies=(most - 256) // 4 + 1)
    with pytest.raises(ValueError, match="send fewer registers"):
        same_pad_format(2, most // 4 + 2, 4)
    with pytest.raises(ValueError, match="at least 1 each"):
        qotp_format(2, mac=True, copies=0)
    with pytest.raises(ValueError, match="without a query MAC"):
        QuestionMode("same-pad").layout(2, mac=False, answers="label")


def test_what_a_mode_needs_is_asked_for():
    """No light, no detectors, no model, another number of references: said at once."""
    desk = Desk("qotp", budget=0)
    how, layout = QuestionMode("qotp"), desk.layout
    with pytest.raises(ValueError, match="needs a quantum channel"):
        how.asking(desk.env, desk.keys[0], layout, model=desk.model)
    with pytest.raises(ValueError, match="needs detectors"):
        how.serving(desk.env, desk.keys[1], layout)
    with pytest.raises(ValueError, match="needs the model to count"):
        QuestionMode("same-pad", estimator="kernel").layout(2, mac=True, answers="label")
    other = same_pad_format(2, 10, 3)
    with pytest.raises(ValueError, match="4 reference states"):
        QuestionMode("same-pad").asking(desk.env, desk.keys[0], other, light=lambda _: None, model=desk.model)
    own = QuestionMode("same-pad", pads_from_kme=False)
    with pytest.raises(ValueError, match="of the client's own"):
        own.asking(
            desk.env,
            desk.keys[0],
            own.layout(2, mac=True, answers="label"),
            light=lambda _: None,
            model=desk.model,
        )
    with pytest.raises(TypeError, match="holds no model"):
        NoModel().decide(np.zeros((1, 2)))
    with pytest.raises(TypeError, match="holds no model"):
        NoModel().classify(np.zeros((1, 2)))


def test_a_model_without_states_cannot_be_asked_in_states():
    """A classical machine has no feature map: a clear error, not a wrong answer."""
    desk = Desk("qotp", budget=1)
    desk.server._train = Threshold
    with pytest.raises(TypeError, match="needs a model of such states"):
        desk.run()


def test_labels_are_nobody_elses():
    """Trains of questions have numbers of their own: below -1, one for each query."""
    labels = {label_of(client, sequence) for client in range(1, 50) for sequence in range(50)}
    assert len(labels) == 49 * 50
    assert max(labels) < -1


def test_references_are_the_models():
    """As many eigenvectors as amplitudes, or the support vectors."""
    model, _ = machine()
    assert References.of(model, "observable").count == 4
    assert References.of(model, "kernel").count == len(model.rows)
