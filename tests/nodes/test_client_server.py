"""A query's way: sealed, carried, opened, answered; and everything that may go wrong on it."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.keys.one_time_pad import MAC_KEY_BITS, TAG_BYTES
from netsim.messages import Answer, Envelope, Query, Sample, decode
from netsim.window import Window
from nodes.attacks.classical import Cut, Replay, Tamper
from nodes.kme import _key_id, address_of
from nodes.qml import fixed_point
from tests.nodes.harness import Asking, Link, flip_bit
from tests.statistics import FALSE_FAILURE

PLENTY = 200_000
ONE = {"budget": 1}


def asking(*, attacks=(), query_mac=True, length_km=0.0, seed=1, **keywords):
    """Clients and server with plenty of key, on a link that makes none."""
    link = Link(attacks=attacks, query_mac=query_mac, length_km=length_km, bandwidth_bps=1e15, seed=seed)
    return Asking(link, **{"key_bits": PLENTY} | keywords)


def rejections(desk):
    """Reasons of the server's, by count."""
    return dict(desk.server.rejections)


def queries_on(desk, kind="query"):
    """The envelopes of a kind that passed Eve's tap."""
    return [seen for seen in desk.link.wire.seen if seen.message.kind == kind]


@pytest.mark.parametrize("query_mac", [True, False])
def test_queries_are_answered(query_mac):
    """Every query comes back with the server's class for it."""
    desk = asking(clients=3, query_mac=query_mac).run(30.0)
    assert len(desk.queries) == 30
    assert set(desk.statuses) == {"answered"}
    assert all(query.answer == query.truth for query in desk.queries)
    assert {query.truth for query in desk.queries} == {0, 1}
    assert rejections(desk) == {}
    assert not desk.link.tape.alarms


def test_latency_is_the_sum_of_its_parts():
    """Two key requests at each end, fibre there and back, the local network twice, the service time: nothing else."""
    desk = asking(length_km=40.0).run(30.0)
    fibre_s, service_s = 2 * 40.0 * 5e-6, 0.002
    # The local network's bandwidth of 1 Gbit/s adds some 0.6 µs a message.
    expected = 4 * desk.REQUEST_S + fibre_s + 2 * desk.LAN_S + service_s
    for query in desk.queries:
        assert query.latency_s == pytest.approx(expected, abs=3e-6)
        assert query.sent_s == pytest.approx(query.created_s + desk.REQUEST_S)


def test_a_busy_server_makes_queries_wait():
    """With one worker, queries that come at once are served one after another; with as many workers, side by side."""
    for workers, spread_s in ((1, 0.5), (4, 0.0)):
        desk = asking(
            clients=4,
            workload={"budget": 1, "timeout_s": 5.0},
            capacity={"workers": workers, "service_s": 0.5},
        )
        desk.run(20.0)
        finished = sorted(query.answered_s for query in desk.queries)
        assert np.diff(finished) == pytest.approx([spread_s] * 3, abs=1e-5)


def test_a_slow_server_is_slow_in_its_window():
    """A slowdown multiplies the service time of queries begun in its window, and of no others; slowdowns multiply."""
    slowdowns = ((Window(2.5, 4.5), 10.0), (Window(3.5, 4.5), 3.0))
    desk = asking(capacity={"service_s": 0.01, "slowdowns": slowdowns}).run(30.0)
    latencies = {round(query.created_s): query.latency_s for query in desk.queries}
    usual = latencies[1]
    assert [latencies[2], latencies[5]] == pytest.approx([usual] * 2)
    assert latencies[3] == pytest.approx(usual + 0.09)
    assert latencies[4] == pytest.approx(usual + 0.29)


def test_a_full_queue_turns_queries_away():
    """One in service, two waiting, and no place for more: the rest is rejected, and their clients hear nothing."""
    desk = asking(
        clients=7, workload={"budget": 1, "timeout_s": 5.0}, capacity={"queue": 2, "service_s": 1.0}
    )
    desk.run(20.0)
    assert sorted(desk.statuses) == ["answered"] * 3 + ["lost"] * 4
    assert rejections(desk) == {"queue full": 4}
    assert set(desk.server.rejected_queries.values()) == {"queue full"}
    assert not desk.link.tape.alarms


