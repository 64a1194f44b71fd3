"""Simulated links to learn and to be tested on: none like another, and Eve on some of them for a share of the light."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from netsim.photonics.emitter import Emitter
from nodes.alarm import AlarmParameters, SequentialAlarm
from nodes.monitors import counters, honest, references
from nodes.telemetry import Telemetry
from scenarios.range import protocol_of, receiver_of, topology_of
from scenarios.referee import BlockRow
from scenarios.runner import run
from scenarios.schema import Scenario

PULSES = 1_000_000
"""Pulses in a block: some 8000 detections at 40 km, of which some 1300 are tested for errors."""
CALIBRATION = 4
"""Blocks at the start from which all detectors take what is usual on a link: as many as the alarm that ships."""
QUIET = 4
"""Honest blocks between the calibration and Eve."""
ATTACKED = 8
"""Blocks with Eve."""

_RATE_HZ = 1e8
_PERIOD_S = PULSES / _RATE_HZ
_ERRORS = 4  # the alarm's tolerance of an error rate is so many times that of other rates

Role = Literal["known", "held out", "invisible"]
"""Whether a family of attacks is trained on; or moves no counter, so that nothing can see it."""


@dataclass(frozen=True)
class Attack:
    """A family of attacks.

    Attributes:
        name: of it.
        role: in the comparison.
        action: the timeline's entry without its times.
    """

    name: str
    role: Role
    action: Mapping[str, Any]


ATTACKS = (
    Attack("intercept-resend, random basis", "known", {"action": "eve.intercept_resend"}),
    Attack("photon-number splitting", "known", {"action": "eve.photon_number_splitting"}),
    Attack("intercept-resend, Z only", "held out", {"action": "eve.intercept_resend", "basis": "z"}),
    Attack("intercept-resend, X only", "held out", {"action": "eve.intercept_resend", "basis": "x"}),
    Attack(
        "intercept-resend, Breidbart",
        "held out",
        {"action": "eve.intercept_resend", "basis": "breidbart", "resend": "coherent"},
    ),
    Attack("entangling probe", "held out", {"action": "eve.entangling_probe", "error": "25 %"}),
    Attack("optimal individual", "held out", {"action": "eve.optimal_individual", "disturbance": "15 %"}),
    Attack("unambiguous discrimination", "held out", {"action": "eve.unambiguous_discrimination"}),
    Attack("decoy mimicking", "held out", {"action": "eve.decoy_mimicking"}),
    Attack("beam splitting", "invisible", {"action": "eve.beam_splitting"}),
    Attack("noise-masked", "invisible", {"action": "eve.noise_masked"}),
)
"""On the light, out of the catalogue."""


@dataclass(frozen=True, eq=False)
class Watch:
    """What was seen of one link.

    Attributes:
        attack: Eve's, None where nobody attacks.
        share: of the light of each attacked block.
        blocks: the blocks after the calibration.
        usual: the calibration's counters, added up.
        alarmed: after each of these blocks, whether the alarm that ships stood.
    """

    attack: Attack | None
    share: float
    blocks: tuple[Telemetry, ...]
    usual: Mapping[str, tuple[int, int]]
    alarmed: tuple[bool, ...]

    @property
    def attacked(self) -> tuple[bool, ...]:
        """Of each block, whether Eve was there."""
        return tuple(self.attack is not None and place >= QUIET for place in range(len(self.blocks)))


def watch(attack: Attack | None, share: float, alpha: float, rng: np.random.Generator) -> Watch:
    """Simulate a link of its own: decoy-state BB84 over a fibre whose loss and polarisation wander.

    Args:
        attack: what Eve does after `CALIBRATION` + `QUIET` blocks; None for nothing.
        share: of each block's light that meets her, from the block's beginning on.
        alpha: false-alarm rate of the alarm that watches, per block.
        rng: what the link is like, and what happens on it.
    """
    blocks = CALIBRATION + QUIET + ATTACKED
    timeline = (
        []
        if attack is None
        else [
            {"at": f"{place * _PERIOD_S} s", "until": f"{(place + share) * _PERIOD_S} s", **attack.action}
            for place in range(CALIBRATION + QUIET, blocks)
        ]
    )
    scenario = Scenario.model_validate(_link(blocks, timeline, rng))
    rows = run(scenario, write=False).findings.blocks[:blocks]
    sides = [(row.block, _alices(row), _bobs(row)) for row in rows]
    alarms = _alarms(scenario, alpha)
    alarmed = []
    for number, alices, bobs in sides:
        for alarm, counts in zip(alarms, (alices, bobs), strict=True):
            alarm.observe(Telemetry(number, number * _PERIOD_S, counts))
        alarmed.append(any(alarm.standing for alarm in alarms))
    seen = [Telemetry(number, number * _PERIOD_S, bobs) for number, _, bobs in sides]
    return Watch(
        attack, share, tuple(seen[CALIBRATION:]), _added(seen[:CALIBRATION]), tuple(alarmed[CALIBRATION:])
    )


def _link(blocks: int, timeline: list[dict[str, Any]], rng: np.random.Generator) -> dict[str, Any]:
    """A scenario. Length, errors and dark counts differ from link to link; loss and polarisation wander on each."""
    steps = np.arange(0, blocks + 2, 2)
    wander = np.abs(0.2 + np.cumsum(rng.normal(0.0, 0.08, len(steps))))  # decibels
    return {
        "name": "telemetry",
        "seed": int(rng.integers(2**31)),
        # the last block's conversation takes longer than its light; more blocks begin meanwhile and are not looked at
        "duration": f"{(blocks + 2) * _PERIOD_S} s",
        "fabric": "direct",
        "link": {
            "protocol": "bb84",
            "grain": "sampled",
            "pulse_rate": f"{_RATE_HZ} Hz",
            "block_pulses": PULSES,
            "length": f"{rng.uniform(25.0, 50.0)} km",
            "misalignment": float(rng.uniform(0.005, 0.02)),
            "loss_profile": [
                [f"{step * _PERIOD_S} s", f"{loss} dB"] for step, loss in zip(steps, wander, strict=True)
            ],
            "drift": {"rate": float(rng.uniform(0.02, 0.15)), "tracking": "0.1 s", "residual": 0.02},
            "source": {
                "kind": "weak-coherent",
                "intensities": [0.5, 0.2, 0.0],
                "probabilities": [0.5, 0.3, 0.2],
            },
            "detector": {"efficiency": 0.2, "dark_counts": float(10.0 ** rng.uniform(-6.5, -5.5))},
        },
        # The telemetry is complete when errors have been compared. Giving blocks up there saves distilling keys that nobody asks for.
        "defences": {"abort_above_qber": 0.0, "authentication": False},
        "timeline": timeline,
    }


def _alices(row: BlockRow) -> dict[str, tuple[int, int]]:
    """What both sides are told of a block: gains, and error rates by basis and intensity, by the names of the link's telemetry."""
    if row.estimate is None:
        raise ValueError(f"block {row.block} of a simulated link came to no estimate; expected one")
    names = ("signal", "decoy", "vacuum")
    counts = {f"gain {name}": (detected, PULSES) for name, detected in zip(names, row.detected, strict=True)}
    counts |= {
        f"qber {cell.basis} {cell.intensity}": (cell.errors, cell.tested) for cell in row.estimate.intensities
    }
    return counts


