"""Values of a scenario's link that are right alone and wrong together, or of no use together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from scenarios.inference_contradictions import without_use_of_inference
from scenarios.units import TIME, format_quantity

if TYPE_CHECKING:
    from scenarios.schema import Scenario
    from scenarios.sections import Link

Path: TypeAlias = tuple[str, ...]
Fault: TypeAlias = tuple[Path, str]

_DENSEST = 50_000_000


def link_contradictions(scenario: Scenario) -> Iterator[Fault]:
    """What cannot be, and where.

    Args:
        scenario: perhaps a draft, whose values at fault are NaN; every comparison here must be true for a contradiction.
    """
    yield from _source(scenario.link)
    yield from _protocol(scenario)
    yield from _grain(scenario.link)
    yield from _channel(scenario.link)
    yield from _detector(scenario)
    if scenario.link.relayed:
        yield from _relay(scenario)


def _source(link: Link) -> Iterator[Fault]:
    source = link.source
    if source.kind == "weak-coherent" and link.protocol in ("e91", "bbm92", "six-state"):
        yield (
            ("link", "source", "kind"),
            f"got weak-coherent with {link.protocol}, expected protocol: bb84 for it",
        )
    if source.kind == "spdc" and link.protocol in ("bb84", "six-state", "mdi"):
        yield (
            ("link", "source", "kind"),
            f"got spdc with {link.protocol}, which prepares its pulses one by one, expected e91 or bbm92 for it",
        )
    for path in without_use_of_source(link):
        if path[-1] in source.model_fields_set:
            yield path, f"of no use with {_what(link)}: remove it"
    if source.kind == "weak-coherent":
        yield from _intensities(link)


def _intensities(link: Link) -> Iterator[Fault]:
    source = link.source
    if not isinstance(source.intensities, tuple):
        return
    where, means = ("link", "source", "intensities"), source.intensities
    if any(one <= other for one, other in itertools.pairwise(means)):
        yield where, f"got {list(means)}, expected falling mean photon numbers, the signal first"
    elif len(means) == 3 and means[0] <= means[1] + means[2]:
        yield where, f"got {list(means)}, expected the first above the sum of the others: the bound needs it"
    elif means[0] <= 0:
        yield where, f"got {list(means)}, expected a signal above 0"
    if not isinstance(source.probabilities, tuple):
        return
    where, shares = ("link", "source", "probabilities"), source.probabilities
    if len(means) == 1:
        if "probabilities" in source.model_fields_set and list(shares) != [1.0]:
            yield where, f"got {list(shares)}, expected none, or [1], with one intensity"
    elif len(shares) != len(means):
        yield where, f"got {len(shares)} of them, expected one for each of the {len(means)} intensities"
    elif abs(math.fsum(shares) - 1.0) > 1e-9:
        yield where, f"got {list(shares)}, which add up to {math.fsum(shares):.12g}, expected 1"


def _protocol(scenario: Scenario) -> Iterator[Fault]:
    link = scenario.link
    if link.security.proof == "device-independent" and link.protocol in ("bb84", "bbm92", "six-state", "mdi"):
        why = "that proof rests on a violated CHSH inequality, which needs protocol: e91"
        yield ("link", "security", "proof"), f"got device-independent, expected trusted: {why}"
    if (
        link.protocol in ("bb84", "bbm92", "six-state", "mdi")
        and "abort_below_chsh" in scenario.defences.model_fields_set
    ):
        yield (
            ("defences", "abort_below_chsh"),
            f"{link.protocol} measures no CHSH value: remove it, or use protocol: e91",
        )
    if link.protocol in ("e91", "six-state") and link.key_basis is not None and link.key_basis > 0:
        yield ("link", "key_basis"), f"{link.protocol} uses all its settings alike: remove it"
    if "multiphoton" in link.security.model_fields_set and (
        link.source.kind in ("ideal", "spdc") or link.decoys
    ):
        yield ("link", "security", "multiphoton"), f"of no use with {_what(link)}: remove it"


def _grain(link: Link) -> Iterator[Fault]:
    if link.grain == "qubit":
        if link.protocol == "six-state" or link.source.kind in ("weak-coherent", "spdc"):
            yield (
                ("link", "grain"),
                "got qubit, which makes single photons in the X-Z plane, expected pulse or sampled for "
                + (link.protocol if link.protocol == "six-state" else link.source.kind),
            )
    elif link.grain == "pulse" and link.block_pulses > _DENSEST:
        yield (
            ("link", "block_pulses"),
            f"got {link.block_pulses:.12g}, expected at most {_DENSEST} with grain: pulse (use grain: sampled)",
        )
    elif link.grain == "sampled" and link.protocol == "e91" and link.security.proof == "device-independent":
        yield (
            ("link", "grain"),
            "got sampled, expected pulse: device-independent counts every pulse, detected or not",
        )


def _channel(link: Link) -> Iterator[Fault]:
    drift, satellite, coexistence = (
        name in link.model_fields_set and getattr(link, name) is not None
        for name in ("drift", "satellite", "coexistence")
    )
    profile = isinstance(link.loss_profile, tuple) and bool(link.loss_profile)
    if satellite and profile:
        yield ("link", "loss_profile"), "a satellite's pass has its own: remove one of the two"
    if link.grain == "qubit" and (drift or satellite or profile):
        yield ("link", "grain"), "got qubit, expected pulse or sampled for a channel that changes over time"
    if coexistence and satellite:
        yield ("link", "coexistence"), "there are no other channels on the way to a satellite: remove it"


def _detector(scenario: Scenario) -> Iterator[Fault]:
    link, detector = scenario.link, scenario.link.detector
    block_s = link.block_pulses / link.pulse_rate if link.pulse_rate else math.nan
    if detector.dead_time >= block_s:
        got, block = format_quantity(detector.dead_time, TIME), format_quantity(block_s, TIME)
        yield ("link", "detector", "dead_time"), f"got {got}, expected less than a block takes ({block})"
    if detector.gate is not None and detector.gate > 1.0 / link.pulse_rate:
        got, slot = format_quantity(detector.gate, TIME), format_quantity(1.0 / link.pulse_rate, TIME)
        yield ("link", "detector", "gate"), f"got {got}, expected at most a pulse's slot ({slot})"
    if detector.gate is None and detector.jitter > 0:
        yield (
            ("link", "detector", "jitter"),
            "without a gate there is nothing to miss: set link.detector.gate too",
        )
    if detector.basis_choice == "passive" and link.protocol == "e91":
        yield (
            ("link", "detector", "basis_choice"),
            "got passive, expected active: a splitter's colours are modelled for bases, not for E91's angles",
        )


def _relay(scenario: Scenario) -> Iterator[Fault]:
    """What a Bell measurement on two trains has no model for."""
    link, detector = scenario.link, scenario.link.detector
    if link.grain in ("pulse", "qubit"):
        yield (
            ("link", "grain"),
            f"got {link.grain}, expected sampled for mdi: only what the relay announces is drawn",
        )
    means = link.source.intensities
    if link.source.kind == "weak-coherent" and isinstance(means, tuple) and len(means) == 1:
        yield (
            ("link", "source", "intensities"),
            f"got {list(means)}, expected two or three with mdi: without decoys nothing bounds single photons",
        )
    for name, remembers in (("dead_time", detector.dead_time > 0), ("afterpulse", detector.afterpulse > 0)):
        if remembers:
            yield (
                ("link", "detector", name),
                "the relay's detectors are modelled without a memory: remove it with mdi",
            )
    if detector.basis_choice == "passive":
        yield ("link", "detector", "basis_choice"), "the relay chooses no basis: remove it with mdi"
    if scenario.defences.attenuated_share > 0:
        yield ("defences", "attenuated_share"), "with mdi Bob has no detectors to defend: remove it"
    changing = {
        "loss_profile": bool(link.loss_profile),
        "satellite": link.satellite,
        "coexistence": link.coexistence,
    }
    for name, there in changing.items():
        if there and name in link.model_fields_set:
            yield ("link", name), "not modelled for two ways to a relay: remove it with mdi"


def unmet(need: str, scenario: Scenario) -> str:
    """What an attack needs of the link and does not find; empty if it is there.

    Args:
        need: as in an action's `needs`.
        scenario: perhaps a draft.
    """
    link = scenario.link
    single = link.source.kind in ("ideal", "spdc")
    missing = {
        "weak pulses": (single, "a source that emits several photons (source.kind: weak-coherent)"),
        "decoys": (
            single or (isinstance(link.source.intensities, tuple) and len(link.source.intensities) == 1),
            "decoys (two or three source.intensities)",
        ),
        "passive basis choice": (
            link.detector.basis_choice == "active",
            "a splitter that chooses Bob's basis (detector.basis_choice: passive)",
        ),
        "timing mismatch": (
            link.detector.timing_mismatch >= 1.0,
            "detectors that differ at the edges of the gate (detector.timing_mismatch below 1)",
        ),
        "pulses": (link.grain == "qubit", "trains of pulses (grain: pulse or sampled)"),
        "prepared": (link.pairs, "pulses that Alice prepares (bb84, six-state or mdi)"),
        "relay": (
            link.protocol in ("bb84", "e91", "bbm92", "six-state"),
            "a relay between Alice and Bob (protocol: mdi)",
        ),
        "receiver": (link.relayed, "detectors at Bob's, who has none with mdi"),
    }
    lacks, words = missing[need]
    return words if lacks else ""


def without_use(scenario: Scenario) -> Iterator[Path]:
    """Values that a scenario's link has no use for."""
    yield from without_use_of_source(scenario.link)
    yield from without_use_of_inference(scenario)
    if scenario.link.protocol != "e91":
        yield "defences", "abort_below_chsh"
    if scenario.link.source.kind != "weak-coherent" or scenario.link.decoys:
        yield "link", "security", "multiphoton"
    elif scenario.link.source.probabilities != (1.0,):
        yield "link", "source", "probabilities"


def without_use_of_source(link: Link) -> Iterator[Path]:
    """Values of the source that mean nothing for its kind."""
    kind, prepared = link.source.kind, link.protocol in ("bb84", "six-state")
    useless = {
        "intensities": kind in ("ideal", "spdc"),
        "probabilities": kind in ("ideal", "spdc"),
        "fluctuation": kind in ("ideal", "spdc"),
        "pair_mean": kind in ("ideal", "weak-coherent"),
        "isolation": link.pairs,
        "position": prepared or link.relayed,
        "visibility": prepared,
    }
    for name, of_no_use in useless.items():
        if of_no_use:
            yield "link", "source", name


def _what(link: Link) -> str:
    """The link's protocol and source, for a message."""
    return (
        link.protocol if link.source.kind == "ideal" else f"{link.protocol} and a {link.source.kind} source"
    )
