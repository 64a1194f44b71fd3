"""Key delivery at the two sites: what ETSI GS QKD 014 asks for, in simulated time."""

from __future__ import annotations

import dataclasses
import itertools
import uuid

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.errors import KeyExhausted, KeyUnavailable
from netsim.random_streams import random_bits
from nodes.kme import ADDRESSES, KeyManager, _key_id, address_of, key_named
from tests.nodes.harness import Tape

LATENCY_S = 0.001
FORWARD, REVERSE = 1, 2
NOT_FOUND = "one or more keys specified are not found on KME"


class Sites:
    """Two KMEs with the same key, and processes that call them."""

    def __init__(self, forward_bits=0, reverse_bits=0):
        self.env = simpy.Environment()
        self.tape = Tape(self.env)
        self.alice = KeyManager(self.env, "kme-alice", "kme-bob", "forward", LATENCY_S, self.tape)
        self.bob = KeyManager(self.env, "kme-bob", "kme-alice", "reverse", LATENCY_S, self.tape)
        self.next = 0
        self.log = []
        self.rng = np.random.default_rng(5)
        self.deposit(forward_bits, reverse_bits)

    def deposit(self, forward_bits=0, reverse_bits=0):
        """New key, under the same addresses at both."""
        for issuing, fetching, count in (
            (self.alice, self.bob, forward_bits),
            (self.bob, self.alice, reverse_bits),
        ):
            bits = random_bits(count, self.rng)
            fetching.deposit_incoming(self.next, bits)
            issuing.deposit_outgoing(self.next, bits)
        self.next += forward_bits + reverse_bits

    def call(self, name, operation, at_s=0.0):
        """Run an operation as a process of its own; log (name, time, what came of it)."""

        def process():
            yield self.env.timeout(at_s)
            try:
                keys = yield from operation
            except (ValueError, KeyExhausted, KeyUnavailable) as error:
                self.log.append((name, self.env.now, error))
            else:
                self.log.append((name, self.env.now, keys))

        self.env.process(process())

    def result(self, operation):
        """Run one operation to its end."""
        self.call("", operation)
        self.env.run()
        outcome = self.log.pop()[2]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.mark.parametrize("to", ["alice", "bob"])
def test_a_key_is_the_same_at_both_sites(to):
    """What one site issues, the other delivers under the same ID, in either direction; each call takes its latency."""
    sites = Sites(1024, 1024)
    issuing, fetching = (sites.bob, sites.alice) if to == "alice" else (sites.alice, sites.bob)
    issued = sites.result(issuing.enc_keys(number=3, size=128))
    assert sites.env.now == LATENCY_S
    fetched = sites.result(fetching.dec_keys([key.key_id for key in issued]))
    assert sites.env.now == 2 * LATENCY_S
    for one, other in zip(issued, fetched, strict=True):
        assert one.key_id == other.key_id
        assert np.array_equal(one.bits, other.bits)
        assert one.bits.dtype == np.uint8
        assert len(one.bits) == 128
    assert len({key.key_id for key in issued}) == 3
    assert len({key.bits.tobytes() for key in issued}) == 3


def test_key_ids_are_canonical_uuids():
    """A key ID is an RFC 9562 UUID of version 8, and reads the same from its text and its bytes."""
    sites = Sites(256)
    (key,) = sites.result(sites.alice.enc_keys())
    assert (key.key_id.version, key.key_id.variant) == (8, uuid.RFC_4122)
    assert uuid.UUID(str(key.key_id)) == uuid.UUID(bytes=key.key_id.bytes) == key.key_id


def test_keys_do_not_show_themselves():
    """The bits of a key are in no representation of it."""
    sites = Sites(256)
    (key,) = sites.result(sites.alice.enc_keys())
    assert "bits" not in repr(key)


