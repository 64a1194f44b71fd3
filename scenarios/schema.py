"""What a scenario file may say: its sections, their defaults and limits, and what contradicts what.

Every field carries a `Reader`, which reads the file's spelling, spells it again and describes it in the
JSON Schema. The timeline's entries come from the metadata of the actions in `nodes.attacks.catalogue`: a new
action needs no line here.

`Scenario.model_validate` reports every fault at once. Each error's `msg` is a finished sentence, and its
`type` one of `missing_key` (`loc` names what is not there), `unknown_key` (the key is at fault) and `fault`
(the value is).
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from netsim.postprocessing.reconciliation import CODES
from nodes.attacks.action import Action, Unit
from nodes.attacks.catalogue import CATALOGUE
from nodes.attacks.classical import AnalyseTraffic, ExhaustKeys, Replay, Tamper
from nodes.attacks.environment import AddedDelay, AddedLoss
from nodes.attacks.model import FlipLabels
from scenarios.contradictions import link_contradictions, unmet, without_use
from scenarios.expectations import Expectation, SeriesValue, parse
from scenarios.units import (
    BITS,
    FRACTION,
    LENGTH,
    POWER,
    RATE,
    RATIO,
    TIME,
    UNLIMITED,
    BitsPerSecond,
    DecibelsPerKilometre,
    Fraction,
    Hertz,
    Kilometres,
    Limits,
    Quantity,
    Reader,
    Seconds,
    format_quantity,
    listed,
    number_trap,
    shown,
    suggestion,
)

NODES = ("alice", "eve", "bob", "server")
"""The nodes a scenario may name."""

PROTOCOLS = ("bb84", "e91", "bbm92", "six-state", "mdi")
"""The QKD protocols."""

AUTO = "auto"
"""Leaves the choice of the reconciliation code to the range."""

RESERVED = ("sweep", "replications")
"""Top-level keys kept for later releases."""

Location: TypeAlias = tuple[str | int, ...]

_QUOTED_NUMBER = re.compile(r"[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?")
_AUTHENTICATION_KEY_BITS = 512  # what the tags of the first block need before it has made key of its own


@dataclasses.dataclass(frozen=True)
class Integer(Reader):
    """A whole number within limits; `1e6` is one."""

    limits: Limits = UNLIMITED

    def read(self, value: Any) -> int:
        """The number as `int`."""
        number = Number(self.limits, noun="an integer").read(value)
        if isinstance(number, float) and not number.is_integer():
            raise ValueError(f"got {shown(value)}, expected an integer")
        return int(number)

    def describe(self) -> dict[str, Any]:
        """An integer."""
        return {"type": "integer", **self.limits.keywords()}


@dataclasses.dataclass(frozen=True)
class Number(Reader):
    """A plain number within limits."""

    limits: Limits = UNLIMITED
    noun: str = "a number"

    def read(self, value: Any) -> float | int:
        """The number, still an `int` where the file had one."""
        bounds = self.limits.words()
        expected = f"expected {self.noun}" + (bounds and f", {bounds}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            hint = ""
            if isinstance(value, str):
                quoted = _QUOTED_NUMBER.fullmatch(value)
                hint = number_trap(value) or (" (write it without quotes)" if quoted else "")
            raise ValueError(f"got {shown(value)}, {expected}{hint}")  # noqa: TRY004 (pydantic collects ValueErrors)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"got {shown(value)}, {expected} (it must be finite)")
        if self.limits.broken_by(value):
            raise ValueError(f"got {shown(value)}, {expected}")
        return value

    def describe(self) -> dict[str, Any]:
        """A number."""
        return {"type": "number", **self.limits.keywords()}


class RealNumber(Number):
    """A plain number within limits, as `float`."""

    def read(self, value: Any) -> float:
        """The number as `float`."""
        return float(super().read(value))


class Flag(Reader):
    """`true` or `false`, and no other word for them."""

    def read(self, value: Any) -> bool:
        """The boolean."""
        if not isinstance(value, bool):
            raise ValueError(f"got {shown(value)}, expected a boolean: write true or false")  # noqa: TRY004 (pydantic collects ValueErrors)
        return value

    def describe(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclasses.dataclass(frozen=True)
class Text(Reader):
    """Text, perhaps of a given form.

    Attributes:
        pattern: a regular expression for the whole text, None for any.
        expected: what the pattern means, for the message.
    """

    pattern: str | None = None
    expected: str = "text"

    def read(self, value: Any) -> str:
        """The text."""
        if not isinstance(value, str):
            hint = "" if isinstance(value, Mapping | list | tuple) else ": put it in quotes"
            raise ValueError(f"got {shown(value)}, expected {self.expected}{hint}")  # noqa: TRY004 (pydantic collects ValueErrors)
        if self.pattern is not None and not re.fullmatch(self.pattern, value):
            raise ValueError(f"got {shown(value)}, expected {self.expected}")
        return value

    def describe(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string"} | ({"pattern": f"^{self.pattern}$"} if self.pattern else {})


@dataclasses.dataclass(frozen=True)
class Choice(Reader):
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: Any) -> str:
        """The word."""
        if not isinstance(value, str) or value not in self.words:
            hint = suggestion(value, self.words) if isinstance(value, str) else ""
            raise ValueError(f"got {shown(value)}, expected {listed(self.words)}{hint}")
        return value

    def describe(self) -> dict[str, Any]:
        """A constant, or an enumeration."""
        return {"const": self.words[0]} if len(self.words) == 1 else {"enum": list(self.words)}


class Hop(Choice):
    """A choice of two nodes joined by a hyphen."""

    def read(self, value: Any) -> str:
        """The hop."""
        if isinstance(value, str):
            for node in value.split("-"):
                if node and node not in NODES:
                    known = listed(NODES, "and")
                    raise ValueError(
                        f"got {shown(value)}, but no node is called {shown(node)} (the nodes are {known}), "
                        f"expected {listed(self.words)}"
                    )
        return super().read(value)


@dataclasses.dataclass(frozen=True)
class Names(Reader):
    """A list of different words out of a few, at least one."""

    words: tuple[str, ...]

    def read(self, value: Any) -> tuple[str, ...]:
        """The words."""
        if not isinstance(value, list | tuple) or not value:
            example = f"[{self.words[0]}]"
            raise ValueError(f"got {shown(value)}, expected a list of {listed(self.words)}, like {example}")
        names = tuple(Choice(self.words).read(name) for name in value)
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"got {name} more than once, expected each name once")
        return names

    def spell(self, value: Any) -> Any:
        """A list."""
        return list(value)

    def describe(self) -> dict[str, Any]:
        """An array of an enumeration."""
        items = Choice(self.words).describe()
        return {"type": "array", "items": items, "minItems": 1, "uniqueItems": True}


@dataclasses.dataclass(frozen=True)
class Numbers(Reader):
    """A short list of plain numbers within limits, at least one."""

    limits: Limits
    most: int

    def read(self, value: Any) -> tuple[float, ...]:
        """The numbers."""
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= self.most:
            raise ValueError(
                f"got {shown(value)}, expected a list of 1 to {self.most} numbers, like [0.5, 0.1]"
            )
        return tuple(RealNumber(self.limits).read(number) for number in value)

    def spell(self, value: Any) -> Any:
        """A list."""
        return list(value)

    def describe(self) -> dict[str, Any]:
        """An array."""
        items = RealNumber(self.limits).describe()
        return {"type": "array", "items": items, "minItems": 1, "maxItems": self.most}


class LossTable(Reader):
    """A table of times and losses, ascending in time."""

    def read(self, value: Any) -> tuple[tuple[float, float], ...]:
        """Pairs of seconds and decibels."""
        expected = "expected a list of pairs in ascending time, like [[0 s, 30 dB], [100 s, 25 dB]]"
        if not isinstance(value, list | tuple) or not all(
            isinstance(row, list | tuple) and len(row) == 2 for row in value
        ):
            raise ValueError(f"got {shown(value)}, {expected}")
        at_least_0 = Limits(minimum=0)
        rows = tuple(
            (Quantity(TIME, at_least_0).read(t), Quantity(RATIO, at_least_0).read(loss)) for t, loss in value
        )
        if any(later[0] <= earlier[0] for earlier, later in itertools.pairwise(rows)):
            raise ValueError(f"got {shown(value)}, {expected}")
        return rows

    def spell(self, value: Any) -> Any:
        """Pairs of quantities."""
        return [[format_quantity(t, TIME), format_quantity(loss, RATIO)] for t, loss in value]

    def describe(self) -> dict[str, Any]:
        """An array of pairs."""
        pair = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
        return {"type": "array", "items": pair}


class Expected(Reader):
    """An expectation, in the language of `scenarios.expectations`."""

    def read(self, value: Any) -> Expectation:
        """The parsed expectation."""
        if not isinstance(value, str):
            raise ValueError(f"got {shown(value)}, expected a comparison in one text, like qber < 5 %")  # noqa: TRY004 (pydantic collects ValueErrors)
        return parse(value.strip())

    def spell(self, value: Any) -> Any:
        """Its text."""
        return value.expression

    def describe(self) -> dict[str, Any]:
        """A string."""
        return {
            "type": "string",
            "description": "LEFT OP RIGHT, like qber during 3 s..6 s > 15 %",
            "pattern": "[<>=!]",
        }


class Section(BaseModel):
    """Base of the file's sections: immutable, and strict about keys and types."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


