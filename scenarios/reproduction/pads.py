"""Algorithm 3's encrypted kernel: what the Pauli pad does to entries and to accuracy, in the printed order and in the right one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.photonics.registers import pauli
from nodes.qml.feature_maps import zz_map
from nodes.qml.overlaps import gram
from nodes.qml.padding import Pads, PadTrial, pad_trial, unitaries
from scenarios.reproduction.experiment import REPS, Machine, clusters, kernel, stream
from scenarios.reproduction.study import Job, Part, Plan, Shown, Study, Table, long_rows
from scenarios.reproduction.verdicts import Claim, Trial, about, exactly, mean, spelled

PRINTED = 0.92
SAME = 1e-9
"""Entries that differ by no more are the same."""
SECRET = 0.1
"""A correlation of what the server sees with the true entries that tells it nothing worth having."""
_ROWS = 10  # of which all pairs, under all keys, are tried

PRINTED_FRESH = "pad, then map; a key per state (as printed)"
PRINTED_ONE = "pad, then map; one key for all"
AFTER_FRESH = "map, then pad; a key per state"
AFTER_ONE = "map, then pad; one key for all (same-pad)"
UNDONE = "map, then pad, undone by the server (qotp)"
WAYS = (PRINTED_FRESH, PRINTED_ONE, AFTER_FRESH, AFTER_ONE, UNDONE)


def bout(seed: int, number: int) -> dict[str, float]:
    """On one data set, for each way: accuracy, largest error of an entry, correlation of entries with the true ones."""
    experiment = clusters(seed, number)
    train, test = experiment.train, experiment.test
    rng = stream(seed, "pads", number)
    rows = np.concatenate([train.features, test.features])
    count = len(train.labels)
    true = kernel(rows)
    found: dict[str, float] = {}
    for way in WAYS:
        states = _states(rows, way, rng)
        entries = gram(states)
        machine = Machine(entries[:count, :count], train.labels)
        off = ~np.eye(len(rows), dtype=np.bool_)
        found[f"accuracy/{way}"] = machine.right(entries[count:, :count], test.labels)
        found[f"error/{way}"] = float(np.max(np.abs(entries - true)))
        found[f"correlation/{way}"] = float(np.corrcoef(entries[off], true[off])[0, 1])
    return found


def _states(rows: NDArray[np.float64], way: str, rng: np.random.Generator) -> NDArray[np.complex128]:
    """What the server takes entries of: complex128[2**d, n]."""
    count, qubits = rows.shape
    bits = rng.integers(
        0, 2, 2 * qubits * (count if way in (PRINTED_FRESH, AFTER_FRESH, UNDONE) else 1), dtype=np.uint8
    )
    pads = Pads.of(bits, qubits)
    pads = pads if len(pads) == count else pads.repeated(count, count)
    if way in (PRINTED_FRESH, PRINTED_ONE):
        zero = np.zeros((2**qubits, count), dtype=np.complex128)
        zero[0] = 1.0
        padded = pauli(zero, pads.x, pads.z)
        return np.ascontiguousarray(np.einsum("ijn,jn->in", unitaries(rows, REPS), padded))
    states = zz_map(qubits, REPS).program.columns(rows)
    states = pauli(states, pads.x, pads.z)
    return pauli(states, pads.x, pads.z, undo=True) if way == UNDONE else states


def every_key(seed: int, number: int) -> tuple[PadTrial, PadTrial]:
    """All keys on some rows, in both orders, exactly."""
    rows = clusters(seed, number).test.features[:_ROWS]
    return pad_trial(rows, "pad then map", REPS), pad_trial(rows, "map then pad", REPS)


def _jobs(plan: Plan) -> list[Job]:
    return [Job(every_key, (plan.seed, 0)), *(Job(bout, (plan.seed, number)) for number in range(plan.seeds))]


def _found(plan: Plan, results: Sequence[Any]) -> Part:
    trials, bouts = results[0], results[1:]
    before, after = trials

    def of(name: str) -> list[float]:
        return [result[name] for result in bouts]

    errors = {way: max(of(f"error/{way}")) for way in WAYS}
    entries = Claim(
        "encrypted-kernel",
        "Algorithm 3, phases 2 and 3",
        "K_ij = Tr[ε(ρ_i) ε(ρ_j)] of the encrypted states is the kernel.",
        "K unchanged",
        tuple(Trial(f"{way}: largest error", exactly(errors[way]), high=SAME, unit="") for way in WAYS),
        f"Padded before the map, entries are off by up to {max(errors[PRINTED_ONE], before.same_key_error):.2f} whenever a key has an X bit, and with a key per "
        f"state all average {before.independent_mean:.4f}; one key after the map leaves K as it is (error {errors[AFTER_ONE]:.0e}).",
        f"error up to {errors[PRINTED_FRESH]:.2f}",
    )
    accuracy = Claim(
        "padded-accuracy",
        "§1.5, Fig. 1, Algorithm 3",
        "Accurate classification in the encrypted domain.",
        "about 92 %",
        tuple(Trial(way, mean(of(f"accuracy/{way}")), *about(PRINTED)) for way in WAYS),
        f"As printed it is {spelled(mean(of(f'accuracy/{PRINTED_FRESH}')), '%')}; one key on all states after the map, or a server that "
        "undoes the pad, keep it.",
    )
    seen = {way: mean(of(f"correlation/{way}")) for way in (AFTER_ONE, AFTER_FRESH, PRINTED_FRESH, UNDONE)}
    secret = Claim(
        "padded-secrecy",
        "§1.5, Fig. 1",
        "Data privacy while the kernel is evaluated on encrypted states.",
        "private",
        tuple(
            Trial(f"{way}: correlation of entries seen with true ones", estimate, -SECRET, SECRET, "")
            for way, estimate in seen.items()
        ),
        f"Whoever can compute the kernel has it: under one key the server's entries correlate with the true ones by "
        f"{spelled(seen[AFTER_ONE], '')}, which is the Gram matrix of the data; with a key per state it learns nothing and computes "
        f"nothing ({spelled(mean(of(f'accuracy/{AFTER_FRESH}')), '%')} right).",
        f"correlation {seen[AFTER_ONE].mean:.2f}",
    )
    average = Claim(
        "independent-keys",
        "Algorithm 3, phase 2",
        "Each state gets its own key (k1, k2), and the kernel is computed from such states.",
        "K kept on average",
        (
            Trial(
                "map, then pad: distance of the mean over keys from 1/4",
                exactly(after.independent_spread),
                low=0.01,
                unit="",
            ),
            Trial(
                "pad, then map: distance of the mean over keys from 1/4",
                exactly(before.independent_spread),
                low=0.01,
                unit="",
            ),
        ),
        f"Over independent keys every pair of states averages {after.independent_mean:.4f} = 1/4 exactly (spread "
        f"{after.independent_spread:.0e}), the overlap of two maximally mixed states of two qubits: nothing of K is left.",
        f"average {after.independent_mean:.4f}",
    )
    shown = Shown(
        "Kernel and classifier on padded states",
        ("way", "accuracy", "largest error of an entry", "correlation with true entries"),
        tuple(
            (
                way,
                spelled(mean(of(f"accuracy/{way}")), "%"),
                f"{errors[way]:.2g}",
                spelled(mean(of(f"correlation/{way}")), ""),
            )
            for way in WAYS
        ),
    )
    every = Table(
        "pads-every-key",
        (
            "order",
            "largest_error_same_key_with_x",
            "largest_error_same_key_without_x",
            "share_changed",
            "mean_independent_keys",
            "spread_independent_keys",
        ),
        tuple(
            (
                one.order,
                one.same_key_error,
                one.same_key_error_without_x,
                one.changed,
                one.independent_mean,
                one.independent_spread,
            )
            for one in trials
        ),
    )
    return Part(
        "Algorithm 3: the quantum one-time pad and the kernel",
        f"States of the ZZ map under Pauli pads X^a Z^b, {plan.seeds} data sets; and all 256 pairs of keys on the states of "
        f"{_ROWS} rows, exactly. The paper pads the input state and maps it afterwards; a pad commutes with a measurement of "
        "overlaps only after the map, and only if both states have the same one.",
        (entries, accuracy, secret, average),
        (Table("pads", ("bout", "quantity", "value"), long_rows(bouts)), every),
        shown=(shown,),
    )


STUDY = Study("pads", _jobs, _found)