def _bobs(row: BlockRow) -> dict[str, tuple[int, int]]:
    """The same and Bob's instruments, but for one that these links do not have."""
    found = counters(row.monitors)
    del found["attenuated"]
    return {**_alices(row), **found}


def _added(blocks: list[Telemetry]) -> dict[str, tuple[int, int]]:
    return {
        name: (sum(b.counts[name][0] for b in blocks), sum(b.counts[name][1] for b in blocks))
        for name in blocks[0].counts
    }


def _alarms(scenario: Scenario, alpha: float) -> tuple[SequentialAlarm, SequentialAlarm]:
    """Alice's and Bob's, as a scenario with `defences.alarm` has them; they share the rate."""
    link, protocol, receiver = scenario.link, protocol_of(scenario.link), receiver_of(scenario)
    tolerance = AlarmParameters().tolerance
    errors = [f"qber {basis} {name}" for basis in protocol.bases for name in protocol.intensities]
    emitter = Emitter(
        link.pulse_rate, intensities=link.source.intensities, probabilities=link.source.probabilities
    )
    law = honest(
        emitter.source(protocol.states, protocol.alice_choice),
        topology_of(scenario).transmittance("alice", "bob"),
        link.misalignment,
        receiver,
        protocol.bob_choice,
    )
    known = references(law, receiver, tolerance=tolerance)

    def alarm(references: Mapping[str, tuple[float, float]]) -> SequentialAlarm:
        return SequentialAlarm(
            AlarmParameters(
                alpha / 2,
                CALIBRATION,
                tolerance,
                tolerances=dict.fromkeys(errors, _ERRORS * tolerance),
                references=references,
            )
        )

    return alarm({}), alarm(known)
