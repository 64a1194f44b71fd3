"""The nodes at both ends of a model's way, and what becomes of a delivery when the QKD key runs out.

What the publisher does without key is a policy, by name: `wait` for it, and give up when patience ends; `refuse` at once,
so that the server goes on with what it had; or `fallback` to algorithms that need none. Falling back is a downgrade that
anybody can force who can use up the key or cut the link. It is never silent: it is an event, and the record of the delivery
says what the model's secrecy rests on now. A recipient that does not want it leaves those algorithms out of what it allows.

Sealing and opening take no simulated time: they take milliseconds at most, and key and wire take seconds.
"""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import itertools
import uuid
from collections.abc import Callable, Collection, Generator, Sequence
from typing import Any, Literal

import numpy as np
import simpy

from netsim.errors import KeyExhausted, KeyUnavailable
from netsim.messages import Envelope, Parcel
from nodes.delivery.algorithms import Algorithms, Assurance, model_bytes_in
from nodes.delivery.parcel import (
    Cause,
    Fault,
    ParcelRefused,
    Publisher,
    PublisherKeys,
    Recipient,
    RecipientKeys,
    inspected,
    opened,
    seal,
)
from nodes.kme import Key, KeyManager, address_of
from nodes.observer import Observer
from nodes.qml.model_files import ModelFileError
from nodes.qml.strategy import Classifier

WhenDry = Literal["wait", "refuse", "fallback"]


@dataclasses.dataclass(frozen=True)
class Terms:
    """How a publisher delivers.

    Attributes:
        algorithms: what it wants.
        when_dry: what it does where these need QKD key and there is not enough.
        patience_s: how long it waits for key first; 0 for `refuse`, which never waits.
        fallback: what it falls back to; needs no QKD key, and is signed by the same scheme.

    Raises:
        ValueError: a combination that makes no sense.
    """

    algorithms: Algorithms = dataclasses.field(default_factory=Algorithms)
    when_dry: WhenDry = "wait"
    patience_s: float = 0.0
    fallback: Algorithms | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.patience_s < float("inf"):
            raise ValueError(f"patience_s is {self.patience_s}; expected 0 or more seconds")
        if self.when_dry == "refuse" and self.patience_s:
            raise ValueError(f"patience_s is {self.patience_s}; `refuse` never waits, expected 0 (or `wait`)")
        if (self.when_dry == "fallback") != (self.fallback is not None):
            raise ValueError(
                f"when_dry is {self.when_dry!r} and fallback {self.fallback}; expected both or neither"
            )
        if self.fallback is not None and self.fallback.qkd_keys(0)[0]:
            raise ValueError(f"fallback is {self.fallback}, which needs QKD key itself")
        if self.fallback is not None and self.fallback.scheme != self.algorithms.scheme:
            raise ValueError(
                f"fallback signs with {self.fallback.scheme}; expected {self.algorithms.scheme}: a publisher has one signing key"
            )


@dataclasses.dataclass(frozen=True)
class Dispatch:
    """What became of a delivery at the publisher's end.

    Attributes:
        version: of the model.
        status: "sent"; "refused", there was no key and the policy does not wait; "gave up", none came in time.
        wanted: the algorithms it was to go with.
        used: those that it went with; None if it did not.
        asked_s: when it was to go.
        sent_s: when it went; None if it did not.
        model_bytes: length of the model file.
        parcel_bytes: length of the parcel; 0 if there was none.
        qkd_bits: key cut from the KME for this delivery, that of an attempt that found too little included.
        model_sha256: of the model file, in hexadecimal: for the record, it is not on the wire.
    """

    version: int
    status: Literal["sent", "refused", "gave up"]
    wanted: Algorithms
    used: Algorithms | None
    asked_s: float
    sent_s: float | None
    model_bytes: int
    parcel_bytes: int
    qkd_bits: int
    model_sha256: str

    @property
    def fell_back(self) -> bool:
        """Whether it went with less than was wanted."""
        return self.used is not None and self.used != self.wanted

    @property
    def security(self) -> Assurance | None:
        """What its secrecy on the way was, in a word; None if it did not go."""
        return None if self.used is None else self.used.security

    @property
    def rests_on(self) -> str:
        """What its secrecy rests on, in a sentence; empty if it did not go."""
        return "" if self.used is None else self.used.rests_on


@dataclasses.dataclass(frozen=True)
class Arrival:
    """What became of a parcel at the recipient's end.

    Attributes:
        status: "installed" or "refused".
        causes: why it was refused.
        reasons: the same, in sentences.
        arrived_s: when the parcel came.
        version: of the model; None where the parcel was refused, as is all that follows: nobody vouches for it.
        algorithms: it was made with.
        installed_s: when the server had it.
        model_sha256: of the model file, in hexadecimal.
    """

    status: Literal["installed", "refused"]
    causes: tuple[Cause, ...]
    reasons: tuple[str, ...]
    arrived_s: float
    version: int | None = None
    algorithms: Algorithms | None = None
    installed_s: float | None = None
    model_sha256: str | None = None