def test_no_queue_at_all():
    """Without waiting places a query is served if a worker is idle, and turned away if not."""
    desk = asking(clients=3, workload=ONE, capacity={"queue": 0, "workers": 2}).run(10.0)
    assert sorted(desk.statuses) == ["answered", "answered", "lost"]


def test_a_budget_ends_the_asking():
    """A client asks as often as its budget says, and not once more."""
    for budget in (0, 1, 7):
        desk = asking(workload={"budget": budget}).run(50.0)
        assert len(desk.queries) == budget


def test_waiting_for_key_shows_as_latency():
    """A query that finds no key waits for it, and its latency says for how long."""
    desk = asking(key_bits=0, workload={"budget": 1, "patience_s": 5.0}).run(3.0)
    assert desk.statuses == ["pending"]
    desk.deposit(1000)
    desk.run(10.0)
    (query,) = desk.queries
    assert query.status == "answered"
    assert query.sent_s == 3.0
    assert query.latency_s == pytest.approx(2.0 + 3 * desk.REQUEST_S + 2 * desk.LAN_S + 0.002, abs=1e-5)
    assert desk.link.keys[0].exhausted_events == 1


def test_a_clients_patience_ends():
    """Without key in time the query is given up unsent, and nothing went over the wire."""
    desk = asking(key_bits=0, workload={"budget": 2, "patience_s": 0.5}).run(10.0)
    assert desk.statuses == ["gave up"] * 2
    assert all(query.sent_s is None and query.latency_s is None for query in desk.queries)
    assert not desk.link.wire.seen


def test_a_servers_patience_ends():
    """A server without key for answers says nothing in the clear: the query is rejected, and its client waits in vain."""
    link = Link()
    desk = Asking(link, workload=ONE, capacity={"patience_s": 0.5})
    bits = np.ones(1000, np.uint8)
    link.keys[1].deposit_incoming(0, bits)
    link.keys[0].deposit_outgoing(0, bits)
    desk.run(10.0)
    assert desk.statuses == ["lost"]
    assert rejections(desk) == {"no key for the answer": 1}
    assert desk.server.rejected_queries == {(1, 0): "no key for the answer"}
    assert not queries_on(desk, "answer")


def test_a_late_answer_is_no_answer():
    """What comes after the client's timeout is ignored; the query stays lost."""
    desk = asking(workload={"budget": 1, "timeout_s": 0.5}, capacity={"service_s": 0.6}).run(10.0)
    assert desk.statuses == ["lost"]
    assert len(queries_on(desk, "answer")) == 1
    assert [event.node for event in desk.link.tape.of("answer_ignored")] == ["client-1"]


def test_an_answer_that_is_just_being_opened_when_time_is_up():
    """The timeout decides, not the arrival: an answer whose key comes after it is not counted."""
    desk = asking(workload=ONE | {"timeout_s": 0.0048}).run(10.0)
    assert desk.statuses == ["lost"]
    assert desk.queries[0].answer is None
    assert len(desk.link.keys[0].fetched) == 1


@pytest.mark.parametrize("query_mac", [True, False])
def test_queries_and_answers_have_one_length(query_mac):
    """On the wire all queries are equally long, and all answers, whatever they ask and say, and just as long as said."""
    desk = asking(clients=2, query_mac=query_mac, workload={"budget": 40}).run(100.0)
    tag = TAG_BYTES if query_mac else 0
    for kind, plain in (("query", 4), ("answer", 1)):
        seen = queries_on(desk, kind)
        assert len(seen) == 80
        assert len({len(each.data) for each in seen}) == 1
        assert {len(each.message.sealed) for each in seen} == {plain + tag}
    layout = desk.link.layout
    assert layout.query_key_bits == 32 + (MAC_KEY_BITS if query_mac else 0)
    assert layout.answer_key_bits == 8 + (MAC_KEY_BITS if query_mac else 0)
    spent = [kme.outgoing.handed_out_bits for kme in desk.link.keys]
    assert spent == [80 * layout.query_key_bits, 80 * layout.answer_key_bits]


