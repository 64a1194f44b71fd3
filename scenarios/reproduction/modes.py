"""Query modes in memory: what each keeps of the accuracy with so many registers, and what it gives away to line and server.

The same arithmetic as across the network, without one: see `modes_network` for the runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scenarios.reproduction.charts import Curve, line_chart
from scenarios.reproduction.experiment import REPS, clusters, stream
from scenarios.reproduction.study import Figure, Job, Part, Plan, Shown, Study, Table, long_rows
from scenarios.reproduction.verdicts import Claim, Trial, about, exactly, mean, spelled

PRINTED = 0.92
COPIES = (16, 64, 256, 1024)
USUAL = 256
ARRIVAL, FLIP = 0.6, 0.01
"""Of a qubit over a link of 10 km: the chance to arrive, and of an error on the way."""
HIDDEN_BITS = 0.01
"""Bits about a question that may be told and yet count as nothing."""
_QUESTIONS = 16  # equally likely ones, for the bounds on leaks


def bout(seed: int, number: int) -> dict[str, float]:
    """Accuracy of each mode on one data set."""
    from nodes.qml.feature_maps import zz_map  # noqa: PLC0415  only this job needs it
    from nodes.qml.qsvm import QuantumSVM  # noqa: PLC0415  Qiskit, likewise
    from nodes.qml.query_modes import (  # noqa: PLC0415  likewise
        References,
        masked_features,
        observable_reading,
        sampled_values,
        swap_values,
    )

    experiment = clusters(seed, number)
    test, rng = experiment.test, stream(seed, "modes", number)
    model = QuantumSVM().fit(experiment.train)

    def right(values: Any) -> float:
        return float(np.mean((values > 0.0) == (test.labels == 1)))

    states = zz_map(test.features.shape[1], REPS).program.columns(test.features)
    reading, references = observable_reading(model), References.of(model, "observable")
    found = {
        "otp": right(model.decide(test.features)),
        "masked": right(model.decide(masked_features(test.features, rng))),
    }
    for copies in COPIES:
        found[f"qotp/{copies}"] = right(sampled_values(reading, states, copies, rng))
        found[f"same-pad/{copies}"] = right(swap_values(references, states, copies, rng))
    found[f"qotp, 10 km/{USUAL}"] = right(
        sampled_values(reading, states, USUAL, rng, flip=FLIP, arrival=ARRIVAL**2)
    )
    return found


def leaks(seed: int) -> dict[str, tuple[float, float, float]]:
    """By mode: bits about one of 16 equally likely questions that the line and the server get at most, and all there are."""
    from nodes.qml.feature_maps import zz_map  # noqa: PLC0415  only this job needs it
    from nodes.qml.qsvm import QuantumSVM  # noqa: PLC0415  likewise
    from nodes.qml.query_leaks import classical_leak, qotp_leak, same_pad_leak  # noqa: PLC0415  likewise
    from nodes.qml.query_modes import References  # noqa: PLC0415  likewise

    experiment = clusters(seed, 0)
    rows = experiment.test.features[:_QUESTIONS]
    states = zz_map(rows.shape[1], REPS).program.columns(rows)
    references = References.of(QuantumSVM().fit(experiment.train), "observable")
    found = {
        "otp": classical_leak("otp", _QUESTIONS, 0),
        "qotp": qotp_leak(states, USUAL, 0),
        "same-pad": same_pad_leak(states, references, USUAL, 1, 0),
        "masked": classical_leak("masked", _QUESTIONS, 0),
    }
    return {mode: (leak.line_bits, leak.server_bits, leak.questions_bits) for mode, leak in found.items()}


def _jobs(plan: Plan) -> list[Job]:
    return [Job(leaks, (plan.seed,)), *(Job(bout, (plan.seed, number)) for number in range(plan.seeds))]


def _found(plan: Plan, results: Sequence[Any]) -> Part:
    told, bouts = results[0], results[1:]

    def of(name: str) -> Any:
        return mean([one[name] for one in bouts])

    names = {
        "otp": "otp: the server opens",
        f"qotp/{USUAL}": f"qotp: {USUAL} copies, the server undoes the pads",
        f"qotp, 10 km/{USUAL}": f"qotp: {USUAL} copies over 10 km, losses and errors",
        f"same-pad/{USUAL}": f"same-pad: {USUAL} pairs, nobody undoes the pads",
        "masked": "masked: never opened",
    }
    kept = Claim(
        "modes-accuracy",
        "Algorithms 1 to 3",
        "Inference on encrypted queries is accurate.",
        "about 92 %",
        tuple(Trial(words, of(name), *about(PRINTED)) for name, words in names.items()),
        f"With {USUAL} registers a question qotp is right in {spelled(of(f'qotp/{USUAL}'), '%')} and same-pad in "
        f"{spelled(of(f'same-pad/{USUAL}'), '%')}; opened features give {spelled(of('otp'), '%')}, features that nobody opens "
        f"{spelled(of('masked'), '%')}.",
    )
    secret = Claim(
        "modes-secrecy",
        "Algorithms 1 to 3",
        "Queries stay private, on the line and at the server.",
        "private",
        (
            *(
                Trial(
                    f"{mode}: bits about a question on the line",
                    exactly(bits[0]),
                    high=HIDDEN_BITS,
                    unit="bit",
                )
                for mode, bits in told.items()
            ),
            *(
                Trial(
                    f"{mode}: bits about a question at the server",
                    exactly(bits[1]),
                    high=HIDDEN_BITS,
                    unit="bit",
                )
                for mode, bits in told.items()
            ),
        ),
        f"Of {told['otp'][2]:.0f} bits the server gets at most (Holevo) "
        + ", ".join(f"{bits[1]:.2g} under {mode}" for mode, bits in told.items())
        + ": no mode hides the query from a server that answers it well; same-pad gives its overlaps away to the line as well "
        f"({told['same-pad'][0]:.2g} bits).",
        f"server has {told['otp'][1]:.0f} of {told['otp'][2]:.0f} bits",
    )
    title = "Accuracy against registers that a question sends"
    curves = [
        Curve(mode, [(float(np.log2(copies)), of(f"{mode}/{copies}")) for copies in COPIES])
        for mode in ("qotp", "same-pad")
    ]
    ends = (float(np.log2(COPIES[0])), float(np.log2(COPIES[-1])))
    figure = Figure(
        "modes",
        title,
        lambda width: line_chart(
            width,
            title,
            "registers, as a power of two",
            "accuracy",
            curves,
            ends,
            (0.4, 1.0),
            level=(of("otp").mean, "exact"),
        ),
        "Perfect gates and no losses; copies of the state (qotp), or pairs with a reference state (same-pad).",
    )
    shown = Shown(
        f"Modes, {USUAL} registers a question",
        ("mode", "accuracy", "bits on the line", "bits at the server"),
        tuple(
            (
                words,
                spelled(of(name), "%"),
                *(
                    f"{bits:.2g} of {told[name.split('/')[0].split(',')[0]][2]:.0f}"
                    for bits in told[name.split("/")[0].split(",")[0]][:2]
                ),
            )
            for name, words in names.items()
        ),
        "Upper bounds (Holevo) on what is told of one of 16 equally likely questions.",
    )
    return Part(
        "Query modes",
        f"Four readings of “encrypted inference”, {plan.seeds} data sets, in memory: a classical one-time pad that the server opens, states "
        "under Pauli pads that the server undoes, both states under one pad that nobody undoes, and features that nobody opens.",
        (kept, secret),
        (
            Table("modes", ("bout", "mode", "accuracy"), long_rows(bouts)),
            Table(
                "modes-leaks",
                ("mode", "line_bits", "server_bits", "question_bits"),
                tuple((mode, *bits) for mode, bits in told.items()),
            ),
        ),
        (figure,),
        (shown,),
    )


STUDY = Study("modes", _jobs, _found)
