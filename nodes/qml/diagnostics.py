"""The paper's Algorithm 2, step 5: four checks of a run, each with its evidence.

They take plain numbers, so that whoever has a run's result can ask. Nothing here imports Qiskit or takes longer than some
milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from netsim.postprocessing.authentication import forgery_probability
from nodes.qml.extraction import queries_needed
from nodes.qml.fixed_point import BYTES_PER_FEATURE
from nodes.qml.resources import EAGLE, Device, Resources
from nodes.qml.statevector import Program

Verdict = Literal["ok", "insecure", "inefficient", "leakage", "resource overhead", "not applicable"]
"""Algorithm 2's flags; or none is raised; or the run has nothing to check."""

Answers = Literal["score", "rounded", "noisy", "label"]
"""What the server tells: decision values as they are, rounded, with fresh noise, or the class only."""

Delivery = Literal["none", "information-theoretic", "computational"]
"""Against whom the keys that a model was delivered under are safe; none where none was."""

EPSILON_TARGET = 1e-6
"""What a run may fail with unless said otherwise."""

GRADIENT_ERROR_LIMIT = 0.1
"""Relative error of ∇f from which on an adversary counts as able to estimate it."""

_BISECTIONS = 16  # that place a point of the boundary between two codes of the wire
_ESTIMATED_QUBITS = 4  # up to here the gradient's error is worked out in a run
_MOST_POINTS = 256  # of a linear system in a run; twice 4^n are as good as more
_STEP = 1e-3
_BITS = 8 * BYTES_PER_FEATURE  # of a feature on the wire
_STEPS = (0.001, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5)
_JITTER = 1e-9


@dataclass(frozen=True)
class Check:
    """One of Algorithm 2's checks.

    Attributes:
        name: "composability", "refresh", "leakage" or "resources".
        verdict: the flag it raises, or "ok", or "not applicable".
        evidence: what it rests on, by name.
        sentence: the same for a reader.
    """

    name: str
    verdict: Verdict
    evidence: Mapping[str, float | str]
    sentence: str

    @property
    def flagged(self) -> bool:
        """Whether Algorithm 2 would have reported it."""
        return self.verdict not in ("ok", "not applicable")


def composability(
    link_epsilon: float | None,
    *,
    sealed_messages: int = 0,
    longest_message_bytes: int = 0,
    mac: bool = True,
    delivery: Delivery = "none",
    unmet: str = "",
    target: float = EPSILON_TARGET,
) -> Check:
    """Whether all that may fail is accounted for, and stays below a target.

    Failure probabilities of composable parts add up (Portmann, Renner, Rev. Mod. Phys. 94, 025008 (2022)): the blocks' secrecy,
    correctness and authentication, which the link has summed, and each one-time MAC. A one-time pad adds nothing.

    Args:
        link_epsilon: sum over the blocks that gave key; None without one.
        sealed_messages: queries and answers under a one-time MAC.
        longest_message_bytes: header and ciphertext of the longest.
        mac: whether they carry one; without it a forgery passes for sure.
        delivery: of the model.
        unmet: why the way queries are asked is no part that composes, as `masked` and `same-pad` are not; empty if it is.
        target: for the sum.

    Raises:
        ValueError: a number that cannot be.
    """
    if (
        (link_epsilon is not None and not 0.0 <= link_epsilon <= 1.0)
        or min(sealed_messages, longest_message_bytes) < 0
        or not 0.0 < target < 1.0
    ):
        raise ValueError(
            f"got an ε of {link_epsilon}, {sealed_messages} messages of {longest_message_bytes} bytes and a target of {target}; "
            "expected probabilities and counts, the target between 0 and 1"
        )
    if link_epsilon is None:
        evidence: dict[str, float | str] = {"ε target": target}
        return Check(
            "composability",
            "not applicable",
            evidence,
            "No block gave key, so there is nothing to compose.",
        )
    forgery = forgery_probability(longest_message_bytes) if mac else 1.0
    macs = min(1.0, sealed_messages * forgery)
    total = min(1.0, link_epsilon + macs)
    against = "bounded adversaries" if delivery == "computational" else "any adversary"
    evidence = {
        "ε link": link_epsilon,
        "ε messages": macs,
        "messages": sealed_messages,
        "ε in all": total,
        "ε target": target,
        "model delivery": delivery,
        "holds against": against,
    }
    if unmet:
        evidence["unmet"] = unmet
        return Check(
            "composability", "insecure", evidence, f"The parts do not compose whatever ε is: {unmet}."
        )
    if total > target:
        why = "messages without a MAC" if macs == 1.0 and link_epsilon < 1.0 else "the sum of the parts"
        return Check(
            "composability",
            "insecure",
            evidence,
            f"ε is {total:.2g}, above the target of {target:.2g}: {why}.",
        )
    limits = (
        ", as long as nobody breaks the ciphers the model was delivered under"
        if against == "bounded adversaries"
        else ""
    )
    return Check(
        "composability",
        "ok",
        evidence,
        f"ε is {total:.2g} in all, within the target of {target:.2g}{limits}.",
    )


