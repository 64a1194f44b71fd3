"""The key store: each bit by its address, handed out once, at either end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from netsim.errors import KeyExhausted, KeyUnavailable
from netsim.keys.key_store import KeyStore

ADDRESSES = st.integers(0, 60)
COUNTS = st.integers(1, 20)


def key(*values: int) -> np.ndarray:
    """Bits, written out."""
    return np.array(values, dtype=np.uint8)


class StoreAgainstModel(RuleBasedStateMachine):
    """A store beside a dictionary from address to bit, which is all that a store should be."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        """An empty store and an empty model."""
        self.rng = np.random.default_rng(seed)
        self.store = KeyStore()
        self.model: dict[int, int] = {}
        self.deposited = self.handed_out = 0

    def longest(self) -> int:
        """The longest run of addresses in store."""
        run = longest = 0
        for address in range(90):
            run = run + 1 if address in self.model else 0
            longest = max(longest, run)
        return longest

    @rule(address=ADDRESSES, count=st.integers(0, 20))
    def deposit(self, address: int, count: int) -> None:
        """Free addresses take bits in, any others refuse all of them."""
        bits = self.rng.integers(0, 2, count, dtype=np.uint8)
        addresses = range(address, address + count)
        if any(a in self.model for a in addresses):
            with pytest.raises(ValueError, match="not free"):
                self.store.deposit(address, bits)
            return
        self.store.deposit(address, bits)
        self.model.update(zip(addresses, bits.tolist(), strict=True))
        self.deposited += count
        bits[:] = 7  # the depositor may do with its array what it likes

    @rule(count=COUNTS)
    def take(self, count: int) -> None:
        """The first run that is long enough is cut from its front."""
        runs = [a for a in range(90) if all(a + i in self.model for i in range(count))]
        if not runs:
            with pytest.raises(KeyExhausted) as caught:
                self.store.take(count)
            assert (caught.value.requested, caught.value.available) == (count, self.longest())
            return
        assert self.store.locate(count) == runs[0]
        address, bits = self.store.take(count)
        assert address == runs[0]
        self.spend(address, bits, count)

    @rule(address=ADDRESSES, count=COUNTS)
    def take_at(self, address: int, count: int) -> None:
        """All bits or none."""
        here = all(a in self.model for a in range(address, address + count))
        assert self.store.holds(address, count) == here
        if here:
            self.spend(address, self.store.take_at(address, count), count)
        else:
            with pytest.raises(KeyUnavailable):
                self.store.take_at(address, count)

    def spend(self, address: int, bits: np.ndarray, count: int) -> None:
        """What was handed out is what was deposited, and is here no more."""
        assert bits.dtype == np.uint8
        assert bits.tolist() == [self.model.pop(a) for a in range(address, address + count)]
        self.handed_out += count
        bits[:] = 7  # nor does the taker hold a part of the store

    @invariant()
    def counts_agree(self) -> None:
        """Store and model agree on every address."""
        if hasattr(self, "store"):
            assert self.store.available_bits == len(self.model)
            assert self.store.deposited_bits == self.deposited
            assert self.store.handed_out_bits == self.handed_out
            for address in range(90):
                assert self.store.holds(address, 1) == (address in self.model)


StoreAgainstModel.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_a_store_is_a_dictionary_that_forgets = StoreAgainstModel.TestCase


def test_a_key_may_lie_across_adjacent_stretches():
    """Two blocks' key is one stream: a key is cut across their border, whichever came first."""
    store = KeyStore()
    store.deposit(4, key(1, 1, 0))
    store.deposit(0, key(0, 1, 0, 1))
    address, bits = store.take(6)
    assert (address, bits.tolist()) == (0, [0, 1, 0, 1, 1, 1])
    assert store.take_at(6, 1).tolist() == [0]
    assert store.available_bits == 0


def test_a_hole_is_not_bridged():
    """A key must lie in one piece: with 3 + 3 bits around a hole, 4 are not available, and 3 are said to be."""
    store = KeyStore()
    store.deposit(0, key(0, 1, 0))
    store.deposit(4, key(1, 1, 1))
    with pytest.raises(KeyExhausted, match="4 bits of key were requested, 3 are available") as caught:
        store.take(4)
    assert (caught.value.requested, caught.value.available) == (4, 3)
    assert not store.holds(2, 3)
    store.deposit(3, key(0))
    assert store.take(7)[1].tolist() == [0, 1, 0, 0, 1, 1, 1]


def test_what_is_refused_costs_nothing():
    """A fetch that fails in the middle hands out nothing."""
    store = KeyStore()
    store.deposit(0, key(1, 0, 1))
    with pytest.raises(KeyUnavailable):
        store.take_at(1, 3)
    assert store.available_bits == 3
    assert store.take_at(0, 3).tolist() == [1, 0, 1]
    with pytest.raises(KeyUnavailable):
        store.take_at(0, 3)


def test_an_overlap_is_refused_as_a_whole():
    """An address holds one bit: a deposit that touches a stored stretch on any side changes nothing."""
    store = KeyStore()
    store.deposit(10, key(1, 1, 1))
    for address, count in ((9, 2), (12, 1), (11, 1), (8, 6), (10, 3)):
        with pytest.raises(ValueError, match="not free"):
            store.deposit(address, np.zeros(count, dtype=np.uint8))
    with pytest.raises(ValueError, match="not free"):
        store.deposit(-1, key(1))
    assert store.take_at(10, 3).tolist() == [1, 1, 1]


@pytest.mark.parametrize("count", [0, -1])
@pytest.mark.parametrize("stored", [0, 2])
def test_nothing_cannot_be_taken(count, stored):
    """A key has one bit at least; asking for less is a fault of the caller, with or without key in store."""
    store = KeyStore()
    store.deposit(0, np.ones(stored, dtype=np.uint8))
    with pytest.raises(ValueError, match="ask for one at least"):
        store.take(count)
    with pytest.raises(ValueError, match="ask for one at least"):
        store.take_at(0, count)
    assert not store.holds(0, count)
    assert store.available_bits == stored


def test_two_ends_that_get_the_same_key_hand_out_the_same_key():
    """One end draws from the front, the other fetches by address: equal bits, in any order of fetching."""
    rng = np.random.default_rng(1)
    near, far = KeyStore(), KeyStore()
    for start in range(0, 1000, 100):
        block = rng.integers(0, 2, 100, dtype=np.uint8)
        near.deposit(start, block)
        far.deposit(start, block)
    taken = [near.take(count) for count in rng.integers(1, 60, 20).tolist()]
    for i in rng.permutation(len(taken)):
        address, bits = taken[i]
        assert far.take_at(address, len(bits)).tolist() == bits.tolist()
