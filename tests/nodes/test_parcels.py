"""Sealed parcels: they open for whom they are for, as they were made, once, and for nobody else."""

from __future__ import annotations

import dataclasses
import uuid

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.errors import MalformedMessage
from netsim.keys.one_time_pad import key_bits
from netsim.messages import Parcel, Query, decode
from netsim.random_streams import RandomStreams, random_bits
from nodes.delivery.algorithms import (
    CIPHERS,
    KEY_SOURCES,
    ONE_TIME_PAD,
    SCHEMES,
    SUITES,
    Algorithms,
    derived,
)
from nodes.delivery.parcel import (
    ParcelRefused,
    Publisher,
    PublisherKeys,
    Recipient,
    RecipientKeys,
    inspected,
    opened,
    seal,
    unseal,
)
from nodes.kme import Key, KeyManager

MODEL = bytes(range(256)) * 3
STREAMS = RandomStreams(5)
PUBLISHERS = {scheme: Publisher("trainer", scheme, STREAMS(scheme)) for scheme in SCHEMES}
RECIPIENT = Recipient("vault", STREAMS("recipient"))
EVERY = [
    Algorithms(suite, cipher, scheme)
    for suite in SUITES
    for cipher in ([ONE_TIME_PAD] if suite == ONE_TIME_PAD else CIPHERS)
    for scheme in SCHEMES
]
BY_SUITE = [Algorithms(suite) for suite in SUITES]
BY_SCHEME = [Algorithms("ml-kem-768", scheme=scheme) for scheme in SCHEMES]


def keys_for(algorithms: Algorithms, model: bytes = MODEL, seed: int = 1) -> list[Key]:
    """Fresh QKD keys, as many and as long as a parcel takes."""
    number, size = algorithms.qkd_keys(len(model))
    rng = np.random.default_rng(seed)
    return [Key(uuid.UUID(bytes=rng.bytes(16)), random_bits(size, rng)) for _ in range(number)]


def sealed(
    algorithms: Algorithms, *, model=MODEL, version=3, recipient=RECIPIENT.keys, seed=1, publisher=None
):
    """A parcel, and the keys it was sealed with."""
    keys = keys_for(algorithms, model, seed)
    parcel = seal(
        model,
        version=version,
        algorithms=algorithms,
        publisher=publisher or PUBLISHERS[algorithms.scheme],
        recipient=recipient,
        rng=np.random.default_rng(seed),
        qkd=keys,
    )
    return parcel, keys


def open_it(data, algorithms, keys, **others):
    """Open a parcel as its rightful recipient."""
    usual = {"publisher": PUBLISHERS[algorithms.scheme].keys, "recipient": RECIPIENT, "allowed": [algorithms]}
    return unseal(data, **usual | {"qkd": keys} | others)


def causes(data, algorithms, keys, **others):
    """Why a parcel is refused."""
    with pytest.raises(ParcelRefused) as caught:
        open_it(data, algorithms, keys, **others)
    assert all(caught.value.reasons)
    return set(caught.value.causes)


def resigned(data: bytes, algorithms: Algorithms, **changes) -> bytes:
    """A parcel with fields changed, signed again by the publisher: what only a publisher gone wrong could send."""
    parcel = dataclasses.replace(decode(data), **changes)
    signature = PUBLISHERS[algorithms.scheme].sign(b"evelab parcel signature\x00" + parcel.signed())
    return dataclasses.replace(parcel, signature=signature).encode()


@pytest.mark.parametrize("algorithms", EVERY, ids=str)
def test_a_parcel_opens(algorithms):
    """With every suite, cipher and scheme, the model comes back."""
    parcel, keys = sealed(algorithms)
    assert open_it(parcel, algorithms, keys) == MODEL
    assert MODEL[:32] not in parcel


@given(model=st.binary(max_size=300))
@pytest.mark.parametrize("suite", ["qkd", ONE_TIME_PAD])
def test_any_bytes_travel(suite, model):
    """Whatever the model is, the empty one included."""
    algorithms = Algorithms(suite, scheme="ed25519")
    parcel, keys = sealed(algorithms, model=model)
    assert open_it(parcel, algorithms, keys) == model