def refresh(key_age_s: float | None, model_age_s: float | None) -> Check:
    """Whether keys are renewed at least as often as the model: τ_k ≤ τ_m.

    Args:
        key_age_s: τ_k, the longest that went by without fresh key, in seconds; None if none ever came.
        model_age_s: τ_m, how long a model serves until the next takes its place; None if none ever does.

    Raises:
        ValueError: an age below 0, or no number.
    """
    for age in (key_age_s, model_age_s):
        if age is not None and not age >= 0.0:
            raise ValueError(f"got an age of {age} s; expected at least 0")
    key = math.inf if key_age_s is None else key_age_s
    model = math.inf if model_age_s is None else model_age_s
    evidence: dict[str, float | str] = {
        "τ_k s": key if math.isfinite(key) else "never renewed",
        "τ_m s": model if math.isfinite(model) else "never renewed",
    }
    if key > model or math.isinf(key):
        served = "a model is ever renewed" if math.isinf(model) else f"a model of {model:.3g} s is renewed"
        waited = "Fresh key never came" if math.isinf(key) else f"Fresh key took up to {key:.3g} s"
        return Check("refresh", "inefficient", evidence, f"{waited}: longer than {served}.")
    while_serving = "for the whole run" if math.isinf(model) else f"for {model:.3g} s"
    return Check(
        "refresh",
        "ok",
        evidence,
        f"Fresh key came at least every {key:.3g} s; a model serves {while_serving}.",
    )


def leakage(
    queries: Mapping[str, int],
    program: Program | None,
    *,
    answers: Answers = "label",
    noise: float = 0.0,
    limit: float = GRADIENT_ERROR_LIMIT,
) -> Check:
    """Whether whoever asked so often can estimate ∇f.

    Clients may be one adversary, so all their queries count together. It is flagged when the best linear estimate of ∇f, over the
    cube or at one point, is within the limit; with labels also when a search for the boundary could have found it.

    Args:
        queries: answered, by client.
        program: the feature map's; None where the model has none, and nothing is estimated.
        answers: what the server tells.
        noise: the rounding step, or the noise's standard deviation, as a share of the scores' own standard deviation.
        limit: relative gradient error from which on ∇f counts as known.

    Raises:
        ValueError: a count, noise or limit below 0, or answers that are not known.
    """
    asked = sum(queries.values())
    if (
        min(queries.values(), default=0) < 0
        or not noise >= 0.0
        or not limit > 0.0
        or answers not in get_args(Answers)
    ):
        raise ValueError(
            f"got queries {dict(queries)}, answers {answers!r}, noise {noise} and a limit of {limit}; expected counts, one of "
            f"{', '.join(get_args(Answers))}, noise at least 0 and a limit above 0"
        )
    evidence: dict[str, float | str] = {
        "queries": asked,
        "most by one client": max(queries.values(), default=0),
        "answers": answers,
    }
    if program is None or not asked:
        why = "Nobody asked." if not asked else "The model has no feature map to learn."
        return Check("leakage", "not applicable", evidence, why)
    needed = queries_needed(program)
    evidence["scores that give all"] = needed
    evidence["scores that give one gradient"] = program.features + 1
    if answers == "label":
        evidence["labels that give all but a factor"] = labels_needed(program)
    if program.qubits > _ESTIMATED_QUBITS:
        evidence["gradient error"] = "not estimated"
        leaks = answers == "score" and asked >= min(needed, program.features + 1)
        error = math.nan
    else:
        everywhere = gradient_error(program, asked, answers, noise)
        here = local_gradient_error(program, asked, answers, noise)
        evidence["gradient error everywhere"] = everywhere
        evidence["gradient error at one point"] = here
        evidence["gradient error limit"] = limit
        error = min(everywhere, here)
        leaks = error <= limit
    if answers == "label":
        leaks = leaks or asked >= labels_needed(program)
    told = f"{asked} answers ({answers}); {needed} exact scores give the whole model, {program.features + 1} one gradient"
    if math.isnan(error):
        return Check("leakage", "leakage" if leaks else "ok", evidence, f"{told}.")
    estimate = (
        f"The best linear estimate of the gradient from them has an error of {error:.0%}, limit {limit:.0%}"
    )
    if leaks and error > limit:
        estimate += f"; but {labels_needed(program)} labels are enough to find where the boundary lies"
    return Check("leakage", "leakage" if leaks else "ok", evidence, f"{told}. {estimate}.")


