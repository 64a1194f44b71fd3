"""Query modes across the real network: one scenario a mode, the same link, model and questions.

Runs that cannot be told from those of the one-time pad are refused: a mode that a scenario names and nobody acts on must not
look as if it worked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scenarios.reproduction.network import Setting, bits_a_query, measured, setting
from scenarios.reproduction.study import Job, Part, Plan, Shown, Study, Table
from scenarios.reproduction.verdicts import Claim, Trial, share, spelled

MODES = ("otp", "qotp", "same-pad", "masked")
COPIES = 256
KEPT = 0.85
"""Answers like the plain model's that a mode must give to keep the accuracy."""
_TOLD = {
    "otp": "one-time pad, opened by the server",
    "qotp": "Pauli pad, undone by the server",
    "same-pad": "one Pauli pad on both states, never undone",
    "masked": "XOR, never opened",
}


def settings(plan: Plan) -> tuple[Setting, ...]:
    """A scenario for each mode; the link makes key for all of them."""
    return tuple(
        setting(
            f"mode-{mode}",
            _TOLD[mode],
            pulse_rate="4 MHz",
            block="1000000",
            duration="9 s" if plan.full else "3 s",
            queries=f"queries: {{clients: 2, rate: 20 /s, start: 0.6 s, timeout: 10 s, mode: {mode}"
            + (f", copies: {COPIES}}}" if mode in ("qotp", "same-pad") else "}"),
        )
        for mode in MODES
    )


def told_apart(mode: str, run: dict[str, Any], otp: dict[str, Any]) -> None:
    """Raise if a run's figures are those of `otp`.

    Raises:
        ValueError: as much key a query and the same answers: the mode was not used.
    """
    if bits_a_query(run) == bits_a_query(otp) and run["like_plain"] == run["answered"] == otp["answered"]:
        raise ValueError(
            f"the run of mode {mode!r} took {bits_a_query(run):.0f} bits of key a query and gave the plain model's answers, as otp does; "
            "expected a run in which the mode is used"
        )


def _jobs(plan: Plan) -> list[Job]:
    return [Job(measured, (plan.seed, one.text)) for one in settings(plan)]


def _found(plan: Plan, results: Sequence[Any]) -> Part:  # noqa: ARG001  the signature of every study
    runs = dict(zip(MODES, results, strict=True))
    for mode in MODES[1:]:
        told_apart(mode, runs[mode], runs["otp"])
    alike = {mode: share(run["like_plain"], run["answered"]) for mode, run in runs.items()}
    kept = Claim(
        "modes-network",
        "Algorithms 1 to 3",
        "Inference on encrypted queries is as accurate as on plain ones.",
        "as accurate",
        tuple(
            Trial(f"{mode} ({_TOLD[mode]}): answers like the plain model's", alike[mode], low=KEPT)
            for mode in MODES
        ),
        "Across the network "
        + ", ".join(f"{mode} gives {spelled(alike[mode], '%')}" for mode in MODES)
        + f" of answers as the plain model does, with {COPIES} registers a question where states travel.",
    )
    columns = ("mode", "answered", "issued", "like_plain", "right", "key_bits_a_query", "median_latency_s")
    rows = tuple(
        (
            mode,
            run["answered"],
            run["issued"],
            run["like_plain"],
            run["right"],
            bits_a_query(run),
            run["latency_s"],
        )
        for mode, run in runs.items()
    )
    return Part(
        "Query modes across the network",
        "The same link, model and questions; only how a question travels differs.",
        (kept,),
        (Table("modes-network", columns, rows),),
        shown=(
            Shown(
                "Modes",
                (
                    "mode",
                    "answered",
                    "like the plain model",
                    "right",
                    "key a query, bit",
                    "median latency, ms",
                ),
                tuple(
                    (
                        f"{mode}: {_TOLD[mode]}",
                        f"{run['answered']} of {run['issued']}",
                        spelled(alike[mode], "%"),
                        spelled(share(run["right"], run["answered"]), "%"),
                        f"{bits_a_query(run):,.0f}",
                        f"{1e3 * run['latency_s']:.1f}" if run["latency_s"] is not None else "–",
                    )
                    for mode, run in runs.items()
                ),
            ),
        ),
    )


STUDY = Study("modes-network", _jobs, _found)