def test_the_same_question_never_looks_the_same():
    """Each ciphertext is under its own key: equal questions give different bytes, and no key serves twice."""
    desk = asking(workload={"budget": 200}).run(300.0)
    plain = [query.plaintext for query in desk.queries]
    assert len(set(plain)) < len(plain)
    sent = [each.message for each in queries_on(desk)]
    assert len({message.sealed for message in sent}) == len({message.key_id for message in sent}) == 200
    assert not any(query.plaintext in each.data for query in desk.queries for each in queries_on(desk))


def test_two_clients_with_the_same_sequence_numbers():
    """Clients count for themselves; the server keeps them apart, and so do the answers."""
    desk = asking(clients=2, workload={"budget": 5}).run(30.0)
    assert [(q.client, q.sequence) for q in desk.queries] == [(c, s) for c in (1, 2) for s in range(5)]
    assert set(desk.statuses) == {"answered"}
    assert all(query.answer == query.truth for query in desk.queries)


def test_an_answer_for_another_client_is_ignored():
    """Eve readdresses answers: though their MAC fits, nobody takes them, and no key is spent on them."""
    link = Link(bandwidth_bps=1e15)
    desk = Asking(link, clients=2, key_bits=PLENTY, workload={"budget": 5})

    def meddle(frame, envelope):
        if decode(envelope.body).kind == "answer":
            other = {"client-1": "client-2", "client-2": "client-1"}[envelope.receiver]
            frame.data = dataclasses.replace(envelope, receiver=other).encode()

    link.wire.meddle = meddle
    desk.run(30.0)
    assert set(desk.statuses) == {"lost"}
    assert len(link.tape.of("answer_ignored")) == 10
    assert link.keys[0].incoming.handed_out_bits == 0


@pytest.mark.parametrize("kind", ["query", "answer"])
@pytest.mark.parametrize("bits", [1, 5])
def test_tampering_is_noticed_with_a_mac(kind, bits):
    """Every changed query is rejected by the server, every changed answer by the client, and both raise the alarm."""
    desk = asking(attacks=[(Window(), Tamper((kind,), bits))]).run(30.0)
    if kind == "query":
        assert rejections(desk) == {"mac": 10}
        assert desk.statuses == ["lost"] * 10
        assert desk.link.tape.alarms == [("server", "mac")] * 10
    else:
        assert desk.statuses == ["rejected"] * 10
        assert desk.link.tape.alarms == [("client-1", "answer: mac")] * 10


@pytest.mark.parametrize("kind", ["query", "answer"])
def test_tampering_is_silent_without_a_mac(kind):
    """Without a MAC a flipped ciphertext bit is a flipped bit of the query or of the answer, and nobody notices."""
    tamper = Tamper((kind,), 1 if kind == "answer" else 16)
    desk = asking(attacks=[(Window(), tamper)], query_mac=False, workload={"budget": 60}).run(90.0)
    assert desk.statuses == ["answered"] * 60
    assert not desk.link.tape.alarms
    if kind == "answer":
        assert all(query.answer != query.truth for query in desk.queries)
        # Whatever bit is flipped, what came back differs from the server's class in just that bit.
        assert all((query.answer ^ query.truth).bit_count() == 1 for query in desk.queries)
    else:
        # Half of the 32 bits: the one that decides the class is among them in half of the queries.
        assert any(query.answer != query.truth for query in desk.queries)


