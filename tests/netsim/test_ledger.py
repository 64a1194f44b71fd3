"""The ledger: a block's bits add up, or the ledger says by how much they do not."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.keys.ledger import Ledger

BITS = st.integers(0, 10_000)
NOT_IN_THE_SUM = {"pulses", "detections", "authentication_spent_bits"}


@st.composite
def balanced(draw):
    """The ledger of a block that gave key."""
    delivered, replenished = draw(BITS), draw(BITS)
    parities, counts, tag, amplification, test = (draw(BITS) for _ in range(5))
    secret = delivered + replenished
    key = secret + parities + counts + tag + amplification
    return Ledger(
        pulses=draw(BITS),
        detections=draw(BITS),
        sifted_bits=key + test,
        test_bits=test,
        key_bits=key,
        disclosed_parities=parities,
        disclosed_counts=counts,
        verification_bits=tag,
        amplification_bits=amplification,
        secret_bits=secret,
        authentication_spent_bits=draw(BITS),
        authentication_replenished_bits=replenished,
        delivered_bits=delivered,
    )


@given(balanced())
def test_a_right_account_balances(ledger):
    """Sifted bits are test and key; key is what was disclosed, amplified away, and secret; secret is what was delivered."""
    assert ledger.imbalance() == 0
    disclosed = ledger.disclosed_parities + ledger.disclosed_counts
    assert ledger.leak_ec_bits == disclosed + ledger.verification_bits


@pytest.mark.parametrize(
    "entry", [field.name for field in dataclasses.fields(Ledger) if field.name not in NOT_IN_THE_SUM]
)
@given(balanced(), st.integers(-50, 50).filter(bool))
def test_any_wrong_entry_shows(entry, ledger, error):
    """One entry that is off by e, in either direction, is an imbalance of at least |e|."""
    setattr(ledger, entry, getattr(ledger, entry) + error)
    assert ledger.imbalance() >= abs(error)


def test_a_new_account_is_empty():
    """A block begins with nothing, and nothing adds up."""
    assert set(dataclasses.astuple(Ledger())) == {0}
    assert Ledger().imbalance() == 0


@given(balanced())
def test_a_block_given_up_has_made_nothing(ledger):
    """A void account keeps what was sent, detected, disclosed and spent, and no key."""
    before = dataclasses.replace(ledger)
    ledger.void()
    made = {"amplification_bits", "secret_bits", "authentication_replenished_bits", "delivered_bits"}
    for field in dataclasses.fields(Ledger):
        expected = 0 if field.name in made else getattr(before, field.name)
        assert getattr(ledger, field.name) == expected, field.name