_AnySection = TypeVar("_AnySection", bound=Section)


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


class Queries(Section):
    """Who asks the inference server, how often."""

    clients: Annotated[int, Integer(Limits(minimum=1, maximum=1000))] = Field(
        default=1, description="clients at Alice's site"
    )
    arrivals: Annotated[Literal["poisson", "periodic"], Choice(("poisson", "periodic"))] = Field(
        default="poisson", description="how the queries of a client are spread"
    )
    rate: Annotated[float, Quantity(RATE, Limits(above=0))] = Field(
        default=5.0, description="queries, per client"
    )
    start: Seconds = Field(default=0.0, description="when the clients begin")
    timeout: Annotated[float, Quantity(TIME, Limits(above=0))] = Field(
        default=2.0, description="an answer later than this counts as lost"
    )


class Training(Section):
    """What the server's model is trained on: two Gaussian clusters."""

    samples: Annotated[int, Integer(Limits(minimum=10, maximum=20_000))] = Field(
        default=200, description="of both classes together"
    )
    distance: Annotated[float, RealNumber(Limits(above=0))] = Field(
        default=3.2, description="between the cluster centres, in standard deviations"
    )


class Server(Section):
    """The inference server at Bob's site."""

    workers: Annotated[int, Integer(Limits(minimum=1, maximum=1000))] = Field(
        default=1, description="queries served at the same time"
    )
    service_time: Seconds = Field(default=2e-3, description="of one query")
    queue: Annotated[int, Integer(Limits(minimum=0, maximum=1_000_000))] = Field(
        default=100, description="waiting places; a query that finds none is rejected"
    )
    lan_latency: Seconds = Field(default=1e-4, description="Bob's site to the server, one way")
    training: Training = Field(default_factory=Training)


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


