"""Algorithm 3's last step: a hash of the answer, checked by the client, against a one-time MAC."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from netsim.errors import SealBroken
from netsim.keys.one_time_pad import key_bits, seal, unseal
from scenarios.reproduction.experiment import stream
from scenarios.reproduction.study import Job, Part, Plan, Study, Table
from scenarios.reproduction.verdicts import Claim, Trial, share, spelled

ANSWERS = (b"\x00", b"\x01")
ACCEPTED = 0.01
"""A check that lets more forgeries pass authenticates nothing."""
_TRIES = 500


def bout(seed: int, number: int) -> dict[str, int]:
    """Forge so many sealed answers, each in four ways: how many the client takes for good."""
    rng = stream(seed, "forgery", number)
    passed = dict.fromkeys(("hash in the clear", "hash under the pad", "one-time MAC", "pad alone"), 0)
    for _ in range(_TRIES):
        answer = ANSWERS[int(rng.integers(2))]
        # Eve does not know the answer. She changes whichever it is into the other one: two labels differ in a bit.
        other = ANSWERS[1 - answer[0]]
        pad = np.packbits(rng.integers(0, 2, 8, dtype=np.uint8)).tobytes()
        sealed = _xor(answer, pad)
        opened = _xor(_xor(sealed, b"\x01"), pad)
        passed["pad alone"] += opened == other
        # Algorithm 3 sends Hash(y) beside the answer: it tells Eve y, and she sends the hash of the other label.
        read = next(label for label in ANSWERS if _hash(label) == _hash(answer))
        forged = _hash(ANSWERS[1 - read[0]])
        passed["hash in the clear"] += _hash(opened) == forged and opened == other
        # Under a pad of its own the hash is hidden, but the difference of the two labels' hashes is public.
        hash_pad = rng.bytes(len(_hash(answer)))
        sealed_hash = _xor(_hash(answer), hash_pad)
        changed = _xor(sealed_hash, _xor(_hash(ANSWERS[0]), _hash(ANSWERS[1])))
        passed["hash under the pad"] += _hash(opened) == _xor(changed, hash_pad) and opened == other
        passed["one-time MAC"] += _past_mac(answer, rng)
    return {**passed, "tries": _TRIES}


def _past_mac(answer: bytes, rng: np.random.Generator) -> bool:
    """The same change to an answer under pad and MAC, with the tag as it was."""
    key = rng.integers(0, 2, key_bits(1, mac=True), dtype=np.uint8)
    sealed = seal(answer, b"header", key, mac=True)
    try:
        opened = unseal(_xor(sealed[:1], b"\x01") + sealed[1:], b"header", key, mac=True)
    except SealBroken:
        return False
    return opened != answer


def _hash(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _jobs(plan: Plan) -> list[Job]:
    return [Job(bout, (plan.seed, number)) for number in range(10 if plan.full else 2)]


def _found(plan: Plan, results: Sequence[Any]) -> Part:  # noqa: ARG001  the signature of every study
    tries = sum(result["tries"] for result in results)
    ways = ("hash under the pad", "hash in the clear", "one-time MAC")
    passed = {way: share(sum(result[way] for result in results), tries) for way in ways}
    claim = Claim(
        "hash-verification",
        "Algorithm 3, phase 4",
        "Verify results via classical hash: Hash(y) = Hash(Dec(y)).",
        "verified",
        tuple(Trial(f"forged answers that pass: {way}", passed[way], high=ACCEPTED) for way in ways),
        f"A hash has no key, so that who changes the answer changes the hash with it: {spelled(passed['hash under the pad'], '%')} of "
        f"{tries} forgeries passed even when the hash travelled under a pad of its own, {spelled(passed['one-time MAC'], '%')} passed a "
        "one-time MAC.",
    )
    return Part(
        "Algorithm 3: verification by hash",
        f"{tries} sealed answers, each changed into the other label by somebody without any key, under the printed check and under the "
        "one-time MAC of this range. The same on the real link, with changed queries and answers, is among the runs above.",
        (claim,),
        (
            Table(
                "forgery",
                ("bout", "check", "forged", "passed"),
                tuple(
                    (number, way, result["tries"], result[way])
                    for number, result in enumerate(results)
                    for way in (*ways, "pad alone")
                ),
            ),
        ),
    )


STUDY = Study("forgery", _jobs, _found)