def resource_overhead(needed: Resources | None, device: Device = EAGLE) -> Check:
    """Whether the circuit is within what has been run on a named device.

    Args:
        needed: by the circuit, on a device with that coupling; None where the model has no circuit.
        device: the limit.
    """
    limits = {
        "qubits": device.qubits,
        "two-qubit gates": device.two_qubit_gates,
        "two-qubit depth": device.two_qubit_depth,
    }
    if needed is None:
        return Check(
            "resources", "not applicable", {"device": device.name}, "The model needs no quantum computer."
        )
    takes = {
        "qubits": needed.qubits,
        "two-qubit gates": needed.two_qubit_gates,
        "two-qubit depth": needed.two_qubit_depth,
    }
    evidence: dict[str, float | str] = {
        **takes,
        "depth": needed.depth,
        **{f"{name} limit": value for name, value in limits.items()},
        "device": device.name,
        "counted as": needed.source,
        "limit from": device.source,
    }
    beyond = [f"{takes[name]} {name} against {limits[name]}" for name in limits if takes[name] > limits[name]]
    if beyond:
        return Check(
            "resources", "resource overhead", evidence, f"Beyond {device.name}: {', '.join(beyond)}."
        )
    return Check(
        "resources",
        "ok",
        evidence,
        f"{needed.qubits} qubits, depth {needed.depth} and {needed.two_qubit_gates} two-qubit gates: within {device.name}.",
    )


def algorithm_2(
    *,
    link_epsilon: float | None,
    sealed_messages: int = 0,
    longest_message_bytes: int = 0,
    mac: bool = True,
    delivery: Delivery = "none",
    unmet: str = "",
    epsilon_target: float = EPSILON_TARGET,
    key_age_s: float | None = None,
    model_age_s: float | None = None,
    queries: Mapping[str, int] | None = None,
    program: Program | None = None,
    answers: Answers = "label",
    noise: float = 0.0,
    gradient_error_limit: float = GRADIENT_ERROR_LIMIT,
    needed: Resources | None = None,
    device: Device = EAGLE,
) -> tuple[Check, ...]:
    """All four checks of a run, in Algorithm 2's order; the arguments are those of the checks.

    Raises:
        ValueError: a number that cannot be.
    """
    return (
        composability(
            link_epsilon,
            sealed_messages=sealed_messages,
            longest_message_bytes=longest_message_bytes,
            mac=mac,
            delivery=delivery,
            unmet=unmet,
            target=epsilon_target,
        ),
        refresh(key_age_s, model_age_s),
        leakage(queries or {}, program, answers=answers, noise=noise, limit=gradient_error_limit),
        resource_overhead(needed, device),
    )


def labels_needed(program: Program) -> int:
    """Classes from which f follows up to a factor: as many points of the boundary as it has unknowns but one, each by bisection.

    A count, not a measurement: a question for each of the 16 bits that the wire has for a feature, and one point less than `queries_needed`.
    """
    return _BISECTIONS * (queries_needed(program) - 1)


