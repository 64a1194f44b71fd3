"""What each query mode gives away, to whoever taps the line and to the server, and what it costs in key: exact for few qubits.

Registers under one Pauli pad are, to who does not have the key, an even mixture of 4^n pure states, whatever their number; so the
spectra of the mixtures are those of small Gram matrices (Jozsa and Schlienz, PRA 62, 012301 (2000)), and Holevo's bound on the information
about the question is a difference of two entropies of such spectra.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nodes.qml.padding import Pads, padded
from nodes.qml.query_modes import QueryModeName, References

MAX_MIXED = 4096
"""Largest number of pure states in a mixture whose spectrum is computed: its Gram matrix takes 256 MiB."""


def _spectrum(registers: Sequence[NDArray[np.complex128]], copies: Sequence[int]) -> NDArray[np.float64]:
    """Nonzero eigenvalues of the even mixture, over questions and pads, of the states ⊗_j (P v_j)^⊗k_j.

    Args:
        registers: v_j as complex128[2**n, questions].
        copies: k_j.
    """
    questions = registers[0].shape[1]
    pads = Pads.every(len(registers[0]).bit_length() - 1)
    if questions * len(pads) > MAX_MIXED:
        raise ValueError(f"a mixture of {questions * len(pads)} states; expected at most {MAX_MIXED}")
    values: NDArray[np.float64]
    if sum(copies) % 2 == 0:
        # P†Q is a Pauli again up to a sign, which an even power takes away: entries depend on P and Q by the difference of their
        # keys, and a Walsh-Hadamard transform makes blocks of them, one for each of 4^n characters
        entries = np.ones((questions, questions, len(pads)), dtype=np.complex128)
        for states, power in zip(registers, copies, strict=True):
            entries *= np.einsum("iq,irp->qrp", states.conj(), padded(states, pads)) ** power
        keys = np.concatenate([pads.x, pads.z], axis=1).astype(np.int64)
        characters = 1.0 - 2.0 * (keys @ keys.T % 2)
        blocks = np.moveaxis(entries @ characters, 2, 0)
        values = np.linalg.eigvalsh(blocks / (questions * len(pads))).reshape(-1)
    else:
        gram = np.ones((questions * len(pads),) * 2, dtype=np.complex128)
        for states, power in zip(registers, copies, strict=True):
            vectors = padded(states, pads).reshape(len(states), -1)
            gram *= (vectors.conj().T @ vectors) ** power
        values = np.asarray(np.linalg.eigvalsh(gram / len(gram)), dtype=np.float64)
    return values[values > 1e-15]


def _entropy(spectrum: NDArray[np.float64]) -> float:
    return float(-np.sum(spectrum * np.log2(spectrum)))


def holevo_bits(registers: Sequence[NDArray[np.complex128]], copies: Sequence[int]) -> float:
    """Holevo information about the question, in bits, that registers under one unknown pad hold.

    Args:
        registers: for each different register of a batch complex128[2**n, questions]: its state, if the question is this one. All
            questions are equally likely.
        copies: how often each is sent under the pad.

    Raises:
        ValueError: more than 4096 states in all, questions times 4^n.
    """
    questions = registers[0].shape[1]
    given = [_entropy(_spectrum([states[:, [q]] for states in registers], copies)) for q in range(questions)]
    return max(0.0, _entropy(_spectrum(registers, copies)) - float(np.mean(given)))


def unpadded_holevo_bits(states: NDArray[np.complex128], copies: int) -> float:
    """The same for copies of a state complex128[2**n, questions] that are under no pad, or one that the reader takes off."""
    gram = (states.conj().T @ states) ** copies
    values = np.asarray(np.linalg.eigvalsh(gram / len(gram)), dtype=np.float64)
    return max(0.0, _entropy(values[values > 1e-15]))


def distance_from_mixed(registers: Sequence[NDArray[np.complex128]], copies: Sequence[int]) -> float:
    """Trace distance between registers under one unknown pad and the maximally mixed state, the largest over the questions.

    0 means that they hold nothing, 1 that they could be told from noise for sure; arguments as in `holevo_bits`.
    """
    share = float(len(registers[0])) ** -sum(copies)  # of each dimension in the mixed state
    worst = 0.0
    for question in range(registers[0].shape[1]):
        spectrum = _spectrum([states[:, [question]] for states in registers], copies)
        rest = max(0.0, 1.0 - len(spectrum) * share)
        worst = max(worst, 0.5 * (float(np.sum(np.abs(spectrum - share))) + rest))
    return worst


def bell_outcomes(question: NDArray[np.complex128], reference: NDArray[np.complex128]) -> NDArray[np.float64]:
    """All that a pair under its own pad shows: how likely each outcome of a Bell measurement of its qubits is.

    Averaged over the pad P ⊗ P a pair is diagonal in the Bell basis, as X ⊗ X and Z ⊗ Z tell all Bell states apart. So the
    swap test's measurement loses nothing, and nothing beyond these 4^n − 1 numbers can be learned, of which the overlap is one.

    Args:
        question: complex128[2**n, m].
        reference: complex128[2**n].

    Returns:
        float64[4**n, m].
    """
    pads = Pads.every(len(question).bit_length() - 1)
    # ⟨Bell_P|a ⊗ b⟩ = ⟨b*|P|a⟩ / √2^n up to a sign
    amplitudes = np.einsum("z,zmp->pm", reference, padded(question, pads))
    found: NDArray[np.float64] = np.abs(amplitudes) ** 2 / len(question)
    return found


def pairs_information(
    states: NDArray[np.complex128],
    references: References,
    pairs: int,
    trials: int,
    rng: np.random.Generator,
) -> float:
    """Information about the question, in bits, in pairs under a pad each, for who knows the reference states.

    Exact in the law (a pair is its Bell outcome and no more), averaged over `trials` drawn questions: log2 of their number less the
    mean entropy of what is still possible.

    Args:
        states: complex128[2**n, questions], equally likely.
        references: the client's.
        pairs: of a question.
        trials: how many.
        rng: of questions and outcomes.
    """
    counts = np.bincount(references.reading().schedule(pairs), minlength=references.count)
    laws = [bell_outcomes(states, reference) for reference in references.states.T]
    questions = states.shape[1]
    left = 0.0
    for _ in range(trials):
        asked = int(rng.integers(questions))
        score = np.zeros(questions)
        for law, count in zip(laws, counts, strict=True):
            seen = rng.multinomial(count, law[:, asked] / law[:, asked].sum())
            # an outcome that did not come says nothing, also where its probability is 0
            score += seen[seen > 0] @ np.log(np.maximum(law[seen > 0], 1e-300))
        likely = np.exp(score - score.max())
        likely /= likely.sum()
        left += _entropy(likely[likely > 0.0])
    return float(np.log2(questions)) - left / trials


def overlap_error(overlap: float, pairs: float) -> float:
    """Standard error with which an overlap K is known after so many swap tests: √((1 − K²)/pairs)."""
    return float(np.sqrt((1.0 - overlap**2) / pairs))


@dataclass(frozen=True)
class QueryLeak:
    """What one question gives away, and what it costs.

    Attributes:
        mode: the query mode.
        questions_bits: what there is to know: log2 of the number of equally likely questions.
        line_bits: upper bound on what all that passes on the line holds of the question for who has no key (Holevo).
        server_bits: the same for the server, with what the mode gives it.
        gram_error: standard error with which the server, or Eve in its place, knows an overlap of ½; None where there is none to know.
        key_bits: of key, for the question and its answer.
        registers: that travel for the question: copies or pairs; 0 if it is classical.
    """

    mode: QueryModeName
    questions_bits: float
    line_bits: float
    server_bits: float
    gram_error: float | None
    key_bits: int
    registers: int


def classical_leak(mode: QueryModeName, questions: int, key_bits: int) -> QueryLeak:
    """Of `otp`, whose server reads all, and of `masked`, whose server reads nothing: a one-time pad hides all on the line."""
    bits = float(np.log2(questions))
    return QueryLeak(mode, bits, 0.0, bits if mode == "otp" else 0.0, None, key_bits, 0)


def qotp_leak(states: NDArray[np.complex128], copies: int, key_bits: int) -> QueryLeak:
    """Of `qotp`: nothing at all on the line, as every copy is under its own pad; the server holds the copies themselves.

    Args:
        states: complex128[2**n, questions].
        copies: of a question.
        key_bits: of key, in all.
    """
    questions = float(np.log2(states.shape[1]))
    # one copy under one pad is the maximally mixed state whatever the question: `holevo_bits` says so but for rounding
    return QueryLeak("qotp", questions, 0.0, unpadded_holevo_bits(states, copies), None, key_bits, copies)


def same_pad_leak(
    states: NDArray[np.complex128], references: References, pairs: int, per_pad: int, key_bits: int
) -> QueryLeak:
    """Of `same-pad`, to line and server alike, as neither has the pads; who taps is taken to know the reference states.

    What batches under pads of their own hold is at most the sum of what each holds, and at most what the copies would under none.

    Args:
        states: complex128[2**n, questions].
        references: the client's.
        pairs: of a question.
        per_pad: pairs in a row that share a pad.
        key_bits: of key, in all.
    """
    entry = references.reading().schedule(pairs)
    questions = float(np.log2(states.shape[1]))
    total = 0.0
    known: dict[tuple[int, ...], float] = {}
    for begin in range(0, pairs, per_pad):
        counts = np.bincount(entry[begin : begin + per_pad], minlength=references.count)
        batch = tuple(int(count) for count in counts)
        if batch not in known:
            used = np.flatnonzero(counts)
            fixed = [np.repeat(references.states[:, [e]], states.shape[1], axis=1) for e in used]
            known[batch] = holevo_bits([states, *fixed], [sum(batch), *(batch[e] for e in used)])
        total += known[batch]
        if total >= questions:
            break
    leaked = min(questions, total, unpadded_holevo_bits(states, pairs))
    error = overlap_error(0.5, pairs / references.count)
    return QueryLeak("same-pad", questions, leaked, leaked, error, key_bits, pairs)