@pytest.mark.parametrize("query_mac", [True, False])
@pytest.mark.parametrize("after_s", [0.0, 0.1, 3.0])
def test_replayed_queries_are_rejected(query_mac, after_s):
    """A copy meets a key that is spent, with or without a MAC; the original is answered and stays so."""
    desk = asking(attacks=[(Window(), Replay(1.0, after=after_s))], query_mac=query_mac).run(30.0)
    assert desk.statuses == ["answered"] * 10
    assert rejections(desk) == {"unknown or spent key": 10}
    assert desk.server.rejected_queries == {}
    assert desk.link.tape.alarms == [("server", "unknown or spent key")] * 10


def test_a_share_is_replayed():
    """A replay of a fraction repeats about that fraction, and none at all if that is zero."""
    for fraction, low, high in ((0.0, 0, 0), (0.5, 120, 280)):  # 400 fair coins: 8 standard deviations
        desk = asking(
            attacks=[(Window(), Replay(fraction, after=0.1))], workload={"budget": 400, "rate_hz": 10.0}
        ).run(60.0)
        assert low <= sum(rejections(desk).values()) <= high


def test_replayed_answers_are_ignored():
    """A copy of an answer finds its query settled."""
    link = Link(bandwidth_bps=1e15)
    desk = Asking(link, key_bits=PLENTY)

    def meddle(frame, envelope):  # noqa: ARG001  the hook's
        if decode(envelope.body).kind == "answer" and copies.setdefault(envelope.sequence, 0) < 3:
            copies[envelope.sequence] += 1
            link.env.process(later(envelope))

    def later(envelope):
        yield link.env.timeout(0.0003)
        link.to_alice.send(envelope)

    copies = {}
    link.wire.meddle = meddle
    desk.run(30.0)
    assert copies == dict.fromkeys(range(10), 3)
    assert desk.statuses == ["answered"] * 10
    assert all(query.answer == query.truth for query in desk.queries)
    assert not link.tape.alarms
    assert link.keys[0].incoming.handed_out_bits == 10 * link.layout.answer_key_bits


def test_a_cut_line_loses_queries():
    """With the classical channel cut, queries sent in the meantime are lost and later ones answered."""
    attacks = [(Window(3.5, 6.5), Cut("classical"))]
    desk = asking(attacks=attacks, workload={"timeout_s": 0.5}).run(30.0)
    assert desk.statuses == ["answered"] * 3 + ["lost"] * 3 + ["answered"] * 4


def forge(desk, message, at_s=0.0, receiver="server"):
    """Eve sends a message of her own making to Bob's site (or to Alice's)."""

    def process():
        yield desk.link.env.timeout(at_s)
        channel = desk.link.to_bob if receiver == "server" else desk.link.to_alice
        body = message if isinstance(message, bytes) else message.encode()
        channel.send(Envelope("eve", receiver, Envelope.QUERIES, 0, body))

    desk.link.env.process(process())


UNUSED = _key_id(1, 100 * 288, 288).bytes
"""ID of a query's key that no client has come to."""

BAD_QUERIES = {
    "no such key": (Query(1, 0, _key_id(1, PLENTY, 288).bytes, bytes(20)), "unknown or spent key"),
    "no key ID": (Query(1, 0, b"", bytes(20)), "unknown or spent key"),
    "a long key ID": (Query(1, 0, bytes(17), bytes(20)), "unknown or spent key"),
    "a key of all there is": (Query(1, 0, _key_id(1, 0, PLENTY).bytes, bytes(20)), "unknown or spent key"),
    "a small key": (Query(1, 0, _key_id(1, 0, 8).bytes, bytes(20)), "unknown or spent key"),
    "an answer's key": (Query(1, 0, _key_id(2, 0, 288).bytes, bytes(20)), "unknown or spent key"),
    "a guessed tag": (Query(1, 0, UNUSED, bytes(20)), "mac"),
    "nothing sealed": (Query(1, 0, UNUSED, b""), "mac"),
    "too much sealed": (Query(1, 0, UNUSED, bytes(10_000)), "mac"),
    "numbers out of range": (Query(-(2**63), 2**63 - 1, UNUSED, bytes(20)), "mac"),
    "an answer": (Answer(1, 0, _key_id(2, 0, 264).bytes, bytes(17)), "malformed_message"),
    "another message": (Sample(np.ones(3, np.uint8)), "malformed_message"),
    "nothing": (b"", "malformed_message"),
    "garbage": (b"\xff" * 40, "malformed_message"),
}


