"""The sections of a scenario file: their keys, defaults and limits.

Every field carries a `Reader`, which reads the file's spelling, spells it again and describes it in the JSON Schema.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netsim.postprocessing.reconciliation import CODES
from scenarios.inference_sections import ModelDefences, Playbook
from scenarios.readers import Choice, Flag, Integer, LossTable, Numbers, RealNumber, Section
from scenarios.units import (
    BITS,
    FRACTION,
    LENGTH,
    POWER,
    RATIO,
    TIME,
    BitsPerSecond,
    DecibelsPerKilometre,
    Fraction,
    Hertz,
    Kilometres,
    Limits,
    Quantity,
    Seconds,
)

PROTOCOLS = ("bb84", "e91", "bbm92", "six-state", "mdi")
"""The QKD protocols."""

AUTO = "auto"
"""Leaves the choice of the reconciliation code to the range."""


class Source(Section):
    """The source: Alice's, or of entangled pairs."""

    kind: Annotated[Literal["ideal", "weak-coherent", "spdc"], Choice(("ideal", "weak-coherent", "spdc"))] = (
        Field(
            default="ideal",
            description="ideal: one photon, or one pair, in each pulse; weak-coherent: laser pulses (bb84, mdi); "
            "spdc: pairs in thermal numbers (e91, bbm92)",
        )
    )
    intensities: Annotated[tuple[float, ...], Numbers(Limits(minimum=0, maximum=2), 3)] = Field(
        default=(0.5, 0.2, 0.0),
        strict=False,
        description="weak-coherent only: mean photon numbers, the signal first; two or three of them are decoys",
    )
    probabilities: Annotated[tuple[float, ...], Numbers(Limits(above=0, maximum=1), 3)] = Field(
        default=(0.4, 0.35, 0.25), strict=False, description="how often each intensity is sent"
    )
    fluctuation: Annotated[float, Quantity(FRACTION, Limits(minimum=0, maximum=0.2))] = Field(
        default=0.0, description="relative standard deviation of the mean photon number, pulse by pulse"
    )
    pair_mean: Annotated[float, RealNumber(Limits(above=0, maximum=0.25))] = Field(
        default=0.05, description="spdc only: half the mean number of pairs in a pulse"
    )
    isolation: Annotated[float, Quantity(RATIO, Limits(minimum=0))] = Field(
        default=60.0, description="against light that comes in from the fibre, there and back"
    )
    position: Annotated[Literal["alice", "middle"], Choice(("alice", "middle"))] = Field(
        default="alice", description="pairs only: where on the fibre it stands"
    )
    visibility: Fraction = Field(
        default=0.98, description="pairs: 1 is a perfect Φ+; mdi: of the interference at the relay"
    )


class Detector(Section):
    """The single-photon detectors."""

    efficiency: Annotated[float, Quantity(FRACTION, Limits(above=0, maximum=1))] = Field(
        default=0.8, description="probability that a photon that arrives is detected"
    )
    dark_counts: Annotated[float, Quantity(FRACTION, Limits(minimum=0, below=1))] = Field(
        default=1e-6, description="probability of a click without a photon, per gate and detector"
    )
    mismatch: Annotated[float, Quantity(FRACTION, Limits(above=0, maximum=1))] = Field(
        default=1.0, description="efficiency of detector 1 over that of detector 0"
    )
    timing_mismatch: Annotated[float, Quantity(FRACTION, Limits(above=0, maximum=1))] = Field(
        default=1.0,
        description="at the edges of the gate, efficiency of the weaker detector over the other's",
    )
    dead_time: Seconds = Field(default=0.0, description="both detectors are blind for so long after a click")
    afterpulse: Annotated[float, Quantity(FRACTION, Limits(minimum=0, below=0.5))] = Field(
        default=0.0, description="probability that a click makes the same detector click again later"
    )
    afterpulse_lifetime: Annotated[float, Quantity(TIME, Limits(above=0))] = Field(
        default=1e-6, description="mean time until then"
    )
    jitter: Seconds = Field(default=0.0, description="standard deviation of a photon's arrival in the gate")
    gate: Annotated[float, Quantity(TIME, Limits(above=0))] | None = Field(
        default=None, description="width of the gate; null takes in all of the pulse's slot"
    )
    basis_choice: Annotated[Literal["active", "passive"], Choice(("active", "passive"))] = Field(
        default="active",
        description="passive: a beam splitter chooses the basis, and light of some colours it sends one way",
    )


class Security(Section):
    """How secret and how equal a block's key has to be, and what the proof trusts."""

    epsilon_sec: Annotated[float, Quantity(FRACTION, Limits(minimum=1e-30, below=1))] = Field(
        default=1e-10, description="secrecy failure probability, per block"
    )
    epsilon_cor: Annotated[float, Quantity(FRACTION, Limits(minimum=1e-30, below=1))] = Field(
        default=1e-10, description="correctness failure probability, per block"
    )
    proof: Annotated[Literal["trusted", "device-independent"], Choice(("trusted", "device-independent"))] = (
        Field(default="trusted", description="whether the devices are trusted; device-independent needs e91")
    )
    multiphoton: Annotated[Literal["counted", "ignored"], Choice(("counted", "ignored"))] = Field(
        default="counted",
        description="weak pulses without decoys: whether those of several photons count as Eve's; ignored is false, to see what it costs",
    )


