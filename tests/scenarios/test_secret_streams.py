"""Secret streams: the operating system's bits, each used once, and by no other process."""

from __future__ import annotations

import copy
import ctypes
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.photonics.memory import through
from netsim.random_streams import RandomStreams, random_bits, rare_events
from scenarios.loader import load_text
from scenarios.range import build, fabric_of
from scenarios.secret_streams import _BUFFER, _BYTES, SystemBits, SystemStreams, _ask_python
from tests.statistics import assert_binomial, assert_mean

ROOT = Path(__file__).parents[2]


def generators() -> dict[str, np.random.Generator]:
    """One that asks the C library, if it can be asked, and one that asks Python."""
    return {
        "library": SystemStreams()("x"),
        "python": np.random.Generator(SystemBits(_ask_python)),
    }


def in_new_process(script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in an interpreter of its own."""
    return subprocess.run(  # noqa: S603  the interpreter that runs the tests
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )


def counting() -> tuple[SystemBits, object]:
    """Bits of which the n-th half word is n, from 1 on."""
    filled = 0

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
    def entropy(address: int, size: int) -> int:
        nonlocal filled
        numbers = filled + 1 + np.arange(size // 4, dtype=np.uint64)
        words = numbers[::2] | (numbers[1::2] << np.uint64(32))
        ctypes.memmove(address, words.tobytes(), size)
        filled += size // 4
        return 0

    return SystemBits(entropy), entropy


@pytest.mark.parametrize("name", ["library", "python"])
def test_every_bit_is_fair(name):
    """Each place of a byte, of a word and of half a word is 1 half the time, as are all together."""
    rng = generators()[name]
    words = rng.integers(0, 2**64, 40_000, dtype=np.uint64)
    halves = rng.integers(0, 2**32, 40_000, dtype=np.uint32)
    for numbers, width in ((words, 64), (halves, 32)):
        for place in range(width):
            ones = int(np.sum(numbers >> numbers.dtype.type(place) & numbers.dtype.type(1)))
            assert_binomial(ones, len(numbers), 0.5, fault=0.55)
    bits = random_bits(800_000, rng)
    assert_binomial(int(bits.sum()), len(bits), 0.5, fault=0.51)
    assert_binomial(int(np.sum(bits[1:] == bits[:-1])), len(bits) - 1, 0.5, fault=0.51)
    for place in range(8):
        assert_binomial(int(bits[place::8].sum()), len(bits) // 8, 0.5, fault=0.52)


def test_no_two_streams_are_alike():
    """Not those of two instances, nor two names of one, nor what one gives twice; equal 64-byte draws have probability 2^-512."""
    one, other = SystemStreams(), SystemStreams()
    drawn = [stream.bytes(64) for stream in (one("a"), one("b"), other("a"), one("a"), one("a").spawn(1)[0])]
    assert len(set(drawn)) == len(drawn)
    assert one("a") is one("a")


@given(st.lists(st.booleans(), max_size=300))
def test_each_bit_is_used_once(halves):
    """Words and half words, in any order, are those of the buffer in order, and what was read is overwritten."""
    bits, _keep = counting()
    functions = bits.ctypes
    half = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p)(functions.next_uint32.value)
    word = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)(functions.next_uint64.value)
    spent = 0
    for is_half in halves:
        if is_half:
            spent += 1
            assert half(functions.state_address) == spent
        else:
            spent += spent % 2 + 2
            assert word(functions.state_address) == (spent << 32) | (spent - 1)
        left = bits._state[_BUFFER:]
        held = {int(number) for number in left & np.uint64(2**32 - 1)} | {
            int(number) for number in left >> np.uint64(32)
        }
        assert held - {0} == set(range(spent + 1, -(-spent // (_BYTES // 4)) * (_BYTES // 4) + 1))


@pytest.mark.parametrize("name", ["library", "python"])
def test_all_that_the_code_draws_can_be_drawn(name):
    """Every kind of draw used here has the law it has of seeded streams, Numba's among them."""
    rng = generators()[name]
    n = 100_000
    assert_mean(float(rng.random(n).sum()), n, 0.5, 1.0)
    assert 0.0 <= rng.random() < 1.0
    assert_binomial(int(rng.binomial(1000, 0.3, 1000).sum()), 1_000_000, 0.3, fault=0.31)
    assert_binomial(int(np.sum(rng.integers(0, 6, n) == 5)), n, 1 / 6, fault=0.19)
    assert_binomial(int(rng.integers(0, 2, n, dtype=np.uint8).sum()), n, 0.5, fault=0.52)
    assert_binomial(int(np.sum(rng.standard_normal(n) > 1.0)), n, 0.15865525393145707, fault=0.18)
    assert_binomial(int(np.sum(rng.standard_exponential(n) > 1.0)), n, float(np.exp(-1)), fault=0.40)
    assert_binomial(int(np.sum(rng.exponential(2.0, n) > 2.0)), n, float(np.exp(-1)), fault=0.40)
    assert_binomial(int(np.sum(rng.poisson(0.5, n) == 0)), n, float(np.exp(-0.5)), fault=0.63)
    assert_binomial(int(np.sum(rng.geometric(0.3, n) == 1)), n, 0.3, fault=0.32)
    assert_binomial(int(np.sum(rng.choice(3, n, p=[0.2, 0.5, 0.3]) == 1)), n, 0.5, fault=0.52)
    assert_binomial(int(np.sum(rng.hypergeometric(1, 3, np.ones(n, dtype=np.int64)))), n, 0.25, fault=0.27)
    assert sorted(rng.permutation(1000).tolist()) == list(range(1000))
    assert len(set(rng.choice(1000, 500, replace=False, shuffle=False).tolist())) == 500
    assert len(rng.bytes(1001)) == 1001
    assert_binomial(len(rare_events(10**9, 1e-6, rng)), 10**9, 1e-6, fault=1.5e-6)
    slots, patterns, _ = through(
        np.arange(0, n, 10, dtype=np.int64), np.ones(n // 10, dtype=np.uint8), n, 0, 0.3, 5.0, rng
    )
    assert len(slots) == len(patterns) > 1.2 * n / 10


def test_secret_streams_are_nothing_else():
    """They have no seed and no state to read, cannot be made out to be seeded, and their names tell nothing."""
    streams = SystemStreams()
    rng = streams("alice/bits")
    assert streams.secret is True
    assert RandomStreams(1).secret is False
    with pytest.raises(AttributeError):
        streams.secret = False
    for thing in (streams, rng.bit_generator):
        for attribute in ("seed", "state", "seed_seq"):
            assert not hasattr(thing, attribute)
    assert repr(streams) == str(streams) == "SystemStreams()"


def test_nothing_secret_is_copied():
    """Pickling and copying are refused, of the streams, of a generator and of its source."""
    streams = SystemStreams()
    rng = streams("x")
    for thing in (streams, rng.bit_generator):
        for copied in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError, match="cannot be copied or saved"):
                copied(thing)
    # NumPy takes a generator apart before it comes to the source, and then finds none that it knows.
    for copied in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(
            (TypeError, ValueError), match=r"cannot be copied or saved|not a known BitGenerator"
        ):
            copied(rng)


def test_what_is_left_is_overwritten():
    """A source that is done with leaves no bits behind."""
    bits = SystemBits()
    state = bits._state
    np.random.Generator(bits).bytes(8)
    assert np.any(state[_BUFFER:])
    del bits
    assert not np.any(state[_BUFFER:])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_does_not_repeat_its_parent():
    """After a fork, parent and child draw different bits, though both had the same buffer."""
    done = in_new_process("""
import os, sys
from scenarios.secret_streams import SystemStreams
rng = SystemStreams()("x")
rng.bytes(8)
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.write(writer, rng.bytes(64))
    os._exit(0)
mine = rng.bytes(64)
os.waitpid(child, 0)
theirs = os.read(reader, 64)
assert len(theirs) == 64
# 8-byte pieces: none of them may be shared, wherever it is.
pieces = lambda drawn: {drawn[i : i + 8] for i in range(0, 64, 8)}
assert not pieces(mine) & pieces(theirs)
""")
    assert done.returncode == 0, done.stderr


def test_no_bits_end_the_process():
    """When the system gives nothing, no number is returned: the process ends, and says why."""
    done = in_new_process("""
import ctypes
import numpy as np
from scenarios.secret_streams import SystemBits
nothing = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)(lambda address, size: 0)
print(np.random.Generator(SystemBits(nothing)).random())
""")
    assert done.returncode != 0
    assert done.stdout == ""
    assert "the operating system gives no random bits" in done.stderr


def test_a_range_runs_on_secret_bits():
    """Alice and Bob agree on a key from the operating system's bits, and on another one the next time."""
    scenario = load_text(
        "duration: 0.3 s\nfabric: direct\nlink: {protocol: bb84, pulse_rate: 200 kHz, block_pulses: 40000}\n",
        "live",
    )
    keys = []
    for _ in range(2):
        streams = SystemStreams()
        with fabric_of(scenario, streams) as carrier:
            world = build(scenario, carrier, streams)
            world.env.run(until=scenario.duration)
        mine, theirs = world.alice.results[0], world.bob.results[0]
        assert mine.accepted
        assert np.array_equal(mine.key, theirs.key)
        keys.append(mine.key)
    common = min(map(len, keys))
    # Two fair strings of 500 bits agree in more than 64 % of them with a chance below 1e-9.
    assert common > 500
    assert np.mean(keys[0][:common] == keys[1][:common]) < 0.64