class Delivery:
    """The publisher's end: gets key, seals, sends; one model after another.

    Args:
        env: the simulation.
        send: puts an envelope on its way.
        keys: the KME of its site; None if it is to do without QKD key.
        publisher: who signs; its name is the node's.
        recipient: who the models are for.
        terms: how.
        rng: salts and ephemeral keys.
        observer: told of what is sent, of what is not, and of fallbacks.

    Attributes:
        dispatches: what became of the models, in order.

    Raises:
        ValueError: terms that need QKD key without a KME, or another scheme than the publisher signs with.
    """

    def __init__(
        self,
        env: simpy.Environment,
        send: Callable[[Envelope], None],
        keys: KeyManager | None,
        publisher: Publisher,
        recipient: RecipientKeys,
        terms: Terms,
        rng: np.random.Generator,
        observer: Observer,
    ) -> None:
        if keys is None and terms.algorithms.qkd_keys(0)[0]:
            raise ValueError(f"{terms.algorithms} needs QKD key, and there is no KME to get it from")
        if publisher.scheme != terms.algorithms.scheme:
            raise ValueError(
                f"the publisher signs with {publisher.scheme}; expected {terms.algorithms.scheme}"
            )
        self._env = env
        self._send = send
        self._keys = keys
        self._publisher = publisher
        self._recipient = recipient
        self._terms = terms
        self._rng = rng
        self._observer = observer
        self._versions = itertools.count()
        self._turn = simpy.Resource(env)
        self.name = publisher.name
        self.dispatches: list[Dispatch] = []

    def deliver(self, model: bytes) -> simpy.Process:
        """Deliver a model file after those before it; the process ends with its `Dispatch`, and never fails for want of key."""
        return self._env.process(self._deliver(model, next(self._versions)))

    def _deliver(self, model: bytes, version: int) -> Generator[simpy.Event, Any, Dispatch]:
        terms, asked_s = self._terms, self._env.now
        with self._turn.request() as turn:
            yield turn
            used: Algorithms | None = terms.algorithms
            cut: list[Key] = []
            try:
                yield from self._cut(terms.algorithms, len(model), cut)
            except KeyExhausted as shortage:
                used = terms.fallback
                self._tell_dry(version, shortage)
            qkd_bits = sum(len(key.bits) for key in cut)
            if used is None:
                parcel = b""
            else:
                parcel = seal(
                    model,
                    version=version,
                    algorithms=used,
                    publisher=self._publisher,
                    recipient=self._recipient,
                    rng=self._rng,
                    qkd=cut if used is terms.algorithms else (),
                )
                self._send(Envelope(self.name, self._recipient.name, Envelope.PARCELS, version, parcel))
            dispatch = Dispatch(
                version=version,
                status="sent" if used is not None else "gave up" if terms.when_dry == "wait" else "refused",
                wanted=terms.algorithms,
                used=used,
                asked_s=asked_s,
                sent_s=None if used is None else self._env.now,
                model_bytes=len(model),
                parcel_bytes=len(parcel),
                qkd_bits=qkd_bits,
                model_sha256=hashlib.sha256(model).hexdigest(),
            )
            self.dispatches.append(dispatch)
            if used is not None:
                self._tell_sent(dispatch, used)
            return dispatch

    def _cut(
        self, algorithms: Algorithms, model_bytes: int, cut: list[Key]
    ) -> Generator[simpy.Event, Any, None]:
        """Get the QKD keys that a parcel takes, one by one, into `cut`.

        Raises:
            KeyExhausted: they did not come in time.
        """
        number, size = algorithms.qkd_keys(model_bytes)
        if self._keys is None or not number:
            return
        deadline_s = self._env.now + self._terms.patience_s
        if not self._terms.patience_s and self._keys.outgoing.available_bits < number * size:
            # What is cut for nothing is lost, so nothing is cut where it is plain that it will not do.
            raise KeyExhausted(requested=number * size, available=self._keys.outgoing.available_bits)
        for _ in range(number):
            left_s = max(0.0, deadline_s - self._env.now)
            cut += yield from self._keys.enc_keys(size=size, patience_s=left_s)

    def _tell_dry(self, version: int, shortage: KeyExhausted) -> None:
        wanted, fallback = self._terms.algorithms, self._terms.fallback
        about: dict[str, object] = {
            "version": version,
            "requested_bits": shortage.requested,
            "stored_bits": shortage.available,
            "wanted": wanted.suite,
        }
        if fallback is None:
            what = "delivery_gave_up" if self._terms.when_dry == "wait" else "delivery_refused"
            self._observer.event(self.name, what, **about)
            return
        self._observer.event(
            self.name,
            "delivery_fell_back",
            **about,
            used=fallback.suite,
            security_wanted=wanted.security,
            security=fallback.security,
            rests_on=fallback.rests_on,
        )

    def _tell_sent(self, dispatch: Dispatch, used: Algorithms) -> None:
        self._observer.event(
            self.name,
            "model_sent",
            version=dispatch.version,
            suite=used.suite,
            security=used.security,
            parcel_bytes=dispatch.parcel_bytes,
            qkd_bits=dispatch.qkd_bits,
        )


