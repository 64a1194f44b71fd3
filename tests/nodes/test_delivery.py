"""A model's way across the link: with QKD key, without it by each policy, and with somebody on the way who meddles."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.messages import Envelope, Parcel, decode
from netsim.window import Window
from nodes.attacks.classical import Cut, Impersonate
from nodes.delivery.algorithms import ONE_TIME_PAD, SUITES, Algorithms
from nodes.delivery.courier import Delivery, Reception, Terms
from nodes.delivery.parcel import Publisher, Recipient, seal
from nodes.kme import Key, KeyManager
from nodes.qml.model_files import dump, load
from tests.nodes.harness import Asking, Link, Threshold, flip_bit

HYBRID, PAD, QKD = Algorithms(), Algorithms(ONE_TIME_PAD), Algorithms("qkd")
PQC = Algorithms("x25519+ml-kem-768")
ALL = [Algorithms(suite) for suite in SUITES]
PLENTY = 200_000


@dataclasses.dataclass(eq=False)
class Level(Threshold):
    """Class 1 where the first feature is above a level."""

    name = "level"
    level: float

    def decide(self, features):
        """How far above."""
        return features[:, 0] - self.level

    def state(self):
        """Settings and arrays."""
        return {}, {"level": np.array([self.level])}

    @classmethod
    def of_state(cls, settings, arrays):  # noqa: ARG003  this kind has none
        """The model."""
        return cls(float(arrays["level"][0]))


def file_of(level: float) -> bytes:
    """A model file."""
    return dump(Level(level), training_sha256="0" * 64, libraries={})


MODEL = file_of(0.25)


class Way:
    """A publisher at Alice's site, who delivers to a vault at Bob's."""

    def __init__(self, terms: Terms, *, key_bits=0, allowed=ALL, link=None, seed=1, fibre_keys=True) -> None:
        self.link = link or Link(bandwidth_bps=1e15, seed=seed)
        env, tape, streams = self.link.env, self.link.tape, self.link.streams
        self.publisher = Publisher("trainer", terms.algorithms.scheme, streams("publisher"))
        self.recipient = Recipient("vault", streams("recipient"))
        self.installed: list[Any] = []
        self.delivery = Delivery(
            env,
            self.link.to_bob.send,
            self.link.keys[0] if fibre_keys else None,
            self.publisher,
            self.recipient.keys,
            terms,
            streams("delivery"),
            tape,
        )
        self.reception = Reception(
            env,
            self.link.keys[1] if fibre_keys else None,
            self.recipient,
            self.publisher.keys,
            allowed,
            lambda data: load(data, {"level": Level}),
            self.installed.append,
            tape,
        )
        self.link.gates["bob"].route({"vault": self.reception.on_envelope})
        if key_bits:
            self.deposit(key_bits)

    def deposit(self, bits: int, address: int = 0) -> None:
        """Key that Alice's site may issue."""
        key = np.random.default_rng(address).integers(0, 2, bits, dtype=np.uint8)
        self.link.keys[1].deposit_incoming(address, key)
        self.link.keys[0].deposit_outgoing(address, key)

    def run(self, until_s: float) -> Way:
        """Let time pass."""
        self.link.env.run(until=until_s)
        return self

    @property
    def levels(self) -> list[float]:
        """Of the models installed."""
        return [model.level for model in self.installed]

    @property
    def dispatch(self):
        """What became of the only delivery at the publisher's end."""
        (dispatch,) = self.delivery.dispatches
        return dispatch

    @property
    def arrival(self):
        """What became of the only parcel at the recipient's."""
        (arrival,) = self.reception.arrivals
        return arrival

    def parcels(self) -> list[Parcel]:
        """All parcels that passed Eve's tap."""
        return [seen.message for seen in self.link.wire.seen if seen.envelope.session == Envelope.PARCELS]


