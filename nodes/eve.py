"""Eve: a tap on both channels, a list of attacks, each in its window, and a notebook of what she learned."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import MalformedMessage
from netsim.fabric.base import Frame
from netsim.messages import Amplification, Detections, Envelope, Message, Sifting, decode, kind_of
from netsim.photonics.train import NO_PHOTON, Train
from netsim.postprocessing import privacy_amplification
from netsim.protocols.protocol import Protocol
from netsim.random_streams import RandomStreams, random_bits
from netsim.window import Window
from nodes.attacks.action import Action
from nodes.attacks.classical import Impersonate
from nodes.double import Double


@dataclasses.dataclass(frozen=True)
class Guess:
    """What Eve makes of a block's sifted key.

    Attributes:
        bits: uint8[n], her best guess of each bit; a coin where she knows nothing.
        relation: uint8[n], how her setting lay to the key's: 0 same axis, 1 at 45° on the sphere, 2 at 90°, 3 not measured.
    """

    bits: NDArray[np.uint8]
    relation: NDArray[np.uint8]


class Notebook:
    """What Eve wrote down: her measurements, what was said in public about those blocks, queries she read."""

    def __init__(self) -> None:
        self._measured: dict[int, list[tuple[slice, NDArray[np.uint8], NDArray[np.int8]]]] = {}
        self._heard: dict[int, dict[str, Message]] = {}
        self.queries: dict[tuple[int, int], bytes] = {}

    def measured(
        self, block: int, where: slice, settings: NDArray[np.uint8], outcomes: NDArray[np.int8]
    ) -> None:
        """Pulses `where` of a block, measured at these angles, gave these outcomes."""
        self._measured.setdefault(block, []).append((where, settings, outcomes))

    def heard(self, envelope: Envelope) -> None:
        """Something was said about a block; it is worth noting if she measured some of it."""
        block = envelope.session
        if block in self._measured and kind_of(envelope.body) in ("detections", "sifting", "amplification"):
            try:
                message = decode(envelope.body)
            except MalformedMessage:
                return
            self._heard.setdefault(block, {})[message.kind] = message

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks she measured some of."""
        return tuple(self._measured)

    def guess_sifted(self, block: int, protocol: Protocol, rng: np.random.Generator) -> Guess | None:
        """Her best guess of the sifted key; None if sifting was never announced."""
        heard = self._heard.get(block, {})
        detections, sifting = heard.get("detections"), heard.get("sifting")
        if not isinstance(detections, Detections) or not isinstance(sifting, Sifting):
            return None
        both = sifting.clicked.astype(np.bool_)
        slots = np.flatnonzero(detections.clicked)[both]
        kept = protocol.key_rounds(sifting.settings, detections.settings[both]) & ~sifting.revealed.astype(
            np.bool_
        )
        slots, angles = slots[kept], protocol.alice_angles[sifting.settings[kept]]

        mine = np.zeros(len(detections.clicked), dtype=np.uint8)
        found = np.full(len(detections.clicked), NO_PHOTON, dtype=np.int8)
        for where, settings, outcomes in self._measured[block]:
            mine[where], found[where] = settings, outcomes
        turn = (angles - mine[slots]) & 7
        relation = np.minimum(turn, 8 - turn)
        bits = random_bits(len(slots), rng)
        known = (found[slots] != NO_PHOTON) & (relation != 2)
        bits[known] = found[slots][known] ^ (relation[known] > 2)
        distance = np.where(relation > 2, 4 - relation, relation).astype(np.uint8)
        distance[found[slots] == NO_PHOTON] = 3
        return Guess(bits, distance)

    def guess_final(self, block: int, sifted: Guess) -> NDArray[np.uint8] | None:
        """Her guess of the final key: her guess of the sifted one through the announced Toeplitz matrix."""
        amplification = self._heard.get(block, {}).get("amplification")
        if not isinstance(amplification, Amplification):
            return None
        n, length = len(sifted.bits), amplification.length
        if len(amplification.seed) != privacy_amplification.seed_length(n, length):
            return None
        return privacy_amplification.toeplitz(sifted.bits, amplification.seed, length)


class Eve:
    """The eavesdropper.

    Args:
        env: the simulation.
        attacks: what she does, and when.
        streams: named randomness.
        inject: puts an envelope on the channel from her to Bob's site.
        double: her two faces, for impersonation.
    """

    def __init__(
        self,
        env: simpy.Environment,
        attacks: Sequence[tuple[Window, Action]],
        streams: RandomStreams,
        inject: Callable[[Envelope], None],
        double: Double,
    ) -> None:
        self._env = env
        self._attacks = tuple(attacks)
        self._streams = streams
        self._inject = inject
        self.double = double
        double.read = self._read
        self.notebook = Notebook()

    def random(self, purpose: str) -> np.random.Generator:
        """Her randomness for one purpose."""
        return self._streams(f"eve/{purpose}")

    def on_photons(self, train: Train, where: slice, receiver: str) -> None:
        """Pulses pass."""
        impersonating = False
        for window, attack in self._attacks:
            if isinstance(attack, Impersonate):  # a block is hers as a whole or not at all, and only once
                part = where if window.covers(train.start_s) and not impersonating else slice(0, 0)
                impersonating = impersonating or part == where
            else:
                part = window.pulses(train.start_s, train.rate_hz, where)
            if part.start < part.stop:
                attack.on_photons(self, train, part, receiver)

    def on_frame(self, frame: Frame) -> None:
        """A message passes."""
        active = [attack for window, attack in self._attacks if self._concerns(window, attack)]
        if not active and not self.notebook.blocks:
            return
        try:
            envelope = Envelope.decode(frame.data)
        except MalformedMessage:
            return
        self.notebook.heard(envelope)
        for attack in active:
            if frame.fate == "passed":
                attack.on_frame(self, frame, Envelope.decode(frame.data))

    def _concerns(self, window: Window, attack: Action) -> bool:
        """Whether an attack looks at messages now: in its window, and for an impostor as long as she has blocks open or keys."""
        if isinstance(attack, Impersonate):
            return self._env.now >= window.at_s
        return window.covers(self._env.now)

    def inject(self, envelope: Envelope, after_s: float) -> None:
        """Send an envelope to Bob's site after a while."""

        def later() -> Generator[simpy.Event, Any, None]:
            yield self._env.timeout(after_s)
            self._inject(envelope)

        self._env.process(later())

    def _read(self, client: int, sequence: int, plaintext: bytes) -> None:
        self.notebook.queries[client, sequence] = plaintext
