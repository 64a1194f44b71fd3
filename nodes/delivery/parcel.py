"""Sealing a model for one recipient, signing it, and refusing everything else.

Encrypted, then signed. The signature covers the ciphertext and every name and number in the parcel, so that the recipient
checks it first, before any QKD key is fetched: to fetch a key is to spend it, and a forger must not be able to make the
recipient spend. And the signature says nothing of the model: a hash of the plaintext in the open would let anybody
test a guess of it, and a pad would no longer be perfectly secret.

The key and the nonce of the cipher come from HKDF over QKD key ‖ X25519 secret ‖ ML-KEM secret, as far as the suite
has them, salted, and bound to the header, in which every name, public value and key ID stands; the header is associated
data besides. A name changed on the wire (a downgrade) fails in three places: at the allow-list or the signature, at the
derived key, and at the tag.

What is sealed is the model's SHA-256, then the model. A MAC covers the ciphertext, not what comes of it: without the
digest, QKD keys that differ between the sites in one bit of the pad would change one bit of the model, and nobody would know.

What is not secret: how long the model is, who sends it to whom, when, its number, and the algorithms.

What is not repeatable: `cryptography` takes ML-KEM's encapsulations and part of ML-DSA's signatures from the operating
system's randomness. All keys come from the generators that are passed in, and every length is fixed by the algorithms and
the model, but a parcel's bytes differ from run to run: keep them, and hashes of them, out of a run's tables.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal

import numpy as np
from cryptography.exceptions import InvalidTag
from numpy.typing import NDArray

from netsim.errors import EveLabError, MalformedMessage, SealBroken
from netsim.keys import one_time_pad
from netsim.messages import Parcel, decode
from nodes.delivery.algorithms import (
    CIPHERS,
    DIGEST_BYTES,
    KEY_SOURCES,
    NONCE_BYTES,
    ONE_TIME_PAD,
    SCHEMES,
    SECRET_BYTES,
    SUITES,
    Algorithms,
    Sealing,
    derived,
    model_bytes_in,
)
from nodes.kme import Key

FORMAT: Final = 1

Cause = Literal[
    "malformed",
    "algorithms",
    "publisher",
    "recipient",
    "version",
    "keys",
    "signature",
    "seal",
    "model file",
]
"""Why a parcel is refused, for counting."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """One thing wrong with a parcel.

    Attributes:
        cause: of which kind.
        says: what was got, and what was expected.
    """

    cause: Cause
    says: str


class ParcelRefused(EveLabError):
    """A parcel that is not what it should be; carries all the faults found.

    Attributes:
        faults: at least one.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.reasons))

    @property
    def reasons(self) -> tuple[str, ...]:
        """What is wrong, a sentence each."""
        return tuple(fault.says for fault in self.faults)

    @property
    def causes(self) -> tuple[Cause, ...]:
        """Of which kinds, in order."""
        return tuple(fault.cause for fault in self.faults)


@dataclasses.dataclass(frozen=True)
class PublisherKeys:
    """What a recipient knows a publisher by; it got this before, on a way it trusts.

    Attributes:
        name: of the publisher.
        scheme: what it signs with.
        public: the public keys of the scheme's algorithms, in order.

    Raises:
        ValueError: an unknown scheme, or public keys that are not its.
    """

    name: str
    scheme: str
    public: tuple[bytes, ...] = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        _known_scheme(self.scheme)
        expected = [algorithm.public_bytes for algorithm in SCHEMES[self.scheme]]
        if [len(key) for key in self.public] != expected:
            raise ValueError(
                f"public keys have {[len(key) for key in self.public]} bytes; expected {expected} for {self.scheme}"
            )

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether the publisher has signed the message."""
        algorithms = SCHEMES[self.scheme]
        if len(signature) != sum(algorithm.signature_bytes for algorithm in algorithms):
            return False
        start, good = 0, True
        for algorithm, public in zip(algorithms, self.public, strict=True):
            part = signature[start : start + algorithm.signature_bytes]
            good &= algorithm.verifies(public, part, message)
            start += algorithm.signature_bytes
        return good


class Publisher:
    """Who signs models.

    Args:
        name: who it is.
        scheme: what it signs with; a name of `SCHEMES`. Another scheme means other keys: none is used in two.
        rng: where its keys come from.

    Raises:
        ValueError: an unknown scheme.
    """

    def __init__(self, name: str, scheme: str, rng: np.random.Generator) -> None:
        _known_scheme(scheme)
        self.name, self.scheme = name, scheme
        root = rng.bytes(SECRET_BYTES)
        self._private = [
            algorithm.private_key(derived(root, f"evelab signing key {scheme} {place}", SECRET_BYTES))
            for place, algorithm in enumerate(SCHEMES[scheme])
        ]

    @property
    def keys(self) -> PublisherKeys:
        """What others know it by."""
        public = tuple(private.public_key().public_bytes_raw() for private in self._private)
        return PublisherKeys(self.name, self.scheme, public)

    def sign(self, message: bytes) -> bytes:
        """The signatures of the scheme's algorithms, one after the other."""
        return b"".join(private.sign(message) for private in self._private)