class Drift(Section):
    """Polarisation that wanders, and a loop that tracks it."""

    rate: Annotated[float, RealNumber(Limits(above=0, maximum=100))] = Field(
        description="standard deviation of the misalignment's angle after one second, in radians"
    )
    tracking: Annotated[float, Quantity(TIME, Limits(above=0))] | None = Field(
        default=None, description="how often a loop sets it back; null is never"
    )
    residual: Annotated[float, RealNumber(Limits(minimum=0, maximum=1))] = Field(
        default=0.0, description="standard deviation of the angle when it has just been set, in radians"
    )


class Coexistence(Section):
    """Classical channels in the same fibre: the light they scatter into the quantum channel (Raman)."""

    forward: Annotated[float, Quantity(POWER, Limits(minimum=0))] = Field(
        default=0.0, description="launch power of those that go Bob's way"
    )
    backward: Annotated[float, Quantity(POWER, Limits(minimum=0))] = Field(
        default=0.0, description="of those that go the other way"
    )
    cross_section: Annotated[float, RealNumber(Limits(minimum=0, maximum=1e-6))] = Field(
        default=2e-9, description="share of the power that is scattered, per km of fibre and nm of bandwidth"
    )
    filter_nm: Annotated[float, RealNumber(Limits(above=0, maximum=100))] = Field(
        default=0.8, description="width of the filter before Bob's detectors, in nm"
    )


class Satellite(Section):
    """A pass of a satellite that carries Alice: the loss over time, from geometry."""

    altitude: Annotated[float, Quantity(LENGTH, Limits(minimum=100, maximum=50_000))] = Field(
        default=500.0, description="of its orbit"
    )
    elevation: Annotated[float, RealNumber(Limits(above=10, maximum=90))] = Field(
        default=90.0, description="at culmination, in degrees; the pass begins and ends at 10"
    )
    begin: Seconds = Field(default=0.0, description="when the pass begins")
    transmitter: Annotated[float, Quantity(LENGTH, Limits(above=0, maximum=0.01))] = Field(
        default=0.0003, description="aperture of its telescope"
    )
    receiver: Annotated[float, Quantity(LENGTH, Limits(above=0, maximum=0.01))] = Field(
        default=0.001, description="aperture of Bob's"
    )
    optics: Annotated[float, Quantity(RATIO, Limits(minimum=0))] = Field(
        default=0.0, description="fixed losses of both telescopes"
    )


class Link(Section):
    """The quantum link between Alice and Bob."""

    protocol: Annotated[Literal["bb84", "e91", "bbm92", "six-state", "mdi"], Choice(PROTOCOLS)] = Field(
        description="the QKD protocol; bb84 with a weak-coherent source of two or three intensities is decoy-state BB84; "
        "in mdi both send, to a relay in the middle that nobody trusts"
    )
    grain: Annotated[Literal["pulse", "qubit", "sampled"], Choice(("pulse", "qubit", "sampled"))] = Field(
        default="pulse",
        description="whole trains as arrays (to measure), qubit by qubit (to teach), or only what is detected (for 10^9 pulses)",
    )
    pulse_rate: Hertz = Field(default=4e6, description="pulses, or pairs, a second")
    block_pulses: Annotated[int, Integer(Limits(minimum=16, maximum=10**13))] = Field(
        default=1_000_000, description="pulses that are distilled together"
    )
    key_basis: Annotated[float, Quantity(FRACTION, Limits(above=0, below=1))] | None = Field(
        default=None,
        description="probability of the basis that makes the key, the other one being revealed; null: both alike, decoys and mdi: 80 %",
    )
    length: Kilometres = Field(default=25.0, description="of the fibre")
    attenuation: DecibelsPerKilometre = Field(default=0.2, description="of the fibre")
    misalignment: Annotated[float, Quantity(FRACTION, Limits(minimum=0, maximum=0.5))] = Field(
        default=0.01, description="probability that a photon is flipped on its way"
    )
    background: Annotated[float, RealNumber(Limits(minimum=0, maximum=1))] = Field(
        default=0.0, description="photons of other light in the fibre that reach Bob's receiver, per gate"
    )
    drift: Drift | None = Field(default=None, description="absent or null: the polarisation stays as it is")
    coexistence: Coexistence | None = Field(
        default=None, description="absent or null: no other channels in the fibre"
    )
    loss_profile: Annotated[tuple[tuple[float, float], ...], LossTable()] = Field(
        default=(),
        strict=False,
        description="further loss over time: pairs of a time and a loss, linear in dB between them",
    )
    satellite: Satellite | None = Field(default=None, description="absent or null: Alice is on the ground")
    test_fraction: Annotated[float, Quantity(FRACTION, Limits(above=0, below=1))] = Field(
        default=0.2,
        description="share of the sifted bits revealed to estimate the QBER; of those of the key basis, if there is one",
    )
    reconciliation: Annotated[
        Literal["cascade", "cascade-original", "ldpc", "auto"], Choice((*CODES, AUTO))
    ] = Field(
        default="cascade",
        description="the code that makes the two keys equal: cascade discloses least in hundreds of rounds, ldpc takes one; "
        "auto: ldpc where the rounds would take longer than a block's light",
    )
    source: Source = Field(default_factory=Source)
    detector: Detector = Field(default_factory=Detector)
    security: Security = Field(default_factory=Security)

    @property
    def decoys(self) -> bool:
        """Whether there are weak pulses of several intensities."""
        means = self.source.intensities
        return self.source.kind == "weak-coherent" and isinstance(means, tuple) and len(means) > 1

    @property
    def pairs(self) -> bool:
        """Whether the protocol measures entangled pairs."""
        return self.protocol in ("e91", "bbm92")

    @property
    def relayed(self) -> bool:
        """Whether both send, to a relay in the middle that owns the detectors."""
        return self.protocol == "mdi"


