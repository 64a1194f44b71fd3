"""A model's way from Alice's site, where it was trained, to the server, in a run: both ends, wired, and what came of it."""

from __future__ import annotations

import importlib.metadata
from typing import Any, cast

import simpy

from netsim.channel import ClassicalChannel
from netsim.random_streams import Streams
from nodes.delivery.algorithms import ONE_TIME_PAD, Algorithms
from nodes.delivery.courier import Delivery, Reception, Terms
from nodes.delivery.parcel import Publisher, Recipient
from nodes.gateway import Gateway
from nodes.kme import KeyManager
from nodes.qml import model_files
from nodes.qml.ensemble import Ensemble
from nodes.qml.models import KINDS
from nodes.server import Server
from scenarios.inference import Lesson
from scenarios.inference_sections import Delivery as Wanted
from scenarios.recorder import Recorder

_LIBRARIES = ("numpy", "qiskit", "qiskit-machine-learning", "scikit-learn")
_KINDS = {**KINDS, Ensemble.name: Ensemble}
_SENDER, _RECEIVER = "trainer", "server-models"


class Courier:
    """Delivers the lesson's model once, when the run begins.

    Args:
        env: the simulation.
        streams: named randomness.
        wanted: the scenario's section.
        lesson: whose model.
        keys: the two key managers, Alice's site first.
        to_bob: the channel from Alice's site.
        gateway: of Bob's site.
        server: which gets the model.
        recorder: of the run.
    """

    def __init__(
        self,
        env: simpy.Environment,
        streams: Streams,
        wanted: Wanted,
        lesson: Lesson,
        keys: tuple[KeyManager, KeyManager],
        to_bob: ClassicalChannel,
        gateway: Gateway,
        server: Server,
        recorder: Recorder,
    ) -> None:
        self._lesson = lesson
        terms = terms_of(wanted)
        publisher = Publisher(_SENDER, wanted.signature, streams("delivery/publisher"))
        recipient = Recipient(_RECEIVER, streams("delivery/recipient"))
        self._delivery = Delivery(
            env, to_bob.send, keys[0], publisher, recipient.keys, terms, streams("delivery"), recorder
        )
        self._reception = Reception(
            env,
            keys[1],
            recipient,
            publisher.keys,
            {terms.algorithms, *([terms.fallback] if terms.fallback is not None else [])},
            lambda data: model_files.load(data, _KINDS),
            server.install,
            recorder,
        )
        gateway.route({_RECEIVER: self._reception.on_envelope})

    def begin(self) -> None:
        """Send the model off."""
        self._delivery.deliver(
            model_files.dump(
                cast("model_files.Storable", self._lesson.served),
                training_sha256=model_files.fingerprint(self._lesson.train),
                libraries={name: importlib.metadata.version(name) for name in _LIBRARIES},
            )
        )

    def figures(self) -> dict[str, Any]:
        """For the summary; lengths and names, no key and no bytes of the model."""
        sent = next(iter(self._delivery.dispatches), None)
        arrived = next((one for one in self._reception.arrivals if one.status == "installed"), None)
        return {
            "status": "waiting" if sent is None else sent.status if arrived is None else "installed",
            "suite": sent.used.suite if sent is not None and sent.used is not None else None,
            "security": sent.security if sent is not None else None,
            "fell_back": sent.fell_back if sent is not None else False,
            "installed_s": arrived.installed_s if arrived is not None else None,
            "model_bytes": sent.model_bytes if sent is not None else 0,
            "parcel_bytes": sent.parcel_bytes if sent is not None else 0,
            "qkd_bits": sent.qkd_bits if sent is not None else 0,
            "refused": {
                cause.replace(" ", "-"): count for cause, count in sorted(self._reception.refusals.items())
            },
            "sentence": self._sentence(),
        }

    def _sentence(self) -> str:
        sent = next(iter(self._delivery.dispatches), None)
        if sent is None:
            return "the model was still waiting for key when the run ended."
        if sent.used is None:
            return f"the model was not sent ({sent.status}): there was not enough QKD key for {sent.wanted.suite}."
        told = f"{sent.parcel_bytes:,} bytes with {sent.used.suite} and {sent.used.scheme}; its secrecy on the way {sent.rests_on}."
        if sent.fell_back:
            told = (
                f"for want of QKD key it fell back from {sent.wanted.suite} ({sent.wanted.security}): {told}"
            )
        refused = sum(self._reception.refusals.values())
        return told + (f" Refused at the server: {refused} faults." if refused else "")


def terms_of(wanted: Wanted) -> Terms:
    """The delivery's terms as a scenario's section says them.

    Raises:
        ValueError: a combination that makes no sense.
    """
    pad = wanted.suite == ONE_TIME_PAD
    cipher = "" if pad else wanted.cipher
    fallback = Algorithms("x25519+ml-kem-768", wanted.cipher, wanted.signature)
    return Terms(
        Algorithms(wanted.suite, cipher, wanted.signature),
        wanted.without_key,
        0.0 if wanted.without_key == "refuse" else wanted.patience,
        fallback if wanted.without_key == "fallback" else None,
    )
