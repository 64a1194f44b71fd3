"""What a timeline entry does: a frozen dataclass of parameters with units, its sign and its source."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:  # the catalogue is read without the network: by `evelab check`, `list` and `attacks`
    from netsim.fabric.base import Frame
    from netsim.messages import Envelope
    from netsim.photonics.bell import Heralds
    from netsim.photonics.train import Train
    from nodes.attacks.surroundings import Surroundings
    from nodes.charlie import Bench
    from nodes.eve import Eve


NEEDS = (
    "decoys",
    "passive basis choice",
    "prepared",
    "pulses",
    "receiver",
    "relay",
    "timing mismatch",
    "weak pulses",
)
"""What an action may need of the link; scenarios.contradictions knows when it is missing."""


@dataclasses.dataclass(frozen=True)
class Unit:
    """How a parameter is written in a scenario file and what values it may take.

    Attributes:
        dimension: "fraction", "s", "/s", "dB", "bit", "number", "choice", "names" or "flag".
        doc: one line for the catalogue.
        minimum: smallest value allowed.
        maximum: largest value allowed.
        choices: the words allowed, for "choice" and "names".
    """

    dimension: str
    doc: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


def parameter(default: Any, dimension: str, doc: str, **limits: Any) -> Any:
    """A dataclass field with its unit, limits and meaning; `dataclasses.MISSING` as default makes it required."""
    return dataclasses.field(default=default, metadata={"unit": Unit(dimension, doc, **limits)})


@dataclasses.dataclass(frozen=True)
class Action:
    """Base of everything a timeline can do.

    Class attributes:
        id: its name in a scenario, `family.verb`.
        family: "channel", "device", "classical", "model" or "environment".
        adversarial: whether Eve does it (counted in the result's `eve.attacks`).
        sign: what it does to Q, S, counts or latency: what Alice and Bob can see.
        gets: what Eve gets of it.
        source: author, year.
        defences: names of what stands against it.
        needs: what the link must have for it, out of NEEDS.
    """

    id: ClassVar[str]
    family: ClassVar[str]
    adversarial: ClassVar[bool] = True
    sign: ClassVar[str]
    gets: ClassVar[str]
    source: ClassVar[str]
    defences: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[tuple[str, ...]] = ()

    @property
    def verb(self) -> str:
        """Its name without the family."""
        return self.id.partition(".")[2]

    @classmethod
    def parameters(cls) -> tuple[tuple[dataclasses.Field[Any], Unit], ...]:
        """The parameters a scenario may set, in order."""
        return tuple((f, f.metadata["unit"]) for f in dataclasses.fields(cls) if "unit" in f.metadata)

    def requires(self) -> tuple[str, ...]:
        """What the link must have for the action with these parameters: names as in `needs`."""
        return self.needs

    def takes_registers(self) -> bool:
        """Whether it acts on queries that travel as light, too."""
        return False

    def holevo_bits_per_bit(self, knows: Surroundings) -> float:  # noqa: ARG002  most actions keep nothing to measure later
        """The most that measuring all she kept together can give, in bits per sifted bit: a bound beside what her notes hold."""
        return 0.0

    def on_photons(self, eve: Eve, train: Train, where: slice, receiver: str) -> None:
        """Pulses pass Eve while the action is on; change them in place."""

    def on_relay(self, eve: Eve, bench: Bench, one: Train, other: Train) -> Heralds | None:  # noqa: ARG002  the hook's
        """Trains whose block began while the action is on have reached the relay; what it announces, None if that is left to it."""
        return None

    def on_frame(self, eve: Eve, frame: Frame, envelope: Envelope) -> None:
        """A frame passes Eve while the action is on; change it in place. `envelope` is what `frame.data` decodes to."""