class Reception:
    """The recipient's end: opens parcels, and installs the models in them.

    Args:
        env: the simulation.
        keys: the KME of its site; None if it is to do without QKD key.
        recipient: who opens; its name is the node's.
        publisher: whose models it takes.
        allowed: the algorithms that are good enough.
        load: makes a model of a model file; raises ModelFileError.
        install: what to do with the model.
        observer: told of models, and alarmed by what is refused.

    Attributes:
        arrivals: what became of the parcels, in the order in which that was settled.
        refusals: how many were refused, by cause; one may have several.
    """

    def __init__(
        self,
        env: simpy.Environment,
        keys: KeyManager | None,
        recipient: Recipient,
        publisher: PublisherKeys,
        allowed: Collection[Algorithms],
        load: Callable[[bytes], Classifier],
        install: Callable[[Classifier], None],
        observer: Observer,
    ) -> None:
        self._env = env
        self._keys = keys
        self._recipient = recipient
        self._publisher = publisher
        self._allowed = frozenset(allowed)
        self._load = load
        self._install = install
        self._observer = observer
        self._last = -1
        self.name = recipient.name
        self.arrivals: list[Arrival] = []
        self.refusals: collections.Counter[Cause] = collections.Counter()

    def on_envelope(self, envelope: Envelope) -> None:
        """What may be a parcel has arrived."""
        self._env.process(self._receive(envelope.body))

    def _receive(self, body: bytes) -> Generator[simpy.Event, Any, None]:
        arrived_s = self._env.now
        try:
            parcel = self._inspected(body)
            keys = yield from self._fetch(parcel)
            self._still_newest(parcel)
            model = opened(parcel, self._recipient, keys)
            self._last = parcel.version
            self._install(self._loaded(model))
        except ParcelRefused as refused:
            self._refuse(refused, arrived_s)
            return
        algorithms = Algorithms(parcel.suite, parcel.cipher, parcel.scheme)
        digest = hashlib.sha256(model).hexdigest()
        self.arrivals.append(
            Arrival("installed", (), (), arrived_s, parcel.version, algorithms, self._env.now, digest)
        )
        self._observer.event(
            self.name,
            "model_installed",
            version=parcel.version,
            suite=parcel.suite,
            security=algorithms.security,
            model_bytes=len(model),
        )

    def _inspected(self, body: bytes) -> Parcel:
        return inspected(
            body,
            publisher=self._publisher,
            recipient=self._recipient.keys,
            allowed=self._allowed,
            after=self._last,
        )

    def _fetch(self, parcel: Parcel) -> Generator[simpy.Event, Any, Sequence[Key]]:
        """The QKD keys that an inspected parcel names."""
        key_ids = [uuid.UUID(bytes=parcel.key_ids[at : at + 16]) for at in range(0, len(parcel.key_ids), 16)]
        if not key_ids:
            return ()
        algorithms = Algorithms(parcel.suite, parcel.cipher, parcel.scheme)
        number, size = algorithms.qkd_keys(model_bytes_in(parcel.sealed))
        sizes = [address_of(key_id)[1] for key_id in key_ids]
        if self._keys is None or sizes != [size] * number:
            says = f"names QKD keys of {sizes} bits; expected {number} of {size}, and a KME to get them from"
            raise ParcelRefused([Fault("keys", says)])
        try:
            keys = yield from self._keys.dec_keys(key_ids)
        except KeyUnavailable as error:
            raise ParcelRefused([Fault("keys", str(error))]) from None
        return keys

    def _still_newest(self, parcel: Parcel) -> None:
        """A newer one may have been opened while this one's key was fetched."""
        if parcel.version <= self._last:
            says = f"model {parcel.version} is not newer than {self._last}"
            raise ParcelRefused([Fault("version", says)])

    def _loaded(self, model: bytes) -> Classifier:
        try:
            return self._load(model)
        except ModelFileError as error:
            raise ParcelRefused([Fault("model file", reason) for reason in error.faults]) from None

    def _refuse(self, refused: ParcelRefused, arrived_s: float) -> None:
        causes = tuple(dict.fromkeys(refused.causes))
        self.arrivals.append(Arrival("refused", causes, refused.reasons, arrived_s))
        self.refusals.update(causes)
        for cause in causes:
            self._observer.event(self.name, "parcel_refused", reason=cause)
        self._observer.alarm(self.name, f"parcel: {causes[0]}")
