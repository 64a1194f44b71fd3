"""The man in the middle's two faces: a Bob who talks to Alice, an Alice who talks to Bob.

She runs the same protocol code as they do, back to back. Where messages are authenticated she has no key for the tags and can only guess.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable, Generator
from typing import Any

import numpy as np
import simpy

from netsim.errors import KeyExhausted, MalformedMessage, SealBroken
from netsim.fabric.base import Frame
from netsim.keys.one_time_pad import seal, unseal
from netsim.messages import Answer, Envelope, Query, decode
from netsim.photonics.record import Clicks
from netsim.photonics.train import Train
from nodes.alice import Alice
from nodes.bob import Bob
from nodes.kme import KeyManager
from nodes.queries import QueryFormat

FIRST_ADDRESS = 2**40
"""Where her keys with Bob begin: out of the way of Alice's."""


class Double:
    """Eve between Alice and Bob.

    Args:
        env: the simulation.
        as_alice: her face towards Bob.
        as_bob: her face towards Alice.
        layout: sizes of query and answer.
        behind: transmittance of the fibre that her own light does not pass; she loses as much on purpose.
    """

    def __init__(
        self, env: simpy.Environment, as_alice: Alice, as_bob: Bob, layout: QueryFormat, behind: float = 1.0
    ) -> None:
        self._env = env
        self.as_alice = as_alice
        self.as_bob = as_bob
        self._layout = layout
        self._behind = behind
        self._blocks: set[int] = set()
        self._light: Train | None = None
        self._caught: list[tuple[int, Clicks]] = []
        self.read: Callable[[int, int, bytes], None] = lambda *_: None

    @property
    def blocks(self) -> frozenset[int]:
        """The blocks that she took."""
        return frozenset(self._blocks)

    def on_photons(self, train: Train, where: slice, receiver: str) -> None:
        """Measure what comes as its receiver would, and send her own light on in its place.

        Pairs from a source in the middle may be caught on Alice's side: then it is the light caught that goes with Bob's.
        """
        catcher = self.as_bob if receiver == "bob" else self.as_alice
        if where.start == 0:
            self._begin(train, receiver)
        assert self._light is not None  # noqa: S101  begun with the first parcel
        protocol = catcher.link.protocol
        choice = protocol.bob_choice if receiver == "bob" else protocol.alice_choice
        self._caught.append((where.start, catcher.measure(train, choice, where)))
        train.replace(where, self._light)
        if where.stop == len(train):
            self._env.process(self._finish(train, receiver, _together(self._caught)))
            self._caught = []

    def _begin(self, train: Train, receiver: str) -> None:
        count, block = len(train), train.block
        self._blocks.add(block)
        self.as_bob.expect(block)
        if receiver == "bob":
            self._light = self.as_alice.emit(block)
            self._light.lose(slice(0, count), self._behind, self.as_alice.post.random("loss"))
        else:
            emitter, rng = self.as_alice.link.emitter, self.as_alice.post.random("source")
            self._light, kept = emitter.pairs(count, block, self._env.now, rng)
            self._env.process(self._keep(kept))
        self._env.process(self.as_alice.distil(block))

    def _keep(self, kept: Train) -> Generator[simpy.Event, Any, None]:
        yield self._env.timeout(kept.duration_s)
        self.as_bob.on_train(kept)

    def _finish(self, train: Train, receiver: str, caught: Clicks) -> Generator[simpy.Event, Any, None]:
        yield self._env.timeout(train.duration_s)
        if receiver == "bob":
            yield from self.as_bob.distil(train.block, train.start_s, caught)
        else:
            self.as_alice.keep(train.block, caught)

    def on_frame(self, frame: Frame, envelope: Envelope) -> None:
        """Take what is said about her blocks; open and seal again what she has the keys to."""
        if envelope.session in self._blocks:
            frame.fate = "taken"
            (self.as_bob if envelope.receiver == "bob" else self.as_alice).on_envelope(envelope)
        elif envelope.session == Envelope.QUERIES:
            frame.data = self._relayed(envelope).encode()

    def _relayed(self, envelope: Envelope) -> Envelope:
        """A query or answer under the keys of the other side, if she can read it; as it is if she cannot."""
        try:
            message = decode(envelope.body)
        except MalformedMessage:
            return envelope
        if isinstance(message, Query):
            return self._resealed(envelope, message, self.as_bob.post.keys, self.as_alice.post.keys)
        if isinstance(message, Answer):
            return self._resealed(envelope, message, self.as_alice.post.keys, self.as_bob.post.keys)
        return envelope

    def _resealed(
        self, envelope: Envelope, message: Query | Answer, opens: KeyManager, seals: KeyManager
    ) -> Envelope:
        mac = self._layout.mac
        if len(message.key_id) != 16 or not opens.holds(key_id := uuid.UUID(bytes=message.key_id)):
            return envelope
        key = opens.fetch_now(key_id)
        try:
            plaintext = unseal(message.sealed, message.header(), key.bits, mac)
        except SealBroken:
            return envelope
        if isinstance(message, Query):
            self.read(message.client, message.sequence, plaintext)
        try:
            fresh = seals.issue_now(len(key.bits))
        except KeyExhausted:
            return envelope
        blank = dataclasses.replace(message, key_id=fresh.key_id.bytes, sealed=b"")
        sealed = seal(plaintext, blank.header(), fresh.bits, mac)
        return dataclasses.replace(envelope, body=dataclasses.replace(blank, sealed=sealed).encode())


def _together(parcels: list[tuple[int, Clicks]]) -> Clicks:
    """What was caught of a train that came in parcels; her instruments are nobody's telemetry."""
    return Clicks(
        np.concatenate([clicks.slots + start for start, clicks in parcels]),
        np.concatenate([clicks.settings for _, clicks in parcels]),
        np.concatenate([clicks.outcomes for _, clicks in parcels]),
    )
