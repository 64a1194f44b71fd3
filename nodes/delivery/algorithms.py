"""The algorithms that a parcel may be sealed and signed with, by name, and what each suite's secrecy rests on.

Only `one-time-pad+mac` is information-theoretic. A cipher such as AES-256 is a computational assumption whatever its key
comes from: under a QKD key too, the secrecy of the model is computational, though no public-key assumption is left.

A hybrid suite derives its key with HKDF (Krawczyk 2010, RFC 5869) from all its shared secrets, one after the other, and from
the transcript, which holds every encapsulation and public key. It is secure if any one of them is, where HKDF is a
pseudorandom function keyed by each (Giacon, Heuer, Poettering 2018; Bindel, Brendel, Fischlin, Goncalves, Stebila 2019).
ML-KEM is FIPS 203 (2024), ML-DSA is FIPS 204 (2024), X25519 is RFC 7748, Ed25519 is RFC 8032.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final, Literal, Protocol

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import (
    MLDSA65PrivateKey,
    MLDSA65PublicKey,
    MLDSA87PrivateKey,
    MLDSA87PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from netsim.keys.one_time_pad import TAG_BYTES, key_bits
from nodes.kme import KeyManager

Assurance = Literal["information-theoretic", "hybrid", "computational"]
"""What keeps a model secret on its way, the strongest first.

information-theoretic: nothing that can be computed helps; as good as the QKD key.
hybrid: computational, with key from QKD and from public-key algorithms; to read it, all of these must fall, or the cipher.
computational: a cipher under a single kind of key, or no QKD key in it.
"""

ONE_TIME_PAD: Final = "one-time-pad+mac"
QKD_KEY_BITS: Final = 256
"""Key from QKD that a suite other than the pad takes."""
SECRET_BYTES: Final = 32
"""Of a cipher's key, of a root secret, and of a salt."""
DIGEST_BYTES: Final = 32
"""Of the model's SHA-256, which is sealed with it."""


class KeySource(Protocol):
    """A public-key algorithm that gives two parties a shared secret of 32 bytes.

    Attributes:
        private_bytes: length of a private key.
        sent_bytes: length of what the recipient makes the secret from.
    """

    private_bytes: int
    sent_bytes: int

    def public(self, private: bytes) -> bytes:
        """The public key to a private one."""

    def encapsulated(self, public: bytes, rng: np.random.Generator) -> tuple[bytes, bytes]:
        """A fresh shared secret, and what the recipient makes it from.

        Raises:
            ValueError: no public key.
        """

    def decapsulated(self, private: bytes, sent: bytes) -> bytes:
        """The shared secret.

        Raises:
            ValueError: nothing that could have been sent.
        """


class X25519:
    """Diffie–Hellman on Curve25519 with an ephemeral key; deterministic, given the generator."""

    private_bytes = 32
    sent_bytes = 32

    def public(self, private: bytes) -> bytes:
        """32 bytes."""
        return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()

    def encapsulated(self, public: bytes, rng: np.random.Generator) -> tuple[bytes, bytes]:
        """The shared secret, and the ephemeral public key."""
        ephemeral = rng.bytes(32)
        return self.decapsulated(ephemeral, public), self.public(ephemeral)

    def decapsulated(self, private: bytes, sent: bytes) -> bytes:
        """The shared secret; a ValueError for a point of small order, which would give everybody the same one."""
        return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(sent))


class MLKEM768:
    """FIPS 203. `cryptography` encapsulates with the operating system's randomness: the bytes differ from run to run."""

    private_bytes = 64
    sent_bytes = 1088

    def public(self, private: bytes) -> bytes:
        """1184 bytes, of the 64 bytes of seed that stand for a private key."""
        return MLKEM768PrivateKey.from_seed_bytes(private).public_key().public_bytes_raw()

    def encapsulated(self, public: bytes, rng: np.random.Generator) -> tuple[bytes, bytes]:  # noqa: ARG002  the library has its own
        """The shared secret, and the ciphertext."""
        secret, sent = MLKEM768PublicKey.from_public_bytes(public).encapsulate()
        return secret, sent

    def decapsulated(self, private: bytes, sent: bytes) -> bytes:
        """The shared secret; another one, not an error, for a changed ciphertext of the right length (implicit rejection)."""
        return MLKEM768PrivateKey.from_seed_bytes(private).decapsulate(sent)