def test_status_is_the_standards():
    """Status has the standard's members with its types, sizes in bits, and follows the store."""
    sites = Sites(1000)
    status = sites.alice.status("client", "server")
    assert dataclasses.asdict(status) == {
        "source_KME_ID": "kme-alice",
        "target_KME_ID": "kme-bob",
        "master_SAE_ID": "client",
        "slave_SAE_ID": "server",
        "key_size": 256,
        "stored_key_count": 3,
        "max_key_count": 2**31 - 1,
        "max_key_per_request": 128,
        "max_key_size": 65536,
        "min_key_size": 8,
        "max_SAE_ID_count": 0,
    }
    assert all(isinstance(v, int) and 0 <= v < 2**31 for v in list(dataclasses.asdict(status).values())[4:])
    sites.result(sites.alice.enc_keys(number=2))
    assert sites.alice.status("client", "server").stored_key_count == 1
    assert sites.bob.status("server", "client").stored_key_count == 0


def test_defaults_are_one_key_of_the_status_size():
    """Without number and size there is one key of `key_size`."""
    sites = Sites(1000)
    keys = sites.result(sites.alice.enc_keys())
    assert [len(key.bits) for key in keys] == [sites.alice.status("a", "b").key_size]


@pytest.mark.parametrize("size", [1, 7, 255, 65535, -1])
def test_a_size_that_is_no_multiple_of_8_is_refused(size):
    """The refusal is the standard's own words, and no key is spent."""
    sites = Sites(1000)
    with pytest.raises(ValueError, match=r"^size shall be a multiple of 8$"):
        sites.result(sites.alice.enc_keys(size=size))
    assert sites.alice.outgoing.handed_out_bits == 0


@pytest.mark.parametrize(
    ("number", "size"), [(0, 256), (-1, 256), (129, 256), (1, 0), (1, -8), (1, 65544), (1, 8 * 10**9)]
)
def test_what_status_does_not_offer_is_refused(number, size):
    """Numbers and sizes outside the limits of status are refused, and no key is spent."""
    sites = Sites(200_000)
    with pytest.raises(ValueError, match="out of what status offers"):
        sites.result(sites.alice.enc_keys(number=number, size=size))
    assert sites.alice.outgoing.handed_out_bits == 0


@pytest.mark.parametrize(("number", "size"), [(128, 8), (1, 65536), (2, 65536), (1, 8)])
def test_the_limits_themselves_are_offered(number, size):
    """Up to the limits of status, inclusive, keys are issued and can be fetched."""
    sites = Sites(200_000)
    keys = sites.result(sites.alice.enc_keys(number=number, size=size))
    fetched = sites.result(sites.bob.dec_keys([key.key_id for key in keys]))
    assert [len(key.bits) for key in fetched] == [size] * number


def test_a_key_leaves_each_side_once():
    """A second fetch finds nothing, at whichever side: spent bits are gone from both stores."""
    sites = Sites(512)
    (key,) = sites.result(sites.alice.enc_keys(size=512))
    sites.result(sites.bob.dec_keys([key.key_id]))
    for kme in (sites.bob, sites.alice):
        with pytest.raises(KeyUnavailable, match=f"^{NOT_FOUND}$"):
            sites.result(kme.dec_keys([key.key_id]))
    assert sites.alice.outgoing.available_bits == sites.bob.incoming.available_bits == 0
    with pytest.raises(KeyExhausted):
        sites.result(sites.alice.enc_keys(size=8))


def bad_ids():
    """Key IDs that name no key in Bob's incoming stream of 1024 bits, or no key that status offers."""
    return {
        "the nil UUID": uuid.UUID(int=0),
        "the max UUID": uuid.UUID(int=2**128 - 1),
        "random": uuid.uuid4(),
        "of another version": uuid.UUID(int=(_key_id(FORWARD, 0, 256).int & ~(0xF << 76)) | (4 << 76)),
        "of another variant": uuid.UUID(int=_key_id(FORWARD, 0, 256).int & ~(3 << 62)),
        "of the site's own stream": _key_id(REVERSE, 0, 256),
        "of no stream": _key_id(0, 0, 256),
        "of a third stream": _key_id(3, 0, 256),
        "of no bits": _key_id(FORWARD, 0, 0),
        "of part of a byte": _key_id(FORWARD, 0, 255),
        "half outside": _key_id(FORWARD, 896, 256),
        "outside": _key_id(FORWARD, 1024, 8),
        "far outside": _key_id(FORWARD, ADDRESSES - 1, 256),
        "larger than any key": _key_id(FORWARD, 0, 65544),
    }