@dataclasses.dataclass(frozen=True)
class RecipientKeys:
    """What a publisher knows a recipient by; it got this before, on a way it trusts.

    Attributes:
        name: of the recipient.
        public: public key of each of `KEY_SOURCES` that it has.
    """

    name: str
    public: Mapping[str, bytes] = dataclasses.field(repr=False)

    @property
    def fingerprint(self) -> bytes:
        """32 bytes that stand for all of it."""
        keys = (f"{name}:{key.hex()}" for name, key in sorted(self.public.items()))
        return hashlib.sha256("\n".join((self.name, *keys)).encode()).digest()


class Recipient:
    """Who parcels are for.

    Args:
        name: who it is.
        rng: where its keys come from.
    """

    def __init__(self, name: str, rng: np.random.Generator) -> None:
        self.name = name
        root = rng.bytes(SECRET_BYTES)
        self._private = {
            source: derived(root, f"evelab private key {source}", algorithm.private_bytes)
            for source, algorithm in KEY_SOURCES.items()
        }
        self.keys = RecipientKeys(
            name, {source: KEY_SOURCES[source].public(key) for source, key in self._private.items()}
        )

    def decapsulated(self, suite: str, sent: bytes) -> list[bytes]:
        """The shared secrets of a suite, in its order; a ValueError if nobody can have sent this."""
        secrets = []
        for source in SUITES[suite].sources:
            algorithm = KEY_SOURCES[source]
            secrets.append(algorithm.decapsulated(self._private[source], sent[: algorithm.sent_bytes]))
            sent = sent[algorithm.sent_bytes :]
        return secrets


def seal(
    model: bytes,
    *,
    version: int,
    algorithms: Algorithms,
    publisher: Publisher,
    recipient: RecipientKeys,
    rng: np.random.Generator,
    qkd: Sequence[Key] = (),
) -> bytes:
    """Encrypt a model for a recipient, and sign the parcel.

    Args:
        model: a model file, or any bytes.
        version: number of the model, from 0; a recipient takes no parcel whose number is not above the last one's.
        algorithms: how.
        publisher: who signs.
        recipient: who can open it.
        rng: salt and ephemeral keys.
        qkd: keys of the number and size that `Algorithms.qkd_keys` says. Use them for nothing else.

    Returns:
        The parcel's bytes: a `Parcel` message, encoded.

    Raises:
        ValueError: QKD keys, public keys, a signature scheme or a version that do not fit.
    """
    expected = algorithms.qkd_keys(len(model))
    if (len(qkd), {len(key.bits) for key in qkd}) != (expected[0], {expected[1]} - {0}):
        raise ValueError(
            f"got QKD keys of {[len(key.bits) for key in qkd]} bits; "
            f"{algorithms.suite} takes {expected[0]} of {expected[1]} for {len(model)} bytes"
        )
    if publisher.scheme != algorithms.scheme:
        raise ValueError(f"the publisher signs with {publisher.scheme}; expected {algorithms.scheme}")
    if not 0 <= version < 2**63:
        raise ValueError(f"version is {version}; expected 0 to 2^63 - 1")
    sources = SUITES[algorithms.suite].sources
    if missing := [source for source in sources if source not in recipient.public]:
        raise ValueError(f"{recipient.name} has no public key for {', '.join(missing)}")
    secrets, sent = [], b""
    for source in sources:
        secret, part = KEY_SOURCES[source].encapsulated(recipient.public[source], rng)
        secrets.append(secret)
        sent += part
    blank = Parcel(
        format=FORMAT,
        suite=algorithms.suite,
        cipher=algorithms.cipher,
        scheme=algorithms.scheme,
        publisher=publisher.name,
        recipient=recipient.name,
        recipient_keys=recipient.fingerprint,
        version=version,
        salt=rng.bytes(SECRET_BYTES),
        encapsulations=sent,
        key_ids=b"".join(key.key_id.bytes for key in qkd),
        sealed=b"",
        signature=b"",
    )
    header = blank.header()
    plaintext = hashlib.sha256(model).digest() + model
    if algorithms.suite == ONE_TIME_PAD:
        sealed = one_time_pad.seal(plaintext, header, _pad(qkd, len(plaintext)), mac=True)
    else:
        cipher, nonce = _cipher(blank, header, qkd, secrets)
        sealed = cipher.encrypt(nonce, plaintext, header)
    unsigned = dataclasses.replace(blank, sealed=sealed)
    return dataclasses.replace(unsigned, signature=publisher.sign(_to_sign(unsigned))).encode()