def test_a_long_model_under_a_pad_takes_several_keys():
    """Beyond a KME's longest key the pad is shared out; every bit of the model and the tag has its own bit of key."""
    algorithms = Algorithms(ONE_TIME_PAD)
    model = np.random.default_rng(1).bytes(20_000)
    number, size = algorithms.qkd_keys(len(model))
    assert number == 3
    assert size <= KeyManager.MAX_KEY_SIZE
    assert size % 8 == 0
    assert (
        key_bits(32 + len(model), mac=True)
        <= number * size
        < key_bits(32 + len(model), mac=True) + 8 * number
    )
    parcel, keys = sealed(algorithms, model=model)
    assert open_it(parcel, algorithms, keys) == model
    assert causes(parcel, algorithms, keys[::-1]) == {"keys"}
    assert causes(parcel, algorithms, keys[:-1]) == {"keys"}


@given(length=st.integers(0, 10**7))
def test_a_pad_is_long_enough_for_any_model(length):
    """Keys of a size that a KME gives, together as long as needed and less than a byte each longer."""
    number, size = Algorithms(ONE_TIME_PAD).qkd_keys(length)
    needed = key_bits(32 + length, mac=True)
    assert 8 <= size <= KeyManager.MAX_KEY_SIZE
    assert size % 8 == 0
    assert needed <= number * size < needed + 8 * number


@pytest.mark.parametrize("algorithms", BY_SUITE + BY_SCHEME, ids=str)
def test_the_lengths_are_fixed(algorithms):
    """A parcel is as much longer than the model as its algorithms say, whatever the randomness: sizes belong in tables, bytes do not."""
    lengths = {len(sealed(algorithms, seed=seed)[0]) for seed in range(3)}
    signatures = sum(algorithm.signature_bytes for algorithm in SCHEMES[algorithms.scheme])
    number, _ = algorithms.qkd_keys(len(MODEL))
    names = sum(map(len, (*algorithms.names, "trainer", "vault")))
    heads = 1 + 8 + 8 + 4 * 11 + names + 32 + 32 + 32 + 16
    assert lengths == {len(MODEL) + signatures + SUITES[algorithms.suite].sent_bytes + 16 * number + heads}


@pytest.mark.parametrize("algorithms", BY_SUITE, ids=str)
def test_no_two_parcels_are_alike(algorithms):
    """The same model sealed twice with other randomness shares no ciphertext, even if the same QKD key were given out again."""
    one, keys = sealed(algorithms)
    other = decode(
        seal(
            MODEL,
            version=3,
            algorithms=algorithms,
            publisher=PUBLISHERS["ml-dsa-65"],
            recipient=RECIPIENT.keys,
            rng=np.random.default_rng(2),
            qkd=keys,
        )
    )
    assert decode(one).salt != other.salt
    # a pad given out twice is a pad used twice: nothing but the key store stands against that
    assert (decode(one).sealed[:-16] == other.sealed[:-16]) == (algorithms.suite == ONE_TIME_PAD)


@pytest.mark.parametrize("algorithms", [*BY_SUITE, Algorithms("qkd", scheme="ml-dsa-65+ed25519")], ids=str)
@given(data=st.data())
def test_any_damage_is_refused(algorithms, data):
    """Flipped bits, cut ends, bytes put in or taken out, anywhere: refused, with no other error."""
    parcel, keys = PARCELS[algorithms]
    damaged = bytearray(parcel)
    for _ in range(data.draw(st.integers(1, 2))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        what = data.draw(st.sampled_from(["flip", "cut", "insert", "delete"]))
        if what == "flip":
            damaged[at] ^= data.draw(st.integers(1, 255))
        elif what == "cut":
            del damaged[at + 1 :]
        elif what == "insert":
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=30))
        else:
            del damaged[at : at + data.draw(st.integers(1, 30))]
    if damaged != parcel:
        assert causes(bytes(damaged), algorithms, keys)


PARCELS = {
    algorithms: sealed(algorithms)
    for algorithms in (*BY_SUITE, *BY_SCHEME, Algorithms("qkd", scheme="ml-dsa-65+ed25519"))
}


