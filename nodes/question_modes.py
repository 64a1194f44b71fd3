"""A query mode with its numbers, and both its sides ready to plug into clients and server."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import simpy

from netsim.photonics.detector import Receiver
from netsim.photonics.registers import Processor
from netsim.photonics.train import Train
from nodes.kme import KeyManager
from nodes.modes import AskingMode, Masked, MaskedFormat, OneTimePad, ServingMode
from nodes.qml.query_modes import Deployed, Estimator, QueryModeName, References
from nodes.quantum_modes import (
    QotpClient,
    QotpServer,
    RegisterFormat,
    SamePadClient,
    SamePadServer,
    qotp_format,
    same_pad_format,
)
from nodes.queries import AnswerForm, QueryFormat

QUANTUM_MODES: tuple[QueryModeName, ...] = ("qotp", "same-pad")
"""The modes whose questions travel as light."""


@dataclasses.dataclass(frozen=True)
class QuestionMode:
    """A mode and its numbers; those about registers count for `qotp` and `same-pad` only.

    Attributes:
        name: of the mode.
        copies: registers for a question: copies (qotp), or pairs of its state and a reference's (same-pad).
        estimator: what they are measured for, or compared with.
        per_pad: same-pad only: how many pairs in a row share a pad.
        pads_from_kme: same-pad only: whether pads are key, or random bits of the client's own.
        rate_hz: qubits per second.
    """

    name: QueryModeName = "otp"
    copies: int = 400
    estimator: Estimator = "observable"
    per_pad: int = 1
    pads_from_kme: bool = True
    rate_hz: float = 1e6

    @property
    def quantum(self) -> bool:
        """Whether there is light."""
        return self.name in QUANTUM_MODES

    def layout(
        self, features: int, mac: bool, answers: AnswerForm, model: Deployed | None = None
    ) -> QueryFormat:
        """Sizes of query and answer.

        Args:
            features: of a question.
            mac: whether messages carry a one-time MAC.
            answers: what an answer says.
            model: needed for `same-pad` with support vectors, whose number decides how long an answer is.

        Raises:
            ValueError: see `RegisterFormat`; `same-pad` without a MAC.
        """
        if self.name == "otp":
            return QueryFormat(features, mac, answers)
        if self.name == "masked":
            return MaskedFormat(features, mac, answers)
        if self.name == "qotp":
            return qotp_format(features, mac, self.copies, answers)
        if not mac:
            raise ValueError("same-pad without a query MAC: a tag is all that its queries seal")
        count = 2**features
        if self.estimator == "kernel":
            if model is None:
                raise ValueError("same-pad with support vectors needs the model to count them, got none")
            count = References.of(model, self.estimator).count
        return same_pad_format(
            features,
            self.copies,
            count,
            per_pad=self.per_pad,
            pads_from_kme=self.pads_from_kme,
            answers=answers,
        )

    def asking(
        self,
        env: simpy.Environment,
        keys: KeyManager,
        layout: QueryFormat,
        *,
        light: Callable[[Train], None] | None = None,
        model: Deployed | None = None,
        patience_s: float = 0.0,
        own: np.random.Generator | None = None,
    ) -> AskingMode:
        """A client's side.

        Args:
            env: the simulation.
            keys: the KME of its site.
            layout: as `layout` made it.
            light: puts registers on their way; for quantum modes.
            model: whose feature map makes states of questions, and which a client of `same-pad` holds.
            patience_s: how long a client waits for pads.
            own: its own random bits, for pads that are not key.

        Raises:
            ValueError: something is missing that the mode needs.
        """
        if not isinstance(layout, RegisterFormat):
            return Masked(keys, layout) if self.name == "masked" else OneTimePad(keys, layout)
        if light is None or model is None:
            raise ValueError(
                f"a client of {self.name} needs a quantum channel and a model, got {light}, {model}"
            )
        program = model.decision_.program
        if self.name == "qotp":
            return QotpClient(env, layout, program, light, self.rate_hz)
        references = References.of(model, self.estimator)
        return SamePadClient(env, layout, program, light, self.rate_hz, references, keys, patience_s, own)

    def serving(
        self,
        env: simpy.Environment,
        keys: KeyManager,
        layout: QueryFormat,
        *,
        receiver: Receiver | None = None,
        rng: np.random.Generator | None = None,
        memory_s: float = 1.0,
        processor: Processor | None = None,
    ) -> ServingMode:
        """The server's side; of a quantum mode its `on_train` takes the light.

        Args:
            env: the simulation.
            keys: the KME of Bob's site.
            layout: as `layout` made it.
            receiver: the server's detectors; for quantum modes.
            rng: of what they find.
            memory_s: how long registers and queries wait for each other.
            processor: runs the gates; perfect ones if left out.

        Raises:
            ValueError: something is missing that the mode needs.
        """
        if not isinstance(layout, RegisterFormat):
            return Masked(keys, layout) if self.name == "masked" else OneTimePad(keys, layout)
        if receiver is None or rng is None:
            raise ValueError(
                f"a server of {self.name} needs detectors and a generator, got {receiver}, {rng}"
            )
        if self.name == "qotp":
            return QotpServer(
                env,
                keys,
                layout,
                receiver,
                rng,
                estimator=self.estimator,
                memory_s=memory_s,
                processor=processor,
            )
        return SamePadServer(env, keys, layout, receiver, rng, memory_s=memory_s, processor=processor)