@pytest.mark.parametrize("name", BAD_QUERIES)
def test_forged_queries_are_rejected(name):
    """Whatever Eve makes up is rejected with its reason and an alarm, and costs one query's key at most."""
    message, reason = BAD_QUERIES[name]
    desk = asking(workload={"budget": 3})
    forge(desk, message, at_s=5.0)
    desk.run(30.0)
    assert rejections(desk) == {reason: 1}
    assert desk.link.tape.alarms == [("server", reason)]
    assert desk.statuses == ["answered"] * 3
    spent = desk.link.keys[1].incoming.handed_out_bits
    assert spent <= 4 * desk.link.layout.query_key_bits


BAD_ANSWERS = {
    "no such key": Answer(1, 0, _key_id(2, PLENTY, 264).bytes, bytes(17)),
    "no key ID": Answer(1, 0, b"", bytes(17)),
    "a key of all there is": Answer(1, 0, _key_id(2, 0, 65536).bytes, bytes(17)),
    "a guessed tag": Answer(1, 0, _key_id(2, 0, 264).bytes, bytes(17)),
    "nothing sealed": Answer(1, 0, _key_id(2, 0, 264).bytes, b""),
}


@pytest.mark.parametrize("query_mac", [True, False])
@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_forged_answers_are_rejected(name, query_mac):
    """What does not open ends the query it claims to answer, costs one answer's key at most, and nothing else."""
    desk = asking(query_mac=query_mac, workload={"budget": 2}, capacity={"service_s": 0.4})
    forge(desk, BAD_ANSWERS[name], at_s=1.1, receiver="client-1")
    desk.run(30.0)
    assert desk.statuses[0] == "rejected"
    assert desk.queries[0].reason in ("answer: mac", "answer: unknown key")
    assert desk.link.keys[0].incoming.handed_out_bits <= 3 * desk.link.layout.answer_key_bits
    if name != "a guessed tag":  # that one's key is gone, so the true answer under it will not open
        assert desk.statuses[1] == "answered"


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xff" * 9,
        Sample(np.ones(3, np.uint8)),
        Answer(1, 77, bytes(16), b""),
        Answer(2, 0, bytes(16), b""),
    ],
    ids=["nothing", "garbage", "no answer", "to no query", "to somebody else"],
)
def test_what_is_no_answer_is_ignored(message):
    """A client that waits is not moved by anything but an answer to its query."""
    desk = asking(workload=ONE, capacity={"service_s": 0.4})
    forge(desk, message, at_s=1.1, receiver="client-1")
    desk.run(30.0)
    assert desk.statuses == ["answered"]
    assert len(desk.link.tape.of("answer_ignored")) == 1


@settings(deadline=None, max_examples=40)
@given(bodies=st.lists(st.binary(max_size=80), min_size=1, max_size=5), query_mac=st.booleans())
def test_garbage_kills_neither_server_nor_client(bodies, query_mac):
    """Any bytes at all, to both: the query on its way is answered all the same."""
    desk = asking(query_mac=query_mac, workload=ONE)
    for body in bodies:
        forge(desk, body, at_s=1.0)
        forge(desk, body, at_s=1.0, receiver="client-1")
        # The same behind a valid kind, so that it gets as far as the fields.
        for kind in (Query, Answer):
            forge(desk, bytes([kind.code]) + body, at_s=1.0)
            forge(desk, bytes([kind.code]) + body, at_s=1.0, receiver="client-1")
    desk.run(10.0)
    assert desk.statuses == ["answered"]