@pytest.mark.parametrize("algorithms", ALL, ids=str)
def test_a_model_is_delivered(algorithms):
    """With key in store each suite brings the model, and both ends have it on the record: which one, how, and what that is worth."""
    way = Way(Terms(algorithms, "refuse"), key_bits=PLENTY)
    process = way.delivery.deliver(MODEL)
    way.run(1.0)
    assert way.levels == [0.25]
    sent, got = way.dispatch, way.arrival
    assert process.value is sent
    number, size = algorithms.qkd_keys(len(MODEL))
    assert (sent.status, sent.used, sent.fell_back, sent.qkd_bits) == (
        "sent",
        algorithms,
        False,
        number * size,
    )
    assert sent.security == algorithms.security == SUITES[algorithms.suite].security
    assert sent.rests_on == algorithms.rests_on
    assert (got.status, got.version, got.algorithms, got.causes) == ("installed", 0, algorithms, ())
    assert sent.model_sha256 == got.model_sha256 == hashlib.sha256(MODEL).hexdigest()
    assert sent.parcel_bytes == len(way.link.wire.seen[0].envelope.body)
    for kme, count in ((way.link.keys[0].outgoing, number), (way.link.keys[1].incoming, number)):
        assert kme.handed_out_bits == count * size
    assert not way.link.tape.alarms
    (event,) = way.link.tape.of("model_sent")
    assert (event.details["suite"], event.details["security"]) == (algorithms.suite, algorithms.security)


def test_delivery_takes_the_time_of_two_key_requests_and_the_wire():
    """With QKD key a request at each end and the fibre; without, the fibre alone."""
    for algorithms, requests in ((HYBRID, 2), (PQC, 0)):
        way = Way(Terms(algorithms), key_bits=PLENTY, link=Link(length_km=40.0, bandwidth_bps=1e15))
        way.delivery.deliver(MODEL)
        way.run(1.0)
        assert way.arrival.installed_s == pytest.approx(requests * 0.001 + 40.0 * 5e-6)


def test_a_long_model_under_a_pad_takes_several_keys_from_the_kme():
    """A pad longer than the KME's longest key comes in pieces, and goes to the other site in pieces."""
    rng = np.random.default_rng(1)
    big = dump(Padded(rng.random(2000)), training_sha256="0" * 64, libraries={})
    way = Way(Terms(PAD, "refuse"), key_bits=PLENTY)
    way.delivery.deliver(big)
    way.run(1.0)
    assert way.dispatch.qkd_bits > KeyManager.MAX_KEY_SIZE
    assert (
        way.arrival.status == "refused"
    )  # the vault knows no such kind: but it is the whole file that it has opened
    assert way.arrival.causes == ("model file",)
    assert "kind 'padded'" in way.arrival.reasons[0]
    assert len(way.link.keys[1].fetched) == 3


@dataclasses.dataclass(eq=False)
class Padded:
    """A model of a kind that nobody knows."""

    name = "padded"
    values: np.ndarray

    def state(self):
        """Settings and arrays."""
        return {}, {"values": self.values}


@pytest.mark.parametrize("algorithms", [HYBRID, PAD, QKD], ids=str)
def test_waiting_for_key(algorithms):
    """`wait`: the model goes when the key is there."""
    way = Way(Terms(algorithms, "wait", patience_s=10.0))
    way.delivery.deliver(MODEL)
    way.run(3.0)
    assert not way.parcels()
    way.deposit(PLENTY)
    way.run(4.0)
    assert way.levels == [0.25]
    assert (way.dispatch.asked_s, way.dispatch.sent_s) == (0.0, 3.0)
    assert way.dispatch.security == algorithms.security


@pytest.mark.parametrize("algorithms", [HYBRID, PAD, QKD], ids=str)
def test_patience_ends(algorithms):
    """`wait`: without key in time nothing goes, on the record with how much was missing."""
    way = Way(Terms(algorithms, "wait", patience_s=2.0), key_bits=128)
    way.delivery.deliver(MODEL)
    way.run(5.0)
    assert not way.link.wire.seen
    assert (way.dispatch.status, way.dispatch.used, way.dispatch.security) == ("gave up", None, None)
    assert (way.dispatch.sent_s, way.dispatch.parcel_bytes, way.dispatch.rests_on) == (None, 0, "")
    (event,) = way.link.tape.of("delivery_gave_up")
    assert event.t_s == pytest.approx(2.001)
    assert (event.details["requested_bits"], event.details["stored_bits"]) == (
        algorithms.qkd_keys(len(MODEL))[1],
        128,
    )
    assert way.installed == []


