"""Every error EveLab raises on purpose.

    EveLabError
    ├── KeyExhausted        a key store holds fewer bits than were asked for
    ├── KeyUnavailable      a key was never deposited here, or was handed out before
    ├── MalformedMessage    bytes that are not a message
    ├── SealBroken          a sealed message whose tag does not fit
    ├── FabricError         the network underneath failed
    └── ScenarioError       a scenario file or a call that is wrong (all its faults at once)

An aborted block is a result, not an error.
"""

from __future__ import annotations

from collections.abc import Sequence


class EveLabError(Exception):
    """Base of all errors raised on purpose."""


class KeyExhausted(EveLabError):
    """A key store holds fewer bits than were asked for.

    Attributes:
        requested: bits asked for.
        available: bits in store, in one piece.
    """

    def __init__(self, *, requested: int, available: int) -> None:
        super().__init__(f"{requested} bits of key were requested, {available} are available")
        self.requested = requested
        self.available = available


class KeyUnavailable(EveLabError):
    """A key was never deposited in this store, or was handed out before."""


class MalformedMessage(EveLabError):
    """Bytes that do not decode to a message."""


class SealBroken(EveLabError):
    """A sealed message whose authentication tag does not fit it."""


class FabricError(EveLabError):
    """The network underneath failed to carry a payload, for a reason that is not the scenario's."""


class ScenarioError(EveLabError):
    """A scenario file, or a call, that is wrong; carries all the faults found.

    Attributes:
        faults: one line each, `file:line:col: path: what, and what was expected`.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(self.faults))
