"""An ensemble of quantum kernel machines on parts of the training set: they vote, and few bad rows move few votes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.decision import Decision, Observable, SupportVectors
from nodes.qml.feature_maps import zz_map
from nodes.qml.machine import Arrays, Machine, array, setting
from nodes.qml.qsvm import QuantumSVM

_Member = Decision | int  # a trained machine, or the only label that its rows had


class Ensemble(Machine):
    """Partition aggregation: a member for each part, the majority answers, and each answer comes with a certificate.

    Levine and Feizi, "Deep partition aggregation" (2021): a hash of a row's features chooses the part it goes to, so
    that whatever is done to one row can change no more than one vote (two, if its features change). With `copies`
    above 1 each row goes to as many parts, larger ones that overlap (hash bagging, Chen et al., "On
    collective robustness of bagging against data poisoning" (2022)): better members, and a certificate divided by
    as much. A member whose part has rows of one label only always says that label; 0 if the part is empty.

    Args:
        members: parts, at least 1; an odd number has no ties, which go to class 0.
        copies: parts that each row is in, from 1 (a partition) to `members`.
        rng: draws the salt of the hash; whoever knows it could choose rows that all fall into one part, or none.
        C: penalty of the members.
        reps: repetitions of their ZZ feature map.

    Attributes:
        salt: of the hash.
        members_: the trained machines, after training; the only label they saw for those without one.

    Raises:
        ValueError: `members` or `copies` out of range.
    """

    name: ClassVar[str] = "qsvm-ensemble"
    salt: bytes
    members_: list[_Member]

    def __init__(
        self, members: int = 7, *, copies: int = 1, rng: np.random.Generator, C: float = 1.0, reps: int = 2
    ) -> None:
        self.members, self.copies, self.C, self.reps = members, copies, C, reps
        _check(members, copies)
        self.salt = rng.bytes(16)

    def __repr__(self) -> str:
        return f"Ensemble(members={self.members!r}, copies={self.copies!r}, C={self.C!r}, reps={self.reps!r})"

    def parts(self, features: NDArray[np.float64]) -> NDArray[np.bool_]:
        """bool[n, members]: which rows of float64[n, d] each member is trained on; the labels have no say in it."""
        size = 8 * self.members
        digests = b"".join(
            hashlib.shake_128(self.salt + np.ascontiguousarray(row).tobytes()).digest(size)
            for row in features
        )
        ranks = np.frombuffer(digests, dtype="<u8").reshape(-1, self.members)
        chosen = np.argsort(ranks, axis=1, kind="stable")[:, : self.copies]
        parts = np.zeros((len(features), self.members), dtype=np.bool_)
        np.put_along_axis(parts, chosen, values=True, axis=1)
        return parts

    def disagreement(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """The share of members who vote against the answer, float64[n] from 0 to 1/2; raises what `decide` raises."""
        return (1.0 - np.abs(self.decide(features))) / 2.0

    def certified_flips(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """How many training rows may be bad before the answer could be another, int64[n]; at least 0.

        With up to this many flipped labels, removed rows and added rows in all, the answer is the same (Levine and
        Feizi (2021), theorem 1, ties to class 0); a row whose features were changed counts as two, one removed and one
        added. That is certain whatever the rows are, of this training set as it is: what was bad in it
        before is not undone, and an answer that stays may have been wrong to begin with.
        """
        ahead = np.rint(self.decide(features) * self.members).astype(np.int64)
        # class 1 needs more votes than class 0, class 0 as many
        votes = np.where(ahead > 0, (ahead - 1) // 2, -ahead // 2)
        return np.asarray(votes // self.copies, dtype=np.int64)

    @classmethod
    def of_state(cls, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """The model again, with the same decision values bit for bit; raises ValueError if it is not one's state."""
        ensemble = cls.__new__(cls)
        ensemble.members = setting(settings, "members", int)
        ensemble.copies = setting(settings, "copies", int)
        ensemble.C = float(setting(settings, "C", (int, float)))
        ensemble.reps = setting(settings, "reps", int)
        _check(ensemble.members, ensemble.copies)
        salt = setting(settings, "salt", str)
        ensemble.salt = bytes.fromhex(salt)
        width = ensemble.n_features_in_ = setting(settings, "features", int)
        constants = setting(settings, "constants", list)
        biases = setting(settings, "biases", list)
        if len(constants) != ensemble.members or len(biases) != ensemble.members:
            raise ValueError(
                f"the state has {len(constants)} constants and {len(biases)} biases; expected {ensemble.members} of each"
            )
        program = zz_map(width, ensemble.reps).program
        ensemble.members_ = []
        for number, (constant, bias) in enumerate(zip(constants, biases, strict=True)):
            if constant is not None:
                if constant not in (0, 1):
                    raise ValueError(f"a member's constant is {constant!r}; expected 0, 1 or none")
                ensemble.members_.append(int(constant))
                continue
            form: Observable | SupportVectors
            if f"member{number}_rows" in arrays:
                rows = array(arrays, f"member{number}_rows", (None, width))
                form = SupportVectors(program, rows, array(arrays, f"member{number}_weights", (len(rows),)))
            else:
                values = array(arrays, f"member{number}_values", (None,))
                shape = (len(values), 2**program.qubits)
                form = Observable(values, array(arrays, f"member{number}_vectors", shape, np.complex128))
            if not (isinstance(bias, float) and np.isfinite(bias)):
                raise ValueError(f"a member's bias is {bias!r}; expected a finite number")
            ensemble.members_.append(Decision(program, form, bias))
        return ensemble

    def _train(self, train: DataSet) -> None:
        self.members_ = []
        for part in self.parts(train.features).T:
            labels = train.labels[part]
            if len(np.unique(labels)) < 2:
                self.members_.append(int(labels[0]) if len(labels) else 0)
            else:
                machine = QuantumSVM(C=self.C, reps=self.reps).fit(DataSet(train.features[part], labels))
                self.members_.append(machine.decision_)

    def _values(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Votes for class 1 less votes for class 0, over all: from -1 to 1."""
        votes = np.zeros(len(features), dtype=np.int64)
        for member in self.members_:
            votes += member if isinstance(member, int) else member.values(features) > 0.0
        return (2 * votes - self.members) / self.members

    def _state(self) -> tuple[dict[str, Any], Arrays]:
        arrays: Arrays = {}
        for number, member in enumerate(self.members_):
            if isinstance(member, int):
                continue
            form = member.form
            if isinstance(form, SupportVectors):
                arrays |= {f"member{number}_rows": form.rows, f"member{number}_weights": form.weights}
            else:
                arrays |= {f"member{number}_values": form.values, f"member{number}_vectors": form.vectors}
        return {
            "members": self.members,
            "copies": self.copies,
            "C": self.C,
            "reps": self.reps,
            "salt": self.salt.hex(),
            "constants": [member if isinstance(member, int) else None for member in self.members_],
            "biases": [0.0 if isinstance(member, int) else member.bias for member in self.members_],
        }, arrays


def _check(members: int, copies: int) -> None:
    if members < 1:
        raise ValueError(f"members is {members}; expected at least 1")
    if not 1 <= copies <= members:
        raise ValueError(f"copies is {copies}; expected 1 to {members}, the members")