@pytest.mark.parametrize("algorithms", [HYBRID, PAD, QKD], ids=str)
def test_refusing(algorithms):
    """`refuse`: without key nothing goes, at once, and no key is spent on it; the next one may go."""
    way = Way(Terms(algorithms, "refuse"), key_bits=128)
    way.delivery.deliver(MODEL)
    way.run(0.5)
    assert not way.link.wire.seen
    assert (way.dispatch.status, way.dispatch.qkd_bits) == ("refused", 0)
    assert way.link.keys[0].outgoing.handed_out_bits == 0
    assert len(way.link.tape.of("delivery_refused")) == 1
    way.deposit(PLENTY, address=128)
    way.delivery.deliver(file_of(0.75))
    way.run(1.0)
    assert way.levels == [0.75]
    assert [d.status for d in way.delivery.dispatches] == ["refused", "sent"]
    assert way.arrival.version == 1


@pytest.mark.parametrize("patience_s", [0.0, 2.0])
@pytest.mark.parametrize("algorithms", [HYBRID, PAD, QKD], ids=str)
def test_falling_back_is_on_the_record(algorithms, patience_s):
    """`fallback`: without key the model goes all the same, and both ends and the observer know what its secrecy rests on now."""
    way = Way(Terms(algorithms, "fallback", patience_s, PQC))
    way.delivery.deliver(MODEL)
    way.run(5.0)
    assert way.levels == [0.25]
    sent = way.dispatch
    assert (sent.status, sent.fell_back, sent.wanted, sent.used) == ("sent", True, algorithms, PQC)
    assert sent.security == "computational"
    assert "no QKD key in it" in sent.rests_on
    assert way.arrival.algorithms == PQC
    assert sent.sent_s == pytest.approx(patience_s + 0.001 * (patience_s > 0))
    (event,) = way.link.tape.of("delivery_fell_back")
    assert event.details["security_wanted"] == algorithms.security
    assert event.details["security"] == "computational"
    assert event.details["rests_on"] == PQC.rests_on


def test_with_key_there_is_no_falling_back():
    """`fallback` with key in store is as good as `wait`."""
    way = Way(Terms(PAD, "fallback", fallback=PQC), key_bits=PLENTY)
    way.delivery.deliver(MODEL)
    way.run(1.0)
    assert (way.dispatch.fell_back, way.dispatch.security) == (False, "information-theoretic")
    assert not way.link.tape.of("delivery_fell_back")


def test_a_recipient_that_wants_no_fallback_gets_none():
    """What the publisher falls back to must be allowed at the other end too: otherwise it is refused, counted and alarmed."""
    way = Way(Terms(HYBRID, "fallback", fallback=PQC), allowed=[HYBRID])
    way.delivery.deliver(MODEL)
    way.run(1.0)
    assert way.installed == []
    assert way.reception.refusals == {"algorithms": 1}
    assert way.link.tape.alarms == [("vault", "parcel: algorithms")]


def test_key_cut_in_vain_is_counted():
    """A pad of which only the first key came is given up: that key is lost, and the record says how much it was."""
    rng = np.random.default_rng(1)
    big = dump(Padded(rng.random(2000)), training_sha256="0" * 64, libraries={})
    _, size = PAD.qkd_keys(len(big))
    way = Way(Terms(PAD, "wait", patience_s=1.0), key_bits=size + 100)
    way.delivery.deliver(big)
    way.run(5.0)
    assert (way.dispatch.status, way.dispatch.qkd_bits) == ("gave up", size)
    assert way.link.keys[0].outgoing.available_bits == 100


def test_models_go_one_after_another():
    """A model waits for those before it, so that none arrives before an older one."""
    way = Way(Terms(HYBRID, "wait", patience_s=5.0))
    for level in (0.1, 0.2, 0.3):
        way.delivery.deliver(file_of(level))
    way.run(1.0)
    way.deposit(256)
    way.run(2.0)
    assert way.levels == [0.1]
    way.deposit(512, address=256)
    way.run(9.0)
    assert way.levels == [0.1, 0.2, 0.3]
    assert [d.version for d in way.delivery.dispatches] == [0, 1, 2]


