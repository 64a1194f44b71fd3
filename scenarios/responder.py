"""What a playbook's actions do in a run: which node they touch, and what the summary says of them."""

from __future__ import annotations

import collections
import math
from collections.abc import Callable
from typing import Any

import simpy

from netsim.messages import Envelope
from nodes.client import Client
from nodes.kme import KeyManager
from nodes.playbook import ACTIONS, Action, Deed, Effect, Playbook, Rule
from nodes.queries import QueryRecord
from scenarios.inference_sections import Playbook as Wanted
from scenarios.recorder import Recorder


class Responder:
    """Watches the answers at the clients' site, and acts.

    Args:
        env: the simulation.
        wanted: the scenario's section.
        keys: the two key managers.
        usual: puts an envelope on the usual way to Bob's site.
        detour: puts it on the other way.
        recorder: alarmed.
    """

    def __init__(
        self,
        env: simpy.Environment,
        wanted: Wanted,
        keys: tuple[KeyManager, KeyManager],
        usual: Callable[[Envelope], None],
        detour: Callable[[Envelope], None],
        recorder: Recorder,
    ) -> None:
        self._env = env
        self._keys = keys
        self._ways = (usual, detour)
        self._recorder = recorder
        self._clients: dict[str, Client] = {}
        self._rerouted = False
        self._discarded_bits = 0
        self._isolated_s: dict[str, float] = {}
        rules = [
            Rule(wanted.threshold, action, wanted.hold_off, wanted.count, wanted.within)
            for action in ACTIONS
            if action in wanted.actions
        ]
        acts: dict[Action, Effect] = {
            "isolate-host": self._isolate,
            "rotate-key": self._rotate,
            "re-route": self._reroute,
            "alarm": self._alarm,
        }
        self._playbook = Playbook(rules, acts, recorder)

    def watch(self, client: Client) -> None:
        """A client whose answers count."""
        self._clients[client.name] = client

    def send(self, envelope: Envelope) -> None:
        """Put a query on the way that is used now."""
        self._ways[self._rerouted](envelope)

    def on_settled(self, query: QueryRecord) -> None:
        """A query is over; an answer that is a class counts as a score of 1 or -1, and one that is no number does not count."""
        if query.answer is None or (query.score is not None and not math.isfinite(query.score)):
            return  # without a MAC an answer may be any bytes
        score = query.score if query.score is not None else 2.0 * query.answer - 1.0
        self._playbook.on_score(f"client-{query.client}", score, self._env.now)

    def figures(self) -> dict[str, Any]:
        """For the summary."""
        counts = collections.Counter(deed.action for deed in self._playbook.deeds)
        return {
            "actions": dict(sorted(counts.items())),
            "isolated_s": self._isolated_s,
            "discarded_bits": self._discarded_bits,
        }

    def _isolate(self, deed: Deed) -> None:
        self._clients[deed.subject].isolated = True
        self._isolated_s.setdefault(deed.subject, deed.t_s)

    def _rotate(self, deed: Deed) -> None:  # noqa: ARG002  all key, whoever it was
        self._discarded_bits += sum(kme.discard() for kme in self._keys)

    def _reroute(self, deed: Deed) -> None:  # noqa: ARG002  all queries
        self._rerouted = True

    def _alarm(self, deed: Deed) -> None:
        self._recorder.alarm("playbook", f"playbook: {deed.subject} looks hostile")