@pytest.mark.parametrize("name", bad_ids())
def test_unknown_ids_are_refused_and_spend_nothing(name):
    """One unknown ID among good ones: the standard's own words, nothing is delivered, the good ones stay good."""
    sites = Sites(1024)
    good = sites.result(sites.alice.enc_keys(number=2))
    ids = [good[0].key_id, bad_ids()[name], good[1].key_id]
    with pytest.raises(KeyUnavailable, match=f"^{NOT_FOUND}$"):
        sites.result(sites.bob.dec_keys(ids))
    assert sites.bob.incoming.handed_out_bits == 0
    assert not sites.bob.fetched
    assert len(sites.result(sites.bob.dec_keys(ids[::2]))) == 2


@pytest.mark.parametrize(
    "overlap", [((0, 256), (0, 256)), ((0, 256), (128, 256)), ((0, 512), (64, 8)), ((64, 8), (0, 512))]
)
def test_a_request_cannot_name_a_bit_twice(overlap):
    """IDs that repeat or overlap are refused as a whole: no bit is delivered twice, and none is lost by it."""
    sites = Sites(1024)
    ids = [_key_id(FORWARD, address, size) for address, size in overlap]
    with pytest.raises(KeyUnavailable, match=f"^{NOT_FOUND}$"):
        sites.result(sites.bob.dec_keys(ids))
    assert sites.bob.incoming.handed_out_bits == 0


def test_two_fetches_of_one_key_at_once():
    """Of two calls for the same key at the same moment one gets it."""
    sites = Sites(256)
    (key,) = sites.result(sites.alice.enc_keys())
    for name in "ab":
        sites.call(name, sites.bob.dec_keys([key.key_id]))
    sites.env.run()
    assert [type(outcome) for _, _, outcome in sites.log] == [list, KeyUnavailable]


def test_those_who_wait_are_served_in_order():
    """Requests wait for key first come, first served; a small one does not overtake a large one."""
    sites = Sites()
    for name, size, at_s in (("large", 512, 0.0), ("small", 8, 0.1), ("last", 256, 0.2)):
        sites.call(name, sites.alice.enc_keys(size=size, patience_s=10), at_s)
    for at_s, bits in ((1.0, 256), (2.0, 256), (3.0, 264)):
        sites.env.run(until=at_s)
        sites.deposit(bits)
    sites.env.run()
    assert [(name, t_s) for name, t_s, _ in sites.log] == [("large", 2.0), ("small", 3.0), ("last", 3.0)]
    places = sorted(address_of(keys[0].key_id) for _, _, keys in sites.log)
    assert places == [(0, 512), (512, 8), (520, 256)]
    assert sites.alice.exhausted_events == 3


def test_patience_ends_in_key_exhausted():
    """A request that waited in vain says what it wanted and what there was, and spends nothing."""
    sites = Sites(100)
    sites.call("a", sites.alice.enc_keys(size=256, patience_s=0.5))
    sites.env.run()
    ((_, t_s, error),) = sites.log
    assert t_s == pytest.approx(LATENCY_S + 0.5)
    assert (error.requested, error.available) == (256, 100)
    assert sites.alice.outgoing.handed_out_bits == 0
    assert sites.alice.exhausted_events == 1
    assert [h.details for h in sites.tape.of("key_exhausted")] == [
        {"requested_bits": 256, "stored_bits": 100}
    ]


