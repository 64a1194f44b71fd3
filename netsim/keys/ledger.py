"""The account of a block: every bit detected, disclosed, spent and made, entered where it happens."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Ledger:
    """One block's bits, from detection to key; the entries add up (see `imbalance`).

    Attributes:
        pulses: sent.
        detections: clicks at Bob (and at Alice, for pairs).
        sifted_bits: usable for key after sifting; key and test together.
        test_bits: sifted bits revealed to estimate the error rate.
        key_bits: sifted bits left to make key from.
        disclosed_parities: parities, or bits of syndromes, that crossed the wire in reconciliation.
        given_away_bits: bits of frames that no code could mend, and that were told in the open.
        disclosed_counts: bits in which the errors found were told, where the key length asks for it.
        verification_bits: tags of universal hashes, of the whole key and, where these differed, of each frame.
        amplification_bits: taken away for what Eve may know, beyond what was disclosed.
        secret_bits: final key.
        authentication_spent_bits: pads of tags sent and received.
        authentication_replenished_bits: final key that went to the authentication pool.
        delivered_bits: final key that went to the key stores.
    """

    pulses: int = 0
    detections: int = 0
    sifted_bits: int = 0
    test_bits: int = 0
    key_bits: int = 0
    disclosed_parities: int = 0
    given_away_bits: int = 0
    disclosed_counts: int = 0
    verification_bits: int = 0
    amplification_bits: int = 0
    secret_bits: int = 0
    authentication_spent_bits: int = 0
    authentication_replenished_bits: int = 0
    delivered_bits: int = 0

    @property
    def leak_ec_bits(self) -> int:
        """Everything disclosed to make the two strings equal, and to know that they are."""
        return self.told_bits + self.verification_bits

    @property
    def told_bits(self) -> int:
        """The same without what verification took, for which the key-length bounds have a term of their own."""
        return self.disclosed_parities + self.given_away_bits + self.disclosed_counts

    def void(self) -> None:
        """The block is given up: it made no key, whatever had been computed."""
        self.amplification_bits = self.secret_bits = 0
        self.authentication_replenished_bits = self.delivered_bits = 0

    def imbalance(self) -> int:
        """What does not add up, in bits; 0 in a block that gave key."""
        sifting = self.sifted_bits - self.test_bits - self.key_bits
        amplification = self.key_bits - self.leak_ec_bits - self.amplification_bits - self.secret_bits
        delivery = self.secret_bits - self.authentication_replenished_bits - self.delivered_bits
        return abs(sifting) + abs(amplification) + abs(delivery)