KEY_SOURCES: Final[dict[str, KeySource]] = {"x25519": X25519(), "ml-kem-768": MLKEM768()}
"""What a recipient has a public key for."""


@dataclasses.dataclass(frozen=True)
class Suite:
    """Where the key of a parcel comes from.

    Attributes:
        sources: names of the public-key algorithms, in the order in which their secrets are joined.
        qkd: whether QKD key comes first.
        security: what the model's secrecy is, in a word.
        rests_on: and in a sentence.
    """

    sources: tuple[str, ...]
    qkd: bool
    security: Assurance
    rests_on: str

    @property
    def sent_bytes(self) -> int:
        """Length of all encapsulations."""
        return sum(KEY_SOURCES[name].sent_bytes for name in self.sources)


_CIPHER = "on the cipher and HKDF-SHA-256"
SUITES: Final[dict[str, Suite]] = {
    ONE_TIME_PAD: Suite(
        (),
        True,
        "information-theoretic",
        "rests on no computational assumption: secret as far as the QKD key is, and a forgery passes with "
        "probability at most 8⌈L/16⌉/2^106",
    ),
    "qkd+x25519+ml-kem-768": Suite(
        ("x25519", "ml-kem-768"),
        True,
        "hybrid",
        f"rests {_CIPHER}, and on any one of these: the QKD key, elliptic-curve Diffie–Hellman, module lattices",
    ),
    "qkd": Suite(
        (), True, "computational", f"rests {_CIPHER}, and on the QKD key alone; no public-key assumption"
    ),
    "x25519+ml-kem-768": Suite(
        ("x25519", "ml-kem-768"),
        False,
        "computational",
        f"rests {_CIPHER}, and on either elliptic-curve Diffie–Hellman or module lattices; no QKD key in it, and what "
        "is recorded today can be read when both fall",
    ),
    "ml-kem-768": Suite(
        ("ml-kem-768",),
        False,
        "computational",
        f"rests {_CIPHER}, and on module lattices alone; no QKD key in it, and what is recorded today can be read when they fall",
    ),
}


class Sealing(Protocol):
    """An authenticated cipher of `cryptography`, with its key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """Ciphertext, then tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes) -> bytes:
        """The plaintext; raises InvalidTag."""


NONCE_BYTES: Final = 12
CIPHERS: Final[dict[str, Callable[[bytes], Sealing]]] = {
    "aes-256-gcm": AESGCM,
    "chacha20-poly1305": ChaCha20Poly1305,
}
"""Authenticated ciphers with keys of 32 bytes, nonces of 12, tags of 16."""


