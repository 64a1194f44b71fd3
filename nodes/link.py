"""What Alice and Bob have in common: the link's parameters, a block's result, and the post of each party."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.key_length.finite_key import KeyLength
from netsim.keys.ledger import Ledger
from netsim.messages import Envelope
from netsim.photonics.detector import Receiver
from netsim.photonics.emitter import Emitter
from netsim.photonics.record import Monitors
from netsim.postprocessing.reconciliation import CASCADE, Reconciliation
from netsim.protocols.estimate import Estimate
from netsim.protocols.protocol import AbortThresholds, Protocol, Security
from netsim.random_streams import Streams
from nodes.alarm import SequentialAlarm
from nodes.kme import KeyManager
from nodes.monitors import Entrance
from nodes.observer import Observer
from nodes.session import TagKeys


@dataclasses.dataclass(frozen=True)
class LinkParameters:
    """What both parties have agreed on.

    Attributes:
        protocol: BB84, E91 or one of their kin.
        block_pulses: pulses, or pairs, in a block.
        emitter: the source.
        receiver: the detectors, the same at both ends.
        test_fraction: share of the sifted bits revealed.
        thresholds: when to abort.
        security: ε of a block.
        timeout_s: how long to wait for a message.
        forward_share: share of the key that Alice's site issues; the rest is Bob's site's.
        reconciliation: the code that makes the two keys equal.
    """

    protocol: Protocol
    block_pulses: int
    emitter: Emitter
    receiver: Receiver
    test_fraction: float
    thresholds: AbortThresholds
    security: Security
    timeout_s: float
    forward_share: float
    reconciliation: Reconciliation = CASCADE

    @property
    def block_s(self) -> float:
        """How long a block's train takes."""
        return self.block_pulses / self.emitter.rate_hz


STEPS = ("light", "announcement", "sifting", "reconciliation", "delivery")
"""A block's time, as Alice sees it: until the last pulse has left, what was detected is announced, the sample is compared, the
hash of Bob's key is that of hers, and the key is handed over. Computing takes no simulated time, light and messages do."""


@dataclasses.dataclass
class BlockResult:
    """What became of a block, as one side knows it.

    Attributes:
        block: its number.
        start_s: when its first pulse left.
        end_s: when this side was done with it; None while it is not.
        accepted: whether it gave key.
        reason: why not, "" if it did or is not done.
        estimate: of errors and correlators, once made.
        ledger: its bits.
        rounds: messages Bob asked in reconciliation.
        reached_s: when each of `STEPS` was over, in order, as far as it came.
        corrected_bits: errors that reconciliation found (Bob's side).
        detected: detections at each intensity.
        sifted: of those with matching settings, at each setting and intensity.
        monitors: what this side's instruments said; None where it has none.
        bound: the key length with its terms, once computed.
        eps_auth: bound on the probability of a forgery that went unnoticed.
        key: uint8[n], the final key (for the referee; nodes do not read it again).
        sifted_key: uint8[n], the key before amplification; Bob's after its errors are corrected (for the referee).
    """

    block: int
    start_s: float
    ledger: Ledger
    end_s: float | None = None
    accepted: bool = False
    reason: str = ""
    estimate: Estimate | None = None
    rounds: int = 0
    reached_s: list[float] = dataclasses.field(default_factory=list)
    corrected_bits: int = 0
    detected: tuple[int, ...] = ()
    sifted: tuple[tuple[int, ...], ...] = ()
    monitors: Monitors | None = None
    bound: KeyLength | None = None
    eps_auth: float = 1.0
    key: NDArray[np.uint8] = dataclasses.field(default_factory=lambda: np.empty(0, np.uint8), repr=False)
    sifted_key: NDArray[np.uint8] = dataclasses.field(
        default_factory=lambda: np.empty(0, np.uint8), repr=False
    )

    def forget_bits(self) -> None:
        """Let go of the bits; what was counted stays."""
        self.key = self.sifted_key = np.empty(0, np.uint8)


@dataclasses.dataclass(frozen=True)
class Post:
    """Where a party stands: its name, who it talks to and how, its site's key management, its randomness.

    Attributes:
        env: the simulation.
        name: what it calls itself.
        peer: whom it talks to.
        send: puts an envelope on its way to the peer.
        keys: the site's KME.
        pool: what its tags are made from.
        streams: named randomness; the party prefixes its `role`.
        role: prefix of its random streams.
        observer: who keeps the record.
        alarm: watches the telemetry; None where nothing does.
        entrance: of this side's source, where a power monitor watches it.
    """

    env: simpy.Environment
    name: str
    peer: str
    send: Callable[[Envelope], None]
    keys: KeyManager
    pool: TagKeys
    streams: Streams
    role: str
    observer: Observer
    alarm: SequentialAlarm | None = None
    entrance: Entrance | None = None

    def random(self, purpose: str) -> np.random.Generator:
        """The party's randomness for one purpose."""
        return self.streams(f"{self.role}/{purpose}")