def test_a_short_model_does_not_overtake_a_long_one():
    """While a long model waits for one key of its pad after another, a short one behind it takes none in between."""
    way = Way(Terms(PAD, "wait", patience_s=10.0))
    way.reception._load = len
    number, size = PAD.qkd_keys(20_000)
    for length in (20_000, 100):
        way.delivery.deliver(bytes(length))
    for piece in range(number + 1):
        way.run(1.0 + piece)
        way.deposit(size, address=piece * size)
    way.run(20.0)
    assert way.installed == [20_000, 100]
    assert not way.reception.refusals


@pytest.mark.parametrize("algorithms", ALL, ids=str)
def test_without_a_kme(algorithms):
    """Suites without QKD key need no KME; the others cannot be built without one."""
    if SUITES[algorithms.suite].qkd:
        with pytest.raises(ValueError, match="no KME"):
            Way(Terms(algorithms), fibre_keys=False)
        return
    way = Way(Terms(algorithms), fibre_keys=False)
    way.delivery.deliver(MODEL)
    assert way.run(1.0).levels == [0.25]


@pytest.mark.parametrize("algorithms", ALL, ids=str)
@pytest.mark.parametrize("seed", range(8))
def test_tampering_is_refused_and_costs_no_key(algorithms, seed):
    """One flipped bit anywhere in a parcel: refused, counted, alarmed, and no QKD key is fetched for it; the next parcel is taken."""
    way = Way(Terms(algorithms, "refuse"), key_bits=PLENTY, seed=seed)
    rng = np.random.default_rng(seed)

    def meddle(frame, envelope):
        if envelope.sequence == 0:
            frame.data = dataclasses.replace(envelope, body=flip_bit(envelope.body, rng)).encode()

    way.link.wire.meddle = meddle
    way.delivery.deliver(MODEL)
    way.run(1.0)
    assert way.installed == []
    assert way.arrival.status == "refused"
    assert (way.arrival.version, way.arrival.algorithms, way.arrival.model_sha256) == (None, None, None)
    assert (
        set(way.reception.refusals)
        == set(way.arrival.causes)
        <= {*("signature", "malformed", "algorithms", "publisher", "recipient", "version", "keys")}
    )
    assert [node for node, _ in way.link.tape.alarms] == ["vault"]
    assert way.link.keys[1].incoming.handed_out_bits == 0
    way.delivery.deliver(file_of(0.75))
    assert way.run(2.0).levels == [0.75]


@pytest.mark.parametrize("algorithms", ALL, ids=str)
@pytest.mark.parametrize("after_s", [0.0, 0.0005, 0.5])
def test_a_replayed_parcel_is_refused(algorithms, after_s):
    """A copy of a parcel, at once, while the first one's key is being fetched, or later: installed once, refused once."""
    way = Way(Terms(algorithms, "refuse"), key_bits=PLENTY)
    way.delivery.deliver(MODEL)

    def again():
        yield way.link.env.timeout(0.0011)
        envelope = way.link.wire.seen[0].envelope
        yield way.link.env.timeout(after_s)
        way.link.to_bob.send(envelope)

    way.link.env.process(again())
    way.run(1.0)
    assert way.levels == [0.25]
    assert sum(way.reception.refusals.values()) == 1
    assert set(way.reception.refusals) <= {"version", "keys"}
    assert len(way.link.tape.alarms) == 1


def test_an_old_model_is_not_brought_back():
    """A parcel held up on the way and delivered after a newer one is refused: nobody can roll the server back."""
    way = Way(Terms(PQC))
    held = []

    def meddle(frame, envelope):
        if envelope.sequence == 0 and not held:
            held.append(envelope)
            frame.fate = "taken"

    way.link.wire.meddle = meddle
    way.delivery.deliver(file_of(0.1))
    way.delivery.deliver(file_of(0.2))
    way.run(1.0)
    way.link.to_bob.send(held[0])
    way.run(2.0)
    assert way.levels == [0.2]
    assert way.reception.refusals == {"version": 1}


