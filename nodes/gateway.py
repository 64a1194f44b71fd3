"""A site's front door: hands each envelope that arrives to whom it is for, or forwards it, unopened."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from netsim.errors import MalformedMessage
from netsim.messages import Envelope
from nodes.observer import Observer


class Gateway:
    """Routes envelopes by receiver.

    Args:
        name: the host it stands at.
        observer: told of what could not be handed on.
    """

    def __init__(self, name: str, observer: Observer) -> None:
        self.name = name
        self._observer = observer
        self._routes: dict[str, Callable[[Envelope], object]] = {}

    def route(self, routes: Mapping[str, Callable[[Envelope], object]]) -> None:
        """Add receivers and what takes their envelopes."""
        self._routes.update(routes)

    def on_envelope(self, data: bytes) -> None:
        """Bytes have arrived at the host."""
        try:
            envelope = Envelope.decode(data)
        except MalformedMessage:
            self._observer.event(self.name, "envelope_malformed")
            return
        handler = self._routes.get(envelope.receiver)
        if handler is None:
            self._observer.event(self.name, "envelope_unroutable")
            return
        handler(envelope)