@pytest.mark.parametrize("suite", ["qkd+x25519+ml-kem-768", ONE_TIME_PAD])
def test_every_single_flip_is_refused(suite):
    """Each byte of a parcel, one random bit flipped: refused before any key is needed."""
    algorithms = Algorithms(suite, scheme="ed25519")
    parcel, _ = sealed(algorithms, model=b"a model")
    rng = np.random.default_rng(3)
    for at in range(len(parcel)):
        damaged = parcel[:at] + bytes([parcel[at] ^ 1 << int(rng.integers(8))]) + parcel[at + 1 :]
        with pytest.raises(ParcelRefused):
            inspected(
                damaged,
                publisher=PUBLISHERS["ed25519"].keys,
                recipient=RECIPIENT.keys,
                allowed=[algorithms],
            )


@given(st.binary(max_size=120))
def test_noise_is_refused(noise):
    """Arbitrary bytes, bare or behind a parcel's first byte, never raise anything but ParcelRefused."""
    for data in (noise, bytes([Parcel.code]) + noise):
        assert causes(data, BY_SUITE[0], []) == {"malformed"}


def test_another_message_is_no_parcel():
    """A well-formed query is refused by name."""
    with pytest.raises(ParcelRefused, match="got a query message"):
        open_it(Query(1, 2, bytes(16), b"").encode(), BY_SUITE[0], [])