def test_the_newer_of_two_that_are_opened_at_once():
    """Of two parcels whose keys are being fetched the older is not installed after the newer, whoever gets its key first."""
    way = Way(Terms(HYBRID), key_bits=PLENTY)
    parcels = []
    for version in (1, 0):
        key = way.link.keys[0].issue_now(256)
        parcels.append(sealed_by(way, version, key))
    for parcel in parcels:
        way.reception.on_envelope(Envelope("trainer", "vault", Envelope.PARCELS, 0, parcel))
    way.run(1.0)
    assert len(way.installed) == 1
    assert [arrival.version for arrival in way.reception.arrivals] == [1, None]
    assert way.reception.refusals == {"version": 1}


def sealed_by(way: Way, version: int, key: Key) -> bytes:
    """A parcel of the publisher's, made by hand."""
    return seal(
        MODEL,
        version=version,
        algorithms=HYBRID,
        publisher=way.publisher,
        recipient=way.recipient.keys,
        rng=np.random.default_rng(version),
        qkd=[key],
    )


def test_a_key_that_the_recipients_kme_does_not_have():
    """A key of another size, of another stream, or spent: refused, and no other key is spent on it."""
    way = Way(Terms(HYBRID), key_bits=PLENTY)
    bits = np.zeros(256, np.uint8)
    kme = way.link.keys[0]
    wrong = [way.link.keys[0].issue_now(512).key_id, kme.issue_now(256).key_id]
    way.link.keys[1].fetch_now(wrong[1])
    spent = way.link.keys[1].incoming.handed_out_bits
    for version, key_id in enumerate(wrong):
        parcel = sealed_by(way, version, Key(key_id, bits))
        way.reception.on_envelope(Envelope("trainer", "vault", Envelope.PARCELS, version, parcel))
    way.run(1.0)
    assert way.reception.refusals == {"keys": 2}
    assert way.link.keys[1].incoming.handed_out_bits == spent


def test_unequal_keys_at_the_two_sites_are_noticed():
    """One bit of pad that differs between the KMEs would change one bit of the model: the parcel is refused instead."""
    way = Way(Terms(PAD, "refuse"))
    key = np.random.default_rng(1).integers(0, 2, PLENTY, dtype=np.uint8)
    way.link.keys[0].deposit_outgoing(0, key)
    key[8 * 100] ^= 1
    way.link.keys[1].deposit_incoming(0, key)
    way.delivery.deliver(MODEL)
    way.run(1.0)
    assert way.installed == []
    assert "differ" in way.arrival.reasons[0]


def test_a_cut_wire_delivers_nothing_and_harms_nothing():
    """While the classical channel is cut parcels are lost; what comes after is taken."""
    way = Way(Terms(PQC), link=Link(attacks=[(Window(0.0, 5.0), Cut("classical"))], bandwidth_bps=1e15))
    way.delivery.deliver(file_of(0.1))
    way.run(6.0)
    assert way.reception.arrivals == []
    way.delivery.deliver(file_of(0.2))
    assert way.run(7.0).levels == [0.2]


def test_a_man_in_the_middle_leaves_parcels_alone():
    """Eve who answers for both ends cannot sign: parcels pass her unopened, or not at all."""
    way = Way(Terms(PQC), link=Link(attacks=[(Window(0.0, 5.0), Impersonate())], bandwidth_bps=1e15))
    way.delivery.deliver(MODEL)
    assert way.run(1.0).levels == [0.25]


@settings(max_examples=40)
@given(bodies=st.lists(st.binary(max_size=80), min_size=1, max_size=5))
def test_garbage_does_no_harm(bodies):
    """Any bytes at all, bare or behind a parcel's first byte: counted, and the true parcel is taken."""
    way = Way(Terms(HYBRID), key_bits=PLENTY)
    for body in bodies:
        for data in (body, bytes([Parcel.code]) + body):
            way.link.to_bob.send(Envelope("trainer", "vault", Envelope.PARCELS, 0, data))
    way.delivery.deliver(MODEL)
    way.run(1.0)
    assert way.levels == [0.25]
    assert way.reception.refusals == {"malformed": 2 * len(bodies)}