@dataclasses.dataclass(frozen=True)
class TimelineEntry:
    """One thing that happens.

    Attributes:
        at: seconds, when it begins.
        until: seconds, when it ends; None for the end of the run.
        action: what happens, with its parameters.
    """

    at: float
    until: float | None
    action: Action

    @classmethod
    def read(cls, value: Any) -> TimelineEntry:
        """An entry as the file has it: `at`, `until`, `action`, and the action's own parameters.

        Raises:
            ValueError: it is no mapping; when a wrong one, pydantic's `ValidationError` with every fault.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(  # noqa: TRY004 (pydantic collects ValueErrors)
                f"got {shown(value)}, expected a mapping with at, action and the action's own parameters"
            )
        model = _entry_model(value.get("action"))
        try:
            entry = model.model_validate(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data("timeline", _in_words(model, error)) from None
        return cls._built(entry)

    @classmethod
    def _built(cls, entry: AnyEntry) -> TimelineEntry:
        """The entry with its action made from the parameters of a generated model."""
        action = CATALOGUE.get(entry.action, Action)
        values = {field.name: getattr(entry, field.name) for field, _ in action.parameters()}
        return cls(entry.at, entry.until, action(**values))

    @classmethod
    def drafted(cls, value: Any) -> TimelineEntry:
        """The entry with whatever of it is right; see `_draft`. An unknown action is a bare `Action`."""
        return cls._built(
            _draft(_entry_model(value.get("action") if isinstance(value, Mapping) else None), value)
        )

    def spell(self) -> dict[str, Any]:
        """The entry as a file writes it, defaults included."""
        spelled: dict[str, Any] = {"at": format_quantity(self.at, TIME)}
        if self.until is not None:
            spelled["until"] = format_quantity(self.until, TIME)
        spelled["action"] = self.action.id
        for field, _ in self.action.parameters():
            reader = _reader(_entry_model(self.action.id).model_fields[field.name])
            spelled[field.name] = reader.spell(getattr(self.action, field.name))
        return spelled

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.read, serialization=core_schema.plain_serializer_function_ser_schema(cls.spell)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        models = (_entry_model(name) for name in CATALOGUE)
        return {"oneOf": [model.model_json_schema(mode="serialization") for model in models]}


class AnyEntry(Section):
    """What every entry of the timeline has; the base of the models generated from the catalogue."""

    at: Seconds = Field(description="when it begins")
    until: Seconds | None = Field(default=None, description="when it ends; absent: at the end of the run")
    action: Annotated[str, Choice(tuple(CATALOGUE))] = Field(description="what happens")


class _UnknownEntry(AnyEntry):
    """An entry whose action is not known, so that its parameters cannot be judged."""

    model_config = ConfigDict(extra="ignore")


def _entry_model(name: Any) -> type[AnyEntry]:
    """The model of a timeline entry with the action called `name`."""
    return _generated(name) if isinstance(name, str) and name in CATALOGUE else _UnknownEntry


@functools.cache
def _generated(name: str) -> type[AnyEntry]:
    """`AnyEntry` with the parameters of the action called `name`, from its metadata."""
    action = CATALOGUE[name]
    types = get_type_hints(action)
    fields: dict[str, Any] = {
        "action": (
            Annotated[str, Choice((name,))],
            Field(description=f"{action.__doc__} Sign: {action.sign}"),
        )
    }
    for field, unit in action.parameters():
        required = field.default is dataclasses.MISSING
        reader = _parameter_reader(field.name, types[field.name], unit)
        fields[field.name] = (
            Annotated[types[field.name], reader],
            Field(description=unit.doc) if required else Field(default=field.default, description=unit.doc),
        )
    generated: type[AnyEntry] = create_model(action.__name__, __base__=AnyEntry, **fields)
    return generated


def _parameter_reader(name: str, type_: Any, unit: Unit) -> Reader:
    """How a parameter of an action is read.

    Raises:
        NotImplementedError: the catalogue uses a dimension that is not known here.
    """
    limits = Limits(minimum=unit.minimum, maximum=unit.maximum)
    match unit.dimension:
        case "fraction":
            return Quantity(FRACTION, limits)
        case "s":
            return Quantity(TIME, limits)
        case "/s":
            return Quantity(RATE, limits)
        case "dB":
            return Quantity(RATIO, limits)
        case "bit":
            return Quantity(BITS, limits, whole=True)
        case "number":
            return Integer(limits) if type_ is int else RealNumber(limits)
        case "choice":
            return Hop(unit.choices) if name == "hop" else Choice(unit.choices)
        case "names":
            return Names(unit.choices)
        case "flag":
            return Flag()
    raise NotImplementedError(f"parameter {name}: dimension {unit.dimension!r}")


class Scenario(Section):
    """A whole scenario file.

    Defaults are filled in. `queries` is None when nobody asks; `server` is then unused, as `link.source` and
    `defences.abort_below_chsh` are with BB84.
    """

    name: Annotated[str, Text("[a-z0-9-]+", "a name of small letters, digits and hyphens")] = Field(
        description="default: the file's stem"
    )
    about: Annotated[str, Text()] = Field(default="", description="what to look for")
    seed: Annotated[int, Integer(Limits(minimum=0))] = Field(default=1, description="of every random stream")
    duration: Annotated[float, Quantity(TIME, Limits(above=0))] = Field(description="of the run, simulated")
    fabric: Annotated[Literal["qunetsim", "direct"], Choice(("qunetsim", "direct"))] = Field(
        default="qunetsim", description="what carries the messages; the results are the same"
    )
    link: Link
    classical: Classical = Field(default_factory=Classical)
    eve: Eve = Field(default_factory=Eve)
    keys: Keys = Field(default_factory=Keys)
    queries: Queries | None = Field(default=None, description="absent or null: no clients, and no server")
    server: Server = Field(default_factory=Server)
    defences: Defences = Field(default_factory=Defences)
    # Not strict, so that a list is read where the field is a tuple.
    timeline: tuple[TimelineEntry, ...] = Field(default=(), strict=False, description="what happens when")
    expect: tuple[Annotated[Expectation, Expected()], ...] = Field(
        default=(), strict=False, description="what must hold of the results"
    )

    @model_validator(mode="wrap")
    @classmethod
    def _every_fault_at_once(cls, data: Any, handler: ModelWrapValidatorHandler[Scenario]) -> Scenario:
        """Report contradictions between values together with the faults of single values."""
        faults: list[InitErrorDetails] = []
        try:
            scenario = handler(data)
        except ValidationError as error:
            faults = _in_words(cls, error)
            scenario = _draft(cls, data)
        known = {fault["loc"] for fault in faults}
        for location, message in _contradictions(scenario):
            if location not in known:
                faults.append(_fault("fault", message, location, None))
        if faults:
            raise ValidationError.from_exception_data("scenario", faults)
        return scenario


def resolved(scenario: Scenario) -> dict[str, Any]:
    """The scenario with every default, as JSON-able values with units: loading it gives the same scenario.

    What it has no use for is left out: `server` without queries; the source and the CHSH bound with BB84.
    """
    spelled = scenario.model_dump(mode="json")
    if scenario.queries is None:
        del spelled["server"]
    for path in without_use(scenario):
        section = spelled
        for key in path[:-1]:
            section = section[key]
        del section[path[-1]]
    return spelled


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a scenario file."""
    schema = Scenario.model_json_schema(mode="serialization")
    schema["required"].remove("name")  # the loader takes it from the file's name
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "EveLab scenario"}
    return json.loads(json.dumps({**schema, **title}))  # type: ignore[no-any-return]  # tuples become lists


