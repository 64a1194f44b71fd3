"""A site's key management entity: the operations of ETSI GS QKD 014 v1.1.1 in simulated time.

The site that issues a key (enc_keys) cuts it from the front of its outgoing stream; the other site's KME finds it (dec_keys) in its
incoming stream by the key ID, which is a UUID (RFC 9562, version 8) made of the key's address and length. Each bit leaves each KME once.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import uuid
from collections.abc import Generator, Sequence
from typing import Any, cast

import numpy as np
import simpy
from numpy.typing import NDArray

from netsim.errors import KeyExhausted, KeyUnavailable
from netsim.keys.key_store import KeyStore
from nodes.observer import Observer

_STREAMS = {"forward": 1, "reverse": 2}

ADDRESSES = 2**48
"""A stream has addresses below this: what fits into a key ID."""


@dataclasses.dataclass(frozen=True)
class Key:
    """A key as delivered.

    Attributes:
        key_id: its UUID.
        bits: uint8[n] of 0/1; never shown.
    """

    key_id: uuid.UUID
    bits: NDArray[np.uint8] = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Status:
    """ETSI GS QKD 014 v1.1.1, 6.1; sizes in bits. `stored_key_count` counts keys of `key_size`."""

    source_KME_ID: str  # noqa: N815  the standard's names
    target_KME_ID: str  # noqa: N815  likewise
    master_SAE_ID: str  # noqa: N815  likewise
    slave_SAE_ID: str  # noqa: N815  likewise
    key_size: int
    stored_key_count: int
    max_key_count: int
    max_key_per_request: int
    max_key_size: int
    min_key_size: int
    max_SAE_ID_count: int  # noqa: N815  likewise


class KeyManager:
    """The KME of one site.

    Args:
        env: the simulation.
        name: the KME's ID.
        peer: the ID of the other site's.
        stream: which stream this site issues from, "forward" (Alice's site) or "reverse" (Bob's).
        request_latency_s: of a call at the site.
        observer: told of keys issued and of shortage.

    Attributes:
        outgoing: key that this site issues.
        incoming: key that the other site issues.
        issued: IDs of the keys issued here, in order; the bits are forgotten when they are handed out.
        fetched: IDs of the keys delivered here.
        exhausted_events: requests that had to wait for key.
    """

    KEY_SIZE = 256
    MAX_KEY_SIZE = 65536
    MAX_KEYS_PER_REQUEST = 128

    def __init__(
        self,
        env: simpy.Environment,
        name: str,
        peer: str,
        stream: str,
        request_latency_s: float,
        observer: Observer,
    ) -> None:
        self._env = env
        self.name = name
        self._peer = peer
        self._outgoing_stream = _STREAMS[stream]
        self._incoming_stream = sum(_STREAMS.values()) - self._outgoing_stream
        self._request_latency_s = request_latency_s
        self._observer = observer
        self.outgoing = KeyStore()
        self.incoming = KeyStore()
        self._waiting: collections.deque[tuple[int, simpy.Event]] = collections.deque()
        self.issued: list[uuid.UUID] = []
        self.fetched: list[uuid.UUID] = []
        self.exhausted_events = 0

    def deposit_outgoing(self, address: int, bits: NDArray[np.uint8]) -> None:
        """Key that this site may issue; serves those who wait, first come first."""
        self.outgoing.deposit(address, bits)
        self._serve()
        self._tell_stored()

    def _serve(self) -> None:
        """Hand key to those who wait, as far as it goes, first come first."""
        while self._waiting:
            count, event = self._waiting[0]
            try:
                taken = self.outgoing.take(count)
            except KeyExhausted:
                break
            self._waiting.popleft()
            event.succeed(taken)

    def deposit_incoming(self, address: int, bits: NDArray[np.uint8]) -> None:
        """Key that the other site may issue."""
        self.incoming.deposit(address, bits)

    def status(self, master_sae: str, slave_sae: str) -> Status:
        """What is in store for the pair of SAEs."""
        return Status(
            source_KME_ID=self.name,
            target_KME_ID=self._peer,
            master_SAE_ID=master_sae,
            slave_SAE_ID=slave_sae,
            key_size=self.KEY_SIZE,
            stored_key_count=self.outgoing.available_bits // self.KEY_SIZE,
            max_key_count=2**31 - 1,
            max_key_per_request=self.MAX_KEYS_PER_REQUEST,
            max_key_size=self.MAX_KEY_SIZE,
            min_key_size=8,
            max_SAE_ID_count=0,
        )

    def enc_keys(
        self, *, number: int = 1, size: int = KEY_SIZE, patience_s: float = 0.0
    ) -> Generator[simpy.Event, Any, list[Key]]:
        """Issue keys to the master SAE; waits for key up to `patience_s`.

        Args:
            number: how many.
            size: of each, in bits, a multiple of 8.
            patience_s: how long to wait for key, in all.

        Raises:
            ValueError: a size or number that the standard or this KME does not allow.
            KeyExhausted: not enough key came in time; what was cut for this request is lost.
        """
        if size % 8:
            raise ValueError("size shall be a multiple of 8")
        if not 8 <= size <= self.MAX_KEY_SIZE or not 1 <= number <= self.MAX_KEYS_PER_REQUEST:
            raise ValueError(f"{number} keys of {size} bits: out of what status offers")
        yield self._env.timeout(self._request_latency_s)
        deadline_s = self._env.now + patience_s
        keys = []
        for _ in range(number):
            address, bits = yield from self._take(size, deadline_s)
            keys.append(self._issued(address, bits))
        self._tell_stored()
        return keys

    def issue_now(self, size: int) -> Key:
        """Issue one key at once.

        Raises:
            KeyExhausted: there is not enough.
        """
        return self._issued(*self.outgoing.take(size))

    def discard(self) -> int:
        """Throw away the key that could be issued now, in bits; what comes later is fresh. Keys issued before stay good."""
        count = self.outgoing.available_bits
        if count:
            self.outgoing.take(count)
            self._tell_stored()
            self._observer.event(self.name, "key_discarded", bits=count)
        return count

    def _issued(self, address: int, bits: NDArray[np.uint8]) -> Key:
        key = Key(_key_id(self._outgoing_stream, address, len(bits)), bits)
        self.issued.append(key.key_id)
        return key

    def _take(
        self, size: int, deadline_s: float
    ) -> Generator[simpy.Event, Any, tuple[int, NDArray[np.uint8]]]:
        if not self._waiting:
            try:
                return self.outgoing.take(size)
            except KeyExhausted:
                pass
        self.exhausted_events += 1
        self._observer.event(
            self.name, "key_exhausted", requested_bits=size, stored_bits=self.outgoing.available_bits
        )
        place = (size, self._env.event())
        self._waiting.append(place)
        yield place[1] | self._env.timeout(max(0.0, deadline_s - self._env.now))
        if place[1].triggered:
            return cast("tuple[int, NDArray[np.uint8]]", place[1].value)
        self._waiting.remove(place)
        self._serve()  # those behind may want less than this one did
        raise KeyExhausted(requested=size, available=self.outgoing.available_bits)

    def dec_keys(self, key_ids: Sequence[uuid.UUID]) -> Generator[simpy.Event, Any, list[Key]]:
        """Deliver the keys that the master SAE named to the slave SAE.

        Raises:
            KeyUnavailable: one or more are not found on this KME, or were delivered before. None is delivered then.
        """
        yield self._env.timeout(self._request_latency_s)
        if _overlap(key_ids) or not all(self.holds(key_id) for key_id in key_ids):
            raise KeyUnavailable("one or more keys specified are not found on KME")
        return [self.fetch_now(key_id) for key_id in key_ids]

    def holds(self, key_id: uuid.UUID) -> bool:
        """Whether this site can deliver the key that the other issued under this ID."""
        stream, address, size = _from_key_id(key_id)
        fits = stream == self._incoming_stream and size % 8 == 0 and 8 <= size <= self.MAX_KEY_SIZE
        return fits and self.incoming.holds(address, size)

    def fetch_now(self, key_id: uuid.UUID) -> Key:
        """Deliver one key at once.

        Raises:
            KeyUnavailable: it is not here, or was delivered before.
        """
        _, address, size = _from_key_id(key_id)
        bits = self.incoming.take_at(address, size)
        self.fetched.append(key_id)
        return Key(key_id, bits)

    def _tell_stored(self) -> None:
        self._observer.metric(self.name, "stored_bits", self.outgoing.available_bits, "bit")


def _key_id(stream: int, address: int, size: int) -> uuid.UUID:
    """UUID version 8: 48 bits of address; 12 bits of stream; 62 bits of size."""
    return uuid.UUID(int=(address << 80) | (8 << 76) | (stream << 64) | (2 << 62) | size)


def _from_key_id(key_id: uuid.UUID) -> tuple[int, int, int]:
    """(stream, address, size) of a key ID; size 0 if it is none of ours."""
    number = key_id.int
    if key_id.version != 8:
        return 0, 0, 0
    return (number >> 64) & 0xFFF, number >> 80, number & ((1 << 62) - 1)


def _overlap(key_ids: Sequence[uuid.UUID]) -> bool:
    """Whether some bit of key lies in two of these keys."""
    places = sorted(address_of(key_id) for key_id in key_ids)
    return any(address + size > behind for (address, size), (behind, _) in itertools.pairwise(places))


def key_named(raw: bytes, size: int) -> uuid.UUID:
    """The key ID in a message, if it can be that of a key of this size.

    To fetch a key is to spend it: one that a forger names must not cost more than the message could have used.

    Args:
        raw: as it came from the network.
        size: in bits, of the key that such a message is sealed with.

    Raises:
        KeyUnavailable: it is no UUID, or names a key of another size.
    """
    if len(raw) != 16 or address_of(key_id := uuid.UUID(bytes=raw))[1] != size:
        raise KeyUnavailable(f"{raw.hex() or '(nothing)'} names no key of {size} bits")
    return key_id


def address_of(key_id: uuid.UUID) -> tuple[int, int]:
    """(address, size) of a key in its stream; (0, 0) if the ID is none of ours."""
    _, address, size = _from_key_id(key_id)
    return address, size