@pytest.mark.parametrize("query_mac", [True, False])
@pytest.mark.slow
def test_changed_bytes_kill_nobody_and_fool_nobody(query_mac):
    """One flipped bit anywhere in any frame: no crash; with a MAC, no client ever takes a wrong answer for a right one."""
    answered = 0
    for seed in range(40):
        link = Link(query_mac=query_mac, seed=seed, bandwidth_bps=1e15)
        desk = Asking(link, clients=2, key_bits=PLENTY, workload={"budget": 20, "timeout_s": 0.5})
        rng = np.random.default_rng(seed)

        def meddle(frame, _, rng=rng):
            if rng.random() < 0.5:
                frame.data = flip_bit(frame.data, rng)

        link.wire.meddle = meddle
        desk.run(40.0)
        assert "pending" not in desk.statuses
        right = [query.answer == query.truth for query in desk.queries if query.status == "answered"]
        answered += len(right)
        assert all(right) or not query_mac
    assert answered > 200


def test_no_key_serves_two_messages():
    """Over many queries with tampering, replays and cuts, no bit of key leaves a store twice."""
    attacks = [
        (Window(2.0, 6.0), Tamper(("query", "answer"), 2, 0.5)),
        (Window(4.0, 9.0), Replay(0.7, after=0.2)),
        (Window(7.0, 8.0), Cut("classical")),
    ]
    desk = asking(attacks=attacks, clients=3, workload={"budget": 60, "rate_hz": 5.0}).run(60.0)
    for kme in desk.link.keys:
        places = sorted(address_of(key_id) for key_id in kme.issued)
        assert all(a + size <= b for (a, size), (b, _) in itertools.pairwise(places))
        assert kme.incoming.handed_out_bits == sum(address_of(key_id)[1] for key_id in kme.fetched)
    assert not set(desk.link.keys[0].fetched) - set(desk.link.keys[1].issued)
    assert not set(desk.link.keys[1].fetched) - set(desk.link.keys[0].issued)


def test_periodic_arrivals():
    """Periodic queries come one period after the start and every period from then on."""
    desk = asking(workload={"rate_hz": 4.0, "start_s": 1.5, "budget": 8}).run(10.0)
    assert [q.created_s for q in desk.queries] == pytest.approx([1.5 + 0.25 * (i + 1) for i in range(8)])


def test_poisson_arrivals():
    """Poisson queries have independent exponential gaps: right in the mean, in the variance, and from gap to gap.

    With 4000 gaps the mean of an exponential of mean 1 has standard deviation 0.016, its median's share 0.0079, the
    correlation of neighbours 0.016: 6.2 of them each (false failure 1e-9) are far below what periodic, or doubled, arrivals show.
    """
    desk = asking(
        key_bits=0, workload={"arrivals": "poisson", "rate_hz": 20.0, "budget": 4000, "patience_s": 0.0}
    )
    desk.run(1000.0)
    times = np.array([query.created_s for query in desk.queries])
    assert len(times) == 4000
    gaps = 20.0 * np.diff(times, prepend=0.0)
    limit = 6.2 / math.sqrt(len(gaps))
    assert limit > math.sqrt(2 * math.log(2 / FALSE_FAILURE) / len(gaps)) * 0.9
    assert abs(gaps.mean() - 1.0) < limit
    assert abs(np.mean(gaps < math.log(2)) - 0.5) < limit / 2
    assert abs(np.mean((gaps[1:] - 1.0) * (gaps[:-1] - 1.0))) < limit


def test_clients_do_not_share_their_randomness():
    """Two clients of one workload ask different things at different times."""
    desk = asking(clients=2, workload={"arrivals": "poisson", "budget": 20}).run(200.0)
    one, other = (client.queries for client in desk.clients)
    assert [q.created_s for q in one] != [q.created_s for q in other]
    assert [q.plaintext for q in one] != [q.plaintext for q in other]


def test_the_truth_belongs_to_the_question():
    """What a client asked decodes to one of its questions, and the recorded truth is that one's."""
    desk = asking().run(30.0)
    for query in desk.queries:
        assert query.truth == int(fixed_point.decode(query.plaintext)[0] > 0.5)