def test_the_server_answers_with_what_was_delivered():
    """Before the delivery the server has no model and says so; afterwards it answers with the one delivered."""
    way = Way(Terms(HYBRID, "wait", patience_s=10.0))
    desk = Asking(way.link, key_bits=PLENTY, workload={"budget": 6})
    desk.server._train = None
    way.reception._install = desk.server.install

    def later():
        yield way.link.env.timeout(3.5)
        way.delivery.deliver(file_of(0.9))

    way.link.env.process(later())
    desk.run(20.0)
    assert desk.statuses == ["lost"] * 3 + ["answered"] * 3
    assert desk.server.rejections == {"no model": 3}
    assert desk.server.model.level == 0.9
    assert desk.server.model_since_s == pytest.approx(way.arrival.installed_s)


def test_a_refused_delivery_leaves_the_server_what_it_had():
    """Without key and by `refuse` the server goes on with its old model."""
    way = Way(Terms(HYBRID, "refuse"))
    desk = Asking(way.link, workload={"budget": 4})
    way.reception._install = desk.server.install
    desk.run(0.1)
    before = desk.server.model
    way.delivery.deliver(MODEL)
    desk.run(1.0)
    assert way.dispatch.status == "refused"
    assert desk.server.model is before


def test_a_run_is_repeatable_but_for_the_bytes():
    """Two runs of one seed have the same records, sizes and times; ML-KEM's and ML-DSA's bytes differ, for the library draws them."""
    runs = []
    for _ in range(2):
        way = Way(Terms(HYBRID, "fallback", 1.0, PQC), key_bits=256, seed=7)
        way.delivery.deliver(file_of(0.1))
        way.delivery.deliver(file_of(0.2))
        runs.append(way.run(5.0))
    one, other = runs
    assert one.delivery.dispatches == other.delivery.dispatches
    assert one.reception.arrivals == other.reception.arrivals
    assert one.link.tape.happenings == other.link.tape.happenings
    for mine, theirs in zip(one.parcels(), other.parcels(), strict=True):
        assert mine.salt == theirs.salt
        assert mine.encapsulations[:32] == theirs.encapsulations[:32]
        assert mine.encapsulations[32:] != theirs.encapsulations[32:]
        assert mine.signature != theirs.signature
        assert len(mine.encode()) == len(theirs.encode())


@pytest.mark.parametrize(
    ("terms", "says"),
    [
        ({"when_dry": "wait", "patience_s": -1.0}, "patience_s is -1.0"),
        ({"when_dry": "wait", "patience_s": float("nan")}, "patience_s is nan"),
        ({"when_dry": "refuse", "patience_s": 1.0}, "`refuse` never waits"),
        ({"when_dry": "fallback"}, "expected both or neither"),
        ({"when_dry": "wait", "fallback": PQC}, "expected both or neither"),
        ({"when_dry": "fallback", "fallback": QKD}, "needs QKD key itself"),
        ({"when_dry": "fallback", "fallback": Algorithms("ml-kem-768", scheme="ed25519")}, "one signing key"),
    ],
)
def test_terms_that_make_no_sense(terms, says):
    """A policy with a parameter that it would ignore, or without one that it needs, is refused."""
    with pytest.raises(ValueError, match=says):
        Terms(**terms)


def test_a_publisher_of_another_scheme():
    """A delivery whose terms ask for another signature than its publisher makes cannot be built."""
    link = Link()
    publisher = Publisher("trainer", "ed25519", link.streams("publisher"))
    recipient = Recipient("vault", link.streams("recipient")).keys
    with pytest.raises(ValueError, match="signs with ed25519; expected ml-dsa-65"):
        Delivery(
            *(link.env, link.to_bob.send, link.keys[0], publisher, recipient),
            *(Terms(), link.streams("delivery"), link.tape),
        )


def test_what_eve_sees_does_not_name_the_model():
    """On the wire there is neither the model nor its hash, whatever the suite."""
    for algorithms in ALL:
        way = Way(Terms(algorithms, "refuse"), key_bits=PLENTY)
        way.delivery.deliver(MODEL)
        way.run(1.0)
        wire = way.link.wire.seen[0].data
        assert MODEL[:30] not in wire
        assert hashlib.sha256(MODEL).digest() not in wire
        assert decode(way.parcels()[0].encode()).version == 0
