"""What a timeline entry does: a frozen dataclass of parameters with units, its sign and its source."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:  # the catalogue is read without the network: by `evelab check`, `list` and `attacks`
    from netsim.fabric.base import Frame
    from netsim.messages import Envelope
    from netsim.photonics.train import Train
    from nodes.eve import Eve


@dataclasses.dataclass(frozen=True)
class Unit:
    """How a parameter is written in a scenario file and what values it may take.

    Attributes:
        dimension: "fraction", "s", "bit", "number", "choice", "names" or "flag".
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
        family: "channel", "classical", "model" or "environment".
        adversarial: whether Eve does it (counted in the result's `eve.attacks`).
        sign: what it does to Q, S, counts or latency: what Alice and Bob can see.
        gets: what Eve gets of it.
        source: author, year.
        defences: names of what stands against it.
    """

    id: ClassVar[str]
    family: ClassVar[str]
    adversarial: ClassVar[bool] = True
    sign: ClassVar[str]
    gets: ClassVar[str]
    source: ClassVar[str]
    defences: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def parameters(cls) -> tuple[tuple[dataclasses.Field[Any], Unit], ...]:
        """The parameters a scenario may set, in order."""
        return tuple((f, f.metadata["unit"]) for f in dataclasses.fields(cls) if "unit" in f.metadata)

    def on_photons(self, eve: Eve, train: Train, where: slice, receiver: str) -> None:
        """Pulses pass Eve while the action is on; change them in place."""

    def on_frame(self, eve: Eve, frame: Frame, envelope: Envelope) -> None:
        """A frame passes Eve while the action is on; change it in place. `envelope` is what `frame.data` decodes to."""