def inspected(
    data: bytes,
    *,
    publisher: PublisherKeys,
    recipient: RecipientKeys,
    allowed: Collection[Algorithms],
    after: int = -1,
) -> Parcel:
    """The parcel in these bytes, if it is the publisher's, for the recipient, new, and made as the recipient allows.

    No secret is used: only after this is it worth fetching the QKD keys that the parcel names.

    Args:
        data: as it came.
        publisher: who must have signed it.
        recipient: who it must be for.
        allowed: the combinations of algorithms that are good enough.
        after: version of the last parcel taken.

    Raises:
        ParcelRefused: it is not; says all that is wrong.
    """
    try:
        parcel = decode(data)
    except MalformedMessage as error:
        raise ParcelRefused([Fault("malformed", str(error))]) from None
    if not isinstance(parcel, Parcel):
        raise ParcelRefused([Fault("malformed", f"got a {parcel.kind} message; expected a parcel")])
    faults = [*_faults_of_names(parcel, publisher, recipient, allowed), *_faults_of_numbers(parcel, after)]
    if not publisher.verifies(_to_sign(parcel), parcel.signature):
        faults.append(Fault("signature", f"the signature is not {publisher.name}'s over this parcel"))
    if faults:
        raise ParcelRefused(faults)
    return parcel


def opened(parcel: Parcel, recipient: Recipient, qkd: Sequence[Key] = ()) -> bytes:
    """The model in a parcel that has been inspected.

    Args:
        parcel: from `inspected`.
        recipient: who it is for.
        qkd: the keys that it names, in order.

    Raises:
        ParcelRefused: keys that do not fit, or a seal that does not.
    """
    names = tuple(key.key_id.bytes for key in qkd)
    bits = [len(key.bits) for key in qkd]
    number, size = Algorithms(parcel.suite, parcel.cipher, parcel.scheme).qkd_keys(
        model_bytes_in(parcel.sealed)
    )
    if b"".join(names) != parcel.key_ids or bits != [size] * number:
        says = f"got QKD keys of {bits} bits; expected those the parcel names, {number} of {size}"
        raise ParcelRefused([Fault("keys", says)])
    try:
        plaintext = _unsealed(parcel, recipient, qkd)
    except (InvalidTag, SealBroken, ValueError):
        says = "the seal does not fit: changed on the way, or another key than it was made with"
        raise ParcelRefused([Fault("seal", says)]) from None
    digest, model = plaintext[:DIGEST_BYTES], plaintext[DIGEST_BYTES:]
    if hashlib.sha256(model).digest() != digest:
        says = "the model is not the one that was sealed: the QKD keys at the two sites differ"
        raise ParcelRefused([Fault("seal", says)])
    return model


def _unsealed(parcel: Parcel, recipient: Recipient, qkd: Sequence[Key]) -> bytes:
    header = parcel.header()
    if parcel.suite == ONE_TIME_PAD:
        pad = _pad(qkd, DIGEST_BYTES + model_bytes_in(parcel.sealed))
        return one_time_pad.unseal(parcel.sealed, header, pad, mac=True)
    secrets = recipient.decapsulated(parcel.suite, parcel.encapsulations)
    cipher, nonce = _cipher(parcel, header, qkd, secrets)
    return cipher.decrypt(nonce, parcel.sealed, header)