def test_no_patience_is_an_answer_at_once():
    """Without patience a dry store answers when the call's latency is over."""
    sites = Sites()
    sites.call("a", sites.alice.enc_keys())
    sites.env.run()
    ((_, t_s, error),) = sites.log
    assert isinstance(error, KeyExhausted)
    assert t_s == LATENCY_S


def test_who_gives_up_does_not_hold_up_the_others():
    """When a large request's patience ends, the small one behind it is served from what there is, at that moment."""
    sites = Sites(256)
    sites.call("large", sites.alice.enc_keys(size=512, patience_s=1.0))
    sites.call("small", sites.alice.enc_keys(size=256, patience_s=5.0), at_s=0.1)
    sites.env.run()
    assert [(name, round(t_s, 6), type(outcome)) for name, t_s, outcome in sites.log] == [
        ("large", 1.001, KeyExhausted),
        ("small", 1.001, list),
    ]


def test_patience_covers_all_keys_of_a_request():
    """Several keys share one patience, and the request ends when it does."""
    sites = Sites(512)
    sites.call("a", sites.alice.enc_keys(number=4, patience_s=1.0))
    sites.env.run(until=0.9)
    sites.deposit(256)
    sites.env.run()
    ((_, t_s, error),) = sites.log
    assert isinstance(error, KeyExhausted)
    assert t_s == pytest.approx(1.001)


def test_the_observer_hears_of_the_store():
    """Each issue and each deposit tells the observer how many bits are in store."""
    sites = Sites(512)
    sites.result(sites.alice.enc_keys())
    told = [h.details["value"] for h in sites.tape.of("metric:stored_bits") if h.node == "kme-alice"]
    assert told == [512, 256]


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("deposit"), st.integers(1, 900)),
            st.tuples(st.just("ask"), st.integers(1, 40)),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_no_bit_is_issued_twice_and_none_is_lost(steps):
    """Whatever the order of deposits and requests, keys never overlap, all can be fetched, and the account adds up."""
    sites = Sites()
    deposited = 0
    for t, (step, amount) in enumerate(steps):
        sites.env.run(until=t + 1)
        if step == "deposit":
            sites.deposit(amount)
            deposited += amount
        else:
            sites.call("ask", sites.alice.enc_keys(size=8 * amount, patience_s=2.5))
    sites.env.run(until=100)
    keys = [outcome[0] for _, _, outcome in sites.log if isinstance(outcome, list)]
    places = sorted(address_of(key.key_id) for key in keys)
    assert all(a + n <= b for (a, n), (b, _) in itertools.pairwise(places))
    issued = sum(len(key.bits) for key in keys)
    assert issued == sites.alice.outgoing.handed_out_bits == deposited - sites.alice.outgoing.available_bits
    assert len(keys) + sum(isinstance(o, KeyExhausted) for _, _, o in sites.log) == len(sites.log)
    if keys:
        fetched = sites.result(sites.bob.dec_keys([key.key_id for key in keys]))
        assert all(np.array_equal(one.bits, other.bits) for one, other in zip(keys, fetched, strict=True))


@given(address=st.integers(0, ADDRESSES - 1), size=st.integers(1, 2**40), stream=st.sampled_from([1, 2]))
def test_a_key_id_holds_its_place(address, size, stream):
    """Address and size come back from the ID, and no two places share one."""
    key_id = _key_id(stream, address, size)
    assert address_of(key_id) == (address, size)
    assert key_id != _key_id(3 - stream, address, size)
    assert key_named(key_id.bytes, size) == key_id
    with pytest.raises(KeyUnavailable):
        key_named(key_id.bytes, size + 8)


@given(raw=st.binary(max_size=20))
def test_no_bytes_name_a_key_by_accident(raw):
    """Bytes from the network either name a key of the size asked for or are refused."""
    try:
        key_id = key_named(raw, 256)
    except KeyUnavailable:
        return
    assert address_of(key_id)[1] == 256