def _contradictions(scenario: Scenario) -> Iterator[tuple[Location, str]]:
    """Values that are right alone and wrong together: where, and why.

    Args:
        scenario: perhaps a draft, whose values at fault are NaN: they compare false with everything, so they
            contradict nothing. Every comparison here must be true for a contradiction, not false.
    """
    link, keys = scenario.link, scenario.keys
    if scenario.eve.position > link.length:
        got, length = format_quantity(scenario.eve.position, LENGTH), format_quantity(link.length, LENGTH)
        yield ("eve", "position"), f"got {got}, expected at most the link's length ({length})"
    yield from link_contradictions(scenario)
    if scenario.defences.authentication is True and keys.preshared < _AUTHENTICATION_KEY_BITS:
        least = f"at least {_AUTHENTICATION_KEY_BITS} bit for the first block's tags"
        without = "or defences.authentication: false"
        yield ("keys", "preshared"), f"got {keys.preshared} bit, expected {least} ({without})"
    if scenario.queries is None and "server" in scenario.model_fields_set:
        yield ("server",), "without queries there is no server: add a queries section or remove this one"
    if scenario.queries is not None and scenario.queries.start >= scenario.duration:
        yield ("queries", "start"), _late(scenario.queries.start, scenario.duration)
    for index, entry in enumerate(scenario.timeline):
        for key, message in _entry_contradictions(entry, scenario):
            yield ("timeline", index, key), message
    for index, expectation in enumerate(scenario.expect):
        for message in _window_contradictions(expectation, scenario.duration):
            yield ("expect", index), message