def unseal(
    data: bytes,
    *,
    publisher: PublisherKeys,
    recipient: Recipient,
    allowed: Collection[Algorithms],
    after: int = -1,
    qkd: Sequence[Key] = (),
) -> bytes:
    """`inspected`, then `opened`: for one who has the QKD keys already, or needs none."""
    parcel = inspected(data, publisher=publisher, recipient=recipient.keys, allowed=allowed, after=after)
    return opened(parcel, recipient, qkd)


def _known_scheme(scheme: str) -> None:
    if scheme not in SCHEMES:
        raise ValueError(f"scheme is {scheme!r}; expected {', '.join(SCHEMES)}")


def _faults_of_names(
    parcel: Parcel, publisher: PublisherKeys, recipient: RecipientKeys, allowed: Collection[Algorithms]
) -> list[Fault]:
    faults = []
    names = (parcel.suite, parcel.cipher, parcel.scheme)
    if names not in {algorithms.names for algorithms in allowed}:
        expected = " or ".join(sorted(str(algorithms) for algorithms in allowed)) or "none"
        faults.append(
            Fault("algorithms", f"made with {', '.join(map(repr, names))}; allowed here: {expected}")
        )
    if (parcel.publisher, parcel.scheme) != (publisher.name, publisher.scheme):
        got = f"{parcel.publisher!r} with {parcel.scheme!r}"
        faults.append(
            Fault("publisher", f"published by {got}; expected {publisher.name!r} with {publisher.scheme!r}")
        )
    if parcel.recipient != recipient.name:
        faults.append(Fault("recipient", f"for {parcel.recipient!r}; expected {recipient.name!r}"))
    elif parcel.recipient_keys != recipient.fingerprint:
        faults.append(Fault("recipient", "sealed for other public keys than the recipient's"))
    return faults


def _faults_of_numbers(parcel: Parcel, after: int) -> list[Fault]:
    faults = []
    if parcel.format != FORMAT:
        faults.append(Fault("malformed", f"a parcel of format {parcel.format}; expected {FORMAT}"))
    if parcel.version <= after:
        faults.append(Fault("version", f"model {parcel.version} is not newer than {after}"))
    if len(parcel.salt) != SECRET_BYTES:
        faults.append(Fault("malformed", f"a salt of {len(parcel.salt)} bytes; expected {SECRET_BYTES}"))
    room = model_bytes_in(parcel.sealed)
    if room < 0:
        faults.append(
            Fault("malformed", f"a sealed text of {len(parcel.sealed)} bytes is too short for digest and tag")
        )
    if parcel.suite not in SUITES:
        return faults  # whose suite is not allowed, then
    suite = SUITES[parcel.suite]
    if len(parcel.encapsulations) != suite.sent_bytes:
        got = len(parcel.encapsulations)
        faults.append(
            Fault(
                "malformed", f"{got} bytes of encapsulations; expected {suite.sent_bytes} for {parcel.suite}"
            )
        )
    number, _ = Algorithms(parcel.suite).qkd_keys(max(room, 0))
    if len(parcel.key_ids) != 16 * number:
        got = len(parcel.key_ids)
        faults.append(Fault("keys", f"{got} bytes of key IDs; expected {16 * number} for {parcel.suite}"))
    return faults


def _to_sign(parcel: Parcel) -> bytes:
    return b"evelab parcel signature\x00" + parcel.signed()


def _pad(qkd: Sequence[Key], plaintext_bytes: int) -> NDArray[np.uint8]:
    needed = one_time_pad.key_bits(plaintext_bytes, mac=True)
    return np.concatenate([key.bits for key in qkd])[:needed]


def _cipher(
    parcel: Parcel, header: bytes, qkd: Sequence[Key], secrets: Sequence[bytes]
) -> tuple[Sealing, bytes]:
    """The cipher with its key, and the nonce; both are of this parcel only."""
    parts = [*(np.packbits(key.bits).tobytes() for key in qkd), *secrets]
    assert all(len(part) == SECRET_BYTES for part in parts)  # noqa: S101  of one length, so joined in one way
    label = f"evelab parcel key {hashlib.sha256(header).hexdigest()}"
    made = derived(b"".join(parts), label, SECRET_BYTES + NONCE_BYTES, parcel.salt)
    return CIPHERS[parcel.cipher](made[:SECRET_BYTES]), made[SECRET_BYTES:]