class Classical(Section):
    """The classical channel between Alice and Bob."""

    bandwidth: BitsPerSecond = Field(default=100e6, description="of the channel, each way")
    latency: Seconds = Field(default=0.0, description="beyond the fibre's 5 us/km, one way")
    jitter: Seconds = Field(default=0.0, description="a random part more, uniform between 0 and this")
    loss: Annotated[float, Quantity(FRACTION, Limits(minimum=0, below=1))] = Field(
        default=0.0, description="share of the messages lost at each attempt"
    )
    timeout: Annotated[float, Quantity(TIME, Limits(above=0))] = Field(
        default=1.0,
        description="a block that waits longer for a message than this, its own duration and what its longest message takes on the wire, is given up",
    )


class Eve(Section):
    """Where Eve is; what she does stands in the timeline."""

    position: Kilometres = Field(default=0.0, description="where on the fibre she sits, seen from Alice")


class Keys(Section):
    """The two key stores."""

    preshared: Annotated[int, Quantity(BITS, Limits(minimum=0), whole=True)] = Field(
        default=4096, description="authentication key that both sites start with"
    )
    reserve: Annotated[int, Quantity(BITS, Limits(minimum=0), whole=True)] = Field(
        default=384,
        description="authentication key that no block is begun with, so that failing blocks do not empty the pool; a block takes 384 bit",
    )
    request_latency: Seconds = Field(default=1e-3, description="of a key delivery call at its site")


class Alarm(Section):
    """A sequential test of the telemetry: counts, error rates and instruments, never the key."""

    false_alarm_rate: Annotated[float, Quantity(FRACTION, Limits(above=0, below=1))] = Field(
        default=1e-6, description="expected false alarms per block, at most"
    )
    calibration_blocks: Annotated[int, Integer(Limits(minimum=1, maximum=100_000))] = Field(
        default=4, description="blocks at the start from which it learns what is usual"
    )
    tolerance: Annotated[float, Quantity(FRACTION, Limits(minimum=0, maximum=10))] = Field(
        default=0.05,
        description="relative change of a rate that is no alarm; of an error rate, four times that",
    )
    abort: Annotated[bool, Flag()] = Field(
        default=False, description="whether blocks are thrown away while an alarm stands"
    )


class Defences(Section):
    """What Alice, Bob and the server do against Eve."""

    authentication: Annotated[bool, Flag()] = Field(default=True, description="of the link's messages")
    query_mac: Annotated[bool, Flag()] = Field(
        default=True, description="a one-time MAC on queries and answers"
    )
    abort_above_qber: Annotated[float, Quantity(FRACTION, Limits(minimum=0, maximum=0.5))] | None = Field(
        default=0.11, description="QBER beyond which a block is thrown away; null is never"
    )
    abort_below_chsh: Annotated[float, RealNumber(Limits(minimum=0, maximum=4))] | None = Field(
        default=2.0, description="CHSH value below which a block is thrown away, e91 only; null is never"
    )
    patience: Seconds = Field(default=2.0, description="how long a query waits for key")
    attenuated_share: Annotated[float, Quantity(FRACTION, Limits(minimum=0, below=1))] = Field(
        default=0.0, description="share of the gates in which Bob turns his efficiency down, at random"
    )
    attenuation: Fraction = Field(default=0.5, description="by what factor")
    power_monitor: Annotated[bool, Flag()] = Field(
        default=False, description="of light that enters Alice's source from the fibre"
    )
    alarm: Alarm | None = Field(default=None, description="absent or null: nobody watches the telemetry")
    query_budget: Annotated[int, Integer(Limits(minimum=0))] | None = Field(
        default=None, description="queries a client may ask; null is any number"
    )
    model: ModelDefences = Field(default_factory=ModelDefences)
    playbook: Playbook | None = Field(default=None, description="absent or null: scores set nothing off")
