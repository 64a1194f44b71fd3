"""Channels: how long things take, in what order they arrive, and what becomes of what is lost."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import simpy
from hypothesis import given
from hypothesis import strategies as st

from netsim.channel import ChannelParameters, ClassicalChannel, Conditions, QuantumChannel
from netsim.fabric.base import Frame
from netsim.fabric.direct import DirectFabric
from netsim.messages import Envelope
from netsim.photonics.emitter import Emitter
from netsim.topology import Site, Topology
from netsim.window import Window

WIRE_BYTES = 125  # of every message here: 1 ms at 1 Mbit/s
SLOW = ChannelParameters(bandwidth_bps=1e6)


class Story:
    """A channel of 100 km past Eve, and a log of what arrived and when, in µs."""

    def __init__(
        self,
        parameters: ChannelParameters,
        on_frame: Callable[[Frame, float], None] = lambda *_: None,
        seed: int = 1,
    ) -> None:
        self.env = simpy.Environment()
        self.log: list[tuple[int, int]] = []
        self.on_frame_at = on_frame
        rng = np.random.default_rng(seed)
        sites = [Site("alice", 0.0), Site("eve", 50.0), Site("bob", 100.0)]
        fabric = DirectFabric(Topology(sites, 0.2, 0.0), rng)
        fabric.attach({"eve": self})
        self.channel = ClassicalChannel(self.env, fabric, "alice", "bob", self, parameters, rng)

    def on_frame(self, frame: Frame) -> None:
        """Eve's tap."""
        self.on_frame_at(frame, self.env.now)

    def on_photons(self, *_: object) -> None:
        """No light here."""

    def on_envelope(self, data: bytes) -> None:
        """Bob's inbox."""
        envelope = Envelope.decode(data)
        assert len(data) == WIRE_BYTES
        self.log.append((round(1e6 * self.env.now), envelope.sequence))

    def send(self, *sequences: int, at_s: float = 0.0) -> None:
        """Send messages of WIRE_BYTES at a time."""

        def later():
            yield self.env.timeout(at_s)
            for sequence in sequences:
                blank = Envelope("alice", "bob", 0, sequence, b"")
                body = bytes(WIRE_BYTES - len(blank.encode()))
                self.channel.send(Envelope("alice", "bob", 0, sequence, body))

        self.env.process(later())

    def run(self) -> list[tuple[int, int]]:
        """Let everything arrive."""
        self.env.run()
        return self.log


def fate_of(fates: list[str]) -> Callable[[Frame, float], None]:
    """An Eve who gives the first transmissions these fates and lets the rest pass."""
    left = list(fates)

    def on_frame(frame: Frame, _now_s: float) -> None:
        if left:
            frame.fate = left.pop(0)

    return on_frame


def test_a_message_takes_serialisation_and_five_microseconds_a_kilometre():
    """1000 bits at 1 Mbit/s over 100 km arrive after 1 ms + 0.5 ms; those behind wait their turn on the wire."""
    story = Story(SLOW)
    story.send(1, 2, 3)
    story.send(4, at_s=0.01)
    assert story.run() == [(1500, 1), (2500, 2), (3500, 3), (11500, 4)]
    assert (story.channel.sent_messages, story.channel.sent_bytes) == (4, 4 * WIRE_BYTES)
    assert (story.channel.retransmissions, story.channel.lost_messages) == (0, 0)


def test_latency_comes_on_top():
    """A channel's own latency adds to the fibre's."""
    story = Story(ChannelParameters(bandwidth_bps=1e6, latency_s=0.02))
    story.send(1, 2)
    assert story.run() == [(21500, 1), (22500, 2)]


def test_a_dropped_message_is_sent_again_and_holds_up_the_next():
    """Two drops cost 10 ms and 20 ms of waiting, a round trip and a transmission each; the message behind waits too."""
    story = Story(SLOW, fate_of(["dropped", "dropped"]))
    story.send(1, 2)
    # sent at 1, 13 and 35 ms: 1 + (10 + 1 + 1) + (20 + 1 + 1)
    assert story.run() == [(35500, 1), (36500, 2)]
    assert (story.channel.sent_messages, story.channel.retransmissions, story.channel.lost_messages) == (
        2,
        2,
        0,
    )
    assert story.channel.sent_bytes == 4 * WIRE_BYTES


def test_after_the_last_attempt_a_message_is_gone():
    """With two attempts, one retransmission is made; then the message is lost, and the next has its turn."""
    story = Story(ChannelParameters(bandwidth_bps=1e6, attempts=2), fate_of(["dropped", "dropped"]))
    story.send(1, 2)
    # 1 + (10 + 1 + 1) + (20 + 1), then the second message
    assert story.run() == [(35500, 2)]
    assert (story.channel.sent_messages, story.channel.retransmissions, story.channel.lost_messages) == (
        2,
        1,
        1,
    )


def test_a_taken_message_never_arrives_and_nobody_sends_it_again():
    """The sender of a message that Eve took believes that it arrived."""
    story = Story(SLOW, fate_of(["taken"]))
    story.send(1, 2)
    assert story.run() == [(2500, 2)]
    assert (story.channel.retransmissions, story.channel.lost_messages) == (0, 0)