@lru_cache(maxsize=256)
def gradient_error(program: Program, queries: int, answers: Answers = "score", noise: float = 0.0) -> float:
    """Relative error of ∇f over the unit cube, for the best linear estimate from so many answers at spread points.

    Before any answer f is, to the adversary, a Gaussian process with the feature map's kernel, which is public; after them its
    gradient has a variance that does not depend on what they were (Rasmussen, Williams 2006, section 9.4). The result is the
    root of that variance over the one before: 1 knows nothing, 0 all. Rounding is taken for white noise of step/√12 (Bennett 1948);
    signs have the covariance of the arcsine law (Van Vleck, Middleton 1966). Real models are smoother than the process, and a clever
    adversary chooses its questions: both may do better.

    Args:
        program: the feature map's, of at most four qubits: beyond, the linear algebra is no run's.
        queries: answers in hand. More than 2·4^n scores, or 256, count as repetitions; the error from more than 256 labels is
            extrapolated by the power that the last doubling showed.
        answers: what they are.
        noise: the rounding step, or the noise's standard deviation, as a share of the scores' own.

    Raises:
        ValueError: more than four qubits.
    """
    _require_few(program)
    if queries <= 0:
        return 1.0
    at = _spread(16, program.features, 0.37)

    def from_points(points: int, sigma: float) -> float:
        return _posterior(program, at, program.columns(_spread(points, program.features)), answers, sigma)

    if answers != "label":
        points = min(queries, _MOST_POINTS, 2 * 4**program.qubits)
        return from_points(points, _white(answers, noise) * math.sqrt(points / queries))
    if queries <= _MOST_POINTS:
        return from_points(queries, 0.0)
    half, whole = from_points(_MOST_POINTS // 2, 0.0), from_points(_MOST_POINTS, 0.0)
    found: float = whole * min(1.0, whole / half) ** math.log2(queries / _MOST_POINTS)
    return found


@lru_cache(maxsize=256)
def local_gradient_error(
    program: Program, queries: int, answers: Answers = "score", noise: float = 0.0
) -> float:
    """The same at one point, where all queries are spent on differences: two for each feature, at the best of some distances.

    With one more than there are features all of the gradient is known to first order. Repetitions help against fresh noise only.

    Args:
        program: as for `gradient_error`.
        queries: answers in hand.
        answers: what they are.
        noise: as for `gradient_error`.

    Raises:
        ValueError: more than four qubits.
    """
    _require_few(program)
    if queries <= 0:
        return 1.0
    features = program.features
    spent = min(queries, 2 * features)
    sigma = _white(answers, noise) * (math.sqrt(spent / queries) if answers == "noisy" else 1.0)
    middle = np.full((1, features), 0.5)
    sides = np.concatenate([np.eye(features), -np.eye(features)])[:spent]
    return min(
        _posterior(program, middle, program.columns(middle + step * sides), answers, sigma) for step in _STEPS
    )


def _require_few(program: Program) -> None:
    if program.qubits > _ESTIMATED_QUBITS:
        raise ValueError(
            f"a feature map of {program.qubits} qubits; expected at most {_ESTIMATED_QUBITS} for an estimate"
        )


def _white(answers: Answers, noise: float) -> float:
    """Standard deviation of the white noise on an answer."""
    return {"rounded": noise / math.sqrt(12), "noisy": noise}.get(answers, 0.0)


def _posterior(
    program: Program,
    at: NDArray[np.float64],
    asked: NDArray[np.complex128],
    answers: Answers,
    sigma: float,
) -> float:
    """Root of the share of the gradient's variance that is left, at float64[m, d], after answers for states complex128[2**q, n]."""
    features = at.shape[1]
    steps = _STEP * np.eye(features)
    ahead = program.columns((at[:, None] + steps).reshape(-1, features))
    behind = program.columns((at[:, None] - steps).reshape(-1, features))
    # all are differences over 2·_STEP, which cancels; 1 - |⟨a|b⟩|² is taken from a - b, so that no digits are lost
    meeting = np.sum(ahead.conj() * behind, axis=0)
    apart = np.sum(np.abs(ahead * (np.abs(meeting) / meeting.conj()) - behind) ** 2, axis=0)
    before = 2.0 * (apart - apart**2 / 4)
    slope = _kernel(asked, ahead) - _kernel(asked, behind)
    covariance = _kernel(asked, asked)
    if answers == "label":  # of √(π/2)·sign, whose covariance with the scores is the scores' own
        covariance = np.arcsin(np.minimum(covariance, 1.0))
    covariance[np.diag_indices_from(covariance)] += sigma**2 + _JITTER
    explained = np.sum(slope * np.linalg.solve(covariance, slope), axis=0)
    return math.sqrt(max(0.0, 1.0 - float(np.sum(explained) / np.sum(before))))


def _kernel(one: NDArray[np.complex128], other: NDArray[np.complex128]) -> NDArray[np.float64]:
    """|⟨one|other⟩|² as float64[n, m], of columns."""
    inner = one.conj().T @ other
    found: NDArray[np.float64] = inner.real**2 + inner.imag**2
    return found


def _spread(count: int, features: int, offset: float = 0.5) -> NDArray[np.float64]:
    """Points that fill the unit cube evenly, float64[count, features]: multiples of powers of a generalised golden ratio (Roberts 2018)."""
    ratio = 2.0
    for _ in range(64):
        ratio = (1.0 + ratio) ** (1.0 / (features + 1))
    powers = ratio ** -np.arange(1.0, features + 1)
    points: NDArray[np.float64] = (offset + np.arange(1, count + 1)[:, None] * powers) % 1.0
    return points
