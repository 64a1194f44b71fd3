"""Questions that travel as quantum states: `qotp` and `same-pad`, client's side and server's side.

The registers go over the quantum channel and are lost and disturbed as any light; a classical Query says which key pads them, and
is authenticated as in `otp`. The pads hide what travels; they do not authenticate it: who exchanges registers is not noticed, and
gets a random answer for the client (Barnum, Crépeau, Gottesman, Smith and Tapp, FOCS 2002, on what it takes).

Taken for granted: single photons, perfect gates at the client, memories at the server in which registers keep until their key is
there, and wavelengths of their own beside the light that makes key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator
from typing import Any, cast

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.keys.one_time_pad import key_bits, seal, unseal
from netsim.messages import Query
from netsim.photonics.detector import Receiver
from netsim.photonics.registers import ExactProcessor, Processor, RegisterTrain, Treatment, pauli
from netsim.photonics.train import Choice, Train
from netsim.random_streams import random_bits
from nodes.kme import Key, KeyManager, key_named
from nodes.modes import Answers, Found
from nodes.qml import fixed_point
from nodes.qml.padding import Pads
from nodes.qml.query_modes import Deployed, Estimator, Reading, References, reading_of, swap_reading
from nodes.qml.statevector import Program
from nodes.qml.strategy import Classifier
from nodes.queries import AnswerForm, QueryFormat, QueryRecord

_ESTIMATE_SCALE = 32767
"""The code of an overlap of 1; a step is 1/32767, far below the error of any number of pairs that key can pay for."""


def label_of(client: int, sequence: int) -> int:
    """Number of the train that belongs to a query: below −1, so that it is no block's and not that of queries' envelopes."""
    return -2 - (client << 32) - sequence


@dataclasses.dataclass(frozen=True)
class RegisterFormat(QueryFormat):
    """Sizes where questions are registers.

    Attributes:
        qubits: n, of a question's state.
        registers: how many are sent for a question: copies (qotp) or pairs (same-pad).
        per_pad: how many registers in a row share a pad.
        shared_pads: whether the query's key is the pads, filled up to whole bytes, then the MAC's; otherwise the pads are another
            key, that the server is not told of, or none of the KME's.
        pads_from_kme: whether pads are key at all.
        estimates: numbers in an answer of two bytes each; 0 where an answer is what `answers` says.

    Raises:
        ValueError: a number below 1, no key at all for a query, or more than a KME hands out in one piece.
    """

    qubits: int = 2
    registers: int = 1
    per_pad: int = 1
    shared_pads: bool = True
    pads_from_kme: bool = True
    estimates: int = 0

    def __post_init__(self) -> None:
        """Check the sizes."""
        if min(self.qubits, self.registers, self.per_pad) < 1:
            raise ValueError(
                f"{self.registers} registers of {self.qubits} qubits, {self.per_pad} to a pad; expected at least 1 each"
            )
        if not self.query_key_bits:
            raise ValueError(
                "a query whose pads the server must not have needs a MAC: it is all that is sealed"
            )
        most = max(self.query_key_bits, self.private_key_bits)
        if most > KeyManager.MAX_KEY_SIZE:
            raise ValueError(
                f"a question of {self.registers} registers takes {most} bits of key in one piece; "
                f"a KME hands out {KeyManager.MAX_KEY_SIZE} at most: send fewer registers"
            )

    @property
    def pads(self) -> int:
        """Pauli pads for a question."""
        return -(-self.registers // self.per_pad)

    @property
    def pad_bits(self) -> int:
        """What the pads take: two bits for a qubit."""
        return 2 * self.qubits * self.pads

    @property
    def query_bytes(self) -> int:
        """Plaintext of a query: none, it is light."""
        return 0

    @property
    def query_key_bits(self) -> int:
        """The key that a query names."""
        return (_whole_bytes(self.pad_bits) if self.shared_pads else 0) + key_bits(0, self.mac)

    @property
    def private_key_bits(self) -> int:
        """The key that only the client asks for."""
        return 0 if self.shared_pads or not self.pads_from_kme else _whole_bytes(self.pad_bits)

    @property
    def answer_bytes(self) -> int:
        """Plaintext of an answer."""
        return 2 * self.estimates if self.estimates else super().answer_bytes

    @property
    def forward_share(self) -> float:
        """Share of the key that questions take; answers take the rest."""
        forward = self.query_key_bits + self.private_key_bits
        return forward / (forward + self.answer_key_bits)

    def pads_in(self, bits: NDArray[np.uint8]) -> Pads:
        """The pad of each register, from key uint8[pad_bits or more]."""
        return Pads.of(bits[: self.pad_bits], self.qubits).repeated(self.per_pad, self.registers)

    def mac_key_in(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What of a query's key is for the tag."""
        return bits[len(bits) - key_bits(0, self.mac) :]


