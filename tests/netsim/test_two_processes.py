"""Reconciliation with Alice and Bob in different processes: nothing passes between them but bytes."""

from __future__ import annotations

import multiprocessing
from multiprocessing.connection import Connection

import numpy as np
import pytest

from netsim.messages import decode
from netsim.postprocessing.reconciliation import Reconciliation

N, QBER, SEED = 80_000, 0.03, 7


def alice_alone(wire: Connection, code: str, bits: bytes) -> None:
    """Alice's process: answers whatever comes until an empty message does, and says what she disclosed."""
    reference = Reconciliation(code).reference(np.frombuffer(bits, np.uint8).copy(), QBER, SEED)
    opening = reference.opening()
    if opening is not None:
        wire.send_bytes(opening.encode())
    while body := wire.recv_bytes():
        wire.send_bytes(reference.answer(decode(body)).encode())
    wire.send(reference.disclosed_bits)


@pytest.mark.slow
@pytest.mark.parametrize("code", ["cascade", "ldpc"])
def test_alice_and_bob_may_sit_in_different_processes(code):
    """Bob's key becomes Alice's though she runs in another process, and both count the same bits as disclosed."""
    rng = np.random.default_rng(1)
    alice = rng.integers(0, 2, N, dtype=np.uint8)
    bob = alice ^ (rng.random(N) < QBER)
    context = multiprocessing.get_context("spawn")
    wire, hers = context.Pipe()
    process = context.Process(target=alice_alone, args=(hers, code, alice.tobytes()))
    process.start()
    try:
        correction = Reconciliation(code).correction(bob, QBER, SEED)
        if correction.opens is not None:
            correction.receive(decode(wire.recv_bytes()))
        while (question := correction.question()) is not None:
            wire.send_bytes(question.encode())
            correction.receive(decode(wire.recv_bytes()))
        wire.send_bytes(b"")
        assert wire.recv() == correction.disclosed_bits
    finally:
        wire.close()
        process.join(20)
        process.kill()
    assert process.exitcode == 0
    assert np.array_equal(correction.bits, alice)