def test_a_changed_message_arrives_changed():
    """What a tap writes into a frame is what the inbox gets."""

    def forge(frame: Frame, _now_s: float) -> None:
        frame.data = frame.data[:-1] + b"\x01"

    story = Story(SLOW, forge)
    arrived: list[bytes] = []
    story.on_envelope = arrived.append
    story.send(1)
    story.run()
    assert arrived[0][-1] == 1


def test_eve_sees_a_message_when_it_is_on_the_wire_each_time_anew():
    """The tap sees every transmission, after its serialisation."""
    seen = []

    def look(frame: Frame, now_s: float) -> None:
        seen.append(round(1e6 * now_s))
        if len(seen) == 1:
            frame.fate = "dropped"

    story = Story(SLOW, look)
    story.send(1, 2)
    story.run()
    assert seen == [1000, 13000, 14000]


def test_conditions_hold_while_their_window_is_open():
    """Delay between 2.5 ms and 4.5 ms: messages sent then are late, and the first one after waits behind them."""
    conditions = (Conditions(Window(0.0025, 0.0045), delay_s=0.003),)
    story = Story(ChannelParameters(bandwidth_bps=1e6, conditions=conditions))
    story.send(1, 2, 3, 4, 5, 6, 7, 8)
    assert story.run() == [
        (1500, 1),
        (2500, 2),
        (6500, 3),
        (7500, 4),
        (7500, 5),
        (7500, 6),
        (7500, 7),
        (8500, 8),
    ]


def test_loss_in_a_window_ends_with_it():
    """A message sent into a dead channel arrives by the first retry after it is alive again."""
    conditions = (Conditions(Window(0.0, 0.02), loss=1.0),)
    story = Story(ChannelParameters(bandwidth_bps=1e6, conditions=conditions))
    story.send(1)
    # sent at 1, 13 and 35 ms
    assert story.run() == [(35500, 1)]
    assert story.channel.retransmissions == 2


def test_losses_compound():
    """Half lost, and half of the rest while a window is open: a quarter gets through at the first attempt."""
    conditions = (Conditions(Window(), loss=0.5), Conditions(Window(1e9), loss=1.0))
    story = Story(ChannelParameters(loss=0.5, attempts=1, conditions=conditions))
    story.send(*range(4000))
    arrived = len(story.run())
    assert story.channel.lost_messages == 4000 - arrived
    # binomial(4000, 1/4): beyond 1000 ± 170 in 6e-10 of all runs; one loss alone would give 2000
    assert abs(arrived - 1000) <= 170


@given(
    seed=st.integers(0, 2**32),
    jitter_s=st.sampled_from([1e-6, 1e-3, 0.3, 7.0]),
    loss=st.sampled_from([0.0, 0.3]),
)
def test_what_was_sent_first_arrives_first(seed, jitter_s, loss):
    """Whatever jitter and loss do, messages arrive in the order they were sent, each once."""
    conditions = (Conditions(Window(0.001, 0.004), jitter_s=jitter_s, loss=loss),)
    story = Story(ChannelParameters(bandwidth_bps=1e6, jitter_s=jitter_s, conditions=conditions), seed=seed)
    story.send(*range(30))
    arrived = story.run()
    assert [sequence for _, sequence in arrived] == sorted({sequence for _, sequence in arrived})
    assert len(arrived) == 30 - story.channel.lost_messages


def test_messages_due_at_one_instant_keep_their_order():
    """Two hundred runs in which one late message holds up many: float rounding never lets one overtake."""
    for seed in range(200):
        story = Story(ChannelParameters(bandwidth_bps=1e5, jitter_s=0.3), seed=seed)
        story.send(*range(30))
        assert [sequence for _, sequence in story.run()] == list(range(30))


def test_jitter_is_uniform_up_to_its_bound():
    """A lone message is late by anything between 0 and the jitter, and by half of it on average."""
    late = []
    for seed in range(1000):
        story = Story(ChannelParameters(bandwidth_bps=1e12, jitter_s=0.1), seed=seed)
        story.send(1)
        late.append(story.run()[0][0] / 1e6 - 0.0005)
    assert -1e-6 <= min(late) < 0.001
    assert 0.099 < max(late) <= 0.1 + 1e-6
    # Hoeffding: the mean of 1000 values in [0, 0.1] is off by more than 0.0104 in 1e-9 of all runs
    assert abs(np.mean(late) - 0.05) < 0.0104


@pytest.mark.parametrize(("sender", "receiver", "km"), [("alice", "bob", 100), ("bob", "eve", 50)])
def test_a_train_arrives_when_its_last_pulse_does(sender, receiver, km):
    """1000 pulses at 1 MHz take 1 ms, and the way 5 µs a kilometre; the light itself passes the taps at once."""
    env = simpy.Environment()
    sites = [Site("alice", 0.0), Site("eve", 50.0), Site("bob", 100.0)]
    fabric = DirectFabric(Topology(sites, 0.2, 0.0), np.random.default_rng(1))
    arrived = []
    channel = QuantumChannel(env, fabric, sender, receiver, lambda train: arrived.append((env.now, train)))
    train = Emitter(1e6).photons(np.zeros(1000, np.uint8), 0, 0.0)
    channel.send(train)
    assert channel.delay_s == pytest.approx(5e-6 * km)
    env.run()
    assert arrived == [(pytest.approx(1e-3 + 5e-6 * km), train)]