def _whole_bytes(bits: int) -> int:
    """KMEs hand out whole bytes."""
    return 8 * -(-bits // 8)


def qotp_format(features: int, mac: bool, copies: int, answers: AnswerForm = "label") -> RegisterFormat:
    """Of `qotp`: as many fresh pads as copies."""
    return RegisterFormat(features, mac, answers, qubits=features, registers=copies)


def same_pad_format(
    features: int,
    pairs: int,
    references: int,
    *,
    per_pad: int = 1,
    pads_from_kme: bool = True,
    answers: AnswerForm = "label",
) -> RegisterFormat:
    """Of `same-pad`: a pad for so many pairs in a row, a MAC always, and an estimate for each reference state comes back."""
    return RegisterFormat(
        features,
        True,
        answers,
        qubits=features,
        registers=pairs,
        per_pad=per_pad,
        shared_pads=False,
        pads_from_kme=pads_from_kme,
        estimates=references,
    )


class _Sender:
    """What both clients' sides share: where the light goes, and when."""

    def __init__(
        self,
        env: simpy.Environment,
        layout: RegisterFormat,
        program: Program,
        light: Callable[[Train], None],
        rate_hz: float,
    ) -> None:
        self._env = env
        self._layout = layout
        self._program = program
        self._light = light
        self._rate_hz = rate_hz

    def _state(self, query: QueryRecord) -> NDArray[np.complex128]:
        """|φ(x)⟩ of the question's code."""
        return self._program.columns(np.array([fixed_point.decode(query.plaintext)]))[:, 0]

    def _send(
        self, states: NDArray[np.complex128], pads: Pads, query: QueryRecord, blank: Query, key: Key
    ) -> bytes:
        """Let the registers leave under their pads; what is sealed is the tag over the query's header."""
        label = label_of(query.client, query.sequence)
        self._light(RegisterTrain(pauli(states, pads.x, pads.z), label, self._env.now, self._rate_hz))
        return seal(b"", blank.header(), self._layout.mac_key_in(key.bits), self._layout.mac)


class QotpClient(_Sender):
    """`qotp`, client's side: copies of |φ(x)⟩, each under its own Pauli pad.

    Args:
        env: the simulation.
        layout: sizes, and how registers share pads.
        program: of the feature map.
        light: puts registers on their way.
        rate_hz: qubits per second.
    """

    def seal(self, query: QueryRecord, blank: Query, key: Key) -> Generator[simpy.Event, Any, bytes]:
        """Send the copies."""
        yield from ()
        copies = np.repeat(self._state(query)[:, None], self._layout.registers, axis=1)
        return self._send(copies, self._layout.pads_in(key.bits), query, blank, key)

    def read(self, plaintext: bytes) -> float:
        """As the layout packs it."""
        return self._layout.unpack(plaintext)


class SamePadClient(_Sender):
    """`same-pad`, client's side: it has the model, the server has none.

    Nobody ever takes these pads off, so nobody but the client needs them. Bits from the KME are what the key store is for, but the KME
    at the server's site has them too: from a server that may ask it for any key, only bits of the client's own hide anything.

    Args:
        env: the simulation.
        layout: sizes, and how registers share pads.
        program: of the feature map.
        light: puts registers on their way.
        rate_hz: qubits per second.
        references: the model as states and weights.
        keys: the KME of the client's site, for pads.
        patience_s: how long they are waited for.
        own: the client's own random bits, for pads where the layout says that they are not key.
    """

    def __init__(
        self,
        env: simpy.Environment,
        layout: RegisterFormat,
        program: Program,
        light: Callable[[Train], None],
        rate_hz: float,
        references: References,
        keys: KeyManager,
        patience_s: float,
        own: np.random.Generator | None = None,
    ) -> None:
        super().__init__(env, layout, program, light, rate_hz)
        if layout.estimates != references.count:
            raise ValueError(
                f"a layout of {layout.estimates} estimates for {references.count} reference states; expected as many"
            )
        if not layout.pads_from_kme and own is None:
            raise ValueError("pads that are not the KME's need a generator of the client's own, got none")
        self._references = references
        self._reading = references.reading()
        self._entry = self._reading.schedule(layout.registers)
        self._keys = keys
        self._patience_s = patience_s
        self._own = own

    def seal(self, query: QueryRecord, blank: Query, key: Key) -> Generator[simpy.Event, Any, bytes]:
        """Send pairs of the question's state and a reference's, both under the pad of the pair."""
        bits = yield from self._pad_bits()
        pairs = self._references.pairs(self._state(query), self._entry)
        return self._send(pairs, self._layout.pads_in(bits).doubled(), query, blank, key)

    def _pad_bits(self) -> Generator[simpy.Event, Any, NDArray[np.uint8]]:
        if self._layout.pads_from_kme:
            size = self._layout.private_key_bits
            (pads,) = yield from self._keys.enc_keys(size=size, patience_s=self._patience_s)
            return pads.bits
        assert self._own is not None  # noqa: S101  the constructor has checked
        return random_bits(self._layout.pad_bits, self._own)

    def read(self, plaintext: bytes) -> float:
        """Add up the estimates: the decision value, or its class."""
        value = self._reading.value(np.frombuffer(plaintext, dtype=">i2") / _ESTIMATE_SCALE)
        return value if self._layout.answers == "score" else float(value > 0.0)


@dataclasses.dataclass(frozen=True, eq=False)
class Received:
    """A question at the server.

    Attributes:
        train: its registers; None if none came.
        pads: what they are under; None where the server must not know.
    """

    train: Train | None = dataclasses.field(repr=False)
    pads: Pads | None = dataclasses.field(repr=False)


class RegisterBench:
    """What both servers' sides share: a memory for registers, a processor, detectors.

    Attributes:
        measured: registers that were measured.
        complete: of those, how many had a click for every qubit.
    """

    def __init__(
        self,
        env: simpy.Environment,
        keys: KeyManager,
        layout: RegisterFormat,
        receiver: Receiver,
        rng: np.random.Generator,
        memory_s: float,
        processor: Processor | None,
    ) -> None:
        self._env = env
        self._keys = keys
        self._layout = layout
        self._receiver = receiver
        self._rng = rng
        self._memory_s = memory_s
        self._processor: Processor = ExactProcessor() if processor is None else processor
        self._held: dict[int, Train] = {}
        self._awaited: dict[int, simpy.Event] = {}
        self.measured = 0
        self.complete = 0

    def on_train(self, train: Train) -> None:
        """Registers have arrived: hand them to who waits for them, or keep them for a while."""
        waiting = self._awaited.pop(train.block, None)
        if waiting is not None:
            waiting.succeed(train)
        else:
            self._held[train.block] = train
            self._env.process(self._forget(train))

    def _forget(self, train: Train) -> Generator[simpy.Event, Any, None]:
        yield self._env.timeout(self._memory_s)
        if self._held.get(train.block) is train:
            del self._held[train.block]

    def _fetch(self, label: int) -> Generator[simpy.Event, Any, Train | None]:
        """The registers of a query, or None if they do not come in time."""
        if label in self._held:
            return self._held.pop(label)
        if label in self._awaited:
            return None  # another query of this number was first, which no tag forbids where there are none
        arrival = self._awaited[label] = self._env.event()
        yield arrival | self._env.timeout(self._memory_s)
        if not arrival.triggered:
            del self._awaited[label]
            return None
        return cast("Train", arrival.value)

    def _admit(self, query: Query) -> Generator[simpy.Event, Any, tuple[Train | None, Key]]:
        """Fetch the query's key, check the tag, wait for the registers: them, and the key."""
        key_id = key_named(query.key_id, self._layout.query_key_bits)
        (key,) = yield from self._keys.dec_keys([key_id])
        unseal(query.sealed, query.header(), self._layout.mac_key_in(key.bits), self._layout.mac)
        train = yield from self._fetch(label_of(query.client, query.sequence))
        return train, key

    def fits(self, question: Received) -> bool:  # noqa: ARG002  the interface's
        """What is wrong with registers shows when they are measured."""
        return True

    def _entries(self, reading: Reading, question: Received) -> NDArray[np.float64]:
        """Estimates float64[entries]; NaN where no register of an entry arrived."""
        train, registers = question.train, self._layout.registers
        nothing = np.full(len(reading.shares), np.nan)
        if not isinstance(train, RegisterTrain) or (train.registers, train.qubits) != (
            registers,
            reading.qubits,
        ):
            return nothing
        entry = reading.schedule(registers)
        unpadded = np.zeros((registers, reading.qubits), dtype=np.uint8)
        pads = Pads(unpadded, unpadded) if question.pads is None else question.pads
        treatment = Treatment(pads.x, pads.z, reading.unitaries, reading.turn[entry])
        train.process(treatment, self._processor, self._rng)
        clicks = self._receiver.detect(train, Choice.always(0), self._rng)
        seen = np.zeros(len(train), dtype=np.bool_)
        bits = np.zeros(len(train), dtype=np.intp)
        seen[clicks.slots], bits[clicks.slots] = True, clicks.outcomes
        arrived: NDArray[np.bool_] = np.all(seen.reshape(registers, -1), axis=1)
        outcomes = bits.reshape(registers, -1) @ (1 << np.arange(reading.qubits))
        self.measured += registers
        self.complete += int(np.count_nonzero(arrived))
        return reading.entries(entry, outcomes, arrived)


class QotpServer(RegisterBench):
    """`qotp`, server's side: it undoes the pads with its KME's key and measures.

    Args:
        env: the simulation.
        keys: the KME of Bob's site.
        layout: sizes, and how registers share pads.
        receiver: the detectors.
        rng: of the outcomes.
        estimator: what is measured.
        memory_s: how long registers without a query are kept, and a query without registers waits.
        processor: runs the gates; perfect ones if left out.
    """

    def __init__(
        self,
        env: simpy.Environment,
        keys: KeyManager,
        layout: RegisterFormat,
        receiver: Receiver,
        rng: np.random.Generator,
        *,
        estimator: Estimator = "observable",
        memory_s: float = 1.0,
        processor: Processor | None = None,
    ) -> None:
        super().__init__(env, keys, layout, receiver, rng, memory_s, processor)
        self._estimator: Estimator = estimator
        self._known: tuple[Classifier, Reading] | None = None

    def open(self, query: Query) -> Generator[simpy.Event, Any, Received]:
        """Fetch the key, check the tag, wait for the registers."""
        train, key = yield from self._admit(query)
        return Received(train, self._layout.pads_in(key.bits))

    def find(self, model: Classifier, question: Received) -> Found:
        """Measure the copies."""
        reading = self._reading_of(model)
        return Found(np.array([reading.value(self._entries(reading, question))]), None)

    def pack(self, values: NDArray[np.float64], answers: Answers) -> bytes:
        """As the layout packs it."""
        return self._layout.pack(float(answers(values)[0]))

    def _reading_of(self, model: Classifier) -> Reading:
        if self._known is None or self._known[0] is not model:
            if not isinstance(model, Deployed):
                raise TypeError(
                    f"a question that is a quantum state needs a model of such states; a {type(model).__name__} is none"
                )
            self._known = model, reading_of(model, self._estimator)
        return self._known[1]


class NoModel:
    """What a server holds that only compares states."""

    def decide(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """It has nothing to decide with."""
        raise TypeError(f"this server holds no model, and was asked to decide about {len(features)} rows")

    def classify(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """Likewise."""
        raise TypeError(f"this server holds no model, and was asked to classify {len(features)} rows")


class SamePadServer(RegisterBench):
    """`same-pad`, server's side: it compares what it cannot read. Its model is `NoModel`.

    Args:
        env: the simulation.
        keys: the KME of Bob's site; asked for the tags' keys only.
        layout: sizes.
        receiver: the detectors.
        rng: of the outcomes.
        memory_s: how long registers without a query are kept, and a query without registers waits.
        processor: runs the gates; perfect ones if left out.
    """

    def __init__(
        self,
        env: simpy.Environment,
        keys: KeyManager,
        layout: RegisterFormat,
        receiver: Receiver,
        rng: np.random.Generator,
        *,
        memory_s: float = 1.0,
        processor: Processor | None = None,
    ) -> None:
        super().__init__(env, keys, layout, receiver, rng, memory_s, processor)
        self._reading = swap_reading(layout.qubits, layout.estimates)

    def open(self, query: Query) -> Generator[simpy.Event, Any, Received]:
        """Check the tag, wait for the registers; the pads stay on."""
        train, _ = yield from self._admit(query)
        return Received(train, None)

    def find(self, model: Classifier, question: Received) -> Found:  # noqa: ARG002  the interface's
        """Overlaps of the question's state with each reference's."""
        return Found(self._entries(self._reading, question), None)

    def pack(self, values: NDArray[np.float64], answers: Answers) -> bytes:  # noqa: ARG002  it is the client who decides
        """The overlaps as 16-bit numbers: nothing of them is a decision yet."""
        codes: NDArray[np.float64] = np.rint(values * _ESTIMATE_SCALE)
        return codes.astype(">i2").tobytes()
