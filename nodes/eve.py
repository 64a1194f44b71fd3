"""Eve: a tap on both channels, a list of attacks, each in its window, and a notebook of what she learned."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Generator, Sequence
from typing import Any

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import MalformedMessage
from netsim.fabric.base import Frame
from netsim.messages import Amplification, Detections, Envelope, Message, Sifting, decode, kind_of
from netsim.photonics.bell import Heralds
from netsim.photonics.light import BORN, GUESS_0, GUESS_1, NOTHING, OPPOSITE, STATES
from netsim.photonics.registers import RegisterTrain
from netsim.photonics.train import NO_PHOTON, Notes, Train, Written
from netsim.postprocessing import privacy_amplification
from netsim.protocols.protocol import Protocol
from netsim.random_streams import Streams, random_bits
from netsim.window import Window
from nodes.attacks.action import Action
from nodes.attacks.classical import Impersonate
from nodes.attacks.surroundings import Surroundings
from nodes.charlie import Bench
from nodes.double import Double


def _bit_0() -> NDArray[np.float64]:
    """float64[note, axis]: how likely bit 0 is, seen from a note, once the axis is announced."""
    table = np.full((256, STATES), 0.5)
    table[:STATES] = BORN
    table[GUESS_0], table[GUESS_1] = 0.6, 0.4  # better than a coin, and worse than any state she holds
    return table


UNSURE = 3
"""Kind of a guess that rests on nothing."""

_BIT_0 = _bit_0()


@dataclasses.dataclass(frozen=True)
class Guess:
    """What Eve makes of a block's sifted key.

    Attributes:
        bits: uint8[n], her best guess of each bit; a coin where she knows nothing.
        kind: int16[n], what it rests on: 4 times the number of her notes, plus how the state she noted lies to the key's axis (0 along
            it, 1 at 45° on the sphere); UNSURE where it rests on nothing.
    """

    bits: NDArray[np.uint8]
    kind: NDArray[np.int16]


class Notebook:
    """What Eve wrote down: her measurements, what was said in public about those blocks, queries she read."""

    def __init__(self) -> None:
        self._notes: dict[int, list[Notes]] = {}
        self._heard: dict[int, dict[str, Message]] = {}
        self.bounds: dict[int, float] = {}
        self.queries: dict[tuple[int, int], bytes] = {}
        self.traffic: collections.Counter[tuple[str, str, int]] = collections.Counter()

    def note(self, block: int, notes: Notes) -> None:
        """Notes about pulses of a block."""
        self._notes.setdefault(block, []).append(notes)

    def measured(
        self, block: int, where: slice, settings: NDArray[np.uint8], outcomes: NDArray[np.int8]
    ) -> None:
        """Pulses `where` of a block, measured at these settings, gave these outcomes."""
        found = np.where(outcomes == 1, OPPOSITE[settings], settings)
        found[outcomes == NO_PHOTON] = NOTHING
        self.note(block, Written(where.start, found))

    def overheard(self, kind: str, client: str, length_bytes: int) -> None:
        """An envelope of a query or an answer went by."""
        self.traffic[kind, client, length_bytes] += 1

    def bound(self, block: int, bits_per_bit: float) -> None:
        """She may learn up to so much more per sifted bit by measuring what she kept all together."""
        if bits_per_bit:
            self.bounds[block] = self.bounds.get(block, 0.0) + bits_per_bit

    def forget(self, block: int) -> None:
        """The block is over and judged."""
        self._notes.pop(block, None)
        self._heard.pop(block, None)
        self.bounds.pop(block, None)

    def heard(self, envelope: Envelope) -> None:
        """Something was said about a block; it is worth noting if she measured some of it."""
        block = envelope.session
        if block in self._notes and kind_of(envelope.body) in ("detections", "sifting", "amplification"):
            try:
                message = decode(envelope.body)
            except MalformedMessage:
                return
            self._heard.setdefault(block, {})[message.kind] = message

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks she noted something about."""
        return tuple(self._notes)

    def guess_sifted(self, block: int, protocol: Protocol, rng: np.random.Generator) -> Guess | None:
        """Her best guess of the sifted key; None if sifting was never announced."""
        heard = self._heard.get(block, {})
        detections, sifting = heard.get("detections"), heard.get("sifting")
        if not isinstance(detections, Detections) or not isinstance(sifting, Sifting):
            return None
        both = sifting.clicked.astype(np.bool_)
        if len(both) != len(detections.slots) or len(sifting.settings) != int(np.sum(both)):
            return None
        kept = protocol.key_rounds(sifting.settings, detections.settings[both]) & ~sifting.revealed.astype(
            np.bool_
        )
        slots, axes = detections.slots[both][kept], protocol.alice_angles[sifting.settings[kept]]

        bits, kind = random_bits(len(slots), rng), np.full(len(slots), UNSURE, dtype=np.int16)
        certainty = np.zeros(len(slots))
        for number, notes in enumerate(self._notes[block]):
            zero = _BIT_0[notes.at(slots), axes]
            better = np.flatnonzero(np.abs(zero - 0.5) > certainty + 1e-9)
            certainty[better] = np.abs(zero[better] - 0.5)
            bits[better] = zero[better] < 0.5
            kind[better] = 4 * number + (certainty[better] < 0.5)
        return Guess(bits, kind)

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
        knows: the link as its enemy knows it.
    """

    def __init__(
        self,
        env: simpy.Environment,
        attacks: Sequence[tuple[Window, Action]],
        streams: Streams,
        inject: Callable[[Envelope], None],
        double: Double,
        knows: Surroundings,
    ) -> None:
        self._env = env
        self._attacks = tuple(attacks)
        self._streams = streams
        self._inject = inject
        self.double = double
        self.knows = knows
        double.read = self._read
        self.notebook = Notebook()

    def random(self, purpose: str) -> np.random.Generator:
        """Her randomness for one purpose."""
        return self._streams(f"eve/{purpose}")

    def on_photons(self, train: Train, where: slice, receiver: str) -> None:
        """Pulses pass."""
        impersonating = False
        queries = isinstance(train, RegisterTrain)
        for window, attack in self._attacks:
            if queries and not attack.takes_registers():
                continue
            if isinstance(attack, Impersonate):  # a block is hers as a whole or not at all, and only once
                part = where if window.covers(train.start_s) and not impersonating else slice(0, 0)
                impersonating = impersonating or part == where
            else:
                part = window.pulses(train.start_s, train.rate_hz, where)
            if part.start < part.stop:
                attack.on_photons(self, train, part, receiver)
                share = (part.stop - part.start) / len(train)
                self.notebook.bound(train.block, share * attack.holevo_bits_per_bit(self.knows))

    def on_relay(self, bench: Bench, one: Train, other: Train) -> Heralds | None:
        """Both trains of a block have reached the relay: what it is to announce if it is hers, None if it is not."""
        for window, attack in self._attacks:
            if window.covers(one.start_s):
                heralds = attack.on_relay(self, bench, one, other)
                if heralds is not None:
                    return heralds
        return None

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