@dataclasses.dataclass(frozen=True)
class SignatureAlgorithm:
    """One algorithm; a scheme is one or more of them.

    Attributes:
        private_key: of 32 bytes of seed.
        public_key: of its bytes; a ValueError if they are none.
        public_bytes: length of a public key.
        signature_bytes: length of a signature.
    """

    private_key: Callable[[bytes], Any]
    public_key: Callable[[bytes], Any]
    public_bytes: int
    signature_bytes: int

    def verifies(self, public: bytes, signature: bytes, message: bytes) -> bool:
        """Whether the signature is good."""
        try:
            self.public_key(public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


_ML_DSA_65 = SignatureAlgorithm(
    MLDSA65PrivateKey.from_seed_bytes, MLDSA65PublicKey.from_public_bytes, 1952, 3309
)
_ML_DSA_87 = SignatureAlgorithm(
    MLDSA87PrivateKey.from_seed_bytes, MLDSA87PublicKey.from_public_bytes, 2592, 4627
)
_ED25519 = SignatureAlgorithm(
    Ed25519PrivateKey.from_private_bytes, Ed25519PublicKey.from_public_bytes, 32, 64
)
SCHEMES: Final[dict[str, tuple[SignatureAlgorithm, ...]]] = {
    "ml-dsa-65": (_ML_DSA_65,),
    "ml-dsa-87": (_ML_DSA_87,),
    "ed25519": (_ED25519,),
    "ml-dsa-65+ed25519": (_ML_DSA_65, _ED25519),
}
"""Signature schemes; one of several algorithms is good if all its signatures are. ML-DSA signs with the operating system's
randomness beside the key (hedged signing): the bytes differ from run to run."""


@dataclasses.dataclass(frozen=True)
class Algorithms:
    """What one parcel is made with.

    Attributes:
        suite: where the key comes from; a name of `SUITES`.
        cipher: what seals; a name of `CIPHERS`, or `one-time-pad+mac` for that suite. The suite's usual one if left out.
        scheme: what signs; a name of `SCHEMES`.

    Raises:
        ValueError: an unknown name, or a cipher that does not go with the suite; says all that is wrong.
    """

    suite: str = "qkd+x25519+ml-kem-768"
    cipher: str = ""
    scheme: str = "ml-dsa-65"

    def __post_init__(self) -> None:
        pad = self.suite == ONE_TIME_PAD
        if not self.cipher:
            object.__setattr__(self, "cipher", ONE_TIME_PAD if pad else "aes-256-gcm")
        ciphers = [ONE_TIME_PAD] if pad else list(CIPHERS)
        choices = {
            "suite": (self.suite, list(SUITES)),
            "cipher": (self.cipher, ciphers),
            "scheme": (self.scheme, list(SCHEMES)),
        }
        faults = [
            f"{what} is {got!r}; expected {', '.join(known)}"
            for what, (got, known) in choices.items()
            if got not in known
        ]
        if faults:
            raise ValueError("; ".join(faults))

    def __str__(self) -> str:
        return f"{self.suite}, {self.cipher}, {self.scheme}"

    @property
    def names(self) -> tuple[str, str, str]:
        """As they stand in a parcel."""
        return self.suite, self.cipher, self.scheme

    @property
    def security(self) -> Assurance:
        """What the model's secrecy on its way is, in a word."""
        return SUITES[self.suite].security

    @property
    def rests_on(self) -> str:
        """And in a sentence."""
        return SUITES[self.suite].rests_on

    def qkd_keys(self, model_bytes: int) -> tuple[int, int]:
        """(how many QKD keys, bits of each) a parcel with a model of this length takes; (0, 0) if it takes none.

        A pad longer than a KME's longest key is shared out evenly; what is left over at its end, less than eight bits
        for each key, is thrown away.
        """
        if self.suite == ONE_TIME_PAD:
            needed = key_bits(DIGEST_BYTES + model_bytes, mac=True)
            number = -(-needed // KeyManager.MAX_KEY_SIZE)
            return number, 8 * -(-needed // (8 * number))
        return (1, QKD_KEY_BITS) if SUITES[self.suite].qkd else (0, 0)


def model_bytes_in(sealed: bytes) -> int:
    """How long the model in a sealed text is; negative if there is no place for digest and tag. All ciphers' tags have the same length."""
    return len(sealed) - DIGEST_BYTES - TAG_BYTES


def derived(root: bytes, label: str, length: int, salt: bytes | None = None) -> bytes:
    """Bytes for one purpose, by HKDF-SHA-256 (RFC 5869).

    Args:
        root: secret key material.
        label: the purpose.
        length: in bytes.
        salt: public and random, if there is one.
    """
    return HKDF(SHA256(), length, salt, label.encode()).derive(root)