@pytest.mark.parametrize("algorithms", BY_SUITE + BY_SCHEME, ids=str)
def test_the_seal_holds_without_the_signature(algorithms):
    """Even if the signature were forged, a change to the header or the ciphertext breaks the seal, or the parcel does not add up."""
    parcel, keys = PARCELS[algorithms]
    message = decode(parcel)
    for field in ("salt", "sealed", "encapsulations", "key_ids"):
        value = getattr(message, field)
        for at in {0, len(value) // 2, len(value) - 1} if value else set():
            changed = value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
            data = resigned(parcel, algorithms, **{field: changed})
            assert causes(data, algorithms, keys) <= {"seal", "keys"}
    assert causes(resigned(parcel, algorithms, version=4), algorithms, keys) == {"seal"}
    for field in ("salt", "encapsulations", "key_ids"):
        longer = {field: getattr(message, field) + bytes(16)}
        assert causes(resigned(parcel, algorithms, **longer), algorithms, keys) <= {"malformed", "keys"}
    assert causes(resigned(parcel, algorithms, sealed=b""), algorithms, keys) >= {"malformed"}


@pytest.mark.parametrize("suite", ["x25519+ml-kem-768", "qkd+x25519+ml-kem-768"])
def test_a_point_of_small_order_is_refused(suite):
    """An ephemeral key that gives everybody the same secret opens nothing."""
    algorithms = Algorithms(suite)
    parcel, keys = PARCELS[algorithms]
    sent = decode(parcel).encapsulations
    data = resigned(parcel, algorithms, encapsulations=bytes(32) + sent[32:])
    assert causes(data, algorithms, keys) == {"seal"}


@pytest.mark.parametrize("algorithms", [a for a in BY_SUITE if SUITES[a.suite].qkd], ids=str)
def test_a_wrong_qkd_key_opens_nothing(algorithms):
    """One bit of QKD key different, a key of another ID, of another length, or none: refused."""
    parcel, keys = PARCELS[algorithms]
    for at in (0, len(keys[0].bits) // 2, len(keys[0].bits) - 1):
        bits = keys[0].bits.copy()
        bits[at] ^= 1
        assert causes(parcel, algorithms, [Key(keys[0].key_id, bits)]) == {"seal"}
    assert causes(parcel, algorithms, [Key(uuid.UUID(int=7), keys[0].bits)]) == {"keys"}
    assert causes(parcel, algorithms, [Key(keys[0].key_id, keys[0].bits[:-8])]) == {"keys"}
    assert causes(parcel, algorithms, []) == {"keys"}
    assert causes(parcel, algorithms, keys * 2) == {"keys"}


@pytest.mark.parametrize("algorithms", BY_SUITE, ids=str)
def test_a_wrong_recipient_is_refused(algorithms):
    """A parcel for another, or for the same name with other keys, is refused; and other private keys do not open it."""
    parcel, keys = PARCELS[algorithms]
    other, namesake = (Recipient(name, np.random.default_rng(9)) for name in ("other", "vault"))
    assert causes(parcel, algorithms, keys, recipient=other) == {"recipient"}
    assert causes(parcel, algorithms, keys, recipient=namesake) == {"recipient"}
    if SUITES[algorithms.suite].sources:
        taken = resigned(parcel, algorithms, recipient_keys=namesake.keys.fingerprint)
        assert causes(taken, algorithms, keys, recipient=namesake) == {"seal"}
        passed = inspected(
            parcel,
            publisher=PUBLISHERS["ml-dsa-65"].keys,
            recipient=RECIPIENT.keys,
            allowed=[algorithms],
        )
        with pytest.raises(ParcelRefused):
            opened(passed, namesake, keys)


@pytest.mark.parametrize("algorithms", [Algorithms("x25519+ml-kem-768"), Algorithms()], ids=str)
@pytest.mark.parametrize("broken", [{"x25519"}, {"ml-kem-768"}, {"qkd"}, {"x25519", "ml-kem-768"}])
def test_one_secret_is_enough(algorithms, broken):
    """A hybrid parcel stays shut to one who has all of its secrets but one, whichever that is."""
    parcel, keys = PARCELS[algorithms]
    suite = SUITES[algorithms.suite]
    parts = {*suite.sources, *(["qkd"] if suite.qkd else [])}
    if not broken & parts or broken == parts:
        return
    thief = Recipient("vault", np.random.default_rng(10))
    thief._private = {
        source: RECIPIENT._private[source] if source in broken else key
        for source, key in thief._private.items()
    }
    known = [Key(key.key_id, key.bits if "qkd" in broken else key.bits ^ 1) for key in keys]
    passed = decode(parcel)
    with pytest.raises(ParcelRefused, match="seal"):
        opened(passed, thief, known)
    assert opened(passed, RECIPIENT, keys) == MODEL


@pytest.mark.parametrize("algorithms", BY_SCHEME, ids=str)
def test_only_the_publisher_signs(algorithms):
    """Another publisher's parcel, one under another's name, and one with another parcel's signature are refused."""
    parcel, keys = PARCELS[algorithms]
    stranger = Publisher("trainer", algorithms.scheme, np.random.default_rng(11))
    assert causes(sealed(algorithms, publisher=stranger)[0], algorithms, keys) == {"signature"}
    named = Publisher("stranger", algorithms.scheme, np.random.default_rng(11))
    assert causes(sealed(algorithms, publisher=named)[0], algorithms, keys) == {"publisher", "signature"}
    later, _ = sealed(algorithms, version=4)
    one, other = decode(parcel), decode(later)
    swapped = dataclasses.replace(one, signature=other.signature)
    assert causes(swapped.encode(), algorithms, keys) == {"signature"}
    for signature in (b"", one.signature[:-1], one.signature + b"\x00", bytes(len(one.signature))):
        data = dataclasses.replace(one, signature=signature).encode()
        assert causes(data, algorithms, keys) == {"signature"}


def test_a_scheme_of_two_needs_both():
    """A signature of which one half is good and the other another message's is no signature."""
    algorithms = Algorithms("ml-kem-768", scheme="ml-dsa-65+ed25519")
    parcel, keys = PARCELS[algorithms]
    one, other = decode(parcel), decode(sealed(algorithms, version=4)[0])
    for signature in (
        one.signature[:3309] + other.signature[3309:],
        other.signature[:3309] + one.signature[3309:],
    ):
        data = dataclasses.replace(one, signature=signature).encode()
        assert causes(data, algorithms, keys) == {"signature"}


def test_no_signing_key_is_used_in_two_schemes():
    """From the same randomness each scheme makes other keys, so that half of a double signature is none of a single one's."""
    keys = [
        key
        for scheme in SCHEMES
        for key in Publisher("trainer", scheme, np.random.default_rng(1)).keys.public
    ]
    assert len(set(keys)) == len(keys) == 5


def test_keys_come_from_their_generator():
    """The same stream makes the same publisher and recipient; another one makes others."""
    for scheme in SCHEMES:
        made = [Publisher("trainer", scheme, np.random.default_rng(seed)).keys for seed in (1, 1, 2)]
        assert made[0] == made[1] != made[2]
    recipients = [Recipient("vault", np.random.default_rng(seed)).keys for seed in (1, 1, 2)]
    assert recipients[0] == recipients[1] != recipients[2]
    assert recipients[0].fingerprint != RecipientKeys("other", recipients[0].public).fingerprint


@pytest.mark.parametrize("algorithms", BY_SUITE, ids=str)
def test_a_replayed_parcel_is_refused(algorithms):
    """A parcel whose number is not above the last one's is refused, and says so."""
    parcel, keys = PARCELS[algorithms]
    assert open_it(parcel, algorithms, keys, after=2) == MODEL
    for after in (3, 4):
        assert causes(parcel, algorithms, keys, after=after) == {"version"}


@pytest.mark.parametrize("field", ["suite", "cipher", "scheme"])
@pytest.mark.parametrize("algorithms", EVERY, ids=str)
def test_a_downgrade_on_the_wire_is_refused(algorithms, field):
    """A name changed to any other, known or not, fails at the allow-list and the signature; where it is allowed too, at the signature."""
    parcel, keys = sealed(algorithms, model=b"a model")
    for name in {*SUITES, *CIPHERS, ONE_TIME_PAD, *SCHEMES, "", "none"} - {getattr(algorithms, field)}:
        data = dataclasses.replace(decode(parcel), **{field: name}).encode()
        assert causes(data, algorithms, keys) >= {"algorithms", "signature"}
        assert "signature" in causes(data, algorithms, keys, allowed=EVERY)


@pytest.mark.parametrize("field", ["suite", "cipher"])
@pytest.mark.parametrize("algorithms", [a for a in EVERY if a.scheme == "ml-dsa-65"], ids=str)
def test_a_downgrade_with_a_good_signature_opens_nothing(algorithms, field):
    """Names are bound to the key besides: a parcel signed again under another suite or cipher does not open."""
    parcel, keys = sealed(algorithms, model=b"a model")
    for name in {*SUITES, *CIPHERS, ONE_TIME_PAD} - {getattr(algorithms, field)}:
        data = resigned(parcel, algorithms, **{field: name})
        assert causes(data, algorithms, keys, allowed=EVERY) & {"seal", "malformed", "keys", "algorithms"}


def test_what_is_not_allowed_is_refused():
    """A good parcel of a suite that the recipient does not want is refused, and so is every one if nothing is allowed."""
    for algorithms in BY_SUITE:
        parcel, keys = PARCELS[algorithms]
        others = [other for other in EVERY if other != algorithms]
        assert causes(parcel, algorithms, keys, allowed=others) == {"algorithms"}
        assert causes(parcel, algorithms, keys, allowed=[]) == {"algorithms"}


def test_a_refusal_says_all():
    """Wrong algorithms, publisher, recipient, version and signature are told together."""
    algorithms = Algorithms("ml-kem-768")
    data = dataclasses.replace(
        decode(PARCELS[algorithms][0]),
        suite="none",
        publisher="x",
        recipient="y",
        format=2,
        salt=b"",
        key_ids=b"z",
    ).encode()
    expected = {"algorithms", "publisher", "recipient", "malformed", "version", "signature"}
    assert causes(data, algorithms, [], after=7) == expected


def test_the_publisher_must_use_its_scheme():
    """A parcel by a scheme that the recipient does not know the publisher by is refused, though the scheme is allowed."""
    algorithms = Algorithms("ml-kem-768", scheme="ed25519")
    parcel, keys = PARCELS[algorithms]
    assert causes(parcel, algorithms, keys, publisher=PUBLISHERS["ml-dsa-65"].keys) == {
        "publisher",
        "signature",
    }


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"qkd": []}, r"takes 1 of 256"),
        ({"qkd": [Key(uuid.UUID(int=1), np.zeros(128, np.uint8))]}, r"\[128\] bits"),
        ({"algorithms": Algorithms("ml-kem-768")}, r"takes 0 of 0"),
        ({"algorithms": Algorithms(scheme="ed25519")}, "signs with ml-dsa-65; expected ed25519"),
        ({"version": -1}, "version is -1"),
        ({"version": 2**63}, "version is"),
        ({"recipient": RecipientKeys("vault", {"x25519": bytes(32)})}, "no public key for ml-kem-768"),
        ({"recipient": RecipientKeys("vault", {"x25519": b"", "ml-kem-768": b""})}, "32 bytes"),
    ],
)  # fmt: skip
def test_what_cannot_be_sealed(changes, says):
    """Keys, scheme, version or recipient that do not fit are errors of the caller, said before anything is made."""
    usual = {
        "version": 0,
        "algorithms": Algorithms(),
        "publisher": PUBLISHERS["ml-dsa-65"],
        "recipient": RECIPIENT.keys,
        "rng": np.random.default_rng(1),
        "qkd": keys_for(Algorithms()),
    }
    with pytest.raises(ValueError, match=says):
        seal(MODEL, **usual | changes)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("rot13", "", "ml-dsa-65"), "suite is 'rot13'; expected one-time-pad"),
        (("qkd", "des", "rsa"), "cipher is 'des'; expected aes-256-gcm, chacha20-poly1305; scheme is 'rsa'"),
        ((ONE_TIME_PAD, "aes-256-gcm", "ed25519"), "cipher is 'aes-256-gcm'; expected one-time-pad"),
        (("qkd", ONE_TIME_PAD, "ed25519"), "cipher is 'one-time-pad"),
    ],
)  # fmt: skip
def test_unknown_algorithms_are_refused_by_name(names, says):
    """All that is wrong with a choice, and what was to be had."""
    with pytest.raises(ValueError, match=says.replace("+", r"\+")):
        Algorithms(*names)