def _window_contradictions(expectation: Expectation, duration_s: float) -> Iterator[str]:
    """What is wrong with an expectation's window in a run of that length; nothing where the item is a NaN."""
    window = getattr(expectation, "left", None)
    if not isinstance(window, SeriesValue):
        return
    if window.from_s >= duration_s:
        yield "the window: " + _late(window.from_s, duration_s)
    elif math.inf > window.until_s > duration_s:
        yield "the window: " + _too_long(window.until_s, duration_s)


def _entry_contradictions(entry: TimelineEntry, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """What is wrong with one entry of the timeline in its scenario: which key, and why."""
    action = entry.action
    if entry.at >= scenario.duration:
        yield "at", _late(entry.at, scenario.duration)
    if entry.until is not None:
        if entry.until <= entry.at:
            got, start = format_quantity(entry.until, TIME), format_quantity(entry.at, TIME)
            yield "until", f"got {got}, expected later than the entry's at ({start})"
        elif entry.until > scenario.duration:
            yield "until", _too_long(entry.until, scenario.duration)
    for need in action.requires():
        if message := unmet(need, scenario):
            yield "action", f"got {action.id}, which needs {message}"
    if isinstance(action, FlipLabels):
        yield from _at_the_start(entry)
    if scenario.queries is None:
        yield from _needs_queries(action)


def _at_the_start(entry: TimelineEntry) -> Iterator[tuple[str, str]]:
    """What is wrong with the times of something that happens before the model is trained."""
    if entry.at > 0:
        yield "at", f"got {format_quantity(entry.at, TIME)}, expected 0 s: the model is trained at the start"
    if entry.until is not None:
        yield "until", f"{entry.action.id} takes none: the model is trained once, at the start"


def _needs_queries(action: Action) -> Iterator[tuple[str, str]]:
    """What of an action has no sense when nobody asks the server: which key, and why."""
    asked = isinstance(action, FlipLabels | ExhaustKeys | AnalyseTraffic) or (
        isinstance(action, Replay) and action.messages == "queries"
    )
    if asked or getattr(action, "id", "").startswith("server."):
        yield "action", f"got {action.id}, which needs a queries section"
    if isinstance(action, Tamper) and isinstance(action.messages, tuple):
        for kind in action.messages:
            if kind in {"query", "answer"}:
                yield "messages", f"got {kind}, which needs a queries section"
    if isinstance(action, AddedDelay | AddedLoss) and action.hop == "bob-server":
        yield "hop", "got bob-server, which needs a queries section: without it there is no server"


def _late(start_s: float, duration_s: float) -> str:
    """A start at or after the end of the run."""
    duration = format_quantity(duration_s, TIME)
    return f"got {format_quantity(start_s, TIME)}, expected before the end of the run (duration: {duration})"


def _too_long(until_s: float, duration_s: float) -> str:
    """An end after the end of the run."""
    duration = format_quantity(duration_s, TIME)
    return f"got {format_quantity(until_s, TIME)}, expected at most the run's duration ({duration})"


def _reader(field: FieldInfo) -> Reader:
    """The reader of a field that is not a section, or of its items."""
    candidates: list[Any] = [*field.metadata, field.annotation]
    while candidates:
        candidate = candidates.pop(0)
        if isinstance(candidate, Reader):
            return candidate
        candidates += get_args(candidate)
    raise TypeError(f"no reader in {field}")


def _section(field: FieldInfo) -> type[Section] | None:
    """The section a field holds, perhaps optionally; None when it holds a value."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def _draft(model: type[_AnySection], data: Any) -> _AnySection:
    """A section with whatever of it is right; what is at fault or missing is NaN."""
    given = data if isinstance(data, Mapping) else {}
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if isinstance(data, Mapping) and name not in given and not field.is_required():
            values[name] = field.get_default(call_default_factory=True)
        else:
            values[name] = _drafted(name, field, given.get(name, math.nan))
    return model.model_construct(_fields_set=set(given) & set(values), **values)


def _drafted(name: str, field: FieldInfo, value: Any) -> Any:
    """One value of a draft."""
    section = _section(field)
    if section is not None:
        optional = type(None) in get_args(field.annotation)
        return None if value is None and optional else _draft(section, value)
    if name == "timeline":
        return tuple(map(TimelineEntry.drafted, value)) if isinstance(value, list | tuple) else ()
    if name == "expect":
        items = value if isinstance(value, list | tuple) else ()
        return tuple(_drafted("", field, item) for item in items)
    try:
        return _reader(field).read(value)
    except ValueError:
        return math.nan


def _fault(kind: str, message: str, location: Location, value: Any) -> InitErrorDetails:
    """An error in our own words."""
    # The message goes in as a value: as a template its braces would be read.
    error = PydanticCustomError(kind, "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=location, input=value)


def _in_words(model: type[Section], error: ValidationError) -> list[InitErrorDetails]:
    """Pydantic's errors as ours."""
    faults = []
    for detail in error.errors(include_url=False):
        location, value, kind = detail["loc"], detail["input"], detail["type"]
        if kind in {"missing_key", "unknown_key", "fault"}:
            message = detail["msg"]
        elif kind == "value_error":
            kind, message = "fault", str(detail["ctx"]["error"])
        elif kind == "missing":
            kind, message = "missing_key", _missing(model, location)
        elif kind == "extra_forbidden":
            kind, message = "unknown_key", _unknown(model, location)
        elif kind.startswith("model_"):
            kind, message = "fault", _no_section(model, location, value)
        elif kind == "tuple_type":
            kind, message = (
                "fault",
                f"got {shown(value)}, expected a list: each item on a line that starts with -",
            )
        else:
            kind, message = "fault", f"got {shown(value)}: {detail['msg']}"
        faults.append(_fault(kind, message, location, value))
    return faults


def _model_at(model: type[Section], location: Location) -> type[Section]:
    """The section at `location` below `model`."""
    for key in location:
        model = _section(model.model_fields[str(key)]) or model
    return model


def _missing(model: type[Section], location: Location) -> str:
    """The message for a key that is not there."""
    field = _model_at(model, location[:-1]).model_fields[str(location[-1])]
    section = _section(field)
    if section is not None:
        return f"missing, expected a mapping with {_keys(section)}"
    reader = _reader(field)
    try:
        reader.read(None)
    except ValueError as error:
        return str(error).replace("got nothing", "missing", 1)
    return "missing"


def _no_section(model: type[Section], location: Location, value: Any) -> str:
    """The message for something else where a section is expected."""
    hint = " (write {} for its defaults, or leave the key out)" if value is None and location else ""
    return f"got {shown(value)}, expected a mapping with {_keys(_model_at(model, location))}{hint}"


def _keys(model: type[Section]) -> str:
    """The keys a section must have, or else those it may have."""
    required = [name for name, field in model.model_fields.items() if field.is_required() and name != "name"]
    return listed(required, "and") if required else "keys such as " + listed([*model.model_fields][:4])


def _unknown(model: type[Section], location: Location) -> str:
    """The message for a key that does not belong."""
    section, key = _model_at(model, location[:-1]), str(location[-1])
    if section is Scenario and key in RESERVED:
        return "reserved: sweeps come in a later release"
    hint = suggestion(key, section.model_fields)
    if not hint:
        elsewhere = [path for path in _paths(Scenario) if path.split(".")[-1] == key]
        hint = f": did you mean {listed(elsewhere)}?" if elsewhere else ""
    return f"unknown key {shown(key)}{hint or f', expected one of {listed(section.model_fields)}'}"


def _paths(model: type[Section], above: str = "") -> Iterator[str]:
    """Every key of a section and of those in it, as dotted paths."""
    for name, field in model.model_fields.items():
        section = _section(field)
        yield above + name
        if section is not None:
            yield from _paths(section, f"{above}{name}.")
