"""Alice and Bob where both send and a relay between them measures: what is different before their conversation, which is the usual one.

Read it beside alice.py and bob.py. The relay's word decides only which pulses are talked about and whether Bob turns a bit over; what it is
worth shows in the errors.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import MalformedMessage
from netsim.messages import BellStates, Envelope, decode
from netsim.photonics.bell import Heralds
from netsim.photonics.record import Clicks, Heralded, Record
from netsim.photonics.train import Train
from nodes.alice import Alice
from nodes.bob import Bob
from nodes.link import LinkParameters, Post

RELAY = "charlie"
"""What the relay calls itself; who says so need not be it."""

_Sent = TypeVar("_Sent")

Flips = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]
"""uint8[m] settings of Bob's and uint8[m] Bell states → uint8[m], where he turns his bit over."""


class RelayedAlice(Alice):
    """The sender who reconciles: she has an outcome where the relay announced one to her as well."""

    def __init__(self, post: Post, link: LinkParameters, send_light: Callable[[Train], None]) -> None:
        super().__init__(post, link, send_light)
        self._sent: dict[int, Record] = {}

    def keep(self, block: int, record: Record) -> None:
        """Remember what was sent until the relay has announced what of it counts."""
        self._sent[block] = record

    def on_envelope(self, envelope: Envelope) -> None:
        """A message of Bob's, or the relay's announcement."""
        if envelope.sender != RELAY:
            super().on_envelope(envelope)
            return
        sent = _taken(self._sent, envelope.session)
        if sent is not None:
            heralds = announced(envelope, self.link.block_pulses)
            super().keep(envelope.session, Heralded(sent, heralds.slots))


class RelayedBob(Bob):
    """The sender who corrects: the relay's announcement stands in the place of his detectors.

    Args:
        post: where he stands.
        link: what the two have agreed on.
        send_light: puts a train on the fibre to the relay.
        flips: where he turns his bit over.
    """

    def __init__(
        self, post: Post, link: LinkParameters, send_light: Callable[[Train], None], flips: Flips
    ) -> None:
        super().__init__(post, link)
        self._send_light = send_light
        self._flips = flips
        self._sent: dict[int, tuple[float, Record]] = {}

    def run(self, until_s: float) -> Generator[simpy.Event, Any, None]:
        """Send one train after another, in step with Alice's."""
        link, protocol = self.link, self.link.protocol
        for block in itertools.count():
            if self.env.now + link.block_s > until_s + 1e-9:
                return
            light, record = link.emitter.prepare(
                protocol.states, protocol.bob_choice, link.block_pulses, block, self.env.now, self.post.random
            )
            self._sent[block] = self.env.now, record
            self._send_light(light)
            yield self.env.timeout(link.block_s)

    def on_envelope(self, envelope: Envelope) -> None:
        """A message of Alice's, or the relay's announcement: then he takes over as if he had detected."""
        if envelope.sender != RELAY:
            super().on_envelope(envelope)
            return
        sent = _taken(self._sent, envelope.session)
        if sent is not None:
            start_s, record = sent
            clicks = self._clicks(record, announced(envelope, self.link.block_pulses))
            self.env.process(self.distil(envelope.session, start_s, clicks))

    def _clicks(self, record: Record, heralds: Heralds) -> Clicks:
        """His side of what was announced, turned over so that it agrees with Alice's."""
        mine = record.rounds(heralds.slots)
        outcomes = mine.outcomes ^ self._flips(mine.settings, heralds.states)
        several = self.link.protocol.bob_intensities > 1
        intensities = mine.intensities if several else mine.intensities[:0]
        return Clicks(heralds.slots, mine.settings, outcomes, None, intensities)


def announced(envelope: Envelope, pulses: int) -> Heralds:
    """What a relay announces of a block of so many pulses; nothing where it makes no sense, as nobody need believe it."""
    try:
        message = decode(envelope.body)
    except MalformedMessage:
        message = None
    if isinstance(message, BellStates):
        slots, plus = message.slots, message.plus
        if len(slots) == len(plus) and (not len(slots) or int(slots[-1]) < pulses):
            return Heralds(slots, plus)
    return Heralds(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.uint8))


def _taken(sent: dict[int, _Sent], block: int) -> _Sent | None:
    """What was sent in a block, once, and None where nothing was; what earlier blocks sent goes too, as a channel keeps order."""
    found = sent.pop(block, None)
    for old in [b for b in sent if found is not None and b < block]:
        del sent[old]
    return found