def test_unknown_schemes_have_no_keys():
    """Neither a publisher nor its public keys can be of a scheme that is not there, nor of the wrong length."""
    with pytest.raises(ValueError, match="scheme is 'rsa'"):
        Publisher("trainer", "rsa", np.random.default_rng(1))
    with pytest.raises(ValueError, match="scheme is 'rsa'"):
        PublisherKeys("trainer", "rsa", ())
    with pytest.raises(ValueError, match=r"\[5\] bytes; expected \[32\]"):
        PublisherKeys("trainer", "ed25519", (b"short",))


def test_only_the_pad_is_information_theoretic():
    """What each suite is called: a cipher is a computational assumption, whatever its key comes from."""
    assert {name: suite.security for name, suite in SUITES.items()} == {
        ONE_TIME_PAD: "information-theoretic",
        "qkd+x25519+ml-kem-768": "hybrid",
        "qkd": "computational",
        "x25519+ml-kem-768": "computational",
        "ml-kem-768": "computational",
    }
    for name, suite in SUITES.items():
        assert ("no computational assumption" in suite.rests_on) == (name == ONE_TIME_PAD)
        assert ("no QKD key in it" in suite.rests_on) == (not suite.qkd)


def test_derivation_is_rfc_5869s():
    """HKDF-SHA-256 gives the output of RFC 5869, A.3, whose salt and info are empty."""
    assert derived(b"\x0b" * 22, "", 42, b"").hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_key_agreement_is_rfc_7748s():
    """X25519 gives the public keys and the shared secret of RFC 7748, 6.1."""
    x25519 = KEY_SOURCES["x25519"]
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert x25519.public(alice).hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert x25519.public(bob).hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    assert x25519.decapsulated(alice, x25519.public(bob)).hex() == shared
    assert x25519.decapsulated(bob, x25519.public(alice)).hex() == shared


def test_encoding_survives():
    """A parcel is one message, with one encoding, and a parcel that is cut is none."""
    parcel, _ = PARCELS[BY_SUITE[0]]
    assert decode(parcel).encode() == parcel
    with pytest.raises(MalformedMessage):
        decode(parcel[:-1])
